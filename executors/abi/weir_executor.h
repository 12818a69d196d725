/* weir_executor.h - the executor ABI. C99, installed, versioned, append-only: structs begin with abi and size, new
 * members come at the end. An executor includes this file and nothing else of Weir; the host gives it tables of calls (wx_lib,
 * wx_host) for what it needs of JSON, of texts and of the worker. It is linked against nothing.
 *
 * Sizes: each side says how large its struct is, and the other side reads no further. A member that one side does not know counts
 * as 0 for the other. An executor that was made with a later header than its host asks `size` of a table before it calls a late
 * member.
 *
 * Threads: all calls of one executor type come from the worker's event loop thread, one at a time; none may block.
 * Units: microseconds, bytes. Texts are UTF-8, NUL-terminated; blobs carry a length.
 * Life of an attempt: start() -> (timer / spawned notifications) -> host->done() exactly once -> release() exactly once.
 * done() may be called inside start(). After cancel() the executor still calls done(). */
#ifndef WEIR_EXECUTOR_H
#define WEIR_EXECUTOR_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#ifdef __cplusplus
extern "C" {
#endif

#define WX_ABI 1

/* start() calls done() before it returns, asks the host for nothing but task(), touches nothing shared and has no
 * release(): it may then be called on any thread, so that a lone attempt costs no change of threads. */
#define WX_INSTANT 1u
/* It never looks at the parameters, so its attempts hold none in memory, however many run at once. */
#define WX_NO_PARAMS 2u
/* It runs programs that its tasks name, as the user that `user` of their taskConfig names: the administrator's settings for SHELL
 * (whether it is on, which users its tasks may be) hold for it too. */
#define WX_PROGRAMS 4u
/* It may note a context, and wants the last one at its start: wx_task.context. */
#define WX_CONTEXT 8u
/* It has a routine that cleans up behind a task that is deleted: the deletion starts an attempt with wx_task.cleanup. */
#define WX_CLEANS_UP 16u
/* The same for those of its tasks whose taskConfig has onDelete, which the executor reads, but for its `timeout`. */
#define WX_ON_DELETE 32u
/* What it began elsewhere may go on between two attempts: a task that ends there starts it with wx_task.cleanup 2. Built in. */
#define WX_PARTS 64u

typedef struct wx_exec wx_exec;      /* one running attempt; the executor may attach its own data: wx_host.data */

enum { WX_SLOT_PROCESS = 0, WX_SLOT_ASYNC = 1 };            /* what a running attempt occupies */
/* LOST: it never ran, or nobody knows whether it did: class INFRA. NOT_NOW: it wants to be tried again later, no failure.
 * NEVER: it has surely not begun, and goes back to the queue; nothing is counted */
enum { WX_OK = 0, WX_FAIL = 1, WX_FATAL = 2, WX_LOST = 3, WX_NOT_NOW = 4, WX_NEVER = 5 };
enum { WX_STDOUT = 1, WX_STDERR = 2, WX_SYSTEM = 3 };       /* log streams */
/* What a note is about. PROGRESS: a JSON object of total, done, unit, message, those that changed. CONTEXT: UTF-8 without NUL;
 * the last one is stored before the end of the attempt. RESULT: it counts when done() brings none. */
enum { WX_NOTE_LOG = 0, WX_NOTE_PROGRESS = 1, WX_NOTE_CONTEXT = 2, WX_NOTE_RESULT = 3 };
enum { WX_CANCEL_ASK = 0, WX_CANCEL_FORCE = 1 };            /* TERM, KILL */
enum { WX_KEPT = 0, WX_KEPT_NOT = 1, WX_KEPT_FENCED = 2 };  /* noted(): FENCED: another attempt of the task is at work */
/* Why an attempt is to stop. FENCED: it is not this node's any more, and nothing of it counts. */
enum { WX_STOP_NONE = 0, WX_STOP_PAUSE = 1, WX_STOP_CANCEL = 2, WX_STOP_DELETE = 3, WX_STOP_SHUTDOWN = 4, WX_STOP_TIMEOUT = 5,
       WX_STOP_FENCED = 6 };
/* What a program reported about its end (wx_exit.said): it failed; it failed for good; it wants to be tried later. */
enum { WX_SAID_NOTHING = 0, WX_SAID_FAIL = 1, WX_SAID_FATAL = 2, WX_SAID_AGAIN = 3 };

typedef struct wx_task {             /* borrowed until release() */
  uint32_t size;
  const char *content;               /* NULL = absent */
  const char *config;                /* JSON object text, NULL = absent */
  const char *params;                /* JSON object text, NULL = none: data, never program text */
  const char *run_key, *fence;       /* WEIR_RUN_KEY, WEIR_FENCE */
  uint32_t attempt;                  /* WEIR_ATTEMPT */
  /* WX_CONTEXT: what an earlier attempt or the submit left for it; NULL = nothing. Only in start() */
  const char *context; size_t context_len;
  int64_t id;                        /* of the task instance */
  int cleanup;                       /* 1 = it is deleted: clean up behind it. 2, WX_PARTS: it has ended; tell what goes on */
  uint32_t failed;                   /* tries of this run that have failed or timed out; what was lost does not count */
  uint32_t before;                   /* attempts up to this number are those of its earlier runs */
  uint32_t first_try;                /* first_try + failed: a number of this try that no earlier run has used */
  int context_own;                   /* 1 = an attempt of this run left the context; else it is from outside, or a run before */
} wx_task;

typedef struct wx_result {
  uint32_t size;
  int end;                           /* WX_OK .. WX_NEVER */
  const char *error;                 /* NULL = none */
  const char *result; size_t result_len;   /* NULL = none */
  int log_is_result;                 /* the whole log equals the result: it is kept once */
  int exit_code, signal;             /* -1 / 0 = none */
  int64_t utime_us, stime_us, maxrss_kib;
  int64_t after_us;                  /* NOT_NOW: how long to wait; 0 = the task's own backoff */
  int decided;                       /* OK, FAIL, FATAL: 1 = that is how it ended, though it had been told to stop */
  /* OK, FAIL, FATAL: 1 = a stand-alone task that is final by it is gone with the same commit */
  int remove;
  /* What a URL answered: its HTTP status. 0 = none was asked. -1 = none answered, so there is no end that an analyzer looks at */
  int status;
} wx_result;

typedef struct wx_spawn {            /* what a child process gets; all borrowed during the call */
  uint32_t size;
  const char *const *argv;           /* NULL-terminated; argv[0] is looked up in PATH of env when it has no '/' */
  const char *const *env;            /* NULL-terminated "K=V": the whole environment; WEIR_* are added by the host */
  const char *cwd;                   /* NULL = the worker's default */
  const char *stdin_data; size_t stdin_len;  /* NULL = /dev/null */
  const char *user;                  /* run-as, NULL = the worker's default */
  int64_t grace_us;                  /* TERM to KILL; < 0 = default 10 s */
  int64_t log_cap;                   /* bytes kept; 0 = none, < 0 = default */
  struct { int resource; uint64_t soft, hard; } rlimit[16]; uint32_t n_rlimit;   /* RLIMIT_* numbers */
  int apart;                         /* its stderr is a stream of its own; 0 = both go into one, so their order is kept */
  int umask;                         /* -1 = the one that the server was started with */
  /* A file (0400, of the run-as user, gone at the end) whose path comes as one more argument behind argv. NULL = none. At most as
   * many bytes as a content: one argument of a program holds no more than 128 KiB */
  const char *script; size_t script_len;
  /* 1 + a descriptor of the file that is executed, whatever argv[0] names; the host takes it, also when spawn() fails. 0 = none.
   * Not together with a script */
  int program;
} wx_spawn;

typedef struct wx_exit {             /* how the child ended; its whole process tree is dead, its output is logged */
  uint32_t size;
  int failed_step;                   /* 0 = it ran; else the start failed: the error text says where */
  const char *error;
  int exit_code, signal;
  int64_t utime_us, stime_us, maxrss_kib;
  const char *output; size_t output_len;  /* what it wrote to WEIR_OUTPUT, NULL = nothing */
  int output_error;                  /* 1 = larger than the limit, 2 = not a regular file of its own */
  int said;                          /* WX_SAID_*; the last one counts. output is the reported result where there is one */
  const char *said_text;             /* FAIL, FATAL: its message, NULL = none */
  int64_t after_us;                  /* AGAIN: < 0 = it did not say */
} wx_exit;

typedef struct wx_json wx_json;      /* a JSON value; a part of a result of json_read(), and gone with it */
enum { WX_JSON_NULL, WX_JSON_BOOL, WX_JSON_INTEGER, WX_JSON_REAL, WX_JSON_TEXT, WX_JSON_ARRAY, WX_JSON_OBJECT };
enum { WX_JSON_BROKEN = 1, WX_JSON_NUL = 2 };  /* why a text cannot be read; NUL: a string in it contains one */
enum { WX_QUOTE_BYTES = 272, WX_KNOWN_BYTES = 180, WX_KNOWN_MAX = 48 };

typedef struct wx_lib {              /* what the host knows of JSON and texts: pure, any thread */
  uint32_t abi, size;
  uint32_t content_bytes, result_bytes;                           /* the most that a content and a result can have */
  /* A text without a key that appears twice; NULL = *why. json_free() takes what json_read() gave, or NULL. */
  wx_json *(*json_read)(const char *text, int *why);
  void (*json_free)(wx_json *);
  int (*json_type)(const wx_json *);
  size_t (*json_count)(const wx_json *);                          /* of an array or object; else 0 */
  wx_json *(*json_at)(const wx_json *array, size_t i);            /* NULL = it has none there */
  wx_json *(*json_get)(const wx_json *object, const char *key);   /* NULL = it has none */
  /* The members in their order: at NULL = the first one; returns the place of the member it gave, NULL = there is none. */
  void *(*json_next)(wx_json *object, void *at, const char **key, wx_json **value);
  const char *(*json_text)(const wx_json *, size_t *n);           /* NULL = it is no text. n may be NULL */
  int64_t (*json_integer)(const wx_json *);                       /* 0 = it is none */
  double (*json_number)(const wx_json *);                         /* integer or real; 0 = it is neither */
  /* "2", "0.5", "500ms", "2s", "5m", "1h", "1d", from 0 to max_us: 1, else 0. */
  int (*duration)(const char *s, size_t n, int64_t max_us, int64_t *us);
  int (*has_control)(const char *s, size_t n);                    /* control characters and their like: 1 */
  int (*is_env_name)(const char *s, size_t n);                    /* [A-Za-z_][A-Za-z0-9_]*, at most 128: 1 */
  /* For a sentence: the first bytes of s in quotes, its quotes and control characters escaped. Returns out. */
  const char *(*quote)(char out[WX_QUOTE_BYTES], const char *s, size_t n);
  /* Which of the known names was meant by key; NULL = none comes near. n is WX_KNOWN_MAX at most. */
  const char *(*meant)(const char *key, const char *const *known, size_t n);
  /* For the case that none comes near: " Known here: a, b." or "". Returns out. */
  const char *(*known)(char out[WX_KNOWN_BYTES], const char *key, const char *const *known, size_t n);
  /* The check of a type without a taskConfig of its own: 0 for NULL and {}; else -1 with code and sentence. */
  int (*no_config)(const char *config, int *code, char *err, size_t err_n);
  int (*resource)(const char *name);                              /* "cpu", "nofile", .. for wx_spawn; -1 = there is none */
  const char *(*signal_name)(int sig);                            /* "KILL"; NULL = it has none */
} wx_lib;

typedef struct wx_host {             /* what the worker offers; valid during every call */
  uint32_t abi, size;
  int64_t (*now_us)(wx_exec *);                                   /* monotonic */
  void **(*data)(wx_exec *);                                      /* the executor's own pointer, NULL at first */
  const wx_task *(*task)(wx_exec *);
  void (*log)(wx_exec *, int stream, const void *p, size_t n);    /* as note() with WX_NOTE_LOG */
  void (*timer)(wx_exec *, int64_t at_us);                        /* one per attempt; monotonic; 0 = stop it */
  int  (*spawn)(wx_exec *, const wx_spawn *, char *err, size_t err_n);  /* 0, or -1 with a text; then child_done comes */
  void (*kill)(wx_exec *, int how);                               /* of the spawned child: the ladder from `how` on */
  void (*done)(wx_exec *, const wx_result *);                     /* copies what it needs */
  /* Each parameter by name and text: a text as it is, all else as JSON, as the API shows it. Both borrowed during fn(). */
  void (*params)(wx_exec *, void (*fn)(void *ctx, const char *name, const char *text), void *ctx);
  const wx_lib *lib;                                              /* in start() of an instant type too */
  /* A note of the running attempt: bytes, copied. stream: of a log; else 0. Returns 0; -1: not taken, because the attempt has
   * ended, kind or stream is none of the above, or the note is larger than its kind allows. */
  int  (*note)(wx_exec *, int kind, int stream, const void *p, size_t n);
  int  (*stop_reason)(wx_exec *);                                 /* WX_STOP_*: NONE until cancel() is called */
  const char *(*tools)(wx_exec *);                                /* the folder of `weir`, for PATH; NULL = not known */
  void *(*user)(wx_exec *);                                       /* wx_ops.user */
  /* The one call that any thread may make, from start() until done(): woken() follows on the loop's thread,
      once for many calls. */
  void (*wake)(wx_exec *);
  /* 1: the log is behind, because its store is slow or away. What is logged all the same is kept while there is memory for it; so
   * keep it back, and let those wait who bring more. woken() follows when there is room. */
  int  (*log_behind)(wx_exec *);
} wx_host;

typedef struct wx_ops {
  uint32_t abi, size;
  const char *name;                  /* task type: "ECHO" */
  int slot;                          /* WX_SLOT_* */
  /* At save time, any thread, pure: 0, or -1 with one sentence. code (WX_BAD_TYPE and its like) may be set, else
   * WX_OUT_OF_RANGE. Not called where there is a check_with(). */
  int  (*check)(const char *content, const char *config, int *code, char *err, size_t err_n);
  int  (*start)(const wx_host *, wx_exec *, char *err, size_t err_n);  /* 0; or -1: it never ran, fatal */
  void (*timer)(const wx_host *, wx_exec *);
  void (*child_done)(const wx_host *, wx_exec *, const wx_exit *);
  void (*cancel)(const wx_host *, wx_exec *, int how);
  void (*release)(const wx_host *, wx_exec *);
  uint32_t flags;                    /* WX_INSTANT, WX_NO_PARAMS, WX_PROGRAMS, WX_CONTEXT */
  int64_t version;                   /* of the executor; 0 = 1. Executors of one name differ in it; the highest is the newest */
  /* As check(), with the host's help. */
  int  (*check_with)(const wx_lib *, const char *content, const char *config, int *code, char *err, size_t err_n);
  void *user;                        /* the executor's own, for wx_host.user() */
  void (*woken)(const wx_host *, wx_exec *);   /* after wake(); after log_behind(), when there is room */
  /* The first `count` contexts that it noted are decided: the newest of them is stored, or refused (WX_KEPT_*). Not called after
   * done(). */
  void (*noted)(const wx_host *, wx_exec *, uint32_t count, int answer);
  /* As check_with(), with `user`, and in place of it: for a check that asks what its node allows. Any thread. */
  int  (*check_own)(const wx_lib *, void *user, const char *content, const char *config, int *code, char *err, size_t err_n);
  /* After cancel(): stop_reason() is another one now (a task that was paused is deleted before it has stopped). NULL: it does not
   * matter. */
  void (*stop_moved)(const wx_host *, wx_exec *);
} wx_ops;

/* Why a task is refused: codes of the API. */
enum { WX_BAD_TYPE = 42201, WX_UNKNOWN_FIELD = 42202, WX_OUT_OF_RANGE = 42221, WX_BAD_COMMAND = 42222, WX_URL_BLOCKED = 42223 };

/* For a check that says no: where that goes, borrowed from the caller of check() or start(); code may be NULL. wx_refuse()
 * returns -1, for `return wx_refuse(..)`. It is the executor's own code: no call of the host. */
struct wx_refusal { int *code; char *err; size_t err_n; };
#ifdef __GNUC__
__attribute__((format(printf, 3, 4)))
#endif
static inline int wx_refuse(const struct wx_refusal *r, int code, const char *fmt, ...) {
  va_list ap;
  if (r->code) *r->code = code;
  va_start(ap, fmt);
  vsnprintf(r->err, r->err_n, fmt, ap);
  va_end(ap);
  return -1;
}

/* The single symbol a plugin exports. A file that ends with
 *     WX_EXECUTOR(name) { return &ops; }
 * is a plugin when it is compiled alone. It can also be built into Weir, where each executor has a symbol of its own. */
#ifdef WX_BUILTIN
#define WX_EXECUTOR(name) const wx_ops *weir_executor_##name(void); const wx_ops *weir_executor_##name(void)
#elif defined(__GNUC__)
#define WX_EXECUTOR(name) __attribute__((visibility("default"))) const wx_ops *weir_executor(void)
#else
#define WX_EXECUTOR(name) const wx_ops *weir_executor(void)
#endif
const wx_ops *weir_executor(void);

#ifdef __cplusplus
}
#endif
#endif
