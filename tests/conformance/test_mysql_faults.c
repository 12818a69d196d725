/* Faults that only a store on a server can meet: connections killed and answers lost at every place, rivals on the same rows,
 * leases that end, definitions that change under a batch. */
#include <pthread.h>
#include <unistd.h>
#include "clock.h"
#include "mem.h"
#include "mysql_kit.h"
#include "mysql_proxy.h"
#include "store_token.h"

/* ---- two members ---- */
static struct world a, b;
static int64_t a_conn;          /* the runner's connection of a */
static struct flow_def *flow;

static void join(struct world *w, const char *url, int64_t lease_us) {
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  *w = (struct world){.s = kit_open(url, lease_us), .now = 1700000000000000LL};
  OK(store_join(w->s, &info, &w->me));
}

static void leave(struct world *w) {
  if (!w->s) return;
  if (store_leave(w->s)) fail_msg("cannot leave"); /* a fenced node leaves, too */
  store_close(w->s);
  w->s = NULL;
}

static int64_t newest_conn(void) {
  return kit_int("SELECT COALESCE(MAX(id),0) FROM information_schema.processlist WHERE db='%s'", kit_name());
}

static void setup_at(const char *url, int64_t lease_us) {
  kit_wipe();
  int64_t before = newest_conn();
  a = (struct world){.s = kit_open(url, lease_us), .now = 1700000000000000LL};
  /* A store's first connection is the runner's. The last is that of the migration, which may be ending still. */
  a_conn = kit_int("SELECT MIN(id) FROM information_schema.processlist WHERE db='%s' AND id>%lld", kit_name(), (long long)before);
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  OK(store_join(a.s, &info, &a.me));
  flow = flow_save(&a, "f", NODE("a") "," NODE("b"));
}

static int setup(void **st) {
  (void)st;
  setup_at(kit_url(), 0);
  join(&b, kit_url(), 0);
  return 0;
}

static int teardown(void **st) {
  (void)st;
  def_flow_unref(flow);
  flow = NULL;
  leave(&a);
  leave(&b);
  return 0;
}

static void kill_conn(int64_t id) {
  kit_sql("KILL %lld", (long long)id);
  while (kit_int("SELECT COUNT(*) FROM information_schema.processlist WHERE id=%lld", (long long)id) != 0) {}
}

/* A batch of three rows, so that half a batch would show. */
struct three { struct started s; struct flow_write fw; struct node_write nw; struct task_write tw; struct batch b; };
static void three_rows(struct world *w, struct three *t) {
  *t = (struct three){.s = flow_start(w, flow)};
  t->fw = (struct flow_write){.op = ROW_UPDATE, .expect = t->s.version, .row = flow_get(w, t->s.fi)};
  t->fw.row.live = 1;
  t->nw = (struct node_write){ROW_INSERT, node_row_of(w, &t->s, flow->node[0].node_id, 0)};
  t->tw = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = task_row_of(w, &t->s, 0, 0)};
  t->b = (struct batch){.id = world_batch_id(w), .flow = &t->fw, .n_flow = 1, .node = &t->nw, .n_node = 1, .task = &t->tw, .n_task = 1};
}

static int64_t rows_of(const struct three *t) {
  return kit_int("SELECT (SELECT COUNT(*) FROM task_node_ins WHERE fi_id=%lld)+(SELECT COUNT(*) FROM task_ins WHERE fi_id=%lld)"
                 "+(SELECT COUNT(*) FROM task_flow_ins WHERE fi_id=%lld AND version=%lld)",
                 (long long)t->s.fi, (long long)t->s.fi, (long long)t->s.fi, (long long)t->b.id);
}

/* ---- connections that end ---- */
static void killed_while_idle_is_not_noticed(void **st) {
  (void)st;
  struct three t;
  three_rows(&a, &t);
  kill_conn(a_conn);
  OK(batch_do(&a, &t.b));
  assert_int_equal(rows_of(&t), 3);
}

static void killed_after_begin_is_a_retry(void **st) {
  (void)st;
  struct three t;
  int64_t defs;
  three_rows(&a, &t);
  OK(store_begin(a.s, &defs));
  kill_conn(a_conn);
  IS(store_write(a.s, &t.b), STORE_RETRY);
  store_rollback(a.s);
  assert_int_equal(rows_of(&t), 0);
  OK(batch_do(&a, &t.b));
  assert_int_equal(rows_of(&t), 3);
}

