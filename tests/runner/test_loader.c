/* The loader and the stepper alone, over rows that a runner has made: what is read, what is refused, and where ready tasks go.
 *
 * The bare parts are a second member of the cluster, without a runner. The tests do the steps of a batch by hand. */
#include "cluster.h"
#include "loader.h"
#include "step.h"

static struct env env;
static struct events events;
static struct timers flow_timers;
static struct cache cache;
static struct quarantine quarantine;
static struct admission admission;
static struct queues queues;
static struct jobs jobs;
static struct loader loader;
static struct stepper step;

/* ---- the bare parts ---- */

static void bare(void) {
  struct member *x = &m[1];
  const uint32_t capacity[SLOT__N] = {1, 1};
  x->s = memdb_connect(db, x);
  x->defs = m[0].defs;
  x->tail = &x->work;
  env = (struct env){.store = x->s, .defs = x->defs, .me = runner_incarnation(m[0].r), .wall_us = now, .boot_us = now, .single = db->single};
  arena_init(&env.mem, 0);
  timers_init(&flow_timers, 100);
  cache_init(&cache, &env, &events, &flow_timers, 1 << 20);
  quarantine_init(&quarantine, &env, &events, NULL, &admission, NULL);
  admission_init(&admission, &env, capacity, 0);
  jobs_init(&jobs, &env);
  loader_init(&loader, &env, &cache, &quarantine, &jobs);
  queues_init(&queues, &env, &(struct queue_opts){0});
  stepper_init(&step, &env, &cache, &loader, &jobs, &admission, &queues, 5);
}

static int end_bare(void **st) {
  if (env.store) {
    jobs_done(&jobs);
    effects_clear(&step.effects);
    stepper_done(&step);
    queues_done(&queues);
    cache_done(&cache);
    quarantine_done(&quarantine);
    admission_done(&admission);
    timers_done(&flow_timers);
    arena_done(&env.mem);
    m[1].defs = NULL; /* the first member's */
    env.store = NULL;
  }
  events_done(&events);
  return tear_down(st);
}

static void begin(void) {
  env.batch_no++;
  loader_begin(&loader);
  stepper_begin(&step);
  admission_turn(&admission);
  assert_int_equal(store_begin(env.store, &env.defs_version), STORE_OK);
}

/* Gives the batch up, as when it does not commit. */
static void undo(void) {
  store_rollback(env.store);
  effects_clear(&step.effects);
  cache_undo(&cache);
}

/* Loads what one event needs. */
static struct cached *load(struct ev e) {
  events.n = 0;
  events_add(&events, e);
  assert_int_equal(load_batch(&loader, &events, 1), STORE_OK);
  return cache_get(&cache, e.fi);
}

/* A flow of two nodes whose first task runs. */
static int64_t made(struct ev *e) {
  struct member *a = join(0, 0, 2);
  turns(a);
  int64_t fi = start(a, memdb_save_flow(db, 0, CHAIN, 2), 1);
  *e = (struct ev){.kind = EV_DUE, .fi = fi, .ti = a->work->ti};
  bare();
  begin();
  return fi;
}

/* ---- the loader ---- */

static void a_head_brings_its_rows(void **st) {
  struct ev e;
  (void)st;
  int64_t fi = made(&e);
  struct cached *c = load(e);
  assert_non_null(c);
  assert_int_equal(c->run->version, memdb_flow(db, fi)->r.version);
  assert_true(run_known(c->run, 0));
  assert_int_equal(c->run->task[0].t.state, TASK_RUNNING);
  assert_int_equal(c->locked, env.batch_no);
  assert_false(loader_held(&loader, fi));
  undo();
  assert_null(cache_get(&cache, fi)); /* it was touched by a batch that did not commit */
}

static void on_a_single_store_all_rows_come(void **st) {
  struct ev e;
  (void)st;
  made(&e);
  struct cached *c = load(e);
  assert_true(run_known(c->run, 0) && run_known(c->run, 1));
  undo();
}

