/* Reading the FILE of `weir run` into definitions. Main thread. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H
#include "config.h"
#include "def_env.h"
#include "wfformat.h"
/* JSON of FILE ("-" = stdin), bounded like the body of POST /flow. *code: the exit code when it fails. */
enum wr_rc input_json(const char *file, json_t **out, int *code, struct wr_err *err) WR_MUST;
double input_scale(const char *text);       /* NaN = not a decimal number >= 0 */
/* -p k=v ... -> params, NULL = none. */
enum wr_rc input_params(const struct opt_value *list, struct params **out, struct wr_err *err) WR_MUST;
/* Parses body and saves it in the site's store: as the flow that it names if the store has that flow, else as a new one. */
enum wr_rc input_flow(struct def_site *site, const json_t *body, struct flow_def **out, struct wr_err *err) WR_MUST;
#endif
