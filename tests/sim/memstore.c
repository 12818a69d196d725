/* The faces of the in-memory database: the runner's writer, definitions, and the few readers that defs.c uses. Calls that the
 * runner never makes answer with an error. One thread. What never happens: a call whose fate is a fault has an effect. */
#include "memstore.h"
#include "analysis.h"
#include <stdlib.h>
#include <string.h>
#include "wr_limits.h"
#include "memdb_int.h"

static struct mem_store *of(const struct store *s) { return (struct mem_store *)(uintptr_t)s; }

/* Faults that only a COMMIT can have count as RETRY elsewhere. A cut connection is reported once. */
enum store_rc mem_gate(struct mem_store *s, enum mem_call what, const struct batch *b) {
  enum mem_fate f = mem_ask(s, what, b);
  if (f == MEM_GO && !s->cut) return STORE_OK;
  bool cut = s->cut;
  s->cut = false;
  if (s->tx) tx_end(s->tx);
  return cut ? STORE_RETRY : mem_fault(f);
}

static void mem_close(struct store *st) {
  struct mem_store *s = of(st);
  if (s->tx && s->tx->state == TX_PENDING) s->tx->owner = NULL; /* the server still has it */
  else if (s->tx) tx_end(s->tx);
  if (s->db->asker == s) s->db->asker = NULL;
  arena_done(&s->texts);
  free(s);
}

static bool mem_single(const struct store *st) { return of(st)->db->single; }

static enum store_rc mem_ids(struct store *st, enum id_kind kind, uint32_t n, int64_t *first) {
  struct mem_store *s = of(st);
  bool block = !s->db->single;
  if (block && s->next_id[kind] + n > s->end_id[kind]) {
    enum mem_fate f = mem_ask(s, MEM_IDS, NULL);
    if (f != MEM_GO) return mem_fault(f);
    uint32_t take = n > 100 ? n : 100;
    s->next_id[kind] = s->db->next_id[kind];
    s->end_id[kind] = s->next_id[kind] + take;
    s->db->next_id[kind] += take;
  }
  *first = s->next_id[kind];
  s->next_id[kind] += n;
  return STORE_OK;
}

/* A server has a clock of its own. For a file it is the node's clock, but never earlier than the newest time in the file. */
static void read_clock(struct mem_store *s) {
  int64_t us = s->db->now_us, wall = us, boot = us;
  if (s->db->hooks.clocks) s->db->hooks.clocks(s->db->hooks.ctx, s->node, &wall, &boot);
  if (s->db->single) us = wall > s->db->newest ? wall : s->db->newest;
  shared_clock_read(&s->s.clock, us, boot, boot);
}

static enum store_rc mem_join(struct store *st, const struct node_info *info, int64_t *incarnation) {
  struct mem_store *s = of(st);
  const struct map64_slot *e;
  enum store_rc rc = mem_gate(s, MEM_JOIN, NULL);
  if (rc != STORE_OK) return rc;
  for (size_t i = 0; s->db->single && (e = map64_next(&s->db->member, &i)) != NULL;) ((struct mem_member *)e->val)->state = MEMBER_DEAD;
  struct mem_member *m = wr_new(struct mem_member);
  *m = (struct mem_member){.me = s->db->next_id[ID_INCARNATION]++, .lease_until = s->db->now_us + s->db->lease_us,
                           .wish = {info->drain_at_us, info->drain_stop_us}, .read = {info->drain_at_us, info->drain_stop_us}};
  (void)map64_put(&s->db->member, m->me, m);
  if (s->db->single) memcpy(s->next_id, s->db->next_id, sizeof s->next_id);
  *incarnation = s->me = m->me;
  read_clock(s);
  return STORE_OK;
}

static enum store_rc mem_leave(struct store *st) {
  struct mem_store *s = of(st);
  struct mem_member *m = memdb_member(s->db, s->me);
  enum store_rc rc = mem_gate(s, MEM_LEAVE, NULL);
  if (rc == STORE_OK && m && m->state == MEMBER_LIVE) m->state = MEMBER_GONE;
  return rc;
}

static enum store_rc mem_begin(struct store *st, int64_t *defs) {
  struct mem_store *s = of(st);
  enum store_rc rc = mem_gate(s, MEM_BEGIN, NULL);
  if (rc != STORE_OK) return rc;
  if (!s->tx) s->queues_at = s->db->queues_version;
  (void)tx_open(s);
  *defs = s->db->defs_version;
  return STORE_OK;
}

