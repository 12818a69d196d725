/* The cache of definitions (defs.h). Any thread; mu guards the maps and is never held over I/O: two threads may load
 * the same version at once, the second copy is dropped. bind[] of an entry belongs to the runner thread. */
#include "defs.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "map64.h"
#include "mem.h"

#define DEFS_UNITS 1000000 /* nodes + tasks kept */

struct flow_entry {
  struct flow_entry *next;            /* other versions of the same flow */
  struct flow_def *def;
  struct task_bind *bind;             /* per task index */
  struct task_policy *own;            /* policies with overrides, per task index; NULL = none needed */
  int64_t *ids; size_t n_ids;         /* distinct task ids, sorted */
  struct task_def **task;             /* their newest versions, references */
  int64_t bound_at;                   /* definitions.version of bind, -1 = never */
};
struct flow_head { struct flow_entry *list; int64_t newest, checked_at; };
struct task_entry { struct task_entry *next; struct task_def *def; };
struct task_head { struct task_entry *list; int64_t newest, checked_at; };

struct defs {
  struct store *s;
  uint8_t (*slot_of)(const char *type);
  pthread_mutex_t mu;
  struct map64 flows, tasks;
  size_t units;
};

struct defs *defs_new(struct store *s, uint8_t (*slot_of)(const char *type)) {
  struct defs *d = wr_new(struct defs);
  d->s = s;
  d->slot_of = slot_of;
  pthread_mutex_init(&d->mu, NULL);
  return d;
}

static void entry_free(struct flow_entry *e) {
  for (size_t i = 0; i < e->n_ids; i++) def_task_unref(e->task[i]);
  def_flow_unref(e->def);
  free(e->task);
  free(e->ids);
  free(e->own);
  free(e->bind);
  free(e);
}

void defs_free(struct defs *d) {
  const struct map64_slot *s;
  if (d == NULL) return;
  for (size_t i = 0; (s = map64_next(&d->flows, &i)) != NULL;) {
    struct flow_head *h = s->val;
    for (struct flow_entry *e = h->list, *next; e != NULL; e = next) { next = e->next; entry_free(e); }
    free(h);
  }
  for (size_t i = 0; (s = map64_next(&d->tasks, &i)) != NULL;) {
    struct task_head *h = s->val;
    for (struct task_entry *e = h->list, *next; e != NULL; e = next) { next = e->next; def_task_unref(e->def); free(e); }
    free(h);
  }
  map64_done(&d->flows);
  map64_done(&d->tasks);
  pthread_mutex_destroy(&d->mu);
  free(d);
}

/* Entries nobody else holds go when the cache is full. mu held. */
static void evict(struct defs *d) {
  const struct map64_slot *s;
  if (d->units <= DEFS_UNITS) return;
  for (size_t i = 0; (s = map64_next(&d->flows, &i)) != NULL;) {
    struct flow_head *h = s->val;
    for (struct flow_entry **p = &h->list; *p != NULL;) {
      struct flow_entry *e = *p;
      if (atomic_load(&e->def->refs) > 1) { p = &e->next; continue; }
      *p = e->next;
      d->units -= e->def->n + 1;
      entry_free(e);
    }
    h->checked_at = -1;
  }
}

/* ---- tasks ---- */

static struct task_head *task_head(struct defs *d, int64_t id) {
  struct task_head *h = map64_get(&d->tasks, id);
  if (h == NULL) {
    h = wr_new(struct task_head);
    h->checked_at = -1;
    (void)map64_put(&d->tasks, id, h);
  }
  return h;
}

static struct task_def *task_cached(struct defs *d, int64_t id, int64_t version, int64_t defs_version) {
  struct task_def *found = NULL;
  pthread_mutex_lock(&d->mu);
  struct task_head *h = task_head(d, id);
  if (version == 0 && defs_version >= 0 && h->checked_at == defs_version) version = h->newest;
  for (struct task_entry *e = h->list; e != NULL && version != 0; e = e->next)
    if (e->def->version == version) { found = def_task_ref(e->def); break; }
  pthread_mutex_unlock(&d->mu);
  return found;
}

static struct task_def *task_keep(struct defs *d, struct task_def *def, int64_t version, int64_t defs_version) {
  pthread_mutex_lock(&d->mu);
  struct task_head *h = task_head(d, def->task_id);
  struct task_entry *e = h->list;
  while (e != NULL && e->def->version != def->version) e = e->next;
  if (e != NULL && e->def->deleted == def->deleted) {
    def_task_unref(def);
    def = e->def;
  } else {
    struct task_entry *n = wr_new(struct task_entry);
    *n = (struct task_entry){h->list, def};
    h->list = n;
  }
  if (version == 0 && defs_version >= 0) { h->newest = def->version; h->checked_at = defs_version; }
  def_task_ref(def);
  pthread_mutex_unlock(&d->mu);
  return def;
}

enum wr_rc defs_task(struct defs *d, int64_t id, int64_t version, int64_t defs_version, struct task_def **out, struct wr_err *err) {
  wr_err_clear(err);
  *out = task_cached(d, id, version, defs_version);
  if (*out) return WR_OK;
  struct task_def *def;
  struct reader *r = reader_get(d->s, err);
  if (r == NULL) return err->code;
  enum wr_rc rc = reader_task(r, id, version, &def, err);
  reader_put(r);
  if (rc != WR_OK) return rc;
  def->policy.slot = d->slot_of(def->type);
  *out = task_keep(d, def, version, defs_version);
  return WR_OK;
}

/* ---- flows ---- */

