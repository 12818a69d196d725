/* Who asks: one random token of 256 bits in DATA/weir.token (0600), made at the first start; none in dev mode. Read once
 * at start, immutable after; any thread. The token itself is never logged, printed or answered. */
#ifndef API_AUTH_H
#define API_AUTH_H
#include <stdbool.h>
#include "gate.h"

#define AUTH_TOKEN_LEN 64 /* hexadecimal digits */
struct auth { bool open; char token[AUTH_TOKEN_LEN + 1]; char path[512]; };

/* Roles from the lowest to the highest; the one token there is has the highest. */
enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_AUTHOR, ROLE_ADMIN };

/* dir is made when it is missing. Refuses a token file that others may read. */
enum wr_rc auth_load(struct auth *a, const char *dir, struct wr_err *err) WR_MUST;
/* Same text and same time for none, malformed and wrong: UNAUTHENTICATED. */
enum wr_rc auth_check(const struct auth *a, const struct gate_in *in, enum role need, struct wr_err *err) WR_MUST;
#endif
