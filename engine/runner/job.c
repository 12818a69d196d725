/* Jobs: a request makes one, asks one, or deletes one; and what is wanted of all its tasks is carried out by a pass over them in
 * slices, each its own commit, so that a wish about a million tasks holds up nobody and goes on after a crash (the row says how
 * far it has come). New tasks and starts obey at once, because they look at the head that they lock anyway. The runner thread's.
 * What never happens: a slice beyond JOB_SLICE tasks; a task that the pass has not come to starts against the wish. */
#include "runner_int.h"

static enum store_rc refuse(struct req *q, enum wr_rc code, const struct job_head *h) {
  const char *state = job_state_name((enum job_state)h->row.j.state);
  q->state = state;
  switch ((unsigned)code) {
  case WR_BUSY_STATE:
    q->rc = h->row.j.state == JOB_PAUSED ? wr_err_set(&q->err, code, "It is PAUSED: resume it first.")
                                         : wr_err_set(&q->err, code, "It is %s; wait.", state);
    break;
  case WR_ALREADY_FINISHED: q->rc = wr_err_set(&q->err, code, "It has already finished: %s.", state); break;
  case WR_NOT_RETRYABLE: q->rc = wr_err_set(&q->err, code, "State is %s: no task of it failed.", state); break;
  case WR_ACTIVE:
    q->rc = wr_err_set(&q->err, code, "It is %s, and %lld of its tasks have not ended: "
                       "cancel it first, or DELETE it with force=true.", state, (long long)job_live(&h->row.j));
    break;
  default: q->rc = wr_err_set(&q->err, code, NULL);
  }
  return STORE_OK;
}

/* The head that a request names. NULL: the answer is set. */
static struct job_head *head_of(struct runner *r, struct req *q) {
  struct job_head *h = jobs_head(&r->jobs, q->job->job_id);
  if (h && h->got == 1 && !h->gone) return h;
  q->rc = wr_err_set(&q->err, WR_NOT_FOUND, "Job %lld does not exist.", (long long)q->job->job_id);
  return NULL;
}

/* ---- made ---- */

static enum store_rc key_taken(struct req *q, int64_t id, const uint8_t hash[KEY_HASH_BYTES]) {
  if (memcmp(hash, q->job->hash, KEY_HASH_BYTES) != 0) {
    q->rc = wr_err_at(&q->err, WR_KEY_REUSED, "/jobKey", "Job %lld has this jobKey, and was made with other content.",
                      (long long)id);
    return STORE_OK;
  }
  q->job->job_id = id;
  q->replayed = true;
  return STORE_OK;
}

static enum store_rc find_key(struct runner *r, struct req *q) {
  uint8_t hash[KEY_HASH_BYTES];
  int64_t id;
  const struct job_head *h = jobs_fresh(&r->jobs, q->job->key);
  if (h) return key_taken(q, h->row.job_id, h->row.hash);
  enum store_rc rc = store_job_find(r->env.store, q->job->key, &id, hash);
  return rc == STORE_OK && id != 0 ? key_taken(q, id, hash) : rc;
}

/* Does the job take these tasks? A request that finds all of them there adds nothing, and may come after the close. */
enum store_rc job_open(struct runner *r, struct req *q, bool adds) {
  if (q->job->op == JOB_OP_MAKE) return find_key(r, q);
  const struct job_head *h = head_of(r, q);
  if (!h) return STORE_OK;
  if (h->row.j.state == JOB_DELETING) return refuse(q, WR_BUSY_STATE, h);
  return adds && h->row.j.closed ? refuse(q, WR_CLOSED, h) : STORE_OK;
}

enum store_rc job_make(struct runner *r, struct req *q) {
  struct req_job *j = q->job;
  enum store_rc rc = j->fresh_id == 0 ? store_ids(r->env.store, ID_JOB, 1, &j->fresh_id) : STORE_OK;
  if (rc != STORE_OK) return rc;
  struct job_head *h = jobs_make(&r->jobs, j->fresh_id);
  h->row.key = arena_strdup(&r->env.mem, j->key);
  h->row.name = arena_strdup(&r->env.mem, j->name ? j->name : "");
  memcpy(h->row.hash, j->hash, KEY_HASH_BYTES);
  h->row.create_us = r->env.wall_us;
  h->row.j.state = JOB_RUNNING;
  h->row.j.closed = j->closed;
  h->row.j.ignore = j->ignore;
  j->job_id = j->fresh_id;
  return STORE_OK;
}

/* ---- deleted ---- */

/* Its last task went in an earlier batch. Its row is the last to go, when a look finds nothing else of it. *left: tasks. */
static enum store_rc take_away(struct runner *r, struct job_head *h, size_t *left) {
  int64_t ti[16];
  enum store_rc rc = store_job_tasks(r->env.store, h->row.job_id, 0, ti, sizeof ti / sizeof *ti, left);
  if (rc != STORE_OK) return rc;
  if (*left > 0) log_error("runner.job_left", L_INT("job_id", h->row.job_id), L_INT("ti", ti[0]), L_INT("left", *left));
  else h->gone = h->changed = true;
  return STORE_OK;
}

static enum store_rc end_it(struct runner *r, struct req *q, struct job_head *h) {
  size_t left = 0;
  q->job->now = h->row.j;
  enum store_rc rc = h->was_empty ? take_away(r, h, &left) : STORE_OK;
  q->job->gone = h->gone;
  if (rc == STORE_OK && left > 0)
    q->rc = wr_err_set(&q->err, WR_INTERNAL, "Job %lld is deleted, but rows of %zu tasks or more are left: see the server's log.",
                       (long long)h->row.job_id, left);
  return rc;
}

