/* Why it does not go on: see why.h. */
#include "why.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "added.h"
#include "labels.h"
#include "offers.h"
#include "registry.h"
#include "runner.h"
#include "why_analysis.h"
#include "why_queue.h"

enum { TEXT_BYTES = WHY_TEXT_BYTES, HOST_BYTES = 256, LACKS_BYTES = 200 };

/* Every member but v is filled in when it is first needed: most answers have nothing to say. */
struct why {
  const struct view *v;
  bool asked;
  struct offer_set *set;          /* NULL = not known */
  struct node_trouble own;        /* of this node, as it is now */
  bool drains;                    /* this node, as it is now */
  int64_t me, now_us;             /* this node's incarnation; the time that all nodes share */
  struct why_queue queue;
  char host[HOST_BYTES];
  struct why_said said;
};

struct why *why_open(const struct view *v) {
  struct why *w = wr_malloc(sizeof *w);
  w->v = v;
  w->asked = false;
  w->set = NULL;
  w->queue = (struct why_queue){0};
  return w;
}

static void why_ask(struct why *w) {
  const struct view *v = w->v;
  if (w->asked) return;
  w->asked = true;
  w->host[0] = '\0';
  w->set = offers_get(v->offers, v->store);
  w->me = runner_trouble(v->runner, &w->own);
  w->now_us = store_now(v->store);
  struct member_figures f;
  (void)runner_figures(v->runner, &f);
  w->drains = f.drain_seen_us != 0;
}

static const char *host_here(struct why *w) {
  if (!w->host[0] && gethostname(w->host, sizeof w->host - 1)) snprintf(w->host, sizeof w->host, "?");
  w->host[sizeof w->host - 1] = '\0';
  return w->host;
}

void why_close(struct why *w) {
  offers_put(w->set);
  why_queue_done(&w->queue);
  free(w);
}

static void why_put(struct why *w, const char *code, const char *text) {
  w->said.code = code;
  snprintf(w->said.text, sizeof w->said.text, "%s", text);
}

/* ---- what nodes have told ---- */

/* This node first, with *host NULL, then the others. NULL: there are no more. */
static const struct node_trouble *next_trouble(const struct why *w, size_t *i, const char **host) {
  size_t at = (*i)++;
  *host = NULL;
  if (at == 0) return &w->own;
  for (; w->set && at <= w->set->n; at = (*i)++) {
    const struct offer *v = &w->set->v[at - 1];
    if (v->trouble == NULL || v->incarnation == w->me) continue;
    *host = v->host;
    return v->trouble;
  }
  return NULL;
}

static const struct node_trouble *trouble_of(const struct why *w, const struct offer *v) {
  return v->incarnation == w->me ? &w->own : v->trouble;
}

/* ---- it does not end ---- */

static bool stuck(struct why *w, const struct task_row *row) {
  const char *host;
  char text[TEXT_BYTES];
  const struct node_trouble *t;
  for (size_t i = 0; (t = next_trouble(w, &i, &host));) {
    const struct stuck_attempt *s = node_trouble_stuck(t, row->ti, row->t.epoch);
    if (!s) continue;
    snprintf(text, sizeof text,
             "SIGKILL has not ended %" PRIu32 " of its processes on host %s (pid %lld, \"%s\"%s): the attempt ends, and its slot "
             "is free, when they do. See there what they wait for, such as a file system that hangs or a frozen cgroup.",
             s->n, host ? host : host_here(w), (long long)s->pid, s->name, s->n > 1 ? ", is one" : "");
    why_put(w, "UNKILLABLE", text);
    return true;
  }
  return false;
}

/* ---- its rows are refused ---- */

static bool set_aside(struct why *w, int64_t fi) {
  const char *host;
  char text[TEXT_BYTES];
  const struct node_trouble *t;
  bool mine = runner_set_aside(w->v->runner, fi); /* true even beyond the list that the node tells */
  for (size_t i = 0; (t = next_trouble(w, &i, &host));) {
    if (!(mine && i == 1) && !node_trouble_aside(t, fi)) continue;
    snprintf(text, sizeof text,
             "The database refuses what host %s writes for this run: it is set aside there and tried again by itself. "
             "The log of that server says why (event=runner.quarantined).", host ? host : host_here(w));
    why_put(w, "QUARANTINED", text);
    return true;
  }
  return false;
}

