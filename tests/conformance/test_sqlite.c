/* The store facts on sqlite:, and the promises that only SQLite makes: one process, its files, plans without sorting, and what is
 * left after kill -9 at any moment or a disk that fails at any call. */
#include "facts.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fault_vfs.h"
#include "sqlite_own.h"
#include "sqlite_priv.h"

/* ---- where the databases are: one folder, a new file each time ---- */
static char folder[] = "/tmp/weir-sqlite-XXXXXX";
static char path[128], url[160];

static void new_path(void) {
  static int n;
  snprintf(path, sizeof path, "%s/%d.db", folder, n++);
  snprintf(url, sizeof url, "sqlite:%s", path);
}

static enum wr_rc try_open(const char *u, struct store **s, struct wr_err *err) {
  const struct store_opts o = {.url = u};
  return store_open(&o, s, err);
}

static struct store *again(void) {
  struct store *s = NULL;
  struct wr_err err;
  if (try_open(url, &s, &err)) fail_msg("%s", err.msg);
  return s;
}

static struct store *fresh(void) {
  new_path();
  return again();
}

static void refused(const char *u, enum wr_rc code, const char *words) {
  struct store *s = NULL;
  struct wr_err err;
  enum wr_rc rc = try_open(u, &s, &err);
  if (rc != code || s || !strstr(err.msg, words)) fail_msg("%s: %d %s", u ? u : "NULL", (int)rc, err.msg);
}

static void sql(const char *text) {
  sqlite3 *db;
  char *why = NULL;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK) fail_msg("%s: %s", text, why);
  sqlite3_close(db);
}

static char *ask(bool log, const char *text) {
  sqlite3 *db;
  sqlite3_stmt *q;
  struct buf b = BUF_INIT;
  char name[160];
  snprintf(name, sizeof name, "%s%s", path, log ? "-log" : "");
  assert_int_equal(sqlite3_open(name, &db), SQLITE_OK);
  if (sqlite3_prepare_v2(db, text, -1, &q, NULL) != SQLITE_OK) fail_msg("%s: %s", text, sqlite3_errmsg(db));
  while (sqlite3_step(q) == SQLITE_ROW) {
    for (int i = 0; i < sqlite3_column_count(q); i++) buf_printf(&b, "%s|", sqlite3_column_text(q, i) ? (const char *)sqlite3_column_text(q, i) : "-");
    buf_ch(&b, '\n');
  }
  assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
  sqlite3_close(db);
  buf_ch(&b, '\0');
  return b.data;
}

/* ---- one process ---- */
static void test_second_open_is_refused(void **st) {
  (void)st;
  char pid[32];
  struct store *s = fresh();
  snprintf(pid, sizeof pid, "pid %ld", (long)getpid());
  refused(url, WR_STORE_REFUSED, pid);
  store_close(s);
  s = again();
  store_close(s);
}

static void test_lock_ends_with_the_process(void **st) {
  (void)st;
  int ready[2], status;
  char c;
  new_path();
  assert_int_equal(pipe(ready), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    struct store *s = again();
    if (s && write(ready[1], "x", 1) == 1) pause();
    _exit(1);
  }
  close(ready[1]);
  assert_int_equal(read(ready[0], &c, 1), 1);
  refused(url, WR_STORE_REFUSED, "in use by another process");
  kill(pid, SIGKILL);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  close(ready[0]);
  struct store *s = again();
  store_close(s);
}

static void test_every_way_leads_to_one_lock(void **st) {
  (void)st;
  char u[200], here[300];
  struct wr_err err;
  struct store *s = NULL;
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(folder), 0);
  if (try_open("sqlite:relative.db", &s, &err)) fail_msg("%s", err.msg);
  refused("sqlite:./relative.db", WR_STORE_REFUSED, "in use");
  assert_int_equal(symlink("relative.db", "link.db"), 0);
  refused("sqlite:link.db", WR_STORE_REFUSED, "in use");
  assert_int_equal(chdir(here), 0);
  snprintf(u, sizeof u, "sqlite:%s/../%s/link.db", folder, strrchr(folder, '/') + 1);
  refused(u, WR_STORE_REFUSED, "in use");
  struct reader *r = reader_get(s, &err); /* the reader is opened only now, from another folder */
  assert_non_null(r);
  reader_put(r);
  store_close(s);
}

