/* Loading and unloading modules.
 *
 *   L1  a module is in abi->modules from the moment OnLoad and its settings succeeded until
 *       unloading is decided; before and after, nothing finds it.
 *   L2  what goes wrong while loading leaves nothing behind: the same drops run as for unloading.
 */
#include "abi/object.h"
#include "abi/unit.h"

#include <stdio.h>

typedef int (*onload_fn)(void *ctx, RedisModuleString **argv, int argc);
typedef int (*onunload_fn)(void *ctx);

void hl_module_log(struct hl_abi *abi, enum hl_abi_log level, const char *fmt, ...)
{
    struct hl_buf text = {0};
    va_list args;
    va_start(args, fmt);
    hl_buf_vprintf(&text, fmt, args);
    va_end(args);
    hl_buf_append_u8(&text, 0);
    abi->services->log(abi->services->ctx, level, text.ptr);
    hl_buf_fini(&text);
}

/* The first of the three spellings that the object exports, or NULL. */
static void *symbol(const struct hl_module *module, const char *what)
{
    static const char *const prefixes[] = {"Helios", "Redis", "Valkey"};
    for (size_t i = 0; i < HL_ARRAY_LEN(prefixes); i++) {
        char name[64];
        snprintf(name, sizeof name, "%sModule_%s", prefixes[i], what);
        void *found = hl_object_symbol(module->object, name);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

struct hl_module *hl_module_create(struct hl_abi *abi, const char *path,
                                   const struct hl_slice *argv, int argc)
{
    struct hl_module *module = hl_calloc(1, sizeof *module);
    module->abi = abi;
    module->id = ++abi->next_module_id;
    module->path = hl_strndup(path, strlen(path));
    module->argv = hl_calloc((size_t)argc, sizeof *module->argv);
    module->argc = argc;
    for (int i = 0; i < argc; i++) {
        module->argv[i] = hl_string_new(argv[i]);
    }
    hl_list_init(&module->commands);
    hl_list_init(&module->types);
    hl_list_init(&module->used);
    return module;
}

/* L2 */
void hl_module_end(struct hl_module *module)
{
    hl_command_drop(module);
    hl_timer_drop(module);
    hl_eventloop_drop(module);
    hl_notify_drop(module);
    hl_event_drop(module);
    hl_filter_drop(module);
    hl_export_drop(module);
    hl_config_drop(module);
    hl_acl_drop(module);
    hl_commit_drop(module);
    hl_execute_drop(module);
    hl_metrics_module_drop(module);
    hl_type_drop(module);
    hl_object_close(module->object);
    for (int i = 0; i < module->argc; i++) {
        hl_string_unref(module->argv[i]);
    }
    hl_words_fini(&module->order);
    hl_free(module->argv);
    hl_free(module->path);
    hl_free(module->asked);
    hl_free(module->name);
    hl_free(module);
}

/* Run OnLoad and judge what it left. */
static hl_err run_onload(struct hl_module *module, onload_fn onload, struct hl_errmsg *msg)
{
    struct hl_abi *abi = module->abi;
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, abi, NULL);
    ctx.loading = module;
    module->loading = true;
    hl_frame_begin(&ctx);
    int result = onload(&ctx, module->argv, module->argc);
    module->loading = false;
    hl_ctx_fini(&ctx);
    (void)hl_frame_end(&ctx);
    if (result == REDISMODULE_ERR) {
        return hl_fail(msg, HL_EINVAL, "Module %s initialization failed. Module not loaded",
                       module->path);
    }
    if (module->name == NULL) {
        return hl_fail(msg, HL_EINVAL, "Module %s did not call RedisModule_Init. Not loaded",
                       module->path);
    }
    if (module->configs_pending) {
        return hl_fail(msg, HL_EINVAL,
                       "Module Configurations were not set, likely a missing LoadConfigs call. "
                       "Unloading the module.");
    }
    return HL_OK;
}

bool hl_module_agrees_to_go(struct hl_module *module)
{
    onunload_fn onunload = module->object == NULL ? NULL : (onunload_fn)symbol(module, "OnUnload");
    if (onunload == NULL) {
        return true;
    }
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, module->abi, module);
    hl_frame_begin(&ctx);
    int result = onunload(&ctx);
    hl_ctx_fini(&ctx);
    (void)hl_frame_end(&ctx);
    return result != REDISMODULE_ERR;
}

