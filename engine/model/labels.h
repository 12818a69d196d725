/* Labels: what a member has (--labels), and what a task asks of the member that runs it (taskConfig.labels). A label is NAME or
 * NAME=VALUE; two are the same when all their characters are. As text: with commas between. Pure; any thread. */
#ifndef MODEL_LABELS_H
#define MODEL_LABELS_H
#include <jansson.h>
#include <stdbool.h>
#include "err.h"

struct jpath;
/* Of an option. *out: each label once, malloc'ed; NULL = none. BAD_REQUEST, with a sentence that begins with `what`. */
enum wr_rc labels_parse(const char *what, const char *text, char **out, struct wr_err *err) WR_MUST;
/* The same of JSON: ["gpu", "zone=a"], "gpu,zone=a" or {"gpu": true, "zone": "a"}. WRONG_TYPE, OUT_OF_RANGE, TOO_LARGE. */
enum wr_rc labels_read(const json_t *v, const struct jpath *at, char **out, struct wr_err *err) WR_MUST;
/* What a stored taskConfig asks for; NULL = nothing. malloc'ed. */
char *labels_of_config(const char *config);
/* have has all of want; NULL or "" = none. */
bool labels_have(const char *have, const char *want);
/* Those of want that have has not, cut to fit. False: there are none. */
bool labels_lack(const char *have, const char *want, char *out, size_t n);
#endif
