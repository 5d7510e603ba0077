/* Goal: refresh tokens rotate, racers get one successor, copies end the session, forgeries do not.
 * Method: walk the state machine with a clock of our own. */
#include "auth/session.h"
#include "kit/base64.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define NOW INT64_C(1700000000000)
#define TTL INT64_C(604800000)
#define LEEWAY INT64_C(10000)

static const struct user_record user = {.name = "ada", .id = {1, 2, 3}, .cv = 4};
static struct session_record session;
static struct refresh_token first;

static void begin(void)
{
    static const struct session_seed seed = {.sid = "sid", .mac_key = "mac", .secret = "secret 1"};
    session_open(&session, &first, &user, &seed, NOW, TTL);
}

/* Rotate from `token` at `now_ms`, with `n` in the new secret. */
static struct refresh_token rotate(const struct refresh_token *token, int n, int64_t now_ms)
{
    struct refresh_token next;
    unsigned char secret[RECORD_SECRET_LEN] = {(unsigned char)n};
    char access[16];
    cr_assert_eq(session_present(&session, token, now_ms, LEEWAY), SESSION_ROTATE);
    session_next(&session, &next, secret);
    snprintf(access, sizeof access, "access %d", n);
    cr_assert_eq(session_rotate(&session, token, &next, hl_slice_of(access), now_ms, TTL), HL_OK);
    return next;
}

Test(session, a_refresh_token_has_one_text, .init = begin)
{
    struct hl_buf text = {0};
    struct refresh_token back;
    refresh_format(&text, &first);
    cr_assert_eq(text.len, REFRESH_TEXT_LEN);
    cr_assert(refresh_parse(&back, hl_buf_view(&text)));
    cr_assert_eq(memcmp(&back, &first, sizeof back), 0);
    cr_assert_not(refresh_parse(&back, (struct hl_slice){text.ptr, text.len - 1}));
    hl_buf_append_text(&text, "A");
    cr_assert_not(refresh_parse(&back, hl_buf_view(&text)));
    cr_assert_not(refresh_parse(&back, hl_slice_of("")));
    cr_assert_not(refresh_parse(&back, hl_slice_of("a.b.c")));
    hl_buf_fini(&text);
}

Test(session, the_secret_is_not_in_the_record, .init = begin)
{
    struct hl_buf bytes = {0};
    struct refresh_token second = rotate(&first, 2, NOW + 1);
    session_encode(&bytes, &session);
    cr_assert_null(memmem(bytes.ptr, bytes.len, first.secret, 8));
    cr_assert_null(memmem(bytes.ptr, bytes.len, second.secret, RECORD_SECRET_LEN));
    cr_assert_null(memmem(bytes.ptr, bytes.len, "access", 6));
    hl_buf_fini(&bytes);
}

Test(session, each_use_rotates_and_extends, .init = begin)
{
    struct refresh_token token = first;
    for (int i = 1; i < 50; i++) {
        token = rotate(&token, i, NOW + i * TTL / 2);
        cr_assert_eq(session.expires_ms, NOW + i * TTL / 2 + TTL);
    }
}

Test(session, racers_within_the_leeway_get_the_same_successor, .init = begin)
{
    struct refresh_token next = rotate(&first, 2, NOW + 100);
    static const int64_t moments[] = {NOW + 100, NOW + 101, NOW + 100 + LEEWAY, NOW - 5000};
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        struct refresh_token again;
        struct hl_buf access = {0};
        cr_assert_eq(session_present(&session, &first, moments[i], LEEWAY), SESSION_REPLAY);
        cr_assert_eq(session_replay(&session, &first, &again, &access), HL_OK);
        cr_assert_eq(memcmp(&again, &next, sizeof next), 0);
        cr_assert(hl_slice_equal(hl_buf_view(&access), hl_slice_of("access 2")));
        hl_buf_fini(&access);
    }
    cr_assert_eq(session_present(&session, &next, NOW + 200, LEEWAY), SESSION_ROTATE);
}

Test(session, the_previous_token_after_the_leeway_is_a_copy, .init = begin)
{
    rotate(&first, 2, NOW + 100);
    cr_assert_eq(session_present(&session, &first, NOW + 101 + LEEWAY, LEEWAY), SESSION_REUSED);
    cr_assert_eq(session_present(&session, &first, NOW + 101, 0), SESSION_REUSED);
}

Test(session, an_older_token_is_a_copy_even_within_the_leeway, .init = begin)
{
    struct refresh_token second = rotate(&first, 2, NOW + 1);
    struct refresh_token third = rotate(&second, 3, NOW + 2);
    cr_assert_eq(session_present(&session, &first, NOW + 3, LEEWAY), SESSION_REUSED);
    cr_assert_eq(session_present(&session, &second, NOW + 3, LEEWAY), SESSION_REPLAY);
    cr_assert_eq(session_present(&session, &third, NOW + 3, LEEWAY), SESSION_ROTATE);
}

Test(session, a_forged_token_changes_nothing, .init = begin)
{
    for (size_t at = TOKEN_ID_LEN; at < sizeof first; at++) {
        struct refresh_token forged = first;
        ((unsigned char *)&forged)[at] ^= 1;
        cr_assert_eq(session_present(&session, &forged, NOW, LEEWAY), SESSION_FORGED, "%zu", at);
    }
}

Test(session, a_revoked_session_stays_revoked_and_hands_nothing_out, .init = begin)
{
    struct refresh_token next = rotate(&first, 2, NOW + 1);
    struct refresh_token out;
    struct hl_buf access = {0};
    cr_assert(session_alive(&session, &user, NOW + 2));
    session_revoke(&session);
    cr_assert_eq(session_present(&session, &next, NOW + 2, LEEWAY), SESSION_REVOKED);
    cr_assert_eq(session_present(&session, &first, NOW + 2, LEEWAY), SESSION_REVOKED);
    cr_assert_eq(session_replay(&session, &first, &out, &access), HL_ECORRUPT);
    cr_assert_not(session_alive(&session, &user, NOW + 2));
}

Test(session, it_ends_in_time, .init = begin)
{
    cr_assert_eq(session_present(&session, &first, NOW + TTL - 1, LEEWAY), SESSION_ROTATE);
    cr_assert_eq(session_present(&session, &first, NOW + TTL, LEEWAY), SESSION_EXPIRED);
    cr_assert_not(session_alive(&session, &user, NOW + TTL));
}

Test(session, it_dies_with_the_credential_version_the_user_or_its_disabling, .init = begin)
{
    struct user_record other = user;
    cr_assert(session_alive(&session, &other, NOW));
    other.cv++;
    cr_assert_not(session_alive(&session, &other, NOW));
    other = user;
    other.disabled = true;
    cr_assert_not(session_alive(&session, &other, NOW));
    other = user;
    other.id[0]++; /* deleted and registered again under the same name */
    cr_assert_not(session_alive(&session, &other, NOW));
    other = user;
    other.name[0] = 'b';
    cr_assert_not(session_alive(&session, &other, NOW));
}

Test(session, a_tampered_answer_is_not_given_out, .init = begin)
{
    struct refresh_token out;
    struct hl_buf access = {0};
    rotate(&first, 2, NOW + 1);
    for (size_t at = 0; at < session.successor_len; at++) {
        session.successor[at] ^= 1;
        cr_assert_eq(session_replay(&session, &first, &out, &access), HL_ECORRUPT);
        session.successor[at] ^= 1;
    }
    cr_assert_eq(access.len, 0);
}
