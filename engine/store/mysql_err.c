/* What an error of MariaDB or MySQL means: one table. Pure; any thread.
 *
 * An error is the data's fault (STORE_BAD: the batch is halved, the row set aside) only when the table says so. An error that the
 * table does not know is the store's fault (STORE_DOWN): the work waits, and the server's own words say what for.
 * What never happens: a value of a row, SQL or the password in a sentence. */
#include "mysql_priv.h"
#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

/* Numbers that a header of MariaDB or of MySQL lacks. */
enum {
  MY8_CHECK = 3819, MY8_CONVERT = 3854, MY8_IDLE = 4031, WSREP_NOT_READY = 1047, READ_ONLY_TX = 1792, READ_ONLY_MODE = 1836
};

#define LOST "The connection to the database was lost."
#define AWAY "The database cannot be reached: is it up, and are host and port in its URL right?"
#define READ_ONLY "The database is read-only: nothing can be written."
#define REFUSES "The database refuses the user or the password."
#define NO_RIGHT "The user of the database lacks a right that this program needs."
#define FULL "There is no space left for the database."
#define CROWDED "The database has no connection left (max_connections)."
#define IN_THE_WAY "Another transaction was in the way."

/* words NULL: the server's own are passed on, but never those about a value. */
static const struct { unsigned e; enum store_rc rc; const char *words; } known[] = {
  /* a value, and only that: SQLSTATE classes 22 and 23, and what belongs to them under other states */
  {ER_DUP_KEY, STORE_BAD, NULL}, {ER_BAD_NULL_ERROR, STORE_BAD, NULL}, {ER_DUP_ENTRY, STORE_BAD, NULL},
  {ER_TOO_BIG_ROWSIZE, STORE_BAD, NULL}, {ER_DUP_UNIQUE, STORE_BAD, NULL}, {ER_WARN_DATA_OUT_OF_RANGE, STORE_BAD, NULL},
  {WARN_DATA_TRUNCATED, STORE_BAD, NULL}, {ER_TRUNCATED_WRONG_VALUE, STORE_BAD, NULL},
  {ER_INVALID_CHARACTER_STRING, STORE_BAD, NULL}, {ER_DIVISION_BY_ZERO, STORE_BAD, NULL},
  {ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, STORE_BAD, NULL}, {ER_ILLEGAL_VALUE_FOR_TYPE, STORE_BAD, NULL},
  {ER_DATA_TOO_LONG, STORE_BAD, NULL}, {ER_WRONG_VALUE_FOR_TYPE, STORE_BAD, NULL}, {ER_ROW_IS_REFERENCED_2, STORE_BAD, NULL},
  {ER_NO_REFERENCED_ROW_2, STORE_BAD, NULL}, {ER_WRONG_VALUE, STORE_BAD, NULL}, {ER_DUP_ENTRY_WITH_KEY_NAME, STORE_BAD, NULL},
  {ER_DATA_OUT_OF_RANGE, STORE_BAD, NULL}, {MY8_CHECK, STORE_BAD, NULL}, {MY8_CONVERT, STORE_BAD, NULL},
  {ER_CONSTRAINT_FAILED, STORE_BAD, NULL},
  {MY_TOO_LARGE, STORE_BAD, "A row is larger than the database takes (max_allowed_packet)."},
  /* another transaction was in the way */
  {ER_LOCK_DEADLOCK, STORE_RETRY, IN_THE_WAY}, {ER_XA_RBDEADLOCK, STORE_RETRY, IN_THE_WAY},
  {ER_LOCK_WAIT_TIMEOUT, STORE_RETRY, "Another program holds a lock in the database."},
  {ER_CHECKREAD, STORE_RETRY, IN_THE_WAY}, {ER_QUERY_INTERRUPTED, STORE_RETRY, "A statement was stopped by an operator."},
  /* the connection ended; a new one may do better */
  {ER_SERVER_SHUTDOWN, STORE_RETRY, "The database is shutting down."}, {ER_CONNECTION_KILLED, STORE_RETRY, LOST},
  {ER_NEW_ABORTING_CONNECTION, STORE_RETRY, LOST}, {ER_NET_READ_ERROR, STORE_RETRY, LOST},
  {ER_NET_READ_INTERRUPTED, STORE_RETRY, LOST}, {ER_NET_ERROR_ON_WRITE, STORE_RETRY, LOST},
  {ER_NET_WRITE_INTERRUPTED, STORE_RETRY, LOST},
  {ER_NET_PACKETS_OUT_OF_ORDER, STORE_RETRY, LOST}, {MY8_IDLE, STORE_RETRY, LOST},
  {CR_CONNECTION_ERROR, STORE_RETRY, AWAY}, {CR_CONN_HOST_ERROR, STORE_RETRY, AWAY},
  {CR_UNKNOWN_HOST, STORE_RETRY, "The host of the database is not known."},
  /* room */
  {ER_DISK_FULL, STORE_NO_SPACE, FULL}, {ER_RECORD_FILE_FULL, STORE_NO_SPACE, FULL},
  /* the store's, with a way out */
  {ER_OPTION_PREVENTS_STATEMENT, STORE_DOWN, READ_ONLY}, {READ_ONLY_MODE, STORE_DOWN, READ_ONLY},
  {READ_ONLY_TX, STORE_DOWN, READ_ONLY}, {ER_CON_COUNT_ERROR, STORE_DOWN, CROWDED},
  {ER_TOO_MANY_USER_CONNECTIONS, STORE_DOWN, CROWDED}, {ER_USER_LIMIT_REACHED, STORE_DOWN, CROWDED},
  {ER_ACCESS_DENIED_ERROR, STORE_DOWN, REFUSES}, {ER_ACCESS_DENIED_NO_PASSWORD_ERROR, STORE_DOWN, REFUSES},
  {ER_DBACCESS_DENIED_ERROR, STORE_DOWN, "The database named in the URL does not exist, or its user has no right to it."},
  {ER_TABLEACCESS_DENIED_ERROR, STORE_DOWN, NO_RIGHT}, {ER_COLUMNACCESS_DENIED_ERROR, STORE_DOWN, NO_RIGHT},
  {ER_SPECIFIC_ACCESS_DENIED_ERROR, STORE_DOWN, NO_RIGHT},
  {ER_BAD_DB_ERROR, STORE_DOWN, "The database named in the URL does not exist."},
  {ER_NET_PACKET_TOO_LARGE, STORE_DOWN, "max_allowed_packet of the database is smaller than when the connection was made."},
  {ER_MAX_PREPARED_STMT_COUNT_REACHED, STORE_DOWN, "max_prepared_stmt_count of the database is used up: raise it."},
  {ER_BINLOG_STMT_MODE_AND_ROW_ENGINE, STORE_DOWN, "binlog_format of the database is STATEMENT: set it to ROW or MIXED."},
  {WSREP_NOT_READY, STORE_DOWN, "The node of the database cluster is not ready for work."},
  {MY_SETTING, STORE_DOWN, NULL}, {MY_LATE, STORE_RETRY, "The database takes too long for one request."},
};
enum { N_KNOWN = sizeof known / sizeof *known };

