/* Timers of rows: timers.h. */
#include "timers.h"
#include <stdlib.h>
#include "mem.h"

struct timer { struct heap_item it; int64_t id, fi; };

void timers_set(struct timers *t, int64_t id, int64_t fi, int64_t at_us) {
  struct timer *x = map64_get(&t->by_id, id);
  if (x == NULL) {
    x = wr_new(struct timer);
    (void)map64_put(&t->by_id, id, x);
  }
  x->id = id;
  x->fi = fi;
  heap_push(&t->heap, &x->it, at_us);
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

int64_t timers_next(const struct timers *t) {
  const struct heap_item *it = heap_top(&t->heap);
  return it ? it->at : INT64_MAX;
}

void timers_done(struct timers *t) {
  struct heap_item *it;
  while ((it = heap_pop(&t->heap)) != NULL) free((struct timer *)(void *)it);
  heap_done(&t->heap);
  map64_done(&t->by_id);
}
