/* Who asks: one random token of 256 bits for the whole installation. The database holds its SHA-256, which counts for every
 * node; the token itself lies in DATA/weir.token (0600) of the node that made it, and nowhere else. None in dev mode.
 *
 * A thread looks at the row once a second, so that a new token (`weir token rotate`) counts on every node within two; while the
 * store is away the last hash that was seen counts. A host may give a token of its own instead, which counts for its API alone
 * and lies nowhere (auth_start_with). auth_start*(), auth_stop(): main thread; auth_check(): any. What never happens: the token
 * in a log, an answer or a row; a comparison that takes longer the more of it is right. */
#ifndef API_AUTH_H
#define API_AUTH_H
#include <pthread.h>
#include <stdbool.h>
#include "door.h"
#include "gate.h"
#include "store.h"
#include "store_token.h"

#define AUTH_TOKEN_LEN 64 /* hexadecimal digits */
#define AUTH_HASH_BYTES 32
enum { AUTH_OWN_LEAST = 32, AUTH_OWN_MOST = 256 };  /* characters of a host's own token */
struct auth {
  bool open;                       /* dev: everybody is let in */
  struct store *store;             /* changes only while the door is shut */
  struct door *door;
  size_t len;                      /* characters of a token */
  const char *dir;
  char path[512];                  /* of the token's file here; "" = it lies elsewhere */
  char at[256];                    /* where the token lies: HOST:DIR */
  pthread_t thread;
  pthread_mutex_t lock;            /* guards what follows; a leaf */
  pthread_cond_t wake;
  bool running, stop;
  unsigned char hash[AUTH_HASH_BYTES];
};

/* Roles from the lowest to the highest; the only token has the highest. */
enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_AUTHOR, ROLE_ADMIN };

/* Takes the database's hash. Where there is none it makes the first token, or takes the token of a weir.token that lies there. */
enum wr_rc auth_start(struct auth *a, struct store *store, struct door *door, const char *dir, struct wr_err *err) WR_MUST;
/* BAD_REQUEST: the token is too short, too long, or no line of visible ASCII. */
enum wr_rc auth_start_with(struct auth *a, const char *token, struct wr_err *err) WR_MUST;
void auth_stop(struct auth *a);   /* may be called if it never started */
/* UNAUTHENTICATED, with the same text and in the same time for no token, a malformed one and a wrong one. */
enum wr_rc auth_check(struct auth *a, const struct gate_in *in, enum role need, struct wr_err *err) WR_MUST;
#endif
