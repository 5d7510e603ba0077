/* Making a node, and the iterations of its loop. */
#include "node/node.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/acl.h"
#include "node/barrier.h"
#include "node/forward.h"
#include "node/node_internal.h"
#include "node/observe.h"
#include "raft/mutant.h"

#include <stdio.h>
#include <string.h>

#define LOG_LINE_MAX 1024
#define CATCH_UP_PART 16 /* of the time that passes, given up while the log's time is ahead */

void hl_node_log(struct hl_node *node, int level, const char *fmt, ...)
{
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    node->world->log(node->world->ctx, level, line);
}

static void on_expired(void *ctx, int db, struct hl_slice key)
{
    struct hl_node *node = ctx;
    struct hl_slice argv[2] = {hl_slice_of("DEL"), key};
    hl_unit_effect(node, db, 2, argv);
}

static void on_notify(void *ctx, uint32_t classes, const char *event, int db, struct hl_slice key)
{
    struct hl_node *node = ctx;
    if (node->hooks.notify != NULL) {
        node->hooks.notify(node->hooks.ctx, classes, event, db, key);
    }
}

static void on_effect(void *ctx, int db, int argc, const struct hl_slice *argv)
{
    hl_unit_effect(ctx, db, argc, argv);
}

static void on_ready(void *ctx, int db, struct hl_slice key)
{
    struct hl_node *node = ctx;
    hl_key_wait_ready(node, db, key);
    if (node->hooks.key_ready != NULL) {
        node->hooks.key_ready(node->hooks.ctx, db, key);
    }
}

static void init_keyspace(struct hl_node *node)
{
    uint64_t seed[2];
    node->world->entropy(node->world->ctx, seed, sizeof seed);
    hl_ks_init(&node->ks, node->config.databases, seed, &node->rng);
    node->ks.hooks.ctx = node;
    node->ks.hooks.expired = on_expired;
    node->ks.hooks.modified = hl_watch_modified;
    node->ks.hooks.notify = on_notify;
    node->ks.hooks.created = hl_scrub_created;
    node->services = (struct hl_call_services){
        .ctx = node, .effect = on_effect, .ready = on_ready, .modules = &node->modules};
}

static void register_rows(struct hl_node *node)
{
    hl_err err = hl_command_register_all(node->commands);
    HL_ASSERT(err == HL_OK);
    const struct {
        const struct hl_command_row *rows;
        size_t count;
    } families[] = {
        {hl_commands_txn, hl_commands_txn_count},
        {hl_commands_acl, hl_commands_acl_count},
        {hl_commands_admin, hl_commands_admin_count},
        {hl_commands_level, hl_commands_level_count},
        {hl_commands_scrub, hl_commands_scrub_count},
        {hl_commands_settings, hl_commands_settings_count},
        {hl_commands_connection, hl_commands_connection_count},
        {hl_commands_client, hl_commands_client_count},
        {hl_commands_database, hl_commands_database_count},
        {hl_commands_observe, hl_commands_observe_count},
        {hl_commands_cluster, hl_commands_cluster_count},
        {hl_commands_blocking, hl_commands_blocking_count},
        {hl_commands_once, hl_commands_once_count},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(families); i++) {
        err = hl_command_register(node->commands, families[i].rows, families[i].count);
        HL_ASSERT(err == HL_OK);
    }
}

