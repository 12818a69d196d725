/* Wishes of users about tasks: run, pause, cancel, delete, queue. The core decides each pair of state and wish (core/ask.h); here
 * the task is found, and what the wish changes beside its state is noted. The runner thread's.
 * What never happens: a wish is decided by a state that the batch then does not find in the row. */
#include "runner_int.h"
#include "wr_limits.h"

/* ---- one wish about one cached task ---- */

/* What stands beside the state of a stand-alone task, which the wish has changed. */
static void beside(struct runner *r, struct cached *c, const struct req_ask *a) {
  struct alone *x = c->alone;
  const struct task *t = &c->run->task[0].t;
  unsigned did = r->step.ctx.did;
  uint32_t last = task_attempt_of(t->epoch);
  uint32_t before = t->state == TASK_RUNNING && a->ask == ASK_RUN ? last - 1 : last; /* it is claimed already */
  if (did & TASK_OUT_RUN_AGAIN) alone_run_again(x, before);
  if (a->ask == ASK_RUN && a->context) alone_context(x, a, before);
  cache_grew(&r->cache, c);
}

/* A final task is run again, or its clean-up comes: what its row says of its last attempt becomes history. Of a task that ended
 * while it waited, that attempt is history already, and the store keeps it as it is. Of a success there is nothing to be told. */
static enum store_rc keep_last(struct runner *r, const struct cached *c, const struct task *was) {
  struct writer *w = &r->writer;
  struct task_row row;
  size_t got = 0;
  int64_t ti = run_ti(c->run, 0);
  enum store_rc rc = store_tasks(r->env.store, &ti, 1, &row, &got);
  if (rc != STORE_OK || got == 0 || was->epoch == 0) return rc;
  *WR_PUSH(w->former, w->n_former, w->cap_former) = (struct attempt_row){.ti = ti,
    .epoch = task_attempt_of(was->epoch), .owner = row.ran_by,
    .start_us = was->start_us, .end_us = row.end_us, .why = task_ev_name(task_last_why(was)),
    .error = arena_strdup(&r->env.mem, row.error), .exit_code = row.exit_code, .signal = row.signal, .run_no = c->alone->run_no};
  return STORE_OK;
}

/* Of a stand-alone task that may be moved: a task that waits is admitted by its new queue. */
static void move_first(struct runner *r, struct cached *c, const struct req_ask *a) {
  struct task t = c->run->task[0].t;
  struct task_wish wish = {.ask = ASK_QUEUE};
  enum ask_no no;
  (void)task_ask(&t, &wish, c->bind.pol, &no);
  if (no != ASK_OK) return;
  cache_touch(&r->cache, c); /* when the batch does not commit, its old queue is read again */
  alone_move(c->alone, a->queue);
  if (a->queue) wait_asked(r, c, 0, run_ti(c->run, 0), cached_queue(c, 0));
}

/* ---- a task that has added others ---- */

static bool adds(const struct cached *c) { return c->bind.pol->calls > 0; }
static bool first_of_tree(const struct cached *c) { return !c->alone || c->alone->job == 0; }

/* The lock of its tree: its job, or the row that stands for one. */
static int64_t tree_of(const struct cached *c, uint32_t task) { return first_of_tree(c) ? -run_ti(c->run, task) : c->alone->job; }

static uint8_t moves_of(const struct queue_spec *q) {
  if (!q) return 0;
  return (uint8_t)((q->user ? JOB_MOVE_USER : 0) | (q->group ? JOB_MOVE_GROUP : 0) | (q->has_priority ? JOB_MOVE_PRIORITY : 0));
}

/* Of the whole tree its head says what is wanted, so that nothing of it starts from now on. */
static enum store_rc head_follows(struct job_head *h, const struct req_ask *a) {
  struct job *j = &h->row.j;
  switch (a->ask) {
  case ASK_RUN: job_run_below(j, h->flow_paused); break;
  case ASK_PAUSE: (void)job_asked(j, JOB_ASK_CHECKPOINT); break;
  case ASK_CANCEL: (void)job_asked(j, JOB_ASK_CANCEL); break;
  case ASK_DELETE: (void)job_delete(j, a->force ? JOB_FORCE | JOB_NO_CLEAN_UP : JOB_FORCE); break;
  case ASK_QUEUE: job_move_below(j, moves_of(a->queue)); break;
  case ASK__N: return STORE_OK;
  }
  h->changed = true;
  return STORE_OK;
}

