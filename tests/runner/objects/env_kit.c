/* An env made by hand and a small store: env_kit.h. */
#include "env_kit.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct kit kit;

/* ---- the store ---- */

static struct kit_store *store_of(const struct store *s) { return (struct kit_store *)(uintptr_t)s; }
static enum store_rc called(struct store *s, enum kit_call c) {
  store_of(s)->calls[c]++;
  return store_of(s)->rc[c];
}

static bool kit_single(const struct store *s) { return store_of(s)->single; }
static enum store_rc kit_join(struct store *s, const struct node_info *info, int64_t *me) {
  (void)info;
  *me = store_of(s)->me;
  return called(s, KIT_JOIN);
}
static enum store_rc kit_renew(struct store *s) { return called(s, KIT_RENEW); }
static enum store_rc kit_tell(struct store *s, const char *trouble) {
  (void)snprintf(store_of(s)->told, sizeof store_of(s)->told, "%s", trouble);
  return called(s, KIT_TELL);
}
static enum store_rc kit_reap(struct store *s, uint32_t *n) {
  *n = store_of(s)->dead;
  return called(s, KIT_REAP);
}

static enum store_rc kit_live_tasks(struct store *s, int64_t after, struct live_task *out, size_t n, size_t *n_out) {
  const struct kit_store *k = store_of(s);
  *n_out = 0;
  for (size_t i = 0; i < k->n_task && *n_out < n && (k->page == 0 || *n_out < k->page); i++)
    if (k->task[i].ti > after) out[(*n_out)++] = k->task[i];
  return called(s, KIT_TASKS);
}
static enum store_rc kit_live_flows(struct store *s, int64_t after, struct live_flow *out, size_t n, size_t *n_out) {
  const struct kit_store *k = store_of(s);
  *n_out = 0;
  for (size_t i = 0; i < k->n_flow && *n_out < n && (k->page == 0 || *n_out < k->page); i++)
    if (k->flow[i].fi > after) out[(*n_out)++] = k->flow[i];
  return called(s, KIT_FLOWS);
}

static enum store_rc kit_live_jobs(struct store *s, int64_t after, int64_t *id, size_t n, size_t *n_out) {
  const struct kit_store *k = store_of(s);
  *n_out = 0;
  for (size_t i = 0; i < k->n_job && *n_out < n && (k->page == 0 || *n_out < k->page); i++)
    if (k->job[i] > after) id[(*n_out)++] = k->job[i];
  return called(s, KIT_JOBS);
}

static bool kit_reconciler(struct store *s) {
  (void)called(s, KIT_OFFICE);
  return store_of(s)->office;
}
static bool kit_asker(struct store *s, bool take) {
  struct kit_store *k = store_of(s);
  (void)called(s, KIT_ASKER);
  return k->asking = take && !k->rival_asks;
}
static enum store_rc kit_pulse(struct store *s, int64_t *out) {
  *out = store_of(s)->pulse;
  return called(s, KIT_PULSE);
}

static enum store_rc kit_wish(struct store *s, struct drain_wish *out) {
  *out = store_of(s)->wish;
  return called(s, KIT_WISH);
}

static enum store_rc kit_keys(struct store *s, const char *const *key, size_t n, struct key_row *out, uint8_t *got) {
  const struct kit_store *k = store_of(s);
  for (size_t i = 0; i < n; i++) {
    if (i > 0) assert_true(strcmp(key[i - 1], key[i]) < 0); /* ascending, each once */
    got[i] = 0;
    for (size_t j = 0; j < k->n_key; j++)
      if (strcmp(k->key[j].key, key[i]) == 0) out[i] = k->key[j].row, got[i] = k->key[j].got;
  }
  return called(s, KIT_KEYS_READ);
}

static const struct store_ops kit_ops = {.abi = STORE_ABI, .size = sizeof kit_ops, .single = kit_single, .join = kit_join,
  .renew = kit_renew, .tell = kit_tell, .reap = kit_reap, .live_tasks = kit_live_tasks,
  .live_flows = kit_live_flows, .live_jobs = kit_live_jobs, .reconciler = kit_reconciler, .asker = kit_asker, .pulse = kit_pulse, .keys = kit_keys,
  .wish = kit_wish};

/* ---- the ports ---- */

static int64_t port_now(void *ctx) { return ((struct kit *)ctx)->env.boot_us; }
static void port_deadline(void *ctx, int64_t boot_us) { ((struct kit *)ctx)->deadline = boot_us; }
static size_t port_backlog(void *ctx, enum slot_class s) { return ((struct kit *)ctx)->backlog[s]; }
static void port_cancel(void *ctx, int64_t ti, uint32_t epoch, enum task_stop why) {
  (void)epoch;
  ((struct kit *)ctx)->canceled_ti = ti;
  ((struct kit *)ctx)->canceled_why = why;
}
static bool port_push(void *ctx, enum slot_class s, const struct hint *h, size_t n) {
  struct kit *k = ctx;
  for (size_t i = 0; i < n && !k->push_refused; i++) {
    assert_true(k->n_pushed < KIT_HINTS);
    k->pushed[k->n_pushed].slot = (uint8_t)s;
    k->pushed[k->n_pushed++].h = h[i];
  }
  return !k->push_refused;
}
static void port_hand_back(void *ctx, bool running) {
  if (running) ((struct kit *)ctx)->back_all++;
  else ((struct kit *)ctx)->back_waiting++;
}

/* ---- a world ---- */

int kit_up(void **st) {
  (void)st;
  memset(&kit, 0, sizeof kit);
  kit.store.s.ops = &kit_ops;
  kit.store.s.clock = (struct shared_clock)SHARED_CLOCK_INIT;
  kit.store.me = ME;
  kit.store.office = true;
  struct env *e = &kit.env;
  e->store = &kit.store.s;
  e->ports = (struct runner_ports){.ctx = &kit, .cancel = port_cancel, .hand_back = port_hand_back, .deadline = port_deadline, .push = port_push,
                                   .backlog = port_backlog, .boot_now = port_now};
  e->me = ME;
  e->lease_us = 60 * SEC;
  e->boot_us = 1000 * SEC;
  e->wall_us = 1700000000 * SEC;
  e->batch_no = 1;
  e->rnd = 1;
  arena_init(&e->mem, 0);
  return 0;
}

int kit_down(void **st) {
  (void)st;
  events_done(&kit.events);
  arena_done(&kit.env.mem);
  return 0;
}

void kit_pass(int64_t us) {
  kit.env.boot_us += us;
  kit.env.wall_us += us;
}

void kit_pulls(void) { kit.env.ports.push = NULL; }

void kit_forget_events(void) { kit.events.n = 0; }

struct attempt *kit_attempt(int64_t fi, int64_t ti, uint32_t epoch, enum slot_class slot) {
  struct attempt *a = wr_new(struct attempt);
  a->fi = fi;
  a->ti = ti;
  a->epoch = epoch;
  a->owner = kit.env.me;
  a->policy = (struct task_policy){.slot = (uint8_t)slot};
  a->end = ATTEMPT_OK;
  return a;
}

size_t kit_count(enum ev_kind kind) {
  size_t n = 0;
  for (size_t i = 0; i < kit.events.n; i++) n += kit.events.v[i].kind == kind;
  return n;
}

const struct ev *kit_event(enum ev_kind kind) {
  for (size_t i = 0; i < kit.events.n; i++)
    if (kit.events.v[i].kind == kind) return &kit.events.v[i];
  return NULL;
}

bool aborts(void (*f)(void)) {
  int status = 0;
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) (void)dup2(null, 2);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    f();
    _exit(0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
