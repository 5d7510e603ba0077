/* Members of the group: those that the log names, and how a group begins. */
#include "node/replica.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/forward.h"
#include "node/node_internal.h"
#include "node/wire_raft.h"

struct hl_raft_config hl_replica_config_of(const struct hl_members *members)
{
    struct hl_raft_config config = {.count = members->count};
    for (uint32_t i = 0; i < members->count; i++) {
        config.members[i] =
            (struct hl_raft_member){.id = members->at[i].id, .voter = members->at[i].voter};
    }
    return config;
}

/* Members that an entry names are in force from now on. */
void hl_replica_config_push(struct hl_node *node, hl_index index, const struct hl_members *members)
{
    struct hl_cluster *c = &node->cluster;
    HL_ASSERT(c->config_count == 0 || c->configs[c->config_count - 1].index <= index); /* C5 */
    if (c->config_count != 0 && c->configs[c->config_count - 1].index == index) {
        c->config_count--;
    }
    if (c->config_count == c->config_cap) {
        c->config_cap = c->config_cap == 0 ? 4 : c->config_cap * 2;
        c->configs = hl_realloc(c->configs, c->config_cap * sizeof *c->configs);
    }
    c->configs[c->config_count++] = (struct hl_config_at){.index = index, .members = *members};
}

void hl_replica_config_drop_from(struct hl_node *node, hl_index index)
{
    struct hl_cluster *c = &node->cluster;
    while (c->config_count > 1 && c->configs[c->config_count - 1].index >= index) {
        c->config_count--;
    }
}

/* Those before the newest committed one are history. */
void hl_replica_config_drop_old(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    hl_index kept = node->commit < node->snapshot_index ? node->commit : node->snapshot_index;
    uint32_t gone = 0;
    while (gone + 1 < c->config_count && c->configs[gone + 1].index <= kept) {
        gone++;
    }
    if (gone == 0) {
        return;
    }
    c->config_count -= gone;
    memmove(c->configs, c->configs + gone, c->config_count * sizeof *c->configs);
}

const struct hl_config_at *hl_replica_config_newest(const struct hl_node *node)
{
    const struct hl_cluster *c = &node->cluster;
    return c->config_count == 0 ? NULL : &c->configs[c->config_count - 1];
}

const struct hl_config_at *hl_replica_config_at(const struct hl_node *node, hl_index index)
{
    const struct hl_cluster *c = &node->cluster;
    for (uint32_t i = c->config_count; i > 0; i--) {
        if (c->configs[i - 1].index <= index) {
            return &c->configs[i - 1];
        }
    }
    return NULL;
}

const struct hl_members *hl_node_members(const struct hl_node *node)
{
    static const struct hl_members none;
    const struct hl_config_at *at = hl_replica_config_newest(node);
    return at == NULL ? &none : &at->members;
}

void hl_replica_config_changed(struct hl_node *node)
{
    const struct hl_members *members = hl_node_members(node);
    bool prove = !hl_replica_is_sole(node);
    if (prove && !node->cluster.prove) {
        node->cluster.sizes_from = hl_wal_last(node->wal) + 1; /* they were not noted */
    }
    node->cluster.prove = prove;
    hl_record_members(node, members);
    if (node->world->peers != NULL) {
        node->world->peers(node->world->ctx, members);
    }
}

void hl_replica_config_save(void *ctx, struct hl_buf *out)
{
    struct hl_node *node = ctx;
    static const struct hl_config_at none;
    const struct hl_config_at *at = hl_replica_config_at(node, node->last);
    at = at == NULL ? &none : at;
    hl_buf_append_le64(out, at->index);
    hl_members_encode(&at->members, out);
}

hl_err hl_replica_config_parse(struct hl_slice contents, struct hl_config_at *out,
                               struct hl_errmsg *msg)
{
    if (contents.len < 8) {
        return hl_fail(msg, HL_ECORRUPT, "the snapshot's members are malformed");
    }
    struct hl_slice rest = {.ptr = contents.ptr + 8, .len = contents.len - 8};
    out->index = hl_get_le64(contents.ptr);
    return hl_members_decode(rest, &out->members, msg);
}

