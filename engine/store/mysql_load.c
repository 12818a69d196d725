/* What the runner reads inside a batch: heads with their locks, rows by primary key. The runner's thread and connection;
 * texts are copied into an arena that lives until the transaction ends. IN lists are short enough to stay ranges of the
 * primary key, and FORCE INDEX says so: a scan would lock what others hold. */
#include "mysql_run.h"
#include <errmsg.h>
#include <string.h>

/* ---- heads ---- */
struct heads { const int64_t *fi; size_t n; struct flow_row *out; uint8_t *got; };

static size_t place(const struct heads *h, int64_t fi) {
  size_t lo = 0, hi = h->n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (h->fi[mid] < fi) lo = mid + 1;
    else hi = mid;
  }
  return lo < h->n && h->fi[lo] == fi ? lo : h->n;
}

/* The result of the packet's newest statement; a transaction may have been opened before it. */
static unsigned last_result(struct my *s, unsigned skip, MYSQL_RES **res) {
  for (unsigned i = 0; i < skip; i++) {
    int more = mysql_next_result(s->run.m);
    if (more) return my_fail(&s->run, more > 0 ? mysql_errno(s->run.m) : CR_COMMANDS_OUT_OF_SYNC);
  }
  *res = mysql_store_result(s->run.m);
  return *res ? 0 : my_fail(&s->run, mysql_errno(s->run.m));
}

/* Opens the transaction with the first statement that needs it. */
unsigned my_select_tx(struct my *s, MYSQL_RES **res) {
  bool opened = s->in_tx;
  s->in_tx = true;
  unsigned e = my_query(&s->run, s->sql.b.data, s->sql.b.len);
  return e ? e : last_result(s, opened ? 0 : 1, res);
}

void my_select_begin(struct my *s) {
  sql_clear(&s->sql);
  if (!s->in_tx) sql_str(&s->sql, "START TRANSACTION;");
}

static unsigned lock_some(struct my *s, const struct heads *h) {
  struct cell c[CELLS_MAX];
  MYSQL_RES *res;
  my_select_begin(s);
  sql_str(&s->sql, "SELECT " FLOW_COLS(IN_MY) " FROM task_flow_ins i FORCE INDEX(PRIMARY) WHERE i.fi_id IN(");
  sql_ids(&s->sql, h->fi, h->n);
  sql_str(&s->sql, ")ORDER BY i.fi_id FOR UPDATE SKIP LOCKED");
  unsigned e = my_select_tx(s, &res);
  if (e) return e;
  for (MYSQL_ROW row; (row = mysql_fetch_row(res));) {
    my_cells(res, row, c);
    size_t i = place(h, cell_i64(&c[0]));
    if (i == h->n) continue;
    ins_row_flow(c, &h->out[i], &s->texts);
    h->got[i] = 1;
  }
  mysql_free_result(res);
  return 0;
}

/* A head that was not returned is held elsewhere, or is not there at all. A read without a lock tells which. */
static unsigned tell_missing(struct my *s, const struct heads *h) {
  size_t n = 0;
  MYSQL_RES *res;
  struct cell c[CELLS_MAX];
  my_select_begin(s);
  sql_str(&s->sql, "SELECT fi_id FROM task_flow_ins FORCE INDEX(PRIMARY) WHERE fi_id IN(");
  for (size_t i = 0; i < h->n; i++) {
    if (h->got[i]) continue;
    sql_sep(&s->sql, n++, ",");
    sql_i64(&s->sql, h->fi[i]);
  }
  if (!n) return 0;
  sql_ch(&s->sql, ')');
  unsigned e = my_select_tx(s, &res);
  if (e) return e;
  for (MYSQL_ROW row; (row = mysql_fetch_row(res));) {
    my_cells(res, row, c);
    size_t i = place(h, cell_i64(&c[0]));
    if (i < h->n && !h->got[i]) h->got[i] = 2;
  }
  mysql_free_result(res);
  return 0;
}

