#include "unit/raft/group.h"

#include "kit/alloc.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

void group_fail(struct group *group, const char *fmt, ...)
{
    if (group->failure[0] != '\0') {
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(group->failure, sizeof group->failure, fmt, args);
    va_end(args);
    if (group->trace != NULL) {
        fprintf(group->trace, "FAILED %s\n", group->failure);
    }
}

#define CHECK(group, c, ...)                                                                       \
    do {                                                                                           \
        if (!(c)) {                                                                                \
            group_fail(group, __VA_ARGS__);                                                        \
        }                                                                                          \
    } while (0)

uint64_t clock_us(const struct group *group, const struct server *server)
{
    return server->zero_us + (uint64_t)((double)group->now_us * server->rate);
}

/* ---- The truth ---- */

static const struct entry *entry_at(const struct image *image, hl_index index)
{
    return index > image->base && index <= image->last ? &image->log[index] : NULL;
}

hl_term image_term(const struct image *image, hl_index index)
{
    if (index == image->base) {
        return image->base_term;
    }
    const struct entry *entry = entry_at(image, index);
    return entry != NULL ? entry->term : 0;
}

static void check_commit(struct group *group, struct server *server, hl_index commit)
{
    CHECK(group,
          commit <= server->last_commit || server->raft.role != HL_RAFT_LEADER ||
              image_term(&server->now, commit) == server->raft.term,
          "R3: leader %d of term %d commits entry %d of an older term by counting", (int)server->id,
          (int)server->raft.term, (int)commit);
    for (hl_index i = server->last_commit + 1; i <= commit; i++) {
        const struct entry *entry = entry_at(&server->now, i);
        if (i > group->committed_last) {
            CHECK(group, entry != NULL && i == group->committed_last + 1,
                  "server %d commits entry %d, which it does not hold", (int)server->id, (int)i);
            if (group->failure[0] != '\0') {
                return;
            }
            group->committed[i] = *entry;
            group->committed_in[i] = server->raft.term;
            group->committed_last = i;
            if (server->raft.term > group->committed_term) {
                group->committed_term = server->raft.term;
            }
            group->stats.commits++;
        } else if (entry != NULL) {
            CHECK(group,
                  entry->term == group->committed[i].term &&
                      entry->value == group->committed[i].value,
                  "A2: server %d commits another entry at %d", (int)server->id, (int)i);
        }
    }
    server->last_commit = commit;
}

static void check_leader(struct group *group, struct server *server)
{
    hl_term term = server->raft.term;
    group->stats.elections++;
    CHECK(group, term < TERMS_MAX, "terms explode");
    if (group->failure[0] != '\0') {
        return;
    }
    CHECK(group, group->leader_of[term] == 0 || group->leader_of[term] == server->id,
          "A1: servers %d and %d lead term %d", (int)group->leader_of[term], (int)server->id,
          (int)term);
    group->leader_of[term] = server->id;
    for (hl_index i = server->now.base + 1; i <= group->committed_last; i++) {
        if (group->committed_in[i] >= term) {
            continue; /* a stale candidate may win an older term late */
        }
        const struct entry *entry = entry_at(&server->now, i);
        CHECK(group,
              entry != NULL && entry->term == group->committed[i].term &&
                  entry->value == group->committed[i].value,
              "A3: server %d leads term %d without committed entry %d", (int)server->id, (int)term,
              (int)i);
    }
}

static void check_lease(struct group *group, struct server *server)
{
    if (hl_raft_lease_valid(&server->raft, clock_us(group, server))) {
        CHECK(group, group->committed_term <= server->raft.term,
              "E1: server %d of term %d has a lease while term %d commits", (int)server->id,
              (int)server->raft.term, (int)group->committed_term);
    }
}

void group_check_logs(struct group *group)
{
    for (uint32_t a = 1; a <= group->count; a++) {
        for (uint32_t b = a + 1; b <= group->count; b++) {
            const struct image *x = &group->servers[a].now;
            const struct image *y = &group->servers[b].now;
            hl_index last = x->last < y->last ? x->last : y->last;
            hl_index base = x->base > y->base ? x->base : y->base;
            bool equal = false;
            for (hl_index i = last; i > base; i--) {
                bool same = x->log[i].term == y->log[i].term;
                CHECK(group, !same || x->log[i].value == y->log[i].value,
                      "entry %d of one term differs on %u and %u", (int)i, a, b);
                CHECK(group, same || !equal, "logs %u and %u agree after %d but not there", a, b,
                      (int)i);
                equal = equal || same;
            }
        }
    }
}

/* ---- Messages ---- */

static struct packet *new_packet(struct group *group)
{
    for (uint32_t i = 0; i < PACKETS_MAX; i++) {
        if (!group->packets[i].used) {
            group->packets[i] = (struct packet){.used = true};
            if (i >= group->packets_end) {
                group->packets_end = i + 1;
            }
            return &group->packets[i];
        }
    }
    return NULL; /* the network is full: lost */
}

static uint64_t delay_us(struct group *group)
{
    uint64_t delay = group->delay_min_us;
    if (group->delay_us != 0) {
        delay += hl_rng_below(&group->rng, group->delay_us);
        if (hl_rng_below(&group->rng, 50) == 0) {
            delay += hl_rng_below(&group->rng, 20 * (uint64_t)group->delay_us);
        }
    }
    return delay;
}

static bool chance(struct group *group, uint32_t ppm)
{
    return ppm != 0 && hl_rng_below(&group->rng, 1000000) < ppm;
}

/* A vote, or the promise of one, within the time that a leader may count on. */
static void check_promise_to_leader(struct group *group, const struct server *server)
{
    uint64_t since_us = clock_us(group, server) - server->answered_us;
    CHECK(group, since_us >= ELECTION_US, "E2: server %d votes %d us after it answered a leader",
          (int)server->id, (int)since_us);
}

/* What leaves a server must already be true on its disk. */
static void check_promises(struct group *group, struct server *server,
                           const struct hl_raft_msg *msg)
{
    const struct image *disk = &server->disk;
    bool grant =
        (msg->type == HL_RAFT_VOTE_REPLY || msg->type == HL_RAFT_PRE_VOTE_REPLY) && !msg->reject;
    if (msg->type == HL_RAFT_VOTE || (msg->type == HL_RAFT_VOTE_REPLY && grant)) {
        CHECK(group, disk->term == server->raft.term && disk->vote == server->raft.vote,
              "A4: server %d votes in term %d before it is durable", (int)server->id,
              (int)server->raft.term);
    }
    if (msg->type == HL_RAFT_APPEND_REPLY && !msg->reject) {
        CHECK(group, disk->term == server->raft.term, "A4: server %d answers in a volatile term",
              (int)server->id);
        CHECK(group, msg->match <= disk->last || msg->match <= disk->base,
              "A4: server %d acknowledges %d, its disk ends at %d", (int)server->id,
              (int)msg->match, (int)disk->last);
        for (hl_index i = msg->match; i > disk->base && i > server->now.base; i--) {
            CHECK(group, image_term(disk, i) == image_term(&server->now, i),
                  "A4: server %d acknowledges %d, its disk holds another entry at %d",
                  (int)server->id, (int)msg->match, (int)i);
        }
    }
    if (msg->type == HL_RAFT_PRE_VOTE_REPLY && grant) {
        check_promise_to_leader(group, server);
    }
}

static void post(struct group *group, struct server *server, const struct hl_raft_msg *msg)
{
    hl_peer to = msg->to;
    if (to > group->count || group->cut[server->id][to] || chance(group, group->loss_ppm)) {
        return;
    }
    uint32_t copies = 1 + chance(group, group->double_ppm);
    for (uint32_t i = 0; i < copies; i++) {
        struct packet *packet = new_packet(group);
        if (packet == NULL) {
            return;
        }
        packet->msg = *msg;
        packet->from_life = server->life;
        packet->to_life = group->servers[to].life;
        packet->at_us = group->now_us + delay_us(group);
        if (msg->type == HL_RAFT_APPEND) {
            for (hl_index at = msg->prev + 1; at <= msg->last; at++) {
                packet->entries[at - msg->prev - 1] = server->now.log[at];
            }
        }
    }
}

static void post_snapshot(struct group *group, struct server *server, hl_peer to)
{
    struct packet *packet = new_packet(group);
    if (packet == NULL || to > group->count || server->now.last > LOG_MAX) {
        return;
    }
    struct image *image = hl_calloc(1, sizeof *image);
    image->base = server->raft.commit;
    image->base_term = image_term(&server->now, image->base);
    hl_index config_index;
    image->base_config.config = *hl_raft_config_at(&server->raft, image->base, &config_index);
    image->base_config.index = config_index;
    packet->snapshot = image;
    packet->snapshot_from = server->id;
    packet->snapshot_to = to;
    packet->from_life = server->life;
    packet->to_life = group->servers[to].life;
    packet->at_us = group->now_us + 5 * delay_us(group);
}

/* ---- One step ---- */

static void take_entries(struct group *group, struct server *server,
                         const struct hl_raft_ready *ready, const struct packet *packet)
{
    if (ready->truncate != 0) {
        CHECK(group, ready->truncate > server->last_commit, "A5: server %d truncates %d",
              (int)server->id, (int)ready->truncate);
        server->now.last = ready->truncate - 1;
        group->stats.truncations++;
    }
    for (hl_index i = ready->append_first; i != 0 && i <= ready->append_last; i++) {
        CHECK(group, packet != NULL && i == server->now.last + 1 && i <= LOG_MAX,
              "server %d leaves a gap at %d", (int)server->id, (int)i);
        if (group->failure[0] != '\0') {
            return;
        }
        server->now.log[i] = packet->entries[i - packet->msg.prev - 1];
        server->now.last = i;
    }
}

static void take_reads(struct group *group, struct server *server,
                       const struct hl_raft_ready *ready)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < server->read_count; i++) {
        struct read read = server->reads[i];
        if (read.id <= ready->read_id) {
            group->stats.reads++;
            CHECK(group, ready->read_index >= read.floor,
                  "server %d confirms a read at %d, but %d was committed when it was asked",
                  (int)server->id, (int)ready->read_index, (int)read.floor);
        } else if (read.id > ready->read_failed) {
            server->reads[kept++] = read;
        }
    }
    server->read_count = kept;
}

