/* See faulty.h. A statement that fails after its effect is one whose answer was lost: the runner must roll back. A COMMIT
 * that fails is UNKNOWN either way: before = it never happened, after = it did. */
#include "faulty.h"
#include <stdlib.h>
#include <string.h>
#include "mem.h"
#include "store_backend.h"

struct wrap { struct store base; struct store *in; };
static struct fault *fault;

static struct store *in(struct store *s) { return ((struct wrap *)(void *)s)->in; }
static struct store *in_const(const struct store *s) { return ((const struct wrap *)(const void *)s)->in; }

/* Counts the call; true when it is the one and fails before (or after) its effect. */
static bool fails(const char *name, enum fault_when when) {
  if (when == FAULT_BEFORE) fault->calls++;
  if (fault->calls != fault->fail_at || fault->when != when) return false;
  fault->hit = true;
  fault->name = name;
  return true;
}

/* A call that may simply be done again. */
#define CALL(name, failure, call)                      \
  do {                                                 \
    if (fails(name, FAULT_BEFORE)) return failure;     \
    enum store_rc rc_ = (call);                        \
    return fails(name, FAULT_AFTER) ? failure : rc_;   \
  } while (0)

static void f_close(struct store *s) {
  store_close(in(s));
  free(s);
}
static bool f_single(const struct store *s) { return store_single(in_const(s)); }
static enum store_rc f_ids(struct store *s, enum id_kind k, uint32_t n, int64_t *first) { CALL("ids", STORE_RETRY, store_ids(in(s), k, n, first)); }
static enum store_rc f_join(struct store *s, const struct node_info *i, int64_t *me) { return store_join(in(s), i, me); }
static enum store_rc f_leave(struct store *s) { return store_leave(in(s)); }
static enum store_rc f_begin(struct store *s, int64_t *defs) { CALL("begin", STORE_DOWN, store_begin(in(s), defs)); }
static enum store_rc f_lock(struct store *s, const int64_t *fi, size_t n, struct flow_row *out, uint8_t *got) { CALL("lock", STORE_RETRY, store_lock(in(s), fi, n, out, got)); }
static enum store_rc f_nodes(struct store *s, const int64_t *ni, size_t n, struct node_row *out, size_t *got) { CALL("nodes", STORE_RETRY, store_nodes(in(s), ni, n, out, got)); }
static enum store_rc f_node_range(struct store *s, int64_t lo, int64_t hi, struct node_row *out, size_t cap, size_t *n) { CALL("node_range", STORE_RETRY, store_node_range(in(s), lo, hi, out, cap, n)); }
static enum store_rc f_tasks(struct store *s, const int64_t *ti, size_t n, struct task_row *out, size_t *got) { CALL("tasks", STORE_RETRY, store_tasks(in(s), ti, n, out, got)); }
static enum store_rc f_task_range(struct store *s, int64_t lo, int64_t hi, struct task_row *out, size_t cap, size_t *n) { CALL("task_range", STORE_RETRY, store_task_range(in(s), lo, hi, out, cap, n)); }
static enum store_rc f_write(struct store *s, struct batch *b) { CALL("write", STORE_RETRY, store_write(in(s), b)); }

static enum store_rc f_commit(struct store *s) {
  if (fails("commit", FAULT_BEFORE)) {
    store_rollback(in(s));
    return STORE_UNKNOWN;
  }
  enum store_rc rc = store_commit(in(s));
  return fails("commit", FAULT_AFTER) ? STORE_UNKNOWN : rc;
}

static void f_rollback(struct store *s) { store_rollback(in(s)); }
static enum store_rc f_resolve(struct store *s, int64_t id, bool *yes) { CALL("resolve", STORE_RETRY, store_resolve(in(s), id, yes)); }
static enum store_rc f_renew(struct store *s) { CALL("renew", STORE_DOWN, store_renew(in(s))); }
static enum store_rc f_reap(struct store *s, uint32_t *n) { CALL("reap", STORE_DOWN, store_reap(in(s), n)); }
static enum store_rc f_live_tasks(struct store *s, int64_t a, struct live_task *o, size_t n, size_t *g) { CALL("live_tasks", STORE_DOWN, store_live_tasks(in(s), a, o, n, g)); }
static enum store_rc f_live_flows(struct store *s, int64_t a, struct live_flow *o, size_t n, size_t *g) { CALL("live_flows", STORE_DOWN, store_live_flows(in(s), a, o, n, g)); }
static bool f_reconciler(struct store *s) { return store_reconciler(in(s)); }
static enum wr_rc f_save_task(struct store *s, struct task_def *t, int64_t v, struct key_write *k, struct wr_err *e) { return store_save_task(in(s), t, v, k, e); }
static enum wr_rc f_save_flow(struct store *s, struct flow_def *f, int64_t v, struct key_write *k, struct wr_err *e) { return store_save_flow(in(s), f, v, k, e); }
static struct reader *f_reader_get(struct store *s, enum reader_whose whose, struct wr_err *e) {
  return whose == READER_RUNNER ? reader_of_runner(in(s), e) : reader_get(in(s), e);
}

static const struct store_ops faulty_ops = {
  .abi = STORE_ABI, .size = sizeof(struct store_ops), .close = f_close, .single = f_single, .ids = f_ids, .join = f_join,
  .leave = f_leave, .begin = f_begin, .lock = f_lock, .nodes = f_nodes, .node_range = f_node_range, .tasks = f_tasks,
  .task_range = f_task_range, .write = f_write, .commit = f_commit, .rollback = f_rollback, .resolve = f_resolve,
  .renew = f_renew, .reap = f_reap, .live_tasks = f_live_tasks, .live_flows = f_live_flows, .reconciler = f_reconciler,
  .save_task = f_save_task, .save_flow = f_save_flow, .reader_get = f_reader_get};

static enum wr_rc faulty_open(const struct store_opts *o, const char *url, struct store **out, struct wr_err *err) {
  struct store_opts inner = *o;
  struct wrap *w = wr_new(struct wrap);
  inner.url = strchr(url, ':') + 1;
  w->base.ops = &faulty_ops;
  enum wr_rc rc = store_open(&inner, &w->in, err);
  if (rc != WR_OK) free(w);
  else *out = &w->base;
  return rc;
}

void faulty_register(struct fault *f) {
  fault = f;
  store_register("faulty", faulty_open);
}
