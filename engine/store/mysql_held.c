/* Finds the rows of a batch that another transaction holds. For a while after a wait for a lock in vain, each batch asks for its
 * rows here before it writes them. So one such lock costs one wait, and then holds up only the work that needs its rows. The
 * runner's thread and connection.
 *
 * The question locks the free rows, in the order of the write. The server leaves out the held ones (SKIP LOCKED), and a read
 * without a lock tells them from rows that are not there. Rows that are inserted cannot be asked for.
 * What never happens: a wait for a lock; a row taken for held that is not there. */
#include "mysql_run.h"
#include <stdlib.h>
#include "clock.h"
#include "map64.h"

#define WARY_US 10000000  /* after a lock was met */

struct asked { int64_t *id; uint8_t *got; size_t n; };  /* got: 1 = locked now, 2 = held, 0 = not there */
struct table { const char *name, *key; bool share; };   /* share: a shared lock is enough */

void my_wary(struct my *s) { s->wary_until = clock_mono_us() + WARY_US; }
bool my_is_wary(const struct my *s) { return clock_mono_us() < s->wary_until; }

static size_t place(const struct asked *a, int64_t id) {
  const int64_t *at = bsearch(&id, a->id, a->n, sizeof id, wr_by_id);
  return at ? (size_t)(at - a->id) : a->n;
}

static unsigned read_ids(struct my *s, const struct asked *a, uint8_t say) {
  MYSQL_RES *res;
  struct cell c[CELLS_MAX];
  unsigned e = my_select_tx(s, &res);
  if (e) return e;
  for (MYSQL_ROW row; (row = mysql_fetch_row(res));) {
    my_cells(res, row, c);
    size_t i = place(a, cell_i64(&c[0]));
    if (i < a->n && !a->got[i]) a->got[i] = say;
  }
  mysql_free_result(res);
  return 0;
}

static const char *lock_of(struct my *s, const struct table *t) {
  if (!t->share) return "FOR UPDATE SKIP LOCKED";
  return mariadb_connection(s->run.m) ? "LOCK IN SHARE MODE SKIP LOCKED" : "FOR SHARE SKIP LOCKED";
}

static unsigned ask_some(struct my *s, const struct table *t, const struct asked *a) {
  size_t missing = 0;
  my_select_begin(s);
  buf_printf(&s->sql.b, "SELECT %s FROM %s FORCE INDEX(PRIMARY) WHERE %s IN(", t->key, t->name, t->key);
  sql_ids(&s->sql, a->id, a->n);
  buf_printf(&s->sql.b, ")ORDER BY %s %s", t->key, lock_of(s, t));
  unsigned e = read_ids(s, a, 1);
  for (size_t i = 0; i < a->n; i++) missing += !a->got[i];
  if (e || missing == 0) return e;
  my_select_begin(s);
  buf_printf(&s->sql.b, "SELECT %s FROM %s FORCE INDEX(PRIMARY) WHERE %s IN(", t->key, t->name, t->key);
  sql_ids(&s->sql, a->id, a->n);
  sql_ch(&s->sql, ')');
  return read_ids(s, a, 2);
}

/* ids ascending, each once. */
static unsigned ask(struct my *s, const struct table *t, const struct asked *a) {
  unsigned e = 0;
  for (size_t i = 0; i < a->n && !e; i += MY_IN_MAX)
    e = ask_some(s, t, &(struct asked){a->id + i, a->got + i, a->n - i < MY_IN_MAX ? a->n - i : MY_IN_MAX});
  return e;
}

static bool is_held(const struct asked *a, int64_t id) {
  size_t i = place(a, id);
  return i < a->n && a->got[i] == 2;
}

/* ---- the rows of a batch ---- */
static int by_flow(const void *fi, const void *f) {
  int64_t x = *(const int64_t *)fi, y = ((const struct flow_write *)f)->row.fi;
  return x < y ? -1 : x > y;
}

static void flow_held(struct batch *b, int64_t fi) {
  struct flow_write *f = bsearch(&fi, b->flow, b->n_flow, sizeof *b->flow, by_flow);
  if (f) f->held = true;
}

static unsigned ask_definitions(struct my *s, struct batch *b, struct asked *a) {
  static const struct table t = {"task_flow", "flow_id", true};
  for (size_t i = 0; i < b->n_flow; i++)
    if (b->flow[i].op == ROW_INSERT) a->id[a->n++] = b->flow[i].row.flow_id;
  a->n = wr_distinct(a->id, a->n, sizeof *a->id);
  unsigned e = ask(s, &t, a);
  for (size_t i = 0; i < b->n_flow && !e; i++)
    b->flow[i].held = b->flow[i].op == ROW_INSERT && is_held(a, b->flow[i].row.flow_id);
  return e;
}

static unsigned ask_heads(struct my *s, struct batch *b, struct asked *a) {
  static const struct table t = {"task_flow_ins", "fi_id", false};
  for (size_t i = 0; i < b->n_flow; i++)
    if (b->flow[i].op == ROW_UPDATE && b->flow[i].expect) a->id[a->n++] = b->flow[i].row.fi;
  unsigned e = ask(s, &t, a);
  for (size_t i = 0; i < a->n && !e; i++)
    if (a->got[i] == 2) flow_held(b, a->id[i]);
  return e;
}

static unsigned ask_nodes(struct my *s, struct batch *b, struct asked *a) {
  static const struct table t = {"task_node_ins", "ni_id", false};
  for (size_t i = 0; i < b->n_node; i++)
    if (b->node[i].op == ROW_UPDATE) a->id[a->n++] = b->node[i].row.ni;
  unsigned e = ask(s, &t, a);
  for (size_t i = 0; i < b->n_node && !e; i++)
    if (is_held(a, b->node[i].row.ni)) flow_held(b, b->node[i].row.fi);
  return e;
}

static unsigned ask_tasks(struct my *s, struct batch *b, struct asked *a) {
  static const struct table t = {"task_ins", "ti_id", false};
  for (size_t i = 0; i < b->n_task; i++)
    if (b->task[i].op == ROW_UPDATE) a->id[a->n++] = b->task[i].row.ti;
  unsigned e = ask(s, &t, a);
  for (size_t i = 0; i < b->n_task && !e; i++) {
    if (!is_held(a, b->task[i].row.ti)) continue;
    if (b->task[i].row.ni) flow_held(b, b->task[i].row.fi);
    else b->task[i].held = true;
  }
  return e;
}

typedef unsigned ask_fn(struct my *s, struct batch *b, struct asked *a);
static unsigned ask_all(struct my *s, struct batch *b) {
  static ask_fn *const part[] = {ask_definitions, ask_heads, ask_nodes, ask_tasks};
  size_t most = b->n_flow > b->n_node ? b->n_flow : b->n_node;
  if (b->n_task > most) most = b->n_task;
  unsigned e = 0;
  for (size_t i = 0; i < sizeof part / sizeof *part && !e; i++) {
    struct asked a = {wr_calloc(most + 1, sizeof *a.id), wr_calloc(most + 1, 1), 0};
    e = part[i](s, b, &a);
    free(a.id);
    free(a.got);
  }
  return e;
}

enum store_rc my_ask_held(struct my *s, struct batch *b) {
  bool any = false;
  unsigned e = ask_all(s, b);
  if (e) return my_run_fail(s, e);
  for (size_t i = 0; i < b->n_flow; i++) any |= b->flow[i].held;
  for (size_t i = 0; i < b->n_task; i++) any |= b->task[i].held;
  sql_clear(&s->sql);
  if (!any) return STORE_OK;
  my_wary(s);
  my_rollback(&s->base);
  return STORE_STALE;
}
