/* The runner's transactions: one packet of statements with its receipt, then COMMIT as a packet of its own, so that a
 * stale head or a lost fence is seen before anything is committed, and a lost packet can never commit later by itself.
 *
 * The order within a batch is that of the locks: task_flow, definitions, idempotency keys, jobs, flow heads (ascending), nodes,
 * tasks, attempts, what goes with tasks that are deleted, async rows, queues, own engine_node row last. The fence also compares
 * definitions.version with what store_begin() said, so begin needs no round trip while the connection is in use.
 *
 * What never happens: a reconnect inside a transaction; COMMIT after an answer that was not the expected one; a head
 * written whose version was not seen under its lock. The runner's thread. */
#include "mysql_run.h"
#include <errmsg.h>
#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "log.h"
#include "map64.h"

#define FRESH_US 100000   /* after so long without an answer, begin asks the server before it trusts what it knows */

/* ---- the end of a transaction ---- */
static void tx_end(struct my *s) {
  s->in_tx = false;
  s->n_want = 0;
  sql_clear(&s->sql);
  arena_reset(&s->texts);
}

static void run_close(struct my *s) {
  my_conn_close(&s->run);
  s->reconciles = false;   /* named locks go with the connection */
  s->defs_known = false;
}

enum store_rc my_told(struct my *s, unsigned e) {
  enum store_rc rc = my_rc(e);
  if (rc == STORE_OK) return rc;
  memcpy(s->base.why, s->run.why, sizeof s->base.why);
  if (rc == STORE_BAD) log_error("store.bad_row", L_INT("errno", e), L_STR("why", s->base.why));
  return rc;
}

enum store_rc my_run_fail(struct my *s, unsigned e) {
  enum store_rc rc = my_told(s, e); /* before the rollback says something */
  if (!s->run.m) run_close(s);
  else if (s->in_tx && my_exec(&s->run, "ROLLBACK")) run_close(s);
  tx_end(s);
  return rc;
}

void my_rollback(struct store *st) {
  struct my *s = my_of(st);
  if (s->in_tx && my_exec(&s->run, "ROLLBACK")) run_close(s);
  tx_end(s);
}

/* ---- begin ---- */
static unsigned read_defs(struct my *s) {
  struct cursor c;
  unsigned e = my_select(&s->run, &c, "SELECT version, queues_version FROM definitions WHERE one=1", NULL, 0);
  bool found = !e && my_next(&c);
  if (found) s->defs = cell_i64(&c.cell[0]), s->queues = cell_i64(&c.cell[1]);
  if (!e) e = my_done(&c);
  s->defs_known = !e && found;
  return e ? e : found ? 0 : 1146; /* ER_NO_SUCH_TABLE: the row is part of the schema */
}

enum store_rc my_begin(struct store *st, int64_t *defs) {
  struct my *s = my_of(st);
  if (s->in_tx) {
    *defs = s->defs;
    return STORE_OK;
  }
  bool old = clock_mono_us() - s->run.used_us > FRESH_US;
  unsigned e = 0;
  if (s->run.m && my_conn_hung_up(&s->run)) run_close(s);
  if (s->run.m && old) e = read_defs(s); /* also tells whether the server is still there */
  if (!s->run.m || e) {
    run_close(s);
    e = my_conn_ready(&s->run);
    if (e) return my_told(s, e) == STORE_RETRY ? STORE_DOWN : my_rc(e);
  }
  if (atomic_exchange(&s->defs_moved, false) || !s->defs_known) e = read_defs(s);
  if (e) return my_run_fail(s, e);
  *defs = s->defs;
  return STORE_OK;
}

/* ---- answers ---- */
/* stale: a head, a task or the definitions are not as expected; missing: a row to be written is not there; fence: the fence
 * changed no row; rival: a key is there already. */
struct answer { bool stale, missing, fence, rival; };

