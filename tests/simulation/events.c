#include "sim.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <math.h>
#include <stdarg.h>
#include <unistd.h>

#define SEQ_BITS 24 /* of an event's due time: events of one microsecond keep their order */
#define TRACE_SHOWN 60

struct sim_event *sim_after(struct sim *sim, int64_t delay_us, int machine, sim_event_fn run)
{
    HL_ASSERT(delay_us >= 0);
    struct sim_event *event = hl_calloc(1, sizeof *event);
    event->run = run;
    event->machine = machine;
    event->life = machine < 0 ? 0 : sim->machines[machine].life;
    uint64_t seq = sim->event_seq++ & ((1u << SEQ_BITS) - 1);
    event->node.due = (sim->now_us + delay_us) << SEQ_BITS | (int64_t)seq;
    hl_heap_add(&sim->events, &event->node);
    return event;
}

/* A paused machine gets it when it goes on. */
static bool postpone(struct sim *sim, struct sim_event *event)
{
    int64_t until = event->machine < 0 ? 0 : sim->machines[event->machine].paused_until_us;
    if (until <= sim->now_us) {
        return false;
    }
    uint64_t seq = sim->event_seq++ & ((1u << SEQ_BITS) - 1);
    event->node.due = until << SEQ_BITS | (int64_t)seq;
    hl_heap_add(&sim->events, &event->node);
    return true;
}

/* A process that ends itself comes back here from wherever it was. */
static void run_event(struct sim *sim, struct sim_event *event)
{
    if (setjmp(sim->fatal) == 0) {
        event->run(sim, event);
    } else {
        sim_machine_died(sim->dying);
    }
}

void sim_run_until(struct sim *sim, int64_t end_us)
{
    struct hl_heap_node *first;
    while ((first = hl_heap_first(&sim->events)) != NULL) {
        int64_t due_us = first->due >> SEQ_BITS;
        if (due_us > end_us) {
            break;
        }
        hl_heap_remove(&sim->events, first);
        struct sim_event *event = HL_LIST_ENTRY(first, struct sim_event, node);
        HL_ASSERT(due_us >= sim->now_us);
        sim->now_us = due_us;
        bool alive = event->machine < 0 || sim->machines[event->machine].life == event->life;
        if (alive && postpone(sim, event)) {
            continue;
        }
        sim->stats.events++;
        if (alive) {
            run_event(sim, event);
        }
        hl_free(event->data);
        hl_free(event);
    }
    sim->now_us = end_us > sim->now_us ? end_us : sim->now_us;
}

void sim_events_fini(struct sim *sim)
{
    struct hl_heap_node *first;
    while ((first = hl_heap_first(&sim->events)) != NULL) {
        hl_heap_remove(&sim->events, first);
        struct sim_event *event = HL_LIST_ENTRY(first, struct sim_event, node);
        hl_free(event->data);
        hl_free(event);
    }
    hl_heap_fini(&sim->events);
}

static void print_line(const struct sim_trace_line *line)
{
    fprintf(stderr, "  %10.3f ms  ", (double)line->at_us / 1000);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    fprintf(stderr, line->fmt, (long long)line->args[0], (long long)line->args[1],
            (long long)line->args[2], (long long)line->args[3]);
#pragma GCC diagnostic pop
    fputc('\n', stderr);
}

void sim_trace(struct sim *sim, const char *fmt, int64_t a, int64_t b, int64_t c, int64_t d)
{
    struct sim_trace_line *line = &sim->trace[sim->trace_count++ % SIM_TRACE_MAX];
    *line = (struct sim_trace_line){.at_us = sim->now_us, .fmt = fmt, .args = {a, b, c, d}};
    if (sim->verbose) {
        print_line(line);
    }
}

void sim_trace_print(struct sim *sim, uint64_t count)
{
    uint64_t kept = sim->trace_count < SIM_TRACE_MAX ? sim->trace_count : SIM_TRACE_MAX;
    count = count < kept ? count : kept;
    for (uint64_t i = sim->trace_count - count; i < sim->trace_count; i++) {
        print_line(&sim->trace[i % SIM_TRACE_MAX]);
    }
}

void sim_print_machines(const struct sim *sim)
{
    for (int i = 0; i < sim->profile.machines; i++) {
        const struct sim_machine *m = &sim->machines[i];
        if (!m->up || m->raft == NULL) {
            fprintf(stderr, "  m%d is down\n", i);
            continue;
        }
        const struct hl_raft *raft = m->raft;
        fprintf(
            stderr,
            "  m%d role %d, term %llu, leader m%d, last %llu, durable %llu, commit %llu, voters "
            "%x%s\n",
            i, (int)hl_raft_role(raft), (unsigned long long)hl_raft_term(raft),
            sim_machine_of(sim, hl_raft_leader(raft)), (unsigned long long)hl_raft_last(raft),
            (unsigned long long)hl_raft_durable(raft), (unsigned long long)hl_raft_commit(raft),
            sim_machine_voters(m), m->paused_until_us > sim->now_us ? ", paused" : "");
    }
    for (int i = 0; i < sim->profile.clients; i++) {
        const struct sim_client *c = &sim->clients[i];
        fprintf(stderr, "  c%d at m%d%s%s%s%s\n", i, c->target, c->connected ? ", connected" : "",
                c->session != NULL ? ", served" : "", c->busy ? ", waits" : "",
                c->stopped ? ", stopped" : "");
    }
}

void sim_fail(struct sim *sim, const char *invariant, const char *fmt, ...)
{
    char why[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    if (!sim->verbose) {
        sim_trace_print(sim, TRACE_SHOWN);
    }
    sim_print_machines(sim);
    fprintf(stderr, "seed %llu, mutant %d, at %.3f ms: %s: %s\n", (unsigned long long)sim->seed,
            sim->mutant, (double)sim->now_us / 1000, invariant, why);
    fflush(stderr);
    _exit(1);
}

bool sim_chance(struct sim *sim, int ppm)
{
    return ppm > 0 && hl_rng_below(&sim->rng, 1000000) < (uint64_t)ppm;
}

int64_t sim_below(struct sim *sim, int64_t below)
{
    return below <= 0 ? 0 : (int64_t)hl_rng_below(&sim->rng, (uint64_t)below);
}

int64_t sim_exponential(struct sim *sim, int64_t mean_us)
{
    double u = ((double)(hl_rng_next(&sim->rng) >> 11) + 1) * 0x1p-53;
    double t = -log(u);
    return (int64_t)((double)mean_us * (t < 20 ? t : 20));
}
