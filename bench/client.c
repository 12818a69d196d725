/* The load client: runs one workload of docs/performance.md against a server and prints one JSON object.
 *
 *   client ADDR:PORT chain N | fan N TIMES | bulk FLOWS STEPS | single FLOWS STEPS CONNECTIONS | shell N argv|sh
 *   client ADDR:PORT tasks N PER | task N CONNECTIONS     stand-alone ECHO, PER of them or one a request
 *   client ADDR:PORT http N PER PORT             stand-alone HTTP, all of them to 127.0.0.1:PORT
 *   client ADDR:PORT job N PER                            the same in one job, which is closed behind them
 *   client ADDR:PORT waits N PER                 stand-alone WAIT of a day; it ends when all are accepted
 *   client ADDR:PORT lone N CONNECTIONS          the same by single requests, of one definition, of an hour
 *   client ADDR:PORT cancel FOLDER TIMES
 *   client - trap FILE        the child that `cancel` sends a SIGTERM
 *
 * The clock runs from just before the first start is sent until the monitor API says that all is over; definitions are
 * saved before (accept_s). One thread; it sleeps between two looks at the monitor. Any end but SUCCESS ends the client. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "http.h"
#include "mem.h"

enum { LOOK_US = 1000, LOOK_SLOW_US = 5000, BULK = 1000, PAGE = 500, PAGES = 20, CONNECTIONS_MAX = 1024 };
enum { GIVE_UP_US = 600 * 1000000 };

struct client { struct http_server server; struct http_conn c; int64_t over_us; }; /* over_us: when all was seen to be over */
struct samples { int64_t *v; size_t n, cap; };
struct result { int64_t tasks; double seconds, accept_s; const char *what; struct samples lat; int64_t refused; };

/* ---- small helpers ---- */

static void nap_us(int64_t us) {
  struct timespec ts = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
  nanosleep(&ts, NULL);
}

static void sample(struct samples *s, int64_t us) {
  s->v = wr_grow(s->v, &s->cap, s->n + 1, sizeof *s->v);
  s->v[s->n++] = us;
}

