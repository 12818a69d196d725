/* The rows and transactions of the in-memory database (memstore.h). One thread; the only file that changes a row.
 * What never happens: a row changes outside tx_apply(), or a lock outlives its transaction. */
#include "memdb_int.h"
#include <stdlib.h>
#include <string.h>

const char *const mem_call_name[MEM__N] = {
  [MEM_IDS] = "ids", [MEM_JOIN] = "join", [MEM_LEAVE] = "leave", [MEM_BEGIN] = "begin", [MEM_LOCK] = "lock", [MEM_READ] = "read",
  [MEM_WRITE] = "write", [MEM_COMMIT] = "commit", [MEM_RESOLVE] = "resolve", [MEM_RENEW] = "renew", [MEM_REAP] = "reap",
  [MEM_SCAN] = "scan", [MEM_DEFS] = "defs", [MEM_WAIT] = "wait"};

struct mem_flow *memdb_flow(const struct memdb *db, int64_t fi) { return map64_get(&db->flow, fi); }
struct mem_node *memdb_node(const struct memdb *db, int64_t ni) { return map64_get(&db->node, ni); }
struct mem_task *memdb_task(const struct memdb *db, int64_t ti) { return map64_get(&db->task, ti); }
struct mem_async *memdb_async(const struct memdb *db, int64_t ti) { return map64_get(&db->async, ti); }
const struct mem_note *memdb_note(const struct memdb *db, int64_t ti) { return map64_get(&db->note, ti); }
struct mem_member *memdb_member(const struct memdb *db, int64_t me) { return map64_get(&db->member, me); }

struct mem_queue *memdb_queue(const struct memdb *db, int64_t queue_id) {
  struct mem_queue *q = queue_id >= 1 && queue_id <= (int64_t)db->n_queue ? db->queue[queue_id - 1] : NULL;
  return q && !q->deleted ? q : NULL;
}

const struct key_row *memdb_key(const struct memdb *db, const char *key) {
  for (size_t i = 0; i < db->n_key; i++)
    if (strcmp(db->key[i].key, key) == 0) return &db->key[i].row;
  return NULL;
}

const struct mem_async *memdb_async_key(const struct memdb *db, const char *key, int64_t scope) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&db->async, &i)) != NULL;) {
    const struct mem_async *a = s->val;
    if (a->r.key && a->r.scope == scope && strcmp(a->r.key, key) == 0) return a;
  }
  return NULL;
}

struct memdb *memdb_new(const struct mem_hooks *h, bool single, int64_t lease_us, uint8_t (*slot_of)(const char *type)) {
  struct memdb *db = wr_new(struct memdb);
  db->hooks = *h;
  db->single = single;
  db->lease_us = lease_us;
  db->slot_of = slot_of;
  db->defs_version = db->queues_version = 1;
  for (int i = 0; i < ID__N; i++) db->next_id[i] = 1;
  return db;
}

static void defs_done(struct mem_def *v, size_t n) {
  for (size_t i = 0; i < n; i++) {
    for (size_t k = 0; k < v[i].n; k++) free(v[i].v[k].json);
    free(v[i].v);
  }
  free(v);
}

static void free_text(const char *s) { free((void *)(uintptr_t)s); }

static void free_task(struct mem_task *t) {
  free_text(t->r.error); free_text(t->r.result); free_text(t->r.params);
  free(t);
}

static void free_async(struct mem_async *a) {
  free_text(a->r.name); free_text(a->r.type); free_text(a->r.content); free_text(a->r.config); free_text(a->r.user);
  free_text(a->r.group); free_text(a->r.key); free_text(a->r.context);
  free(a);
}

static void free_note(struct mem_note *n) {
  if (!n) return;
  free(n->user);
  free(n->group);
  free(n);
}

void drop_notes(struct memdb *db) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&db->note, &i)) != NULL;) free_note(s->val);
  map64_done(&db->note);
}

