/* What must be true, asked at every commit, start, push and answer of the simulator. sim.h.
 *
 * It knows two things only: the rows as committed, and the ledger of what was really executed.
 * What never happens: it asks the runner (only oracle_cache() compares the runner's memory with the rows). */
#include <stdlib.h>
#include "sim.h"

static bool owned(enum task_state s) { return s == TASK_RUNNING || s == TASK_PAUSING || s == TASK_CANCELING; }

/* ---- definitions as saved ---- */

struct flow_def *oracle_flow_def(struct world *w, int64_t id, int64_t version) {
  struct flow_def *d = map64_get(&w->fdefs, id << 20 | version);
  if (!d) {
    d = memdb_flow_def(w->db, id, version);
    (void)map64_put(&w->fdefs, id << 20 | version, d);
  }
  return d;
}

struct task_def *oracle_task_def(struct world *w, int64_t id, int64_t version) {
  struct task_def *d = map64_get(&w->tdefs, id << 20 | version);
  if (!d) {
    d = memdb_task_def(w->db, id, version);
    (void)map64_put(&w->tdefs, id << 20 | version, d);
  }
  return d;
}

void oracle_done(struct world *w) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&w->fdefs, &i)) != NULL;) def_flow_unref(s->val);
  for (size_t i = 0; (s = map64_next(&w->tdefs, &i)) != NULL;) def_task_unref(s->val);
  for (size_t i = 0; (s = map64_next(&w->ledger, &i)) != NULL;)
    for (struct rec *r = s->val, *next; r != NULL; r = next) { next = r->next; free(r); }
  map64_done(&w->fdefs);
  map64_done(&w->tdefs);
  map64_done(&w->ledger);
  map64_done(&w->keys);
  map64_done(&w->wished);
  free(w->claim);
}

/* ---- before a commit: which changes of rows are allowed ---- */

static void check_flow(struct world *w, const struct flow_write *x) {
  const struct mem_flow *f = memdb_flow(w->db, x->row.fi);
  const struct flow_row *n = &x->row;
  if (x->op == ROW_INSERT) {
    if (n->run_no != 1) sim_fail(w, "flow %lld begins with run %u", (long long)n->fi, n->run_no);
    return;
  }
  const struct flow_row *o = &f->r;
  if (n->run_no == o->run_no && flow_final((enum flow_state)o->state)) sim_fail(w, "final flow %lld is written again", (long long)n->fi);
  if (n->run_no != o->run_no && (n->run_no != o->run_no + 1 || !flow_final((enum flow_state)o->state)))
    sim_fail(w, "flow %lld goes from run %u to %u in state %s", (long long)n->fi, o->run_no, n->run_no, flow_state_name((enum flow_state)o->state));
  if (n->run_no == o->run_no && (o->wish & 15) > WISH_STOP && (n->wish & 15) != (o->wish & 15)) /* the rest says how it is paused */
    sim_fail(w, "flow %lld: wish %u becomes %u", (long long)n->fi, o->wish, n->wish);
  if (n->version == o->version) sim_fail(w, "flow %lld keeps its version", (long long)n->fi);
}

static void check_node(struct world *w, const struct node_write *x) {
  const struct mem_node *n = memdb_node(w->db, x->row.ni);
  if (x->op == ROW_INSERT) return;
  enum node_state o = (enum node_state)n->r.state, s = (enum node_state)x->row.state;
  if ((node_final(o) && o != s) || (o == NODE_RUNNING && !node_final(s) && s != NODE_RUNNING))
    sim_fail(w, "node %lld goes from %s to %s", (long long)x->row.ni, node_state_name(o), node_state_name(s));
  if (node_final(o) && n->r.end_us != x->row.end_us) sim_fail(w, "final node %lld ends again", (long long)x->row.ni);
}

/* A user has asked to run it, or has submitted its name with ifExists: rerunFailed. */
static bool may_run(struct world *w, int64_t ti) {
  const struct mem_async *a = memdb_async(w->db, ti);
  return wished(w, ti) & wish_bit(ASK_RUN) || (a && a->r.key);
}

static struct node *home_of(struct world *w, int64_t me) {
  for (int i = 0; i < w->n_node; i++)
    if (w->node[i].up && !w->node[i].dead && runner_incarnation(w->node[i].runner) == me) return &w->node[i];
  return NULL;
}

/* The owner was given up. That is right only when it did not report, or can no longer report. */
static void check_lost(struct world *w, const struct task *o, const struct rec *rec, int64_t ti) {
  const struct mem_member *m = memdb_member(w->db, o->owner);
  struct node *home = home_of(w, o->owner);
  if (!m || m->state != MEMBER_LIVE || !home || !rec) return;
  if (rec->reported && rec->outcome != ATTEMPT_LOST)
    sim_fail(w, "attempt %lld:%u was reported by a live node, yet counts as lost", (long long)ti, o->epoch);
  if (!rec->ended && rec->given) sim_fail(w, "attempt %lld:%u is at a live node, yet counts as lost", (long long)ti, o->epoch);
}

/* The batch under way has a wish of that kind for the task. */
static bool asks_now(const struct world *w, int64_t ti, enum ask ask) {
  const struct events *l = w->current ? &w->current->runner->events : NULL;
  for (size_t i = 0; l && i < l->taken; i++) {
    const struct ev *e = &l->v[i];
    for (uint32_t k = 0; e->kind == EV_REQ && e->q && e->q->kind == REQ_ASK && e->q->ask->ask == ask && k < e->q->ask->n; k++)
      if (e->q->ask->of[k].ti == ti) return true;
  }
  return false;
}

/* What the row says of wishes is not forgotten by whoever writes it next, from an older memory. */
static void check_wishes(struct world *w, const struct task_row *or, const struct task_row *nr, const struct batch *b) {
  const struct task *o = &or->t, *n = &nr->t;
  if (!w->current || or->fi != 0) return; /* tasks of flows: the version of the flow's row */
  bool runs_on = o->state == TASK_PAUSING && o->resume == RESUME_RUN && n->state == TASK_PAUSED;
  if (runs_on && !asks_now(w, or->ti, ASK_PAUSE) && !jobs_pause(w, or->ti, b))
    sim_fail(w, "task %lld was asked to run while it stopped, and is PAUSED", (long long)or->ti);
  if (o->state == TASK_CANCELING && o->phase == PHASE_DELETE && n->phase != PHASE_DELETE)
    sim_fail(w, "task %lld was to be deleted, and its row knows nothing of that any more", (long long)or->ti);
}

