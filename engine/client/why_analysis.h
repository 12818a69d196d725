/* Why a task that is ANALYZING is not analysed just now: by its analyzer, and by what the members that call analyzers say. The
 * part of why.c that knows of analyzers. Any thread; pure but for what was read before. */
#ifndef CLIENT_WHY_ANALYSIS_H
#define CLIENT_WHY_ANALYSIS_H
#include "async.h"
#include "offers.h"
#include "view.h"

struct why_members { const struct offer_set *set; int64_t me; bool drains; };   /* me, drains: this node, as it is now */

/* Of a task whose next call waits for its time: a sentence for RETRY_WAIT. */
void why_call_later(const struct task_row *row, char *text, size_t n);
/* Of one that waits for a member: the code and a sentence; NULL: nothing that is known. config: of its definition, or its own;
 * NULL = none. */
const char *why_no_call(const struct view *v, const struct why_members *m, const struct task_row *row, const char *type,
                        const char *config, char *text, size_t n);
#endif