void memdb_free(struct memdb *db) {
  const struct map64_slot *s;
  drop_notes(db);
  while (db->txs) tx_end(db->txs);
  free(db->stranger);
  for (size_t i = 0; (s = map64_next(&db->flow, &i)) != NULL;) {
    struct mem_flow *f = s->val;
    free_text(f->r.error); free_text(f->r.params); free_text(f->r.bases); free_text(f->r.more);
    for (struct mem_whose *x; (x = f->whose) != NULL;) {
      f->whose = x->next;
      free_text(x->r.user); free_text(x->r.group);
      free(x);
    }
    free(f);
  }
  for (size_t i = 0; (s = map64_next(&db->node, &i)) != NULL;) {
    struct mem_node *n = s->val;
    free_text(n->r.error);
    free(n);
  }
  for (size_t i = 0; (s = map64_next(&db->task, &i)) != NULL;) free_task(s->val);
  for (struct mem_task *t; (t = db->gone) != NULL; free_task(t)) db->gone = t->gone;
  for (size_t i = 0; (s = map64_next(&db->async, &i)) != NULL;) free_async(s->val);
  for (size_t i = 0; (s = map64_next(&db->member, &i)) != NULL;) free(s->val);
  map64_done(&db->flow);
  map64_done(&db->node);
  map64_done(&db->task);
  map64_done(&db->async);
  jobs_free(db);
  map64_done(&db->member);
  for (size_t i = 0; i < db->n_queue; i++) {
    free_text(db->queue[i]->r.user); free_text(db->queue[i]->r.group);
    free(db->queue[i]);
  }
  free(db->queue);
  for (size_t i = 0; i < db->n_key; i++) free(db->key[i].key);
  free(db->key);
  defs_done(db->tasks, db->n_tasks);
  defs_done(db->flows, db->n_flows);
  free(db);
}

/* ---- calls and their fate ---- */

enum store_rc mem_fault(enum mem_fate f) {
  switch (f) {
  case MEM_DOWN: return STORE_DOWN;
  case MEM_NO_SPACE: return STORE_NO_SPACE;
  case MEM_BAD: return STORE_BAD;
  case MEM_GO: case MEM_RETRY: case MEM_LOST_DONE: case MEM_LOST_UNDONE: case MEM_LATE_DONE: case MEM_LATE_UNDONE: break;
  }
  return STORE_RETRY;
}

enum mem_fate mem_ask(struct mem_store *s, enum mem_call what, const struct batch *b) {
  enum mem_fate f = s->db->hooks.call ? s->db->hooks.call(s->db->hooks.ctx, s->node, what, b) : MEM_GO;
  if (s->tx) s->tx->touched = s->db->now_us;
  return f;
}

/* ---- transactions ---- */

struct mem_tx *tx_open(struct mem_store *s) {
  if (s->tx) return s->tx;
  struct mem_tx *tx = wr_new(struct mem_tx);
  arena_init(&tx->mem, 0);
  tx->db = s->db;
  tx->owner = s;
  tx->me = s->me;
  tx->touched = s->db->now_us;
  tx->next = s->db->txs;
  s->db->txs = tx;
  s->tx = tx;
  s->cut = false;
  return tx;
}

static void unlink_tx(struct memdb *db, struct mem_tx *tx) {
  struct mem_tx **p = &db->txs;
  while (*p != tx) p = &(*p)->next;
  *p = tx->next;
}

static void unlock_all(struct memdb *db, const struct mem_tx *tx) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&db->flow, &i)) != NULL;)
    if (((struct mem_flow *)s->val)->lock == tx) ((struct mem_flow *)s->val)->lock = NULL;
  for (size_t i = 0; i < tx->b.n_task; i++) {
    struct mem_task *t = memdb_task(db, tx->b.task[i].row.ti);
    if (t && t->lock == tx) t->lock = NULL;
  }
  for (struct mem_task *t = db->gone; t; t = t->gone)
    if (t->lock == tx) t->lock = NULL;
  for (size_t i = 0; i < db->n_queue; i++)
    if (db->queue[i]->lock == tx) db->queue[i]->lock = NULL;
  jobs_unlock(db, tx);
  struct mem_member *m = memdb_member(db, tx->me);
  if (m && m->lock == tx) m->lock = NULL;
}

void tx_end(struct mem_tx *tx) {
  struct memdb *db = tx->db;
  unlock_all(db, tx);
  unlink_tx(db, tx);
  if (tx->owner) {
    tx->owner->tx = NULL;
    arena_reset(&tx->owner->texts);
  }
  arena_done(&tx->mem);
  free(tx);
}

/* ---- copying a batch ---- */

static const char *keep(struct arena *a, const char *s) { return s ? arena_strdup(a, s) : NULL; }

static void *copy(struct arena *a, const void *p, size_t n, size_t size) {
  void *to = arena_alloc(a, n * size + 1);
  if (n > 0) memcpy(to, p, n * size);
  return to;
}

