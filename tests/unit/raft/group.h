/* A few rafts with a network, disks and clocks of make-believe: the harness of the tests here.
 *
 * Every server has a log in memory and an image of its disk; a flush copies one to the other when
 * it ends, a crash leaves only the image.  Packets lie in a bag: a script takes them out by hand,
 * the random run at times drawn from its seed.  Whatever drives it, each step asserts the
 * invariants of docs PROTOCOL by number: A1 to A5, E1, E2, D1, F1, log matching, and that reads are
 * never stale.
 *
 * A failed assertion is noted in `failure`, the first one, and nothing goes on after it.
 */
#ifndef TESTS_UNIT_RAFT_GROUP_H
#define TESTS_UNIT_RAFT_GROUP_H

#include "base/rng.h"
#include "raft/raft.h"

#include <stdio.h>

#define SERVERS_MAX 7    /* ids 1 .. 7 */
#define LOG_MAX 400      /* entries of one run */
#define FIT_MAX 8        /* entries of one message */
#define PACKETS_MAX 1024 /* in the bag */
#define CONFIGS_MAX 128  /* of one run */
#define READS_MAX 64     /* of one server, in flight */
#define TERMS_MAX 4096

#define ELECTION_US 100000
#define HEARTBEAT_US 20000
#define DRIFT_PPM 20000

struct entry {
    uint32_t term;
    uint32_t value; /* IS_CONFIG | position in group.configs, or what was proposed */
};

#define IS_CONFIG 0x80000000u

/* What a disk holds. */
struct image {
    hl_term term;
    hl_peer vote;
    hl_index base, last;
    hl_term base_term;
    struct hl_raft_config_entry base_config;
    struct entry log[LOG_MAX + 1]; /* log[i] is entry i */
};

struct packet {
    bool used;
    uint64_t at_us;
    struct hl_raft_msg msg;
    uint32_t from_life, to_life;
    struct entry entries[FIT_MAX];
    struct image *snapshot; /* not a message of raft but a whole snapshot, owned */
    hl_peer snapshot_from, snapshot_to;
};

struct read {
    uint64_t id;
    hl_index floor; /* committed somewhere when it was asked */
};

struct server {
    hl_peer id;
    bool up, learned; /* has been in a configuration */
    uint32_t life;
    struct hl_raft raft;
    struct image now, flying, disk;
    bool flushing, flush_due;
    bool hold_disk; /* settling leaves its disk alone */
    uint64_t flush_done_us, flush_due_us, wake_us, paused_until_us;
    double rate;          /* of its clock */
    uint64_t zero_us;     /* of its clock */
    uint64_t answered_us; /* by its clock: it answered a leader, or started */
    uint64_t next_read;
    struct read reads[READS_MAX];
    uint32_t read_count;
    hl_index last_commit;
    enum hl_raft_role traced_role;
};

struct group {
    char failure[256];
    uint64_t now_us;
    struct hl_rng rng;
    uint32_t count;
    struct server servers[SERVERS_MAX + 1]; /* [0] is not used */
    struct packet packets[PACKETS_MAX];
    uint32_t packets_end; /* none is used from here on */
    bool cut[SERVERS_MAX + 1][SERVERS_MAX + 1];
    bool lease, manual;
    bool strict_lives; /* messages of and to former lives are dropped */
    bool lossy;        /* crashes may take entries that were acknowledged */
    uint32_t loss_ppm, double_ppm, delay_min_us, delay_us, flush_us;
    uint32_t next_value;
    /* The truth: what was committed anywhere. */
    struct entry committed[LOG_MAX + 1];
    hl_term committed_in[LOG_MAX + 1]; /* term of the server that knew first */
    hl_index committed_last;
    hl_term committed_term; /* newest of committed_in */
    hl_peer leader_of[TERMS_MAX];
    struct hl_raft_config configs[CONFIGS_MAX];
    uint32_t config_count;
    bool barred[SERVERS_MAX + 1]; /* lost acknowledged entries, and has not caught up yet */
    FILE *trace;                  /* every step as a line, or NULL */
    struct {
        uint64_t steps, elections, commits, truncations, installs, configs, transfers, reads,
            lease_reads, crashes, unbarred, blackouts;
    } stats;
};

