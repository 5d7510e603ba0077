#include "support/dropimage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define DEPTH_MAX 8

struct entry {
    bool is_dir;
    uint64_t inode;
    char *path;
};

struct list {
    struct entry *at;
    size_t count, cap;
};

static const char *root;
static uint64_t random_state;
static uint64_t steps_left; /* until drop_image_open() kills the process; 0: it does not */

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("dropdisk: ", stderr);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, ": %s\n", strerror(errno));
    va_end(args);
    _exit(99);
}

/* Between any two of these a crash may come, which the next start must survive. */
static void step(void)
{
    if (steps_left > 0 && --steps_left == 0) {
        kill(getpid(), SIGKILL);
    }
}

__attribute__((format(printf, 2, 3))) static void format(char *out, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(out, DROP_PATH_MAX, fmt, args);
    va_end(args);
    if (len < 0 || len >= DROP_PATH_MAX) {
        errno = ENAMETOOLONG;
        die("%s", fmt);
    }
}

static bool coin(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return ((z ^ z >> 31) & 1) != 0;
}

static void add(struct list *list, bool is_dir, uint64_t inode, const char *path)
{
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 64 : list->cap * 2;
        list->at = realloc(list->at, list->cap * sizeof *list->at);
    }
    list->at[list->count++] =
        (struct entry){.is_dir = is_dir, .inode = inode, .path = strdup(path)};
}

static void drop(struct list *list, size_t i)
{
    free(list->at[i].path);
    list->at[i] = list->at[--list->count];
}

static void clear(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->at[i].path);
    }
    free(list->at);
    *list = (struct list){0};
}

static const struct entry *find(const struct list *list, const char *path)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->at[i].path, path) == 0) {
            return &list->at[i];
        }
    }
    return NULL;
}

static bool holds_inode(const struct list *list, uint64_t inode)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!list->at[i].is_dir && list->at[i].inode == inode) {
            return true;
        }
    }
    return false;
}

/* Add what is in `path` now; with its subdirectories when `depth` allows. */
static void scan(struct list *list, const char *path, int depth)
{
    char full[DROP_PATH_MAX];
    format(full, "%s/%s", root, path);
    DIR *dir = opendir(full);
    if (dir == NULL) {
        return;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        char name[DROP_PATH_MAX];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, DROP_STATE) == 0 ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        format(name, "%s%s%s", path, path[0] == '\0' ? "" : "/", e->d_name);
        if (S_ISDIR(st.st_mode)) {
            add(list, true, 0, name);
            if (depth > 0) {
                scan(list, name, depth - 1);
            }
        } else if (S_ISREG(st.st_mode)) {
            add(list, false, st.st_ino, name);
        }
    }
    closedir(dir);
}

/* The names are read, changed and stored by one process at a time: a server's child that writes a
 * snapshot syncs directories too.  Ends with close(). */
static int lock_names(void)
{
    char path[DROP_PATH_MAX];
    format(path, "%s/" DROP_STATE "/lock", root);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        die("%s", path);
    }
    while (flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            die("%s", path);
        }
    }
    return fd;
}

static void load_names(struct list *list)
{
    char path[DROP_PATH_MAX];
    format(path, "%s/" DROP_STATE "/names", root);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return;
    }
    char line[DROP_PATH_MAX + 64];
    while (fgets(line, sizeof line, file) != NULL) {
        char *end = NULL;
        uint64_t inode = strtoull(line + 2, &end, 10);
        end[strcspn(end, "\n")] = '\0';
        add(list, line[0] == 'd', inode, end + 1);
    }
    fclose(file);
}

static void save_names(const struct list *list)
{
    char path[DROP_PATH_MAX];
    char temp[DROP_PATH_MAX];
    format(path, "%s/" DROP_STATE "/names", root);
    format(temp, "%s/" DROP_STATE "/names.new", root);
    FILE *file = fopen(temp, "w");
    if (file == NULL) {
        die("%s", temp);
    }
    for (size_t i = 0; i < list->count; i++) {
        fprintf(file, "%c %" PRIu64 " %s\n", list->at[i].is_dir ? 'd' : 'f', list->at[i].inode,
                list->at[i].path);
    }
    if (fclose(file) != 0 || rename(temp, path) != 0) {
        die("%s", path);
    }
}

