/* Multi-row writes of the instance tables, as text. The runner's thread.
 *
 * A batch often changes many rows to the same values (two thousand tasks that all ended now). Such rows become one
 * UPDATE .. WHERE key IN (..), 8 us a row. Rows with values of their own go into one INSERT .. ON DUPLICATE KEY UPDATE,
 * 19 us a row; a statement for each takes 42, and is still the fastest for one or two rows. An upsert must never insert
 * what it meant to update: with CLIENT_FOUND_ROWS the server's count of duplicates is the number of rows that were there.
 * The server spends a fifth of its time on reading text, so an insert names only the columns that are not at their default. */
#include "mysql_run.h"
#include <stdlib.h>
#include <string.h>

/* ---- columns ---- */
struct put { struct sql *q; MYSQL *m; int64_t batch, me; bool dup; };  /* dup: for a row that exists, in an upsert */
typedef void put_fn(struct put *p, const void *row);

/* KEY: the primary key. FIXED: only an insert writes it. SET: an update writes it, too. RESULT: as SET, but a row without a
 * result keeps what is there. ERROR: the same for the error text, and "" clears it. BASES: see f_bases().
 * OWNER: only a claim, which raises the epoch, changes it; it stands before `epoch`, for the server assigns from the left.
 * keep: an update of this row leaves the column alone. */
enum how { COL_KEY, COL_FIXED, COL_SET, COL_RESULT, COL_ERROR, COL_BASES, COL_OWNER };
struct col { const char *name; enum how how; put_fn *put; bool (*keep)(const void *row); };

#define PUT_INT(fn, type, expr) \
  static void fn(struct put *p, const void *v) { const struct type *r = v; sql_i64(p->q, (int64_t)(expr)); }
#define PUT_INT0(fn, type, expr) \
  static void fn(struct put *p, const void *v) { const struct type *r = v; sql_i64_0(p->q, (int64_t)(expr)); }
#define PUT_US(fn, type, expr) \
  static void fn(struct put *p, const void *v) { const struct type *r = v; sql_us(p->q, (expr)); }
#define PUT_AT(fn, type, expr) \
  static void fn(struct put *p, const void *v) { const struct type *r = v; sql_at(p->q, (expr)); }
#define PUT_TEXT(fn, type, expr) \
  static void fn(struct put *p, const void *v) { const struct type *r = v; sql_text(p->q, p->m, (expr)); }

static void put_error(struct put *p, const char *s) { sql_text(p->q, p->m, s && !*s && !p->dup ? NULL : s); }

PUT_INT(f_fi, flow_row, r->fi)
static void f_version(struct put *p, const void *v) { (void)v, sql_i64(p->q, p->batch); }
PUT_INT(f_state, flow_row, r->state)
PUT_INT(f_flow, flow_row, r->flow_id)
PUT_INT(f_fver, flow_row, r->flow_version)
PUT_INT(f_wish, flow_row, r->wish)
PUT_INT(f_run_no, flow_row, r->run_no)
PUT_INT(f_live, flow_row, r->live)
PUT_INT(f_failed, flow_row, r->failed)
PUT_AT(f_start, flow_row, r->start_us)
PUT_AT(f_end, flow_row, r->end_us)
PUT_AT(f_due, flow_row, r->due_us)
PUT_US(f_update, flow_row, r->update_us)
PUT_US(f_create, flow_row, r->create_us)
PUT_TEXT(f_more, flow_row, r->more)
PUT_TEXT(f_params, flow_row, r->params)
static void f_error(struct put *p, const void *v) { put_error(p, ((const struct flow_row *)v)->error); }
static bool f_keep_error(const void *v) { return !((const struct flow_row *)v)->error; }
/* The bases have one pair per run. In the first run they are what the insert wrote, unless a node has grown since. Leaving them
 * out makes the updates of flows equal. */
static bool f_keep_bases(const void *v) {
  const struct flow_row *r = v;
  return !r->bases || (r->run_no <= 1 && !strchr(r->bases, '+'));
}
static void f_bases(struct put *p, const void *v) {
  const struct flow_row *r = v;
  sql_text(p->q, p->m, !r->bases || (p->dup && f_keep_bases(r)) ? "" : r->bases);
}

