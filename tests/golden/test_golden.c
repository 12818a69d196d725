/* Golden traces of the core: a flow, events, and the exact effects of each, as text a person can read.
 *
 * A trace file:  flow continue|stop_new|cancel / node NAME [tasks=2 need=1 rest=cancel] [< PARENT ..] / slots N
 * then one event a line, each followed by what it must cause, indented. Events: start, cancel, pause, checkpoint, resume,
 * rerun NAME|failed, claim|ok|tidied|fail|fatal|stopped|not-now|lost|handback|timeout|due|cancel NAME[.TASK], and what users ask of
 * a task: ask run|pause|cancel|delete|queue NAME[.TASK]. Of a node with `analyzer`: says-done|says-failed|says-retry|adds NAME[.TASK] is a
 * verdict (adds: it is done, and has added tasks), and below-ok|below-bad is the end of what it added. WEIR_GOLDEN_UPDATE=1 rewrites the files: then read the diff. */
#include "../unit/unit.h"
#include "../unit/admit.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"
#include "run.h"

#define MAX 32
static const struct task_policy once = {.attempts = 1, .slot = SLOT_ASYNC};
static const struct task_policy retry = {.attempts = 2, .backoff_base_us = 500, .backoff_cap_us = 500, .backoff_factor = 1, .jitter = JITTER_NONE, .slot = SLOT_ASYNC};

static const struct task_policy judged = {.attempts = 2, .calls = 2, .backoff_base_us = 500, .backoff_cap_us = 500, .backoff_factor = 1, .jitter = JITTER_NONE, .slot = SLOT_ASYNC};

struct trace {
  char name[MAX][32];
  uint32_t parent[MAX][MAX], n_parent[MAX];
  struct dag_spec_node node[MAX];
  bool retries[MAX], judged[MAX];
  uint32_t n, slots;
  uint8_t on_failure;
  struct dag *dag;
  struct run *run;
  struct task_bind bind[MAX * 8];
  struct effects eff;
  struct run_ctx c;
  int64_t version;
  struct buf out;
};

static uint32_t node_named(const struct trace *t, const char *s, size_t n) {
  for (uint32_t i = 0; i < t->n; i++)
    if (strlen(t->name[i]) == n && memcmp(t->name[i], s, n) == 0) return i;
  fail_msg("no node %.*s", (int)n, s);
  return 0;
}

static void read_node(struct trace *t, char *line) {
  char *save = NULL, *w = strtok_r(line, " ", &save);
  uint32_t i = t->n;
  bool parents = false;
  t->node[i] = (struct dag_spec_node){.n_task = 1, .need = 1, .parent = t->parent[i]};
  (void)snprintf(t->name[i], sizeof t->name[i], "%s", w);
  while ((w = strtok_r(NULL, " ", &save)) != NULL) {
    if (strcmp(w, "<") == 0) parents = true;
    else if (parents) t->parent[i][t->n_parent[i]++] = node_named(t, w, strlen(w));
    else if (strncmp(w, "tasks=", 6) == 0) t->node[i].n_task = (uint32_t)strtoul(w + 6, NULL, 10);
    else if (strncmp(w, "need=", 5) == 0) t->node[i].need = (uint32_t)strtoul(w + 5, NULL, 10);
    else if (strcmp(w, "rest=cancel") == 0) t->node[i].rest = REST_CANCEL;
    else if (strcmp(w, "attempts=2") == 0) t->retries[i] = true;
    else if (strcmp(w, "analyzer") == 0) t->judged[i] = true;
    else fail_msg("what is %s?", w);
  }
  t->node[i].n_parent = t->n_parent[i];
  t->n++;
}

static void compile(struct trace *t) {
  uint32_t cycle[MAX], n_cycle;
  t->dag = dag_new(t->node, t->n, t->on_failure, 0, cycle, &n_cycle);
  assert_non_null(t->dag);
  for (uint32_t i = 0; i < t->dag->n_task; i++) {
    uint32_t n = dag_node_of_task(t->dag, i);
    t->bind[i] = (struct task_bind){t->judged[n] ? &judged : t->retries[n] ? &retry : &once, 1, NULL, 0};
  }
  t->run = run_new(t->dag, 1, (struct run_base){1, 1}, FLOW_RUNNING);
  t->run->bind = t->bind;
  t->c = (struct run_ctx){.now_us = 0, .me = 1, .out = &t->eff};
}

