#include "node/scrub.h"

#include "base/slot.h"
#include "command/args.h"
#include "keyspace/dump.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/cursor.h"
#include "node/node_internal.h"

#include <stdlib.h>

enum { GATHER = 1, CHECK = 2 };
enum { ANSWER = 1, VERDICT = 2, NEED = 3 };

static uint64_t now_us(const struct hl_node *node)
{
    return node->world->mono_us(node->world->ctx);
}

/* --- names -------------------------------------------------------------------------------------
 */

void hl_scrub_reset(struct hl_node *node)
{
    struct hl_scrub *s = &node->scrub;
    for (size_t i = 0; i < s->width; i++) {
        hl_buf_fini(&s->names[i]);
    }
    hl_free(s->names);
    s->names = NULL;
    s->names_size = 0;
    s->width = 0;
    s->phase = HL_SCRUB_IDLE;
    node->ks.creating = false;
}

static void note(struct hl_scrub *s, struct hl_slice key)
{
    unsigned at = hl_key_slot(key) - s->window; /* below the window it is huge */
    if (at >= s->width) {
        return;
    }
    hl_buf_append_le32(&s->names[at], (uint32_t)key.len);
    hl_buf_append_slice(&s->names[at], key);
    s->names_size += key.len + 4;
}

static void close_when_large(struct hl_node *node)
{
    struct hl_scrub *s = &node->scrub;
    if (s->names_size > HL_SCRUB_NAMES_MAX) {
        s->widest = s->width > 1 ? s->width / 2 : 1;
        hl_scrub_reset(node);
    }
}

void hl_scrub_created(void *ctx, int db, struct hl_slice key)
{
    struct hl_node *node = ctx;
    (void)db; /* names are compared in every database, so that moves between them do not matter */
    if (node->scrub.phase == HL_SCRUB_IDLE) {
        return;
    }
    note(&node->scrub, key);
    close_when_large(node);
}

static void gather(struct hl_node *node, unsigned window, unsigned width)
{
    hl_scrub_reset(node);
    struct hl_scrub *s = &node->scrub;
    s->phase = HL_SCRUB_GATHERS;
    s->window = window;
    s->width = width;
    s->names = hl_calloc(width, sizeof *s->names);
    s->db = 0;
    s->cursor = 0;
    s->begun_us = now_us(node);
    node->ks.creating = true;
}

static void visit(void *ctx, struct hl_entry *entry)
{
    note(ctx, hl_entry_key(entry));
}

static void send(struct hl_node *node, hl_peer to, uint8_t kind, hl_index index,
                 const unsigned char *digest)
{
    static const unsigned char none[HL_SCRUB_DIGEST];
    struct hl_buf bytes = {0};
    struct hl_wire_frame frame = hl_node_frame(node, to, HL_PEER_RAFT, HL_FRAME_SCRUB);
    if (node->world->send == NULL) {
        return;
    }
    size_t start = hl_wire_begin(&bytes, &frame);
    hl_buf_append_u8(&bytes, kind);
    hl_buf_append_le64(&bytes, index);
    hl_buf_append_u8(&bytes, digest != NULL);
    hl_buf_append(&bytes, digest != NULL ? digest : none, HL_SCRUB_DIGEST);
    hl_wire_end(&bytes, start);
    node->world->send(node->world->ctx, to, HL_PEER_RAFT, hl_buf_view(&bytes));
    hl_buf_fini(&bytes);
}

/* The leader begins to compare when everybody can. */
static void tell_gathered(struct hl_node *node)
{
    static const unsigned char none[HL_SCRUB_DIGEST];
    hl_peer leader = node->cluster.leader;
    if (!node->cluster.leads && leader != 0 && leader != node->node_id) {
        send(node, leader, ANSWER, node->scrub.gather_index, none);
    }
}

/* The next slice. */
static void go_on_gathering(struct hl_node *node)
{
    struct hl_scrub *s = &node->scrub;
    uint64_t until_us = now_us(node) + HL_SCRUB_SLICE_US;
    while (s->phase == HL_SCRUB_GATHERS && now_us(node) < until_us) {
        for (int i = 0; i < 64 && s->db < node->ks.db_count; i++) {
            s->cursor = hl_db_scan(hl_ks_db(&node->ks, s->db), s->cursor, visit, s);
            s->db += s->cursor == 0;
        }
        if (s->db == node->ks.db_count) {
            s->phase = HL_SCRUB_HOLDS;
            tell_gathered(node);
        }
        close_when_large(node);
    }
}

