/* The cache of definitions (defs.h). Any thread; mu guards the maps and is never held over I/O: two threads may load
 * the same version at once, the second copy is dropped. bind[] of an entry belongs to the runner thread. */
#include "defs.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "analysis.h"
#include "executor_post.h"
#include "map64.h"
#include "mem.h"
#include "registry.h"
#include "type_book.h"

/* One version of a flow or of a task: the other pointer is NULL. The members from `bind` to `bound_at` are for flows only. */
struct entry {
  struct entry *next;                 /* other versions of the same */
  struct task_def *task;
  struct flow_def *flow;
  struct task_bind *bind;             /* per task index */
  struct task_policy *own;            /* policies with overrides, per task index; NULL = none needed */
  int64_t *ids; size_t n_ids;         /* distinct task ids, sorted */
  struct task_def **now;              /* their newest versions, references */
  int64_t bound_at;                   /* definitions.version of bind, -1 = never */
  size_t bytes;
  bool used;                          /* since the last eviction */
  uint64_t bound_types;               /* the same of bind */
  uint64_t types;                     /* types_now() before its types were looked up */
};
/* All that is known of an id. Made only for what exists: an id that a client made up leaves nothing behind. */
struct known { struct entry *list; struct def_head newest; int64_t checked_at; };

struct defs {
  struct store *s;
  uint8_t (*slot_of)(const char *type);
  can_run_fn *can; void *can_ctx;
  list_of_fn *list; void *list_ctx;
  const struct registry *types;       /* NULL = slot_of */
  pthread_mutex_t mu;
  struct map64 map[2];                /* by enum head_kind: id -> struct known */
  size_t bytes, most;
  struct type_book book;
  struct exec_book added, analyzers;
  int64_t added_at;                   /* the runner's: defs_version of its last look at executors */
  struct reader *own;                 /* the runner thread's; NULL = not yet, or it met an error */
};

struct defs *defs_new(struct store *s, uint8_t (*slot_of)(const char *type)) {
  struct defs *d = wr_new(struct defs);
  d->s = s;
  d->slot_of = slot_of;
  d->most = defs_share(0);
  pthread_mutex_init(&d->mu, NULL);
  book_init(&d->book);
  exec_book_init(&d->added, ADDED_EXECUTOR);
  exec_book_init(&d->analyzers, ADDED_ANALYZER);
  d->added_at = -1;
  return d;
}

static void entry_free(struct entry *e) {
  for (size_t i = 0; i < e->n_ids; i++) def_task_unref(e->now[i]);
  def_flow_unref(e->flow);
  def_task_unref(e->task);
  free(e->now);
  free(e->ids);
  free(e->own);
  free(e->bind);
  free(e);
}

void defs_can_run(struct defs *d, can_run_fn *can, void *ctx) {
  d->can = can;
  d->can_ctx = ctx;
}

void defs_list_of(struct defs *d, list_of_fn *list, void *ctx) {
  d->list = list;
  d->list_ctx = ctx;
}

void defs_executors(struct defs *d, const struct registry *types) { d->types = types; }

/* Grows when this node can run more, or knows more of what others can. */
static uint64_t types_now(const struct defs *d) {
  return d->types ? registry_changes(d->types) + book_changes(&d->book) : 0;
}

void defs_free(struct defs *d) {
  const struct map64_slot *s;
  if (d == NULL) return;
  reader_put(d->own);
  for (int kind = 0; kind < 2; kind++) {
    for (size_t i = 0; (s = map64_next(&d->map[kind], &i)) != NULL;) {
      struct known *k = s->val;
      for (struct entry *e = k->list, *next; e != NULL; e = next) { next = e->next; entry_free(e); }
      free(k);
    }
    map64_done(&d->map[kind]);
  }
  pthread_mutex_destroy(&d->mu);
  book_done(&d->book);
  exec_book_done(&d->added);
  exec_book_done(&d->analyzers);
  free(d);
}

/* ---- versions; mu held ---- */

static struct def_head head_of(const struct entry *e) {
  return e->flow ? (struct def_head){e->flow->version, e->flow->deleted} : (struct def_head){e->task->version, e->task->deleted};
}

static bool entry_held(const struct entry *e) { return atomic_load(e->flow ? &e->flow->refs : &e->task->refs) > 1; }

