/* The members of the cluster, as last read: see offers.h. */
#include "offers.h"
#include <stdlib.h>
#include <string.h>
#include "clock.h"

#define FRESH_US 1000000
#define KNOWN_US 10000000             /* what was read longer ago says nothing about now: the database is away */
#define OFFERS_MAX 1000               /* nodes that are looked at */

void offers_init(struct offers *o) {
  *o = (struct offers){.tried_us = INT64_MIN / 2};
  pthread_mutex_init(&o->mu, NULL);
  counts_init(&o->counts);
}

void offers_put(struct offer_set *set) {
  if (!set || atomic_fetch_sub(&set->refs, 1) > 1) return;
  arena_done(&set->text);
  free(set->v);
  free(set);
}

void offers_end(struct offers *o) {
  offers_put(o->set);
  pthread_mutex_destroy(&o->mu);
  counts_end(&o->counts);
}

/* ---- reading ---- */

static int offer_keep(void *ctx, const struct node_offer *row) {
  struct offer_set *set = ctx;
  struct node_trouble t;
  if (set->n == OFFERS_MAX) return 1;
  struct offer *v = WR_PUSH(set->v, set->n, set->cap);
  *v = (struct offer){.incarnation = row->incarnation, .slots = row->slots,
                      .types = arena_strdup(&set->text, row->types ? row->types : ""),
                      .users = arena_strdup(&set->text, row->users ? row->users : ""),
                      .host = arena_strdup(&set->text, row->host ? row->host : "")};
  if (!node_trouble_read(row->trouble, &t)) return 0;
  struct node_trouble *own = arena_alloc(&set->text, sizeof t);
  *own = t;
  v->trouble = own;
  return 0;
}

/* NULL: it could not be read. */
static struct offer_set *read_set(struct store *s) {
  struct wr_err err = {0};
  struct reader *r = reader_get(s, &err);
  if (!r) return NULL;
  struct offer_set *set = wr_new(struct offer_set);
  atomic_init(&set->refs, 1);
  set->at_us = clock_mono_us();
  arena_init(&set->text, 0);
  enum wr_rc rc = reader_offers(r, offer_keep, set, &err);
  reader_put(r);
  if (rc == WR_OK) return set;
  offers_put(set);
  return NULL;
}

/* ---- what is known ---- */

/* The first caller that finds the set old reads it anew. True: that is this caller. */
static bool take_turn(struct offers *o) {
  pthread_mutex_lock(&o->mu);
  bool mine = !o->reading && clock_mono_us() - o->tried_us >= FRESH_US;
  if (mine) o->reading = true;
  pthread_mutex_unlock(&o->mu);
  return mine;
}

static void turn_over(struct offers *o, struct offer_set *fresh) {
  pthread_mutex_lock(&o->mu);
  struct offer_set *was = fresh ? o->set : NULL;
  if (fresh) o->set = fresh;
  o->reading = false;
  o->tried_us = clock_mono_us();
  pthread_mutex_unlock(&o->mu);
  offers_put(was);
}

struct offer_set *offers_get(struct offers *o, struct store *s) {
  if (take_turn(o)) turn_over(o, read_set(s));
  pthread_mutex_lock(&o->mu);
  struct offer_set *set = o->set && clock_mono_us() - o->set->at_us < KNOWN_US ? o->set : NULL;
  if (set) atomic_fetch_add(&set->refs, 1);
  pthread_mutex_unlock(&o->mu);
  return set;
}

/* ---- one of them ---- */

static bool in_list(const char *list, const char *word) {
  size_t n = strlen(word);
  for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
    if (strcspn(p, ",") == n && memcmp(p, word, n) == 0) return true;
  return false;
}

bool offer_runs(const struct offer *v, const char *type, const char *user) {
  if (!in_list(v->types, type)) return false;
  return user == NULL || in_list(v->users, user);
}
