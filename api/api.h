/* The HTTP API: civetweb behind one seam (http.h), one table of routes (routes.c), handlers (h_*.c).
 *
 * api_start() opens the port and its threads; each request is one call of one handler on one of them. Handlers read
 * through readers of the store, write definitions through store_save_*(), and ask the runner through runner_post().
 * What never happens: an answer that does not have the envelope; a body that is read before the token was seen; a
 * connection kept open whose framing was in doubt. IPv4 only, no TLS: put a proxy in front. */
#ifndef API_H
#define API_H
#include <stdbool.h>
#include <stdint.h>
#include "defs.h"
#include "err.h"
#include "health.h"
#include "runner.h"
#include "store.h"

struct api;
struct registry;
struct waits;
struct api_opts {
  const char *listen;             /* ADDR:PORT, IPv4; port 0 = a free one */
  const char *const *host;        /* more names that the Host header may have. The listen address, localhost, */
  size_t n_host;                  /* 127.0.0.1 and [::1] are always allowed, with or without a port */
  struct store *store;            /* all borrowed until api_stop(); these four until api_hold() */
  struct defs *defs;
  const struct registry *executors;
  struct runner *runner;
  struct waits *waits;            /* who waits: wait.h */
  const char *token;              /* the host's own; NULL = that of the installation: */
  const char *data_dir;           /* it lies in DATA/weir.token, 0600; made at the first start */
  bool dev;                       /* no token */
  bool shell_allowed;             /* else a SHELL task is 403 SHELL_NOT_ALLOWED at save */
  bool allow_executors;           /* else POST and DELETE /executor are 403 */
  const struct run_as *run_as;    /* whom SHELL tasks of this node may run as; NULL: it runs none */
  const char *version;            /* of /version */
  bool guest;                     /* the process is another's: what it has once is left alone (the allocator of jansson) */
  uint32_t threads;               /* requests at once; 0 = the default */
  int64_t request_us;             /* how long all waits of a request together may take; 0 = LIMIT_REQUEST_US */
  void (*health)(void *ctx, struct health *out); /* for /readyz; any thread, never waits. NULL = all is well */
  enum hints_told (*hints)(void *ctx, hints_each *each, void *to);   /* any thread, bounded; NULL = there are no lists */
  bool (*forget)(void *ctx, const int64_t *ti, size_t n);            /* hints of these tasks; as hints. False: Redis is away */
  void *ctx;
};
enum wr_rc api_start(const struct api_opts *o, struct api **out, struct wr_err *err) WR_MUST;
/* Is the address free and of the right form? Asked before a start makes anything. */
enum wr_rc api_try_listen(const char *listen, struct wr_err *err) WR_MUST;
uint16_t api_port(const struct api *a);          /* the bound port */
const char *api_token_path(const struct api *a); /* NULL with dev, or when the token lies elsewhere; as it was at the start */
const char *api_token_at(const struct api *a);   /* HOST:DIR of the node that made the token; NULL with dev */
/* From now on requests that would change something get 503 DRAINING, and so does /readyz. Requests under way are still answered,
 * and those that wait are answered now.
 * Call it before runner_drain(). */
void api_drain(struct api *a);
/* Waits at most 2 s for requests under way, then closes everything. The runner must still run: it owes them answers. */
void api_stop(struct api *a);

/* ---- for a host whose node closes and opens anew ---- */
/* Requests wait from now on, those that wait= or follow a log too; returns when none uses the node. */
void api_hold(struct api *a);
/* The new node; NULL: there is none, and requests are answered 503. */
struct view;
void api_go_on(struct api *a, const struct view *node);
#endif
