/* The token's file, DATA/weir.token, and the note that says where else it lies. Used by a server at its start and while it runs
 * (auth.c), and by `weir token`. No state; any thread, one at a time for a directory.
 *
 * What never happens: a token in a file that others may read; a token that is overwritten before the next one counts; a token
 * that counts but is set aside because of what the database said earlier. */
#ifndef API_TOKEN_H
#define API_TOKEN_H
#include "auth.h"

struct bearer { char text[AUTH_TOKEN_LEN + 1], hash[STORE_TOKEN_CHARS + 1]; };
#define TOKEN_FILE "weir.token"
#define TOKEN_NEXT_FILE "weir.token.new"   /* the token that is to take its place */

void token_new(struct bearer *t);
/* Reads the token of DIR: NOT_FOUND when there is none. */
enum wr_rc token_read(const char *dir, struct bearer *t, struct wr_err *err) WR_MUST;
/* Takes the turn to change the token and its file in DIR, which rotations and servers share, until the descriptor is closed: in
 * its turn a process that reads the database finds there what the file has to say. -1: the others take longer than wait_us. */
#define TOKEN_TURN_US 10000000
int token_turn(const char *dir, int64_t wait_us, struct wr_err *err) WR_MUST;
/* Makes a file beside weir.token, complete and durable. Then token_drop() removes it, or token_place() makes it weir.token: with
 * replace in place of any file there, without replace only where there is none, else FORBIDDEN. */
enum wr_rc token_prepare(const char *dir, const struct bearer *t, struct wr_err *err) WR_MUST;
enum wr_rc token_place(const char *dir, bool replace, struct wr_err *err) WR_MUST;
void token_drop(const char *dir);
/* In the caller's turn, with what the database says in that turn. Either weir.token is that token, or the file goes out of the
 * way (weir.token.old) and a note says where the token is. A token that still lies beside weir.token, because its rotation was
 * cut off, is put in place. True: weir.token is that token. */
bool token_settle(const char *dir, const struct store_token *t);
/* "HOST:DIR" of this directory, as it stands in the database. */
void token_here(const char *dir, char out[256]);
/* The note: where the token lies when it is not here. "" = there is no note. */
void token_noted(const char *dir, char out[256]);
#endif
