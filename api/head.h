/* The head of a request as raw bytes: where it ends, whether its lines are sound, what it says about its body. Pure; no
 * allocation; any thread. This file decides only when a request is whole and who gets it: the gate decides what counts. */
#ifndef API_HEAD_H
#define API_HEAD_H
#include "gate.h"
#include "wr_limits.h"

/* Length of the head with its empty line, found as the library finds it, so that whoever gets the bytes never waits for more.
 * 0: more must come; -1: there is a byte that no head has. seen: for the first `seen` bytes the answer was 0 before. */
int head_length(const char *p, size_t n, size_t seen);
/* True for a whole head of n bytes that begins with its method, where every line ends with CRLF and holds no other CR or LF, and
 * no line after the first begins with a blank. */
bool head_sound(const char *p, size_t n);
/* Bytes of the body that are worth waiting for before a thread is spent; -1: none of them (chunks, 100-continue, in doubt). */
int64_t head_body(const char *p, size_t n);
/* GET or HEAD of exactly /livez or /readyz, with or without a query, without a body. */
enum head_probe { HEAD_NO_PROBE, HEAD_LIVEZ, HEAD_READYZ };
enum head_probe head_probe(const char *p, size_t n);
/* Cuts a whole head up in place, as the library leaves it for the gate. False: not of that form. */
bool head_cut(char *p, size_t n, struct gate_header header[LIMIT_HEADERS], struct gate_in *out);
#endif
