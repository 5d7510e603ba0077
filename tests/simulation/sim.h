/* The simulator: whole servers on virtual network, disks and clocks, one thread, one seed, one run.
 *
 * Every machine runs the real core (raft, wal, keyspace, command, node); what it asks of the world
 * is answered here.  Nothing reads a clock or randomness but through `struct sim`, so a seed gives
 * the same run every time.
 *
 *     events.c    the order of events, the trace, failing
 *     profile.c   what a seed is made of: rates, sizes, scripts
 *     machine.c   one computer: clocks, crashes, restarts
 *     net.c       the network between machines
 *     nemesis.c   what goes wrong by chance
 *     script.c    what goes wrong on purpose
 *     oracle.c    the truth about the log, and the invariants asserted against it
 *     main.c      seeds, children, reports
 *
 * Two programs are made of these.  helios-simulate runs whole nodes:
 *
 *     whole.c     a machine with a node, its log on a disk in memory
 *     boot.c      how it begins: who founds, who joins, who stops
 *     operator.c  who replaces machines that lost their disks
 *     state.c     what is asserted of it beyond the log
 *     client.c    connections of clients and what travels on them
 *     workload.c  what clients ask, what they are told, the history of it
 *
 * and helios-simulate-raft runs consensus alone, ten times as fast:
 *
 *     bare.c      a machine with core/raft and a log of numbers
 */
#ifndef SIMULATION_SIM_H
#define SIMULATION_SIM_H

#include "base/heap.h"
#include "base/rng.h"
#include "check.h"
#include "history.h"
#include "node/bootstrap.h"
#include "node/node.h"
#include "node/snapshot.h"
#include "resp/reader.h"
#include "support/fake_disk.h"

#include <setjmp.h>

#define SIM_MACHINES_MAX 7
#define SIM_CLIENTS_MAX 12
#define SIM_KEYS_MAX 4
#define SIM_TRACE_MAX 4096
#define SIM_MS 1000 /* microseconds */
#define SIM_NEVER INT64_MAX
#define SIM_TERMS_MAX 8192
#define SIM_CONFIGS_MAX 4096
#define SIM_ELECTION_US (150 * SIM_MS)
#define SIM_HEARTBEAT_US (40 * SIM_MS)

struct sim;
struct sim_event;
typedef void (*sim_event_fn)(struct sim *sim, struct sim_event *event);

/* Something that will happen. */
struct sim_event {
    struct hl_heap_node node;
    sim_event_fn run;
    int machine;   /* which it happens to; -1: none */
    uint64_t life; /* of that machine: the event is lost when the process has ended since */
    int64_t a, b, c;
    int64_t sent_us; /* of a frame */
    void *data;      /* freed with the event */
};

enum sim_script {
    SIM_SCRIPT_NONE,
    SIM_SCRIPT_LEASE,         /* a follower loses the leader, then the leader loses everybody */
    SIM_SCRIPT_LEASE_RESTART, /* and the others restart within the lease */
    SIM_SCRIPT_SHORT_REIGNS,  /* leaders live a moment and reach a minority */
    SIM_SCRIPT_FIGURE8,       /* figure 8 of the Raft paper, step by step */
    SIM_SCRIPT_SLOW_FLUSH,    /* a flush in flight across a truncation */
    SIM_SCRIPT_CONFIGS,       /* two changes of one configuration */
    SIM_SCRIPT_SHRINK,        /* a leader that is cut off removes the others */
    SIM_SCRIPT_LONG_LOG,      /* the longer log has the lower term, and both are needed */
    SIM_SCRIPT_LAG, /* one after the other misses much and is asked as soon as it is back */
    SIM_SCRIPTS,
};

enum sim_cut {
    SIM_CUT_BOTH,
    SIM_CUT_ONE_WAY, /* from the inside to the outside */
    SIM_CUT_FLAKY,   /* half of the directions */
    SIM_CUTS,
};

