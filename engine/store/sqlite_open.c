/* Opening and closing a SQLite store: the ids, the connections. One thread, before any other uses the store
 * and after all have stopped. */
#include "cond.h"
#include "migrate.h"
#include "sqlite_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "text.h"

/* ---- ids ---- */
const char *const sq_id_name[ID__N] = {
  [ID_TASK] = "task", [ID_FLOW] = "flow", [ID_NODE] = "node", [ID_FI] = "fi", [ID_NI] = "ni", [ID_TI] = "ti",
  [ID_INCARNATION] = "incarnation", [ID_JOB] = "job",
};

static int load_counters(struct sq *s) {
  sqlite3_stmt *st = NULL;
  int rc = sqlite3_prepare_v2(s->run.db, "SELECT kind, next FROM id_block", -1, &st, NULL);
  while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
    for (int k = 0; k < ID__N; k++)
      if (sq_col_text(st, 0) && !strcmp(sq_id_name[k], sq_col_text(st, 0))) s->next_id[k] = s->saved_id[k] = sq_col(st, 1);
    rc = SQLITE_OK;
  }
  sqlite3_finalize(st);
  if (rc == SQLITE_DONE) s->defs = sq_number(&s->run, "SELECT version FROM definitions", &rc);
  if (rc == SQLITE_OK) s->queues = sq_number(&s->run, "SELECT queues_version FROM definitions", &rc);
  for (int k = 0; k < ID__N && rc == SQLITE_OK; k++)
    if (s->next_id[k] < 1) rc = SQLITE_CORRUPT;
  return rc;
}

static int load_id(struct sq *s) {
  sqlite3_stmt *st = NULL;
  int rc = sqlite3_prepare_v2(s->run.db, "SELECT store_id FROM installation", -1, &st, NULL);
  if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
    snprintf(s->base.id, sizeof s->base.id, "%s", sq_col_text(st, 0)), rc = SQLITE_OK;
  sqlite3_finalize(st);
  return rc == SQLITE_DONE || (rc == SQLITE_OK && strlen(s->base.id) != STORE_ID_BYTES) ? SQLITE_CORRUPT : rc;
}

/* Each database counts its tasks from 1. So beside a new database the log of a former one would show the output of other tasks as
 * the output of ours. */
static enum wr_rc own_logs(struct sq *s, struct wr_err *err) {
  struct sq_conn c = {.db = NULL};
  char claim[48];
  int32_t ours = (int32_t)strtoul(s->base.id, NULL, 16);
  int rc = sq_conn_open(&c, s->log_path, SQ_WRITE, NULL, 0);
  int64_t whose = rc == SQLITE_OK ? sq_number(&c, "PRAGMA user_version", &rc) : 0;
  snprintf(claim, sizeof claim, "PRAGMA user_version=%d", (int)ours);
  if (rc == SQLITE_OK && whose == 0) rc = sq_exec(&c, claim);
  enum wr_rc wr = sq_start_err(&c, s->log_path, rc, err);
  sq_conn_close(&c);
  if (wr || whose == 0 || whose == ours) return wr;
  return wr_err_set(err, WR_STORE_REFUSED, "%.120s holds the output of another database's tasks. "
                    "Put back the database that it belongs to, or move it away.", s->log_path);
}

/* ---- open, close ---- */
int sq_open_run(struct sq *s) {
  sq_conn_close(&s->run);
  int rc = sq_conn_open(&s->run, s->path, SQ_WRITE, sq_run_sql, sq_run_sql_n);
  if (rc == SQLITE_OK) rc = sq_exec(&s->run, "PRAGMA cache_size=-32768");
  if (rc == SQLITE_OK) sq_ckpt_watch(s, &s->run);
  return rc;
}

int sq_open_def(struct sq *s) {
  if (s->def.db) return SQLITE_OK;
  int rc = sq_conn_open(&s->def, s->path, SQ_WRITE, sq_sql, sq_sql_n);
  if (rc == SQLITE_OK) sq_ckpt_watch(s, &s->def);
  return rc;
}

/* SQLite takes no lock for its statistics of memory, and none for a connection, because one thread uses each.
 * A connection takes memory for pages as it reads them. SQLite would take 85 KiB for each when it opens, and a node
 * that has nothing to do has five. */