static void check_end(struct world *w, const struct task_row *or, const struct task_row *nr) {
  const struct task *o = &or->t, *n = &nr->t;
  if (o->phase == PHASE_ANALYSE) { trees_end_of(w, or, nr); return; }
  /* An attempt may fail by itself and its retry be paused, all in one batch; what was told to stop costs nothing. */
  const struct rec *ends = ledger_get(w, or->ti, o->epoch);
  bool in_time = !(ends && ends->timed_out); /* a failed try; its retry may be paused at once */
  if (in_time && o->state == TASK_PAUSING && n->state == TASK_PAUSED && (n->tries != o->tries || n->losses != o->losses)) sim_fail(w, "task %lld is PAUSED, and that cost it a try", (long long)or->ti);
  const struct rec *rec = ledger_get(w, or->ti, o->epoch);
  long long ti = or->ti;
  if (rec && rec->executing && !rec->excused) sim_fail(w, "attempt %lld:%u ends in the rows, but is still executed", ti, o->epoch);
  if (n->state == TASK_SUCCESS && (!rec || !rec->reported || rec->outcome != ATTEMPT_OK))
    sim_fail(w, "attempt %lld:%u did not succeed, the rows say so", ti, o->epoch);
  if (n->state == TASK_SUCCESS && rec->asked) sim_fail(w, "attempt %lld:%u only did as it was told, the rows call that a success", ti, o->epoch);
  int tries = (int)n->tries - (int)o->tries, losses = n->losses - o->losses;
  if (tries < 0 || losses < 0 || tries + losses > 1) sim_fail(w, "task %lld: tries +%d, losses +%d", ti, tries, losses);
  bool timed_out = rec && rec->timed_out; /* both may happen in one batch */
  if (nr->error && strstr(nr->error, "The database refuses its result.")) return; /* a failure stands in for whatever it said */
  if (tries == 1 && !timed_out && (!rec || !rec->reported || (rec->outcome != ATTEMPT_FAIL && rec->outcome != ATTEMPT_FATAL)))
    sim_fail(w, "task %lld: attempt %u counts as a try, but did not fail", ti, o->epoch);
  if (o->state == TASK_PAUSING && (tries == 1 || n->state == TASK_FAILED) && !timed_out && rec && rec->told && rec->outcome == ATTEMPT_FAIL)
    sim_fail(w, "attempt %lld:%u stopped because it was told to, the rows call that a failure", ti, o->epoch);
  if (losses == 1) check_lost(w, o, rec, or->ti);
  if (losses == 1 && n->losses >= LIMIT_LOSSES && n->state != TASK_DEAD) sim_fail(w, "task %lld: lost %u times and %s", ti, n->losses, task_state_name(n->state));
}

static uint32_t max_attempts(struct world *w, const struct task_row *t) {
  const struct mem_flow *f = t->fi ? memdb_flow(w->db, t->fi) : NULL;
  if (!f) return jobs_attempts(w, t->ti, oracle_task_def(w, t->task_id, t->t.version));
  struct flow_def *def = oracle_flow_def(w, f->r.flow_id, f->r.flow_version);
  uint32_t most = 0;
  for (uint32_t k = 0; k < def->dag->n_task; k++) { /* which index does not matter: no more than any of them allows */
    const struct task_ref *ref = &def->ref[k];
    if (ref->task_id != t->task_id) continue;
    const struct task_def *d = ref->inl ? ref->inl : oracle_task_def(w, ref->task_id, t->t.version);
    uint32_t a = def_policy(ref, d).attempts;
    if (a > most) most = a;
  }
  return most;
}

/* The flow was paused before this batch and is paused after it, and no resume came between. */
static bool stays_paused(struct world *w, int64_t fi, const struct batch *b) {
  const struct mem_flow *f = fi ? memdb_flow(w->db, fi) : NULL;
  if (!f || f->r.state != FLOW_PAUSED) return false;
  for (size_t i = 0; i < b->n_flow; i++)
    if (b->flow[i].row.fi == fi && b->flow[i].row.state != FLOW_PAUSED) return false;
  for (const struct op *o = w->ops; o != NULL; o = o->next)
    if (!o->answered && o->q.kind == REQ_RESUME_FLOW && o->q.fi == fi) return false;
  return true;
}

/* What a user has paused goes on when a user runs it, and what the pause of its flow has stopped goes on with its flow. */
static void check_paused(struct world *w, const struct task_row *o, const struct task_row *n, const struct batch *b) {
  bool paused = o->t.state == TASK_PAUSED || o->t.state == TASK_PAUSING;
  bool goes_on = n->t.state == TASK_QUEUED || n->t.state == TASK_RUNNING || n->t.state == TASK_RETRY_WAIT || n->t.state == TASK_BLOCKED;
  const struct rec *rec = ledger_get(w, n->ti, o->t.epoch);
  bool timed_out = o->t.state == TASK_PAUSING && rec && rec->timed_out; /* a failed try like any other: the pause is forgotten */
  bool analysed = o->t.state == TASK_PAUSING && n->t.phase == PHASE_ANALYSE; /* it had ended by itself */
  if (!paused || !goes_on || timed_out || analysed || n->t.phase == PHASE_DELETE || may_run(w, n->ti)) return;
  if (o->t.resume == RESUME_NONE) sim_fail(w, "task %lld was paused and goes on, and nobody asked for that", (long long)n->ti);
  if (o->t.resume == RESUME_FLOW && stays_paused(w, n->fi, b)) sim_fail(w, "task %lld goes on in a paused flow", (long long)n->ti);
}

/* A new stand-alone task that has a start time waits for it. */
static void check_delayed(struct world *w, const struct task_row *n, const struct batch *b) {
  bool waits = n->t.state == TASK_BLOCKED || n->t.state == TASK_CREATED || n->t.state == TASK_PAUSED || task_final(n->t.state);
  for (size_t i = 0; i < b->n_async && !waits; i++)
    if (b->async[i].row.ti == n->ti && b->async[i].row.start_at_us > n->update_us && wished(w, n->ti) == 0)
      sim_fail(w, "task %lld begins before its time", (long long)n->ti);
}

