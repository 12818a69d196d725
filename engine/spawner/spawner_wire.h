/* What a node and its spawner say to each other, in packets on one SOCK_SEQPACKET pair. The spawner is a program of its own, of
 * the same build (seed.h refuses another one), so structs travel as they are. Also the facts about the processes that both sides
 * know: the lock's file, marks.
 *
 *   node -> spawner:  START (as descriptors: output[, stderr, when it is apart][, notes][, stdin][, context][, script]
 *                     [, program][, text])   KILL
 *                     RECALL   LOOK   ACTIVATE
 *                     SPARE: make another, which is answered by READY again
 *   spawner -> node:  READY (with the socket of its successor) or REFUSED, once;  EXIT, exactly once for each START. STARTED
 *                     comes before it, when the START asked for that. Up to SW_REPORTS of these two share a packet
 *   spare -> node:    HELLO, once. An ACTIVATE makes the spare a guard, whose spawner says READY
 *
 * When the node's end is closed, the node is dead: the spawner kills all that runs and ends. */
#ifndef SPAWNER_WIRE_H
#define SPAWNER_WIRE_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/* Shared memory of the node and all its spawners: the deadline moves with every batch, too often for a packet. */
struct sw_page {
  _Atomic int64_t deadline_us;       /* CLOCK_BOOTTIME; nothing starts after it and all is killed at it */
  _Atomic uint32_t slots;            /* attempts at once; a START beyond it waits (gate.c). 0 = no bound */
  _Atomic int64_t gate_wait_us;      /* a START that waits longer goes back: another node may have it */
  _Atomic uint64_t turns;            /* of the spawner: if the count stands still while we ask, the spawner hangs */
  _Atomic int64_t begun;             /* id of the newest START that waits no more; starts are begun in their order. Those beside
                                        the places have no part in it */
};

enum sw_kind {
  SW_START = 1, SW_KILL, SW_RECALL, SW_LOOK, SW_ACTIVATE, SW_READY, SW_REFUSED, SW_HELLO, SW_STARTED, SW_EXIT, SW_STUCK, SW_SPARE,
  SW_SLAY
};
enum { SW_LIMITS = 16, SW_INLINE = 48 * 1024, SW_FDS = 7, SW_REPORTS = 32 };
enum { SW_STDIN = 1, SW_TEXT_FD = 2, SW_CWD = 4, SW_USER = 8, SW_TELL = 16, SW_APART = 32, SW_NOTES = 64,
       SW_CONTEXT = 128, SW_SCRIPT = 256, SW_PROGRAM = 512, SW_BESIDE = 1024 };
/* sw_start.flags. TELL: send STARTED. NOTES: the child has a descriptor 3, a pipe for what it reports while it runs. CONTEXT: a
 * file with what an earlier attempt left for this one; without it WEIR_CONTEXT is empty. SCRIPT: a file whose path becomes the
 * last argument. PROGRAM: the file that is executed, whatever argv[0] names; never with SCRIPT. BESIDE: it takes no
 * place and waits for none; who sends it bounds their number. */

struct sw_limit { uint32_t resource; uint64_t soft, hard; };
/* Followed, in the packet or (SW_TEXT_FD) in the last descriptor, by text_bytes of text: n_group group ids (uint32_t),
 * then NUL-terminated: [cwd], argv, env. */
struct sw_start {
  uint32_t kind, flags;
  int64_t id, ti;                    /* ti, epoch: of the attempt, for the list of those that never started */
  uint32_t epoch;
  uint32_t uid, gid, n_group;        /* SW_USER */
  int32_t umask;                     /* -1 = that with which the server was started */
  uint32_t n_argv, n_env, n_limit;
  uint64_t text_bytes;
  struct sw_limit limit[SW_LIMITS];
};
struct sw_kill { uint32_t kind; int32_t force; int64_t id, grace_us; };
enum { SW_SLAY_MAX = 64 };
/* Node -> spare. The spare kills these processes and answers with a struct sw_plain of the same kind. */
struct sw_slay { uint32_t kind, n; pid_t pid[SW_SLAY_MAX]; };
/* READY, REFUSED, HELLO, RECALL, LOOK, ACTIVATE. rc: of REFUSED, an enum wr_rc. */
struct sw_plain { uint32_t kind; int32_t pid; int32_t rc; char text[244]; };

/* The step at which a start failed. WAITED: no step failed; the start waited too long for a place, or was called back before it
 * had one. */
enum sw_step { STEP_NONE, STEP_FORK, STEP_DEADLINE, STEP_REQUEST, STEP_SESSION, STEP_FILES, STEP_LIMIT, STEP_USER, STEP_CWD,
               STEP_PRCTL, STEP_EXEC, STEP_INTERPRETER, STEP_WAITED, STEP_NOT_ALLOWED, STEP_WORKDIR, STEP_DISTURBED, STEP_HANGS };
enum { SW_ASKED = 1, SW_LATE = 2 };  /* sw_exit.flags. ASKED: a TERM or KILL of ours came first. LATE: the deadline killed it */
struct sw_exit {                     /* EXIT; of STARTED: kind, id, start_us */
  uint32_t kind, flags;
  int64_t id;
  int32_t step, err;                 /* step != 0: it did not start; errno */
  int32_t status;                    /* of wait4 */
  int64_t start_us, run_us;          /* CLOCK_MONOTONIC when it was forked, 0 = never; how long its process lived */
  int64_t utime_us, stime_us, maxrss_kib;
  char name[16];                     /* STUCK: id, or 0 = unknown; status: a pid that SIGKILL does not end; err: its state */
  int32_t output, fd;                /* enum workdir_output. OUTPUT_FILE: a descriptor goes along, in the order of the packet's
                                        reports; spawner_recv() puts it here */
};

/* ---- kinds and sizes: a packet whose size is not that of its kind has kind 0, and none of its fields is believed ---- */

/* Of a packet of n bytes to a spawner or a spare. The text of a START is checked later (launch.c). */
static inline uint32_t sw_asked(const void *p, size_t n) {
  uint32_t kind = 0;
  if (n >= sizeof kind) memcpy(&kind, p, sizeof kind);
  switch (kind) {
    case SW_START: return n >= sizeof(struct sw_start) ? kind : 0;
    case SW_KILL: return n == sizeof(struct sw_kill) ? kind : 0;
    case SW_SLAY: return n == sizeof(struct sw_slay) ? kind : 0;
    default: return n == sizeof(struct sw_plain) ? kind : 0;
  }
}

/* Of a packet of n bytes to the node. */
static inline uint32_t sw_told(const void *p, size_t n) {
  uint32_t kind = 0;
  if (n >= sizeof kind) memcpy(&kind, p, sizeof kind);
  switch (kind) {
    case SW_EXIT: case SW_STARTED: case SW_STUCK: return n % sizeof(struct sw_exit) == 0 ? kind : 0;
    default: return n == sizeof(struct sw_plain) ? kind : 0;
  }
}

/* ---- the processes ---- */
#define LOCK_NAME "lock"
/* DATA/lock: the node's pid, blanks, a newline; then a line "ti epoch" for each attempt that never started. */
enum { LOCK_PID_BYTES = 12 };
#define MARK_BASE (1ULL << 42)       /* MARK_BASE + id of a START = the limit of file locks of its processes (strays.h) */
#define GATE_WAIT_US 100000          /* what sw_page.gate_wait_us is at first */
#endif
