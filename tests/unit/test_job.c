/* A job: what its tasks count as, the state that follows from counters and wishes, and every cell of state x wish, written down once
 * more by hand from the table of docs/reference/api.md. */
#include "unit.h"
#include <string.h>
#include "job.h"

/* ---- classes ---- */

static void classes(void **st) {
  (void)st;
  static const struct { struct task t; enum job_class c; } want[] = {
    {{.state = TASK_NONE}, JOB_NONE}, {{.state = TASK_CREATED}, JOB_NOT_STARTED}, {{.state = TASK_BLOCKED}, JOB_NOT_STARTED},
    {{.state = TASK_QUEUED}, JOB_NOT_STARTED}, {{.state = TASK_PAUSED}, JOB_NOT_STARTED},
    {{.state = TASK_QUEUED, .tries = 1}, JOB_RETRYING}, {{.state = TASK_QUEUED, .losses = 1}, JOB_RETRYING},
    {{.state = TASK_PAUSED, .tries = 2}, JOB_RETRYING}, {{.state = TASK_RETRY_WAIT}, JOB_RETRYING},
    {{.state = TASK_RUNNING, .tries = 1}, JOB_BUSY}, {{.state = TASK_PAUSING}, JOB_BUSY}, {{.state = TASK_CANCELING}, JOB_BUSY},
    {{.state = TASK_QUEUED, .phase = PHASE_DELETE}, JOB_BUSY}, {{.state = TASK_RETRY_WAIT, .phase = PHASE_DELETE}, JOB_BUSY},
    {{.state = TASK_SUCCESS}, JOB_OK}, {{.state = TASK_FAILED}, JOB_BAD}, {{.state = TASK_TIMEOUT}, JOB_BAD}, {{.state = TASK_DEAD}, JOB_BAD},
    {{.state = TASK_FAILED, .phase = PHASE_DELETE}, JOB_BAD}, {{.state = TASK_CANCELED}, JOB_STOPPED},
  };
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) assert_int_equal(job_class(&want[i].t), want[i].c);
}

/* ---- the state ---- */

static enum job_state decided(struct job j) {
  job_decide(&j);
  return (enum job_state)j.state;
}

static void state_follows(void **st) {
  (void)st;
  struct job j = {.state = JOB_RUNNING};
  assert_int_equal(decided(j), JOB_RUNNING); /* open, with nothing to do */
  j.closed = 1;
  assert_int_equal(decided(j), JOB_SUCCESS);
  for (int c = JOB_NOT_STARTED; c < JOB_OK; c++) {
    struct job live = j;
    live.count[c] = 1;
    assert_int_equal(decided(live), JOB_RUNNING);
    live.wish = JOB_WISH_CANCEL;
    assert_int_equal(decided(live), JOB_CANCELING);
    live.wish = JOB_WISH_CHECKPOINT;
    assert_int_equal(decided(live), JOB_PAUSED);
  }
  j.count[JOB_STOPPED] = 1;
  assert_int_equal(decided(j), JOB_CANCELED);
  j.count[JOB_BAD] = 1;
  assert_int_equal(decided(j), JOB_FAILED);
  j.ignore = 1;
  assert_int_equal(decided(j), JOB_SUCCESS);
  j.wish = JOB_WISH_CANCEL;
  assert_int_equal(decided(j), JOB_CANCELED);
  j.wish = JOB_WISH_RETRY;
  assert_int_equal(decided(j), JOB_RUNNING); /* its pass makes tasks live */
  j.wish = JOB_WISH_DELETE;
  assert_int_equal(decided(j), JOB_DELETING);
}

static void moves(void **st) {
  (void)st;
  struct job j = {.state = JOB_RUNNING, .closed = 1};
  job_moved(&j, JOB_NONE, JOB_NOT_STARTED);
  job_moved(&j, JOB_NONE, JOB_BUSY);
  assert_int_equal(job_total(&j), 2);
  job_moved(&j, JOB_NOT_STARTED, JOB_OK);
  assert_int_equal(job_live(&j), 1);
  job_moved(&j, JOB_BUSY, JOB_BAD);
  assert_int_equal(job_live(&j), 0);
  assert_int_equal(decided(j), JOB_FAILED);
  job_moved(&j, JOB_BAD, JOB_NONE);
  assert_int_equal(job_total(&j), 1);
}

/* ---- wishes ---- */