/* Its deletion begins with this request. */
static bool may_delete(const struct req *q, const struct job_head *h) {
  struct job as = h->row.j;
  return q->job->op == JOB_OP_DELETE && job_delete(&as, q->job->how) == ASK_OK;
}

static enum store_rc delete_it(struct req *q, struct job_head *h) {
  enum ask_no no = job_delete(&h->row.j, q->job->how);
  if (no == ASK_BUSY) return refuse(q, WR_ACTIVE, h);
  q->changed = no == ASK_OK;
  h->changed |= q->changed;
  q->job->now = h->row.j;
  return STORE_OK;
}

enum store_rc job_request(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  struct job_head *h = head_of(r, q);
  if (!h) return STORE_OK;
  q->job->gone = false; /* its batch may be made again */
  if (q->job->op == JOB_OP_END || q->job->op == JOB_OP_DELETE) {
    bool begun = h->row.j.state == JOB_DELETING || may_delete(q, h);
    struct job_had *had = jobs_had(&r->jobs, q->job->job_id, begun ? q->job->had : NULL);
    job_had_unref(q->job->had);
    q->job->had = had;
  }
  if (q->job->op == JOB_OP_END || (q->job->op == JOB_OP_DELETE && h->was_empty)) return end_it(r, q, h);
  if (q->job->op == JOB_OP_DELETE) return delete_it(q, h);
  enum ask_no no = job_asked(&h->row.j, q->job->ask);
  q->changed = no == ASK_OK;
  h->changed |= q->changed;
  return ask_no_code(no) == WR_OK ? STORE_OK : refuse(q, ask_no_code(no), h);
}

/* ---- carried out ---- */

/* Of one task of the slice. *later: this batch has changed it already, so the slice ends before it. */
static enum store_rc pass_one(struct runner *r, int64_t ti, const struct queue_spec *to, bool *later) {
  struct cached *c;
  enum store_rc rc = load_alone(&r->loader, ti, false, &c);
  if (rc != STORE_OK || c == NULL) return rc;
  *later = ask_waits(c, ASK_RUN);
  if (*later) return STORE_OK;
  rc = ask_move(r, c, to, true);
  return rc == STORE_OK ? ask_obey(r, c, true) : rc;
}

/* Nobody has taken it away meanwhile. */
static enum store_rc pass_ends(struct runner *r, struct ev *e, struct job_head *h) {
  size_t left;
  if (r->env.wall_us - h->row.update_us >= JOB_SHOWN_US || r->env.wall_us < h->row.update_us) return take_away(r, h, &left);
  e->then = THEN_LATER;
  return STORE_OK;
}

enum store_rc job_pass(struct runner *r, struct ev *e) {
  struct job_head *h = jobs_head(&r->jobs, e->job);
  int64_t *ti = arena_alloc(&r->env.mem, JOB_SLICE * sizeof *ti);
  size_t n = 0, done = 0;
  struct queue_spec to;
  bool later = false;
  if (!h || h->got != 1 || h->gone || !h->row.j.pass || job_pass_waits(&h->row.j)) return STORE_OK;
  if (h->was_empty) return pass_ends(r, e, h);
  enum store_rc rc = store_job_tasks(r->env.store, e->job, h->row.j.pass_at, ti, JOB_SLICE, &n);
  if (rc == STORE_OK) rc = load_alone_ahead(&r->loader, ti, n);
  if (rc == STORE_OK) rc = ask_queue_of(r, -e->job, e->job < 0 ? h->row.j.how : 0, &to);
  while (rc == STORE_OK && done < n) {
    rc = pass_one(r, ti[done], &to, &later);
    if (rc != STORE_OK || later) break;
    if (!h->row.j.pass) break; /* the end of its last task has ended the pass */
    h->row.j.pass_at = ti[done++];
  }
  r->step.ctx.budget -= (int64_t)n;
  h->changed = true;
  if (rc == STORE_OK && !later && n < JOB_SLICE) job_pass_over(&h->row.j);
  return rc;
}

/* A pass that is not over goes on with the next batch. */
static void goes_on(struct runner *r, int64_t id) {
  for (size_t i = 0; i < r->events.n; i++)
    if (r->events.v[i].kind == EV_JOB && r->events.v[i].job == id) return;
  events_add(&r->events, (struct ev){.kind = EV_JOB, .job = id});
}

void job_after(struct runner *r) {
  const struct watcher *w = r->env.ports.watcher;
  const struct map64_slot *s;
  for (size_t i = 0; r->jobs.heads.n > 0 && (s = map64_next(&r->jobs.heads, &i)) != NULL;) {
    const struct job_head *h = s->val;
    if (!h->changed) continue;
    if (h->gone) jobs_had_over(&r->jobs, h->row.job_id);
    if (h->row.j.pass && !h->gone && !job_pass_waits(&h->row.j)) goes_on(r, h->row.job_id);
    bool ended = h->gone || job_final((enum job_state)h->row.j.state) || job_stuck(&h->row.j);
    if (ended && w && w->job && w->waits(w->ctx)) w->job(w->ctx, h->row.job_id);
  }
  jobs_committed(&r->jobs);
}
