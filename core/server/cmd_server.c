/* INFO CONFIG SHUTDOWN MEMORY: commands that need the machine. */
#include "command/args.h"
#include "command/help.h"
#include "keyspace/dump.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "node/acl.h"
#include "node/observe.h"
#include "server/config.h"
#include "server/info.h"
#include "server/memory.h"
#include "server/run.h"
#include "server/saver.h"
#include "server/shared.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct hl_server *server_of(struct hl_call *call)
{
    return call->node->world->ctx;
}

static void stat_int(struct hl_call *call, const char *name, int64_t v)
{
    hl_write_bulk_text(call->out, name);
    hl_write_int(call->out, v);
}

static void cmd_info(struct hl_call *call)
{
    struct hl_buf text = {0};
    hl_info_write(server_of(call), call->argv + 1, (size_t)call->argc - 1, &text);
    hl_write_verbatim(call->out, "txt", hl_buf_view(&text));
    hl_buf_fini(&text);
}

/* --- CONFIG ----------------------------------------------------------------------------------- */

static void write_setting(void *ctx, struct hl_slice name, struct hl_slice value)
{
    struct hl_call *call = ctx;
    hl_write_bulk(call->out, name);
    hl_write_bulk(call->out, value);
}

static void cmd_config_get(struct hl_call *call)
{
    const struct hl_config *cfg = server_of(call)->config;
    struct hl_write_mark mark = hl_write_begin(call->out);
    size_t count = hl_config_get(cfg, call->argv + 2, (size_t)call->argc - 2, write_setting, call);
    hl_write_end(call->out, mark, HL_MAP, count);
}

/* Clients of this machine may do what `local` allows. */
bool hl_server_session_is_local(const struct hl_session *session)
{
    /* Of a guest that is what another node says. */
    return (session->flags & (HL_SESSION_GUEST | HL_SESSION_LOCAL)) == HL_SESSION_LOCAL;
}

static void cmd_config_set(struct hl_call *call)
{
    struct hl_errmsg msg = {0};
    if (hl_shared_set(server_of(call)->shared, call)) {
        return;
    }
    if (hl_config_set(server_of(call)->config, call->argv + 2, (size_t)call->argc - 2,
                      hl_server_session_is_local(call->session), &msg) != HL_OK) {
        hl_reply_error(call, msg.text);
        return;
    }
    hl_write_ok(call->out);
}

static void cmd_config_rewrite(struct hl_call *call)
{
    struct hl_errmsg msg = {0};
    if (hl_config_rewrite(server_of(call)->config, &msg) != HL_OK) {
        hl_reply_error(call, msg.text);
        return;
    }
    if (hl_acl_files(call->node->acl) == NULL) {
        hl_admin_saved_users(call->node); /* they stand in the file that was written */
    }
    hl_write_ok(call->out);
}

static void cmd_config_resetstat(struct hl_call *call)
{
    hl_config_resetstat(server_of(call)->config);
    hl_write_ok(call->out);
}

/* As SIGHUP does, but all or nothing. */
static void cmd_config_reload(struct hl_call *call)
{
    struct hl_server *server = server_of(call);
    struct hl_errmsg msg = {0};
    int changed = 0;
    if (hl_run_reload(server, true, &changed, &msg) != HL_OK) {
        hl_reply_errorf(call, "ERR %s", msg.text);
        return;
    }
    hl_write_map(call->out, 3);
    stat_int(call, "changed", changed);
    stat_int(call, "reload_count", (int64_t)server->reload_count);
    stat_int(call, "last_reload_ms", server->reloaded_ms);
}

/* Differences on their way to a reply. */
struct differences {
    struct hl_buf text;
    struct hl_writer out;
    size_t count;
};

static void write_difference(void *ctx, const struct hl_config_difference *difference)
{
    struct differences *all = ctx;
    hl_write_map(&all->out, 5);
    hl_write_bulk_text(&all->out, "field");
    hl_write_bulk_text(&all->out, difference->name);
    hl_write_bulk_text(&all->out, "file_value");
    hl_write_bulk(&all->out, difference->file);
    hl_write_bulk_text(&all->out, "live_value");
    hl_write_bulk(&all->out, difference->live);
    hl_write_bulk_text(&all->out, "immutable");
    hl_write_bool(&all->out, difference->immutable);
    hl_write_bulk_text(&all->out, "overridden");
    hl_write_bool(&all->out, difference->overridden);
    all->count++;
}

