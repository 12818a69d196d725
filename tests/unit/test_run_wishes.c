/* A stand-alone task and what users ask of it: starts that are put off, pauses, runs again, deletions. Random wishes and reports by
 * brute force, with the run thrown away and made again from its row at any moment; and the effects that the runner turns into
 * rows and messages, one by one. */
#include "unit.h"
#include "admit.h"
#include <string.h>
#include "clock.h"
#include "run.h"

enum { ME = 5, TI = 77 };
static const struct task_policy plain = {.attempts = 2, .backoff_base_us = 10, .backoff_cap_us = 100, .backoff_factor = 2, .slot = SLOT_ASYNC};
static const struct task_policy tidy = {.attempts = 2, .backoff_base_us = 10, .backoff_cap_us = 100, .backoff_factor = 2, .slot = SLOT_ASYNC, .cleans_up = 1};
static const struct task_policy apart = {.attempts = 2, .backoff_base_us = 10, .backoff_cap_us = 100, .backoff_factor = 2, .slot = SLOT_ASYNC, .parts = 1};

struct world {
  struct dag *one;
  struct task_bind bind;
  struct run *run;
  struct effects eff;
  struct run_ctx c;
  struct task row;                 /* as stored */
  bool there, gone;
  uint32_t epoch, runs, starts;
  int64_t version;
};

static void open_world(struct world *w, const struct task_policy *pol, const struct task_start *start) {
  *w = (struct world){.one = dag_one(), .bind = {pol, 3}};
  w->c = (struct run_ctx){.now_us = 10, .me = ME, .budget = 100, .out = &w->eff};
  w->run = run_new_alone(w->one, TI);
  w->run->bind = &w->bind;
  assert_int_equal(run_step(w->run, &(struct run_event){.kind = RUN_EV_START, .start = start}, &w->c), RUN_OK);
  assert_int_equal(run_drain(w->run, &w->c), RUN_OK);
}

static void close_world(struct world *w) {
  run_free(w->run);
  dag_unref(w->one);
  effects_done(&w->eff);
  free(w->c.need);
}

/* Decides what is ready, and stores the row, as the runner does. */
static void commit(struct world *w, bool slot) {
  admit_ready(&w->c, 0, (uint32_t[SLOT__N]){[SLOT_ASYNC] = slot});
  assert_true(w->eff.n_task <= 1);
  for (size_t i = 0; i < w->eff.n_after; i++) {
    assert_int_not_equal(w->eff.after[i].kind, AFTER_FLOW_DONE);
    if (w->eff.after[i].kind != AFTER_START) continue;
    assert_true(w->eff.after[i].epoch > w->epoch); /* it goes on over runs and clean-ups */
    w->epoch = w->eff.after[i].epoch;
    w->starts++;
  }
  if (w->eff.n_task == 1) {
    assert_int_equal(w->run->task[0].row, w->there);
    w->gone = w->eff.task[0].gone;
    w->there = true;
    w->row = w->run->task[0].t;
  }
  effects_commit(&w->eff, ++w->version);
  run_check(w->run);
}

static void reload(struct world *w) {
  run_free(w->run);
  w->run = run_load_alone(w->one, TI, &w->row);
  assert_non_null(w->run);
  w->run->bind = &w->bind;
  run_check(w->run);
}

static enum run_rc happens(struct world *w, struct run_event *ev) {
  enum run_rc rc = run_step(w->run, ev, &w->c);
  w->c.budget = 100;
  assert_int_equal(run_drain(w->run, &w->c), RUN_OK);
  return rc;
}

static enum run_rc ask(struct world *w, enum ask a, bool force) {
  return happens(w, &(struct run_event){.kind = RUN_EV_ASK, .ask = a, .force = force});
}

/* Who reports knows owner and epoch from a claim that was committed. */
static enum run_rc report(struct world *w, enum task_ev kind, bool asked) {
  const struct task *t = &w->row;
  return happens(w, &(struct run_event){.kind = RUN_EV_TASK, .error = "it failed",
                                        .ev = {.kind = kind, .owner = kind == TASK_EV_CLAIM ? ME : t->owner, .epoch = t->epoch, .asked = asked}});
}

