/* The checkers find what is wrong, and nothing else.
 *
 * Method: small histories in their text form, right ones and one for each kind of wrong; then
 * random right ones, made by a register or list that takes operations one by one, and the same
 * damaged. */
#include "base/rng.h"
#include "kit/alloc.h"
#include "simulation/check.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct history parse(const char *text)
{
    struct history history = {0};
    struct hl_errmsg msg = {{0}};
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    cr_assert_not_null(in);
    cr_assert_eq(history_read(&history, in, &msg), HL_OK, "%s", msg.text);
    (void)fclose(in);
    return history;
}

static void expect(const char *text, const char *why)
{
    struct history history = parse(text);
    struct check_result result = check_history(&history);
    cr_assert_eq(result.gave_up, 0);
    if (why == NULL) {
        cr_assert(result.ok, "%s\n%s", result.why, text);
    } else {
        cr_assert_not(result.ok, "%s", text);
        cr_assert_not_null(strstr(result.why, why), "got '%s', want '%s'", result.why, why);
    }
    history_fini(&history);
}

/* --- registers -------------------------------------------------------------------------------- */

Test(registers, one_after_the_other_is_good)
{
    expect("1 1 2 ok write x 5\n2 3 4 ok read x 5\n1 5 6 ok cas x 5 6\n2 7 8 miss cas x 5 7\n"
           "1 9 10 ok add x 2 8\n1 11 12 ok read x 8\n1 13 14 ok read y nil\n",
           NULL);
}

Test(registers, overlapping_operations_may_go_either_way)
{
    expect("1 1 10 ok write x 1\n2 2 9 ok write x 2\n3 11 12 ok read x 1\n", NULL);
    expect("1 1 10 ok write x 1\n2 2 9 ok write x 2\n3 11 12 ok read x 2\n", NULL);
    expect("1 1 10 ok write x 1\n2 2 3 ok read x 1\n3 4 5 ok read x 1\n", NULL);
}

Test(registers, a_stale_read_is_found)
{
    expect("1 1 2 ok write x 1\n1 3 4 ok write x 2\n2 5 6 ok read x 1\n", "register x");
}

Test(registers, a_value_that_comes_and_goes_is_found)
{
    expect("1 1 10 ok write x 1\n2 2 3 ok read x 1\n3 4 5 ok read x nil\n", "register x");
}

Test(registers, a_lost_write_is_found)
{
    expect("1 1 2 ok write x 1\n2 3 4 ok read x nil\n", "register x");
}

Test(registers, a_lost_update_of_a_counter_is_found)
{
    expect("1 1 4 ok add x 1 1\n2 2 3 ok add x 1 2\n", NULL);
    expect("1 1 4 ok add x 1 1\n2 2 3 ok add x 1 1\n", "register x");
}

Test(registers, two_winners_of_one_cas_are_found)
{
    expect("1 1 2 ok write x 1\n1 3 6 ok cas x 1 2\n2 4 5 ok cas x 1 3\n", "register x");
    expect("1 1 2 ok write x 1\n1 3 6 ok cas x 1 2\n2 4 5 miss cas x 1 3\n", NULL);
}

Test(registers, a_cas_that_missed_without_reason_is_found)
{
    expect("1 1 2 ok write x 1\n1 3 4 miss cas x 1 2\n", "register x");
}

Test(registers, what_failed_for_certain_has_no_effect)
{
    expect("1 1 2 ok write x 1\n1 3 4 fail write x 2\n2 5 6 ok read x 1\n", NULL);
    expect("1 1 2 ok write x 1\n1 3 4 fail write x 2\n2 5 6 ok read x 2\n", "register x");
}

Test(registers, an_unknown_write_may_happen_late_or_never)
{
    expect("1 1 2 ok write x 1\n1 3 - unknown write x 2\n2 5 6 ok read x 1\n", NULL);
    expect("1 1 2 ok write x 1\n1 3 - unknown write x 2\n2 5 6 ok read x 1\n2 7 8 ok read x 2\n",
           NULL);
    expect("1 1 2 ok write x 1\n1 3 - unknown write x 2\n2 5 6 ok read x 2\n2 7 8 ok read x 1\n",
           "register x");
    expect("2 1 2 ok read x 2\n1 3 - unknown write x 2\n", "register x");
}

Test(registers, an_unknown_addition_counts_at_most_once)
{
    expect("1 1 - unknown add x 1\n2 3 4 ok add x 1 2\n", NULL);
    expect("1 1 - unknown add x 1\n2 3 4 ok add x 1 3\n", "register x");
}

Test(registers, keys_are_judged_alone)
{
    expect("1 1 2 ok write x 1\n1 3 4 ok write y 2\n2 5 6 ok read y nil\n", "register y");
}

/* --- lists ------------------------------------------------------------------------------------ */

