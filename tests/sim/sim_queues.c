/* Queues in a quarter of all worlds: somebody sets and deletes rows of task_queue, stand-alone tasks belong to somebody and cost
 * something, and each commit is held against the rows as they are then. The other worlds are unchanged, and so is the order of random
 * numbers in this one: this part has its own. */
#include "sim.h"

#define SLACK_US (2 * SEC)            /* clocks of nodes, and the time between a decision and its commit */

static uint64_t rnd(struct world *w, uint64_t n) { return rand_next(&w->queues.rng) % n; }

void queues_setup(struct world *w) {
  struct world_queues *q = &w->queues;
  q->rng = w->seed * 0x9E3779B97F4A7C15ull ^ 0x51ull;
  q->on = (w->seed * 0xD1B54A32D192ED03ull) >> 62 == 0;
  q->costs = q->on && rnd(w, 2) == 0;
}

struct queue_opts queues_opts(const struct world *w) {
  struct queue_opts o = {.cost_wait_us = 5 * SEC, .ageing_us = 10 * SEC};
  if (w->queues.costs) o.cpu_budget = 200;
  return w->queues.on ? o : (struct queue_opts){0};
}

static const char *some(struct world *w, bool any) {
  static const char *const name[] = {"u", "v", ""};
  return name[rnd(w, any ? 3 : 2)];
}

/* A task's: mostly of somebody. */
void queues_task(struct world *w, struct op *o) {
  if (!w->queues.on || rnd(w, 4) == 0) return;
  o->queue = (struct queue_spec){.user = some(w, true), .group = rnd(w, 2) ? "g" : "", .priority = (int32_t)rnd(w, 11) - 5, .has_priority = true,
                                 .cpu = w->queues.costs ? (int32_t)rnd(w, 5) * 50 : 0, .has_cpu = true};
  o->spec.queue = &o->queue;
}

/* Half of all starts say whose the tasks of their flows are. */
void queues_start(struct world *w, struct op *o) {
  if (!w->queues.on || rnd(w, 2) == 0) return;
  o->queue = (struct queue_spec){.user = some(w, true), .group = rnd(w, 2) ? "g" : "", .priority = (int32_t)rnd(w, 11) - 5, .has_priority = true};
  for (uint32_t i = 0; i < o->q.n_start; i++) o->q.start[i].queue = &o->queue;
}

static void told(struct world *w) {
  for (int i = 0; i < w->n_node; i++)
    if (w->node[i].up && !w->node[i].dead && (w->single || rnd(w, 2))) runner_queues_changed(w->node[i].runner);
}

/* The bucket of a rate, as this oracle sees it: full at that time. */
static struct seen_queue *seen(struct world *w, int64_t id) {
  struct world_queues *q = &w->queues;
  while (q->n_seen < (size_t)id) *WR_PUSH(q->seen, q->n_seen, q->cap_seen) = (struct seen_queue){0};
  return &q->seen[id - 1];
}

static int64_t seen_at(struct world *w, size_t i) { return seen(w, (int64_t)i + 1)->changed; }

void queues_op(struct world *w) {
  struct queue_row r = {.user = some(w, true), .group = rnd(w, 3) == 0 ? "g" : "", .max_running = -1, .rate_count = -1, .rate_per_us = -1,
                        .weight = -1, .order = -1, .paused = -1};
  if (!w->queues.on || rnd(w, 5) != 0) return;
  if (rnd(w, 3) == 0) {
    if (memdb_delete_queue(w->db, r.user, r.group)) told(w);
    return;
  }
  if (rnd(w, 2)) r.max_running = (int64_t)rnd(w, 4);
  if (rnd(w, 3) == 0) r.rate_count = 1 + (int64_t)rnd(w, 5), r.rate_per_us = (1 + (int64_t)rnd(w, 10)) * SEC;
  if (rnd(w, 4) == 0) r.paused = 1;
  if (rnd(w, 3) == 0) r.order = (int32_t)rnd(w, 2);
  if (rnd(w, 3) == 0) r.weight = 1 + (int32_t)rnd(w, 1000);
  if (!memdb_set_queue(w->db, &r)) return;
  sim_trace(w, "queue", r.max_running, r.rate_count, r.paused);
  for (size_t i = 0; i < w->db->n_queue; i++)
    if (!strcmp(w->db->queue[i]->r.user, r.user) && !strcmp(w->db->queue[i]->r.group, r.group)) *seen(w, (int64_t)i + 1) = (struct seen_queue){.changed = w->now};
  told(w);
}

