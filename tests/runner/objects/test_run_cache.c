/* The cache of runs alone: what it holds, in which order it lets go, what a batch that did not commit leaves, slices, parking. */
#include "env_kit.h"
#include "cache.h"

enum { ROOM = 1 << 20 };
static struct cache cache;
static struct timers timers;
static struct dag *dag;

static int open_cache(size_t bytes) {
  timers_init(&timers, 100);
  cache_init(&cache, &kit.env, &kit.events, &timers, bytes);
  dag = dag_one();
  return 0;
}
static int set_up(void **st) {
  (void)kit_up(st);
  kit.env.single = true;
  return open_cache(ROOM);
}
static int tear_down(void **st) {
  cache_check(&cache);
  cache_done(&cache);
  timers_done(&timers);
  dag_unref(dag);
  return kit_down(st);
}

/* A flow of one node whose row is in the store. */
static struct cached *add_flow(int64_t fi, int64_t due_us) {
  struct flow_def *def = wr_new(struct flow_def);
  atomic_store(&def->refs, 1);
  def->dag = dag_ref(dag);
  struct run *run = run_new(dag, fi, (struct run_base){fi * 10, fi * 10}, FLOW_RUNNING);
  run->row = 1;
  run->due_us = due_us;
  return cache_add_flow(&cache, run, def, params_new("{\"a\":1}"));
}

static struct cached *add_alone(int64_t ti) {
  struct task_def *def = wr_new(struct task_def);
  atomic_store(&def->refs, 1);
  def->version = 3;
  return cache_add_alone(&cache, run_new_alone(cache.one, ti), def, NULL, alone_new(&(struct queue_view){"", "", 0, 0, NULL}, NULL));
}

static bool has(int64_t key) { return cache_get(&cache, key) != NULL; }
static void next_batch(void) { kit.env.batch_no++; }

/* ---- keys and budgets ---- */

static void flows_and_lone_tasks_have_keys_of_their_own(void **st) {
  (void)st;
  struct cached *f = add_flow(5, 0), *t = add_alone(5);
  assert_ptr_equal(cache_get(&cache, 5), f);
  assert_ptr_equal(cache_get(&cache, -5), t);
  assert_true(cache.flows.bytes > 0 && cache.alone.bytes > 0);
  assert_ptr_equal(t->run->bind, &t->bind);
  assert_int_equal(t->bind.version, 3);
  cache_check(&cache);
  cache_drop(&cache, f);
  assert_false(has(5));
  assert_int_equal(cache.flows.bytes, 0);
  assert_true(has(-5));
  cache_drop(&cache, t);
  assert_int_equal(cache.alone.bytes, 0);
}

/* Its tasks count from then on, and leave with it. */
static void a_node_that_grew_counts(void **st) {
  const struct dag_spec_node v = {.n_task = 1, .need = 1, .expands = 1};
  uint32_t cycle[1], n_cycle;
  (void)st;
  dag_unref(dag);
  dag = dag_new(&v, 1, FLOW_CANCEL, 0, cycle, &n_cycle);
  struct cached *f = add_flow(5, 0);
  size_t before = cache.flows.bytes;
  assert_true(run_bases_parse(f->run, "50:50+0:10000:1000"));
  cache_grew(&cache, f);
  assert_true(cache.flows.bytes - before >= 10000 * sizeof *f->run->task);
  cache_check(&cache);
  cache_drop(&cache, f);
  assert_int_equal(cache.flows.bytes, 0);
}

static void use_moves_to_the_front(void **st) {
  (void)st;
  struct cached *one = add_flow(1, 0), *two = add_flow(2, 0);
  next_batch();
  assert_ptr_equal(cache_newest(&cache), two);
  assert_ptr_equal(cache_get(&cache, 1), one); /* cache_get() does not count as use */
  assert_ptr_equal(cache_newest(&cache), two);
  assert_ptr_equal(cache_use(&cache, 1), one);
  assert_ptr_equal(cache_newest(&cache), one);
  assert_ptr_equal(cache_older(&cache, one), two);
  assert_null(cache_older(&cache, two));
  assert_int_equal(one->touched, kit.env.batch_no);
  assert_null(cache_use(&cache, 9));
}

/* ---- a batch that did not commit ---- */

static void undo_drops_what_was_touched(void **st) {
  (void)st;
  for (int64_t i = 1; i <= 4; i++) (void)add_flow(i, 0), (void)add_alone(i);
  next_batch();
  (void)cache_use(&cache, 2);
  (void)cache_use(&cache, -3);
  (void)add_flow(9, 0);
  (void)add_alone(9);
  cache_undo(&cache);
  for (int64_t i = 1; i <= 4; i++) {
    assert_int_equal(has(i), i != 2);
    assert_int_equal(has(-i), i != 3);
  }
  assert_false(has(9) || has(-9));
  assert_int_equal(kit.events.n, 0);
}

