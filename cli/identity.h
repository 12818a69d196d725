/* Who the server is: the user that it becomes once its spawner runs, and for good. Main thread, before all others.
 *
 * What never happens: a way back to root; a change of the user with --dev or in `weir run`. */
#ifndef CLI_IDENTITY_H
#define CLI_IDENTITY_H
#include <stdbool.h>
#include "run_as.h"

struct identity {
  struct run_as_user user;         /* who the server will be */
  bool becomes;                    /* it is root now and will be that user */
  bool personal;                   /* --dev, `weir run` */
};
/* user: that of --user, NULL = the owner of the data directory. data NULL, or not there yet: whoever starts the program. */
enum wr_rc identity_find(const char *user, const char *data, bool personal, struct identity *out, struct wr_err *err) WR_MUST;
void identity_done(struct identity *id);
/* Becomes that user, and may gain nothing by any program that it starts. Others of that user cannot look into this process. */
enum wr_rc identity_take(const struct identity *id, struct wr_err *err) WR_MUST;
#endif