/* Nothing is limited any more, so that all comes to its end. */
void queues_calm(struct world *w) {
  for (size_t i = 0; i < w->db->n_queue; i++) w->db->queue[i]->deleted = true;
  if (w->db->n_queue > 0) w->db->queues_version = ++w->db->defs_version;
  told(w);
}

/* ---- the oracle ---- */

/* Whose a task is, by the rows alone. */
static struct queue_view whose(const struct world *w, int64_t ti) {
  const struct mem_async *a = memdb_async(w->db, ti);
  const struct mem_task *t = memdb_task(w->db, ti);
  const struct mem_flow *f = t && t->r.fi ? memdb_flow(w->db, t->r.fi) : NULL;
  struct queue_view v = {"", "", 0, 0, NULL};
  if (a) return (struct queue_view){a->r.user, a->r.group, 0, 0, NULL};
  for (int i = 0; f && i < 2; i++) {
    const struct mem_whose *x = memdb_whose(f, i ? ti : 0);
    if (x && x->r.user) v.user = x->r.user;
    if (x && x->r.group) v.group = x->r.group;
  }
  return v;
}

static bool matches(const struct queue_row *q, const struct world *w, int64_t ti) {
  struct queue_view v = whose(w, ti);
  return (!*q->user || !strcmp(q->user, v.user)) && (!*q->group || !strcmp(q->group, v.group));
}

static void check_rate(struct world *w, const struct queue_row *q, const struct task_row *t) {
  struct seen_queue *s = seen(w, q->queue_id);
  if (s->n == SEEN_MOST) memmove(s->at, s->at + 1, --s->n * sizeof *s->at);
  s->at[s->n++] = t->t.start_us;
  for (size_t i = 0; i < s->n; i++) {
    int64_t stretch = s->at[s->n - 1] - s->at[i] + SLACK_US;
    double most = (double)q->rate_count * (1 + (double)stretch / (double)q->rate_per_us);
    if ((double)(s->n - i) > most)
      sim_fail(w, "queue %lld: %zu starts in %lld us, not %.1f", (long long)q->queue_id, s->n - i, (long long)(stretch - SLACK_US), most);
  }
}

/* A claim that came back before anything of it began is no start: one of that time is taken out of each queue that it was under. */
static void check_unpaid(struct world *w, const struct queue_row *q, const struct batch *b) {
  struct seen_queue *s = seen(w, q->queue_id);
  for (size_t i = 0; i < b->n_attempt; i++) {
    const struct attempt_row *a = &b->attempt[i];
    const struct rec *r = ledger_get(w, a->ti, a->epoch);
    size_t k = s->n;
    if (!a->why || strcmp(a->why, "HANDBACK") != 0 || !r || r->executed || !matches(q, w, a->ti)) continue;
    while (k > 0 && s->at[k - 1] != a->start_us) k--;
    if (k > 0) memmove(&s->at[k - 1], &s->at[k], (s->n-- - k) * sizeof *s->at);
  }
}

static int64_t counts(const struct world *w, const struct queue_row *q) {
  const struct map64_slot *s;
  int64_t n = 0;
  for (size_t i = 0; (s = map64_next(&w->db->task, &i)) != NULL;) {
    const struct mem_task *t = s->val;
    n += task_counts(&t->r.t) && matches(q, w, t->r.ti);
  }
  return n;
}

/* The same batch has claimed it and then moved it: where it was claimed is not known any more. */
static bool moved(const struct batch *b, int64_t ti) {
  for (size_t i = 0; i < b->n_async; i++)
    if (b->async[i].row.ti == ti) return b->async[i].op == ROW_UPDATE;
  for (size_t i = 0; i < b->n_whose; i++)
    if (b->whose[i].ti == ti) return true;
  return false;
}

static bool limited(struct world *w) {
  for (size_t i = 0; i < w->db->n_queue; i++)
    if (!w->db->queue[i]->deleted && w->now - seen_at(w, i) >= SLACK_US) return true;
  return false;
}

