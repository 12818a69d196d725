/* Result analyzers: what a task says about them, what one call needs, and what it answers.
 *
 * The analyzer of a task looks at the result of an attempt that ended by itself, after that result was stored, and says what the
 * task is: done, failed, to be tried again, and which tasks it adds. A call of it is an attempt of its own (attempt.h:
 * `analysis`), which goes from the runner to a worker and back like any other.
 *
 * Pure; any thread; what is made here never changes, but for a struct analysis, which its attempt's owner has.
 * What never happens: a verdict that was not right to its last task; a task of a type that the definition did not allow; a task
 * that chooses whose it is. */
#ifndef MODEL_ANALYSIS_H
#define MODEL_ANALYSIS_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "added.h"
#include "async.h"
#include "err.h"

struct attempt;

/* ---- what a definition says ---- */

enum analyzer_kind { ANALYZER_NAMED, ANALYZER_EXIT_CODE, ANALYZER_POINTER, ANALYZER_REGEX, ANALYZER_SUBTASKS };
enum { ANALYZER_OK_CODES = 256 };
struct analyzer {
  enum analyzer_kind kind;
  char *name;                       /* NAMED: its analyzerType */
  char *text;                       /* POINTER, SUBTASKS: the pointer; REGEX: the pattern */
  json_t *equals;                   /* POINTER; NULL = any value that is there */
  bool on_log;                      /* REGEX */
  uint8_t ok[ANALYZER_OK_CODES / 8];/* EXIT_CODE: a bit for each code that is fine */
  char *task_types;                 /* SUBTASKS: "A\nB\n"; NULL = not given */
};
/* The value of taskConfig.analyzer: a name, or an object of a built-in one. The name's form alone is checked; whether it is
 * registered is asked of struct def_env. NULL: no analyzer. Release with analyzer_free(); NULL is fine. */
struct jpath;
enum wr_rc analyzer_read(const json_t *v, const struct jpath *at, struct analyzer **out, struct wr_err *err) WR_MUST;
void analyzer_free(struct analyzer *a);
/* The analyzer of a task: its own, else that of its executor (a version of a registered type). NULL = its results are not
 * analysed. executor: what runs it (task_def.executor); NULL is fine. */
static inline const struct analyzer *analyzer_of(const struct task_def *def, const struct executor *executor) {
  if (def->analyzer || !executor || !executor->added) return def->analyzer;
  return executor->added->analyzer;
}
/* Does a member with these roles call analyzers? One of `worker` alone does not. */
static inline bool analysis_roles(bool api, bool runner) { return api || runner; }

/* ---- what it may add ---- */

/* Of one analysis. Everything is borrowed. */
struct analysis_rule {
  const char *parent_type;          /* the only type that may be added, when task_types is NULL; SHELL never in this way */
  const char *task_types;           /* "A\nB\n" */
  const char *run_as;               /* taskConfig.user of the parent: sub-tasks run as that user; NULL = it says none */
};

/* ---- the verdict ---- */

enum verdict_kind { VERDICT_NONE, VERDICT_DONE, VERDICT_FAILED, VERDICT_RETRY };   /* numbers may be stored */
const char *verdict_name(enum verdict_kind k);   /* "done"; "" for NONE */
struct verdict {
  enum verdict_kind kind;
  char *message;                    /* at most LIMIT_ERROR_BYTES; NULL = none */
  bool has_after; int64_t after_us; /* RETRY: in place of the task's back-off */
  char *result; size_t result_len;  /* takes the place of the stored result; NULL = that stays */
  /* DONE: what it adds, each as a submit of POST /exec/task. def is never NULL; spec->hash is set where there is a key; no queue
   * has a user or a group. ifExists says nothing here: the first wins. */
  struct async_post *task; uint32_t n_task;
  bool no_wait;                     /* "wait": false */
};
void verdict_done(struct verdict *v);
/* Takes task i: moves it to *out. */
void verdict_take(struct verdict *v, uint32_t i, struct async_post *out);

