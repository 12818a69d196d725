/* See fds.h. */
#include "fds.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"

ssize_t fds_send(int sock, const void *p, size_t n, const int *fd, size_t n_fd, int flags) {
  union { struct cmsghdr align; char room[CMSG_SPACE(FDS_MAX * sizeof(int))]; } c;
  union { const void *in; void *out; } data = {p}; /* sendmsg() does not write there */
  struct iovec iov = {data.out, n};
  struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
  wr_assert(n_fd <= FDS_MAX);
  if (n_fd) {
    size_t bytes = n_fd * sizeof *fd;
    memset(&c, 0, CMSG_SPACE(bytes)); /* its padding too: the kernel reads it */
    mh.msg_control = &c;
    mh.msg_controllen = CMSG_SPACE(bytes);
    *CMSG_FIRSTHDR(&mh) = (struct cmsghdr){.cmsg_len = CMSG_LEN(bytes), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), fd, bytes);
  }
  return sendmsg(sock, &mh, flags);
}

static void take_rights(const struct cmsghdr *c, size_t room, struct fds *out) {
  const unsigned char *at = CMSG_DATA(c);
  for (size_t left = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); left > 0; left--, at += sizeof(int)) {
    int fd;
    memcpy(&fd, at, sizeof fd);
    if (out->n < room) out->v[out->n++] = fd;
    else close(fd), out->cut = true;
  }
}

ssize_t fds_recv(int sock, void *p, size_t n, int flags, size_t room, struct fds *out) {
  /* One more than any receiver has room for, so that one too many is seen. */
  union { struct cmsghdr align; char room[CMSG_SPACE((FDS_MAX + 1) * sizeof(int))]; } c;
  struct iovec iov = {p, n};
  struct msghdr mh;
  ssize_t got;
  wr_assert(room <= FDS_MAX);
  out->n = 0;
  do {
    mh = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    got = recvmsg(sock, &mh, flags | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  out->cut = got >= 0 && mh.msg_flags & (MSG_CTRUNC | MSG_TRUNC);
  for (struct cmsghdr *h = got < 0 ? NULL : CMSG_FIRSTHDR(&mh); h; h = CMSG_NXTHDR(&mh, h))
    if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) take_rights(h, room, out);
  return got;
}

void fds_close(struct fds *f, size_t kept) {
  while (f->n > kept) close(f->v[--f->n]);
}
