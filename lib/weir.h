/* weir.h - Weir as a library: async tasks whose routines are C functions of this process.
 *
 * Several processes that open the same MariaDB form one system: all are equal, any of them runs any task whose type it has
 * registered. A SQLite file belongs to one process. Each call names the requirement that it comes from: S4 = a library of
 * decentralized async tasks, S1 = background tasks of a web disk, S0 = a task that a web page starts; own = none of these.
 *
 * Threads: a handle serves all threads; each call may be made from any thread, also from inside a routine, unless it says
 * otherwise. After fork() the child may call nothing. The library sets no signal handler, and its threads take no signals.
 *
 * Ownership: given texts are borrowed for the call; what a pointer to a pointer hands out is freed by the call named with it.
 *
 * Units: *_ms milliseconds, *_us microseconds since 1970 (UTC), *_len and n bytes or elements. Texts are UTF-8, ended by a NUL.
 *
 * Errors: calls that return int give WEIR_OK (0) or a WEIR_ERR_*; weir_error() has the sentence, weir_error_code() the five
 * digits that the HTTP API answers. A call that fails has changed nothing, but for WEIR_ERR_OUTCOME_UNKNOWN: then nobody knows.
 * Each call ends within `request-timeout` (10 s), but for those that are given a time of their own. Memory that runs out ends
 * the process, as a NULL of malloc() that nobody looks at would.
 *
 * Sizes: a struct begins with its size, sizeof of the caller's. A member that the caller's header does not have counts as not
 * set; one that the library does not know must be 0 (else WEIR_ERR_INVALID). Structs grow at their end only.
 *
 * C99, C++. Link with `pkg-config --cflags --libs weir`. */
#ifndef WEIR_H
#define WEIR_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif
typedef struct weir_s weir_t;
typedef struct weir_attempt_s weir_attempt_t;

/* INVALID: what was given cannot be (HTTP: 4xx but for those below). NOT_FOUND: no such task. CONFLICT: its state does not
 * allow that, or the key or type is taken; weir_error_code() says which (40911-40913, 40916-40918). UNKNOWN_TYPE: a
 * second ago no node knew the type yet. UNAVAILABLE: the store is away; nothing was stored. OUTCOME_UNKNOWN: it may have been
 * stored. TIMEOUT: the time that was given is over. UNSUPPORTED: not with this URL, or not yet. REFUSED: not allowed, or
 * (in a routine) asked to stop. FENCED: this attempt is not the task's any more. BUSY: too much is under way; try again. */
enum { WEIR_OK = 0, WEIR_ERR_INVALID = -1, WEIR_ERR_NOT_FOUND = -2, WEIR_ERR_CONFLICT = -3, WEIR_ERR_UNKNOWN_TYPE = -4,
       WEIR_ERR_UNAVAILABLE = -5, WEIR_ERR_OUTCOME_UNKNOWN = -6, WEIR_ERR_TIMEOUT = -7, WEIR_ERR_NO_MEMORY = -8,
       WEIR_ERR_UNSUPPORTED = -9, WEIR_ERR_REFUSED = -10, WEIR_ERR_FENCED = -11, WEIR_ERR_BUSY = -12 };

/* S4's states. PENDING: BLOCKED QUEUED RETRY_WAIT; CANCELING: PAUSING CANCELING DELETING; FAILED: FAILED TIMEOUT CANCELED DEAD
 * DELETE_FAILED. weir_task_t.state_name has Weir's own word. */
enum { WEIR_STATE_INIT, WEIR_STATE_PENDING, WEIR_STATE_RUNNING, WEIR_STATE_CANCELING, WEIR_STATE_PAUSE, WEIR_STATE_FINISHED,
       WEIR_STATE_FAILED };

