/* Lists of stand-alone tasks (store_alone.h). A reader's thread.
 *
 * An index yields candidates, newest first; a filter in C takes those that fit; only the rows of a page are read whole. What
 * yields them is a merge of streams, each a range of one index that is read in pieces: one stream for all tasks, for a job or for
 * a queue, one for each group of a user. So the cost depends on how many are looked at, never on how many there are. Where the
 * index has another order (that of keys, on a server that of live tasks), all that it holds are gathered and sorted, if they
 * are not too many; else all tasks are looked at.
 *
 * Whose the task of a node is, and of what type, says its definition, which is not read here: the caller is asked, after the
 * piece that has it was read.
 *
 * What never happens: more than LIMIT_ALONE_LOOK candidates looked at; two cursors open at once; a long text read for a row
 * that is not shown. */
#include <stdlib.h>
#include <string.h>
#include "async.h"
#include "clock.h"
#include "ins_rows.h"
#include "map64.h"
#include "sql.h"
#include "text.h"
#include "wr_limits.h"

#define PIECE_MOST 1024u     /* candidates of one stream that are read at once */
#define SHOW_AT_ONCE 50u     /* whole rows in memory: each has some 70 KiB of texts at most */
#define OUT_OF_ORDER_US 600000000LL  /* so far may SQLite's numbers be behind the times of creation */

/* ---- the filter ---- */
/* Of a candidate, in the order of LOOK_COLS. */
struct candidate { int64_t ti, us, task_id; uint8_t state, phase, end_as; const char *type, *user, *group, *key; };

static void candidate_of(const struct cell *c, struct candidate *k) {
  *k = (struct candidate){
    .ti = cell_i64(&c[0]), .us = cell_us(&c[1]), .state = cell_u8(&c[2]), .phase = cell_u8(&c[3]),
    .end_as = cell_u8(&c[4]), .task_id = cell_i64(&c[5]), .type = cell_text(&c[6], NULL), .user = cell_text(&c[7], NULL),
    .group = cell_text(&c[8], NULL), .key = cell_text(&c[9], NULL)};
}

_Static_assert(ALONE_DELETING == 1u << SHOWN_DELETING && ALONE_DELETE_FAILED == 1u << SHOWN_DELETE_FAILED &&
               ALONE_ANALYZING == 1u << SHOWN_ANALYZING && ALONE_WAITING == 1u << SHOWN_WAITING_CHILDREN, "shown_bit()");
static uint32_t shown_bit(const struct candidate *k) {
  const struct task t = {.state = k->state < TASK__N ? k->state : TASK_NONE, .phase = k->phase, .end_as = k->end_as};
  enum task_shown s = task_show(&t);
  return s == SHOWN_NONE ? 0 : 1u << s;
}

static int status_of(uint8_t state) { return state < TASK_FINAL_MIN ? 1 : state == TASK_SUCCESS ? 2 : 3; }

static bool same(const char *want, const char *is) { return !want || strcmp(want, is ? is : "") == 0; }

static bool key_fits(const struct alone_filter *f, const char *key) {
  if (!f->key) return true;
  if (!key) return false;
  return f->key_prefix ? strncmp(key, f->key, strlen(f->key)) == 0 : strcmp(key, f->key) == 0;
}

static bool row_fits(const struct alone_filter *f, const struct candidate *k) {
  return (!f->states || f->states & shown_bit(k)) && (!f->status || f->status == status_of(k->state)) &&
         (!f->task_id || f->task_id == k->task_id) && k->us >= f->from_us && (!f->to_us || k->us <= f->to_us) &&
         key_fits(f, k->key);
}

static bool whose_fits(const struct alone_filter *f, const char *user, const char *group, const char *type) {
  return same(f->user, user) && same(f->group, group) && same(f->type, type);
}

/* ---- tasks of nodes ---- */
/* All other fields fit. own, all: what was said beside its definition. */
struct asked { size_t at; struct node_task task; struct queue_spec own, all; };
struct asking { struct asked *v; size_t n, cap; struct arena text; };

