/* Unit tests of base/heap against a sorted array. One thread; deterministic. */
#include "unit.h"

#include <string.h>

#include "clock.h"
#include "heap.h"

enum { ITEMS = 200 };

/* The model: the entries in the order they must come out. */
struct model { struct heap_item *v[ITEMS]; size_t n; };

static void model_remove(struct model *m, const struct heap_item *it) {
  for (size_t i = 0; i < m->n; i++) {
    if (m->v[i] != it) continue;
    memmove(&m->v[i], &m->v[i + 1], (m->n - i - 1) * sizeof(struct heap_item *));
    m->n--;
    return;
  }
}

static void model_push(struct model *m, struct heap_item *it, int64_t at) {
  model_remove(m, it);
  size_t i = m->n++;
  for (; i > 0 && m->v[i - 1]->at > at; i--) m->v[i] = m->v[i - 1];
  m->v[i] = it;
}

static void check_heap(const struct heap *h, const struct model *m) {
  assert_int_equal(h->n, m->n);
  assert_ptr_equal(heap_top(h), m->n ? m->v[0] : NULL);
  for (size_t i = 0; i < h->n; i++) assert_int_equal(h->v[i]->pos, i + 1);
}

static void test_random(void **st) {
  (void)st;
  struct heap h = HEAP_INIT;
  struct model m = {.n = 0};
  static struct heap_item item[ITEMS];
  uint64_t seed = 17;
  for (int op = 0; op < 100000; op++) {
    struct heap_item *it = &item[rand_next(&seed) % ITEMS];
    int64_t at = (int64_t)(rand_next(&seed) % 50) - 25; /* few values: many equals */
    unsigned what = rand_next(&seed) % 10;
    if (what < (op / 3000 % 2 ? 3u : 6u)) {
      model_push(&m, it, at);
      heap_push(&h, it, at);
    } else if (what < 8) {
      model_remove(&m, it);
      heap_remove(&h, it);
      assert_int_equal(it->pos, 0);
    } else {
      struct heap_item *top = heap_pop(&h);
      assert_ptr_equal(top, m.n ? m.v[0] : NULL);
      if (top) {
        assert_int_equal(top->pos, 0);
        model_remove(&m, top);
      }
    }
    check_heap(&h, &m);
  }
  for (size_t i = 0; i < m.n; i++) assert_ptr_equal(heap_pop(&h), m.v[i]);
  assert_null(heap_pop(&h));
  heap_done(&h);
}

static void test_order(void **st) {
  (void)st;
  struct heap h = HEAP_INIT;
  struct heap_item a = {0}, b = {0}, c = {0};
  assert_null(heap_top(&h));
  assert_null(heap_pop(&h));
  heap_remove(&h, &a);
  heap_push(&h, &a, 5);
  heap_push(&h, &b, 5);
  heap_push(&h, &c, INT64_MIN);
  heap_push(&h, &a, 5); /* pushed again: behind its equals */
  assert_ptr_equal(heap_pop(&h), &c);
  assert_ptr_equal(heap_pop(&h), &b);
  assert_ptr_equal(heap_pop(&h), &a);
  heap_push(&h, &a, 1);
  heap_done(&h);
  assert_int_equal(h.n, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_order)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