static void killed_under_locks_is_a_retry(void **st) {
  (void)st;
  struct three t;
  struct flow_row row;
  uint8_t got;
  int64_t defs;
  three_rows(&a, &t);
  OK(store_begin(a.s, &defs));
  OK(store_lock(a.s, &t.s.fi, 1, &row, &got));
  kill_conn(a_conn);
  IS(store_write(a.s, &t.b), STORE_RETRY); /* never on a new connection: the locks are gone */
  assert_int_equal(rows_of(&t), 0);
  OK(batch_do(&a, &t.b));
}

static void killed_before_commit_is_unknown_and_not_done(void **st) {
  (void)st;
  struct three t;
  int64_t defs;
  bool done = true;
  three_rows(&a, &t);
  OK(store_begin(a.s, &defs));
  OK(store_write(a.s, &t.b));
  kill_conn(a_conn);
  IS(store_commit(a.s), STORE_UNKNOWN);
  OK(store_resolve(a.s, t.b.id, &done));
  assert_false(done);
  assert_int_equal(rows_of(&t), 0);
  OK(batch_do(&a, &t.b));
}

static void killed_while_it_reads(void **st) {
  (void)st;
  struct node_row row;
  int64_t defs, ni = 1;
  size_t n;
  OK(store_begin(a.s, &defs));
  kill_conn(a_conn);
  IS(store_nodes(a.s, &ni, 1, &row, &n), STORE_RETRY);
  store_rollback(a.s);
  OK(store_begin(a.s, &defs));
  OK(store_nodes(a.s, &ni, 1, &row, &n));
  store_rollback(a.s);
}

/* ---- answers that are lost ---- */
static struct proxy *proxy;
static char proxy_path[80], proxy_url[300];

static int setup_proxy(void **st) {
  (void)st;
  snprintf(proxy_path, sizeof proxy_path, "/tmp/weir-proxy-%d.sock", (int)getpid());
  snprintf(proxy_url, sizeof proxy_url, "mysql://root@localhost/%s?socket=%s", kit_name(), proxy_path);
  proxy = proxy_new(proxy_path, kit_socket());
  setup_at(proxy_url, 0);
  return 0;
}

static int teardown_proxy(void **st) {
  teardown(st);
  proxy_free(proxy);
  return 0;
}

/* Without the server's time the node's own clock would count for good, because store_now() never goes back. */
static void nobody_joins_without_the_time(void **st) {
  (void)st;
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  leave(&a);
  a = (struct world){.s = kit_open(proxy_url, 0), .now = 1700000000000000LL};
  proxy_cut(proxy, CUT_CLOCK_ANSWER);
  OK(store_join(a.s, &info, &a.me)); /* a start waits until a passing fault is over */
  assert_true(proxy_did(proxy));
  assert_true(store_time(a.s, clock_boot_us(), 1) > 1700000000000000LL);
  proxy_cut(proxy, CUT_CLOCK_ANSWER);
  IS(store_join(a.s, &info, &a.me), STORE_DOWN); /* a later join does not wait: its runner tries again */
  assert_true(proxy_did(proxy));
  OK(store_join(a.s, &info, &a.me));
}

static void lost_answer_of_the_packet_is_a_retry(void **st) {
  (void)st;
  struct three t;
  int64_t defs;
  three_rows(&a, &t);
  OK(store_begin(a.s, &defs));
  proxy_cut(proxy, CUT_WRITE_ANSWER);
  IS(store_write(a.s, &t.b), STORE_RETRY);
  assert_true(proxy_did(proxy));
  OK(batch_do(&a, &t.b)); /* the server has rolled back the lost batch */
  assert_int_equal(rows_of(&t), 3);
}

static void lost_commit_is_unknown_and_not_done(void **st) {
  (void)st;
  struct three t;
  bool done = true;
  three_rows(&a, &t);
  proxy_cut(proxy, CUT_COMMIT);
  IS(batch_do(&a, &t.b), STORE_UNKNOWN);
  assert_true(proxy_did(proxy));
  OK(store_resolve(a.s, t.b.id, &done));
  assert_false(done);
  assert_int_equal(rows_of(&t), 0);
}

