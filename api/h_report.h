/* What attempts reported, as the API shows it. Any API thread. */
#ifndef API_H_REPORT_H
#define API_H_REPORT_H
#include "answer.h"
#include "store.h"

/* The fields `progress` and `contextBytes` of a task's answer. t: its row. async: of a stand-alone task; NULL = it is a node's.
 * What a former run reported is not shown. */
void report_fields(struct buf *b, const struct report_row *row, const struct task *t, const struct async_row *async);
#endif