static void tx_copy(struct mem_tx *tx, const struct batch *b) {
  struct arena *a = &tx->mem;
  tx->b = *b;
  tx->b.flow = copy(a, b->flow, b->n_flow, sizeof *b->flow);
  tx->b.node = copy(a, b->node, b->n_node, sizeof *b->node);
  tx->b.task = copy(a, b->task, b->n_task, sizeof *b->task);
  tx->b.attempt = copy(a, b->attempt, b->n_attempt, sizeof *b->attempt);
  tx->b.key = copy(a, b->key, b->n_key, sizeof *b->key);
  for (size_t i = 0; i < b->n_key; i++) tx->b.key[i].key = keep(a, b->key[i].key);
  for (size_t i = 0; i < b->n_flow; i++) {
    struct flow_row *r = &tx->b.flow[i].row;
    r->error = keep(a, r->error);
    r->params = keep(a, r->params);
    r->bases = keep(a, r->bases);
    r->more = keep(a, r->more);
  }
  for (size_t i = 0; i < b->n_node; i++) tx->b.node[i].row.error = keep(a, tx->b.node[i].row.error);
  for (size_t i = 0; i < b->n_task; i++) {
    struct task_row *r = &tx->b.task[i].row;
    r->error = keep(a, r->error);
    if (r->result) r->result = arena_memdup0(a, r->result, r->result_len);
    r->params = keep(a, r->params);
  }
  jobs_copy(tx, b);
  tx->b.gone = copy(a, b->gone, b->n_gone, sizeof *b->gone);
  tx->b.async = copy(a, b->async, b->n_async, sizeof *b->async);
  for (size_t i = 0; i < b->n_async; i++) {
    struct async_row *r = &tx->b.async[i].row;
    r->name = keep(a, r->name), r->type = keep(a, r->type), r->content = keep(a, r->content), r->config = keep(a, r->config);
    r->user = keep(a, r->user), r->group = keep(a, r->group), r->key = keep(a, r->key);
    if (r->context) r->context = arena_memdup0(a, r->context, r->context_len);
  }
  tx->b.tree = copy(a, b->tree, b->n_tree, sizeof *b->tree);
  tx->b.rate = copy(a, b->rate, b->n_rate, sizeof *b->rate);
  tx->b.unnote = copy(a, b->unnote, b->n_unnote, sizeof *b->unnote);
  struct count_note *note = copy(a, b->note, b->n_note, sizeof *b->note);
  for (size_t i = 0; i < b->n_note; i++) note[i].user = keep(a, note[i].user), note[i].group = keep(a, note[i].group);
  tx->b.note = note;
  tx->b.whose = copy(a, b->whose, b->n_whose, sizeof *b->whose);
  for (size_t i = 0; i < b->n_whose; i++) {
    struct whose_row *r = (struct whose_row *)(uintptr_t)&tx->b.whose[i];
    r->user = keep(a, r->user), r->group = keep(a, r->group);
  }
  for (size_t i = 0; i < b->n_attempt; i++) {
    tx->b.attempt[i].why = keep(a, tx->b.attempt[i].why);
    tx->b.attempt[i].error = keep(a, tx->b.attempt[i].error);
  }
}

/* ---- what a commit does ---- */

static void set_text(const char **to, const char *s) {
  free_text(*to);
  *to = s && *s ? wr_strdup(s) : NULL;
}

/* The sets that the oracle asks for again and again: of what is live, and of what is QUEUED. TASK_SUCCESS stands for "no row". */
static void queued_add(struct memdb *db, struct mem_task *t, uint8_t list) {
  struct mem_queued *q = &db->queued[t->list = list];
  t->older = q->last;
  t->newer = NULL;
  *(t->older ? &t->older->newer : &q->first) = t;
  q->last = t;
}

static void queued_remove(struct memdb *db, struct mem_task *t) {
  struct mem_queued *q = &db->queued[t->list];
  *(t->older ? &t->older->newer : &q->first) = t->newer;
  *(t->newer ? &t->newer->older : &q->last) = t->older;
}

void memdb_queued_move(struct memdb *db, struct mem_task *t, uint8_t list) {
  queued_remove(db, t);
  queued_add(db, t, list);
}

static bool waits(enum task_state s) { return s == TASK_CREATED || s == TASK_PAUSED; }

