/* Several runners on one database: what a batch costs in calls of the store, which node sends hints again, which node takes over
 * from dead ones, a queue in memory that is too small, tasks that a node cannot run. */
#include "cluster.h"
#include "runner_int.h"

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
  for (int step = 0; step < 2; step++) { /* the following nodes, too */
    memset(b->calls, 0, sizeof b->calls);
    finish_work(b);
    one_turn(b);
    assert_int_equal(b->n_work, step == 0 ? 200 : 0);
    assert_true(b->calls[MEM_LOCK] <= 1);
    assert_true(b->calls[MEM_READ] <= 2);
  }
  assert_true(all_final());
}

/* A flow that was started here and whose tasks are claimed here is fully known: no row of it is ever read. */
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
  for (int i = 0; i < 100; i++) request(a, &(struct req){.kind = REQ_EXEC_TASK, .task = &(struct req_task){.task_id = task}, .n_task = 1});
  assert_int_equal(n_hint, 100);
  hand_hints(b);
  assert_int_equal(b->n_work, 100);
  assert_int_equal(b->calls[MEM_READ], 2); /* task_ins, task_async */
  memset(b->calls, 0, sizeof b->calls);
  finish_work(b);
  one_turn(b);
  assert_int_equal(b->calls[MEM_READ], 0); /* they ran here, so their rows are known */
}

/* The row beside a task that runs here is read again before it is written: another node may have changed it. */
static void row_beside_what_runs_here_is_read_again(void **st) {
  struct member *a = join(0, 0, 1);
  struct req_asked of = {0};
  (void)st;
  int64_t task = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"WAIT\",\"taskContent\":\"1h\"}");
  turns(a);
  request(a, &(struct req){.kind = REQ_EXEC_TASK, .task = &(struct req_task){.task_id = task}, .n_task = 1});
  assert_int_equal(a->n_work, 1);
  struct mem_async *beside = memdb_async(db, of.ti = a->work->ti);
  free((void *)(uintptr_t)beside->r.user);
  beside->r.user = wr_strdup("moved");
  struct req q = {.kind = REQ_ASK, .ask = &(struct req_ask){.ask = ASK_QUEUE, .queue = &(struct queue_spec){.priority = 7, .has_priority = true}, .of = &of, .n = 1}};
  request(a, &q);
  assert_int_equal(q.rc, WR_OK);
  assert_true(of.changed);
  assert_string_equal(beside->r.user, "moved");
  assert_int_equal(beside->r.priority, 7);
}

/* A has pushed its hints, so others may have touched its flows: A looks under the lock before it does the whole batch. */
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

/* The head of a flow is locked first for a while after another node had the flow, then no more. */
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

/* A batch that is made again gives the same ids, so ids have no gaps. */
static void ids_survive_a_deadlock(void **st) {
  struct member *a = join(0, 0, 1);
  (void)st;
  turns(a);
  int64_t flow = memdb_save_flow(db, 0, CHAIN, 2), first = start(a, flow, 2);
  deadlocks = 3;
  assert_int_equal(start(a, flow, 2), first + 2);
  assert_int_equal(deadlocks, 0);
  struct req_task one = {.task_id = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}")}, two = one;
  struct req q = {.kind = REQ_EXEC_TASK, .task = &one, .n_task = 1}, p = {.kind = REQ_EXEC_TASK, .task = &two, .n_task = 1};
  request(a, &q);
  deadlocks = 3;
  request(a, &p);
  assert_int_equal(two.ti, one.ti + 1);
}

/* ---- the end of a runner ---- */

static void lone_task_gives_its_params_back(void **st) {
  struct member *a = join(0, 0, 1);
  struct params *p = params_new("{}");
  (void)st;
  turns(a);
  request(a, &(struct req){.kind = REQ_EXEC_TASK, .n_task = 1,
                           .task = &(struct req_task){.task_id = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}"), .params = p}});
  assert_int_equal(a->n_work, 1);
  leave(a);
  assert_int_equal(atomic_load(&p->refs), 1);
  params_unref(p);
}

/* ---- the reconciler ---- */

static void one_sends_hints_again_until_it_dies(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 0), *c = join(2, 0, 0);
  (void)st;
  pass(1, 0, 3);
  start(c, memdb_save_flow(db, 0, CHAIN, 2), 5);
  assert_int_equal(c->pushed, 5);
  a->pushed = b->pushed = c->pushed = 0; /* all lost */
  pass(60, 0, 3);                        /* b begins between two ages at which hints are due */
  assert_true(a->pushed >= 5);           /* the database names the oldest node */
  assert_int_equal(b->pushed + c->pushed, 0);
  a->pushed = 0;
  pass(90, 1, 3);                        /* it makes no turns any more */
  assert_int_equal(memdb_member(db, runner_incarnation(a->r))->state, MEMBER_DEAD);
  assert_int_equal(a->pushed, 0);
  assert_true(b->pushed >= 5);
  assert_int_equal(c->pushed, 0);
}

/* Not only the node that sends hints: any node that looks first. */
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

/* Both leases end while the database is away: the node that is back first leaves the other time to renew (rule 15). */
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

/* A database that hangs reports no error: the gap shows it. */
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
  (void)st;
  open_world(true);
  small_queue = 4000;
  return 0;
}

