/* A million steps of nonsense: messages whose fields are drawn without regard to each other, from
 * peers that lie, between events that a node may cause at any time.  Nothing may trip an assertion,
 * and what raft asks of the node must stay possible: no gap in the log, nothing committed
 * truncated, nothing committed that is not there.
 *
 * The node's own promises are kept (its disk reports what it was given, its reads are numbered). */
#include "base/rng.h"
#include "raft/raft.h"

#include <criterion/criterion.h>

#define STEPS 1000000
#define LIFE 700 /* steps of one raft */

static struct hl_raft raft;
static struct hl_rng rng;
static struct hl_raft_config config;
static uint64_t now_us, reads;
static hl_index last, commit;
static uint64_t leaderships, appended;

static uint64_t below(uint64_t bound)
{
    return hl_rng_below(&rng, bound);
}

/* Near what is known, small, or absurd. */
static uint64_t number(uint64_t known)
{
    switch (below(10)) {
    case 0:
        return UINT64_MAX - below(3);
    case 1:
        return HL_RAFT_NUMBER_MAX - below(3);
    case 2:
        return hl_rng_next(&rng);
    case 3:
    case 4:
        return below(8);
    case 5:
        return known > 3 ? known - below(4) : 0;
    default:
        return known + below(3);
    }
}

static void draw_config(void)
{
    config.count = (uint32_t)below(5) == 0 ? (uint32_t)below(40) : 1 + (uint32_t)below(5);
    for (uint32_t i = 0; i < HL_RAFT_MEMBERS_MAX; i++) {
        config.members[i] = (struct hl_raft_member){
            .id = below(20) == 0 ? 0 : 1 + (i + below(2)) % 6, .voter = below(4) != 0};
    }
}

/* Make it one that could be believed, except perhaps for one field. */
static void make_plausible(struct hl_raft_msg *msg)
{
    hl_term now = hl_raft_term(&raft);
    msg->term = now + (below(10) == 0) + (now == 0);
    msg->from = hl_raft_leader(&raft) > 1 && below(4) != 0 ? hl_raft_leader(&raft) : msg->from;
    msg->prev = last - below(last - raft.log.base > 3 ? 4 : last - raft.log.base + 1);
    (void)hl_raft_term_at(&raft, msg->prev, &msg->prev_term);
    msg->last = msg->prev + below(6);
    msg->commit = commit + below(3);
    msg->hint_term = msg->last_term = msg->prev_term;
    msg->match = msg->last;
    msg->run_count = 0;
    hl_term term = msg->prev_term;
    for (hl_index at = msg->prev + 1; at <= msg->last && msg->run_count < HL_RAFT_RUNS_MAX;) {
        term += term < msg->term && (msg->run_count != 0 || term == 0 || below(2) == 0);
        msg->runs[msg->run_count++] = (struct hl_term_run){.from = at, .term = term};
        at += 1 + below(3);
        if (term == msg->term) {
            break;
        }
    }
    msg->config_index = 0;
    if (msg->last > msg->prev && below(10) == 0) {
        msg->config_index = msg->last;
        msg->config = &config;
    }
    if (below(6) == 0) {
        uint64_t *fields[] = {&msg->term,      &msg->prev,         &msg->prev_term,
                              &msg->last,      &msg->commit,       &msg->hint,
                              &msg->hint_term, &msg->runs[0].term, &msg->runs[0].from,
                              &msg->match,     &msg->config_index};
        *fields[below(sizeof fields / sizeof fields[0])] = number(last);
    }
}

static struct hl_raft_msg draw_message(void)
{
    struct hl_raft_msg msg = {
        .type = (enum hl_raft_msg_type)(below(50) == 0 ? hl_rng_next(&rng) : 1 + below(9)),
        .from = below(30) == 0 ? hl_rng_next(&rng) : 1 + below(5),
        .to = below(50) == 0 ? below(4) : 1,
        .term = number(hl_raft_term(&raft)),
        .prev = number(last),
        .prev_term = number(hl_raft_term(&raft)),
        .commit = number(commit),
        .round = number(raft.round),
        .match = number(last),
        .hint = number(last),
        .hint_term = number(hl_raft_term(&raft)),
        .last_term = number(hl_raft_term(&raft)),
        .read_id = number(reads),
        .read_index = number(commit),
        .reject = below(2),
        .transfer = below(4) == 0,
        .barred = below(8) == 0,
        .last = number(last),
        .config_index = below(6) == 0 ? number(last) : 0,
        .config = below(10) == 0 ? NULL : &config,
        .run_count = (uint32_t)(below(20) == 0 ? hl_rng_next(&rng) : below(4)),
    };
    for (uint32_t i = 0; i < HL_RAFT_RUNS_MAX; i++) {
        msg.runs[i] = (struct hl_term_run){.from = number(last), .term = number(msg.term)};
    }
    if (below(3) != 0) {
        make_plausible(&msg);
    }
    return msg;
}

/* The log as the node has it afterwards. */
static void follow(const struct hl_raft_ready *ready, const struct hl_raft_event *event)
{
    cr_assert(ready->truncate == 0 || ready->truncate > commit, "A5");
    last = ready->truncate != 0 ? ready->truncate - 1 : last;
    if (ready->log_reset) {
        last = event->installed.index;
    }
    if (ready->append_first != 0) {
        cr_assert_eq(ready->append_first, last + 1);
        cr_assert_geq(ready->append_last, ready->append_first);
        last = ready->append_last;
        appended++;
    }
    last += ready->append_noop;
    leaderships += ready->became_leader;
    cr_assert_eq(last, hl_raft_last(&raft));
    hl_terms_check(&raft.log);
    cr_assert_geq(ready->commit, commit);
    cr_assert_leq(ready->commit, last);
    commit = ready->commit;
    for (uint32_t i = 0; i < ready->message_count; i++) {
        const struct hl_raft_msg *msg = &ready->messages[i];
        cr_assert(msg->type != HL_RAFT_APPEND || (msg->prev <= msg->last && msg->last <= last));
    }
}

