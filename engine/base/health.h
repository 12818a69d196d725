/* What /readyz says of a node, part by part. Each part fills in its own. A plain value without an owner. `why` is one
 * sentence for people that names the cause, empty while the part is well. What never happens: a secret in `why`. */
#ifndef WR_HEALTH_H
#define WR_HEALTH_H
#include <stdbool.h>

enum { HEALTH_WHY_BYTES = 200 };
struct health_part { bool ok; char why[HEALTH_WHY_BYTES]; };
struct health {
  struct health_part store;       /* rows can be written; filled in by the runner */
  struct health_part queue;       /* hints can be sent and popped; a bad queue alone does not make the node unready */
  struct health_part processes;   /* this node can start processes */
  struct health_part disk;        /* there is room for rows and logs */
};
#endif
