/* Hot swap.
 *
 *   save      values by rdb_save, globals by aux_save, settings by their getters: into memory
 *   vacate    values end through their type's free; their keys hold a placeholder meanwhile
 *   end       OnUnload, then everything that the module registered, and its object
 *   begin     OnLoad of the new object, with the old one's arguments and settings
 *   restore   globals and values through aux_load and rdb_load, between the events of a loading
 *
 * What fails before the old object ended gives it its data back.  What fails later begins a fresh
 * copy of the old object, with the same data.
 *
 *   S1  module code finds no value of the module while it is swapped, but keys with a placeholder.
 *   S2  keys, deadlines and everything else of the keyspace stay as they are.
 */
#include "abi/reload.h"

#include "abi/unit.h"
#include "keyspace/dump.h"

struct value {
    int db;
    struct hl_slice key, bytes; /* owned */
};

struct swap {
    struct hl_abi *abi;
    struct hl_module *module; /* NULL while there is none */
    struct value *values;
    size_t count, cap;
    struct hl_buf globals;
    struct hl_words settings; /* name, value, name, value ... */
    struct hl_slice *argv;    /* for OnLoad; owned, in one block */
    int argc;
    bool unsaved;           /* a value could not be saved */
    int db;                 /* being looked at */
    RedisModuleType vacant; /* the placeholder */
};

/* --- may it? ---------------------------------------------------------------------------------- */

static bool keeps_globals(const struct hl_module *module)
{
    HL_LIST_EACH(t, (struct hl_list_node *)&module->types)
    {
        const RedisModuleTypeMethods *methods = &HL_LIST_ENTRY(t, RedisModuleType, node)->methods;
        bool saves = methods->aux_save != NULL || methods->aux_save2 != NULL;
        if (saves && methods->aux_load != NULL && methods->aux_save_triggers != 0) {
            return true;
        }
    }
    return (module->options & HELIOSMODULE_OPTION_NO_GLOBALS) != 0;
}

static const RedisModuleType *unsavable_type(const struct hl_module *module)
{
    HL_LIST_EACH(t, (struct hl_list_node *)&module->types)
    {
        const RedisModuleType *type = HL_LIST_ENTRY(t, RedisModuleType, node);
        if (type->live != 0 && (type->methods.rdb_save == NULL || type->methods.rdb_load == NULL)) {
            return type;
        }
    }
    return NULL;
}

hl_err hl_reload_possible(struct hl_abi *abi, struct hl_slice name, struct hl_slice *path,
                          struct hl_errmsg *msg)
{
    const struct hl_module *module = hl_module_find(abi, name);
    if (module == NULL || module->object == NULL) {
        return hl_fail(msg, HL_ENOENT, "no such module with that name");
    }
    const RedisModuleType *type = unsavable_type(module);
    if (type != NULL) {
        return hl_fail(msg, HL_EINVAL, "values of its type %s cannot be saved and loaded",
                       type->name);
    }
    if (!keeps_globals(module)) {
        return hl_fail(msg, HL_EINVAL,
                       "the module neither saves its globals (aux_save, aux_load) nor says that it "
                       "has none (HELIOSMODULE_OPTION_NO_GLOBALS)");
    }
    if (hl_export_used(module)) {
        return hl_fail(msg, HL_EINVAL, "other modules hold functions of it: unload them first");
    }
    if (hl_acl_has_users(module)) {
        return hl_fail(msg, HL_EBUSY,
                       "clients are logged in through the module, or it has users of its own");
    }
    const char *busy = hl_module_busy(module);
    busy = busy == NULL && hl_commit_waits(module)
               ? "the module waits for what it did to be committed."
               : busy;
    if (busy != NULL) {
        return hl_fail(msg, HL_EBUSY, "%s", busy);
    }
    if (path->len == 0) {
        *path = hl_slice_of(module->asked);
    }
    return HL_OK;
}

/* --- saving ----------------------------------------------------------------------------------- */

