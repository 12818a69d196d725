/* Instances as answers: see instance.h. Any API thread; never more than one reader. */
#include "instance.h"
#include "why.h"

/* ---- flows ---- */

static int keep_flow(void *ctx, const struct flow_row *row) {
  struct instance *in = ctx;
  in->row = *row;
  in->row.error = arena_strdup(&in->text, row->error);
  in->row.params = arena_strdup(&in->text, row->params);
  in->row.bases = arena_strdup(&in->text, row->bases);
  in->row.flow_name = arena_strdup(&in->text, row->flow_name);
  in->row.more = NULL;
  return 0;
}

/* For a stand-alone task. */
static void instance_none(struct instance *out) {
  *out = (struct instance){0};
  arena_init(&out->text, 0);
}

enum wr_rc instance_load(struct call *c, int64_t fi, struct instance *out) {
  struct wr_err gone;
  instance_none(out);
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_flow_ins(r, fi, keep_flow, out, &c->err);
  reader_put(r);
  if (rc == WR_NOT_FOUND) return call_fail(c, rc, "Flow instance %lld does not exist.", (long long)fi);
  if (rc != WR_OK) return rc;
  if (defs_flow(c->api->o.defs, out->row.flow_id, out->row.flow_version, -1, &out->def, &gone) != WR_OK) out->def = NULL;
  return WR_OK;
}

void instance_done(struct instance *in) {
  def_flow_unref(in->def);
  arena_done(&in->text);
}

enum wr_rc instance_flow(struct call *c, int64_t fi, const bool *changed) {
  struct instance in;
  enum wr_rc rc = instance_load(c, fi, &in);
  if (rc == WR_OK) {
    c->wait.live = !flow_final((enum flow_state)in.row.state);
    j_open(c->out, '{');
    row_flow_fields(c->out, &in.row);
    if (changed) j_bool(c->out, "changed", *changed);
    j_close(c->out, '}');
  }
  instance_done(&in);
  return rc;
}

/* ---- tasks ---- */

struct kept_task { struct task_row row; struct arena text; struct buf history; };

void instance_keep_task(struct arena *a, const struct task_row *row, struct task_row *out) {
  *out = *row;
  out->error = arena_strdup(a, row->error);
  out->params = arena_strdup(a, row->params);
  out->result = row->result ? arena_memdup0(a, row->result, row->result_len) : NULL;
}

static int keep_task(void *ctx, const struct task_row *row) {
  struct kept_task *k = ctx;
  instance_keep_task(&k->text, row, &k->row);
  return 0;
}

/* The row was read a moment before. An attempt that ended since then is left out: it would be shown twice, here and as the one
 * that runs. History only grows, so the rest is what stood there when the row was read. */
static int list_attempt(void *ctx, const struct attempt_row *row) {
  struct kept_task *k = ctx;
  const struct task *t = &k->row.t;
  if (row->epoch < t->epoch || (row->epoch == t->epoch && t->owner == 0)) row_attempt(&k->history, row);
  return 0;
}

static enum wr_rc read_task(struct call *c, int64_t ti, enum instance_form form, struct kept_task *k) {
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_task_ins(r, ti, keep_task, k, &c->err);
  if (rc == WR_NOT_FOUND) rc = call_fail(c, rc, "Task instance %lld does not exist.", (long long)ti);
  if (rc == WR_OK) row_live_log(r, &k->row);
  if (rc == WR_OK && form == INSTANCE_HISTORY) {
    buf_ch(&k->history, '[');
    rc = reader_attempts(r, ti, list_attempt, k, &c->err);
    buf_ch(&k->history, ']');
  }
  reader_put(r);
  return rc;
}

static enum wr_rc write_task(struct call *c, const struct kept_task *k, const bool *changed) {
  struct instance in;
  enum wr_rc rc = WR_OK;
  if (k->row.fi) rc = instance_load(c, k->row.fi, &in);
  else instance_none(&in);
  if (rc == WR_OK) {
    c->wait.live = !task_final(k->row.t.state);
    struct task_def *def = row_task_def(c->api->o.defs, &k->row, in.def, in.row.bases);
    j_open(c->out, '{');
    row_task_fields(c->out, &k->row, def, ROW_FULL);
    struct why *why = why_open(c);
    why_task(why, &k->row, def);
    why_close(why);
    if (changed) j_bool(c->out, "changed", *changed);
    j_raw(c->out, "history", k->history.data);
    j_close(c->out, '}');
    def_task_unref(def);
  }
  instance_done(&in);
  return rc;
}

enum wr_rc instance_task(struct call *c, int64_t ti, enum instance_form form, const bool *changed) {
  struct kept_task k = {0};
  arena_init(&k.text, 0);
  enum wr_rc rc = read_task(c, ti, form, &k);
  if (rc == WR_OK) rc = write_task(c, &k, changed);
  buf_done(&k.history);
  arena_done(&k.text);
  return rc;
}
