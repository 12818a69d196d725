/* The process around a node: see process.h. */
#include "process.h"
#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "cut_file.h"
#include "datadir.h"
#include "found.h"
#include "log.h"
#include "signals.h"
#include "verbs.h"

#define THREAD_STACK_BYTES (256 << 10)
#define FILES_PER_SLOT 10         /* descriptors of one child: output, error, reports, input, context, and spare */
#define FILES_PER_RUN 4           /* the least that a child needs: output and reports, both ends */
#define FILES_NEEDED 64           /* needed in any case: database, sockets, the spawner's own */
#define THREADS_NEEDED 112        /* threads of the API and of the engine, guard, spawner, spare */
#define FILES_BASE (256 + NODE_AHEAD * FILES_PER_SLOT)
#define FILES_WISHED 65536

/* ---- before threads ---- */

/* Refuses a start that would only look good, and lack files later. */
static enum wr_rc enough_files(const struct node_opts *o, struct wr_err *err) {
  struct rlimit l;
  unsigned slots = node_starts_programs(o) && o->shell != NODE_SHELL_OFF ? o->slots : 0;
  unsigned long long need = FILES_NEEDED + (unsigned long long)slots * FILES_PER_RUN;
  if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= need) return WR_OK;
  if (slots == 0)
    return wr_err_set(err, WR_FORBIDDEN, "A server needs %llu open files, %llu are allowed. Raise the limit (ulimit -n %llu).",
                      need, (unsigned long long)l.rlim_cur, need);
  return wr_err_set(err, WR_FORBIDDEN, "%u slots need %llu open files, %llu are allowed. "
                    "Raise the limit (ulimit -n %llu), or give fewer --slots.",
                    slots, need, (unsigned long long)l.rlim_cur, need);
}

/* Counts for the user that the server will be; the kernel does not count root's processes. */
static enum wr_rc enough_processes(const struct node_opts *o, const struct identity *who, struct wr_err *err) {
  struct rlimit l;
  unsigned long long need = THREADS_NEEDED + (unsigned long long)o->slots;
  if (who->user.uid == 0 || getrlimit(RLIMIT_NPROC, &l) != 0 || l.rlim_cur >= need) return WR_OK;
  return wr_err_set(err, WR_FORBIDDEN, "%u slots and the server's threads need %llu processes, %llu are allowed. "
                    "Raise the limit (ulimit -u %llu), or give fewer --slots.",
                    (unsigned)o->slots, need, (unsigned long long)l.rlim_cur, need);
}

static void raise_files(rlim_t wished) {
  struct rlimit l;
  if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= wished) return;
  l.rlim_cur = wished < l.rlim_max ? wished : l.rlim_max;
  setrlimit(RLIMIT_NOFILE, &l); /* refused = the limit stays, and is met as EMFILE */
}

/* Little memory when idle: few arenas, and small stacks for every thread, also those of libraries. */
static void lean(void) {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 4 << 20); /* a large flow goes back to the system whole; else malloc raises this to 32 MiB */
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  pthread_attr_t a;
  pthread_attr_init(&a);
  pthread_attr_setstacksize(&a, THREAD_STACK_BYTES);
  pthread_setattr_default_np(&a);
  pthread_attr_destroy(&a);
#endif
}

enum wr_rc process_prepare(const struct node_opts *o, const struct identity *who, struct spawner **spawner, struct wr_err *err) {
  struct found found;
  found_take(&found); /* before any of that is changed */
  *spawner = NULL;
  bool works = node_starts_programs(o);
  raise_files(FILES_BASE + (rlim_t)o->slots * FILES_PER_SLOT);
  enum wr_rc rc = enough_files(o, err); /* first, since with too few files nothing else could say what is wrong */
  if (!rc) rc = datadir_open(o->data, who, err);
  if (!rc && works && o->shell != NODE_SHELL_OFF) rc = enough_processes(o, who, err);
  if (rc) return rc;
  if (works) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* this process inherits the children of a spawner that dies */
  rc = node_spawner(o, &found, spawner, err);
  if (rc) return rc;
  signals_block();
  cut_file_watch();
  raise_files(works ? RLIM_INFINITY : FILES_WISHED); /* a child takes four, and only the system bounds them */
  lean();
  json_object_seed(0);
  rc = datadir_hand_over(o->data, who, err);
  return rc ? rc : identity_take(who, err);
}

/* ---- its end ---- */

static atomic_bool leaves;

void process_leaves_nothing(void) { atomic_store(&leaves, true); }

void process_gone(void *ctx, enum node_gone what, const char *why) {
  (void)ctx;
  if (atomic_load(&leaves)) return;
  if (what == NODE_GONE_LOCK) log_error("worker.lock_gone", L_STR("why", why)); /* the store has said so itself */
  fprintf(stderr, "weir: %s This server ends%s.\n", why,
          what == NODE_GONE_STORE ? ": what it would store now might never be read again" : "");
  _exit(EXIT_UNREACHABLE);
}

bool process_stopping(void *ctx) {
  (void)ctx;
  return signals_stopping();
}

/* A supervisor starts the server anew. */
void process_useless(void *ctx) {
  (void)ctx;
  kill(getpid(), SIGTERM);
}