static const struct col flow_col[] = {
  {"fi_id", COL_KEY, f_fi, 0}, {"flow_id", COL_FIXED, f_flow, 0}, {"flow_version", COL_FIXED, f_fver, 0},
  {"create_time", COL_FIXED, f_create, 0}, {"params", COL_FIXED, f_params, 0}, {"version", COL_SET, f_version, 0},
  {"state", COL_SET, f_state, 0}, {"run_no", COL_SET, f_run_no, 0}, {"live", COL_SET, f_live, 0},
  {"start_at", COL_SET, f_start, 0}, {"update_time", COL_SET, f_update, 0}, {"bases", COL_BASES, f_bases, f_keep_bases},
  /* at their default in a flow that starts */
  {"wish", COL_SET, f_wish, 0}, {"failed", COL_SET, f_failed, 0}, {"end_at", COL_SET, f_end, 0}, {"due_at", COL_SET, f_due, 0},
  {"more_from", COL_SET, f_more, 0}, {"error_msg", COL_ERROR, f_error, f_keep_error},
};
#define FLOW_SHORT 12
static bool f_short(const void *v) {
  const struct flow_row *r = v;
  return !r->wish && !r->failed && !r->end_us && !r->due_us && !r->more && !(r->error && *r->error);
}

PUT_INT(n_ni, node_row, r->ni)
PUT_INT(n_fi, node_row, r->fi)
PUT_INT(n_node, node_row, r->node_id)
PUT_INT(n_run_no, node_row, r->run_no)
PUT_US(n_create, node_row, r->create_us)
PUT_INT(n_state, node_row, r->state)
PUT_INT(n_ok, node_row, r->ok)
PUT_INT(n_fail, node_row, r->fail)
PUT_INT(n_skip, node_row, r->skip)
PUT_INT(n_t_ok, node_row, r->t_ok)
PUT_INT(n_t_bad, node_row, r->t_bad)
PUT_INT(n_t_open, node_row, r->t_open)
PUT_INT(n_t_canceled, node_row, r->t_canceled)
PUT_INT(n_skip_edges, node_row, (int64_t)r->skip_edges)
PUT_AT(n_start, node_row, r->start_us)
PUT_AT(n_end, node_row, r->end_us)
PUT_US(n_update, node_row, r->update_us)
static void n_error(struct put *p, const void *v) { put_error(p, ((const struct node_row *)v)->error); }
static bool n_keep_error(const void *v) { return !((const struct node_row *)v)->error; }

static const struct col node_col[] = {
  {"ni_id", COL_KEY, n_ni, 0}, {"fi_id", COL_FIXED, n_fi, 0}, {"node_id", COL_FIXED, n_node, 0},
  {"run_no", COL_FIXED, n_run_no, 0}, {"create_time", COL_FIXED, n_create, 0}, {"state", COL_SET, n_state, 0},
  {"ok", COL_SET, n_ok, 0}, {"t_open", COL_SET, n_t_open, 0}, {"start_at", COL_SET, n_start, 0},
  {"update_time", COL_SET, n_update, 0},
  /* at their default in a node that waits or starts */
  {"fail", COL_SET, n_fail, 0}, {"skip", COL_SET, n_skip, 0}, {"t_ok", COL_SET, n_t_ok, 0}, {"t_bad", COL_SET, n_t_bad, 0},
  {"t_canceled", COL_SET, n_t_canceled, 0}, {"skip_edges", COL_SET, n_skip_edges, 0},
  {"end_at", COL_SET, n_end, 0}, {"error_msg", COL_ERROR, n_error, n_keep_error},
};
#define NODE_SHORT 10
static bool n_short(const void *v) {
  const struct node_row *r = v;
  return !r->fail && !r->skip && !r->t_ok && !r->t_bad && !r->t_canceled && !r->skip_edges && !r->end_us &&
         !(r->error && *r->error);
}

