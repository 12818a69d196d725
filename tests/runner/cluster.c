/* See cluster.h. */
#include "cluster.h"

struct memdb *db;
struct member m[MEMBERS];
struct hint hint[HINTS];         /* the hints that all have pushed, in order */
size_t n_hint;
static uint8_t hint_slot[HINTS];
size_t small_queue;              /* bytes; > 0: hints stay in each runner, and so few find room */
bool gone;                       /* the database cannot be reached */
int64_t now, bad_fi, bad_ti;     /* the rows of flow bad_fi are refused; the result of task bad_ti is */
bool bad_result, bad_end;        /* every result is refused; every end of an attempt is refused, whatever it says */
const struct never_started *never; size_t n_never;  /* what the next node that joins is told */
int deadlocks;                   /* how many of the next batches must be made again */

/* ---- the world ---- */

static uint8_t slot_of(const char *type) { return strcmp(type, "SHELL") == 0 ? SLOT_PROCESS : SLOT_ASYNC; }

static enum mem_fate count_call(void *ctx, void *node, enum mem_call what, const struct batch *b) {
  (void)ctx;
  ((struct member *)node)->calls[what]++;
  if (what == MEM_WAIT) now += SEC / 40; /* forty of them make a second */
  for (size_t i = 0; what == MEM_WRITE && i < b->n_flow; i++)
    if (b->flow[i].row.fi == bad_fi) return MEM_BAD;
  for (size_t i = 0; what == MEM_WRITE && i < b->n_task; i++)
    if (b->task[i].finish && bad_end) return MEM_BAD;
    else if (b->task[i].row.result && (bad_result || b->task[i].row.ti == bad_ti)) return MEM_BAD;
  if (what == MEM_WRITE && deadlocks > 0) return deadlocks--, MEM_RETRY;
  return gone ? MEM_DOWN : MEM_GO;
}
static void no_commit(void *ctx, int64_t me, const struct batch *b) { (void)ctx, (void)me, (void)b; }
static void broken(void *ctx, const char *what, int64_t id) {
  (void)ctx;
  fail_msg("%s: %lld", what, (long long)id);
}

static void port_start(void *ctx, struct attempt *list) {
  struct member *x = ctx;
  *x->tail = list;
  for (struct attempt *a = list; a != NULL; a = a->next) {
    x->n_work++;
    x->tail = &a->next;
  }
}

static bool port_push(void *ctx, enum slot_class s, const struct hint *h, size_t n) {
  struct member *x = ctx;
  x->pushed += (uint32_t)n;
  for (size_t i = 0; i < n && n_hint < HINTS; i++) {
    hint_slot[n_hint] = (uint8_t)s;
    hint[n_hint++] = h[i];
  }
  return true;
}
static int64_t boot_now(void *ctx) { return (void)ctx, now; }

struct member *join(int i, uint32_t process, uint32_t async) {
  struct member *x = &m[i];
  struct wr_err err;
  *x = (struct member){.s = memdb_connect(db, x)};
  x->tail = &x->work;
  x->defs = defs_new(x->s, slot_of);
  struct runner_opts o = {.store = x->s, .defs = x->defs, .lease_us = 60 * SEC, .info = {.host = "h", .pid = i + 1, .slots = 1, .roles = "all"}, .seed = 3,
                          .slots = {[SLOT_PROCESS] = process, [SLOT_ASYNC] = async},
                          .ports = {.ctx = x, .start = port_start, .push = port_push, .boot_now = boot_now}};
  if (small_queue > 0) {
    o.ports.push = NULL;
    o.waiting_bytes = small_queue;
  }
  o.never = never;
  o.n_never = n_never;
  if (runner_new(&o, &x->r, &err) != WR_OK) fail_msg("%s", err.msg);
  return x;
}

int64_t one_turn(struct member *x) {
  db->now_us = ++now;
  memdb_tick(db);
  return runner_turn(x->r, now, now);
}

void turns(struct member *x) {
  for (int i = 0; i < 200; i++) {
    if (one_turn(x) > now + 200 || !runner_pending(x->r)) return;
  }
  fail_msg("it never ends");
}

