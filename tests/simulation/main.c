/* helios-simulate: run seeds, each in a process of its own, and say which failed.
 *
 * A process for each seed: an assertion of the core, a crash and a hang are failures of that seed,
 * and nothing that one leaves in memory can change another.
 */
#include "sim.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(HL_MUTANTS) && HL_MUTANTS
#include "raft/mutant.h"
#endif

#define JOBS_MAX 64
#define HANG_S 60 /* of one seed, in real time */
#define STEP_US (50 * SIM_MS)

struct options {
    uint64_t first, count;
    uint64_t seconds; /* no seed is begun after so long; 0: no limit */
    int jobs, mutant, script, failures_max;
    bool verbose;
    const char *history;
};

static struct sim *current; /* for what is printed when the core aborts */

static void on_signal(int number)
{
    if (current != NULL) {
        sim_trace_print(current, 60);
        fprintf(stderr, "seed %llu, mutant %d, at %.3f ms: %s\n", (unsigned long long)current->seed,
                current->mutant, (double)current->now_us / 1000,
                number == SIGABRT   ? "an assertion of the core failed"
                : number == SIGALRM ? "H1 liveness: it hangs"
                                    : "the core crashed");
        fflush(stderr);
    }
    _exit(1);
}

static void save_history(const struct sim *sim, const char *name)
{
    FILE *out = name == NULL ? NULL : fopen(name, "w");
    for (size_t i = 0; out != NULL && i < sim->history.count; i++) {
        history_print(&sim->history.ops[i], out);
    }
    if (out != NULL) {
        (void)fclose(out);
    }
}

static void simulate(struct sim *sim, const char *history)
{
    sim_profile_draw(sim);
    for (int i = 0; i < sim->profile.machines; i++) {
        sim_machine_init(sim, i);
    }
    for (int i = 0; i < sim->profile.machines; i++) {
        sim_machine_boot(&sim->machines[i], sim_below(sim, 20 * SIM_MS));
    }
    sim_engine.clients(sim);
    sim_nemesis_start(sim);
    sim_run_until(sim, sim->profile.chaos_end_us);
    sim_nemesis_stop(sim);
    sim_run_until(sim, sim->profile.chaos_end_us + 500 * SIM_MS);
    sim_engine.finish(sim);
    while (!sim_engine.done(sim) && sim->now_us < sim->profile.end_us) {
        sim_run_until(sim, sim->now_us + STEP_US);
    }
    if (!sim_engine.done(sim)) {
        sim_fail(sim, "H1 liveness",
                 "not everything is answered and equal everywhere in the end: %s",
                 sim_engine.waits_for == NULL ? "entries" : sim_engine.waits_for(sim));
    }
    save_history(sim, history);
    sim_engine.judge(sim);
}

static void fini(struct sim *sim)
{
    for (int i = 0; i < sim->profile.machines; i++) {
        sim_machine_fini(&sim->machines[i]);
    }
    sim_engine.fini_all(sim);
    sim_events_fini(sim);
    sim_oracle_fini(sim);
    history_fini(&sim->history);
    hl_free(sim);
}

/* In the child: run one seed and write what it counted. */
static void run_seed(const struct options *options, uint64_t seed, int out)
{
    struct sim *sim = hl_calloc(1, sizeof *sim);
    current = sim;
    sim->seed = seed;
    sim->mutant = options->mutant;
    sim->wanted_script = options->script;
#if defined(HL_MUTANTS) && HL_MUTANTS
    hl_raft_mutant = options->mutant;
#endif
    sim->verbose = options->verbose;
    sim->script.back = -1;
    hl_rng_seed(&sim->rng, seed);
    const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM};
    for (size_t i = 0; i < HL_ARRAY_LEN(signals); i++) {
        (void)signal(signals[i], on_signal);
    }
    (void)alarm(HANG_S);
    simulate(sim, options->history);
    struct sim_stats stats = sim->stats;
    fini(sim);
    ssize_t put = write(out, &stats, sizeof stats);
    _exit(put == (ssize_t)sizeof stats ? 0 : 1);
}

/* --- the parent ------------------------------------------------------------------------------- */

struct job {
    pid_t pid;
    int in;
    uint64_t seed;
};

static void add_stats(struct sim_stats *sum, const struct sim_stats *one)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)one;
    HL_STATIC(sizeof *sum % sizeof *to == 0);
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) {
        to[i] += from[i];
    }
}

static void start_job(struct job *job, const struct options *options, uint64_t seed)
{
    int ends[2];
    int rc = pipe(ends);
    HL_ASSERT(rc == 0);
    fflush(stdout);
    job->seed = seed;
    job->in = ends[0];
    job->pid = fork();
    HL_ASSERT(job->pid >= 0);
    if (job->pid == 0) {
        (void)close(ends[0]);
        run_seed(options, seed, ends[1]);
    }
    (void)close(ends[1]);
}

/* Wait for one job to end; true when its seed was good. */
static bool end_job(struct job *jobs, int count, struct sim_stats *sum, struct job **ended)
{
    int status = 0;
    pid_t pid = wait(&status);
    HL_ASSERT(pid > 0);
    for (int i = 0; i < count; i++) {
        if (jobs[i].pid != pid) {
            continue;
        }
        struct sim_stats stats = {0};
        bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
                    read(jobs[i].in, &stats, sizeof stats) == (ssize_t)sizeof stats;
        (void)close(jobs[i].in);
        jobs[i].pid = 0;
        add_stats(sum, &stats);
        *ended = &jobs[i];
        return good;
    }
    HL_ASSERT(!"a child of ours");
    return false;
}

