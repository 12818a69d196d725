/* One event each: results, hints, timers and what the reconciler found, turned into steps of the core. The runner thread's.
 * What never happens: a report of a former attempt changes anything. */
#include "analysis.h"
#include "runner_int.h"

/* ---- attempts and timers ---- */

static enum task_ev result_kind(const struct attempt *a) {
  switch (a->end) {
  case ATTEMPT_OK: return TASK_EV_OK;
  case ATTEMPT_FAIL: case ATTEMPT_FATAL: return TASK_EV_FAIL;
  case ATTEMPT_HANDBACK: return TASK_EV_HANDBACK;
  case ATTEMPT_NOT_NOW: return TASK_EV_NOT_NOW;
  case ATTEMPT_NONE: case ATTEMPT_LOST: break;
  }
  return TASK_EV_LOST;
}

static void report_late(struct runner *r, const struct ev *e) {
  env_count(&r->env.n.late);
  log_info("runner.late", L_INT("fi", e->fi), L_INT("ti", e->ti), L_INT("epoch", e->epoch), L_INT("kind", e->kind));
}

/* The run in which e takes place. *c NULL: the run is gone, or its flow is set aside. */
static enum store_rc run_of(struct runner *r, const struct ev *e, struct cached **c) {
  if (e->fi == 0) return load_alone(&r->loader, e->ti, e->kind == EV_RESULT, c);
  *c = cache_use(&r->cache, e->fi);
  return STORE_OK;
}

/* The last output of an attempt may be stored after the task was deleted: whoever ran it deletes that, too. */
static enum store_rc forget_late(struct runner *r, const struct ev *e) {
  const struct runner_ports *p = &r->env.ports;
  struct task_row row;
  size_t got = 0;
  if (e->kind != EV_RESULT || e->fi != 0 || !p->forget) return STORE_OK;
  enum store_rc rc = store_tasks(r->env.store, &e->ti, 1, &row, &got);
  if (rc == STORE_OK && got == 0) p->forget(p->ctx, e->ti);
  return rc;
}

static enum store_rc task_event(struct runner *r, struct ev *e, struct run_event *ev) {
  struct cached *c;
  enum run_rc out = RUN_OK;
  enum store_rc rc = run_of(r, e, &c);
  if (rc == STORE_OK && c == NULL) return forget_late(r, e);
  if (rc != STORE_OK || c == NULL) return rc;
  ev->kind = RUN_EV_TASK;
  ev->task = run_task_of(c->run, e->ti);
  if (ev->task == UINT32_MAX) { report_late(r, e); return STORE_OK; }
  rc = step_event(&r->step, c, ev, &out);
  if (rc == STORE_OK && out == RUN_LATE) report_late(r, e);
  return rc == STORE_OK ? ask_obey(r, c, false) : rc;
}

/* Its task is deleted, or the task's newest attempt is another one: nothing that it does counts any more. */
static enum store_rc do_stray(struct runner *r, const struct ev *e) {
  struct task_row row;
  size_t got = 0;
  if (admission_epoch(&r->admission, e->ti) != e->epoch) return STORE_OK;
  enum store_rc rc = store_tasks(r->env.store, &e->ti, 1, &row, &got);
  if (rc == STORE_OK && !(got == 1 && row.t.owner == e->owner && row.t.epoch == e->epoch)) wait_stray(r, e->ti, e->epoch);
  return rc;
}

static const char *joined(struct runner *r, const char *begin, const char *text) {
  size_t n = strlen(begin) + strlen(text) + 3;
  char *s = arena_alloc(&r->env.mem, n);
  (void)snprintf(s, n, "%s: %s", begin, text);
  return s;
}

/* What its analyzer says, or why it says nothing. */
static const char *analysis_error(struct runner *r, const struct attempt *a) {
  bool told = a->error && strncmp(a->error, "Analyzer", strlen("Analyzer")) == 0;
  if (a->end != ATTEMPT_OK && a->error) return told ? a->error : joined(r, "Analyzer failed", a->error);
  if (a->end != ATTEMPT_OK) return "Analyzer gave no answer.";
  const struct verdict *v = &a->analysis->verdict;
  if (v->kind == VERDICT_DONE) return NULL;
  if (v->message && *v->message) return v->message;
  return v->kind == VERDICT_RETRY ? "The analyzer asks for another try." : "The analyzer says that it failed.";
}

