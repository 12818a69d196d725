/* What the fuzz targets share. A target is one function over bytes: pure, one thread, no file, no clock. A broken
 * invariant aborts. The same targets run under libFuzzer (entry.c) and over the kept inputs (corpus.c). */
#ifndef FUZZ_H
#define FUZZ_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "def.h"
#include "err.h"

#define FUZZ_TARGETS(X) X(json) X(flow) X(task) X(run_events) X(gate) X(query) X(text) X(report) X(answer) X(analysis)
#define X(name) int fuzz_##name(const uint8_t *data, size_t n);
FUZZ_TARGETS(X)
#undef X

/* Bytes as decisions; zeros when they are used up. */
struct fuzz_in { const uint8_t *p; size_t n; };
static inline uint8_t in_u8(struct fuzz_in *in) { return in->n ? (in->n--, *in->p++) : 0; }
static inline uint32_t in_below(struct fuzz_in *in, uint32_t n) { return in_u8(in) % n; }

/* What holds for every error that a request can cause: clean text, a pointer, a client's status. */
void fuzz_check_err(enum wr_rc rc, const struct wr_err *err);
/* Task types as the server knows them, checked by the built-in executors; tasks 1..99 exist. */
extern const struct def_env fuzz_env;
#endif
