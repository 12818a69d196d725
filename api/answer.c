/* Envelope and JSON fields: see answer.h. */
#include "answer.h"
#include <stdio.h>
#include <string.h>
#include "text.h"

void answer_open(struct buf *b) { buf_str(b, "{\"code\":\"200\",\"message\":\"SUCCESS\",\"data\":"); }

void answer_close(struct buf *b, const struct answer_page *p) {
  if (p->on) {
    j_key(b, "page");
    j_open(b, '{');
    j_i64(b, "limit", p->limit);
    j_i64(b, "offset", (int64_t)p->offset);
    if (p->more) j_i64(b, "next", (int64_t)(p->offset + p->limit));
    else j_raw(b, "next", "null");
    if (p->after_ti > 0) {
      char at[48];
      snprintf(at, sizeof at, "%lld.%lld", (long long)p->after_ti, (long long)p->after_us);
      j_text(b, "after", at);
    }
    if (p->total >= 0) j_i64(b, "total", p->total);
    else if (p->total == ANSWER_UNCOUNTED) j_raw(b, "total", "null");
    j_close(b, '}');
  }
  if (p->replayed) j_bool(b, "replayed", true);
  buf_ch(b, '}');
}

/* Keys of the body may stand in a path; at most 64 bytes of each are shown. */
static void error_path(struct buf *b, const char *path) {
  char cut[sizeof ((struct wr_err *)0)->path];
  size_t n = 0;
  for (size_t in_segment = 0; *path; path++) {
    in_segment = *path == '/' ? 0 : in_segment + 1;
    if (in_segment <= 64) cut[n++] = *path;
  }
  cut[n] = '\0';
  if (!text_utf8(cut, n)) n = 0; /* cut within a character */
  j_key(b, "path");
  buf_json(b, cut, n);
}

static void health_part(struct buf *b, const char *name, const struct health_part *p) {
  j_key(b, name);
  j_open(b, '{');
  j_bool(b, "ok", p->ok);
  if (!p->ok) j_text(b, "why", p->why);
  j_close(b, '}');
}

void j_health(struct buf *b, bool ok, const struct health *h) {
  j_bool(b, "ok", ok);
  j_key(b, "parts");
  j_open(b, '{');
  health_part(b, "store", &h->store);
  health_part(b, "queue", &h->queue);
  health_part(b, "processes", &h->processes);
  health_part(b, "disk", &h->disk);
  j_close(b, '}');
}

void answer_error(struct buf *b, const struct wr_err *err, const struct answer_more *more) {
  buf_printf(b, "{\"code\":\"%d\"", (int)err->code);
  j_text(b, "message", err->msg[0] ? err->msg : wr_err_text(err->code));
  j_key(b, "data");
  j_open(b, '{');
  j_text(b, "error", wr_err_symbol(err->code));
  if (err->path[0]) error_path(b, err->path);
  if (err->limit >= 0) j_i64(b, "limit", err->limit);
  if (err->got >= 0) j_i64(b, "got", err->got);
  j_text(b, "state", more->state);
  if (more->health) j_health(b, false, more->health);
  j_text(b, "requestId", more->request_id);
  buf_str(b, "}}");
}
