/* Databases of older releases on sqlite:, brought to the schema of this program. The result is the same as from an empty
 * database, whatever happens in the middle. A file that is not ours is left alone. */
#include "migrate_kit.h"
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fault_vfs.h"
#include "log.h"
#include "sqlite_priv.h"
#include "store_token.h"

static char folder[] = "/tmp/weir-migrate-XXXXXX";
static char path[128], log_path[136], url[160];

static void new_path(void) {
  static int n;
  snprintf(path, sizeof path, "%s/%d.db", folder, n++);
  snprintf(log_path, sizeof log_path, "%s-log", path);
  snprintf(url, sizeof url, "sqlite:%s", path);
}

static void run_sql(const char *file, const char *text) {
  sqlite3 *db;
  char *why = NULL;
  assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
  if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK) fail_msg("%.200s: %s", text, why);
  sqlite3_close(db);
}

static void load(const char *release) {
  new_path();
  char *db = kit_dump(release, "sqlite"), *log = kit_dump(release, "sqlite-log");
  run_sql(path, db);
  run_sql(log_path, log);
  free(db);
  free(log);
}

/* Every row of an answer, as text. */
static char *rows_of(const char *file, const char *query) {
  sqlite3 *db;
  sqlite3_stmt *q;
  struct buf b = BUF_INIT;
  assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
  if (sqlite3_prepare_v2(db, query, -1, &q, NULL) != SQLITE_OK) fail_msg("%s: %s", query, sqlite3_errmsg(db));
  while (sqlite3_step(q) == SQLITE_ROW) {
    for (int i = 0; i < sqlite3_column_count(q); i++) buf_printf(&b, "%s|", sqlite3_column_text(q, i) ? (const char *)sqlite3_column_text(q, i) : "-");
    buf_ch(&b, '\n');
  }
  sqlite3_finalize(q);
  sqlite3_close(db);
  buf_ch(&b, '\0');
  return b.data;
}

/* Sorts columns by name, because an added column stands last. */
#define COLUMNS "SELECT t.name, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk, c.hidden, t.strict, t.wr FROM pragma_table_list t, " \
  "pragma_table_xinfo(t.name) c WHERE t.schema='main' AND t.name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
#define INDEXES "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type='index' ORDER BY 1"
#define TEXTS "SELECT name, sql FROM sqlite_schema ORDER BY 1"
#define LIVE "SELECT (SELECT group_concat(fi_id||':'||state||':'||ifnull(more_from,'')) FROM task_flow_ins), (SELECT group_concat(ti_id||':'||state||':'||epoch) " \
  "FROM task_ins), (SELECT group_concat(ni_id||':'||state||':'||t_bad) FROM task_node_ins), (SELECT group_concat(idem_key||hex(hash)) FROM idempotency), " \
  "(SELECT group_concat(kind||next) FROM id_block WHERE kind<>'job')"

static void same(const char *what, const char *file, const char *query, const char *want) {
  char *is = rows_of(file, query);
  if (strcmp(is, want) != 0) fail_msg("%s: %s\n--- is ---\n%s\n--- wanted ---\n%s", what, query, is, want);
  free(is);
}

static struct { char *columns, *indexes, *log_columns, *texts; } fresh;
static void same_as_fresh(const char *what) {
  same(what, path, COLUMNS, fresh.columns);
  same(what, path, INDEXES, fresh.indexes);
  same(what, log_path, COLUMNS, fresh.log_columns);
  same(what, path, "PRAGMA application_id", "1466263922|\n");
  same(what, path, "PRAGMA integrity_check", "ok|\n");
}

static void open_and_close(void) {
  struct store *s = NULL;
  struct wr_err err;
  if (store_open(&(struct store_opts){.url = url}, &s, &err)) fail_msg("%s", err.msg);
  store_close(s);
}

static void refused(enum wr_rc code, const char *words) {
  struct store *s = NULL;
  struct wr_err err;
  enum wr_rc rc = store_open(&(struct store_opts){.url = url}, &s, &err);
  if (rc != code || s || !strstr(err.msg, words)) fail_msg("%d %s", (int)rc, rc ? err.msg : "");
}