/* Make a group of `voters` servers out of `count`, all up, connected, with empty disks.  The others
 * wait to be told of the group. */
void group_init(struct group *group, uint64_t seed, uint32_t count, uint32_t voters);

/* Release what it holds. */
void group_fini(struct group *group);

/* Note a failure, unless one is noted already. */
void group_fail(struct group *group, const char *fmt, ...) HL_PRINTF(2, 3);

/* The term of an entry that the image holds, or of its base. */
hl_term image_term(const struct image *image, hl_index index);

/* The server's clock. */
uint64_t clock_us(const struct group *group, const struct server *server);

/* Step one server and do what it owes; the error of the step. */
hl_err group_step(struct group *group, struct server *server, struct hl_raft_event event);

/* Start a server that is down from its disk. */
void group_start(struct group *group, struct server *server, bool barred);

/* Stop one; a flush in flight may reach the disk or not. */
void group_crash(struct group *group, struct server *server, bool flush_arrives);

/* Begin to write what changed, unless a flush is in flight. */
void group_flush_begin(struct group *group, struct server *server);

/* End the flush that is in flight, if any. */
void group_flush_end(struct group *group, struct server *server);

/* Propose `count` values; false when it may not. */
bool group_propose(struct group *group, struct server *server, uint32_t count);

/* Ask for a read. */
void group_read(struct group *group, struct server *server);

/* Change the configuration; the error of the step. */
hl_err group_config(struct group *group, struct server *server,
                    const struct hl_raft_config *config);

/* Drop the log up to `index`. */
void group_compact(struct group *group, struct server *server, hl_index index);

/* Take packet `i` out of the bag and give it to its receiver; lost when that one is down or cut. */
void group_deliver(struct group *group, uint32_t i);

/* Deliver everything, flush and step until nothing happens any more but ticks. */
void group_settle(struct group *group);

/* The same, but only packets of these types (1 << type) leave the bag. */
void group_settle_only(struct group *group, uint32_t types);

/* What settles an election. */
#define ELECTION_TYPES                                                                             \
    (1u << HL_RAFT_PRE_VOTE | 1u << HL_RAFT_PRE_VOTE_REPLY | 1u << HL_RAFT_VOTE |                  \
     1u << HL_RAFT_VOTE_REPLY)

/* Let `us` pass for everybody, with ticks and all deliveries at once. */
void group_run(struct group *group, uint64_t us);

/* The leader of the highest term that is up, or NULL. */
struct server *group_leader(struct group *group);

/* Make `id` campaign by letting its time run out, and settle.  It, when it leads, else NULL. */
struct server *group_elect(struct group *group, hl_peer id);

/* The same, settling only packets of these types. */
struct server *group_elect_only(struct group *group, hl_peer id, uint32_t types);

/* Give a made-up message to its receiver. */
void group_tell(struct group *group, const struct hl_raft_msg *msg);

/* Cut `id` from everybody, or connect it. */
void group_isolate(struct group *group, hl_peer id, bool isolated);

/* Write a step as text: the event on a line, and a line for each thing it led to. */
void group_trace(FILE *out, struct server *server, const struct hl_raft_event *event,
                 const struct hl_raft_ready *ready);

/* Whether all pairs of logs agree wherever an (index, term) is in both. */
void group_check_logs(struct group *group);

/* One run of make-believe chaos, its steps written to `trace` unless NULL; the failure is in
 * `group`. */
void group_chaos(struct group *group, uint64_t seed, FILE *trace);

/* A group of `count` loses its leader: how long until another has committed its no-op. */
uint64_t group_failover_us(struct group *group, uint64_t seed, uint32_t count);

#endif
