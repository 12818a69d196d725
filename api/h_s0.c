/* S0's routes, /redis/task/..: other words for stand-alone tasks. Success is plain text or plain JSON, as S0 has it; a refusal
 * has the envelope. Any API thread. What never happens: a second kind of task. */
#include <stdlib.h>
#include <string.h>
#include "call.h"
#include "hosts.h"
#include "instance.h"
#include "utf8.h"
#include "wr_limits.h"

enum { LIST_MOST = 10000 };

static void as_text(struct call *c) {
  http_out_again(c->http);
  c->type = "text/plain; charset=utf-8";
}

static void as_json(struct call *c) {
  http_out_again(c->http);
  c->type = "application/json";
}

static void put_id(struct buf *b, int64_t ti) {
  buf_str(b, S0_TASK);
  buf_i64(b, ti);
}

/* ---- start ---- */

enum wr_rc h_s0_start(struct call *c) {
  char seconds[24];
  int64_t ti = 0;
  if (!(c->q.has & Q_ALIVE))
    return wr_err_at(&c->err, WR_BAD_REQUEST, "/alivetime", "alivetime is required: whole seconds, 0 to 604800.");
  snprintf(seconds, sizeof seconds, "%lld", (long long)c->q.alive);
  json_t *body = json_pack("{ssss}", "taskType", "WAIT", "taskContent", seconds);
  enum wr_rc rc = body ? submit_body(c, body, &ti) : call_fail(c, WR_BUSY, NULL);
  json_decref(body);
  if (rc != WR_OK) return rc;
  as_text(c);
  put_id(c->out, ti);
  return WR_OK;
}

/* ---- which task ---- */

/* What S0's words know: stand-alone tasks alone. task_read_done() follows in every case. */
static enum wr_rc read_task(struct call *c, enum task_form form, struct task_read *in) {
  static const char form_of_id[] = "as start answers it: task-NUMBER, or the number alone";
  task_read_none(in);
  if (!(c->q.has & Q_S0_TASK)) return wr_err_at(&c->err, WR_NOT_FOUND, "/taskId", "taskId is required, %s.", form_of_id);
  if (c->q.ti == 0)
    return wr_err_at(&c->err, WR_NOT_FOUND, "/taskId", "There is no task %s; taskId must be %s.", c->q.no_task, form_of_id);
  enum wr_rc rc = instance_read_task(c, c->q.ti, form, in);
  if (rc == WR_OK && !in->is_alone)
    rc = call_fail(c, WR_NOT_FOUND, "Task instance %lld is not a stand-alone task.", (long long)c->q.ti);
  return rc;
}

/* ---- fetch ---- */

static const char *status_of(const struct task_read *in) {
  const struct task *t = &in->row.t;
  const struct attempt_row *last = in->n > 0 ? &in->attempt[in->n - 1] : NULL;
  switch (task_show(t)) {
  case SHOWN_QUEUED:
    if (last && last->epoch == task_attempt_of(t->epoch) && strcmp(last->why, task_ev_name(TASK_EV_LOST)) == 0)
      return "HOST_DOWN";
    break;
  case SHOWN_RUNNING: case SHOWN_PAUSING: case SHOWN_ANALYZING: case SHOWN_WAITING_CHILDREN:
    return "RUNNING";
  case SHOWN_CANCELING: case SHOWN_DELETING: return "STOPPING";
  case SHOWN_CANCELED: return "STOPPED";
  case SHOWN_SUCCESS: return "SUCCESS";
  case SHOWN_FAILED: case SHOWN_TIMEOUT: case SHOWN_DEAD: case SHOWN_DELETE_FAILED: return "FAIL";
  case SHOWN_NONE: case SHOWN_CREATED: case SHOWN_BLOCKED: case SHOWN_RETRY_WAIT: case SHOWN_PAUSED: case SHOWN__N: break;
  }
  return "INIT";
}

/* A text, always: of a result that is no UTF-8, U+FFFD stands for each byte that belongs to no character. */
static void put_result(struct buf *out, const char *v, size_t n) {
  struct buf text = BUF_INIT;
  uint32_t cp;
  for (size_t i = 0, len; i < n; i += len ? len : 1) {
    len = utf8_next(v + i, n - i, &cp);
    buf_add(&text, len ? v + i : "\xEF\xBF\xBD", len ? len : 3);
  }
  j_key(out, "taskResult");
  buf_json(out, text.data, text.len);
  buf_done(&text);
}

static void write_fetched(struct call *c, const struct task_read *in) {
  char id[40];
  struct hosts hosts;
  hosts_open(&hosts, &c->api->view);
  const char *host = host_of(&hosts, in->row.ran_by);
  snprintf(id, sizeof id, "%s%lld", S0_TASK, (long long)in->row.ti);
  as_json(c);
  buf_ch(c->out, '{');
  j_text(c->out, "taskId", id);
  j_text(c->out, "taskType", in->alone.type);
  j_text(c->out, "taskStatus", status_of(in));
  put_result(c->out, in->row.result ? in->row.result : "", in->row.result ? in->row.result_len : 0);
  j_text(c->out, "taskError", in->row.error ? in->row.error : "");
  j_text(c->out, "host", host ? host : "");
  j_close(c->out, '}');
  hosts_close(&hosts);
}

enum wr_rc h_s0_fetch(struct call *c) {
  struct task_read in;
  enum wr_rc rc = read_task(c, TASK_HISTORY, &in);
  if (rc == WR_OK) write_fetched(c, &in);
  task_read_done(&in);
  return rc;
}

/* ---- list ---- */

static int list_one(void *ctx, const struct task_row *row, const struct async_row *alone) {
  struct call *c = ctx;
  char id[40];
  (void)alone;
  snprintf(id, sizeof id, "%s%lld", S0_TASK, (long long)row->ti);
  j_string(c->out, id);
  return 0;
}

enum wr_rc h_s0_list(struct call *c) {
  const uint32_t owned = 1u << SHOWN_RUNNING | 1u << SHOWN_PAUSING | 1u << SHOWN_CANCELING;
  struct alone_filter f = {.states = owned | ALONE_ANALYZING | ALONE_WAITING, .alone_only = true};
  struct page p = {.limit = LIST_MOST};
  int64_t total = -1;
  bool more = false;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  as_json(c);
  buf_ch(c->out, '[');
  enum wr_rc rc = reader_list_alone(r, &f, &p, list_one, c, &more, &total, &c->err);
  j_close(c->out, ']');
  reader_put(r);
  return rc;
}

/* ---- cancel ---- */

enum wr_rc h_s0_cancel(struct call *c) {
  struct task_read in;
  enum wr_rc rc = read_task(c, TASK_PLAIN, &in);
  task_read_done(&in);
  if (rc == WR_OK) rc = ask_cancel(c, c->q.ti);
  if (rc != WR_OK) return rc;
  as_text(c);
  buf_str(c->out, "Success");
  return WR_OK;
}
