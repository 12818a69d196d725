/* Jobs: POST /job, POST /job/{id}/task and the wishes about a job. Each is one request to the runner, answered after its commit;
 * the job that is shown is read back. Any API thread.
 * What never happens: the tasks of a job are looked at to count them. */
#include <openssl/sha.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "added.h"
#include "call.h"
#include "clock.h"
#include "h_def.h"
#include "log.h"
#include "submit_load.h"
#include "text.h"
#include "wr_limits.h"

_Static_assert(SHA256_DIGEST_LENGTH == KEY_HASH_BYTES, "one hash for all");

/* ---- shown ---- */

static const char *const class_name[JOB__CLASSES] = {
  [JOB_NOT_STARTED] = "notStarted", [JOB_RETRYING] = "retrying", [JOB_BUSY] = "running", [JOB_ANALYZING] = "analyzing",
  [JOB_WAITING] = "waiting", [JOB_OK] = "success", [JOB_BAD] = "failed", [JOB_STOPPED] = "canceled"};

static void counts(struct buf *b, const struct job *j) {
  j_key(b, "counts");
  j_open(b, '{');
  j_i64(b, "total", job_total(j));
  for (int i = 0; i < JOB__CLASSES; i++) j_i64(b, class_name[i], j->count[i]);
  j_i64(b, "executions", j->executions);
  j_i64(b, "timeouts", j->timeouts);
  j_i64(b, "losses", j->losses);
  j_close(b, '}');
}

static void job_fields(struct buf *b, const struct job_row *row) {
  j_i64(b, "jobId", row->job_id);
  j_text(b, "jobKey", row->key);
  j_text(b, "jobName", row->name[0] ? row->name : NULL);
  j_text(b, "state", job_state_name((enum job_state)row->j.state));
  j_bool(b, "closed", row->j.closed != 0);
  j_text(b, "childFailure", row->j.ignore ? "ignore" : "fail");
  counts(b, &row->j);
  j_time(b, "createTime", "createdAt", row->create_us);
  j_time(b, "updateTime", "updatedAt", row->update_us);
  j_time(b, "endTime", "endedAt", row->end_us);
}

static enum wr_rc read_job(struct call *c, int64_t id, struct arena *a, struct job_row *out) {
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_job(r, id, a, out, &c->err);
  reader_put(r);
  return rc == WR_NOT_FOUND ? call_fail(c, rc, "Job %lld does not exist.", (long long)id) : rc;
}

static enum wr_rc show_with(struct call *c, const bool *changed) {
  struct job_row row;
  struct arena text;
  arena_init(&text, 0);
  enum wr_rc rc = read_job(c, c->id, &text, &row);
  if (rc == WR_OK) {
    c->wait.live = !job_final((enum job_state)row.j.state);
    j_open(c->out, '{');
    job_fields(c->out, &row);
    if (changed) j_bool(c->out, "changed", *changed);
    j_close(c->out, '}');
  }
  arena_done(&text);
  return rc;
}

static enum wr_rc show(struct call *c) { return show_with(c, NULL); }

/* What is stored, and perhaps took most of the request's time: reading it has half of that time on top. */
static enum wr_rc tell(struct call *c, const bool *changed) {
  store_deadline(call_deadline(c) + c->api->o.request_us / 2);
  enum wr_rc rc = show_with(c, changed);
  if (rc != WR_DB_UNAVAILABLE && rc != WR_BUSY) return rc;
  return call_fail(c, WR_OUTCOME_UNKNOWN, "It is stored, but job %lld cannot be read just now.", (long long)c->id);
}

/* ---- tasks in a body ---- */

/* A job with its tasks: what one request points to. The tasks own the rest of the block. */
struct job_load { struct load load; struct submit *tasks; struct req_job job; char *key, *name; uint8_t hash[KEY_HASH_BYTES]; };

static void load_free(struct load *l) {
  struct job_load *j = (struct job_load *)(void *)l;
  load_unref(&j->tasks->load);
  job_had_unref(j->job.had);
  free(j->key);
  free(j->name);
  free(j);
}

static enum wr_rc read_tasks(struct call *c, const json_t *tasks, struct submit *s) {
  struct def_site site = def_site_of(c);
  struct def_env env = def_env_at(&site);
  enum wr_rc rc = WR_OK;
  for (uint32_t i = 0; i < s->n && rc == WR_OK; i++) {
    rc = submit_read(s, i, json_array_get(tasks, i), i, 0, &env, &c->err);
    if (rc == WR_OK && s->task[i].def) def_in_job(s->task[i].def);
  }
  return rc;
}

