/* The module ABI as one thing: made on a node, driven by the loop. */
#include "abi/agree.h"
#include "abi/durable.h"
#include "abi/unit.h"

/* One round of hl_abi_service() takes no more mails than this, so that threads cannot keep the loop
 * from its clients. */
#define MAILS_PER_ROUND 1000

static void on_unit_ended(void *ctx, bool changed)
{
    (void)changed;
    hl_commit_unit_ended(ctx);
    hl_blocked_serve_ready(ctx);
}

static void on_key_ready(void *ctx, int db, struct hl_slice key)
{
    hl_blocked_key_ready(ctx, db, key);
}

static void *on_copy(void *ctx, void *type, void *value, struct hl_slice from, struct hl_slice to)
{
    (void)ctx;
    return hl_type_copy_value(hl_abi_current, type, value, from, to);
}

static size_t on_memory(void *ctx, void *type, const void *value, struct hl_slice key, int db,
                        size_t samples)
{
    (void)ctx;
    return hl_type_memory(hl_abi_current, type, value, key, db, samples);
}

static const char *on_type_name(void *ctx, void *type)
{
    (void)ctx;
    return hl_type_name(type);
}

static void on_list_modules(void *ctx, struct hl_writer *out)
{
    hl_module_list(ctx, out);
}

static void on_swapped(void *ctx, int a, int b)
{
    hl_event_swapped(ctx, a, b);
    hl_blocked_look(ctx, a);
    hl_blocked_look(ctx, b);
}

static void on_loading(void *ctx, bool ended)
{
    if (ended) {
        hl_durable_settle(ctx);
    }
    hl_event_loading(ctx, ended);
}

static void on_discarded(void *ctx)
{
    hl_commit_undone(ctx);
}

static void on_snapshot_loaded(void *ctx)
{
    hl_aux_loaded(ctx);
}

static void on_info(void *ctx, const struct hl_slice *section, struct hl_buf *out)
{
    hl_info_sections(ctx, section, out);
}

static void on_info_modules(void *ctx, const struct hl_slice *section, struct hl_buf *out)
{
    (void)section;
    hl_info_modules(ctx, out);
}

static void on_cron(void *ctx)
{
    if (hl_event_wanted(ctx, REDISMODULE_EVENT_CRON_LOOP)) {
        hl_event_cron(ctx);
    }
}

/* Hang into what the node and its keyspace tell. */
static void hang_in(struct hl_abi *abi)
{
    struct hl_node *node = abi->node;
    node->hooks.ctx = abi;
    node->hooks.session_began = hl_event_session_began;
    node->hooks.session_ended = hl_event_session_ended;
    node->hooks.settle = hl_notify_settle;
    node->hooks.authenticate = hl_acl_authenticate;
    node->hooks.notify = hl_notify_happened;
    node->hooks.flushed = hl_event_flushed;
    node->hooks.swapped = on_swapped;
    node->hooks.loading = on_loading;
    node->hooks.role_changed = hl_event_role;
    node->hooks.discarded = on_discarded;
    node->hooks.snapshot_loaded = on_snapshot_loaded;
    node->hooks.cron = on_cron;
    node->hooks.asked = hl_agree_asked;
    node->hooks.info = on_info;
    node->hooks.info_modules = on_info_modules;
    node->hooks.unit_ended = on_unit_ended;
    node->hooks.effect_muted = hl_frame_muted;
    node->hooks.key_ready = on_key_ready;
    node->hooks.list_modules = on_list_modules;
    node->ks.hooks.module_free = hl_type_free_value;
    node->services.module_copy = on_copy;
    node->services.module_memory = on_memory;
    node->services.module_type_name = on_type_name;
    hl_rdb_fill(abi, &node->modules);
}

