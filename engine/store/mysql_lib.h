/* libmariadb's header under our ban: it spells strcpy in a macro, so files that need it are compiled with WR_ALLOW_SHARP,
 * and the ban of banned.h begins after it. */
#ifndef MYSQL_LIB_H
#define MYSQL_LIB_H
#include <mysql.h>
#undef WR_ALLOW_SHARP
#undef WR_BANNED_H
#include "banned.h"
#endif
