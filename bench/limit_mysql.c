/* The ceiling on MySQL and MariaDB: one connection; each batch is one packet of multi-row statements that ends with COMMIT. Rows
 * that end alike, as all rows of a batch do here, are updated by one statement. */
#include <mysql.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "limit.h"
#include "mem.h"

#define DB "weir_bench_limit"
#define NEVER "TIMESTAMP'1970-01-01 00:00:00'"

struct raw { MYSQL *m; struct buf q; int64_t flows; };

static void run(struct raw *w) {
  if (mysql_real_query(w->m, w->q.data, w->q.len) != 0) die("mysql: %s", mysql_error(w->m));
  int rc;
  do {
    MYSQL_RES *res = mysql_store_result(w->m);
    if (res) mysql_free_result(res);
  } while ((rc = mysql_next_result(w->m)) == 0);
  if (rc > 0) die("mysql: %s", mysql_error(w->m));
  buf_clear(&w->q);
}

static void say(struct raw *w, const char *text) {
  buf_str(&w->q, text);
  run(w);
}

static const char *word(char **where, int n, const char *key) {
  size_t len = strlen(key);
  for (int i = 0; i < n; i++)
    if (strncmp(where[i], key, len) == 0 && where[i][len] == '=' && where[i][len + 1]) return where[i] + len + 1;
  return NULL;
}

