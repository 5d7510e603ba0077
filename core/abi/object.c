/* Shared objects, mapped from copies in memory. */
#include "abi/object.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/sha256.h"

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
    unsigned char sum[HL_OBJECT_SUM];
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

static hl_err new_memory(int *out, const char *path, struct hl_errmsg *msg)
{
    *out = memfd_create("helios-module", MFD_CLOEXEC);
    return *out < 0 ? hl_fail(msg, HL_EIO, "%s: memfd_create: %m", path) : HL_OK;
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
    *err = *err == HL_OK ? new_memory(&to, path, msg) : *err;
    *err = *err == HL_OK ? copy_file(from, to, path, msg) : *err;
    close(from);
    if (*err != HL_OK && to >= 0) {
        close(to);
        to = -1;
    }
    return to;
}

/* Where the file is; the caller owns the result.  NULL when no folder has it. */
static char *locate(const struct hl_object_place *place)
{
    const char *slash = strrchr(place->path, '/');
    if (slash == NULL) {
        return search(place->path, place->folders);
    }
    char *there = hl_strndup(place->path, strlen(place->path));
    if (!place->elsewhere || access(there, F_OK) == 0) {
        return there;
    }
    char *name = hl_strndup(slash + 1, strlen(slash + 1));
    char *dot = strrchr(name, '.');
    if (dot != NULL && strcmp(dot, ".so") == 0) {
        *dot = '\0';
    }
    char *found = search(name, place->folders);
    hl_free(name);
    if (found == NULL) {
        return there; /* the error names it */
    }
    hl_free(there);
    return found;
}

/* The file and a descriptor of its copy; -1 with *err set and nothing to free. */
static int fetch(const struct hl_object_place *place, char **found, hl_err *err,
                 struct hl_errmsg *msg)
{
    *found = locate(place);
    if (*found == NULL) {
        *err = hl_fail(msg, HL_ENOENT, "%s: no %s.so in the module path", place->path, place->path);
        return -1;
    }
    int fd = copy_to_memory(*found, err, msg);
    if (fd < 0) {
        hl_free(*found);
    }
    return fd;
}

static hl_err sum_of(int fd, const char *path, unsigned char sum[HL_OBJECT_SUM],
                     struct hl_errmsg *msg)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size == 0) {
        return hl_fail(msg, HL_EINVAL, "%s: an empty file", path);
    }
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) {
        return hl_fail(msg, HL_EIO, "%s: %m", path);
    }
    hl_sha256((struct hl_slice){.ptr = bytes, .len = (size_t)st.st_size}, sum);
    (void)munmap(bytes, (size_t)st.st_size);
    return HL_OK;
}

/* Map a copy; takes the descriptor and `path`, also on failure. */
static hl_err map(struct hl_object_file **out, int given_fd, char *given_path,
                  struct hl_errmsg *msg)
{
    char name[64];
    unsigned char sum[HL_OBJECT_SUM];
    void *handle = NULL;
    hl_err err = sum_of(given_fd, given_path, sum, msg);
    if (err == HL_OK) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", given_fd);
        handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (handle == NULL) {
        err = err == HL_OK ? hl_fail(msg, HL_EINVAL, "%s: %s", given_path, dlerror()) : err;
        close(given_fd);
        hl_free(given_path);
        return err;
    }
    struct hl_object_file *object = hl_malloc(sizeof *object);
    *object = (struct hl_object_file){.path = given_path, .fd = given_fd, .handle = handle};
    memcpy(object->sum, sum, sizeof sum);
    *out = object;
    return HL_OK;
}

hl_err hl_object_open(struct hl_object_file **out, const struct hl_object_place *place,
                      struct hl_errmsg *msg)
{
    char *found = NULL;
    hl_err err = HL_OK;
    int fd = fetch(place, &found, &err, msg);
    return fd < 0 ? err : map(out, fd, found, msg);
}

hl_err hl_object_probe(const struct hl_object_place *place, unsigned char sum[HL_OBJECT_SUM],
                       struct hl_errmsg *msg)
{
    char *found = NULL;
    hl_err err = HL_OK;
    int fd = fetch(place, &found, &err, msg);
    if (fd < 0) {
        return err;
    }
    err = sum_of(fd, found, sum, msg);
    close(fd);
    hl_free(found);
    return err;
}

hl_err hl_object_again(struct hl_object_file **out, const struct hl_object_file *object,
                       struct hl_errmsg *msg)
{
    int fd = -1;
    hl_err err = new_memory(&fd, object->path, msg);
    if (err == HL_OK) {
        (void)lseek(object->fd, 0, SEEK_SET);
        err = copy_file(object->fd, fd, object->path, msg);
    }
    if (err != HL_OK) {
        if (fd >= 0) {
            close(fd);
        }
        return err;
    }
    return map(out, fd, hl_strndup(object->path, strlen(object->path)), msg);
}

const unsigned char *hl_object_sum(const struct hl_object_file *object)
{
    return object->sum;
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
