#include "node/bootstrap.h"

#include "kit/assert.h"
#include "kit/sha256.h"
#include "node/refetch.h"

#include <stdio.h>

/* --- the list --------------------------------------------------------------------------------- */

static struct hl_boot_peer *find(struct hl_boot *boot, struct hl_slice name)
{
    for (uint32_t i = 0; i < boot->count; i++) {
        if (hl_slice_equal(hl_slice_of(boot->peers[i].name), name)) {
            return &boot->peers[i];
        }
    }
    return NULL;
}

static hl_err list_peer(struct hl_boot *boot, struct hl_slice name, struct hl_slice address,
                        struct hl_errmsg *msg)
{
    if (find(boot, name) != NULL) {
        return HL_OK;
    }
    if (boot->count == HL_MEMBERS_MAX || boot->count == HL_RAFT_VOTERS_MAX) {
        return hl_fail(msg, HL_EINVAL, "a cluster is founded by at most %d nodes",
                       HL_RAFT_VOTERS_MAX);
    }
    struct hl_boot_peer peer = {0};
    if (name.len == 0 || name.len >= sizeof peer.name || address.len == 0 ||
        address.len >= sizeof peer.address) {
        return hl_fail(msg, HL_EINVAL, "the list of founders has a malformed name or address");
    }
    memcpy(peer.name, name.ptr, name.len);
    memcpy(peer.address, address.ptr, address.len);
    (void)snprintf(peer.listed, sizeof peer.listed, "%s=%s", peer.name, peer.address);
    uint32_t at = boot->count++;
    while (at > 0 && strcmp(boot->peers[at - 1].name, peer.name) > 0) {
        boot->peers[at] = boot->peers[at - 1];
        at--;
    }
    boot->peers[at] = peer;
    return HL_OK;
}

static bool split_listed(struct hl_slice text, struct hl_slice *name, struct hl_slice *address)
{
    const char *equals = text.len == 0 ? NULL : memchr(text.ptr, '=', text.len);
    if (equals == NULL) {
        return false;
    }
    size_t len = (size_t)(equals - text.ptr);
    *name = (struct hl_slice){.ptr = text.ptr, .len = len};
    *address = (struct hl_slice){.ptr = equals + 1, .len = text.len - len - 1};
    return true;
}

/* The same names, in any order; addresses may be spelled in more than one way. */
static bool lists_the_same(struct hl_boot *boot, const struct hl_hello *hello)
{
    for (uint32_t i = 0; i < hello->peer_count; i++) {
        struct hl_slice name, address;
        if (!split_listed(hello->peers[i], &name, &address) || find(boot, name) == NULL) {
            return false;
        }
    }
    return hello->peer_count == boot->count; /* they are sorted and unlike each other there too */
}

bool hl_boot_is_new(const struct hl_wal *wal)
{
    const struct hl_wal_meta *meta = hl_wal_meta(wal);
    bool promised = meta->term > 1 || meta->vote != 0 || hl_refetch_is_due(meta);
    return hl_wal_last(wal) == 0 && meta->base == 0 && !promised;
}

/* --- beginning -------------------------------------------------------------------------------- */

static void decide(struct hl_boot *boot, enum hl_boot_decision decision)
{
    HL_ASSERT(decision != HL_BOOT_NONE);
    if (boot->decision == HL_BOOT_NONE) { /* S5 */
        boot->decision = decision;
    }
}

static hl_err describe_self(struct hl_boot *boot, const struct hl_boot_options *options,
                            struct hl_errmsg *msg)
{
    struct hl_members one = {0};
    hl_err err = hl_members_put(&one, options->id, true, hl_slice_of(options->name),
                                hl_slice_of(options->raft_addr), hl_slice_of(options->client_addr));
    if (err != HL_OK) {
        return hl_fail(msg, err, "the name '%s' or an address of this node is malformed",
                       options->name);
    }
    boot->self = one.at[0];
    boot->own_level = options->level;
    return HL_OK;
}

