/* One call of an analyzer, on the loop: an attempt whose executor is its task's analyzer.
 *
 *   reading (the analyst: evidence, built-in ones) -> [asking: a URL or a program -> parsing (the analyst)] -> verdict
 *
 * The loop's thread. What never happens: a call that outlives analyzerTimeout; a verdict of an attempt that was told to stop; a
 * word of an analyzer in the log, the context or the progress of its task. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "added_ops.h"
#include "analyst.h"
#include "executor_post.h"
#include "http_task.h"
#include "json_out.h"
#include "text.h"
#include "worker_int.h"

#define AWAY_US 1000000            /* between looks while the store is away */
enum { HEARD = 200, EXIT_FATAL = 125, WHY = 700, STATUS_OK = 200 };

enum phase { READING, AWAY, ASKING, RUNNING, PARSING };
struct call {
  const wx_host *h;
  wx_exec *x;
  struct look *look;
  struct http_call *http;
  enum phase phase;
  enum look_step away;             /* AWAY: what is done again */
  bool late;                       /* RUNNING: analyzerTimeout is over */
  char heard[HEARD]; size_t n_heard;   /* the end of what its program wrote */
};

static struct call *of(wx_exec *x) { return x->data; }
static const struct task_def *def_of(const struct call *c) { return c->x->a->def; }

/* ---- ends ---- */

/* decided: it is the call's own end, even where the program was killed for it. */
static void end(struct call *c, int how, bool decided, const char *error) {
  c->h->timer(c->x, 0);
  c->h->done(c->x, &(wx_result){.size = sizeof(wx_result), .end = how, .error = error, .exit_code = -1, .decided = decided});
}

static const char *name_of(const struct analyzer *a) {
  static const char *const built_in[] = {[ANALYZER_EXIT_CODE] = "exit-code", [ANALYZER_POINTER] = "json-pointer",
                                         [ANALYZER_REGEX] = "regex", [ANALYZER_SUBTASKS] = "subtasks"};
  return !a ? "of its executor" : a->kind == ANALYZER_NAMED ? a->name : built_in[a->kind];
}

/* why: a clause, or a sentence. */
static void fails(struct call *c, int how, const char *why) {
  char text[WHY + 100];
  snprintf(text, sizeof text, "Analyzer %s: %.*s%s", name_of(c->x->a->analysis->analyzer), WHY, why, text_stop(why));
  end(c, how, true, text);
}

/* It was told to stop, so nothing of it counts. */
static void given_up(struct call *c) {
  bool fenced = c->h->stop_reason(c->x) == WX_STOP_FENCED;
  end(c, fenced ? WX_LOST : WX_NEVER, false, NULL);
}

static void late(struct call *c) {
  char text[100];
  snprintf(text, sizeof text, "it did not answer within %.6g s (analyzerTimeout)", (double)def_of(c)->analyzer_timeout_us / 1e6);
  fails(c, WX_FAIL, text);
}

/* ---- the analyst ---- */

static void post(struct call *c, enum phase phase, enum look_step step) {
  c->phase = phase;
  if (!look_post(c->x->w->analyst, c->look, step)) fails(c, WX_FAIL, "no thread can be made that looks at the result");
}

/* ---- a URL ---- */

static void wake(void *ctx) { exec_wake(ctx); }

static void add_header(struct arena *a, const char **v, size_t *n, const char *name, const char *value) {
  size_t room = strlen(name) + strlen(value) + 3;
  char *line = arena_alloc(a, room);
  snprintf(line, room, "%s: %s", name, value);
  v[(*n)++] = line;
}

static const char *const *headers(struct call *c, struct http_spec *s, size_t *n) {
  const wx_task *t = c->h->task(c->x);
  const char **v = arena_alloc(&s->a, (s->n_header + 4) * sizeof *v);
  char key[FENCE_BYTES + 16], attempt[16];
  *n = 0;
  for (size_t i = 0; i < s->n_header; i++) v[(*n)++] = s->header[i];
  if (!s->content_type) add_header(&s->a, v, n, "Content-Type", "application/json");
  snprintf(key, sizeof key, "%s:analysis", t->fence);
  snprintf(attempt, sizeof attempt, "%u", t->attempt);
  add_header(&s->a, v, n, "Idempotency-Key", key);
  add_header(&s->a, v, n, "X-Weir-Fence", t->fence);
  add_header(&s->a, v, n, "X-Weir-Attempt", attempt);
  return v;
}

static void ask_url(struct call *c, struct added *by) {
  struct http_spec s = {0};
  int code = 0;
  char why[HTTP_WHY] = "", *url = url_of(by);
  json_t *config = by->config ? json_loads(by->config, 0, NULL) : NULL;
  const json_t *own = json_object_get(config, "headers");
  struct http_ask q = {.method = "POST", .url = url ? url : "", .body = c->look->request.data, .body_len = c->look->request.len,
                       .vast = true};
  arena_init(&s.a, 1024);
  if (own && http_spec_headers(&s, own, &code, why, sizeof why)) {
    fails(c, WX_FATAL, why);
  } else {
    q.header = headers(c, &s, &q.n_header);
    c->phase = ASKING;
    c->h->timer(c->x, c->h->now_us(c->x) + def_of(c)->analyzer_timeout_us);
    c->http = http_begin(by->http, &q, wake, c->x);
  }
  http_spec_done(&s);
  json_decref(config);
  free(url);
}