static void says(enum migrate_how how, enum wr_rc code, const char *words, const char *more) {
  struct wr_err err = {0};
  enum wr_rc rc = store_migrate(&(struct store_opts){.url = url}, &(struct migrate_watch){.how = how}, &err);
  if (rc != code || !strstr(err.msg, words) || !strstr(err.msg, more)) fail_msg("%d %s", (int)rc, err.msg);
}

static void upgraded_is_fresh(void **st) {
  (void)st;
  for (const struct release *r = kit_release; r->name; r++) {
    load(r->name);
    char *live = rows_of(path, LIVE);
    open_and_close();
    same_as_fresh(r->name);
    same(r->name, path, LIVE, live);
    same(r->name, path, "SELECT length(store_id), count(*) FROM installation", "8|1|\n");
    same(r->name, path, "SELECT sum(t_canceled) FROM task_node_ins", "1|\n");
    same(r->name, path, "SELECT a.task_name, a.task_type, a.user_name, a.run_no, a.create_time=i.create_time FROM task_async a JOIN task_ins i USING (ti_id) "
         "ORDER BY ti_id", "said|ECHO||1|1|\nslow|SHELL||1|1|\nslow|SHELL||1|1|\n");
    same(r->name, path, "SELECT count(*) FROM task_ins WHERE ni_id IS NULL", "3|\n");
    free(live);
    if (r->schema == 1) same(r->name, path, TEXTS, fresh.texts);
  }
}

/* Some databases of that time had columns before their number said so. */
static void between_two_releases(void **st) {
  (void)st;
  load("8ec770b");
  run_sql(path, schema_sqlite.file[1].step[0].sql);
  run_sql(path, "INSERT INTO installation (one, store_id, token_hash) VALUES (1, 'abcdef01', 'kept'); ALTER TABLE task_attempt ADD COLUMN exit_code INTEGER;"
                "ALTER TABLE engine_node ADD COLUMN types TEXT NOT NULL DEFAULT ''");
  open_and_close();
  same_as_fresh("half of schema 2");
  same("kept", path, "SELECT store_id, token_hash FROM installation", "abcdef01|kept|\n");
}

static void schemas_are(const char *db, const char *log) {
  same("database", path, "SELECT max(version) FROM schema_version", db);
  same("log", log_path, "SELECT max(version) FROM schema_version", log);
}

static void killed_after_each_step(void **st) {
  (void)st;
  load("8ec770b");
  char *live = rows_of(path, LIVE);
  for (size_t f = 1; f < schema_sqlite.n; f++)
    for (size_t i = 0; i <= schema_sqlite.file[f].n; i++) {
      assert_true(kit_killed(url, &schema_sqlite, f, i));
      /* So the program of that time can use it. */
      same("as it was", path, "SELECT max(version), count(*) FROM schema_version", "1|1|\n");
      same("as it was", path, LIVE, live);
    }
  for (size_t f = 1; f < schema_sqlite_log.n; f++)
    for (size_t i = 0; i <= schema_sqlite_log.file[f].n; i++) {
      assert_true(kit_killed(url, &schema_sqlite_log, f, i));
      schemas_are("1|\n", "1|\n");
    }
  assert_true(kit_killed_when_done(url, log_path)); /* between the two commits */
  schemas_are("1|\n", "5|\n");
  same("as it was", path, LIVE, live);
  open_and_close();
  same_as_fresh("killed");
  same("killed", path, LIVE, live);
  free(live);
  new_path();
  for (size_t f = 0; f < schema_sqlite.n; f++)
    for (size_t i = 0; i <= schema_sqlite.file[f].n; i += 5) {
      new_path();
      run_sql(path, "");
      FILE *made = fopen(path, "ae"); /* an empty file: the path is there, but no schema */
      fclose(made);
      assert_true(kit_killed(url, &schema_sqlite, f, i));
      open_and_close();
      same_as_fresh("killed in its first start");
    }
}

/* After an error of one of the two files. An error of a sync leaves open whether its commit will be found. */
static bool both_as_they_were(enum fault_kind kind) {
  char *log = rows_of(log_path, "SELECT max(version) FROM schema_version");
  if (kind == FAULT_WRITE) same("database", path, "SELECT max(version) FROM schema_version", "1|\n");
  bool were = strcmp(log, "1|\n") == 0 || kind != FAULT_WRITE;
  free(log);
  return were;
}

