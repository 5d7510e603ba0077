/* Goal: a key's text reads back as the key and nothing else does; scopes narrow and never widen. */
#include "auth/apikey.h"
#include "kit/assert.h"

#include <criterion/criterion.h>

static const struct apikey_text sample = {{1, 2, 3}, {9, 8, 7}};
static const struct user_record ada = {.name = "ada", .id = {5}};

Test(apikey, the_text_reads_back_and_no_mistyped_one_does)
{
    struct hl_buf text = {0};
    struct apikey_text read = {0};
    apikey_format(&text, &sample);
    cr_assert_eq(text.len, APIKEY_TEXT_LEN);
    cr_assert(apikey_parse(&read, hl_buf_view(&text)));
    cr_assert_eq(memcmp(&read, &sample, sizeof read), 0);
    for (size_t at = 0; at < text.len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            char before = text.ptr[at];
            text.ptr[at] ^= (char)(1 << bit);
            bool same_hex = at >= 4 && at < 20 && (before | 0x20) == (text.ptr[at] | 0x20);
            cr_assert(same_hex || !apikey_parse(&read, hl_buf_view(&text)), "%zu, %d", at, bit);
            text.ptr[at] = before;
        }
    }
    for (size_t len = 0; len < text.len; len++) {
        cr_assert_not(apikey_parse(&read, (struct hl_slice){text.ptr, len}));
    }
    hl_buf_append_u8(&text, 'A');
    cr_assert_not(apikey_parse(&read, hl_buf_view(&text)));
    hl_buf_fini(&text);
}

Test(apikey, the_record_knows_the_key_and_not_its_secret)
{
    struct apikey_record record;
    struct hl_buf bytes = {0};
    struct apikey_text other = sample;
    apikey_open(&record, &sample, &ada, 1000);
    cr_assert(apikey_matches(&record, &sample));
    other.secret[31] ^= 1;
    cr_assert_not(apikey_matches(&record, &other));
    apikey_encode(&bytes, &record);
    cr_assert_null(memmem(bytes.ptr, bytes.len, sample.secret, sizeof sample.secret));
    hl_buf_fini(&bytes);
}

Test(apikey, a_key_ends_with_its_time_and_with_its_user)
{
    struct apikey_record record;
    struct user_record user = ada;
    apikey_open(&record, &sample, &ada, 1000);
    cr_assert_null(apikey_objection(&record, &user, INT64_MAX), "no end unless one was set");
    record.expires_ms = 2000;
    cr_assert_null(apikey_objection(&record, &user, 1999));
    cr_assert_not_null(apikey_objection(&record, &user, 2000));
    user.disabled = true;
    cr_assert_not_null(apikey_objection(&record, &user, 1500));
    user.disabled = false;
    user.id[0]++; /* somebody else who took the name later */
    cr_assert_not_null(apikey_objection(&record, &user, 1500));
}

Test(apikey, scopes_cover_what_they_say)
{
    static const struct {
        const char *scope, *permission, *key;
        bool covers;
    } rows[] = {
        {"kv:get", "kv:get", NULL, true},     {"kv:get", "kv:get", "k", true},
        {"kv:get", "kv:set", "k", false},     {"kv:get", "kv:gets", NULL, false},
        {"kv:*", "kv:set", "k", true},        {"kv:*", "kvx:set", "k", false},
        {"kv:*", "kv:", NULL, false},         {"admin:*", "kv:set", "k", true},
        {"kv:get@a*", "kv:get", "ab", true},  {"kv:get@a*", "kv:get", "b", false},
        {"kv:get@a*", "kv:get", NULL, false}, {"kv:*@a*", "kv:set", "a", true},
        {"admin:*@a*", "kv:get", "b", false}, {"admin:*@a*", "job:view", "a", true},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        struct hl_slice key = {0};
        if (rows[i].key != NULL) {
            key = hl_slice_of(rows[i].key);
        }
        cr_assert_eq(apikey_scope_covers(hl_slice_of(rows[i].scope),
                                         hl_slice_of(rows[i].permission),
                                         rows[i].key != NULL ? &key : NULL),
                     rows[i].covers, "row %zu", i);
    }
}
