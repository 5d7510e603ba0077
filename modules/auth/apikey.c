/* The text of API keys; Y1 to Y3 are in apikey.h. */
#include "apikey.h"

#include "kit/assert.h"
#include "kit/base64.h"
#include "kit/glob.h"

#define PREFIX_LEN (sizeof APIKEY_PREFIX - 1)
#define TAIL_LEN (RECORD_SECRET_LEN + APIKEY_CHECK_LEN)

HL_STATIC(APIKEY_TEXT_LEN == PREFIX_LEN + 2 * RECORD_APIKEY_LEN + 1 + HL_BASE64URL_LEN(TAIL_LEN));
HL_STATIC(sizeof(struct apikey_text) == RECORD_APIKEY_LEN + RECORD_SECRET_LEN);

/* The check behind the secret (Y2). */
static void check_of(const struct apikey_text *key, unsigned char out[APIKEY_CHECK_LEN])
{
    unsigned char digest[SEAL_DIGEST_LEN];
    seal_mac(digest, hl_slice_of(APIKEY_PREFIX), "check",
             (struct hl_slice){(const char *)key, sizeof *key});
    memcpy(out, digest, APIKEY_CHECK_LEN);
}

void apikey_format(struct hl_buf *out, const struct apikey_text *key)
{
    char id[APIKEY_ID_TEXT];
    unsigned char tail[TAIL_LEN];
    memcpy(tail, key->secret, RECORD_SECRET_LEN);
    check_of(key, tail + RECORD_SECRET_LEN);
    hl_hex_format(id, key->id, RECORD_APIKEY_LEN);
    hl_buf_append_text(out, APIKEY_PREFIX);
    hl_buf_append_text(out, id);
    hl_buf_append_u8(out, '_');
    hl_base64url_append(out, tail, sizeof tail);
    seal_wipe(tail, sizeof tail);
}

bool apikey_looks_so(struct hl_slice text)
{
    return text.len >= PREFIX_LEN && memcmp(text.ptr, APIKEY_PREFIX, PREFIX_LEN) == 0;
}

bool apikey_parse(struct apikey_text *key, struct hl_slice text)
{
    const size_t middle = PREFIX_LEN + 2 * RECORD_APIKEY_LEN;
    struct apikey_text read;
    unsigned char tail[TAIL_LEN];
    unsigned char check[APIKEY_CHECK_LEN];
    size_t len = 0;
    if (!apikey_looks_so(text) || text.len != APIKEY_TEXT_LEN || text.ptr[middle] != '_') {
        return false;
    }
    struct hl_slice id = {text.ptr + PREFIX_LEN, middle - PREFIX_LEN};
    struct hl_slice rest = {text.ptr + middle + 1, text.len - middle - 1};
    bool good = hl_hex_parse(id, read.id, sizeof read.id) &&
                hl_base64url_decode(rest, tail, sizeof tail, &len) && len == sizeof tail;
    if (good) {
        memcpy(read.secret, tail, sizeof read.secret);
        check_of(&read, check);
        good = memcmp(check, tail + RECORD_SECRET_LEN, sizeof check) == 0;
    }
    if (good) {
        *key = read;
    }
    seal_wipe(&read, sizeof read);
    seal_wipe(tail, sizeof tail);
    return good;
}

static void digest_of(const struct apikey_text *key, unsigned char out[SEAL_DIGEST_LEN])
{
    seal_digest(out, (struct hl_slice){(const char *)key->secret, sizeof key->secret});
}

void apikey_open(struct apikey_record *record, const struct apikey_text *key,
                 const struct user_record *user, int64_t now_ms)
{
    HL_ASSERT(now_ms >= 0);
    *record = (struct apikey_record){.created_ms = now_ms};
    memcpy(record->id, key->id, sizeof record->id);
    memcpy(record->name, user->name, sizeof record->name);
    memcpy(record->user_id, user->id, sizeof record->user_id);
    digest_of(key, record->digest);
}

bool apikey_matches(const struct apikey_record *record, const struct apikey_text *key)
{
    unsigned char digest[SEAL_DIGEST_LEN];
    digest_of(key, digest);
    return memcmp(record->id, key->id, sizeof key->id) == 0 &&
           seal_equal(digest, record->digest, sizeof digest);
}

const char *apikey_objection(const struct apikey_record *record, const struct user_record *user,
                             int64_t now_ms)
{
    if (record->expires_ms != 0 && now_ms >= record->expires_ms) {
        return "TOKENEXPIRED the API key has expired";
    }
    if (memcmp(record->user_id, user->id, sizeof user->id) != 0 ||
        strcmp(record->name, user->name) != 0) {
        return "TOKENREVOKED the user does not exist any more";
    }
    return user->disabled ? "TOKENREVOKED the user is disabled" : NULL;
}

bool apikey_scope_covers(struct hl_slice scope, struct hl_slice permission,
                         const struct hl_slice *key)
{
    const char *at = memchr(scope.ptr, '@', scope.len);
    struct hl_slice what = {scope.ptr, at == NULL ? scope.len : (size_t)(at - scope.ptr)};
    HL_ASSERT(what.len >= 3); /* record_scope_ok() */
    bool everything = hl_slice_equal(what, hl_slice_of("admin:*"));
    bool any_verb = what.ptr[what.len - 1] == '*';
    size_t upto = any_verb ? what.len - 1 : what.len; /* "ns:" or all of it */
    bool same = everything || hl_slice_equal(what, permission) ||
                (any_verb && permission.len > upto && memcmp(what.ptr, permission.ptr, upto) == 0);
    if (!same || at == NULL) {
        return same;
    }
    struct hl_slice glob = {at + 1, scope.len - what.len - 1};
    return key != NULL && hl_glob_match(glob, *key, false);
}