static struct job_load *load_new(const json_t *tasks) {
  struct job_load *j = wr_new(struct job_load);
  atomic_init(&j->load.refs, 1);
  j->load.free = load_free;
  j->tasks = submit_new((uint32_t)json_array_size(tasks));
  j->job.hash = j->hash;
  return j;
}

static enum wr_rc post_tasks(struct call *c, struct job_load *j) {
  struct req q = {.kind = REQ_EXEC_TASK, .task = j->tasks->task, .n_task = j->tasks->n, .listed = true, .job = &j->job};
  return call_post(c, &q, &j->load);
}

static enum wr_rc too_many(struct call *c, size_t n) {
  enum wr_rc rc = wr_err_at(&c->err, WR_TOO_LARGE, "/tasks", "More than %d tasks.", LIMIT_SUBMITS);
  c->err.limit = LIMIT_SUBMITS;
  c->err.got = (int64_t)n;
  return rc;
}

/* ---- a new one ---- */

enum { J_KEY, J_NAME, J_CLOSED, J_FAILURE, J_TASKS, J__N };

static bool is_key(const char *s, size_t n) { return n >= 1 && n <= LIMIT_KEY_CHARS && text_visible(s, n); }

static enum wr_rc read_head(struct call *c, json_t *const v[J__N], struct job_load *j) {
  const char *key = json_string_value(v[J_KEY]), *name = json_string_value(v[J_NAME]);
  if (!v[J_KEY]) return wr_err_at(&c->err, WR_OUT_OF_RANGE, "/jobKey", "jobKey is required.");
  const char *failure = v[J_FAILURE] ? json_string_value(v[J_FAILURE]) : "fail";
  if (!is_key(key, json_string_length(v[J_KEY])))
    return wr_err_at(&c->err, WR_OUT_OF_RANGE, "/jobKey", "jobKey must be 1 to %d visible ASCII characters.", LIMIT_KEY_CHARS);
  size_t n = json_string_length(v[J_NAME]);
  if (name && (text_utf8_len(name, n) > LIMIT_NAME_CHARS || text_has_control(name, n)))
    return wr_err_at(&c->err, WR_BAD_NAME, "/jobName", "jobName must have 0 to %d characters, and no control characters.",
                     LIMIT_NAME_CHARS);
  if (strcmp(failure, "fail") != 0 && strcmp(failure, "ignore") != 0)
    return wr_err_at(&c->err, WR_OUT_OF_RANGE, "/childFailure", "childFailure must be fail or ignore.");
  j->key = wr_strdup(key);
  j->name = wr_strdup(name ? name : "");
  j->job = (struct req_job){.op = JOB_OP_MAKE, .key = j->key, .name = j->name, .hash = j->hash,
                            .closed = json_is_true(v[J_CLOSED]), .ignore = strcmp(failure, "ignore") == 0};
  return WR_OK;
}

static void content_hash(const json_t *body, uint8_t out[KEY_HASH_BYTES]) {
  struct buf b = BUF_INIT;
  async_text(body, 0, &b);
  (void)SHA256((const unsigned char *)b.data, b.len, out);
  buf_done(&b);
}

static enum wr_rc make(struct call *c, json_t *const v[J__N]) {
  struct job_load *j = load_new(v[J_TASKS]);
  enum wr_rc rc = read_head(c, v, j);
  content_hash(c->body, j->hash);
  if (rc == WR_OK) rc = read_tasks(c, v[J_TASKS], j->tasks);
  if (rc == WR_OK) rc = post_tasks(c, j);
  c->id = j->job.job_id;
  load_unref(&j->load);
  return rc == WR_OK ? tell(c, NULL) : rc;
}