/* --- digests -----------------------------------------------------------------------------------
 */

static int compare_names(const void *a, const void *b)
{
    return hl_slice_compare(*(const struct hl_slice *)a, *(const struct hl_slice *)b);
}

/* The names of a slot, each once; the caller frees them. */
static struct hl_slice *names_of(const struct hl_buf *buf, size_t *count)
{
    struct hl_slice *names = hl_calloc(buf->len / 4 + 1, sizeof *names);
    size_t all = 0;
    for (size_t at = 0; at < buf->len;) {
        uint32_t len = hl_get_le32(buf->ptr + at);
        names[all++] = (struct hl_slice){.ptr = buf->ptr + at + 4, .len = len};
        at += 4 + (size_t)len;
    }
    qsort(names, all, sizeof *names, compare_names);
    size_t kept = 0;
    for (size_t i = 0; i < all; i++) {
        if (kept == 0 || !hl_slice_equal(names[kept - 1], names[i])) {
            names[kept++] = names[i];
        }
    }
    *count = kept;
    return names;
}

static void add_name(struct hl_node *node, struct hl_slice name, unsigned char out[HL_SCRUB_DIGEST])
{
    const unsigned flags = HL_FIND_NOTOUCH | HL_FIND_NOSTATS | HL_FIND_EXPIRED;
    for (int db = 0; db < node->ks.db_count; db++) {
        struct hl_db *keys = hl_ks_db(&node->ks, db);
        const struct hl_entry *entry =
            hl_db_count(keys) == 0 ? NULL : hl_db_find(keys, name, flags);
        if (entry != NULL) {
            hl_entry_digest_add(entry, db, &node->modules, out);
        }
    }
}

/* Of the slots from `first` on, whose names are held. */
static void digest_held(struct hl_node *node, unsigned first, unsigned count,
                        unsigned char out[HL_SCRUB_DIGEST])
{
    uint64_t seen = node->ks.gate_seen;
    memset(out, 0, HL_SCRUB_DIGEST);
    for (unsigned i = first - node->scrub.window; i < first - node->scrub.window + count; i++) {
        size_t names_count = 0;
        struct hl_slice *names = names_of(&node->scrub.names[i], &names_count);
        for (size_t k = 0; k < names_count; k++) {
            add_name(node, names[k], out);
        }
        hl_free(names);
    }
    node->ks.gate_seen = seen; /* nobody is told what was found */
}

struct whole {
    struct hl_node *node;
    unsigned first, count;
    int db;
    unsigned char digest[HL_SCRUB_DIGEST];
};

static void visit_whole(void *ctx, struct hl_entry *entry)
{
    struct whole *w = ctx;
    if (hl_key_slot(hl_entry_key(entry)) - w->first < w->count) {
        hl_entry_digest_add(entry, w->db, &w->node->modules, w->digest);
    }
}

/* Of any slots, by looking at every key: while the state is made anew. */
static void digest_whole(struct hl_node *node, unsigned first, unsigned count,
                         unsigned char out[HL_SCRUB_DIGEST])
{
    struct whole w = {.node = node, .first = first, .count = count};
    for (w.db = 0; w.db < node->ks.db_count; w.db++) {
        hl_db_visit(hl_ks_db(&node->ks, w.db), visit_whole, &w);
    }
    memcpy(out, w.digest, HL_SCRUB_DIGEST);
}

/* --- a node that differs -----------------------------------------------------------------------
 */

/* It cannot be mended with what is here. */
static void give_up(struct hl_node *node, const char *why)
{
    node->scrub.differs = true;
    node->cluster.resign_due = true;
    hl_node_log(
        node, 3,
        "QUARANTINED: this server's data differs from that of the others, %s.  It answers no "
        "reads and does not lead until a snapshot of the leader's has taken its place",
        why);
}

