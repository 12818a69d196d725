/* One attempt of a routine, and what the routine may call. The routine's threads, but for attempt_new(), attempt_stop() and
 * attempt_drop(), which are the loop's.
 *
 * What a routine says waits in `said` until the loop takes it: the newest progress and context, LOG_MOST bytes of its log. The
 * loop leaves the log there while the log of the node is behind. What never happens: a call that waits for the store, but for
 * weir_report_context() and weir_log(); one that counts after the attempt has ended or was told FENCED; a text that
 * is taken and then dropped. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "clock.h"
#include "cond.h"
#include "lib_int.h"
#include "text.h"
#include "wr_limits.h"

enum { LOG_MOST = 256 * 1024 };
#define COUNT_MOST (1LL << 53)

/* ---- its life ---- */

struct weir_attempt_s *attempt_new(weir_t *h, struct lib_type *t, const wx_host *host, wx_exec *x) {
  const wx_task *k = host->task(x);
  struct weir_attempt_s *a = wr_new(struct weir_attempt_s);
  a->h = h;
  a->pool = h->pool;
  a->type = t;
  atomic_init(&a->refs, 2);
  a->id = k->id;
  a->number = (int)k->attempt;
  a->cleanup = k->cleanup != 0;
  a->fence = wr_strdup(k->fence);
  a->params = wr_strdup(k->params);
  a->content = wr_strdup(k->content);
  a->config = wr_strdup(k->config);
  if (k->context) a->context = wr_memdup0(k->context, k->context_len);
  a->context_len = k->context_len;
  pthread_mutex_init(&a->mu, NULL);
  cond_mono(&a->moved);
  a->host = host;
  a->x = x;
  a->stop_fd = -1;
  a->said.done = a->said.total = -1;
  return a;
}

void attempt_unref(struct weir_attempt_s *a) {
  if (atomic_fetch_sub(&a->refs, 1) > 1) return;
  if (a->stop_fd >= 0) close(a->stop_fd);
  buf_done(&a->said.log);
  free(a->said.unit);
  free(a->said.message);
  free(a->said.context);
  free(a->said.result);
  free(a->said.error);
  free(a->fence);
  free(a->params);
  free(a->content);
  free(a->config);
  free(a->context);
  pthread_cond_destroy(&a->moved);
  pthread_mutex_destroy(&a->mu);
  free(a);
}

/* mu is held. */
static void wake(const struct weir_attempt_s *a) {
  if (a->x) a->host->wake(a->x);
}

void attempt_run(struct weir_attempt_s *a) {
  const weir_type_t *t = &a->type->t;
  int phase = a->cleanup ? t->deleting ? t->deleting(a, t->user) : WEIR_PHASE_FINISHED : t->run(a, t->user);
  pthread_mutex_lock(&a->mu);
  a->said.ended = true;
  a->said.phase = phase;
  wake(a);
  pthread_mutex_unlock(&a->mu);
}

void attempt_stop(struct weir_attempt_s *a, int reason) {
  pthread_mutex_lock(&a->mu);
  if (weir_attempt_stop_reason(a) != WEIR_STOP_FENCED) atomic_store(&a->stop.reason, reason);
  pthread_cond_broadcast(&a->moved);
  if (a->stop_fd >= 0) (void)eventfd_write(a->stop_fd, 1);
  pthread_mutex_unlock(&a->mu);
  until_look(&a->h->until);
  pool_look(a->pool);
}

void attempt_drop(struct weir_attempt_s *a) {
  pthread_mutex_lock(&a->mu);
  a->x = NULL;
  pthread_cond_broadcast(&a->moved);
  pthread_mutex_unlock(&a->mu);
}

/* ---- what it is ---- */

int64_t weir_attempt_id(weir_attempt_t *a) { return a->id; }
int weir_attempt_number(weir_attempt_t *a) { return a->number; }
const char *weir_attempt_fence(weir_attempt_t *a) { return a->fence; }
const char *weir_attempt_params(weir_attempt_t *a) { return a->params; }
const char *weir_attempt_content(weir_attempt_t *a) { return a->content; }
const char *weir_attempt_config(weir_attempt_t *a) { return a->config; }

const char *weir_attempt_context(weir_attempt_t *a, size_t *len) {
  if (len) *len = a->context_len;
  return a->context;
}