void finish_work(struct member *x) {
  struct attempt *list = x->work;
  x->work = NULL;
  x->tail = &x->work;
  x->n_work = 0;
  for (struct attempt *a = list; a != NULL; a = a->next) {
    a->end = ATTEMPT_OK;
    a->result = wr_strdup("r");
    a->result_len = 1;
  }
  runner_post_results(x->r, list);
}

void answered(struct req *q, void *ctx) {
  (void)q;
  ++*(int *)ctx;
}

void request(struct member *x, struct req *q) {
  int n = 0;
  q->done = answered;
  q->done_ctx = &n;
  assert_true(runner_post(x->r, q));
  for (; deadlocks > 0; now += SEC) one_turn(x); /* x pauses before it tries again */
  turns(x);
  assert_int_equal(n, 1);
  assert_int_equal(q->rc, WR_OK);
}

int64_t start(struct member *x, int64_t flow, uint32_t n) {
  struct req_start *st = wr_calloc(n, sizeof *st);
  for (uint32_t i = 0; i < n; i++) st[i].flow_id = flow;
  struct req q = {.kind = REQ_START, .start = st, .n_start = n};
  request(x, &q);
  int64_t fi = st[0].fi;
  free(st);
  return fi;
}

/* Everything that was pushed so far goes to x, in one batch. */
void hand_hints(struct member *x) {
  memset(x->calls, 0, sizeof x->calls);
  for (size_t i = 0; i < n_hint; i++) runner_post_hints(x->r, (enum slot_class)hint_slot[i], &hint[i], 1);
  n_hint = 0;
  one_turn(x);
}

bool all_final(void) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&db->flow, &i)) != NULL;)
    if (!flow_final((enum flow_state)((struct mem_flow *)s->val)->r.state)) return false;
  return true;
}


void open_world(bool single) {
  const struct mem_hooks h = {NULL, count_call, no_commit, no_commit, broken, NULL};
  now = 1700000000 * SEC;
  n_hint = 0;
  bad_fi = bad_ti = 0;
  deadlocks = 0;
  bad_result = bad_end = false;
  memset(m, 0, sizeof m);
  db = memdb_new(&h, single, 60 * SEC, slot_of);
  db->now_us = now;
}

int set_up(void **st) {
  (void)st;
  open_world(false);
  return 0;
}

void leave(struct member *x) {
  for (struct attempt *a = x->work, *next; a != NULL; a = next) {
    next = a->next;
    attempt_free(a);
  }
  runner_free(x->r);
  if (x->defs) defs_free(x->defs);
  if (x->s) store_close(x->s);
  *x = (struct member){0};
}

int tear_down(void **st) {
  (void)st;
  for (int i = 0; i < MEMBERS; i++) leave(&m[i]);
  memdb_free(db);
  small_queue = 0;
  return 0;
}

int set_up_single(void **st) {
  (void)st;
  open_world(true);
  return 0;
}

/* Time passes in steps, with a turn for each of the first n members that exists. */
void pass(int64_t seconds, int from, int n) {
  for (int64_t end = now + seconds * SEC; now < end; now += SEC)
    for (int i = from; i < n; i++) turns(&m[i]);
}

/* n nodes without edges, whose types alternate. */
int64_t wide_flow(unsigned n, const char *const *type, unsigned n_type) {
  struct buf b = BUF_INIT;
  buf_str(&b, "{\"flowName\":\"w\",\"flowNodes\":[");
  for (unsigned i = 0; i < n; i++)
    buf_printf(&b, "%s{\"nodeKey\":\"k%u\",\"prevNodes\":[],\"tasks\":[{\"taskType\":\"%s\"}]}", i ? "," : "", i, type[i % n_type]);
  buf_printf(&b, ",{\"nodeKey\":\"end\",\"prevNodes\":[\"k0\"],\"tasks\":[{\"taskType\":\"ECHO\"}]}]}");
  int64_t id = memdb_save_flow(db, 0, b.data, n + 1);
  buf_done(&b);
  return id;
}
