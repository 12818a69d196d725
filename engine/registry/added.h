/* Executors that were registered at run time (POST /executor), as a node keeps them: entries of its registry, each version one.
 *
 * Owner: the registry. Made by the cache of definitions from rows (exec_book.h); whether the node offers it is said by the node's
 * clerk, and doubted by the worker, at a start. Any thread.
 * What never happens: a text that changes; a version that becomes current again. */
#ifndef REGISTRY_ADDED_H
#define REGISTRY_ADDED_H
#include <pthread.h>
#include "registry.h"

struct analyzer;
enum added_mode { ADDED_PROGRAM, ADDED_URL, ADDED_REMOTE };
/* Where a file stood that was checked: another one, or one that was written to, has another mark. */
struct file_mark { uint64_t dev, ino, size; int64_t mtime_ns, ctime_ns; };
struct added {
  enum added_mode mode;
  char *type;
  char *location;                   /* JSON array of texts; NULL = none */
  char *config;                     /* JSON object, the defaults for taskConfig; NULL = none */
  char *labels;                     /* what a member must have to run it: labels.h; NULL = nothing */
  char *sha256;                     /* 64 hex digits; NULL = not said */
  struct analyzer *analyzer;        /* the default of its tasks, which the model reads; NULL = none */
  void (*analyzer_free)(struct analyzer *a);
  char *task_types;                 /* of an analyzer: types that its answers may add, "A\nB\n"; NULL = not said */
  size_t bytes;                     /* all of them */
  _Atomic bool offered;             /* this node runs its tasks now */
  _Atomic bool doubted;             /* a start has met a file that is not the one that was checked: to be checked again */
  pthread_mutex_t mu;               /* leaf; guards these two */
  bool marked;
  struct file_mark mark;            /* of the file whose sha256 was found right: written by the clerk, read at a start */
  const void *dirs;                 /* struct program_dirs of the node; NULL = it has none */
  void *http;                       /* its struct http, for those behind a URL; NULL = it has none */
  void (*doubt)(void *ctx);         /* wakes the clerk; any thread. NULL = there is none */
  void *ctx;
};
struct added *added_new(void);
void added_free(struct added *a);   /* NULL is fine */

/* Takes a, unless it fails. ops: of its mode; name, version and user are filled in. current: else no version is found as the
 * newest by this one. */
enum wr_rc registry_add_added(struct registry *r, const wx_ops *ops, struct added *a, int64_t version, bool current,
                              struct wr_err *err) WR_MUST;
/* Of the added versions of that name `keep` alone is not retired; 0 = all are. True: that is a change. */
bool registry_retire(struct registry *r, const char *name, int64_t keep);
/* The current ones: prev NULL = the first; NULL = no more. */
const struct executor *registry_next_added(const struct registry *r, const struct executor *prev);
bool registry_builtin(const struct registry *r, const char *name);   /* a type of this node that was not registered at run time */
#endif