static size_t text_bytes(const char *s) { return s ? strlen(s) + 1 + sizeof(size_t) : 0; }

static size_t task_bytes(const struct task_def *t) {
  return sizeof *t + text_bytes(t->name) + text_bytes(t->description) + text_bytes(t->type) + text_bytes(t->content) +
         text_bytes(t->config);
}

/* Equal inline tasks share one definition, which is counted once in a row: most often it is that of the node before. */
static size_t flow_bytes(const struct flow_def *f) {
  size_t n = sizeof *f + text_bytes(f->name) + text_bytes(f->description) + text_bytes(f->config);
  const struct task_def *last = NULL;
  for (uint32_t i = 0; i < f->n; i++) {
    const struct node_def *d = &f->node[i];
    n += sizeof *d + text_bytes(d->key) + text_bytes(d->config) + d->n_task_id * sizeof *d->task_id + d->n_task * sizeof(void *) +
         d->n_parent * sizeof *d->parent;
    for (uint32_t k = 0; k < d->n_task; k++) {
      if (d->task[k] != last) n += task_bytes(d->task[k]);
      last = d->task[k];
    }
  }
  if (f->dag == NULL) return n;
  n += f->dag->n * (sizeof *f->dag->node + sizeof *f->dag_node + 2 * sizeof(uint32_t)) + f->dag->n_edge * sizeof(uint32_t);
  return n + f->dag->n_task * (sizeof *f->ref + sizeof(struct task_bind));
}

/* When the cache is full, entries leave that nobody else holds: first those not used since the last eviction, and flows before
 * tasks, because flows hold tasks. An id without entries leaves too. */
static void evict_kind(struct defs *d, int kind, bool used_too) {
  const struct map64_slot *s;
  int64_t *empty = NULL;
  size_t n = 0, cap = 0;
  for (size_t i = 0; d->bytes > d->most && (s = map64_next(&d->map[kind], &i)) != NULL;) {
    struct known *k = s->val;
    for (struct entry **p = &k->list; *p != NULL && d->bytes > d->most;) {
      struct entry *e = *p;
      bool stays = entry_held(e) || (e->used && !used_too);
      e->used = false;
      if (stays) { p = &e->next; continue; }
      *p = e->next;
      d->bytes -= e->bytes;
      entry_free(e);
    }
    if (k->list == NULL) *WR_PUSH(empty, n, cap) = s->key;
  }
  for (size_t i = 0; i < n; i++) {
    d->bytes -= sizeof(struct known);
    free(map64_del(&d->map[kind], empty[i]));
  }
  free(empty);
}

static void evict(struct defs *d) {
  for (int round = 0; round < 2 && d->bytes > d->most; round++) {
    evict_kind(d, HEAD_FLOW, round > 0);
    evict_kind(d, HEAD_TASK, round > 0);
  }
}

void defs_limit(struct defs *d, size_t bytes) { d->most = bytes; }

size_t defs_bytes(struct defs *d) {
  pthread_mutex_lock(&d->mu);
  size_t n = d->bytes;
  pthread_mutex_unlock(&d->mu);
  return n;
}

/* An entry of whose types more is known by now does not count: it goes when nobody holds it and there is no room. */
enum { EITHER = -1 }; /* deleted or not */
static struct entry *entry_at(const struct defs *d, const struct known *k, int64_t version, int deleted) {
  for (struct entry *e = k ? k->list : NULL; e != NULL; e = e->next) {
    struct def_head h = head_of(e);
    if (e->types != types_now(d)) continue;
    if (h.version == version && (deleted == EITHER || h.deleted == deleted)) return e;
  }
  return NULL;
}

/* Notes that head was the newest at defs_version. */
static void newest_note(struct defs *d, enum head_kind kind, int64_t id, struct def_head head, int64_t defs_version) {
  struct known *k = map64_get(&d->map[kind], id);
  if (k == NULL || defs_version < k->checked_at) return;
  k->newest = head;
  k->checked_at = defs_version;
}