/* What a seed is made of. */
struct sim_profile {
    int machines;
    uint32_t voters; /* at first: a bit for each machine */
    enum sim_script script;
    bool stale;                   /* followers answer reads without asking the leader */
    int session_ppm, bounded_ppm; /* of the clients: CLIENT CONSISTENCY SESSION, BOUNDED */
    int bound_ms;
    size_t speculation_size; /* uncommitted bytes that a leader may have */
    bool monitor;            /* the first client watches what others do */
    bool ordered;            /* links keep the order of frames */
    bool lease, eager;       /* eager: new leaders change the configuration at once */
    int batch;               /* entries in one message at most */
    int flights;             /* batches that the log may have in flight at once */
    int config_ppm, transfer_ppm;
    int clients;
    int64_t chaos_end_us, end_us;    /* faults until the first, everything done by the second */
    int drop_ppm, dup_ppm, slow_ppm; /* of a message */
    int64_t delay_min_us, delay_mean_us, client_delay_us;
    int64_t disk_mean_us; /* of a batch */
    int lose_disk_ppm, rot_ppm;
    bool forgets;     /* `interval`: a boot loses what was acknowledged since the last sync */
    int misroute_ppm; /* of a frame: another machine gets it too */
    int nemesis_period_us;
    int crash_ppm, pause_ppm, cut_ppm, sync_fail_ppm, full_ppm, slow_disk_ppm, jump_ppm;
    int power_ppm; /* of a crash: at some coming I/O, not between two */
    int tear_ppm;  /* of a crash: what was not synced is torn, not lost */
    int clock_ppm; /* drift at most */
    int think_mean_us;
    bool bursty;
    int snapshot_entries; /* between snapshots */
    uint32_t segment_size;
    int keys;
};

/* A batch handed to the log thread and not yet reported. */
struct sim_flight {
    uint64_t seq;
    struct hl_wal_batch batch; /* a copy: the node may go before the log */
    enum {
        SIM_FLIGHT_WAITS, /* for those before it to be in the file */
        SIM_FLIGHT_PUT,   /* in the file, being synced */
        SIM_FLIGHT_OVER,
    } stage;
    hl_err err;
    char why[320];
};

/* What the operator has to see to. */
enum sim_trouble {
    SIM_TROUBLE_NONE,
    SIM_TROUBLE_EMPTIED,  /* its disk is another, and it was started as before */
    SIM_TROUBLE_REPLACED, /* it was started to join, and the group has to be told */
    SIM_TROUBLE_ROTTEN,   /* its disk does not hold what it should */
};

#define SIM_FORMER_MAX 8

/* One computer. */
struct sim_machine {
    struct sim *sim;
    int id;
    hl_peer peer;               /* its id in the group */
    const struct hl_raft *raft; /* NULL while down */
    struct sim_bare *bare;      /* of helios-simulate-raft */
    struct fake_disk *fake;     /* NULL there, as what follows */
    struct hl_disk disk;
    struct hl_wal *wal;
    struct hl_node *node; /* NULL while down */
    struct hl_world world;
    struct sim_flight flights[HL_WAL_FLIGHTS_MAX]; /* oldest first */
    int flight_count;
    uint64_t flight_seq;
    struct hl_boot boot;
    bool begun, joins, refused; /* the node loads or runs; --join; bootstrap has stopped it */
    int64_t boot_round;         /* counts starts: late answers belong to earlier ones */
    enum sim_trouble trouble;
    int64_t trouble_us; /* since when */
    hl_peer former;     /* its id before it lost its disk */
    bool barred; /* its disk may have forgotten, or was cut, and nobody has brought it up to date */
    hl_index barred_until;
    bool rotten; /* its disk is, and nobody has mended it */
    bool looked; /* it was started since its disk rotted */
    bool was_voter;
    bool outcast; /* was removed under its present id, which is never used again */
    hl_peer formers[SIM_FORMER_MAX]; /* all of them */
    int former_count;
    bool up;
    bool buried; /* down for the rest of the run */
    uint64_t life;
    struct hl_rng entropy;
    int64_t clock_ppm, mono_offset_us, wall_offset_us;
    int64_t paused_until_us, slow_until_us;
    int64_t one_slow_us; /* the next flush takes so long */
    int64_t tick_at_us;  /* when its alarm goes off */
    hl_err written;      /* what the log thread will report */
    char why[320];
    struct hl_snap_label snapshot; /* index 0: none is being made */
    uint64_t snapshot_epoch;
    char name[8];
    hl_index snapshot_done;
    int64_t up_since_us;
    struct hl_buf touched; /* names that the running unit has changed: see state.c */
    /* The oracle's: */
    hl_index base_seen; /* label of the snapshot that it had at the last look */
    hl_term reign;      /* the term that it led at the last look, and the first entry of it */
    hl_index reign_first;
    hl_index seen_commit, seen_index, commit_before, promised;
    hl_term seen_term, promised_term, led_term;
    uint64_t seen_epoch;
    hl_index began_at; /* X when the iteration began */
    bool was_leader, was_candidate;
};

