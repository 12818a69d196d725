/* JSON, written straight into a buffer: no tree is built on the way out. The one writer of texts and fields, for the API, the
 * definitions that the store keeps and the command line. (Values that came as a tree: json_text() of model. Lines of the log:
 * log.c, which has no buffer that grows, and escapes what could deceive a terminal.)
 *
 * Any thread; each buffer has one owner. What never happens: a text that ends its own quotes. */
#ifndef WR_JSON_WRITE_H
#define WR_JSON_WRITE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mem.h"

/* A string with its quotes, every byte escaped as RFC 8259 asks; s must be UTF-8. */
void buf_json(struct buf *b, const char *s, size_t n);

/* Fields of the object that was opened last; each call adds the comma in front where one is needed. Texts must be UTF-8. */
void j_open(struct buf *b, char bracket);                     /* '{' or '[', with a comma when it is an element */
void j_close(struct buf *b, char bracket);
void j_key(struct buf *b, const char *k);
void j_text(struct buf *b, const char *k, const char *v);     /* NULL: left out */
void j_bytes(struct buf *b, const char *k, const char *v, size_t n); /* UTF-8 as text, else as <k>Base64 */
void j_i64(struct buf *b, const char *k, int64_t v);
void j_bool(struct buf *b, const char *k, bool v);
void j_raw(struct buf *b, const char *k, const char *json);   /* NULL: left out */
void j_members(struct buf *b, const char *json);              /* the members of the object that this text holds; NULL: none */
void j_string(struct buf *b, const char *v);                  /* an element */
/* S2's form under one name and RFC 3339 under the other (NULL = without); us 0: left out. */
void j_time(struct buf *b, const char *s2, const char *rfc, int64_t us);
#endif
