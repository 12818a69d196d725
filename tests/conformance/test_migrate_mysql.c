/* Databases of older releases on MySQL and MariaDB, brought to the schema of this program. The result is the same as from an
 * empty database, whoever is killed in the middle and however many begin at once. No node that still runs is shut out. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clock.h"
#include "log.h"
#include "migrate_kit.h"
#include "mysql_kit.h"
#include "mysql_priv.h"

/* store_open() and store_migrate() of this program bring a database to the newest schema of this set. All else, store_join()
 * too, is as in the release. */
static const struct schema_set *set_now = &schema_mysql;
#define schema_mysql (*set_now)
#include "mysql_migrate.c"
#undef schema_mysql

static MYSQL *raw;       /* somebody else's connection; takes several statements at once */

/* Executes every statement of the text; returns the first answer as text. */
static char *ask(const char *text) {
  struct buf b = BUF_INIT;
  if (mysql_query(raw, text)) fail_msg("%.300s: %s", text, mysql_error(raw));
  for (int n = 0;; n++) {
    MYSQL_RES *res = mysql_store_result(raw);
    for (MYSQL_ROW row; res && n == 0 && (row = mysql_fetch_row(res));) {
      for (unsigned i = 0; i < mysql_num_fields(res); i++) buf_printf(&b, "%s|", row[i] ? row[i] : "-");
      buf_ch(&b, '\n');
    }
    if (res) mysql_free_result(res);
    int more = mysql_next_result(raw);
    if (more > 0) fail_msg("%.300s: %s", text, mysql_error(raw));
    if (more) break;
  }
  buf_ch(&b, '\0');
  return b.data;
}
static void run_sql(const char *text) { free(ask(text)); }
static void same(const char *what, const char *query, const char *want) {
  char *is = ask(query);
  if (strcmp(is, want) != 0) fail_msg("%s: %s\n--- is ---\n%s\n--- wanted ---\n%s", what, query, is, want);
  free(is);
}

static void wipe(void) {
  kit_wipe();
  assert_int_equal(mysql_select_db(raw, kit_name()), 0);
}
static void load(const char *release) {
  wipe();
  char *text = kit_dump(release, "mysql");
  run_sql(text);
  free(text);
}

#define OF_TABLE "table_schema=DATABASE() ORDER BY 1, 2, 3, 4"
#define COLUMNS "SELECT table_name, ordinal_position, column_name, column_type, is_nullable, column_default, collation_name, generation_expression, extra " \
  "FROM information_schema.columns WHERE " OF_TABLE
#define INDEXES "SELECT table_name, index_name, seq_in_index, column_name, non_unique FROM information_schema.statistics WHERE " OF_TABLE
#define LIVE "SET SESSION group_concat_max_len=1000000; SELECT (SELECT GROUP_CONCAT(fi_id,':',state,':',IFNULL(more_from,'') ORDER BY 1) FROM task_flow_ins), " \
  "(SELECT GROUP_CONCAT(ti_id,':',state,':',epoch ORDER BY 1) FROM task_ins), (SELECT GROUP_CONCAT(ni_id,':',state,':',t_bad ORDER BY 1) FROM task_node_ins), " \
  "(SELECT GROUP_CONCAT(idem_key, HEX(hash) ORDER BY 1) FROM idempotency), (SELECT GROUP_CONCAT(kind, `next` ORDER BY 1) FROM id_block)"

static struct { char *columns, *indexes; } fresh;
static void same_as_fresh(const char *what) {
  same(what, COLUMNS, fresh.columns);
  same(what, INDEXES, fresh.indexes);
}

static void opens(void) { store_close(kit_open(kit_url(), 0)); }
static void refused(const char *url, enum wr_rc code, const char *words) {
  struct wr_err err;
  struct store *s = NULL;
  enum wr_rc rc = store_open(&(struct store_opts){.url = url}, &s, &err);
  if (rc != code || s || !strstr(err.msg, words)) fail_msg("%d %s", (int)rc, rc ? err.msg : "");
}