static const char *lend(struct mem_store *s, const char *text) { return text ? arena_strdup(&s->texts, text) : NULL; }

static enum store_rc mem_lock(struct store *st, const int64_t *fi, size_t n, struct flow_row *out, uint8_t *got) {
  struct mem_store *s = of(st);
  enum store_rc rc = mem_gate(s, MEM_LOCK, NULL);
  if (rc != STORE_OK) return rc;
  struct mem_tx *tx = tx_open(s);
  for (size_t i = 0; i < n; i++) {
    struct mem_flow *f = memdb_flow(s->db, fi[i]);
    wr_assert(i == 0 || fi[i - 1] < fi[i]);
    got[i] = !f ? 0 : f->lock && f->lock != tx ? 2 : 1;
    if (got[i] != 1) continue;
    f->lock = tx;
    out[i] = f->r;
    out[i].error = lend(s, f->r.error);
    out[i].params = lend(s, f->r.params);
    out[i].bases = lend(s, f->r.bases);
    out[i].more = lend(s, f->r.more);
  }
  return STORE_OK;
}

static void node_out(struct mem_store *s, const struct mem_node *n, struct node_row *out) {
  *out = n->r;
  out->error = lend(s, n->r.error);
}
static void task_out(struct mem_store *s, const struct mem_task *t, struct task_row *out) {
  *out = t->r;
  out->error = lend(s, t->r.error);
  out->params = lend(s, t->r.params);
}

/* Newest first: store.h promises no order. */
static enum store_rc mem_nodes(struct store *st, const int64_t *ni, size_t n, struct node_row *out, size_t *n_out) {
  struct mem_store *s = of(st);
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  *n_out = 0;
  for (size_t i = n; rc == STORE_OK && i-- > 0;) {
    const struct mem_node *r = memdb_node(s->db, ni[i]);
    if (r) node_out(s, r, &out[(*n_out)++]);
  }
  return rc;
}
static enum store_rc mem_tasks(struct store *st, const int64_t *ti, size_t n, struct task_row *out, size_t *n_out) {
  struct mem_store *s = of(st);
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  *n_out = 0;
  for (size_t i = n; rc == STORE_OK && i-- > 0;) {
    const struct mem_task *r = memdb_task(s->db, ti[i]);
    if (r) task_out(s, r, &out[(*n_out)++]);
  }
  return rc;
}

static enum store_rc mem_node_range(struct store *st, int64_t lo, int64_t hi, struct node_row *out, size_t cap, size_t *n_out) {
  struct mem_store *s = of(st);
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  *n_out = 0;
  for (int64_t id = lo; rc == STORE_OK && id <= hi && *n_out < cap; id++) {
    const struct mem_node *r = memdb_node(s->db, id);
    if (r) node_out(s, r, &out[(*n_out)++]);
  }
  return rc;
}
static enum store_rc mem_task_range(struct store *st, int64_t lo, int64_t hi, struct task_row *out, size_t cap, size_t *n_out) {
  struct mem_store *s = of(st);
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  *n_out = 0;
  for (int64_t id = lo; rc == STORE_OK && id <= hi && *n_out < cap; id++) {
    const struct mem_task *r = memdb_task(s->db, id);
    if (r) task_out(s, r, &out[(*n_out)++]);
  }
  return rc;
}

static enum store_rc mem_keys(struct store *st, const char *const *key, size_t n, struct key_row *out, uint8_t *got) {
  struct mem_store *s = of(st);
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  for (size_t i = 0; rc == STORE_OK && i < n; i++) {
    const struct key_row *row = memdb_key(s->db, key[i]);
    wr_assert(i == 0 || strcmp(key[i - 1], key[i]) < 0);
    got[i] = row ? 1 : tx_key_held(s, key[i]) ? 2 : 0;
    if (row) out[i] = *row;
  }
  return rc;
}

static void async_out(struct mem_store *s, const struct mem_async *a, struct async_row *out) {
  *out = a->r;
  out->name = lend(s, a->r.name), out->type = lend(s, a->r.type), out->content = lend(s, a->r.content);
  out->config = lend(s, a->r.config), out->user = lend(s, a->r.user), out->group = lend(s, a->r.group), out->key = lend(s, a->r.key);
  out->context = NULL; /* as in the stores of SQL */
}

