/* FILE, -p and --time-scale of `weir run`: see input.h. */
#include "input.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "attempt.h"
#include "wr_limits.h"
#include "verbs.h"

static enum wr_rc read_all(FILE *f, struct buf *b, struct wr_err *err) {
  size_t n;
  do {
    char *at = buf_reserve(b, 65536);
    n = fread(at, 1, 65536, f);
    b->len += n;
  } while (n && b->len <= LIMIT_FLOW_BODY_BYTES);
  if (ferror(f)) return wr_err_set(err, WR_BAD_REQUEST, "The file cannot be read: %s.", strerror(errno));
  if (b->len > LIMIT_FLOW_BODY_BYTES)
    return wr_err_set(err, WR_BODY_TOO_LARGE, "The file is larger than %d bytes.", LIMIT_FLOW_BODY_BYTES);
  return WR_OK;
}

static bool looks_like_json(const char *s) {
  s += strspn(s, " \t\r\n");
  return *s == '{' || *s == '[';
}

/* Puts the file's name in front of what is wrong with it. */
static void name_file(const char *file, struct wr_err *err) {
  struct wr_err why = *err;
  char q[WR_QUOTE_MAX];
  (void)wr_err_set(err, why.code, "%s: %s", wr_err_quote(q, file, strlen(file)), why.msg);
}

enum wr_rc input_json(const char *file, json_t **out, int *code, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  FILE *f = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
  if (!f) {
    *code = EXIT_NOT_FOUND;
    return wr_err_set(err, WR_NOT_FOUND, "%s cannot be opened: %s.", wr_err_quote(q, file, strlen(file)), strerror(errno));
  }
  struct buf b = BUF_INIT;
  *code = EXIT_REFUSED;
  enum wr_rc rc = read_all(f, &b, err);
  if (f != stdin) fclose(f);
  if (!rc && b.len == 0) rc = wr_err_set(err, WR_BODY_MISSING, "The file is empty.");
  size_t mark = b.len >= 3 && memcmp(b.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* some editors begin a file with it */
  if (!rc) rc = json_load_strict(b.data + mark, b.len - mark, LIMIT_FLOW_JSON_VALUES, out, err);
  if (rc == WR_BAD_JSON && !looks_like_json(b.data + mark)) {
    struct wr_err why = *err;
    rc = wr_err_set(err, WR_BAD_JSON, "The file is not JSON, which is what Weir reads (YAML is not read). %s", why.msg);
  }
  buf_done(&b);
  if (rc && f != stdin) name_file(file, err);
  return rc;
}

double input_scale(const char *text) {
  char *end;
  if (!*text || text[strspn(text, "0123456789.eE+-")] != 0) return NAN;
  double x = strtod(text, &end);
  return *end || !isfinite(x) || x < 0 ? NAN : x;
}

enum wr_rc input_params(const struct opt_value *list, struct params **out, struct wr_err *err) {
  *out = NULL;
  if (!list->n_many) return WR_OK;
  json_t *o = json_object();
  enum wr_rc rc = WR_OK;
  for (size_t i = 0; i < list->n_many && !rc; i++) {
    char q[WR_QUOTE_MAX], *text = list->many[i], *eq = strchr(text, '=');
    json_t *value = eq ? json_string(eq + 1) : NULL; /* also NULL when the value is not UTF-8 */
    if (eq) *eq = 0;
    if (value && json_object_get(o, text)) {
      rc = wr_err_set(err, WR_BAD_REQUEST, "-p: %s is given twice.", wr_err_quote(q, text, strlen(text)));
      json_decref(value);
    } else if (!value) {
      rc = wr_err_set(err, WR_BAD_REQUEST, "-p: %s is not KEY=VALUE in UTF-8.", wr_err_quote(q, text, strlen(text)));
    } else if (json_object_set_new(o, text, value) != 0) {
      rc = wr_err_set(err, WR_BAD_REQUEST, "-p: the name is not UTF-8.");
    }
  }
  char *canonical = NULL;
  if (!rc) rc = def_params_parse(o, "/params", &canonical, err);
  if (canonical) *out = params_new(canonical);
  free(canonical);
  json_decref(o);
  return rc;
}

/* The newest version of the flow that the body names, NULL when there is none or it is deleted. */
static enum wr_rc former(struct store *s, int64_t flow_id, struct flow_def **out, struct wr_err *err) {
  *out = NULL;
  if (!flow_id) return WR_OK;
  struct reader *r = reader_get(s, err);
  if (!r) return err->code;
  enum wr_rc rc = reader_flow(r, flow_id, 0, out, err);
  reader_put(r);
  if (rc == WR_NOT_FOUND) return WR_OK;
  if (!rc && (*out)->deleted) {
    def_flow_unref(*out);
    *out = NULL;
  }
  return rc;
}

static enum wr_rc save(struct store *s, struct flow_post *post, struct flow_def **out, struct wr_err *err) {
  struct flow_def *old;
  enum wr_rc rc = former(s, post->flow_id, &old, err);
  if (rc) return rc;
  struct flow_def *f = NULL;
  if (old) {
    rc = def_flow_merge(post, old, &f, err);
    def_flow_unref(old);
  } else {
    f = def_flow_ref(post->def);
    f->flow_id = 0;
  }
  if (!rc && !f->dag) rc = wr_err_at(err, WR_BAD_SHAPE, "/flowNodes", "flowNodes is missing.");
  if (!rc) rc = store_save_flow(s, f, old && post->has & DEF_HAS_VERSION ? post->version : 0, NULL, err);
  if (rc) {
    def_flow_unref(f);
    return rc;
  }
  *out = f;
  return WR_OK;
}

enum wr_rc input_flow(struct def_site *site, const json_t *body, struct flow_def **out, struct wr_err *err) {
  struct def_env env = def_env_at(site);
  struct flow_post post = {0};
  enum wr_rc rc = def_flow_parse(body, &env, &post, err);
  if (!rc) rc = save(site->store, &post, out, err);
  def_flow_unref(post.def);
  return rc;
}
