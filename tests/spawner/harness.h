/* A worker with a real spawner in a directory of its own, for the tests of this folder. One per test program: the
 * spawner is started before any thread. Waiting is by condition variable, waitpid and end-of-file, never by sleep;
 * one that takes a minute ends the program. */
#ifndef HARNESS_H
#define HARNESS_H
#include "../unit/unit.h"
#include "mem.h"
#include "spawner_link.h"
#include "worker.h"

struct harness {
  char dir[64];                  /* the data directory; tasks may use it too */
  struct sw_page *page;          /* what the spawner looks at: slots, patience */
  struct worker *w;
  struct registry *executors;    /* the built-in ones, unless it is there before h_open(), which takes it */
  const struct worker_analysis *analysis;   /* NULL = no analyses; said before h_open() */
  bool logs_with_rows;           /* one store has both, as on MariaDB; said before h_open() */
};
extern struct harness H;

/* Called first in main(); a failure ends the program. Tasks run as whoever started it; also: one more user, NULL = none. */
void h_open(const char *also);
void h_close(void);              /* drains, closes, removes the directory */
void h_host(void);               /* only what a process is to have that runs a worker: it takes in orphans */
void h_dir(void);                /* only makes H.dir */
void h_remove(void);             /* only removes H.dir */
void h_remove_tree(const char *path);

/* An attempt of its own task instance; texts are copied, NULL = absent. */
struct attempt *h_attempt(const char *type, const char *content, const char *config);
/* Waits for one that was started. The caller frees it. */
struct attempt *h_await(int64_t ti);
bool h_came_back(int64_t ti);    /* now: one that h_await() has not taken yet */
struct attempt *h_run(const char *type, const char *content, const char *config);
struct attempt *h_sh(const char *script);               /* SHELL, no config */
/* Runs it and checks its end; error NULL = none. */
void h_expect(const char *script, const char *config, enum attempt_end end, const char *error);
void h_expect_argv(const char *config, enum attempt_end end, const char *error);
int64_t h_paused(void);          /* until when the worker wants no processes, boot time; 0 = never asked */
size_t h_timeouts(void);         /* how often timed_out() was called */

/* All that was stored of an attempt's log; checks that offsets have no gap and seq grows. Valid until the next call. */
struct buf *h_log(int64_t ti);
const char *h_log_of(int64_t ti, uint8_t stream);   /* of one stream; valid until the next call */
size_t h_log_pieces(int64_t ti);
void h_log_reaches(int64_t ti, size_t n); /* waits until so many bytes are stored */
void h_fail_logs(int n);         /* the next n log_write() calls are refused */
void h_full_logs(int n);         /* .. find no room */
void h_again_logs(int n);        /* .. do not know; every other one of them was done */
/* What attempts reported, as a store keeps it: their newest context and progress. */
struct h_kept {
  int64_t ti;
  uint32_t epoch;
  char *context; size_t context_len;
  int contexts, progresses;      /* how often they were stored */
  int no_room; char refused[16]; /* how often there was no room for its context; how the last such one began */
  bool has_progress;
  int64_t total, done;
  double speed;
  char unit[80], message[1040];
};
struct h_kept h_kept(int64_t ti);        /* as it is now; context valid until the next one is stored */
struct h_kept h_kept_when(int64_t ti, bool (*is)(const struct h_kept *));   /* waits until it is so */
void h_leave(int64_t ti, const char *context);   /* for the next attempt of it */
void h_keep_again(int n);        /* the next n contexts, progresses and looks at what was left get AGAIN */
void h_full_keeps(int on);       /* there is no room for contexts */
void h_fence(int on);            /* contexts are refused: the attempt is not the one that runs */
void h_block_keeps(int on);      /* storing a context waits while it is on */
void h_hold_loop(struct attempt *a);   /* runs it; the worker's thread stands still in its done() until h_let_loop() */
void h_let_loop(void);
void h_block_logs(int on);       /* log_write() waits while it is on */
void h_slow_logs(int ms);        /* each log_write() takes so long */
/* A second worker on the same directory and store, without or with the right to SHELL, with no spawner. */
struct worker *h_second(int shell);
/* The child of a process whose name is that, 0 = none. */
pid_t h_child(pid_t parent, const char *name);
pid_t h_spawner(pid_t node);           /* below its guard; 0 = none just now */

/* A named pipe H.dir/NAME: h_fifo() opens the reading end. A task that holds the writing end open lives; when all who
 * did are dead, h_all_dead() is true. */
int h_fifo(const char *name);
bool h_all_dead(int fd);
/* One line from it, waiting for a writer's. */
void h_line(int fd, char *out, size_t n);
bool h_gone(const char *pid);    /* no such process, not even a zombie */
#endif
