/* Task types that nodes have registered: store_types.h. The same on all SQL stores. What never happens: a row that goes. */
#include "sql.h"
#include "wr_limits.h"

static enum wr_rc write_all(struct store *s, const struct known_type *v, size_t n, struct wr_err *err) {
  enum wr_rc rc = s->def_ops->begin(s, err);
  if (rc) return rc;
  for (size_t i = 0; i < n && !rc; i++) rc = db_run(s->def, Q_TYPE_KNOW, ARGS(arg_text(v[i].name), arg_i(v[i].cleans_up)), err);
  return s->def_ops->end(s, rc, err);
}

enum wr_rc store_know_types(struct store *s, const struct known_type *v, size_t n, struct wr_err *err) {
  enum wr_rc rc = s->def_ops->enter(s, err);
  if (rc) return rc;
  int tries = DEF_TRIES;
  do rc = write_all(s, v, n, err);
  while (s->def_ops->again && s->def_ops->again(s, rc) && --tries);
  s->def_ops->leave(s);
  return rc;
}

enum wr_rc reader_known_types(struct reader *r, known_type_fn *fn, void *ctx, struct wr_err *err) {
  struct cursor c;
  int go_on = 0;
  if (!r->db) return WR_OK;
  db_select(r->db, &c, Q_TYPES, ARGS(arg_i(LIMIT_KNOWN_TYPES)));
  while (go_on == 0 && cursor_next(&c))
    go_on = fn(ctx, &(struct known_type){cell_text(&c.cell[0], NULL), cell_i64(&c.cell[1]) != 0});
  return cursor_end(&c, WR_OK, err);
}
