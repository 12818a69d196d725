/* Whose tasks of flows are (store_whose.h), inside the runner's transaction. The runner's thread and connection. */
#include "mem.h"
#include "sqlite_priv.h"
#include "sqlite_run.h"

enum store_rc sq_put_whose(struct sq *s, const struct batch *b) {
  for (size_t i = 0; i < b->n_whose; i++) {
    const struct whose_row *r = &b->whose[i];
    sqlite3_stmt *w = sq_stmt(&s->run, RUN_WHOSE_PUT);
    if (!w) return sq_rc(&s->run, sqlite3_errcode(s->run.db));
    sq_int(w, 1, r->fi);
    sq_int(w, 2, r->ti);
    sq_text(w, 3, r->user);
    sq_text(w, 4, r->group);
    if (r->has_priority) sq_int(w, 5, r->priority);
    else sqlite3_bind_null(w, 5);
    int rc = sq_run(w);
    if (rc != SQLITE_OK) return sq_rc(&s->run, rc);
  }
  return STORE_OK;
}

enum store_rc sq_whose(struct store *st, int64_t fi, struct arena *a, struct whose_row **out, size_t *n) {
  struct sq *s = sq_of(st);
  struct cell c[CELLS_MAX];
  struct whose_row *v = NULL;
  size_t cap = 0;
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_WHOSE);
  *n = 0;
  *out = NULL;
  if (!q) return sq_rc(&s->run, sqlite3_errcode(s->run.db));
  sq_int(q, 1, fi);
  while (sqlite3_step(q) == SQLITE_ROW) {
    sq_cells(q, c);
    whose_of_cells(c, WR_PUSH(v, *n, cap), a);
  }
  int rc = sqlite3_reset(q);
  if (rc == SQLITE_OK && *n > 0) *out = memcpy(arena_alloc(a, *n * sizeof *v), v, *n * sizeof *v);
  free(v);
  return rc == SQLITE_OK ? STORE_OK : sq_rc(&s->run, rc);
}
