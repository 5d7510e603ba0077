/* A table of one slot per hash value: a collision replaces. */
#include "token_cache.h"

#include "kit/alloc.h"
#include "kit/assert.h"

HL_STATIC((TOKEN_CACHE_SLOTS & (TOKEN_CACHE_SLOTS - 1)) == 0);

struct token_cache_slot {
    bool used;
    unsigned char digest[SEAL_DIGEST_LEN];
    struct token_claims claims;
};

static size_t slot_of(const unsigned char digest[SEAL_DIGEST_LEN])
{
    return hl_get_le32(digest) & (TOKEN_CACHE_SLOTS - 1);
}

bool token_cache_get(const struct token_cache *cache, const unsigned char digest[SEAL_DIGEST_LEN],
                     struct token_claims *claims)
{
    if (cache->slots == NULL) {
        return false;
    }
    const struct token_cache_slot *slot = &cache->slots[slot_of(digest)];
    if (!slot->used || memcmp(slot->digest, digest, SEAL_DIGEST_LEN) != 0) {
        return false;
    }
    *claims = slot->claims;
    return true;
}

void token_cache_put(struct token_cache *cache, const unsigned char digest[SEAL_DIGEST_LEN],
                     const struct token_claims *claims)
{
    if (cache->slots == NULL) {
        cache->slots = hl_calloc(TOKEN_CACHE_SLOTS, sizeof *cache->slots);
    }
    struct token_cache_slot *slot = &cache->slots[slot_of(digest)];
    slot->used = true;
    slot->claims = *claims;
    memcpy(slot->digest, digest, SEAL_DIGEST_LEN);
}

void token_cache_fini(struct token_cache *cache)
{
    hl_free(cache->slots);
    cache->slots = NULL;
}
