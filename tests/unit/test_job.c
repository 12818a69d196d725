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

/* ---- the flow above a tree ---- */

static struct job tree(enum job_wish wish, uint8_t how, bool pass) {
  struct job j = {.state = JOB_RUNNING, .wish = (uint8_t)wish, .how = how, .pass = pass, .count[JOB_BUSY] = 1};
  job_decide(&j);
  return j;
}

/* A head that had this wish, when its flow is RUNNING (R), paused (S) or paused with `checkpoint` (C). */
static void a_tree_follows_its_flow(void **st) {
  (void)st;
  enum { F = JOB_OF_FLOW, ALL = JOB_OF_FLOW | JOB_FLOW_ALL };
  static const struct { enum job_wish wish; uint8_t how; bool pass; char flow; enum job_wish to; uint8_t to_how; } cell[] = {
    {JOB_WISH_NONE, 0, false, 'R', JOB_WISH_NONE, 0}, {JOB_WISH_NONE, 0, false, 'S', JOB_WISH_PAUSE, F},
    {JOB_WISH_NONE, 0, false, 'C', JOB_WISH_CHECKPOINT, F},
    {JOB_WISH_PAUSE, F, true, 'R', JOB_WISH_RESUME, F}, {JOB_WISH_PAUSE, F, true, 'S', JOB_WISH_PAUSE, F},
    {JOB_WISH_PAUSE, F, true, 'C', JOB_WISH_CHECKPOINT, F}, {JOB_WISH_CHECKPOINT, F, true, 'S', JOB_WISH_CHECKPOINT, F},
    {JOB_WISH_CHECKPOINT, F, true, 'R', JOB_WISH_RESUME, F}, {JOB_WISH_RESUME, F, true, 'S', JOB_WISH_PAUSE, F},
    {JOB_WISH_CHECKPOINT, 0, true, 'R', JOB_WISH_CHECKPOINT, 0}, {JOB_WISH_CHECKPOINT, 0, true, 'S', JOB_WISH_CHECKPOINT, 0},
    {JOB_WISH_RESUME, 0, true, 'S', JOB_WISH_PAUSE, ALL}, {JOB_WISH_PAUSE, ALL, true, 'C', JOB_WISH_CHECKPOINT, ALL},
    {JOB_WISH_PAUSE, ALL, true, 'R', JOB_WISH_RESUME, 0}, {JOB_WISH_CANCEL, 0, true, 'S', JOB_WISH_CANCEL, 0},
    {JOB_WISH_DELETE, JOB_FORCE, true, 'S', JOB_WISH_DELETE, JOB_FORCE}};
  for (size_t i = 0; i < sizeof cell / sizeof *cell; i++) {
    struct job j = tree(cell[i].wish, cell[i].how, cell[i].pass);
    bool changed = job_follow_flow(&j, cell[i].flow != 'R', cell[i].flow == 'C');
    assert_int_equal(j.wish, cell[i].to);
    assert_int_equal(j.how, cell[i].to_how);
    assert_int_equal(changed, cell[i].wish != cell[i].to || cell[i].how != cell[i].to_how);
    if (changed) assert_true(j.pass && j.pass_at == 0);
  }
}

/* Its pass stays, so that the end of the pause is found in the rows; users' own wishes make it theirs. */
static void the_pause_of_a_flow_stays_until_it_ends(void **st) {
  (void)st;
  struct job j = tree(JOB_WISH_NONE, 0, false);
  assert_true(job_follow_flow(&j, true, false));
  job_pass_over(&j);
  assert_true(j.pass && job_pass_waits(&j));
  assert_int_equal(job_asked(&j, JOB_ASK_RESUME), ASK_SAME);
  assert_int_equal(j.state, JOB_PAUSED);
  struct job users = j, run = j, canceled = j;
  assert_int_equal(job_asked(&users, JOB_ASK_CHECKPOINT), ASK_OK);
  assert_int_equal(users.how, 0);
  assert_false(job_follow_flow(&users, false, false));
  job_run_below(&run, true);
  assert_int_equal(run.wish, JOB_WISH_PAUSE);
  assert_true(job_follow_flow(&run, false, false) && run.how == 0);
  assert_int_equal(job_asked(&canceled, JOB_ASK_CANCEL), ASK_OK);
  assert_int_equal(canceled.how, 0);
  assert_true(job_follow_flow(&j, false, false));
  job_pass_over(&j);
  assert_int_equal(j.wish, JOB_WISH_NONE);
  assert_int_equal(j.how, 0);
  assert_false(j.pass);
}

