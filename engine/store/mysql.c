/* MySQL and MariaDB: opening a store, its ids, and the table of operations. Opening and closing happen while
 * no other thread uses the store; ids come under ids_mu.
 *
 * What never happens: work on a server that may forget a commit (unless durability=relaxed); an id given twice. */
#include "migrate.h"
#include "mysql_priv.h"
#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "text.h"

#define LEASE_US (60 * 1000000LL)
#define REQUEST_US (10 * 1000000LL)
#define AGAIN_US 1000000 /* a try that failed later than this is not repeated at once */
#define ID_BLOCK_MIN 1000u
#define ID_BLOCK_MAX 100000u

static enum wr_rc check_version(struct my *s, struct wr_err *err) {
  unsigned long v = mysql_get_server_version(s->run.m);
  bool old = mariadb_connection(s->run.m) ? v < 100600 : v < 80000;
  return old ? wr_err_set(err, WR_STORE_REFUSED, "The database server is too old: MariaDB 10.6 or MySQL 8.0 is needed.") : WR_OK;
}

/* At the start the server's own words are shown, because their reader has to set the server right. */
enum wr_rc my_open_err(const struct my_conn *c, unsigned e, struct wr_err *err) {
  enum wr_rc rc = my_err(e, err);
  bool refused = rc == WR_INTERNAL || rc == WR_TOO_LARGE || (rc == WR_DB_UNAVAILABLE && my_rc(e) == STORE_DOWN);
  return rc == WR_OK || rc == WR_NO_SPACE ? rc : wr_err_set(err, refused ? WR_STORE_REFUSED : rc, "%s", c->why);
}

/* ---- schema ---- */
static unsigned one_int(struct my *s, const char *sql, int64_t *v) {
  bool found;
  *v = 0;
  return my_query_int(&s->run, sql, v, &found);
}

static enum wr_rc check_tables(struct my *s, struct wr_err *err) {
  int64_t n = 0, rows = 0;
  unsigned e = one_int(s, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema=DATABASE() AND engine='InnoDB' "
                          "AND table_name IN " MY_TABLES, &n);
  if (!e) e = one_int(s, "SELECT (SELECT COUNT(*) FROM id_block)+(SELECT COUNT(*) FROM definitions)", &rows);
  if (e) return my_open_err(&s->run, e, err);
  if (n != MY_N_TABLES) return wr_err_set(err, WR_STORE_REFUSED, "Tables of the schema are missing or not InnoDB.");
  if (rows != ID__N + 1) return wr_err_set(err, WR_STORE_REFUSED, "Rows of the schema are missing: id_block or definitions.");
  return WR_OK;
}

static enum wr_rc load_id(struct my *s, struct wr_err *err) {
  struct cursor r;
  unsigned e = my_select(&s->run, &r, "SELECT store_id FROM installation", NULL, 0);
  if (e) return my_open_err(&s->run, e, err);
  if (my_next(&r) && r.cell[0].n == STORE_ID_BYTES) memcpy(s->base.id, r.cell[0].s, STORE_ID_BYTES);
  e = my_done(&r);
  if (e) return my_open_err(&s->run, e, err);
  return s->base.id[0] ? WR_OK : wr_err_set(err, WR_STORE_REFUSED, "Rows of the schema are missing: installation.");
}

/* ---- ids ---- */
static const char *const id_name[ID__N] = {
  [ID_TASK] = "task", [ID_FLOW] = "flow", [ID_NODE] = "node", [ID_FI] = "fi", [ID_NI] = "ni", [ID_TI] = "ti",
  [ID_INCARNATION] = "incarnation", [ID_JOB] = "job"};

/* n ids from the table. To ask again after a lost answer only wastes ids. It is not done for long, because a request may wait. */
static unsigned ids_take(struct my *s, enum id_kind kind, uint32_t n, int64_t *first) {
  char text[128];
  int len = snprintf(text, sizeof text, "UPDATE id_block SET `next`=LAST_INSERT_ID(`next`)+%u WHERE kind='%s'", n, id_name[kind]);
  unsigned e = 0;
  int64_t start = clock_mono_us();
  for (int i = 0; i < 3 && clock_mono_us() - start < AGAIN_US; i++) {
    e = my_conn_ready(&s->side);
    if (!e) e = my_query(&s->side, text, (size_t)len);
    if (!e || my_rc(e) != STORE_RETRY) break;
  }
  if (!e) *first = (int64_t)mysql_insert_id(s->side.m);
  return e;
}