/* Takes e; returns what is kept: e, or an equal entry that was there first. */
static struct entry *entry_keep(struct defs *d, enum head_kind kind, int64_t id, struct entry *e) {
  struct known *k = map64_get(&d->map[kind], id);
  if (k == NULL) {
    k = wr_new(struct known);
    k->checked_at = -1;
    d->bytes += sizeof *k;
    (void)map64_put(&d->map[kind], id, k);
  }
  struct entry *old = entry_at(d, k, head_of(e).version, head_of(e).deleted);
  if (old) {
    entry_free(e);
    return old;
  }
  e->next = k->list;
  k->list = e;
  e->bytes = sizeof *e + (e->flow ? flow_bytes(e->flow) : task_bytes(e->task)) + e->n_ids * 2 * sizeof(int64_t);
  e->used = true;
  d->bytes += e->bytes;
  return e;
}

/* ---- loading ---- */

/* The runner's thread has a reader for itself; those of API threads come from the pool. `own` is the runner's thread's alone. */
static bool is_runner(int64_t defs_version) { return defs_version >= 0; }

static void distinct_ids(struct entry *e) {
  const struct flow_def *f = e->flow;
  uint32_t n = f->dag->n_task;
  e->ids = wr_calloc((size_t)n + 1, sizeof *e->ids);
  for (uint32_t i = 0; i < n; i++)
    if (f->ref[i].task_id != 0) e->ids[e->n_ids++] = f->ref[i].task_id;
  e->n_ids = wr_distinct(e->ids, e->n_ids, sizeof *e->ids);
  e->now = wr_calloc(e->n_ids + 1, sizeof(struct task_def *));
}

static bool is_foreign(const struct defs *d, const struct task_def *t) {
  return d->types && !registry_find(d->types, t->type, 0);
}

/* Before place(): what other nodes have said of a type that this one does not have. Only the runner deletes, so that only the
 * runner must know whether a known type cleans up now. */
static enum wr_rc look_up(struct defs *d, const struct task_def *t, struct reader *r, bool runner, struct wr_err *err) {
  bool cleans_up;
  if (!is_foreign(d, t) || (!runner && book_find(&d->book, t->type, &cleans_up))) return WR_OK;
  return book_due(&d->book) ? book_look(&d->book, r, runner, err) : WR_OK;
}

/* What this node does not have is no type that reads onDelete: those are built in. */
static bool cleans_up(struct defs *d, const struct task_def *t) {
  uint32_t flags = t->executor ? t->executor->ops.flags : d->types ? 0 : WX_ON_DELETE;
  bool elsewhere = false;
  if (flags & WX_CLEANS_UP || (t->clean_up_us && flags & WX_ON_DELETE)) return true;
  if (!t->executor && d->types) (void)book_find(&d->book, t->type, &elsewhere);
  return elsewhere;
}

/* The settings that the engine reads itself: those of its executor hold where it says nothing. */
static void derive_again(struct task_def *t, const char *defaults) {
  char *own = t->config;
  struct wr_err err;
  if (!defaults) return;
  t->config = config_over(own, defaults);
  enum wr_rc rc = def_task_derive(t, &err);
  free(t->config);
  t->config = own;
  if (rc) rc = def_task_derive(t, &err);
}

/* An instance may have a former version of the executor, which had an analyzer: its attempt says so (defs_analyzer_of()). */
static uint8_t calls(const struct task_def *t) {
  bool may = t->analyzer || (t->executor && t->executor->added);
  return may ? (uint8_t)t->analyzer_attempts : 0;
}

static const struct executor *executor_at(const struct defs *d, const char *type, int64_t version) {
  const struct executor *x = d->types && version != 0 ? registry_find(d->types, type, version) : NULL;
  return x || !d->types ? x : registry_find(d->types, type, 0);
}

/* What this node knows of a definition besides what is written in it. Whether it can run here is asked of the newest version of
 * its executor; version (0: that one, too) is the one whose settings and class of slots count. mu is not held:
 * whoever is asked here may have a lock. */
static void place(struct defs *d, struct task_def *t, int64_t version) {
  const struct executor *own = executor_at(d, t->type, version);
  t->executor = executor_at(d, t->type, 0);
  if (own && own->added) derive_again(t, own->added->config);
  t->policy.type = t->executor && t->executor->added ? t->executor->ops.name : NULL; /* lives as long as the registry */
  t->policy.slot = d->types ? executor_slot(own) : d->slot_of(t->type);
  t->policy.cleans_up = cleans_up(d, t);
  t->policy.parts = t->executor && t->executor->ops.flags & WX_PARTS;
  t->policy.calls = calls(t);
  t->policy.elsewhere = d->can && !d->can(d->can_ctx, t);
  t->policy.list = d->list ? d->list(d->list_ctx, t) : 0;
}

