/* See fault_vfs.h. All methods but write and sync go straight to the real file. */
#include "fault_vfs.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct fault_file { sqlite3_file base; sqlite3_file *real; };

static sqlite3_vfs *below, layer;
static sqlite3_io_methods methods;
static atomic_bool armed, hit;
static atomic_int count;
static enum fault_kind what;
static int which, answer;

void fault_arm(enum fault_kind kind, int n, int code) {
  what = kind, which = n, answer = code;
  count = 0;
  hit = false;
  armed = true;
}

bool fault_disarm(void) {
  armed = false;
  return hit;
}

static bool strikes(enum fault_kind kind) {
  if (!armed || kind != what || (++count != which && which != FAULT_EVERY)) return false;
  hit = true;
  return true;
}

static sqlite3_file *real(sqlite3_file *f) { return ((struct fault_file *)f)->real; }

static int f_close(sqlite3_file *f) {
  int rc = real(f)->pMethods->xClose(real(f));
  free(real(f));
  return rc;
}
static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) { return real(f)->pMethods->xRead(real(f), p, n, at); }
static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
  return strikes(FAULT_WRITE) ? answer : real(f)->pMethods->xWrite(real(f), p, n, at);
}
static int f_truncate(sqlite3_file *f, sqlite3_int64 n) { return real(f)->pMethods->xTruncate(real(f), n); }
static int f_sync(sqlite3_file *f, int flags) { return strikes(FAULT_SYNC) ? answer : real(f)->pMethods->xSync(real(f), flags); }
static int f_size(sqlite3_file *f, sqlite3_int64 *n) { return real(f)->pMethods->xFileSize(real(f), n); }
static int f_lock(sqlite3_file *f, int l) { return real(f)->pMethods->xLock(real(f), l); }
static int f_unlock(sqlite3_file *f, int l) { return real(f)->pMethods->xUnlock(real(f), l); }
static int f_reserved(sqlite3_file *f, int *out) { return real(f)->pMethods->xCheckReservedLock(real(f), out); }
static int f_control(sqlite3_file *f, int op, void *arg) { return real(f)->pMethods->xFileControl(real(f), op, arg); }
static int f_sector(sqlite3_file *f) { return real(f)->pMethods->xSectorSize(real(f)); }
static int f_traits(sqlite3_file *f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); }
static int f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out) {
  return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}
static int f_shm_lock(sqlite3_file *f, int at, int n, int flags) { return real(f)->pMethods->xShmLock(real(f), at, n, flags); }
static void f_shm_barrier(sqlite3_file *f) { real(f)->pMethods->xShmBarrier(real(f)); }
static int f_shm_unmap(sqlite3_file *f, int del) { return real(f)->pMethods->xShmUnmap(real(f), del); }

static int v_open(sqlite3_vfs *v, const char *name, sqlite3_file *file, int flags, int *out) {
  struct fault_file *f = (struct fault_file *)file;
  (void)v;
  f->base.pMethods = NULL;
  f->real = calloc(1, (size_t)below->szOsFile);
  if (!f->real) return SQLITE_NOMEM;
  int rc = below->xOpen(below, name, f->real, flags, out);
  if (rc == SQLITE_OK) f->base.pMethods = &methods;
  else free(f->real);
  return rc;
}

void fault_install(void) {
  below = sqlite3_vfs_find(NULL);
  layer = *below;
  layer.zName = "fault";
  layer.szOsFile = sizeof(struct fault_file);
  layer.xOpen = v_open;
  methods = (sqlite3_io_methods){
    .iVersion = 2, .xClose = f_close, .xRead = f_read, .xWrite = f_write, .xTruncate = f_truncate, .xSync = f_sync,
    .xFileSize = f_size, .xLock = f_lock, .xUnlock = f_unlock, .xCheckReservedLock = f_reserved, .xFileControl = f_control,
    .xSectorSize = f_sector, .xDeviceCharacteristics = f_traits, .xShmMap = f_shm_map, .xShmLock = f_shm_lock,
    .xShmBarrier = f_shm_barrier, .xShmUnmap = f_shm_unmap};
  sqlite3_vfs_register(&layer, 1);
}
