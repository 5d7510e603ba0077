#include "wal/codec.h"

#include "base/crc32c.h"

#define CRC_FROM 8 /* a record's checksum covers everything behind the checksum itself */

HL_STATIC(HL_WAL_BODY_MAX <= UINT32_MAX);
HL_STATIC(sizeof(size_t) == 8);

size_t hl_wal_record_size(size_t len)
{
    return (HL_WAL_RECORD_HEADER + len + HL_WAL_ALIGN - 1) / HL_WAL_ALIGN * HL_WAL_ALIGN;
}

uint32_t hl_wal_seed(uint64_t salt)
{
    unsigned char bytes[8];
    hl_put_le64(bytes, salt);
    return hl_crc32c(0, bytes, sizeof bytes);
}

static bool is_type(uint8_t type)
{
    return type >= HL_WAL_NOP && type <= HL_WAL_SCRUB;
}

uint32_t hl_wal_encode_record(char *bytes, uint32_t seed, uint32_t prev, hl_index synced,
                              const struct hl_wal_entry *entry)
{
    HL_ASSERT(entry->index != 0 && synced < entry->index);
    HL_ASSERT(entry->body.len <= HL_WAL_BODY_MAX);
    HL_ASSERT(is_type((uint8_t)entry->type));
    memset(bytes, 0, HL_WAL_RECORD_HEADER);
    hl_put_le32(bytes, HL_WAL_RECORD_MAGIC);
    hl_put_le32(bytes + 8, prev);
    hl_put_le32(bytes + 12, (uint32_t)entry->body.len);
    hl_put_le64(bytes + 16, entry->index);
    hl_put_le64(bytes + 24, entry->term);
    hl_put_le64(bytes + 32, (uint64_t)entry->log_time_us);
    hl_put_le64(bytes + 40, synced);
    bytes[48] = (char)entry->type;
    hl_put_le32(bytes + 52, entry->feature_level);
    size_t size = hl_wal_record_size(entry->body.len);
    uint32_t crc = hl_crc32c(seed, bytes + CRC_FROM, size - CRC_FROM);
    hl_put_le32(bytes + 4, crc);
    return crc;
}

size_t hl_wal_claimed_size(const char *bytes)
{
    uint32_t len = hl_get_le32(bytes + 12);
    if (hl_get_le32(bytes) != HL_WAL_RECORD_MAGIC || len > HL_WAL_BODY_MAX) {
        return 0;
    }
    return hl_wal_record_size(len);
}

bool hl_wal_decode_record(const char *bytes, size_t len, uint32_t seed, struct hl_wal_record *out)
{
    if (len < HL_WAL_RECORD_HEADER) {
        return false;
    }
    size_t size = hl_wal_claimed_size(bytes);
    if (size == 0 || size > len || !is_type((uint8_t)bytes[48])) {
        return false;
    }
    uint32_t crc = hl_get_le32(bytes + 4);
    if (hl_crc32c(seed, bytes + CRC_FROM, size - CRC_FROM) != crc) {
        return false;
    }
    *out = (struct hl_wal_record){
        .entry = {.index = hl_get_le64(bytes + 16),
                  .term = hl_get_le64(bytes + 24),
                  .type = (enum hl_wal_type)bytes[48],
                  .log_time_us = (int64_t)hl_get_le64(bytes + 32),
                  .feature_level = hl_get_le32(bytes + 52),
                  .body = {.ptr = bytes + HL_WAL_RECORD_HEADER, .len = hl_get_le32(bytes + 12)}},
        .crc = crc,
        .prev = hl_get_le32(bytes + 8),
        .synced = hl_get_le64(bytes + 40),
        .size = size};
    return true;
}

