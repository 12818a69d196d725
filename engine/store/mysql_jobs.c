/* Jobs in the runner's packet: locked, looked up, written. The runner's thread and connection.
 *
 * The lock of a job is waited for: whoever has it commits soon, and its tasks are the work of many nodes. After a wait in vain it
 * is asked for with SKIP LOCKED for a while, as all rows are (mysql_held.c).
 * What never happens: a job written that this transaction has not locked; a job_key that two jobs have. */
#include "mysql_run.h"
#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>
#include "map64.h"

/* ---- locks ---- */
struct jobs_asked { const int64_t *id; size_t n; struct job_row *out; uint8_t *got; };

static size_t place(const struct jobs_asked *a, int64_t id) {
  const int64_t *at = bsearch(&id, a->id, a->n, sizeof id, wr_by_id);
  return at ? (size_t)(at - a->id) : a->n;
}

/* One result; whole: rows, else the numbers of those that are there. */
static unsigned take_result(struct my *s, const struct jobs_asked *a, bool whole) {
  struct cell c[CELLS_MAX];
  MYSQL_RES *res;
  unsigned e = my_select_tx(s, &res);
  if (e) return e;
  for (MYSQL_ROW row; (row = mysql_fetch_row(res));) {
    my_cells(res, row, c);
    size_t i = place(a, cell_i64(&c[0]));
    if (i == a->n || a->got[i]) continue;
    if (whole) ins_row_job(c, &a->out[i], &s->texts);
    a->got[i] = whole ? 1 : 2;
  }
  mysql_free_result(res);
  return 0;
}

static unsigned lock_some(struct my *s, const struct jobs_asked *a, bool wary) {
  size_t missing = 0;
  my_select_begin(s);
  sql_str(&s->sql, "SELECT " JOB_COLS " FROM job FORCE INDEX(PRIMARY) WHERE job_id IN(");
  sql_ids(&s->sql, a->id, a->n);
  sql_str(&s->sql, wary ? ")ORDER BY job_id FOR UPDATE SKIP LOCKED" : ")ORDER BY job_id FOR UPDATE");
  unsigned e = take_result(s, a, true);
  for (size_t i = 0; i < a->n; i++) missing += !a->got[i];
  if (e || !wary || missing == 0) return e;
  my_select_begin(s);
  sql_str(&s->sql, "SELECT job_id FROM job FORCE INDEX(PRIMARY) WHERE job_id IN(");
  sql_ids(&s->sql, a->id, a->n);
  sql_ch(&s->sql, ')');
  return take_result(s, a, false);
}

enum store_rc my_job_lock(struct store *st, const int64_t *id, size_t n, struct job_row *out, uint8_t *got) {
  struct my *s = my_of(st);
  bool wary = my_is_wary(s);
  memset(got, 0, n);
  for (size_t i = 0; i < n; i += MY_IN_MAX) {
    struct jobs_asked a = {id + i, n - i < MY_IN_MAX ? n - i : MY_IN_MAX, out + i, got + i};
    s->run.err = 0;
    unsigned e = lock_some(s, &a, wary);
    if (!e) continue;
    enum store_rc rc = my_run_fail(s, e);
    if (rc != STORE_RETRY || s->run.err != ER_LOCK_WAIT_TIMEOUT || wary) return rc;
    my_wary(s);
    return STORE_STALE;
  }
  return STORE_OK;
}

/* ---- looking ---- */
static void found(const struct cell *c, const struct my_asked *k, size_t i) {
  struct async_key *out = (struct async_key *)k->out + i;
  bool fits = ins_row_hash(&c[2], out->hash);
  wr_assert(fits); /* BINARY(32) */
  out->ti = cell_i64(&c[1]);
}

/* A key that another node is writing just now is not there yet: the insert waits for that node, and then the batch finds it. */
enum store_rc my_job_find(struct store *st, const char *key, int64_t *id, uint8_t hash[KEY_HASH_BYTES]) {
  static const struct my_key_table t = {"job FORCE INDEX(job_key)", "job_key", "job_key,job_id,key_hash",
                                        sizeof(struct async_key), found};
  struct async_key row = {0};
  uint8_t got = 0;
  enum store_rc rc = my_keys_look(my_of(st), &(struct my_asked){&t, &key, 1, &row, &got, false, 0});
  *id = rc == STORE_OK && got == 1 ? row.ti : 0;
  memcpy(hash, row.hash, KEY_HASH_BYTES);
  return rc;
}

static enum store_rc numbers(struct my *s, unsigned e, MYSQL_RES *res, int64_t *out, size_t n, size_t *n_out) {
  struct cell c[CELLS_MAX];
  *n_out = 0;
  if (e) return my_run_fail(s, e);
  for (MYSQL_ROW row; *n_out < n && (row = mysql_fetch_row(res));) {
    my_cells(res, row, c);
    out[(*n_out)++] = cell_i64(&c[0]);
  }
  mysql_free_result(res);
  return STORE_OK;
}

