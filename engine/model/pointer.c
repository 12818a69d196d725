/* JSON pointers: pointer.h. */
#include "pointer.h"
#include <stdlib.h>
#include <string.h>
#include "mem.h"
#include "model.h"
#include "text.h"

bool pointer_form(const char *s) {
  if (*s && *s != '/') return false;
  for (; *s; s++)
    if (*s == '~' && s[1] != '0' && s[1] != '1') return false;
  return true;
}

/* Decodes the next part, from behind its slash; out has room for all of it. Returns where it ends. */
static const char *next_part(const char *s, char *out) {
  for (; *s && *s != '/'; s++) {
    if (*s != '~') *out++ = *s;
    else *out++ = *++s == '1' ? '/' : '~';
  }
  *out = '\0';
  return s;
}

/* "-", the place behind the last element, is nowhere. */
static const json_t *step(const json_t *v, const char *part) {
  int64_t i;
  size_t n = strlen(part);
  if (json_is_object(v)) return json_object_get(v, part);
  if (!json_is_array(v) || (part[0] == '0' && n > 1) || !text_i64(part, n, &i) || i < 0 || part[0] == '-') return NULL;
  return json_array_get(v, (size_t)i);
}

const json_t *pointer_follow(const json_t *v, const char *s) {
  char *part = wr_malloc(strlen(s) + 1);
  while (v && *s == '/') {
    s = next_part(s + 1, part);
    v = step(v, part);
  }
  free(part);
  return v;
}

/* A double holds no integer beyond 2^53 exactly, so two integers are compared as such. */
static bool number_same(const json_t *a, const json_t *b) {
  if (json_is_integer(a) && json_is_integer(b)) return json_integer_value(a) == json_integer_value(b);
  return json_number_value(a) == json_number_value(b);
}

static bool object_same(const json_t *a, const json_t *b) {
  json_t *o = json_mutable(a);
  if (json_object_size(a) != json_object_size(b)) return false;
  for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
    const json_t *other = json_object_getn(b, json_object_iter_key(it), json_object_iter_key_len(it));
    if (!other || !json_same(json_object_iter_value(it), other)) return false;
  }
  return true;
}

bool json_same(const json_t *a, const json_t *b) {
  if (json_is_number(a) && json_is_number(b)) return number_same(a, b);
  if (json_is_object(a) && json_is_object(b)) return object_same(a, b);
  if (!json_is_array(a) || !json_is_array(b)) return json_equal(a, b);
  if (json_array_size(a) != json_array_size(b)) return false;
  for (size_t i = 0; i < json_array_size(a); i++)
    if (!json_same(json_array_get(a, i), json_array_get(b, i))) return false;
  return true;
}
