/* Three calls of the C library, as the HTTP library makes them. hook.c defines accept(), listen() and recv() for the whole
 * program: the dynamic linker resolves the HTTP library's calls to them, since an executable comes first. On a thread that set
 * nothing here they are what they always were. So the library, unchanged, gets its connections from the front, and the raw
 * bytes of a request are seen before it cuts them up. What never happens: a wait that the call itself would not have. */
#ifndef API_HOOK_H
#define API_HOOK_H
#include <stdbool.h>
#include "mem.h"

/* What a thread of the library has received: `raw` begins where the request at hand begins. */
struct wire {
  int fd;             /* of the connection it serves */
  bool head;          /* the thread reads a head: keep the bytes */
  struct buf raw;
};
struct front;
extern _Thread_local struct wire *hook_wire;     /* recv() keeps what it got */
extern _Thread_local struct front *hook_front;   /* accept() takes connections from it */
extern _Thread_local int *hook_listen;           /* listen() only stores the descriptor here */
#endif