static void check_claim(struct world *w, const struct task_row *o, const struct task_row *n, const struct batch *b, int64_t me) {
  const struct mem_flow *f = n->fi ? memdb_flow(w->db, n->fi) : NULL;
  long long ti = n->ti;
  if (n->t.owner != me) sim_fail(w, "task %lld is claimed for another node", ti);
  if (!owned(n->t.state)) sim_fail(w, "task %lld: epoch %u in state %s", ti, n->t.epoch, task_state_name(n->t.state));
  if (o && f && (f->r.wish & 15) > WISH_STOP && !flow_final((enum flow_state)f->r.state))
    sim_fail(w, "task %lld is claimed after its flow was cancelled", ti);
  if (stays_paused(w, n->fi, b)) sim_fail(w, "task %lld is claimed while its flow is paused", ti);
  const struct mem_member *m = memdb_member(w->db, me);
  if (m->read.at_us != 0) sim_fail(w, "task %lld is claimed by member %lld, which has read that it is to drain", ti, (long long)me);
  jobs_claimed(w, n->ti, b);
  int64_t above = n->t.phase != PHASE_DELETE ? trees_flow_of(w, n->ti) : 0;
  if (stays_paused(w, above, b)) sim_fail(w, "task %lld is claimed, and flow %lld above it is paused", (long long)n->ti, (long long)above);
  if (ledger_get(w, n->ti, n->t.epoch)) sim_fail(w, "attempt %lld:%u is claimed twice", ti, n->t.epoch);
  struct rec *rec = ledger_add(w, n->ti, n->t.epoch);
  rec->fi = n->fi;
  rec->me = me;
  rec->claimed = true;
  *WR_PUSH(w->claim, w->n_claim, w->cap_claim) = rec;
}

/* Its rows are deleted. Nothing of it runs, unless a user has insisted; then its owner is told to stop it. */
static void check_gone(struct world *w, const struct task_row *o, int64_t me) {
  uintptr_t asked = wished(w, o->ti);
  struct rec *rec = ledger_get(w, o->ti, o->t.epoch);
  if (!(asked & wish_bit(ASK_DELETE))) sim_fail(w, "task %lld is deleted, and nobody asked for that", (long long)o->ti);
  if (rec && !rec->ended && asked & WISH_FORCE) rec->gone_at = w->now, rec->gone_by = me;
  if (!rec || !rec->executing || rec->excused) return;
  bool call = o->t.epoch > TASK_ATTEMPT_MAX; /* of an analyzer: it was given up, now or when the task was paused */
  if (call) rec->gone_at = w->now, rec->gone_by = o->t.phase == PHASE_ANALYSE ? me : 0; /* before: its node hears of it */
  if (call && !(asked & WISH_FORCE)) return;
  if (!(asked & WISH_FORCE)) sim_fail(w, "task %lld is deleted while its attempt %u is executed", (long long)o->ti, o->t.epoch);
  rec->excused = true;
}

/* A final task is left as it is, or it is run again because a user asked for that. */
static void check_final(struct world *w, const struct task_row *o, const struct task_row *n) {
  bool failed = o->t.state != TASK_SUCCESS, again = !task_final(n->t.state) && n->fi == 0 && failed && may_run(w, n->ti);
  if (again && n->t.tries + n->t.losses == 0) return;
  if (n->t.phase == PHASE_DELETE && wished(w, n->ti) & wish_bit(ASK_DELETE)) return;
  if (n->t.state != o->t.state || n->end_us != o->end_us || n->t.epoch != o->t.epoch)
    sim_fail(w, "final task %lld is changed: %s to %s", (long long)n->ti, task_state_name(o->t.state), task_state_name(n->t.state));
}

static void check_task(struct world *w, const struct task_write *x, const struct batch *b, int64_t me) {
  const struct mem_task *t = memdb_task(w->db, x->row.ti);
  const struct task_row *n = &x->row, *o = t ? &t->r : NULL;
  struct task_row fresh = {.ti = n->ti, .fi = n->fi, .t = {.epoch = n->t.epoch - owned(n->t.state)}};
  if (!o) o = &fresh;
  long long ti = n->ti;
  for (size_t i = 0; i < b->n_gone; i++)
    if (b->gone[i] == n->ti) { check_gone(w, o, me); return; }
  if (t && task_final(o->t.state)) {
    check_final(w, o, n);
    if (n->t.epoch != o->t.epoch) check_claim(w, o, n, b, me);
    return;
  }
  task_check(&n->t);
  uint32_t from = task_attempt_of(o->t.epoch), to = task_attempt_of(n->t.epoch);
  bool analysed = n->t.epoch != to && (n->t.phase == PHASE_ANALYSE || n->t.owner == 0); /* perhaps in the batch of the end of its attempt */
  if (n->t.epoch != o->t.epoch && !(to == from + 1 && n->t.epoch == to) && !(to == from && analysed)) sim_fail(w, "task %lld: epoch %u to %u", ti, o->t.epoch, n->t.epoch);
  check_wishes(w, o, n, b);
  if (o->t.owner != 0 && (n->t.owner != o->t.owner || n->t.epoch != o->t.epoch || !owned(n->t.state))) check_end(w, o, n);
  bool given_up = n->t.epoch != to && n->t.owner == 0; /* its analysis was claimed, in the same batch */
  if (n->t.epoch != o->t.epoch && !given_up) check_claim(w, t ? o : NULL, n, b, me);
  if (t && o->t.phase == PHASE_CHILDREN && n->t.phase == PHASE_RUN) trees_parent_ends(w, o, b);
  if (t) check_paused(w, o, n, b);
  else if (n->fi == 0) check_delayed(w, n, b);
  bool waits = o->t.state == TASK_RETRY_WAIT || (o->t.state == TASK_BLOCKED && o->t.end_as == TASK_NONE);
  bool at_once = may_run(w, n->ti) || wished(w, n->ti) & (wish_bit(ASK_PAUSE) | wish_bit(ASK_DELETE));
  if (t && waits && !at_once && !task_final(n->t.state) && n->t.state != o->t.state && n->t.state != TASK_BLOCKED && n->update_us < o->t.due_us)
    sim_fail(w, "task %lld does not wait for its next try", ti);
  uint32_t most = n->t.tries > 0 ? max_attempts(w, n) : 0;
  if (n->t.tries > most || (n->t.state == TASK_RETRY_WAIT && n->t.phase != PHASE_ANALYSE && n->t.tries >= most)) sim_fail(w, "task %lld: %u tries of %u, %s", ti, n->t.tries, most, task_state_name(n->t.state));
  if (t && n->t.tries < o->t.tries && !may_run(w, n->ti)) sim_fail(w, "task %lld: tries go back", ti);
}

