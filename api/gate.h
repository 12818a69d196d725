/* The gate: what a request must look like before anything believes it. Pure checks on method, target and headers; no
 * I/O, no allocation, any thread. civetweb's parser is forgiving: it cuts headers beyond 64, ends them at a folded line,
 * takes the first of two Content-Length and reads "3abc" as 3. Each of these moves the border between two requests of one
 * connection, so all of them are refused here, and the connection is closed. */
#ifndef API_GATE_H
#define API_GATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"

struct gate_header { const char *name, *value; };
/* All pointers lie in civetweb's one buffer, in the order of the request; each piece ends with a NUL where a blank, a
 * '?', a colon or a line end was. What was skipped between two pieces shows as a gap: gate_framing() looks at the gaps.
 * One thing cannot be seen, a CR and a blank instead of CRLF behind the first line: head_sound() sees it in the raw bytes. */
struct gate_in {
  const char *method, *target, *query, *version; /* query NULL = none; version "1.1", behind "HTTP/" */
  const struct gate_header *header;
  size_t n;
};

#define GATE_CHUNKED (-1)
struct gate_out {
  int64_t length;          /* of the body; GATE_CHUNKED = until its end */
  bool keep_alive;         /* the client asks for it and nothing forbids it */
  bool expect;             /* the client waits for 100 Continue */
};
/* BAD_FRAMING, HEADERS_TOO_LARGE, BAD_REQUEST. */
enum wr_rc gate_framing(const struct gate_in *in, struct gate_out *out, struct wr_err *err) WR_MUST;

/* The one header of that name without trailing blanks; NULL when absent. The length goes to *n (may be NULL). */
const char *gate_header(const struct gate_in *in, const char *name, size_t *n);
size_t gate_count(const struct gate_in *in, const char *name);

#define GATE_PATH_MAX 256
/* Decodes the target. BAD_REQUEST: %00, broken %-sequences. NO_ROUTE: too long, empty or dot segments, %2F, %2E, %5C. */
enum wr_rc gate_path(const char *target, char out[GATE_PATH_MAX], struct wr_err *err) WR_MUST;

/* Names that Host may have, without port, lower case. any: the server listens on every address, so every IPv4 literal may be. */
struct gate_hosts { const char *const *name; size_t n; bool any; };
/* WRONG_HOST. An absent Host is right for HTTP/1.0 only: gate_framing() looked. */
enum wr_rc gate_host(const struct gate_in *in, const struct gate_hosts *hosts, struct wr_err *err) WR_MUST;
/* CROSS_SITE: a browser says that another site sent a request that is not GET or HEAD. */
enum wr_rc gate_origin(const struct gate_in *in, struct wr_err *err) WR_MUST;
/* WRONG_CONTENT_TYPE, ENCODING: of a request that has a body. */
enum wr_rc gate_body(const struct gate_in *in, struct wr_err *err) WR_MUST;
#endif
