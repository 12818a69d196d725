/* MySQL and MariaDB: the schema. Each change commits by itself, so a process that is killed in the middle leaves part of a file
 * applied, and the next process goes on: see migrate.h. A named lock lets one process at a time do it, over a connection of its
 * own that may wait as long as a large table needs; when the process dies while the server still works, the lock is held until
 * that work is done.
 *
 * What never happens: two processes that change the schema at once; a write by a node after a migration that shut its program
 * out; a wait for another process beyond SCHEMA_US. */
#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "clock.h"
#include "migrate.h"
#include "mysql_priv.h"

#define SCHEMA_US 30000000  /* the wait for another process that changes the schema, or for a table in use */
#define STEP_S 3600u        /* a statement on a large table; after this the server ends it alone, and keeps the lock till then */
#define TABLE_WAIT_S 3u     /* a wait for a table holds up all others that want it: after this long they pass */

struct my_migrate {
  struct migrate_db db;
  struct my *s;
  bool begun;
  struct my_conn own;       /* used when begun */
};
static struct my_migrate *my_migrate_of(struct migrate_db *db) { return (struct my_migrate *)db; }
static struct my_conn *conn(struct my_migrate *m) { return m->begun ? &m->own : &m->s->run; }

/* As my_query_int(), 0 where there is no row. */
static unsigned first_int(struct my_conn *c, const char *sql, int64_t *v) {
  bool found;
  *v = 0;
  return my_query_int(c, sql, v, &found);
}

static bool lock_in_the_way(unsigned e) { return e == ER_LOCK_WAIT_TIMEOUT || e == ER_LOCK_DEADLOCK; }
static bool denied(unsigned e) {
  return e == ER_TABLEACCESS_DENIED_ERROR || e == ER_DBACCESS_DENIED_ERROR || e == ER_COLUMNACCESS_DENIED_ERROR;
}

static enum wr_rc schema_err(struct my_migrate *m, unsigned e, struct wr_err *err) {
  if (denied(e))
    return wr_err_set(err, WR_STORE_REFUSED, "The user of the database may not change its schema: grant it CREATE, ALTER, INDEX, "
                      "CREATE VIEW, DROP, INSERT and UPDATE, or run `weir db migrate` once as a user who has them.");
  if (e == ER_LOCK_WAIT_TIMEOUT)
    return wr_err_set(err, WR_DB_UNAVAILABLE, "A table that has to change has been in use for half a minute "
                      "(a backup, a long transaction). Try again later.");
  return e ? my_open_err(conn(m), e, err) : WR_OK;
}

#define TABLES_THERE "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema=DATABASE() AND table_type<>'VIEW' " \
  "AND table_name "
#define MY_CORE_TABLES "('schema_version','id_block','definitions','task_flow_ins','task_ins')"
/* One statement, because another process may make the tables meanwhile, schema_version first. */
#define OTHERS_THERE "SELECT COUNT(*)>0 AND (SUM(table_type<>'VIEW' AND table_name IN " MY_TABLES ")<COUNT(*) " \
  "OR SUM(table_name='schema_version')=0) FROM information_schema.tables WHERE table_schema=DATABASE()"
/* Until the first file is applied there may be some of our tables, and no others: our tables do not go between the tables of
 * another program. Later somebody may have put tables of their own beside ours. */
static enum wr_rc my_now(struct migrate_db *db, struct schema_now *out, struct wr_err *err) {
  struct my_migrate *m = my_migrate_of(db);
  struct my_conn *c = conn(m);
  int64_t n = 0, others = 0;
  *out = (struct schema_now){0, 0};
  unsigned e = first_int(c, TABLES_THERE "IN ('schema_version')", &n);
  if (!e && n) e = first_int(c, "SELECT MAX(version) FROM schema_version", &out->version);
  if (e == ER_BAD_FIELD_ERROR) return migrate_foreign(db, err);
  if (!e && out->version) e = first_int(c, TABLES_THERE "IN " MY_CORE_TABLES, &n);
  if (!e && out->version && n != 5) return migrate_foreign(db, err);
  if (!e && !out->version) e = first_int(c, OTHERS_THERE, &others);
  if (!e && others) return migrate_foreign(db, err);
  if (!e && out->version > schema_newest(db->set)) {
    e = first_int(c, "SELECT oldest FROM schema_version ORDER BY version DESC LIMIT 1", &out->oldest);
    if (e == ER_BAD_FIELD_ERROR) e = 0; /* it does not say */
  }
  return schema_err(m, e, err);
}