/* No (key, attempt) is ever started twice, not even by re-runs. The claims of this batch: */
static void check_keys(struct world *w) {
  for (size_t i = 0; i < w->n_claim; i++) {
    const struct rec *rec = w->claim[i];
    const struct mem_flow *f = rec->fi ? memdb_flow(w->db, rec->fi) : NULL;
    if (!f || rec->epoch != task_attempt_of(rec->epoch)) continue; /* an analysis has the key of its attempt */
    struct flow_def *def = oracle_flow_def(w, f->r.flow_id, f->r.flow_version);
    int64_t at = -1;
    struct run_wide r;
    for (const char *s = f->r.bases; s && *s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL) {
      int64_t ti = strtoll(strchr(s, ':') + 1, NULL, 10);
      if (rec->ti >= ti && rec->ti < ti + def->dag->n_task) at = rec->ti - ti;
    }
    for (const char *s = f->r.bases; run_wide_next(&s, &r);)
      if (rec->ti >= r.ti && rec->ti < r.ti + r.n) at = def->dag->n_task + r.node * 8 + (rec->ti - r.ti);
    if (at < 0) sim_fail(w, "task %lld is in no run of flow %lld", (long long)rec->ti, (long long)rec->fi);
    int64_t key = rec->fi << 16 | (at + 1);
    uint32_t last = (uint32_t)(uintptr_t)map64_put(&w->keys, key, (void *)(uintptr_t)rec->epoch);
    if (last >= rec->epoch) sim_fail(w, "task %lld: attempt %u after %u of the same key", (long long)rec->ti, rec->epoch, last);
  }
  w->n_claim = 0;
}

void oracle_broken(void *ctx, const char *what, int64_t id) { sim_fail(ctx, "%s: %lld", what, (long long)id); }

void oracle_commit(void *ctx, int64_t me, const struct batch *b) {
  struct world *w = ctx;
  const struct mem_member *m = memdb_member(w->db, me);
  if (m->state != MEMBER_LIVE) sim_fail(w, "a batch of node %lld, which is not alive", (long long)me);
  jobs_commit(w, b);
  trees_commit(w, b);
  for (size_t i = 0; i < b->n_flow; i++) check_flow(w, &b->flow[i]);
  for (size_t i = 0; i < b->n_node; i++) check_node(w, &b->node[i]);
  for (size_t i = 0; i < b->n_task; i++) check_task(w, &b->task[i], b, me);
  for (size_t i = 0; i < b->n_task; i++) {
    const struct task_row *t = &b->task[i].row;
    bool head = t->fi == 0;
    for (size_t k = 0; !head && k < b->n_flow; k++) head = b->flow[k].row.fi == t->fi;
    if (!head) sim_fail(w, "task %lld changes without the version of its flow", (long long)t->ti);
  }
}

/* ---- after a commit ---- */

static void check_started(struct world *w, const struct mem_flow *f, const struct batch *b) {
  struct flow_def *def = oracle_flow_def(w, f->r.flow_id, f->r.flow_version);
  struct run *r = NULL;
  for (size_t i = 0; i < b->n_task; i++) {
    const struct task_write *t = &b->task[i];
    if (t->op != ROW_INSERT || t->row.fi != f->r.fi) continue;
    if (!r) r = rebuild(w, f, def);
    uint32_t at = run_task_of(r, t->row.ti);
    if (at == UINT32_MAX) sim_fail(w, "task %lld is made for an older run", (long long)t->row.ti);
    uint32_t node = run_node_of(r, at);
    const struct node_def *d = &def->node[def->dag_node[node]];
    for (uint32_t k = 0; k < d->n_parent; k++)
      for (uint32_t p = 0; p < r->dag->n; p++)
        if (def->dag_node[p] == d->parent[k] && r->node[p].state != NODE_SUCCESS)
          sim_fail(w, "node %u of flow %lld starts, its parent %u is %s", node, (long long)f->r.fi, p, node_state_name((enum node_state)r->node[p].state));
  }
  run_free(r);
}

/* A key and the rows that it made are written together. Checked at every commit that writes a key. */
static void check_made(struct world *w, const struct key_write *x) {
  if (x->row.n == 0) sim_fail(w, "key %s is written for nothing", x->key);
  for (uint32_t i = 0; i < x->row.n; i++) {
    int64_t id = x->row.first_id + i;
    const struct mem_flow *f = memdb_flow(w->db, id);
    const struct mem_task *t = memdb_task(w->db, id);
    bool there = x->row.kind == KEY_STARTS ? f != NULL : x->row.kind == KEY_TASK_INS && t && t->r.fi == 0;
    if (!there) sim_fail(w, "key %s is written without %lld", x->key, (long long)id);
  }
}

void oracle_committed(void *ctx, int64_t me, const struct batch *b) {
  struct world *w = ctx;
  w->n_commit++;
  sim_trace(w, "commit", me, b->id, (int64_t)(b->n_flow << 40 | b->n_node << 20 | b->n_task));
  for (size_t i = 0; i < b->n_task; i++) sim_trace(w, "task", b->task[i].row.ti, b->task[i].row.t.state, b->task[i].row.t.epoch);
  queues_committed(w, b);
  jobs_committed_check(w, b);
  trees_committed(w, b);
  check_keys(w);
  for (size_t i = 0; i < b->n_key; i++) check_made(w, &b->key[i]);
  for (size_t i = 0; i < b->n_flow; i++) {
    const struct mem_flow *f = memdb_flow(w->db, b->flow[i].row.fi);
    bool wide = oracle_flow_def(w, f->r.flow_id, f->r.flow_version)->dag->n > 100, final = flow_final((enum flow_state)f->r.state);
    sim_trace(w, "flow", f->r.fi, f->r.state, f->r.live);
    if (wide && !final && !sim_chance(w, 5)) continue;
    rebuild_check(w, f);
    if (!wide) check_started(w, f, b);
    if (final) rebuild_final(w, f);
  }
}

