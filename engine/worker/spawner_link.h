/* The node's end of its spawner: starts it, talks to it, buries it and wakes the next. spawner_start() is in worker.h. After
 * that, all of this belongs to the loop thread. */
#ifndef SPAWNER_LINK_H
#define SPAWNER_LINK_H
#include "mem.h"
#include "reap.h"
#include "spawner_wire.h"
#include "workdir.h"

struct spawner {
  int sock, spare;                   /* -1 = none */
  pid_t guard, pid, spare_pid;       /* guard: the spawner's parent, a child of the node. pid: the spawner, as READY said */
  struct sw_page *page;
  const struct run_as *run_as;       /* who its children may be; `own` was made here, when none was given */
  struct run_as *own;
  uid_t uid;                         /* the spawner's, whatever the node becomes after */
  char *run_path;                    /* DATA/run, absolute */
  dev_t lock_dev; ino_t lock_ino;    /* the file whose lock the processes hold */
  struct never_started *never; size_t n_never, cap_never;
};
/* 0, or errno. EAGAIN: nothing was sent, try again when the socket is writable. fds stay the caller's. */
int spawner_send(struct spawner *s, const void *p, size_t n, const int *fds, int n_fd);
/* One packet of the active spawner: its size; 0 = the spawner is dead; -1 = there is none now. Its kind: see sw_told(). The
 * socket of a READY becomes the spare. The descriptors of an EXIT are in its reports, and are the caller's. */
ssize_t spawner_recv(struct spawner *s, void *p, size_t n, uint32_t *kind);
/* Called when the active spawner is dead. Has its guard (or this process, if the guard is dead too) cleared up? Never blocks;
 * call it until it is true. Then spawner_next() wakes the spare: 0 or -1. */
bool spawner_cleared(struct spawner *s);
int spawner_next(struct spawner *s);
/* SIGKILL for guard and spawner, because the spawner does not move. The spare sends it where this process may not. */
void spawner_kill(struct spawner *s);
void spawner_end(struct spawner *s); /* the process, its spare and s end; waits for the last child */

/* ---- spawner_exec.c ---- */
/* Starts the program of the spawner, as a child of this process. It is an image that this program carries: it is always of the
 * same build, needs no file, and does not change when files are upgraded. Where the kernel executes nothing out of memory
 * (vm.memfd_noexec, a security module), `program` is started, a weir, with its verb `spawner`; NULL = none. The pid, or -1 with
 * errno. */
pid_t spawner_exec_file(const char *file, int sock, int lock, int seed);   /* the same program as a file, a weir-spawner */
pid_t spawner_exec(const char *program, int sock, int lock, int seed);
#endif
