/* What all requests of the API share. The runner thread's. */
#include "defs.h"
#include "runner_int.h"

enum store_rc req_refuse_err(struct req *q, enum wr_rc rc, const struct wr_err *err) {
  enum store_rc s = defs_store_rc(rc);
  bool final = s == STORE_BAD || rc == WR_NOT_STARTABLE;
  if (!final) return s;
  q->rc = rc;
  q->err = *err;
  return STORE_OK;
}

enum store_rc req_ids(struct runner *r, struct req *q, enum id_kind kind, uint32_t n) {
  return q->first_id == 0 && n > 0 ? store_ids(r->env.store, kind, n, &q->first_id) : STORE_OK;
}