static struct my_want *next_want(struct my *s, enum want kind, size_t at, size_t n) {
  struct my_want *w = WR_PUSH(s->want, s->n_want, s->cap_want);
  *w = (struct my_want){kind, at, n};
  return w;
}

static size_t duplicates(MYSQL *m) {
  const char *info = mysql_info(m), *p = info ? strstr(info, "Duplicates: ") : NULL;
  return p ? strtoul(p + 12, NULL, 10) : 0;
}

/* Both lists ascend: a flow that expects a version and does not meet it is stale. */
static bool check_heads(struct batch *b, const struct my_want *w, MYSQL_RES *res) {
  struct cell c[CELLS_MAX];
  MYSQL_ROW row = mysql_fetch_row(res);
  bool stale = false;
  for (size_t i = w->at; i < w->at + w->n; i++) {
    struct flow_write *f = &b->flow[i];
    if (f->op == ROW_INSERT || !f->expect) continue;
    if (row) my_cells(res, row, c);
    bool here = row && cell_i64(&c[0]) == f->row.fi;
    f->stale = !here || cell_i64(&c[1]) != f->expect;
    stale |= f->stale;
    if (here) row = mysql_fetch_row(res);
  }
  return stale;
}

/* c: resume, phase, end_as. A column may have an old value in a state in which it says nothing. */
static bool as_wished(const struct task_write *t, const struct cell *c) {
  const struct task_wished *x = &t->expect_wished;
  if (t->expect_state == TASK_PAUSING) return cell_u8(&c[0]) == x->resume;
  return t->expect_state != TASK_CANCELING || (cell_u8(&c[1]) == x->phase && cell_u8(&c[2]) == x->end_as);
}

static void put_wished(struct my *s, const struct task_write *t) {
  const struct task_wished *x = &t->expect_wished;
  if (t->expect_state == TASK_PAUSING) buf_printf(&s->sql.b, " AND resume=%u", x->resume);
  if (t->expect_state == TASK_CANCELING) buf_printf(&s->sql.b, " AND phase=%u AND end_as=%u", x->phase, x->end_as);
}

static bool check_tasks(struct batch *b, const struct my_want *w, MYSQL_RES *res) {
  struct cell c[CELLS_MAX];
  MYSQL_ROW row = mysql_fetch_row(res);
  bool stale = false;
  for (size_t i = w->at; i < w->at + w->n; i++) {
    struct task_write *t = &b->task[i];
    if (t->op == ROW_INSERT || t->expect_state < 0) continue;
    if (row) my_cells(res, row, c);
    bool here = row && cell_i64(&c[0]) == t->row.ti;
    t->stale = !here || cell_i64(&c[1]) != t->expect_epoch || cell_i64(&c[2]) != t->expect_state || !as_wished(t, c + 3);
    stale |= t->stale;
    if (here) row = mysql_fetch_row(res);
  }
  return stale;
}

/* A flow starts only in its current version, and not after its deletion. The answer holds the flows that may start. */
static bool check_guard(struct batch *b, const struct my_want *w, MYSQL_RES *res) {
  struct { int64_t id, version; } ok[MY_IN_MAX];
  size_t n = 0;
  struct cell c[CELLS_MAX];
  bool stale = false;
  for (MYSQL_ROW row; n < MY_IN_MAX && (row = mysql_fetch_row(res)); n++) {
    my_cells(res, row, c);
    ok[n].id = cell_i64(&c[0]), ok[n].version = cell_i64(&c[1]);
  }
  for (size_t i = w->at; i < w->at + w->n; i++) {
    struct flow_write *f = &b->flow[i];
    if (f->op != ROW_INSERT) continue;
    size_t k = 0;
    while (k < n && ok[k].id != f->row.flow_id) k++;
    f->stale = k == n || ok[k].version != f->row.flow_version;
    stale |= f->stale;
  }
  return stale;
}

