/* Labels: see labels.h. What never happens: a label that does not fit into a list, or that looks like another one. */
#include "labels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"
#include "model.h"
#include "wr_limits.h"

#define WORDS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define FORM "NAME or NAME=VALUE, of letters, digits and _ . / : -, at most 128 characters"

static bool is_part(const char *s, size_t n) {
  if (n == 0 || !memchr(WORDS, s[0], sizeof WORDS - 1)) return false;
  for (size_t i = 0; i < n; i++)
    if (!memchr(WORDS "_./:-", s[i], sizeof WORDS "_./:-" - 1)) return false;
  return true;
}

static bool is_label(const char *s, size_t n) {
  const char *eq = memchr(s, '=', n);
  size_t name = eq ? (size_t)(eq - s) : n;
  return n <= LIMIT_LABEL_CHARS && is_part(s, name) && (!eq || is_part(eq + 1, n - name - 1));
}

static bool has(const char *list, const char *s, size_t n) {
  for (const char *p = list ? list : ""; *p; p += strcspn(p, ","), p += *p == ',')
    if (strcspn(p, ",") == n && memcmp(p, s, n) == 0) return true;
  return false;
}

bool labels_have(const char *have, const char *want) {
  for (const char *p = want ? want : ""; *p; p += strcspn(p, ","), p += *p == ',')
    if (!has(have, p, strcspn(p, ","))) return false;
  return true;
}

bool labels_lack(const char *have, const char *want, char *out, size_t n) {
  size_t at = 0;
  out[0] = '\0';
  for (const char *p = want ? want : ""; *p; p += strcspn(p, ","), p += *p == ',') {
    int len = (int)strcspn(p, ",");
    if (!has(have, p, (size_t)len) && at < n) at += (size_t)snprintf(out + at, n - at, "%s%.*s", at ? "," : "", len, p);
  }
  return at > 0;
}

static void add(struct buf *list, const char *s, size_t n) {
  if (list->len > 0 && has(list->data, s, n)) return;
  if (list->len > 0) buf_ch(list, ',');
  buf_add(list, s, n);
}

/* Adds the labels of a text. The first that is none; NULL: all are well. */
static const char *add_list(struct buf *list, const char *text) {
  for (const char *p = text, *end;; p = end + 1) {
    while (*p == ' ') p++;
    size_t n = strcspn(p, ",");
    end = p + n;
    while (n > 0 && p[n - 1] == ' ') n--;
    if (!is_label(p, n)) return p;
    add(list, p, n);
    if (!*end) return NULL;
  }
}

static void take(struct buf *list, char **out) {
  *out = list->len ? wr_memdup0(list->data, list->len) : NULL;
  buf_done(list);
}

enum wr_rc labels_parse(const char *what, const char *text, char **out, struct wr_err *err) {
  struct buf list = BUF_INIT;
  char q[WR_QUOTE_MAX];
  const char *bad = add_list(&list, text);
  *out = NULL;
  enum wr_rc rc = WR_OK;
  if (bad) rc = wr_err_set(err, WR_BAD_REQUEST, "%s: %s is no label: " FORM ".", what, wr_err_quote(q, bad, strcspn(bad, ",")));
  else if (list.len > LIMIT_LABELS_BYTES)
    rc = wr_err_set(err, WR_BAD_REQUEST, "%s: more than %d bytes of labels.", what, LIMIT_LABELS_BYTES);
  if (rc) buf_done(&list);
  else take(&list, out);
  return rc;
}

static enum wr_rc no_label(const struct jpath *at, const char *s, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  return fail_at(err, WR_OUT_OF_RANGE, at, "%s is no label: " FORM ".", wr_err_quote(q, s, strcspn(s, ",")));
}

/* A label alone: a comma is no part of it. */
static enum wr_rc add_one(struct buf *list, const json_t *v, const struct jpath *at, struct wr_err *err) {
  if (!json_is_string(v)) return fail_at(err, WR_WRONG_TYPE, at, "A label must be a text.");
  const char *s = json_string_value(v);
  if (!is_label(s, json_string_length(v))) return no_label(at, s, err);
  add(list, s, strlen(s));
  return WR_OK;
}

static enum wr_rc add_pair(struct buf *list, const char *name, const json_t *v, const struct jpath *at, struct wr_err *err) {
  struct buf label = BUF_INIT;
  enum wr_rc rc = WR_OK;
  if (json_is_true(v)) buf_printf(&label, "%s", name);
  else if (json_is_string(v)) buf_printf(&label, "%s=%s", name, json_string_value(v));
  else rc = fail_at(err, WR_WRONG_TYPE, at, "The value of a label must be a text, or true for a label without one.");
  if (!rc && (!is_part(name, strlen(name)) || !is_label(label.data, label.len))) rc = no_label(at, label.data, err);
  if (!rc) add(list, label.data, label.len);
  buf_done(&label);
  return rc;
}

static enum wr_rc add_all(struct buf *list, const json_t *v, const struct jpath *at, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  const char *key, *bad;
  json_t *e;
  size_t i;
  if (json_is_string(v)) return (bad = add_list(list, json_string_value(v))) ? no_label(at, bad, err) : WR_OK;
  if (json_is_array(v)) {
    json_array_foreach(v, i, e) if (!rc) rc = add_one(list, e, JELEM(at, i), err);
    return rc;
  }
  if (!json_is_object(v)) return fail_at(err, WR_WRONG_TYPE, at, "labels must be a list of texts.");
  json_object_foreach(json_mutable(v), key, e) if (!rc) rc = add_pair(list, key, e, JKEY(at, key), err);
  return rc;
}

enum wr_rc labels_read(const json_t *v, const struct jpath *at, char **out, struct wr_err *err) {
  struct buf list = BUF_INIT;
  *out = NULL;
  enum wr_rc rc = add_all(&list, v, at, err);
  if (!rc && list.len > LIMIT_LABELS_BYTES) rc = fail_large(err, at, "Bytes of labels", list.len, LIMIT_LABELS_BYTES);
  if (rc) buf_done(&list);
  else take(&list, out);
  return rc;
}

char *labels_of_config(const char *config) {
  struct wr_err err;
  char *out = NULL;
  json_t *o = config && strstr(config, "\"labels\"") ? json_reparse(config, strlen(config)) : NULL;
  const json_t *v = json_object_get(o, "labels");
  if (v && labels_read(v, NULL, &out, &err) != WR_OK) out = NULL;
  json_decref(o);
  return out;
}
