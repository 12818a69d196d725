/* Readers: the pool, and definitions read back. Any thread takes a reader, uses it alone and puts it back. At most
 * MY_READERS at once; who comes then waits, up to WAIT_S. Every statement is prepared and sees what is committed. */
#include "mysql_priv.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "limits.h"
#include "mysql_rd.h"

enum { WAIT_S = 5 };

/* ---- the pool ---- */
static struct my_reader *pool_take(struct my *s) {
  struct my_reader *r = NULL;
  struct timespec until;
  int late = 0;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += WAIT_S;
  pthread_mutex_lock(&s->pool_mu);
  while (!s->idle && s->n_readers >= MY_READERS && !late) late = pthread_cond_timedwait(&s->pool_cond, &s->pool_mu, &until);
  if (s->idle) {
    r = s->idle;
    s->idle = r->next;
  } else if (s->n_readers < MY_READERS) {
    s->n_readers++;
    r = wr_new(struct my_reader);
    r->base = (struct reader){s->base.ops, &s->base};
    my_conn_init(&r->c, &s->url);
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
  my_err(e, err);
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
  struct task_def *t = wr_new(struct task_def);
  my_rd_task(c, t);
  t->name = wr_strdup(t->name);
  t->description = wr_strdup(t->description);
  t->type = wr_strdup(t->type);
  t->content = wr_strdup(t->content);
  t->config = wr_strdup(t->config);
  t->create_user = wr_strdup(t->create_user);
  t->update_user = wr_strdup(t->update_user);
  enum wr_rc rc = def_task_derive(t, err);
  if (rc) def_task_unref(t);
  else *out = t;
  return rc;
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
  return rc || *out ? rc : wr_err_set(err, WR_NOT_FOUND, "There is no task %lld.", (long long)task_id);
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

/* Which of up to IDS ids is not there: 0 when all are. */
static enum wr_rc first_missing(struct my_reader *r, const int64_t *ids, size_t n, int64_t *missing, struct wr_err *err) {
  struct my_rows q;
  struct my_arg arg[IDS];
  bool found[IDS] = {0};
  *missing = 0;
  id_args(arg, ids, n);
  unsigned e = my_select(&r->c, &q, "SELECT task_id FROM task WHERE deleted=0 AND task_id IN" THIRTY, arg, IDS);
  if (e) return my_err(e, err);
  while (my_next(&q))
    for (size_t i = 0; i < n; i++) found[i] |= ids[i] == my_int(&q.cell[0]);
  for (size_t i = n; i-- > 0;)
    if (!found[i]) *missing = ids[i];
  return my_rd_end(&q, WR_OK, err);
}

enum wr_rc my_reader_tasks_exist(struct reader *rd, const int64_t *ids, size_t n, struct wr_err *err) {
  for (size_t i = 0; i < n; i += IDS) {
    int64_t missing;
    enum wr_rc rc = first_missing(my_reader_of(rd), ids + i, n - i < IDS ? n - i : IDS, &missing, err);
    if (rc) return rc;
    if (missing) return wr_err_set(err, WR_NO_SUCH_TASK, "Task %lld does not exist.", (long long)missing);
  }
  return WR_OK;
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
  struct flow_def *f = wr_new(struct flow_def);
  my_rd_flow(c, f);
  f->name = wr_strdup(f->name);
  f->description = wr_strdup(f->description);
  f->config = wr_strdup(f->config);
  f->create_user = wr_strdup(f->create_user);
  f->update_user = wr_strdup(f->update_user);
  int64_t n = my_int(&c[MY_RD_FLOW_N_NODE]);
  wr_assert(n >= 0 && n <= LIMIT_NODES);
  f->n = (uint32_t)n;
  f->node = wr_calloc(f->n + 1u, sizeof *f->node);
  return f;
}

static bool ids_parse(struct node_def *n, const char *text) {
  uint32_t count = 1;
  for (const char *p = text; *p; p++) count += *p == ',';
  n->task_id = wr_calloc(count, sizeof *n->task_id);
  for (char *end; n->n_task_id < count; text = end + 1) {
    n->task_id[n->n_task_id++] = strtoll(text, &end, 10);
    if (end == text || *end != (n->n_task_id < count ? ',' : '\0')) return false;
  }
  return true;
}

static enum wr_rc broken(struct wr_err *err, const struct flow_def *f) {
  return wr_err_set(err, WR_INTERNAL, "The stored flow %lld is not whole.", (long long)f->flow_id);
}

static enum wr_rc node_own(const struct my_cell *c, struct flow_def *f, uint32_t i, struct wr_err *err) {
  struct node_def *n = &f->node[i];
  const char *type = my_str(&c[2], NULL), *ids = my_str(&c[3], NULL), *tasks = my_str(&c[4], NULL);
  n->node_id = my_int(&c[0]);
  n->key = wr_strdup(my_str(&c[1], NULL));
  n->type = type[0] == 'S' ? NODE_TYPE_START : type[0] == 'E' ? NODE_TYPE_END : NODE_TYPE_TASK;
  n->config = wr_strdup(my_str(&c[5], NULL));
  if (n->node_id != f->node_base + i || (ids && !ids_parse(n, ids))) return broken(err, f);
  return tasks ? def_inline_parse(n, tasks, c[4].n, err) : WR_OK;
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
  return rc || i == f->n ? rc : broken(err, f);
}

/* Edges come grouped by node, in the order of mention. */
static enum wr_rc edges_read(struct my_reader *r, struct flow_def *f, struct wr_err *err) {
  struct my_rows q;
  size_t cap = 0;
  bool whole = true;
  uint32_t last = UINT32_MAX;
  unsigned e = my_select(&r->c, &q, "SELECT node_id, prev_node FROM task_node_edge FORCE INDEX(PRIMARY) WHERE flow_id=? AND flow_version=? "
                         "AND node_id BETWEEN ? AND ? ORDER BY node_id, pos",
                         MY_ARGS(my_ai(f->flow_id), my_ai(f->version), my_ai(f->node_base), my_ai(f->node_base + f->n - 1)));
  if (e) return my_err(e, err);
  while (whole && my_next(&q)) {
    uint32_t i = (uint32_t)(my_int(&q.cell[0]) - f->node_base);
    int64_t p = my_int(&q.cell[1]) - f->node_base;
    whole = i < f->n && p >= 0 && p < f->n;
    if (!whole) break;
    if (i != last) cap = 0, last = i;
    struct node_def *n = &f->node[i];
    n->parent = n->parent ? wr_grow(n->parent, &cap, n->n_parent + 1u, sizeof *n->parent) : wr_malloc(sizeof *n->parent * (cap = 1));
    n->parent[n->n_parent++] = (uint32_t)p;
  }
  return my_rd_end(&q, whole ? WR_OK : broken(err, f), err);
}

static enum wr_rc head_read(struct my_reader *r, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err) {
  struct my_rows q;
  *out = NULL;
  unsigned e = my_select(&r->c, &q, "SELECT " MY_RD_FLOW_COLS " FROM task_flow f JOIN task_flow_history h ON h.flow_id=f.flow_id AND "
                         "h.flow_version=IF(?=0, f.flow_version, ?) WHERE f.flow_id=?",
                         MY_ARGS(my_ai(version), my_ai(version), my_ai(flow_id)));
  if (e) return my_err(e, err);
  if (my_next(&q)) *out = flow_own(q.cell);
  enum wr_rc rc = my_rd_end(&q, WR_OK, err);
  if (!rc && !*out) rc = wr_err_set(err, WR_NOT_FOUND, "There is no flow %lld.", (long long)flow_id);
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
