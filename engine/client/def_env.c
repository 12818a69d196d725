/* See def_env.h. Reads the store through a reader of its own; changes nothing. */
#include "def_env.h"
#include "json_out.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "registry.h"
#include "text.h"

enum { WHY_BYTES = 256 };

/* None of those that this node runs, and none of those that nodes have registered. */
static enum wr_rc unknown_type(const struct registry *r, const char *type, const char *path, struct wr_err *err) {
  char list[128] = "", quoted[WR_QUOTE_MAX], where[sizeof err->path];
  size_t at = 0;
  for (const struct executor *x = NULL; at < sizeof list && (x = registry_next(r, x));)
    at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", x->ops.name);
  return wr_err_at(err, WR_UNKNOWN_TYPE, text_pointer(where, sizeof where, path, "taskType"),
                   "Unknown type %s. Known types: %s, and what nodes have registered.",
                   wr_err_quote(quoted, type, strlen(type)), list);
}

/* Checks "user" when it is a text; what else it may be is the executor's to say. */
static enum wr_rc check_user(const struct def_site *site, const json_t *config, const char *path, struct wr_err *err) {
  const char *user = json_string_value(json_object_get(config, "user"));
  char why[sizeof err->msg], at[sizeof err->path];
  enum run_as_why no = site->run_as ? run_as_allows(site->run_as, user) : RUN_AS_ALLOWED;
  if (!no) return WR_OK;
  (void)snprintf(at, sizeof at, "%s/taskConfig/user", path);
  return wr_err_at(err, WR_SHELL_NOT_ALLOWED, at, "%s", run_as_text(no, user, why, sizeof why));
}

static enum wr_rc no_shell(const char *path, struct wr_err *err) {
  char why[sizeof err->msg], at[sizeof err->path];
  return wr_err_at(err, WR_SHELL_NOT_ALLOWED, text_pointer(at, sizeof at, path, "taskType"), "%s",
                   run_as_text(RUN_AS_SHELL_OFF, NULL, why, sizeof why));
}

/* A node that has it checks nothing at save time either: what it takes is the routine's own. */
static enum wr_rc type_elsewhere(const struct def_site *site, const char *type, const char *path, uint8_t *slot,
                                 struct wr_err *err) {
  bool known = false;
  enum wr_rc rc = site->defs ? defs_type_known(site->defs, type, &known, err) : WR_OK;
  if (rc) return rc;
  *slot = executor_slot(NULL);
  return known ? WR_OK : unknown_type(site->executors, type, path, err);
}

/* Executors have a sentence and no place. The field at fault is the one that is refused with the same sentence when it stands
 * alone. */
static bool says_it(const struct executor *x, const char *content, const char *config, const char *why) {
  char again[WHY_BYTES] = "";
  enum wr_rc code;
  return executor_check(x, content, config, &code, again, sizeof again) && strcmp(again, why) == 0;
}

/* The setting at fault; NULL = none of them alone. */
static const char *setting_at_fault(const struct executor *x, const char *content, const json_t *config, const char *why) {
  const char *found = NULL, *key;
  json_t *cfg = (json_t *)(uintptr_t)config, *v; /* iterating changes nothing */
  json_object_foreach(cfg, key, v) {
    json_t *one = json_pack("{sO}", key, v);
    char *text = one ? json_text(one, 0) : NULL;
    if (text && says_it(x, content, text, why)) found = key;
    free(text);
    json_decref(one);
    if (found) break;
  }
  return found;
}

static enum wr_rc refused(const struct executor *x, const char *content, const json_t *config, const char *path,
                          enum wr_rc code, const char *why, struct wr_err *err) {
  char at[sizeof err->path], up[sizeof err->path];
  bool content_alone = !config || says_it(x, content, NULL, why);
  const char *key = content_alone ? NULL : setting_at_fault(x, content, config, why);
  text_pointer(at, sizeof at, path, content_alone ? "taskContent" : "taskConfig");
  if (key) text_pointer(at, sizeof at, memcpy(up, at, sizeof at), key);
  return wr_err_at(err, code, at, "%s", why);
}

static enum wr_rc check_type(void *ctx, const char *type, const char *content, const json_t *config, const char *path,
                             uint8_t *slot, struct wr_err *err) {
  const struct def_site *site = ctx;
  const struct executor *x = registry_find(site->executors, type, 0);
  if (!x && site->defs && defs_added_find(site->defs, type, &x, err) != WR_OK) x = NULL; /* what follows asks the store, too */
  if (!x) return type_elsewhere(site, type, path, slot, err);
  bool programs = x->ops.flags & WX_PROGRAMS;
  if (programs && !site->shell_allowed && !x->added) return no_shell(path, err);
  enum wr_rc rc = programs && site->shell_allowed ? check_user(site, config, path, err) : WR_OK;
  if (rc) return rc;
  *slot = executor_slot(x);
  char *text = config ? json_text(config, 0) : NULL, why[WHY_BYTES] = "";
  enum wr_rc code;
  int bad = executor_check(x, content, text, &code, why, sizeof why);
  free(text);
  return bad ? refused(x, content, config, path, code, why, err) : WR_OK;
}

static enum wr_rc tasks_exist(void *ctx, const int64_t *ids, size_t n, size_t *bad, struct wr_err *err) {
  const struct def_site *site = ctx;
  struct reader *r = reader_get(site->store, err);
  if (!r) return err->code;
  enum wr_rc rc = reader_tasks_exist(r, ids, n, bad, err);
  reader_put(r);
  return rc;
}

static enum wr_rc analyzer_find(void *ctx, const char *name, const struct added **out, struct wr_err *err) {
  const struct def_site *site = ctx;
  const struct executor *x = NULL;
  enum wr_rc rc = site->defs ? defs_analyzer_find(site->defs, name, &x, err) : WR_OK;
  *out = x ? x->added : NULL;
  return rc;
}

struct def_env def_env_at(struct def_site *site) {
  return (struct def_env){.ctx = site, .check_type = check_type, .tasks_exist = tasks_exist, .analyzer_find = analyzer_find};
}