static void test_what_is_not_ours_is_refused(void **st) {
  (void)st;
  char u[200];
  refused("sqlite:", WR_BAD_REQUEST, "path");
  refused("sqlite::memory:", WR_BAD_REQUEST, "path");
  refused("sqlite", WR_BAD_REQUEST, "sqlite:PATH");
  refused("sqlite3:x", WR_BAD_REQUEST, "sqlite:PATH");
  refused("", WR_BAD_REQUEST, "sqlite:PATH");
  refused(NULL, WR_BAD_REQUEST, "sqlite:PATH");
  snprintf(u, sizeof u, "sqlite:%s/no/such/folder/w.db", folder);
  refused(u, WR_DB_UNAVAILABLE, "No such file");
  snprintf(u, sizeof u, "sqlite:%s", folder);
  refused(u, WR_STORE_REFUSED, "is a directory");
  new_path();
  FILE *f = fopen(path, "w");
  for (int i = 0; i < 300; i++) fprintf(f, "this is not a database %d\n", i);
  fclose(f);
  refused(url, WR_STORE_REFUSED, "not a database");
  new_path();
  sql("CREATE TABLE song (title TEXT)");
  refused(url, WR_STORE_REFUSED, "another program");
}

static void test_files_are_private_and_tidy(void **st) {
  (void)st;
  static const char *const tail[] = {"", "-wal", "-shm", "-log", ".lock"};
  char name[160];
  struct stat sb;
  mode_t was = umask(0);
  struct world w;
  world_fresh(&w);
  def_flow_unref(flow_save(&w, "f", NODE("a")));
  for (size_t i = 0; i < sizeof tail / sizeof *tail; i++) {
    snprintf(name, sizeof name, "%s%s", path, tail[i]);
    assert_int_equal(stat(name, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
  }
  world_end(&w);
  umask(was);
  snprintf(name, sizeof name, "%s-wal", path);
  assert_int_not_equal(stat(name, &sb), 0); /* all of it is in the database now */
}

/* ---- plans: every list is read from an index in its order ---- */
static void test_no_statement_sorts_or_scans_history(void **st) {
  static const char *const text[] = {
#define X(n, s) s,
    QUERIES_READ(X, IN_SQ) SQ_OWN_READ(X)
#undef X
  };
  (void)st;
  sqlite3 *db;
  sqlite3_stmt *q;
  store_close(fresh());
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    char plan[2000];
    snprintf(plan, sizeof plan, "EXPLAIN QUERY PLAN %s", text[i]);
    assert_int_equal(sqlite3_prepare_v2(db, plan, -1, &q, NULL), SQLITE_OK);
    while (sqlite3_step(q) == SQLITE_ROW) {
      const char *step = (const char *)sqlite3_column_text(q, 3);
      if (strcmp(step, "SCAN task_type") == 0) continue; /* a row for each type that a node ever knew, and it is all of them that is read */
      if (strstr(step, "TEMP B-TREE") || strstr(step, "SCAN task_") || strstr(step, "SCAN i") || strstr(step, "SCAN a") || strstr(step, "SCAN l")) fail_msg("%s: %s", text[i], step);
    }
    sqlite3_finalize(q);
  }
  sqlite3_close(db);
}

/* ---- threads ---- */
struct saver { struct world *w; int rounds; enum wr_rc rc; };
static void *save_many(void *arg) {
  struct saver *v = arg;
  struct wr_err err;
  struct flow_def *f = flow_parse("beside", NODE("a") "," NODE("b"));
  for (int i = 0; i < v->rounds && v->rc == WR_OK; i++) v->rc = store_save_flow(v->w->s, f, -1, NULL, &err);
  def_flow_unref(f);
  return NULL;
}

static void *read_many(void *arg) {
  struct saver *v = arg;
  const struct list_filter any = ANY;
  const struct page p = {.limit = 50, .want_total = true};
  struct wr_err err;
  for (int i = 0; i < v->rounds && v->rc == WR_OK; i++) {
    struct ids got = {0};
    struct reader *r = reader_get(v->w->s, &err);
    v->rc = r ? reader_list_flow_ins(r, &any, &p, ids_flow, &got, &got.more, &got.total, &err) : err.code;
    reader_put(r);
  }
  return NULL;
}

static void test_runner_savers_and_readers_at_once(void **st) {
  (void)st;
  enum { READERS = 6 };
  struct world w;
  world_fresh(&w);
  struct saver save[2] = {{&w, 100, WR_OK}, {&w, 100, WR_OK}}, read[READERS];
  pthread_t ts[2], tr[READERS];
  struct flow_def *f = flow_save(&w, "f", NODE("a"));
  for (int i = 0; i < READERS; i++) {
    read[i] = (struct saver){&w, 100, WR_OK};
    assert_int_equal(pthread_create(&tr[i], NULL, read_many, &read[i]), 0);
  }
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&ts[i], NULL, save_many, &save[i]), 0);
  for (int i = 0; i < 100; i++) {
    struct started s = flow_start(&w, f); /* every batch is OK at once: nobody makes it wait for a lock */
    flow_end(&w, &s, FLOW_SUCCESS);
  }
  for (int i = 0; i < 2; i++) pthread_join(ts[i], NULL), assert_int_equal(save[i].rc, WR_OK);
  for (int i = 0; i < READERS; i++) pthread_join(tr[i], NULL), assert_int_equal(read[i].rc, WR_OK);
  def_flow_unref(f);
  world_end(&w);
}

