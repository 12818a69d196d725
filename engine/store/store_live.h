/* The part of store.h about members of a cluster and what a reconciler looks at: leases, live rows, whose turn it is. Included
 * by store.h alone; the runner's writer, its thread, but reader_offers(). */
#ifndef STORE_LIVE_H
#define STORE_LIVE_H

/* Renewal without a batch. FENCED when this node was declared dead. */
enum store_rc store_renew(struct store *s) WR_MUST;
/* The same, and the node's row says from now on what goes wrong on this node (node_trouble.h); "" = nothing. */
enum store_rc store_tell(struct store *s, const char *trouble) WR_MUST;
/* Marks as DEAD each node whose lease ended longer ago than the margin, one row in a transaction of its own. *n: how many. */
enum store_rc store_reap(struct store *s, uint32_t *n) WR_MUST;
/* Live rows after `after_ti`, in ti order, up to n: what the reconciler looks at. Plain read, no lock. owner_live: the
 * owner's engine_node row is LIVE (or owner is 0). A pass that begins at 0 ends however many rows are made meanwhile: it does not
 * follow a flow that makes one row after the other. */
struct live_task {
  int64_t ti, fi;
  uint8_t state;
  uint32_t epoch;
  int64_t owner, due_us, update_us;
  bool owner_live;
  uint8_t phase, end_as;
};
/* State NONE: no row; the entry only says how far the pass has looked. */
enum store_rc store_live_tasks(struct store *s, int64_t after_ti, struct live_task *out, size_t n, size_t *n_out) WR_MUST;
/* Flows that are not final, after fi, up to n. A pass comes to its end, too. */
struct live_flow { int64_t fi; uint8_t state; int64_t due_us, update_us; bool more; };
enum store_rc store_live_flows(struct store *s, int64_t after_fi, struct live_flow *out, size_t n, size_t *n_out) WR_MUST;
/* One node at a time may reconcile: true when this node may now. */
bool store_reconciler(struct store *s);
/* The same for the search for hints that the queue has lost: true when this node may search, until it calls with take = false. */
bool store_asker(struct store *s, bool take);
/* A number that changes when any member commits a batch, or when the members change: while it stays the same no row has become
 * ready. Cheap. */
enum store_rc store_pulse(struct store *s, int64_t *out) WR_MUST;

struct reader;
/* The LIVE members, with what they said when they joined; trouble, executors: what they told last (executors: exec_offers.h). */
struct node_offer {
  int64_t incarnation; const char *types, *users, *host; int64_t slots; const char *trouble, *labels;
  bool drains;                    /* it is wished that it drains */
  const char *executors, *roles;
};
typedef int node_offer_fn(void *ctx, const struct node_offer *o);
enum wr_rc reader_offers(struct reader *r, node_offer_fn *fn, void *ctx, struct wr_err *err) WR_MUST;
#endif
