/* Goal: records round trip, and no other bytes are taken for one.
 * Method: each kind at its smallest and largest; every truncation, every appended byte, every
 * single flipped bit either refused or decoded to something that encodes to the same bytes. */
#include "auth/record.h"
#include "kit/alloc.h"
#include "kit/assert.h"

#include <criterion/criterion.h>

#define HASH "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

static void fill_user(struct user_record *user, bool large)
{
    *user = (struct user_record){.name = "ada", .hash = HASH, .cv = 3, .created_ms = 1700000000000};
    if (large) {
        memset(user->name, 'n', USER_NAME_MAX);
        user->cv = INT64_MAX;
        user->disabled = true;
        user->role_count = TOKEN_ROLES_MAX;
        for (size_t i = 0; i < TOKEN_ROLES_MAX; i++) {
            memset(user->roles[i], 'r', TOKEN_ROLE_MAX);
        }
        user->session_count = RECORD_SESSIONS_MAX;
        memset(user->sessions, 0xab, sizeof user->sessions);
        user->password_ms = INT64_MAX;
        user->history_count = RECORD_HISTORY_MAX;
        for (size_t i = 0; i < RECORD_HISTORY_MAX; i++) {
            memcpy(user->history[i], HASH, sizeof HASH);
        }
    }
}

static void fill_session(struct session_record *session, bool large)
{
    *session = (struct session_record){
        .name = "ada", .cv = 1, .created_ms = 5, .expires_ms = 6, .current = {1, 2, 3}};
    if (large) {
        session->rotated_ms = INT64_MAX;
        session->revoked = true;
        session->successor_len = RECORD_SUCCESSOR_MAX;
        memset(session->successor, 7, RECORD_SUCCESSOR_MAX);
        memset(session->device, 'd', RECORD_TEXT_MAX);
        memset(session->address, '1', RECORD_ADDRESS_MAX);
    }
}

static void fill_ring(struct keyring_record *ring, size_t count)
{
    *ring = (struct keyring_record){.kek_id = {9}, .count = count};
    for (size_t i = 0; i < count; i++) {
        struct keyring_entry *key = &ring->keys[i];
        key->alg = i % 3 == 0 ? JWS_ES256 : i % 3 == 1 ? JWS_EDDSA : JWS_HS256;
        key->public_len = i % 3 == 0 ? 65 : i % 3 == 1 ? 32 : 0;
        memcpy(key->kid, "0123456789abcdef", sizeof key->kid);
        key->created_ms = (int64_t)i;
        key->state = i + 2 < count ? KEY_RETIRED : i + 1 < count ? KEY_ACTIVE : KEY_NEXT;
        key->retired_ms = key->state == KEY_RETIRED ? 7 : 0;
    }
}

static void fill_apikey(struct apikey_record *key, bool large)
{
    *key = (struct apikey_record){.id = {1}, .name = "ada", .digest = {2}, .created_ms = 3};
    if (large) {
        memset(key->label, 'l', RECORD_TEXT_MAX);
        key->scope_count = RECORD_SCOPES_MAX;
        for (size_t i = 0; i < RECORD_SCOPES_MAX; i++) {
            memset(key->scopes[i], 's', RECORD_SCOPE_MAX);
            key->scopes[i][2] = ':';
            key->scopes[i][9] = '@';
        }
    }
}

static void fill_audit(struct audit_record *audit, bool large)
{
    *audit = (struct audit_record){.index = 1, .at_ms = 2, .action = "login", .result = "ok"};
    if (large) {
        audit->index = INT64_MAX;
        audit->omitted = UINT32_MAX;
        memset(audit->actor, 'a', RECORD_TEXT_MAX);
        memset(audit->action, 'a', RECORD_WORD_MAX);
        memset(audit->target, 't', RECORD_TEXT_MAX);
        memset(audit->result, 'r', RECORD_WORD_MAX);
        memset(audit->address, '1', RECORD_ADDRESS_MAX);
    }
}