/* Behind the columns of a candidate: those of Q_LOOK_NODES. */
static void ask_later(struct asking *q, size_t at, const struct candidate *k, const struct cell *c) {
  struct asked *a = WR_PUSH(q->v, q->n, q->cap);
  const char *bases = cell_text(&c[14], NULL), *last = q->n > 1 ? a[-1].task.bases : NULL;
  *a = (struct asked){at, {k->ti, cell_i64(&c[10]), k->task_id, cell_i64(&c[11]), cell_i64(&c[12]), cell_i64(&c[13]), NULL},
                      .own = {.user = cell_text(&c[15], &q->text), .group = cell_text(&c[16], &q->text)},
                      .all = {.user = cell_text(&c[17], &q->text), .group = cell_text(&c[18], &q->text)}};
  if (bases) a->task.bases = last && strcmp(last, bases) == 0 ? last : cell_text(&c[14], &q->text);
}

static enum wr_rc ask_one(struct reader *r, const struct alone_filter *f, const struct asked *a, bool *fit, struct wr_err *err) {
  struct task_def *def = NULL;
  *fit = false;
  if (a->own.user && !same(f->user, a->own.user)) return WR_OK;
  if (a->own.group && !same(f->group, a->own.group)) return WR_OK;
  enum wr_rc rc = f->def_of ? f->def_of(f->def_ctx, r, &a->task, &def, err) : WR_OK;
  if (rc) return rc;
  struct queue_view q = queue_view_of(&a->own, def ? def->queue : NULL, &a->all);
  *fit = whose_fits(f, q.user, q.group, def ? def->type : NULL);
  def_task_unref(def);
  return WR_OK;
}

static void asking_done(struct asking *q) {
  arena_done(&q->text);
  free(q->v);
}

static bool live_only(const struct alone_filter *f) { return f->status == 1 || (f->states && !(f->states & ~ALONE_LIVE)); }

/* ---- streams ---- */
struct noted { int64_t us, ti; bool fits; };
struct stream {
  char *group;               /* of one user */
  struct noted *v;           /* read, not yet taken from `at` on */
  size_t n, cap, at, piece;
  struct alone_pos last;     /* behind this the next piece begins */
  bool whole;                /* nothing more is to be read */
};

struct look {
  struct reader *r;
  const struct alone_filter *f;
  enum query q;
  bool by_number;            /* order of ti alone, else of (create_time, ti) */
  bool in_time;              /* that order is the order of creation, too */
  struct stream *v;
  size_t n, cap;             /* v[0 .. n): a heap of those that have a candidate, the newest first */
  size_t n_made;             /* v[n .. n_made): done with */
};

static int64_t no_later(int64_t us) { return us > 0 && us < CLOCK_LAST_US ? us : CLOCK_LAST_US; }

static bool newer(const struct look *k, const struct noted *a, const struct noted *b) {
  if (!k->by_number && a->us != b->us) return a->us > b->us;
  return a->ti > b->ti;
}

/* Of a job, or added by one task: there is a list of them. */
static bool is_listed(const struct alone_filter *f) { return f->job || f->parent; }

static enum wr_rc read_into(struct look *k, struct stream *s, enum query q, int64_t most, const char *a, const char *b,
                            struct wr_err *err) {
  struct cursor c;
  struct candidate is;
  size_t before = s->n;
  struct asking nodes = {0};
  const struct arg arg[] = {arg_us(no_later(s->last.create_us)), arg_i(s->last.ti), arg_i(most),
                            is_listed(k->f) ? arg_i(k->f->parent ? k->f->parent : k->f->job) : arg_text(a),
                            is_listed(k->f) ? arg_i(k->f->job) : arg_text(b)};
  arena_init(&nodes.text, 0);
  db_select(k->r->db, &c, q, arg, sizeof arg / sizeof *arg);
  while (cursor_next(&c)) {
    candidate_of(c.cell, &is);
    bool fit = row_fits(k->f, &is), of_node = fit && q == Q_LOOK_NODES && !cell_null(&c.cell[10]);
    if (of_node) ask_later(&nodes, s->n, &is, c.cell);
    else fit = fit && whose_fits(k->f, is.user, is.group, is.type);
    *WR_PUSH(s->v, s->n, s->cap) = (struct noted){is.us, is.ti, fit};
  }
  s->whole = (int64_t)(s->n - before) < most;
  if (s->n > before) s->last = (struct alone_pos){s->v[s->n - 1].us, s->v[s->n - 1].ti};
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  for (size_t i = 0; i < nodes.n && !rc; i++) rc = ask_one(k->r, k->f, &nodes.v[i], &s->v[nodes.v[i].at].fits, err);
  asking_done(&nodes);
  return rc;
}