static void *get_one(void *arg) { return reader_get(arg, NULL); }
static void test_one_reader_too_many_waits(void **st) {
  (void)st;
  struct world w;
  struct reader *r[SQ_READERS];
  pthread_t t;
  void *got;
  world_fresh(&w);
  for (int i = 0; i < SQ_READERS; i++) r[i] = reader_of(&w);
  assert_int_equal(pthread_create(&t, NULL, get_one, w.s), 0);
  reader_put(r[2]);
  pthread_join(t, &got);
  assert_ptr_equal(got, r[2]);
  for (int i = 0; i < SQ_READERS; i++) reader_put(r[i]);
  world_end(&w);
}

static void test_wal_stays_bounded(void **st) {
  (void)st;
  enum { MIB = 1 << 20, ROUNDS = 500, BOUND = 300 };
  struct world w;
  struct stat sb;
  char name[160];
  char *big = calloc(1, MIB);
  assert_non_null(big);
  world_fresh(&w);
  int64_t id = task_save(&w, "t", "ECHO");
  struct task_row r = alone_row_of(&w, id);
  OK(put_task(&w, ROW_INSERT, &r));
  r.result = big, r.result_len = MIB;
  snprintf(name, sizeof name, "%s-wal", path);
  for (int i = 0; i < ROUNDS; i++) {
    OK(put_finish(&w, &r));
    assert_int_equal(stat(name, &sb), 0);
    assert_true(sb.st_size < (off_t)BOUND * MIB);
  }
  free(big);
  world_end(&w);
}

/* ---- kill -9 ---- */
/* Batch k of the child: flow.live = k and k new node rows, all or nothing. */
static void child_writes(int tell) {
  struct world w = {.s = again()};
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  if (!w.s || store_join(w.s, &info, &w.me)) _exit(1);
  int64_t defs, fi = 1;
  for (;;) {
    struct flow_write fw = {.op = ROW_UPDATE};
    struct node_write nw[64];
    struct batch b = {.id = world_batch_id(&w), .flow = &fw, .n_flow = 1, .node = nw};
    uint8_t got = 0;
    if (store_begin(w.s, &defs) || store_lock(w.s, &fi, 1, &fw.row, &got) || got != 1) _exit(1);
    b.n_node = 1 + ++fw.row.live % 64;
    int64_t first;
    if (store_ids(w.s, ID_NI, (uint32_t)b.n_node, &first)) _exit(1);
    for (size_t i = 0; i < b.n_node; i++)
      nw[i] = (struct node_write){ROW_INSERT, {.ni = first + (int64_t)i, .fi = fi, .node_id = fw.row.live, .run_no = 1, .update_us = 1, .create_us = 1}};
    if (store_write(w.s, &b) || store_commit(w.s)) _exit(1);
    if (write(tell, &fw.row.live, sizeof fw.row.live) != sizeof fw.row.live) _exit(1);
  }
}

static int64_t count_nodes(struct world *w, int64_t *highest) {
  static struct node_row out[200000];
  size_t n;
  OK(store_node_range(w->s, 1, WR_ID_MAX, out, sizeof out / sizeof *out, &n));
  *highest = n ? out[n - 1].ni : 0;
  return (int64_t)n;
}

