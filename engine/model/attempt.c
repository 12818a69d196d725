/* Attempts and the parameters they share.
 * Any thread, one at a time per attempt; params are immutable and counted. Nothing here starts or stops work. */
#include "attempt.h"

#include <stdlib.h>
#include <string.h>

#include "analysis.h"
#include "mem.h"

struct params *params_new(const char *text) {
  size_t n = strlen(text) + 1;
  struct params *p = wr_malloc(sizeof *p + n);
  atomic_init(&p->refs, 1);
  memcpy(p->text, text, n);
  return p;
}

struct params *params_ref(struct params *p) {
  if (p) atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
  return p;
}

void params_unref(struct params *p) {
  if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1) free(p);
}

const char *log_lost_name(enum log_lost why) {
  static const char *const name[LOG_LOST__N] = {"", "LIMIT", "STORE_FAILED", "DISK_FULL", "DISK_ERROR"};
  return (unsigned)why < LOG_LOST__N ? name[why] : "?";
}

void attempt_drop_params(struct attempt *a) {
  params_unref(a->params);
  a->params = NULL;
}

/* Asked once more after `wanted` is set: what went meanwhile told nobody. */
bool backlog_room(struct backlog *b, size_t more) {
  if (atomic_load(&b->bytes) + more <= b->most) return true;
  atomic_store(&b->wanted, true);
  return atomic_load(&b->bytes) + more <= b->most;
}

void attempt_weighs(struct attempt *a, struct backlog *b, size_t bytes) {
  struct backlog *was = a->backlog;
  size_t n = a->backlog_bytes;
  a->backlog = bytes ? b : NULL;
  a->backlog_bytes = bytes;
  if (a->backlog) atomic_fetch_add(&b->bytes, bytes);
  if (!was) return;
  atomic_fetch_sub(&was->bytes, n);
  if (atomic_load(&was->wanted) && atomic_exchange(&was->wanted, false)) was->room(was->ctx);
}

void attempt_free(struct attempt *a) {
  if (!a) return;
  attempt_weighs(a, NULL, 0);
  def_task_unref(a->def);
  params_unref(a->params);
  free(a->key);
  free(a->task_key);
  free(a->left);
  free(a->error);
  free(a->result);
  analysis_free(a->analysis);
  free(a);
}
