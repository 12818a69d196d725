/* Looking: one task, many, logs, waits. Any thread; never more than one reader of a thread at a time. */
#include <stdlib.h>
#include <string.h>
#include "attempt.h"
#include "clock.h"
#include "defs.h"
#include "flow_read.h"
#include "hosts.h"
#include "lib_int.h"
#include "log_part.h"
#include "remote.h"
#include "task_read.h"
#include "why.h"
#include "wr_limits.h"

/* ---- one ---- */

static struct look look_open(weir_t *h, struct hosts *hosts) {
  hosts_open(hosts, &h->view);
  return (struct look){why_open(&h->view), hosts};
}

static void look_close(struct look *l) {
  why_close(l->why);
  hosts_close(l->hosts);
}

/* of: its flow, if it has one. */
static enum wr_rc read_one(weir_t *h, int64_t id, struct task_read *in, struct flow_read *of, struct buf *context, bool *has,
                           struct wr_err *err) {
  uint32_t epoch;
  struct reader *r = lib_reader(h, err);
  task_read_none(in);
  flow_read_none(of);
  if (!r) return err->code;
  enum wr_rc rc = task_read(r, id, TASK_CONTENT, in, err);
  if (!rc && in->row.fi) rc = flow_read(r, in->row.fi, of, err);
  if (!rc) rc = reader_context(r, id, context, &epoch, err);
  *has = rc == WR_OK;
  if (rc == WR_NOT_FOUND && in->row.ti) rc = WR_OK; /* it has none; or its flow was just removed */
  reader_put(r);
  return rc;
}

/* Between enter() and leave(). */
static enum wr_rc get_task(weir_t *h, int64_t id, weir_task_t **out, struct wr_err *err) {
  struct task_read in;
  struct flow_read of;
  struct buf context = BUF_INIT;
  bool has = false;
  enum wr_rc rc = read_one(h, id, &in, &of, &context, &has, err);
  if (!rc) {
    struct hosts hosts;
    struct look l = look_open(h, &hosts);
    if (of.row.fi) flow_read_def(&of, h->view.defs);
    struct task_def *def = flow_task_def(h->view.defs, &in.row, of.def, of.row.bases);
    *out = shown_make(&in, def, of.row.fi ? &of : NULL, has ? &context : NULL, &l, SHOWN_WHOLE);
    def_task_unref(def);
    look_close(&l);
  }
  buf_done(&context);
  flow_read_done(&of);
  task_read_done(&in);
  return rc;
}

int weir_get(weir_t *h, int64_t id, weir_task_t **out) {
  struct wr_err err = {0};
  if (!out) return fail(h, WEIR_ERR_INVALID, WR_BAD_REQUEST, "out must not be NULL.");
  *out = NULL;
  if (id < 1) return no_task(h, id);
  if (h->remote) return remote_get(h, id, out);
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  enum wr_rc rc = get_task(h, id, out, &err);
  leave(h);
  return rc ? failed(h, &err) : WEIR_OK;
}

/* The task as it is when the wait is over. What is not there is not waited for. */
static int wait_here(weir_t *h, int64_t id, int64_t until_us, weir_task_t **out) {
  weir_task_t *t = NULL;
  int rc = until_ended(h, &id, 1, until_us, current_stop());
  if (rc == WEIR_ERR_UNAVAILABLE) return unusable(h);
  if (rc == WEIR_ERR_REFUSED) return fail(h, rc, WR_DRAINING, "The routine that waits is asked to stop.");
  int got = weir_get(h, id, &t);
  if (got) return got;
  if (out) *out = t;
  else weir_task_free(t);
  return rc ? fail(h, rc, WR_BUSY, "The task has not ended in time.") : WEIR_OK;
}

int weir_wait(weir_t *h, int64_t id, int64_t timeout_ms, weir_task_t **out) {
  if (out) *out = NULL;
  if (id < 1) return no_task(h, id);
  if (h->remote) return remote_until(h, id, time_up(timeout_ms), out);
  until_in(&h->until);
  int rc = wait_here(h, id, time_up(timeout_ms), out);
  until_out(&h->until);
  return rc;
}

/* ---- many ---- */

enum { PAGE = 500 };