/* What a routine returns (S4). NORMAL: it stopped because it was asked to; if it was not asked, it wants to be tried again
 * later. FINISHED: it succeeded, also if it was asked to stop. FAILED: it failed; if it was asked to stop, only after a
 * weir_report_error() with retry 0, otherwise it stopped. REMOVE or'ed: the task is gone in the commit of its end. */
enum { WEIR_PHASE_NORMAL, WEIR_PHASE_FINISHED, WEIR_PHASE_FAILED, WEIR_REMOVE = 0x100 };

/* Why a routine is to stop. SHUTDOWN: this process closes; the task goes on elsewhere, or here later, with its last context.
 * FENCED: the task is not this attempt's any more (lost, or deleted by force), or its database was removed: nothing counts. */
enum { WEIR_STOP_NONE, WEIR_STOP_PAUSE, WEIR_STOP_CANCEL, WEIR_STOP_DELETE, WEIR_STOP_SHUTDOWN, WEIR_STOP_TIMEOUT,
      WEIR_STOP_FENCED };

/* A task type (S4: register). name: 1-128 of A-Z a-z 0-9 _ . : and -. run() is called on a thread of the library's pool,
 * several at once; it returns a WEIR_PHASE_*. deleting(): the clean-up before a task of this type is deleted, NULL = none;
 * FINISHED: the task is gone, FAILED: the deletion has failed (DELETE_FAILED). user: given to both. release(user): called once,
 * by weir_close(), when nothing of this type runs any more; not called after a failed registration. concurrency: how many run
 * in this process at once, 0 = as many as `slots`. stack: bytes of a thread's stack (to 1 GiB), 0 = the system's. */
typedef struct {
  size_t size;
  const char *name;
  int (*run)(weir_attempt_t *, void *user);
  int (*deleting)(weir_attempt_t *, void *user);
  void *user;
  void (*release)(void *user);
  int32_t concurrency;
  size_t stack;
} weir_type_t;

/* A task that is to be made (S4: create; S1: submit). type: needed. name: NULL = the type. content, config (a JSON object),
 * params (a JSON object): as taskContent, taskConfig, params of POST /exec/task. context: what the first attempt gets. key: the
 * caller's own unique name: the same key again adds nothing and gives the id of the task that is there. priority: -100..100,
 * higher first. cpu_overhead: one core is 100. attempts: how often it is tried in all, 0 = what config says, else 1. hold 1: it
 * waits in WEIR_STATE_INIT until weir_run() (S4: autoRun=false). delay_ms (up to 365 days) or start_at_us: not earlier. */
typedef struct {
  size_t size;
  const char *type, *name, *content, *config, *params, *context, *key, *user, *group;
  int32_t priority, cpu_overhead, attempts, hold;
  int64_t delay_ms, start_at_us;
} weir_spec_t;

/* A task as it is (S4, S1). Texts that are not there are NULL, but for user, group ("") and state_name; result is any bytes
 * with a NUL behind them. attempt: the number of the newest attempt, 0 = none so far; run_no: 1, 2 .. (weir_run of a final task
 * begins a new one). exit_code -1 = none. total, done -1 = not reported; speed: units a second, 0 = not known. why, why_text:
 * why it does not go on. Times are 0 where there is none. */
typedef struct {
  size_t size;
  int64_t id;
  const char *type, *name, *key, *user, *group, *state_name, *error, *host, *why, *why_text, *context, *result, *content,
      *params, *unit, *message;
  size_t context_len, result_len;
  int32_t state, attempt, run_no, failures, losses, priority, cpu_overhead, exit_code;
  int64_t total, done;
  double speed;
  int64_t created_us, start_at_us, started_us, ended_us;
} weir_task_t;

/* Which tasks (S4: list). NULL = any. types, states (WEIR_STATE_*): any of n, n 0 = any. limit: at most so many; < 0: all. */
typedef struct {
  size_t size;
  const char *user, *group;
  const char *const *types;
  const int32_t *states;
  size_t n_types, n_states;
  int64_t offset, limit;
} weir_filter_t;

