/* A store for a test of the library, and what tests of routines share: a gate that routines wait at, and a ledger of what they did.
 * Tests know weir.h alone, as any program does. */
#ifndef LIB_KIT_H
#define LIB_KIT_H
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "weir.h"

#define OK(call) do { int rc_ = (call); if (rc_) fail_msg("%s: %s", #call, weir_strerror(rc_)); } while (0)
#define IS(call, want) assert_int_equal((call), (want))
enum { SOON_MS = 20000 };            /* how long a test waits for what must come */

/* Runs the tests of main. Which store: "sqlite", "mysql" (WEIR_TEST_MYSQL), "redis" (that, and WEIR_TEST_REDIS); where there is none a
 * TAP line says so. Each KIT_TEST begins with a new, empty database. */
#define KIT_TEST(f) cmocka_unit_test_setup(f, kit_fresh)
int kit_main(int argc, char **argv, const char *what, const struct CMUnitTest *all, size_t n);
/* The same, each test in a process and on a database of its own, all at once: for tests that wait most of their time. */
int kit_main_at_once(int argc, char **argv, const char *what, const struct CMUnitTest *all, size_t n);
int kit_fresh(void **state);
bool kit_one_process(void);          /* the store belongs to one process */
const char *kit_url(void);
const char *kit_dir(void);
const char *kit_socket(void);        /* of the database's server */
void kit_through(const char *socket);   /* handles that this test opens from now on go there instead */
/* Opens; more: one more option, NULL = none. */
weir_t *kit_open(const char *slots, const char *more);
/* The same with any options, NULL at their end; the answer of weir_open(). */
int kit_try(weir_t **h, const char *const *more, char err[300]);

/* The store takes no logs while they are held, and all else. */
void kit_hold_logs(void);
void kit_release_logs(void);

/* Routines wait at a gate until the test opens it, or they are told to stop. */
struct gate { pthread_mutex_t mu; pthread_cond_t moved; int came, left; bool open; };
void gate_init(struct gate *g);
void gate_open(struct gate *g);
void gate_come(struct gate *g);      /* one more routine has come */
void gate_await(struct gate *g, int came);   /* until so many routines have come */
bool gate_pass(struct gate *g, weir_attempt_t *a);   /* false: told to stop */
int gate_came(struct gate *g);

/* Each call that takes a text refuses one that is not UTF-8, with a sentence: -1, and nothing is done or sent. */
void kit_bad_texts(weir_t *h);
/* The same of numbers, of ids, and of what is not there at all. */
void kit_refused(weir_t *h);

/* Waits until the task is in that state (Weir's own word); "" = until it is gone. */
void kit_state(weir_t *h, int64_t id, const char *state);
int64_t kit_create(weir_t *h, const char *type);
#endif
