/* Membership: lease.h. */
#include "lease.h"

void lease_init(struct lease *l, struct env *env, struct watch *watch) { *l = (struct lease){.env = env, .watch = watch}; }

/* The shared clock is read again when an idle node would renew anyway. */
static void clock_next(struct lease *l) {
  l->clock_at = l->env->single ? INT64_MAX : l->env->boot_us + l->env->lease_us / RENEW_PART;
}

enum wr_rc lease_join(struct lease *l, const struct node_info *info, struct wr_err *err) {
  struct store *s = l->env->store;
  enum store_rc rc = store_join(s, info, &l->env->me);
  if (rc != STORE_OK) l->renew_at = 0; /* the next turn asks for its lease, hears that it has none, and joins again */
  if (rc != STORE_OK && store_why(s)[0]) return wr_err_set(err, WR_DB_UNAVAILABLE, "This node cannot join: %s", store_why(s));
  if (rc != STORE_OK) return wr_err_set(err, WR_DB_UNAVAILABLE, "This node cannot join: %s.", store_rc_name(rc));
  lease_sent(l);
  l->renew_at = l->env->single ? INT64_MAX : 0;
  clock_next(l);
  l->seen_us = INT64_MIN / 2; /* contact begins with the first commit: until then no node is buried */
  l->contact_us = INT64_MAX;
  return WR_OK;
}

void lease_clocks(struct lease *l, int64_t wall_us, int64_t boot_us) {
  struct env *e = l->env;
  int64_t by, now = store_time(e->store, boot_us, wall_us);
  if (now > e->wall_us) e->wall_us = now;
  e->boot_us = boot_us;
  if (clock_stepped(&l->steps, wall_us, boot_us, &by))
    log_warn("clock.jump", L_INT("by_us", by), L_STR("effect", "none: times are the database's"));
}

/* Every commit renews the lease: the children may live for 3/4 of a lease after the batch was sent. Renewals come every sixth of
 * a lease, so a gap of half a lease says that the database was away or that this node slept: contact begins anew. */
void lease_ok(struct lease *l) {
  const struct env *e = l->env;
  if (e->single) return;
  if (e->boot_us - l->seen_us > e->lease_us / 2) l->contact_us = e->boot_us;
  l->seen_us = e->boot_us;
  l->renew_at = e->boot_us + e->lease_us / RENEW_PART;
  if (e->ports.deadline) e->ports.deadline(e->ports.ctx, l->sent_us + e->lease_us / 4 * 3);
}

enum store_rc lease_turn(struct lease *l) {
  int64_t now = l->env->boot_us;
  if (l->renew_at > now && l->clock_at > now && !watch_asked(l->watch)) return STORE_OK;
  lease_sent(l);
  enum store_rc rc = store_renew(l->env->store);
  if (rc != STORE_OK) return rc;
  lease_ok(l);
  watch_ok(l->watch, env_now(l->env));
  clock_next(l);
  return STORE_OK;
}

bool lease_may_bury(const struct lease *l) { return !l->env->single && l->env->boot_us - l->contact_us >= l->env->lease_us; }

void lease_check(const struct lease *l) {
  wr_assert(l->sent_us <= l->env->boot_us && l->seen_us <= l->env->boot_us);
  wr_assert(!l->env->single || l->renew_at == INT64_MAX || l->renew_at == 0); /* 0: it could not join */
  wr_assert(l->env->single || l->renew_at <= l->env->boot_us + l->env->lease_us / RENEW_PART);
}
