/* Goal: a set of limiters decides as one limiter does for each key, in bounded memory.
 * Method: small sets, and many keys beside a limiter of their own. */
#include "ratelimit/local.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define SEED 42
#define KEYS 50
#define STEPS 20000

static const struct limit three = {LIMIT_TOKEN, 3, 1, 1};

static struct limit_result take(struct local *local, const char *key, int64_t now_ms)
{
    return local_take(local, hl_slice_of(key), &three, 1, now_ms);
}

Test(local, each_key_has_its_own_limiter)
{
    struct local *local = local_create(10, SEED);
    for (int i = 0; i < 3; i++) {
        cr_assert(take(local, "a", 1000).allowed);
    }
    cr_assert_not(take(local, "a", 1000).allowed);
    cr_assert(take(local, "b", 1000).allowed);
    cr_assert(take(local, "a", 2000).allowed, "one came back");
    cr_assert_eq(local_count(local), 2);
    local_destroy(local);
}

Test(local, the_one_used_longest_ago_makes_room)
{
    struct local *local = local_create(2, SEED);
    for (int i = 0; i < 3; i++) {
        take(local, "a", 1000);
        take(local, "b", 1000);
    }
    cr_assert_not(take(local, "a", 1000).allowed); /* b is older now */
    cr_assert(take(local, "c", 1000).allowed);
    cr_assert_eq(local_count(local), 2);
    cr_assert_not(take(local, "a", 1000).allowed, "it stayed");
    cr_assert(take(local, "b", 1000).allowed, "it was forgotten");
    local_destroy(local);
    local_destroy(NULL);
}

Test(local, a_changed_limit_goes_on_with_the_tokens_there_are)
{
    struct local *local = local_create(10, SEED);
    struct limit five = {LIMIT_TOKEN, 5, 1, 1};
    take(local, "a", 1000);
    struct limit_result got = local_take(local, hl_slice_of("a"), &five, 0, 1000);
    cr_assert_eq(got.remaining, 2);
    local_destroy(local);
}

Test(local, many_keys_are_limited_as_a_limiter_alone)
{
    struct local *local = local_create(KEYS, SEED);
    struct limiter alone[KEYS];
    uint64_t random = 1;
    int64_t now_ms = 1000;
    char key[16];
    for (int i = 0; i < KEYS; i++) {
        limiter_begin(&alone[i], &three, now_ms);
    }
    for (int i = 0; i < STEPS; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        int which = (int)(random >> 33) % KEYS;
        now_ms += (int64_t)(random >> 60);
        snprintf(key, sizeof key, "key:%d", which);
        struct limit_result a = take(local, key, now_ms);
        struct limit_result b = limiter_take(&alone[which], 1, now_ms);
        cr_assert_eq(a.allowed, b.allowed);
        cr_assert_eq(a.remaining, b.remaining);
        cr_assert_eq(a.retry_ms, b.retry_ms);
    }
    cr_assert_eq(local_count(local), KEYS);
    local_destroy(local);
}
