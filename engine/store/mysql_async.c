/* Async rows of the runner, in its packet: written, deleted with their tasks, read by number or by taskKey. The runner's
 * thread and connection.
 *
 * The unique index of taskKeys decides between two nodes: the second waits for the first, then meets the error "duplicate",
 * and does its batch again. A taskKey that is under way elsewhere is recognised earlier, by a read that sees uncommitted rows
 * (as in mysql_keys.c). What never happens: a row of a task that is not there; a taskKey that two tasks have; a lock taken by
 * a look. */
#include "mysql_run.h"
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */
static void put_name(struct my *s, const char *name) { sql_blob(&s->sql, s->run.m, name ? name : "", name ? strlen(name) : 0); }

static void put_head(struct my *s, const struct async_row *r) {
  struct sql *q = &s->sql;
  sql_ch(q, '('), sql_i64(q, r->ti);
  sql_ch(q, ','), sql_us(q, r->create_us);
  sql_ch(q, ','), sql_text(q, s->run.m, r->name);
  sql_ch(q, ','), sql_text(q, s->run.m, r->type);
}

static void put_inline(struct my *s, const struct async_row *r) {
  struct sql *q = &s->sql;
  sql_ch(q, ','), sql_text(q, s->run.m, r->config);
  sql_ch(q, ','), sql_text(q, s->run.m, r->content);
}

static void put_queue(struct my *s, const struct async_row *r) {
  sql_ch(&s->sql, ','), put_name(s, r->user);
  sql_ch(&s->sql, ','), put_name(s, r->group);
}

static void put_rest(struct my *s, const struct async_row *r) {
  struct sql *q = &s->sql;
  sql_ch(q, ','), sql_i64(q, r->priority);
  sql_ch(q, ','), sql_i64(q, r->cpu);
  sql_ch(q, ','), sql_us(q, r->start_at_us);
  sql_ch(q, ','), sql_i64(q, r->run_no ? r->run_no : 1);
  sql_ch(q, ','), sql_i64(q, r->run_epoch);
  sql_ch(q, ','), sql_blob(q, s->run.m, r->context, r->context_len);
  sql_ch(q, ','), sql_i64(q, r->context ? (int64_t)r->context_len : 0);
  sql_ch(q, ','), sql_i64(q, r->context_epoch);
  sql_ch(q, ','), sql_text(q, s->run.m, r->key);
  sql_ch(q, ','), sql_blob(q, s->run.m, r->key ? r->hash : NULL, KEY_HASH_BYTES);
  sql_ch(q, ','), sql_i64_0(q, r->job);
  sql_ch(q, ','), sql_i64(q, r->scope);
  sql_ch(q, ','), sql_i64_0(q, r->parent);
  sql_ch(q, ','), sql_i64_0(q, r->root);
  sql_ch(q, ','), sql_i64(q, r->depth);
}

/* What a row has beside the columns of SHAPE_PLAIN: the server reads text for a quarter of its time, so an insert names few. Each
 * has the columns of those before it. */
enum shape { SHAPE_PLAIN, SHAPE_INLINE, SHAPE_QUEUE, SHAPE_ALL };
#define INLINE_COLS ",task_config,task_content"
#define QUEUE_NAME_COLS INLINE_COLS ",user_name,group_name"
static const char *const columns[] = {
  [SHAPE_PLAIN] = "", [SHAPE_INLINE] = INLINE_COLS, [SHAPE_QUEUE] = QUEUE_NAME_COLS,
  [SHAPE_ALL] = QUEUE_NAME_COLS ",priority,cpu_overhead,start_after,run_no,run_epoch,context,context_len,context_epoch,task_key,"
                "key_hash,job_id,key_scope,parent_ti,root_ti,depth"};

static enum shape shape_of(const struct async_row *r) {
  struct async_row bare = *r;
  if (async_plain(r)) return SHAPE_PLAIN;
  bare.config = bare.content = NULL;
  if (async_plain(&bare)) return SHAPE_INLINE;
  bare.user = bare.group = "";
  return async_plain(&bare) ? SHAPE_QUEUE : SHAPE_ALL;
}

/* Of the rows that one statement may take. Rows of many shapes are not one statement each. */
static enum shape widest(const struct batch *b, size_t i) {
  enum shape most = SHAPE_PLAIN;
  for (size_t n = 0; i < b->n_async && n < PUT_ROWS && most < SHAPE_ALL; i++) {
    if (b->async[i].op != ROW_INSERT) continue;
    enum shape own = shape_of(&b->async[i].row);
    if (own > most) most = own;
    n++;
  }
  return most;
}