static bool check_defs(struct my *s, MYSQL_RES *res) {
  struct cell c[CELLS_MAX];
  MYSQL_ROW row = mysql_fetch_row(res);
  if (!row) return true;
  my_cells(res, row, c);
  return cell_i64(&c[0]) != s->defs;
}

static void check_count(struct my *s, struct batch *b, const struct my_want *w, struct answer *a) {
  uint64_t n = my_affected(&s->run);
  switch (w->kind) {
    case WANT_ROWS: case WANT_UNIQUE: a->missing |= n != w->n; break;
    case WANT_DUPS: a->missing |= duplicates(s->run.m) != w->n; break;
    case WANT_HEAD: a->stale |= b->flow[w->at].stale = n != 1; break;
    case WANT_TASK: a->stale |= b->task[w->at].stale = n != 1; break;
    case WANT_FENCE: a->fence |= n != 1; break;
    case WANT_KEYS: a->rival |= n != w->n; break;
    case WANT_NOTHING: case WANT_HEADS: case WANT_TASKS: case WANT_GUARD: case WANT_DEFS: default: break;
  }
}

static unsigned check_one(struct my *s, struct batch *b, const struct my_want *w, struct answer *a) {
  MYSQL_RES *res = mysql_store_result(s->run.m);
  if (!res) {
    if (mysql_errno(s->run.m)) return my_fail(&s->run, mysql_errno(s->run.m));
    check_count(s, b, w, a);
    return 0;
  }
  switch (w->kind) {
    case WANT_HEADS: a->stale |= check_heads(b, w, res); break;
    case WANT_TASKS: a->stale |= check_tasks(b, w, res); break;
    case WANT_GUARD: a->stale |= check_guard(b, w, res); break;
    case WANT_DEFS:
      if (!check_defs(s, res)) break;
      a->stale = true;
      s->defs_known = false;
      break;
    case WANT_NOTHING: case WANT_ROWS: case WANT_DUPS: case WANT_HEAD: case WANT_TASK: case WANT_FENCE: case WANT_KEYS:
    case WANT_UNIQUE: default: break;
  }
  mysql_free_result(res);
  return 0;
}

/* Zero rows changed: is this node dead, or did a definition change? Asked after the rollback. */
static enum store_rc why_fenced(struct my *s) {
  char text[128];
  bool found;
  int64_t live;
  my_rollback(&s->base);
  snprintf(text, sizeof text, "SELECT 1 FROM engine_node WHERE incarnation=%lld AND state='LIVE'", (long long)s->me);
  unsigned e = my_query_int(&s->run, text, &live, &found);
  if (e) return my_run_fail(s, e);
  s->defs_known = false;
  return found ? STORE_STALE : STORE_FENCED;
}

/* The statement met error e because another transaction has the key. */
static bool lost_to(const struct my_want *w, unsigned e) { return w->kind == WANT_UNIQUE && e == ER_DUP_ENTRY; }

/* Sends the packet and reads every answer of it. */
static enum store_rc flush(struct my *s, struct batch *b) {
  struct answer a = {0};
  if (!s->n_want) return STORE_OK;
  s->in_tx = true;
  unsigned e = my_query(&s->run, s->sql.b.data, s->sql.b.len);
  if (e) a.rival = lost_to(&s->want[0], e);
  for (size_t i = 0; !e && i < s->n_want; i++) {
    e = check_one(s, b, &s->want[i], &a);
    int more = e ? -1 : mysql_next_result(s->run.m);
    if (more > 0) e = my_fail(&s->run, mysql_errno(s->run.m));
    if (more > 0 && i + 1 < s->n_want) a.rival |= lost_to(&s->want[i + 1], e);
    else if (!e && (more == 0) != (i + 1 < s->n_want)) {
      run_close(s);
      e = CR_COMMANDS_OUT_OF_SYNC;
    }
  }
  if (e && s->run.m && (a.stale || a.rival)) e = 0; /* a rival was faster, so an error about its rows is expected */
  if (e) return my_run_fail(s, e);
  sql_clear(&s->sql);
  s->n_want = 0;
  if (!a.stale && !a.missing && !a.fence && !a.rival) return STORE_OK;
  if (a.rival) { /* the batch is done again and finds its key */
    my_rollback(&s->base);
    return STORE_RETRY;
  }
  if (a.fence && !a.stale) return why_fenced(s);
  if (!a.stale) log_error("store.row_missing", L_INT("batch", b->id));
  my_rollback(&s->base);
  return a.stale ? STORE_STALE : STORE_BAD;
}