struct hl_node *hl_node_create(const struct hl_world *world, struct hl_wal *wal,
                               const struct hl_node_config *config)
{
    struct hl_node *node = hl_calloc(1, sizeof *node);
    node->world = world;
    node->wal = wal;
    node->config = *config;
    if (wal != NULL) {
        node->node_id = hl_wal_meta(wal)->node_id;
        memcpy(node->cluster_id, hl_wal_meta(wal)->cluster_id, sizeof node->cluster_id);
    }
    node->loading = true;
    node->next_session_id = 1;
    hl_list_init(&node->sessions);
    hl_list_init(&node->waiting);
    hl_list_init(&node->monitors);
    hl_list_init(&node->postponed);
    uint64_t seed = 0;
    world->entropy(world->ctx, &seed, sizeof seed);
    hl_rng_seed(&node->rng, seed);
    unsigned char run[20];
    world->entropy(world->ctx, run, sizeof run);
    for (size_t i = 0; i < sizeof run; i++) {
        (void)snprintf(node->run_id + 2 * i, 3, "%02x", run[i]);
    }
    init_keyspace(node);
    hl_watch_init(node);
    hl_key_waits_init(&node->key_waits);
    hl_forward_init(node);
    hl_observe_init(node);
    node->commands = hl_command_table_create();
    node->services.commands = node->commands;
    register_rows(node);
    node->acl = hl_acl_create(node->commands);
    hl_node_add_table(node, &(struct hl_state_table){.name = "cluster",
                                                     .ctx = node,
                                                     .save = hl_replica_config_save,
                                                     .load = hl_replica_config_load});
    hl_once_init(&node->once);
    hl_history_init(&node->history);
    hl_node_add_table(
        node, &(struct hl_state_table){
                  .name = "sessions", .ctx = node, .save = hl_once_save, .load = hl_once_load});
    hl_node_add_table(
        node, &(struct hl_state_table){
                  .name = "users", .ctx = node, .save = hl_admin_save, .load = hl_admin_load});
    hl_node_add_table(node, &(struct hl_state_table){.name = "settings",
                                                     .ctx = node,
                                                     .save = hl_settings_save,
                                                     .load = hl_settings_load});
    node->stats.last_save_ok = true;
    hl_node_begin(node);
    hl_uptime_begin(&node->uptime, node->now_ms, world->mono_us(world->ctx));
    hl_history_add(&node->history,
                   &(struct hl_event){.kind = HL_EVENT_STARTED, .at_ms = node->now_ms});
    return node;
}

void hl_node_add_table(struct hl_node *node, const struct hl_state_table *table)
{
    HL_ASSERT(node->table_count < HL_STATE_TABLES_MAX);
    node->tables[node->table_count++] = *table;
}

void hl_node_digest(struct hl_node *node, unsigned char out[20])
{
    hl_ks_digest(&node->ks, &node->modules, out);
    hl_once_digest(&node->once, out);
    hl_acl_state_digest(node->acl, out);
    hl_settings_digest(node, out);
}

void hl_node_destroy(struct hl_node *node)
{
    if (node == NULL) {
        return;
    }
    hl_load_fini(node); /* loading may have been broken off */
    hl_barrier_fini(node);
    hl_forward_fini(node);
    HL_ASSERT(hl_list_empty(&node->sessions));
    hl_snapshot_load_fini(node);
    hl_replica_fini(node);
    for (size_t i = 0; i < node->genesis_count; i++) {
        hl_buf_fini(&node->genesis[i]);
    }
    hl_once_fini(&node->once);
    hl_admin_fini(node);
    hl_scrub_reset(node);
    hl_rpc_fini(&node->rpc);
    hl_history_fini(&node->history);
    hl_acl_destroy(node->acl);
    hl_command_table_destroy(node->commands);
    hl_ks_fini(&node->ks);
    hl_watch_fini(node);
    hl_key_waits_fini(&node->key_waits);
    hl_observe_fini(node);
    hl_free(node);
}

/* G1: the log's time never goes back.  Behind it, after the wall clock was set back, it goes on a
 * little slower than real time: deadlines still come, and the two clocks meet again. */
static void advance_log_time(struct hl_node *node, uint64_t elapsed_us)
{
    if (node->log_time_us > node->now_us) {
        node->log_time_us += (int64_t)(elapsed_us - elapsed_us / CATCH_UP_PART);
    }
    if (node->log_time_us < node->now_us) {
        node->log_time_us = node->now_us;
    }
}

