/* What clients do in the simulator: definitions of random shape, and random requests at random nodes. sim.h.
 * What never happens: a definition that POST /flow would refuse. */
#include <stdio.h>
#include <stdlib.h>
#include "sim.h"

static const char *pick(struct world *w, const char *const *v, size_t n) { return v[sim_rnd(w, n)]; }
#define PICK(w, ...) pick((w), (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

uint8_t sim_slot_of(const char *type) { return strcmp(type, "SHELL") == 0 ? SLOT_PROCESS : SLOT_ASYNC; }

/* ---- definitions ---- */

static void add_policy(struct world *w, struct buf *b, bool queue) {
  if (sim_chance(w, 400)) {
    buf_printf(b, "\"attempts\":%u,", 1 + (unsigned)sim_rnd(w, 4));
    buf_printf(b, "\"backoff\":{\"base\":\"%s\",", PICK(w, "10ms", "500ms", "3s"));
    buf_printf(b, "\"factor\":%u,", 1 + (unsigned)sim_rnd(w, 3)); /* one draw for each call, because compilers evaluate arguments in any order */
    buf_printf(b, "\"jitter\":\"%s\"},", PICK(w, "full", "equal", "none"));
  }
  if (sim_chance(w, 100) && queue) buf_printf(b, "\"queueTimeout\":\"%s\",", PICK(w, "20ms", "2s", "20s"));
  if (sim_chance(w, 250)) buf_printf(b, "\"timeout\":\"%s\",", PICK(w, "5ms", "300ms", "4s"));
}

static void add_task(struct world *w, struct buf *b, const char *name) {
  buf_printf(b, "{\"taskName\":\"%s\",\"taskType\":\"%s\",\"taskConfig\":{", name, w->quick ? "SHELL" : PICK(w, "SHELL", "ECHO", "ECHO"));
  add_policy(w, b, true);
  buf_printf(b, "\"onLost\":\"%s\"}}", sim_chance(w, 100) ? "fail" : "retry");
}

static void save_task(struct world *w, int64_t id) {
  struct buf b = BUF_INIT;
  add_task(w, &b, "task");
  id = memdb_save_task(w->db, id, b.data);
  sim_trace(w, "save task", id, 0, 0);
  buf_done(&b);
}

static void add_ids(struct world *w, struct buf *b, unsigned n) {
  uint64_t all = w->db->n_tasks, first = sim_rnd(w, all);
  buf_str(b, "\"taskIds\":\"");
  for (unsigned i = 0; i < n; i++) buf_printf(b, "%s%u", i ? "," : "", (unsigned)((first + i) % all) + 1);
  buf_str(b, "\"");
}

static void add_node(struct world *w, struct buf *b, unsigned i, bool plain) {
  unsigned n = plain || sim_chance(w, 650) ? 1 : 1 + (unsigned)sim_rnd(w, 4);
  bool by_id = sim_chance(w, 500) && n <= w->db->n_tasks;
  buf_printf(b, "%s{\"nodeType\":\"TASK\",\"nodeKey\":\"k%u\",", i ? "," : "", i);
  if (by_id && sim_chance(w, 200)) add_policy(w, b, false);
  if (n > 1) {
    if (sim_chance(w, 400)) buf_str(b, "\"complete\":\"all\",");
    else if (sim_chance(w, 400)) buf_printf(b, "\"complete\":%u,", 1 + (unsigned)sim_rnd(w, n));
    buf_printf(b, "\"rest\":\"%s\",", PICK(w, "run_on", "cancel"));
  }
  if (by_id) { add_ids(w, b, n); return; }
  buf_str(b, "\"tasks\":[");
  for (unsigned k = 0; k < n; k++) {
    if (k) buf_ch(b, ',');
    add_task(w, b, "inline");
  }
  buf_ch(b, ']');
}

static void add_parents(struct buf *b, const unsigned *p, unsigned n) {
  buf_str(b, ",\"prevNodes\":[");
  for (unsigned k = 0; k < n; k++) buf_printf(b, "%s\"k%u\"", k ? "," : "", p[k]);
  buf_str(b, "]}");
}

