/* See log_place.h. */
#include "log_place.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "log.h"
#include "mem.h"

enum { SHUT = -1 };

struct log_place {
  atomic_uint refs;
  atomic_int level;
  pthread_mutex_t mu;               /* held over a call of the sink; leaf */
  void (*_Atomic sink)(int level, const char *line, void *user);
  void *user;
};

atomic_int log_most = LOG_INFO;
static struct log_place process = {.level = LOG_INFO, .mu = PTHREAD_MUTEX_INITIALIZER};
static _Thread_local struct log_place *here;

static void raise_most(int level) {
  int most = atomic_load(&log_most);
  while (most < level && !atomic_compare_exchange_weak(&log_most, &most, level)) {}
}

void log_place_process(int level) {
  atomic_store(&process.level, level);
  raise_most(level);
}

struct log_place *log_place_new(int level) {
  struct log_place *p = wr_new(struct log_place);
  atomic_init(&p->refs, 1);
  atomic_init(&p->level, level);
  pthread_mutex_init(&p->mu, NULL);
  raise_most(level);
  return p;
}

struct log_place *log_place_ref(struct log_place *p) {
  atomic_fetch_add(&p->refs, 1);
  return p;
}

void log_place_unref(struct log_place *p) {
  if (!p || atomic_fetch_sub(&p->refs, 1) > 1) return;
  pthread_mutex_destroy(&p->mu);
  free(p);
}

void log_place_sink(struct log_place *p, void (*sink)(int level, const char *line, void *user), void *user) {
  pthread_mutex_lock(&p->mu);
  atomic_store(&p->sink, sink);
  p->user = user;
  pthread_mutex_unlock(&p->mu);
}

void log_place_shut(struct log_place *p) {
  pthread_mutex_lock(&p->mu);
  atomic_store(&p->level, SHUT);
  pthread_mutex_unlock(&p->mu);
}

struct log_place *log_where(void) { return here; }

struct log_place *log_here(struct log_place *p) {
  struct log_place *was = here;
  here = p;
  return was;
}

/* ---- threads ---- */

struct begin { struct log_place *place; void *(*run)(void *); void *arg; };

static void *begin(void *arg) {
  struct begin b = *(struct begin *)arg;
  free(arg);
  here = b.place;
  return b.run(b.arg);
}

int log_thread(pthread_t *t, const pthread_attr_t *how, void *(*run)(void *), void *arg) {
  struct begin *b = wr_new(struct begin);
  *b = (struct begin){here, run, arg};
  int failed = pthread_create(t, how, begin, b);
  if (failed) free(b);
  return failed;
}

/* ---- lines ---- */

bool log_place_takes(int level) { return level <= atomic_load(here ? &here->level : &process.level); }

/* False: it has no sink. */
static bool to_sink(struct log_place *p, int level, char *line, size_t n) {
  pthread_mutex_lock(&p->mu);
  bool shut = atomic_load(&p->level) == SHUT;
  void (*sink)(int, const char *, void *) = atomic_load(&p->sink);
  if (sink && !shut) {
    line[n - 1] = '\0';
    sink(level, line, p->user);
  }
  pthread_mutex_unlock(&p->mu);
  return shut || sink;
}

void log_place_put(int level, char *line, size_t n) {
  ssize_t done = 0;
  if (here && to_sink(here, level, line, n)) return;
  do done = write(STDERR_FILENO, line, n);
  while (done < 0 && errno == EINTR); /* a line that cannot be written is lost: there is nobody to tell */
}
