/* The facts of queue.h, run by test_queue_redis. Main thread unless a popper says otherwise. */
#include "queue_facts.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"
#include "text.h"

struct queue *(*facts_open)(size_t max);

struct queue *open_url(const char *url, const char *prefix, size_t max) {
  struct queue *q = NULL;
  struct wr_err err;
  assert_int_equal(queue_open(url, prefix, max, &q, &err), WR_OK);
  assert_non_null(q);
  queue_set_node(q, 1);
  return q;
}

static struct hint *range(int64_t lo, int64_t hi) {
  struct hint *h = wr_calloc((size_t)(hi - lo + 1), sizeof *h);
  for (int64_t i = lo; i <= hi; i++) h[i - lo] = (struct hint){i, 2 * i, 0};
  return h;
}

bool push_all(struct queue *q, const struct hint *h, size_t n) {
  size_t sent = 0;
  enum queue_push how = queue_push(q, h, n, &sent);
  if (how == QUEUE_SENT) assert_int_equal(sent, n);
  else assert_true(sent < n);
  return how == QUEUE_SENT;
}

void push_range(struct queue *q, int64_t lo, int64_t hi) {
  struct hint *h = range(lo, hi);
  assert_true(push_all(q, h, (size_t)(hi - lo + 1)));
  free(h);
}

size_t pop_some(struct queue *q, struct hint *out, size_t n) {
  bool away;
  size_t got = queue_pop(q, out, n, FOREVER_US, &away);
  assert_false(away);
  assert_true(got >= 1 && got <= n);
  return got;
}

void pop_range(struct queue *q, int64_t lo, int64_t hi) {
  struct hint h[97];
  while (lo <= hi) {
    size_t want = hi - lo + 1 < 97 ? (size_t)(hi - lo + 1) : 97;
    size_t got = pop_some(q, h, want);
    for (size_t i = 0; i < got; i++, lo++) {
      assert_int_equal(h[i].ti, lo);
      assert_int_equal(h[i].fi, 2 * lo);
    }
  }
}

void pop_nothing(struct queue *q) {
  struct hint h[4];
  bool away = true;
  assert_int_equal(queue_pop(q, h, 4, 0, &away), 0);
  assert_false(away);
}

static void *popper_main(void *arg) {
  struct popper *p = arg;
  p->tid = gettid();
  p->got = queue_pop(p->q, p->out, p->n, FOREVER_US, &p->away);
  return NULL;
}

void popper_start(struct popper *p, struct queue *q, size_t n) {
  *p = (struct popper){.q = q, .n = n};
  assert_int_equal(pthread_create(&p->thread, NULL, popper_main, p), 0);
}

/* After tid is set the thread sleeps nowhere but in queue_pop. */
void popper_blocked(struct popper *p) {
  char path[64], state = 0;
  while (p->tid == 0) sched_yield();
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", p->tid);
  while (state != 'S') {
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
    fclose(f);
    sched_yield();
  }
}

void popper_join(struct popper *p) { assert_int_equal(pthread_join(p->thread, NULL), 0); }

/* ---- facts ---- */

static void fact_empty(void **st) {
  (void)st;
  struct queue *q = facts_open(0);
  pop_nothing(q);
  assert_int_equal(queue_depth(q), 0);
  assert_true(push_all(q, NULL, 0));
  pop_nothing(q);
  queue_close(q);
}

static void fact_fifo(void **st) {
  (void)st;
  struct queue *q = facts_open(100000);
  int64_t in = 0, out = 0;
  for (int round = 1; round <= 60; round++) {
    push_range(q, in + 1, in + round * 37);
    in += round * 37;
    pop_range(q, out + 1, out + round * 29);
    out += round * 29;
  }
  pop_range(q, out + 1, in);
  pop_nothing(q);
  queue_close(q);
}

static void fact_one_at_a_time(void **st) {
  (void)st;
  struct queue *q = facts_open(0);
  struct hint h[2] = {{0, 0, 0}, {-7, -7, 0}};
  push_range(q, 1, 5);
  for (int64_t i = 1; i <= 5; i++) {
    assert_int_equal(pop_some(q, h, 1), 1);
    assert_int_equal(h[0].ti, i);
  }
  assert_int_equal(h[1].ti, -7); /* nothing behind n is touched */
  queue_close(q);
}

