/* Several runners on one database in memory (that of the simulator), turned by hand: what a batch costs in calls of the
 * store, who sends hints again, who takes over from the dead, a queue in memory that is too small, and flows whose rows the
 * store refuses.
 *
 * One clock for all, moved by the facts; workers are lists. What never happens: a real wait. */
#include "../unit/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../sim/memstore.h"
#include "defs.h"
#include "mem.h"
#include "runner.h"

#define SEC 1000000LL
enum { MEMBERS = 3, HINTS = 4096 };

struct member {
  struct store *s;
  struct defs *defs;
  struct runner *r;
  struct attempt *work, **tail;
  size_t n_work;
  uint32_t calls[MEM__N], pushed;
};

static struct memdb *db;
static struct member m[MEMBERS];
static struct hint hint[HINTS];         /* what all have pushed, in order */
static size_t n_hint;
static struct queue *queue[SLOT__N];    /* of the facts about the queue in memory */
static bool gone;                       /* the database cannot be reached */
static int64_t now, bad_fi, bad_ti;     /* the rows of that flow are refused; the result of that task */
static bool bad_result, bad_end;        /* so is every result; every end of an attempt, whatever it says */
static const struct never_started *never; static size_t n_never;  /* what the next to join is told */
static int deadlocks;                   /* the next batches are to be made again */

/* ---- the world ---- */

static uint8_t slot_of(const char *type) { return strcmp(type, "SHELL") == 0 ? SLOT_PROCESS : SLOT_ASYNC; }

static enum mem_fate count_call(void *ctx, void *node, enum mem_call what, const struct batch *b) {
  (void)ctx;
  ((struct member *)node)->calls[what]++;
  for (size_t i = 0; what == MEM_WRITE && i < b->n_flow; i++)
    if (b->flow[i].row.fi == bad_fi) return MEM_BAD;
  for (size_t i = 0; what == MEM_WRITE && i < b->n_task; i++)
    if (b->task[i].finish && bad_end) return MEM_BAD;
    else if (b->task[i].row.result && (bad_result || b->task[i].row.ti == bad_ti)) return MEM_BAD;
  if (what == MEM_WRITE && deadlocks > 0) return deadlocks--, MEM_RETRY;
  return gone ? MEM_DOWN : MEM_GO;
}
static void no_commit(void *ctx, int64_t me, const struct batch *b) { (void)ctx, (void)me, (void)b; }
static void broken(void *ctx, const char *what, int64_t id) {
  (void)ctx;
  fail_msg("%s: %lld", what, (long long)id);
}

static void port_start(void *ctx, struct attempt *list) {
  struct member *x = ctx;
  *x->tail = list;
  for (struct attempt *a = list; a != NULL; a = a->next) {
    x->n_work++;
    x->tail = &a->next;
  }
}

static bool port_push(void *ctx, enum slot_class s, const struct hint *h, size_t n) {
  struct member *x = ctx;
  x->pushed += (uint32_t)n;
  if (queue[s]) return queue_push(queue[s], h, n);
  for (size_t i = 0; i < n && n_hint < HINTS; i++) hint[n_hint++] = h[i];
  return true;
}
static size_t port_pull(void *ctx, enum slot_class s, struct hint *h, size_t n) {
  bool away;
  (void)ctx;
  return queue_pop(queue[s], h, n, 0, &away);
}
static size_t port_backlog(void *ctx, enum slot_class s) {
  (void)ctx;
  return queue[s] ? queue_depth(queue[s]) : 0;
}

static int64_t boot_now(void *ctx) { return (void)ctx, now; }

static struct member *join(int i, uint32_t process, uint32_t async) {
  struct member *x = &m[i];
  struct wr_err err;
  *x = (struct member){.s = memdb_connect(db, x)};
  x->tail = &x->work;
  x->defs = defs_new(x->s, slot_of);
  struct runner_opts o = {.store = x->s, .defs = x->defs, .lease_us = 60 * SEC, .info = {"h", i + 1, 1, "all", NULL}, .seed = 3,
                          .slots = {[SLOT_PROCESS] = process, [SLOT_ASYNC] = async},
                          .ports = {.ctx = x, .start = port_start, .push = port_push, .backlog = port_backlog, .boot_now = boot_now}};
  if (queue[0]) o.ports.pull = port_pull;
  o.never = never;
  o.n_never = n_never;
  if (runner_new(&o, &x->r, &err) != WR_OK) fail_msg("%s", err.msg);
  return x;
}

