/* The files of a SQLite store: removed, replaced, linked, damaged, held by another program; and what each code of SQLite means. */
#include "facts.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "sqlite_priv.h"

static char folder[] = "/tmp/weir-files-XXXXXX";
static char path[128], url[160], home[160];
static struct world w;
static char gone_why[256];
static atomic_bool noted;     /* gone_why was written, by the thread that found it */

static void note_gone(void *ctx, const char *why) {
  (void)ctx;
  snprintf(gone_why, sizeof gone_why, "%s", why);
  atomic_store(&noted, true);
}

static enum wr_rc try_open(const char *u, const char *in, struct store **s, struct wr_err *err) {
  const struct store_opts o = {.url = u, .request_us = 1000000, .lease_us = 6000000, .home = in, .gone = note_gone};
  wr_err_clear(err);
  return store_open(&o, s, err);
}

static void refused(const char *words) {
  struct store *s = NULL;
  struct wr_err err;
  enum wr_rc rc = try_open(url, NULL, &s, &err);
  if (rc != WR_STORE_REFUSED || s || !strstr(err.msg, words) || !strstr(err.msg, path)) fail_msg("%d %s", (int)rc, err.msg);
}

static int setup(void **st) {
  static int n;
  struct wr_err err;
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  (void)st;
  gone_why[0] = '\0';
  atomic_store(&noted, false);
  snprintf(path, sizeof path, "%s/%d.db", folder, n++);
  snprintf(url, sizeof url, "sqlite:%s", path);
  w = (struct world){.now = 1700000000000000LL};
  if (try_open(url, NULL, &w.s, &err)) fail_msg("%s", err.msg);
  OK(store_join(w.s, &info, &w.me));
  return 0;
}

static int teardown(void **st) {
  (void)st;
  if (w.s) store_close(w.s);
  w.s = NULL;
  return 0;
}

static const char *beside(const char *tail) {
  static char name[160];
  snprintf(name, sizeof name, "%s%s", path, tail);
  return name;
}

static enum wr_rc save(struct wr_err *err) {
  struct task_def t = {.name = (char *)(uintptr_t)"t", .type = (char *)(uintptr_t)"ECHO"};
  return store_save_task(w.s, &t, -1, NULL, err);
}

/* ---- gone ---- */
static bool noticed(void) {
  for (int64_t until = clock_mono_us() + 60000000; !atomic_load(&noted) && clock_mono_us() < until;) usleep(20000);
  return atomic_load(&noted);
}

static void nothing_is_acknowledged_without(const char *tail, bool replace) {
  struct wr_err err;
  char moved[160];
  OK(batch_do(&w, &(struct batch){0}));
  snprintf(moved, sizeof moved, "%s.moved", path);
  assert_int_equal(rename(beside(tail), moved), 0);
  if (replace) assert_int_equal(close(open(beside(tail), O_RDWR | O_CREAT, 0600)), 0);
  IS(batch_do(&w, &(struct batch){0}), STORE_DOWN);
  assert_non_null(strstr(store_why(w.s), "removed, replaced or cut"));
  assert_true(noticed());
  assert_non_null(strstr(gone_why, beside(tail)));
  IS(store_renew(w.s), STORE_DOWN);
  assert_int_not_equal(save(&err), WR_OK);
  assert_int_equal(rename(moved, beside(tail)), 0);
  IS(batch_do(&w, &(struct batch){0}), STORE_DOWN); /* for good: nobody knows what happened in between */
}
static void database_removed(void **st) { (void)st, nothing_is_acknowledged_without("", false); }
static void database_replaced(void **st) { (void)st, nothing_is_acknowledged_without("", true); }
static void wal_removed(void **st) { (void)st, nothing_is_acknowledged_without("-wal", false); }
static void log_removed(void **st) { (void)st, nothing_is_acknowledged_without("-log", false); }
static void index_removed(void **st) { (void)st, nothing_is_acknowledged_without("-shm", false); }
static void lock_removed(void **st) { (void)st, nothing_is_acknowledged_without(".lock", false); }
static void lock_replaced(void **st) { (void)st, nothing_is_acknowledged_without(".lock", true); }

/* SQLite makes the log's WAL, and removes it when the last writer of logs goes. The store goes on then. */
static void log_wal_removed(void **st) {
  (void)st;
  struct logs *l;
  struct wr_err err;
  const struct log_chunk c = {.ti = 1, .epoch = 1, .data = "x", .n = 1};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(logs_open(w.s, &l, &err), WR_OK);
    OK(logs_write(l, &c, 1));
    OK(batch_do(&w, &(struct batch){0}));
    if (i < 2) logs_close(l);
    OK(batch_do(&w, &(struct batch){0}));
  }
  nothing_is_acknowledged_without("-log-wal", false);
  logs_close(l);
}

