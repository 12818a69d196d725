/* The token's file, DATA/weir.token, and the note that says where else it lies. Used by a server at its start and while it runs
 * (auth.c), and by `weir token`. No state; any thread, one at a time for a directory.
 *
 * What never happens: a token in a file that others may read; a token that is overwritten before the next one counts; one that
 * counts set aside for what the database said before. */
#ifndef API_TOKEN_H
#define API_TOKEN_H
#include "auth.h"

struct bearer { char text[AUTH_TOKEN_LEN + 1], hash[STORE_TOKEN_CHARS + 1]; };
#define TOKEN_FILE "weir.token"
#define TOKEN_NEXT_FILE "weir.token.new"   /* one that is to take its place */

void token_new(struct bearer *t);
/* Of DIR: NOT_FOUND where there is none. */
enum wr_rc token_read(const char *dir, struct bearer *t, struct wr_err *err) WR_MUST;
/* The one of several that may change the token and its file in DIR - rotations, a server that starts or looks -, until the
 * descriptor is closed: who has it and reads the database finds there what the file has to say. -1: the others take longer than
 * wait_us. */
#define TOKEN_TURN_US 10000000
int token_turn(const char *dir, int64_t wait_us, struct wr_err *err) WR_MUST;
/* A file beside weir.token, complete and durable. Then token_place() makes it weir.token - with replace whatever is there,
 * without only where nothing is, else FORBIDDEN - or token_drop() removes it. */
enum wr_rc token_prepare(const char *dir, const struct bearer *t, struct wr_err *err) WR_MUST;
enum wr_rc token_place(const char *dir, bool replace, struct wr_err *err) WR_MUST;
void token_drop(const char *dir);
/* In one's turn, with what the database says in that turn: weir.token is that token, or it goes out of the way (weir.token.old)
 * and a note says where the token is. One that lies beside it still, because its rotation was cut off, is put in its place.
 * True: it is there. */
bool token_settle(const char *dir, const struct store_token *t);
/* "HOST:DIR" of this directory, as it stands in the database. */
void token_here(const char *dir, char out[256]);
/* The note: where the token lies that is not here. "" = there is no note. */
void token_noted(const char *dir, char out[256]);
#endif