enum shape { CHAIN, DIAMOND, GRID, FAN, ANY, SHAPE__N };

/* Parents of node i among 0 .. i-1. */
static unsigned parents_of(struct world *w, enum shape s, unsigned i, unsigned n, unsigned *p) {
  unsigned m = 0, side = 3;
  switch (s) {
  case CHAIN: if (i > 0) p[m++] = i - 1; break;
  case DIAMOND: case FAN:
    if (i > 0 && i < n - 1) p[m++] = 0;
    for (unsigned k = 1; i == n - 1 && k < n - 1; k++) p[m++] = k;
    break;
  case GRID:
    if (i % side > 0) p[m++] = i - 1;
    if (i >= side) p[m++] = i - side;
    break;
  case ANY:
    for (unsigned k = 0; k < i; k++)
      if (sim_rnd(w, i + 1) < 2) p[m++] = k;
    break;
  case SHAPE__N: break;
  }
  return m;
}

static unsigned size_of(struct world *w, enum shape s) {
  bool wide = sim_chance(w, w->batch_rows < 100 ? 300 : 60) && w->queue_cap > 1000; /* a tiny queue is filled once in 10 s */
  switch (s) {
  case CHAIN: return 1 + (unsigned)sim_rnd(w, 7);
  case DIAMOND: return 4;
  case GRID: return 9;
  case FAN: return wide ? w->batch_rows + 200 : 3 + (unsigned)sim_rnd(w, 30);
  case ANY: case SHAPE__N: break;
  }
  return 1 + (unsigned)sim_rnd(w, 12);
}

static void save_flow(struct world *w, int64_t id) {
  struct buf b = BUF_INIT;
  enum shape s = (enum shape)sim_rnd(w, SHAPE__N);
  unsigned n = size_of(w, s), *p = wr_calloc(n + 1, sizeof *p);
  buf_printf(&b, "{\"flowName\":\"f\",\"onFailure\":\"%s\",", PICK(w, "continue", "continue", "stop_new", "cancel"));
  if (sim_chance(w, 150)) buf_printf(&b, "\"timeout\":\"%s\",", PICK(w, "100ms", "3s", "1m"));
  buf_str(&b, "\"flowNodes\":[");
  for (unsigned i = 0; i < n; i++) {
    add_node(w, &b, i, n > 100);
    add_parents(&b, p, parents_of(w, s, i, n, p));
  }
  buf_str(&b, "]}");
  id = memdb_save_flow(w->db, id, b.data, n);
  sim_trace(w, "save flow", id, s, n);
  buf_done(&b);
  free(p);
}

void load_setup(struct world *w) {
  for (uint64_t n = 1 + sim_rnd(w, 4); n > 0; n--) save_task(w, 0);
  for (uint64_t n = 1 + sim_rnd(w, 4); n > 0; n--) save_flow(w, 0);
}

/* ---- requests ---- */

static void op_free(struct op *o) {
  for (uint32_t i = 0; i < o->q.n_start; i++) params_unref(o->q.start[i].params);
  free(o->q.start);
  free(o);
}

static void op_done(struct req *q, void *ctx) {
  struct op *o = ctx;
  struct world *w = o->node->w;
  if (o->node->dead) return; /* the client never hears */
  if (o->answered) sim_fail(w, "a request is answered twice");
  o->answered = true;
  sim_trace(w, "answer", q->kind, q->rc, q->fi);
  if (o->never && q->rc == WR_OK && q->changed && !q->replayed) sim_fail(w, "nothing is to be stored, its client was told; and it is");
  if (o->gave_up) return;
  rival_answer(w, o);
  oracle_answer(w, o);
}

static int64_t any_id(struct world *w, int64_t max) { return max == 0 || sim_chance(w, 10) ? max + 1000 : 1 + (int64_t)sim_rnd(w, (uint64_t)max); }
/* Mostly recent ones, because they are alive. */
static int64_t late_id(struct world *w, int64_t max) {
  int64_t id = any_id(w, max);
  return sim_chance(w, 600) && max > 20 && id <= max ? max - id % 20 : id;
}

