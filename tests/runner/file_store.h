/* A SQLite store in a folder of its own, for one program of tests: opened once, removed at its end. */
#ifndef TESTS_FILE_STORE_H
#define TESTS_FILE_STORE_H
#include "store.h"
struct store *file_store_open(void);          /* ends the test when it cannot */
void file_store_close(struct store *s);
#endif