struct listing {
  const weir_filter_t *f;
  int64_t skip, want;               /* of those that fit; want < 0: all */
  int64_t fit;                      /* found so far */
  struct task_read *v; size_t n, cap;
  struct arena text;
};

_Static_assert(ALONE_STATE(TASK_DEAD) == 1u << SHOWN_DEAD && ALONE_DELETING == 1u << SHOWN_DELETING &&
               ALONE_DELETE_FAILED == 1u << SHOWN_DELETE_FAILED && ALONE_ANALYZING == 1u << SHOWN_ANALYZING &&
               ALONE_WAITING == 1u << SHOWN_WAITING_CHILDREN,
               "the store filters by the numbers of what is shown");

static int keep(void *ctx, const struct task_row *row, const struct async_row *alone) {
  struct listing *l = ctx;
  if (!alone || !shown_type(l->f, alone->type)) return 0;
  int64_t at = l->fit++;
  if (at < l->skip || (l->want >= 0 && at - l->skip >= l->want)) return 0;
  struct task_read *k = WR_PUSH(l->v, l->n, l->cap);
  *k = (struct task_read){.is_alone = true};
  task_keep_row(&l->text, row, &k->row);
  task_keep_async(&l->text, alone, &k->alone);
  return 0;
}

/* Page by page, until all that was asked for is there. total: everything is looked at. */
static enum wr_rc find_tasks(weir_t *h, struct listing *l, bool total, struct wr_err *err) {
  const weir_filter_t *f = l->f;
  struct alone_pos pos = {0};
  struct alone_filter a = {.user = f->user, .group = f->group, .type = f->n_types == 1 ? f->types[0] : NULL,
                           .states = shown_wanted(f),
                           .alone_only = true, .pos = &pos};
  struct page p = {.limit = PAGE};
  enum wr_rc rc = WR_OK;
  for (bool more = true; more && !rc;) {
    int64_t none = -1;
    if (!total && l->want >= 0 && l->fit - l->skip >= l->want) break;
    store_deadline(call_until(h)); /* each page has its own time */
    struct reader *r = lib_reader(h, err);
    rc = r ? reader_list_alone(r, &a, &p, keep, l, &more, &none, err) : err->code;
    if (r) reader_put(r);
  }
  return rc;
}

static enum wr_rc add_reports(weir_t *h, struct listing *l, struct wr_err *err) {
  int64_t ti[PAGE];
  struct report_row *row = wr_calloc(PAGE, sizeof *row);
  enum wr_rc rc = WR_OK;
  for (size_t at = 0; at < l->n && !rc; at += PAGE) {
    size_t n = l->n - at < PAGE ? l->n - at : PAGE;
    for (size_t i = 0; i < n; i++) ti[i] = l->v[at + i].row.ti;
    struct reader *r = lib_reader(h, err);
    rc = r ? reader_reports(r, ti, n, row, &l->text, err) : err->code;
    if (r) reader_put(r);
    for (size_t i = 0; i < n; i++) l->v[at + i].report = row[i];
  }
  free(row);
  return rc;
}

static weir_task_t **show_all(weir_t *h, const struct listing *l) {
  struct hosts hosts;
  struct look look = look_open(h, &hosts);
  weir_task_t **out = wr_calloc(l->n + 1, sizeof *out);
  for (size_t i = 0; i < l->n; i++) {
    bool waits = l->v[i].row.t.state == TASK_QUEUED; /* only `why` asks for its definition */
    struct task_def *def = waits ? flow_task_def(h->view.defs, &l->v[i].row, NULL, NULL) : NULL;
    out[i] = shown_make(&l->v[i], def, NULL, NULL, &look, SHOWN_BRIEF);
    def_task_unref(def);
  }
  look_close(&look);
  return out;
}

