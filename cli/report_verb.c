/* `weir report`: from a script of a SHELL task, what it has to say on descriptor 3. Main thread; no store, no server, no data
 * directory. Each report is one line, checked by the same reader that the server has, so a script learns here what is wrong.
 * What never happens: a part of it is sent when another part is refused. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "json_write.h"
#include "mem.h"
#include "report_line.h"
#include "text.h"
#include "verbs.h"
#include "wr_limits.h"

enum { REPORT_FD = 3, EXIT_NOT_NOW = 75 };

struct said { const char *progress, *unit, *message, *context, *context_file, *result; bool stopped, help; };

static const struct { const char *name; size_t at; } options[] = {
  {"--progress", offsetof(struct said, progress)}, {"--unit", offsetof(struct said, unit)},
  {"--message", offsetof(struct said, message)}, {"--context", offsetof(struct said, context)},
  {"--context-file", offsetof(struct said, context_file)}, {"--result", offsetof(struct said, result)}};
enum { N_OPTIONS = sizeof options / sizeof *options };

static const char **place(struct said *s, size_t i) { return (const char **)((char *)s + options[i].at); }

/* Returns how many arguments it took: "--name value", or "--name=value". 0: err is set. */
static int take_option(struct said *s, char **argv, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  size_t n = strcspn(argv[0], "=");
  if (strcmp(argv[0], "--stopped") == 0) return s->stopped = true, 1;
  if (strcmp(argv[0], "--help") == 0) return s->help = true, 1;
  for (size_t i = 0; i < N_OPTIONS; i++) {
    if (strlen(options[i].name) != n || strncmp(argv[0], options[i].name, n) != 0) continue;
    const char *value = argv[0][n] ? argv[0] + n + 1 : argv[1];
    if (!value) wr_err_set(err, WR_BAD_REQUEST, "%s needs a value.", options[i].name);
    else if (*place(s, i)) wr_err_set(err, WR_BAD_REQUEST, "%s is given twice.", options[i].name);
    else return *place(s, i) = value, argv[0][n] ? 1 : 2;
    return 0;
  }
  wr_err_set(err, WR_BAD_REQUEST, "There is no option %s.", wr_err_quote(q, argv[0], strlen(argv[0])));
  return 0;
}

static enum wr_rc parse(int argc, char **argv, struct said *s, struct wr_err *err) {
  for (int i = 1, n; i < argc; i += n)
    if ((n = take_option(s, argv + i, err)) == 0) return err->code;
  if (s->context && s->context_file) return wr_err_set(err, WR_BAD_REQUEST, "Give --context or --context-file, not both.");
  return WR_OK;
}

/* Is this a SHELL task whose descriptor is still open? */
static bool is_heard(void) {
  const char *fd = getenv("WEIR_REPORT_FD");
  struct stat st;
  int flags = fcntl(REPORT_FD, F_GETFL);
  return fd && strcmp(fd, "3") == 0 && flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fstat(REPORT_FD, &st) == 0 &&
         S_ISFIFO(st.st_mode);
}

/* ---- lines ---- */

static enum wr_rc number(struct buf *b, const char *name, const char *s, size_t n, struct wr_err *err) {
  int64_t v;
  char q[WR_QUOTE_MAX];
  if (!text_i64(s, n, &v) || v < 0 || v > REPORT_COUNT_MAX)
    return wr_err_set(err, WR_BAD_REQUEST, "--progress takes whole numbers to 2^53, such as 3 or 3/10, not %s.",
                      wr_err_quote(q, s, n));
  j_i64(b, name, v);
  return WR_OK;
}

static enum wr_rc progress(struct buf *b, const struct said *s, struct wr_err *err) {
  if (!s->progress && !s->unit && !s->message) return WR_OK;
  enum wr_rc rc = WR_OK;
  for (int i = 0; i < 2; i++) {
    const char *t = i ? s->message : s->unit;
    if (t && !text_utf8(t, strlen(t))) return wr_err_set(err, WR_OUT_OF_RANGE, "%s must be UTF-8.", i ? "--message" : "--unit");
  }
  buf_str(b, "{\"progress\":{");
  if (s->progress) {
    size_t n = strcspn(s->progress, "/");
    rc = number(b, "done", s->progress, n, err);
    if (!rc && s->progress[n]) rc = number(b, "total", s->progress + n + 1, strlen(s->progress + n + 1), err);
  }
  j_text(b, "unit", s->unit);
  j_text(b, "message", s->message);
  buf_str(b, "}}\n");
  return rc;
}

/* The server cuts them, and so does the library: here is somebody to be told. */
static void say_cut(const struct said *s) {
  const struct { const char *name, *text; size_t most; } of[] = {{"--unit", s->unit, LIMIT_UNIT_BYTES},
                                                                 {"--message", s->message, LIMIT_MESSAGE_BYTES}};
  for (size_t i = 0; i < sizeof of / sizeof *of; i++)
    if (of[i].text && strlen(of[i].text) > of[i].most)
      (void)fprintf(stderr, "weir report: %s has %zu bytes and is cut to %zu.\n", of[i].name, strlen(of[i].text), of[i].most);
}