/* A pass that moves goes on beside any other wish, and ends with the pass. */
static void a_move_goes_over_all_below(void **st) {
  (void)st;
  const uint8_t moves = JOB_MOVE_GROUP | JOB_MOVE_PRIORITY;
  struct job j = tree(JOB_WISH_NONE, 0, false), held = tree(JOB_WISH_NONE, 0, false), gone = tree(JOB_WISH_DELETE, JOB_FORCE, true), none = {.state = JOB_RUNNING};
  job_move_below(&j, moves);
  assert_true(j.pass && j.pass_at == 0 && j.how == moves && j.wish == JOB_WISH_NONE);
  j.pass_at = 5;
  assert_int_equal(job_asked(&j, JOB_ASK_CHECKPOINT), ASK_OK); /* it begins anew, with both */
  assert_true(j.pass_at == 0 && j.how == moves && j.wish == JOB_WISH_CHECKPOINT);
  job_move_below(&j, JOB_MOVE_USER);
  assert_int_equal(j.how, moves | JOB_MOVE_USER);
  job_run_below(&j, false);
  assert_true(j.wish == JOB_WISH_RESUME && j.how == (moves | JOB_MOVE_USER));
  job_pass_over(&j);
  assert_true(!j.pass && j.how == 0 && j.wish == JOB_WISH_NONE);
  assert_true(job_follow_flow(&held, true, false));
  job_pass_over(&held);
  job_move_below(&held, moves);
  assert_false(job_pass_waits(&held));
  job_pass_over(&held);
  assert_true(job_pass_waits(&held) && held.how == JOB_OF_FLOW);
  job_move_below(&gone, moves);
  job_move_below(&none, moves);
  assert_true(gone.how == JOB_FORCE && none.how == 0 && !none.pass);
}

/* What each task is told; '-': nothing. */
static void tasks_follow_the_flow(void **st) {
  (void)st;
  static const struct { struct task t; char soft, hard, on; } cell[] = {
    {{.state = TASK_QUEUED}, 'h', 'c', 'u'}, {{.state = TASK_RETRY_WAIT}, 'h', 'c', '-'}, {{.state = TASK_RUNNING}, '-', 'c', '-'},
    {{.state = TASK_CREATED}, '-', '-', '-'}, {{.state = TASK_BLOCKED}, '-', '-', '-'}, {{.state = TASK_PAUSED}, '-', '-', '-'},
    {{.state = TASK_BLOCKED, .end_as = TASK_QUEUED}, '-', '-', 'u'}, {{.state = TASK_BLOCKED, .end_as = TASK_RETRY_WAIT}, '-', '-', 'u'},
    {{.state = TASK_PAUSED, .resume = RESUME_FLOW}, '-', '-', 'u'}, {{.state = TASK_PAUSING, .resume = RESUME_FLOW}, '-', '-', 'u'},
    {{.state = TASK_PAUSING}, '-', '-', '-'}, {{.state = TASK_CANCELING}, '-', '-', '-'}, {{.state = TASK_SUCCESS}, '-', '-', '-'},
    {{.state = TASK_QUEUED, .phase = PHASE_ANALYSE}, '-', '-', 'u'}, {{.state = TASK_CREATED, .phase = PHASE_CHILDREN}, '-', '-', '-'},
    {{.state = TASK_QUEUED, .phase = PHASE_DELETE}, '-', '-', '-'}};
  for (size_t i = 0; i < sizeof cell / sizeof *cell; i++) {
    const enum job_wish wish[] = {JOB_WISH_PAUSE, JOB_WISH_CHECKPOINT, JOB_WISH_RESUME};
    const char to[] = {cell[i].soft, cell[i].hard, cell[i].on};
    for (int k = 0; k < 3; k++) {
      struct job j = tree(wish[k], JOB_OF_FLOW, true);
      enum task_ev ev;
      enum ask ask;
      bool told = job_flow_wants(&j, &cell[i].t, true, &ev);
      assert_int_equal(told ? ev : TASK_EV__N, to[k] == 'h' ? TASK_EV_HOLD : to[k] == 'c' ? TASK_EV_CHECKPOINT : to[k] == 'u' ? TASK_EV_TAKE_UP : TASK_EV__N);
      assert_false(job_wants(&j, &cell[i].t, true, &ask));
    }
  }
}

/* ---- a wish while the pass of another is under way ---- */