PUT_INT(t_ti, task_row, r->ti)
PUT_INT0(t_ni, task_row, r->ni)
PUT_INT0(t_fi, task_row, r->fi)
PUT_INT0(t_task, task_row, r->task_id)
PUT_US(t_create, task_row, r->create_us)
PUT_INT(t_version, task_row, r->t.version)
PUT_INT(t_state, task_row, r->t.state)
PUT_INT(t_end_as, task_row, r->t.end_as)
PUT_INT(t_losses, task_row, r->t.losses)
PUT_INT(t_cancel, task_row, r->t.cancel_requested)
PUT_INT(t_epoch, task_row, r->t.epoch)
PUT_INT(t_tries, task_row, r->t.tries)
static void t_owner(struct put *p, const void *v) { /* a task without an owner that was claimed was claimed by this node */
  const struct task *t = &((const struct task_row *)v)->t;
  sql_i64(p->q, t->owner || !t->epoch ? t->owner : p->me);
}
PUT_AT(t_start, task_row, r->t.start_us)
PUT_AT(t_due, task_row, r->t.due_us)
PUT_US(t_update, task_row, r->update_us)
PUT_AT(t_end, task_row, r->end_us)
static void t_error(struct put *p, const void *v) { put_error(p, ((const struct task_row *)v)->error); }
static bool t_keep_error(const void *v) { return !((const struct task_row *)v)->error; }
static bool t_keep_result(const void *v) { return !((const struct task_row *)v)->result; }
static bool in_room(const struct task_row *r) { return r->result && r->result_len <= MY_RESULT_ROOM; }
PUT_INT(t_len, task_row, r->result ? (int64_t)r->result_len : -1)
static void t_room(struct put *p, const void *v) {
  const struct task_row *r = v;
  sql_blob(p->q, p->m, in_room(r) ? r->result : "", in_room(r) ? r->result_len : 0);
}
static void t_long(struct put *p, const void *v) {
  const struct task_row *r = v;
  sql_blob(p->q, p->m, in_room(r) ? NULL : r->result, r->result_len);
}
PUT_INT(t_log, task_row, r->log)
PUT_TEXT(t_params, task_row, r->params)
PUT_INT(t_exit, task_row, r->exit_code)
PUT_INT(t_signal, task_row, r->signal)
PUT_INT(t_utime, task_row, r->utime_us)
PUT_INT(t_stime, task_row, r->stime_us)
PUT_INT(t_maxrss, task_row, r->maxrss_kib)
PUT_INT(t_log_bytes, task_row, r->log_bytes)
PUT_INT(t_log_lost, task_row, r->log_lost)
PUT_INT(t_log_lost_why, task_row, r->log_lost_why)
PUT_INT(t_executor, task_row, r->executor)

static const struct col task_col[] = {
  {"ti_id", COL_KEY, t_ti, 0}, {"ni_id", COL_FIXED, t_ni, 0}, {"fi_id", COL_FIXED, t_fi, 0}, {"task_id", COL_FIXED, t_task, 0},
  {"create_time", COL_FIXED, t_create, 0}, {"task_version", COL_FIXED, t_version, 0}, {"state", COL_SET, t_state, 0},
  {"owner", COL_OWNER, t_owner, 0}, {"epoch", COL_SET, t_epoch, 0}, {"start_at", COL_SET, t_start, 0},
  {"update_time", COL_SET, t_update, 0},
  /* at their default in a task that is queued or starts */
  {"end_as", COL_SET, t_end_as, 0}, {"losses", COL_SET, t_losses, 0}, {"cancel_requested", COL_SET, t_cancel, 0},
  {"tries", COL_SET, t_tries, 0}, {"due_at", COL_SET, t_due, 0}, {"end_at", COL_SET, t_end, 0},
  {"error_msg", COL_ERROR, t_error, t_keep_error}, {"params", COL_FIXED, t_params, 0},
  {"executor_version", COL_FIXED, t_executor, 0},
  /* what an attempt that ended leaves */
  {"result_len", COL_RESULT, t_len, t_keep_result}, {"result_room", COL_RESULT, t_room, t_keep_result},
  {"result_long", COL_RESULT, t_long, t_keep_result}, {"log", COL_SET, t_log, 0},
  {"exit_code", COL_SET, t_exit, 0}, {"`signal`", COL_SET, t_signal, 0}, {"utime_us", COL_SET, t_utime, 0},
  {"stime_us", COL_SET, t_stime, 0}, {"maxrss_kib", COL_SET, t_maxrss, 0}, {"log_bytes", COL_SET, t_log_bytes, 0},
  {"log_lost", COL_SET, t_log_lost, 0}, {"log_lost_why", COL_SET, t_log_lost_why, 0},
};
#define TASK_SHORT 11
#define TASK_PLAIN 20 /* with error_msg: a task may end without an attempt */
static bool t_short(const void *v) {
  const struct task_row *r = v;
  return !r->t.end_as && !r->t.losses && !r->t.cancel_requested && !r->t.tries && !r->t.due_us && !r->end_us && !r->params &&
         !r->executor;
}
static bool never(const void *v) {
  (void)v;
  return false;
}

