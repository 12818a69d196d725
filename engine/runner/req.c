/* What all requests of the API share. The runner thread's. */
#include "defs.h"
#include "runner_int.h"

enum store_rc req_refuse_err(struct req *q, enum wr_rc rc, const struct wr_err *err) {
  enum store_rc s = defs_store_rc(rc);
  bool final = s == STORE_BAD || rc == WR_NOT_STARTABLE || rc == WR_UNKNOWN_TYPE;
  if (!final) return s;
  q->rc = rc;
  q->err = *err;
  return STORE_OK;
}

enum store_rc req_ids(struct runner *r, struct req *q, enum id_kind kind, uint32_t n) {
  return q->first_id == 0 && n > 0 ? store_ids(r->env.store, kind, n, &q->first_id) : STORE_OK;
}

void whose_said(struct runner *r, struct cached *c, int64_t ti, const struct queue_spec *q) {
  struct writer *w = &r->writer;
  if (c->whose == NULL) c->whose = whose_new();
  const struct queue_spec *now = whose_say(c->whose, ti, q);
  c->run->whose = 1;
  *WR_PUSH(w->whose, w->n_whose, w->cap_whose) = (struct whose_row){.fi = c->run->fi, .ti = ti,
    .user = arena_strdup(&r->env.mem, now->user), .group = arena_strdup(&r->env.mem, now->group), .priority = now->priority,
    .has_priority = now->has_priority};
  cache_grew(&r->cache, c);
}
