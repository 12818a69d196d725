/* Names of the hosts on which attempts ran, by the incarnation of their node. Living nodes are known without a read; a dead one
 * is read once for an answer. One thread, one answer. */
#ifndef CLIENT_HOSTS_H
#define CLIENT_HOSTS_H
#include "offers.h"
#include "view.h"

struct host_seen { int64_t incarnation; const char *host; };
struct hosts {
  const struct view *v;
  struct offer_set *set;          /* NULL = not known, or not asked */
  bool asked;
  struct host_seen *seen; size_t n, cap;
  struct arena text;
};
void hosts_open(struct hosts *h, const struct view *v);
void hosts_close(struct hosts *h);
/* NULL: nobody has run it, or its node is forgotten. Valid until hosts_close(). The caller holds no reader. */
const char *host_of(struct hosts *h, int64_t incarnation);
#endif
