#include "node/keywait.h"

#include "base/siphash.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"

/* A name that somebody waits for. */
struct awaited {
    uint32_t hash;
    int db;
    struct hl_list_node waits; /* of struct wait_key, oldest first (K1) */
    struct hl_list_node ready; /* in hl_key_waits.ready, when it changed */
    size_t len;
    char name[];
};

/* One of the names that a session waits for. */
struct wait_key {
    struct hl_list_node node; /* in awaited.waits */
    struct awaited *awaited;
    struct key_wait *wait;
};

/* A session that waits. */
struct key_wait {
    struct hl_session *session;
    struct hl_command *cmd;
    const struct hl_key_wait_how *how;
    int argc, key_count;
    struct hl_slice *argv; /* owned, in one block */
    struct wait_key keys[];
};

struct name {
    int db;
    struct hl_slice text;
};

static bool has_name(const void *entry, const void *key)
{
    const struct awaited *a = entry;
    const struct name *name = key;
    return a->db == name->db && hl_slice_equal((struct hl_slice){a->name, a->len}, name->text);
}

static uint64_t hash_of(const struct hl_node *node, int db, struct hl_slice text)
{
    return hl_hash(node->ks.seed, text.ptr, text.len) + (uint64_t)db;
}

static struct awaited *find(struct hl_node *node, int db, struct hl_slice text)
{
    struct name name = {db, text};
    void **slot = hl_table_find(&node->key_waits.keys, hash_of(node, db, text), has_name, &name);
    return slot != NULL ? *slot : NULL;
}

static struct awaited *find_or_add(struct hl_node *node, int db, struct hl_slice text)
{
    struct awaited *a = find(node, db, text);
    if (a != NULL) {
        return a;
    }
    uint64_t hash = hash_of(node, db, text);
    a = hl_malloc(sizeof *a + text.len);
    *a = (struct awaited){.hash = (uint32_t)hash, .db = db, .len = text.len};
    memcpy(a->name, text.ptr != NULL ? text.ptr : "", text.len);
    hl_list_init(&a->waits);
    hl_table_insert(&node->key_waits.keys, hash, a);
    return a;
}

/* Nobody waits for it any more. */
static void end_awaited(struct hl_node *node, struct awaited *a)
{
    struct name name = {a->db, {a->name, a->len}};
    uint64_t hash = hash_of(node, a->db, name.text);
    void **slot = hl_table_find(&node->key_waits.keys, hash, has_name, &name);
    HL_ASSERT(slot != NULL);
    hl_table_remove(&node->key_waits.keys, slot);
    hl_list_remove(&a->ready);
    hl_free(a);
}

void hl_key_waits_init(struct hl_key_waits *waits)
{
    hl_table_init(&waits->keys);
    hl_list_init(&waits->ready);
}

void hl_key_waits_fini(struct hl_key_waits *waits)
{
    HL_ASSERT(waits->keys.count == 0);
    hl_table_fini(&waits->keys, NULL, NULL);
}

/* --- one wait --------------------------------------------------------------------------------- */

/* End the wait, but not the session's being blocked. */
static void end(struct hl_node *node, struct key_wait *wait)
{
    for (int i = 0; i < wait->key_count; i++) {
        struct awaited *a = wait->keys[i].awaited;
        hl_list_remove(&wait->keys[i].node);
        if (hl_list_empty(&a->waits)) { /* of a name given twice the last one goes last */
            end_awaited(node, a);
        }
    }
    hl_free(wait->argv);
    hl_free(wait);
}

/* hl_blocked.end: by time, by CLIENT UNBLOCK, by a lost leadership, or with the client. */
static void on_end(struct hl_node *node, struct hl_session *session, int reason)
{
    struct key_wait *wait = session->blocked.owner;
    const struct hl_key_wait_how *how = wait->how;
    HL_ASSERT(wait->session == session);
    end(node, wait);
    if (reason == HL_UNBLOCK_CLOSED) {
        return;
    }
    if (reason == HL_UNBLOCK_ERROR) {
        hl_write_error(&session->writer, HL_UNBLOCKED);
    } else {
        how->lapse(&session->writer);
    }
    hl_session_answered(node, session, node->last);
}

bool hl_key_wait_may(const struct hl_call *call)
{
    const uint32_t never = HL_CALL_MULTI | HL_CALL_NESTED | HL_CALL_DENY_BLOCK | HL_CALL_REPLICATED;
    return (call->flags & never) == 0 && call->out == &call->session->writer;
}

