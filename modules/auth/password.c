/* bcrypt through libcrypt, with the edges that bcrypt itself leaves open closed. */
#include "password.h"

#include "seal.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <crypt.h>
#include <strings.h>

#define DERIVED_WORD_MIN 3 /* a shorter name is in many passwords by chance */
#define DERIVED_LEFT_MIN 4

static const char hash_alphabet[] =
    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* What bcrypt cannot represent; NULL when it can. */
static const char *unhashable(struct hl_slice password)
{
    if (password.len == 0) {
        return "a password must not be empty";
    }
    if (password.len > PASSWORD_LEN_MAX) {
        return "a password must have at most 72 bytes";
    }
    if (memchr(password.ptr, '\0', password.len) != NULL) {
        return "a password must not contain a NUL byte";
    }
    return NULL;
}

const char *password_objection(struct hl_slice password)
{
    const char *objection = unhashable(password);
    if (objection == NULL && password.len < PASSWORD_LEN_MIN) {
        objection = "a password must have at least 8 bytes";
    }
    return objection;
}

/* Take every `word` out of `text`, ignoring case. */
static void take_out(char *text, size_t *len, const char *word)
{
    size_t word_len = strlen(word);
    if (word_len < DERIVED_WORD_MIN) {
        return;
    }
    for (size_t at = 0; at + word_len <= *len;) {
        if (strncasecmp(text + at, word, word_len) != 0) {
            at++;
            continue;
        }
        memmove(text + at, text + at + word_len, *len - at - word_len);
        *len -= word_len;
    }
}

bool password_is_derived(struct hl_slice password, const char *name)
{
    char left[PASSWORD_LEN_MAX];
    size_t len = password.len < sizeof left ? password.len : sizeof left;
    memcpy(left, password.ptr, len);
    take_out(left, &len, name);
    take_out(left, &len, "helios");
    bool changed = len != password.len;
    seal_wipe(left, sizeof left);
    return changed && len < DERIVED_LEFT_MIN;
}

const char *user_name_objection(struct hl_slice name)
{
    if (name.len == 0) {
        return "a user name must not be empty";
    }
    if (name.len > USER_NAME_MAX) {
        return "a user name must have at most 64 bytes";
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (c == '\0' || strchr("._-@+", c) == NULL)) {
            return "a user name holds letters, digits and . _ - @ + only";
        }
    }
    return NULL;
}

/* crypt() `password` with `setting` into `out`; false when libcrypt refuses. */
static bool run_crypt(char out[PASSWORD_HASH_LEN + 1], struct hl_slice password,
                      const char *setting)
{
    HL_ASSERT(password.len <= PASSWORD_LEN_MAX);
    struct crypt_data *data = hl_calloc(1, sizeof *data); /* 32 KiB: not for a thread's stack */
    char phrase[PASSWORD_LEN_MAX + 1];
    memcpy(phrase, password.ptr, password.len);
    phrase[password.len] = '\0';
    const char *hash = crypt_rn(phrase, setting, data, (int)sizeof *data);
    bool good = hash != NULL && strlen(hash) == PASSWORD_HASH_LEN;
    if (good) {
        memcpy(out, hash, PASSWORD_HASH_LEN + 1);
    }
    seal_wipe(phrase, sizeof phrase);
    seal_wipe(data, sizeof *data);
    hl_free(data);
    return good;
}

hl_err password_hash(char out[PASSWORD_HASH_LEN + 1], struct hl_slice password, int cost,
                     const unsigned char salt[PASSWORD_SALT_LEN])
{
    if (unhashable(password) != NULL || cost < PASSWORD_COST_MIN || cost > PASSWORD_COST_MAX) {
        return HL_EINVAL;
    }
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (crypt_gensalt_rn("$2b$", (unsigned long)cost, (const char *)salt, PASSWORD_SALT_LEN,
                         setting, (int)sizeof setting) == NULL) {
        return HL_EIO;
    }
    if (!run_crypt(out, password, setting)) {
        return HL_EIO;
    }
    HL_ASSERT(password_hash_valid(hl_slice_of(out)));
    return HL_OK;
}

bool password_matches(const char *hash, struct hl_slice password)
{
    HL_ASSERT(password_hash_valid(hl_slice_of(hash)));
    char computed[PASSWORD_HASH_LEN + 1];
    bool possible = unhashable(password) == NULL;
    struct hl_slice tried = possible ? password : hl_slice_of("as much work for no password");
    bool done = run_crypt(computed, tried, hash);
    return done && seal_equal(computed, hash, PASSWORD_HASH_LEN) && possible;
}

bool password_hash_valid(struct hl_slice text)
{
    if (text.len != PASSWORD_HASH_LEN || memcmp(text.ptr, "$2b$", 4) != 0 || text.ptr[6] != '$' ||
        text.ptr[4] < '0' || text.ptr[4] > '9' || text.ptr[5] < '0' || text.ptr[5] > '9') {
        return false;
    }
    int cost = (text.ptr[4] - '0') * 10 + (text.ptr[5] - '0');
    if (cost < PASSWORD_COST_MIN || cost > PASSWORD_COST_MAX) {
        return false;
    }
    for (size_t i = 7; i < text.len; i++) {
        if (text.ptr[i] == '\0' || strchr(hash_alphabet, text.ptr[i]) == NULL) {
            return false;
        }
    }
    return true;
}

int password_hash_cost(const char *hash)
{
    HL_ASSERT(password_hash_valid(hl_slice_of(hash)));
    return (hash[4] - '0') * 10 + (hash[5] - '0');
}
