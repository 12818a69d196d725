/* The live tree of `weir run` on a terminal: nodes indented by their depth, redrawn in place.
 *
 * Main thread. Never draws more lines than the screen has: what runs or failed comes first, then what waits. User text
 * (node keys, error texts) is cut to the width and holds no control characters. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "clock.h"
#include "follow.h"

#define ROWS_DEFAULT 24
#define COLS_DEFAULT 80
#define INDENT_MAX 12

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

static void row(struct follow *f, uint32_t i, int cols) {
  const struct follow_node *n = &f->node[i];
  const struct look *l = &looks[n->state < NODE__N ? n->state : NODE_NONE];
  int indent = 2 * (int)(n->depth < INDENT_MAX ? n->depth : INDENT_MAX);
  int64_t end = n->end_us ? n->end_us : clock_wall_us();
  char time[24] = "", tail[160];
  if (n->start_us) snprintf(time, sizeof time, "%.1fs", (double)(end - n->start_us) / 1e6);
  snprintf(tail, sizeof tail, "%s %s %s", f->flow->node[i].key, time, n->state == NODE_FAILED && n->error ? n->error : "");
  int width = cols - indent - 4;
  size_t cut = strcspn(tail, "\r\n\033");
  if (width > 0 && cut > (size_t)width) cut = (size_t)width;
  while (cut > 0 && ((unsigned char)tail[cut] & 0xC0) == 0x80) cut--; /* not within a character */
  fprintf(f->to, "%*s%s%s%s %.*s\033[K\n", indent, "", f->colour ? l->colour : "", l->sign, f->colour ? "\033[0m" : "", (int)cut, tail);
}

static void summary(struct follow *f, uint32_t hidden) {
  int64_t end = f->end_us ? f->end_us : clock_wall_us();
  fprintf(f->to, "%s  %u done, %u running, %u failed", flow_state_name((enum flow_state)f->state),
          f->count[NODE_SUCCESS] + f->count[NODE_SKIPPED], f->count[NODE_RUNNING],
          f->count[NODE_FAILED] + f->count[NODE_UPSTREAM_FAILED] + f->count[NODE_CANCELED]);
  if (f->start_us) fprintf(f->to, "  %.1fs", (double)(end - f->start_us) / 1e6);
  if (hidden) fprintf(f->to, "  (%u more nodes)", hidden);
  fputs("\033[K\n", f->to);
}

void tree_draw(struct follow *f) {
  int rows, cols;
  screen(f->to, &rows, &cols);
  uint8_t *mark = wr_calloc(f->flow->n + 1, 1);
  uint32_t n = choose(f, mark, rows > 3 ? (uint32_t)rows - 3 : 1);
  if (f->drawn) fprintf(f->to, "\033[%uA\r", f->drawn);
  for (uint32_t i = 0; i < f->flow->n; i++) {
    if (mark[i]) row(f, i, cols);
  }
  summary(f, f->flow->dag->n - n);
  fputs("\033[J", f->to);
  fflush(f->to);
  f->drawn = n + 1;
  free(mark);
}
