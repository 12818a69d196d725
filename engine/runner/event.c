/* Events and lists of them: event.h. */
#include "event.h"

struct spare { enum attempt_end end; char *result, *error; size_t result_len; };

void ev_stand_in(struct ev *e, const char *error) {
  struct attempt *a = e->a;
  wr_assert(a && !e->spare);
  e->spare = wr_new(struct spare);
  *e->spare = (struct spare){a->end, a->result, a->error, a->result_len};
  a->result = NULL;
  a->result_len = 0;
  a->end = ATTEMPT_FAIL;
  a->error = wr_strdup(error);
}

void ev_restore(struct ev *e) {
  struct spare *s = e->spare;
  if (s == NULL) return;
  free(e->a->error);
  e->a->end = s->end;
  e->a->result = s->result;
  e->a->result_len = s->result_len;
  e->a->error = s->error;
  free(s);
  e->spare = NULL;
}

void ev_free(struct ev *e) {
  ev_restore(e);
  attempt_free(e->a);
  e->a = NULL;
}

void events_remove(struct events *l, size_t n) {
  if (n == 0) return;
  memmove(l->v, l->v + n, (l->n - n) * sizeof *l->v);
  l->n -= n;
}

void events_done(struct events *l) {
  for (size_t i = 0; i < l->n; i++) ev_free(&l->v[i]);
  free(l->v);
  *l = (struct events){0};
}

void events_check(const struct events *l) {
  wr_assert(l->taken <= l->n && (l->in_doubt || l->taken == 0));
  for (size_t i = 0; i < l->n; i++) {
    const struct ev *e = &l->v[i];
    wr_assert((e->kind == EV_RESULT) == (e->a != NULL));
    wr_assert(!e->spare || i == 0);               /* it is tried again at once, alone */
    wr_assert(i < l->taken || e->then == THEN_OVER);
  }
}
