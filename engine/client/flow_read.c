/* A flow instance as it is shown: see flow_read.h. */
#include "flow_read.h"
#include "defs.h"
#include "node_defs.h"
#include "run.h"
#include "whose.h"

static int keep_flow(void *ctx, const struct flow_row *row) {
  struct flow_read *in = ctx;
  in->row = *row;
  in->row.error = arena_strdup(&in->text, row->error);
  in->row.params = arena_strdup(&in->text, row->params);
  in->row.bases = arena_strdup(&in->text, row->bases);
  in->row.flow_name = arena_strdup(&in->text, row->flow_name);
  in->row.more = NULL;
  return 0;
}

void flow_read_none(struct flow_read *out) {
  *out = (struct flow_read){0};
  arena_init(&out->text, 0);
}

enum wr_rc flow_read(struct reader *r, int64_t fi, struct flow_read *out, struct wr_err *err) {
  flow_read_none(out);
  enum wr_rc rc = reader_flow_ins(r, fi, keep_flow, out, err);
  if (rc == WR_NOT_FOUND) return wr_err_set(err, rc, "Flow instance %lld does not exist.", (long long)fi);
  if (rc != WR_OK || !(out->row.wish & RUN_WHOSE_BIT)) return rc;
  out->whose = whose_new();
  return reader_whose(r, fi, 1, INT64_MAX, whose_hear, out->whose, err);
}

void flow_read_def(struct flow_read *in, struct defs *d) {
  struct wr_err gone;
  if (defs_flow(d, in->row.flow_id, in->row.flow_version, -1, &in->def, &gone) != WR_OK) in->def = NULL;
}

void flow_read_done(struct flow_read *in) {
  def_flow_unref(in->def);
  whose_free(in->whose);
  arena_done(&in->text);
}

uint32_t flow_run_no(const char *bases, int64_t ti) {
  struct run_base b;
  uint32_t n = 0, found = 0;
  for (int64_t best = -1; run_base_next(&bases, &b);) {
    n++;
    if (b.ti <= ti && b.ti > best) best = b.ti, found = n;
  }
  return found;
}

struct task_def *flow_task_def(struct defs *d, const struct task_row *row, const struct flow_def *f, const char *bases) {
  struct task_def *def = NULL;
  struct wr_err err;
  if (row->task_id != 0) return defs_task(d, row->task_id, row->t.version, -1, &def, &err) == WR_OK ? def : NULL;
  return node_def_inline(f, bases, row->ti);
}

struct queue_view flow_task_queue(const struct flow_read *in, const struct async_row *alone, int64_t ti,
                                  const struct task_def *def) {
  if (alone) return (struct queue_view){alone->user, alone->group, alone->priority, alone->cpu, NULL};
  return whose_view(in ? in->whose : NULL, ti, def ? def->queue : NULL);
}
