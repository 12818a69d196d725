/* SQLite: the schema of the database and of its log, each a file with a schema of its own. A start applies all that a file needs
 * in one transaction. Both files are looked at and locked before the first is changed, and both are written but for their commits
 * before the first is committed. So an error leaves both as they were, for the program that used them before. Only a kill (or an
 * error of the disk) between the two commits parts them. The log is committed first: then the database is as it was, the next
 * start goes on, and a program that knows neither schema needs only another log. The caller holds the lock of the store, so
 * nobody else does the same. The lock also means that no other node exists, not even a frozen one: a process holds its lock until
 * it ends.
 *
 * What never happens: a write, even of a header, to a file that is not ours; a write beside a server by a mere look. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "migrate.h"
#include "sqlite_priv.h"

struct sq_migrate {
  struct migrate_db db;
  const char *path;
  const char *tables;       /* these, beside schema_version, are in every schema: a database that has them is ours */
  int64_t n_tables;         /* schema_version included */
  struct sq_conn c;         /* for looking; from begin() on for writing */
};
static struct sq_migrate *sq_migrate_of(struct migrate_db *db) { return (struct sq_migrate *)db; }

static enum wr_rc schema_err(struct sq_migrate *m, int rc, struct wr_err *err) {
  if (rc == SQLITE_NOTADB) return wr_err_set(err, WR_STORE_REFUSED, "%.120s is not a database.", m->path);
  return sq_start_err(&m->c, m->path, rc, err);
}

static enum wr_rc cannot_write(const char *path, int cause, struct wr_err *err) {
  bool readable = faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0;
  return wr_err_set(err, readable ? WR_STORE_REFUSED : WR_DB_UNAVAILABLE, "%.120s cannot be %s: %s.", path,
                    readable ? "written" : "opened", strerror(cause));
}

/* Results may be secret: a new file is its owner's alone, and SQLite copies the mode to its other files. */
static enum wr_rc make_private(const char *path, struct wr_err *err) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0) return cannot_write(path, errno, err);
  close(fd);
  return WR_OK;
}

static enum wr_rc sq_now(struct migrate_db *db, struct schema_now *out, struct wr_err *err) {
  struct sq_migrate *m = sq_migrate_of(db);
  char ours[200];
  int rc = SQLITE_OK;
  *out = (struct schema_now){0, 0};
  if (!m->c.db && db->watch->how == MIGRATE_APPLY) {
    enum wr_rc wr = make_private(m->path, err);
    if (wr) return wr;
  }
  if (!m->c.db && access(m->path, F_OK) != 0 && errno == ENOENT) return WR_OK; /* a log may be missing */
  if (!m->c.db && (rc = sq_conn_open(&m->c, m->path, SQ_LOOK, NULL, 0)) != SQLITE_OK) return schema_err(m, rc, err);
  int64_t tables = sq_number(&m->c, "SELECT count(*) FROM sqlite_schema", &rc);
  if (rc != SQLITE_OK || tables == 0) return schema_err(m, rc, err);
  /* This comes before the number is read: a schema_version that is a view can be a query without an end. */
  snprintf(ours, sizeof ours, "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name IN ('schema_version',%s)",
           m->tables);
  tables = sq_number(&m->c, ours, &rc);
  if (rc == SQLITE_OK && tables != m->n_tables) return migrate_foreign(db, err);
  if (rc == SQLITE_OK) out->version = sq_number(&m->c, "SELECT max(version) FROM schema_version", &rc);
  if (rc == SQLITE_ERROR || (rc == SQLITE_OK && out->version < 1)) return migrate_foreign(db, err);
  if (rc == SQLITE_OK && out->version > schema_newest(db->set)) {
    out->oldest = sq_number(&m->c, "SELECT oldest FROM schema_version ORDER BY version DESC LIMIT 1", &rc);
    if (rc == SQLITE_ERROR) rc = SQLITE_OK; /* it does not say */
  }
  if (out->oldest < 0) out->oldest = 0;
  return schema_err(m, rc, err);
}

static enum wr_rc sq_begin_schema(struct migrate_db *db, struct wr_err *err) {
  struct sq_migrate *m = sq_migrate_of(db);
  sq_conn_close(&m->c);
  int rc = sq_conn_open(&m->c, m->path, SQ_CREATE, NULL, 0);
  if (rc == SQLITE_OK) rc = sq_exec(&m->c, "BEGIN IMMEDIATE");
  return schema_err(m, rc, err);
}

static enum wr_rc sq_step(struct migrate_db *db, const struct schema_step *step, struct wr_err *err) {
  struct sq_migrate *m = sq_migrate_of(db);
  int rc = SQLITE_OK;
  if (step->done && sq_number(&m->c, step->done, &rc) != 0 && rc == SQLITE_OK) return WR_OK;
  return schema_err(m, rc == SQLITE_OK ? sq_exec(&m->c, step->sql) : rc, err);
}

