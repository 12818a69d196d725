/* Signals as messages: blocked in every thread, taken by the main thread only. SIGPIPE is ignored. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H
#include <stdbool.h>
#include <stdint.h>
/* After the spawner was started, before any thread. */
void signals_block(void);
/* Waits for SIGINT, SIGTERM or SIGHUP (unless it was ignored at start), or signals_wake(); returns its number, 0 = woken. */
int signals_wait(void);
/* The same, at most until the monotonic time given; 0 then too. */
int signals_wait_until(int64_t mono_us);
bool signals_stopping(void);         /* one that ends a process has come, and nobody has taken it yet */
void signals_wake(void);             /* any thread; wakes the main thread */
/* A signal that came after the first: does it ask for haste? Only a second Ctrl-C of a person does. SIGTERM never
 * does: a stop is bounded anyway, and some senders send it twice (timeout(1): to the process, then to its group). Two SIGINTs
 * at once are one wish for the same reason. The first call starts the clock. */
bool signals_haste(int sig);
/* From now on a helper thread takes signals. Haste, or the end of `us`, ends the process with _exit(status(ctx)). status() is
 * called at that moment, on that thread. The spawner kills what still runs. */
void signals_exit_after(int64_t us, int (*status)(void *ctx), void *ctx);
#endif
