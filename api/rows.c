/* Rows of instances: see rows.h. */
#include "rows.h"
#include <stdlib.h>
#include <string.h>
#include "bases.h"
#include "clock.h"
#include "instance.h"
#include "node_defs.h"
#include "why.h"

/* startTime, endTime, createTime, updateTime and their exact forms. */
static void times(struct buf *b, int64_t start, int64_t end) {
  j_time(b, "startTime", "startedAt", start);
  j_time(b, "endTime", "endedAt", end);
}

void row_flow_fields(struct buf *b, const struct flow_row *row) {
  enum flow_state s = (enum flow_state)row->state;
  j_i64(b, "fiId", row->fi);
  j_i64(b, "flowId", row->flow_id);
  j_text(b, "flowName", row->flow_name);
  j_i64(b, "flowVersion", row->flow_version);
  times(b, row->start_us, row->end_us);
  j_text(b, "status", flow_state_status(s));
  j_text(b, "state", flow_state_name(s));
  j_text(b, "errorMsg", row->error ? row->error : "");
  j_i64(b, "runNo", row->run_no);
  j_raw(b, "params", row->params);
  j_time(b, "createTime", "createdAt", row->create_us);
  j_time(b, "updateTime", "updatedAt", row->update_us);
}

static const struct node_def *node_of(const struct flow_def *f, int64_t node_id) {
  if (!f || node_id < f->node_base || node_id - f->node_base >= f->n) return NULL;
  return &f->node[node_id - f->node_base];
}

/* total: as defined. The others count task instances, and there are none before the node starts. */
static void node_tasks(struct buf *b, const struct node_row *row, const struct node_def *n) {
  j_key(b, "tasks");
  j_open(b, '{');
  j_i64(b, "total", n ? n->n_task_id + n->n_task : row->t_ok + row->t_bad + row->t_open);
  j_i64(b, "success", row->t_ok);
  j_i64(b, "failed", row->t_bad - row->t_canceled);
  j_i64(b, "canceled", row->t_canceled);
  j_i64(b, "open", row->t_open);
  j_close(b, '}');
}

void row_node_fields(struct buf *b, const struct node_row *row, const struct node_def *n) {
  enum node_state s = (enum node_state)row->state;
  j_i64(b, "niId", row->ni);
  j_i64(b, "fiId", row->fi);
  j_i64(b, "nodeId", row->node_id);
  j_text(b, "nodeKey", n ? n->key : NULL);
  j_text(b, "nodeType", "TASK");
  j_text(b, "status", node_state_status(s));
  j_text(b, "state", node_state_name(s));
  j_text(b, "errorMsg", row->error ? row->error : "");
  j_i64(b, "runNo", row->run_no);
  times(b, row->start_us, row->end_us);
  j_time(b, "createTime", NULL, row->create_us);
  j_time(b, "updateTime", NULL, row->update_us);
}

void row_node(struct buf *b, const struct node_row *row, const struct flow_def *def) {
  const struct node_def *n = node_of(def, row->node_id);
  j_open(b, '{');
  row_node_fields(b, row, n);
  node_tasks(b, row, n);
  j_close(b, '}');
}

static void task_usage(struct buf *b, const struct task_row *row) {
  if (row->exit_code >= 0) j_i64(b, "exitCode", row->exit_code);
  if (row->signal > 0) j_i64(b, "signal", row->signal);
  if (row->utime_us == 0 && row->stime_us == 0 && row->maxrss_kib == 0) return;
  j_i64(b, "userTimeUs", row->utime_us);
  j_i64(b, "systemTimeUs", row->stime_us);
  j_i64(b, "maxRssKib", row->maxrss_kib);
}

static void task_queue_fields(struct buf *b, int64_t ti, const struct task_def *def, const struct row_beside *beside) {
  const struct async_row *a = beside->alone;
  struct queue_view q = flow_task_queue(beside->of, beside->alone, ti, def);
  uint32_t run_no = a ? a->run_no : beside->run_no;
  if (a) j_text(b, "taskKey", a->key);
  j_text(b, "user", q.user);
  j_text(b, "group", q.group);
  j_i64(b, "priority", q.priority);
  j_i64(b, "cpuOverhead", q.cpu);
  if (a && a->start_at_us) {
    char at[CLOCK_RFC_LEN];
    clock_rfc3339(at, a->start_at_us);
    j_text(b, "startAt", at);
  }
  if (run_no) j_i64(b, "runNo", run_no);
  j_text(b, "host", beside->host);
}

/* Of an attempt, with what its node says. */
/* An inline task has no definition here: its own config counts, then that of the version of its executor. */
static int64_t inline_timeout(const struct task_row *row, const struct row_beside *beside) {
  int64_t us = config_timeout_us(beside->alone->config);
  if (us || !row->executor || !beside->types || !beside->alone->type) return us;
  const struct executor *x = registry_find(beside->types, beside->alone->type, row->executor);
  if (!x) x = registry_find(beside->types, beside->alone->type, 0); /* another member knows that version */
  return x && x->added ? config_timeout_us(x->added->config) : 0;
}