/* n_short: columns of an insert whose rows are all is_short(). */
#define LEN(a) (sizeof(a) / sizeof *(a))
static const struct table {
  const char *name;
  const struct col *col;
  size_t n, n_short;
  bool (*is_short)(const void *row);
} tables[] = {
  [PUT_FLOW] = {"task_flow_ins", flow_col, LEN(flow_col), FLOW_SHORT, f_short},
  [PUT_NODE] = {"task_node_ins", node_col, LEN(node_col), NODE_SHORT, n_short},
  [PUT_TASK] = {"task_ins", task_col, TASK_PLAIN, TASK_SHORT, t_short},
  [PUT_FINISH] = {"task_ins", task_col, LEN(task_col), 0, never},
};

/* ---- pieces of statements ---- */
static struct put put_to(struct my *s, const struct batch *b, struct sql *q) {
  return (struct put){.q = q, .m = s->run.m, .batch = b->id, .me = s->me};
}

static void put_owner(struct put *p, const void *row) {
  sql_str(p->q, "IF(epoch=");
  t_epoch(p, row);
  sql_str(p->q, ",owner,");
  t_owner(p, row);
  sql_ch(p->q, ')');
}

/* "a=1,b=2": what an update of the row changes. */
static void put_set(struct put *p, const struct table *t, const void *row) {
  size_t n = 0;
  for (size_t i = 0; i < t->n; i++) {
    const struct col *c = &t->col[i];
    if (c->how == COL_KEY || c->how == COL_FIXED || (c->keep && c->keep(row))) continue;
    sql_sep(p->q, n++, ",");
    sql_str(p->q, c->name);
    sql_ch(p->q, '=');
    if (c->how == COL_OWNER) put_owner(p, row);
    else c->put(p, row);
  }
}

static void put_tuple(struct put *p, const struct table *t, size_t n, const void *row) {
  for (size_t i = 0; i < n; i++) {
    sql_ch(p->q, i ? ',' : '(');
    t->col[i].put(p, row);
  }
  sql_ch(p->q, ')');
}

static void put_insert(struct sql *q, const struct table *t, size_t n) {
  sql_str(q, "INSERT INTO ");
  sql_str(q, t->name);
  for (size_t i = 0; i < n; i++) {
    sql_ch(q, i ? ',' : '(');
    sql_str(q, t->col[i].name);
  }
  sql_str(q, ")VALUES");
}

static void put_on_dup(struct sql *q, const struct table *t) {
  static const char *const form[] = {  /* $ = the column */
    [COL_SET] = "$=VALUES($)", [COL_RESULT] = "$=IF(VALUES(result_len)<0,$,VALUES($))",
    [COL_BASES] = "$=IF(VALUES($)='',$,VALUES($))", [COL_ERROR] = "$=IF(VALUES($) IS NULL,$,NULLIF(VALUES($),''))",
    [COL_OWNER] = "$=IF(VALUES(epoch)=epoch,$,VALUES($))",
  };
  size_t n = 0;
  sql_str(q, "ON DUPLICATE KEY UPDATE ");
  for (size_t i = 0; i < t->n; i++) {
    if (t->col[i].how == COL_KEY || t->col[i].how == COL_FIXED) continue;
    sql_sep(q, n++, ",");
    for (const char *f = form[t->col[i].how]; *f; f++) {
      if (*f == '$') sql_str(q, t->col[i].name);
      else sql_ch(q, *f);
    }
  }
}

static int64_t key_of(const void *row) { return *(const int64_t *)row; } /* the first member of each */
_Static_assert(offsetof(struct flow_row, fi) == 0 && offsetof(struct node_row, ni) == 0 && offsetof(struct task_row, ti) == 0,
               "");

static void put_where(struct sql *q, const struct table *t) {
  sql_str(q, " WHERE ");
  sql_str(q, t->col[0].name);
}

