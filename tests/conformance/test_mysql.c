/* The facts on MySQL/MariaDB. */
#include "mysql_kit.h"

int main(void) {
  if (!kit_begin("facts")) return 0;
  const struct backend b = {kit_fresh, kit_again, kit_ask, true};
  int bad = facts_run("mysql", &b, NULL, 0);
  kit_end();
  return bad;
}
