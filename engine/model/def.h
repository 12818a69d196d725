/* Definitions: tasks and flows as users write them, validated, and as the engine runs them, compiled.
 *
 * A task_def and a flow_def are immutable once made and shared by reference count (any thread). def_*_parse() read
 * the JSON of the API, with every check of docs/reference/api.md; the store reads rows back through the same structs. Nothing
 * here does I/O; whether a task id exists, and which types are known, is asked through struct def_env. */
#ifndef MODEL_DEF_H
#define MODEL_DEF_H
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "dag.h"
#include "err.h"

/* What the parser must ask. Borrowed during the call. */
struct added;
struct def_env {
  void *ctx;
  /* Known type: fills *slot and returns WR_OK, checking content and config at save time; else an error. config: the
   * executor's part, NULL = none. path: JSON pointer of the task ("" = the body itself). */
  enum wr_rc (*check_type)(void *ctx, const char *type, const char *content, const json_t *config, const char *path,
                           uint8_t *slot, struct wr_err *err);
  /* All ids exist and are not deleted: WR_OK; else NO_SUCH_TASK naming the id, *bad its index. ids: sorted, unique. */
  enum wr_rc (*tasks_exist)(void *ctx, const int64_t *ids, size_t n, size_t *bad, struct wr_err *err);
  /* The registered analyzer of that name, which lives as long as the node; *out NULL: there is none. NULL: none is registered. */
  enum wr_rc (*analyzer_find)(void *ctx, const char *name, const struct added **out, struct wr_err *err);
};

struct executor;
struct queue_spec;
struct analyzer;
enum child_failure { CHILD_FAIL, CHILD_IGNORE };
/* One version of a task. For an inline task task_id is 0. Texts NULL = absent. */
struct task_def {
  atomic_uint refs;
  int64_t task_id, version;
  char *name, *description, *type, *content;
  char *config;                 /* JSON object text, NULL = none */
  char *create_user, *update_user;
  int64_t create_us, update_us;
  uint8_t deleted;
  /* derived from config by def_task_derive(): */
  struct task_policy policy;
  int64_t timeout_us;           /* run timeout of an attempt, 0 = none */
  int64_t heartbeat_us;         /* an attempt that reports nothing for so long is LOST, 0 = never */
  int64_t clean_up_us;          /* it has an onDelete: the run timeout of that; 0 = it has none */
  char *labels;                 /* taskConfig.labels, what its member must have: labels.h; NULL = nothing */
  uint8_t has_attempts;         /* `attempts` is given */
  uint8_t of_job;               /* def_in_job(): where it is not, it has LIMIT_JOB_ATTEMPTS */
  uint8_t child_failure;        /* enum child_failure: what a failed task that it added means for it */
  uint32_t analyzer_attempts;   /* calls of its analyzer */
  int64_t analyzer_timeout_us;  /* of one call */
  struct analyzer *analyzer;    /* taskConfig.analyzer: analysis.h; NULL = it names none (analyzer_of() asks its executor too) */
  struct queue_spec *queue;     /* taskConfig.queue: async.h; NULL = none */
  /* what runs it on this node; the cache of definitions sets it together with policy.slot. NULL = look it up by type */
  const struct executor *executor;
};

enum node_type { NODE_TYPE_START, NODE_TYPE_TASK, NODE_TYPE_END };

struct node_def {
  int64_t node_id;              /* flow_def.node_base + index once saved, 0 before */
  enum node_type type;
  char *key;                    /* never NULL after parse */
  int64_t *task_id; uint32_t n_task_id;      /* either these ... */
  struct task_def **task; uint32_t n_task;   /* ... or inline ones */
  uint32_t *parent; uint32_t n_parent;       /* indices into flow_def.node, ascending order of mention */
  uint32_t need;                /* complete, as a number; 0 = all */
  uint8_t rest;                 /* enum rest */
  char *config;                 /* the node's own settings as canonical JSON text (complete, rest, attempts, backoff,
                                   timeout), NULL = all default: what the store keeps and GET shows */
};

struct flow_def {
  atomic_uint refs;
  int64_t flow_id, version;
  char *name, *description;
  char *config;                 /* flow settings as canonical JSON text (onFailure, timeout), NULL = all default */
  char *create_user, *update_user;
  int64_t create_us, update_us; /* of the flow; node rows carry the version's time in node_us */
  int64_t node_us;
  uint8_t deleted;
  uint8_t on_failure;           /* enum on_failure */
  int64_t timeout_us;
  int64_t node_base;            /* node_id of node[0] */
  struct node_def *node; uint32_t n;
  /* compiled by def_flow_compile(): */
  struct dag *dag;
  uint32_t *dag_node;           /* dag node index -> index into node[] */
  struct task_ref *ref;         /* dag->n_task entries, one per task index */
  struct node_override *over;   /* private: what ref[].over points into */
};

