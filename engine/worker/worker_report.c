/* What an attempt reports while it runs: lines of descriptor 3 of its program, or notes of its executor. Loop thread only.
 *
 *   bytes -> lines -> report_line.c -> progress   progress.c, and at most once a second worker_kept.c
 *                                      context    worker_kept.c
 *                                      result, fail, again   kept here until the end of the attempt
 *                                      log        its log
 * The two pure parts, report_line.c and progress.c, are files of the model.
 *
 * A program may write whatever it likes, as fast as it likes. A line costs one pass over it. Beyond LIMIT_REPORT_RATE_BYTES a
 * second its descriptor is not read, and the program waits; no other task does. Memory: 128 KiB of the beginning of a line for
 * each attempt. LIMIT_REPORT_LARGE attempts have a place for a longer one; others wait for a place, and who keeps one for
 * PATIENCE_US while another waits loses its line. A line that is no report is a line in its log, LIMIT_REPORT_WARNINGS of them.
 *
 * What never happens: a report counts before its newline has come, unless it was the last one; one counts after the end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "progress.h"
#include "report_line.h"
#include "text.h"
#include "wr_limits.h"
#include "worker_int.h"

enum { SMALL_BYTES = 64 * 1024, SHOWN_BYTES = 60 };
#define SECOND_US 1000000
#define PATIENCE_US 10000000
#define KEPT_LAST_US 600000000     /* how long an ended attempt waits for a store that takes nothing; also in async.md */
#define KEPT_ALL_US 60000000       /* at a planned stop, for one that is busy with what others reported, about */
static const char line_long[] = "it is longer than 1 MiB + 64 KiB";
static const char line_slow[] = "it stood unfinished for 10 s while other tasks had long ones, too";

/* How the program wants to end. */
struct last_word { int said; char *text; int64_t after_us; };
struct noted { char *p; size_t n; bool is, large; };   /* the result that it reported */

/* The line whose end has not come. */
struct open_line {
  struct buf b;
  uint32_t number, warned;         /* of the line; how many were no reports */
  bool skip;                       /* the rest of it is passed over */
  bool large;                      /* it has a place */
  int64_t since_us;                /* when it got that */
  struct reports *next_large;
};

/* When it is read. */
struct intake {
  struct timer refill;             /* the next second begins */
  int64_t second_us, bytes;        /* when this one began; read in it */
  bool waits;                      /* on reporters.waiting */
  struct reports *next;
};

struct reports {
  struct intake in;
  struct wx_exec *x;
  struct open_line line;
  struct timer flush, late;        /* progress may be stored again; the end has waited for long enough */
  int64_t flushed_us, at_us;       /* at_us: wall clock of the newest progress */
  int64_t end_us; uint64_t stored; /* when its end began; what keeper_stored() was when it looked last */
  bool moved, has_progress, ending;
  struct kept *kept;               /* NULL = nothing is kept, or all of it is */
  struct progress progress;
  struct last_word word;
  struct noted result;
};
_Static_assert(offsetof(struct reports, in.refill) == 0, "a refill timer is its reports");

static struct reports *of_flush(struct timer *t) { return (struct reports *)((char *)t - offsetof(struct reports, flush)); }
static struct reports *of_late(struct timer *t) { return (struct reports *)((char *)t - offsetof(struct reports, late)); }

static void flush_due(struct worker *w, struct timer *t);
static void refill_due(struct worker *w, struct timer *t);
static void late_due(struct worker *w, struct timer *t);

static struct reports *reports_of(struct wx_exec *x) {
  if (x->reports) return x->reports;
  struct reports *r = x->reports = wr_new(struct reports);
  r->x = x;
  r->in.refill.fire = refill_due;
  r->flush.fire = flush_due;
  r->late.fire = late_due;
  r->word.after_us = -1;
  if (!x->begun_us) x->begun_us = clock_mono_us();
  progress_begin(&r->progress, x->begun_us);
  if (x->w->keeper && !x->a->analysis) r->kept = kept_new(x->w->keeper, x);
  return r;
}

void reports_begin(struct wx_exec *x, const struct attempt_left *left) {
  if (left->total < 0 && left->done < 0 && !*left->unit && !*left->message) return;
  struct reports *r = reports_of(x);
  progress_goes_on(&r->progress, left->total, left->done, left->unit, left->message);
}

/* ---- progress ---- */

static void store_progress(struct reports *r, int64_t now_us) {
  r->flushed_us = now_us;
  r->moved = false;
  if (r->kept) kept_progress(r->kept, &r->progress, r->at_us);
}

