/* A disk that fails when told to: a layer over SQLite's own file system. Once installed, every connection uses it. It counts the
 * calls of one kind, over all files and threads, from the moment at which it is armed. */
#ifndef FAULT_VFS_H
#define FAULT_VFS_H
#include <stdbool.h>
enum fault_kind { FAULT_WRITE, FAULT_SYNC };
#define FAULT_EVERY 0                 /* every call fails, not only one */
void fault_install(void);             /* before the first connection */
/* Call number n (1 = the next) of this kind fails with an SQLite code, nothing done. */
void fault_arm(enum fault_kind kind, int n, int code);
bool fault_disarm(void);              /* did any call fail? */
#endif
