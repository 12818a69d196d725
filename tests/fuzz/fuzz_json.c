/* Request bodies as text: json_load_strict() against what can be counted in the tree that it made. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "wr_limits.h"
#include "mem.h"
#include "model.h"
#include "text.h"

struct level { json_t *v; void *it; size_t i; };

/* The next child at this level, NULL = no more. */
static json_t *child(struct level *l) {
  if (json_is_array(l->v)) return json_array_get(l->v, l->i++);
  if (!json_is_object(l->v)) return NULL;
  l->it = l->it ? json_object_iter_next(l->v, l->it) : json_object_iter(l->v);
  if (!l->it) return NULL;
  wr_assert(text_utf8(json_object_iter_key(l->it), json_object_iter_key_len(l->it)));
  wr_assert(strlen(json_object_iter_key(l->it)) == json_object_iter_key_len(l->it));
  return json_object_iter_value(l->it);
}

static void check_value(const json_t *v) {
  if (!json_is_string(v)) return;
  size_t n = json_string_length(v);
  wr_assert(strlen(json_string_value(v)) == n && text_utf8(json_string_value(v), n));
}

/* Number of values; the nesting is within its limit. */
static size_t count(json_t *root) {
  struct level stack[LIMIT_JSON_DEPTH + 1] = {{root, NULL, 0}};
  size_t depth = 1, values = 1;
  while (depth > 0) {
    json_t *v = child(&stack[depth - 1]);
    if (!v) {
      depth--;
      continue;
    }
    values++;
    check_value(v);
    if (!json_is_array(v) && !json_is_object(v)) continue;
    wr_assert(depth < LIMIT_JSON_DEPTH);
    stack[depth++] = (struct level){v, NULL, 0};
  }
  return values;
}

/* Our own text of it means the same. */
static void round_trip(const json_t *v) {
  char *text = json_text(v, JSON_SORT_KEYS);
  json_t *back = json_reparse(text, strlen(text));
  wr_assert(back && json_equal(v, back));
  wr_assert(json_text_depth(text, strlen(text)) <= LIMIT_JSON_DEPTH);
  char *again = json_text(back, JSON_SORT_KEYS);
  wr_assert(strcmp(text, again) == 0);
  free(text);
  free(again);
  json_decref(back);
}

int fuzz_json(const uint8_t *data, size_t n) {
  const char *text = (const char *)data;
  json_t *v = NULL, *same = NULL;
  struct wr_err err;
  wr_err_clear(&err);
  enum wr_rc rc = json_load_strict(text, n, LIMIT_JSON_VALUES, &v, &err);
  wr_assert((rc == WR_OK) == (v != NULL));
  wr_assert(json_load_strict(text, n, LIMIT_JSON_VALUES, &same, NULL) == rc);
  json_decref(same);
  if (rc) {
    fuzz_check_err(rc, &err);
    return 0;
  }
  wr_assert(json_is_object(v));
  size_t values = count(v);
  wr_assert(json_load_strict(text, n, values - 1, &same, &err) == WR_TOO_MANY_VALUES && !same);
  wr_assert(err.got == (int64_t)values && err.limit == (int64_t)values - 1);
  rc = json_load_strict(text, n, values, &same, &err);
  wr_assert(rc == WR_OK && json_equal(v, same));
  round_trip(v);
  json_decref(same);
  json_decref(v);
  return 0;
}