static int by_value(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static double percentile(const struct samples *s, double p) {
  if (s->n == 0) return 0;
  size_t at = (size_t)(p * (double)s->n);
  return (double)s->v[at < s->n ? at : s->n - 1];
}

static json_t *call(struct client *k, const char *method, const char *path, const char *body) {
  return http_call(&k->c, &k->server, method, path, body);
}

static json_int_t number(json_t *answer, const char *name) {
  json_t *j = json_object_get(json_object_get(answer, "data"), name);
  if (!json_is_integer(j)) die("the answer has no %s", name);
  return json_integer_value(j);
}

static const char *text(json_t *object, const char *name) {
  const char *s = json_string_value(json_object_get(object, name));
  return s ? s : "";
}

static int64_t time_of(json_t *object, const char *name) {
  const char *s = text(object, name);
  int64_t us;
  if (!clock_parse(s, strlen(s), &us)) die("no time in %s: '%s'", name, s);
  return us;
}

/* ---- definitions ---- */

static json_int_t save_task(struct client *k, const char *body) {
  json_t *a = call(k, "POST", "/task", body);
  json_int_t id = number(a, "taskId");
  json_decref(a);
  return id;
}

static json_int_t save_echo(struct client *k) {
  return save_task(k, "{\"taskName\":\"bench echo\",\"taskType\":\"ECHO\",\"taskContent\":\"x\"}");
}

static json_int_t save_flow(struct client *k, struct buf *body, double *seconds) {
  int64_t t = now_us();
  json_t *a = call(k, "POST", "/flow", body->data);
  if (seconds) *seconds = (double)(k->c.answered_us - t) / 1e6; /* the client's reading of the answer does not count */
  json_int_t id = number(a, "flowId");
  json_decref(a);
  buf_done(body);
  return id;
}

/* The definition has no edges: the order of the array is the chain. */
static json_int_t save_chain(struct client *k, json_int_t task, int64_t steps, double *seconds) {
  struct buf b = BUF_INIT;
  buf_str(&b, "{\"flowName\":\"bench chain\",\"flowNodes\":[{\"nodeType\":\"START\"}");
  for (int64_t i = 0; i < steps; i++) buf_printf(&b, ",{\"nodeType\":\"TASK\",\"taskIds\":\"%lld\"}", (long long)task);
  buf_str(&b, ",{\"nodeType\":\"END\"}]}");
  return save_flow(k, &b, seconds);
}

static json_int_t save_fan(struct client *k, json_int_t task, int64_t width, double *seconds) {
  struct buf b = BUF_INIT;
  buf_str(&b, "{\"flowName\":\"bench fan\",\"flowNodes\":[{\"nodeType\":\"START\",\"nodeKey\":\"start\"}");
  for (int64_t i = 0; i < width; i++)
    buf_printf(&b, ",{\"nodeType\":\"TASK\",\"nodeKey\":\"t%lld\",\"taskIds\":\"%lld\",\"prevNodes\":[\"start\"]}", (long long)i, (long long)task);
  buf_str(&b, ",{\"nodeType\":\"END\",\"prevNodes\":[");
  for (int64_t i = 0; i < width; i++) buf_printf(&b, "%s\"t%lld\"", i ? "," : "", (long long)i);
  buf_str(&b, "]}]}");
  return save_flow(k, &b, seconds);
}

/* ---- starting and waiting ---- */

static json_int_t start_flow(struct client *k, json_int_t flow) {
  char path[64];
  snprintf(path, sizeof path, "/exec/flow/%lld", (long long)flow);
  json_t *a = call(k, "POST", path, NULL);
  json_int_t fi = number(a, "fiId");
  json_decref(a);
  return fi;
}

/* Waits until the store says that the flow is over; returns whether it worked. */
static bool wait_flow(struct client *k, json_int_t fi, int64_t look_us) {
  char path[64], status[16] = "RUNNING";
  int64_t give_up = now_us() + GIVE_UP_US;
  snprintf(path, sizeof path, "/monitor/flow/%lld?nodes=false", (long long)fi);
  while (strcmp(status, "RUNNING") == 0) {
    if (now_us() > give_up) die("flow %lld does not end", (long long)fi);
    nap_us(look_us);
    json_t *a = call(k, "GET", path, NULL);
    snprintf(status, sizeof status, "%s", text(json_object_get(a, "data"), "status"));
    json_decref(a);
  }
  return strcmp(status, "SUCCESS") == 0;
}

static void must_work(struct client *k, json_int_t fi, int64_t look_us) {
  if (!wait_flow(k, fi, look_us)) die("flow %lld did not work", (long long)fi);
}

static json_t *list(struct client *k, json_int_t flow, const char *more) {
  char path[160];
  snprintf(path, sizeof path, "/monitor/flow?flowId=%lld&%s", (long long)flow, more);
  json_t *a = call(k, "GET", path, NULL);
  if (!json_is_array(json_object_get(a, "data"))) die("%s: data is no array", path);
  return a;
}

/* Waits until no instance of the flow is RUNNING, then counts them: all must have worked. */
static void count_flows(struct client *k, json_int_t flow, int64_t want) {
  json_t *a = list(k, flow, "status=SUCCESS&limit=1&total=true");
  json_t *total = json_object_get(json_object_get(a, "page"), "total");
  if (!total) total = json_object_get(a, "total");
  if (json_integer_value(total) != want) die("%lld of %lld flows worked", (long long)json_integer_value(total), (long long)want);
  json_decref(a);
}

static void wait_flows(struct client *k, json_int_t flow) {
  int64_t give_up = now_us() + GIVE_UP_US;
  for (size_t running = 1; running;) {
    if (now_us() > give_up) die("flows of %lld do not end", (long long)flow);
    nap_us(LOOK_US);
    json_t *a = list(k, flow, "status=RUNNING&limit=1");
    running = json_array_size(json_object_get(a, "data"));
    json_decref(a);
  }
}

/* ---- latencies out of the store ---- */

enum lat { LAT_STEP, LAT_CHAIN };

/* LAT_STEP: startedAt to endedAt of a node. LAT_CHAIN: from one node's endedAt to the next one's. */
static void page_latency(json_t *nodes, enum lat kind, struct samples *out) {
  int64_t before = 0;
  size_t i;
  json_t *n;
  json_array_foreach(nodes, i, n) {
    int64_t end = time_of(n, "endedAt");
    if (kind == LAT_STEP) sample(out, end - time_of(n, "startedAt"));
    else if (i > 0) sample(out, end - before);
    before = end;
  }
}

/* All nodes, or PAGES pages spread over them. */
static void node_latency(struct client *k, json_int_t fi, int64_t nodes, enum lat kind, struct samples *out) {
  int64_t pages = (nodes + PAGE - 1) / PAGE, every = (pages + PAGES - 1) / PAGES;
  for (int64_t p = 0; p < pages; p += every) {
    char path[96];
    snprintf(path, sizeof path, "/monitor/flow/%lld?limit=%d&offset=%lld", (long long)fi, PAGE, (long long)(p * PAGE));
    json_t *a = call(k, "GET", path, NULL);
    page_latency(json_object_get(json_object_get(a, "data"), "nodes"), kind, out);
    json_decref(a);
  }
}

static void flow_latency(struct client *k, json_int_t flow, int64_t flows, struct samples *out) {
  for (int64_t at = 0; at < flows; at += PAGE) {
    char more[64];
    size_t i;
    json_t *f;
    snprintf(more, sizeof more, "limit=%d&offset=%lld", PAGE, (long long)at);
    json_t *a = list(k, flow, more);
    json_array_foreach(json_object_get(a, "data"), i, f) sample(out, time_of(f, "endedAt") - time_of(f, "startedAt"));
    json_decref(a);
  }
}

/* ---- workloads ---- */

static void run_chain(struct client *k, int64_t steps, struct result *r) {
  json_int_t flow = save_chain(k, save_echo(k), steps, &r->accept_s);
  int64_t t = now_us();
  json_int_t fi = start_flow(k, flow);
  must_work(k, fi, LOOK_US);
  r->seconds = (double)(now_us() - t) / 1e6;
  r->tasks = steps;
  r->what = "step";
  node_latency(k, fi, steps, LAT_CHAIN, &r->lat);
}

/* One after the other; the sum counts. */
static void run_fan_of(struct client *k, json_int_t task, int64_t width, int64_t times, struct result *r) {
  json_int_t flow = save_fan(k, task, width, &r->accept_s), fi = 0;
  int64_t look = width > 10000 || times == 1 ? LOOK_SLOW_US : LOOK_US;
  for (int64_t i = 0; i < times; i++) {
    int64_t t = now_us();
    fi = start_flow(k, flow);
    must_work(k, fi, look);
    r->seconds += (double)(now_us() - t) / 1e6;
  }
  r->tasks = width * times;
  r->what = "step";
  node_latency(k, fi, width, LAT_STEP, &r->lat);
}

static void run_bulk(struct client *k, int64_t flows, int64_t steps, struct result *r) {
  json_int_t flow = save_chain(k, save_echo(k), steps, &r->accept_s);
  int64_t t = now_us();
  for (int64_t left = flows; left > 0; left -= BULK) {
    struct buf b = BUF_INIT;
    int64_t n = left < BULK ? left : BULK;
    buf_str(&b, "{\"starts\":[");
    for (int64_t i = 0; i < n; i++) buf_printf(&b, "%s{\"flowId\":%lld}", i ? "," : "", (long long)flow);
    buf_str(&b, "]}");
    json_t *a = call(k, "POST", "/exec/flows", b.data);
    if ((int64_t)json_array_size(json_object_get(a, "data")) != n) die("a bulk start answers another number of ids");
    json_decref(a);
    buf_done(&b);
  }
  wait_flows(k, flow);
  r->seconds = (double)(now_us() - t) / 1e6;
  r->tasks = flows * steps;
  r->what = "flow";
  count_flows(k, flow, flows);
  flow_latency(k, flow, flows, &r->lat);
}

/* ---- one POST per flow, over many connections at once ---- */

struct lane { struct http_conn c; int64_t sent_us; };
struct flood { struct client *k; struct lane *lane; int ep; char *request; size_t n; int64_t to_send, to_come; struct result *r; };

static void lane_send(struct flood *f, struct lane *l) {
  l->sent_us = now_us();
  http_send(&l->c, f->request, f->n);
}

static void lane_answer(struct flood *f, struct lane *l) {
  const char *body;
  size_t n;
  int status = http_receive(&l->c, &body, &n);
  if (status == 0) return;
  if (status == 200) {
    sample(&f->r->lat, now_us() - l->sent_us);
    f->to_come--;
    if (f->to_send == 0) return;
    f->to_send--;
  } else if (status == 503) {
    f->r->refused++; /* so the same flow is sent again */
  } else {
    die("start: %d %.*s", status, n > 500 ? 500 : (int)n, body);
  }
  lane_send(f, l);
}

static void flood_open(struct flood *f, int lanes) {
  f->lane = wr_calloc((size_t)lanes, sizeof *f->lane);
  f->ep = epoll_create1(EPOLL_CLOEXEC);
  if (f->ep < 0) die("epoll: %s", strerror(errno));
  for (int i = 0; i < lanes; i++) {
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &f->lane[i]};
    http_open(&f->lane[i].c, &f->k->server);
    if (epoll_ctl(f->ep, EPOLL_CTL_ADD, f->lane[i].c.fd, &ev) != 0) die("epoll: %s", strerror(errno));
  }
}

