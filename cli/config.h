/* Options of the command line: one table (config.def), three sources. Precedence: default < file < environment < flag.
 *
 * Read once, before any thread. Values belong to the struct until config_done(). One sentence reports a value that is out of
 * bounds, an unknown flag or an unknown key of the file. Unknown WEIR_* variables are ignored, because tasks have some too. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "err.h"

enum opt_type {
  OPT_TEXT,
  OPT_INT,     /* num, within the bounds */
  OPT_TIME,    /* num in microseconds: "2s", "500ms", "60" */
  OPT_SIZE,    /* num in bytes: "64MiB", "512KiB", "1GiB", "65536" */
  OPT_CHOICE,  /* num = place in the list that is its argument text */
  OPT_SWITCH,  /* num 0 or 1; as a flag it takes no value */
  OPT_MANY     /* a list; by commas in file and environment */
};
enum { VERB_SERVER = 1, VERB_RUN = 2, VERB_TOKEN = 4, VERB_DB = 8 };
enum {
  OPT_SECRET = 1,
  OPT_FLAG_ONLY = 2,       /* the environment is not read for it: a SHELL task has a WEIR_OUTPUT that means another thing */
  OPT_NOT_IN_FILE = 4,
  OPT_REFUSE_ENV = 8       /* a flag only, and its variable is refused: a user who sets WEIR_DRY_RUN expects no change */
};

enum opt_id {
#define OPT(id, ...) OPT_##id,
#include "config.def"
#undef OPT
  OPT__N
};

enum opt_from { FROM_NOWHERE, FROM_DEFAULT, FROM_FILE, FROM_ENV, FROM_FLAG };
struct opt_value {
  char *text;              /* NULL = not set */
  int64_t num;
  char **many; size_t n_many, cap_many;
  enum opt_from from;
};
struct config {
  struct opt_value v[OPT__N];
  char **args; int n_args; /* what is not an option; points into argv */
  bool help;               /* -h or --help was given: nothing else was checked */
};

/* argv[0] is the verb. */
enum wr_rc config_load(struct config *c, unsigned verb, int argc, char **argv, struct wr_err *err) WR_MUST;
void config_done(struct config *c);
static inline const char *config_text(const struct config *c, enum opt_id id) { return c->v[id].text; }
static inline int64_t config_num(const struct config *c, enum opt_id id) { return c->v[id].num; }
/* The options a verb takes, as help text. */
void config_help(FILE *to, unsigned verb);
/* Every option of the verb with its value and where it came from; passwords masked. effective: the value in force of an
 * option that was not given, or was given as "auto"; "" = none. */
typedef void config_effective_fn(const struct config *c, enum opt_id id, char *out, size_t n);
void config_show(FILE *to, const struct config *c, unsigned verb, config_effective_fn *effective);
#endif
