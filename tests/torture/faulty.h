/* A store that fails one call: number N of those the runner makes, before its effect or after it. Everything else goes to
 * the real store below. One thread, as the runner's. */
#ifndef TORTURE_FAULTY_H
#define TORTURE_FAULTY_H
#include "store.h"

enum fault_when { FAULT_BEFORE, FAULT_AFTER };
/* The calls made so far, and which of them fails (0 = none): read and set by the test. */
struct fault { uint64_t calls, fail_at; enum fault_when when; bool hit; const char *name; };
/* Registers the scheme "faulty": faulty:sqlite:PATH. f is borrowed for the life of every such store. */
void faulty_register(struct fault *f);
#endif
