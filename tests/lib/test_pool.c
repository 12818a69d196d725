/* The threads of routines (lib/pool.c) by themselves, at an end of which some do not come back in time. Around the pool is nothing: an
 * attempt is a gate that the test opens. */
#include "lib_int.h"                 /* first: it has a fail() too */
#include "kit.h"
#include <poll.h>
#include <stdatomic.h>

struct one { struct weir_attempt_s a; struct lib_type type; atomic_bool came, open, left; };
static atomic_int freed;

static void soon(const atomic_bool *what) {
  for (int ms = 0; !atomic_load(what); ms += 2) {
    if (ms > SOON_MS) fail_msg("it does not come");
    (void)poll(NULL, 0, 2);
  }
}

/* ---- what the pool calls ---- */

void attempt_run(struct weir_attempt_s *a) {
  struct one *o = (struct one *)(void *)a;
  atomic_store(&o->came, true);
  soon(&o->open);
}
static atomic_bool may_let_go = true;
void attempt_unref(struct weir_attempt_s *a) {
  soon(&may_let_go);
  atomic_store(&((struct one *)(void *)a)->left, true);
}
bool enter(weir_t *h) { return h->node != NULL; }
void leave(weir_t *h) { (void)h; }
void runner_lend(struct runner *r, enum slot_class slot, int32_t n) { (void)r, (void)slot, (void)n; }
void runner_lend_cost(struct runner *r, int64_t ti, bool lent) { (void)r, (void)ti, (void)lent; }
static void count_free(weir_t *h) { (void)h, atomic_fetch_add(&freed, 1); }

/* Threads are counted, and each waits until they may begin. */
static atomic_int made;
static atomic_bool may_begin = true;
struct begun { void *(*run)(void *); void *arg; };
static void *held(void *arg) {
  struct begun b = *(struct begun *)arg;
  free(arg);
  soon(&may_begin);
  return b.run(b.arg);
}
int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg) {
  struct begun *b = wr_new(struct begun);
  *b = (struct begun){run, arg};
  atomic_fetch_add(&made, 1);
  return __real_pthread_create(t, attr, held, b);
}

/* ---- the tests ---- */

static weir_t handle;
static struct pool *pool;
static struct one first, newest;     /* pool_end() comes to the newest thread first */

static void begin(struct one *o) {
  *o = (struct one){.a = {.type = &o->type}};
  assert_true(pool_add(pool, &o->a));
  soon(&o->came);
}

static int fresh(void **st) {
  (void)st;
  handle = (weir_t){.free = count_free};
  atomic_store(&freed, 0);
  pool = pool_new(&handle, 2, 0);
  begin(&first);
  begin(&newest);
  return 0;
}

static uint32_t stayed;
static atomic_bool ended;
static void *end_it(void *arg) {
  stayed = pool_end(arg);
  atomic_store(&ended, true);
  return NULL;
}

/* Returns when the end has seen the threads, and waits for those that were not given up. */
static pthread_t end_begins(void) {
  pthread_t t;
  atomic_store(&ended, false);
  assert_int_equal(pthread_create(&t, NULL, end_it, pool), 0);
  (void)poll(NULL, 0, 100);
  assert_false(atomic_load(&ended));
  return t;
}

static void come_back(struct one *o) {
  atomic_store(&o->open, true);
  soon(&o->left);
  (void)poll(NULL, 0, 100); /* and its thread ends */
}

/* A routine that was given up comes back while the end still waits for another one: the pool is still in use. */
static void test_back_during_end(void **st) {
  (void)st;
  pool_give_up(pool, &newest.a);
  pthread_t t = end_begins();
  come_back(&newest);
  IS(atomic_load(&freed), 0);
  come_back(&first);
  pthread_join(t, NULL);
  IS(stayed, 0);
  IS(atomic_load(&freed), 0); /* the handle is for him to free who ended the pool */
}

/* One that the end waits for is given up meanwhile: it is none of those that stay, and counts for none of them. */
static void test_given_up_during_end(void **st) {
  (void)st;
  pool_give_up(pool, &newest.a);
  pthread_t t = end_begins();
  pool_give_up(pool, &first.a);
  come_back(&first);
  pthread_join(t, NULL);
  IS(stayed, 1);
  IS(atomic_load(&freed), 0);
  come_back(&newest);
  IS(atomic_load(&freed), 1);
}