enum store_rc run_statement(struct my *s, struct batch *b, enum want kind, size_t at, size_t n) {
  enum store_rc rc = s->sql.b.len > s->run.packet ? flush(s, b) : STORE_OK;
  if (rc) return rc;
  if (!s->in_tx && !s->n_want) {
    sql_str(&s->sql, "START TRANSACTION");
    next_want(s, WANT_NOTHING, 0, 0);
  }
  if (s->n_want) sql_ch(&s->sql, ';');
  next_want(s, kind, at, n);
  return STORE_OK;
}

/* ---- guards and locks ---- */
/* One row of task_flow for every flow that starts, shared until the commit: a delete or a save of it waits. */
static enum store_rc guard_flows(struct my *s, struct batch *b) {
  int64_t id[MY_IN_MAX];
  size_t from = 0, n = 0;
  for (size_t i = 0; i <= b->n_flow; i++) {
    const struct flow_write *f = &b->flow[i];
    if (i < b->n_flow && (f->op != ROW_INSERT || (n && id[n - 1] == f->row.flow_id))) continue;
    if (n && (i == b->n_flow || n == MY_IN_MAX)) {
      enum store_rc rc = run_statement(s, b, WANT_GUARD, from, i - from);
      if (rc) return rc;
      qsort(id, n, sizeof *id, wr_by_id);
      sql_str(&s->sql, "SELECT flow_id,flow_version FROM task_flow FORCE INDEX(PRIMARY) WHERE deleted=0 AND flow_id IN(");
      sql_ids(&s->sql, id, n);
      sql_str(&s->sql, ")LOCK IN SHARE MODE");
      n = 0;
      from = i;
    }
    if (i < b->n_flow) id[n++] = f->row.flow_id;
  }
  return STORE_OK;
}

/* A stand-alone task starts only while its definition is there: a delete raises the version first, then looks. */
static enum store_rc guard_tasks(struct my *s, struct batch *b) {
  bool any = false;
  for (size_t i = 0; i < b->n_task && !any; i++)
    any = b->task[i].op == ROW_INSERT && b->task[i].row.task_id && !b->task[i].row.fi;
  if (!any) return STORE_OK;
  enum store_rc rc = run_statement(s, b, WANT_DEFS, 0, 0);
  if (rc == STORE_OK) sql_str(&s->sql, "SELECT version FROM definitions WHERE one=1 LOCK IN SHARE MODE");
  return rc;
}

static bool head_expects(const struct batch *b, size_t i) { return b->flow[i].op == ROW_UPDATE && b->flow[i].expect; }
static bool task_expects(const struct batch *b, size_t i) { return b->task[i].op == ROW_UPDATE && b->task[i].expect_state >= 0; }