static struct hl_raft_event draw_event(const struct hl_raft_msg *msg)
{
    struct hl_raft_event event = {.now_us = now_us += below(3000)};
    uint64_t what = below(100);
    hl_term term = 0;
    if (what < 60) {
        event.type = HL_RAFT_ON_MESSAGE;
        event.message.msg = msg;
    } else if (what < 65) {
        event.type = HL_RAFT_ON_TICK;
        event.now_us = now_us += below(50000);
    } else if (what < 72) {
        event.type = HL_RAFT_ON_FLUSH;
    } else if (what < 80) {
        event.type = HL_RAFT_ON_SAVED;
        event.saved.term = hl_raft_term(&raft);
        event.saved.vote = raft.vote;
    } else if (what < 87) {
        event.type = HL_RAFT_ON_DURABLE;
        event.durable.index = last - below(last - raft.log.base + 1);
        (void)hl_raft_term_at(&raft, event.durable.index, &term);
        event.durable.term = below(5) == 0 ? number(term) : term;
    } else if (what < 90) {
        event.type = HL_RAFT_ON_PROPOSE;
        event.propose.count = (uint32_t)below(4);
    } else if (what < 92) {
        event.type = HL_RAFT_ON_CONFIG;
        event.config.config = &config;
    } else if (what < 94) {
        event.type = HL_RAFT_ON_READ;
        event.read.id = ++reads;
    } else {
        event.type = (enum hl_raft_event_type)(HL_RAFT_ON_TRANSFER + what - 94);
    }
    return event;
}

/* The rarer events, whose contents come from outside as well. */
static void fill(struct hl_raft_event *event)
{
    switch (event->type) {
    case HL_RAFT_ON_TRANSFER:
        event->transfer.peer = below(7);
        break;
    case HL_RAFT_ON_RESIGN:
        event->resign.not_before_us = number(now_us);
        break;
    case HL_RAFT_ON_COMPACTED:
        event->compacted.index = number(commit);
        break;
    case HL_RAFT_ON_INSTALLED:
        event->installed.index = number(last);
        event->installed.term = number(hl_raft_term(&raft));
        event->installed.config = &config;
        event->installed.config_index = number(last);
        if (below(2) == 0) {
            event->installed.index = commit + 1 + below(4);
            event->installed.config_index = below(event->installed.index + 1);
            event->installed.term = 1 + below(hl_raft_term(&raft) + 1);
        }
        break;
    case HL_RAFT_ON_SNAPSHOT_SENT:
        event->snapshot_sent.peer = below(7);
        event->snapshot_sent.index = number(last);
        event->snapshot_sent.ok = below(2);
        break;
    case HL_RAFT_ON_UNREACHABLE:
        event->unreachable.peer = below(7);
        break;
    case HL_RAFT_ON_START:
    case HL_RAFT_ON_TICK:
    case HL_RAFT_ON_FLUSH:
    case HL_RAFT_ON_PROPOSE:
    case HL_RAFT_ON_CONFIG:
    case HL_RAFT_ON_DURABLE:
    case HL_RAFT_ON_SAVED:
    case HL_RAFT_ON_MESSAGE:
    case HL_RAFT_ON_READ:
        break;
    }
}

static void step(struct hl_raft_event event)
{
    fill(&event);
    struct hl_raft_ready ready;
    hl_err err = hl_raft_step(&raft, &event, &ready);
    if (err == HL_OK && event.type == HL_RAFT_ON_PROPOSE) {
        last += event.propose.count;
    }
    if (err == HL_OK && event.type == HL_RAFT_ON_CONFIG) {
        last++;
    }
    follow(&ready, &event);
}

static void be_born(uint64_t seed)
{
    hl_rng_seed(&rng, seed);
    uint32_t members = 1 + (uint32_t)below(6);
    struct hl_raft_config_entry first = {.config = {.count = members}};
    for (uint32_t i = 0; i < members; i++) {
        first.config.members[i] =
            (struct hl_raft_member){.id = i + 1, .voter = i == 0 || below(4) != 0};
    }
    struct hl_terms log = {0};
    struct hl_raft_start start = {.self = 1,
                                  .configs = &first,
                                  .config_count = (uint32_t)below(10) != 0,
                                  .log = &log,
                                  .barred = below(5) == 0,
                                  .seed = seed,
                                  .now_us = now_us,
                                  .election_us = 100000,
                                  .heartbeat_us = 20000,
                                  .lease = below(2)};
    hl_raft_init(&raft, &start);
    reads = 0;
    last = 0;
    commit = 0;
    step((struct hl_raft_event){.type = HL_RAFT_ON_START});
}

Test(raft_hostile, nonsense_is_ignored_and_never_asserted_on)
{
    for (uint64_t done = 0; done < STEPS; done += LIFE) {
        be_born(done);
        for (int i = 0; i < LIFE; i++) {
            draw_config();
            struct hl_raft_msg msg = draw_message();
            step(draw_event(&msg));
        }
        hl_raft_fini(&raft);
    }
    cr_assert_gt(leaderships, 500, "liars must not keep everybody from leading");
    cr_assert_gt(appended, 5000, "nor keep every entry out");
}
