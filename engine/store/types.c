/* Task types that nodes have registered: store_types.h. The same on all SQL stores. What never happens: a row that goes. */
#include "sql.h"
#include "wr_limits.h"

struct types_job { const struct known_type *v; size_t n; };

/* One name space: what was registered by POST /executor is no type of a library. */
static enum wr_rc no_executor(struct store *s, const char *type, struct wr_err *err) {
  struct cursor c;
  db_select(s->def, &c, Q_EXECUTOR_NOW, ARGS(arg_text(type)));
  bool there = cursor_next(&c);
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  if (rc || !there) return rc;
  return wr_err_set(err, WR_EXISTS, "An executor %s was registered by POST /executor: choose another name.", type);
}

static enum wr_rc write_all(struct store *s, void *job, struct wr_err *err) {
  const struct types_job *j = job;
  enum wr_rc rc = WR_OK;
  for (size_t i = 0; i < j->n && !rc; i++) rc = no_executor(s, j->v[i].name, err);
  for (size_t i = 0; i < j->n && !rc; i++)
    rc = db_run(s->def, Q_TYPE_KNOW, ARGS(arg_text(j->v[i].name), arg_i(j->v[i].cleans_up)), err);
  return rc;
}

enum wr_rc store_know_types(struct store *s, const struct known_type *v, size_t n, struct wr_err *err) {
  return def_do(s, write_all, &(struct types_job){v, n}, err);
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
