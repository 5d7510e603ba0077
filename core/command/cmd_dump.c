/* DUMP and RESTORE: values as bytes that also travel to and from Redis. */
#include "command/args.h"
#include "keyspace/dump.h"
#include "kit/assert.h"
#include "kit/num.h"

static void cmd_dump(struct hl_call *call)
{
    struct hl_entry *entry = hl_db_find(call->db, call->argv[1], 0);
    if (entry == NULL) {
        hl_write_null(call->out);
        return;
    }
    struct hl_buf payload = {0};
    hl_err err = hl_dump_payload(entry, hl_db_index(call->db), call->services->modules, &payload);
    if (err == HL_OK) {
        hl_write_bulk(call->out, hl_buf_view(&payload));
    } else {
        hl_reply_error(call, "ERR the value cannot be serialized");
    }
    hl_buf_fini(&payload);
}

struct restore_options {
    int64_t ttl, idle, freq;
    bool replace, absolute;
};

static bool restore_number(struct hl_call *call, int i, int64_t min, int64_t max, const char *error,
                           int64_t *out)
{
    if (!hl_arg_i64(call, i, out)) {
        return false;
    }
    if (*out < min || *out > max) {
        hl_reply_error(call, error);
        return false;
    }
    return true;
}

static bool restore_options(struct hl_call *call, struct restore_options *out)
{
    *out = (struct restore_options){.idle = -1, .freq = -1};
    for (int i = 4; i < call->argc; i++) {
        bool more = i + 1 < call->argc;
        if (hl_arg_is(call, i, "replace")) {
            out->replace = true;
        } else if (hl_arg_is(call, i, "absttl")) {
            out->absolute = true;
        } else if (hl_arg_is(call, i, "idletime") && more && out->freq == -1) {
            if (!restore_number(call, ++i, 0, INT64_MAX, "ERR Invalid IDLETIME value, must be >= 0",
                                &out->idle)) {
                return false;
            }
        } else if (hl_arg_is(call, i, "freq") && more && out->idle == -1) {
            if (!restore_number(call, ++i, 0, 255,
                                "ERR Invalid FREQ value, must be >= 0 and <= 255", &out->freq)) {
                return false;
            }
        } else {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* Give the restored key its deadline and access data, and log it with an absolute time. */
static void restored(struct hl_call *call, struct hl_entry *entry, int64_t when_ms,
                     const struct restore_options *options)
{
    struct hl_slice key = call->argv[1];
    if (when_ms != 0) {
        entry = hl_db_set_expire(call->db, entry, when_ms);
    }
    if (options->idle >= 0) {
        hl_entry_set_idle(call->ks, entry,
                          options->idle > UINT32_MAX ? UINT32_MAX : (uint32_t)options->idle);
    }
    if (options->freq >= 0) {
        hl_entry_set_freq(call->ks, entry, (uint32_t)options->freq);
    }
    hl_call_modified(call, HL_NOTIFY_GENERIC, "restore", key);
    char when[HL_I64_TEXT_MAX];
    int len = hl_format_i64(when, when_ms);
    struct hl_slice effect[6] = {hl_slice_of("RESTORE"),
                                 key,
                                 {.ptr = when, .len = (size_t)len},
                                 call->argv[3],
                                 hl_slice_of("REPLACE"),
                                 hl_slice_of("ABSTTL")};
    hl_call_effect(call, 6, effect);
    call->services->ready(call->services->ctx, hl_db_index(call->db), key);
}

static void cmd_restore(struct hl_call *call)
{
    struct restore_options options;
    struct hl_slice key = call->argv[1];
    if (!restore_options(call, &options)) {
        return;
    }
    bool taken = hl_db_find(call->db, key, HL_FIND_WRITE) != NULL;
    if (taken && !options.replace) {
        hl_reply_error(call, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!hl_arg_i64(call, 2, &options.ttl)) {
        return;
    }
    if (options.ttl < 0) {
        hl_reply_error(call, "ERR Invalid TTL value, must be >= 0");
        return;
    }
    struct hl_slice value;
    if (hl_dump_payload_open(call->argv[3], &value) != HL_OK) {
        hl_reply_error(call, "ERR DUMP payload version or checksum are wrong");
        return;
    }
    int64_t when_ms = options.ttl;
    if (options.ttl != 0 && !options.absolute &&
        __builtin_add_overflow(call->now_ms, options.ttl, &when_ms)) {
        when_ms = INT64_MAX;
    }
    size_t used = 0;
    struct hl_entry *entry = NULL;
    hl_err err = hl_dump_load(call->db, key, value, call->services->modules, &used, &entry, NULL);
    if (err != HL_OK) {
        hl_reply_error(call, "ERR Bad data format");
        return;
    }
    if (when_ms != 0 && when_ms <= call->now_ms && (call->flags & HL_CALL_REPLICATED) == 0) {
        (void)hl_db_delete(call->db, key);
        if (taken) {
            hl_call_modified(call, HL_NOTIFY_GENERIC, "del", key);
            struct hl_slice effect[2] = {hl_slice_of("DEL"), key};
            hl_call_effect(call, 2, effect);
        }
        hl_write_ok(call->out);
        return;
    }
    restored(call, entry, when_ms, &options);
    hl_write_ok(call->out);
}

const struct hl_command_row hl_commands_dump[] = {
    {.name = "dump",
     .run = cmd_dump,
     .arity = 2,
     .flags = HL_CMD_READONLY,
     .acl = HL_ACL_KEYSPACE,
     .keys = {{.flags = HL_KEY_RO | HL_KEY_ACCESS, .first = 1, .step = 1}},
     .group = "generic",
     .since = "2.6.0",
     .complexity = "O(N) where N is the size of the value",
     .summary = "Answer a key's value as bytes that RESTORE takes.",
     .args = "key",
     .tips = "nondeterministic_output"},
    {.name = "restore",
     .run = cmd_restore,
     .arity = -4,
     .flags = HL_CMD_WRITE | HL_CMD_DENYOOM,
     .acl = HL_ACL_KEYSPACE | HL_ACL_DANGEROUS,
     .keys = {{.flags = HL_KEY_OW | HL_KEY_UPDATE, .first = 1, .step = 1}},
     .group = "generic",
     .since = "2.6.0",
     .complexity = "O(N) where N is the size of the value",
     .summary = "Make a key from the bytes of DUMP.",
     .args = "key ttl:integer serialized-value:string [REPLACE] [ABSTTL] "
             "[IDLETIME seconds:integer] [FREQ frequency:integer]"},
};
const size_t hl_commands_dump_count = HL_ARRAY_LEN(hl_commands_dump);