static enum wr_rc sq_write_number(struct migrate_db *db, const struct schema_file *f, struct wr_err *err) {
  struct sq_migrate *m = sq_migrate_of(db);
  char text[120];
  int n = snprintf(text, sizeof text, "INSERT INTO schema_version (version, time%s) VALUES (%lld, %lld",
                   f->oldest ? ", oldest" : "", (long long)f->version, (long long)clock_wall_us());
  if (f->oldest) n += snprintf(text + n, sizeof text - (size_t)n, ", %lld", (long long)f->oldest);
  snprintf(text + n, sizeof text - (size_t)n, ")");
  return schema_err(m, sq_exec(&m->c, text), err);
}

/* Only the last page of the WAL, and its sync, are left for the commit. */
static enum wr_rc sq_ready(struct migrate_db *db, struct wr_err *err) {
  struct sq_migrate *m = sq_migrate_of(db);
  return schema_err(m, sqlite3_db_cacheflush(m->c.db), err);
}

static enum wr_rc sq_end_schema(struct migrate_db *db, enum wr_rc wr, struct wr_err *err) {
  struct sq_migrate *m = sq_migrate_of(db);
  if (!wr) wr = schema_err(m, sq_exec(&m->c, "COMMIT"), err);
  if (wr) (void)sq_exec(&m->c, "ROLLBACK"); /* closing the connection does it too */
  return wr;
}

static const struct migrate_ops sq_migrate_ops = {
  .now = sq_now, .begin = sq_begin_schema, .step = sq_step, .number = sq_write_number, .ready = sq_ready, .end = sq_end_schema,
};

/* Tells whether a start could change the file, as far as a look can tell. A server that holds the lock will be stopped before. */
static enum wr_rc could_begin(struct sq_migrate *m, const char *path, struct wr_err *err) {
  char *folder = wr_memdup0(path, (size_t)(strrchr(path, '/') - path + 1));
  bool denied = faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0;
  enum wr_rc wr = denied ? wr_err_set(err, WR_DB_UNAVAILABLE, "%.120s cannot be written: %s.", folder, strerror(errno)) : WR_OK;
  free(folder);
  if (!wr && faccessat(AT_FDCWD, m->path, W_OK, AT_EACCESS) != 0 && errno != ENOENT) wr = cannot_write(m->path, errno, err);
  if (wr || m->db.found.version == 0) return wr;
  int rc = sq_exec(&m->c, "PRAGMA query_only=OFF; BEGIN IMMEDIATE; ROLLBACK");
  return (rc & 0xff) == SQLITE_BUSY && sq_in_use(path) ? WR_OK : schema_err(m, rc, err);
}

enum both { BOTH_AS_WATCHED, BOTH_AHEAD };  /* AHEAD: also whether they could be changed */
static enum wr_rc both_files(const char *path, const char *log_path, const struct migrate_watch *w, enum both how,
                             struct wr_err *err) {
  struct sq_migrate m = {.db = {&sq_migrate_ops, &schema_sqlite, path, w, {0, 0}}, .path = path,
                         .tables = "'id_block','definitions','task_flow_ins','task_ins'", .n_tables = 5};
  struct sq_migrate log = {.db = {&sq_migrate_ops, &schema_sqlite_log, log_path, w, {0, 0}}, .path = log_path,
                           .tables = "'task_log'", .n_tables = 2};
  enum wr_rc rc = migrate_up((struct migrate_db *[]){&m.db, &log.db}, 2, err);
  if (!rc && how == BOTH_AHEAD && m.db.found.version < schema_newest(m.db.set)) rc = could_begin(&m, path, err);
  if (!rc && how == BOTH_AHEAD && log.db.found.version < schema_newest(log.db.set)) rc = could_begin(&log, path, err);
  sq_conn_close(&log.c);
  sq_conn_close(&m.c);
  return rc;
}

enum wr_rc sq_migrate_files(struct sq *s, const struct migrate_watch *w, struct wr_err *err) {
  return both_files(s->path, s->log_path, w, BOTH_AS_WATCHED, err);
}

/* Works beside a server too. */
enum wr_rc sq_look_at_schema(const char *path, const struct migrate_watch *w, bool ahead, struct wr_err *err) {
  char log_path[4200];
  snprintf(log_path, sizeof log_path, "%s-log", path);
  enum wr_rc rc = sq_check_kind(path, err);
  if (rc) return rc;
  rc = sq_check_kind(log_path, err);
  return rc && rc != WR_NOT_FOUND ? rc : both_files(path, log_path, w, ahead ? BOTH_AHEAD : BOTH_AS_WATCHED, err);
}
