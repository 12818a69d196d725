/* taskKeys of a batch: alone_keys.h. */
#include "alone_keys.h"
#include "analysis.h"

void alone_keys_init(struct alone_keys *k, struct env *env) { *k = (struct alone_keys){.env = env}; }
void alone_keys_forget(struct alone_keys *k) { k->n = 0; }

static int by_name(const void *a, const void *b) {
  const struct key_name *x = a, *y = b;
  if (x->scope != y->scope) return x->scope < y->scope ? -1 : 1;
  return strcmp(x->key, y->key);
}

void alone_keys_check(const struct alone_keys *k) {
  for (size_t i = 0; i < k->n; i++) {
    wr_assert(k->v[i].state <= KEY_NEW && (k->v[i].ti != 0) == (k->v[i].state == KEY_KNOWN || k->v[i].state == KEY_NEW));
    wr_assert(i == 0 || by_name(&k->v[i - 1], &k->v[i]) < 0);
  }
}

static const char *name_of(const struct req_task *t) { return t->spec ? t->spec->key : NULL; }

static uint32_t tasks_of(const struct ev *e) { return e->q && e->q->kind == REQ_EXEC_TASK ? e->q->n_task : 0; }

#define SCOPE_MADE INT64_MIN            /* and what follows, as far as events go */
static bool is_made(int64_t scope) { return scope < INT64_MIN / 2; }

/* A job that this batch may make has no number yet: its names are those of the event, and in no row. */
static int64_t scope_of(const struct ev *e, size_t i) {
  if (!e->q->job) return 0;
  return e->q->job->op == JOB_OP_MAKE ? SCOPE_MADE + (int64_t)i : e->q->job->job_id;
}

/* The tasks that an analyzer adds. */
static const struct verdict *verdict_of(const struct ev *e) {
  return e->kind == EV_RESULT && e->a && e->a->analysis && e->a->end == ATTEMPT_OK ? &e->a->analysis->verdict : NULL;
}

/* The names in e[0..n), ascending, each once. */
static size_t names(struct alone_keys *k, const struct ev *e, size_t n, struct key_name **out) {
  struct key_name *v = NULL;
  size_t m = 0, cap = 0, kept = 0;
  for (size_t i = 0; i < n; i++) {
    const struct verdict *said = verdict_of(&e[i]);
    for (uint32_t t = 0; said && t < said->n_task; t++)
      if (said->task[t].spec && said->task[t].spec->key)
        *WR_PUSH(v, m, cap) = (struct key_name){said->task[t].spec->key, e[i].a->scope};
    for (uint32_t t = 0; t < tasks_of(&e[i]); t++) {
      struct req_task *task = &e[i].q->task[t];
      task->scope = scope_of(&e[i], i);
      if (name_of(task)) *WR_PUSH(v, m, cap) = (struct key_name){name_of(task), task->scope};
    }
  }
  if (m == 0) return 0;
  qsort(v, m, sizeof *v, by_name);
  for (size_t i = 0; i < m; i++)
    if (kept == 0 || by_name(&v[kept - 1], &v[i]) != 0) v[kept++] = v[i];
  *out = arena_alloc(&k->env->mem, kept * sizeof *v);
  memcpy(*out, v, kept * sizeof *v);
  free(v);
  return kept;
}

enum store_rc alone_keys_load(struct alone_keys *k, const struct ev *e, size_t n) {
  struct key_name *name;
  size_t m = names(k, e, n, &name), made = 0;
  k->n = 0;
  if (m == 0) return STORE_OK;
  struct async_key *row = arena_zalloc(&k->env->mem, m * sizeof *row);
  uint8_t *got = arena_zalloc(&k->env->mem, m);
  while (made < m && is_made(name[made].scope)) made++;
  enum store_rc rc = made < m ? store_async_keys(k->env->store, name + made, m - made, row + made, got + made) : STORE_OK;
  if (rc != STORE_OK) return rc;
  k->v = arena_zalloc(&k->env->mem, m * sizeof *k->v);
  k->n = m;
  for (size_t i = 0; i < m; i++) {
    k->v[i] = (struct alone_key){.of = name[i], .state = (enum key_state)got[i]};
    if (got[i] != KEY_KNOWN) continue;
    k->v[i].ti = row[i].ti;
    memcpy(k->v[i].hash, row[i].hash, KEY_HASH_BYTES);
  }
  return STORE_OK;
}

struct alone_key *alone_key_of(const struct alone_keys *k, const struct req_task *t) {
  if (!name_of(t)) return NULL;
  struct alone_key key = {.of = {name_of(t), t->scope}};
  struct alone_key *found = bsearch(&key, k->v, k->n, sizeof *k->v, by_name);
  wr_assert(found != NULL); /* alone_keys_load() saw this request */
  return found;
}

void alone_key_take(struct alone_key *key, const struct req_task *t) {
  key->state = KEY_NEW;
  key->ti = t->ti;
  memcpy(key->hash, t->spec->hash, KEY_HASH_BYTES);
}
