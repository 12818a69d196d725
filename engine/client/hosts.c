/* Names of hosts: see hosts.h. */
#include "hosts.h"
#include <stdlib.h>

void hosts_open(struct hosts *h, const struct view *v) {
  *h = (struct hosts){.v = v};
  arena_init(&h->text, 0);
}

void hosts_close(struct hosts *h) {
  offers_put(h->set);
  free(h->seen);
  arena_done(&h->text);
}

static const char *living(struct hosts *h, int64_t incarnation) {
  if (!h->asked) h->set = offers_get(h->v->offers, h->v->store);
  h->asked = true;
  for (size_t i = 0; h->set && i < h->set->n; i++)
    if (h->set->v[i].incarnation == incarnation) return h->set->v[i].host;
  return NULL;
}

/* A failure to read it leaves the name out: it is no reason to refuse the answer. */
static const char *dead(struct hosts *h, int64_t incarnation) {
  char host[256];
  bool is_dead;
  struct wr_err err;
  struct reader *r = reader_get(h->v->store, &err);
  enum wr_rc rc = r ? reader_member(r, incarnation, host, &is_dead, &err) : err.code;
  if (r) reader_put(r);
  return rc == WR_OK ? arena_strdup(&h->text, host) : NULL;
}

const char *host_of(struct hosts *h, int64_t incarnation) {
  if (incarnation == 0) return NULL;
  for (size_t i = 0; i < h->n; i++)
    if (h->seen[i].incarnation == incarnation) return h->seen[i].host;
  const char *host = living(h, incarnation);
  if (host == NULL) host = dead(h, incarnation);
  *WR_PUSH(h->seen, h->n, h->cap) = (struct host_seen){incarnation, host};
  return host;
}
