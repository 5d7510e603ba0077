#include "keys.h"

#include "kit/base64.h"

bool gw_kv_name(struct hl_buf *out, struct hl_slice key)
{
    if (key.len == 0 || key.len > GW_KEY_MAX) {
        return false;
    }
    hl_buf_append_text(out, GW_KV_PREFIX);
    hl_buf_append_slice(out, key);
    return true;
}

void gw_kv_pattern(struct hl_buf *out, struct hl_slice prefix)
{
    hl_buf_append_text(out, GW_KV_PREFIX);
    for (size_t i = 0; i < prefix.len; i++) {
        if (strchr("*?[]\\^-", prefix.ptr[i]) != NULL && prefix.ptr[i] != '\0') {
            hl_buf_append_u8(out, '\\');
        }
        hl_buf_append_u8(out, (uint8_t)prefix.ptr[i]);
    }
    hl_buf_append_u8(out, '*');
}

struct hl_slice gw_kv_value(struct gw_form *form, struct hl_buf *decoded, size_t most)
{
    struct hl_slice value = gw_form_text(form, "value", 0, most);
    struct hl_slice encoding = gw_form_text_or(form, "encoding", 0, 16);
    if (encoding.ptr == NULL || hl_slice_equal(encoding, hl_slice_of("text"))) {
        return value;
    }
    if (!hl_slice_equal(encoding, hl_slice_of("base64url"))) {
        gw_form_fault(form, "'encoding' must be text or base64url");
        return value;
    }
    size_t len = 0;
    hl_buf_grow(decoded, HL_BASE64URL_BYTES(value.len));
    if (!hl_base64url_decode(value, (unsigned char *)decoded->ptr, decoded->cap, &len)) {
        gw_form_fault(form, "'value' is not base64url without padding");
        return value;
    }
    decoded->len = len;
    return hl_buf_view(decoded);
}

void gw_kv_put_value(json_t *object, struct hl_slice value)
{
    json_t *text = json_stringn(value.ptr != NULL ? value.ptr : "", value.len);
    if (text != NULL) {
        json_object_set_new(object, "value", text);
        return;
    }
    struct hl_buf encoded = {0}; /* bytes that are no UTF-8 */
    hl_base64url_append(&encoded, value.ptr, value.len);
    json_object_set_new(object, "value", json_stringn(encoded.ptr, encoded.len));
    json_object_set_new(object, "encoding", json_string("base64url"));
    hl_buf_fini(&encoded);
}
