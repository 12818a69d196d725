/* A submit of stand-alone tasks: one or a thousand, all of them or none. The runner thread's.
 *
 * First every task is decided: made, or there already (taskKey); only when none is refused anything is made. What never happens:
 * two tasks with one taskKey; a submit that is refused leaves a trace in a row. */
#include "runner_int.h"

struct submit { struct runner *r; struct ev *e; struct task_def **def; };

static bool own(const struct req *q, int64_t ti) { return q->first_id != 0 && ti >= q->first_id && ti - q->first_id < q->n_task; }

/* ---- is it there already? ---- */

static enum store_rc key_refused(struct req *q, const struct req_task *t, const struct alone_key *key, const char *why) {
  char path[48] = "/taskKey";
  if (q->listed) (void)snprintf(path, sizeof path, "/tasks/%zu/taskKey", (size_t)(t - q->task));
  if (own(q, key->ti)) /* nothing of it is stored: there is no such instance to look at */
    q->rc = wr_err_at(&q->err, WR_KEY_REUSED, path, "Another task of this request has this taskKey%s.", why);
  else q->rc = wr_err_at(&q->err, WR_KEY_REUSED, path, "Task instance %lld has this taskKey%s.", (long long)key->ti, why);
  return STORE_OK;
}

/* The task that has this name, or makes it. Twice in one request: once. */
static enum store_rc decide_key(struct submit *s, struct req_task *t, struct alone_key *key, int64_t fresh) {
  struct req *q = s->e->q;
  switch (key->state) {
  case KEY_HELD: s->e->then = THEN_LATER; return STORE_OK;
  case KEY_FREE:
    t->ti = fresh;
    alone_key_take(key, t);
    return STORE_OK;
  case KEY_KNOWN: case KEY_NEW: break;
  }
  const struct cached *c = cache_get(&s->r->cache, run_key(0, key->ti));
  if (c && c->alone->gone) { /* this batch deletes it: the next one finds the name free */
    s->e->then = THEN_AGAIN;
    return STORE_OK;
  }
  if (!alone_key_same(key, t)) return key_refused(q, t, key, ", and was made with other content");
  if (t->spec->if_exists == IF_EXISTS_FAIL && !own(q, key->ti)) return key_refused(q, t, key, "");
  bool rerun = t->spec->if_exists == IF_EXISTS_RERUN && !own(q, key->ti);
  if (c && rerun && ask_waits(c, ASK_RUN)) { /* this batch ends it, or makes it */
    s->e->then = THEN_AGAIN;
    return STORE_OK;
  }
  t->ti = key->ti;
  t->replayed = true;
  return STORE_OK;
}

/* ---- what it is ---- */

static enum store_rc decide_def(struct submit *s, const struct req_task *t, struct task_def **def) {
  struct wr_err err;
  enum wr_rc rc = load_made_def(&s->r->loader, t, def, &err);
  if (rc == WR_OK && !t->def && (*def)->deleted) rc = wr_err_set(&err, WR_NOT_STARTABLE, "The task was deleted.");
  return rc == WR_OK ? STORE_OK : req_refuse_err(s->e->q, rc, &err);
}

static bool goes_on(const struct submit *s) { return s->e->q->rc == WR_OK && s->e->then == THEN_OVER; }

static enum store_rc decide(struct submit *s) {
  struct req *q = s->e->q;
  enum store_rc rc = STORE_OK;
  for (uint32_t i = 0; rc == STORE_OK && goes_on(s) && i < q->n_task; i++) {
    struct req_task *t = &q->task[i];
    struct alone_key *key = alone_key_of(&s->r->alone_keys, t);
    if (key) rc = decide_key(s, t, key, q->first_id + i);
    else t->ti = q->first_id + i;
    if (rc == STORE_OK && goes_on(s) && !t->replayed) rc = decide_def(s, t, &s->def[i]);
  }
  return rc;
}

/* Names that this request took are free again. */
static void give_back(struct submit *s) {
  const struct req *q = s->e->q;
  for (uint32_t i = 0; i < q->n_task; i++) {
    struct alone_key *key = alone_key_of(&s->r->alone_keys, &q->task[i]);
    if (key && key->state == KEY_NEW && own(q, key->ti)) *key = (struct alone_key){.of = key->of, .state = KEY_FREE};
  }
}

/* Ids are taken only when something is made: a submit that is repeated for ever takes none. */
static bool makes_any(const struct submit *s) {
  const struct req *q = s->e->q;
  for (uint32_t i = 0; i < q->n_task; i++) {
    const struct alone_key *key = alone_key_of(&s->r->alone_keys, &q->task[i]);
    if (key == NULL || key->state == KEY_FREE) return true;
  }
  return false;
}

/* ---- it is made ---- */

static struct task_start start_of(const struct req_task *t, int64_t now_us) {
  const struct async_spec *s = t->spec;
  if (s == NULL) return (struct task_start){0};
  return (struct task_start){.at_us = s->delay_us ? now_us + s->delay_us : s->start_at_us, .hold = s->hold};
}

