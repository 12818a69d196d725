/* The seam between the code that both SQL stores share and each database: a connection that runs statements of queries.h with
 * bound values, and a cursor over the rows of one statement. Private to engine/store.
 *
 * Shared code names a statement, binds values, and takes cells; it does not know which database answers. The cells of a row are
 * filled in at once, so a cell costs no call. One thread at a time uses a connection; only on SQLite may several cursors be open.
 *
 * What never happens: SQL built from data above this seam; a cell used after the next row; an error of a row taken for its end
 * (cursor_end() tells). */
#ifndef STORE_CURSOR_H
#define STORE_CURSOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "err.h"
#include "mem.h"
#include "queries.h"

#define CELLS_MAX 36      /* columns of a row, values of a statement: at most */
struct db;

/* ---- a value of a row ---- */
enum cell_kind { CELL_NULL, CELL_INT, CELL_TEXT };    /* CELL_INT: also a time, in microseconds since 1970 */
struct cell { enum cell_kind kind; const char *s; size_t n; int64_t i; };  /* s, n: of CELL_TEXT alone, any bytes */
int64_t cell_number(const struct cell *c);            /* of one that is not CELL_INT */
int64_t cell_time(const struct cell *c);
static inline int64_t cell_i64(const struct cell *c) { return c->kind == CELL_INT ? c->i : cell_number(c); }  /* 0 when NULL */
/* A number that is out of range becomes the greatest, and the code that loads the row refuses it. If it were cut to fit, it would
 * look like another number. */
static inline uint32_t fit_u32(int64_t v) { return (uint64_t)v > UINT32_MAX ? UINT32_MAX : (uint32_t)v; }
static inline uint8_t fit_u8(int64_t v) { return (uint64_t)v > UINT8_MAX ? UINT8_MAX : (uint8_t)v; }
static inline int32_t fit_i32(int64_t v) { return v < INT32_MIN || v > INT32_MAX ? INT32_MAX : (int32_t)v; }
static inline uint32_t cell_u32(const struct cell *c) { return fit_u32(cell_i64(c)); }
static inline uint8_t cell_u8(const struct cell *c) { return fit_u8(cell_i64(c)); }
static inline int64_t cell_us(const struct cell *c) { return c->kind == CELL_INT ? c->i : cell_time(c); }     /* 0 when NULL */
static inline bool cell_null(const struct cell *c) { return c->kind == CELL_NULL; }
static inline size_t cell_bytes(const struct cell *c) { return c->kind == CELL_TEXT ? c->n : 0; }
/* a: copies into it; NULL: borrowed until the next row. NULL when NULL. */
static inline const char *cell_text(const struct cell *c, struct arena *a) {
  return c->kind != CELL_TEXT ? NULL : a ? arena_memdup0(a, c->s, c->n) : c->s;
}

/* ---- a value to be bound: borrowed until the statement has run, of a cursor until its end ---- */
struct arg { char kind; int64_t i; const char *s; size_t n; };  /* kind: 'i'nteger, 'd'ate and time, 't'ext, 'b'ytes, 0 = NULL */
static inline struct arg arg_i(int64_t v) { return (struct arg){'i', v, 0, 0}; }
static inline struct arg arg_i0(int64_t v) { return (struct arg){v ? 'i' : 0, v, 0, 0}; }      /* 0 = NULL */
static inline struct arg arg_us(int64_t us) { return (struct arg){us ? 'd' : 0, us, 0, 0}; }   /* a time, 0 = NULL */
static inline struct arg arg_text(const char *s) { return (struct arg){s ? 't' : 0, 0, s, s ? strlen(s) : 0}; }
static inline struct arg arg_bytes(const void *p, size_t n) { return (struct arg){'b', 0, p, n}; }
#define ARGS(...) (struct arg[]){__VA_ARGS__}, sizeof((struct arg[]){__VA_ARGS__}) / sizeof(struct arg)

/* ---- rows ---- */
struct cursor {
  struct db *db;
  void *st;                       /* the backend's: what is under way, NULL = nothing (more) */
  const int64_t *id;              /* of db_select_ids(): the ids not asked for yet */
  size_t n_id;
  const char *sql;
  int err;                        /* the backend's number */
  struct cell cell[CELLS_MAX];    /* of the row that cursor_next() came to */
};

struct db_ops {
  void (*select)(struct db *db, struct cursor *c, enum query q, const struct arg *arg, size_t n);
  void (*select_ids)(struct db *db, struct cursor *c, enum query q, const int64_t *id, size_t n);
  bool (*next)(struct cursor *c);
  int (*done)(struct cursor *c);
  int (*run)(struct db *db, enum query q, const struct arg *arg, size_t n);
  enum wr_rc (*err)(struct db *db, int e, struct wr_err *err);
  enum wr_rc (*view)(struct db *db, bool on, struct wr_err *err);   /* NULL: there is none, or no need of one */
  int duplicate;                  /* run(): a row of that key is there */
};
struct db { const struct db_ops *ops; };  /* the first member of a backend's connection */

/* A failure here is reported by cursor_end(). ARGS(..) are ?1, ?2 .. of the statement. */
static inline void db_select(struct db *db, struct cursor *c, enum query q, const struct arg *arg, size_t n) {
  db->ops->select(db, c, q, arg, n);
}
/* Rows with any of n ids, in any order. An id has one row at most; an id that is given twice may bring its row twice. id:
 * borrowed until cursor_end(). */
static inline void db_select_ids(struct db *db, struct cursor *c, enum query q, const int64_t *id, size_t n) {
  db->ops->select_ids(db, c, q, id, n);
}
static inline bool cursor_next(struct cursor *c) { return c->db->ops->next(c); }
/* Ends the cursor. rc: the result of the work on its rows. Returns rc, or else the error that the rows met. */
enum wr_rc cursor_end(struct cursor *c, enum wr_rc rc, struct wr_err *err) WR_MUST;
/* The first column of the first row; *v stays when there is none. */
enum wr_rc db_int(struct db *db, enum query q, const struct arg *arg, size_t n, int64_t *v, struct wr_err *err) WR_MUST;
/* A statement without rows. */
enum wr_rc db_run(struct db *db, enum query q, const struct arg *arg, size_t n, struct wr_err *err) WR_MUST;
/* One view of the database for the statements between; rc: the result of the work done in it. */
enum wr_rc db_view(struct db *db, struct wr_err *err) WR_MUST;
enum wr_rc db_view_end(struct db *db, enum wr_rc rc, struct wr_err *err) WR_MUST;
#endif
