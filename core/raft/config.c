/* Members: the configurations of the log, newest last.  One acts as soon as it is appended and
 * stops when it is truncated (PROTOCOL 10); one voter changes at a time, so majorities of
 * neighbours always intersect. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "raft/internal.h"

#include <string.h>

/* ---- One configuration ---- */

static const struct hl_raft_member *find_member(const struct hl_raft_config *config, hl_peer id)
{
    for (uint32_t i = 0; i < config->count; i++) {
        if (config->members[i].id == id) {
            return &config->members[i];
        }
    }
    return NULL;
}

bool hl_raft_config_has_voter(const struct hl_raft_config *config, hl_peer id)
{
    const struct hl_raft_member *member = find_member(config, id);
    return member != NULL && member->voter;
}

static uint32_t count_voters(const struct hl_raft_config *config)
{
    uint32_t voters = 0;
    for (uint32_t i = 0; i < config->count; i++) {
        voters += config->members[i].voter;
    }
    return voters;
}

bool hl_raft_config_valid(const struct hl_raft_config *config)
{
    if (config->count == 0 || config->count > HL_RAFT_MEMBERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < config->count; i++) {
        hl_peer id = config->members[i].id;
        if (id == 0 || find_member(config, id) != &config->members[i]) {
            return false;
        }
    }
    uint32_t voters = count_voters(config);
    return voters >= 1 && voters <= HL_RAFT_VOTERS_MAX;
}

bool hl_raft_config_follows(const struct hl_raft_config *a, const struct hl_raft_config *b)
{
    if (!hl_raft_config_valid(b)) {
        return false;
    }
    uint32_t changed = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        changed += a->members[i].voter && !hl_raft_config_has_voter(b, a->members[i].id);
    }
    for (uint32_t i = 0; i < b->count; i++) {
        changed += b->members[i].voter && !hl_raft_config_has_voter(a, b->members[i].id);
    }
    return changed <= 1;
}

/* ---- The one in force ---- */

static const struct hl_raft_config nobody;

const struct hl_raft_config *hl_raft_config(const struct hl_raft *raft, hl_index *index)
{
    if (raft->config_count == 0) {
        *index = 0;
        return &nobody;
    }
    const struct hl_raft_config_entry *newest = &raft->configs[raft->config_count - 1];
    *index = newest->index;
    return &newest->config;
}

const struct hl_raft_config *hl_raft_config_at(const struct hl_raft *raft, hl_index index,
                                               hl_index *config_index)
{
    for (uint32_t i = raft->config_count; i > 0; i--) {
        if (raft->configs[i - 1].index <= index) {
            *config_index = raft->configs[i - 1].index;
            return &raft->configs[i - 1].config;
        }
    }
    *config_index = 0;
    return &nobody;
}

static const struct hl_raft_config *newest(const struct hl_raft *raft)
{
    hl_index index;
    return hl_raft_config(raft, &index);
}

bool hl_raft_has_voter(const struct hl_raft *raft, hl_peer id)
{
    return hl_raft_config_has_voter(newest(raft), id);
}

uint32_t hl_raft_voter_count(const struct hl_raft *raft)
{
    return count_voters(newest(raft));
}

bool hl_raft_is_sole_voter(const struct hl_raft *raft)
{
    return hl_raft_has_voter(raft, raft->self) && hl_raft_voter_count(raft) == 1;
}

bool hl_raft_is_alone(const struct hl_raft *raft)
{
    return hl_raft_has_voter(raft, raft->self) && newest(raft)->count == 1;
}

/* ---- Changes ---- */

static void reserve(struct hl_raft *raft)
{
    if (raft->config_count == raft->config_capacity) {
        raft->config_capacity = raft->config_capacity == 0 ? 4 : raft->config_capacity * 2;
        raft->configs = hl_realloc(raft->configs, raft->config_capacity * sizeof *raft->configs);
    }
}

static void changed(struct hl_raft *raft)
{
    if (raft->ready != NULL) {
        raft->ready->config_changed = true;
    }
    if (raft->role == HL_RAFT_LEADER) {
        hl_raft_rebuild_peers(raft);
    }
}

void hl_raft_config_push(struct hl_raft *raft, hl_index index, const struct hl_raft_config *config)
{
    HL_ASSERT(config->count <= HL_RAFT_MEMBERS_MAX);
    HL_ASSERT(raft->config_count == 0 || raft->configs[raft->config_count - 1].index < index);
    reserve(raft);
    raft->configs[raft->config_count++] =
        (struct hl_raft_config_entry){.index = index, .config = *config};
    changed(raft);
}

void hl_raft_config_truncate(struct hl_raft *raft, hl_index index)
{
    uint32_t before = raft->config_count;
    while (raft->config_count > 0 && raft->configs[raft->config_count - 1].index >= index) {
        raft->config_count--;
    }
    if (raft->config_count != before) {
        changed(raft);
    }
}

void hl_raft_config_compact(struct hl_raft *raft, hl_index index)
{
    uint32_t gone = 0;
    while (gone + 1 < raft->config_count && raft->configs[gone + 1].index <= index) {
        gone++;
    }
    if (gone != 0) {
        raft->config_count -= gone;
        memmove(raft->configs, raft->configs + gone, raft->config_count * sizeof *raft->configs);
    }
}

void hl_raft_config_install(struct hl_raft *raft, hl_index index,
                            const struct hl_raft_config *config, hl_index config_index)
{
    HL_ASSERT(config_index <= index);
    hl_raft_config_compact(raft, index);
    bool covered = raft->config_count != 0 && raft->configs[0].index <= index;
    if (config->count == 0) {
        return; /* the snapshot of a group that has told nobody its members */
    }
    if (!covered) {
        reserve(raft);
        memmove(raft->configs + 1, raft->configs, raft->config_count * sizeof *raft->configs);
        raft->config_count++;
    }
    raft->configs[0] = (struct hl_raft_config_entry){.index = config_index, .config = *config};
    changed(raft);
}

void hl_raft_config_found(struct hl_raft *raft, hl_index index)
{
    HL_ASSERT(raft->config_count != 0);
    struct hl_raft_config_entry *entry = &raft->configs[raft->config_count - 1];
    if (entry->index == 0 && hl_raft_is_sole_voter(raft)) {
        entry->index = index; /* nobody else can lead, so it is never truncated */
    }
}

hl_err hl_raft_may_config(const struct hl_raft *raft, const struct hl_raft_config *config)
{
    if (!hl_raft_may_propose(raft) || !hl_raft_is_saved(raft)) {
        return HL_EBUSY;
    }
    hl_index index;
    const struct hl_raft_config *now = hl_raft_config(raft, &index);
    if (raft->commit < raft->noop && !HL_MUTANT(CONFIG_EARLY)) {
        return HL_EBUSY; /* F1 */
    }
    if (raft->commit < index && !HL_MUTANT(TWO_CONFIGS)) {
        return HL_EBUSY; /* F1 */
    }
    return hl_raft_config_follows(now, config) ? HL_OK : HL_EINVAL;
}

hl_err hl_raft_on_config(struct hl_raft *raft, const struct hl_raft_config *config)
{
    hl_err err = hl_raft_may_config(raft, config);
    if (err != HL_OK) {
        return err;
    }
    hl_terms_append(&raft->log, raft->log.last + 1, raft->term);
    hl_raft_config_push(raft, raft->log.last, config);
    raft->flush_due = raft->flush_due || raft->peer_count != 0;
    return HL_OK;
}
