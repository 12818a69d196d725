/* Filters and paging: the same from a query string and from a body, never a value out of its range. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "mem.h"
#include "query.h"
#include "run.h"
#include "text.h"

static void check(const struct query *q, unsigned allowed, int64_t max_limit) {
  wr_assert((q->has & ~allowed) == 0);
  wr_assert(q->limit >= 1 && (q->limit <= max_limit || !(q->has & Q_LIMIT)));
  wr_assert(q->offset >= 0 && q->offset <= WR_ID_MAX);
  if (q->has & Q_FLOW_ID) wr_assert(q->flow_id >= 1 && q->flow_id <= WR_ID_MAX);
  if (q->has & Q_FI_ID) wr_assert(q->fi >= 1 && q->fi <= WR_ID_MAX);
  if (q->has & Q_FROM) wr_assert(q->from_us > 0);
  if (q->has & Q_TO) wr_assert(q->to_us > 0);
  if (q->has & Q_ATTEMPT) wr_assert(q->attempt >= 1 && q->attempt <= UINT32_MAX);
  if (q->has & Q_STATUS) wr_assert((q->status >= 1 && q->status <= 3) != (q->state >= FLOW_RUNNING && q->state < FLOW__N));
  wr_assert(text_utf8(q->name, strlen(q->name)) && text_utf8(q->type, strlen(q->type)));
}

/* Two bytes choose what is allowed; the rest is the text. */
int fuzz_query(const uint8_t *data, size_t n) {
  struct fuzz_in in = {data, n};
  unsigned allowed = in_u8(&in) | (unsigned)in_u8(&in) << 8;
  int64_t max_limit = allowed & 1 ? LIMIT_PAGE : LIMIT_LOG_READ_BYTES;
  char *text = wr_memdup0(in.p, in.n);
  json_t *body = NULL;
  struct query q;
  struct wr_err err;
  query_init(&q);
  enum wr_rc rc = query_string(&q, text, allowed, max_limit, &err);
  if (rc) fuzz_check_err(rc, &err);
  else check(&q, allowed, max_limit);
  if (json_load_strict(text, strlen(text), LIMIT_JSON_VALUES, &body, &err) == WR_OK) {
    query_init(&q);
    rc = query_body(&q, body, allowed, max_limit, &err);
    if (rc) fuzz_check_err(rc, &err);
    else check(&q, allowed, max_limit);
    json_decref(body);
  }
  free(text);
  return 0;
}