static enum store_rc make_one(struct runner *r, struct req_task *t, struct task_def *def, const struct submit_below *below) {
  struct task_start start = start_of(t, r->env.wall_us);
  struct queue_view queue = queue_view(t->spec ? t->spec->queue : NULL, def->queue);
  int64_t job = below->job;
  if (below->parent != 0) queue.user = below->of.user, queue.group = below->of.group;
  struct alone *alone = alone_new(&queue, t->spec ? t->spec->key : NULL);
  enum run_rc out;
  alone->start_at_us = start.at_us;
  alone->job = job;
  alone->parent = below->parent;
  alone->root = below->root;
  alone->depth = below->depth;
  alone->write = ALONE_INSERT;
  alone->made_by = t;
  alone->given = t->spec && t->spec->context;
  struct run *run = run_new_alone(r->cache.one, t->ti);
  run->last_us = below->since_us; /* it is not older than the run that adds it, whatever the clock of this node says */
  struct cached *c = cache_add_alone(&r->cache, run, def_task_ref(def), t->params ? params_ref(t->params) : NULL, alone);
  if (job != 0) cached_of_job(c);
  enum store_rc rc = step_event(&r->step, c, &(struct run_event){.kind = RUN_EV_START, .start = &start}, &out);
  if (rc == STORE_OK && job != 0) rc = ask_obey(r, c, false);
  t->task_version = def->version;
  t->create_us = run->create_us;
  t->start_at_us = start.at_us;
  t->t = run->task[0].t;
  t->executor = run->task[0].executor;
  return rc;
}

/* ifExists: rerunFailed. Whether it failed is asked of the row that is there now; one that did not is left alone. */
static enum store_rc rerun_one(struct runner *r, const struct req_task *t) {
  struct cached *c;
  struct ask_answer got;
  enum store_rc rc = load_alone(&r->loader, t->ti, false, &c);
  if (rc != STORE_OK || c == NULL || !task_final(c->run->task[0].t.state)) return rc;
  return ask_apply(r, c, 0, &(struct req_ask){.ask = ASK_RUN}, &got);
}

#define ONE_TASK 16                   /* rows and tokens that the start of one task takes at most */

/* A request is made whole, however much of the batch's budget is left: a task that was left for a slice would be acknowledged
 * without a row. */
static enum store_rc make_whole(struct runner *r, struct req_task *t, struct task_def *def, const struct submit_below *below) {
  struct run_ctx *c = &r->step.ctx;
  int64_t had = c->budget;
  c->budget = ONE_TASK;
  enum store_rc rc = make_one(r, t, def, below);
  c->budget = had - (ONE_TASK - c->budget);
  return rc;
}

enum store_rc submit_below(struct runner *r, struct req_task *t, struct task_def *def, const struct submit_below *b) {
  return make_whole(r, t, def, b);
}

static enum store_rc make_all(struct submit *s) {
  struct runner *r = s->r;
  const struct req *q = s->e->q;
  const struct submit_below none = {.job = q->job ? q->job->job_id : 0};
  enum store_rc rc = STORE_OK;
  for (uint32_t i = 0; rc == STORE_OK && i < q->n_task; i++) {
    struct req_task *t = &q->task[i];
    if (!t->replayed) rc = make_whole(r, t, s->def[i], &none);
    else if (t->spec->if_exists == IF_EXISTS_RERUN && !own(q, t->ti)) rc = rerun_one(r, t);
  }
  return rc;
}

/* The row of its Idempotency-Key: of one task its id, of a list the first of the ids that were taken for it. */
static void take_key(struct runner *r, const struct req *q) {
  if (!q->key) return;
  if (keys_job(q)) keys_take(&r->keys, q, q->job->job_id, 1);
  else keys_take(&r->keys, q, q->n_task == 1 && !q->listed ? q->task[0].ti : q->first_id, q->n_task);
}

enum store_rc submit(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  struct submit s = {r, e, arena_zalloc(&r->env.mem, (q->n_task + 1) * sizeof *s.def)};
  for (uint32_t i = 0; i < q->n_task; i++) q->task[i].replayed = false;
  bool any = makes_any(&s);
  enum store_rc rc = q->job ? job_open(r, q, any) : STORE_OK;
  const struct job_head *h = q->job && q->replayed ? jobs_head(&r->jobs, q->job->job_id) : NULL;
  if (h && h->gone) { /* this batch deletes it: the next one finds the key free */
    q->replayed = false;
    e->then = THEN_AGAIN;
    return rc;
  }
  if (rc != STORE_OK || q->rc != WR_OK || q->replayed) return rc;
  if (any) rc = req_ids(r, q, ID_TI, q->n_task);
  if (rc == STORE_OK) rc = decide(&s);
  if (rc == STORE_OK && goes_on(&s)) {
    if (keys_job(q)) rc = job_make(r, q);
    if (rc == STORE_OK) rc = make_all(&s);
    take_key(r, q);
    q->changed = true;
  } else {
    give_back(&s);
  }
  for (uint32_t i = 0; i < q->n_task; i++) def_task_unref(s.def[i]);
  return rc;
}

/* An earlier request with this Idempotency-Key made them. Each that has a taskKey is found by that: it may have been there before
 * that request, and is replayed in both answers. */
void submit_replayed(struct runner *r, struct req *q, int64_t first_id) {
  if (keys_job(q)) { q->job->job_id = first_id; return; }
  for (uint32_t i = 0; i < q->n_task; i++) {
    struct req_task *t = &q->task[i];
    const struct alone_key *key = q->n_task > 1 || q->listed ? alone_key_of(&r->alone_keys, t) : NULL;
    t->ti = key && key->ti ? key->ti : first_id + i;
    t->replayed = !q->listed || t->ti < first_id || t->ti >= first_id + q->n_task;
  }
}