void hl_key_wait(struct hl_call *call, int first, int count, int64_t timeout_ms,
                 const struct hl_key_wait_how *how)
{
    struct hl_node *node = call->node;
    struct hl_session *session = call->session;
    struct key_wait *wait = hl_calloc(1, sizeof *wait + (size_t)count * sizeof wait->keys[0]);
    *wait = (struct key_wait){.session = session,
                              .cmd = call->cmd,
                              .how = how,
                              .argc = call->argc,
                              .key_count = count,
                              .argv = hl_slices_dup(call->argv, (size_t)call->argc)};
    for (int i = 0; i < count; i++) {
        struct wait_key *key = &wait->keys[i];
        key->wait = wait;
        key->awaited = find_or_add(node, session->db, wait->argv[first + i]);
        hl_list_append(&key->awaited->waits, &key->node);
    }
    int64_t deadline_ms = 0;
    if (timeout_ms != 0 && __builtin_add_overflow(node->now_ms, timeout_ms, &deadline_ms)) {
        deadline_ms = 0; /* beyond all time */
    }
    struct hl_blocked blocked = {
        .owner = wait, .deadline_ms = deadline_ms, .unblockable = true, .end = on_end};
    hl_session_block(node, session, &blocked);
}

/* --- serving ---------------------------------------------------------------------------------- */

void hl_key_wait_ready(struct hl_node *node, int db, struct hl_slice key)
{
    if (node->key_waits.keys.count == 0) {
        return;
    }
    struct awaited *a = find(node, db, key);
    if (a != NULL && !hl_list_linked(&a->ready)) {
        hl_list_append(&node->key_waits.ready, &a->ready);
    }
}

void hl_key_wait_swapped(struct hl_node *node, int db)
{
    uint64_t position[3] = {0};
    struct awaited *a;
    while ((a = hl_table_walk(&node->key_waits.keys, position)) != NULL) {
        if (a->db == db && !hl_list_linked(&a->ready)) {
            hl_list_append(&node->key_waits.ready, &a->ready);
        }
    }
}

/* Serve one of those who wait for a key; true when it was served, and its wait is over. */
static bool serve(struct hl_node *node, struct key_wait *wait, struct hl_slice key)
{
    struct hl_session *session = wait->session;
    size_t before = session->out.len;
    struct hl_call call;
    hl_unit_begin(node);
    hl_call_init(&call, node, session, wait->cmd, wait->argc, wait->argv);
    bool served = wait->how->serve(&call, key);
    HL_ASSERT(call.changes == 0 || call.effects_own);
    uint64_t gate = hl_unit_end(node);
    if (!served) {
        HL_ASSERT(session->out.len == before);
        return false;
    }
    end(node, wait);
    hl_session_answered(node, session, gate);
    return true;
}

/* Serve those who wait for a key, the oldest first, until it has nothing more for them. */
static void serve_all(struct hl_node *node, struct awaited *a)
{
    struct hl_buf name = {0}; /* the last one served takes `a` with it */
    int db = a->db;
    hl_buf_append(&name, a->name, a->len);
    struct hl_list_node *at = a->waits.next;
    while (a != NULL && at != &a->waits) {
        struct wait_key *key = HL_LIST_ENTRY(at, struct wait_key, node);
        if (hl_db_find(hl_ks_db(&node->ks, db), hl_buf_view(&name),
                       HL_FIND_NOTOUCH | HL_FIND_NOSTATS) == NULL) {
            break;
        }
        at = at->next;
        if (serve(node, key->wait, hl_buf_view(&name))) {
            a = find(node, db, hl_buf_view(&name));
            at = a != NULL ? a->waits.next : NULL; /* one wait may have the name twice */
        }
    }
    hl_buf_fini(&name);
}

void hl_key_wait_serve(struct hl_node *node)
{
    struct hl_key_waits *waits = &node->key_waits;
    if (waits->serving) {
        return;
    }
    waits->serving = true;
    while (!hl_list_empty(&waits->ready)) {
        struct awaited *a = HL_LIST_ENTRY(waits->ready.next, struct awaited, ready);
        hl_list_remove(&a->ready);
        serve_all(node, a);
    }
    waits->serving = false;
}