/* A wish about a task that has added others is theirs, too. */
static enum store_rc ask_below(struct runner *r, struct cached *c, uint32_t task, const struct req_ask *a) {
  static const enum job_wish as[ASK__N] = {[ASK_RUN] = JOB_WISH_RESUME, [ASK_PAUSE] = JOB_WISH_CHECKPOINT,
                                           [ASK_CANCEL] = JOB_WISH_CANCEL, [ASK_DELETE] = JOB_WISH_DELETE};
  struct tree_slot *s;
  int64_t ti = run_ti(c->run, task);
  struct job_head *h = jobs_head(&r->jobs, tree_of(c, task));
  if (!h || h->got != 1) return STORE_OK; /* the event that follows the commit has the lock */
  if (first_of_tree(c)) return head_follows(h, a);
  uint8_t moves = a->ask == ASK_QUEUE ? moves_of(a->queue) : 0;
  enum store_rc rc = as[a->ask] != JOB_WISH_NONE || moves ? trees_of(&r->trees, ti, &s) : STORE_OK;
  if (rc != STORE_OK || (as[a->ask] == JOB_WISH_NONE && !moves) || !s->there) return rc;
  enum job_wish wish = as[a->ask] != JOB_WISH_NONE ? as[a->ask] : s->row.pass ? tree_wish(&s->row) : JOB_WISH_NONE;
  s->row.wish = (uint8_t)(wish | moves | (s->row.wish & JOB_MOVES));
  s->row.pass = s->changed = true;
  s->row.pass_at = 0;
  return STORE_OK;
}

/* A wish about a task that may have others below it needs the lock of the tree. *held: another node has it. */
static enum store_rc lock_tree(struct runner *r, struct cached *c, uint32_t task, struct req_ask *a, bool *held) {
  const struct task *t = &c->run->task[task].t;
  struct tree_slot *s;
  a->below = false;
  bool waits = t->phase == PHASE_CHILDREN || (t->phase == PHASE_DELETE && t->state == TASK_CREATED);
  if (!waits && !(a->ask == ASK_DELETE && c->alone && adds(c))) return STORE_OK;
  enum store_rc rc = jobs_need(&r->jobs, tree_of(c, task));
  if (rc == STORE_OK) rc = trees_of(&r->trees, run_ti(c->run, task), &s);
  if (rc != STORE_OK) return rc;
  const struct job_head *h = jobs_head(&r->jobs, tree_of(c, task));
  *held = h->got == 2;
  a->below = a->ask == ASK_DELETE && s->there && s->row.total > 0 && h->got == 1;
  if (a->below && first_of_tree(c)) a->below = job_total(&h->row.j) > 0;
  return STORE_OK;
}

/* ---- the wish itself ---- */

enum store_rc ask_apply(struct runner *r, struct cached *c, uint32_t task, const struct req_ask *a,
                        struct ask_answer *got) {
  struct task was = c->run->task[task].t;
  struct run_event ev = {.kind = RUN_EV_ASK, .task = task, .ask = a->ask, .force = a->force, .below = a->below};
  enum run_rc out = RUN_OK;
  if (run_alone(c->run) && a->ask == ASK_QUEUE) move_first(r, c, a);
  enum store_rc rc = step_event(&r->step, c, &ev, &out);
  if (rc != STORE_OK) return rc;
  got->no = r->step.ctx.no;
  got->shown = task_show(&c->run->task[task].t); /* the array may have moved */
  bool itself = a->ask == ASK_QUEUE && a->below; /* whoever asks goes over what is below */
  if ((r->step.ctx.did & TASK_OUT_BELOW) && !itself) rc = ask_below(r, c, task, a);
  if (rc != STORE_OK) return rc;
  if (got->no != ASK_OK || !run_alone(c->run)) return STORE_OK;
  if (task_final(was.state) && was.state != TASK_SUCCESS && !c->alone->gone) rc = keep_last(r, c, &was);
  beside(r, c, a);
  return rc;
}

/* ---- tasks of a job ---- */