static void fill_start(struct world *w, struct req *q) {
  q->kind = REQ_START;
  q->n_start = sim_chance(w, 800) ? 1 : 1 + (uint32_t)sim_rnd(w, 6);
  q->start = wr_calloc(q->n_start, sizeof *q->start);
  for (uint32_t i = 0; i < q->n_start; i++) {
    q->start[i].flow_id = any_id(w, (int64_t)w->db->n_flows);
    if (sim_chance(w, 300)) q->start[i].params = params_new("{\"k\":\"v\"}");
  }
}

/* ---- keys ---- */

static struct intent *any_intent(struct world *w) {
  if (w->n_intent == SIM_KEYS || (w->n_intent > 0 && sim_chance(w, 700))) { /* mostly a recent one, whose first request is under way */
    size_t back = sim_chance(w, 700) && w->n_intent > 3 ? 3 : w->n_intent;
    return &w->intent[w->n_intent - 1 - sim_rnd(w, back)];
  }
  struct intent *k = &w->intent[w->n_intent];
  *k = (struct intent){.kind = sim_chance(w, 700) ? REQ_START : REQ_EXEC_TASK, .won = -1};
  (void)snprintf(k->key, sizeof k->key, "key-%02u", (unsigned)(w->n_intent * 7 % SIM_KEYS)); /* so that keys are not sorted */
  for (int i = 0; i < KEY_BODIES; i++) {
    memset(k->hash[i], (int)w->n_intent * KEY_BODIES + i + 1, KEY_HASH_BYTES);
    (void)snprintf(k->body[i], sizeof k->body[i], "{\"key\":\"%u %d\"}", (unsigned)w->n_intent, i);
  }
  k->n = sim_chance(w, 700) ? 1 : 2 + (uint32_t)sim_rnd(w, 4);
  k->id = any_id(w, (int64_t)(k->kind == REQ_START ? w->db->n_flows : w->db->n_tasks));
  w->n_intent++;
  return k;
}

/* A start with its key, perhaps for the tenth time, perhaps with another body. */
static void fill_keyed(struct world *w, struct op *o, struct intent *k) {
  struct req *q = &o->q;
  o->intent = k;
  o->body = sim_chance(w, 100);
  q->kind = k->kind;
  q->key = k->key;
  q->key_hash = k->hash[o->body];
  o->task.task_id = k->id;
  q->n_start = k->kind == REQ_START ? k->n : 0;
  q->start = wr_calloc(k->n, sizeof *q->start);
  for (uint32_t i = 0; i < q->n_start; i++) q->start[i] = (struct req_start){.flow_id = k->id, .params = params_new(k->body[o->body])};
}

static void fill_rerun(struct world *w, struct op *o) {
  struct req *q = &o->q;
  const struct map64_slot *s;
  q->kind = REQ_RERUN;
  q->fi = late_id(w, w->db->max_fi);
  const struct mem_flow *f = memdb_flow(w->db, q->fi);
  q->flow_id = f ? f->r.flow_id : 1;
  if (f && sim_chance(w, 20)) q->flow_id++;
  if (!f || sim_chance(w, 400)) return;
  uint64_t seen = 0;
  for (size_t i = 0; (s = map64_next(&w->db->node, &i)) != NULL;) { /* any of its nodes */
    const struct mem_node *n = s->val;
    if (n->r.fi == q->fi && sim_rnd(w, ++seen) == 0) q->ni = n->r.ni;
    if (seen > 50) break;
  }
}

/* What belongs to the request by its kind; `q` may have been moved since it was filled in. */
static void tie(struct world *w, struct op *o) {
  if (o->q.job) return;
  if (o->q.kind == REQ_EXEC_TASK) {
    o->q.task = &o->task;
    o->q.n_task = 1;
    o->task.spec = &o->spec;
  }
  if (o->q.kind == REQ_START) queues_start(w, o);
  if (o->q.kind != REQ_ASK) return;
  o->q.ask = &o->ask;
  o->ask.of = o->of;
  for (uint32_t i = 0; i < o->ask.n; i++) {
    uintptr_t bits = wished(w, o->of[i].ti) | wish_bit(o->ask.ask) | (o->ask.force ? WISH_FORCE : 0);
    (void)map64_put(&w->wished, o->of[i].ti, (void *)bits);
  }
}

