/* See generate.h.
 *
 * Numbers that size a string (offsets of SETRANGE) come from pools without values between 70,001
 * and the limit of a string, so that no command asks for hundreds of megabytes.
 */
#include "generate.h"

#include "families.h"
#include "kit/assert.h"

#define MUTATED_PERCENT 5  /* commands with a missing, additional or foreign argument */
#define ODD_CASE_PERCENT 8 /* words in odd case */
#define SWITCH_PERCENT 4   /* commands after which another connection goes on */
#define HUGE_VALUE_BYTES 65536
#define TIMES_FIRST 100000 /* seconds: no test lasts that long */
#define TIMES_COUNT 1000000
#define TXN_COMMANDS_MAX 8

#define PICK(g, pool) pick(g, pool, HL_ARRAY_LEN(pool))

static uint64_t below(struct generator *g, uint64_t bound)
{
    return hl_rng_below(&g->rng, bound);
}

static bool chance(struct generator *g, unsigned percent)
{
    return below(g, 100) < percent;
}

static const char *pick(struct generator *g, const char *const *pool, size_t count)
{
    return pool[below(g, count)];
}

/* Is `name` one of the names in the comma-separated list `names`? */
static bool listed(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = names; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, len) == 0 && (at[len] == '\0' || at[len] == ',')) {
            return true;
        }
    }
    return false;
}

bool generator_init(struct generator *g, uint64_t seed, const char *families_wanted)
{
    HL_ASSERT(family_count <= FAMILY_MAX);
    *g = (struct generator){0};
    hl_rng_seed(&g->rng, seed);
    for (size_t i = 0; i < family_count; i++) {
        if (families_wanted == NULL || listed(families_wanted, families[i].name)) {
            g->families |= (uint32_t)1 << i;
        }
    }
    return g->families != 0;
}

static void put_value(struct generator *g, struct hl_buf *out)
{
    static const char *const pool[] = {
        "a",
        "hello",
        "0",
        "1",
        "-1",
        "10",
        "9999",
        "10000",
        "9223372036854775807",
        "abc def",
        "-9223372036854775808",
        "3.5",
        "1e3",
        " 1",
        "01",
        "99999999999999999999",
        "OK",
        "inf",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",  /* 44: the longest embstr */
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", /* 45: raw */
        "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",  /* 64: listpack */
        "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", /* 65: table */
    };
    uint64_t roll = below(g, 200);
    if (roll == 0) {
        hl_buf_grow(out, HUGE_VALUE_BYTES);
        memset(out->ptr + out->len, 'h', HUGE_VALUE_BYTES);
        out->len += HUGE_VALUE_BYTES;
    } else if (roll < 10) {
        hl_buf_append(out, "bin\0\r\n\xff", 7);
    } else if (roll < 20) {
        hl_buf_append(out, "", 0);
    } else {
        hl_buf_append_text(out, PICK(g, pool));
    }
}

/* A deadline that no other relative deadline equals, so that GT and LT do not race with the clock;
 * or an edge. */
static void put_time(struct generator *g, struct hl_buf *out, bool in_ms)
{
    static const char *const edges[] = {
        "0",   "-1",  "-100000", "9223372036854775807",  "-9223372036854775808", "9223372036854775",
        "abc", "1.5", "",        "99999999999999999999",
    };
    if (chance(g, 15)) {
        hl_buf_append_text(out, PICK(g, edges));
        return;
    }
    uint64_t seconds = TIMES_FIRST + 100 * (g->times++ * 7919 % TIMES_COUNT);
    hl_buf_printf(out, "%llu", (unsigned long long)(in_ms ? seconds * 1000 : seconds));
}

/* An absolute deadline, in the far future or an edge; or in the past when that deletes at once. */
static void put_date(struct generator *g, struct hl_buf *out, bool in_ms, bool past)
{
    static const char *const edges[] = {"0", "-1", "9223372036854775807", "abc"};
    static const char *const dates[] = {"4102444800", "4102444801", "5000000000", "7000000000"};
    static const char *const gone[] = {"1", "1000000000", "1600000000"};
    if (chance(g, 10) && past) {
        hl_buf_append_text(out, PICK(g, edges));
        return;
    }
    hl_buf_append_text(out, past && chance(g, 25) ? PICK(g, gone) : PICK(g, dates));
    hl_buf_append_text(out, in_ms ? "000" : "");
}

