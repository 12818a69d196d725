/* GET /monitor/task: task instances as rows show them, stand-alone ones unless tasks of nodes are asked for too. One page, read
 * from an index; what stands beside each row is read after the page, with no reader held. Any API thread. */
#include <stdlib.h>
#include "h_report.h"
#include "hosts.h"
#include "instance.h"
#include "node_defs.h"
#include "why.h"
#include "wr_limits.h"

struct listed { struct task_row row; struct async_row alone; bool is_alone; struct report_row report; };
struct listing { struct listed *v; size_t n, cap; struct arena text; struct tree_list trees; };

static int keep(void *ctx, const struct task_row *row, const struct async_row *alone) {
  struct listing *l = ctx;
  struct listed *x = WR_PUSH(l->v, l->n, l->cap);
  struct task_row brief = *row;
  *x = (struct listed){.is_alone = alone != NULL};
  if (brief.result_len > ROW_BRIEF_RESULT) brief.result = NULL; /* five hundred of them may stand in one answer */
  task_keep_row(&l->text, &brief, &x->row);
  tree_list_want(&l->trees, row);
  if (alone) {
    struct async_row beside = *alone;
    if (row->t.state != TASK_QUEUED) beside.config = NULL; /* only `why` looks into it */
    task_keep_async(&l->text, &beside, &x->alone);
  }
  return 0;
}

struct alone_filter alone_filter_of(const struct query *q) {
  return (struct alone_filter){.user = q->has & Q_USER ? q->user : NULL, .group = q->has & Q_GROUP ? q->group : NULL,
                               .type = q->has & Q_TYPE ? q->type : NULL, .key = q->has & Q_TASK_KEY ? q->key : NULL,
                               .key_prefix = q->key_prefix, .task_id = q->task_id, .job = q->job_id, .parent = q->parent,
                               .states = q->states, .status = q->status,
                               .from_us = q->from_us, .to_us = q->to_us, .alone_only = !q->every_task};
}

/* What all of them reported, asked for at once. */
static enum wr_rc read_reports(struct call *c, struct listing *l, struct reader *r) {
  int64_t *ti = wr_calloc(l->n + 1, sizeof *ti);
  struct report_row *row = wr_calloc(l->n + 1, sizeof *row);
  for (size_t i = 0; i < l->n; i++) ti[i] = l->v[i].row.ti;
  enum wr_rc rc = reader_reports(r, ti, l->n, row, &l->text, &c->err);
  for (size_t i = 0; i < l->n; i++) l->v[i].report = row[i];
  free(row);
  free(ti);
  return rc;
}

static enum wr_rc read_page(struct call *c, struct listing *l) {
  struct alone_filter f = alone_filter_of(&c->q);
  struct page p = {(uint32_t)c->q.limit, (uint64_t)c->q.offset, c->q.total};
  struct alone_pos at = {c->q.after_us, c->q.after_ti};
  struct node_defs nodes;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  node_defs_init(&nodes, c->api->o.defs);
  f.def_of = node_def_of;
  f.def_ctx = &nodes;
  f.pos = &at;
  enum wr_rc rc = reader_list_alone(r, &f, &p, keep, l, &c->page.more, &c->page.total, &c->err);
  bool ended_early = c->page.more && l->n < p.limit, by_place = c->q.after_ti != 0; /* behind this, offsets lead nowhere */
  if (c->page.more && (ended_early || by_place)) c->page.after_ti = at.ti, c->page.after_us = at.create_us;
  if (ended_early) c->page.more = false;
  if (c->q.total && c->page.total < 0) c->page.total = ANSWER_UNCOUNTED;
  for (size_t i = 0; i < l->n && rc == WR_OK; i++) task_live_log(r, &l->v[i].row);
  if (rc == WR_OK && l->n > 0) rc = read_reports(c, l, r);
  if (rc == WR_OK) rc = tree_list_read(r, &l->trees, &c->err);
  reader_put(r);
  node_defs_done(&nodes);
  return rc;
}

/* The flow instance that was needed last: tasks of one flow often follow each other. */
struct flow_seen { int64_t fi; struct flow_read in; };

static enum wr_rc see_flow(struct call *c, struct flow_seen *f, int64_t fi) {
  if (f->fi == fi) return WR_OK;
  if (f->fi != 0) flow_read_done(&f->in);
  f->fi = fi;
  if (fi == 0) return WR_OK;
  enum wr_rc rc = instance_load(c, fi, &f->in);
  return rc == WR_NOT_FOUND ? WR_OK : rc; /* it was removed since: its tasks are shown without what it knows of them */
}

/* What one answer keeps from row to row. */
struct seen { struct flow_seen flow; struct hosts hosts; struct why *why; const struct tree_list *trees; };

static enum wr_rc write_one(struct call *c, const struct listed *x, struct seen *seen) {
  enum wr_rc rc = see_flow(c, &seen->flow, x->row.fi);
  if (rc != WR_OK) return rc;
  const struct flow_read *in = x->row.fi != 0 ? &seen->flow.in : NULL;
  struct row_beside beside = {x->is_alone ? &x->alone : NULL, in ? flow_run_no(in->row.bases, x->row.ti) : 0,
                              host_of(&seen->hosts, x->row.ran_by), in, c->api->o.executors};
  /* what is shown of a stand-alone task stands beside its row; only `why` asks for its definition */
  bool needed = !x->is_alone || x->row.t.state == TASK_QUEUED;
  struct task_def *def = needed ? flow_task_def(c->api->o.defs, &x->row, in ? in->def : NULL, in ? in->row.bases : NULL) : NULL;
  j_open(c->out, '{');
  row_task_fields(c->out, &x->row, def, &beside, ROW_BRIEF);
  report_fields(c->out, &x->report, &x->row.t, beside.alone);
  row_tree(c->out, tree_list_get(seen->trees, x->row.ti));
  struct queue_view of = flow_task_queue(beside.of, beside.alone, x->row.ti, def);
  row_why(c->out, why_task_of(seen->why, &x->row, def, beside.alone, &of));
  j_close(c->out, '}');
  def_task_unref(def);
  return WR_OK;
}

static enum wr_rc write_page(struct call *c, const struct listing *l) {
  struct seen seen = {.why = why_open(&c->api->view), .trees = &l->trees};
  enum wr_rc rc = WR_OK;
  hosts_open(&seen.hosts, &c->api->view);
  j_open(c->out, '[');
  for (size_t i = 0; rc == WR_OK && i < l->n; i++) rc = write_one(c, &l->v[i], &seen);
  j_close(c->out, ']');
  hosts_close(&seen.hosts);
  why_close(seen.why);
  if (seen.flow.fi != 0) flow_read_done(&seen.flow.in);
  return rc;
}

enum wr_rc h_mon_tasks(struct call *c) {
  struct listing l = {0};
  c->page.on = true;
  c->page.limit = (uint32_t)c->q.limit;
  c->page.offset = (uint64_t)c->q.offset;
  arena_init(&l.text, 0);
  enum wr_rc rc = read_page(c, &l);
  if (rc == WR_OK) rc = write_page(c, &l);
  arena_done(&l.text);
  free(l.v);
  free(l.trees.v);
  return rc;
}