/* As many flows have a body of a key as the row of the key names. */
static void check_intents(struct world *w) {
  const struct map64_slot *s;
  for (size_t i = 0; i < w->n_intent; i++) {
    const struct intent *k = &w->intent[i];
    const struct key_row *row = memdb_key(w->db, k->key);
    uint32_t made = 0, want = row && k->kind == REQ_START ? row->n : 0;
    for (size_t c = 0; (s = map64_next(&w->db->flow, &c)) != NULL;) {
      const char *p = ((struct mem_flow *)s->val)->r.params;
      made += p && (strcmp(p, k->body[0]) == 0 || strcmp(p, k->body[1]) == 0);
    }
    if (made != want) sim_fail(w, "key %s made %u flows, not %u", k->key, made, want);
  }
}

/* ---- what is seen from outside ---- */

void oracle_start(struct node *n, const struct attempt *a) {
  struct rec *rec = ledger_get(n->w, a->ti, a->epoch);
  long long ti = a->ti;
  if (!rec || !rec->claimed) sim_fail(n->w, "attempt %lld:%u is started, its claim is not committed", ti, a->epoch);
  if (rec->given) sim_fail(n->w, "attempt %lld:%u is started twice", ti, a->epoch);
  if (rec->me != a->owner) sim_fail(n->w, "attempt %lld:%u is started by another node", ti, a->epoch);
  if (a->policy.slot != (a->analysis ? SLOT_ANALYSIS : sim_slot_of(a->def->type))) sim_fail(n->w, "attempt %lld:%u, a %s, has a slot of class %u", ti, a->epoch, a->def->type, a->policy.slot);
  rec->given = true;
  sim_trace(n->w, "start", a->ti, a->epoch, a->owner);
}

void oracle_push(struct node *n, const struct hint *h) {
  const struct mem_task *t = memdb_task(n->w->db, h->ti);
  if (!t && wished(n->w, h->ti) & wish_bit(ASK_DELETE)) return; /* another node has deleted it while it waited here */
  if (!t) sim_fail(n->w, "a hint for task %lld, which has no row", (long long)h->ti);
  if (t->r.fi != (h->fi & ~HINT_QUEUED)) sim_fail(n->w, "a hint for task %lld names flow %lld", (long long)h->ti, (long long)h->fi);
}

/* A key makes one thing only, whoever sends it, to whichever node, however often. */
static void answered_key(struct world *w, const struct op *o) {
  struct intent *k = o->intent;
  const struct key_row *row = memdb_key(w->db, k->key);
  int64_t first = k->kind == REQ_START ? o->q.start[0].fi : o->task.ti;
  if (!row) sim_fail(w, "a request with key %s is acknowledged, the key has no row", k->key);
  if (k->won >= 0 && (k->won != o->body || k->first_id != first))
    sim_fail(w, "key %s made %lld with body %d, now it is said to be %lld with body %d", k->key, (long long)k->first_id, k->won, (long long)first, o->body);
  k->won = o->body;
  k->first_id = first;
  w->n_replay += o->q.replayed;
  if (row->first_id != first || memcmp(row->hash, k->hash[o->body], KEY_HASH_BYTES) != 0) sim_fail(w, "the row of key %s says something else", k->key);
}

/* A task is there that was made for this name, and says whose it is. */
static void answered_task(struct world *w, const struct op *o) {
  const struct req_task *x = &o->task;
  const struct mem_task *t = memdb_task(w->db, x->ti);
  const struct mem_async *a = memdb_async(w->db, x->ti);
  if (!t && wished(w, x->ti) & wish_bit(ASK_DELETE)) return;
  if (!t || t->r.fi != 0 || !a) sim_fail(w, "task %lld is acknowledged, but has no row", (long long)x->ti);
  if (!x->spec->key && t->r.task_id != x->task_id && !o->q.replayed) sim_fail(w, "task %lld is of another definition", (long long)x->ti);
  if (x->spec->key && !o->q.replayed && (!a->r.key || strcmp(a->r.key, x->spec->key) != 0))
    sim_fail(w, "task %lld is said to have the name %s", (long long)x->ti, x->spec->key);
  if (x->spec->key && memcmp(a->r.hash, x->spec->hash, KEY_HASH_BYTES) != 0) sim_fail(w, "name %s: other content is taken for the same", x->spec->key);
}

static void answered_ask(struct world *w, const struct op *o) {
  for (uint32_t i = 0; i < o->ask.n; i++) {
    const struct req_asked *of = &o->of[i];
    const struct mem_task *t = memdb_task(w->db, of->ti);
    long long ti = of->ti;
    if (of->rc != WR_OK) continue;
    if (!t && !(wished(w, of->ti) & wish_bit(ASK_DELETE))) sim_fail(w, "a wish for task %lld is acknowledged, which has no row", ti);
    if (!t) continue;
    bool again = may_run(w, of->ti);
    if (o->ask.ask == ASK_DELETE && t->r.t.phase != PHASE_DELETE) sim_fail(w, "the deletion of task %lld is acknowledged, but not stored", ti);
    if (o->ask.ask == ASK_CANCEL && !again && t->r.t.state != TASK_CANCELED && !t->r.t.cancel_requested)
      sim_fail(w, "the cancel of task %lld is acknowledged, but not stored", ti);
    if (o->ask.ask == ASK_PAUSE && !again && (t->r.t.state == TASK_QUEUED || t->r.t.state == TASK_RUNNING || t->r.t.state == TASK_RETRY_WAIT))
      sim_fail(w, "the pause of task %lld is acknowledged, it is %s", ti, task_state_name(t->r.t.state));
    uintptr_t others = wish_bit(ASK_PAUSE) | wish_bit(ASK_CANCEL) | wish_bit(ASK_DELETE);
    if (o->ask.ask == ASK_RUN && !(wished(w, of->ti) & others) && t->r.t.state == TASK_CREATED && t->r.t.phase == PHASE_RUN)
      sim_fail(w, "the run of task %lld is acknowledged, it is %s", ti, task_state_name(t->r.t.state));
    const struct mem_async *a = memdb_async(w->db, of->ti);
    const struct mem_flow *f = t->r.fi ? memdb_flow(w->db, t->r.fi) : NULL;
    const struct mem_whose *moved = f ? memdb_whose(f, of->ti) : NULL;
    const char *user = f ? moved ? moved->r.user : NULL : a->r.user;
    bool told = !f || f->r.wish & RUN_WHOSE_BIT; /* else nobody looks for that row */
    if (o->ask.ask == ASK_QUEUE && of->changed && (!told || !user || strcmp(user, "u") != 0)) sim_fail(w, "the move of task %lld is acknowledged, but not stored: told %d, of %s, flow %d", ti, told, user ? user : "nobody", f != NULL);
  }
}

