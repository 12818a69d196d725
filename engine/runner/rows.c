/* From effects to rows: what the batch writes, and the attempts that will start when it has committed. The runner thread's.
 *
 * Everything that can fail is done here, before the write: attempts are made with their definitions, so that nothing is left that
 * could fail after COMMIT OK. What never happens: anything outside this process is told. */
#include "analysis.h"
#include "defs.h"
#include "runner_int.h"
#include "text.h"
#include "wr_limits.h"

/* ---- texts ---- */

/* errorMsg as it is stored: cut at a character, with a mark. */
static const char *error_text(struct runner *r, const char *s) {
  if (!s || strlen(s) <= LIMIT_ERROR_BYTES) return s;
  char *t = arena_alloc(&r->env.mem, LIMIT_ERROR_BYTES + 1);
  text_cut(t, s, LIMIT_ERROR_BYTES);
  return t;
}

/* Texts are built in one buffer, and stay in the memory of the batch. */
static struct buf *text_begin(struct runner *r) {
  buf_clear(&r->writer.text);
  return &r->writer.text;
}
static const char *text_end(struct runner *r) { return arena_memdup0(&r->env.mem, r->writer.text.data, r->writer.text.len); }

/* The key of the node that failed stands before its error. */
static const char *flow_error(struct runner *r, const struct eff_flow *e, const struct flow_def *def) {
  if (!e->error || !e->of_node) return error_text(r, e->error);
  buf_printf(text_begin(r), "node %s: %s", def->node[def->dag_node[e->of_node - 1]].key, e->error);
  return error_text(r, text_end(r));
}

static const char *bases_text(struct runner *r, const struct run *run) {
  run_bases_text(run, text_begin(r));
  return text_end(r);
}

static const char *more_text(struct runner *r, const struct run *run) {
  if (run->n_more == 0) return NULL;
  run_more_text(run, text_begin(r));
  return text_end(r);
}

/* ---- rows ---- */

/* Rows of one run usually follow each other, so the last entry is remembered. */
static struct cached *cached_of(struct runner *r, const struct run *run) {
  struct writer *w = &r->writer;
  if (w->last == NULL || w->last->run != run) w->last = cache_get(&r->cache, run_key(run->fi, run->base[0].ti));
  return w->last;
}

/* A stand-alone task has neither a flow nor a node in the store. */
static void flow_rows(struct runner *r) {
  struct writer *w = &r->writer;
  for (size_t i = 0; i < r->step.effects.n_flow; i++) {
    const struct eff_flow *e = &r->step.effects.flow[i];
    const struct run *run = e->r;
    if (run_alone(run)) continue;
    const struct cached *c = cached_of(r, run);
    *WR_PUSH(w->b.flow, w->b.n_flow, w->cap_flow) = (struct flow_write){.op = run->row ? ROW_UPDATE : ROW_INSERT,
      .expect = c->locked == r->env.batch_no ? 0 : run->version,
      .row = {.fi = run->fi, .flow_id = c->flow_id, .flow_version = c->flow->version, .version = w->b.id, .state = run->state,
              .wish = run_wish_column(run), .run_no = (uint32_t)run->n_base, .live = run->live, .failed = run->failed,
              .create_us = run->create_us, .start_us = c->start_us, .end_us = run->end_us, .update_us = run->last_us,
              .due_us = run->due_us, .error = flow_error(r, e, c->flow), .params = c->params ? c->params->text : NULL,
              .bases = bases_text(r, run), .more = more_text(r, run)}};
  }
}

