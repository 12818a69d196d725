/* A relay on a unix socket between a store and its server, which can lose packets. One thread. A cut hits the next packet that
 * fits, so a test first says which packet is to be lost, then makes the store send it. */
#ifndef MYSQL_PROXY_H
#define MYSQL_PROXY_H
#include <stdbool.h>

enum cut {
  CUT_NOTHING,
  CUT_CLOCK_ANSWER,     /* the question for the server's time passes, its answer is lost */
  CUT_WRITE_ANSWER,     /* the packet of a batch passes, its answer is lost */
  CUT_COMMIT,           /* COMMIT is lost, the server sees the connection end */
  CUT_COMMIT_ANSWER,    /* COMMIT passes, its answer is lost */
  CUT_COMMIT_HALF       /* COMMIT is lost, the client sees the end, the server does not until proxy_let_go() */
};
struct proxy;
struct proxy *proxy_new(const char *listen_path, const char *server_path);
void proxy_free(struct proxy *p);
void proxy_cut(struct proxy *p, enum cut c);
bool proxy_did(struct proxy *p);   /* the cut was made */
void proxy_slow(struct proxy *p, int ms);   /* each packet of the server takes this long, one after the other */
void proxy_silent(struct proxy *p, bool on);   /* connections stay, and new ones are to be had, but no byte passes */
void proxy_let_go(struct proxy *p);
#endif