/* The next piece of a stream that has none left. */
static enum wr_rc refill(struct look *k, struct stream *s, struct wr_err *err) {
  if (s->at < s->n || s->whole) return WR_OK;
  s->n = s->at = 0;
  enum wr_rc rc = read_into(k, s, k->q, (int64_t)s->piece, k->f->user, s->group ? s->group : k->f->group, err);
  s->piece = s->piece * 4 < PIECE_MOST ? s->piece * 4 : PIECE_MOST;
  return rc;
}

/* ---- the heap of streams ---- */
static bool first(const struct look *k, size_t a, size_t b) {
  return newer(k, &k->v[a].v[k->v[a].at], &k->v[b].v[k->v[b].at]);
}

static void swap(struct look *k, size_t a, size_t b) {
  struct stream t = k->v[a];
  k->v[a] = k->v[b];
  k->v[b] = t;
}

static void sink(struct look *k, size_t i) {
  for (size_t c; (c = 2 * i + 1) < k->n; i = c) {
    if (c + 1 < k->n && first(k, c + 1, c)) c++;
    if (!first(k, c, i)) return;
    swap(k, c, i);
  }
}

/* Takes the newest candidate. *out.ti 0: there is none. */
static enum wr_rc next(struct look *k, struct noted *out, struct wr_err *err) {
  *out = (struct noted){0};
  if (!k->n) return WR_OK;
  struct stream *s = &k->v[0];
  *out = s->v[s->at++];
  enum wr_rc rc = refill(k, s, err);
  if (!rc && s->at == s->n) swap(k, 0, --k->n);
  if (!rc) sink(k, 0);
  return rc;
}

static void look_done(struct look *k) {
  for (size_t i = 0; i < k->n_made; i++) {
    free(k->v[i].group);
    free(k->v[i].v);
  }
  free(k->v);
}

static struct stream *stream_add(struct look *k, const char *group, struct alone_pos from) {
  struct stream *s = WR_PUSH(k->v, k->n_made, k->cap);
  *s = (struct stream){.group = group ? wr_strdup(group) : NULL, .last = from};
  return s;
}

/* Fills the streams for the first time and makes the heap. */
static enum wr_rc look_start(struct look *k, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  size_t piece = PIECE_MOST / 4 / k->n_made;
  for (size_t i = 0; i < k->n_made && !rc; i++) {
    if (!k->v[i].piece) k->v[i].piece = piece ? piece : 1;
    rc = refill(k, &k->v[i], err);
    if (k->v[i].at < k->v[i].n) swap(k, i, k->n++);
  }
  for (size_t i = k->n / 2; i-- > 0 && !rc;) sink(k, i);
  return rc;
}

/* ---- which streams ---- */
/* The number of the newest task that is not created clearly after `us`: a search by halves, for numbers rise with the times. */
static enum wr_rc number_at(struct reader *r, int64_t us, int64_t *ti, struct wr_err *err) {
  int64_t lo = 0, hi = *ti;
  enum wr_rc rc = WR_OK;
  while (lo < hi && !rc) {
    int64_t mid = lo + (hi - lo) / 2, at = INT64_MAX;
    rc = db_int(r->db, Q_LOOK_AT, ARGS(arg_i(mid)), &at, err);
    if (at > us) hi = mid;
    else lo = mid + 1;
  }
  *ti = lo;
  return rc;
}

static enum wr_rc begin_at(const struct look *k, struct alone_pos *from, struct wr_err *err) {
  const struct alone_filter *f = k->f;
  *from = f->pos && f->pos->ti ? *f->pos : (struct alone_pos){INT64_MAX, INT64_MAX};
  if (!f->to_us || f->to_us >= CLOCK_LAST_US || !k->in_time) return WR_OK;
  if (!k->by_number) {
    if (from->create_us > f->to_us) *from = (struct alone_pos){f->to_us, INT64_MAX};
    return WR_OK;
  }
  if (from->ti > WR_ID_MAX) from->ti = WR_ID_MAX;
  return number_at(k->r, f->to_us + OUT_OF_ORDER_US, &from->ti, err);
}

