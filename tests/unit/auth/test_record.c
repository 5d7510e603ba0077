/* Goal: records round trip, and no other bytes are taken for one.
 * Method: each kind at its smallest and largest; every truncation, every appended byte, every
 * single flipped bit either refused or decoded to something that encodes to the same bytes. */
#include "auth/record.h"
#include "kit/alloc.h"

#include <criterion/criterion.h>

#define HASH "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

union any {
    struct user_record user;
    struct session_record session;
    struct failure_record failure;
    struct keyring_record ring;
};

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
    }
}

/* Encode a sample record of each kind and size; false after the last. */
static bool sample(int n, struct hl_buf *out)
{
    union any *r = hl_calloc(1, sizeof *r);
    hl_buf_clear(out);
    if (n < 2) {
        fill_user(&r->user, n == 1);
        user_encode(out, &r->user);
    } else if (n < 4) {
        fill_session(&r->session, n == 3);
        session_encode(out, &r->session);
    } else if (n == 4) {
        r->failure = (struct failure_record){.count = 3, .last_ms = 4, .locked_until_ms = 5};
        failure_encode(out, &r->failure);
    } else {
        fill_ring(&r->ring, n == 5 ? 0 : RECORD_KEYS_MAX);
        keyring_encode(out, &r->ring);
    }
    hl_free(r);
    return n < 7;
}

/* What decoding and encoding again makes of `in`; false when it is refused. */
static bool again(struct hl_buf *out, struct hl_slice in)
{
    union any *r = hl_calloc(1, sizeof *r);
    hl_buf_clear(out);
    bool good = true;
    if (user_decode(&r->user, in) == HL_OK) {
        user_encode(out, &r->user);
    } else if (session_decode(&r->session, in) == HL_OK) {
        session_encode(out, &r->session);
    } else if (failure_decode(&r->failure, in) == HL_OK) {
        failure_encode(out, &r->failure);
    } else if (keyring_decode(&r->ring, in) == HL_OK) {
        keyring_encode(out, &r->ring);
    } else {
        good = false;
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
                if (again(&back, hl_buf_view(&bytes))) {
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
    bytes.ptr[1] = RECORD_VERSION + 1;
    cr_assert_eq(user_decode(&user, hl_buf_view(&bytes)), HL_EVERSION);
    cr_assert_eq(record_check(hl_buf_view(&bytes)), HL_EVERSION);
    cr_assert_eq(user.cv, 77, "untouched");
    hl_buf_fini(&bytes);
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