bool hl_scrub_takes(const struct hl_node *node, hl_index index)
{
    return node->scrub.differs && index >= node->snapshot_index; /* the log goes on from there */
}

static void ask_for_snapshot(struct hl_node *node)
{
    hl_peer leader = node->cluster.leader;
    if (leader != 0 && leader != node->node_id && now_us(node) >= node->scrub.need_us) {
        node->scrub.need_us = now_us(node) + HL_SCRUB_NEED_US;
        send(node, leader, NEED, node->snapshot_index, NULL);
    }
}

/* Most voters hold something else at `index`. */
static void condemn(struct hl_node *node, hl_index index, const void *want)
{
    struct hl_scrub *s = &node->scrub;
    if (node->cluster.leads || node->cluster.inherits || node->cluster.rebuilding || s->differs) {
        return;
    }
    s->differs_at = index;
    s->tainted = node->last;
    memmove(s->want, want, sizeof s->want);
    if (node->snapshot_index >= index) {
        give_up(node, "and so does its newest snapshot");
        return;
    }
    hl_node_log(
        node, 3,
        "QUARANTINED: this server's data differs from that of the others as of entry %llu; it "
        "is made anew from its snapshot and its log, and compared again",
        (unsigned long long)index);
    hl_replica_make_anew(node);
}

void hl_scrub_rebuilt(struct hl_node *node)
{
    struct hl_scrub *s = &node->scrub;
    if (s->replaced) {
        s->differs = false;
        node->cluster.resign_due = true; /* it may lead again */
    }
    if ((s->differs_at != 0 || s->replaced) && !s->differs) {
        s->mended++;
        hl_node_log(node, 2, "what differed from the other servers is mended");
    }
    s->replaced = false;
    s->differs_at = 0;
}

static void check(struct hl_node *node, hl_index index, unsigned first, unsigned count)
{
    struct hl_scrub *s = &node->scrub;
    unsigned char digest[HL_SCRUB_DIGEST];
    s->next = (first + count) % HL_SLOTS; /* where this node would go on if it led */
    if (node->cluster.rebuilding) {
        if (index != s->differs_at) {
            return;
        }
        digest_whole(node, first, count, digest);
        if (memcmp(digest, s->want, sizeof digest) != 0) {
            give_up(node, "even when it is made anew");
        }
        return;
    }
    hl_peer leader = node->cluster.leader;
    if (!node->cluster.live || node->loading || leader == 0 || leader == node->node_id ||
        s->differs) {
        return;
    }
    bool held =
        s->phase == HL_SCRUB_HOLDS && first >= s->window && first + count <= s->window + s->width;
    if (held) {
        digest_held(node, first, count, digest);
        s->compared += count;
    } else {
        s->passed_over += count;
    }
    send(node, leader, ANSWER, index, held ? digest : NULL);
}

void hl_scrub_apply(struct hl_node *node, const struct hl_wal_entry *entry)
{
    struct hl_cursor in = hl_cursor_over(entry->body);
    uint8_t kind = hl_cursor_u8(&in);
    unsigned first = hl_cursor_u16(&in);
    unsigned count = hl_cursor_u16(&in);
    if (!in.ok || count == 0 || first + count > HL_SLOTS) {
        return; /* it changes nothing, so nothing is lost */
    }
    if (kind == GATHER && !node->cluster.rebuilding && node->cluster.live) {
        gather(node, first, count);
        node->scrub.gather_index = entry->index;
        go_on_gathering(node);
    } else if (kind == CHECK) {
        check(node, entry->index, first, count);
    }
}

/* --- the leader --------------------------------------------------------------------------------
 */

static void append(struct hl_node *node, uint8_t kind, unsigned first, unsigned count,
                   const unsigned char *digest)
{
    struct hl_buf body = {0};
    unsigned char number[2];
    hl_buf_append_u8(&body, kind);
    hl_put_le16(number, (uint16_t)first);
    hl_buf_append(&body, number, sizeof number);
    hl_put_le16(number, (uint16_t)count);
    hl_buf_append(&body, number, sizeof number);
    if (digest != NULL) {
        hl_buf_append(&body, digest, HL_SCRUB_DIGEST);
    }
    node->last++;
    struct hl_wal_entry entry = {
        .index = node->last,
        .term = node->cluster.term,
        .type = HL_WAL_SCRUB,
        .log_time_us = node->log_time_us,
        .feature_level = hl_level_now(node),
        .body = hl_buf_view(&body),
    };
    hl_wal_append(node->wal, &entry);
    hl_replica_note_size(&node->cluster, node->last, body.len);
    node->stats.entries++;
    hl_buf_fini(&body);
}