enum wr_rc h_job_make(struct call *c) {
  static const struct body_field field[J__N] = {[J_KEY] = {"jobKey", JSON_STRING, false},
    [J_NAME] = {"jobName", JSON_STRING, false}, [J_CLOSED] = {"closed", JSON_TRUE, false},
    [J_FAILURE] = {"childFailure", JSON_STRING, false}, [J_TASKS] = {"tasks", JSON_ARRAY, false}};
  json_t *v[J__N] = {0}, *closed = json_object_get(c->body, "closed");
  bool open = json_is_false(closed);
  if (open) (void)json_object_set_new(c->body, "closed", json_true()); /* the table of fields knows one type for each */
  enum wr_rc rc = call_fields(c, c->body, "", field, J__N, v);
  if (open) (void)json_object_set_new(c->body, "closed", json_false());
  if (rc != WR_OK) return rc;
  if (open) v[J_CLOSED] = NULL;
  if (json_array_size(v[J_TASKS]) > LIMIT_SUBMITS) return too_many(c, json_array_size(v[J_TASKS]));
  return make(c, v);
}

/* ---- more tasks ---- */

static void answer_added(struct call *c, const struct submit *s) {
  int64_t added = 0;
  j_open(c->out, '{');
  j_key(c->out, "tiIds");
  j_open(c->out, '[');
  for (uint32_t i = 0; i < s->n; i++) {
    if (i) buf_ch(c->out, ',');
    buf_i64(c->out, s->task[i].ti);
    added += !s->task[i].replayed;
  }
  j_close(c->out, ']');
  j_i64(c->out, "added", added);
  j_close(c->out, '}');
  if (added == 0) c->page.replayed = true;
}

enum wr_rc h_job_add(struct call *c) {
  json_t *tasks;
  enum wr_rc rc = call_list(c, "tasks", LIMIT_SUBMITS, &tasks);
  if (rc != WR_OK) return rc;
  if (json_array_size(tasks) == 0)
    return wr_err_at(&c->err, WR_OUT_OF_RANGE, "/tasks", "tasks must have 1 to %d elements.", LIMIT_SUBMITS);
  struct job_load *j = load_new(tasks);
  j->job = (struct req_job){.op = JOB_OP_ADD, .job_id = c->id};
  rc = read_tasks(c, tasks, j->tasks);
  if (rc == WR_OK) rc = post_tasks(c, j);
  if (rc == WR_OK) answer_added(c, j->tasks);
  load_unref(&j->load);
  return rc;
}

/* ---- wishes ---- */

static enum wr_rc ask(struct call *c, enum job_ask what) {
  struct job_load *j = load_new(NULL);
  j->job = (struct req_job){.op = JOB_OP_ASK, .job_id = c->id, .ask = what};
  struct req q = {.kind = REQ_JOB, .job = &j->job};
  enum wr_rc rc = call_post(c, &q, &j->load);
  bool changed = q.changed;
  load_unref(&j->load);
  return rc == WR_OK ? tell(c, &changed) : rc;
}

static enum wr_rc plain(struct call *c, enum job_ask what) {
  enum wr_rc rc = c->body ? call_fields(c, c->body, "", NULL, 0, NULL) : WR_OK;
  return rc == WR_OK ? ask(c, what) : rc;
}

enum wr_rc h_job_close(struct call *c) { return plain(c, JOB_ASK_CLOSE); }
enum wr_rc h_job_cancel(struct call *c) { return plain(c, JOB_ASK_CANCEL); }
enum wr_rc h_job_resume(struct call *c) { return plain(c, JOB_ASK_RESUME); }
enum wr_rc h_job_retry(struct call *c) { return plain(c, JOB_ASK_RETRY); }

enum wr_rc h_job_pause(struct call *c) {
  static const struct body_field field[] = {{"mode", JSON_STRING, false}};
  json_t *mode = NULL;
  enum wr_rc rc = c->body ? call_fields(c, c->body, "", field, 1, &mode) : WR_OK;
  if (rc != WR_OK) return rc;
  const char *word = mode ? json_string_value(mode) : "soft";
  if (strcmp(word, "soft") == 0) return ask(c, JOB_ASK_PAUSE);
  if (strcmp(word, "checkpoint") == 0) return ask(c, JOB_ASK_CHECKPOINT);
  return wr_err_at(&c->err, WR_OUT_OF_RANGE, "/mode", "mode must be soft or checkpoint.");
}

/* ---- deleted ---- */

/* One deletion as its call sees it: what the runner said, what there was at first, and what is left. had: a reference. */
struct removal { struct job now; bool gone; struct job_had *had; struct job_left left; };

static void members(struct buf *b, const char *name, const struct job_left *v) {
  j_key(b, name);
  j_open(b, '{');
  j_i64(b, "tasks", v->tasks);
  j_i64(b, "attempts", v->attempts);
  j_i64(b, "logs", v->logs);
  j_i64(b, "contexts", v->contexts);
  j_i64(b, "children", v->children);
  j_i64(b, "hints", v->hints);
  j_i64(b, "processes", v->processes);
  j_close(b, '}');
}