static void lost_answer_of_commit_is_unknown_and_done(void **st) {
  (void)st;
  struct three t;
  bool done = false;
  three_rows(&a, &t);
  proxy_cut(proxy, CUT_COMMIT_ANSWER);
  IS(batch_do(&a, &t.b), STORE_UNKNOWN);
  assert_true(proxy_did(proxy));
  OK(store_resolve(a.s, t.b.id, &done));
  assert_true(done);
  assert_int_equal(rows_of(&t), 3);
}

/* The old transaction still stands: nobody can know yet. */
static void resolve_waits_for_the_old_transaction(void **st) {
  (void)st;
  struct three t;
  bool done = true;
  three_rows(&a, &t);
  proxy_cut(proxy, CUT_COMMIT_HALF);
  IS(batch_do(&a, &t.b), STORE_UNKNOWN);
  assert_true(proxy_did(proxy));
  IS(store_resolve(a.s, t.b.id, &done), STORE_RETRY);
  assert_false(done);
  proxy_let_go(proxy);
  enum store_rc rc;
  while ((rc = store_resolve(a.s, t.b.id, &done)) == STORE_RETRY) {}
  OK(rc);
  assert_false(done);
  assert_int_equal(rows_of(&t), 0);
}

/* ---- rivals ---- */
static void rival_makes_a_cached_head_stale(void **st) {
  (void)st;
  struct three t;
  three_rows(&a, &t);
  struct flow_row r = t.fw.row;
  OK(put_flow(&b, ROW_UPDATE, t.s.version, &r));
  IS(batch_do(&a, &t.b), STORE_STALE);
  assert_true(t.fw.stale);
  t.b.id = 0;
  assert_int_equal(rows_of(&t), 0);
}

static void held_heads_are_skipped(void **st) {
  (void)st;
  struct started x = flow_start(&a, flow), y = flow_start(&a, flow);
  int64_t fi[3] = {x.fi, y.fi, y.fi + 1000}, defs;
  struct flow_row row[3];
  uint8_t got[3];
  OK(store_begin(b.s, &defs));
  OK(store_lock(b.s, &fi[0], 1, row, got));
  assert_int_equal(got[0], 1);
  OK(store_begin(a.s, &defs));
  OK(store_lock(a.s, fi, 3, row, got));
  assert_int_equal(got[0], 2);
  assert_int_equal(got[1], 1);
  assert_int_equal(got[2], 0);
  store_rollback(a.s);
  store_rollback(b.s);
  OK(store_begin(a.s, &defs));
  OK(store_lock(a.s, fi, 3, row, got));
  assert_int_equal(got[0], 1);
  store_rollback(a.s);
}

static void many_heads_and_one_is_stale(void **st) {
  (void)st;
  enum { N = 1200 };
  struct flow_write *fw = calloc(N, sizeof *fw);
  struct started *s = calloc(N, sizeof *s);
  assert_true(fw && s);
  for (int i = 0; i < N; i++) {
    OK(store_ids(a.s, ID_FI, 1, &s[i].fi));
    s[i].flow_id = flow->flow_id, s[i].flow_version = flow->version;
    snprintf(s[i].bases, sizeof s[i].bases, "%d:%d", i + 1, i + 1);
    fw[i] = (struct flow_write){.op = ROW_INSERT, .row = flow_row_of(&a, &s[i])};
  }
  struct batch w = {.flow = fw, .n_flow = N};
  OK(batch_do(&a, &w));
  for (int i = 0; i < N; i++) fw[i].op = ROW_UPDATE, fw[i].expect = w.id, fw[i].row.live = (uint32_t)(i % 3 ? 7 : i);
  kit_sql("UPDATE task_flow_ins SET version=1 WHERE fi_id=%lld", (long long)s[700].fi);
  IS(batch_do(&a, &w), STORE_STALE);
  for (int i = 0; i < N; i++) assert_int_equal(fw[i].stale, i == 700);
  fw[700].expect = 1;
  OK(batch_do(&a, &w));
  assert_int_equal(kit_int("SELECT COUNT(*) FROM task_flow_ins WHERE version=%lld", (long long)w.id), N);
  assert_int_equal(kit_int("SELECT COUNT(*) FROM task_flow_ins WHERE live=7"), 800);
  assert_int_equal(kit_int("SELECT live FROM task_flow_ins WHERE fi_id=%lld", (long long)s[999].fi), 999);
  assert_int_equal(kit_int("SELECT COUNT(DISTINCT bases) FROM task_flow_ins"), N); /* the bases are kept */
  free(fw);
  free(s);
}

