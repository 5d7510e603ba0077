/* ACL: users and their rights by command. */
#include "command/args.h"
#include "command/help.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "node/acl.h"
#include "node/node_internal.h"

#define GENPASS_BITS_MAX 4096
#define LOG_COUNT_DEFAULT 10

static int shown(struct hl_slice text)
{
    return text.len < 128 ? (int)text.len : 128;
}

/* True unless there are more arguments than the subcommand takes; then replies so. */
static bool at_most(struct hl_call *call, int argc)
{
    if (call->argc > argc) {
        hl_reply_errorf(call,
                        "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try ACL "
                        "HELP.",
                        shown(call->argv[1]), call->argv[1].ptr);
        return false;
    }
    return true;
}

static void cmd_whoami(struct hl_call *call)
{
    hl_write_bulk_text(call->out, hl_session_user_name(call->session));
}

static void cmd_users(struct hl_call *call)
{
    const struct hl_acl *acl = call->node->acl;
    hl_write_array(call->out, hl_acl_count(acl));
    for (size_t i = 0; i < hl_acl_count(acl); i++) {
        hl_write_bulk(call->out, hl_acl_name(hl_acl_at(acl, i)));
    }
}

static void cmd_list(struct hl_call *call)
{
    const struct hl_acl *acl = call->node->acl;
    struct hl_buf line = {0};
    hl_write_array(call->out, hl_acl_count(acl));
    for (size_t i = 0; i < hl_acl_count(acl); i++) {
        hl_buf_clear(&line);
        hl_acl_describe(hl_acl_at(acl, i), &line);
        hl_write_bulk(call->out, hl_buf_view(&line));
    }
    hl_buf_fini(&line);
}

static void cmd_getuser(struct hl_call *call)
{
    const struct hl_user *user = hl_acl_find(call->node->acl, call->argv[2]);
    if (user == NULL) {
        hl_write_null(call->out);
        return;
    }
    hl_acl_write_user(user, call->out);
}

static void cmd_setuser(struct hl_call *call)
{
    struct hl_errmsg msg = {0};
    if (hl_admin_set_user(call->node, call->argv[2], call->argv + 3, (size_t)call->argc - 3,
                          &msg) != HL_OK) {
        hl_reply_error(call, msg.text);
        return;
    }
    hl_write_ok(call->out);
}

static void cmd_deluser(struct hl_call *call)
{
    struct hl_errmsg msg = {0};
    if (hl_admin_may_change(call->node, &msg) != HL_OK) {
        hl_reply_error(call, msg.text);
        return;
    }
    for (int i = 2; i < call->argc; i++) {
        if (hl_slice_equal(call->argv[i], hl_slice_of("default"))) {
            hl_reply_error(call, "ERR The 'default' user cannot be removed");
            return;
        }
    }
    hl_write_int(call->out, hl_admin_remove_users(call->node, call->argv + 2,
                                                  (size_t)call->argc - 2, call->session));
}

/* The commands of a category, or all categories. */
static void cmd_cat(struct hl_call *call)
{
    if (!at_most(call, 3)) {
        return;
    }
    if (call->argc == 2) {
        hl_write_array(call->out, HL_ACL_CATEGORIES);
        for (int bit = 0; bit < HL_ACL_CATEGORIES; bit++) {
            hl_write_bulk_text(call->out, hl_acl_category_name(bit));
        }
        return;
    }
    uint32_t category = hl_acl_category(call->argv[2]);
    if (category == 0) {
        hl_reply_errorf(call, "ERR Unknown category '%.*s'", shown(call->argv[2]),
                        call->argv[2].ptr);
        return;
    }
    const struct hl_command_table *table = call->node->commands;
    size_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            hl_write_array(call->out, count);
        }
        for (uint32_t id = 0; id < hl_command_id_end(table); id++) {
            const struct hl_command *cmd = hl_command_by_id(table, id);
            if (cmd == NULL || (cmd->acl & category) == 0) {
                continue;
            }
            count++;
            if (pass == 1) {
                hl_write_bulk_text(call->out, cmd->row->name);
            }
        }
    }
}