/* What stands in the row after the second of two wishes, when the pass of the first has come to task 7. */
static void pairs_of_wishes(void **st) {
  (void)st;
  static const struct { enum job_wish wish; uint8_t how; enum job_ask ask; enum ask_no no; enum job_wish to; uint8_t to_how; int64_t at; } cell[] = {
    {JOB_WISH_RETRY, 0, JOB_ASK_RETRY, ASK_OK, JOB_WISH_RETRY, JOB_AGAIN, 7},
    {JOB_WISH_RETRY, JOB_AGAIN, JOB_ASK_RETRY, ASK_SAME, JOB_WISH_RETRY, JOB_AGAIN, 7},
    {JOB_WISH_RETRY, 0, JOB_ASK_PAUSE, ASK_OK, JOB_WISH_PAUSE, JOB_RETRIES, 7},
    {JOB_WISH_RETRY, JOB_AGAIN, JOB_ASK_CHECKPOINT, ASK_OK, JOB_WISH_CHECKPOINT, JOB_RETRIES | JOB_AGAIN, 7},
    {JOB_WISH_RETRY, 0, JOB_ASK_RESUME, ASK_SAME, JOB_WISH_RETRY, 0, 7},
    {JOB_WISH_RETRY, JOB_AGAIN, JOB_ASK_CANCEL, ASK_OK, JOB_WISH_CANCEL, 0, 0},
    {JOB_WISH_RESUME, 0, JOB_ASK_RETRY, ASK_OK, JOB_WISH_RESUME, JOB_RETRIES, 0},
    {JOB_WISH_RESUME, 0, JOB_ASK_PAUSE, ASK_OK, JOB_WISH_PAUSE, 0, 0},
    {JOB_WISH_RESUME, 0, JOB_ASK_CHECKPOINT, ASK_OK, JOB_WISH_CHECKPOINT, 0, 0},
    {JOB_WISH_RESUME, 0, JOB_ASK_RESUME, ASK_SAME, JOB_WISH_RESUME, 0, 7},
    {JOB_WISH_RESUME, 0, JOB_ASK_CANCEL, ASK_OK, JOB_WISH_CANCEL, 0, 0},
    {JOB_WISH_RESUME, JOB_RETRIES, JOB_ASK_RETRY, ASK_OK, JOB_WISH_RESUME, JOB_RETRIES | JOB_AGAIN, 7},
    {JOB_WISH_RESUME, JOB_RETRIES, JOB_ASK_PAUSE, ASK_OK, JOB_WISH_PAUSE, JOB_RETRIES, 7},
    {JOB_WISH_PAUSE, 0, JOB_ASK_PAUSE, ASK_SAME, JOB_WISH_PAUSE, 0, 7},
    {JOB_WISH_PAUSE, 0, JOB_ASK_CHECKPOINT, ASK_OK, JOB_WISH_CHECKPOINT, 0, 0},
    {JOB_WISH_PAUSE, 0, JOB_ASK_RESUME, ASK_OK, JOB_WISH_RESUME, 0, 0},
    {JOB_WISH_PAUSE, 0, JOB_ASK_RETRY, ASK_BUSY, JOB_WISH_PAUSE, 0, 7},
    {JOB_WISH_PAUSE, 0, JOB_ASK_CANCEL, ASK_OK, JOB_WISH_CANCEL, 0, 0},
    {JOB_WISH_PAUSE, JOB_RETRIES, JOB_ASK_CHECKPOINT, ASK_OK, JOB_WISH_CHECKPOINT, JOB_RETRIES, 7},
    {JOB_WISH_PAUSE, JOB_RETRIES, JOB_ASK_RESUME, ASK_OK, JOB_WISH_RESUME, JOB_RETRIES, 7},
    {JOB_WISH_PAUSE, JOB_RETRIES, JOB_ASK_RETRY, ASK_BUSY, JOB_WISH_PAUSE, JOB_RETRIES, 7},
    {JOB_WISH_PAUSE, JOB_RETRIES, JOB_ASK_CANCEL, ASK_OK, JOB_WISH_CANCEL, 0, 0},
    {JOB_WISH_CHECKPOINT, 0, JOB_ASK_PAUSE, ASK_SAME, JOB_WISH_CHECKPOINT, 0, 7},
    {JOB_WISH_CANCEL, 0, JOB_ASK_CANCEL, ASK_SAME, JOB_WISH_CANCEL, 0, 7},
    {JOB_WISH_CANCEL, 0, JOB_ASK_RETRY, ASK_BUSY, JOB_WISH_CANCEL, 0, 7},
    {JOB_WISH_CANCEL, 0, JOB_ASK_PAUSE, ASK_BUSY, JOB_WISH_CANCEL, 0, 7}};
  for (size_t i = 0; i < sizeof cell / sizeof *cell; i++) {
    struct job j = {.wish = (uint8_t)cell[i].wish, .how = cell[i].how, .pass = true, .pass_at = 7, .count = {[JOB_BUSY] = 9, [JOB_BAD] = 1}}, all = j;
    assert_int_equal(job_asked(&j, cell[i].ask), cell[i].no);
    assert_int_equal(j.wish, cell[i].to);
    assert_int_equal(j.how, cell[i].to_how);
    assert_int_equal(j.pass_at, cell[i].at);
    assert_true(j.pass);
    assert_int_equal(job_delete(&all, JOB_FORCE), ASK_OK);
    assert_true(all.how == JOB_FORCE && all.pass_at == 0);
  }
}