static void save_entry(void *ctx, struct hl_entry *entry)
{
    struct swap *swap = ctx;
    struct hl_abi *abi = swap->abi;
    if (hl_entry_type(entry) != HL_TYPE_MODULE || swap->unsaved) {
        return;
    }
    RedisModuleType *type = hl_entry_module_type(entry);
    if (type->module != swap->module) {
        return;
    }
    struct hl_buf bytes = {0};
    struct hl_slice key = hl_entry_key(entry);
    const struct hl_dump_modules *dump = &abi->node->modules;
    if (!dump->save(dump->ctx, type, hl_entry_module_value(entry), key, swap->db, &bytes)) {
        hl_buf_fini(&bytes);
        swap->unsaved = true;
        return;
    }
    if (swap->count == swap->cap) {
        swap->cap = swap->cap == 0 ? 64 : swap->cap * 2;
        swap->values = hl_realloc(swap->values, swap->cap * sizeof *swap->values);
    }
    swap->values[swap->count++] = (struct value){
        .db = swap->db,
        .key = {.ptr = hl_strndup(key.len == 0 ? "" : key.ptr, key.len), .len = key.len},
        .bytes = {.ptr = bytes.ptr, .len = bytes.len},
    };
}

static hl_err save(struct swap *swap, struct hl_errmsg *msg)
{
    struct hl_abi *abi = swap->abi;
    for (swap->db = 0; swap->db < abi->ks->db_count; swap->db++) {
        uint64_t cursor = 0;
        do {
            cursor = hl_db_scan(hl_ks_db(abi->ks, swap->db), cursor, save_entry, swap);
        } while (cursor != 0);
    }
    if (swap->unsaved) {
        return hl_fail(msg, HL_EINVAL, "a value of the module cannot be saved");
    }
    hl_aux_save(swap->module, &swap->globals);
    hl_config_save(swap->module, &swap->settings);
    struct hl_slice *argv = hl_calloc((size_t)swap->module->argc, sizeof *argv);
    for (int i = 0; i < swap->module->argc; i++) {
        argv[i] = hl_string_slice(swap->module->argv[i]);
    }
    swap->argc = swap->module->argc;
    swap->argv = hl_slices_dup(argv, (size_t)swap->argc);
    hl_free(argv);
    return HL_OK;
}

static void forget(struct swap *swap)
{
    for (size_t i = 0; i < swap->count; i++) {
        hl_free((char *)swap->values[i].key.ptr);
        hl_free((char *)swap->values[i].bytes.ptr);
    }
    for (int i = 0; i < swap->settings.count; i++) { /* some are secrets */
        explicit_bzero((char *)swap->settings.at[i].ptr, swap->settings.at[i].len);
    }
    hl_words_fini(&swap->settings);
    hl_buf_fini(&swap->globals);
    hl_free(swap->values);
    hl_free(swap->argv);
}

/* --- out and in ------------------------------------------------------------------------------- */

static struct hl_entry *entry_of(struct swap *swap, const struct value *value)
{
    struct hl_entry *entry = hl_db_find(hl_ks_db(swap->abi->ks, value->db), value->key,
                                        HL_FIND_NOTOUCH | HL_FIND_NOSTATS | HL_FIND_EXPIRED);
    return entry != NULL && hl_entry_type(entry) == HL_TYPE_MODULE ? entry : NULL;
}

/* End the module's values; their keys stay (S1). */
static void vacate(struct swap *swap)
{
    for (size_t i = 0; i < swap->count; i++) {
        struct hl_entry *entry = entry_of(swap, &swap->values[i]);
        RedisModuleType *type = entry == NULL ? NULL : hl_entry_module_type(entry);
        if (type == NULL || type == &swap->vacant) {
            continue; /* a module removed it meanwhile, or it was not restored */
        }
        hl_type_free_value(swap->abi, type, hl_entry_module_value(entry));
        hl_entry_module_set(entry, &swap->vacant, NULL);
        swap->vacant.live++;
    }
}

