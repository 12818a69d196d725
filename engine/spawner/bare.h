/* Calls of the kernel that leave errno alone: between clone and exec the spawner's errno is its child's too, and either may be
 * about to read why a call of its own failed. Each returns what the kernel does: a negative error number, or its result. */
#ifndef BARE_H
#define BARE_H
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__attribute__((no_sanitize("address", "undefined", "thread")))
static inline long bare_call(long number, long a, long b, long c, long d, long e) {
#if defined(__x86_64__)
  long rc;
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = 0;
  __asm__ volatile("syscall" : "=a"(rc) : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return rc;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = 0;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#else /* when both processes fail at the same moment, one may read the errno of the other */
  long rc = syscall(number, a, b, c, d, e, 0L);
  return rc < 0 ? -errno : rc;
#endif
}

/* 0, or what errno would be. */
static inline int bare_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *patience) {
  long rc = bare_call(SYS_futex, (long)word, FUTEX_WAIT, (long)value, (long)patience, 0);
  return rc < 0 ? (int)-rc : 0;
}
#endif
