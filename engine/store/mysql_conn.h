/* Connections, their errors, and statements on them: what every file of the MySQL store works with. Private to
 * engine/store/mysql*.c. */
#ifndef MYSQL_CONN_H
#define MYSQL_CONN_H
#include "mysql_lib.h"
#include <stdbool.h>
#include <stdint.h>
#include "cursor.h"
#include "store.h"

#define MY_STMTS 24     /* prepared statements kept per connection */
/* ---- where the database is; parsed once, read only after ---- */
struct my_url { char *host, *user, *password, *db, *socket; unsigned port; };
enum wr_rc my_url_parse(const char *url, struct my_url *out, struct wr_err *err);
void my_url_done(struct my_url *u);

/* ---- a connection ---- */
struct my;
struct my_stmt;
/* Whose it is: how long it may wait, and whether a server that is read-only will do. */
enum my_role {
  MY_RUN,    /* the runner: several statements in a packet, waits by the lease */
  MY_SIDE,   /* id blocks: as MY_DEF */
  MY_DEF,    /* definition writer: an API request waits for it */
  MY_READ,   /* reader: the same, and the server may be read-only */
  MY_LOG     /* log writer */
};
struct my_conn {
  struct db base;              /* mysql_cursor.c */
  struct my *s;
  MYSQL *m;                    /* NULL = closed */
  enum my_role role;
  unsigned connect_s, io_s;    /* no wait is longer */
  unsigned lock_wait_s, idle_s;/* idle_s 0 = the server's default */
  size_t packet_max;           /* what the server takes, as of this connection; more is never sent */
  size_t packet;               /* a packet is sent when it has grown to this: one more row always fits */
  uint32_t opened;             /* how often */
  int64_t used_us, sent_us;    /* mono clock of the newest answer, and of the newest statement */
  unsigned err;                /* error number of the newest call that failed */
  char why[200];               /* the sentence of this error */
  struct my_stmt *stmt[MY_STMTS];
  unsigned stmt_at;
};
void my_conn_init(struct my_conn *c, struct my *s, enum my_role role);
void my_conn_close(struct my_conn *c);                /* a closed one is fine */
/* Connects if the connection is not open, or the socket tells that the server closed it. Only outside a transaction. 0: it is
 * open; else the error number. */
unsigned my_conn_ready(struct my_conn *c);
enum wr_rc my_conn_err(const struct my_conn *c, unsigned e, struct wr_err *err); /* my_err() with what my_conn_ready() says */
bool my_conn_hung_up(const struct my_conn *c);        /* the server closed it; asks the socket only */
/* One statement, or a packet of them on the runner's: only the first result is read. 0 or the error number. A lost
 * connection is closed here. */
unsigned my_query(struct my_conn *c, const char *sql, size_t n);
/* The same in two steps; nothing else may be sent between them. */
unsigned my_send(struct my_conn *c, const char *sql, size_t n);
unsigned my_answer(struct my_conn *c);
unsigned my_exec(struct my_conn *c, const char *sql); /* constant text without a result set */
bool my_too_large(struct my_conn *c, size_t n);       /* the server would not take n bytes: notes MY_TOO_LARGE */
unsigned my_fail(struct my_conn *c, unsigned e);      /* notes error e; closes a lost connection; returns what it really is */
/* For a reader: is enough of the request's time left to begin a statement (or to wait for a row)? False: closed, MY_LATE. */
bool my_in_time(struct my_conn *c, bool begins);
void my_heard(struct my_conn *c);                     /* an answer has come */
void my_stmts_close(struct my_conn *c);
/* mysql_settings.c: sets what a session may set, then reads back all that this program stands on. 0, or MY_SETTING with
 * the sentence in c->why. Fills in c->packet. */
unsigned my_settings(struct my_conn *c);

/* ---- errors (mysql_err.c): numbers of the server and the library, and three of our own ---- */
enum {
  MY_TOO_LARGE = 60001,  /* a row that no packet can carry */
  MY_SETTING,            /* a setting that is not as needed */
  MY_LATE                /* the request's time is over */
};
enum store_rc my_rc(unsigned e);                      /* what it means before COMMIT */
enum wr_rc my_err(unsigned e, struct wr_err *err);
bool my_lost(unsigned e);                             /* the connection is of no more use */
unsigned my_true_error(unsigned e, const char *server);
void my_words(unsigned e, const char *server, char *out, size_t n); /* one sentence; server: its message, or NULL */
uint64_t my_affected(struct my_conn *c);

/* ---- results of plain statements ---- */
/* Cells of a row of a text result. */
void my_cells(MYSQL_RES *res, MYSQL_ROW row, struct cell *out);
/* First column of the first row, as an integer; found = false when there is none. */
unsigned my_query_int(struct my_conn *c, const char *sql, int64_t *v, bool *found);

/* ---- prepared statements: values are ?, or ?1, ?2 .. as in queries.h ---- */
/* One at a time per connection; rows are not buffered, so nothing else may be sent before my_done(). */
unsigned my_select(struct my_conn *c, struct cursor *r, const char *sql, const struct arg *arg, size_t n);
bool my_next(struct cursor *r);                       /* false: no more, or r->err */
unsigned my_done(struct cursor *r);                   /* 0, or why my_next() ended early */
unsigned my_run(struct my_conn *c, uint64_t *affected, const char *sql, const struct arg *arg, size_t n);
extern const struct db_ops my_db_ops;
#endif
