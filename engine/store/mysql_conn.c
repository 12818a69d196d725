/* One connection: URL, options, session, error numbers, plain statements. Used by one thread at a time.
 *
 * What never happens: an automatic reconnect; a session without strict mode, UTC and READ COMMITTED (read back); a wait
 * without an end (5 s to connect, 10 s to read or write); the password in a message. */
#include "mysql_priv.h"
#include <errmsg.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "log.h"
#include "text.h"

#define CONNECT_S 5u
#define IO_S 10u
#define FRESH_US 100000   /* an answer that new proves that the server is there */

/* ---- mysql://user[:password]@host[:port]/db[?socket=PATH] ---- */
static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoded copy; NULL when an escape is broken or stands for NUL. */
static char *decoded(const char *s, size_t n) {
  char *out = wr_malloc(n + 1), *p = out;
  for (size_t i = 0; i < n; i++) {
    int c = (unsigned char)s[i];
    if (c == '%') {
      int hi = n - i > 2 ? hex(s[i + 1]) : -1, lo = n - i > 2 ? hex(s[i + 2]) : -1;
      if (hi < 0 || lo < 0 || (c = hi << 4 | lo) == 0) return free(out), NULL;
      i += 2;
    }
    *p++ = (char)c;
  }
  *p = '\0';
  return out;
}

void my_url_done(struct my_url *u) {
  free(u->host);
  free(u->user);
  free(u->password);
  free(u->db);
  free(u->socket);
  *u = (struct my_url){0};
}

/* user[:password]@ before host[:port]; the last @ divides, so a password may hold one. */
static bool authority(const char *s, size_t n, struct my_url *u) {
  const char *at = memrchr(s, '@', n);
  size_t n_user = at ? (size_t)(at - s) : 0;
  if (at) {
    const char *colon = memchr(s, ':', n_user);
    size_t n_name = colon ? (size_t)(colon - s) : n_user;
    u->user = decoded(s, n_name);
    if (colon) u->password = decoded(colon + 1, n_user - n_name - 1);
    if (!u->user || !*u->user || (colon && !u->password)) return false;
    s += n_user + 1, n -= n_user + 1;
  }
  const char *colon = memrchr(s, ':', n);
  if (n && s[0] == '[') { /* an IPv6 address */
    const char *end = memchr(s, ']', n);
    if (!end) return false;
    if (colon && colon < end) colon = NULL;
    u->host = wr_memdup0(s + 1, (size_t)(end - s - 1));
    if (end + 1 != (colon ? colon : s + n)) return false;
  } else {
    u->host = decoded(s, colon ? (size_t)(colon - s) : n);
  }
  int64_t port = 3306;
  if (colon && (!text_id(colon + 1, (size_t)(s + n - colon - 1), &port) || port > 65535)) return false;
  u->port = (unsigned)port;
  return u->host != NULL;
}

static bool query_part(const char *s, struct my_url *u) {
  if (!*s) return true;
  if (strncmp(s, "socket=", 7) != 0 || strchr(s, '&')) return false;
  u->socket = decoded(s + 7, strlen(s + 7));
  return u->socket && u->socket[0] == '/';
}

enum wr_rc my_url_parse(const char *url, struct my_url *u, struct wr_err *err) {
  static const char scheme[] = "mysql://";
  *u = (struct my_url){0};
  const char *s = url + sizeof scheme - 1;
  bool ok = strncmp(url, scheme, sizeof scheme - 1) == 0;
  size_t n_host = ok ? strcspn(s, "/?") : 0;
  ok = ok && authority(s, n_host, u) && s[n_host] == '/';
  if (ok) {
    const char *db = s + n_host + 1;
    size_t n = strcspn(db, "?");
    u->db = decoded(db, n);
    ok = u->db && *u->db && query_part(db + n + (db[n] == '?'), u);
  }
  if (ok && (*u->host || u->socket)) return WR_OK;
  my_url_done(u);
  return wr_err_set(err, WR_BAD_REQUEST, "The store must be mysql://user:password@host:port/db, with ?socket=PATH for a local socket.");
}

/* ---- error numbers ---- */
bool my_lost(unsigned e) {
  switch (e) {
    case ER_SERVER_SHUTDOWN: case ER_CONNECTION_KILLED: case ER_OPTION_PREVENTS_STATEMENT: case ER_READ_ONLY_MODE:
    case ER_NEW_ABORTING_CONNECTION: case ER_NET_READ_ERROR: case ER_NET_READ_INTERRUPTED: case ER_NET_ERROR_ON_WRITE:
    case ER_NET_WRITE_INTERRUPTED: case ER_NET_PACKETS_OUT_OF_ORDER:
    case 4031: /* MySQL 8.0.24: disconnected for being idle */
      return true;
    default:
      return (e >= CR_MIN_ERROR && e <= CR_MAX_ERROR) || (e >= CER_MIN_ERROR && e <= CER_MAX_ERROR);
  }
}