static void refused_answer(struct call *c, const struct http_answer *a, int how) {
  char text[WHY], q[WR_QUOTE_MAX] = "";
  if (a->len) wr_err_quote(q, a->body, a->len < HEARD ? a->len : HEARD);
  snprintf(text, sizeof text, "its URL answered %d.%s%s", a->status, *q ? " It says " : "", q);
  fails(c, how, text);
}

static void on_http(struct call *c) {
  static const int ok = STATUS_OK;
  static const struct http_wanted wanted = {.status = &ok, .n_status = 1};
  const struct http_answer *a = http_done(c->http);
  char text[HTTP_WHY + 64];
  if (!a) return;
  c->h->timer(c->x, 0);
  if (a->flaw == HTTP_ANSWERED && a->status == STATUS_OK) {
    c->look->call = c->http; /* whose memory the analyst gives back */
    c->http = NULL;
    post(c, PARSING, LOOK_ANSWER);
  } else if (a->flaw) {
    snprintf(text, sizeof text, "%s%s", a->flaw == HTTP_BLOCKED ? "URL_BLOCKED: " : "its URL gave no answer: ", a->why);
    fails(c, a->flaw == HTTP_BLOCKED ? WX_FATAL : WX_FAIL, text);
  } else {
    refused_answer(c, a, answer_next(a, &wanted) == NEXT_FATAL ? WX_FATAL : WX_FAIL);
  }
}

/* ---- a program ---- */

/* Another member may be able to call it: it goes back without a count, and this one takes no more of it until its clerk has
 * looked again. */
static void not_here(struct call *c, struct added *by) {
  atomic_store(&by->offered, false);
  atomic_store(&by->doubted, true);
  if (by->doubt) by->doubt(by->ctx);
  end(c, WX_NEVER, false, NULL);
}

static void run_program(struct call *c, struct added *by) {
  const struct worker *w = c->x->w;
  char err[LIMIT_ERROR_BYTES] = "";
  int fd = w->o.shell_allowed && w->spawner ? program_file(by, err, sizeof err) : -1;
  if (fd < 0) {
    not_here(c, by);
    return;
  }
  c->phase = RUNNING;
  c->h->timer(c->x, c->h->now_us(c->x) + def_of(c)->analyzer_timeout_us);
  if (program_analyze(c->h, c->x, by, fd, &c->look->request, err, sizeof err)) fails(c, WX_FAIL, err);
}

void analysis_heard(struct wx_exec *x, const void *p, size_t n) {
  struct call *c = of(x);
  if (!c) return;
  const char *s = p;
  if (n > HEARD) s += n - HEARD, n = HEARD;
  if (c->n_heard + n > HEARD) {
    size_t drop = c->n_heard + n - HEARD;
    memmove(c->heard, c->heard + drop, c->n_heard - drop);
    c->n_heard -= drop;
  }
  memcpy(c->heard + c->n_heard, s, n);
  c->n_heard += n;
}

/* The last line that it wrote. */
static void last_line(const struct call *c, char out[WR_QUOTE_MAX]) {
  size_t n = c->n_heard, from;
  *out = '\0';
  while (n > 0 && (c->heard[n - 1] == '\n' || c->heard[n - 1] == ' ')) n--;
  for (from = n; from > 0 && c->heard[from - 1] != '\n';) from--;
  if (n > from) wr_err_quote(out, c->heard + from, n - from);
}

static void bad_end(struct call *c, const wx_exit *e) {
  char text[WHY], q[WR_QUOTE_MAX];
  int how = e->exit_code == EXIT_FATAL || e->said == WX_SAID_FATAL ? WX_FATAL : WX_FAIL;
  last_line(c, q);
  const char *says = *q ? " It said last " : "";
  if (e->failed_step) snprintf(text, sizeof text, "%s", e->error && *e->error ? e->error : "its program could not be started");
  else if (e->said_text) snprintf(text, sizeof text, "%s", e->said_text);
  else if (e->signal) snprintf(text, sizeof text, "its program was ended by signal %d.%s%s", e->signal, says, q);
  else snprintf(text, sizeof text, "its program ended with %d.%s%s", e->exit_code, says, q);
  fails(c, how, text);
}

/* It ended well, as a program does whose author forgot where the answer goes: what it wrote may be that answer. */
static void no_answer(struct call *c) {
  char text[WHY], q[WR_QUOTE_MAX];
  last_line(c, q);
  snprintf(text, sizeof text, "its program answered nothing: it writes to WEIR_OUTPUT, or reports a result.%s%s",
           *q ? " It said last " : "", q);
  fails(c, WX_FAIL, text);
}