static const char *shown(const struct world *w) { return task_shown(&w->run->task[0].t); }

static void test_starts(void **state) {
  (void)state;
  struct world w;
  open_world(&w, &plain, &(struct task_start){.hold = 1});
  assert_int_equal(w.eff.n_after, 0);
  commit(&w, true);
  assert_string_equal(shown(&w), "CREATED");
  reload(&w);
  assert_int_equal(ask(&w, ASK_RUN, false), RUN_OK);
  assert_int_equal(w.c.no, ASK_OK);
  commit(&w, true);
  assert_string_equal(shown(&w), "RUNNING"); /* claimed in the same batch */
  close_world(&w);

  open_world(&w, &plain, &(struct task_start){.at_us = 500});
  assert_int_equal(w.eff.n_after, 1);
  assert_int_equal(w.eff.after[0].kind, AFTER_TIMER);
  commit(&w, true);
  assert_string_equal(shown(&w), "BLOCKED");
  reload(&w);
  w.c.now_us = 500;
  assert_int_equal(report(&w, TASK_EV_DUE, false), RUN_OK);
  commit(&w, false);
  assert_string_equal(shown(&w), "QUEUED");
  close_world(&w);

  open_world(&w, &plain, &(struct task_start){.at_us = 10}); /* past: at once */
  commit(&w, true);
  assert_string_equal(shown(&w), "RUNNING");
  close_world(&w);
}

static void test_run_again(void **state) {
  (void)state;
  struct world w;
  open_world(&w, &plain, NULL);
  commit(&w, true);
  assert_int_equal(report(&w, TASK_EV_CANCEL, false), RUN_OK);
  (void)report(&w, TASK_EV_FAIL, true);
  commit(&w, true);
  assert_string_equal(shown(&w), "CANCELED");
  assert_int_equal(w.run->state, FLOW_FAILED);
  for (int loaded = 0; loaded < 2; loaded++) {
    if (loaded) reload(&w);
    assert_int_equal(ask(&w, ASK_RUN, false), RUN_OK);
    assert_true(w.c.did & TASK_OUT_RUN_AGAIN);
    assert_int_equal(w.eff.n_task, 1);
    assert_string_equal(w.eff.task[0].error, ""); /* of the former run */
    commit(&w, true);
    assert_string_equal(shown(&w), "RUNNING");
    assert_int_equal(w.row.cancel_requested, 0);
    assert_int_equal(w.row.epoch, 2 + loaded);
    (void)report(&w, loaded ? TASK_EV_OK : TASK_EV_FAIL, false);
    if (!loaded) {
      assert_string_equal(shown(&w), "RETRY_WAIT"); /* a new budget */
      (void)report(&w, TASK_EV_CANCEL, false);
    }
    commit(&w, true);
  }
  assert_string_equal(shown(&w), "SUCCESS");
  assert_int_equal(ask(&w, ASK_RUN, false), RUN_REFUSED);
  assert_int_equal(w.c.no, ASK_NOT_RETRYABLE);
  assert_int_equal(w.eff.n_flow + w.eff.n_node + w.eff.n_task + w.eff.n_after, 0);
  close_world(&w);
}

/* Without a clean-up: gone at once, or when it has stopped. */
static void test_delete(void **state) {
  (void)state;
  struct world w;
  for (int runs = 0; runs < 2; runs++) {
    open_world(&w, &plain, NULL);
    commit(&w, runs);
    assert_int_equal(ask(&w, ASK_DELETE, false), RUN_OK);
    if (runs) {
      assert_int_equal(w.eff.after[0].kind, AFTER_KILL);
      commit(&w, true);
      assert_string_equal(shown(&w), "DELETING");
      assert_false(w.gone);
      reload(&w);
      (void)report(&w, TASK_EV_OK, false);
    }
    assert_int_equal(w.eff.n_task, 1);
    assert_true(w.eff.task[0].gone);
    commit(&w, true);
    assert_true(w.gone);
    assert_true(flow_final(w.run->state));
    close_world(&w);
  }
}

