/* Private to lib: the handle, and what its files know of each other.
 *
 *   handle.c     open, start, close; who may use the node just now
 *   shell.c      what SHELL tasks need in this process, where they are on
 *   options.c    "name=value" into what a node wants;  option.c: the table of the command line
 *   serve.c      the HTTP API in front of the node, with listen=;  plugins.c: shared objects with types, of a server too
 *   failure.c    codes and sentences, by thread;  submit.c: specs into one request to the runner
 *   control.c    wishes about one task; queues
 *   look.c       get, list, log;  shown.c: rows into a weir_task_t; the states of weir.h
 *   remote.c     the same calls on a server, by HTTP; remote_calls.c: bodies and answers
 *   until.c      who waits for ends of tasks
 *   routines.c   the executor behind each registered type: the worker's loop
 *   pool.c       the threads on which routines run;  attempt.c: what a routine may call
 *
 * A handle owns a node, and opens it anew when it begins to run tasks: `life` is held for reading by each call that uses the
 * node, and for writing while the node changes. No thread holds it while it waits for a task; but of a server's URL, where only
 * weir_close() takes it for writing, and ends the waits before. */
#ifndef LIB_INT_H
#define LIB_INT_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "ask_runner.h"
#include "map64.h"
#include "mem.h"
#include "node.h"
#include "offers.h"
#include "option.h"
#include "registry.h"
#include "task.h"
#include "view.h"
#include "weir.h"
#include "weir_executor.h"

struct chooser;
struct log_place;
struct plugin_files;
struct pool;
struct remote;
struct serving;
struct shapes;

/* One registered type; never moves. */
struct lib_type {
  weir_t *h;
  char *name;
  weir_type_t t;
  uint32_t running;                 /* pool's: routines of this type that run */
};

/* Those who wait for ends; until.c. */
struct until {
  pthread_mutex_t mu;               /* leaf; guards the map and all that hangs on it */
  pthread_cond_t none;              /* nobody is in any more */
  struct map64 map;                 /* ti -> struct until_link, the first of those who wait for it */
  atomic_uint n;                    /* who are in */
  bool ending;
};

struct weir_s {
  struct log_place *log;            /* NULL: the process's, of a server's plug-ins */
  struct opt_value given[OPT__N];   /* the options, by name; their texts are borrowed by opts and the API */
  struct arena names;               /* of queues */
  char *store, *data;
  bool own_data;                    /* data was named */
  /* shell.c: the spawner's program; the folder of `weir`; why it cannot be used; a directory that goes with the handle */
  char *helper, *tools, *no_shell, *room;
  struct serving *serving;          /* serve.c; NULL: no listen= */
  struct plugin_files *plugins;     /* NULL: none */
  struct remote *remote;            /* the URL is that of a server; then there is no node */
  struct node_opts opts;
  struct watcher watcher; const struct watcher *also;   /* until_watcher(); whom it tells too, NULL = nobody */
  pthread_rwlock_t life;
  struct node *node;                /* NULL: being changed, or closed */
  struct node *hung;                /* under life: a node that was closed, but has not come back from its store, and uses this */
  bool stuck;                       /* the handle stays until the process ends; with `hung`: until that has come back */
  struct offers offers;
  struct view view;
  atomic_bool ending, gone, broken;   /* broken: a start has left no node behind */
  pthread_mutex_t registering;      /* held over I/O, before `life`: one type at a time */
  struct lib_type **type; size_t n_type, cap_type;   /* change under `registering`, before the start */
  pthread_mutex_t mu;               /* guards these two; leaf */
  bool started, closing;
  struct until until;
  struct pool *pool;                /* NULL before weir_start() */
  struct shapes *shapes;            /* submit.c; come and go with the node */
  struct chooser *chooser;
  void (*free)(weir_t *);           /* how the last routine that was given up frees the handle */
};

