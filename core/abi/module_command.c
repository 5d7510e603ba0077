/* The MODULE command. */
#include "abi/agree.h"
#include "abi/durable.h"
#include "abi/reload.h"
#include "node/barrier.h"

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

/* The words that are logged: those of the order behind MODULE LOADEX or RELOAD. */
static void record(struct hl_call *call, const char *subcommand, const struct hl_words *words)
{
    struct hl_slice *argv = hl_calloc((size_t)words->count + 2, sizeof *argv);
    argv[0] = hl_slice_of("MODULE");
    argv[1] = hl_slice_of(subcommand);
    for (int i = 0; i < words->count; i++) {
        argv[i + 2] = words->at[i];
    }
    hl_call_effect(call, words->count + 2, argv);
    hl_free(argv);
}

/* An order of the log. */
static void apply_load(struct hl_call *call, struct hl_order *order)
{
    struct hl_module *module = hl_durable_find(hl_abi_current, order);
    struct hl_errmsg msg = {{0}};
    order->elsewhere = true;
    hl_err err = HL_OK;
    if (module == NULL) { /* otherwise the configuration file or a snapshot loaded it already */
        err = hl_module_load(hl_abi_current, order, &module, &msg);
    }
    if (err == HL_OK) {
        hl_durable_mark(module, call->argv + 2, call->argc - 2);
        hl_write_ok(call->out);
    } else {
        hl_reply_errorf(call, "ERR %s", msg.text);
    }
}

/* An order of a client. */
static void load(struct hl_call *call, const struct hl_order *order)
{
    struct hl_abi *abi = hl_abi_current;
    if (hl_agree_needed(call)) {
        unsigned char sum[HL_OBJECT_SUM];
        struct hl_errmsg msg = {{0}};
        if (hl_agree_probe(abi, order->path, false, sum, &msg) == HL_OK) {
            hl_agree_begin(call, HL_AGREE_LOAD, order->path, (struct hl_slice){0});
        } else {
            hl_module_log(abi, HL_ABI_LOG_WARNING, "Module %.*s failed to load: %s",
                          (int)order->path.len, order->path.ptr, msg.text);
            hl_reply_error(call, LOAD_FAILED);
        }
        return;
    }
    struct hl_module *module = NULL;
    if (hl_module_load(abi, order, &module, NULL) != HL_OK) {
        hl_reply_error(call, LOAD_FAILED);
        return;
    }
    uint32_t count = 0;
    const struct hl_slice *sums =
        (call->flags & HL_CALL_BARRIER) != 0 ? hl_barrier_answers(call->node, &count) : NULL;
    struct hl_words words = {0};
    hl_order_write(order, module, sums, count, &words);
    hl_durable_mark(module, words.at, words.count);
    record(call, "LOADEX", &words); /* a replay loads it before it needs it */
    hl_words_fini(&words);
    hl_write_ok(call->out);
}

static void carry_out(struct hl_call *call, struct hl_order *order)
{
    if ((call->flags & HL_CALL_REPLICATED) != 0) {
        apply_load(call, order);
    } else {
        load(call, order);
    }
    hl_order_fini(order);
}

static void module_load(struct hl_call *call)
{
    struct hl_order order;
    if (allowed(call)) {
        hl_order_plain(&order, call->argv + 2, call->argc - 2);
        carry_out(call, &order);
    }
}

static void module_loadex(struct hl_call *call)
{
    struct hl_order order;
    struct hl_errmsg msg = {{0}};
    if (!allowed(call)) {
        return;
    }
    if (hl_order_read(&order, call->argv + 2, call->argc - 2, &msg) != HL_OK) {
        hl_module_log(hl_abi_current, HL_ABI_LOG_NOTICE, "%s", msg.text);
        hl_reply_error(call, LOAD_FAILED);
        return;
    }
    carry_out(call, &order);
}

static void module_unload(struct hl_call *call)
{
    struct hl_errmsg msg = {{0}};
    struct hl_abi *abi = hl_abi_current;
    if (!allowed(call)) {
        return;
    }
    const struct hl_module *module = hl_module_find(abi, call->argv[2]);
    bool passes = false;
    if (hl_agree_needed(call) && module != NULL && hl_module_refusal(module, &passes) == NULL) {
        hl_agree_begin(call, HL_AGREE_UNLOAD, call->argv[2], (struct hl_slice){0});
        return;
    }
    hl_err err = hl_abi_unload(abi, call->argv[2], &msg);
    if (err == HL_ENOENT && (call->flags & HL_CALL_REPLICATED) != 0) {
        err = HL_OK;
    }
    if (err == HL_OK) {
        call->changes++;
        hl_write_ok(call->out);
    } else {
        bool later = (call->flags & HL_CALL_REPLICATED) != 0 && err == HL_EBUSY;
        hl_reply_errorf(call, "%s Error unloading module: %s", later ? "BUSY" : "ERR", msg.text);
    }
}

/* The words behind RELOAD's name; without them the path is the one that it was loaded from. */
static bool read_reload(struct hl_call *call, struct hl_slice path, struct hl_order *order)
{
    struct hl_errmsg msg = {{0}};
    *order = (struct hl_order){.path = path};
    bool good =
        call->argc == 3 || hl_order_read(order, call->argv + 3, call->argc - 3, &msg) == HL_OK;
    if (good && (order->setting_count != 0 || order->argc != 0)) {
        hl_order_fini(order);
        good = false;
    }
    if (!good) {
        hl_reply_error(call, HL_ERR_SYNTAX);
    }
    return good;
}

