/* Names of hosts into addresses, without a wait. The cache is the client's thread's. What is to be looked up goes to threads, at
 * most LIMIT_LOOKUPS; each ends when nothing is left to look up. getaddrinfo() has no bound: threads that hang in it outlive the
 * client, and the last of them frees what they share.
 *
 *   names_get() -> queue -> [thread: lookup] -> ready -> names_turn() -> cache
 *
 * What never happens: two lookups of one name at once; a lookup for who knows the address; more names than LIMIT_HTTP_NAMES but
 * for those that somebody waits for. */
#include <stdlib.h>
#include <string.h>
#include "http_int.h"
#include "text.h"

enum { BUCKETS = 256 };

struct job { struct job *next; char *host; struct addresses got; const char *why; };

/* Under mu; `refs` threads and the client. */
struct lookups {
  pthread_mutex_t mu;              /* a leaf, but for wake() */
  struct job *queue, **tail, *ready;
  lookup_fn *lookup;
  void (*wake)(void *ctx); void *ctx;   /* NULL: the client is gone */
  unsigned refs, threads;
};

struct name { struct name *next; char *host; enum name_state state; int64_t until_us; struct addresses a; const char *why; };
struct names { struct lookups *l; struct name *bucket[BUCKETS]; size_t n; };

/* ---- threads ---- */

static void job_free(struct job *j) {
  free(j->host);
  free(j);
}

/* Called with the lock, gives it back. */
static void unref(struct lookups *l) {
  bool last = --l->refs == 0;
  pthread_mutex_unlock(&l->mu);
  if (!last) return;
  for (struct job *j; (j = l->queue);) l->queue = j->next, job_free(j);
  for (struct job *j; (j = l->ready);) l->ready = j->next, job_free(j);
  pthread_mutex_destroy(&l->mu);
  free(l);
}

static struct job *take(struct lookups *l) {
  struct job *j = l->wake ? l->queue : NULL;
  if (!j) return NULL;
  l->queue = j->next;
  if (!l->queue) l->tail = &l->queue;
  return j;
}

static void *look_up(void *arg) {
  struct lookups *l = arg;
  pthread_mutex_lock(&l->mu);
  for (struct job *j; (j = take(l));) {
    pthread_mutex_unlock(&l->mu);
    j->why = l->lookup(j->host, &j->got);
    pthread_mutex_lock(&l->mu);
    j->next = l->ready;
    l->ready = j;
    if (l->wake) l->wake(l->ctx);
  }
  l->threads--;
  unref(l);
  return NULL;
}

/* Under the lock. No thread at all: the caller hears it. */
static bool more_threads(struct lookups *l) {
  pthread_attr_t how;
  pthread_t t;
  if (l->threads >= LIMIT_LOOKUPS) return true;
  pthread_attr_init(&how);
  pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&how, 256 << 10);
  bool made = pthread_create(&t, &how, look_up, l) == 0;
  pthread_attr_destroy(&how);
  if (made) l->threads++, l->refs++;
  return l->threads > 0;
}

static bool ask(struct lookups *l, const char *host) {
  struct job *j = wr_new(struct job);
  j->host = wr_strdup(host);
  pthread_mutex_lock(&l->mu);
  bool ok = more_threads(l);
  if (ok) {
    *l->tail = j;
    l->tail = &j->next;
  }
  pthread_mutex_unlock(&l->mu);
  if (!ok) job_free(j);
  return ok;
}

/* ---- the cache ---- */

static struct name **bucket_of(struct names *n, const char *host) {
  return &n->bucket[text_fnv(TEXT_FNV, host, strlen(host)) % BUCKETS];
}

static struct name *find(struct names *n, const char *host) {
  struct name *e = *bucket_of(n, host);
  while (e && strcmp(e->host, host) != 0) e = e->next;
  return e;
}

static void sweep(struct names *n, int64_t before_us) {
  for (size_t i = 0; i < BUCKETS; i++)
    for (struct name **at = &n->bucket[i], *e; (e = *at);) {
      if (e->state == NAME_WAITS || e->until_us > before_us) {
        at = &e->next;
        continue;
      }
      *at = e->next;
      free(e->host);
      free(e);
      n->n--;
    }
}

static struct name *name_new(struct names *n, const char *host, int64_t now_us) {
  if (n->n >= LIMIT_HTTP_NAMES) sweep(n, now_us);
  if (n->n >= LIMIT_HTTP_NAMES) sweep(n, INT64_MAX);
  struct name *e = wr_new(struct name), **b = bucket_of(n, host);
  e->host = wr_strdup(host);
  e->next = *b;
  *b = e;
  n->n++;
  return e;
}

static void begin(struct names *n, struct name *e, int64_t now_us) {
  e->state = NAME_WAITS;
  if (ask(n->l, e->host)) return;
  e->state = NAME_NONE;
  e->why = "no thread can be made to look it up";
  e->until_us = now_us + NAME_BAD_US;
}

enum name_state names_get(struct names *n, const char *host, int64_t now_us, const struct addresses **out, const char **why) {
  struct name *e = find(n, host);
  if (!e) begin(n, e = name_new(n, host, now_us), now_us);
  else if (e->state != NAME_WAITS && e->until_us <= now_us) begin(n, e, now_us);
  *out = &e->a;
  *why = e->why;
  return e->state;
}

bool names_turn(struct names *n, int64_t now_us) {
  pthread_mutex_lock(&n->l->mu);
  struct job *list = n->l->ready;
  n->l->ready = NULL;
  pthread_mutex_unlock(&n->l->mu);
  bool any = list != NULL;
  for (struct job *j; (j = list);) {
    list = j->next;
    struct name *e = find(n, j->host);
    wr_assert(e && e->state == NAME_WAITS);
    e->state = j->why ? NAME_NONE : NAME_KNOWN;
    e->why = j->why;
    e->a = j->got;
    e->until_us = now_us + (j->why ? NAME_BAD_US : NAME_GOOD_US);
    job_free(j);
  }
  return any;
}

struct names *names_new(lookup_fn *lookup, void (*wake)(void *ctx), void *ctx) {
  struct names *n = wr_new(struct names);
  struct lookups *l = n->l = wr_new(struct lookups);
  l->tail = &l->queue;
  l->lookup = lookup;
  l->wake = wake;
  l->ctx = ctx;
  l->refs = 1;
  pthread_mutex_init(&l->mu, NULL);
  return n;
}

void names_free(struct names *n) {
  for (size_t i = 0; i < BUCKETS; i++)
    for (struct name *e; (e = n->bucket[i]);) {
      n->bucket[i] = e->next;
      free(e->host);
      free(e);
    }
  pthread_mutex_lock(&n->l->mu);
  n->l->wake = NULL;
  unref(n->l);
  free(n);
}
