/* The real disk: files of the operating system behind the seam of wal/disk.h.
 *
 * Stateless: every handle is a file descriptor, so the same struct serves all threads and a forked
 * child alike.
 */
#ifndef HL_SERVER_DISK_POSIX_H
#define HL_SERVER_DISK_POSIX_H

#include "wal/disk.h"

/* The one real disk, valid for the whole run.  Its lock is an advisory lock on the file "lock" in
 * the directory; a directory is created with mode 0700, a file with mode 0600. */
const struct hl_disk *hl_disk_posix(void);

#endif
