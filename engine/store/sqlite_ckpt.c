/* The checkpoint thread: moves committed pages from the WAL into the database, so that no commit ever pays for it, and
 * keeps the WAL's file at a size where commits overwrite instead of growing it: an fdatasync of a file that grew writes
 * the file system's journal too and takes about twice as long.
 *
 * It sleeps on a condition until a commit (any thread, through SQLite's WAL hook) says that there is enough to do. It looks
 * whether the files are still there, and whole, before each pass and a second after a commit; in an idle server once in a
 * renewal. It works beside the writer (PASSIVE); when little is left, or the WAL has become too long, it takes one turn to move
 * the rest, so that the next writer starts again at the beginning of the file.
 *
 * At each look it also takes the rows of task_gone of which the log thread has left nothing, unless a deletion has taken them
 * with it before (sqlite_async.c). */
#include "sqlite_priv.h"
#include "clock.h"
#include "cond.h"
#include "log.h"
#include "log_place.h"

/* Pages of 4 KiB. STEP: so many new ones start a pass; STEP_FLOOD: the same after a pass that did not keep up. REST: so few left
 * are moved in a turn; WAL_MAX: a longer WAL is, too. */
enum { STEP = 1000, STEP_FLOOD = 4000, REST = 250, WAL_MAX = 16384 };
#define LOOK_SOON_US 1000000
enum { FILL_BYTES = 5 << 20, FILL_CHUNK = 1 << 16 };

enum { CKPT_BEGIN, CKPT_COMMIT, CKPT_ROLLBACK, CKPT_GONE, CKPT__N };
static const char *const ckpt_sql[] = {
  [CKPT_BEGIN] = "BEGIN IMMEDIATE", [CKPT_COMMIT] = "COMMIT", [CKPT_ROLLBACK] = "ROLLBACK",
  [CKPT_GONE] = "DELETE FROM task_gone WHERE ti_id=?1"};
enum { GONE_AT_ONCE = 500 };

static int committed(void *ctx, sqlite3 *db, const char *name, int pages) {
  struct sq_ckpt *k = ctx;
  (void)db, (void)name;
  pthread_mutex_lock(&k->mu);
  if (pages < k->mark) k->mark = 0; /* the file began anew */
  k->pages = pages;
  k->moved = true;
  if (pages - k->mark >= k->step) pthread_cond_signal(&k->cond);
  pthread_mutex_unlock(&k->mu);
  return SQLITE_OK;
}

void sq_ckpt_watch(struct sq *s, struct sq_conn *c) { sqlite3_wal_hook(c->db, committed, &s->ckpt); }

static int passive(struct sq *s, int *pages, int *done) {
  return sqlite3_wal_checkpoint_v2(s->ckpt.conn.db, NULL, SQLITE_CHECKPOINT_PASSIVE, pages, done);
}

/* True when every page is moved. */
static bool pass(struct sq *s) {
  int pages = 0, done = 0, rc = passive(s, &pages, &done);
  pthread_mutex_lock(&s->ckpt.mu);
  int now = s->ckpt.pages;
  pthread_mutex_unlock(&s->ckpt.mu);
  if (rc == SQLITE_OK && (now - done <= REST || now > WAL_MAX)) {
    sq_turn_lock(&s->turn);
    rc = passive(s, &pages, &done);
    sq_turn_unlock(&s->turn);
  }
  if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
    log_warn("store.checkpoint", L_INT("code", rc), L_STR("message", sqlite3_errmsg(s->ckpt.conn.db)));
  return rc == SQLITE_OK && done == pages;
}

/* Writes zeros behind the end of the WAL, never before it. SQLite takes zeros for no frames at all. It is done in a turn, so that
 * nobody else writes the file. A failure costs only speed. */
