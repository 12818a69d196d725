/* A database for a test on MySQL or MariaDB, and a raw connection beside the store, to look and to disturb. */
#ifndef MYSQL_KIT_H
#define MYSQL_KIT_H
#include "mysql_lib.h"
#include "facts.h"

/* Makes the database NAME_what on the server of WEIR_TEST_MYSQL=mysql://root@localhost/NAME?socket=PATH.
 * false: the variable is not set; a TAP line says so. */
bool kit_begin(const char *what);
void kit_end(void);                     /* drops it */
const char *kit_url(void);              /* of that database */
const char *kit_socket(void);
const char *kit_name(void);
void kit_sql(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *kit_ask(bool log, const char *sql);  /* as backend.ask */
int64_t kit_int(const char *fmt, ...) __attribute__((format(printf, 1, 2)));  /* -1 when there is no row */
struct store *kit_open(const char *url, int64_t lease_us);                    /* fails the test when the store cannot be opened */
int kit_server_pid(void);               /* 0: not known */
void kit_wipe(void);                    /* the database is empty again */
struct store *kit_fresh(void);
struct store *kit_again(void);
#endif