static void count_task(struct memdb *db, struct mem_task *t, enum task_state was, enum task_state is) {
  db->n_live += (size_t)!task_final(is) - (size_t)!task_final(was);
  db->n_wait += (size_t)waits(is) - (size_t)waits(was);
  if ((was == TASK_QUEUED) == (is == TASK_QUEUED)) return;
  db->n_queued += (size_t)(is == TASK_QUEUED) - (size_t)(was == TASK_QUEUED);
  if (is != TASK_QUEUED) { queued_remove(db, t); return; }
  t->queued_at = db->now_us;
  queued_add(db, t, 0);
}

static void count_flow(struct memdb *db, enum flow_state was, enum flow_state is) {
  db->n_live += (size_t)!flow_final(is) - (size_t)!flow_final(was);
  db->n_wait += (size_t)(is == FLOW_PAUSED) - (size_t)(was == FLOW_PAUSED);
}

static void put_flow(struct memdb *db, const struct flow_write *w, struct mem_tx *tx) {
  struct mem_flow *f = memdb_flow(db, w->row.fi);
  const struct flow_row *r = &w->row;
  count_flow(db, f ? (enum flow_state)f->r.state : FLOW_SUCCESS, (enum flow_state)r->state);
  if (w->op == ROW_INSERT) {
    f = wr_new(struct mem_flow);
    f->r = *r;
    f->r.error = f->r.params = f->r.bases = f->r.more = NULL;
    set_text(&f->r.params, r->params);
    f->lock = tx;
    (void)map64_put(&db->flow, r->fi, f);
    if (r->fi > db->max_fi) db->max_fi = r->fi;
  }
  f->r.version = tx->b.id;
  f->r.state = r->state;
  f->r.wish = r->wish;
  f->r.run_no = r->run_no;
  f->r.live = r->live;
  f->r.failed = r->failed;
  f->r.start_us = r->start_us;
  f->r.end_us = r->end_us;
  f->r.update_us = r->update_us;
  f->r.due_us = r->due_us;
  if (r->bases) set_text(&f->r.bases, r->bases);
  set_text(&f->r.more, r->more);
  if (r->error) set_text(&f->r.error, r->error);
}

static void put_node(struct memdb *db, const struct node_write *w) {
  struct mem_node *n = memdb_node(db, w->row.ni);
  if (w->op == ROW_INSERT) {
    n = wr_new(struct mem_node);
    (void)map64_put(&db->node, w->row.ni, n);
  }
  struct node_row was = n->r;
  n->r = w->row;
  n->r.error = was.error;
  if (w->op == ROW_UPDATE) {
    n->r.fi = was.fi;
    n->r.node_id = was.node_id;
    n->r.run_no = was.run_no;
    n->r.create_us = was.create_us;
  }
  if (w->row.error) set_text(&n->r.error, w->row.error);
}

static void put_task(struct memdb *db, const struct task_write *w, int64_t me) {
  struct mem_task *t = memdb_task(db, w->row.ti);
  enum task_state was = t ? (enum task_state)t->r.t.state : TASK_SUCCESS;
  if (w->op == ROW_INSERT) {
    t = wr_new(struct mem_task);
    t->r.exit_code = -1;
    t->r.ni = w->row.ni;
    t->r.fi = w->row.fi;
    t->r.ti = w->row.ti;
    t->r.task_id = w->row.task_id;
    t->r.create_us = w->row.create_us;
    t->r.t.version = w->row.t.version;
    set_text(&t->r.params, w->row.params);
    (void)map64_put(&db->task, w->row.ti, t);
    if (w->row.ti > db->max_ti) db->max_ti = w->row.ti;
  }
  int64_t version = t->r.t.version;
  count_task(db, t, was, (enum task_state)w->row.t.state);
  if (w->op == ROW_INSERT ? w->row.t.epoch != 0 : w->row.t.epoch != t->r.t.epoch) t->r.ran_by = w->row.t.owner ? w->row.t.owner : me;
  t->r.t = w->row.t;
  t->r.t.version = version;
  t->r.update_us = w->row.update_us;
  t->r.end_us = w->row.end_us;
  if (w->row.error) set_text(&t->r.error, w->row.error);
  if (w->op == ROW_UPDATE && w->clear_result && !w->row.result) {
    free_text(t->r.result);
    t->r.result = NULL;
    t->r.result_len = 0;
  }
  if (w->op == ROW_UPDATE && !w->finish) return;
  if (w->row.result) {
    free_text(t->r.result);
    t->r.result = wr_memdup0(w->row.result, w->row.result_len);
    t->r.result_len = w->row.result_len;
  }
  t->r.log = w->row.log;
  t->r.exit_code = w->row.exit_code;
  t->r.signal = w->row.signal;
}

