#include "support/fake_disk.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdio.h>
#include <string.h>

static hl_err tick(struct fake_disk *fake, const char *what, struct hl_errmsg *msg)
{
    fake->ops++;
    bool fails = fake->fail_at != 0 &&
                 (fake->fail_for_ever ? fake->ops >= fake->fail_at : fake->ops == fake->fail_at);
    if (fails) {
        fake->injected++;
        hl_err err = fake->fail_with == HL_OK ? HL_EIO : fake->fail_with;
        return hl_fail(msg, err, "fake: %s: injected at operation %d", what, fake->ops);
    }
    return HL_OK;
}

static void resize(struct fake_content *content, size_t len)
{
    content->bytes = hl_realloc(content->bytes, len + 1);
    if (len > content->len) {
        memset(content->bytes + content->len, 0, len - content->len);
    }
    content->len = len;
}

static void copy(struct fake_content *to, const struct fake_content *from)
{
    resize(to, from->len);
    if (from->len > 0) {
        memcpy(to->bytes, from->bytes, from->len);
    }
}

static void clear(struct fake_content *content)
{
    hl_free(content->bytes);
    *content = (struct fake_content){0};
}

static void unref(struct fake_disk *fake, int file)
{
    HL_ASSERT(fake->files[file].refs > 0);
    if (--fake->files[file].refs == 0) {
        clear(&fake->files[file].now);
        clear(&fake->files[file].synced);
        clear(&fake->files[file].failed);
        clear(&fake->files[file].again);
        fake->files[file].sync_errors = 0;
    }
}

static int find(const struct fake_disk *fake, const char *name)
{
    for (int i = 0; i < fake->names_count; i++) {
        if (strcmp(fake->names[i].text, name) == 0) {
            return i;
        }
    }
    return -1;
}

static void add_name(struct fake_disk *fake, const char *name, int file)
{
    HL_ASSERT(fake->names_count < FAKE_FILES_MAX);
    struct fake_name *slot = &fake->names[fake->names_count++];
    snprintf(slot->text, sizeof slot->text, "%s", name);
    slot->file = file;
    fake->files[file].refs++;
}

static void remove_name(struct fake_disk *fake, int at)
{
    int file = fake->names[at].file;
    fake->names[at] = fake->names[--fake->names_count];
    unref(fake, file);
}

static struct fake_file *file_of(struct fake_disk *fake, int handle)
{
    HL_ASSERT(handle >= 0 && handle < FAKE_HANDLES_MAX && fake->handles[handle] != 0);
    return &fake->files[fake->handles[handle] - 1];
}

/* Is there room for a file that grows to `len`? */
static hl_err check_room(struct fake_disk *fake, const struct fake_file *grows, size_t len,
                         struct hl_errmsg *msg)
{
    uint64_t sum = len > grows->now.len ? len - grows->now.len : 0;
    if (sum == 0 || fake->size_max == 0) {
        return HL_OK;
    }
    for (int i = 0; i < FAKE_FILES_MAX; i++) {
        sum += fake->files[i].now.len;
    }
    return sum <= fake->size_max ? HL_OK : hl_fail(msg, HL_EFULL, "fake: the disk is full");
}

static hl_err fake_lock(void *ctx, const char *dir, int *lock, struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    (void)dir;
    hl_err err = tick(fake, "lock", msg);
    if (err != HL_OK) {
        return err;
    }
    if (fake->locked) {
        return hl_fail(msg, HL_EBUSY, "fake: locked");
    }
    fake->locked = true;
    fake->held++;
    *lock = 0;
    return HL_OK;
}

static void fake_unlock(void *ctx, int lock)
{
    struct fake_disk *fake = ctx;
    HL_ASSERT(lock == 0 && fake->locked);
    fake->locked = false;
    fake->held--;
}

static hl_err fake_list(void *ctx, const char *dir, hl_disk_name_fn each, void *arg,
                        struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    (void)dir;
    hl_err err = tick(fake, "list", msg);
    for (int i = 0; err == HL_OK && i < fake->names_count; i++) {
        each(arg, fake->names[i].text);
    }
    return err;
}

static hl_err fake_open(void *ctx, const char *dir, const char *name, bool create, int *file,
                        struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    (void)dir;
    hl_err err = tick(fake, "open", msg);
    if (err != HL_OK) {
        return err;
    }
    int at = find(fake, name);
    if (at < 0 && !create) {
        return hl_fail(msg, HL_ENOENT, "fake: %s: no such file", name);
    }
    if (at < 0) {
        int fresh = 0;
        while (fake->files[fresh].refs != 0) {
            HL_ASSERT(++fresh < FAKE_FILES_MAX);
        }
        add_name(fake, name, fresh);
        at = fake->names_count - 1;
    }
    int handle = 0;
    while (fake->handles[handle] != 0) {
        HL_ASSERT(++handle < FAKE_HANDLES_MAX);
    }
    fake->handles[handle] = fake->names[at].file + 1;
    fake->told[handle] = fake->files[fake->names[at].file].sync_errors;
    fake->files[fake->names[at].file].refs++;
    fake->held++;
    *file = handle;
    return HL_OK;
}