static void upgraded_is_fresh(void **st) {
  (void)st;
  for (const struct release *r = kit_release; r->name; r++) {
    load(r->name);
    char *live = ask(LIVE);
    opens();
    same_as_fresh(r->name);
    same(r->name, LIVE, live);
    same(r->name, "SELECT CHAR_LENGTH(store_id), COUNT(*) FROM installation", "8|1|\n");
    same(r->name, "SELECT SUM(t_canceled) FROM task_node_ins", "1|\n");
    same(r->name, "SELECT a.task_name, a.task_type, a.user_name, a.run_no, a.create_time=i.create_time FROM task_async a JOIN task_ins i USING (ti_id) "
         "ORDER BY ti_id", "said|ECHO||1|1|\nslow|SHELL||1|1|\nslow|SHELL||1|1|\n");
    same(r->name, "SELECT MAX(version), MAX(oldest) FROM schema_version", "10|9|\n");
    free(live);
  }
}

/* A column as it was between two releases: some databases of schema 3 were made with short texts. */
static void between_two_releases(void **st) {
  (void)st;
  load("3f30a82");
  run_sql("ALTER TABLE engine_node MODIFY types VARCHAR(1024) NOT NULL DEFAULT '', MODIFY users VARCHAR(1024) NOT NULL DEFAULT '', "
          "MODIFY trouble VARCHAR(16000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT ''");
  opens();
  same_as_fresh("short texts");
}

/* One database, whose migration is killed at each step; each start goes on where the former one was killed. */
static void killed_on_the_way(const char *what, size_t from) {
  for (size_t f = from; f < schema_mysql.n; f++)
    for (size_t i = 0; i <= schema_mysql.file[f].n; i++) assert_true(kit_killed(kit_url(), &schema_mysql, f, i));
  opens();
  same_as_fresh(what);
}

static void killed_after_each_step(void **st) {
  (void)st;
  load("8ec770b");
  char *live = ask(LIVE);
  killed_on_the_way("killed", 1);
  same("killed", LIVE, live);
  free(live);
  wipe();
  killed_on_the_way("killed in its first starts", 0);
}

enum beside { MIGRATES, STARTS };
static pid_t beside(enum beside what) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  struct wr_err err;
  struct store *s;
  if (pid == 0) _exit((what == MIGRATES ? kit_migrate(kit_url(), &err) : store_open(&(struct store_opts){.url = kit_url()}, &s, &err)) == WR_OK ? 0 : 1);
  return pid;
}
static void ends_well(pid_t pid) {
  int status = -1;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

static void several_at_once(void **st) {
  (void)st;
  pid_t pid[4];
  load("8ec770b");
  for (int i = 0; i < 4; i++) pid[i] = beside(MIGRATES);
  for (int i = 0; i < 4; i++) ends_well(pid[i]);
  same_as_fresh("four");
  same("four", "SELECT COUNT(*) FROM schema_version", "10|\n");
}

static void wait_for(const char *state) {
  int64_t until = clock_mono_us() + 60000000;
  while (kit_int("SELECT COUNT(*) FROM information_schema.processlist WHERE db='%s' AND state LIKE '%s'", kit_name(), state) < 1)
    if (clock_mono_us() > until) fail_msg("nobody is seen in state %s", state);
}

/* Two waits: for another process that changes the schema, and for a table that a backup reads. */
static void waits_for_others(void **st) {
  (void)st;
  load("8ec770b");
  run_sql("DO GET_LOCK(CONCAT('weir.schema.', DATABASE()), 0)");
  pid_t pid = beside(MIGRATES);
  wait_for("User lock");
  run_sql("DO RELEASE_LOCK(CONCAT('weir.schema.', DATABASE()))");
  ends_well(pid);
  load("8ec770b");
  run_sql("BEGIN; SELECT ti_id FROM task_ins LIMIT 1");
  pid = beside(MIGRATES);
  wait_for("Waiting for table metadata lock");
  run_sql("COMMIT");
  ends_well(pid);
  same_as_fresh("waited");
  load("8ec770b");
  run_sql("BEGIN; SELECT ti_id FROM task_ins LIMIT 1");
  pid = beside(STARTS);
  wait_for("Waiting for table metadata lock");
  kit_sql("KILL %lld", (long long)kit_int("SELECT id FROM information_schema.processlist WHERE db='%s' AND state LIKE 'Waiting for table%%'", kit_name()));
  run_sql("COMMIT");
  ends_well(pid); /* a start that loses its connection in the middle begins again */
  same_as_fresh("cut off");
}

static bool told_to_stop(void *ctx) {
  sigset_t come;
  (void)ctx;
  return sigpending(&come) == 0 && sigismember(&come, SIGTERM) == 1;
}

/* A process that waits for a table, or for its turn, looks whether it is to stop. */
static void a_stop_ends_the_wait(void **st) {
  (void)st;
  for (int turn = 0; turn < 2; turn++) {
    load("8ec770b");
    run_sql(turn ? "DO GET_LOCK(CONCAT('weir.schema.', DATABASE()), 0)" : "BEGIN; SELECT ti_id FROM task_ins LIMIT 1");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
      struct wr_err err = {0};
      struct store *s;
      sigset_t term;
      sigemptyset(&term);
      sigaddset(&term, SIGTERM);
      sigprocmask(SIG_BLOCK, &term, NULL);
      enum wr_rc rc = store_open(&(struct store_opts){.url = kit_url(), .stopping = told_to_stop}, &s, &err);
      _exit(rc == WR_DB_UNAVAILABLE && strstr(err.msg, "told to stop") ? 0 : 1);
    }
    wait_for(turn ? "User lock" : "Waiting for table metadata lock");
    kill(pid, SIGTERM);
    ends_well(pid);
    run_sql(turn ? "DO RELEASE_LOCK(CONCAT('weir.schema.', DATABASE()))" : "COMMIT");
    opens();
    same_as_fresh("stopped");
  }
}

