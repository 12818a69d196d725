/* One attempt: its start, the calls that its executor may make (the host table of the ABI), its end.
 *
 *   start -> live -> done() -> ended -> [waits for its log and for what it reported] -> release() -> given back
 *
 * Loop thread only. An ECHO goes this whole way within one turn, with no system call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "added_ops.h"
#include "analysis.h"
#include "clock.h"
#include "json_out.h"
#include "lib.h"
#include "wr_limits.h"
#include "text.h"
#include "worker_parting.h"

static const wx_host host;

/* ---- memory ---- */

static struct wx_exec *exec_new(struct worker *w, struct attempt *a, const wx_ops *ops) {
  struct wx_exec *x = w->unused;
  if (x) w->unused = x->next;
  else x = wr_malloc(sizeof *x);
  memset(x, 0, offsetof(struct wx_exec, fence));
  x->w = w;
  x->a = a;
  x->ops = ops;
  x->log_cap = -1;
  return x;
}

/* Other threads may have woken it just before it ended. */
static void leave_woken(struct wx_exec *x) {
  struct worker *w = x->w;
  if (!x->ops->woken) return;
  pthread_mutex_lock(&w->lock);
  for (struct wx_exec **at = &w->woken; x->woken && *at; at = &(*at)->next_woken)
    if (*at == x) {
      *at = x->next_woken;
      x->woken = false;
      break;
    }
  pthread_mutex_unlock(&w->lock);
}

static void exec_free(struct wx_exec *x) {
  leave_woken(x);
  x->next = x->w->unused;
  x->w->unused = x;
}

void exec_free_unused(struct worker *w) {
  for (struct wx_exec *x; (x = w->unused);) {
    w->unused = x->next;
    free(x);
  }
}

/* ---- ends ---- */

static char *error_text(const char *s) {
  char t[LIMIT_ERROR_BYTES + 1];
  if (!s || !*s) return NULL;
  size_t n = text_cut(t, s, LIMIT_ERROR_BYTES);
  return wr_memdup0(t, n);
}

void exec_refuse(struct worker *w, struct attempt *a, enum attempt_end end, const char *error) {
  a->end = end;
  a->error = error_text(error);
  a->exit_code = -1;
  worker_give_back(w, a);
}

/* Puts it on w->ended. */
static void exec_finish(struct wx_exec *x) {
  if (x->queued) return;
  x->queued = true;
  x->next = x->w->ended;
  x->w->ended = x;
}

static char *silent_text(const struct attempt *a) {
  char text[96];
  snprintf(text, sizeof text, "It reported nothing for %.6g s (heartbeatTimeout).", (double)a->heartbeat_us / 1e6);
  return wr_strdup(text);
}

/* Overrules the executor where the worker knows better. */
static void overrule(struct wx_exec *x) {
  struct attempt *a = x->a;
  if (x->worn && a->end == ATTEMPT_FATAL) a->end = ATTEMPT_FAIL; /* a later try may do better */
  /* A result after our request to stop does not count, but a failure for good does. */
  bool decided = (a->end == ATTEMPT_OK && !a->asked) || a->end == ATTEMPT_FATAL;
  if (!x->never && !x->lost && !((x->handback || x->silent) && !decided)) return;
  if (!x->never) { /* otherwise it says why itself */
    free(a->error);
    a->error = x->lost || !x->silent ? error_text(x->lost) : silent_text(a);
  }
  free(a->result);
  a->result = NULL;
  a->result_len = 0;
  attempt_weighs(a, NULL, 0);
  x->log_is_result = false;
  a->end = (x->lost || x->silent) && !x->never ? ATTEMPT_LOST : ATTEMPT_HANDBACK;
}

