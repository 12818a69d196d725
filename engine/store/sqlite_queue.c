/* Queues of the runner on SQLite: their rows, the state of their rates, and the tasks that count in them. The runner's thread and
 * connection. There is no rival: every writer waits for `turn`, so no row needs a lock.
 * What never happens: a look at a task that is final. */
#include "sqlite_priv.h"
#include <stdlib.h>
#include "sqlite_run.h"

static enum store_rc broken(struct sq *s) { return sq_rc(&s->run, sqlite3_errcode(s->run.db)); }

enum store_rc sq_queues(struct store *st, int64_t known_version, int64_t *version, struct arena *a, struct queue_row **rows,
                        size_t *n) {
  struct sq *s = sq_of(st);
  struct cell c[CELLS_MAX];
  struct queue_row *v = NULL;
  size_t got = 0, cap = 0;
  *version = s->queues;
  if (s->queues == known_version) return STORE_OK;
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_QUEUES);
  if (!q) return broken(s);
  while (sqlite3_step(q) == SQLITE_ROW) {
    sq_cells(q, c);
    ins_row_queue(c, WR_PUSH(v, got, cap), a);
  }
  if (got) *rows = arena_alloc(a, got * sizeof *v), memcpy(*rows, v, got * sizeof *v);
  *n = got;
  free(v);
  return sq_rc(&s->run, sqlite3_reset(q));
}

enum store_rc sq_queue_lock(struct store *st, const int64_t *id, size_t n, int64_t *rate_at) {
  struct sq *s = sq_of(st);
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_RATE_AT);
  if (!q) return broken(s);
  for (size_t i = 0; i < n; i++) {
    sq_int(q, 1, id[i]);
    if (sqlite3_step(q) == SQLITE_ROW) rate_at[i] = sq_col(q, 0);
    int rc = sqlite3_reset(q);
    if (rc != SQLITE_OK) return sq_rc(&s->run, rc);
  }
  return STORE_OK;
}

enum store_rc sq_put_rates(struct sq *s, const struct batch *b) {
  for (size_t i = 0; i < b->n_rate; i++) {
    sqlite3_stmt *w = sq_stmt(&s->run, RUN_RATE_SET);
    if (!w) return broken(s);
    sq_int(w, 1, b->rate[i].queue_id);
    sq_int(w, 2, b->rate[i].rate_at);
    int rc = sq_run(w);
    if (rc != SQLITE_OK) return sq_rc(&s->run, rc);
    if (sqlite3_changes(s->run.db) != 1) return sq_missing("task_queue", b->rate[i].queue_id);
  }
  return STORE_OK;
}

/* ---- what counts ---- */
struct counted { struct running_row *v; size_t n, cap; struct arena *a; };

static int take_rows(sqlite3_stmt *q, struct counted *out) {
  struct cell c[CELLS_MAX];
  while (sqlite3_step(q) == SQLITE_ROW) {
    sq_cells(q, c);
    ins_row_running(c, WR_PUSH(out->v, out->n, out->cap), out->a);
  }
  return sqlite3_reset(q);
}

static int of_flows(struct sq *s, const struct sweep *w, struct counted *out) {
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_RUNNING_FLOW);
  int rc = q ? SQLITE_OK : sqlite3_errcode(s->run.db);
  for (size_t i = 0; i < w->n && rc == SQLITE_OK; i++) {
    sq_int(q, 1, w->v[i].lo);
    sq_int(q, 2, w->v[i].hi);
    rc = take_rows(q, out);
  }
  return rc;
}

enum store_rc sq_running(struct store *st, struct arena *a, struct running_row **out, size_t *n) {
  struct sq *s = sq_of(st);
  struct counted got = {.a = a};
  struct sweep w = {0};
  sqlite3_stmt *alone = sq_stmt(&s->run, RUN_RUNNING_ALONE), *flows = sq_stmt(&s->run, RUN_LIVE_BASES);
  if (!alone || !flows) return broken(s);
  int rc = take_rows(alone, &got);
  while (rc == SQLITE_OK && sqlite3_step(flows) == SQLITE_ROW) sweep_runs(&w, sq_col_text(flows, 0), sq_col(flows, 1));
  if (rc == SQLITE_OK) rc = sqlite3_reset(flows);
  sweep_join(&w);
  if (rc == SQLITE_OK) rc = of_flows(s, &w, &got);
  sweep_done(&w);
  if (rc != SQLITE_OK) return free(got.v), sq_rc(&s->run, rc);
  *n = got.n;
  *out = running_keep(got.v, got.n, a);
  return STORE_OK;
}
