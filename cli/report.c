/* Reports: see report.h. */
#include "report.h"
#include <stdlib.h>
#include <string.h>
#include "answer.h"
#include "instance.h"
#include "say.h"
#include "text.h"

static double seconds(int64_t us) { return (double)us / 1e6; }

struct replay replay_of(const struct follow *f, const struct wf *w, uint32_t slots) {
  struct replay r = {.tasks = w->n, .slots = slots, .work_us = w->work_us};
  /* The nodes of the dag are the tasks in the order of the file; a START is no task. */
  r.critical_us = dag_critical_path(f->flow->dag, w->run_us);
  r.makespan_us = f->end_us && f->start_us ? f->end_us - f->start_us : 0;
  int64_t spread = w->work_us / slots;
  r.bound_us = r.critical_us > spread ? r.critical_us : spread;
  return r;
}

/* ---- JSON ---- */

static void figure(struct buf *b, const char *name, int64_t us) {
  j_key(b, name);
  buf_printf(b, "%.6f", seconds(us));
}

/* ---- tasks of a node ---- */

#define LOG_TAIL_BYTES 4096

struct tasks { struct task_row *row; size_t n, cap; struct arena text; };
static int keep_task(void *ctx, const struct task_row *row) {
  struct tasks *t = ctx;
  task_keep_row(&t->text, row, WR_PUSH(t->row, t->n, t->cap));
  return 0;
}

static enum wr_rc log_tail(struct buf *b, struct reader *r, const struct task_row *row, struct wr_err *err) {
  struct buf log = BUF_INIT;
  bool cut;
  enum wr_rc rc = steps_log_end(r, row, LOG_TAIL_BYTES, &log, &cut, err);
  if (!rc && log.len > 0) j_bytes(b, "logTail", log.data, log.len);
  buf_done(&log);
  return rc;
}

static enum wr_rc tree(struct buf *b, struct reader *r, int64_t ti, struct wr_err *err) {
  struct tree_row t;
  bool got;
  enum wr_rc rc = reader_tree(r, ti, &t, &got, err);
  if (!rc && got) row_tree(b, &t);
  return rc;
}

static enum wr_rc tasks_json(struct buf *b, const struct follow *f, int64_t ni, struct defs *defs, struct wr_err *err) {
  struct tasks t = {0};
  struct reader *r = reader_get(f->store, err);
  if (!r) return err->code;
  arena_init(&t.text, 0);
  enum wr_rc rc = reader_node_tasks(r, ni, keep_task, &t, err);
  j_key(b, "tasks");
  j_open(b, '[');
  for (size_t i = 0; i < t.n && !rc; i++) {
    struct task_def *def = flow_task_def(defs, &t.row[i], f->flow, f->bases);
    j_open(b, '{');
    row_task_fields(b, &t.row[i], def, &(struct row_beside){0}, ROW_FULL);
    rc = tree(b, r, t.row[i].ti, err);
    if (!rc) rc = log_tail(b, r, &t.row[i], err);
    j_close(b, '}');
    def_task_unref(def);
  }
  j_close(b, ']');
  reader_put(r);
  arena_done(&t.text);
  free(t.row);
  return rc;
}

/* As the API shows the node, but with its task instances where the API has their counts. */
static enum wr_rc node_json(struct buf *b, const struct follow *f, uint32_t i, struct defs *defs, struct wr_err *err) {
  const struct follow_node *n = &f->node[i];
  const struct node_row row = {.ni = n->ni, .fi = f->fi, .node_id = f->flow->node_base + i, .run_no = n->run_no,
                               .state = n->state, .error = n->error, .start_us = n->start_us, .end_us = n->end_us,
                               .create_us = n->create_us, .update_us = n->update_us};
  buf_ch(b, '{');
  row_node_fields(b, &row, &f->flow->node[i]);
  enum wr_rc rc = tasks_json(b, f, n->ni, defs, err);
  buf_ch(b, '}');
  return rc;
}

static void flush_line(FILE *to, struct buf *b) {
  buf_ch(b, '\n');
  say_json(to, b->data, b->len);
  fflush(to);
  buf_done(b);
}

static void flush_part(FILE *to, struct buf *b) {
  say_json(to, b->data, b->len);
  buf_clear(b);
}

enum wr_rc report_flow_json(FILE *to, const struct follow *f, struct defs *defs, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  struct buf b = BUF_INIT;
  buf_ch(&b, '{');
  j_i64(&b, "fiId", f->fi);
  j_text(&b, "status", flow_state_status((enum flow_state)f->state));
  j_text(&b, "state", flow_state_name((enum flow_state)f->state));
  j_text(&b, "errorMsg", f->error ? f->error : "");
  j_key(&b, "nodes");
  buf_ch(&b, '[');
  for (uint32_t i = 0, n = 0; i < f->flow->n && !rc; i++) {
    if (!f->node[i].ni) continue; /* START, END */
    if (n++) buf_ch(&b, ',');
    rc = node_json(&b, f, i, defs, err);
    flush_part(to, &b);
  }
  buf_str(&b, "]}");
  flush_line(to, &b);
  return rc;
}

void report_refusal_json(FILE *to, const struct wr_err *err) {
  struct buf b = BUF_INIT;
  buf_str(&b, "{\"status\":\"REFUSED\",\"error\":{");
  buf_printf(&b, "\"code\":\"%d\"", (int)err->code);
  j_text(&b, "error", wr_err_symbol(err->code));
  j_text(&b, "message", err->msg[0] ? err->msg : wr_err_text(err->code));
  if (err->path[0] && text_utf8(err->path, strlen(err->path))) j_text(&b, "path", err->path);
  buf_str(&b, "}}");
  flush_line(to, &b);
}

void report_replay_json(FILE *to, const struct follow *f, const struct replay *r) {
  struct buf b = BUF_INIT;
  buf_ch(&b, '{');
  j_i64(&b, "fiId", f->fi);
  j_text(&b, "status", flow_state_status((enum flow_state)f->state));
  j_i64(&b, "tasks", r->tasks);
  j_i64(&b, "slots", r->slots);
  figure(&b, "makespanSeconds", r->makespan_us);
  figure(&b, "criticalPathSeconds", r->critical_us);
  figure(&b, "workSeconds", r->work_us);
  figure(&b, "boundSeconds", r->bound_us);
  buf_ch(&b, '}');
  flush_line(to, &b);
}

/* ---- lines ---- */

void report_flow(FILE *to, const struct follow *f) {
  fprintf(to, "flow %lld %s", (long long)f->fi, flow_state_name((enum flow_state)f->state));
  if (f->start_us && f->end_us) fprintf(to, " %.3fs", seconds(f->end_us - f->start_us));
  if (f->error) {
    fputc(' ', to);
    follow_text(to, f->error, strlen(f->error));
  }
  fputc('\n', to);
}

void report_replay(FILE *to, const struct follow *f, const struct replay *r) {
  fprintf(to, "flow           %lld %s\n", (long long)f->fi, flow_state_name((enum flow_state)f->state));
  fprintf(to, "tasks          %u, %u at once\n", r->tasks, r->slots);
  fprintf(to, "makespan       %.6f s\n", seconds(r->makespan_us));
  fprintf(to, "critical path  %.6f s\n", seconds(r->critical_us));
  fprintf(to, "work           %.6f s\n", seconds(r->work_us));
  fprintf(to, "bound          %.6f s  = max(critical path, work / slots)\n", seconds(r->bound_us));
}