static void cmd_config_diff(struct hl_call *call)
{
    struct differences all = {0};
    struct hl_errmsg msg = {0};
    all.out = (struct hl_writer){.out = &all.text, .proto = call->out->proto};
    if (hl_config_diff(server_of(call)->config, write_difference, &all, &msg) != HL_OK) {
        hl_reply_errorf(call, "ERR %s", msg.text);
    } else {
        hl_write_array(call->out, all.count);
        hl_write_raw(call->out, all.text.ptr, all.text.len);
    }
    hl_buf_fini(&all.text);
}

static void cmd_config_export(struct hl_call *call)
{
    struct hl_write_mark mark = hl_write_begin(call->out);
    size_t count = hl_config_export(server_of(call)->config, write_setting, call);
    hl_write_end(call->out, mark, HL_MAP, count);
}

/* --- SHUTDOWN --------------------------------------------------------------------------------- */

static void cmd_shutdown(struct hl_call *call)
{
    struct hl_server *server = server_of(call);
    bool save = false;
    bool nosave = false;
    bool abort_it = false;
    bool now = false;
    for (int i = 1; i < call->argc; i++) {
        if (hl_arg_is(call, i, "save")) {
            save = true;
        } else if (hl_arg_is(call, i, "nosave")) {
            nosave = true;
        } else if (hl_arg_is(call, i, "abort")) {
            abort_it = true;
        } else if (hl_arg_is(call, i, "now")) {
            now = true;
        } else if (!hl_arg_is(call, i, "force")) {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return;
        }
    }
    if ((save && nosave) || (abort_it && call->argc != 2)) {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return;
    }
    if (abort_it) {
        hl_reply_error(call, "ERR No shutdown in progress.");
        return;
    }
    if ((call->flags & HL_CALL_DENY_BLOCK) != 0 && (call->flags & HL_CALL_NESTED) != 0) {
        hl_reply_error(call, "ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING "
                             "client");
        return;
    }
    server->save_at_end = save || (server->save_at_end && !nosave);
    hl_run_log(server, 3, "User requested shutdown...");
    hl_run_end(server, now);
}

/* --- MEMORY ----------------------------------------------------------------------------------- */

static void cmd_memory_usage(struct hl_call *call)
{
    int64_t samples = 5;
    for (int i = 3; i < call->argc; i += 2) {
        if (!hl_arg_is(call, i, "samples") || i + 1 >= call->argc) {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return;
        }
        if (!hl_arg_i64(call, i + 1, &samples)) {
            return;
        }
        if (samples < 0) {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return;
        }
    }
    struct hl_entry *entry = hl_db_find(call->db, call->argv[2], HL_FIND_NOTOUCH | HL_FIND_NOSTATS);
    if (entry == NULL) {
        hl_write_null(call->out);
        return;
    }
    size_t size = hl_entry_memory(entry, (size_t)samples);
    const struct hl_call_services *services = call->services;
    if (hl_entry_type(entry) == HL_TYPE_MODULE && services->module_memory != NULL) {
        size += services->module_memory(services->ctx, hl_entry_module_type(entry),
                                        hl_entry_module_value(entry), call->argv[2],
                                        hl_db_index(call->db), (size_t)samples);
    }
    hl_write_int(call->out, (int64_t)size);
}

static void stat_double(struct hl_call *call, const char *name, double v)
{
    hl_write_bulk_text(call->out, name);
    hl_write_double(call->out, v);
}

static size_t memory_dbs(struct hl_call *call, size_t *keys)
{
    size_t shown = 0;
    for (int i = 0; i < call->ks->db_count; i++) {
        const struct hl_db *db = hl_ks_db(call->ks, i);
        if (hl_db_count(db) == 0) {
            continue;
        }
        *keys += hl_db_count(db);
        hl_write_bulk_printf(call->out, "db.%d", i);
        hl_write_map(call->out, 3);
        stat_int(call, "overhead.hashtable.main", (int64_t)(hl_db_count(db) * 10));
        stat_int(call, "overhead.hashtable.expires", (int64_t)(hl_db_expires_count(db) * 10));
        stat_int(call, "overhead.hashtable.slot-to-keys", 0);
        shown++;
    }
    return shown;
}