void put_single(struct my *s, struct batch *b, enum put_table which, const void *row) {
  const struct table *t = &tables[which];
  struct put p = put_to(s, b, &s->sql);
  sql_str(&s->sql, "UPDATE ");
  sql_str(&s->sql, t->name);
  sql_str(&s->sql, " SET ");
  put_set(&p, t, row);
  put_where(&s->sql, t);
  sql_ch(&s->sql, '=');
  sql_i64(&s->sql, key_of(row));
}

/* ---- equal updates ---- */
#define GROUPS 64         /* kept open; more different ones than that are not worth grouping */
#define GROUP_MIN 3       /* rows that are worth a statement of their own */
#define GROUP_TEXT 2048   /* a longer text (a result) is hardly equal to another */
struct group { uint64_t hash; size_t text, len; size_t first, last, n; };
struct groups { struct sql text; struct group g[GROUPS]; size_t n; size_t *next; struct put_rows left; };

static uint64_t hash_of(const char *s, size_t n) { /* FNV-1a, eight bytes at a time */
  uint64_t h = 14695981039346656037u, w;
  for (; n >= 8; s += 8, n -= 8) {
    memcpy(&w, s, 8);
    h = (h ^ w) * 1099511628211u;
    h ^= h >> 32;
  }
  for (; n; s++, n--) h = (h ^ (unsigned char)*s) * 1099511628211u;
  return h;
}

static struct group *group_of(struct groups *gs, uint64_t hash, const char *text, size_t len) {
  for (size_t i = gs->n; i-- > 0;) {
    struct group *g = &gs->g[i];
    if (g->hash == hash && g->len == len && memcmp(gs->text.b.data + g->text, text, len) == 0) return g;
  }
  return NULL;
}

static void group_row(struct groups *gs, struct put *p, const struct table *t, const struct put_rows *upd, size_t i) {
  size_t at = gs->text.b.len;
  put_set(p, t, upd->v[i]);
  size_t len = gs->text.b.len - at;
  const char *text = gs->text.b.data + at;
  uint64_t h = hash_of(text, len);
  bool room = gs->n < GROUPS && len <= GROUP_TEXT;
  struct group *g = group_of(gs, h, text, len);
  if (g || !room) gs->text.b.len = at;   /* its text stands there already, or is not wanted */
  if (!g && !room) {
    put_row(&gs->left, upd->v[i]);
    return;
  }
  if (!g) {
    g = &gs->g[gs->n++];
    *g = (struct group){.hash = h, .text = at, .len = len, .first = i, .last = i};
  }
  gs->next[g->last] = i;
  g->last = i;
  g->n++;
}

/* The keys of n rows of a group, ascending, from `at` on; returns where the next one stands. A range is read three times as
 * fast as a list. */
static size_t put_keys(struct sql *q, const struct groups *gs, const struct put_rows *upd, size_t at, size_t n) {
  int64_t first = key_of(upd->v[at]), last = first;
  size_t start = q->b.len, next = at;
  for (size_t i = 0; i < n; i++, next = gs->next[next]) {
    last = key_of(upd->v[next]);
    sql_str(q, i ? "," : " IN(");
    sql_i64(q, last);
  }
  sql_ch(q, ')');
  if (last - first + 1 != (int64_t)n) return next;
  q->b.len = start;
  buf_printf(&q->b, " BETWEEN %lld AND %lld", (long long)first, (long long)last);
  return next;
}

static enum store_rc put_group(struct my *s, struct batch *b, const struct table *t, const struct groups *gs,
                               const struct group *g, const struct put_rows *upd) {
  size_t at = g->first;
  for (size_t done = 0; done < g->n;) {
    size_t n = g->n - done < PUT_ROWS ? g->n - done : PUT_ROWS;
    enum store_rc rc = run_statement(s, b, WANT_ROWS, 0, n);
    if (rc) return rc;
    sql_str(&s->sql, "UPDATE ");
    sql_str(&s->sql, t->name);
    sql_str(&s->sql, " FORCE INDEX(PRIMARY) SET ");
    buf_add(&s->sql.b, gs->text.b.data + g->text, g->len);
    put_where(&s->sql, t);
    at = put_keys(&s->sql, gs, upd, at, n);
    done += n;
  }
  return STORE_OK;
}