static void test_delete_with_a_clean_up(void **state) {
  (void)state;
  struct world w;
  open_world(&w, &tidy, NULL);
  commit(&w, true);
  (void)report(&w, TASK_EV_OK, false);
  commit(&w, true);
  reload(&w);
  assert_int_equal(ask(&w, ASK_DELETE, false), RUN_OK); /* of a final one: its run goes on */
  commit(&w, true);
  assert_string_equal(shown(&w), "DELETING");
  assert_int_equal(w.row.state, TASK_RUNNING);
  assert_int_equal(w.row.phase, PHASE_DELETE);
  assert_int_equal(w.row.epoch, 2);
  (void)report(&w, TASK_EV_FAIL, false);
  assert_string_equal(w.eff.task[0].error, "it failed");
  commit(&w, true);
  assert_string_equal(shown(&w), "DELETE_FAILED");
  reload(&w);
  assert_int_equal(ask(&w, ASK_DELETE, false), RUN_OK);
  commit(&w, true);
  assert_int_equal(ask(&w, ASK_DELETE, true), RUN_OK); /* by force, while the clean-up runs */
  assert_int_equal(w.eff.n_after, 1);
  assert_int_equal(w.eff.after[0].kind, AFTER_KILL);
  assert_int_equal(w.eff.after[0].owner, ME);
  assert_int_equal(w.eff.after[0].epoch, 3);
  commit(&w, true);
  assert_true(w.gone);
  close_world(&w);
}

/* Who comes after a deletion, in the same batch, meets a task that does not exist. */
static void test_after_it_is_gone(void **state) {
  (void)state;
  struct world w;
  for (int ended = 0; ended < 2; ended++) {
    open_world(&w, &plain, NULL);
    commit(&w, true);
    if (ended) (void)report(&w, TASK_EV_FAIL, false), (void)report(&w, TASK_EV_CANCEL, false);
    commit(&w, true);
    assert_int_equal(ask(&w, ASK_DELETE, false), RUN_OK);
    if (!ended) assert_int_equal(report(&w, TASK_EV_LOST, false), RUN_OK);
    for (int a = 0; a < ASK__N; a++) assert_int_equal(ask(&w, (enum ask)a, true), RUN_LATE);
    assert_int_equal(report(&w, TASK_EV_CLAIM, false), RUN_LATE);
    commit(&w, true);
    assert_true(w.gone);
    assert_int_equal(w.starts, 1);
    close_world(&w);
  }
}

static void test_remove(void **state) {
  (void)state;
  struct world w;
  open_world(&w, &tidy, NULL);
  commit(&w, true);
  struct run_event ev = {.kind = RUN_EV_TASK, .ev = {.kind = TASK_EV_OK, .owner = ME, .epoch = 1, .remove = 1}};
  assert_int_equal(happens(&w, &ev), RUN_OK);
  commit(&w, true);
  assert_true(w.gone);
  close_world(&w);
}

static size_t partings(const struct world *w) {
  size_t n = 0;
  for (size_t i = 0; i < w->eff.n_after; i++) n += w->eff.after[i].kind == AFTER_PART;
  return n;
}

/* It was claimed once, and `how` it stopped. */
static void open_stopped(struct world *w, const struct task_policy *pol, enum task_ev how, bool pauses) {
  open_world(w, pol, NULL);
  commit(w, true);
  if (pauses) assert_int_equal(ask(w, ASK_PAUSE, false), RUN_OK), commit(w, false);
  (void)report(w, how, pauses);
  commit(w, false);
  assert_int_equal(w->row.owner, 0);
}