static void plan(struct group *group, struct server *server, const struct hl_raft_ready *ready)
{
    if (ready->flush && !server->flush_due) {
        server->flush_due = true;
        server->flush_due_us = group->now_us + (group->manual ? 0 : hl_rng_below(&group->rng, 300));
    }
    uint64_t local = clock_us(group, server);
    server->wake_us = HL_RAFT_NEVER;
    if (ready->wake_us != HL_RAFT_NEVER) {
        uint64_t wait = ready->wake_us > local ? ready->wake_us - local : 0;
        server->wake_us = group->now_us + (uint64_t)((double)wait / server->rate) + 1;
    }
}

static void owe(struct group *group, struct server *server, const struct hl_raft_ready *ready,
                const struct packet *packet)
{
    struct hl_raft *raft = &server->raft;
    take_entries(group, server, ready, packet);
    server->now.term = ready->term;
    server->now.vote = ready->vote;
    if (ready->append_noop) {
        check_leader(group, server);
        server->now.log[raft->log.last] = (struct entry){.term = (uint32_t)ready->term};
        server->now.last = raft->log.last;
    }
    if (group->failure[0] != '\0') {
        return;
    }
    CHECK(group, server->now.last == raft->log.last, "server %d: the node and raft disagree",
          (int)server->id);
    for (uint32_t i = 0; i < ready->message_count; i++) {
        check_promises(group, server, &ready->messages[i]);
        post(group, server, &ready->messages[i]);
    }
    check_commit(group, server, ready->commit);
    take_reads(group, server, ready);
    for (uint32_t i = 0; i < ready->snapshot_count; i++) {
        post_snapshot(group, server, ready->snapshot_to[i]);
    }
    plan(group, server, ready);
    check_lease(group, server);
    if (ready->config_changed && hl_raft_is_voter(raft)) {
        server->learned = true;
    }
    if (group->barred[server->id] && !hl_raft_barred(raft)) {
        group->barred[server->id] = false;
        group->stats.unbarred++;
    }
    if (!group->manual) {
        group_flush_begin(group, server);
    }
}

