/* Executors and analyzers that were registered at run time: store_executors.h. The same on all SQL stores. One definition writer
 * at a time in the whole cluster, so what is looked at in a transaction stays as it is.
 *
 * What never happens: a version that comes twice, also after a delete; a change of a body; two current versions of a type; a
 * change without a new definitions.version and number of changes in the same transaction. */
#include <stdio.h>
#include <string.h>
#include "sql.h"
#include "wr_limits.h"

/* What differs between the two tables. */
struct use { enum query q; const char *what; };
static const struct table {
  enum query changes, all, one, now, last, n, former, insert, raise;
  const char *word, *field, *in_text;       /* in_text: how a name stands in what uses it */
  int most;
  struct use use[7];
} tables[] = {
  [ADDED_EXECUTOR] = {Q_EXECUTORS_VERSION, Q_EXECUTORS, Q_EXECUTOR, Q_EXECUTOR_NOW, Q_EXECUTOR_LAST, Q_EXECUTORS_N,
    Q_EXECUTOR_FORMER, Q_EXECUTOR_INSERT, Q_EXECUTORS_RAISE, "executor", "/executorType", "\"taskType\":\"%s\"",
    LIMIT_ADDED_TYPES, {{Q_EXECUTOR_TASK, "task"}, {Q_EXECUTOR_FLOW, "flow"}, {Q_EXECUTOR_ALONE, "task instance"},
     {Q_EXECUTOR_FLOW_INS, "flow instance"}, {Q_EXECUTOR_FLOW_TASK, "flow instance"}}},
  [ADDED_ANALYZER] = {Q_ANALYZERS_VERSION, Q_ANALYZERS, Q_ANALYZER, Q_ANALYZER_NOW, Q_ANALYZER_LAST, Q_ANALYZERS_N,
    Q_ANALYZER_FORMER, Q_ANALYZER_INSERT, Q_ANALYZERS_RAISE, "analyzer", "/analyzerType", "\"analyzer\":\"%s\"", LIMIT_ANALYZERS,
    {{Q_ANALYZER_TASK, "task"}, {Q_EXECUTOR_FLOW, "flow"}, {Q_ANALYZER_ALONE, "task instance"},
     {Q_ANALYZER_FLOW_INS, "flow instance"}, {Q_FORMER_ALONE, "a former version of the executor of task instance"},
     {Q_FORMER_FLOW_INS, "a former version of an executor of flow instance"}}}};

struct executor_job {
  struct executor_row *row; const struct executor_put *how;
  const struct table *t;
  struct executor_row made;
};

enum { IN_TEXT = LIMIT_EXECUTOR_TYPE_CHARS + 32 };

static struct executor_row row_of(enum added_kind kind, const struct cell *c) {
  return (struct executor_row){.kind = kind, .type = cell_text(&c[0], NULL), .version = cell_i64(&c[1]),
                               .id = cell_text(&c[2], NULL), .create_us = cell_us(&c[3]), .update_us = cell_us(&c[4]),
                               .body = cell_text(&c[5], NULL), .current = cell_i64(&c[6]) != 0};
}

/* ---- the current version, and what is free ---- */

enum there { THERE_NOT, THERE_SAME, THERE_OTHER };

static enum wr_rc look_now(struct store *s, struct executor_job *j, enum there *there, struct wr_err *err) {
  struct cursor c;
  *there = THERE_NOT;
  db_select(s->def, &c, j->t->now, ARGS(arg_text(j->row->type)));
  if (cursor_next(&c)) {
    struct executor_row now = row_of(j->row->kind, c.cell);
    *there = now.body && strcmp(now.body, j->row->body) == 0 ? THERE_SAME : THERE_OTHER;
    j->made.version = now.version, j->made.create_us = now.create_us, j->made.update_us = now.update_us;
  }
  return cursor_end(&c, WR_OK, err);
}

static enum wr_rc no_type(struct store *s, const char *type, struct wr_err *err) {
  int64_t n = 0;
  enum wr_rc rc = db_int(s->def, Q_EXECUTOR_TYPE, ARGS(arg_text(type)), &n, err);
  if (rc || n == 0) return rc;
  return wr_err_at(err, WR_EXISTS, "/executorType", "A node has registered the task type %s itself: choose another name.", type);
}

static enum wr_rc id_free(struct store *s, const struct executor_row *row, struct wr_err *err) {
  struct cursor c;
  char other[LIMIT_EXECUTOR_TYPE_CHARS + 1] = "";
  if (!row->id) return WR_OK;
  db_select(s->def, &c, Q_EXECUTOR_OF_ID, ARGS(arg_text(row->id)));
  if (cursor_next(&c)) snprintf(other, sizeof other, "%s", cell_text(&c.cell[0], NULL));
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  if (rc || !*other || strcmp(other, row->type) == 0) return rc;
  return wr_err_at(err, WR_EXISTS, "/executorId", "The executor %s has this executorId.", other);
}

