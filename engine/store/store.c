/* Dispatch of store.h and migrate.h: picks the backend by the scheme of the URL, then forwards what each backend does in its own
 * way. No state but the table of schemes, which is filled before any thread starts. Never does I/O itself. */
#include "store_backend.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "mem.h"
#include "migrate.h"

/* migrate, token NULL: a store of a test can only be opened. */
struct scheme { const char *name; store_open_fn *open; store_migrate_fn *migrate; store_token_fn *token; };
#define SCHEMES_MAX 6
static struct scheme scheme[SCHEMES_MAX] = {
  {"sqlite", sqlite_store_open, sqlite_store_migrate, sqlite_token_at},
  {"mysql", mysql_store_open, mysql_store_migrate, mysql_token_at}};
static size_t n_scheme = 2;
static _Thread_local int64_t until_us;

void store_deadline(int64_t mono_us) { until_us = mono_us; }
int64_t store_until(void) { return until_us; }

void store_register(const char *name, store_open_fn *open) {
  wr_assert(n_scheme < SCHEMES_MAX);
  scheme[n_scheme++] = (struct scheme){.name = name, .open = open};
}

/* NULL: no store has this URL, and err says which URLs there are. */
static const struct scheme *scheme_of(const char *url, const char **rest, struct wr_err *err) {
  size_t n = strcspn(url, ":");
  *rest = n == 6 && memcmp(url, "sqlite", n) == 0 && url[n] ? url + n + 1 : url;
  for (size_t i = 0; i < n_scheme && url[n]; i++)
    if (strlen(scheme[i].name) == n && memcmp(url, scheme[i].name, n) == 0) return &scheme[i];
  wr_err_set(err, WR_BAD_REQUEST, "The store must be sqlite:PATH or mysql://user:password@host:port/db.");
  return NULL;
}

const char *store_rc_name(enum store_rc rc) {
  static const char *const name[] = {
    [STORE_OK] = "OK", [STORE_RETRY] = "RETRY", [STORE_STALE] = "STALE", [STORE_UNKNOWN] = "UNKNOWN",
    [STORE_FENCED] = "FENCED", [STORE_BAD] = "BAD", [STORE_NO_SPACE] = "NO_SPACE", [STORE_DOWN] = "DOWN",
  };
  return (size_t)rc < sizeof name / sizeof *name ? name[rc] : "?";
}

enum wr_rc store_open(const struct store_opts *o, struct store **out, struct wr_err *err) {
  const char *rest;
  *out = NULL;
  const struct scheme *s = scheme_of(o->url ? o->url : "", &rest, err);
  if (!s) return WR_BAD_REQUEST;
  enum wr_rc rc = s->open(o, rest, out, err);
  wr_assert(rc != WR_OK || ((*out)->ops->abi == STORE_ABI && (*out)->ops->size >= sizeof(struct store_ops)));
  return rc;
}

enum wr_rc store_token_at(const char *url, const struct store_token *set, struct store_token *was, struct wr_err *err) {
  const char *rest;
  const struct scheme *s = scheme_of(url, &rest, err);
  wr_assert(!s || s->token);
  return s ? s->token(rest, set, was, err) : WR_BAD_REQUEST;
}

enum wr_rc store_migrate(const struct store_opts *o, const struct migrate_watch *w, struct wr_err *err) {
  const char *rest;
  const struct scheme *s = scheme_of(o->url, &rest, err);
  wr_assert(!s || s->migrate);
  return s ? s->migrate(o, rest, w, err) : WR_BAD_REQUEST;
}

