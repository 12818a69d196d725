/* See def_env.h. Reads the store through a reader of its own; changes nothing. */
#include "def_env.h"
#include "json_out.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "builtin.h"

/* "Known types: ECHO, WAIT, EXCEPTION, SHELL." */
static enum wr_rc unknown_type(const char *type, const char *path, struct wr_err *err) {
  char list[128] = "", quoted[WR_QUOTE_MAX];
  for (size_t i = 0, at = 0; executors_builtin[i] && at < sizeof list; i++)
    at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", executors_builtin[i]->name);
  return wr_err_at(err, WR_UNKNOWN_TYPE, path, "Unknown type %s. Known types: %s.", wr_err_quote(quoted, type, strlen(type)),
                   list);
}

/* "user" where it is a text: what else may be there, the executor says. */
static enum wr_rc check_user(const struct def_site *site, const json_t *config, const char *path, struct wr_err *err) {
  const char *user = json_string_value(json_object_get(config, "user"));
  char why[sizeof err->msg];
  enum run_as_why no = site->run_as ? run_as_allows(site->run_as, user) : RUN_AS_ALLOWED;
  return no ? wr_err_at(err, WR_SHELL_NOT_ALLOWED, path, "%s", run_as_text(no, user, why, sizeof why)) : WR_OK;
}

static enum wr_rc no_shell(const char *path, struct wr_err *err) {
  char why[sizeof err->msg];
  return wr_err_at(err, WR_SHELL_NOT_ALLOWED, path, "%s", run_as_text(RUN_AS_SHELL_OFF, NULL, why, sizeof why));
}

static enum wr_rc check_type(void *ctx, const char *type, const char *content, const json_t *config, const char *path,
                             uint8_t *slot, struct wr_err *err) {
  const struct def_site *site = ctx;
  const wx_ops *ops = executor_find(type);
  if (!ops) return unknown_type(type, path, err);
  if (ops == &executor_shell && !site->shell_allowed) return no_shell(path, err);
  enum wr_rc rc = ops == &executor_shell ? check_user(site, config, path, err) : WR_OK;
  if (rc) return rc;
  *slot = (uint8_t)ops->slot;
  if (!ops->check) return WR_OK;
  char *text = config ? json_text(config, 0) : NULL, why[200] = "";
  int code = WR_OUT_OF_RANGE;
  int bad = ops->check(content, text, &code, why, sizeof why);
  free(text);
  return bad ? wr_err_at(err, (enum wr_rc)code, path, "%s", why) : WR_OK;
}

static enum wr_rc tasks_exist(void *ctx, const int64_t *ids, size_t n, size_t *bad, struct wr_err *err) {
  const struct def_site *site = ctx;
  struct reader *r = reader_get(site->store, err);
  if (!r) return err->code;
  enum wr_rc rc = reader_tasks_exist(r, ids, n, bad, err);
  reader_put(r);
  return rc;
}

struct def_env def_env_at(struct def_site *site) { return (struct def_env){site, check_type, tasks_exist}; }
