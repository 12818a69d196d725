/* What each error number of MariaDB and MySQL means: the table of mysql_err.c, entry by entry, without a server. An error in no
 * list is the store's fault, never the data's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "mysql_priv.h"

static void each_number_is_as_listed(void **st) {
  static const struct { unsigned e; enum store_rc rc; bool lost; } want[] = {
    {0, STORE_OK, false},
    /* the data's: SQLSTATE 22, 23 and their like */
    {1022, STORE_BAD, false}, {1048, STORE_BAD, false}, {1062, STORE_BAD, false}, {1118, STORE_BAD, false}, {1169, STORE_BAD, false},
    {1264, STORE_BAD, false}, {1265, STORE_BAD, false}, {1292, STORE_BAD, false}, {1300, STORE_BAD, false}, {1365, STORE_BAD, false},
    {1366, STORE_BAD, false}, {1367, STORE_BAD, false}, {1406, STORE_BAD, false}, {1411, STORE_BAD, false}, {1451, STORE_BAD, false},
    {1452, STORE_BAD, false}, {1525, STORE_BAD, false}, {1586, STORE_BAD, false}, {1690, STORE_BAD, false}, {3819, STORE_BAD, false},
    {3854, STORE_BAD, false}, {4025, STORE_BAD, false}, {MY_TOO_LARGE, STORE_BAD, false},
    /* somebody in the way */
    {1213, STORE_RETRY, false}, {1205, STORE_RETRY, false}, {1614, STORE_RETRY, false}, {1020, STORE_RETRY, false}, {1317, STORE_RETRY, false},
    /* the connection */
    {1053, STORE_RETRY, true}, {1927, STORE_RETRY, true}, {1184, STORE_RETRY, true}, {1158, STORE_RETRY, true}, {1159, STORE_RETRY, true},
    {1160, STORE_RETRY, true}, {1161, STORE_RETRY, true}, {1156, STORE_RETRY, true}, {4031, STORE_RETRY, true}, {2002, STORE_RETRY, true},
    {2003, STORE_RETRY, true}, {2005, STORE_RETRY, true}, {2006, STORE_RETRY, true}, {2013, STORE_RETRY, true}, {2014, STORE_RETRY, true},
    /* room */
    {1021, STORE_NO_SPACE, false}, {1114, STORE_NO_SPACE, false},
    /* the store's, known */
    {1290, STORE_DOWN, true}, {1836, STORE_DOWN, true}, {1792, STORE_DOWN, true}, {1040, STORE_DOWN, false}, {1203, STORE_DOWN, false},
    {1226, STORE_DOWN, false}, {1045, STORE_DOWN, false}, {1698, STORE_DOWN, false}, {1044, STORE_DOWN, false}, {1142, STORE_DOWN, false},
    {1143, STORE_DOWN, false}, {1227, STORE_DOWN, false}, {1049, STORE_DOWN, false}, {1153, STORE_DOWN, true}, {1461, STORE_DOWN, false},
    {1665, STORE_DOWN, true}, {1047, STORE_DOWN, false}, {MY_SETTING, STORE_DOWN, true},
    /* and in no list: an unknown column, a table that is gone, a statement that took too long, a lock table that is full,
     * no descriptor, a crashed table, a number of tomorrow */
    {1054, STORE_DOWN, false}, {1146, STORE_DOWN, false}, {1969, STORE_DOWN, false}, {3024, STORE_DOWN, false}, {1206, STORE_DOWN, false},
    {1637, STORE_DOWN, false}, {1016, STORE_DOWN, false}, {1026, STORE_DOWN, false}, {1104, STORE_DOWN, false}, {1194, STORE_DOWN, false},
    {1030, STORE_DOWN, false}, {1064, STORE_DOWN, false}, {1, STORE_DOWN, false}, {9999, STORE_DOWN, false}, {65535, STORE_DOWN, false},
  };
  (void)st;
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    if (my_rc(want[i].e) != want[i].rc || my_lost(want[i].e) != want[i].lost)
      fail_msg("%u: %s, lost %d", want[i].e, store_rc_name(my_rc(want[i].e)), my_lost(want[i].e));
  }
}

static void nothing_else_is_the_datas(void **st) {
  unsigned n = 0;
  (void)st;
  for (unsigned e = 1; e < 70000; e++) n += my_rc(e) == STORE_BAD;
  assert_int_equal(n, 23);
}

static void a_full_disk_is_told_in_many_words(void **st) {
  (void)st;
  assert_int_equal(my_rc(my_true_error(1030, "Got error 28 \"No space left on device\" from storage engine InnoDB")), STORE_NO_SPACE);
  assert_int_equal(my_rc(my_true_error(3, "Error writing file './x' (Errcode: 28 \"No space left on device\")")), STORE_NO_SPACE);
  assert_int_equal(my_true_error(1030, "Got error 5 \"Input/output error\" from storage engine InnoDB"), 1030);
  assert_int_equal(my_true_error(2013, NULL), 2013);
}

static void sentences_hold_no_value(void **st) {
  char out[200];
  (void)st;
  my_words(1062, "Duplicate entry 'secret' for key 'PRIMARY'", out, sizeof out);
  assert_null(strstr(out, "secret"));
  my_words(1064, "You have an error near 'secret'", out, sizeof out);
  assert_null(strstr(out, "secret"));
  my_words(1054, "Unknown column 'log_bytes' in 'field list'", out, sizeof out);
  assert_non_null(strstr(out, "Unknown column 'log_bytes'"));
  assert_non_null(strstr(out, "1054"));
  my_words(1054, "a\nb\x1b[31m", out, sizeof out);
  assert_null(strpbrk(out, "\n\x1b"));
  my_words(1290, "The MariaDB server is running with the --read-only option", out, sizeof out);
  assert_non_null(strstr(out, "read-only"));
}

int main(void) {
  const struct CMUnitTest t[] = {cmocka_unit_test(each_number_is_as_listed), cmocka_unit_test(nothing_else_is_the_datas),
                                 cmocka_unit_test(a_full_disk_is_told_in_many_words), cmocka_unit_test(sentences_hold_no_value)};
  return cmocka_run_group_tests_name("mysql_errors", t, NULL, NULL);
}
