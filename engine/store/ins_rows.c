/* Instances in rows (ins_rows.h). No I/O; any thread. */
#include "ins_rows.h"
#include <stdlib.h>
#include "wr_limits.h"
#include "clock.h"
#include "map64.h"
#include "mem.h"

/* ---- columns ---- */
#define I(n) cell_i64(&c[n])
#define U(n) cell_us(&c[n])
#define T(n) cell_text(&c[n], a)
#define N(n) (cell_null(&c[n]) ? -1 : cell_i64(&c[n]))
void ins_row_flow(const struct cell *c, struct flow_row *r, struct arena *a) { *r = (struct flow_row)FLOW_ROW(I, U, T); }
void ins_row_node(const struct cell *c, struct node_row *r, struct arena *a) { *r = (struct node_row)NODE_ROW(I, U, T); }
void ins_row_task(const struct cell *c, struct task_row *r, struct arena *a) {
  *r = (struct task_row)TASK_ROW(I, U, T, N);
  r->result = T(TASK_RESULT_CELL);
  r->result_len = cell_bytes(&c[TASK_RESULT_CELL]);
}
void ins_row_async(const struct cell *c, struct async_row *r, struct arena *a) {
  *r = (struct async_row){
    .ti = I(0), .create_us = U(1), .name = T(2), .type = T(3), .user = T(4), .group = T(5), .priority = fit_i32(I(6)),
    .cpu = fit_i32(I(7)), .start_at_us = U(8), .run_no = fit_u32(I(9)), .run_epoch = fit_u32(I(10)), .context_len = (size_t)I(11),
    .context_epoch = fit_u32(I(12)), .key = T(13), .config = T(15), .content = T(16), .job = I(17),
    .parent = I(18), .root = I(19), .depth = fit_u32(I(20))};
  (void)ins_row_hash(&c[14], r->hash);
}
void ins_row_tree(const struct cell *c, struct tree_row *r) {
  *r = (struct tree_row){.ti = I(0), .verdict = fit_u8(I(1)), .ignore = fit_u8(I(2)), .wish = fit_u8(I(3)),
                         .pass = !cell_null(&c[4]), .pass_at = I(4), .total = I(5), .live = I(6), .failed = I(7), .known = I(8)};
}
void ins_row_queue(const struct cell *c, struct queue_row *r, struct arena *a) {
  *r = (struct queue_row){.queue_id = I(0), .user = T(1), .group = T(2), .max_running = N(3), .weight = fit_i32(N(4)),
                          .rate_count = N(5), .rate_per_us = N(6), .order = fit_i32(N(7)), .paused = fit_i32(N(8)),
                          .rate_at = I(9)};
}
void ins_row_running(const struct cell *c, struct running_row *r, struct arena *a) {
  const char *user = T(3), *group = T(4);
  *r = (struct running_row){I(0), I(1), user ? user : "", group ? group : "", fit_i32(I(5)), I(2), !cell_null(&c[6]),
                            I(7) != 0, T(8)};
}
#undef I
#undef U
#undef T
#undef N

struct running_row *running_keep(struct running_row *v, size_t n, struct arena *a) {
  struct running_row *out = n ? arena_alloc(a, n * sizeof *v) : NULL;
  if (n) memcpy(out, v, n * sizeof *v);
  if (n > 1) qsort(out, n, sizeof *out, wr_by_id);
  free(v);
  return out;
}

static bool text_there(const char *s) { return s && *s; }

bool async_plain(const struct async_row *r) {
  return !text_there(r->user) && !text_there(r->group) && !r->priority && !r->cpu && !r->key && !r->start_at_us &&
         r->run_no <= 1 && !r->run_epoch && !r->context && !r->content && !r->config && !r->job;
}

bool ins_row_hash(const struct cell *c, uint8_t hash[KEY_HASH_BYTES]) {
  bool whole = cell_bytes(c) == KEY_HASH_BYTES;
  if (whole) memcpy(hash, c->s, KEY_HASH_BYTES);
  return whole;
}

/* ---- ids ---- */
void span_add(struct span *s, const char *bases) {
  struct run_base b;
  while (run_base_next(&bases, &b)) *WR_PUSH(s->base, s->n_base, s->cap) = b;
}

void span_nodes(struct span *s, int64_t n) { s->n = n < 0 || n > LIMIT_NODES ? 0 : n; }

struct id_range span_tasks(const char *bases, int64_t n_node, int64_t ni, int64_t task_at, int64_t n_task) {
  struct id_range v = {1, 0};
  struct run_base b;
  struct run_wide w;
  if (n_node < 0 || n_node > LIMIT_NODES || task_at < 0 || task_at > LIMIT_FLOW_TASKS || n_task < 0 ||
      n_task > LIMIT_FLOW_TASKS)
    return v;
  if (run_wide_of_node(bases, n_node, ni, &w)) v = (struct id_range){w.ti, w.ti + w.n - 1};
  else if (run_base_of_node(bases, n_node, ni, &b)) v = (struct id_range){b.ti + task_at, b.ti + task_at + n_task - 1};
  return v;
}

