/* Opening and closing a SQLite store: the process lock, the check of the file system, the schema, the ids. One thread,
 * before any other uses the store and after all have stopped. Never waits for another process: it is refused at once. */
#include "sqlite_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "clock.h"
#include "schema_sqlite_0001.h"
#include "schema_sqlite_log_0001.h"
#include "text.h"

/* ---- the file system: locks and mmap of the WAL index must work as on a local disk ---- */
static const struct { uint32_t magic; const char *name; } remote_fs[] = {
  {0x6969, "NFS"}, {0x517B, "SMB"}, {0xFF534D42, "CIFS"}, {0xFE534D42, "SMB"}, {0x00C36400, "Ceph"}, {0x5346414F, "AFS"},
  {0x01021997, "9P"}, {0x0BD00BD0, "Lustre"}, {0x7461636F, "OCFS2"}, {0x01161970, "GFS2"}, {0x786F4256, "vboxsf"},
};
static const char *const remote_fuse[] = {"fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.glusterfs", "fuse.ceph-fuse"};
#define FUSE_MAGIC 0x65735546u

/* The type of a FUSE mount is only told by mountinfo: "36 35 0:47 / /mnt rw - fuse.sshfs host: rw". */
static const char *fuse_remote(dev_t dev) {
  char line[4096], want[32];
  const char *found = NULL;
  FILE *f = fopen("/proc/self/mountinfo", "re");
  if (!f) return NULL;
  snprintf(want, sizeof want, " %u:%u ", major(dev), minor(dev));
  while (!found && fgets(line, sizeof line, f)) {
    const char *type = strstr(line, " - ");
    if (!strstr(line, want) || !type) continue;
    for (size_t i = 0; i < sizeof remote_fuse / sizeof *remote_fuse; i++)
      if (!strncmp(type + 3, remote_fuse[i], strlen(remote_fuse[i]))) found = remote_fuse[i];
  }
  fclose(f);
  return found;
}

static enum wr_rc check_fs(int fd, const char *path, struct wr_err *err) {
  struct statfs fs;
  struct stat st;
  const char *name = NULL;
  if (fstatfs(fd, &fs) != 0 || fstat(fd, &st) != 0) return WR_OK;
  for (size_t i = 0; i < sizeof remote_fs / sizeof *remote_fs; i++)
    if ((uint32_t)fs.f_type == remote_fs[i].magic) name = remote_fs[i].name;
  if ((uint32_t)fs.f_type == FUSE_MAGIC) name = fuse_remote(st.st_dev);
  if (!name) return WR_OK;
  return wr_err_set(err, WR_STORE_REFUSED, "%.120s is on a network file system, %s. SQLite needs a local disk.", path, name);
}

/* ---- the process lock ---- */
static enum wr_rc held(int fd, const char *path, struct wr_err *err) {
  char pid[24] = "";
  int64_t n;
  ssize_t got = pread(fd, pid, sizeof pid - 1, 0);
  if (got > 0 && text_i64(pid, (size_t)got, &n))
    return wr_err_set(err, WR_STORE_REFUSED, "%.120s is in use by another process (pid %lld).", path, (long long)n);
  return wr_err_set(err, WR_STORE_REFUSED, "%.120s is in use by another process.", path);
}

static enum wr_rc take_lock(struct sq *s, struct wr_err *err) {
  struct buf b = BUF_INIT;
  struct stat st;
  if (stat(s->path, &st) == 0 && S_ISDIR(st.st_mode)) return wr_err_set(err, WR_STORE_REFUSED, "%.120s is a directory.", s->path);
  buf_printf(&b, "%s.lock", s->path);
  s->lock_fd = open(b.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  int e = errno;
  buf_done(&b);
  if (s->lock_fd < 0)
    return wr_err_set(err, WR_DB_UNAVAILABLE, "%.120s.lock cannot be opened: %s.", s->path, strerror(e));
  enum wr_rc rc = check_fs(s->lock_fd, s->path, err);
  if (rc) return rc;
  if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) return held(s->lock_fd, s->path, err);
  char pid[24];
  int n = snprintf(pid, sizeof pid, "%ld", (long)getpid());
  /* Only for the sentence above: not worth a failure. */
  if (ftruncate(s->lock_fd, 0) != 0 || pwrite(s->lock_fd, pid, (size_t)n, 0) != n) (void)0;
  return WR_OK;
}

