/* Now, or not now: admission.h. */
#include "admission.h"

uint32_t admission_cost(const struct admission *a, const struct task_policy *pol) {
  uint32_t most = a->pool[pol->slot].capacity, cost = pol->cost ? pol->cost : 1;
  return cost > most && most > 0 ? most : cost;
}

void admission_init(struct admission *a, const struct env *env, const uint32_t capacity[SLOT__N], uint32_t ahead_most) {
  *a = (struct admission){.env = env, .ahead = {.most = ahead_most}};
  for (int s = 0; s < SLOT__N; s++) a->pool[s].capacity = capacity[s];
}

void admission_done(struct admission *a) { map64_done(&a->attempts); }

void admission_check(const struct admission *a) {
  for (int s = 0; s < SLOT__N; s++) {
    const struct pool *p = &a->pool[s];
    wr_assert(p->free == 0 || p->over == 0);
    wr_assert(p->short_of == 0 || p->refused != 0);
    wr_assert(p->used == 0 || a->attempts.n > 0);
  }
  ahead_check(&a->ahead);
}

/* What may be taken at once: the capacity, and what waiting attempts have lent. */
static uint32_t room_of(const struct pool *p) {
  int32_t lent = atomic_load(&p->lent);
  return p->capacity + (lent > 0 ? (uint32_t)lent : 0);
}

static uint32_t claimable(const struct admission *a, int s) {
  const struct pool *p = &a->pool[s];
  if (atomic_load(&p->hold_until) > a->env->boot_us) return 0;
  return room_of(p) + (s == SLOT_PROCESS ? ahead_count(&a->ahead, p->capacity) : 0);
}

void admission_turn(struct admission *a) {
  for (int s = 0; s < SLOT__N; s++) {
    struct pool *p = &a->pool[s];
    uint32_t most = claimable(a, s);
    p->over = p->used > most ? p->used - most : 0;
    p->free = a->env->draining || p->used >= most ? 0 : most - p->used;
    if (p->free >= p->short_of) p->short_of = 0;
  }
}

enum admit admission_ask(const struct admission *a, const struct task_policy *pol, bool hinted) {
  const struct pool *p = &a->pool[pol->slot];
  if (pol->elsewhere) return ADMIT_ELSEWHERE;
  if (p->behind && !hinted) return ADMIT_BEHIND;
  if (p->free >= admission_cost(a, pol)) return ADMIT_NOW;
  if (a->env->draining) return ADMIT_DRAINING;
  return atomic_load(&p->hold_until) > a->env->boot_us ? ADMIT_HELD : ADMIT_FULL;
}

void admission_take(struct admission *a, const struct task_policy *pol) {
  struct pool *p = &a->pool[pol->slot];
  wr_assert(p->free >= admission_cost(a, pol));
  p->free -= admission_cost(a, pol);
  a->taken++;
  p->refused = 0;
  p->n_refused = 0;
  p->short_of = 0;
}

void admission_refused(struct admission *a, const struct task_policy *pol, int64_t ti) {
  struct pool *p = &a->pool[pol->slot];
  if (p->refused == ti && p->free > 0) p->short_of = admission_cost(a, pol);
  p->n_refused++;
  if ((p->n_refused & (p->n_refused - 1)) == 0) p->refused = ti; /* the one that is waited for may never come again */
}

void admission_return(struct admission *a, const struct task_policy *pol) {
  struct pool *p = &a->pool[pol->slot];
  uint32_t cost = admission_cost(a, pol), owed = p->over < cost ? p->over : cost;
  p->over -= owed;
  p->free += cost - owed;
}

/* ---- after a commit ---- */

void admission_started(struct admission *a, const struct attempt *at) {
  a->pool[at->policy.slot].used += admission_cost(a, &at->policy);
  (void)map64_put(&a->attempts, at->ti, (void *)(uintptr_t)at->epoch);
}

/* An attempt of a former incarnation costs nothing: when that incarnation was fenced, all its attempts were given up. */
void admission_pay_back(struct admission *a, const struct attempt *at) {
  if (at->owner != a->env->me) return;
  struct pool *p = &a->pool[at->policy.slot];
  wr_assert(p->used >= admission_cost(a, &at->policy));
  p->used -= admission_cost(a, &at->policy);
}

void admission_ended(struct admission *a, const struct attempt *at, bool slotless) {
  ahead_result(&a->ahead, at);
  if (at->owner != a->env->me) return;
  if (!slotless) admission_pay_back(a, at);
  if (admission_epoch(a, at->ti) == at->epoch) (void)map64_del(&a->attempts, at->ti);
}

uint32_t admission_epoch(const struct admission *a, int64_t ti) { return (uint32_t)(uintptr_t)map64_get(&a->attempts, ti); }

void admission_reset(struct admission *a) {
  map64_done(&a->attempts);
  for (int s = 0; s < SLOT__N; s++) a->pool[s].used = 0;
}

/* ---- the queue ---- */

void admission_poppable(const struct admission *a, uint32_t free[SLOT__N]) {
  uint32_t few = ahead_count(&a->ahead, a->pool[SLOT_PROCESS].capacity) / 2;
  for (int s = 0; s < SLOT__N; s++) {
    const struct pool *p = &a->pool[s];
    free[s] = p->used >= room_of(p) && p->free < few ? 0 : admission_open(a, s);
  }
}

void admission_behind(struct admission *a, enum slot_class s, bool hints_wait) { a->pool[s].behind = hints_wait; }

void admission_hold(struct admission *a, enum slot_class s, int64_t until_boot_us) {
  atomic_store(&a->pool[s].hold_until, until_boot_us);
}

void admission_lend(struct admission *a, enum slot_class s, int32_t n) { atomic_fetch_add(&a->pool[s].lent, n); }

int64_t admission_next(const struct admission *a) {
  int64_t at = INT64_MAX;
  for (int s = 0; s < SLOT__N; s++) {
    int64_t held = atomic_load(&a->pool[s].hold_until);
    if (held > a->env->boot_us && held < at) at = held;
  }
  return at;
}