enum { TASKS = 4 };
struct model { struct job j; struct task t[TASKS]; int runs[TASKS]; };

static struct model begin(void) {
  struct model m = {.j = {.state = JOB_RUNNING, .closed = 1}};
  static const enum task_state first[TASKS] = {TASK_FAILED, TASK_QUEUED, TASK_CANCELED, TASK_FAILED};
  for (int i = 0; i < TASKS; i++) {
    m.t[i].state = (uint8_t)first[i];
    job_moved(&m.j, JOB_NONE, job_class(&m.t[i]));
  }
  return m;
}

/* A slice of one task; behind the last the pass is over. */
static void slice(struct model *m) {
  int64_t at = m->j.pass_at;
  enum ask ask;
  if (!m->j.pass) return;
  if (at == TASKS) { job_pass_over(&m->j); job_decide(&m->j); return; }
  struct task *t = &m->t[at], was = *t;
  if (job_wants(&m->j, t, true, &ask)) {
    m->runs[at] += task_final(t->state) && ask == ASK_RUN;
    t->state = ask == ASK_RUN ? TASK_QUEUED : ask == ASK_PAUSE ? TASK_PAUSED : TASK_CANCELED;
    job_moved(&m->j, job_class(&was), job_class(t));
  }
  m->j.pass_at = at + 1;
  job_decide(&m->j);
}

/* Each three wishes, with any number of slices between them: what was acknowledged is done when the pass is over. */
static void no_wish_is_lost(void **st) {
  (void)st;
  enum { GAPS = TASKS + 3, ASKS = JOB_ASK__N * JOB_ASK__N * JOB_ASK__N };
  for (int i = 0; i < ASKS * GAPS * GAPS; i++) {
    const enum job_ask ask[3] = {(enum job_ask)(i % JOB_ASK__N), (enum job_ask)(i / JOB_ASK__N % JOB_ASK__N),
                                 (enum job_ask)(i / JOB_ASK__N / JOB_ASK__N % JOB_ASK__N)};
    const int gap[3] = {i / ASKS % GAPS, i / ASKS / GAPS, 100};
    struct model m = begin();
    bool must[TASKS] = {false}, canceled = false;
    for (int k = 0; k < 3; k++) {
      bool ok = job_asked(&m.j, ask[k]) == ASK_OK;
      canceled |= ok && ask[k] == JOB_ASK_CANCEL;
      for (int t = 0; t < TASKS; t++) must[t] = ok && ask[k] == JOB_ASK_CANCEL ? false : must[t] || (ok && ask[k] == JOB_ASK_RETRY && task_final(m.t[t].state));
      for (int n = 0; n < gap[k]; n++) slice(&m);
    }
    assert_false(m.j.pass);
    for (int t = 0; t < TASKS; t++) {
      if (!canceled) assert_int_equal(m.runs[t], must[t]);
      if (m.j.state == JOB_RUNNING) assert_int_not_equal(m.t[t].state, TASK_PAUSED);
      if (m.j.state == JOB_PAUSED) assert_int_not_equal(m.t[t].state, TASK_QUEUED);
      if (must[t]) assert_false(task_final(m.t[t].state));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(classes), cmocka_unit_test(state_follows), cmocka_unit_test(moves),
    cmocka_unit_test(every_cell), cmocka_unit_test(nothing_to_carry_out), cmocka_unit_test(tasks_obey),
    cmocka_unit_test(who_may_be_deleted), cmocka_unit_test(the_same_call_goes_on), cmocka_unit_test(clean_ups_obey), cmocka_unit_test(a_tree_follows_its_flow),
    cmocka_unit_test(the_pause_of_a_flow_stays_until_it_ends), cmocka_unit_test(tasks_follow_the_flow), cmocka_unit_test(a_move_goes_over_all_below),
    cmocka_unit_test(pairs_of_wishes), cmocka_unit_test(no_wish_is_lost)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
