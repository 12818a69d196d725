/* Two keyed hash tables of the parser: node keys to indices, and equal inline tasks to one definition.
 * One owner, one thread, for one call. Seeded at random, so that no body can be made of colliding names. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "model.h"

static struct hash_seed hash_seed(void) {
  struct hash_seed s;
  rand_secret(&s, sizeof s);
  s.a |= 1;
  s.b |= 1;
  return s;
}

/* Multiply to 128 bits and fold: every bit of both reaches every bit of the result. */
static uint64_t fold(uint64_t x, uint64_t y) {
  unsigned __int128 p = (unsigned __int128)x * y;
  return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t hash_bytes(const struct hash_seed *s, uint64_t h, const void *p, size_t n) {
  const char *at = p;
  uint64_t w;
  h = fold(h ^ s->a, n ^ s->b);
  for (; n >= sizeof w; at += sizeof w, n -= sizeof w) {
    memcpy(&w, at, sizeof w);
    h = fold(h ^ w ^ s->a, s->b);
  }
  w = 0;
  memcpy(&w, at, n);
  return fold(h ^ w ^ s->a, s->b);
}

/* ---- node keys ---- */
struct keymap_slot { uint32_t hash, node; }; /* node: index + 1, 0 = free */

void keymap_init(struct keymap *m, const struct node_def *node, size_t n) {
  size_t cap = 16;
  while (cap < n * 2) cap *= 2;
  *m = (struct keymap){wr_calloc(cap, sizeof *m->slot), cap - 1, node, hash_seed()};
}

void keymap_done(struct keymap *m) {
  free(m->slot);
  m->slot = NULL;
}

static struct keymap_slot *keymap_seek(const struct keymap *m, const char *key, size_t len, uint32_t hash) {
  for (size_t i = hash & m->mask;; i = (i + 1) & m->mask) {
    struct keymap_slot *s = &m->slot[i];
    if (s->node == 0) return s;
    if (s->hash != hash) continue;
    const char *k = m->node[s->node - 1].key;
    if (strlen(k) == len && memcmp(k, key, len) == 0) return s;
  }
}

uint32_t keymap_find(const struct keymap *m, const char *key, size_t len) {
  const struct keymap_slot *s = keymap_seek(m, key, len, (uint32_t)hash_bytes(&m->seed, 0, key, len));
  return s->node ? s->node - 1 : KEYMAP_NONE;
}

uint32_t keymap_add(struct keymap *m, uint32_t i) {
  const char *key = m->node[i].key;
  size_t len = strlen(key);
  uint32_t hash = (uint32_t)hash_bytes(&m->seed, 0, key, len);
  struct keymap_slot *s = keymap_seek(m, key, len, hash);
  if (s->node) return s->node - 1;
  *s = (struct keymap_slot){hash, i + 1};
  return KEYMAP_NONE;
}

/* ---- inline tasks ---- */
enum { INTERN_FIRST = 64 };

void intern_init(struct intern *t) { *t = (struct intern){.seed = hash_seed()}; }

void intern_done(struct intern *t) {
  for (size_t i = 0; i < t->cap; i++) def_task_unref(t->slot[i]);
  free(t->slot);
  *t = (struct intern){0};
}

struct task_key task_key_of(const struct task_def *t) {
  return (struct task_key){t->name, t->description, t->type, t->content, t->config};
}

static uint64_t hash_text(const struct hash_seed *s, uint64_t h, const char *text) {
  return text ? hash_bytes(s, h, text, strlen(text)) : fold(h ^ s->b, s->a); /* absent is not "" */
}

static uint64_t task_hash(const struct hash_seed *s, const struct task_key *k) {
  uint64_t h = hash_text(s, 1, k->name);
  h = hash_text(s, h, k->description);
  h = hash_text(s, h, k->type);
  h = hash_text(s, h, k->content);
  return hash_text(s, h, k->config);
}

static bool text_same(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

static bool task_same(const struct task_def *t, const struct task_key *k) {
  return text_same(t->name, k->name) && text_same(t->description, k->description) && text_same(t->type, k->type) &&
         text_same(t->content, k->content) && text_same(t->config, k->config);
}

static struct task_def **intern_seek(const struct intern *t, const struct task_key *k) {
  size_t i = (size_t)task_hash(&t->seed, k) & (t->cap - 1);
  while (t->slot[i] && !task_same(t->slot[i], k)) i = (i + 1) & (t->cap - 1);
  return &t->slot[i];
}

struct task_def *intern_find(const struct intern *t, const struct task_key *key) {
  return t->n ? def_task_ref(*intern_seek(t, key)) : NULL;
}

void intern_add(struct intern *t, struct task_def *def) {
  if (t->n >= t->cap / 4 * 3) {
    struct intern old = *t;
    t->cap = old.cap ? old.cap * 2 : INTERN_FIRST;
    t->slot = wr_calloc(t->cap, sizeof(struct task_def *));
    for (size_t i = 0; i < old.cap; i++) {
      if (!old.slot[i]) continue;
      struct task_key k = task_key_of(old.slot[i]);
      *intern_seek(t, &k) = old.slot[i];
    }
    free(old.slot);
  }
  struct task_key k = task_key_of(def);
  struct task_def **at = intern_seek(t, &k);
  if (*at) return;
  *at = def_task_ref(def);
  t->n++;
}
