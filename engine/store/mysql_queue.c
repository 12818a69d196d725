/* Queues of the runner on MariaDB and MySQL: their rows, the state of their rates under the rows' locks, and the tasks that
 * count in them. The runner's thread and connection.
 *
 * A batch that starts tasks under a limit locks the queues of the limit, so two nodes never count at the same time. Notes of a
 * task (task_counted) are written under the lock of the task or of its flow. What never happens: a count that locks a task; a
 * rate that is written for a queue that has changed (the fence compares definitions.version). */
#include "mysql_run.h"
#include <stdlib.h>
#include "map64.h"

enum store_rc my_queues(struct store *st, int64_t known_version, int64_t *version, struct arena *a, struct queue_row **rows,
                        size_t *n) {
  struct my *s = my_of(st);
  struct cell c[CELLS_MAX];
  MYSQL_RES *res;
  size_t got = 0;
  *version = s->queues;
  if (s->queues == known_version) return STORE_OK;
  my_select_begin(s);
  sql_str(&s->sql, "SELECT " QUEUE_COLS " FROM task_queue ORDER BY queue_id");
  unsigned e = my_select_tx(s, &res);
  if (e) return my_run_fail(s, e);
  size_t most = (size_t)mysql_num_rows(res);
  if (most) *rows = arena_alloc(a, most * sizeof **rows);
  for (MYSQL_ROW row; got < most && (row = mysql_fetch_row(res));) {
    my_cells(res, row, c);
    ins_row_queue(c, &(*rows)[got++], a);
  }
  *n = got;
  mysql_free_result(res);
  return STORE_OK;
}

/* ---- rates ---- */
static size_t place(const int64_t *id, size_t n, int64_t want) {
  const int64_t *p = bsearch(&want, id, n, sizeof *id, wr_by_id);
  return p ? (size_t)(p - id) : n;
}

static unsigned lock_some(struct my *s, const int64_t *id, size_t n, int64_t *rate_at) {
  struct cell c[CELLS_MAX];
  MYSQL_RES *res;
  my_select_begin(s);
  sql_str(&s->sql, "SELECT queue_id,rate_at FROM task_queue FORCE INDEX(PRIMARY) WHERE queue_id IN(");
  sql_ids(&s->sql, id, n);
  sql_str(&s->sql, ")ORDER BY queue_id FOR UPDATE");
  unsigned e = my_select_tx(s, &res);
  if (e) return e;
  for (MYSQL_ROW row; (row = mysql_fetch_row(res));) {
    my_cells(res, row, c);
    size_t i = place(id, n, cell_i64(&c[0]));
    if (i < n) rate_at[i] = cell_i64(&c[1]);
  }
  mysql_free_result(res);
  return 0;
}

enum store_rc my_queue_lock(struct store *st, const int64_t *id, size_t n, int64_t *rate_at) {
  struct my *s = my_of(st);
  unsigned e = 0;
  for (size_t i = 0; i < n && !e; i += MY_IN_MAX)
    e = lock_some(s, id + i, n - i < MY_IN_MAX ? n - i : MY_IN_MAX, rate_at + i);
  return e ? my_run_fail(s, e) : STORE_OK;
}

enum store_rc write_rates(struct my *s, struct batch *b) {
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < b->n_rate && rc == STORE_OK; i += MY_IN_MAX) {
    size_t n = b->n_rate - i < MY_IN_MAX ? b->n_rate - i : MY_IN_MAX;
    rc = run_statement(s, b, WANT_ROWS, 0, n);
    if (rc) break;
    sql_str(&s->sql, "UPDATE task_queue SET rate_at=CASE queue_id");
    for (size_t k = i; k < i + n; k++)
      buf_printf(&s->sql.b, " WHEN %lld THEN %lld", (long long)b->rate[k].queue_id, (long long)b->rate[k].rate_at);
    sql_str(&s->sql, " END WHERE queue_id IN(");
    for (size_t k = i; k < i + n; k++) sql_sep(&s->sql, k - i, ","), sql_i64(&s->sql, b->rate[k].queue_id);
    sql_ch(&s->sql, ')');
  }
  return rc;
}

/* ---- notes ---- */
static void put_note(struct my *s, const struct count_note *n) {
  struct sql *q = &s->sql;
  sql_ch(q, '('), sql_i64(q, n->ti);
  sql_ch(q, ','), sql_blob(q, s->run.m, n->user, strlen(n->user));
  sql_ch(q, ','), sql_blob(q, s->run.m, n->group, strlen(n->group));
  sql_ch(q, ')');
}

static enum store_rc write_unnotes(struct my *s, struct batch *b) {
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < b->n_unnote && rc == STORE_OK; i += MY_IN_MAX) {
    size_t n = b->n_unnote - i < MY_IN_MAX ? b->n_unnote - i : MY_IN_MAX;
    rc = run_statement(s, b, WANT_NOTHING, 0, n);
    if (rc) break;
    sql_str(&s->sql, "DELETE FROM task_counted WHERE ti_id IN("), sql_ids(&s->sql, b->unnote + i, n), sql_ch(&s->sql, ')');
  }
  return rc;
}