static void task_name(struct trace *t, uint32_t task) {
  uint32_t n = dag_node_of_task(t->dag, task);
  buf_str(&t->out, t->name[n]);
  if (t->dag->node[n].n_task > 1) buf_printf(&t->out, ".%u", task - t->dag->node[n].task_at + 1);
}

static void show_rows(struct trace *t) {
  for (size_t i = 0; i < t->eff.n_flow; i++)
    buf_printf(&t->out, "  flow %s %s live=%u failed=%u%s%s%s%s\n", t->run->row ? "update" : "insert", flow_state_name((enum flow_state)t->run->state),
               t->run->live, t->run->failed, t->run->hold & HOLD_CHECKPOINT ? " checkpoint" : "", t->run->hold & HOLD_NODES ? " nodes are ready" : "",
               t->eff.flow[i].error ? " error=" : "", t->eff.flow[i].error ? t->eff.flow[i].error : "");
  for (size_t i = 0; i < t->eff.n_node; i++) {
    const struct run_node *v = &t->run->node[t->eff.node[i].node];
    buf_printf(&t->out, "  node %s %s %s", v->row ? "update" : "insert", t->name[t->eff.node[i].node], node_state_name((enum node_state)v->state));
    if (v->state == NODE_WAITING) buf_printf(&t->out, " ok=%u fail=%u of %u", v->ok, v->fail, t->dag->node[t->eff.node[i].node].n_parent);
    if (t->eff.node[i].error) buf_printf(&t->out, " error=%s", t->eff.node[i].error);
    buf_ch(&t->out, '\n');
  }
  for (size_t i = 0; i < t->eff.n_task; i++) {
    const struct run_task *k = &t->run->task[t->eff.task[i].task];
    buf_printf(&t->out, "  task %s ", k->row ? "update" : "insert");
    task_name(t, t->eff.task[i].task);
    buf_printf(&t->out, " %s epoch=%u", task_state_name(k->t.state), task_attempt_of(k->t.epoch));
    if (k->t.epoch > TASK_ATTEMPT_MAX) buf_printf(&t->out, " analysis=%u", k->t.epoch / (TASK_ATTEMPT_MAX + 1));
    if (k->t.phase == PHASE_ANALYSE || k->t.phase == PHASE_CHILDREN) buf_printf(&t->out, " shown as %s", shown_name(task_show(&k->t)));
    if (k->t.state == TASK_BLOCKED && k->t.end_as) buf_printf(&t->out, " holds %s", task_state_name(k->t.end_as));
    if (k->t.resume) buf_str(&t->out, k->t.resume == RESUME_RUN ? " then it runs" : " by the flow");
    if (k->t.due_us) buf_printf(&t->out, " due=%lld", (long long)k->t.due_us);
    if (t->eff.task[i].error && t->eff.task[i].error[0]) buf_printf(&t->out, " error=%s", t->eff.task[i].error);
    buf_ch(&t->out, '\n');
  }
}

static void show_after(struct trace *t) {
  static const char *const word[] = {[AFTER_START] = "start", [AFTER_PUSH] = "push", [AFTER_KILL] = "kill", [AFTER_TIMER] = "timer", [AFTER_FLOW_DONE] = "flow done",
                                     [AFTER_TREES] = "trees", [AFTER_BELOW] = "below", [AFTER_PART] = "part"};
  for (size_t i = 0; i < t->eff.n_attempt; i++) {
    buf_str(&t->out, "  attempt ");
    task_name(t, t->eff.attempt[i].task);
    buf_printf(&t->out, " epoch=%u %s\n", task_attempt_of(t->eff.attempt[i].epoch), task_ev_name(t->eff.attempt[i].why));
  }
  for (size_t i = 0; i < t->eff.n_after; i++) {
    buf_printf(&t->out, "  then %s", word[t->eff.after[i].kind]);
    if (t->eff.after[i].task != UINT32_MAX) { buf_ch(&t->out, ' '); task_name(t, t->eff.after[i].task); }
    buf_ch(&t->out, '\n');
  }
}

