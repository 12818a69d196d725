/* The executor behind each registered type (weir_executor.h): every attempt goes to the pool, and what its routine says comes
 * back through the worker's loop. All calls here are the loop's.
 *
 *   start -> pool -> [routine] -> wake -> woken: notes, and done() when the routine has returned
 *
 * While the log is behind, its text stays where it is, and weir_log() waits; the rest is taken.
 *
 * What never happens: the loop waits for a routine; a routine that does not stop keeps a close from ending; text is lost that
 * weir_log() has taken, but for what the log itself counts as left out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "json_write.h"
#include "lib_int.h"
#include "log.h"
#include "text.h"
#include "wr_limits.h"

#define BEGIN_US 100000             /* an attempt that was claimed ahead waits so long for a thread, then it goes back */
#define AGAIN_US 1000000            /* no thread could be made */

static struct weir_attempt_s *of(const wx_host *h, wx_exec *x) { return *h->data(x); }

static void end(const wx_host *h, wx_exec *x, struct weir_attempt_s *a, const wx_result *r) {
  attempt_drop(a);
  h->done(x, r);
}

static void end_plain(const wx_host *h, wx_exec *x, int how, const char *error) {
  end(h, x, of(h, x), &(wx_result){.size = sizeof(wx_result), .end = how, .error = error, .exit_code = -1,
                                   .after_us = how == WX_NOT_NOW ? AGAIN_US : 0});
}

static struct said hear(const wx_host *h, wx_exec *x, struct weir_attempt_s *a, bool behind);

/* ---- start and end ---- */

static int routine_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  struct lib_type *t = h->user(x);
  (void)err;
  (void)err_n;
  struct weir_attempt_s *a = attempt_new(t->h, t, h, x);
  *h->data(x) = a;
  if (!pool_add(a->pool, a) && pool_take_back(a->pool, a, TAKE_ANY))
    end_plain(h, x, WX_NOT_NOW, "No thread could be made for it.");
  else h->timer(x, h->now_us(x) + BEGIN_US);
  return 0;
}

static void routine_release(const wx_host *h, wx_exec *x) {
  struct weir_attempt_s *a = of(h, x);
  if (a) attempt_unref(a);
}

/* Nobody waits for what such a routine still does. */
static bool is_last(int why) { return why == WEIR_STOP_SHUTDOWN || why == WEIR_STOP_FENCED; }

/* The timer has two ends: an attempt has not begun, and a routine has not stopped in time. */
static void routine_timer(const wx_host *h, wx_exec *x) {
  struct weir_attempt_s *a = of(h, x);
  if (pool_take_back(a->pool, a, TAKE_UNLIMITED)) {
    end_plain(h, x, WX_NEVER, NULL);
    return;
  }
  if (!is_last(atomic_load(&a->stop.reason))) {
    if (!pool_lend_limited(a->pool, a)) h->timer(x, h->now_us(x) + BEGIN_US);
    return;
  }
  pool_give_up(a->pool, a);
  (void)hear(h, x, a, false); /* what waited for its log */
  log_warn("library.routine_given_up", L_STR("type", a->type->name), L_INT("task", a->id), L_INT("attempt", a->number),
           L_STR("why", "it did not stop in time"));
  end_plain(h, x, WX_LOST, "Its routine did not stop in time.");
}

/* It may be told more than once: its time begins with the first that is the last word. */
static void tell(const wx_host *h, wx_exec *x, struct weir_attempt_s *a, int why) {
  bool first = !is_last(atomic_load(&a->stop.reason));
  attempt_stop(a, why);
  if (first && is_last(why)) h->timer(x, h->now_us(x) + a->h->opts.stop_us);
}

static void routine_cancel(const wx_host *h, wx_exec *x, int how) {
  struct weir_attempt_s *a = of(h, x);
  (void)how;
  tell(h, x, a, h->stop_reason(x));
  if (pool_take_back(a->pool, a, TAKE_ANY)) end_plain(h, x, WX_NOT_NOW, NULL);
}

static void routine_stop_moved(const wx_host *h, wx_exec *x) { tell(h, x, of(h, x), h->stop_reason(x)); }

/* ---- what the routine says ---- */