/* A stand-alone task that starts at once, later, or when it is run; perhaps with a name that another one has. */
static void fill_task(struct world *w, struct op *o) {
  o->q.kind = REQ_EXEC_TASK;
  o->task.task_id = any_id(w, (int64_t)w->db->n_tasks);
  queues_task(w, o);
  if (sim_chance(w, 700)) return;
  o->spec.hold = sim_chance(w, 300);
  if (!o->spec.hold && sim_chance(w, 500)) o->spec.delay_us = sim_between(w, 1, 20 * SEC);
  if (!sim_chance(w, 600)) return;
  (void)snprintf(o->name, sizeof o->name, "n-%u", (unsigned)sim_rnd(w, SIM_NAMES));
  o->spec.key = o->name;
  o->spec.if_exists = (enum if_exists)sim_rnd(w, 3);
  memset(o->spec.hash, sim_chance(w, 900) ? 1 : 2, sizeof o->spec.hash);
}

/* A stand-alone task, mostly a recent one; the first of three tries that is one. */
static int64_t alone_id(struct world *w) {
  int64_t ti = 0;
  for (int i = 0; i < 3; i++) {
    ti = late_id(w, w->db->max_ti);
    const struct mem_task *t = memdb_task(w->db, ti);
    if (t && t->r.fi == 0) break;
  }
  return ti;
}

/* The one that will run longest, of those that run: nothing but its deletion ends it soon. 0 = none runs. */
static int64_t running_id(const struct world *w) {
  const struct work *last = NULL;
  for (int i = 0; i < w->n_node; i++)
    for (const struct work *k = w->node[i].work; k != NULL; k = k->next)
      if (k->a->fi == 0 && k->state == WORK_RUNS && (!last || k->end_at > last->end_at)) last = k;
  return last ? last->a->ti : 0;
}

static void fill_ask(struct world *w, struct op *o) {
  static const enum ask all[] = {ASK_CANCEL, ASK_CANCEL, ASK_CANCEL, ASK_PAUSE, ASK_PAUSE, ASK_PAUSE, ASK_RUN, ASK_RUN, ASK_DELETE, ASK_QUEUE};
  o->q.kind = REQ_ASK;
  o->ask.ask = all[sim_rnd(w, sizeof all / sizeof *all)];
  o->ask.force = o->ask.ask == ASK_DELETE && sim_chance(w, 200);
  o->ask.n = sim_chance(w, 800) ? 1 : 2 + (uint32_t)sim_rnd(w, ASK_MOST - 1);
  o->ask.each = o->ask.n > 1 || sim_chance(w, 100);
  if (o->ask.ask == ASK_QUEUE) {
    o->queue = (struct queue_spec){.user = "u", .group = sim_chance(w, 500) ? "g" : NULL, .priority = (int32_t)sim_rnd(w, 100), .has_priority = true};
    o->ask.queue = &o->queue;
  }
  for (uint32_t i = 0; i < o->ask.n; i++) o->of[i].ti = o->ask.n == 1 && sim_chance(w, 600) ? late_id(w, w->db->max_ti) : alone_id(w);
  int64_t runs = o->ask.ask == ASK_DELETE ? running_id(w) : 0;
  if (runs != 0) o->of[0].ti = runs;
}

