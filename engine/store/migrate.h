/* Bringing a database to the schema of this program: the files of schema/, in the order of their numbers, each once. Every start
 * does this, and so does `weir db migrate`. migrate.c has the order, the refusals and every sentence; a store brings what only
 * the store knows (struct migrate_ops). One thread, before any other uses the store.
 *
 *   the database's schema            what happens
 *   none                             all files are applied
 *   older than the program's         those after it are applied, unless a node runs that could not work with the result
 *   the program's                    nothing
 *   newer, the program is not older  nothing: the program runs beside newer ones
 *     than its `oldest`
 *   newer, and the program is older  refused
 *
 * After a crash in the middle the next start goes on. SQLite: each of the two files (database, log) is changed in one
 * transaction. Both are looked at and begun before the first is changed, and are committed one after the other at the very end.
 * A server: each change commits by itself. So a statement either may be repeated, or its effect is looked for first
 * (schema/embed.py sees to it). The number is written last.
 *
 * A server: programs before the file's `oldest` are shut out before the first statement, so a half applied file cannot meet them.
 *
 * What never happens: a change of a database that is not ours; two processes that change one at once; a wait without an end. */
#ifndef MIGRATE_H
#define MIGRATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"

/* ---- the files, made into C by schema/embed.py ---- */
/* done: a query; if its answer is not 0, the step is not needed any more. NULL = none. */
struct schema_step { const char *sql, *done; };
/* oldest: a program whose newest schema is `oldest` or later may run on the database afterwards; 0: `version` or later. */
struct schema_file { const char *name; int64_t version, oldest; const struct schema_step *step; size_t n; };
struct schema_set { const struct schema_file *file; size_t n; };
extern const struct schema_set schema_sqlite, schema_sqlite_log, schema_mysql;
#define SCHEMA_BESIDE 4  /* programs before it start on no schema but their own */
static inline int64_t schema_newest(const struct schema_set *s) { return s->file[s->n - 1].version; }

/* ---- who looks on ---- */
enum migrate_how { MIGRATE_APPLY, MIGRATE_LOOK };  /* LOOK: says what would be done, changes nothing */
enum migrate_event {
  MIGRATE_FOUND,    /* first: the schema of a database */
  MIGRATE_FILE,     /* file is going to be applied, or would be */
  MIGRATE_STEP,     /* statement `step` of the file was executed or is not needed; step = file->n: the number is written */
  MIGRATE_DONE      /* last: the database has the schema `to` */
};
struct migrate_told {
  enum migrate_event event;
  const char *db;               /* the path of a file; "The database" of a server */
  int64_t from, to;             /* from: the schema that was found, 0 = none; to: the schema of this program */
  int64_t starts;               /* a program of this schema or a later one can start on the database afterwards */
  const struct schema_file *file;
  size_t step;
};
typedef void migrate_tell_fn(void *ctx, const struct migrate_told *t);
struct migrate_watch {
  enum migrate_how how;
  migrate_tell_fn *tell;        /* NULL: nobody is told */
  void *ctx;
  bool (*stopping)(void *ctx);  /* as in store_opts */
  void *stopping_ctx;
};

/* Does with the schema what a start does, without a start. NOT_FOUND: there is no such SQLite file, and none is made. */
struct store_opts;
enum wr_rc store_migrate(const struct store_opts *o, const struct migrate_watch *w, struct wr_err *err) WR_MUST;

/* ---- what a store brings ---- */
struct migrate_db;
/* version 0: there is no schema yet, or its first file is half done. oldest 0: the database says none. */
struct schema_now { int64_t version, oldest; };
typedef enum wr_rc migrate_node_fn(struct migrate_db *, int64_t version, int64_t oldest, char out[64], struct wr_err *err);
struct migrate_ops {
  /* Refuses a database of another program. */
  enum wr_rc (*now)(struct migrate_db *, struct schema_now *out, struct wr_err *err);
  /* Nobody else changes the schema from here on, until end(). */
  enum wr_rc (*begin)(struct migrate_db *, struct wr_err *err);
  enum wr_rc (*step)(struct migrate_db *, const struct schema_step *, struct wr_err *err);
  enum wr_rc (*number)(struct migrate_db *, const struct schema_file *, struct wr_err *err);  /* writes that it was applied */
  /* When several change together: writes all that can be written before the commit, so that a full disk shows before the first
   * commit. */
  enum wr_rc (*ready)(struct migrate_db *, struct wr_err *err);
  /* Commits when rc is OK, if there is something to commit; returns the outcome. */
  enum wr_rc (*end)(struct migrate_db *, enum wr_rc rc, struct wr_err *err);
  /* Writes host and pid of a live node whose program is older than `oldest`; "" = there is none. Both members are NULL where no
   * other node can exist. */
  migrate_node_fn *old_node;
  /* The same after begin(). If there is no such node, no such program can join from here on, or go on where it was frozen. */
  migrate_node_fn *shut_out;
};
struct migrate_db {
  const struct migrate_ops *ops;
  const struct schema_set *set;
  const char *name;             /* as in migrate_told.db */
  const struct migrate_watch *watch;
  struct schema_now found;      /* migrate_up() fills it */
};
/* Changes n databases together. The last is committed first. So the one that matters most must be the first: a kill between two
 * commits leaves it as it was. */
enum { MIGRATE_TOGETHER = 2 };
enum wr_rc migrate_up(struct migrate_db *const *db, size_t n, struct wr_err *err) WR_MUST;
/* Between two steps, two tries: OK, or the sentence for a process that is to stop. */
enum wr_rc migrate_may_go_on(const struct migrate_db *db, struct wr_err *err) WR_MUST;
/* The sentence for a database of another program. */
enum wr_rc migrate_foreign(const struct migrate_db *db, struct wr_err *err) WR_MUST;
#endif
