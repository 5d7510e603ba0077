#include "server/file_replace.h"

#include "kit/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static hl_err failed(struct hl_errmsg *msg, const char *what)
{
    return hl_fail(msg, HL_EIO, "%s: %s", what, strerror(errno));
}

static hl_err write_all(int fd, struct hl_slice text, struct hl_errmsg *msg)
{
    while (text.len != 0) {
        ssize_t wrote = write(fd, text.ptr, text.len);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return failed(msg, "write");
        }
        text.ptr += wrote;
        text.len -= (size_t)wrote;
    }
    return HL_OK;
}

hl_err hl_file_replace(const char *path, struct hl_slice text, struct hl_errmsg *msg)
{
    struct stat old;
    struct hl_buf temporary = {0};
    hl_buf_printf(&temporary, "%s.XXXXXX", path);
    hl_buf_append_u8(&temporary, 0);
    mode_t mode = stat(path, &old) == 0 ? old.st_mode & 0777 : 0600;
    int fd = mkostemp(temporary.ptr, O_CLOEXEC);
    hl_err err = fd < 0 ? failed(msg, "temporary file") : HL_OK;
    if (err == HL_OK) {
        err = write_all(fd, text, msg);
    }
    if (err == HL_OK && (fchmod(fd, mode) != 0 || fsync(fd) != 0)) {
        err = failed(msg, "sync");
    }
    if (fd >= 0 && close(fd) != 0 && err == HL_OK) {
        err = failed(msg, "close");
    }
    if (err == HL_OK && rename(temporary.ptr, path) != 0) {
        err = failed(msg, "rename");
    }
    if (err != HL_OK && fd >= 0) {
        (void)unlink(temporary.ptr);
    }
    if (err == HL_OK) {
        int dir = open(dirname(temporary.ptr), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir >= 0) {
            (void)fsync(dir); /* the file is in place either way */
            (void)close(dir);
        }
    }
    hl_buf_fini(&temporary);
    return err;
}