static void disk_fails(void **st) {
  (void)st;
  int parted[8] = {0};
  static const struct { enum fault_kind kind; int code; } how[] = {
    {FAULT_WRITE, SQLITE_FULL}, {FAULT_WRITE, SQLITE_IOERR_WRITE}, {FAULT_WRITE, SQLITE_READONLY}, {FAULT_SYNC, SQLITE_IOERR_FSYNC}};
  for (size_t h = 0; h < sizeof how / sizeof *how; h++) {
    bool hit = true;
    for (int n = 1; hit; n += n < 8 ? 1 : 11) {
      struct wr_err err;
      load("8ec770b");
      char *live = rows_of(path, LIVE);
      fault_arm(how[h].kind, n, how[h].code);
      enum wr_rc rc = kit_migrate(url, &err);
      hit = fault_disarm();
      if (!hit) assert_int_equal(rc, WR_OK);
      if (rc && how[h].code == SQLITE_FULL) assert_int_equal(rc, WR_NO_SPACE);
      if (rc) parted[h] += both_as_they_were(how[h].kind) ? 0 : 1;
      open_and_close();
      same_as_fresh("after a disk that failed");
      same("after a disk that failed", path, LIVE, live);
      free(live);
      unlink(path);
      unlink(log_path);
    }
    assert_true(parted[h] <= 1); /* only the very last write, or sync, may part them */
  }
}

/* Somebody else's lock, or a file that is not ours, on either of the two: nothing is changed in the other. */
static void neither_without_the_other(void **st) {
  (void)st;
  for (int log = 0; log < 2; log++) {
    sqlite3 *db;
    load("8ec770b");
    assert_int_equal(sqlite3_open(log ? log_path : path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (enum migrate_how how = MIGRATE_APPLY; how <= MIGRATE_LOOK; how++) says(how, WR_DB_UNAVAILABLE, "Another program holds the lock of ", log ? log_path : path);
    sqlite3_close(db);
    schemas_are("1|\n", "1|\n");
    open_and_close();
    same_as_fresh("locked before");
  }
  load("8ec770b");
  assert_int_equal(unlink(log_path), 0);
  run_sql(log_path, "CREATE TABLE song (title TEXT)");
  refused(WR_STORE_REFUSED, "-log is a database of another program");
  same("database", path, "SELECT max(version) FROM schema_version", "1|\n");
  load("8ec770b");
  assert_int_equal(unlink(log_path), 0);
  assert_int_equal(mkdir(log_path, 0700), 0);
  for (enum migrate_how how = MIGRATE_APPLY; how <= MIGRATE_LOOK; how++) says(how, WR_STORE_REFUSED, log_path, " is a directory.");
  refused(WR_STORE_REFUSED, " is a directory.");
  same("database", path, "SELECT max(version) FROM schema_version", "1|\n");
}

/* The sentence names each cause, and the file. */
static void what_is_no_file(void **st) {
  (void)st;
  for (int log = 0; log < 2; log++) {
    const char *at = log ? log_path : path;
    load("8ec770b");
    for (int fifo = 0; fifo < 2; fifo++) {
      assert_int_equal(remove(at), 0);
      assert_int_equal(fifo ? mkfifo(at, 0600) : mkdir(at, 0700), 0);
      for (enum migrate_how how = MIGRATE_APPLY; how <= MIGRATE_LOOK; how++)
        says(how, WR_STORE_REFUSED, at, fifo ? " is not a file." : " is a directory.");
      refused(WR_STORE_REFUSED, fifo ? " is not a file." : " is a directory.");
    }
  }
}

static void what_the_mode_forbids(void **st) {
  uid_t me = geteuid();
  (void)st;
  for (int log = 0; log < 2; log++) {
    const char *at = log ? log_path : path;
    load("8ec770b");
    assert_int_equal(chmod(folder, 0777), 0);
    if (me == 0) assert_true(chown(path, 65534, 65534) == 0 && chown(log_path, 65534, 65534) == 0 && seteuid(65534) == 0);
    for (enum migrate_how how = MIGRATE_APPLY; how <= MIGRATE_LOOK; how++) {
      assert_int_equal(chmod(at, 0444), 0);
      says(how, WR_STORE_REFUSED, at, " cannot be written: Permission denied.");
      assert_int_equal(chmod(at, 0), 0);
      says(how, WR_DB_UNAVAILABLE, at, " cannot be opened: Permission denied.");
    }
    assert_int_equal(chmod(at, 0600), 0);
    if (me == 0) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(folder, 0), 0);
    if (me == 0) assert_int_equal(seteuid(65534), 0);
    says(MIGRATE_LOOK, WR_DB_UNAVAILABLE, path, " cannot be opened: Permission denied.");
    if (me == 0) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(folder, 0700), 0);
    schemas_are("1|\n", "1|\n");
  }
}

