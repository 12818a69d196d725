/* Readers: the pool, and definitions read back. Any thread takes a reader, uses it alone and puts it back. At most
 * MY_READERS at once; who comes then waits, up to a fifth of what a request may wait. Every statement is prepared and sees what is committed. */
#include "mysql_priv.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "clock.h"
#include "def_rows.h"
#include "mysql_rd.h"

/* ---- the pool ---- */
/* A fifth of what a request may wait in all. */
int64_t my_until(const struct my *s) { return clock_mono_us() + s->request_us / 5; }

static struct my_reader *pool_take(struct my *s) {
  struct my_reader *r = NULL;
  struct timespec until = mono_at(my_until(s));
  int late = 0;
  pthread_mutex_lock(&s->pool_mu);
  while (!s->idle && s->n_readers >= MY_READERS && !late) late = pthread_cond_timedwait(&s->pool_cond, &s->pool_mu, &until);
  if (s->idle) {
    r = s->idle;
    s->idle = r->next;
  } else if (s->n_readers < MY_READERS) {
    s->n_readers++;
    r = wr_new(struct my_reader);
    r->base = (struct reader){s->base.ops, &s->base};
    my_conn_init(&r->c, s, MY_READ);
  }
  pthread_mutex_unlock(&s->pool_mu);
  return r;
}

struct reader *my_reader_get(struct store *st, struct wr_err *err) {
  struct my_reader *r = pool_take(my_of(st));
  if (!r) {
    wr_err_set(err, WR_BUSY, NULL);
    return NULL;
  }
  unsigned e = my_conn_ready(&r->c);
  if (!e) return &r->base;
  (void)my_conn_err(&r->c, e, err);
  my_reader_put(&r->base);
  return NULL;
}

void my_reader_put(struct reader *rd) {
  struct my_reader *r = my_reader_of(rd);
  struct my *s = my_of(rd->s);
  pthread_mutex_lock(&s->pool_mu);
  r->next = s->idle;
  s->idle = r;
  pthread_cond_signal(&s->pool_cond);
  pthread_mutex_unlock(&s->pool_mu);
}

void my_readers_close(struct my *s) {
  while (s->idle) {
    struct my_reader *r = s->idle;
    s->idle = r->next;
    s->n_readers--;
    my_conn_close(&r->c);
    free(r);
  }
  wr_assert(s->n_readers == 0); /* all were put back */
}

enum wr_rc my_rd_int(struct my_reader *r, const char *sql, const struct my_arg *arg, size_t n, int64_t *v, struct wr_err *err) {
  struct my_rows q;
  unsigned e = my_select(&r->c, &q, sql, arg, n);
  if (!e && my_next(&q)) *v = my_int(&q.cell[0]);
  if (!e) e = my_done(&q);
  return e ? my_err(e, err) : WR_OK;
}

enum wr_rc my_rd_end(struct my_rows *q, enum wr_rc rc, struct wr_err *err) {
  unsigned e = my_done(q);
  return rc || !e ? rc : my_err(e, err);
}

enum wr_rc my_reader_defs_version(struct reader *rd, int64_t *v, struct wr_err *err) {
  return my_rd_int(my_reader_of(rd), "SELECT version FROM definitions WHERE one=1", NULL, 0, v, err);
}

/* ---- tasks ---- */
/* Texts borrowed, for a row that is only shown. */
static char *borrow(const struct my_cell *c) { return (char *)(uintptr_t)my_str(c, NULL); }

void my_rd_task(const struct my_cell *c, struct task_def *t) {
  *t = (struct task_def){
    .task_id = my_int(&c[0]), .version = my_int(&c[1]), .name = borrow(&c[2]), .description = borrow(&c[3]),
    .type = borrow(&c[4]), .content = borrow(&c[5]), .config = borrow(&c[6]), .update_user = borrow(&c[7]),
    .update_us = my_us(&c[8]), .create_user = borrow(&c[9]), .create_us = my_us(&c[10]), .deleted = (uint8_t)my_int(&c[11])};
  atomic_init(&t->refs, 1);
}

static enum wr_rc task_own(const struct my_cell *c, struct task_def **out, struct wr_err *err) {
  struct task_def row;
  my_rd_task(c, &row);
  return def_row_task(&row, out, err);
}

#define TASK_NOW "SELECT " MY_RD_TASK_COLS ", t.create_user, t.create_time, t.deleted FROM task t WHERE t.task_id"

