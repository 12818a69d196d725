/* Facts of S1's views: each status, the names of the columns, times, and what a log shows that is no UTF-8. */
#include "facts.h"
#include "mem.h"

static void answer_is(bool log, const char *sql, const char *want) {
  char *is = facts_backend->ask(log, sql);
  if (strcmp(is, want) != 0) fail_msg("%s:\n%s--- wanted ---\n%s", sql, is, want);
  free(is);
}

/* A task that was made QUEUED and then became this. */
struct like { uint8_t state, phase; const char *last; uint32_t run_epoch; int status; };
static int64_t made(struct world *w, const struct like *k) {
  struct task_row t = alone_row_of(w, 0);
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  struct async_write aw = {ROW_INSERT, {.ti = t.ti, .create_us = t.create_us, .name = "n", .type = "ECHO", .run_epoch = k->run_epoch}};
  struct attempt_row at = {.ti = t.ti, .epoch = 2, .owner = w->me, .why = k->last ? k->last : "", .exit_code = -1};
  struct batch b = {.task = &tw, .n_task = 1, .async = &aw, .n_async = 1, .attempt = &at, .n_attempt = k->last ? 1 : 0};
  OK(batch_do(w, &b));
  t.t.state = k->state, t.t.phase = k->phase, t.t.epoch = 3;
  t.t.owner = k->state == TASK_RUNNING || k->state == TASK_PAUSING || k->state == TASK_CANCELING ? w->me : 0;
  t.end_us = k->state >= TASK_FINAL_MIN ? t.create_us : 0;
  OK(put_task(w, ROW_UPDATE, &t));
  return t.ti;
}

static void views_show_each_status(struct world *w) {
  static const struct like all[] = {
    {TASK_CREATED, 0, 0, 0, 0}, {TASK_BLOCKED, 0, 0, 0, 0}, {TASK_QUEUED, 0, 0, 0, 0}, {TASK_RETRY_WAIT, 0, "FAIL", 0, 0}, {TASK_PAUSED, 0, "PAUSED", 0, 0},
    {TASK_RUNNING, 0, "LOST", 0, 1}, {TASK_PAUSING, 0, 0, 0, 1}, {TASK_CANCELING, 0, 0, 0, 1}, {TASK_RUNNING, 1, 0, 0, 1}, {TASK_QUEUED, 1, "LOST", 0, 1},
    {TASK_QUEUED, 2, "LOST", 0, 1}, {TASK_RUNNING, 2, 0, 0, 1}, {TASK_RETRY_WAIT, 2, 0, 0, 1}, {TASK_PAUSED, 2, 0, 0, 0}, {TASK_CREATED, 3, 0, 0, 1},
    {TASK_SUCCESS, 0, "LOST", 0, 2}, {TASK_FAILED, 0, 0, 0, 3}, {TASK_TIMEOUT, 0, 0, 0, 3}, {TASK_DEAD, 0, "LOST", 0, 3}, {TASK_FAILED, 1, 0, 0, 3},
    {TASK_CANCELED, 0, 0, 0, 4}, {TASK_QUEUED, 0, "LOST", 0, 5}, {TASK_QUEUED, 0, "LOST", 2, 0}, {TASK_QUEUED, 0, "HANDBACK", 0, 0}};
  struct buf want = BUF_INIT, dead = BUF_INIT;
  char sql[120];
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    int64_t ti = made(w, &all[i]);
    bool owned = all[i].state == TASK_RUNNING || all[i].state == TASK_PAUSING || all[i].state == TASK_CANCELING;
    buf_printf(&want, "%lld|%d|\n", (long long)ti, all[i].status);
    buf_printf(&dead, "%lld|%d|\n", (long long)ti, owned ? 5 : all[i].status);
  }
  buf_ch(&want, '\0'), buf_ch(&dead, '\0');
  answer_is(false, "SELECT id, status FROM async_task_record ORDER BY id", want.data);
  for (int live = 0; live < 2; live++) {
    snprintf(sql, sizeof sql, "UPDATE engine_node SET state='%s' WHERE incarnation=%lld", live ? "LIVE" : "DEAD", (long long)w->me);
    answer_is(false, sql, "");
    answer_is(false, "SELECT id, status FROM async_task_record ORDER BY id", live ? want.data : dead.data);
  }
  buf_done(&want);
  buf_done(&dead);
}