static void answered_ok(struct world *w, const struct op *o) {
  const struct req *q = &o->q;
  const struct mem_flow *f = memdb_flow(w->db, q->fi);
  if (o->intent) answered_key(w, o);
  switch (q->kind) {
  case REQ_START:
    for (uint32_t i = 0; i < q->n_start; i++) {
      f = memdb_flow(w->db, q->start[i].fi);
      if (!f || f->r.flow_id != q->start[i].flow_id) sim_fail(w, "start is acknowledged, flow %lld has no row", (long long)q->start[i].fi);
      if ((f->r.params != NULL) != (q->start[i].params != NULL)) sim_fail(w, "flow %lld: its parameters are lost", (long long)f->r.fi);
    }
    break;
  case REQ_EXEC_TASK:
    answered_task(w, o);
    break;
  case REQ_RERUN:
    if (!f || f->r.run_no <= o->run_no) sim_fail(w, "the re-run of flow %lld is acknowledged, but not stored", (long long)q->fi);
    break;
  case REQ_CANCEL_FLOW:
    if (!f || (f->r.run_no == o->run_no && !flow_final((enum flow_state)f->r.state) && (f->r.wish & 15) <= WISH_STOP)) sim_fail(w, "the cancel of flow %lld is acknowledged, but not stored", (long long)q->fi);
    break;
  case REQ_PAUSE_FLOW: case REQ_RESUME_FLOW:
    if (!f) sim_fail(w, "a pause of flow %lld is acknowledged, which has no row", (long long)q->fi);
    break;
  case REQ_ASK: answered_ask(w, o); break;
  case REQ_JOB: break;
  }
}

/* Other requests of the same batch may have changed the flow after this one was decided: a new run, or its end. */
static void refused_finished(struct world *w, const struct op *o) {
  const struct req *q = &o->q;
  const struct mem_flow *f = memdb_flow(w->db, q->fi);
  const struct mem_task *t = q->kind == REQ_ASK ? memdb_task(w->db, o->of[0].ti) : NULL;
  if (q->kind == REQ_CANCEL_FLOW && (!f || (f->r.run_no == o->run_no && !flow_final((enum flow_state)f->r.state)))) sim_fail(w, "flow %lld is said to have finished", (long long)q->fi);
  bool later = q->kind == REQ_ASK && (may_run(w, o->of[0].ti) || wished(w, o->of[0].ti) & wish_bit(ASK_DELETE));
  if (q->kind == REQ_ASK && !later && (!t || !task_final(t->r.t.state)))
    sim_fail(w, "task %lld is said to have finished", (long long)o->of[0].ti);
}

void oracle_answer(struct world *w, const struct op *o) {
  const struct req *q = &o->q;
  if (q->job) { jobs_answer(w, o); return; }
  const struct mem_flow *f = memdb_flow(w->db, q->fi);
  switch ((unsigned)q->rc) {
  case WR_OK: answered_ok(w, o); return;
  case WR_ALREADY_FINISHED: refused_finished(w, o); break;
  case WR_KEY_REUSED: {
    if (!o->intent && o->spec.key) break; /* ifExists: fail, or other content */
    const struct key_row *row = o->intent ? memdb_key(w->db, o->intent->key) : NULL;
    if (!row || memcmp(row->hash, o->intent->hash[o->body], KEY_HASH_BYTES) == 0) sim_fail(w, "a key is said to be used for something else");
    break;
  }
  case WR_NOT_FOUND:
    if (o->there && q->kind != REQ_START && q->kind != REQ_EXEC_TASK && !(q->kind == REQ_ASK && wished(w, o->of[0].ti) & wish_bit(ASK_DELETE)))
      sim_fail(w, "flow %lld or task %lld is said not to exist", (long long)q->fi, (long long)o->of[0].ti);
    break;
  case WR_BUSY_STATE: case WR_OF_A_FLOW: case WR_OF_A_JOB:
    if (q->kind != REQ_ASK && q->kind != REQ_PAUSE_FLOW && q->kind != REQ_RESUME_FLOW) sim_fail(w, "request %d is answered %s", (int)q->kind, q->err.msg);
    break;
  case WR_NOT_RETRYABLE:
    if (f && o->final && f->r.run_no == o->run_no && f->r.flow_id == q->flow_id && (q->ni != 0 || f->r.state != FLOW_SUCCESS))
      sim_fail(w, "flow %lld is %s and is said not to be retryable", (long long)q->fi, flow_state_name((enum flow_state)f->r.state));
    break;
  case WR_OUTCOME_UNKNOWN: return;
  case WR_DB_UNAVAILABLE: case WR_NO_SPACE: case WR_DRAINING: case WR_QUARANTINED: case WR_NOT_STARTABLE: break;
  default: sim_fail(w, "request %d is answered %d %s", (int)q->kind, (int)q->rc, q->err.msg);
  }
  if (o->intent) return; /* an earlier request may have made them; check_intents() counts */
  for (uint32_t i = 0; q->kind == REQ_START && i < q->n_start && w->n_crash == 0; i++)
    if (q->start[i].fi && memdb_flow(w->db, q->start[i].fi)) sim_fail(w, "start is refused, flow %lld has a row", (long long)q->start[i].fi);
}

/* ---- the runner's memory ---- */

