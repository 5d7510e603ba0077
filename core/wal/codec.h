/* Bytes of format.h to structs and back.  Pure: no disk, no allocation. */
#ifndef HL_WAL_CODEC_H
#define HL_WAL_CODEC_H

#include "base/ids.h"
#include "kit/bytes.h"
#include "wal/format.h"

#include <stdbool.h>

/* What an entry carries; the numbers are on disk. */
enum hl_wal_type {
    HL_WAL_NOP = 1,     /* nothing: the first entry of a leader's term */
    HL_WAL_EFFECTS = 2, /* what one execution unit changed */
    HL_WAL_CFG = 3,     /* voters and learners */
    HL_WAL_ADMIN = 4,   /* users, functions, modules, cluster settings */
    HL_WAL_SCRUB = 5,   /* a digest to compare with */
};

/* One entry of the log: plain values.  `body` is borrowed; who lends it says until when. */
struct hl_wal_entry {
    hl_index index; /* 1 and up */
    hl_term term;
    enum hl_wal_type type;
    int64_t log_time_us; /* since the epoch; never decreases along the log */
    uint32_t feature_level;
    struct hl_slice body; /* at most HL_WAL_BODY_MAX bytes */
};

/* A record: an entry and what ties it to its neighbours. */
struct hl_wal_record {
    struct hl_wal_entry entry;
    uint32_t crc;
    uint32_t prev;
    hl_index synced;
    size_t size; /* of the whole record with its padding */
};

struct hl_wal_segment_header {
    hl_index first;
    uint32_t prev;
    uint64_t salt;
};

/* The numbers that outlive everything. */
struct hl_wal_meta {
    unsigned char cluster_id[16]; /* all zero: none yet */
    uint64_t node_id;             /* 0: none yet */
    uint64_t incarnation;
    hl_term term;
    uint64_t vote; /* node id; 0: none in this term */
    hl_index base;
    hl_term base_term;
    hl_index watermark;
    uint64_t salt;
    unsigned char boot_id[16];
    bool removed;       /* from its cluster: nobody may use this log as a voter again */
    hl_index committed; /* up to here the log was known to be committed; at least that */
};

/* Bytes that a record with a body of `len` bytes occupies. */
size_t hl_wal_record_size(size_t len);

/* What record checksums start from. */
uint32_t hl_wal_seed(uint64_t salt);

/* Fill the header at `bytes`, whose body of `entry->body.len` bytes and padding are already in
 * place behind it, and return the record's crc. */
uint32_t hl_wal_encode_record(char *bytes, uint32_t seed, uint32_t prev, hl_index synced,
                              const struct hl_wal_entry *entry);

/* Read the record at `bytes`, of which `len` may be looked at.  False, leaving *out alone, unless
 * it is whole (V1).  The body is a view into `bytes`. */
bool hl_wal_decode_record(const char *bytes, size_t len, uint32_t seed, struct hl_wal_record *out);

/* The size that the record at `bytes` (at least HL_WAL_RECORD_HEADER of them) claims to have, or 0
 * when its header cannot be one.  Nothing is verified. */
size_t hl_wal_claimed_size(const char *bytes);

/* Write HL_WAL_SEGMENT_HEADER bytes. */
void hl_wal_encode_segment(char *out, const struct hl_wal_segment_header *header);

/* Read HL_WAL_SEGMENT_HEADER bytes.  HL_ECORRUPT when they are not a header, HL_EVERSION (and the
 * version in *version) when they are one of a format that this build does not know. */
HL_MUST_USE hl_err hl_wal_decode_segment(const char *bytes, struct hl_wal_segment_header *out,
                                         uint32_t *version);

/* Write HL_WAL_META_SIZE bytes. */
void hl_wal_encode_meta(char *out, const struct hl_wal_meta *meta);

/* Read `len` bytes; errors as hl_wal_decode_segment(), a wrong length is HL_ECORRUPT. */
HL_MUST_USE hl_err hl_wal_decode_meta(const char *bytes, size_t len, struct hl_wal_meta *out,
                                      uint32_t *version);

#endif