static void fill(struct sq *s) {
  static const char zeros[FILL_CHUNK];
  sqlite3_file *f = NULL;
  sqlite3_int64 at = FILL_BYTES;
  sq_turn_lock(&s->turn);
  int rc = sqlite3_file_control(s->ckpt.conn.db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &f);
  if (rc == SQLITE_OK && f && f->pMethods) rc = f->pMethods->xFileSize(f, &at);
  for (; rc == SQLITE_OK && at < FILL_BYTES; at += FILL_CHUNK) rc = f->pMethods->xWrite(f, zeros, FILL_CHUNK, at);
  sq_turn_unlock(&s->turn);
}

static bool gone_waits(struct sq *s) {
  pthread_mutex_lock(&s->dropped.mu);
  bool any = s->dropped.n > 0;
  pthread_mutex_unlock(&s->dropped.mu);
  return any;
}

/* Under a turn. What fails is left for the next look. False: that is so, or nothing is left. */
static bool gone_piece(struct sq *s) {
  struct sq_conn *c = &s->ckpt.conn;
  int64_t ti[GONE_AT_ONCE];
  size_t n = sq_dropped_take(s, ti, GONE_AT_ONCE);
  if (n == 0) return false;
  int rc = sq_run(sq_stmt(c, CKPT_BEGIN));
  for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
    sqlite3_stmt *w = sq_stmt(c, CKPT_GONE);
    if (w) sq_int(w, 1, ti[i]);
    rc = w ? sq_run(w) : SQLITE_ERROR;
  }
  if (rc == SQLITE_OK) rc = sq_run(sq_stmt(c, CKPT_COMMIT));
  if (rc == SQLITE_OK) return n == GONE_AT_ONCE;
  if (!sqlite3_get_autocommit(c->db)) (void)sq_run(sq_stmt(c, CKPT_ROLLBACK));
  for (size_t i = 0; i < n; i++) sq_dropped_put(s, ti[i]);
  return false;
}

static void gone_sweep(struct sq *s) {
  for (bool more = gone_waits(s); more;) {
    sq_turn_lock(&s->turn);
    more = gone_piece(s);
    sq_turn_unlock(&s->turn);
  }
}

static void *ckpt_main(void *arg) {
  struct sq *s = arg;
  struct sq_ckpt *k = &s->ckpt;
  bool rows = false;
  fill(s);
  pthread_mutex_lock(&k->mu);
  for (;;) {
    bool soon = (k->moved || s->whole.doubt || rows) && s->look_us > LOOK_SOON_US;
    int64_t us = clock_mono_us() + (soon ? LOOK_SOON_US : s->look_us);
    while (!k->stop && !k->look && k->pages - k->mark < k->step && cond_until(&k->cond, &k->mu, us)) {}
    if (k->stop) break;
    bool work = k->pages - k->mark >= k->step;
    k->moved = k->look = false;
    if (work) k->mark = k->pages; /* whatever comes of this pass, the next one waits for new pages */
    pthread_mutex_unlock(&k->mu);
    bool there = sq_files_look(s);
    if (there) gone_sweep(s);
    bool all = there && work && pass(s);
    rows = gone_waits(s);
    pthread_mutex_lock(&k->mu);
    if (work) k->step = all ? STEP : STEP_FLOOD;
  }
  pthread_mutex_unlock(&k->mu);
  return NULL;
}

void sq_ckpt_look(struct sq *s) {
  pthread_mutex_lock(&s->ckpt.mu);
  s->ckpt.look = true;
  pthread_cond_signal(&s->ckpt.cond);
  pthread_mutex_unlock(&s->ckpt.mu);
}

enum wr_rc sq_ckpt_start(struct sq *s, struct wr_err *err) {
  struct sq_ckpt *k = &s->ckpt;
  k->step = STEP;
  int rc = sq_conn_open(&k->conn, s->path, SQ_WRITE, ckpt_sql, CKPT__N);
  if (rc != SQLITE_OK) return sq_err(&k->conn, rc, err);
  if (log_thread(&k->thread, NULL, ckpt_main, s) != 0) {
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