void hl_module_tell(struct hl_abi *abi, const char *name, int version, bool loaded)
{
    RedisModuleModuleChange change = {.version = REDISMODULE_MODULE_CHANGE_VERSION,
                                      .module_name = name,
                                      .module_version = version};
    hl_abi_fire(abi, REDISMODULE_EVENT_MODULE_CHANGE,
                loaded ? REDISMODULE_SUBEVENT_MODULE_LOADED : REDISMODULE_SUBEVENT_MODULE_UNLOADED,
                &change);
}

/* Run OnLoad with the settings of the order, and see whether the module is the one that is meant.
 */
static hl_err start(struct hl_module *module, const struct hl_order *order, struct hl_errmsg *msg)
{
    struct hl_abi *abi = module->abi;
    onload_fn onload = (onload_fn)symbol(module, "OnLoad");
    if (onload == NULL) {
        return hl_fail(msg, HL_EINVAL,
                       "Module %s does not export RedisModule_OnLoad() symbol. Module not loaded.",
                       module->path);
    }
    abi->settings = order->settings;
    abi->setting_count = order->setting_count;
    abi->settings_taken = 0;
    hl_err err = run_onload(module, onload, msg);
    bool all_taken = abi->reloading || abi->settings_taken == order->setting_count;
    abi->settings = NULL;
    abi->setting_count = 0;
    if (err != HL_OK) {
        return err;
    }
    err = hl_order_check(order, module, msg);
    if (err == HL_OK && !all_taken) {
        err = hl_fail(msg, HL_EINVAL,
                      "Module Configuration was given for a setting that module %s does not have",
                      module->name);
    }
    if (err != HL_OK) {
        (void)hl_module_agrees_to_go(module); /* it believes to be loaded: it goes anyway */
    }
    return err;
}

hl_err hl_module_start(struct hl_abi *abi, struct hl_object_file *given_object,
                       const struct hl_order *order, struct hl_module **out, struct hl_errmsg *msg)
{
    struct hl_module *module =
        hl_module_create(abi, hl_object_path(given_object), order->argv, order->argc);
    module->object = given_object;
    module->asked = hl_strndup(order->path.ptr, order->path.len);
    hl_err err = start(module, order, msg);
    if (err != HL_OK) {
        hl_module_log(abi, HL_ABI_LOG_WARNING, "%s", msg->text);
        hl_module_end(module);
        return err;
    }
    if (!hl_order_accepts(order, hl_object_sum(module->object))) {
        hl_module_log(abi, HL_ABI_LOG_WARNING,
                      "Module '%s': %s is not the file that was loaded first; its name and types "
                      "fit",
                      module->name, module->path);
    }
    *out = module;
    return HL_OK;
}

hl_err hl_module_load(struct hl_abi *abi, const struct hl_order *order, struct hl_module **out,
                      struct hl_errmsg *msg)
{
    struct hl_abi_services const *services = abi->services;
    struct hl_errmsg own = {{0}};
    msg = msg == NULL ? &own : msg;
    char *path = hl_strndup(order->path.ptr, order->path.len);
    struct hl_object_place place = {
        .path = path,
        .folders = services->module_path == NULL ? NULL : services->module_path(services->ctx),
        .elsewhere = order->elsewhere};
    struct hl_object_file *object = NULL;
    hl_err err = hl_object_open(&object, &place, msg);
    if (err != HL_OK) {
        hl_module_log(abi, HL_ABI_LOG_WARNING, "Module %s failed to load: %s", path, msg->text);
    }
    hl_free(path);
    struct hl_module *module = NULL;
    err = err == HL_OK ? hl_module_start(abi, object, order, &module, msg) : err;
    if (err != HL_OK) {
        return err;
    }
    hl_list_append(&abi->modules, &module->node);
    hl_module_log(abi, HL_ABI_LOG_NOTICE, "Module '%s' loaded from %s", module->name, module->path);
    hl_module_tell(abi, module->name, module->version, true);
    if (out != NULL) {
        *out = module;
    }
    return HL_OK;
}

hl_err hl_abi_load(struct hl_abi *abi, const char *path, const struct hl_slice *argv, int argc,
                   struct hl_errmsg *msg)
{
    struct hl_order order = {.path = hl_slice_of(path), .argv = argv, .argc = argc};
    struct hl_module *module = NULL;
    hl_err err = hl_module_load(abi, &order, &module, msg);
    if (err == HL_OK) {
        module->configured = true;
    }
    return err;
}