static void note_progress(const wx_host *h, wx_exec *x, const struct said *s) {
  struct buf b = BUF_INIT;
  j_open(&b, '{');
  if (s->total >= 0) j_i64(&b, "total", s->total);
  if (s->done >= 0) j_i64(&b, "done", s->done);
  j_text(&b, "unit", s->unit);
  j_text(&b, "message", s->message);
  j_close(&b, '}');
  (void)h->note(x, WX_NOTE_PROGRESS, 0, b.data, b.len);
  buf_done(&b);
}

/* Its text waits in `said`, and the routine in weir_log(), while the log is behind. The rest of one that has returned is taken
 * all the same, as that of a child: it is not much, and its slot is wanted. */
static bool must_wait(const wx_host *h, wx_exec *x, struct weir_attempt_s *a) {
  pthread_mutex_lock(&a->mu);
  bool asks = a->said.log.len > 0 && !a->said.ended;
  pthread_mutex_unlock(&a->mu);
  return asks && h->log_behind(x);
}

/* What it said since the last time, without how it ended. behind: without its log. */
static struct said take_said(struct weir_attempt_s *a, bool behind, uint32_t *context_no) {
  pthread_mutex_lock(&a->mu);
  struct said s = a->said;
  *context_no = a->context_no;
  a->said = (struct said){.result = s.result, .result_len = s.result_len, .has_result = s.has_result, .error = s.error,
                          .no_retry = s.no_retry, .ended = s.ended, .phase = s.phase};
  a->behind = behind && !s.ended; /* it may have returned since the log was asked */
  if (a->behind) {
    a->said.log = s.log;
    s.log = (struct buf)BUF_INIT;
  }
  pthread_cond_broadcast(&a->moved); /* its log has room again; or has none, which one that is to stop must hear */
  pthread_mutex_unlock(&a->mu);
  return s;
}

static void decided(struct weir_attempt_s *a, uint32_t no, int answer) {
  pthread_mutex_lock(&a->mu);
  a->context_done = no;
  a->context_answer = answer;
  pthread_cond_broadcast(&a->moved);
  pthread_mutex_unlock(&a->mu);
}

static void note_context(const wx_host *h, wx_exec *x, struct weir_attempt_s *a, const struct said *s, uint32_t no) {
  if (h->note(x, WX_NOTE_CONTEXT, 0, s->context, s->context_len)) {
    decided(a, no, WX_KEPT_NOT);
    return;
  }
  a->sent_count = ++a->n_sent;
  a->sent_no = no;
}

static void flush(const wx_host *h, wx_exec *x, struct weir_attempt_s *a, struct said *s, uint32_t no) {
  if (s->log.len) h->log(x, WX_STDOUT, s->log.data, s->log.len);
  if (s->progress) note_progress(h, x, s);
  if (s->has_context) note_context(h, x, a, s, no);
  buf_done(&s->log);
  free(s->unit);
  free(s->message);
  free(s->context);
}

/* Notes what it said. How it ended, if it has, is the caller's. */
static struct said hear(const wx_host *h, wx_exec *x, struct weir_attempt_s *a, bool behind) {
  uint32_t no;
  struct said s = take_said(a, behind, &no);
  flush(h, x, a, &s, no);
  return s;
}

/* Nobody but the loop has a->said any more: the routine has returned. */
static void finish(const wx_host *h, wx_exec *x, struct weir_attempt_s *a, const struct said *s) {
  char odd[96];
  int phase = s->phase & ~WEIR_REMOVE; /* of -1, which C programs return for a failure, no bit is meant */
  bool remove = phase >= WEIR_PHASE_NORMAL && phase <= WEIR_PHASE_FAILED && phase != s->phase;
  wx_result r = {.size = sizeof r, .exit_code = -1, .remove = remove};
  if (phase == WEIR_PHASE_NORMAL) {
    r.end = WX_NOT_NOW;
    r.error = s->error;
  } else if (phase == WEIR_PHASE_FINISHED) {
    r.end = WX_OK;
    r.decided = 1;
    if (s->has_result) r.result = s->result, r.result_len = s->result_len;
  } else {
    snprintf(odd, sizeof odd, "The routine returned %d, which is no WEIR_PHASE.", s->phase);
    r.end = s->no_retry ? WX_FATAL : WX_FAIL;
    r.decided = s->no_retry; /* otherwise, after a stop, it stopped: as a program's exit 1 */
    r.error = s->error ? s->error : phase == WEIR_PHASE_FAILED ? "The routine failed." : odd;
  }
  end(h, x, a, &r);
}

