/* Small files that hold a secret: one line, private to their owner. */
#ifndef AUTH_SECRET_FILE_H
#define AUTH_SECRET_FILE_H

#include "seal.h"

#define SECRET_FILE_MAX 1024

/*
 * Read the line in the file `path` (without its newline) and append it to `out`.
 *
 * HL_ENOENT when there is no such file; HL_EINVAL when it is no regular file, or others than its
 * owner may read or write it; HL_ECORRUPT when it is longer than SECRET_FILE_MAX; HL_EIO.  `msg`
 * says which and never holds what was read.  The caller wipes `out`.
 */
HL_MUST_USE hl_err secret_file_read(struct hl_buf *out, const char *path, struct hl_errmsg *msg);

/* Store `line` and a newline in a new file `path` (mode 0600, file and name synced to disk).
 * HL_EIO when it cannot be made, a file that exists already included; no file of ours is then left
 * behind. */
HL_MUST_USE hl_err secret_file_create(const char *path, struct hl_slice line,
                                      struct hl_errmsg *msg);

#endif