/* The queue of a user and a group (S4, S1); NULL is "". -1: not set. order: 0 fifo, 1 priority. rate: rate_count starts each
 * rate_per_ms. */
typedef struct {
  size_t size;
  const char *user, *group;
  int32_t max_running, weight, paused, rate_count, order;
  int64_t rate_per_ms;
} weir_queue_t;

/* ---- the handle ---- */
/* Opens a system (S4). url: sqlite:PATH, mysql://user[:pw]@host[:port]/db[?socket=PATH] (the schema is made where there is
 * none), or http://host:port, a server: there the same calls submit, steer, look and wait, but weir_register() and weir_start()
 * are UNSUPPORTED. options: "name=value" .., NULL at the end, or NULL: names, values and defaults of `weir server`, but shell is
 * off and log-level warn; reference/library.md lists them. listen=IPV4:PORT: the handle serves the HTTP API too, to who has the
 * token (token=, else DATA/weir.token) or, with dev=on, to all on this machine. plugin=FILE.so, repeatable: its types are
 * registered. *out NULL and a sentence in err on failure: INVALID (an option, the url), UNAVAILABLE (no such database or server
 * now), UNSUPPORTED (run-as=), REFUSED (the database or server is not Weir's, another process has the file, the token is wrong,
 * the address is taken, a plug-in cannot be used). Closed by weir_close(). */
WEIR_API int weir_open(weir_t **out, const char *url, const char *const *options, char *err, size_t err_n);
/* The port that listen= has got (own), as for `listen=127.0.0.1:0`; 0: it does not listen. Until weir_close(). */
WEIR_API int weir_port(weir_t *);
/* Makes a type known here (S4). Before weir_start(): later INVALID. CONFLICT: the name is taken, here or by a built-in type.
 * The whole system knows it for good, other processes within a second (until then: UNKNOWN_TYPE). Its tasks wait for a process
 * that runs it. The struct is copied; what it points to but for name and the functions is the caller's until release(). */
WEIR_API int weir_register(weir_t *, const weir_type_t *);
/* Begins to run tasks in this process (S4). Without it a process submits and looks. Once; again: INVALID. Not from inside a
 * routine. UNAVAILABLE: the store is away; then the handle may be of no more use, but to be closed (weir_error() says so). */
WEIR_API int weir_start(weir_t *);
/* A planned stop (S4, S1): routines are told to stop (WEIR_STOP_SHUTDOWN) and get `stop-timeout` (10 s) for that; their tasks
 * are handed over with their last context, and cost no try. A routine that ignores it cannot be killed: it is given up (its
 * task goes to other nodes, what it reports from then on is refused with FENCED), the log says so, and the answer is TIMEOUT.
 * UNAVAILABLE: the store does not answer; no routine runs any more. A close takes at most 5 s more than stop-timeout.
 * The handle is closed in each case. Not from inside a routine (INVALID), and no other thread may use the handle from then on;
 * those in weir_wait() are answered UNAVAILABLE. It waits for calls under way, unless the store hangs. NULL is fine. */
WEIR_API int weir_close(weir_t *);

/* ---- making tasks ---- */
/* Makes one (S4: create, S1: submit); when it returns WEIR_OK the task is stored. *id may be NULL. CONFLICT 40911: the key is
 * that of a task with other content. UNKNOWN_TYPE. */
WEIR_API int weir_create(weir_t *, const weir_spec_t *, int64_t *id);
/* n tasks (own), 1 to 1,000, all or none, in one commit; ids[i] is that of spec i. ids may be NULL. */
WEIR_API int weir_create_many(weir_t *, const weir_spec_t *const *, size_t n, int64_t *ids);

