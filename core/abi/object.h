/* Shared objects: found, copied, mapped, unmapped.
 *
 *   O1  what is mapped is a private copy of the file: replacing the file on disk changes nothing,
 *       and loading the same path twice maps two objects (dlopen() would return the first again).
 */
#ifndef HL_ABI_OBJECT_H
#define HL_ABI_OBJECT_H

#include "kit/bytes.h"
#include "kit/err.h"

struct hl_object_file;

/*
 * Map the object in `path`, or, when that has no '/', NAME.so in one of `folders` (separated by
 * colons; may be NULL).  The caller owns *out and ends it with hl_object_close().
 *
 * HL_ENOENT  there is no such file
 * HL_EINVAL  not a shared object, not executable for anybody, or others may write to it
 * HL_EIO     it cannot be read or copied
 */
HL_MUST_USE hl_err hl_object_open(struct hl_object_file **out, const char *path,
                                  const char *folders, struct hl_errmsg *msg);

/* The address of a symbol, or NULL. */
void *hl_object_symbol(const struct hl_object_file *object, const char *name);

/* The path of the file that was copied; lives as long as the object. */
const char *hl_object_path(const struct hl_object_file *object);

/* End the object but leave it mapped until the process ends: a thread may be in its code.  NULL is
 * allowed. */
void hl_object_leave(struct hl_object_file *object);

/* Unmap it: no thread may be in its code.  NULL is allowed. */
void hl_object_close(struct hl_object_file *object);

#endif
