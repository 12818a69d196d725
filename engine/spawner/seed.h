/* What a spawner's program is told at its start, since it inherits nothing of its parent: one file in memory.
 *
 *   page   the first 4096 bytes: struct sw_page, mapped by the node and by all its spawners
 *   seed   behind it: struct found, the users of tasks, where tasks run. The program reads it once, then cuts it off
 *
 * The node makes it and owns its descriptor; the program gets that as FD_SEED. Neither its arguments nor its environment say
 * anything. What never happens: a program of another build that takes it. */
#ifndef SEED_H
#define SEED_H
#include "err.h"
#include "found.h"
#include "run_as.h"
#include "spawner_wire.h"

enum { SEED_PAGE_BYTES = 4096 };
enum { SPAWNER_FIRST, SPAWNER_SPARE };
/* 0 to 3 are /dev/null: the places of a child's own files, in a table that the child shares at first.
 * SEED: until the exec'd program has read it. */
enum { FD_OWN = 4, FD_SOCK = FD_OWN, FD_LOCK, FD_NULL, FD_RUN, FD_SEED = FD_NULL };
/* run -1 = to be made */
struct spawner_seed {
  int role, sock, lock, run;
  const char *run_path;
  struct sw_page *page;
  const struct run_as *run_as;
  struct found found;
};

/* The file, and its page; -1 with errno. */
int seed_new(struct sw_page **page);
/* Behind the page. 0, or -1 with errno. */
int seed_write(int fd, const struct spawner_seed *seed);
/* Maps and reads it, for the life of this process; takes fd. sock, lock, run are left alone. False: it is no seed, or of another
 * build. */
bool seed_read(int fd, struct spawner_seed *seed);
#endif