/* One stream for each group of the user. */
static enum wr_rc add_groups(struct look *k, struct alone_pos from, struct wr_err *err) {
  struct cursor c;
  enum wr_rc rc = WR_OK;
  bool more = true;
  stream_add(k, "", from);
  while (!rc && more && k->n_made < LIMIT_ALONE_LOOK) {
    char *group = NULL;
    db_select(k->r->db, &c, Q_LOOK_GROUPS, ARGS(arg_text(k->f->user), arg_text(k->v[k->n_made - 1].group)));
    more = cursor_next(&c);
    if (more) group = wr_strdup(cell_text(&c.cell[0], NULL));
    rc = cursor_end(&c, WR_OK, err);
    more = group != NULL;
    if (group) stream_add(k, group, from);
    free(group);
  }
  return rc;
}

static int by_number(const void *a, const void *b) {
  const struct noted *x = a, *y = b;
  return (x->ti < y->ti) - (x->ti > y->ti);
}
static int by_time(const void *a, const void *b) {
  const struct noted *x = a, *y = b;
  return x->us != y->us ? (x->us < y->us) - (x->us > y->us) : by_number(a, b);
}

/* All that the index holds, as one sorted stream. *enough false: too many, and nothing was made. */
static enum wr_rc gather(struct look *k, enum query q, struct alone_pos from, const char *a, const char *b, bool *enough,
                         struct wr_err *err) {
  struct noted here = {from.create_us, from.ti, false};
  struct stream *s = stream_add(k, NULL, (struct alone_pos){INT64_MAX, INT64_MAX});
  enum wr_rc rc = read_into(k, s, q, LIMIT_ALONE_LOOK + 1, a, b, err);
  *enough = s->whole;
  if (rc || !s->whole) {
    free(s->v);
    k->n_made--;
    return rc;
  }
  if (s->n > 1) qsort(s->v, s->n, sizeof *s->v, k->by_number ? by_number : by_time);
  while (s->at < s->n && !newer(k, &here, &s->v[s->at])) s->at++;
  return WR_OK;
}

static enum wr_rc gather_keys(struct look *k, struct alone_pos from, bool *enough, struct wr_err *err) {
  struct buf end = BUF_INIT;
  const char *key = k->f->key;
  if (!text_visible(key, strlen(key)) || (!*key && !k->f->key_prefix)) { /* no other key is stored */
    stream_add(k, NULL, from)->whole = true;
    *enough = true;
    return WR_OK;
  }
  buf_str(&end, key);
  buf_str(&end, "\x7f"); /* behind all visible characters */
  enum wr_rc rc = gather(k, k->f->key_prefix ? Q_LOOK_KEYS : Q_LOOK_KEY, from, key, end.data, enough, err);
  buf_done(&end);
  return rc;
}

static enum wr_rc look_open(struct look *k, struct wr_err *err) {
  const struct alone_filter *f = k->f;
  struct alone_pos from;
  bool named = f->user && (*f->user || (f->group && *f->group)), goes_on = f->pos && f->pos->ti, gathered = false;
  bool filters = f->user || f->group || f->type;
  k->q = f->parent ? Q_LOOK_CHILDREN : f->job ? Q_LOOK_JOB : f->alone_only ? Q_LOOK_ALL : filters ? Q_LOOK_NODES : Q_LOOK_INS;
  k->in_time = f->alone_only && !is_listed(f);
  k->by_number = store_single(k->r->s) || !f->alone_only || is_listed(f);
  enum wr_rc rc = begin_at(k, &from, err);
  if (rc || !f->alone_only || is_listed(f)) return stream_add(k, NULL, from), rc;
  if (f->key) rc = gather_keys(k, from, &gathered, err);
  else if (live_only(f) && k->by_number && !named) k->q = Q_LOOK_LIVE;
  else if (live_only(f) && !(named && goes_on)) /* few live, though many of a user are over: once, not for each page */
    rc = gather(k, Q_LOOK_LIVE, from, NULL, NULL, &gathered, err);
  if (rc || gathered) return rc;
  if (named) k->q = Q_LOOK_QUEUE;
  if (k->q == Q_LOOK_QUEUE && !f->group) return add_groups(k, from, err);
  stream_add(k, NULL, from);
  return WR_OK;
}

/* ---- the page ---- */
struct shown { struct look *k; alone_row_fn *fn; void *ctx; int64_t id[SHOW_AT_ONCE]; size_t n; bool stop; };

