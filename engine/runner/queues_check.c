/* The checks of queues.c, and what is small beside it: queues.h. */
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

/* ---- small ones beside it ---- */

size_t queues_rates(const struct queues *q, struct queue_rate *out, size_t n) {
  size_t k = 0;
  for (size_t i = 0; i < q->n_row && q->rates; i++)
    if (q->row[i]->rate_dirty && k++ < n) out[k - 1] = (struct queue_rate){q->row[i]->queue_id, q->row[i]->rate_us};
  return k;
}

void queues_dear(struct queues *q, int64_t ti, int64_t since_us) {
  if (q->dear.ti == 0 || since_us < q->dear.since_us) {
    q->dear.ti = ti;
    q->dear.since_us = since_us;
  }
}

int64_t queues_next(const struct queues *q) { return q->rate_at; }
const struct hold *queues_held(const struct queues *q, int64_t ti) { return map64_get(&q->holds, ti); }
