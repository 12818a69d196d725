/* What goes wrong on this node, for the rows and for the API: tell.h. */
#include "tell.h"
#include <stdlib.h>
#include "node_trouble.h"

#define TELL_US 1000000
#define FIGURES_US 2000000

void tell_init(struct tell *t, struct env *env, struct quarantine *quarantine, struct lease *lease, struct watch *watch) {
  *t = (struct tell){.env = env, .quarantine = quarantine, .lease = lease, .watch = watch};
}

void tell_done(struct tell *t) {
  buf_done(&t->sent);
  buf_done(&t->next);
}

/* ahead_us: how far the shared clock is ahead of the boot clock. */
static void trouble_now(struct tell *t, int64_t ahead_us, struct node_trouble *out) {
  const struct runner_ports *p = &t->env->ports;
  *out = (struct node_trouble){0};
  if (p->trouble) p->trouble(p->ctx, out);
  if (out->starts_until_us) out->starts_until_us += ahead_us;
  out->cpu_used = atomic_load(&t->env->cpu_used);
  out->cpu_kept_for = atomic_load(&t->env->cpu_kept_for);
  out->n_aside = quarantine_list(t->quarantine, out->aside, NODE_ASIDE_MAX);
}

int64_t tell_trouble(struct tell *t, struct node_trouble *out) {
  trouble_now(t, store_now(t->env->store) - clock_boot_us(), out);
  return atomic_load(&t->me);
}

static void figures_now(const struct tell *t, struct member_figures *f) {
  struct node_trouble trouble = {0};
  const struct env *e = t->env;
  double load;
  if (e->ports.trouble) e->ports.trouble(e->ports.ctx, &trouble);
  *f = (struct member_figures){.running = atomic_load(&e->running), .slots_used = atomic_load(&e->slots_used),
                               .cpu_budget = trouble.cpu_budget, .cpu_used = atomic_load(&e->cpu_running),
                               .drain_seen_us = atomic_load(&e->drain_seen_us)};
  if (getloadavg(&load, 1) == 1) f->load_percent = (int64_t)(load * 100);
}

int64_t tell_figures(struct tell *t, struct member_figures *out) {
  figures_now(t, out);
  return atomic_load(&t->me);
}

/* ---- the row ---- */

void tell_join(struct tell *t) {
  atomic_store(&t->me, t->env->me);
  buf_clear(&t->sent);
  t->told = (struct member_figures){0};
  t->at = 0;
  atomic_store(&t->env->news, true);
}

static bool texts_equal(const struct buf *a, const struct buf *b) {
  return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool figures_differ(const struct tell *t) {
  const struct member_figures *a = &t->figures, *b = &t->told;
  if (a->drain_seen_us != b->drain_seen_us || a->cpu_budget != b->cpu_budget) return true;
  return !t->env->single && (a->running != b->running || a->slots_used != b->slots_used || a->cpu_used != b->cpu_used);
}

/* The shared clock moves a little against ours, so pauses that end within the same second are taken as the same. */
static void compose(struct tell *t) {
  struct node_trouble now;
  trouble_now(t, t->env->wall_us - t->env->boot_us, &now);
  now.starts_until_us = (now.starts_until_us + 999999) / 1000000 * 1000000;
  node_trouble_write(&now, &t->next);
}

enum store_rc tell_turn(struct tell *t) {
  struct env *e = t->env;
  if (tell_next(t) > e->boot_us) return STORE_OK;
  atomic_store(&e->news, false); /* what changes from here on is news again */
  compose(t);
  figures_now(t, &t->figures);
  if (texts_equal(&t->sent, &t->next) && !figures_differ(t)) return STORE_OK;
  store_figures(e->store, &t->figures);
  lease_sent(t->lease);
  enum store_rc rc = store_tell(e->store, t->next.len ? t->next.data : "");
  if (rc != STORE_OK && rc != STORE_BAD) {
    atomic_store(&e->news, true);
    return rc;
  }
  struct buf was = t->sent;
  t->sent = t->next;
  t->next = was;
  t->told = t->figures;
  t->at = e->boot_us + TELL_US;
  if (rc == STORE_BAD) { /* the table is not as this program expects it: all else goes on, and nothing was renewed */
    log_error("runner.tell", L_STR("why", store_why(e->store)));
    return STORE_OK;
  }
  lease_ok(t->lease);
  watch_ok(t->watch, env_now(e));
  return STORE_OK;
}

/* A single process is asked for its figures itself; the row is for others. */
int64_t tell_next(const struct tell *t) {
  const struct env *e = t->env;
  bool moved = atomic_load(&e->running) != t->told.running || atomic_load(&e->slots_used) != t->told.slots_used ||
               atomic_load(&e->cpu_running) != t->told.cpu_used;
  if (atomic_load(&e->news)) return t->at;
  return moved && !e->single ? t->at + (e->wished ? 0 : FIGURES_US - TELL_US) : INT64_MAX;
}