static enum store_rc mem_async(struct store *st, const int64_t *ti, size_t n, struct async_row *out, size_t *n_out) {
  struct mem_store *s = of(st);
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  *n_out = 0;
  for (size_t i = 0; rc == STORE_OK && i < n; i++) {
    const struct mem_async *a = memdb_async(s->db, ti[i]);
    if (a) async_out(s, a, &out[(*n_out)++]);
  }
  return rc;
}

static int whose_order(const void *a, const void *b) {
  int64_t x = ((const struct whose_row *)a)->ti, y = ((const struct whose_row *)b)->ti;
  return x < y ? -1 : x > y;
}

static enum store_rc mem_whose(struct store *st, int64_t fi, struct arena *a, struct whose_row **out, size_t *n) {
  struct mem_store *s = of(st);
  size_t all = 0;
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  *n = 0;
  *out = NULL;
  if (rc != STORE_OK) return rc;
  const struct mem_flow *f = memdb_flow(s->db, fi);
  for (const struct mem_whose *x = f ? f->whose : NULL; x; x = x->next) all++;
  *out = arena_alloc(a, (all + 1) * sizeof **out);
  *n = 0;
  for (const struct mem_whose *x = f ? f->whose : NULL; x; x = x->next) {
    struct whose_row *r = &(*out)[(*n)++];
    *r = x->r;
    r->user = arena_strdup(a, r->user), r->group = arena_strdup(a, r->group);
  }
  qsort(*out, *n, sizeof **out, whose_order);
  return STORE_OK;
}

static enum store_rc mem_async_keys(struct store *st, const struct key_name *key, size_t n, struct async_key *out, uint8_t *got) {
  struct mem_store *s = of(st);
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  for (size_t i = 0; rc == STORE_OK && i < n; i++) {
    const struct mem_async *a = memdb_async_key(s->db, key[i].key, key[i].scope);
    wr_assert(i == 0 || key[i - 1].scope < key[i].scope || (key[i - 1].scope == key[i].scope && strcmp(key[i - 1].key, key[i].key) < 0));
    got[i] = a ? 1 : tx_async_key_held(s, key[i].key, key[i].scope) ? 2 : 0;
    if (!a) continue;
    out[i].ti = a->r.ti;
    memcpy(out[i].hash, a->r.hash, sizeof out[i].hash);
  }
  return rc;
}

/* ---- queues ---- */

static enum store_rc mem_queues(struct store *st, int64_t known, int64_t *version, struct arena *a, struct queue_row **rows, size_t *n) {
  struct mem_store *s = of(st);
  *version = s->queues_at;
  if (s->queues_at == known) return STORE_OK;
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  if (rc != STORE_OK) return rc;
  *rows = arena_alloc(a, (s->db->n_queue + 1) * sizeof **rows);
  for (int64_t id = 1; id <= (int64_t)s->db->n_queue; id++) {
    const struct mem_queue *q = memdb_queue(s->db, id);
    if (!q) continue;
    struct queue_row *r = &(*rows)[(*n)++];
    *r = q->r;
    r->user = arena_strdup(a, q->r.user), r->group = arena_strdup(a, q->r.group);
  }
  return STORE_OK;
}

static enum store_rc mem_queue_lock(struct store *st, const int64_t *id, size_t n, int64_t *rate_at) {
  struct mem_store *s = of(st);
  if (!s->cut) (void)tx_open(s);
  enum store_rc rc = mem_gate(s, MEM_LOCK, NULL);
  for (size_t i = 0; i < n && rc == STORE_OK; i++) {
    struct mem_queue *q = memdb_queue(s->db, id[i]);
    wr_assert(i == 0 || id[i - 1] < id[i]);
    if (!q) continue;
    if (!get_lock(s, &q->lock)) {
      bool cut = s->cut;
      s->cut = false;
      if (!cut && s->tx) tx_end(s->tx);
      return STORE_RETRY;
    }
    if (!q->deleted) rate_at[i] = q->r.rate_at;
  }
  return rc;
}

static const char *noted_type(struct memdb *db, struct arena *a, int64_t ti) {
  const struct mem_note *x = memdb_note(db, -ti);
  return x ? arena_strdup(a, x->group) : NULL;
}

