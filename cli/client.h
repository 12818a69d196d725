/* A server, as the verbs that talk to one see it: `--server URL`, the token, one request and its answer. Main thread.
 *
 * The token is WEIR_TOKEN, else the file of --token-file, else, when the server is on this machine, weir.token in --data.
 * What never happens: a token on the command line; the token of this machine sent to another one unasked; a request that may have
 * been done taken for one that was not (OUTCOME_UNKNOWN). */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H
#include <jansson.h>
#include "config.h"
#include "verbs.h"

struct client;
enum wr_rc client_open(const struct config *c, struct client **out, struct wr_err *err) WR_MUST;
void client_close(struct client *c);   /* NULL is fine */
/* body NULL = none. *data: a reference to what the answer holds. A refusal of the server is its code and its sentence. */
enum wr_rc client_ask(struct client *c, const char *method, const char *path, const json_t *body, json_t **data,
                      struct wr_err *err) WR_MUST;
/* All pages of a list behind path, which has no query. What comes or goes meanwhile may be there twice, or be missing. */
enum wr_rc client_list(struct client *c, const char *path, json_t **all, struct wr_err *err) WR_MUST;
void client_print(const json_t *data);   /* as JSON, on standard output */
/* An option that belongs to one of the words behind a verb, which is not the one that was said: BAD_REQUEST. */
enum wr_rc client_only(const struct config *c, enum opt_id id, const char *verb, const char *word, struct wr_err *err) WR_MUST;
/* The exit code of a verb that ended with rc. */
enum exit_code client_exit(enum wr_rc rc);
#endif