/* Encode a sample record of each kind and size; false after the last. */
static bool sample(int n, struct hl_buf *out)
{
    static const enum record_kind kinds[] = {RECORD_USER,    RECORD_SESSION, RECORD_FAILURE,
                                             RECORD_KEYRING, RECORD_APIKEY,  RECORD_CLOSED,
                                             RECORD_AUDIT,   RECORD_TRAIL};
    bool large = n % 2 != 0;
    hl_buf_clear(out);
    if ((size_t)n >= 2 * HL_ARRAY_LEN(kinds)) {
        return false;
    }
    union record *r = hl_calloc(1, sizeof *r);
    switch (kinds[n / 2]) {
    case RECORD_USER:
        fill_user(&r->user, large);
        break;
    case RECORD_SESSION:
        fill_session(&r->session, large);
        break;
    case RECORD_FAILURE:
        r->failure = (struct failure_record){.count = 3, .last_ms = 4, .locked_until_ms = 5};
        break;
    case RECORD_KEYRING:
        fill_ring(&r->ring, large ? RECORD_KEYS_MAX : 0);
        break;
    case RECORD_APIKEY:
        fill_apikey(&r->apikey, large);
        break;
    case RECORD_CLOSED:
        r->closed = (struct closed_record){.at_ms = 1, .name = "ada"};
        break;
    case RECORD_AUDIT:
        fill_audit(&r->audit, large);
        break;
    case RECORD_TRAIL:
        r->trail = (struct trail_record){.next = large ? INT64_MAX : 0};
        break;
    }
    record_encode(out, kinds[n / 2], r);
    hl_free(r);
    return true;
}

/* What decoding and encoding again makes of `in`; false when it is refused. */
static bool again(struct hl_buf *out, struct hl_slice in)
{
    union record *r = hl_calloc(1, sizeof *r);
    enum record_kind kind = RECORD_USER;
    hl_buf_clear(out);
    bool good = record_decode(&kind, r, in) == HL_OK;
    if (good) {
        record_encode(out, kind, r);
    }
    hl_free(r);
    cr_assert_eq(good, record_check(in) == HL_OK);
    return good;
}

Test(record, each_kind_round_trips_at_its_smallest_and_largest)
{
    struct hl_buf bytes = {0};
    struct hl_buf back = {0};
    for (int n = 0; sample(n, &bytes); n++) {
        cr_assert_leq(bytes.len, RECORD_BYTES_MAX);
        cr_assert(again(&back, hl_buf_view(&bytes)), "sample %d", n);
        cr_assert(hl_slice_equal(hl_buf_view(&bytes), hl_buf_view(&back)), "sample %d", n);
    }
    hl_buf_fini(&bytes);
    hl_buf_fini(&back);
}

Test(record, no_truncation_and_no_extra_byte_is_taken)
{
    struct hl_buf bytes = {0};
    struct hl_buf back = {0};
    for (int n = 0; sample(n, &bytes); n++) {
        for (size_t len = 0; len < bytes.len; len++) {
            char *exact = hl_malloc(len + 1); /* so that a read past the end is seen */
            memcpy(exact + 1, bytes.ptr, len);
            cr_assert_not(again(&back, (struct hl_slice){exact + 1, len}), "%d, %zu", n, len);
            hl_free(exact);
        }
        hl_buf_append_u8(&bytes, 0);
        cr_assert_not(again(&back, hl_buf_view(&bytes)), "sample %d and a byte", n);
    }
    hl_buf_fini(&bytes);
    hl_buf_fini(&back);
}

Test(record, a_flipped_bit_is_refused_or_means_what_it_says)
{
    struct hl_buf bytes = {0};
    struct hl_buf back = {0};
    for (int n = 0; sample(n, &bytes); n++) {
        for (size_t at = 0; at < bytes.len && at < 600; at++) {
            for (int bit = 0; bit < 8; bit++) {
                bytes.ptr[at] ^= (char)(1 << bit);
                if (at != 1 && again(&back, hl_buf_view(&bytes))) {
                    cr_assert(hl_slice_equal(hl_buf_view(&bytes), hl_buf_view(&back)));
                }
                bytes.ptr[at] ^= (char)(1 << bit);
            }
        }
    }
    hl_buf_fini(&bytes);
    hl_buf_fini(&back);
}