/* Between the write and its commit: the outcome is unknown, and stays so. */
static void removed_under_a_batch(void **st) {
  (void)st;
  struct batch b = {.id = world_batch_id(&w)};
  int64_t defs;
  bool done;
  OK(store_begin(w.s, &defs));
  OK(store_write(w.s, &b));
  assert_int_equal(unlink(path), 0);
  IS(store_commit(w.s), STORE_UNKNOWN);
  IS(store_resolve(w.s, b.id, &done), STORE_RETRY);
}

/* ---- cut ---- */
/* Waits until the files were looked at twice. The checkpoint thread clears the wish before it looks, so the third cleared wish
 * tells that two looks are over. */
static void looked_at(void) {
  struct sq *s = (struct sq *)w.s;
  for (int i = 0; i < 3; i++) {
    sq_ckpt_look(s);
    for (bool wished = true; wished; usleep(1000)) {
      pthread_mutex_lock(&s->ckpt.mu);
      wished = s->ckpt.look;
      pthread_mutex_unlock(&s->ckpt.mu);
    }
  }
}

/* The folder of the files is shut to this user: the open files are still the ones that others find there. */
static void what_cannot_be_looked_at_is_not_gone(void **st) {
  uid_t me = geteuid();
  (void)st;
  assert_int_equal(chmod(folder, 0), 0);
  if (me == 0) assert_int_equal(seteuid(65534), 0); /* root may look at every file */
  looked_at();
  if (me == 0) assert_int_equal(seteuid(0), 0);
  assert_int_equal(chmod(folder, 0700), 0);
  assert_string_equal(gone_why, "");
  OK(batch_do(&w, &(struct batch){0}));
}

static void an_idle_store_notices(void **st) {
  (void)st;
  assert_int_equal(unlink(path), 0);
  assert_true(noticed());
}

static void cut_is_noticed(const char *tail, off_t to, bool write_on) {
  struct wr_err err;
  char words[200];
  assert_int_equal(save(&err), WR_OK);
  looked_at();
  assert_int_equal(save(&err), WR_OK);
  assert_int_equal(truncate(beside(tail), to), 0);
  if (write_on) (void)save(&err); /* behind the hole */
  assert_true(noticed());
  snprintf(words, sizeof words, "%s was cut", beside(tail));
  if (!strstr(gone_why, words)) fail_msg("\"%s\" does not say \"%s\"", gone_why, words);
  IS(batch_do(&w, &(struct batch){0}), STORE_DOWN);
}
static void wal_cut(void **st) { (void)st, cut_is_noticed("-wal", 0, false); }
static void wal_cut_and_written_on(void **st) { (void)st, cut_is_noticed("-wal", 0, true); }
static void wal_cut_in_its_middle(void **st) { (void)st, cut_is_noticed("-wal", 32 + 4120, true); }
static void database_cut(void **st) { (void)st, cut_is_noticed("", 8192, false); }
static void database_emptied(void **st) { (void)st, cut_is_noticed("", 0, false); }

