/* See seed.h. A file of another build is refused. The content of any file is checked. */
#include "seed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem.h"

enum { SEED_BYTES_MAX = 64 << 20 };
/* Raised when a packet or the seed changes, between two releases, in a way that sizes do not show. */
enum { SEED_BUILD = 1 };

struct seed_head {
  uint32_t build, sizes[4];
  char version[16];                  /* the release */
  uint32_t n_user, bytes;            /* of what follows: the path, then the users */
  struct found found;
};
/* Followed by its groups, its name, and padding to four bytes. */
struct seed_user { uint32_t uid, gid, n_group, name_bytes; };

static struct seed_head head_of_build(void) {
  struct seed_head h;
  memset(&h, 0, sizeof h); /* its gaps too: it is compared */
  h.build = SEED_BUILD;
  h.sizes[0] = sizeof(struct sw_start);
  h.sizes[1] = sizeof(struct sw_exit);
  h.sizes[2] = sizeof(struct sw_page);
  h.sizes[3] = sizeof(struct seed_head);
  snprintf(h.version, sizeof h.version, "%s", WEIR_VERSION);
  return h;
}

int seed_new(struct sw_page **page) {
  int fd = memfd_create("weir-seed", MFD_CLOEXEC);
  void *p = MAP_FAILED;
  if (fd >= 0 && ftruncate(fd, SEED_PAGE_BYTES) == 0) p = mmap(NULL, SEED_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) {
    int why = errno;
    if (fd >= 0) close(fd);
    errno = why;
    return -1;
  }
  *page = p;
  return fd;
}

static void pad(struct buf *b) {
  while (b->len % sizeof(uint32_t)) buf_ch(b, 0);
}

static void add_user(struct buf *b, const struct run_as_user *u) {
  const struct seed_user m = {u->uid, u->gid, (uint32_t)u->n_group, (uint32_t)strlen(u->name) + 1};
  buf_add(b, &m, sizeof m);
  for (size_t i = 0; i < u->n_group; i++) buf_add(b, &(uint32_t){u->group[i]}, sizeof(uint32_t));
  buf_add(b, u->name, m.name_bytes);
  pad(b);
}

static int write_all(int fd, const char *p, size_t n, off_t at) {
  while (n > 0) {
    ssize_t k = pwrite(fd, p, n, at);
    if (k <= 0) return -1;
    p += k;
    at += k;
    n -= (size_t)k;
  }
  return 0;
}

int seed_write(int fd, const struct spawner_seed *seed) {
  struct buf b = BUF_INIT;
  struct seed_head h = head_of_build();
  buf_add(&b, &h, sizeof h);
  buf_add(&b, seed->run_path, strlen(seed->run_path) + 1);
  pad(&b);
  for (size_t i = 0; i < seed->run_as->n; i++) add_user(&b, &seed->run_as->v[i]);
  h.n_user = (uint32_t)seed->run_as->n;
  h.bytes = (uint32_t)(b.len - sizeof h);
  h.found = seed->found;
  memcpy(b.data, &h, sizeof h);
  int rc = write_all(fd, b.data, b.len, SEED_PAGE_BYTES);
  buf_done(&b);
  return rc;
}

/* ---- the program's side ---- */

static bool head_read(int fd, struct seed_head *h) {
  const struct seed_head mine = head_of_build();
  if (pread(fd, h, sizeof *h, SEED_PAGE_BYTES) != (ssize_t)sizeof *h) return false;
  bool same = h->build == mine.build && memcmp(h->sizes, mine.sizes, sizeof mine.sizes) == 0;
  return same && memcmp(h->version, mine.version, sizeof mine.version) == 0 && h->bytes <= SEED_BYTES_MAX;
}

/* n bytes at *at, which moves on behind them; NULL: they are not there. */
static char *piece(char **at, const char *end, size_t n) {
  size_t whole = (n + sizeof(uint32_t) - 1) / sizeof(uint32_t) * sizeof(uint32_t);
  char *p = *at;
  if (whole > (size_t)(end - p)) return NULL;
  *at = p + whole;
  return p;
}

static bool user_read(char **at, const char *end, struct run_as_user *u) {
  struct seed_user m;
  const char *p = piece(at, end, sizeof m);
  if (!p) return false;
  memcpy(&m, p, sizeof m);
  const char *group = m.n_group <= SEED_BYTES_MAX / sizeof(uint32_t) ? piece(at, end, m.n_group * sizeof(uint32_t)) : NULL;
  char *name = group ? piece(at, end, m.name_bytes) : NULL;
  if (!name || m.name_bytes == 0 || name[m.name_bytes - 1] != '\0') return false;
  *u = (struct run_as_user){.name = name, .uid = m.uid, .gid = m.gid, .n_group = m.n_group};
  u->group = wr_calloc((size_t)m.n_group + 1, sizeof *u->group);
  memcpy(u->group, group, m.n_group * sizeof(uint32_t));
  return true;
}
_Static_assert(sizeof(gid_t) == sizeof(uint32_t) && sizeof(uid_t) == sizeof(uint32_t), "users travel as they are");

/* The memory that is read here stays: it lives as long as the process. */
static bool body_read(int fd, const struct seed_head *h, struct spawner_seed *seed) {
  char *text = wr_malloc((size_t)h->bytes + 1), *at = text;
  const char *end = text + h->bytes;
  if (pread(fd, text, h->bytes, SEED_PAGE_BYTES + (off_t)sizeof *h) != (ssize_t)h->bytes) {
    free(text);
    return false;
  }
  text[h->bytes] = '\0';
  seed->run_path = piece(&at, end, strlen(text) + 1);
  if (!seed->run_path || h->n_user > h->bytes / sizeof(struct seed_user)) return false;
  struct run_as *p = wr_new(struct run_as);
  p->v = wr_calloc((size_t)h->n_user + 1, sizeof *p->v);
  while (p->n < h->n_user && user_read(&at, end, &p->v[p->n])) p->n++;
  seed->run_as = p;
  seed->found = h->found;
  return p->n == h->n_user;
}

bool seed_read(int fd, struct spawner_seed *seed) {
  struct seed_head h;
  bool ok = head_read(fd, &h) && body_read(fd, &h, seed);
  seed->page = ok ? mmap(NULL, SEED_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  if (ok) (void)!ftruncate(fd, SEED_PAGE_BYTES); /* we have read the seed */
  close(fd);
  return ok && seed->page != MAP_FAILED;
}