static void routine_woken(const wx_host *h, wx_exec *x) {
  struct weir_attempt_s *a = of(h, x);
  struct said s = hear(h, x, a, must_wait(h, x, a));
  if (s.ended) finish(h, x, a, &s);
}

static void routine_noted(const wx_host *h, wx_exec *x, uint32_t count, int answer) {
  struct weir_attempt_s *a = of(h, x);
  if (answer == WX_KEPT_FENCED) tell(h, x, a, WEIR_STOP_FENCED); /* it learns that first here */
  if (count >= a->sent_count) decided(a, a->sent_no, answer);
}

/* ---- the table ---- */

static const wx_ops routine = {.abi = WX_ABI, .size = sizeof(wx_ops), .slot = WX_SLOT_PROCESS, .start = routine_start,
                               .timer = routine_timer, .cancel = routine_cancel, .release = routine_release, .flags = WX_CONTEXT,
                               .woken = routine_woken, .noted = routine_noted, .stop_moved = routine_stop_moved};

enum wr_rc routines_add(weir_t *h, struct registry *r, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  if (!(h->opts.roles & NODE_WORKER)) return WR_OK;
  for (size_t i = 0; i < h->n_type && !rc; i++) {
    wx_ops ops = routine;
    ops.name = h->type[i]->name;
    ops.user = h->type[i];
    if (h->type[i]->t.deleting) ops.flags |= WX_CLEANS_UP;
    rc = registry_add(r, &ops, err);
  }
  return rc;
}

/* ---- the types of a handle ---- */

static bool name_taken(const weir_t *h, const struct registry *known, const char *name) {
  for (size_t i = 0; i < h->n_type; i++)
    if (strcmp(h->type[i]->name, name) == 0) return true;
  return registry_find(known, name, 0) != NULL;
}

enum wr_rc type_check(const weir_t *h, const struct registry *known, const weir_type_t *t, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  if (!t->name || !text_node_key(t->name, strlen(t->name)))
    return wr_err_set(err, WR_BAD_NAME, "The name of a type is 1 to 128 characters of A-Z, a-z, 0-9, _, ., : and -.");
  if (!t->run || t->concurrency < 0)
    return wr_err_set(err, WR_OUT_OF_RANGE, "A type needs run(), and no negative concurrency.");
  if (t->stack > LIMIT_STACK_BYTES) /* the threads are shared: with one that cannot be had no type would run */
    return wr_err_set(err, WR_OUT_OF_RANGE, "stack is %zu bytes; at most %u (1 GiB) are allowed.", t->stack,
                      LIMIT_STACK_BYTES);
  if (h->n_type == LIMIT_EXECUTORS / 2) return wr_err_set(err, WR_OUT_OF_RANGE, "There are as many types as may be.");
  if (!name_taken(h, known, t->name)) return WR_OK;
  return wr_err_set(err, WR_EXISTS, "There is a task type %s already.", wr_err_quote(q, t->name, strlen(t->name)));
}

void type_keep(weir_t *h, const weir_type_t *t) {
  struct lib_type *k = wr_new(struct lib_type);
  k->h = h;
  k->t = *t;
  k->t.name = k->name = wr_strdup(t->name);
  *WR_PUSH(h->type, h->n_type, h->cap_type) = k;
}

void types_free(weir_t *h) {
  for (size_t i = 0; i < h->n_type; i++) {
    struct lib_type *t = h->type[i];
    if (t->t.release) t->t.release(t->t.user);
    free(t->name);
    free(t);
  }
  free(h->type);
}

size_t types_stack(const weir_t *h) {
  size_t most = 0;
  for (size_t i = 0; i < h->n_type; i++)
    if (h->type[i]->t.stack > most) most = h->type[i]->t.stack;
  return most;
}