static void open_server(struct raw *w, char **where, int n, const char *schema) {
  const char *port = word(where, n, "port");
  w->m = mysql_init(NULL);
  if (!w->m || !mysql_real_connect(w->m, word(where, n, "host"), word(where, n, "user"), word(where, n, "password"), NULL,
                                   port ? (unsigned)strtoul(port, NULL, 10) : 0, word(where, n, "socket"),
                                   CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS))
    die("mysql: %s", w->m ? mysql_error(w->m) : "no memory");
  say(w, "DROP DATABASE IF EXISTS " DB "; CREATE DATABASE " DB "; USE " DB "; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
  char *text = read_file(schema);
  say(w, text);
  free(text);
  say(w, "INSERT INTO engine_node (incarnation, state, lease_until, host, pid, slots, roles, schema_no, types, users, trouble, start_time) VALUES (1, 'LIVE', "
         "UTC_TIMESTAMP(6), 'x', 1, 1, 'x', 1, '', '', '', UTC_TIMESTAMP(6))");
}

/* A typed literal is converted once, where it is read. */
#define NOW_LEN (CLOCK_SQL_LEN + 11)
static void put_now(char now[NOW_LEN]) {
  memcpy(now, "TIMESTAMP'", 10);
  clock_sql(now + 10, clock_wall_us());
  memcpy(now + 9 + CLOCK_SQL_LEN, "'", 2);
}

static void new_flows(struct raw *w, int64_t n, const char *now) {
  if (n == 0) return;
  buf_str(&w->q, "INSERT INTO task_flow_ins (fi_id,version,state,flow_id,flow_version,live,start_at,update_time,bases,create_time) VALUES ");
  for (int64_t i = 0; i < n; i++)
    buf_printf(&w->q, "%s(%lld,1,1,1,1,1,%s,%s,'1000000:1000000',%s)", i ? "," : "", (long long)++w->flows, now, now, now);
  buf_ch(&w->q, ';');
}

/* The heads of steps at .. at+n-1 that end their flow, or go on, in one statement. */
static void some_heads(struct raw *w, int64_t at, int64_t n, bool end, const char *now) {
  size_t start = w->q.len, ids = 0;
  buf_printf(&w->q, "UPDATE task_flow_ins SET version=%lld,state=%d,live=%d,update_time=%s,end_at=%s WHERE fi_id IN(", (long long)at + 2,
             end ? 4 : 1, end ? 0 : 1, now, end ? now : NEVER);
  for (int64_t step = at; step < at + n; step++) {
    if (end != (step % LIMIT_FINAL_EVERY == LIMIT_FINAL_EVERY - 1)) continue;
    if (ids++) buf_ch(&w->q, ',');
    buf_i64(&w->q, step / LIMIT_FINAL_EVERY + 1);
  }
  buf_str(&w->q, ");");
  if (!ids) w->q.len = start;
}

/* One flow: the guarded UPDATE. Many flows: one statement for the flows that end with this step, one for the others. */
static void heads(struct raw *w, const struct shape *s, int64_t at, int64_t n, const char *now) {
  if (!s->flows) {
    buf_printf(&w->q, "UPDATE task_flow_ins SET version=%lld,live=1,failed=0,update_time=%s WHERE fi_id=1 AND version>=0;",
               (long long)at + 2, now);
    return;
  }
  some_heads(w, at, n < s->heads ? n : s->heads, false, now);
  some_heads(w, at, n < s->heads ? n : s->heads, true, now);
}

/* " WHERE key BETWEEN from+1 AND to;" */
static void where_in(struct raw *w, const char *key, int64_t from, int64_t to) {
  buf_printf(&w->q, " WHERE %s BETWEEN %lld AND %lld;", key, (long long)from + 1, (long long)to);
}

static void end_nodes(struct raw *w, int64_t from, int64_t to, const char *now) {
  buf_printf(&w->q, "UPDATE task_node_ins SET state=3,ok=1,fail=0,skip=0,t_ok=1,t_bad=0,t_open=0,end_at=%s,update_time=%s", now, now);
  where_in(w, "ni_id", from, to);
}

static void new_nodes(struct raw *w, int64_t from, int64_t to, const char *now) {
  buf_str(&w->q, "INSERT INTO task_node_ins (ni_id,state,ok,fail,skip,t_ok,t_bad,t_open,start_at,update_time,fi_id,node_id,run_no,"
                 "create_time) VALUES ");
  for (int64_t i = from; i < to; i++)
    buf_printf(&w->q, "%s(%lld,2,1,0,0,0,0,1,%s,%s,1,%lld,1,%s)", i > from ? "," : "", (long long)i + 1, now, now, (long long)i + 1, now);
  buf_ch(&w->q, ';');
}

static void end_tasks(struct raw *w, int64_t from, int64_t to, const char *now) {
  buf_printf(&w->q, "UPDATE task_ins SET state=9,end_as=0,losses=0,cancel_requested=0,epoch=1,tries=0,owner=0,update_time=%s,"
                    "end_at=%s,result_len=1,result_room='x',result_long=NULL,log=2,exit_code=0,`signal`=0,utime_us=0,stime_us=0,"
                    "maxrss_kib=0,log_bytes=1", now, now);
  where_in(w, "ti_id", from, to);
}

static void new_tasks(struct raw *w, int64_t from, int64_t to, const char *now) {
  buf_str(&w->q, "INSERT INTO task_ins (ti_id,ni_id,state,epoch,owner,start_at,update_time,fi_id,task_id,task_version,create_time) VALUES ");
  for (int64_t i = from; i < to; i++)
    buf_printf(&w->q, "%s(%lld,%lld,4,1,1,%s,%s,1,1,1,%s)", i > from ? "," : "", (long long)i + 1, (long long)i + 1, now, now, now);
  buf_ch(&w->q, ';');
}

static void one_batch(struct raw *w, const struct shape *s, int64_t at, int64_t n) {
  char now[NOW_LEN];
  put_now(now);
  buf_str(&w->q, "START TRANSACTION;");
  new_flows(w, s->flows * (at + n) / s->steps - s->flows * at / s->steps, now);
  heads(w, s, at, n, now);
  end_nodes(w, at, at + n, now);
  new_nodes(w, at + n, at + 2 * n, now);
  end_tasks(w, at, at + n, now);
  new_tasks(w, at + n, at + 2 * n, now);
  buf_printf(&w->q, "UPDATE engine_node SET last_batch=%lld,lease_until=UTC_TIMESTAMP(6)+INTERVAL 60 SECOND WHERE incarnation=1 AND "
                    "state='LIVE';COMMIT", (long long)at + 2);
  run(w);
}

double limit_mysql(char **where, int n, const char *schema, const struct shape *s) {
  struct raw w = {.q = BUF_INIT};
  char now[NOW_LEN];
  open_server(&w, where, n, schema);
  put_now(now);
  new_flows(&w, 1, now);
  new_nodes(&w, 0, s->batch, now);
  new_tasks(&w, 0, s->batch, now);
  buf_str(&w.q, "SELECT 1");
  run(&w);
  int64_t t = now_us();
  for (int64_t at = 0; at < s->steps; at += s->batch) one_batch(&w, s, at, s->batch);
  double seconds = (double)(now_us() - t) / 1e6;
  say(&w, "DROP DATABASE " DB);
  mysql_close(w.m);
  buf_done(&w.q);
  return seconds;
}
