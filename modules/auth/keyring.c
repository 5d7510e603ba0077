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

/* Drop what no longer verifies. */
static void prune(struct keyring_record *ring, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->keys[i].state != KEY_RETIRED || ring->keys[i].verify_until_ms > now_ms) {
            ring->keys[kept++] = ring->keys[i];
        }
    }
    ring->count = kept;
}

static void retire_key(struct keyring_entry *key, int64_t now_ms, int64_t verify_ms)
{
    key->state = KEY_RETIRED;
    key->retired_ms = now_ms;
    key->verify_until_ms = now_ms + verify_ms;
}

/* Retire the active key and the next one, which nobody signed with, and drop what no longer
 * verifies. */
static void retire(struct keyring_record *ring, int64_t now_ms, int64_t verify_ms)
{
    for (size_t i = 0; i < ring->count; i++) {
        struct keyring_entry *key = &ring->keys[i];
        if (key->state != KEY_RETIRED) {
            retire_key(key, now_ms, key->state == KEY_ACTIVE ? verify_ms : 0);
        } else if (verify_ms == 0) {
            key->verify_until_ms = now_ms;
        }
    }
    prune(ring, now_ms);
}

/* Put a new entry behind the others; errors as keyring_add(), the ring then unchanged. */
static hl_err append(struct keyring_record *ring, const struct jws_material *material,
                     const unsigned char kek[SEAL_KEY_LEN], struct keyring_entry entry)
{
    HL_ASSERT(material->has_private);
    if (ring->count == RECORD_KEYS_MAX) {
        return HL_EFULL;
    }
    entry.alg = material->alg;
    entry.public_len = material->public_len;
    memcpy(entry.kid, material->kid, sizeof entry.kid);
    memcpy(entry.public_key, material->public_key, material->public_len);

    struct hl_buf sealed = {0};
    struct hl_slice half = {(const char *)material->private_key, JWS_PRIVATE_LEN};
    hl_err err = seal_close(&sealed, kek, place_of(&entry), half);
    if (err == HL_OK) {
        HL_ASSERT(sealed.len == sizeof entry.sealed);
        memcpy(entry.sealed, sealed.ptr, sealed.len);
        kek_identify(ring->kek_id, kek);
        ring->keys[ring->count++] = entry;
    }
    hl_buf_fini(&sealed);
    return err;
}

hl_err keyring_add(struct keyring_record *ring, const struct jws_material *material,
                   const unsigned char kek[SEAL_KEY_LEN], int64_t now_ms, int64_t verify_ms)
{
    HL_ASSERT(now_ms > 0 && verify_ms >= 0 && verify_ms <= INT64_MAX - now_ms);
    if (!keyring_fits(ring, kek)) {
        return HL_EINVAL;
    }
    struct keyring_record changed = *ring;
    retire(&changed, now_ms, verify_ms);
    hl_err err = append(
        &changed, material, kek,
        (struct keyring_entry){.state = KEY_ACTIVE, .created_ms = now_ms, .active_ms = now_ms});
    if (err == HL_OK) {
        *ring = changed;
    }
    return err;
}

/* The entry in `state`, of which there is at most one that matters; NULL when there is none. */
static struct keyring_entry *entry_in(struct keyring_record *ring, enum key_state state)
{
    for (size_t i = ring->count; i > 0; i--) {
        if (ring->keys[i - 1].state == state) {
            return &ring->keys[i - 1];
        }
    }
    return NULL;
}

hl_err keyring_plan(struct keyring_record *ring, const struct jws_material *material,
                    const unsigned char kek[SEAL_KEY_LEN], int64_t now_ms, int64_t active_ms)
{
    HL_ASSERT(now_ms > 0 && active_ms >= now_ms);
    if (entry_in(ring, KEY_ACTIVE) == NULL) {
        return keyring_add(ring, material, kek, now_ms, 0);
    }
    if (!keyring_fits(ring, kek)) {
        return HL_EINVAL;
    }
    struct keyring_record changed = *ring;
    struct keyring_entry *before = entry_in(&changed, KEY_NEXT);
    if (before != NULL) {
        retire_key(before, now_ms, 0);
    }
    prune(&changed, now_ms);
    hl_err err = append(
        &changed, material, kek,
        (struct keyring_entry){.state = KEY_NEXT, .created_ms = now_ms, .active_ms = active_ms});
    if (err == HL_OK) {
        *ring = changed;
    }
    return err;
}

bool keyring_advance(struct keyring_record *ring, int64_t now_ms, int64_t verify_ms)
{
    HL_ASSERT(now_ms > 0 && verify_ms >= 0 && verify_ms <= INT64_MAX - now_ms);
    size_t count = ring->count;
    struct keyring_entry *next = entry_in(ring, KEY_NEXT);
    struct keyring_entry *active = entry_in(ring, KEY_ACTIVE);
    bool due = next != NULL && now_ms >= next->active_ms;
    if (due && active != NULL) {
        retire_key(active, now_ms, verify_ms);
    }
    if (due) {
        next->state = KEY_ACTIVE;
        next->active_ms = now_ms;
    }
    prune(ring, now_ms);
    return due || ring->count != count;
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
            entry->state == KEY_RETIRED ? entry->verify_until_ms : INT64_MAX;
        if (entry->state == KEY_ACTIVE && jws_key_signs(key)) {
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