/* ---- it does not begin ---- */

/* Nodes that could run the task: each member counts those of the one before that have more of what it takes. paused: of those
 * that can, the ones that start nothing just now. */
struct runners {
  size_t live, types, labelled, served, can, paused;
  size_t lacking;                 /* live ones without the labels of the executor */
  int64_t slots, until_us;
  const char *cause, *host, *lacks_host;   /* lacks_host: the one that is told of */
  char lacks[LACKS_BYTES];        /* what it lacks */
  struct why_busy busy;
};

/* What is asked of nodes. of_type: labels of the executor. */
struct wanted { const char *type, *user, *labels, *of_type; bool process; struct queue_view of; int64_t version; bool added; };

static void note_lacks(struct runners *n, const struct offer *v, const char *labels) {
  n->lacks_host = v->host;
  (void)labels_lack(v->labels, labels, n->lacks, sizeof n->lacks);
}

static void look_at(const struct why *w, const struct offer *v, const struct wanted *want, struct runners *n) {
  if (*v->types == 0) return; /* the node runs nothing */
  n->live++;
  if (!labels_have(v->labels, want->of_type)) {
    if (n->lacking++ == 0 && n->types == 0) note_lacks(n, v, want->of_type);
    return;
  }
  if (!offer_runs(v, want->type, want->user, want->version)) return;
  n->types++;
  if (!labels_have(v->labels, want->labels)) {
    if (n->types == 1) note_lacks(n, v, want->labels); /* those that lack one of its type are not told of then */
    return;
  }
  n->labelled++;
  const struct node_trouble *t = trouble_of(w, v);
  if (!why_served(t, &want->of)) return;
  n->served++;
  if (v->incarnation == w->me ? w->drains : v->drains) return;
  n->can++;
  n->slots += v->slots;
  why_busy_add(&n->busy, t, v->host, want->of.cpu);
  if (!want->process || !t || !t->starts[0] || t->starts_until_us <= w->now_us) return;
  if (n->paused++ > 0 && t->starts_until_us >= n->until_us) return;
  n->until_us = t->starts_until_us; /* that of the node that tries first */
  n->cause = t->starts;
  n->host = v->host;
}

static void no_executor(struct why *w, const struct wanted *want, const struct runners *n) {
  char text[TEXT_BYTES];
  const char *nodes = n->live == 1 ? "The one node that lives and runs tasks" : "None of the nodes that live and run tasks";
  const char *verb = n->live == 1 ? "cannot" : "can";
  if (n->live == 0) snprintf(text, sizeof text, "No node that runs tasks is alive.");
  else if (n->served)
    snprintf(text, sizeof text, "Of the nodes that can run it (%zu), each drains and takes no task: end a drain (`weir member "
             "undrain`), or start another node.", n->served);
  else if (n->labelled)
    snprintf(text, sizeof text, "Of the nodes that can run it (%zu), none serves its queue: see their --queues.", n->labelled);
  else if (n->types)
    snprintf(text, sizeof text, "Of the nodes that can run its type (%zu), none has the labels that it asks for (%.300s): host "
             "%s lacks %s. See their --labels.", n->types, want->labels, n->lacks_host, n->lacks);
  else if (n->lacking == n->live)
    snprintf(text, sizeof text, "Of the nodes that live and run tasks (%zu), none has the labels that the executor %s asks for "
             "(%.300s): host %s lacks %s. See their --labels.", n->live, want->type, want->of_type, n->lacks_host, n->lacks);
  else if (want->user)
    snprintf(text, sizeof text, "%s (%zu) %s run %s as the user %s.", nodes, n->live, verb, want->type, want->user);
  else
    snprintf(text, sizeof text, "%s (%zu) %s run %s.%s%s%s", nodes, n->live, verb, want->type,
             want->added ? " GET /executor/" : "", want->added ? want->type : "", want->added ? " says why." : "");
  why_put(w, "NO_EXECUTOR", text);
}

static void starts_paused(struct why *w, const struct runners *n) {
  char text[TEXT_BYTES], at[CLOCK_RFC_LEN], nodes[64] = "The one node that can run it starts";
  clock_rfc3339(at, n->until_us);
  if (n->can > 1) snprintf(nodes, sizeof nodes, "All %zu nodes that can run it start", n->can);
  snprintf(text, sizeof text,
           "%s no process for a while, because they could not start one; host %s tries again at %s. Its last start failed: %s",
           nodes, n->host, at, n->cause);
  why_put(w, "STARTS_PAUSED", text);
}

