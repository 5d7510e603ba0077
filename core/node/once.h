/* Exactly once: what sessions of clients did last, so that a request which is sent again is
 * answered and not run again (PROTOCOL section 8).
 *
 * A part of the state: it changes by effects (HELIOS.ONCE) only, is carried by snapshots as the
 * table "sessions", and dies by the log's time.
 *
 *   the table   u32 version, then for each session, longest unused first:
 *               u16 length and id, u64 seq, u64 index, i64 log_time in microseconds, u32 length and
 * reply
 *
 * Invariants:
 *   O1  `seq` of a session never decreases.
 *   O2  `used` is ordered by log_time.
 */
#ifndef HL_NODE_ONCE_H
#define HL_NODE_ONCE_H

#include "base/ids.h"
#include "base/list.h"
#include "kit/bytes.h"

#include <stdint.h>

#define HL_ONCE_SESSIONS_MAX 100000
#define HL_ONCE_ID_MAX 128             /* bytes */
#define HL_ONCE_REPLY_MAX (64u << 10)  /* bytes of a reply that is kept */
#define HL_ONCE_UNUSED_US 3600000000LL /* after which a session is forgotten */

struct hl_node;

/* What a client's session did last. */
struct hl_once {
    struct hl_list_node used; /* in node->once.used */
    struct hl_once *next;     /* of the same bucket */
    uint64_t hash;
    uint64_t seq;   /* of its last request; 0: none yet */
    hl_index index; /* of the entry that holds it */
    int64_t log_time_us;
    struct hl_buf reply;
    size_t id_len;
    char id[];
};

struct hl_once_table {
    struct hl_list_node used; /* longest unused first */
    struct hl_once **buckets;
    size_t bucket_count, count;
};

/* An empty table. */
void hl_once_init(struct hl_once_table *table);

/* Release everything. */
void hl_once_fini(struct hl_once_table *table);

/* The session of this id that is not forgotten at `now_us` of the log's time, or NULL. */
struct hl_once *hl_once_find(const struct hl_once_table *table, struct hl_slice id, int64_t now_us);

/* Note what a session did, making it when it is new; forgets those unused for too long at
 * `log_time_us`.  A seq before the one it has changes nothing (O1). */
void hl_once_note(struct hl_once_table *table, struct hl_slice id, uint64_t seq, hl_index index,
                  int64_t log_time_us, struct hl_slice reply);

/* The table of snapshots: `ctx` is the node. */
void hl_once_save(void *ctx, struct hl_buf *out);

/* The other way.  HL_ECORRUPT, HL_EVERSION. */
HL_MUST_USE hl_err hl_once_load(void *ctx, struct hl_slice contents, struct hl_errmsg *msg);

/* Mix the table into a digest of the state: equal tables do so equally. */
void hl_once_digest(const struct hl_once_table *table, unsigned char out[20]);

#endif