static hl_err step_packet(struct group *group, struct server *server, struct hl_raft_event event,
                          const struct packet *packet)
{
    if (group->failure[0] != '\0' || !server->up) {
        return HL_OK;
    }
    event.now_us = clock_us(group, server);
    struct hl_raft_ready ready;
    group->stats.steps++;
    if (event.type == HL_RAFT_ON_INSTALLED) {
        server->last_commit = event.installed.index;
    }
    hl_term term = server->raft.term;
    hl_err err = hl_raft_step(&server->raft, &event, &ready);
    if (server->raft.contact_us == event.now_us) {
        server->answered_us = event.now_us; /* or will, when the disk is done */
    }
    if (event.type == HL_RAFT_ON_MESSAGE && event.message.msg->type == HL_RAFT_VOTE &&
        !event.message.msg->transfer && ready.save_hard_state && ready.vote != 0) {
        check_promise_to_leader(group, server);
    }
    CHECK(group, ready.term >= term, "R2");
    if (group->trace != NULL) {
        if (!group->manual) {
            fprintf(group->trace, "%llu us: ", (unsigned long long)group->now_us);
        }
        group_trace(group->trace, server, &event, &ready);
    }
    owe(group, server, &ready, packet);
    return err;
}

hl_err group_step(struct group *group, struct server *server, struct hl_raft_event event)
{
    return step_packet(group, server, event, NULL);
}

