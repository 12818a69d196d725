/* Why a task instance or a run does not go on: `why`, a code, and `whyText`, a sentence for people. The codes and when each is
 * true: docs/reference/api.md. What other nodes have told is at most some seconds old; this node's own troubles are
 * asked of it directly, so that they are shown even while nothing can be written.
 *
 * Any API thread; one struct for one answer. What never happens: a code that is only a guess. */
#ifndef API_WHY_H
#define API_WHY_H
#include "call.h"
#include "rows.h"

struct why;
struct why *why_open(struct call *c);    /* the caller holds no reader */
/* Fields of the open object; nothing where there is nothing to say. def may be NULL. */
void why_task(struct why *w, const struct task_row *row, const struct task_def *def, const struct row_beside *beside);
void why_flow(struct why *w, const struct flow_row *row);
void why_close(struct why *w);
#endif
