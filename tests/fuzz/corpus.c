/* The kept inputs, and small seeded changes of each, through all targets: part of the ordinary tests, with any compiler.
 *
 *   fuzz_corpus DIR        DIR/fuzz_<target>/<file>; one line of TAP for each target
 *   fuzz_corpus TARGET FILE..    only these, unchanged: to look at what the fuzzer found */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "fuzz.h"
#include "mem.h"

typedef int target_fn(const uint8_t *, size_t);
static const struct target { const char *name; target_fn *run; } target[] = {
#define X(n) {#n, fuzz_##n},
    FUZZ_TARGETS(X)
#undef X
};
enum { N_TARGET = sizeof target / sizeof *target, CHANGES = 200, INPUT_MAX = 1 << 20 };

/* What was running when it aborted. */
static char now[512];
static void on_abort(int sig) {
  (void)sig;
  ssize_t ignored = write(STDERR_FILENO, now, strlen(now));
  (void)ignored;
}

/* In memory of exactly that size, so that a sanitizer sees every byte too far. */
static void run(const struct target *t, const uint8_t *p, size_t n, const char *name, int change) {
  snprintf(now, sizeof now, "# %s: %s, change %d\n", t->name, name, change);
  uint8_t *exact = wr_malloc(n ? n : 1);
  if (n) memcpy(exact, p, n);
  (void)t->run(exact, n);
  free(exact);
}

static size_t change(uint8_t *p, size_t n, uint64_t *rnd) {
  uint64_t r = rand_next(rnd);
  if (n == 0) return 0;
  size_t at = (size_t)(r >> 8) % n;
  switch (r % 5) {
  case 0: return at;                                                       /* cut */
  case 1: p[at] ^= (uint8_t)(1u << (r >> 5 & 7)); return n;                /* a bit */
  case 2: p[at] = (uint8_t)(r >> 40); return n;                            /* a byte */
  case 3: memmove(p + at, p + at + 1, n - at - 1); return n - 1;           /* one less */
  default: memmove(p + at + 1, p + at, n - at); return n + 1;              /* one twice */
  }
}

static void run_file(const struct target *t, const char *path, int changes) {
  static uint8_t data[INPUT_MAX], changed[INPUT_MAX + 8];
  FILE *f = fopen(path, "re");
  if (!f) {
    printf("Bail out! %s: %s\n", path, strerror(errno));
    exit(1);
  }
  size_t n = fread(data, 1, sizeof data, f);
  fclose(f);
  run(t, data, n, path, 0);
  uint64_t rnd = n;
  for (int i = 1; i <= changes; i++) {
    memcpy(changed, data, n);
    size_t m = n;
    for (int k = 0; k <= i % 4; k++) m = change(changed, m, &rnd);
    run(t, changed, m, path, i);
  }
}

/* The number of files; hidden ones do not count. */
static int run_directory(const struct target *t, const char *dir) {
  char path[4096];
  struct dirent **list = NULL;
  int files = 0, n;
  snprintf(path, sizeof path, "%s/fuzz_%s", dir, t->name);
  n = scandir(path, &list, NULL, alphasort);
  for (int i = 0; i < n; i++) {
    if (list[i]->d_name[0] != '.') {
      snprintf(path, sizeof path, "%s/fuzz_%s/%s", dir, t->name, list[i]->d_name);
      run_file(t, path, CHANGES);
      files++;
    }
    free(list[i]);
  }
  free(list);
  return files;
}

static int run_some(const char *name, char **file, int n) {
  for (size_t k = 0; k < N_TARGET; k++) {
    if (strcmp(target[k].name, name) != 0) continue;
    for (int i = 0; i < n; i++) run_file(&target[k], file[i], 0);
    return 0;
  }
  fprintf(stderr, "no target \"%s\"\n", name);
  return 2;
}

int main(int argc, char **argv) {
  int failed = 0;
  struct sigaction act = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};
  sigaction(SIGABRT, &act, NULL);
  if (argc < 2) return 2;
  if (argc > 2) return run_some(argv[1], argv + 2, argc - 2);
  printf("1..%d\n", N_TARGET);
  for (int k = 0; k < N_TARGET; k++) {
    int files = run_directory(&target[k], argv[1]);
    printf("%sok %d - %s: %d inputs\n", files ? "" : "not ", k + 1, target[k].name, files);
    fflush(stdout);
    failed += files == 0;
  }
  return failed != 0;
}