/* ---- Disks ---- */

static void copy_image(struct image *to, const struct image *from)
{
    memcpy(to, from, offsetof(struct image, log) + (from->last + 1) * sizeof *from->log);
}

static bool is_dirty(const struct server *server)
{
    const struct image *now = &server->now;
    const struct image *disk = &server->disk;
    if (now->term != disk->term || now->vote != disk->vote || now->last != disk->last) {
        return true;
    }
    for (hl_index i = now->last; i > now->base; i--) {
        if (now->log[i].term != disk->log[i].term) {
            return true;
        }
    }
    return false;
}

void group_flush_begin(struct group *group, struct server *server)
{
    if (!server->up || server->flushing || !is_dirty(server)) {
        return;
    }
    copy_image(&server->flying, &server->now);
    server->flushing = true;
    server->flush_done_us =
        group->now_us +
        (group->flush_us != 0 ? 50 + hl_rng_below(&group->rng, group->flush_us) : 0);
}

/* A compaction that happened while the flush was in flight stays. */
static void land_flush(struct server *server)
{
    struct image disk = server->disk;
    copy_image(&server->disk, &server->flying);
    if (disk.base > server->disk.base) {
        server->disk.base = disk.base;
        server->disk.base_term = disk.base_term;
        server->disk.base_config = disk.base_config;
        if (server->disk.last < disk.base ||
            image_term(&server->flying, disk.base) != disk.base_term) {
            server->disk.last = disk.base;
        }
    }
}

void group_flush_end(struct group *group, struct server *server)
{
    if (!server->up || !server->flushing) {
        return;
    }
    server->flushing = false;
    land_flush(server);
    /* The first step may begin the next flush. */
    hl_term term = server->flying.term;
    hl_peer vote = server->flying.vote;
    hl_index last = server->flying.last;
    hl_term last_term = image_term(&server->flying, last);
    (void)group_step(
        group, server,
        (struct hl_raft_event){.type = HL_RAFT_ON_SAVED, .saved = {.term = term, .vote = vote}});
    (void)group_step(group, server,
                     (struct hl_raft_event){.type = HL_RAFT_ON_DURABLE,
                                            .durable = {.index = last, .term = last_term}});
    if (!group->manual) {
        group_flush_begin(group, server);
    }
}

void group_crash(struct group *group, struct server *server, bool flush_arrives)
{
    if (!server->up) {
        return;
    }
    if (server->flushing && flush_arrives) {
        land_flush(server);
    }
    group->stats.crashes++;
    server->flushing = false;
    server->flush_due = false;
    server->up = false;
    server->read_count = 0;
    server->wake_us = HL_RAFT_NEVER;
    hl_raft_fini(&server->raft);
}

static hl_index fit(void *ctx, hl_index first, hl_index last)
{
    (void)ctx;
    return last - first < FIT_MAX ? last : first + FIT_MAX - 1;
}

