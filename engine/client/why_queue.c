/* Why a task waits in its queue: see why_queue.h. What never happens: a sentence that ends within a character. */
#include "why_queue.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "clock.h"
#include "offers.h"
#include "queue_name.h"
#include "text.h"

enum { SHOWN_BYTES = 80, WHOSE_BYTES = 2 * SHOWN_BYTES + 64 };

void why_queue_done(struct why_queue *q) {
  counts_put(q->counts);
  if (q->open) arena_done(&q->text);
}

/* ---- what is set ---- */
static void open_text(struct why_queue *q) {
  if (!q->open) arena_init(&q->text, 0);
  q->open = true;
}

/* The row of both names last looked at stays for the tasks that follow it in a list. */
static void read_rows(struct why_queue *q, const struct view *v, const struct queue_view *of) {
  struct wr_err err;
  if (q->user && strcmp(q->user, of->user) == 0 && strcmp(q->group, of->group) == 0) return;
  if (q->open) arena_reset(&q->text);
  open_text(q);
  q->type = NULL;
  q->user = arena_strdup(&q->text, of->user);
  q->group = arena_strdup(&q->text, of->group);
  struct reader *r = reader_get(v->store, &err);
  q->known = r && reader_queue_rows(r, of->user, of->group, &q->text, q->row, &q->n, &err) == WR_OK;
  reader_put(r);
}

static const char *whose(char out[WHOSE_BYTES], const struct queue_row *q) {
  char user[SHOWN_BYTES + 1], group[SHOWN_BYTES + 1];
  text_cut(user, q->user, SHOWN_BYTES);
  text_cut(group, q->group, SHOWN_BYTES);
  if (*user && *group) snprintf(out, WHOSE_BYTES, "user \"%s\", group \"%s\"", user, group);
  else if (*user) snprintf(out, WHOSE_BYTES, "all of user \"%s\"", user);
  else if (*group) snprintf(out, WHOSE_BYTES, "group \"%s\" of all users", group);
  else snprintf(out, WHOSE_BYTES, "all tasks");
  return out;
}

static const char *paused(const struct why_queue *q, char *text, size_t n) {
  char who[WHOSE_BYTES];
  for (size_t i = 0; i < q->n; i++) {
    if (q->row[i].paused != 1) continue;
    snprintf(text, n, "Its queue is paused (%s): it goes on when POST /queue clears \"paused\" there.", whose(who, &q->row[i]));
    return "QUEUE_PAUSED";
  }
  return NULL;
}

static const char *limited(struct why_queue *q, const struct view *v, char *text, size_t n, bool *known) {
  char who[WHOSE_BYTES];
  for (size_t i = 0; i < q->n; i++) {
    const struct queue_row *r = &q->row[i];
    if (r->max_running < 0) continue;
    if (!q->counted && r->max_running > 0) q->counted = true, q->counts = counts_get(&v->offers->counts, v->store, v->defs);
    if (r->max_running > 0 && !q->counts) {
      *known = false;
      return NULL;
    }
    int64_t runs = r->max_running > 0 ? counts_running(q->counts, r->user, r->group) : 0;
    if (runs < r->max_running) continue;
    snprintf(text, n, "As many tasks of its queue run as may (%s): %" PRId64 ", and maxRunning there is %" PRId64
             ". It begins when one of them has ended.", whose(who, r), runs, r->max_running);
    if (r->max_running == 0)
      snprintf(text, n, "No task of its queue may run (%s): maxRunning there is 0. It begins when POST /queue raises it.",
               whose(who, r));
    return "QUEUE_LIMIT";
  }
  return NULL;
}

static int64_t ready_at(const struct queue_row *r) {
  int64_t each = r->rate_count > 0 ? (r->rate_per_us + r->rate_count - 1) / r->rate_count : 0;
  return r->rate_at - (r->rate_count - 1) * each;
}

/* When the bucket, which is full at rate_at, has one start; the latest of all that hold. */
static const char *slowed(const struct why_queue *q, int64_t now_us, char *text, size_t n) {
  char who[WHOSE_BYTES], at[CLOCK_RFC_LEN], per[QUEUE_PER_BYTES];
  const struct queue_row *by = NULL;
  int64_t until = now_us;
  for (size_t i = 0; i < q->n; i++) {
    const struct queue_row *r = &q->row[i];
    if (r->rate_count <= 0) continue;
    if (ready_at(r) > until) until = ready_at(r), by = r;
  }
  if (!by) return NULL;
  clock_rfc3339(at, until);
  queue_per_text(per, by->rate_per_us);
  snprintf(text, n, "The rate of its queue (%s) is %" PRId64 " start%s in %s; the next one may be at %s.", whose(who, by),
           by->rate_count, by->rate_count == 1 ? "" : "s", per, at);
  return "RATE";
}

const char *why_queue_holds(struct why_queue *q, const struct view *v, const struct queue_view *of, int64_t now_us, char *text,
                            size_t n, bool *known) {
  read_rows(q, v, of);
  *known = q->known;
  if (!q->known) return NULL;
  const char *code = paused(q, text, n);
  if (!code) code = limited(q, v, text, n, known);
  return code || !*known ? code : slowed(q, now_us, text, n);
}