/* To the end in almost no time: nothing waits for a later turn. */
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
  assert_true(a->r->waiting.short_of[SLOT_ASYNC]); /* not all of them found room at once */
}

static void one_full_queue_does_not_disturb_the_other(void **st) {
  static const char *const both[] = {"SHELL", "ECHO"};
  struct member *a = join(0, 1, 5);
  (void)st;
  start(a, wide_flow(400, both, 2), 1);
  plays_at_once(a, 1500);
}

/* A cancel ends 3,000 nodes in slices, the node dies after the first, and the next one loads the flow for a request that changes
 * nothing, before it looks at the rows for what is left to do. */
static void slices_go_on_whoever_loaded_their_flow(void **st) {
  enum { N = 3000 };
  struct buf b = BUF_INIT;
  struct member *a = join(0, 0, 0);
  (void)st;
  turns(a);
  buf_str(&b, "{\"flowName\":\"s\",\"flowNodes\":[{\"nodeKey\":\"k0\",\"tasks\":[{\"taskType\":\"ECHO\"}]}");
  for (int i = 1; i < N; i++) buf_printf(&b, ",{\"nodeKey\":\"k%d\",\"prevNodes\":[\"k0\"],\"tasks\":[{\"taskType\":\"ECHO\"}]}", i);
  buf_str(&b, "]}");
  int64_t flow = memdb_save_flow(db, 0, b.data, N), fi = start(a, flow, 1);
  buf_done(&b);
  int n = 0;
  struct req cancel = {.kind = REQ_CANCEL_FLOW, .fi = fi, .done = answered, .done_ctx = &n};
  assert_true(runner_post(a->r, &cancel));
  one_turn(a);
  assert_int_equal(n, 1);
  const struct flow_row *row = &memdb_flow(db, fi)->r;
  assert_int_equal(row->live, 0);
  assert_non_null(row->more);
  leave(a);
  a = join(0, 0, 0);
  struct req again = {.kind = REQ_RERUN, .flow_id = flow, .fi = fi, .done = answered, .done_ctx = &n};
  assert_true(runner_post(a->r, &again));
  turns(a);
  assert_int_equal(again.rc, WR_NOT_RETRYABLE);
  assert_int_equal(row->state, FLOW_CANCELED);
}

/* A node comes back and its former spawner says which attempts it never started: only attempts that ran are lost. */
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

/* ---- hints that are lost, and tasks of others ---- */

#define ONE "{\"flowName\":\"o\",\"flowNodes\":[{\"tasks\":[{\"taskType\":\"ECHO\"}]}]}"

/* A node that has just joined looks once. */
static void settle(struct member *x) {
  for (int i = 0; i < 4; i++, now += 2 * SEC) turns(x);
}

static void ages(int64_t s) {
  now += s * SEC;
  db->now_us = now;
}

/* A backlog is an hour old, and its hints are lost: a node that has slots and pops nothing finds the rows at once. */
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
  assert_int_equal(n_hint, 23); /* the hints of the others are there again */
}

static bool no_echo(void *ctx, const struct task_def *t) {
  (void)ctx;
  return strcmp(t->type, "ECHO") != 0;
}

static uint32_t scans;
static enum mem_fate count_scans(void *ctx, void *node, enum mem_call what, const struct batch *b) {
  (void)ctx, (void)node, (void)b;
  scans += what == MEM_SCAN;
  return MEM_GO;
}

/* A node has popped a hint and died, or is frozen: the next node that is told to look finds the row, within two seconds. It does
 * not look while nothing was written since a look that found nothing. */