static void put_key(struct generator *g, struct hl_buf *out, char kind)
{
    if (chance(g, 8)) {
        kind = kind == 'k' ? 'h' : 'k';
    }
    if (kind == 'k' && chance(g, 2)) {
        static const struct hl_slice odd[] = {
            {"", 0}, {"\0\r\n", 3}, {"key with spaces", 15}, {"missing", 7}};
        hl_buf_append_slice(out, odd[below(g, HL_ARRAY_LEN(odd))]);
        return;
    }
    char first = kind == 'k' ? 's' : kind;
    hl_buf_printf(out, "%c%d", first, (int)below(g, kind == 'k' ? 6 : 4));
}

static void put_small_word(struct generator *g, struct hl_buf *out)
{
    for (uint64_t i = below(g, 40); i > 0; i--) {
        hl_buf_append_u8(out, (uint8_t)('a' + below(g, 4)));
    }
}

static const char *const fields[] = {
    "f0", "f1", "f2", "f3", "f4", "F0", "", "1", "-5", "name", "a field with spaces",
    "f5", "f6", "f7"};
static const char *const integers[] = {"0",
                                       "1",
                                       "-1",
                                       "2",
                                       "10",
                                       "-10",
                                       "100",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "9223372036854775808",
                                       "-9223372036854775809",
                                       "abc",
                                       "",
                                       "1.5",
                                       "01",
                                       "+1",
                                       " 1",
                                       "1e2"};
static const char *const floats[] = {"0",
                                     "1.5",
                                     "-1.5",
                                     "0.1",
                                     "3.0e2",
                                     "1e17",
                                     "1e-17",
                                     "-0",
                                     "5.0",
                                     "inf",
                                     "-inf",
                                     "nan",
                                     "abc",
                                     "",
                                     "1e400",
                                     "123456789.123456789",
                                     "0x10",
                                     " 1",
                                     "1e308",
                                     "100000000000000000000",
                                     "0.00000000000000001",
                                     "+2",
                                     ".5",
                                     "5.",
                                     "1e5000"};
static const char *const offsets[] = {
    "0",           "1",   "2",  "5", "100", "3000", "-1", "536870912", "9223372036854775807",
    "-2147483649", "abc", "1.5"};
static const char *const ranges[] = {"0",  "-1",   "1",     "2",   "5",
                                     "-3", "1000", "-1000", "abc", "-9223372036854775808",
                                     "",   "3",    "10",    "-2"};
static const char *const patterns[] = {"*",    "s*", "h?", "[sh]1",  "*0",  "",        "s[^0-2]",
                                       "\\s1", "[h", "f*", "s[2-0]", "*\\", "h[0-9]*", "nosuch"};
static const char *const dbs[] = {"0", "0", "1", "2", "15", "16", "-1", "abc", ""};
static const char *const counts[] = {"0", "-1", "abc", ""};
static const char *const types[] = {"string", "hash", "STRING", "list", "nosuch"};
static const char *const empty[] = {""};
static const char *const elements[] = {
    "a", "a", "b", "c", "1", "1", "-300", "70000", "4294967296", "", "an element with spaces",
    "01"};

#define POOL(kind, items)                                                                          \
    {                                                                                              \
        kind, items, HL_ARRAY_LEN(items)                                                           \
    }
static const struct {
    char kind;
    const char *const *items;
    size_t count;
} pools[] = {
    POOL('f', fields), POOL('i', integers), POOL('F', floats),   POOL('o', offsets),
    POOL('r', ranges), POOL('p', patterns), POOL('d', dbs),      POOL('c', counts),
    POOL('y', types),  POOL('e', empty),    POOL('E', elements),
};

static void put_pooled(struct generator *g, struct hl_buf *out, char kind)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(pools); i++) {
        if (pools[i].kind == kind) {
            hl_buf_append_text(out, pick(g, pools[i].items, pools[i].count));
            return;
        }
    }
    HL_ASSERT(false); /* a grammar with an unknown kind */
}

static void put_argument(struct generator *g, struct hl_buf *out, char kind)
{
    switch (kind) {
    case 'k':
    case 'h':
    case 'q':
        put_key(g, out, kind);
        return;
    case 'l':
        hl_buf_printf(out, "l%d", (int)below(g, 4));
        return;
    case 'v':
        put_value(g, out);
        return;
    case 'w':
        put_small_word(g, out);
        return;
    case 't':
    case 'm':
        put_time(g, out, kind == 'm');
        return;
    case 'T':
    case 'M':
        put_date(g, out, kind == 'M', false);
        return;
    case 'P':
    case 'Q':
        put_date(g, out, kind == 'Q', true);
        return;
    default:
        put_pooled(g, out, kind);
    }
}

