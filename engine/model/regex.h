/* Patterns of PCRE2, as users write them for the analyzer `regex`. The library is loaded when the first pattern comes, so a node
 * without patterns does without its memory. Any thread; no state but the library's calls.
 *
 * What never happens: a pattern that runs without a limit of steps, of depth and of memory; a pattern that can call out, or read
 * a file; a text that must be valid (broken UTF-8 is text that does not match). */
#ifndef MODEL_REGEX_H
#define MODEL_REGEX_H
#include <stdbool.h>
#include <stddef.h>

enum regex_rc { REGEX_MATCH, REGEX_NO_MATCH, REGEX_BAD, REGEX_LIMIT, REGEX_UNABLE };
enum { REGEX_WHY = 200 };
/* Is it a pattern? MATCH: yes. BAD, UNABLE: why is a sentence. */
enum regex_rc regex_check(const char *pattern, size_t n, char why[REGEX_WHY]);
/* BAD, LIMIT, UNABLE: why is a sentence. UNABLE: the library is not on this machine, or there is not the memory. */
enum regex_rc regex_match(const char *pattern, size_t pattern_n, const char *text, size_t n, char why[REGEX_WHY]);
#endif
