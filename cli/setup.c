/* What `weir server` and `weir run` have in common before a node exists. Main thread, before all others. */
#include <pwd.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "log.h"
#include "verbs.h"

#define SLOTS_PER_CORE 2

int complain(const char *verb, const struct wr_err *err, enum exit_code code) {
  fprintf(stderr, "weir %s: %s", verb, err->msg[0] ? err->msg : wr_err_text(err->code));
  if (err->path[0]) fprintf(stderr, " (%s)", err->path);
  fputc('\n', stderr);
  return (int)code;
}

enum exit_code exit_of(enum wr_rc rc) {
  if (rc == WR_DB_UNAVAILABLE) return EXIT_UNREACHABLE;
  return rc == WR_BAD_REQUEST ? EXIT_USAGE : EXIT_REFUSED;
}

static enum wr_rc setup_log(const struct config *c, enum log_level usual, struct wr_err *err) {
  enum log_level level = config_text(c, OPT_LOG_LEVEL) ? (enum log_level)config_num(c, OPT_LOG_LEVEL) : usual;
  log_setup(level, config_num(c, OPT_LOG_FORMAT) ? LOG_JSON : LOG_LOGFMT);
  if (clock_zone(config_text(c, OPT_ZONE))) return WR_OK;
  return wr_err_set(err, WR_BAD_REQUEST, "--zone: there is no such time zone.");
}

static enum wr_rc check_user(const char *name, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  const struct passwd *pw = name ? getpwnam(name) : NULL;
  if (pw && geteuid() != 0 && pw->pw_uid != geteuid())
    return wr_err_set(err, WR_SHELL_NOT_ALLOWED, "--run-as: only root can run tasks as another user.");
  if (!name || pw) return WR_OK;
  return wr_err_set(err, WR_BAD_REQUEST, "--run-as: there is no user %s.", wr_err_quote(q, name, strlen(name)));
}

/* Never as root, unless a person runs it for himself: whoever may write a task would own the machine. */
static enum wr_rc setup_shell(const struct config *c, enum shell_mode mode, struct node_opts *o, struct wr_err *err) {
  enum { AUTO, ON, OFF } wish = (int)config_num(c, OPT_SHELL);
  bool as_root = geteuid() == 0 && !o->run_as, allowed = mode == SHELL_PERSONAL || !as_root;
  o->shell = wish == OFF || !allowed ? NODE_SHELL_OFF : NODE_SHELL_ON;
  if (wish == ON && !allowed) return wr_err_set(err, WR_SHELL_NOT_ALLOWED, "SHELL tasks do not run as root: give --run-as USER.");
  if (mode == SHELL_PERSONAL && o->shell == NODE_SHELL_ON && !o->run_as)
    fprintf(stderr, "warning: SHELL tasks run as the user who started this (uid %ld%s), with all its rights\n", (long)geteuid(),
            as_root ? ", root" : "");
  return WR_OK;
}

enum wr_rc setup_common(const struct config *c, enum shell_mode mode, struct node_opts *o, struct wr_err *err) {
  enum wr_rc rc = setup_log(c, o->roles & NODE_API ? LOG_INFO : LOG_WARN, err);
  o->run_as = config_text(c, OPT_RUN_AS);
  if (!rc) rc = check_user(o->run_as, err);
  if (!rc) rc = setup_shell(c, mode, o, err);
  o->slots = config_text(c, OPT_SLOTS) ? (uint32_t)config_num(c, OPT_SLOTS) : SLOTS_PER_CORE * node_cores();
  o->async_slots = (uint32_t)config_num(c, OPT_ASYNC_SLOTS);
  o->user = config_text(c, OPT_USER);
  o->run_as_also = (const char *const *)c->v[OPT_RUN_AS_ALSO].many;
  o->n_run_as_also = c->v[OPT_RUN_AS_ALSO].n_many;
  o->cache_bytes = config_num(c, OPT_CACHE_MEMORY);
  o->request_us = config_num(c, OPT_REQUEST_TIMEOUT);
  o->stop_us = config_num(c, OPT_STOP_TIMEOUT);
  return rc;
}
