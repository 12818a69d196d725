/* The batch has committed: starts, hints, kills, timers and the ends of flows go out, and the parts learn what is stored now. The
 * runner thread's.
 * What never happens: a hint, a start or a kill before COMMIT OK. Nothing here can fail. */
#include "runner_int.h"

struct pushes { struct hint *h; size_t n, cap; };   /* what goes to all nodes */

static void count_results(struct runner *r) {
  for (size_t i = 0; i < r->events.taken; i++) {
    const struct ev *e = &r->events.v[i];
    if (!e->a || e->then != THEN_OVER) continue;
    admission_ended(&r->admission, e->a, e->slotless);
    if (e->a->owner == r->env.me) queues_ended(&r->queues, e->ti);
  }
}

static void give_starts(struct runner *r) {
  struct writer *w = &r->writer;
  const struct runner_ports *p = &r->env.ports;
  for (const struct attempt *a = w->starts; a != NULL; a = a->next) {
    admission_started(&r->admission, a);
    if (r->queues.holds.n > 0) queues_started(&r->queues, a->ti);
  }
  if (w->starts && p->start) {
    p->start(p->ctx, w->starts);
    w->starts = NULL;
  }
  if (w->partings && p->part) {
    p->part(p->ctx, w->partings);
    w->partings = NULL;
  }
  rows_forget(r); /* attempts that no port took */
}

static void kill_attempt(struct runner *r, const struct eff_after *f) {
  const struct runner_ports *p = &r->env.ports;
  int64_t ti = run_ti(f->r, f->task);
  enum task_stop why = f->given_up ? STOP_FENCED : task_stop(&f->r->task[f->task].t);
  if (f->owner != r->env.me) {
    if (p->nudge) p->nudge(p->ctx, f->owner);
  } else if (why == STOP_FENCED) {
    wait_stray(r, ti, f->epoch);
  } else if (p->cancel) {
    p->cancel(p->ctx, ti, f->epoch, why);
  }
}

static void push_hint(struct runner *r, const struct eff_after *f, struct pushes *p) {
  int64_t ti = run_ti(f->r, f->task), due = f->r->task[f->task].t.due_us;
  struct cached *c = cache_get(&r->cache, run_key(f->r->fi, ti));
  struct waits t = wait_of(r, c, ti, f->r->fi, f->task, r->env.wall_us);
  t.list = f->list;
  if (due != 0) timers_set(&r->timers, ti, f->r->fi, due);
  if (env_keeps(&r->env)) wait_here(r, f->slot, &t);
  else *WR_PUSH(p->h, p->n, p->cap) = wait_hint(&t);
  if (c && !r->env.single && !run_alone(f->r)) cached_share(c);
}

static void one_after(struct runner *r, const struct eff_after *f, struct pushes p[SLOT__N]) {
  const struct runner_ports *ports = &r->env.ports;
  switch (f->kind) {
  case AFTER_READY: case AFTER_NONE: case AFTER_START: case AFTER_PART: break; /* nothing is left to do */
  case AFTER_PUSH: push_hint(r, f, &p[f->slot]); break;
  case AFTER_KILL: kill_attempt(r, f); break;
  case AFTER_TREES: trees_flow(&r->trees, f->r->fi, 0); break;
  case AFTER_BELOW: trees_next(&r->trees, run_ti(f->r, f->task), f->r->fi); break;
  case AFTER_TIMER: timers_set(&r->timers, run_ti(f->r, f->task), f->r->fi, f->r->task[f->task].t.due_us); break;
  case AFTER_FLOW_DONE:
    if (ports->flow_done) ports->flow_done(ports->ctx, f->r->fi, (enum flow_state)f->r->state);
    break;
  }
}

static void send_pushes(struct runner *r, struct pushes p[SLOT__N]) {
  for (int s = 0; s < SLOT__N; s++) {
    if (p[s].n > 0 && !env_push(&r->env, s, p[s].h, p[s].n)) reconciler_refused(&r->reconciler, s);
    free(p[s].h);
  }
}

