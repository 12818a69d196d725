/* Names of the hosts on which attempts ran, by the incarnation of their node. Living nodes are known without a read; a dead one
 * is read once for an answer. One API thread, one answer. */
#ifndef API_HOSTS_H
#define API_HOSTS_H
#include "call.h"

struct host_seen { int64_t incarnation; const char *host; };
struct hosts {
  struct call *c;
  struct offer_set *set;          /* NULL = not known, or not asked */
  bool asked;
  struct host_seen *v; size_t n, cap;
  struct arena text;
};
void hosts_open(struct hosts *h, struct call *c);
void hosts_close(struct hosts *h);
/* NULL: nobody has run it, or its node is forgotten. Valid until hosts_close(). The caller holds no reader. */
const char *host_of(struct hosts *h, int64_t incarnation);
#endif