/* ---- what is set of its type ---- */
static void read_type(struct why_queue *q, const struct view *v, const char *type) {
  struct queue_row row[QUEUE_RULES];
  struct wr_err err;
  size_t n = 0;
  if (q->type && strcmp(q->type, type) == 0) return;
  q->type = arena_strdup(&q->text, type);
  q->limited = false;
  struct reader *r = reader_get(v->store, &err);
  q->type_known = r && reader_queue_rows(r, QUEUE_OF_TYPE, type, &q->text, row, &n, &err) == WR_OK;
  reader_put(r);
  for (size_t i = 0; q->type_known && i < n; i++)
    if (strcmp(row[i].user, QUEUE_OF_TYPE) == 0 && strcmp(row[i].group, type) == 0) q->limited = true, q->type_row = row[i];
}

static const char *type_full(struct why_queue *q, const struct view *v, char *text, size_t n, bool *known) {
  const struct queue_row *r = &q->type_row;
  if (r->max_running < 0) return NULL;
  if (r->max_running == 0) {
    snprintf(text, n, "No task of the type %s may run: its maxRunning is 0. It begins when POST /executor raises it.", q->type);
    return "TYPE_LIMIT";
  }
  if (!q->counted) q->counted = true, q->counts = counts_get(&v->offers->counts, v->store, v->defs);
  *known = q->counts != NULL;
  int64_t runs = q->counts ? counts_running(q->counts, QUEUE_OF_TYPE, q->type) : 0;
  if (runs < r->max_running) return NULL;
  snprintf(text, n, "As many tasks of the type %s run as may: %" PRId64 ", and its maxRunning is %" PRId64
           ". It begins when one of them has ended.", q->type, runs, r->max_running);
  return "TYPE_LIMIT";
}

static const char *type_slowed(const struct why_queue *q, int64_t now_us, char *text, size_t n) {
  const struct queue_row *r = &q->type_row;
  char at[CLOCK_RFC_LEN], per[QUEUE_PER_BYTES];
  int64_t ready = ready_at(r);
  if (r->rate_count <= 0 || ready <= now_us) return NULL;
  clock_rfc3339(at, ready);
  queue_per_text(per, r->rate_per_us);
  snprintf(text, n, "The rate of the type %s is %" PRId64 " start%s in %s; the next one may be at %s.", q->type, r->rate_count,
           r->rate_count == 1 ? "" : "s", per, at);
  return "TYPE_LIMIT";
}

const char *why_type_holds(struct why_queue *q, const struct view *v, const char *type, int64_t now_us, char *text, size_t n,
                           bool *known) {
  open_text(q);
  read_type(q, v, type);
  *known = q->type_known;
  if (!q->limited) return NULL;
  const char *code = type_full(q, v, text, n, known);
  return code || !*known ? code : type_slowed(q, now_us, text, n);
}

/* ---- what nodes say ---- */
bool why_served(const struct node_trouble *t, const struct queue_view *of) {
  struct arena a;
  struct queue_name *v = NULL;
  struct wr_err err;
  size_t n = 0;
  if (!t || !t->serves[0]) return true;
  arena_init(&a, 0);
  bool yes = queue_names_parse("", t->serves, &a, &v, &n, &err) != WR_OK || queue_served(v, n, of->user, of->group);
  arena_done(&a);
  return yes;
}

void why_busy_add(struct why_busy *b, const struct node_trouble *t, const char *host, int32_t cpu) {
  b->nodes++;
  if (!t) return;
  bool budget = t->cpu_budget > 0 && cpu > 0, costly = budget && cpu > t->cpu_budget;
  bool fits = t->cpu_used == 0 || cpu <= t->cpu_budget - t->cpu_used;
  bool full = budget && !costly && (!fits || t->cpu_kept_for != 0);
  if (costly && t->cpu_budget > b->budget && !b->full) b->budget = t->cpu_budget;
  if (full && !b->full) {
    b->budget = t->cpu_budget, b->used = t->cpu_used, b->host = host;
    b->kept_for = fits ? t->cpu_kept_for : 0;
  }
  if (t->load[0] && !b->loaded) {
    snprintf(b->load, sizeof b->load, "%s", t->load);
    if (!b->full) b->host = host;
  }
  b->costly += costly, b->full += full, b->loaded += t->load[0] != '\0';
  b->held += costly || full || t->load[0];
}

const char *why_busy_says(const struct why_busy *b, int32_t cpu, char *text, size_t n) {
  if (b->nodes == 0 || b->held < b->nodes) return NULL;
  if (b->costly == b->nodes) {
    snprintf(text, n, "Its cpuOverhead is %" PRId32 ", and the greatest --cpu-budget of the nodes that could run it (%zu) is %"
             PRId64 ": it never begins unless one of them gets more.", cpu, b->nodes, b->budget);
    return "TOO_COSTLY";
  }
  if (b->full && b->kept_for) {
    snprintf(text, n, "Its cpuOverhead is %" PRId32 ". Task %" PRId64 ", which costs more, has waited so long that host %s keeps "
             "the --cpu-budget of %" PRId64 " for it: nothing else that costs anything starts there before it.",
             cpu, b->kept_for, b->host, b->budget);
    return "CPU_BUDGET";
  }
  if (b->full) {
    snprintf(text, n, "Its cpuOverhead is %" PRId32 ", and what runs on host %s has %" PRId64 " of the --cpu-budget of %" PRId64
             " there; no node that could run it (%zu) has room.", cpu, b->host, b->used, b->budget, b->nodes);
    return "CPU_BUDGET";
  }
  snprintf(text, n, "No node that could run it (%zu) starts anything now: on host %s, %s.", b->nodes, b->host, b->load);
  return "LOAD";
}