/* ---- writing many rows ---- */
/* Equal rows are updated by a list of keys, others by an upsert; neither may make a row that was not there. */
static void missing_row_among_many_is_never_made(void **st) {
  (void)st;
  for (int equal = 0; equal < 2; equal++) {
    struct started s = flow_start(&a, flow);
    OK(store_ids(a.s, ID_NI, 6, &s.ni));
    struct node_write nw[6];
    struct batch w = {.node = nw, .n_node = 6};
    for (uint32_t i = 0; i < 6; i++) nw[i] = (struct node_write){ROW_INSERT, node_row_of(&a, &s, 1, i)};
    OK(batch_do(&a, &w));
    kit_sql("DELETE FROM task_node_ins WHERE ni_id=%lld", (long long)s.ni + 3);
    for (uint32_t i = 0; i < 6; i++) nw[i].op = ROW_UPDATE, nw[i].row.start_us = nw[i].row.update_us = 1000 + (equal ? 0 : i), nw[i].row.state = NODE_SUCCESS;
    IS(batch_do(&a, &w), STORE_BAD);
    assert_int_equal(kit_int("SELECT COUNT(*) FROM task_node_ins WHERE fi_id=%lld AND state=2", (long long)s.fi), 5);
    assert_int_equal(kit_int("SELECT COUNT(*) FROM task_node_ins WHERE ni_id=%lld", (long long)s.ni + 3), 0);
  }
}

/* More rows than one packet takes: several packets are sent in one transaction. */
static void results_larger_than_a_packet(void **st) {
  (void)st;
  enum { N = 12 };
  struct started s = flow_start(&a, flow);
  OK(store_ids(a.s, ID_TI, N, &s.ti));
  struct task_write tw[N];
  char *big[N];
  for (uint32_t i = 0; i < N; i++) {
    big[i] = malloc(LIMIT_RESULT_BYTES);
    assert_non_null(big[i]);
    memset(big[i], i % 2 ? '\'' : 'x', LIMIT_RESULT_BYTES);
    big[i][i] = '\0';
    tw[i] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = task_row_of(&a, &s, 0, i)};
  }
  struct batch w = {.task = tw, .n_task = N};
  OK(batch_do(&a, &w));
  for (uint32_t i = 0; i < N; i++)
    tw[i].op = ROW_UPDATE, tw[i].finish = true, tw[i].row.t.state = TASK_SUCCESS, tw[i].row.result = big[i], tw[i].row.result_len = LIMIT_RESULT_BYTES;
  OK(batch_do(&a, &w));
  for (uint32_t i = 0; i < N; i++) {
    struct task_row back = task_get(&a, s.ti + i);
    task_same(&back, &tw[i].row);
    free(big[i]);
  }
}

/* Lost connections are counted, so that the runner can find the row that causes them; a batch that is answered ends the count. */
static void a_batch_that_breaks_its_connection_is_counted(void **st) {
  (void)st;
  struct three t;
  three_rows(&a, &t);
  for (uint32_t i = 1; i <= 3; i++) {
    proxy_cut(proxy, CUT_WRITE_ANSWER);
    IS(batch_do(&a, &t.b), STORE_RETRY);
    assert_true(proxy_did(proxy));
    assert_int_equal(store_lost_streak(a.s), i);
    proxy_cut(proxy, CUT_NOTHING);
    if (i == 2) IS(store_renew(a.s), STORE_OK); /* an answer to a renewal does not end the count */
  }
  OK(batch_do(&a, &t.b));
  assert_int_equal(store_lost_streak(a.s), 0);
}

/* The smallest packets that are allowed: every row of ours fits, and a larger one is refused before it is sent. */
static void what_no_packet_holds_is_not_sent(void **st) {
  kit_sql("SET GLOBAL max_allowed_packet=4194304");
  leave(&a);
  join(&a, kit_url(), 0);
  kit_sql("SET GLOBAL max_allowed_packet=16777216");
  results_larger_than_a_packet(st);
  int64_t conns = kit_int("SELECT variable_value FROM information_schema.global_status WHERE variable_name='CONNECTIONS'");
  struct three t;
  three_rows(&a, &t);
  size_t n = 5u << 20;
  char *bases = malloc(n + 1);
  assert_non_null(bases);
  memset(bases, '1', n);
  bases[n] = '\0';
  t.fw.row.run_no = 2;
  t.fw.row.bases = bases;
  IS(batch_do(&a, &t.b), STORE_BAD);
  assert_non_null(strstr(store_why(a.s), "max_allowed_packet"));
  t.fw.row.bases = NULL, t.fw.row.run_no = 1;
  OK(batch_do(&a, &t.b));
  assert_int_equal(kit_int("SELECT variable_value FROM information_schema.global_status WHERE variable_name='CONNECTIONS'"), conns);
  free(bases);
}