/* "" stays: of a user, a group or a context it is a value. */
static void set_value(const char **to, const char *s, size_t n) {
  free_text(*to);
  *to = s ? wr_memdup0(s, n) : NULL;
}

static void set_string(const char **to, const char *s) { set_value(to, s, s ? strlen(s) : 0); }

static void put_async(struct memdb *db, const struct async_write *w) {
  struct mem_async *a = memdb_async(db, w->row.ti);
  const struct async_row *r = &w->row;
  if (w->op == ROW_INSERT) {
    a = wr_new(struct mem_async);
    a->r.ti = r->ti;
    a->r.create_us = r->create_us;
    a->r.job = r->job;
    a->r.scope = r->scope;
    a->r.parent = r->parent;
    a->r.root = r->root;
    a->r.depth = r->depth;
    memcpy(a->r.hash, r->hash, sizeof a->r.hash);
    set_string(&a->r.name, r->name);
    set_string(&a->r.type, r->type);
    set_string(&a->r.content, r->content);
    set_string(&a->r.config, r->config);
    set_string(&a->r.key, r->key);
    (void)map64_put(&db->async, r->ti, a);
  }
  set_string(&a->r.user, r->user ? r->user : "");
  set_string(&a->r.group, r->group ? r->group : "");
  a->r.priority = r->priority;
  a->r.cpu = r->cpu;
  a->r.start_at_us = r->start_at_us;
  a->r.run_no = r->run_no ? r->run_no : 1;
  a->r.run_epoch = r->run_epoch;
  if (w->op == ROW_UPDATE && !r->context) return;
  set_value(&a->r.context, r->context, r->context_len);
  a->r.context_len = r->context ? r->context_len : 0;
  a->r.context_epoch = r->context_epoch;
}

struct mem_whose *memdb_whose(const struct mem_flow *f, int64_t ti) {
  struct mem_whose *x = f->whose;
  while (x && x->r.ti != ti) x = x->next;
  return x;
}

static void put_whose(struct memdb *db, const struct whose_row *r) {
  struct mem_flow *f = memdb_flow(db, r->fi);
  struct mem_whose *x = memdb_whose(f, r->ti);
  if (!x) {
    x = wr_new(struct mem_whose);
    x->next = f->whose;
    f->whose = x;
  }
  x->r.fi = r->fi, x->r.ti = r->ti, x->r.priority = r->priority, x->r.has_priority = r->has_priority;
  set_string(&x->r.user, r->user);
  set_string(&x->r.group, r->group);
}

static void put_notes(struct memdb *db, const struct batch *b) {
  for (size_t i = 0; i < b->n_note; i++) {
    struct mem_note *n = wr_new(struct mem_note);
    *n = (struct mem_note){wr_strdup(b->note[i].user), wr_strdup(b->note[i].group)};
    free_note(map64_put(&db->note, b->note[i].ti, n));
  }
  for (size_t i = 0; i < b->n_unnote; i++) free_note(map64_del(&db->note, b->unnote[i]));
}

static void put_gone(struct memdb *db, int64_t ti) {
  struct mem_task *t = memdb_task(db, ti);
  struct mem_async *a = memdb_async(db, ti);
  count_task(db, t, (enum task_state)t->r.t.state, TASK_SUCCESS);
  (void)map64_del(&db->task, ti);
  t->gone = db->gone;
  db->gone = t;
  if (!a) return;
  (void)map64_del(&db->async, ti);
  free_async(a);
}

