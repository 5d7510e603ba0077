/* The table of kinds drives both directions: what is written is what is read.
 *
 * Invariants:
 *   V1  decode accepts exactly what encode can write: every field in its range, minimal or not.
 *   V2  decode never reads past `in` and allocates nothing.
 */
#include "event.h"

#include "index.h"
#include "job.h"
#include "kit/assert.h"

#include <limits.h>

HL_STATIC(N_COUNT <= 64);

struct range {
    int64_t min, max;
};

#define TIME                                                                                       \
    {                                                                                              \
        0, JOBS_TIME_MAX                                                                           \
    }

static const struct range num_ranges[N_COUNT] = {
    [N_VERSION] = {1, INT32_MAX},
    [N_EPOCH] = {0, UINT32_MAX},
    [N_AT] = TIME,
    [N_NEXT_SEQ] = {1, (int64_t)JOBS_SEQ_MAX + 1},
    [N_FENCE] = {0, JOBS_TIME_MAX},
    [N_WHICH] = {0, UINT8_MAX},
    [N_VALUE] = {0, JOBS_TIME_MAX},
    [N_SEQ] = {1, (int64_t)JOBS_SEQ_MAX},
    [N_STATE] = {0, JOBS_INDEX_STATES - 1},
    [N_DUE] = TIME,
    [N_EXPIRES] = TIME,
    [N_CREATED] = TIME,
    [N_CHANGED] = TIME,
    [N_PRI] = {INT8_MIN, INT8_MAX},
    [N_ATTEMPTS] = {0, JOBS_TRIES_MAX},
    [N_TRIES] = {1, JOBS_TRIES_MAX},
    [N_VIS] = {1, JOBS_SPAN_MAX},
    [N_BACKOFF] = {0, 1},
    [N_BASE] = {0, JOBS_SPAN_MAX},
    [N_CAP] = {0, JOBS_SPAN_MAX},
    [N_JITTER] = {0, 100},
    [N_UNTIL] = TIME,
    [N_CAUSE] = {0, JOBS_CAUSES - 1},
    [N_KEEP] = {JOBS_KEEP_DEFAULT, JOBS_TIME_MAX},
    [N_SCOPE] = {0, JOBS_UNTIL_DONE},
    [N_PERCENT] = {0, 100},
};

static const struct range text_ranges[T_COUNT] = {
    [T_TOKEN] = {0, JOBS_TOKEN_LEN},     [T_DEDUP] = {0, JOBS_DEDUP_MAX},
    [T_WORKER] = {0, JOBS_WORKER_MAX},   [T_NOTE] = {0, JOBS_NOTE_MAX},
    [T_PAYLOAD] = {0, JOBS_PAYLOAD_MAX}, [T_CRON] = {0, JOBS_PAYLOAD_MAX},
};

/* Which fields a kind has, as bits of enum jobs_num and enum jobs_text, written in that order. */
struct shape {
    uint64_t nums;
    uint32_t texts;
};

#define N(field) (UINT64_C(1) << N_##field)
#define T(field) (1u << T_##field)
#define OPTIONS                                                                                    \
    (N(EXPIRES) | N(PRI) | N(TRIES) | N(VIS) | N(BACKOFF) | N(BASE) | N(CAP) | N(JITTER))

static const struct shape shapes[JOBS_EV_KINDS] = {
    [JOBS_EV_META] = {N(VERSION) | N(EPOCH) | N(AT) | N(NEXT_SEQ) | N(FENCE) | N(CREATED), 0},
    [JOBS_EV_COUNTER] = {N(WHICH) | N(VALUE), 0},
    [JOBS_EV_CLOCK] = {N(AT), 0},
    [JOBS_EV_PUSH] = {N(SEQ) | N(DUE) | N(UNTIL) | OPTIONS, T(DEDUP) | T(PAYLOAD)},
    [JOBS_EV_LEASE] = {N(SEQ) | N(DUE), T(TOKEN) | T(WORKER)},
    [JOBS_EV_DONE] = {N(SEQ) | N(DUE), T(NOTE)},
    [JOBS_EV_RETRY] = {N(SEQ) | N(DUE) | N(CAUSE), T(NOTE)},
    [JOBS_EV_BURY] = {N(SEQ) | N(DUE) | N(STATE) | N(CAUSE), T(NOTE)},
    [JOBS_EV_CANCEL] = {N(SEQ) | N(DUE), 0},
    [JOBS_EV_EXTEND] = {N(SEQ) | N(DUE), 0},
    [JOBS_EV_READY] = {N(SEQ), 0},
    [JOBS_EV_REVIVE] = {N(SEQ), 0},
    [JOBS_EV_REMOVE] = {N(SEQ) | N(CAUSE), 0},
    [JOBS_EV_FORGET] = {0, T(DEDUP)},
    [JOBS_EV_JOB] = {N(SEQ) | N(STATE) | N(DUE) | N(CREATED) | N(CHANGED) | N(ATTEMPTS) | N(FENCE) |
                         OPTIONS,
                     T(TOKEN) | T(DEDUP) | T(WORKER) | T(NOTE) | T(PAYLOAD)},
    [JOBS_EV_USED] = {N(SEQ) | N(UNTIL), T(DEDUP)},
    [JOBS_EV_SET] = {N(WHICH) | N(VALUE), 0},
    [JOBS_EV_TERMS] = {N(SEQ) | N(VALUE) | N(KEEP) | N(SCOPE), T(DEDUP)},
    [JOBS_EV_PROGRESS] = {N(SEQ) | N(PERCENT), T(NOTE)},
    [JOBS_EV_BIND] = {N(SEQ), 0},
    [JOBS_EV_RELEASE] = {N(SEQ), 0},
    [JOBS_EV_FACT] = {N(AT) | N(WHICH) | N(SEQ) | N(STATE) | N(ATTEMPTS), 0},
    [JOBS_EV_CRON] = {0, T(CRON)},
};

