/* One run of chaos: everything that may happen to a group happens at random, then it is healed and
 * has to come back to life. */
#include "unit/raft/group.h"

#define CHAOS_SERVERS 5
#define CHAOS_US 2500000
#define HEAL_US 2000000
#define PROPOSALS_MAX 250

static bool one_in(struct group *group, uint32_t n)
{
    return hl_rng_below(&group->rng, n) == 0;
}

static struct server *any(struct group *group)
{
    return &group->servers[1 + hl_rng_below(&group->rng, group->count)];
}

/* ---- What happens ---- */

static void cut_somebody(struct group *group)
{
    uint32_t who = (uint32_t)any(group)->id;
    uint64_t how = hl_rng_below(&group->rng, 3);
    for (uint32_t other = 1; other <= group->count; other++) {
        if (other != who) {
            group->cut[who][other] = how != 1;
            group->cut[other][who] = how != 0;
        }
    }
}

static void heal(struct group *group)
{
    for (uint32_t a = 1; a <= group->count; a++) {
        for (uint32_t b = 1; b <= group->count; b++) {
            group->cut[a][b] = false;
        }
    }
}

static bool somebody_is_barred(const struct group *group)
{
    for (uint32_t i = 1; i <= group->count; i++) {
        if (group->barred[i]) {
            return true;
        }
    }
    return false;
}

static void lose_tail(struct group *group, struct server *server)
{
    struct image *disk = &server->disk;
    if (disk->last > disk->base) {
        disk->last -= hl_rng_below(&group->rng, disk->last - disk->base + 1);
        group->barred[server->id] = true;
    }
}

static void crash_somebody(struct group *group)
{
    struct server *server = any(group);
    if (!server->up) {
        return;
    }
    group_crash(group, server, one_in(group, 2));
    /* Under the sync mode `interval` a power loss takes entries that were acknowledged: of one
     * server, while the others hold what it had, which then is barred.  Other voters could not
     * spare it, so in such runs the voters stay. */
    if (group->lossy && !somebody_is_barred(group) && one_in(group, 3)) {
        lose_tail(group, server);
    }
}

/* What is left of the truth when no disk has all of it any more: the best log there is. */
static void forget_what_nobody_has(struct group *group)
{
    const struct image *best = &group->servers[1].disk;
    for (uint32_t i = 2; i <= group->count; i++) {
        const struct image *disk = &group->servers[i].disk;
        hl_term term = image_term(disk, disk->last);
        hl_term best_term = image_term(best, best->last);
        if (term > best_term || (term == best_term && disk->last > best->last)) {
            best = disk;
        }
    }
    for (hl_index i = best->base + 1; i <= group->committed_last; i++) {
        if (i > best->last || best->log[i].term != group->committed[i].term) {
            group->committed_last = i - 1;
        }
    }
}

/* The power of the room fails: everybody loses what was not synced. */
static void black_out(struct group *group)
{
    if (!group->lossy) {
        return;
    }
    for (uint32_t i = 1; i <= group->count; i++) {
        if (group->servers[i].up) {
            group_crash(group, &group->servers[i], one_in(group, 2));
        }
        lose_tail(group, &group->servers[i]);
    }
    forget_what_nobody_has(group);
    group->stats.blackouts++;
}

static void start(struct group *group, struct server *server)
{
    if (server->up) {
        return;
    }
    group_start(group, server, group->barred[server->id]);
}

/* One voter joins or leaves, or a learner does. */
static void change_config(struct group *group, struct server *leader)
{
    hl_index ignored;
    struct hl_raft_config config = *hl_raft_config(&leader->raft, &ignored);
    hl_peer id = any(group)->id;
    uint32_t at = 0;
    while (at < config.count && config.members[at].id != id) {
        at++;
    }
    if (at == config.count) {
        config.members[config.count++] =
            (struct hl_raft_member){.id = id, .voter = one_in(group, 2)};
    } else if (one_in(group, 2)) {
        config.members[at].voter = !config.members[at].voter;
    } else {
        config.members[at] = config.members[--config.count];
    }
    if (group->lossy) {
        return;
    }
    hl_err err = group_config(group, leader, &config);
    if (err == HL_OK && leader->raft.commit < leader->raft.noop) {
        group_fail(group, "F1: a configuration before the no-op is committed");
    }
}

static void transfer(struct group *group, struct server *leader)
{
    hl_err err = group_step(
        group, leader,
        (struct hl_raft_event){.type = HL_RAFT_ON_TRANSFER,
                               .transfer = {.peer = one_in(group, 2) ? 0 : any(group)->id}});
    group->stats.transfers += err == HL_OK;
}

