/* How many tasks of each queue run: see counts.h. */
#include "counts.h"
#include <stdlib.h>
#include <string.h>
#include "flow_counts.h"
#include "wr_limits.h"

#define FRESH_LEAST_US 10000
#define FRESH_MOST_US 1000000
#define FRESH_SHARE 20                /* a read takes this part of the time at most */

void counts_init(struct counts *c) {
  last_read_init(&c->last);
  atomic_init(&c->fresh_us, FRESH_LEAST_US);
}

void counts_put(struct count_set *set) { read_set_put(set ? &set->base : NULL); }
void counts_end(struct counts *c) { last_read_end(&c->last); }

/* ---- reading ---- */
static void free_rows(struct read_set *s) { free(((struct count_set *)s)->v); }

static int keep(void *ctx, const char *user, const char *group, int64_t n) {
  struct count_set *set = ctx;
  set->whole = set->n < COUNTS_MAX;
  if (!set->whole) return 1;
  *WR_PUSH(set->v, set->n, set->cap) = (struct queue_count){arena_strdup(&set->base.text, user ? user : ""),
                                                            arena_strdup(&set->base.text, group ? group : ""), n};
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
  read_set_begin(&set->base, free_rows);
  set->whole = true;
  enum wr_rc rc = reader_queue_running(r, keep, set, &err);
  reader_put(r);
  if (rc == WR_OK && set->whole && d) rc = add_flows(s, d, set, &err);
  if (rc == WR_OK && set->whole) return set;
  counts_put(set);
  return NULL;
}

/* ---- what is known ---- */
static int64_t fresh_for(int64_t took_us) {
  int64_t us = took_us * FRESH_SHARE;
  return us < FRESH_LEAST_US ? FRESH_LEAST_US : us > FRESH_MOST_US ? FRESH_MOST_US : us;
}

struct count_set *counts_get(struct counts *c, struct store *s, struct defs *d) {
  if (last_read_turn(&c->last, atomic_load(&c->fresh_us))) {
    struct count_set *set = read_set(s, d);
    atomic_store(&c->fresh_us, fresh_for(last_read_is(&c->last, set ? &set->base : NULL)));
  }
  return (struct count_set *)last_read_get(&c->last);
}

int64_t counts_running(const struct count_set *set, const char *user, const char *group) {
  int64_t n = 0;
  for (size_t i = 0; i < set->n; i++)
    if ((!*user ? *set->v[i].user != *QUEUE_OF_TYPE : strcmp(user, set->v[i].user) == 0) &&
        (!*group || strcmp(group, set->v[i].group) == 0))
      n += set->v[i].n;
  return n;
}
