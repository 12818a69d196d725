/* The checkpoint thread: moves committed pages from the WAL into the database, so that no commit ever pays for it.
 *
 * It sleeps on a condition until a commit (any thread, through SQLite's WAL hook) says that CKPT_PAGES more are there;
 * an idle server never wakes it. It runs beside the writer (PASSIVE), so under steady load the WAL is never moved to its
 * very end; when it has grown beyond WAL_PAGES_MAX the thread takes one turn and moves the rest, and the next writer
 * starts the file from its beginning again. */
#include "sqlite_priv.h"
#include "log.h"

enum { CKPT_PAGES = 4000, WAL_PAGES_MAX = 16384 }; /* of 4 KiB: 16 MiB, 64 MiB */

static int committed(void *ctx, sqlite3 *db, const char *name, int pages) {
  struct sq_ckpt *k = ctx;
  (void)db, (void)name;
  pthread_mutex_lock(&k->mu);
  if (pages < k->mark) k->mark = 0; /* the file began anew */
  k->pages = pages;
  if (pages - k->mark >= CKPT_PAGES) pthread_cond_signal(&k->cond);
  pthread_mutex_unlock(&k->mu);
  return SQLITE_OK;
}

void sq_ckpt_watch(struct sq *s, struct sq_conn *c) { sqlite3_wal_hook(c->db, committed, &s->ckpt); }

static void pass(struct sq *s) {
  int pages = 0, done = 0;
  sqlite3 *db = s->ckpt.conn.db;
  int rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
  if (rc == SQLITE_OK && pages > WAL_PAGES_MAX && done < pages) {
    sq_turn_lock(&s->turn);
    rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    sq_turn_unlock(&s->turn);
  }
  if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
    log_warn("store.checkpoint", L_INT("code", rc), L_STR("message", sqlite3_errmsg(db)));
}

static void *ckpt_main(void *arg) {
  struct sq *s = arg;
  struct sq_ckpt *k = &s->ckpt;
  pthread_mutex_lock(&k->mu);
  for (;;) {
    while (!k->stop && k->pages - k->mark < CKPT_PAGES) pthread_cond_wait(&k->cond, &k->mu);
    if (k->stop) break;
    k->mark = k->pages; /* whatever comes of this pass, the next one waits for new pages */
    pthread_mutex_unlock(&k->mu);
    pass(s);
    pthread_mutex_lock(&k->mu);
  }
  pthread_mutex_unlock(&k->mu);
  return NULL;
}

enum wr_rc sq_ckpt_start(struct sq *s, struct wr_err *err) {
  struct sq_ckpt *k = &s->ckpt;
  int rc = sq_conn_open(&k->conn, s->path, SQ_WRITE, NULL, 0);
  if (rc != SQLITE_OK) return sq_err(&k->conn, rc, err);
  if (pthread_create(&k->thread, NULL, ckpt_main, s) != 0) {
    sq_conn_close(&k->conn);
    return wr_err_set(err, WR_DB_UNAVAILABLE, "The checkpoint thread cannot be started.");
  }
  k->started = true;
  return WR_OK;
}

void sq_ckpt_stop(struct sq *s) {
  struct sq_ckpt *k = &s->ckpt;
  if (!k->started) return;
  pthread_mutex_lock(&k->mu);
  k->stop = true;
  pthread_cond_signal(&k->cond);
  pthread_mutex_unlock(&k->mu);
  pthread_join(k->thread, NULL);
  k->started = false;
  sq_conn_close(&k->conn);
}
