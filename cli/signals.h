/* Signals as messages: blocked in every thread, taken by the main thread only. SIGPIPE is ignored. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H
#include <stdint.h>
/* After the spawner was forked, before any thread. */
void signals_block(void);
/* Waits for SIGINT, SIGTERM or SIGHUP (unless it was ignored at start), or signals_wake(); returns its number, 0 = woken. */
int signals_wait(void);
/* The same, at most until the monotonic time given; 0 then too. */
int signals_wait_until(int64_t mono_us);
void signals_wake(void);             /* any thread; wakes the main thread */
/* From now on a helper thread takes signals: the next one, or `us` gone by, ends the process with _exit(status). The
 * spawner kills what still runs. */
void signals_exit_after(int64_t us, int status);
#endif