void tx_apply(struct mem_tx *tx) {
  struct memdb *db = tx->db;
  if (tx->written) {
    db->pulse++;
    struct mem_member *m = memdb_member(db, tx->me);
    if (db->hooks.commit) db->hooks.commit(db->hooks.ctx, tx->me, &tx->b);
    jobs_apply(db, &tx->b);
    for (size_t i = 0; i < tx->b.n_flow; i++) put_flow(db, &tx->b.flow[i], tx);
    for (size_t i = 0; i < tx->b.n_flow; i++)
      if (tx->b.flow[i].row.update_us > db->newest) db->newest = tx->b.flow[i].row.update_us;
    for (size_t i = 0; i < tx->b.n_task; i++)
      if (tx->b.task[i].row.update_us > db->newest) db->newest = tx->b.task[i].row.update_us;
    for (size_t i = 0; i < tx->b.n_node; i++) put_node(db, &tx->b.node[i]);
    for (size_t i = 0; i < tx->b.n_task; i++) put_task(db, &tx->b.task[i], tx->me);
    for (size_t i = 0; i < tx->b.n_attempt; i++) {
      struct mem_task *t = memdb_task(db, tx->b.attempt[i].ti);
      if (t) t->handed_back += tx->b.attempt[i].why && strcmp(tx->b.attempt[i].why, "HANDBACK") == 0;
    }
    trees_apply(db, &tx->b);
    for (size_t i = 0; i < tx->b.n_gone; i++) put_gone(db, tx->b.gone[i]);
    for (size_t i = 0; i < tx->b.n_async; i++) put_async(db, &tx->b.async[i]);
    for (size_t i = 0; i < tx->b.n_rate; i++) {
      struct mem_queue *q = memdb_queue(db, tx->b.rate[i].queue_id);
      if (q) q->r.rate_at = tx->b.rate[i].rate_at; /* else it was deleted meanwhile */
    }
    for (size_t i = 0; i < tx->b.n_whose; i++) put_whose(db, &tx->b.whose[i]);
    put_notes(db, &tx->b);
    for (size_t i = 0; i < tx->b.n_key; i++)
      *WR_PUSH(db->key, db->n_key, db->cap_key) = (struct mem_key){wr_strdup(tx->b.key[i].key), tx->b.key[i].row};
    db->n_attempt += tx->b.n_attempt;
    m->last_batch = tx->b.id;
    m->lease_until = db->now_us + db->lease_us;
    if (db->hooks.committed) db->hooks.committed(db->hooks.ctx, tx->me, &tx->b);
  }
  tx_end(tx);
}

/* ---- writing: locks, expectations, the fence ---- */

/* Waits while another transaction has the lock, as a server would: at most two seconds. Then the batch is rolled back. */
bool get_lock(struct mem_store *s, struct mem_tx **lock) {
  int64_t since = s->db->now_us;
  for (int i = 0; *lock != NULL && *lock != s->tx; i++) {
    if (i == 40 || s->db->now_us - since > 2000000 || s->db->single) return false;
    if (mem_ask(s, MEM_WAIT, NULL) != MEM_GO || s->cut) return false;
  }
  *lock = s->tx;
  return true;
}

/* A transaction that locks the head of a flow has all its rows, except those that a stranger has locked. */
static bool wait_free(struct mem_store *s, struct mem_tx *const *lock) {
  int64_t since = s->db->now_us;
  for (int i = 0; !rival_free(s, *lock); i++) {
    if (i == 40 || s->db->now_us - since > 1000000) return false;
    if (mem_ask(s, MEM_WAIT, NULL) != MEM_GO || s->cut) return false;
  }
  return true;
}

static bool wait_open(struct mem_store *s, enum mem_row table) {
  int64_t since = s->db->now_us;
  for (int i = 0; s->db->closed[table]; i++) {
    if (i == 40 || s->db->now_us - since > 1000000) return false;
    if (mem_ask(s, MEM_WAIT, NULL) != MEM_GO || s->cut) return false;
  }
  return true;
}

static bool flow_startable(const struct memdb *db, const struct flow_row *r) {
  const struct mem_def *d = &db->flows[r->flow_id - 1];
  return !d->deleted && r->flow_version == (int64_t)d->n;
}

static enum store_rc check_flow(struct mem_store *s, struct flow_write *w, struct flow_write *orig) {
  struct mem_flow *f = memdb_flow(s->db, w->row.fi);
  bool ok = true;
  if (w->op == ROW_INSERT) {
    if (f) { s->db->hooks.broken(s->db->hooks.ctx, "flow inserted twice", w->row.fi); return STORE_BAD; }
    if (s->db->flows[w->row.flow_id - 1].held || !wait_open(s, MEM_ROW_FLOW)) return rival_waited(s);
    ok = flow_startable(s->db, &w->row);
  } else {
    if (!f) { s->db->hooks.broken(s->db->hooks.ctx, "update of a flow that is not there", w->row.fi); return STORE_BAD; }
    if (w->expect == 0 && f->lock != s->tx) {
      s->db->hooks.broken(s->db->hooks.ctx, "write to a flow neither locked nor checked", w->row.fi);
      return STORE_BAD;
    }
    if (!get_lock(s, &f->lock)) return rival_waited(s);
    ok = w->expect == 0 || f->r.version == w->expect;
  }
  orig->stale = !ok;
  return ok ? STORE_OK : STORE_STALE;
}