/* Locks the rows that must be as expected, in the order of their ids. */
static enum store_rc lock_expected(struct my *s, struct batch *b, enum want kind) {
  bool heads = kind == WANT_HEADS;
  size_t total = heads ? b->n_flow : b->n_task;
  int64_t id[MY_IN_MAX];
  for (size_t from = 0, i = 0; i < total;) {
    size_t n = 0;
    for (; i < total && n < MY_IN_MAX; i++) {
      if (heads && head_expects(b, i)) id[n++] = b->flow[i].row.fi;
      if (!heads && task_expects(b, i)) id[n++] = b->task[i].row.ti;
    }
    if (!n) break;
    enum store_rc rc = run_statement(s, b, kind, from, i - from);
    if (rc) return rc;
    sql_str(&s->sql, heads ? "SELECT fi_id,version FROM task_flow_ins FORCE INDEX(PRIMARY) WHERE fi_id IN("
                           : "SELECT ti_id,epoch,state,resume,phase,end_as FROM task_ins FORCE INDEX(PRIMARY) WHERE ti_id IN(");
    sql_ids(&s->sql, id, n); /* not as a range: its end would wait for the row that follows, which somebody else may have */
    sql_str(&s->sql, heads ? ")ORDER BY fi_id FOR UPDATE" : ")ORDER BY ti_id FOR UPDATE");
    from = i;
  }
  return STORE_OK;
}

/* ---- rows ---- */
struct parts { struct put_rows ins, upd; };
static void parts_done(struct parts *p) {
  free(p->ins.v);
  free(p->upd.v);
}

static enum store_rc write_flows(struct my *s, struct batch *b) {
  struct parts p = {0};
  size_t expected = 0, one = 0;
  for (size_t i = 0; i < b->n_flow; i++) {
    b->flow[i].stale = false;
    if (head_expects(b, i)) expected++, one = i;
  }
  enum store_rc rc = guard_flows(s, b);
  if (rc == STORE_OK) rc = guard_tasks(s, b);
  if (rc == STORE_OK) rc = write_keys(s, b);
  if (rc == STORE_OK) rc = write_jobs(s, b);
  if (rc == STORE_OK && expected > 1) rc = lock_expected(s, b, WANT_HEADS);
  if (rc == STORE_OK && expected == 1) rc = run_statement(s, b, WANT_HEAD, one, 1); /* lock, validate and raise in one */
  if (rc == STORE_OK && expected == 1) {
    put_single(s, b, PUT_FLOW, &b->flow[one].row);
    sql_str(&s->sql, " AND version=");
    sql_i64(&s->sql, b->flow[one].expect);
  }
  for (size_t i = 0; i < b->n_flow; i++)
    if (expected != 1 || i != one) put_row(b->flow[i].op == ROW_INSERT ? &p.ins : &p.upd, &b->flow[i].row);
  if (rc == STORE_OK) rc = put_updates(s, b, PUT_FLOW, &p.upd);
  if (rc == STORE_OK) rc = put_inserts(s, b, PUT_FLOW, &p.ins);
  parts_done(&p);
  return rc;
}

static enum store_rc write_nodes(struct my *s, struct batch *b) {
  struct parts p = {0};
  for (size_t i = 0; i < b->n_node; i++) put_row(b->node[i].op == ROW_INSERT ? &p.ins : &p.upd, &b->node[i].row);
  enum store_rc rc = put_updates(s, b, PUT_NODE, &p.upd);
  if (rc == STORE_OK) rc = put_inserts(s, b, PUT_NODE, &p.ins);
  parts_done(&p);
  return rc;
}

static bool has_tail(const struct task_row *r) { return r->error || r->result || r->log || r->exit_code != -1 || r->signal; }

static enum store_rc write_task_rows(struct my *s, struct batch *b, size_t skip) {
  struct parts p = {0}, whole = {0};
  for (size_t i = 0; i < b->n_task; i++) {
    const struct task_write *t = &b->task[i];
    if (i == skip) continue;
    if (t->op == ROW_INSERT) put_row(has_tail(&t->row) ? &whole.ins : &p.ins, &t->row);
    else put_row(t->finish ? &whole.upd : &p.upd, &t->row);
  }
  enum store_rc rc = put_updates(s, b, PUT_FINISH, &whole.upd);
  if (rc == STORE_OK) rc = put_updates(s, b, PUT_TASK, &p.upd);
  if (rc == STORE_OK) rc = put_inserts(s, b, PUT_TASK, &p.ins);
  if (rc == STORE_OK) rc = put_inserts(s, b, PUT_FINISH, &whole.ins);
  parts_done(&p);
  parts_done(&whole);
  return rc;
}

