/* A stranger in the in-memory database, which locks rows and keeps them. The store does the same about it as mysql_held.c: after
 * a wait in vain it asks which rows are held before it waits again. One thread.
 * What never happens: a row is taken from a transaction that has it. */
#include <stdlib.h>
#include "memdb_int.h"

#define WARY_US 10000000

/* ---- the stranger ---- */

static bool take(struct memdb *db, struct mem_tx **lock) {
  if (!db->stranger) db->stranger = wr_new(struct mem_tx);
  if (*lock && *lock != db->stranger) return false;
  *lock = db->stranger;
  return true;
}

/* A transaction that writes rows of a flow has the lock of its head. */
static bool in_use(const struct memdb *db, int64_t fi) {
  const struct mem_flow *f = memdb_flow(db, fi);
  return f && f->lock && f->lock != db->stranger;
}

static bool hold_def(struct memdb *db, int64_t id) {
  if (id < 1 || id > (int64_t)db->n_flows) return false;
  for (const struct mem_tx *tx = db->txs; tx; tx = tx->next)
    for (size_t i = 0; i < tx->b.n_flow; i++)
      if (tx->b.flow[i].op == ROW_INSERT && tx->b.flow[i].row.flow_id == id) return false;
  return db->flows[id - 1].held = true;
}

bool memdb_hold(struct memdb *db, enum mem_row what, int64_t id) {
  struct mem_flow *f = what == MEM_ROW_FLOW ? memdb_flow(db, id) : NULL;
  struct mem_node *n = what == MEM_ROW_NODE ? memdb_node(db, id) : NULL;
  struct mem_task *t = what == MEM_ROW_TASK ? memdb_task(db, id) : NULL;
  struct mem_member *m = what == MEM_ROW_MEMBER ? memdb_member(db, id) : NULL;
  struct mem_queue *q = what == MEM_ROW_QUEUE ? memdb_queue(db, id) : NULL;
  if (what == MEM_ROW_DEF) return hold_def(db, id);
  if (f) return take(db, &f->lock);
  if (n) return !in_use(db, n->r.fi) && take(db, &n->lock);
  if (t) return !in_use(db, t->r.fi) && take(db, &t->lock);
  if (q) return take(db, &q->lock);
  return m && take(db, &m->lock);
}

void memdb_hold_table(struct memdb *db, enum mem_row what) {
  const struct map64_slot *s;
  const struct map64 *rows = what == MEM_ROW_FLOW ? &db->flow : what == MEM_ROW_NODE ? &db->node : &db->task;
  for (size_t i = 0; (s = map64_next(rows, &i)) != NULL;) (void)memdb_hold(db, what, s->key);
  db->closed[what] = true;
}

static void give(const struct memdb *db, struct mem_tx **lock) {
  if (*lock == db->stranger) *lock = NULL;
}

void memdb_release(struct memdb *db) {
  const struct map64_slot *s;
  for (int i = 0; i < 3; i++) db->closed[i] = false;
  for (size_t i = 0; i < db->n_flows; i++) db->flows[i].held = false;
  if (!db->stranger) return;
  for (size_t i = 0; i < db->n_queue; i++) give(db, &db->queue[i]->lock);
  for (size_t i = 0; (s = map64_next(&db->flow, &i)) != NULL;) give(db, &((struct mem_flow *)s->val)->lock);
  for (size_t i = 0; (s = map64_next(&db->node, &i)) != NULL;) give(db, &((struct mem_node *)s->val)->lock);
  for (size_t i = 0; (s = map64_next(&db->task, &i)) != NULL;) give(db, &((struct mem_task *)s->val)->lock);
  for (size_t i = 0; (s = map64_next(&db->member, &i)) != NULL;) give(db, &((struct mem_member *)s->val)->lock);
}

/* ---- the store ---- */

bool rival_free(const struct mem_store *s, const struct mem_tx *lock) { return lock == NULL || lock == s->tx; }

bool rival_wary(const struct mem_store *s) { return !s->db->single && s->db->now_us < s->wary_until; }

enum store_rc rival_waited(struct mem_store *s) {
  bool was = rival_wary(s);
  s->wary_until = s->db->now_us + WARY_US;
  return was || s->db->single || s->cut ? STORE_RETRY : STORE_STALE;
}

static bool flow_held(struct batch *b, int64_t fi) {
  for (size_t i = 0; i < b->n_flow; i++)
    if (b->flow[i].row.fi == fi) return b->flow[i].held = true;
  return false;
}

enum store_rc rival_ask(struct mem_store *s, struct batch *b) {
  bool any = false;
  if (!rival_wary(s)) return STORE_OK;
  for (size_t i = 0; i < b->n_flow; i++) {
    const struct flow_write *w = &b->flow[i];
    const struct mem_flow *f = memdb_flow(s->db, w->row.fi);
    if (w->op == ROW_INSERT ? s->db->flows[w->row.flow_id - 1].held : f && w->expect && !rival_free(s, f->lock)) any |= flow_held(b, w->row.fi);
  }
  for (size_t i = 0; i < b->n_node; i++) {
    const struct mem_node *n = memdb_node(s->db, b->node[i].row.ni);
    if (b->node[i].op == ROW_UPDATE && n && !rival_free(s, n->lock)) any |= flow_held(b, b->node[i].row.fi);
  }
  for (size_t i = 0; i < b->n_task; i++) {
    const struct mem_task *t = memdb_task(s->db, b->task[i].row.ti);
    if (b->task[i].op != ROW_UPDATE || !t || rival_free(s, t->lock)) continue;
    if (b->task[i].row.ni) any |= flow_held(b, b->task[i].row.fi);
    else any = b->task[i].held = true;
  }
  if (any) s->wary_until = s->db->now_us + WARY_US;
  return any ? STORE_STALE : STORE_OK;
}
