/* What `weir server` and `weir run` have in common before a node exists. Main thread, before all others. */
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "log.h"
#include "say.h"
#include "text.h"
#include "verbs.h"

int complain(const char *verb, const struct wr_err *err, enum exit_code code) {
  char prefix[32], text[sizeof err->msg + sizeof err->path + 4];
  const char *msg = err->msg[0] ? err->msg : wr_err_text(err->code);
  snprintf(prefix, sizeof prefix, "weir %s: ", verb);
  snprintf(text, sizeof text, err->path[0] ? "%s (%s)" : "%s%s", msg, err->path);
  say(LOG_ERROR, "refused", "error", prefix, text);
  return (int)code;
}

enum exit_code exit_of(enum wr_rc rc) {
  if (rc == WR_DB_UNAVAILABLE) return EXIT_UNREACHABLE;
  return rc == WR_BAD_REQUEST ? EXIT_USAGE : EXIT_REFUSED;
}

static enum wr_rc setup_log(const struct config *c, enum log_level usual, struct wr_err *err) {
  enum log_level level = config_text(c, OPT_LOG_LEVEL) ? (enum log_level)config_num(c, OPT_LOG_LEVEL) : usual;
  log_setup(level, config_num(c, OPT_LOG_FORMAT) ? LOG_JSON : LOG_LOGFMT);
  const char *zone = config_text(c, OPT_ZONE);
  char q[WR_QUOTE_MAX];
  if (clock_zone(zone)) return WR_OK;
  return wr_err_set(err, WR_BAD_REQUEST, "--zone: there is no time zone %s.", wr_err_quote(q, zone, strlen(zone)));
}

void setup_tell_shell(const struct node_opts *o, enum shell_mode mode) {
  const struct run_as *p = o->run_as;
  if (!p) return;
  long me = (long)geteuid();
  char text[256];
  if (p->why_off) snprintf(text, sizeof text, "SHELL is off: %s", p->why_off);
  if (p->why_off) say_warning(text);
  if (!p->own) return;
  snprintf(text, sizeof text, "SHELL tasks run as the user who started this (uid %ld%s), with all its rights", me,
           me ? "" : ", root");
  say_warning(mode == SHELL_PERSONAL ? text : "SHELL tasks may run as the server's own user (--shell on): "
                                              "they can read its token and database");
}

/* A node that starts no programs leaves the list of users to nodes that do. */
static enum wr_rc setup_shell(const struct config *c, enum shell_mode mode, uid_t self, struct node_opts *o, struct wr_err *err) {
  const struct opt_value *also = &c->v[OPT_RUN_AS_ALSO];
  enum run_as_wish wish = (enum run_as_wish)config_num(c, OPT_SHELL);
  const struct run_as_opts who = {.shell = wish, .user = config_text(c, OPT_RUN_AS), .also = (const char *const *)also->many,
                                  .n_also = also->n_many, .personal = mode == SHELL_PERSONAL, .self = self,
                                  .can_change = geteuid() == 0};
  o->shell = wish == RUN_AS_OFF ? NODE_SHELL_OFF : NODE_SHELL_ON;
  if (!node_starts_programs(o)) return WR_OK;
  enum wr_rc rc = run_as_new(&who, &o->run_as, err);
  if (rc) return rc;
  if (o->run_as->n == 0) o->shell = NODE_SHELL_OFF;
  return WR_OK;
}

/* The names of --queues; as long as the process. */
static struct arena names;

void setup_done(struct node_opts *o, struct identity *who) {
  o->queues = (struct queue_opts){0};
  o->labels = NULL;
  arena_done(&names);
  run_as_free(o->run_as);
  o->run_as = NULL;
  identity_done(who);
}

/* NULL: this file is gone already, or its path is too long for a PATH. */
static const char *folder_of_program(void) {
  static char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  if (n <= 0 || (size_t)n >= sizeof path - 1) return NULL;
  path[n] = '\0';
  char *slash = strrchr(path, '/');
  if (!slash || slash == path || access(path, X_OK) != 0) return NULL;
  *slash = '\0';
  return path;
}

enum wr_rc setup_quietly(const struct config *c, enum shell_mode mode, struct node_opts *o, struct identity *who,
                         struct wr_err *err) {
  enum wr_rc rc = identity_find(config_text(c, OPT_USER), o->data, mode == SHELL_PERSONAL, who, err);
  if (!rc) rc = setup_shell(c, mode, who->user.uid, o, err);
  arena_init(&names, 0);
  if (!rc) rc = opt_queues(c->v, "--", &names, &o->queues, err);
  if (!rc) rc = opt_labels(c->v, "--", &names, &o->labels, err);
  o->version = WEIR_VERSION;
  o->program = "/proc/self/exe"; /* the file of this program, whatever stands in its place by now */
  o->tools = folder_of_program();
  o->http_allow = (const char *const *)c->v[OPT_HTTP_ALLOW].many;
  o->n_http_allow = c->v[OPT_HTTP_ALLOW].n_many;
  o->slots = opt_slots(c->v);
  o->async_slots = (uint32_t)config_num(c, OPT_ASYNC_SLOTS);
  o->cache_bytes = config_num(c, OPT_CACHE_MEMORY);
  o->request_us = config_num(c, OPT_REQUEST_TIMEOUT);
  o->stop_us = config_num(c, OPT_STOP_TIMEOUT);
  return rc;
}

enum wr_rc setup_common(const struct config *c, enum shell_mode mode, enum log_level usual, struct node_opts *o,
                        struct identity *who, struct wr_err *err) {
  enum wr_rc rc = setup_log(c, usual, err);
  if (!rc) rc = setup_quietly(c, mode, o, who, err);
  if (!rc && mode == SHELL_SERVICE && geteuid() == 0 && !who->becomes)
    say_warning("the server stays root: name another user with --user, or give it a data directory that belongs to one");
  return rc;
}