enum wr_rc my_reader_task(struct reader *rd, int64_t task_id, int64_t version, struct task_def **out, struct wr_err *err) {
  struct my_reader *r = my_reader_of(rd);
  struct my_rows q;
  enum wr_rc rc = WR_OK;
  *out = NULL;
  unsigned e = version ? my_select(&r->c, &q, "SELECT " MY_RD_TASK_COLS ", n.create_user, n.create_time, n.deleted FROM task_history t "
                                   "JOIN task n ON n.task_id=t.task_id WHERE t.task_id=? AND t.task_version=?",
                                   MY_ARGS(my_ai(task_id), my_ai(version)))
                       : my_select(&r->c, &q, TASK_NOW "=?", MY_ARGS(my_ai(task_id)));
  if (e) return my_err(e, err);
  if (my_next(&q)) rc = task_own(q.cell, out, err);
  rc = my_rd_end(&q, rc, err);
  if (rc && *out) {
    def_task_unref(*out);
    *out = NULL;
  }
  return rc || *out ? rc : wr_err_set(err, WR_NOT_FOUND, "Task %lld does not exist.", (long long)task_id);
}

/* IN lists of one length, filled up with 0, which is no id: so one prepared statement serves all. */
#define TEN "?,?,?,?,?,?,?,?,?,?"
enum { IDS = 30 };
#define THIRTY "(" TEN "," TEN "," TEN ")"

static void id_args(struct my_arg arg[IDS], const int64_t *ids, size_t n) {
  for (size_t i = 0; i < IDS; i++) arg[i] = my_ai(i < n ? ids[i] : 0);
}

static enum wr_rc tasks_some(struct my_reader *r, const int64_t *ids, size_t n, struct task_def **out, struct wr_err *err) {
  struct my_rows q;
  struct my_arg arg[IDS];
  enum wr_rc rc = WR_OK;
  id_args(arg, ids, n);
  unsigned e = my_select(&r->c, &q, TASK_NOW " IN" THIRTY, arg, IDS);
  if (e) return my_err(e, err);
  while (!rc && my_next(&q)) {
    struct task_def *t = NULL;
    int64_t id = my_int(&q.cell[0]);
    rc = task_own(q.cell, &t, err);
    for (size_t i = 0; i < n && t; i++)
      if (ids[i] == id && !out[i]) out[i] = def_task_ref(t);
    if (t) def_task_unref(t);
  }
  return my_rd_end(&q, rc, err);
}

enum wr_rc my_reader_tasks(struct reader *rd, const int64_t *ids, size_t n, struct task_def **out, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  memset(out, 0, n * sizeof *out);
  for (size_t i = 0; i < n && !rc; i += IDS) rc = tasks_some(my_reader_of(rd), ids + i, n - i < IDS ? n - i : IDS, out + i, err);
  for (size_t i = 0; i < n && rc; i++) {
    if (out[i]) def_task_unref(out[i]);
    out[i] = NULL;
  }
  return rc;
}

static enum wr_rc heads_some(struct my_reader *r, const char *sql, const int64_t *ids, size_t n, struct def_head *out, struct wr_err *err) {
  struct my_rows q;
  struct my_arg arg[IDS];
  id_args(arg, ids, n);
  unsigned e = my_select(&r->c, &q, sql, arg, IDS);
  if (e) return my_err(e, err);
  while (my_next(&q))
    for (size_t i = 0; i < n; i++)
      if (ids[i] == my_int(&q.cell[0])) out[i] = (struct def_head){my_int(&q.cell[1]), my_int(&q.cell[2]) != 0};
  return my_rd_end(&q, WR_OK, err);
}

enum wr_rc my_reader_heads(struct reader *rd, enum head_kind kind, const int64_t *ids, size_t n, struct def_head *out, struct wr_err *err) {
  const char *sql = kind == HEAD_TASK ? "SELECT task_id, task_version, deleted FROM task WHERE task_id IN" THIRTY
                                      : "SELECT flow_id, flow_version, deleted FROM task_flow WHERE flow_id IN" THIRTY;
  enum wr_rc rc = WR_OK;
  memset(out, 0, n * sizeof *out);
  for (size_t i = 0; i < n && !rc; i += IDS) rc = heads_some(my_reader_of(rd), sql, ids + i, n - i < IDS ? n - i : IDS, out + i, err);
  return rc;
}