static bool is_self(const struct hl_boot *boot, const struct hl_boot_peer *peer)
{
    return strcmp(peer->name, boot->self.name) == 0;
}

/* S3 */
static bool make_members(struct hl_boot *boot)
{
    struct hl_buf bytes = {0};
    unsigned char digest[HL_SHA256_BYTES];
    boot->members = (struct hl_members){0};
    boot->level = boot->own_level;
    for (uint32_t i = 0; i < boot->count; i++) {
        const struct hl_member *m = &boot->peers[i].member;
        if (hl_members_find(&boot->members, m->id) != NULL ||
            hl_members_put(&boot->members, m->id, true, hl_slice_of(m->name),
                           hl_slice_of(m->raft_addr), hl_slice_of(m->client_addr)) != HL_OK) {
            (void)snprintf(boot->peers[i].why, sizeof boot->peers[i].why,
                           "another founder has the same id");
            boot->peers[i].answer = HL_BOOT_DIFFERS;
            return false;
        }
        if (!is_self(boot, &boot->peers[i]) && boot->peers[i].level < boot->level) {
            boot->level = boot->peers[i].level;
        }
    }
    hl_members_encode(&boot->members, &bytes);
    hl_sha256(hl_buf_view(&bytes), digest);
    memcpy(boot->cluster_id, digest, sizeof boot->cluster_id);
    hl_buf_fini(&bytes);
    return true;
}

static hl_err found_alone(struct hl_boot *boot, struct hl_errmsg *msg)
{
    hl_err err =
        list_peer(boot, hl_slice_of(boot->self.name), hl_slice_of(boot->self.raft_addr), msg);
    if (err == HL_OK) {
        boot->peers[0].member = boot->self;
        bool made = make_members(boot);
        HL_ASSERT(made);
        decide(boot, HL_BOOT_FOUND);
    }
    return err;
}

hl_err hl_boot_init(struct hl_boot *boot, const struct hl_boot_options *options,
                    struct hl_errmsg *msg)
{
    HL_ASSERT(options->list_count <= HL_MEMBERS_MAX);
    *boot = (struct hl_boot){0};
    hl_err err = describe_self(boot, options, msg);
    if (err != HL_OK) {
        return err;
    }
    if (options->has_state) { /* S1 */
        decide(boot, HL_BOOT_RESUME);
    } else if (options->alone) {
        return found_alone(boot, msg);
    } else if (options->join) {
        decide(boot, HL_BOOT_JOIN);
    }
    boot->waits_for_list = options->list_count == 0;
    if (boot->waits_for_list) {
        return HL_OK;
    }
    err = list_peer(boot, hl_slice_of(boot->self.name), hl_slice_of(boot->self.raft_addr), msg);
    for (uint32_t i = 0; i < options->list_count && err == HL_OK; i++) {
        err = list_peer(boot, hl_slice_of(options->list[i].name),
                        hl_slice_of(options->list[i].raft_addr), msg);
    }
    return err;
}

/* --- rounds ----------------------------------------------------------------------------------- */

static void begin_round(struct hl_boot *boot, uint64_t now_us)
{
    for (uint32_t i = 0; i < boot->count; i++) {
        struct hl_boot_peer *peer = &boot->peers[i];
        HL_ASSERT(peer->answer != HL_BOOT_ASKED);
        peer->answer = HL_BOOT_UNASKED;
        if (is_self(boot, peer)) {
            peer->answer = HL_BOOT_AGREES;
            peer->member = boot->self;
        }
    }
    boot->round_us = now_us;
}

static uint32_t count_answers(const struct hl_boot *boot, enum hl_boot_answer answer)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < boot->count; i++) {
        count += boot->peers[i].answer == answer;
    }
    return count;
}