static void fact_bounded(void **st) {
  (void)st;
  struct queue *q = facts_open(1000);
  push_range(q, 1, 930);
  struct hint *h = range(931, 960);
  size_t sent = 99;
  assert_int_equal(queue_push(q, h, 30, &sent), QUEUE_FULL);
  assert_int_equal(sent, 8); /* a sixteenth is kept for short lists */
  assert_int_equal(queue_push(q, h + 8, 1, &sent), QUEUE_FULL);
  assert_int_equal(sent, 0);
  pop_range(q, 1, 100);
  assert_int_equal(queue_push(q, h + 8, 22, &sent), QUEUE_SENT);
  free(h);
  pop_range(q, 101, 960); /* what fitted is there, in order */
  pop_nothing(q);
  push_range(q, 1, 938);
  pop_range(q, 1, 938);
  queue_close(q);
}

static void fact_repeats_and_values(void **st) {
  (void)st;
  struct queue *q = facts_open(0);
  const struct hint in[] = {{7, 0, 0}, {7, 0, 0}, {WR_ID_MAX, WR_ID_MAX, 0}, {1, 0, 0}, {7, 0, 0}};
  struct hint out[5];
  assert_true(push_all(q, in, 5));
  for (size_t got = 0; got < 5;) got += pop_some(q, out + got, 5 - got);
  for (size_t i = 0; i < 5; i++) assert_true(in[i].ti == out[i].ti && in[i].fi == out[i].fi && out[i].list == 0);
  queue_close(q);
}

static void fact_depth(void **st) {
  (void)st;
  struct queue *q = facts_open(0);
  struct hint h[64];
  push_range(q, 1, 64);
  assert_int_equal(queue_depth(q), 64);
  assert_int_equal(pop_some(q, h, 24), 24);
  assert_true(queue_depth(q) > 0 && queue_depth(q) <= 40);
  assert_int_equal(pop_some(q, h, 64), 40);
  assert_int_equal(queue_depth(q), 0);
  queue_close(q);
}

static void fact_push_ends_pop(void **st) {
  (void)st;
  struct queue *q = facts_open(0);
  struct popper p;
  popper_start(&p, q, 16);
  popper_blocked(&p);
  push_range(q, 5, 5);
  popper_join(&p);
  assert_int_equal(p.got, 1);
  assert_int_equal(p.out[0].ti, 5);
  assert_int_equal(p.out[0].fi, 10);
  queue_close(q);
}

static void fact_wake(void **st) {
  (void)st;
  struct queue *q = facts_open(0);
  struct popper p;
  for (int i = 0; i < 20; i++) {
    popper_start(&p, q, 16);
    queue_wake(q); /* before or after it blocks: both must end it */
    popper_join(&p);
    assert_int_equal(p.got, 0);
    assert_false(p.away);
  }
  push_range(q, 1, 100);
  pop_range(q, 1, 100);
  queue_close(q);
}

static void fact_wakes_collapse(void **st) {
  (void)st;
  struct queue *q = facts_open(0);
  struct hint h[4];
  bool away;
  queue_wake(q);
  queue_wake(q);
  assert_int_equal(queue_pop(q, h, 4, FOREVER_US, &away), 0);
  push_range(q, 1, 3);
  pop_range(q, 1, 3);
  queue_close(q);
}

static void fact_nudge(void **st) {
  (void)st;
  struct queue *q = facts_open(0);
  struct hint h[8];
  queue_set_node(q, 42);
  push_range(q, 1, 3);
  (void)queue_nudge(q, 41); /* someone else's */
  assert_true(queue_nudge(q, 42));
  size_t got = pop_some(q, h, 8);
  assert_int_equal(h[0].ti, 0);
  assert_int_equal(h[0].fi, 0);
  for (size_t i = 1; i < got; i++) assert_int_equal(h[i].ti, (int64_t)i);
  if (got < 4) pop_range(q, (int64_t)got, 3);
  pop_nothing(q);
  queue_close(q);
}

