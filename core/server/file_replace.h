/* Replacing a small file wholly or not at all. */
#ifndef HL_SERVER_FILE_REPLACE_H
#define HL_SERVER_FILE_REPLACE_H

#include "kit/bytes.h"
#include "kit/err.h"

/* Write `text` to a temporary file beside `path`, sync it and rename it into place.  Keeps the old
 * file's permissions; a new one is for the owner alone.  HL_EIO with a reason: the old file, if
 * any, is as it was. */
HL_MUST_USE hl_err hl_file_replace(const char *path, struct hl_slice text, struct hl_errmsg *msg);

#endif