static void old_nodes_are_not_shut_out(void **st) {
  (void)st;
  load("8ec770b");
  run_sql("UPDATE engine_node SET lease_until=UTC_TIMESTAMP(6) + INTERVAL 1 HOUR, host='elder', pid=42 WHERE state='LIVE'");
  refused(kit_url(), WR_STORE_REFUSED, "A node of an older weir (elder, pid 42) uses the database");
  same("left alone", "SELECT COUNT(*), MAX(version) FROM schema_version", "1|1|\n");
  run_sql("UPDATE engine_node SET state='GONE'");
  opens();
  load("3f30a82"); /* schema 5 shuts it out: it cannot run tasks without a definition */
  run_sql("UPDATE engine_node SET lease_until=UTC_TIMESTAMP(6) + INTERVAL 1 HOUR, host='elder', pid=43 WHERE state='LIVE'");
  refused(kit_url(), WR_STORE_REFUSED, "A node of an older weir (elder, pid 43) uses the database");
  same("left alone", "SELECT COUNT(*), MAX(version) FROM schema_version", "1|3|\n");
}

/* An invented next release, which takes something away. */
static const struct schema_step taking[] = {
  {"ALTER TABLE task_ins DROP COLUMN log_lost_why", "SELECT NOT EXISTS (SELECT 1 FROM information_schema.columns WHERE "
   "table_schema=DATABASE() AND table_name='task_ins' AND column_name='log_lost_why')"},
  {"DELETE FROM idempotency", NULL}};
static const struct schema_file next_files[] = {{"0011_taking.sql", 11, 11, taking, 2}};
static const struct schema_set next_set = {next_files, 1};

static const struct node_info elder = {.host = "elder", .pid = 42};
static struct store *elder_joined(int64_t *me) {
  set_now = &schema_mysql;
  wipe();
  struct store *s = kit_open(kit_url(), 0);
  assert_int_equal(store_join(s, &elder, me), STORE_OK);
  return s;
}
static void next_migrates(enum wr_rc want) {
  struct wr_err err;
  set_now = &next_set;
  enum wr_rc rc = kit_migrate(kit_url(), &err);
  set_now = &schema_mysql;
  if (rc != want) fail_msg("%d %s", (int)rc, rc ? err.msg : "");
}
static void cannot_join(struct store *s) {
  int64_t me;
  assert_int_equal(store_join(s, &elder, &me), STORE_DOWN);
  if (!strstr(store_why(s), "This weir (schema 10) may not use it any more: start a newer weir.")) fail_msg("%s", store_why(s));
  same("no row", "SELECT COUNT(*) FROM engine_node WHERE state='LIVE'", "0|\n");
}

