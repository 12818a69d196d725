/* What the tasks of a followed node do: attempts that ended and their pauses, what they print, the end of a failed task's log.
 *
 * Main thread; owned by follow.c, which says when to look. What never happens: a task is read when its node has not
 * started, or again once all of it was told. */
#ifndef CLI_STEPS_H
#define CLI_STEPS_H
#include "def.h"
#include "store.h"

struct follow;
struct step {                     /* one task of a node */
  int64_t ti;
  uint32_t told;                  /* attempts up to this one were told */
  uint32_t epoch;                 /* the attempt whose log is shown, 0 = none so far */
  int64_t at;                     /* how much of that log was shown */
  bool tail;                      /* the end of its log was shown */
};
/* Looks at the tasks of node i: tells attempts that ended, and with f->logs what was printed since. */
enum wr_rc steps_look(struct follow *f, struct reader *r, uint32_t i, struct wr_err *err) WR_MUST;
/* Shows the last lines of the log of each failed task of node i, once; not when logs are shown anyway. */
enum wr_rc steps_tail(struct follow *f, struct reader *r, uint32_t i, struct wr_err *err) WR_MUST;
/* At most n of the last bytes of a task's log, cut at the front to whole characters; *cut: there was more. */
enum wr_rc steps_log_end(struct reader *r, const struct task_row *row, size_t n, struct buf *out, bool *cut,
                         struct wr_err *err) WR_MUST;
void steps_done(struct follow *f, uint32_t i);
#endif
