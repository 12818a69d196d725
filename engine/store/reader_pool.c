/* Readers that are lent (reader_pool.h). */
#include "reader_pool.h"
#include "cond.h"

void pool_init(struct reader_pool *p, unsigned max) {
  *p = (struct reader_pool){.max = max};
  pthread_mutex_init(&p->mu, NULL);
  cond_mono(&p->cond);
}

void pool_done(struct reader_pool *p) {
  pthread_mutex_destroy(&p->mu);
  pthread_cond_destroy(&p->cond);
}

/* mu held. */
static struct reader *take_runners(struct reader_pool *p, bool *make) {
  struct reader *r = p->runners;
  p->runners = NULL;
  *make = !r && p->n_runners == 0;
  if (*make) p->n_runners++;
  return r;
}

static struct reader *take_any(struct reader_pool *p, int64_t until_us, bool *make) {
  bool in_time = true;
  while (!p->idle && p->n >= p->max && in_time) in_time = cond_until(&p->cond, &p->mu, until_us);
  struct reader *r = p->idle;
  *make = !r && p->n < p->max;
  if (r) p->idle = r->next;
  if (*make) p->n++;
  return r;
}

struct reader *pool_take(struct reader_pool *p, enum reader_whose whose, int64_t until_us, bool *make) {
  pthread_mutex_lock(&p->mu);
  struct reader *r = whose == READER_RUNNER ? take_runners(p, make) : take_any(p, until_us, make);
  pthread_mutex_unlock(&p->mu);
  return r;
}

void pool_give(struct reader_pool *p, struct reader *r) {
  pthread_mutex_lock(&p->mu);
  struct reader **list = r->whose == READER_RUNNER ? &p->runners : &p->idle;
  r->next = *list;
  *list = r;
  pthread_cond_signal(&p->cond);
  pthread_mutex_unlock(&p->mu);
}

void pool_forget(struct reader_pool *p, enum reader_whose whose) {
  pthread_mutex_lock(&p->mu);
  --*(whose == READER_RUNNER ? &p->n_runners : &p->n);
  pthread_cond_signal(&p->cond);
  pthread_mutex_unlock(&p->mu);
}

struct reader *pool_close(struct reader_pool *p) {
  struct reader *r = p->runners;
  p->runners = NULL;
  if (r) { p->n_runners--; return r; }
  r = p->idle;
  if (r) p->idle = r->next, p->n--;
  else wr_assert(p->n + p->n_runners == 0);
  return r;
}