static void give_back(struct wx_exec *x) {
  struct worker *w = x->w;
  struct attempt *a = x->a;
  worker_timer(w, &x->timer, 0);
  worker_timer(w, &x->limit, 0);
  worker_timer(w, &x->beat, 0);
  worker_timer(w, &x->wait, 0);
  if (w->live.n && map64_get(&w->live, a->ti) == x) map64_del(&w->live, a->ti);
  overrule(x);
  a->log = a->log_bytes ? LOG_ROWS : LOG_NONE;
  if (x->log_is_result) {
    a->log = LOG_IS_RESULT;
    a->log_bytes = (int64_t)a->result_len;
  }
  if (x->ops->release) x->ops->release(&host, x);
  reports_free(x);
  uint32_t again = x->stop || w->draining ? 0 : x->again;
  exec_free(x);
  if (!again || !later_busy(w, a, again)) worker_give_back(w, a);
  later_former_ended(w, a->ti);
}

void exec_log_over(struct wx_exec *x, struct log_sum sum) {
  x->a->log_bytes = sum.stored;
  x->a->log_lost = sum.lost;
  x->a->log_lost_why = sum.why;
  x->log = NULL;
  worker_timer(x->w, &x->wait, 0); /* it may be due in this very turn */
  exec_finish(x);
}

static struct wx_exec *of_wait(struct timer *t) { return (struct wx_exec *)((char *)t - offsetof(struct wx_exec, wait)); }

static void log_late(struct worker *w, struct timer *t) {
  struct wx_exec *x = of_wait(t);
  bool moves = xlog_moves(x->log, !x->stop); /* whoever asked it to stop waits for that */
  if (moves && !w->draining && !x->lost) worker_timer(w, &x->wait, clock_mono_us() + LOG_LAST_US);
  else exec_log_over(x, xlog_leave(x->log));
}

static void end_log(struct wx_exec *x) {
  if (x->log_ending) return;
  x->log_ending = true;
  x->wait.fire = log_late;
  worker_timer(x->w, &x->wait, clock_mono_us() + LOG_LAST_US);
  (void)xlog_moves(x->log, true);
  xlog_end(x->log);
}

void exec_reports_over(struct wx_exec *x) { exec_finish(x); }

/* Both ends are asked for at once; the later answer gives it back. */
void exec_sweep(struct worker *w) {
  for (struct wx_exec *x; (x = w->ended);) {
    w->ended = x->next;
    x->queued = false;
    bool waits = x->reports && reports_end(x);
    if (x->log) end_log(x);
    else if (!waits) give_back(x);
  }
}

/* ---- the host table ---- */

static int64_t host_now(wx_exec *x) {
  (void)x;
  return clock_mono_us();
}

static void **host_data(wx_exec *x) { return &x->data; }
static const wx_task *host_task(wx_exec *x) { return &x->task; }
static void host_log(wx_exec *x, int stream, const void *p, size_t n) { (void)exec_note(x, WX_NOTE_LOG, stream, p, n); }

static void timer_due(struct worker *w, struct timer *t) {
  struct wx_exec *x = (struct wx_exec *)t;
  (void)w;
  if (!x->ended && x->ops->timer) x->ops->timer(&host, x);
}
_Static_assert(offsetof(struct wx_exec, timer) == 0, "the executor's timer is its attempt");

static void host_timer(wx_exec *x, int64_t at_us) {
  x->timer.fire = timer_due;
  worker_timer(x->w, &x->timer, x->ended ? 0 : at_us);
}

/* The part of a request that the host could not read, or not keep. */
static const char *spawn_flaw(const wx_spawn *sp) {
  if (sp->size < offsetof(wx_spawn, script)) return "The executor's wx_spawn is smaller than that of its ABI.";
  if (!sp->argv || !sp->argv[0]) return "The executor names no program.";
  bool too_many = sp->n_rlimit > sizeof sp->rlimit / sizeof *sp->rlimit;
  return too_many ? "The executor sets more limits than a wx_spawn has room for." : NULL;
}

static int host_spawn(wx_exec *x, const wx_spawn *sp, char *err, size_t err_n) {
  wr_assert(!x->child && !x->ended);
  const char *flaw = spawn_flaw(sp);
  if (flaw) return snprintf(err, err_n, "%s", flaw), -1;
  return child_spawn(x, sp, err, err_n);
}