/* Where a task index of a flow gets its definition from: a task id, or an inline task. The node's overrides of
 * attempts, backoff and timeout are in `over` (NULL = none). */
struct task_ref { int64_t task_id; struct task_def *inl; const struct node_override *over; };
struct node_override {
  uint32_t attempts;
  int64_t timeout_us;
  int has_attempts, has_backoff, has_timeout;
  struct task_policy backoff;
};

struct task_def *def_task_ref(struct task_def *t);
void def_task_unref(struct task_def *t);
struct flow_def *def_flow_ref(struct flow_def *f);
void def_flow_unref(struct flow_def *f);

/* What a POST body asks for. Fields that were absent are flagged so that an update can keep the old value. */
enum { DEF_HAS_NAME = 1, DEF_HAS_DESCRIPTION = 2, DEF_HAS_TYPE = 4, DEF_HAS_CONTENT = 8, DEF_HAS_CONFIG = 16, DEF_HAS_NODES = 32,
       DEF_HAS_ON_FAILURE = 64, DEF_HAS_TIMEOUT = 128, DEF_HAS_VERSION = 256 };
struct task_post { int64_t task_id; /* 0 = create */ unsigned has; int64_t version; struct task_def *def; };
struct flow_post { int64_t flow_id; /* 0 = create */ unsigned has; int64_t version; struct flow_def *def; };

/* body: a JSON object (borrowed). On update (taskId given) name and type may be absent. def gets one reference. */
enum wr_rc def_task_parse(const json_t *body, const struct def_env *env, struct task_post *out, struct wr_err *err) WR_MUST;
/* Keeps from old what the post did not have, then checks and derives again; returns a new definition. */
enum wr_rc def_task_merge(const struct task_post *p, const struct task_def *old, const struct def_env *env,
                          struct task_def **out, struct wr_err *err) WR_MUST;
/* Parses, validates and compiles. On update without flowNodes def->node is empty and dag NULL. */
enum wr_rc def_flow_parse(const json_t *body, const struct def_env *env, struct flow_post *out, struct wr_err *err) WR_MUST;
enum wr_rc def_flow_merge(const struct flow_post *p, const struct flow_def *old, struct flow_def **out,
                          struct wr_err *err) WR_MUST;

/* Warns of what is allowed but may not be meant: one sentence each, at most LIMIT_WARNINGS. say may be NULL. Returns how many. */
size_t def_flow_warn(const struct flow_def *f, void (*say)(void *ctx, const char *text), void *ctx);

/* For the store: fill the plain fields, then derive / compile. Fails with INTERNAL when the stored text is broken.
 * slot: of the executor type; def_task_derive leaves policy.slot as the caller set it. */
enum wr_rc def_task_derive(struct task_def *t, struct wr_err *err) WR_MUST;
/* An inline task of a job, which nobody else has yet: its attempts are those of a job when it does not say. */
void def_in_job(struct task_def *t);
/* config text of the node -> need, rest, override */
enum wr_rc def_flow_compile(struct flow_def *f, struct wr_err *err) WR_MUST;
/* Inline tasks of a node <-> the JSON array text kept in task_node.tasks. */
char *def_inline_text(const struct node_def *n);   /* malloc'ed, NULL when none */
enum wr_rc def_inline_parse(struct node_def *n, const char *text, size_t len, struct wr_err *err) WR_MUST;
/* The policy and timeout that hold for a task index: the task's, with the node's overrides. */
struct task_policy def_policy(const struct task_ref *ref, const struct task_def *t);
int64_t def_timeout_us(const struct task_ref *ref, const struct task_def *t);
int64_t config_timeout_us(const char *config);      /* the run timeout that a stored taskConfig says; 0 = none. NULL is fine */

/* {"k": v, ..} -> canonical JSON text (sorted keys), NULL for {} or absent. Values: string, number, boolean; names
 * [A-Za-z_][A-Za-z0-9_]*; LIMIT_PARAMS, LIMIT_PARAMS_BYTES. malloc'ed. */
enum wr_rc def_params_parse(const json_t *params, const char *path, char **out, struct wr_err *err) WR_MUST;

/* JSON text, read strictly: depth, value count, duplicate keys, UTF-8, NUL and number range each have their own refusal
 * (40001 .. 40008, 41302), with line and column. The body must be an object. */
enum wr_rc json_load_strict(const char *text, size_t n, size_t max_values, json_t **out, struct wr_err *err) WR_MUST;
/* Before threads: from then on a text that needs more memory than there is is BUSY, not BAD_JSON. */
void json_watch_memory(void);
#endif