enum sim_op {
    SIM_OP_WRITE,
    SIM_OP_READ,
    SIM_OP_CAS,
    SIM_OP_ADD,
    SIM_OP_COUNT,
    SIM_OP_APPEND,
    SIM_OP_LIST,
    SIM_OP_PAIR,      /* MULTI: the same element to two lists */
    SIM_OP_PAIR_LIST, /* MULTI: both read */
    SIM_OP_FIELD_WRITE,
    SIM_OP_FIELD_READ,
    SIM_OP_ONCE,  /* APPEND under a session's number, sent again until it is answered */
    SIM_OP_NOISE, /* something else that changes state: only the digests watch it */
    SIM_OPS,
};

/* A request on its way or waiting at the machine. */
struct sim_request {
    int argc;
    struct hl_slice *argv; /* one block, see hl_slices_dup() */
};

#define SIM_INBOX_MAX 16

/* How fresh the reads of a client have to be. */
enum sim_mode {
    SIM_MODE_DEFAULT, /* as its server has it */
    SIM_MODE_SESSION, /* it takes its token wherever it goes */
    SIM_MODE_BOUNDED,
};

/* One client: a connection, and one operation at a time. */
struct sim_client {
    int id;
    enum sim_mode mode;
    bool tokenless;             /* it could not get a token once: its reads prove nothing more */
    uint64_t token;             /* the newest */
    bool moded;                 /* the connection was told of the mode */
    int prelude;                /* replies still to come that belong to no operation */
    int64_t asked_us;           /* when its operation was sent */
    int target;                 /* machine */
    struct hl_session *session; /* at the machine, while connected */
    bool connected;
    uint64_t connection;                     /* counts connections: events of older ones are lost */
    int64_t in_us, out_us;                   /* last delivery each way: links keep order */
    struct sim_request inbox[SIM_INBOX_MAX]; /* arrived, not executed */
    int inbox_count;
    bool pumping;
    struct hl_buf replies;
    struct hl_reader reader;

    bool busy, final, stopped, monitors;
    bool again;         /* the operation was not answered: the same once more */
    uint64_t seq;       /* of the client's session */
    size_t monitor_len; /* bytes of the session after the last look */
    uint64_t attempt;   /* counts operations, for time-outs */
    enum sim_op op;
    int waiting; /* replies still to come */
    int stage;   /* of a CAS */
    int key;
    uint32_t element;
    int64_t value, expected;
    int64_t invoked;
    int move_to;   /* machine that it was told to ask; -1: none */
    bool refused;  /* a reply was an error that promises that nothing was done */
    bool in_doubt; /* a reply was an error that promises nothing */
    struct {       /* what the replies said */
        bool is_nil;
        int64_t integer, integer2;
        uint32_t *elements, *elements2;
        size_t count, count2;
    } got;
};

/* Counters for the report. */
struct sim_stats {
    uint64_t events, ops, unknown, failed, messages, dropped, crashes, power_cuts, pauses, cuts,
        sync_failures, full_disks, slow_disks, snapshots, entries, digests, elections, rollbacks,
        installs, transfers, configs, gave_up, session_reads, bounded_reads, lost_disks,
        refused_starts, replaced, foreign, rotten, refetched, harmless, beyond_repair, steps_us,
        forgetful, forgotten;
};

