#include "once.h"

#include "kit/assert.h"

#define VERSION 1
#define HEAD_LEN (1 + 8 + HL_SHA256_BYTES)

bool gw_once_key_valid(struct hl_slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] < ' ' || key.ptr[i] > '~') {
            return false;
        }
    }
    return key.len >= 1 && key.len <= GW_ONCE_KEY_MAX;
}

/* A part with its length in front, so that no two lists of parts are alike. */
static void put_part(struct hl_buf *out, struct hl_slice part)
{
    hl_buf_append_le64(out, part.len);
    hl_buf_append_slice(out, part);
}

void gw_once_digest(struct hl_slice method, struct hl_slice path, struct hl_slice query,
                    struct hl_slice body, unsigned char out[HL_SHA256_BYTES])
{
    struct hl_buf all = {0};
    put_part(&all, method);
    put_part(&all, path);
    put_part(&all, query);
    put_part(&all, body);
    hl_sha256(hl_buf_view(&all), out);
    hl_buf_fini(&all);
}

void gw_once_encode(struct hl_buf *out, const struct gw_once_record *record)
{
    hl_buf_append_u8(out, VERSION);
    hl_buf_append_le64(out, (uint64_t)record->until_ms);
    hl_buf_append(out, record->digest, sizeof record->digest);
    hl_buf_append_slice(out, record->reply);
}

/* Take one item and all that it holds. */
static bool skip_item(struct hl_slice *items)
{
    size_t open = 1; /* items still to come */
    size_t seen = 0;
    while (open > 0) {
        struct gw_once_item item;
        if (++seen > GW_ONCE_ITEMS_MAX || !gw_once_take(items, &item)) {
            return false;
        }
        open--;
        if (item.kind == '*' || item.kind == '%') {
            open += (size_t)item.number * (item.kind == '%' ? 2 : 1);
        }
    }
    return true;
}

bool gw_once_decode(struct hl_slice bytes, struct gw_once_record *record)
{
    if (bytes.len <= HEAD_LEN || bytes.len > HEAD_LEN + GW_ONCE_REPLY_MAX ||
        bytes.ptr[0] != VERSION) {
        return false;
    }
    struct gw_once_record found = {
        .until_ms = (int64_t)hl_get_le64(bytes.ptr + 1),
        .reply = {.ptr = bytes.ptr + HEAD_LEN, .len = bytes.len - HEAD_LEN},
    };
    memcpy(found.digest, bytes.ptr + 9, sizeof found.digest);
    struct hl_slice rest = found.reply;
    if (!skip_item(&rest) || rest.len != 0) {
        return false;
    }
    *record = found;
    return true;
}

void gw_once_put(struct hl_buf *out, const struct gw_once_item *item)
{
    hl_buf_append_u8(out, (uint8_t)item->kind);
    if (item->kind == '+' || item->kind == '$') {
        HL_ASSERT(item->text.len <= UINT32_MAX);
        hl_buf_append_le32(out, (uint32_t)item->text.len);
        hl_buf_append_slice(out, item->text);
    } else if (item->kind == ':') {
        hl_buf_append_le64(out, (uint64_t)item->number);
    } else if (item->kind != '_') {
        HL_ASSERT(item->number >= 0);
        hl_buf_append_le32(out, (uint32_t)item->number);
    }
}

/* Take `len` bytes; NULL when there are fewer. */
static const char *take(struct hl_slice *items, size_t len)
{
    const char *at = items->ptr;
    if (items->len < len) {
        return NULL;
    }
    items->ptr += len;
    items->len -= len;
    return at;
}

bool gw_once_take(struct hl_slice *items, struct gw_once_item *item)
{
    const char *kind = take(items, 1);
    const char *at = NULL;
    if (kind == NULL) {
        return false;
    }
    *item = (struct gw_once_item){.kind = *kind};
    switch (*kind) {
    case '_':
        return true;
    case ':':
        at = take(items, 8);
        item->number = at == NULL ? 0 : (int64_t)hl_get_le64(at);
        return at != NULL;
    case '+':
    case '$':
        at = take(items, 4);
        item->text.len = at == NULL ? 0 : hl_get_le32(at);
        item->text.ptr = at == NULL ? NULL : take(items, item->text.len);
        return item->text.ptr != NULL;
    case '*':
    case '%':
        at = take(items, 4);
        item->number = at == NULL ? 0 : (int64_t)hl_get_le32(at);
        return at != NULL && item->number <= GW_ONCE_ITEMS_MAX;
    default:
        return false;
    }
}
