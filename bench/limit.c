/* The raw ceilings beside which Weir's figures are printed. One JSON object on stdout.
 *
 *   limit sqlite FILE SCHEMA STEPS BATCH HEADS FLOWS
 *   limit mysql SCHEMA STEPS BATCH HEADS FLOWS [host=.. port=.. user=.. password=.. socket=..]
 *   limit spawn N AT_ONCE argv|sh     posix_spawn and wait of /bin/true, by itself or in sh -c
 *   limit fsync FILE N                append 4 KiB and fdatasync */
#include "limit.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

char *read_file(const char *path) {
  FILE *f = fopen(path, "re");
  if (!f || fseek(f, 0, SEEK_END) != 0) die("%s: %s", path, strerror(errno));
  long n = ftell(f);
  char *s = n >= 0 ? malloc((size_t)n + 1) : NULL;
  rewind(f);
  if (!s || fread(s, 1, (size_t)n, f) != (size_t)n) die("%s cannot be read", path);
  s[n] = 0;
  fclose(f);
  return s;
}

static int64_t count(const char *s) {
  char *end;
  long long v = strtoll(s, &end, 10);
  if (*end || end == s || v < 0) die("not a count: %s", s);
  return v;
}

static struct shape shape_of(char **v) {
  struct shape s = {count(v[0]), count(v[1]), count(v[2]), count(v[3])};
  if (s.steps < 1 || s.batch < 1) die("STEPS and BATCH must be at least 1");
  return s;
}

static void print_rate(const char *what, int64_t n, double seconds) {
  printf("{\"%s\":%lld,\"seconds\":%.6f,\"per_second\":%.1f}\n", what, (long long)n, seconds, (double)n / seconds);
}

static void spawn_one(char *const *argv) {
  extern char **environ;
  pid_t pid;
  int rc = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
  if (rc != 0) die("posix_spawn: %s", strerror(rc));
}

static void limit_spawn(int64_t n, int64_t at_once, const char *how) {
  static char name[] = "/bin/true", sh[] = "/bin/sh", c[] = "-c";
  char *direct[] = {name, NULL}, *shell[] = {sh, c, name, NULL};
  char **argv = strcmp(how, "sh") == 0 ? shell : direct;
  int64_t t = now_us(), started = 0, ended = 0;
  while (ended < n) {
    while (started < n && started - ended < at_once) {
      spawn_one(argv);
      started++;
    }
    int status;
    if (waitpid(-1, &status, 0) < 0 || status != 0) die("a child failed");
    ended++;
  }
  print_rate("children", n, (double)(now_us() - t) / 1e6);
}

static void limit_fsync(const char *file, int64_t n) {
  static const char page[4096];
  int fd = open(file, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) die("%s: %s", file, strerror(errno));
  int64_t t = now_us();
  for (int64_t i = 0; i < n; i++)
    if (write(fd, page, sizeof page) != (ssize_t)sizeof page || fdatasync(fd) != 0) die("%s: %s", file, strerror(errno));
  print_rate("syncs", n, (double)(now_us() - t) / 1e6);
  close(fd);
  unlink(file);
}

int main(int argc, char **argv) {
  if (argc == 8 && strcmp(argv[1], "sqlite") == 0) {
    struct shape s = shape_of(argv + 4);
    print_rate("steps", s.steps, limit_sqlite(argv[2], argv[3], &s));
  } else if (argc >= 7 && strcmp(argv[1], "mysql") == 0) {
    struct shape s = shape_of(argv + 3);
    print_rate("steps", s.steps, limit_mysql(argv + 7, argc - 7, argv[2], &s));
  } else if (argc == 5 && strcmp(argv[1], "spawn") == 0) {
    limit_spawn(count(argv[2]), count(argv[3]), argv[4]);
  } else if (argc == 4 && strcmp(argv[1], "fsync") == 0) {
    limit_fsync(argv[2], count(argv[3]));
  } else {
    die("usage: see the head of bench/limit.c");
  }
  return 0;
}