enum store_rc my_rc(unsigned e) {
  if (e == 0) return STORE_OK;
  if (my_lost(e)) return STORE_RETRY;
  switch (e) {
    case ER_LOCK_DEADLOCK: case ER_LOCK_WAIT_TIMEOUT: case ER_CHECKREAD: case ER_QUERY_INTERRUPTED:
      return STORE_RETRY;
    case ER_DISK_FULL: case ER_RECORD_FILE_FULL:
      return STORE_NO_SPACE;
    case ER_CON_COUNT_ERROR: case ER_TOO_MANY_USER_CONNECTIONS: case ER_ACCESS_DENIED_ERROR: case ER_DBACCESS_DENIED_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR: case ER_COLUMNACCESS_DENIED_ERROR: case ER_BAD_DB_ERROR: case ER_NO_SUCH_TABLE:
    case ER_HOST_IS_BLOCKED: case ER_HOST_NOT_PRIVILEGED: case ER_OUT_OF_RESOURCES: case ER_OUTOFMEMORY:
      log_error("store.refused", L_INT("errno", e));
      return STORE_DOWN;
    default:
      log_error("store.bad_row", L_INT("errno", e));
      return STORE_BAD;
  }
}

enum wr_rc my_err(unsigned e, struct wr_err *err) {
  switch (my_rc(e)) {
    case STORE_OK: return WR_OK;
    case STORE_NO_SPACE: return wr_err_set(err, WR_NO_SPACE, NULL);
    case STORE_BAD: return wr_err_set(err, WR_INTERNAL, NULL);
    case STORE_RETRY: case STORE_STALE: case STORE_UNKNOWN: case STORE_FENCED: case STORE_DOWN:
    default: return wr_err_set(err, WR_DB_UNAVAILABLE, NULL);
  }
}

/* ---- open and close ---- */
void my_conn_init(struct my_conn *c, const struct my_url *url) {
  *c = (struct my_conn){.url = url, .lock_wait_s = 5};
}

void my_conn_close(struct my_conn *c) {
  if (!c->m) return;
  my_stmts_close(c);
  mysql_close(c->m);
  c->m = NULL;
}

/* Remembers the error of the connection and closes it when it is of no more use. */
unsigned my_fail(struct my_conn *c, unsigned e) {
  c->err = e ? e : CR_UNKNOWN_ERROR;
  if (c->err == ER_GET_ERRNO && c->m && strstr(mysql_error(c->m), "rror 28 ")) c->err = ER_DISK_FULL; /* ENOSPC */
  if (my_lost(c->err)) my_conn_close(c);
  return c->err;
}