static int64_t one_turn(struct member *x) {
  db->now_us = ++now;
  memdb_tick(db);
  return runner_turn(x->r, now, now);
}

static void turns(struct member *x) {
  for (int i = 0; i < 200; i++) {
    if (one_turn(x) > now + 200 || !runner_pending(x->r)) return;
  }
  fail_msg("it never ends");
}

static void finish_work(struct member *x) {
  struct attempt *list = x->work;
  x->work = NULL;
  x->tail = &x->work;
  x->n_work = 0;
  for (struct attempt *a = list; a != NULL; a = a->next) {
    a->end = ATTEMPT_OK;
    a->result = wr_strdup("r");
    a->result_len = 1;
  }
  runner_post_results(x->r, list);
}

static void answered(struct req *q, void *ctx) {
  (void)q;
  ++*(int *)ctx;
}

static void request(struct member *x, struct req *q) {
  int n = 0;
  q->done = answered;
  q->done_ctx = &n;
  assert_true(runner_post(x->r, q));
  for (; deadlocks > 0; now += SEC) one_turn(x); /* it pauses before it tries again */
  turns(x);
  assert_int_equal(n, 1);
  assert_int_equal(q->rc, WR_OK);
}

static int64_t start(struct member *x, int64_t flow, uint32_t n) {
  struct req_start *st = wr_calloc(n, sizeof *st);
  for (uint32_t i = 0; i < n; i++) st[i].flow_id = flow;
  struct req q = {.kind = REQ_START, .start = st, .n_start = n};
  request(x, &q);
  int64_t fi = st[0].fi;
  free(st);
  return fi;
}

/* Everything that was pushed so far goes to x, in one batch. */
static void hand_hints(struct member *x) {
  memset(x->calls, 0, sizeof x->calls);
  runner_post_hints(x->r, hint, n_hint);
  n_hint = 0;
  one_turn(x);
}

static bool all_final(void) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&db->flow, &i)) != NULL;)
    if (!flow_final((enum flow_state)((struct mem_flow *)s->val)->r.state)) return false;
  return true;
}

#define CHAIN "{\"flowName\":\"c\",\"flowNodes\":[{\"tasks\":[{\"taskType\":\"ECHO\"}]},{\"tasks\":[{\"taskType\":\"ECHO\"}]}]}"

static void open_world(bool single) {
  const struct mem_hooks h = {NULL, count_call, no_commit, no_commit, broken, NULL};
  now = 1700000000 * SEC;
  n_hint = 0;
  bad_fi = bad_ti = 0;
  deadlocks = 0;
  bad_result = bad_end = false;
  memset(m, 0, sizeof m);
  db = memdb_new(&h, single, 60 * SEC, slot_of);
  db->now_us = now;
}

static int set_up(void **st) {
  (void)st;
  open_world(false);
  return 0;
}

static void leave(struct member *x) {
  for (struct attempt *a = x->work, *next; a != NULL; a = next) {
    next = a->next;
    attempt_free(a);
  }
  runner_free(x->r);
  if (x->defs) defs_free(x->defs);
  if (x->s) store_close(x->s);
  *x = (struct member){0};
}

static int tear_down(void **st) {
  (void)st;
  for (int i = 0; i < MEMBERS; i++) leave(&m[i]);
  memdb_free(db);
  for (int s = 0; s < SLOT__N; s++) {
    queue_close(queue[s]);
    queue[s] = NULL;
  }
  return 0;
}

/* ---- what a batch costs ---- */