struct hl_abi *hl_abi_create(struct hl_node *node, const struct hl_abi_services *services)
{
    struct hl_abi *abi = hl_calloc(1, sizeof *abi);
    abi->node = node;
    abi->ks = &node->ks;
    abi->table = node->commands;
    abi->services = services;
    struct hl_list_node *lists[] = {&abi->modules,    &abi->exports,          &abi->timers,
                                    &abi->watches,    &abi->listeners,        &abi->jobs,
                                    &abi->events,     &abi->configs,          &abi->filters,
                                    &abi->aux_later,  &abi->commits,          &abi->users,
                                    &abi->auths,      &abi->user_changes,     &abi->blocked,
                                    &abi->executors,  &abi->executions_ready, &abi->collectors,
                                    &abi->collecting, &abi->collect_next};
    for (size_t i = 0; i < HL_ARRAY_LEN(lists); i++) {
        hl_list_init(lists[i]);
    }
    hl_inbox_init(abi);
    hang_in(abi);
    hl_durable_register(abi); /* a snapshot's modules are loaded before what they saved with it */
    hl_aux_register(abi);
    hl_err err = hl_command_register(node->commands, hl_commands_module, hl_commands_module_count);
    HL_ASSERT(err == HL_OK); /* nobody else has a command of that name */
    hl_metrics_open(abi);
    hl_abi_current = abi;
    return abi;
}

/* Take what threads handed over; true when there may be more. */
static bool take_mails(struct hl_abi *abi)
{
    enum hl_mail kind;
    void *ptr = NULL;
    void *argument = NULL;
    for (int i = 0; i < MAILS_PER_ROUND; i++) {
        if (!hl_inbox_take(abi, &kind, &ptr, &argument)) {
            return false;
        }
        switch (kind) {
        case HL_MAIL_UNBLOCK:
            hl_blocked_serve(abi, ptr);
            break;
        case HL_MAIL_ONESHOT:
            hl_oneshot_run(abi, ptr, argument);
            break;
        }
    }
    return true;
}

bool hl_abi_destroy(struct hl_abi *abi)
{
    if (abi == NULL) {
        return true;
    }
    hl_abi_current = abi;
    hl_abi_fire(abi, REDISMODULE_EVENT_SHUTDOWN, 0, NULL);
    hl_modules_ask(abi);
    (void)take_mails(abi);
    hl_execute_stop(abi);
    bool busy = hl_modules_busy(abi);
    hl_ks_flush(abi->ks); /* values of module types end while their types are there */
    if (abi->caller != NULL) {
        hl_session_destroy(abi->node, abi->caller);
    }
    abi->node->hooks = (struct hl_node_hooks){0};
    if (busy) {
        return false; /* a thread may still use it */
    }
    hl_modules_end(abi);
    hl_command_unregister(abi->table, "module");
    hl_filter_release(abi);
    hl_inbox_fini(abi);
    hl_execute_fini(abi);
    hl_metrics_close(abi);
    hl_frame_free(abi);
    hl_free(abi);
    hl_abi_current = NULL;
    return true;
}

void hl_abi_enter(struct hl_abi *abi)
{
    if (hl_abi_current != abi) { /* threads read it: do not write what is there already */
        hl_abi_current = abi;
    }
}

int64_t hl_abi_service(struct hl_abi *abi)
{
    hl_abi_enter(abi);
    bool left = take_mails(abi);
    hl_blocked_serve_ready(abi);
    hl_commit_run(abi);
    int64_t calls_us = hl_execute_run(abi);
    int64_t timers_us = hl_timers_run(abi);
    int64_t metrics_us = hl_metrics_run(abi);
    int64_t due_us = calls_us < timers_us ? calls_us : timers_us;
    return left ? 0 : due_us < metrics_us ? due_us : metrics_us;
}

bool hl_abi_is_due(const struct hl_abi *abi)
{
    return hl_execute_is_due(abi);
}

bool hl_abi_has_threads(const struct hl_abi *abi)
{
    HL_LIST_EACH(m, &abi->modules)
    {
        if (atomic_load(&HL_LIST_ENTRY(m, struct hl_module, node)->contexts) != 0) {
            return true;
        }
    }
    return atomic_load(&abi->contexts) != 0;
}

const struct hl_dump_modules *hl_abi_dump_modules(struct hl_abi *abi)
{
    return &abi->node->modules;
}