/* Headers and `meta` alike: magic, version, ..., checksum in the last four bytes. */
static hl_err check_block(const char *bytes, size_t size, const char *magic, uint32_t *version)
{
    if (memcmp(bytes, magic, 8) != 0 ||
        hl_crc32c(0, bytes, size - 4) != hl_get_le32(bytes + size - 4)) {
        return HL_ECORRUPT;
    }
    uint32_t found = hl_get_le32(bytes + 8);
    if (found != HL_WAL_VERSION) {
        *version = found;
        return HL_EVERSION;
    }
    return HL_OK;
}

static void begin_block(char *out, size_t size, const char *magic)
{
    memset(out, 0, size);
    memcpy(out, magic, 8);
    hl_put_le32(out + 8, HL_WAL_VERSION);
}

static void end_block(char *out, size_t size)
{
    hl_put_le32(out + size - 4, hl_crc32c(0, out, size - 4));
}

void hl_wal_encode_segment(char *out, const struct hl_wal_segment_header *header)
{
    HL_ASSERT(header->first != 0);
    begin_block(out, HL_WAL_SEGMENT_HEADER, HL_WAL_SEGMENT_MAGIC);
    hl_put_le64(out + 16, header->first);
    hl_put_le32(out + 24, header->prev);
    hl_put_le64(out + 32, header->salt);
    end_block(out, HL_WAL_SEGMENT_HEADER);
}

hl_err hl_wal_decode_segment(const char *bytes, struct hl_wal_segment_header *out,
                             uint32_t *version)
{
    hl_err err = check_block(bytes, HL_WAL_SEGMENT_HEADER, HL_WAL_SEGMENT_MAGIC, version);
    if (err != HL_OK) {
        return err;
    }
    uint64_t first = hl_get_le64(bytes + 16);
    if (first == 0) {
        return HL_ECORRUPT;
    }
    *out = (struct hl_wal_segment_header){
        .first = first, .prev = hl_get_le32(bytes + 24), .salt = hl_get_le64(bytes + 32)};
    return HL_OK;
}

void hl_wal_encode_meta(char *out, const struct hl_wal_meta *meta)
{
    begin_block(out, HL_WAL_META_SIZE, HL_WAL_META_MAGIC);
    memcpy(out + 16, meta->cluster_id, sizeof meta->cluster_id);
    hl_put_le64(out + 32, meta->node_id);
    hl_put_le64(out + 40, meta->incarnation);
    hl_put_le64(out + 48, meta->term);
    hl_put_le64(out + 56, meta->vote);
    hl_put_le64(out + 64, meta->base);
    hl_put_le64(out + 72, meta->base_term);
    hl_put_le64(out + 80, meta->watermark);
    hl_put_le64(out + 88, meta->salt);
    memcpy(out + 96, meta->boot_id, sizeof meta->boot_id);
    hl_put_le64(out + 112, meta->committed);
    hl_put_le32(out + 120, meta->removed);
    end_block(out, HL_WAL_META_SIZE);
}

hl_err hl_wal_decode_meta(const char *bytes, size_t len, struct hl_wal_meta *out, uint32_t *version)
{
    if (len != HL_WAL_META_SIZE) {
        return HL_ECORRUPT;
    }
    hl_err err = check_block(bytes, len, HL_WAL_META_MAGIC, version);
    if (err != HL_OK) {
        return err;
    }
    struct hl_wal_meta meta = {.node_id = hl_get_le64(bytes + 32),
                               .incarnation = hl_get_le64(bytes + 40),
                               .term = hl_get_le64(bytes + 48),
                               .vote = hl_get_le64(bytes + 56),
                               .base = hl_get_le64(bytes + 64),
                               .base_term = hl_get_le64(bytes + 72),
                               .watermark = hl_get_le64(bytes + 80),
                               .salt = hl_get_le64(bytes + 88),
                               .committed = hl_get_le64(bytes + 112),
                               .removed = hl_get_le32(bytes + 120) != 0};
    memcpy(meta.cluster_id, bytes + 16, sizeof meta.cluster_id);
    memcpy(meta.boot_id, bytes + 96, sizeof meta.boot_id);
    *out = meta;
    return HL_OK;
}
