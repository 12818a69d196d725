/* What the tasks of a batch have added: trees.h. */
#include "trees.h"
#include <stdlib.h>

void trees_init(struct trees *t, struct env *env) { *t = (struct trees){.env = env, .rows = MAP64_INIT}; }

void trees_done(struct trees *t) {
  map64_done(&t->rows);
  free(t->settle);
  free(t->next);
}

void trees_begin(struct trees *t) {
  if (t->rows.n > 0) map64_done(&t->rows);
  t->n_settle = t->n_next = 0;
}

enum store_rc trees_of(struct trees *t, int64_t ti, struct tree_slot **out) {
  struct tree_slot *s = t->rows.n > 0 ? map64_get(&t->rows, ti) : NULL;
  *out = s;
  if (s) return STORE_OK;
  s = arena_zalloc(&t->env->mem, sizeof *s);
  enum store_rc rc = store_tree(t->env->store, ti, &s->row, &s->there);
  if (rc != STORE_OK) return rc;
  s->row.ti = ti;
  (void)map64_put(&t->rows, ti, s);
  *out = s;
  return STORE_OK;
}

static bool lives(const struct task *t) { return t->state != TASK_NONE && !task_final(t->state); }
static bool failed(const struct task *t) { return task_final(t->state) && t->state != TASK_SUCCESS; }

void trees_settle(struct trees *t, struct tree_slot *s) {
  if (s->listed) return;
  s->listed = true;
  *WR_PUSH(t->settle, t->n_settle, t->cap_settle) = s->row.ti;
}

/* Of a parent that is gone nobody asks. */
void trees_moved(struct trees *t, struct tree_slot *s, const struct task *was, const struct task *now, bool gone, bool counts) {
  struct tree_row *r = &s->row;
  if (!s->there || s->gone) return;
  bool made = was->state == TASK_NONE;
  r->total += (made && !gone) - (gone && !made);
  r->live += (!gone && lives(now)) - lives(was);
  if (counts) r->failed += (!gone && failed(now)) - failed(was);
  if (r->failed < 0) r->failed = 0; /* of a former run, and not named again */
  s->changed = true;
  if (gone || (lives(was) && !lives(now))) trees_settle(t, s);
}

/* Also of one that nothing has asked for yet: what is below it may end behind it in this batch, and must not write its row. */
void trees_gone(struct trees *t, int64_t ti) {
  struct tree_slot *s = t->rows.n > 0 ? map64_get(&t->rows, ti) : NULL;
  if (!s) {
    s = arena_zalloc(&t->env->mem, sizeof *s);
    s->row.ti = ti;
    (void)map64_put(&t->rows, ti, s);
  }
  s->gone = true;
}

void trees_next(struct trees *t, int64_t ti, int64_t fi) {
  for (size_t i = 0; i < t->n_next; i++)
    if (t->next[i].ti == ti) return;
  *WR_PUSH(t->next, t->n_next, t->cap_next) = (struct tree_next){ti, fi, 0};
}

void trees_flow(struct trees *t, int64_t fi, int64_t after_id) {
  *WR_PUSH(t->next, t->n_next, t->cap_next) = (struct tree_next){0, fi, after_id};
}

void trees_follow(struct trees *t, int64_t id) {
  *WR_PUSH(t->next, t->n_next, t->cap_next) = (struct tree_next){0, 0, id};
}