static unsigned agreeing(const struct hl_node *node, const unsigned char *digest)
{
    const struct hl_scrub_vote *vote = &node->scrub.vote;
    const struct hl_members *members = hl_node_members(node);
    unsigned count = memcmp(vote->own, digest, HL_SCRUB_DIGEST) == 0;
    for (size_t i = 0; i < HL_ARRAY_LEN(vote->answers); i++) {
        const struct hl_member *m =
            vote->answers[i].peer == 0 ? NULL : hl_members_find(members, vote->answers[i].peer);
        count += m != NULL && m->voter && vote->answers[i].compared &&
                 memcmp(vote->answers[i].digest, digest, HL_SCRUB_DIGEST) == 0;
    }
    return count;
}

/* Whoever differs from the majority is told; it may be this node. */
static void judge(struct hl_node *node)
{
    struct hl_scrub_vote *vote = &node->scrub.vote;
    unsigned majority = hl_members_voters(hl_node_members(node)) / 2 + 1;
    bool right = agreeing(node, vote->own) >= majority;
    if (vote->gathers) {
        vote->index = 0;
        return;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(vote->answers); i++) {
        if (vote->answers[i].peer == 0 || !vote->answers[i].compared ||
            memcmp(vote->answers[i].digest, vote->own, HL_SCRUB_DIGEST) == 0) {
            continue;
        }
        bool others = agreeing(node, vote->answers[i].digest) >= majority;
        node->scrub.differences++;
        hl_node_log(
            node, 3,
            "SCRUB: the data of node %llx in slot %u and behind differs from this server's as "
            "of entry %llu: %s",
            (unsigned long long)vote->answers[i].peer, vote->first, (unsigned long long)vote->index,
            right    ? "most agree with this server, so that one is made anew"
            : others ? "most agree with that one, so this server hands leadership over and is "
                       "made anew"
                     : "there is no majority that agrees, so nothing is done: compare them");
        if (right) {
            send(node, vote->answers[i].peer, VERDICT, vote->index, vote->own);
        } else if (others) {
            node->scrub.differs_at = vote->index;
            memcpy(node->scrub.want, vote->answers[i].digest, HL_SCRUB_DIGEST);
        }
    }
    vote->index = 0;
}

static bool all_answered(const struct hl_node *node)
{
    const struct hl_scrub_vote *vote = &node->scrub.vote;
    unsigned count = 0;
    for (size_t i = 0; i < HL_ARRAY_LEN(vote->answers); i++) {
        count += vote->answers[i].peer != 0;
    }
    return count + 1 >= hl_node_members(node)->count;
}

static void take_answer(struct hl_node *node, hl_peer from, hl_index index, bool compared,
                        struct hl_slice digest)
{
    struct hl_scrub_vote *vote = &node->scrub.vote;
    if (!node->cluster.leads || vote->index == 0 || vote->index != index) {
        return;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(vote->answers); i++) {
        if (vote->answers[i].peer == from) {
            return;
        }
        if (vote->answers[i].peer == 0) {
            vote->answers[i].peer = from;
            vote->answers[i].compared = compared;
            memcpy(vote->answers[i].digest, digest.ptr, HL_SCRUB_DIGEST);
            break;
        }
    }
    if (all_answered(node)) {
        judge(node);
    }
}

/* The newest one, if the node's log goes on from it; otherwise a newer one is made first. */
static void give_snapshot(struct hl_node *node, hl_peer to, hl_index base)
{
    if (node->snapshot_index != 0 && node->snapshot_index >= base) {
        hl_transfer_start(node, to);
    } else if (node->world->snapshot_wanted != NULL) {
        node->world->snapshot_wanted(node->world->ctx);
    }
}