static void flows_of_a_batch_are_read_together(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 500);
  (void)st;
  turns(b);
  start(a, memdb_save_flow(db, 0, CHAIN, 2), 200);
  assert_int_equal(n_hint, 200);
  hand_hints(b);
  assert_int_equal(b->n_work, 200);
  assert_int_equal(b->calls[MEM_LOCK], 1);
  assert_true(b->calls[MEM_READ] <= 2);
  for (int step = 0; step < 2; step++) { /* the nodes that follow, too */
    memset(b->calls, 0, sizeof b->calls);
    finish_work(b);
    one_turn(b);
    assert_int_equal(b->n_work, step == 0 ? 200 : 0);
    assert_true(b->calls[MEM_LOCK] <= 1);
    assert_true(b->calls[MEM_READ] <= 2);
  }
  assert_true(all_final());
}

/* What was started here and taken home is known whole: nothing of it is ever read. */
static void flows_started_here_are_not_read(void **st) {
  struct member *a = join(0, 0, 500);
  (void)st;
  turns(a);
  start(a, memdb_save_flow(db, 0, CHAIN, 2), 200);
  assert_int_equal(a->n_work, 200);
  memset(a->calls, 0, sizeof a->calls);
  for (int step = 0; step < 2; step++) {
    finish_work(a);
    one_turn(a);
  }
  assert_int_equal(a->calls[MEM_READ], 0);
  assert_int_equal(a->calls[MEM_LOCK], 0);
  assert_true(all_final());
}

static void lone_tasks_of_a_batch_are_read_together(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 500);
  (void)st;
  int64_t task = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}");
  turns(b);
  for (int i = 0; i < 100; i++) request(a, &(struct req){.kind = REQ_EXEC_TASK, .task_id = task});
  assert_int_equal(n_hint, 100);
  hand_hints(b);
  assert_int_equal(b->n_work, 100);
  assert_int_equal(b->calls[MEM_READ], 1);
  memset(b->calls, 0, sizeof b->calls);
  finish_work(b);
  one_turn(b);
  assert_int_equal(b->calls[MEM_READ], 1);
}

/* A has pushed its hints, so others may have touched its flows: it looks under the lock, before it does the whole batch. */
static void rivals_work_makes_no_batch_stale(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 10);
  struct runner_stats stats;
  (void)st;
  turns(b);
  int64_t fi = start(a, memdb_save_flow(db, 0, CHAIN, 2), 1);
  hand_hints(b);
  assert_int_equal(b->n_work, 1);
  request(a, &(struct req){.kind = REQ_CANCEL_FLOW, .fi = fi});
  runner_stats(a->r, &stats);
  assert_int_equal(stats.stale, 0);
  assert_int_equal(memdb_flow(db, fi)->r.wish, WISH_CANCEL);
}

/* Its head is locked first for a while after another node had it, then no more. */
static void flow_that_no_rival_touches_is_ours(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 10);
  struct buf text = BUF_INIT;
  (void)st;
  buf_str(&text, "{\"flowName\":\"c\",\"flowNodes\":[");
  for (int i = 0; i < 20; i++) buf_printf(&text, "%s{\"tasks\":[{\"taskType\":\"ECHO\"}]}", i ? "," : "");
  buf_str(&text, "]}");
  turns(b);
  start(a, memdb_save_flow(db, 0, text.data, 20), 1);
  buf_done(&text);
  hand_hints(b);
  for (int step = 0; step < 20; step++) {
    assert_int_equal(b->n_work, 1);
    if (step == 12) memset(b->calls, 0, sizeof b->calls);
    finish_work(b);
    one_turn(b);
  }
  assert_int_equal(b->calls[MEM_LOCK], 0);
  assert_true(all_final());
}

/* A batch that is made again gives the same numbers: they count without gaps. */
static void ids_survive_a_deadlock(void **st) {
  struct member *a = join(0, 0, 1);
  (void)st;
  turns(a);
  int64_t flow = memdb_save_flow(db, 0, CHAIN, 2), first = start(a, flow, 2);
  deadlocks = 3;
  assert_int_equal(start(a, flow, 2), first + 2);
  assert_int_equal(deadlocks, 0);
  struct req q = {.kind = REQ_EXEC_TASK, .task_id = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}")}, p = q;
  request(a, &q);
  deadlocks = 3;
  request(a, &p);
  assert_int_equal(p.ti, q.ti + 1);
}

/* ---- the end of a runner ---- */

