/* A copy that works like a download: piece by piece, with progress, and with a checkpoint behind each piece. When the process stops in
 * the middle, the next attempt goes on behind the last piece that is safe.
 *
 *     cc copy_file.c -o copy_file $(pkg-config --cflags --libs weir) && ./copy_file sqlite:/tmp/copy.db FROM TO */
#define _XOPEN_SOURCE 700   /* pread() and the like, in C99 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir.h>

enum { PIECE = 64 * 1024 };

static void must(int ok, const char *what, weir_t *h) {
  if (ok) return;
  fprintf(stderr, "%s: %s\n", what, h ? weir_error(h) : "");
  exit(1);
}

static int failed(weir_attempt_t *a, const char *what, int retry) {
  weir_report_error(a, what, retry);
  return WEIR_PHASE_FAILED;
}

/* content: "FROM\nTO". context: how many bytes of TO are whole and safe. */
static int copy_pieces(weir_attempt_t *a, int from, int to) {
  char piece[PIECE];
  const char *context = weir_attempt_context(a, NULL);
  long long at = context ? atoll(context) : 0;
  struct stat st;
  char text[32];
  if (fstat(from, &st) || ftruncate(to, at)) return failed(a, "The files cannot be used.", 0);
  for (ssize_t n; (n = pread(from, piece, sizeof piece, at)) > 0;) {
    if (weir_attempt_stopping(a)) return WEIR_PHASE_NORMAL;
    if (pwrite(to, piece, (size_t)n, at) != n || fdatasync(to)) return failed(a, "A piece cannot be written.", 1);
    at += n;
    snprintf(text, sizeof text, "%lld", at);
    if (weir_report_context(a, text, strlen(text)) == WEIR_ERR_FENCED) return WEIR_PHASE_NORMAL; /* another node copies now */
    weir_report_progress(a, at, st.st_size, "bytes", NULL);
  }
  return at == st.st_size ? WEIR_PHASE_FINISHED : failed(a, "The file cannot be read.", 1);
}

static int copy_run(weir_attempt_t *a, void *user) {
  char *from = strdup(weir_attempt_content(a)), *to = strchr(from, '\n');
  (void)user;
  if (to) *to++ = '\0';
  int in = open(from, O_RDONLY | O_CLOEXEC), out = to ? open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;
  int phase = in < 0 || out < 0 ? failed(a, "A file cannot be opened.", 0) : copy_pieces(a, in, out);
  if (in >= 0) close(in);
  if (out >= 0) close(out);
  free(from);
  return phase;
}

/* What a copy that is deleted has left. */
static int copy_deleting(weir_attempt_t *a, void *user) {
  const char *to = strchr(weir_attempt_content(a), '\n');
  (void)user;
  if (to) unlink(to + 1);
  return WEIR_PHASE_FINISHED;
}

static weir_t *open_one(const char *url) {
  const weir_type_t type = {.size = sizeof type, .name = "copy", .run = copy_run, .deleting = copy_deleting};
  char err[300];
  weir_t *h;
  if (weir_open(&h, url, NULL, err, sizeof err)) must(0, err, NULL);
  must(weir_register(h, &type) == WEIR_OK && weir_start(h) == WEIR_OK, "start", h);
  return h;
}

int main(int argc, char **argv) {
  char content[8192];
  weir_task_t *t;
  int64_t id;
  must(argc == 4, "usage: copy_file URL FROM TO", NULL);
  snprintf(content, sizeof content, "%s\n%s", argv[2], argv[3]);
  const weir_spec_t spec = {.size = sizeof spec, .type = "copy", .content = content, .attempts = 3};
  weir_t *h = open_one(argv[1]);
  must(weir_create(h, &spec, &id) == WEIR_OK, "create", h);
  must(weir_close(h) == WEIR_OK, "close", NULL); /* in the middle, most likely */
  h = open_one(argv[1]);
  must(weir_wait(h, id, 60000, &t) == WEIR_OK, "wait", h);
  printf("%s: %lld of %lld %s\n", t->state_name, (long long)t->done, (long long)t->total, t->unit);
  must(t->state == WEIR_STATE_FINISHED, "the copy did not succeed", NULL);
  weir_task_free(t);
  return weir_close(h);
}
