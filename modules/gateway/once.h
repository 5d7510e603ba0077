/* What is remembered of a request that came with an Idempotency-Key.  Pure.
 *
 *   record   u8 1, i64 moment when it is forgotten (ms since the epoch), 32 bytes digest of the
 *            request, then the reply as items; all integers little endian
 *   item     '+' or '$': u32 length and bytes (a status, a text) | ':' i64 | '_' null
 *            '*' or '%': u32 count, and so many items (twice as many for a map)
 *
 *   I1  bytes that are no record are told from one; nothing is read behind their end.
 *   I2  a reply is kept up to GW_ONCE_REPLY_MAX bytes and GW_ONCE_DEPTH_MAX deep, or not at all.
 */
#ifndef GATEWAY_ONCE_H
#define GATEWAY_ONCE_H

#include "kit/bytes.h"
#include "kit/sha256.h"

#include <stdbool.h>
#include <stdint.h>

#define GW_ONCE_KEY_MAX 255    /* characters of an Idempotency-Key */
#define GW_ONCE_REPLY_MAX 4096 /* bytes of the items of a reply */
#define GW_ONCE_DEPTH_MAX 4
#define GW_ONCE_ITEMS_MAX 1024

struct gw_once_record {
    int64_t until_ms;
    unsigned char digest[HL_SHA256_BYTES];
    struct hl_slice reply; /* its items */
};

struct gw_once_item {
    char kind;            /* '+' '$' ':' '_' '*' '%' */
    struct hl_slice text; /* of '+' and '$' */
    int64_t number;       /* of ':' its value, of '*' and '%' how many */
};

/* An Idempotency-Key: 1 to GW_ONCE_KEY_MAX printable characters of ASCII. */
bool gw_once_key_valid(struct hl_slice key);

/* What makes two requests the same: method, path, query and body. */
void gw_once_digest(struct hl_slice method, struct hl_slice path, struct hl_slice query,
                    struct hl_slice body, unsigned char out[HL_SHA256_BYTES]);

/* Append a record. */
void gw_once_encode(struct hl_buf *out, const struct gw_once_record *record);

/* Read one, borrowed from `bytes`; false when they are none: every item is whole, and nothing is
 * behind the last. */
bool gw_once_decode(struct hl_slice bytes, struct gw_once_record *record);

/* Append an item; of an array or map its elements follow. */
void gw_once_put(struct hl_buf *out, const struct gw_once_item *item);

/* Take the first item off; false when there is no whole one. */
bool gw_once_take(struct hl_slice *items, struct gw_once_item *item);

#endif