void hl_node_begin(struct hl_node *node)
{
    node->iteration++;
    node->now_us = node->world->wall_us(node->world->ctx);
    node->now_ms = node->now_us / 1000;
    node->mark_us = node->world->mono_us(node->world->ctx);
    uint64_t elapsed_us = node->begun_us == 0 ? 0 : node->mark_us - node->begun_us;
    node->begun_us = node->mark_us;
    if (node->cluster.leads || !node->cluster.live) { /* else the leader's entries say */
        advance_log_time(node, elapsed_us);
    }
    node->ks.now_ms = node->log_time_us / 1000; /* what dies is judged as the log will be read */
    node->ks.lru_clock = (uint32_t)(node->now_ms / 1000) & 0xffffff;
}

void hl_node_end(struct hl_node *node)
{
    HL_ASSERT(!node->unit.open);
    hl_barrier_look(node);
    hl_forward_pump(node);
    if (node->wal == NULL || node->log_state == HL_LOG_BROKEN) {
        return;
    }
    if (!node->cluster.live) {
        return; /* what recovery repaired is written with raft's first entry or vote */
    }
    hl_replica_end(node);
    /* A full disk is asked again by the cron, not by every iteration. */
    if (node->log_state == HL_LOG_FULL) {
        return;
    }
    hl_log_kick(node);
}

bool hl_log_kicks(struct hl_node *node)
{
    return !node->log_resting && node->log_state == HL_LOG_GOOD &&
           node->batch_count < HL_WAL_FLIGHTS_MAX && hl_wal_batch_waits(node->wal);
}

void hl_log_kick(struct hl_node *node)
{
    if (node->log_resting || node->batch_count == HL_WAL_FLIGHTS_MAX) {
        return;
    }
    unsigned at = (node->batch_oldest + node->batch_count) % HL_WAL_FLIGHTS_MAX;
    if (!hl_wal_batch_take(node->wal, &node->batches[at])) {
        return;
    }
    node->batch_count++;
    if (!node->batches[at].again) {
        hl_replica_batch_taken(node);
    }
    node->stats.batches++;
    node->world->log_write(node->world->ctx, &node->batches[at]);
}

void hl_node_log_done(struct hl_node *node, hl_err err, const char *why)
{
    HL_ASSERT(node->batch_count > 0);
    if (HL_MUTANT(SYNC_IGNORED) && err == HL_EIO) {
        err = HL_OK;
    }
    hl_wal_batch_done(node->wal, &node->batches[node->batch_oldest], err);
    node->batch_oldest = (node->batch_oldest + 1) % HL_WAL_FLIGHTS_MAX;
    node->batch_count--;
    bool room = err == HL_EFULL || hl_wal_pending_size(node->wal) <= node->config.speculation_max;
    if (node->crowded_us != 0 && room) {
        node->crowded_us = 0;
        hl_resume_postponed(node);
    }
    if (err == HL_EFULL) {
        if (node->log_state != HL_LOG_FULL) {
            hl_node_log(node, 3, "the log has no room, writes are refused until it has: %s", why);
        }
        const char *reason = strrchr(why, ':'); /* clients need not know the path before it */
        (void)snprintf(node->log_full_why, sizeof node->log_full_why, "%s",
                       reason != NULL && reason[1] == ' ' ? reason + 2 : why);
        node->log_state = HL_LOG_FULL;
        if (node->cluster.leads && node->cluster.prove) { /* another has room */
            hl_err ignored = hl_replica_hand_over(node, 0);
            HL_MAYBE(ignored != HL_OK);
        }
        return;
    }
    if (err != HL_OK) {
        node->log_state = HL_LOG_BROKEN;
        node->world->fatal(node->world->ctx, why);
    }
    if (node->log_state == HL_LOG_FULL) {
        hl_node_log(node, 2, "the log has room again, writes are accepted");
        node->log_state = HL_LOG_GOOD;
    }
    hl_replica_batch_done(node);
}
