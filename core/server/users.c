#include "server/users.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/config_internal.h"
#include "server/file_replace.h"

static hl_err read_file(void *ctx, struct hl_buf *out, struct hl_errmsg *msg)
{
    const struct hl_users *users = ctx;
    return config_read_file(hl_config_text(users->config, HL_CFG_ACLFILE), out, msg);
}

static hl_err write_file(void *ctx, struct hl_slice text, struct hl_errmsg *msg)
{
    const struct hl_users *users = ctx;
    return hl_file_replace(hl_config_text(users->config, HL_CFG_ACLFILE), text, msg);
}

/* Lines of CONFIG REWRITE: the users, when no file of their own keeps them.  An open default user
 * is the one that no line says. */
static void rewrite_users(void *ctx, struct hl_buf *lines)
{
    const struct hl_users *users = ctx;
    hl_acl_save(users->acl, lines);
}

static hl_err on_change(void *ctx, struct hl_config *config, enum hl_cfg id, struct hl_errmsg *msg)
{
    const struct hl_users *users = ctx;
    if (id == HL_CFG_REQUIREPASS) {
        return hl_admin_require_password(users->node, hl_slice_of(hl_config_text(config, id)), msg);
    }
    hl_acl_log_set_max(users->acl, hl_config_int(config, HL_CFG_ACLLOG_MAX_LEN));
    hl_acl_set_new_users_channels(users->acl, hl_config_int(config, HL_CFG_ACL_PUBSUB_DEFAULT) ==
                                                  HL_PUBSUB_ALLCHANNELS);
    return HL_OK;
}

/* The password of user "default" as far as it is known: the log keeps none in clear, and in a group
 * every node has to show the same. */
static void show_password(void *ctx, const struct hl_config *config, enum hl_cfg id,
                          struct hl_buf *out)
{
    const struct hl_users *users = ctx;
    struct hl_slice text = hl_slice_of(hl_config_text(config, id));
    if (!hl_acl_needs_password(hl_acl_default(users->acl))) {
        return;
    }
    bool known = text.len != 0 && !hl_config_bool(config, HL_CFG_RAFT) &&
                 hl_acl_login(users->acl, hl_slice_of("default"), text) != NULL;
    hl_buf_append_slice(out, known ? text : hl_slice_of("(set)"));
}

static hl_err apply_line(struct hl_acl *acl, const struct hl_config_line *line,
                         struct hl_errmsg *msg)
{
    struct hl_slice *words = hl_calloc((size_t)line->argc, sizeof *words);
    for (int i = 0; i < line->argc; i++) {
        words[i] = hl_slice_of(line->argv[i]);
    }
    struct hl_errmsg reason = {0};
    hl_err err = hl_acl_set(acl, words[0], words + 1, (size_t)line->argc - 1, &reason);
    if (err != HL_OK) {
        const char *what = strncmp(reason.text, "ERR ", 4) == 0 ? reason.text + 4 : reason.text;
        (void)hl_fail(msg, err, "%.120s: user: %s", line->origin, what);
    }
    hl_free(words);
    return err;
}

static hl_err apply_lines(const struct hl_users *users, struct hl_errmsg *msg)
{
    size_t count = 0;
    const struct hl_config_line *lines = hl_config_lines(users->config, &count);
    for (size_t i = 0; i < count; i++) {
        if (lines[i].kind != HL_CFG_LINE_USER) {
            continue;
        }
        if (users->files.name != NULL) {
            return hl_fail(msg, HL_EINVAL,
                           "%.120s: users stand either in the configuration or in the aclfile, "
                           "not in both",
                           lines[i].origin);
        }
        hl_err err = apply_line(users->acl, &lines[i], msg);
        if (err != HL_OK) {
            return err;
        }
    }
    return HL_OK;
}

static hl_err load_file(const struct hl_users *users, struct hl_errmsg *msg)
{
    struct hl_buf text = {0};
    hl_err err = users->files.read(users->files.ctx, &text, msg);
    if (err == HL_OK) {
        err = hl_acl_load(users->acl, users->files.name, hl_buf_view(&text), NULL, NULL, msg);
    }
    hl_buf_fini(&text);
    return err;
}

hl_err hl_users_start(struct hl_users *users, struct hl_config *config, struct hl_node *node,
                      struct hl_errmsg *msg)
{
    HL_ASSERT(config != NULL && node != NULL);
    struct hl_acl *acl = node->acl;
    const char *file = hl_config_text(config, HL_CFG_ACLFILE);
    *users = (struct hl_users){.config = config, .node = node, .acl = acl};
    users->files = (struct hl_acl_files){.ctx = users,
                                         .name = file[0] != '\0' ? file : NULL,
                                         .read = read_file,
                                         .write = write_file};
    hl_err err = on_change(users, config, HL_CFG_ACLLOG_MAX_LEN, msg);
    HL_ASSERT(err == HL_OK);
    const char *password = hl_config_text(config, HL_CFG_REQUIREPASS);
    if (password[0] != '\0') {
        hl_acl_require_password(acl, hl_slice_of(password));
    }
    err = apply_lines(users, msg);
    if (err == HL_OK && users->files.name != NULL) {
        err = load_file(users, msg);
        hl_acl_set_files(acl, &users->files);
    }
    if (err != HL_OK) {
        return err;
    }
    hl_acl_keep_seed(acl);
    if (users->files.name == NULL) {
        hl_config_on_rewrite_users(config, rewrite_users, users);
    }
    hl_config_on_change(config, HL_CFG_REQUIREPASS, on_change, users);
    hl_config_on_show(config, HL_CFG_REQUIREPASS, show_password, users);
    hl_config_on_change(config, HL_CFG_ACLLOG_MAX_LEN, on_change, users);
    hl_config_on_change(config, HL_CFG_ACL_PUBSUB_DEFAULT, on_change, users);
    return HL_OK;
}
