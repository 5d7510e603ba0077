/* See play.h. */
#include "play.h"

#include "compare.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "resp/reader.h"

#include <stdio.h>

#define SCAN_STEPS_MAX 100000

void finding_fini(struct finding *f)
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
static bool judge_pipeline(struct side sides[2], const struct stream *s, const size_t *sent,
                           size_t count, struct judge *judge, struct finding *f)
{
    int conn = s->ops[sent[0]].conn;
    for (size_t i = 0; i < count; i++) {
        const struct op *op = &s->ops[sent[i]];
        const struct wire *wire_a = &sides[0].wires[conn];
        const struct wire *wire_b = &sides[1].wires[conn];
        bool both = i < wire_a->count && i < wire_b->count;
        if (!both && i >= wire_a->count && i >= wire_b->count && wire_a->state == WIRE_CLOSED &&
            wire_b->state == WIRE_CLOSED) {
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
static bool play_one(struct side sides[2], const struct op *op, size_t index, struct judge *judge,
                     struct finding *f)
{
    struct hl_buf bytes = {0};
    op_encode(op, &bytes);
    exchange(&sides[0], &sides[1], op->conn, hl_buf_view(&bytes), 1);
    hl_buf_fini(&bytes);
    struct hl_slice a = reply_or_state(&sides[0].wires[op->conn], 0);
    struct hl_slice b = reply_or_state(&sides[1].wires[op->conn], 0);
    if (!replies_agree(judge, op, a, b)) {
        note(f, index, op, a, b);
        return false;
    }
    return true;
}

static bool play_raw(struct side sides[2], const struct op *op, size_t index, struct finding *f)
{
    struct hl_buf a = {0};
    struct hl_buf b = {0};
    raw_exchange(&sides[0], op->argv[0], &a);
    raw_exchange(&sides[1], op->argv[0], &b);
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
static bool play_transfer(struct side sides[2], const struct op *op, size_t index,
                          struct judge *judge, struct finding *f)
{
    struct stream steps = {0};
    struct hl_buf payloads[2] = {{0}, {0}};
    struct op *dump = stream_add(&steps, OP_COMMAND, op->conn);
    op_add(dump, hl_slice_of("DUMP"));
    op_add(dump, op->argv[0]);
    bool same = play_one(sides, dump, index, judge, f);
    bool dumped = same && take_payload(&sides[0].wires[op->conn], &payloads[0]) &&
                  take_payload(&sides[1].wires[op->conn], &payloads[1]);
    for (int from = 0; dumped && same && from < 2; from++) {
        static const struct {
            const char *before, *after[2];
        } looks[] = {{"TYPE", {0}},           {"GET", {0}},
                     {"HGETALL", {0}},        {"PTTL", {0}},
                     {"LRANGE", {"0", "-1"}}, {"OBJECT ENCODING", {0}}};
        struct op *restore = stream_add(&steps, OP_COMMAND, op->conn);
        op_add(restore, hl_slice_of("RESTORE"));
        op_add(restore, op->argv[1]);
        op_add(restore, hl_slice_of("0"));
        op_add(restore, hl_buf_view(&payloads[from]));
        op_add(restore, hl_slice_of("REPLACE"));
        same = play_one(sides, restore, index, judge, f);
        for (size_t i = 0; same && i < HL_ARRAY_LEN(looks); i++) {
            struct op *look = stream_add(&steps, OP_COMMAND, op->conn);
            size_t len = strcspn(looks[i].before, " ");
            op_add(look, (struct hl_slice){looks[i].before, len});
            if (looks[i].before[len] != '\0') {
                op_add(look, hl_slice_of(looks[i].before + len + 1));
            }
            op_add(look, op->argv[1]);
            for (size_t j = 0; j < 2 && looks[i].after[j] != NULL; j++) {
                op_add(look, hl_slice_of(looks[i].after[j]));
            }
            same = play_one(sides, look, index, judge, f);
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
static bool scan_side(struct side sides[2], const struct op *op, int i, struct elements *all)
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
        side_call(&sides[i], op->conn, hl_buf_view(&bytes));
        hl_buf_fini(&bytes);
        ok = gather(all, wire_reply(&sides[i].wires[op->conn], 0), pairs ? 2 : 1, &cursor);
        if (!ok || hl_slice_equal(hl_buf_view(&cursor), hl_slice_of("0"))) {
            break;
        }
        op_replace(scan, pairs ? 2 : 1, hl_buf_view(&cursor));
    }
    hl_buf_fini(&cursor);
    stream_clear(&step);
    return ok;
}

static bool play_scan(struct side sides[2], const struct op *op, size_t index, struct judge *judge,
                      struct finding *f)
{
    struct elements all[2] = {{{0}, NULL, 0}, {{0}, NULL, 0}};
    bool ok[2];
    for (int i = 0; i < 2; i++) {
        ok[i] = scan_side(sides, op, i, &all[i]);
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
        struct hl_slice a = reply_or_state(&sides[0].wires[op->conn], 0);
        struct hl_slice b = reply_or_state(&sides[1].wires[op->conn], 0);
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

/* Is `item` among the children of `all`? */
static bool holds(const struct hl_reply *all, const struct hl_reply *item)
{
    for (size_t i = 0; i < all->count; i++) {
        if (hl_slice_equal(all->children[i].raw, item->raw)) {
            return true;
        }
    }
    return false;
}

/* Was what `drawn` holds drawn from `all`, and as much as was asked for? */
static bool drawn_from(const struct hl_reply *drawn, const struct hl_reply *all, int64_t asked)
{
    if (drawn->type != HL_REPLY_ARRAY) {
        return drawn->type == HL_REPLY_NULL ? all->count == 0 : holds(all, drawn);
    }
    size_t want = asked < 0 ? (size_t)-asked : (size_t)asked;
    want = all->count == 0 || (asked > 0 && want > all->count) ? all->count : want;
    if (drawn->count != want) {
        return false;
    }
    for (size_t i = 0; i < drawn->count; i++) {
        if (!holds(all, &drawn->children[i])) {
            return false;
        }
        for (size_t j = 0; asked > 0 && j < i; j++) {
            if (hl_slice_equal(drawn->children[i].raw, drawn->children[j].raw)) {
                return false; /* a positive count asks for different ones */
            }
        }
    }
    return true;
}

/* Draw on side `i` and check; errors and QUEUED are left to the comparison. */
static bool draw_is_valid(struct side sides[2], const struct op *op, int i, struct hl_slice all_raw)
{
    struct hl_reply *all = NULL;
    struct hl_reply *drawn = NULL;
    struct hl_slice raw = wire_reply(&sides[i].wires[op->conn], 0);
    int64_t asked = 0;
    if (op->argc > 2) {
        HL_ASSERT(hl_parse_i64(op->argv[2], &asked));
    }
    bool valid = true;
    if (hl_reply_parse(all_raw, &all) == HL_OK && hl_reply_parse(raw, &drawn) == HL_OK &&
        (all->type == HL_REPLY_ARRAY || all->type == HL_REPLY_SET) &&
        drawn->type != HL_REPLY_ERROR && drawn->type != HL_REPLY_SIMPLE) {
        valid = drawn_from(drawn, all, asked);
    }
    hl_free(all);
    hl_free(drawn);
    return valid;
}

static bool play_random(struct side sides[2], const struct op *op, size_t index,
                        struct judge *judge, struct finding *f)
{
    struct stream steps = {0};
    struct hl_buf all[2] = {{0}, {0}};
    bool keys = op->argc == 1;
    struct op *list = stream_add(&steps, OP_COMMAND, op->conn);
    op_add(list, hl_slice_of(keys ? "KEYS" : "HKEYS"));
    op_add(list, keys ? hl_slice_of("*") : op->argv[1]);
    bool same = play_one(sides, list, index, judge, f);
    for (int i = 0; i < 2; i++) {
        hl_buf_append_slice(&all[i], wire_reply(&sides[i].wires[op->conn], 0));
    }
    same = same && play_one(sides, op, index, judge, f);
    for (int i = 0; same && i < 2; i++) {
        same = draw_is_valid(sides, op, i, hl_buf_view(&all[i]));
        if (!same) {
            note(f, index, op, hl_buf_view(&all[i]), wire_reply(&sides[i].wires[op->conn], 0));
        }
    }
    hl_buf_fini(&all[0]);
    hl_buf_fini(&all[1]);
    stream_clear(&steps);
    return same;
}

static bool play_special(struct side sides[2], const struct op *op, size_t index,
                         struct judge *judge, struct finding *f)
{
    switch (op->kind) {
    case OP_COMMAND:
        return play_one(sides, op, index, judge, f);
    case OP_RAW:
        return play_raw(sides, op, index, f);
    case OP_TRANSFER:
        return play_transfer(sides, op, index, judge, f);
    case OP_RANDOM:
        return play_random(sides, op, index, judge, f);
    case OP_SCAN_ALL:
        return play_scan(sides, op, index, judge, f);
    }
    return true;
}

/* Ask both sides `command key` on connection 0 and compare. */
static bool ask(struct side sides[2], const char *command, struct hl_slice key, size_t index,
                struct finding *f)
{
    static struct judge judge;
    struct stream steps = {0};
    struct op *op = stream_add(&steps, OP_COMMAND, 0);
    op_add(op, hl_slice_of(command));
    op_add(op, key);
    bool same = play_one(sides, op, index, &judge, f);
    if (!same) {
        char what[SIGNATURE_BYTES];
        (void)snprintf(what, sizeof what, "after a crash, %.80s", f->signature);
        memcpy(f->signature, what, sizeof what);
    }
    stream_clear(&steps);
    return same;
}

/* Compare every key of the database that connection 0 has selected. */
static bool same_keys(struct side sides[2], size_t index, struct finding *f)
{
    if (!ask(sides, "KEYS", hl_slice_of("*"), index, f)) {
        return false;
    }
    struct hl_buf raw = {0};
    struct hl_reply *keys = NULL;
    hl_buf_append_slice(&raw, wire_reply(&sides[0].wires[0], 0));
    bool same = hl_reply_parse(hl_buf_view(&raw), &keys) == HL_OK;
    HL_ASSERT(same);
    for (size_t i = 0; same && i < keys->count; i++) {
        static const char *const looks[] = {"TYPE", "GET", "HGETALL", "PEXPIRETIME"};
        for (size_t look = 0; same && look < HL_ARRAY_LEN(looks); look++) {
            same = ask(sides, looks[look], keys->children[i].text, index, f);
        }
    }
    hl_free(keys);
    hl_buf_fini(&raw);
    return same;
}

/* Kill the server under test, start it again, and compare all it holds with the reference. */
static bool survives(struct side sides[2], size_t index, struct finding *f)
{
    static const char *const databases[] = {"0", "1", "2", "15"};
    bool same = true;
    side_crash(&sides[1]);
    side_reconnect(&sides[0]);
    for (size_t i = 0; same && i < HL_ARRAY_LEN(databases); i++) {
        same =
            ask(sides, "SELECT", hl_slice_of(databases[i]), index, f) && same_keys(sides, index, f);
    }
    return same;
}

/* Play the episode on fresh servers; false, with a finding, at the first difference. */
bool play(struct side sides[2], const struct stream *s, bool crash, struct finding *f)
{
    static struct judge judges[CONNECTION_COUNT];
    memset(judges, 0, sizeof judges);
    for (int i = 0; i < 2; i++) {
        (void)side_revive(&sides[i]);
        side_reset(&sides[i]);
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
            exchange(&sides[0], &sides[1], conn, hl_buf_view(&bytes), count);
            same = judge_pipeline(sides, s, sent, count, &judges[conn], f);
        } else if (at < s->count) {
            same = play_special(sides, &s->ops[at], at, &judges[s->ops[at].conn], f);
            at++;
        }
    }
    hl_buf_fini(&bytes);
    return same && (!crash || survives(sides, s->count - 1, f));
}
