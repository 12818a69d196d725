/* Membership: this node's row, its lease, the leases of others, and what a reconciler looks at. The runner's thread and
 * connection, outside of batches. The database's clock is the only one that decides. */
#include "migrate.h"
#include "mysql_run.h"
#include <mysqld_error.h>
#include "clock.h"
#include "log.h"
#include "wr_limits.h"

#define FORGET_US 3600000000LL   /* a node that lives long looks this often for rows to be forgotten */

static enum store_rc down(struct my *s, unsigned e) {
  enum store_rc rc = my_told(s, e);
  return rc == STORE_RETRY ? STORE_DOWN : rc;
}

/* A connection without a transaction. */
static unsigned ready(struct my *s) {
  wr_assert(!s->in_tx);
  uint32_t before = s->run.opened;
  unsigned e = my_conn_ready(&s->run);
  if (s->run.opened != before) s->reconciles = s->defs_known = false; /* named locks go with the connection */
  return e;
}

/* Every former holder of this home is dead. Their rows are marked by primary key, one transaction each. While the server still
 * rolls back the last batch of a dead node, that node's row stays locked: then its lease ends it. */
static unsigned bury_former(struct my *s, const struct node_info *info) {
  int64_t dead[8];
  size_t n = 0;
  struct cursor r;
  if (!info->home || !*info->home) return 0;
  unsigned e = my_select(&s->run, &r, "SELECT incarnation FROM engine_node WHERE state='LIVE' AND home=? AND host=? LIMIT 8",
                         ARGS(arg_text(info->home), arg_text(info->host ? info->host : "")));
  while (!e && n < 8 && my_next(&r)) dead[n++] = cell_i64(&r.cell[0]);
  if (!e) e = my_done(&r);
  for (size_t i = 0; i < n && !e; i++) {
    e = my_run(&s->run, NULL, "UPDATE engine_node SET state='DEAD', end_time=UTC_TIMESTAMP(6) "
               "WHERE incarnation=? AND state='LIVE'", ARGS(arg_i(dead[i])));
    if (e == ER_LOCK_WAIT_TIMEOUT) e = 0;
  }
  return e;
}

/* What time it is at the server, and when we asked. */
static unsigned read_clock(struct my *s) {
  int64_t us, before = clock_boot_us();
  bool found;
  unsigned e = my_query_int(&s->run, "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))", &us, &found);
  if (!e && found) shared_clock_read(&s->base.clock, us, before, clock_boot_us());
  return e;
}

static struct arg text_or_empty(const char *s) { return arg_text(s ? s : ""); }

/* One statement, so that a migration which shuts this program out either sees the row or is seen: shut_out() in mysql_migrate.c.
 * *n 0: it is shut out. */
static unsigned insert_member(struct my *s, const struct node_info *info, int64_t me, uint64_t *n) {
  return my_run(&s->run, n, "INSERT INTO engine_node (incarnation, state, lease_until, host, home, pid, slots, roles, types, "
                "users, trouble, schema_no, lease_us, labels, version, drain_at, drain_stop, start_time) "
                "SELECT ?1, 'LIVE', UTC_TIMESTAMP(6) + INTERVAL ?2 MICROSECOND, ?3, ?4, ?5, ?6, ?7, ?8, ?9, '', ?10, ?2, ?11, "
                "?12, ?13, ?14, UTC_TIMESTAMP(6) "
                "FROM schema_version WHERE version=(SELECT MAX(version) FROM schema_version) AND IFNULL(oldest, version)<=?10 "
                "LOCK IN SHARE MODE",
                ARGS(arg_i(me), arg_i(s->lease_us), text_or_empty(info->host), text_or_empty(info->home), arg_i(info->pid),
                     arg_i(info->slots), text_or_empty(info->roles), text_or_empty(info->types), text_or_empty(info->users),
                     arg_i(schema_newest(&schema_mysql)), text_or_empty(info->labels), text_or_empty(info->version),
                     arg_us(info->drain_at_us), arg_us(info->drain_stop_us)));
}

