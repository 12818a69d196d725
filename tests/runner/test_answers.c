/* Requests while the store fails: which client is answered, when, and whether the answer is true. A runner on the database of the
 * simulator, whose calls fail, fail for long, or do not come back. One clock, moved by the tests. What never happens: a real
 * wait. */
#include "../unit/unit.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../sim/memstore.h"
#include "defs.h"
#include "mem.h"
#include "runner.h"
#include "watch.h"

#define SEC 1000000LL

struct client { struct req q; struct req_start start; int answers; };

static struct memdb *db;
static struct store *store;
static struct defs *defs;
static struct runner *runner;
static int64_t now, flow;
static enum mem_fate fate[MEM__N];
static uint32_t calls[MEM__N], rows;
static void (*inside)(void);            /* called in the middle of a call of the store */
static enum mem_call inside_of;

static enum mem_fate call(void *ctx, void *node, enum mem_call what, const struct batch *b) {
  (void)ctx, (void)node;
  calls[what]++;
  if (what == MEM_WRITE) rows = (uint32_t)b->n_flow;
  if (inside && what == inside_of) {
    void (*f)(void) = inside;
    inside = NULL;
    f();
  }
  return fate[what];
}
static void no_commit(void *ctx, int64_t me, const struct batch *b) { (void)ctx, (void)me, (void)b; }
static void broken(void *ctx, const char *what, int64_t id) {
  (void)ctx;
  fail_msg("%s: %lld", what, (long long)id);
}
static int64_t boot_now(void *ctx) { return (void)ctx, now; }
static bool push(void *ctx, enum slot_class s, const struct hint *h, size_t n) { return (void)ctx, (void)s, (void)h, (void)n, true; }
static size_t backlog(void *ctx, enum slot_class s) { return (void)ctx, (void)s, 0; }
static uint8_t slot_of(const char *type) { return (void)type, SLOT_ASYNC; }

static void answered(struct req *q, void *ctx) {
  (void)q;
  ((struct client *)ctx)->answers++;
}

static bool post(struct client *c) {
  *c = (struct client){.start = {.flow_id = flow}};
  c->q = (struct req){.kind = REQ_START, .start = &c->start, .n_start = 1, .done = answered, .done_ctx = c};
  return runner_post(runner, &c->q);
}

static void turn(void) {
  db->now_us = now;
  memdb_tick(db);
  (void)runner_turn(runner, now, now);
}

static void turns(int64_t us) {
  for (int64_t until = now + us; now < until; now += 10000) turn();
}

static void all(enum mem_fate f) {
  for (int i = 0; i < MEM__N; i++) fate[i] = f;
}

static size_t flows(void) { return db->flow.n; }

static int set_up(void **st) {
  const struct mem_hooks h = {NULL, call, no_commit, no_commit, broken, NULL};
  struct wr_err err;
  (void)st;
  now = 1700000000 * SEC;
  inside = NULL;
  memset(fate, 0, sizeof fate);
  db = memdb_new(&h, false, 60 * SEC, slot_of);
  db->now_us = now;
  store = memdb_connect(db, db);
  defs = defs_new(store, slot_of);
  struct runner_opts o = {.store = store, .defs = defs, .lease_us = 60 * SEC, .info = {.host = "h", .pid = 1, .slots = 1, .roles = "all"}, .seed = 3,
                          .ports = {.push = push, .backlog = backlog, .boot_now = boot_now}};
  if (runner_new(&o, &runner, &err) != WR_OK) fail_msg("%s", err.msg);
  flow = memdb_save_flow(db, 0, "{\"flowName\":\"f\",\"flowNodes\":[{\"tasks\":[{\"taskType\":\"ECHO\"}]}]}", 1);
  turns(SEC);
  memset(calls, 0, sizeof calls);
  return 0;
}

static int tear_down(void **st) {
  (void)st;
  runner_free(runner);
  defs_free(defs);
  store_close(store);
  memdb_free(db);
  return 0;
}

static bool ready(void) {
  struct health_part s, d;
  runner_health(runner, &s, &d);
  return s.ok && d.ok;
}