static void flood_run(struct flood *f, int lanes) {
  for (int i = 0; i < lanes && f->to_send > 0; i++, f->to_send--) lane_send(f, &f->lane[i]);
  while (f->to_come > 0) {
    struct epoll_event ev[64];
    int n = epoll_wait(f->ep, ev, 64, 60000);
    if (n == 0 || (n < 0 && errno != EINTR)) die("no answer to a start for a minute");
    for (int i = 0; i < n; i++) lane_answer(f, ev[i].data.ptr);
  }
}

/* Sends the same POST n times; returns the time before the first one. */
static int64_t flood(struct client *k, const char *path, const char *body, int64_t n, int lanes, struct result *r) {
  struct flood f = {.k = k, .to_send = n, .to_come = n, .r = r};
  if (lanes < 1 || lanes > CONNECTIONS_MAX) die("connections: 1 to %d", CONNECTIONS_MAX);
  f.request = http_request(&k->server, "POST", path, body, &f.n);
  flood_open(&f, lanes);
  int64_t t = now_us();
  flood_run(&f, lanes);
  r->accept_s = r->seconds = (double)(now_us() - t) / 1e6;
  r->what = "request";
  for (int i = 0; i < lanes; i++) http_close(&f.lane[i].c);
  close(f.ep);
  free(f.lane);
  free(f.request);
  return t;
}