/* Numbers between the kinds may be unused. */
static bool is_known(unsigned kind)
{
    return kind < JOBS_EV_KINDS && (shapes[kind].nums != 0 || shapes[kind].texts != 0);
}

static void put_varint(struct hl_buf *out, uint64_t v)
{
    unsigned char bytes[10];
    size_t len = 0;
    while (v >= 0x80) {
        bytes[len++] = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    bytes[len++] = (unsigned char)v;
    hl_buf_append(out, bytes, len);
}

static bool take_varint(struct hl_slice *in, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 9 && i < in->len; i++) {
        unsigned char byte = (unsigned char)in->ptr[i];
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            in->ptr += i + 1;
            in->len -= i + 1;
            *out = v;
            return true;
        }
    }
    return false; /* truncated, or longer than any number we write */
}

static bool within(int64_t v, struct range range)
{
    return v >= range.min && v <= range.max;
}

void jobs_event_encode(struct hl_buf *out, const struct jobs_event *event)
{
    HL_ASSERT(is_known(event->kind));
    const struct shape *shape = &shapes[event->kind];
    hl_buf_append_u8(out, (uint8_t)event->kind);
    for (unsigned i = 0; i < N_COUNT; i++) {
        if ((shape->nums & (UINT64_C(1) << i)) != 0) {
            HL_ASSERT(within(event->num[i], num_ranges[i]));
            put_varint(out, (uint64_t)event->num[i] << 1 ^ (uint64_t)(event->num[i] >> 63));
        }
    }
    for (unsigned i = 0; i < T_COUNT; i++) {
        if ((shape->texts & (1u << i)) != 0) {
            HL_ASSERT(within((int64_t)event->text[i].len, text_ranges[i]));
            put_varint(out, event->text[i].len);
            hl_buf_append_slice(out, event->text[i]);
        }
    }
}

static hl_err decode_nums(struct hl_slice *in, uint64_t nums, struct jobs_event *event)
{
    for (unsigned i = 0; i < N_COUNT; i++) {
        if ((nums & (UINT64_C(1) << i)) != 0) {
            uint64_t raw = 0;
            if (!take_varint(in, &raw)) {
                return HL_ECORRUPT;
            }
            event->num[i] = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
            if (!within(event->num[i], num_ranges[i])) {
                return HL_ECORRUPT;
            }
        }
    }
    return HL_OK;
}

hl_err jobs_event_decode(struct hl_slice *in, struct jobs_event *event)
{
    if (in->len == 0) {
        return HL_ECORRUPT;
    }
    unsigned char kind = (unsigned char)in->ptr[0];
    if (!is_known(kind)) {
        return HL_EVERSION;
    }
    *event = (struct jobs_event){.kind = (enum jobs_kind)kind};
    in->ptr++;
    in->len--;
    hl_err err = decode_nums(in, shapes[kind].nums, event);
    if (err != HL_OK) {
        return err;
    }
    for (unsigned i = 0; i < T_COUNT; i++) {
        if ((shapes[kind].texts & (1u << i)) != 0) {
            uint64_t len = 0;
            if (!take_varint(in, &len) || len > in->len || len > (uint64_t)text_ranges[i].max) {
                return HL_ECORRUPT;
            }
            event->text[i] = (struct hl_slice){.ptr = in->ptr, .len = (size_t)len};
            in->ptr += len;
            in->len -= (size_t)len;
        }
    }
    return HL_OK;
}
