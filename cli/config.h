/* Options of the command line: one table (lib/option.def), three sources. Precedence: default < file < environment < flag.
 *
 * Read once, before any thread. Values belong to the struct until config_done(). One sentence reports a value that is out of
 * bounds, an unknown flag or an unknown key of the file. Unknown WEIR_* variables are ignored, because tasks have some too. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H
#include <stdio.h>
#include "option.h"

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