enum { COLUMNS = 7 };
/* RUNNING, the same with a failed task, PAUSED, CANCELING, SUCCESS, FAILED, CANCELED. A word: the new state. "-": the same. */
static const struct job column[COLUMNS] = {
  {.state = JOB_RUNNING, .count = {[JOB_BUSY] = 1}}, {.state = JOB_RUNNING, .count = {[JOB_BUSY] = 1, [JOB_BAD] = 1}},
  {.state = JOB_PAUSED, .wish = JOB_WISH_PAUSE, .count = {[JOB_NOT_STARTED] = 1}},
  {.state = JOB_CANCELING, .wish = JOB_WISH_CANCEL, .closed = 1, .count = {[JOB_BUSY] = 1}},
  {.state = JOB_SUCCESS, .closed = 1, .count = {[JOB_OK] = 1}}, {.state = JOB_FAILED, .closed = 1, .count = {[JOB_BAD] = 1}},
  {.state = JOB_CANCELED, .wish = JOB_WISH_CANCEL, .closed = 1, .count = {[JOB_STOPPED] = 1}}};
static const struct { enum job_ask ask; const char *cell[COLUMNS]; } want[] = {
  {JOB_ASK_CLOSE, {"RUNNING", "RUNNING", "PAUSED", "-", "-", "-", "-"}},
  {JOB_ASK_CANCEL, {"CANCELING", "CANCELING", "CANCELING", "-", "40913", "40913", "-"}},
  {JOB_ASK_PAUSE, {"PAUSED", "PAUSED", "-", "40916", "40913", "40913", "40913"}},
  {JOB_ASK_CHECKPOINT, {"PAUSED", "PAUSED", "PAUSED", "40916", "40913", "40913", "40913"}},
  {JOB_ASK_RESUME, {"-", "-", "RUNNING", "40916", "40913", "40913", "40913"}},
  {JOB_ASK_RETRY, {"-", "RUNNING", "40916", "40916", "40912", "RUNNING", "RUNNING"}}};

static const char *answer(struct job *j, enum job_ask ask) {
  switch (job_asked(j, ask)) {
  case ASK_OK: return job_state_name((enum job_state)j->state);
  case ASK_SAME: return "-";
  case ASK_BUSY: return "40916";
  case ASK_FINISHED: return "40913";
  case ASK_NOT_RETRYABLE: return "40912";
  case ASK_OF_A_FLOW: break;
  }
  return "?";
}

static void every_cell(void **st) {
  (void)st;
  for (size_t i = 0; i < sizeof want / sizeof *want; i++)
    for (int c = 0; c < COLUMNS; c++) {
      struct job j = column[c], was = j;
      assert_string_equal(answer(&j, want[i].ask), want[i].cell[c]);
      bool changed = want[i].cell[c][0] >= 'A';
      assert_int_equal(memcmp(&j, &was, sizeof j) != 0, changed);
      if (changed && want[i].ask != JOB_ASK_CLOSE) assert_true(j.pass);
    }
}

static void nothing_to_carry_out(void **st) {
  (void)st;
  struct job j = {.state = JOB_RUNNING};
  assert_string_equal(answer(&j, JOB_ASK_CANCEL), "CANCELED"); /* an open job without a task */
  assert_false(j.pass);
  j = (struct job){.state = JOB_RUNNING};
  assert_string_equal(answer(&j, JOB_ASK_PAUSE), "PAUSED");
  assert_string_equal(answer(&j, JOB_ASK_RESUME), "RUNNING");
  assert_int_equal(j.wish, JOB_WISH_NONE);
}

/* ---- what a wish wants of one task ---- */

static const char *wanted(enum job_wish wish, enum task_state s, bool pass) {
  const struct job j = {.wish = (uint8_t)wish};
  enum ask ask;
  return job_wants(&j, &(struct task){.state = s}, pass, &ask) ? ask_name(ask) : "-";
}

static void tasks_obey(void **st) {
  (void)st;
  for (int pass = 0; pass < 2; pass++) {
    for (int s = TASK_CREATED; s < TASK__N; s++) {
      bool waits = s == TASK_BLOCKED || s == TASK_QUEUED || s == TASK_RETRY_WAIT, final = s >= TASK_FINAL_MIN;
      enum task_state t = (enum task_state)s;
      assert_string_equal(wanted(JOB_WISH_NONE, t, pass), "-");
      assert_string_equal(wanted(JOB_WISH_PAUSE, t, pass), waits ? "pause" : "-");
      assert_string_equal(wanted(JOB_WISH_CHECKPOINT, t, pass), waits || s == TASK_RUNNING ? "pause" : "-");
      assert_string_equal(wanted(JOB_WISH_CANCEL, t, pass), final || s == TASK_CANCELING ? "-" : "cancel");
      assert_string_equal(wanted(JOB_WISH_RESUME, t, pass), pass && (s == TASK_PAUSED || s == TASK_PAUSING) ? "run" : "-");
      assert_string_equal(wanted(JOB_WISH_RETRY, t, pass), pass && final && s != TASK_SUCCESS ? "run" : "-");
      assert_string_equal(wanted(JOB_WISH_DELETE, t, pass), "delete");
    }
  }
}