static enum store_rc write_tasks(struct my *s, struct batch *b) {
  size_t expected = 0, one = SIZE_MAX;
  for (size_t i = 0; i < b->n_task; i++) {
    b->task[i].stale = false;
    if (task_expects(b, i)) expected++, one = i;
  }
  enum store_rc rc = STORE_OK;
  if (expected > 1) rc = lock_expected(s, b, WANT_TASKS);
  if (expected == 1) rc = run_statement(s, b, WANT_TASK, one, 1);
  if (expected == 1 && rc == STORE_OK) {
    const struct task_write *t = &b->task[one];
    put_single(s, b, t->finish ? PUT_FINISH : PUT_TASK, &t->row);
    sql_str(&s->sql, " AND epoch=");
    sql_i64(&s->sql, t->expect_epoch);
    sql_str(&s->sql, " AND state=");
    sql_i64(&s->sql, t->expect_state);
    put_wished(s, t);
  }
  return rc == STORE_OK ? write_task_rows(s, b, expected == 1 ? one : SIZE_MAX) : rc;
}

static void put_new_result(struct my *s, const struct task_write *w) {
  bool room = w->new_result_len <= MY_RESULT_ROOM;
  buf_printf(&s->sql.b, ",result_len=%zu,result_room=", w->new_result_len);
  sql_blob(&s->sql, s->run.m, room ? w->new_result : "", room ? w->new_result_len : 0);
  sql_str(&s->sql, ",result_long=");
  sql_blob(&s->sql, s->run.m, room ? NULL : w->new_result, w->new_result_len);
}

/* What few rows have gets a statement of its own, so that the rows of all others are shorter. A row may have such a value
 * from before only where it is overwritten: in PAUSING and PAUSED, and when a new run begins. */
static enum store_rc write_rare(struct my *s, struct batch *b) {
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < b->n_task && rc == STORE_OK; i++) {
    const struct task_write *w = &b->task[i];
    const struct task *t = &w->row.t;
    bool clear = w->op == ROW_UPDATE && w->clear_result && !w->row.result;
    bool rare = t->phase || t->resume || t->again || task_stops(t->state) || w->expect_state >= TASK_FINAL_MIN || w->analysed;
    if (!rare && !clear && !w->new_result) continue;
    rc = run_statement(s, b, WANT_ROWS, 0, 1);
    buf_printf(&s->sql.b, "UPDATE task_ins SET phase=%u,resume=%u,again=%u%s", t->phase, t->resume, t->again,
               clear ? ",result_len=-1,result_room='',result_long=NULL" : "");
    if (w->new_result) put_new_result(s, w);
    buf_printf(&s->sql.b, " WHERE ti_id=%lld", (long long)w->row.ti);
  }
  return rc;
}

/* task_alone holds what runs outside of any flow and has not ended. */
static bool alone_changes(const struct task_write *t, bool live) {
  return !t->row.ni && live == !task_final(t->row.t.state) && live == task_begins(t);
}

static enum store_rc insert_alone(struct my *s, struct batch *b) {
  enum store_rc rc = STORE_OK;
  for (size_t i = 0, n = 0; i < b->n_task && rc == STORE_OK; n = 0)
    for (; i < b->n_task && n < MY_IN_MAX && rc == STORE_OK; i++) {
      if (!alone_changes(&b->task[i], true)) continue;
      if (n == 0) rc = run_statement(s, b, WANT_NOTHING, 0, 0);
      sql_str(&s->sql, n++ == 0 ? "INSERT INTO task_alone(ti_id,task_id)VALUES(" : ",(");
      sql_i64(&s->sql, b->task[i].row.ti), sql_ch(&s->sql, ',');
      sql_i64(&s->sql, b->task[i].row.task_id), sql_ch(&s->sql, ')');
    }
  return rc;
}