static void host_kill(wx_exec *x, int how) {
  if (x->child) child_kill(x, how);
}

_Static_assert((int)WX_STOP_NONE == (int)STOP_NONE && (int)WX_STOP_PAUSE == (int)STOP_PAUSE &&
               (int)WX_STOP_CANCEL == (int)STOP_CANCEL && (int)WX_STOP_DELETE == (int)STOP_DELETE &&
               (int)WX_STOP_SHUTDOWN == (int)STOP_SHUTDOWN && (int)WX_STOP_TIMEOUT == (int)STOP_TIMEOUT &&
               (int)WX_STOP_FENCED == (int)STOP_FENCED, "a reason has one number");
static int host_stop_reason(wx_exec *x) { return (int)x->stop; }
static const char *host_tools(wx_exec *x) { return x->w->o.tools; }
static void *host_user(wx_exec *x) { return x->ops->user; }

/* Any thread: only what stands under the lock is touched. */
void exec_wake(struct wx_exec *x) {
  struct worker *w = x->w;
  pthread_mutex_lock(&w->lock);
  bool first = !x->woken;
  if (first) {
    x->woken = true;
    x->next_woken = w->woken;
    w->woken = x;
  }
  pthread_mutex_unlock(&w->lock);
  if (first) worker_poke(w);
}

/* What waited can go on. It could say nothing meanwhile, so its heartbeat counts from now. */
void exec_log_room(struct wx_exec *x) {
  exec_beat(x, clock_mono_us());
  child_resume(x);
  if (!x->ended && x->ops->woken) x->ops->woken(&host, x);
}

/* Each is called with itself off the list, so that a wake from now on calls it again. */
void exec_woken(struct worker *w) {
  pthread_mutex_lock(&w->lock);
  struct wx_exec *list = w->woken, *turned = NULL;
  w->woken = NULL;
  for (struct wx_exec *x; (x = list);) {
    list = x->next_woken;
    x->next_woken = turned;
    turned = x;
  }
  while (turned) {
    struct wx_exec *x = turned;
    turned = x->next_woken;
    x->woken = false;
    pthread_mutex_unlock(&w->lock);
    if (!x->ended && x->ops->woken) x->ops->woken(&host, x);
    pthread_mutex_lock(&w->lock);
  }
  pthread_mutex_unlock(&w->lock);
}

void exec_noted(struct wx_exec *x, uint32_t count, int answer) {
  if (!x->ended && x->ops->noted) x->ops->noted(&host, x, count, answer);
}

/* Copies what the attempt keeps of a result. */
static void take_result(struct attempt *a, const wx_result *r) {
  static const enum attempt_end ends[] = {ATTEMPT_OK, ATTEMPT_FAIL, ATTEMPT_FATAL, ATTEMPT_LOST, ATTEMPT_NOT_NOW,
                                          ATTEMPT_HANDBACK};
  static const wx_result unreadable = {.size = sizeof(wx_result), .end = WX_FATAL, .exit_code = -1,
                                       .error = "The executor ended with a result that this program cannot read."};
  if (r->size < offsetof(wx_result, after_us) || r->end < WX_OK || r->end > WX_NEVER) r = &unreadable;
  a->end = ends[r->end];
  a->error = error_text(r->error);
  a->exit_code = r->exit_code;
  a->signal = r->signal;
  a->utime_us = r->utime_us;
  a->stime_us = r->stime_us;
  a->maxrss_kib = r->maxrss_kib;
  a->after_us = r->size >= offsetof(wx_result, decided) ? r->after_us : 0;
  bool late = r->size >= offsetof(wx_result, status); /* knows the members from `decided` on */
  if (late && r->decided) a->asked = false;
  a->remove = late && r->remove;
  a->status = r->size >= sizeof *r ? r->status : 0;
  if (r->result) {
    a->result_len = r->result_len < LIMIT_RESULT_BYTES ? r->result_len : LIMIT_RESULT_BYTES;
    a->result = wr_memdup0(r->result, a->result_len);
  }
}

