/* Packets with descriptors, over a socket of packets: sent and received here and nowhere else. Used by node, spawner, guard and
 * spare, on any thread. The sender keeps the descriptors that it sends; the receiver must close those that it receives.
 *
 * What never happens: a receiver gets more descriptors than it has room for, whatever the sender does. The kernel may deliver
 * more than were asked for, because it counts in padded bytes. Those beyond the room are closed here. */
#ifndef FDS_H
#define FDS_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { FDS_MAX = 32 };             /* in one packet */
struct fds {
  size_t n;
  bool cut;                        /* the packet had more descriptors than there was room for, or more bytes; or this process was
                                      out of descriptors */
  int v[FDS_MAX];
};
/* As sendmsg(). n_fd is at most FDS_MAX. */
ssize_t fds_send(int sock, const void *p, size_t n, const int *fd, size_t n_fd, int flags);
/* As recv(), but never fails with EINTR. Takes at most `room` descriptors (at most FDS_MAX), which are closed on exec. After a
 * failure there are none. */
ssize_t fds_recv(int sock, void *p, size_t n, int flags, size_t room, struct fds *out);
/* Closes all but the first `kept`. */
void fds_close(struct fds *f, size_t kept);
#endif