static enum store_rc delete_alone(struct my *s, struct batch *b) {
  int64_t id[MY_IN_MAX];
  for (size_t i = 0, n = 0; i < b->n_task; n = 0) {
    for (; i < b->n_task && n < MY_IN_MAX; i++)
      if (alone_changes(&b->task[i], false)) id[n++] = b->task[i].row.ti;
    enum store_rc rc = n ? run_statement(s, b, WANT_NOTHING, 0, 0) : STORE_OK;
    if (rc) return rc;
    if (n) sql_str(&s->sql, "DELETE FROM task_alone WHERE ti_id IN("), sql_ids(&s->sql, id, n), sql_ch(&s->sql, ')');
  }
  return STORE_OK;
}

static void put_attempt(struct my *s, const struct attempt_row *r) {
  struct sql *q = &s->sql;
  sql_ch(q, '(');
  sql_i64(q, r->ti), sql_ch(q, ',');
  sql_i64(q, r->epoch), sql_ch(q, ',');
  sql_i64(q, r->owner), sql_ch(q, ',');
  sql_us(q, r->start_us), sql_ch(q, ',');
  sql_us(q, r->end_us), sql_ch(q, ',');
  sql_text(q, s->run.m, r->why ? r->why : ""), sql_ch(q, ',');
  sql_text(q, s->run.m, r->error), sql_ch(q, ',');
  if (r->exit_code < 0) sql_str(q, "NULL");
  else sql_i64(q, r->exit_code);
  sql_ch(q, ','), sql_i64_0(q, r->signal);
  sql_ch(q, ','), sql_i64(q, r->run_no ? r->run_no : 1);
  sql_ch(q, ')');
}

static enum store_rc write_attempts(struct my *s, struct batch *b) {
  for (size_t i = 0; i < b->n_attempt;) {
    size_t n = b->n_attempt - i < PUT_ROWS ? b->n_attempt - i : PUT_ROWS;
    enum store_rc rc = run_statement(s, b, WANT_ROWS, 0, n);
    if (rc) return rc;
    sql_str(&s->sql, "INSERT INTO task_attempt(ti_id,epoch,owner,start_time,end_time,why,error_msg,exit_code,`signal`,run_no)"
            "VALUES");
    for (size_t k = 0; k < n; k++, i++) {
      sql_sep(&s->sql, k, ",");
      put_attempt(s, &b->attempt[i]);
    }
    sql_str(&s->sql, "ON DUPLICATE KEY UPDATE ti_id=VALUES(ti_id)"); /* counts as a row that was found */
  }
  return STORE_OK;
}

static enum store_rc write_said(struct my *s, struct batch *b) {
  for (size_t i = 0; i < b->n_said; i++) {
    const struct attempt_said *a = &b->said[i];
    enum store_rc rc = run_statement(s, b, WANT_NOTHING, 0, 0);
    if (rc) return rc;
    buf_printf(&s->sql.b, "UPDATE task_attempt SET verdict=%d", (int)a->said);
    if (a->message) sql_str(&s->sql, ",error_msg="), sql_text(&s->sql, s->run.m, a->message);
    buf_printf(&s->sql.b, " WHERE ti_id=%lld AND epoch=%lu", (long long)a->ti, (unsigned long)a->epoch);
  }
  return STORE_OK;
}

/* Locks the lease against a reclaimer, renews it, and is the receipt. */
static enum store_rc write_fence(struct my *s, struct batch *b) {
  enum store_rc rc = run_statement(s, b, WANT_FENCE, 0, 1);
  if (rc) return rc;
  buf_printf(&s->sql.b, "UPDATE engine_node SET last_batch=%lld,lease_until=UTC_TIMESTAMP(6)+INTERVAL %lld MICROSECOND "
             "WHERE incarnation=%lld AND state='LIVE' AND(SELECT version FROM definitions WHERE one=1)=%lld",
             (long long)b->id, (long long)s->lease_us, (long long)s->me, (long long)s->defs);
  return flush(s, b);
}

