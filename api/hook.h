/* Five calls of the C library, as the HTTP library makes them. hook_begin() writes the addresses of functions of ours into the
 * table by which that shared object calls others, and nothing else of the process sees them: a program that links libweir may
 * use sockets, and even the HTTP library itself, as ever. On a thread that set nothing here each call is what it was before. So
 * the library, unchanged, gets its connections from the front, the raw bytes of a request are seen before it cuts them up, its
 * waits end at a deadline or a stop without a signal, and on a thread that has SIGPIPE blocked it does not ignore that for the
 * whole process.
 *
 * What never happens: a call of another object that comes here; a table that is left open for writing; a way back, because
 * another handle may be in use: the object that has this file stays loaded. */
#ifndef API_HOOK_H
#define API_HOOK_H
#include <stdbool.h>
#include "err.h"
#include "mem.h"

/* What a thread of the library has received: `raw` begins where the request at hand begins. */
struct wire {
  int fd;             /* of the connection it serves */
  bool head;          /* the thread reads a head: keep the bytes */
  struct buf raw;
};
/* When a thread's poll() ends early, as if a signal had come. */
struct nap {
  int stop_fd;        /* readable: from now on */
  int64_t until_us;   /* CLOCK_MONOTONIC; 0 = never */
};
struct front;
extern _Thread_local struct wire *hook_wire;     /* recv() keeps what it got */
extern _Thread_local struct front *hook_front;   /* accept() takes connections from it */
extern _Thread_local struct nap *hook_nap;       /* poll() ends by it */
extern _Thread_local int *hook_listen;           /* listen() only stores the descriptor here */

/* of: any function of the HTTP library. Any thread; once done, the next calls do nothing. */
enum wr_rc hook_begin(const void *of, struct wr_err *err) WR_MUST;
#endif
