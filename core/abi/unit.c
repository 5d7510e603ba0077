/* Frames of module code: statements, coverage, closure. */
#include "abi/unit.h"

#include "keyspace/dump.h"
#include "kit/num.h"

/* A key and its database, in a list of the frame. */
struct named {
    int db;
    char *key;
    size_t len;
};

struct hl_frame {
    struct named *changed;
    size_t count, cap;
    bool repeated; /* module code itself was stated: it will run again wherever this is applied */
};

static struct hl_frame *frame_of(struct hl_abi *abi)
{
    if (abi->frame == NULL) {
        abi->frame = hl_calloc(1, sizeof *abi->frame);
    }
    return abi->frame;
}

static struct hl_slice key_of(const struct named *name)
{
    return (struct hl_slice){.ptr = name->key, .len = name->len};
}

static void clear(struct hl_frame *frame)
{
    for (size_t i = 0; i < frame->count; i++) {
        hl_free(frame->changed[i].key);
    }
    frame->count = 0;
    frame->repeated = false;
}

void hl_frame_free(struct hl_abi *abi)
{
    if (abi->frame != NULL) {
        clear(abi->frame);
        hl_free(abi->frame->changed);
        hl_free(abi->frame);
        abi->frame = NULL;
    }
}

bool hl_frame_may_write(const struct hl_abi *abi)
{
    switch (abi->ks->expiry) {
    case HL_EXPIRY_DELETE:
        return true;
    case HL_EXPIRY_OFF: /* a callback's writes are in the log already, beside what caused them */
        return abi->notify_depth == 0 && abi->node->applying;
    case HL_EXPIRY_HIDE:
        return false;
    }
    return false;
}

/* Effects are made by leaders, not while the log is applied. */
static bool records(const struct hl_abi *abi)
{
    return abi->ks->expiry == HL_EXPIRY_DELETE;
}

void hl_frame_changed(struct hl_abi *abi, int db, struct hl_slice key)
{
    struct hl_frame *frame = frame_of(abi);
    if (!records(abi)) {
        return;
    }
    for (size_t i = frame->count; i > 0; i--) { /* the key changed last changes most likely again */
        if (frame->changed[i - 1].db == db && hl_slice_equal(key_of(&frame->changed[i - 1]), key)) {
            return;
        }
    }
    if (frame->count == frame->cap) {
        frame->cap = frame->cap == 0 ? 16 : frame->cap * 2;
        frame->changed = hl_realloc(frame->changed, frame->cap * sizeof *frame->changed);
    }
    frame->changed[frame->count++] = (struct named){
        .db = db, .key = hl_strndup(key.len == 0 ? "" : key.ptr, key.len), .len = key.len};
}

/* A statement covers the key: forget it. */
static void cover(struct hl_frame *frame, int db, struct hl_slice key)
{
    for (size_t i = 0; i < frame->count; i++) {
        if (frame->changed[i].db == db && hl_slice_equal(key_of(&frame->changed[i]), key)) {
            hl_free(frame->changed[i].key);
            frame->changed[i] = frame->changed[--frame->count];
            return;
        }
    }
}

void hl_frame_state(struct hl_abi *abi, int db, int argc, const struct hl_slice *argv)
{
    struct hl_frame *frame = frame_of(abi);
    hl_unit_effect(abi->node, db, argc, argv);
    struct hl_command *cmd = hl_command_of(abi->table, argv, argc);
    if (cmd == NULL || !records(abi) || abi->node->unit.muted) {
        return;
    }
    if ((cmd->flags & HL_CMD_MODULE) != 0) {
        frame->repeated = true;
        return;
    }
    struct hl_key_ref *refs = hl_calloc((size_t)argc, sizeof *refs);
    int count = hl_command_keys(cmd, argv, argc, refs);
    for (int i = 0; i < count; i++) {
        cover(frame, db, argv[refs[i].index]);
    }
    hl_free(refs);
}