static enum store_rc mem_running(struct store *st, struct arena *a, struct running_row **out, size_t *n) {
  struct mem_store *s = of(st);
  struct running_row *v = NULL;
  size_t cap = 0;
  enum store_rc rc = mem_gate(s, MEM_SCAN, NULL);
  for (int64_t ti = 1; rc == STORE_OK && ti <= s->db->max_ti; ti++) {
    const struct mem_task *t = memdb_task(s->db, ti);
    const struct mem_async *y = memdb_async(s->db, ti);
    if (!t || !task_counts(&t->r.t)) continue;
    const struct mem_note *x = memdb_note(s->db, ti);
    const char *user = y ? y->r.user : x ? x->user : "", *group = y ? y->r.group : x ? x->group : "";
    *WR_PUSH(v, *n, cap) = (struct running_row){ti, t->r.fi, arena_strdup(a, user), arena_strdup(a, group), y ? y->r.cpu : 0, t->r.t.owner, x,
                                                t->r.executor != 0, noted_type(s->db, a, ti)};
  }
  if (*n) *out = arena_alloc(a, *n * sizeof *v), memcpy(*out, v, *n * sizeof *v);
  free(v);
  return rc;
}

static enum store_rc mem_counted(struct store *st, struct arena *a, struct running_row **out, size_t *n) {
  struct mem_store *s = of(st);
  const struct map64_slot *k;
  enum store_rc rc = mem_gate(s, MEM_SCAN, NULL);
  if (rc != STORE_OK) return rc;
  *out = arena_alloc(a, (s->db->note.n + 1) * sizeof **out);
  for (size_t i = 0; (k = map64_next(&s->db->note, &i)) != NULL;) {
    const struct mem_task *t = memdb_task(s->db, k->key);
    const struct mem_note *x = k->val;
    if (!t || !task_counts(&t->r.t)) continue;
    (*out)[(*n)++] = (struct running_row){k->key, t->r.fi, arena_strdup(a, x->user), arena_strdup(a, x->group), 0, t->r.t.owner, true,
                                        t->r.executor != 0, noted_type(s->db, a, k->key)};
  }
  qsort(*out, *n, sizeof **out, wr_by_id);
  return rc;
}

static struct mem_queue *queue_of(const struct memdb *db, const char *user, const char *group) {
  for (size_t i = 0; i < db->n_queue; i++)
    if (!db->queue[i]->deleted && !strcmp(db->queue[i]->r.user, user) && !strcmp(db->queue[i]->r.group, group)) return db->queue[i];
  return NULL;
}

bool memdb_set_queue(struct memdb *db, const struct queue_row *r) {
  struct mem_queue *q = queue_of(db, r->user, r->group);
  if (q ? q->lock != NULL : false) return false;
  if (db->single && db->txs) return false; /* it waits for its turn */
  bool first = true;
  for (size_t i = 0; i < db->n_queue; i++) first &= db->queue[i]->deleted;
  if (first) drop_notes(db);
  if (!q) {
    q = *WR_PUSH(db->queue, db->n_queue, db->cap_queue) = wr_new(struct mem_queue);
    q->r = (struct queue_row){.queue_id = (int64_t)db->n_queue, .user = wr_strdup(r->user), .group = wr_strdup(r->group)};
  }
  const struct queue_row was = q->r;
  q->r = *r;
  q->r.queue_id = was.queue_id, q->r.user = was.user, q->r.group = was.group;
  q->r.rate_at = r->rate_count < 0 ? 0 : was.rate_at > db->now_us + r->rate_per_us ? db->now_us + r->rate_per_us : was.rate_at;
  db->queues_version = ++db->defs_version;
  return true;
}

bool memdb_delete_queue(struct memdb *db, const char *user, const char *group) {
  struct mem_queue *q = queue_of(db, user, group);
  if (!q || q->lock || (db->single && db->txs)) return false;
  q->deleted = true;
  db->queues_version = ++db->defs_version;
  return true;
}

static enum store_rc mem_write(struct store *st, struct batch *b) {
  struct mem_store *s = of(st);
  if (!s->cut && !s->tx) s->queues_at = s->db->queues_version;
  if (!s->cut) (void)tx_open(s); /* the locks are lost with the transaction that the server has ended */
  enum store_rc rc = mem_gate(s, MEM_WRITE, b);
  return rc == STORE_OK ? tx_write(s, b) : rc;
}