static void analysis_child_done(const wx_host *h, wx_exec *x, const wx_exit *e) {
  struct call *c = of(x);
  bool well = !e->failed_step && !e->signal && e->exit_code == 0 && e->said == WX_SAID_NOTHING;
  h->timer(x, 0);
  if (c->late) late(c);
  else if (h->stop_reason(x) != WX_STOP_NONE) given_up(c);
  else if (!well) bad_end(c, e);
  else if (e->output_error == 1) fails(c, WX_FAIL, "its answer is larger than 16 MiB");
  else if (e->output_error) fails(c, WX_FAIL, "its WEIR_OUTPUT is no file of its own");
  else if (!e->output) no_answer(c);
  if (x->ended) return;
  c->look->text = wr_memdup0(e->output, e->output_len);
  c->look->n = e->output_len;
  post(c, PARSING, LOOK_ANSWER);
}

/* ---- what the analyst said ---- */

static void ask(struct call *c) {
  struct added *by = c->look->by->added;
  if (by->mode == ADDED_URL && by->http) ask_url(c, by);
  else if (by->mode == ADDED_PROGRAM) run_program(c, by);
  else fails(c, WX_FAIL, "this member cannot call it");
}

static void verdict(struct call *c) {
  struct analysis *a = c->x->a->analysis;
  a->verdict = c->look->verdict;
  a->final = c->look->final;
  c->look->verdict = (struct verdict){0};
  end(c, WX_OK, false, NULL);
  attempt_weighs(c->x->a, c->x->w->o.backlog, c->x->w->o.backlog ? c->look->answer_bytes : 0);
}

static void away(struct call *c) {
  c->away = c->look->step;
  c->phase = AWAY;
  c->h->timer(c->x, c->h->now_us(c->x) + AWAY_US);
}

static void on_look(struct call *c) {
  struct look *l = c->look;
  if (!look_ready(c->x->w->analyst, l)) return;
  switch (l->says) {
  case LOOK_AWAY: away(c); break;
  case LOOK_VERDICT: verdict(c); break;
  case LOOK_ASK: ask(c); break;
  case LOOK_FAIL: fails(c, WX_FAIL, l->why); break;
  case LOOK_FATAL: fails(c, WX_FATAL, l->why); break;
  }
}

/* ---- members of the table ---- */

static void analysis_woken(const wx_host *h, wx_exec *x) {
  struct call *c = of(x);
  (void)h;
  if (c->phase == ASKING) on_http(c);
  else if (c->phase == READING || c->phase == PARSING) on_look(c);
}

static void analysis_timer(const wx_host *h, wx_exec *x) {
  struct call *c = of(x);
  if (c->phase == AWAY) {
    post(c, c->away == LOOK_EVIDENCE ? READING : PARSING, c->away);
  } else if (c->phase == ASKING) {
    late(c);
  } else if (c->phase == RUNNING) {
    c->late = true;
    h->kill(x, WX_CANCEL_FORCE);
  }
}

/* A program is killed at once: what it does is only looking. */
static void analysis_cancel(const wx_host *h, wx_exec *x, int how) {
  struct call *c = of(x);
  (void)how;
  if (c->phase == RUNNING) h->kill(x, WX_CANCEL_FORCE);
  else given_up(c);
}

static void analysis_release(const wx_host *h, wx_exec *x) {
  struct call *c = of(x);
  (void)h;
  if (!c) return;
  http_end(c->http);
  look_leave(x->w->analyst, c->look);
  free(c);
  x->data = NULL;
}

/* The task with the configuration that it runs with, but for the values of secret headers. */
static char *task_json(struct wx_exec *x) {
  const struct executor *e = x->a->def->executor;
  char *config = config_over(x->task.config, e && e->added ? e->added->config : NULL), *masked = config_masked(config);
  struct buf b = BUF_INIT;
  added_request(&b, x, masked);
  free(masked);
  free(config);
  return b.data;
}

static int analysis_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  const struct analysis *a = x->a->analysis;
  struct call *c = x->data = wr_new(struct call);
  (void)err, (void)err_n;
  c->h = h;
  c->x = x;
  if (!x->w->analyst) {
    end(c, WX_NEVER, false, "This member calls no analyzers.");
    return 0;
  }
  c->look = look_new((struct look){.ti = x->a->ti, .def = def_task_ref(x->a->def), .analyzer = a->analyzer, .attempt = a->attempt,
                                   .failed = a->failed, .task = task_json(x), .user = wr_strdup(a->user ? a->user : "")}, x);
  post(c, READING, LOOK_EVIDENCE);
  return 0;
}

const wx_ops analysis_ops = {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "analysis", .slot = WX_SLOT_ASYNC,
                             .start = analysis_start, .timer = analysis_timer, .child_done = analysis_child_done,
                             .cancel = analysis_cancel, .release = analysis_release, .woken = analysis_woken};
