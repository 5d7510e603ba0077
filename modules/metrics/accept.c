#include "accept.h"

#include "kit/http1_text.h"

/* Take what is before the next ';' off *rest, trimmed; false at the end. */
static bool next_part(struct hl_slice *rest, struct hl_slice *part)
{
    if (rest->ptr == NULL) {
        return false;
    }
    const char *end = rest->len == 0 ? NULL : memchr(rest->ptr, ';', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->ptr);
    *part = hl_http1_trim((struct hl_slice){.ptr = rest->ptr, .len = len});
    *rest = end == NULL ? (struct hl_slice){0}
                        : (struct hl_slice){.ptr = end + 1, .len = rest->len - len - 1};
    return true;
}

/* A weight in thousandths: "1", "0.75"; -1 for anything else. */
static int weight_of(struct hl_slice text)
{
    if (text.len == 0 || text.len > 5 || text.ptr[0] < '0' || text.ptr[0] > '1' ||
        (text.len > 1 && text.ptr[1] != '.')) {
        return -1;
    }
    int weight = (text.ptr[0] - '0') * 1000;
    int unit = 100;
    for (size_t i = 2; i < text.len; i++, unit /= 10) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return -1;
        }
        weight += (text.ptr[i] - '0') * unit;
    }
    return weight <= 1000 ? weight : -1;
}

struct range {
    struct hl_slice type;
    int weight;   /* -1: it cannot be read */
    bool current; /* no version, or 1.0.0 */
};

static struct range range_of(struct hl_slice item)
{
    struct range range = {.weight = 1000, .current = true};
    struct hl_slice part;
    (void)next_part(&item, &range.type);
    while (next_part(&item, &part)) {
        const char *equals = part.len == 0 ? NULL : memchr(part.ptr, '=', part.len);
        if (equals == NULL) {
            continue;
        }
        struct hl_slice name = {.ptr = part.ptr, .len = (size_t)(equals - part.ptr)};
        struct hl_slice value = {.ptr = equals + 1, .len = part.len - name.len - 1};
        if (hl_slice_is(name, "q")) {
            range.weight = weight_of(value);
        } else if (hl_slice_is(name, "version")) {
            range.current = hl_slice_is(value, "1.0.0");
        }
    }
    return range;
}

enum render_form accept_form(struct hl_slice accept)
{
    struct hl_slice item;
    int open = 0;
    int text = 0;
    while (hl_http1_list_next(&accept, &item)) {
        struct range range = range_of(item);
        if (hl_slice_is(range.type, "application/openmetrics-text") && range.current) {
            open = range.weight > open ? range.weight : open;
        } else if (hl_slice_is(range.type, "text/plain")) {
            text = range.weight > text ? range.weight : text;
        }
    }
    return open > 0 && open >= text ? RENDER_OPENMETRICS : RENDER_TEXT;
}
