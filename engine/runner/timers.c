/* Timers of rows: timers.h. */
#include "timers.h"
#include "err.h"
#include <stdlib.h>
#include "mem.h"

struct timer { struct heap_item it; int64_t id, fi; };

void timers_init(struct timers *t, size_t most) { *t = (struct timers){.most = most, .beyond_us = INT64_MAX}; }

static void forget_all(struct timers *t) {
  for (size_t i = 0; i < t->heap.n; i++) free((struct timer *)(void *)t->heap.v[i]);
  heap_done(&t->heap);
  map64_done(&t->by_id);
}

/* Keeps the earlier half in new memory, so that no memory is held for the later half. */
static void halve(struct timers *t) {
  size_t n = t->most / 2;
  struct timer **keep = wr_calloc(n + 1, sizeof *keep);
  for (size_t i = 0; i < n; i++) keep[i] = (struct timer *)(void *)heap_pop(&t->heap);
  t->beyond_us = heap_top(&t->heap)->at;
  forget_all(t);
  for (size_t i = 0; i < n; i++) {
    (void)map64_put(&t->by_id, keep[i]->id, keep[i]);
    heap_push(&t->heap, &keep[i]->it, keep[i]->it.at);
  }
  free(keep);
}

void timers_set(struct timers *t, int64_t id, int64_t fi, int64_t at_us) {
  if (at_us >= t->beyond_us) { timers_stop(t, id); return; }
  struct timer *x = map64_get(&t->by_id, id);
  if (x == NULL) {
    x = wr_new(struct timer);
    (void)map64_put(&t->by_id, id, x);
  }
  x->id = id;
  x->fi = fi;
  heap_push(&t->heap, &x->it, at_us);
  if (t->by_id.n > t->most) halve(t);
}

void timers_stop(struct timers *t, int64_t id) {
  struct timer *x = t->by_id.n > 0 ? map64_del(&t->by_id, id) : NULL;
  if (x == NULL) return;
  heap_remove(&t->heap, &x->it);
  free(x);
}

bool timers_ring(struct timers *t, int64_t now_us, int64_t *id, int64_t *fi) {
  struct timer *x = (struct timer *)(void *)heap_top(&t->heap);
  if (x == NULL || x->it.at > now_us) return false;
  *id = x->id;
  *fi = x->fi;
  timers_stop(t, x->id);
  return true;
}

bool timers_ask(struct timers *t, int64_t now_us) {
  if (t->beyond_us > now_us) return false;
  t->beyond_us = INT64_MAX;
  return true;
}

int64_t timers_next(const struct timers *t) {
  const struct heap_item *it = heap_top(&t->heap);
  return it && it->at < t->beyond_us ? it->at : t->beyond_us;
}

void timers_done(struct timers *t) { forget_all(t); }

void timers_check(const struct timers *t) {
  const struct map64_slot *s;
  wr_assert(t->by_id.n == t->heap.n && t->heap.n <= t->most);
  for (size_t i = 0; (s = map64_next(&t->by_id, &i)) != NULL;) {
    const struct timer *x = s->val;
    wr_assert(x->id == s->key && x->it.at <= t->beyond_us && x->it.at >= heap_top(&t->heap)->at);
  }
}