static hl_err restore_value(struct swap *swap, const struct value *value, struct hl_errmsg *msg)
{
    const struct hl_dump_modules *dump = &swap->abi->node->modules;
    struct hl_entry *entry = entry_of(swap, value);
    void *type = NULL;
    void *made = NULL;
    size_t used = 0;
    if (entry == NULL || hl_entry_module_type(entry) != &swap->vacant) {
        return HL_OK; /* OnLoad of the new object changed the key */
    }
    hl_err err =
        dump->load(dump->ctx, value->bytes, &used, value->key, value->db, &type, &made, msg);
    if (err != HL_OK) {
        return err;
    }
    entry = entry_of(swap, value); /* the module's code may have moved it (X4) */
    HL_ASSERT(entry != NULL);
    hl_entry_module_set(entry, type, made);
    swap->vacant.live--;
    return HL_OK;
}

static hl_err restore(struct swap *swap, struct hl_errmsg *msg)
{
    hl_event_tell(swap->module, REDISMODULE_EVENT_LOADING, REDISMODULE_SUBEVENT_LOADING_RDB_START);
    struct hl_slice globals = hl_buf_view(&swap->globals);
    hl_err err = hl_aux_load(swap->abi, globals, REDISMODULE_AUX_BEFORE_RDB, msg);
    for (size_t i = 0; i < swap->count && err == HL_OK; i++) {
        err = restore_value(swap, &swap->values[i], msg);
    }
    err = err == HL_OK ? hl_aux_load(swap->abi, globals, REDISMODULE_AUX_AFTER_RDB, msg) : err;
    hl_event_tell(swap->module, REDISMODULE_EVENT_LOADING,
                  err == HL_OK ? REDISMODULE_SUBEVENT_LOADING_ENDED
                               : REDISMODULE_SUBEVENT_LOADING_FAILED);
    return err;
}

/* --- the objects ------------------------------------------------------------------------------ */

/* Begin the object as the module; on failure there is none. */
static hl_err begin(struct swap *swap, struct hl_object_file *given_object,
                    const struct hl_order *order, struct hl_errmsg *msg)
{
    struct hl_abi *abi = swap->abi;
    struct hl_order full = *order;
    full.argv = swap->argv;
    full.argc = swap->argc;
    full.settings = hl_calloc((size_t)swap->settings.count, sizeof *full.settings);
    full.setting_count = swap->settings.count / 2;
    for (int i = 0; i < full.setting_count; i++) {
        full.settings[i] = (struct hl_abi_setting){.name = swap->settings.at[2 * i],
                                                   .value = swap->settings.at[2 * i + 1]};
    }
    abi->reloading = true;
    hl_err err = hl_module_start(abi, given_object, &full, &swap->module, msg);
    abi->reloading = false;
    hl_free(full.settings);
    if (err != HL_OK) {
        return err;
    }
    hl_list_append(&abi->modules, &swap->module->node);
    err = restore(swap, msg);
    if (err != HL_OK) {
        hl_module_log(abi, HL_ABI_LOG_WARNING, "Module %s: its data cannot be restored: %s",
                      swap->module->path, msg->text);
        vacate(swap);
        (void)hl_module_agrees_to_go(swap->module); /* it goes anyway */
        hl_list_remove(&swap->module->node);
        hl_module_end(swap->module);
        swap->module = NULL;
    }
    return err;
}

/* The old object, which has not ended, goes on. */
static void go_on(struct swap *swap)
{
    struct hl_errmsg msg = {{0}};
    if (restore(swap, &msg) != HL_OK) {
        swap->abi->node->world->fatal(swap->abi->node->world->ctx, msg.text);
    }
}

/* What the old one was, for the log, for other modules and for the way back. */
struct before {
    char *asked;
    struct hl_words words;
    bool durable, configured;
    int version;
    struct hl_object_file *spare; /* a fresh copy of the object */
};

static void note_before(struct before *before, struct hl_module *module)
{
    *before = (struct before){.asked = hl_strndup(module->asked, strlen(module->asked)),
                              .durable = module->durable,
                              .configured = module->configured,
                              .version = module->version};
    before->words = module->order;
    module->order = (struct hl_words){0};
}