/* Everybody agrees.  Those that have founded already must have founded the same. */
static void conclude(struct hl_boot *boot)
{
    if (!make_members(boot)) {
        return;
    }
    for (uint32_t i = 0; i < boot->count; i++) {
        const struct hl_boot_peer *peer = &boot->peers[i];
        if (peer->has_cluster &&
            memcmp(peer->cluster_id, boot->cluster_id, sizeof boot->cluster_id) != 0) {
            decide(boot, HL_BOOT_JOIN); /* it has us as a member, and has changed since */
            return;
        }
    }
    decide(boot, HL_BOOT_FOUND);
}

enum hl_boot_decision hl_boot_tick(struct hl_boot *boot, uint64_t now_us)
{
    if (boot->decision != HL_BOOT_NONE || boot->count == 0) {
        return boot->decision;
    }
    if (boot->round_us != 0 && count_answers(boot, HL_BOOT_AGREES) == boot->count) {
        conclude(boot);
    }
    bool member = false;
    for (uint32_t i = 0; i < boot->count; i++) {
        member |= boot->peers[i].has_cluster;
    }
    if (!member) {
        boot->member_us = 0;
    } else if (boot->member_us == 0) {
        boot->member_us = now_us;
    } else if (now_us - boot->member_us > HL_BOOT_JOIN_US) {
        decide(boot, HL_BOOT_JOIN);
    }
    bool open = count_answers(boot, HL_BOOT_UNASKED) + count_answers(boot, HL_BOOT_ASKED) != 0;
    bool due = boot->round_us == 0 || (!open && now_us - boot->round_us >= HL_BOOT_ROUND_US);
    if (boot->decision == HL_BOOT_NONE && due) {
        begin_round(boot, now_us);
    }
    return boot->decision;
}

