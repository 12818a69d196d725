/* The answer to a request, whoever writes it: a thread of the library or the front (http_req.put). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "http_int.h"

enum { KEEP_BYTES = 256 << 10 };  /* scratch memory above this is given back after the answer */

struct http_thread *thread_make(void) { return wr_new(struct http_thread); }

void thread_free(struct http_thread *t) {
  if (!t) return;
  buf_done(&t->scratch.out);
  buf_done(&t->scratch.body);
  buf_done(&t->scratch.text);
  buf_done(&t->wire.raw);
  free(t);
}

struct buf *http_out(struct http_req *q) { return &q->scratch->out; }

void http_out_again(struct http_req *q) {
  struct buf *b = &q->scratch->out;
  buf_clear(b);
  buf_reserve(b, HEAD_ROOM + 1024);
  b->len = HEAD_ROOM;
}

static const char *reason(int status) {
  switch (status) {
  case 200: return "OK";
  case 304: return "Not Modified";
  case 400: return "Bad Request";
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 408: return "Request Timeout";
  case 409: return "Conflict";
  case 412: return "Precondition Failed";
  case 413: return "Content Too Large";
  case 415: return "Unsupported Media Type";
  case 416: return "Range Not Satisfiable";
  case 421: return "Misdirected Request";
  case 422: return "Unprocessable Content";
  case 429: return "Too Many Requests";
  case 431: return "Request Header Fields Too Large";
  case 500: return "Internal Server Error";
  case 503: return "Service Unavailable";
  case 507: return "Insufficient Storage";
  default: return "Error";
  }
}

static const char *date(struct http_thread *t) {
  int64_t s = clock_wall_us() / 1000000;
  if (s != t->date_s) {
    static const char day[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char month[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    time_t at = (time_t)s;
    if (!gmtime_r(&at, &tm)) return "Thu, 01 Jan 1970 00:00:00 GMT";
    snprintf(t->date, sizeof t->date, "%s, %02d %s %04d %02d:%02d:%02d GMT", day[tm.tm_wday], tm.tm_mday,
             month[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    t->date_s = s;
  }
  return t->date;
}

void http_stream_head(struct http_req *q, const char *type, const char *headers, struct buf *out) {
  bool chunks = q->in.version && strcmp(q->in.version, "1.1") == 0;
  if (!chunks) q->keep = false;
  buf_printf(out, "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: %s\r\n%sCache-Control: no-store\r\n"
             "X-Content-Type-Options: nosniff\r\nX-Request-Id: %s\r\nConnection: %s\r\n%s\r\n",
             date(q->thread), type, chunks ? "Transfer-Encoding: chunked\r\n" : "", q->id, q->keep ? "keep-alive" : "close",
             headers);
}

static void trim(struct buf *b) {
  if (b->cap > KEEP_BYTES) buf_done(b);
}

/* Writes the head; cache: a whole line, or "" when headers have their own. Returns its length. */
static size_t write_head(struct http_req *q, char *head, size_t room, const struct http_fixed *a, const char *cache) {
  wr_assert(!q->answered);
  q->answered = true;
  if (a->status >= 400 || q->unread) q->keep = false;
  int len = snprintf(head, room,
                     "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
                     "X-Content-Type-Options: nosniff\r\nX-Request-Id: %s\r\nConnection: %s\r\n%s\r\n",
                     a->status, reason(a->status), date(q->thread), a->type, a->n, cache, q->id,
                     q->keep ? "keep-alive" : "close", a->headers);
  wr_assert(len > 0 && (size_t)len < room);
  return (size_t)len;
}

static void sent(struct http_req *q, bool whole) {
  if (!whole) q->keep = false;
  trim(&q->scratch->out);
  trim(&q->scratch->body);
  trim(&q->scratch->text);
}

void http_send(struct http_req *q, int status, const char *type, const char *headers) {
  struct buf *b = &q->scratch->out;
  char head[HEAD_ROOM];
  wr_assert(b->len >= HEAD_ROOM);
  size_t n = b->len - HEAD_ROOM;
  const struct http_fixed a = {.status = status, .type = type, .headers = headers, .n = n};
  size_t len = write_head(q, head, sizeof head, &a, "Cache-Control: no-store\r\n");
  char *start = b->data + HEAD_ROOM - len;
  memcpy(start, head, len);
  sent(q, q->put(q, start, len + (q->head ? 0 : n)));
}

void http_send_fixed(struct http_req *q, const struct http_fixed *f) {
  char head[HEAD_ROOM + HTTP_FIXED_ROOM];
  size_t len = write_head(q, head, sizeof head, f, "");
  bool body = !q->head && f->status != 304;
  sent(q, http_put_slow(q, head, len) && (!body || http_put_slow(q, f->data, f->n)));
}
