/* The token of the installation: one row of the store, known by its hash. Any thread. Part of store.h's interface. */
#ifndef STORE_TOKEN_H
#define STORE_TOKEN_H
#include "err.h"

struct store;
struct reader;
#define STORE_TOKEN_CHARS 64      /* SHA-256 of it, hexadecimal */
struct store_token { char hash[STORE_TOKEN_CHARS + 1]; char host[256]; };  /* hash "" = none was made yet; host: where it lies */
enum wr_rc reader_token(struct reader *r, struct store_token *out, struct wr_err *err) WR_MUST;
/* Writes it where there is none yet. *t is what holds afterwards, ours or another's. */
enum wr_rc store_claim_token(struct store *s, struct store_token *t, struct wr_err *err) WR_MUST;
/* From outside, beside a server that may be running: reads what is there into *was, then writes *set (NULL = nothing). Makes no
 * database: NOT_FOUND where there is none. OUTCOME_UNKNOWN: it may have been written. */
enum wr_rc store_token_at(const char *url, const struct store_token *set, struct store_token *was, struct wr_err *err) WR_MUST;
#endif
