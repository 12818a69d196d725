/* The drain of this node: drain.h. */
#include "drain.h"

void drain_init(struct drain *d, struct env *env, const struct admission *admission) {
  *d = (struct drain){.env = env, .admission = admission, .at = INT64_MAX};
  for (int s = 0; s < SLOT__N; s++) d->runs |= admission->pool[s].capacity > 0;
  if (!env->single && store_wishes(env->store)) d->at = 0;
}

void drain_now(struct drain *d) {
  if (store_wishes(d->env->store)) d->at = 0;
}

void drain_join(const struct drain *d, struct node_info *info) {
  info->drain_at_us = d->wish.at_us;
  info->drain_stop_us = d->wish.stop_us;
}

static bool wished(const struct drain *d) { return d->wish.at_us != 0; }

static void hand_back(struct drain *d, bool running) {
  const struct runner_ports *p = &d->env->ports;
  if (p->hand_back && d->admission->attempts.n > 0) p->hand_back(p->ctx, running);
}

/* No batch is under way. What is claimed from here on is claimed by a node that knows of the wish. */
static void take(struct drain *d, const struct drain_wish *now) {
  bool before = wished(d);
  bool same = before == (now->at_us != 0) && d->wish.at_us == now->at_us && d->wish.stop_us == now->stop_us;
  if (same) return;
  d->wish = *now;
  d->stopped = false;
  d->env->wished = wished(d);
  d->env->draining = d->env->leaving || d->env->wished;
  atomic_store(&d->env->drain_seen_us, now->at_us);
  atomic_store(&d->env->news, true);
  if (before != wished(d)) log_info(wished(d) ? "runner.drain" : "runner.undrain", L_INT("incarnation", d->env->me),
                                    L_INT("running", (int64_t)d->admission->attempts.n));
  if (wished(d)) hand_back(d, false);
}

static bool stop_due(const struct drain *d) {
  return wished(d) && d->wish.stop_us != 0 && !d->stopped && d->wish.stop_us <= d->env->wall_us;
}

void drain_figures(const struct drain *d) {
  atomic_store_explicit(&d->env->running, (int64_t)d->admission->attempts.n, memory_order_relaxed);
  atomic_store_explicit(&d->env->slots_used, (int64_t)d->admission->pool[SLOT_PROCESS].used,
                        memory_order_relaxed);
}

enum store_rc drain_turn(struct drain *d) {
  struct drain_wish now;
  drain_figures(d);
  if (d->at <= d->env->boot_us) {
    enum store_rc rc = store_wish(d->env->store, &now);
    if (rc != STORE_OK) return rc;
    d->at = d->env->single ? INT64_MAX : d->env->boot_us + (d->runs ? DRAIN_LOOK_US : d->env->lease_us / RENEW_PART);
    take(d, &now);
  }
  if (stop_due(d)) {
    d->stopped = true;
    hand_back(d, true);
  }
  return STORE_OK;
}

int64_t drain_next(const struct drain *d) {
  int64_t at = d->at;
  if (!wished(d) || d->wish.stop_us == 0 || d->stopped || d->admission->attempts.n == 0) return at;
  int64_t left = d->wish.stop_us - d->env->wall_us, stop = d->env->boot_us + (left > 0 ? left : 0);
  return stop < at ? stop : at;
}

void drain_check(const struct drain *d) {
  wr_assert(d->env->wished == wished(d) && (!d->env->wished || d->env->draining));
  wr_assert(!wished(d) || atomic_load(&d->env->drain_seen_us) == d->wish.at_us);
}