static void lone_task_gives_its_params_back(void **st) {
  struct member *a = join(0, 0, 1);
  struct params *p = params_new("{}");
  (void)st;
  turns(a);
  request(a, &(struct req){.kind = REQ_EXEC_TASK, .task_id = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}"), .params = p});
  assert_int_equal(a->n_work, 1);
  leave(a);
  assert_int_equal(atomic_load(&p->refs), 1);
  params_unref(p);
}

/* ---- the reconciler ---- */

/* Time goes on in steps, with a turn for each of the first n members that is there. */
static void pass(int64_t seconds, int from, int n) {
  for (int64_t end = now + seconds * SEC; now < end; now += SEC)
    for (int i = from; i < n; i++) turns(&m[i]);
}

static void one_sends_hints_again_until_it_dies(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 0), *c = join(2, 0, 0);
  (void)st;
  pass(1, 0, 3);
  start(c, memdb_save_flow(db, 0, CHAIN, 2), 5);
  assert_int_equal(c->pushed, 5);
  a->pushed = b->pushed = c->pushed = 0; /* all lost */
  pass(60, 0, 3);                        /* b begins between two times at which hints of this age are due */
  assert_true(a->pushed >= 5);           /* the database says: the oldest */
  assert_int_equal(b->pushed + c->pushed, 0);
  a->pushed = 0;
  pass(90, 1, 3);                        /* it does not turn any more */
  assert_int_equal(memdb_member(db, runner_incarnation(a->r))->state, MEMBER_DEAD);
  assert_int_equal(a->pushed, 0);
  assert_true(b->pushed >= 5);
  assert_int_equal(c->pushed, 0);
}

/* Not only the one that sends hints: whoever looks first. */
static void any_node_finds_what_the_dead_have_lost(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 0), *c = join(2, 0, 10);
  (void)st;
  pass(1, 0, 3);
  start(c, memdb_save_flow(db, 0, CHAIN, 2), 1);
  assert_int_equal(c->n_work, 1);
  pass(50, 0, 2);
  a->pushed = b->pushed = 0;
  pass(45, 1, 2);
  assert_int_equal(memdb_member(db, runner_incarnation(c->r))->state, MEMBER_DEAD);
  assert_int_equal(memdb_member(db, runner_incarnation(a->r))->state, MEMBER_LIVE);
  assert_int_equal(a->pushed, 0);
  assert_int_equal(b->pushed, 1); /* QUEUED again */
}

/* Both leases end while the database is away: who is back first leaves the other the time to renew (rule 15). */
static void after_an_outage_nobody_is_declared_dead_at_once(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 0);
  int64_t me = runner_incarnation(b->r);
  (void)st;
  pass(130, 0, 2);
  gone = true;
  pass(100, 0, 2);
  gone = false;
  assert_true(memdb_member(db, me)->lease_until < now - 5 * SEC);
  pass(55, 0, 1); /* b is slow to come back */
  assert_int_equal(memdb_member(db, me)->state, MEMBER_LIVE);
  pass(1, 1, 2);
  assert_int_equal(runner_incarnation(b->r), me);
  assert_true(memdb_member(db, me)->lease_until > now);
  pass(90, 0, 1);  /* now it is gone for good */
  assert_int_equal(memdb_member(db, me)->state, MEMBER_DEAD);
  assert_true(a->calls[MEM_REAP] > 0);
}

/* A database that hangs says nothing: the gap does. */
static void after_a_silence_nobody_is_declared_dead_at_once(void **st) {
  join(0, 0, 0);
  int64_t me = runner_incarnation(join(1, 0, 0)->r);
  (void)st;
  pass(130, 0, 2);
  now += 100 * SEC;
  pass(55, 0, 1);
  assert_int_equal(memdb_member(db, me)->state, MEMBER_LIVE);
  pass(30, 0, 1);
  assert_int_equal(memdb_member(db, me)->state, MEMBER_DEAD);
}

/* ---- the queue in memory ---- */

static int set_up_small(void **st) {
  struct wr_err err;
  (void)st;
  open_world(true);
  for (int s = 0; s < SLOT__N; s++)
    if (queue_open("memory:", NULL, 8, &queue[s], &err) != WR_OK) fail_msg("%s", err.msg);
  return 0;
}

