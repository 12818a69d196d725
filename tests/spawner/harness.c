/* See harness.h. The test's main thread calls; done() and log_write() run on the worker's threads. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "registry.h"
#include "run_as.h"

enum { LIMIT_S = 60 }; /* of any wait: a test that hangs fails, and says where */

struct harness H;

struct stored { int64_t ti; uint32_t seq; struct buf b, of[4]; };  /* of: by stream */

static struct h_kept *kept;
static size_t n_kept, cap_kept;

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct attempt *ended;
static struct stored *logs;
static size_t n_logs, cap_logs, n_timeouts;
static int failures, fulls, agains, blocked, keep_agains, fenced, keeps_blocked, keeps_full, hold;   /* hold: 1 = the next done() waits; 2 = it does */
static int slow_ms;
static int64_t last_ti, paused_us;

static int64_t limit_us(void) { return clock_mono_us() + LIMIT_S * 1000000LL; }

/* What was lost on its way never comes: the program ends, its spawner's children with it. */
static _Noreturn void never(const char *what, int64_t ti) {
  fprintf(stderr, "not within %d s: %s %lld\n", LIMIT_S, what, (long long)ti);
  abort();
}

/* Under mu: until something has changed. */
static void await_change(int64_t end_us, const char *what, int64_t ti) {
  const struct timespec end = {end_us / 1000000, end_us % 1000000 * 1000};
  if (pthread_cond_clockwait(&changed, &mu, CLOCK_MONOTONIC, &end) == ETIMEDOUT) never(what, ti);
}

static void on_done(void *ctx, struct attempt *list) {
  (void)ctx;
  pthread_mutex_lock(&mu);
  while (list) {
    struct attempt *a = list;
    list = a->next;
    a->next = ended;
    ended = a;
  }
  if (hold == 1) hold = 2;
  pthread_cond_broadcast(&changed);
  while (hold == 2) pthread_cond_wait(&changed, &mu);
  pthread_mutex_unlock(&mu);
}

static void on_timeout(void *ctx, int64_t fi, int64_t ti, uint32_t epoch) {
  (void)ctx;
  (void)fi;
  pthread_mutex_lock(&mu);
  n_timeouts++;
  pthread_mutex_unlock(&mu);
  worker_cancel(H.w, ti, epoch);
}

static void on_pause(void *ctx, int64_t boot_us) {
  (void)ctx;
  pthread_mutex_lock(&mu);
  paused_us = boot_us;
  pthread_mutex_unlock(&mu);
}

int64_t h_paused(void) {
  pthread_mutex_lock(&mu);
  int64_t us = paused_us;
  pthread_mutex_unlock(&mu);
  return us;
}

static struct stored *find_log(int64_t ti) {
  for (size_t i = 0; i < n_logs; i++)
    if (logs[i].ti == ti) return &logs[i];
  *WR_PUSH(logs, n_logs, cap_logs) = (struct stored){.ti = ti};
  return &logs[n_logs - 1];
}

/* As a store keeps it: a piece that comes again stands once, and must be the same. */
static void keep(const struct log_piece *v) {
  struct stored *s = find_log(v->ti);
  if (v->seq <= s->seq) {
    if (v->offset + (int64_t)v->n > (int64_t)s->b.len || memcmp(s->b.data + v->offset, v->data, v->n) != 0) abort();
    return;
  }
  if (v->offset != (int64_t)s->b.len || v->n == 0) abort(); /* a gap, or an overlap */
  s->seq = v->seq;
  buf_add(&s->b, v->data, v->n);
  buf_add(&s->of[v->stream], v->data, v->n);
}

static bool take_one(int *n) { return *n > 0 && (*n)-- > 0; }

static enum log_rc on_log(void *ctx, const struct log_piece *v, size_t n) {
  (void)ctx;
  pthread_mutex_lock(&mu);
  while (blocked) pthread_cond_wait(&changed, &mu);
  int ms = slow_ms;
  pthread_mutex_unlock(&mu);
  if (ms) poll(NULL, 0, ms);
  pthread_mutex_lock(&mu);
  bool done = true;
  enum log_rc rc = LOG_STORED;
  if (take_one(&failures)) rc = LOG_REFUSED, done = false;
  else if (take_one(&fulls)) rc = LOG_NO_SPACE, done = false;
  else if (take_one(&agains)) rc = LOG_AGAIN, done = agains % 2;
  for (size_t i = 0; i < n && done; i++) keep(&v[i]);
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mu);
  return rc;
}