/* The object is in use already: it was loaded when the file had been replaced. */
static bool is_loaded(const struct hl_module *module, const struct hl_order *order)
{
    unsigned char sum[HL_OBJECT_SUM];
    return hl_agree_probe(module->abi, order->path, true, sum, NULL) == HL_OK &&
           memcmp(sum, hl_object_sum(module->object), sizeof sum) == 0;
}

/* What snapshots say about the module names the new file from now on; `words` are those logged. */
static void renew(struct hl_module *module, const struct hl_order *order,
                  const struct hl_words *words)
{
    struct hl_order now = {0};
    struct hl_errmsg msg = {{0}};
    if (!module->durable) {
        hl_module_log(module->abi, HL_ABI_LOG_NOTICE,
                      "Module '%s' is loaded by the configuration: let it name %.*s, too",
                      module->name, (int)order->path.len, order->path.ptr);
        return;
    }
    hl_err err = hl_order_read(&now, module->order.at, module->order.count, &msg);
    HL_ASSERT(err == HL_OK); /* hl_order_write() wrote it */
    struct hl_words written = {0};
    now.path = order->path;
    hl_words_add(&written, order->path);
    for (int i = 2; i + 1 < words->count; i += 2) {
        hl_words_add(&written, words->at[i]);
        hl_words_add(&written, words->at[i + 1]);
    }
    hl_order_write_rest(&now, module, &written);
    hl_durable_mark(module, written.at, written.count);
    hl_words_fini(&written);
    hl_order_fini(&now);
}

static void swapped(struct hl_call *call, struct hl_module *module, const struct hl_order *order)
{
    uint32_t count = 0;
    const struct hl_slice *sums =
        (call->flags & HL_CALL_BARRIER) != 0 ? hl_barrier_answers(call->node, &count) : NULL;
    struct hl_words words = {0};
    hl_words_add(&words, hl_slice_of(module->name));
    hl_words_add(&words, order->path);
    hl_words_add_sum(&words, hl_object_sum(module->object));
    for (uint32_t i = 0; i < count; i++) {
        if (sums[i].len == HL_OBJECT_SUM) {
            hl_words_add_sum(&words, (const unsigned char *)sums[i].ptr);
        }
    }
    for (int i = 0; i < order->sum_count; i++) {
        hl_words_add_sum(&words, order->sums[i]);
    }
    renew(module, order, &words);
    if ((call->flags & HL_CALL_REPLICATED) == 0) {
        record(call, "RELOAD", &words);
    }
    hl_words_fini(&words);
    hl_write_ok(call->out);
}

static void swap(struct hl_call *call, struct hl_order *order)
{
    struct hl_abi *abi = hl_abi_current;
    bool replicated = (call->flags & HL_CALL_REPLICATED) != 0;
    struct hl_module *module = hl_module_find(abi, call->argv[2]);
    struct hl_errmsg msg = {{0}};
    hl_err err = HL_OK;
    order->elsewhere = replicated;
    if (!replicated || module == NULL || !is_loaded(module, order)) {
        err = hl_reload(abi, call->argv[2], order, &module, &msg);
    }
    if (err == HL_OK) {
        swapped(call, module, order);
    } else {
        hl_reply_errorf(call, "%s module %.*s is not swapped: %s", err == HL_EBUSY ? "BUSY" : "ERR",
                        (int)call->argv[2].len, call->argv[2].ptr, msg.text);
    }
}

/* MODULE RELOAD name [path [SHA256 sum]...] */
static void module_reload(struct hl_call *call)
{
    struct hl_slice path = {0};
    struct hl_order order;
    struct hl_errmsg msg = {{0}};
    if (!allowed(call)) {
        return;
    }
    hl_err err = hl_reload_possible(hl_abi_current, call->argv[2], &path, &msg);
    bool client = (call->flags & (HL_CALL_REPLICATED | HL_CALL_BARRIER)) == 0;
    if (client && err != HL_OK && err != HL_EBUSY) {
        hl_reply_errorf(call, "ERR module %.*s is not swapped: %s", (int)call->argv[2].len,
                        call->argv[2].ptr, msg.text);
        return;
    }
    char *asked = path.len == 0 ? NULL : hl_strndup(path.ptr, path.len); /* it ends with the old */
    path = asked == NULL ? path : hl_slice_of(asked);
    if (read_reload(call, path, &order)) {
        if (client) { /* everybody waits until the module is idle, and agrees */
            hl_agree_begin(call, HL_AGREE_RELOAD, call->argv[2], order.path);
        } else {
            swap(call, &order);
        }
        hl_order_fini(&order);
    }
    hl_free(asked);
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
        "RELOAD <name> [<path>]",
        "    Replace a module by what its file, or another one, holds now, without losing its "
        "data.",
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
     .args =
         "path [NAME name] [TYPE type...] [SHA256 sum...] [CONFIG name value...] [ARGS arg...]"},
    {.name = "module|reload",
     .run = module_reload,
     .arity = -3,
     .flags = CHANGES,
     .acl = DANGER,
     .group = "server",
     .since = "0.1.0",
     .complexity = "O(N) where N is the size of the module's data.",
     .summary = "Replaces a loaded module by another version of it, without losing its data.",
     .args = "name [path]"},
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