static void run_single(struct client *k, int64_t flows, int64_t steps, int lanes, struct result *r) {
  char path[64];
  json_int_t flow = save_chain(k, save_echo(k), steps, &r->accept_s);
  snprintf(path, sizeof path, "/exec/flow/%lld", (long long)flow);
  int64_t t = flood(k, path, NULL, flows, lanes, r);
  wait_flows(k, flow);
  r->seconds = (double)(now_us() - t) / 1e6;
  r->tasks = flows * steps;
  count_flows(k, flow, flows);
}

/* ---- stand-alone tasks ---- */

#define ALONE "{\"taskType\":\"ECHO\",\"taskContent\":\"x\"}"
#define WAITS "{\"taskType\":\"WAIT\",\"taskContent\":\"86400\"}"

static size_t rows_of(json_t *a) { return json_array_size(json_object_get(a, "data")); }

/* Waits until no stand-alone task is RUNNING, then counts them: all must have worked. */
static void wait_tasks(struct client *k, int64_t want) {
  int64_t give_up = now_us() + GIVE_UP_US;
  for (size_t running = 1; running;) {
    if (now_us() > give_up) die("tasks do not end");
    nap_us(LOOK_US);
    json_t *a = call(k, "GET", "/monitor/task?status=RUNNING&limit=1", NULL);
    running = rows_of(a);
    json_decref(a);
  }
  k->over_us = now_us();
  json_t *a = call(k, "GET", "/monitor/task?status=SUCCESS&limit=1&total=true", NULL);
  json_int_t n = json_integer_value(json_object_get(json_object_get(a, "page"), "total"));
  if (n != want) die("%lld of %lld tasks worked", (long long)n, (long long)want);
  json_decref(a);
}

