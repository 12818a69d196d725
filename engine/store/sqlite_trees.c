/* Trees of tasks (store_trees.h), inside the runner's transaction. The runner's thread and connection. */
#include "sqlite_priv.h"
#include "sqlite_run.h"

enum store_rc sq_put_trees(struct sq *s, const struct batch *b) {
  for (size_t i = 0; i < b->n_tree; i++) {
    const struct tree_row *r = &b->tree[i];
    sqlite3_stmt *w = sq_stmt(&s->run, RUN_TREE_PUT);
    if (!w) return sq_rc(&s->run, sqlite3_errcode(s->run.db));
    sq_int(w, 1, r->ti);
    sq_int(w, 2, r->verdict);
    sq_int(w, 3, r->ignore);
    sq_int(w, 4, r->wish);
    if (r->pass) sq_int(w, 5, r->pass_at);
    else sqlite3_bind_null(w, 5);
    sq_int(w, 6, r->total);
    sq_int(w, 7, r->live);
    sq_int(w, 8, r->failed);
    sq_int(w, 9, r->known);
    int rc = sq_run(w);
    if (rc != SQLITE_OK) return sq_rc(&s->run, rc);
  }
  return STORE_OK;
}

enum store_rc sq_tree(struct store *st, int64_t ti, struct tree_row *out, bool *got) {
  struct sq *s = sq_of(st);
  struct cell c[CELLS_MAX];
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_TREE);
  if (!q) return sq_rc(&s->run, sqlite3_errcode(s->run.db));
  sq_int(q, 1, ti);
  *got = sqlite3_step(q) == SQLITE_ROW;
  if (*got) {
    sq_cells(q, c);
    ins_row_tree(c, out);
  }
  int rc = sqlite3_reset(q);
  return rc == SQLITE_OK ? STORE_OK : sq_rc(&s->run, rc);
}

enum store_rc sq_children(struct store *st, int64_t parent, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out) {
  struct sq *s = sq_of(st);
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_CHILDREN);
  *n_out = 0;
  if (!q) return sq_rc(&s->run, sqlite3_errcode(s->run.db));
  sq_int(q, 1, parent);
  sq_int(q, 2, after_ti);
  sq_int(q, 3, (int64_t)n);
  while (*n_out < n && sqlite3_step(q) == SQLITE_ROW) ti[(*n_out)++] = sq_col(q, 0);
  int rc = sqlite3_reset(q);
  return rc == SQLITE_OK ? STORE_OK : sq_rc(&s->run, rc);
}
