/* DEBUG: tools for tests; off unless enable-debug-command allows it. */
#include "command/args.h"
#include "keyspace/dump.h"
#include "kit/num.h"
#include "server/config.h"
#include "server/server.h"

#include <stdio.h>
#include <time.h>

static struct hl_server *server_of(struct hl_call *call)
{
    return call->node->world->ctx;
}

static bool debug_allowed(struct hl_call *call)
{
    int64_t allow = hl_config_int(server_of(call)->config, HL_CFG_ENABLE_DEBUG_COMMAND);
    if (allow == HL_ALLOW_YES ||
        (allow == HL_ALLOW_LOCAL && hl_server_session_is_local(call->session))) {
        return true;
    }
    hl_reply_error(call, "ERR DEBUG command not allowed. If the enable-debug-command option is set "
                         "to \"local\", you can run it from a local connection, otherwise you need "
                         "to set this option in the configuration file, and then restart the "
                         "server.");
    return false;
}

static void debug_sleep(struct hl_call *call)
{
    double seconds = 0;
    if (!hl_arg_double(call, 2, &seconds)) {
        return;
    }
    seconds = !(seconds > 0) ? 0 : seconds > 60 ? 60 : seconds; /* NaN is none either */
    struct timespec wait = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    (void)nanosleep(&wait, NULL);
    hl_write_ok(call->out);
}