/* Rows that no longer wait need no timer. */
static void stop_timers(struct runner *r) {
  const struct effects *eff = &r->step.effects;
  for (size_t i = 0; i < eff->n_flow; i++) {
    const struct run *run = eff->flow[i].r;
    if (run->due_us == 0 || flow_final((enum flow_state)run->state)) timers_stop(&r->flow_timers, run->fi);
  }
  for (size_t i = 0; timers_count(&r->timers) > 0 && i < eff->n_task; i++) {
    const struct eff_task *e = &eff->task[i];
    if (e->r->task[e->task].t.due_us == 0) timers_stop(&r->timers, run_ti(e->r, e->task));
  }
}

/* What waits no more leaves its queue. Attempts that this node does not have have ended, too: those of nodes that are dead, and
 * those that were lost here. */
static void leave_queues(struct runner *r) {
  const struct effects *eff = &r->step.effects;
  for (size_t i = 0; r->queues.holds.n + r->waiting.by_ti.n > 0 && i < eff->n_task; i++) {
    const struct eff_task *e = &eff->task[i];
    int64_t ti = run_ti(e->r, e->task);
    if (waiting_has(&r->waiting, ti) && e->r->task[e->task].t.state != TASK_QUEUED) (void)waiting_drop(&r->waiting, ti);
    if (!task_counts(&e->r->task[e->task].t) && admission_epoch(&r->admission, ti) == 0) queues_ended(&r->queues, ti);
  }
}

/* Tasks whose queue is another now. */
static void move_moved(struct runner *r) {
  const struct batch *b = &r->writer.b;
  for (size_t i = 0; i < b->n_async; i++) {
    const struct cached *c = cache_get(&r->cache, run_key(0, b->async[i].row.ti));
    if (c && c->alone->moved) wait_moved(r, c);
  }
}

/* Flows that became final leave the cache: only a re-run changes them. */
static void drop_final(struct runner *r) {
  struct effects *eff = &r->step.effects;
  struct cached **over = arena_alloc(&r->env.mem, (eff->n_flow + 1) * sizeof(struct cached *));
  size_t n = 0;
  for (size_t i = 0; i < eff->n_flow; i++) {
    const struct run *run = eff->flow[i].r;
    if (!run_alone(run) && flow_final((enum flow_state)run->state)) over[n++] = cache_get(&r->cache, run->fi);
  }
  effects_commit(eff, r->writer.b.id);
  for (size_t i = 0; i < n; i++) cache_drop(&r->cache, over[i]);
}

/* For those who wait. Costs one question when nobody does. */
static void tell_watcher(struct runner *r) {
  const struct watcher *w = r->env.ports.watcher;
  const struct effects *eff = &r->step.effects;
  if (!w || !w->waits(w->ctx)) return;
  for (size_t i = 0; i < eff->n_task; i++) {
    const struct eff_task *e = &eff->task[i];
    if (e->gone || task_final(e->r->task[e->task].t.state)) w->task(w->ctx, run_ti(e->r, e->task));
  }
  for (size_t i = 0; i < eff->n_flow; i++)
    if (!run_alone(eff->flow[i].r) && flow_final((enum flow_state)eff->flow[i].r->state)) w->flow(w->ctx, eff->flow[i].r->fi);
}

/* What attempts of deleted tasks left elsewhere is deleted, too. Where it still tells who is to be told, that comes first. */
static void forget_gone(struct runner *r) {
  const struct runner_ports *p = &r->env.ports;
  const struct effects *eff = &r->step.effects;
  for (size_t i = 0; p->forget && r->writer.b.n_gone > 0 && i < eff->n_task; i++)
    if (eff->task[i].gone && !eff->task[i].parts) p->forget(p->ctx, run_ti(eff->task[i].r, eff->task[i].task));
}

void after_commit(struct runner *r) {
  struct pushes p[SLOT__N] = {{0}};
  const struct effects *eff = &r->step.effects;
  count_results(r);
  give_starts(r);
  leave_queues(r);
  stop_timers(r);
  for (size_t i = 0; i < eff->n_after; i++) one_after(r, &eff->after[i], p);
  send_pushes(r, p);
  move_moved(r);
  tell_watcher(r);
  forget_gone(r);
  for (size_t i = 0; i < eff->n_flow && r->quarantine.flows.n > 0; i++) quarantine_committed(&r->quarantine, eff->flow[i].r->fi);
  drop_final(r);
  cache_committed(&r->cache);
}
