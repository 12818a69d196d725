/* Names of lists of hints: hint_lists.h. */
#include "hint_lists.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"
#include "text.h"

#define WORDS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define TYPE_CHARS WORDS "_.-"
#define LABEL_CHARS WORDS "_./:=-"
enum { PLACES = 2 * LIMIT_HINT_CLASSES, MOST_LABELS = LIMIT_HINT_CLASS_CHARS / 2 };

struct hint_lists {
  pthread_mutex_t mu;
  char *name[LIMIT_HINT_CLASSES];     /* of list i + 1 */
  uint16_t n, at[PLACES];             /* where the hash of a name leads to: the number of its list, 0 = none */
};

struct hint_lists *hint_lists_new(void) {
  struct hint_lists *l = wr_new(struct hint_lists);
  pthread_mutex_init(&l->mu, NULL);
  return l;
}

void hint_lists_free(struct hint_lists *l) {
  if (!l) return;
  for (uint16_t i = 0; i < l->n; i++) free(l->name[i]);
  pthread_mutex_destroy(&l->mu);
  free(l);
}

/* ---- names ---- */

struct out { char *s; size_t n; bool ok; };

static void add_char(struct out *o, char c) {
  o->ok &= o->n < LIMIT_HINT_CLASS_CHARS;
  if (o->ok) o->s[o->n++] = c;
}

static bool is_plain(char c, const char *plain) { return c != '\0' && strchr(plain, c) != NULL; }

static void add_text(struct out *o, const char *s, size_t n, const char *plain) {
  for (size_t i = 0; i < n && o->ok; i++) {
    char hex[4] = {s[i]};
    if (!is_plain(s[i], plain)) snprintf(hex, sizeof hex, "%%%02X", (unsigned)(unsigned char)s[i]);
    for (const char *p = hex; *p; p++) add_char(o, *p);
  }
}

struct word { const char *s; size_t n; };

static int by_bytes(const void *a, const void *b) {
  const struct word *x = a, *y = b;
  int c = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);
  return c ? c : (x->n > y->n) - (x->n < y->n);
}

static void add_labels(struct out *o, const char *labels) {
  struct word w[MOST_LABELS];
  size_t n = 0;
  for (const char *p = labels; *p && o->ok; p += *p == ',') {
    o->ok = n < MOST_LABELS && *p != ',';
    if (o->ok) w[n++] = (struct word){p, strcspn(p, ",")};
    p += strcspn(p, ",");
  }
  if (n > 1) qsort(w, n, sizeof *w, by_bytes);
  for (size_t i = 0; i < n && o->ok; i++) {
    add_char(o, i ? ',' : ';');
    add_text(o, w[i].s, w[i].n, LABEL_CHARS);
  }
}

bool hint_class_name(const char *type, const char *labels, char out[HINT_CLASS_BYTES]) {
  struct out o = {out, 0, *type != '\0'};
  add_text(&o, type, strlen(type), TYPE_CHARS);
  if (labels) add_labels(&o, labels);
  out[o.n] = '\0';
  return o.ok;
}

/* What is read must be what would be written: no two names lead to one class. */
bool hint_class_read(const char *name, size_t n, char *type, char *labels) {
  char again[HINT_CLASS_BYTES];
  if (n == 0 || n > LIMIT_HINT_CLASS_CHARS || memchr(name, '\0', n)) return false;
  const char *semi = memchr(name, ';', n);
  size_t head = semi ? (size_t)(semi - name) : n;
  if (!text_unpercent(type, name, head) || !text_unpercent(labels, semi ? semi + 1 : name, semi ? n - head - 1 : 0)) return false;
  return hint_class_name(type, labels, again) && strlen(again) == n && memcmp(again, name, n) == 0;
}

/* ---- numbers ---- */

static uint32_t hash_of(const char *s, size_t n) { /* FNV-1a */
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 16777619u;
  return h;
}

/* Under mu. */
static uint16_t number_of(struct hint_lists *l, const char *name, size_t n) {
  for (uint32_t i = hash_of(name, n) % PLACES;; i = (i + 1) % PLACES) {
    if (l->at[i] == 0 && l->n == LIMIT_HINT_CLASSES) return HINT_LIST_SHARED;
    if (l->at[i] == 0) {
      l->name[l->n] = wr_memdup0(name, n);
      return l->at[i] = ++l->n;
    }
    const char *s = l->name[l->at[i] - 1];
    if (strlen(s) == n && memcmp(s, name, n) == 0) return l->at[i];
  }
}

static uint16_t number(struct hint_lists *l, const char *name, size_t n) {
  pthread_mutex_lock(&l->mu);
  uint16_t list = number_of(l, name, n);
  pthread_mutex_unlock(&l->mu);
  return list;
}

uint16_t hint_list(struct hint_lists *l, const char *type, const char *labels) {
  char name[HINT_CLASS_BYTES];
  return hint_class_name(type, labels, name) ? number(l, name, strlen(name)) : HINT_LIST_SHARED;
}

uint16_t hint_list_named(struct hint_lists *l, const char *name, size_t n) {
  char type[HINT_CLASS_BYTES], labels[HINT_CLASS_BYTES];
  return hint_class_read(name, n, type, labels) ? number(l, name, n) : HINT_LIST_SHARED;
}

void hint_list_name(struct hint_lists *l, uint16_t list, char out[HINT_CLASS_BYTES]) {
  pthread_mutex_lock(&l->mu);
  snprintf(out, HINT_CLASS_BYTES, "%s", list > 0 && list <= l->n ? l->name[list - 1] : HINT_LIST_SHARED_NAME);
  pthread_mutex_unlock(&l->mu);
}