static void node_rows(struct runner *r) {
  struct writer *w = &r->writer;
  for (size_t i = 0; i < r->step.effects.n_node; i++) {
    const struct eff_node *e = &r->step.effects.node[i];
    const struct run_node *v = &e->r->node[e->node];
    if (run_alone(e->r)) continue;
    const struct flow_def *def = cached_of(r, e->r)->flow;
    *WR_PUSH(w->b.node, w->b.n_node, w->cap_node) = (struct node_write){.op = v->row ? ROW_UPDATE : ROW_INSERT,
      .row = {.ni = run_ni(e->r, e->node), .fi = e->r->fi, .node_id = def->node_base + def->dag_node[e->node],
              .run_no = v->base + 1u, .state = v->state, .ok = v->ok, .fail = v->fail, .skip = v->skip, .t_ok = v->t_ok,
              .t_bad = v->t_bad, .t_open = v->t_open, .t_canceled = v->t_canceled, .skip_edges = v->skip_edges,
              .create_us = e->r->last_us, .start_us = v->start_us, .end_us = v->end_us,
              .update_us = e->r->last_us, .error = error_text(r, e->error)}};
  }
}

static void result_fields(struct task_write *w, const struct attempt *a) {
  w->row.exit_code = -1;
  w->finish = w->row.error != NULL && !w->analysed; /* a cancel or a loss has a text, but no attempt that says more */
  if (a == NULL || a->analysis) return;
  w->finish = true;
  bool analysed = w->row.t.phase == PHASE_ANALYSE;
  bool kept = analysed || (a->end == ATTEMPT_OK && w->row.t.state == TASK_SUCCESS);
  w->row.result = kept ? a->result : NULL;
  w->row.result_len = w->row.result ? a->result_len : 0;
  w->row.log = (uint8_t)a->log;
  w->row.exit_code = analysed && a->status > 0 ? -a->status : a->exit_code;
  w->row.signal = a->signal;
  w->row.utime_us = a->utime_us;
  w->row.stime_us = a->stime_us;
  w->row.maxrss_kib = a->maxrss_kib;
  w->row.log_bytes = a->log_bytes;
  w->row.log_lost = a->log_lost;
  w->row.log_lost_why = (uint8_t)a->log_lost_why;
}

/* Of a task that was ANALYZING: what its row says of the attempt stays. Another try begins without the result of this one, and
 * the verdict may bring a result of its own, also when the task waits then for what it added. */
static void analysed_fields(struct task_write *w, const struct attempt *a, bool analysed) {
  const struct verdict *v = a && a->analysis && a->end == ATTEMPT_OK ? &a->analysis->verdict : NULL;
  w->analysed = analysed;
  if (!analysed || (w->row.t.phase != PHASE_RUN && w->row.t.phase != PHASE_CHILDREN)) return;
  w->clear_result = w->row.t.state == TASK_RETRY_WAIT;
  if (v && v->kind == VERDICT_DONE && v->result) w->new_result = v->result, w->new_result_len = v->result_len;
}

/* The fields in which the row of a stand-alone task differs from that of a flow's task. The row is the task's own lock. */
static void alone_fields(struct task_write *w, const struct cached *c) {
  w->expect_epoch = c->stored_epoch;
  w->expect_state = c->stored_state;
  w->expect_wished = c->stored_wished;
  w->row.ni = 0;
  w->row.task_id = c->task->task_id;
  w->row.create_us = c->run->create_us;
  w->row.params = c->params ? c->params->text : NULL;
  w->clear_result |= c->alone->anew;
}

static void task_rows(struct runner *r) {
  struct writer *wr = &r->writer;
  for (size_t i = 0; i < r->step.effects.n_task; i++) {
    const struct eff_task *e = &r->step.effects.task[i];
    const struct run *run = e->r;
    const struct run_task *t = &run->task[e->task];
    const struct cached *c = cached_of(r, run);
    struct task_write *w = WR_PUSH(wr->b.task, wr->b.n_task, wr->cap_task);
    *w = (struct task_write){.op = t->row ? ROW_UPDATE : ROW_INSERT, .expect_state = -1,
      .row = {.ti = run_ti(run, e->task), .ni = run_ni(run, run_node_of(run, e->task)), .fi = run->fi,
              .create_us = run->last_us, .update_us = run->last_us,
              .end_us = task_final(t->t.state) ? run->last_us : 0, .t = t->t, .executor = t->executor,
              .error = error_text(r, e->error)}};
    if (run_alone(run)) alone_fields(w, c);
    else w->row.task_id = c->flow->ref[run_pattern(run, e->task)].task_id;
    analysed_fields(w, e->result, e->analysed);
    result_fields(w, e->result);
    if (w->clear_result && !w->analysed) w->finish = true;
  }
}