static uint32_t disk_configs(const struct group *group, const struct image *disk,
                             struct hl_raft_config_entry *out)
{
    uint32_t count = 0;
    out[count++] = disk->base_config;
    for (hl_index i = disk->base + 1; i <= disk->last; i++) {
        if (disk->log[i].value & IS_CONFIG) {
            out[count++] = (struct hl_raft_config_entry){
                .index = i, .config = group->configs[disk->log[i].value & ~IS_CONFIG]};
        }
    }
    return count;
}

void group_start(struct group *group, struct server *server, bool barred)
{
    static struct hl_raft_config_entry configs[CONFIGS_MAX + 1];
    copy_image(&server->now, &server->disk);
    server->up = true;
    server->life++;
    server->last_commit = server->now.base;
    struct hl_terms log = {0};
    hl_terms_reset(&log, server->now.base, server->now.base_term);
    for (hl_index i = server->now.base + 1; i <= server->now.last; i++) {
        hl_terms_append(&log, i, server->now.log[i].term);
    }
    struct hl_raft_start start = {
        .self = server->id,
        .configs = configs,
        .config_count = disk_configs(group, &server->now, configs),
        .term = server->now.term,
        .vote = server->now.vote,
        .log = &log,
        .barred = barred,
        .seed = hl_rng_next(&group->rng),
        .now_us = clock_us(group, server),
        .election_us = ELECTION_US,
        .heartbeat_us = HEARTBEAT_US,
        .drift_ppm = DRIFT_PPM,
        .lease = group->lease,
        .fit = fit,
    };
    hl_raft_init(&server->raft, &start);
    hl_terms_fini(&log);
    server->answered_us = clock_us(group, server);
    server->next_read = 0;
    server->traced_role = HL_RAFT_FOLLOWER;
    (void)group_step(group, server, (struct hl_raft_event){.type = HL_RAFT_ON_START});
}

/* ---- What a node does on its own ---- */

bool group_propose(struct group *group, struct server *server, uint32_t count)
{
    if (!server->up || !hl_raft_may_propose(&server->raft) ||
        server->now.last + count >= LOG_MAX - 40) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        server->now.log[++server->now.last] =
            (struct entry){.term = (uint32_t)server->raft.term, .value = ++group->next_value};
    }
    hl_err err =
        group_step(group, server,
                   (struct hl_raft_event){.type = HL_RAFT_ON_PROPOSE, .propose = {.count = count}});
    return err == HL_OK;
}

void group_read(struct group *group, struct server *server)
{
    if (!server->up || server->read_count == READS_MAX) {
        return;
    }
    server->reads[server->read_count++] =
        (struct read){.id = ++server->next_read, .floor = group->committed_last};
    (void)group_step(
        group, server,
        (struct hl_raft_event){.type = HL_RAFT_ON_READ, .read = {.id = server->next_read}});
}

hl_err group_config(struct group *group, struct server *server, const struct hl_raft_config *config)
{
    if (group->config_count == CONFIGS_MAX || server->now.last + 1 >= LOG_MAX - 40) {
        return HL_EBUSY;
    }
    hl_err err = hl_raft_may_config(&server->raft, config);
    if (err != HL_OK) {
        return err;
    }
    group->configs[group->config_count] = *config;
    server->now.log[++server->now.last] = (struct entry){
        .term = (uint32_t)server->raft.term, .value = IS_CONFIG | group->config_count++};
    group->stats.configs++;
    return group_step(
        group, server,
        (struct hl_raft_event){.type = HL_RAFT_ON_CONFIG, .config = {.config = config}});
}

/* A snapshot is on the disk before the log in front of it goes. */
static void set_base(struct image *image, hl_index index, hl_term term,
                     const struct hl_raft_config_entry *config)
{
    if (image->last < index || image_term(image, index) != term) {
        image->last = index;
    }
    image->base = index;
    image->base_term = term;
    image->base_config = *config;
}

void group_compact(struct group *group, struct server *server, hl_index index)
{
    if (!server->up || index <= server->now.base || index > server->last_commit) {
        return;
    }
    struct hl_raft_config_entry config;
    config.config = *hl_raft_config_at(&server->raft, index, &config.index);
    hl_term term = image_term(&server->now, index);
    set_base(&server->now, index, term, &config);
    set_base(&server->disk, index, term, &config);
    (void)group_step(
        group, server,
        (struct hl_raft_event){.type = HL_RAFT_ON_COMPACTED, .compacted = {.index = index}});
}

