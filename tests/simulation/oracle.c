/* The truth about the log, and what is asserted against it whatever the machines run. */
#include "sim.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define COMPLETE_SPAN 400 /* newest entries that a new leader is asked for */

static struct sim_truth *truth_of(struct sim *sim, hl_index index)
{
    if (index >= sim->truth_count) {
        hl_index count = index * 2 + 64;
        sim->truth = hl_realloc(sim->truth, count * sizeof *sim->truth);
        memset(sim->truth + sim->truth_count, 0, (count - sim->truth_count) * sizeof *sim->truth);
        sim->truth_count = count;
    }
    return &sim->truth[index];
}

/* A2: what is committed at an index is the same everywhere, for ever.  G1: log_time never goes
 * back. */
void sim_oracle_commit(struct sim_machine *machine, hl_index index, hl_term term, uint64_t body,
                       int64_t log_time_us)
{
    struct sim *sim = machine->sim;
    struct sim_truth *truth = truth_of(sim, index);
    machine->seen_commit = index;
    if (truth->term != 0 && (truth->term != term || truth->body != body)) {
        sim_fail(
            sim, "A2 state machine safety",
            "machine %d commits entry %llu of term %llu, and it was committed with term %llu%s",
            machine->id, (unsigned long long)index, (unsigned long long)term,
            (unsigned long long)truth->term, truth->body != body ? " and another body" : "");
    }
    if (truth->term != 0) {
        return;
    }
    *truth = (struct sim_truth){
        .term = term, .body = body, .log_time_us = log_time_us, .by = hl_raft_term(machine->raft)};
    sim->stats.entries++;
    sim->committed = index > sim->committed ? index : sim->committed;
    sim->committed_by = truth->by > sim->committed_by ? truth->by : sim->committed_by;
    const struct sim_truth *before = index > 1 ? &sim->truth[index - 1] : truth;
    if (before->term != 0 && before->log_time_us > log_time_us) {
        sim_fail(sim, "G1 log_time", "entry %llu has a time before its predecessor's",
                 (unsigned long long)index);
    }
}

/* Is a committed entry in no log any more, of those machines that run? */
static bool nobody_has(struct sim *sim, hl_index index)
{
    for (int i = 0; i < sim->profile.machines; i++) {
        const struct sim_machine *machine = &sim->machines[i];
        hl_term has = 0;
        if (!machine->up || machine->raft == NULL) {
            continue;
        }
        bool there = hl_raft_term_at(machine->raft, index, &has);
        if (there ? has == sim->truth[index].term : index <= hl_raft_last(machine->raft)) {
            return false;
        }
    }
    return true;
}

/* All machines that held it were booted before they had synced it: then it may be lost, with all
 * that follows it, when all others have had their say. */
static void forget(struct sim *sim, hl_index index)
{
    sim_trace(sim, "entry %lld is lost", (int64_t)index, 0, 0, 0);
    memset(&sim->truth[index], 0, (sim->truth_count - index) * sizeof *sim->truth);
    sim->committed = index - 1;
    sim->forgot = true;
    sim->stats.forgotten++;
}

/* A3: the new leader has every entry that was committed by a leader of an older term.  A stale
 * candidate may win an older term late: that is legal. */
static void check_complete(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    hl_term term = hl_raft_term(machine->raft);
    hl_index oldest = sim->committed > COMPLETE_SPAN ? sim->committed - COMPLETE_SPAN : 1;
    for (hl_index i = sim->committed; i >= oldest && i > 0; i--) {
        const struct sim_truth *truth = truth_of(sim, i);
        hl_term has = 0;
        if (truth->term == 0 || truth->by >= term) {
            continue;
        }
        bool there = hl_raft_term_at(machine->raft, i, &has);
        if (!there && i <= hl_raft_last(machine->raft)) {
            return; /* in its snapshot */
        }
        if ((!there || has != truth->term) && sim->profile.forgets && nobody_has(sim, i)) {
            forget(sim, i);
        } else if (!there || has != truth->term) {
            sim_fail(
                sim, "A3 leader completeness",
                "machine %d leads term %llu without entry %llu of term %llu, committed in term "
                "%llu",
                machine->id, (unsigned long long)term, (unsigned long long)i,
                (unsigned long long)truth->term, (unsigned long long)truth->by);
        }
    }
}