/* At once when a second has passed since the last time, else when it has. */
static void take_progress(struct reports *r, const struct report *p) {
  int64_t now = clock_mono_us();
  progress_report(&r->progress, p, now);
  r->at_us = clock_wall_us();
  r->has_progress = r->moved = true;
  if (!r->flushed_us || now - r->flushed_us >= SECOND_US) store_progress(r, now);
  if (!r->flush.it.pos) worker_timer(r->x->w, &r->flush, r->flushed_us + SECOND_US);
}

/* The speed changes while nothing is reported, too. */
static void flush_due(struct worker *w, struct timer *t) {
  struct reports *r = of_flush(t);
  int64_t now = clock_mono_us();
  if (progress_second(&r->progress, now) || r->moved) store_progress(r, now);
  if (progress_moves(&r->progress)) worker_timer(w, t, now + SECOND_US);
}

/* ---- one line ---- */

static void say(struct reports *r, const char *text) { (void)exec_note(r->x, WX_NOTE_LOG, WX_SYSTEM, text, strlen(text)); }

/* shown: the beginning of the line, as it came. */
static void warn(struct reports *r, const char *why, const char *shown, size_t n) {
  char q[WR_QUOTE_MAX], text[WR_QUOTE_MAX + 256];
  if (r->line.warned == LIMIT_REPORT_WARNINGS) return;
  snprintf(text, sizeof text, "[weir: descriptor 3, line %" PRIu32 ": %s: %s]\n", r->line.number, why, wr_err_quote(q, shown, n));
  say(r, text);
  if (++r->line.warned == LIMIT_REPORT_WARNINGS) say(r, "[weir: descriptor 3: no more lines like that are shown]\n");
}

static void take_word(struct reports *r, int said, struct report_text t, int64_t after_us) {
  free(r->word.text);
  r->word = (struct last_word){said, NULL, after_us};
  if (!t.s) return;
  char *whole = wr_memdup0(t.s, t.n), cut[LIMIT_ERROR_BYTES + 1];
  (void)text_cut(cut, whole, LIMIT_ERROR_BYTES);
  free(whole);
  r->word.text = wr_strdup(cut);
}

/* One that is too large is remembered as that. */
static void take_result(struct reports *r, const char *p, size_t n) {
  free(r->result.p);
  bool large = n > exec_result_bytes(r->x);
  r->result = (struct noted){large ? NULL : wr_memdup0(p, n), large ? 0 : n, true, large};
}

static void take_log(struct reports *r, struct report_text t) {
  (void)exec_note(r->x, WX_NOTE_LOG, WX_STDOUT, t.s, t.n);
  (void)exec_note(r->x, WX_NOTE_LOG, WX_STDOUT, "\n", 1);
}

static void take_report(struct reports *r, const struct report *p) {
  static const struct report_text none = {NULL, 0};
  switch (p->kind) {
    case REPORT_PROGRESS: take_progress(r, p); break;
    case REPORT_CONTEXT: if (r->kept) kept_context(r->kept, p->text.s, p->text.n); break;
    case REPORT_RESULT: take_result(r, p->text.s, p->text.n); break;
    case REPORT_FAIL: take_word(r, p->final ? WX_SAID_FATAL : WX_SAID_FAIL, p->text, -1); break;
    case REPORT_AGAIN: take_word(r, WX_SAID_AGAIN, none, p->after_us); break;
    case REPORT_LOG: take_log(r, p->text); break;
  }
}

static void one_line(struct reports *r, char *p, size_t n) {
  char shown[SHOWN_BYTES]; /* texts are decoded where they stand */
  if (r->x->a->heartbeat_us) exec_beat(r->x, clock_mono_us());
  size_t m = n < sizeof shown ? n : sizeof shown;
  struct report got;
  memcpy(shown, p, m);
  const char *why = report_read(p, n, &got);
  if (why) warn(r, why, shown, m);
  else take_report(r, &got);
}

/* ---- places for long lines ---- */

static void arm_patience(struct worker *w) {
  struct reporters *s = &w->reporters;
  worker_timer(w, &s->patience, s->waiting && s->large ? s->large->line.since_us + PATIENCE_US : 0);
}

static bool take_place(struct reports *r) {
  struct reporters *s = &r->x->w->reporters;
  if (s->n_large == LIMIT_REPORT_LARGE) return false;
  struct reports **end = &s->large;
  while (*end) end = &(*end)->line.next_large;
  *end = r;
  s->n_large++;
  r->line.large = true;
  r->line.next_large = NULL;
  r->line.since_us = clock_mono_us();
  (void)buf_reserve(&r->line.b, LIMIT_REPORT_LINE_BYTES - r->line.b.len); /* once, and no more than that */
  return true;
}