static void views_show_what_a_task_is(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row node = task_row_of(w, &s, 0, 0), t = alone_row_of(w, 0);
  OK(put_task(w, ROW_INSERT, &node)); /* a task of a node is none */
  t.create_us = 1700000000000007, t.params = "{\"a\":1}";
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  struct async_write aw = {ROW_INSERT, {.ti = t.ti, .create_us = t.create_us, .name = "na'me", .type = "SHELL", .user = "us\xc3\xa9r", .cpu = 250}};
  struct batch b = {.task = &tw, .n_task = 1, .async = &aw, .n_async = 1};
  char sql[400], want[400];
  OK(batch_do(w, &b));
  snprintf(sql, sizeof sql, "SELECT uid, name, task_type, params, status, executor, cpu_overhead, create_at, execute_date, finish_date, failed_date "
           "FROM async_task_record WHERE id=%lld", (long long)t.ti);
  answer_is(false, sql, "us\xc3\xa9r|na'me|SHELL|{\"a\":1}|0|-|250|2023-11-14 22:13:20.000007|-|-|-|\n");
  static const struct { uint8_t state; const char *tail; } end[] = {
    {TASK_RUNNING, "1|h'ost|250|2023-11-14 22:13:20.000007|2023-11-14 22:13:21.100000|-|-|\n"},
    {TASK_SUCCESS, "2|h'ost|250|2023-11-14 22:13:20.000007|2023-11-14 22:13:21.100000|2023-11-14 22:13:22.000010|-|\n"},
    {TASK_FAILED, "3|h'ost|250|2023-11-14 22:13:20.000007|2023-11-14 22:13:21.100000|-|2023-11-14 22:13:22.000010|\n"},
    {TASK_CANCELED, "4|h'ost|250|2023-11-14 22:13:20.000007|2023-11-14 22:13:21.100000|-|-|\n"}};
  for (size_t i = 0; i < sizeof end / sizeof *end; i++) {
    t.t.state = end[i].state, t.t.epoch = 1, t.t.owner = i ? 0 : w->me, t.t.start_us = 1700000001100000, t.end_us = i ? 1700000002000010 : 0;
    OK(put_task(w, ROW_UPDATE, &t));
    snprintf(want, sizeof want, "us\xc3\xa9r|na'me|SHELL|{\"a\":1}|%s", end[i].tail);
    answer_is(false, sql, want);
  }
  answer_is(false, "SELECT COUNT(*) FROM async_task_record", "1|\n");
  flow_end(w, &s, FLOW_FAILED);
  def_flow_unref(f);
}

static void views_show_chunks_as_text(struct world *w) {
  static const struct { const char *bytes; size_t n; const char *text; } all[] = {
    {"plain\n", 6, "plain\n"}, {"\xe4\xb8\xad\xf0\x9f\x98\x80", 7, "\xe4\xb8\xad\xf0\x9f\x98\x80"}, {"a\xff" "b", 3, "a\xef\xbf\xbd" "b"},
    {"\xe4\xb8", 2, "\xef\xbf\xbd\xef\xbf\xbd"}, {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xc0\xaf\xf4\x90\x80\x80", 6, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, {"", 0, ""}};
  struct wr_err err;
  struct logs *l = NULL;
  struct buf want = BUF_INIT;
  int64_t ti, offset = 0;
  char sql[160];
  WR(logs_open(w->s, &l, &err));
  OK(store_ids(w->s, ID_TI, 1, &ti));
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    const struct log_chunk c = {.ti = ti, .epoch = 1, .seq = (uint32_t)i, .stream = 1, .offset = offset, .time_us = 1700000000000000 + (int64_t)i,
                                .data = all[i].bytes, .n = all[i].n};
    OK(logs_write(l, &c, 1));
    offset += (int64_t)all[i].n;
    buf_printf(&want, "2023-11-14 22:13:20.%06zu|%s|\n", i, all[i].text);
  }
  logs_close(l);
  buf_ch(&want, '\0');
  snprintf(sql, sizeof sql, "SELECT create_at, log_info FROM async_task_log_record WHERE task_id=%lld ORDER BY id", (long long)ti);
  answer_is(true, sql, want.data);
  buf_done(&want);
}

const struct fact facts_views[] = {FACT_FRESH(views_show_each_status), FACT_FRESH(views_show_what_a_task_is), FACT(views_show_chunks_as_text)};
const size_t n_facts_views = sizeof facts_views / sizeof *facts_views;
