/* The MODULE command. */
#include "abi/durable.h"
#include "abi/internal.h"

#define LOAD_FAILED "ERR Error loading the extension. Please check the server logs."
#define NOT_ALLOWED                                                                                \
    "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", "    \
    "you can run it from a local connection, otherwise you need to set this option in the "        \
    "configuration file, and then restart the server."

/* Whether the caller may use MODULE LOAD and UNLOAD; replies when not. */
static bool allowed(struct hl_call *call)
{
    const struct hl_abi_services *services = hl_abi_current->services;
    if ((call->flags & HL_CALL_REPLICATED) == 0 && services->module_allowed != NULL &&
        !services->module_allowed(services->ctx, call->session)) {
        hl_reply_error(call, NOT_ALLOWED);
        return false;
    }
    return true;
}

/* Load and reply. */
static void load(struct hl_call *call, int first_arg, const struct hl_abi_setting *settings,
                 int setting_count)
{
    if ((call->flags & HL_CALL_REPLICATED) != 0 && hl_durable_has(hl_abi_current, call->argv[2])) {
        hl_durable_mark(hl_abi_current, call->argv[2]);
        hl_write_ok(call->out); /* the configuration file or a snapshot loaded it already */
        return;
    }
    char *path = hl_strndup(call->argv[2].ptr, call->argv[2].len);
    hl_err err = hl_abi_load(hl_abi_current, path, call->argv + first_arg, call->argc - first_arg,
                             settings, setting_count, NULL);
    hl_free(path);
    if (err == HL_OK) {
        hl_durable_mark(hl_abi_current, call->argv[2]);
        call->changes++; /* an entry of the log: a replay loads it before it needs it */
        hl_write_ok(call->out);
    } else {
        hl_reply_error(call, LOAD_FAILED);
    }
}

static void module_load(struct hl_call *call)
{
    if (allowed(call)) {
        load(call, 3, NULL, 0);
    }
}

/* MODULE LOADEX path [CONFIG name value]... [ARGS arg...] */
static void module_loadex(struct hl_call *call)
{
    if (!allowed(call)) {
        return;
    }
    struct hl_abi_setting *settings = hl_calloc((size_t)call->argc, sizeof *settings);
    int count = 0;
    int at = 3;
    while (hl_arg_is(call, at, "config") && at + 2 < call->argc) {
        settings[count++] =
            (struct hl_abi_setting){.name = call->argv[at + 1], .value = call->argv[at + 2]};
        at += 3;
    }
    if (at < call->argc && !hl_arg_is(call, at, "args")) {
        const struct hl_abi_services *services = hl_abi_current->services;
        services->log(services->ctx, HL_ABI_LOG_NOTICE, "Syntax Error from arguments to loadex.");
        hl_reply_error(call, LOAD_FAILED);
    } else {
        load(call, at < call->argc ? at + 1 : at, settings, count);
    }
    hl_free(settings);
}

static void module_unload(struct hl_call *call)
{
    struct hl_errmsg msg = {{0}};
    if (!allowed(call)) {
        return;
    }
    hl_err err = hl_abi_unload(hl_abi_current, call->argv[2], &msg);
    if (err == HL_ENOENT && (call->flags & HL_CALL_REPLICATED) != 0) {
        err = HL_OK;
    }
    if (err == HL_OK) {
        call->changes++;
        hl_write_ok(call->out);
    } else {
        hl_reply_errorf(call, "ERR Error unloading module: %s", msg.text);
    }
}

void hl_module_list(struct hl_abi *abi, struct hl_writer *out)
{
    size_t count = 0;
    HL_LIST_EACH(m, &abi->modules)
    {
        count++;
    }
    hl_write_array(out, count);
    HL_LIST_EACH(m, &abi->modules)
    {
        const struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        hl_write_map(out, 4);
        hl_write_bulk_text(out, "name");
        hl_write_bulk_text(out, module->name);
        hl_write_bulk_text(out, "ver");
        hl_write_int(out, module->version);
        hl_write_bulk_text(out, "path");
        hl_write_bulk_text(out, module->path);
        hl_write_bulk_text(out, "args");
        hl_write_array(out, (size_t)module->argc);
        for (int i = 0; i < module->argc; i++) {
            hl_write_bulk(out, hl_string_slice(module->argv[i]));
        }
    }
}

static void module_list(struct hl_call *call)
{
    hl_module_list(hl_abi_current, call->out);
}

static void module_help(struct hl_call *call)
{
    static const char *const lines[] = {
        "MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "LIST",
        "    Return a list of loaded modules.",
        "LOAD <path> [<arg> ...]",
        "    Load a module library from <path>, passing to it any optional arguments.",
        "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
        "    Load a module library from <path>, while passing it module configurations and "
        "optional arguments.",
        "UNLOAD <name>",
        "    Unload a module.",
        "HELP",
        "    Prints this help.",
    };
    hl_write_array(call->out, HL_ARRAY_LEN(lines));
    for (size_t i = 0; i < HL_ARRAY_LEN(lines); i++) {
        hl_write_simple(call->out, lines[i]);
    }
}

/* Not in MULTI: a command that is queued behind it could be gone. */
#define CHANGES                                                                                    \
    (HL_CMD_ADMIN | HL_CMD_NOSCRIPT | HL_CMD_NO_ASYNC_LOADING | HL_CMD_NO_MULTI | HL_CMD_LOGGED)
#define DANGER (HL_ACL_ADMIN | HL_ACL_DANGEROUS)

const struct hl_command_row hl_commands_module[] = {
    {.name = "module",
     .arity = -2,
     .group = "server",
     .since = "4.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "Loads, unloads and lists modules."},
    {.name = "module|help",
     .run = module_help,
     .arity = 2,
     .flags = HL_CMD_LOADING | HL_CMD_STALE,
     .group = "server",
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Shows what MODULE can do."},
    {.name = "module|list",
     .run = module_list,
     .arity = 2,
     .flags = HL_CMD_ADMIN | HL_CMD_NOSCRIPT,
     .acl = DANGER,
     .group = "server",
     .since = "4.0.0",
     .complexity = "O(N) where N is the number of loaded modules.",
     .summary = "Lists the loaded modules.",
     .tips = "nondeterministic_output_order"},
    {.name = "module|load",
     .run = module_load,
     .arity = -3,
     .flags = CHANGES,
     .acl = DANGER,
     .group = "server",
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Loads a module.",
     .args = "path [arg...]"},
    {.name = "module|loadex",
     .run = module_loadex,
     .arity = -3,
     .flags = CHANGES,
     .acl = DANGER,
     .group = "server",
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "Loads a module with settings.",
     .args = "path [CONFIG name value...] [ARGS arg...]"},
    {.name = "module|unload",
     .run = module_unload,
     .arity = 3,
     .flags = CHANGES,
     .acl = DANGER,
     .group = "server",
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Unloads a module.",
     .args = "name"},
};
const size_t hl_commands_module_count = HL_ARRAY_LEN(hl_commands_module);