/* Takes the reference. */
static struct entry *entry_new(struct task_def *t, struct flow_def *f) {
  struct entry *e = wr_new(struct entry);
  *e = (struct entry){.task = t, .flow = f, .bound_at = -1};
  if (f && f->dag) distinct_ids(e);
  return e;
}

static enum wr_rc flow_look_up(struct defs *d, const struct flow_def *f, struct reader *r, bool runner, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  for (uint32_t i = 0; i < f->n; i++)
    for (uint32_t k = 0; k < f->node[i].n_task && rc == WR_OK; k++) rc = look_up(d, f->node[i].task[k], r, runner, err);
  return rc;
}

/* Looks first and notes the number after that, so that what this very look has found out does not make the entry old. */
static enum wr_rc entry_place(struct defs *d, struct entry *e, struct reader *r, bool runner, struct wr_err *err) {
  enum wr_rc rc = e->task ? look_up(d, e->task, r, runner, err) : flow_look_up(d, e->flow, r, runner, err);
  e->types = types_now(d);
  if (e->task) place(d, e->task, 0);
  for (uint32_t i = 0; e->flow && i < e->flow->n; i++)
    for (uint32_t k = 0; k < e->flow->node[i].n_task; k++) place(d, e->flow->node[i].task[k], 0);
  return rc;
}

/* version 0 = whatever is newest now. */
static enum wr_rc read_one(struct defs *d, struct reader *r, enum head_kind kind, int64_t id, int64_t version, bool runner,
                           struct entry **out, struct wr_err *err) {
  struct task_def *t = NULL;
  struct flow_def *f = NULL;
  enum wr_rc rc = kind == HEAD_TASK ? reader_task(r, id, version, &t, err) : reader_flow(r, id, version, &f, err);
  if (rc != WR_OK) return rc;
  *out = entry_new(t, f);
  rc = entry_place(d, *out, r, runner, err);
  if (rc != WR_OK) entry_free(*out);
  return rc;
}

/* A reference to what e holds, NULL when e is NULL; mu held. */
static void *entry_give(struct entry *e) {
  if (e == NULL) return NULL;
  e->used = true;
  return e->flow ? (void *)def_flow_ref(e->flow) : (void *)def_task_ref(e->task);
}

static void *cached(struct defs *d, enum head_kind kind, int64_t id, int64_t version, int64_t defs_version) {
  struct entry *e = NULL;
  pthread_mutex_lock(&d->mu);
  const struct known *k = map64_get(&d->map[kind], id);
  if (version != 0) e = entry_at(d, k, version, EITHER);
  else if (k && defs_version >= 0 && k->checked_at == defs_version) e = entry_at(d, k, k->newest.version, k->newest.deleted);
  void *def = entry_give(e);
  pthread_mutex_unlock(&d->mu);
  return def;
}

/* Asks which version is the newest. The cached one serves when it is the newest. */
static enum wr_rc look_at_newest(struct defs *d, struct reader *r, enum head_kind kind, int64_t id, int64_t defs_version,
                                 int64_t *version, void **out, struct wr_err *err) {
  struct def_head head;
  enum wr_rc rc = reader_heads(r, kind, &id, 1, &head, err);
  if (rc != WR_OK) return rc;
  if (head.version == 0)
    return wr_err_set(err, WR_NOT_FOUND, "There is no %s %lld.", kind == HEAD_TASK ? "task" : "flow", (long long)id);
  *version = head.version;
  pthread_mutex_lock(&d->mu);
  *out = entry_give(entry_at(d, map64_get(&d->map[kind], id), head.version, head.deleted));
  if (*out) newest_note(d, kind, id, head, defs_version);
  pthread_mutex_unlock(&d->mu);
  return WR_OK;
}