static bool again(struct my_migrate *m, unsigned e, int64_t until) {
  return lock_in_the_way(e) && clock_mono_us() < until && migrate_may_go_on(&m->db, NULL) == WR_OK;
}

/* After the tries: says whether the wait took too long, or a stop ended it. */
static enum wr_rc tried_err(struct my_migrate *m, unsigned e, struct wr_err *err) {
  enum wr_rc rc = lock_in_the_way(e) ? migrate_may_go_on(&m->db, err) : WR_OK;
  return rc ? rc : schema_err(m, e, err);
}

static enum wr_rc my_begin_schema(struct migrate_db *db, struct wr_err *err) {
  struct my_migrate *m = my_migrate_of(db);
  int64_t got = 0;
  char take[200];
  my_conn_init(&m->own, m->s, MY_RUN);
  m->own.io_s = STEP_S;
  m->own.lock_wait_s = TABLE_WAIT_S;
  m->begun = true;
  unsigned e = my_conn_ready(&m->own);
  m->s->run.err = e;
  if (e) return wr_err_set(err, e == MY_SETTING ? WR_STORE_REFUSED : WR_DB_UNAVAILABLE, "%s", m->own.why);
  snprintf(take, sizeof take, "SELECT GET_LOCK(" MY_LOCK_NAME("schema") ", %u)", 5u);
  int64_t until = clock_mono_us() + SCHEMA_US;
  while (!e && got != 1 && clock_mono_us() < until && !migrate_may_go_on(db, NULL)) e = first_int(&m->own, take, &got);
  enum wr_rc rc = schema_err(m, e, err);
  m->s->run.err = e;
  if (!rc && got != 1) rc = migrate_may_go_on(db, err);
  if (!rc && got != 1)
    rc = wr_err_set(err, WR_DB_UNAVAILABLE, "Another process has been changing the schema for half a minute. "
                    "Start again when it is done.");
  if (rc) my_conn_close(&m->own);
  return rc;
}

static enum wr_rc my_step(struct migrate_db *db, const struct schema_step *step, struct wr_err *err) {
  struct my_migrate *m = my_migrate_of(db);
  int64_t done = 0, until = clock_mono_us() + SCHEMA_US;
  unsigned e = step->done ? first_int(&m->own, step->done, &done) : 0;
  if (e || done) return schema_err(m, e, err);
  do e = my_exec(&m->own, step->sql);
  while (again(m, e, until));
  return tried_err(m, e, err);
}

static enum wr_rc my_write_number(struct migrate_db *db, const struct schema_file *f, struct wr_err *err) {
  struct my_migrate *m = my_migrate_of(db);
  char text[160];
  int n = snprintf(text, sizeof text, "INSERT INTO schema_version (version, time%s) VALUES (%lld, UTC_TIMESTAMP(6)",
                   f->oldest ? ", oldest" : "", (long long)f->version);
  if (f->oldest) n += snprintf(text + n, sizeof text - (size_t)n, ", %lld", (long long)f->oldest);
  snprintf(text + n, sizeof text - (size_t)n, ")");
  return schema_err(m, my_exec(&m->own, text), err);
}

/* The lock goes with the connection. The start is told the error of this connection, because it may try again. */
static enum wr_rc my_end_schema(struct migrate_db *db, enum wr_rc rc, struct wr_err *err) {
  struct my_migrate *m = my_migrate_of(db);
  (void)err;
  if (rc) m->s->run.err = m->own.err;
  my_conn_close(&m->own);
  return rc;
}

/* Before schema 4 a node does not say which schema it knows. It knows none that is newer than the database's. */
static bool all_may_stay(int64_t version, int64_t oldest) { return version < 4 && version >= oldest; }

