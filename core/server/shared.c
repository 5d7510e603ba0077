#include "server/shared.h"

#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/config_internal.h"
#include "server/server.h"

struct hl_shared {
    struct hl_server *server;
    char *base[HL_CFG_COUNT];  /* what this node was started with; NULL: not shared */
    bool chosen[HL_CFG_COUNT]; /* somebody said so: it is not the default */
    bool told[HL_CFG_COUNT];
};

static bool in_group(const struct hl_shared *shared)
{
    return hl_config_bool(shared->server->config, HL_CFG_RAFT);
}

/* The password is shared as a part of user "default". */
static bool is_listed(int id)
{
    return config_flag(&config_rows[id], 'G') && id != HL_CFG_REQUIREPASS;
}

static char *value_dup(const struct hl_config *cfg, enum hl_cfg id)
{
    struct hl_buf text = {0};
    hl_config_format(cfg, id, &text);
    char *copy = hl_strndup(text.len == 0 ? "" : text.ptr, text.len);
    hl_buf_fini(&text);
    return copy;
}

/* --- from the table to the settings ------------------------------------------------------------
 */

static void set(struct hl_shared *shared, enum hl_cfg id, struct hl_slice value)
{
    struct hl_config *cfg = shared->server->config;
    struct hl_errmsg reason = {{0}};
    enum hl_cfg failed = HL_CFG_COUNT;
    struct config_staged staged = {.id = id};
    hl_err err = config_parse(id, value, false, &cfg->values[id], &staged.value, &reason);
    if (err == HL_OK) {
        staged.value.source = HL_CFG_FROM_CLIENT;
        err = config_commit(cfg, &staged, 1, &failed, &reason);
    }
    if (err != HL_OK) {
        hl_node_log(shared->server->node, 3,
                    "the cluster's value of %s cannot be used here, %s is: %s",
                    config_rows[id].name, shared->base[id], reason.text);
    }
}

static void tell(struct hl_shared *shared, enum hl_cfg id, struct hl_slice value)
{
    bool differs = !hl_slice_equal(value, hl_slice_of(shared->base[id]));
    if (differs && shared->chosen[id] && !shared->told[id]) {
        shared->told[id] = true;
        hl_node_log(shared->server->node, 3,
                    "this node was started with %s '%.100s', but the cluster has '%.*s', which is "
                    "in force: change it with CONFIG SET, on any node",
                    config_rows[id].name, shared->base[id],
                    (int)(value.len < 100 ? value.len : 100), value.ptr);
    }
}

static void on_changed(void *ctx)
{
    struct hl_server *server = ctx;
    struct hl_shared *shared = server->shared;
    if (!in_group(shared)) {
        return;
    }
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        if (!is_listed(id)) {
            continue;
        }
        struct hl_slice value = hl_slice_of(shared->base[id]);
        if (hl_settings_value(server->node, hl_slice_of(config_rows[id].name), &value)) {
            tell(shared, (enum hl_cfg)id, value);
        }
        char *now = value_dup(server->config, (enum hl_cfg)id);
        if (!hl_slice_equal(hl_slice_of(now), value)) {
            set(shared, (enum hl_cfg)id, value);
        }
        hl_free(now);
    }
}

/* --- from the settings to the table ------------------------------------------------------------
 */

/* Words for the log: names as the table has them, values as CONFIG GET shows them. */
struct words {
    struct hl_slice at[2 * HL_CFG_COUNT];
    size_t count;
};

static void add(struct words *words, const struct hl_config *cfg, enum hl_cfg id)
{
    words->at[words->count++] = hl_slice_of(config_rows[id].name);
    words->at[words->count++] = hl_slice_of(value_dup(cfg, id));
}

static void record(struct hl_server *server, struct words *words)
{
    if (words->count != 0) {
        hl_settings_record(server->node, words->at, words->count);
    }
    for (size_t i = 1; i < words->count; i += 2) {
        hl_free((void *)words->at[i].ptr);
    }
}