/* What still waits for a slot does not get a thread of its own any more. */
static void test_nothing_begins_after_end(void **st) {
  static struct one third;
  (void)st;
  third = (struct one){.a = {.type = &third.type}};
  assert_true(pool_add(pool, &third.a));
  pool_give_up(pool, &newest.a);
  pool_give_up(pool, &first.a);
  IS(pool_end(pool), 2);
  come_back(&newest);
  IS(atomic_load(&freed), 0);
  come_back(&first);
  IS(atomic_load(&freed), 1);
  assert_false(atomic_load(&third.came));
}

enum { SLOTS = 4, MANY = 50 };
static struct one many[MANY];

static void add_many(int n, bool open) {
  atomic_store(&made, 0);
  for (int i = 0; i < n; i++) {
    many[i] = (struct one){.a = {.type = &many[i].type}, .open = open};
    assert_true(pool_add(pool, &many[i].a));
  }
}

/* Before a thread has come, no other one is made: routines that are over at once do not get one each. */
static void test_one_comes_at_a_time(void **st) {
  (void)st;
  handle = (weir_t){.free = count_free};
  pool = pool_new(&handle, SLOTS, 0);
  atomic_store(&may_begin, false);
  add_many(MANY, true);
  IS(atomic_load(&made), 1);
  atomic_store(&may_begin, true);
  for (int i = 0; i < MANY; i++) soon(&many[i].left);
  assert_true(atomic_load(&made) <= SLOTS);
  IS(pool_end(pool), 0);
}

/* The first one sends for the next: all slots are used, by new threads and by those that were idle, and none beyond. */
static void test_each_sends_for_the_next(void **st) {
  (void)st;
  handle = (weir_t){.free = count_free};
  pool = pool_new(&handle, SLOTS, 0);
  for (int round = 0; round < 3; round++) {
    add_many(SLOTS + 1, false);
    for (int i = 0; i < SLOTS; i++) soon(&many[i].came);
    (void)poll(NULL, 0, 20);
    assert_false(atomic_load(&many[SLOTS].came));
    IS(atomic_load(&made), round == 0 ? SLOTS : 0);
    for (int i = 0; i <= SLOTS; i++) come_back(&many[i]);
  }
  IS(pool_end(pool), 0);
}

/* A routine has returned, and its thread has not looked yet what is next: no other thread is made for its slot. */
static void test_none_for_a_slot_that_is_left(void **st) {
  static struct one more[SLOTS];
  (void)st;
  handle = (weir_t){.free = count_free};
  pool = pool_new(&handle, SLOTS, 0);
  add_many(SLOTS, false);
  for (int i = 0; i < SLOTS; i++) soon(&many[i].came);
  atomic_store(&may_let_go, false);
  for (int i = 0; i < SLOTS; i++) atomic_store(&many[i].open, true);
  (void)poll(NULL, 0, 50);
  for (int i = 0; i < SLOTS; i++) {
    more[i] = (struct one){.a = {.type = &more[i].type}, .open = true};
    assert_true(pool_add(pool, &more[i].a));
  }
  (void)poll(NULL, 0, 50);
  IS(atomic_load(&made), SLOTS);
  atomic_store(&may_let_go, true);
  for (int i = 0; i < SLOTS; i++) soon(&more[i].left);
  IS(atomic_load(&made), SLOTS);
  IS(pool_end(pool), 0);
}

int main(void) {
  const struct CMUnitTest all[] = {
    cmocka_unit_test_setup(test_back_during_end, fresh), cmocka_unit_test_setup(test_given_up_during_end, fresh),
    cmocka_unit_test_setup(test_nothing_begins_after_end, fresh), cmocka_unit_test(test_one_comes_at_a_time),
    cmocka_unit_test(test_each_sends_for_the_next), cmocka_unit_test(test_none_for_a_slot_that_is_left)};
  return cmocka_run_group_tests_name("pool", all, NULL, NULL);
}