/* ---- deletion ---- */

static void who_may_be_deleted(void **st) {
  (void)st;
  for (int c = 0; c < COLUMNS; c++) {
    bool lives = c < 4;
    struct job j = column[c], was = j, forced = j;
    assert_int_equal(job_delete(&j, 0), lives ? ASK_BUSY : ASK_OK);
    if (lives) assert_memory_equal(&j, &was, sizeof j);
    else assert_true(j.state == JOB_DELETING && j.pass && j.closed);
    assert_int_equal(job_delete(&forced, JOB_FORCE), ASK_OK);
    assert_true(forced.state == JOB_DELETING && forced.pass && forced.closed && forced.how == JOB_FORCE);
  }
  struct job none = {.state = JOB_RUNNING}, again = column[5];
  assert_int_equal(job_delete(&none, 0), ASK_OK);
  assert_true(job_empty(&none) && none.pass);
  again.wish = JOB_WISH_RETRY, again.state = JOB_RUNNING;
  assert_int_equal(job_delete(&again, 0), ASK_BUSY); /* its tasks are about to run */
}

static void the_same_call_goes_on(void **st) {
  (void)st;
  struct job j = column[4];
  assert_int_equal(job_delete(&j, 0), ASK_OK);
  j.pass_at = 5;
  assert_int_equal(job_delete(&j, 0), ASK_SAME); /* the pass is under way */
  assert_int_equal(j.pass_at, 5);
  assert_int_equal(job_delete(&j, JOB_NO_CLEAN_UP), ASK_OK); /* and begins anew when it is to go otherwise */
  assert_int_equal(j.pass_at, 0);
  job_pass_over(&j);
  j.how = 0;
  job_moved(&j, JOB_OK, JOB_BUSY); /* a clean-up */
  assert_int_equal(job_delete(&j, 0), ASK_SAME);
  assert_int_equal(job_delete(&j, JOB_FORCE), ASK_SAME);
  assert_false(job_stuck(&j));
  job_moved(&j, JOB_BUSY, JOB_BAD); /* has failed */
  assert_true(job_stuck(&j));
  assert_int_equal(job_delete(&j, 0), ASK_OK);
  assert_true(j.pass && !job_stuck(&j));
  job_pass_over(&j);
  job_moved(&j, JOB_BAD, JOB_NONE);
  job_decide(&j);
  assert_true(job_empty(&j) && job_stuck(&j) && j.pass && j.state == JOB_DELETING);
  assert_int_equal(job_delete(&j, JOB_FORCE), ASK_SAME);
}

/* r: left alone; d: deleted. Of a clean-up that waits, one that runs, and one that has failed. */
static void clean_ups_obey(void **st) {
  (void)st;
  static const struct task t[3] = {{.state = TASK_QUEUED, .phase = PHASE_DELETE}, {.state = TASK_RUNNING, .phase = PHASE_DELETE, .owner = 7},
                                   {.state = TASK_FAILED, .phase = PHASE_DELETE}};
  static const char *const cell[4] = {"rrd", "rrd", "drd", "ddd"};
  for (uint8_t how = 0; how < 4; how++)
    for (int i = 0; i < 3; i++) {
      const struct job j = {.wish = JOB_WISH_DELETE, .state = JOB_DELETING, .how = how};
      enum ask ask = ASK_RUN;
      assert_false(job_wants(&j, &t[i], false, &ask)); /* an event of its own leaves it alone */
      assert_int_equal(job_wants(&j, &t[i], true, &ask), cell[how][i] == 'd');
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(classes), cmocka_unit_test(state_follows), cmocka_unit_test(moves),
    cmocka_unit_test(every_cell), cmocka_unit_test(nothing_to_carry_out), cmocka_unit_test(tasks_obey),
    cmocka_unit_test(who_may_be_deleted), cmocka_unit_test(the_same_call_goes_on), cmocka_unit_test(clean_ups_obey)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
