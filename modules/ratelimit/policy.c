#include "policy.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define FORMAT 1
#define NUMBERS_LEN 25 /* algorithm and three numbers */

void policies_fini(struct policies *policies)
{
    hl_free(policies->items);
    *policies = (struct policies){0};
}

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool policy_name_valid(struct hl_slice name)
{
    static const char *const words[] = {"and", "cost", "now", "token", "gcra", "window"};
    if (name.len < 1 || name.len > POLICY_NAME_MAX || !letter(name.ptr[0])) {
        return false;
    }
    for (size_t i = 1; i < name.len; i++) {
        char c = name.ptr[i];
        bool other = c != '\0' && strchr("0123456789-.:/", c) != NULL;
        if (!letter(c) && !other) {
            return false;
        }
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(words); i++) {
        if (hl_slice_is(name, words[i])) {
            return false;
        }
    }
    return true;
}

/* Where `name` is, or belongs. */
static size_t place_of(const struct policies *policies, struct hl_slice name, bool *found)
{
    size_t low = 0;
    size_t high = policies->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = hl_slice_compare(hl_slice_of(policies->items[middle].name), name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct limit *policies_find(const struct policies *policies, struct hl_slice name)
{
    bool found = false;
    size_t at = place_of(policies, name, &found);
    return found ? &policies->items[at].limit : NULL;
}

hl_err policies_set(struct policies *policies, struct hl_slice name, const struct limit *limit)
{
    bool found = false;
    HL_ASSERT(policy_name_valid(name));
    HL_ASSERT(limit_valid(limit));
    size_t at = place_of(policies, name, &found);
    if (!found) {
        if (policies->count == POLICIES_MAX) {
            return HL_EFULL;
        }
        policies->items =
            hl_realloc(policies->items, (policies->count + 1) * sizeof *policies->items);
        struct policy *place = policies->items + at;
        memmove(place + 1, place, (policies->count - at) * sizeof *place);
        memset(place, 0, sizeof *place);
        memcpy(place->name, name.ptr, name.len);
        policies->count++;
    }
    policies->items[at].limit = *limit;
    return HL_OK;
}

bool policies_delete(struct policies *policies, struct hl_slice name)
{
    bool found = false;
    size_t at = place_of(policies, name, &found);
    if (found) {
        struct policy *place = policies->items + at;
        memmove(place, place + 1, (policies->count - at - 1) * sizeof *place);
        policies->count--;
    }
    return found;
}

void policies_encode(const struct policies *policies, struct hl_buf *out)
{
    hl_buf_append_u8(out, FORMAT);
    for (size_t i = 0; i < policies->count; i++) {
        const struct policy *policy = &policies->items[i];
        size_t len = strlen(policy->name);
        hl_buf_append_u8(out, (uint8_t)len);
        hl_buf_append(out, policy->name, len);
        hl_buf_append_u8(out, (uint8_t)policy->limit.algorithm);
        hl_buf_append_le64(out, (uint64_t)policy->limit.capacity);
        hl_buf_append_le64(out, (uint64_t)policy->limit.num);
        hl_buf_append_le64(out, (uint64_t)policy->limit.den);
    }
}

/* Read one policy at the front of *rest and go past it; false when there is none. */
static bool decode_one(struct policies *policies, struct hl_slice *rest)
{
    size_t len = (unsigned char)rest->ptr[0];
    if (rest->len < 1 + len + NUMBERS_LEN) {
        return false;
    }
    struct hl_slice name = {rest->ptr + 1, len};
    const char *numbers = rest->ptr + 1 + len;
    struct limit limit = {.algorithm = (enum limit_algorithm)(unsigned char)numbers[0],
                          .capacity = (int64_t)hl_get_le64(numbers + 1),
                          .num = (int64_t)hl_get_le64(numbers + 9),
                          .den = (int64_t)hl_get_le64(numbers + 17)};
    if (!policy_name_valid(name) || !limit_valid(&limit)) {
        return false;
    }
    if (policies->count != 0) { /* P1, P2 */
        const char *last = policies->items[policies->count - 1].name;
        if (hl_slice_compare(hl_slice_of(last), name) >= 0) {
            return false;
        }
    }
    rest->ptr += 1 + len + NUMBERS_LEN;
    rest->len -= 1 + len + NUMBERS_LEN;
    return policies_set(policies, name, &limit) == HL_OK;
}

hl_err policies_decode(struct policies *policies, struct hl_slice bytes)
{
    HL_ASSERT(policies->count == 0);
    if (bytes.len < 1 || bytes.ptr[0] == 0) {
        return HL_ECORRUPT;
    }
    if ((unsigned char)bytes.ptr[0] > FORMAT) {
        return HL_EVERSION;
    }
    struct hl_slice rest = {bytes.ptr + 1, bytes.len - 1};
    while (rest.len != 0) {
        if (!decode_one(policies, &rest)) {
            policies_fini(policies);
            return HL_ECORRUPT;
        }
    }
    return HL_OK;
}
