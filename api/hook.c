/* The calls of the HTTP library that come to us: see hook.h. The table is what ELF calls the relocations of an object: for each
 * name that it asks for, the place where the dynamic linker has put the address. */
#include "hook.h"
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "clock.h"
#include "front.h"

_Thread_local struct wire *hook_wire;
_Thread_local struct front *hook_front;
_Thread_local struct nap *hook_nap;
_Thread_local int *hook_listen;

enum { NAP_FDS = 8 };                /* the library polls one descriptor, and those that it listens on */

/* ---- ours; what each was before, where a thread is none of ours ---- */

static int (*old_accept)(int, struct sockaddr *, socklen_t *);
static int (*old_listen)(int, int);
static ssize_t (*old_recv)(int, void *, size_t, int);
static int (*old_poll)(struct pollfd *, nfds_t, int);
static int (*old_sigaction)(int, const struct sigaction *, struct sigaction *);

static int our_listen(int fd, int backlog) {
  if (!hook_listen) return old_listen(fd, backlog);
  *hook_listen = fd;
  return 0;
}

static int our_accept(int fd, struct sockaddr *addr, socklen_t *len) {
  return hook_front ? front_give(hook_front, addr, len) : old_accept(fd, addr, len);
}

static ssize_t our_recv(int fd, void *p, size_t n, int flags) {
  struct wire *w = hook_wire;
  ssize_t got = old_recv(fd, p, n, flags);
  if (!w || !w->head) return got;
  w->fd = fd;
  if (got > 0) buf_add(&w->raw, p, (size_t)got);
  return got;
}

static int interrupted(void) {
  errno = EINTR;
  return -1;
}

static int our_poll(struct pollfd *v, nfds_t n, int ms) {
  const struct nap *nap = hook_nap;
  struct pollfd all[NAP_FDS + 1];
  if (!nap || n > NAP_FDS) return old_poll(v, n, ms);
  if (nap->until_us) {
    int64_t left = nap->until_us - clock_mono_us();
    if (left <= 0) return interrupted();
    if (ms < 0 || left / 1000 < ms) ms = (int)(left / 1000) + 1;
  }
  memcpy(all, v, n * sizeof *v);
  all[n] = (struct pollfd){nap->stop_fd, POLLIN, 0};
  int got = old_poll(all, n + 1, ms);
  if (got > 0 && all[n].revents) return interrupted();
  memcpy(v, all, n * sizeof *v);
  return got;
}

/* Each thread of the library ignores SIGPIPE for the whole process: not needed where a host has it blocked for our threads. */
static int our_sigaction(int sig, const struct sigaction *to, struct sigaction *was) {
  sigset_t blocked;
  bool deaf = sig == SIGPIPE && pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 && sigismember(&blocked, SIGPIPE) == 1;
  return deaf ? 0 : old_sigaction(sig, to, was);
}

/* ---- the table ---- */

struct call { const char *name; void *ours, *old; bool needed, done; };
struct object {
  uintptr_t base, sealed, n_sealed;  /* sealed: what the dynamic linker made read-only once it was done */
  const ElfW(Sym) *sym;
  const char *str;
  const ElfW(Rela) *rel[2];
  size_t n_rel[2];
};

/* glibc has added the base already where it can; other C libraries have not. */
static const void *at(const struct object *o, uintptr_t p) {
  p = p < o->base ? p + o->base : p;
  return (const void *)p;
}

static void read_dynamic(struct object *o, const ElfW(Dyn) *d) {
  for (; d->d_tag != DT_NULL; d++) {
    uintptr_t p = d->d_un.d_ptr;
    switch (d->d_tag) {
    case DT_SYMTAB: o->sym = at(o, p); break;
    case DT_STRTAB: o->str = at(o, p); break;
    case DT_JMPREL: o->rel[0] = at(o, p); break;
    case DT_PLTRELSZ: o->n_rel[0] = d->d_un.d_val / sizeof(ElfW(Rela)); break;
    case DT_RELA: o->rel[1] = at(o, p); break;
    case DT_RELASZ: o->n_rel[1] = d->d_un.d_val / sizeof(ElfW(Rela)); break;
    default: break;
    }
  }
}