void load_send(struct world *w, struct op *o) {
  struct node *n = &w->node[sim_rnd(w, (uint64_t)w->n_node)];
  tie(w, o);
  o->node = n;
  o->life = n->life;
  o->q.done = op_done;
  o->q.done_ctx = o;
  if (!n->up) { op_free(o); return; }
  sim_trace(w, "request", o->q.kind, o->q.fi, n->id);
  const struct mem_flow *f = memdb_flow(w->db, o->q.fi);
  o->run_no = f ? f->r.run_no : 0;
  o->final = f && flow_final((enum flow_state)f->r.state);
  o->there = o->q.job ? memdb_job(w->db, o->job.job_id) != NULL : o->q.kind == REQ_ASK ? memdb_task(w->db, o->of[0].ti) != NULL : f != NULL;
  o->next = w->ops;
  w->ops = o;
  w->n_ops++;
  o->post_at = w->now;
  o->patient = sim_chance(w, 300);
  if (runner_post(n->runner, &o->q)) *WR_PUSH(w->open, w->n_open, w->cap_open) = o;
  else o->answered = true;
}

/* What was just asked to be deleted is deleted by force, asked of any node: its attempt may be stopping. */
static void insist(struct world *w, int64_t ti) {
  struct op *o = wr_new(struct op);
  o->q.kind = REQ_ASK;
  o->ask = (struct req_ask){.ask = ASK_DELETE, .force = true, .n = 1};
  o->of[0].ti = ti;
  load_send(w, o);
}

/* ---- patience ---- */

static bool waits(const struct op *o) { return !o->answered && o->node->up && !o->node->dead && o->node->life == o->life; }

int64_t load_next(const struct world *w) {
  int64_t at = INT64_MAX;
  for (size_t i = 0; i < w->n_open; i++)
    if (!w->open[i]->patient && !w->open[i]->gave_up && w->open[i]->post_at + REQUEST_US < at) at = w->open[i]->post_at + REQUEST_US;
  return at;
}

bool load_ready(const struct world *w) { return load_next(w) <= w->now; }

static void take_back(struct world *w, struct op *o) {
  enum req_back got = runner_take_back(o->node->runner, &o->q);
  w->n_back++;
  sim_trace(w, "back", o->q.kind, got, o->node->id);
  switch (got) {
  case REQ_BACK_ANSWERED: sim_fail(w, "a request is said to be answered, and is not");
  case REQ_BACK_YOURS: o->answered = o->never = true; break;
  case REQ_BACK_UNSENT: o->never = true; break;
  case REQ_BACK_UNKNOWN: break;
  }
  o->gave_up = true;
}

void load_back(struct world *w) {
  size_t k = 0;
  for (size_t i = 0; i < w->n_open; i++) {
    struct op *o = w->open[i];
    if (waits(o) && !o->patient && !o->gave_up && o->post_at + REQUEST_US <= w->now) take_back(w, o);
    if (waits(o)) w->open[k++] = o;
  }
  w->n_open = k;
}

/* While the store is known to be away, only requests in a batch of unknown outcome wait. At other times a request waits no longer
 * than REQUEST_US and a bit, unless the node could not act. A store that refuses a write is not away: another node may hold the
 * flow. */
void load_check(struct world *w) {
  for (size_t i = 0; i < w->n_open; i++) {
    const struct op *o = w->open[i];
    const struct node *n = o->node;
    if (!waits(o) || o->gave_up || node_asleep(n)) continue;
    rival_check(w, o);
    int64_t from = o->post_at > n->out_until ? o->post_at : n->out_until;
    if (w->now - from > REQUEST_US + 8 * SEC) sim_fail(w, "a request of kind %d has waited for %lld s", (int)o->q.kind, (long long)((w->now - from) / SEC));
    bool away = n->fault_until > w->now && (n->fault == FAULT_DOWN || n->fault == FAULT_RETRY || n->fault == FAULT_FULL) && !batch_in_doubt(n->runner);
    if (away && n->fault_from > from) from = n->fault_from;
    if (away && w->now - from > 8 * SEC) sim_fail(w, "a request of kind %d waits for a store that is away (node %d, fault %d)", (int)o->q.kind, n->id, (int)n->fault);
    struct health_part store, disk;
    if (!away || w->now - from < 6 * SEC) continue;
    watch_health(&n->runner->watch, node_boot(n), &store, &disk);
    if (store.ok && disk.ok && n->fault != FAULT_BAD) sim_fail(w, "node %d says that its store is well", n->id);
  }
}

