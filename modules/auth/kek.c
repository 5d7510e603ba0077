/* Reading and creating the file of the key-encryption key. */
#include "kek.h"

#include "kit/base64.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEK_TEXT_LEN (2 * SEAL_KEY_LEN)

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

hl_err kek_read(unsigned char out[SEAL_KEY_LEN], const char *path, struct hl_errmsg *msg)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return hl_fail(msg, errno == ENOENT ? HL_ENOENT : HL_EIO, "%s: %s", path, strerror(errno));
    }
    char text[KEK_TEXT_LEN + 2];
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
    if (len > 0 && text[len - 1] == '\n') {
        len--;
    }
    if (!hl_hex_parse((struct hl_slice){text, (size_t)len}, out, SEAL_KEY_LEN)) {
        err = hl_fail(msg, HL_ECORRUPT, "%s does not hold 64 hexadecimal digits", path);
    }
    seal_wipe(text, sizeof text);
    return err;
}

/* Make a new file's name as durable as its contents: without the file the keys that it sealed are
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

hl_err kek_create(unsigned char out[SEAL_KEY_LEN], const char *path, struct hl_errmsg *msg)
{
    unsigned char key[SEAL_KEY_LEN];
    char text[KEK_TEXT_LEN + 2];
    if (seal_random(key, sizeof key) != HL_OK) {
        return hl_fail(msg, HL_EIO, "the system gives no randomness");
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return hl_fail(msg, HL_EIO, "%s: %s", path, strerror(errno));
    }
    hl_hex_format(text, key, sizeof key);
    text[KEK_TEXT_LEN] = '\n';
    bool good = write(fd, text, KEK_TEXT_LEN + 1) == KEK_TEXT_LEN + 1 && fsync(fd) == 0;
    int reason = errno;
    good = close(fd) == 0 && good && sync_folder(path);
    if (good) {
        memcpy(out, key, sizeof key);
    } else {
        unlink(path);
    }
    seal_wipe(key, sizeof key);
    seal_wipe(text, sizeof text);
    return good ? HL_OK : hl_fail(msg, HL_EIO, "%s: %s", path, strerror(reason));
}
