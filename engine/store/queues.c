/* Rows of queues, the same on both SQL stores (store_queues.h): what the definition writer changes (any thread, one at a time
 * in the whole cluster), and what readers show.
 *
 * The row of the queue is locked first and the versions are raised last: a batch, too, locks queues before definitions. What
 * never happens: a change without a new definitions.version and queues_version in the same transaction; more than LIMIT_QUEUES
 * rows. */
#include <string.h>
#include "ins_rows.h"
#include "sql.h"
#include "wr_limits.h"

struct queue_job { struct queue_row *row; uint32_t fields; struct queue_row now; };
enum { TYPE_FIELDS = QUEUE_MAX_RUNNING | QUEUE_RATE };

static struct arg arg_set(int64_t v) { return v < 0 ? (struct arg){0} : arg_i(v); }

static enum wr_rc known_queue(struct store *s, struct queue_job *j, bool *there, struct wr_err *err) {
  struct cursor c;
  j->now = (struct queue_row){.max_running = -1, .rate_count = -1, .rate_per_us = -1, .weight = -1, .order = -1, .paused = -1};
  db_select(s->def, &c, Q_QUEUE_KNOWN, ARGS(arg_text(j->row->user), arg_text(j->row->group)));
  *there = cursor_next(&c);
  if (*there) ins_row_queue(c.cell, &j->now, NULL);
  j->now.user = j->row->user, j->now.group = j->row->group;
  return cursor_end(&c, WR_OK, err);
}

/* A bucket that is empty is ahead of now by one `per`. If it kept more of an old, slower rate, the new one would have to wait. */
static void take_over(struct queue_row *now, int64_t us) {
  if (now->rate_count < 0) now->rate_at = 0;
  else if (now->rate_at > us + now->rate_per_us) now->rate_at = us + now->rate_per_us;
}

static void change(struct queue_job *j, int64_t us) {
  const struct queue_row *r = j->row;
  struct queue_row *now = &j->now;
  if (j->fields & QUEUE_MAX_RUNNING) now->max_running = r->max_running;
  if (j->fields & QUEUE_WEIGHT) now->weight = r->weight;
  if (j->fields & QUEUE_ORDER) now->order = r->order;
  if (j->fields & QUEUE_PAUSED) now->paused = r->paused;
  if (!(j->fields & QUEUE_RATE)) return;
  now->rate_count = r->rate_count, now->rate_per_us = r->rate_per_us;
  take_over(now, us);
}

/* Before the first row there are no limits, and what was noted under former ones is old. No batch adds notes meanwhile that
 * commits: it was decided by older rows. */
static enum wr_rc room(struct store *s, bool of_type, struct wr_err *err) {
  struct cursor c;
  int64_t all = 0, n = 0;
  db_select(s->def, &c, Q_QUEUES_N, NULL, 0);
  if (cursor_next(&c)) all = cell_i64(&c.cell[0]), n = cell_i64(&c.cell[1]);
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  if (!rc && all == 0 && s->def_ops->drop_notes) rc = s->def_ops->drop_notes(s, err);
  if (rc || of_type || n < LIMIT_QUEUES) return rc;
  rc = wr_err_set(err, WR_TOO_LARGE, "There are %d queues already, which is the most; delete some that you do not need.",
                  LIMIT_QUEUES);
  err->limit = LIMIT_QUEUES, err->got = n + 1;
  return rc;
}

static bool is_same(const struct queue_row *a, const struct queue_row *b) {
  return a->max_running == b->max_running && a->rate_count == b->rate_count && a->rate_per_us == b->rate_per_us &&
         a->weight == b->weight && a->order == b->order && a->paused == b->paused && a->rate_at == b->rate_at;
}

/* Each change makes every node read all rows: what changes nothing is none. */
static enum wr_rc queue_set(struct store *s, void *job, struct wr_err *err) {
  struct queue_job *j = job;
  bool there;
  int64_t us = store_now(s);
  enum wr_rc rc = known_queue(s, j, &there, err);
  if (!rc && !there) rc = room(s, strcmp(j->row->user, QUEUE_OF_TYPE) == 0, err);
  if (rc) return rc;
  const struct queue_row was = j->now;
  change(j, us);
  const struct queue_row *q = &j->now;
  if (there && is_same(&was, q)) return WR_OK;
  rc = db_run(s->def, there ? Q_QUEUE_UPDATE : Q_QUEUE_INSERT,
              ARGS(arg_text(q->user), arg_text(q->group), arg_set(q->max_running), arg_set(q->weight), arg_set(q->rate_count),
                   arg_set(q->rate_per_us), arg_set(q->order), arg_set(q->paused), arg_i(q->rate_at), arg_us(us)), err);
  return rc ? rc : s->def_ops->raise_queues(s, err);
}

