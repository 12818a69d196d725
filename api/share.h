/* How many nodes of a flow instance have ended. The rows say it, and nothing else counts: in a large flow that runs, counting
 * takes long, so a count serves for some time, and longer when it took long. One that has ended needs no count. Any thread. */
#ifndef API_SHARE_H
#define API_SHARE_H
#include <pthread.h>
#include <stdint.h>
#include "err.h"

enum { SHARES = 64 };
struct share { int64_t fi, done, until_us; uint32_t run_no; };
struct shares { pthread_mutex_t mu; struct share v[SHARES]; };
void shares_init(struct shares *s);
void shares_end(struct shares *s);

struct call;
struct flow_read;
/* The field `progress`. */
enum wr_rc share_write(struct call *c, const struct flow_read *in);
#endif