static int64_t less(int64_t was, int64_t is) { return was > is ? was - is : 0; }

/* Tasks and attempts are counted in the row of the job, the rest by what there was and what is left. */
static void answer_removed(struct call *c, const struct removal *x) {
  const struct job_left none = {0}, *was = x->had ? &x->had->first : &none, *is = &x->left;
  const struct job_left removed = {.tasks = x->now.gone_tasks, .attempts = x->now.gone_attempts,
    .logs = less(was->logs, is->logs), .contexts = less(was->contexts, is->contexts),
    .children = less(was->children, is->children),
    .hints = less(was->hints, is->hints), .processes = less(was->processes, is->processes)};
  j_open(c->out, '{');
  j_i64(c->out, "jobId", c->id);
  j_text(c->out, "state", x->gone ? "DELETED" : "DELETING");
  members(c->out, "removed", &removed);
  members(c->out, "left", is);
  j_i64(c->out, "unconfirmed", less(was->unconfirmed, is->unconfirmed));
  j_close(c->out, '}');
}

static enum job_runs_in runs_in(const void *ctx, const char *type) {
  const struct executor *x = type ? registry_find(ctx, type, 0) : NULL;
  if (!x) return JOB_RUNS_INSIDE;
  if (x->added ? x->added->mode == ADDED_URL : strcmp(x->ops.name, "HTTP") == 0) return JOB_RUNS_URL;
  return executor_slot(x) == WX_SLOT_PROCESS ? JOB_RUNS_PROCESS : JOB_RUNS_INSIDE;
}

/* What there is of it. had NULL: the numbers alone. */
static enum wr_rc look_left(struct call *c, struct job_left *out, struct job_had **had) {
  const struct job_look how = {runs_in, c->api->o.executors};
  struct job_had *h = had ? wr_calloc(1, sizeof *h + LIMIT_JOB_LOOK * sizeof *h->ti) : NULL;
  struct reader *r = call_reader(c);
  enum wr_rc rc = r ? reader_job_left(r, c->id, &how, out, h ? h->ti : NULL, h ? &h->n : NULL, &c->err) : c->err.code;
  reader_put(r);
  if (!h) return rc;
  atomic_init(&h->refs, 1);
  h->first = *out;
  *had = wr_realloc(h, sizeof *h + h->n * sizeof *h->ti);
  return rc;
}

/* had: taken. */
static enum wr_rc post_removal(struct call *c, enum job_op op, struct job_had *had, struct removal *out) {
  struct job_load *j = load_new(NULL);
  uint8_t how = (uint8_t)((c->q.force ? JOB_FORCE : 0) | (c->q.no_clean_up ? JOB_NO_CLEAN_UP : 0));
  j->job = (struct req_job){.op = op, .job_id = c->id, .how = how, .had = had};
  struct req q = {.kind = REQ_JOB, .job = &j->job};
  enum wr_rc rc = call_post(c, &q, &j->load);
  if (rc == WR_OK) {
    job_had_unref(out->had);
    out->now = j->job.now, out->gone = j->job.gone, out->had = job_had_ref(j->job.had);
  }
  load_unref(&j->load);
  return rc;
}

static bool any_left(const struct job_left *l) { return l->tasks + l->attempts + l->children + l->logs + l->contexts > 0; }

enum { LOOK_MS = 10 };
#define LOGS_GO_US 10000000           /* logs are removed behind the commit, by a thread of their own */

/* A list that no member pops would keep them for ever. While Redis is away the lists may be lost as well. */
static enum wr_rc forget_hints(struct call *c, const struct job_had *had) {
  const struct api_opts *o = &c->api->o;
  if (o->forget && !o->forget(o->ctx, had->ti, had->n)) log_warn("job.hints", L_INT("job_id", c->id));
  return WR_OK;
}