/* A node that was frozen for longer than its lease, while a newer release took something away. */
static void frozen_nodes_write_no_more(void **st) {
  (void)st;
  int64_t me, defs;
  struct store *s = elder_joined(&me);
  run_sql("UPDATE engine_node SET lease_until=UTC_TIMESTAMP(6) - INTERVAL 1 SECOND");
  next_migrates(WR_OK);
  assert_int_equal(store_renew(s), STORE_FENCED);
  struct batch b = {.id = me << 32};
  assert_int_equal(store_begin(s, &defs), STORE_OK);
  enum store_rc wrote = store_write(s, &b);
  if (wrote == STORE_OK) wrote = store_commit(s);
  assert_int_equal(wrote, STORE_FENCED);
  cannot_join(s);
  store_close(s);
  load("8ec770b"); /* a program that does not know of schemas: its row is marked, and its next row lacks columns */
  run_sql("UPDATE engine_node SET lease_until=UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE state='LIVE'");
  opens();
  same("fenced", "SELECT COUNT(*) FROM engine_node WHERE state='LIVE'", "0|\n");
  run_sql("SET SESSION sql_mode='STRICT_ALL_TABLES'"); /* the mode of that program, as are the columns */
  assert_int_not_equal(mysql_query(raw, "INSERT INTO engine_node (incarnation, state, lease_until, host, home, pid, slots, roles, start_time) "
                                   "VALUES (1000, 'LIVE', UTC_TIMESTAMP(6), '', '', 1, 1, '', UTC_TIMESTAMP(6))"), 0);
  assert_int_equal(mysql_errno(raw), ER_NO_DEFAULT_FOR_FIELD);
  load("3f30a82"); /* the same for a program of schema 3, whose next row lacks schema_no */
  run_sql("UPDATE engine_node SET lease_until=UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE state='LIVE'");
  opens();
  same("fenced", "SELECT COUNT(*) FROM engine_node WHERE state='LIVE'", "0|\n");
  run_sql("SET SESSION sql_mode='STRICT_ALL_TABLES'");
  assert_int_not_equal(mysql_query(raw, "INSERT INTO engine_node (incarnation, state, lease_until, host, home, pid, slots, roles, start_time, "
                                   "types, users, trouble) VALUES (1000, 'LIVE', UTC_TIMESTAMP(6), '', '', 1, 1, '', UTC_TIMESTAMP(6), "
                                   "'', '', '')"), 0);
  assert_int_equal(mysql_errno(raw), ER_NO_DEFAULT_FOR_FIELD);
}

/* A half applied file is for the newer release alone; a refused start changes nothing. */
static void nobody_joins_a_half_done_schema(void **st) {
  (void)st;
  int64_t me;
  struct store *s = elder_joined(&me);
  next_migrates(WR_STORE_REFUSED);
  same("as before", "SELECT MAX(version), MAX(oldest) FROM schema_version", "10|9|\n");
  assert_int_equal(store_renew(s), STORE_OK);
  assert_int_equal(store_leave(s), STORE_OK);
  assert_int_equal(store_join(s, &elder, &me), STORE_OK);
  assert_int_equal(store_leave(s), STORE_OK);
  set_now = &next_set;
  assert_true(kit_killed(kit_url(), &next_set, 0, 0));
  set_now = &schema_mysql;
  cannot_join(s);
  store_close(s);
  s = kit_open(kit_url(), 0); /* the number is still that of the older release */
  cannot_join(s);
  store_close(s);
  next_migrates(WR_OK);
  refused(kit_url(), WR_STORE_REFUSED, "has schema 11, which this weir (schema 10) may not use: start a newer weir");
}

static void newer(void **st) {
  (void)st;
  wipe();
  opens();
  run_sql("INSERT INTO schema_version VALUES (11, UTC_TIMESTAMP(6), 10)"); /* it only adds: the program before it may go on */
  opens();
  run_sql("INSERT INTO schema_version VALUES (12, UTC_TIMESTAMP(6), 11)");
  refused(kit_url(), WR_STORE_REFUSED, "has schema 12, which this weir (schema 10) may not use: start a newer weir");
  run_sql("UPDATE schema_version SET oldest=NULL WHERE version=12");
  refused(kit_url(), WR_STORE_REFUSED, "has schema 12");
  run_sql("DELETE FROM schema_version WHERE version<>12; ALTER TABLE schema_version DROP COLUMN oldest");
  refused(kit_url(), WR_STORE_REFUSED, "has schema 12");
}