static void write_digest(struct hl_call *call, const unsigned char digest[20])
{
    char text[41];
    for (size_t i = 0; i < 20; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    hl_write_simple(call->out, text);
}

static void debug_digest(struct hl_call *call)
{
    unsigned char digest[20];
    hl_ks_digest(call->ks, call->services->modules, digest);
    write_digest(call, digest);
}

/* Zeros for a key that is not there. */
static void debug_digest_value(struct hl_call *call)
{
    hl_write_array(call->out, (size_t)call->argc - 2);
    for (int i = 2; i < call->argc; i++) {
        unsigned char digest[20] = {0};
        const struct hl_entry *entry =
            hl_db_find(call->db, call->argv[i], HL_FIND_NOTOUCH | HL_FIND_NOSTATS);
        if (entry != NULL) {
            hl_entry_digest(entry, hl_db_index(call->db), call->services->modules, digest);
        }
        write_digest(call, digest);
    }
}

/* As if this machine's memory had failed: nobody else hears of it. */
static void debug_forget_key(struct hl_call *call)
{
    hl_write_int(call->out, hl_db_delete(call->db, call->argv[2]));
}

static void debug_htstats(struct hl_call *call)
{
    int db = 0;
    if (!hl_arg_db(call, 2, &db)) {
        return;
    }
    struct hl_db_shape shape = hl_db_shape(hl_ks_db(call->ks, db));
    struct hl_buf text = {0};
    hl_buf_printf(&text,
                  "[Dictionary HT]\nkeys: %zu\nbuckets: %zu\nbuckets of the new table: %zu\n"
                  "buckets moved: %zu\nchained buckets: %zu\nbytes: %zu\n[Expires]\nkeys: %zu\n",
                  shape.keys, shape.buckets, shape.new_buckets, shape.moved, shape.chained,
                  shape.bytes, hl_db_expires_count(hl_ks_db(call->ks, db)));
    hl_write_verbatim(call->out, "txt", hl_buf_view(&text));
    hl_buf_fini(&text);
}

#define ENCODINGS (HL_ENC_MODULE + 1)

struct population {
    size_t keys[ENCODINGS];
    size_t bytes[ENCODINGS];
};

static void count_entry(void *ctx, struct hl_entry *entry)
{
    struct population *all = ctx;
    enum hl_encoding encoding = hl_entry_encoding(entry);
    all->keys[encoding]++;
    all->bytes[encoding] += hl_entry_memory(entry, 0);
}

/* What lives here, by encoding, as jmap says of a Java heap: a line each of keys, bytes, name. */
static void debug_jmap(struct hl_call *call)
{
    struct population all = {{0}, {0}};
    for (int i = 0; i < call->ks->db_count; i++) {
        uint64_t cursor = 0;
        do {
            cursor = hl_db_scan(hl_ks_db(call->ks, i), cursor, count_entry, &all);
        } while (cursor != 0);
    }
    struct hl_buf text = {0};
    for (int i = 0; i < ENCODINGS; i++) {
        if (all.keys[i] != 0) {
            hl_buf_printf(&text, "%zu %zu %s\n", all.keys[i], all.bytes[i],
                          hl_encoding_name((enum hl_encoding)i));
        }
    }
    hl_write_verbatim(call->out, "txt", hl_buf_view(&text));
    hl_buf_fini(&text);
}

static void debug_error(struct hl_call *call)
{
    struct hl_buf text = {0};
    for (size_t i = 0; i < call->argv[2].len; i++) { /* an error is one line */
        char c = call->argv[2].ptr[i];
        hl_buf_append(&text, c == '\r' || c == '\n' ? " " : &c, 1);
    }
    hl_reply_errorf(call, "%.*s", (int)(text.len < 1024 ? text.len : 1024), text.ptr);
    hl_buf_fini(&text);
}

static void debug_object(struct hl_call *call)
{
    struct hl_entry *entry = hl_db_find(call->db, call->argv[2], HL_FIND_NOTOUCH | HL_FIND_NOSTATS);
    if (entry == NULL) {
        hl_reply_error(call, HL_ERR_NO_KEY);
        return;
    }
    struct hl_buf line = {0};
    hl_buf_printf(&line,
                  "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:0 "
                  "lru_seconds_idle:%u",
                  (void *)entry, hl_encoding_name(hl_entry_encoding(entry)),
                  hl_entry_memory(entry, 0), hl_entry_idle(call->ks, entry));
    hl_write_simple_slice(call->out, hl_buf_view(&line));
    hl_buf_fini(&line);
}

static void debug_set_active_expire(struct hl_call *call)
{
    call->node->config.active_expire = !hl_slice_is(call->argv[2], "0");
    hl_write_ok(call->out);
}

static void debug_log(struct hl_call *call)
{
    hl_node_log(call->node, 3, "DEBUG LOG: %.*s",
                (int)(call->argv[2].len < 512 ? call->argv[2].len : 512), call->argv[2].ptr);
    hl_write_ok(call->out);
}

/* One line of the node's own numbers, for tests. */
static void debug_node(struct hl_call *call)
{
    const struct hl_node *node = call->node;
    struct hl_buf line = {0};
    hl_buf_printf(&line, "last:%llu commit:%llu term:%llu snapshot:%llu waiting:%d loading:%d",
                  (unsigned long long)node->last, (unsigned long long)node->commit,
                  (unsigned long long)node->cluster.term, (unsigned long long)node->snapshot_index,
                  !hl_list_empty(&node->waiting), node->loading);
    hl_write_simple_slice(call->out, hl_buf_view(&line));
    hl_buf_fini(&line);
}

static void debug_protocol(struct hl_call *call)
{
    struct hl_writer *out = call->out;
    struct hl_slice kind = call->argv[2];
    if (hl_slice_is(kind, "string")) {
        hl_write_bulk_text(out, "Hello World");
    } else if (hl_slice_is(kind, "integer")) {
        hl_write_int(out, 12345);
    } else if (hl_slice_is(kind, "double")) {
        hl_write_double(out, 3.141);
    } else if (hl_slice_is(kind, "null")) {
        hl_write_null(out);
    } else if (hl_slice_is(kind, "true") || hl_slice_is(kind, "false")) {
        hl_write_bool(out, hl_slice_is(kind, "true"));
    } else if (hl_slice_is(kind, "bignum")) {
        hl_write_big_number(out, hl_slice_of("1234567999999999999999999999999999999"));
    } else if (hl_slice_is(kind, "verbatim")) {
        hl_write_verbatim(out, "txt", hl_slice_of("This is a verbatim\nstring"));
    } else if (hl_slice_is(kind, "array") || hl_slice_is(kind, "set") || hl_slice_is(kind, "map")) {
        bool map = hl_slice_is(kind, "map");
        if (map) {
            hl_write_map(out, 3);
        } else if (hl_slice_is(kind, "set")) {
            hl_write_set(out, 3);
        } else {
            hl_write_array(out, 3);
        }
        for (int i = 0; i < 3; i++) {
            hl_write_int(out, i);
            if (map) {
                hl_write_bool(out, i == 1);
            }
        }
    } else {
        hl_reply_error(call, "ERR Wrong protocol type name. Please use one of the following: "
                             "string|integer|double|null|array|set|map|true|false|bignum|verbatim");
    }
}

static void debug_help(struct hl_call *call);

static const struct {
    const char *name;
    int argc; /* at least, when negative */
    hl_command_fn *run;
    const char *args, *help;
} debug_table[] = {
    {"DIGEST", 2, debug_digest, "", "Answer a digest of all keys and values."},
    {"DIGEST-VALUE", -3, debug_digest_value, " <key> [<key> ...]",
     "Answer a digest of each value, zeros for a missing key."},
    {"ERROR", 3, debug_error, " <text>", "Answer an error of this text."},
    {"FORGET-KEY", 3, debug_forget_key, " <key>",
     "Lose a key of this server alone, as a fault of its memory would."},
    {"HTSTATS", 3, debug_htstats, " <db>", "Describe the hash table of a database."},
    {"JMAP", 2, debug_jmap, "", "Count keys and bytes by encoding."},
    {"LOG", 3, debug_log, " <text>", "Write a line to the log file."},
    {"NODE", 2, debug_node, "", "Answer the node's indices and states."},
    {"OBJECT", 3, debug_object, " <key>", "Describe how a value is kept."},
    {"PROTOCOL", 3, debug_protocol, " <type>", "Answer a value of this type."},
    {"SET-ACTIVE-EXPIRE", 3, debug_set_active_expire, " <0|1>",
     "Switch the search for dead keys off or on."},
    {"SLEEP", 3, debug_sleep, " <seconds>", "Stand still, for a minute at most."},
    {"HELP", 2, debug_help, "", "List the subcommands."},
};

static void debug_help(struct hl_call *call)
{
    hl_write_array(call->out, 2 * HL_ARRAY_LEN(debug_table) + 1);
    hl_write_simple(call->out, "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for (size_t i = 0; i < HL_ARRAY_LEN(debug_table); i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "%s%s", debug_table[i].name, debug_table[i].args);
        hl_write_simple(call->out, line);
        (void)snprintf(line, sizeof line, "    %s", debug_table[i].help);
        hl_write_simple(call->out, line);
    }
}

void hl_cmd_debug(struct hl_call *call)
{
    if (!debug_allowed(call)) {
        return;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(debug_table); i++) {
        int argc = debug_table[i].argc;
        if (hl_arg_is(call, 1, debug_table[i].name) &&
            (argc >= 0 ? call->argc == argc : call->argc >= -argc)) {
            debug_table[i].run(call);
            return;
        }
    }
    hl_reply_errorf(call,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG "
                    "HELP.",
                    (int)(call->argv[1].len < 128 ? call->argv[1].len : 128), call->argv[1].ptr);
}