void hl_scrub_on_frame(struct hl_node *node, hl_peer from, struct hl_slice body)
{
    struct hl_cursor in = hl_cursor_over(body);
    uint8_t kind = hl_cursor_u8(&in);
    hl_index index = hl_cursor_u64(&in);
    bool compared = hl_cursor_u8(&in) != 0;
    struct hl_slice digest = hl_cursor_bytes(&in, HL_SCRUB_DIGEST);
    if (!in.ok || in.left != 0) {
        hl_node_log(node, 3, "a malformed SCRUB frame of node %llx is dropped",
                    (unsigned long long)from);
        return;
    }
    if (kind == ANSWER) {
        take_answer(node, from, index, compared, digest);
    } else if (kind == VERDICT && from == node->cluster.leader && index <= node->commit) {
        condemn(node, index, digest.ptr);
    } else if (kind == NEED && node->cluster.leads &&
               hl_members_find(hl_node_members(node), from)) {
        give_snapshot(node, from, index);
    }
}

/* How many slots from `first` on are compared at once. */
static unsigned share(const struct hl_scrub *s, unsigned first)
{
    unsigned end = s->window + s->width;
    unsigned count = 1;
    size_t size = s->names[first - s->window].len;
    while (s->ordered > count && first + count < end && size < HL_SCRUB_CHECK_NAMES) {
        size += s->names[first + count - s->window].len;
        count++;
    }
    return count;
}

static void compare_next(struct hl_node *node)
{
    struct hl_scrub *s = &node->scrub;
    unsigned count = share(s, s->next);
    s->vote = (struct hl_scrub_vote){.first = s->next};
    digest_held(node, s->next, count, s->vote.own);
    append(node, CHECK, s->next, count, s->vote.own);
    s->vote.index = node->last;
    s->vote.until_us = now_us(node) + HL_SCRUB_ANSWER_US;
    s->compared += count;
    s->ordered -= s->ordered < count ? s->ordered : count;
    s->next += count;
    s->due_us = now_us(node) + (s->ordered != 0 ? 0 : node->config.cluster.scrub_us);
    if (s->next == s->window + s->width) {
        s->next %= HL_SLOTS;
        s->widest = HL_SLOTS;
        hl_scrub_reset(node); /* the vote goes on */
    }
}

/* Open a window at the next slot, here and with all who apply the entry. */
static void open_window(struct hl_node *node)
{
    struct hl_scrub *s = &node->scrub;
    size_t keys = 0;
    for (int i = 0; i < node->ks.db_count; i++) {
        keys += hl_db_count(hl_ks_db(&node->ks, i));
    }
    unsigned width = s->ordered != 0 && keys <= HL_SCRUB_FEW_KEYS ? HL_SLOTS : HL_SCRUB_WINDOW;
    width = width < s->widest ? width : s->widest;
    width = width < HL_SLOTS - s->next ? width : HL_SLOTS - s->next;
    gather(node, s->next, width);
    append(node, GATHER, s->next, width, NULL);
    s->vote = (struct hl_scrub_vote){.index = node->last, .gathers = true};
    s->vote.until_us = UINT64_MAX; /* known when this node is ready itself */
}

/* After a slice: ready, or the window was too wide. */
static void gathered(struct hl_node *node, uint64_t now)
{
    struct hl_scrub *s = &node->scrub;
    if (s->phase == HL_SCRUB_HOLDS) { /* the others may be slower */
        s->due_us = now + (s->ordered != 0 ? 0 : node->config.cluster.scrub_us);
        s->vote.until_us = now + (now - s->begun_us) + HL_SCRUB_ANSWER_US;
    } else if (s->phase == HL_SCRUB_IDLE) {
        s->vote.index = 0;
        if (s->widest == 1) {
            s->next = (s->next + 1) % HL_SLOTS; /* even one slot has too many names */
            s->passed_over++;
        }
    }
}