/* ---- flows ---- */
void my_rd_flow(const struct my_cell *c, struct flow_def *f) {
  *f = (struct flow_def){
    .flow_id = my_int(&c[0]), .version = my_int(&c[1]), .name = borrow(&c[2]), .description = borrow(&c[3]),
    .config = borrow(&c[4]), .create_user = borrow(&c[5]), .update_user = borrow(&c[6]), .create_us = my_us(&c[7]),
    .update_us = my_us(&c[8]), .node_us = my_us(&c[8]), .deleted = (uint8_t)my_int(&c[9]), .node_base = my_int(&c[10])};
  atomic_init(&f->refs, 1);
}

static struct flow_def *flow_own(const struct my_cell *c) {
  struct flow_def row;
  my_rd_flow(c, &row);
  return def_row_flow(&row, my_int(&c[MY_RD_FLOW_N_NODE]));
}

static enum wr_rc node_own(const struct my_cell *c, struct flow_def *f, uint32_t i, struct wr_err *err) {
  const struct def_node_cols cols = {
    .node_id = my_int(&c[0]), .key = my_str(&c[1], NULL), .type = my_str(&c[2], NULL), .ids = my_str(&c[3], NULL),
    .tasks = my_str(&c[4], NULL), .config = my_str(&c[5], NULL), .n_tasks = c[4].n};
  return def_row_node(f, i, &cols, err);
}

static enum wr_rc nodes_read(struct my_reader *r, struct flow_def *f, struct wr_err *err) {
  struct my_rows q;
  enum wr_rc rc = WR_OK;
  uint32_t i = 0;
  unsigned e = my_select(&r->c, &q, "SELECT node_id, node_key, node_type, task_ids, tasks, config FROM task_node FORCE INDEX(PRIMARY) "
                         "WHERE node_id BETWEEN ? AND ? ORDER BY node_id", MY_ARGS(my_ai(f->node_base), my_ai(f->node_base + f->n - 1)));
  if (e) return my_err(e, err);
  for (; !rc && i < f->n && my_next(&q); i++) rc = node_own(q.cell, f, i, err);
  rc = my_rd_end(&q, rc, err);
  return rc || i == f->n ? rc : def_row_broken(f, err);
}

static enum wr_rc edges_read(struct my_reader *r, struct flow_def *f, struct wr_err *err) {
  struct my_rows q;
  struct def_edges d = {.f = f, .last = UINT32_MAX};
  bool whole = true;
  unsigned e = my_select(&r->c, &q, "SELECT node_id, prev_node FROM task_node_edge FORCE INDEX(PRIMARY) WHERE flow_id=? AND flow_version=? "
                         "AND node_id BETWEEN ? AND ? ORDER BY node_id, pos",
                         MY_ARGS(my_ai(f->flow_id), my_ai(f->version), my_ai(f->node_base), my_ai(f->node_base + f->n - 1)));
  if (e) return my_err(e, err);
  while (whole && my_next(&q)) whole = def_row_edge(&d, my_int(&q.cell[0]), my_int(&q.cell[1]));
  return my_rd_end(&q, whole ? WR_OK : def_row_broken(f, err), err);
}

static enum wr_rc head_read(struct my_reader *r, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err) {
  struct my_rows q;
  *out = NULL;
  unsigned e = my_select(&r->c, &q, "SELECT " MY_RD_FLOW_COLS " FROM task_flow f JOIN task_flow_history h ON h.flow_id=f.flow_id AND "
                         "h.flow_version=IF(?=0, f.flow_version, ?) WHERE f.flow_id=?",
                         MY_ARGS(my_ai(version), my_ai(version), my_ai(flow_id)));
  if (e) return my_err(e, err);
  bool found = my_next(&q);
  if (found) *out = flow_own(q.cell);
  enum wr_rc rc = my_rd_end(&q, WR_OK, err);
  if (!rc && found && !*out) return wr_err_set(err, WR_INTERNAL, "The stored flow %lld is not whole.", (long long)flow_id);
  if (!rc && !*out) rc = wr_err_set(err, WR_NOT_FOUND, "Flow %lld does not exist.", (long long)flow_id);
  return rc;
}

/* A version never changes once its head is there, so the three reads need no common view. */
enum wr_rc my_reader_flow(struct reader *rd, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err) {
  struct my_reader *r = my_reader_of(rd);
  struct flow_def *f;
  enum wr_rc rc = head_read(r, flow_id, version, &f, err);
  if (!rc) rc = nodes_read(r, f, err);
  if (!rc) rc = edges_read(r, f, err);
  if (!rc) rc = def_flow_compile(f, err);
  *out = rc ? NULL : f;
  if (rc && f) def_flow_unref(f);
  return rc;
}