static unsigned take_ids(struct my *s, enum id_kind kind, uint32_t n, int64_t *first) {
  struct my_ids *b = &s->id[kind];
  bool block = kind == ID_FI || kind == ID_NI || kind == ID_TI || kind == ID_JOB;
  if (b->end - b->next >= n) {
    *first = b->next;
    b->next += n;
    return 0;
  }
  uint32_t size = b->block ? b->block : ID_BLOCK_MIN;
  if (!block || n >= size) return ids_take(s, kind, n, first);
  unsigned e = ids_take(s, kind, size, first);
  if (e) return e;
  *b = (struct my_ids){*first + n, *first + size, size < ID_BLOCK_MAX / 2 ? size * 2 : ID_BLOCK_MAX};
  return 0;
}

static enum store_rc ids(struct my *s, enum id_kind kind, uint32_t n, int64_t *first, char *why) {
  pthread_mutex_lock(&s->ids_mu);
  unsigned e = take_ids(s, kind, n, first);
  if (e) memcpy(why, s->side.why, sizeof s->side.why);
  pthread_mutex_unlock(&s->ids_mu);
  if (e) return my_rc(e) == STORE_RETRY ? STORE_DOWN : my_rc(e);
  if (*first <= WR_ID_MAX - (int64_t)n) return STORE_OK;
  snprintf(why, sizeof s->base.why, STORE_NO_IDS, id_name[kind]);
  return STORE_BAD;
}

enum store_rc my_ids(struct store *st, enum id_kind kind, uint32_t n, int64_t *first) {
  return ids(my_of(st), kind, n, first, st->why);
}

enum wr_rc my_def_ids(struct store *st, enum id_kind kind, uint32_t n, int64_t *first, struct wr_err *err) {
  char why[sizeof st->why];
  switch (ids(my_of(st), kind, n, first, why)) {
    case STORE_OK: return WR_OK;
    case STORE_NO_SPACE: return wr_err_set(err, WR_NO_SPACE, NULL);
    case STORE_BAD: return wr_err_set(err, WR_INTERNAL, NULL);
    case STORE_RETRY: case STORE_STALE: case STORE_UNKNOWN: case STORE_FENCED: case STORE_DOWN:
    default: return wr_err_set(err, WR_DB_UNAVAILABLE, NULL);
  }
}

/* A clean stop gives back the unused ids if nobody took ids since, so that ids stay dense on one machine. */
static void give_back(struct my *s) {
  for (int k = 0; k < ID__N; k++) {
    struct my_ids *b = &s->id[k];
    if (b->next == b->end || my_conn_ready(&s->side)) continue;
    (void)my_run(&s->side, NULL, "UPDATE id_block SET `next`=? WHERE kind=? AND `next`=?",
                 ARGS(arg_i(b->next), arg_text(id_name[k]), arg_i(b->end))); /* a gap is harmless */
  }
}

/* ---- open and close ---- */
static void my_close(struct store *st) {
  struct my *s = my_of(st);
  give_back(s);
  my_readers_close(s);
  my_conn_close(&s->run);
  my_conn_close(&s->side);
  my_conn_close(&s->def);
  pthread_mutex_destroy(&s->ids_mu);
  turn_done(&s->def_mu);
  pool_done(&s->readers);
  sql_done(&s->sql);
  sql_done(&s->def_sql);
  arena_done(&s->texts);
  sweep_done(&s->live);
  free(s->want);
  my_url_done(&s->url);
  free(s);
}

static bool my_single(const struct store *st) {
  (void)st;
  return false;
}

static const struct store_ops my_ops = {
  .abi = STORE_ABI, .size = sizeof(struct store_ops), .close = my_close, .single = my_single, .ids = my_ids, .join = my_join,
  .leave = my_leave, .begin = my_begin, .lock = my_lock, .nodes = my_nodes, .node_range = my_node_range, .tasks = my_tasks,
  .task_range = my_task_range, .write = my_write, .commit = my_commit, .rollback = my_rollback, .resolve = my_resolve,
  .renew = my_renew, .tell = my_tell, .wish = my_wish, .reap = my_reap, .live_tasks = my_live_tasks, .live_flows = my_live_flows,
  .reconciler = my_reconciler, .asker = my_asker, .pulse = my_pulse,
  .save_task = sql_save_task, .save_flow = my_save_flow, .delete_task = sql_delete_task, .delete_flow = sql_delete_flow,
  .reader_get = my_reader_get, .reader_put = my_reader_put,
  .reader_task = sql_reader_task, .reader_flow = sql_reader_flow, .reader_tasks = sql_reader_tasks,
  .reader_heads = sql_reader_heads, .ins_page = my_ins_page, .logs_open = my_logs_open, .logs_close = my_logs_close,
  .logs_write = my_logs_write, .logs_put_contexts = my_logs_put_contexts, .logs_put_progress = my_logs_put_progress,
  .logs_drop = my_logs_drop, .whose = my_whose, .async = my_async, .async_keys = my_async_keys,
  .job_lock = my_job_lock, .job_find = my_job_find, .job_tasks = my_job_tasks, .job_keys = my_job_keys, .live_jobs = my_live_jobs,
  .tree = my_tree, .children = my_children,
  .queues = my_queues, .queue_lock = my_queue_lock, .running = my_running, .counted = my_counted,
  .keys = my_keys, .claim_token = my_claim_token,
};

