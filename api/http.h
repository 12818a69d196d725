/* The seam to the HTTP server library. http.c is the only file that knows civetweb: it turns each request into a struct
 * http_req, passes it through the gate, and hands it to one function. Connections wait in the front (front.h) until a request
 * is whole; then a thread has the connection until it closes or must be shed; a request, its scratch memory and its answer
 * belong to that thread. A request that waits for something gives its thread back: its connection is parked (wait.h). Probes
 * are handled by threads of the front. What never happens: two answers to one request; a
 * connection that stays open after an error; a body read without a limit and a deadline; a thread that waits for a silent
 * client while whole requests wait for a thread. */
#ifndef API_HTTP_H
#define API_HTTP_H
#include "gate.h"
#include "mem.h"

/* What a thread reuses from request to request. */
struct http_scratch {
  struct buf out;           /* the answer; http_out() */
  struct buf body;          /* of the request */
  struct buf text;          /* for handlers */
};

struct http_req {
  struct gate_in in;
  struct gate_out framing;
  struct http_scratch *scratch;
  char id[17];              /* of the request, hexadecimal */
  int64_t since_us;         /* CLOCK_MONOTONIC: since when it is whole; all its waits count from here */
  bool crowded;             /* nearly every thread has been busy for a long time: refuse what can wait */
  /* private: */
  struct http *http;
  struct http_thread *thread;
  void *conn;               /* the library's connection; NULL: the front answers on fd */
  int fd;
  bool (*put)(struct http_req *q, const void *p, size_t n); /* writes it all */
  void *put_ctx;            /* of a parked connection */
  size_t n_head;            /* bytes of its head */
  size_t held;              /* bytes that were counted for its body */
  bool keep, unread, head, answered, parked, late, slow;
};

struct http;
struct http_thread;
struct http_opts {
  const char *listen;       /* ADDR:PORT */
  uint32_t threads;         /* 0 = HTTP_THREADS */
  int64_t wait_us;          /* a whole request waits so long for a thread, then 503 BUSY */
  void *ctx;
  /* Handles a request whose framing is sound. Must end in http_send(). */
  void (*handle)(void *ctx, struct http_req *q);
  /* Refuses one whose framing is not: in.method and in.target may be NULL. Must end in http_send(); the connection closes. */
  void (*refuse)(void *ctx, struct http_req *q, const struct wr_err *err);
  void (*tick)(void *ctx);  /* each second, on a thread of the front; NULL = none */
};
#define HTTP_THREADS 96

enum wr_rc http_start(const struct http_opts *o, struct http **out, struct wr_err *err) WR_MUST;
/* Would http_start() get its address? Nothing is kept. */
enum wr_rc http_try(const char *listen, struct wr_err *err) WR_MUST;
uint16_t http_port(const struct http *h);
void http_stop(struct http *h);   /* waits at most 2 s for requests under way */

/* Reads the whole body into scratch->body, at most `limit` bytes and within allow_us. BODY_TOO_LARGE, BODY_TIMEOUT,
 * BAD_FRAMING (chunks), BUSY: too many bodies are slow, or all together too large. The limit is checked before the first byte
 * when the length was announced. */
enum wr_rc http_body(struct http_req *q, size_t limit, int64_t allow_us, struct wr_err *err) WR_MUST;

/* The body of the answer: append to it, then call http_send(). */
struct buf *http_out(struct http_req *q);
void http_out_again(struct http_req *q); /* forgets what was appended */
/* headers: complete lines, each ended by CRLF, or "". After an error status the connection closes. */
void http_send(struct http_req *q, int status, const char *type, const char *headers);

/* In place of http_send(), for a body that lies in the program itself: it is sent from there, so that many readers of a large
 * file cost no memory. A client that reads it slowly is treated as one that sends slowly. headers: as above, at most
 * HTTP_FIXED_ROOM bytes, and one of them must be Cache-Control. status: 200, or 304, which has no body. Not for what the front
 * answers. */
#define HTTP_FIXED_ROOM 1024
struct http_fixed { int status; const char *type, *headers; const void *data; size_t n; };
void http_send_fixed(struct http_req *q, const struct http_fixed *f);

/* ---- connections that wait without a thread ---- */

/* What is left of a request while its connection is parked. */
struct http_parked {
  struct http *http;
  int fd;
  char id[17];              /* of the request */
  bool keep;                /* the connection may go on after the answer */
  bool head, chunks;        /* the method is HEAD; the client reads chunks */
};
/* Takes the connection from the thread that handles q: the handler then returns without an answer, and the thread is free.
 * False: no descriptor is left; nothing has changed. */
bool http_park(struct http_req *q, struct http_parked *p);
struct http_thread *thread_make(void);
void thread_free(struct http_thread *t);
/* q is the same request again, on a thread of the caller, which owns t: what http_send() writes goes to put(). */
void http_resume(struct http_thread *t, const struct http_parked *p, struct http_req *q);
/* The answer is sent: the connection goes on, or is read empty and closed. Takes the descriptor. */
void http_unpark(const struct http_parked *p);
/* The head of an answer whose length nobody knows: in chunks when the client reads them, else until the connection closes. */
void http_stream_head(struct http_req *q, const char *type, const char *headers, struct buf *out);
uint32_t http_connections(const struct http *h);  /* how many may be there beside those that a thread has */
#endif
