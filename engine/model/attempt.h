/* One attempt on its way from the runner to an executor and back. Made by the runner at the claim, given to the worker
 * after its commit (ownership moves), given back with the result, freed by the runner. Any thread, one at a time. */
#ifndef MODEL_ATTEMPT_H
#define MODEL_ATTEMPT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "def.h"
#include "wr_limits.h"

enum attempt_end {
  ATTEMPT_NONE,
  ATTEMPT_OK,
  ATTEMPT_FAIL,        /* retried by policy */
  ATTEMPT_FATAL,       /* exit 125, bad content: not retried */
  ATTEMPT_LOST,        /* it may have begun and nobody knows how it ended: class INFRA, counted */
  ATTEMPT_HANDBACK,    /* it never began, or a planned stop ended it: back to the queue, nothing counted */
  ATTEMPT_NOT_NOW      /* exit 75, or it reported `again`: it wants to be tried later, which is no failure */
};

enum attempt_log { LOG_NONE, LOG_ROWS, LOG_IS_RESULT };  /* where its log stands: nowhere, task_log, or equal to the result */

/* Why bytes of an output are not in its log; of two reasons the greater one is told. Numbers are stored: never renumber. */
enum log_lost { LOG_LOST_NONE, LOG_LOST_LIMIT, LOG_LOST_STORE_FAILED, LOG_LOST_DISK_FULL, LOG_LOST_DISK_ERROR, LOG_LOST__N };
const char *log_lost_name(enum log_lost why);   /* "LIMIT" */

/* An attempt whose node died between its claim and its start. */
struct never_started { int64_t ti; uint32_t epoch; };

/* What earlier attempts of a task, or the submit, left for the next one. -1, "" = not known. */
struct attempt_left {
  int64_t total, done;              /* their progress */
  char unit[LIMIT_UNIT_BYTES + 1], message[LIMIT_MESSAGE_BYTES + 1];
  uint32_t context_epoch;           /* of the attempt that noted the context; one that was given: the task's epoch then */
  size_t context_len;
  char context[];                   /* with a NUL behind it */
};

/* The results of attempts that have ended and are not stored yet, counted in bytes. Whoever reads large ones asks first whether
 * there is room, and is told through room() when there may be again. It outlives its attempts. Any thread. */
struct backlog {
  size_t most;
  void (*room)(void *ctx); void *ctx;   /* any thread, never blocks */
  atomic_size_t bytes;
  atomic_bool wanted;               /* somebody was told that there is none */
};
bool backlog_room(struct backlog *b, size_t more);

struct attempt {
  struct attempt *next;             /* in a list of its owner */
  int64_t fi, ti, ni;               /* fi = ni = 0: a stand-alone task */
  uint32_t task;                    /* task index in the flow */
  uint32_t epoch;                   /* WEIR_ATTEMPT */
  uint32_t failed;                  /* tries of this run that failed or timed out */
  uint32_t before;                  /* attempts up to this number are those of earlier runs */
  uint32_t first_try;               /* tries of this run are numbered from here on: no earlier run has used such a number */
  int64_t owner;
  struct task_def *def;             /* a reference */
  int64_t timeout_us;               /* run timeout, 0 = none */
  struct task_policy policy;        /* with the node's overrides */
  char *key;                        /* WEIR_RUN_KEY: "s<store>:fi:nodeKey:index" or "s<store>:t:ti" */
  struct params *params;            /* a reference, NULL = none */
  int64_t start_us;                 /* of the claim, by the clock that all nodes share */
  int64_t heartbeat_us;             /* it is LOST when it reports nothing for so long, 0 = never */
  uint32_t executor;                /* version of its executor, 0 = its type was not registered at run time */
  char *task_key;                   /* of a stand-alone task of such a type: malloc'ed, NULL = none */
  int64_t job;                      /* of a task of such a type: its job, 0 = none */
  int64_t scope;                    /* of an analysis: where taskKeys of what it adds are unique, and the lock of its tree */
  bool cleanup;                     /* the task is being deleted: this attempt cleans up behind it */
  bool parting;                     /* no attempt: the task has ended, and who works for it elsewhere is told */
  bool forget;                      /* a parting: what is left of the task goes after it */
  struct analysis *analysis;        /* it is a call of the task's analyzer (analysis.h), owned; NULL = it runs the task */
  bool given;                       /* a context was given to it with its submit or run; else only its second attempt has one */
  /* worker's: */
  bool recalled;                    /* `left` was looked for */
  struct attempt_left *left;        /* malloc'ed; NULL = nothing, or handed on */
  uint32_t tries;                   /* starts that found its program being written */
  /* result: */
  enum attempt_end end;
  bool asked;                       /* our TERM, KILL or stop came first: it may have ended because it was asked to */
  bool remove;                      /* OK, FAIL, FATAL: the rows of a task that is final by it go with the same commit */
  int64_t after_us;                 /* NOT_NOW: how long to wait; 0 = it did not say */
  enum attempt_log log;
  char *error;                      /* malloc'ed or NULL */
  char *result; size_t result_len;  /* malloc'ed bytes or NULL; at most LIMIT_RESULT_BYTES */
  int32_t exit_code;                /* -1 = none */
  int32_t signal;                   /* 0 = none */
  int32_t status;                   /* HTTP status of the answer of a URL; 0 = none was asked, -1 = none answered */
  int64_t utime_us, stime_us, maxrss_kib; /* 0 when unknown */
  struct backlog *backlog; size_t backlog_bytes;   /* where its result is counted; NULL = nowhere */
  int64_t log_bytes, log_lost;
  enum log_lost log_lost_why;
  int64_t run_us;                   /* how long its process lived; 0 = it had none */
  uint64_t skip_edges;              /* OK: out-edges of its node that it leaves out (run.h); no executor does so yet */
};

/* It came back and nothing of it has ever begun: its claim is no start of a task. Of one without a process that is not known. */
static inline bool attempt_unpaid(const struct attempt *a) {
  return a->end == ATTEMPT_HANDBACK && a->run_us == 0 && a->policy.slot == SLOT_PROCESS && !a->cleanup;
}

/* Parameters of a flow instance: canonical JSON text, shared. */
struct params { atomic_uint refs; char text[]; };
struct params *params_new(const char *text);
struct params *params_ref(struct params *p);
void params_unref(struct params *p);

void attempt_drop_params(struct attempt *a); /* nobody looks at them any more */
void attempt_weighs(struct attempt *a, struct backlog *b, size_t bytes);   /* in place of what it counted; NULL, 0: nowhere */
void attempt_free(struct attempt *a); /* releases def, params, texts; counts nowhere any more */
#endif