static void install(struct group *group, struct server *server, const struct image *image)
{
    if (image->base <= server->raft.commit || server->raft.role == HL_RAFT_LEADER) {
        return;
    }
    CHECK(group, image->base_term == group->committed[image->base].term,
          "D1: a snapshot ends with an entry that is not committed");
    set_base(&server->now, image->base, image->base_term, &image->base_config);
    set_base(&server->disk, image->base, image->base_term, &image->base_config);
    group->stats.installs++;
    hl_err err =
        group_step(group, server,
                   (struct hl_raft_event){.type = HL_RAFT_ON_INSTALLED,
                                          .installed = {.index = image->base,
                                                        .term = image->base_term,
                                                        .config = &image->base_config.config,
                                                        .config_index = image->base_config.index}});
    CHECK(group, err == HL_OK, "a snapshot newer than the commit index is refused");
}

/* ---- Delivery ---- */

static void deliver_snapshot(struct group *group, struct packet *packet)
{
    struct server *to = &group->servers[packet->snapshot_to];
    struct server *from = &group->servers[packet->snapshot_from];
    bool ok = to->up && to->life == packet->to_life && !group->cut[from->id][to->id];
    if (ok) {
        install(group, to, packet->snapshot);
    }
    hl_index index = packet->snapshot->base;
    hl_free(packet->snapshot);
    packet->snapshot = NULL;
    if (from->up && from->life == packet->from_life) {
        (void)group_step(
            group, from,
            (struct hl_raft_event){.type = HL_RAFT_ON_SNAPSHOT_SENT,
                                   .snapshot_sent = {.peer = to->id, .index = index, .ok = ok}});
    }
}

void group_deliver(struct group *group, uint32_t i)
{
    struct packet packet = group->packets[i];
    group->packets[i].used = false;
    group->packets[i].snapshot = NULL;
    if (packet.snapshot != NULL) {
        deliver_snapshot(group, &packet);
        return;
    }
    struct server *to = &group->servers[packet.msg.to];
    struct server *from = &group->servers[packet.msg.from];
    if (!to->up || group->cut[from->id][to->id]) {
        return;
    }
    if (group->strict_lives && (to->life != packet.to_life || from->life != packet.from_life)) {
        return; /* connections carry the incarnation (PROTOCOL 10) */
    }
    struct hl_raft_msg msg = packet.msg;
    for (hl_index at = msg.prev + 1; msg.type == HL_RAFT_APPEND && at <= msg.last; at++) {
        uint32_t value = packet.entries[at - msg.prev - 1].value;
        if (value & IS_CONFIG) {
            CHECK(group, msg.config_index == 0, "two CFG entries in one message");
            msg.config_index = at;
            msg.config = &group->configs[value & ~IS_CONFIG];
        }
    }
    (void)step_packet(group, to,
                      (struct hl_raft_event){.type = HL_RAFT_ON_MESSAGE, .message = {.msg = &msg}},
                      &packet);
}

/* ---- Making one ---- */

void group_init(struct group *group, uint64_t seed, uint32_t count, uint32_t voters)
{
    FILE *trace = group->trace;
    memset(group, 0, sizeof *group);
    group->trace = trace;
    hl_rng_seed(&group->rng, seed);
    group->count = count;
    group->manual = true;
    struct hl_raft_config first = {.count = voters};
    for (uint32_t i = 0; i < voters; i++) {
        first.members[i] = (struct hl_raft_member){.id = i + 1, .voter = true};
    }
    for (uint32_t i = 1; i <= count; i++) {
        struct server *server = &group->servers[i];
        server->id = i;
        server->rate = 1.0;
        server->wake_us = HL_RAFT_NEVER;
        if (i <= voters) {
            server->disk.base_config.config = first;
        }
    }
}

void group_fini(struct group *group)
{
    for (uint32_t i = 1; i <= group->count; i++) {
        if (group->servers[i].up) {
            hl_raft_fini(&group->servers[i].raft);
        }
    }
    for (uint32_t i = 0; i < PACKETS_MAX; i++) {
        hl_free(group->packets[i].snapshot);
        group->packets[i].snapshot = NULL;
    }
}