static bool is_zero(const char *bytes, size_t len)
{
    return len == 0 || (bytes[0] == '\0' && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* The first byte from `at` on that may be other than zero; `end` when there is none before it. Most
 * of a log's file is a hole, and a start that takes long to rebuild it is never crashed later. */
static uint64_t next_data(int fd, uint64_t at, uint64_t end)
{
    off_t next = lseek(fd, (off_t)at, SEEK_DATA);
    if (next < 0) {
        return errno == ENXIO ? end : at;
    }
    return (uint64_t)next < end ? (uint64_t)next : end;
}

/* Make `to` as long as `from` and equal to it in [begin, end). */
static void copy_range(int from, int to, uint64_t begin, uint64_t end)
{
    struct stat st;
    struct stat old;
    if (fstat(from, &st) != 0 || fstat(to, &old) != 0 || ftruncate(to, st.st_size) != 0) {
        die("copying");
    }
    if (end > (uint64_t)st.st_size) {
        end = (uint64_t)st.st_size;
    }
    static _Thread_local char bytes[64 * 1024];
    for (;;) {
        if (begin >= (uint64_t)old.st_size && begin < end) {
            begin = next_data(from, begin, end);
        }
        if (begin >= end) {
            break;
        }
        size_t step = end - begin < sizeof bytes ? (size_t)(end - begin) : sizeof bytes;
        ssize_t n = pread(from, bytes, step, (off_t)begin);
        if (n <= 0) {
            break;
        }
        bool hole = begin >= (uint64_t)old.st_size && is_zero(bytes, (size_t)n);
        if (!hole && pwrite(to, bytes, (size_t)n, (off_t)begin) != n) {
            die("copying");
        }
        begin += (uint64_t)n;
    }
}

void drop_image_sync_file(int fd, uint64_t from, uint64_t to)
{
    struct stat st;
    char path[DROP_PATH_MAX];
    char link[64];
    if (fstat(fd, &st) != 0) {
        return;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    format(path, "%s/" DROP_STATE "/pins/%" PRIu64, root, (uint64_t)st.st_ino);
    if (linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0 && errno == ENOENT) {
        return; /* it has no name any more: nobody will find it after a crash */
    }
    int in = open(link, O_RDONLY | O_CLOEXEC); /* the caller's may be write-only */
    format(path, "%s/" DROP_STATE "/data/%" PRIu64, root, (uint64_t)st.st_ino);
    bool known = access(path, F_OK) == 0;
    int out = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (in < 0 || out < 0) {
        die("%s", path);
    }
    copy_range(in, out, known ? from : 0, known ? to : UINT64_MAX);
    close(in);
    close(out);
}

/* Forget files that have no name, neither now nor on the disk. */
static void collect(const struct list *names)
{
    char path[DROP_PATH_MAX];
    format(path, "%s/" DROP_STATE "/pins", root);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        die("%s", path);
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        struct stat st;
        uint64_t inode = strtoull(e->d_name, NULL, 10);
        if (e->d_name[0] == '.' || holds_inode(names, inode) ||
            fstatat(dirfd(dir), e->d_name, &st, 0) != 0 || st.st_nlink > 1) {
            continue;
        }
        format(path, "%s/" DROP_STATE "/data/%s", root, e->d_name);
        unlink(path);
        unlinkat(dirfd(dir), e->d_name, 0);
    }
    closedir(dir);
}

static bool is_in(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    if (len == 0) {
        return strchr(path, '/') == NULL;
    }
    return strncmp(path, dir, len) == 0 && path[len] == '/' && strchr(path + len + 1, '/') == NULL;
}

/* Pin the files of names[from..] and store the list. */
static void commit_names(struct list *names, size_t from)
{
    for (size_t i = from; i < names->count; i++) {
        if (!names->at[i].is_dir) {
            char full[DROP_PATH_MAX];
            char pin[DROP_PATH_MAX];
            format(full, "%s/%s", root, names->at[i].path);
            format(pin, "%s/" DROP_STATE "/pins/%" PRIu64, root, names->at[i].inode);
            if (link(full, pin) != 0 && errno != EEXIST && errno != ENOENT) {
                die("%s", pin);
            }
        }
    }
    save_names(names);
    collect(names);
}

void drop_image_sync_dir(const char *path)
{
    struct list names = {0};
    int fd = lock_names();
    load_names(&names);
    for (size_t i = names.count; i > 0; i--) {
        if (is_in(names.at[i - 1].path, path)) {
            drop(&names, i - 1);
        }
    }
    size_t before = names.count;
    scan(&names, path, 0);
    commit_names(&names, before);
    close(fd);
    clear(&names);
}

void drop_image_sync_names(void)
{
    struct list old = {0};
    struct list names = {0};
    int fd = lock_names();
    load_names(&old);
    scan(&names, "", DEPTH_MAX);
    size_t same = 0;
    for (size_t i = 0; i < names.count; i++) {
        const struct entry *entry = find(&old, names.at[i].path);
        same += entry != NULL && entry->inode == names.at[i].inode;
    }
    if (same != names.count || same != old.count) {
        commit_names(&names, 0);
    }
    close(fd);
    clear(&old);
    clear(&names);
}

/* Remove everything in `path`, but not the state unless it is meant. */
static void wipe(const char *path, int depth)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, DROP_STATE) == 0) {
            continue;
        }
        char name[DROP_PATH_MAX];
        format(name, "%s/%s", path, e->d_name);
        step();
        if (unlink(name) != 0 && depth > 0) {
            wipe(name, depth - 1);
            rmdir(name);
        }
    }
    closedir(dir);
}

