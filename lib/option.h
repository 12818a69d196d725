/* Options by name, for the command line and for weir_open(): one table (option.def), one reader of values, one meaning. Values
 * belong to whoever has the struct opt_value, until opt_forget(). One sentence says what is wrong with a value; one that may
 * hold a password is not shown. Any thread; no state. */
#ifndef LIB_OPTION_H
#define LIB_OPTION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"
#include "mem.h"
#include "queue_opts.h"

enum opt_type {
  OPT_TEXT,
  OPT_INT,     /* num, within the bounds */
  OPT_TIME,    /* num in microseconds: "2s", "500ms", "60" */
  OPT_SIZE,    /* num in bytes: "64MiB", "512KiB", "1GiB", "65536" */
  OPT_CHOICE,  /* num = place in the list that is its argument text */
  OPT_SWITCH,  /* num 0 or 1; as a flag it takes no value */
  OPT_MANY     /* a list; by commas in file and environment */
};
enum { VERB_SERVER = 1, VERB_RUN = 2, VERB_TOKEN = 4, VERB_DB = 8, VERB_LIB = 16, VERB_MEMBER = 32,
       VERB_EXECUTOR = 64, VERB_JOB = 128, VERB_ANALYZER = 256,
       VERB_CLIENT = VERB_MEMBER | VERB_EXECUTOR | VERB_JOB | VERB_ANALYZER };
/* LIB: weir_open(); CLIENT: all that talk to a server */
enum {
  OPT_SECRET = 1,
  OPT_FLAG_ONLY = 2,       /* the environment is not read for it: a SHELL task has a WEIR_OUTPUT that means another thing */
  OPT_NOT_IN_FILE = 4,
  OPT_REFUSE_ENV = 8       /* a flag only, and its variable is refused: a user who sets WEIR_DRY_RUN expects no change */
};

enum opt_id {
#define OPT(id, ...) OPT_##id,
#include "option.def"
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
struct opt {
  char letter;
  const char *name;
  enum opt_type type;
  int64_t min, max;
  const char *def;
  unsigned verbs, traits;
  const char *arg, *help;
};
extern const struct opt opt_table[OPT__N];

/* where: the option as the user wrote it, for the message. Later sources replace earlier ones; a list from a flag grows. */
enum wr_rc opt_set(struct opt_value *v, int id, const char *where, const char *text, enum opt_from from,
                   struct wr_err *err) WR_MUST;
/* All that have a default. */
enum wr_rc opt_defaults(struct opt_value v[OPT__N], struct wr_err *err) WR_MUST;
void opt_forget(struct opt_value *v);

/* ---- what options come to; dash: what stands before a name in a message, "--" or "" ---- */
uint32_t opt_slots(const struct opt_value v[OPT__N]);
/* All of the queues but the policy. Borrows from v, and from names, which the caller has initialized. */
enum wr_rc opt_queues(const struct opt_value v[OPT__N], const char *dash, struct arena *names, struct queue_opts *q,
                      struct wr_err *err) WR_MUST;
/* NULL = none; the arena's. */
enum wr_rc opt_labels(const struct opt_value v[OPT__N], const char *dash, struct arena *names, const char **out,
                      struct wr_err *err) WR_MUST;
/* The address as the API takes it: figures only, and IPv4. FORBIDDEN where listening there is not safe. */
enum { OPT_LISTEN_ROOM = 32 };
enum wr_rc opt_listen(const struct opt_value v[OPT__N], const char *dash, char out[OPT_LISTEN_ROOM], struct wr_err *err) WR_MUST;
#endif
