/* `weir version` and `weir config`. Main thread. */
#include <string.h>
#include "migrate.h"
#include "verbs.h"

int verb_version(int argc, char **argv) {
  bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
  if (argc > 1 && !help) fputs("weir version: takes no arguments\n", stderr);
  if (help) puts("Usage: weir version\n\nPrints the version, and the schema that this program gives its database.");
  if (argc > 1) return help ? EXIT_OK : EXIT_USAGE;
  printf("weir " WEIR_VERSION ", schema %lld\n", (long long)schema_newest(&schema_mysql)); /* the stores have one number */
  return EXIT_OK;
}

int verb_config(int argc, char **argv) {
  struct config c;
  struct wr_err err = {0};
  enum wr_rc rc = config_load(&c, VERB_SERVER, argc, argv, &err);
  if (rc) {
    config_done(&c);
    return complain("config", &err, exit_of(rc));
  }
  if (c.help) {
    puts("Usage: weir config [options of weir server]\n\nShows what `weir server` would use, and where each value comes from.\n\n"
         "  weir config --config /etc/weir/weir.conf\n");
    config_help(stdout, VERB_SERVER);
  } else {
    config_show(stdout, &c, VERB_SERVER, server_effective);
  }
  config_done(&c);
  return EXIT_OK;
}
