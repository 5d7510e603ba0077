/* Randomness, digests and AES-256-GCM on OpenSSL's EVP. */
#include "seal.h"

#include "kit/assert.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

hl_err seal_random(void *out, size_t len)
{
    HL_ASSERT(len <= INT32_MAX);
    return RAND_bytes(out, (int)len) == 1 ? HL_OK : HL_EIO;
}

void seal_digest(unsigned char out[SEAL_DIGEST_LEN], struct hl_slice bytes)
{
    HL_STATIC(SEAL_DIGEST_LEN == SHA256_DIGEST_LENGTH);
    SHA256((const unsigned char *)(bytes.len == 0 ? "" : bytes.ptr), bytes.len, out);
}

void seal_mac(unsigned char out[SEAL_DIGEST_LEN], struct hl_slice key, const char *label,
              struct hl_slice bytes)
{
    struct hl_buf text = {0};
    hl_buf_append(&text, label, strlen(label) + 1);
    hl_buf_append_slice(&text, bytes);
    unsigned len = 0;
    unsigned char *made = HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)text.ptr,
                               text.len, out, &len);
    HL_ASSERT(made != NULL && len == SEAL_DIGEST_LEN);
    seal_wipe(text.ptr, text.len);
    hl_buf_fini(&text);
}

/* A cipher ready for data, bound to `bound_to`; NULL when OpenSSL refuses (out of memory). */
static EVP_CIPHER_CTX *start(int encrypt, const unsigned char *key, const unsigned char *nonce,
                             struct hl_slice bound_to)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int len = 0;
    HL_ASSERT(bound_to.len <= INT32_MAX);
    if (cipher == NULL ||
        EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) != 1 ||
        EVP_CipherUpdate(cipher, NULL, &len, (const unsigned char *)bound_to.ptr,
                         (int)bound_to.len) != 1) {
        EVP_CIPHER_CTX_free(cipher);
        return NULL;
    }
    return cipher;
}

hl_err seal_close(struct hl_buf *out, const unsigned char key[SEAL_KEY_LEN],
                  struct hl_slice bound_to, struct hl_slice plain)
{
    HL_ASSERT(plain.len <= SEAL_PLAIN_MAX);
    unsigned char nonce[SEAL_NONCE_LEN];
    unsigned char body[SEAL_PLAIN_MAX];
    unsigned char tag[SEAL_TAG_LEN];
    int len = 0;
    int rest = 0;
    hl_err err = seal_random(nonce, sizeof nonce);
    if (err != HL_OK) {
        return err;
    }
    EVP_CIPHER_CTX *cipher = start(1, key, nonce, bound_to);
    if (cipher == NULL ||
        EVP_CipherUpdate(cipher, body, &len, (const unsigned char *)plain.ptr, (int)plain.len) !=
            1 ||
        EVP_CipherFinal_ex(cipher, body + len, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, SEAL_TAG_LEN, tag) != 1) {
        EVP_CIPHER_CTX_free(cipher);
        return HL_EIO;
    }
    HL_ASSERT((size_t)len == plain.len && rest == 0);
    EVP_CIPHER_CTX_free(cipher);
    hl_buf_append(out, nonce, sizeof nonce);
    hl_buf_append(out, body, plain.len);
    hl_buf_append(out, tag, sizeof tag);
    return HL_OK;
}

hl_err seal_open(struct hl_buf *out, const unsigned char key[SEAL_KEY_LEN],
                 struct hl_slice bound_to, struct hl_slice sealed)
{
    if (sealed.len < SEAL_OVERHEAD || sealed.len > SEAL_OVERHEAD + SEAL_PLAIN_MAX) {
        return HL_ECORRUPT;
    }
    const unsigned char *nonce = (const unsigned char *)sealed.ptr;
    size_t body_len = sealed.len - SEAL_OVERHEAD;
    unsigned char tag[SEAL_TAG_LEN];
    unsigned char plain[SEAL_PLAIN_MAX];
    memcpy(tag, nonce + SEAL_NONCE_LEN + body_len, sizeof tag);
    int len = 0;
    int rest = 0;
    EVP_CIPHER_CTX *cipher = start(0, key, nonce, bound_to);
    bool good = cipher != NULL &&
                EVP_CipherUpdate(cipher, plain, &len, nonce + SEAL_NONCE_LEN, (int)body_len) == 1 &&
                EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, SEAL_TAG_LEN, tag) == 1 &&
                EVP_CipherFinal_ex(cipher, plain + len, &rest) == 1;
    EVP_CIPHER_CTX_free(cipher);
    if (good) {
        hl_buf_append(out, plain, body_len);
    }
    seal_wipe(plain, body_len);
    return good ? HL_OK : HL_ECORRUPT;
}

bool seal_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void seal_wipe(void *ptr, size_t len)
{
    if (ptr != NULL) {
        OPENSSL_cleanse(ptr, len);
    }
}
