/* Adding, opening and dropping signing keys; K1 to K3 are in keyring.h. */
#include "keyring.h"

#include "kit/assert.h"

void kek_identify(unsigned char id[RECORD_KEK_ID_LEN], const unsigned char kek[SEAL_KEY_LEN])
{
    unsigned char mac[SEAL_DIGEST_LEN];
    seal_mac(mac, (struct hl_slice){(const char *)kek, SEAL_KEY_LEN}, "kek id",
             (struct hl_slice){0});
    memcpy(id, mac, RECORD_KEK_ID_LEN);
}

bool keyring_fits(const struct keyring_record *ring, const unsigned char kek[SEAL_KEY_LEN])
{
    unsigned char id[RECORD_KEK_ID_LEN];
    kek_identify(id, kek);
    return ring->count == 0 || memcmp(id, ring->kek_id, sizeof id) == 0;
}

/* What a sealed private half is bound to: its place. */
static struct hl_slice place_of(const struct keyring_entry *key)
{
    return (struct hl_slice){key->kid, JWS_KID_LEN};
}

/* Retire the active key and drop what no longer verifies. */
static void retire(struct keyring_record *ring, int64_t now_ms, int64_t verify_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < ring->count; i++) {
        struct keyring_entry *key = &ring->keys[i];
        if (key->retired_ms == 0) {
            key->retired_ms = now_ms;
            key->verify_until_ms = now_ms + verify_ms;
        } else if (verify_ms == 0) {
            key->verify_until_ms = now_ms;
        }
        if (key->verify_until_ms > now_ms) {
            ring->keys[kept++] = *key;
        }
    }
    ring->count = kept;
}

hl_err keyring_add(struct keyring_record *ring, const struct jws_material *material,
                   const unsigned char kek[SEAL_KEY_LEN], int64_t now_ms, int64_t verify_ms)
{
    HL_ASSERT(material->has_private);
    HL_ASSERT(now_ms > 0 && verify_ms >= 0 && verify_ms <= INT64_MAX - now_ms);
    if (!keyring_fits(ring, kek)) {
        return HL_EINVAL;
    }
    struct keyring_record changed = *ring;
    retire(&changed, now_ms, verify_ms);
    if (changed.count == RECORD_KEYS_MAX) {
        return HL_EFULL;
    }
    struct keyring_entry *key = &changed.keys[changed.count++];
    *key = (struct keyring_entry){
        .alg = material->alg, .created_ms = now_ms, .public_len = material->public_len};
    memcpy(key->kid, material->kid, sizeof key->kid);
    memcpy(key->public_key, material->public_key, material->public_len);
    kek_identify(changed.kek_id, kek);

    struct hl_buf sealed = {0};
    struct hl_slice half = {(const char *)material->private_key, JWS_PRIVATE_LEN};
    hl_err err = seal_close(&sealed, kek, place_of(key), half);
    if (err == HL_OK) {
        HL_ASSERT(sealed.len == sizeof key->sealed);
        memcpy(key->sealed, sealed.ptr, sealed.len);
        *ring = changed;
    }
    hl_buf_fini(&sealed);
    return err;
}

/* Make one entry usable; *out stays NULL when it cannot even verify without a KEK. */
static hl_err open_key(struct jws_key **out, const struct keyring_entry *key,
                       const unsigned char *kek)
{
    struct jws_material material = {.alg = key->alg, .public_len = key->public_len};
    memcpy(material.kid, key->kid, sizeof material.kid);
    memcpy(material.public_key, key->public_key, key->public_len);
    if (kek == NULL) {
        return key->alg == JWS_HS256 ? HL_OK : jws_key_create(out, &material);
    }
    struct hl_buf half = {0};
    hl_err err = seal_open(&half, kek, place_of(key),
                           (struct hl_slice){(const char *)key->sealed, sizeof key->sealed});
    if (err == HL_OK) {
        HL_ASSERT(half.len == JWS_PRIVATE_LEN);
        memcpy(material.private_key, half.ptr, JWS_PRIVATE_LEN);
        material.has_private = true;
        err = jws_key_create(out, &material);
    }
    seal_wipe(half.ptr, half.len);
    hl_buf_fini(&half);
    seal_wipe(&material, sizeof material);
    return err;
}

hl_err keyset_load(struct keyset *set, const struct keyring_record *ring, const unsigned char *kek)
{
    keyset_fini(set);
    if (kek != NULL && !keyring_fits(ring, kek)) {
        kek = NULL;
    }
    for (size_t i = 0; i < ring->count; i++) {
        const struct keyring_entry *entry = &ring->keys[i];
        struct jws_key *key = NULL;
        if (open_key(&key, entry, kek) != HL_OK) {
            keyset_fini(set);
            return HL_ECORRUPT;
        }
        if (key == NULL) {
            continue;
        }
        set->keys[set->count] = key;
        set->verify_until_ms[set->count++] =
            entry->retired_ms == 0 ? INT64_MAX : entry->verify_until_ms;
        if (entry->retired_ms == 0 && jws_key_signs(key)) {
            set->active = key;
        }
    }
    return HL_OK;
}

size_t keyset_view(const struct keyset *set, int64_t now_ms, struct jws_key **out)
{
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->verify_until_ms[i] > now_ms) {
            out[count++] = set->keys[i];
        }
    }
    return count;
}

void keyset_fini(struct keyset *set)
{
    for (size_t i = 0; i < set->count; i++) {
        jws_key_destroy(set->keys[i]);
    }
    *set = (struct keyset){0};
}
