/* How busy the machine is: see load.h. The mutex guards what was read last; the thread that finds it old reads /proc without
 * it. */
#include "load.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include "clock.h"
#include "text.h"

#define FRESH_US 1000000

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct { int64_t at_us, free_bytes; double load; } seen = {INT64_MIN / 2, -1, -1};

/* ---- pure ---- */
double load_of(const char *loadavg) {
  int64_t us; /* as if it were seconds */
  return text_duration(loadavg, strcspn(loadavg, " \n"), 1000000 * 1000000LL, &us) ? (double)us / 1000000 : -1;
}

int64_t load_free(const char *meminfo) {
  const char *p = strstr(meminfo, "MemAvailable:");
  int64_t kib = 0;
  if (!p) return -1;
  p += strlen("MemAvailable:");
  p += strspn(p, " \t");
  return text_i64(p, strspn(p, "0123456789"), &kib) && kib <= INT64_MAX >> 10 ? kib << 10 : -1;
}

bool load_judge(const struct queue_opts *o, double load_per_core, int64_t free_bytes, char *why, size_t n) {
  if (n) why[0] = '\0';
  if (o->max_load > 0 && load_per_core > o->max_load) {
    snprintf(why, n, "the load of the machine is %.2f for each core, more than --max-load %g", load_per_core, o->max_load);
    return false;
  }
  if (o->min_free_bytes > 0 && free_bytes >= 0 && free_bytes < o->min_free_bytes) {
    snprintf(why, n, "%lld MiB of memory are free, less than --min-free-memory %lld MiB", (long long)free_bytes >> 20,
             (long long)o->min_free_bytes >> 20);
    return false;
  }
  return true;
}

/* ---- the machine ---- */
static const char *read_text(const char *path, char *out, size_t n) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? 0 : read(fd, out, n - 1);
  if (fd >= 0) close(fd);
  out[got > 0 ? got : 0] = '\0';
  return out;
}

static void look(void) {
  char text[4096];
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  double load = load_of(read_text("/proc/loadavg", text, sizeof text));
  int64_t free_bytes = load_free(read_text("/proc/meminfo", text, sizeof text));
  pthread_mutex_lock(&mu);
  seen.load = load < 0 ? -1 : load / (double)(cores > 0 ? cores : 1);
  seen.free_bytes = free_bytes;
  pthread_mutex_unlock(&mu);
}

bool load_allows(const struct queue_opts *o, char *why, size_t n) {
  if (n) why[0] = '\0';
  if (o->max_load <= 0 && o->min_free_bytes <= 0) return true;
  int64_t now = clock_mono_us();
  pthread_mutex_lock(&mu);
  bool old = now - seen.at_us >= FRESH_US;
  if (old) seen.at_us = now;
  pthread_mutex_unlock(&mu);
  if (old) look();
  pthread_mutex_lock(&mu);
  double load = seen.load;
  int64_t free_bytes = seen.free_bytes;
  pthread_mutex_unlock(&mu);
  return load_judge(o, load, free_bytes, why, n);
}
