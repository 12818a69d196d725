/* Private to the client: see http_client.h.
 *
 *   http_gate.c    which addresses may be connected: rules, and those that are refused
 *   http_names.c   names into addresses: threads and a cache
 *   http_call.c    one request, on the client's thread: prepared, sent, read, ended
 *   http_client.c  the thread and its mailbox, and the calls of others
 *
 * Everything belongs to the client's thread but what stands under http.mu. */
#ifndef HTTP_INT_H
#define HTTP_INT_H
#include <pthread.h>
#include <stdatomic.h>
#include "attempt.h"
#include "curl_link.h"
#include "http_client.h"
#include "mem.h"
#include "resolve.h"
#include "wr_limits.h"

#define LOOKUP_US 30000000         /* how long a request waits for its name */
#define CONNECT_US 30000000
#define PLACE_US 30000000          /* how long a large answer may take while others wait for its place */
#define NAME_GOOD_US 10000000      /* how long an address is remembered, and that there is none */
#define NAME_BAD_US 1000000

struct names;
struct refused { char *host; bool literal; struct net_addr addr; uint16_t port; };   /* host NULL: this machine */
enum { REFUSED_MAX = 16 };
enum { IDLE_CONNECTIONS = 64 };    /* that are kept for the next request */

struct call_list { struct http_call *first, **tail; size_t n; };

struct http {
  struct net_rule *rule; size_t n_rule, cap_rule;          /* fixed before the first request */
  lookup_fn *lookup;
  struct backlog *backlog;         /* NULL = none; fixed as well */
  pthread_mutex_t mu;              /* guards these; a call's wake() may take a leaf under it */
  struct member_at { struct net_addr addr; uint16_t port; } *member; size_t n_member;   /* where other members listen; mu */
  struct refused refused[REFUSED_MAX]; size_t n_refused;   /* each is fixed once it is counted */
  struct http_call *in, **in_tail; /* begun */
  struct http_call *over;          /* given up */
  bool started, stop, poked;
  atomic_bool runs;                /* = started, without the lock: wake_fd is there until http_free() */
  pthread_t thread;
  int wake_fd;
  /* the client's thread: */
  const struct curl_calls *curl; const char *unable;
  CURLM *multi;
  int epoll;
  int64_t curl_at_us;              /* libcurl's timer, INT64_MAX = off */
  struct names *names;
  struct call_list naming;         /* wait for a name */
  struct call_list waiting;        /* wait for a connection */
  struct call_list paused;         /* wait for a place, in order */
  struct call_list holding;        /* have a place */
  struct call_list vast_paused, vast;          /* the same of the places for what is larger still */
  size_t n_active, most_active;
};

enum call_state { CALL_NEW, CALL_NAMING, CALL_WAITING, CALL_ACTIVE, CALL_OVER };
enum { CALL_ADDRESSES = 4 };       /* of a name that are tried */

struct http_call {
  struct http *h;
  struct http_call *next_in, *next_over;       /* under http.mu */
  bool given_up;                               /* under http.mu */
  atomic_bool done;                            /* set under http.mu, with everything before it */
  void (*wake)(void *ctx); void *ctx;
  /* the client's thread: */
  struct http_call *next, **at; struct call_list *list;    /* in one list, or none */
  struct http_call *next_place, **at_place; struct call_list *place;
  enum call_state state;
  struct http_url u;
  struct net_addr addr[CALL_ADDRESSES]; uint8_t n_addr, i_addr;
  int64_t since_us;                            /* of its state; of its place */
  CURL *easy;
  struct curl_slist *headers, *connect_to;
  size_t cap;                                  /* of answer.body */
  bool silenced;                               /* its body is not read: a place is waited for */
  bool may_be_vast;
  struct http_answer answer;
  /* fixed: */
  int64_t limit_us;
  size_t body_len;
  uint32_t n_header;
  const char *method, *url, *body, *pointer;   /* into text */
  char text[];                                 /* method, url, pointer, body; then the headers, one after the other */
};

/* ---- http_gate.c; any thread ---- */
/* May it be connected? NULL, or a clause. Names that are refused are compared by the caller. */
const char *gate_closed(const struct http *h, const struct net_addr *a, uint16_t port, char why[HTTP_WHY]);
bool gate_same_place(const struct net_addr *own, const struct net_addr *a);   /* what listens at `own` may be reached at `a` */
bool gate_is_member(struct http *h, const struct net_addr *a, uint16_t port);   /* another member listens there */
size_t gate_refused(struct http *h);           /* how many; the first so many do not change */
bool refused_is(const struct refused *r, const struct net_addr *a, uint16_t port);   /* one that is no name */

/* ---- http_names.c ---- */
enum name_state { NAME_WAITS, NAME_KNOWN, NAME_NONE };
struct names *names_new(lookup_fn *lookup, void (*wake)(void *ctx), void *ctx);
void names_free(struct names *n);
/* *why: a clause, with NONE. *out is valid until the next call. */
enum name_state names_get(struct names *n, const char *host, int64_t now_us, const struct addresses **out, const char **why);
bool names_turn(struct names *n, int64_t now_us);   /* true: names were resolved */

/* ---- http_call.c; the client's thread ---- */
void fetch_begin(struct http_call *c);
void fetch_named(struct http_call *c);          /* looks again whether its name is known */
void fetch_send(struct http_call *c);           /* on the wire */
void fetch_ended(struct http_call *c, CURLcode rc);
void fetch_refuse(struct http_call *c, enum http_flaw flaw, const char *why);
void fetch_drop(struct http_call *c);           /* given up: frees it */
void fetch_look(struct http *h, int64_t now_us);  /* who has waited too long, or held a place too long */

/* ---- http_client.c ---- */
bool client_has_room(const struct http *h, const struct call_list *places);   /* for one more that has such a place */
void calls_add(struct call_list *l, struct http_call *c);
void calls_leave(struct http_call *c);
void room_take(struct call_list *l, struct http_call *c);   /* in `paused` or `holding` */
void room_leave(struct http_call *c);
void client_over(struct http_call *c);         /* its answer is there */
#endif