static void what_is_cached_is_read_again_when_it_changed(void **st) {
  struct ev e;
  (void)st;
  int64_t fi = made(&e);
  struct cached *c = load(e);
  store_rollback(env.store);
  env.batch_no++;
  begin();
  assert_ptr_equal(load(e), c); /* the version of the row is the same */
  store_rollback(env.store);
  memdb_flow(db, fi)->r.version++;
  begin();
  c = load(e);
  assert_int_equal(c->run->version, memdb_flow(db, fi)->r.version);
  undo();
}

static void what_another_holds_is_left_out(void **st) {
  struct ev e;
  (void)st;
  int64_t fi = made(&e);
  assert_true(memdb_hold(db, MEM_ROW_FLOW, fi));
  assert_null(load(e));
  assert_true(loader_held(&loader, fi));
  assert_false(quarantine_has(&quarantine, fi));
  undo();
  memdb_release(db);
}

static void unreadable(struct ev e) {
  assert_null(load(e));
  assert_true(quarantine_has(&quarantine, e.fi));
  undo();
}

static void a_row_that_cannot_be_is_set_aside(void **st) {
  struct ev e;
  (void)st;
  memdb_task(db, (made(&e), e.ti))->r.t.epoch = UINT32_MAX;
  unreadable(e);
}

/* `bases` leads to the rows of another flow. */
static void rows_of_another_flow_are_not_believed(void **st) {
  struct ev e;
  (void)st;
  int64_t fi = made(&e);
  memdb_task(db, e.ti)->r.fi = fi + 1;
  unreadable(e);
}
static void nodes_of_another_flow_are_not_believed(void **st) {
  struct ev e;
  (void)st;
  int64_t fi = made(&e), ni = memdb_task(db, e.ti)->r.ni;
  memdb_node(db, ni)->r.fi = fi + 1;
  unreadable(e);
}

/* On a store with rivals only the head is read first: the batch meets the damage later, and is halved down to this event. */
static void with_rivals_the_batch_hears_of_it(void **st) {
  struct ev e;
  (void)st;
  int64_t fi = made(&e);
  memdb_task(db, e.ti)->r.fi = fi + 1;
  events_add(&events, e);
  assert_int_equal(load_batch(&loader, &events, 1), STORE_BAD);
  undo();
}

/* ---- stand-alone tasks ---- */