enum store_rc my_lock(struct store *st, const int64_t *fi, size_t n, struct flow_row *out, uint8_t *got) {
  struct my *s = my_of(st);
  memset(got, 0, n);
  for (size_t i = 0; i < n; i += MY_IN_MAX) {
    struct heads h = {fi + i, n - i < MY_IN_MAX ? n - i : MY_IN_MAX, out + i, got + i};
    unsigned e = lock_some(s, &h);
    if (!e) e = tell_missing(s, &h);
    if (e) return my_run_fail(s, e);
  }
  return STORE_OK;
}

/* ---- rows ---- */
enum rows { ROWS_NODE, ROWS_TASK };
struct into { enum rows what; void *out; size_t cap, n; };

/* The condition stands in s->sql already. */
static enum store_rc read_rows(struct my *s, struct into *to) {
  MYSQL_RES *res;
  struct cell c[CELLS_MAX];
  unsigned e = my_select_tx(s, &res);
  if (e) return my_run_fail(s, e);
  for (MYSQL_ROW row; to->n < to->cap && (row = mysql_fetch_row(res)); to->n++) {
    my_cells(res, row, c);
    if (to->what == ROWS_NODE) ins_row_node(c, (struct node_row *)to->out + to->n, &s->texts);
    else ins_row_task(c, (struct task_row *)to->out + to->n, &s->texts);
  }
  mysql_free_result(res);
  return STORE_OK;
}

static void select_rows(struct my *s, enum rows what) {
  my_select_begin(s);
  sql_str(&s->sql, what == ROWS_NODE ? "SELECT " NODE_COLS(IN_MY) " FROM task_node_ins FORCE INDEX(PRIMARY) WHERE ni_id"
                                     : "SELECT " TASK_COLS(IN_MY) " FROM task_ins FORCE INDEX(PRIMARY) WHERE ti_id");
}

static enum store_rc by_ids(struct store *st, const int64_t *id, size_t n, struct into to, size_t *n_out) {
  struct my *s = my_of(st);
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < n && rc == STORE_OK; i += MY_IN_MAX) {
    select_rows(s, to.what);
    sql_str(&s->sql, " IN(");
    sql_ids(&s->sql, id + i, n - i < MY_IN_MAX ? n - i : MY_IN_MAX);
    sql_str(&s->sql, to.what == ROWS_NODE ? ")ORDER BY ni_id" : ")ORDER BY ti_id");
    rc = read_rows(s, &to);
  }
  *n_out = to.n;
  return rc;
}

static enum store_rc by_range(struct store *st, int64_t lo, int64_t hi, struct into to, size_t *n_out) {
  struct my *s = my_of(st);
  select_rows(s, to.what);
  buf_printf(&s->sql.b, " BETWEEN %lld AND %lld ORDER BY %s LIMIT %zu", (long long)lo, (long long)hi,
             to.what == ROWS_NODE ? "ni_id" : "ti_id", to.cap);
  enum store_rc rc = read_rows(s, &to);
  *n_out = to.n;
  return rc;
}

enum store_rc my_nodes(struct store *st, const int64_t *ni, size_t n, struct node_row *out, size_t *n_out) {
  return by_ids(st, ni, n, (struct into){ROWS_NODE, out, n, 0}, n_out);
}
enum store_rc my_tasks(struct store *st, const int64_t *ti, size_t n, struct task_row *out, size_t *n_out) {
  return by_ids(st, ti, n, (struct into){ROWS_TASK, out, n, 0}, n_out);
}
enum store_rc my_node_range(struct store *st, int64_t lo, int64_t hi, struct node_row *out, size_t cap, size_t *n_out) {
  return by_range(st, lo, hi, (struct into){ROWS_NODE, out, cap, 0}, n_out);
}
enum store_rc my_task_range(struct store *st, int64_t lo, int64_t hi, struct task_row *out, size_t cap, size_t *n_out) {
  return by_range(st, lo, hi, (struct into){ROWS_TASK, out, cap, 0}, n_out);
}
