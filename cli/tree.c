/* The live tree of `weir run` on a terminal: nodes indented by their depth, redrawn in place.
 *
 * Main thread. While the run goes on it never draws more lines than the screen has: nodes that run or failed come first, then
 * nodes that wait; once the run has ended all are drawn. No line is wider than the screen, so that each takes one row and can
 * be found again; a line that is cut ends with a mark. User text (node keys, error texts) holds no control characters. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "follow.h"
#include "text.h"
#include "wr_limits.h"

#define ROWS_DEFAULT 24
#define COLS_DEFAULT 80
#define INDENT_MAX 12
#define COLS_MIN 8
#define WHOLE_ROWS 1000           /* of a run that has ended, however high the screen is */

struct look { const char *sign, *colour; };
static const struct look looks[NODE__N] = {
  [NODE_NONE] = {"·", "\033[2m"},   [NODE_WAITING] = {"·", "\033[2m"}, [NODE_RUNNING] = {"▶", "\033[36m"},
  [NODE_SUCCESS] = {"✓", "\033[32m"}, [NODE_FAILED] = {"✗", "\033[31m"}, [NODE_SKIPPED] = {"-", "\033[2m"},
  [NODE_UPSTREAM_FAILED] = {"↑", "\033[31m"}, [NODE_CANCELED] = {"■", "\033[33m"},
};

bool tree_possible(FILE *to) {
  const char *term = getenv("TERM");
  return isatty(fileno(to)) && term && strcmp(term, "dumb") != 0;
}

static void screen(FILE *to, int *rows, int *cols) {
  struct winsize w = {0};
  *rows = ROWS_DEFAULT;
  *cols = COLS_DEFAULT;
  if (ioctl(fileno(to), TIOCGWINSZ, &w) != 0) return;
  if (w.ws_row > 0) *rows = w.ws_row;
  if (w.ws_col > 0) *cols = w.ws_col;
  if (*cols < COLS_MIN) *cols = COLS_MIN;
}

/* Which nodes come first when not all fit. */
static int rank(uint8_t state) {
  switch ((enum node_state)state) {
  case NODE_RUNNING: return 0;
  case NODE_FAILED: return 1;
  case NODE_NONE:
  case NODE_WAITING: return 2;
  case NODE_SUCCESS:
  case NODE_SKIPPED:
  case NODE_UPSTREAM_FAILED:
  case NODE_CANCELED:
  case NODE__N: break;
  }
  return 3;
}

/* Marks at most `room` nodes, best rank first, in the order of the flow. Returns how many. */
static uint32_t choose(const struct follow *f, uint8_t *mark, uint32_t room) {
  uint32_t n = 0;
  for (int r = 0; r <= 3; r++) {
    for (uint32_t i = 0; i < f->flow->n && n < room; i++) {
      if (f->flow->node[i].type != NODE_TYPE_TASK || rank(f->node[i].state) != r) continue;
      mark[i] = 1;
      n++;
    }
  }
  return n;
}

/* ---- lines of a bounded width ---- */

/* What one line is made of: text and how many columns it takes. Marks a cut with one "…". */
struct line { struct buf b; int width, room; };

/* Columns of one character, rather too many than too few: East Asian letters and pictures are two wide. */
static int columns(const unsigned char *s) { return *s >= 0xE1 && !(*s == 0xE2 && s[1] >= 0x80 && s[1] <= 0x9F) ? 2 : 1; }

/* As much of text as fits into `most` columns; control characters become blanks. */
static void line_put(struct line *l, const char *text, int most) {
  char *plain = wr_strdup(text);
  plain[text_plain(plain, strlen(plain), ' ')] = '\0';
  const unsigned char *s = (const unsigned char *)plain;
  if (most > l->room - l->width) most = l->room - l->width;
  int all = 0;
  for (const unsigned char *p = s; *p && all <= most; p++)
    if ((*p & 0xC0) != 0x80) all += columns(p);
  int room = all > most ? most - 1 : most, used = 0; /* one for the mark */
  while (*s && used + columns(s) <= room) {
    used += columns(s);
    buf_ch(&l->b, (char)*s);
    for (s++; (*s & 0xC0) == 0x80; s++) buf_ch(&l->b, (char)*s);
  }
  if (*s && most > 0) {
    buf_str(&l->b, "…");
    used++;
  }
  l->width += used;
  free(plain);
}

static void end_line(struct follow *f, struct line *l) {
  fprintf(f->to, "%s\033[K\n", l->b.data ? l->b.data : "");
  *WR_PUSH(f->drawn.width, f->drawn.n, f->drawn.cap) = (uint16_t)l->width;
  buf_done(&l->b);
}

/* A sign as it is: it takes no more columns than its character. */
static void put_sign(struct follow *f, struct line *l, const struct look *look) {
  buf_printf(&l->b, "%s%s%s ", f->colour ? look->colour : "", look->sign, f->colour ? "\033[0m" : "");
  l->width += 2;
}