/* Another program empties the WAL, makes the database shorter, begins the WAL anew: nothing of this is a cut. */
static void what_sqlite_does_is_no_cut(void **st) {
  static const char *const does[] = {"PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint(RESTART)",
    "CREATE TABLE other(x); INSERT INTO other VALUES(zeroblob(3000000)); DROP TABLE other", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"};
  struct wr_err err;
  sqlite3 *db;
  (void)st;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  for (size_t i = 0; i < sizeof does / sizeof *does; i++) {
    for (int k = 0; k < 20; k++) assert_int_equal(save(&err), WR_OK);
    looked_at();
    if (sqlite3_exec(db, does[i], NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", does[i], sqlite3_errmsg(db));
    looked_at();
  }
  sqlite3_close(db);
  for (int k = 0; k < 2000; k++) OK(batch_do(&w, &(struct batch){0})); /* so that pages are moved, and the WAL begins anew */
  looked_at();
  assert_string_equal(gone_why, "");
}

/* The disk is full in the middle of a checkpoint: the database is shorter than its first page says. The missing pages stand in
 * the WAL, for this server and for the next one. */
static void a_full_disk_is_no_cut(void **st) {
  struct rlimit was, most;
  struct wr_err err;
  struct stat db;
  sqlite3 *other;
  assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
  assert_int_equal(save(&err), WR_OK);
  assert_int_equal(sqlite3_exec(other, "CREATE TABLE other(x); INSERT INTO other VALUES(zeroblob(400000))", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(stat(path, &db), 0);
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &was);
  most = (struct rlimit){(rlim_t)db.st_size + 4096, was.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &most), 0);
  assert_int_not_equal(sqlite3_exec(other, "PRAGMA wal_checkpoint(PASSIVE)", NULL, NULL, NULL), SQLITE_OK);
  setrlimit(RLIMIT_FSIZE, &was);
  looked_at();
  assert_string_equal(gone_why, "");
  assert_int_equal(sqlite3_exec(other, "PRAGMA wal_checkpoint(PASSIVE)", NULL, NULL, NULL), SQLITE_OK);
  looked_at();
  assert_string_equal(gone_why, "");
  sqlite3_close(other);
  database_cut(st);
}

/* ---- names and locks ---- */
static void a_hard_link_is_refused(void **st) {
  (void)st;
  struct store *s = NULL;
  struct wr_err err;
  teardown(st);
  assert_int_equal(link(path, beside("2")), 0);
  refused("hard link");
  assert_int_equal(unlink(beside("2")), 0);
  if (try_open(url, NULL, &s, &err)) fail_msg("%s", err.msg);
  store_close(s);
}

/* Two names of a file that is not there yet: the second server finds the lock of the first, by either name. */
static void a_link_to_nowhere_is_followed(void **st) {
  (void)st;
  char link_url[2][180], second[160], target[160];
  struct store *s = NULL, *other = NULL;
  struct wr_err err;
  teardown(st);
  snprintf(target, sizeof target, "%s", beside("-real"));
  snprintf(second, sizeof second, "%s", beside("-second"));
  assert_int_equal(symlink(strrchr(target, '/') + 1, beside("-link")), 0); /* relative */
  assert_int_equal(symlink(beside("-link"), second), 0);                   /* absolute, to a link */
  snprintf(link_url[0], sizeof link_url[0], "sqlite:%s", second);
  snprintf(link_url[1], sizeof link_url[1], "sqlite:%s", beside("-link"));
  if (try_open(link_url[0], NULL, &s, &err)) fail_msg("%s", err.msg);
  assert_int_equal(access(beside("-real.lock"), F_OK), 0);
  assert_int_equal(try_open(link_url[1], NULL, &other, &err), WR_STORE_REFUSED);
  assert_non_null(strstr(err.msg, "in use"));
  store_close(s);
  assert_int_equal(unlink(target), 0);
  assert_int_equal(symlink(target, target), 0); /* a loop has no end */
  assert_int_not_equal(try_open(link_url[1], NULL, &other, &err), WR_OK);
}

/* A second name is logged, and no more: a user who may make a link must not be able to end a server by it. */
static void a_hard_link_made_later_is_said(void **st) {
  (void)st;
  struct sq *s = (struct sq *)w.s;
  assert_int_equal(link(path, beside("2")), 0);
  looked_at();
  assert_true(s->whole.linked);
  OK(batch_do(&w, &(struct batch){0}));
  assert_int_equal(unlink(beside("2")), 0);
  looked_at();
  assert_false(s->whole.linked);
}

/* The tasks of the former database have the same numbers as those of the new one, which would show their output. */
static void the_log_of_another_database_is_refused(void **st) {
  (void)st;
  struct store *s = NULL;
  struct wr_err err;
  teardown(st);
  assert_int_equal(unlink(path), 0);
  refused("another database");
  assert_int_equal(unlink(beside("-log")), 0);
  for (int i = 0; i < 2; i++) {
    if (try_open(url, NULL, &s, &err)) fail_msg("%s", err.msg);
    store_close(s);
  }
}

/* A server was killed; its spawner still holds the lock of its data directory, because a child is not reaped. */
static void the_next_server_waits_for_children_of_the_former(void **st) {
  struct wr_err err;
  int up[2];
  char c;
  char lock[200];
  teardown(st);
  snprintf(home, sizeof home, "%s/home", folder);
  snprintf(lock, sizeof lock, "%s/lock", home);
  assert_true(mkdir(home, 0700) == 0 || true);
  assert_int_equal(pipe(up), 0);
  pid_t pid = fork();
  if (pid == 0) { /* the server and, as its child, the spawner */
    int fd = open(lock, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) _exit(1);
    if (fork() == 0) {
      close(up[1]);
      usleep(1500000);
      _exit(0);
    }
    if (try_open(url, home, &w.s, &err) || write(up[1], "x", 1) != 1) _exit(1);
    _exit(0); /* as if killed: nothing is closed in order */
  }
  close(up[1]);
  assert_int_equal(read(up[0], &c, 1), 1);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  int fd = open(lock, O_RDWR);
  bool held = flock(fd, LOCK_EX | LOCK_NB) != 0;
  if (try_open(url, "/nowhere", &w.s, &err)) fail_msg("%s", err.msg);
  assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0); /* the store opened only when the child had gone */
  close(fd);
  close(up[0]);
  assert_true(held);
}

/* ---- damaged ---- */
static void overwrite(off_t at, size_t n, char with) {
  char bytes[8192];
  int fd = open(path, O_RDWR);
  memset(bytes, with, sizeof bytes);
  assert_true(fd >= 0 && n <= sizeof bytes && pwrite(fd, bytes, n, at) == (ssize_t)n);
  close(fd);
}

static void a_damaged_file_is_named_as_damaged(void **st) {
  struct stat sb;
  teardown(st);
  assert_int_equal(stat(path, &sb), 0);
  overwrite(100, 3000, 'x');
  refused("damaged");
  assert_int_equal(truncate(path, sb.st_size / 2), 0);
  refused("damaged");
  overwrite(0, 100, 0);
  refused("not a database");
}

/* No repeat mends a damaged log, and programs wait while their log waits. */
static void a_damaged_log_is_not_tried_for_ever(void **st) {
  struct wr_err err;
  struct logs *l;
  struct stat sb;
  char main_path[sizeof path];
  const struct log_chunk c = {.ti = 1, .epoch = 1, .seq = 1, .time_us = 1, .data = "x", .n = 1};
  (void)st;
  if (logs_open(w.s, &l, &err)) fail_msg("%s", err.msg);
  OK(logs_write(l, &c, 1));
  logs_close(l);
  teardown(st);
  if (try_open(url, NULL, &w.s, &err)) fail_msg("%s", err.msg);
  memcpy(main_path, path, sizeof path);
  memcpy(path + strlen(path), "-log", sizeof "-log"); /* there is room */
  assert_int_equal(stat(path, &sb), 0);
  for (off_t at = 4096; at + 4096 <= sb.st_size; at += 4096) overwrite(at, 4096, 'x');
  memcpy(path, main_path, sizeof path);
  if (logs_open(w.s, &l, &err)) fail_msg("%s", err.msg);
  assert_int_equal(logs_write(l, &c, 1), STORE_BAD);
  logs_close(l);
}

static void a_file_of_zeros_is_named(void **st) {
  struct store *s = NULL;
  struct wr_err err;
  teardown(st);
  for (off_t at = 0; at < 65536; at += 8192) overwrite(at, 8192, 0);
  assert_int_equal(try_open(url, NULL, &s, &err), WR_STORE_REFUSED);
  assert_non_null(strstr(err.msg, path));
}

/* ---- somebody's shell holds the write lock: every wait has a bound (here ten times what it should be) ---- */
static void a_foreign_lock_costs_bounded_waits(void **st) {
  (void)st;
  sqlite3 *db;
  struct wr_err err;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  int64_t t0 = clock_mono_us();
  IS(batch_do(&w, &(struct batch){0}), STORE_RETRY);
  assert_non_null(strstr(store_why(w.s), "lock"));
  assert_non_null(strstr(store_why(w.s), path));
  assert_int_equal(save(&err), WR_BUSY);
  assert_true(clock_mono_us() - t0 < 40000000);
  reader_put(reader_of(&w));
  sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  sqlite3_close(db);
  OK(batch_do(&w, &(struct batch){0}));
  assert_int_equal(save(&err), WR_OK);
}

/* ---- codes ---- */
static void each_code_is_as_listed(void **st) {
  (void)st;
  struct sq_conn c = {.db = NULL};
  char why[200];
  c.told = why;
  for (int code = 1; code < 30; code++) {
    enum store_rc rc = sq_rc(&c, code);
    if (code == SQLITE_ROW || code == SQLITE_DONE) continue;
    switch (code) {
    case SQLITE_CONSTRAINT: case SQLITE_TOOBIG: case SQLITE_MISMATCH: IS(rc, STORE_BAD); break;
    case SQLITE_BUSY: case SQLITE_LOCKED: case SQLITE_NOMEM: case SQLITE_INTERRUPT: case SQLITE_PROTOCOL: IS(rc, STORE_RETRY); break;
    case SQLITE_FULL: IS(rc, STORE_NO_SPACE); break;
    default: IS(rc, STORE_DOWN); break;
    }
    bool damage = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_FORMAT;
    assert_int_equal(damage, strstr(why, "damaged") != NULL);
  }
  IS(sq_rc(&c, SQLITE_CONSTRAINT_PRIMARYKEY), STORE_BAD);
  IS(sq_rc(&c, SQLITE_IOERR_FSYNC), STORE_DOWN);
  IS(sq_rc(&c, SQLITE_IOERR_SHMSIZE), STORE_NO_SPACE); /* the index of the WAL cannot grow */
  IS(sq_rc(&c, SQLITE_BUSY_SNAPSHOT), STORE_RETRY);
}

/* 2^32 + 1 is no epoch 1: such a row must not look whole. */
static void a_number_out_of_range_is_not_cut(void **st) {
  static const int64_t bad[] = {-1, INT64_MIN, 1LL << 32, (1LL << 32) + 1, INT64_MAX};
  struct cell c[CELLS_MAX];
  (void)st;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct task_row t;
    struct node_row n;
    struct flow_row f;
    for (size_t k = 0; k < CELLS_MAX; k++) c[k] = (struct cell){.kind = CELL_INT, .i = bad[i]};
    ins_row_task(c, &t, NULL);
    ins_row_node(c, &n, NULL);
    ins_row_flow(c, &f, NULL);
    assert_true(t.t.epoch == UINT32_MAX && t.t.tries == UINT32_MAX && t.t.state == UINT8_MAX && t.t.end_as == UINT8_MAX && t.t.losses == UINT8_MAX);
    assert_true(n.run_no == UINT32_MAX && n.state == UINT8_MAX && n.t_open == UINT32_MAX && f.run_no == UINT32_MAX && f.live == UINT32_MAX);
    assert_true(f.state == UINT8_MAX && f.wish == UINT8_MAX && f.failed == UINT32_MAX && n.t_canceled == UINT32_MAX);
  }
}

/* Texts of damaged rows: a range inside another one, and the same range twice. */
static void ranges_do_not_overlap(void **st) {
  struct sweep s = {0};
  (void)st;
  sweep_runs(&s, "1:100+0:5:110,1:100+0:500:20", 20);
  sweep_add(&s, 1000, 1000);
  sweep_sort(&s);
  assert_int_equal(s.n, 2);
  assert_true(s.v[0].lo == 20 && s.v[0].hi == 519 && s.v[1].lo == 1000);
  assert_int_equal(sweep_find(&s, 115), 0);
  assert_int_equal(sweep_find(&s, 519), 1);
  sweep_done(&s);
}

static void no_number_is_left(void **st) {
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  struct wr_err err;
  sqlite3 *db;
  teardown(st);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, "UPDATE id_block SET next=9007199254740991 WHERE kind='incarnation'", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  if (try_open(url, NULL, &w.s, &err)) fail_msg("%s", err.msg);
  IS(store_join(w.s, &info, &w.me), STORE_BAD);
  assert_non_null(strstr(store_why(w.s), "No number is left for a new incarnation"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_code_is_as_listed), T(database_removed), T(database_replaced), T(wal_removed), T(log_removed), T(index_removed),
    T(lock_removed), T(lock_replaced), T(log_wal_removed),
    T(removed_under_a_batch), T(an_idle_store_notices), T(what_cannot_be_looked_at_is_not_gone), T(wal_cut), T(wal_cut_and_written_on),
    T(wal_cut_in_its_middle), T(database_cut), T(database_emptied), T(what_sqlite_does_is_no_cut), T(a_full_disk_is_no_cut), T(a_hard_link_made_later_is_said), T(a_hard_link_is_refused), T(a_link_to_nowhere_is_followed),
    T(the_log_of_another_database_is_refused), T(the_next_server_waits_for_children_of_the_former),
    T(a_damaged_file_is_named_as_damaged), T(a_damaged_log_is_not_tried_for_ever), T(a_file_of_zeros_is_named), T(a_foreign_lock_costs_bounded_waits), T(no_number_is_left),
    cmocka_unit_test(a_number_out_of_range_is_not_cut), cmocka_unit_test(ranges_do_not_overlap),
  };
  if (!mkdtemp(folder)) return 1;
  int bad = cmocka_run_group_tests_name("sqlite_files", tests, NULL, NULL);
  pid_t pid = fork();
  if (pid == 0) {
    execlp("rm", "rm", "-rf", folder, (char *)NULL);
    _exit(1);
  }
  if (pid > 0) waitpid(pid, NULL, 0);
  return bad;
}
