/* Reading and creating files that hold a secret. */
#include "secret_file.h"

#include "kit/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* Refuse what is no private regular file. */
static hl_err check_file(int fd, const char *path, struct hl_errmsg *msg)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return hl_fail(msg, HL_EIO, "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return hl_fail(msg, HL_EINVAL, "%s is not a regular file", path);
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return hl_fail(msg, HL_EINVAL, "%s must be accessible to its owner only (chmod 600)", path);
    }
    return HL_OK;
}

hl_err secret_file_read(struct hl_buf *out, const char *path, struct hl_errmsg *msg)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return hl_fail(msg, errno == ENOENT ? HL_ENOENT : HL_EIO, "%s: %s", path, strerror(errno));
    }
    char text[SECRET_FILE_MAX + 2];
    ssize_t len = 0;
    hl_err err = check_file(fd, path, msg);
    if (err == HL_OK) {
        len = read(fd, text, sizeof text);
        if (len < 0) {
            err = hl_fail(msg, HL_EIO, "%s: %s", path, strerror(errno));
        }
    }
    close(fd);
    if (err != HL_OK) {
        return err;
    }
    len -= len > 0 && text[len - 1] == '\n';
    if (len > SECRET_FILE_MAX) {
        err = hl_fail(msg, HL_ECORRUPT, "%s is too long", path);
    } else {
        hl_buf_append(out, text, (size_t)len);
    }
    seal_wipe(text, sizeof text);
    return err;
}

/* Make a new file's name as durable as its contents: without the file what hangs on its secret is
 * lost. */
static bool sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1; /* "/" of "/kek" included */
    if (len >= sizeof folder) {
        return false;
    }
    memcpy(folder, path, len);
    folder[len] = '\0';
    int fd = open(len == 0 ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

hl_err secret_file_create(const char *path, struct hl_slice line, struct hl_errmsg *msg)
{
    HL_ASSERT(line.len <= SECRET_FILE_MAX);
    char text[SECRET_FILE_MAX + 1];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return hl_fail(msg, HL_EIO, "%s: %s", path, strerror(errno));
    }
    memcpy(text, line.ptr, line.len);
    text[line.len] = '\n';
    bool good = write(fd, text, line.len + 1) == (ssize_t)line.len + 1 && fsync(fd) == 0;
    int reason = errno;
    good = close(fd) == 0 && good && sync_folder(path);
    if (!good) {
        unlink(path);
    }
    seal_wipe(text, sizeof text);
    return good ? HL_OK : hl_fail(msg, HL_EIO, "%s: %s", path, strerror(reason));
}
