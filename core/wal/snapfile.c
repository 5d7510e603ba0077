/* The bytes of snapshot files, written and read.
 *
 * Invariants:
 *   N1  a reader hands out no byte of a block before that block's checksum held.
 *   N2  a published name always names a file that was synced whole.
 */
#include "wal/snapfile.h"

#include "base/crc32c.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/bytes.h"
#include "wal/snapname.h"

#include <inttypes.h>

#define MAGIC "HELIOSSN"
#define HEADER_SIZE 64
#define BLOCK_HEADER 8
#define TRAILER_SIZE 32

struct hl_snap_writer {
    const struct hl_disk *disk;
    char *dir;
    char name[HL_DISK_NAME_MAX];
    int file;
    uint64_t offset;
    uint32_t chain, digest;
    uint64_t blocks, size;
    size_t len;                                   /* of block, without its header */
    char block[BLOCK_HEADER + HL_SNAP_BLOCK_MAX]; /* being filled */
};

struct hl_snap_reader {
    const struct hl_disk *disk;
    char *dir;
    char name[HL_DISK_NAME_MAX];
    int file;
    uint64_t offset; /* of what comes next in the file */
    uint32_t chain, digest;
    uint64_t blocks, size;
    bool ended;
    size_t at, len; /* of the block, handed out and verified */
    char block[HL_SNAP_BLOCK_MAX];
};

static uint32_t encode_header(char *out, const struct hl_snap_label *label)
{
    memset(out, 0, HEADER_SIZE);
    memcpy(out, MAGIC, 8);
    hl_put_le32(out + 8, HL_SNAP_VERSION);
    hl_put_le64(out + 16, label->index);
    hl_put_le64(out + 24, label->term);
    hl_put_le64(out + 32, (uint64_t)label->log_time_us);
    memcpy(out + 40, label->cluster_id, sizeof label->cluster_id);
    uint32_t crc = hl_crc32c(0, out, HEADER_SIZE - 4);
    hl_put_le32(out + HEADER_SIZE - 4, crc);
    return crc;
}

static void free_writer(struct hl_snap_writer *writer)
{
    if (writer->file != -1) {
        writer->disk->close(writer->disk->ctx, writer->file);
    }
    hl_free(writer->dir);
    hl_free(writer);
}

static hl_err put(struct hl_snap_writer *writer, const void *bytes, size_t len,
                  struct hl_errmsg *msg)
{
    hl_err err =
        writer->disk->pwrite(writer->disk->ctx, writer->file, bytes, len, writer->offset, msg);
    if (err == HL_OK) {
        writer->offset += len;
    }
    return err;
}

hl_err hl_snap_writer_open(struct hl_snap_writer **out, const struct hl_disk *disk, const char *dir,
                           const struct hl_snap_label *label, struct hl_errmsg *msg)
{
    HL_ASSERT(label->index != 0);
    struct hl_snap_writer *writer = hl_malloc(sizeof *writer);
    memset(writer, 0, offsetof(struct hl_snap_writer, block));
    writer->disk = disk;
    writer->dir = hl_strndup(dir, strlen(dir));
    writer->file = -1;
    hl_snap_temp_name(writer->name, label->index);
    hl_err err = disk->open(disk->ctx, dir, writer->name, true, &writer->file, msg);
    if (err == HL_OK) {
        err = disk->truncate(disk->ctx, writer->file, 0, msg);
    }
    if (err == HL_OK) {
        char header[HEADER_SIZE];
        writer->chain = encode_header(header, label);
        err = put(writer, header, sizeof header, msg);
    }
    if (err != HL_OK) {
        free_writer(writer);
        return err;
    }
    *out = writer;
    return HL_OK;
}

static hl_err put_block(struct hl_snap_writer *writer, struct hl_errmsg *msg)
{
    hl_put_le32(writer->block, (uint32_t)writer->len);
    uint32_t crc = hl_crc32c(writer->chain, writer->block, 4);
    crc = hl_crc32c(crc, writer->block + BLOCK_HEADER, writer->len);
    hl_put_le32(writer->block + 4, crc);
    hl_err err = put(writer, writer->block, BLOCK_HEADER + writer->len, msg);
    if (err == HL_OK) {
        writer->chain = crc;
        writer->digest = hl_crc32c(writer->digest, writer->block + BLOCK_HEADER, writer->len);
        writer->blocks++;
        writer->len = 0;
    }
    return err;
}

