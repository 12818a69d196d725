/* Instances as answers: see instance.h. Any API thread; never more than one reader. */
#include "instance.h"
#include <string.h>
#include "h_report.h"
#include "hosts.h"
#include "why.h"

/* ---- flows ---- */

enum wr_rc instance_load(struct call *c, int64_t fi, struct flow_read *out) {
  flow_read_none(out);
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = flow_read(r, fi, out, &c->err);
  reader_put(r);
  if (rc == WR_OK) flow_read_def(out, c->api->o.defs);
  return rc;
}

static enum wr_rc instance_flow(struct call *c, int64_t fi, const bool *changed) {
  struct flow_read in;
  enum wr_rc rc = instance_load(c, fi, &in);
  if (rc == WR_OK) {
    c->wait.live = !flow_final((enum flow_state)in.row.state);
    j_open(c->out, '{');
    row_flow_fields(c->out, &in.row);
    if (changed) j_bool(c->out, "changed", *changed);
    j_close(c->out, '}');
  }
  flow_read_done(&in);
  return rc;
}

/* ---- tasks ---- */

enum wr_rc instance_read_task(struct call *c, int64_t ti, enum task_form form, struct task_read *k) {
  struct reader *r = call_reader(c);
  if (!r) {
    task_read_none(k);
    return c->err.code;
  }
  enum wr_rc rc = task_read(r, ti, form, k, &c->err);
  reader_put(r);
  return rc;
}

static void write_history(struct buf *b, const struct task_read *k, struct hosts *hosts) {
  j_key(b, "history");
  j_open(b, '[');
  for (size_t i = 0; i < k->n; i++) row_attempt(b, &k->attempt[i], host_of(hosts, k->attempt[i].owner));
  j_close(b, ']');
}

/* What was handed back is no execution: it costs no try. */
static bool counts(const struct attempt_row *a) { return !a->why || strcmp(a->why, "HANDBACK") != 0; }

/* All attempts of an instance run the version with which it was made. type NULL: none that was registered at run time. */
struct ran { const char *type; int64_t version; };

static void write_executor(struct buf *b, const struct ran *by, int64_t member, const char *host, uint32_t attempt) {
  j_open(b, '{');
  j_i64(b, "memberId", member);
  j_text(b, "host", host);
  j_i64(b, "attempt", attempt);
  if (by->type) j_text(b, "executorType", by->type);
  if (by->type) j_i64(b, "executorVersion", by->version);
  j_close(b, '}');
}

/* Who ran each of its attempts; the newest one has no row of its own while it runs, nor when nothing followed it. */
static void write_executors(struct buf *b, const struct task_read *k, const struct task_def *def, struct hosts *hosts) {
  const struct task *t = &k->row.t;
  uint32_t now = task_attempt_of(t->epoch);
  bool told = k->n > 0 && k->attempt[k->n - 1].epoch == now, newest = now > 0 && !told && k->row.ran_by;
  const char *type = k->is_alone ? k->alone.type : def ? def->type : NULL;
  const struct ran by = {k->row.executor ? type : NULL, k->row.executor};
  int64_t n = newest;
  for (size_t i = 0; i < k->n; i++) n += counts(&k->attempt[i]);
  j_i64(b, "executions", n);
  j_key(b, "executors");
  j_open(b, '[');
  for (const struct attempt_row *a = k->attempt; a < k->attempt + k->n; a++)
    if (a->owner) write_executor(b, &by, a->owner, host_of(hosts, a->owner), a->epoch);
  if (newest) write_executor(b, &by, k->row.ran_by, host_of(hosts, k->row.ran_by), now);
  j_close(b, ']');
}

enum wr_rc instance_write_task(struct call *c, const struct task_read *k, const bool *changed) {
  struct flow_read in;
  enum wr_rc rc = WR_OK;
  if (k->row.fi) rc = instance_load(c, k->row.fi, &in);
  else flow_read_none(&in);
  if (rc == WR_OK) {
    c->wait.live = !task_final(k->row.t.state);
    struct hosts hosts;
    hosts_open(&hosts, &c->api->view);
    struct row_beside beside = {k->is_alone ? &k->alone : NULL, flow_run_no(in.row.bases, k->row.ti),
                                host_of(&hosts, k->row.ran_by), &in, c->api->o.executors};
    struct task_def *def = flow_task_def(c->api->o.defs, &k->row, in.def, in.row.bases);
    j_open(c->out, '{');
    row_task_fields(c->out, &k->row, def, &beside, ROW_FULL);
    report_fields(c->out, &k->report, &k->row.t, beside.alone);
    row_tree(c->out, k->has_tree ? &k->tree : NULL);
    struct why *why = why_open(&c->api->view);
    struct queue_view of = flow_task_queue(beside.of, beside.alone, k->row.ti, def);
    row_why(c->out, why_task_of(why, &k->row, def, beside.alone, &of));
    why_close(why);
    if (changed) j_bool(c->out, "changed", *changed);
    if (k->with_history) write_executors(c->out, k, def, &hosts);
    if (k->with_history) write_history(c->out, k, &hosts);
    j_close(c->out, '}');
    hosts_close(&hosts);
    def_task_unref(def);
  }
  flow_read_done(&in);
  return rc;
}

enum wr_rc instance_task(struct call *c, int64_t ti, enum task_form form, const bool *changed) {
  struct task_read in;
  enum wr_rc rc = instance_read_task(c, ti, form, &in);
  if (rc == WR_OK) rc = instance_write_task(c, &in, changed);
  task_read_done(&in);
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
  return stored(c, instance_task(c, ti, TASK_PLAIN, changed), "task", ti);
}