/* A task that is deleted keeps its task row in the batch: the row is checked before it goes. */
static void alone_rows(struct runner *r) {
  struct writer *w = &r->writer;
  for (size_t i = 0; i < r->step.effects.n_task; i++) {
    const struct eff_task *e = &r->step.effects.task[i];
    if (!run_alone(e->r)) continue;
    const struct cached *c = cached_of(r, e->r);
    int64_t ti = run_ti(e->r, e->task);
    if (c->alone->gone) { *WR_PUSH(w->gone, w->b.n_gone, w->cap_gone) = ti; continue; }
    if (c->alone->write == ALONE_SAME || c->alone->write == ALONE_KEPT) continue;
    struct async_write *a = WR_PUSH(w->b.async, w->b.n_async, w->cap_async);
    *a = (struct async_write){c->alone->write == ALONE_INSERT ? ROW_INSERT : ROW_UPDATE, alone_row(c->alone, c->task)};
    a->row.ti = ti;
    a->row.create_us = c->run->create_us;
  }
  w->b.gone = w->gone;
}

/* Attempts that are followed by another one. `result`: what the process left, NULL = nothing. */
static void attempt_rows(struct runner *r) {
  struct writer *w = &r->writer;
  for (size_t i = 0; i < r->step.effects.n_attempt; i++) {
    const struct eff_attempt *e = &r->step.effects.attempt[i];
    const struct attempt *a = e->result;
    const struct alone *alone = run_alone(e->r) ? cached_of(r, e->r)->alone : NULL;
    if (alone && alone->gone) continue;
    *WR_PUSH(w->b.attempt, w->b.n_attempt, w->cap_attempt) = (struct attempt_row){.ti = run_ti(e->r, e->task),
      .epoch = e->epoch, .owner = e->owner, .start_us = e->start_us, .end_us = e->end_us, .why = task_ev_name(e->why),
      .error = error_text(r, e->error), .exit_code = a ? a->exit_code : -1, .signal = a ? a->signal : 0,
      .run_no = alone ? alone->run_no : e->r->node[run_node_of(e->r, e->task)].base + 1u};
  }
}

/* Its row was written when its analysis began. */
static void said_rows(struct runner *r) {
  struct writer *w = &r->writer;
  for (size_t i = 0; i < r->step.effects.n_task; i++) {
    const struct eff_task *e = &r->step.effects.task[i];
    const struct attempt *a = e->analysed ? e->result : NULL;
    const struct verdict *v = a && a->analysis && a->end == ATTEMPT_OK ? &a->analysis->verdict : NULL;
    if (!v || (v->kind != VERDICT_FAILED && v->kind != VERDICT_RETRY)) continue;
    *WR_PUSH(w->said, w->b.n_said, w->cap_said) = (struct attempt_said){run_ti(e->r, e->task), a->analysis->attempt,
      v->kind == VERDICT_RETRY ? SAID_RETRY : SAID_FAILED, v->message && *v->message ? v->message : NULL};
  }
  w->b.said = w->said;
}

static void former_rows(struct runner *r) {
  struct writer *w = &r->writer;
  for (size_t i = 0; i < w->n_former; i++) *WR_PUSH(w->b.attempt, w->b.n_attempt, w->cap_attempt) = w->former[i];
}

static void key_rows(struct runner *r) {
  struct writer *w = &r->writer;
  for (size_t i = 0; i < r->keys.n; i++)
    if (r->keys.v[i].state == KEY_NEW) *WR_PUSH(w->b.key, w->b.n_key, w->cap_key) = r->keys.v[i].w;
}