static void cmd_genpass(struct hl_call *call)
{
    if (!at_most(call, 3)) {
        return;
    }
    int64_t bits = 256;
    if (call->argc == 3 && !hl_arg_i64(call, 2, &bits)) {
        return;
    }
    if (bits <= 0 || bits > GENPASS_BITS_MAX) {
        hl_reply_error(call, "ERR ACL GENPASS argument must be the number of bits for the output "
                             "password, a positive number up to 4096");
        return;
    }
    size_t digits = (size_t)(bits + 3) / 4;
    unsigned char random[GENPASS_BITS_MAX / 8];
    char text[GENPASS_BITS_MAX / 4 + 1];
    call->node->world->entropy(call->node->world->ctx, random, (digits + 1) / 2);
    for (size_t i = 0; i < digits; i++) {
        int nibble = i % 2 == 0 ? random[i / 2] >> 4 : random[i / 2] & 15;
        text[i] = "0123456789abcdef"[nibble];
    }
    hl_write_bulk(call->out, (struct hl_slice){.ptr = text, .len = digits});
}

static void cmd_log(struct hl_call *call)
{
    struct hl_acl *acl = call->node->acl;
    if (!at_most(call, 3)) {
        return;
    }
    if (call->argc == 3 && hl_arg_is(call, 2, "reset")) {
        hl_acl_log_reset(acl);
        hl_write_ok(call->out);
        return;
    }
    int64_t count = LOG_COUNT_DEFAULT;
    if (call->argc == 3 && !hl_arg_i64(call, 2, &count)) {
        return;
    }
    hl_acl_log_write(acl, count < 0 ? 0 : (size_t)count, call->now_ms, call->out);
}

static void reply_dryrun(struct hl_call *call, const struct hl_user *user, struct hl_command *cmd)
{
    const struct hl_slice *argv = call->argv + 3;
    int index = 0;
    enum hl_acl_verdict verdict =
        hl_acl_check(call->node->acl, user, cmd, argv, call->argc - 3, &index);
    switch (verdict) {
    case HL_ACL_ALLOWED:
        hl_write_ok(call->out);
        return;
    case HL_ACL_NO_COMMAND:
        hl_write_bulk_printf(call->out, "This user has no permissions to run the '%s' command",
                             cmd->row->name);
        return;
    case HL_ACL_NO_KEY:
    case HL_ACL_NO_CHANNEL:
        hl_write_bulk_printf(call->out, "This user has no permissions to access the '%.*s' %s",
                             shown(argv[index]), argv[index].ptr,
                             verdict == HL_ACL_NO_KEY ? "key" : "channel");
        return;
    }
}

static void cmd_dryrun(struct hl_call *call)
{
    const struct hl_user *user = hl_acl_find(call->node->acl, call->argv[2]);
    if (user == NULL) {
        hl_reply_errorf(call, "ERR User '%.*s' not found", shown(call->argv[2]), call->argv[2].ptr);
        return;
    }
    int argc = call->argc - 3;
    struct hl_command *cmd = hl_command_of(call->node->commands, call->argv + 3, argc);
    if (cmd == NULL || (cmd->sub_count != 0 && argc > 1)) {
        hl_reply_errorf(call, "ERR Command '%.*s' not found", shown(call->argv[3]),
                        call->argv[3].ptr);
        return;
    }
    if (!hl_command_arity_ok(cmd, argc) || cmd->run == NULL) {
        hl_reply_errorf(call, "ERR wrong number of arguments for '%s' command", cmd->row->name);
        return;
    }
    reply_dryrun(call, user, cmd);
}

/* The ACL file, or NULL after replying that there is none. */
static const struct hl_acl_files *files_of(struct hl_call *call)
{
    const struct hl_acl_files *files = hl_acl_files(call->node->acl);
    if (files == NULL) {
        hl_reply_error(call, "ERR This Redis instance is not configured to use an ACL file. You "
                             "may want to specify users via the ACL SETUSER command and then "
                             "issue a CONFIG REWRITE (assuming you have a Redis configuration "
                             "file set) in order to store users in the Redis configuration.");
    }
    return files;
}

static void cmd_load(struct hl_call *call)
{
    const struct hl_acl_files *files = files_of(call);
    if (files == NULL) {
        return;
    }
    struct hl_buf text = {0};
    struct hl_errmsg msg = {0};
    hl_err err = files->read(files->ctx, &text, &msg);
    if (err == HL_OK) {
        err = hl_admin_load_users(call->node, files->name, hl_buf_view(&text), call->session, &msg);
    }
    hl_buf_fini(&text);
    if (err != HL_OK) {
        hl_reply_errorf(call, "%s%s", err == HL_EBUSY ? "" : "ERR ", msg.text);
        return;
    }
    hl_write_ok(call->out);
}

