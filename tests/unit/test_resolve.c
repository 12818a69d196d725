/* Names of hosts: a resolver that does not answer holds nobody beyond the time that was given. getaddrinfo() is wrapped. */
#include "unit.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "wr_limits.h"
#include "resolve.h"

static sem_t go;
static _Atomic int asked;       /* lookups that really ask */

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hint, struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hint, struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hint, struct addrinfo **out) {
  if (hint->ai_flags & AI_NUMERICHOST) return __real_getaddrinfo(host, service, hint, out);
  asked++;
  if (strncmp(host, "silent", 6) == 0)
    while (sem_wait(&go) != 0) {}
  return strcmp(host, "missing") == 0 ? EAI_NONAME : __real_getaddrinfo("127.0.0.9", service, hint, out);
}

static int64_t in(int64_t us) { return clock_mono_us() + us; }

static void test_figures(void **st) {
  struct addresses a;
  char text[ADDRESS_TEXT];
  (void)st;
  asked = 0;
  assert_null(resolve("127.0.0.1", 6379, 0, &a));
  assert_int_equal(a.n, 1);
  assert_string_equal(address_text(&a.a[0], text), "127.0.0.1");
  assert_int_equal(((struct sockaddr_in *)&a.a[0].at)->sin_port, htons(6379));
  assert_null(resolve("::1", 1, 0, &a));
  assert_string_equal(address_text(&a.a[0], text), "::1");
  assert_int_equal(((struct sockaddr_in6 *)&a.a[0].at)->sin6_port, htons(1));
  assert_int_equal(asked, 0);
}

static void test_names(void **st) {
  struct addresses a;
  char text[ADDRESS_TEXT];
  (void)st;
  asked = 0;
  for (int i = 1; i <= 3; i++) { /* anew each time */
    assert_null(resolve("good", 7, in(30000000), &a));
    assert_string_equal(address_text(&a.a[0], text), "127.0.0.9");
    assert_int_equal(((struct sockaddr_in *)&a.a[0].at)->sin_port, htons(7));
    assert_int_equal(asked, i);
  }
  assert_string_equal(resolve("missing", 7, in(30000000), &a), gai_strerror(EAI_NONAME));
}

static void *ask_silent(void *arg) {
  struct addresses a;
  return (void *)(uintptr_t)resolve(arg, 1, in(60000000), &a);
}

static void test_no_answer(void **st) {
  struct addresses a;
  char name[32];
  pthread_t t;
  void *why;
  (void)st;
  asked = 0;
  int64_t began = clock_mono_us();
  for (int i = 0; i < 3; i++) assert_string_equal(resolve("silent", 1, in(20000), &a), "its name was not resolved in time");
  assert_in_range(clock_mono_us() - began, 60000, 10000000);
  assert_int_equal(asked, 1);     /* the others waited for the same one */
  for (int i = 1; i < LIMIT_LOOKUPS; i++) {
    snprintf(name, sizeof name, "silent-%d", i);
    assert_string_equal(resolve(name, 1, in(1000), &a), "its name was not resolved in time");
  }
  assert_string_equal(resolve("one-more", 1, in(1000), &a), "too many lookups have no answer yet");
  assert_null(resolve("127.0.0.1", 1, 0, &a)); /* figures need none */
  assert_int_equal(pthread_create(&t, NULL, ask_silent, name), 0); /* it joins the last one, or begins it anew */
  for (int i = 0; i < LIMIT_LOOKUPS + 1; i++) sem_post(&go);
  pthread_join(t, &why);
  assert_null(why);
  for (int i = 0; resolve("good", 1, in(30000000), &a); i++) { /* the places are free again */
    assert_in_range(i, 0, 3000);
    usleep(10000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_figures), cmocka_unit_test(test_names), cmocka_unit_test(test_no_answer)};
  sem_init(&go, 0, 0);
  return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
