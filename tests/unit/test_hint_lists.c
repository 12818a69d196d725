/* Names of lists of hints: readable where they are plain, no two classes with one name, nothing that leads to another key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "hint_lists.h"

static void is_named(const char *type, const char *labels, const char *want) {
  char name[HINT_CLASS_BYTES], t[HINT_CLASS_BYTES], l[HINT_CLASS_BYTES];
  assert_true(hint_class_name(type, labels, name));
  assert_string_equal(name, want);
  assert_true(hint_class_read(name, strlen(name), t, l));
  assert_string_equal(t, type);
}

static void test_names(void **st) {
  (void)st;
  is_named("ECHO", NULL, "ECHO");
  is_named("ECHO", "", "ECHO");
  is_named("SHELL", "gpu", "SHELL;gpu");
  is_named("SHELL", "zone=a,gpu", "SHELL;gpu,zone=a");
  is_named("SHELL", "gpu,zone=a", "SHELL;gpu,zone=a");
  is_named("SHELL", "a/b:c", "SHELL;a/b:c");
  is_named("my-type_1.x", NULL, "my-type_1.x");
  is_named("default:0", NULL, "default%3A0"); /* not the key of the shared list */
  is_named("*", NULL, "%2A");
  is_named("A;gpu", NULL, "A%3Bgpu");
  is_named("A", "b;c", "A;b%3Bc");
  is_named("a b\r\nDEL x", NULL, "a%20b%0D%0ADEL%20x");
  is_named("\xc3\xa9%41", NULL, "%C3%A9%2541");
}

static void test_labels_come_back(void **st) {
  char type[HINT_CLASS_BYTES], labels[HINT_CLASS_BYTES];
  (void)st;
  assert_true(hint_class_read("SHELL;gpu,zone=a", 16, type, labels));
  assert_string_equal(type, "SHELL");
  assert_string_equal(labels, "gpu,zone=a");
  assert_true(hint_class_read("ECHO", 4, type, labels));
  assert_string_equal(labels, "");
}

/* What hint_class_name() never makes is no name: one class has one list. */
static void test_no_names(void **st) {
  static const char *const bad[] = {"", "*", "default:0", ";gpu", "A;", "A;b,a", "A;a,", "A;,a", "A B", "A%", "A%4", "A%41", "A%3b", "A%00", "A:B",
                                    "A;a;b", "A;%61", "A\n", "A;a%2Cb"};
  char type[HINT_CLASS_BYTES], labels[HINT_CLASS_BYTES], nul[] = "A\0B";
  (void)st;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (hint_class_read(bad[i], strlen(bad[i]), type, labels)) fail_msg("a name: %s", bad[i]);
  assert_false(hint_class_read(nul, 3, type, labels));
}

static void test_long_names(void **st) {
  char type[LIMIT_HINT_CLASS_CHARS + 2], name[HINT_CLASS_BYTES], t[HINT_CLASS_BYTES], l[HINT_CLASS_BYTES], labels[1001] = "";
  (void)st;
  memset(type, 'a', sizeof type);
  type[LIMIT_HINT_CLASS_CHARS] = '\0';
  is_named(type, NULL, type);
  type[LIMIT_HINT_CLASS_CHARS] = 'a';
  type[LIMIT_HINT_CLASS_CHARS + 1] = '\0';
  assert_false(hint_class_name(type, NULL, name));
  assert_false(hint_class_read(type, strlen(type), t, l));
  memset(type, ' ', LIMIT_HINT_CLASS_CHARS / 3 + 1); /* three characters each */
  type[LIMIT_HINT_CLASS_CHARS / 3 + 1] = '\0';
  assert_false(hint_class_name(type, NULL, name));
  for (size_t i = 0; i < 999; i++) labels[i] = i % 2 ? ',' : 'a';
  assert_false(hint_class_name("A", labels, name));
  assert_false(hint_class_name("", NULL, name));
}

static void test_numbers(void **st) {
  struct hint_lists *l = hint_lists_new();
  char name[HINT_CLASS_BYTES], text[300];
  (void)st;
  uint16_t echo = hint_list(l, "ECHO", NULL), gpu = hint_list(l, "SHELL", "zone=a,gpu");
  assert_true(echo != HINT_LIST_SHARED && gpu != HINT_LIST_SHARED && echo != gpu);
  assert_int_equal(hint_list(l, "SHELL", "gpu,zone=a"), gpu);
  assert_int_equal(hint_list_named(l, "SHELL;gpu,zone=a", 16), gpu);
  assert_int_equal(hint_list_named(l, "SHELL;zone=a,gpu", 16), HINT_LIST_SHARED);
  hint_list_name(l, gpu, name);
  assert_string_equal(name, "SHELL;gpu,zone=a");
  hint_list_name(l, HINT_LIST_SHARED, name);
  assert_string_equal(name, "*");
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = '\0';
  assert_int_equal(hint_list(l, text, NULL), HINT_LIST_SHARED);
  for (int i = 0; i < 2 * LIMIT_HINT_CLASSES; i++) {
    snprintf(text, sizeof text, "type%d", i);
    uint16_t list = hint_list(l, text, NULL);
    if (i < LIMIT_HINT_CLASSES - 2) assert_int_equal(list, i + 3);
    else assert_int_equal(list, HINT_LIST_SHARED); /* there is an end to them */
  }
  assert_int_equal(hint_list(l, "ECHO", NULL), echo);
  assert_int_equal(hint_list(l, "type1000", NULL), 1003);
  hint_lists_free(l);
}

int main(void) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_labels_come_back), cmocka_unit_test(test_no_names),
                                            cmocka_unit_test(test_long_names), cmocka_unit_test(test_numbers)};
  return cmocka_run_group_tests_name("hint_lists", tests, NULL, NULL);
}
