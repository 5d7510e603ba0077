#include "id.h"

#include "index.h"
#include "kit/num.h"

#define EPOCH_DIGITS 8

static const char hex[] = "0123456789abcdef";

void jobs_id_format(struct hl_buf *out, struct jobs_id id)
{
    char number[HL_I64_TEXT_MAX];
    int len = hl_format_i64(number, (int64_t)id.seq);
    hl_buf_append_slice(out, id.queue);
    hl_buf_append(out, ":", 1);
    hl_buf_append(out, number, (size_t)len);
    hl_buf_append(out, "-", 1);
    for (int shift = 4 * (EPOCH_DIGITS - 1); shift >= 0; shift -= 4) {
        hl_buf_append(out, &hex[id.epoch >> shift & 15], 1);
    }
}

/* The value of a lower-case digit, -1 for anything else. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool jobs_id_parse(struct hl_slice text, struct jobs_id *id)
{
    if (text.len < EPOCH_DIGITS + 3 || text.len > JOBS_ID_MAX) {
        return false;
    }
    size_t dash = text.len - EPOCH_DIGITS - 1;
    uint32_t epoch = 0;
    for (size_t i = dash + 1; i < text.len; i++) {
        int value = hex_value(text.ptr[i]);
        if (value < 0) {
            return false;
        }
        epoch = epoch << 4 | (uint32_t)value;
    }
    size_t colon = dash;
    while (colon > 0 && text.ptr[colon - 1] != ':') {
        colon--;
    }
    uint64_t seq = 0;
    struct hl_slice number = {.ptr = text.ptr + colon, .len = dash - colon};
    if (text.ptr[dash] != '-' || colon < 2 || !hl_parse_u64(number, &seq) || seq == 0 ||
        seq > JOBS_SEQ_MAX) {
        return false;
    }
    id->queue = (struct hl_slice){.ptr = text.ptr, .len = colon - 1};
    id->seq = seq;
    id->epoch = epoch;
    return true;
}

void jobs_token_format(char *out, const unsigned char *token)
{
    for (size_t i = 0; i < JOBS_TOKEN_LEN; i++) {
        out[2 * i] = hex[token[i] >> 4];
        out[2 * i + 1] = hex[token[i] & 15];
    }
}

bool jobs_token_parse(struct hl_slice text, unsigned char *token)
{
    if (text.len != JOBS_TOKEN_TEXT_LEN) {
        return false;
    }
    for (size_t i = 0; i < JOBS_TOKEN_LEN; i++) {
        int high = hex_value(text.ptr[2 * i]);
        int low = hex_value(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        token[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}