static void undo_forgets_no_slice(void **st) {
  (void)st;
  for (int64_t i = 1; i <= 3; i++) cache_slice_later(&cache, add_flow(i, 0));
  next_batch();
  cache_touch(&cache, cache_slice_now(&cache));                        /* went on, and ended */
  struct cached *two = cache_slice_now(&cache);
  cache_touch(&cache, two);
  cache_slice_later(&cache, two);                                      /* went on, and goes on */
  cache_undo(&cache);
  assert_int_equal(kit_count(EV_MORE), 2);
  assert_true(kit.events.v[0].fi + kit.events.v[1].fi == 3);
  assert_true(has(3) && !has(1) && !has(2));
  assert_int_equal(cache.slices.n, 1);
  next_batch();
  cache_touch(&cache, cache_get(&cache, 3));
  kit_forget_events();
  cache_undo(&cache); /* touched, but its slice was not taken */
  assert_int_equal(kit_count(EV_MORE), 1);
}

/* ---- timers of flows ---- */

static void timers_of_flows_that_were_never_stored_stop(void **st) {
  (void)st;
  struct cached *kept = add_flow(1, 77), *made = add_flow(2, 88);
  made->run->row = 0;
  assert_int_equal(timers_count(&timers), 2);
  cache_drop(&cache, kept); /* its row waits, cached or not */
  assert_int_equal(timers_count(&timers), 2);
  cache_drop(&cache, made);
  assert_int_equal(timers_count(&timers), 1);
  assert_int_equal(timers_next(&timers), 77);
  (void)add_flow(3, 0);
  assert_int_equal(timers_count(&timers), 1);
}

/* ---- a batch that did ---- */

static void lone_tasks_stay_where_no_rival_is(void **st) {
  (void)st;
  struct cached *open = add_alone(1), *ended = add_alone(2), *before;
  (void)add_flow(3, 0);
  open->run->task[0].t.epoch = 4;
  open->run->task[0].t.state = TASK_RUNNING;
  ended->run->state = FLOW_SUCCESS;
  cache_committed(&cache);
  assert_true(has(-1) && !has(-2) && has(3));
  assert_int_equal(open->stored_epoch, 4);
  assert_int_equal(open->stored_state, TASK_RUNNING);
  next_batch();
  before = cache_get(&cache, -1);
  before->run->task[0].t.epoch = 5;
  cache_committed(&cache); /* not touched by that batch */
  assert_int_equal(before->stored_epoch, 4);
  kit.env.single = false;
  (void)cache_use(&cache, -1);
  cache_committed(&cache);
  assert_false(has(-1));
  assert_true(has(3)); /* a flow has a version, which would tell */
}

/* What runs here stays for the report of its end; a fence ends that. */
static void where_rivals_are_what_runs_here_stays(void **st) {
  (void)st;
  kit.env.single = false;
  struct cached *mine = add_alone(1), *waits = add_alone(2);
  mine->run->task[0].t.state = TASK_RUNNING, mine->run->task[0].t.owner = kit.env.me;
  waits->run->task[0].t.state = TASK_QUEUED;
  assert_false(cached_kept(mine));
  cache_committed(&cache);
  assert_true(has(-1) && !has(-2) && cached_kept(mine));
  cache_drop_flows(&cache);
  assert_false(has(-1));
}

static size_t flow_bytes(void) {
  struct cached *e = add_flow(999, 0);
  size_t n = e->used.bytes;
  cache_drop(&cache, e);
  return n;
}

static void reopen(size_t bytes) {
  cache_done(&cache);
  timers_done(&timers);
  dag_unref(dag);
  (void)open_cache(bytes);
}

static void the_oldest_flows_go(void **st) {
  (void)st;
  size_t each = flow_bytes();
  reopen(each * 3);
  for (int64_t i = 1; i <= 5; i++) next_batch(), (void)add_flow(i, 0);
  (void)cache_use(&cache, 1);
  assert_int_equal(cache.by_key.n, 5); /* not before the batch is over */
  cache_committed(&cache);
  assert_true(has(1) && has(4) && has(5) && !has(2) && !has(3));
  assert_int_equal(kit.events.n, 0); /* none of them waits for anything */
  reopen(1);
  (void)add_flow(1, 0);
  (void)add_flow(2, 0);
  cache_committed(&cache);
  assert_true(has(2) && !has(1)); /* the newest stays, however large */
}

/* Stand-alone tasks never have more than an eighth, and make no room below that. */
static void lone_tasks_keep_an_eighth(void **st) {
  (void)st;
  reopen(flow_bytes() * 24);
  for (int64_t i = 1; i <= 2; i++) (void)add_alone(i);
  assert_true(cache.alone.bytes <= cache.flows.most / 8);
  for (int64_t i = 1; i <= 23; i++) (void)add_flow(i, 0);
  cache_committed(&cache);
  assert_true(has(-1) && has(-2) && !has(1)); /* a flow made room */
  size_t flows = cache.flows.bytes;
  for (int64_t i = 3; i <= 40; i++) (void)add_alone(i);
  cache_committed(&cache);
  assert_true(has(-40) && !has(-1));
  assert_int_equal(cache.flows.bytes, flows);
  assert_true(cache.alone.bytes + flows <= cache.flows.most);
}

