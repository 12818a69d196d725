/* Tasks of a followed node: see steps.h. */
#include "steps.h"
#include <stdlib.h>
#include <string.h>
#include "follow.h"

#define READ_BYTES 65536          /* of a log at once; a line that is longer is shown in pieces */
#define TAIL_BYTES 8192
#define TAIL_LINES 20
#define TAILS_MAX 20              /* failed tasks whose log is shown unasked */

struct seen { struct task_row *row; size_t n, cap; struct arena text; };

static int task_keep(void *ctx, const struct task_row *row) {
  struct seen *s = ctx;
  struct task_row *out = WR_PUSH(s->row, s->n, s->cap);
  *out = *row;
  out->t.epoch = task_attempt_of(row->t.epoch); /* calls of an analyzer are no attempts here, and have no log */
  out->error = arena_strdup(&s->text, row->error);
  out->result = out->params = NULL;
  return 0;
}

static enum wr_rc read_tasks(struct follow *f, struct reader *r, uint32_t i, struct seen *s, struct wr_err *err) {
  struct follow_node *n = &f->node[i];
  *s = (struct seen){0};
  arena_init(&s->text, 0);
  enum wr_rc rc = reader_node_tasks(r, n->ni, task_keep, s, err);
  if (!rc && s->n > n->n_step) {
    n->step = wr_realloc(n->step, s->n * sizeof *n->step);
    for (; n->n_step < s->n; n->n_step++) n->step[n->n_step] = (struct step){.ti = s->row[n->n_step].ti};
  }
  return rc;
}

static void seen_done(struct seen *s) {
  arena_done(&s->text);
  free(s->row);
}

/* Prints "key", or "key/name" for a node with several tasks. */
static void put_name(const struct follow *f, uint32_t i, size_t k) {
  const struct node_def *d = &f->flow->node[i];
  fputs(d->key, f->to);
  if (d->n_task + d->n_task_id < 2) return;
  fputc('/', f->to);
  if (k < d->n_task && d->task[k]->name) follow_text(f->to, d->task[k]->name, strlen(d->task[k]->name));
  else fprintf(f->to, "%zu", k + 1);
}

/* ---- logs ---- */

static void put_line(const struct follow *f, uint32_t i, size_t k, const char *s, size_t n) {
  put_name(f, i, k);
  fputs(" | ", f->to);
  follow_text(f->to, s, n);
  fputc('\n', f->to);
}

/* Whole lines of b; the rest too when nothing follows or a line is longer than a read. Returns the bytes shown. */
static size_t put_lines(const struct follow *f, uint32_t i, size_t k, const struct buf *b, bool end) {
  size_t at = 0;
  while (at < b->len) {
    const char *nl = memchr(b->data + at, '\n', b->len - at);
    if (!nl && !end && b->len - at < READ_BYTES) break;
    size_t n = nl ? (size_t)(nl - b->data) - at : b->len - at;
    put_line(f, i, k, b->data + at, n);
    at += n + (nl != NULL);
  }
  return at;
}

static enum wr_rc show_log(struct follow *f, struct reader *r, uint32_t i, size_t k, bool over, struct wr_err *err) {
  struct step *s = &f->node[i].step[k];
  enum wr_rc rc = WR_OK;
  for (size_t shown = 1; shown > 0 && !rc;) {
    struct buf b = BUF_INIT;
    int64_t size = 0;
    rc = reader_log(r, s->ti, s->epoch, s->at, READ_BYTES, &b, &size, err);
    shown = rc ? 0 : put_lines(f, i, k, &b, over && s->at + (int64_t)b.len >= size);
    s->at += (int64_t)shown;
    buf_done(&b);
  }
  return rc == WR_NOT_FOUND ? WR_OK : rc;
}

/* ---- attempts ---- */