int weir_attempt_stop_reason(weir_attempt_t *a) { return atomic_load(&a->stop.reason); }
int weir_attempt_stopping(weir_attempt_t *a) { return weir_attempt_stop_reason(a) != WEIR_STOP_NONE; }

int weir_attempt_stop_fd(weir_attempt_t *a) {
  pthread_mutex_lock(&a->mu);
  if (a->stop_fd < 0) {
    a->stop_fd = eventfd(weir_attempt_stopping(a) ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
  }
  int fd = a->stop_fd;
  pthread_mutex_unlock(&a->mu);
  return fd;
}

/* ---- what it says ---- */

static int fenced(const struct weir_attempt_s *a) {
  if (atomic_load(&a->h->gone)) return unusable(a->h);
  return fail(a->h, WEIR_ERR_FENCED, WR_STALE, "The attempt has ended, or is not the task's any more.");
}

/* mu is held: what it says counts. */
static bool attempt_counts(const struct weir_attempt_s *a) { return a->x && atomic_load(&a->stop.reason) != WEIR_STOP_FENCED; }

/* Takes mu; false: it may say nothing any more. */
static bool begin_saying(struct weir_attempt_s *a) {
  pthread_mutex_lock(&a->mu);
  bool may = attempt_counts(a);
  if (!may) pthread_mutex_unlock(&a->mu);
  return may;
}

static int store_away(const struct weir_attempt_s *a) {
  return fail(a->h, WEIR_ERR_UNAVAILABLE, WR_DB_UNAVAILABLE,
              "The store does not answer; the context before this one stays for now.");
}

/* mu is held: waits until report `no` is decided. */
static int await_stored(struct weir_attempt_s *a, uint32_t no, int64_t until_us) {
  while (attempt_counts(a) && (int32_t)(a->context_done - no) < 0)
    if (!cond_until(&a->moved, &a->mu, until_us)) break;
  if ((int32_t)(a->context_done - no) >= 0)
    return a->context_answer == WX_KEPT ? WEIR_OK : a->context_answer == WX_KEPT_FENCED ? WEIR_ERR_FENCED : WEIR_ERR_UNAVAILABLE;
  return attempt_counts(a) ? WEIR_ERR_UNAVAILABLE : WEIR_ERR_FENCED;
}

int weir_report_context(weir_attempt_t *a, const char *text, size_t len) {
  if (!text || len > LIMIT_CONTEXT_BYTES || memchr(text, '\0', len) || !text_utf8(text, len))
    return fail(a->h, WEIR_ERR_INVALID, WR_OUT_OF_RANGE, "A context is UTF-8 without NUL, at most %d bytes.",
                LIMIT_CONTEXT_BYTES);
  char *copy = wr_memdup0(text, len);
  if (!begin_saying(a)) return free(copy), fenced(a);
  free(a->said.context);
  a->said.context = copy;
  a->said.context_len = len;
  a->said.has_context = true;
  uint32_t no = ++a->context_no;
  wake(a);
  int rc = await_stored(a, no, call_until(a->h));
  pthread_mutex_unlock(&a->mu);
  return rc == WEIR_OK ? rc : rc == WEIR_ERR_FENCED || atomic_load(&a->h->gone) ? fenced(a) : store_away(a);
}

/* As much of it as is stored. */
static void put_text(char **at, const char *text, size_t max) {
  if (!text) return;
  free(*at);
  *at = wr_malloc(max + 1);
  (void)text_cut(*at, text, max);
}

int weir_report_progress(weir_attempt_t *a, int64_t done, int64_t total, const char *unit, const char *message) {
  bool ok = done >= -1 && done <= COUNT_MOST && total >= -1 && total <= COUNT_MOST;
  ok = ok && (!unit || text_utf8(unit, strlen(unit))) && (!message || text_utf8(message, strlen(message)));
  if (!ok) return fail(a->h, WEIR_ERR_INVALID, WR_OUT_OF_RANGE, "done and total are 0 to 2^53, unit and message UTF-8.");
  if (!begin_saying(a)) return fenced(a);
  struct said *s = &a->said;
  if (!s->progress) s->done = s->total = -1;
  s->progress = true;
  if (done >= 0) s->done = done;
  if (total >= 0) s->total = total;
  put_text(&s->unit, unit, LIMIT_UNIT_BYTES);
  put_text(&s->message, message, LIMIT_MESSAGE_BYTES);
  wake(a);
  pthread_mutex_unlock(&a->mu);
  return WEIR_OK;
}

int weir_report_result(weir_attempt_t *a, const void *data, size_t len) {
  if ((!data && len) || len > LIMIT_RESULT_BYTES)
    return fail(a->h, WEIR_ERR_INVALID, WR_TOO_LARGE, "A result has at most %d bytes.", LIMIT_RESULT_BYTES);
  char *copy = wr_memdup0(len ? data : "", len);
  if (!begin_saying(a)) return free(copy), fenced(a);
  free(a->said.result);
  a->said.result = copy;
  a->said.result_len = len;
  a->said.has_result = true;
  pthread_mutex_unlock(&a->mu);
  return WEIR_OK;
}

int weir_report_error(weir_attempt_t *a, const char *message, int retry) {
  if (!message || !text_utf8(message, strlen(message)))
    return fail(a->h, WEIR_ERR_INVALID, WR_BAD_UTF8, "The message must be UTF-8.");
  if (!begin_saying(a)) return fenced(a);
  put_text(&a->said.error, message, LIMIT_ERROR_BYTES);
  a->said.no_retry = !retry;
  pthread_mutex_unlock(&a->mu);
  return WEIR_OK;
}

/* mu is held: waits until n bytes more have room. One that is to stop waits for the loop, which comes at once, but not for a
 * store that is behind. */
static int await_room(struct weir_attempt_s *a, size_t n, int64_t until_us) {
  while (attempt_counts(a) && a->said.log.len + n > LOG_MOST) {
    if (a->behind && weir_attempt_stopping(a)) return WEIR_ERR_REFUSED;
    if (!cond_until(&a->moved, &a->mu, until_us) && clock_mono_us() >= until_us) return WEIR_ERR_UNAVAILABLE;
  }
  return attempt_counts(a) ? WEIR_OK : WEIR_ERR_FENCED;
}

static int log_answer(const struct weir_attempt_s *a, int rc) {
  if (rc == WEIR_ERR_FENCED) return fenced(a);
  if (rc == WEIR_ERR_REFUSED)
    return fail(a->h, rc, WR_DRAINING, "The attempt is asked to stop, and its log is behind; the text is not in it.");
  if (rc == WEIR_ERR_UNAVAILABLE)
    return fail(a->h, rc, WR_DB_UNAVAILABLE, "The log's store does not keep up, or does not answer; the text is not in it.");
  return rc;
}

/* In parts that are added whole or not at all. */
int weir_log(weir_attempt_t *a, const char *data, size_t len) {
  if (!data && len) return fail(a->h, WEIR_ERR_INVALID, WR_BAD_REQUEST, "data must not be NULL.");
  int rc = WEIR_OK;
  int64_t until = call_until(a->h);
  pthread_mutex_lock(&a->mu);
  do {
    size_t n = len < LOG_MOST ? len : LOG_MOST;
    rc = await_room(a, n, until);
    if (rc || n == 0) break;
    buf_add(&a->said.log, data, n);
    wake(a);
    data += n;
    len -= n;
  } while (len > 0);
  pthread_mutex_unlock(&a->mu);
  return log_answer(a, rc);
}

/* ---- what it waits for ---- */

int weir_attempt_wait(weir_attempt_t *a, const int64_t *ids, size_t n, int64_t timeout_ms) {
  const weir_t *h = a->h;
  if (!ids && n) return fail(h, WEIR_ERR_INVALID, WR_BAD_REQUEST, "ids must not be NULL.");
  int rc = until_ended(a->h, ids, n, clock_mono_us(), &a->stop); /* perhaps there is nothing to wait for */
  if (rc == WEIR_ERR_TIMEOUT && timeout_ms != 0) {
    pool_lend(a->pool, a);
    rc = until_ended(a->h, ids, n, time_up(timeout_ms), &a->stop);
    pool_resume(a->pool, a);
  }
  if (rc == WEIR_ERR_TIMEOUT) return fail(h, rc, WR_BUSY, "The tasks have not ended in time.");
  if (rc == WEIR_ERR_REFUSED) return fail(h, rc, WR_DRAINING, "The attempt is asked to stop.");
  return rc ? unusable(h) : WEIR_OK;
}