static unsigned set_session(struct my_conn *c) {
  char text[320];
  int n = snprintf(text, sizeof text,
    "SET time_zone='+00:00', sql_auto_is_null=0, autocommit=1, innodb_lock_wait_timeout=%u, "
    "sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE'",
    c->lock_wait_s);
  if (c->idle_s) n += snprintf(text + n, sizeof text - (size_t)n, ", wait_timeout=%u", c->idle_s);
  wr_assert(n > 0 && (size_t)n < sizeof text);
  unsigned e = my_exec(c, "SET NAMES utf8mb4");
  if (!e) e = my_exec(c, text);
  return e ? e : my_exec(c, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
}

/* A proxy in between may swallow a SET: what counts is what the server says. */
static unsigned check_session(struct my_conn *c) {
  int64_t ok = 0;
  bool found;
  static const char mysql8[] = "SELECT @@transaction_isolation='READ-COMMITTED' AND @@sql_mode LIKE '%STRICT_ALL_TABLES%' AND @@time_zone='+00:00'";
  static const char maria[] = "SELECT @@tx_isolation='READ-COMMITTED' AND @@sql_mode LIKE '%STRICT_ALL_TABLES%' AND @@time_zone='+00:00'";
  unsigned e = my_query_int(c, mariadb_connection(c->m) ? maria : mysql8, &ok, &found);
  if (e || (found && ok == 1)) return e;
  log_error("store.session", L_STR("why", "the server does not keep the session's settings"));
  my_conn_close(c);
  return c->err = ER_ACCESS_DENIED_ERROR;
}

static unsigned connect_now(struct my_conn *c) {
  const struct my_url *u = c->url;
  unsigned connect_s = CONNECT_S, io_s = IO_S, no = 0;
  my_bool off = 0;
  c->m = mysql_init(NULL);
  if (!c->m) return c->err = ER_OUTOFMEMORY;
  mysql_options(c->m, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
  mysql_options(c->m, MYSQL_OPT_READ_TIMEOUT, &io_s);
  mysql_options(c->m, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
  mysql_options(c->m, MYSQL_OPT_RECONNECT, &off);
  mysql_options(c->m, MYSQL_OPT_LOCAL_INFILE, &no);
  mysql_options(c->m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  unsigned long flags = CLIENT_FOUND_ROWS | (c->multi ? CLIENT_MULTI_STATEMENTS : 0ul);
  unsigned e = 0;
  if (!mysql_real_connect(c->m, u->socket ? NULL : u->host, u->user, u->password, u->db, u->port, u->socket, flags))
    e = mysql_errno(c->m);
  if (e) {
    mysql_close(c->m);
    c->m = NULL;
    return c->err = e;
  }
  c->opened++;
  e = set_session(c);
  if (!e) e = check_session(c);
  if (e) my_conn_close(c);
  return e;
}

/* Nothing is expected on the socket between statements: whatever makes it readable is the end of the connection. */
bool my_conn_hung_up(const struct my_conn *c) {
  struct pollfd p = {.fd = (int)mysql_get_socket(c->m), .events = POLLIN | POLLRDHUP};
  return poll(&p, 1, 0) != 0;
}

unsigned my_conn_ready(struct my_conn *c) {
  if (c->m && my_conn_hung_up(c)) my_conn_close(c);
  if (c->m && clock_mono_us() - c->used_us > FRESH_US && mysql_ping(c->m)) my_conn_close(c);
  unsigned e = c->m ? 0 : connect_now(c);
  if (!e) c->used_us = clock_mono_us();
  return e;
}

/* ---- plain statements ---- */
unsigned my_query(struct my_conn *c, const char *sql, size_t n) {
  if (!c->m) return c->err = CR_SERVER_LOST;
  if (mysql_real_query(c->m, sql, n)) return my_fail(c, mysql_errno(c->m));
  c->used_us = clock_mono_us();
  return 0;
}

unsigned my_send(struct my_conn *c, const char *sql, size_t n) {
  if (!c->m) return c->err = CR_SERVER_LOST;
  return mysql_send_query(c->m, sql, n) ? my_fail(c, mysql_errno(c->m)) : 0;
}

unsigned my_answer(struct my_conn *c) {
  if (!c->m) return c->err = CR_SERVER_LOST;
  if (mysql_read_query_result(c->m)) return my_fail(c, mysql_errno(c->m));
  c->used_us = clock_mono_us();
  return 0;
}

unsigned my_exec(struct my_conn *c, const char *sql) { return my_query(c, sql, strlen(sql)); }

uint64_t my_affected(struct my_conn *c) { return mysql_affected_rows(c->m); }

void my_cells(MYSQL_RES *res, MYSQL_ROW row, struct my_cell *out) {
  unsigned n = mysql_num_fields(res);
  const unsigned long *len = mysql_fetch_lengths(res);
  wr_assert(n <= MY_COLS);
  for (unsigned i = 0; i < n; i++) out[i] = (struct my_cell){row[i] ? MY_TEXT : MY_NULL, row[i], len[i], 0};
}

unsigned my_query_int(struct my_conn *c, const char *sql, int64_t *v, bool *found) {
  *found = false;
  unsigned e = my_exec(c, sql);
  if (e) return e;
  MYSQL_RES *res = mysql_store_result(c->m);
  if (!res) return my_fail(c, mysql_errno(c->m));
  MYSQL_ROW row = mysql_fetch_row(res);
  if (row) {
    struct my_cell cell[MY_COLS];
    my_cells(res, row, cell);
    *v = my_int(&cell[0]);
    *found = true;
  }
  mysql_free_result(res);
  return 0;
}

/* ---- values ---- */
int64_t my_int(const struct my_cell *c) {
  int64_t v = 0;
  if (c->kind == MY_INT) return c->i;
  return c->kind == MY_TEXT && text_i64(c->s, c->n, &v) ? v : 0;
}

int64_t my_us(const struct my_cell *c) {
  int64_t us = 0;
  if (c->kind == MY_TIME) return c->i;
  return c->kind == MY_TEXT && clock_parse_sql(c->s, c->n, &us) ? us : 0;
}

const char *my_str(const struct my_cell *c, struct arena *a) {
  if (c->kind != MY_TEXT) return NULL;
  return a ? arena_memdup0(a, c->s, c->n) : c->s;
}