/* ---- failure.c ---- */
/* Notes what went wrong on this thread and returns the WEIR_ERR_* of it. h NULL: nothing is noted. */
int failed(const weir_t *h, const struct wr_err *err);
int fail(const weir_t *h, int rc, enum wr_rc code, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool bad_text(const weir_t *h, const char *name, const char *text);   /* true: it is no UTF-8, and that is noted; NULL is fine */
int rc_of(enum wr_rc code);
void handle_begins(const weir_t *h), handle_ends(const weir_t *h);   /* before anything of it fails; before its memory goes */
int no_task(const weir_t *h, int64_t id);     /* numbers of tasks begin at 1 */
/* Copies a struct of the caller's, called `what`, into one of ours, in which members that the caller does not know stay as they
 * are. An error: there is none, or it has members that this library does not know, and that are not 0. */
enum wr_rc sized_copy(void *to, size_t n, const void *from, const char *what, struct wr_err *err) WR_MUST;
#define SIZED(to, from, what, err) sized_copy(&(to), sizeof(to), (from), (what), (err))

/* ---- options.c ---- */
enum wr_rc options_read(weir_t *h, const char *url, const char *const *options, struct wr_err *err) WR_MUST;
void options_done(weir_t *h);

/* ---- serve.c: each does nothing where there is no listen= ---- */
bool serves(const weir_t *h);
enum wr_rc serve_prepare(weir_t *h, struct wr_err *err) WR_MUST;   /* before the node; REFUSED: the address, the token */
enum wr_rc serve_begin(weir_t *h, struct wr_err *err) WR_MUST;     /* the node is there */
/* Around a change of the node: from the first to the second nobody uses it by HTTP. The caller has `life` for writing. */
void serve_hold(weir_t *h);
void serve_go_on(weir_t *h);
void serve_gone(weir_t *h);         /* the store was removed: all is refused from now on; any thread, never waits */
void serve_drain(weir_t *h);        /* changes are refused from now on, waits end; before node_drain() */
void serve_end(weir_t *h);          /* no request comes any more: at most 4 s; after it, the node may go */
void serve_free(weir_t *h);         /* the node is gone */

/* ---- shell.c ---- */
/* The spawner of a node that is about to run tasks; NULL where SHELL is off, or its program cannot be used (the tasks say so). */
enum wr_rc shell_begin(weir_t *h, struct spawner **out, struct wr_err *err) WR_MUST;
void shell_end(weir_t *h);          /* the node is gone */

/* ---- use.c ---- */
void use_init(weir_t *h);
void use_done(weir_t *h);           /* with its types */
/* From enter() to leave() the node is there and stays, or the server's `remote`. False: the handle is closed or broken, and the
 * failure is noted. */
bool enter(weir_t *h);
void leave(weir_t *h);
int unusable(const weir_t *h);      /* notes why nobody may enter; UNAVAILABLE */
/* The time by which a call that begins now ends; readers of this thread keep to it until leave(). */
int64_t call_until(const weir_t *h);
int64_t time_up(int64_t timeout_ms);          /* when a wait of so long ends; < 0: never */
struct reader *lib_reader(weir_t *h, struct wr_err *err);

/* ---- handle.c ---- */
/* False: the node still uses the handle, and is h->hung. *left: the store has heard of the end. life is held for writing. */
bool close_node(weir_t *h, bool *left);

/* ---- submit.c ---- */
struct shapes *shapes_new(void);
void shapes_free(struct shapes *s);

/* ---- shown.c ---- */
struct box { weir_task_t t; struct arena text; };   /* a task that is handed out, and all its texts; weir_task_free() frees it */
struct box *box_new(void);
int32_t shown_state(enum task_shown s);               /* WEIR_STATE_* */
bool shown_named(const char *word, enum task_shown *s);   /* false: there is no such word */
uint32_t shown_wanted(const weir_filter_t *f);        /* bit n: enum task_shown n fits; 0: any */
bool shown_type(const weir_filter_t *f, const char *type);   /* it fits; pages are asked for one type, not for several */
struct look { struct why *why; struct hosts *hosts; };   /* of one answer */
enum shown_form { SHOWN_WHOLE, SHOWN_BRIEF };
struct task_read; struct task_def; struct flow_read;
/* A weir_task_t of its own memory. context: NULL = none; of: the flow of a task of a node, else NULL. */
weir_task_t *shown_make(const struct task_read *in, const struct task_def *def, const struct flow_read *of,
                        const struct buf *context, const struct look *l, enum shown_form form);

/* ---- until.c ---- */
void until_init(struct until *u);
void until_done(struct until *u);
struct watcher until_watcher(weir_t *h);
/* A close keeps the handle for whoever is between these two. until_ended() is on its own. */
void until_in(struct until *u);
void until_out(struct until *u);
void until_end_all(struct until *u);          /* all waits end now; returns when nobody is in */
/* Until all have ended, are gone, or the time is up (INT64_MAX = never). A routine that waits gives its stop: stop NULL = none.
 * WEIR_OK, WEIR_ERR_TIMEOUT, _REFUSED (stopped), _UNAVAILABLE (unusable() says why). */
struct stopper { atomic_int reason; };
int until_ended(weir_t *h, const int64_t *ids, size_t n, int64_t until_us, const struct stopper *stop);
void until_look(struct until *u);             /* those who wait look again whether they may go on; any thread */

/* ---- routines.c ---- */
enum wr_rc routines_add(weir_t *h, struct registry *r, struct wr_err *err) WR_MUST;
/* May the handle have this type? Not if one that it has, or one of `known`, has the name. */
enum wr_rc type_check(const weir_t *h, const struct registry *known, const weir_type_t *t, struct wr_err *err) WR_MUST;
void type_keep(weir_t *h, const weir_type_t *t);
void types_free(weir_t *h);         /* their release() is called */
enum wr_rc types_tell(weir_t *h, struct wr_err *err) WR_MUST;   /* plugins.c: the other nodes know all types from now on */
size_t types_stack(const weir_t *h);          /* the largest that a type wants; 0 = none wants one */

/* ---- choose.c ---- */
struct chooser *chooser_new(void);
void chooser_free(struct chooser *c);
struct queue_policy *chooser_policy(struct chooser *c);       /* for a node; lives as long as the chooser */
void chooser_set(struct chooser *c, long (*pick)(const weir_candidate_t *const *, size_t n, void *user), void *user);

/* ---- pool.c ---- */
struct weir_attempt_s;
struct pool_thread;
struct pool *pool_new(weir_t *h, uint32_t slots, size_t stack);
/* Ends the threads. Those that run a routine that was given up stay, and the last one frees the pool and the handle when its
 * routine returns. Returns how many stay; 0: the pool is gone. */
uint32_t pool_end(struct pool *p);
bool in_routine(void);              /* is this thread one of a pool, inside a routine? */
const struct stopper *current_stop(void);     /* of the routine that this thread runs; NULL: it runs none */
/* Of the worker's loop. False: no thread can be made, and none is there. */
bool pool_add(struct pool *p, struct weir_attempt_s *a);
/* True: it had not begun, and will not. unless_limited: not if only the concurrency of its type keeps it from beginning. */
enum take_back { TAKE_ANY, TAKE_UNLIMITED };
bool pool_take_back(struct pool *p, struct weir_attempt_s *a, enum take_back how);
/* It waits for the concurrency of its type: the runner gets its slot meanwhile. False: the node cannot be asked just now. */
bool pool_lend_limited(struct pool *p, struct weir_attempt_s *a);
/* A routine gives its slot back while it waits for tasks, and takes it again; one that is to stop goes on without. Its own
 * thread. */
void pool_lend(struct pool *p, struct weir_attempt_s *a);
void pool_resume(struct pool *p, struct weir_attempt_s *a);
void pool_look(struct pool *p);               /* those who wait for their slot look again whether they are stopped; any thread */
void pool_give_up(struct pool *p, struct weir_attempt_s *a);
uint32_t pool_given_up(struct pool *p);       /* threads whose routine was given up and has not come back; before pool_end() */

/* ---- attempt.c: one attempt of a routine ---- */
/* What it has said and the loop has not taken. */
struct said {
  struct buf log;
  bool progress; int64_t done, total; char *unit, *message;
  char *context; size_t context_len; bool has_context;
  char *result; size_t result_len; bool has_result;
  char *error; bool no_retry;
  bool ended; int phase;            /* the routine has returned; what */
};
struct weir_attempt_s {
  weir_t *h;
  struct pool *pool;
  struct lib_type *type;
  atomic_uint refs;                 /* the loop's until release(), the thread's until it has ended */
  struct weir_attempt_s *next;      /* pool: waits for a slot */
  struct pool_thread *thread;       /* pool.mu, as the next three: on which it runs; NULL = none */
  bool waits, slotless;             /* it has not begun; it runs without a slot */
  bool lent;                        /* it waits for the concurrency of its type, and the runner has its slot */
  /* never change: */
  int64_t id; int number; bool cleanup;
  char *fence, *params, *content, *config, *context; size_t context_len;
  struct stopper stop;
  pthread_mutex_t mu;               /* guards the rest; pool.mu is never taken under it */
  pthread_cond_t moved;             /* the loop took something, or it was given up */
  const wx_host *host; wx_exec *x;  /* x NULL: it has ended for the worker, or was given up */
  int stop_fd;                      /* -1 = not asked for */
  struct said said;
  bool behind;                      /* said.log waits because the log takes no more just now */
  uint32_t context_no, context_done; int context_answer;   /* reports of this attempt; decided so far; how */
  uint32_t sent_no, sent_count, n_sent;   /* loop: the newest that the worker got, as which of its notes; notes so far */
};
struct weir_attempt_s *attempt_new(weir_t *h, struct lib_type *t, const wx_host *host, wx_exec *x);
void attempt_unref(struct weir_attempt_s *a);
void attempt_run(struct weir_attempt_s *a);   /* on a thread of the pool: the routine, to its end */
void attempt_stop(struct weir_attempt_s *a, int reason);   /* once it is FENCED it stays so */
void attempt_drop(struct weir_attempt_s *a);  /* its x ends: what it says from now on is refused */
#endif