/* Attempts that ended and were followed by another one, as one look finds them. */
struct past { uint32_t epoch; int64_t start_us, end_us; const char *word, *error; };
struct attempts { struct past *v; size_t n, cap; uint32_t told, last; struct arena *text; };   /* those behind told, up to last */

static int keep_attempt(void *ctx, const struct attempt_row *a) {
  struct attempts *t = ctx;
  if (a->epoch <= t->told || a->epoch > t->last) return 0; /* the newest one has a row, too, when it is analysed */
  const char *word = strcmp(a->why, "LOST") == 0 ? "LOST" : strcmp(a->why, "HANDBACK") == 0 ? "HANDBACK" : "RETRY";
  const char *said = a->error && *a->error ? arena_strdup(t->text, a->error)
                     : strcmp(a->why, "OK") == 0 ? "Its analyzer wants another attempt." : "";
  *WR_PUSH(t->v, t->n, t->cap) = (struct past){a->epoch, a->start_us, a->end_us, word,
                                               said};
  return 0;
}

static void tell_attempt(struct follow *f, uint32_t i, size_t k, const struct task *task, const struct past *a) {
  bool waits = task->state == TASK_RETRY_WAIT && task->epoch == a->epoch && task->due_us > a->end_us;
  f->node[i].attempts = a->epoch;
  if (f->style == FOLLOW_TREE) return;
  put_name(f, i, k);
  fprintf(f->to, " %s", a->word);
  if (a->start_us && a->end_us) fprintf(f->to, " %.3fs", (double)(a->end_us - a->start_us) / 1e6);
  fprintf(f->to, " attempt %u: ", a->epoch);
  follow_text(f->to, a->error, strlen(a->error));
  if (waits) fprintf(f->to, " Again in %.3fs.", (double)(task->due_us - a->end_us) / 1e6);
  fputc('\n', f->to);
}

/* The output of an attempt stands before the line of its end. */
static enum wr_rc look_past(struct follow *f, struct reader *r, uint32_t i, size_t k, const struct task_row *row, uint32_t last,
                            struct arena *text, struct wr_err *err) {
  struct step *s = &f->node[i].step[k];
  struct attempts past = {.told = s->told, .last = last, .text = text};
  enum wr_rc rc = reader_attempts(r, row->ti, keep_attempt, &past, err);
  for (size_t a = 0; a < past.n && !rc; a++) {
    for (; f->logs && s->epoch <= past.v[a].epoch && !rc; s->epoch++, s->at = 0) rc = show_log(f, r, i, k, true, err);
    tell_attempt(f, i, k, &row->t, &past.v[a]);
    s->told = past.v[a].epoch;
  }
  free(past.v);
  return rc;
}

static enum wr_rc look_step(struct follow *f, struct reader *r, uint32_t i, size_t k, const struct task_row *row,
                            struct arena *text,
                            struct wr_err *err) {
  struct step *s = &f->node[i].step[k];
  const struct task *t = &row->t;
  enum wr_rc rc = WR_OK;
  bool analysed = t->phase == PHASE_ANALYSE || t->phase == PHASE_CHILDREN; /* its attempt has ended, as what is not known */
  bool waits = t->state == TASK_RETRY_WAIT && !analysed, over = t->state != TASK_RUNNING && t->state != TASK_CANCELING;
  if (s->epoch == 0) s->epoch = 1;
  if (waits) f->node[i].retry_us = t->due_us;
  /* The attempt that goes on, or ended for good, has no row among those that ended and were followed by another. */
  bool next = waits || (t->state == TASK_QUEUED && !analysed);
  uint32_t past = t->epoch > 0 && !next ? t->epoch - 1 : t->epoch;
  if (past > s->told) rc = look_past(f, r, i, k, row, past, text, err);
  for (; f->logs && s->epoch < t->epoch && !rc; s->epoch++, s->at = 0) rc = show_log(f, r, i, k, true, err);
  if (f->logs && !rc && s->epoch == t->epoch) rc = show_log(f, r, i, k, over, err);
  return rc;
}