static void no_slot(struct why *w, const struct runners *n, bool process) {
  char text[TEXT_BYTES], slots[64] = "";
  if (process) snprintf(slots, sizeof slots, ", with %lld slots for processes in all", (long long)n->slots);
  snprintf(text, sizeof text, "It is ready, and begins when a node that can run it (there %s %zu%s) has a free slot for it.",
           n->can == 1 ? "is" : "are",
           n->can, slots);
  why_put(w, "NO_SLOT", text);
}

/* Its queue or its type holds it back, or it is not known whether that does. added: a type that was registered at run time. */
static bool held_by_limit(struct why *w, const struct queue_view *of, const struct executor *added) {
  char text[TEXT_BYTES];
  bool known;
  const char *code = why_queue_holds(&w->queue, w->v, of, w->now_us, text, sizeof text, &known);
  if (!code && known && added) code = why_type_holds(&w->queue, w->v, added->ops.name, w->now_us, text, sizeof text, &known);
  if (code) why_put(w, code, text);
  return code || !known;
}

/* type NULL: its definition is not known any more. */
static void queued(struct why *w, const char *type, const char *text, const struct task_row *row, const struct queue_view *of) {
  struct runners n = {0};
  if (type == NULL || w->set == NULL) return;
  const struct executor *x = registry_find(w->v->executors, type, 0);
  /* a clean-up waits for slots and cost alone */
  if (row->t.phase == PHASE_RUN && held_by_limit(w, of, x && x->added ? x : NULL)) return;
  bool process = executor_slot(x) == WX_SLOT_PROCESS, programs = x && (x->ops.flags & WX_PROGRAMS);
  json_t *config = programs && text ? json_loads(text, 0, NULL) : NULL;
  const char *user = json_string_value(json_object_get(config, "user"));
  char *labels = labels_of_config(text);
  bool added = x && x->added, current = added && row->executor == x->version; /* of a former version members say nothing */
  const struct wanted want = {type, user, labels, added ? x->added->labels : NULL, process, *of, current ? x->version : 0, added};
  char why[TEXT_BYTES];
  for (size_t i = 0; i < w->set->n; i++) look_at(w, &w->set->v[i], &want, &n);
  const char *busy = why_busy_says(&n.busy, of->cpu, why, sizeof why);
  if (busy) why_put(w, busy, why);
  else if (n.can == 0) no_executor(w, &want, &n);
  else if (n.paused == n.can) starts_paused(w, &n);
  else no_slot(w, &n, process);
  free(labels);
  json_decref(config);
}

/* A clean-up that fails is not tried again: only one that asks for it is. */
static void retry(struct why *w, const struct task_row *row) {
  char text[TEXT_BYTES], at[CLOCK_RFC_LEN];
  bool asked = row->t.phase == PHASE_DELETE || (row->error && strncmp(row->error, TASK_NOT_NOW, strlen(TASK_NOT_NOW)) == 0);
  clock_rfc3339(at, row->t.due_us);
  snprintf(text, sizeof text, "Attempt %" PRIu32 " %s; the next one is due at %s.", task_attempt_of(row->t.epoch),
           asked ? "asked to be tried again later" : "failed", at);
  why_put(w, "RETRY_WAIT", text);
}

/* ---- it was held, or asked to stop ---- */

static void held(struct why *w, const struct task_row *row) {
  char text[TEXT_BYTES], at[CLOCK_RFC_LEN];
  if (row->t.end_as != TASK_NONE) {
    why_put(w, "FLOW_PAUSED", "Its flow is paused; it goes on when the flow is resumed.");
    return;
  }
  clock_rfc3339(at, row->t.due_us);
  snprintf(text, sizeof text, "It starts at %s, or at once when it is run.", at);
  why_put(w, "DELAYED", text);
}

static void paused(struct why *w, const struct task_row *row) {
  if (row->t.resume == RESUME_FLOW) why_put(w, "FLOW_PAUSED", "Its flow is paused; it goes on when the flow is resumed.");
  else why_put(w, "PAUSED", "It was paused; it goes on when it is run.");
}

