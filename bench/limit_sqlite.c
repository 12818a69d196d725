/* The ceiling on SQLite: prepared statements, WAL, synchronous=FULL, one connection. No checkpoint holds up the writer, as in the
 * server, where another thread makes them. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "limit.h"

enum stmt { BEGIN, COMMIT, FLOW_NEW, HEAD, HEAD_END, NODE_NEW, NODE_END, TASK_NEW, TASK_END, RECEIPT, STMT__N };
static const char *const sql[STMT__N] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [FLOW_NEW] = "INSERT INTO task_flow_ins (fi_id, version, state, flow_id, flow_version, live, start_time, update_time, bases, "
                 "create_time) VALUES (?1, ?2, 1, 1, 1, 1, ?3, ?3, '1000000:1000000', ?3)",
    [HEAD] = "UPDATE task_flow_ins SET version=?2, wish=0, run_no=1, live=1, failed=0, update_time=?3, more_from=NULL WHERE fi_id=?1",
    [HEAD_END] = "UPDATE task_flow_ins SET version=?2, wish=0, run_no=1, live=0, failed=0, update_time=?3, end_time=?3, state=4 "
                 "WHERE fi_id=?1",
    [NODE_NEW] = "INSERT INTO task_node_ins (ni_id, state, ok, fail, skip, t_ok, t_bad, t_open, start_time, update_time, fi_id, "
                 "node_id, run_no, create_time) VALUES (?1, 2, 1, 0, 0, 0, 0, 1, ?2, ?2, 1, ?1, 1, ?2)",
    [NODE_END] = "UPDATE task_node_ins SET state=3, ok=1, fail=0, skip=0, t_ok=1, t_bad=0, t_open=0, end_time=?2, update_time=?2 "
                 "WHERE ni_id=?1",
    [TASK_NEW] = "INSERT INTO task_ins (ti_id, ni_id, state, epoch, owner, start_time, update_time, fi_id, task_id, task_version, "
                 "create_time) VALUES (?1, ?1, 4, 1, 1, ?2, ?2, 1, 1, 1, ?2)",
    [TASK_END] = "UPDATE task_ins SET state=9, end_as=0, losses=0, cancel_requested=0, epoch=1, tries=0, owner=0, update_time=?2, "
                 "end_time=?2, result=X'78', log=2, exit_code=0, signal=0, utime_us=0, stime_us=0, maxrss_kib=0, log_bytes=1 "
                 "WHERE ti_id=?1",
    [RECEIPT] = "UPDATE engine_node SET last_batch=?1 WHERE incarnation=1",
};

struct raw { sqlite3 *db; sqlite3_stmt *st[STMT__N]; int64_t flows; };

static void exec(struct raw *w, const char *text) {
  if (sqlite3_exec(w->db, text, NULL, NULL, NULL) != SQLITE_OK) die("sqlite: %s", sqlite3_errmsg(w->db));
}

static void run(struct raw *w, enum stmt which, int64_t a, int64_t b, int64_t c) {
  sqlite3_stmt *st = w->st[which];
  const int64_t v[3] = {a, b, c};
  for (int i = 0; i < sqlite3_bind_parameter_count(st); i++) sqlite3_bind_int64(st, i + 1, v[i]);
  if (sqlite3_step(st) != SQLITE_DONE) die("sqlite: %s", sqlite3_errmsg(w->db));
  sqlite3_reset(st);
}

static void open_file(struct raw *w, const char *file, const char *schema) {
  char name[4096];
  static const char *const tail[] = {"", "-wal", "-shm"};
  for (int i = 0; i < 3; i++) {
    snprintf(name, sizeof name, "%s%s", file, tail[i]);
    unlink(name);
  }
  if (sqlite3_open(file, &w->db) != SQLITE_OK) die("%s: %s", file, sqlite3_errmsg(w->db));
  exec(w, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-32768; "
          "PRAGMA temp_store=MEMORY");
  char *text = read_file(schema);
  exec(w, text);
  free(text);
  exec(w, "INSERT INTO engine_node (incarnation, state, host, pid, slots, roles, start_time) VALUES (1, 'LIVE', 'x', 1, 1, 'x', 1)");
  for (int i = 0; i < STMT__N; i++)
    if (sqlite3_prepare_v3(w->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &w->st[i], NULL) != SQLITE_OK)
      die("sqlite: %s", sqlite3_errmsg(w->db));
}

static void new_flows(struct raw *w, int64_t n, int64_t batch, int64_t now) {
  for (int64_t i = 0; i < n; i++) run(w, FLOW_NEW, ++w->flows, batch, now);
}

/* Steps at .. at+n-1 end, the n after them begin. */
static void one_batch(struct raw *w, const struct shape *s, int64_t at, int64_t n) {
  int64_t now = now_us(), id = at + 1;
  run(w, BEGIN, 0, 0, 0);
  new_flows(w, s->flows * (at + n) / s->steps - s->flows * at / s->steps, id, now);
  for (int64_t i = 0; i < s->heads && i < n; i++) {
    int64_t step = at + i, fi = s->flows ? step / LIMIT_FINAL_EVERY + 1 : 1;
    bool ends = s->flows && step % LIMIT_FINAL_EVERY == LIMIT_FINAL_EVERY - 1;
    run(w, ends ? HEAD_END : HEAD, fi, id, now);
  }
  for (int64_t i = at; i < at + n; i++) run(w, NODE_END, i + 1, now, 0);
  for (int64_t i = at + n; i < at + 2 * n; i++) run(w, NODE_NEW, i + 1, now, 0);
  for (int64_t i = at; i < at + n; i++) run(w, TASK_END, i + 1, now, 0);
  for (int64_t i = at + n; i < at + 2 * n; i++) run(w, TASK_NEW, i + 1, now, 0);
  run(w, RECEIPT, id, 0, 0);
  run(w, COMMIT, 0, 0, 0);
}

double limit_sqlite(const char *file, const char *schema, const struct shape *s) {
  struct raw w = {0};
  open_file(&w, file, schema);
  run(&w, BEGIN, 0, 0, 0);
  new_flows(&w, 1, 1, 1);
  for (int64_t i = 0; i < s->batch; i++) {
    run(&w, NODE_NEW, i + 1, 1, 0);
    run(&w, TASK_NEW, i + 1, 1, 0);
  }
  run(&w, COMMIT, 0, 0, 0);
  int64_t t = now_us();
  for (int64_t at = 0; at < s->steps; at += s->batch) one_batch(&w, s, at, s->batch);
  double seconds = (double)(now_us() - t) / 1e6;
  for (int i = 0; i < STMT__N; i++) sqlite3_finalize(w.st[i]);
  sqlite3_close(w.db);
  return seconds;
}
