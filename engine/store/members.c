/* Members as rows, the same on both SQL stores: see store_members.h. What never happens: a wish about a member that has ended; a
 * lock of a member's row kept beyond one short transaction, because its batches wait for it. */
#include <string.h>
#include "sql.h"

void store_figures(struct store *s, const struct member_figures *f) { s->told = *f; }

bool store_wishes(const struct store *s) { return s->ops->wish != NULL; }

enum store_rc store_wish(struct store *s, struct drain_wish *out) {
  *out = (struct drain_wish){0};
  return s->ops->wish ? s->ops->wish(s, out) : STORE_OK;
}

/* ---- the wish ---- */
struct drain_job { int64_t incarnation, timeout_us; bool on; };

/* Of the row that is locked: *at_us is the wish that it has. */
static enum wr_rc lives(struct store *s, int64_t incarnation, int64_t *at_us, struct wr_err *err) {
  struct cursor c;
  enum wr_rc rc = WR_OK;
  db_select(s->def, &c, Q_MEMBER_WISH, ARGS(arg_i(incarnation)));
  if (!cursor_next(&c)) rc = wr_err_set(err, WR_NOT_FOUND, "Member %lld does not exist.", (long long)incarnation);
  else if (cell_i64(&c.cell[0]) == 0)
    rc = wr_err_set(err, WR_ALREADY_FINISHED, "Member %lld has ended: only one that lives can drain.", (long long)incarnation);
  else *at_us = cell_us(&c.cell[1]);
  return cursor_end(&c, rc, err);
}

static enum wr_rc drain(struct store *s, void *job, struct wr_err *err) {
  const struct drain_job *j = job;
  int64_t at = 0, now = store_now(s);
  enum wr_rc rc = lives(s, j->incarnation, &at, err);
  if (rc) return rc;
  int64_t stop = j->on && j->timeout_us >= 0 ? now + j->timeout_us : 0;
  at = !j->on ? 0 : at ? at : now;
  return db_run(s->def, Q_MEMBER_DRAIN, ARGS(arg_i(j->incarnation), arg_us(at), arg_us(stop)), err);
}

enum wr_rc store_drain(struct store *s, int64_t incarnation, bool on, int64_t timeout_us, struct wr_err *err) {
  struct drain_job j = {incarnation, timeout_us, on};
  return def_do(s, drain, &j, err);
}

/* ---- reading ---- */
const char *member_state_name(enum member_state s) {
  static const char *const name[MEMBER__N] = {"LIVE", "DRAINING", "DRAINED", "DEAD", "GONE"};
  return name[s];
}

/* It is drained once it has told that it has read this wish and runs nothing: from that wish on it takes nothing. One that runs
 * no task type may call analyzers, which is what runs on it. */
enum member_state member_living(const struct member_row *m) {
  if (m->wish.at_us == 0) return MEMBER_LIVE;
  bool idle = m->told.drain_seen_us == m->wish.at_us && m->told.running == 0;
  return idle ? MEMBER_DRAINED : MEMBER_DRAINING;
}

static enum member_state state_of(const char *word, const struct member_row *m) {
  if (strcmp(word, "DEAD") == 0) return MEMBER_DEAD;
  return strcmp(word, "LIVE") == 0 ? member_living(m) : MEMBER_GONE;
}

static void member_of(const struct cell *c, struct member_row *m) {
  int64_t until = cell_us(&c[6]), lease = cell_i64(&c[7]);
  *m = (struct member_row){
    .incarnation = cell_i64(&c[0]), .pid = cell_i64(&c[2]), .slots = cell_i64(&c[3]), .start_us = cell_us(&c[4]),
    .end_us = cell_us(&c[5]), .seen_us = lease > 0 && until > lease ? until - lease : 0,
    .wish = {cell_us(&c[8]), cell_us(&c[9])},
    .told = {.drain_seen_us = cell_us(&c[10]), .running = cell_i64(&c[11]), .slots_used = cell_i64(&c[12]),
             .cpu_budget = cell_i64(&c[13]), .cpu_used = cell_i64(&c[14]), .load_percent = cell_i64(&c[15])},
    .host = cell_text(&c[16], NULL), .roles = cell_text(&c[17], NULL), .types = cell_text(&c[18], NULL),
    .users = cell_text(&c[19], NULL), .labels = cell_text(&c[20], NULL), .version = cell_text(&c[21], NULL),
    .executors = cell_text(&c[22], NULL)};
  const char *state = cell_text(&c[1], NULL);
  m->state = state_of(state ? state : "", m);
}

enum wr_rc reader_members(struct reader *r, int64_t only, int64_t ended_us, size_t most, member_row_fn *fn, void *ctx,
                          struct wr_err *err) {
  struct cursor c;
  struct member_row m;
  if (only) db_select(r->db, &c, Q_MEMBER_ROW, ARGS(arg_i(only)));
  else db_select(r->db, &c, Q_MEMBERS, ARGS(arg_us(ended_us > 0 ? ended_us : 1), arg_i((int64_t)most)));
  while (cursor_next(&c)) {
    member_of(c.cell, &m);
    if (fn(ctx, &m)) break;
  }
  return cursor_end(&c, WR_OK, err);
}