/* Inserts from *i on, in one statement. */
static enum store_rc insert_some(struct my *s, struct batch *b, size_t *i) {
  enum shape shape = widest(b, *i);
  enum store_rc rc = run_statement(s, b, WANT_UNIQUE, 0, 0);
  if (rc) return rc;
  size_t n = 0, from = s->sql.b.len;
  sql_str(&s->sql, "INSERT INTO task_async(ti_id,create_time,task_name,task_type");
  sql_str(&s->sql, columns[shape]);
  sql_str(&s->sql, ")VALUES");
  for (; *i < b->n_async && n < PUT_ROWS && (n == 0 || s->sql.b.len - from < s->run.packet / 2); ++*i) {
    const struct async_row *r = &b->async[*i].row;
    if (b->async[*i].op != ROW_INSERT) continue;
    sql_sep(&s->sql, n++, ",");
    put_head(s, r);
    if (shape >= SHAPE_INLINE) put_inline(s, r);
    if (shape >= SHAPE_QUEUE) put_queue(s, r);
    if (shape == SHAPE_ALL) put_rest(s, r);
    sql_ch(&s->sql, ')');
  }
  s->want[s->n_want - 1].n = n;
  return STORE_OK;
}

static enum store_rc update_one(struct my *s, struct batch *b, const struct async_row *r) {
  struct sql *q = &s->sql;
  enum store_rc rc = run_statement(s, b, WANT_ROWS, 0, 1);
  if (rc) return rc;
  sql_str(q, "UPDATE task_async SET user_name="), put_name(s, r->user);
  sql_str(q, ",group_name="), put_name(s, r->group);
  sql_str(q, ",priority="), sql_i64(q, r->priority);
  sql_str(q, ",cpu_overhead="), sql_i64(q, r->cpu);
  sql_str(q, ",start_after="), sql_us(q, r->start_at_us);
  sql_str(q, ",run_no="), sql_i64(q, r->run_no ? r->run_no : 1);
  sql_str(q, ",run_epoch="), sql_i64(q, r->run_epoch);
  if (r->context) {
    sql_str(q, ",context="), sql_blob(q, s->run.m, r->context, r->context_len);
    sql_str(q, ",context_len="), sql_i64(q, (int64_t)r->context_len);
    sql_str(q, ",context_epoch="), sql_i64(q, r->context_epoch);
  }
  sql_str(q, " WHERE ti_id="), sql_i64(q, r->ti);
  return STORE_OK;
}

enum store_rc write_async(struct my *s, struct batch *b) {
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < b->n_async && rc == STORE_OK; i++)
    if (b->async[i].op == ROW_UPDATE) rc = update_one(s, b, &b->async[i].row);
  for (size_t i = 0; i < b->n_async && rc == STORE_OK;) {
    if (b->async[i].op == ROW_INSERT) rc = insert_some(s, b, &i);
    else i++;
  }
  if (rc == STORE_OK) rc = write_job_tasks(s, b);
  return rc == STORE_OK ? write_children(s, b) : rc;
}

/* Their logs are deleted after the commit, or by a later start. */
static enum store_rc note_gone(struct my *s, struct batch *b, size_t from, size_t n) {
  enum store_rc rc = run_statement(s, b, WANT_NOTHING, 0, n);
  if (rc) return rc;
  sql_str(&s->sql, "INSERT IGNORE INTO task_gone(ti_id)VALUES");
  for (size_t i = 0; i < n; i++) {
    sql_sep(&s->sql, i, ",");
    sql_ch(&s->sql, '('), sql_i64(&s->sql, b->gone[from + i]), sql_ch(&s->sql, ')');
  }
  return STORE_OK;
}

