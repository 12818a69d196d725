/* The table of options: sources and their order, bounds, and what a user is told when he mistypes. */
#include "config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after the standard headers it needs */
#include <cmocka.h>

#define MAX_ARGS 16
static struct config cfg;
static struct wr_err err;
static char file[64];

static char *argv[MAX_ARGS + 1];   /* of the newest load(), as it left it */

static enum wr_rc load(unsigned verb, const char *const *args) {
  int argc = 0;
  for (; args[argc]; argc++) {
    free(argv[argc]);
    argv[argc] = strdup(args[argc]);
  }
  free(argv[argc]);
  argv[argc] = NULL;
  config_done(&cfg);
  memset(&err, 0, sizeof err);
  return config_load(&cfg, verb, argc, argv, &err);
}
#define LOAD(verb, ...) load((verb), (const char *const[]){"verb", __VA_ARGS__ __VA_OPT__(, ) NULL})

static int clean(void **state) {
  (void)state;
  config_done(&cfg);
  unsetenv("WEIR_SLOTS");
  unsetenv("WEIR_LOG_LEVEL");
  unsetenv("WEIR_HOST");
  unsetenv("WEIR_CONFIG");
  unsetenv("WEIR_LEASE");
  unsetenv("WEIR_STORE");
  unsetenv("WEIR_DRY_RUN");
  unsetenv("WEIR_OUTPUT");
  return 0;
}