static void too_long_a_text_is_bad(void **st) {
  (void)st;
  struct three t;
  char *text = malloc(9000);
  assert_non_null(text);
  memset(text, 'e', 8999);
  text[8999] = '\0';
  three_rows(&a, &t);
  t.nw.row.error = text;
  IS(batch_do(&a, &t.b), STORE_BAD);
  assert_int_equal(rows_of(&t), 0);
  t.nw.row.error = "short";
  OK(batch_do(&a, &t.b));
  free(text);
}

/* ---- leases ---- */
static void end_lease(const struct world *w) {
  kit_sql("UPDATE engine_node SET lease_until=UTC_TIMESTAMP(6) - INTERVAL 1 HOUR WHERE incarnation=%lld", (long long)w->me);
}

static void lease_that_ended_is_reaped_and_fenced(void **st) {
  (void)st;
  struct three t;
  uint32_t n = 9;
  three_rows(&a, &t);
  OK(store_reap(b.s, &n));
  assert_int_equal(n, 0);
  end_lease(&a);
  OK(store_reap(b.s, &n));
  assert_int_equal(n, 1);
  IS(batch_do(&a, &t.b), STORE_FENCED);
  assert_int_equal(rows_of(&t), 0);
  IS(store_renew(a.s), STORE_FENCED);
  OK(store_reap(b.s, &n));
  assert_int_equal(n, 0);
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  OK(store_join(a.s, &info, &a.me));
  OK(batch_do(&a, &t.b));
}

/* A node that starts with the lock of a former node's directory knows that this node is dead, whatever its lease says. No other
 * node is marked. */
static void former_of_the_same_home_is_dead_at_once(void **st) {
  (void)st;
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = "", .home = "home-1"},
                         there = {.host = "other", .pid = 1, .slots = 1, .roles = "", .home = "home-1"};
  struct world c = {.s = kit_open(kit_url(), 0)}, d = {.s = kit_open(kit_url(), 0)};
  OK(store_join(a.s, &info, &a.me));
  OK(store_join(c.s, &there, &c.me));
  OK(store_renew(a.s));
  OK(store_join(d.s, &info, &d.me));
  IS(store_renew(a.s), STORE_FENCED);
  OK(store_renew(b.s)); /* this one has no home */
  OK(store_renew(c.s)); /* the same name on another machine */
  OK(store_renew(d.s));
  leave(&c);
  leave(&d);
}

static void batch_and_renewal_keep_the_lease(void **st) {
  (void)st;
  struct batch none = {0};
  uint32_t n;
  end_lease(&a);
  OK(batch_do(&a, &none));
  OK(store_reap(b.s, &n));
  assert_int_equal(n, 0);
  end_lease(&a);
  OK(store_renew(a.s));
  OK(store_reap(b.s, &n));
  assert_int_equal(n, 0);
  IS(batch_do(&a, &none), STORE_OK);
}

/* The fence holds the row of the lease: a reclaimer that comes in between waits, then finds the lease renewed. */
static void *reap_thread(void *arg) {
  uint32_t *n = arg;
  OK(store_reap(b.s, n));
  return NULL;
}

/* innodb_trx is no help: the server does not renew this copy while somebody reads it. */
static void somebody_waits_for_a_lock(void) {
  while (kit_int("SELECT variable_value FROM information_schema.global_status WHERE variable_name='INNODB_ROW_LOCK_CURRENT_WAITS'") < 1) {}
}

static void reaper_cannot_overtake_a_batch(void **st) {
  (void)st;
  struct three t;
  int64_t defs;
  uint32_t n = 9;
  pthread_t th;
  three_rows(&a, &t);
  end_lease(&a);
  OK(store_begin(a.s, &defs));
  OK(store_write(a.s, &t.b));
  assert_int_equal(pthread_create(&th, NULL, reap_thread, &n), 0);
  somebody_waits_for_a_lock();
  OK(store_commit(a.s));
  pthread_join(th, NULL);
  assert_int_equal(n, 0);
  OK(store_renew(a.s));
}