static enum store_rc check_task(struct mem_store *s, const struct task_write *w, struct task_write *orig) {
  struct mem_task *t = memdb_task(s->db, w->row.ti);
  if (!t && w->op == ROW_UPDATE && w->expect_state >= 0) { /* another node has deleted it */
    orig->stale = true;
    return STORE_STALE;
  }
  if ((t == NULL) != (w->op == ROW_INSERT)) {
    s->db->hooks.broken(s->db->hooks.ctx, t ? "task inserted twice" : "update of a task that is not there", w->row.ti);
    return STORE_BAD;
  }
  if (w->op == ROW_INSERT) return wait_open(s, MEM_ROW_TASK) ? STORE_OK : rival_waited(s);
  if (w->expect_state < 0) return wait_free(s, &t->lock) ? STORE_OK : rival_waited(s);
  if (!get_lock(s, &t->lock)) return rival_waited(s);
  struct task_wished is_wished = task_wished(&t->r.t);
  bool same = memcmp(&is_wished, &w->expect_wished, sizeof is_wished) == 0;
  bool is = memdb_task(s->db, w->row.ti) == t && t->r.t.state == (unsigned)w->expect_state && t->r.t.epoch == w->expect_epoch && same;
  if (is) return STORE_OK;
  orig->stale = true;
  return STORE_STALE;
}

bool tx_key_held(const struct mem_store *s, const char *key) {
  for (const struct mem_tx *tx = s->db->txs; tx; tx = tx->next)
    for (size_t i = 0; tx != s->tx && tx->written && i < tx->b.n_key; i++)
      if (strcmp(tx->b.key[i].key, key) == 0) return true;
  return false;
}

/* The unique index: only one batch is committed. */
static enum store_rc check_keys(struct mem_store *s, const struct batch *b) {
  for (size_t i = 0; i < b->n_key; i++) {
    if (i > 0 && strcmp(b->key[i - 1].key, b->key[i].key) >= 0) s->db->hooks.broken(s->db->hooks.ctx, "keys out of order", (int64_t)i);
    if (memdb_key(s->db, b->key[i].key) || tx_key_held(s, b->key[i].key)) return STORE_RETRY;
  }
  return STORE_OK;
}

bool tx_async_key_held(const struct mem_store *s, const char *key, int64_t scope) {
  for (const struct mem_tx *tx = s->db->txs; tx; tx = tx->next)
    for (size_t i = 0; tx != s->tx && tx->written && i < tx->b.n_async; i++)
      if (tx->b.async[i].op == ROW_INSERT && tx->b.async[i].row.key && tx->b.async[i].row.scope == scope && strcmp(tx->b.async[i].row.key, key) == 0) return true;
  return false;
}

static bool is_gone(const struct batch *b, int64_t ti) {
  for (size_t i = 0; i < b->n_gone; i++)
    if (b->gone[i] == ti) return true;
  return false;
}

static bool key_is_free(const struct mem_store *s, const struct batch *b, size_t at) {
  const char *key = b->async[at].row.key;
  int64_t scope = b->async[at].row.scope;
  const struct mem_async *has = memdb_async_key(s->db, key, scope);
  for (size_t i = 0; i < at; i++)
    if (b->async[i].op == ROW_INSERT && b->async[i].row.key && b->async[i].row.scope == scope && strcmp(b->async[i].row.key, key) == 0) return false;
  return (!has || is_gone(b, has->r.ti)) && !tx_async_key_held(s, key, scope);
}

static bool updates(const struct batch *b, int64_t ti) {
  for (size_t i = 0; i < b->n_task; i++)
    if (b->task[i].row.ti == ti) return b->task[i].op == ROW_UPDATE && b->task[i].expect_state >= 0 && !b->task[i].row.ni;
  return false;
}

