#include "mysql_kit.h"
#include "mem.h"

static MYSQL *db;

const char *kit_url(void) {
  const char *u = getenv("WEIR_TEST_MYSQL");
  return u && *u ? u : NULL;
}

/* mysql://root@localhost/db?socket=PATH, as the tests write it. */
MYSQL *kit_db(void) {
  if (db) return db;
  char name[64] = "", path[200] = "";
  const char *at = strchr(kit_url(), '@'), *slash = at ? strchr(at, '/') : NULL, *sock = strstr(kit_url(), "?socket=");
  assert_true(slash && sock);
  snprintf(name, sizeof name, "%.*s", (int)(sock - slash - 1), slash + 1);
  snprintf(path, sizeof path, "%s", sock + 8);
  db = mysql_init(NULL);
  assert_non_null(db);
  if (!mysql_real_connect(db, NULL, "root", NULL, name, 0, path, 0)) fail_msg("%s", mysql_error(db));
  return db;
}

static MYSQL_RES *ask(const char *fmt, va_list ap) {
  char text[1024];
  vsnprintf(text, sizeof text, fmt, ap);
  if (mysql_query(kit_db(), text)) fail_msg("%s: %s", text, mysql_error(db));
  return mysql_store_result(db);
}

void kit_sql(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  MYSQL_RES *res = ask(fmt, ap);
  va_end(ap);
  if (res) mysql_free_result(res);
}

int64_t kit_int(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  MYSQL_RES *res = ask(fmt, ap);
  va_end(ap);
  MYSQL_ROW row = mysql_fetch_row(res);
  int64_t v = row && row[0] ? strtoll(row[0], NULL, 10) : -1;
  mysql_free_result(res);
  return v;
}

void kit_wipe(void) {
  struct buf b = BUF_INIT;
  MYSQL_ROW row;
  if (mysql_query(kit_db(), "SELECT table_name FROM information_schema.tables WHERE table_schema=DATABASE()")) fail_msg("%s", mysql_error(db));
  MYSQL_RES *res = mysql_store_result(db);
  while ((row = mysql_fetch_row(res))) buf_printf(&b, "%s`%s`", b.len ? "," : "DROP TABLE ", row[0]);
  mysql_free_result(res);
  if (b.len) kit_sql("%s", b.data);
  buf_done(&b);
}

struct store *kit_open(const char *url, int64_t lease_us) {
  const struct store_opts o = {.url = url, .lease_us = lease_us};
  struct store *s = NULL;
  struct wr_err err;
  if (store_open(&o, &s, &err)) fail_msg("%s", err.msg);
  return s;
}

struct store *kit_fresh(void) {
  kit_wipe();
  return kit_open(kit_url(), 0);
}

struct store *kit_again(void) { return kit_open(kit_url(), 0); }

void kit_end(void) {
  if (db) mysql_close(db);
  db = NULL;
}