static struct job_head *head_of(const struct runner *r, const struct cached *c) {
  return c->alone && c->alone->job != 0 ? jobs_head(&r->jobs, c->alone->job) : NULL;
}

static bool job_held(const struct runner *r, const struct cached *c) {
  const struct job_head *h = c ? head_of(r, c) : NULL;
  return h && h->got == 2;
}

static enum store_rc apply_as(struct runner *r, struct cached *c, enum ask ask, const struct job *j) {
  bool force = (j->how & (JOB_FORCE | JOB_NO_CLEAN_UP)) != 0; /* of a clean-up that is left alone nothing is asked */
  struct req_ask a = {.ask = ask, .force = force};
  struct ask_answer got;
  return ask_apply(r, c, 0, &a, &got);
}

enum store_rc ask_obey(struct runner *r, struct cached *c, bool pass) {
  const struct job_head *h = head_of(r, c);
  struct run_event ev = {.kind = RUN_EV_TASK};
  enum run_rc out;
  enum ask ask;
  if (!h || c->alone->gone) return STORE_OK;
  const struct task *t = &c->run->task[0].t;
  if (job_flow_wants(&h->row.j, t, pass, &ev.ev.kind)) return step_event(&r->step, c, &ev, &out);
  if (!job_wants(&h->row.j, t, pass, &ask)) return STORE_OK;
  return apply_as(r, c, ask, &h->row.j);
}

/* ---- another queue, with what added it ---- */

static bool said_of(const struct whose_row *w, struct async_row *row) {
  *row = (struct async_row){.user = w->user, .group = w->group, .priority = w->priority};
  return true;
}

/* This very batch moves it. */
static bool moved_now(const struct runner *r, int64_t ti, struct async_row *row) {
  const struct cached *c = cache_get(&r->cache, run_key(0, ti));
  if (c && c->alone->moved) {
    *row = (struct async_row){.user = c->alone->user, .group = c->alone->group, .priority = c->alone->priority};
    return true;
  }
  for (size_t i = r->writer.n_whose; i-- > 0;) {
    const struct whose_row *w = &r->writer.whose[i];
    if (w->ti == ti) return said_of(w, row);
  }
  return false;
}

enum store_rc ask_queue_of(struct runner *r, int64_t ti, uint8_t moves, struct queue_spec *out) {
  struct async_row row;
  struct task_row of;
  struct whose_row *said;
  size_t got = 0, n = 0;
  struct arena *a = &r->env.mem;
  *out = (struct queue_spec){0};
  if (!(moves & JOB_MOVES)) return STORE_OK;
  enum store_rc rc = store_async(r->env.store, &ti, 1, &row, &got);
  if (rc == STORE_OK && got == 0) rc = store_tasks(r->env.store, &ti, 1, &of, &n);
  if (rc == STORE_OK && n == 1) rc = store_whose(r->env.store, of.fi, a, &said, &n);
  if (rc != STORE_OK) return rc;
  for (size_t i = 0; i < n; i++)
    if (said[i].ti == ti) got = said_of(&said[i], &row);
  got += moved_now(r, ti, &row);
  if (got == 0) return STORE_OK;
  if ((moves & JOB_MOVE_USER) && row.user) out->user = arena_strdup(a, row.user);
  if ((moves & JOB_MOVE_GROUP) && row.group) out->group = arena_strdup(a, row.group);
  out->has_priority = (moves & JOB_MOVE_PRIORITY) != 0;
  out->priority = row.priority;
  return STORE_OK;
}

enum store_rc ask_move(struct runner *r, struct cached *c, const struct queue_spec *q, bool itself) {
  const struct alone *x = c->alone;
  struct ask_answer got;
  bool there = (!q->user || strcmp(q->user, x->user) == 0) && (!q->group || strcmp(q->group, x->group) == 0) &&
               (!q->has_priority || q->priority == x->priority);
  if (there || x->gone) return STORE_OK;
  return ask_apply(r, c, 0, &(struct req_ask){.ask = ASK_QUEUE, .queue = q, .below = itself}, &got);
}

