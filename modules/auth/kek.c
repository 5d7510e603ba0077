/* Reading and creating the file of the key-encryption key. */
#include "kek.h"

#include "secret_file.h"

#include "kit/base64.h"

#define KEK_TEXT_LEN (2 * SEAL_KEY_LEN)

hl_err kek_read(unsigned char out[SEAL_KEY_LEN], const char *path, struct hl_errmsg *msg)
{
    struct hl_buf text = {0};
    hl_err err = secret_file_read(&text, path, msg);
    if (err == HL_ECORRUPT ||
        (err == HL_OK && !hl_hex_parse(hl_buf_view(&text), out, SEAL_KEY_LEN))) {
        err = hl_fail(msg, HL_ECORRUPT, "%s does not hold 64 hexadecimal digits", path);
    }
    seal_wipe(text.ptr, text.len);
    hl_buf_fini(&text);
    return err;
}

hl_err kek_create(unsigned char out[SEAL_KEY_LEN], const char *path, struct hl_errmsg *msg)
{
    unsigned char key[SEAL_KEY_LEN];
    char text[KEK_TEXT_LEN + 1];
    if (seal_random(key, sizeof key) != HL_OK) {
        return hl_fail(msg, HL_EIO, "the system gives no randomness");
    }
    hl_hex_format(text, key, sizeof key);
    hl_err err = secret_file_create(path, hl_slice_of(text), msg);
    if (err == HL_OK) {
        memcpy(out, key, sizeof key);
    }
    seal_wipe(key, sizeof key);
    seal_wipe(text, sizeof text);
    return err;
}