static enum store_rc write_all(struct my *s, struct batch *b) {
  enum store_rc rc = write_flows(s, b);
  if (rc == STORE_OK) rc = write_nodes(s, b);
  if (rc == STORE_OK) rc = write_tasks(s, b);
  if (rc == STORE_OK) rc = write_rare(s, b);
  if (rc == STORE_OK) rc = insert_alone(s, b);
  if (rc == STORE_OK) rc = delete_alone(s, b);
  if (rc == STORE_OK) rc = write_attempts(s, b);
  if (rc == STORE_OK) rc = write_said(s, b);
  if (rc == STORE_OK) rc = write_gone(s, b);
  if (rc == STORE_OK) rc = write_async(s, b);
  if (rc == STORE_OK) rc = write_trees(s, b);
  if (rc == STORE_OK) rc = write_whose(s, b);
  if (rc == STORE_OK) rc = write_rates(s, b);
  if (rc == STORE_OK) rc = write_notes(s, b);
  return rc == STORE_OK ? write_fence(s, b) : rc;
}

/* After the first wait for a lock in vain the same batch is made again, and then asks which rows are held (mysql_held.c). */
static enum store_rc waited(struct my *s, enum store_rc rc, bool wary) {
  if (rc != STORE_RETRY || s->run.err != ER_LOCK_WAIT_TIMEOUT) return rc;
  my_wary(s);
  return wary ? rc : STORE_STALE;
}

enum store_rc my_write(struct store *st, struct batch *b) {
  struct my *s = my_of(st);
  enum store_rc rc = STORE_OK;
  bool wary = my_is_wary(s);
  int64_t defs;
  if (s->in_tx && !s->run.m) return my_run_fail(s, CR_SERVER_LOST);
  if (!s->in_tx && !s->defs_known && (rc = my_begin(st, &defs)) != STORE_OK) return rc; /* without begin: as of now */
  sql_clear(&s->sql);
  s->n_want = 0;
  s->run.err = 0;
  if (wary) rc = my_ask_held(s, b);
  if (rc == STORE_OK) rc = waited(s, write_all(s, b), wary);
  s->base.lost_streak = rc == STORE_RETRY && !s->run.m ? s->base.lost_streak + 1 : 0;
  return rc;
}

/* Any answer but a plain OK leaves the outcome open: the server may have committed all the same. */
enum store_rc my_commit(struct store *st) {
  struct my *s = my_of(st);
  wr_assert(s->in_tx);
  unsigned e = my_exec(&s->run, "COMMIT");
  tx_end(s);
  if (!e) return STORE_OK;
  (void)my_told(s, e);
  run_close(s);
  return STORE_UNKNOWN;
}

/* The fence of the batch holds the row until its transaction has ended, one way or the other: this read waits for it. */
enum store_rc my_resolve(struct store *st, int64_t batch_id, bool *committed) {
  struct my *s = my_of(st);
  char text[128];
  int64_t last = 0;
  bool found;
  *committed = false;
  if (!s->run.m) run_close(s);
  unsigned e = my_conn_ready(&s->run);
  if (e) return (void)my_told(s, e), STORE_RETRY;
  snprintf(text, sizeof text, "SELECT last_batch FROM engine_node WHERE incarnation=%lld FOR UPDATE", (long long)s->me);
  e = my_query_int(&s->run, text, &last, &found);
  if (e) {
    (void)my_told(s, e);
    if (!s->run.m) run_close(s);
    return STORE_RETRY;
  }
  *committed = found && last == batch_id;
  return STORE_OK;
}