/* By the clock of the store, like all times in its rows. */
static double seconds_until(const struct follow *f, int64_t us) {
  int64_t left = us - store_now(f->store);
  return left > 0 ? (double)left / 1e6 : 0;
}

/* What there is to say besides key and time. */
static void note_of(const struct follow *f, const struct follow_node *n, char *out, size_t room) {
  uint32_t tasks = n->t_ok + n->t_bad + n->t_open, failed = follow_failed(n);
  if (n->state == NODE_FAILED && n->error) snprintf(out, room, "%s", n->error);
  else if (tasks > 1 && failed > 0) snprintf(out, room, "%u of %u tasks failed", failed, tasks);
  else if (n->state == NODE_RUNNING && n->retry_us)
    snprintf(out, room, "attempt %u failed, again in %.1fs", n->attempts, seconds_until(f, n->retry_us));
  else if (n->state == NODE_RUNNING && n->attempts) snprintf(out, room, "attempt %u", n->attempts + 1);
  else if (n->state == NODE_SUCCESS && n->attempts) snprintf(out, room, "after %u attempts", n->attempts + 1);
}

/* The key gives way first, then the note; time and sign stay. */
static void tree_row(struct follow *f, uint32_t i, int cols) {
  const struct follow_node *n = &f->node[i];
  struct line l = {.room = cols - 1};
  int indent = 2 * (int)(n->depth < INDENT_MAX ? n->depth : INDENT_MAX);
  if (indent > cols / 4) indent = cols / 4;
  int64_t end = n->end_us ? n->end_us : store_now(f->store);
  char time[32] = "", note[LIMIT_ERROR_BYTES + 8] = "";
  if (n->start_us) snprintf(time, sizeof time, " %.1fs", end > n->start_us ? (double)(end - n->start_us) / 1e6 : 0.0);
  note_of(f, n, note, sizeof note);
  buf_printf(&l.b, "%*s", indent, "");
  l.width = indent;
  put_sign(f, &l, &looks[n->state < NODE__N ? n->state : NODE_NONE]);
  int left = l.room - l.width - (int)strlen(time), noted = note[0] ? (int)strlen(note) + 2 : 0;
  if (noted > left / 2) noted = left / 2;
  line_put(&l, f->flow->node[i].key, left - noted);
  line_put(&l, time, l.room);
  if (note[0]) {
    line_put(&l, "  ", l.room);
    line_put(&l, note, l.room);
  }
  end_line(f, &l);
}

static void summary(struct follow *f, uint32_t hidden, int cols) {
  const struct { uint32_t n; const char *what; } part[] = {
    {f->count[NODE_SUCCESS] + f->count[NODE_SKIPPED], "done"}, {f->count[NODE_RUNNING], "running"},
    {f->count[NODE_FAILED] + f->count[NODE_UPSTREAM_FAILED], "failed"}, {f->count[NODE_CANCELED], "canceled"}};
  int64_t end = f->end_us ? f->end_us : store_now(f->store);
  struct line more = {.room = cols - 1}, l = {.room = cols - 1};
  char text[64];
  if (hidden) {
    snprintf(text, sizeof text, "(%u more nodes)", hidden);
    line_put(&more, text, more.room);
    end_line(f, &more);
  }
  line_put(&l, flow_state_name((enum flow_state)f->state), l.room);
  if (f->start_us) {
    snprintf(text, sizeof text, " %.1fs", end > f->start_us ? (double)(end - f->start_us) / 1e6 : 0.0);
    line_put(&l, text, l.room);
  }
  for (size_t i = 0, n = 0; i < sizeof part / sizeof *part; i++) {
    if (part[i].n == 0) continue;
    snprintf(text, sizeof text, "%s%u %s", n++ ? ", " : "  ", part[i].n, part[i].what);
    line_put(&l, text, l.room);
  }
  end_line(f, &l);
}

/* Moves back to the first line of what was drawn. A window that has become narrower since then has broken lines in two. */
static void back(struct follow *f, int cols) {
  uint32_t lines = 0;
  for (size_t i = 0; i < f->drawn.n; i++)
    lines += f->drawn.width[i] > cols ? ((uint32_t)f->drawn.width[i] + (uint32_t)cols - 1) / (uint32_t)cols : 1;
  if (lines) fprintf(f->to, "\033[%uA\r", lines);
  f->drawn.n = 0;
}

void tree_draw(struct follow *f, bool whole) {
  int rows, cols;
  screen(f->to, &rows, &cols);
  uint32_t room = whole ? WHOLE_ROWS : rows > 4 ? (uint32_t)rows - 4 : 1;
  uint8_t *mark = wr_calloc(f->flow->n + 1, 1);
  uint32_t n = choose(f, mark, room);
  back(f, cols);
  for (uint32_t i = 0; i < f->flow->n; i++) {
    if (mark[i]) tree_row(f, i, cols);
  }
  summary(f, f->flow->dag->n - n, cols);
  fputs("\033[J", f->to);
  fflush(f->to);
  free(mark);
}
