/* Settings of a server that this program cannot work with, at the start and later: the session sets them, or one sentence names
 * them. And errors of the whole server, which are never the data's fault. Changes settings of the server for a moment. */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include "clock.h"
#include "mysql_kit.h"
#include "store_token.h"

static struct world w;

static enum wr_rc try_open(bool relaxed, struct wr_err *err) {
  struct store *s = NULL;
  const struct store_opts o = {.url = kit_url(), .relaxed = relaxed};
  enum wr_rc rc = store_open(&o, &s, err);
  store_close(s);
  return rc;
}

static int setup(void **st) {
  (void)st;
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  const struct store_opts o = {.url = kit_url(), .request_us = 4000000};
  struct wr_err err;
  kit_wipe();
  w = (struct world){.now = 1700000000000000LL};
  if (store_open(&o, &w.s, &err)) fail_msg("%s", err.msg);
  OK(store_join(w.s, &info, &w.me));
  return 0;
}

static int teardown(void **st) {
  (void)st;
  OK(store_leave(w.s));
  store_close(w.s);
  return 0;
}

/* Ends all connections of the database: the next use makes new ones. */
static void cut_all(void) {
  for (int64_t id; (id = kit_int("SELECT MAX(id) FROM information_schema.processlist WHERE db='%s' AND id<>CONNECTION_ID()", kit_name())) > 0;) {
    kit_sql("KILL %lld", (long long)id);
    while (kit_int("SELECT COUNT(*) FROM information_schema.processlist WHERE id=%lld", (long long)id) > 0) {}
  }
}

static enum store_rc empty_batch(void) { return batch_do(&w, &(struct batch){0}); }

/* ---- at the start ---- */
static const struct { const char *name, *bad; const char *says; } setting[] = { /* says NULL: the session sets it */
  {"sql_select_limit", "1", NULL}, {"tx_read_only", "1", NULL}, {"max_join_size", "2", NULL}, {"max_statement_time", "0.001", NULL},
  {"sql_mode", "''", NULL}, {"time_zone", "'+07:00'", NULL}, {"tx_isolation", "'SERIALIZABLE'", NULL}, {"completion_type", "1", NULL},
  {"autocommit", "0", NULL}, {"sql_safe_updates", "1", NULL}, {"lock_wait_timeout", "1", NULL},
  {"max_prepared_stmt_count", "0", "max_prepared_stmt_count"}, {"max_allowed_packet", "1048576", "weir needs at least 4194304: SET GLOBAL max_allowed_packet"},
  {"read_only", "1", "read-only"}, {"innodb_flush_log_at_trx_commit", "2", "innodb_flush_log_at_trx_commit"},
};
enum { N_SETTING = sizeof setting / sizeof *setting };

static void each_setting_is_set_or_named(void **st) {
  char was[64], text[160];
  (void)st;
  for (size_t i = 0; i < N_SETTING; i++) {
    struct wr_err err;
    kit_wipe();
    kit_sql("SET @was=@@global.%s", setting[i].name);
    kit_sql("SET GLOBAL %s=%s", setting[i].name, setting[i].bad);
    wr_err_clear(&err);
    enum wr_rc rc = try_open(false, &err);
    snprintf(text, sizeof text, "SET GLOBAL %s=@was", setting[i].name);
    kit_sql("%s", text);
    snprintf(was, sizeof was, "%s: %d ", setting[i].name, (int)rc);
    if (rc != (setting[i].says ? WR_STORE_REFUSED : WR_OK) || (setting[i].says && !strstr(err.msg, setting[i].says))) fail_msg("%s%s", was, err.msg);
  }
}

