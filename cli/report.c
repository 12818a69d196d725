/* Reports: see report.h. */
#include "report.h"
#include <stdlib.h>
#include <string.h>
#include "clock.h"

static double seconds(int64_t us) { return (double)us / 1e6; }

struct replay replay_of(const struct follow *f, const struct wf *w, uint32_t slots) {
  struct replay r = {.tasks = w->n, .slots = slots, .work_us = w->work_us};
  /* The nodes of the dag are the tasks in the order of the file; a START is none. */
  r.critical_us = dag_critical_path(f->flow->dag, w->run_us);
  r.makespan_us = f->end_us && f->start_us ? f->end_us - f->start_us : 0;
  int64_t spread = w->work_us / slots;
  r.bound_us = r.critical_us > spread ? r.critical_us : spread;
  return r;
}

/* ---- JSON ---- */

static void member(struct buf *b, const char *name) {
  buf_printf(b, "%s\"%s\":", b->len && b->data[b->len - 1] != '{' ? "," : "", name);
}
static void text(struct buf *b, const char *name, const char *value) {
  member(b, name);
  buf_json(b, value, strlen(value));
}
static void number(struct buf *b, const char *name, int64_t value) {
  member(b, name);
  buf_i64(b, value);
}
static void figure(struct buf *b, const char *name, int64_t us) {
  member(b, name);
  buf_printf(b, "%.6f", seconds(us));
}
/* S2's time and the exact one; absent until known. */
static void instant(struct buf *b, const char *s2, const char *exact, int64_t us) {
  char t[CLOCK_RFC_LEN];
  if (!us) return;
  clock_s2(t, us);
  text(b, s2, t);
  if (!exact) return;
  clock_rfc3339(t, us);
  text(b, exact, t);
}

static void node(struct buf *b, const struct follow *f, uint32_t i) {
  const struct follow_node *n = &f->node[i];
  buf_ch(b, '{');
  number(b, "niId", n->ni);
  number(b, "fiId", f->fi);
  number(b, "nodeId", f->flow->node_base + i);
  text(b, "nodeKey", f->flow->node[i].key);
  text(b, "nodeType", "TASK");
  text(b, "status", node_state_status((enum node_state)n->state));
  text(b, "state", node_state_name((enum node_state)n->state));
  text(b, "errorMsg", n->error ? n->error : "");
  instant(b, "startTime", "startedAt", n->start_us);
  instant(b, "endTime", "endedAt", n->end_us);
  instant(b, "createTime", NULL, n->create_us);
  instant(b, "updateTime", NULL, n->update_us);
  buf_ch(b, '}');
}

static void flush_line(FILE *to, struct buf *b) {
  buf_ch(b, '\n');
  fwrite(b->data, 1, b->len, to);
  fflush(to);
  buf_done(b);
}

void report_flow_json(FILE *to, const struct follow *f) {
  struct buf b = BUF_INIT;
  buf_ch(&b, '{');
  number(&b, "fiId", f->fi);
  text(&b, "status", flow_state_status((enum flow_state)f->state));
  text(&b, "state", flow_state_name((enum flow_state)f->state));
  text(&b, "errorMsg", f->error ? f->error : "");
  member(&b, "nodes");
  buf_ch(&b, '[');
  for (uint32_t i = 0, n = 0; i < f->flow->n; i++) {
    if (!f->node[i].ni) continue; /* START, END */
    if (n++) buf_ch(&b, ',');
    node(&b, f, i);
  }
  buf_str(&b, "]}");
  flush_line(to, &b);
}

void report_replay_json(FILE *to, const struct follow *f, const struct replay *r) {
  struct buf b = BUF_INIT;
  buf_ch(&b, '{');
  number(&b, "fiId", f->fi);
  text(&b, "status", flow_state_status((enum flow_state)f->state));
  number(&b, "tasks", r->tasks);
  number(&b, "slots", r->slots);
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
    follow_text(to, f->error);
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
