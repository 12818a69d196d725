/* Cells, and statements that need one line (cursor.h). The thread that owns the connection. */
#include "cursor.h"
#include "clock.h"
#include "text.h"

int64_t cell_number(const struct cell *c) {
  int64_t v = 0;
  return c->kind == CELL_TEXT && text_i64(c->s, c->n, &v) ? v : 0;
}

int64_t cell_time(const struct cell *c) {
  int64_t us = 0;
  return c->kind == CELL_TEXT && clock_parse_sql(c->s, c->n, &us) ? us : 0;
}

enum wr_rc cursor_end(struct cursor *c, enum wr_rc rc, struct wr_err *err) {
  int e = c->db->ops->done(c);
  return rc || !e ? rc : c->db->ops->err(c->db, e, err);
}

enum wr_rc db_int(struct db *db, enum query q, const struct arg *arg, size_t n, int64_t *v, struct wr_err *err) {
  struct cursor c;
  db_select(db, &c, q, arg, n);
  if (cursor_next(&c)) *v = cell_i64(&c.cell[0]);
  return cursor_end(&c, WR_OK, err);
}

enum wr_rc db_run(struct db *db, enum query q, const struct arg *arg, size_t n, struct wr_err *err) {
  int e = db->ops->run(db, q, arg, n);
  return e ? db->ops->err(db, e, err) : WR_OK;
}

enum wr_rc db_view(struct db *db, struct wr_err *err) { return db->ops->view ? db->ops->view(db, true, err) : WR_OK; }

enum wr_rc db_view_end(struct db *db, enum wr_rc rc, struct wr_err *err) {
  enum wr_rc end = db->ops->view ? db->ops->view(db, false, rc ? NULL : err) : WR_OK;
  return rc ? rc : end;
}