static int read_sealed(struct dl_phdr_info *i, size_t size, void *ctx) {
  struct object *o = ctx;
  (void)size;
  if (i->dlpi_addr != o->base) return 0;
  for (int k = 0; k < i->dlpi_phnum; k++) {
    const ElfW(Phdr) *p = &i->dlpi_phdr[k];
    if (p->p_type == PT_GNU_RELRO) o->sealed = o->base + p->p_vaddr, o->n_sealed = p->p_memsz;
  }
  return 1;
}

/* Which of the calls a line of the table is about; NULL = none. */
static struct call *wanted(const struct object *o, const ElfW(Rela) *r, struct call *v, size_t n) {
  const char *name = o->str + o->sym[ELF64_R_SYM(r->r_info)].st_name;
  for (size_t i = 0; i < n; i++)
    if (strcmp(v[i].name, name) == 0) return &v[i];
  return NULL;
}

/* What stands there is the dynamic linker's stub as long as nobody has made the call: that would put the old address back. */
static bool is_stub(const struct object *o, const void *p) {
  Dl_info i;
  return !dladdr(p, &i) || (uintptr_t)i.dli_fbase == o->base;
}

static bool put_call(const struct object *o, const ElfW(Rela) *r, struct call *c) {
  void *_Atomic *place = (void *_Atomic *)(o->base + r->r_offset);
  uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE), here = (uintptr_t)place, page = here & ~(size - 1);
  void *was = atomic_load(place);
  if (was == c->ours) return true;
  if (!is_stub(o, was)) c->old = was; /* else what this object itself would call */
  if (mprotect((void *)page, size, PROT_READ | PROT_WRITE) != 0) return false;
  switch (c->name[0]) { /* before anybody can come */
  case 'a': old_accept = c->old; break;
  case 'l': old_listen = c->old; break;
  case 'r': old_recv = c->old; break;
  case 'p': old_poll = c->old; break;
  default: old_sigaction = c->old; break;
  }
  atomic_store(place, c->ours);
  bool sealed = here >= o->sealed && here < o->sealed + o->n_sealed;
  if (sealed) (void)mprotect((void *)page, size, PROT_READ);
  return true;
}

static enum wr_rc take_calls(const struct object *o, struct wr_err *err) {
  struct call v[] = {{"accept", our_accept, accept, true, false}, {"listen", our_listen, listen, true, false},
                     {"recv", our_recv, recv, true, false}, {"poll", our_poll, poll, true, false},
                     {"sigaction", our_sigaction, sigaction, false, false}};
  const size_t n = sizeof v / sizeof *v;
  for (int t = 0; t < 2 && o->sym && o->str; t++)
    for (size_t i = 0; o->rel[t] && i < o->n_rel[t]; i++) {
      struct call *c = wanted(o, &o->rel[t][i], v, n);
      if (c && !put_call(o, &o->rel[t][i], c)) return wr_err_set(err, WR_INTERNAL, "The API cannot start: %s.", strerror(errno));
      if (c) c->done = true;
    }
  for (size_t i = 0; i < n; i++)
    if (v[i].needed && !v[i].done)
      return wr_err_set(err, WR_INTERNAL, "The API cannot start: libcivetweb is no shared object, or does not call %s().",
                        v[i].name);
  return WR_OK;
}

enum wr_rc hook_begin(const void *of, struct wr_err *err) {
  static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
  static bool done;
  struct object o = {0};
  struct link_map *map = NULL;
  Dl_info info;
  enum wr_rc rc = WR_OK;
  pthread_mutex_lock(&mu);
  if (!done) {
    if (dladdr1(of, &info, (void **)&map, RTLD_DL_LINKMAP) && map) {
      o.base = map->l_addr;
      read_dynamic(&o, map->l_ld);
      (void)dl_iterate_phdr(read_sealed, &o);
    }
    rc = take_calls(&o, err);
    done = rc == WR_OK;
  }
  pthread_mutex_unlock(&mu);
  return rc;
}