static void something_at_leader(struct group *group)
{
    struct server *leader = group_leader(group);
    if (leader == NULL) {
        return;
    }
    switch (hl_rng_below(&group->rng, 5)) {
    case 0:
    case 1:
        change_config(group, leader);
        break;
    case 2:
        transfer(group, leader);
        break;
    case 3:
        (void)group_step(group, leader,
                         (struct hl_raft_event){.type = HL_RAFT_ON_UNREACHABLE,
                                                .unreachable = {.peer = any(group)->id}});
        break;
    case 4:
        (void)group_step(
            group, leader,
            (struct hl_raft_event){.type = HL_RAFT_ON_RESIGN,
                                   .resign = {.not_before_us = clock_us(group, leader) + 300000}});
        break;
    }
}

static void something(struct group *group)
{
    struct server *server = any(group);
    switch (hl_rng_below(&group->rng, 10)) {
    case 0:
        cut_somebody(group);
        break;
    case 1:
    case 2:
        heal(group);
        break;
    case 3:
        crash_somebody(group);
        break;
    case 4:
    case 5:
        start(group, server);
        break;
    case 6:
        server->paused_until_us = group->now_us + hl_rng_below(&group->rng, 4 * ELECTION_US);
        break;
    case 7:
        group_compact(group, server, server->last_commit);
        break;
    case 8:
        something_at_leader(group);
        break;
    case 9:
        if (one_in(group, 3)) {
            black_out(group);
        }
        break;
    }
}

static void client(struct group *group)
{
    struct server *server = any(group);
    if (!server->up || server->paused_until_us > group->now_us) {
        return;
    }
    if (one_in(group, 2)) {
        group_read(group, server);
    } else if (group->next_value < PROPOSALS_MAX) {
        (void)group_propose(group, server, 1 + (uint32_t)hl_rng_below(&group->rng, 3));
    }
}

/* ---- Time ---- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The next thing that a server has to do by itself, or never. */
static uint64_t server_due(const struct server *server)
{
    if (!server->up) {
        return HL_RAFT_NEVER;
    }
    uint64_t due = server->wake_us;
    if (server->flush_due && server->flush_due_us < due) {
        due = server->flush_due_us;
    }
    if (server->flushing && server->flush_done_us < due) {
        due = server->flush_done_us;
    }
    return due == HL_RAFT_NEVER ? due : later(due, server->paused_until_us);
}

static void serve(struct group *group, struct server *server)
{
    if (server->flushing && server->flush_done_us <= group->now_us) {
        group_flush_end(group, server);
    }
    if (server->flush_due && server->flush_due_us <= group->now_us) {
        server->flush_due = false;
        (void)group_step(group, server, (struct hl_raft_event){.type = HL_RAFT_ON_FLUSH});
    }
    if (server->up && server->wake_us <= group->now_us) {
        (void)group_step(group, server, (struct hl_raft_event){.type = HL_RAFT_ON_TICK});
    }
}

static uint64_t packet_due(const struct group *group, const struct packet *packet)
{
    hl_peer to = packet->snapshot != NULL ? packet->snapshot_to : packet->msg.to;
    return later(packet->at_us, group->servers[to].paused_until_us);
}

/* Let time pass until `end_us`, doing whatever is due in its order. */
static void pass(struct group *group, uint64_t end_us)
{
    while (group->failure[0] == '\0') {
        uint64_t at = HL_RAFT_NEVER;
        struct server *server = NULL;
        uint32_t packet = PACKETS_MAX;
        for (uint32_t i = 1; i <= group->count; i++) {
            uint64_t due = server_due(&group->servers[i]);
            if (due < at) {
                at = due;
                server = &group->servers[i];
            }
        }
        for (uint32_t i = 0; i < group->packets_end; i++) {
            if (group->packets[i].used && packet_due(group, &group->packets[i]) < at) {
                at = packet_due(group, &group->packets[i]);
                packet = i;
            }
        }
        if (at > end_us) {
            group->now_us = end_us;
            return;
        }
        group->now_us = later(at, group->now_us);
        if (packet != PACKETS_MAX) {
            group_deliver(group, packet);
        } else {
            serve(group, server);
        }
    }
}

/* ---- The end ---- */

static void revive(struct group *group)
{
    heal(group);
    group->loss_ppm = 0;
    group->double_ppm = 0;
    for (uint32_t i = 1; i <= group->count; i++) {
        group->servers[i].paused_until_us = 0;
        start(group, &group->servers[i]);
    }
}

