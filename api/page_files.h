/* The files of the API page, as they lie in the program: ui/embed.py makes the table at build. Each file is there twice, plain
 * and compressed, so that nothing is packed or unpacked while the server runs, and a client that takes no gzip is served as well.
 * Immutable; any thread. What is never asked for is never read into memory. */
#ifndef API_PAGE_FILES_H
#define API_PAGE_FILES_H
#include <stddef.h>

#define PAGE_PATH_ROOM 64        /* of a path with its NUL; ui/embed.py refuses a longer one */

struct page_file {
  const char *path, *type;       /* "/swagger-ui/swagger-ui.css"; the media type */
  const char *tag;               /* of its content: the ETag without quotes */
  const char *plain, *gzip;
  size_t n_plain, n_gzip;
};
extern const struct page_file page_files[];
extern const size_t n_page_files;
#endif
