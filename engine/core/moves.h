/* Moves of a task from state to state, shared by task.c, ask.c and delete.c. Each returns the outcome bits. Private to core. */
#ifndef CORE_MOVES_H
#define CORE_MOVES_H
#include "task.h"

struct step { struct task *t; const struct task_event *ev; const struct task_policy *pol; };
typedef unsigned (*task_fn)(const struct step *);

unsigned move_end(struct task *t, enum task_state s);
unsigned move_claim(const struct step *s);
unsigned move_queue(struct task *t, const struct task_policy *pol, int64_t now_us);
unsigned move_stop(struct task *t, enum task_state end_as);            /* CANCELING */
unsigned move_pause(struct task *t);                                   /* to PAUSED, with no attempt */
unsigned move_pausing(struct task *t, enum task_resume resume);
unsigned move_not_now(const struct step *s);                           /* to RETRY_WAIT, counted in `again` */
unsigned move_try_failed(const struct step *s, enum task_state as);    /* another try, or the end */
unsigned move_retry_wait(struct task *t, int64_t due_us);

/* analyse.c: an attempt has ended as that, and its analyzer is asked; the events of phase ANALYSE; its texts, its facts. */
unsigned analyse_begin(struct task *t, enum task_state ended);
unsigned analyse_apply(const struct step *s);
const char *analyse_error(const struct task *t, const struct task *was, const char *text);   /* of one that was ANALYZING */
const char *analyse_fault(const struct task *t);
unsigned analyse_give_up(const struct task *t);   /* before a move: the bits for the owner of a call */

/* children.c: it waits for what it added; the events of phase CHILDREN; its texts, its facts. */
unsigned children_begin(struct task *t);
unsigned children_apply(const struct step *s);
const char *children_error(const struct task *t, const char *text);
const char *children_fault(const struct task *t);

/* delete.c: the events of phase DELETE, its texts, its facts. */
unsigned delete_apply(const struct step *s);
const char *delete_error(const struct task *t, const struct task *was, const char *text);   /* of one that has just failed */
const char *delete_fault(const struct task *t);
unsigned delete_begin(struct task *t, const struct task_policy *pol, int64_t now_us);   /* nothing runs: the clean-up, or GONE */
unsigned delete_stop(struct task *t);                                                    /* an attempt runs: it stops first */
unsigned delete_below(struct task *t);                                                   /* what it added goes first */
unsigned delete_gone(struct task *t);
#endif
