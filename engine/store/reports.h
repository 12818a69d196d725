/* Reports in rows, the same for every SQL store. Private to engine/store. */
#ifndef STORE_REPORTS_H
#define STORE_REPORTS_H
#include "cursor.h"
#include "store.h"

int64_t speed_micro(double speed);     /* as it is stored; speed >= 0 */
/* Of Q_PROGRESS. a: texts are copied into this arena; NULL: they stay in the cells. */
void progress_row_of(const struct cell *c, struct progress_row *p, struct arena *a);
#endif
