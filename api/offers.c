/* What the nodes offer: see offers.h. */
#include "offers.h"
#include <string.h>
#include "builtin.h"
#include "clock.h"

#define FRESH_US 1000000
#define OFFERS_MAX 1000               /* nodes that are looked at */

static bool in_list(const char *list, const char *word) {
  size_t n = strlen(word);
  for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
    if (strcspn(p, ",") == n && memcmp(p, word, n) == 0) return true;
  return false;
}

/* ---- what is known: under the lock of struct offers ---- */

static int keep(void *ctx, const struct node_offer *row) {
  struct offers *o = ctx;
  if (o->n == OFFERS_MAX) return 1;
  struct offer *v = WR_PUSH(o->v, o->n, o->cap);
  v->types = arena_strdup(&o->text, row->types ? row->types : "");
  v->users = arena_strdup(&o->text, row->users ? row->users : "");
  if (*v->types == 0) o->n--; /* it runs nothing */
  return 0;
}

/* False: not known now. */
static bool fresh(struct call *c, struct offers *o) {
  int64_t now = clock_mono_us();
  struct wr_err err = {0};
  if (o->read && now - o->at_us < FRESH_US) return true;
  struct reader *r = reader_get(c->api->o.store, &err);
  if (!r) return false;
  o->n = 0;
  arena_reset(&o->text);
  o->read = reader_offers(r, keep, o, &err) == WR_OK;
  o->at_us = now;
  reader_put(r);
  return o->read;
}

static bool runs(const struct offer *v, const char *type, const char *user) {
  if (!in_list(v->types, type)) return false;
  return user == NULL || in_list(v->users, user);
}

/* ---- one task ---- */

static void say(struct call *c, const char *type, const char *user, size_t live) {
  char text[512];
  const char *nodes = live == 1 ? "The one node that lives and runs tasks" : "None of the nodes that live and run tasks";
  if (live == 0) snprintf(text, sizeof text, "No node that runs tasks is alive.");
  else if (user) snprintf(text, sizeof text, "%s (%zu) %s run %s as the user %s.", nodes, live, live == 1 ? "cannot" : "can", type, user);
  else snprintf(text, sizeof text, "%s (%zu) %s run %s.", nodes, live, live == 1 ? "cannot" : "can", type);
  j_text(c->out, "why", "NO_EXECUTOR");
  j_text(c->out, "whyText", text);
}

void offers_write(struct call *c, const struct task_row *row, const struct task_def *def) {
  struct offers *o = &c->api->offers;
  bool found = false;
  if (row->t.state != TASK_QUEUED || def == NULL) return;
  json_t *config = strcmp(def->type, executor_shell.name) == 0 && def->config ? json_loads(def->config, 0, NULL) : NULL;
  const char *user = json_string_value(json_object_get(config, "user"));
  pthread_mutex_lock(&o->mu);
  bool known = fresh(c, o);
  for (size_t i = 0; known && i < o->n && !found; i++) found = runs(&o->v[i], def->type, user);
  size_t live = o->n;
  pthread_mutex_unlock(&o->mu);
  if (known && !found) say(c, def->type, user, live);
  json_decref(config);
}
