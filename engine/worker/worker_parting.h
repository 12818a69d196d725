/* Partings: a task has ended between two attempts (a cancel, a deletion, its queue timeout), and what an earlier one began behind
 * a URL goes on. Its executor (WX_PARTS) is started with what that attempt left, tells whoever works for it to stop, and ends.
 *
 *   worker_part() -> waits -> going: what was left is read (keeper_recall) -> the executor -> over: what is left is forgotten
 *
 * A parting is an attempt in form alone: nothing of it is stored, nobody waits for it, no slot or limit counts it, and a later
 * attempt of its task runs beside it. It is tried once. What never happens: more than LIMIT_PARTINGS or LIMIT_PARTING_BYTES of
 * them; a node that stops later because of one than its attempts may take. The loop's thread, but for worker_part(). */
#ifndef WORKER_PARTING_H
#define WORKER_PARTING_H
#include "worker_int.h"

struct partings *partings_new(void);
void partings_free(struct partings *p);
/* Takes what came in, and begins what may begin. While the node stops none begins, and those that go on end with its grace. */
void partings_mail(struct worker *w);
/* What was left for it; false: no parting of this task and attempt waits for that. Takes `left` with true. */
bool parting_recalled(struct worker *w, int64_t ti, uint32_t epoch, enum log_rc rc, struct attempt_left *left);
void parting_over(struct worker *w, struct attempt *a);
uint32_t partings_ended(struct worker *w);     /* frees those that are over; how many they were */
/* worker_exec.c: its executor begins; NULL: there is none here. `a` is over when the executor is done. */
struct wx_exec *exec_part(struct worker *w, struct attempt *a);
#endif