/* While raft runs it knows better: a snapshot that a leader sends was announced to it before. */
hl_err hl_replica_config_load(void *ctx, struct hl_slice contents, struct hl_errmsg *msg)
{
    struct hl_node *node = ctx;
    struct hl_config_at at;
    hl_err err = hl_replica_config_parse(contents, &at, msg);
    if (err == HL_OK && !node->cluster.live && at.members.count != 0) {
        node->cluster.config_count = 0;
        hl_replica_config_push(node, at.index, &at.members);
    }
    return err;
}

bool hl_replica_is_sole(const struct hl_node *node)
{
    const struct hl_members *members = hl_node_members(node);
    const struct hl_member *self = hl_members_find(members, node->node_id);
    return self != NULL && self->voter && hl_members_voters(members) == 1;
}

hl_index hl_node_members_index(const struct hl_node *node)
{
    const struct hl_config_at *at = hl_replica_config_newest(node);
    return at != NULL && at->index <= node->commit ? at->index : 0;
}

static bool names_us(const struct hl_node *node, const struct hl_config_at *at)
{
    return hl_members_find(&at->members, node->node_id) != NULL;
}

bool hl_replica_config_removes(const struct hl_node *node)
{
    const struct hl_cluster *c = &node->cluster;
    const struct hl_config_at *newest = hl_replica_config_newest(node);
    if (newest == NULL || newest->index > node->commit || names_us(node, newest)) {
        return false;
    }
    for (uint32_t i = 0; i + 1 < c->config_count; i++) {
        if (names_us(node, &c->configs[i])) {
            return true;
        }
    }
    return false; /* it waits for the entry that adds it */
}

void hl_replica_retire(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    HL_ASSERT(c->live);
    if (c->removed) {
        return;
    }
    hl_node_log(node, 3,
                "this node was removed from its cluster: it takes no part any more, and will not "
                "start again on this directory; to add it anew, empty the directory and start it "
                "with --join");
    struct hl_raft_event resign = {.type = HL_RAFT_ON_RESIGN,
                                   .resign = {.not_before_us = HL_RAFT_NEVER}};
    hl_err err = hl_replica_step(node, &resign, NULL);
    HL_ASSERT(err == HL_OK);
    hl_wal_note_removed(node->wal, true);
    c->removed = true;
    c->leader = 0;
    hl_forward_leader_changed(node);
    hl_resume_postponed(node);
}

void hl_node_told_removed(struct hl_node *node, hl_index index)
{
    const struct hl_config_at *newest = hl_replica_config_newest(node);
    if (node->cluster.live && newest != NULL && index > newest->index && names_us(node, newest)) {
        hl_replica_retire(node);
    }
}

bool hl_node_is_removed(const struct hl_node *node)
{
    return node->cluster.removed;
}

bool hl_node_leads(const struct hl_node *node)
{
    return node->cluster.leads;
}

const struct hl_member *hl_node_leader(const struct hl_node *node)
{
    return node->cluster.leader == 0 ? NULL
                                     : hl_members_find(hl_node_members(node), node->cluster.leader);
}

static struct hl_slice text_of(const char *text)
{
    return hl_slice_of(text == NULL ? "" : text);
}

void hl_replica_config_correct(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    const struct hl_cluster_config *config = &node->config.cluster;
    if (c->own_record == c->term || !config->enabled || !c->leads) {
        return;
    }
    struct hl_members members = *hl_node_members(node);
    const struct hl_member *self = hl_members_find(&members, node->node_id);
    struct hl_slice name = text_of(config->name);
    struct hl_slice raft_addr = text_of(config->raft_addr);
    struct hl_slice client_addr = text_of(config->client_addr);
    bool known = self == NULL || (hl_slice_equal(hl_slice_of(self->name), name) &&
                                  hl_slice_equal(hl_slice_of(self->raft_addr), raft_addr) &&
                                  hl_slice_equal(hl_slice_of(self->client_addr), client_addr));
    if (!known &&
        hl_members_put(&members, self->id, self->voter, name, raft_addr, client_addr) == HL_OK &&
        hl_replica_configure(node, &members, NULL) != HL_OK) {
        return; /* not before the first entry of the term is committed, and no other change waits */
    }
    c->own_record = c->term;
}