static void keep_what_it_was(struct hl_module *module, struct before *before)
{
    module->durable = before->durable;
    module->configured = before->configured;
    hl_words_fini(&module->order);
    module->order = before->words;
    before->words = (struct hl_words){0};
}

/* Begin a fresh copy of the old object with the old data. */
static void roll_back(struct swap *swap, struct before *before, const char *name)
{
    struct hl_errmsg msg = {{0}};
    struct hl_order order = {.path = hl_slice_of(before->asked), .name = hl_slice_of(name)};
    hl_err err = begin(swap, before->spare, &order, &msg);
    before->spare = NULL;
    if (err != HL_OK) {
        struct hl_errmsg why = {{0}};
        (void)hl_fail(&why, err,
                      "module %.64s could not be swapped, and the old one does not begin again "
                      "(%.180s): ending; its data is in the log and loaded at the next start",
                      name, msg.text);
        swap->abi->node->world->fatal(swap->abi->node->world->ctx, why.text);
    }
    keep_what_it_was(swap->module, before);
}

/* The old object ends, the new one begins, or the old one again. */
static hl_err exchange(struct swap *swap, struct hl_object_file *given_object,
                       const struct hl_order *order, const char *name, struct hl_errmsg *msg)
{
    struct before before;
    struct hl_object_file *spare = NULL;
    hl_err err = hl_object_again(&spare, swap->module->object, msg);
    if (err != HL_OK) {
        hl_object_close(given_object);
        return err;
    }
    vacate(swap);
    if (!hl_module_agrees_to_go(swap->module)) {
        hl_object_close(spare);
        hl_object_close(given_object);
        go_on(swap);
        return hl_fail(msg, HL_EINVAL, "its OnUnload refuses");
    }
    note_before(&before, swap->module);
    before.spare = spare;
    hl_list_remove(&swap->module->node);
    hl_module_end(swap->module);
    swap->module = NULL;
    err = begin(swap, given_object, order, msg);
    if (err != HL_OK) {
        roll_back(swap, &before, name);
    } else {
        keep_what_it_was(swap->module, &before);
        hl_object_close(before.spare);
        hl_module_tell(swap->abi, name, before.version, false);
        hl_module_tell(swap->abi, name, swap->module->version, true);
        hl_module_log(swap->abi, HL_ABI_LOG_NOTICE,
                      "Module '%s' swapped: version %d, now %d from %s, %zu values", name,
                      before.version, swap->module->version, swap->module->path, swap->count);
    }
    hl_free(before.asked);
    hl_words_fini(&before.words);
    return err;
}

hl_err hl_reload(struct hl_abi *abi, struct hl_slice name, const struct hl_order *order,
                 struct hl_module **out, struct hl_errmsg *msg)
{
    struct hl_slice path = order->path;
    hl_err err = hl_reload_possible(abi, name, &path, msg);
    if (err != HL_OK) {
        return err;
    }
    const struct hl_abi_services *services = abi->services;
    char *text = hl_strndup(path.ptr, path.len);
    char *kept = hl_strndup(name.ptr, name.len);
    struct hl_object_place place = {
        .path = text,
        .folders = services->module_path == NULL ? NULL : services->module_path(services->ctx),
        .elsewhere = order->elsewhere};
    struct hl_object_file *object = NULL;
    struct swap swap = {.abi = abi, .module = hl_module_find(abi, name)};
    memcpy(swap.vacant.name, "(swapped)", sizeof "(swapped)");
    err = hl_object_open(&object, &place, msg);
    if (err == HL_OK) {
        err = save(&swap, msg);
        if (err != HL_OK) {
            hl_object_close(object);
        }
    }
    if (err == HL_OK) {
        struct hl_order meant = *order;
        meant.name = hl_slice_of(kept);
        meant.path = hl_slice_of(text);
        err = exchange(&swap, object, &meant, kept, msg);
    }
    if (err == HL_OK) {
        *out = swap.module;
    }
    forget(&swap);
    hl_free(text);
    hl_free(kept);
    return err;
}