Test(lists, prefixes_in_order_are_good)
{
    expect(
        "1 1 2 ok append l 1 1\n2 3 4 ok append l 2 2\n3 5 6 ok list l 1 2\n3 7 8 ok list l 1 2\n",
        NULL);
    expect(
        "3 1 9 ok list l 1\n1 2 4 ok append l 1 1\n2 3 8 ok append l 2 2\n3 10 11 ok list l 1 2\n",
        NULL);
}

Test(lists, two_orders_are_found)
{
    expect("1 1 9 ok append l 1 0\n2 1 9 ok append l 2 0\n3 2 8 ok list l 1\n4 2 8 ok list l 2 1\n",
           "no prefix");
}

Test(lists, a_lost_acknowledged_element_is_found)
{
    expect("1 1 2 ok append l 1 0\n1 3 4 ok list l\n", "stale");
    expect("1 1 2 ok append l 1 0\n1 3 4 ok append l 2 0\n1 5 6 ok list l 2\n", "append of");
    expect("1 1 2 ok append l 1 1\n1 3 4 ok append l 2 2\n1 5 6 ok list l 2\n", "is not there");
}

Test(lists, an_element_that_is_there_twice_is_found)
{
    expect("1 1 2 ok append l 1 0\n1 3 4 ok list l 1 1\n", "twice");
}

Test(lists, an_element_that_failed_for_certain_is_found)
{
    expect("1 1 2 fail append l 1\n1 3 4 ok list l 1\n", "failed for certain");
    expect("1 1 2 fail append l 1\n1 3 4 ok list l\n", NULL);
}

Test(lists, an_element_from_nowhere_is_found)
{
    expect("1 1 2 ok append l 1 1\n1 3 4 ok list l 1 7\n", "never appended");
}

Test(lists, a_stale_read_is_found)
{
    expect("1 1 2 ok append l 1 1\n2 3 4 ok append l 2 2\n3 5 6 ok list l 1\n4 7 8 ok list l 1 2\n",
           "stale");
}

Test(lists, an_append_ordered_before_one_that_was_answered_is_found)
{
    expect("1 1 2 ok append l 1 0\n2 3 4 ok append l 2 0\n3 5 6 ok list l 2 1\n", "append of");
}

Test(lists, an_unknown_append_may_be_there_or_not)
{
    expect("1 1 - unknown append l 1\n2 3 4 ok list l\n2 5 6 ok list l 1\n", NULL);
    expect("1 1 - unknown append l 1\n2 3 4 ok list l\n", NULL);
    expect("2 3 4 ok list l 1\n1 5 - unknown append l 1\n", "append of");
}

Test(lists, a_length_that_does_not_fit_is_found)
{
    expect("1 1 2 ok append l 1 1\n1 3 4 ok append l 2 3\n1 5 6 ok list l 1 2\n", "told length 3");
}

/* --- sessions --------------------------------------------------------------------------------- */

Test(sessions, a_session_may_read_the_past_but_not_go_back)
{
    expect("1 1 2 ok append l 1 1\n1 3 4 ok append l 2 2\n2 5 6 ok session-list l 1\n"
           "2 7 8 ok session-list l 1 2\n3 9 10 ok list l 1 2\n",
           NULL);
    expect("1 1 2 ok append l 1 1\n1 3 4 ok append l 2 2\n2 5 6 ok session-list l 1 2\n"
           "2 7 8 ok session-list l 1\n",
           "session of client 2");
    expect("1 1 2 ok append l 1 1\n1 3 4 ok session-list l\n", "session of client 1");
}

/* --- the text --------------------------------------------------------------------------------- */

Test(text, what_is_printed_reads_back)
{
    const char *lines = "1 1 2 ok write x 5\n1 3 - unknown write x -6\n2 3 4 ok read x nil\n"
                        "1 5 6 miss cas x 5 6\n2 7 8 fail add y 5\n2 9 9 ok add y 5 5\n"
                        "3 1 2 ok append l 1 1\n3 3 4 ok session-list l 1\n4 3 4 ok list l 1\n";
    struct history history = parse(lines);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    for (size_t i = 0; i < history.count; i++) {
        history_print(&history.ops[i], out);
    }
    (void)fclose(out);
    cr_assert_str_eq(text, lines);
    free(text);
    history_fini(&history);
}

Test(text, a_malformed_line_is_refused_with_its_number)
{
    const char *bad[] = {
        "x 1 2 ok read k 5",     "1 1 2 good read k 5", "1 1 2 ok look k 5", "1 1 2 ok read k",
        "1 5 2 ok read k 5",     "1 1 - ok read k 5",   "1 1 2 ok list k 0", "1 1",
        "1 1 2 ok write k five",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "# a comment\n%s\n", bad[i]);
        struct history history = {0};
        struct hl_errmsg msg = {{0}};
        FILE *in = fmemopen(text, strlen(text), "r");
        cr_assert_eq(history_read(&history, in, &msg), HL_EINVAL, "%s", bad[i]);
        cr_assert_eq(strncmp(msg.text, "line 2: ", 8), 0, "%s", msg.text);
        (void)fclose(in);
        history_fini(&history);
    }
}