static void is(const struct client *c, enum wr_rc rc) {
  assert_int_equal(c->answers, 1);
  assert_int_equal(c->q.rc, rc);
}

/* The store refuses in any way: within two seconds each waiting client is told, and new clients at once. Then the store comes
 * back. */
static void lasting_fault(enum mem_fate f) {
  struct client a, b, c;
  all(f);
  assert_true(post(&a));
  turns(2 * SEC);
  is(&a, f == MEM_NO_SPACE ? WR_NO_SPACE : WR_DB_UNAVAILABLE);
  assert_false(ready());
  assert_false(post(&b));
  turns(60 * SEC);
  assert_false(ready());
  assert_int_equal(flows(), 0);
  all(MEM_GO);
  turns(4 * SEC);
  assert_true(ready());
  assert_true(post(&c));
  turns(SEC);
  is(&c, WR_OK);
  assert_int_equal(flows(), 1);
}
static void down_for_long(void **st) { (void)st; lasting_fault(MEM_DOWN); }
static void retry_for_long(void **st) { (void)st; lasting_fault(MEM_RETRY); }
static void full_for_long(void **st) { (void)st; lasting_fault(MEM_NO_SPACE); }

/* The renewal fails first, so no batch is begun. */
static void renewal_fails_for_long(void **st) {
  struct client a;
  (void)st;
  now += 11 * SEC;
  fate[MEM_RENEW] = MEM_RETRY;
  assert_true(post(&a));
  turns(2 * SEC);
  is(&a, WR_DB_UNAVAILABLE);
  assert_int_equal(calls[MEM_BEGIN], 0);
}

/* A request in the batch is answered after its time with "not known"; a request that comes meanwhile, with "not stored". */
static void unknown_for_long(void **st) {
  struct client a, b, c;
  (void)st;
  fate[MEM_COMMIT] = MEM_LOST_DONE;
  fate[MEM_RESOLVE] = MEM_RETRY;
  assert_true(post(&a));
  turn();
  assert_true(post(&b));
  turns(3 * SEC);
  assert_int_equal(a.answers, 0);
  is(&b, WR_DB_UNAVAILABLE);
  assert_false(ready());
  assert_false(post(&c));
  turns(10 * SEC);
  is(&a, WR_OUTCOME_UNKNOWN);
  all(MEM_GO);
  turns(5 * SEC);
  assert_int_equal(flows(), 1);
  assert_true(ready());
}

/* The same, but the batch was not stored: no client waits for the request any more, so it is not done again. */
static void unknown_and_undone(void **st) {
  struct client a;
  (void)st;
  fate[MEM_COMMIT] = MEM_LOST_UNDONE;
  fate[MEM_RESOLVE] = MEM_RETRY;
  assert_true(post(&a));
  turns(13 * SEC);
  is(&a, WR_OUTCOME_UNKNOWN);
  all(MEM_GO);
  turns(5 * SEC);
  assert_int_equal(flows(), 0);
}

static struct client one, two;
static enum req_back got_one, got_two;
static void take_both(void) {
  now += 11 * SEC;
  assert_false(ready());
  got_one = runner_take_back(runner, &one.q);
  assert_true(!post(&two)); /* stuck for long: refused at once */
}

/* The runner's thread is inside a call: the client takes its request back, and the answer holds. */
static void stuck_before_it_is_sent(void **st) {
  (void)st;
  assert_true(post(&one));
  inside = take_both;
  inside_of = MEM_BEGIN;
  turn();
  assert_int_equal(got_one, REQ_BACK_UNSENT);
  turns(2 * SEC);
  assert_int_equal(one.answers, 1); /* the memory of the request is given back */
  assert_int_equal(flows(), 0);
}
static void stuck_when_it_is_sent(void **st) {
  (void)st;
  assert_true(post(&one));
  inside = take_both;
  inside_of = MEM_WRITE;
  turn();
  assert_int_equal(got_one, REQ_BACK_UNKNOWN);
  turns(2 * SEC);
  assert_int_equal(one.answers, 1);
  assert_int_equal(flows(), 1);
}