static void hint_that_died_with_a_node_is_found(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 7);
  (void)st;
  settle(b);
  for (int i = 0; i < 4; i++, now += SEC * 7 / 10) {
    runner_no_hints(b->r, SLOT_ASYNC);
    turns(b);
  }
  db->hooks.call = count_scans;
  scans = 0;
  for (int i = 0; i < 4; i++, now += SEC * 7 / 10) {
    runner_no_hints(b->r, SLOT_ASYNC);
    turns(b);
  }
  assert_true(scans <= 2); /* the reconciler's */
  start(a, memdb_save_flow(db, 0, CHAIN, 2), 3);
  n_hint = 0;
  for (int i = 0; i < 3; i++, ages(0)) {
    runner_no_hints(b->r, SLOT_ASYNC);
    for (int page = 0; page < 3; page++) turns(b);
    now += SEC * 7 / 10;
  }
  assert_int_equal(b->n_work, 3);
  assert_true(scans > 0);
}

/* The node that looks at the rows was frozen in the middle of the look: no other node waits for it. */
static void look_that_does_not_end_holds_up_nobody(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 7), *c = join(2, 0, 7);
  (void)st;
  settle(b);
  start(a, memdb_save_flow(db, 0, CHAIN, 2), 3);
  n_hint = 0;
  assert_true(store_asker(c->s, true));
  ages(1);
  runner_no_hints(b->r, SLOT_ASYNC);
  for (int i = 0; i < 15; i++, ages(0)) {
    turns(b);
    now += SEC / 10;
  }
  assert_int_equal(b->n_work, 3);
}

/* Tasks that no node can run are not looked for again and again while nothing happens. */
static void what_waits_for_nobody_is_asked_for_seldom(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 7);
  (void)st;
  defs_can_run(b->defs, no_echo, NULL);
  settle(b);
  start(a, memdb_save_flow(db, 0, ONE, 1), 3);
  n_hint = 0;
  db->hooks.call = count_scans;
  ages(1);
  b->pushed = 0;
  scans = 0;
  for (int i = 0; i < 100; i++, ages(0)) {
    runner_no_hints(b->r, SLOT_ASYNC);
    for (int page = 0; page < 3; page++) turns(b);
    n_hint = 0;
    now += SEC * 7 / 10;
  }
  assert_true(scans >= 2);
  assert_true(scans <= 60); /* reconciler's too */
}

/* The same when all slots were taken meanwhile, so that no poller popped. */
static void old_backlog_is_found_when_a_slot_is_free_again(void **st) {
  struct member *a = join(0, 0, 0), *b = join(1, 0, 5);
  (void)st;
  settle(b);
  start(a, memdb_save_flow(db, 0, ONE, 1), 30);
  n_hint = 5; /* the others are lost */
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

/* There is no queue: each node claims from the rows what it has slots for. */
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

/* Hints of a task that this node cannot run go back to the queue, slowly. The rows are left alone. */
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
  start(b, memdb_save_flow(db, 0, CHAIN, 2), 5); /* it does not claim them at once either */
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
    CLUSTER(lone_tasks_of_a_batch_are_read_together), CLUSTER(row_beside_what_runs_here_is_read_again),
    CLUSTER(rivals_work_makes_no_batch_stale),
    CLUSTER(flow_that_no_rival_touches_is_ours), CLUSTER(ids_survive_a_deadlock), CLUSTER(lone_task_gives_its_params_back),
    SINGLE(lone_task_gives_its_params_back), CLUSTER(one_sends_hints_again_until_it_dies),
    CLUSTER(old_backlog_is_found_when_a_pop_is_empty), CLUSTER(old_backlog_is_found_when_a_slot_is_free_again),
    CLUSTER(hint_that_died_with_a_node_is_found), CLUSTER(look_that_does_not_end_holds_up_nobody),
    CLUSTER(what_waits_for_nobody_is_asked_for_seldom), CLUSTER(without_a_queue_rows_are_claimed), CLUSTER(what_a_node_cannot_run_it_leaves_to_others),
    CLUSTER(any_node_finds_what_the_dead_have_lost), CLUSTER(after_an_outage_nobody_is_declared_dead_at_once),
    CLUSTER(after_a_silence_nobody_is_declared_dead_at_once), SMALL(fan_out_beyond_the_queue_does_not_wait),
    SMALL(one_full_queue_does_not_disturb_the_other), SINGLE(slices_go_on_whoever_loaded_their_flow), SINGLE(what_never_started_is_no_loss),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