/* Rows of members that ended long ago. */
static unsigned forget_old(struct my *s) {
  return my_run(&s->run, NULL, "DELETE FROM engine_node WHERE state<>'LIVE' AND end_time < UTC_TIMESTAMP(6) - INTERVAL ?1 SECOND",
                ARGS(arg_i(LIMIT_MEMBER_AGE_US / 1000000)));
}

static enum store_rc shut_out(struct my *s) {
  snprintf(s->base.why, sizeof s->base.why, "a newer weir has changed the database, or is changing it. "
           "This weir (schema %lld) may not use it any more: start a newer weir.", (long long)schema_newest(&schema_mysql));
  return STORE_DOWN;
}

static enum store_rc join(struct my *s, const struct node_info *info, int64_t *incarnation, unsigned *why) {
  int64_t me;
  uint64_t joined = 0;
  enum store_rc rc = my_ids(&s->base, ID_INCARNATION, 1, &me);
  *why = rc && !s->me ? s->side.err : 0; /* at the start nobody else uses it */
  if (rc) return rc;
  unsigned e = ready(s);
  if (!e) e = forget_old(s);
  if (!e) e = my_run(&s->run, NULL, "DELETE FROM engine_node WHERE incarnation<? AND state<>'LIVE'",
                     ARGS(arg_i(me - LIMIT_MEMBERS)));
  if (!e) e = bury_former(s, info);
  if (!e) e = insert_member(s, info, me, &joined);
  if (!e && joined == 0) return shut_out(s);
  if (!e) e = read_clock(s); /* without the server's time the node's own would count, and a clock never goes back */
  *why = e;
  /* If the row was stored all the same, it is a member without a process until its lease ends or the next try removes it. */
  if (e) return down(s, e);
  *incarnation = s->me = me;
  return STORE_OK;
}

/* At the start a passing fault is waited out; a node that has joined before has a runner that tries again. */
enum store_rc my_join(struct store *st, const struct node_info *info, int64_t *incarnation) {
  struct my *s = my_of(st);
  unsigned why = 0;
  int64_t until = s->me ? 0 : clock_mono_us() + MY_START_US;
  enum store_rc rc = join(s, info, incarnation, &why);
  while (rc != STORE_OK && my_again(why, until)) rc = join(s, info, incarnation, &why);
  return rc;
}

enum store_rc my_leave(struct store *st) {
  struct my *s = my_of(st);
  if (!s->me) return STORE_OK;
  unsigned e = ready(s);
  if (!e)
    e = my_run(&s->run, NULL, "UPDATE engine_node SET state='GONE', end_time=UTC_TIMESTAMP(6) "
               "WHERE incarnation=? AND state='LIVE'", ARGS(arg_i(s->me)));
  if (e) return down(s, e);
  s->me = 0;
  return STORE_OK;
}

/* trouble NULL: it stays as it was. */
static enum store_rc renew(struct my *s, const char *trouble) {
  uint64_t n = 0;
  unsigned e = ready(s);
  if (e) return down(s, e);
  const struct member_figures *f = &s->base.told;
  if (trouble)
    e = my_run(&s->run, &n, "UPDATE engine_node SET lease_until=UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, trouble=?, running=?, "
               "slots_used=?, cpu_budget=?, cpu_used=?, load_percent=?, drain_seen=? WHERE incarnation=? AND state='LIVE'",
               ARGS(arg_i(s->lease_us), arg_text(trouble), arg_i(f->running), arg_i(f->slots_used), arg_i(f->cpu_budget),
                    arg_i(f->cpu_used), arg_i(f->load_percent), arg_us(f->drain_seen_us), arg_i(s->me)));
  else
    e = my_run(&s->run, &n, "UPDATE engine_node SET lease_until=UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND "
               "WHERE incarnation=? AND state='LIVE'", ARGS(arg_i(s->lease_us), arg_i(s->me)));
  if (e) return my_told(s, e);
  if (n != 1) return STORE_FENCED;
  (void)read_clock(s); /* the last reading goes on meanwhile; the next renewal asks again */
  return STORE_OK;
}