/* The text of an answer. WR_OK: *out is the verdict. Else *out is empty and err->msg is a sentence about what is wrong;
 * nothing of it counts. BUSY: there is not the memory, or the store is away: try again.
 * Refused: more than LIMIT_ANALYSIS_BYTES, _VALUES, _TASKS; a field that is not known; tasks beside a verdict that is not
 * `done`; a type that the rule does not allow; user, group, jobId and whatever POST /exec/task does not take. */
enum wr_rc analysis_answer_parse(const char *text, size_t n, const struct analysis_rule *rule, const struct def_env *env,
                                 struct verdict *out, struct wr_err *err) WR_MUST;

/* ---- one call ---- */

/* What was stored of the attempt that is looked at. The worker reads it (worker.h: worker_keeps.evidence), so that no result goes
 * through the runner a second time. Owned by its analysis. */
struct evidence {
  int32_t exit_code;                /* -1 = it had none */
  int32_t status;                   /* HTTP status of the answer of a URL, 0 = it asked none */
  int32_t signal;
  bool failed;                      /* it ended otherwise than with success */
  char *result; size_t result_len;  /* NULL = none */
  char *log_tail; size_t log_len;   /* LIMIT_LOG_TAIL_BYTES at most, from the beginning of a character on; NULL = nothing */
};

void evidence_done(struct evidence *e);

/* What makes an attempt an analysis: attempt.analysis, made by the runner with analysis_new(), freed with the attempt.
 *
 * The attempt itself: ti, fi, ni, task, owner, def, params, key, task_key, job, executor as in the attempt that is looked at;
 * epoch = that of this claim; `failed` and `before` as in the attempt that is looked at. timeout_us, heartbeat_us and cleanup are
 * not read: the limit is def->analyzer_timeout_us, and it runs from the moment at which the evidence is there.
 *
 * How it comes back (attempt.end):
 *   ATTEMPT_OK        answered: `verdict`
 *   ATTEMPT_FAIL      the call failed (no answer, one that is refused, a time-out, an exit code): to be tried again while calls
 *                     are left; `error` is a sentence that begins with "Analyzer"
 *   ATTEMPT_FATAL     no more calls: exit 125, an answered 4xx but 408 425 429, a built-in one that cannot read its result
 *   ATTEMPT_HANDBACK  given up: it was told to stop, or the member stops or cannot make this call (a program that it has not, or
 *                     may not start). No call is counted
 *   ATTEMPT_LOST      as ever: the member is fenced or dead. No call is counted
 * `error`, `result`, `exit_code`, `log` of the attempt: error alone is set. */
struct analysis {
  const struct analyzer *analyzer;  /* analyzer_of(); the attempt's definition, or its executor, keeps it alive; NULL: gone */
  uint32_t attempt;                 /* epoch of the attempt that is looked at: its log, its fence, `attempt` of the request */
  bool failed;                      /* that attempt failed: class FAIL, whatever its exit code */
  char *user;                       /* of its queue: users take turns; malloc'ed, NULL = "" */
  struct evidence evidence;         /* the worker's */
  struct verdict verdict;           /* out, with ATTEMPT_OK */
  bool final;                       /* out, with ATTEMPT_OK: it failed by an answer that is not asked for again (4xx): a verdict
                                       `failed` leaves it so */
};
struct analysis *analysis_new(const struct analyzer *analyzer, uint32_t attempt, bool failed);
void analysis_free(struct analysis *a);   /* attempt_free() calls it; NULL is fine */

/* ---- built-in analyzers: pure ---- */

/* OK: *out is the verdict. OUT_OF_RANGE: it cannot be analysed, ever, with a sentence; BUSY: try again. rule, env: of SUBTASKS.
 * Not on the runner's thread and not on a loop's: a pattern may take two seconds. */
enum wr_rc analysis_built_in(const struct analyzer *a, const struct evidence *e, const struct analysis_rule *rule,
                             const struct def_env *env, struct verdict *out, struct wr_err *err) WR_MUST;
#endif