static enum wr_rc room(struct store *s, const struct table *t, bool new_type, struct wr_err *err) {
  struct cursor c;
  int64_t types = 0, rows = 0;
  db_select(s->def, &c, t->n, NULL, 0);
  if (cursor_next(&c)) types = cell_i64(&c.cell[0]), rows = cell_i64(&c.cell[1]);
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  if (!rc && new_type && types >= t->most)
    rc = wr_err_set(err, WR_TOO_LARGE, "There are %d %ss, which is the most; delete some that you do not need.", t->most,
                    t->word);
  if (!rc && rows >= LIMIT_ADDED_ROWS)
    rc = wr_err_set(err, WR_TOO_LARGE, "There were %d versions of %ss, which is the most.", LIMIT_ADDED_ROWS, t->word);
  return rc;
}

/* ---- save ---- */

/* Versions count on behind those of an executor of that name that was deleted. */
static enum wr_rc number(struct store *s, struct executor_job *j, struct wr_err *err) {
  struct cursor c;
  int64_t last = 0, created = 0, now = store_now(s);
  db_select(s->def, &c, j->t->last, ARGS(arg_text(j->row->type)));
  if (cursor_next(&c)) last = cell_i64(&c.cell[0]), created = cell_us(&c.cell[1]);
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  j->made.version = last + 1;
  j->made.create_us = created ? created : now;
  j->made.update_us = now > created ? now : created;
  return rc;
}

static enum wr_rc raise(struct store *s, const struct table *t, struct wr_err *err) {
  enum wr_rc rc = db_run(s->def, t->raise, NULL, 0, err);
  return rc ? rc : s->def_ops->raise(s, err);
}

static enum wr_rc put(struct store *s, struct executor_job *j, bool new_type, struct wr_err *err) {
  const struct executor_row *r = j->row, *m = &j->made;
  enum wr_rc rc = id_free(s, r, err);
  if (!rc) rc = room(s, j->t, new_type, err);
  if (!rc) rc = number(s, j, err);
  if (!rc && r->kind == ADDED_EXECUTOR) rc = type_limits_put(s, r->type, j->how->limits, err);
  if (!rc && !new_type) rc = db_run(s->def, j->t->former, ARGS(arg_text(r->type)), err);
  if (!rc)
    rc = db_run(s->def, j->t->insert, ARGS(arg_text(r->type), arg_i(m->version), arg_text(r->id), arg_us(m->create_us),
                                                arg_us(m->update_us), arg_text(r->body)), err);
  return rc ? rc : raise(s, j->t, err);
}

static enum wr_rc executor_save(struct store *s, void *job, struct wr_err *err) {
  struct executor_job *j = job;
  enum there there;
  enum wr_rc rc = def_key_free(s, j->how->key, err);
  if (!rc && j->row->kind == ADDED_EXECUTOR) rc = no_type(s, j->row->type, err);
  if (!rc) rc = look_now(s, j, &there, err);
  if (!rc && there == THERE_OTHER && !j->how->replace)
    rc = wr_err_at(err, WR_EXISTS, j->t->field,
                   "There is an %s %s with other content (version %lld); send \"replace\": true to replace it.", j->t->word,
                   j->row->type, (long long)j->made.version);
  if (!rc && there != THERE_SAME) rc = put(s, j, there == THERE_NOT, err);
  return rc ? rc : def_key_put(s, j->how->key, 0, j->made.version, err);
}

enum wr_rc store_executor_save(struct store *s, struct executor_row *row, const struct executor_put *how, struct wr_err *err) {
  struct executor_job j = {.row = row, .how = how, .t = &tables[row->kind]};
  enum wr_rc rc = def_do(s, executor_save, &j, err);
  if (rc) return rc;
  row->version = j.made.version, row->create_us = j.made.create_us, row->update_us = j.made.update_us, row->current = true;
  return WR_OK;
}

/* ---- delete ---- */

/* In the inline tasks of a node a name stands as def_inline_text() writes it; a quote inside of a text has a backslash. */
static void stands_as(const struct executor_job *j, char out[IN_TEXT]) {
  const char *at = strchr(j->t->in_text, '%');
  (void)snprintf(out, IN_TEXT, "%.*s%s%s", (int)(at - j->t->in_text), j->t->in_text, j->row->type, at + 2);
}

