/* The front: owns the listening socket and every connection whose request is not whole yet, so that a thread is spent on a
 * request and never on a connection.
 *
 * One thread of its own, which never waits but in epoll: it looks at what has arrived without taking it (MSG_PEEK) and asks
 * the kernel to wake it when the rest is there (SO_RCVLOWAT): a connection that waits costs some 50 bytes and no turn. A
 * request is whole when its head is, and a short body with it; it then waits in order for one of `threads`, which take it
 * by front_give(). /livez is answered by this thread, /readyz by a second one (it asks the parts of the node), whatever
 * the threads for requests do. After an answer that left a body unread the connection comes back to be read empty, so that the
 * client gets to read the answer. What is bounded: how many connections wait (the oldest incomplete one goes first), how many of
 * them have one address, how long each waits. What never happens: a spin when descriptors run out. */
#ifndef API_FRONT_H
#define API_FRONT_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "err.h"

enum front_who { FRONT_SELF, FRONT_PROBE, FRONT__N };  /* which of its threads asks */
enum front_then { FRONT_CLOSE, FRONT_KEEP, FRONT_PASS }; /* PASS: nothing was answered, a thread shall do it */

struct front;
struct front_opts {
  int listener;             /* taken, also on failure */
  uint32_t threads;         /* connections that are served at the same time */
  uint32_t most;            /* connections that wait; LIMIT_CONNECTIONS or less */
  int64_t wait_us;          /* a whole request waits so long for a thread, then 503 */
  void *ctx;
  /* Answers on fd without waiting. why: WR_OK = a probe, whose head is the n bytes and may be changed; else a refusal. */
  enum front_then (*answer)(void *ctx, enum front_who who, int fd, char *head, size_t n, enum wr_rc why);
  void (*tick)(void *ctx);  /* each second, on the thread of /readyz */
};

/* "ADDR:PORT", IPv4. fd NULL: only tries, so that a start that cannot work ends before it makes anything. */
enum wr_rc front_listen(const char *addr, int *fd, uint16_t *port, struct wr_err *err) WR_MUST;

struct front *front_new(const struct front_opts *o);
enum wr_rc front_start(struct front *f, struct wr_err *err) WR_MUST;
int front_ready_fd(const struct front *f);    /* readable while front_give() has something */
void front_close(struct front *f);            /* nothing new comes in; what is not whole goes */
void front_free(struct front *f);             /* ends its threads, closes the rest */

/* accept(): the next connection with a whole request, or -1 with EAGAIN. */
int front_give(struct front *f, struct sockaddr *addr, socklen_t *len);
/* For a connection just given: since when its request is whole; late: its body did not come in time. Any thread. */
struct front_first { int64_t since_us; bool late; };
struct front_first front_first(struct front *f, int fd);
void front_back(struct front *f, int fd);          /* about to be closed; its thread is free */
void front_linger(struct front *f, int fd);        /* reads it empty for a moment, then closes it; takes fd */
void front_keep(struct front *f, int fd);          /* its request was answered: the next one may come; takes fd */
bool front_may_keep(struct front *f);              /* a thread may wait for the next request of its connection */
bool front_waits(struct front *f);                 /* a whole request has no thread */
#endif
