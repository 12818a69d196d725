/* One task instance as it is shown: see task_read.h. */
#include "task_read.h"
#include "map64.h"
#include <stdlib.h>
#include "attempt.h"

void task_keep_row(struct arena *a, const struct task_row *row, struct task_row *out) {
  *out = *row;
  out->error = arena_strdup(a, row->error);
  out->params = arena_strdup(a, row->params);
  out->result = row->result ? arena_memdup0(a, row->result, row->result_len) : NULL;
}

/* What is shown of it: neither content nor context. */
void task_keep_async(struct arena *a, const struct async_row *row, struct async_row *out) {
  *out = *row;
  out->name = arena_strdup(a, row->name);
  out->type = arena_strdup(a, row->type);
  out->content = NULL;
  out->config = arena_strdup(a, row->config);
  out->user = arena_strdup(a, row->user);
  out->group = arena_strdup(a, row->group);
  out->key = arena_strdup(a, row->key);
  out->context = NULL;
}

void task_read_none(struct task_read *k) {
  *k = (struct task_read){0};
  arena_init(&k->text, 0);
}

void task_read_done(struct task_read *k) {
  free(k->attempt);
  arena_done(&k->text);
}

void task_live_log(struct reader *r, struct task_row *row) {
  struct buf none = BUF_INIT;
  struct wr_err err;
  bool over = row->t.owner == 0 && (task_final(row->t.state) || row->t.epoch == 0 || row->log_bytes > 0);
  if (over || row->log == LOG_IS_RESULT) return; /* of an attempt that was stopped for a while the row says nothing */
  if (reader_log(r, row->ti, task_attempt_of(row->t.epoch), 0, 0, &none, &row->log_bytes, &err) != WR_OK) row->log_bytes = -1;
  buf_done(&none);
}

static int keep_task(void *ctx, const struct task_row *row) {
  struct task_read *k = ctx;
  task_keep_row(&k->text, row, &k->row);
  return 0;
}

static int keep_async(void *ctx, const struct async_row *row) {
  struct task_read *k = ctx;
  task_keep_async(&k->text, row, &k->alone);
  if (k->with_content) k->alone.content = arena_strdup(&k->text, row->content);
  k->is_alone = true;
  return 0;
}

/* The row was read a moment before. An attempt that ended since then is left out: it would be shown twice, here and as the one
 * that runs. History only grows, so the rest is what stood there when the row was read. */
static int list_attempt(void *ctx, const struct attempt_row *row) {
  struct task_read *k = ctx;
  const struct task *t = &k->row.t;
  uint32_t now = task_attempt_of(t->epoch);
  if (row->epoch > now || (row->epoch == now && t->owner != 0 && t->phase != PHASE_ANALYSE)) return 0;
  struct attempt_row *a = WR_PUSH(k->attempt, k->n, k->cap);
  *a = *row;
  a->why = arena_strdup(&k->text, row->why);
  a->error = arena_strdup(&k->text, row->error);
  return 0;
}

/* Since its newest attempt began. */
static bool was_analysed(const struct task *t) {
  return t->epoch > TASK_ATTEMPT_MAX || t->phase == PHASE_ANALYSE || t->phase == PHASE_CHILDREN;
}

void tree_list_want(struct tree_list *l, const struct task_row *row) {
  if (was_analysed(&row->t)) *WR_PUSH(l->v, l->n, l->cap) = (struct tree_row){.ti = row->ti};
}

enum wr_rc tree_list_read(struct reader *r, struct tree_list *l, struct wr_err *err) {
  if (l->n > 1) qsort(l->v, l->n, sizeof *l->v, wr_by_id);
  return reader_trees(r, l->v, l->n, err);
}

const struct tree_row *tree_list_get(const struct tree_list *l, int64_t ti) {
  return l->n ? bsearch(&ti, l->v, l->n, sizeof *l->v, wr_by_id) : NULL;
}

enum wr_rc task_read(struct reader *r, int64_t ti, enum task_form form, struct task_read *k, struct wr_err *err) {
  task_read_none(k);
  k->with_content = form == TASK_CONTENT;
  enum wr_rc rc = reader_task_ins(r, ti, keep_task, k, err);
  if (rc == WR_OK && k->row.fi == 0) {
    rc = reader_async(r, ti, keep_async, k, err);
    if (rc == WR_NOT_FOUND && k->row.task_id != 0) rc = WR_OK; /* it was made before such rows were */
  }
  if (rc == WR_NOT_FOUND) rc = wr_err_set(err, rc, "Task instance %lld does not exist.", (long long)ti);
  if (rc == WR_OK && was_analysed(&k->row.t)) rc = reader_tree(r, ti, &k->tree, &k->has_tree, err);
  if (rc == WR_OK) task_live_log(r, &k->row);
  if (rc == WR_OK) rc = reader_reports(r, &ti, 1, &k->report, &k->text, err);
  k->with_history = form == TASK_HISTORY;
  if (rc == WR_OK && k->with_history) rc = reader_attempts(r, k->row.ti, list_attempt, k, err);
  const struct attempt_row *last = k->n > 0 ? &k->attempt[k->n - 1] : NULL; /* whoever analysed it has not run it */
  if (last && was_analysed(&k->row.t) && last->epoch == task_attempt_of(k->row.t.epoch) && last->owner)
    k->row.ran_by = last->owner;
  return rc;
}
