/* What this program needs of the server's settings. At every new connection the settings of the session are set, then all are
 * read back, because a setting may be changed and a proxy may swallow a SET. One table.
 *
 * What never happens: work on a server that may forget a commit (unless durability=relaxed), that would cut an answer
 * short, or that takes smaller packets than one row may need. The thread that owns the connection. */
#include "mysql_priv.h"
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "wr_limits.h"
#include "log.h"
#include "text.h"

/* The largest row: a result whose every byte needs an escape, parameters, texts. */
#define ROW_MAX (2u * LIMIT_RESULT_BYTES + 4u * LIMIT_PARAMS_BYTES)
#define PACKET_NEED "4194304"
#define PACKET_BEST (4u << 20)   /* larger ones gain nothing */
_Static_assert(ROW_MAX < 3u << 20, "a packet of 4 MiB holds a row and as much again as a batch needs");

enum needs { IS, IS_NOT, HAS, AT_LEAST };
/* WRITES: for connections that write; DURABLE: unless durability=relaxed; BINLOG: only with log_bin. */
enum when { ALWAYS = 0, WRITES = 1, DURABLE = 2, BINLOG = 4 };

static const struct need { const char *name; enum needs how; const char *value; unsigned when; } need[] = {
  /* the session's */
  {"tx_isolation", IS, "READ-COMMITTED", ALWAYS}, {"transaction_isolation", IS, "READ-COMMITTED", ALWAYS},
  {"sql_mode", HAS, "STRICT_ALL_TABLES", ALWAYS}, {"time_zone", IS, "+00:00", ALWAYS}, {"autocommit", IS, "ON", ALWAYS},
  {"completion_type", IS, "NO_CHAIN", ALWAYS}, {"sql_select_limit", AT_LEAST, "9223372036854775807", ALWAYS},
  {"sql_big_selects", IS, "ON", ALWAYS}, {"max_statement_time", IS, "0.000000", ALWAYS}, {"max_execution_time", IS, "0", ALWAYS},
  {"tx_read_only", IS, "OFF", WRITES}, {"transaction_read_only", IS, "OFF", WRITES},
  {"character_set_client", IS, "utf8mb4", ALWAYS}, {"character_set_connection", IS, "utf8mb4", ALWAYS},
  /* the server's */
  {"read_only", IS, "OFF", WRITES}, {"innodb_read_only", IS, "OFF", WRITES},
  {"max_allowed_packet", AT_LEAST, PACKET_NEED, ALWAYS}, {"max_prepared_stmt_count", AT_LEAST, "300", ALWAYS},
  {"binlog_format", IS_NOT, "STATEMENT", WRITES | BINLOG},
  {"innodb_flush_log_at_trx_commit", IS, "1", WRITES | DURABLE}, {"sync_binlog", IS, "1", WRITES | BINLOG | DURABLE},
};
enum { N_NEED = sizeof need / sizeof *need };

/* Saturates; a sign or a word is 0. */
static uint64_t number(const char *s) { return *s >= '0' && *s <= '9' ? strtoull(s, NULL, 10) : 0; }

static bool holds(const struct need *n, const char *is) {
  switch (n->how) {
    case IS: return !strcasecmp(is, n->value);
    case IS_NOT: return strcasecmp(is, n->value) != 0;
    case HAS: return strstr(is, n->value) != NULL;
    case AT_LEAST: return number(is) >= number(n->value);
    default: return false;
  }
}

static void sentence(const struct need *n, const char *is, char *out, size_t size) {
  if (n->when & DURABLE)
    snprintf(out, size, "%s is %.20s, not 1: the database may forget commits. Set it, or use durability=relaxed.", n->name, is);
  else if (!strcmp(n->name, "read_only") || !strcmp(n->name, "innodb_read_only"))
    snprintf(out, size, "The database is read-only (%s is %.20s): nothing can be written.", n->name, is);
  else if (n->how == AT_LEAST)
    snprintf(out, size, "%s of the database is %.20s; weir needs at least %s: SET GLOBAL %s=%s.", n->name, is, n->value, n->name,
             n->value);
  else if (n->how == IS_NOT)
    snprintf(out, size, "%s of the database is %.20s: weir cannot write like that. Set it to ROW or MIXED.", n->name, is);
  else
    snprintf(out, size, "%s of the session is %.40s, though %s was asked for: does a proxy stand in between?", n->name, is,
             n->value);
}