/* A single process stores its ids with its batches: ids of a batch that was rolled back are given again after a crash. */
static void save_ids(struct mem_store *s) {
  for (int k = ID_FI; k <= ID_TI && s->db->single; k++) s->db->next_id[k] = s->next_id[k];
  if (s->db->single) s->db->next_id[ID_JOB] = s->next_id[ID_JOB];
}

static enum store_rc mem_commit(struct store *st) {
  struct mem_store *s = of(st);
  struct mem_tx *tx = s->tx;
  enum mem_fate f = mem_ask(s, MEM_COMMIT, tx ? &tx->b : NULL);
  if (s->cut) { s->cut = false; return STORE_UNKNOWN; } /* the server had ended the transaction */
  wr_assert(tx != NULL);
  switch (f) {
  case MEM_GO:
    save_ids(s);
    tx_apply(tx);
    return STORE_OK;
  case MEM_LOST_DONE:
    save_ids(s);
    tx_apply(tx);
    return STORE_UNKNOWN;
  case MEM_LOST_UNDONE: tx_end(tx); return STORE_UNKNOWN;
  case MEM_LATE_DONE: case MEM_LATE_UNDONE:
    tx->state = TX_PENDING;
    tx->will_commit = f == MEM_LATE_DONE;
    tx->settle_at = s->db->now_us + s->db->lease_us / 4;
    tx->owner = NULL; /* an old connection; the next call opens another */
    s->tx = NULL;
    return STORE_UNKNOWN;
  case MEM_RETRY: case MEM_DOWN: case MEM_NO_SPACE: case MEM_BAD: break;
  }
  tx_end(tx);
  return mem_fault(f);
}

static void mem_rollback(struct store *st) {
  struct mem_store *s = of(st);
  s->cut = false;
  if (s->tx) tx_end(s->tx);
  arena_reset(&s->texts);
}

/* The locking read waits for a transaction that is still undecided. */
static enum store_rc mem_resolve(struct store *st, int64_t batch_id, bool *committed) {
  struct mem_store *s = of(st);
  const struct mem_member *m = memdb_member(s->db, s->me);
  s->cut = false;
  if (mem_ask(s, MEM_RESOLVE, NULL) != MEM_GO) return STORE_RETRY;
  if (m->lock) return STORE_RETRY;
  *committed = m->last_batch == batch_id;
  return STORE_OK;
}

static enum store_rc mem_renew(struct store *st) {
  struct mem_store *s = of(st);
  struct mem_member *m = memdb_member(s->db, s->me);
  enum store_rc rc = mem_gate(s, MEM_RENEW, NULL);
  if (rc != STORE_OK) return rc;
  if (m->state != MEMBER_LIVE) return STORE_FENCED;
  if (m->lock) return STORE_RETRY;
  m->lease_until = s->db->now_us + s->db->lease_us;
  read_clock(s);
  return STORE_OK;
}

static enum store_rc mem_wish(struct store *st, struct drain_wish *out) {
  struct mem_store *s = of(st);
  struct mem_member *m = memdb_member(s->db, s->me);
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  if (rc == STORE_OK) *out = m->read = m->wish;
  return rc;
}

static enum store_rc mem_reap(struct store *st, uint32_t *n) {
  struct mem_store *s = of(st);
  const struct map64_slot *e;
  *n = 0;
  enum store_rc rc = mem_gate(s, MEM_REAP, NULL);
  if (rc != STORE_OK) return rc;
  for (size_t i = 0; (e = map64_next(&s->db->member, &i)) != NULL;) {
    struct mem_member *m = e->val;
    if (m->state != MEMBER_LIVE || m->lock || m->lease_until + s->db->lease_us / 12 > s->db->now_us) continue;
    m->state = MEMBER_DEAD;
    ++*n;
  }
  return STORE_OK;
}

static bool owner_live(const struct memdb *db, int64_t owner) {
  const struct mem_member *m = owner ? memdb_member(db, owner) : NULL;
  return owner == 0 || (m && m->state == MEMBER_LIVE);
}

static enum store_rc mem_live_tasks(struct store *st, int64_t after, struct live_task *out, size_t n, size_t *n_out) {
  struct mem_store *s = of(st);
  enum store_rc rc = mem_gate(s, MEM_SCAN, NULL);
  *n_out = 0;
  for (int64_t ti = after + 1; rc == STORE_OK && ti <= s->db->max_ti && *n_out < n; ti++) {
    const struct mem_task *t = memdb_task(s->db, ti);
    if (!t || task_final(t->r.t.state)) continue;
    out[(*n_out)++] = (struct live_task){ti, t->r.fi, t->r.t.state, t->r.t.epoch, t->r.t.owner, t->r.t.due_us, t->r.update_us,
                                         owner_live(s->db, t->r.t.owner), t->r.t.phase, t->r.t.end_as};
  }
  return rc;
}

