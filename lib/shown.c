/* Rows into a weir_task_t: one block of memory for each, freed as a whole; and what Weir's states are in weir.h. Any thread. */
#include <stdlib.h>
#include <string.h>
#include "async.h"
#include "def.h"
#include "flow_read.h"
#include "hosts.h"
#include "lib_int.h"
#include "task_read.h"
#include "why.h"

_Static_assert(offsetof(struct box, t) == 0, "what is handed out begins its box");

/* ---- states ---- */

int32_t shown_state(enum task_shown s) {
  switch (s) {
  case SHOWN_NONE: case SHOWN_CREATED: return WEIR_STATE_INIT;
  case SHOWN_BLOCKED: case SHOWN_QUEUED: case SHOWN_RETRY_WAIT: return WEIR_STATE_PENDING;
  case SHOWN_RUNNING: case SHOWN_ANALYZING: case SHOWN_WAITING_CHILDREN: return WEIR_STATE_RUNNING;
  case SHOWN_PAUSING: case SHOWN_CANCELING: case SHOWN_DELETING: return WEIR_STATE_CANCELING;
  case SHOWN_PAUSED: return WEIR_STATE_PAUSE;
  case SHOWN_SUCCESS: return WEIR_STATE_FINISHED;
  case SHOWN_FAILED: case SHOWN_TIMEOUT: case SHOWN_CANCELED: case SHOWN_DEAD: case SHOWN_DELETE_FAILED: case SHOWN__N: break;
  }
  return WEIR_STATE_FAILED;
}

bool shown_named(const char *word, enum task_shown *s) {
  for (*s = SHOWN_CREATED; *s < SHOWN__N; (*s)++)
    if (strcmp(shown_name(*s), word) == 0) return true;
  return false;
}

bool shown_type(const weir_filter_t *f, const char *type) {
  for (size_t i = 0; i < f->n_types; i++)
    if (type && strcmp(f->types[i], type) == 0) return true;
  return f->n_types == 0;
}

uint32_t shown_wanted(const weir_filter_t *f) {
  uint32_t all = 0;
  for (size_t i = 0; i < f->n_states; i++)
    for (enum task_shown s = SHOWN_CREATED; s < SHOWN__N; s++)
      if (shown_state(s) == f->states[i]) all |= 1u << s;
  return all;
}

/* ---- a row ---- */

static void from_row(struct box *b, const struct task_row *row) {
  weir_task_t *t = &b->t;
  enum task_shown s = task_show(&row->t);
  t->id = row->ti;
  t->state_name = shown_name(s);
  t->state = shown_state(s);
  t->error = row->error && *row->error ? arena_strdup(&b->text, row->error) : NULL;
  t->attempt = (int32_t)task_attempt_of(row->t.epoch);
  t->failures = (int32_t)row->t.tries;
  t->losses = row->t.losses;
  t->exit_code = row->exit_code < 0 ? -1 : row->exit_code;
  t->created_us = row->create_us;
  t->started_us = row->t.start_us;
  t->ended_us = task_final(row->t.state) ? row->end_us : 0;
  t->result_len = row->result_len;
}

static void from_alone(struct box *b, const struct async_row *a) {
  weir_task_t *t = &b->t;
  t->type = arena_strdup(&b->text, a->type);
  t->name = arena_strdup(&b->text, a->name);
  t->key = arena_strdup(&b->text, a->key);
  t->content = arena_strdup(&b->text, a->content);
  t->run_no = (int32_t)a->run_no;
  t->start_at_us = a->start_at_us;
}

/* Of a task of a node, or of one whose definition was saved. */
static void from_def(struct box *b, const struct task_def *d) {
  weir_task_t *t = &b->t;
  if (!t->type) t->type = arena_strdup(&b->text, d->type), t->name = arena_strdup(&b->text, d->name);
  if (!t->content) t->content = arena_strdup(&b->text, d->content);
}

static void from_queue(struct box *b, const struct queue_view *q) {
  weir_task_t *t = &b->t;
  t->user = arena_strdup(&b->text, q->user);
  t->group = arena_strdup(&b->text, q->group);
  t->priority = q->priority;
  t->cpu_overhead = q->cpu;
}

static void from_report(struct box *b, const struct report_row *r, const struct async_row *a) {
  weir_task_t *t = &b->t;
  const struct progress_row *p = &r->progress;
  bool reported = r->context_epoch > (a ? a->context_epoch : 0);
  t->context_len = reported ? r->context_len : a ? a->context_len : 0;
  t->total = t->done = -1;
  if (!r->has_progress || p->epoch <= (a ? a->run_epoch : 0)) return;
  t->total = p->total;
  t->done = p->done;
  t->speed = p->speed > 0 ? p->speed : 0;
  t->unit = arena_strdup(&b->text, p->unit);
  t->message = arena_strdup(&b->text, p->message);
}

static void whole_texts(struct box *b, const struct task_row *row, const struct buf *context) {
  weir_task_t *t = &b->t;
  if (row->result) t->result = arena_memdup0(&b->text, row->result, row->result_len);
  t->params = arena_strdup(&b->text, row->params);
  if (!context) return;
  t->context = arena_memdup0(&b->text, context->data, context->len);
  t->context_len = context->len;
}

static void put_why(struct box *b, const struct why_said *why) {
  weir_task_t *t = &b->t;
  if (!why) return;
  t->why = why->code;
  t->why_text = arena_strdup(&b->text, why->text);
  if (!t->type || strcmp(t->type, "SHELL") != 0 || strcmp(why->code, "NO_EXECUTOR") != 0) return;
  struct buf more = BUF_INIT;
  buf_printf(&more, "%s A process of the library runs SHELL tasks if it opens its handle with shell=on.", why->text);
  t->why_text = arena_strdup(&b->text, more.data);
  buf_done(&more);
}

struct box *box_new(void) {
  struct box *b = wr_new(struct box);
  arena_init(&b->text, 1024);
  b->t.size = sizeof b->t;
  return b;
}

weir_task_t *shown_make(const struct task_read *in, const struct task_def *def, const struct flow_read *of,
                        const struct buf *context, const struct look *l, enum shown_form form) {
  struct box *b = box_new();
  const struct async_row *alone = in->is_alone ? &in->alone : NULL;
  from_row(b, &in->row);
  if (alone) from_alone(b, alone);
  else if (of) b->t.run_no = (int32_t)flow_run_no(of->row.bases, in->row.ti);
  if (def) from_def(b, def);
  struct queue_view q = flow_task_queue(of, alone, in->row.ti, def);
  from_queue(b, &q);
  from_report(b, &in->report, alone);
  if (form == SHOWN_WHOLE) whole_texts(b, &in->row, context);
  else b->t.content = NULL;
  b->t.host = arena_strdup(&b->text, host_of(l->hosts, in->row.ran_by));
  put_why(b, why_task_of(l->why, &in->row, def, alone, &q));
  return &b->t;
}

void weir_task_free(weir_task_t *t) {
  struct box *b = (struct box *)t;
  if (!b) return;
  arena_done(&b->text);
  free(b);
}
