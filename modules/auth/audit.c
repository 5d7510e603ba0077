/* The audit trail; T1 to T4 are in audit.h. */
#include "audit.h"

#include "commands.h"
#include "settings.h"
#include "store.h"

#include "kit/alloc.h"
#include "kit/base64.h"

#include <stdio.h>

#define COUNT_DEFAULT 100
#define COUNT_MAX 1000
#define DROPS_PER_ENTRY 16 /* when the bound was lowered */

static uint32_t omitted;        /* failures that were not noted since the last entry */
static int64_t failures_second; /* in which the failures below were noted */
static int failures_count;

/* Whether a failure may be noted at `now_ms` (T3). */
static bool may_note_failure(int64_t now_ms)
{
    if (now_ms / 1000 != failures_second) {
        failures_second = now_ms / 1000;
        failures_count = 0;
    }
    if (failures_count == AUDIT_FAILURES_PER_S) {
        omitted += omitted < UINT32_MAX;
        return false;
    }
    failures_count++;
    return true;
}

/* Copy as much of `text` as may be stored. */
static void take(char *out, size_t max, const char *text)
{
    size_t len = 0;
    for (; text != NULL && *text != '\0' && len < max; text++) {
        if (*text >= ' ' && *text <= '~') {
            out[len++] = *text;
        }
    }
    out[len] = '\0';
}

/* The ACL user of the context's client. */
static void take_current_user(RedisModuleCtx *ctx, char out[RECORD_TEXT_MAX + 1])
{
    RedisModuleString *name = current_user(ctx);
    take(out, RECORD_TEXT_MAX, name == NULL ? NULL : RedisModule_StringPtrLen(name, NULL));
    if (name != NULL) {
        RedisModule_FreeString(ctx, name);
    }
}

/* T2: the chain of an entry behind one whose chain is `before`. */
static void chain_of(unsigned char out[SEAL_DIGEST_LEN], const struct audit_record *entry,
                     const unsigned char before[SEAL_DIGEST_LEN])
{
    struct audit_record plain = *entry;
    struct hl_buf bytes = {0};
    memset(plain.chain, 0, sizeof plain.chain);
    hl_buf_append(&bytes, before, SEAL_DIGEST_LEN);
    audit_encode(&bytes, &plain);
    seal_digest(out, hl_buf_view(&bytes));
    hl_buf_fini(&bytes);
}

/* Read the trail; an empty one when there is none. */
static hl_err read_trail(RedisModuleCtx *ctx, struct trail_record *trail)
{
    *trail = (struct trail_record){.next = 1, .first = 1};
    hl_err err = store_get_trail(ctx, trail);
    return err == HL_ENOENT ? HL_OK : err;
}

static hl_err append(RedisModuleCtx *ctx, struct trail_record *trail, struct audit_record *entry)
{
    entry->index = trail->next++;
    chain_of(entry->chain, entry, trail->chain);
    memcpy(trail->chain, entry->chain, sizeof trail->chain);
    hl_err err = store_put_audit(ctx, entry);
    uint64_t max = (uint64_t)settings()->audit_max;
    for (int i = 0; i < DROPS_PER_ENTRY && trail->next - trail->first > max; i++) {
        store_drop_audit(ctx, trail->first++);
    }
    return err == HL_OK ? store_put_trail(ctx, trail) : err;
}

void audit_note(RedisModuleCtx *ctx, const struct audit_event *event)
{
    struct trail_record trail;
    struct audit_record entry = {.at_ms = RedisModule_Milliseconds()};
    bool failed = strcmp(event->result, "ok") != 0;
    if (settings()->audit_max == 0 || (failed && !may_note_failure(entry.at_ms))) {
        return;
    }
    take(entry.action, RECORD_WORD_MAX, event->action);
    take(entry.actor, RECORD_TEXT_MAX, event->actor);
    take(entry.target, RECORD_TEXT_MAX, event->target);
    take(entry.result, RECORD_WORD_MAX, event->result);
    take(entry.address, RECORD_ADDRESS_MAX, event->address);
    if (event->actor == NULL) {
        take_current_user(ctx, entry.actor);
    }
    if (event->address == NULL) {
        client_address(ctx, entry.address);
    }
    entry.omitted = omitted;
    if (read_trail(ctx, &trail) != HL_OK || append(ctx, &trail, &entry) != HL_OK) {
        RedisModule_Log(ctx, "warning", "the audit trail in auth:audit is damaged");
        return;
    }
    omitted = 0;
}

/* ---- Reading ----------------------------------------------------------------------------------
 */

/* What AUTH.AUDIT was asked for. */
struct question {
    long long after, count;
    struct hl_slice user, action; /* empty: any */
};