/* ---- the schema ---- */
static int64_t one_number(struct sq_conn *c, const char *sql, int *rc) {
  sqlite3_stmt *st = NULL;
  int64_t v = -1;
  *rc = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);
  if (*rc == SQLITE_OK && (*rc = sqlite3_step(st)) == SQLITE_ROW) v = sq_col(st, 0);
  sqlite3_finalize(st);
  if (*rc == SQLITE_ROW || *rc == SQLITE_DONE) *rc = SQLITE_OK;
  return v;
}

static int create(struct sq_conn *c, const char *text, const char *id) {
  char now[96], who[96];
  snprintf(now, sizeof now, "INSERT INTO schema_version VALUES (%d, %lld)", SQ_SCHEMA, (long long)clock_wall_us());
  int rc = sq_exec(c, "BEGIN IMMEDIATE");
  if (rc == SQLITE_OK) rc = sq_exec(c, text);
  if (rc == SQLITE_OK) rc = sq_exec(c, now);
  if (id) snprintf(who, sizeof who, "INSERT INTO installation (one, store_id) VALUES (1, '%s')", id);
  if (rc == SQLITE_OK && id) rc = sq_exec(c, who);
  if (rc == SQLITE_OK) rc = sq_exec(c, "PRAGMA application_id=1466263922"); /* 'Weir' */
  return rc == SQLITE_OK ? sq_exec(c, "COMMIT") : rc;
}

static enum wr_rc check_version(struct sq_conn *c, const char *path, struct wr_err *err) {
  int rc;
  int64_t v = one_number(c, "SELECT max(version) FROM schema_version", &rc);
  if (rc == SQLITE_ERROR) return wr_err_set(err, WR_STORE_REFUSED, "%.120s is a database of another program.", path);
  if (rc != SQLITE_OK) return sq_err(c, rc, err);
  if (v == SQ_SCHEMA) return WR_OK;
  return wr_err_set(err, WR_STORE_REFUSED, "%.120s has schema %lld, this program needs %d: use the weir that made it, or an empty one.", path,
                    (long long)v, SQ_SCHEMA);
}

enum wr_rc sq_migrate(const char *path, const char *text, const char *id, struct wr_err *err) {
  struct sq_conn c;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* results may be secret; SQLite copies the mode to its other files */
  if (fd < 0) return wr_err_set(err, WR_DB_UNAVAILABLE, "%.120s cannot be opened: %s.", path, strerror(errno));
  close(fd);
  int rc = sq_conn_open(&c, path, SQ_CREATE, NULL, 0);
  if (rc == SQLITE_NOTADB) return wr_err_set(err, WR_STORE_REFUSED, "%.120s is not a database.", path);
  if (rc != SQLITE_OK) return sq_err(&c, rc, err);
  int64_t tables = one_number(&c, "SELECT count(*) FROM sqlite_schema", &rc);
  if (rc == SQLITE_OK && tables == 0) rc = create(&c, text, id);
  enum wr_rc wr = rc != SQLITE_OK ? sq_err(&c, rc, err) : tables > 0 ? check_version(&c, path, err) : WR_OK;
  sq_conn_close(&c);
  return wr;
}

/* ---- ids ---- */
const char *const sq_id_name[ID__N] = {
  [ID_TASK] = "task", [ID_FLOW] = "flow", [ID_NODE] = "node", [ID_FI] = "fi", [ID_NI] = "ni", [ID_TI] = "ti",
  [ID_INCARNATION] = "incarnation",
};

static int load_counters(struct sq *s) {
  sqlite3_stmt *st = NULL;
  int rc = sqlite3_prepare_v2(s->run.db, "SELECT kind, next FROM id_block", -1, &st, NULL);
  while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
    for (int k = 0; k < ID__N; k++)
      if (!strcmp(sq_id_name[k], sq_col_text(st, 0, NULL))) s->next_id[k] = s->saved_id[k] = sq_col(st, 1);
    rc = SQLITE_OK;
  }
  sqlite3_finalize(st);
  if (rc == SQLITE_DONE) s->defs = one_number(&s->run, "SELECT version FROM definitions", &rc);
  for (int k = 0; k < ID__N && rc == SQLITE_OK; k++)
    if (s->next_id[k] < 1) rc = SQLITE_CORRUPT;
  return rc;
}