struct sim_trace_line {
    int64_t at_us;
    const char *fmt;
    int64_t args[4];
};

/* What is known of one log position. */
struct sim_truth {
    hl_term term;  /* 0: not committed yet */
    hl_term by;    /* term of the leader that committed it, or that its first follower knew */
    uint64_t body; /* hash */
    int64_t log_time_us;
};

/* An element of a list that a client was told is there. */
struct sim_acked {
    int64_t at_us;
    uint32_t element;
};

struct sim {
    uint64_t seed;
    int mutant;
    int wanted_script; /* 0: as the seed has it */
    bool verbose;
    struct hl_rng rng;
    int64_t now_us;
    struct hl_heap events;
    uint64_t event_seq;
    int64_t stamp; /* of the history: every send and answer has its own */
    struct sim_profile profile;
    struct sim_machine machines[SIM_MACHINES_MAX];
    struct sim_client clients[SIM_CLIENTS_MAX];
    bool cut[SIM_MACHINES_MAX][SIM_MACHINES_MAX];           /* from, to */
    int64_t arrives_us[SIM_MACHINES_MAX][SIM_MACHINES_MAX]; /* the last frame on its way */
    int64_t idle_until_us;
    bool chaos;    /* things go wrong */
    bool forgot;   /* acknowledged writes were lost, lawfully: see forget_what_nobody_has() */
    jmp_buf fatal; /* where hl_world.fatal() goes, to the loop of events */
    struct sim_machine *dying;
    bool finishing;
    int64_t finish_us;
    int finals; /* final reads: what was handed out so far */
    int finals_done;
    uint32_t next_element;
    struct {
        struct sim_acked *at;
        size_t count, cap;
    } acked[SIM_KEYS_MAX]; /* of each list that bounded reads look at */
    int64_t lateness_us;   /* that a frame had at most, on its way and at a paused machine */
    int64_t pause_us;      /* the longest */
    int64_t next_value;
    struct history history;
    struct sim_stats stats;
    struct sim_truth *truth;      /* by index */
    unsigned char cluster_id[16]; /* of whoever committed first */
    hl_index truth_count, committed;
    hl_term committed_by;         /* the highest term in which anything was committed */
    hl_index answered;            /* bare: the highest position that a client was told of */
    int leader_of[SIM_TERMS_MAX]; /* machine + 1 */
    struct {
        int stage, first, second, third, partner;
        int back; /* a machine that has just come back: clients like to ask it; -1: none */
        int64_t until_us;
    } script;
    struct sim_digest *digests;
    size_t digests_count, digests_cap;
    struct sim_trace_line trace[SIM_TRACE_MAX];
    uint64_t trace_count;
};

/* What differs between the two programs; each has one. */
struct sim_engine {
    bool cluster;                               /* several machines */
    bool forgets;                               /* its disks may lose what was not synced */
    void (*start)(struct sim_machine *machine); /* the process begins */
    void (*end)(struct sim_machine *machine, bool abandon);          /* its memory goes */
    void (*crash)(struct sim_machine *machine, enum fake_crash how); /* what its disk keeps */
    void (*receive)(struct sim_machine *machine, struct sim_machine *from, struct hl_slice frame);
    void (*arm)(struct sim_machine *machine, int operations); /* the power goes then; may be NULL */
    hl_index (*durable)(const struct sim_machine *machine);   /* what its disk holds of its log */
    bool (*propose_config)(struct sim_machine *machine, uint32_t voters); /* when it leads */
    void (*transfer)(struct sim_machine *machine);
    void (*lose_disk)(struct sim_machine *machine); /* if it may; may be NULL, as the next */
    void (*rot_disk)(struct sim_machine *machine);
    void (*fini)(struct sim_machine *machine);
    void (*clients)(struct sim *sim); /* start them */
    void (*finish)(struct sim *sim);  /* from now on what was begun is completed */
    bool (*done)(const struct sim *sim);
    const char *(*waits_for)(const struct sim *sim); /* what is not done; may be NULL */
    void (*judge)(struct sim *sim);                  /* at the end */
    void (*fini_all)(struct sim *sim);
};