/* n nodes without edges, of each of the types in turn. */
static int64_t wide_flow(unsigned n, const char *const *type, unsigned n_type) {
  struct buf b = BUF_INIT;
  buf_str(&b, "{\"flowName\":\"w\",\"flowNodes\":[");
  for (unsigned i = 0; i < n; i++)
    buf_printf(&b, "%s{\"nodeKey\":\"k%u\",\"prevNodes\":[],\"tasks\":[{\"taskType\":\"%s\"}]}", i ? "," : "", i, type[i % n_type]);
  buf_printf(&b, ",{\"nodeKey\":\"end\",\"prevNodes\":[\"k0\"],\"tasks\":[{\"taskType\":\"ECHO\"}]}]}");
  int64_t id = memdb_save_flow(db, 0, b.data, n + 1);
  buf_done(&b);
  return id;
}

/* To the end, with no more than a moment of time: no turn is waited for. */
static void plays_at_once(struct member *x, uint32_t most_turns) {
  int64_t began = now;
  for (uint32_t i = 0; !all_final(); i++) {
    assert_true(i < most_turns);
    one_turn(x);
    finish_work(x);
  }
  assert_true(now - began < SEC);
}

static void fan_out_beyond_the_queue_does_not_wait(void **st) {
  static const char *const echo[] = {"ECHO"};
  struct member *a = join(0, 0, 3);
  (void)st;
  start(a, wide_flow(500, echo, 1), 1);
  plays_at_once(a, 1500);
  assert_true(a->pushed < 20000); /* the refill ends when the queue is full */
}

static void one_full_queue_does_not_disturb_the_other(void **st) {
  static const char *const both[] = {"SHELL", "ECHO"};
  struct member *a = join(0, 1, 5);
  (void)st;
  start(a, wide_flow(400, both, 2), 1);
  plays_at_once(a, 1500);
}

/* A node comes back and hears from its former spawner what that never started: only what ran is lost. */
static void what_never_started_is_no_loss(void **st) {
  static const char *const echo[] = {"ECHO"};
  struct member *a = join(0, 0, 3);
  (void)st;
  turns(a);
  int64_t fi = start(a, wide_flow(3, echo, 1), 1);
  const struct attempt *one = a->work, *two = one->next, *three = two->next;
  const int64_t ran = one->ti;
  const struct never_started told[] = {{two->ti, two->epoch}, {three->ti, three->epoch}, {ran, one->epoch + 1}};
  leave(a);
  never = told;
  n_never = 3;
  a = join(0, 0, 3);
  never = NULL;
  n_never = 0;
  pass(2, 0, 1);
  for (size_t i = 0; i < 3; i++) {
    const struct task *t = &memdb_task(db, told[i].ti)->r.t;
    assert_int_equal(t->state, TASK_RUNNING);
    assert_int_equal(t->epoch, 2);
    assert_int_equal(t->losses, told[i].ti == ran);
  }
  while (a->n_work > 0) {
    finish_work(a);
    turns(a);
  }
  assert_int_equal(memdb_flow(db, fi)->r.state, FLOW_SUCCESS);
}

/* ---- flows that are set aside ---- */

static int set_up_single(void **st) {
  (void)st;
  open_world(true);
  return 0;
}

/* A flow at its first task, whose result is refused; another one goes on. */
static int64_t aside(struct member *x) {
  int64_t flow = memdb_save_flow(db, 0, CHAIN, 2), fi = start(x, flow, 1);
  bad_fi = fi;
  finish_work(x);
  turns(x);
  assert_true(runner_set_aside(x->r, fi));
  start(x, flow, 1);
  for (int i = 0; i < 2; i++) {
    finish_work(x);
    turns(x);
  }
  assert_int_equal(memdb_flow(db, fi + 1)->r.state, FLOW_SUCCESS);
  return fi;
}

static void set_aside_is_tried_again(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  int64_t fi = aside(a);
  pass(100, 0, 1); /* again, longer each time */
  assert_true(runner_set_aside(a->r, fi));
  assert_int_equal(a->n_work, 0);
  bad_fi = 0;
  pass(150, 0, 1);
  assert_false(runner_set_aside(a->r, fi));
  assert_int_equal(a->n_work, 1); /* the second node: its first result was kept */
  finish_work(a);
  turns(a);
  assert_int_equal(memdb_flow(db, fi)->r.state, FLOW_SUCCESS);
}

