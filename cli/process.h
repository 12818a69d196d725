/* What a process has only once: limits, signals, the allocator, stacks, its user, the orphans that come to it, and how it ends
 * when its node cannot go on. No room of the engine sets these. Main thread, before all others. */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H
#include "identity.h"
#include "node.h"

/* Makes or checks the data directory, starts the spawner of a node with the worker's role, blocks the signals that
 * signals_wait() takes, sets limits for the threads to come, and becomes the user that `who` says. */
enum wr_rc process_prepare(const struct node_opts *o, const struct identity *who, struct spawner **out,
                           struct wr_err *err) WR_MUST;
/* For node_opts. gone: ends the process as if it were killed, and its spawner ends the children; useless: asks it to stop;
 * stopping: it was asked to. */
void process_gone(void *ctx, enum node_gone what, const char *why);
void process_useless(void *ctx);
bool process_stopping(void *ctx);
/* From now on the files of the node may go: this process removes them itself, and is about to end. */
void process_leaves_nothing(void);
#endif