/* Before their async rows, which know the jobs. */
static enum store_rc leave_jobs(struct my *s, struct batch *b, size_t from, size_t n) {
  enum store_rc rc = b->n_job > 0 ? run_statement(s, b, WANT_NOTHING, 0, n) : STORE_OK; /* else no task of a job changes */
  if (rc || b->n_job == 0) return rc;
  sql_str(&s->sql, "DELETE j FROM task_async a JOIN job_task j ON j.job_id=a.job_id AND j.ti_id=a.ti_id WHERE a.ti_id IN(");
  sql_ids(&s->sql, b->gone + from, n);
  sql_ch(&s->sql, ')');
  rc = run_statement(s, b, WANT_NOTHING, 0, n);
  if (rc) return rc;
  sql_str(&s->sql, "DELETE c FROM task_async a JOIN task_child c ON c.parent_ti=a.parent_ti AND c.ti_id=a.ti_id "
                   "WHERE a.ti_id IN(");
  sql_ids(&s->sql, b->gone + from, n);
  sql_ch(&s->sql, ')');
  return STORE_OK;
}

/* The batch has updated the tasks before, so they are there. Other rows may be missing: a task may be final, or never have
 * run. A context goes with the logs (my_logs_drop()): it may say who works for the task elsewhere and is to be told. */
enum store_rc write_gone(struct my *s, struct batch *b) {
  static const char *const table[] = {"task_progress", "task_tree", "task_async", "task_alone", "task_attempt",
                                      "task_ins"};
  const size_t last = sizeof table / sizeof *table - 1;
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < b->n_gone && rc == STORE_OK; i += MY_IN_MAX) {
    size_t n = b->n_gone - i < MY_IN_MAX ? b->n_gone - i : MY_IN_MAX;
    rc = note_gone(s, b, i, n);
    if (rc == STORE_OK) rc = leave_jobs(s, b, i, n);
    for (size_t k = 0; k <= last && rc == STORE_OK; k++) {
      rc = run_statement(s, b, k == last ? WANT_ROWS : WANT_NOTHING, 0, n);
      if (rc) break;
      buf_printf(&s->sql.b, "DELETE FROM %s WHERE ti_id IN(", table[k]);
      sql_ids(&s->sql, b->gone + i, n);
      sql_ch(&s->sql, ')');
    }
  }
  return rc;
}

/* ---- reading ---- */
static enum store_rc read_some(struct my *s, const int64_t *ti, size_t n, struct async_row *out, size_t *n_out) {
  struct cell c[CELLS_MAX];
  MYSQL_RES *res;
  my_select_begin(s);
  sql_str(&s->sql, "SELECT " ASYNC_COLS " FROM task_async a FORCE INDEX(PRIMARY) WHERE a.ti_id IN(");
  sql_ids(&s->sql, ti, n);
  sql_str(&s->sql, ")ORDER BY a.ti_id");
  unsigned e = my_select_tx(s, &res);
  if (e) return my_run_fail(s, e);
  for (MYSQL_ROW row; (row = mysql_fetch_row(res)); ++*n_out) {
    my_cells(res, row, c);
    ins_row_async(c, &out[*n_out], &s->texts);
  }
  mysql_free_result(res);
  return STORE_OK;
}

enum store_rc my_async(struct store *st, const int64_t *ti, size_t n, struct async_row *out, size_t *n_out) {
  enum store_rc rc = STORE_OK;
  *n_out = 0;
  for (size_t i = 0; i < n && rc == STORE_OK; i += MY_IN_MAX)
    rc = read_some(my_of(st), ti + i, n - i < MY_IN_MAX ? n - i : MY_IN_MAX, out, n_out);
  return rc;
}

/* ---- taskKeys ---- */
static void found_key(const struct cell *c, const struct my_asked *k, size_t i) {
  struct async_key *out = (struct async_key *)k->out + i;
  bool fits = ins_row_hash(&c[2], out->hash);
  wr_assert(fits); /* BINARY(32) */
  out->ti = cell_i64(&c[1]);
}

/* Keys of one scope follow each other. */
enum store_rc my_async_keys(struct store *st, const struct key_name *key, size_t n, struct async_key *out, uint8_t *got) {
  static const struct my_key_table t = {"task_async FORCE INDEX(task_async_scope)", "task_key", "task_key,ti_id,key_hash",
                                        sizeof *out, found_key};
  const char **name = wr_calloc(n + 1, sizeof *name);
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < n; i++) name[i] = key[i].key;
  for (size_t from = 0, to; from < n && rc == STORE_OK; from = to) {
    for (to = from + 1; to < n && key[to].scope == key[from].scope;) to++;
    rc = my_keys_look(my_of(st), &(struct my_asked){&t, name + from, to - from, out + from, got + from, true, key[from].scope});
  }
  free(name);
  return rc;
}
