/* `weir server`: a node with an API in front, until SIGTERM or SIGINT. Main thread; see node.h for the order of things.
 *
 * After the first signal: the API takes nothing new, running attempts are handed back, results are committed, the node
 * leaves, exit 0; a second Ctrl-C ends it at once. What never happens: an exit later than STOP_US. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "api.h"
#include "clock.h"
#include "log.h"
#include "signals.h"
#include "verbs.h"

#define GRACE_US 5000000          /* TERM to KILL of what still runs */
#define STOP_US 9500000           /* after that the process ends anyway; the spawner kills what is left */

struct server {
  struct config cfg;
  struct node_opts opts;
  char store[512], listen[32];
  struct node *node;
  struct api *api;
};

/* ---- options ---- */

static enum wr_rc read_roles(struct node_opts *o, const char *list, struct wr_err *err) {
  static const struct { const char *name; unsigned bit; } all[] = {{"api", NODE_API}, {"runner", NODE_RUNNER}, {"worker", NODE_WORKER}};
  char q[WR_QUOTE_MAX];
  o->roles_text = list;
  for (const char *p = list; *p;) {
    size_t n = strcspn(p, ","), i = 0;
    while (i < 3 && !(strlen(all[i].name) == n && memcmp(all[i].name, p, n) == 0)) i++;
    if (i == 3) return wr_err_set(err, WR_BAD_REQUEST, "--roles: %s is not one of api, runner, worker.", wr_err_quote(q, p, n));
    o->roles |= all[i].bit;
    p += n + (p[n] == ',');
  }
  return WR_OK;
}

static bool loopback(const char *listen) {
  char host[64];
  struct in_addr a;
  snprintf(host, sizeof host, "%.*s", (int)strcspn(listen, ":"), listen);
  return inet_pton(AF_INET, host, &a) == 1 && ntohl(a.s_addr) >> 24 == 127;
}

/* The API knows numbers only, and IPv4. */
static enum wr_rc read_listen(struct server *s, struct wr_err *err) {
  const struct config *c = &s->cfg;
  const char *text = config_text(c, OPT_LISTEN), *port = strrchr(text, ':');
  bool by_name = port && port - text == 9 && memcmp(text, "localhost", 9) == 0;
  int n = snprintf(s->listen, sizeof s->listen, "%s%s", by_name ? "127.0.0.1" : "", by_name ? port : text);
  if (n >= (int)sizeof s->listen || *text == '[' || !port)
    return wr_err_set(err, WR_BAD_REQUEST, "--listen must be IPV4-ADDRESS:PORT.");
  if (loopback(s->listen)) return WR_OK;
  if (config_num(c, OPT_DEV)) return wr_err_set(err, WR_FORBIDDEN, "--dev listens on loopback only.");
  if (config_num(c, OPT_TRUSTED_PROXY)) return WR_OK;
  return wr_err_set(err, WR_FORBIDDEN, "--listen: an address that is not loopback needs a TLS proxy in front; say so with --trusted-proxy.");
}

static enum wr_rc read_options(struct server *s, struct wr_err *err) {
  const struct config *c = &s->cfg;
  struct node_opts *o = &s->opts;
  bool dev = config_num(c, OPT_DEV);
  if (c->n_args) return wr_err_set(err, WR_BAD_REQUEST, "Unexpected argument \"%.64s\".", c->args[0]);
  enum wr_rc rc = read_roles(o, config_text(c, OPT_ROLES), err);
  if (!rc) rc = read_listen(s, err);
  if (!rc) rc = setup_common(c, dev ? SHELL_PERSONAL : SHELL_SERVICE, o, err);
  o->data = config_text(c, OPT_DATA);
  if (!o->data) o->data = dev ? "./data" : "/var/lib/weir";
  o->store = config_text(c, OPT_STORE);
  if (!o->store) {
    int n = snprintf(s->store, sizeof s->store, "sqlite:%s/weir.db", o->data);
    if (n >= (int)sizeof s->store) return wr_err_set(err, WR_BAD_REQUEST, "--data: the path is too long.");
    o->store = s->store;
  }
  o->queue = config_text(c, OPT_QUEUE);
  o->prefix = config_text(c, OPT_PREFIX);
  o->lease_us = config_num(c, OPT_LEASE);
  o->durability = config_num(c, OPT_DURABILITY) ? NODE_RELAXED : NODE_STRICT;
  return rc;
}

/* ---- life ---- */

static void health(void *ctx, struct health *out) { node_health(((const struct server *)ctx)->node, out); }

static enum wr_rc start_api(struct server *s, struct wr_err *err) {
  const struct config *c = &s->cfg;
  struct api_opts a = {.listen = s->listen, .host = (const char *const *)c->v[OPT_HOST].many,
                       .n_host = c->v[OPT_HOST].n_many, .store = node_store(s->node), .defs = node_defs(s->node),
                       .runner = node_runner(s->node), .data_dir = s->opts.data, .dev = config_num(c, OPT_DEV),
                       .shell_allowed = s->opts.shell == NODE_SHELL_ON, .run_as = s->opts.run_as, .version = WEIR_VERSION, .health = health, .ctx = s,
                       .request_us = s->opts.request_us};
  enum wr_rc rc = api_start(&a, &s->api, err);
  if (rc) return rc;
  const char *token = api_token_path(s->api);
  if (token) fprintf(stderr, "the token is in %s\n", token);
  fprintf(stderr, "listening on http://%.*s:%u\n", (int)strcspn(s->listen, ":"), s->listen, api_port(s->api));
  return WR_OK;
}

static enum wr_rc start(struct server *s, struct wr_err *err) {
  struct spawner *spawner;
  enum wr_rc rc = node_prepare(&s->opts, &spawner, err);
  if (!rc) rc = node_open(&s->opts, spawner, &s->node, err);
  if (rc) return rc;
  if (s->opts.roles & NODE_API) return start_api(s, err);
  fprintf(stderr, "ready\n");
  return WR_OK;
}

static void stop(struct server *s) {
  if (s->api) api_drain(s->api);
  if (s->node) node_drain(s->node, GRACE_US);
  if (s->api) api_stop(s->api);
  node_close(s->node);
}

static int serve(struct server *s) {
  struct wr_err err = {0};
  enum wr_rc rc = start(s, &err);
  if (rc) {
    stop(s);
    return complain("server", &err, exit_of(rc));
  }
  int sig = 0;
  while (sig == 0) sig = signals_wait();
  log_info("server.stop", L_INT("signal", sig));
  signals_exit_after(STOP_US, EXIT_RUN_FAILED);
  stop(s);
  return EXIT_OK;
}

int verb_server(int argc, char **argv) {
  struct server s = {0};
  struct wr_err err = {0};
  enum wr_rc rc = config_load(&s.cfg, VERB_SERVER, argc, argv, &err);
  int code;
  if (!rc && s.cfg.help) {
    puts("Usage: weir server [options]\n\nServes the API, runs the flows and their tasks, until SIGTERM or SIGINT.\n");
    config_help(stdout, VERB_SERVER);
    code = EXIT_OK;
  } else {
    if (!rc) rc = read_options(&s, &err);
    code = rc ? complain("server", &err, exit_of(rc)) : serve(&s);
  }
  setup_done(&s.opts);
  config_done(&s.cfg);
  return code;
}