static void cmd_memory_stats(struct hl_call *call)
{
    const struct hl_stats *s = &call->node->stats;
    size_t used = hl_memory_used();
    size_t rss = hl_memory_rss();
    size_t allocated = 0;
    size_t active = 0;
    size_t resident = 0;
    size_t keys = 0;
    hl_memory_stats(&allocated, &active, &resident);
    size_t dataset = used > s->startup_memory ? used - s->startup_memory : 0;
    struct hl_write_mark mark = hl_write_begin(call->out);
    stat_int(call, "peak.allocated", (int64_t)(s->peak_memory > used ? s->peak_memory : used));
    stat_int(call, "total.allocated", (int64_t)used);
    stat_int(call, "startup.allocated", (int64_t)s->startup_memory);
    stat_int(call, "replication.backlog", 0);
    stat_int(call, "clients.slaves", 0);
    stat_int(call, "clients.normal", 0);
    stat_int(call, "cluster.links", 0);
    stat_int(call, "aof.buffer",
             call->node->wal != NULL ? (int64_t)hl_wal_pending_size(call->node->wal) : 0);
    stat_int(call, "lua.caches", 0);
    stat_int(call, "functions.caches", 0);
    size_t dbs = memory_dbs(call, &keys);
    stat_int(call, "overhead.total", (int64_t)(used - dataset));
    stat_int(call, "keys.count", (int64_t)keys);
    stat_int(call, "keys.bytes-per-key", keys != 0 ? (int64_t)(dataset / keys) : 0);
    stat_int(call, "dataset.bytes", (int64_t)dataset);
    stat_double(call, "dataset.percentage", 100.0 * (double)dataset / (double)used);
    stat_double(call, "peak.percentage",
                100.0 * (double)used / (double)(s->peak_memory > used ? s->peak_memory : used));
    stat_int(call, "allocator.allocated", (int64_t)allocated);
    stat_int(call, "allocator.active", (int64_t)active);
    stat_int(call, "allocator.resident", (int64_t)resident);
    stat_double(call, "allocator-fragmentation.ratio",
                allocated != 0 ? (double)active / (double)allocated : 0);
    stat_int(call, "allocator-fragmentation.bytes", (int64_t)active - (int64_t)allocated);
    stat_double(call, "allocator-rss.ratio", active != 0 ? (double)resident / (double)active : 0);
    stat_int(call, "allocator-rss.bytes", (int64_t)resident - (int64_t)active);
    stat_double(call, "rss-overhead.ratio", resident != 0 ? (double)rss / (double)resident : 0);
    stat_int(call, "rss-overhead.bytes", (int64_t)rss - (int64_t)resident);
    stat_double(call, "fragmentation", used != 0 ? (double)rss / (double)used : 0);
    stat_int(call, "fragmentation.bytes", (int64_t)rss - (int64_t)used);
    hl_write_end(call->out, mark, HL_MAP, 27 + dbs);
}

static void cmd_memory_doctor(struct hl_call *call)
{
    size_t used = hl_memory_used();
    size_t rss = hl_memory_rss();
    struct hl_buf text = {0};
    if (used < (5u << 20)) {
        hl_buf_append_text(&text, "Too little memory is in use to say anything useful.\n");
    } else if (rss > used + used / 2) {
        hl_buf_printf(&text,
                      "The process holds %.2f times what it uses: memory is fragmented, or a peak "
                      "has passed. MEMORY PURGE returns what can be returned.\n",
                      (double)rss / (double)used);
    } else {
        hl_buf_append_text(&text, "Nothing unusual was found.\n");
    }
    hl_write_verbatim(call->out, "txt", hl_buf_view(&text));
    hl_buf_fini(&text);
}

static void cmd_memory_purge(struct hl_call *call)
{
    hl_memory_purge();
    hl_write_ok(call->out);
}