/* Whoever works for a task elsewhere is told when it ends while no attempt runs that could tell; and only then. */
static void test_partings(void **state) {
  (void)state;
  struct world w;
  static const struct { enum task_ev how; bool pauses; const char *shown; uint32_t tries; } stop[] = {
    {TASK_EV_FAIL, true, "PAUSED", 0}, {TASK_EV_HANDBACK, false, "QUEUED", 0}, {TASK_EV_LOST, false, "QUEUED", 0}, {TASK_EV_FAIL, false, "RETRY_WAIT", 1}};
  for (size_t i = 0; i < sizeof stop / sizeof *stop; i++) {
    for (enum ask a = ASK_CANCEL; a <= ASK_DELETE; a++) {
      open_stopped(&w, &apart, stop[i].how, stop[i].pauses);
      assert_string_equal(shown(&w), stop[i].shown);
      reload(&w);
      assert_int_equal(ask(&w, a, false), RUN_OK);
      assert_int_equal(partings(&w), 1);
      assert_int_equal(w.eff.after[0].epoch, 1);
      assert_int_equal(w.eff.after[0].tries, stop[i].tries);
      commit(&w, false);
      assert_int_equal(w.gone, a == ASK_DELETE);
      if (!w.gone) assert_int_equal(ask(&w, ASK_DELETE, false), RUN_OK), assert_int_equal(partings(&w), 0); /* it was told */
      close_world(&w);
    }
  }
  for (enum task_ev how = TASK_EV_OK; how <= TASK_EV_HANDBACK; how++) { /* what runs tells it itself, unless it is lost */
    open_world(&w, &apart, NULL);
    commit(&w, true);
    assert_int_equal(ask(&w, ASK_CANCEL, false), RUN_OK);
    assert_int_equal(partings(&w), 0);
    commit(&w, false);
    (void)report(&w, how, true);
    assert_int_equal(partings(&w), how == TASK_EV_LOST || how == TASK_EV_HANDBACK);
    commit(&w, false);
    close_world(&w);
  }
  open_world(&w, &apart, NULL); /* it was never claimed */
  commit(&w, false);
  assert_int_equal(ask(&w, ASK_CANCEL, false), RUN_OK);
  assert_int_equal(partings(&w), 0);
  close_world(&w);
  open_stopped(&w, &plain, TASK_EV_FAIL, true); /* nobody works for it */
  assert_int_equal(ask(&w, ASK_CANCEL, false), RUN_OK);
  assert_int_equal(partings(&w), 0);
  close_world(&w);
}

/* Any wishes and reports; then it is deleted, by force where need be, and must be gone within few steps. */
static void one_life(uint64_t seed, uint32_t *seen) {
  static const struct task_start start[] = {{0, 0}, {0, 1}, {40, 0}};
  struct world w;
  uint64_t rnd = seed;
  open_world(&w, seed % 2 ? &tidy : &plain, &start[rand_next(&rnd) % 3]);
  commit(&w, rand_next(&rnd) % 2);
  for (int i = 0; i < 120 && !w.gone; i++) {
    uint64_t dice = rand_next(&rnd);
    bool end = i > 60;
    w.c.now_us += 30;
    *seen |= 1u << task_show(&w.row);
    if (dice % 3 == 0 && !end) (void)ask(&w, (enum ask)(dice >> 8 & 31 ? (dice >> 16) % 3 : (dice >> 16) % ASK__N), dice >> 32 & 1);
    else if (end && dice % 3 == 0) (void)ask(&w, ASK_DELETE, i > 100);
    else (void)report(&w, (enum task_ev)(dice >> 8) % TASK_EV_CANCEL, dice >> 40 & 1);
    if (dice >> 50 & 1) continue; /* the next event shares this batch */
    commit(&w, dice >> 41 & 1);
    if (!w.gone && dice >> 42 & 1) reload(&w);
  }
  for (int i = 0; i < 2 && !w.gone; i++) { /* the second one is of a deletion, and goes by force */
    commit(&w, false);
    if (!w.gone) (void)ask(&w, ASK_DELETE, true);
    commit(&w, false);
  }
  assert_true(w.gone);
  close_world(&w);
}

static void test_random_lives(void **state) {
  (void)state;
  uint32_t seen = 0;
  for (uint64_t seed = 1; seed <= 20000; seed++) one_life(seed, &seen);
  for (int s = SHOWN_CREATED; s < SHOWN_ANALYZING; s++) assert_true(seen >> s & 1); /* test_analyse.c has the others */
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_starts), cmocka_unit_test(test_run_again), cmocka_unit_test(test_delete),
    cmocka_unit_test(test_delete_with_a_clean_up), cmocka_unit_test(test_after_it_is_gone), cmocka_unit_test(test_remove), cmocka_unit_test(test_partings),
    cmocka_unit_test(test_random_lives)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
