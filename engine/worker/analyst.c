/* The analyst's threads: analyst.h. */
#include "added.h"
#include "analyst.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "http_client.h"
#include "json_out.h"
#include "json_write.h"
#include "log_place.h"
#include "text.h"
#include "worker_int.h"

struct looks { struct look *first, **last; };
/* A thread, and what waits for it. */
struct desk {
  struct analyst *of;
  pthread_cond_t news;
  struct looks evidence, answers;
  uint64_t now;                    /* the turn that was taken last */
  char *user;                      /* whose that was; NULL = nobody's yet */
  bool started;
  pthread_t thread;
};
enum { DESK_QUICK, DESK_PATTERNS, DESKS };
struct analyst {
  struct worker *w;
  pthread_mutex_t mu;              /* guards what follows; worker.lock may be taken under it */
  struct desk desk[DESKS];
  size_t bytes;                    /* of all looks that were read and are not left */
  bool stop;
};

static void list_init(struct looks *l) { l->last = &l->first; }

static void list_add(struct looks *l, struct look *x) {
  x->next = NULL;
  *l->last = x;
  l->last = &x->next;
}

static struct look *list_take(struct looks *l) {
  struct look *x = l->first;
  if (!x) return NULL;
  l->first = x->next;
  if (!l->first) l->last = &l->first;
  return x;
}

static struct desk *desk_of(struct analyst *a, const struct look *l) {
  bool pattern = l->analyzer && l->analyzer->kind == ANALYZER_REGEX;
  return &a->desk[pattern ? DESK_PATTERNS : DESK_QUICK];
}

/* ---- turns of users ---- */

/* A user's looks are one turn apart, and each begins at the turn that is taken now: who has many waits behind each of the others
 * once for each of its own. At most LIMIT_ANALYSES_AT_ONCE looks wait. */
static void join_turns(const struct desk *d, struct look *l) {
  l->turn = d->user && strcmp(d->user, l->user) == 0 ? d->now + 1 : d->now;
  for (const struct look *x = d->evidence.first; x; x = x->next)
    if (strcmp(x->user, l->user) == 0 && x->turn >= l->turn) l->turn = x->turn + 1;
}

static struct look *take_turn(struct desk *d) {
  struct looks *all = &d->evidence;
  struct look **at = &all->first, *l;
  for (struct look **p = &all->first; *p; p = &(*p)->next)
    if ((*p)->turn < (*at)->turn) at = p;
  if (!(l = *at)) return NULL;
  *at = l->next;
  if (!l->next) all->last = at;
  d->now = l->turn;
  free(d->user);
  d->user = wr_strdup(l->user);
  return l;
}

static void look_free(struct look *l) {
  free(l->user);
  def_task_unref(l->def);
  free(l->task);
  http_end(l->call);
  free(l->text);
  buf_done(&l->request);
  verdict_done(&l->verdict);
  free(l);
}

/* ---- what is said ---- */

static void says(struct look *l, enum look_says what, const char *why) {
  l->says = what;
  snprintf(l->why, sizeof l->why, "%s", why);
}

/* What it may add, and as whom. run_as: a reference that the caller drops. */
static struct analysis_rule rule_of(const struct look *l, const char *task_types, json_t **config) {
  *config = l->def->config ? json_loads(l->def->config, 0, NULL) : NULL;
  return (struct analysis_rule){.parent_type = l->def->type, .task_types = task_types,
                                .run_as = json_string_value(json_object_get(*config, "user"))};
}

/* A refusal of a built-in one comes again each time; that of another's answer may not. */
static void took(struct look *l, enum wr_rc rc, const struct wr_err *err, enum look_says refused) {
  if (rc == WR_OK) l->says = LOOK_VERDICT;
  else says(l, rc == WR_BUSY ? LOOK_AWAY : refused, err->msg);
}

static void built_in(struct worker *w, struct look *l, const struct evidence *e) {
  struct wr_err err = {0};
  json_t *config;
  const struct analysis_rule rule = rule_of(l, NULL, &config);
  const struct def_env env = w->o.analysis->env(w->o.ctx);
  enum wr_rc rc = analysis_built_in(l->analyzer, e, &rule, &env, &l->verdict, &err);
  json_decref(config);
  took(l, rc, &err, LOOK_FATAL);
}

/* Text that is no UTF-8 goes as base64, as in the API. */
static void write_request(struct look *l, const struct evidence *e) {
  struct buf *b = &l->request;
  j_open(b, '{');
  j_raw(b, "task", l->task);
  if (e->exit_code >= 0) j_i64(b, "exitCode", e->exit_code);
  if (e->status > 0) j_i64(b, "status", e->status);
  if (e->result) j_bytes(b, "result", e->result, e->result_len);
  if (e->log_tail) j_bytes(b, "logTail", e->log_tail, e->log_len);
  j_close(b, '}');
}

static void registered(struct worker *w, struct look *l, const struct evidence *e) {
  struct wr_err err = {0};
  enum wr_rc rc = w->o.analysis->find(w->o.ctx, l->analyzer->name, &l->by, &err);
  if (rc) {
    says(l, LOOK_AWAY, err.msg);
  } else if (!l->by) {
    says(l, LOOK_FAIL, "there is no analyzer of this name");
  } else {
    write_request(l, e);
    l->says = LOOK_ASK;
  }
}

