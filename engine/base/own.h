/* Files of the data directory that must be ours: opened in a way that nobody else can bend. Any thread; no state.
 *
 * What never happens: following a link; waiting for the writer of a pipe; reading a file that another user could have put
 * there, or that others may write. */
#ifndef WR_OWN_H
#define WR_OWN_H
#include "err.h"

/* Opens the file NAME in folder DIR; flags are those of open(), and a file that is made gets mode 0600. It must be a plain file
 * of root, of this user, or of the folder's owner, and nobody else may write it. Returns its descriptor, or -1: NOT_FOUND when
 * there is no such file, FORBIDDEN with a sentence when it breaks one of these rules. */
int own_open(const char *dir, const char *name, int flags, struct wr_err *err) WR_MUST;
/* Does the path still lead to this open file? */
enum wr_rc own_same(int fd, const char *dir, const char *name, struct wr_err *err) WR_MUST;
#endif
