/* What a member says of the executors that were registered at run time, as its row holds it: a line for each folder below which
 * its programs are ("/opt/weir"), one for each address at which its API listens ("@127.0.0.1/8080"), then a line for each type:
 * "TYPE VERSION", or "TYPE VERSION why it does not offer it"; then "?NAME/VERSION/why" for each analyzer that it cannot call.
 *
 * Pure; any thread. What never happens: a line that a folder or a sentence makes two of. */
#ifndef MODEL_EXEC_OFFERS_H
#define MODEL_EXEC_OFFERS_H
#include <stdbool.h>
#include <stdint.h>
#include "mem.h"

void exec_offers_dir(struct buf *b, const char *dir);
void exec_offers_listens(struct buf *b, const char *address, uint16_t port);
void exec_offers_add(struct buf *b, const char *type, int64_t version, const char *why);   /* why NULL: it offers it */

/* Texts may be NULL. EXEC_UNSAID: the member says nothing of that version so far. why: set for EXEC_NOT, cut to fit. */
enum exec_says { EXEC_UNSAID, EXEC_OFFERED, EXEC_NOT };
enum exec_says exec_offers_say(const char *text, const char *type, int64_t version, char *why, size_t why_n);
/* Of an analyzer that it cannot call. True: it says so of that version, and why is set. */
void exec_offers_analyzer(struct buf *b, const char *name, int64_t version, const char *why);
bool exec_offers_no_analyzer(const char *text, const char *name, int64_t version, char *why, size_t why_n);
bool exec_offers_any(const char *text, const char *type);   /* it offers some version of it */
/* Each type of which some version is offered, in the order of the text. name is not terminated. */
void exec_offers_each(const char *text, void (*fn)(void *ctx, const char *name, size_t n), void *ctx);
/* Each address at which it listens; not terminated. */
void exec_offers_listeners(const char *text, void (*fn)(void *ctx, const char *address, size_t n, uint16_t port), void *ctx);
/* path: absolute; it lies below one of the folders. */
bool exec_offers_below(const char *text, const char *path);
#endif