static enum store_rc mem_live_flows(struct store *st, int64_t after, struct live_flow *out, size_t n, size_t *n_out) {
  struct mem_store *s = of(st);
  enum store_rc rc = mem_gate(s, MEM_SCAN, NULL);
  *n_out = 0;
  for (int64_t fi = after + 1; rc == STORE_OK && fi <= s->db->max_fi && *n_out < n; fi++) {
    const struct mem_flow *f = memdb_flow(s->db, fi);
    if (!f || flow_final(f->r.state)) continue;
    out[(*n_out)++] = (struct live_flow){fi, f->r.state, f->r.due_us, f->r.update_us, f->r.more != NULL};
  }
  return rc;
}

static bool mem_reconciler(struct store *st) {
  struct mem_store *s = of(st);
  const struct map64_slot *e;
  for (size_t i = 0; (e = map64_next(&s->db->member, &i)) != NULL;) {
    const struct mem_member *m = e->val;
    if (m->state == MEMBER_LIVE && m->me < s->me) return false;
  }
  return true;
}

static bool mem_asker(struct store *st, bool take) {
  struct mem_store *s = of(st);
  if (take && s->db->asker == NULL) s->db->asker = s;
  bool mine = s->db->asker == s;
  if (!take && mine) s->db->asker = NULL;
  return mine;
}

static enum store_rc mem_pulse(struct store *st, int64_t *out) {
  *out = of(st)->db->pulse;
  return STORE_OK;
}

/* ---- definitions ---- */

static enum wr_rc any_type(void *ctx, const char *type, const char *content, const json_t *config, const char *path, uint8_t *slot,
                           struct wr_err *err) {
  const struct memdb *db = ctx;
  (void)content; (void)config; (void)path; (void)err;
  *slot = db->slot_of(type);
  return WR_OK;
}
static enum wr_rc all_there(void *ctx, const int64_t *ids, size_t n, size_t *bad, struct wr_err *err) {
  (void)ctx; (void)ids; (void)n; (void)bad; (void)err;
  return WR_OK;
}

static json_t *load(const char *json) {
  struct wr_err err;
  json_t *v = NULL;
  wr_assert(json_load_strict(json, strlen(json), LIMIT_FLOW_JSON_VALUES, &v, &err) == WR_OK);
  return v;
}

/* Every second node, if it has one task; the id of the flow says whether the even or the odd ones. */
static void let_grow(struct dag *dag, int64_t id) {
  for (uint32_t i = 0; i < dag->n; i++) dag->node[i].expands = dag->node[i].n_task == 1 && (i + (uint64_t)id) % 2 == 0;
}

struct flow_def *memdb_flow_def(struct memdb *db, int64_t id, int64_t version) {
  const struct def_env env = {.ctx = db, .check_type = any_type, .tasks_exist = all_there};
  struct flow_post post;
  struct wr_err err;
  if (id < 1 || id > (int64_t)db->n_flows) return NULL;
  const struct mem_def *d = &db->flows[id - 1];
  if (version == 0) version = (int64_t)d->n;
  if (version > (int64_t)d->n) return NULL;
  json_t *v = load(d->v[version - 1].json);
  wr_assert(def_flow_parse(v, &env, &post, &err) == WR_OK);
  json_decref(v);
  post.def->flow_id = id;
  post.def->version = version;
  post.def->node_base = d->v[version - 1].node_base;
  post.def->deleted = d->deleted;
  if (db->made_up && id % 2 == 0) let_grow(post.def->dag, id / 2);
  return post.def;
}

