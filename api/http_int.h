/* Private to http.c and send.c: what both know of a request and of the thread that has it. */
#ifndef API_HTTP_INT_H
#define API_HTTP_INT_H
#include <stdatomic.h>
#include "hook.h"
#include "http.h"

enum { HEAD_ROOM = 640 };    /* in front of the answer's body, for its headers: one write for both */

struct http_thread {
  struct http_scratch scratch;
  struct wire wire;          /* threads of the library: the raw bytes */
  bool first;                /* no request of that connection was seen so far */
  _Atomic int64_t busy_us;   /* since when it handles a request; 0 = it handles none */
  struct nap nap;            /* threads of the library: when a blocking read of it ends */
  int64_t date_s;
  char date[40];
};

/* Writes to the client of a thread of the library, however slowly it reads: within a bound, and only so many at once. */
bool http_put_slow(struct http_req *q, const void *p, size_t n);
#endif
