/* What a submit of a stand-alone task asks for: the body of POST /exec/task, an element of POST /exec/tasks, and the body of
 * POST /exec/task/{taskId}, which names its definition in the path.
 *
 * Pure but for what struct def_env answers; any thread. A spec and a task_def that left this file never change. */
#ifndef MODEL_ASYNC_H
#define MODEL_ASYNC_H
#include <stdbool.h>
#include "def.h"
#include "mem.h"

/* Whose a task is, how urgent it is and what it costs: from taskConfig.queue of a definition, or from a request, whose own fields
 * win. user, group: NULL = not given. One block of memory: free() gives all of it back. */
struct queue_spec { const char *user, *group; int32_t priority, cpu; bool has_priority, has_cpu; };

/* The fields "user", "group", "priority" and "cpuOverhead" of a body, all of them optional. *out NULL: none is given.
 * malloc'ed. */
enum queue_form { QUEUE_OF_CONFIG, QUEUE_OF_ASK /* without cpuOverhead */ };
enum wr_rc queue_parse(const json_t *obj, enum queue_form form, struct queue_spec **out, struct wr_err *err) WR_MUST;

/* What holds for a task: its own fields, else those of its definition, else the defaults. Either may be NULL. Texts are borrowed
 * and never NULL. */
struct queue_view { const char *user, *group; int32_t priority, cpu; const char *type; /* task_policy.type; a runner's */ };
struct queue_view queue_view(const struct queue_spec *own, const struct queue_spec *of_def);

/* The same with a third place to look at: what the start of its flow said. */
struct queue_view queue_view_of(const struct queue_spec *own, const struct queue_spec *of_def, const struct queue_spec *of_flow);
/* What a says, and where it says nothing what b says; each may be NULL. malloc'ed. */
struct queue_spec *queue_spec_over(const struct queue_spec *a, const struct queue_spec *b);

/* What the engine does when the taskKey is that of a task that exists. */
enum if_exists { IF_EXISTS_RETURN, IF_EXISTS_FAIL, IF_EXISTS_RERUN };

enum { ASYNC_HASH_BYTES = 32 };
struct async_spec {
  struct queue_spec *queue;       /* NULL = nothing given */
  char *key;                      /* taskKey, NULL = none */
  uint8_t hash[ASYNC_HASH_BYTES]; /* of what was asked for, when there is a key: the caller's (async_text()) */
  enum if_exists if_exists;
  bool hold;                      /* autoRun: false */
  int64_t delay_us, start_at_us;  /* at most one of them is not 0 */
  char *context; size_t context_len;   /* NULL = none */
};

/* One task to be submitted. Release it by async_post_done(), after a failure too. */
struct async_post {
  struct task_def *def;           /* inline; NULL = the definition that the path names */
  char *params;                   /* canonical JSON text, NULL = none */
  struct async_spec *spec;
};
enum async_form { ASYNC_INLINE, ASYNC_BY_ID };
/* element: its place in "tasks"; -1 = the body itself. */
enum wr_rc async_parse(const json_t *body, enum async_form form, const struct def_env *env, int64_t element,
                       struct async_post *out, struct wr_err *err) WR_MUST;
void async_post_done(struct async_post *p);

/* Adds the text that is equal for two submits of the same content: the body without the order of its keys, without blanks and
 * without what it says about a task that exists already (ifExists). task_id: of the path, 0 = inline. */
void async_text(const json_t *body, int64_t task_id, struct buf *out);

/* A definition made again from what the store keeps of an inline task; policy.slot and executor are the caller's to set.
 * INTERNAL: the text is broken. */
enum wr_rc async_def(const char *name, const char *type, const char *content, const char *config, struct task_def **out,
                     struct wr_err *err) WR_MUST;
#endif