/* What the job answers in place of the task; ASK_OK: the task answers. A canceled job goes on when one of its tasks is run. */
static enum ask_no job_first(struct job_head *h, const struct task *t, enum ask ask) {
  if (ask != ASK_RUN) return ASK_OK;
  job_decide(&h->row.j); /* its last task may have ended in this batch */
  if (h->row.j.state == JOB_CANCELING || h->row.j.state == JOB_DELETING) return ASK_BUSY;
  if (h->row.j.state == JOB_PAUSED && !task_final(t->state)) return ASK_SAME;
  if (h->row.j.state == JOB_CANCELED) h->row.j.wish = JOB_WISH_NONE;
  return ASK_OK;
}

/* ---- answers ---- */

enum wr_rc ask_no_code(enum ask_no no) {
  switch (no) {
  case ASK_OK: case ASK_SAME: break;
  case ASK_BUSY: return WR_BUSY_STATE;
  case ASK_FINISHED: return WR_ALREADY_FINISHED;
  case ASK_NOT_RETRYABLE: return WR_NOT_RETRYABLE;
  case ASK_OF_A_FLOW: return WR_OF_A_FLOW;
  }
  return WR_OK;
}

static void answer(struct req_asked *of, const struct ask_answer *got) {
  of->rc = ask_no_code(got->no);
  of->changed = got->no == ASK_OK;
  of->state = shown_name(got->shown);
}

/* Waiting helps only one that is being stopped. Any other state is refused to the task of a node alone. */
static void say_busy(struct req *q, const struct req_asked *of) {
  bool stops = strcmp(of->state, shown_name(SHOWN_CANCELING)) == 0 || strcmp(of->state, shown_name(SHOWN_DELETING)) == 0;
  if (stops) (void)wr_err_set(&q->err, of->rc, "It is %s; wait.", of->state);
  else if (strcmp(of->state, shown_name(SHOWN_DELETE_FAILED)) == 0)
    (void)wr_err_set(&q->err, of->rc, "It is %s: DELETE it again, or with force=true.", of->state);
  else if (q->ask && q->ask->ask == ASK_QUEUE && strcmp(of->state, shown_name(SHOWN_ANALYZING)) == 0)
    (void)wr_err_set(&q->err, of->rc, "It is %s, and waits in no queue; wait.", of->state);
  else (void)wr_err_set(&q->err, of->rc, "It is %s, and its flow starts nothing any more.", of->state);
}

/* The sentence of a single wish that was refused. */
static void say(struct req *q, const struct req_asked *of) {
  q->rc = of->rc;
  q->state = of->rc == WR_OK ? NULL : of->state;
  switch ((unsigned)of->rc) {
  case WR_BUSY_STATE: say_busy(q, of); break;
  case WR_ALREADY_FINISHED: (void)wr_err_set(&q->err, of->rc, "It has already finished: %s.", of->state); break;
  case WR_NOT_RETRYABLE: (void)wr_err_set(&q->err, of->rc, "State is %s: submit it anew.", of->state); break;
  default: if (of->rc != WR_OK) (void)wr_err_set(&q->err, of->rc, NULL);
  }
}

static enum store_rc unknown(struct req *q, struct req_asked *of) {
  of->rc = q->rc = wr_err_set(&q->err, WR_NOT_FOUND, "Task instance %lld does not exist.", (long long)of->ti);
  of->changed = false;
  of->state = NULL;
  return STORE_OK;
}

/* ---- a task of a node ---- */

/* Where the node can be run again; its flow is known while its run is cached. */
static enum store_rc of_a_flow(struct runner *r, struct req *q, const struct task_row *row) {
  const struct cached *c = cache_get(&r->cache, row->fi);
  char flow[24] = "ID";
  if (c) (void)snprintf(flow, sizeof flow, "%lld", (long long)c->flow_id);
  q->rc = wr_err_set(&q->err, WR_OF_A_FLOW, "Run the node again: POST /exec/flow/%s {\"fiId\": %lld, \"niId\": %lld}.", flow,
                     (long long)row->fi, (long long)row->ni);
  return STORE_OK;
}

/* The row alone decides: the task is final, perhaps of an older run, and its flow has nothing to add. */
static enum store_rc ask_row(struct runner *r, struct req *q, const struct task_row *row) {
  struct req_asked *of = &q->ask->of[0];
  struct task t = row->t;
  struct ask_answer got = {.shown = task_show(&t)};
  struct task_wish wish = {.ask = q->ask->ask, .now_us = r->env.wall_us, .of_node = 1};
  (void)task_ask(&t, &wish, &task_policy_default, &got.no);
  answer(of, &got);
  say(q, of);
  return of->rc == WR_OF_A_FLOW ? of_a_flow(r, q, row) : STORE_OK;
}

