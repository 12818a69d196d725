/* A policy of the host (weir_set_policy), or of a plug-in: between the runner, which asks, and pick(). What never happens: pick()
 * is called after weir_set_policy() has put another in its place. */
#include <stdlib.h>
#include "lib_int.h"
#include "mem.h"

enum { MOST = 1024 };               /* of which it is asked; the runner offers no more */

struct chooser {
  struct queue_policy policy;       /* what the node has of it */
  pthread_mutex_t mu;               /* held while pick() runs; guards the rest */
  long (*pick)(const weir_candidate_t *const *, size_t n, void *user);
  void *user;
  weir_candidate_t *v; const weir_candidate_t **at;   /* MOST each, once there was a policy */
};

/* The runner's thread. */
static long ask(void *ctx, const struct candidate *of, size_t n) {
  struct chooser *c = ctx;
  pthread_mutex_lock(&c->mu);
  for (size_t i = 0; i < n && c->pick; i++) {
    const struct candidate *k = &of[i];
    c->v[i] = (weir_candidate_t){.size = sizeof *c->v, .id = k->ti, .user = k->user, .group = k->group, .type = k->type,
                                 .name = k->name, .key = k->key, .priority = k->priority, .cpu_overhead = k->cpu,
                                 .running_user = k->running_user, .running_group = k->running_group, .queued_us = k->since_us};
    c->at[i] = &c->v[i];
  }
  long i = c->pick ? c->pick(c->at, n, c->user) : -1;
  pthread_mutex_unlock(&c->mu);
  return i;
}

struct chooser *chooser_new(void) {
  struct chooser *c = wr_new(struct chooser);
  c->policy.ctx = c;
  c->policy.pick = ask;
  pthread_mutex_init(&c->mu, NULL);
  return c;
}

void chooser_free(struct chooser *c) {
  if (!c) return;
  pthread_mutex_destroy(&c->mu);
  free(c->v);
  free(c->at);
  free(c);
}

struct queue_policy *chooser_policy(struct chooser *c) { return &c->policy; }

void chooser_set(struct chooser *c, long (*pick)(const weir_candidate_t *const *, size_t n, void *user), void *user) {
  atomic_store(&c->policy.on, false);
  pthread_mutex_lock(&c->mu);
  if (pick && !c->v) {
    c->v = wr_calloc(MOST, sizeof *c->v);
    c->at = wr_calloc(MOST, sizeof *c->at);
  }
  c->pick = pick;
  c->user = user;
  pthread_mutex_unlock(&c->mu);
  atomic_store(&c->policy.on, pick != NULL);
}
