/* Digests of module values, and EmitAOF.
 *
 * A digest mixes elements in order until a sequence ends, and sequences in any order.  Its bits are
 * ours: they are compared between our nodes only. */
#include "abi/internal.h"
#include "base/siphash.h"
#include "kit/num.h"

struct RedisModuleDigest {
    uint64_t sequence; /* of the elements so far */
    uint64_t total;    /* of the sequences that ended */
    const RedisModuleString *key;
    int db;
};

static const uint64_t digest_seed[2] = {0x68656c696f732064U, 0x6967657374206f66U};

void hl_rm_DigestAddStringBuffer(RedisModuleDigest *md, const char *ele, size_t len)
{
    uint64_t seed[2] = {digest_seed[0] ^ md->sequence, digest_seed[1]};
    md->sequence = hl_hash(seed, ele, len) + 1; /* never 0: an empty element counts too */
}

void hl_rm_DigestAddLongLong(RedisModuleDigest *md, long long ele)
{
    char text[HL_I64_TEXT_MAX];
    int len = hl_format_i64(text, ele);
    hl_rm_DigestAddStringBuffer(md, text, (size_t)len);
}

void hl_rm_DigestEndSequence(RedisModuleDigest *md)
{
    md->total += md->sequence;
    md->sequence = 0;
}

int hl_rm_GetDbIdFromDigest(RedisModuleDigest *dig)
{
    return dig->db;
}

const RedisModuleString *hl_rm_GetKeyNameFromDigest(RedisModuleDigest *dig)
{
    return dig->key;
}

bool hl_digest_value(RedisModuleType *type, void *value, const RedisModuleString *key, int db,
                     uint64_t *out)
{
    if (type->methods.digest == NULL) {
        return false;
    }
    RedisModuleDigest digest = {.key = key, .db = db};
    type->methods.digest(&digest, value);
    *out = digest.total + digest.sequence;
    return true;
}

void hl_rm_EmitAOF(RedisModuleIO *io, const char *cmdname, const char *fmt, ...)
{
    /* Values are saved by rdb_save alone: there is no second log to rewrite. */
    (void)io;
    (void)cmdname;
    (void)fmt;
}