/* A1: one leader a term. */
static void on_leader(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    hl_term term = hl_raft_term(machine->raft);
    sim->stats.elections++;
    sim_trace(sim, "m%lld: leads term %lld, last %lld, commit %lld", machine->id, (int64_t)term,
              (int64_t)hl_raft_last(machine->raft), (int64_t)hl_raft_commit(machine->raft));
    if (term >= SIM_TERMS_MAX) {
        sim_fail(sim, "H1 liveness", "term %llu in so short a time", (unsigned long long)term);
    }
    if (sim->leader_of[term] != 0 && sim->leader_of[term] != machine->id + 1) {
        sim_fail(sim, "A1 election safety", "machines %d and %d lead term %llu",
                 sim->leader_of[term] - 1, machine->id, (unsigned long long)term);
    }
    sim->leader_of[term] = machine->id + 1;
    check_complete(machine);
    sim_script_leader(machine);
}

/* E1: while a lease holds, nobody commits in a higher term. */
static void check_lease(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    hl_term term = hl_raft_term(machine->raft);
    if (sim->committed_by > term &&
        hl_raft_lease_valid(machine->raft, sim_machine_mono_us(machine))) {
        sim_fail(sim, "E1 lease",
                 "machine %d holds the lease of term %llu, and term %llu committed", machine->id,
                 (unsigned long long)term, (unsigned long long)sim->committed_by);
    }
}

/* What the machine has promised to the others, to be kept over a restart (A4). */
static void note_promises(struct sim_machine *machine)
{
    const struct hl_raft *raft = machine->raft;
    hl_term term = 0;
    hl_index durable = sim_engine.durable(machine);
    if (hl_raft_term_at(raft, durable, &term)) {
        machine->promised = durable;
        machine->promised_term = term;
    }
}

void sim_oracle_raft(struct sim_machine *machine)
{
    const struct hl_raft *raft = machine->raft;
    if (!machine->up || raft == NULL) {
        return;
    }
    bool leads = hl_raft_role(raft) == HL_RAFT_LEADER;
    note_promises(machine);
    if (leads && (!machine->was_leader || machine->led_term != hl_raft_term(raft))) {
        machine->was_leader = true;
        machine->led_term = hl_raft_term(raft);
        on_leader(machine);
    }
    machine->was_leader = leads;
    bool asks = hl_raft_role(raft) == HL_RAFT_CANDIDATE;
    if (asks && !machine->was_candidate) {
        machine->was_candidate = true;
        sim_script_candidate(machine);
    }
    machine->was_candidate = asks;
    if (leads && machine->sim->profile.lease) {
        check_lease(machine);
    }
}

/* E1 for everybody: a lease may be asserted at any instant, not only when its holder acts. */
void sim_oracle_leases(struct sim *sim)
{
    for (int i = 0; i < sim->profile.machines && sim->profile.lease; i++) {
        struct sim_machine *machine = &sim->machines[i];
        if (machine->up && machine->raft != NULL && hl_raft_role(machine->raft) == HL_RAFT_LEADER &&
            sim->now_us >= machine->paused_until_us) {
            check_lease(machine);
        }
    }
}

void sim_oracle_recovered(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    const struct hl_raft *raft = machine->raft;
    machine->seen_commit = 0;
    hl_term has = 0;
    if (raft == NULL) {
        return;
    }
    bool there = hl_raft_term_at(raft, machine->promised, &has);
    if (machine->promised == 0 || hl_raft_barred(raft) ||
        (!there && machine->promised < hl_raft_last(raft))) {
        return; /* nothing, or in the snapshot */
    }
    if (!there || has != machine->promised_term) {
        sim_fail(sim, "A4 promises",
                 "machine %d had entry %llu of term %llu on its disk, and starts with a log up to "
                 "%llu, term there %llu",
                 machine->id, (unsigned long long)machine->promised,
                 (unsigned long long)machine->promised_term, (unsigned long long)hl_raft_last(raft),
                 (unsigned long long)has);
    }
}

void sim_oracle_fini(struct sim *sim)
{
    hl_free(sim->truth);
}
