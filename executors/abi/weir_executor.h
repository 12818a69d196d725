/* weir_executor.h - the executor ABI. C99, installed, versioned, append-only: structs begin with abi and size, new
 * members come at the end. An executor includes this file and nothing else of Weir.
 *
 * Threads: all calls of one executor type come from the worker's event loop thread, one at a time; none may block.
 * Units: microseconds, bytes. Texts are UTF-8, NUL-terminated; blobs carry a length.
 * Life of an attempt: start() -> (timer / spawned notifications) -> host->done() exactly once -> release() exactly once.
 * done() may be called inside start(). After cancel() the executor still calls done(). */
#ifndef WEIR_EXECUTOR_H
#define WEIR_EXECUTOR_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define WX_ABI 1

/* start() calls done() before it returns, asks the host for nothing but task(), touches nothing shared and has no
 * release(): it may then be called on any thread, so that a lone attempt costs no change of threads. */
#define WX_INSTANT 1u
/* It never looks at the parameters: its attempts hold none in memory, however many run at once. */
#define WX_NO_PARAMS 2u
/* It runs programs that its tasks name, as the user that `user` of their taskConfig names: what the administrator says of SHELL
 * (whether it is on, who its tasks may be) holds for it. */
#define WX_PROGRAMS 4u

typedef struct wx_exec wx_exec;      /* one running attempt; the executor may hang its own data on it: wx_host.data */

enum { WX_SLOT_PROCESS = 0, WX_SLOT_ASYNC = 1 };            /* what a running attempt occupies */
enum { WX_OK = 0, WX_FAIL = 1, WX_FATAL = 2, WX_LOST = 3 }; /* LOST: it never ran, or nobody knows: class INFRA */
enum { WX_STDOUT = 1, WX_STDERR = 2, WX_SYSTEM = 3 };       /* log streams */
enum { WX_CANCEL_ASK = 0, WX_CANCEL_FORCE = 1 };            /* TERM, KILL */

typedef struct wx_task {             /* borrowed until release() */
  uint32_t size;
  const char *content;               /* NULL = absent */
  const char *config;                /* JSON object text, NULL = absent */
  const char *params;                /* JSON object text, NULL = none: data, never program text */
  const char *run_key, *fence;       /* WEIR_RUN_KEY, WEIR_FENCE */
  uint32_t attempt;                  /* WEIR_ATTEMPT */
} wx_task;

typedef struct wx_result {
  uint32_t size;
  int end;                           /* WX_OK .. WX_LOST */
  const char *error;                 /* NULL = none */
  const char *result; size_t result_len;   /* NULL = none */
  int log_is_result;                 /* the whole log equals the result: it is kept once */
  int exit_code, signal;             /* -1 / 0 = none */
  int64_t utime_us, stime_us, maxrss_kib;
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
  int umask;                         /* -1 = that with which the server was started */
} wx_spawn;

typedef struct wx_exit {             /* how the child ended; its whole process tree is dead, its output is logged */
  uint32_t size;
  int failed_step;                   /* 0 = it ran; else start failed: the error text says at what */
  const char *error;
  int exit_code, signal;
  int64_t utime_us, stime_us, maxrss_kib;
  const char *output; size_t output_len;  /* what it wrote to WEIR_OUTPUT, NULL = nothing */
  int output_error;                  /* 1 = larger than the limit, 2 = not a regular file of its own */
} wx_exit;

typedef struct wx_host {             /* what the worker offers; valid during every call */
  uint32_t abi, size;
  int64_t (*now_us)(wx_exec *);                                   /* monotonic */
  void **(*data)(wx_exec *);                                      /* the executor's own pointer, NULL at first */
  const wx_task *(*task)(wx_exec *);
  void (*log)(wx_exec *, int stream, const void *p, size_t n);
  void (*timer)(wx_exec *, int64_t at_us);                        /* one per attempt; monotonic; 0 = stop it */
  int  (*spawn)(wx_exec *, const wx_spawn *, char *err, size_t err_n);  /* 0, or -1 with a text; then child_done comes */
  void (*kill)(wx_exec *, int how);                               /* of the spawned child: the ladder from `how` on */
  void (*done)(wx_exec *, const wx_result *);                     /* copies what it needs */
  /* Each parameter by name and text: a text as it is, all else as JSON, as the API shows it. Both borrowed during fn(). */
  void (*params)(wx_exec *, void (*fn)(void *ctx, const char *name, const char *text), void *ctx);
} wx_host;

typedef struct wx_ops {
  uint32_t abi, size;
  const char *name;                  /* task type: "ECHO" */
  int slot;                          /* WX_SLOT_* */
  /* At save time, any thread, pure: 0, or -1 with one sentence. code (of errors.def) may be set, else OUT_OF_RANGE. */
  int  (*check)(const char *content, const char *config, int *code, char *err, size_t err_n);
  int  (*start)(const wx_host *, wx_exec *, char *err, size_t err_n);  /* 0; or -1: it never ran, fatal */
  void (*timer)(const wx_host *, wx_exec *);
  void (*child_done)(const wx_host *, wx_exec *, const wx_exit *);
  void (*cancel)(const wx_host *, wx_exec *, int how);
  void (*release)(const wx_host *, wx_exec *);
  uint32_t flags;                    /* WX_INSTANT, WX_NO_PARAMS, WX_PROGRAMS */
  int64_t version;                   /* of the executor; 0 = 1. Two of one name differ in it, and the highest is the newest */
} wx_ops;

/* The single symbol a plugin exports. */
const wx_ops *weir_executor(void);

#ifdef __cplusplus
}
#endif
#endif
