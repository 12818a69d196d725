/* One connection: URL, options, how long it waits, plain statements. Used by one thread at a time.
 *
 * What never happens: an automatic reconnect; a session whose settings were not read back; a wait without an end; a packet
 * that the server is known not to take; the password in a message. */
#include "mysql_priv.h"
#include <errmsg.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "resolve.h"
#include "text.h"

#define CONNECT_S 5u
#define IO_S 10u
#define FRESH_US 100000   /* an answer as new as this proves that the server is there */
#define AWAY_US 500000    /* for this long no request tries to connect after another one has waited for the server in vain */
#define LATE_US 200000    /* a wait that ends this long before its limit counts as one in vain */
#define ROOM 4096         /* what a packet has beside its text */

/* ---- mysql://user[:password]@host[:port]/db[?socket=PATH] ---- */
/* Percent-decoded copy; NULL when an escape is broken or stands for NUL. */
static char *decoded(const char *s, size_t n) {
  char *out = wr_malloc(n + 1);
  if (text_unpercent(out, s, n)) return out;
  free(out);
  return NULL;
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
  return wr_err_set(err, WR_BAD_REQUEST,
                    "The store must be mysql://user:password@host:port/db, with ?socket=PATH for a local socket.");
}

/* ---- how long each may wait ---- */
static unsigned whole_s(int64_t us, unsigned least, unsigned most) {
  int64_t s = us / 1000000;
  return s < (int64_t)least ? least : s > (int64_t)most ? most : (unsigned)s;
}

/* A request waits for a reader (fifth), for a new connection (three tenths) and for one answer (half): then the rest of it
 * is refused at once, because the connection is gone. The runner must know well before its lease ends. */
void my_conn_init(struct my_conn *c, struct my *s, enum my_role role) {
  *c = (struct my_conn){.base.ops = &my_db_ops, .s = s, .role = role, .connect_s = CONNECT_S, .io_s = IO_S, .lock_wait_s = 1};
  if (role == MY_RUN) {
    c->connect_s = whole_s(s->lease_us / 6, 3, CONNECT_S);
    c->io_s = whole_s(s->lease_us / 6, 3, IO_S);
    c->idle_s = whole_s(s->lease_us / 4, 1, 1u << 20);
  } else if (role != MY_LOG) {
    c->connect_s = whole_s(s->request_us / 10 * 3, 2, CONNECT_S);
    c->io_s = whole_s(s->request_us / 2, 2, IO_S);
  }
  /* 1 s: everybody waits while the runner does; the log is tried again, and a node that ends waits for its call */
  if (role != MY_RUN && role != MY_LOG && c->io_s > 2) c->lock_wait_s = 2;
}

static bool for_request(const struct my_conn *c) { return c->role != MY_RUN && c->role != MY_LOG; }

/* The server was silent for as long as this connection waits. The next requests must not wait for it one after the other. */
static void away(struct my_conn *c) { atomic_store(&c->s->away_until, clock_mono_us() + AWAY_US); }

/* The server answers, so an earlier verdict that it is silent no longer holds. */
void my_heard(struct my_conn *c) {
  c->used_us = clock_mono_us();
  if (atomic_load_explicit(&c->s->away_until, memory_order_relaxed)) atomic_store(&c->s->away_until, 0);
}

/* ---- open and close ---- */
void my_conn_close(struct my_conn *c) {
  if (!c->m) return;
  my_stmts_close(c);
  mysql_close(c->m);
  c->m = NULL;
}

/* Remembers the error, and closes a connection that is of no more use. */
unsigned my_fail(struct my_conn *c, unsigned e) {
  const char *server = c->m ? mysql_error(c->m) : NULL;
  c->err = my_true_error(e ? e : CR_UNKNOWN_ERROR, server);
  my_words(c->err, server, c->why, sizeof c->why);
  if (!my_lost(c->err)) return c->err;
  if (clock_mono_us() - c->sent_us >= (int64_t)c->io_s * 1000000 - LATE_US) away(c);
  my_conn_close(c);
  return c->err;
}

bool my_in_time(struct my_conn *c, bool begins) {
  int64_t until = c->role == MY_READ ? store_until() : 0;
  if (until == 0) return true;
  int64_t now = clock_mono_us();
  if (now < (begins ? until - c->s->request_us / 2 : until)) return true;
  c->sent_us = now; /* the server may be there, only slow */
  (void)my_fail(c, MY_LATE);
  return false;
}

bool my_too_large(struct my_conn *c, size_t n) {
  if (n + ROOM < c->packet_max) return false;
  c->err = MY_TOO_LARGE;
  my_words(c->err, NULL, c->why, sizeof c->why);
  return true;
}

enum wr_rc my_conn_err(const struct my_conn *c, unsigned e, struct wr_err *err) {
  enum wr_rc rc = my_err(e, err);
  return rc == WR_DB_UNAVAILABLE && c->why[0] ? wr_err_set(err, rc, "%s Nothing was stored.", c->why) : rc;
}