/* ---- steering them: docs/reference/api.md has the table of states ---- */
/* Runs it now (S4: start, resume, restart): one that is held, delayed, paused, or failed. CONFLICT 40912: it succeeded. */
WEIR_API int weir_run(weir_t *, int64_t id);
/* Pauses it (S4): one that runs is asked to stop and becomes WEIR_STATE_PAUSE when it has. CONFLICT 40913: it has ended. */
WEIR_API int weir_pause(weir_t *, int64_t id);
/* Cancels it (S1, S0): it becomes CANCELED (WEIR_STATE_FAILED) when it has stopped. CONFLICT 40913: it has ended. */
WEIR_API int weir_cancel(weir_t *, int64_t id);
/* Deletes it (S4): stopped first if it runs, cleaned up by its type's deleting(), then gone. A second call changes nothing. */
WEIR_API int weir_delete(weir_t *, int64_t id);
/* Moves it to another group of its user (S4: change group). CONFLICT 40913: it has ended. */
WEIR_API int weir_change_group(weir_t *, int64_t id, const char *group);
/* The same for user, group and priority (own); NULL: keep. */
WEIR_API int weir_change_queue(weir_t *, int64_t id, const char *user, const char *group, const int32_t *priority);

/* ---- looking ---- */
/* One task (S4, S1, S0), with context and result. Freed by weir_task_free(). NOT_FOUND: there is none, or it is deleted. */
WEIR_API int weir_get(weir_t *, int64_t id, weir_task_t **out);
/* Waits until it has ended (own): success, failure, cancel. timeout_ms < 0: for ever. TIMEOUT: *out is the task as it is then.
 * NOT_FOUND: there is none, or it was deleted meanwhile. out may be NULL. Inside a routine it holds that routine's slot:
 * weir_attempt_wait() does not. */
WEIR_API int weir_wait(weir_t *, int64_t id, int64_t timeout_ms, weir_task_t **out);
WEIR_API void weir_task_free(weir_task_t *);   /* own; NULL is fine */
/* Stand-alone tasks that fit (S4, S0: list), newest first; context, result, content, params are NULL, their lengths are there.
 * f NULL: all. *out: an array of *n, freed by weir_list_free(). total (may be NULL): how many fit in all. It may take long. */
WEIR_API int weir_list(weir_t *, const weir_filter_t *, weir_task_t ***out, size_t *n, int64_t *total);
WEIR_API void weir_list_free(weir_task_t **, size_t n);   /* own; NULL is fine */
/* Bytes of a task's log from offset on, at most cap, into buf (S1); *got 0: there are no more so far. attempt: 0 the newest, -1
 * all, one behind the other. NOT_FOUND: no such task or attempt. */
WEIR_API int weir_log_read(weir_t *, int64_t id, int attempt, int64_t offset, char *buf, size_t cap, size_t *got);

/* ---- queues ---- */
/* Sets the queue of exactly that user and group (S4, S1), in place of what was. INVALID: a number out of its range. */
WEIR_API int weir_queue_set(weir_t *, const weir_queue_t *);
WEIR_API int weir_queue_delete(weir_t *, const char *user, const char *group);   /* own; NOT_FOUND: it is not set */

/* ---- errors, version ---- */
WEIR_API const char *weir_strerror(int rc);          /* own: a constant sentence; never NULL */
/* Of this thread's last failed call on the handle (own), NULL = on any (so in a plug-in); "" = none. Until its next call. */
WEIR_API const char *weir_error(weir_t *);
WEIR_API int weir_error_code(weir_t *);              /* own: the same as five digits (40916); 0 = none */
WEIR_API const char *weir_version(void);             /* own */

