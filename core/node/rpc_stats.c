#include "node/rpc_stats.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void hl_rpc_fini(struct hl_rpc_stats *stats)
{
    for (uint32_t i = 0; i < stats->count; i++) {
        hl_free(stats->peers[i]);
    }
    stats->count = stats->waiting = 0;
}

static struct hl_rpc_peer *find(const struct hl_rpc_stats *stats, hl_peer id)
{
    for (uint32_t i = 0; i < stats->count; i++) {
        if (stats->peers[i]->id == id) {
            return stats->peers[i];
        }
    }
    return NULL;
}

static void end_call(struct hl_rpc_stats *stats, struct hl_rpc_call *call)
{
    if (call->at_us != 0) {
        HL_ASSERT(stats->waiting > 0);
        call->at_us = 0;
        stats->waiting--;
    }
}

void hl_rpc_members(struct hl_rpc_stats *stats, const struct hl_members *members, hl_peer self)
{
    for (uint32_t i = 0; i < stats->count;) {
        struct hl_rpc_peer *peer = stats->peers[i];
        if (peer->id != self && hl_members_find(members, peer->id) != NULL) {
            i++;
            continue;
        }
        for (int kind = 0; kind < HL_RPC_AGGREGATED; kind++) {
            end_call(stats, &peer->calls[kind]);
        }
        hl_free(peer);
        stats->peers[i] = stats->peers[--stats->count];
    }
    for (uint32_t i = 0; i < members->count; i++) {
        hl_peer id = members->at[i].id;
        if (id != self && find(stats, id) == NULL) {
            HL_ASSERT(stats->count < HL_MEMBERS_MAX);
            struct hl_rpc_peer *peer = hl_calloc(1, sizeof *peer);
            peer->id = id;
            stats->peers[stats->count++] = peer;
        }
    }
}

void hl_rpc_sent(struct hl_rpc_stats *stats, hl_peer to, enum hl_rpc kind, struct hl_rpc_mark mark,
                 struct hl_rpc_now now)
{
    HL_ASSERT(kind < HL_RPC_AGGREGATED);
    struct hl_rpc_peer *peer = find(stats, to);
    if (peer == NULL || peer->calls[kind].at_us != 0) {
        return;
    }
    bool told = mark.entry == 0 && mark.round <= peer->calls[kind].mark.round;
    if (kind == HL_RPC_APPEND_ENTRIES && told) {
        return;
    }
    peer->calls[kind].at_us = now.mono_us == 0 ? 1 : now.mono_us;
    peer->calls[kind].mark = mark;
    stats->waiting++;
}

static void add(struct hl_rpc_series *series, uint64_t took_us)
{
    double value = (double)took_us;
    series->samples[series->count % HL_RPC_SAMPLES] =
        took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us;
    series->min_us = series->count == 0 || took_us < series->min_us ? took_us : series->min_us;
    series->max_us = took_us > series->max_us ? took_us : series->max_us;
    series->last_us = took_us;
    series->count++;
    double before = value - series->mean_us;
    series->mean_us += before / (double)series->count;
    series->spread += before * (value - series->mean_us);
}

void hl_rpc_answered(struct hl_rpc_stats *stats, hl_peer from, enum hl_rpc kind,
                     struct hl_rpc_mark mark, struct hl_rpc_now now)
{
    HL_ASSERT(kind < HL_RPC_AGGREGATED);
    struct hl_rpc_peer *peer = find(stats, from);
    const struct hl_rpc_call *call = peer == NULL ? NULL : &peer->calls[kind];
    if (call == NULL || call->at_us == 0 || mark.round < call->mark.round ||
        mark.entry < call->mark.entry) {
        return;
    }
    uint64_t at_us = call->at_us;
    uint64_t took_us = now.mono_us > at_us ? now.mono_us - at_us : 0;
    end_call(stats, &peer->calls[kind]);
    peer->consecutive_errors = 0;
    add(&peer->series[kind], took_us);
    add(&peer->series[HL_RPC_AGGREGATED], took_us);
    if (stats->observer != NULL) {
        stats->observer(stats->ctx, from, kind, true, took_us);
    }
}

static void fail_call(struct hl_rpc_stats *stats, struct hl_rpc_peer *peer, enum hl_rpc kind,
                      struct hl_rpc_now now)
{
    if (peer->calls[kind].at_us == 0) {
        return;
    }
    end_call(stats, &peer->calls[kind]);
    peer->consecutive_errors++;
    peer->series[kind].errors++;
    peer->series[kind].last_error_ms = now.wall_ms;
    peer->series[HL_RPC_AGGREGATED].errors++;
    peer->series[HL_RPC_AGGREGATED].last_error_ms = now.wall_ms;
    if (stats->observer != NULL) {
        stats->observer(stats->ctx, peer->id, kind, false, 0);
    }
}

