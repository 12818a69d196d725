/* Instances as answers: see instance.h. Any API thread; never more than one reader. */
#include "instance.h"
#include <stdlib.h>
#include "h_report.h"
#include "hosts.h"
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

static enum wr_rc instance_flow(struct call *c, int64_t fi, const bool *changed) {
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

void instance_keep_task(struct arena *a, const struct task_row *row, struct task_row *out) {
  *out = *row;
  out->error = arena_strdup(a, row->error);
  out->params = arena_strdup(a, row->params);
  out->result = row->result ? arena_memdup0(a, row->result, row->result_len) : NULL;
}

/* What is shown of it: neither content nor context. */
void instance_keep_async(struct arena *a, const struct async_row *row, struct async_row *out) {
  *out = *row;
  out->name = arena_strdup(a, row->name);
  out->type = arena_strdup(a, row->type);
  out->content = NULL;
  out->config = arena_strdup(a, row->config);
  out->user = arena_strdup(a, row->user);
  out->group = arena_strdup(a, row->group);
  out->key = arena_strdup(a, row->key);
  out->context = NULL;
}

uint32_t instance_run_no(const char *bases, int64_t ti) {
  struct run_base b;
  uint32_t n = 0, found = 0;
  for (int64_t best = -1; run_base_next(&bases, &b);) {
    n++;
    if (b.ti <= ti && b.ti > best) best = b.ti, found = n;
  }
  return found;
}

static int keep_task(void *ctx, const struct task_row *row) {
  struct instance_read *k = ctx;
  instance_keep_task(&k->text, row, &k->row);
  return 0;
}

static int keep_async(void *ctx, const struct async_row *row) {
  struct instance_read *k = ctx;
  instance_keep_async(&k->text, row, &k->alone);
  k->is_alone = true;
  return 0;
}

/* The row was read a moment before. An attempt that ended since then is left out: it would be shown twice, here and as the one
 * that runs. History only grows, so the rest is what stood there when the row was read. */
static int list_attempt(void *ctx, const struct attempt_row *row) {
  struct instance_read *k = ctx;
  const struct task *t = &k->row.t;
  if (row->epoch > t->epoch || (row->epoch == t->epoch && t->owner != 0)) return 0;
  struct attempt_row *a = WR_PUSH(k->attempt, k->n, k->cap);
  *a = *row;
  a->why = arena_strdup(&k->text, row->why);
  a->error = arena_strdup(&k->text, row->error);
  return 0;
}

enum wr_rc instance_read_task(struct call *c, int64_t ti, enum instance_form form, struct instance_read *k) {
  *k = (struct instance_read){0};
  arena_init(&k->text, 0);
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_task_ins(r, ti, keep_task, k, &c->err);
  if (rc == WR_OK && k->row.fi == 0) {
    rc = reader_async(r, ti, keep_async, k, &c->err);
    if (rc == WR_NOT_FOUND && k->row.task_id != 0) rc = WR_OK; /* it was made before such rows were */
  }
  if (rc == WR_NOT_FOUND) rc = call_fail(c, rc, "Task instance %lld does not exist.", (long long)ti);
  if (rc == WR_OK) row_live_log(r, &k->row);
  if (rc == WR_OK) rc = reader_reports(r, &ti, 1, &k->report, &k->text, &c->err);
  k->with_history = form == INSTANCE_HISTORY;
  if (rc == WR_OK && k->with_history) rc = reader_attempts(r, k->row.ti, list_attempt, k, &c->err);
  reader_put(r);
  return rc;
}

void instance_read_done(struct instance_read *in) {
  free(in->attempt);
  arena_done(&in->text);
}

static void write_history(struct buf *b, const struct instance_read *k, struct hosts *hosts) {
  j_key(b, "history");
  j_open(b, '[');
  for (size_t i = 0; i < k->n; i++) row_attempt(b, &k->attempt[i], host_of(hosts, k->attempt[i].owner));
  j_close(b, ']');
}

enum wr_rc instance_write_task(struct call *c, const struct instance_read *k, const bool *changed) {
  struct instance in;
  enum wr_rc rc = WR_OK;
  if (k->row.fi) rc = instance_load(c, k->row.fi, &in);
  else instance_none(&in);
  if (rc == WR_OK) {
    c->wait.live = !task_final(k->row.t.state);
    struct hosts hosts;
    hosts_open(&hosts, c);
    struct row_beside beside = {k->is_alone ? &k->alone : NULL, instance_run_no(in.row.bases, k->row.ti),
                                host_of(&hosts, k->row.ran_by)};
    struct task_def *def = row_task_def(c->api->o.defs, &k->row, in.def, in.row.bases);
    j_open(c->out, '{');
    row_task_fields(c->out, &k->row, def, &beside, ROW_FULL);
    report_fields(c->out, &k->report, &k->row.t, beside.alone);
    struct why *why = why_open(c);
    why_task(why, &k->row, def, &beside);
    why_close(why);
    if (changed) j_bool(c->out, "changed", *changed);
    if (k->with_history) write_history(c->out, k, &hosts);
    j_close(c->out, '}');
    hosts_close(&hosts);
    def_task_unref(def);
  }
  instance_done(&in);
  return rc;
}

enum wr_rc instance_task(struct call *c, int64_t ti, enum instance_form form, const bool *changed) {
  struct instance_read in;
  enum wr_rc rc = instance_read_task(c, ti, form, &in);
  if (rc == WR_OK) rc = instance_write_task(c, &in, changed);
  instance_read_done(&in);
  return rc;
}

/* ---- what was stored just now ---- */

static void read_late(const struct call *c) { store_deadline(call_deadline(c) + c->api->o.request_us / 2); }

static enum wr_rc stored(struct call *c, enum wr_rc rc, const char *what, int64_t id) {
  if (rc != WR_DB_UNAVAILABLE && rc != WR_BUSY) return rc;
  return call_fail(c, WR_OUTCOME_UNKNOWN, "It is stored, but %s instance %lld cannot be read just now.", what, (long long)id);
}

enum wr_rc instance_tell_flow(struct call *c, int64_t fi, const bool *changed) {
  read_late(c);
  return stored(c, instance_flow(c, fi, changed), "flow", fi);
}

enum wr_rc instance_tell_task(struct call *c, int64_t ti, const bool *changed) {
  read_late(c);
  return stored(c, instance_task(c, ti, INSTANCE_PLAIN, changed), "task", ti);
}