static void fact_nudge_ends_pop(void **st) {
  (void)st;
  struct queue *q = facts_open(0);
  struct popper p;
  popper_start(&p, q, 1);
  assert_true(queue_nudge(q, 1));
  popper_join(&p);
  assert_int_equal(p.got, 1);
  assert_int_equal(p.out[0].ti, 0);
  queue_close(q);
}

static void fact_pop_nudge(void **st) {
  (void)st;
  struct queue *q = facts_open(0);
  push_range(q, 1, 3);
  bool away;
  assert_false(queue_pop_nudge(q, 0, &away));
  assert_true(queue_nudge(q, 1));
  assert_true(queue_pop_nudge(q, FOREVER_US, &away));
  queue_wake(q);
  assert_false(queue_pop_nudge(q, FOREVER_US, &away));
  assert_false(away);
  pop_range(q, 1, 3); /* it takes no hints */
  queue_close(q);
}

static void fact_close_ends_pop(void **st) {
  (void)st;
  for (int i = 0; i < 10; i++) {
    struct queue *q = facts_open(0);
    struct popper p;
    popper_start(&p, q, 16);
    popper_blocked(&p);
    queue_close(q);
    popper_join(&p);
    assert_int_equal(p.got, 0);
    assert_false(p.away);
  }
}

/* ---- several pushers, one poller ---- */

enum { PUSHERS = 4, EACH = 3000 };
struct pusher { struct queue *q; pthread_t thread; int64_t base; bool all; };

static void *pusher_main(void *arg) {
  struct pusher *p = arg;
  p->all = true;
  for (int64_t i = 0; i < EACH; i += 10) {
    struct hint h[10];
    for (int64_t k = 0; k < 10; k++) h[k] = (struct hint){p->base + i + k + 1, p->base + 1, 0};
    if (!push_all(p->q, h, 10)) p->all = false;
    (void)queue_depth(p->q);
  }
  return NULL;
}

static void fact_many_pushers(void **st) {
  (void)st;
  struct queue *q = facts_open(0);
  struct pusher p[PUSHERS];
  int64_t last[PUSHERS] = {0};
  struct hint h[50];
  for (int i = 0; i < PUSHERS; i++) {
    p[i] = (struct pusher){.q = q, .base = (int64_t)i * 100000};
    assert_int_equal(pthread_create(&p[i].thread, NULL, pusher_main, &p[i]), 0);
  }
  for (size_t got = 0; got < (size_t)PUSHERS * EACH;) {
    size_t n = pop_some(q, h, 50);
    for (size_t i = 0; i < n; i++) {
      int64_t who = h[i].ti / 100000;
      assert_in_range((uint64_t)who, 0, PUSHERS - 1);
      assert_int_equal(h[i].ti % 100000, ++last[who]); /* each pusher's own order, nothing lost or doubled */
    }
    got += n;
  }
  for (int i = 0; i < PUSHERS; i++) {
    assert_int_equal(pthread_join(p[i].thread, NULL), 0);
    assert_true(p[i].all);
  }
  pop_nothing(q);
  queue_close(q);
}

const struct CMUnitTest queue_facts[] = {
    cmocka_unit_test(fact_empty),          cmocka_unit_test(fact_fifo),           cmocka_unit_test(fact_one_at_a_time),
    cmocka_unit_test(fact_bounded),        cmocka_unit_test(fact_repeats_and_values), cmocka_unit_test(fact_depth),
    cmocka_unit_test(fact_push_ends_pop),  cmocka_unit_test(fact_wake),           cmocka_unit_test(fact_wakes_collapse),
    cmocka_unit_test(fact_nudge),          cmocka_unit_test(fact_nudge_ends_pop), cmocka_unit_test(fact_pop_nudge),
    cmocka_unit_test(fact_close_ends_pop), cmocka_unit_test(fact_many_pushers),
};
const size_t n_queue_facts = sizeof queue_facts / sizeof *queue_facts;

int facts_run(const char *name, const struct CMUnitTest *more, size_t n) {
  struct CMUnitTest *all = wr_calloc(n_queue_facts + n, sizeof *all);
  memcpy(all, queue_facts, sizeof queue_facts);
  memcpy(all + n_queue_facts, more, n * sizeof *all);
  int failed = _cmocka_run_group_tests(name, all, n_queue_facts + n, NULL, NULL);
  free(all);
  return failed;
}