static struct h_kept *find_kept(int64_t ti) {
  for (size_t i = 0; i < n_kept; i++)
    if (kept[i].ti == ti) return &kept[i];
  *WR_PUSH(kept, n_kept, cap_kept) = (struct h_kept){.ti = ti};
  return &kept[n_kept - 1];
}

static void set_context(struct h_kept *k, const char *text, size_t n) {
  free(k->context);
  k->context = wr_memdup0(text, n);
  k->context_len = n;
}

static enum log_rc on_context(void *ctx, int64_t ti, uint32_t epoch, int64_t owner, const char *text, size_t n) {
  (void)ctx;
  (void)owner;
  pthread_mutex_lock(&mu);
  while (keeps_blocked) pthread_cond_wait(&changed, &mu);
  enum log_rc rc = take_one(&keep_agains) ? LOG_AGAIN : fenced ? LOG_FENCED : keeps_full ? LOG_NO_SPACE : LOG_STORED;
  struct h_kept *k = find_kept(ti);
  if (rc == LOG_NO_SPACE) k->no_room++, snprintf(k->refused, sizeof k->refused, "%.*s", (int)(n < 15 ? n : 15), text);
  if (epoch < k->epoch) abort();
  if (rc == LOG_STORED) set_context(k, text, n), k->epoch = epoch, k->contexts++;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mu);
  return rc;
}

static enum log_rc on_progress(void *ctx, const struct kept_progress *v, size_t n) {
  (void)ctx;
  pthread_mutex_lock(&mu);
  enum log_rc rc = take_one(&keep_agains) ? LOG_AGAIN : LOG_STORED;
  for (size_t i = 0; i < n && rc == LOG_STORED; i++) {
    if (i && v[i].ti <= v[i - 1].ti) abort();
    struct h_kept *k = find_kept(v[i].ti);
    k->total = v[i].total;
    k->done = v[i].done;
    k->speed = v[i].speed;
    k->has_progress = true;
    k->progresses++;
    snprintf(k->unit, sizeof k->unit, "%s", v[i].unit);
    snprintf(k->message, sizeof k->message, "%s", v[i].message);
  }
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mu);
  return rc;
}

static enum log_rc on_recall(void *ctx, int64_t ti, struct attempt_left **out) {
  (void)ctx;
  pthread_mutex_lock(&mu);
  enum log_rc rc = take_one(&keep_agains) ? LOG_AGAIN : LOG_STORED;
  const struct h_kept *k = find_kept(ti);
  if (rc == LOG_STORED && (k->context || k->has_progress)) {
    struct attempt_left *l = *out = wr_calloc(1, sizeof *l + k->context_len + 1);
    l->total = k->has_progress ? k->total : -1;
    l->done = k->has_progress ? k->done : -1;
    snprintf(l->unit, sizeof l->unit, "%.64s", k->unit);
    l->context_len = k->context_len;
    if (k->context) memcpy(l->context, k->context, k->context_len);
  }
  pthread_mutex_unlock(&mu);
  return rc;
}

struct h_kept h_kept(int64_t ti) {
  pthread_mutex_lock(&mu);
  struct h_kept k = *find_kept(ti);
  pthread_mutex_unlock(&mu);
  return k;
}

struct h_kept h_kept_when(int64_t ti, bool (*is)(const struct h_kept *)) {
  int64_t end_us = limit_us();
  pthread_mutex_lock(&mu);
  while (!is(find_kept(ti))) await_change(end_us, "a report of attempt", ti);
  struct h_kept k = *find_kept(ti);
  pthread_mutex_unlock(&mu);
  return k;
}

void h_leave(int64_t ti, const char *context) {
  pthread_mutex_lock(&mu);
  set_context(find_kept(ti), context, strlen(context));
  pthread_mutex_unlock(&mu);
}

size_t h_timeouts(void) {
  pthread_mutex_lock(&mu);
  size_t n = n_timeouts;
  pthread_mutex_unlock(&mu);
  return n;
}

static void set(int *which, int n) {
  pthread_mutex_lock(&mu);
  *which = n;
  pthread_mutex_unlock(&mu);
}

void h_slow_logs(int ms) { set(&slow_ms, ms); }
void h_fail_logs(int n) { set(&failures, n); }
void h_full_logs(int n) { set(&fulls, n); }
void h_again_logs(int n) { set(&agains, n); }
void h_keep_again(int n) { set(&keep_agains, n); }
void h_fence(int on) { set(&fenced, on); }
void h_full_keeps(int on) { set(&keeps_full, on); }

