/* Envelope and JSON fields: see answer.h. */
#include "answer.h"
#include <string.h>
#include "clock.h"
#include "text.h"

static void comma(struct buf *b) {
  char last = b->data[b->len - 1];
  if (last != '{' && last != '[' && last != ':') buf_ch(b, ',');
}

void j_open(struct buf *b, char bracket) {
  comma(b);
  buf_ch(b, bracket);
}

void j_close(struct buf *b, char bracket) { buf_ch(b, bracket); }

void j_key(struct buf *b, const char *k) {
  comma(b);
  buf_ch(b, '"');
  buf_str(b, k);
  buf_add(b, "\":", 2);
}

void j_text(struct buf *b, const char *k, const char *v) {
  if (!v) return;
  j_key(b, k);
  buf_json(b, v, strlen(v));
}

static void base64(struct buf *b, const unsigned char *p, size_t n) {
  static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  buf_ch(b, '"');
  for (size_t i = 0; i < n; i += 3) {
    size_t left = n - i;
    uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
    buf_ch(b, digit[v >> 18]);
    buf_ch(b, digit[v >> 12 & 63]);
    buf_ch(b, left > 1 ? digit[v >> 6 & 63] : '=');
    buf_ch(b, left > 2 ? digit[v & 63] : '=');
  }
  buf_ch(b, '"');
}

void j_bytes(struct buf *b, const char *k, const char *v, size_t n) {
  if (!v) return;
  if (text_utf8(v, n)) {
    j_key(b, k);
    buf_json(b, v, n);
    return;
  }
  char name[64];
  snprintf(name, sizeof name, "%sBase64", k);
  j_key(b, name);
  base64(b, (const unsigned char *)v, n);
}

void j_i64(struct buf *b, const char *k, int64_t v) {
  j_key(b, k);
  buf_i64(b, v);
}

void j_bool(struct buf *b, const char *k, bool v) {
  j_key(b, k);
  buf_str(b, v ? "true" : "false");
}

void j_raw(struct buf *b, const char *k, const char *json) {
  if (!json) return;
  j_key(b, k);
  buf_str(b, json);
}

void j_time(struct buf *b, const char *s2, const char *rfc, int64_t us) {
  char s[CLOCK_S2_LEN], r[CLOCK_RFC_LEN];
  if (us == 0) return;
  clock_s2(s, us);
  j_text(b, s2, s);
  if (!rfc) return;
  clock_rfc3339(r, us);
  j_text(b, rfc, r);
}

void answer_open(struct buf *b) { buf_str(b, "{\"code\":\"200\",\"message\":\"SUCCESS\",\"data\":"); }

void answer_close(struct buf *b, const struct answer_page *p) {
  if (p->on) {
    j_key(b, "page");
    j_open(b, '{');
    j_i64(b, "limit", p->limit);
    j_i64(b, "offset", (int64_t)p->offset);
    if (p->more) j_i64(b, "next", (int64_t)(p->offset + p->limit));
    else j_raw(b, "next", "null");
    if (p->total >= 0) j_i64(b, "total", p->total);
    j_close(b, '}');
  }
  if (p->replayed) j_bool(b, "replayed", true);
  buf_ch(b, '}');
}

/* Keys of the body may stand in a path: not more than 64 bytes of each. */
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

void answer_error(struct buf *b, const struct wr_err *err, const char *request_id, const struct health *h) {
  buf_printf(b, "{\"code\":\"%d\"", (int)err->code);
  j_text(b, "message", err->msg[0] ? err->msg : wr_err_text(err->code));
  j_key(b, "data");
  j_open(b, '{');
  j_text(b, "error", wr_err_symbol(err->code));
  if (err->path[0]) error_path(b, err->path);
  if (err->limit >= 0) j_i64(b, "limit", err->limit);
  if (err->got >= 0) j_i64(b, "got", err->got);
  if (h) j_health(b, false, h);
  j_text(b, "requestId", request_id);
  buf_str(b, "}}");
}