static void change_definitions(struct world *w) {
  uint64_t k = sim_rnd(w, 10);
  if (k < 4) save_task(w, 1 + (int64_t)sim_rnd(w, w->db->n_tasks));
  else if (k < 8) {
    int64_t id = w->db->n_flows < 8 && sim_chance(w, 500) ? 0 : 1 + (int64_t)sim_rnd(w, w->db->n_flows);
    if (id == 0 || !w->db->flows[id - 1].deleted) save_flow(w, id);
  }
  else if (w->db->n_flows > 1 && sim_chance(w, 300)) {
    int64_t id = 1 + (int64_t)sim_rnd(w, w->db->n_flows);
    bool done = !w->db->flows[id - 1].deleted && memdb_delete_flow(w->db, id);
    sim_trace(w, "delete flow", id, done, 0);
  }
}

/* Requests that change nothing: a batch of them renews no lease. */
void load_idle_op(struct world *w) {
  struct op *o = wr_new(struct op);
  o->q.kind = REQ_CANCEL_FLOW;
  o->q.fi = 1 << 30;
  load_send(w, o);
}

/* CREATED and PAUSED last until a user runs the task, or resumes the flow: in the calm one does, so that all comes to its end. */
void load_wake(struct world *w) {
  const struct map64_slot *s;
  if (w->now < w->wake_at) return;
  w->wake_at = w->now + SEC / 10;
  jobs_wake(w);
  if (w->db->n_wait == 0) return;
  for (size_t i = 0; (s = map64_next(&w->db->flow, &i)) != NULL;) {
    const struct flow_row *f = &((struct mem_flow *)s->val)->r;
    if (f->state != FLOW_PAUSED) continue;
    struct op *o = wr_new(struct op);
    o->q.kind = REQ_RESUME_FLOW;
    o->q.fi = f->fi;
    load_send(w, o);
    return;
  }
  for (size_t i = 0; (s = map64_next(&w->db->task, &i)) != NULL;) {
    const struct task_row *t = &((struct mem_task *)s->val)->r;
    if (t->t.state != TASK_CREATED && t->t.state != TASK_PAUSED) continue;
    if (t->t.state == TASK_CREATED && t->t.phase != PHASE_RUN && w->now / (SEC / 10) % 2) continue; /* it waits for others: every other time */
    struct op *o = wr_new(struct op);
    o->q.kind = REQ_ASK;
    o->ask = (struct req_ask){.ask = ASK_RUN, .n = 1};
    o->of[0].ti = t->ti;
    load_send(w, o);
    return;
  }
}

/* A deleted flow stays as it is: no new version is saved. */
void load_op(struct world *w) {
  struct op *o = wr_new(struct op);
  struct req *q = &o->q;
  uint64_t k = sim_rnd(w, 100);
  if (k < 6) { free(o); change_definitions(w); return; }
  if (k < 45 && sim_chance(w, w->p_key)) {
    struct intent *key = any_intent(w);
    fill_keyed(w, o, key);
    load_send(w, o);
    if (sim_chance(w, 700)) return;
    o = wr_new(struct op); /* again at once, at any node */
    fill_keyed(w, o, key);
  }
  else if (k < 45) fill_start(w, q);
  else if (k < 60) {
    q->kind = sim_chance(w, 600) ? REQ_CANCEL_FLOW : sim_chance(w, 600) ? REQ_PAUSE_FLOW : REQ_RESUME_FLOW;
    q->checkpoint = sim_chance(w, 500);
    q->fi = late_id(w, w->db->max_fi);
  }
  else if (k < 72) fill_ask(w, o);
  else if (k < 88) fill_rerun(w, o);
  else fill_task(w, o);
  int64_t deleted = o->q.kind == REQ_ASK && o->ask.ask == ASK_DELETE ? o->of[0].ti : 0;
  load_send(w, o);
  if (deleted != 0 && w->step % 2 == 0) insist(w, deleted);
}

void load_done(struct world *w) {
  for (struct op *o = w->ops, *next; o != NULL; o = next) {
    next = o->next;
    op_free(o);
  }
  w->ops = NULL;
  free(w->open);
}