void hl_frame_muted(void *ctx, int db, int argc, const struct hl_slice *argv)
{
    struct hl_abi *abi = ctx;
    struct hl_command *cmd = hl_command_of(abi->table, argv, argc);
    HL_ASSERT(cmd != NULL); /* handlers record effects of commands that exist */
    struct hl_key_ref *refs = hl_calloc((size_t)argc, sizeof *refs);
    int count = hl_command_keys(cmd, argv, argc, refs);
    for (int i = 0; i < count; i++) {
        hl_frame_changed(abi, db, argv[refs[i].index]);
    }
    hl_free(refs);
    if (count <= 0) { /* FLUSHALL and its kin: no value could stand for it */
        bool muted = abi->node->unit.muted;
        abi->node->unit.muted = false;
        hl_unit_effect(abi->node, db, argc, argv);
        abi->node->unit.muted = muted;
    }
}

/* Record the value of one key as it is now: RESTORE, or DEL. */
static void record_value(struct hl_abi *abi, const struct named *name)
{
    struct hl_slice key = key_of(name);
    struct hl_db *db = hl_ks_db(abi->ks, name->db);
    struct hl_entry *entry =
        hl_db_find(db, key, HL_FIND_NOTOUCH | HL_FIND_NOSTATS | HL_FIND_EXPIRED);
    if (entry == NULL) {
        struct hl_slice del[2] = {hl_slice_of("DEL"), key};
        hl_unit_effect(abi->node, name->db, 2, del);
        return;
    }
    struct hl_buf payload = {0};
    char ttl[HL_I64_TEXT_MAX];
    int64_t expire = hl_entry_expire(entry);
    int ttl_len = hl_format_i64(ttl, expire == HL_NO_EXPIRE ? 0 : expire);
    if (hl_dump_payload(entry, name->db, &abi->node->modules, &payload) != HL_OK) {
        /* A type without rdb_save cannot be stored at all: its module said so by leaving it out. */
        hl_buf_fini(&payload);
        return;
    }
    struct hl_slice restore[6] = {
        hl_slice_of("RESTORE"),
        key,
        {.ptr = ttl, .len = (size_t)ttl_len},
        hl_buf_view(&payload),
        hl_slice_of("REPLACE"),
        hl_slice_of("ABSTTL"),
    };
    hl_unit_effect(abi->node, name->db, 6, restore);
    hl_buf_fini(&payload);
}

_Thread_local unsigned hl_frames_here;

void hl_frame_begin(RedisModuleCtx *ctx)
{
    struct hl_abi *abi = ctx->abi;
    hl_frames_here++;
    hl_abi_enter(abi);
    if (!abi->node->unit.open) {
        hl_unit_begin(abi->node);
        ctx->flags |= HL_CTX_UNIT;
    }
    abi->frame_depth++;
}

uint64_t hl_frame_end(RedisModuleCtx *ctx)
{
    struct hl_abi *abi = ctx->abi;
    HL_ASSERT(abi->frame_depth > 0);
    HL_ASSERT(hl_frames_here > 0);
    abi->frame_depth--;
    hl_frames_here--;
    if (abi->frame_depth == 0 && abi->frame != NULL) {
        struct hl_frame *frame = abi->frame;
        for (size_t i = 0; i < frame->count && !frame->repeated && records(abi); i++) {
            record_value(abi, &frame->changed[i]);
        }
        clear(frame);
    }
    if ((ctx->flags & HL_CTX_UNIT) == 0) {
        /* Inside somebody's unit (CLIENT UNBLOCK ends another's wait): what is said to others waits
         * for all that was executed, and for the entry that the unit has begun. */
        const struct hl_unit *unit = &abi->node->unit;
        return unit->open && unit->body != NULL ? abi->node->last + 1 : abi->node->last;
    }
    ctx->flags &= ~HL_CTX_UNIT;
    /* What a module saw is not known key by key: its output waits for all that was executed. */
    if (abi->ks->gate_seen < abi->node->last) {
        abi->ks->gate_seen = abi->node->last;
    }
    return hl_unit_end(abi->node);
}