static void test_kill_9_leaves_whole_batches(void **st) {
  (void)st;
  enum { KILLS = 40 };
  struct world w;
  uint64_t rnd = 7;
  world_fresh(&w);
  struct flow_def *f = flow_save(&w, "f", NODE("a"));
  struct started s = flow_start(&w, f);
  assert_int_equal(s.fi, 1);
  def_flow_unref(f);
  int64_t before, highest;
  before = count_nodes(&w, &highest);
  assert_int_equal(before, 0);
  for (int k = 0; k < KILLS; k++) {
    int tell[2], status;
    uint32_t told = 0, wait_for = (uint32_t)(rand_next(&rnd) % 30);
    store_close(w.s);
    assert_int_equal(pipe(tell), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) child_writes(tell[1]);
    close(tell[1]);
    for (uint32_t i = 0; i <= wait_for; i++) assert_int_equal(read(tell[0], &told, sizeof told), sizeof told);
    for (volatile uint64_t spin = rand_next(&rnd) % 300000; spin > 0; spin--) {} /* somewhere within a batch */
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (read(tell[0], &told, sizeof told) == sizeof told) {}
    close(tell[0]);
    w.s = again();
    const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
    OK(store_join(w.s, &info, &w.me));
    w.batches = 0;
    uint32_t live = flow_get(&w, s.fi).live;
    assert_true(live == told || live == told + 1); /* every batch that was told stands; at most one more was on its way */
    int64_t want = 0, n = count_nodes(&w, &highest), next;
    for (uint32_t i = 1; i <= live; i++) want += 1 + i % 64;
    assert_int_equal(n, want);
    OK(store_ids(w.s, ID_NI, 1, &next));
    assert_true(next > highest);
  }
  world_end(&w);
}

/* ---- a disk that fails ---- */
/* The rows of one step: the changes of a batch, and how they show afterwards. */
static enum store_rc step(struct world *w, int64_t fi, uint32_t live, struct batch *b) {
  static struct flow_write fw;
  static struct node_write nw;
  int64_t ni;
  fw = (struct flow_write){.op = ROW_UPDATE, .row = {.fi = fi, .state = FLOW_RUNNING, .live = live, .run_no = 1, .start_us = 1, .update_us = 1, .bases = "1:1"}};
  OK(store_ids(w->s, ID_NI, 1, &ni));
  nw = (struct node_write){ROW_INSERT, {.ni = ni, .fi = fi, .node_id = live, .run_no = 1, .create_us = 1, .update_us = 1}};
  *b = (struct batch){.flow = &fw, .n_flow = 1, .node = &nw, .n_node = 1};
  return batch_do(w, b);
}

/* Fails file call number n of a batch, for every n until a batch goes through untouched. The batch is there or it is not, and the
 * store says which. */
static void every_call_fails(enum fault_kind kind, int code) {
  struct world w;
  bool reached = true;
  uint32_t live = 0, unknown = 0, refused_n = 0;
  world_fresh(&w);
  struct flow_def *f = flow_save(&w, "f", NODE("a"));
  struct started s = flow_start(&w, f);
  for (int n = 1; reached; n++) {
    struct batch b;
    fault_arm(kind, n, code);
    enum store_rc rc = step(&w, s.fi, live + 1, &b);
    reached = fault_disarm();
    if (rc == STORE_UNKNOWN) {
      bool done = true;
      unknown++;
      OK(store_resolve(w.s, b.id, &done));
      live += done;
    } else if (rc == STORE_OK) {
      live++;
    } else {
      refused_n++;
      assert_true(rc == STORE_RETRY || rc == STORE_DOWN || rc == STORE_NO_SPACE);
    }
    assert_int_equal(flow_get(&w, s.fi).live, live);
    int64_t highest;
    assert_int_equal(count_nodes(&w, &highest), live);
    assert_true(n < 1000);
  }
  assert_true(unknown + refused_n > 0); /* the faults were felt */
  def_flow_unref(f);
  world_again(&w);
  assert_int_equal(flow_get(&w, s.fi).live, live);
  world_end(&w);
}