hl_err hl_snap_write(struct hl_snap_writer *writer, const void *bytes, size_t len,
                     struct hl_errmsg *msg)
{
    const char *p = bytes;
    writer->size += len;
    while (len > 0) {
        size_t room = HL_SNAP_BLOCK_MAX - writer->len;
        size_t step = len < room ? len : room;
        memcpy(writer->block + BLOCK_HEADER + writer->len, p, step);
        writer->len += step;
        p += step;
        len -= step;
        if (writer->len == HL_SNAP_BLOCK_MAX) {
            hl_err err = put_block(writer, msg);
            if (err != HL_OK) {
                return err;
            }
        }
    }
    return HL_OK;
}

uint64_t hl_snap_writer_size(const struct hl_snap_writer *writer)
{
    return writer->size;
}

static uint32_t trailer_crc(uint32_t chain, const char *trailer)
{
    return hl_crc32c(hl_crc32c(chain, trailer, 4), trailer + BLOCK_HEADER,
                     TRAILER_SIZE - BLOCK_HEADER);
}

hl_err hl_snap_writer_finish(struct hl_snap_writer *writer, struct hl_errmsg *msg)
{
    hl_err err = writer->len > 0 ? put_block(writer, msg) : HL_OK;
    if (err == HL_OK) {
        char trailer[TRAILER_SIZE] = {0};
        hl_put_le64(trailer + 8, writer->blocks);
        hl_put_le64(trailer + 16, writer->size);
        hl_put_le32(trailer + 24, writer->digest);
        hl_put_le32(trailer + 4, trailer_crc(writer->chain, trailer));
        err = put(writer, trailer, sizeof trailer, msg);
    }
    if (err == HL_OK) {
        err = writer->disk->fdatasync(writer->disk->ctx, writer->file, msg);
    }
    if (err != HL_OK) {
        hl_snap_writer_abort(writer);
        return err;
    }
    free_writer(writer);
    return HL_OK;
}

void hl_snap_writer_abort(struct hl_snap_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    /* Should it fail, the next start removes the file. */
    hl_err ignored = writer->disk->remove(writer->disk->ctx, writer->dir, writer->name, NULL);
    HL_MAYBE(ignored != HL_OK);
    free_writer(writer);
}

void hl_snap_reader_close(struct hl_snap_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    if (reader->file != -1) {
        reader->disk->close(reader->disk->ctx, reader->file);
    }
    hl_free(reader->dir);
    hl_free(reader);
}

static hl_err corrupt(const struct hl_snap_reader *reader, const char *why, struct hl_errmsg *msg)
{
    return hl_fail(msg, HL_ECORRUPT, "%s/%s: offset %" PRIu64 ": %s", reader->dir, reader->name,
                   reader->offset, why);
}

/* Read exactly `len` bytes at the reader's offset, not moving it. */
static hl_err get(struct hl_snap_reader *reader, void *out, size_t len, struct hl_errmsg *msg)
{
    size_t got = 0;
    hl_err err =
        reader->disk->pread(reader->disk->ctx, reader->file, out, len, reader->offset, &got, msg);
    if (err == HL_OK && got < len) {
        err = corrupt(reader, "the file ends too early", msg);
    }
    return err;
}

static hl_err read_header(struct hl_snap_reader *reader, hl_index index,
                          struct hl_snap_label *label, struct hl_errmsg *msg)
{
    char header[HEADER_SIZE];
    hl_err err = get(reader, header, sizeof header, msg);
    if (err != HL_OK) {
        return err;
    }
    reader->chain = hl_crc32c(0, header, HEADER_SIZE - 4);
    if (memcmp(header, MAGIC, 8) != 0 || reader->chain != hl_get_le32(header + HEADER_SIZE - 4)) {
        return corrupt(reader, "not the header of a snapshot", msg);
    }
    uint32_t version = hl_get_le32(header + 8);
    if (version != HL_SNAP_VERSION) {
        return hl_fail(msg, HL_EVERSION, "%s/%s: format version %u, this build knows %u",
                       reader->dir, reader->name, version, HL_SNAP_VERSION);
    }
    struct hl_snap_label read = {.index = hl_get_le64(header + 16),
                                 .term = hl_get_le64(header + 24),
                                 .log_time_us = (int64_t)hl_get_le64(header + 32)};
    memcpy(read.cluster_id, header + 40, sizeof read.cluster_id);
    if (read.index != index) {
        return corrupt(reader, "its label is of another index", msg);
    }
    reader->offset = HEADER_SIZE;
    *label = read;
    return HL_OK;
}

