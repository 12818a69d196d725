/* /monitor: instances as rows show them. Reads only, through one reader; each list is answered from an index of the store,
 * one page at a time. Any API thread. */
#include <stdlib.h>
#include "h_report.h"
#include "hosts.h"
#include "instance.h"
#include "share.h"
#include "why.h"
#include "wr_limits.h"

static struct page the_page(struct call *c) {
  c->page.limit = (uint32_t)c->q.limit;
  c->page.offset = (uint64_t)c->q.offset;
  return (struct page){c->page.limit, c->page.offset, c->q.total};
}

/* ---- flow instances ---- */

static int list_flow(void *ctx, const struct flow_row *row) {
  struct call *c = ctx;
  j_open(c->out, '{');
  row_flow_fields(c->out, row);
  j_close(c->out, '}');
  return 0;
}

enum wr_rc h_mon_flows(struct call *c) {
  enum wr_rc rc = c->body ? query_body(&c->q, c->body, c->route->query, c->route->most, &c->err) : WR_OK;
  if (rc != WR_OK) return rc;
  const struct query *q = &c->q;
  struct list_filter f = {.flow_id = q->flow_id, .fi = q->fi, .state = q->state, .status = q->status, .from_us = q->from_us,
                          .to_us = q->to_us};
  struct page p = the_page(c);
  c->page.on = true;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  j_open(c->out, '[');
  rc = reader_list_flow_ins(r, &f, &p, list_flow, c, &c->page.more, &c->page.total, &c->err);
  j_close(c->out, ']');
  reader_put(r);
  return rc;
}

/* ---- nodes ---- */

struct node_list { struct buf *out; const struct flow_def *def; };

static int list_node(void *ctx, const struct node_row *row) {
  const struct node_list *l = ctx;
  row_node(l->out, row, l->def);
  return 0;
}

/* All nodes, unless a page was asked for. */
static enum wr_rc write_nodes(struct call *c, const struct flow_read *in) {
  struct node_list l = {c->out, in->def};
  c->page.on = (c->q.has & Q_PAGE) != 0;
  if (!(c->q.has & Q_LIMIT)) c->q.limit = LIMIT_NODES;
  struct page p = the_page(c);
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  j_open(c->out, '[');
  enum wr_rc rc = reader_nodes(r, in->row.fi, in->row.run_no, c->q.all_runs, &p, list_node, &l, &c->page.more, &c->page.total,
                               &c->err);
  j_close(c->out, ']');
  reader_put(r);
  return rc;
}

static enum wr_rc show_flow(struct call *c) {
  struct flow_read in;
  enum wr_rc rc = instance_load(c, c->id, &in);
  if (rc == WR_OK) {
    c->wait.live = !flow_final((enum flow_state)in.row.state);
    j_open(c->out, '{');
    row_flow_fields(c->out, &in.row);
    rc = share_write(c, &in);
    struct why *why = why_open(&c->api->view);
    row_why(c->out, why_flow(why, &in.row));
    why_close(why);
    if (rc == WR_OK && !c->q.no_nodes) {
      j_key(c->out, "nodes");
      rc = write_nodes(c, &in);
    }
    j_close(c->out, '}');
  }
  flow_read_done(&in);
  return rc;
}

enum wr_rc h_mon_flow(struct call *c) { return call_wait(c, WAIT_FLOW, c->id, show_flow); }

enum wr_rc h_mon_detail(struct call *c) {
  struct flow_read in;
  enum wr_rc rc = c->body ? query_body(&c->q, c->body, c->route->query, c->route->most, &c->err) : WR_OK;
  if (rc != WR_OK) return rc;
  rc = instance_load(c, c->id, &in);
  if (rc == WR_OK) rc = write_nodes(c, &in);
  flow_read_done(&in);
  return rc;
}

/* ---- tasks ---- */

struct task_list {
  struct task_row *row; size_t n, cap;
  struct report_row *report;    /* what each has reported */
  struct arena text;
  struct tree_list trees;
  int state;                    /* wanted, -1 = any */
};