static const char *stopping(const struct task *t) {
  if (t->state == TASK_PAUSING) return "It was paused: it was asked to stop, and what is left of it after its grace is killed.";
  if (t->phase == PHASE_DELETE)
    return "It is being deleted: it was asked to end, and what is left of it after its grace is killed.";
  if (t->end_as == TASK_TIMEOUT)
    return "Its run timeout is over: it was asked to end, and what is left of it after its grace is killed.";
  return "It was canceled: it was asked to end, and what is left of it after its grace is killed.";
}

/* ---- what is asked for ---- */

static void queue_of_task(struct why *w, const struct task_row *row, const struct task_def *def, const struct async_row *alone,
                          const struct queue_view *of) {
  struct queue_view own = queue_view(NULL, def ? def->queue : NULL);
  if (alone) own = (struct queue_view){alone->user, alone->group, alone->priority, alone->cpu, NULL};
  if (def) queued(w, def->type, def->config, row, of ? of : &own);
  else if (alone) queued(w, alone->type, alone->config, row, of ? of : &own);
}

/* ---- it is analysed ---- */

static void analysing(struct why *w, const struct task_row *row, const struct task_def *def, const struct async_row *alone) {
  char text[TEXT_BYTES];
  const char *type = def ? def->type : alone ? alone->type : NULL, *code = NULL;
  const struct why_members m = {w->set, w->me, w->drains};
  if (row->t.state == TASK_RETRY_WAIT) why_call_later(row, text, sizeof text), code = "RETRY_WAIT";
  else if (row->t.state == TASK_QUEUED && type)
    code = why_no_call(w->v, &m, row, type, def ? def->config : alone->config, text, sizeof text);
  if (code) why_put(w, code, text);
}

static void task_why(struct why *w, const struct task_row *row, const struct task_def *def, const struct async_row *alone,
                     const struct queue_view *of) {
  if (task_final(row->t.state)) return;
  bool analysed = row->t.phase == PHASE_ANALYSE && row->t.state != TASK_PAUSED;
  if (row->t.phase == PHASE_CHILDREN) return; /* its state says it */
  if (row->t.phase == PHASE_DELETE && row->t.state == TASK_CREATED) {
    why_put(w, "STOPPING", "It is being deleted: the tasks that it added go first.");
    return;
  }
  why_ask(w);
  if ((row->t.owner != 0 && stuck(w, row)) || (row->fi != 0 && set_aside(w, row->fi))) return;
  if (analysed) {
    analysing(w, row, def, alone);
    return;
  }
  switch (row->t.state) {
  case TASK_CREATED: why_put(w, "NOT_STARTED", "It was submitted to be started later; it starts when it is run."); break;
  case TASK_BLOCKED: held(w, row); break;
  case TASK_QUEUED:
    queue_of_task(w, row, def, alone, of);
    break;
  case TASK_RETRY_WAIT: retry(w, row); break;
  case TASK_PAUSED: paused(w, row); break;
  case TASK_PAUSING:
    if (row->t.resume == RESUME_RUN)
      why_put(w, "RESUMING", "It was run while it was being paused: it goes on as soon as it has stopped.");
    else why_put(w, "STOPPING", stopping(&row->t));
    break;
  case TASK_CANCELING: why_put(w, "STOPPING", stopping(&row->t)); break;
  case TASK_NONE: case TASK_RUNNING: case TASK_SUCCESS: case TASK_FAILED: case TASK_TIMEOUT: case TASK_CANCELED: case TASK_DEAD:
  case TASK__N: break;
  }
}

static const struct why_said *said(const struct why *w) { return w->said.code ? &w->said : NULL; }

const struct why_said *why_task_of(struct why *w, const struct task_row *row, const struct task_def *def,
                                   const struct async_row *alone, const struct queue_view *of) {
  w->said.code = NULL;
  task_why(w, row, def, alone, of);
  return said(w);
}

const struct why_said *why_task(struct why *w, const struct task_row *row, const struct task_def *def,
                                const struct async_row *alone) {
  return why_task_of(w, row, def, alone, NULL);
}

const struct why_said *why_flow(struct why *w, const struct flow_row *row) {
  w->said.code = NULL;
  if (flow_final((enum flow_state)row->state)) return NULL;
  why_ask(w);
  set_aside(w, row->fi);
  return said(w);
}