static void lead_on(struct hl_node *node)
{
    struct hl_scrub *s = &node->scrub;
    uint64_t now = now_us(node);
    if (s->phase == HL_SCRUB_GATHERS) {
        go_on_gathering(node);
        gathered(node, now);
        return;
    }
    if (s->vote.index != 0) {
        if (now >= s->vote.until_us) {
            judge(node);
        }
        return;
    }
    if (s->differs_at != 0) { /* it is this server that differs from most */
        hl_err ignored = hl_replica_hand_over(node, 0);
        HL_MAYBE(ignored != HL_OK);
        return;
    }
    switch (s->phase) {
    case HL_SCRUB_IDLE:
        open_window(node);
        return;
    case HL_SCRUB_GATHERS:
        return;
    case HL_SCRUB_HOLDS:
        if (now >= s->due_us) {
            compare_next(node);
        }
        return;
    }
}

void hl_scrub_cron(struct hl_node *node)
{
    struct hl_scrub *s = &node->scrub;
    bool wanted = node->config.cluster.scrub_us != 0 || s->ordered != 0 || s->vote.index != 0 ||
                  s->differs_at != 0;
    if (!node->cluster.live || node->loading || node->wal == NULL) {
        return;
    }
    if (s->differs) {
        ask_for_snapshot(node);
    }
    if (!node->cluster.leads) {
        s->leads = false;
        s->ordered = 0;
        s->vote.index = 0;
        if (s->differs_at != 0 && !s->differs && !node->cluster.handing) {
            condemn(node, s->differs_at, s->want);
        } else if (s->phase == HL_SCRUB_GATHERS) {
            go_on_gathering(node);
        }
        return;
    }
    if (!s->leads) { /* what it held as a follower was another's window */
        s->leads = true;
        s->widest = HL_SLOTS;
        hl_scrub_reset(node);
    }
    if (wanted && node->cluster.prove && hl_level_now(node) >= HL_LEVEL_SCRUB &&
        node->log_state == HL_LOG_GOOD) {
        lead_on(node);
    }
}

/* --- telling -----------------------------------------------------------------------------------
 */

static const char *state_name(const struct hl_scrub *s)
{
    return s->differs           ? "quarantined"
           : s->differs_at != 0 ? "mending"
           : s->ordered != 0    ? "ordered"
                                : "idle";
}

void hl_scrub_info(const struct hl_node *node, struct hl_buf *out)
{
    const struct hl_scrub *s = &node->scrub;
    hl_buf_printf(out,
                  "raft_scrub_state:%s\r\nraft_scrub_slots_compared:%llu\r\n"
                  "raft_scrub_slots_passed_over:%llu\r\nraft_scrub_slots_left:%u\r\n"
                  "raft_scrub_differences:%llu\r\nraft_scrub_mended:%llu\r\n",
                  state_name(s), (unsigned long long)s->compared,
                  (unsigned long long)s->passed_over, s->ordered,
                  (unsigned long long)s->differences, (unsigned long long)s->mended);
}

static void cmd_scrub(struct hl_call *call)
{
    struct hl_node *node = call->node;
    struct hl_errmsg msg = {{0}};
    if (hl_admin_may_change(node, &msg) != HL_OK) {
        hl_reply_error(call, msg.text);
        return;
    }
    if (!node->cluster.prove) {
        hl_reply_error(call, "ERR there is no other voter to compare with");
        return;
    }
    if (hl_level_now(node) < HL_LEVEL_SCRUB) {
        hl_reply_errorf(call,
                        "ERR the cluster's feature level is %u, and comparing needs %d: see "
                        "RAFT.FINALIZE",
                        (unsigned)hl_level_now(node), HL_LEVEL_SCRUB);
        return;
    }
    node->scrub.ordered = HL_SLOTS;
    hl_write_ok(call->out);
}

const struct hl_command_row hl_commands_scrub[] = {
    {.name = "raft.scrub",
     .run = cmd_scrub,
     .arity = 1,
     .flags = HL_CMD_ADMIN | HL_CMD_NOSCRIPT | HL_CMD_NO_MULTI | HL_CMD_LOGGED,
     .group = "cluster",
     .since = "0.1.0",
     .complexity = "O(N) where N is the number of keys, in the background",
     .summary = "Compare what all nodes hold, all of it now: INFO raft tells how far it is.",
     .args = NULL},
};
const size_t hl_commands_scrub_count = HL_ARRAY_LEN(hl_commands_scrub);
