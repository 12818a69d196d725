/* `weir db migrate`: brings a database to the schema of this program, as every start does, or with --dry-run says what would be
 * done. Main thread. What never happens: a database that is made because its path was mistyped (SQLite); a change with
 * --dry-run. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "migrate.h"
#include "place.h"
#include "store.h"
#include "verbs.h"

struct shown { enum migrate_how how; int64_t starts; };  /* starts: 0 = nothing that is there has to change */

static void show_found(const struct migrate_told *t) {
  long long from = (long long)t->from, to = (long long)t->to;
  if (from == 0) printf("%s is empty; this weir makes schema %lld\n", t->db, to);
  else if (from < to) printf("%s has schema %lld, this weir needs %lld\n", t->db, from, to);
  else if (from == to) printf("%s has schema %lld, as this weir needs\n", t->db, from);
  else printf("%s has schema %lld, this weir has %lld\n", t->db, from, to);
}

static void show(void *ctx, const struct migrate_told *t) {
  struct shown *s = ctx;
  if (t->event == MIGRATE_FOUND) show_found(t);
  if (t->event == MIGRATE_FILE) printf("  %s\n", t->file->name);
  if (t->event == MIGRATE_FILE && t->from) s->starts = t->starts;
  if (t->event == MIGRATE_DONE) printf("%s has schema %lld now\n", t->db, (long long)t->to);
  fflush(stdout); /* a large table takes its time */
}

/* Files that root makes beside another user's database would stand in the way of the server. */
static enum wr_rc act_as_owner(const struct config *c, const struct place *p, struct wr_err *err) {
  struct stat st;
  if (config_text(c, OPT_DATA) || !config_text(c, OPT_STORE)) return place_take(p, err);
  if (geteuid() != 0 || strncmp(p->store, "sqlite:", 7) != 0 || stat(p->store + 7, &st) != 0 || st.st_uid == 0) return WR_OK;
  return wr_err_set(err, WR_FORBIDDEN, "%.160s belongs to another user: do this as that user, or name the data directory with --data.", p->store + 7);
}

static enum wr_rc migrate(const struct config *c, struct wr_err *err) {
  struct place p;
  struct shown s = {.how = config_num(c, OPT_DRY_RUN) ? MIGRATE_LOOK : MIGRATE_APPLY};
  log_setup(config_text(c, OPT_LOG_LEVEL) ? (enum log_level)config_num(c, OPT_LOG_LEVEL) : LOG_WARN,
            config_num(c, OPT_LOG_FORMAT) ? LOG_JSON : LOG_LOGFMT);
  enum wr_rc rc = place_of(c, &p, err);
  if (!rc) rc = act_as_owner(c, &p, err);
  if (rc) return rc;
  /* relaxed: a start warns when the server may forget commits, this verb does not. */
  const struct store_opts o = {.url = p.store, .relaxed = true, .home = p.data};
  rc = store_migrate(&o, &(struct migrate_watch){s.how, show, &s}, err);
  if (s.how == MIGRATE_LOOK && s.starts)
    printf("Nothing was changed. Make a backup before you migrate: no weir before schema %lld starts on the database afterwards.\n", (long long)s.starts);
  return rc;
}

int verb_db(int argc, char **argv) {
  struct config c;
  struct wr_err err = {0};
  enum wr_rc rc = config_load(&c, VERB_DB, argc, argv, &err);
  int code = EXIT_OK;
  if (!rc && c.help) {
    puts("Usage: weir db migrate [--dry-run] [options]\n\nBrings the database to the schema of this program, as the start of a server does.\n"
         "With --dry-run it says which files of schema/ that would apply, and changes nothing.\n");
    config_help(stdout, VERB_DB);
  } else {
    if (!rc && (c.n_args != 1 || strcmp(c.args[0], "migrate") != 0)) rc = wr_err_set(&err, WR_BAD_REQUEST, "Say what: migrate.");
    if (!rc) rc = migrate(&c, &err);
    if (rc) code = complain("db", &err, rc == WR_NOT_FOUND ? EXIT_NOT_FOUND : exit_of(rc));
  }
  config_done(&c);
  return code;
}