static int64_t alone(void) {
  struct member *a = join(0, 0, 2);
  turns(a);
  request(a, &(struct req){.kind = REQ_EXEC_TASK, .task = &(struct req_task){.task_id = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}")}, .n_task = 1});
  bare();
  begin();
  return a->work->ti;
}

static void a_task_alone_is_a_run_of_one_node(void **st) {
  struct cached *c;
  (void)st;
  int64_t ti = alone();
  assert_int_equal(load_alone(&loader, ti, false, &c), STORE_OK);
  assert_true(run_alone(c->run) && c->run->task[0].t.state == TASK_RUNNING);
  assert_int_equal(c->stored_epoch, 1);
  assert_int_equal(load_alone(&loader, ti + 1, false, &c), STORE_OK);
  assert_null(c); /* there is none */
  undo();
}

static void what_it_cannot_be_is_dropped(void **st) {
  struct cached *c;
  (void)st;
  struct task *t = &memdb_task(db, alone())->r.t;
  t->epoch = UINT32_MAX;
  assert_int_equal(load_alone(&loader, m[0].work->ti, false, &c), STORE_OK);
  assert_null(c);
  t->epoch = 1, t->owner = 0; /* it runs, but has no owner */
  assert_int_equal(load_alone(&loader, m[0].work->ti, false, &c), STORE_OK);
  assert_null(c);
  undo();
}

/* ---- the stepper ---- */

static struct run_event result(const struct attempt *a) {
  return (struct run_event){.kind = RUN_EV_TASK, .task = 0, .ev = {.kind = TASK_EV_OK, .owner = a->owner, .epoch = a->epoch}, .pol = &a->policy};
}
static size_t after(enum after_kind kind) {
  size_t n = 0;
  for (size_t i = 0; i < step.effects.n_after; i++) n += step.effects.after[i].kind == kind;
  return n;
}

static void what_becomes_ready_is_taken_home(void **st) {
  struct ev e;
  enum run_rc out;
  (void)st;
  made(&e);
  struct run_event ev = result(m[0].work);
  assert_int_equal(step_event(&step, load(e), &ev, &out), STORE_OK);
  assert_int_equal(out, RUN_OK);
  assert_int_equal(after(AFTER_START), 1);
  assert_int_equal(after(AFTER_READY) + after(AFTER_PUSH), 0);
  assert_int_equal(admission.pool[SLOT_ASYNC].free, 0);
  undo();
}

static void without_capacity_it_goes_to_the_queue(void **st) {
  struct ev e;
  enum run_rc out;
  (void)st;
  made(&e);
  admission.pool[SLOT_ASYNC].capacity = 0;
  admission_turn(&admission);
  struct run_event ev = result(m[0].work);
  assert_int_equal(step_event(&step, load(e), &ev, &out), STORE_OK);
  assert_int_equal(after(AFTER_PUSH), 1);
  assert_int_equal(after(AFTER_READY) + after(AFTER_START), 0);
  undo();
}

static void a_late_report_changes_nothing(void **st) {
  struct ev e;
  enum run_rc out;
  (void)st;
  made(&e);
  struct run_event ev = result(m[0].work);
  ev.ev.epoch++;
  struct cached *c = load(e);
  assert_int_equal(step_event(&step, c, &ev, &out), STORE_OK);
  assert_int_equal(out, RUN_LATE);
  assert_int_equal(step.effects.n_task + step.effects.n_after, 0);
  assert_int_equal(c->touched, env.batch_no); /* the batch has looked at it: its version is confirmed */
  undo();
}

/* The row of its node is read only when the task could be taken. */
static void a_policy_is_known_before_its_row(void **st) {
  struct ev e;
  struct task_policy own;
  const struct task_policy *pol;
  (void)st;
  int64_t fi = made(&e);
  struct cached *c = load((struct ev){.kind = EV_REQ, .fi = fi, .q = &(struct req){0}});
  assert_false(run_known(c->run, 0));
  admission.pool[SLOT_ASYNC].free = 0;
  assert_int_equal(step_policy(&step, c, 0, &own, &pol), STORE_OK);
  assert_int_equal(pol->slot, SLOT_ASYNC);
  assert_false(run_known(c->run, 0));
  admission.pool[SLOT_ASYNC].free = 1;
  assert_int_equal(step_policy(&step, c, 0, &own, &pol), STORE_OK);
  assert_true(run_known(c->run, 0));
  undo();
}

#define CLUSTER(f) cmocka_unit_test_setup_teardown(f, set_up, end_bare)
#define SINGLE(f) cmocka_unit_test_setup_teardown(f, set_up_single, end_bare)

int main(void) {
  const struct CMUnitTest tests[] = {
    CLUSTER(a_head_brings_its_rows), SINGLE(on_a_single_store_all_rows_come), CLUSTER(what_is_cached_is_read_again_when_it_changed),
    CLUSTER(what_another_holds_is_left_out), SINGLE(a_row_that_cannot_be_is_set_aside), SINGLE(rows_of_another_flow_are_not_believed),
    SINGLE(nodes_of_another_flow_are_not_believed), CLUSTER(with_rivals_the_batch_hears_of_it),
    CLUSTER(a_task_alone_is_a_run_of_one_node), CLUSTER(what_it_cannot_be_is_dropped),
    CLUSTER(what_becomes_ready_is_taken_home), CLUSTER(without_capacity_it_goes_to_the_queue), CLUSTER(a_late_report_changes_nothing),
    CLUSTER(a_policy_is_known_before_its_row),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
