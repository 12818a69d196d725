/* taskKeys of a batch: alone_keys.h. */
#include "alone_keys.h"

void alone_keys_init(struct alone_keys *k, struct env *env) { *k = (struct alone_keys){.env = env}; }
void alone_keys_forget(struct alone_keys *k) { k->n = 0; }

void alone_keys_check(const struct alone_keys *k) {
  for (size_t i = 0; i < k->n; i++) {
    wr_assert(k->v[i].state <= KEY_NEW && (k->v[i].ti != 0) == (k->v[i].state == KEY_KNOWN || k->v[i].state == KEY_NEW));
    wr_assert(i == 0 || strcmp(k->v[i - 1].key, k->v[i].key) < 0);
  }
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static const char *name_of(const struct req_task *t) { return t->spec ? t->spec->key : NULL; }

static uint32_t tasks_of(const struct ev *e) { return e->q && e->q->kind == REQ_EXEC_TASK ? e->q->n_task : 0; }

/* The names in e[0..n), ascending, each once. */
static size_t names(struct alone_keys *k, const struct ev *e, size_t n, const char ***out) {
  const char **v = NULL;
  size_t m = 0, cap = 0, kept = 0;
  for (size_t i = 0; i < n; i++)
    for (uint32_t t = 0; t < tasks_of(&e[i]); t++)
      if (name_of(&e[i].q->task[t])) *WR_PUSH(v, m, cap) = name_of(&e[i].q->task[t]);
  if (m == 0) return 0;
  qsort(v, m, sizeof *v, by_name);
  for (size_t i = 0; i < m; i++)
    if (kept == 0 || strcmp(v[kept - 1], v[i]) != 0) v[kept++] = v[i];
  *out = arena_alloc(&k->env->mem, kept * sizeof *v);
  memcpy(*out, v, kept * sizeof *v);
  free(v);
  return kept;
}

enum store_rc alone_keys_load(struct alone_keys *k, const struct ev *e, size_t n) {
  const char **name;
  size_t m = names(k, e, n, &name);
  k->n = 0;
  if (m == 0) return STORE_OK;
  struct async_key *row = arena_zalloc(&k->env->mem, m * sizeof *row);
  uint8_t *got = arena_zalloc(&k->env->mem, m);
  enum store_rc rc = store_async_keys(k->env->store, name, m, row, got);
  if (rc != STORE_OK) return rc;
  k->v = arena_zalloc(&k->env->mem, m * sizeof *k->v);
  k->n = m;
  for (size_t i = 0; i < m; i++) {
    k->v[i] = (struct alone_key){.key = name[i], .state = (enum key_state)got[i]};
    if (got[i] != KEY_KNOWN) continue;
    k->v[i].ti = row[i].ti;
    memcpy(k->v[i].hash, row[i].hash, KEY_HASH_BYTES);
  }
  return STORE_OK;
}

static int by_key(const void *name, const void *k) { return strcmp(name, ((const struct alone_key *)k)->key); }

struct alone_key *alone_key_of(const struct alone_keys *k, const struct req_task *t) {
  if (!name_of(t)) return NULL;
  struct alone_key *found = bsearch(name_of(t), k->v, k->n, sizeof *k->v, by_key);
  wr_assert(found != NULL); /* alone_keys_load() saw this request */
  return found;
}

void alone_key_take(struct alone_key *key, const struct req_task *t) {
  key->state = KEY_NEW;
  key->ti = t->ti;
  memcpy(key->hash, t->spec->hash, KEY_HASH_BYTES);
}