/* startedAt to endedAt; pages spread over all. createTime has whole seconds. */
static void task_latency(struct client *k, int64_t tasks, struct samples *out) {
  int64_t pages = (tasks + PAGE - 1) / PAGE, every = (pages + PAGES - 1) / PAGES;
  for (int64_t p = 0; p < pages; p += every) {
    char path[96];
    size_t i;
    json_t *t;
    snprintf(path, sizeof path, "/monitor/task?limit=%d&offset=%lld", PAGE, (long long)(p * PAGE));
    json_t *a = call(k, "GET", path, NULL);
    json_array_foreach(json_object_get(a, "data"), i, t) sample(out, time_of(t, "endedAt") - time_of(t, "startedAt"));
    json_decref(a);
  }
}

/* n times the same task, `per` of them a request. job: they are its tasks; NULL = of none. */
static void submit_to(struct client *k, const char *job, const char *task, int64_t n, int64_t per) {
  for (int64_t left = n, some; left > 0; left -= some) {
    struct buf b = BUF_INIT;
    some = left < per ? left : per;
    for (int64_t i = 0; i < some; i++) buf_printf(&b, "%s%s", i ? "," : "{\"tasks\":[", task);
    buf_str(&b, "]}");
    char path[64];
    snprintf(path, sizeof path, job ? "%s/task" : "%s", job ? job : "/exec/tasks");
    json_t *a = call(k, "POST", path, b.data), *data = json_object_get(a, "data");
    if ((int64_t)json_array_size(job ? json_object_get(data, "tiIds") : data) != some) die("a submit of many tasks answers another number of ids");
    json_decref(a);
    buf_done(&b);
  }
}

static void submit(struct client *k, const char *task, int64_t n, int64_t per) { submit_to(k, NULL, task, n, per); }

/* Done is what the job says: final, and each of its tasks a success. */
static void run_job(struct client *k, int64_t n, int64_t per, struct result *r) {
  char job[64], path[96];
  int64_t t = now_us(), give_up = t + GIVE_UP_US;
  json_t *a = call(k, "POST", "/job", "{\"jobKey\":\"bench\"}");
  snprintf(job, sizeof job, "/job/%lld", (long long)json_integer_value(json_object_get(json_object_get(a, "data"), "jobId")));
  json_decref(a);
  submit_to(k, job, ALONE, n, per);
  snprintf(path, sizeof path, "%s/close", job);
  json_decref(call(k, "POST", path, NULL));
  r->accept_s = (double)(now_us() - t) / 1e6;
  snprintf(path, sizeof path, "%s?wait=60", job);
  for (bool over = false; !over;) {
    if (now_us() > give_up) die("the job does not end");
    json_t *got = call(k, "GET", path, NULL), *d = json_object_get(got, "data");
    over = json_object_get(d, "endTime") != NULL;
    if (over && json_integer_value(json_object_get(json_object_get(d, "counts"), "success")) != n) die("not every task of the job worked");
    json_decref(got);
  }
  r->seconds = (double)(now_us() - t) / 1e6;
  r->tasks = n;
  r->what = "task";
  task_latency(k, n, &r->lat);
}

static void run_tasks(struct client *k, const char *task, int64_t n, int64_t per, struct result *r) {
  int64_t t = now_us();
  submit(k, task, n, per);
  r->accept_s = (double)(now_us() - t) / 1e6;
  wait_tasks(k, n);
  r->seconds = (double)(k->over_us - t) / 1e6;
  r->tasks = n;
  r->what = "task";
  task_latency(k, n, &r->lat);
}

