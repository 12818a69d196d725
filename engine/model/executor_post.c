/* POST /executor, POST /analyzer: executor_post.h. */
#include "executor_post.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "analysis.h"
#include "json_write.h"
#include "labels.h"
#include "model.h"
#include "queue_post.h"
#include "text.h"
#include "wr_limits.h"

enum { P_TYPE, P_ID, P_MODE, P_LOCATION, P_DOCUMENT, P_CONFIG, P_LABELS, P_MAX_RUNNING, P_RATE, P_SHA256, P_ANALYZER,
       P_TASK_TYPES, P__KEPT, P_REPLACE = P__KEPT, P__USED, P__N = P__USED + 6 };
enum { PATH_BYTES = 4096, PART_BYTES = 255, LABELS = 32, SHA256_CHARS = 64, URL_BYTES = 4096 };

/* Those up to P__KEPT are the content. Server-made fields are accepted and ignored: what GET answers can be posted back. A kind
 * lacks those without a name. */
static const struct field post_field[][P__N] = {
  [ADDED_EXECUTOR] = {
    [P_TYPE] = FIELD("executorType", F_TEXT), [P_ID] = FIELD("executorId", F_TEXT), [P_MODE] = FIELD("mode", F_TEXT),
    [P_LOCATION] = FIELD("location", F_ANY), [P_DOCUMENT] = FIELD("document", F_ANY), [P_CONFIG] = FIELD("config", F_ANY),
    [P_LABELS] = FIELD("labels", F_ANY), [P_SHA256] = FIELD("sha256", F_TEXT), [P_ANALYZER] = FIELD("analyzer", F_ANY),
    [P_REPLACE] = FIELD("replace", F_ANY), [P_MAX_RUNNING] = FIELD("maxRunning", F_ANY), [P_RATE] = FIELD("rate", F_ANY),
    [P__USED] = FIELD("executorVersion", F_OURS), FIELD("members", F_OURS), FIELD("createTime", F_OURS),
    FIELD("updateTime", F_OURS), FIELD("createdAt", F_OURS), FIELD("updatedAt", F_OURS)},
  [ADDED_ANALYZER] = {
    [P_TYPE] = FIELD("analyzerType", F_TEXT), [P_MODE] = FIELD("mode", F_TEXT), [P_LOCATION] = FIELD("location", F_ANY),
    [P_DOCUMENT] = FIELD("document", F_ANY), [P_CONFIG] = FIELD("config", F_ANY), [P_TASK_TYPES] = FIELD("taskTypes", F_ANY),
    [P_REPLACE] = FIELD("replace", F_ANY),
    [P__USED] = FIELD("analyzerVersion", F_OURS), FIELD("members", F_OURS), FIELD("createTime", F_OURS),
    FIELD("updateTime", F_OURS), FIELD("createdAt", F_OURS), FIELD("updatedAt", F_OURS)}};

/* One pass over the fields that the kind has. */
static enum wr_rc read_fields(const json_t *body, enum added_kind kind, json_t *v[P__N], struct wr_err *err) {
  struct field f[P__N];
  json_t *got[P__N];
  size_t at[P__N], n = 0;
  memset(v, 0, P__N * sizeof *v);
  for (size_t i = 0; i < P__N; i++)
    if (post_field[kind][i].name) at[n] = i, f[n++] = post_field[kind][i];
  enum wr_rc rc = field_read(body, f, n, got, NULL, err);
  for (size_t i = 0; !rc && i < n; i++) v[at[i]] = got[i];
  return rc;
}

#define MASK "***"   /* what an answer shows of a secret */

/* ---- names ---- */

static bool is_of_word(char c, const char *more) {
  return (unsigned char)c <= 127 && (isalnum((unsigned char)c) || (c && strchr(more, c)));
}

bool type_form(const char *s, size_t n) {
  if (n < 1 || n > LIMIT_EXECUTOR_TYPE_CHARS || !isalpha((unsigned char)s[0])) return false;
  for (size_t i = 0; i < n; i++)
    if (!is_of_word(s[i], "_.-")) return false;
  return true;
}

static bool id_form(const char *s, size_t n) {
  bool ok = n >= 1 && n <= LIMIT_KEY_CHARS;
  for (size_t i = 0; ok && i < n; i++) ok = s[i] > ' ' && s[i] <= '~';
  return ok;
}

