/* Submits of stand-alone tasks: POST /exec/task, /exec/tasks and /exec/task/{id}. Each is one request to the runner, answered
 * after its commit from what the request itself holds: no read on this path. A task that was there already (its taskKey, or the
 * Idempotency-Key) is read back. Any API thread. */
#include <stdlib.h>
#include <string.h>
#include "call.h"
#include "h_def.h"
#include "h_report.h"
#include "hosts.h"
#include "instance.h"
#include "submit_load.h"
#include "why.h"
#include "wr_limits.h"

_Static_assert(ASYNC_HASH_BYTES == KEY_HASH_BYTES, "one hash for all");

static enum wr_rc read_body(struct call *c, struct submit *s, uint32_t i, const json_t *body, int64_t element, int64_t task_id) {
  struct def_site site = def_site_of(c);
  struct def_env env = def_env_at(&site);
  return submit_read(s, i, body, element, task_id, &env, &c->err);
}

/* ---- one ---- */

/* A new task as it was stored. */
static enum wr_rc answer_new(struct call *c, const struct req_task *t) {
  struct task_def *def = def_task_ref(t->def);
  if (!def && defs_task(c->api->o.defs, t->task_id, t->task_version, -1, &def, &c->err) != WR_OK) {
    wr_err_clear(&c->err);
    return instance_tell_task(c, t->ti, NULL);
  }
  struct queue_view q = queue_view(t->spec->queue, def->queue);
  struct task_row row = {.ti = t->ti, .task_id = t->task_id, .create_us = t->create_us, .update_us = t->create_us, .t = t->t,
                         .params = t->params ? t->params->text : NULL, .exit_code = -1, .executor = t->executor};
  struct async_row alone = {.ti = t->ti, .create_us = t->create_us, .name = def->name, .type = def->type, .user = q.user,
                            .group = q.group, .priority = q.priority, .cpu = q.cpu, .key = t->spec->key,
                            .start_at_us = t->start_at_us, .run_no = 1, .context_len = t->spec->context_len};
  struct hosts hosts;
  hosts_open(&hosts, &c->api->view);
  struct row_beside beside = {.alone = &alone, .host = host_of(&hosts, t->t.owner), .types = c->api->o.executors};
  j_open(c->out, '{');
  row_task_fields(c->out, &row, def, &beside, ROW_FULL);
  report_fields(c->out, &(struct report_row){0}, &row.t, &alone);
  struct why *why = why_open(&c->api->view);
  row_why(c->out, why_task(why, &row, def, &alone));
  why_close(why);
  hosts_close(&hosts);
  j_close(c->out, '}');
  def_task_unref(def);
  return WR_OK;
}

static enum wr_rc show_task(struct call *c) { return instance_tell_task(c, c->id, NULL); }

static enum wr_rc submit_one(struct call *c, int64_t task_id) {
  struct submit *s = submit_new(1);
  enum wr_rc rc = read_body(c, s, 0, c->body, -1, task_id);
  if (rc == WR_OK) rc = call_place(c, WAIT_TASK);
  if (rc == WR_OK) rc = call_post(c, &(struct req){.kind = REQ_EXEC_TASK, .task = s->task, .n_task = 1}, &s->load);
  if (rc == WR_OK && s->task[0].replayed) c->page.replayed = true;
  if (rc == WR_OK)
    rc = c->page.replayed || c->wait.w ? call_wait(c, WAIT_TASK, s->task[0].ti, show_task) : answer_new(c, &s->task[0]);
  load_unref(&s->load);
  return rc;
}

enum wr_rc submit_body(struct call *c, const json_t *body, int64_t *ti) {
  struct submit *s = submit_new(1);
  enum wr_rc rc = read_body(c, s, 0, body, -1, 0);
  if (rc == WR_OK) rc = call_post(c, &(struct req){.kind = REQ_EXEC_TASK, .task = s->task, .n_task = 1}, &s->load);
  if (rc == WR_OK) *ti = s->task[0].ti;
  load_unref(&s->load);
  return rc;
}

enum wr_rc h_exec_inline(struct call *c) { return submit_one(c, 0); }
enum wr_rc h_exec_task(struct call *c) { return submit_one(c, c->id); }

/* ---- many ---- */

static void answer_ids(struct call *c, const struct submit *s) {
  bool added = false;
  j_open(c->out, '[');
  for (uint32_t i = 0; i < s->n; i++) {
    if (i) buf_ch(c->out, ',');
    buf_i64(c->out, s->task[i].ti);
    added |= !s->task[i].replayed;
  }
  j_close(c->out, ']');
  if (s->n > 0 && !added) c->page.replayed = true;
}

enum wr_rc h_exec_tasks(struct call *c) {
  json_t *tasks;
  enum wr_rc rc = call_list(c, "tasks", LIMIT_SUBMITS, &tasks);
  if (rc != WR_OK) return rc;
  size_t n = json_array_size(tasks);
  struct submit *s = submit_new((uint32_t)n);
  for (uint32_t i = 0; i < n && rc == WR_OK; i++) rc = read_body(c, s, i, json_array_get(tasks, i), i, 0);
  struct req q = {.kind = REQ_EXEC_TASK, .task = s->task, .n_task = (uint32_t)n, .listed = true};
  if (rc == WR_OK && (n > 0 || c->key[0])) rc = call_post(c, &q, &s->load);
  if (rc == WR_OK) answer_ids(c, s);
  load_unref(&s->load);
  return rc;
}
