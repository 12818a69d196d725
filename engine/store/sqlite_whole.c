/* Checks that the files of a SQLite store are as long as what was written into them, and that the database has one name only.
 * The checkpoint thread asks before it moves pages and from time to time. So a cut file is noticed before the zeros in place of
 * its pages are moved into the database.
 *
 * The index of the WAL says what must be there (the -shm file; its form is fixed: walformat.html). It is read through a
 * descriptor of our own, which stays open as long as the store, because closing it would end the locks that SQLite has on the
 * file. A program beside us may empty the WAL by a checkpoint of its own, or shrink the database by VACUUM: the index shows both.
 *
 * What never happens: a read through a mapping, which a cut file answers with a signal; a file that is called cut for something
 * that SQLite does. */
#include "sqlite_priv.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log.h"

enum { INDEX_VERSION = 3007000, INDEX_HEAD = 48, MOVED_AT = 96, TRIED_AT = 128, WAL_HEAD = 32, FRAME_HEAD = 24, DB_HEAD = 100,
       PAGE_MAX = 65536, FRAMES_A_LOOK = 1 << 20 };

/* The first of two copies; mx_frame: so many frames of this generation hold pages, all of them committed. */
struct index_head {
  uint32_t version, unused, change;
  uint8_t is_init, big_end; uint16_t page;
  uint32_t mx_frame, n_page, frame_sum[2];
  uint8_t salt[8];
  uint32_t sum[2];
};
_Static_assert(sizeof(struct index_head) == INDEX_HEAD, "as it lies in the file");

static uint32_t be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

enum seen { INDEX_CUT, INDEX_ODD, INDEX_READ };  /* ODD: SQLite is changing it just now, or it is not as we know it */
static enum seen read_index(const struct sq *s, struct index_head *h) {
  struct index_head two[2];
  if (s->whole.index_fd < 0) return INDEX_ODD;
  ssize_t n = pread(s->whole.index_fd, two, sizeof two, 0);
  if (n >= 0 && n < (ssize_t)sizeof two) return INDEX_CUT;
  if (n < 0 || memcmp(&two[0], &two[1], sizeof *two) != 0 || two[0].version != INDEX_VERSION || !two[0].is_init)
    return INDEX_ODD;
  *h = two[0];
  return INDEX_READ;
}

static bool same_generation(const struct index_head *a, const uint8_t salt[8]) {
  return memcmp(a->salt, salt, sizeof a->salt) == 0;
}

/* In a file that was cut and then written on, the frame before the first new one is a hole. Of the frames that were seen whole
 * only the last one is looked at again: a cut at an earlier frame makes a hole up to the next new frame, too. */
static bool frames_stand(struct sq_whole *k, int fd, const struct index_head *h) {
  uint8_t head[WAL_HEAD], frame[16];
  int64_t page = h->page == 1 ? PAGE_MAX : h->page;
  if (!same_generation(h, k->salt)) k->frames = 0;
  if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head || be32(head) >> 1 != 0x377f0682 >> 1 ||
      !same_generation(h, head + 16))
    return false;
  struct stat st;
  if (fstat(fd, &st) == 0 && st.st_size < WAL_HEAD + h->mx_frame * (FRAME_HEAD + page)) return false;
  for (uint32_t i = k->frames ? k->frames : 1, n = 0; i <= h->mx_frame && n < FRAMES_A_LOOK; i++, n++) {
    off_t at = WAL_HEAD + (i - 1) * (FRAME_HEAD + page);
    if (pread(fd, frame, sizeof frame, at) != (ssize_t)sizeof frame || !same_generation(h, frame + 8)) return false;
    k->frames = i;
  }
  memcpy(k->salt, h->salt, sizeof k->salt);
  return true;
}

/* A WAL that was begun anew meanwhile is looked at the next time. */
static const char *look_at_wal(struct sq *s) {
  struct index_head before, after;
  char path[4200];
  enum seen seen = read_index(s, &before);
  if (seen == INDEX_CUT) return "-shm";
  if (seen == INDEX_ODD || before.mx_frame == 0) return NULL;
  snprintf(path, sizeof path, "%s-wal", s->path);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW); /* SQLite has no locks on this one */
  bool ok = fd < 0 || frames_stand(&s->whole, fd, &before); /* if it is not there, another check says so */
  if (fd >= 0) close(fd);
  if (ok || read_index(s, &after) != INDEX_READ || after.mx_frame < before.mx_frame || !same_generation(&after, before.salt))
    return NULL;
  return "-wal";
}

/* True while frames are being moved into the database, or when a move ended half way (a full disk, a kill). Behind the two heads
 * stand the number of frames that were tried, and the number that is known to be moved. */
static bool is_moving(const struct sq *s) {
  uint32_t moved, tried;
  int fd = s->whole.index_fd;
  return fd < 0 || pread(fd, &moved, sizeof moved, MOVED_AT) != (ssize_t)sizeof moved ||
         pread(fd, &tried, sizeof tried, TRIED_AT) != (ssize_t)sizeof tried || moved != tried;
}

/* The first page of the database says how long it must be. It is read through SQLite's own descriptor, so SQLite's locks stay.
 * Page 1 is moved in before the last page, which stands in the WAL until then. */
static bool db_is_short(struct sq *s) {
  sqlite3_file *f = NULL;
  sqlite3_int64 size = 0;
  uint8_t h[DB_HEAD];
  if (sqlite3_file_control(s->ckpt.conn.db, "main", SQLITE_FCNTL_FILE_POINTER, &f) != SQLITE_OK || !f || !f->pMethods)
    return false;
  if (f->pMethods->xFileSize(f, &size) != SQLITE_OK) return false;
  if (size < DB_HEAD) return true;
  if (f->pMethods->xRead(f, h, sizeof h, 0) != SQLITE_OK || memcmp(h + 24, h + 92, 4) != 0) return false;
  int64_t page = (int64_t)h[16] << 8 | h[17];
  return size < (int64_t)be32(h + 28) * (page == 1 ? PAGE_MAX : page) && !is_moving(s);
}

static void look_at_links(struct sq *s) {
  struct stat st;
  bool linked = stat(s->path, &st) == 0 && st.st_nlink > 1;
  if (linked == s->whole.linked) return;
  s->whole.linked = linked;
  if (!linked) log_info("store.one_name", L_STR("path", s->path));
  else log_error("store.second_name", L_STR("path", s->path),
                 L_STR("why", "it has a second name (a hard link): a program that opens it by this name damages it, and no "
                              "server starts on it any more. Remove the second name."));
}

void sq_whole_begin(struct sq *s) {
  char path[4200];
  snprintf(path, sizeof path, "%s-shm", s->path);
  s->whole.index_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

void sq_whole_end(struct sq *s) {
  if (s->whole.index_fd >= 0) close(s->whole.index_fd);
}

const char *sq_whole_look(struct sq *s) {
  bool was = s->whole.doubt;
  look_at_links(s);
  s->whole.doubt = db_is_short(s);
  return s->whole.doubt && was ? "" : look_at_wal(s);
}