static enum wr_rc read_type(const json_t *v, const char *name, struct wr_err *err) {
  if (!v) return fail_at(err, WR_OUT_OF_RANGE, JKEY(NULL, name), "%s is required.", name);
  if (type_form(json_string_value(v), json_string_length(v))) return WR_OK;
  return fail_at(err, WR_OUT_OF_RANGE, JKEY(NULL, name), "%s must be a letter, then up to %d of A-Z, a-z, 0-9, _, . and -.", name,
                 LIMIT_EXECUTOR_TYPE_CHARS - 1);
}

static enum wr_rc read_names(json_t *const *v, struct executor_post *p, struct wr_err *err) {
  static const struct word_list modes = {WR_OUT_OF_RANGE,
    {[ADDED_PROGRAM] = "program", [ADDED_URL] = "url", [ADDED_REMOTE] = "remote"}};
  int mode = ADDED_PROGRAM;
  const char *all = p->kind == ADDED_ANALYZER ? "program or url" : "program, url or remote";
  enum wr_rc rc = read_type(v[P_TYPE], post_field[p->kind][P_TYPE].name, err);
  if (rc) return rc;
  if (v[P_ID] && !id_form(json_string_value(v[P_ID]), json_string_length(v[P_ID])))
    return fail_at(err, WR_OUT_OF_RANGE, JKEY(NULL, "executorId"), "executorId must be 1 to %d visible ASCII characters.",
                   LIMIT_KEY_CHARS);
  if (!v[P_MODE]) return fail_at(err, WR_OUT_OF_RANGE, JKEY(NULL, "mode"), "mode is required: %s.", all);
  rc = field_word(v[P_MODE], &modes, JKEY(NULL, "mode"), &mode, err);
  if (rc) return rc;
  if (p->kind == ADDED_ANALYZER && mode == ADDED_REMOTE)
    return fail_at(err, WR_OUT_OF_RANGE, JKEY(NULL, "mode"), "The mode of an analyzer must be %s.", all);
  p->mode = (enum added_mode)mode;
  p->type = wr_strdup(json_string_value(v[P_TYPE]));
  p->id = wr_strdup(json_string_value(v[P_ID]));
  return WR_OK;
}

/* ---- location ---- */

bool program_path_form(const char *path, size_t n) {
  if (n < 1 || n >= PATH_BYTES || strlen(path) != n || text_has_control(path, n)) return false;
  for (const char *part = path + (*path == '/');; part++) {
    size_t len = strcspn(part, "/");
    if (len == 0 || len > PART_BYTES || strncmp(part, ".", len) == 0 || strncmp(part, "..", len) == 0) return false;
    part += len;
    if (!*part) return true;
  }
}

bool program_path_below(const char *path, const char *dir) {
  size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
  return strncmp(path, dir, n) == 0 && path[n] == '/' && path[n + 1];
}

static enum wr_rc blocked(struct wr_err *err, const char *why) {
  return fail_at(err, WR_URL_BLOCKED, JKEY(JKEY(NULL, "location"), "0"), "The URL is not allowed: %s", why);
}

/* What a URL says itself. Which addresses may be called is decided where one is connected. */
static enum wr_rc url_form(const char *s, size_t n, struct wr_err *err) {
  size_t scheme = strncasecmp(s, "http://", 7) == 0 ? 7 : strncasecmp(s, "https://", 8) == 0 ? 8 : 0;
  if (n > URL_BYTES || strlen(s) != n) return blocked(err, "it is longer than 4096 bytes, or holds a NUL.");
  if (!scheme) return blocked(err, "it must begin with http:// or https://.");
  for (size_t i = 0; i < n; i++)
    if (s[i] <= ' ' || s[i] > '~' || s[i] == '\\') return blocked(err, "it holds a blank, a backslash or what is no ASCII.");
  size_t host = strcspn(s + scheme, "/?#");
  if (memchr(s + scheme, '@', host)) return blocked(err, "it names a user (a name before an @).");
  if (host == 0 || s[scheme] == ':') return blocked(err, "it names no host.");
  return WR_OK;
}

static enum wr_rc texts_only(const json_t *list, const struct jpath *at, struct wr_err *err) {
  size_t n = json_array_size(list);
  if (n < 1 || n > LIMIT_LOCATIONS)
    return fail_at(err, WR_OUT_OF_RANGE, at, "location must have 1 to %d texts.", LIMIT_LOCATIONS);
  for (size_t i = 0; i < n; i++) {
    const json_t *v = json_array_get(list, i);
    if (!json_is_string(v)) return fail_at(err, WR_WRONG_TYPE, JELEM(at, i), "location must be an array of texts.");
    if (strlen(json_string_value(v)) != json_string_length(v) || json_string_length(v) > PATH_BYTES)
      return fail_at(err, WR_BAD_COMMAND, JELEM(at, i), "A text of location holds a NUL, or more than %d bytes.", PATH_BYTES);
  }
  return WR_OK;
}