enum wr_rc steps_look(struct follow *f, struct reader *r, uint32_t i, struct wr_err *err) {
  struct seen s;
  enum wr_rc rc = read_tasks(f, r, i, &s, err);
  f->node[i].retry_us = 0;
  for (size_t k = 0; k < s.n && !rc; k++) rc = look_step(f, r, i, k, &s.row[k], &s.text, err);
  seen_done(&s);
  return rc;
}

/* ---- the end of a log ---- */

enum wr_rc steps_log_end(struct reader *r, const struct task_row *row, size_t n, struct buf *out, bool *cut, struct wr_err *err) {
  int64_t size = row->log_bytes > (int64_t)row->result_len ? row->log_bytes : (int64_t)row->result_len;
  int64_t at = size > (int64_t)n ? size - (int64_t)n : 0;
  uint32_t epoch = task_attempt_of(row->t.epoch);
  enum wr_rc rc = reader_log(r, row->ti, epoch, at, n, out, &size, err);
  if (rc == WR_BAD_RANGE || rc == WR_NOT_FOUND) rc = WR_OK;
  if (!rc && out->len == 0 && at > 0) { /* the result was larger than the log */
    at = size > (int64_t)n ? size - (int64_t)n : 0;
    rc = reader_log(r, row->ti, epoch, at, n, out, &size, err);
  }
  *cut = at > 0;
  size_t skip = 0;
  while (*cut && skip < 4 && skip < out->len && ((unsigned char)out->data[skip] & 0xC0) == 0x80) skip++;
  if (skip) memmove(out->data, out->data + skip, out->len -= skip);
  return rc;
}

/* Where the last lines begin. */
static size_t last_lines(const struct buf *b, bool cut, size_t lines) {
  size_t at = b->len && b->data[b->len - 1] == '\n' ? b->len - 1 : b->len;
  for (; at > 0; at--)
    if (b->data[at - 1] == '\n' && --lines == 0) return at;
  const char *nl = cut ? memchr(b->data, '\n', b->len) : NULL; /* half a line helps nobody, unless there is no other */
  return nl && nl + 1 < b->data + b->len ? (size_t)(nl + 1 - b->data) : 0;
}

static enum wr_rc show_tail(struct follow *f, struct reader *r, uint32_t i, size_t k, const struct task_row *row,
                            struct wr_err *err) {
  struct buf b = BUF_INIT;
  bool cut;
  enum wr_rc rc = steps_log_end(r, row, TAIL_BYTES, &b, &cut, err);
  if (!rc && b.len > 0) {
    size_t from = last_lines(&b, cut, TAIL_LINES);
    if (cut || from > 0) put_line(f, i, k, "...", 3);
    memmove(b.data, b.data + from, b.len -= from);
    (void)put_lines(f, i, k, &b, true);
  }
  buf_done(&b);
  return rc;
}

static bool failed(enum task_state s) { return s == TASK_FAILED || s == TASK_TIMEOUT || s == TASK_DEAD; }

enum wr_rc steps_tail(struct follow *f, struct reader *r, uint32_t i, struct wr_err *err) {
  struct seen s;
  if (f->logs) return WR_OK;
  enum wr_rc rc = read_tasks(f, r, i, &s, err);
  for (size_t k = 0; k < s.n && !rc; k++) {
    struct step *p = &f->node[i].step[k];
    if (p->tail || !failed(s.row[k].t.state)) continue;
    p->tail = true;
    if (f->tails++ < TAILS_MAX) rc = show_tail(f, r, i, k, &s.row[k], err);
  }
  if (f->tails > TAILS_MAX) f->untold = f->tails - TAILS_MAX;
  seen_done(&s);
  return rc;
}

void steps_done(struct follow *f, uint32_t i) {
  free(f->node[i].step);
  f->node[i].step = NULL;
}
