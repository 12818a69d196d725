/* What is true of the queues between two turns (queues.h): debug builds and tests. The runner thread's. What never happens: a
 * change. */
#include "queues.h"

void queues_check(const struct queues *q) {
  const struct map64_slot *s;
  uint32_t n[SLOT__N] = {0};
  int64_t cpu = 0;
  size_t held = 0;
  for (size_t i = 0; (s = map64_next(&q->people, &i)) != NULL;)
    for (const struct person *u = s->val; u; u = u->same) {
      wr_assert(u->places != NULL);
      for (const struct place *p = u->places; p; p = p->next) {
        held += p->n_held;
        for (int c = 0; c < SLOT__N; c++) {
          n[c] += p->n[c];
          wr_assert((p->turn[c].pos != 0) == (p->n[c] > 0 && p->kept.by == NULL && p->n_shut[c] < p->n_lane[c]));
          wr_assert(p->turn[c].pos == 0 || u->kept.by || u->turn[c].pos != 0);
        }
      }
    }
  for (size_t i = 0; (s = map64_next(&q->holds, &i)) != NULL;) {
    const struct hold *h = s->val;
    wr_assert(h->picked || h->running > 0);
    cpu += hold_cost(h);
  }
  for (int c = 0; c < SLOT__N; c++) wr_assert(n[c] == q->n[c]);
  wr_assert(cpu == q->cpu_used);
  wr_assert(held == q->holds.n);
}
