/* /monitor: instances as rows show them. Reads only, through one reader; each list is answered from an index of the store,
 * one page at a time. Any API thread. */
#include <stdlib.h>
#include "instance.h"
#include "why.h"
#include "wr_limits.h"
#include "weir_executor.h"

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
static enum wr_rc write_nodes(struct call *c, const struct instance *in) {
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

enum wr_rc h_mon_flow(struct call *c) {
  struct instance in;
  enum wr_rc rc = instance_load(c, c->id, &in);
  if (rc == WR_OK) {
    j_open(c->out, '{');
    row_flow_fields(c->out, &in.row);
    struct why *why = why_open(c);
    why_flow(why, &in.row);
    why_close(why);
    if (!c->q.no_nodes) {
      j_key(c->out, "nodes");
      rc = write_nodes(c, &in);
    }
    j_close(c->out, '}');
  }
  instance_done(&in);
  return rc;
}

enum wr_rc h_mon_detail(struct call *c) {
  struct instance in;
  enum wr_rc rc = c->body ? query_body(&c->q, c->body, c->route->query, c->route->most, &c->err) : WR_OK;
  if (rc != WR_OK) return rc;
  rc = instance_load(c, c->id, &in);
  if (rc == WR_OK) rc = write_nodes(c, &in);
  instance_done(&in);
  return rc;
}

/* ---- tasks ---- */

struct task_list { struct task_row *row; size_t n, cap; struct arena text; int state; /* wanted, -1 = any */ };

static int find_fi(void *ctx, const struct node_row *row) {
  *(int64_t *)ctx = row->fi;
  return 0;
}

static int keep_task(void *ctx, const struct task_row *row) {
  struct task_list *l = ctx;
  struct task_row brief = *row;
  if (l->state >= 0 && (int)row->t.state != l->state) return 0;
  if (brief.result_len > ROW_BRIEF_RESULT) brief.result = NULL; /* a thousand of them may stand in one answer */
  instance_keep_task(&l->text, &brief, WR_PUSH(l->row, l->n, l->cap));
  return 0;
}

static enum wr_rc read_tasks(struct call *c, struct task_list *l, int64_t *fi) {
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_node(r, c->id, find_fi, fi, &c->err);
  if (rc == WR_NOT_FOUND) rc = call_missing(c, "Node instance");
  if (rc == WR_OK) rc = reader_node_tasks(r, c->id, keep_task, l, &c->err);
  for (size_t i = 0; i < l->n && rc == WR_OK; i++) row_live_log(r, &l->row[i]);
  reader_put(r);
  return rc;
}

static enum wr_rc write_tasks(struct call *c, const struct task_list *l, int64_t fi) {
  struct instance in;
  enum wr_rc rc = instance_load(c, fi, &in);
  struct why *why = why_open(c);
  j_open(c->out, '[');
  for (size_t i = 0; rc == WR_OK && i < l->n; i++) {
    struct task_def *def = row_task_def(c->api->o.defs, &l->row[i], in.def, in.row.bases);
    j_open(c->out, '{');
    row_task_fields(c->out, &l->row[i], def, ROW_BRIEF);
    why_task(why, &l->row[i], def);
    j_close(c->out, '}');
    def_task_unref(def);
  }
  j_close(c->out, ']');
  why_close(why);
  instance_done(&in);
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
  return rc;
}

enum wr_rc h_mon_task(struct call *c) { return instance_task(c, c->id, INSTANCE_HISTORY, NULL); }

/* ---- the log: bytes, not the envelope ---- */

struct log_place { uint8_t log; uint32_t epoch; struct buf *text; };

/* When the log of an attempt equals its result, only the result is stored. */
static int find_log(void *ctx, const struct task_row *row) {
  struct log_place *p = ctx;
  p->log = row->log;
  p->epoch = row->t.epoch;
  buf_clear(p->text);
  if (row->log == LOG_IS_RESULT && row->result) buf_add(p->text, row->result, row->result_len);
  return 0;
}

static enum wr_rc log_window(struct call *c, const struct buf *text, int64_t *size) {
  *size = (int64_t)text->len;
  if (c->q.offset >= *size) return WR_OK;
  size_t n = text->len - (size_t)c->q.offset;
  buf_add(c->out, text->data + c->q.offset, n < (size_t)c->q.limit ? n : (size_t)c->q.limit);
  return WR_OK;
}

static enum wr_rc read_log(struct call *c, struct reader *r, int64_t *size) {
  struct log_place p = {.text = &c->http->scratch->text};
  enum wr_rc rc = reader_task_ins(r, c->id, find_log, &p, &c->err);
  if (rc == WR_NOT_FOUND) return call_missing(c, "Task instance");
  if (rc != WR_OK) return rc;
  if (c->q.attempt > p.epoch) return call_fail(c, WR_NOT_FOUND, "Attempt %lld does not exist.", (long long)c->q.attempt);
  if (p.log == LOG_IS_RESULT && c->q.stream == WX_STDERR && (c->q.attempt == 0 || c->q.attempt == p.epoch)) return WR_OK;
  if (p.log == LOG_IS_RESULT && (c->q.attempt == 0 || c->q.attempt == p.epoch)) return log_window(c, p.text, size);
  if (c->q.stream)
    return reader_log_stream(r, c->id, (uint32_t)c->q.attempt, c->q.stream, c->q.offset, (size_t)c->q.limit, c->out, size,
                             &c->err);
  return reader_log(r, c->id, (uint32_t)c->q.attempt, c->q.offset, (size_t)c->q.limit, c->out, size, &c->err);
}

enum wr_rc h_mon_log(struct call *c) {
  int64_t size = 0;
  if (!(c->q.has & Q_LIMIT)) c->q.limit = LIMIT_LOG_READ_BYTES;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  http_out_again(c->http);
  enum wr_rc rc = read_log(c, r, &size);
  reader_put(r);
  if (rc != WR_OK) return rc;
  if (c->q.offset > size) {
    rc = call_fail(c, WR_BAD_RANGE, NULL);
    c->err.limit = size;
    c->err.got = c->q.offset;
    return rc;
  }
  c->type = "text/plain; charset=utf-8";
  snprintf(c->headers, sizeof c->headers, "X-Log-Size: %lld\r\nX-Log-Offset: %lld\r\n", (long long)size, (long long)c->q.offset);
  return WR_OK;
}
