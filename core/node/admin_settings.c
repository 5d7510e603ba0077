/* Settings that a group shares: name and value of those that an entry named.
 *
 * The node keeps them as texts; what they mean is the edge's affair, which is told when something
 * changed and asks for the values.  What no entry named is each node's own.
 */
#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/sha256.h"
#include "node/cursor.h"
#include "node/node_internal.h"

#define TABLE_VERSION 1

static struct hl_setting *find(const struct hl_settings *settings, struct hl_slice name)
{
    for (size_t i = 0; i < settings->count; i++) {
        struct hl_setting *setting = &settings->at[i];
        if (hl_slice_is(name, setting->name)) {
            return setting;
        }
    }
    return NULL;
}

bool hl_settings_value(const struct hl_node *node, struct hl_slice name, struct hl_slice *value)
{
    const struct hl_setting *setting = find(&node->admin.settings, name);
    if (setting == NULL) {
        return false;
    }
    *value = hl_buf_view(&setting->value);
    return true;
}

static void clear(struct hl_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        hl_free(settings->at[i].name);
        hl_buf_fini(&settings->at[i].value);
    }
    hl_free(settings->at);
    *settings = (struct hl_settings){0};
}

void hl_settings_fini(struct hl_node *node)
{
    clear(&node->admin.settings);
}

/* False when there are too many, or a text is too long. */
static bool put(struct hl_settings *settings, struct hl_slice name, struct hl_slice value)
{
    if (name.len == 0 || name.len > HL_SETTING_NAME_MAX || value.len > HL_SETTING_VALUE_MAX ||
        memchr(name.ptr, '\0', name.len) != NULL) {
        return false;
    }
    struct hl_setting *setting = find(settings, name);
    if (setting == NULL && settings->count == HL_SETTINGS_MAX) {
        return false;
    }
    if (setting == NULL) {
        settings->at = hl_realloc(settings->at, (settings->count + 1) * sizeof *settings->at);
        setting = &settings->at[settings->count++];
        *setting = (struct hl_setting){.name = hl_strndup(name.ptr, name.len)};
    }
    hl_buf_clear(&setting->value);
    hl_buf_append_slice(&setting->value, value);
    return true;
}

void hl_settings_look(struct hl_node *node)
{
    if (node->world->settings_changed != NULL && !node->cluster.rebuilding) {
        node->world->settings_changed(node->world->ctx);
    }
}

void hl_settings_record(struct hl_node *node, const struct hl_slice *words, size_t count)
{
    HL_ASSERT(node->unit.open && count % 2 == 0 && count != 0);
    struct hl_slice *effect = hl_calloc(count + 1, sizeof *effect);
    effect[0] = hl_slice_of("HELIOS.CONFIG");
    memcpy(effect + 1, words, count * sizeof *words);
    for (size_t i = 0; i < count; i += 2) {
        bool fits = put(&node->admin.settings, words[i], words[i + 1]);
        HL_ASSERT(fits); /* the edge has fewer settings than that */
    }
    hl_unit_admin(node);
    hl_unit_effect(node, 0, (int)count + 1, effect);
    hl_free(effect);
}

/* The effect: only logs say this. */
static void cmd_settings(struct hl_call *call)
{
    if ((call->flags & HL_CALL_REPLICATED) == 0) {
        hl_reply_error(call, "ERR this is part of the log, not of what clients say");
        return;
    }
    for (int i = 1; i + 1 < call->argc; i += 2) {
        if (!put(&call->node->admin.settings, call->argv[i], call->argv[i + 1])) {
            hl_reply_error(call, "ERR a setting that no server could have");
            return;
        }
    }
    hl_unit_admin(call->node);
    hl_settings_look(call->node);
    hl_write_ok(call->out);
}

/* --- the table ---------------------------------------------------------------------------------
 */

void hl_settings_save(void *ctx, struct hl_buf *out)
{
    const struct hl_node *node = ctx;
    const struct hl_settings *settings = &node->admin.settings;
    hl_buf_append_le32(out, TABLE_VERSION);
    hl_buf_append_le32(out, (uint32_t)settings->count);
    for (size_t i = 0; i < settings->count; i++) {
        hl_buf_append_text16(out, hl_slice_of(settings->at[i].name));
        hl_buf_append_text16(out, hl_buf_view(&settings->at[i].value));
    }
}

hl_err hl_settings_load(void *ctx, struct hl_slice contents, struct hl_errmsg *msg)
{
    struct hl_node *node = ctx;
    struct hl_settings fresh = {0};
    struct hl_cursor in = hl_cursor_over(contents);
    uint32_t version = hl_cursor_u32(&in);
    if (in.ok && version != TABLE_VERSION) {
        return hl_fail(msg, HL_EVERSION, "settings: format version %u, this build knows %u",
                       version, (unsigned)TABLE_VERSION);
    }
    uint32_t count = hl_cursor_u32(&in);
    for (uint32_t i = 0; i < count && in.ok; i++) {
        struct hl_slice name = hl_cursor_text(&in);
        struct hl_slice value = hl_cursor_text(&in);
        in.ok = in.ok && put(&fresh, name, value);
    }
    if (!in.ok || in.left != 0) {
        clear(&fresh);
        return hl_fail(msg, HL_ECORRUPT, "the snapshot's settings are malformed");
    }
    clear(&node->admin.settings);
    node->admin.settings = fresh;
    hl_settings_look(node);
    return HL_OK;
}

void hl_settings_digest(const struct hl_node *node, unsigned char out[20])
{
    const struct hl_settings *settings = &node->admin.settings;
    struct hl_buf bytes = {0};
    for (size_t i = 0; i < settings->count; i++) {
        unsigned char one[HL_SHA256_BYTES];
        hl_buf_clear(&bytes);
        hl_buf_append_text16(&bytes, hl_slice_of(settings->at[i].name));
        hl_buf_append_text16(&bytes, hl_buf_view(&settings->at[i].value));
        hl_sha256(hl_buf_view(&bytes), one);
        for (size_t k = 0; k < 20; k++) {
            out[k] ^= one[k];
        }
    }
    hl_buf_fini(&bytes);
}

const struct hl_command_row hl_commands_settings[] = {
    {.name = "helios.config",
     .run = cmd_settings,
     .arity = -3,
     .flags = HL_CMD_ADMIN | HL_CMD_NOSCRIPT | HL_CMD_LOGGED,
     .acl = HL_ACL_DANGEROUS,
     .group = "server",
     .since = "8.0.0",
     .complexity = "O(N) where N is the number of settings it names",
     .summary = "Settings that a cluster shares: only in the log.",
     .args = "(parameter:string value:string)..."},
};
const size_t hl_commands_settings_count = HL_ARRAY_LEN(hl_commands_settings);
