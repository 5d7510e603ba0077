/* YAML files: leaves have bounded, well-formed places, and settings keep their types and ranges
 * whatever the file says. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/config_internal.h"

static void check_leaves(struct hl_slice text)
{
    struct config_leaves leaves = {0};
    struct hl_errmsg msg = {0};
    if (config_yaml_leaves("input", text, &leaves, &msg) != HL_OK) {
        HL_ASSERT(msg.text[0] != '\0');
        HL_ASSERT(leaves.count == 0);
        return;
    }
    HL_ASSERT(leaves.count <= CONFIG_LEAVES_MAX);
    for (size_t i = 0; i < leaves.count; i++) {
        HL_ASSERT(leaves.items[i].line >= 1 && leaves.items[i].column >= 1);
        HL_ASSERT(leaves.items[i].path[0] != '\0');
    }
    config_leaves_fini(&leaves);
}

/* G1: each value is one that its own row accepts. */
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
    struct hl_config_peer peers[HL_CONFIG_PEERS_MAX];
    HL_ASSERT(hl_config_peers(cfg, peers) <= HL_CONFIG_PEERS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hl_slice text = {.ptr = (const char *)data, .len = size};
    check_leaves(text);
    struct hl_config *cfg = hl_config_create(HL_ROLE_SERVER);
    struct hl_errmsg msg = {0};
    hl_err err = config_apply_yaml(cfg, "input", text, &msg);
    HL_ASSERT(err == HL_OK || msg.text[0] != '\0');
    check_values(cfg);
    hl_config_destroy(cfg);
    return 0;
}