static void leave_place(struct reports *r) {
  struct reporters *s = &r->x->w->reporters;
  if (!r->line.large) return;
  struct reports **at = &s->large;
  while (*at != r) at = &(*at)->line.next_large;
  *at = r->line.next_large;
  s->n_large--;
  r->line.large = false;
  reports_room(r->x->w);
}

/* The memory of a long line goes back. */
static void line_over(struct reports *r) {
  if (r->line.b.cap > SMALL_BYTES) buf_done(&r->line.b);
  else buf_clear(&r->line.b);
  leave_place(r);
}

/* The rest of it is passed over. */
static void drop_line(struct reports *r, const char *why) {
  warn(r, why, r->line.b.data, r->line.b.len < SHOWN_BYTES ? r->line.b.len : SHOWN_BYTES);
  r->line.skip = true;
  line_over(r);
}

static void patience_over(struct worker *w, struct timer *t) {
  (void)t;
  if (w->reporters.waiting && w->reporters.large) drop_line(w->reporters.large, line_slow);
  arm_patience(w);
}

/* ---- bytes ---- */

static void line_add(struct reports *r, const char *p, size_t n) {
  if (r->line.skip || n == 0) return;
  if (r->line.b.len + n > exec_result_bytes(r->x) + LIMIT_REPORT_LINE_BYTES - LIMIT_RESULT_BYTES) {
    drop_line(r, line_long);
    return;
  }
  buf_add(&r->line.b, p, n);
}

static void line_end(struct reports *r) {
  if (!r->line.skip) one_line(r, r->line.b.data, r->line.b.len);
  r->line.skip = false;
  line_over(r);
}

static void lines(struct reports *r, char *p, size_t n) {
  for (char *end = p + n, *nl; p < end; p = nl + 1) {
    nl = memchr(p, '\n', (size_t)(end - p));
    bool whole = nl && !r->line.b.len && !r->line.skip; /* most lines are, and are read where they stand */
    size_t len = (size_t)((nl ? nl : end) - p);
    if (!r->line.b.len && !r->line.skip) r->line.number++;
    if (whole) one_line(r, p, len);
    else line_add(r, p, len);
    if (!nl) return;
    if (!whole) line_end(r);
  }
}

/* Is there a place for what it has begun, and room for what it may report? */
static bool may_read(struct reports *r) {
  bool place = r->line.b.len <= SMALL_BYTES || r->line.large || take_place(r);
  return place && !(r->kept && keeper_crowded(r->x->w->keeper));
}

static void wait_for_room(struct reports *r) {
  struct reporters *s = &r->x->w->reporters;
  if (!r->in.waits) {
    r->in.waits = true;
    r->in.next = s->waiting;
    s->waiting = r;
  }
  arm_patience(r->x->w);
}

static bool spent(const struct reports *r) { return r->in.refill.it.pos != 0; }

/* The rate: what was read in this second. */
static void count(struct reports *r, size_t n) {
  int64_t now = clock_mono_us();
  if (now - r->in.second_us >= SECOND_US) r->in.second_us = now, r->in.bytes = 0;
  r->in.bytes += (int64_t)n;
  if (r->in.bytes >= LIMIT_REPORT_RATE_BYTES) worker_timer(r->x->w, &r->in.refill, r->in.second_us + SECOND_US);
}

bool reports_bytes(struct wx_exec *x, char *p, size_t n) {
  struct reports *r = reports_of(x);
  lines(r, p, n);
  count(r, n);
  bool room = may_read(r);
  if (!room) wait_for_room(r);
  return room && !spent(r);
}

static void refill_due(struct worker *w, struct timer *t) {
  struct reports *r = (struct reports *)t;
  (void)w;
  if (!r->in.waits) child_read_reports(r->x, true);
}

void reports_room(struct worker *w) {
  struct reporters *s = &w->reporters;
  struct reports *list = s->waiting;
  s->waiting = NULL;
  for (struct reports *next; list; list = next) {
    next = list->in.next;
    list->in.waits = false;
    if (!may_read(list)) wait_for_room(list);
    else if (!spent(list)) child_read_reports(list->x, true);
  }
  arm_patience(w);
}

static void wait_no_more(struct reports *r) {
  struct reports **at = &r->x->w->reporters.waiting;
  if (!r->in.waits) return;
  while (*at != r) at = &(*at)->in.next;
  *at = r->in.next;
  r->in.waits = false;
}