extern const struct sim_engine sim_engine;

/* --- events.c --- */

/* Let `run` happen `delay_us` from now.  The event is the simulator's; fill in a, b, c, data. */
struct sim_event *sim_after(struct sim *sim, int64_t delay_us, int machine, sim_event_fn run);

/* Run events until `end_us`, or until there are none. */
void sim_run_until(struct sim *sim, int64_t end_us);

/* Note a line of at most four numbers; it is formatted only when it is printed. */
void sim_trace(struct sim *sim, const char *fmt, int64_t a, int64_t b, int64_t c, int64_t d);

/* An invariant, by its number, does not hold: print the seed, the reason and the last events, and
 * end the process with status 1. */
void sim_fail(struct sim *sim, const char *invariant, const char *fmt, ...)
    __attribute__((noreturn)) HL_PRINTF(3, 4);

/* Print what each machine believes. */
void sim_print_machines(const struct sim *sim);

/* Print the newest `count` trace lines. */
void sim_trace_print(struct sim *sim, uint64_t count);

/* Forget what has not happened. */
void sim_events_fini(struct sim *sim);

/* Chance: true `ppm` times in a million. */
bool sim_chance(struct sim *sim, int ppm);

/* A uniform number in 0..below - 1 (0 when below is 0). */
int64_t sim_below(struct sim *sim, int64_t below);

/* An exponential time with this mean, at most 20 times as long. */
int64_t sim_exponential(struct sim *sim, int64_t mean_us);

/* --- profile.c --- */

/* Draw the seed's profile. */
void sim_profile_draw(struct sim *sim);

/* --- machine.c --- */

/* Make the machine, down. */
void sim_machine_init(struct sim *sim, int id);

/* Its process starts in a while. */
void sim_machine_boot(struct sim_machine *machine, int64_t delay_us);

/* The process ends at once; the disk is what `how` leaves.  It starts again after `down_us`
 * (SIM_NEVER: somebody else sees to that). */
void sim_machine_crash(struct sim_machine *machine, enum fake_crash how, int64_t down_us);

/* As the profile has it. */
void sim_machine_crash_any(struct sim_machine *machine);

/* The process ended itself, with the reason in machine->why. */
void sim_machine_died(struct sim_machine *machine);

/* Release everything. */
void sim_machine_fini(struct sim_machine *machine);

/* Time passed since the start, as its clock has it. */
int64_t sim_machine_local_us(const struct sim_machine *machine);

/* Its monotonic clock. */
uint64_t sim_machine_mono_us(const struct sim_machine *machine);

/* How long it takes until its monotonic clock shows `wake_us`: more than nothing, or SIM_NEVER. */
int64_t sim_machine_until(const struct sim_machine *machine, uint64_t wake_us);

/* How long its disk takes for the next batch. */
int64_t sim_machine_disk_us(struct sim_machine *machine);

/* The voters as it knows them, a bit for each machine. */
uint32_t sim_machine_voters(const struct sim_machine *machine);

/* The machine of this id, or -1. */
int sim_machine_of(const struct sim *sim, hl_peer id);

/* The machine that had this id before it lost its disk, or -1. */
int sim_machine_was(const struct sim *sim, hl_peer id);

/* The machine of this name, or -1. */
int sim_machine_named(const struct sim *sim, const char *name);

/* --- net.c --- */

/* Send a frame; it is copied. */
void sim_net_send(struct sim_machine *from, struct sim_machine *to, struct hl_slice frame);

/* Every direction works. */
void sim_net_heal(struct sim *sim);

/* Cut the machines of `side` (a bit for each) off from the others. */
void sim_net_split(struct sim *sim, uint32_t side, enum sim_cut how);

/* --- script.c --- */

/* The machine that leads the highest term, or -1. */
int sim_leader(const struct sim *sim);

/* A machine has become leader. */
void sim_script_leader(struct sim_machine *machine);

/* A machine asks for votes. */
void sim_script_candidate(struct sim_machine *machine);

/* Time to begin an attack, perhaps. */
void sim_script_poll(struct sim *sim);

