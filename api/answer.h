/* The envelope {"code","message","data"} and the fields of JSON objects, written straight into a buffer: no tree is built
 * on the way out. Any thread; each buffer has one owner. */
#ifndef API_ANSWER_H
#define API_ANSWER_H
#include <stdbool.h>
#include "err.h"
#include "health.h"
#include "mem.h"

/* Fields of the object that was opened last; the comma in front is found by itself. Texts must be UTF-8. */
void j_open(struct buf *b, char bracket);                     /* '{' or '[', with a comma when it is an element */
void j_close(struct buf *b, char bracket);
void j_key(struct buf *b, const char *k);
void j_text(struct buf *b, const char *k, const char *v);     /* NULL: left out */
void j_bytes(struct buf *b, const char *k, const char *v, size_t n); /* UTF-8 as text, else as <k>Base64 */
void j_i64(struct buf *b, const char *k, int64_t v);
void j_bool(struct buf *b, const char *k, bool v);
void j_raw(struct buf *b, const char *k, const char *json);   /* NULL: left out */
/* S2's form under one name and RFC 3339 under the other (NULL = without); us 0: left out. */
void j_time(struct buf *b, const char *s2, const char *rfc, int64_t us);

void j_health(struct buf *b, bool ok, const struct health *h); /* the fields "ok" and "parts" */

/* What stands beside "data": a page, and whether an earlier request with the same key had made what is shown. */
struct answer_page { bool on, more; uint32_t limit; uint64_t offset; int64_t total; /* -1 = not asked */ bool replayed; };
void answer_open(struct buf *b);                              /* up to and with "data": */
void answer_close(struct buf *b, const struct answer_page *p);
/* h: what else "data" says, NULL = nothing. */
void answer_error(struct buf *b, const struct wr_err *err, const char *request_id, const struct health *h);
#endif
