/* The members of the cluster as they are shown in answers: what each can run, what goes wrong there. They are read at most once a
 * second, by one thread; meanwhile the others use what was read before.
 *
 * Any thread. What never happens: a read under the lock; a second reader of a thread that holds one. */
#ifndef CLIENT_OFFERS_H
#define CLIENT_OFFERS_H
#include <pthread.h>
#include <stdatomic.h>
#include "counts.h"
#include "node_trouble.h"
#include "store.h"

/* NULL = none */
struct offer { int64_t incarnation, slots; const char *types, *users, *host; const struct node_trouble *trouble; };
/* Never changed once it is made. */
struct offer_set { _Atomic uint32_t refs; int64_t at_us; struct offer *v; size_t n, cap; struct arena text; };
struct offers { pthread_mutex_t mu; bool reading; int64_t tried_us; struct offer_set *set; struct counts counts; };

void offers_init(struct offers *o);
void offers_end(struct offers *o);
/* The caller holds no reader. NULL: it is not known now which nodes live. */
struct offer_set *offers_get(struct offers *o, struct store *s);
void offers_put(struct offer_set *set);
/* user: of a SHELL task; NULL = the node's usual user. */
bool offer_runs(const struct offer *v, const char *type, const char *user);
#endif