static void same_node(struct world *w, const struct run *a, const struct run *b, uint32_t i) {
  const struct run_node *x = &a->node[i], *y = &b->node[i];
  struct run_tasks its = run_node_tasks(a, i), theirs = run_node_tasks(b, i);
  if (x->state != y->state || x->base != y->base || x->row != y->row || x->ok != y->ok || x->fail != y->fail || x->skip != y->skip ||
      x->t_ok != y->t_ok || x->t_bad != y->t_bad || x->t_open != y->t_open || x->t_canceled != y->t_canceled ||
      x->start_us != y->start_us || x->end_us != y->end_us || x->skip_edges != y->skip_edges || its.n != theirs.n)
    sim_fail(w, "node %u of flow %lld: memory %s base %u %u/%u/%u %u/%u/%u, rows %s base %u %u/%u/%u %u/%u/%u", i, (long long)a->fi,
             node_state_name((enum node_state)x->state), x->base, x->ok, x->fail, x->skip, x->t_ok, x->t_bad, x->t_open,
             node_state_name((enum node_state)y->state), y->base, y->ok, y->fail, y->skip, y->t_ok, y->t_bad, y->t_open);
  for (uint32_t k = its.at; k < its.at + its.n; k++) {
    const struct run_task *other = &b->task[theirs.at + (k - its.at)];
    const struct task *s = &a->task[k].t, *t = &other->t;
    if (a->task[k].row != other->row || s->state != t->state || s->epoch != t->epoch || s->owner != t->owner || s->tries != t->tries ||
        s->losses != t->losses || s->end_as != t->end_as || s->due_us != t->due_us || s->cancel_requested != t->cancel_requested ||
        s->start_us != t->start_us || s->version != t->version)
      sim_fail(w, "task %u of flow %lld: memory row %u %s %u owner %lld, rows row %u %s %u owner %lld", k, (long long)a->fi, a->task[k].row,
               task_state_name(s->state), s->epoch, (long long)s->owner, other->row, task_state_name(t->state), t->epoch, (long long)t->owner);
  }
}

static void same_run(struct world *w, const struct run *a, const struct run *b) {
  if (a->state != b->state || a->wish != b->wish || a->hold != b->hold || a->live != b->live || a->failed != b->failed || a->due_us != b->due_us ||
      a->end_us != b->end_us || a->n_base != b->n_base || a->n_more != b->n_more ||
      (a->n_more > 0 && memcmp(a->more, b->more, a->n_more * sizeof *a->more) != 0))
    sim_fail(w, "flow %lld: memory %s wish %u live %u failed %u more %zu, rows %s wish %u live %u failed %u more %zu", (long long)a->fi,
             flow_state_name((enum flow_state)a->state), a->wish, a->live, a->failed, a->n_more, flow_state_name((enum flow_state)b->state), b->wish,
             b->live, b->failed, b->n_more);
  for (uint32_t i = 0; i < a->dag->n; i++)
    if (run_known(a, i)) same_node(w, a, b, i);
}

void oracle_cache(struct node *n) {
  struct runner *r = n->runner;
  runner_check(r);
  if (batch_in_doubt(r)) return;
  for (struct cached *c = cache_newest(&r->cache); c != NULL && c->touched == r->env.batch_no; c = cache_older(&r->cache, c)) {
    const struct mem_flow *f = memdb_flow(n->w->db, c->run->fi);
    if (!f) sim_fail(n->w, "node %d remembers flow %lld, which has no row", n->id, (long long)c->run->fi);
    if (f->r.version != c->run->version || (c->run->dag->n > 100 && !sim_chance(n->w, 10))) continue;
    struct run *b = rebuild(n->w, f, c->flow);
    same_run(n->w, c->run, b);
    run_free(b);
  }
}

/* ---- the end ---- */

bool oracle_live(const struct world *w) { return w->db->n_live > 0 || (w->jobs.on && jobs_live(w)); }

/* Counted anew: what the database counts as it goes is true. */
static void check_counts(struct world *w) {
  const struct map64_slot *s;
  size_t live = 0, queued = 0, wait = 0;
  for (size_t i = 0; (s = map64_next(&w->db->flow, &i)) != NULL;) {
    enum flow_state state = (enum flow_state)((struct mem_flow *)s->val)->r.state;
    live += !flow_final(state), wait += state == FLOW_PAUSED;
  }
  for (size_t i = 0; (s = map64_next(&w->db->task, &i)) != NULL;) {
    enum task_state state = (enum task_state)((struct mem_task *)s->val)->r.t.state;
    live += !task_final(state), queued += state == TASK_QUEUED, wait += state == TASK_CREATED || state == TASK_PAUSED;
  }
  for (int k = 0; k <= SLOT__N; k++)
    for (const struct mem_task *t = w->db->queued[k].first; t != NULL; t = t->newer) queued--;
  if (live != w->db->n_live || wait != w->db->n_wait || queued != 0)
    sim_fail(w, "the simulator counts %zu live rows and %zu that wait, there are %zu and %zu", w->db->n_live, w->db->n_wait, live, wait);
}

static uint8_t slot_of_row(struct world *w, const struct task_row *t) {
  if (t->task_id != 0) return sim_slot_of(oracle_task_def(w, t->task_id, t->t.version)->type);
  const struct flow_row *f = &memdb_flow(w->db, t->fi)->r;
  const struct flow_def *d = oracle_flow_def(w, f->flow_id, f->flow_version);
  struct run_base b;
  int64_t first = 0;
  for (const char *p = f->bases; run_base_next(&p, &b);)
    if (b.ti <= t->ti && b.ti > first) first = b.ti;
  struct run_wide r;
  for (const char *p = f->bases; run_wide_next(&p, &r);)
    if (t->ti >= r.ti && t->ti < r.ti + r.n) return sim_slot_of(d->ref[d->dag->node[r.node].task_at].inl->type);
  return sim_slot_of(d->ref[t->ti - first].inl->type);
}

/* A QUEUED task may not wait longer than this beside a free slot, whatever the queue has lost and however old the task is. */
#define IDLE_MAX (30 * SEC) /* so long because a frozen node holds locks for L/4, and events that wait for locks are tried ever less often */
static void check_waits(struct world *w, const struct task_row *t, uint8_t s, int64_t since) {
  for (int i = 0; i < w->n_node; i++) {
    const struct node *n = &w->node[i];
    if (!n->up || node_asleep(n) || n->free_since[s] == INT64_MAX || quarantine_has(&n->runner->quarantine, t->fi)) continue;
    int64_t from = n->free_since[s] > since ? n->free_since[s] : since;
    if (w->now - from > IDLE_MAX)
      sim_fail(w, "task %lld waits beside a free slot of node %d for %lld s; its list has %zu, told %u", (long long)t->ti, i,
               (long long)((w->now - from) / SEC), w->q[s].n, n->empty_told[s]);
  }
}