/* The table has one answer for each state, and it is known before. The move comes first: a task that waits gets a hint by its new
 * queue. */
static bool may_move(const struct cached *c, uint32_t task, const struct task_row *row) {
  struct task t = run_known(c->run, run_node_of(c->run, task)) ? c->run->task[task].t : row->t; /* perhaps it is not loaded yet */
  struct task_wish wish = {.ask = ASK_QUEUE, .of_node = 1};
  enum ask_no no;
  (void)task_ask(&t, &wish, &task_policy_default, &no);
  return no == ASK_OK;
}

/* False: too many tasks of the flow were moved, each by itself. */
static bool move(struct runner *r, struct req *q, struct cached *c, uint32_t task) {
  int64_t ti = q->ask->of[0].ti; /* run_ti() may not know it yet: its node is perhaps not loaded */
  if (c->whose && c->whose->of.n >= LIMIT_MOVED && !map64_get(&c->whose->of, ti)) {
    q->rc = wr_err_set(&q->err, WR_TOO_LARGE, "%d tasks of this flow were moved by themselves, which is the most.", LIMIT_MOVED);
    return false;
  }
  whose_said(r, c, ti, q->ask->queue);
  wait_asked(r, c, task, ti, cached_queue(c, task));
  return true;
}

static enum store_rc ask_node_task(struct runner *r, struct ev *e, const struct task_row *row) {
  struct req *q = e->q;
  struct req_asked *of = &q->ask->of[0];
  struct ask_answer got;
  bool tried = e->fi != 0;
  e->fi = row->fi;
  struct cached *c = cache_use(&r->cache, row->fi);
  if (c == NULL && task_final(row->t.state) && tried) return ask_row(r, q, row);
  if (c == NULL) { /* its flow is loaded with the next batch */
    if (tried && quarantine_waits(&r->quarantine, row->fi)) { req_fail(q, WR_QUARANTINED, NULL); return STORE_OK; }
    e->then = THEN_AGAIN;
    return STORE_OK;
  }
  uint32_t task = run_task_of(c->run, of->ti);
  if (task == UINT32_MAX || task_final(row->t.state)) return ask_row(r, q, row); /* perhaps of an older run */
  if (q->ask->ask == ASK_QUEUE && q->ask->queue && may_move(c, task, row) && !move(r, q, c, task)) return STORE_OK;
  bool held = false;
  uint32_t node = run_node_of(c->run, task); /* what has added others is known by its row alone */
  enum store_rc rc = run_known(c->run, node) ? STORE_OK : load_nodes(&r->loader, c, &node, 1);
  if (rc == STORE_OK) rc = lock_tree(r, c, task, q->ask, &held);
  if (rc == STORE_OK && held) { e->then = THEN_LATER; return STORE_OK; }
  if (rc == STORE_OK) rc = ask_apply(r, c, task, q->ask, &got);
  if (rc != STORE_OK) return rc;
  answer(of, &got);
  say(q, of);
  return of->rc == WR_OF_A_FLOW ? of_a_flow(r, q, row) : STORE_OK;
}

/* ---- a stand-alone task ---- */

bool ask_waits(const struct cached *c, enum ask ask) {
  const struct run_task *t = &c->run->task[0];
  bool beside = c->alone->write == ALONE_KEPT && t->eff != 0; /* its report came first, and the row beside it was not read */
  return !t->row || beside || (ask == ASK_RUN && t->eff != 0 && task_final(t->t.state));
}

/* The task that added it has not ended. */
static enum store_rc parent_lives(struct runner *r, const struct cached *c, bool *lives) {
  struct task_row row;
  size_t got = 0;
  *lives = false;
  if (c->alone->parent == 0) return STORE_OK;
  enum store_rc rc = store_tasks(r->env.store, &c->alone->parent, 1, &row, &got);
  *lives = rc == STORE_OK && got == 1 && !task_final(row.t.state);
  return rc;
}

