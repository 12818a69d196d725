/* A line that a task's program reports: never a byte outside of it, and what is taken is what a JSON reader reads there. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "mem.h"
#include "report_line.h"
#include "text.h"
#include "wr_limits.h"

/* Texts point into the line and are well-formed. */
static void check_text(const char *line, size_t n, struct report_text t) {
  if (!t.s || t.n == 0) return;
  wr_assert(t.s >= line && t.s + t.n <= line + n);
  wr_assert(text_utf8(t.s, t.n));
}

static json_t *only_value(const char *text, size_t n, const char *name) {
  json_t *v = json_loadb(text, n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
  if (!v) return NULL; /* a number that jansson cannot hold, or deeper than it likes */
  wr_assert(json_is_object(v) && json_object_size(v) == 1);
  json_t *one = json_incref(json_object_get(v, name));
  wr_assert(one);
  json_decref(v);
  return one;
}

static void same_text(const json_t *v, struct report_text t) {
  wr_assert(json_string_length(v) == t.n && memcmp(json_string_value(v), t.s, t.n) == 0);
}

/* What stands there as it was written reads as the same value. */
static void same_value(const json_t *v, struct report_text t) {
  json_t *again = json_loadb(t.s, t.n, JSON_ALLOW_NUL | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
  wr_assert(again && json_equal(v, again));
  json_decref(again);
}

static void same(const json_t *v, const struct report *r) {
  if (r->kind == REPORT_PROGRESS) {
    if (r->says & SAYS_UNIT && json_is_string(json_object_get(v, "unit"))) same_text(json_object_get(v, "unit"), r->unit);
    if (r->says & SAYS_DONE) wr_assert(r->done >= -1 && r->done <= REPORT_COUNT_MAX);
    if (r->says & SAYS_TOTAL) wr_assert(r->total >= -1 && r->total <= REPORT_COUNT_MAX);
    if (r->says & SAYS_DONE && r->done >= 0) wr_assert(json_number_value(json_object_get(v, "done")) == (double)r->done);
  } else if (r->kind == REPORT_AGAIN) {
    wr_assert(r->after_us >= -1 && r->after_us <= LIMIT_TIME_US);
  } else if (r->kind == REPORT_FAIL) {
    wr_assert(r->final == json_is_false(json_object_get(v, "retry")));
    if (r->text.s) same_text(json_object_get(v, "message"), r->text);
  } else if (json_is_string(v)) {
    same_text(v, r->text);
  } else {
    same_value(v, r->text);
  }
}

int fuzz_report(const uint8_t *data, size_t n) {
  static const char *const name[] = {[REPORT_PROGRESS] = "progress", [REPORT_CONTEXT] = "context", [REPORT_RESULT] = "result",
                                     [REPORT_FAIL] = "fail", [REPORT_AGAIN] = "again", [REPORT_LOG] = "log"};
  struct report r;
  char *line = wr_malloc(n ? n : 1), *kept = wr_malloc(n ? n : 1);
  if (n) memcpy(line, data, n), memcpy(kept, data, n);
  const char *why = report_read(line, n, &r);
  if (!why) {
    check_text(line, n, r.text);
    check_text(line, n, r.unit);
    check_text(line, n, r.message);
    if (r.kind == REPORT_CONTEXT) wr_assert(!memchr(r.text.s, 0, r.text.n) && r.text.n <= LIMIT_CONTEXT_BYTES);
    json_t *v = only_value(kept, n, name[r.kind]);
    if (v) same(v, &r);
    json_decref(v);
  }
  free(line);
  free(kept);
  return 0;
}
