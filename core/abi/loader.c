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

static void say(struct hl_abi *abi, enum hl_abi_log level, const char *fmt, ...) HL_PRINTF(3, 4);

static void say(struct hl_abi *abi, enum hl_abi_log level, const char *fmt, ...)
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

/* Remove everything that the module registered, and end it (L2). */
static void end_module(struct hl_module *module)
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
    hl_type_drop(module);
    hl_object_close(module->object);
    for (int i = 0; i < module->argc; i++) {
        hl_string_unref(module->argv[i]);
    }
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

/* Ask the module's OnUnload, when it has one; false when it refuses. */
static bool agrees_to_go(struct hl_module *module)
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

hl_err hl_abi_load(struct hl_abi *abi, const char *path, const struct hl_slice *argv, int argc,
                   const struct hl_abi_setting *settings, int setting_count, struct hl_errmsg *msg)
{
    struct hl_abi_services const *services = abi->services;
    const char *folders =
        services->module_path == NULL ? NULL : services->module_path(services->ctx);
    struct hl_errmsg own = {{0}};
    msg = msg == NULL ? &own : msg;
    struct hl_object_file *object = NULL;
    hl_err err = hl_object_open(&object, path, folders, msg);
    if (err != HL_OK) {
        say(abi, HL_ABI_LOG_WARNING, "Module %s failed to load: %s", path, msg->text);
        return err;
    }
    struct hl_module *module = hl_module_create(abi, hl_object_path(object), argv, argc);
    module->object = object;
    module->asked = hl_strndup(path, strlen(path));
    onload_fn onload = (onload_fn)symbol(module, "OnLoad");
    abi->settings = settings;
    abi->setting_count = setting_count;
    abi->settings_taken = 0;
    if (onload == NULL) {
        err = hl_fail(msg, HL_EINVAL,
                      "Module %s does not export RedisModule_OnLoad() symbol. Module not loaded.",
                      path);
    } else {
        err = run_onload(module, onload, msg);
    }
    if (err == HL_OK && abi->settings_taken != setting_count) {
        err = hl_fail(msg, HL_EINVAL,
                      "Module Configuration was given for a setting that module %s does not have",
                      module->name);
        (void)agrees_to_go(module); /* it believes to be loaded: it goes anyway */
    }
    abi->settings = NULL;
    abi->setting_count = 0;
    if (err != HL_OK) {
        say(abi, HL_ABI_LOG_WARNING, "%s", msg->text);
        end_module(module);
        return err;
    }
    hl_list_append(&abi->modules, &module->node);
    say(abi, HL_ABI_LOG_NOTICE, "Module '%s' loaded from %s", module->name, module->path);
    RedisModuleModuleChange change = {.version = REDISMODULE_MODULE_CHANGE_VERSION,
                                      .module_name = module->name,
                                      .module_version = module->version};
    hl_abi_fire(abi, REDISMODULE_EVENT_MODULE_CHANGE, REDISMODULE_SUBEVENT_MODULE_LOADED, &change);
    return HL_OK;
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

/* Why it cannot be unloaded now, or NULL. */
static const char *refusal(const struct hl_module *module)
{
    if (has_live_values(module)) {
        return "the module exports one or more module-side data types, can't unload";
    }
    if (hl_export_used(module)) {
        return "the module exports APIs used by other modules. Please unload them first and try "
               "again";
    }
    if (module->blocked != 0) {
        return "the module has blocked clients. Please wait them unblocked and try again";
    }
    if (module->timers != 0) {
        return "the module holds timer that is not fired. Please stop the timer or wait until it "
               "fires.";
    }
    if (module->abi->frame_depth != 0) {
        return "a module asked for it: its own code may be running.";
    }
    if (atomic_load(&module->contexts) != 0) {
        return "the module holds thread-safe contexts: a thread of it may be running.";
    }
    return NULL;
}

hl_err hl_abi_unload(struct hl_abi *abi, struct hl_slice name, struct hl_errmsg *msg)
{
    struct hl_module *module = hl_module_find(abi, name);
    if (module == NULL) {
        return hl_fail(msg, HL_ENOENT, "no such module with that name");
    }
    const char *reason = refusal(module);
    if (reason != NULL) {
        return hl_fail(msg, HL_EBUSY, "%s", reason);
    }
    if (!agrees_to_go(module)) {
        return hl_fail(msg, HL_EBUSY, "operation not possible.");
    }
    hl_list_remove(&module->node);
    char *kept = hl_strndup(module->name, strlen(module->name));
    RedisModuleModuleChange change = {.version = REDISMODULE_MODULE_CHANGE_VERSION,
                                      .module_name = kept,
                                      .module_version = module->version};
    end_module(module);
    say(abi, HL_ABI_LOG_NOTICE, "Module %s unloaded", kept);
    hl_abi_fire(abi, REDISMODULE_EVENT_MODULE_CHANGE, REDISMODULE_SUBEVENT_MODULE_UNLOADED,
                &change);
    hl_free(kept);
    return HL_OK;
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
    return atomic_load(&abi->contexts) != 0;
}

void hl_modules_ask(struct hl_abi *abi)
{
    HL_LIST_EACH(m, &abi->modules)
    {
        struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        bool has_onunload = module->object != NULL && symbol(module, "OnUnload") != NULL;
        if (!agrees_to_go(module) || !has_onunload) {
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
        end_module(HL_LIST_ENTRY(m, struct hl_module, node));
    }
}