/* update_us: so far that of the newest of its tasks, by the clock of its node. */
static void job_times(struct job_head *h, int64_t now_us) {
  if (now_us < h->row.update_us) now_us = h->row.update_us;
  bool final = job_final((enum job_state)h->row.j.state);
  if (!final) h->row.end_us = 0;
  else if (h->row.end_us == 0) h->row.end_us = now_us;
  h->row.update_us = now_us;
}

/* Whether a job is final is decided here, when all that this batch does to its tasks is counted. */
static void job_rows(struct runner *r) {
  struct writer *w = &r->writer;
  const struct map64_slot *s;
  for (size_t i = 0; r->jobs.heads.n > 0 && (s = map64_next(&r->jobs.heads, &i)) != NULL;) {
    struct job_head *h = s->val;
    if (!h->changed) continue;
    job_decide(&h->row.j);
    job_times(h, r->env.wall_us);
    *WR_PUSH(w->b.job, w->b.n_job, w->cap_job) = (struct job_write){h->fresh ? ROW_INSERT : ROW_UPDATE, h->gone, h->row};
  }
}

static void tree_rows(struct runner *r) {
  struct writer *w = &r->writer;
  const struct map64_slot *s;
  for (size_t i = 0; r->trees.rows.n > 0 && (s = map64_next(&r->trees.rows, &i)) != NULL;) {
    const struct tree_slot *t = s->val;
    if (t->changed && t->there && !t->gone) *WR_PUSH(w->trees, w->b.n_tree, w->cap_tree) = t->row;
  }
  if (w->b.n_tree > 0) qsort(w->trees, w->b.n_tree, sizeof *w->trees, wr_by_id);
  w->b.tree = w->trees;
}

/* ---- in the order of their ids ---- */