/* The flush that was asked to be slow has begun and takes so long. */
void sim_script_slow_flush(struct sim_machine *machine, int64_t takes_us);

/* The leader changes the configuration by one voter, at random. */
void sim_script_config(struct sim *sim);

/* --- whole.c --- */

/* Begin an iteration of the node's loop, ended by sim_machine_end().  False when there is no loop
 * to do it in (down or paused). */
bool sim_machine_begin(struct sim_machine *machine);

/* End it: looks at the machine, and what may leave leaves. */
void sim_machine_end(struct sim_machine *machine);

/* How it begins was decided: load what its disk has, and run. */
void sim_machine_load(struct sim_machine *machine);

/* Give a machine that is down an empty disk, and the id that it will draw. */
void sim_machine_wipe(struct sim_machine *machine);

/* --- boot.c --- */

/* The process is there, its log is open: found, join, go on or stop. */
void sim_boot_begin(struct sim_machine *machine);

/* --- operator.c --- */

/* Look after the machines from now on. */
void sim_operator_start(struct sim *sim);

/* Has the operator something to do? */
bool sim_operator_busy(const struct sim *sim);

/* The machine's disk is gone, if that may be now. */
void sim_operator_lose_disk(struct sim_machine *machine);

/* A part of the machine's disk is not what it was, if that may be now. */
void sim_operator_rot_disk(struct sim_machine *machine);

/* --- rot.c --- */

/* Damage a file of the machine.  False when there is none, or when nobody could tell. */
bool sim_rot(struct sim_machine *machine);

/* --- state.c --- */

/* Look at a machine after an iteration of its loop. */
void sim_state_look(struct sim_machine *machine);

/* Its process is there again. */
void sim_state_recovered(struct sim_machine *machine);

/* See what every unit of its node changes (C5): the node was just made. */
void sim_state_watch(struct sim_machine *machine);

/* In the end: is its log as short as the policy of snapshots makes it (H2)? */
bool sim_state_is_short(const struct sim_machine *machine);

/* Release everything. */
void sim_state_fini(struct sim *sim);

/* --- client.c --- */

/* Start the clients. */
void sim_clients_start(struct sim *sim);

/* Send a request of `count` words, which are copied.  The client waits for one more reply. */
void sim_client_send(struct sim *sim, struct sim_client *client, const char *const *words,
                     int count);

/* Bytes of the machine's sessions leave. */
void sim_clients_harvest(struct sim_machine *machine);

/* The machine's process has ended: its connections break.  Its sessions end too, unless the process
 * died in the middle of something (`abandon`). */
void sim_clients_lost(struct sim_machine *machine, bool abandon);

/* Release everything. */
void sim_clients_fini(struct sim *sim);

/* --- workload.c --- */

/* Choose the next operation and send what it begins with. */
void sim_workload_begin(struct sim *sim, struct sim_client *client);

/* A reply has come.  True when the operation is over, and noted in the history. */
bool sim_workload_reply(struct sim *sim, struct sim_client *client, const struct hl_reply *reply);

/* The connection broke, or the client gave up waiting: the operation is over. */
void sim_workload_lost(struct sim *sim, struct sim_client *client);

/* From now on everything is read once, then the clients stop. */
void sim_workload_finish(struct sim *sim);

/* Have all clients stopped, everything read? */
bool sim_workload_done(const struct sim *sim);

/* --- nemesis.c --- */

/* Start what goes wrong. */
void sim_nemesis_start(struct sim *sim);

/* Everything works from now on. */
void sim_nemesis_stop(struct sim *sim);

/* --- oracle.c --- */

/* The machine says that this entry is committed. */
void sim_oracle_commit(struct sim_machine *machine, hl_index index, hl_term term, uint64_t body,
                       int64_t log_time_us);

/* Look at the machine's part in the consensus, after every step. */
void sim_oracle_raft(struct sim_machine *machine);

/* Look at every lease. */
void sim_oracle_leases(struct sim *sim);

/* The process is there again, its log recovered. */
void sim_oracle_recovered(struct sim_machine *machine);

/* Release everything. */
void sim_oracle_fini(struct sim *sim);

#endif