static enum wr_rc load(struct defs *d, struct reader *r, enum head_kind kind, int64_t id, int64_t version, int64_t defs_version,
                       void **out, struct wr_err *err) {
  bool newest = version == 0;
  struct entry *e;
  enum wr_rc rc = newest ? look_at_newest(d, r, kind, id, defs_version, &version, out, err) : WR_OK;
  if (rc != WR_OK || *out) return rc;
  rc = read_one(d, r, kind, id, version, is_runner(defs_version), &e, err);
  if (rc != WR_OK) return rc;
  pthread_mutex_lock(&d->mu);
  e = entry_keep(d, kind, id, e);
  if (newest) newest_note(d, kind, id, head_of(e), defs_version);
  *out = entry_give(e);
  evict(d);
  pthread_mutex_unlock(&d->mu);
  return WR_OK;
}

static struct reader *reader_for(struct defs *d, int64_t defs_version, struct wr_err *err) {
  if (!is_runner(defs_version)) return reader_get(d->s, err);
  if (d->own == NULL) d->own = reader_of_runner(d->s, err);
  return d->own;
}

/* A reader that met an error goes back; the runner gets a fresh one next time. */
static void reader_done(struct defs *d, int64_t defs_version, struct reader *r, enum wr_rc rc) {
  if (is_runner(defs_version) && (rc == WR_OK || rc == WR_NOT_FOUND)) return;
  if (is_runner(defs_version)) d->own = NULL;
  reader_put(r);
}

/* ---- types of other nodes ---- */

void defs_type_learn(struct defs *d, const char *type, bool cleans_up) {
  book_note(&d->book, &(struct known_type){type, cleans_up});
}

enum wr_rc defs_type_known(struct defs *d, const char *type, bool *known, struct wr_err *err) {
  bool cleans_up;
  *known = book_find(&d->book, type, &cleans_up);
  if (*known || !book_due(&d->book)) return WR_OK;
  struct reader *r = reader_get(d->s, err);
  if (!r) return err->code;
  enum wr_rc rc = book_look(&d->book, r, false, err);
  reader_put(r);
  *known = book_find(&d->book, type, &cleans_up);
  return *known ? WR_OK : rc;
}

/* The runner's: reads what other nodes say of types, where that is due. */
static enum wr_rc runner_look(struct defs *d, struct wr_err *err) {
  struct reader *r = reader_for(d, 0, err);
  if (r == NULL) return err->code;
  enum wr_rc rc = book_look(&d->book, r, true, err);
  reader_done(d, 0, r, rc);
  return rc;
}

enum wr_rc defs_place(struct defs *d, struct task_def *t, int64_t version, struct wr_err *err) {
  enum wr_rc rc = is_foreign(d, t) && book_due(&d->book) ? runner_look(d, err) : WR_OK;
  if (rc == WR_OK && version != 0) rc = defs_added_version(d, t->type, version, err);
  if (rc != WR_OK && rc != WR_NOT_FOUND && rc != WR_INTERNAL) return rc;
  place(d, t, version); /* a version that is not there any more: the newest, and its attempt says so */
  return WR_OK;
}

enum wr_rc defs_slot(struct defs *d, const char *type, int64_t version, uint8_t *slot, struct wr_err *err) {
  enum wr_rc rc = defs_added_version(d, type, version, err);
  if (rc != WR_OK && rc != WR_NOT_FOUND && rc != WR_INTERNAL) return rc;
  if (d->types) *slot = executor_slot(executor_at(d, type, version));
  return WR_OK;
}

const struct analyzer *defs_analyzer_of(const struct defs *d, const struct task_def *t, int64_t version) {
  return analyzer_of(t, version != 0 ? executor_at(d, t->type, version) : t->executor);
}

const struct executor *defs_analyzer_known(const struct defs *d, const char *name) {
  return d->analyzers.types ? registry_find(d->analyzers.types, name, 0) : NULL;
}

bool defs_analyzer_here(const struct defs *d, const struct analyzer *a) {
  const struct executor *x = a && a->kind == ANALYZER_NAMED ? defs_analyzer_known(d, a->name) : NULL;
  return !x || atomic_load(&x->added->offered);
}

/* After that a version is old whose type another node has registered anew. While the store is away, what was known last
 * serves. */