static void lone_tasks_keep_no_more_where_there_is_room(void **st) {
  (void)st;
  reopen(flow_bytes() * 24);
  for (int64_t i = 1; i <= 40; i++) (void)add_alone(i);
  cache_committed(&cache);
  assert_true(has(-40) && !has(-1));
  assert_true(cache.alone.bytes <= cache.flows.most / 8);
}

static void fenced_no_flow_is_left(void **st) {
  (void)st;
  cache_slice_later(&cache, add_flow(1, 0));
  (void)add_flow(2, 0);
  (void)add_alone(3);
  cache_drop_flows(&cache);
  assert_null(cache_newest(&cache));
  assert_true(has(-3));
  assert_false(cache_slices_wait(&cache));
  assert_int_equal(kit_event(EV_MORE)->fi, 1);
}

/* ---- slices ---- */

static void slices_take_turns(void **st) {
  (void)st;
  struct cached *one = add_flow(1, 0), *two = add_flow(2, 0);
  cache_slice_later(&cache, one);
  cache_slice_later(&cache, two);
  cache_slice_later(&cache, one); /* the flow has its turn already */
  assert_int_equal(cache.slices.n, 2);
  assert_ptr_equal(cache_slice_now(&cache), one);
  assert_int_equal(one->sliced, kit.env.batch_no);
  cache_slice_later(&cache, one);
  assert_ptr_equal(cache_slice_now(&cache), two);
  assert_ptr_equal(cache_slice_now(&cache), one);
  assert_false(cache_slices_wait(&cache));
}

/* Large flows in a small cache: the newest stays, and the flow whose turn is next. The others come when there is room. */
static void those_without_room_are_parked(void **st) {
  (void)st;
  reopen(1);
  for (int64_t i = 1; i <= 4; i++) cache_slice_later(&cache, add_flow(i, 0));
  cache_committed(&cache);
  assert_true(has(1) && has(4) && !has(2) && !has(3));
  assert_int_equal(kit.events.n, 0); /* parked: not loaded again at once */
  assert_int_equal(cache.parked.n, 2);
  cache_unpark(&cache);
  assert_int_equal(kit.events.n, 0); /* others go on */
  (void)cache_slice_now(&cache);
  (void)cache_slice_now(&cache);
  assert_true(cache_slices_wait(&cache)); /* nobody else would wake the runner for those that are parked */
  cache_unpark(&cache);
  cache_unpark(&cache);
  cache_unpark(&cache);
  assert_false(cache_slices_wait(&cache));
  assert_int_equal(kit_count(EV_MORE), 2);
  assert_int_equal(kit.events.v[0].fi + kit.events.v[1].fi, 5);
}

/* A parked flow that is loaded for another reason goes on by itself, however often that happens. */
static void what_is_parked_is_known_once(void **st) {
  (void)st;
  reopen(1);
  for (int i = 0; i < 100; i++) {
    for (int64_t fi = 1; fi <= 4; fi++)
      if (!has(fi)) cache_slice_later(&cache, add_flow(fi, 0));
    cache_committed(&cache);
    cache_check(&cache);
    assert_true(cache.parked.n <= 2);
  }
}

/* ---- what never happens ---- */

static void other_size(void) {
  add_flow(1, 0)->used.bytes++;
  cache_check(&cache);
}
static void slice_forgotten(void) {
  add_flow(1, 0)->in_slices = true;
  cache_check(&cache);
}
static void other_key(void) {
  add_alone(1)->run->base[0].ti = 2;
  cache_check(&cache);
}
static void facts_are_kept(void **st) {
  (void)st;
  assert_true(aborts(other_size));
  assert_true(aborts(slice_forgotten));
  assert_true(aborts(other_key));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(flows_and_lone_tasks_have_keys_of_their_own), OBJECT(a_node_that_grew_counts), OBJECT(use_moves_to_the_front), OBJECT(undo_drops_what_was_touched),
    OBJECT(undo_forgets_no_slice), OBJECT(timers_of_flows_that_were_never_stored_stop),
    OBJECT(lone_tasks_stay_where_no_rival_is), OBJECT(where_rivals_are_what_runs_here_stays),
    OBJECT(the_oldest_flows_go), OBJECT(lone_tasks_keep_an_eighth), OBJECT(lone_tasks_keep_no_more_where_there_is_room),
    OBJECT(fenced_no_flow_is_left), OBJECT(slices_take_turns), OBJECT(those_without_room_are_parked), OBJECT(what_is_parked_is_known_once), OBJECT(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