static const char *error_of(struct runner *r, const struct attempt *a, enum task_ev kind) {
  const char *text = a->error;
  if (kind == TASK_EV_NOT_NOW && a->asked) return NULL; /* it stopped because it was asked to */
  if (kind == TASK_EV_NOT_NOW) {
    if (!text) return TASK_NOT_NOW ".";
    return strncmp(text, TASK_NOT_NOW, strlen(TASK_NOT_NOW)) == 0 ? text : joined(r, TASK_NOT_NOW, text);
  }
  if (kind == TASK_EV_FAIL && a->cleanup) return text ? joined(r, "The clean-up failed", text) : NULL;
  if (!text && kind == TASK_EV_FAIL) return "Failed.";
  return !text && kind == TASK_EV_LOST ? "Lost with its node." : text;
}

/* The process, or what stands for it, has ended: its code, its times and its log are known. */
static bool has_ended(const struct attempt *a) {
  bool began = a->end == ATTEMPT_OK || a->end == ATTEMPT_FAIL || a->end == ATTEMPT_FATAL || a->end == ATTEMPT_NOT_NOW;
  return began || a->exit_code >= 0 || a->signal > 0;
}

/* A program that says by its code that no further try makes sense, or that it wants to be tried later, has said enough. */
static bool speaks_for_itself(const struct attempt *a) {
  return a->cleanup || a->end == ATTEMPT_NOT_NOW || a->exit_code == 125 || a->exit_code == 75;
}

/* It ended by itself, so that its analyzer is asked. What could not start has no end of its own. */
static bool analysable(const struct attempt *a) {
  bool answered = a->end == ATTEMPT_OK || a->end == ATTEMPT_FAIL || (a->end == ATTEMPT_FATAL && a->exit_code >= 0);
  return answered && !a->asked && !speaks_for_itself(a);
}

static enum store_rc do_analysed(struct runner *r, struct ev *e) {
  struct attempt *a = e->a;
  const struct verdict *v = &a->analysis->verdict;
  bool ok = a->end == ATTEMPT_OK;
  struct run_event ev = {.ev = {.kind = result_kind(a), .owner = a->owner, .epoch = a->epoch, .fatal = a->end == ATTEMPT_FATAL,
                                .asked = a->asked, .said = ok ? (uint8_t)v->kind : SAID_NOTHING,
                                .after_us = ok && v->has_after ? (v->after_us > 0 ? v->after_us : 1) : 0},
                         .pol = &a->policy, .error = analysis_error(r, a), .result = a};
  return ok ? tree_verdict(r, e, &ev) : task_event(r, e, &ev);
}

static enum store_rc do_result(struct runner *r, struct ev *e) {
  struct attempt *a = e->a;
  struct run_event ev = {.ev = {.kind = result_kind(a), .owner = a->owner, .epoch = a->epoch,
                                .fatal = a->end == ATTEMPT_FATAL, .asked = a->asked, .remove = a->remove,
                                .analyse = analysable(a),
                                .after_us = a->after_us},
                         .pol = &a->policy, .error = error_of(r, a, result_kind(a)), .skip_edges = a->skip_edges,
                         .result = has_ended(a) ? a : NULL};
  if (!r->env.draining && a->owner == r->env.me && !e->slotless) admission_return(&r->admission, &a->policy);
  return a->analysis ? do_analysed(r, e) : task_event(r, e, &ev);
}

static enum store_rc do_flow_timeout(struct runner *r, const struct ev *e) {
  struct cached *c = cache_use(&r->cache, e->fi);
  enum run_rc out;
  if (c == NULL) return STORE_OK;
  return step_event(&r->step, c, &(struct run_event){.kind = RUN_EV_TIMEOUT, .error = "The flow timed out."}, &out);
}

static enum store_rc do_more(struct runner *r, const struct ev *e) {
  struct cached *c = cache_use(&r->cache, e->fi);
  return c && !flow_final((enum flow_state)c->run->state) ? step_slice(&r->step, c) : STORE_OK;
}

/* ---- hints ---- */


/* A hint that is sent to fill queues of other classes than its own. It is most likely in its own queue. If it is not, it is found
 * when that queue is empty; where hints stay in this process nothing tells that, and it waits here. */
static bool fills_others(const struct ev *e, uint8_t slot) {
  return e->from == HINT_REFILL && e->refill && !(e->refill & slot_bit(slot));
}

/* The task is not claimed here, and `why` says the reason: its hint goes where it belongs. */
static void hint_left(struct runner *r, const struct ev *e, uint8_t slot, enum admit why, const struct waits *t) {
  wait_settle(r, e);
  if (why == ADMIT_ELSEWHERE) lost_hints_elsewhere(&r->lost, e, slot, t->list);
  else if (fills_others(e, slot) && !env_keeps(&r->env)) return;
  else if (e->from == HINT_ROWS && why != ADMIT_QUEUE && !queues_policy(&r->queues)) return;
  else if (e->from == HINT_RESENT || e->from == HINT_RESENT_EARLY || e->from == HINT_REFILL) wait_anywhere(r, slot, t);
  else wait_here(r, slot, t);
}