/* A text, or an array of texts; an array from here on, a new reference. */
static enum wr_rc read_location(const json_t *v, struct executor_post *p, json_t **out, struct wr_err *err) {
  const struct jpath *at = JKEY(NULL, "location");
  *out = NULL;
  if (p->mode == ADDED_REMOTE)
    return v ? fail_at(err, WR_OUT_OF_RANGE, at, "An executor of mode remote has no location: its workers ask for work.") : WR_OK;
  if (!v) return fail_at(err, WR_OUT_OF_RANGE, at, "location is required: what is run, or called.");
  json_t *list = json_is_array(v) ? json_incref(json_mutable(v)) : NULL;
  if (json_is_string(v)) list = json_must(json_pack("[O]", v));
  if (!list) return fail_at(err, WR_WRONG_TYPE, at, "location must be an array of texts.");
  enum wr_rc rc = texts_only(list, at, err);
  const json_t *first = json_array_get(list, 0);
  const char *s = json_string_value(first);
  if (!rc && p->mode == ADDED_PROGRAM && !program_path_form(s, json_string_length(first)))
    rc = fail_at(err, WR_BAD_COMMAND, JELEM(at, 0),
                 "location names no program: an absolute path, or a name below an --executor-dir, without .., empty parts and "
                 "control characters.");
  if (!rc && p->mode == ADDED_URL && json_array_size(list) > 1)
    rc = fail_at(err, WR_OUT_OF_RANGE, at, "What has the mode url has one URL.");
  if (!rc && p->mode == ADDED_URL) rc = url_form(s, json_string_length(first), err);
  if (rc) {
    json_decref(list);
    return rc;
  }
  p->location = wr_strdup(s);
  *out = list;
  return WR_OK;
}

/* ---- the rest ---- */

static enum wr_rc check_labels(const json_t *v, struct wr_err *err) {
  const struct jpath *at = JKEY(NULL, "labels");
  if (!v) return WR_OK;
  if (!json_is_array(v)) return fail_at(err, WR_WRONG_TYPE, at, "labels must be an array of texts such as \"zone=a\".");
  if (json_array_size(v) > LABELS) return fail_large(err, at, "Labels", json_array_size(v), LABELS);
  char *list = NULL;
  enum wr_rc rc = labels_read(v, at, &list, err);
  free(list);
  return rc;
}

static bool ends(const char *s, const char *with) {
  size_t n = strlen(s), m = strlen(with);
  return n >= m && strcasecmp(s + n - m, with) == 0;
}

static bool secret_header(const char *name) {
  return strcasecmp(name, "Authorization") == 0 || strcasecmp(name, "Cookie") == 0 || ends(name, "-key") || ends(name, "-token");
}

/* An answer that is posted back would put the mask in the place of the secret. */
static enum wr_rc check_masks(const json_t *config, const struct jpath *at, struct wr_err *err) {
  const char *name;
  json_t *v, *headers = json_object_get(config, "headers");
  json_object_foreach(headers, name, v) {
    if (secret_header(name) && json_is_string(v) && strcmp(json_string_value(v), MASK) == 0)
      return fail_at(err, WR_OUT_OF_RANGE, JKEY(JKEY(at, "headers"), name),
                     MASK " stands for a value that answers do not show: send the value itself.");
  }
  return WR_OK;
}

static enum wr_rc check_config(const json_t *v, struct wr_err *err) {
  const struct jpath *at = JKEY(NULL, "config");
  if (!v) return WR_OK;
  if (!json_is_object(v)) return fail_at(err, WR_WRONG_TYPE, at, "config must be an object.");
  char *text = json_text(v, 0);
  size_t n = strlen(text), depth = json_text_depth(text, n);
  free(text);
  if (n > LIMIT_CONFIG_BYTES) return fail_large(err, at, "Bytes of config", n, LIMIT_CONFIG_BYTES);
  if (depth > LIMIT_CONFIG_DEPTH) return fail_large(err, at, "Nesting of config", depth, LIMIT_CONFIG_DEPTH);
  enum wr_rc rc = check_masks(v, at, err);
  return rc ? rc : config_check(v, at, err);
}