static int load_id(struct sq *s) {
  sqlite3_stmt *st = NULL;
  int rc = sqlite3_prepare_v2(s->run.db, "SELECT store_id FROM installation", -1, &st, NULL);
  if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
    snprintf(s->base.id, sizeof s->base.id, "%s", sq_col_text(st, 0, NULL)), rc = SQLITE_OK;
  sqlite3_finalize(st);
  return rc == SQLITE_DONE || (rc == SQLITE_OK && strlen(s->base.id) != STORE_ID_BYTES) ? SQLITE_CORRUPT : rc;
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
  int rc = sq_conn_open(&s->def, s->path, SQ_WRITE, sq_def_sql, sq_def_sql_n);
  if (rc == SQLITE_OK) sq_ckpt_watch(s, &s->def);
  return rc;
}

/* No global lock in malloc, none in a connection: each is used by one thread. */
static void configure(void) {
  (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
}

/* The one name of the file, whatever links or working directory lead to it: the lock hangs on it. The path itself when
 * its folder is not there: opening it will say so. */
static char *true_path(const char *path) {
  char *whole = realpath(path, NULL);
  if (whole) return whole;
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  char *folder = wr_memdup0(slash ? path : ".", slash ? (size_t)(slash - path + (slash == path)) : 1);
  char *at = realpath(folder, NULL);
  struct buf b = BUF_INIT;
  if (at) buf_printf(&b, "%s%s%s", at, at[1] ? "/" : "", base);
  else buf_str(&b, path);
  free(folder);
  free(at);
  return b.data;
}

static struct sq *sq_new(const char *path) {
  struct sq *s = wr_new(struct sq);
  s->base.ops = &sq_ops;
  s->lock_fd = -1;
  s->path = true_path(path);
  struct buf b = BUF_INIT;
  buf_printf(&b, "%s-log", s->path);
  s->log_path = b.data;
  pthread_mutex_init(&s->turn.mu, NULL);
  pthread_cond_init(&s->turn.cond, NULL);
  pthread_mutex_init(&s->def_lock, NULL);
  pthread_mutex_init(&s->ckpt.mu, NULL);
  pthread_cond_init(&s->ckpt.cond, NULL);
  pthread_mutex_init(&s->pool_mu, NULL);
  pthread_condattr_t attr; /* its wait has a limit, and the wall clock may step */
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&s->pool_cond, &attr);
  pthread_condattr_destroy(&attr);
  arena_init(&s->texts, 0);
  return s;
}

static enum wr_rc open_all(struct sq *s, struct wr_err *err) {
  enum wr_rc wr = take_lock(s, err);
  char id[STORE_ID_BYTES + 1];
  store_new_id(id);
  if (!wr) wr = sq_migrate(s->path, schema_sqlite_0001, id, err);
  if (!wr) wr = sq_migrate(s->log_path, schema_sqlite_log_0001, NULL, err);
  if (wr) return wr;
  int rc = sq_open_run(s);
  if (rc == SQLITE_OK) rc = load_counters(s);
  if (rc == SQLITE_OK) rc = load_id(s);
  if (rc != SQLITE_OK) return sq_err(&s->run, rc, err);
  return sq_ckpt_start(s, err);
}

enum wr_rc sqlite_store_open(const struct store_opts *o, const char *path, struct store **out, struct wr_err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)o;
  pthread_once(&once, configure);
  *out = NULL;
  if (!*path || *path == ':') return wr_err_set(err, WR_BAD_REQUEST, "sqlite: needs the path of a file.");
  struct sq *s = sq_new(path);
  enum wr_rc rc = open_all(s, err);
  if (rc) sq_close(&s->base);
  else *out = &s->base;
  return rc;
}

void sq_close(struct store *st) {
  struct sq *s = sq_of(st);
  if (s->in_tx) sq_rollback(st);
  sq_ckpt_stop(s);
  sq_readers_close(s);
  sq_conn_close(&s->def);
  sq_conn_close(&s->run); /* the last one: SQLite moves the whole WAL and removes it */
  if (s->lock_fd >= 0) close(s->lock_fd);
  arena_done(&s->texts);
  free(s->tasks.v);
  free(s->flows.v);
  pthread_mutex_destroy(&s->turn.mu);
  pthread_cond_destroy(&s->turn.cond);
  pthread_mutex_destroy(&s->def_lock);
  pthread_mutex_destroy(&s->ckpt.mu);
  pthread_cond_destroy(&s->ckpt.cond);
  pthread_mutex_destroy(&s->pool_mu);
  pthread_cond_destroy(&s->pool_cond);
  free(s->path);
  free(s->log_path);
  free(s);
}