static void fake_close(void *ctx, int file)
{
    struct fake_disk *fake = ctx;
    HL_ASSERT(fake->handles[file] != 0);
    unref(fake, fake->handles[file] - 1);
    fake->handles[file] = 0;
    fake->held--;
}

static hl_err fake_preallocate(void *ctx, int file, uint64_t size, struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    struct fake_file *f = file_of(fake, file);
    hl_err err = tick(fake, "preallocate", msg);
    if (err == HL_OK) {
        err = check_room(fake, f, size, msg);
    }
    if (err == HL_OK && size > f->now.len) {
        resize(&f->now, size);
    }
    return err;
}

/* Pages that are written are dirty again, even with the same bytes. */
static void note_written(struct fake_file *f, size_t offset, size_t len)
{
    size_t last = (offset + len - 1) / FAKE_PAGE;
    if (last >= f->again.len) {
        resize(&f->again, last + 1);
    }
    memset(f->again.bytes + offset / FAKE_PAGE, 1, last - offset / FAKE_PAGE + 1);
}

static hl_err fake_pwrite(void *ctx, int file, const void *bytes, size_t len, uint64_t offset,
                          struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    struct fake_file *f = file_of(fake, file);
    hl_err err = tick(fake, "write", msg);
    size_t done = err == HL_OK ? len : len / 2; /* a failing write leaves a part */
    hl_err room = check_room(fake, f, offset + done, msg);
    if (room != HL_OK) {
        return err == HL_OK ? room : err;
    }
    if (offset + done > f->now.len) {
        resize(&f->now, offset + done);
    }
    memcpy(f->now.bytes + offset, bytes, done);
    if (f->failed.bytes != NULL && done > 0) {
        note_written(f, offset, done);
    }
    return err;
}

static hl_err fake_pread(void *ctx, int file, void *bytes, size_t len, uint64_t offset, size_t *got,
                         struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    struct fake_file *f = file_of(fake, file);
    hl_err err = tick(fake, "read", msg);
    if (err != HL_OK) {
        return err;
    }
    size_t rest = offset < f->now.len ? f->now.len - offset : 0;
    *got = len < rest ? len : rest;
    if (*got > 0) {
        memcpy(bytes, f->now.bytes + offset, *got);
    }
    return HL_OK;
}

static hl_err fake_size(void *ctx, int file, uint64_t *size, struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    struct fake_file *f = file_of(fake, file);
    hl_err err = tick(fake, "size", msg);
    if (err == HL_OK) {
        *size = f->now.len;
    }
    return err;
}

/* The strictest disk: every zero at the end is a hole, those inside of a record too. */
static hl_err fake_data_end(void *ctx, int file, uint64_t *end, struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    const struct fake_file *f = file_of(fake, file);
    hl_err err = tick(fake, "data_end", msg);
    if (err == HL_OK) {
        size_t len = f->now.len;
        while (len > 0 && f->now.bytes[len - 1] == '\0') {
            len--;
        }
        *end = len;
    }
    return err;
}

static hl_err fake_truncate(void *ctx, int file, uint64_t size, struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    struct fake_file *f = file_of(fake, file);
    hl_err err = tick(fake, "truncate", msg);
    if (err == HL_OK) {
        resize(&f->now, size);
    }
    return err;
}

/* Store the pages that were changed after a sync failed. */
static void store_dirty(struct fake_file *f)
{
    resize(&f->synced, f->now.len);
    for (size_t at = 0; at < f->now.len; at += FAKE_PAGE) {
        size_t len = f->now.len - at < FAKE_PAGE ? f->now.len - at : FAKE_PAGE;
        bool again = at / FAKE_PAGE < f->again.len && f->again.bytes[at / FAKE_PAGE] == 1;
        bool clean = !again && at + len <= f->failed.len &&
                     memcmp(f->now.bytes + at, f->failed.bytes + at, len) == 0;
        if (!clean) {
            memcpy(f->synced.bytes + at, f->now.bytes + at, len);
        }
    }
}