/* This node alone: how a group is founded. */
static void found(struct hl_node *node)
{
    const struct hl_cluster_config *config = &node->config.cluster;
    struct hl_members members = {0};
    hl_err err = hl_members_put(&members, node->node_id, true, text_of(config->name),
                                text_of(config->raft_addr), text_of(config->client_addr));
    HL_ASSERT(err == HL_OK); /* the edge checked its settings */
    hl_replica_config_push(node, 0, &members);
}

void hl_node_join(struct hl_node *node)
{
    HL_ASSERT(node->loading && !node->cluster.live);
    node->cluster.joins = true;
}

void hl_node_bootstrap(struct hl_node *node, const unsigned char *cluster_id,
                       const struct hl_members *members, uint32_t level)
{
    HL_ASSERT(node->loading && !node->cluster.live);
    HL_ASSERT(hl_wal_last(node->wal) == 0 && node->snapshot_index == 0);
    HL_ASSERT(hl_members_find(members, node->node_id) != NULL);
    const struct hl_wal_meta *meta = hl_wal_meta(node->wal);
    unsigned char boot_id[16];
    memcpy(boot_id, meta->boot_id, sizeof boot_id);
    hl_wal_set_identity(node->wal, cluster_id, node->node_id, meta->incarnation, boot_id);
    memcpy(node->cluster_id, cluster_id, sizeof node->cluster_id);
    hl_wal_set_hard_state(node->wal, 1, 0);
    struct hl_buf body = {0};
    hl_members_encode(members, &body);
    struct hl_wal_entry entry = {.index = 1,
                                 .term = 1,
                                 .type = HL_WAL_CFG,
                                 .feature_level = level,
                                 .body = hl_buf_view(&body)};
    hl_wal_append(node->wal, &entry);
    hl_buf_fini(&body);
}

static bool on_config_entry(void *arg, const struct hl_wal_entry *entry)
{
    struct hl_node *node = arg;
    struct hl_members members;
    if (entry->type != HL_WAL_CFG || hl_members_decode(entry->body, &members, NULL) != HL_OK) {
        return false;
    }
    hl_replica_config_push(node, entry->index, &members);
    return false;
}

static bool on_old_entry(void *arg, const struct hl_wal_entry *entry)
{
    (void)on_config_entry(arg, entry);
    return true;
}

/* The snapshot that the log leans on could not be read, and the log still holds what was in it: the
 * members too are read from there.  Without any, this node would take itself for a founder. */
static hl_err recover_old(struct hl_node *node, struct hl_errmsg *msg)
{
    hl_index base = hl_wal_meta(node->wal)->base;
    if (node->snapshot_index >= base) {
        return HL_OK;
    }
    hl_err err = hl_wal_read(node->wal, hl_wal_first(node->wal), base, on_old_entry, node, msg);
    if (err == HL_OK && node->cluster.config_count == 0) {
        err =
            hl_fail(msg, HL_ECORRUPT,
                    "no whole snapshot reaches entry %llu, where the log begins, and nothing else "
                    "names the members",
                    (unsigned long long)base);
    }
    return err;
}

hl_err hl_replica_recover(struct hl_node *node, struct hl_errmsg *msg)
{
    hl_err old = recover_old(node, msg);
    if (old != HL_OK) {
        return old;
    }
    size_t count = 0;
    const hl_index *at = hl_wal_configs(node->wal, &count);
    for (size_t i = 0; i < count; i++) {
        const struct hl_config_at *last = hl_replica_config_newest(node);
        if (last != NULL && at[i] <= last->index) {
            continue;
        }
        uint32_t before = node->cluster.config_count;
        hl_err err = hl_wal_read(node->wal, at[i], at[i], on_config_entry, node, msg);
        if (err != HL_OK) {
            return err;
        }
        if (node->cluster.config_count == before) {
            return hl_fail(msg, HL_ECORRUPT, "entry %llu does not hold members",
                           (unsigned long long)at[i]);
        }
    }
    if (node->cluster.config_count == 0 && !node->cluster.joins) {
        found(node);
    }
    return HL_OK;
}