/* NULL is fine: a store that could not be opened. */
void store_close(struct store *s) {
  if (s) s->ops->close(s);
}
const char *store_id(const struct store *s) { return s->id; }
bool store_single(const struct store *s) { return s->ops->single(s); }
const char *store_why(const struct store *s) { return s->why; }
uint32_t store_lost_streak(const struct store *s) { return s->lost_streak; }
enum store_rc store_ids(struct store *s, enum id_kind kind, uint32_t n, int64_t *first) {
  return s->ops->ids(s, kind, n, first);
}
enum store_rc store_join(struct store *s, const struct node_info *info, int64_t *incarnation) {
  return s->ops->join(s, info, incarnation);
}
int64_t store_time(struct store *s, int64_t boot_us, int64_t wall_us) { return shared_clock_at(&s->clock, boot_us, wall_us); }
int64_t store_now(struct store *s) { return store_time(s, clock_boot_us(), clock_wall_us()); }
enum store_rc store_leave(struct store *s) { return s->ops->leave(s); }
enum store_rc store_begin(struct store *s, int64_t *defs) { return s->ops->begin(s, defs); }
enum store_rc store_lock(struct store *s, const int64_t *fi, size_t n, struct flow_row *out, uint8_t *got) {
  return s->ops->lock(s, fi, n, out, got);
}
enum store_rc store_nodes(struct store *s, const int64_t *ni, size_t n, struct node_row *out, size_t *n_out) {
  return s->ops->nodes(s, ni, n, out, n_out);
}
enum store_rc store_node_range(struct store *s, int64_t lo, int64_t hi, struct node_row *out, size_t cap, size_t *n_out) {
  return s->ops->node_range(s, lo, hi, out, cap, n_out);
}
enum store_rc store_tasks(struct store *s, const int64_t *ti, size_t n, struct task_row *out, size_t *n_out) {
  return s->ops->tasks(s, ti, n, out, n_out);
}
enum store_rc store_task_range(struct store *s, int64_t lo, int64_t hi, struct task_row *out, size_t cap, size_t *n_out) {
  return s->ops->task_range(s, lo, hi, out, cap, n_out);
}
enum store_rc store_keys(struct store *s, const char *const *key, size_t n, struct key_row *out, uint8_t *got) {
  if (s->ops->keys) return s->ops->keys(s, key, n, out, got);
  memset(got, 0, n);
  return STORE_OK;
}
enum store_rc store_async(struct store *s, const int64_t *ti, size_t n, struct async_row *out, size_t *n_out) {
  *n_out = 0;
  return s->ops->async ? s->ops->async(s, ti, n, out, n_out) : STORE_OK;
}
enum store_rc store_async_keys(struct store *s, const struct key_name *key, size_t n, struct async_key *out, uint8_t *got) {
  if (s->ops->async_keys) return s->ops->async_keys(s, key, n, out, got);
  memset(got, 0, n);
  return STORE_OK;
}
enum store_rc store_job_lock(struct store *s, const int64_t *id, size_t n, struct job_row *out, uint8_t *got) {
  memset(got, 0, n);
  return s->ops->job_lock && n ? s->ops->job_lock(s, id, n, out, got) : STORE_OK;
}
enum store_rc store_job_find(struct store *s, const char *key, int64_t *id, uint8_t hash[KEY_HASH_BYTES]) {
  *id = 0;
  return s->ops->job_find ? s->ops->job_find(s, key, id, hash) : STORE_OK;
}
enum store_rc store_job_tasks(struct store *s, int64_t id, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out) {
  *n_out = 0;
  return s->ops->job_tasks ? s->ops->job_tasks(s, id, after_ti, ti, n, n_out) : STORE_OK;
}
enum store_rc store_job_keys(struct store *s, const char *from, const char *to, int64_t *id, size_t n, size_t *n_out) {
  *n_out = 0;
  return s->ops->job_keys ? s->ops->job_keys(s, from, to, id, n, n_out) : STORE_OK;
}
enum store_rc store_tree(struct store *s, int64_t ti, struct tree_row *out, bool *got) {
  *got = false;
  return s->ops->tree ? s->ops->tree(s, ti, out, got) : STORE_OK;
}
enum store_rc store_children(struct store *s, int64_t parent, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out) {
  *n_out = 0;
  return s->ops->children ? s->ops->children(s, parent, after_ti, ti, n, n_out) : STORE_OK;
}
enum store_rc store_live_jobs(struct store *s, int64_t after_id, int64_t *id, size_t n, size_t *n_out) {
  *n_out = 0;
  return s->ops->live_jobs ? s->ops->live_jobs(s, after_id, id, n, n_out) : STORE_OK;
}
enum store_rc store_whose(struct store *s, int64_t fi, struct arena *a, struct whose_row **out, size_t *n) {
  *n = 0;
  *out = NULL;
  return s->ops->whose ? s->ops->whose(s, fi, a, out, n) : STORE_OK;
}
enum store_rc store_queues(struct store *s, int64_t known_version, int64_t *version, struct arena *a, struct queue_row **rows,
                           size_t *n) {
  *rows = NULL, *n = 0, *version = known_version;
  return s->ops->queues ? s->ops->queues(s, known_version, version, a, rows, n) : STORE_OK;
}
enum store_rc store_queue_lock(struct store *s, const int64_t *id, size_t n, int64_t *rate_at) {
  for (size_t i = 0; i < n; i++) rate_at[i] = -1;
  return s->ops->queue_lock && n ? s->ops->queue_lock(s, id, n, rate_at) : STORE_OK;
}
enum store_rc store_running(struct store *s, struct arena *a, struct running_row **out, size_t *n) {
  *out = NULL, *n = 0;
  return s->ops->running ? s->ops->running(s, a, out, n) : STORE_OK;
}
enum store_rc store_counted(struct store *s, struct arena *a, struct running_row **out, size_t *n) {
  *out = NULL, *n = 0;
  return s->ops->counted ? s->ops->counted(s, a, out, n) : STORE_OK;
}
enum store_rc store_write(struct store *s, struct batch *b) { return s->ops->write(s, b); }
enum store_rc store_commit(struct store *s) { return s->ops->commit(s); }
void store_rollback(struct store *s) { s->ops->rollback(s); }
enum store_rc store_resolve(struct store *s, int64_t batch_id, bool *committed) {
  return s->ops->resolve(s, batch_id, committed);
}
enum store_rc store_renew(struct store *s) { return s->ops->renew(s); }
enum store_rc store_tell(struct store *s, const char *trouble) {
  return s->ops->tell ? s->ops->tell(s, trouble) : s->ops->renew(s);
}
enum store_rc store_reap(struct store *s, uint32_t *n) { return s->ops->reap(s, n); }
enum store_rc store_live_tasks(struct store *s, int64_t after_ti, struct live_task *out, size_t n, size_t *n_out) {
  return s->ops->live_tasks(s, after_ti, out, n, n_out);
}
enum store_rc store_live_flows(struct store *s, int64_t after_fi, struct live_flow *out, size_t n, size_t *n_out) {
  return s->ops->live_flows(s, after_fi, out, n, n_out);
}
bool store_reconciler(struct store *s) { return s->ops->reconciler(s); }
bool store_asker(struct store *s, bool take) { return s->ops->asker ? s->ops->asker(s, take) : take; }
enum store_rc store_pulse(struct store *s, int64_t *out) {
  static _Atomic int64_t never_the_same;
  if (s->ops->pulse) return s->ops->pulse(s, out);
  *out = ++never_the_same;
  return STORE_OK;
}
enum wr_rc store_save_task(struct store *s, struct task_def *t, int64_t expect_version, struct key_write *key,
                           struct wr_err *err) {
  return s->ops->save_task(s, t, expect_version, key, err);
}
enum wr_rc store_save_flow(struct store *s, struct flow_def *f, int64_t expect_version, struct key_write *key,
                           struct wr_err *err) {
  return s->ops->save_flow(s, f, expect_version, key, err);
}
enum wr_rc store_delete_task(struct store *s, int64_t task_id, struct wr_err *err) {
  return s->ops->delete_task(s, task_id, err);
}
enum wr_rc store_delete_flow(struct store *s, int64_t flow_id, struct wr_err *err) {
  return s->ops->delete_flow(s, flow_id, err);
}
struct reader *reader_get(struct store *s, struct wr_err *err) { return s->ops->reader_get(s, READER_ANY, err); }
struct reader *reader_of_runner(struct store *s, struct wr_err *err) { return s->ops->reader_get(s, READER_RUNNER, err); }
void reader_put(struct reader *r) {
  if (r) r->ops->reader_put(r);
}
enum wr_rc store_claim_token(struct store *s, struct store_token *t, struct wr_err *err) {
  wr_assert(s->ops->claim_token);
  return s->ops->claim_token(s, t, err);
}
enum wr_rc reader_task(struct reader *r, int64_t task_id, int64_t version, struct task_def **out, struct wr_err *err) {
  return r->ops->reader_task(r, task_id, version, out, err);
}
enum wr_rc reader_flow(struct reader *r, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err) {
  return r->ops->reader_flow(r, flow_id, version, out, err);
}
enum wr_rc reader_tasks(struct reader *r, const int64_t *ids, size_t n, struct task_def **out, struct wr_err *err) {
  return r->ops->reader_tasks(r, ids, n, out, err);
}
enum wr_rc reader_heads(struct reader *r, enum head_kind kind, const int64_t *ids, size_t n, struct def_head *out,
                        struct wr_err *err) {
  return r->ops->reader_heads(r, kind, ids, n, out, err);
}
enum wr_rc reader_tasks_exist(struct reader *r, const int64_t *ids, size_t n, size_t *bad, struct wr_err *err) {
  struct def_head *head = wr_calloc(n + 1, sizeof *head);
  enum wr_rc rc = reader_heads(r, HEAD_TASK, ids, n, head, err);
  for (size_t i = 0; i < n && !rc; i++) {
    if (head[i].version != 0 && !head[i].deleted) continue;
    rc = wr_err_set(err, WR_NO_SUCH_TASK, "Task %lld does not exist.", (long long)ids[i]);
    *bad = i;
  }
  free(head);
  return rc;
}
enum wr_rc logs_open(struct store *s, struct logs **out, struct wr_err *err) { return s->ops->logs_open(s, out, err); }
void logs_close(struct logs *l) {
  if (l) l->ops->logs_close(l);
}
const char *logs_why(const struct logs *l) { return l->why; }
enum store_rc logs_write(struct logs *l, const struct log_chunk *c, size_t n) { return l->ops->logs_write(l, c, n); }
enum store_rc logs_put_context(struct logs *l, int64_t ti, uint32_t epoch, int64_t owner, int64_t now_us, const char *text,
                               size_t len) {
  struct context_put one = {.ti = ti, .owner = owner, .epoch = epoch, .text = text, .len = len};
  enum store_rc rc = logs_put_contexts(l, now_us, &one, 1);
  return rc == STORE_OK && one.fenced ? STORE_FENCED : rc;
}
enum store_rc logs_put_contexts(struct logs *l, int64_t now_us, struct context_put *v, size_t n) {
  return l->ops->logs_put_contexts(l, now_us, v, n);
}
enum store_rc logs_put_progress(struct logs *l, const struct progress_row *row, size_t n) {
  return l->ops->logs_put_progress(l, row, n);
}
enum store_rc logs_drop(struct logs *l, int64_t ti, bool *more) { return l->ops->logs_drop(l, ti, more); }
