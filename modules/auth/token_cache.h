/* Remembers tokens whose signature was good, because verifying one again costs a hundred times as
 * much as everything else that checking it takes.
 *
 *   C1  A token is remembered by its SHA-256: another text is another token.
 *   C2  What is remembered is true of the token, the keys and the policy alone.  Whoever owns the
 *       cache clears it when keys or policy change, and judges times and sessions at every use.
 */
#ifndef AUTH_TOKEN_CACHE_H
#define AUTH_TOKEN_CACHE_H

#include "seal.h"
#include "token.h"

#define TOKEN_CACHE_SLOTS 1024 /* about a megabyte, taken when the first token is remembered */

/* All zero is a valid empty cache; end it with token_cache_fini(). */
struct token_cache {
    struct token_cache_slot *slots; /* NULL until needed */
};

/* Whether the token of `digest` is remembered; then *claims is set. */
bool token_cache_get(const struct token_cache *cache, const unsigned char digest[SEAL_DIGEST_LEN],
                     struct token_claims *claims);

/* Remember the token of `digest`, perhaps forgetting another. */
void token_cache_put(struct token_cache *cache, const unsigned char digest[SEAL_DIGEST_LEN],
                     const struct token_claims *claims);

/* Forget all tokens and release the memory; the cache is then empty and usable. */
void token_cache_fini(struct token_cache *cache);

#endif
