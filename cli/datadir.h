/* The data directory: made where it is missing, and refused where it is not ours alone. Main thread, before all others.
 *
 * What never happens: a start in a folder that others may write; a change of the owner of anything that is not a file of ours. */
#ifndef CLI_DATADIR_H
#define CLI_DATADIR_H
#include "identity.h"

/* Makes the directory, or checks that it is the user's (or root's) and not writable by others. */
enum wr_rc datadir_open(const char *path, const struct identity *id, struct wr_err *err) WR_MUST;
/* Files that a server left there while it was root become the user's. Call it while this process is still root. */
enum wr_rc datadir_hand_over(const char *path, const struct identity *id, struct wr_err *err) WR_MUST;
#endif