static void what_the_database_refuses(void **st) {
  (void)st;
  load("8ec770b");
  run_sql(path, "CREATE TRIGGER never BEFORE INSERT ON schema_version BEGIN SELECT RAISE(ABORT, 'not today'); END");
  says(MIGRATE_APPLY, WR_STORE_REFUSED, "0002_installation.sql, its row of schema_version: ", "the database says: not today");
  load("8ec770b");
  run_sql(path, "CREATE TABLE installation (store_id INTEGER CHECK (store_id = 1))");
  says(MIGRATE_APPLY, WR_STORE_REFUSED, "0002_installation.sql, statement ", "the database says: ");
}

static void note_files(void *ctx, const struct migrate_told *t) {
  if (t->event == MIGRATE_FILE) buf_printf(ctx, "%s ", t->file->name);
}

static void look_names(const char *files) {
  struct buf b = BUF_INIT;
  struct wr_err err;
  WR(store_migrate(&(struct store_opts){.url = url}, &(struct migrate_watch){.how = MIGRATE_LOOK, .tell = note_files, .ctx = &b}, &err));
  buf_ch(&b, '\0');
  assert_string_equal(b.data, files);
  buf_done(&b);
}

static void looking_changes_nothing(void **st) {
  (void)st;
  struct stat gone;
  load("3f30a82");
  assert_int_equal(unlink(log_path), 0);
  look_names("0004_beside.sql 0005_async.sql 0006_queues.sql 0007_counted.sql 0008_s3.sql 0009_s3_more.sql 0010_verdicts.sql 0001_log.sql 0004_log.sql 0005_log.sql ");
  assert_int_not_equal(stat(log_path, &gone), 0);
  assert_int_equal(truncate(path, 0), 0);
  look_names("0001_init.sql 0002_installation.sql 0003_counts.sql 0004_beside.sql 0005_async.sql 0006_queues.sql 0007_counted.sql 0008_s3.sql 0009_s3_more.sql 0010_verdicts.sql 0001_log.sql 0004_log.sql 0005_log.sql ");
  struct stat a, b;
  struct wr_err err;
  load("8ec770b");
  assert_int_equal(stat(path, &a), 0);
  WR(store_migrate(&(struct store_opts){.url = url}, &(struct migrate_watch){.how = MIGRATE_LOOK}, &err));
  assert_int_equal(stat(path, &b), 0);
  assert_true(a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec);
  same("looked at", path, "SELECT max(version) FROM schema_version", "1|\n");
  for (int i = 0; i < 3; i++) {
    static const char *const tail[] = {"-wal", "-shm", ".lock"};
    char name[160];
    snprintf(name, sizeof name, "%s%s", path, tail[i]);
    assert_int_not_equal(stat(name, &b), 0);
  }
  new_path();
  assert_int_equal(kit_migrate(url, &err), WR_NOT_FOUND);
  assert_int_not_equal(stat(path, &b), 0);
}

static void newer(void **st) {
  (void)st;
  new_path();
  open_and_close();
  run_sql(path, "INSERT INTO schema_version VALUES (11, 0, 10)"); /* it only adds: the program before it may go on */
  open_and_close();
  run_sql(path, "INSERT INTO schema_version VALUES (12, 0, 11)");
  refused(WR_STORE_REFUSED, "has schema 12, which this weir (schema 10) may not use: start a newer weir");
  run_sql(path, "UPDATE schema_version SET oldest=NULL WHERE version=12");
  refused(WR_STORE_REFUSED, "has schema 12");
  run_sql(path, "DELETE FROM schema_version WHERE version>10");
  open_and_close();
  run_sql(log_path, "INSERT INTO schema_version VALUES (10, 0, 10)");
  refused(WR_STORE_REFUSED, "-log has schema 10");
}