static void make_state_dir(const char *name)
{
    char path[DROP_PATH_MAX];
    format(path, "%s/" DROP_STATE "%s", root, name);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        die("%s", path);
    }
}

/* Remove a file or a folder of the state. */
static void forget(const char *name)
{
    char path[DROP_PATH_MAX];
    format(path, "%s/" DROP_STATE "/%s", root, name);
    step();
    if (unlink(path) != 0) {
        wipe(path, DEPTH_MAX);
        rmdir(path);
    }
}

/* Everything that is there now counts as synced.  The list of names goes first and comes last:
 * without it there is no state, and the next start adopts the same files again. */
static void adopt(void)
{
    char path[DROP_PATH_MAX];
    forget("names");
    forget("clean");
    forget("data");
    forget("pins");
    make_state_dir("");
    make_state_dir("/data");
    make_state_dir("/pins");
    struct list names = {0};
    scan(&names, "", DEPTH_MAX);
    for (size_t i = 0; i < names.count; i++) {
        if (!names.at[i].is_dir) {
            format(path, "%s/%s", root, names.at[i].path);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd < 0) {
                die("%s", path);
            }
            step();
            drop_image_sync_file(fd, 0, UINT64_MAX);
            close(fd);
        }
    }
    step();
    save_names(&names);
    step();
    clear(&names);
}

/* Overwrite some pages of `to` (what was synced) by those of `from` (what was written). */
static void tear(int from, int to)
{
    struct stat now;
    struct stat synced;
    if (fstat(from, &now) != 0 || fstat(to, &synced) != 0) {
        die("tearing");
    }
    off_t size = coin() ? now.st_size : synced.st_size;
    if (ftruncate(to, size) != 0) {
        die("tearing");
    }
    off_t end = size < now.st_size ? size : now.st_size;
    for (off_t at = 0; at < end; at += PAGE) {
        uint64_t one = next_data(from, (uint64_t)at, (uint64_t)end);
        uint64_t other = next_data(to, (uint64_t)at, (uint64_t)end);
        at = (off_t)(one < other ? one : other) / PAGE * PAGE;
        char fresh[PAGE];
        char old[PAGE];
        size_t len = (size_t)(size - at < PAGE ? size - at : PAGE);
        ssize_t n = pread(from, fresh, len, at);
        ssize_t m = pread(to, old, len, at);
        if (n > 0 && (n != m || memcmp(fresh, old, (size_t)n) != 0) && coin() &&
            pwrite(to, fresh, (size_t)n, at) != n) {
            die("tearing");
        }
    }
}

/* Make the file of `entry` under `new/`. */
static void rebuild_file(const struct entry *entry, bool tears)
{
    char path[DROP_PATH_MAX];
    format(path, "%s/" DROP_STATE "/new/%s", root, entry->path);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    int out = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0) {
        die("%s", path);
    }
    format(path, "%s/" DROP_STATE "/data/%" PRIu64, root, entry->inode);
    int synced = open(path, O_RDONLY | O_CLOEXEC); /* none: never synced, so empty */
    if (synced >= 0) {
        copy_range(synced, out, 0, UINT64_MAX);
        close(synced);
    }
    format(path, "%s/" DROP_STATE "/pins/%" PRIu64, root, entry->inode);
    int now = open(path, O_RDONLY | O_CLOEXEC);
    if (now < 0) {
        format(path, "%s/%s", root, entry->path);
        now = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (tears && now >= 0) {
        tear(now, out);
    }
    if (now >= 0) {
        close(now);
    }
    close(out);
}

