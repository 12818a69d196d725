/* What went wrong, for the thread that it happened to. Any thread; the memory is the thread's own. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "lib_int.h"
#include "log_place.h"
#include "map64.h"
#include "text.h"

/* Handles by their addresses, each with the count of those that were made up to it: a new one may get the address of one that
 * is gone, and has not failed yet. No handle is followed here. */
static struct { pthread_mutex_t mu; struct map64 live; uintptr_t made; } handles = {PTHREAD_MUTEX_INITIALIZER, MAP64_INIT, 0};

static _Thread_local struct last {
  const weir_t *h; uintptr_t made;   /* when it failed */
  enum wr_rc code; char text[sizeof((struct wr_err *)0)->msg + 170];
} last;

void handle_begins(const weir_t *h) {
  pthread_mutex_lock(&handles.mu);
  (void)map64_put(&handles.live, (int64_t)(uintptr_t)h, (void *)++handles.made);
  pthread_mutex_unlock(&handles.mu);
}

void handle_ends(const weir_t *h) {
  pthread_mutex_lock(&handles.mu);
  (void)map64_del(&handles.live, (int64_t)(uintptr_t)h);
  if (handles.live.n == 0) map64_done(&handles.live);
  pthread_mutex_unlock(&handles.mu);
}

/* made: how many were made so far; h: which of these it is, 0 = it is gone. */
static uintptr_t handle_count(const weir_t *h, uintptr_t *made) {
  pthread_mutex_lock(&handles.mu);
  uintptr_t nth = h ? (uintptr_t)map64_get(&handles.live, (int64_t)(uintptr_t)h) : 0;
  *made = handles.made;
  pthread_mutex_unlock(&handles.mu);
  return nth;
}

int rc_of(enum wr_rc code) {
  switch ((unsigned)code) {
  case WR_OK: return WEIR_OK;
  case WR_UNKNOWN_TYPE: return WEIR_ERR_UNKNOWN_TYPE;
  case WR_OUTCOME_UNKNOWN: return WEIR_ERR_OUTCOME_UNKNOWN;
  case WR_BUSY: case WR_RATE: return WEIR_ERR_BUSY;
  case WR_STORE_REFUSED: return WEIR_ERR_REFUSED;
  default: break;
  }
  switch (wr_err_status(code)) {
  case 401: case 403: return WEIR_ERR_REFUSED;
  case 404: return WEIR_ERR_NOT_FOUND;
  case 409: return WEIR_ERR_CONFLICT;
  case 503: case 507: case 500: return WEIR_ERR_UNAVAILABLE;
  default: return WEIR_ERR_INVALID;
  }
}

static void note(const weir_t *h, enum wr_rc code, const char *text, const char *path) {
  last.h = h;
  (void)handle_count(h, &last.made);
  last.code = code;
  snprintf(last.text, sizeof last.text, *path ? "%s (%s)" : "%s", text, path);
}

int failed(const weir_t *h, const struct wr_err *err) {
  note(h, err->code, err->msg[0] ? err->msg : wr_err_text(err->code), err->path);
  return rc_of(err->code);
}

int fail(const weir_t *h, int rc, enum wr_rc code, const char *fmt, ...) {
  char text[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  note(h, code, text, "");
  return rc;
}

bool bad_text(const weir_t *h, const char *name, const char *text) {
  if (!text || text_utf8(text, strlen(text))) return false;
  (void)fail(h, WEIR_ERR_INVALID, WR_BAD_UTF8, "%s is not valid UTF-8.", name);
  return true;
}

static bool is_of(const weir_t *h) {
  uintptr_t made;
  return !h || (last.h == h && handle_count(h, &made) <= last.made);
}

const char *weir_error(weir_t *h) { return is_of(h) ? last.text : ""; }
int weir_error_code(weir_t *h) { return is_of(h) ? (int)last.code : 0; }
const char *weir_version(void) { return WEIR_VERSION; }

const char *weir_strerror(int rc) {
  static const char *const text[] = {
    "All is well.", "What was given cannot be.", "There is no such task.", "The state of the task does not allow that.",
    "No node has ever registered this task type.", "The store is not available; nothing was stored.",
    "The outcome is unknown; it may have been stored.", "The time is over.", "There is not enough memory.",
    "That is not supported here.", "It was refused, or asked to stop.", "The attempt is not the task's any more.",
    "Too much is under way; try again."};
  return rc <= 0 && rc > -(int)(sizeof text / sizeof *text) ? text[-rc] : "There is no such error.";
}

/* ---- the log ---- */

int weir_set_log(weir_t *h, void (*sink)(int level, const char *line, void *user), void *user) {
  if (!h) return WEIR_ERR_INVALID;
  log_place_sink(h->log, sink, user);
  return WEIR_OK;
}

int no_task(const weir_t *h, int64_t id) {
  return fail(h, WEIR_ERR_NOT_FOUND, WR_NOT_FOUND, "Task instance %lld does not exist.", (long long)id);
}

enum wr_rc sized_copy(void *to, size_t n, const void *from, const char *what, struct wr_err *err) {
  const unsigned char *p = from;
  if (!from) return wr_err_set(err, WR_WRONG_TYPE, "There is no %s.", what);
  const size_t from_n = *(const size_t *)from; /* each struct begins with its size */
  if (from_n < sizeof(size_t) || from_n % sizeof(size_t)) /* all of them end so: half a pointer is no member */
    return wr_err_set(err, WR_OUT_OF_RANGE, "The size of the %s is %zu: it must be sizeof of its struct.", what, from_n);
  bool known = true;
  for (size_t i = n; i < from_n && known; i++) known = p[i] == 0;
  if (!known) return wr_err_set(err, WR_UNKNOWN_FIELD, "The %s has members that this library does not know.", what);
  memcpy(to, from, from_n < n ? from_n : n);
  memcpy(to, &n, sizeof n);
  return WR_OK;
}