/* A wrong setting is refused (exit 4). Every other cause may pass: not available (exit 5). */
static enum wr_rc cannot_connect(const struct my *s, unsigned e, struct wr_err *err) {
  return wr_err_set(err, e == MY_SETTING ? WR_STORE_REFUSED : WR_DB_UNAVAILABLE, "%s", s->run.why);
}

static void library_init(void) { (void)mysql_library_init(0, NULL, NULL); } /* fails only without memory; connecting then tells */

static struct my *my_new(const struct store_opts *o, const struct my_url *url) {
  struct my *s = wr_new(struct my);
  s->base.ops = &my_ops;
  s->base.def_ops = &my_def_ops;
  s->base.def = &s->def.base;
  s->url = *url;
  s->lease_us = o->lease_us > 0 ? o->lease_us : LEASE_US;
  s->request_us = o->request_us > 0 ? o->request_us : REQUEST_US;
  s->relaxed = o->relaxed;
  my_conn_init(&s->run, s, MY_RUN);
  my_conn_init(&s->side, s, MY_SIDE);
  my_conn_init(&s->def, s, MY_DEF);
  arena_init(&s->texts, 0);
  pthread_mutex_init(&s->ids_mu, NULL);
  turn_init(&s->def_mu);
  pool_init(&s->readers, MY_READERS);
  return s;
}

static enum wr_rc bring_schema(struct my *s, const struct migrate_watch *w, struct wr_err *err) {
  unsigned e = my_conn_ready(&s->run);
  enum wr_rc rc = e ? cannot_connect(s, e, err) : check_version(s, err);
  return rc ? rc : my_migrate_up(s, w, err);
}

static enum wr_rc set_up(struct my *s, const struct migrate_watch *w, struct wr_err *err) {
  enum wr_rc rc = bring_schema(s, w, err);
  if (rc == WR_OK) rc = check_tables(s, err);
  if (rc == WR_OK) rc = load_id(s, err);
  return rc;
}

bool my_again(unsigned e, int64_t until_us) {
  bool away = e == CR_CONNECTION_ERROR || e == CR_CONN_HOST_ERROR || e == CR_UNKNOWN_HOST;
  if (my_rc(e) != STORE_RETRY || away || clock_mono_us() >= until_us) return false;
  nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
  return true;
}

/* Not connected yet. */
static enum wr_rc my_make(const struct store_opts *o, const char *text, struct my **out, struct wr_err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  struct my_url url;
  enum wr_rc rc = my_url_parse(text, &url, err);
  if (rc) return rc;
  pthread_once(&once, library_init);
  *out = my_new(o, &url);
  return WR_OK;
}

enum wr_rc mysql_store_migrate(const struct store_opts *o, const char *url, const struct migrate_watch *w, struct wr_err *err) {
  struct my *s;
  enum wr_rc rc = my_make(o, url, &s, err);
  if (rc) return rc;
  rc = bring_schema(s, w, err);
  my_close(&s->base);
  return rc;
}

enum wr_rc mysql_store_open(const struct store_opts *o, const char *rest, struct store **out, struct wr_err *err) {
  struct my *s;
  *out = NULL;
  enum wr_rc rc = my_make(o, rest, &s, err);
  if (rc) return rc;
  const struct migrate_watch w = {.how = MIGRATE_APPLY, .stopping = o->stopping, .stopping_ctx = o->stopping_ctx};
  for (int64_t until = clock_mono_us() + MY_START_US;;) {
    rc = set_up(s, &w, err);
    if (rc != WR_DB_UNAVAILABLE || (o->stopping && o->stopping(o->stopping_ctx)) || !my_again(s->run.err, until)) break;
    my_conn_close(&s->run);
  }
  if (rc == WR_OK) *out = &s->base;
  else my_close(&s->base);
  return rc;
}