void hl_rpc_failed(struct hl_rpc_stats *stats, hl_peer to, enum hl_rpc kind, struct hl_rpc_now now)
{
    HL_ASSERT(kind < HL_RPC_AGGREGATED);
    struct hl_rpc_peer *peer = find(stats, to);
    if (peer != NULL) {
        fail_call(stats, peer, kind, now);
    }
}

void hl_rpc_heard(struct hl_rpc_stats *stats, hl_peer from, struct hl_rpc_now now)
{
    struct hl_rpc_peer *peer = find(stats, from);
    if (peer != NULL) {
        peer->contact_us = now.mono_us;
        peer->contact_ms = now.wall_ms;
    }
}

void hl_rpc_lost(struct hl_rpc_stats *stats, hl_peer to, struct hl_rpc_now now)
{
    struct hl_rpc_peer *peer = find(stats, to);
    for (int kind = 0; peer != NULL && kind < HL_RPC_INSTALL_SNAPSHOT; kind++) {
        fail_call(stats, peer, (enum hl_rpc)kind, now); /* a snapshot goes on afterwards */
    }
}

void hl_rpc_forget(struct hl_rpc_stats *stats, enum hl_rpc kind)
{
    HL_ASSERT(kind < HL_RPC_AGGREGATED);
    for (uint32_t i = 0; i < stats->count; i++) {
        end_call(stats, &stats->peers[i]->calls[kind]);
        stats->peers[i]->calls[kind].mark = (struct hl_rpc_mark){0};
    }
}

void hl_rpc_expire(struct hl_rpc_stats *stats, uint64_t limit_us, struct hl_rpc_now now)
{
    for (uint32_t i = 0; i < stats->count && stats->waiting != 0; i++) {
        for (int kind = 0; kind < HL_RPC_INSTALL_SNAPSHOT; kind++) {
            const struct hl_rpc_call *call = &stats->peers[i]->calls[kind];
            if (call->at_us != 0 && now.mono_us > call->at_us &&
                now.mono_us - call->at_us > limit_us) {
                fail_call(stats, stats->peers[i], (enum hl_rpc)kind, now);
            }
        }
    }
}

void hl_rpc_reset(struct hl_rpc_stats *stats)
{
    for (uint32_t i = 0; i < stats->count; i++) {
        memset(stats->peers[i]->series, 0, sizeof stats->peers[i]->series);
        stats->peers[i]->consecutive_errors = 0;
    }
}

const struct hl_rpc_peer *hl_rpc_peer(const struct hl_rpc_stats *stats, hl_peer id)
{
    return find(stats, id);
}

static int compare(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* The smallest value that so many per cent do not exceed. */
static double percentile_ms(const uint32_t *sorted, size_t count, unsigned percent)
{
    size_t rank = (count * percent + 99) / 100;
    return (double)sorted[rank == 0 ? 0 : rank - 1] / 1000;
}

struct hl_rpc_summary hl_rpc_summarize(const struct hl_rpc_series *series)
{
    struct hl_rpc_summary out = {
        .count = series->count, .errors = series->errors, .last_error_ms = series->last_error_ms};
    if (series->count == 0) {
        return out;
    }
    uint32_t sorted[HL_RPC_SAMPLES];
    size_t count = series->count < HL_RPC_SAMPLES ? (size_t)series->count : HL_RPC_SAMPLES;
    memcpy(sorted, series->samples, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    out.last_ms = (double)series->last_us / 1000;
    out.min_ms = (double)series->min_us / 1000;
    out.max_ms = (double)series->max_us / 1000;
    out.avg_ms = series->mean_us / 1000;
    out.p50_ms = percentile_ms(sorted, count, 50);
    out.p90_ms = percentile_ms(sorted, count, 90);
    out.p99_ms = percentile_ms(sorted, count, 99);
    out.std_dev_ms = sqrt(series->spread / (double)series->count) / 1000;
    return out;
}

const char *hl_rpc_name(enum hl_rpc kind)
{
    switch (kind) {
    case HL_RPC_APPEND_ENTRIES:
        return "append_entries";
    case HL_RPC_REQUEST_VOTE:
        return "request_vote";
    case HL_RPC_INSTALL_SNAPSHOT:
        return "install_snapshot";
    case HL_RPC_AGGREGATED:
        break;
    }
    return "aggregated";
}
