/* Shared by the targets: the world that definitions are checked against, and the facts of an error. One thread. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "registry.h"
#include "text.h"

static void check_text(const char *s, size_t room) {
  size_t n = strnlen(s, room);
  wr_assert(n < room);
  wr_assert(text_utf8(s, n));
}

void fuzz_check_err(enum wr_rc rc, const struct wr_err *err) {
  int status = wr_err_status(rc);
  wr_assert(rc != WR_OK && err->code == rc);
  wr_assert(status >= 400 && status < 500); /* never the server's fault */
  wr_assert(strcmp(wr_err_symbol(rc), "INTERNAL") != 0);
  check_text(err->msg, sizeof err->msg);
  wr_assert(err->msg[0] && !text_has_control(err->msg, strlen(err->msg)));
  check_text(err->path, sizeof err->path); /* may hold any key of the body: a pointer must find its place */
  wr_assert(err->path[0] == '\0' || err->path[0] == '/');
}

static enum wr_rc check_type(void *ctx, const char *type, const char *content, const json_t *config, const char *path,
                             uint8_t *slot, struct wr_err *err) {
  (void)ctx;
  static struct registry *types;
  if (!types) registry_add_builtins(types = registry_new());
  const struct executor *x = registry_find(types, type, 0);
  if (!x) return wr_err_at(err, WR_UNKNOWN_TYPE, path, NULL);
  char why[256] = "";
  enum wr_rc code;
  char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
  int rc = executor_check(x, content, text, &code, why, sizeof why);
  free(text);
  *slot = executor_slot(x);
  return rc ? wr_err_at(err, code, path, "%s", why) : WR_OK;
}

static enum wr_rc tasks_exist(void *ctx, const int64_t *ids, size_t n, size_t *bad, struct wr_err *err) {
  (void)ctx;
  for (size_t i = 0; i < n; i++) {
    wr_assert(ids[i] >= 1 && ids[i] <= WR_ID_MAX && (i == 0 || ids[i - 1] < ids[i]));
    *bad = i;
    if (ids[i] > 99) return wr_err_set(err, WR_NO_SUCH_TASK, "Task %lld does not exist.", (long long)ids[i]);
  }
  return WR_OK;
}

const struct def_env fuzz_env = {.check_type = check_type, .tasks_exist = tasks_exist};