/* host NULL: by the socket. Waits for wait_s at most. */
static unsigned connect_to(struct my_conn *c, const char *host, unsigned wait_s) {
  const struct my_url *u = &c->s->url;
  unsigned no = 0;
  my_bool off = 0;
  c->m = mysql_init(NULL);
  if (!c->m) return c->err = CR_OUT_OF_MEMORY;
  mysql_options(c->m, MYSQL_OPT_CONNECT_TIMEOUT, &wait_s);
  mysql_options(c->m, MYSQL_OPT_READ_TIMEOUT, &c->io_s);
  mysql_options(c->m, MYSQL_OPT_WRITE_TIMEOUT, &c->io_s);
  mysql_options(c->m, MYSQL_OPT_RECONNECT, &off);
  mysql_options(c->m, MYSQL_OPT_LOCAL_INFILE, &no);
  mysql_options(c->m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  unsigned long flags = CLIENT_FOUND_ROWS | (c->role == MY_RUN ? CLIENT_MULTI_STATEMENTS : 0ul);
  if (mysql_real_connect(c->m, host, u->user, u->password, u->db, u->port, u->socket, flags)) {
    (void)fcntl((int)mysql_get_socket(c->m), F_SETFD, FD_CLOEXEC); /* programs that the host of a library starts do not get it */
    return 0;
  }
  unsigned e = my_fail(c, mysql_errno(c->m));
  my_conn_close(c);
  return e;
}

/* Tries each address until one takes us, all within connect_s. The name is looked up here, because the library's own lookup has
 * no bound. */
static unsigned connect_by_name(struct my_conn *c, const char *host) {
  struct addresses to;
  char text[ADDRESS_TEXT];
  int64_t until = c->sent_us + (int64_t)c->connect_s * 1000000;
  const char *why = resolve(host, (uint16_t)c->s->url.port, until, &to);
  if (why) {
    snprintf(c->why, sizeof c->why, "The host of the database is not known: %.60s: %.80s.", host, why);
    return c->err = CR_UNKNOWN_HOST;
  }
  unsigned e = CR_UNKNOWN_HOST;
  for (size_t i = 0; i < to.n; i++) {
    int64_t left = until - clock_mono_us();
    if (i > 0 && left <= 0) break;
    e = connect_to(c, address_text(&to.a[i], text), whole_s(left, 1, c->connect_s));
    if (!my_lost(e)) break; /* connected, or refused by a server that answers */
  }
  return e;
}

static unsigned connect_now(struct my_conn *c) {
  const struct my_url *u = &c->s->url;
  bool by_socket = u->socket || strcmp(u->host, "localhost") == 0; /* the library takes its own socket for this name */
  c->sent_us = clock_mono_us();
  unsigned e = by_socket ? connect_to(c, u->socket ? NULL : u->host, c->connect_s) : connect_by_name(c, u->host);
  if (e && my_lost(e)) away(c);
  if (e) return e;
  c->opened++;
  e = my_settings(c);
  if (e) my_conn_close(c);
  return e;
}

/* Nothing is expected on the socket between statements: a readable socket means the end of the connection. */
bool my_conn_hung_up(const struct my_conn *c) {
  struct pollfd p = {.fd = (int)mysql_get_socket(c->m), .events = POLLIN | POLLRDHUP};
  return poll(&p, 1, 0) != 0;
}

/* Is the server still there? Asked after a while without an answer. */
static bool answers(struct my_conn *c) {
  c->sent_us = clock_mono_us();
  if (c->sent_us - c->used_us <= FRESH_US || !mysql_ping(c->m)) return true;
  (void)my_fail(c, mysql_errno(c->m));
  my_conn_close(c);
  return false;
}

unsigned my_conn_ready(struct my_conn *c) {
  unsigned e = 0;
  if (c->m && my_conn_hung_up(c)) my_conn_close(c);
  if (c->m) (void)answers(c);
  if (!c->m && for_request(c) && clock_mono_us() < atomic_load(&c->s->away_until)) {
    my_words(CR_CONNECTION_ERROR, NULL, c->why, sizeof c->why);
    return c->err = CR_CONNECTION_ERROR;
  }
  if (!c->m) e = connect_now(c);
  if (!e) my_heard(c);
  return e;
}

/* ---- plain statements ---- */
/* The connection ended earlier, and its error of that time stands. */
static unsigned gone(struct my_conn *c) { return c->err = CR_SERVER_LOST; }

unsigned my_query(struct my_conn *c, const char *sql, size_t n) {
  if (!c->m) return gone(c);
  if (!my_in_time(c, true) || my_too_large(c, n)) return c->err;
  c->sent_us = clock_mono_us();
  if (mysql_real_query(c->m, sql, n)) return my_fail(c, mysql_errno(c->m));
  my_heard(c);
  return 0;
}

unsigned my_send(struct my_conn *c, const char *sql, size_t n) {
  if (!c->m) return gone(c);
  if (my_too_large(c, n)) return c->err;
  c->sent_us = clock_mono_us();
  return mysql_send_query(c->m, sql, n) ? my_fail(c, mysql_errno(c->m)) : 0;
}

unsigned my_answer(struct my_conn *c) {
  if (!c->m) return gone(c);
  if (mysql_read_query_result(c->m)) return my_fail(c, mysql_errno(c->m));
  my_heard(c);
  return 0;
}

unsigned my_exec(struct my_conn *c, const char *sql) { return my_query(c, sql, strlen(sql)); }

uint64_t my_affected(struct my_conn *c) { return mysql_affected_rows(c->m); }

void my_cells(MYSQL_RES *res, MYSQL_ROW row, struct cell *out) {
  unsigned n = mysql_num_fields(res);
  const unsigned long *len = mysql_fetch_lengths(res);
  wr_assert(n <= CELLS_MAX);
  for (unsigned i = 0; i < n; i++) out[i].kind = row[i] ? CELL_TEXT : CELL_NULL, out[i].s = row[i], out[i].n = len[i];
}

unsigned my_query_int(struct my_conn *c, const char *sql, int64_t *v, bool *found) {
  *found = false;
  unsigned e = my_exec(c, sql);
  if (e) return e;
  MYSQL_RES *res = mysql_store_result(c->m);
  if (!res) return my_fail(c, mysql_errno(c->m));
  MYSQL_ROW row = mysql_fetch_row(res);
  if (row) {
    struct cell cell[CELLS_MAX];
    my_cells(res, row, cell);
    *v = cell_i64(&cell[0]);
    *found = true;
  }
  mysql_free_result(res);
  return 0;
}