/* With these settings times are UTC, a wait for a lock ends, and an answer is whole. */
static unsigned set(struct my_conn *c) {
  char text[640];
  int n = snprintf(text, sizeof text,
    "SET time_zone='+00:00', sql_auto_is_null=0, autocommit=1, completion_type=0, innodb_lock_wait_timeout=%u, "
    "lock_wait_timeout=%u, sql_select_limit=18446744073709551615, sql_big_selects=1, sql_safe_updates=0, %s=0, "
    "sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE'",
    c->lock_wait_s, c->lock_wait_s, mariadb_connection(c->m) ? "max_statement_time" : "max_execution_time");
  if (c->idle_s) n += snprintf(text + n, sizeof text - (size_t)n, ", wait_timeout=%u", c->idle_s);
  wr_assert(n > 0 && (size_t)n < sizeof text);
  unsigned e = my_exec(c, "SET NAMES utf8mb4");
  if (!e) e = my_exec(c, text);
  if (!e) e = my_exec(c, "SET SESSION TRANSACTION READ WRITE");
  return e ? e : my_exec(c, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
}

/* The server's values, in the order of need[]; there[i] false: this server has no such setting. */
struct found { char value[N_NEED][64]; bool there[N_NEED], log_bin; };

static void note(struct found *f, const char *name, const char *value) {
  if (!strcasecmp(name, "log_bin")) f->log_bin = !strcasecmp(value, "ON");
  if (!strcasecmp(name, "wsrep_on") && !strcasecmp(value, "ON"))
    log_warn("store.galera",
             L_STR("why", "wsrep_on is ON: write to one node only; a cluster may lose commits when nodes crash."));
  for (size_t i = 0; i < N_NEED; i++) {
    if (strcasecmp(name, need[i].name)) continue;
    f->there[i] = true;
    const char *is = need[i].how != HAS ? value : strstr(value, need[i].value) ? need[i].value : "another";
    snprintf(f->value[i], sizeof f->value[i], "%s", is);
  }
}

static unsigned ask(struct my_conn *c, struct found *f) {
  struct buf b = BUF_INIT;
  buf_str(&b, "SHOW VARIABLES WHERE variable_name IN('log_bin'");
  if (c->role == MY_RUN && c->opened == 1) buf_str(&b, ",'wsrep_on'");
  for (size_t i = 0; i < N_NEED; i++) buf_printf(&b, ",'%s'", need[i].name);
  buf_ch(&b, ')');
  unsigned e = my_query(c, b.data, b.len);
  buf_done(&b);
  MYSQL_RES *res = e ? NULL : mysql_store_result(c->m);
  if (!res) return e ? e : my_fail(c, mysql_errno(c->m));
  for (MYSQL_ROW row; (row = mysql_fetch_row(res));)
    if (row[0] && row[1]) note(f, row[0], row[1]);
  mysql_free_result(res);
  return 0;
}

/* 0, or MY_SETTING and the sentence. */
static unsigned check(struct my_conn *c, const struct found *f) {
  bool writes = c->role != MY_READ;
  for (size_t i = 0; i < N_NEED; i++) {
    const struct need *n = &need[i];
    char why[sizeof c->why];
    if (!f->there[i] || holds(n, f->value[i]) || ((n->when & WRITES) && !writes) || ((n->when & BINLOG) && !f->log_bin)) continue;
    sentence(n, f->value[i], why, sizeof why);
    if ((n->when & DURABLE) && c->s->relaxed) {
      if (c->role == MY_RUN && c->opened == 1) log_warn("store.durability", L_STR("why", why));
      continue;
    }
    memcpy(c->why, why, sizeof why);
    return c->err = MY_SETTING;
  }
  return 0;
}

static void sizes(struct my_conn *c, const struct found *f) {
  for (size_t i = 0; i < N_NEED; i++)
    if (!strcmp(need[i].name, "max_allowed_packet") && f->there[i]) c->packet_max = (size_t)number(f->value[i]);
  /* A third of what a row leaves stays free, for the statement under way. */
  size_t packet = c->packet_max > ROW_MAX ? (c->packet_max - ROW_MAX) / 3 * 2 : 0;
  c->packet = packet < PACKET_BEST ? packet : PACKET_BEST;
}

unsigned my_settings(struct my_conn *c) {
  struct found f = {.log_bin = false};
  c->packet_max = SIZE_MAX;
  unsigned e = set(c);
  if (!e) e = ask(c, &f);
  if (!e) e = check(c, &f);
  if (!e) sizes(c, &f);
  return e;
}
