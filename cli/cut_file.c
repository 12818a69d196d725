/* What happens when somebody cuts a file that is read through a mapping: see cut_file.h. The handler calls nothing but open,
 * read, write and _exit, and uses no memory but its own. */
#include "cut_file.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include "text.h"
#include "verbs.h"

enum { LINE_MAX_BYTES = 512 };

/* One line of /proc/self/maps, without what does not fit: "55d0-55d8 rw-s 00000000 08:01 12   /a file". */
static bool next_line(int fd, char line[LINE_MAX_BYTES]) {
  size_t n = 0;
  char c = 0;
  while (read(fd, &c, 1) == 1 && c != '\n')
    if (n < LINE_MAX_BYTES - 1) line[n++] = c;
  line[n] = '\0';
  return c == '\n';
}

static uintptr_t hex_address(const char **p) {
  uintptr_t v = 0;
  for (int d; (d = text_hex(**p)) >= 0; (*p)++) v = v << 4 | (uintptr_t)d;
  return v;
}

/* The file whose mapping holds that address; NULL = none does. */
static const char *file_at(uintptr_t at, char line[LINE_MAX_BYTES]) {
  int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  bool found = false;
  while (fd >= 0 && !found && next_line(fd, line)) {
    const char *p = line;
    uintptr_t from = hex_address(&p);
    if (*p == '-') p++;
    found = from <= at && at < hex_address(&p);
  }
  if (fd >= 0) close(fd);
  return found ? strchr(line, '/') : NULL;
}

static void say_raw(const char *text) { (void)!write(STDERR_FILENO, text, strlen(text)); }

static void on_bus(int sig, siginfo_t *info, void *ctx) {
  char line[LINE_MAX_BYTES];
  (void)ctx;
  const char *file = info->si_code == BUS_ADRERR ? file_at((uintptr_t)info->si_addr, line) : NULL;
  if (!file) { /* another cause: the signal comes again and ends the process */
    signal(sig, SIG_DFL);
    return;
  }
  say_raw("weir: ");
  say_raw(file);
  say_raw(" was cut by somebody, or its disk fails. This process ends: start it again.\n");
  _exit(EXIT_UNREACHABLE);
}

void cut_file_watch(void) {
  struct sigaction sa = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
  sigemptyset(&sa.sa_mask);
  sigaction(SIGBUS, &sa, NULL);
}