/* New ones go to the list of their slot. The definition of a task stays the same as long as it has a row. */
static void sort_queued(struct world *w) {
  for (struct mem_task *t; (t = w->db->queued[0].first) != NULL;) {
    if (t->slot1 == 0) t->slot1 = (uint8_t)(slot_of_row(w, &t->r) + 1);
    memdb_queued_move(w->db, t, t->r.t.phase == PHASE_ANALYSE ? SLOT_ANALYSIS + 1 : t->slot1);
  }
}

/* A node has had a slot of this kind free for so long that a task may have waited too long for it. */
static bool idles(const struct world *w, int slot) {
  for (int i = 0; i < w->n_node; i++) {
    const struct node *n = &w->node[i];
    if (n->up && n->free_since[slot] != INT64_MAX && w->now - n->free_since[slot] > IDLE_MAX && !node_asleep(n)) return true;
  }
  return false;
}

#define GONE_MAX (30 * SEC)
/* Where it was deleted: as soon as that turn is over. Elsewhere: with the next look at the rows, which a nudge may only hurry. */
void oracle_gone(struct world *w) {
  for (int i = 0; i < w->n_node; i++) {
    const struct node *n = &w->node[i];
    if (!n->up || n->dead || n->in_turn || node_asleep(n) || batch_in_doubt(n->runner)) continue;
    for (const struct work *k = n->work; k != NULL; k = k->next) {
      const struct rec *r = k->rec;
      int64_t since = r->gone_at > w->calm_at ? r->gone_at : w->calm_at;
      bool here = r->gone_by == r->me, late = w->calm && w->now - since > GONE_MAX;
      if (r->gone_at > 0 && (here || late) && runner_incarnation(n->runner) == r->me)
        sim_fail(w, "task %lld is gone for %lld ms, attempt %u runs on", (long long)r->ti, (long long)(w->now - r->gone_at) / 1000, r->epoch);
    }
  }
}

/* Hints that a full node keeps come to others when the office sends them again. Until a dead holder is buried nobody holds it. */
static bool office_held(const struct world *w) {
  for (int i = 0; i < w->n_node; i++)
    if (w->node[i].up && w->node[i].runner->reconciler.office) return true;
  return false;
}

void oracle_idle(struct world *w) {
  if (w->queues.costs) return; /* a task waits for the budget, beside a free slot */
  if (!w->single && !office_held(w)) w->idle_from = w->now;
  if (w->single || w->now - w->idle_from <= IDLE_MAX) return;
  sort_queued(w);
  for (uint8_t s = 0; s < SLOT__N; s++)
    for (struct mem_task *t = idles(w, s) ? w->db->queued[s + 1].first : NULL; t != NULL && w->now - t->queued_at > IDLE_MAX; t = t->newer)
      check_waits(w, &t->r, s, t->queued_at > w->idle_from ? t->queued_at : w->idle_from);
}

void oracle_quiet(struct world *w) {
  const struct map64_slot *s;
  check_counts(w);
  check_intents(w);
  for (size_t i = 0; (s = map64_next(&w->db->flow, &i)) != NULL;) {
    rebuild_check(w, s->val);
    rebuild_final(w, s->val);
  }
  for (size_t i = 0; (s = map64_next(&w->db->task, &i)) != NULL;) {
    const struct mem_task *t = s->val;
    bool error = t->r.error != NULL && t->r.error[0] != '\0';
    if (t->r.t.phase == PHASE_DELETE && !(wished(w, t->r.ti) & wish_bit(ASK_CANCEL)))
      sim_fail(w, "the deletion of task %lld has come to its end, and it is still there", (long long)t->r.ti);
    if (t->r.fi == 0 && (t->r.t.state == TASK_SUCCESS) == error)
      sim_fail(w, "task %lld: %s with error '%s'", (long long)t->r.ti, task_state_name(t->r.t.state), t->r.error ? t->r.error : "");
  }
  for (size_t i = 0; (s = map64_next(&w->ledger, &i)) != NULL;)
    for (const struct rec *r = s->val; r != NULL; r = r->next)
      if (r->executing) sim_fail(w, "all is final, attempt %lld:%u is still executed", (long long)r->ti, r->epoch);
  queues_quiet(w);
  jobs_quiet(w);
  trees_quiet(w);
  for (int i = 0; i < w->n_node; i++) {
    const struct runner *r = w->node[i].up ? w->node[i].runner : NULL;
    if (r && r->admission.attempts.n + r->cache.slices.n + r->later.wait.n + r->events.n > 0)
      sim_fail(w, "node %d has something left: attempts %zu, slices %zu", i, r->admission.attempts.n, r->cache.slices.n);
    for (int k = 0; r && k < SLOT__N; k++)
      if (r->admission.pool[k].used != 0) sim_fail(w, "node %d: %u slots are still in use", i, r->admission.pool[k].used);
    struct health_part store = {.ok = true}, disk = {.ok = true};
    if (r) watch_health(&w->node[i].runner->watch, node_boot(&w->node[i]), &store, &disk);
    /* A store that came and went is shown as ill until it has been well for a while. */
    bool settles = r && r->watch.well_us != 0 && node_boot(&w->node[i]) - r->watch.well_us <= WATCH_STEADY_MAX_US;
    if (w->now - w->calm_at > 5 * SEC && !settles && (!store.ok || !disk.ok))
      sim_fail(w, "node %d: its store is well again, and it says: %s%s", i, store.why, disk.why);
    if (r && r->cache.alone.bytes > 0) sim_fail(w, "node %d still caches %zu bytes of finished tasks", i, r->cache.alone.bytes);
  }
  for (const struct op *o = w->ops; o != NULL; o = o->next) {
    /* On a single-process store a new process gives ids again that the former one gave and did not store. */
    bool again = w->n_crash > 0 || (w->db->single && o->life != o->node->life);
    for (uint32_t i = 0; o->never && !o->intent && !again && i < o->q.n_start; i++)
      if (o->q.start[i].fi && memdb_flow(w->db, o->q.start[i].fi)) sim_fail(w, "a start was taken back, flow %lld has a row", (long long)o->q.start[i].fi);
    if (!o->answered && o->node->up && o->node->life == o->life) sim_fail(w, "a request of kind %d was never answered", (int)o->q.kind);
  }
}