/* Writes the groups that are worth a statement; the rows of the others are left, in the order of their keys. */
static enum store_rc put_groups(struct my *s, struct batch *b, const struct table *t, struct groups *gs,
                                const struct put_rows *upd) {
  enum store_rc rc = STORE_OK;
  struct put p = put_to(s, b, &gs->text);
  gs->next = wr_calloc(upd->n, sizeof *gs->next);
  for (size_t i = 0; i < upd->n; i++) group_row(gs, &p, t, upd, i);
  for (size_t k = 0; k < gs->n && rc == STORE_OK; k++) {
    const struct group *g = &gs->g[k];
    if (g->n >= GROUP_MIN) {
      rc = put_group(s, b, t, gs, g, upd);
      continue;
    }
    put_row(&gs->left, upd->v[g->first]);
    if (g->n == 2) put_row(&gs->left, upd->v[g->last]);
  }
  return rc;
}

/* ---- rows with values of their own ---- */
void put_row(struct put_rows *r, const void *row) { *WR_PUSH(r->v, r->n, r->cap) = row; }

/* Rows from v[0] on as tuples of n_col columns, as many as one statement takes; returns how many. */
static size_t put_tuples(struct my *s, struct put *p, const struct table *t, size_t n_col, const void **v, size_t n) {
  size_t i = 0, from = s->sql.b.len;
  put_insert(&s->sql, t, n_col);
  for (; i < n && i < PUT_ROWS && (i == 0 || s->sql.b.len - from < s->run.packet / 2); i++) {
    sql_sep(&s->sql, i, ",");
    put_tuple(p, t, n_col, v[i]);
  }
  return i;
}

enum store_rc put_inserts(struct my *s, struct batch *b, enum put_table which, const struct put_rows *ins) {
  const struct table *t = &tables[which];
  size_t n_col = t->n_short;
  for (size_t i = 0; i < ins->n && n_col == t->n_short; i++)
    if (!t->is_short(ins->v[i])) n_col = t->n;
  for (size_t i = 0; i < ins->n;) {
    enum store_rc rc = run_statement(s, b, WANT_ROWS, 0, 0);
    if (rc) return rc;
    struct put p = put_to(s, b, &s->sql);
    size_t n = put_tuples(s, &p, t, n_col, ins->v + i, ins->n - i);
    s->want[s->n_want - 1].n = n;
    i += n;
  }
  return STORE_OK;
}

static enum store_rc put_upserts(struct my *s, struct batch *b, enum put_table which, const struct put_rows *upd) {
  const struct table *t = &tables[which];
  for (size_t i = 0; i < upd->n;) {
    bool few = upd->n - i < GROUP_MIN;
    enum store_rc rc = run_statement(s, b, few ? WANT_ROWS : WANT_DUPS, 0, 1);
    if (rc) return rc;
    size_t from = s->sql.b.len;
    struct put p = put_to(s, b, &s->sql);
    p.dup = true;
    size_t n = few ? 1 : put_tuples(s, &p, t, t->n, upd->v + i, upd->n - i);
    struct my_want *w = &s->want[s->n_want - 1];
    if (n == 1) { /* the count of duplicates is told for several rows only */
      s->sql.b.len = from;
      put_single(s, b, which, upd->v[i]);
      w->kind = WANT_ROWS;
    } else {
      put_on_dup(&s->sql, t);
    }
    w->n = n;
    i += n;
  }
  return STORE_OK;
}

static int by_key(const void *a, const void *b) {
  int64_t x = key_of(*(void *const *)a), y = key_of(*(void *const *)b);
  return (x > y) - (x < y);
}

enum store_rc put_updates(struct my *s, struct batch *b, enum put_table which, const struct put_rows *upd) {
  struct groups gs = {.n = 0};
  if (upd->n < GROUP_MIN) return put_upserts(s, b, which, upd);
  enum store_rc rc = put_groups(s, b, &tables[which], &gs, upd);
  if (gs.left.n > 1) qsort(gs.left.v, gs.left.n, sizeof *gs.left.v, by_key);
  if (rc == STORE_OK) rc = put_upserts(s, b, which, &gs.left);
  sql_done(&gs.text);
  free(gs.next);
  free(gs.left.v);
  return rc;
}
