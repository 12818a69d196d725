/* The envelope {"code","message","data"} around what a handler writes. Any thread; each buffer has one owner. */
#ifndef API_ANSWER_H
#define API_ANSWER_H
#include <stdbool.h>
#include "err.h"
#include "health.h"
#include "json_write.h"

void j_health(struct buf *b, bool ok, const struct health *h); /* the fields "ok" and "parts" */

/* What stands beside "data": the page, and whether an earlier request with the same key made what is shown. */
struct answer_page {
  bool on, more;                /* more: there is a page behind this one, by its offset */
  uint32_t limit; uint64_t offset;
  int64_t total;                /* -1 = not asked, ANSWER_UNCOUNTED = there are too many to count them */
  int64_t after_ti, after_us;   /* the list goes on behind this place; 0 = it is over, or goes on by offset alone */
  bool replayed;
};
#define ANSWER_UNCOUNTED (-2)
void answer_open(struct buf *b);                              /* up to "data": and including it */
void answer_close(struct buf *b, const struct answer_page *p);
/* What "data" says beside the error. state: of the instance that a 409 is about; NULL = nothing, in both. */
struct answer_more { const char *request_id, *state; const struct health *health; };
void answer_error(struct buf *b, const struct wr_err *err, const struct answer_more *more);
#endif
