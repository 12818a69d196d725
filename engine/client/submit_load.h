/* A submit of stand-alone tasks with all that it points to: what one request to the runner shares with it. Made by one thread;
 * whoever lets go of it last frees it (ask_runner.h).
 *
 * A task is either read from a body, or put into its `post` by the caller, who then says submit_take(). What never happens: a key
 * without the hash of what was asked for. */
#ifndef CLIENT_SUBMIT_LOAD_H
#define CLIENT_SUBMIT_LOAD_H
#include "ask_runner.h"
#include "async.h"

struct submit { struct load load; struct async_post *post; uint32_t n; struct req_task task[]; };
/* n tasks, none read yet. load_unref(&s->load) frees it. */
struct submit *submit_new(uint32_t n);

/* Task i from its body. element: its place in "tasks", -1 = the body itself. task_id: of the path, 0 = inline. */
enum wr_rc submit_read(struct submit *s, uint32_t i, const json_t *body, int64_t element, int64_t task_id,
                       const struct def_env *env, struct wr_err *err) WR_MUST;
/* Task i from s->post[i]. */
void submit_take(struct submit *s, uint32_t i, int64_t task_id);
#endif
