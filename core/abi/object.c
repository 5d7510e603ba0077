/* Shared objects, mapped from copies in memory. */
#include "abi/object.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES 65536
#define OBJECT_BYTES_MAX (1LL << 30)

struct hl_object_file {
    char *path;
    int fd; /* of the copy; open as long as the object is mapped, so that its name stays unique */
    void *handle;
};

/* Find a bare name in the folders; the caller owns the result.  NULL when it is nowhere. */
static char *search(const char *name, const char *folders)
{
    for (const char *at = folders; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, ":");
        struct hl_buf path = {0};
        hl_buf_append(&path, at, len);
        hl_buf_printf(&path, "/%s.so", name);
        hl_buf_append_u8(&path, 0);
        if (len != 0 && access(path.ptr, F_OK) == 0) {
            return path.ptr;
        }
        hl_buf_fini(&path);
        at += len;
        at += *at == ':';
    }
    return NULL;
}

/* Whether the file behind `fd` may become our code. */
static hl_err check_file(int fd, const char *path, struct hl_errmsg *msg)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return hl_fail(msg, HL_EIO, "%s: %m", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_size > OBJECT_BYTES_MAX) {
        return hl_fail(msg, HL_EINVAL, "%s: not a file that could be a module", path);
    }
    if ((st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0) {
        return hl_fail(msg, HL_EINVAL, "%s: It does not have execute permissions.", path);
    }
    bool ours = st.st_uid == 0 || st.st_uid == geteuid();
    if (!ours || (st.st_mode & S_IWOTH) != 0) {
        return hl_fail(msg, HL_EINVAL, "%s: others may change it: not loaded", path);
    }
    return HL_OK;
}

/* Copy all of `from` into `to`. */
static hl_err copy_file(int from, int to, const char *path, struct hl_errmsg *msg)
{
    char *bytes = hl_malloc(COPY_BYTES);
    hl_err err = HL_OK;
    for (;;) {
        ssize_t got = read(from, bytes, COPY_BYTES);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            err = got == 0 ? HL_OK : hl_fail(msg, HL_EIO, "%s: %m", path);
            break;
        }
        ssize_t done = 0;
        while (done < got) {
            ssize_t put = write(to, bytes + done, (size_t)(got - done));
            if (put < 0 && errno != EINTR) {
                err = hl_fail(msg, HL_EIO, "%s: cannot be copied: %m", path);
                break;
            }
            done += put < 0 ? 0 : put;
        }
        if (err != HL_OK) {
            break;
        }
    }
    hl_free(bytes);
    return err;
}

/* A copy of the file in memory: its descriptor, or -1 with *err set. */
static int copy_to_memory(const char *path, hl_err *err, struct hl_errmsg *msg)
{
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        bool missing = errno == ENOENT || errno == ENOTDIR;
        *err = hl_fail(msg, missing ? HL_ENOENT : HL_EIO, "%s: cannot open shared object file: %m",
                       path);
        return -1;
    }
    int to = -1;
    *err = check_file(from, path, msg);
    if (*err == HL_OK) {
        to = memfd_create("helios-module", MFD_CLOEXEC);
        *err = to < 0 ? hl_fail(msg, HL_EIO, "%s: memfd_create: %m", path)
                      : copy_file(from, to, path, msg);
    }
    close(from);
    if (*err != HL_OK && to >= 0) {
        close(to);
        to = -1;
    }
    return to;
}

hl_err hl_object_open(struct hl_object_file **out, const char *path, const char *folders,
                      struct hl_errmsg *msg)
{
    bool bare = strchr(path, '/') == NULL;
    char *found = bare ? search(path, folders) : hl_strndup(path, strlen(path));
    if (found == NULL) {
        return hl_fail(msg, HL_ENOENT, "%s: no %s.so in the module path", path, path);
    }
    hl_err err = HL_OK;
    int fd = copy_to_memory(found, &err, msg);
    if (fd < 0) {
        hl_free(found);
        return err;
    }
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        err = hl_fail(msg, HL_EINVAL, "%s: %s", found, dlerror());
        close(fd);
        hl_free(found);
        return err;
    }
    struct hl_object_file *object = hl_malloc(sizeof *object);
    *object = (struct hl_object_file){.path = found, .fd = fd, .handle = handle};
    *out = object;
    return HL_OK;
}

void *hl_object_symbol(const struct hl_object_file *object, const char *name)
{
    return dlsym(object->handle, name);
}

const char *hl_object_path(const struct hl_object_file *object)
{
    return object->path;
}

void hl_object_leave(struct hl_object_file *object)
{
    if (object != NULL) {
        hl_free(object->path);
        hl_free(object);
    }
}

void hl_object_close(struct hl_object_file *object)
{
    if (object == NULL) {
        return;
    }
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", object->fd);
    dlclose(object->handle);
    void *still = dlopen(name, RTLD_NOW | RTLD_NOLOAD);
    if (still != NULL) {
        dlclose(still); /* it refuses to go (NODELETE): its descriptor stays, as its name must */
    } else {
        close(object->fd);
    }
    hl_free(object->path);
    hl_free(object);
}