static int64_t run_timeout(const struct task_row *row, const struct task_def *def, const struct row_beside *beside) {
  const struct flow_read *of = beside->of;
  if (!def) return beside->alone ? inline_timeout(row, beside) : 0;
  const struct dag *dag = of && of->def ? of->def->dag : NULL;
  int64_t first = dag && of->row.bases ? run_base_of_task(of->row.bases, row->ti) : -1;
  return first < 0 || row->ti - first >= dag->n_task ? def->timeout_us : def_timeout_us(&of->def->ref[row->ti - first], def);
}

/* Who runs it or ran it last, and until when an attempt may run. */
static void task_run_fields(struct buf *b, const struct task_row *row, const struct task_def *def,
                            const struct row_beside *beside) {
  int64_t us = run_timeout(row, def, beside), ran_by = row->ran_by ? row->ran_by : row->t.owner;
  char at[CLOCK_RFC_LEN];
  if (ran_by) j_i64(b, "memberId", ran_by);
  if (us == 0) return;
  j_key(b, "runTimeout");
  buf_printf(b, "%.15g", (double)us / 1e6);
  if (row->t.state != TASK_RUNNING || row->t.start_us == 0 || row->t.phase == PHASE_ANALYSE) return;
  clock_rfc3339(at, row->t.start_us + us);
  j_text(b, "deadlineAt", at);
}

void row_task_fields(struct buf *b, const struct task_row *row, const struct task_def *def, const struct row_beside *beside,
                     enum row_form form) {
  const struct async_row *alone = beside->alone;
  char log[64];
  j_i64(b, "tiId", row->ti);
  if (row->ni) j_i64(b, "niId", row->ni);
  if (row->fi) j_i64(b, "fiId", row->fi);
  if (row->task_id) j_i64(b, "taskId", row->task_id);
  if (alone && alone->job > 0) j_i64(b, "jobId", alone->job);
  if (alone && alone->parent) j_i64(b, "parentTiId", alone->parent);
  if (alone && alone->root) j_i64(b, "rootTiId", alone->root);
  if (row->task_id) j_i64(b, "taskVersion", row->t.version);
  if (row->executor) j_i64(b, "executorVersion", row->executor);
  j_text(b, "taskName", alone ? alone->name : def ? def->name : NULL);
  j_text(b, "taskType", alone ? alone->type : def ? def->type : NULL);
  j_text(b, "execStatus", task_state_status(row->t.state));
  j_text(b, "state", task_shown(&row->t));
  j_text(b, "errorMsg", row->error ? row->error : "");
  j_raw(b, "params", row->params);
  times(b, row->t.start_us, row->end_us);
  bool whole = row->result && (form == ROW_FULL || row->result_len <= ROW_BRIEF_RESULT); /* a list may know its length alone */
  if (whole) j_bytes(b, "result", row->result, row->result_len);
  else if (row->result_len > 0) j_i64(b, "resultBytes", (int64_t)row->result_len);
  task_usage(b, row);
  j_i64(b, "attempt", task_attempt_of(row->t.epoch));
  j_i64(b, "failures", row->t.tries);
  j_i64(b, "losses", row->t.losses);
  if (row->t.cancel_requested) j_bool(b, "cancelRequested", true);
  if (row->t.due_us && row->t.state != TASK_BLOCKED) j_time(b, "retryTime", "retryAt", row->t.due_us);
  if (row->log_bytes >= 0) j_i64(b, "logBytes", row->log == LOG_IS_RESULT ? (int64_t)row->result_len : row->log_bytes);
  if (row->log_lost > 0) {
    j_key(b, "logLost");
    j_open(b, '{');
    j_i64(b, "bytes", row->log_lost);
    j_text(b, "reason", log_lost_name((enum log_lost)row->log_lost_why));
    j_close(b, '}');
  }
  snprintf(log, sizeof log, "/monitor/task/%lld/log", (long long)row->ti);
  j_text(b, "log", log);
  task_queue_fields(b, row->ti, def, beside);
  task_run_fields(b, row, def, beside);
  j_time(b, "createTime", "createdAt", row->create_us);
  j_time(b, "updateTime", "updatedAt", row->update_us);
}

void row_tree(struct buf *b, const struct tree_row *t) {
  if (!t) return;
  if (said_name((enum task_said)t->verdict)) j_text(b, "verdict", said_name((enum task_said)t->verdict));
  if (t->total + t->known == 0) return;
  j_key(b, "children");
  j_open(b, '{');
  j_i64(b, "total", t->total);
  j_i64(b, "live", t->live);
  j_i64(b, "failed", t->failed);
  j_i64(b, "known", t->known);
  j_close(b, '}');
}

void row_why(struct buf *b, const struct why_said *said) {
  if (!said) return;
  j_text(b, "why", said->code);
  j_text(b, "whyText", said->text);
}

void row_attempt(struct buf *b, const struct attempt_row *row, const char *host) {
  j_open(b, '{');
  j_i64(b, "attempt", row->epoch);
  j_i64(b, "runNo", row->run_no ? row->run_no : 1);
  j_text(b, "end", row->why);
  if (said_name((enum task_said)row->said)) j_text(b, "verdict", said_name((enum task_said)row->said));
  if (row->owner) j_i64(b, "memberId", row->owner);
  j_text(b, "host", host);
  j_text(b, "errorMsg", row->error ? row->error : "");
  if (row->exit_code >= 0) j_i64(b, "exitCode", row->exit_code);
  if (row->signal > 0) j_i64(b, "signal", row->signal);
  times(b, row->start_us, row->end_us);
  j_close(b, '}');
}