/* ---- inside a routine: for the attempt that it was given, on its own threads, until it returns ---- */
WEIR_API int64_t weir_attempt_id(weir_attempt_t *);              /* of the task (S4) */
WEIR_API int weir_attempt_number(weir_attempt_t *);              /* own: 1, 2 ..: each attempt of a task has a greater one */
WEIR_API const char *weir_attempt_fence(weir_attempt_t *);       /* own: no other attempt has it; the newest is right */
WEIR_API const char *weir_attempt_params(weir_attempt_t *);      /* JSON text, NULL = none; valid until the end (S1) */
WEIR_API const char *weir_attempt_content(weir_attempt_t *);     /* own; NULL = none; as the next */
WEIR_API const char *weir_attempt_config(weir_attempt_t *);      /* taskConfig, with members of the type's own */
/* The last good context of the task (S4), NULL = none; valid until the end. What this attempt reports does not change it. */
WEIR_API const char *weir_attempt_context(weir_attempt_t *, size_t *len);
WEIR_API int weir_attempt_stopping(weir_attempt_t *);            /* 1: asked to stop (S4). Cheap: ask often */
WEIR_API int weir_attempt_stop_reason(weir_attempt_t *);         /* own: a WEIR_STOP_* */
/* A descriptor for poll() (own), readable once the attempt is asked to stop; never read or close it. -1: none could be made. */
WEIR_API int weir_attempt_stop_fd(weir_attempt_t *);
/* Waits until the tasks have ended or are gone, and gives slot and cost back meanwhile: so a routine may wait for tasks that it
 * made, also with slots=1 (S4: the matrix product). TIMEOUT; REFUSED: asked to stop. timeout_ms < 0: for ever. */
WEIR_API int weir_attempt_wait(weir_attempt_t *, const int64_t *ids, size_t n, int64_t timeout_ms);
/* Stores the context from which the next attempt goes on (S4: checkpoint). UTF-8 without NUL, at most 1 MiB. WEIR_OK: it is
 * stored; FENCED; UNAVAILABLE: the store is away; the last good one stays until it is back, then this one is stored. */
WEIR_API int weir_report_context(weir_attempt_t *, const char *text, size_t len);
/* How far it is (S1). -1 and NULL: as before. The last value wins; it is stored at most once a second, and does not wait. */
WEIR_API int weir_report_progress(weir_attempt_t *, int64_t done, int64_t total, const char *unit, const char *message);
/* The result of the task if it succeeds (S4, S1): any bytes, at most 1 MiB; copied; the last one counts. */
WEIR_API int weir_report_result(weir_attempt_t *, const void *data, size_t len);
/* The sentence of a failure (S4), which counts when the routine returns WEIR_PHASE_FAILED. retry 0: it is not tried again. */
WEIR_API int weir_report_error(weir_attempt_t *, const char *message, int retry);
/* Adds bytes to the attempt's log (S1); copied. WEIR_OK: they are on their way. They are lost only with this process while the
 * store is away, or as part of what the log itself says is left out. Waits while the log is behind, because its store is slow
 * or away. UNAVAILABLE: it was for all of request-timeout. REFUSED: it is, and the attempt is asked to stop: then this call does
 * not wait. FENCED. What is refused is not in the log; of more than 256 KiB at once a first part may be. */
WEIR_API int weir_log(weir_attempt_t *, const char *data, size_t len);

/* ---- a policy of one's own (S4) ---- */
typedef struct {
  size_t size;
  int64_t id;
  const char *user, *group, *type, *name, *key;
  int32_t priority, cpu_overhead, running_user, running_group;
  int64_t queued_us;
} weir_candidate_t;
/* pick(): the index of what starts next here, -1 = none now; of the first 16 of each (user, group) with room, 1,024 at most;
 * limits were checked. The thread that stores everything calls it: it must not block, nor call us. NULL: none any more (S4). */
WEIR_API int weir_set_policy(weir_t *, long (*pick)(const weir_candidate_t *const *, size_t n, void *user), void *user);
/* Where lines of this handle's log go (own), until weir_close() has returned; level: 0 error, 1 warn, 2 info, 3 debug; NULL: to
 * standard error. sink: any thread, one call of a handle at a time; it may not call the library. */
WEIR_API int weir_set_log(weir_t *, void (*sink)(int level, const char *line, void *user), void *user);

#ifdef __cplusplus
}
#endif
#endif
