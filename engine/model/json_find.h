/* Where a JSON pointer leads in a text, without a tree: one pass over the text, no memory. For answers of strangers, which may be
 * made of a million values. Pure; any thread; owns nothing.
 *
 * What never happens: a text counts that is not JSON (RFC 8259: also behind what was found), or that is deeper than
 * LIMIT_PICK_DEPTH. Of a key that appears twice the last one counts, as in a tree. A number may be of any size. */
#ifndef MODEL_JSON_FIND_H
#define MODEL_JSON_FIND_H
#include <stddef.h>

enum json_found { JSON_THERE, JSON_ABSENT, JSON_BROKEN, JSON_TOO_DEEP };
/* pointer: of the form that pointer_form() takes. THERE: the value is s[*from] to s[*from + *len]. */
enum json_found json_find(const char *s, size_t n, const char *pointer, size_t *from, size_t *len);
/* A value without the blanks between its tokens, into out, which has room for n bytes. Returns how many it has. */
size_t json_squeeze(const char *s, size_t n, char *out);
#endif