enum store_rc write_notes(struct my *s, struct batch *b) {
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < b->n_note && rc == STORE_OK;) {
    rc = run_statement(s, b, WANT_NOTHING, 0, 0);
    if (rc) break;
    size_t n = 0, from = s->sql.b.len;
    sql_str(&s->sql, "INSERT INTO task_counted(ti_id,user_name,group_name)VALUES");
    for (; i < b->n_note && n < PUT_ROWS && (n == 0 || s->sql.b.len - from < s->run.packet / 2); i++) {
      sql_sep(&s->sql, n++, ",");
      put_note(s, &b->note[i]);
    }
    sql_str(&s->sql, "ON DUPLICATE KEY UPDATE user_name=VALUES(user_name),group_name=VALUES(group_name)");
  }
  return rc == STORE_OK ? write_unnotes(s, b) : rc; /* what a runner owes may have ended in this batch */
}

/* ---- what counts ---- */
struct counted { struct running_row *v; size_t n, cap; struct arena *a; };

static unsigned take_rows(struct my *s, struct counted *out) {
  struct cell c[CELLS_MAX];
  unsigned e = my_query(&s->run, s->sql.b.data, s->sql.b.len);
  sql_clear(&s->sql);
  MYSQL_RES *res = e ? NULL : mysql_store_result(s->run.m);
  if (!res) return e ? e : my_fail(&s->run, mysql_errno(s->run.m));
  for (MYSQL_ROW row; (row = mysql_fetch_row(res));) {
    my_cells(res, row, c);
    ins_row_running(c, WR_PUSH(out->v, out->n, out->cap), out->a);
  }
  mysql_free_result(res);
  return 0;
}

static unsigned of_flows(struct my *s, const struct sweep *w, struct counted *out) {
  unsigned e = 0;
  int64_t after = 0, last = 0;
  for (size_t i = 0, k; i < w->n && !e; after = last) {
    k = my_live_share(w->v + i, w->n - i, after, &last);
    sql_clear(&s->sql);
    sql_str(&s->sql, "SELECT i.ti_id,i.fi_id,i.owner,c.user_name,c.group_name,0,c.ti_id,i.executor_version," MY_NOTED_TYPE
            " FROM task_ins i FORCE INDEX(PRIMARY)"
            MY_NOTES " WHERE (");
    for (size_t j = i; j < i + k; j++) {
      int64_t lo = w->v[j].lo > after ? w->v[j].lo : after + 1, hi = w->v[j].hi < last ? w->v[j].hi : last;
      buf_printf(&s->sql.b, "%si.ti_id BETWEEN %lld AND %lld", j > i ? " OR " : "", (long long)lo, (long long)hi);
    }
    sql_str(&s->sql, ") AND " QUEUE_COUNTS("i."));
    e = take_rows(s, out);
    while (i < w->n && w->v[i].hi <= last) i++;
  }
  return e;
}

static enum store_rc counted_end(struct my *s, struct counted *got, unsigned e, struct running_row **out, size_t *n) {
  if (e) return free(got->v), my_run_fail(s, e);
  *n = got->n;
  *out = running_keep(got->v, got->n, got->a);
  return STORE_OK;
}

/* Plain reads: outside of a batch each is a transaction of its own. */
enum store_rc my_running(struct store *st, struct arena *a, struct running_row **out, size_t *n) {
  struct my *s = my_of(st);
  struct counted got = {.a = a};
  struct sweep w = {0};
  int64_t defs;
  enum store_rc rc = my_begin(st, &defs); /* the connection is open; it begins no transaction by itself */
  if (rc) return rc;
  sql_clear(&s->sql);
  sql_str(&s->sql, RUNNING_ALONE(IN_MY));
  unsigned e = take_rows(s, &got);
  if (!e) e = my_live_ranges(s, &w);
  sweep_join(&w);
  if (!e) e = of_flows(s, &w, &got);
  sweep_done(&w);
  return counted_end(s, &got, e, out, n);
}

/* One look at each note, however many tasks live. */
enum store_rc my_counted(struct store *st, struct arena *a, struct running_row **out, size_t *n) {
  struct my *s = my_of(st);
  struct counted got = {.a = a};
  int64_t defs;
  enum store_rc rc = my_begin(st, &defs);
  if (rc) return rc;
  sql_clear(&s->sql);
  sql_str(&s->sql, "SELECT STRAIGHT_JOIN i.ti_id,i.fi_id,i.owner,c.user_name,c.group_name,0,1,i.executor_version," MY_NOTED_TYPE
                   " FROM task_counted c "
                   "CROSS JOIN task_ins i FORCE INDEX(PRIMARY) ON i.ti_id=c.ti_id" MY_NOTE_OF_TYPE " WHERE " QUEUE_COUNTS("i."));
  return counted_end(s, &got, take_rows(s, &got), out, n);
}