static const struct { const char *word; enum task_ev ev; enum task_said said; bool waits, bad; } events[] = {
  {.word = "says-done", .ev = TASK_EV_OK, .said = SAID_DONE}, {.word = "says-failed", .ev = TASK_EV_OK, .said = SAID_FAILED},
  {.word = "says-retry", .ev = TASK_EV_OK, .said = SAID_RETRY}, {.word = "adds", .ev = TASK_EV_OK, .said = SAID_DONE, .waits = true},
  {.word = "below-ok", .ev = TASK_EV_CHILDREN}, {.word = "below-bad", .ev = TASK_EV_CHILDREN, .bad = true},
  {.word = "claim", .ev = TASK_EV_CLAIM}, {.word = "ok", .ev = TASK_EV_OK}, {.word = "tidied", .ev = TASK_EV_OK},
  {.word = "fail", .ev = TASK_EV_FAIL}, {.word = "fatal", .ev = TASK_EV_FAIL}, {.word = "lost", .ev = TASK_EV_LOST},
  {.word = "stopped", .ev = TASK_EV_FAIL}, {.word = "not-now", .ev = TASK_EV_NOT_NOW}, {.word = "handback", .ev = TASK_EV_HANDBACK},
  {.word = "timeout", .ev = TASK_EV_TIMEOUT}, {.word = "due", .ev = TASK_EV_DUE}, {.word = "cancel", .ev = TASK_EV_CANCEL}};

static uint32_t task_named(const struct trace *t, const char *s) {
  const char *dot = strchr(s, '.');
  uint32_t node = node_named(t, s, dot ? (size_t)(dot - s) : strlen(s));
  return t->dag->node[node].task_at + (dot ? (uint32_t)strtoul(dot + 1, NULL, 10) - 1 : 0);
}

/* "run NAME" */
static struct run_event parse_ask(const struct trace *t, const char *s) {
  struct run_event ev = {.kind = RUN_EV_ASK};
  const char *sp = strchr(s, ' ');
  assert_non_null(sp);
  while (ev.ask < ASK__N && (strlen(ask_name(ev.ask)) != (size_t)(sp - s) || memcmp(ask_name(ev.ask), s, (size_t)(sp - s)) != 0)) ev.ask++;
  assert_int_not_equal(ev.ask, ASK__N);
  ev.task = task_named(t, sp + 1);
  return ev;
}

static struct run_event parse_event(struct trace *t, const char *line) {
  static const struct { const char *line; enum run_ev kind; bool checkpoint; } of_flow[] = {
    {"start", RUN_EV_START, false}, {"cancel", RUN_EV_CANCEL, false}, {"pause", RUN_EV_PAUSE, false}, {"checkpoint", RUN_EV_PAUSE, true},
    {"resume", RUN_EV_RESUME, false}};
  const char *sp = strchr(line, ' ');
  size_t n = sp ? (size_t)(sp - line) : strlen(line);
  struct run_event ev = {.kind = RUN_EV_TASK, .error = "boom"};
  for (size_t i = 0; i < sizeof of_flow / sizeof *of_flow; i++)
    if (strcmp(line, of_flow[i].line) == 0) return (struct run_event){.kind = of_flow[i].kind, .checkpoint = of_flow[i].checkpoint, .error = "boom"};
  if (strncmp(line, "ask ", 4) == 0) return parse_ask(t, line + 4);
  if (n == 5 && memcmp(line, "rerun", 5) == 0) {
    ev.kind = RUN_EV_RERUN;
    ev.node = strcmp(sp + 1, "failed") == 0 ? RERUN_FAILED : node_named(t, sp + 1, strlen(sp + 1));
    ev.base = (struct run_base){(int64_t)t->run->n_base * 100 + 1, (int64_t)t->run->n_base * 100 + 1};
    return ev;
  }
  size_t i = 0;
  while (i < sizeof events / sizeof *events && (strlen(events[i].word) != n || memcmp(events[i].word, line, n) != 0)) i++;
  if (i == sizeof events / sizeof *events || !sp) fail_msg("what is %s?", line);
  ev.task = task_named(t, sp + 1);
  ev.ev = (struct task_event){.kind = events[i].ev, .owner = 1, .epoch = t->run->task[ev.task].t.epoch, .fatal = strcmp(events[i].word, "fatal") == 0,
                               .asked = strcmp(events[i].word, "tidied") == 0 || strcmp(events[i].word, "stopped") == 0,
                               .said = (uint8_t)events[i].said, .waits = events[i].waits, .bad = events[i].bad};
  ev.ev.analyse = !ev.ev.asked && !ev.ev.fatal && t->run->task[ev.task].t.phase == PHASE_RUN;
  return ev;
}