static void live_tasks_tell_whose_owner_is_dead(void **st) {
  (void)st;
  struct started s = flow_start(&a, flow);
  struct task_row mine = task_row_of(&a, &s, 0, 0), queued = task_row_of(&a, &s, 1, 1), alone = alone_row_of(&a, 5);
  struct live_task out[8];
  size_t n;
  uint32_t reaped;
  mine.t.state = TASK_RUNNING, mine.t.owner = a.me, mine.t.epoch = 3;
  OK(put_task(&a, ROW_INSERT, &mine));
  OK(put_task(&a, ROW_INSERT, &queued));
  OK(put_task(&a, ROW_INSERT, &alone));
  OK(store_live_tasks(b.s, 0, out, 8, &n));
  assert_int_equal(n, 3);
  assert_true(out[0].owner_live && out[1].owner_live && out[2].owner_live);
  assert_int_equal(out[2].fi, 0);
  end_lease(&a);
  OK(store_reap(b.s, &reaped));
  OK(store_live_tasks(b.s, 0, out, 8, &n));
  assert_int_equal(n, 3);
  for (size_t i = 0; i < 3; i++) assert_int_equal(out[i].owner_live, out[i].ti != mine.ti);
}

/* A node that froze inside a transaction: the server ends it, so its locks do not outlive a quarter of the lease. */
static void frozen_transaction_is_ended_by_the_server(void **st) {
  (void)st;
  struct world c;
  struct started s = flow_start(&a, flow);
  struct flow_row row;
  struct batch none = {.id = 1};
  uint8_t got = 2;
  int64_t defs;
  join(&c, kit_url(), 4000000);
  OK(store_begin(c.s, &defs));
  OK(store_lock(c.s, &s.fi, 1, &row, &got));
  assert_int_equal(got, 1);
  for (got = 2; got == 2;) {
    OK(store_begin(a.s, &defs));
    OK(store_lock(a.s, &s.fi, 1, &row, &got));
    store_rollback(a.s);
  }
  assert_int_equal(got, 1);
  IS(store_write(c.s, &none), STORE_RETRY);
  leave(&c);
}

static void one_reconciler_at_a_time(void **st) {
  (void)st;
  assert_true(store_reconciler(a.s));
  assert_true(store_reconciler(a.s));
  assert_false(store_reconciler(b.s));
  kill_conn(a_conn);
  assert_true(store_reconciler(b.s));
  assert_false(store_reconciler(a.s));
}

/* The pulse changes when a member has committed, and when the members change. */
static void pulse_beats_with_each_commit(void **st) {
  struct batch none = {.id = 77};
  int64_t one, two, defs;
  (void)st;
  OK(store_pulse(a.s, &one));
  OK(store_renew(b.s));
  OK(store_pulse(a.s, &two));
  assert_true(one == two);
  for (int i = 0; i < 2; i++) {
    OK(store_begin(b.s, &defs));
    OK(store_write(b.s, &none));
    OK(store_pulse(a.s, &two));
    assert_true(one == two);
    OK(store_commit(b.s));
    OK(store_pulse(a.s, &two));
    assert_true(one != two);
    one = two;
    none.id++;
  }
  OK(store_leave(b.s));
  OK(store_pulse(a.s, &two));
  assert_true(one != two);
}

/* ---- definitions under a batch ---- */
static void definitions_that_change_make_the_batch_stale(void **st) {
  (void)st;
  struct three t;
  int64_t before, after;
  three_rows(&a, &t);
  OK(store_begin(a.s, &before));
  task_save(&b, "new", "ECHO");
  IS(store_write(a.s, &t.b), STORE_STALE);
  assert_false(t.fw.stale); /* no head is to blame */
  assert_int_equal(rows_of(&t), 0);
  OK(store_begin(a.s, &after));
  assert_int_equal(after, before + 1);
  OK(store_write(a.s, &t.b));
  OK(store_commit(a.s));
}

struct act { enum wr_rc rc; int64_t id; bool task; };
static void *delete_thread(void *arg) {
  struct act *x = arg;
  struct wr_err err;
  x->rc = x->task ? store_delete_task(b.s, x->id, &err) : store_delete_flow(b.s, x->id, &err);
  return NULL;
}