#define ROW(cmd_name, fn, n, cmd_flags, cats, version, cost, words, grammar)                       \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = (cmd_flags), .acl = (cats),        \
        .group = "server", .since = (version), .complexity = (cost), .summary = (words),           \
        .args = (grammar)                                                                          \
    }
#define ADMIN (HL_CMD_ADMIN | HL_CMD_NOSCRIPT | HL_CMD_LOADING | HL_CMD_STALE)

const struct hl_command_row hl_commands_server[] = {
    ROW("info", cmd_info, -1, HL_CMD_LOADING | HL_CMD_STALE, HL_ACL_DANGEROUS, "1.0.0", "O(1)",
        "Tell about the server, in sections.", "[section:string...]"),
    ROW("config", NULL, -2, 0, 0, "2.0.0", "Depends on the subcommand", "Read and change settings.",
        NULL),
    ROW("config|get", cmd_config_get, -3, ADMIN, 0, "2.0.0",
        "O(N) where N is the number of settings", "Answer the settings that match patterns.",
        "parameter:string..."),
    ROW("config|set", cmd_config_set, -4, ADMIN, 0, "2.0.0",
        "O(N) where N is the number of settings given", "Change settings, all or none.",
        "(parameter:string value:string)..."),
    ROW("config|rewrite", cmd_config_rewrite, 2, ADMIN, 0, "2.8.0", "O(1)",
        "Write the settings into the configuration file.", NULL),
    ROW("config|resetstat", cmd_config_resetstat, 2, ADMIN, 0, "2.0.0", "O(1)",
        "Set the statistics to zero.", NULL),
    ROW("config|reload", cmd_config_reload, 2, ADMIN, 0, "0.1.0", "O(N) where N is the settings",
        "Read the configuration file again, as SIGHUP does, all of it or nothing.", NULL),
    ROW("config|diff", cmd_config_diff, 2, ADMIN, 0, "0.1.0", "O(N) where N is the settings",
        "Answer the settings to which the configuration file gives another value.", NULL),
    ROW("config|export", cmd_config_export, 2, ADMIN, 0, "0.1.0", "O(N) where N is the settings",
        "Answer all settings without the secrets.", NULL),
    HL_HELP_ROW("config", 0, "server", "5.0.0"),
    ROW("shutdown", cmd_shutdown, -1,
        HL_CMD_ADMIN | HL_CMD_NOSCRIPT | HL_CMD_LOADING | HL_CMD_STALE | HL_CMD_NO_MULTI |
            HL_CMD_ALLOW_BUSY,
        0, "1.0.0", "O(N) when a snapshot is made, where N is the data", "End the server.",
        "[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]"),
    ROW("debug", hl_cmd_debug, -2, ADMIN, 0, "1.0.0", "Depends on the subcommand",
        "Tools for tests; off unless enable-debug-command allows it.", NULL),
    ROW("memory", NULL, -2, 0, 0, "4.0.0", "Depends on the subcommand", "Look at memory.", NULL),
    {.name = "memory|usage",
     .run = cmd_memory_usage,
     .arity = -3,
     .flags = HL_CMD_READONLY,
     .keys = {{.flags = HL_KEY_RO, .first = 2, .last = 0, .step = 1}},
     .group = "server",
     .since = "4.0.0",
     .complexity = "O(N) where N is the number of samples",
     .summary = "Estimate the bytes that a key and its value take.",
     .args = "key [SAMPLES count:integer]"},
    ROW("memory|stats", cmd_memory_stats, 2, 0, 0, "4.0.0", "O(1)", "Answer where memory is used.",
        NULL),
    ROW("memory|doctor", cmd_memory_doctor, 2, 0, 0, "4.0.0", "O(1)",
        "Say in words whether memory looks right.", NULL),
    ROW("memory|purge", cmd_memory_purge, 2, 0, 0, "4.0.0", "O(1)",
        "Return unused memory to the system.", NULL),
    HL_HELP_ROW("memory", 0, "server", "4.0.0"),
};
const size_t hl_commands_server_count = HL_ARRAY_LEN(hl_commands_server);