static void cmd_save(struct hl_call *call)
{
    const struct hl_acl_files *files = files_of(call);
    if (files == NULL) {
        return;
    }
    struct hl_buf text = {0};
    struct hl_errmsg msg = {0};
    hl_acl_save(call->node->acl, &text);
    hl_err err = files->write(files->ctx, hl_buf_view(&text), &msg);
    hl_buf_fini(&text);
    if (err != HL_OK) {
        hl_node_log(call->node, 3, "ACL SAVE: %s", msg.text);
        hl_reply_error(call, "ERR There was an error trying to save the ACLs. Please check the "
                             "server logs for more information");
        return;
    }
    hl_admin_saved_users(call->node);
    hl_write_ok(call->out);
}

#define OPEN_FLAGS (HL_CMD_NOSCRIPT | HL_CMD_LOADING | HL_CMD_STALE)
#define ADMIN_FLAGS (OPEN_FLAGS | HL_CMD_ADMIN)

#define ACL_ROW(sub, handler, arg_count, extra, version, cost, text, grammar)                      \
    {                                                                                              \
        .name = "acl|" sub, .run = (handler), .arity = (arg_count), .flags = (extra),              \
        .group = "server", .since = (version), .complexity = (cost), .summary = (text),            \
        .args = (grammar)                                                                          \
    }

const struct hl_command_row hl_commands_acl[] = {
    {.name = "acl",
     .arity = -2,
     .group = "server",
     .since = "6.0.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Users and what they may do."},
    ACL_ROW("cat", cmd_cat, -2, OPEN_FLAGS, "6.0.0", "O(1)",
            "List the categories of commands, or the commands of one.", "[category:string]"),
    ACL_ROW("deluser", cmd_deluser, -3, ADMIN_FLAGS | HL_CMD_NO_ASYNC_LOADING | HL_CMD_LOGGED,
            "6.0.0", "O(1)", "Remove users and close their connections.",
            "username:string..."),
    ACL_ROW("dryrun", cmd_dryrun, -4, ADMIN_FLAGS, "7.0.0", "O(1)",
            "Say whether a user may run a request, without running it.",
            "username:string command:string [arg:string...]"),
    ACL_ROW("genpass", cmd_genpass, -2, OPEN_FLAGS, "6.0.0", "O(1)",
            "Make a random password of 256 or the given number of bits.", "[bits:integer]"),
    ACL_ROW("getuser", cmd_getuser, 3, ADMIN_FLAGS, "6.0.0", "O(N) with N rules",
            "Show the rules of a user.", "username:string"),
    ACL_ROW("list", cmd_list, 2, ADMIN_FLAGS, "6.0.0", "O(N) with N users",
            "Show all users as lines of an ACL file.", NULL),
    ACL_ROW("load", cmd_load, 2, ADMIN_FLAGS, "6.0.0", "O(N) with N users",
            "Replace all users by those of the ACL file.", NULL),
    ACL_ROW("log", cmd_log, -2, ADMIN_FLAGS, "6.0.0", "O(N) with N entries shown",
            "Show or forget what was refused lately.", "[(count:integer|RESET)]"),
    ACL_ROW("save", cmd_save, 2, ADMIN_FLAGS, "6.0.0", "O(N) with N users",
            "Write all users to the ACL file.", NULL),
    ACL_ROW("setuser", cmd_setuser, -3,
            ADMIN_FLAGS | HL_CMD_NO_ASYNC_LOADING | HL_CMD_SENSITIVE | HL_CMD_LOGGED, "6.0.0",
            "O(N) with N rules", "Make or change a user.", "username:string [rule:string...]"),
    ACL_ROW("users", cmd_users, 2, ADMIN_FLAGS, "6.0.0", "O(N) with N users",
            "List the names of all users.", NULL),
    ACL_ROW("whoami", cmd_whoami, 2, OPEN_FLAGS, "6.0.0", "O(1)",
            "Show the user of this connection.", NULL),
    HL_HELP_ROW("acl", 0, "server", "6.0.0"),
};
const size_t hl_commands_acl_count = HL_ARRAY_LEN(hl_commands_acl);
