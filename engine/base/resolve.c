/* Names into addresses: see resolve.h. One lock for all lookups, never held during one; a lookup belongs to its thread and to
 * the callers that wait for it, and the last of them frees it. */
#include "resolve.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "cond.h"
#include "wr_limits.h"
#include "mem.h"

#define JOIN_US 30000000       /* a lookup that lasts longer is given up: the next caller begins another */
#define STACK_BYTES (256 << 10)

struct lookup {
  struct lookup *next;
  char *host;
  int64_t began_us;
  unsigned refs;
  bool done;
  const char *why;             /* why it failed; NULL = `got` is valid */
  struct addresses got;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   /* guards what follows and every lookup; a leaf */
static pthread_cond_t ended;
static struct lookup *under_way;
static unsigned n_threads;

static void prepare(void) { cond_mono(&ended); }

/* ---- one lookup ---- */

/* flags: with AI_NUMERICHOST no server is asked. Each caller sets its own port. */
static const char *addresses_ask(const char *host, int flags, struct addresses *out) {
  struct addrinfo hint = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags}, *list = NULL;
  int rc = getaddrinfo(host, NULL, &hint, &list);
  out->n = 0;
  if (rc != 0) return rc == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(rc);
  for (const struct addrinfo *a = list; a && out->n < RESOLVE_MAX; a = a->ai_next) {
    if ((a->ai_family != AF_INET && a->ai_family != AF_INET6) || a->ai_addrlen > sizeof out->a[0].at) continue;
    struct address *to = &out->a[out->n++];
    memcpy(&to->at, a->ai_addr, a->ai_addrlen);
    to->len = a->ai_addrlen;
  }
  freeaddrinfo(list);
  return out->n ? NULL : gai_strerror(EAI_NONAME);
}

static void unref(struct lookup *l) {
  if (--l->refs > 0) return;
  free(l->host);
  free(l);
}

static void *look_up(void *arg) {
  struct lookup *l = arg;
  struct addresses got;
  const char *why = addresses_ask(l->host, 0, &got);
  pthread_mutex_lock(&lock);
  l->got = got;
  l->why = why;
  l->done = true;
  struct lookup **at = &under_way;
  while (*at != l) at = &(*at)->next;
  *at = l->next;
  n_threads--;
  unref(l);
  pthread_cond_broadcast(&ended);
  pthread_mutex_unlock(&lock);
  return NULL;
}

/* The caller holds the lock; the thread that is made runs outside it. */
static const char *lookup_begin(const char *host, struct lookup **out) {
  pthread_attr_t how;
  pthread_t t;
  if (n_threads >= LIMIT_LOOKUPS) return "too many lookups have no answer yet";
  struct lookup *l = wr_new(struct lookup);
  *l = (struct lookup){.host = wr_strdup(host), .began_us = clock_mono_us(), .refs = 2, .next = under_way};
  pthread_attr_init(&how);
  pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&how, STACK_BYTES);
  int failed = pthread_create(&t, &how, look_up, l);
  pthread_attr_destroy(&how);
  if (failed) {
    free(l->host);
    free(l);
    return "no thread can be made to look it up";
  }
  under_way = l;
  n_threads++;
  *out = l;
  return NULL;
}

/* ---- for callers ---- */

static const char *by_name(const char *host, int64_t until_us, struct addresses *out) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  const char *why = NULL;
  pthread_once(&once, prepare);
  pthread_mutex_lock(&lock);
  struct lookup *l = under_way;
  while (l && (strcmp(l->host, host) != 0 || clock_mono_us() - l->began_us > JOIN_US)) l = l->next;
  if (l) l->refs++;
  else why = lookup_begin(host, &l);
  while (l && !l->done && cond_until(&ended, &lock, until_us)) {}
  if (l) {
    why = l->done ? l->why : "its name was not resolved in time";
    if (!why) *out = l->got;
    unref(l);
  }
  pthread_mutex_unlock(&lock);
  return why;
}

const char *resolve_here(const char *host, struct addresses *out) { return addresses_ask(host, 0, out); }

const char *resolve(const char *host, uint16_t port, int64_t until_us, struct addresses *out) {
  const char *why = NULL;
  if (addresses_ask(host, AI_NUMERICHOST, out)) why = by_name(host, until_us, out);
  for (size_t i = 0; !why && i < out->n; i++) {
    struct address *a = &out->a[i];
    if (a->at.ss_family == AF_INET) ((struct sockaddr_in *)&a->at)->sin_port = htons(port);
    else ((struct sockaddr_in6 *)&a->at)->sin6_port = htons(port);
  }
  return why;
}

const char *address_text(const struct address *a, char out[ADDRESS_TEXT]) {
  if (getnameinfo((const struct sockaddr *)&a->at, a->len, out, ADDRESS_TEXT, NULL, 0, NI_NUMERICHOST) != 0) out[0] = '\0';
  return out;
}