static void run_http(struct client *k, int64_t n, int64_t per, int64_t port, struct result *r) {
  char task[128];
  snprintf(task, sizeof task, "{\"taskType\":\"HTTP\",\"taskContent\":\"http://127.0.0.1:%lld/\"}", (long long)port);
  run_tasks(k, task, n, per, r);
}

static void run_waits(struct client *k, int64_t n, int64_t per, struct result *r) {
  int64_t t = now_us();
  submit(k, WAITS, n, per);
  r->accept_s = r->seconds = (double)(now_us() - t) / 1e6;
  r->tasks = n;
}

static void run_task(struct client *k, int64_t n, int lanes, struct result *r) {
  int64_t t = flood(k, "/exec/task", ALONE, n, lanes, r);
  wait_tasks(k, n);
  r->seconds = (double)(k->over_us - t) / 1e6;
  r->tasks = n;
}

static void run_lone(struct client *k, int64_t n, int lanes, struct result *r) {
  char path[64];
  json_int_t task = save_task(k, "{\"taskName\":\"bench wait\",\"taskType\":\"WAIT\",\"taskContent\":\"3600\"}");
  snprintf(path, sizeof path, "/exec/task/%lld", (long long)task);
  (void)flood(k, path, NULL, n, lanes, r);
  r->tasks = n;
}

static void run_shell(struct client *k, int64_t n, const char *how, struct result *r) {
  json_int_t task = save_task(k, strcmp(how, "sh") == 0
      ? "{\"taskName\":\"bench sh\",\"taskType\":\"SHELL\",\"taskContent\":\"/bin/true\"}"
      : "{\"taskName\":\"bench argv\",\"taskType\":\"SHELL\",\"taskConfig\":{\"argv\":[\"/bin/true\"]}}");
  run_fan_of(k, task, n, 1, r);
}

/* ---- cancel ---- */

static int64_t wall_us(void) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Writes v whole or not at all. */
static void put_file(const char *path, int64_t v) {
  char tmp[4096];
  snprintf(tmp, sizeof tmp, "%s.tmp", path);
  FILE *f = fopen(tmp, "we");
  if (!f || fprintf(f, "%lld\n", (long long)v) < 0 || fclose(f) != 0 || rename(tmp, path) != 0) die("%s: %s", path, strerror(errno));
}

static int64_t wait_file(const char *path) {
  int64_t give_up = now_us() + GIVE_UP_US;
  FILE *f;
  long long v;
  while (!(f = fopen(path, "re"))) {
    if (now_us() > give_up) die("%s never came", path);
    nap_us(LOOK_US);
  }
  if (fscanf(f, "%lld", &v) != 1) die("%s is empty", path);
  fclose(f);
  unlink(path);
  return v;
}

/* The child: makes FILE.ready when it listens, and FILE.term with the time at which SIGTERM came. */
static int run_trap(const char *file) {
  char path[4096];
  sigset_t set;
  int sig;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  snprintf(path, sizeof path, "%s.ready", file);
  put_file(path, wall_us());
  sigwait(&set, &sig);
  int64_t at = wall_us();
  snprintf(path, sizeof path, "%s.term", file);
  put_file(path, at);
  return 0;
}

static json_int_t save_trap(struct client *k, const char *file) {
  char self[4096];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n < 0) die("/proc/self/exe: %s", strerror(errno));
  self[n] = 0;
  json_t *task = json_pack("{s:s, s:s, s:{s:[s,s,s,s]}}", "taskName", "bench trap", "taskType", "SHELL", "taskConfig", "argv", self,
                           "-", "trap", file);
  char *body = json_dumps(task, JSON_COMPACT);
  json_int_t id = save_task(k, body);
  free(body);
  json_decref(task);
  return id;
}

