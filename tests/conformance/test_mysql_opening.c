/* How a database on a server is opened: several at once make one schema; a database that is not ours, or may forget commits, is
 * refused; forms of the URL; ids that a clean stop gives back. */
#include <sys/wait.h>
#include <unistd.h>
#include "mysql_kit.h"

static enum wr_rc try_open(const char *url, bool relaxed, struct wr_err *err) {
  struct store *s = NULL;
  const struct store_opts o = {.url = url, .relaxed = relaxed};
  enum wr_rc rc = store_open(&o, &s, err);
  store_close(s);
  return rc;
}

static void many_processes_make_one_schema(void **st) {
  (void)st;
  pid_t pid[4];
  kit_wipe();
  for (int i = 0; i < 4; i++) {
    pid[i] = fork();
    assert_true(pid[i] >= 0);
    if (pid[i] == 0) {
      struct wr_err err;
      _exit(try_open(kit_url(), false, &err) == WR_OK ? 0 : 1);
    }
  }
  for (int i = 0; i < 4; i++) {
    int status = -1;
    assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
    assert_int_equal(status, 0);
  }
  assert_int_equal(kit_int("SELECT COUNT(*) FROM schema_version"), 10);
}

static void half_made_schema_is_completed(void **st) {
  (void)st;
  struct wr_err err;
  kit_wipe();
  WR(try_open(kit_url(), false, &err));
  kit_sql("DELETE FROM schema_version");
  kit_sql("DROP VIEW async_task_record, async_task_log_record"); /* they come last */
  kit_sql("ALTER TABLE definitions DROP COLUMN queues_version, DROP COLUMN executors_version, "
          "DROP COLUMN analyzers_version"); /* later than its row, of 0001 */
  kit_sql("DROP TABLE task_log");
  kit_sql("DROP TABLE engine_node");
  if (try_open(kit_url(), false, &err)) fail_msg("%s", err.msg);
  assert_int_equal(kit_int("SELECT MAX(version) FROM schema_version"), 10);
}

static void foreign_or_damaged_schema_is_refused(void **st) {
  (void)st;
  struct wr_err err;
  kit_wipe();
  kit_sql("CREATE TABLE task (id INT)");
  assert_int_equal(try_open(kit_url(), true, &err), WR_STORE_REFUSED);
  assert_int_equal(kit_int("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema=DATABASE()"), 1);
  kit_wipe();
  WR(try_open(kit_url(), false, &err));
  kit_sql("ALTER TABLE task_log ENGINE=MyISAM");
  assert_int_equal(try_open(kit_url(), true, &err), WR_STORE_REFUSED);
  kit_wipe();
  WR(try_open(kit_url(), false, &err));
  kit_sql("DELETE FROM id_block WHERE kind='ni'");
  assert_int_equal(try_open(kit_url(), true, &err), WR_STORE_REFUSED);
}

static void forgetful_server_is_refused_unless_relaxed(void **st) {
  (void)st;
  struct wr_err err;
  kit_wipe();
  kit_sql("SET GLOBAL innodb_flush_log_at_trx_commit=2");
  enum wr_rc strict = try_open(kit_url(), false, &err), relaxed = try_open(kit_url(), true, NULL);
  kit_sql("SET GLOBAL innodb_flush_log_at_trx_commit=1");
  assert_int_equal(strict, WR_STORE_REFUSED);
  assert_non_null(strstr(err.msg, "innodb_flush_log_at_trx_commit"));
  assert_int_equal(relaxed, WR_OK);
  kit_sql("SET GLOBAL read_only=1");
  enum wr_rc ro = try_open(kit_url(), true, &err);
  kit_sql("SET GLOBAL read_only=0");
  assert_int_equal(ro, WR_STORE_REFUSED);
}

static void urls(void **st) {
  (void)st;
  static const char *const bad[] = {
    "mysql:", "mysql:/x", "mysql://", "mysql://h", "mysql://h/", "mysql://@h/db", "mysql://h:0/db", "mysql://h:99999/db", "mysql://h:x/db",
    "mysql://h/db?sockt=/x", "mysql://h/db?socket=x", "mysql://h/db?socket=/x&a=b", "mysql://h/d%zz", "mysql://h/d%0", "mysql://h/d%00b",
    "mysql://u:%@h/db", "mysql://[::1/db", "mysql://[::1]x/db", "mysql:///db"};
  struct wr_err err;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (try_open(bad[i], true, &err) != WR_BAD_REQUEST) fail_msg("%s", bad[i]);
    assert_null(strstr(err.msg, bad[i] + 8 < bad[i] + strlen(bad[i]) ? bad[i] : "\n"));
  }
  char text[400];
  kit_wipe();
  snprintf(text, sizeof text, "mysql://nobody:s3cr%%40t@localhost/%s?socket=%s", kit_name(), kit_socket());
  assert_int_equal(try_open(text, true, &err), WR_DB_UNAVAILABLE);
  assert_null(strstr(err.msg, "s3cr"));
  kit_sql("CREATE USER 'w@ir'@'localhost' IDENTIFIED BY 'p:@/?#%%&'");
  kit_sql("GRANT ALL ON `%s`.* TO 'w@ir'@'localhost'", kit_name());
  snprintf(text, sizeof text, "mysql://w%%40ir:p:@%%2f%%3F#%%25&@localhost/%s?socket=%s", kit_name(), kit_socket());
  enum wr_rc rc = try_open(text, true, &err);
  kit_sql("DROP USER 'w@ir'@'localhost'");
  assert_int_equal(rc, WR_OK);
  snprintf(text, sizeof text, "mysql://root@localhost/no_such_%s?socket=%s", kit_name(), kit_socket());
  assert_int_equal(try_open(text, true, &err), WR_DB_UNAVAILABLE);
  assert_non_null(strstr(err.msg, "does not exist"));
  assert_int_equal(try_open("mysql://root@localhost/x?socket=/nowhere/s", true, &err), WR_DB_UNAVAILABLE);
}

static void clean_stop_gives_ids_back(void **st) {
  (void)st;
  int64_t id;
  kit_wipe();
  for (int64_t i = 1; i <= 3; i++) {
    struct store *s = kit_open(kit_url(), 0);
    OK(store_ids(s, ID_FI, 1, &id));
    assert_int_equal(id, i);
    store_close(s);
  }
}

int main(void) {
  if (!kit_begin("opening")) return 0;
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(many_processes_make_one_schema), cmocka_unit_test(half_made_schema_is_completed),
    cmocka_unit_test(foreign_or_damaged_schema_is_refused), cmocka_unit_test(forgetful_server_is_refused_unless_relaxed),
    cmocka_unit_test(urls), cmocka_unit_test(clean_stop_gives_ids_back),
  };
  int bad = cmocka_run_group_tests_name("mysql_opening", tests, NULL, NULL);
  kit_end();
  return bad;
}