static void add_word(struct generator *g, struct op *op, const char *word, size_t len)
{
    struct hl_buf text = {0};
    if (len == 2 && word[0] == '%') {
        put_argument(g, &text, word[1]);
    } else {
        bool odd = chance(g, ODD_CASE_PERCENT);
        for (size_t i = 0; i < len; i++) {
            char c = word[i] == '\\' && i + 1 < len ? word[++i] : word[i];
            bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
            hl_buf_append_u8(&text, (uint8_t)(odd && letter && chance(g, 50) ? c ^ 0x20 : c));
        }
    }
    op_add(op, hl_buf_view(&text));
    hl_buf_fini(&text);
}

/* The end of the group that opens at `at`, and the number of its alternatives. */
static size_t group_end(const char *grammar, size_t at, size_t end, size_t *alternatives)
{
    int depth = 0;
    *alternatives = 1;
    for (size_t i = at; i < end; i++) {
        char c = grammar[i];
        if (c == '\\') {
            i++;
        } else if (c == '[' || c == '<' || c == '(') {
            depth++;
        } else if (c == ']' || c == '>' || c == ')') {
            if (--depth == 0) {
                return i;
            }
        } else if (c == '|' && depth == 1) {
            ++*alternatives;
        }
    }
    HL_ASSERT(depth == 0); /* a grammar with an open bracket */
    return end;
}

/* The bounds of alternative `index` of the group between `from` and `to`. */
static void find_alternative(const char *grammar, size_t index, size_t *from, size_t *to)
{
    int depth = 0;
    size_t end = *to;
    for (size_t i = *from; i < end; i++) {
        char c = grammar[i];
        if (c == '\\') {
            i++;
        } else if (c == '[' || c == '<' || c == '(') {
            depth++;
        } else if (c == ']' || c == '>' || c == ')') {
            depth--;
        } else if (c == '|' && depth == 0) {
            if (index == 0) {
                *to = i;
                return;
            }
            index--;
            *from = i + 1;
        }
    }
}

/* Expand grammar[from..to) into arguments.  Recurses as deep as our own grammars nest. */
static void expand(struct generator *g, struct op *op, const char *grammar, size_t from, size_t to)
{
    while (from < to) {
        char c = grammar[from];
        if (c == ' ') {
            from++;
            continue;
        }
        if (c != '[' && c != '<' && c != '(') {
            size_t end = from;
            while (end < to && grammar[end] != ' ') {
                end += grammar[end] == '\\' ? 2 : 1;
            }
            add_word(g, op, grammar + from, end - from);
            from = end;
            continue;
        }
        size_t alternatives = 0;
        size_t end = group_end(grammar, from, to, &alternatives);
        uint64_t times = c == '(' ? 1 + below(g, 4) : c == '<' || chance(g, 50);
        for (; times > 0; times--) {
            size_t a = from + 1;
            size_t b = end;
            find_alternative(grammar, below(g, alternatives), &a, &b);
            expand(g, op, grammar, a, b);
        }
        from = end + 1;
    }
}

/* Can a small number among the arguments be a deadline that lapses during the test? */
static bool takes_time(const struct op *op)
{
    static const char *const names[] = {"EXPIRE", "PEXPIRE", "SETEX", "PSETEX", "GETEX", "SET"};
    for (size_t i = 0; i < HL_ARRAY_LEN(names); i++) {
        if (hl_slice_is(op->argv[0], names[i])) {
            return true;
        }
    }
    return false;
}

/* Lose an argument, gain one, or replace one. */
static void mutate(struct generator *g, struct op *op)
{
    static const char kinds[] = "kpehvfiFrd"; /* the first three are never numbers */
    struct hl_buf text = {0};
    put_argument(g, &text, kinds[below(g, takes_time(op) ? 3 : sizeof kinds - 1)]);
    if (text.len == 0 && hl_slice_is(op->argv[0], "CONFIG")) {
        hl_buf_append_u8(&text, 'x'); /* README.md: no empty numbers */
    }
    switch (below(g, 3)) {
    case 0:
        if (op->argc > 1) {
            op_remove(op, op->argc - 1);
        }
        break;
    case 1:
        op_add(op, hl_buf_view(&text));
        break;
    default:
        if (op->argc > 1) {
            op_replace(op, 1 + (int)below(g, (uint64_t)op->argc - 1), hl_buf_view(&text));
        }
        break;
    }
    hl_buf_fini(&text);
}