/* Start first: the delete waits for its commit, then sees it. */
static void delete_waits_for_a_start(void **st) {
  (void)st;
  struct started s = {.flow_id = flow->flow_id, .flow_version = flow->version, .bases = "1:1"};
  struct act x = {.id = flow->flow_id};
  int64_t defs;
  pthread_t th;
  OK(store_ids(a.s, ID_FI, 1, &s.fi));
  struct flow_write fw = {.op = ROW_INSERT, .row = flow_row_of(&a, &s)};
  struct batch w = {.id = world_batch_id(&a), .flow = &fw, .n_flow = 1};
  OK(store_begin(a.s, &defs));
  OK(store_write(a.s, &w));
  assert_int_equal(pthread_create(&th, NULL, delete_thread, &x), 0);
  somebody_waits_for_a_lock();
  OK(store_commit(a.s));
  pthread_join(th, NULL);
  assert_int_equal(x.rc, WR_ACTIVE);
}

static void delete_waits_for_a_task_that_starts(void **st) {
  (void)st;
  struct act x = {.id = task_save(&a, "t", "ECHO"), .task = true};
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = alone_row_of(&a, x.id)};
  struct batch w = {.id = world_batch_id(&a), .task = &tw, .n_task = 1};
  int64_t defs;
  pthread_t th;
  OK(store_begin(a.s, &defs));
  OK(store_write(a.s, &w));
  assert_int_equal(pthread_create(&th, NULL, delete_thread, &x), 0);
  somebody_waits_for_a_lock();
  OK(store_commit(a.s));
  pthread_join(th, NULL);
  assert_int_equal(x.rc, WR_ACTIVE);
}

static void delete_first_refuses_the_start(void **st) {
  (void)st;
  struct wr_err err;
  struct started s = {.flow_id = flow->flow_id, .flow_version = flow->version, .bases = "1:1"};
  int64_t defs;
  OK(store_ids(a.s, ID_FI, 1, &s.fi));
  struct flow_write fw = {.op = ROW_INSERT, .row = flow_row_of(&a, &s)};
  struct batch w = {.id = world_batch_id(&a), .flow = &fw, .n_flow = 1};
  OK(store_begin(a.s, &defs));
  WR(store_delete_flow(b.s, flow->flow_id, &err));
  IS(store_write(a.s, &w), STORE_STALE);
  assert_true(fw.stale);
}

static void *save_thread(void *arg) {
  struct world *w = arg;
  for (int i = 0; i < 20; i++) {
    struct flow_def *f = flow_parse("f", NODE("a") "," NODE("b"));
    struct wr_err err;
    f->flow_id = flow->flow_id;
    WR(store_save_flow(w->s, f, -1, NULL, &err));
    def_flow_unref(f);
  }
  return NULL;
}

static void saves_of_two_members_make_every_version_once(void **st) {
  (void)st;
  pthread_t th[2];
  struct world *w[2] = {&a, &b};
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&th[i], NULL, save_thread, w[i]), 0);
  for (int i = 0; i < 2; i++) pthread_join(th[i], NULL);
  assert_int_equal(kit_int("SELECT flow_version FROM task_flow"), 41);
  assert_int_equal(kit_int("SELECT COUNT(*) FROM task_flow_history"), 41);
  assert_int_equal(kit_int("SELECT COUNT(*) FROM task_flow_history h JOIN task_node n ON n.node_id BETWEEN h.node_base AND h.node_base+h.n_node-1 "
                           "AND n.flow_version=h.flow_version"), 82);
}

/* ---- ids ---- */
static void members_never_get_the_same_id(void **st) {
  (void)st;
  int64_t x, y, last_x = 0, last_y = 0;
  for (int i = 0; i < 5000; i++) {
    OK(store_ids(a.s, ID_TI, 3, &x));
    OK(store_ids(b.s, ID_TI, 3, &y));
    assert_true(x > last_x && y > last_y && x != y);
    last_x = x + 2, last_y = y + 2;
  }
  assert_true(kit_int("SELECT `next` FROM id_block WHERE kind='ti'") > (last_x > last_y ? last_x : last_y));
}

