/* Whose the tasks of a flow instance are: whose.h. */
#include "whose.h"
#include <stdlib.h>
#include <string.h>
#include "mem.h"

enum { ENTRY_BYTES = 64 };   /* of the map and of the heap */

static size_t spec_bytes(const struct queue_spec *q) {
  return sizeof *q + (q->user ? strlen(q->user) : 0) + (q->group ? strlen(q->group) : 0) + ENTRY_BYTES;
}

struct whose *whose_new(void) {
  struct whose *w = wr_new(struct whose);
  w->bytes = sizeof *w;
  return w;
}

void whose_free(struct whose *w) {
  const struct map64_slot *s;
  if (w == NULL) return;
  for (size_t i = 0; (s = map64_next(&w->of, &i)) != NULL;) free(s->val);
  map64_done(&w->of);
  free(w->all);
  free(w);
}

const struct queue_spec *whose_say(struct whose *w, int64_t ti, const struct queue_spec *q) {
  struct queue_spec *was = ti ? map64_get(&w->of, ti) : w->all, *now = queue_spec_over(q, was);
  if (ti) (void)map64_put(&w->of, ti, now);
  else w->all = now;
  w->bytes += spec_bytes(now) - (was ? spec_bytes(was) : 0);
  free(was);
  return now;
}

struct queue_view whose_view(const struct whose *w, int64_t ti, const struct queue_spec *of_def) {
  if (w == NULL) return queue_view(NULL, of_def);
  return queue_view_of(w->of.n > 0 ? map64_get(&w->of, ti) : NULL, of_def, w->all);
}
