/* Jobs of the in-memory database (memstore.h): their heads, and who may write them. One thread.
 * What never happens: a task of a job changes in a transaction that has not locked the job, or does not write it. */
#include "memdb_int.h"
#include <stdlib.h>
#include <string.h>

struct mem_job *memdb_job(const struct memdb *db, int64_t job_id) {
  struct mem_job *j = map64_get(&db->job, job_id);
  return j && !j->deleted ? j : NULL;
}

static const struct mem_job *job_of_key(const struct memdb *db, const char *key) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&db->job, &i)) != NULL;) {
    const struct mem_job *j = s->val;
    if (!j->deleted && strcmp(j->r.key, key) == 0) return j;
  }
  return NULL;
}

/* ---- the store ---- */

static enum store_rc in_vain(struct mem_store *s) {
  bool cut = s->cut;
  enum store_rc rc = rival_waited(s);
  s->cut = false;
  if (!cut && s->tx) tx_end(s->tx);
  return rc;
}

enum store_rc mem_job_lock(struct store *st, const int64_t *id, size_t n, struct job_row *out, uint8_t *got) {
  struct mem_store *s = (struct mem_store *)st;
  enum store_rc rc = mem_gate(s, MEM_LOCK, NULL);
  if (rc != STORE_OK) return rc;
  (void)tx_open(s);
  for (size_t i = 0; i < n; i++) {
    struct mem_job *j = map64_get(&s->db->job, id[i]);
    wr_assert(i == 0 || id[i - 1] < id[i]);
    if (j && !j->deleted && rival_wary(s) && !rival_free(s, j->lock)) { got[i] = 2; continue; }
    if (j && !get_lock(s, &j->lock)) return in_vain(s);
    got[i] = j && !j->deleted;
    if (!got[i]) continue;
    out[i] = j->r;
    out[i].key = arena_strdup(&s->texts, j->r.key);
    out[i].name = arena_strdup(&s->texts, j->r.name);
  }
  return STORE_OK;
}

enum store_rc mem_job_find(struct store *st, const char *key, int64_t *id, uint8_t hash[KEY_HASH_BYTES]) {
  struct mem_store *s = (struct mem_store *)st;
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  const struct mem_job *j = rc == STORE_OK ? job_of_key(s->db, key) : NULL;
  *id = j ? j->r.job_id : 0;
  if (j) memcpy(hash, j->r.hash, KEY_HASH_BYTES);
  return rc;
}

enum store_rc mem_job_tasks(struct store *st, int64_t id, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out) {
  struct mem_store *s = (struct mem_store *)st;
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  *n_out = 0;
  for (int64_t t = after_ti + 1; rc == STORE_OK && t <= s->db->max_ti && *n_out < n; t++) {
    const struct mem_async *a = memdb_async(s->db, t);
    if (a && a->r.job == id) ti[(*n_out)++] = t;
  }
  return rc;
}

enum store_rc mem_job_keys(struct store *st, const char *from, const char *to, int64_t *id, size_t n, size_t *n_out) {
  struct mem_store *s = (struct mem_store *)st;
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  const struct mem_job *last = NULL;
  *n_out = 0;
  while (rc == STORE_OK && *n_out < n) {
    const struct mem_job *next = NULL;
    const struct map64_slot *m;
    for (size_t i = 0; (m = map64_next(&s->db->job, &i)) != NULL;) {
      const struct mem_job *j = m->val;
      bool in = !j->deleted && strcmp(j->r.key, last ? last->r.key : from) > 0 && strcmp(j->r.key, to) < 0;
      if (in && (!next || strcmp(j->r.key, next->r.key) < 0)) next = j;
    }
    if (!next) break;
    last = next;
    id[(*n_out)++] = next->r.job_id;
  }
  return rc;
}

enum store_rc mem_live_jobs(struct store *st, int64_t after_id, int64_t *id, size_t n, size_t *n_out) {
  struct mem_store *s = (struct mem_store *)st;
  enum store_rc rc = mem_gate(s, MEM_SCAN, NULL);
  *n_out = 0;
  const struct map64_slot *m;
  for (int64_t last = after_id; rc == STORE_OK && *n_out < n;) { /* the smallest behind the last one */
    int64_t next = INT64_MAX;
    for (size_t i = 0; (m = map64_next(&s->db->job, &i)) != NULL;) {
      const struct mem_job *j = m->val;
      if (!j->deleted && j->r.j.pass && m->key > last && m->key < next) next = m->key;
    }
    if (next == INT64_MAX) break;
    id[(*n_out)++] = last = next;
  }
  return rc;
}

/* ---- trees ---- */

const struct tree_row *memdb_tree(const struct memdb *db, int64_t ti) { return map64_get(&db->tree, ti); }

enum store_rc mem_tree(struct store *st, int64_t ti, struct tree_row *out, bool *got) {
  struct mem_store *s = (struct mem_store *)st;
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  const struct tree_row *r = rc == STORE_OK ? memdb_tree(s->db, ti) : NULL;
  *got = r != NULL;
  if (r) *out = *r;
  return rc;
}

