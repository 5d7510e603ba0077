/* differential: the same commands to redis-server and to another server must be answered alike.
 *
 * A run is cut into episodes.  Each starts from empty servers and new connections, so that a
 * difference spoils one episode only, and can be shrunk by playing ever shorter versions of it.
 */
#include "base/rng.h"
#include "families.h"
#include "generate.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "play.h"
#include "side.h"
#include "stream.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define EPISODE_OPS 400       /* operations that share one state */
#define COUNT_DEFAULT 100000  /* operations of a run */
#define FINDINGS_MAX 60       /* different differences that are shrunk and printed */
#define REPLY_PRINTED_MAX 400 /* bytes */
#define SHRINK_RUNS_MAX 300   /* of one episode */

struct options {
    const char *reference;
    const char *server;
    const char *family;
    uint64_t seed;
    size_t count;
    size_t findings_max;
    bool crash; /* kill the server after each episode and compare what it kept */
};

struct run {
    struct options options;
    struct side sides[2]; /* the reference, the server under test */
    size_t played;
    size_t count;
    struct {
        char signature[SIGNATURE_BYTES];
        size_t times;
    } seen[FINDINGS_MAX];
};

/* Leave out ever smaller pieces of the episode while the same difference shows. */
static void shrink(struct run *run, struct stream *s, struct finding *f)
{
    s->count = f->op + 1;
    struct finding repeated = {0};
    bool repeats = !play(run->sides, s, run->options.crash, &repeated);
    finding_fini(&repeated);
    if (!repeats) {
        printf("the following does not repeat: it depends on timing\n");
        return;
    }
    int runs = 0;
    for (size_t piece = s->count / 2; piece > 0; piece /= 2) {
        for (size_t from = 0; from + 1 < s->count && runs < SHRINK_RUNS_MAX; from += piece) {
            bool was[EPISODE_OPS * 2];
            size_t to = from + piece < s->count - 1 ? from + piece : s->count - 1;
            bool any = false;
            for (size_t i = from; i < to; i++) {
                was[i - from] = s->ops[i].skip;
                any = any || !s->ops[i].skip;
                s->ops[i].skip = true;
            }
            struct finding again = {0};
            bool kept = any && !play(run->sides, s, run->options.crash, &again) &&
                        strcmp(again.signature, f->signature) == 0;
            runs += any;
            for (size_t i = from; i < to && !kept; i++) {
                s->ops[i].skip = was[i - from];
            }
            if (kept) {
                finding_fini(f);
                *f = again;
            } else {
                finding_fini(&again);
            }
        }
    }
}

/* Count the finding; true when it is new and there is room to show it. */
static bool is_new(struct run *run, const char *signature)
{
    for (size_t i = 0; i < run->count; i++) {
        if (strcmp(run->seen[i].signature, signature) == 0) {
            run->seen[i].times++;
            return false;
        }
    }
    if (run->count >= run->options.findings_max) {
        return false;
    }
    memcpy(run->seen[run->count].signature, signature, SIGNATURE_BYTES);
    run->seen[run->count].times = 1;
    run->count++;
    return true;
}

static void report(const struct run *run, const struct stream *s, const struct finding *f,
                   uint64_t seed)
{
    printf("difference %zu (episode seed %llu): %s\n", run->count, (unsigned long long)seed,
           f->signature);
    for (size_t i = 0; i <= f->op; i++) {
        if (!s->ops[i].skip) {
            op_print(stdout, &s->ops[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        printf("  %-12s ", i == 0 ? "reference" : "server");
        print_quoted(stdout, hl_buf_view(&f->replies[i]), REPLY_PRINTED_MAX);
        printf("\n");
    }
    (void)fflush(stdout);
}

static void play_episode(struct run *run, uint64_t seed)
{
    struct generator g;
    struct stream s = {0};
    HL_ASSERT(generator_init(&g, seed, run->options.family));
    size_t left = run->options.count - run->played;
    generate(&g, &s, left < EPISODE_OPS ? left : EPISODE_OPS);
    struct finding f = {0};
    run->played += s.count;
    if (!play(run->sides, &s, run->options.crash, &f) && is_new(run, f.signature)) {
        shrink(run, &s, &f);
        report(run, &s, &f, seed);
    }
    finding_fini(&f);
    stream_clear(&s);
}

static void usage(void)
{
    fprintf(stderr,
            "usage: differential --server PATH [--reference PATH] [--seed N] [--count N]\n"
            "                    [--family NAME[,NAME]] [--episode SEED] [--max-findings N]\n"
            "                    [--crash]\n"
            "       differential --families\n");
    exit(2);
}

static uint64_t number(const char *text)
{
    uint64_t v = 0;
    if (text == NULL || !hl_parse_u64(hl_slice_of(text), &v)) {
        usage();
    }
    return v;
}

static void list_families(void)
{
    for (size_t i = 0; i < family_count; i++) {
        printf("%s\n", families[i].name);
    }
    exit(0);
}

static struct options parse_options(int argc, char **argv, uint64_t *episode)
{
    struct options o = {.reference = "/usr/bin/redis-server",
                        .seed = (uint64_t)time(NULL),
                        .count = COUNT_DEFAULT,
                        .findings_max = FINDINGS_MAX};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--families") == 0) {
            list_families();
        } else if (strcmp(argv[i], "--crash") == 0) {
            o.crash = true;
            continue;
        }
        if (value == NULL) {
            usage();
        } else if (strcmp(argv[i], "--server") == 0) {
            o.server = value;
        } else if (strcmp(argv[i], "--reference") == 0) {
            o.reference = value;
        } else if (strcmp(argv[i], "--family") == 0) {
            o.family = value;
        } else if (strcmp(argv[i], "--seed") == 0) {
            o.seed = number(value);
        } else if (strcmp(argv[i], "--episode") == 0) {
            *episode = number(value);
        } else if (strcmp(argv[i], "--count") == 0) {
            o.count = number(value);
        } else if (strcmp(argv[i], "--max-findings") == 0) {
            o.findings_max = number(value) < FINDINGS_MAX ? number(value) : FINDINGS_MAX;
        } else {
            usage();
        }
        i++;
    }
    return o;
}

int main(int argc, char **argv)
{
    static struct run run;
    uint64_t episode = 0;
    run.options = parse_options(argc, argv, &episode);
    struct generator probe;
    if (run.options.server == NULL || !generator_init(&probe, 0, run.options.family)) {
        usage();
    }
    printf("differential: seed %llu, %zu operations, %s against %s\n",
           (unsigned long long)run.options.seed, run.options.count, run.options.server,
           run.options.reference);
    (void)fflush(stdout);
    side_start(&run.sides[0], run.options.reference, false);
    side_start(&run.sides[1], run.options.server, run.options.crash);
    struct hl_rng seeds;
    hl_rng_seed(&seeds, run.options.seed);
    if (episode != 0) {
        run.options.count = EPISODE_OPS;
        play_episode(&run, episode);
    }
    while (run.played < run.options.count) {
        play_episode(&run, hl_rng_next(&seeds));
    }
    side_close(&run.sides[0]);
    side_close(&run.sides[1]);
    for (size_t i = 0; i < run.count; i++) {
        printf("%6zu x %s\n", run.seen[i].times, run.seen[i].signature);
    }
    printf("differential: %zu operations, %zu differences\n", run.played, run.count);
    return run.count == 0 ? 0 : 1;
}