/* It is gone: looks again for rows of each task that there was. Those of logs and contexts go a moment later. */
static enum wr_rc look_again(struct call *c, struct removal *x) {
  int64_t until = clock_mono_us() + LOGS_GO_US;
  enum wr_rc rc = WR_OK;
  if (!x->had || x->had->n == 0) return WR_OK;
  if (call_deadline(c) < until) until = call_deadline(c);
  for (;;) {
    struct reader *r = call_reader(c);
    rc = r ? reader_job_rows(r, x->had->ti, x->had->n, &x->left, &c->err) : c->err.code;
    reader_put(r);
    if (rc != WR_OK) return rc;
    if (!any_left(&x->left)) return forget_hints(c, x->had);
    if (x->left.tasks + x->left.attempts + x->left.children > 0 || clock_mono_us() >= until) break;
    (void)poll(NULL, 0, LOOK_MS);
  }
  log_error("job.left", L_INT("job_id", c->id), L_INT("tasks", x->left.tasks), L_INT("attempts", x->left.attempts),
            L_INT("logs", x->left.logs), L_INT("contexts", x->left.contexts));
  return call_fail(c, WR_INTERNAL, "Job %lld is deleted, but rows of its tasks are left: tasks %lld, attempts %lld, logs %lld, "
                   "contexts %lld.", (long long)c->id, (long long)x->left.tasks, (long long)x->left.attempts,
                   (long long)x->left.logs, (long long)x->left.contexts);
}

static enum wr_rc answer(struct call *c, struct removal *x) {
  enum wr_rc rc = x->gone ? look_again(c, x) : look_left(c, &x->left, NULL);
  if (rc == WR_OK) answer_removed(c, x);
  return rc;
}

/* A small job is often gone at once: its pass is one batch, and the next one takes away its row. */
enum { LOOKS = 2 };

/* Its own row goes by a request of its own, so that the answer has the last numbers. */
static enum wr_rc show_removal(struct call *c) {
  struct removal x = {0};
  enum wr_rc rc = WR_OK;
  /* its last task may go in the batch of the first one */
  for (int i = 0; i < LOOKS && rc == WR_OK && !x.gone && (i == 0 || job_empty(&x.now)); i++)
    rc = post_removal(c, JOB_OP_END, NULL, &x);
  c->wait.live = !x.gone && !job_stuck(&x.now);
  if (rc == WR_OK) rc = answer(c, &x);
  job_had_unref(x.had);
  return rc;
}

enum wr_rc h_job_remove(struct call *c) {
  struct removal x = {0};
  struct job_had *had = NULL;
  enum wr_rc rc = look_left(c, &x.left, &had);
  if (rc == WR_OK) rc = post_removal(c, JOB_OP_DELETE, had, &x);
  else job_had_unref(had);
  for (int i = 0; i < LOOKS && rc == WR_OK && !x.gone && job_live(&x.now) == 0; i++) rc = post_removal(c, JOB_OP_END, NULL, &x);
  bool gone = x.gone;
  if (rc == WR_OK && gone) rc = answer(c, &x);
  job_had_unref(x.had);
  return rc == WR_OK && !gone ? call_wait(c, WAIT_JOB, c->id, show_removal) : rc;
}

/* ---- looked at ---- */

enum wr_rc h_job_get(struct call *c) { return call_wait(c, WAIT_JOB, c->id, show); }

enum wr_rc h_job_tasks(struct call *c) {
  struct job_row row;
  struct arena text;
  arena_init(&text, 0);
  enum wr_rc rc = read_job(c, c->id, &text, &row);
  arena_done(&text);
  if (rc != WR_OK) return rc;
  c->q.job_id = c->id;
  return h_mon_tasks(c);
}

enum wr_rc h_job_list(struct call *c) {
  struct job_row *row = wr_calloc((size_t)c->q.limit + 1, sizeof *row);
  struct page p = {(uint32_t)c->q.limit + 1, (uint64_t)c->q.offset, c->q.total};
  struct arena text;
  size_t n = 0;
  struct reader *r = call_reader(c);
  arena_init(&text, 0);
  enum wr_rc rc = r ? reader_list_jobs(r, &p, &text, row, &n, &c->page.total, &c->err) : c->err.code;
  reader_put(r);
  c->page.on = true;
  c->page.limit = (uint32_t)c->q.limit;
  c->page.offset = (uint64_t)c->q.offset;
  c->page.more = n > (size_t)c->q.limit;
  j_open(c->out, '[');
  for (size_t i = 0; rc == WR_OK && i < n && i < (size_t)c->q.limit; i++) {
    j_open(c->out, '{');
    job_fields(c->out, &row[i]);
    j_close(c->out, '}');
  }
  j_close(c->out, ']');
  arena_done(&text);
  free(row);
  return rc;
}
