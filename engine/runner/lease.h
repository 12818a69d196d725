/* This node's membership: joining, renewing, and what an outage means for other nodes (rules 10, 12-16). Every commit of a batch
 * renews the lease as well.
 *
 * contact: the time since which no two renewals were half a lease apart. Only a node in unbroken contact for a whole lease may
 * bury other nodes (declare them dead): after an outage every node gets the time to renew (rule 15).
 *
 * The runner thread's. What never happens: the deadline of this node's children moves before a COMMIT OK, or counts from a moment
 * after that commit was sent; this node buries another one before it has been in contact for a whole lease. */
#ifndef RUNNER_LEASE_H
#define RUNNER_LEASE_H
#include "env.h"
#include "shared_clock.h"
#include "watch.h"

struct lease {
  struct env *env;
  struct watch *watch;
  int64_t sent_us;                    /* boot time before the batch or renewal with the newest stamp was sent */
  int64_t seen_us, contact_us;        /* boot times: of the newest renewal; since which there was no gap (contact) */
  int64_t renew_at;                   /* boot time; INT64_MAX = never: a single process */
  int64_t clock_at;  /* boot time: a renewal is due to read the shared clock, even if batches have renewed the lease */
  struct clock_watch steps;           /* steps of this node's wall clock, which decides nothing */
};

void lease_init(struct lease *l, struct env *env, struct watch *watch);
enum wr_rc lease_join(struct lease *l, const struct node_info *info, struct wr_err *err) WR_MUST;  /* as a new incarnation */
void lease_clocks(struct lease *l, int64_t wall_us, int64_t boot_us);  /* a turn begins: sets the env's times, logs a step */
static inline void lease_sent(struct lease *l) { l->sent_us = l->env->boot_us; }   /* a batch or a renewal is sent now */
void lease_ok(struct lease *l);                                   /* the batch or the renewal was committed */
enum store_rc lease_turn(struct lease *l) WR_MUST;                /* renews when a renewal is due */
bool lease_may_bury(const struct lease *l);
void lease_check(const struct lease *l);  /* aborts when a fact above does not hold; debug builds and tests */
static inline int64_t lease_next(const struct lease *l) { return l->renew_at; }
#endif
