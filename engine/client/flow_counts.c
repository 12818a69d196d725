/* How many tasks of flows are in each queue: see flow_counts.h. */
#include "flow_counts.h"
#include <stdlib.h>
#include <string.h>
#include "async.h"
#include "defs.h"
#include "node_defs.h"
#include "whose.h"
#include "text.h"

enum { PAGE = 2000 };

/* The flow that was looked at last: its tasks follow each other. */
struct seen {
  int64_t fi;
  const struct flow_at *at;
  struct flow_def *def;
  struct whose *said;   /* NULL: nobody has said whose its tasks are, beside their definitions */
};
struct counting { struct store *s; struct defs *d; struct flow_look *look; struct seen seen; struct flow_counts *out; };

/* ---- whose a task is ---- */
static void see_none(struct seen *k) {
  def_flow_unref(k->def);
  whose_free(k->said);
  *k = (struct seen){0};
}

/* A definition that cannot be read says nothing. */
static enum wr_rc see_flow(struct counting *c, int64_t fi, struct wr_err *err) {
  struct seen *k = &c->seen;
  struct wr_err none;
  if (k->fi == fi) return WR_OK;
  see_none(k);
  k->fi = fi;
  k->at = flow_look_find(c->look, fi);
  if (!k->at) return WR_OK;
  if (defs_flow(c->d, k->at->flow_id, k->at->version, -1, &k->def, &none) != WR_OK) k->def = NULL;
  if (!k->at->said) return WR_OK;
  k->said = whose_new();
  struct reader *r = reader_get(c->s, err);
  enum wr_rc rc = r ? reader_whose(r, fi, 1, INT64_MAX, whose_hear, k->said, err) : err->code;
  reader_put(r);
  return rc;
}

static struct task_def *def_of(const struct counting *c, const struct flow_task *t) {
  const struct seen *k = &c->seen;
  struct task_def *def = NULL;
  struct wr_err none;
  if (t->task_id) return defs_task(c->d, t->task_id, t->version, -1, &def, &none) == WR_OK ? def : NULL;
  return node_def_inline(k->def, k->at->bases, t->ti);
}

/* ---- counting ---- */
static struct flow_count *pair(struct flow_counts *c, const char *user, const char *group) {
  int64_t key = text_pair_hash(0, user, group);
  struct flow_count *first = map64_get(&c->by, key), *p = first;
  while (p && (strcmp(p->user, user) != 0 || strcmp(p->group, group) != 0)) p = p->same;
  if (p) return p;
  if (c->n == FLOW_COUNTS_MAX) return c->whole = false, NULL;
  p = arena_alloc(&c->text, sizeof *p);
  *p = (struct flow_count){.same = first, .user = arena_strdup(&c->text, user), .group = arena_strdup(&c->text, group)};
  (void)map64_put(&c->by, key, p);
  *WR_PUSH(c->v, c->n, c->cap) = p;
  return p;
}

static void add_task(struct flow_count *p, const struct flow_task *t) {
  p->running += t->is == FLOW_TASK_COUNTS;
  p->blocked += t->is == FLOW_TASK_BLOCKED;
  if (t->is != FLOW_TASK_QUEUED) return;
  p->queued++;
  if (!p->since_us || t->update_us < p->since_us) p->since_us = t->update_us;
}

/* A task of a flow that the look does not have is not counted. */
static enum wr_rc count_one(struct counting *c, const struct flow_task *t, struct wr_err *err) {
  enum wr_rc rc = see_flow(c, t->fi, err);
  if (rc || !c->seen.at) return rc;
  struct task_def *def = def_of(c, t);
  struct queue_view q = whose_view(c->seen.said, t->ti, def ? def->queue : NULL);
  struct flow_count *p = pair(c->out, q.user, q.group);
  if (p) add_task(p, t);
  if (def && def->policy.type && (p = pair(c->out, QUEUE_OF_TYPE, def->policy.type))) add_task(p, t);
  def_task_unref(def);
  return WR_OK;
}

static enum wr_rc next_page(struct counting *c, struct flow_task *page, size_t *n, struct wr_err *err) {
  struct reader *r = reader_get(c->s, err);
  enum wr_rc rc = r ? reader_flow_tasks(r, c->look, page, PAGE, n, err) : err->code;
  reader_put(r);
  return rc;
}

static enum wr_rc count_all(struct counting *c, struct wr_err *err) {
  struct flow_task *page = wr_calloc(PAGE, sizeof *page);
  size_t n = 0;
  struct reader *r = reader_get(c->s, err);
  enum wr_rc rc = r ? reader_flow_look(r, c->look, &c->out->whole, err) : err->code;
  reader_put(r);
  while (!rc && !(rc = next_page(c, page, &n, err)) && n > 0)
    for (size_t i = 0; i < n && !rc; i++) rc = count_one(c, &page[i], err);
  free(page);
  return rc;
}

static int by_name(const void *a, const void *b) {
  const struct flow_count *x = *(struct flow_count *const *)a, *y = *(struct flow_count *const *)b;
  int first = strcmp(x->user, y->user);
  return first ? first : strcmp(x->group, y->group);
}

enum wr_rc flow_counts_read(struct store *s, struct defs *d, size_t most_flows, struct flow_counts *out, struct wr_err *err) {
  struct counting c = {.s = s, .d = d, .look = flow_look_new(most_flows), .out = out};
  *out = (struct flow_counts){.whole = true};
  arena_init(&out->text, 0);
  enum wr_rc rc = count_all(&c, err);
  if (out->n > 1) qsort(out->v, out->n, sizeof *out->v, by_name);
  see_none(&c.seen);
  flow_look_free(c.look);
  return rc;
}

void flow_counts_done(struct flow_counts *c) {
  map64_done(&c->by);
  arena_done(&c->text);
  free(c->v);
}
