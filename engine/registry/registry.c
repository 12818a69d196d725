/* The registry of executors (registry.h): a list that only grows. A writer makes an entry whole, then links it; a reader
 * follows the links. */
#include "registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "added.h"
#include "lib.h"
#include "wr_limits.h"
#include "mem.h"
#include "text.h"

/* The table as the first header of ABI 1 had it: anything smaller is no table. */
enum { OPS_FIRST_BYTES = offsetof(wx_ops, flags) + sizeof(uint32_t) };

struct owned { void *thing; void (*end)(void *thing); };

struct registry {
  struct executor *_Atomic first;
  _Atomic uint64_t changes;
  pthread_mutex_t adding;           /* guards these, and who may link */
  struct executor *_Atomic *tail;
  size_t n, n_added, added_bytes;   /* n: of those that were not added */
  struct owned *own; size_t n_own, cap_own;
};

struct registry *registry_new(void) {
  struct registry *r = wr_new(struct registry);
  r->tail = &r->first;
  pthread_mutex_init(&r->adding, NULL);
  return r;
}

void registry_free(struct registry *r) {
  if (!r) return;
  for (struct executor *x = atomic_load(&r->first), *next; x; x = next) {
    next = atomic_load(&x->next);
    added_free(x->added);
    free(x);
  }
  while (r->n_own > 0) {
    const struct owned *o = &r->own[--r->n_own];
    o->end(o->thing);
  }
  free(r->own);
  pthread_mutex_destroy(&r->adding);
  free(r);
}

void registry_own(struct registry *r, void *thing, void (*end)(void *thing)) {
  pthread_mutex_lock(&r->adding);
  *WR_PUSH(r->own, r->n_own, r->cap_own) = (struct owned){thing, end};
  pthread_mutex_unlock(&r->adding);
}

/* ---- reading ---- */

static const struct executor *entry_first(const struct registry *r) {
  return atomic_load_explicit(&r->first, memory_order_acquire);
}

static const struct executor *entry_next(const struct executor *x) {
  return atomic_load_explicit(&x->next, memory_order_acquire);
}

const struct executor *registry_find(const struct registry *r, const char *name, int64_t version) {
  const struct executor *found = NULL;
  for (const struct executor *x = entry_first(r); x; x = entry_next(x)) {
    if (strcmp(x->ops.name, name) != 0 || (version ? x->version != version : atomic_load(&x->retired))) continue;
    if (!found || x->version > found->version) found = x;
  }
  return found;
}

static const struct executor *first_of_name(const struct registry *r, const char *name) {
  const struct executor *x = entry_first(r);
  while (strcmp(x->ops.name, name) != 0) x = entry_next(x);
  return x;
}

const struct executor *registry_next(const struct registry *r, const struct executor *prev) {
  const struct executor *x = prev ? entry_next(first_of_name(r, prev->ops.name)) : entry_first(r);
  const struct executor *newest = NULL;
  for (; x; x = entry_next(x))
    if (first_of_name(r, x->ops.name) == x && (newest = registry_find(r, x->ops.name, 0))) break;
  return newest;
}

void registry_changed(struct registry *r) { atomic_fetch_add_explicit(&r->changes, 1, memory_order_release); }
uint64_t registry_changes(const struct registry *r) { return atomic_load_explicit(&r->changes, memory_order_acquire); }

int executor_check(const struct executor *x, const char *content, const char *config, enum wr_rc *code, char *err, size_t err_n) {
  int said = WR_OUT_OF_RANGE;
  int rc = 0;
  if (x->ops.check_own) rc = x->ops.check_own(&executor_lib, x->ops.user, content, config, &said, err, err_n);
  else if (x->ops.check_with) rc = x->ops.check_with(&executor_lib, content, config, &said, err, err_n);
  else if (x->ops.check) rc = x->ops.check(content, config, &said, err, err_n);
  bool known = said / 100 == 422 && strcmp(wr_err_symbol((enum wr_rc)said), wr_err_symbol(WR_INTERNAL)) != 0;
  *code = known ? (enum wr_rc)said : WR_OUT_OF_RANGE; /* the code of a refusal is always a 422 that has a name */
  return rc ? -1 : 0;
}

/* ---- adding ---- */

#define REFUSE(...) wr_err_set(err, WR_INTERNAL, __VA_ARGS__)

/* A table of calls must pass this before anything else in it is believed. */
static enum wr_rc table_check(const wx_ops *ops, struct wr_err *err) {
  if (!ops) return REFUSE("The executor has no table of calls.");
  if (ops->abi != WX_ABI)
    return REFUSE("The executor was made for ABI %u, and this program has ABI %u: compile it with the header of this program.",
                  ops->abi, WX_ABI);
  if (ops->size < OPS_FIRST_BYTES)
    return REFUSE("The executor's table of calls has %u bytes, and a table of ABI %u has %u at least.", ops->size, WX_ABI,
                  (unsigned)OPS_FIRST_BYTES);
  return WR_OK;
}

