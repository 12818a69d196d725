/* The seed of a spawner: what is written is read, and what is not whole, or of another build, is refused. No process. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit/unit.h"
#include "run_as.h"
#include "seed.h"

enum { HEAD_BYTES = 36 };           /* of the seed: by these a build knows its own */
static gid_t groups[] = {7, 8, 9};
static struct run_as_user users[] = {{.name = (char[]){"anna"}, .home = (char[]){"/"}, .uid = 1001, .gid = 7, .group = groups, .n_group = 3},
                                     {.name = (char[]){"b"}, .home = (char[]){"/"}, .uid = 1002, .gid = 8}};
static struct run_as list = {.v = users, .n = 2};

static int seed_file(void) {
  struct sw_page *page;
  struct spawner_seed seed = {.run_path = "/data/run", .run_as = &list};
  found_take(&seed.found);
  int fd = seed_new(&page);
  assert_true(fd >= 0);
  atomic_store(&page->slots, 12);
  assert_int_equal(seed_write(fd, &seed), 0);
  munmap(page, SEED_PAGE_BYTES);
  return fd;
}

static void seed_free(struct spawner_seed *s) {
  struct run_as *p = (struct run_as *)(uintptr_t)s->run_as;
  for (size_t i = 0; i < p->n; i++) free(p->v[i].group);
  free(p->v);
  free(p);
  free((char *)(uintptr_t)s->run_path); /* the text that the names stand in begins with it */
  munmap(s->page, SEED_PAGE_BYTES);
}

static void test_there_and_back(void **st) {
  struct spawner_seed s = {0};
  (void)st;
  assert_true(seed_read(seed_file(), &s));
  assert_string_equal(s.run_path, "/data/run");
  assert_int_equal(atomic_load(&s.page->slots), 12);
  assert_true(s.found.taken);
  assert_int_equal(s.run_as->n, 2);
  for (size_t i = 0; i < 2; i++) {
    const struct run_as_user *u = &s.run_as->v[i], *was = &users[i];
    assert_string_equal(u->name, was->name);
    assert_int_equal(u->uid, was->uid);
    assert_int_equal(u->gid, was->gid);
    assert_int_equal(u->n_group, was->n_group);
    for (size_t k = 0; k < u->n_group; k++) assert_int_equal(u->group[k], was->group[k]);
  }
  seed_free(&s);
}

/* Nothing is known of it afterwards but the page. */
static void test_read_once(void **st) {
  struct spawner_seed s = {0};
  (void)st;
  int fd = seed_file(), again = dup(fd);
  assert_true(seed_read(fd, &s));
  assert_int_equal(lseek(again, 0, SEEK_END), SEED_PAGE_BYTES);
  close(again);
  seed_free(&s);
}

static void refused(int fd) {
  struct spawner_seed s = {0};
  assert_false(seed_read(fd, &s));
}

static void test_refused(void **st) {
  (void)st;
  for (off_t at = SEED_PAGE_BYTES; at < SEED_PAGE_BYTES + HEAD_BYTES; at += 4) { /* build, sizes, version */
    uint32_t word;
    int other = seed_file();
    assert_int_equal(pread(other, &word, sizeof word, at), sizeof word);
    word++;
    assert_int_equal(pwrite(other, &word, sizeof word, at), sizeof word);
    refused(other);
  }
  int fd = seed_file();
  assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - 1), 0); /* a part is missing */
  refused(fd);
  refused(open("/dev/null", O_RDWR | O_CLOEXEC));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_read_once), cmocka_unit_test(test_refused)};
  return cmocka_run_group_tests_name("seed", tests, NULL, NULL);
}