/* ---- readers and the definition writer ---- */
static void readers_survive_a_killed_connection(void **st) {
  (void)st;
  struct wr_err err;
  struct reader *r = reader_of(&a);
  int64_t conn = newest_conn();
  WR(reader_token(r, &(struct store_token){0}, &err));
  kill_conn(conn);
  assert_int_equal(reader_token(r, &(struct store_token){0}, &err), WR_DB_UNAVAILABLE);
  reader_put(r);
  r = reader_of(&a);
  WR(reader_token(r, &(struct store_token){0}, &err));
  reader_put(r);
}

static void definition_writer_survives_a_killed_connection(void **st) {
  (void)st;
  int64_t first = task_save(&a, "t", "ECHO");
  kill_conn(kit_int("SELECT MAX(id) FROM information_schema.processlist WHERE db='%s' AND id<>CONNECTION_ID() AND id>%lld", kit_name(), (long long)a_conn));
  for (int i = 0; i < 3; i++) task_save(&a, "t", "ECHO");
  assert_int_equal(kit_int("SELECT COUNT(*) FROM task"), 4);
  assert_int_equal(first, 1);
}

/* Each statement is within its own bound, but all together are beyond the bound of a request. The request is given up, and the
 * next one may read. */
static void a_slow_link_ends_a_request_in_time(void **st) {
  (void)st;
  const struct store_opts o = {.url = proxy_url, .request_us = 4000000};
  struct store *s;
  struct wr_err err;
  int n = 0;
  if (store_open(&o, &s, &err)) fail_msg("%s", err.msg);
  struct reader *r = reader_get(s, &err);
  assert_non_null(r);
  assert_int_equal(reader_token(r, &(struct store_token){0}, &err), WR_OK);
  proxy_slow(proxy, 300);
  store_deadline(clock_mono_us() + o.request_us);
  while (n < 60 && reader_token(r, &(struct store_token){0}, &err) == WR_OK) n++;
  assert_int_equal(err.code, WR_DB_UNAVAILABLE);
  assert_true(n > 0 && n < 20);
  reader_put(r);
  proxy_slow(proxy, 0);
  store_deadline(0);
  r = reader_get(s, &err);
  if (!r) fail_msg("%s", err.msg);
  assert_int_equal(reader_token(r, &(struct store_token){0}, &err), WR_OK);
  store_deadline(clock_mono_us()); /* the deadline is over: the answer comes at once */
  assert_int_equal(reader_token(r, &(struct store_token){0}, &err), WR_DB_UNAVAILABLE);
  store_deadline(0);
  reader_put(r);
  store_close(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define P(f) cmocka_unit_test_setup_teardown(f, setup_proxy, teardown_proxy)
int main(void) {
  if (!kit_begin("faults")) return 0;
  const struct CMUnitTest tests[] = {
    T(killed_while_idle_is_not_noticed), T(killed_after_begin_is_a_retry), T(killed_under_locks_is_a_retry),
    T(killed_before_commit_is_unknown_and_not_done), T(killed_while_it_reads), P(lost_answer_of_the_packet_is_a_retry),
    P(nobody_joins_without_the_time),
    P(lost_commit_is_unknown_and_not_done), P(lost_answer_of_commit_is_unknown_and_done), P(resolve_waits_for_the_old_transaction),
    T(rival_makes_a_cached_head_stale), T(held_heads_are_skipped), T(many_heads_and_one_is_stale),
    T(missing_row_among_many_is_never_made), T(results_larger_than_a_packet), P(a_batch_that_breaks_its_connection_is_counted), T(what_no_packet_holds_is_not_sent), T(too_long_a_text_is_bad),
    T(lease_that_ended_is_reaped_and_fenced), T(former_of_the_same_home_is_dead_at_once),
    T(batch_and_renewal_keep_the_lease), T(reaper_cannot_overtake_a_batch),
    T(live_tasks_tell_whose_owner_is_dead), T(frozen_transaction_is_ended_by_the_server), T(one_reconciler_at_a_time), T(pulse_beats_with_each_commit),
    T(definitions_that_change_make_the_batch_stale), T(delete_waits_for_a_start), T(delete_waits_for_a_task_that_starts),
    T(delete_first_refuses_the_start), T(saves_of_two_members_make_every_version_once), T(members_never_get_the_same_id),
    P(a_slow_link_ends_a_request_in_time), T(readers_survive_a_killed_connection), T(definition_writer_survives_a_killed_connection),
  };
  int bad = cmocka_run_group_tests_name("mysql_faults", tests, NULL, NULL);
  kit_end();
  return bad;
}
