/* The temporary directory of `weir run`: made for one run, gone after it; the next run removes what a killed run left.
 * Main thread, before any other exists; run_dir_remove() also at the very end. */
#ifndef CLI_RUN_DIR_H
#define CLI_RUN_DIR_H
#include "err.h"
#include "mem.h"

struct run_dir { char path[256]; int lock; };   /* path[0] = 0: none */
/* Makes the directory in TMPDIR, under a lock that lasts as long as this process and its spawner. Before that it removes
 * directories of the same user whose lock is free: their process, and the spawner that cleared up after it, are dead. */
enum wr_rc run_dir_make(struct run_dir *d, struct wr_err *err) WR_MUST;
void run_dir_remove(struct run_dir *d);
#endif
