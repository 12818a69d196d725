/* What the handlers of definitions share. */
#ifndef API_H_DEF_H
#define API_H_DEF_H
#include "call.h"
#include "def_env.h"

static inline struct def_site def_site_of(struct call *c) {
  const struct api_opts *o = &c->api->o;
  return (struct def_site){o->store, o->executors, o->shell_allowed, o->run_as, o->defs};
}

/* An update: save() reads, merges and saves. Between reading and saving, another process may write: then save() is called again
 * and takes the absent fields from that new version, unless the body named the version that it is about. A client that still
 * loses to others gets 503 and shall try again, since nothing that it sent is stale. */
enum wr_rc def_update(struct call *c, bool versioned, enum wr_rc (*save)(struct call *c, void *ctx), void *ctx);
enum wr_rc def_stale(struct call *c, int64_t given, int64_t current); /* 412 */
/* The page that was asked for. The answer shows it. */
struct page def_page(struct call *c);
#endif
