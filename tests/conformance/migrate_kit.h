/* What the tests of migrations share: the dumps of older releases, and a migration that kills itself at a chosen point. */
#ifndef MIGRATE_KIT_H
#define MIGRATE_KIT_H
#include "facts.h"
#include "migrate.h"

/* The releases whose databases are kept in tests/upgrade, NULL last; the schema of each. */
struct release { const char *name; int64_t schema; };
extern const struct release kit_release[];
char *kit_dump(const char *release, const char *store);          /* to be freed */
enum wr_rc kit_migrate(const char *url, struct wr_err *err);
/* Migrates in a process of its own, which is killed after this step of this file of this database. False: it ended before. */
bool kit_killed(const char *url, const struct schema_set *set, size_t file, size_t step);
bool kit_killed_when_done(const char *url, const char *db);      /* the same, killed as soon as this database is done */
#endif