static const char *parse_question(struct question *q, RedisModuleString **argv, int argc)
{
    *q = (struct question){.count = COUNT_DEFAULT};
    for (int i = 1; i < argc; i += 2) {
        struct hl_slice word = arg_slice(argv[i]);
        if (i + 1 == argc) {
            return "ERR syntax error";
        }
        if (hl_slice_is(word, "USER")) {
            q->user = arg_slice(argv[i + 1]);
        } else if (hl_slice_is(word, "ACTION")) {
            q->action = arg_slice(argv[i + 1]);
        } else if (hl_slice_is(word, "AFTER")) {
            if (RedisModule_StringToLongLong(argv[i + 1], &q->after) != REDISMODULE_OK ||
                q->after < 0) {
                return "ERR AFTER must be an index";
            }
        } else if (hl_slice_is(word, "COUNT")) {
            if (RedisModule_StringToLongLong(argv[i + 1], &q->count) != REDISMODULE_OK ||
                q->count < 1 || q->count > COUNT_MAX) {
                return "ERR COUNT must be 1 to 1000";
            }
        } else {
            return "ERR syntax error";
        }
    }
    return NULL;
}

static bool fits(const struct question *q, const struct audit_record *entry)
{
    bool of_user = q->user.len == 0 || hl_slice_equal(q->user, hl_slice_of(entry->actor)) ||
                   hl_slice_equal(q->user, hl_slice_of(entry->target));
    return of_user && (q->action.len == 0 || hl_slice_equal(q->action, hl_slice_of(entry->action)));
}

static void reply_entry(RedisModuleCtx *ctx, const struct audit_record *entry)
{
    char chain[2 * SEAL_DIGEST_LEN + 1];
    hl_hex_format(chain, entry->chain, sizeof entry->chain);
    RedisModule_ReplyWithMap(ctx, 9);
    reply_number(ctx, "index", (long long)entry->index);
    reply_number(ctx, "at_ms", entry->at_ms);
    reply_text(ctx, "actor", entry->actor);
    reply_text(ctx, "action", entry->action);
    reply_text(ctx, "target", entry->target);
    reply_text(ctx, "result", entry->result);
    reply_text(ctx, "address", entry->address);
    reply_number(ctx, "omitted", entry->omitted);
    reply_text(ctx, "chain", chain);
}

/* Follow the chain from the oldest entry to the newest. */
static int verify(RedisModuleCtx *ctx)
{
    struct trail_record trail;
    struct audit_record entry;
    unsigned char chain[SEAL_DIGEST_LEN];
    char text[96];
    if (read_trail(ctx, &trail) != HL_OK) {
        return reply_error(ctx, "AUDITBROKEN", "the trail in auth:audit is damaged");
    }
    for (uint64_t i = trail.first; i < trail.next; i++) {
        bool good = store_get_audit(ctx, i, &entry) == HL_OK;
        if (good && i != trail.first) { /* the oldest vouches for what is behind it */
            unsigned char wanted[SEAL_DIGEST_LEN];
            chain_of(wanted, &entry, chain);
            good = memcmp(wanted, entry.chain, sizeof wanted) == 0;
        }
        if (good && i + 1 == trail.next) {
            good = memcmp(trail.chain, entry.chain, sizeof entry.chain) == 0;
        }
        if (!good) {
            snprintf(text, sizeof text, "entry %llu is missing or was changed",
                     (unsigned long long)i);
            return reply_error(ctx, "AUDITBROKEN", text);
        }
        memcpy(chain, entry.chain, sizeof chain);
    }
    return RedisModule_ReplyWithLongLong(ctx, (long long)(trail.next - trail.first));
}

int cmd_audit(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct question q;
    struct trail_record trail;
    if (argc == 2 && hl_slice_is(arg_slice(argv[1]), "VERIFY")) {
        return verify(ctx);
    }
    const char *error = parse_question(&q, argv, argc);
    if (error == NULL && read_trail(ctx, &trail) != HL_OK) {
        error = "ERR the trail in auth:audit is damaged";
    }
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    struct audit_record *found = hl_calloc((size_t)q.count, sizeof *found);
    size_t count = 0;
    uint64_t at = (uint64_t)q.after < trail.first ? trail.first : (uint64_t)q.after + 1;
    for (; at < trail.next && count < (size_t)q.count; at++) {
        count += store_get_audit(ctx, at, &found[count]) == HL_OK && fits(&q, &found[count]);
    }
    RedisModule_ReplyWithArray(ctx, (long)count);
    for (size_t i = 0; i < count; i++) {
        reply_entry(ctx, &found[i]);
    }
    hl_free(found);
    return REDISMODULE_OK;
}