static int find_fi(void *ctx, const struct node_row *row) {
  *(int64_t *)ctx = row->fi;
  return 0;
}

static int keep_task(void *ctx, const struct task_row *row) {
  struct task_list *l = ctx;
  struct task_row brief = *row;
  if (l->state >= 0 && (int)row->t.state != l->state) return 0;
  if (brief.result_len > ROW_BRIEF_RESULT) brief.result = NULL; /* a thousand of them may stand in one answer */
  task_keep_row(&l->text, &brief, WR_PUSH(l->row, l->n, l->cap));
  tree_list_want(&l->trees, row);
  return 0;
}

static enum wr_rc read_reports(struct call *c, struct reader *r, struct task_list *l) {
  int64_t *ti = arena_alloc(&l->text, (l->n + 1) * sizeof *ti);
  l->report = arena_zalloc(&l->text, (l->n + 1) * sizeof *l->report);
  for (size_t i = 0; i < l->n; i++) ti[i] = l->row[i].ti;
  return l->n > 0 ? reader_reports(r, ti, l->n, l->report, &l->text, &c->err) : WR_OK;
}

static enum wr_rc read_tasks(struct call *c, struct task_list *l, int64_t *fi) {
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_node(r, c->id, find_fi, fi, &c->err);
  if (rc == WR_NOT_FOUND) rc = call_missing(c, "Node instance");
  if (rc == WR_OK) rc = reader_node_tasks(r, c->id, keep_task, l, &c->err);
  if (rc == WR_OK) rc = read_reports(c, r, l);
  if (rc == WR_OK) rc = tree_list_read(r, &l->trees, &c->err);
  for (size_t i = 0; i < l->n && rc == WR_OK; i++) task_live_log(r, &l->row[i]);
  reader_put(r);
  return rc;
}

static enum wr_rc write_tasks(struct call *c, const struct task_list *l, int64_t fi) {
  struct flow_read in;
  enum wr_rc rc = instance_load(c, fi, &in);
  struct why *why = why_open(&c->api->view);
  struct hosts hosts;
  hosts_open(&hosts, &c->api->view);
  j_open(c->out, '[');
  for (size_t i = 0; rc == WR_OK && i < l->n; i++) {
    struct task_def *def = flow_task_def(c->api->o.defs, &l->row[i], in.def, in.row.bases);
    j_open(c->out, '{');
    struct row_beside beside = {NULL, flow_run_no(in.row.bases, l->row[i].ti), host_of(&hosts, l->row[i].ran_by), &in,
                                c->api->o.executors};
    row_task_fields(c->out, &l->row[i], def, &beside, ROW_BRIEF);
    report_fields(c->out, &l->report[i], &l->row[i].t, NULL);
    row_tree(c->out, tree_list_get(&l->trees, l->row[i].ti));
    struct queue_view of = flow_task_queue(beside.of, beside.alone, l->row[i].ti, def);
    row_why(c->out, why_task_of(why, &l->row[i], def, beside.alone, &of));
    j_close(c->out, '}');
    def_task_unref(def);
  }
  j_close(c->out, ']');
  hosts_close(&hosts);
  why_close(why);
  flow_read_done(&in);
  return rc;
}

enum wr_rc h_mon_node(struct call *c) {
  struct task_list l = {.state = c->q.state};
  int64_t fi = 0;
  arena_init(&l.text, 0);
  enum wr_rc rc = read_tasks(c, &l, &fi);
  if (rc == WR_OK) rc = write_tasks(c, &l, fi);
  arena_done(&l.text);
  free(l.row);
  free(l.trees.v);
  return rc;
}

static enum wr_rc show_task(struct call *c) { return instance_task(c, c->id, TASK_HISTORY, NULL); }
enum wr_rc h_mon_task(struct call *c) { return call_wait(c, WAIT_TASK, c->id, show_task); }
