/* The calls of libcurl that the client of a node makes, and that of the command line. They are found when the first request
 * comes, not linked: libcurl brings thirty libraries along, 4 MiB of memory, which a node without HTTP tasks does without. */
#ifndef CURL_LINK_H
#define CURL_LINK_H
#include <stdbool.h>
#define CURL_DISABLE_TYPECHECK 1
#include <curl/curl.h>

#define CURL_CALLS(X) \
  X(curl_global_init) X(curl_easy_init) X(curl_easy_setopt) X(curl_easy_getinfo) X(curl_easy_cleanup) X(curl_easy_strerror) \
  X(curl_easy_pause) X(curl_easy_perform) X(curl_easy_reset) \
  X(curl_slist_append) X(curl_slist_free_all) X(curl_multi_init) X(curl_multi_cleanup) X(curl_multi_setopt) \
  X(curl_multi_add_handle) X(curl_multi_remove_handle) X(curl_multi_socket_action) X(curl_multi_info_read)

struct curl_calls {
#define X(name) __typeof__(&(name)) name;
  CURL_CALLS(X)
#undef X
};
/* NULL: it is not on this machine, or too old; *why is a sentence. Any thread; the same for the whole process. */
const struct curl_calls *curl_calls(const char **why);
#endif