static bool looks_again(struct defs *d, const struct task_def *t) {
  struct wr_err err;
  return d->types && !t->executor && book_due(&d->book) && runner_look(d, &err) == WR_OK;
}

/* ---- executors that were registered at run time ---- */

void defs_added(struct defs *d, struct registry *types, struct registry *analyzers, const struct added_host *host) {
  d->added.types = types;
  d->analyzers.types = analyzers;
  d->added.host = d->analyzers.host = *host;
}

const wx_ops *defs_added_ops(const struct defs *d, enum added_mode mode) {
  return d->added.types ? d->added.host.ops(mode) : NULL;
}

bool defs_added_may_ask(const struct defs *d, const char *url, char *why, size_t why_n) {
  return !d->added.types || d->added.host.may_ask(d->added.host.ctx, url, why, why_n);
}

static enum wr_rc find(struct defs *d, struct exec_book *b, const char *type, const struct executor **out, struct wr_err *err) {
  *out = NULL;
  if (!b->types) return WR_OK;
  struct reader *r = reader_get(d->s, err);
  if (!r) return err->code;
  enum wr_rc rc = exec_book_look(b, r, err);
  reader_put(r);
  if (rc == WR_OK) *out = registry_find(b->types, type, 0);
  return rc;
}

enum wr_rc defs_added_find(struct defs *d, const char *type, const struct executor **out, struct wr_err *err) {
  return find(d, &d->added, type, out, err);
}

enum wr_rc defs_analyzer_find(struct defs *d, const char *name, const struct executor **out, struct wr_err *err) {
  return find(d, &d->analyzers, name, out, err);
}

void defs_added_ask(struct defs *d, int64_t until_us) {
  if (d->added.types) d->added.host.ask(d->added.host.ctx, until_us);
}

enum wr_rc defs_added_look(struct defs *d, struct reader *r, struct wr_err *err) {
  enum wr_rc rc = exec_book_look(&d->added, r, err);
  return rc ? rc : exec_book_look(&d->analyzers, r, err);
}

static enum wr_rc look_at_added(struct defs *d, int64_t defs_version, struct wr_err *err) {
  struct reader *r = reader_for(d, defs_version, err);
  if (r == NULL) return err->code;
  enum wr_rc rc = exec_book_look(&d->added, r, err);
  reader_done(d, defs_version, r, rc);
  return rc;
}

enum wr_rc defs_added_since(struct defs *d, int64_t defs_version, struct wr_err *err) {
  if (!d->added.types || d->added_at == defs_version) return WR_OK;
  bool kept = d->own != NULL; /* it may have lost its connection since, in a fault that is over */
  enum wr_rc rc = look_at_added(d, defs_version, err);
  if (rc == WR_DB_UNAVAILABLE && kept) rc = look_at_added(d, defs_version, err);
  if (rc == WR_OK) d->added_at = defs_version;
  return rc;
}

enum wr_rc defs_added_version(struct defs *d, const char *type, int64_t version, struct wr_err *err) {
  if (!d->added.types || registry_find(d->added.types, type, version)) return WR_OK;
  struct reader *r = reader_for(d, 0, err);
  if (r == NULL) return err->code;
  enum wr_rc rc = exec_book_version(&d->added, r, type, version, err);
  reader_done(d, 0, r, rc);
  return rc;
}

int64_t defs_added_now(const struct defs *d, const struct task_def *t) {
  const struct executor *x = t->executor;
  if (d->added.types && (!x || x->added)) x = registry_find(d->added.types, t->type, 0);
  return x && x->added ? x->version : 0;
}

bool defs_knows(struct defs *d, const struct task_def *t) {
  bool cleans_up;
  return !d->types || t->executor || book_find(&d->book, t->type, &cleans_up);
}

uint64_t defs_types(const struct defs *d) { return d->types ? registry_changes(d->types) : 0; }

static enum wr_rc defs_get(struct defs *d, enum head_kind kind, int64_t id, int64_t version, int64_t defs_version, void **out,
                           struct wr_err *err) {
  wr_err_clear(err);
  *out = cached(d, kind, id, version, defs_version);
  if (*out && kind == HEAD_TASK && is_runner(defs_version) && looks_again(d, *out)) {
    def_task_unref(*out);
    *out = cached(d, kind, id, version, defs_version);
  }
  if (*out) return WR_OK;
  struct reader *r = reader_for(d, defs_version, err);
  if (r == NULL) return err->code;
  enum wr_rc rc = load(d, r, kind, id, version, defs_version, out, err);
  reader_done(d, defs_version, r, rc);
  return rc;
}