static void host_done(wx_exec *x, const wx_result *r) {
  wr_assert(!x->ended && !x->child);
  take_result(x->a, r);
  x->never = x->never || x->a->end == ATTEMPT_HANDBACK;
  /* it is as long as a process would be */
  if (x->ops->woken && !x->never && x->begun_us) x->a->run_us = clock_mono_us() - x->begun_us + 1;
  x->log_is_result = r->result && r->log_is_result;
  if (x->reports) reports_result(x);
  attempt_weighs(x->a, x->w->o.backlog, x->w->o.backlog ? x->a->result_len : 0);
  x->ended = true;
  exec_finish(x);
}

static void host_params(wx_exec *x, void (*fn)(void *ctx, const char *name, const char *text), void *ctx) {
  params_each(x->a->params, fn, ctx);
}

static const wx_host host = {.abi = WX_ABI, .size = sizeof(wx_host), .now_us = host_now, .data = host_data, .task = host_task,
                             .log = host_log, .timer = host_timer, .spawn = host_spawn, .kill = host_kill, .done = host_done,
                             .params = host_params, .lib = &executor_lib, .note = exec_note,
                             .stop_reason = host_stop_reason, .tools = host_tools, .user = host_user, .wake = exec_wake,
                             .log_behind = exec_log_behind};

/* ---- start ---- */

/* NULL: no executor here can run it. Definitions from the cache of a node know their executor. */
static const wx_ops *ops_of(const struct worker *w, const struct attempt *a) {
  if (a->analysis) return &analysis_ops;
  const struct executor *x = a->def->executor;
  if (!x || (a->executor && x->version != a->executor)) x = registry_find(w->o.executors, a->def->type, a->executor);
  return x ? &x->ops : NULL;
}

/* An analysis speaks of the attempt that it looks at. */
static uint32_t attempt_shown(const struct attempt *a) { return a->analysis ? a->analysis->attempt : a->epoch; }

/* "<run key>:<epoch>", without the cost of a format: ECHO pays for it too. */
static const char *fence_of(struct wx_exec *x) {
  size_t n = x->a->key ? strlen(x->a->key) : 0;
  char digits[12], *d = digits + sizeof digits;
  uint32_t e = attempt_shown(x->a);
  *--d = '\0';
  do *--d = (char)('0' + e % 10);
  while (e /= 10);
  size_t m = (size_t)(digits + sizeof digits - d);
  wr_assert(n + 1 + m <= sizeof x->fence);
  if (n) memcpy(x->fence, x->a->key, n);
  x->fence[n] = ':';
  memcpy(x->fence + n + 1, d, m);
  return x->fence;
}

static void limit_due(struct worker *w, struct timer *t) {
  struct wx_exec *x = (struct wx_exec *)((char *)t - offsetof(struct wx_exec, limit));
  const struct attempt *a = x->a;
  if (!x->ended && w->o.timed_out) w->o.timed_out(w->o.ctx, a->fi, a->ti, a->epoch);
}

/* Reports only note their time: the timer looks at that when it rings, and rings again. */
static void beat_due(struct worker *w, struct timer *t) {
  struct wx_exec *x = (struct wx_exec *)((char *)t - offsetof(struct wx_exec, beat));
  int64_t end = x->beat_us + x->a->heartbeat_us;
  if (x->ended || x->stop) return;
  /* what it reported has not been looked at, or its log keeps it from reporting */
  bool waits = child_unread(x) || (x->log && xlog_stalled(x->log));
  if (waits) end = clock_mono_us() + x->a->heartbeat_us;
  if (clock_mono_us() < end) {
    worker_timer(w, t, end);
    return;
  }
  x->silent = true;
  exec_stop(x, STOP_TIMEOUT, WX_CANCEL_ASK);
}