static void post_and_take(void) {
  got_one = runner_take_back(runner, &one.q);
  assert_true(post(&two));
  got_two = runner_take_back(runner, &two.q);
}

/* The rows of the request are made already: the batch is made again without them, but with all others. */
static void taken_back_from_a_batch_that_is_made(void **st) {
  struct client other;
  (void)st;
  assert_true(post(&one));
  assert_true(post(&other));
  inside = post_and_take;
  inside_of = MEM_IDS; /* in the middle of the event of the request */
  turn();
  turn();
  assert_int_equal(got_one, REQ_BACK_UNSENT);
  assert_int_equal(got_two, REQ_BACK_YOURS);
  assert_int_equal(two.answers, 0);
  is(&other, WR_OK);
  assert_int_equal(flows(), 1);
  assert_int_equal(one.answers, 1);
}

/* The server refuses a batch, but accepts everything else: the guilty request waits alone, the others go on. */
static enum mem_fate picky(void *ctx, void *node, enum mem_call what, const struct batch *b) {
  enum mem_fate f = call(ctx, node, what, b);
  for (size_t i = 0; what == MEM_WRITE && i < b->n_flow; i++)
    if (b->flow[i].row.params) return MEM_RETRY;
  return f;
}
static void guilty_one_waits_alone(void **st) {
  struct client c[5];
  struct params *p = params_new("{\"bad\":1}");
  (void)st;
  db->hooks.call = picky;
  for (int i = 0; i < 5; i++) {
    c[i] = (struct client){.start = {.flow_id = flow, .params = i == 2 ? p : NULL}};
    c[i].q = (struct req){.kind = REQ_START, .start = &c[i].start, .n_start = 1, .done = answered, .done_ctx = &c[i]};
    assert_true(runner_post(runner, &c[i].q));
  }
  turns(9 * SEC);
  for (int i = 0; i < 5; i++)
    if (i != 2) is(&c[i], WR_OK);
  assert_int_equal(c[2].answers, 0);
  assert_true(ready());
  turns(3 * SEC);
  is(&c[2], WR_DB_UNAVAILABLE);
  assert_int_equal(flows(), 4);
  params_unref(p);
}

/* Pauses between tries have grown. A repair is seen when a client asks, not when the pause is over. However many clients ask
 * during the pause, the store is asked at most once in WATCH_DOUBT_US. */
static void mended_in_a_pause(void **st) {
  struct client a, b;
  (void)st;
  all(MEM_DOWN);
  turns(60 * SEC);
  assert_false(post(&a));
  unsigned before = calls[MEM_RENEW];
  for (int64_t until = now + 10 * SEC; now < until; now += 1000) {
    (void)runner_doubt(runner);
    turn();
  }
  assert_in_range(calls[MEM_RENEW] - before, 30, 10 * SEC / WATCH_DOUBT_US + 1);
  for (unsigned tries = calls[MEM_RENEW]; tries == calls[MEM_RENEW];) turns(10000); /* the store was still away just now */
  all(MEM_GO);
  now += WATCH_DOUBT_US;
  turn();
  assert_false(post(&a));
  assert_true(runner_doubt(runner));
  assert_false(runner_doubt(runner)); /* one is enough */
  turn();
  assert_true(runner_look(runner));
  assert_true(post(&b));
  turns(SEC);
  is(&b, WR_OK);
}

/* Each waiting client is told when the runner ends. */
static void end_answers(void **st) {
  struct client a;
  (void)st;
  assert_true(post(&a));
  runner_free(runner);
  runner = NULL;
  is(&a, WR_DB_UNAVAILABLE);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
  const struct CMUnitTest tests[] = {
    FACT(down_for_long), FACT(retry_for_long), FACT(full_for_long), FACT(renewal_fails_for_long), FACT(unknown_for_long),
    FACT(unknown_and_undone), FACT(stuck_before_it_is_sent), FACT(stuck_when_it_is_sent), FACT(taken_back_from_a_batch_that_is_made),
    FACT(guilty_one_waits_alone), FACT(mended_in_a_pause), FACT(end_answers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