enum wr_rc defs_task(struct defs *d, int64_t id, int64_t version, int64_t defs_version, struct task_def **out,
                     struct wr_err *err) {
  void *def;
  enum wr_rc rc = defs_get(d, HEAD_TASK, id, version, defs_version, &def, err);
  *out = def;
  return rc;
}

enum wr_rc defs_flow(struct defs *d, int64_t id, int64_t version, int64_t defs_version, struct flow_def **out,
                     struct wr_err *err) {
  void *def;
  enum wr_rc rc = defs_get(d, HEAD_FLOW, id, version, defs_version, &def, err);
  *out = def;
  return rc;
}

/* A version never changes, so it does not matter of when the reader's view is: nothing is noted of what is newest. */
static enum wr_rc get_by(struct defs *d, struct reader *r, enum head_kind kind, int64_t id, int64_t version, void **out,
                         struct wr_err *err) {
  wr_assert(version != 0);
  wr_err_clear(err);
  *out = cached(d, kind, id, version, -1);
  return *out ? WR_OK : load(d, r, kind, id, version, -1, out, err);
}

enum wr_rc defs_flow_by(struct defs *d, struct reader *r, int64_t flow_id, int64_t version, struct flow_def **out,
                        struct wr_err *err) {
  void *def;
  enum wr_rc rc = get_by(d, r, HEAD_FLOW, flow_id, version, &def, err);
  *out = def;
  return rc;
}

enum wr_rc defs_task_by(struct defs *d, struct reader *r, int64_t task_id, int64_t version, struct task_def **out,
                        struct wr_err *err) {
  void *def;
  enum wr_rc rc = get_by(d, r, HEAD_TASK, task_id, version, &def, err);
  *out = def;
  return rc;
}

/* ---- the newest versions of many tasks ---- */

/* The ids that were not looked at since defs_version. */
static size_t unchecked(struct defs *d, const int64_t *ids, size_t n, int64_t defs_version, int64_t *out) {
  size_t m = 0;
  pthread_mutex_lock(&d->mu);
  for (size_t i = 0; i < n; i++) {
    const struct known *k = map64_get(&d->map[HEAD_TASK], ids[i]);
    if (k == NULL || k->checked_at != defs_version) out[m++] = ids[i];
  }
  pthread_mutex_unlock(&d->mu);
  return m;
}

/* Notes the ids whose newest version is here; the others stay in ids[0..return). */
static size_t still_missing(struct defs *d, int64_t *ids, const struct def_head *head, size_t n, int64_t defs_version) {
  size_t m = 0;
  pthread_mutex_lock(&d->mu);
  for (size_t i = 0; i < n; i++) {
    if (entry_at(d, map64_get(&d->map[HEAD_TASK], ids[i]), head[i].version, head[i].deleted))
      newest_note(d, HEAD_TASK, ids[i], head[i], defs_version);
    else ids[m++] = ids[i];
  }
  pthread_mutex_unlock(&d->mu);
  return m;
}

static void keep_many(struct defs *d, const int64_t *ids, struct entry *const *e, size_t n, int64_t defs_version) {
  pthread_mutex_lock(&d->mu);
  for (size_t i = 0; i < n; i++)
    if (e[i]) newest_note(d, HEAD_TASK, ids[i], head_of(entry_keep(d, HEAD_TASK, ids[i], e[i])), defs_version);
  pthread_mutex_unlock(&d->mu);
}

static enum wr_rc read_many(struct defs *d, struct reader *r, const int64_t *ids, size_t n, int64_t defs_version,
                            struct wr_err *err) {
  struct task_def **t = wr_calloc(n + 1, sizeof *t);
  struct entry **e = wr_calloc(n + 1, sizeof *e);
  enum wr_rc rc = reader_tasks(r, ids, n, t, err);
  for (size_t i = 0; rc == WR_OK && i < n; i++) {
    if (t[i] == NULL) continue;
    e[i] = entry_new(t[i], NULL);
    t[i] = NULL;
    rc = entry_place(d, e[i], r, is_runner(defs_version), err);
  }
  if (rc == WR_OK) keep_many(d, ids, e, n, defs_version);
  for (size_t i = 0; rc != WR_OK && i < n; i++) {
    if (e[i]) entry_free(e[i]);
    def_task_unref(t[i]);
  }
  free(e);
  free(t);
  return rc;
}