static void check_alive(struct group *group)
{
    group_check_logs(group);
    struct server *leader = group_leader(group);
    if (leader == NULL) {
        group_fail(group, "H1: nobody leads the healed group");
        return;
    }
    if (leader->raft.commit != leader->raft.log.last) {
        group_fail(group, "H1: the leader has %d entries and commits %d",
                   (int)leader->raft.log.last, (int)leader->raft.commit);
    }
    hl_index ignored;
    const struct hl_raft_config *config = hl_raft_config(&leader->raft, &ignored);
    for (uint32_t i = 0; i < config->count; i++) {
        struct server *member = &group->servers[config->members[i].id];
        if (member->raft.commit != leader->raft.commit) {
            group_fail(group, "H1: member %d commits %d, the leader %d", (int)member->id,
                       (int)member->raft.commit, (int)leader->raft.commit);
        }
        if (hl_raft_barred(&member->raft)) {
            group_fail(group, "H1: member %d has caught up and is still barred", (int)member->id);
        }
        if (member->read_count != 0) {
            group_fail(group, "H1: a read of member %d is never answered", (int)member->id);
        }
    }
}

static void draw(struct group *group, uint64_t seed)
{
    struct hl_rng rng;
    hl_rng_seed(&rng, seed ^ 0x5eed);
    bool lossy = hl_rng_below(&rng, 4) == 0; /* of two voters each is needed; then both take part */
    uint32_t voters =
        lossy ? 2 + (uint32_t)hl_rng_below(&rng, 4) : 3 + (uint32_t)hl_rng_below(&rng, 3);
    group_init(group, seed, CHAOS_SERVERS, voters);
    group->manual = false;
    group->lease = one_in(group, 2);
    group->lossy = lossy;
    group->strict_lives = lossy || one_in(group, 2);
    group->loss_ppm = one_in(group, 3) ? 0 : (uint32_t)hl_rng_below(&group->rng, 100000);
    group->double_ppm = one_in(group, 3) ? 0 : (uint32_t)hl_rng_below(&group->rng, 100000);
    group->delay_min_us = 100 + (uint32_t)hl_rng_below(&group->rng, 1000);
    group->delay_us = 500 + (uint32_t)hl_rng_below(&group->rng, 5000);
    group->flush_us = 200 + (uint32_t)hl_rng_below(&group->rng, one_in(group, 4) ? 60000 : 4000);
    for (uint32_t i = 1; i <= group->count; i++) {
        struct server *server = &group->servers[i];
        double drift = (double)DRIFT_PPM / 1e6 * 0.95;
        double share = (double)hl_rng_below(&group->rng, 2001) / 1000.0 - 1.0;
        server->rate = 1.0 + drift * share;
        server->zero_us = 1 + hl_rng_below(&group->rng, 100000000);
        group_start(group, server, false);
    }
}

void group_chaos(struct group *group, uint64_t seed, FILE *trace)
{
    draw(group, seed);
    group->trace = trace;
    uint64_t pace_us = 10000 + hl_rng_below(&group->rng, 150000);
    uint64_t next_us = 300000;
    while (group->now_us < CHAOS_US && group->failure[0] == '\0') {
        pass(group, group->now_us + hl_rng_below(&group->rng, 8000));
        client(group);
        if (group->now_us >= next_us) {
            something(group);
            next_us = group->now_us + hl_rng_below(&group->rng, 2 * pace_us);
        }
    }
    group_check_logs(group);
    revive(group);
    pass(group, CHAOS_US + HEAL_US / 2);
    struct server *leader = group_leader(group);
    if (leader != NULL) {
        (void)group_propose(group, leader, 1);
        for (uint32_t i = 1; i <= group->count; i++) {
            group_read(group, &group->servers[i]);
        }
    }
    pass(group, CHAOS_US + HEAL_US);
    check_alive(group);
}

uint64_t group_failover_us(struct group *group, uint64_t seed, uint32_t count)
{
    group_init(group, seed, count, count);
    group->manual = false;
    group->delay_min_us = 200;
    group->delay_us = 1000;
    group->flush_us = 5000;
    for (uint32_t i = 1; i <= count; i++) {
        group_start(group, &group->servers[i], false);
    }
    pass(group, 5 * (uint64_t)ELECTION_US + hl_rng_below(&group->rng, HEARTBEAT_US));
    struct server *leader = group_leader(group);
    if (leader == NULL) {
        group_fail(group, "nobody leads");
        return HL_RAFT_NEVER;
    }
    group_crash(group, leader, false);
    uint64_t begin_us = group->now_us;
    while (group->now_us < begin_us + 100 * (uint64_t)ELECTION_US && group->failure[0] == '\0') {
        pass(group, group->now_us + 500);
        leader = group_leader(group);
        if (leader != NULL && leader->raft.commit >= leader->raft.noop) {
            return group->now_us - begin_us;
        }
    }
    group_fail(group, "nobody takes over");
    return HL_RAFT_NEVER;
}