static enum admit hint_asks(struct runner *r, const struct ev *e, const struct task_policy *pol, const struct queue_view *of) {
  if (!queues_serves(&r->queues, of->user, of->group)) return ADMIT_ELSEWHERE;
  enum admit admit = admission_ask(&r->admission, pol, e->from == HINT_PULLED);
  if (admit == ADMIT_FULL) admission_refused(&r->admission, pol, e->ti);
  return admit == ADMIT_NOW && !wait_claim(r, e, of) ? ADMIT_QUEUE : admit;
}

/* The flow above it is held by another node, or its pause is not in the head of the tree yet. */
static bool comes_again(const struct runner *r, const struct cached *c) {
  const struct job_head *h = jobs_head(&r->jobs, c->alone->job);
  return h->flow_held || (h->fi != 0 && !h->flow_paused && !jobs_hold(h));
}

/* The class of a hint is known only here, from the policy of its task. */
static enum store_rc do_hint(struct runner *r, struct ev *e) {
  struct cached *c;
  struct task_policy own;
  const struct task_policy *pol;
  enum store_rc rc = run_of(r, e, &c);
  uint32_t task = rc == STORE_OK && c ? run_task_of(c->run, e->ti) : UINT32_MAX;
  if (task == UINT32_MAX) return rc;
  rc = step_policy(&r->step, c, task, &own, &pol);
  if (rc != STORE_OK) return rc;
  bool others = fills_others(e, pol->slot);
  if (others && env_keeps(&r->env) && env_backlog(&r->env, pol->slot) > 0) {
    reconciler_refused(&r->reconciler, pol->slot);
    return STORE_OK;
  }
  /* It waits no more: nothing is paid for it. Perhaps this very batch has claimed it: what is held settles after the commit. */
  bool known = run_alone(c->run) || run_known(c->run, run_node_of(c->run, task));
  if (known && c->run->task[task].t.state != TASK_QUEUED) return STORE_OK;
  if (step_held(&r->step, c)) { /* its job is paused, or ends */
    if (comes_again(r, c)) e->then = THEN_LATER;
    return ask_obey(r, c, false);
  }
  struct waits t = wait_of(r, c, e->ti, e->fi, task, wait_since(r, c));
  t.list = pol->list;
  t.of = cached_queue_as(c, task, pol);
  enum admit admit = others && !env_keeps(&r->env) ? ADMIT_FULL : hint_asks(r, e, pol, &t.of);
  if (admit != ADMIT_NOW) {
    hint_left(r, e, pol->slot, admit, &t);
    return STORE_OK;
  }
  struct run_event ev = {.ev = {.kind = TASK_EV_CLAIM, .owner = r->env.me}};
  return task_event(r, e, &ev);
}

/* ---- all of them ---- */

static enum store_rc dispatch(struct runner *r, struct ev *e) {
  struct run_event ev = {.ev = {.owner = e->owner, .epoch = e->epoch}};
  switch (e->kind) {
  case EV_RESULT: return do_result(r, e);
  case EV_REQ: return e->q ? handle_request(r, e) : STORE_OK; /* NULL: it was answered while its commit was in doubt */
  case EV_HINT: return do_hint(r, e);
  case EV_FLOW_TIMEOUT: return do_flow_timeout(r, e);
  case EV_TIMEOUT: ev.ev.kind = TASK_EV_TIMEOUT; return task_event(r, e, &ev);
  case EV_DUE: ev.ev.kind = TASK_EV_DUE; return task_event(r, e, &ev);
  case EV_LOST:
    ev.ev.kind = e->handback ? TASK_EV_HANDBACK : TASK_EV_LOST;
    ev.error = e->handback ? NULL : "Lost with its node.";
    return task_event(r, e, &ev);
  case EV_STRAY: return do_stray(r, e);
  case EV_MORE: return do_more(r, e);
  case EV_JOB: return job_pass(r, e);
  case EV_TREE: return tree_event(r, e);
  case EV_TREES: return tree_flow_event(r, e);
  }
  return STORE_OK;
}

enum store_rc handle_event(struct runner *r, struct ev *e) {
  if (e->q == NULL && quarantine_waits(&r->quarantine, e->fi)) { /* every other event is found in the rows again */
    if (e->kind == EV_RESULT || e->kind == EV_TIMEOUT) e->then = THEN_KEPT;
    return STORE_OK;
  }
  if (!loader_held(&r->loader, e->fi) && !jobs_held(&r->jobs, loader_job_of(&r->loader, e))) {
    enum store_rc rc = dispatch(r, e);
    return rc == STORE_OK ? tree_settle(r) : rc;
  }
  e->then = THEN_LATER; /* another node holds the flow or the job: the event comes again */
  return STORE_OK;
}