/* While there is a row, whatever starts is noted with its queue, and what does not count is not noted. */
static void check_notes(struct world *w, const struct batch *b) {
  for (size_t i = 0; i < w->n_claim; i++) {
    int64_t ti = w->claim[i]->ti;
    const struct mem_task *t = memdb_task(w->db, ti);
    const struct mem_note *n = memdb_note(w->db, ti);
    if (!t || !task_counts(&t->r.t)) continue;
    struct queue_view v = whose(w, ti);
    if (!n) sim_fail(w, "task %lld starts and is not noted", (long long)ti);
    else if (strcmp(n->user, v.user) || strcmp(n->group, v.group))
      sim_fail(w, "task %lld of '%s', '%s' is noted for '%s', '%s'", (long long)ti, v.user, v.group, n->user, n->group);
  }
  for (size_t i = 0; i < b->n_task; i++) {
    int64_t ti = b->task[i].row.ti;
    const struct mem_task *t = memdb_task(w->db, ti);
    if (memdb_note(w->db, ti) && (!t || !task_counts(&t->r.t))) sim_fail(w, "task %lld does not count and is noted", (long long)ti);
  }
}

void queues_committed(struct world *w, const struct batch *b) {
  if (!w->current) return; /* a COMMIT that was under way when its connection broke: it was decided long ago */
  if (!w->single && limited(w)) check_notes(w, b);
  for (size_t k = 0; k < w->db->n_queue; k++) {
    const struct mem_queue *q = w->db->queue[k];
    size_t starts = 0;
    /* A batch of another node whose fence came before the change may still commit: it stands before the change. */
    if (q->deleted || (!w->single && w->now - seen(w, q->r.queue_id)->changed < SLACK_US)) continue;
    if (q->r.rate_count > 0) check_unpaid(w, &q->r, b);
    for (size_t i = 0; i < w->n_claim; i++) {
      const struct mem_task *t = memdb_task(w->db, w->claim[i]->ti);
      if (!t || moved(b, t->r.ti) || !task_counts(&t->r.t) || !matches(&q->r, w, t->r.ti)) continue;
      starts++;
      if (q->r.rate_count > 0) check_rate(w, &q->r, &t->r);
    }
    if (starts == 0) continue;
    if (q->r.paused > 0) sim_fail(w, "queue %lld is paused, and %zu tasks of it start", (long long)q->r.queue_id, starts);
    if (q->r.max_running < 0) continue;
    int64_t n = counts(w, &q->r);
    if (n > q->r.max_running)
      sim_fail(w, "queue %lld: %zu tasks start, and %lld run, not %lld", (long long)q->r.queue_id, starts, (long long)n, (long long)q->r.max_running);
  }
}

/* While there is a row, all that this node runs is noted with its queue. */
static void check_noted(const struct node *n) {
  const struct runner *r = n->runner;
  const struct map64_slot *s;
  bool knows = r->queues.version == n->w->db->queues_version && !r->queues.owes;
  if (n->w->single || !queues_limit(&r->queues) || !knows || r->events.in_doubt) return;
  for (size_t i = 0; (s = map64_next(&r->queues.holds, &i)) != NULL;) {
    const struct mem_task *t = memdb_task(n->w->db, s->key);
    const struct mem_note *x = memdb_note(n->w->db, s->key);
    if (!t || !task_counts(&t->r.t) || t->r.t.owner != r->env.me) continue;
    struct queue_view v = whose(n->w, s->key);
    if (!x) sim_fail(n->w, "node %d: task %lld runs and is not noted", n->id, (long long)s->key);
    else if (strcmp(x->user, v.user) || strcmp(x->group, v.group))
      sim_fail(n->w, "task %lld of '%s', '%s' is noted for '%s', '%s'", (long long)s->key, v.user, v.group, x->user, x->group);
  }
}

/* Between two turns: what the node holds is what it runs or is about to run, and the budget is kept. */
void queues_node(struct node *n) {
  const struct queues *q = &n->runner->queues;
  check_noted(n);
  if (q->cpu_used > q->opts.cpu_budget) sim_fail(n->w, "node %d: %lld of its budget are in use", n->id, (long long)q->cpu_used);
}

void queues_quiet(struct world *w) {
  for (int i = 0; i < w->n_node; i++) {
    const struct runner *r = w->node[i].up ? w->node[i].runner : NULL;
    if (r && (r->queues.holds.n > 0 || r->queues.cpu_used != 0))
      sim_fail(w, "node %d: all is final, and %zu tasks are held", i, r->queues.holds.n);
  }
}

void queues_end(struct world *w) { free(w->queues.seen); }