/* All of the file, up to one byte more than a context may have. */
static enum wr_rc read_file(const char *path, struct buf *out, struct wr_err *err) {
  int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = -1;
  if (fd < 0)
    return wr_err_set(err, errno == ENOENT ? WR_NOT_FOUND : WR_FORBIDDEN, "Cannot read %.200s: %s.", path,
                      strerrordesc_np(errno));
  while (out->len <= LIMIT_CONTEXT_BYTES && (n = read(fd, buf_reserve(out, 65536), 65536)) > 0) out->len += (size_t)n;
  int why = errno;
  close(fd);
  if (n < 0) return wr_err_set(err, WR_FORBIDDEN, "Cannot read %.200s: %s.", path, strerrordesc_np(why));
  buf_add(out, "", 0);
  return WR_OK;
}

static enum wr_rc context(struct buf *b, const struct said *s, struct wr_err *err) {
  struct buf text = BUF_INIT;
  enum wr_rc rc = WR_OK;
  if (!s->context && !s->context_file) return WR_OK;
  if (s->context) buf_str(&text, s->context);
  else rc = read_file(s->context_file, &text, err);
  if (!rc && text.len > LIMIT_CONTEXT_BYTES) rc = wr_err_set(err, WR_OUT_OF_RANGE, "A context has at most 1 MiB.");
  else if (!rc && (memchr(text.data, 0, text.len) || !text_utf8(text.data, text.len)))
    rc = wr_err_set(err, WR_OUT_OF_RANGE, "A context must be UTF-8, and contain no NUL.");
  if (!rc) {
    buf_str(b, "{\"context\":");
    buf_json(b, text.data, text.len);
    buf_str(b, "}\n");
  }
  buf_done(&text);
  return rc;
}

/* Line by line, as the server reads them. */
static enum wr_rc check(const struct buf *b, struct wr_err *err) {
  struct report got;
  const char *why = NULL;
  for (const char *p = b->data, *end = p + b->len, *nl; p < end && !why; p = nl + 1) {
    nl = memchr(p, '\n', (size_t)(end - p));
    size_t n = (size_t)(nl - p);
    char *line = wr_memdup0(p, n);
    why = n > LIMIT_REPORT_LINE_BYTES ? "one line of it would be longer than 1 MiB + 64 KiB" : report_read(line, n, &got);
    free(line);
  }
  return why ? wr_err_set(err, WR_BAD_REQUEST, "This is no report: %s.", why) : WR_OK;
}

static enum wr_rc make(struct buf *b, const struct said *s, struct wr_err *err) {
  enum wr_rc rc = progress(b, s, err);
  if (!rc) rc = context(b, s, err);
  if (!rc && s->result) {
    if (strchr(s->result, '\n')) return wr_err_set(err, WR_BAD_REQUEST, "--result takes JSON in one line.");
    buf_printf(b, "{\"result\":%s}\n", s->result);
  }
  return rc ? rc : check(b, err);
}

/* A line of at most 4 KiB arrives whole, whoever else writes. */
static enum wr_rc send_all(const struct buf *b, struct wr_err *err) {
  for (size_t at = 0; at < b->len;) {
    ssize_t n = write(REPORT_FD, b->data + at, b->len - at);
    if (n > 0) at += (size_t)n;
    else if (errno != EINTR)
      return wr_err_set(err, WR_DB_UNAVAILABLE, "Descriptor 3 cannot be written: %s.", strerrordesc_np(errno));
  }
  return WR_OK;
}

static int help(void) {
  puts("Usage: weir report [options]\n\n"
       "From a script of a SHELL task: tells how far it is, and what its next attempt needs.\n\n"
       "  --progress DONE[/TOTAL]  how much is done, of how much\n"
       "  --unit TEXT              what is counted; cut to 64 bytes\n"
       "  --message TEXT           what it does now; cut to 1 KiB\n"
       "  --context TEXT           what the next attempt finds in the file $WEIR_CONTEXT\n"
       "  --context-file FILE      the same from a file, - = standard input\n"
       "  --result JSON            its result\n"
       "  --stopped                it stopped because it was asked to: ends with status 75, for\n"
       "                           `weir report --context \"$i\" --stopped; exit $?` in a trap\n\n"
       "  weir report --progress 3/10 --unit files");
  return EXIT_OK;
}

int verb_report(int argc, char **argv) {
  struct said s = {0};
  struct buf b = BUF_INIT;
  struct wr_err err = {0};
  enum wr_rc rc = parse(argc, argv, &s, &err);
  if (!rc && s.help) return help();
  if (!rc && !is_heard())
    rc = wr_err_set(&err, WR_BAD_REQUEST,
                    "There is nobody to report to: this is no SHELL task of Weir, or its descriptor 3 was closed.");
  if (!rc) rc = make(&b, &s, &err);
  if (!rc && !b.len && !s.stopped) rc = wr_err_set(&err, WR_BAD_REQUEST, "Say what to report; see `weir report --help`.");
  (void)signal(SIGPIPE, SIG_IGN);
  if (!rc) rc = send_all(&b, &err);
  if (!rc) say_cut(&s);
  buf_done(&b);
  if (rc) return complain("report", &err, rc == WR_NOT_FOUND ? EXIT_NOT_FOUND : exit_of(rc));
  return s.stopped ? EXIT_NOT_NOW : EXIT_OK;
}