/* Under the lock of the job: nobody adds a task meanwhile. */
enum store_rc my_job_tasks(struct store *st, int64_t id, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out) {
  struct my *s = my_of(st);
  MYSQL_RES *res = NULL;
  my_select_begin(s);
  buf_printf(&s->sql.b, "SELECT ti_id FROM job_task FORCE INDEX(PRIMARY) WHERE job_id=%lld AND ti_id>%lld ORDER BY ti_id "
             "LIMIT %zu", (long long)id, (long long)after_ti, n);
  unsigned e = my_select_tx(s, &res);
  return numbers(s, e, res, ti, n, n_out);
}

/* Not locked: a tree that comes meanwhile looks at its flow itself. */
enum store_rc my_job_keys(struct store *st, const char *from, const char *to, int64_t *id, size_t n, size_t *n_out) {
  struct my *s = my_of(st);
  MYSQL_RES *res = NULL;
  my_select_begin(s);
  sql_str(&s->sql, "SELECT job_id FROM job FORCE INDEX(job_key) WHERE job_key>"), sql_text(&s->sql, s->run.m, from);
  sql_str(&s->sql, " AND job_key<"), sql_text(&s->sql, s->run.m, to);
  buf_printf(&s->sql.b, " ORDER BY job_key LIMIT %zu", n);
  unsigned e = my_select_tx(s, &res);
  return numbers(s, e, res, id, n, n_out);
}

/* ---- writing ---- */
static const char *const count_col[JOB__CLASSES] = {"not_started", "retrying", "running", "analyzing", "waiting", "success",
                                                    "failed", "canceled"};

static void put(struct my *s, const char *col, int64_t v) {
  buf_printf(&s->sql.b, "%s=%lld,", col, (long long)v);
}

static void put_job(struct my *s, const struct job_row *r, int64_t version) {
  put(s, "version", version);
  put(s, "state", r->j.state);
  put(s, "wish", r->j.wish);
  put(s, "how", r->j.how);
  put(s, "closed", r->j.closed);
  if (r->j.pass) put(s, "pass_at", r->j.pass_at);
  else sql_str(&s->sql, "pass_at=NULL,");
  for (int i = 0; i < JOB__CLASSES; i++) put(s, count_col[i], r->j.count[i]);
  put(s, "executions", r->j.executions);
  put(s, "timeouts", r->j.timeouts);
  put(s, "losses", r->j.losses);
  put(s, "removed_tasks", r->j.gone_tasks);
  put(s, "removed_attempts", r->j.gone_attempts);
  sql_str(&s->sql, "end_time="), sql_us(&s->sql, r->end_us);
  sql_str(&s->sql, ",update_time="), sql_us(&s->sql, r->update_us);
}

static enum store_rc write_job(struct my *s, struct batch *b, const struct job_write *j) {
  const struct job_row *r = &j->row;
  bool fresh = j->op == ROW_INSERT;
  enum store_rc rc = run_statement(s, b, fresh ? WANT_UNIQUE : WANT_ROWS, 0, 1);
  if (rc) return rc;
  if (j->gone) {
    buf_printf(&s->sql.b, "DELETE FROM job WHERE job_id=%lld", (long long)r->job_id);
    return STORE_OK;
  }
  sql_str(&s->sql, fresh ? "INSERT INTO job SET " : "UPDATE job SET ");
  if (fresh) {
    put(s, "job_id", r->job_id);
    put(s, "child_failure", r->j.ignore);
    sql_str(&s->sql, "create_time="), sql_us(&s->sql, r->create_us);
    sql_str(&s->sql, ",key_hash="), sql_blob(&s->sql, s->run.m, r->hash, KEY_HASH_BYTES);
    sql_str(&s->sql, ",job_key="), sql_text(&s->sql, s->run.m, r->key);
    sql_str(&s->sql, ",job_name="), sql_text(&s->sql, s->run.m, r->name), sql_ch(&s->sql, ',');
  }
  put_job(s, r, b->id);
  if (!fresh) buf_printf(&s->sql.b, " WHERE job_id=%lld", (long long)r->job_id);
  return STORE_OK;
}

enum store_rc write_jobs(struct my *s, struct batch *b) {
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < b->n_job && rc == STORE_OK; i++) rc = write_job(s, b, &b->job[i]);
  return rc;
}

/* The list of each job has the tasks that this batch makes for it. */
enum store_rc write_job_tasks(struct my *s, struct batch *b) {
  for (size_t i = 0, n = 0; i < b->n_async; n = 0) {
    for (; i < b->n_async && n < PUT_ROWS; i++) {
      const struct async_write *a = &b->async[i];
      if (a->op != ROW_INSERT || !a->row.job) continue;
      enum store_rc rc = n == 0 ? run_statement(s, b, WANT_UNIQUE, 0, 0) : STORE_OK;
      if (rc) return rc;
      if (n == 0) sql_str(&s->sql, "INSERT INTO job_task(job_id,ti_id)VALUES");
      sql_sep(&s->sql, n++, ",");
      sql_ch(&s->sql, '('), sql_i64(&s->sql, a->row.job), sql_ch(&s->sql, ','), sql_i64(&s->sql, a->row.ti), sql_ch(&s->sql, ')');
    }
    if (n > 0) s->want[s->n_want - 1].n = n;
  }
  return STORE_OK;
}