static hl_err fake_fdatasync(void *ctx, int file, struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    struct fake_file *f = file_of(fake, file);
    hl_err err = tick(fake, "fdatasync", msg);
    if (err != HL_OK) {
        return err;
    }
    if (fake->told[file] != f->sync_errors) {
        fake->told[file] = f->sync_errors;
        return hl_fail(msg, HL_EIO, "fake: fdatasync: an earlier one failed");
    }
    if (fake->fail_syncs > 0) {
        fake->fail_syncs--;
        fake->injected++;
        fake->told[file] = ++f->sync_errors;
        copy(&f->failed, &f->now);
        clear(&f->again);
        return hl_fail(msg, HL_EIO, "fake: fdatasync: injected");
    }
    fake->syncs++;
    if (!fake->lies && f->failed.bytes != NULL) {
        store_dirty(f);
    } else if (!fake->lies) {
        copy(&f->synced, &f->now);
    }
    return HL_OK;
}

static hl_err fake_rename(void *ctx, const char *dir, const char *from, const char *to,
                          struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    (void)dir;
    hl_err err = tick(fake, "rename", msg);
    if (err != HL_OK) {
        return err;
    }
    int at = find(fake, from);
    if (at < 0) {
        return hl_fail(msg, HL_ENOENT, "fake: %s: no such file", from);
    }
    int file = fake->names[at].file;
    fake->files[file].refs++;
    remove_name(fake, at);
    int old = find(fake, to);
    if (old >= 0) {
        remove_name(fake, old);
    }
    add_name(fake, to, file);
    unref(fake, file);
    return HL_OK;
}

static hl_err fake_remove(void *ctx, const char *dir, const char *name, struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    (void)dir;
    hl_err err = tick(fake, "remove", msg);
    if (err != HL_OK) {
        return err;
    }
    int at = find(fake, name);
    if (at < 0) {
        return hl_fail(msg, HL_ENOENT, "fake: %s: no such file", name);
    }
    remove_name(fake, at);
    return HL_OK;
}

/* Make `count` names at `names` the ones a power loss leaves. */
static void keep_names(struct fake_disk *fake, const struct fake_name *names, int count)
{
    for (int i = 0; i < count; i++) {
        fake->files[names[i].file].refs++;
    }
    for (int i = 0; i < fake->synced_names_count; i++) {
        unref(fake, fake->synced_names[i].file);
    }
    memcpy(fake->synced_names, names, (size_t)count * sizeof *names);
    fake->synced_names_count = count;
}

static hl_err fake_sync_dir(void *ctx, const char *dir, struct hl_errmsg *msg)
{
    struct fake_disk *fake = ctx;
    (void)dir;
    hl_err err = tick(fake, "sync directory", msg);
    if (err == HL_OK && !fake->lies) {
        keep_names(fake, fake->names, fake->names_count);
    }
    return err;
}

struct fake_disk *fake_disk_create(void)
{
    return hl_calloc(1, sizeof(struct fake_disk));
}

void fake_disk_destroy(struct fake_disk *fake)
{
    if (fake == NULL) {
        return;
    }
    for (int i = 0; i < FAKE_FILES_MAX; i++) {
        clear(&fake->files[i].now);
        clear(&fake->files[i].synced);
        clear(&fake->files[i].failed);
        clear(&fake->files[i].again);
    }
    hl_free(fake);
}

