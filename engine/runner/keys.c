/* Idempotency keys: keys.h. */
#include "keys.h"
#include "answers.h"

void keys_init(struct keys *k, struct env *env) { *k = (struct keys){.env = env}; }
void keys_forget(struct keys *k) { k->n = 0; }

void keys_check(const struct keys *k) {
  for (size_t i = 0; i < k->n; i++) {
    wr_assert(k->v[i].state <= KEY_NEW);
    wr_assert(i == 0 || strcmp(k->v[i - 1].w.key, k->v[i].w.key) < 0);
    wr_assert(k->v[i].state != KEY_NEW || k->v[i].w.row.n > 0);
  }
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static const char *key_of(const struct ev *e) { return e->q ? e->q->key : NULL; }

/* The keys of the requests in e[0..n), ascending, each once. */
static size_t key_names(struct keys *k, const struct ev *e, size_t n, const char ***out) {
  size_t m = 0, kept = 0;
  for (size_t i = 0; i < n; i++) m += key_of(&e[i]) != NULL;
  if (m == 0) return 0;
  const char **v = arena_alloc(&k->env->mem, m * sizeof *v);
  m = 0;
  for (size_t i = 0; i < n; i++)
    if (key_of(&e[i])) v[m++] = key_of(&e[i]);
  qsort(v, m, sizeof *v, by_name);
  for (size_t i = 0; i < m; i++)
    if (kept == 0 || strcmp(v[kept - 1], v[i]) != 0) v[kept++] = v[i];
  *out = v;
  return kept;
}

enum store_rc keys_load(struct keys *k, const struct ev *e, size_t n) {
  const char **name;
  size_t m = key_names(k, e, n, &name);
  k->n = 0;
  if (m == 0) return STORE_OK;
  struct key_row *row = arena_zalloc(&k->env->mem, m * sizeof *row);
  uint8_t *got = arena_zalloc(&k->env->mem, m);
  enum store_rc rc = store_keys(k->env->store, name, m, row, got);
  if (rc != STORE_OK) return rc;
  k->v = arena_alloc(&k->env->mem, m * sizeof *k->v);
  k->n = m;
  for (size_t i = 0; i < m; i++) k->v[i] = (struct batch_key){{name[i], row[i]}, (enum key_state)got[i]};
  return STORE_OK;
}

static int by_key(const void *name, const void *k) { return strcmp(name, ((const struct batch_key *)k)->w.key); }

static struct batch_key *key_find(const struct keys *k, const struct req *q) {
  struct batch_key *found = bsearch(q->key, k->v, k->n, sizeof *k->v, by_key);
  wr_assert(found != NULL); /* keys_load() saw this event */
  return found;
}

static void replay(struct req *q, const struct key_row *row) {
  q->replayed = true;
  for (uint32_t i = 0; i < q->n_start; i++) q->start[i].fi = row->first_id + i;
}

static uint8_t key_kind(const struct req *q) { return q->kind == REQ_START ? KEY_STARTS : keys_job(q) ? KEY_JOB : KEY_TASK_INS; }
static uint32_t key_n(const struct req *q) { return q->kind == REQ_START ? q->n_start : keys_job(q) ? 1 : q->n_task; }

bool keys_answer(const struct keys *k, struct ev *e, int64_t *first_id) {
  struct req *q = e->q;
  const struct batch_key *key = key_find(k, q);
  switch (key->state) {
  case KEY_FREE: return false;
  case KEY_HELD: e->then = THEN_LATER; return true;
  case KEY_KNOWN: case KEY_NEW: break;
  }
  bool same = memcmp(key->w.row.hash, q->key_hash, KEY_HASH_BYTES) == 0 && key->w.row.kind == key_kind(q) &&
              key->w.row.n == key_n(q);
  *first_id = key->w.row.first_id;
  if (same) replay(q, &key->w.row);
  else req_fail(q, WR_KEY_REUSED, NULL);
  return true;
}

void keys_take(struct keys *k, const struct req *q, int64_t first_id, uint32_t n) {
  struct batch_key *key = key_find(k, q);
  key->state = KEY_NEW;
  key->w.row = (struct key_row){.kind = key_kind(q), .first_id = first_id, .n = n, .create_us = k->env->wall_us};
  memcpy(key->w.row.hash, q->key_hash, KEY_HASH_BYTES);
}