/* One member whose program is older than `oldest`: its host and pid. also: a further condition. */
static unsigned old_node(struct my_migrate *m, int64_t version, int64_t oldest, const char *also, char out[64]) {
  struct cursor r;
  char sql[200];
  int n = snprintf(sql, sizeof sql, "SELECT host, pid FROM engine_node WHERE state='LIVE'%s", also);
  if (version >= 4) n += snprintf(sql + n, sizeof sql - (size_t)n, " AND schema_no<%lld", (long long)oldest);
  snprintf(sql + n, sizeof sql - (size_t)n, " LIMIT 1");
  unsigned e = my_select(conn(m), &r, sql, NULL, 0);
  if (e) return e;
  if (my_next(&r)) {
    int n_host = r.cell[0].n < 40 ? (int)r.cell[0].n : 40;
    snprintf(out, 64, "%.*s, pid %lld", n_host, r.cell[0].s, (long long)cell_i64(&r.cell[1]));
  }
  return my_done(&r);
}

static enum wr_rc my_old_node(struct migrate_db *db, int64_t version, int64_t oldest, char out[64], struct wr_err *err) {
  struct my_migrate *m = my_migrate_of(db);
  if (all_may_stay(version, oldest)) return WR_OK;
  return schema_err(m, old_node(m, version, oldest, " AND lease_until>UTC_TIMESTAMP(6)", out), err);
}

/* A member whose lease is over may be frozen only, and its fence asks for no more than a LIVE row. So the row is marked DEAD. */
static unsigned fence_lapsed(struct my_migrate *m, int64_t version, int64_t oldest) {
  char sql[200];
  int n = snprintf(sql, sizeof sql, "UPDATE engine_node SET state='DEAD', end_time=UTC_TIMESTAMP(6) WHERE state='LIVE' AND "
                   "lease_until<=UTC_TIMESTAMP(6)");
  if (version >= 4) snprintf(sql + n, sizeof sql - (size_t)n, " AND schema_no<%lld", (long long)oldest);
  return my_exec(&m->own, sql);
}

/* join() in mysql_node.c reads `oldest` and stores its row in one statement. That statement waits while this transaction holds
 * the row of schema_version. So a node that joined before is seen here, and a node that comes later sees the new `oldest`. */
static unsigned shut_out(struct my_migrate *m, int64_t version, int64_t oldest, char out[64]) {
  char sql[120];
  snprintf(sql, sizeof sql, "UPDATE schema_version SET oldest=%lld WHERE version=%lld", (long long)oldest, (long long)version);
  out[0] = '\0';
  unsigned e = my_exec(&m->own, "BEGIN");
  if (!e && version >= 4) e = my_exec(&m->own, sql);
  if (!e) e = fence_lapsed(m, version, oldest);
  if (!e) e = old_node(m, version, oldest, "", out);
  if (!e && !out[0]) return my_exec(&m->own, "COMMIT");
  unsigned undone = my_exec(&m->own, "ROLLBACK");
  return e ? e : undone;
}

static enum wr_rc my_shut_out(struct migrate_db *db, int64_t version, int64_t oldest, char out[64], struct wr_err *err) {
  struct my_migrate *m = my_migrate_of(db);
  int64_t until = clock_mono_us() + SCHEMA_US;
  unsigned e;
  if (all_may_stay(version, oldest)) return WR_OK;
  do e = shut_out(m, version, oldest, out);
  while (again(m, e, until));
  return tried_err(m, e, err);
}

static const struct migrate_ops my_migrate_ops = {
  .now = my_now, .begin = my_begin_schema, .step = my_step, .number = my_write_number, .end = my_end_schema,
  .old_node = my_old_node, .shut_out = my_shut_out,
};

enum wr_rc my_migrate_up(struct my *s, const struct migrate_watch *w, struct wr_err *err) {
  struct my_migrate m = {.db = {&my_migrate_ops, &schema_mysql, "The database", w, {0, 0}}, .s = s};
  return migrate_up(&(struct migrate_db *){&m.db}, 1, err);
}