/* The names that a restart finds. */
static void choose_names(struct list *out, bool tears)
{
    struct list synced = {0};
    struct list now = {0};
    load_names(&synced);
    scan(&now, "", DEPTH_MAX);
    for (size_t i = 0; i < synced.count; i++) {
        const struct entry *old = &synced.at[i];
        const struct entry *fresh = find(&now, old->path);
        bool same = fresh != NULL && fresh->inode == old->inode;
        if (same || !tears || coin()) {
            add(out, old->is_dir, old->inode, old->path);
        } else if (fresh != NULL) {
            add(out, fresh->is_dir, fresh->inode, fresh->path);
        }
    }
    for (size_t i = 0; tears && i < now.count; i++) {
        if (find(&synced, now.at[i].path) == NULL && coin()) {
            add(out, now.at[i].is_dir, now.at[i].inode, now.at[i].path);
        }
    }
    clear(&synced);
    clear(&now);
}

/* What is in a folder that was lost is lost with it. */
static void drop_orphans(struct list *names)
{
    for (size_t i = 0; i < names->count;) {
        char parent[DROP_PATH_MAX];
        format(parent, "%s", names->at[i].path);
        char *slash = strrchr(parent, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        if (slash != NULL && find(names, parent) == NULL) {
            drop(names, i);
            i = 0; /* perhaps it was a folder itself */
        } else {
            i++;
        }
    }
}

/* Make the folder `new`, which holds what a restart finds, and call it `ready` when it is whole. */
static void rebuild(bool tears)
{
    struct list names = {0};
    choose_names(&names, tears);
    drop_orphans(&names);
    forget("new");
    make_state_dir("/new");
    char path[DROP_PATH_MAX];
    for (size_t i = 0; i < names.count; i++) {
        if (names.at[i].is_dir) {
            format(path, "%s/" DROP_STATE "/new/%s", root, names.at[i].path);
            mkdir(path, 0700);
        }
    }
    for (size_t i = 0; i < names.count; i++) {
        if (!names.at[i].is_dir) {
            step();
            rebuild_file(&names.at[i], tears);
        }
    }
    clear(&names);
    char ready[DROP_PATH_MAX];
    format(path, "%s/" DROP_STATE "/new", root);
    format(ready, "%s/" DROP_STATE "/ready", root);
    step();
    if (rename(path, ready) != 0) {
        die("%s", ready);
    }
}

/* Link everything in `from` into `to`, with its subdirectories. */
static void link_tree(const char *from, const char *to, int depth)
{
    DIR *dir = opendir(from);
    if (dir == NULL) {
        die("%s", from);
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        char old[DROP_PATH_MAX];
        char new[DROP_PATH_MAX];
        struct stat st;
        format(old, "%s/%s", from, e->d_name);
        format(new, "%s/%s", to, e->d_name);
        step();
        bool is_dir = stat(old, &st) == 0 && S_ISDIR(st.st_mode);
        if ((is_dir ? mkdir(new, 0700) : link(old, new)) != 0) {
            die("%s", new);
        }
        if (is_dir && depth > 0) {
            link_tree(old, new, depth - 1);
        }
    }
    closedir(dir);
}

/* Put what is in `ready` in the place of the files.  Killed in the middle it is done again. */
static void install(void)
{
    char ready[DROP_PATH_MAX];
    char done[DROP_PATH_MAX];
    format(ready, "%s/" DROP_STATE "/ready", root);
    format(done, "%s/" DROP_STATE "/done", root);
    wipe(root, DEPTH_MAX);
    link_tree(ready, root, DEPTH_MAX);
    adopt();
    forget("done");
    step();
    if (rename(ready, done) != 0) {
        die("%s", done);
    }
    forget("done");
}

bool drop_image_open(const char *given_root, uint64_t seed, uint64_t steps)
{
    root = given_root;
    steps_left = steps;
    random_state = seed;
    char names[DROP_PATH_MAX];
    char clean[DROP_PATH_MAX];
    char ready[DROP_PATH_MAX];
    format(names, "%s/" DROP_STATE "/names", root);
    format(clean, "%s/" DROP_STATE "/clean", root);
    format(ready, "%s/" DROP_STATE "/ready", root);
    struct stat st;
    bool rebuilt = access(ready, F_OK) == 0; /* by a start that was killed later */
    if (!rebuilt && stat(names, &st) == 0 && access(clean, F_OK) != 0) {
        random_state ^= (uint64_t)st.st_mtim.tv_nsec * (seed != 0); /* each crash is another */
        rebuild(seed != 0);
        rebuilt = true;
    }
    if (rebuilt) {
        install();
    } else {
        adopt();
    }
    steps_left = 0;
    return rebuilt;
}

void drop_image_attach(const char *given_root)
{
    root = given_root;
}

void drop_image_close(void)
{
    char path[DROP_PATH_MAX];
    format(path, "%s/" DROP_STATE "/clean", root);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
    }
}