static const char *refusal(const struct run_event *ev, enum ask_no no) {
  static const char *const word[] = {[ASK_BUSY] = "refused: busy", [ASK_FINISHED] = "refused: finished",
                                     [ASK_NOT_RETRYABLE] = "refused: not retryable", [ASK_OF_A_FLOW] = "refused: of a flow"};
  return ev->kind < RUN_EV_ASK ? "refused" : word[no];
}

static void do_event(struct trace *t, const char *line) {
  struct run_event ev = parse_event(t, line);
  t->c.now_us += 1000;
  t->c.budget = 1000;
  enum run_rc rc = run_step(t->run, &ev, &t->c);
  if (rc == RUN_OK) rc = run_drain(t->run, &t->c);
  admit_ready(&t->c, 0, (uint32_t[SLOT__N]){t->slots, t->slots});
  if (rc == RUN_LATE) buf_str(&t->out, "  late\n");
  if (rc == RUN_REFUSED) buf_printf(&t->out, "  %s\n", refusal(&ev, t->c.no));
  else if (ev.kind >= RUN_EV_ASK && t->c.no == ASK_SAME) buf_str(&t->out, "  no change\n");
  show_rows(t);
  show_after(t);
  effects_commit(&t->eff, ++t->version);
  run_check(t->run);
}

static void one_line(struct trace *t, char *line) {
  if (line[0] == ' ') return; /* expected text: made anew */
  buf_printf(&t->out, "%s\n", line);
  if (line[0] == '#' || line[0] == 0) return;
  if (strncmp(line, "node ", 5) == 0) read_node(t, line + 5);
  else if (strncmp(line, "slots ", 6) == 0) t->slots = (uint32_t)strtoul(line + 6, NULL, 10);
  else if (strcmp(line, "flow stop_new") == 0) t->on_failure = FLOW_STOP_NEW;
  else if (strcmp(line, "flow cancel") == 0) t->on_failure = FLOW_CANCEL;
  else if (strcmp(line, "flow continue") == 0) t->on_failure = FLOW_CONTINUE;
  else {
    if (t->dag == NULL) compile(t);
    do_event(t, line);
  }
}

static char *slurp(const char *path) {
  FILE *f = fopen(path, "r");
  struct buf b = BUF_INIT;
  char tmp[4096];
  size_t n;
  assert_non_null(f);
  while ((n = fread(tmp, 1, sizeof tmp, f)) > 0) buf_add(&b, tmp, n);
  (void)fclose(f);
  assert_true(b.len > 0);
  return b.data;
}

static void play(const char *path) {
  struct trace *t = wr_new(struct trace);
  char *want = slurp(path), *text = wr_strdup(want), *at = text, *line;
  t->slots = 100;
  while ((line = strsep(&at, "\n")) != NULL)
    if (at != NULL || *line) one_line(t, line);
  if (getenv("WEIR_GOLDEN_UPDATE")) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(t->out.data, 1, t->out.len, f), t->out.len);
    (void)fclose(f);
  } else {
    if (strcmp(t->out.data, want) != 0) print_message("%s gives:\n%s", path, t->out.data);
    assert_string_equal(t->out.data, want);
  }
  effects_done(&t->eff);
  run_free(t->run);
  dag_unref(t->dag);
  buf_done(&t->out);
  free(t);
  free(want);
  free(text);
}

static void test_traces(void **state) {
  (void)state;
  const char *dir = getenv("WEIR_GOLDEN_DIR");
  struct dirent **v;
  int n = scandir(dir ? dir : ".", &v, NULL, alphasort), played = 0;
  assert_true(n > 0);
  for (int i = 0; i < n; i++) {
    size_t len = strlen(v[i]->d_name);
    if (len > 6 && strcmp(v[i]->d_name + len - 6, ".trace") == 0) {
      struct buf path = BUF_INIT;
      buf_printf(&path, "%s/%s", dir ? dir : ".", v[i]->d_name);
      play(path.data);
      buf_done(&path);
      played++;
    }
    free(v[i]);
  }
  free(v);
  assert_true(played >= 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_traces)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