struct task_def *memdb_task_def(struct memdb *db, int64_t id, int64_t version) {
  const struct def_env env = {.ctx = db, .check_type = any_type, .tasks_exist = all_there};
  struct task_post post;
  struct wr_err err;
  if (id < 1 || id > (int64_t)db->n_tasks) return NULL;
  const struct mem_def *d = &db->tasks[id - 1];
  if (version == 0) version = (int64_t)d->n;
  if (version > (int64_t)d->n) return NULL;
  json_t *v = load(d->v[version - 1].json);
  wr_assert(def_task_parse(v, &env, &post, &err) == WR_OK);
  json_decref(v);
  post.def->task_id = id;
  post.def->version = version;
  post.def->deleted = d->deleted;
  if (db->analyses && id % 2 == 1) {
    json_t *said = load("{\"type\":\"exit-code\",\"ok\":[0]}");
    wr_assert(analyzer_read(said, NULL, &post.def->analyzer, &err) == WR_OK);
    json_decref(said);
    post.def->analyzer_attempts = 3;
    post.def->child_failure = id % 4 == 1 ? CHILD_IGNORE : CHILD_FAIL;
    post.def->policy.calls = 3;
  }
  return post.def;
}

/* A transaction that has inserted an instance of the flow holds the row of the flow. */
static bool flow_held(const struct memdb *db, int64_t id) {
  for (const struct mem_tx *tx = db->txs; tx; tx = tx->next)
    for (size_t i = 0; tx->written && i < tx->b.n_flow; i++)
      if (tx->b.flow[i].op == ROW_INSERT && tx->b.flow[i].row.flow_id == id) return true;
  return false;
}

static int64_t save(struct memdb *db, struct mem_def **v, size_t *n, size_t *cap, int64_t id, struct mem_text text) {
  if (id == 0) {
    *WR_PUSH(*v, *n, *cap) = (struct mem_def){0};
    id = (int64_t)*n;
  }
  struct mem_def *d = &(*v)[id - 1];
  *WR_PUSH(d->v, d->n, d->cap) = text;
  db->defs_version++;
  return id;
}

int64_t memdb_save_task(struct memdb *db, int64_t id, const char *json) {
  return save(db, &db->tasks, &db->n_tasks, &db->cap_tasks, id, (struct mem_text){wr_strdup(json), 0});
}

int64_t memdb_save_flow(struct memdb *db, int64_t id, const char *json, uint32_t n_node) {
  if (id != 0 && flow_held(db, id)) return 0;
  int64_t base = db->next_id[ID_NODE];
  db->next_id[ID_NODE] += n_node;
  return save(db, &db->flows, &db->n_flows, &db->cap_flows, id, (struct mem_text){wr_strdup(json), base});
}

bool memdb_delete_flow(struct memdb *db, int64_t id) {
  const struct map64_slot *s;
  if (flow_held(db, id)) return false;
  for (size_t i = 0; (s = map64_next(&db->flow, &i)) != NULL;) {
    const struct mem_flow *f = s->val;
    if (f->r.flow_id == id && (!flow_final(f->r.state) || f->lock)) return false;
  }
  db->flows[id - 1].deleted = true;
  db->defs_version++;
  return true;
}

/* ---- readers: what defs.c asks ---- */

struct mem_reader { struct reader r; struct mem_store *s; };

static struct reader *mem_reader_get(struct store *st, enum reader_whose whose, struct wr_err *err) {
  struct mem_store *s = of(st);
  (void)whose;
  (void)err;
  struct mem_reader *r = wr_new(struct mem_reader);
  *r = (struct mem_reader){{.ops = st->ops, .s = st}, s};
  return &r->r;
}
static void mem_reader_put(struct reader *r) { free(r); }

static enum wr_rc may_read(struct reader *r, struct wr_err *err) {
  enum mem_fate f = mem_ask(((struct mem_reader *)(void *)r)->s, MEM_DEFS, NULL);
  return f == MEM_GO ? WR_OK : wr_err_set(err, f == MEM_RETRY ? WR_BUSY : WR_DB_UNAVAILABLE, NULL);
}

static struct memdb *db_of(struct reader *r) { return ((struct mem_reader *)(void *)r)->s->db; }

