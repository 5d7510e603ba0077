/* Names that follow a request. */
#include "net/trace.h"

#include "kit/base64.h"

#define SPAN_AT 36 /* where the span begins in a traceparent */

static bool id_is_sane(struct hl_slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '.' || c == '_';
        if (!good) {
            return false;
        }
    }
    return id.len >= 1 && id.len <= NET_TRACE_ID_MAX;
}

static bool all_zero(const unsigned char *bytes, size_t len)
{
    unsigned char any = 0;
    for (size_t i = 0; i < len; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

/* "vv-" 32 digits "-" 16 digits "-" 2 digits, all hexadecimal in lower case (W3C Trace Context). */
static bool parent_is_sane(struct hl_slice text)
{
    unsigned char bytes[16];
    if (text.len < NET_TRACE_PARENT_LEN || text.ptr[2] != '-' || text.ptr[SPAN_AT - 1] != '-' ||
        text.ptr[52] != '-') {
        return false;
    }
    if (!hl_hex_parse((struct hl_slice){text.ptr, 2}, bytes, 1) || bytes[0] == 0xff ||
        (bytes[0] == 0 && text.len != NET_TRACE_PARENT_LEN) ||
        (text.len > NET_TRACE_PARENT_LEN && text.ptr[NET_TRACE_PARENT_LEN] != '-')) {
        return false;
    }
    return hl_hex_parse((struct hl_slice){text.ptr + 3, 32}, bytes, 16) && !all_zero(bytes, 16) &&
           hl_hex_parse((struct hl_slice){text.ptr + SPAN_AT, 16}, bytes, 8) &&
           !all_zero(bytes, 8) && hl_hex_parse((struct hl_slice){text.ptr + 53, 2}, bytes, 1);
}

void net_trace_init(struct net_trace *trace, struct hl_slice request_id,
                    struct hl_slice traceparent, const unsigned char chance[NET_TRACE_CHANCE])
{
    bool theirs = parent_is_sane(traceparent);
    if (id_is_sane(request_id)) {
        memcpy(trace->request_id, request_id.ptr, request_id.len);
        trace->request_id[request_id.len] = '\0';
    } else {
        hl_hex_format(trace->request_id, chance, 16);
    }
    memcpy(trace->parent, "00-", 3);
    if (theirs) {
        memcpy(trace->parent + 3, traceparent.ptr + 3, 32);
    } else {
        hl_hex_format(trace->parent + 3, chance, 16);
    }
    trace->parent[SPAN_AT - 1] = '-';
    hl_hex_format(trace->parent + SPAN_AT, chance + 16, 8);
    trace->parent[52] = '-';
    memcpy(trace->parent + 53, theirs ? traceparent.ptr + 53 : "00", 2);
    trace->parent[NET_TRACE_PARENT_LEN] = '\0';
}
