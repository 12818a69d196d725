/* JSON pointers (RFC 6901), and values that are the same. Pure; any thread; owns nothing. */
#ifndef MODEL_POINTER_H
#define MODEL_POINTER_H
#include <jansson.h>
#include <stdbool.h>

bool pointer_form(const char *s);                              /* "" or "/..", with ~0 and ~1 only */
const json_t *pointer_follow(const json_t *v, const char *s);  /* NULL: there is nothing. s: of that form */
/* Numbers count by value: 1 is 1.0. Objects have no order. */
bool json_same(const json_t *a, const json_t *b);
#endif