/* Measures from just before the request is sent until the child has the signal, by the same clock. */
static void run_cancel(struct client *k, const char *folder, int64_t times, struct result *r) {
  char file[3900], ready[4000], term[4000], path[64];
  snprintf(file, sizeof file, "%s/trap", folder);
  snprintf(ready, sizeof ready, "%s.ready", file);
  snprintf(term, sizeof term, "%s.term", file);
  json_int_t flow = save_chain(k, save_trap(k, file), 1, NULL);
  for (int64_t i = 0; i < times; i++) {
    json_int_t fi = start_flow(k, flow);
    (void)wait_file(ready);
    snprintf(path, sizeof path, "/exec/flow-ins/%lld/cancel", (long long)fi);
    int64_t t = wall_us();
    json_decref(call(k, "POST", path, NULL));
    sample(&r->lat, wait_file(term) - t);
    r->seconds += (double)r->lat.v[r->lat.n - 1] / 1e6;
    (void)wait_flow(k, fi, LOOK_US); /* FAILED or SUCCESS: the child ends with 0 after the signal */
  }
  r->tasks = times;
  r->what = "cancel";
}

/* ---- main ---- */

static void print_result(struct result *r) {
  if (r->lat.n) qsort(r->lat.v, r->lat.n, sizeof *r->lat.v, by_value);
  printf("{\"tasks\":%lld,\"seconds\":%.6f,\"accept_seconds\":%.6f,\"latency_of\":\"%s\",\"samples\":%zu,\"p50_us\":%.0f,"
         "\"p99_us\":%.0f,\"max_us\":%.0f,\"refused\":%lld}\n",
         (long long)r->tasks, r->seconds, r->accept_s, r->what, r->lat.n, percentile(&r->lat, 0.5), percentile(&r->lat, 0.99),
         percentile(&r->lat, 1), (long long)r->refused);
  free(r->lat.v);
}

static int64_t arg(int argc, char **argv, int i) {
  char *end = NULL;
  if (i >= argc) die("too few arguments; see the head of bench/client.c");
  long long v = strtoll(argv[i], &end, 10);
  if (*end || v < 1) die("not a count: %s", argv[i]);
  return v;
}

int main(int argc, char **argv) {
  struct client k;
  struct result r = {.what = ""};
  if (argc < 4) die("usage: see the head of bench/client.c");
  const char *verb = argv[2];
  if (strcmp(verb, "trap") == 0) return run_trap(argv[3]);
  signal(SIGPIPE, SIG_IGN);
  http_parse_server(argv[1], &k.server);
  http_open(&k.c, &k.server);
  if (strcmp(verb, "chain") == 0) run_chain(&k, arg(argc, argv, 3), &r);
  else if (strcmp(verb, "fan") == 0) run_fan_of(&k, save_echo(&k), arg(argc, argv, 3), arg(argc, argv, 4), &r);
  else if (strcmp(verb, "bulk") == 0) run_bulk(&k, arg(argc, argv, 3), arg(argc, argv, 4), &r);
  else if (strcmp(verb, "single") == 0) run_single(&k, arg(argc, argv, 3), arg(argc, argv, 4), (int)arg(argc, argv, 5), &r);
  else if (strcmp(verb, "tasks") == 0) run_tasks(&k, ALONE, arg(argc, argv, 3), arg(argc, argv, 4), &r);
  else if (strcmp(verb, "http") == 0) run_http(&k, arg(argc, argv, 3), arg(argc, argv, 4), arg(argc, argv, 5), &r);
  else if (strcmp(verb, "job") == 0) run_job(&k, arg(argc, argv, 3), arg(argc, argv, 4), &r);
  else if (strcmp(verb, "waits") == 0) run_waits(&k, arg(argc, argv, 3), arg(argc, argv, 4), &r);
  else if (strcmp(verb, "task") == 0) run_task(&k, arg(argc, argv, 3), (int)arg(argc, argv, 4), &r);
  else if (strcmp(verb, "lone") == 0) run_lone(&k, arg(argc, argv, 3), (int)arg(argc, argv, 4), &r);
  else if (strcmp(verb, "shell") == 0 && argc > 4) run_shell(&k, arg(argc, argv, 3), argv[4], &r);
  else if (strcmp(verb, "cancel") == 0) run_cancel(&k, argv[3], arg(argc, argv, 4), &r);
  else die("unknown workload: %s", verb);
  http_close(&k.c);
  print_result(&r);
  return 0;
}