/* It is deleted with its job, or with the task that added it, alone. */
static enum store_rc of_a_job(struct req_asked *of, const struct task *t) {
  of->rc = WR_OF_A_JOB;
  of->changed = false;
  of->state = task_shown(t);
  return STORE_OK;
}

static enum store_rc ask_alone(struct runner *r, struct req *q, struct req_asked *of) {
  struct cached *c;
  enum store_rc rc = load_alone(&r->loader, of->ti, false, &c);
  if (rc != STORE_OK) return rc;
  if (c == NULL) return unknown(q, of);
  const struct task *t = &c->run->task[0].t;
  struct job_head *h = head_of(r, c);
  bool lives = false, held = false;
  if (h && q->ask->ask == ASK_DELETE) rc = parent_lives(r, c, &lives);
  if (rc != STORE_OK) return rc;
  if (h && q->ask->ask == ASK_DELETE && (lives || c->alone->job > 0)) return of_a_job(of, t);
  rc = lock_tree(r, c, 0, q->ask, &held);
  if (rc != STORE_OK) return rc;
  wr_assert(!held); /* ask_one() and ask_many() looked */
  struct ask_answer got = {.no = h ? job_first(h, t, q->ask->ask) : ASK_OK, .shown = task_show(t)};
  if (got.no == ASK_OK) rc = ask_apply(r, c, 0, q->ask, &got);
  if (rc == STORE_OK && h) rc = ask_obey(r, c, false);
  if (rc == STORE_OK) answer(of, &got);
  return rc;
}

static enum store_rc ask_one(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  struct req_asked *of = &q->ask->of[0];
  struct task_row row = {0};
  struct cached *c;
  size_t got = 0;
  enum store_rc rc = load_alone(&r->loader, of->ti, false, &c);
  if (rc == STORE_OK && c == NULL) rc = store_tasks(r->env.store, &of->ti, 1, &row, &got);
  if (rc != STORE_OK) return rc;
  if (got == 1 && row.fi != 0) return ask_node_task(r, e, &row);
  bool held = job_held(r, c);
  if (c && !held) rc = lock_tree(r, c, 0, q->ask, &held);
  if (rc != STORE_OK) return rc;
  if (held) { e->then = THEN_LATER; return STORE_OK; }
  if (c && ask_waits(c, q->ask->ask)) { e->then = THEN_AGAIN; return STORE_OK; }
  rc = ask_alone(r, q, of);
  if (rc == STORE_OK && of->state) say(q, of);
  return rc;
}

/* Is one of them to be asked with the next batch? Then all are: the request has one answer. */
static enum store_rc many_wait(struct runner *r, struct ev *e) {
  enum store_rc rc = STORE_OK;
  for (uint32_t i = 0; rc == STORE_OK && i < e->q->ask->n; i++) {
    struct cached *c;
    rc = load_alone(&r->loader, e->q->ask->of[i].ti, false, &c);
    if (rc == STORE_OK && c && ask_waits(c, e->q->ask->ask)) e->then = THEN_AGAIN;
    bool held = rc == STORE_OK && job_held(r, c);
    if (rc == STORE_OK && c && !held) rc = lock_tree(r, c, 0, e->q->ask, &held);
    if (rc == STORE_OK && held) { e->then = THEN_LATER; return rc; }
  }
  return rc;
}

/* Each has its own answer; the request itself is never refused. */
static enum store_rc ask_many(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  struct req_ask *a = q->ask;
  int64_t *ti = arena_alloc(&r->env.mem, (a->n + 1) * sizeof *ti);
  for (uint32_t i = 0; i < a->n; i++) ti[i] = a->of[i].ti;
  enum store_rc rc = load_alone_ahead(&r->loader, ti, a->n);
  if (rc == STORE_OK) rc = many_wait(r, e);
  for (uint32_t i = 0; rc == STORE_OK && e->then == THEN_OVER && i < a->n; i++) rc = ask_alone(r, q, &a->of[i]);
  r->step.ctx.budget -= a->n;
  q->rc = WR_OK;
  return rc;
}

enum store_rc ask(struct runner *r, struct ev *e) {
  for (uint32_t i = 0; i < e->q->ask->n; i++) e->q->ask->of[i] = (struct req_asked){.ti = e->q->ask->of[i].ti};
  return e->q->ask->each ? ask_many(r, e) : ask_one(r, e);
}