void h_hold_loop(struct attempt *a) {
  pthread_mutex_lock(&mu);
  hold = 1;
  pthread_mutex_unlock(&mu);
  int64_t end_us = limit_us();
  worker_start(H.w, a);
  pthread_mutex_lock(&mu);
  while (hold == 1) await_change(end_us, "the loop to stand still", 0);
  pthread_mutex_unlock(&mu);
}

void h_let_loop(void) {
  pthread_mutex_lock(&mu);
  hold = 0;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mu);
}

void h_block_logs(int on) {
  pthread_mutex_lock(&mu);
  blocked = on;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mu);
}

void h_block_keeps(int on) {
  pthread_mutex_lock(&mu);
  keeps_blocked = on;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mu);
}

void h_host(void) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) abort();
}

void h_dir(void) {
  snprintf(H.dir, sizeof H.dir, "/tmp/weir-test-XXXXXX");
  if (!mkdtemp(H.dir) || chmod(H.dir, 0711)) abort(); /* other users must reach DATA/run */
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at) {
  (void)st;
  (void)flag;
  (void)at;
  return remove(path);
}

void h_remove_tree(const char *path) { nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS); }
void h_remove(void) { h_remove_tree(H.dir); }

static struct run_as *policy;
static const struct worker_keeps keeps = {.context = on_context, .progress = on_progress, .recall = on_recall};

void h_open(const char *also) {
  struct wr_err err;
  h_dir();
  struct spawner *spawner;
  signal(SIGINT, SIG_DFL); /* tasks get what is found here, and a shell in the background ignores these two */
  signal(SIGQUIT, SIG_DFL);
  const struct run_as_opts who = {.also = &also, .n_also = also != NULL, .personal = true, .self = geteuid(), .can_change = geteuid() == 0};
  h_host();
  if (run_as_new(&who, &policy, &err) != WR_OK) fprintf(stderr, "%s\n", err.msg), abort();
  const struct spawner_opts so = {.data_dir = H.dir, .run_as = policy};
  if (spawner_start(&so, &spawner, &err) != WR_OK) fprintf(stderr, "%s\n", err.msg), abort();
  H.page = spawner->page;
  struct rlimit l; /* six of one child; not before: tasks get what was found */
  if (getrlimit(RLIMIT_NOFILE, &l) == 0) l.rlim_cur = l.rlim_max, setrlimit(RLIMIT_NOFILE, &l);
  if (!H.executors) registry_add_builtins(H.executors = registry_new());
  const struct worker_opts wo = {.keeps = &keeps, .logs_apart = !H.logs_with_rows, .tools = "/opt/weir tools", .spawner = spawner, .executors = H.executors, .data_dir = H.dir, .shell_allowed = true,
                                 .done = on_done, .timed_out = on_timeout, .pause = on_pause, .log_write = on_log,
                                 .ctx = NULL, .analysis = H.analysis};
  if (worker_open(&wo, &H.w, &err) != WR_OK) fprintf(stderr, "%s\n", err.msg), abort();
}

struct worker *h_second(int shell) {
  struct wr_err err;
  struct worker *w;
  const struct worker_opts wo = {.keeps = &keeps, .executors = H.executors, .data_dir = H.dir, .logs_apart = true, .shell_allowed = shell, .done = on_done, .log_write = on_log};
  if (worker_open(&wo, &w, &err) != WR_OK) fprintf(stderr, "%s\n", err.msg), abort();
  return w;
}

void h_close(void) {
  worker_close(H.w);
  registry_free(H.executors);
  run_as_free(policy);
  for (struct attempt *a; (a = ended);) ended = a->next, attempt_free(a);
  for (size_t i = 0; i < n_logs; i++) {
    buf_done(&logs[i].b);
    for (int k = 0; k < 4; k++) buf_done(&logs[i].of[k]);
  }
  free(logs);
  for (size_t i = 0; i < n_kept; i++) free(kept[i].context);
  free(kept);
  h_remove();
}

struct attempt *h_attempt(const char *type, const char *content, const char *config) {
  struct task_def *t = wr_new(struct task_def);
  atomic_init(&t->refs, 1);
  t->name = wr_strdup("test");
  t->type = wr_strdup(type);
  t->content = wr_strdup(content);
  t->config = wr_strdup(config);
  struct attempt *a = wr_new(struct attempt);
  a->ti = ++last_ti;
  a->epoch = 1;
  a->def = t;
  struct buf key = BUF_INIT;
  buf_printf(&key, "t:%lld", (long long)a->ti);
  a->key = key.data;
  return a;
}