static struct flow_head *flow_head(struct defs *d, int64_t id) {
  struct flow_head *h = map64_get(&d->flows, id);
  if (h == NULL) {
    h = wr_new(struct flow_head);
    h->checked_at = -1;
    (void)map64_put(&d->flows, id, h);
  }
  return h;
}

static struct flow_def *flow_cached(struct defs *d, int64_t id, int64_t version, int64_t defs_version) {
  struct flow_def *found = NULL;
  pthread_mutex_lock(&d->mu);
  struct flow_head *h = flow_head(d, id);
  if (version == 0 && defs_version >= 0 && h->checked_at == defs_version) version = h->newest;
  for (struct flow_entry *e = h->list; e != NULL && version != 0; e = e->next)
    if (e->def->version == version) { found = def_flow_ref(e->def); break; }
  pthread_mutex_unlock(&d->mu);
  return found;
}

static int by_id(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

static void distinct_ids(struct flow_entry *e) {
  const struct flow_def *f = e->def;
  uint32_t n = f->dag->n_task;
  e->ids = wr_calloc((size_t)n + 1, sizeof *e->ids);
  for (uint32_t i = 0; i < n; i++)
    if (f->ref[i].task_id != 0) e->ids[e->n_ids++] = f->ref[i].task_id;
  qsort(e->ids, e->n_ids, sizeof *e->ids, by_id);
  size_t k = 0;
  for (size_t i = 0; i < e->n_ids; i++)
    if (k == 0 || e->ids[k - 1] != e->ids[i]) e->ids[k++] = e->ids[i];
  e->n_ids = k;
  e->task = wr_calloc(k + 1, sizeof(struct task_def *));
}

static struct flow_def *flow_keep(struct defs *d, struct flow_def *def, int64_t version, int64_t defs_version) {
  pthread_mutex_lock(&d->mu);
  struct flow_head *h = flow_head(d, def->flow_id);
  struct flow_entry *e = h->list;
  while (e != NULL && (e->def->version != def->version || e->def->deleted != def->deleted)) e = e->next;
  if (e != NULL) {
    def_flow_unref(def);
    def = e->def;
  } else {
    struct flow_entry *n = wr_new(struct flow_entry);
    *n = (struct flow_entry){.next = h->list, .def = def, .bound_at = -1};
    if (def->dag) distinct_ids(n);
    h->list = n;
    d->units += def->n + 1;
  }
  if (version == 0 && defs_version >= 0) { h->newest = def->version; h->checked_at = defs_version; }
  def_flow_ref(def);
  evict(d);
  pthread_mutex_unlock(&d->mu);
  return def;
}

enum wr_rc defs_flow(struct defs *d, int64_t id, int64_t version, int64_t defs_version, struct flow_def **out, struct wr_err *err) {
  wr_err_clear(err);
  *out = flow_cached(d, id, version, defs_version);
  if (*out) return WR_OK;
  struct flow_def *def;
  struct reader *r = reader_get(d->s, err);
  if (r == NULL) return err->code;
  enum wr_rc rc = reader_flow(r, id, version, &def, err);
  reader_put(r);
  if (rc != WR_OK) return rc;
  for (uint32_t i = 0; i < def->n; i++)
    for (uint32_t k = 0; k < def->node[i].n_task; k++) def->node[i].task[k]->policy.slot = d->slot_of(def->node[i].task[k]->type);
  *out = flow_keep(d, def, version, defs_version);
  return WR_OK;
}

/* ---- binding task indices to what they mean now ---- */

static struct flow_entry *entry_of(struct defs *d, const struct flow_def *f) {
  pthread_mutex_lock(&d->mu);
  struct flow_entry *e = flow_head(d, f->flow_id)->list;
  while (e != NULL && e->def != f) e = e->next;
  pthread_mutex_unlock(&d->mu);
  wr_assert(e != NULL);
  return e;
}

static const struct task_def *task_of(const struct flow_entry *e, const struct task_ref *ref) {
  if (ref->inl) return ref->inl;
  const int64_t *at = bsearch(&ref->task_id, e->ids, e->n_ids, sizeof *e->ids, by_id);
  return e->task[at - e->ids];
}

static void fill(struct flow_entry *e) {
  const struct flow_def *f = e->def;
  uint32_t n = f->dag->n_task;
  if (e->bind == NULL) e->bind = wr_calloc((size_t)n + 1, sizeof *e->bind);
  for (uint32_t i = 0; i < n; i++) {
    const struct task_def *t = task_of(e, &f->ref[i]);
    e->bind[i] = (struct task_bind){&t->policy, t->version};
    if (f->ref[i].over == NULL) continue;
    if (e->own == NULL) e->own = wr_calloc((size_t)n + 1, sizeof *e->own);
    e->own[i] = def_policy(&f->ref[i], t);
    e->own[i].slot = t->policy.slot;
    e->bind[i].pol = &e->own[i];
  }
}

enum wr_rc defs_bind(struct defs *d, struct flow_def *f, int64_t defs_version, const struct task_bind **out, struct wr_err *err) {
  struct flow_entry *e = entry_of(d, f);
  bool changed = e->bind == NULL;
  wr_err_clear(err);
  for (size_t i = 0; e->bound_at != defs_version && i < e->n_ids; i++) {
    struct task_def *t;
    enum wr_rc rc = defs_task(d, e->ids[i], 0, defs_version, &t, err);
    if (rc != WR_OK) return rc;
    if (t == e->task[i]) { def_task_unref(t); continue; }
    def_task_unref(e->task[i]);
    e->task[i] = t;
    changed = true;
  }
  if (changed) fill(e);
  e->bound_at = defs_version;
  *out = e->bind;
  return WR_OK;
}
