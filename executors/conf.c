/* The refusals that the built-in executors share (conf.h). Pure, any thread. */
#include "conf.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int refuse(const struct refusal *r, enum wr_rc code, const char *fmt, ...) {
  if (r->code) *r->code = (int)code;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(r->err, r->err_n, fmt, ap);
  va_end(ap);
  return -1;
}

int refuse_config(const struct refusal *r, const char *config) {
  if (!config) return 0;
  json_t *obj = json_loads(config, JSON_REJECT_DUPLICATES, NULL);
  if (!json_is_object(obj)) {
    json_decref(obj);
    return refuse(r, WR_WRONG_TYPE, "taskConfig must be an object.");
  }
  void *it = json_object_iter(obj);
  int rc = 0;
  if (it) {
    const char *key = json_object_iter_key(it);
    char q[WR_QUOTE_MAX];
    rc = refuse(r, WR_UNKNOWN_FIELD, "taskConfig has no field %s.", wr_err_quote(q, key, strlen(key)));
  }
  json_decref(obj);
  return rc;
}