enum store_rc my_renew(struct store *st) { return renew(my_of(st), NULL); }
enum store_rc my_tell(struct store *st, const char *trouble) { return renew(my_of(st), trouble); }

enum store_rc my_wish(struct store *st, struct drain_wish *out) {
  struct my *s = my_of(st);
  struct cursor r;
  unsigned e = ready(s);
  if (e) return down(s, e);
  e = my_select(&s->run, &r, "SELECT drain_at, drain_stop FROM engine_node WHERE incarnation=?", ARGS(arg_i(s->me)));
  if (!e && my_next(&r)) *out = (struct drain_wish){cell_us(&r.cell[0]), cell_us(&r.cell[1])};
  if (!e) e = my_done(&r);
  return my_told(s, e);
}

/* One row, one transaction each; the UPDATE repeats every condition of the search. */
enum store_rc my_reap(struct store *st, uint32_t *n) {
  struct my *s = my_of(st);
  struct { int64_t me, pid; char host[64]; } dead[64];
  int64_t margin = s->lease_us / 12;
  size_t n_dead = 0;
  struct cursor r;
  *n = 0;
  unsigned e = ready(s);
  if (e) return down(s, e);
  int64_t now = clock_boot_us();
  if (now >= s->forget_us) s->forget_us = now + FORGET_US, e = forget_old(s);
  if (e) return my_told(s, e);
  e = my_select(&s->run, &r, "SELECT incarnation, pid, host FROM engine_node WHERE state='LIVE' AND incarnation<>? AND "
                "lease_until < UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND LIMIT 64", ARGS(arg_i(s->me), arg_i(margin)));
  for (; !e && n_dead < 64 && my_next(&r); n_dead++) {
    dead[n_dead].me = cell_i64(&r.cell[0]);
    dead[n_dead].pid = cell_i64(&r.cell[1]);
    snprintf(dead[n_dead].host, sizeof dead->host, "%.*s", (int)r.cell[2].n, r.cell[2].kind == CELL_NULL ? "" : r.cell[2].s);
  }
  if (!e) e = my_done(&r);
  for (size_t i = 0; i < n_dead && !e; i++) {
    uint64_t hit = 0;
    e = my_run(&s->run, &hit, "UPDATE engine_node SET state='DEAD', end_time=UTC_TIMESTAMP(6) "
               "WHERE incarnation=? AND state='LIVE' AND lease_until < UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND",
               ARGS(arg_i(dead[i].me), arg_i(margin)));
    *n += (uint32_t)hit;
    if (!e && hit)
      log_warn("node.dead", L_STR("host", dead[i].host), L_INT("pid", dead[i].pid), L_INT("incarnation", dead[i].me));
    if (e == ER_LOCK_WAIT_TIMEOUT) e = 0; /* a batch of that node is under way, so it lives */
  }
  return my_told(s, e);
}

bool my_reconciler(struct store *st) {
  struct my *s = my_of(st);
  int64_t got = 0;
  bool found;
  if (s->in_tx) return s->reconciles;
  if (ready(s)) return false;
  if (s->reconciles) return true;
  unsigned e = my_query_int(&s->run, "SELECT GET_LOCK(" MY_LOCK_NAME("reconcile") ", 0)", &got, &found);
  return s->reconciles = !e && found && got == 1;
}

bool my_asker(struct store *st, bool take) {
  static const char *const sql[2] = {
    "SELECT RELEASE_LOCK(" MY_LOCK_NAME("ask") ")",
    "SELECT GET_LOCK(" MY_LOCK_NAME("ask") ", 0)"};
  struct my *s = my_of(st);
  int64_t got = 0;
  bool found;
  return !s->in_tx && !ready(s) && !my_query_int(&s->run, sql[take], &got, &found) && found && got == 1;
}

