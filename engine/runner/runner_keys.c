/* Idempotency keys of a batch: looked up together before anything is locked, known to the requests behind each other in
 * the batch, written with the rows that they stand for. The runner thread's.
 *
 * Two requests with one key never both start: in one batch the second sees the first, on one node the next batch sees the
 * row, and between nodes the store's unique index lets one batch through. What never happens: a key without the rows of
 * its request, or the other way round. A batch without keys does nothing here. */
#include <stdlib.h>
#include <string.h>
#include "runner_int.h"

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static const char *key_of(const struct ev *e) { return e->q ? e->q->key : NULL; }

/* The keys of ev[0..n), ascending, each once. */
static size_t names(struct runner *r, size_t n, const char ***out) {
  size_t m = 0, k = 0;
  for (size_t i = 0; i < n; i++) m += key_of(&r->ev[i]) != NULL;
  if (m == 0) return 0;
  const char **v = arena_alloc(&r->mem, m * sizeof *v);
  m = 0;
  for (size_t i = 0; i < n; i++)
    if (key_of(&r->ev[i])) v[m++] = key_of(&r->ev[i]);
  qsort(v, m, sizeof *v, by_name);
  for (size_t i = 0; i < m; i++)
    if (k == 0 || strcmp(v[k - 1], v[i]) != 0) v[k++] = v[i];
  *out = v;
  return k;
}

enum store_rc keys_load(struct runner *r, size_t n) {
  const char **name;
  size_t m = names(r, n, &name);
  r->n_key = 0;
  if (m == 0) return STORE_OK;
  struct key_row *row = arena_zalloc(&r->mem, m * sizeof *row);
  uint8_t *got = arena_zalloc(&r->mem, m);
  enum store_rc rc = store_keys(r->s, name, m, row, got);
  if (rc != STORE_OK) return rc;
  r->key = arena_alloc(&r->mem, m * sizeof *r->key);
  r->n_key = m;
  for (size_t i = 0; i < m; i++) r->key[i] = (struct batch_key){{name[i], row[i]}, (enum key_state)got[i]};
  return STORE_OK;
}

static int by_key(const void *name, const void *k) { return strcmp(name, ((const struct batch_key *)k)->w.key); }

static struct batch_key *find(struct runner *r, const struct req *q) {
  struct batch_key *k = bsearch(q->key, r->key, r->n_key, sizeof *r->key, by_key);
  wr_assert(k != NULL); /* keys_load() saw this event */
  return k;
}

static void replay(struct req *q, const struct key_row *row) {
  q->replayed = true;
  for (uint32_t i = 0; i < q->n_start; i++) q->start[i].fi = row->first_id + i;
  if (q->kind == REQ_EXEC_TASK) q->ti = row->first_id;
}

static uint8_t kind_of(const struct req *q) { return q->kind == REQ_START ? KEY_STARTS : KEY_TASK_INS; }

bool key_answers(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  const struct batch_key *k = find(r, q);
  switch (k->state) {
  case KEY_FREE: return false;
  case KEY_HELD: e->defer = true; return true;
  case KEY_KNOWN: case KEY_NEW: break;
  }
  bool same = memcmp(k->w.row.hash, q->key_hash, KEY_HASH_BYTES) == 0 && k->w.row.kind == kind_of(q) &&
              (q->kind != REQ_START || k->w.row.n == q->n_start);
  if (same) replay(q, &k->w.row);
  else req_fail(q, WR_KEY_REUSED, NULL);
  return true;
}

void key_take(struct runner *r, const struct req *q, int64_t first_id, uint32_t n) {
  struct batch_key *k = find(r, q);
  k->state = KEY_NEW;
  k->w.row = (struct key_row){.kind = kind_of(q), .first_id = first_id, .n = n, .create_us = r->wall_us};
  memcpy(k->w.row.hash, q->key_hash, KEY_HASH_BYTES);
}

void key_rows(struct runner *r) {
  for (size_t i = 0; i < r->n_key; i++)
    if (r->key[i].state == KEY_NEW) *WR_PUSH(r->b.key, r->b.n_key, r->cap_bk) = r->key[i].w;
}