static void read_evidence(struct worker *w, struct look *l) {
  struct evidence e = {.exit_code = -1};
  enum log_rc rc = w->o.analysis->evidence(w->o.ctx, l->ti, l->attempt, &e);
  e.failed = l->failed;
  l->final = l->failed && answer_final(e.status);
  if (!l->analyzer) says(l, LOOK_FATAL, "the version of the executor that names it is not there");
  else if (rc == LOG_AGAIN || rc == LOG_NO_SPACE) says(l, LOOK_AWAY, "the store does not answer");
  else if (rc != LOG_STORED) says(l, LOOK_FATAL, "the result of the task is not there");
  else if (l->analyzer->kind == ANALYZER_NAMED) registered(w, l, &e);
  else built_in(w, l, &e);
  evidence_done(&e);
}

/* An answer that has to be read again later is kept until then. */
static void drop_answer(struct look *l) {
  if (l->says == LOOK_AWAY) return;
  http_end(l->call);
  free(l->text);
  l->call = NULL;
  l->text = NULL;
}

static void read_answer(struct worker *w, struct look *l) {
  struct wr_err err = {0};
  json_t *config;
  const struct http_answer *a = l->call ? http_done(l->call) : NULL;
  const char *text = a ? a->body : l->text;
  l->answer_bytes = a ? a->len : l->n;
  const struct analysis_rule rule = rule_of(l, l->by->added->task_types, &config);
  const struct def_env env = w->o.analysis->env(w->o.ctx);
  enum wr_rc rc = analysis_answer_parse(text ? text : "", text ? l->answer_bytes : 0, &rule, &env, &l->verdict, &err);
  json_decref(config);
  took(l, rc, &err, LOOK_FAIL);
  drop_answer(l);
}

/* ---- the thread ---- */

static struct look *next_look(struct desk *d) {
  struct look *l = list_take(&d->answers);
  return l || d->of->bytes >= LIMIT_ANALYSIS_FLIGHT_BYTES ? l : take_turn(d);
}

/* The lock is held. */
static void give_back(struct analyst *a, struct look *l) {
  l->busy = false;
  a->bytes += l->request.len - l->counted;
  l->counted = l->request.len;
  if (l->x) {
    exec_wake(l->x);
    return;
  }
  a->bytes -= l->counted;
  look_free(l);
}

static void *run(void *arg) {
  struct desk *d = arg;
  struct analyst *a = d->of;
  pthread_mutex_lock(&a->mu);
  while (!a->stop) {
    struct look *l = next_look(d);
    if (!l) {
      pthread_cond_wait(&d->news, &a->mu);
      continue;
    }
    bool left = !l->x;
    pthread_mutex_unlock(&a->mu);
    if (!left && l->step == LOOK_EVIDENCE) read_evidence(a->w, l);
    else if (!left) read_answer(a->w, l);
    pthread_mutex_lock(&a->mu);
    give_back(a, l);
  }
  pthread_mutex_unlock(&a->mu);
  return NULL;
}

/* ---- the loop's side ---- */

struct analyst *analyst_new(struct worker *w) {
  struct analyst *a = wr_new(struct analyst);
  a->w = w;
  pthread_mutex_init(&a->mu, NULL);
  for (struct desk *d = a->desk; d < a->desk + DESKS; d++) {
    d->of = a;
    pthread_cond_init(&d->news, NULL);
    list_init(&d->evidence);
    list_init(&d->answers);
  }
  return a;
}

void analyst_free(struct analyst *a) {
  if (!a) return;
  pthread_mutex_lock(&a->mu);
  a->stop = true;
  for (int i = 0; i < DESKS; i++) pthread_cond_signal(&a->desk[i].news);
  pthread_mutex_unlock(&a->mu);
  for (struct desk *d = a->desk; d < a->desk + DESKS; d++) {
    if (d->started) pthread_join(d->thread, NULL);
    for (struct look *l; (l = list_take(&d->answers)) || (l = list_take(&d->evidence));) look_free(l);
    pthread_cond_destroy(&d->news);
    free(d->user);
  }
  pthread_mutex_destroy(&a->mu);
  free(a);
}

struct look *look_new(struct look with, struct wx_exec *x) {
  struct look *l = wr_new(struct look);
  *l = with;
  l->x = x;
  return l;
}

bool look_post(struct analyst *a, struct look *l, enum look_step step) {
  struct desk *d = desk_of(a, l);
  pthread_mutex_lock(&a->mu);
  if (!d->started) d->started = log_thread(&d->thread, NULL, run, d) == 0;
  bool ok = d->started;
  l->step = step;
  if (ok) {
    l->busy = true;
    if (step == LOOK_EVIDENCE) join_turns(d, l);
    list_add(step == LOOK_ANSWER ? &d->answers : &d->evidence, l);
    pthread_cond_signal(&d->news);
  }
  pthread_mutex_unlock(&a->mu);
  return ok;
}

bool look_ready(struct analyst *a, struct look *l) {
  pthread_mutex_lock(&a->mu);
  bool ready = !l->busy;
  pthread_mutex_unlock(&a->mu);
  return ready;
}

void look_leave(struct analyst *a, struct look *l) {
  if (!l) return;
  pthread_mutex_lock(&a->mu);
  l->x = NULL;
  bool ours = !l->busy;
  if (ours) a->bytes -= l->counted;
  for (int i = 0; i < DESKS; i++) pthread_cond_signal(&a->desk[i].news);   /* there may be room for another one */
  pthread_mutex_unlock(&a->mu);
  if (ours) look_free(l);
}
