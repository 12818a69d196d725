/* What the tests of the runner's objects share: an env made by hand, ports that note their calls, and a store of a few lines that
 * answers what the test has put into it. Each test makes the object that it tests, and only those that this object uses.
 *
 * One thread, one clock, moved by the test. What never happens: a runner is made. */
#ifndef ENV_KIT_H
#define ENV_KIT_H
#include "../../unit/unit.h"
#include <stdlib.h>
#include <string.h>
#include "env.h"
#include "event.h"
#include "store_backend.h"

#define MS 1000LL
#define SEC 1000000LL
enum { KIT_HINTS = 512, KIT_KEYS = 8, ME = 7 };

enum kit_call {
  KIT_JOIN, KIT_RENEW, KIT_TELL, KIT_REAP, KIT_TASKS, KIT_FLOWS, KIT_JOBS, KIT_OFFICE, KIT_ASKER, KIT_PULSE, KIT_KEYS_READ, KIT_WISH, KIT__N
};

/* The store: what it answers, and how often it was asked. */
struct kit_store {
  struct store s;
  bool single;
  enum store_rc rc[KIT__N];           /* what each call answers */
  unsigned calls[KIT__N];
  int64_t me;                         /* the next incarnation */
  const struct live_task *task; size_t n_task;  /* ascending */
  const struct live_flow *flow; size_t n_flow;
  const int64_t *job; size_t n_job;   /* whose pass is under way */
  size_t page;                        /* the most rows of one answer; 0 = as many as are asked for */
  bool office, rival_asks, asking;    /* this node may reconcile; another one looks for hints; this one does */
  int64_t pulse;
  uint32_t dead;                      /* how many nodes are found dead */
  char told[400];
  struct drain_wish wish;
  struct { const char *key; struct key_row row; uint8_t got; } key[KIT_KEYS]; size_t n_key;  /* got 2: held elsewhere */
};

struct kit {
  struct kit_store store;
  struct env env;
  struct events events;
  struct { struct hint h; uint8_t slot; } pushed[KIT_HINTS]; size_t n_pushed;
  bool push_refused;
  size_t backlog[SLOT__N];
  enum task_stop canceled_why;        /* with canceled_ti */
  unsigned back_waiting, back_all;    /* how often attempts were asked for: those that have not started, all */
  int64_t deadline, canceled_ti;      /* the last values that were told; 0 = never told */
};
extern struct kit kit;

int kit_up(void **st);
int kit_down(void **st);
void kit_pass(int64_t us);            /* time passes on every clock */
void kit_pulls(void);                 /* the queue is the one in this process's memory */
void kit_forget_events(void);

struct attempt *kit_attempt(int64_t fi, int64_t ti, uint32_t epoch, enum slot_class slot);   /* of this node */
/* How many events of that kind are there; the first one, NULL = none. */
size_t kit_count(enum ev_kind kind);
const struct ev *kit_event(enum ev_kind kind);
/* Runs f in a child: does it end by an assertion? */
bool aborts(void (*f)(void));

#define OBJECT(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#endif
