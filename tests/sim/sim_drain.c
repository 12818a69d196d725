/* Drains in an eighth of all worlds: somebody wishes that nodes drain, with a time or without, and takes that back. The oracle holds
 * each claim against what the member had read of it (check_claim()). The other worlds are unchanged, and so is the order of random
 * numbers in this one: this part has its own. */
#include "sim.h"

static uint64_t rnd(struct world *w, uint64_t n) { return rand_next(&w->drains.rng) % n; }

void drains_setup(struct world *w) {
  w->drains.rng = w->seed * 0x9E3779B97F4A7C15ull ^ 0xD8ull;
  w->drains.on = (w->seed * 0xA24BAED4963EE407ull) >> 61 == 0;
  w->drains.at = w->now + (int64_t)rnd(w, 30) * SEC;
  w->db->drains = w->drains.on;
}

static struct mem_member *member_of(struct world *w, const struct node *n) {
  return n->up && !n->dead ? memdb_member(w->db, runner_incarnation(n->runner)) : NULL;
}

/* Nobody else looks at the row of a single process: it is always told. */
static void wish(struct world *w, struct node *n, struct drain_wish to) {
  struct mem_member *m = member_of(w, n);
  if (!m || m->state != MEMBER_LIVE) return;
  m->wish = to;
  if (w->single || (!w->calm && rnd(w, 2))) runner_wished(n->runner);
  sim_trace(w, "wish", n->id, to.at_us, to.stop_us);
}

void drains_step(struct world *w) {
  if (!w->drains.on || w->calm || w->now < w->drains.at) return;
  struct node *n = &w->node[rnd(w, (uint64_t)w->n_node)];
  const struct mem_member *m = member_of(w, n);
  int64_t stop = rnd(w, 3) ? w->now + (int64_t)rnd(w, 20) * SEC : 0;
  w->drains.at = w->now + SEC / 10 + (int64_t)rnd(w, 20) * SEC;
  if (m) wish(w, n, m->wish.at_us && rnd(w, 4) ? (struct drain_wish){0} : (struct drain_wish){w->now, stop});
}

void drains_calm(struct world *w) {
  for (int i = 0; w->drains.on && i < w->n_node; i++) wish(w, &w->node[i], (struct drain_wish){0});
}
