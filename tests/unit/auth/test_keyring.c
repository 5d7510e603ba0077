/* Goal: rotation keeps old tokens verifying for as long as promised, and a lost or wrong
 * key-encryption key is an error and never a second set of keys. */
#include "auth/keyring.h"

#include <criterion/criterion.h>

#define NOW INT64_C(1700000000000)
#define VERIFY INT64_C(960000)

static const unsigned char kek[SEAL_KEY_LEN] = "the key-encryption key, 32 bytes";
static const unsigned char other[SEAL_KEY_LEN] = "another key-encryption key, same";

static hl_err add(struct keyring_record *ring, enum jws_alg alg, int64_t now_ms, int64_t verify_ms)
{
    struct jws_material material;
    cr_assert_eq(jws_generate(&material, alg), HL_OK);
    return keyring_add(ring, &material, kek, now_ms, verify_ms);
}

Test(keyring, a_retired_key_verifies_until_its_tokens_have_expired)
{
    struct keyring_record ring = {0};
    struct keyset set = {0};
    struct jws_key *view[RECORD_KEYS_MAX];
    cr_assert_eq(add(&ring, JWS_ES256, NOW, VERIFY), HL_OK);
    cr_assert_eq(keyset_load(&set, &ring, kek), HL_OK);
    struct hl_buf token = {0};
    struct hl_buf payload = {0};
    cr_assert_eq(jws_sign(&token, set.active, hl_slice_of("{}")), HL_OK);

    cr_assert_eq(add(&ring, JWS_EDDSA, NOW + 5, VERIFY), HL_OK);
    cr_assert_eq(ring.count, 2);
    cr_assert_eq(keyset_load(&set, &ring, kek), HL_OK);
    cr_assert_str_eq(jws_key_kid(set.active), ring.keys[1].kid);
    size_t count = keyset_view(&set, NOW + 4 + VERIFY, view);
    cr_assert_eq(jws_verify(&payload, hl_buf_view(&token), view, count), JWS_GOOD);
    count = keyset_view(&set, NOW + 5 + VERIFY, view);
    cr_assert_eq(jws_verify(&payload, hl_buf_view(&token), view, count), JWS_UNKNOWN_KEY);

    cr_assert_eq(add(&ring, JWS_HS256, NOW + 6 + VERIFY, VERIFY), HL_OK);
    cr_assert_eq(ring.count, 2, "what no longer verifies is dropped");
    hl_buf_fini(&token);
    hl_buf_fini(&payload);
    keyset_fini(&set);
}

Test(keyring, rotating_at_once_ends_every_older_key)
{
    struct keyring_record ring = {0};
    cr_assert_eq(add(&ring, JWS_ES256, NOW, VERIFY), HL_OK);
    cr_assert_eq(add(&ring, JWS_ES256, NOW + 1, VERIFY), HL_OK);
    cr_assert_eq(ring.count, 2);
    cr_assert_eq(add(&ring, JWS_ES256, NOW + 2, 0), HL_OK);
    cr_assert_eq(ring.count, 1);
    cr_assert_eq(ring.keys[0].retired_ms, 0);
}

static hl_err plan(struct keyring_record *ring, int64_t now_ms, int64_t active_ms)
{
    struct jws_material material;
    cr_assert_eq(jws_generate(&material, JWS_ES256), HL_OK);
    return keyring_plan(ring, &material, kek, now_ms, active_ms);
}

Test(keyring, a_next_key_is_published_before_it_signs)
{
    struct keyring_record ring = {0};
    struct keyset set = {0};
    struct jws_key *view[RECORD_KEYS_MAX];
    cr_assert_eq(plan(&ring, NOW, NOW + 100), HL_OK);
    cr_assert_eq(ring.keys[0].state, KEY_ACTIVE, "the first key signs at once");
    cr_assert_eq(plan(&ring, NOW, NOW + 100), HL_OK);
    cr_assert_eq(ring.keys[1].state, KEY_NEXT);
    cr_assert_eq(keyset_load(&set, &ring, kek), HL_OK);
    cr_assert_str_eq(jws_key_kid(set.active), ring.keys[0].kid);
    cr_assert_eq(keyset_view(&set, NOW, view), 2, "both verify");

    cr_assert_not(keyring_advance(&ring, NOW + 99, VERIFY));
    cr_assert(keyring_advance(&ring, NOW + 100, VERIFY));
    cr_assert_eq(ring.keys[0].state, KEY_RETIRED);
    cr_assert_eq(ring.keys[0].verify_until_ms, NOW + 100 + VERIFY);
    cr_assert_eq(ring.keys[1].state, KEY_ACTIVE);
    cr_assert_eq(keyset_load(&set, &ring, kek), HL_OK);
    cr_assert_str_eq(jws_key_kid(set.active), ring.keys[1].kid);
    cr_assert_not(keyring_advance(&ring, NOW + 99 + VERIFY, VERIFY), "it still verifies");
    cr_assert(keyring_advance(&ring, NOW + 100 + VERIFY, VERIFY));
    cr_assert_eq(ring.count, 1, "and is dropped when it does not");
    keyset_fini(&set);
}

