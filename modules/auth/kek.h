/* The key-encryption key's file: 64 hexadecimal digits and a newline, readable by its owner only.
 */
#ifndef AUTH_KEK_H
#define AUTH_KEK_H

#include "seal.h"

/*
 * Read the key from the file `path`.
 *
 * HL_ENOENT when there is no such file; HL_EINVAL when it is no regular file, or others than its
 * owner may read or write it; HL_ECORRUPT when it does not hold a key; HL_EIO.  `msg` says which.
 */
HL_MUST_USE hl_err kek_read(unsigned char out[SEAL_KEY_LEN], const char *path,
                            struct hl_errmsg *msg);

/* Make a new key and store it in a new file `path` (mode 0600, synced to disk).  HL_EIO when it
 * cannot be made, a file that exists already included; no file is then left behind. */
HL_MUST_USE hl_err kek_create(unsigned char out[SEAL_KEY_LEN], const char *path,
                              struct hl_errmsg *msg);

#endif