static void test_failed_write_or_sync_is_resolved(void **st) {
  (void)st;
  every_call_fails(FAULT_WRITE, SQLITE_IOERR_WRITE);
  every_call_fails(FAULT_SYNC, SQLITE_IOERR_FSYNC);
}

static void test_full_disk_is_no_space(void **st) {
  (void)st;
  struct world w;
  struct batch b;
  struct wr_err err;
  world_fresh(&w);
  struct flow_def *f = flow_save(&w, "f", NODE("a"));
  struct started s = flow_start(&w, f);
  fault_arm(FAULT_WRITE, FAULT_EVERY, SQLITE_FULL);
  IS(step(&w, s.fi, 1, &b), STORE_NO_SPACE);
  assert_int_equal(store_save_flow(w.s, f, -1, NULL, &err), WR_NO_SPACE);
  assert_true(fault_disarm());
  assert_int_equal(f->version, 1);
  assert_int_equal(flow_get(&w, s.fi).live, 0);
  OK(step(&w, s.fi, 1, &b));
  WR(store_save_flow(w.s, f, -1, NULL, &err));
  assert_int_equal(f->version, 2);
  every_call_fails(FAULT_WRITE, SQLITE_FULL);
  def_flow_unref(f);
}

static void test_save_cut_off_is_never_seen(void **st) {
  (void)st;
  enum { N = 9000 };
  struct world w;
  struct wr_err err;
  struct buf nodes = BUF_INIT;
  for (int i = 0; i < N; i++) buf_printf(&nodes, "%s{'nodeKey':'k%d','tasks':[{'taskName':'t','taskType':'ECHO'}]}", i ? "," : "", i);
  world_fresh(&w);
  struct flow_def *small = flow_save(&w, "small", NODE("a")), *big = flow_parse("big", nodes.data), *g = NULL;
  fault_arm(FAULT_SYNC, 3, SQLITE_IOERR_FSYNC); /* two chunks are in */
  assert_int_not_equal(store_save_flow(w.s, big, -1, NULL, &err), WR_OK);
  assert_true(fault_disarm());
  struct reader *r = reader_of(&w);
  assert_int_equal(reader_flow(r, 2, 0, &g, &err), WR_NOT_FOUND);
  reader_put(r);
  big->flow_id = small->flow_id; /* saved as a new version: the second try meets the rows of the first */
  fault_arm(FAULT_SYNC, 3, SQLITE_IOERR_FSYNC);
  assert_int_not_equal(store_save_flow(w.s, big, -1, NULL, &err), WR_OK);
  assert_true(fault_disarm());
  WR(store_save_flow(w.s, big, 1, NULL, &err));
  assert_int_equal(big->version, 2);
  r = reader_of(&w);
  WR(reader_flow(r, small->flow_id, 0, &g, &err));
  reader_put(r);
  assert_int_equal(g->n, N);
  assert_int_equal(g->dag->n_edge, N - 1);
  for (uint32_t i = 0; i < N; i++) assert_string_equal(g->node[i].key, big->node[i].key);
  buf_done(&nodes);
  def_flow_unref(small);
  def_flow_unref(big);
  def_flow_unref(g);
  world_end(&w);
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
  static const struct backend sqlite = {fresh, again, ask, false};
  const struct CMUnitTest own[] = {
    cmocka_unit_test(test_second_open_is_refused), cmocka_unit_test(test_lock_ends_with_the_process),
    cmocka_unit_test(test_every_way_leads_to_one_lock),
    cmocka_unit_test(test_what_is_not_ours_is_refused),
    cmocka_unit_test(test_files_are_private_and_tidy), cmocka_unit_test(test_no_statement_sorts_or_scans_history),
    cmocka_unit_test(test_runner_savers_and_readers_at_once), cmocka_unit_test(test_one_reader_too_many_waits),
    cmocka_unit_test(test_wal_stays_bounded), cmocka_unit_test(test_kill_9_leaves_whole_batches),
    cmocka_unit_test(test_failed_write_or_sync_is_resolved), cmocka_unit_test(test_full_disk_is_no_space),
    cmocka_unit_test(test_save_cut_off_is_never_seen),
  };
  fault_install();
  if (!mkdtemp(folder)) return 1;
  int bad = facts_run("sqlite", &sqlite, own, sizeof own / sizeof *own);
  tidy();
  return bad != 0;
}