void sweep_add(struct sweep *w, int64_t lo, int64_t hi) { *WR_PUSH(w->v, w->n, w->cap) = (struct id_range){lo, hi}; }

void sweep_id(struct sweep *w, int64_t id) {
  struct id_range *last = w->n > 0 ? &w->v[w->n - 1] : NULL;
  if (last && last->hi < INT64_MAX && last->hi + 1 == id) last->hi = id;
  else sweep_add(w, id, id);
}

void sweep_runs(struct sweep *w, const char *bases, int64_t n_task) {
  struct run_base b;
  struct run_wide grown;
  if (n_task <= 0 || n_task > LIMIT_FLOW_TASKS) return;
  for (const char *p = bases; run_wide_next(&p, &grown);) sweep_add(w, grown.ti, grown.ti + grown.n - 1);
  while (run_base_next(&bases, &b)) sweep_add(w, b.ti, b.ti + n_task - 1);
}

/* The texts that ranges come from may be damaged, and nothing has checked them before. So ranges that overlap become one: else a
 * pass would find rows twice, and go back. */
void sweep_sort(struct sweep *w) {
  size_t k = 0;
  if (w->n) qsort(w->v, w->n, sizeof *w->v, wr_by_id);
  for (size_t i = 1; i < w->n; i++) {
    if (w->v[i].lo > w->v[k].hi) w->v[++k] = w->v[i];
    else if (w->v[i].hi > w->v[k].hi) w->v[k].hi = w->v[i].hi;
  }
  if (w->n) w->n = k + 1;
}

void sweep_join(struct sweep *w) {
  size_t k = 0;
  sweep_sort(w);
  for (size_t i = 1; i < w->n; i++) {
    if (w->v[i].lo == w->v[k].hi + 1) w->v[k].hi = w->v[i].hi;
    else w->v[++k] = w->v[i];
  }
  if (w->n) w->n = k + 1;
}

void sweep_cut(struct sweep *w, int64_t last) {
  while (w->n > 1 && w->v[w->n - 1].lo > last) w->n--;
  if (w->n > 0 && w->v[w->n - 1].hi > last) w->v[w->n - 1].hi = last;
}

void sweep_done(struct sweep *w) {
  free(w->v);
  *w = (struct sweep){0};
}

size_t sweep_find(const struct sweep *w, int64_t after) {
  size_t lo = 0, hi = w->n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (w->v[mid].hi > after) hi = mid;
    else lo = mid + 1;
  }
  return lo;
}

void places_add(struct places *p, uint32_t index, size_t run) {
  *WR_PUSH(p->v, p->n, p->cap) = (struct place){index, (uint32_t)run};
}

static int place_cmp(const void *a, const void *b) {
  const struct place *x = a, *y = b;
  if (x->index != y->index) return x->index < y->index ? -1 : 1;
  return (x->run > y->run) - (x->run < y->run);
}

void places_sort(struct places *p) {
  if (p->n > 0) qsort(p->v, p->n, sizeof *p->v, place_cmp);
}

void places_newest(struct places *p) {
  size_t n = 0;
  for (size_t i = 0; i < p->n; i++)
    if (i + 1 == p->n || p->v[i + 1].index != p->v[i].index) p->v[n++] = p->v[i];
  p->n = n;
}

/* ---- lists ---- */
int filter_states(const struct list_filter *f, int out[FILTER_STATES]) {
  int n = 0;
  for (int s = FLOW_RUNNING; s < FLOW__N; s++) {
    int word = s < FLOW_SUCCESS ? 1 : s == FLOW_SUCCESS ? 2 : 3;
    if ((f->state < 0 || f->state == s) && (f->status == 0 || f->status == word)) out[n++] = s;
  }
  return n;
}

void filter_args(const struct list_filter *f, int state, struct arg arg[FILTER_ARGS]) {
  arg[0] = arg_i(f->flow_id);
  arg[1] = arg_i(state);
  arg[2] = arg_us(f->from_us > 0 ? f->from_us : 1);
  arg[3] = arg_us(f->to_us > 0 && f->to_us < CLOCK_LAST_US ? f->to_us : CLOCK_LAST_US);
}

int list_one_row(void *one, const struct flow_row *row) {
  struct list_one *o = one;
  const struct list_filter *f = o->f;
  int state[FILTER_STATES], n = filter_states(f, state);
  bool in = false;
  for (int i = 0; i < n; i++) in |= state[i] == row->state;
  if (f->flow_id) in &= f->flow_id == row->flow_id;
  if (filter_timed(f)) in &= row->start_us && row->start_us >= f->from_us && (!f->to_us || row->start_us <= f->to_us);
  o->hit = in;
  return in && o->p->offset == 0 && o->p->limit > 0 ? o->fn(o->ctx, row) : 0;
}

enum wr_rc no_such(struct wr_err *err, const char *what, int64_t id) {
  return wr_err_set(err, WR_NOT_FOUND, "There is no %s %lld.", what, (long long)id);
}
