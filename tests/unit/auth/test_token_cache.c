/* Goal: the cache answers for the token that was put, and for no other. */
#include "auth/token_cache.h"

#include <criterion/criterion.h>

static struct token_claims claims_of(uint64_t cv)
{
    return (struct token_claims){.name = "ada", .cv = cv};
}

Test(token_cache, it_answers_for_what_was_put_and_nothing_else)
{
    struct token_cache cache = {0};
    struct token_claims claims = claims_of(7);
    struct token_claims got;
    unsigned char digest[SEAL_DIGEST_LEN] = {1, 2, 3};
    cr_assert_not(token_cache_get(&cache, digest, &got));
    token_cache_put(&cache, digest, &claims);
    cr_assert(token_cache_get(&cache, digest, &got));
    cr_assert_eq(memcmp(&got, &claims, sizeof got), 0);
    for (size_t at = 0; at < sizeof digest; at++) {
        digest[at] ^= 0x80;
        cr_assert_not(token_cache_get(&cache, digest, &got), "byte %zu", at);
        digest[at] ^= 0x80;
    }
    unsigned char zeros[SEAL_DIGEST_LEN] = {0};
    cr_assert_not(token_cache_get(&cache, zeros, &got), "an empty slot is no token");
    token_cache_fini(&cache);
    cr_assert_not(token_cache_get(&cache, digest, &got));
}

Test(token_cache, a_collision_replaces)
{
    struct token_cache cache = {0};
    struct token_claims first = claims_of(1);
    struct token_claims second = claims_of(2);
    struct token_claims got;
    unsigned char a[SEAL_DIGEST_LEN] = {5};
    unsigned char b[SEAL_DIGEST_LEN] = {5, [31] = 1};
    token_cache_put(&cache, a, &first);
    token_cache_put(&cache, b, &second);
    cr_assert_not(token_cache_get(&cache, a, &got));
    cr_assert(token_cache_get(&cache, b, &got));
    cr_assert_eq(got.cv, 2);
    token_cache_fini(&cache);
}
