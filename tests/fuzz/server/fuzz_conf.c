/* Key-value files and CONFIG SET: no input breaks a setting's type or range, and what a rewrite
 * would write for a setting reads back as the same value. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/config_internal.h"

/* `include` would read files of the machine that fuzzes. */
static bool includes(struct hl_slice text)
{
    for (size_t i = 0; i + 7 <= text.len; i++) {
        if (hl_slice_is((struct hl_slice){.ptr = text.ptr + i, .len = 7}, "include")) {
            return true;
        }
    }
    return false;
}

static void check_values(struct hl_config *cfg)
{
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        struct hl_buf text = {0};
        struct config_value value = {0};
        hl_config_format(cfg, (enum hl_cfg)id, &text);
        hl_err err = config_parse((enum hl_cfg)id, hl_buf_view(&text), false, &cfg->values[id],
                                  &value, NULL);
        HL_ASSERT(err == HL_OK);
        HL_ASSERT(value.num == cfg->values[id].num);
        hl_free(value.text);
        hl_buf_fini(&text);
    }
}

/* The words of the first line as CONFIG SET's. */
static void set_words(struct hl_config *cfg, struct hl_slice text)
{
    struct hl_slice words[64];
    struct hl_buf storage = {0};
    const char *newline = text.len == 0 ? NULL : memchr(text.ptr, '\n', text.len);
    text.len = newline == NULL ? text.len : (size_t)(newline - text.ptr);
    int count = config_split_line(text, &storage, words, 64);
    if (count > 0) {
        struct hl_errmsg msg = {0};
        hl_err err = hl_config_set(cfg, words, (size_t)count, true, &msg);
        HL_ASSERT(err == HL_OK || strncmp(msg.text, "ERR ", 4) == 0);
    }
    hl_buf_fini(&storage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hl_slice text = {.ptr = (const char *)data, .len = size};
    if (includes(text)) {
        return 0;
    }
    struct hl_config *cfg = hl_config_create(HL_ROLE_SERVER);
    struct hl_errmsg msg = {0};
    hl_err err = config_apply_key_value(cfg, "input", text, 0, &msg);
    HL_ASSERT(err == HL_OK || msg.text[0] != '\0');
    check_values(cfg);
    set_words(cfg, text);
    check_values(cfg);
    hl_config_destroy(cfg);
    return 0;
}