/* A node that is not LIVE can commit nothing: its fence fails. */
enum store_rc my_pulse(struct store *st, int64_t *out) {
  struct my *s = my_of(st);
  bool found;
  unsigned e = ready(s);
  if (e) return down(s, e);
  *out = 0;
  e = my_query_int(&s->run, "SELECT SUM(CRC32(CONCAT_WS(':', incarnation, last_batch))) FROM engine_node WHERE state='LIVE'",
                   out, &found);
  return my_told(s, e);
}

/* ---- live rows: a pass notes the id ranges of live flows, then reads them page by page ---- */
#define LIVE_RANGES 100   /* in one statement */
#define LIVE_IDS 4000     /* rows that one statement looks at, most of them final, perhaps */

static unsigned find_ranges(struct my *s, struct sweep *w, const char *sql, bool flows) {
  struct cursor r;
  unsigned e = my_select(&s->run, &r, sql, NULL, 0);
  while (!e && my_next(&r)) {
    if (flows) sweep_runs(w, cell_text(&r.cell[0], NULL), cell_i64(&r.cell[1]));
    else sweep_id(w, cell_i64(&r.cell[0]));
  }
  return e ? e : my_done(&r);
}

/* Every run of every live flow. */
unsigned my_live_ranges(struct my *s, struct sweep *w) {
  w->n = 0;
  return find_ranges(s, w, "SELECT i.bases, h.n_task_ins FROM task_flow_ins i FORCE INDEX(task_flow_ins_open) "
                     "JOIN task_flow_history h ON h.flow_id=i.flow_id AND h.flow_version=i.flow_version WHERE i.opened=1", true);
}

/* And the stand-alone tasks. */
static unsigned find_tasks(struct my *s) {
  unsigned e = my_live_ranges(s, &s->live);
  if (!e) e = find_ranges(s, &s->live, "SELECT ti_id FROM task_alone", false);
  sweep_join(&s->live);
  return e;
}

/* How many of v[0 .. n) one statement looks at. *last: up to which id. */
size_t my_live_share(const struct id_range *v, size_t n, int64_t after, int64_t *last) {
  int64_t ids = 0;
  for (size_t k = 0; k < n && k < LIVE_RANGES; k++) {
    int64_t lo = v[k].lo > after ? v[k].lo : after + 1;
    *last = v[k].hi - lo < LIVE_IDS - ids ? v[k].hi : lo + (LIVE_IDS - ids) - 1;
    ids += *last - lo + 1;
    if (ids >= LIVE_IDS) return k + 1;
  }
  return n < LIVE_RANGES ? n : LIVE_RANGES;
}

/* Live rows of v[0 .. k) beyond after and up to last, n at most. */
static unsigned live_page(struct my *s, const struct id_range *v, size_t k, int64_t after, int64_t last, struct live_task *out,
                          size_t n, size_t *got) {
  struct cell c[CELLS_MAX];
  sql_clear(&s->sql);
  sql_str(&s->sql, "SELECT t.ti_id, t.fi_id, t.state, t.epoch, t.owner, t.due_at, t.update_time, "
                   "t.state NOT IN " STATES_OWNED " OR IFNULL(e.state='LIVE', 0), t.phase, t.end_as "
                   "FROM task_ins t FORCE INDEX(PRIMARY) LEFT JOIN engine_node e ON e.incarnation=t.owner WHERE (");
  for (size_t i = 0; i < k; i++)
    buf_printf(&s->sql.b, "%st.ti_id BETWEEN %lld AND %lld", i ? " OR " : "", (long long)(v[i].lo > after ? v[i].lo : after + 1),
               (long long)(v[i].hi < last ? v[i].hi : last));
  buf_printf(&s->sql.b, ") AND t.state<%d ORDER BY t.ti_id LIMIT %zu", TASK_FINAL_MIN, n);
  unsigned e = my_query(&s->run, s->sql.b.data, s->sql.b.len);
  sql_clear(&s->sql);
  MYSQL_RES *res = e ? NULL : mysql_store_result(s->run.m);
  if (!res) return e ? e : my_fail(&s->run, mysql_errno(s->run.m));
  for (MYSQL_ROW row; n && (row = mysql_fetch_row(res)); n--) {
    my_cells(res, row, c);
    out[(*got)++] = (struct live_task){.ti = cell_i64(&c[0]), .fi = cell_i64(&c[1]), .state = fit_u8(cell_i64(&c[2])),
                                       .epoch = fit_u32(cell_i64(&c[3])),
                                       .owner = task_owned(fit_u8(cell_i64(&c[2]))) ? cell_i64(&c[4]) : 0,
                                       .due_us = cell_us(&c[5]), .update_us = cell_us(&c[6]), .owner_live = cell_i64(&c[7]) != 0,
                                       .phase = fit_u8(cell_i64(&c[8])), .end_as = fit_u8(cell_i64(&c[9]))};
  }
  mysql_free_result(res);
  return 0;
}