struct hl_module *hl_module_find(struct hl_abi *abi, struct hl_slice name)
{
    HL_LIST_EACH(m, &abi->modules)
    {
        struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        if (hl_slice_equal(hl_slice_of(module->name), name)) {
            return module;
        }
    }
    return NULL;
}

/* Whether a value of one of the module's types lives in the keyspace. */
static bool has_live_values(const struct hl_module *module)
{
    HL_LIST_EACH(t, &module->types)
    {
        if (HL_LIST_ENTRY(t, RedisModuleType, node)->live != 0) {
            return true;
        }
    }
    return false;
}

const char *hl_module_refusal(const struct hl_module *module, bool *passes)
{
    *passes = false;
    if (has_live_values(module)) {
        return "the module exports one or more module-side data types, can't unload";
    }
    if (hl_export_used(module)) {
        return "the module exports APIs used by other modules. Please unload them first and try "
               "again";
    }
    *passes = true;
    const char *busy = hl_module_busy(module);
    return busy != NULL ? busy
           : module->timers == 0
               ? NULL
               : "the module holds timer that is not fired. Please stop the timer or wait until it "
                 "fires.";
}

const char *hl_module_busy(const struct hl_module *module)
{
    if (module->blocked != 0) {
        return "the module has blocked clients. Please wait them unblocked and try again";
    }
    if (module->executing != 0) {
        return "a client that the module itself serves asked for it: ask on another connection.";
    }
    if (module->abi->frame_depth != 0) {
        return "a module asked for it: its own code may be running.";
    }
    if (atomic_load(&module->contexts) != 0) {
        return "the module holds thread-safe contexts: a thread of it may be running.";
    }
    return NULL;
}

static hl_err unload(struct hl_module *module, struct hl_errmsg *msg)
{
    struct hl_abi *abi = module->abi;
    if (!hl_module_agrees_to_go(module)) {
        return hl_fail(msg, HL_EBUSY, "operation not possible.");
    }
    hl_list_remove(&module->node);
    char *kept = hl_strndup(module->name, strlen(module->name));
    int version = module->version;
    hl_module_end(module);
    hl_module_log(abi, HL_ABI_LOG_NOTICE, "Module %s unloaded", kept);
    hl_module_tell(abi, kept, version, false);
    hl_free(kept);
    return HL_OK;
}

hl_err hl_abi_unload(struct hl_abi *abi, struct hl_slice name, struct hl_errmsg *msg)
{
    bool passes = false;
    struct hl_module *module = hl_module_find(abi, name);
    if (module == NULL) {
        return hl_fail(msg, HL_ENOENT, "no such module with that name");
    }
    const char *reason = hl_module_refusal(module, &passes);
    return reason != NULL ? hl_fail(msg, HL_EBUSY, "%s", reason) : unload(module, msg);
}

hl_err hl_module_force_out(struct hl_module *module, struct hl_errmsg *msg)
{
    uint32_t timers = module->timers;
    bool passes = false;
    module->timers = 0;
    const char *reason = hl_module_refusal(module, &passes);
    module->timers = timers;
    return reason != NULL ? hl_fail(msg, HL_EBUSY, "%s", reason) : unload(module, msg);
}

bool hl_modules_busy(const struct hl_abi *abi)
{
    HL_LIST_EACH(m, (struct hl_list_node *)&abi->modules)
    {
        const struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        if (module->blocked != 0 || atomic_load(&module->contexts) != 0) {
            return true;
        }
    }
    return atomic_load(&abi->contexts) != 0 || !hl_list_empty(&abi->executors);
}

void hl_modules_ask(struct hl_abi *abi)
{
    /* The last loaded first: who uses functions of another module came after it. */
    struct hl_list_node *before;
    for (struct hl_list_node *m = abi->modules.prev; m != &abi->modules; m = before) {
        before = m->prev;
        struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        bool has_onunload = module->object != NULL && symbol(module, "OnUnload") != NULL;
        if (!hl_module_agrees_to_go(module) || !has_onunload) {
            hl_object_leave(module->object);
            module->object = NULL; /* threads of it may run on: its code stays until the end */
        }
    }
}

void hl_modules_end(struct hl_abi *abi)
{
    HL_LIST_EACH(m, &abi->modules)
    {
        hl_list_remove(m);
        hl_module_end(HL_LIST_ENTRY(m, struct hl_module, node));
    }
}
