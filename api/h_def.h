/* What the handlers of definitions share. */
#ifndef API_H_DEF_H
#define API_H_DEF_H
#include "call.h"
#include "def.h"

/* Known types and existing tasks, for the parsers of the model. */
struct def_env def_env_of(struct call *c);
enum wr_rc def_stale(struct call *c, int64_t given, int64_t current); /* 412 */
/* The page that was asked for; shown in the answer. */
struct page def_page(struct call *c);
#endif
