/* The way of requests to the node. A host of the library may close its node and open it anew while the API goes on: the door is
 * shut meanwhile, and requests wait in front of it until their time is over. A server never shuts it.
 *
 * Any thread comes in; one at a time shuts and opens. What never happens: the node changes while somebody is in; a wait for the
 * door inside of it. */
#ifndef API_DOOR_H
#define API_DOOR_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct door {
  pthread_mutex_t mu;             /* a leaf */
  pthread_cond_t moved;
  uint32_t in;
  bool shut, gone;                /* gone: there is no node any more */
};
void door_init(struct door *d);
void door_done(struct door *d);
bool door_in(struct door *d, int64_t until_us);   /* false: it is still shut then, or the node is gone */
void door_out(struct door *d);
void door_shut(struct door *d);   /* returns when nobody is in */
void door_open(struct door *d);
void door_gone(struct door *d);   /* it was shut, and stays so: nobody waits for it any more */
#endif
