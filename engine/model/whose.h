/* Whose the tasks of a flow instance are, beside what their definitions say: what its start said about all of them, and what
 * wishes said about one. Most flows have no such object: then nothing of it is read, written or looked up.
 *
 * One thread's at a time: the runner's, of a flow in its cache, or a reader's, for one answer. Field by field, what was said
 * about the task comes first, then its definition (taskConfig.queue), then what the start said.
 * What never happens: a text of a request is kept beyond the call that says it; a search through all tasks for one. */
#ifndef MODEL_WHOSE_H
#define MODEL_WHOSE_H
#include "async.h"
#include "map64.h"

struct whose { struct queue_spec *all; struct map64 of; size_t bytes; };   /* all: NULL = nothing; of: ti -> struct queue_spec */

struct whose *whose_new(void);
void whose_free(struct whose *w);                     /* NULL is fine */
static inline size_t whose_bytes(const struct whose *w) { return w ? w->bytes : 0; }
/* ti 0: of all. What q does not say stays as it was. Returns what holds now. */
const struct queue_spec *whose_say(struct whose *w, int64_t ti, const struct queue_spec *q);
/* w NULL = nothing was said. Texts are borrowed. */
struct queue_view whose_view(const struct whose *w, int64_t ti, const struct queue_spec *of_def);
#endif
