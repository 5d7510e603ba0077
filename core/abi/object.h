/* Shared objects: found, copied, mapped, unmapped.
 *
 *   O1  what is mapped is a private copy of the file: replacing the file on disk changes nothing,
 *       and loading the same path twice maps two objects (dlopen() would return the first again).
 */
#ifndef HL_ABI_OBJECT_H
#define HL_ABI_OBJECT_H

#include "kit/bytes.h"
#include "kit/err.h"

#define HL_OBJECT_SUM 32 /* bytes of a sha256 */

struct hl_object_file;

/* How a file is found. */
struct hl_object_place {
    const char *path;    /* a file, or, without a '/', NAME.so in one of the folders */
    const char *folders; /* separated by colons; may be NULL */
    bool elsewhere;      /* a file that is not at its path is looked for in the folders */
};

/*
 * Map the object.  The caller owns *out and ends it with hl_object_close().
 *
 * HL_ENOENT  there is no such file
 * HL_EINVAL  not a shared object, not executable for anybody, or others may write to it
 * HL_EIO     it cannot be read or copied
 */
HL_MUST_USE hl_err hl_object_open(struct hl_object_file **out, const struct hl_object_place *place,
                                  struct hl_errmsg *msg);

/* Look whether hl_object_open() would find a file that it may map, without mapping it: its sha256.
 * Errors as above. */
HL_MUST_USE hl_err hl_object_probe(const struct hl_object_place *place,
                                   unsigned char sum[HL_OBJECT_SUM], struct hl_errmsg *msg);

/* Map another private copy of an object: with variables of its own, as they were at first.  HL_EIO,
 * HL_EINVAL. */
HL_MUST_USE hl_err hl_object_again(struct hl_object_file **out, const struct hl_object_file *object,
                                   struct hl_errmsg *msg);

/* The sha256 of what is mapped; lives as long as the object. */
const unsigned char *hl_object_sum(const struct hl_object_file *object);

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
