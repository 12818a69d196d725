/* `weir db migrate`: brings a database to the schema of this program, as every start does, or with --dry-run says what would be
 * done. Main thread. What never happens: a database that is made because its path was mistyped (SQLite); a change with
 * --dry-run, or with a WEIR_DRY_RUN that somebody takes for it (config.def). */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "migrate.h"
#include "place.h"
#include "store.h"
#include "verbs.h"

struct shown {
  enum migrate_how how;
  bool files;               /* there is something to apply */
  int64_t starts;           /* as in migrate_told, the most of database and log; 0 = nothing that is there has to change */
};

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
  if (t->event == MIGRATE_FILE) printf("  %s\n", t->file->name), s->files = true;
  if (t->event == MIGRATE_FILE && t->from && t->starts > s->starts) s->starts = t->starts;
  if (t->event == MIGRATE_DONE) printf("%s has schema %lld now\n", t->db, (long long)t->to);
  fflush(stdout); /* a large table takes its time */
}

static void show_outlook(const struct shown *s) {
  fputs("Nothing was changed.", stdout);
  if (s->starts)
    printf(" Make a backup before you migrate: no weir before schema %lld starts on the database afterwards.",
           (long long)s->starts);
  putchar('\n');
}

/* Files that root makes beside another user's database would stand in the way of the server. */
static enum wr_rc act_as_owner(const struct config *c, const struct place *p, struct wr_err *err) {
  struct stat st;
  if (config_text(c, OPT_DATA) || !config_text(c, OPT_STORE)) return place_take(p, err);
  if (geteuid() != 0 || strncmp(p->store, "sqlite:", 7) != 0 || stat(p->store + 7, &st) != 0 || st.st_uid == 0) return WR_OK;
  return wr_err_set(err, WR_FORBIDDEN,
                    "%.160s belongs to another user: do this as that user, or name the data directory with --data.",
                    p->store + 7);
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
  rc = store_migrate(&o, &(struct migrate_watch){.how = s.how, .tell = show, .ctx = &s}, err);
  if (s.how == MIGRATE_LOOK && s.files && !rc) show_outlook(&s);
  return rc;
}

static enum wr_rc check_words(const struct config *c, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  const char *what = c->n_args ? c->args[0] : NULL, *more = c->n_args > 1 ? c->args[1] : NULL;
  if (!what) return wr_err_set(err, WR_BAD_REQUEST, "Say what to do: `weir db migrate`. See `weir db --help`.");
  if (strcmp(what, "migrate") != 0)
    return wr_err_set(err, WR_BAD_REQUEST, "There is no %s here: say `weir db migrate`. See `weir db --help`.",
                      wr_err_quote(q, what, strlen(what)));
  if (!more) return WR_OK;
  return wr_err_set(err, WR_BAD_REQUEST, "`weir db migrate` takes no %s: name the database with --data or --store.",
                    wr_err_quote(q, more, strlen(more)));
}

int verb_db(int argc, char **argv) {
  struct config c;
  struct wr_err err = {0};
  enum wr_rc rc = config_load(&c, VERB_DB, argc, argv, &err);
  int code = EXIT_OK;
  if (!rc && c.help) {
    puts("Usage: weir db migrate [--dry-run] [options]\n\n"
         "Brings the database to the schema of this program, as the start of a server does.\n"
         "With --dry-run it says which files of schema/ that would apply, and changes nothing.\n");
    config_help(stdout, VERB_DB);
  } else {
    if (!rc) rc = check_words(&c, &err);
    if (!rc) rc = migrate(&c, &err);
    if (rc) code = complain("db", &err, rc == WR_NOT_FOUND ? EXIT_NOT_FOUND : exit_of(rc));
  }
  config_done(&c);
  return code;
}