static void heartbeat(struct wx_exec *x, int64_t from_us) {
  if (!x->a->heartbeat_us) return;
  if (x->beat_us < from_us) x->beat_us = from_us;
  x->beat.fire = beat_due;
  worker_timer(x->w, &x->beat, x->beat_us + x->a->heartbeat_us);
}

void exec_limit(struct wx_exec *x, int64_t from_us) {
  if (x->a->analysis) return; /* its limit is its own */
  heartbeat(x, from_us);
  if (!x->a->timeout_us) return;
  x->limit.fire = limit_due;
  worker_timer(x->w, &x->limit, from_us + x->a->timeout_us);
}

static void attempt_begin(struct wx_exec *x) {
  struct attempt *a = x->a;
  char err[LIMIT_ERROR_BYTES] = "";
  if (a->left) reports_begin(x, a->left);
  if (x->ops->start(&host, x, err, sizeof err) && !x->ended)
    host_done(x, &(wx_result){.size = sizeof(wx_result), .end = WX_FATAL, .error = err, .exit_code = -1});
  if (a->left) { /* a MiB perhaps, which the executor has read, or sent along */
    x->task.context = NULL;
    free(a->left);
    a->left = NULL;
  }
  a->recalled = false; /* another start of this attempt needs it again */
  map64_put(&x->w->live, a->ti, x); /* also one that has ended: its log and its context may wait for the store */
  if (x->ended) return;
  if (!x->begun_us) x->begun_us = clock_mono_us();
  if (!x->child) exec_limit(x, x->begun_us); /* else: when it has started */
}

/* Has an earlier attempt, or the submit, left something for it that is not here yet? */
static bool lacks_left(const struct worker *w, const struct attempt *a, const wx_ops *ops) {
  return w->keeper && ops->flags & WX_CONTEXT && (a->epoch > 1 || a->given) && !a->recalled;
}

/* What an executor is told of its task. */
static struct wx_exec *exec_for(struct worker *w, struct attempt *a, const wx_ops *ops) {
  struct wx_exec *x = exec_new(w, a, ops);
  if (ops->flags & WX_NO_PARAMS) attempt_drop_params(a);
  x->task = (wx_task){.size = sizeof(wx_task), .content = a->def->content, .config = a->def->config,
                      .params = a->params ? a->params->text : NULL, .run_key = a->key ? a->key : "",
                      .fence = fence_of(x), .attempt = attempt_shown(a), .id = a->ti, .cleanup = a->parting ? 2 : a->cleanup,
                      .failed = a->failed, .before = a->before, .first_try = a->first_try};
  if (a->left && a->left->context_len) x->task.context = a->left->context, x->task.context_len = a->left->context_len;
  x->task.context_own = a->left && a->left->context_len && a->left->context_epoch > a->before;
  return x;
}

/* It is not among those that live, and has no limit but that of worker_parting.c. */
struct wx_exec *exec_part(struct worker *w, struct attempt *a) {
  const wx_ops *ops = ops_of(w, a);
  char err[LIMIT_ERROR_BYTES] = "";
  if (!ops || !(ops->flags & WX_PARTS)) return NULL;
  struct wx_exec *x = exec_for(w, a, ops);
  x->stop = STOP_CANCEL;
  if (ops->start(&host, x, err, sizeof err) && !x->ended)
    host_done(x, &(wx_result){.size = sizeof(wx_result), .end = WX_FATAL, .error = err, .exit_code = -1});
  x->task.context = NULL;
  free(a->left);
  a->left = NULL;
  return x;
}