static enum wr_rc check_document(const json_t *v, struct wr_err *err) {
  if (!v) return WR_OK;
  char *text = json_text(v, JSON_ENCODE_ANY);
  size_t n = strlen(text), depth = json_text_depth(text, n);
  free(text);
  if (n > LIMIT_DOCUMENT_BYTES) return fail_large(err, JKEY(NULL, "document"), "Bytes of document", n, LIMIT_DOCUMENT_BYTES);
  if (depth > LIMIT_CONFIG_DEPTH)
    return fail_large(err, JKEY(NULL, "document"), "Nesting of document", depth, LIMIT_CONFIG_DEPTH);
  return WR_OK;
}

static enum wr_rc check_sha256(const json_t *v, enum added_mode mode, struct wr_err *err) {
  const struct jpath *at = JKEY(NULL, "sha256");
  if (!v) return WR_OK;
  if (mode != ADDED_PROGRAM) return fail_at(err, WR_OUT_OF_RANGE, at, "Only a program has a sha256.");
  const char *s = json_string_value(v);
  if (json_string_length(v) != SHA256_CHARS || strspn(s, "0123456789abcdef") != SHA256_CHARS)
    return fail_at(err, WR_OUT_OF_RANGE, at, "sha256 must be 64 hex digits, in small letters.");
  return WR_OK;
}

/* As for a queue; null is none, and is no content. */
static enum wr_rc read_limits(json_t **v, struct executor_post *p, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  p->max_running = p->rate_count = p->rate_per_us = -1;
  if (json_is_null(v[P_MAX_RUNNING])) v[P_MAX_RUNNING] = NULL;
  if (json_is_null(v[P_RATE])) v[P_RATE] = NULL;
  if (v[P_MAX_RUNNING]) rc = queue_max_parse(v[P_MAX_RUNNING], &p->max_running, err);
  if (!rc && v[P_RATE]) rc = queue_rate_parse(v[P_RATE], &p->rate_count, &p->rate_per_us, err);
  return rc;
}

/* One form for each rate: "1s" and "1000ms" are the same content. */
static json_t *rate_json(const struct executor_post *p) {
  char per[QUEUE_PER_BYTES];
  queue_per_text(per, p->rate_per_us);
  return json_must(json_pack("{sIss}", "count", (json_int_t)p->rate_count, "per", per));
}

static enum wr_rc check_replace(const json_t *v, struct wr_err *err) {
  return !v || json_is_boolean(v) ? WR_OK : fail_at(err, WR_WRONG_TYPE, JKEY(NULL, "replace"), "replace must be true or false.");
}

/* location: as an array. */
static char *content_text(json_t *const *v, enum added_kind kind, json_t *location, const struct executor_post *p) {
  json_t *o = json_must(json_object());
  for (int i = 0; i < P__KEPT; i++)
    if (v[i] && i != P_LOCATION) wr_assert(json_object_set(o, post_field[kind][i].name, v[i]) == 0);
  if (location) wr_assert(json_object_set(o, "location", location) == 0);
  if (v[P_RATE]) wr_assert(json_object_set_new(o, "rate", rate_json(p)) == 0);
  char *text = json_text(o, JSON_SORT_KEYS);
  json_decref(o);
  return text;
}

/* What the default analyzer of its tasks is, or which types the answers of an analyzer may add. */
static enum wr_rc check_analyzer(json_t *const *v, struct executor_post *p, struct wr_err *err) {
  char *types = NULL;
  enum wr_rc rc = v[P_ANALYZER] ? analyzer_read(v[P_ANALYZER], JKEY(NULL, "analyzer"), &p->analyzer, err) : WR_OK;
  if (!rc && v[P_TASK_TYPES]) rc = task_types_read(v[P_TASK_TYPES], JKEY(NULL, "taskTypes"), &types, err);
  free(types);
  return rc;
}

enum wr_rc executor_post_parse(const json_t *body, enum added_kind kind, struct executor_post *out, struct wr_err *err) {
  json_t *v[P__N], *location = NULL;
  *out = (struct executor_post){.kind = kind};
  enum wr_rc rc = read_fields(body, kind, v, err);
  if (!rc) rc = read_names(v, out, err);
  if (!rc) rc = check_replace(v[P_REPLACE], err);
  if (!rc) rc = check_config(v[P_CONFIG], err);
  if (!rc) rc = check_document(v[P_DOCUMENT], err);
  if (!rc) rc = check_labels(v[P_LABELS], err);
  if (!rc && kind == ADDED_EXECUTOR) rc = read_limits(v, out, err);
  if (!rc) rc = check_analyzer(v, out, err);
  if (!rc) rc = check_sha256(v[P_SHA256], out->mode, err);
  if (!rc) rc = read_location(v[P_LOCATION], out, &location, err);
  if (rc) return rc;
  out->replace = json_is_true(v[P_REPLACE]);
  out->config = json_incref(v[P_CONFIG]);
  out->body = content_text(v, kind, location, out);
  json_decref(location);
  return WR_OK;
}

