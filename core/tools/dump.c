/* `helios dump`: the log as text, one line for each effect. */
#include "command/effect.h"
#include "kit/assert.h"
#include "kit/base64.h"
#include "kit/num.h"
#include "server/disk_posix.h"
#include "tools/tools.h"
#include "wal/wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FLUSH_SIZE ((size_t)1 << 16) /* bytes of output gathered before they are written */

struct options {
    const char *dir;
    bool json;
    uint64_t from, to;
};

struct output {
    const struct options *options;
    struct hl_buf text;
    bool failed;
    uint64_t garbled; /* entries whose effects could not be decoded */
};

static const char help[] =
    "usage: helios dump DIR [--json] [--from N] [--to N]\n"
    "\n"
    "Prints the log of DIR, oldest entry first, one line for each effect.  The log may be in use:\n"
    "what is on disk is shown.  Entries that only a snapshot still holds are not.\n"
    "\n"
    "  --json    one JSON object a line:\n"
    "              "
    "{\"cmd\":\"SET\",\"key\":\"foo\",\"args\":[\"foo\",\"bar\"],\"db\":0,\"index\":7,\n"
    "               \"part\":0,\"term\":1,\"log_time_us\":1700000000000000,\"type\":\"effects\"}\n"
    "            args are all words behind cmd; key repeats the first of them, which for nearly\n"
    "            every effect is its key; part counts the effects of one entry from 0.  A word\n"
    "            that is not UTF-8 is {\"base64url\":\"...\"} instead of a string.  An entry that\n"
    "            holds no effects has its type and, if it has one, \"body\".\n"
    "  --from N  begin with entry N\n"
    "  --to N    end with entry N\n"
    "\n"
    "Exit status: 0 all was printed, 1 the log is damaged and was printed up to the damage, 2 it\n"
    "could not be read.\n";

static int parse(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool from = strcmp(argv[i], "--from") == 0;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return TOOL_GOOD;
        }
        if (strcmp(argv[i], "--json") == 0) {
            options->json = true;
        } else if ((from || strcmp(argv[i], "--to") == 0) && i + 1 < argc) {
            if (!hl_parse_u64(hl_slice_of(argv[++i]), from ? &options->from : &options->to)) {
                fprintf(stderr, "helios dump: '%s' is not an index\n", argv[i]);
                return TOOL_FAILED;
            }
        } else if (argv[i][0] == '-' || options->dir != NULL) {
            fprintf(stderr, "helios dump: unexpected argument '%s'\n", argv[i]);
            return TOOL_FAILED;
        } else {
            options->dir = argv[i];
        }
    }
    if (options->dir == NULL) {
        fputs("helios dump: which directory?\n", stderr);
        return TOOL_FAILED;
    }
    return -1;
}

/* Bytes of the UTF-8 character at `p`, of which `len` remain; 0 when it is none: stray or missing
 * continuations, longer than needed, a surrogate, or beyond U+10FFFF. */
static size_t utf8_size(const unsigned char *p, size_t len)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t size = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || len < size) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool wrong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
                 (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return wrong ? 0 : size;
}