static struct attempt *take(int64_t ti) {
  for (struct attempt **at = &ended; *at; at = &(*at)->next) {
    struct attempt *a = *at;
    if (a->ti != ti) continue;
    *at = a->next;
    a->next = NULL;
    return a;
  }
  return NULL;
}

struct attempt *h_await(int64_t ti) {
  struct attempt *a;
  int64_t end_us = limit_us();
  pthread_mutex_lock(&mu);
  while (!(a = take(ti))) await_change(end_us, "the end of attempt", ti);
  pthread_mutex_unlock(&mu);
  return a;
}

bool h_came_back(int64_t ti) {
  bool found = false;
  pthread_mutex_lock(&mu);
  for (const struct attempt *a = ended; a; a = a->next) found |= a->ti == ti;
  pthread_mutex_unlock(&mu);
  return found;
}

struct attempt *h_run(const char *type, const char *content, const char *config) {
  struct attempt *a = h_attempt(type, content, config);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  return h_await(ti);
}

struct attempt *h_sh(const char *script) { return h_run("SHELL", script, NULL); }

static void expect(struct attempt *a, enum attempt_end end, const char *error) {
  if (error) assert_non_null(a->error);
  if (error) assert_string_equal(a->error, error);
  else if (a->error) fail_msg("unexpected error: %s", a->error);
  assert_int_equal(a->end, end);
  attempt_free(a);
}

void h_expect(const char *script, const char *config, enum attempt_end end, const char *error) {
  expect(h_run("SHELL", script, config), end, error);
}

void h_expect_argv(const char *config, enum attempt_end end, const char *error) { h_expect(NULL, config, end, error); }

struct buf *h_log(int64_t ti) {
  pthread_mutex_lock(&mu);
  struct buf *b = &find_log(ti)->b;
  buf_add(b, "", 0);
  pthread_mutex_unlock(&mu);
  return b;
}

const char *h_log_of(int64_t ti, uint8_t stream) {
  pthread_mutex_lock(&mu);
  struct buf *b = &find_log(ti)->of[stream];
  buf_add(b, "", 0);
  pthread_mutex_unlock(&mu);
  return b->data;
}

size_t h_log_pieces(int64_t ti) {
  pthread_mutex_lock(&mu);
  size_t n = find_log(ti)->seq;
  pthread_mutex_unlock(&mu);
  return n;
}

void h_log_reaches(int64_t ti, size_t n) {
  int64_t end_us = limit_us();
  pthread_mutex_lock(&mu);
  while (find_log(ti)->b.len < n) await_change(end_us, "the log of attempt", ti);
  pthread_mutex_unlock(&mu);
}

pid_t h_child(pid_t parent, const char *name) {
  char path[128], b[8192], comm[32];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? 0 : read(fd, b, sizeof b - 1);
  if (fd >= 0) close(fd);
  b[n > 0 ? n : 0] = '\0';
  for (char *at = b, *end; *at; at = end) {
    pid_t pid = (pid_t)strtol(at, &end, 10);
    if (end == at) break;
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *f = fopen(path, "r");
    bool found = f && fgets(comm, sizeof comm, f) && strncmp(comm, name, strlen(name)) == 0;
    if (f) fclose(f);
    if (found) return pid;
  }
  return 0;
}

pid_t h_spawner(pid_t node) {
  pid_t guard = h_child(node, "weir-guard");
  return guard > 0 ? h_child(guard, "weir-spawner") : 0;
}

int h_fifo(const char *name) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", H.dir, name);
  assert_int_equal(mkfifo(path, 0666), 0);
  assert_int_equal(chmod(path, 0666), 0);
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  assert_true(fd >= 0);
  return fd;
}

bool h_all_dead(int fd) {
  char b[4096];
  for (;;) {
    ssize_t n = read(fd, b, sizeof b);
    if (n == 0) return true;
    if (n < 0) return false; /* EAGAIN: a writer lives */
  }
}

void h_line(int fd, char *out, size_t n) {
  int64_t end_us = limit_us();
  for (size_t at = 0; at + 1 < n;) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    poll(&p, 1, LIMIT_S * 1000);
    if (clock_mono_us() >= end_us) never("a line, after the start of attempt", last_ti);
    if (read(fd, out + at, 1) != 1) continue; /* between two writers */
    if (out[at] == '\n') {
      out[at] = '\0';
      return;
    }
    at++;
  }
  abort();
}

bool h_gone(const char *pid) { return kill((pid_t)strtol(pid, NULL, 10), 0) != 0 && errno == ESRCH; }
