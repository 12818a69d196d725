/* What the tests of the model share: JSON with ' for ", and a small world of task types and task ids. */
#ifndef MODEL_ENV_H
#define MODEL_ENV_H
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "def.h"
#include "def_json.h"
#include "wr_limits.h"
#include "mem.h"

/* Counts what was asked; task ids 1..1000 exist but for 9. */
struct world { int type_calls, exist_calls; size_t n_ids; char config[256], path[160]; };
static struct world world;

static enum wr_rc world_type(void *ctx, const char *type, const char *content, const json_t *config, const char *path,
                             uint8_t *slot, struct wr_err *err) {
  static const char *const known[] = {"ECHO", "WAIT", "EXCEPTION", "SHELL", "HTTP"};
  struct world *w = ctx;
  size_t i = 0;
  w->type_calls++;
  w->config[0] = '\0';
  snprintf(w->path, sizeof w->path, "%s", path);
  if (config) {
    char *text = json_dumps(config, JSON_COMPACT);
    snprintf(w->config, sizeof w->config, "%s", text);
    free(text);
  }
  while (i < sizeof known / sizeof *known && strcmp(known[i], type) != 0) i++;
  if (i == sizeof known / sizeof *known) return wr_err_at(err, WR_UNKNOWN_TYPE, path, "Unknown task type.");
  if (strcmp(type, "WAIT") == 0 && content && content[0] == '-') return wr_err_at(err, WR_OUT_OF_RANGE, path, "Bad time.");
  if (strcmp(type, "SHELL") == 0 && content && strlen(content) > LIMIT_CONTENT_BYTES)
    return wr_err_at(err, WR_BAD_COMMAND, path, "Too long.");
  *slot = strcmp(type, "SHELL") == 0 ? SLOT_PROCESS : SLOT_ASYNC;
  return WR_OK;
}

static enum wr_rc world_exist(void *ctx, const int64_t *ids, size_t n, size_t *bad, struct wr_err *err) {
  struct world *w = ctx;
  w->exist_calls++;
  w->n_ids = n;
  for (size_t i = 1; i < n; i++) assert_true(ids[i - 1] < ids[i]);
  for (size_t i = 0; i < n; i++) {
    *bad = i;
    if (ids[i] == 9 || ids[i] > 1000) return wr_err_set(err, WR_NO_SUCH_TASK, "Task %lld does not exist.", (long long)ids[i]);
  }
  return WR_OK;
}

static const struct def_env env = {.ctx = &world, .check_type = world_type, .tasks_exist = world_exist};

static inline char *quoted(const char *s) {
  char *t = wr_strdup(s);
  for (char *p = t; *p; p++)
    if (*p == '\'') *p = '"';
  return t;
}

static inline json_t *json_of(const char *s) {
  char *t = quoted(s);
  struct wr_err err;
  json_t *v = NULL;
  if (json_load_strict(t, strlen(t), LIMIT_FLOW_JSON_VALUES, &v, &err)) fail_msg("%s: %s", t, err.msg);
  free(t);
  return v;
}

/* got must be of the code, and hold the path and the words. */
static inline void expect_err(const char *body, enum wr_rc rc, const struct wr_err *err, enum wr_rc code, const char *path,
                              const char *words) {
  if (rc != code || (rc && err->code != rc) || (path && strcmp(err->path, path) != 0) || (words && !strstr(err->msg, words)))
    fail_msg("%.300s: %d at \"%s\": %s; not %d at \"%s\": %s", body, (int)rc, err->path, err->msg, (int)code, path ? path : "*",
             words ? words : "*");
}

static inline uint32_t rnd(uint32_t n) {
  static uint64_t s = 42;
  s = s * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(s >> 33) % n;
}
#endif