static bool of_client(unsigned e) {
  return (e >= CR_MIN_ERROR && e <= CR_MAX_ERROR) || (e >= CER_MIN_ERROR && e <= CER_MAX_ERROR);
}

static size_t err_find(unsigned e) {
  size_t i = 0;
  while (i < N_KNOWN && known[i].e != e) i++;
  return i;
}

enum store_rc my_rc(unsigned e) {
  size_t i = err_find(e);
  if (e == 0) return STORE_OK;
  if (i < N_KNOWN) return known[i].rc;
  return of_client(e) ? STORE_RETRY : STORE_DOWN; /* what the library says is about the connection */
}

/* A connection that is of no more use: it ended, or a new one may lead to a server that does better. */
bool my_lost(unsigned e) {
  switch (e) {
    case ER_SERVER_SHUTDOWN: case ER_CONNECTION_KILLED: case ER_NEW_ABORTING_CONNECTION: case ER_NET_READ_ERROR:
    case ER_NET_READ_INTERRUPTED: case ER_NET_ERROR_ON_WRITE: case ER_NET_WRITE_INTERRUPTED: case ER_NET_PACKETS_OUT_OF_ORDER:
    case MY8_IDLE: case ER_NET_PACKET_TOO_LARGE: case ER_OPTION_PREVENTS_STATEMENT: case READ_ONLY_MODE: case READ_ONLY_TX:
    case MY_SETTING: case MY_LATE:
    case ER_BINLOG_STMT_MODE_AND_ROW_ENGINE: /* a session keeps the format that it began with */
      return true;
    default:
      return of_client(e);
  }
}

/* The operating system's "no space" comes inside the text of several errors. */
unsigned my_true_error(unsigned e, const char *server) {
  bool full = server && (strstr(server, "rror 28 ") || strstr(server, "rrcode: 28 ") || strstr(server, "rror: 28 "));
  return full ? ER_DISK_FULL : e;
}

void my_words(unsigned e, const char *server, char *out, size_t n) {
  size_t i = err_find(e);
  enum store_rc rc = my_rc(e);
  if (i < N_KNOWN && known[i].words) snprintf(out, n, "%s", known[i].words);
  else if (rc == STORE_BAD) snprintf(out, n, "The database refuses a value (error %u).", e);
  else if (rc == STORE_RETRY) snprintf(out, n, LOST);
  else if (server && *server && e != ER_PARSE_ERROR) snprintf(out, n, "The database says: %.180s (error %u).", server, e);
  else snprintf(out, n, "The database reports error %u.", e);
  for (char *p = out; *p; p++)
    if ((unsigned char)*p < ' ' || *p == 127) *p = ' ';
}

enum wr_rc my_err(unsigned e, struct wr_err *err) {
  switch (my_rc(e)) {
    case STORE_OK: return WR_OK;
    case STORE_NO_SPACE: return wr_err_set(err, WR_NO_SPACE, NULL);
    case STORE_BAD:
      if (e == MY_TOO_LARGE)
        return wr_err_set(err, WR_TOO_LARGE, "It is larger than the database takes. Raise max_allowed_packet there.");
      return wr_err_set(err, WR_INTERNAL, NULL);
    case STORE_RETRY: case STORE_STALE: case STORE_UNKNOWN: case STORE_FENCED: case STORE_DOWN:
    default: return wr_err_set(err, WR_DB_UNAVAILABLE, NULL);
  }
}
