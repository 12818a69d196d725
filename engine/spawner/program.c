/* From the exec to the first guard: see program.h. It has its socket, the lock of the data directory and its seed as
 * descriptors, no environment, and no memory of whoever started it. */
#include "program.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spawner_int.h"

/* Where the arguments of this program stand, which is what ps shows; a new name is no longer than the one that was given. */
static struct { char *at; size_t n; } title;

void spawner_called(const char *name) {
  prctl(PR_SET_NAME, name, 0, 0, 0);
  size_t n = strlen(name);
  if (n >= title.n) return;
  memset(title.at, 0, title.n);
  memcpy(title.at, name, n);
}

/* A socket of packets, which no shell and no person gives. */
static bool is_started(void) {
  int type = 0;
  socklen_t n = sizeof type;
  return getsockopt(FD_SOCK, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
}

void spawner_program(int argc, char **argv) {
  struct spawner_seed seed = {SPAWNER_FIRST, FD_SOCK, FD_LOCK, -1, NULL, NULL, NULL, {0}};
  if (!is_started()) return;
  title.at = argv[0];
  title.n = (size_t)(argv[argc - 1] - argv[0]) + strlen(argv[argc - 1]) + 1;
  spawner_called("weir-guard");
  if (!seed_read(FD_SEED, &seed)) {
    spawner_say(SW_REFUSED, WR_INTERNAL, "The program that is to start tasks is of another version than this one.", -1);
    _exit(1);
  }
  spawner_main(seed);
}