static void cancel_ends_what_was_set_aside(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  int64_t fi = aside(a), before = now;
  struct req q = {.kind = REQ_CANCEL_FLOW, .fi = fi, .done = answered, .done_ctx = &(int){0}};
  assert_true(runner_post(a->r, &q));
  turns(a);
  assert_int_equal(q.rc, WR_QUARANTINED); /* it is still refused */
  bad_fi = 0;
  request(a, &(struct req){.kind = REQ_CANCEL_FLOW, .fi = fi});
  turns(a);
  assert_false(runner_set_aside(a->r, fi));
  assert_true(flow_final((enum flow_state)memdb_flow(db, fi)->r.state));
  assert_true(now - before < SEC);
}

static void result_that_is_never_stored_is_a_failure(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  int64_t fi = start(a, memdb_save_flow(db, 0, CHAIN, 2), 1);
  bad_result = true;
  finish_work(a);
  pass(500, 0, 1);
  assert_false(runner_set_aside(a->r, fi));
  assert_int_equal(memdb_flow(db, fi)->r.state, FLOW_FAILED);
  assert_string_equal(memdb_flow(db, fi)->r.error, "The database refuses its result.");
}

/* A fault of the whole server that says of each row that it is the row's: not one result may become a failure by it. */
static void lasting_fault_of_the_server_spares_results(void **st) {
  struct member *a = join(0, 0, 3);
  (void)st;
  turns(a);
  int64_t fi = start(a, memdb_save_flow(db, 0, CHAIN, 2), 2);
  struct req q = {.kind = REQ_EXEC_TASK, .task_id = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}")};
  request(a, &q);
  bad_end = true;
  finish_work(a);
  pass(1500, 0, 1);
  bad_end = false;
  pass(700, 0, 1);
  for (int i = 0; i < 3; i++) {
    finish_work(a);
    pass(30, 0, 1);
  }
  assert_int_equal(memdb_flow(db, fi)->r.state, FLOW_SUCCESS);
  assert_int_equal(memdb_flow(db, fi + 1)->r.state, FLOW_SUCCESS);
  assert_int_equal(memdb_task(db, q.ti)->r.t.state, TASK_SUCCESS);
  assert_int_equal(memdb_task(db, q.ti)->r.t.losses, 0);
}

/* The store is away whenever its trial comes: what was refused before still counts. */
static void outages_do_not_renew_its_chances(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  int64_t fi = start(a, memdb_save_flow(db, 0, CHAIN, 2), 1);
  bad_result = true;
  finish_work(a);
  turns(a);
  for (int i = 0; i < 6; i++) {
    gone = true;
    for (int64_t end = now + (40LL << i) * SEC; now < end; now += SEC) one_turn(a);
    gone = false;
    for (int k = 0; k < 20; k++, now += SEC) one_turn(a); /* the pause passes */
  }
  assert_int_equal(memdb_flow(db, fi)->r.state, FLOW_FAILED);
}

/* That of its neighbour waits with it, and is stored as it is. */
static void only_the_result_that_is_refused_is_given_up(void **st) {
  static const char *const echo[] = {"ECHO"};
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  int64_t fi = start(a, wide_flow(2, echo, 1), 1), good = a->work->next->ti;
  bad_ti = a->work->ti;
  finish_work(a);
  pass(500, 0, 1);
  assert_false(runner_set_aside(a->r, fi));
  assert_int_equal(memdb_task(db, bad_ti)->r.t.state, TASK_FAILED);
  assert_int_equal(memdb_task(db, good)->r.t.state, TASK_SUCCESS);
}

/* A run timeout rings once. */
static void timeout_of_what_was_set_aside_is_kept(void **st) {
  static const char *const echo[] = {"ECHO"};
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  int64_t fi = start(a, wide_flow(2, echo, 1), 1);
  struct attempt *other = a->work->next;
  a->work->next = NULL;
  bad_fi = fi;
  finish_work(a);
  turns(a);
  assert_true(runner_set_aside(a->r, fi));
  runner_post_timeout(a->r, fi, other->ti, other->epoch);
  turns(a);
  bad_fi = 0;
  pass(20, 0, 1);
  assert_false(runner_set_aside(a->r, fi));
  assert_int_equal(memdb_task(db, other->ti)->r.t.state, TASK_CANCELING);
  attempt_free(other);
}