enum store_rc my_live_tasks(struct store *st, int64_t after_ti, struct live_task *out, size_t n, size_t *n_out) {
  struct my *s = my_of(st);
  size_t got = 0;
  *n_out = 0;
  unsigned e = ready(s);
  if (e) return down(s, e);
  if (after_ti == 0 || s->live.n == 0) e = find_tasks(s);
  size_t i = sweep_find(&s->live, after_ti);
  if (!e && i < s->live.n) {
    int64_t last = after_ti;
    size_t k = my_live_share(s->live.v + i, s->live.n - i, after_ti, &last);
    e = live_page(s, s->live.v + i, k, after_ti, last, out, n, &got);
    if (!e && got == 0 && last < s->live.v[s->live.n - 1].hi)
      out[got++] = (struct live_task){.ti = last, .state = TASK_NONE, .owner_live = true};
    else if (!e && got > 0 && got < n && last == s->live.v[s->live.n - 1].hi) sweep_cut(&s->live, out[got - 1].ti);
  }
  if (e || got == 0) sweep_done(&s->live);
  if (!e) *n_out = got;
  return my_told(s, e);
}

enum store_rc my_live_flows(struct store *st, int64_t after_fi, struct live_flow *out, size_t n, size_t *n_out) {
  struct my *s = my_of(st);
  struct cursor r;
  size_t got = 0;
  *n_out = 0;
  unsigned e = ready(s);
  if (e) return down(s, e);
  if (after_fi == 0) s->flows_end = 0;
  else if (after_fi == s->flows_end) return STORE_OK;
  e = my_select(&s->run, &r, "SELECT fi_id, state, due_at, update_time, more_from IS NOT NULL FROM task_flow_ins "
                "FORCE INDEX(task_flow_ins_open) WHERE opened=1 AND fi_id>? ORDER BY fi_id LIMIT ?",
                ARGS(arg_i(after_fi), arg_i((int64_t)n)));
  for (; !e && got < n && my_next(&r); got++)
    out[got] = (struct live_flow){.fi = cell_i64(&r.cell[0]), .state = fit_u8(cell_i64(&r.cell[1])),
                                  .due_us = cell_us(&r.cell[2]), .update_us = cell_us(&r.cell[3]),
                                  .more = cell_i64(&r.cell[4]) != 0};
  if (!e) e = my_done(&r);
  if (!e && got > 0 && got < n) s->flows_end = out[got - 1].fi;
  if (!e) *n_out = got;
  return my_told(s, e);
}

enum store_rc my_live_jobs(struct store *st, int64_t after_id, int64_t *id, size_t n, size_t *n_out) {
  struct my *s = my_of(st);
  struct cursor r;
  size_t got = 0;
  *n_out = 0;
  unsigned e = ready(s);
  if (e) return down(s, e);
  e = my_select(&s->run, &r, "SELECT job_id FROM job WHERE pass_at IS NOT NULL AND job_id>? ORDER BY job_id LIMIT ?",
                ARGS(arg_i(after_id), arg_i((int64_t)n)));
  while (!e && got < n && my_next(&r)) id[got++] = cell_i64(&r.cell[0]);
  if (!e) e = my_done(&r);
  if (!e) *n_out = got;
  return my_told(s, e);
}
