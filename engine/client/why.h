/* Why a task instance or a run does not go on: `why`, a code, and `whyText`, a sentence for people. The codes and when each is
 * true: docs/reference/api.md. What other nodes have told is at most some seconds old; this node's own troubles are
 * asked of it directly, so that they are shown even while nothing can be written.
 *
 * Any thread; one struct for one answer. What never happens: a code that is only a guess. */
#ifndef CLIENT_WHY_H
#define CLIENT_WHY_H
#include <stdbool.h>
#include "async.h"
#include "store.h"
#include "view.h"

struct why;
enum { WHY_TEXT_BYTES = 1024 };
struct why_said { const char *code; char text[WHY_TEXT_BYTES]; };
struct why *why_open(const struct view *v);    /* the caller holds no reader */
/* NULL: there is nothing to say. Valid until the next question. def may be NULL; alone: of a stand-alone task, else NULL. */
const struct why_said *why_task(struct why *w, const struct task_row *row, const struct task_def *def,
                                const struct async_row *alone);
/* The same where the caller knows more of whose it is than its definition says: what was said of the tasks of its flow. */
const struct why_said *why_task_of(struct why *w, const struct task_row *row, const struct task_def *def,
                                   const struct async_row *alone, const struct queue_view *of);
const struct why_said *why_flow(struct why *w, const struct flow_row *row);
void why_close(struct why *w);
#endif