enum store_rc mem_children(struct store *st, int64_t parent, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out) {
  struct mem_store *s = (struct mem_store *)st;
  enum store_rc rc = mem_gate(s, MEM_READ, NULL);
  *n_out = 0;
  for (int64_t t = after_ti + 1; rc == STORE_OK && t <= s->db->max_ti && *n_out < n; t++) {
    const struct mem_async *a = memdb_async(s->db, t);
    if (a && a->r.parent == parent) ti[(*n_out)++] = t;
  }
  return rc;
}

void trees_apply(struct memdb *db, const struct batch *b) {
  for (size_t i = 0; i < b->n_tree; i++) {
    struct tree_row *r = map64_get(&db->tree, b->tree[i].ti);
    if (!r) (void)map64_put(&db->tree, b->tree[i].ti, r = wr_new(struct tree_row));
    *r = b->tree[i];
  }
  for (size_t i = 0; i < b->n_gone; i++) free(map64_del(&db->tree, b->gone[i]));
}

/* ---- transactions ---- */

void jobs_copy(struct mem_tx *tx, const struct batch *b) {
  tx->b.job = arena_alloc(&tx->mem, b->n_job * sizeof *b->job + 1);
  if (b->n_job > 0) memcpy(tx->b.job, b->job, b->n_job * sizeof *b->job);
  for (size_t i = 0; i < b->n_job; i++) {
    struct job_row *r = &tx->b.job[i].row;
    r->key = arena_strdup(&tx->mem, r->key);
    r->name = arena_strdup(&tx->mem, r->name);
  }
}

void jobs_unlock(struct memdb *db, const struct mem_tx *tx) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&db->job, &i)) != NULL;)
    if (((struct mem_job *)s->val)->lock == tx) ((struct mem_job *)s->val)->lock = NULL;
}

static const struct job_write *write_of(const struct batch *b, int64_t id) {
  for (size_t i = 0; i < b->n_job; i++)
    if (b->job[i].row.job_id == id) return &b->job[i];
  return NULL;
}

/* Of a task that is made, or is there. */
static int64_t job_of(const struct memdb *db, const struct batch *b, int64_t ti) {
  const struct mem_async *a = memdb_async(db, ti);
  for (size_t i = 0; !a && i < b->n_async; i++)
    if (b->async[i].row.ti == ti) return b->async[i].row.job;
  return a ? a->r.job : 0;
}

static enum store_rc broken(const struct mem_store *s, const char *what, int64_t id) {
  s->db->hooks.broken(s->db->hooks.ctx, what, id);
  return STORE_BAD;
}

static enum store_rc check_job(const struct mem_store *s, const struct job_write *w) {
  const struct mem_job *j = memdb_job(s->db, w->row.job_id);
  if (w->op == ROW_INSERT && j) return broken(s, "job inserted twice", w->row.job_id);
  if (w->op == ROW_INSERT) return job_of_key(s->db, w->row.key) ? STORE_RETRY : STORE_OK;
  if (!j) return broken(s, "update of a job that is not there", w->row.job_id);
  return j->lock == s->tx ? STORE_OK : broken(s, "write to a job that is not locked", w->row.job_id);
}

static bool key_under_way(const struct mem_store *s, const char *key) {
  for (const struct mem_tx *tx = s->db->txs; tx; tx = tx->next)
    for (size_t i = 0; tx != s->tx && tx->written && i < tx->b.n_job; i++)
      if (tx->b.job[i].op == ROW_INSERT && strcmp(tx->b.job[i].row.key, key) == 0) return true;
  return false;
}

enum store_rc jobs_check_rows(const struct mem_store *s, const struct batch *b) {
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < b->n_job && rc == STORE_OK; i++) {
    if (i > 0 && b->job[i - 1].row.job_id >= b->job[i].row.job_id) return broken(s, "jobs out of order", b->job[i].row.job_id);
    rc = check_job(s, &b->job[i]);
    if (rc == STORE_OK && b->job[i].op == ROW_INSERT && key_under_way(s, b->job[i].row.key)) rc = STORE_RETRY;
  }
  for (size_t i = 0; i < b->n_task && rc == STORE_OK; i++) {
    int64_t job = b->task[i].row.ni == 0 ? job_of(s->db, b, b->task[i].row.ti) : 0;
    if (job && !write_of(b, job)) rc = broken(s, "task changed without its job", b->task[i].row.ti);
  }
  return rc;
}

void jobs_apply(struct memdb *db, const struct batch *b) {
  for (size_t i = 0; i < b->n_job; i++) {
    const struct job_write *w = &b->job[i];
    struct mem_job *j = memdb_job(db, w->row.job_id);
    if (!j) {
      j = wr_new(struct mem_job);
      j->r = w->row;
      j->r.key = wr_strdup(w->row.key);
      j->r.name = wr_strdup(w->row.name);
      (void)map64_put(&db->job, w->row.job_id, j);
    }
    j->r.j = w->row.j;
    j->r.end_us = w->row.end_us;
    j->r.update_us = w->row.update_us;
    j->r.version = b->id;
    j->deleted = w->gone;
  }
}

void jobs_free(struct memdb *db) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&db->job, &i)) != NULL;) {
    struct mem_job *j = s->val;
    free((void *)(uintptr_t)j->r.key);
    free((void *)(uintptr_t)j->r.name);
    free(j);
  }
  map64_done(&db->job);
  for (size_t i = 0; (s = map64_next(&db->tree, &i)) != NULL;) free(s->val);
  map64_done(&db->tree);
}