/* A handful of statements, however many tasks there are. */
static enum wr_rc refresh(struct defs *d, const int64_t *ids, size_t n, int64_t defs_version, struct wr_err *err) {
  int64_t *stale = wr_calloc(n + 1, sizeof *stale);
  struct def_head *head = wr_calloc(n + 1, sizeof *head);
  enum wr_rc rc = WR_OK;
  size_t m = unchecked(d, ids, n, defs_version, stale);
  struct reader *r = m > 0 ? reader_for(d, defs_version, err) : NULL;
  if (m > 0 && r == NULL) rc = err->code;
  if (r) rc = reader_heads(r, HEAD_TASK, stale, m, head, err);
  if (r && rc == WR_OK) m = still_missing(d, stale, head, m, defs_version);
  if (r && rc == WR_OK && m > 0) rc = read_many(d, r, stale, m, defs_version, err);
  if (r) reader_done(d, defs_version, r, rc);
  free(head);
  free(stale);
  return rc;
}

/* ---- binding task indices to what they mean now ---- */

static struct entry *entry_of(struct defs *d, const struct flow_def *f) {
  pthread_mutex_lock(&d->mu);
  struct entry *e = ((const struct known *)map64_get(&d->map[HEAD_FLOW], f->flow_id))->list;
  while (e != NULL && e->flow != f) e = e->next;
  pthread_mutex_unlock(&d->mu);
  wr_assert(e != NULL);
  return e;
}

static const struct task_def *task_of(const struct entry *e, const struct task_ref *ref) {
  if (ref->inl) return ref->inl;
  const int64_t *at = bsearch(&ref->task_id, e->ids, e->n_ids, sizeof *e->ids, wr_by_id);
  return e->now[at - e->ids];
}

static void bind_fill(const struct defs *d, struct entry *e) {
  const struct flow_def *f = e->flow;
  uint32_t n = f->dag->n_task;
  if (e->bind == NULL) e->bind = wr_calloc((size_t)n + 1, sizeof *e->bind);
  for (uint32_t i = 0; i < n; i++) {
    const struct task_def *t = task_of(e, &f->ref[i]);
    e->bind[i] = (struct task_bind){&t->policy, t->version, t->queue, (uint32_t)defs_added_now(d, t)};
    if (f->ref[i].over == NULL) continue;
    if (e->own == NULL) e->own = wr_calloc((size_t)n + 1, sizeof *e->own);
    e->own[i] = def_policy(&f->ref[i], t);
    e->own[i].slot = t->policy.slot;
    e->bind[i].pol = &e->own[i];
  }
}

enum wr_rc defs_bind(struct defs *d, struct flow_def *f, int64_t defs_version, const struct task_bind **out, struct wr_err *err) {
  struct entry *e = entry_of(d, f);
  bool changed = e->bind == NULL || e->bound_types != defs_types(d);
  wr_err_clear(err);
  *out = e->bind;
  if (e->bound_at == defs_version && !changed) return WR_OK;
  enum wr_rc rc = refresh(d, e->ids, e->n_ids, defs_version, err);
  for (size_t i = 0; rc == WR_OK && i < e->n_ids; i++) {
    struct task_def *t;
    rc = defs_task(d, e->ids[i], 0, defs_version, &t, err);
    if (rc != WR_OK) break;
    changed |= t != e->now[i];
    def_task_unref(e->now[i]);
    e->now[i] = t;
  }
  pthread_mutex_lock(&d->mu);
  evict(d); /* not earlier: only now does the entry hold its own tasks */
  pthread_mutex_unlock(&d->mu);
  if (rc != WR_OK) return rc;
  if (changed) {
    e->bound_types = defs_types(d);
    bind_fill(d, e);
  }
  e->bound_at = defs_version;
  *out = e->bind;
  return WR_OK;
}
