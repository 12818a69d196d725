/* The gate of a spawner: attempts that were claimed ahead of a free place, in the order in which they came. The next one
 * is started the moment a child was reaped, with no word from the node; so a node that runs programs of a millisecond
 * does not stand idle for a commit, nor for a change of threads, between two of them. Spawner process only.
 *
 * A gated start has its packet and its descriptors in memory and nothing else: once it is taken back, nothing of it is left. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"
#include "spawner_int.h"

void gate_init(struct gate *g) { *g = (struct gate){.tail = &g->head}; }

void gate_put(struct gate *g, const struct sw_start *m, size_t n, const int *fd, int n_fd, int64_t now_us) {
  struct gated *w = wr_malloc(offsetof(struct gated, m) + n);
  *w = (struct gated){.since_us = now_us, .n = n, .n_fd = n_fd};
  if (n_fd) memcpy(w->fd, fd, (size_t)n_fd * sizeof *fd);
  memcpy(&w->m, m, n);
  *g->tail = w;
  g->tail = &w->next;
  g->n++;
}

static struct gated *unlink_at(struct gate *g, struct gated **at) {
  struct gated *w = *at;
  if (!(*at = w->next)) g->tail = at;
  g->n--;
  return w;
}

struct gated *gate_take(struct gate *g) { return g->head ? unlink_at(g, &g->head) : NULL; }

struct gated *gate_recall(struct gate *g, int64_t id) {
  for (struct gated **at = &g->head; *at; at = &(*at)->next)
    if ((*at)->m.id == id) return unlink_at(g, at);
  return NULL;
}

void gated_free(struct gated *w) {
  for (int i = 0; i < w->n_fd; i++) close(w->fd[i]);
  free(w);
}
