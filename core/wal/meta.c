/* `meta`: read at the start, replaced in one step ever after. */
#include "wal/internal.h"

hl_err hl_wal_meta_save(const struct hl_disk *disk, const char *dir, const struct hl_wal_meta *meta,
                        struct hl_errmsg *msg)
{
    char bytes[HL_WAL_META_SIZE];
    hl_wal_encode_meta(bytes, meta);
    int file = -1;
    hl_err err = disk->open(disk->ctx, dir, HL_WAL_META_TEMP, true, &file, msg);
    if (err != HL_OK) {
        return err;
    }
    err = disk->truncate(disk->ctx, file, 0, msg);
    if (err == HL_OK) {
        err = disk->pwrite(disk->ctx, file, bytes, sizeof bytes, 0, msg);
    }
    if (err == HL_OK) {
        err = disk->fdatasync(disk->ctx, file, msg);
    }
    disk->close(disk->ctx, file);
    if (err == HL_OK) {
        err = disk->rename(disk->ctx, dir, HL_WAL_META_TEMP, HL_WAL_META_NAME, msg);
    }
    if (err == HL_OK) {
        err = disk->sync_dir(disk->ctx, dir, msg);
    }
    return err;
}

hl_err hl_wal_meta_load(const struct hl_disk *disk, const char *dir, struct hl_wal_meta *meta,
                        struct hl_errmsg *msg)
{
    int file = -1;
    hl_err err = disk->open(disk->ctx, dir, HL_WAL_META_NAME, false, &file, msg);
    if (err != HL_OK) {
        return err;
    }
    char bytes[HL_WAL_META_SIZE + 1]; /* one more, so that a longer file is noticed */
    size_t len = 0;
    err = disk->pread(disk->ctx, file, bytes, sizeof bytes, 0, &len, msg);
    disk->close(disk->ctx, file);
    if (err != HL_OK) {
        return err;
    }
    uint32_t version = 0;
    err = hl_wal_decode_meta(bytes, len, meta, &version);
    if (err == HL_EVERSION) {
        return hl_fail(msg, err, "%s/%s: format version %u, this build knows %u", dir,
                       HL_WAL_META_NAME, version, HL_WAL_VERSION);
    }
    if (err != HL_OK) {
        return hl_fail(msg, err, "%s/%s: offset 0: not a valid file of %d bytes", dir,
                       HL_WAL_META_NAME, HL_WAL_META_SIZE);
    }
    return HL_OK;
}