static void on_seed(void *ctx)
{
    struct hl_server *server = ctx;
    struct words *words = hl_calloc(1, sizeof *words);
    struct hl_slice value;
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        if (is_listed(id) &&
            !hl_settings_value(server->node, hl_slice_of(config_rows[id].name), &value)) {
            add(words, server->config, (enum hl_cfg)id);
        }
    }
    record(server, words);
    hl_free(words);
}

/* Which of the pairs' settings are shared; *password is where the value of requirepass is. */
static size_t count_shared(const struct hl_slice *pairs, size_t count, size_t *passwords,
                           struct hl_slice *password)
{
    size_t found = 0;
    for (size_t i = 0; i + 1 < count; i += 2) {
        int id = config_find(CONFIG_SPACE_NAME, pairs[i]);
        if (id == CONFIG_NONE || !config_flag(&config_rows[id], 'G')) {
            continue;
        }
        found++;
        if (id == HL_CFG_REQUIREPASS) {
            *password = pairs[i + 1];
            (*passwords)++;
        }
    }
    return found;
}

/* The leader: the settings here, then the log; the password is the user's. */
static hl_err set_here(struct hl_server *server, const struct hl_slice *pairs, size_t count,
                       const struct hl_slice *password, struct hl_errmsg *msg)
{
    struct words *words = hl_calloc(1, sizeof *words);
    struct hl_slice *own = hl_calloc(count, sizeof *own);
    size_t own_count = 0;
    for (size_t i = 0; i < count; i += 2) {
        if (config_find(CONFIG_SPACE_NAME, pairs[i]) != HL_CFG_REQUIREPASS) {
            own[own_count++] = pairs[i];
            own[own_count++] = pairs[i + 1];
        }
    }
    hl_err err = hl_admin_may_change(server->node, msg);
    if (err == HL_OK && own_count != 0) {
        err = hl_config_set(server->config, own, own_count, false, msg);
    }
    for (size_t i = 0; err == HL_OK && i < own_count; i += 2) {
        add(words, server->config, (enum hl_cfg)config_find(CONFIG_SPACE_NAME, own[i]));
    }
    record(server, words);
    if (err == HL_OK && password != NULL) {
        err = hl_admin_require_password(server->node, *password, msg);
    }
    hl_free(own);
    hl_free(words);
    return err;
}

bool hl_shared_set(struct hl_shared *shared, struct hl_call *call)
{
    const struct hl_slice *pairs = call->argv + 2;
    size_t count = (size_t)call->argc - 2;
    size_t passwords = 0;
    struct hl_slice password = {0};
    struct hl_errmsg msg = {{0}};
    if (!in_group(shared) || count % 2 != 0) {
        return false;
    }
    size_t found = count_shared(pairs, count, &passwords, &password);
    if (found == 0) {
        return false;
    }
    if (found * 2 != count) {
        hl_reply_error(call,
                       "ERR CONFIG SET failed - settings of the whole cluster and settings of "
                       "this node cannot be changed together; nothing was changed");
        return true;
    }
    if (passwords > 1) {
        hl_reply_error(call, "ERR CONFIG SET failed (possibly related to argument 'requirepass') - "
                             "duplicate parameter");
        return true;
    }
    if (hl_admin_forward(call)) {
        return true;
    }
    if (set_here(shared->server, pairs, count, passwords != 0 ? &password : NULL, &msg) != HL_OK) {
        hl_reply_error(call, msg.text);
        return true;
    }
    hl_write_ok(call->out);
    return true;
}

/* --- life --------------------------------------------------------------------------------------
 */

struct hl_shared *hl_shared_create(struct hl_server *server)
{
    struct hl_shared *shared = hl_calloc(1, sizeof *shared);
    shared->server = server;
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        if (is_listed(id)) {
            shared->base[id] = value_dup(server->config, (enum hl_cfg)id);
            shared->chosen[id] =
                hl_config_source(server->config, (enum hl_cfg)id) != HL_CFG_FROM_DEFAULT;
        }
    }
    server->world.settings_changed = on_changed;
    server->world.seed_settings = on_seed;
    return shared;
}

void hl_shared_destroy(struct hl_shared *shared)
{
    if (shared == NULL) {
        return;
    }
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        hl_free(shared->base[id]);
    }
    hl_free(shared);
}