static void add_command(struct generator *g, struct stream *s, int conn, const char *grammar)
{
    bool strict = grammar[0] == '!';
    struct op *op = stream_add(s, OP_COMMAND, conn);
    expand(g, op, grammar, strict ? 1 : 0, strlen(grammar));
    if (!strict && chance(g, MUTATED_PERCENT)) {
        mutate(g, op);
    }
}

static const struct family *family_named(const char *name)
{
    for (size_t i = 0; i < family_count; i++) {
        if (strcmp(families[i].name, name) == 0) {
            return &families[i];
        }
    }
    HL_ASSERT(false);
    return NULL;
}

static const char *grammar_of(struct generator *g, const struct family *family)
{
    size_t count = 0;
    while (family->grammars[count] != NULL) {
        count++;
    }
    return family->grammars[below(g, count)];
}

/* WATCH on one connection, meddling on another, then a transaction that may or may not go through.
 * Now and then a loose token instead. */
static void add_transaction(struct generator *g, struct stream *s, int conn)
{
    static const char *const inside[] = {"string", "hash", "key", "expire"};
    const struct family *txn = family_named("txn");
    if (chance(g, 20)) {
        add_command(g, s, conn, grammar_of(g, txn));
        return;
    }
    if (chance(g, 50)) {
        add_command(g, s, conn, "WATCH (%k)");
    }
    if (chance(g, 50)) {
        add_command(g, s, (int)below(g, CONNECTION_COUNT),
                    grammar_of(g, family_named(PICK(g, inside))));
    }
    add_command(g, s, conn, "MULTI");
    for (uint64_t i = below(g, TXN_COMMANDS_MAX); i > 0; i--) {
        add_command(g, s, conn, grammar_of(g, family_named(PICK(g, inside))));
    }
    add_command(g, s, conn, chance(g, 90) ? "EXEC" : "DISCARD");
}

static void add_special(struct generator *g, struct stream *s, int conn, const char *family)
{
    if (strcmp(family, "random") == 0) {
        const char *grammar = chance(g, 30) ? "RANDOMKEY" : "HRANDFIELD %h [<1|2|3|7|100|-1|-5>]";
        expand(g, stream_add(s, OP_RANDOM, conn), grammar, 0, strlen(grammar));
    } else if (strcmp(family, "raw") == 0) {
        size_t count = 0;
        while (raw_requests[count] != NULL) {
            count++;
        }
        op_add(stream_add(s, OP_RAW, conn), hl_slice_of(raw_requests[below(g, count)]));
    } else if (strcmp(family, "transfer") == 0) {
        static const char grammar[] = "<%k|%q> <%k|%q>";
        expand(g, stream_add(s, OP_TRANSFER, conn), grammar, 0, sizeof grammar - 1);
    } else {
        const char *grammar = chance(g, 50) ? "SCAN 0 [MATCH %p] [COUNT <1|3|10|1000>] [TYPE %y]"
                                            : "HSCAN %h 0 [MATCH %p] [COUNT <1|3|10|1000>]";
        expand(g, stream_add(s, OP_SCAN_ALL, conn), grammar, 0, strlen(grammar));
    }
}

static const struct family *draw_family(struct generator *g)
{
    int total = 0;
    for (size_t i = 0; i < family_count; i++) {
        total += (g->families >> i & 1) != 0 ? families[i].weight : 0;
    }
    int roll = (int)below(g, (uint64_t)total);
    for (size_t i = 0; i < family_count; i++) {
        roll -= (g->families >> i & 1) != 0 ? families[i].weight : 0;
        if (roll < 0) {
            return &families[i];
        }
    }
    HL_ASSERT(false);
    return NULL;
}

/* Keys for families that only look. */
static void add_furniture(struct generator *g, struct stream *s)
{
    for (int i = 0; i < 4; i++) {
        add_command(g, s, 0, "SET %k %v");
        add_command(g, s, 0, "HSET %h (%f %v)");
        add_command(g, s, 0, "!SET %l %w");
    }
}

void generate(struct generator *g, struct stream *s, size_t count)
{
    int conn = 0;
    add_furniture(g, s);
    while (s->count < count) {
        const struct family *family = draw_family(g);
        if (chance(g, SWITCH_PERCENT)) {
            conn = (int)below(g, CONNECTION_COUNT);
        }
        if (family->grammars[0] == NULL) {
            add_special(g, s, conn, family->name);
        } else if (strcmp(family->name, "txn") == 0) {
            add_transaction(g, s, conn);
        } else {
            add_command(g, s, conn, grammar_of(g, family));
        }
    }
}
