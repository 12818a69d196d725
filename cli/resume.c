/* `weir run --resume`: see resume.h. The node has begun by itself: this only watches. */
#include "resume.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "follow.h"
#include "rows.h"
#include "say.h"
#include "signals.h"
#include "verbs.h"

#define PAGE_RUNS 500
#define GAP_US 50000              /* between two looks */
#define NAMED 10                  /* runs in one line */

struct resumed { int64_t *fi; size_t n, cap; bool json; size_t shown, failed; };

static int keep_id(void *ctx, const struct flow_row *row) {
  struct resumed *s = ctx;
  *WR_PUSH(s->fi, s->n, s->cap) = row->fi;
  return 0;
}

static enum wr_rc unfinished(struct reader *r, struct resumed *s, struct wr_err *err) {
  struct list_filter f = {.state = -1, .status = 1};
  struct page p = {.limit = PAGE_RUNS};
  int64_t total;
  enum wr_rc rc = WR_OK;
  for (bool more = true; more && !rc; p.offset += PAGE_RUNS) rc = reader_list_flow_ins(r, &f, &p, keep_id, s, &more, &total, err);
  return rc;
}

static void show(struct resumed *s, const struct flow_row *row) {
  struct buf b = BUF_INIT;
  if (s->json) {
    buf_str(&b, s->shown ? ",{" : "{");
    row_flow_fields(&b, row);
    buf_ch(&b, '}');
    say_json(stdout, b.data, b.len);
    buf_done(&b);
  } else {
    printf("flow %lld %s", (long long)row->fi, flow_state_name((enum flow_state)row->state));
    if (row->start_us && row->end_us) printf(" %.3fs", (double)(row->end_us - row->start_us) / 1e6);
    if (row->error) {
      putchar(' ');
      follow_text(stdout, row->error, strlen(row->error));
    }
    putchar('\n');
    fflush(stdout);
  }
  s->shown++;
  s->failed += row->state != FLOW_SUCCESS;
}

struct ended { bool over; uint8_t state; int64_t flow_id, version; };
static int ask_end(void *ctx, const struct flow_row *row) {
  *(struct ended *)ctx = (struct ended){flow_final((enum flow_state)row->state), row->state, row->flow_id, row->flow_version};
  return 0;
}

static int show_flow(void *ctx, const struct flow_row *row) {
  show(ctx, row);
  return 0;
}

/* Shows what failed in a run, as a plain `weir run` does. If the definition cannot be read, only these lines are missing. */
static enum wr_rc show_failures(struct node *n, const struct resumed *s, struct reader *r, int64_t fi, const struct ended *e,
                                struct wr_err *err) {
  struct flow_def *def;
  struct follow f;
  if (defs_flow(node_defs(n), e->flow_id, e->version, -1, &def, err) != WR_OK)
    return err->code == WR_DB_UNAVAILABLE ? err->code : WR_OK;
  follow_init(&f, node_store(n), def, fi);
  f.to = s->json ? stderr : stdout;
  enum wr_rc rc = follow_failures(&f, r, err);
  follow_done(&f);
  def_flow_unref(def);
  return rc;
}

/* Shows the run if it has ended. */
static enum wr_rc look_one(struct node *n, struct resumed *s, struct reader *r, int64_t fi, bool *over, struct wr_err *err) {
  struct ended e = {0};
  enum wr_rc rc = reader_flow_ins(r, fi, ask_end, &e, err);
  if (!rc && e.over && e.state != FLOW_SUCCESS) rc = show_failures(n, s, r, fi, &e, err);
  if (!rc && e.over) rc = reader_flow_ins(r, fi, show_flow, s, err);
  *over = !rc && e.over;
  return rc;
}

/* Shows the runs that have ended since the last look, and forgets them. */
static enum wr_rc runs_look(struct node *n, struct resumed *s, struct wr_err *err) {
  struct reader *r = reader_get(node_store(n), err);
  if (!r) return err->code;
  enum wr_rc rc = WR_OK;
  size_t left = 0;
  for (size_t i = 0; i < s->n; i++) {
    bool over = false;
    if (!rc) rc = look_one(n, s, r, s->fi[i], &over, err);
    if (!over) s->fi[left++] = s->fi[i];
  }
  s->n = left;
  reader_put(r);
  return rc;
}

/* Names the runs that are resumed, or that a signal leaves unfinished: as many as one line holds. */
static void tell(const struct resumed *s, const char *before, const char *after) {
  fprintf(stderr, "%s%zu run%s (fiId", before, s->n, s->n == 1 ? "" : "s");
  for (size_t i = 0; i < s->n && i < NAMED; i++) fprintf(stderr, "%s %lld", i ? "," : "", (long long)s->fi[i]);
  fprintf(stderr, "%s)%s\n", s->n > NAMED ? ", .." : "", after);
}

static int wait_change(atomic_int *poked) {
  int sig = 0;
  while (!atomic_exchange(poked, 0) && !sig) sig = signals_wait();
  for (int64_t until = clock_mono_us() + GAP_US; !sig && clock_mono_us() < until;) sig = signals_wait_until(until);
  return sig;
}

int resume(struct node *n, bool json, atomic_int *poked, struct wr_err *err) {
  struct resumed s = {.json = json};
  struct reader *r = reader_get(node_store(n), err);
  if (!r) return -1;
  enum wr_rc rc = unfinished(r, &s, err);
  reader_put(r);
  int sig = 0;
  if (!rc && !s.n) fputs("the store holds no unfinished run\n", stderr);
  else if (!rc) tell(&s, "resuming ", "");
  if (!rc && json) fputs("{\"runs\":[", stdout);
  while (!rc && !sig && s.n > 0) {
    rc = runs_look(n, &s, err);
    if (!rc && s.n > 0) sig = wait_change(poked);
  }
  if (!rc && sig) tell(&s, "stopping; ", " left unfinished: --resume goes on again");
  if (!rc && json) puts("]}");
  free(s.fi);
  if (rc) return -1;
  return sig == SIGINT ? EXIT_INTERRUPTED : sig ? EXIT_STOPPED : s.failed ? EXIT_RUN_FAILED : EXIT_OK;
}