/* --- at random -------------------------------------------------------------------------------- */

/* Operations of `clients` clients on one register, each taking place at an instant between its send
 * and its answer, so that the history is right by construction. */
static struct history random_register(struct hl_rng *rng, int count, int clients)
{
    struct history history = {0};
    int64_t free_at[16] = {0};
    int64_t value = HISTORY_NIL;
    int64_t now = 0;
    for (int i = 0; i < count; i++) {
        now += 10;
        uint32_t client = (uint32_t)hl_rng_below(rng, (uint64_t)clients);
        if (free_at[client] >= now) {
            continue;
        }
        struct history_op op = {.client = client, .key = "x"};
        int64_t room = now - free_at[client] - 1;
        op.invoked = now - (int64_t)hl_rng_below(rng, (uint64_t)(room < 60 ? room : 60) + 1);
        op.returned = now + (int64_t)hl_rng_below(rng, 60);
        free_at[client] = op.returned;
        op.kind = (enum history_kind)hl_rng_below(rng, 4);
        op.arg = (int64_t)hl_rng_below(rng, 5);
        op.arg2 = (int64_t)hl_rng_below(rng, 5);
        bool happens = hl_rng_below(rng, 10) != 0;
        bool known = hl_rng_below(rng, 12) != 0 && happens;
        int64_t number = value == HISTORY_NIL ? 0 : value;
        op.outcome = known ? HISTORY_OK : HISTORY_UNKNOWN;
        if (op.kind == HISTORY_READ) {
            op.value = value;
        } else if (op.kind == HISTORY_WRITE && happens) {
            value = op.arg;
        } else if (op.kind == HISTORY_ADD && happens) {
            value = op.value = number + op.arg;
        } else if (op.kind == HISTORY_CAS && happens) {
            op.outcome = !known ? HISTORY_UNKNOWN : value == op.arg ? HISTORY_OK : HISTORY_MISS;
            value = value == op.arg ? op.arg2 : value;
        }
        op.returned = op.outcome == HISTORY_UNKNOWN ? HISTORY_NEVER : op.returned;
        (void)history_add(&history, &op);
    }
    return history;
}

Test(random, right_histories_of_registers_are_good, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct hl_rng rng;
        hl_rng_seed(&rng, seed);
        struct history history = random_register(&rng, 200, 2 + (int)(seed % 5));
        struct check_result result = check_registers(&history);
        cr_assert(result.ok, "seed %llu: %s", (unsigned long long)seed, result.why);
        history_fini(&history);
    }
}

/* A value that no operation ever gave cannot be explained. */
Test(random, an_impossible_read_is_always_found, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct hl_rng rng;
        hl_rng_seed(&rng, seed);
        struct history history = random_register(&rng, 120, 3);
        struct history_op op = {.client = 99,
                                .key = "x",
                                .kind = HISTORY_READ,
                                .invoked = 600,
                                .returned = 601,
                                .value = 1 << 20};
        (void)history_add(&history, &op);
        struct check_result result = check_registers(&history);
        cr_assert_not(result.ok, "seed %llu", (unsigned long long)seed);
        history_fini(&history);
    }
}

static struct history random_list(struct hl_rng *rng, uint32_t count)
{
    struct history history = {0};
    uint32_t *list = hl_calloc(count + 1, sizeof *list);
    size_t length = 0;
    for (uint32_t i = 1; i <= count; i++) {
        int64_t now = (int64_t)i * 10;
        struct history_op op = {.client = i, .key = "l"};
        op.invoked = now - (int64_t)hl_rng_below(rng, 60);
        op.returned = now + (int64_t)hl_rng_below(rng, 60);
        if (hl_rng_below(rng, 2) == 0) {
            op.kind = HISTORY_APPEND;
            op.arg = i;
            list[length++] = i;
            op.value = (int64_t)length;
        } else {
            op.kind = HISTORY_LIST;
            op.elements = hl_malloc(length * sizeof *list);
            memcpy(op.elements, list, length * sizeof *list);
            op.count = length;
        }
        (void)history_add(&history, &op);
    }
    hl_free(list);
    return history;
}

Test(random, right_histories_of_lists_are_good_and_damaged_ones_are_not, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct hl_rng rng;
        hl_rng_seed(&rng, seed);
        struct history history = random_list(&rng, 300);
        struct check_result result = check_lists(&history);
        cr_assert(result.ok, "seed %llu: %s", (unsigned long long)seed, result.why);
        struct history_op *victim = NULL;
        while (victim == NULL || victim->kind != HISTORY_LIST || victim->count < 3) {
            victim = &history.ops[hl_rng_below(&rng, history.count)];
        }
        size_t at = hl_rng_below(&rng, victim->count - 1);
        uint32_t element = victim->elements[at];
        victim->elements[at] = victim->elements[at + 1];
        victim->elements[at + 1] = element;
        result = check_lists(&history);
        cr_assert_not(result.ok, "seed %llu", (unsigned long long)seed);
        history_fini(&history);
    }
}
