/* What executors may ask of JSON and texts (wx_lib of the ABI), made of base and jansson. Pure, any thread. A value that was read
 * belongs to its reader. What never happens: a call that waits, or one that an executor could not do by itself. */
#include "lib.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "err.h"
#include "wr_limits.h"
#include "meant.h"
#include "text.h"

_Static_assert((int)WX_BAD_TYPE == WR_WRONG_TYPE && (int)WX_UNKNOWN_FIELD == WR_UNKNOWN_FIELD &&
               (int)WX_OUT_OF_RANGE == WR_OUT_OF_RANGE && (int)WX_BAD_COMMAND == WR_BAD_COMMAND &&
               (int)WX_URL_BLOCKED == WR_URL_BLOCKED,
               "codes of the ABI are those of errors.def");
_Static_assert((int)WX_QUOTE_BYTES == WR_QUOTE_MAX && (int)WX_KNOWN_BYTES == MEANT_LIST && (int)WX_KNOWN_MAX == MEANT_MAX,
               "sizes of the ABI are those of base");

/* ---- JSON: a wx_json is a json_t ---- */

static const json_t *value_of(const wx_json *v) { return (const json_t *)v; }
static wx_json *value(json_t *v) { return (wx_json *)v; }

static wx_json *lib_json_read(const char *text, int *why) {
  json_error_t e;
  json_t *v = json_loads(text, JSON_REJECT_DUPLICATES, &e);
  if (!v) *why = json_error_code(&e) == json_error_null_character ? WX_JSON_NUL : WX_JSON_BROKEN;
  return value(v);
}

static void lib_json_free(wx_json *v) { json_decref((json_t *)v); }

static int lib_json_type(const wx_json *v) {
  if (!v) return WX_JSON_NULL;
  switch (json_typeof(value_of(v))) {
  case JSON_OBJECT: return WX_JSON_OBJECT;
  case JSON_ARRAY: return WX_JSON_ARRAY;
  case JSON_STRING: return WX_JSON_TEXT;
  case JSON_INTEGER: return WX_JSON_INTEGER;
  case JSON_REAL: return WX_JSON_REAL;
  case JSON_TRUE: case JSON_FALSE: return WX_JSON_BOOL;
  case JSON_NULL: break;
  }
  return WX_JSON_NULL;
}

static size_t lib_json_count(const wx_json *v) {
  return json_is_object(value_of(v)) ? json_object_size(value_of(v)) : json_array_size(value_of(v));
}

static wx_json *lib_json_at(const wx_json *v, size_t i) { return value(json_array_get(value_of(v), i)); }
static wx_json *lib_json_get(const wx_json *v, const char *key) { return value(json_object_get(value_of(v), key)); }

static void *lib_json_next(wx_json *v, void *at, const char **key, wx_json **out) {
  void *it = at ? json_object_iter_next((json_t *)v, at) : json_object_iter((json_t *)v);
  if (!it) return NULL;
  *key = json_object_iter_key(it);
  *out = value(json_object_iter_value(it));
  return it;
}

static const char *lib_json_text(const wx_json *v, size_t *n) {
  if (n) *n = json_string_length(value_of(v));
  return json_string_value(value_of(v));
}

static int64_t lib_json_integer(const wx_json *v) { return json_integer_value(value_of(v)); }
static double lib_json_number(const wx_json *v) { return json_number_value(value_of(v)); }

/* ---- texts ---- */

static int lib_duration(const char *s, size_t n, int64_t max_us, int64_t *us) { return text_duration(s, n, max_us, us); }
static int lib_has_control(const char *s, size_t n) { return text_has_control(s, n); }
static int lib_is_env_name(const char *s, size_t n) { return text_env_name(s, n); }

/* What every type takes, as the model has it. */
static const char *const shared[] = {"attempts", "backoff", "timeout", "queueTimeout", "onLost", "queue", "labels",
                                     "analyzer", "analyzerAttempts", "analyzerTimeout", "childFailure", "runTimeout"};
enum { N_SHARED = sizeof shared / sizeof *shared, N_SHOWN = 7 };   /* a list of all would be too long to be read */

static int lib_no_config(const char *config, int *code, char *err, size_t err_n) {
  if (!config) return 0;
  json_t *obj = json_loads(config, JSON_REJECT_DUPLICATES, NULL);
  void *it = json_object_iter(obj); /* NULL for what is no object, too */
  char q[WR_QUOTE_MAX], all[MEANT_LIST];
  int rc = json_is_object(obj) && !it ? 0 : -1;
  if (it) {
    const char *key = json_object_iter_key(it), *near = meant(key, shared, N_SHARED);
    *code = WR_UNKNOWN_FIELD;
    wr_err_quote(q, key, strlen(key));
    if (near) snprintf(err, err_n, "taskConfig has no field %s; did you mean %s?", q, near);
    else snprintf(err, err_n, "taskConfig has no field %s.%s", q, meant_list(all, key, shared, N_SHOWN));
  } else if (rc) {
    *code = WR_WRONG_TYPE;
    snprintf(err, err_n, "taskConfig must be an object.");
  }
  json_decref(obj);
  return rc;
}

/* ---- numbers of the system ---- */

static int lib_resource(const char *name) {
  static const struct { const char *name; int resource; } known[] = {
    {"cpu", RLIMIT_CPU}, {"as", RLIMIT_AS}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC},
    {"fsize", RLIMIT_FSIZE}, {"core", RLIMIT_CORE}, {"stack", RLIMIT_STACK}, {"data", RLIMIT_DATA}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].name, name) == 0) return known[i].resource;
  return -1;
}

static const char *lib_signal_name(int sig) { return sigabbrev_np(sig); }

const wx_lib executor_lib = {
  .abi = WX_ABI, .size = sizeof(wx_lib), .content_bytes = LIMIT_ASYNC_CONTENT_BYTES, .result_bytes = LIMIT_RESULT_BYTES,
  .json_read = lib_json_read, .json_free = lib_json_free, .json_type = lib_json_type, .json_count = lib_json_count,
  .json_at = lib_json_at, .json_get = lib_json_get, .json_next = lib_json_next, .json_text = lib_json_text,
  .json_integer = lib_json_integer, .json_number = lib_json_number, .duration = lib_duration, .has_control = lib_has_control,
  .is_env_name = lib_is_env_name, .quote = wr_err_quote, .meant = meant, .known = meant_list, .no_config = lib_no_config,
  .resource = lib_resource, .signal_name = lib_signal_name};
