/* Periodic work: expiry and eviction as effects, statistics, the retry of a full disk. */
#include "kit/assert.h"
#include "node/admit.h"
#include "node/forward.h"
#include "node/node_internal.h"

#define EXPIRE_KEYS_PER_CYCLE 20 /* times the effort, per step */
#define EXPIRE_STALE_GOAL 10     /* per cent of dead keys that is good enough */
#define EXPIRE_STEPS_MAX 200
#define EVICT_STEPS_MAX 128 /* evictions before other clients get a turn */

static void expire_one(void *ctx, int db, struct hl_slice key)
{
    struct hl_node *node = ctx;
    /* A lookup on a leader reports the death and removes the key: the one way keys expire. */
    unsigned flags = HL_FIND_NOTOUCH | HL_FIND_NOSTATS;
    struct hl_entry *entry = hl_db_find(hl_ks_db(&node->ks, db), key, flags);
    HL_ASSERT(entry == NULL);
}

/* One step is one unit, so one entry carries all its DELs. */
static bool expire_step(struct hl_node *node)
{
    size_t effort = (size_t)EXPIRE_KEYS_PER_CYCLE * (size_t)node->config.active_expire_effort;
    unsigned stale = 0;
    hl_unit_begin(node);
    size_t looked = hl_ks_expire_cycle(&node->ks, effort, expire_one, node, &stale);
    (void)hl_unit_end(node);
    node->stats.expire_stale_percent = stale;
    return looked != 0 && stale > EXPIRE_STALE_GOAL;
}

static void expire_cycle(struct hl_node *node)
{
    if (!node->config.active_expire || node->log_state != HL_LOG_GOOD) {
        return;
    }
    uint64_t start_us = node->world->mono_us(node->world->ctx);
    uint64_t budget_us = 250000u / (unsigned)node->config.hz;
    for (int i = 0; i < EXPIRE_STEPS_MAX && expire_step(node); i++) {
        if (node->world->mono_us(node->world->ctx) - start_us > budget_us) {
            node->stats.expire_cap_reached++;
            break;
        }
    }
    uint64_t took_us = node->world->mono_us(node->world->ctx) - start_us;
    node->stats.expire_cycle_us += took_us;
    hl_latency_note(node, "expire-cycle", took_us / 1000);
}

static bool evict_one(struct hl_node *node)
{
    struct hl_db *db = NULL;
    struct hl_entry *entry = hl_ks_evict_candidate(&node->ks, node->config.maxmemory_policy,
                                                   node->config.maxmemory_samples, &db);
    if (entry == NULL) {
        return false;
    }
    hl_unit_begin(node);
    struct hl_buf name = {0};
    hl_buf_append_slice(&name, hl_entry_key(entry));
    struct hl_slice argv[2] = {hl_slice_of("DEL"), hl_buf_view(&name)};
    hl_unit_effect(node, hl_db_index(db), 2, argv);
    (void)hl_db_delete(db, argv[1]);
    hl_ks_notify(&node->ks, HL_NOTIFY_EVICTED, "evicted", hl_db_index(db), argv[1]);
    hl_buf_fini(&name);
    node->stats.evicted_keys++;
    (void)hl_unit_end(node);
    return true;
}

bool hl_evict_until_fits(struct hl_node *node)
{
    if (node->loading || !node->cluster.leads) {
        return true; /* a node that follows evicts when its leader does */
    }
    for (int i = 0; i < EVICT_STEPS_MAX; i++) {
        if (node->world->memory_used(node->world->ctx) <= node->config.maxmemory) {
            return true;
        }
        if (node->config.maxmemory_policy == HL_EVICT_NOEVICTION || !evict_one(node)) {
            return false;
        }
    }
    return node->world->memory_used(node->world->ctx) <= node->config.maxmemory;
}

static void sample_rates(struct hl_node *node)
{
    struct hl_stats *s = &node->stats;
    uint64_t now_us = node->mark_us;
    uint64_t elapsed_us = now_us - s->sample_us;
    if (elapsed_us < 100000) {
        return;
    }
    unsigned at = s->sample_at++ % HL_ARRAY_LEN(s->ops_samples);
    s->ops_samples[at] = (s->commands - s->sample_commands) * 1000000 / elapsed_us;
    s->in_samples[at] = (s->net_in - s->sample_in) * 1000000 / elapsed_us;
    s->out_samples[at] = (s->net_out - s->sample_out) * 1000000 / elapsed_us;
    s->sample_commands = s->commands;
    s->sample_in = s->net_in;
    s->sample_out = s->net_out;
    s->sample_us = now_us;
    size_t used = node->world->memory_used(node->world->ctx);
    s->peak_memory = used > s->peak_memory ? used : s->peak_memory;
}

static void resume_paused(struct hl_node *node)
{
    if (node->pause_until_ms == 0 || node->now_ms < node->pause_until_ms) {
        return;
    }
    hl_pause_end(node);
}

void hl_pause_end(struct hl_node *node)
{
    node->pause_until_ms = 0;
    hl_resume_postponed(node);
}

void hl_resume_postponed(struct hl_node *node)
{
    HL_LIST_EACH(it, &node->postponed)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, postponed);
        if ((session->flags & HL_SESSION_POSTPONED) != 0) {
            hl_session_tell_resume(node, session);
        } else {
            hl_list_remove(it); /* it went on */
        }
    }
}

void hl_node_cron(struct hl_node *node)
{
    sample_rates(node);
    resume_paused(node);
    if (node->crowded_us != 0) {
        hl_resume_postponed(node); /* so that those who waited for too long are refused */
    }
    hl_blocked_cron(node);
    hl_forward_cron(node);
    if (node->loading) {
        return;
    }
    hl_record_cron(node);
    hl_parked_cron(node);
    hl_scrub_cron(node);
    if (node->cluster.leads) {
        expire_cycle(node);
    }
    if (node->config.maxmemory != 0 && node->log_state == HL_LOG_GOOD) {
        (void)hl_evict_until_fits(node);
    }
    hl_ks_rehash_step(&node->ks, 64);
    if (node->wal != NULL && node->log_state == HL_LOG_FULL) {
        hl_log_kick(node);
    }
    if (node->hooks.cron != NULL) {
        node->hooks.cron(node->hooks.ctx);
    }
}
