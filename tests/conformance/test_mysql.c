/* The facts on MySQL/MariaDB. WEIR_TEST_MYSQL=mysql://user@host/db?socket=PATH names a database that may be emptied;
 * without it the test is skipped. */
#include "mysql_kit.h"

int main(void) {
  if (!kit_url()) return 77; /* meson: skipped */
  const struct backend b = {kit_fresh, kit_again};
  int bad = facts_run("mysql", &b, NULL, 0);
  kit_end();
  return bad != 0;
}