static enum wr_rc read_tasks(struct reader *r, const int64_t *id, size_t n, struct task_row *out, size_t *got, struct arena *a,
                             struct wr_err *err) {
  struct cursor c;
  db_select_ids(r->db, &c, Q_LOOK_TASKS, id, n);
  while (*got < n && cursor_next(&c)) {
    struct task_row *t = &out[(*got)++];
    ins_row_task(c.cell, t, a);
    int64_t len = cell_i64(&c.cell[TASK_LENGTH_CELL]);
    t->result_len = len > 0 ? (size_t)len : 0;
  }
  qsort(out, *got, sizeof *out, wr_by_id);
  return cursor_end(&c, WR_OK, err);
}

static enum wr_rc read_async(struct reader *r, const int64_t *id, size_t n, struct async_row *out, size_t *got, struct arena *a,
                             struct wr_err *err) {
  struct cursor c;
  db_select_ids(r->db, &c, Q_LOOK_ASYNC, id, n);
  while (*got < n && cursor_next(&c)) ins_row_async(c.cell, &out[(*got)++], a);
  qsort(out, *got, sizeof *out, wr_by_id);
  return cursor_end(&c, WR_OK, err);
}

/* The rows that were chosen so far, in their order. One that is gone meanwhile is left out. */
static enum wr_rc show(struct shown *w, struct wr_err *err) {
  struct task_row *t = wr_calloc(SHOW_AT_ONCE, sizeof *t);
  struct async_row *a = wr_calloc(SHOW_AT_ONCE, sizeof *a);
  struct arena texts;
  size_t n_t = 0, n_a = 0;
  arena_init(&texts, 0);
  enum wr_rc rc = w->n ? read_tasks(w->k->r, w->id, w->n, t, &n_t, &texts, err) : WR_OK;
  if (!rc && w->n) rc = read_async(w->k->r, w->id, w->n, a, &n_a, &texts, err);
  for (size_t i = 0; i < w->n && !rc && !w->stop; i++) {
    const struct task_row *row = bsearch(&w->id[i], t, n_t, sizeof *t, wr_by_id);
    const struct async_row *async = n_a ? bsearch(&w->id[i], a, n_a, sizeof *a, wr_by_id) : NULL;
    if (row && (async || !w->k->f->alone_only)) w->stop = w->fn(w->ctx, row, async) != 0;
  }
  w->n = 0;
  arena_done(&texts);
  free(a);
  free(t);
  return rc;
}

/* Nothing that comes can fit any more. */
static bool too_old(const struct look *k, const struct noted *v) {
  return k->in_time && v->us < k->f->from_us - (k->by_number ? OUT_OF_ORDER_US : 0);
}

static enum wr_rc show_page(struct look *k, const struct page *p, struct shown *w, bool *more, int64_t *total,
                            struct wr_err *err) {
  uint64_t hits = 0, looked = 0;
  struct noted v;
  enum wr_rc rc = next(k, &v, err);
  for (; !rc && v.ti && !w->stop && looked < LIMIT_ALONE_LOOK && !too_old(k, &v); rc = next(k, &v, err)) {
    looked++;
    bool full = hits >= p->offset && hits - p->offset >= p->limit;
    if (!full && k->f->pos) *k->f->pos = (struct alone_pos){v.us, v.ti};
    if (!v.fits) continue;
    if (full) *more = true;
    if (full && !p->want_total) break;
    if (!full && hits >= p->offset) w->id[w->n++] = v.ti;
    hits++;
    if (w->n == SHOW_AT_ONCE) rc = show(w, err);
    if (rc) break;
  }
  bool cut = !rc && v.ti && looked == LIMIT_ALONE_LOOK;
  if (cut) *more = true;
  if (!rc && !w->stop) rc = show(w, err);
  if (!rc && p->want_total && !cut) *total = (int64_t)hits;
  return rc;
}

enum wr_rc reader_list_alone(struct reader *r, const struct alone_filter *f, const struct page *p, alone_row_fn *fn, void *ctx,
                             bool *more, int64_t *total, struct wr_err *err) {
  struct look k = {.r = r, .f = f};
  *more = false, *total = -1;
  enum wr_rc rc = db_view(r->db, err);
  if (rc) return rc;
  struct shown w = {.k = &k, .fn = fn, .ctx = ctx};
  rc = look_open(&k, err);
  if (!rc) rc = look_start(&k, err);
  if (!rc) rc = show_page(&k, p, &w, more, total, err);
  look_done(&k);
  return db_view_end(r->db, rc, err);
}
