/* The load of the library: makes tasks whose routine does nothing, from many threads of a process that also runs them, and prints
 * one JSON object as client.c does.
 *
 *   library URL TASKS PER THREADS [option=value ..]     PER 1: by weir_create(), else by weir_create_many() of so many
 *
 * The clock runs from just before the first call until the store says that no task is left. Each thread makes its share, one call
 * after the other; a call that is answered BUSY is made again. Any end but FINISHED ends the program. It uses weir.h alone. */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "load.h"
#include "weir.h"

enum { MANY = 1000, THREADS = 1024, LOOK_MS = 1, GIVE_UP_S = 600 };

struct bench {
  weir_t *h;
  int64_t tasks, per, calls;
  atomic_llong next, refused;             /* the next call that a thread takes; calls that were BUSY */
  int64_t *took_us;                       /* of each call */
};
static atomic_llong ran;

static void nap(void) {
  const struct timespec ts = {.tv_nsec = LOOK_MS * 1000000};
  nanosleep(&ts, NULL);
}

static int64_t resident_bytes(void) {
  long long all, resident = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%lld %lld", &all, &resident) != 2) die("/proc/self/statm cannot be read");
  fclose(f);
  return resident * sysconf(_SC_PAGESIZE);
}

static int64_t peak_bytes(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return (int64_t)use.ru_maxrss * 1024;
}

/* ---- the work ---- */

static int nothing(weir_attempt_t *a, void *user) {
  (void)a;
  (void)user;
  atomic_fetch_add(&ran, 1);
  return WEIR_PHASE_FINISHED;
}

static int make(struct bench *b, const weir_spec_t *const *spec, size_t n) {
  int64_t id[MANY];
  return b->per == 1 ? weir_create(b->h, spec[0], id) : weir_create_many(b->h, spec, n, id);
}

static void *submitter(void *arg) {
  struct bench *b = arg;
  const weir_spec_t one = {.size = sizeof one, .type = "nothing"};
  const weir_spec_t *spec[MANY];
  for (int i = 0; i < MANY; i++) spec[i] = &one;
  for (int64_t c; (c = atomic_fetch_add(&b->next, 1)) < b->calls;) {
    int64_t left = b->tasks - c * b->per, began = now_us();
    int rc;
    while ((rc = make(b, spec, (size_t)(left < b->per ? left : b->per))) == WEIR_ERR_BUSY) atomic_fetch_add(&b->refused, 1);
    if (rc) die("a task is not made: %s", weir_error(b->h));
    b->took_us[c] = now_us() - began;
  }
  return NULL;
}

static void submit_all(struct bench *b, int threads) {
  pthread_t *t = calloc((size_t)threads, sizeof *t);
  for (int i = 0; i < threads; i++)
    if (!t || pthread_create(&t[i], NULL, submitter, b)) die("no thread can be made");
  for (int i = 0; i < threads; i++) pthread_join(t[i], NULL);
  free(t);
}

/* One of the list, and how many there are in all where `total` is given. */
static size_t look(struct bench *b, const int32_t *state, size_t n, int64_t *total) {
  const weir_filter_t f = {.size = sizeof f, .states = state, .n_states = n, .limit = 1};
  weir_task_t **v;
  size_t got;
  if (weir_list(b->h, &f, &v, &got, total)) die("the tasks cannot be listed: %s", weir_error(b->h));
  weir_list_free(v, got);
  return got;
}

/* Looks at the store only when all routines have run: its looks cost nothing of what is measured. Then the rows decide. */
static int64_t wait_all(struct bench *b) {
  const int32_t live[] = {WEIR_STATE_INIT, WEIR_STATE_PENDING, WEIR_STATE_RUNNING, WEIR_STATE_CANCELING};
  const int32_t good[] = {WEIR_STATE_FINISHED};
  int64_t give_up = now_us() + GIVE_UP_S * 1000000LL, worked = 0;
  while (atomic_load(&ran) < b->tasks || look(b, live, sizeof live / sizeof *live, NULL) > 0) {
    if (now_us() > give_up) die("tasks do not end");
    nap();
  }
  int64_t over = now_us();
  (void)look(b, good, 1, &worked);
  if (worked != b->tasks) die("%lld of %lld tasks worked", (long long)worked, (long long)b->tasks);
  return over;
}

/* ---- main ---- */

static int by_value(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static long long percentile(const struct bench *b, int p) {
  int64_t at = b->calls * p / 100;
  return b->took_us[at < b->calls ? at : b->calls - 1];
}

static int64_t count(const char *text, int64_t most) {
  char *end;
  long long v = strtoll(text, &end, 10);
  if (*end || v < 1 || v > most) die("not a count from 1 to %lld: %s", (long long)most, text);
  return v;
}

static weir_t *begin(const char *url, const char *const *options) {
  const weir_type_t type = {.size = sizeof type, .name = "nothing", .run = nothing};
  char err[512];
  weir_t *h;
  if (weir_open(&h, url, options, err, sizeof err)) die("%s", err);
  if (weir_register(h, &type) || weir_start(h)) die("%s", weir_error(h));
  return h;
}

int main(int argc, char **argv) {
  if (argc < 5) die("usage: see the head of bench/library.c");
  struct bench b = {.tasks = count(argv[2], 1000000000), .per = count(argv[3], MANY)};
  int threads = (int)count(argv[4], THREADS);
  b.calls = (b.tasks + b.per - 1) / b.per;
  b.took_us = calloc((size_t)b.calls, sizeof *b.took_us);
  if (!b.took_us) die("no memory");
  b.h = begin(argv[1], (const char *const *)(argv + 5));
  int64_t before = resident_bytes(), began = now_us();
  submit_all(&b, threads);
  int64_t made = now_us(), over = wait_all(&b), peak = peak_bytes();
  if (weir_close(b.h)) die("the handle does not close well");
  qsort(b.took_us, (size_t)b.calls, sizeof *b.took_us, by_value);
  printf("{\"tasks\":%lld,\"seconds\":%.6f,\"accept_seconds\":%.6f,\"latency_of\":\"call\",\"samples\":%lld,"
         "\"p50_us\":%lld,\"p99_us\":%lld,\"max_us\":%lld,\"refused\":%lld,\"rss_bytes\":%lld,\"peak_rss_bytes\":%lld}\n",
         (long long)b.tasks, (double)(over - began) / 1e6, (double)(made - began) / 1e6, (long long)b.calls, percentile(&b, 50),
         percentile(&b, 99), percentile(&b, 100), atomic_load(&b.refused), (long long)before, (long long)peak);
  free(b.took_us);
  return 0;
}