const struct hl_boot_peer *hl_boot_question(struct hl_boot *boot)
{
    for (uint32_t i = 0; i < boot->count && boot->decision == HL_BOOT_NONE; i++) {
        if (boot->peers[i].answer == HL_BOOT_UNASKED && boot->round_us != 0) {
            boot->peers[i].answer = HL_BOOT_ASKED;
            return &boot->peers[i];
        }
    }
    return NULL;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void differs(struct hl_boot_peer *peer, const char *why)
{
    (void)snprintf(peer->why, sizeof peer->why, "%s", why);
    peer->answer = HL_BOOT_DIFFERS;
}

void hl_boot_unanswered(struct hl_boot *boot, const char *name, const char *why)
{
    struct hl_boot_peer *peer = find(boot, hl_slice_of(name));
    if (peer != NULL && peer->answer == HL_BOOT_ASKED) {
        peer->has_cluster = false;
        differs(peer, why);
    }
}

/* S4 */
static void stop_as_stranger(struct hl_boot *boot, const struct hl_boot_peer *peer)
{
    (void)snprintf(
        boot->why, sizeof boot->why,
        "node %s at %.70s belongs to a cluster already, and this node, whose directory is "
        "empty, is no member of it; was the directory emptied? It is a new node then: "
        "start it with --join, and name it with RAFT.ADD on a member",
        peer->name, peer->address);
    decide(boot, HL_BOOT_STOP);
}

static bool describe(struct hl_boot_peer *peer, hl_peer id, const struct hl_hello *hello)
{
    struct hl_members one = {0};
    if (hl_members_put(&one, id, true, hello->name, hello->raft_addr, hello->client_addr) !=
        HL_OK) {
        return false;
    }
    peer->member = one.at[0];
    peer->level = hello->level;
    return true;
}

void hl_boot_answered(struct hl_boot *boot, const char *name, const struct hl_wire_frame *frame,
                      const struct hl_hello *hello)
{
    static const unsigned char none[16];
    struct hl_boot_peer *peer = find(boot, hl_slice_of(name));
    if (peer == NULL || peer->answer != HL_BOOT_ASKED || boot->decision != HL_BOOT_NONE) {
        return;
    }
    peer->has_cluster = false;
    if (hello->refusal.len != 0) {
        char why[160];
        (void)snprintf(why, sizeof why, "%.*s", (int)hello->refusal.len, hello->refusal.ptr);
        differs(peer, why);
    } else if (!hl_slice_equal(hello->name, hl_slice_of(peer->name))) {
        char why[160];
        (void)snprintf(why, sizeof why, "the node at %.70s calls itself %.*s", peer->address,
                       (int)hello->name.len, hello->name.ptr);
        differs(peer, why);
    } else if (frame->from == boot->self.id) {
        differs(peer, "it is this node itself: one address under two names?");
    } else if (!hello->empty && !hello->member) {
        stop_as_stranger(boot, peer);
    } else if (!hello->empty && memcmp(frame->cluster_id, none, sizeof none) == 0) {
        differs(peer, "it has data and no cluster");
    } else if (hello->empty && !lists_the_same(boot, hello)) {
        differs(peer, hello->peer_count == 0 ? "it has no list of founders"
                                             : "it lists other founders than this node");
    } else if (!describe(peer, frame->from, hello)) {
        differs(peer, "its name or an address is malformed");
    } else {
        peer->has_cluster = !hello->empty;
        memcpy(peer->cluster_id, frame->cluster_id, sizeof peer->cluster_id);
        peer->answer = HL_BOOT_AGREES;
    }
}

void hl_boot_was_asked(struct hl_boot *boot, const struct hl_hello *hello)
{
    bool named = false;
    if (boot->decision != HL_BOOT_NONE || !boot->waits_for_list || hello->peer_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < hello->peer_count; i++) {
        struct hl_slice name, address;
        named |= split_listed(hello->peers[i], &name, &address) &&
                 hl_slice_equal(name, hl_slice_of(boot->self.name));
    }
    if (!named) {
        return;
    }
    hl_err err =
        list_peer(boot, hl_slice_of(boot->self.name), hl_slice_of(boot->self.raft_addr), NULL);
    for (uint32_t i = 0; i < hello->peer_count && err == HL_OK; i++) {
        struct hl_slice name, address;
        err = split_listed(hello->peers[i], &name, &address) ? list_peer(boot, name, address, NULL)
                                                             : HL_EINVAL;
    }
    if (err != HL_OK) {
        boot->count = 0; /* the next one may have a better list */
        return;
    }
    boot->waits_for_list = false;
}

void hl_boot_was_called(struct hl_boot *boot)
{
    if (boot->waits_for_list) {
        decide(boot, HL_BOOT_JOIN);
    }
}

/* --- telling ---------------------------------------------------------------------------------- */

static void describe_missing(const struct hl_boot *boot, char *out, size_t size)
{
    int len = snprintf(out, size, "no cluster yet, waiting for");
    const char *separator = " ";
    for (uint32_t i = 0; i < boot->count && len > 0 && (size_t)len < size; i++) {
        const struct hl_boot_peer *peer = &boot->peers[i];
        if (peer->answer != HL_BOOT_AGREES && peer->why[0] != '\0') {
            len += snprintf(out + len, size - (size_t)len, "%s%s (%s: %.80s)", separator,
                            peer->name, peer->address, peer->why);
            separator = ", ";
        }
    }
}

const char *hl_boot_report(struct hl_boot *boot, uint64_t now_us)
{
    char line[sizeof boot->report];
    if (boot->decision != HL_BOOT_NONE) {
        return NULL;
    }
    if (boot->count == 0) {
        (void)snprintf(line, sizeof line,
                       "no cluster yet: this node has no list of founders (raft-peers), and waits "
                       "to be listed by others or to be added with RAFT.ADD");
    } else if (count_answers(boot, HL_BOOT_DIFFERS) != 0) {
        describe_missing(boot, line, sizeof line);
    } else {
        return NULL;
    }
    bool again = now_us - boot->report_us >= HL_BOOT_REPORT_US;
    if (strcmp(line, boot->report) == 0 && !again) {
        return NULL;
    }
    boot->report_us = now_us;
    memcpy(boot->report, line, sizeof line);
    return boot->report;
}
