/* The disk as the log and the snapshots see it.
 *
 * core/server/disk_posix.c is the real one; tests/support/fake_disk.c keeps files in memory, fails
 * on demand and loses what was not synced.  The log cannot tell them apart.
 *
 * Files are named by a directory and a plain name in it (no '/').  Every function returns HL_OK,
 * or fills `msg` (may be NULL) with the file, the operation and the reason and returns:
 *   HL_EFULL   no space, quota or descriptor: the file is as before or holds a part of the bytes,
 *              nothing that was synced is harmed, and the same call may succeed later.  Never from
 *              a sync that was tried
 *   HL_ENOENT  open without create, rename or remove of a name that is not there
 *   HL_EBUSY   lock only: another process holds it
 *   HL_EIO     anything else; after a failed sync nothing may be assumed of unsynced bytes
 * Out arguments are written only on success.  Calls block.  Two threads may call at the same time
 * on different files.
 */
#ifndef HL_WAL_DISK_H
#define HL_WAL_DISK_H

#include "kit/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HL_DISK_NAME_MAX 64 /* bytes of a file's name with its NUL, of the files that we make */

/* Called for each plain file; `name` is borrowed for the call. */
typedef void (*hl_disk_name_fn)(void *arg, const char *name);

struct hl_disk {
    void *ctx;
    /* Take the directory for this process, creating it when missing; held until unlock. */
    hl_err (*lock)(void *ctx, const char *dir, int *lock, struct hl_errmsg *msg);
    void (*unlock)(void *ctx, int lock);
    /* Call `each` for every file of `dir` in no particular order.  HL_ENOENT when there is no
     * such directory. */
    hl_err (*list)(void *ctx, const char *dir, hl_disk_name_fn each, void *arg,
                   struct hl_errmsg *msg);
    /* Open for reading and writing; `create` makes an empty file when there is none. */
    hl_err (*open)(void *ctx, const char *dir, const char *name, bool create, int *file,
                   struct hl_errmsg *msg);
    /* Reserve space so that the file is at least `size` bytes, new bytes reading as zero. */
    hl_err (*preallocate)(void *ctx, int file, uint64_t size, struct hl_errmsg *msg);
    /* Write all of `len` bytes at `offset`. */
    hl_err (*pwrite)(void *ctx, int file, const void *bytes, size_t len, uint64_t offset,
                     struct hl_errmsg *msg);
    /* Read up to `len` bytes at `offset`; *got is less only at the end of the file. */
    hl_err (*pread)(void *ctx, int file, void *bytes, size_t len, uint64_t offset, size_t *got,
                    struct hl_errmsg *msg);
    hl_err (*size)(void *ctx, int file, uint64_t *size, struct hl_errmsg *msg);
    /* Bytes from *end on, up to the file's size, read as zeros; *end is at most that size.  NULL
     * when the disk cannot tell without reading. */
    hl_err (*data_end)(void *ctx, int file, uint64_t *end, struct hl_errmsg *msg);
    hl_err (*truncate)(void *ctx, int file, uint64_t size, struct hl_errmsg *msg);
    /* The file's bytes and size survive a power loss once this returned HL_OK. */
    hl_err (*fdatasync)(void *ctx, int file, struct hl_errmsg *msg);
    /* Replace `to` by `from` in one step. */
    hl_err (*rename)(void *ctx, const char *dir, const char *from, const char *to,
                     struct hl_errmsg *msg);
    hl_err (*remove)(void *ctx, const char *dir, const char *name, struct hl_errmsg *msg);
    /* Names made, renamed and removed in `dir` survive a power loss once this returned HL_OK. */
    hl_err (*sync_dir)(void *ctx, const char *dir, struct hl_errmsg *msg);
    void (*close)(void *ctx, int file);
};

#endif
