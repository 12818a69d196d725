/* What a person sees of one flow instance while it runs: read from the store, shown as lines or as a tree.
 *
 * Main thread. The caller says when to look; nothing here polls. follow_look() costs O(nodes), so it says when the
 * next look may come: never more than a tenth of the time goes into looking. */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H
#include <stdbool.h>
#include <stdio.h>
#include "def.h"
#include "mem.h"
#include "steps.h"
#include "store.h"

struct follow_node {
  uint8_t state, shown;           /* enum node_state: as read, as last printed */
  bool settled;                   /* the node and its tasks have ended, and all of that was told */
  uint32_t depth;                 /* longest way from a root */
  int64_t ni, start_us, end_us, create_us, update_us;
  uint32_t run_no, t_ok, t_bad, t_open, t_canceled;
  uint32_t told_bad;              /* failed tasks as last printed */
  uint32_t attempts;              /* attempts of one of its tasks that ended and were followed by another */
  int64_t retry_us;               /* when one of its tasks is tried again, 0 = no task waits */
  char *error;                    /* NULL = none */
  struct step *step; size_t n_step;   /* its tasks, once they were looked at */
};
static inline uint32_t follow_failed(const struct follow_node *n) { return n->t_bad - n->t_canceled; }
enum follow_style { FOLLOW_LINES, FOLLOW_TREE };
struct follow {
  struct store *store;
  const struct flow_def *flow;    /* borrowed */
  int64_t fi;
  FILE *to;
  enum follow_style style;
  bool colour;
  bool logs;                      /* show what steps print; lines only */
  uint32_t tails, untold;         /* failed tasks: logs that were shown; logs that were not, because there were too many */
  struct drawn { uint16_t *width; size_t n, cap; } drawn;  /* lines of the tree on the screen now, and how wide they are */
  struct follow_node *node;       /* by place in flow->node */
  uint32_t count[NODE__N];
  /* of the flow instance */
  uint8_t state;
  int64_t start_us, end_us, create_us, update_us;
  char *error, *bases;
  int64_t next_us;                /* monotonic: no look before this */
};
void follow_init(struct follow *f, struct store *s, const struct flow_def *flow, int64_t fi);
/* Reads, and shows what changed. */
enum wr_rc follow_look(struct follow *f, struct wr_err *err) WR_MUST;
void follow_tick(struct follow *f);  /* when only time has passed: redraws a tree */
/* After the last look: the tree as a whole, and the logs of what failed. */
enum wr_rc follow_end(struct follow *f, struct wr_err *err) WR_MUST;
/* For a run that has ended, without any look before: the lines of the nodes that failed, and the ends of their logs. */
enum wr_rc follow_failures(struct follow *f, struct reader *r, struct wr_err *err) WR_MUST;
void follow_done(struct follow *f);
/* tree.c */
bool tree_possible(FILE *to);        /* a terminal that can move its cursor */
void tree_draw(struct follow *f, bool whole);
/* Writes user text within one line: control characters, line ends included, become blanks. */
void follow_text(FILE *to, const char *text, size_t n);
#endif