static enum wr_rc entry_check(const struct executor *x, struct wr_err *err) {
  const wx_ops *ops = &x->ops;
  if (!ops->name || !text_node_key(ops->name, strlen(ops->name)))
    return REFUSE("The executor's name is no task type: 1 to 128 characters of A-Z, a-z, 0-9, _, ., : and -.");
  if (ops->slot != WX_SLOT_PROCESS && ops->slot != WX_SLOT_ASYNC)
    return REFUSE("The executor %s has the slot class %d, which is neither WX_SLOT_PROCESS nor WX_SLOT_ASYNC.", ops->name,
                  ops->slot);
  if (x->version < 1) return REFUSE("The executor %s has a version below 0.", ops->name);
  return ops->start ? WR_OK : REFUSE("The executor %s has no start().", ops->name);
}

static struct executor *entry_new(const wx_ops *ops) {
  struct executor *x = wr_new(struct executor);
  memcpy(&x->ops, ops, ops->size < sizeof x->ops ? ops->size : sizeof x->ops);
  x->ops.size = sizeof x->ops;
  x->version = x->ops.version ? x->ops.version : 1;
  return x;
}

static void link_last(struct registry *r, struct executor *x) {
  atomic_store_explicit(r->tail, x, memory_order_release);
  r->tail = &x->next;
  registry_changed(r);
}

static enum wr_rc entry_link(struct registry *r, struct executor *x, struct wr_err *err) {
  if (r->n == LIMIT_EXECUTORS)
    return REFUSE("There are %d executors, which is the most that a node can have.", LIMIT_EXECUTORS);
  if (registry_find(r, x->ops.name, x->version))
    return REFUSE("There is an executor %s of version %lld already: another one needs a version of its own.", x->ops.name,
                  (long long)x->version);
  link_last(r, x);
  r->n++;
  return WR_OK;
}

enum wr_rc registry_add(struct registry *r, const wx_ops *ops, struct wr_err *err) {
  enum wr_rc rc = table_check(ops, err);
  if (rc) return rc;
  struct executor *x = entry_new(ops);
  rc = entry_check(x, err);
  pthread_mutex_lock(&r->adding);
  if (!rc) rc = entry_link(r, x, err);
  pthread_mutex_unlock(&r->adding);
  if (rc) free(x);
  return rc;
}

/* ---- those that were registered at run time ---- */

struct added *added_new(void) {
  struct added *a = wr_new(struct added);
  pthread_mutex_init(&a->mu, NULL);
  return a;
}

void added_free(struct added *a) {
  if (!a) return;
  pthread_mutex_destroy(&a->mu);
  free(a->type);
  free(a->location);
  free(a->config);
  free(a->labels);
  free(a->sha256);
  free(a->task_types);
  if (a->analyzer) a->analyzer_free(a->analyzer);
  free(a);
}

static bool added_is_builtin(const struct registry *r, const char *name) {
  for (const struct executor *x = entry_first(r); x; x = entry_next(x))
    if (!x->added && strcmp(x->ops.name, name) == 0) return true;
  return false;
}

static enum wr_rc added_link(struct registry *r, struct executor *x, struct wr_err *err) {
  size_t bytes = x->added->bytes + sizeof *x;
  if (added_is_builtin(r, x->ops.name)) return REFUSE("This node has a task type %s of its own.", x->ops.name);
  if (registry_find(r, x->ops.name, x->version)) return REFUSE("The executor %s is known already.", x->ops.name);
  if (bytes > (size_t)LIMIT_ADDED_BYTES - r->added_bytes)
    return REFUSE("The versions of executors that this node has read since its start take %lld bytes, which is the most: "
                  "start it again.", (long long)LIMIT_ADDED_BYTES);
  r->added_bytes += bytes;
  r->n_added++;
  link_last(r, x);
  return WR_OK;
}

enum wr_rc registry_add_added(struct registry *r, const wx_ops *ops, struct added *a, int64_t version, bool current,
                              struct wr_err *err) {
  struct executor *x = entry_new(ops);
  x->ops.name = a->type;
  x->ops.user = a;
  x->version = x->ops.version = version;
  x->added = a;
  atomic_store(&x->retired, !current);
  pthread_mutex_lock(&r->adding);
  enum wr_rc rc = added_link(r, x, err);
  pthread_mutex_unlock(&r->adding);
  if (rc) free(x);
  return rc;
}

bool registry_retire(struct registry *r, const char *name, int64_t keep) {
  bool moved = false;
  for (struct executor *x = atomic_load(&r->first); x; x = atomic_load(&x->next)) {
    if (!x->added || strcmp(x->ops.name, name) != 0) continue;
    bool retired = x->version != keep;
    if (retired) atomic_store(&x->added->offered, false);
    moved |= atomic_exchange(&x->retired, retired) != retired;
  }
  if (moved) registry_changed(r);
  return moved;
}

const struct executor *registry_next_added(const struct registry *r, const struct executor *prev) {
  const struct executor *x = prev ? entry_next(prev) : entry_first(r);
  while (x && (!x->added || atomic_load(&x->retired))) x = entry_next(x);
  return x;
}

bool registry_builtin(const struct registry *r, const char *name) { return added_is_builtin(r, name); }