#define SORT(name, type, field)                                         \
  static int cmp_##name(const void *a, const void *b) {                 \
    int64_t x = ((const type *)a)->row.field, y = ((const type *)b)->row.field; \
    return x < y ? -1 : x > y;                                          \
  }                                                                     \
  static void sort_##name(type *v, size_t n) {                          \
    for (size_t i = 1; i < n; i++)                                      \
      if (v[i - 1].row.field > v[i].row.field) { qsort(v, n, sizeof *v, cmp_##name); return; } \
  }
SORT(flow, struct flow_write, fi)
SORT(node, struct node_write, ni)
SORT(task, struct task_write, ti)
SORT(async, struct async_write, ti)
SORT(job, struct job_write, job_id)

/* ---- attempts that will start ---- */

/* WEIR_RUN_KEY: "s<store>:" and the name of this task within that store; no other database makes the same keys. */
static char *attempt_key(const struct runner *r, const struct cached *c, uint32_t task) {
  struct buf key = BUF_INIT;
  buf_ch(&key, 's');
  buf_str(&key, store_id(r->env.store));
  buf_ch(&key, ':');
  if (run_alone(c->run)) {
    buf_str(&key, "t:");
    buf_i64(&key, run_ti(c->run, task));
    return key.data;
  }
  uint32_t node = run_node_of(c->run, task);
  buf_i64(&key, c->run->fi);
  buf_ch(&key, ':');
  buf_str(&key, c->flow->node[c->flow->dag_node[node]].key);
  buf_ch(&key, ':');
  buf_i64(&key, task - run_node_tasks(c->run, node).at);
  return key.data;
}

/* *def: a reference of the definition that the instance is pinned to. */
static enum store_rc attempt_def(struct runner *r, const struct cached *c, uint32_t task, struct task_def **def) {
  struct wr_err err;
  const struct task_ref *ref = run_alone(c->run) ? NULL : &c->flow->ref[run_pattern(c->run, task)];
  int64_t version = c->run->task[task].t.version;
  *def = ref == NULL ? c->task : ref->inl;
  if (*def) { *def = def_task_ref(*def); return STORE_OK; }
  enum store_rc rc = defs_store_rc(defs_task(r->env.defs, ref->task_id, version, r->env.defs_version, def, &err));
  if (rc == STORE_BAD)
    log_error("runner.task_definition", L_INT("task_id", ref->task_id), L_INT("version", version), L_STR("error", err.msg));
  return rc;
}

/* A clean-up has a time of its own, and need not report. */
static void make_clean_up(struct attempt *a) {
  a->timeout_us = a->def->clean_up_us ? a->def->clean_up_us : LIMIT_CLEANUP_US;
  a->heartbeat_us = 0;
}

/* What the attempt left is read by whoever makes the call. */
static void make_analysis(struct attempt *a, const struct cached *c, const struct analyzer *analyzer, const struct task *t,
                          int64_t scope) {
  a->analysis = analysis_new(analyzer, task_attempt_of(t->epoch), t->end_as == TASK_FAILED);
  a->analysis->user = wr_strdup(cached_queue(c, a->task).group); /* users take turns there, too */
  a->policy.cost = task_policy_analysis.cost;
  a->scope = scope;
  a->timeout_us = a->heartbeat_us = 0; /* the call has a limit of its own */
}

/* One that is not there any more is known to no node: then the attempt says so. */
static enum store_rc know_version(struct runner *r, const struct task_def *def, uint32_t version) {
  struct wr_err err;
  enum store_rc rc = defs_store_rc(defs_added_version(r->env.defs, def->type, version, &err));
  return rc == STORE_BAD ? STORE_OK : rc;
}

/* A run has LIMIT_ATTEMPTS tries of a task at most; a task alone has no more of them than claims. */
static uint32_t first_try(const struct cached *c, const struct run *run, uint32_t task) {
  return c->alone ? c->alone->run_epoch : run->node[run_node_of(run, task)].base * LIMIT_ATTEMPTS;
}

/* What an attempt of the task is made of, whatever it is for. */
static enum store_rc attempt_of(struct runner *r, const struct eff_after *f, struct attempt **out) {
  const struct cached *c = cached_of(r, f->r);
  const struct task_ref *ref = run_alone(f->r) ? NULL : &c->flow->ref[run_pattern(f->r, f->task)];
  struct task_def *def = NULL;
  uint32_t executor = f->r->task[f->task].executor;
  enum store_rc rc = attempt_def(r, c, f->task, &def);
  if (rc == STORE_OK && executor) rc = know_version(r, def, executor);
  if (rc != STORE_OK) {
    def_task_unref(def);
    return rc;
  }
  bool tells = executor || f->r->task[f->task].t.phase == PHASE_ANALYSE; /* the others do not hear of a key or a job */
  struct attempt *a = *out = wr_new(struct attempt);
  *a = (struct attempt){.fi = f->r->fi, .ti = run_ti(f->r, f->task), .ni = ref ? run_ni(f->r, run_node_of(f->r, f->task)) : 0,
    .task = f->task, .epoch = f->epoch, .owner = r->env.me, .def = def, .key = attempt_key(r, c, f->task),
    .timeout_us = ref ? def_timeout_us(ref, def) : def->timeout_us, .policy = ref ? def_policy(ref, def) : *c->bind.pol,
    .params = c->params ? params_ref(c->params) : NULL, .exit_code = -1, .start_us = f->r->last_us,
    .heartbeat_us = def->heartbeat_us, .executor = executor,
    .task_key = tells && c->alone && c->alone->key ? wr_strdup(c->alone->key) : NULL,
    .job = tells && c->alone && c->alone->job > 0 ? c->alone->job : 0, .given = c->alone && c->alone->given,
    .failed = f->tries, .before = c->alone ? c->alone->run_epoch : 0, .first_try = first_try(c, f->r, f->task)};
  return STORE_OK;
}

static enum store_rc make_start(struct runner *r, const struct eff_after *f) {
  const struct cached *c = cached_of(r, f->r);
  const struct task *t = &f->r->task[f->task].t;
  struct attempt *a;
  enum store_rc rc = attempt_of(r, f, &a);
  if (rc != STORE_OK) return rc;
  a->cleanup = t->phase == PHASE_DELETE;
  if (a->cleanup) make_clean_up(a);
  const struct analyzer *analyzer = a->policy.calls ? defs_analyzer_of(r->env.defs, a->def, a->executor) : NULL;
  if (!analyzer) a->policy.calls = 0;
  if (t->phase == PHASE_ANALYSE) make_analysis(a, c, analyzer, t, c->alone && c->alone->job != 0 ? c->alone->job : -a->ti);
  a->failed = t->tries;
  a->policy.slot = f->slot; /* the class of this version, which the step counted */
  *r->writer.starts_tail = a;
  r->writer.starts_tail = &a->next;
  return STORE_OK;
}

/* Without its definition nobody knows whom to tell; the task ends all the same. */
static enum store_rc make_parting(struct runner *r, const struct eff_after *f) {
  struct eff_task *e = &r->step.effects.task[f->r->task[f->task].eff - 1];
  struct attempt *a;
  e->parts = 0;
  if (!r->env.ports.part) return STORE_OK;
  enum store_rc rc = attempt_of(r, f, &a);
  if (rc != STORE_OK) return rc == STORE_BAD ? STORE_OK : rc;
  attempt_drop_params(a);
  a->parting = true;
  e->parts = e->gone;
  a->forget = e->gone;
  *r->writer.partings_tail = a;
  r->writer.partings_tail = &a->next;
  return STORE_OK;
}

static enum store_rc make_starts(struct runner *r) {
  enum store_rc rc = STORE_OK;
  r->writer.starts_tail = &r->writer.starts;
  r->writer.partings_tail = &r->writer.partings;
  for (size_t i = 0; i < r->step.effects.n_after && rc == STORE_OK; i++) {
    const struct eff_after *f = &r->step.effects.after[i];
    wr_assert(f->kind != AFTER_READY);
    if (f->kind == AFTER_START) rc = make_start(r, f);
    else if (f->kind == AFTER_PART) rc = make_parting(r, f);
  }
  return rc;
}

/* The buckets from which the claims of this batch have taken. */
static void rate_rows(struct runner *r) {
  struct writer *w = &r->writer;
  size_t n = queues_rates(&r->queues, NULL, 0);
  if (n > w->cap_rate) w->rates = wr_grow(w->rates, &w->cap_rate, n, sizeof *w->rates);
  w->b.n_rate = queues_rates(&r->queues, w->rates, n);
  w->b.rate = w->rates;
  if (n > 0) qsort(w->rates, n, sizeof *w->rates, wr_by_id);
}

static void note(struct writer *w, int64_t ti, const char *user, const char *group) {
  *WR_PUSH(w->notes, w->b.n_note, w->cap_note) = (struct count_note){ti, user, group};
}

static void unnote(struct writer *w, const struct run *run, uint32_t task) {
  int64_t ti = run_ti(run, task);
  *WR_PUSH(w->unnotes, w->b.n_unnote, w->cap_unnote) = ti;
  if (run->task[task].executor != 0) *WR_PUSH(w->unnotes, w->b.n_unnote, w->cap_unnote) = -ti;
}

/* What runs here already when the first row of a queue has come. */
static void owed_notes(struct writer *w, const struct queues *q) {
  size_t n = queues_notes(q, NULL, 0);
  if (n > w->cap_note) w->notes = wr_grow(w->notes, &w->cap_note, n, sizeof *w->notes);
  w->b.n_note = queues_notes(q, w->notes, n);
}

/* A clean-up counts nowhere. */
static void note_task(struct runner *r, const struct cached *c, uint32_t task) {
  if (!task_counts(&c->run->task[task].t)) return;
  struct queue_view of = c->alone ? (struct queue_view){c->alone->user, c->alone->group, 0, 0, NULL} : cached_queue(c, task);
  int64_t ti = run_ti(c->run, task);
  const struct hold *h = queues_held(&r->queues, ti);
  note(&r->writer, ti, of.user, of.group);
  if (h && h->kind) note(&r->writer, -ti, QUEUE_OF_TYPE, h->kind->type);
}

/* Tasks of flows that were moved by themselves: no row of theirs has changed. */
static void moved_notes(struct runner *r) {
  for (size_t i = 0; i < r->writer.n_whose; i++) {
    const struct whose_row *x = &r->writer.whose[i];
    const struct cached *c = x->ti != 0 ? cache_get(&r->cache, x->fi) : NULL;
    uint32_t task = c ? run_task_of(c->run, x->ti) : UINT32_MAX;
    if (task != UINT32_MAX) note_task(r, c, task);
  }
}

/* What counts from this batch on, and what does not any more (store_queues.h). */
static void count_notes(struct runner *r) {
  struct writer *w = &r->writer;
  const struct effects *eff = &r->step.effects;
  if (r->env.single || !queues_limit(&r->queues)) return;
  if (r->queues.owes) owed_notes(w, &r->queues);
  for (size_t i = 0; i < eff->n_after; i++)
    if (eff->after[i].kind == AFTER_START) note_task(r, cached_of(r, eff->after[i].r), eff->after[i].task);
  for (size_t i = 0; i < eff->n_task; i++) {
    const struct eff_task *e = &eff->task[i];
    const struct task *t = &e->r->task[e->task].t;
    const struct cached *c = cached_of(r, e->r);
    if (c->alone && c->alone->moved) note_task(r, c, e->task);
    if (t->epoch > 0 && (e->gone || !task_counts(t))) unnote(w, e->r, e->task);
  }
  moved_notes(r);
  w->b.n_note = wr_distinct(w->notes, w->b.n_note, sizeof *w->notes);
  w->b.n_unnote = wr_distinct(w->unnotes, w->b.n_unnote, sizeof *w->unnotes);
  w->b.note = w->notes;
  w->b.unnote = w->unnotes;
}

enum store_rc rows_make(struct runner *r, bool *any) {
  struct writer *w = &r->writer;
  struct batch *b = &w->b;
  w->last = NULL;
  b->n_flow = b->n_node = b->n_task = b->n_attempt = b->n_said = b->n_key = b->n_async = b->n_gone = b->n_whose = b->n_rate = 0;
  b->n_note = b->n_unnote = b->n_job = b->n_tree = 0;
  key_rows(r);
  job_rows(r);
  tree_rows(r);
  count_notes(r);
  *any = r->step.effects.n_flow + b->n_key + b->n_note + b->n_job + b->n_tree > 0;
  if (!*any) return STORE_OK;
  enum store_rc rc = make_starts(r);
  if (rc != STORE_OK) return rc;
  b->id = r->env.me << 32 | (int64_t)(++w->seq & 0xffffffff);
  flow_rows(r);
  node_rows(r);
  task_rows(r);
  alone_rows(r);
  attempt_rows(r);
  former_rows(r);
  said_rows(r);
  rate_rows(r);
  b->whose = w->whose;
  b->n_whose = w->n_whose;
  sort_flow(b->flow, b->n_flow);
  sort_node(b->node, b->n_node);
  sort_task(b->task, b->n_task);
  sort_async(b->async, b->n_async);
  sort_job(b->job, b->n_job);
  b->n_gone = wr_distinct(w->gone, b->n_gone, sizeof *w->gone);
  return STORE_OK;
}

void rows_forget(struct runner *r) {
  struct writer *w = &r->writer;
  for (struct attempt *a; (a = w->starts) != NULL;) {
    w->starts = a->next;
    attempt_free(a);
  }
  w->starts_tail = &w->starts;
  for (struct attempt *a; (a = w->partings) != NULL;) {
    w->partings = a->next;
    attempt_free(a);
  }
  w->partings_tail = &w->partings;
}
