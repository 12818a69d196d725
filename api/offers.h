/* Which tasks no node that lives can run: what the members of the cluster offer, as they joined, read at most once a second.
 * Any API thread. What never happens: a second reader of a thread that holds one. */
#ifndef API_OFFERS_H
#define API_OFFERS_H
#include "call.h"

/* Why and whyText of a task instance that waits for a node that can run it; nothing for all others. def may be NULL. The
 * caller holds no reader. */
void offers_write(struct call *c, const struct task_row *row, const struct task_def *def);
#endif