static void print_stats(const struct sim_stats *s, const struct options *options, double seconds)
{
    printf("%llu seeds from %llu, %.1f s, %.1f a second: %llu events, %llu operations answered, "
           "%llu refused, %llu of unknown outcome; %llu session and %llu bounded reads judged\n",
           (unsigned long long)options->count, (unsigned long long)options->first, seconds,
           (double)options->count / seconds, (unsigned long long)s->events,
           (unsigned long long)s->ops, (unsigned long long)s->failed,
           (unsigned long long)s->unknown, (unsigned long long)s->session_reads,
           (unsigned long long)s->bounded_reads);
    printf(
        "%llu entries committed, %llu states compared, %llu crashes (%llu in the middle of I/O), "
        "%llu pauses, %llu failed syncs, %llu full and %llu slow disks, %llu snapshots\n",
        (unsigned long long)s->entries, (unsigned long long)s->digests,
        (unsigned long long)s->crashes, (unsigned long long)s->power_cuts,
        (unsigned long long)s->pauses, (unsigned long long)s->sync_failures,
        (unsigned long long)s->full_disks, (unsigned long long)s->slow_disks,
        (unsigned long long)s->snapshots);
    printf(
        "%llu disks rotten: %llu nodes fetched what they had lost again, %llu lost nothing, %llu "
        "refused to start and were replaced\n",
        (unsigned long long)s->rotten, (unsigned long long)s->refetched,
        (unsigned long long)s->harmless, (unsigned long long)s->beyond_repair);
    printf("%llu disks lost, %llu starts under an old name refused, %llu machines replaced, %llu "
           "frames for others dropped\n",
           (unsigned long long)s->lost_disks, (unsigned long long)s->refused_starts,
           (unsigned long long)s->replaced, (unsigned long long)s->foreign);
    printf("%llu seeds that sync now and then only, where nobody had some entries any more %llu "
           "times\n",
           (unsigned long long)s->forgetful, (unsigned long long)s->forgotten);
    printf("%llu messages (%llu lost), %llu partitions, %llu elections, %llu rollbacks, "
           "%llu installs, %llu transfers, %llu configurations; %llu histories too hard to judge\n",
           (unsigned long long)s->messages, (unsigned long long)s->dropped,
           (unsigned long long)s->cuts, (unsigned long long)s->elections,
           (unsigned long long)s->rollbacks, (unsigned long long)s->installs,
           (unsigned long long)s->transfers, (unsigned long long)s->configs,
           (unsigned long long)s->gave_up);
}

static double clock_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t run_all(const struct options *options, struct sim_stats *sum, uint64_t *ran)
{
    struct job jobs[JOBS_MAX] = {{0}};
    uint64_t next = 0;
    uint64_t failed = 0;
    int running = 0;
    double end_s = clock_s() + (options->seconds == 0 ? 1e9 : (double)options->seconds);
    while (next < options->count || running > 0) {
        bool more =
            next < options->count && failed < (uint64_t)options->failures_max && clock_s() < end_s;
        if (more && running < options->jobs) {
            struct job *job = jobs;
            while (job->pid != 0) {
                job++;
            }
            start_job(job, options, options->first + next++);
            running++;
            continue;
        }
        if (running == 0) {
            break;
        }
        struct job *ended = NULL;
        if (!end_job(jobs, options->jobs, sum, &ended)) {
            failed++;
            printf("FAILED seed %llu; again, with everything that happens: "
                   "build/tests/simulation/helios-simulate --seed %llu --verbose\n",
                   (unsigned long long)ended->seed, (unsigned long long)ended->seed);
        }
        running--;
    }
    *ran = next;
    return failed;
}

static bool parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--verbose") == 0) {
            options->verbose = true;
            continue;
        }
        if (++i == argc) {
            return false;
        }
        unsigned long long n = strtoull(argv[i], NULL, 10);
        if (strcmp(name, "--seed") == 0) {
            options->first = n;
            options->count = 1;
        } else if (strcmp(name, "--first") == 0) {
            options->first = n;
        } else if (strcmp(name, "--seeds") == 0) {
            options->count = n;
        } else if (strcmp(name, "--seconds") == 0) {
            options->seconds = n;
            options->count = UINT64_MAX - options->first;
        } else if (strcmp(name, "--jobs") == 0 && n >= 1 && n <= JOBS_MAX) {
            options->jobs = (int)n;
        } else if (strcmp(name, "--mutant") == 0) {
            options->mutant = (int)n;
        } else if (strcmp(name, "--script") == 0 && n < SIM_SCRIPTS) {
            options->script = (int)n;
        } else if (strcmp(name, "--failures") == 0) {
            options->failures_max = (int)n;
        } else if (strcmp(name, "--history") == 0) {
            options->history = argv[i];
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options options = {.first = 1, .count = 100, .jobs = 2, .failures_max = 5};
    if (!parse(argc, argv, &options)) {
        fprintf(
            stderr,
            "usage: helios-simulate [--seed N | --first N --seeds COUNT] [--jobs N]\n"
            "           [--mutant N] [--script N] [--failures MAX] [--history FILE] [--verbose]\n");
        return 2;
    }
    double start_s = clock_s();
    struct sim_stats sum = {0};
    uint64_t ran = 0;
    uint64_t failed = run_all(&options, &sum, &ran);
    options.count = ran;
    double seconds = clock_s() - start_s;
    print_stats(&sum, &options, seconds);
    printf("%llu passed, %llu failed\n", (unsigned long long)(options.count - failed),
           (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}