void reports_last(struct wx_exec *x, wx_exit *e) {
  struct reports *r = x->reports;
  e->after_us = -1;
  if (!r) return;
  worker_timer(x->w, &r->in.refill, 0);
  wait_no_more(r);
  if (r->line.b.len && !r->line.skip) line_end(r);
  else line_over(r);
  e->said = r->word.said;
  e->said_text = r->word.text;
  e->after_us = r->word.after_us;
  if (!r->result.is) return;
  e->output = r->result.p;
  e->output_len = r->result.n;
  e->output_error = r->result.large ? 1 : 0;
}

/* ---- notes of an executor ---- */

static int progress_note(struct wx_exec *x, const char *p, size_t n) {
  struct buf b = BUF_INIT;
  struct report got;
  if (n > SMALL_BYTES) return -1;
  buf_str(&b, "{\"progress\":");
  buf_add(&b, p, n);
  buf_ch(&b, '}');
  const char *why = report_read(b.data, b.len, &got);
  if (!why) take_progress(reports_of(x), &got);
  buf_done(&b);
  return why ? -1 : 0;
}

static int context_note(struct wx_exec *x, const char *p, size_t n) {
  if (n > LIMIT_CONTEXT_BYTES || (n && memchr(p, '\0', n)) || !text_utf8(p, n)) return -1;
  const struct reports *r = reports_of(x);
  if (r->kept) kept_context(r->kept, p, n);
  return 0;
}

int reports_note(struct wx_exec *x, int kind, const void *p, size_t n) {
  if (x->a->heartbeat_us) exec_beat(x, clock_mono_us());
  switch (kind) {
    case WX_NOTE_PROGRESS: return progress_note(x, p, n);
    case WX_NOTE_CONTEXT: return context_note(x, p, n);
    case WX_NOTE_RESULT:
      if (n > LIMIT_RESULT_BYTES) return -1;
      take_result(reports_of(x), p, n);
      return 0;
    default: return -1;
  }
}

/* ---- the end ---- */

void reports_result(struct wx_exec *x) {
  struct reports *r = x->reports;
  struct attempt *a = x->a;
  if (a->result || a->end != ATTEMPT_OK || !r->result.p) return;
  a->result = r->result.p;
  a->result_len = r->result.n;
  r->result.p = NULL;
}

/* A planned stop waits as long as programs have to end, but LOG_LAST_US in any case. */
static void wait_for_store(struct reports *r, int64_t now_us) {
  struct worker *w = r->x->w;
  int64_t until = r->end_us + KEPT_LAST_US, soon = now_us + LOG_LAST_US;
  if (w->draining) until = soon > w->drain_until_us ? soon : w->drain_until_us;
  r->stored = keeper_stored(w->keeper);
  worker_timer(w, &r->late, r->x->lost ? soon : until);
}

void reports_hurry(struct wx_exec *x) {
  if (x->reports && x->reports->ending && x->reports->kept) wait_for_store(x->reports, clock_mono_us());
}

/* At a planned stop thousands may leave a context at once. */
static void late_due(struct worker *w, struct timer *t) {
  struct reports *r = of_late(t);
  int64_t now = clock_mono_us();
  if (keeper_stored(w->keeper) != r->stored && now - r->end_us < KEPT_ALL_US && !r->x->lost) {
    wait_for_store(r, now);
    return;
  }
  log_warn("worker.reports_late", L_INT("task", r->x->a->ti), L_INT("attempt", r->x->a->epoch),
           L_STR("effect", "the store does not answer; the attempt ends, and what it reported last may be missing"));
  kept_leave(r->kept);
  r->kept = NULL;
  exec_reports_over(r->x);
}

void reports_stored(struct wx_exec *x) {
  x->reports->kept = NULL;
  worker_timer(x->w, &x->reports->late, 0);
  exec_reports_over(x);
}

bool reports_end(struct wx_exec *x) {
  struct reports *r = x->reports;
  struct worker *w = x->w;
  int64_t now = clock_mono_us();
  if (r->ending) return r->kept != NULL;
  r->ending = true;
  worker_timer(w, &r->flush, 0);
  if (r->has_progress) {
    progress_end(&r->progress, now);
    store_progress(r, now);
  }
  if (!r->kept) return false;
  r->end_us = now;
  wait_for_store(r, now);
  kept_end(r->kept);
  return true;
}

void reports_free(struct wx_exec *x) {
  struct reports *r = x->reports;
  if (!r) return;
  worker_timer(x->w, &r->in.refill, 0);
  worker_timer(x->w, &r->flush, 0);
  worker_timer(x->w, &r->late, 0);
  wait_no_more(r);
  line_over(r);
  buf_done(&r->line.b);
  free(r->word.text);
  free(r->result.p);
  free(r);
  x->reports = NULL;
}

void reports_setup(struct worker *w) { w->reporters.patience.fire = patience_over; }
