/* The members of the cluster as they are shown in answers: what each can run, what goes wrong there. They are read at most once a
 * second, by one thread; meanwhile the others use what was read before.
 *
 * Any thread. What never happens: a read under the lock; a second reader of a thread that holds one. */
#ifndef CLIENT_OFFERS_H
#define CLIENT_OFFERS_H
#include "counts.h"
#include "last_read.h"
#include "node_trouble.h"
#include "store.h"

/* NULL = none */
struct offer {
  int64_t incarnation, slots;
  const char *types, *users, *host, *labels;
  bool drains, analyses;          /* analyses: it calls analyzers */
  const char *executors;          /* of those that were registered at run time: exec_offers.h */
  const struct node_trouble *trouble;
};
struct offer_set { struct read_set base; struct offer *v; size_t n, cap; };
struct offers { struct last_read last; struct counts counts; };

void offers_init(struct offers *o);
void offers_end(struct offers *o);
/* The caller holds no reader. NULL: it is not known now which nodes live. */
struct offer_set *offers_get(struct offers *o, struct store *s);
void offers_put(struct offer_set *set);
/* user: of a SHELL task; NULL = the node's usual user. version: of an executor that was registered at run time and is current;
 * 0 = it is no such type, or any version will do. */
bool offer_runs(const struct offer *v, const char *type, const char *user, int64_t version);
#endif
