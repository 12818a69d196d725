/* The members of the cluster, as last read: see offers.h. */
#include "offers.h"
#include <stdlib.h>
#include <string.h>
#include "analysis.h"
#include "exec_offers.h"

#define FRESH_US 1000000
#define OFFERS_MAX 1000               /* nodes that are looked at */

void offers_init(struct offers *o) {
  last_read_init(&o->last);
  counts_init(&o->counts);
}

void offers_put(struct offer_set *set) { read_set_put(set ? &set->base : NULL); }

void offers_end(struct offers *o) {
  last_read_end(&o->last);
  counts_end(&o->counts);
}

/* ---- reading ---- */

static bool in_list(const char *list, const char *word) {
  size_t n = strlen(word);
  for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
    if (strcspn(p, ",") == n && memcmp(p, word, n) == 0) return true;
  return false;
}

static void free_rows(struct read_set *s) { free(((struct offer_set *)s)->v); }

static int offer_keep(void *ctx, const struct node_offer *row) {
  struct offer_set *set = ctx;
  struct node_trouble t;
  if (set->n == OFFERS_MAX) return 1;
  struct offer *v = WR_PUSH(set->v, set->n, set->cap);
  *v = (struct offer){.incarnation = row->incarnation, .slots = row->slots, .drains = row->drains,
                      .analyses = row->roles && analysis_roles(in_list(row->roles, "api"), in_list(row->roles, "runner")),
                      .labels = arena_strdup(&set->base.text, row->labels ? row->labels : ""),
                      .types = arena_strdup(&set->base.text, row->types ? row->types : ""),
                      .users = arena_strdup(&set->base.text, row->users ? row->users : ""),
                      .host = arena_strdup(&set->base.text, row->host ? row->host : ""),
                      .executors = arena_strdup(&set->base.text, row->executors)};
  if (!node_trouble_read(row->trouble, &t)) return 0;
  struct node_trouble *own = arena_alloc(&set->base.text, sizeof t);
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
  read_set_begin(&set->base, free_rows);
  enum wr_rc rc = reader_offers(r, offer_keep, set, &err);
  reader_put(r);
  if (rc == WR_OK) return set;
  offers_put(set);
  return NULL;
}

struct offer_set *offers_get(struct offers *o, struct store *s) {
  if (last_read_turn(&o->last, FRESH_US)) {
    struct offer_set *set = read_set(s);
    (void)last_read_is(&o->last, set ? &set->base : NULL);
  }
  return (struct offer_set *)last_read_get(&o->last);
}

/* ---- one of them ---- */

static bool added_runs(const struct offer *v, const char *type, int64_t version) {
  char why[8];
  if (version) return exec_offers_say(v->executors, type, version, why, sizeof why) == EXEC_OFFERED;
  return exec_offers_any(v->executors, type);
}

bool offer_runs(const struct offer *v, const char *type, const char *user, int64_t version) {
  if (!in_list(v->types, type) && !added_runs(v, type, version)) return false;
  return user == NULL || in_list(v->users, user);
}