static enum wr_rc mem_reader_task(struct reader *r, int64_t id, int64_t version, struct task_def **out, struct wr_err *err) {
  if (may_read(r, err) != WR_OK) return err->code;
  *out = memdb_task_def(db_of(r), id, version);
  return *out ? WR_OK : wr_err_set(err, WR_NOT_FOUND, NULL);
}
static enum wr_rc mem_reader_tasks(struct reader *r, const int64_t *ids, size_t n, struct task_def **out, struct wr_err *err) {
  if (may_read(r, err) != WR_OK) return err->code;
  for (size_t i = 0; i < n; i++) out[i] = memdb_task_def(db_of(r), ids[i], 0);
  return WR_OK;
}
static enum wr_rc mem_reader_heads(struct reader *r, enum head_kind kind, const int64_t *ids, size_t n, struct def_head *out,
                                   struct wr_err *err) {
  if (may_read(r, err) != WR_OK) return err->code;
  const struct memdb *db = db_of(r);
  const struct mem_def *d = kind == HEAD_TASK ? db->tasks : db->flows;
  int64_t have = (int64_t)(kind == HEAD_TASK ? db->n_tasks : db->n_flows);
  for (size_t i = 0; i < n; i++) {
    bool there = ids[i] >= 1 && ids[i] <= have;
    out[i] = there ? (struct def_head){(int64_t)d[ids[i] - 1].n, d[ids[i] - 1].deleted} : (struct def_head){0};
  }
  return WR_OK;
}
static enum wr_rc mem_reader_flow(struct reader *r, int64_t id, int64_t version, struct flow_def **out, struct wr_err *err) {
  if (may_read(r, err) != WR_OK) return err->code;
  *out = memdb_flow_def(db_of(r), id, version);
  return *out ? WR_OK : wr_err_set(err, WR_NOT_FOUND, NULL);
}

/* ---- what a runner never calls ---- */

static enum wr_rc none(struct wr_err *err) { return wr_err_set(err, WR_INTERNAL, "The in-memory store cannot do this."); }
static enum wr_rc no_save_task(struct store *s, struct task_def *t, int64_t v, struct key_write *k, struct wr_err *e) { (void)s; (void)t; (void)v; (void)k; return none(e); }
static enum wr_rc no_save_flow(struct store *s, struct flow_def *f, int64_t v, struct key_write *k, struct wr_err *e) { (void)s; (void)f; (void)v; (void)k; return none(e); }
static enum wr_rc no_delete(struct store *s, int64_t id, struct wr_err *e) { (void)s; (void)id; return none(e); }
static enum wr_rc no_logs(struct store *s, struct logs **out, struct wr_err *e) { (void)s; (void)out; return none(e); }
static void no_logs_close(struct logs *l) { (void)l; }
static enum store_rc no_logs_write(struct logs *l, const struct log_chunk *c, size_t n) { (void)l; (void)c; (void)n; return STORE_DOWN; }

static const struct store_ops mem_ops = {
  .abi = STORE_ABI, .size = sizeof(struct store_ops),
  .close = mem_close, .single = mem_single, .ids = mem_ids, .join = mem_join, .leave = mem_leave, .begin = mem_begin,
  .lock = mem_lock, .nodes = mem_nodes, .node_range = mem_node_range, .tasks = mem_tasks, .task_range = mem_task_range,
  .write = mem_write, .commit = mem_commit, .rollback = mem_rollback, .resolve = mem_resolve, .renew = mem_renew,
  .keys = mem_keys, .wish = mem_wish, .reap = mem_reap, .live_tasks = mem_live_tasks, .live_flows = mem_live_flows, .reconciler = mem_reconciler, .asker = mem_asker, .pulse = mem_pulse,
  .save_task = no_save_task, .save_flow = no_save_flow, .delete_task = no_delete, .delete_flow = no_delete,
  .reader_get = mem_reader_get, .reader_put = mem_reader_put,
  .reader_task = mem_reader_task, .reader_flow = mem_reader_flow, .reader_tasks = mem_reader_tasks, .reader_heads = mem_reader_heads,
  .logs_open = no_logs, .logs_close = no_logs_close, .logs_write = no_logs_write,
  .whose = mem_whose, .async = mem_async, .async_keys = mem_async_keys,
  .job_lock = mem_job_lock, .job_find = mem_job_find, .job_tasks = mem_job_tasks, .job_keys = mem_job_keys, .live_jobs = mem_live_jobs, .tree = mem_tree, .children = mem_children,
  .queues = mem_queues, .queue_lock = mem_queue_lock, .running = mem_running, .counted = mem_counted,
};

struct store *memdb_connect(struct memdb *db, void *node) {
  struct mem_store *s = wr_new(struct mem_store);
  static struct store_ops plain;
  plain = mem_ops;
  plain.wish = NULL;
  s->s = (struct store){.ops = db->drains ? &mem_ops : &plain, .id = "00000000", .clock = SHARED_CLOCK_INIT};
  s->db = db;
  s->node = node;
  arena_init(&s->texts, 0);
  return &s->s;
}
