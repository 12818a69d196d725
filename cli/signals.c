/* Signals: see signals.h. SIGUSR1 is our own wake-up; nothing is ever done inside a handler. */
#include "signals.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "cond.h"
#include "log.h"

#define HASTE_US 300000

static sigset_t ours;
static pthread_t main_thread;
static struct { int64_t us; int (*status)(void *ctx); void *ctx; } last;

void signals_block(void) {
  struct sigaction old;
  main_thread = pthread_self();
  sigemptyset(&ours);
  sigaddset(&ours, SIGINT);
  sigaddset(&ours, SIGTERM);
  sigaddset(&ours, SIGUSR1);
  if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaddset(&ours, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &ours, NULL);
  struct sigaction ign = {.sa_handler = SIG_IGN};
  sigaction(SIGPIPE, &ign, NULL);
  sigaction(SIGXFSZ, &ign, NULL); /* a limit on file size is met as an error, like a full disk */
}

int signals_wait(void) {
  int sig = 0;
  while (sigwait(&ours, &sig) != 0) {}
  return sig == SIGUSR1 ? 0 : sig;
}

int signals_wait_until(int64_t mono_us) {
  for (;;) {
    int64_t left = mono_us - clock_mono_us();
    if (left < 0) left = 0;
    struct timespec ts = mono_at(left);
    int sig = sigtimedwait(&ours, NULL, &ts);
    if (sig < 0 && errno == EINTR) continue;
    return sig < 0 || sig == SIGUSR1 ? 0 : sig;
  }
}

bool signals_stopping(void) {
  sigset_t come;
  if (sigpending(&come) != 0) return false;
  return sigismember(&come, SIGTERM) == 1 || sigismember(&come, SIGINT) == 1 || sigismember(&come, SIGHUP) == 1;
}

void signals_wake(void) { pthread_kill(main_thread, SIGUSR1); }

bool signals_haste(int sig) {
  static int64_t first_us;
  int64_t now = clock_mono_us();
  if (!first_us) first_us = now;
  return sig == SIGINT && now - first_us >= HASTE_US;
}

static void *exit_main(void *arg) {
  (void)arg;
  sigset_t hard = ours;
  sigdelset(&hard, SIGUSR1);
  int64_t end = clock_mono_us() + last.us;
  int sig = -1;
  for (int64_t left; !signals_haste(sig) && (left = end - clock_mono_us()) > 0;) {
    struct timespec ts = mono_at(left);
    sig = sigtimedwait(&hard, NULL, &ts);
  }
  int status = last.status(last.ctx);
  log_warn("exit.forced", L_STR("why", sig == SIGINT ? "second Ctrl-C" : "the clean stop took too long"));
  _exit(status);
}

void signals_exit_after(int64_t us, int (*status)(void *ctx), void *ctx) {
  (void)signals_haste(0);
  last.us = us;
  last.status = status;
  last.ctx = ctx;
  pthread_t t;
  if (pthread_create(&t, NULL, exit_main, NULL) == 0) pthread_detach(t);
}