static enum wr_rc queue_delete(struct store *s, void *job, struct wr_err *err) {
  struct queue_job *j = job;
  bool there;
  enum wr_rc rc = known_queue(s, j, &there, err);
  if (!rc && !there)
    rc = wr_err_set(err, WR_NOT_FOUND, "There is no such queue: nothing was set for exactly this user and group.");
  if (!rc) rc = db_run(s->def, Q_QUEUE_DELETE, ARGS(arg_text(j->row->user), arg_text(j->row->group)), err);
  return rc ? rc : s->def_ops->raise_queues(s, err);
}

enum wr_rc store_queue_set(struct store *s, struct queue_row *row, uint32_t fields, struct wr_err *err) {
  struct queue_job j = {.row = row, .fields = fields};
  enum wr_rc rc = def_do(s, queue_set, &j, err);
  if (!rc) *row = j.now;
  return rc;
}

enum wr_rc store_queue_delete(struct store *s, const char *user, const char *group, struct wr_err *err) {
  struct queue_row row = {.user = user, .group = group};
  struct queue_job j = {.row = &row};
  return def_do(s, queue_delete, &j, err);
}

/* Part of the transaction that changes the executor, which raises its versions afterwards. */
enum wr_rc type_limits_put(struct store *s, const char *type, const struct type_limits *is, struct wr_err *err) {
  struct queue_row row = {.user = QUEUE_OF_TYPE, .group = type};
  struct queue_job j = {.row = &row, .fields = TYPE_FIELDS};
  bool there;
  if (is && (is->max_running >= 0 || is->rate_count > 0)) {
    row.max_running = is->max_running, row.rate_count = is->rate_count, row.rate_per_us = is->rate_per_us;
    return queue_set(s, &j, err);
  }
  enum wr_rc rc = known_queue(s, &j, &there, err);
  return rc || !there ? rc : queue_delete(s, &j, err);
}

/* ---- readers ---- */
static struct queue_shown shown_of(const struct cell *c) {
  struct queue_shown q = {.set = !cell_null(&c[6]), .queued = cell_i64(&c[2]), .running = cell_i64(&c[3]),
                          .blocked = cell_i64(&c[4]), .since_us = cell_us(&c[5])};
  ins_row_queue(c + 6, &q.row, NULL);
  q.row.user = cell_text(&c[0], NULL), q.row.group = cell_text(&c[1], NULL);
  return q;
}

enum wr_rc reader_list_queues(struct reader *r, queue_shown_fn *fn, void *ctx, struct wr_err *err) {
  struct cursor c;
  struct queue_shown q;
  int go_on = 0;
  db_select(r->db, &c, Q_QUEUES, NULL, 0);
  while (go_on == 0 && cursor_next(&c)) {
    q = shown_of(c.cell);
    go_on = fn(ctx, &q);
  }
  return cursor_end(&c, WR_OK, err);
}

enum wr_rc reader_queue_rows(struct reader *r, const char *user, const char *group, struct arena *a,
                             struct queue_row out[QUEUE_RULES], size_t *n, struct wr_err *err) {
  struct cursor c;
  *n = 0;
  db_select(r->db, &c, Q_QUEUE_ROWS, ARGS(arg_text(user), arg_text(group)));
  while (*n < QUEUE_RULES && cursor_next(&c)) ins_row_queue(c.cell, &out[(*n)++], a);
  return cursor_end(&c, WR_OK, err);
}

enum wr_rc reader_queue_running(struct reader *r, queue_running_fn *fn, void *ctx, struct wr_err *err) {
  struct cursor c;
  db_select(r->db, &c, Q_QUEUE_RUNNING, NULL, 0);
  while (cursor_next(&c) && fn(ctx, cell_text(&c.cell[0], NULL), cell_text(&c.cell[1], NULL), cell_i64(&c.cell[2])) == 0) {}
  return cursor_end(&c, WR_OK, err);
}
