/* differential: the same commands to redis-server and to another server must be answered alike.
 *
 * A run is cut into episodes.  Each starts from empty servers and new connections, so that a
 * difference spoils one episode only, and can be shrunk by playing ever shorter versions of it.
 */
#include "base/rng.h"
#include "compare.h"
#include "families.h"
#include "generate.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "side.h"
#include "stream.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define EPISODE_OPS 400       /* operations that share one state */
#define PIPELINE_MAX 128      /* commands sent at once */
#define COUNT_DEFAULT 100000  /* operations of a run */
#define FINDINGS_MAX 60       /* different differences that are shrunk and printed */
#define REPLY_PRINTED_MAX 400 /* bytes */
#define SIGNATURE_BYTES 160
#define SHRINK_RUNS_MAX 300 /* of one episode */
#define SCAN_STEPS_MAX 100000

struct options {
    const char *reference;
    const char *server;
    const char *family;
    uint64_t seed;
    size_t count;
    size_t findings_max;
};

/* The first difference of an episode. */
struct finding {
    size_t op;
    char signature[SIGNATURE_BYTES];
    struct hl_buf replies[2];
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

static void finding_fini(struct finding *f)
{
    hl_buf_fini(&f->replies[0]);
    hl_buf_fini(&f->replies[1]);
}

/* The kind of a reply in a word or two: its type, or an error's code. */
static void describe_kind(struct hl_slice reply, char *out, size_t size)
{
    if (reply.len == 0) {
        (void)snprintf(out, size, "nothing");
    } else if (reply.ptr[0] == '-') {
        size_t len = 0;
        while (len < reply.len && len < 48 && reply.ptr[len] != '\r' && reply.ptr[len] != '\'') {
            len++;
        }
        (void)snprintf(out, size, "%.*s", (int)len, reply.ptr);
    } else {
        (void)snprintf(out, size, "%c", reply.ptr[0]);
    }
}

/* Write down what differs.  Findings with equal signatures are taken for the same. */
static void note(struct finding *f, size_t index, const struct op *op, struct hl_slice a,
                 struct hl_slice b)
{
    char kind_a[64];
    char kind_b[64];
    char name[48] = "?";
    describe_kind(a, kind_a, sizeof kind_a);
    describe_kind(b, kind_b, sizeof kind_b);
    if (op->kind == OP_RAW) {
        (void)snprintf(name, sizeof name, "raw %.12s", op->argv[0].ptr);
    } else if (op->kind == OP_TRANSFER) {
        (void)snprintf(name, sizeof name, "transfer");
    } else if (op->argc != 0) {
        (void)snprintf(name, sizeof name, "%.*s", (int)op->argv[0].len, op->argv[0].ptr);
        static const char *const containers[] = {"CONFIG", "ACL", "CLIENT", "COMMAND", "OBJECT"};
        for (size_t i = 0; i < HL_ARRAY_LEN(containers); i++) {
            if (op->argc > 1 && hl_slice_is(op->argv[0], containers[i])) {
                size_t used = strlen(name);
                (void)snprintf(name + used, sizeof name - used, " %.*s", (int)op->argv[1].len,
                               op->argv[1].ptr);
            }
        }
    }
    for (char *c = name; op->kind == OP_COMMAND && *c != '\0'; c++) {
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    }
    f->op = index;
    (void)snprintf(f->signature, sizeof f->signature, "%s: %s / %s", name, kind_a, kind_b);
    hl_buf_clear(&f->replies[0]);
    hl_buf_clear(&f->replies[1]);
    hl_buf_append_slice(&f->replies[0], a);
    hl_buf_append_slice(&f->replies[1], b);
}

static const char *state_text(enum wire_state state)
{
    switch (state) {
    case WIRE_OK:
        return "(no reply)";
    case WIRE_CLOSED:
        return "(connection closed)";
    case WIRE_GARBAGE:
        return "(not RESP)";
    case WIRE_SILENT:
        return "(silence)";
    }
    return "";
}

static struct hl_slice reply_or_state(const struct wire *wire, size_t index)
{
    return index < wire->count ? wire_reply(wire, index) : hl_slice_of(state_text(wire->state));
}

/* Compare the replies of ops[first..] that were pipelined; false, with a finding, if one differs.
 */
static bool judge_pipeline(struct run *run, const struct stream *s, const size_t *sent,
                           size_t count, struct judge *judge, struct finding *f)
{
    int conn = s->ops[sent[0]].conn;
    for (size_t i = 0; i < count; i++) {
        const struct op *op = &s->ops[sent[i]];
        const struct wire *wire_a = &run->sides[0].wires[conn];
        const struct wire *wire_b = &run->sides[1].wires[conn];
        bool both = i < wire_a->count && i < wire_b->count;
        if (!both && i >= wire_a->count && i >= wire_b->count && wire_a->state == wire_b->state) {
            return true; /* both closed the connection at the same place */
        }
        struct hl_slice a = reply_or_state(wire_a, i);
        struct hl_slice b = reply_or_state(wire_b, i);
        if (!both || !replies_agree(judge, op, a, b)) {
            note(f, sent[i], op, a, b);
            return false;
        }
    }
    return true;
}

/* Send one command made of `argv` to both sides and judge it as `op` would be. */
static bool play_one(struct run *run, const struct op *op, size_t index, struct judge *judge,
                     struct finding *f)
{
    struct hl_buf bytes = {0};
    op_encode(op, &bytes);
    exchange(&run->sides[0], &run->sides[1], op->conn, hl_buf_view(&bytes), 1);
    hl_buf_fini(&bytes);
    struct hl_slice a = reply_or_state(&run->sides[0].wires[op->conn], 0);
    struct hl_slice b = reply_or_state(&run->sides[1].wires[op->conn], 0);
    if (!replies_agree(judge, op, a, b)) {
        note(f, index, op, a, b);
        return false;
    }
    return true;
}

static bool play_raw(struct run *run, const struct op *op, size_t index, struct finding *f)
{
    struct hl_buf a = {0};
    struct hl_buf b = {0};
    raw_exchange(&run->sides[0], op->argv[0], &a);
    raw_exchange(&run->sides[1], op->argv[0], &b);
    bool same = hl_slice_equal(hl_buf_view(&a), hl_buf_view(&b));
    /* HELLO's reply names the server; only its length in values matters here. */
    if (!same &&
        hl_slice_equal((struct hl_slice){.ptr = op->argv[0].ptr, .len = 5}, hl_slice_of("HELLO"))) {
        same = a.len != 0 && b.len != 0 && a.ptr[0] == b.ptr[0];
    }
    if (!same) {
        note(f, index, op, hl_buf_view(&a), hl_buf_view(&b));
    }
    hl_buf_fini(&a);
    hl_buf_fini(&b);
    return same;
}

/* The bulk string that DUMP answered, copied; false when it answered something else. */
static bool take_payload(const struct wire *wire, struct hl_buf *out)
{
    struct hl_reply *reply = NULL;
    if (hl_reply_parse(wire_reply(wire, 0), &reply) != HL_OK) {
        return false;
    }
    bool is_payload = reply->type == HL_REPLY_STRING;
    if (is_payload) {
        hl_buf_append_slice(out, reply->text);
    }
    hl_free(reply);
    return is_payload;
}

/* DUMP on each server; then each payload restored on both must make the same key. */
static bool play_transfer(struct run *run, const struct op *op, size_t index, struct judge *judge,
                          struct finding *f)
{
    struct stream steps = {0};
    struct hl_buf payloads[2] = {{0}, {0}};
    struct op *dump = stream_add(&steps, OP_COMMAND, op->conn);
    op_add(dump, hl_slice_of("DUMP"));
    op_add(dump, op->argv[0]);
    bool same = play_one(run, dump, index, judge, f);
    bool dumped = same && take_payload(&run->sides[0].wires[op->conn], &payloads[0]) &&
                  take_payload(&run->sides[1].wires[op->conn], &payloads[1]);
    for (int from = 0; dumped && same && from < 2; from++) {
        static const char *const looks[] = {"TYPE", "GET", "HGETALL", "PTTL", "OBJECT"};
        struct op *restore = stream_add(&steps, OP_COMMAND, op->conn);
        op_add(restore, hl_slice_of("RESTORE"));
        op_add(restore, op->argv[1]);
        op_add(restore, hl_slice_of("0"));
        op_add(restore, hl_buf_view(&payloads[from]));
        op_add(restore, hl_slice_of("REPLACE"));
        same = play_one(run, restore, index, judge, f);
        for (size_t i = 0; same && i < HL_ARRAY_LEN(looks); i++) {
            struct op *look = stream_add(&steps, OP_COMMAND, op->conn);
            op_add(look, hl_slice_of(looks[i]));
            if (strcmp(looks[i], "OBJECT") == 0) {
                op_add(look, hl_slice_of("ENCODING"));
            }
            op_add(look, op->argv[1]);
            same = play_one(run, look, index, judge, f);
        }
    }
    hl_buf_fini(&payloads[0]);
    hl_buf_fini(&payloads[1]);
    stream_clear(&steps);
    return same;
}

struct elements {
    struct hl_buf bytes;
    size_t *ends;
    size_t count;
};

/* Add the elements of a SCAN reply, pairs as one; leaves the next cursor in `cursor`. */
static bool gather(struct elements *all, struct hl_slice raw, size_t group, struct hl_buf *cursor)
{
    struct hl_reply *reply = NULL;
    if (hl_reply_parse(raw, &reply) != HL_OK) {
        return false;
    }
    bool ok = reply->type == HL_REPLY_ARRAY && reply->count == 2 &&
              reply->children[1].type == HL_REPLY_ARRAY;
    for (size_t i = 0; ok && i + group <= reply->children[1].count; i += group) {
        for (size_t j = 0; j < group; j++) {
            hl_buf_append_slice(&all->bytes, reply->children[1].children[i + j].raw);
        }
        all->ends = hl_realloc(all->ends, (all->count + 1) * sizeof *all->ends);
        all->ends[all->count++] = all->bytes.len;
    }
    if (ok) {
        hl_buf_clear(cursor);
        hl_buf_append_slice(cursor, reply->children[0].text);
    }
    hl_free(reply);
    return ok;
}

static struct hl_slice *element_slices(const struct elements *all)
{
    struct hl_slice *slices = hl_calloc(all->count, sizeof *slices);
    for (size_t i = 0; i < all->count; i++) {
        size_t start = i == 0 ? 0 : all->ends[i - 1];
        slices[i] = (struct hl_slice){.ptr = all->bytes.ptr + start, .len = all->ends[i] - start};
    }
    return slices;
}

/* Iterate on side `i` alone to the end; false when a reply is not a scan's, which stays the wire's
 * reply 0. */
static bool scan_side(struct run *run, const struct op *op, int i, struct elements *all)
{
    struct stream step = {0};
    struct op *scan = stream_add(&step, OP_COMMAND, op->conn);
    for (int n = 0; n < op->argc; n++) {
        op_add(scan, op->argv[n]);
    }
    bool pairs = hl_slice_is(op->argv[0], "HSCAN");
    struct hl_buf cursor = {0};
    bool ok = true;
    for (int steps = 0; ok && steps < SCAN_STEPS_MAX; steps++) {
        struct hl_buf bytes = {0};
        op_encode(scan, &bytes);
        side_call(&run->sides[i], op->conn, hl_buf_view(&bytes));
        hl_buf_fini(&bytes);
        ok = gather(all, wire_reply(&run->sides[i].wires[op->conn], 0), pairs ? 2 : 1, &cursor);
        if (!ok || hl_slice_equal(hl_buf_view(&cursor), hl_slice_of("0"))) {
            break;
        }
        op_replace(scan, pairs ? 2 : 1, hl_buf_view(&cursor));
    }
    hl_buf_fini(&cursor);
    stream_clear(&step);
    return ok;
}

static bool play_scan(struct run *run, const struct op *op, size_t index, struct judge *judge,
                      struct finding *f)
{
    struct elements all[2] = {{{0}, NULL, 0}, {{0}, NULL, 0}};
    bool ok[2];
    for (int i = 0; i < 2; i++) {
        ok[i] = scan_side(run, op, i, &all[i]);
    }
    bool same = false;
    if (ok[0] && ok[1]) {
        struct hl_slice *a = element_slices(&all[0]);
        struct hl_slice *b = element_slices(&all[1]);
        same = same_elements(a, all[0].count, b, all[1].count);
        hl_free(a);
        hl_free(b);
        if (!same) {
            note(f, index, op, hl_buf_view(&all[0].bytes), hl_buf_view(&all[1].bytes));
        }
    } else {
        struct hl_slice a = reply_or_state(&run->sides[0].wires[op->conn], 0);
        struct hl_slice b = reply_or_state(&run->sides[1].wires[op->conn], 0);
        same = replies_agree(judge, op, a, b);
        if (!same) {
            note(f, index, op, a, b);
        }
    }
    for (int i = 0; i < 2; i++) {
        hl_buf_fini(&all[i].bytes);
        hl_free(all[i].ends);
    }
    return same;
}

static bool play_special(struct run *run, const struct op *op, size_t index, struct judge *judge,
                         struct finding *f)
{
    switch (op->kind) {
    case OP_COMMAND:
        return play_one(run, op, index, judge, f);
    case OP_RAW:
        return play_raw(run, op, index, f);
    case OP_TRANSFER:
        return play_transfer(run, op, index, judge, f);
    case OP_SCAN_ALL:
        return play_scan(run, op, index, judge, f);
    }
    return true;
}

/* Play the episode on fresh servers; false, with a finding, at the first difference. */
static bool play(struct run *run, const struct stream *s, struct finding *f)
{
    static struct judge judges[CONNECTION_COUNT];
    memset(judges, 0, sizeof judges);
    for (int i = 0; i < 2; i++) {
        (void)side_revive(&run->sides[i]);
        side_reset(&run->sides[i]);
    }
    struct hl_buf bytes = {0};
    bool same = true;
    size_t at = 0;
    while (same && at < s->count) {
        size_t sent[PIPELINE_MAX];
        size_t count = 0;
        hl_buf_clear(&bytes);
        for (; at < s->count && count < PIPELINE_MAX; at++) {
            const struct op *op = &s->ops[at];
            if (op->skip) {
                continue;
            }
            if (op->kind != OP_COMMAND || (count != 0 && op->conn != s->ops[sent[0]].conn)) {
                break;
            }
            op_encode(op, &bytes);
            sent[count++] = at;
        }
        if (count != 0) {
            int conn = s->ops[sent[0]].conn;
            exchange(&run->sides[0], &run->sides[1], conn, hl_buf_view(&bytes), count);
            same = judge_pipeline(run, s, sent, count, &judges[conn], f);
        } else if (at < s->count) {
            same = play_special(run, &s->ops[at], at, &judges[s->ops[at].conn], f);
            at++;
        }
    }
    hl_buf_fini(&bytes);
    return same;
}

/* Leave out ever smaller pieces of the episode while the same difference shows. */
static void shrink(struct run *run, struct stream *s, struct finding *f)
{
    s->count = f->op + 1;
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
            bool kept = any && !play(run, s, &again) && strcmp(again.signature, f->signature) == 0;
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
    if (!play(run, &s, &f) && is_new(run, f.signature)) {
        shrink(run, &s, &f);
        report(run, &s, &f, seed);
    }
    finding_fini(&f);
    stream_clear(&s);
}

static void usage(void)
{
    fprintf(stderr, "usage: differential --server PATH [--reference PATH] [--seed N] [--count N]\n"
                    "                    [--family NAME] [--episode SEED] [--max-findings N]\n"
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
    side_start(&run.sides[0], run.options.reference);
    side_start(&run.sides[1], run.options.server);
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