void executor_post_done(struct executor_post *p) {
  free(p->type);
  free(p->id);
  free(p->body);
  free(p->location);
  json_decref(p->config);
  analyzer_free(p->analyzer);
  *p = (struct executor_post){0};
}

/* ---- from the store ---- */

static char *part(const json_t *o, const char *key) {
  const json_t *v = json_object_get(o, key);
  return v ? json_text(v, JSON_ENCODE_ANY) : NULL;
}

static enum wr_rc read_more(struct added *a, const json_t *o, struct wr_err *err) {
  const json_t *analyzer = json_object_get(o, "analyzer"), *types = json_object_get(o, "taskTypes");
  enum wr_rc rc = analyzer ? analyzer_read(analyzer, NULL, &a->analyzer, err) : WR_OK;
  a->analyzer_free = analyzer_free;
  return !rc && types ? task_types_read(types, NULL, &a->task_types, err) : rc;
}

enum wr_rc executor_read(const char *body, enum added_kind kind, struct added **out, struct wr_err *err) {
  static const char *const modes[] = {[ADDED_PROGRAM] = "program", [ADDED_URL] = "url", [ADDED_REMOTE] = "remote"};
  json_t *o = json_reparse(body, strlen(body));
  const char *type = json_string_value(json_object_get(o, post_field[kind][P_TYPE].name));
  const char *mode = json_string_value(json_object_get(o, "mode"));
  size_t m = 0;
  while (mode && m < sizeof modes / sizeof *modes && strcmp(modes[m], mode) != 0) m++;
  if (!type || !mode || m == sizeof modes / sizeof *modes) {
    json_decref(o);
    return wr_err_set(err, WR_INTERNAL, "A stored executor cannot be read.");
  }
  struct added *a = added_new();
  a->mode = (enum added_mode)m;
  a->type = wr_strdup(type);
  a->location = part(o, "location");
  a->config = part(o, "config");
  a->sha256 = wr_strdup(json_string_value(json_object_get(o, "sha256")));
  const json_t *labels = json_object_get(o, "labels");
  if (labels && labels_read(labels, NULL, &a->labels, err)) a->labels = part(o, "labels"); /* an older form: nobody has these */
  a->bytes = sizeof *a + strlen(type) + SHA256_CHARS;
  if (a->labels) a->bytes += strlen(a->labels);
  if (a->location) a->bytes += strlen(a->location);
  if (a->config) a->bytes += strlen(a->config);
  enum wr_rc rc = read_more(a, o, err);
  json_decref(o);
  if (rc) added_free(a);
  else *out = a;
  return rc;
}

/* ---- shown ---- */

static void mask(json_t *config) {
  const char *name;
  json_t *v, *headers = json_object_get(config, "headers");
  json_object_foreach(headers, name, v) {
    if (secret_header(name)) wr_assert(json_object_set_new(headers, name, json_must(json_string(MASK))) == 0);
  }
}

void executor_fields(struct buf *b, enum added_kind kind, const char *body) {
  json_t *o = json_reparse(body, strlen(body));
  mask(json_object_get(o, "config"));
  for (int i = 0; i < P__KEPT; i++) {
    const char *name = post_field[kind][i].name;
    char *text = name ? part(o, name) : NULL;
    if (text) j_raw(b, name, text);
    free(text);
  }
  json_decref(o);
}

char *config_masked(const char *config) {
  json_t *o = config ? json_reparse(config, strlen(config)) : NULL;
  char *text = NULL;
  if (json_object_get(o, "headers")) mask(o), text = json_text(o, 0);
  json_decref(o);
  return text ? text : wr_strdup(config);
}

char *config_over(const char *own, const char *defaults) {
  if (!own || !defaults) return wr_strdup(own ? own : defaults);
  json_t *all = json_reparse(defaults, strlen(defaults)), *mine = json_reparse(own, strlen(own));
  char *text = NULL;
  if (json_is_object(all) && json_is_object(mine) && json_object_update(all, mine) == 0) text = json_text(all, 0);
  json_decref(all);
  json_decref(mine);
  return text ? text : wr_strdup(own);
}