/* ---- later ---- */
static void a_setting_changed_later_is_named_and_waited_for(void **st) {
  (void)st;
  struct wr_err err;
  OK(empty_batch());
  kit_sql("SET GLOBAL max_allowed_packet=1048576");
  cut_all();
  enum store_rc rc = empty_batch();
  char why[200];
  snprintf(why, sizeof why, "%s", store_why(w.s));
  struct reader *r = reader_get(w.s, &err);
  struct task_def t = {.name = (char *)(uintptr_t)"t", .type = (char *)(uintptr_t)"ECHO"};
  struct wr_err save;
  enum wr_rc saved = store_save_task(w.s, &t, -1, NULL, &save);
  kit_sql("SET GLOBAL max_allowed_packet=16777216");
  IS(rc, STORE_DOWN);
  assert_non_null(strstr(why, "max_allowed_packet"));
  assert_null(r);
  assert_int_equal(err.code, WR_DB_UNAVAILABLE);
  assert_non_null(strstr(err.msg, "max_allowed_packet"));
  assert_int_equal(saved, WR_DB_UNAVAILABLE);
  OK(empty_batch());
  reader_put(reader_of(&w));
}

static void read_only_is_the_stores(void **st) {
  (void)st;
  struct wr_err err;
  OK(empty_batch());
  kit_sql("SET GLOBAL read_only=1");
  cut_all();
  enum store_rc rc = empty_batch();
  char why[200];
  snprintf(why, sizeof why, "%s", store_why(w.s));
  struct reader *r = reader_get(w.s, &err); /* reading goes on */
  kit_sql("SET GLOBAL read_only=0");
  IS(rc, STORE_DOWN);
  assert_non_null(strstr(why, "read-only"));
  assert_non_null(r);
  reader_put(r);
  OK(empty_batch());
}

/* A column that an operator has renamed, as an example of an error of the whole server. */
static void unknown_error_is_the_stores(void **st) {
  (void)st;
  struct flow_def *f = flow_save(&w, "f", NODE("a"));
  struct started s = flow_start(&w, f);
  struct task_row r = task_row_of(&w, &s, 0, 0);
  OK(put_task(&w, ROW_INSERT, &r));
  r.t.state = TASK_SUCCESS, r.t.owner = 0, r.exit_code = 0, r.log_bytes = 5;
  kit_sql("ALTER TABLE task_ins CHANGE log_bytes log_bytes_x BIGINT NOT NULL DEFAULT 0");
  enum store_rc rc = put_finish(&w, &r);
  char why[200];
  snprintf(why, sizeof why, "%s", store_why(w.s));
  kit_sql("ALTER TABLE task_ins CHANGE log_bytes_x log_bytes BIGINT NOT NULL DEFAULT 0");
  IS(rc, STORE_DOWN);
  assert_non_null(strstr(why, "log_bytes"));
  OK(put_finish(&w, &r));
  def_flow_unref(f);
}

/* ---- a server that does not answer: the wait of an API call has a bound (here ten times what it should be) ---- */
static void frozen_server_costs_a_reader_a_bounded_wait(void **st) {
  (void)st;
  struct wr_err err, save;
  int64_t t0;
  int pid = kit_server_pid();
  if (pid <= 1) skip();
  struct reader *r = reader_of(&w);
  assert_int_equal(kill(pid, SIGSTOP), 0);
  t0 = clock_mono_us();
  enum wr_rc read = reader_token(r, &(struct store_token){0}, &err);
  struct task_def t = {.name = (char *)(uintptr_t)"t", .type = (char *)(uintptr_t)"ECHO"};
  enum wr_rc saved = store_save_task(w.s, &t, -1, NULL, &save);
  int64_t us = clock_mono_us() - t0;
  assert_int_equal(kill(pid, SIGCONT), 0);
  reader_put(r);
  assert_int_equal(read, WR_DB_UNAVAILABLE);
  assert_int_equal(saved, WR_DB_UNAVAILABLE);
  assert_true(us < 100000000);
  OK(empty_batch());
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
  if (!kit_begin("settings")) return 0;
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_setting_is_set_or_named), T(a_setting_changed_later_is_named_and_waited_for), T(read_only_is_the_stores),
    T(unknown_error_is_the_stores), T(frozen_server_costs_a_reader_a_bounded_wait),
  };
  int bad = cmocka_run_group_tests_name("mysql_settings", tests, NULL, NULL);
  kit_end();
  return bad;
}
