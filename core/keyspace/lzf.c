#include "keyspace/lzf.h"

#include "kit/assert.h"

#define SLOT_BITS 16
#define SLOTS (1u << SLOT_BITS)
#define LITERALS_MAX 32
#define OFFSET_MAX 8192 /* exclusive, of distance - 1 */
#define MATCH_MIN 3
#define MATCH_MAX 264
#define UNCHECKED 18 /* see match_len() */

struct packer {
    const unsigned char *in;
    size_t len;
    unsigned char *out;
    size_t out_len; /* bytes written, the length byte of the open run included */
    size_t max;
    size_t literals;       /* in the open run */
    uint32_t base;         /* of the positions below: those of earlier inputs are not above it */
    uint32_t slots[SLOTS]; /* base + last position of three bytes with that hash */
};

static uint32_t slot_of(const unsigned char *p)
{
    uint32_t h = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
    return ((h >> (24 - SLOT_BITS)) - h * 5) & (SLOTS - 1);
}

static void end_run(struct packer *k)
{
    if (k->literals != 0) {
        k->out[k->out_len - k->literals - 1] = (unsigned char)(k->literals - 1);
        k->literals = 0;
        k->out_len++; /* the length byte of the next run */
    }
}

static void put_literal(struct packer *k, unsigned char byte)
{
    k->out[k->out_len++] = byte;
    k->literals++;
    if (k->literals == LITERALS_MAX) {
        end_run(k);
    }
}

/* How many bytes at `at` repeat those at `from`; the first three do.  Near the end the length found
 * is capped two bytes early, but the first bytes of a longer rest are compared without the cap. */
static size_t match_len(const struct packer *k, size_t from, size_t at)
{
    size_t cap = k->len - at - 2;
    cap = cap < MATCH_MAX ? cap : MATCH_MAX;
    size_t free_until = cap > 16 ? UNCHECKED : 0;
    size_t len = MATCH_MIN;
    while ((len <= free_until || len < cap) && k->in[from + len] == k->in[at + len]) {
        len++;
    }
    return len;
}

static void put_match(struct packer *k, size_t offset, size_t len)
{
    end_run(k);
    k->out_len--; /* no run is open: its length byte is overwritten */
    unsigned char high = (unsigned char)(offset >> 8);
    if (len - 2 < 7) {
        k->out[k->out_len++] = (unsigned char)(high | (len - 2) << 5);
    } else {
        k->out[k->out_len++] = (unsigned char)(high | 7 << 5);
        k->out[k->out_len++] = (unsigned char)(len - 9);
    }
    k->out[k->out_len++] = (unsigned char)offset;
    k->out_len++;
}

/* Whether three bytes at `at` repeat those at `from`, near enough to say so. */
static bool is_match(const struct packer *k, size_t from, size_t at)
{
    return at - from - 1 < OFFSET_MAX && memcmp(k->in + from, k->in + at, 3) == 0;
}

/* The loop over all but the last two bytes; false when the output is full. */
static bool pack(struct packer *k, size_t *at)
{
    size_t i = 0;
    while (i + 2 < k->len) {
        uint32_t *slot = &k->slots[slot_of(k->in + i)];
        uint32_t found = *slot;
        *slot = k->base + (uint32_t)i;
        size_t from = found - k->base;
        if (found <= k->base || !is_match(k, from, i)) { /* position 0 is never matched */
            if (k->out_len >= k->max) {
                return false;
            }
            put_literal(k, k->in[i++]);
            continue;
        }
        if (k->out_len - (k->literals == 0) + 4 >= k->max) {
            return false;
        }
        size_t len = match_len(k, from, i);
        put_match(k, i - from - 1, len);
        i += len;
        if (i + 2 >= k->len) {
            break;
        }
        /* Of the bytes passed over only the last two positions are remembered. */
        k->slots[slot_of(k->in + i - 2)] = k->base + (uint32_t)(i - 2);
        k->slots[slot_of(k->in + i - 1)] = k->base + (uint32_t)(i - 1);
    }
    *at = i;
    return true;
}

size_t hl_lzf_compress(struct hl_slice in, unsigned char *out, size_t max)
{
    static struct packer packer; /* 256 KiB: too large for the stack; one thread calls us */
    if (in.len == 0 || max == 0 || in.len > UINT32_MAX) {
        return 0;
    }
    packer.in = (const unsigned char *)in.ptr;
    packer.len = in.len;
    packer.out = out;
    packer.out_len = 1;
    packer.max = max;
    packer.literals = 0;
    if (in.len > UINT32_MAX - packer.base) {
        memset(packer.slots, 0, sizeof packer.slots);
        packer.base = 0;
    }
    size_t at = 0;
    bool fits = pack(&packer, &at);
    packer.base += (uint32_t)in.len; /* forgets every position without touching the slots */
    if (!fits || packer.out_len + 3 > max) {
        return 0;
    }
    while (at < in.len) {
        put_literal(&packer, packer.in[at++]);
    }
    end_run(&packer);
    return packer.out_len - 1;
}

bool hl_lzf_expand(struct hl_slice in, unsigned char *out, size_t len)
{
    const unsigned char *p = (const unsigned char *)in.ptr;
    size_t left = in.len;
    size_t made = 0;
    while (left != 0) {
        size_t control = *p++;
        left--;
        if (control < LITERALS_MAX) {
            size_t run = control + 1;
            if (run > left || run > len - made) {
                return false;
            }
            memcpy(out + made, p, run);
            p += run;
            left -= run;
            made += run;
            continue;
        }
        size_t run = control >> 5;
        if (left < 1 + (size_t)(run == 7)) {
            return false;
        }
        if (run == 7) {
            run += *p++;
            left--;
        }
        size_t distance = ((control & 31) << 8 | *p++) + 1;
        left--;
        run += 2;
        if (distance > made || run > len - made) {
            return false;
        }
        for (; run != 0; run--, made++) { /* byte by byte: the copy may overlap itself */
            out[made] = out[made - distance];
        }
    }
    return made == len;
}