static void foreign_is_left_alone(void **st) {
  (void)st;
  static const char *const theirs[] = {
    "CREATE TABLE song (title TEXT)", "CREATE TABLE schema_version (version INTEGER); INSERT INTO schema_version VALUES (1)",
    "CREATE TABLE schema_version (version INTEGER); INSERT INTO schema_version VALUES (4711); CREATE TABLE definitions (x TEXT)",
    "CREATE TABLE schema_version (nr INTEGER); CREATE TABLE task_ins (x TEXT)",
    "CREATE TABLE schema_version (version INTEGER); INSERT INTO schema_version VALUES (4); CREATE TABLE song (title TEXT)",
    "CREATE VIEW schema_version AS WITH RECURSIVE r(version) AS (SELECT 1 UNION ALL SELECT version+1 FROM r) SELECT version FROM r"};
  for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
    struct wr_err err;
    new_path();
    run_sql(path, theirs[i]);
    refused(WR_STORE_REFUSED, "another program");
    assert_int_equal(kit_migrate(url, &err), WR_STORE_REFUSED);
    same("theirs", path, "PRAGMA journal_mode", "delete|\n");
    assert_int_not_equal(access(log_path, F_OK), 0);
  }
  /* An operator may name the log of a database in place of the database. */
  struct wr_err err;
  char log[160];
  load("3f30a82");
  run_sql(log_path, "INSERT INTO schema_version VALUES (4, 0)");
  snprintf(log, sizeof log, "sqlite:%s", log_path);
  assert_int_equal(kit_migrate(log, &err), WR_STORE_REFUSED);
}

static void several_at_once(void **st) {
  (void)st;
  pid_t pid[4];
  int ok = 0;
  load("8ec770b");
  for (int i = 0; i < 4; i++) {
    pid[i] = fork();
    assert_true(pid[i] >= 0);
    struct wr_err err;
    if (pid[i] == 0) _exit(kit_migrate(url, &err) == WR_OK ? 0 : strstr(err.msg, "in use") ? 1 : 2);
  }
  for (int i = 0; i < 4; i++) {
    int status = -1;
    assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    ok += WEXITSTATUS(status) == 0;
  }
  assert_true(ok >= 1);
  same("four", path, "SELECT count(*) FROM schema_version", "10|\n");
  same_as_fresh("four");
}

static void token_of_an_old_database(void **st) {
  (void)st;
  struct store_token t = {.host = "h:/d"}, was;
  struct wr_err err;
  memset(t.hash, 'a', STORE_TOKEN_CHARS);
  load("8ec770b");
  WR(store_token_at(url, NULL, &was, &err)); /* a look leaves the database as it is */
  assert_string_equal(was.hash, "");
  same("looked at", path, "SELECT max(version) FROM schema_version", "1|\n");
  WR(store_token_at(url, &t, &was, &err));
  WR(store_token_at(url, NULL, &was, &err));
  assert_string_equal(was.hash, t.hash);
  same_as_fresh("token");
}

static void tidy(void) {
  pid_t pid = fork();
  if (pid == 0) {
    execlp("rm", "rm", "-rf", folder, (char *)NULL);
    _exit(1);
  }
  if (pid > 0) waitpid(pid, NULL, 0);
}

int main(void) {
  if (!mkdtemp(folder)) return 1;
  fault_install();
  log_setup(LOG_ERROR, LOG_LOGFMT);
  new_path();
  open_and_close();
  fresh.columns = rows_of(path, COLUMNS);
  fresh.indexes = rows_of(path, INDEXES);
  fresh.texts = rows_of(path, TEXTS);
  fresh.log_columns = rows_of(log_path, COLUMNS);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(upgraded_is_fresh), cmocka_unit_test(between_two_releases), cmocka_unit_test(killed_after_each_step), cmocka_unit_test(disk_fails), cmocka_unit_test(neither_without_the_other),
    cmocka_unit_test(what_is_no_file), cmocka_unit_test(what_the_mode_forbids), cmocka_unit_test(what_the_database_refuses),
    cmocka_unit_test(looking_changes_nothing), cmocka_unit_test(newer), cmocka_unit_test(foreign_is_left_alone), cmocka_unit_test(several_at_once),
    cmocka_unit_test(token_of_an_old_database),
  };
  int bad = cmocka_run_group_tests_name("migrate_sqlite", tests, NULL, NULL);
  free(fresh.columns);
  free(fresh.indexes);
  free(fresh.texts);
  free(fresh.log_columns);
  tidy();
  return bad;
}