static void configure(void) {
  (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
  (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
}

static struct sq *sq_new(const char *path) {
  struct sq *s = wr_new(struct sq);
  s->base.ops = &sq_ops;
  s->base.def_ops = &sq_def_ops;
  s->base.def = &s->def.base;
  s->def.base.ops = &sq_db_ops;
  s->lock_fd = s->notify_fd = s->whole.index_fd = -1;
  s->path = sq_true_path(path);
  struct buf b = BUF_INIT;
  buf_printf(&b, "%s-log", s->path);
  s->log_path = b.data;
  pthread_mutex_init(&s->turn.mu, NULL);
  pthread_cond_init(&s->turn.cond, NULL);
  turn_init(&s->def_lock);
  pthread_mutex_init(&s->ckpt.mu, NULL);
  pthread_mutex_init(&s->files_mu, NULL);
  pthread_mutex_init(&s->dropped.mu, NULL);
  pool_init(&s->readers, SQ_READERS);
  cond_mono(&s->ckpt.cond);
  arena_init(&s->texts, 0);
  return s;
}

static enum wr_rc open_all(struct sq *s, const struct migrate_watch *w, struct wr_err *err) {
  enum wr_rc wr = sq_take_lock(s, err);
  if (!wr) wr = sq_migrate_files(s, w, err);
  if (wr) return wr;
  s->run.told = s->base.why;
  int rc = sq_open_run(s);
  if (rc == SQLITE_OK) rc = load_counters(s);
  if (rc == SQLITE_OK) rc = load_id(s);
  if (rc != SQLITE_OK) return sq_start_err(&s->run, s->path, rc, err);
  wr = own_logs(s, err);
  if (!wr) wr = sq_files_know(s, err);
  return wr ? wr : sq_ckpt_start(s, err);
}

/* NULL: err is set. */
static struct sq *sq_make(const struct store_opts *o, const char *path, struct wr_err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, configure);
  if (!*path || *path == ':') (void)wr_err_set(err, WR_BAD_REQUEST, "sqlite: needs the path of a file.");
  struct sq *s = *path && *path != ':' ? sq_new(path) : NULL;
  if (s) s->home = wr_strdup(o->home);
  return s;
}

enum wr_rc sqlite_store_migrate(const struct store_opts *o, const char *path, const struct migrate_watch *w, struct wr_err *err) {
  struct sq *s = sq_make(o, path, err);
  if (!s) return WR_BAD_REQUEST;
  bool look = w->how == MIGRATE_LOOK;
  enum wr_rc rc = sq_look_at_schema(s->path, look ? w : &(struct migrate_watch){.how = MIGRATE_LOOK}, look, err);
  if (!rc && w->how == MIGRATE_APPLY) rc = sq_take_lock(s, err);
  if (!rc && w->how == MIGRATE_APPLY) rc = sq_migrate_files(s, w, err);
  sq_close(&s->base);
  return rc;
}

enum wr_rc sqlite_store_open(const struct store_opts *o, const char *path, struct store **out, struct wr_err *err) {
  *out = NULL;
  struct sq *s = sq_make(o, path, err);
  if (!s) return WR_BAD_REQUEST;
  s->request_us = o->request_us > 0 ? o->request_us : 10000000;
  s->look_us = o->lease_us > 0 && o->lease_us < 60000000 ? o->lease_us / 6 : 10000000;
  s->gone = o->gone;
  s->gone_ctx = o->gone_ctx;
  const struct migrate_watch w = {.how = MIGRATE_APPLY, .stopping = o->stopping, .stopping_ctx = o->stopping_ctx};
  enum wr_rc rc = open_all(s, &w, err);
  if (rc) sq_close(&s->base);
  else *out = &s->base;
  return rc;
}

/* The last connection of a file that may write moves the WAL into it and removes it. The connection of the logs is closed before
 * those of the readers, which may not write, so one more is opened here. */
static void fold_logs(struct sq *s) {
  struct sq_conn c = {.db = NULL};
  if (!s->run.db || atomic_load(&s->files_gone)) return; /* not ours, or not what we knew */
  if (sq_conn_open(&c, s->log_path, SQ_WRITE, NULL, 0) == SQLITE_OK) sq_conn_close(&c); /* if not: the next start does it */
}

void sq_close(struct store *st) {
  struct sq *s = sq_of(st);
  if (s->in_tx) sq_rollback(st);
  sq_ckpt_stop(s);
  sq_readers_close(s);
  fold_logs(s);
  sq_conn_close(&s->def);
  sq_conn_close(&s->run); /* the last one: SQLite moves the whole WAL and removes it */
  sq_whole_end(s);
  if (s->lock_fd >= 0) close(s->lock_fd);
  if (s->notify_fd >= 0) close(s->notify_fd);
  arena_done(&s->texts);
  free(s->tasks.v);
  free(s->flows.v);
  pthread_mutex_destroy(&s->turn.mu);
  pthread_cond_destroy(&s->turn.cond);
  turn_done(&s->def_lock);
  pthread_mutex_destroy(&s->ckpt.mu);
  pthread_cond_destroy(&s->ckpt.cond);
  pthread_mutex_destroy(&s->files_mu);
  pthread_mutex_destroy(&s->dropped.mu);
  free(s->dropped.v);
  pool_done(&s->readers);
  free(s->path);
  free(s->log_path);
  free(s->home);
  free(s);
}
