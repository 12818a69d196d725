/* See mysql_kit.h. */
#include "mysql_kit.h"
#include "mem.h"

static MYSQL *db;
static char name[80], path[200], url[400];

bool kit_begin(const char *what) {
  const char *u = getenv("WEIR_TEST_MYSQL");
  if (!u || !*u) {
    puts("1..0 # SKIP WEIR_TEST_MYSQL is not set");
    return false;
  }
  const char *at = strchr(u, '@'), *slash = at ? strchr(at, '/') : NULL, *sock = strstr(u, "?socket=");
  if (!slash || !sock) {
    puts("Bail out! WEIR_TEST_MYSQL must be mysql://root@localhost/NAME?socket=PATH");
    exit(1);
  }
  snprintf(name, sizeof name, "%.*s_%s", (int)(sock - slash - 1), slash + 1, what);
  snprintf(path, sizeof path, "%s", sock + 8);
  snprintf(url, sizeof url, "mysql://root@localhost/%s?socket=%s", name, path);
  db = mysql_init(NULL);
  if (!db || !mysql_real_connect(db, NULL, "root", NULL, NULL, 0, path, 0)) {
    puts("Bail out! the server of WEIR_TEST_MYSQL does not answer");
    exit(1);
  }
  kit_wipe();
  return true;
}

void kit_end(void) {
  kit_sql("DROP DATABASE `%s`", name);
  mysql_close(db);
  db = NULL;
}

const char *kit_url(void) { return url; }
const char *kit_socket(void) { return path; }
const char *kit_name(void) { return name; }

__attribute__((format(printf, 1, 0))) static MYSQL_RES *ask(const char *fmt, va_list ap) {
  char text[1024];
  int n = vsnprintf(text, sizeof text, fmt, ap);
  if (n < 0 || (size_t)n >= sizeof text || mysql_query(db, text)) fail_msg("%s: %s", text, mysql_error(db));
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

char *kit_ask(bool log, const char *sql) {
  struct buf b = BUF_INIT;
  (void)log;
  if (mysql_query(db, sql)) fail_msg("%s: %s", sql, mysql_error(db));
  MYSQL_RES *res = mysql_store_result(db);
  for (MYSQL_ROW row; res && (row = mysql_fetch_row(res));) {
    for (unsigned i = 0; i < mysql_num_fields(res); i++) buf_printf(&b, "%s|", row[i] ? row[i] : "-");
    buf_ch(&b, '\n');
  }
  if (res) mysql_free_result(res);
  buf_ch(&b, '\0');
  return b.data;
}

int kit_server_pid(void) {
  char at[600] = "", line[32] = "";
  mysql_query(db, "SELECT IF(LEFT(@@pid_file,1)='/', @@pid_file, CONCAT(@@datadir, @@pid_file))");
  MYSQL_RES *res = mysql_store_result(db);
  MYSQL_ROW row = res ? mysql_fetch_row(res) : NULL;
  if (row && row[0]) snprintf(at, sizeof at, "%s", row[0]);
  mysql_free_result(res);
  FILE *f = fopen(at, "r");
  if (!f) return 0;
  int pid = fgets(line, sizeof line, f) ? (int)strtol(line, NULL, 10) : 0;
  fclose(f);
  return pid;
}

void kit_wipe(void) {
  kit_sql("DROP DATABASE IF EXISTS `%s`", name);
  kit_sql("CREATE DATABASE `%s`", name);
  kit_sql("USE `%s`", name);
}

struct store *kit_open(const char *at, int64_t lease_us) {
  const struct store_opts o = {.url = at, .lease_us = lease_us};
  struct store *s = NULL;
  struct wr_err err;
  if (store_open(&o, &s, &err)) fail_msg("%s", err.msg);
  return s;
}

struct store *kit_fresh(void) {
  kit_wipe();
  return kit_open(url, 0);
}

struct store *kit_again(void) { return kit_open(url, 0); }
