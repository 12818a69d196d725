/* Members of the cluster as rows (engine_node): what each says of itself, what is wished of it. Part of store.h, which alone
 * includes it.
 *
 * A drain is a wish beside the state: the fence compares LIVE alone. Anybody writes the wish, the member reads it and notes which
 * wish it has read; from that note on it takes no task. */
#ifndef STORE_MEMBERS_H
#define STORE_MEMBERS_H

/* What a member says when it joins. home: names the data directory whose lock this process holds; NULL or "" = it holds none.
 * types, users, labels: "A,B". */
struct node_info {
  const char *host; int64_t pid; uint32_t slots;
  const char *roles, *home, *types, *users, *labels, *version;
  int64_t drain_at_us, drain_stop_us;   /* what is wished of a node that joins again; 0 = nothing */
};

/* What a member tells with store_tell() beside its troubles. drain_seen_us: the wish that it has read, 0 = none. */
struct member_figures { int64_t running, slots_used, cpu_budget, cpu_used, load_percent, drain_seen_us; };
/* The runner's writer: with each store_tell() from now on. */
void store_figures(struct store *s, const struct member_figures *f);

/* at_us 0 = none; stop_us: when what runs is told to stop, 0 = never. */
struct drain_wish { int64_t at_us, stop_us; };
bool store_wishes(const struct store *s);   /* false: nothing is ever wished on it */
/* The runner's writer, outside of batches: what is wished of this member. Plain read of its own row, by primary key. */
enum store_rc store_wish(struct store *s, struct drain_wish *out) WR_MUST;

/* The definition writer's: any thread. on: the member is to drain, and what still runs is told to stop after timeout_us (< 0:
 * never); a member that drains keeps the time of its wish. Else the wish ends. NOT_FOUND: no such member; GONE: it has ended. */
enum wr_rc store_drain(struct store *s, int64_t incarnation, bool on, int64_t timeout_us, struct wr_err *err) WR_MUST;

enum member_state { MEMBER_LIVE, MEMBER_DRAINING, MEMBER_DRAINED, MEMBER_DEAD, MEMBER_GONE, MEMBER__N };
const char *member_state_name(enum member_state s);
struct member_row {
  int64_t incarnation, pid, slots, start_us, end_us;    /* end_us 0 = it lives */
  int64_t seen_us;                /* when it renewed its lease last; 0 = nobody renews it: a single process */
  enum member_state state;        /* as far as rows tell */
  struct drain_wish wish;
  struct member_figures told;
  const char *host, *roles, *types, *users, *labels, *version;
  const char *executors;          /* what it says of those registered at run time (exec_offers.h); NULL = nothing */
};
enum member_state member_living(const struct member_row *m);   /* of one that lives: what its wish and its figures come to */
typedef int member_row_fn(void *ctx, const struct member_row *m);
/* Members, the newest first, at most `most`: those that live and those that ended after ended_us; only != 0: that one alone,
 * whenever it ended. Texts are valid during the call. Return 0 to go on. */
enum wr_rc reader_members(struct reader *r, int64_t only, int64_t ended_us, size_t most, member_row_fn *fn, void *ctx,
                          struct wr_err *err) WR_MUST;
#endif
