/* What users ask of a task (run, pause, cancel, delete, queue), and what each state answers: one table of wish x shown state.
 * Pure; owns nothing; any thread. docs/explanation/protocol.md has the table, ask.c is it, tests/unit/test_ask.c has it once more
 * by hand. What never happens: a state from which no sequence of wishes and reports leads to a final state or to GONE.
 *
 * How a deletion goes, by the facts of the row:
 *
 *   phase DELETE, CANCELING, end_as QUEUED      the attempt that ran is being stopped; then the clean-up comes, or GONE
 *   phase DELETE, CANCELING, end_as FAILED      the same, and a user cancelled the deletion meanwhile: DELETE_FAILED
 *   phase DELETE, QUEUED | RUNNING | RETRY_WAIT the clean-up waits, runs, or has answered "not now"
 *   phase DELETE, CANCELING, end_as CANCELED    the clean-up is being stopped, because a user cancelled it: DELETE_FAILED
 *   phase DELETE, CANCELING, end_as TIMEOUT     the clean-up is being stopped, because its time is over: DELETE_FAILED
 *   phase DELETE, CREATED                       what it added goes first; then the clean-up comes, or GONE
 *   phase DELETE, FAILED                        DELETE_FAILED, until it is deleted again
 *
 * losses and again count anew in the clean-up. A clean-up that fails is not tried again by itself; one that is lost is, until the
 * third loss; one that a planned stop hands back is, always. */
#ifndef CORE_ASK_H
#define CORE_ASK_H
#include "task.h"

enum ask { ASK_RUN, ASK_PAUSE, ASK_CANCEL, ASK_DELETE, ASK_QUEUE, ASK__N };
const char *ask_name(enum ask a);   /* "run" */

/* The answer. OK and SAME are 200, with changed true and false. */
enum ask_no {
  ASK_OK,
  ASK_SAME,           /* nothing changes for the user; a bit may still say that the owner is told again, or that a mark changed */
  ASK_BUSY,           /* 40916 BUSY_STATE */
  ASK_FINISHED,       /* 40913 ALREADY_FINISHED */
  ASK_NOT_RETRYABLE,  /* 40912 */
  ASK_OF_A_FLOW       /* 40917: the node has to be run again, or its flow deleted */
};

struct task_wish {
  enum ask ask;
  int64_t now_us;
  uint8_t below;      /* DELETE: tasks that it added are there; they go first */
  uint8_t force;      /* DELETE of one that is DELETING or DELETE_FAILED: no clean-up, it is gone. No effect in other states */
  /* Of a task of a node. Set by run_step(); a stand-alone task may always run. */
  uint8_t of_node;
  uint8_t may_retry;   /* RUN in RETRY_WAIT: 0 = no further try */
  uint8_t may_requeue; /* RUN: 0 = the flow is being cancelled; ASK_BUSY */
};

/* Applies w; returns a set of enum task_out (0 = nothing to do), and *no says what the answer is. When *no is beyond ASK_SAME,
 * nothing changed. ASK_QUEUE changes nothing in struct task: CHANGED, since the row is the lock of what changes beside it, and
 * REQUEUED in QUEUED, since its hint may belong to another queue now. */
unsigned task_ask(struct task *t, const struct task_wish *w, const struct task_policy *pol, enum ask_no *no);
#endif
