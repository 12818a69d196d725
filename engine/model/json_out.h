/* Values as JSON text, with the fewest digits that read back as the same number: the one writer of numbers for the store, the
 * API and the executors. Pure, any thread. What never happens: 0.1 becomes 0.10000000000000001. */
#ifndef MODEL_JSON_OUT_H
#define MODEL_JSON_OUT_H
#include <jansson.h>

struct params;
char *json_text(const json_t *v, size_t flags);         /* compact; malloc'ed */
/* Calls fn with the name and the text of each parameter: a string as it is, any other value as JSON, as the API shows it.
 * Both are borrowed. */
typedef void param_fn(void *ctx, const char *name, const char *text);
void params_each(const struct params *p, param_fn *fn, void *ctx);
#endif
