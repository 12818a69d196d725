/* The ids of a flow instance. Each run of the instance has a base: the ids of node 0 and task 0. Every other id is the base plus
 * an index. A node that was made wider when it started has a further range of task ids. All of this is stored as one text,
 *
 *     "ni:ti,ni:ti+node:n:ti"      a pair for each run, and behind it the ranges of that run: which node, how many, the first id
 *
 * and only bases.c reads or writes the text. Pure; any thread.
 *
 * What never happens: an id beyond WR_ID_MAX from a damaged text. */
#ifndef BASES_H
#define BASES_H
#include <stdbool.h>
#include <stdint.h>

struct buf;
struct run;
struct run_base { int64_t ni, ti; };      /* ids of node 0 and task 0 in that run; base[0] is run 1 */
struct run_wide {
  uint32_t node, n;
  uint32_t at;                            /* index of its first task in run.task */
  uint16_t base;                          /* the run it belongs to */
  int64_t ti;
};

void run_bases_text(const struct run *r, struct buf *out);
bool run_bases_parse(struct run *r, const char *s);   /* false when a part of the text is not of that form */
/* The next pair of a text; false at the end of the text, or where there is no pair. */
bool run_base_next(const char **p, struct run_base *b);
/* The next range of a text, of any run; false when no other follows. */
bool run_wide_next(const char **p, struct run_wide *w);
/* The run that has node instance ni, when each run has n nodes. The first task id of the run that has task instance ti. */
bool run_base_of_node(const char *bases, int64_t n, int64_t ni, struct run_base *out);
int64_t run_base_of_task(const char *bases, int64_t ti);   /* -1 = none begins at or before ti */
/* The range of node instance ni; false: its node did not grow. */
bool run_wide_of_node(const char *bases, int64_t n, int64_t ni, struct run_wide *out);
#endif