/* Async rows come and go with their tasks; a taskKey is unique. */
static enum store_rc check_async(struct mem_store *s, const struct batch *b) {
  for (size_t i = 0; i < b->n_gone; i++) {
    if (updates(b, b->gone[i]) && (i == 0 || b->gone[i - 1] < b->gone[i])) continue;
    s->db->hooks.broken(s->db->hooks.ctx, "task deleted that the batch does not check", b->gone[i]);
    return STORE_BAD;
  }
  for (size_t i = 0; i < b->n_async; i++) {
    const struct async_write *w = &b->async[i];
    bool there = memdb_async(s->db, w->row.ti) != NULL, order = i == 0 || b->async[i - 1].row.ti < w->row.ti;
    if (there != (w->op == ROW_UPDATE) || !order || is_gone(b, w->row.ti)) {
      s->db->hooks.broken(s->db->hooks.ctx, there ? "async row inserted twice" : "update of an async row that is not there", w->row.ti);
      return STORE_BAD;
    }
    if (w->op == ROW_INSERT && w->row.key && !key_is_free(s, b, i)) return STORE_RETRY;
  }
  return STORE_OK;
}

/* The fence compares the version of the definitions: what was decided by other rows of queues is stale. (Changes of tasks and flows
 * do not count here: what starts is checked one by one.) */
static enum store_rc check_rates(struct mem_store *s, const struct batch *b) {
  if (s->queues_at != s->db->queues_version) return STORE_STALE;
  for (size_t i = 0; i < b->n_rate; i++) {
    struct mem_queue *q = memdb_queue(s->db, b->rate[i].queue_id);
    if (!q) return STORE_STALE;
    if (q->lock == s->tx || s->db->single) continue; /* a single process has no rivals */
    s->db->hooks.broken(s->db->hooks.ctx, "rate of a queue that is not locked", b->rate[i].queue_id);
    return STORE_BAD;
  }
  return STORE_OK;
}

static enum store_rc check_all(struct mem_store *s, struct batch *b) {
  struct batch *mine = &s->tx->b;
  for (size_t i = 0; i < b->n_flow; i++) {
    enum store_rc rc = check_flow(s, &mine->flow[i], &b->flow[i]);
    if (rc != STORE_OK) return rc;
  }
  for (size_t i = 0; i < b->n_node; i++) {
    struct mem_node *n = memdb_node(s->db, mine->node[i].row.ni);
    bool there = n != NULL;
    if (there != (mine->node[i].op == ROW_UPDATE)) {
      s->db->hooks.broken(s->db->hooks.ctx, there ? "node inserted twice" : "update of a node that is not there", mine->node[i].row.ni);
      return STORE_BAD;
    }
    if (there ? !wait_free(s, &n->lock) : !wait_open(s, MEM_ROW_NODE)) return rival_waited(s);
  }
  for (size_t i = 0; i < b->n_task; i++) {
    enum store_rc rc = check_task(s, &mine->task[i], &b->task[i]);
    if (rc != STORE_OK) return rc;
  }
  enum store_rc keys = check_keys(s, mine);
  if (keys == STORE_OK) keys = check_async(s, mine);
  if (keys == STORE_OK) keys = jobs_check_rows(s, mine);
  if (keys == STORE_OK) keys = check_rates(s, mine);
  if (keys != STORE_OK) return keys;
  struct mem_member *m = memdb_member(s->db, s->me);
  if (!m || !get_lock(s, &m->lock)) return m ? STORE_RETRY : STORE_FENCED;
  if (m->state != MEMBER_LIVE) return STORE_FENCED;
  keys = check_keys(s, mine); /* another transaction may have written while this one waited for its lock */
  if (keys == STORE_OK) keys = check_async(s, mine);
  return keys == STORE_OK ? jobs_check_rows(s, mine) : keys;
}

enum store_rc tx_write(struct mem_store *s, struct batch *b) {
  struct mem_tx *tx = tx_open(s);
  tx_copy(tx, b);
  enum store_rc rc = rival_ask(s, b);
  if (rc == STORE_OK) rc = check_all(s, b);
  if (s->cut) return STORE_RETRY;
  if (rc != STORE_OK) tx_end(tx);
  else tx->written = true;
  return rc;
}

void memdb_tick(struct memdb *db) {
  for (struct mem_tx *tx = db->txs, *next; tx != NULL; tx = next) {
    next = tx->next;
    if (tx->state == TX_PENDING && tx->settle_at <= db->now_us) {
      if (tx->will_commit) tx_apply(tx);
      else tx_end(tx);
    } else if (tx->state == TX_OPEN && !db->single && db->now_us - tx->touched > db->lease_us / 4) {
      if (tx->owner) tx->owner->cut = true;
      tx_end(tx);
    }
  }
}