static void what_another_node_has_ended_is_aside_no_more(void **st) {
  struct member *a = join(0, 0, 2), *b = join(1, 0, 2), *c = join(2, 0, 0);
  (void)st;
  pass(1, 0, 3);
  int64_t fi = bad_fi = start(c, memdb_save_flow(db, 0, CHAIN, 2), 1);
  hand_hints(a);
  turns(a);
  bad_fi = 0;
  n_hint = 1; /* once more */
  hand_hints(b);
  for (int step = 0; step < 2; step++) {
    finish_work(b);
    turns(b);
  }
  assert_true(all_final());
  assert_true(runner_set_aside(a->r, fi)); /* it does not know */
  pass(40, 0, 2);
  assert_false(runner_set_aside(a->r, fi));
}

/* Their hints are out: only those of the flow on trial are made again. */
static void a_trial_leaves_other_flows_alone(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  (void)aside(a);
  pass(13, 0, 1);
  start(a, memdb_save_flow(db, 0, CHAIN, 2), 5);
  assert_int_equal(a->n_work, 2);
  assert_int_equal(a->pushed, 3);
  bad_fi = 0;
  pass(4, 0, 1); /* the trial */
  assert_int_equal(a->pushed, 4);
}

/* Nothing of a lone task is set aside: its result waits alone. */
static void lone_result_that_is_never_stored_is_a_failure(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  struct req q = {.kind = REQ_EXEC_TASK, .task_id = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}")};
  request(a, &q);
  bad_result = true;
  finish_work(a);
  pass(20, 0, 1);
  assert_int_equal(memdb_task(db, q.ti)->r.t.state, TASK_RUNNING);
  pass(100, 0, 1);
  assert_int_equal(memdb_task(db, q.ti)->r.t.state, TASK_FAILED);
  assert_string_equal(memdb_task(db, q.ti)->r.error, "The database refuses its result.");
}

/* ---- hints that are lost, and tasks of others ---- */

#define ONE "{\"flowName\":\"o\",\"flowNodes\":[{\"tasks\":[{\"taskType\":\"ECHO\"}]}]}"

/* Whoever has just joined looks once. */
static void settle(struct member *x) {
  for (int i = 0; i < 4; i++, now += 2 * SEC) turns(x);
}

static void ages(int64_t s) {
  now += s * SEC;
  db->now_us = now;
}

/* A backlog an hour old, and nobody has its hints: whoever has slots and pops nothing finds them at once. */
static void old_backlog_is_found_when_a_pop_is_empty(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 7);
  (void)st;
  settle(b);
  start(a, memdb_save_flow(db, 0, CHAIN, 2), 30);
  ages(50); /* between two turns of the reconciler, for rows of that age */
  turns(b);
  n_hint = 0; /* FLUSHALL */
  assert_int_equal(b->n_work, 0);
  runner_no_hints(b->r, SLOT_ASYNC);
  turns(b);
  assert_int_equal(b->n_work, 7);
  assert_int_equal(n_hint, 23); /* the others' hints are there again */
}

/* The same when slots were full all the while: nobody popped. */
static void old_backlog_is_found_when_a_slot_is_free_again(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 5);
  (void)st;
  settle(b);
  start(a, memdb_save_flow(db, 0, ONE, 1), 30);
  hand_hints(b);
  turns(b);
  assert_int_equal(b->n_work, 5);
  ages(50);
  turns(b);
  n_hint = 0;
  struct attempt *second = b->work->next;
  b->work->next = NULL;
  finish_work(b);
  for (struct attempt *x = b->work = second; x != NULL; x = x->next) b->n_work++, b->tail = &x->next;
  for (int i = 0; i < 5; i++, now += SEC / 2) turns(b);
  assert_int_equal(b->n_work, 5);
  assert_int_equal(n_hint, 24);
}