Test(keyring, a_second_plan_replaces_the_first)
{
    struct keyring_record ring = {0};
    cr_assert_eq(plan(&ring, NOW, NOW), HL_OK);
    cr_assert_eq(plan(&ring, NOW, NOW + 100), HL_OK);
    char first[JWS_KID_LEN + 1];
    memcpy(first, ring.keys[1].kid, sizeof first);
    cr_assert_eq(plan(&ring, NOW + 1, NOW + 200), HL_OK);
    cr_assert_eq(ring.count, 2);
    cr_assert_str_neq(ring.keys[1].kid, first);
    cr_assert_eq(add(&ring, JWS_ES256, NOW + 2, VERIFY), HL_OK);
    cr_assert_eq(ring.count, 2, "a key at once makes the plan void: nobody signed with it");
    cr_assert_eq(ring.keys[1].state, KEY_ACTIVE);
}

Test(keyring, another_kek_opens_nothing_and_adds_nothing)
{
    struct keyring_record ring = {0};
    struct keyset set = {0};
    struct jws_material material;
    cr_assert(keyring_fits(&ring, other));
    cr_assert_eq(add(&ring, JWS_ES256, NOW, VERIFY), HL_OK);
    cr_assert_not(keyring_fits(&ring, other));
    struct keyring_record before = ring;
    cr_assert_eq(jws_generate(&material, JWS_ES256), HL_OK);
    cr_assert_eq(keyring_add(&ring, &material, other, NOW + 1, VERIFY), HL_EINVAL);
    cr_assert_eq(memcmp(&before, &ring, sizeof ring), 0);
    cr_assert_eq(keyset_load(&set, &ring, other), HL_OK);
    cr_assert_null(set.active, "verifies, cannot sign");
    cr_assert_eq(set.count, 1);
    keyset_fini(&set);
}

Test(keyring, without_a_kek_public_halves_verify_and_hs256_is_left_out)
{
    struct keyring_record ring = {0};
    struct keyset set = {0};
    cr_assert_eq(add(&ring, JWS_ES256, NOW, VERIFY), HL_OK);
    cr_assert_eq(add(&ring, JWS_EDDSA, NOW + 1, VERIFY), HL_OK);
    cr_assert_eq(add(&ring, JWS_HS256, NOW + 2, VERIFY), HL_OK);
    cr_assert_eq(keyset_load(&set, &ring, NULL), HL_OK);
    cr_assert_eq(set.count, 2);
    cr_assert_null(set.active);
    cr_assert_eq(keyset_load(&set, &ring, kek), HL_OK);
    cr_assert_eq(set.count, 3);
    keyset_fini(&set);
}

Test(keyring, private_halves_are_nowhere_in_the_stored_form)
{
    struct keyring_record ring = {0};
    struct jws_material material;
    struct hl_buf bytes = {0};
    cr_assert_eq(jws_generate(&material, JWS_ES256), HL_OK);
    cr_assert_eq(keyring_add(&ring, &material, kek, NOW, VERIFY), HL_OK);
    keyring_encode(&bytes, &ring);
    cr_assert_null(memmem(bytes.ptr, bytes.len, material.private_key, JWS_PRIVATE_LEN));
    cr_assert_null(memmem(bytes.ptr, bytes.len, kek, sizeof kek));
    hl_buf_fini(&bytes);
}

Test(keyring, a_tampered_entry_is_an_error_and_leaves_the_set_empty)
{
    struct keyring_record ring = {0};
    struct keyset set = {0};
    cr_assert_eq(add(&ring, JWS_ES256, NOW, VERIFY), HL_OK);
    ring.keys[0].sealed[20] ^= 1;
    cr_assert_eq(keyset_load(&set, &ring, kek), HL_ECORRUPT);
    cr_assert_eq(set.count, 0);
    ring.keys[0].sealed[20] ^= 1;
    ring.keys[0].public_key[20] ^= 1;
    cr_assert_eq(keyset_load(&set, &ring, kek), HL_ECORRUPT);
    ring.keys[0].public_key[20] ^= 1;
    ring.keys[0].kid[0] ^= 1; /* a private half moved to another entry */
    cr_assert_eq(keyset_load(&set, &ring, kek), HL_ECORRUPT);
}

Test(keyring, a_full_ring_refuses_until_a_key_has_run_out)
{
    struct keyring_record ring = {0};
    for (int i = 0; i < RECORD_KEYS_MAX; i++) {
        cr_assert_eq(add(&ring, JWS_HS256, NOW + i, VERIFY), HL_OK);
    }
    cr_assert_eq(add(&ring, JWS_HS256, NOW + 20, VERIFY), HL_EFULL);
    cr_assert_eq(add(&ring, JWS_HS256, NOW + 1 + VERIFY, VERIFY), HL_OK);
}
