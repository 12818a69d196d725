/* How many tasks of each queue run: see counts.h. */
#include "counts.h"
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "flow_counts.h"
#include "wr_limits.h"

#define FRESH_LEAST_US 10000
#define FRESH_MOST_US 1000000
#define FRESH_SHARE 20                /* a read takes this part of the time at most */
#define KNOWN_US 10000000             /* as in offers.c */

void counts_init(struct counts *c) {
  *c = (struct counts){.tried_us = INT64_MIN / 2};
  pthread_mutex_init(&c->mu, NULL);
}

void counts_put(struct count_set *set) {
  if (!set || atomic_fetch_sub(&set->refs, 1) > 1) return;
  arena_done(&set->text);
  free(set->v);
  free(set);
}

void counts_end(struct counts *c) {
  counts_put(c->set);
  pthread_mutex_destroy(&c->mu);
}

/* ---- reading ---- */
static int keep(void *ctx, const char *user, const char *group, int64_t n) {
  struct count_set *set = ctx;
  set->whole = set->n < COUNTS_MAX;
  if (!set->whole) return 1;
  *WR_PUSH(set->v, set->n, set->cap) = (struct queue_count){arena_strdup(&set->text, user ? user : ""),
                                                            arena_strdup(&set->text, group ? group : ""), n};
  return 0;
}

static enum wr_rc add_flows(struct store *s, struct defs *d, struct count_set *set, struct wr_err *err) {
  struct flow_counts f;
  enum wr_rc rc = flow_counts_read(s, d, LIMIT_FLOW_LOOK, &f, err);
  for (size_t i = 0; i < f.n && !rc; i++)
    if (f.v[i]->running && keep(set, f.v[i]->user, f.v[i]->group, f.v[i]->running)) break;
  set->whole = set->whole && f.whole;
  flow_counts_done(&f);
  return rc;
}

/* NULL: it could not be read. */
static struct count_set *read_set(struct store *s, struct defs *d) {
  struct wr_err err = {0};
  struct reader *r = reader_get(s, &err);
  if (!r) return NULL;
  struct count_set *set = wr_new(struct count_set);
  atomic_init(&set->refs, 1);
  set->at_us = clock_mono_us();
  set->whole = true;
  arena_init(&set->text, 0);
  enum wr_rc rc = reader_queue_running(r, keep, set, &err);
  reader_put(r);
  if (rc == WR_OK && set->whole && d) rc = add_flows(s, d, set, &err);
  if (rc == WR_OK && set->whole) return set;
  counts_put(set);
  return NULL;
}

/* ---- what is known ---- */
/* The first caller that finds the set old reads it anew. True: that is this caller. */
static bool take_turn(struct counts *c) {
  pthread_mutex_lock(&c->mu);
  bool mine = !c->reading && clock_mono_us() - c->tried_us >= c->fresh_us;
  if (mine) c->began_us = clock_mono_us();
  if (mine) c->reading = true;
  pthread_mutex_unlock(&c->mu);
  return mine;
}

static void turn_over(struct counts *c, struct count_set *fresh) {
  pthread_mutex_lock(&c->mu);
  struct count_set *was = fresh ? c->set : NULL;
  if (fresh) c->set = fresh;
  c->reading = false;
  int64_t now = clock_mono_us(), rest = (now - c->began_us) * FRESH_SHARE;
  c->fresh_us = rest < FRESH_LEAST_US ? FRESH_LEAST_US : rest > FRESH_MOST_US ? FRESH_MOST_US : rest;
  c->tried_us = now;
  pthread_mutex_unlock(&c->mu);
  counts_put(was);
}

struct count_set *counts_get(struct counts *c, struct store *s, struct defs *d) {
  if (take_turn(c)) turn_over(c, read_set(s, d));
  pthread_mutex_lock(&c->mu);
  struct count_set *set = c->set && clock_mono_us() - c->set->at_us < KNOWN_US ? c->set : NULL;
  if (set) atomic_fetch_add(&set->refs, 1);
  pthread_mutex_unlock(&c->mu);
  return set;
}

int64_t counts_running(const struct count_set *set, const char *user, const char *group) {
  int64_t n = 0;
  for (size_t i = 0; i < set->n; i++)
    if ((!*user || strcmp(user, set->v[i].user) == 0) && (!*group || strcmp(group, set->v[i].group) == 0)) n += set->v[i].n;
  return n;
}