/* No queue at all: each takes from the rows what it has slots for. */
static void without_a_queue_rows_are_claimed(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 4);
  (void)st;
  turns(b);
  start(a, memdb_save_flow(db, 0, CHAIN, 2), 10);
  n_hint = 0;
  runner_queue_away(b->r, SLOT_ASYNC, true);
  for (int i = 0; i < 60 && !all_final(); i++) {
    turns(b);
    assert_true(b->n_work <= 4);
    finish_work(b);
    now += SEC / 10;
  }
  assert_true(all_final());
}

static bool no_echo(void *ctx, const struct task_def *t) {
  (void)ctx;
  return strcmp(t->type, "ECHO") != 0;
}

/* Its hints go back to the queue, slowly; its rows are left alone. */
static void what_a_node_cannot_run_it_leaves_to_others(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 10), *c = join(2, 0, 100);
  (void)st;
  defs_can_run(b->defs, no_echo, NULL);
  turns(b);
  turns(c);
  start(a, memdb_save_flow(db, 0, CHAIN, 2), 5);
  hand_hints(b);
  turns(b);
  assert_int_equal(b->n_work, 0);
  assert_int_equal(n_hint, 0);
  start(b, memdb_save_flow(db, 0, CHAIN, 2), 5); /* nor does it take home */
  assert_int_equal(b->n_work, 0);
  assert_int_equal(n_hint, 5);
  ages(3);
  turns(b);
  assert_int_equal(n_hint, 10);
  runner_queue_away(b->r, SLOT_ASYNC, true);
  ages(3);
  turns(b);
  assert_int_equal(b->n_work, 0);
  hand_hints(c);
  turns(c);
  assert_int_equal(c->n_work, 10);
}

int main(void) {
#define CLUSTER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define SINGLE(f) {#f "_single", f, set_up_single, tear_down, NULL}
#define SMALL(f) cmocka_unit_test_setup_teardown(f, set_up_small, tear_down)
  const struct CMUnitTest tests[] = {
    CLUSTER(flows_of_a_batch_are_read_together), CLUSTER(flows_started_here_are_not_read),
    CLUSTER(lone_tasks_of_a_batch_are_read_together),
    CLUSTER(rivals_work_makes_no_batch_stale), CLUSTER(flow_that_no_rival_touches_is_ours),
    CLUSTER(ids_survive_a_deadlock), CLUSTER(lone_task_gives_its_params_back), SINGLE(lone_task_gives_its_params_back),
    CLUSTER(one_sends_hints_again_until_it_dies),
    CLUSTER(old_backlog_is_found_when_a_pop_is_empty), CLUSTER(old_backlog_is_found_when_a_slot_is_free_again),
    CLUSTER(without_a_queue_rows_are_claimed), CLUSTER(what_a_node_cannot_run_it_leaves_to_others),
    CLUSTER(any_node_finds_what_the_dead_have_lost), CLUSTER(after_an_outage_nobody_is_declared_dead_at_once),
    CLUSTER(after_a_silence_nobody_is_declared_dead_at_once), SMALL(fan_out_beyond_the_queue_does_not_wait),
    SMALL(one_full_queue_does_not_disturb_the_other),
    CLUSTER(set_aside_is_tried_again), CLUSTER(cancel_ends_what_was_set_aside), CLUSTER(result_that_is_never_stored_is_a_failure),
    CLUSTER(only_the_result_that_is_refused_is_given_up), SINGLE(only_the_result_that_is_refused_is_given_up),
    CLUSTER(timeout_of_what_was_set_aside_is_kept), SINGLE(timeout_of_what_was_set_aside_is_kept),
    CLUSTER(lone_result_that_is_never_stored_is_a_failure), SINGLE(lone_result_that_is_never_stored_is_a_failure),
    CLUSTER(lasting_fault_of_the_server_spares_results), SINGLE(lasting_fault_of_the_server_spares_results),
    CLUSTER(what_another_node_has_ended_is_aside_no_more), SINGLE(a_trial_leaves_other_flows_alone),
    SINGLE(outages_do_not_renew_its_chances), SINGLE(what_never_started_is_no_loss), SINGLE(set_aside_is_tried_again), SINGLE(cancel_ends_what_was_set_aside), SINGLE(result_that_is_never_stored_is_a_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