static bool is_utf8(struct hl_slice text)
{
    for (size_t i = 0; i < text.len;) {
        size_t size = utf8_size((const unsigned char *)text.ptr + i, text.len - i);
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}

static void put_json(struct hl_buf *out, struct hl_slice word)
{
    if (!is_utf8(word)) {
        hl_buf_append_text(out, "{\"base64url\":\"");
        hl_base64url_append(out, word.ptr, word.len);
        hl_buf_append_text(out, "\"}");
        return;
    }
    hl_buf_append_u8(out, '"');
    for (size_t i = 0; i < word.len; i++) {
        unsigned char c = (unsigned char)word.ptr[i];
        if (c == '"' || c == '\\') {
            hl_buf_append_u8(out, '\\');
            hl_buf_append_u8(out, c);
        } else if (c < 0x20 || c == 0x7f) {
            hl_buf_printf(out, "\\u%04x", c);
        } else {
            hl_buf_append_u8(out, c);
        }
    }
    hl_buf_append_u8(out, '"');
}

static void put_plain(struct hl_buf *out, struct hl_slice word)
{
    hl_buf_append_u8(out, '"');
    for (size_t i = 0; i < word.len; i++) {
        unsigned char c = (unsigned char)word.ptr[i];
        if (c == '"' || c == '\\') {
            hl_buf_append_u8(out, '\\');
            hl_buf_append_u8(out, c);
        } else if (c < 0x20 || c > 0x7e) {
            hl_buf_printf(out, "\\x%02x", c);
        } else {
            hl_buf_append_u8(out, c);
        }
    }
    hl_buf_append_u8(out, '"');
}

static const char *type_name(enum hl_wal_type type)
{
    switch (type) {
    case HL_WAL_NOP:
        return "nop";
    case HL_WAL_EFFECTS:
        return "effects";
    case HL_WAL_CFG:
        return "cfg";
    case HL_WAL_ADMIN:
        return "admin";
    case HL_WAL_SCRUB:
        return "scrub";
    }
    return "?";
}

static void put_effect(struct output *output, const struct hl_wal_entry *entry, int part,
                       const struct hl_effect_reader *effect)
{
    struct hl_buf *out = &output->text;
    if (!output->options->json) {
        hl_buf_printf(out, "%" PRIu64 " %" PRId64 " db%d", entry->index, entry->log_time_us,
                      effect->db);
        for (int i = 0; i < effect->argc; i++) {
            hl_buf_append_u8(out, ' ');
            put_plain(out, effect->argv[i]);
        }
        hl_buf_append_u8(out, '\n');
        return;
    }
    hl_buf_append_text(out, "{\"cmd\":");
    put_json(out, effect->argv[0]);
    if (effect->argc > 1) {
        hl_buf_append_text(out, ",\"key\":");
        put_json(out, effect->argv[1]);
    }
    hl_buf_append_text(out, ",\"args\":[");
    for (int i = 1; i < effect->argc; i++) {
        if (i > 1) {
            hl_buf_append_u8(out, ',');
        }
        put_json(out, effect->argv[i]);
    }
    hl_buf_printf(out,
                  "],\"db\":%d,\"index\":%" PRIu64 ",\"part\":%d,\"term\":%" PRIu64
                  ",\"log_time_us\":%" PRId64 ",\"type\":\"effects\"}\n",
                  effect->db, entry->index, part, entry->term, entry->log_time_us);
}

/* An entry without effects, or one whose effects are garbled. */
static void put_other(struct output *output, const struct hl_wal_entry *entry)
{
    struct hl_buf *out = &output->text;
    const char *type = type_name(entry->type);
    if (!output->options->json) {
        hl_buf_printf(out, "%" PRIu64 " %" PRId64 " %s ", entry->index, entry->log_time_us, type);
        put_plain(out, entry->body);
        hl_buf_append_u8(out, '\n');
        return;
    }
    hl_buf_printf(
        out, "{\"type\":\"%s\",\"index\":%" PRIu64 ",\"term\":%" PRIu64 ",\"log_time_us\":%" PRId64,
        type, entry->index, entry->term, entry->log_time_us);
    if (entry->body.len > 0) {
        hl_buf_append_text(out, ",\"body\":{\"base64url\":\"");
        hl_base64url_append(out, entry->body.ptr, entry->body.len);
        hl_buf_append_text(out, "\"}");
    }
    hl_buf_append_text(out, "}\n");
}

static void flush(struct output *output)
{
    struct hl_slice text = hl_buf_view(&output->text);
    if (text.len > 0 && fwrite(text.ptr, 1, text.len, stdout) != text.len) {
        output->failed = true;
    }
    hl_buf_clear(&output->text);
}

static bool print_entry(void *arg, const struct hl_wal_entry *entry)
{
    struct output *output = arg;
    if (entry->type == HL_WAL_EFFECTS) {
        struct hl_effect_reader reader = {.body = entry->body};
        hl_err err = HL_OK;
        for (int part = 0; (err = hl_effect_next(&reader)) == HL_OK; part++) {
            put_effect(output, entry, part, &reader);
        }
        hl_effect_reader_fini(&reader);
        if (err != HL_ENOENT) {
            put_other(output, entry);
            output->garbled++;
        }
    } else {
        put_other(output, entry);
    }
    if (output->text.len >= FLUSH_SIZE) {
        flush(output);
    }
    return !output->failed;
}

int tool_dump(int argc, char **argv)
{
    struct options options = {.to = UINT64_MAX};
    int status = parse(&options, argc, argv);
    if (status >= 0) {
        return status;
    }
    struct hl_wal_options open = {.dir = options.dir, .repair = HL_WAL_READ_GOOD};
    struct hl_wal_findings found;
    struct hl_errmsg msg = {0};
    struct hl_wal *wal = NULL;
    hl_err err = hl_wal_open(&wal, hl_disk_posix(), &open, &found, &msg);
    if (err != HL_OK) {
        fprintf(stderr, "helios dump: %s\n", msg.text);
        return err == HL_ECORRUPT ? TOOL_DAMAGED : TOOL_FAILED;
    }
    status = TOOL_GOOD;
    if (found.damaged) {
        fprintf(stderr, "helios dump: %s\n", msg.text);
        status = TOOL_DAMAGED;
    }
    hl_index from = options.from > hl_wal_first(wal) ? options.from : hl_wal_first(wal);
    hl_index to = options.to < hl_wal_last(wal) ? options.to : hl_wal_last(wal);
    struct output output = {.options = &options};
    if (from <= to) {
        err = hl_wal_read(wal, from, to, print_entry, &output, &msg);
    }
    flush(&output);
    if (err != HL_OK) {
        fprintf(stderr, "helios dump: %s\n", msg.text);
        status = err == HL_ECORRUPT ? TOOL_DAMAGED : TOOL_FAILED;
    } else if (output.garbled > 0) {
        fprintf(stderr, "helios dump: %" PRIu64 " entries hold no readable effects\n",
                output.garbled);
        status = TOOL_DAMAGED;
    }
    hl_buf_fini(&output.text);
    hl_wal_close(wal);
    return output.failed ? TOOL_FAILED : status;
}