static void foreign_is_left_alone(void **st) {
  (void)st;
  static const char *const theirs[] = {
    "CREATE TABLE task (id INT)", "CREATE TABLE schema_version (version INT); INSERT INTO schema_version VALUES (1)",
    "CREATE TABLE schema_version (version INT); INSERT INTO schema_version VALUES (4711); CREATE TABLE definitions (x INT)",
    "CREATE TABLE schema_version (nr INT); CREATE TABLE task_ins (x INT)",
    "CREATE TABLE schema_version (version INT); INSERT INTO schema_version VALUES (4); CREATE TABLE song (x INT)",
    "CREATE TABLE schema_version (version INT); CREATE TABLE song (x INT)", "CREATE TABLE song (x INT)",
    "CREATE VIEW schema_version AS SELECT 4 AS version"};
  for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
    wipe();
    run_sql(theirs[i]);
    char *before = ask(COLUMNS);
    refused(kit_url(), WR_STORE_REFUSED, "another program");
    same("theirs", COLUMNS, before);
    free(before);
  }
}

/* Programs that read the rows may want views and tables of their own beside ours. */
static void guests_may_stay(void **st) {
  (void)st;
  load("8ec770b");
  run_sql("CREATE TABLE report (x INT); CREATE VIEW flows AS SELECT fi_id FROM task_flow_ins");
  opens();
  opens();
  run_sql("DROP TABLE report; DROP VIEW flows");
  same_as_fresh("guests");
}

/* A user who may only work with rows cannot change the schema. When somebody else has changed it, this user can start. */
static void user_without_rights(void **st) {
  (void)st;
  char url[400];
  load("8ec770b");
  kit_sql("CREATE USER 'rows'@'localhost' IDENTIFIED BY 'x'");
  kit_sql("GRANT SELECT, INSERT, UPDATE, DELETE ON `%s`.* TO 'rows'@'localhost'", kit_name());
  snprintf(url, sizeof url, "mysql://rows:x@localhost/%s?socket=%s", kit_name(), kit_socket());
  struct wr_err err;
  struct store *s = NULL;
  enum wr_rc before = store_open(&(struct store_opts){.url = url}, &s, &err);
  store_close(s);
  opens();
  s = NULL;
  enum wr_rc after = store_open(&(struct store_opts){.url = url}, &s, NULL);
  store_close(s);
  kit_sql("DROP USER 'rows'@'localhost'");
  assert_int_equal(before, WR_STORE_REFUSED);
  assert_non_null(strstr(err.msg, "may not change its schema: grant it CREATE, ALTER"));
  assert_int_equal(after, WR_OK);
  same_as_fresh("rights");
}

static void looking_changes_nothing(void **st) {
  (void)st;
  struct wr_err err;
  load("8ec770b");
  char *before = ask(COLUMNS);
  WR(store_migrate(&(struct store_opts){.url = kit_url()}, &(struct migrate_watch){.how = MIGRATE_LOOK}, &err));
  same("looked at", COLUMNS, before);
  free(before);
  wipe();
  WR(store_migrate(&(struct store_opts){.url = kit_url()}, &(struct migrate_watch){.how = MIGRATE_LOOK}, &err));
  same("looked at", COLUMNS, "");
}

int main(void) {
  if (!kit_begin("migrate")) return 0;
  log_setup(LOG_ERROR, LOG_LOGFMT);
  raw = mysql_init(NULL);
  if (!raw || !mysql_real_connect(raw, NULL, "root", NULL, kit_name(), 0, kit_socket(), CLIENT_MULTI_STATEMENTS)) return 1;
  opens();
  fresh.columns = ask(COLUMNS);
  fresh.indexes = ask(INDEXES);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(upgraded_is_fresh), cmocka_unit_test(between_two_releases), cmocka_unit_test(killed_after_each_step),
    cmocka_unit_test(several_at_once), cmocka_unit_test(waits_for_others), cmocka_unit_test(a_stop_ends_the_wait),
    cmocka_unit_test(old_nodes_are_not_shut_out),
    cmocka_unit_test(frozen_nodes_write_no_more), cmocka_unit_test(nobody_joins_a_half_done_schema), cmocka_unit_test(newer),
    cmocka_unit_test(foreign_is_left_alone), cmocka_unit_test(guests_may_stay), cmocka_unit_test(user_without_rights),
    cmocka_unit_test(looking_changes_nothing),
  };
  int bad = cmocka_run_group_tests_name("migrate_mysql", tests, NULL, NULL);
  free(fresh.columns);
  free(fresh.indexes);
  mysql_close(raw);
  kit_end();
  return bad;
}