struct hl_disk fake_disk_seam(struct fake_disk *fake)
{
    return (struct hl_disk){.ctx = fake,
                            .lock = fake_lock,
                            .unlock = fake_unlock,
                            .list = fake_list,
                            .open = fake_open,
                            .preallocate = fake_preallocate,
                            .pwrite = fake_pwrite,
                            .pread = fake_pread,
                            .size = fake_size,
                            .data_end = fake_data_end,
                            .truncate = fake_truncate,
                            .fdatasync = fake_fdatasync,
                            .rename = fake_rename,
                            .remove = fake_remove,
                            .sync_dir = fake_sync_dir,
                            .close = fake_close};
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Each page is the old one or the new one; the size too: a truncation happened wholly or not. */
static void tear(struct fake_file *file, uint64_t *random)
{
    struct fake_content *now = &file->now;
    const struct fake_content *synced = &file->synced;
    size_t common = now->len;
    if (next_random(random) % 2 == 0) {
        resize(now, synced->len);
        if (common < synced->len) {
            memcpy(now->bytes + common, synced->bytes + common, synced->len - common);
        }
    }
    for (size_t at = 0; at < now->len && at < common; at += FAKE_PAGE) {
        size_t len = now->len - at < FAKE_PAGE ? now->len - at : FAKE_PAGE;
        if (next_random(random) % 2 == 0) {
            size_t old = at >= synced->len ? 0 : synced->len - at < len ? synced->len - at : len;
            memset(now->bytes + at, 0, len);
            if (old > 0) {
                memcpy(now->bytes + at, synced->bytes + at, old);
            }
        }
    }
}

/* Directory operations since the last sync are kept or lost name by name. */
static void tear_names(struct fake_disk *fake, uint64_t *random)
{
    for (int i = fake->names_count - 1; i >= 0; i--) {
        bool was = false;
        for (int j = 0; j < fake->synced_names_count; j++) {
            was |= strcmp(fake->synced_names[j].text, fake->names[i].text) == 0;
        }
        if (!was && next_random(random) % 2 == 0) {
            remove_name(fake, i); /* never made */
        }
    }
    for (int j = 0; j < fake->synced_names_count; j++) {
        const struct fake_name *old = &fake->synced_names[j];
        int at = find(fake, old->text);
        if (next_random(random) % 2 == 0) {
            continue;
        }
        if (at >= 0 && fake->names[at].file == old->file) {
            continue;
        }
        if (at >= 0) {
            remove_name(fake, at); /* not replaced */
        }
        add_name(fake, old->text, old->file); /* not removed */
    }
}

void fake_disk_crash(struct fake_disk *fake, enum fake_crash how, uint64_t seed)
{
    for (int i = 0; i < FAKE_HANDLES_MAX; i++) {
        if (fake->handles[i] != 0) {
            fake_close(fake, i);
        }
    }
    fake->locked = false;
    fake->held = 0;
    fake->fail_at = fake->ops = fake->injected = 0;
    fake->fail_for_ever = false;
    if (how == FAKE_CRASH_PROCESS) {
        return;
    }
    if (how == FAKE_CRASH_TEAR) {
        tear_names(fake, &seed);
    } else {
        while (fake->names_count > 0) {
            remove_name(fake, fake->names_count - 1);
        }
        for (int i = 0; i < fake->synced_names_count; i++) {
            add_name(fake, fake->synced_names[i].text, fake->synced_names[i].file);
        }
    }
    for (int i = 0; i < FAKE_FILES_MAX; i++) {
        struct fake_file *file = &fake->files[i];
        if (file->refs == 0) {
            continue;
        }
        if (how == FAKE_CRASH_TEAR) {
            tear(file, &seed);
        } else {
            copy(&file->now, &file->synced);
        }
        copy(&file->synced, &file->now);
        clear(&file->failed);
        clear(&file->again);
    }
    keep_names(fake, fake->names, fake->names_count);
}

struct fake_disk *fake_disk_dup(const struct fake_disk *fake)
{
    struct fake_disk *dup = fake_disk_create();
    *dup = *fake;
    for (int i = 0; i < FAKE_FILES_MAX; i++) {
        dup->files[i].now = dup->files[i].synced = (struct fake_content){0};
        dup->files[i].failed = (struct fake_content){0};
        dup->files[i].again = (struct fake_content){0};
        if (fake->files[i].refs > 0) {
            copy(&dup->files[i].now, &fake->files[i].now);
            copy(&dup->files[i].synced, &fake->files[i].synced);
        }
    }
    return dup;
}

struct fake_content *fake_disk_file(struct fake_disk *fake, const char *name)
{
    int at = find(fake, name);
    return at < 0 ? NULL : &fake->files[fake->names[at].file].now;
}

void fake_disk_resize(struct fake_disk *fake, const char *name, size_t len)
{
    int at = find(fake, name);
    HL_ASSERT(at >= 0);
    struct fake_file *file = &fake->files[fake->names[at].file];
    resize(&file->now, len);
    copy(&file->synced, &file->now);
}

void fake_disk_poke(struct fake_disk *fake, const char *name, size_t offset, char byte)
{
    struct fake_content *content = fake_disk_file(fake, name);
    HL_ASSERT(content != NULL && offset < content->len);
    content->bytes[offset] = byte;
    copy(&fake->files[fake->names[find(fake, name)].file].synced, content);
}

void fake_disk_overwrite(struct fake_disk *fake, const char *name, size_t offset, const void *bytes,
                         size_t len)
{
    int at = find(fake, name);
    HL_ASSERT(at >= 0);
    struct fake_file *file = &fake->files[fake->names[at].file];
    HL_ASSERT(offset + len <= file->now.len);
    memcpy(file->now.bytes + offset, bytes, len);
    if (file->synced.len < offset + len) {
        resize(&file->synced, offset + len);
    }
    memcpy(file->synced.bytes + offset, bytes, len);
}

const struct fake_content *fake_disk_synced(struct fake_disk *fake, const char *name)
{
    int at = find(fake, name);
    HL_ASSERT(at >= 0);
    return &fake->files[fake->names[at].file].synced;
}
