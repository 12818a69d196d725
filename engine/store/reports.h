/* Reports in rows, the same for every SQL store. Private to engine/store. */
#ifndef STORE_REPORTS_H
#define STORE_REPORTS_H
#include <stdint.h>

int64_t speed_micro(double speed);     /* as it is stored; speed >= 0 */
#endif
