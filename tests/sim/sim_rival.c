/* The session of a stranger in the simulator: again and again it locks some rows of a table, or all of them, for a while. A fifth
 * of the worlds with several nodes have one. In half of those nothing else goes wrong, so that whatever fails is caused by the
 * lock. See sim.h.
 *
 * It has its own random numbers, so that other worlds do not change. What never happens: a lock is held after the calm has
 * begun. */
#include "sim.h"

#define NARROW_US (5 * SEC)           /* this long after a lock on rows that all need, its effects are over */
#define ANSWER_US (8 * SEC)           /* calls are slow by chance */

static uint64_t chance(struct world *w, uint64_t n) { return rand_next(&w->rival.rng) % n; }

void rival_setup(struct world *w) {
  struct rival *r = &w->rival;
  *r = (struct rival){.on = !w->single && w->seed % 5 == 0, .rng = w->seed * 0xD1B54A32D192ED03ull + 7, .at = INT64_MAX, .until = INT64_MAX};
  if (!r->on) return;
  r->at = w->now + (int64_t)chance(w, 60 * SEC);
  r->only = chance(w, 2) == 0;
  if (r->only) {
    w->p_fault = 0;
    w->chaos_at = INT64_MAX;
  }
}

static void hold_some(struct world *w, enum mem_row what, const struct map64 *rows) {
  const struct map64_slot *s;
  uint64_t share = 1 + chance(w, 8);
  for (size_t i = 0; (s = map64_next(rows, &i)) != NULL;)
    if (chance(w, share) == 0) (void)memdb_hold(w->db, what, s->key);
}

static void begin(struct world *w) {
  static const enum mem_row table[] = {MEM_ROW_FLOW, MEM_ROW_NODE, MEM_ROW_TASK};
  struct rival *r = &w->rival;
  uint64_t k = chance(w, 100);
  r->until = w->now + SEC + (int64_t)chance(w, 90 * SEC);
  r->wide = k >= 75;
  if (k < 30) hold_some(w, MEM_ROW_TASK, &w->db->task);
  else if (k < 55) hold_some(w, MEM_ROW_FLOW, &w->db->flow);
  else if (k < 75) hold_some(w, MEM_ROW_NODE, &w->db->node);
  else if (k < 85) for (size_t i = 0; i < w->db->n_flows; i++) (void)(chance(w, 2) == 0 && memdb_hold(w->db, MEM_ROW_DEF, (int64_t)i + 1));
  else if (k < 93) memdb_hold_table(w->db, table[chance(w, 3)]);
  else hold_some(w, MEM_ROW_MEMBER, &w->db->member);
  sim_trace(w, "rival", (int64_t)k, r->until - w->now, 0);
}

static void end(struct world *w) {
  struct rival *r = &w->rival;
  memdb_release(w->db);
  if (r->wide) r->narrow_from = w->now;
  r->wide = false;
  r->until = INT64_MAX;
  r->at = w->calm ? INT64_MAX : w->now + (int64_t)chance(w, 60 * SEC);
  sim_trace(w, "rival goes", 0, 0, 0);
}

void rival_calm(struct world *w) {
  if (w->rival.until != INT64_MAX) end(w);
  w->rival.at = INT64_MAX;
}

int64_t rival_next(const struct world *w) {
  return w->rival.until != INT64_MAX ? w->rival.until : w->rival.at;
}

void rival_step(struct world *w) {
  if (rival_next(w) > w->now) return;
  if (w->rival.until != INT64_MAX) end(w);
  else begin(w);
}

/* Forty looks: a wait of a second in vain, as at a server. */
int64_t rival_wait(const struct world *w) { return w->rival.until != INT64_MAX ? 25000 : 0; }

/* The request makes rows of its own, so no other lock can be in its way. */
static bool is_free(const struct world *w, const struct op *o) {
  return w->rival.only && !w->rival.wide && (o->q.kind == REQ_START || o->q.kind == REQ_EXEC_TASK) && o->post_at > w->rival.narrow_from + NARROW_US;
}

void rival_answer(struct world *w, const struct op *o) {
  if (is_free(w, o) && o->q.rc == WR_DB_UNAVAILABLE) sim_fail(w, "a start is refused, though nobody has locked what it needs");
}

void rival_check(struct world *w, const struct op *o) {
  if (is_free(w, o) && w->now - o->post_at > ANSWER_US) sim_fail(w, "a start waits, though nobody has locked what it needs");
}
