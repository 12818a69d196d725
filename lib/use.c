/* Who uses the node of a handle, or the server behind it, and what all handles have: that of a process which links the library,
 * and that of a server's plug-ins. Any thread. What never happens: the node goes between enter() and leave(). */
#include "clock.h"
#include "lib_int.h"
#include "log_place.h"

int unusable(const weir_t *h) {
  if (atomic_load(&h->gone))
    return fail(h, WEIR_ERR_UNAVAILABLE, WR_DB_UNAVAILABLE,
                "The file of the database was removed or replaced; this handle can only be closed.");
  if (atomic_load(&h->broken))
    return fail(h, WEIR_ERR_UNAVAILABLE, WR_DB_UNAVAILABLE,
                "The database did not answer when this handle was started; it can only be closed.");
  return fail(h, WEIR_ERR_UNAVAILABLE, WR_DRAINING, "The handle is closed.");
}

static _Thread_local struct log_place *outside; /* where this thread logs when it is in no handle */

bool enter(weir_t *h) {
  pthread_rwlock_rdlock(&h->life);
  if (h->remote ? !atomic_load(&h->ending) : h->node && !atomic_load(&h->gone)) {
    store_deadline(clock_mono_us() + h->opts.request_us);
    outside = log_here(h->log);
    return true;
  }
  pthread_rwlock_unlock(&h->life);
  (void)unusable(h);
  return false;
}

void leave(weir_t *h) {
  store_deadline(0);
  (void)log_here(outside);
  pthread_rwlock_unlock(&h->life);
}

int64_t call_until(const weir_t *h) { return clock_mono_us() + h->opts.request_us; }

int64_t time_up(int64_t timeout_ms) {
  int64_t now = clock_mono_us();
  return timeout_ms < 0 || timeout_ms > (INT64_MAX - now) / 1000 ? INT64_MAX : now + timeout_ms * 1000;
}

struct reader *lib_reader(weir_t *h, struct wr_err *err) {
  struct reader *r = reader_get(h->view.store, err);
  if (!r && err->code == WR_OK) (void)wr_err_set(err, WR_DB_UNAVAILABLE, NULL);
  return r;
}

void use_init(weir_t *h) {
  handle_begins(h);
  pthread_rwlockattr_t a;
  pthread_rwlockattr_init(&a);
  pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP); /* no call takes it twice */
  pthread_rwlock_init(&h->life, &a);
  pthread_rwlockattr_destroy(&a);
  until_init(&h->until);
  h->chooser = chooser_new();
}

void use_done(weir_t *h) {
  handle_ends(h);
  types_free(h);
  until_done(&h->until);
  chooser_free(h->chooser);
  pthread_rwlock_destroy(&h->life);
}