static int bad_filter(const weir_t *h, const weir_filter_t *f) {
  if (bad_text(h, "user", f->user) || bad_text(h, "group", f->group)) return WEIR_ERR_INVALID;
  if ((f->n_types && !f->types) || (f->n_states && !f->states))
    return fail(h, WEIR_ERR_INVALID, WR_BAD_FILTER, "A list of the filter is missing.");
  for (size_t i = 0; i < f->n_states; i++)
    if (f->states[i] < WEIR_STATE_INIT || f->states[i] > WEIR_STATE_FAILED)
      return fail(h, WEIR_ERR_INVALID, WR_BAD_FILTER, "There is no state %d.", (int)f->states[i]);
  for (size_t i = 0; i < f->n_types; i++) {
    if (!f->types[i]) return fail(h, WEIR_ERR_INVALID, WR_BAD_FILTER, "A type of the filter is missing.");
    if (bad_text(h, "A type", f->types[i])) return WEIR_ERR_INVALID;
  }
  return f->offset < 0 ? fail(h, WEIR_ERR_INVALID, WR_BAD_FILTER, "offset must not be negative.") : WEIR_OK;
}

int weir_list(weir_t *h, const weir_filter_t *filter, weir_task_t ***out, size_t *n, int64_t *total) {
  weir_filter_t f = {.size = sizeof f, .limit = -1};
  struct wr_err err = {0};
  if (!out || !n) return fail(h, WEIR_ERR_INVALID, WR_BAD_REQUEST, "out and n must not be NULL.");
  *out = NULL;
  *n = 0;
  if (filter && SIZED(f, filter, "filter", &err)) return failed(h, &err);
  if (bad_filter(h, &f)) return WEIR_ERR_INVALID;
  if (h->remote) return remote_list(h, &f, out, n, total);
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  struct listing l = {.f = &f, .skip = f.offset, .want = f.limit};
  arena_init(&l.text, 0);
  enum wr_rc rc = find_tasks(h, &l, total != NULL, &err);
  if (!rc && l.n > 0) rc = add_reports(h, &l, &err);
  if (!rc) {
    *out = show_all(h, &l);
    *n = l.n;
    if (total) *total = l.fit;
  }
  arena_done(&l.text);
  free(l.v);
  leave(h);
  return rc ? failed(h, &err) : WEIR_OK;
}

void weir_list_free(weir_task_t **v, size_t n) {
  for (size_t i = 0; v && i < n; i++) weir_task_free(v[i]);
  free(v);
}

/* ---- logs ---- */

static enum wr_rc read_log(struct reader *r, const struct log_piece_wish *p, bool all, struct buf *out, struct wr_err *err) {
  struct buf text = BUF_INIT;
  struct log_row row = {.text = &text};
  int64_t size = 0;
  enum wr_rc rc = log_row_read(r, p->ti, &row, err);
  if (rc == WR_NOT_FOUND) rc = wr_err_set(err, rc, "Task instance %lld does not exist.", (long long)p->ti);
  if (!rc && p->epoch > row.epoch) rc = wr_err_set(err, WR_NOT_FOUND, "Attempt %u does not exist.", (unsigned)p->epoch);
  if (!rc) rc = all ? log_read_all(r, &row, p, out, &size, err) : log_read_piece(r, &row, p, out, &size, err);
  buf_done(&text);
  return rc;
}

int weir_log_read(weir_t *h, int64_t id, int attempt, int64_t offset, char *buf, size_t cap, size_t *got) {
  struct wr_err err = {0};
  struct buf out = BUF_INIT;
  if (!got || (!buf && cap)) return fail(h, WEIR_ERR_INVALID, WR_BAD_REQUEST, "buf and got must not be NULL.");
  *got = 0;
  if (id < 1) return no_task(h, id);
  if (attempt < -1 || offset < 0) return fail(h, WEIR_ERR_INVALID, WR_OUT_OF_RANGE, "attempt is -1 or more, offset 0 or more.");
  if (h->remote) return remote_log(h, id, attempt, offset, buf, cap, got);
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  const struct log_piece_wish p = {id, attempt > 0 ? (uint32_t)attempt : 0, 0, offset,
                                   cap < LIMIT_LOG_READ_BYTES ? cap : LIMIT_LOG_READ_BYTES};
  struct reader *r = lib_reader(h, &err);
  enum wr_rc rc = r ? read_log(r, &p, attempt < 0, &out, &err) : err.code;
  if (r) reader_put(r);
  leave(h);
  if (!rc && out.len) memcpy(buf, out.data, out.len);
  if (!rc) *got = out.len;
  buf_done(&out);
  return rc ? failed(h, &err) : WEIR_OK;
}
