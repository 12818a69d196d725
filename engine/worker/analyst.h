/* The threads that read, think and parse for analyses: what was stored of an attempt, the built-in analyzers, the answers of the
 * others. None of this may hold up the loop: a pattern may take two seconds, an answer may have 10,000 tasks. Patterns have a
 * thread of their own, so that they hold up nothing but patterns, and in both threads users take turns: who has many slow ones
 * waits for them alone. An answer that has come goes before what was not read yet.
 *
 * A look is one analysis under way. The loop makes it, posts it, and leaves it; in between exactly one side works on it. The
 * loop reads and changes it while it is ready; after look_leave() the loop has none.
 *
 * Memory: looks whose evidence was read hold LIMIT_ANALYSIS_FLIGHT_BYTES together, and the next one waits; each thread
 * reads one result, or parses one answer, at a time.
 * What never happens: a call of the loop that waits; a look whose attempt has ended and that wakes it; an answer that is parsed
 * twice at once. */
#ifndef WORKER_ANALYST_H
#define WORKER_ANALYST_H
#include <stdbool.h>
#include "analysis.h"
#include "mem.h"
#include "registry.h"

struct worker;
struct http_call;
struct analyst;

enum { LOOK_WHY = 256 };
enum look_step { LOOK_EVIDENCE, LOOK_ANSWER };
/* AWAY: the store does not answer, or there is not the memory: post it again, later. ASK: `by` is to be called with `request`. */
enum look_says { LOOK_AWAY, LOOK_VERDICT, LOOK_ASK, LOOK_FAIL, LOOK_FATAL };
struct look {
  struct look *next;
  struct wx_exec *x;                /* under the analyst's lock; NULL = left */
  bool busy;                        /* the same: it is the analyst's */
  enum look_step step;
  /* fixed: */
  int64_t ti;
  struct task_def *def;             /* a reference */
  const struct analyzer *analyzer;
  char *user;                       /* whose turn it is */
  uint64_t turn;                    /* under the analyst's lock */
  uint32_t attempt;                 /* epoch of what is looked at */
  bool failed;
  char *task;                       /* JSON: the task, as its executor would get it */
  /* an answer, owned; one of them */
  struct http_call *call;
  char *text; size_t n;
  /* out: */
  enum look_says says;
  const struct executor *by;        /* an entry of the registry of analyzers */
  struct buf request;
  struct verdict verdict;
  bool final;                       /* as in struct analysis */
  size_t answer_bytes;              /* of the text that the verdict was made of */
  char why[LOOK_WHY];
  size_t counted;
};

struct analyst *analyst_new(struct worker *w);
void analyst_free(struct analyst *a);     /* nobody has a look any more. NULL is fine */
struct look *look_new(struct look with, struct wx_exec *x);   /* takes what it points to */
/* False: no thread can be made. */
bool look_post(struct analyst *a, struct look *l, enum look_step step);
bool look_ready(struct analyst *a, struct look *l);
void look_leave(struct analyst *a, struct look *l);   /* NULL is fine */
#endif