static hl_err open_reader(struct hl_snap_reader **out, const struct hl_disk *disk, const char *dir,
                          bool temp, hl_index index, struct hl_snap_label *label,
                          struct hl_errmsg *msg)
{
    HL_ASSERT(index != 0);
    struct hl_snap_reader *reader = hl_malloc(sizeof *reader);
    memset(reader, 0, offsetof(struct hl_snap_reader, block));
    reader->disk = disk;
    reader->dir = hl_strndup(dir, strlen(dir));
    reader->file = -1;
    if (temp) {
        hl_snap_temp_name(reader->name, index);
    } else {
        hl_snap_name(reader->name, index);
    }
    hl_err err = disk->open(disk->ctx, dir, reader->name, false, &reader->file, msg);
    if (err == HL_OK) {
        err = read_header(reader, index, label, msg);
    }
    if (err != HL_OK) {
        hl_snap_reader_close(reader);
        return err;
    }
    *out = reader;
    return HL_OK;
}

hl_err hl_snap_reader_open(struct hl_snap_reader **out, const struct hl_disk *disk, const char *dir,
                           hl_index index, struct hl_snap_label *label, struct hl_errmsg *msg)
{
    return open_reader(out, disk, dir, false, index, label, msg);
}

hl_err hl_snap_reader_open_temp(struct hl_snap_reader **out, const struct hl_disk *disk,
                                const char *dir, hl_index index, struct hl_snap_label *label,
                                struct hl_errmsg *msg)
{
    return open_reader(out, disk, dir, true, index, label, msg);
}

static hl_err read_trailer(struct hl_snap_reader *reader, struct hl_errmsg *msg)
{
    char trailer[TRAILER_SIZE];
    hl_err err = get(reader, trailer, sizeof trailer, msg);
    if (err != HL_OK) {
        return err;
    }
    if (trailer_crc(reader->chain, trailer) != hl_get_le32(trailer + 4) ||
        hl_get_le64(trailer + 8) != reader->blocks || hl_get_le64(trailer + 16) != reader->size ||
        hl_get_le32(trailer + 24) != reader->digest || hl_get_le32(trailer + 28) != 0) {
        return corrupt(reader, "the end does not match what came before", msg);
    }
    uint64_t size = 0;
    err = reader->disk->size(reader->disk->ctx, reader->file, &size, msg);
    if (err != HL_OK) {
        return err;
    }
    reader->offset += TRAILER_SIZE;
    if (size != reader->offset) {
        return corrupt(reader, "bytes behind the end", msg);
    }
    reader->ended = true;
    return HL_OK;
}

static hl_err read_block(struct hl_snap_reader *reader, struct hl_errmsg *msg)
{
    char header[BLOCK_HEADER];
    hl_err err = get(reader, header, sizeof header, msg);
    if (err != HL_OK) {
        return err;
    }
    uint32_t len = hl_get_le32(header);
    if (len == 0) {
        return read_trailer(reader, msg);
    }
    if (len > HL_SNAP_BLOCK_MAX) {
        return corrupt(reader, "a block longer than blocks are", msg);
    }
    uint64_t start = reader->offset;
    reader->offset += BLOCK_HEADER;
    err = get(reader, reader->block, len, msg);
    if (err != HL_OK) {
        return err;
    }
    uint32_t crc = hl_crc32c(hl_crc32c(reader->chain, header, 4), reader->block, len);
    if (crc != hl_get_le32(header + 4)) {
        reader->offset = start;
        return corrupt(reader, "a block's checksum is wrong", msg);
    }
    reader->offset += len;
    reader->chain = crc;
    reader->digest = hl_crc32c(reader->digest, reader->block, len);
    reader->blocks++;
    reader->size += len;
    reader->at = 0;
    reader->len = len;
    return HL_OK;
}

hl_err hl_snap_read(struct hl_snap_reader *reader, void *out, size_t len, size_t *got,
                    struct hl_errmsg *msg)
{
    HL_ASSERT(len > 0);
    if (reader->at == reader->len && !reader->ended) {
        hl_err err = read_block(reader, msg);
        if (err != HL_OK) {
            return err;
        }
    }
    size_t rest = reader->len - reader->at;
    *got = reader->ended ? 0 : len < rest ? len : rest;
    if (*got > 0) {
        memcpy(out, reader->block + reader->at, *got);
        reader->at += *got;
    }
    HL_ASSERT(*got > 0 || reader->ended);
    return HL_OK;
}