static enum wr_rc no_use(struct store *s, const struct executor_job *j, const struct use *u, struct wr_err *err) {
  char in_text[IN_TEXT];
  int64_t id = 0;
  stands_as(j, in_text);
  enum wr_rc rc = db_int(s->def, u->q, ARGS(arg_text(j->row->type), arg_text(in_text)), &id, err);
  if (rc || id == 0) return rc;
  return wr_err_set(err, WR_IN_USE, "The %s %s is used by %s %lld.", j->t->word, j->row->type, u->what, (long long)id);
}

/* An executor whose tasks are analysed by it. */
static enum wr_rc no_executor(struct store *s, const struct executor_job *j, struct wr_err *err) {
  struct cursor c;
  char in_text[IN_TEXT], other[LIMIT_EXECUTOR_TYPE_CHARS + 1] = "";
  stands_as(j, in_text);
  db_select(s->def, &c, Q_ANALYZER_EXECUTOR, ARGS(arg_text(j->row->type), arg_text(in_text)));
  if (cursor_next(&c)) snprintf(other, sizeof other, "%s", cell_text(&c.cell[0], NULL));
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  if (rc || !*other) return rc;
  return wr_err_set(err, WR_IN_USE, "The analyzer %s is used by the executor %s.", j->row->type, other);
}

/* The version goes up before the look at what lives: a batch that makes a task of the type has either committed and is seen here,
 * or it finds the new version and decides again. */
static enum wr_rc executor_delete(struct store *s, void *job, struct wr_err *err) {
  struct executor_job *j = job;
  enum there there;
  enum wr_rc rc = look_now(s, j, &there, err);
  if (!rc && there == THERE_NOT) rc = wr_err_set(err, WR_NOT_FOUND, "There is no %s %s.", j->t->word, j->row->type);
  if (!rc && j->row->kind == ADDED_EXECUTOR) /* rows of queues before versions */
    rc = type_limits_put(s, j->row->type, NULL, err);
  if (!rc) rc = raise(s, j->t, err);
  if (!rc && j->row->kind == ADDED_ANALYZER) rc = no_executor(s, j, err);
  for (const struct use *u = j->t->use; !rc && u->what; u++) rc = no_use(s, j, u, err);
  return rc ? rc : db_run(s->def, j->t->former, ARGS(arg_text(j->row->type)), err);
}

enum wr_rc store_executor_delete(struct store *s, enum added_kind kind, const char *type, struct wr_err *err) {
  struct executor_row row = {.kind = kind, .type = type, .body = ""};
  struct executor_job j = {.row = &row, .t = &tables[kind]};
  return def_do(s, executor_delete, &j, err);
}

/* ---- what a member offers ---- */

struct told { int64_t incarnation; const char *text; };

static enum wr_rc executors_tell(struct store *s, void *job, struct wr_err *err) {
  const struct told *t = job;
  return db_run(s->def, Q_EXECUTORS_TELL, ARGS(arg_i(t->incarnation), arg_text(t->text)), err);
}

enum wr_rc store_executors_tell(struct store *s, int64_t incarnation, const char *text, struct wr_err *err) {
  return def_do(s, executors_tell, &(struct told){incarnation, text}, err);
}

/* ---- readers ---- */

enum wr_rc reader_executors_version(struct reader *r, enum added_kind kind, int64_t *out, struct wr_err *err) {
  *out = 0;
  return r->db ? db_int(r->db, tables[kind].changes, NULL, 0, out, err) : WR_OK;
}

enum wr_rc reader_executors(struct reader *r, enum added_kind kind, executor_fn *fn, void *ctx, struct wr_err *err) {
  struct cursor c;
  int go_on = 0;
  if (!r->db) return WR_OK;
  db_select(r->db, &c, tables[kind].all, NULL, 0);
  while (go_on == 0 && cursor_next(&c)) {
    struct executor_row row = row_of(kind, c.cell);
    go_on = fn(ctx, &row);
  }
  return cursor_end(&c, WR_OK, err);
}

enum wr_rc reader_executor(struct reader *r, enum added_kind kind, const char *type, int64_t version, executor_fn *fn,
                           void *ctx, struct wr_err *err) {
  struct cursor c;
  bool found = false;
  if (r->db) {
    if (version) db_select(r->db, &c, tables[kind].one, ARGS(arg_text(type), arg_i(version)));
    else db_select(r->db, &c, tables[kind].now, ARGS(arg_text(type)));
    found = cursor_next(&c);
    if (found) {
      struct executor_row row = row_of(kind, c.cell);
      (void)fn(ctx, &row);
    }
    enum wr_rc rc = cursor_end(&c, WR_OK, err);
    if (rc) return rc;
  }
  char q[WR_QUOTE_MAX];
  return found ? WR_OK : wr_err_set(err, WR_NOT_FOUND, "There is no %s %s.", tables[kind].word,
                                      wr_err_quote(q, type, strlen(type)));
}