Test(record, a_later_format_says_so)
{
    struct hl_buf bytes = {0};
    struct user_record user = {.cv = 77};
    sample(0, &bytes);
    bytes.ptr[1]++;
    cr_assert_eq(user_decode(&user, hl_buf_view(&bytes)), HL_EVERSION);
    cr_assert_eq(record_check(hl_buf_view(&bytes)), HL_EVERSION);
    cr_assert_eq(user.cv, 77, "untouched");
    bytes.ptr[1] = 0;
    cr_assert_eq(record_check(hl_buf_view(&bytes)), HL_EVERSION);
    hl_buf_fini(&bytes);
}

/* Cut what version 2 added, `added` bytes at the end, and call it version 1. */
static void make_old(struct hl_buf *bytes, size_t added)
{
    bytes->ptr[1] = 1;
    bytes->len -= added;
}

Test(record, records_of_the_first_version_are_read_as_they_were_meant)
{
    struct hl_buf bytes = {0};
    union record r;
    struct keyring_record ring;
    fill_user(&r.user, false);
    user_encode(&bytes, &r.user);
    make_old(&bytes, 8 + 1);
    cr_assert_eq(user_decode(&r.user, hl_buf_view(&bytes)), HL_OK);
    cr_assert_eq(r.user.password_ms, r.user.created_ms);
    cr_assert_eq(r.user.history_count, 0);

    fill_session(&r.session, false);
    hl_buf_clear(&bytes);
    session_encode(&bytes, &r.session);
    make_old(&bytes, 1 + 1);
    cr_assert_eq(session_decode(&r.session, hl_buf_view(&bytes)), HL_OK);
    cr_assert_str_empty(r.session.device);

    for (int retired = 0; retired < 2; retired++) {
        fill_ring(&ring, 1);
        ring.keys[0].state = retired ? KEY_RETIRED : KEY_ACTIVE;
        ring.keys[0].retired_ms = retired;
        ring.keys[0].active_ms = 99;
        hl_buf_clear(&bytes);
        keyring_encode(&bytes, &ring);
        make_old(&bytes, 1 + 8);
        cr_assert_eq(keyring_decode(&ring, hl_buf_view(&bytes)), HL_OK);
        cr_assert_eq(ring.keys[0].state, retired ? KEY_RETIRED : KEY_ACTIVE);
        cr_assert_eq(ring.keys[0].active_ms, ring.keys[0].created_ms);
    }
    hl_buf_fini(&bytes);
}

Test(record, scopes_are_permissions_or_are_refused)
{
    static const char *const good[] = {"kv:get", "job:*", "admin:*", "kv:get@team/*", "a:b@@"};
    static const char *const bad[] = {"",         "kv",      "kv:",     ":get",    "kv:get@",
                                      "KV:get",   "kv:g*",   "kv:@x",   "kv get",  "*:get",
                                      "kv:get\n", "@kv:get", "-kv:get", "kv:-get", "kv:get:x"};
    for (size_t i = 0; i < HL_ARRAY_LEN(good); i++) {
        cr_assert(record_scope_ok(hl_slice_of(good[i])), "%s", good[i]);
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
        cr_assert_not(record_scope_ok(hl_slice_of(bad[i])), "%s", bad[i]);
    }
    char longest[RECORD_SCOPE_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[1] = ':';
    cr_assert(record_scope_ok((struct hl_slice){longest, RECORD_SCOPE_MAX}));
    cr_assert_not(record_scope_ok((struct hl_slice){longest, RECORD_SCOPE_MAX + 1}));
}

Test(record, values_out_of_range_are_refused)
{
    struct hl_buf bytes = {0};
    sample(0, &bytes);
    size_t cv_at = 2 + 1 + 3 + TOKEN_ID_LEN + 1 + PASSWORD_HASH_LEN;
    hl_put_le64(bytes.ptr + cv_at, 0);
    cr_assert_eq(record_check(hl_buf_view(&bytes)), HL_ECORRUPT, "version 0");
    hl_put_le64(bytes.ptr + cv_at, UINT64_MAX);
    cr_assert_eq(record_check(hl_buf_view(&bytes)), HL_ECORRUPT, "version beyond i64");
    hl_put_le64(bytes.ptr + cv_at, 1);
    cr_assert_eq(record_check(hl_buf_view(&bytes)), HL_OK);
    bytes.ptr[3] = ':';
    cr_assert_eq(record_check(hl_buf_view(&bytes)), HL_ECORRUPT, "a name with a colon");
    hl_buf_fini(&bytes);
}