void exec_start(struct worker *w, struct attempt *a) {
  const wx_ops *ops = ops_of(w, a);
  char q[WR_QUOTE_MAX], text[WR_QUOTE_MAX + 64];
  if (w->draining) {
    exec_refuse(w, a, ATTEMPT_HANDBACK, NULL);
  } else if (atomic_load(&w->deadline_us) != INT64_MAX && clock_boot_us() >= atomic_load(&w->deadline_us)) {
    exec_refuse(w, a, ATTEMPT_HANDBACK, "The node's lease is over.");
  } else if (!ops) {
    snprintf(text, sizeof text, "There is no task type %s here.", wr_err_quote(q, a->def->type, strlen(a->def->type)));
    exec_refuse(w, a, ATTEMPT_FATAL, text);
  } else if (w->live.n && map64_get(&w->live, a->ti)) {
    later_former(w, a);
  } else if (lacks_left(w, a, ops)) {
    later_left(w, a);
  } else {
    attempt_begin(exec_for(w, a, ops));
  }
}

/* ---- instant attempts: on the caller's thread ---- */

static void instant_done(wx_exec *x, const wx_result *r) {
  wr_assert(!x->ended);
  take_result(x->a, r);
  x->ended = true;
  if (!r->result || !r->log_is_result) return;
  x->a->log = LOG_IS_RESULT;
  x->a->log_bytes = (int64_t)x->a->result_len;
}

bool exec_instant(struct worker *w, struct attempt *a) {
  static const wx_host little = {.abi = WX_ABI, .size = sizeof(wx_host), .task = host_task, .done = instant_done,
                                .lib = &executor_lib};
  const wx_ops *ops = ops_of(w, a);
  if (!ops || !(ops->flags & WX_INSTANT)) return false;
  if (atomic_load(&w->deadline_us) != INT64_MAX && clock_boot_us() >= atomic_load(&w->deadline_us)) return false;
  struct wx_exec x = {.w = w, .a = a, .ops = ops};
  char err[LIMIT_ERROR_BYTES] = "";
  x.task = (wx_task){.size = sizeof(wx_task), .content = a->def->content, .config = a->def->config,
                     .params = a->params ? a->params->text : NULL, .run_key = a->key ? a->key : "", .fence = fence_of(&x),
                     .attempt = a->epoch, .id = a->ti};
  if (ops->start(&little, &x, err, sizeof err) && !x.ended)
    instant_done(&x, &(wx_result){.size = sizeof(wx_result), .end = WX_FATAL, .error = err, .exit_code = -1});
  wr_assert(x.ended);
  return true;
}

/* ---- what comes from outside ---- */

void exec_child_done(struct wx_exec *x, const wx_exit *e) {
  if (x->ops->child_done) x->ops->child_done(&host, x, e);
}

/* Of a process the spawner knows whether our TERM came before its end. */
void exec_stop(struct wx_exec *x, enum task_stop why, int how) {
  if (x->ended) return;
  x->stop = why;
  if (!x->child) x->a->asked = true;
  if (x->ops->cancel) x->ops->cancel(&host, x, how);
}

void exec_stop_for(struct wx_exec *x, enum task_stop why) {
  if (x->ended || x->stop == why) return;
  x->stop = why;
  if (x->ops->stop_moved) x->ops->stop_moved(&host, x);
}

void exec_lose(struct wx_exec *x, const char *why) {
  x->lost = why; /* also one that has ended and waits for its log: its result may not count */
  reports_hurry(x);
  exec_stop(x, STOP_FENCED, WX_CANCEL_FORCE);
}

void exec_lose_all(struct worker *w, const char *why) {
  const struct map64_slot *m;
  child_recall(w);
  later_recall(w);
  for (size_t i = 0; (m = map64_next(&w->live, &i));) exec_lose(m->val, why);
}

void exec_hand_back_waiting(struct worker *w) {
  child_recall(w);
  later_recall(w);
}

void exec_hand_back_all(struct worker *w) {
  const struct map64_slot *m;
  exec_hand_back_waiting(w);
  for (size_t i = 0; (m = map64_next(&w->live, &i));) {
    struct wx_exec *x = m->val;
    if (x->ended) {
      reports_hurry(x);
      continue;
    }
    x->handback = true;
    exec_stop(x, STOP_SHUTDOWN, WX_CANCEL_ASK);
  }
}