static void write_file(const char *text) {
  FILE *f = fopen(file, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static void test_defaults(void **state) {
  (void)state;
  assert_int_equal(LOAD(VERB_SERVER), WR_OK);
  assert_string_equal(config_text(&cfg, OPT_LISTEN), "127.0.0.1:8088");
  assert_int_equal(config_num(&cfg, OPT_LEASE), 60000000);
  assert_int_equal(config_num(&cfg, OPT_ASYNC_SLOTS), 10000);
  assert_int_equal(config_num(&cfg, OPT_DEV), 0);
  assert_null(config_text(&cfg, OPT_STORE));
  assert_int_equal(cfg.v[OPT_STORE].from, FROM_NOWHERE);
  assert_int_equal(cfg.v[OPT_LISTEN].from, FROM_DEFAULT);
}

static void test_precedence(void **state) {
  (void)state;
  write_file("# comment\n\n slots = 3 \nlog-level= debug\nlease =2s\n");
  setenv("WEIR_SLOTS", "5", 1);
  assert_int_equal(LOAD(VERB_SERVER, "--config", file), WR_OK);
  assert_int_equal(config_num(&cfg, OPT_SLOTS), 5);
  assert_int_equal(cfg.v[OPT_SLOTS].from, FROM_ENV);
  assert_int_equal(config_num(&cfg, OPT_LOG_LEVEL), 3);
  assert_int_equal(config_num(&cfg, OPT_LEASE), 2000000);
  assert_int_equal(LOAD(VERB_SERVER, "--config", file, "--slots=7"), WR_OK);
  assert_int_equal(config_num(&cfg, OPT_SLOTS), 7);
  assert_int_equal(cfg.v[OPT_SLOTS].from, FROM_FLAG);
  unsetenv("WEIR_SLOTS");
  setenv("WEIR_CONFIG", file, 1);
  assert_int_equal(LOAD(VERB_SERVER), WR_OK);
  assert_int_equal(config_num(&cfg, OPT_SLOTS), 3);
  assert_int_equal(cfg.v[OPT_SLOTS].from, FROM_FILE);
}

static void test_many(void **state) {
  (void)state;
  setenv("WEIR_HOST", "a.example, b.example", 1);
  assert_int_equal(LOAD(VERB_SERVER), WR_OK);
  assert_int_equal(cfg.v[OPT_HOST].n_many, 2);
  assert_string_equal(cfg.v[OPT_HOST].many[1], "b.example");
  assert_int_equal(LOAD(VERB_SERVER, "--host", "c", "--host", "d,e"), WR_OK);
  assert_int_equal(cfg.v[OPT_HOST].n_many, 2);
  assert_string_equal(cfg.v[OPT_HOST].many[1], "d,e");
  assert_int_equal(LOAD(VERB_RUN, "-p", "a=1", "-pb=2", "FILE", "--param", "c=3"), WR_OK);
  assert_int_equal(cfg.v[OPT_PARAM].n_many, 3);
  assert_string_equal(cfg.v[OPT_PARAM].many[1], "b=2");
  assert_int_equal(cfg.n_args, 1);
  assert_string_equal(cfg.args[0], "FILE");
}

static void test_switch(void **state) {
  (void)state;
  assert_int_equal(LOAD(VERB_SERVER, "--dev"), WR_OK);
  assert_int_equal(config_num(&cfg, OPT_DEV), 1);
  assert_int_equal(LOAD(VERB_SERVER, "--dev=off"), WR_OK);
  assert_int_equal(config_num(&cfg, OPT_DEV), 0);
  assert_int_equal(LOAD(VERB_SERVER, "--dev=maybe"), WR_BAD_REQUEST);
}

static void refused(enum wr_rc rc, const char *part) {
  assert_int_equal(rc, WR_BAD_REQUEST);
  if (!strstr(err.msg, part)) fail_msg("\"%s\" is not in \"%s\"", part, err.msg);
}

static void test_refusals(void **state) {
  (void)state;
  refused(LOAD(VERB_SERVER, "--slots", "0"), "a whole number from 1 to 100000");
  refused(LOAD(VERB_SERVER, "--slots", "3x"), "--slots");
  refused(LOAD(VERB_SERVER, "--slots"), "needs a value");
  refused(LOAD(VERB_SERVER, "--lease", "10ms"), "--lease");
  refused(LOAD(VERB_SERVER, "--log-level", "loud"), "one of error|warn|info|debug");
  refused(LOAD(VERB_SERVER, "--lisen", "x"), "Did you mean \"--listen\"?");
  refused(LOAD(VERB_SERVER, "--store", ""), "--store");
  refused(LOAD(VERB_RUN, "--listen", "x"), "Unknown option");
  refused(LOAD(VERB_SERVER, "-x"), "Unknown option \"-x\". See `weir verb --help`.");
}

static void test_file_refusals(void **state) {
  (void)state;
  write_file("slots = 2\nslotz = 3\n");
  refused(LOAD(VERB_SERVER, "--config", file), "line 2: unknown key \"slotz\". Did you mean \"slots\"?");
  if (strncmp(err.msg, file, strlen(file)) != 0) fail_msg("\"%s\" does not begin with the file", err.msg);
  write_file("slots 2\n");
  refused(LOAD(VERB_SERVER, "--config", file), "line 1: expected `name = value`");
  write_file("slots = 2\nslots = 2\n");
  refused(LOAD(VERB_SERVER, "--config", file), "appears twice");
  write_file("param = a=1\n");
  refused(LOAD(VERB_RUN, "--config", file), "line 1: \"param\" cannot be set in a file: give it as a flag, --param.");
  write_file("config = other\n");
  refused(LOAD(VERB_SERVER, "--config", file), "\"config\" cannot be set in a file");
  write_file("dry-run = on\n");
  refused(LOAD(VERB_DB, "--config", file), "\"dry-run\" cannot be set in a file: give it as a flag, --dry-run.");
  write_file("dry-rum = on\n"); /* no name is proposed that would be refused */
  refused(LOAD(VERB_DB, "--config", file), "unknown key \"dry-rum\".");
  assert_null(strstr(err.msg, "mean"));
  refused(LOAD(VERB_SERVER, "--config", "/nonexistent/weir.conf"), "/nonexistent/weir.conf cannot be read");
}

/* Whoever sets WEIR_DRY_RUN would not see that the database was changed. WEIR_OUTPUT of a SHELL task is a file for its result. */
static void test_flag_only(void **state) {
  (void)state;
  static const char *const words[] = {"on", "off", "x"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    setenv("WEIR_DRY_RUN", words[i], 1);
    refused(LOAD(VERB_DB, "migrate"), "WEIR_DRY_RUN is set, but only the flag counts: say --dry-run, or unset WEIR_DRY_RUN.");
    refused(LOAD(VERB_DB, "--dry-run", "migrate"), "WEIR_DRY_RUN is set");
    assert_int_equal(LOAD(VERB_SERVER), WR_OK);
  }
  setenv("WEIR_DRY_RUN", "", 1);
  assert_int_equal(LOAD(VERB_DB, "--dry-run", "migrate"), WR_OK);
  assert_int_equal(config_num(&cfg, OPT_DRY_RUN), 1);
  setenv("WEIR_OUTPUT", "/tmp/result", 1);
  assert_int_equal(LOAD(VERB_RUN, "FILE"), WR_OK);
  assert_string_equal(config_text(&cfg, OPT_OUTPUT), "text");
}

static void comes_to(const struct config *c, enum opt_id id, char *out, size_t n) {
  (void)c;
  if (id == OPT_SLOTS) snprintf(out, n, "7");
  if (id == OPT_SHELL) snprintf(out, n, "off");
}

/* A password in a URL is never echoed. */
/* What ps shows: as many arguments as before, as long as before, and no secret, in whichever form it was given. */
static void test_wiped(void **state) {
  (void)state;
  assert_int_equal(LOAD(VERB_SERVER, "--slots", "3", "--store", "mysql://u:hush@h/d", "--queue=redis://:hush@h/0"), WR_OK);
  assert_string_equal(config_text(&cfg, OPT_STORE), "mysql://u:hush@h/d");
  assert_string_equal(config_text(&cfg, OPT_QUEUE), "redis://:hush@h/0");
  assert_string_equal(argv[2], "3");
  assert_string_equal(argv[3], "--store");
  assert_string_equal(argv[4], "xxxxxxxxxxxxxxxxxx");
  assert_string_equal(argv[5], "--queue=xxxxxxxxxxxxxxxxx");
  assert_null(argv[6]);
  assert_int_equal(LOAD(VERB_SERVER, "--stor=mysql://u:hush@h/d"), WR_BAD_REQUEST); /* an abbreviation is none of our names */
  assert_string_equal(argv[1], "--stor=xxxxxxxxxxxxxxxxxx");
  assert_int_equal(LOAD(VERB_SERVER, "--queue", ""), WR_BAD_REQUEST);
  assert_int_equal(LOAD(VERB_RUN, "-p", "pw=hush", "-ppw=hush", "--param", "pw=hush", "flow.json"), WR_OK);
  assert_string_equal(cfg.v[OPT_PARAM].many[1], "pw=hush");
  for (int i = 1; argv[i]; i++) assert_null(strstr(argv[i], "hush"));
  assert_int_equal(cfg.n_args, 1);
  assert_string_equal(cfg.args[0], "flow.json");
}

/* The beginning of a name is not the name, whatever form the value has; and what is no flag may be a secret. */
static void test_whole_names(void **state) {
  (void)state;
  static const struct { unsigned verb; const char *flag, *value, *says; } bad[] = {
    {VERB_MEMBER, "--token", "hush", "WEIR_TOKEN"}, {VERB_MEMBER, "--token=hush", NULL, "WEIR_TOKEN"}, {VERB_JOB, "--ser", "hush", "--ser"},
    {VERB_JOB, "--al", NULL, "\"--all\"?"}, {VERB_JOB, "--he", NULL, "--he"}, {VERB_EXECUTOR, "--serve", NULL, "--serve"},
    {VERB_SERVER, "--slot=3", NULL, "\"--slots\"?"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(LOAD(bad[i].verb, bad[i].flag, bad[i].value), WR_BAD_REQUEST);
    assert_non_null(strstr(err.msg, bad[i].says));
    assert_null(strstr(err.msg, "hush"));
  }
  assert_int_equal(LOAD(VERB_MEMBER, "a", "--server", "http://h", "--all", "b", "-o", "json", "--token-file=f"), WR_OK);
  assert_int_equal(cfg.n_args, 2);
  assert_string_equal(config_text(&cfg, OPT_SERVER), "http://h");
  assert_int_equal(LOAD(VERB_RUN, "-p", "--he=x", "--param", "--al=x"), WR_OK); /* a value may look like a flag */
}

static void test_wiped_environment(void **state) {
  (void)state;
  static char entry[] = "WEIR_STORE=mysql://u:hush@h/d"; /* as the kernel laid it out: /proc/PID/environ is this memory */
  putenv(entry);
  assert_int_equal(LOAD(VERB_SERVER), WR_OK);
  assert_string_equal(config_text(&cfg, OPT_STORE), "mysql://u:hush@h/d");
  assert_null(getenv("WEIR_STORE"));
  assert_string_equal(entry, "WEIR_STORE=xxxxxxxxxxxxxxxxxx");
}

/* Mistyped, it is not shown either. */
static void test_secrets_in_errors(void **state) {
  (void)state;
  assert_int_equal(LOAD(VERB_SERVER, "--sotre=mysql://u:hush@h/d"), WR_BAD_REQUEST);
  assert_string_equal(err.msg, "Unknown option \"--sotre\". Did you mean \"--store\"? See `weir verb --help`.");
  assert_int_equal(LOAD(VERB_SERVER, "--store", "mysql://u:hush@h/d", "-xy"), WR_BAD_REQUEST);
  assert_string_equal(err.msg, "Unknown option \"-x\". See `weir verb --help`.");
}

static void mode_is(const char *text, mode_t mode, enum wr_rc rc, const char *says) {
  write_file(text);
  assert_int_equal(chmod(file, mode), 0);
  if (LOAD(VERB_SERVER, "--config", file) != rc) fail_msg("%o: %s", (unsigned)mode, err.msg);
  if (says && !strstr(err.msg, says)) fail_msg("%o: %s", (unsigned)mode, err.msg);
  assert_null(strstr(err.msg, "hush"));
  assert_int_equal(chmod(file, 0600), 0);
}

static void test_file_mode(void **state) {
  (void)state;
  char chmod_600[96];
  snprintf(chmod_600, sizeof chmod_600, "chmod 600 %s", file);
  static const mode_t open_to_others[] = {0644, 0640, 0620, 0602, 0604, 0666};
  for (size_t i = 0; i < sizeof open_to_others / sizeof *open_to_others; i++) {
    mode_is("store = mysql://u:hush@h/d\n", open_to_others[i], WR_FORBIDDEN, chmod_600);
    mode_is("slots = 3\nqueue = redis://:hush@h/0\n", open_to_others[i], WR_FORBIDDEN, chmod_600);
  }
  mode_is("store = mysql://u:hush@h/d\n", 0600, WR_OK, NULL);
  mode_is("store = mysql://u:hush@h/d\n", 0400, WR_OK, NULL);
  mode_is("store = sqlite:/x/weir.db\nqueue = redis://h/0\n", 0644, WR_OK, NULL); /* no password in it */
  mode_is("run-as = tasks\n", 0666, WR_FORBIDDEN, "chmod o-w");
  mode_is("run-as = tasks\n", 0664, WR_OK, NULL);
}

static void test_secrets(void **state) {
  (void)state;
  char text[4096] = "";
  FILE *f = fmemopen(text, sizeof text, "w");
  assert_int_equal(LOAD(VERB_SERVER, "--store", "mysql://u:hush@h/d"), WR_OK);
  config_show(f, &cfg, VERB_SERVER, comes_to);
  fclose(f);
  assert_null(strstr(text, "hush"));
  assert_non_null(strstr(text, "mysql://u:***@h/d"));
  memset(text, 0, sizeof text);
  f = fmemopen(text, sizeof text, "w");
  assert_int_equal(LOAD(VERB_SERVER, "--store", "mysql://u:hu@sh:@h/d", "--queue", "redis://:hush@h:1/0"), WR_OK);
  config_show(f, &cfg, VERB_SERVER, comes_to);
  fclose(f);
  assert_null(strstr(text, "hu@"));
  assert_null(strstr(text, "hush"));
  assert_non_null(strstr(text, "redis://:***@h:1/0"));
}

/* What was not given is shown as what it comes to, "auto" too. */
static void test_show(void **state) {
  (void)state;
  char text[4096] = "";
  FILE *f = fmemopen(text, sizeof text, "w");
  assert_int_equal(LOAD(VERB_SERVER, "--shell", "auto", "--listen", "127.0.0.1:1"), WR_OK);
  config_show(f, &cfg, VERB_SERVER, comes_to);
  fclose(f);
  assert_non_null(strstr(text, "slots            7                            (default)\n"));
  assert_non_null(strstr(text, "shell            off                          (flag: auto)\n"));
  assert_non_null(strstr(text, "listen           127.0.0.1:1                  (flag)\n"));
}

static const char *help_of(unsigned verb) {
  static char text[16384];
  memset(text, 0, sizeof text);
  FILE *f = fmemopen(text, sizeof text, "w");
  config_help(f, verb);
  fclose(f);
  return text;
}

/* No verb promises what only another one does. */
static void test_help_of_verbs(void **state) {
  (void)state;
  assert_non_null(strstr(help_of(VERB_DB), "One migration:\n      --dry-run\n"));
  assert_non_null(strstr(help_of(VERB_DB), "All but --dry-run can be set without a flag"));
  assert_non_null(strstr(help_of(VERB_DB), "sqlite:DATA/weir.db)"));
  assert_non_null(strstr(help_of(VERB_DB), "(default: warn)"));
  assert_null(strstr(help_of(VERB_DB), "--dev"));
  assert_null(strstr(help_of(VERB_DB), "temporary file"));
  assert_null(strstr(help_of(VERB_TOKEN), "--dev"));
  assert_non_null(strstr(help_of(VERB_RUN), "(default: a temporary\n        file)"));
  assert_non_null(strstr(help_of(VERB_RUN), "All but the options of one run can"));
  assert_non_null(strstr(help_of(VERB_SERVER), "(default: info)"));
  assert_non_null(strstr(help_of(VERB_SERVER), "(default: ./data with --dev, else /var/lib/weir)"));
}

static void test_help(void **state) {
  (void)state;
  char text[16384] = "";
  assert_int_equal(LOAD(VERB_RUN, "--help", "--no-such-thing"), WR_OK);
  assert_true(cfg.help);
  FILE *f = fmemopen(text, sizeof text, "w");
  config_help(f, VERB_RUN);
  fclose(f);
  assert_non_null(strstr(text, "--time-scale"));
  assert_null(strstr(text, "--listen"));
  for (const char *p = text, *end; *p; p = end + 1) {
    end = strchr(p, '\n');
    if (end - p > 80 || (end > p && end[-1] == ' ')) fail_msg("too wide, or a blank at the end: %.*s", (int)(end - p), p);
  }
}

int main(void) {
  snprintf(file, sizeof file, "/tmp/weir-test-config-%ld", (long)getpid());
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_teardown(test_defaults, clean),    cmocka_unit_test_teardown(test_whole_names, clean),
       cmocka_unit_test_teardown(test_precedence, clean),
    cmocka_unit_test_teardown(test_many, clean),        cmocka_unit_test_teardown(test_switch, clean),
    cmocka_unit_test_teardown(test_refusals, clean),    cmocka_unit_test_teardown(test_file_refusals, clean),
    cmocka_unit_test_teardown(test_secrets, clean),     cmocka_unit_test_teardown(test_show, clean),
    cmocka_unit_test_teardown(test_help, clean),        cmocka_unit_test_teardown(test_help_of_verbs, clean),
    cmocka_unit_test_teardown(test_flag_only, clean),
    cmocka_unit_test_teardown(test_wiped, clean),
    cmocka_unit_test_teardown(test_wiped_environment, clean), cmocka_unit_test_teardown(test_secrets_in_errors, clean),
    cmocka_unit_test_teardown(test_file_mode, clean),
  };
  int failed = cmocka_run_group_tests_name("config", tests, NULL, NULL);
  unlink(file);
  return failed;
}
