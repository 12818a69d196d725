/* A database for tests that may be emptied, and a raw connection beside the store to look and to disturb. */
#ifndef MYSQL_KIT_H
#define MYSQL_KIT_H
#include <mysql.h>
#undef WR_ALLOW_SHARP
#undef WR_BANNED_H
#include "banned.h"
#include "facts.h"

const char *kit_url(void);              /* WEIR_TEST_MYSQL, NULL when it is not set */
MYSQL *kit_db(void);                    /* connected when first asked for; kept */
void kit_sql(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int64_t kit_int(const char *fmt, ...) __attribute__((format(printf, 1, 2)));  /* -1 when there is no row */
struct store *kit_open(const char *url, int64_t lease_us);                    /* fails the test when it cannot */
void kit_wipe(void);                    /* drops every table */
struct store *kit_fresh(void);
struct store *kit_again(void);
void kit_end(void);
#endif
