/* A wait that leaves errno alone: between clone and exec the spawner's errno is its child's too, which may be about to read why
 * a call of its own failed. Returns 0, or what errno would be. */
#ifndef BARE_H
#define BARE_H
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline int bare_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *patience) {
#if defined(__x86_64__)
  long rc;
  register long no_word __asm__("r8") = 0, no_value __asm__("r9") = 0;
  register const struct timespec *time __asm__("r10") = patience;
  __asm__ volatile("syscall" : "=a"(rc) : "0"((long)SYS_futex), "D"(word), "S"((long)FUTEX_WAIT), "d"((long)value), "r"(time), "r"(no_word), "r"(no_value)
                   : "rcx", "r11", "memory");
  return rc < 0 ? (int)-rc : 0;
#elif defined(__aarch64__)
  register long call __asm__("x8") = SYS_futex, rc __asm__("x0") = (long)word, op __asm__("x1") = FUTEX_WAIT, was __asm__("x2") = (long)value;
  register const struct timespec *time __asm__("x3") = patience;
  register long no_word __asm__("x4") = 0, no_value __asm__("x5") = 0;
  __asm__ volatile("svc 0" : "+r"(rc) : "r"(call), "r"(op), "r"(was), "r"(time), "r"(no_word), "r"(no_value) : "memory");
  return rc < 0 ? (int)-rc : 0;
#else /* its errno may then be ours, in the moment of a timeout */
  return syscall(SYS_futex, word, FUTEX_WAIT, value, patience, NULL, 0) < 0 ? errno : 0;
#endif
}
#endif
