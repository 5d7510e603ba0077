/* --help and docs/configuration.md, from the table. */
#include "kit/assert.h"
#include "server/config_internal.h"

static const char *type_word(enum hl_cfg_type type)
{
    switch (type) {
    case HL_CFG_TYPE_BOOL:
        return "yes or no";
    case HL_CFG_TYPE_INT:
        return "number";
    case HL_CFG_TYPE_SIZE:
        return "size";
    case HL_CFG_TYPE_OCTAL:
        return "octal number";
    case HL_CFG_TYPE_DURATION:
        return "duration";
    case HL_CFG_TYPE_ENUM:
        return "word";
    case HL_CFG_TYPE_BITS:
        return "words";
    case HL_CFG_TYPE_SIZE_OR_PERCENT:
        return "size or percentage";
    case HL_CFG_TYPE_STRING:
        return "text";
    case HL_CFG_TYPE_SECRET:
        return "secret";
    case HL_CFG_TYPE_PATH:
        return "path";
    case HL_CFG_TYPE_FILENAME:
        return "file name";
    case HL_CFG_TYPE_NAME:
        return "name";
    case HL_CFG_TYPE_ADDRESS:
        return "host:port";
    case HL_CFG_TYPE_LISTEN:
        return "[host]:port";
    case HL_CFG_TYPE_URL:
        return "URL";
    case HL_CFG_TYPE_BIND:
        return "addresses";
    case HL_CFG_TYPE_OUTPUT_LIMIT:
        return "class hard soft seconds, …";
    case HL_CFG_TYPE_SAVE:
        return "seconds changes, …";
    case HL_CFG_TYPE_PEERS:
        return "id:host:port, …";
    case HL_CFG_TYPE_TLS_PROTOCOLS:
        return "words";
    case HL_CFG_TYPE_PERCENTILES:
        return "numbers";
    case HL_CFG_TYPE_EVENTS:
        return "letters";
    case HL_CFG_TYPE_OOM_VALUES:
        return "three numbers";
    }
    HL_ASSERT(false);
    return "";
}

/* What a value may be: words of an ENUM, the range of a number. */
static void append_values(const struct config_row *row, struct hl_buf *out)
{
    if (row->type == HL_CFG_TYPE_ENUM || row->type == HL_CFG_TYPE_BITS) {
        struct hl_slice rest = hl_slice_of(row->hint);
        struct hl_slice word;
        const char *between = "";
        while (hl_config_next_word(&rest, &word)) {
            const char *equals = memchr(word.ptr, '=', word.len);
            bool synonym = equals != NULL && row->type == HL_CFG_TYPE_ENUM;
            size_t len = equals == NULL ? word.len : (size_t)(equals - word.ptr);
            hl_buf_printf(out, synonym ? "%s%.*s (%.*s)" : "%s%.*s", between, (int)len, word.ptr,
                          synonym ? (int)(word.len - len - 1) : 0, synonym ? equals + 1 : "");
            between = ", ";
        }
        return;
    }
    hl_buf_append_text(out, type_word(row->type));
    bool number = row->type == HL_CFG_TYPE_INT || row->type == HL_CFG_TYPE_SIZE ||
                  row->type == HL_CFG_TYPE_DURATION;
    if (number && row->hint[0] != '\0') {
        hl_buf_printf(out, " (%s)", row->hint);
    }
    if (number && row->max < INT32_MAX) {
        hl_buf_printf(out, ", %lld to %lld", (long long)row->min, (long long)row->max);
    } else if (number && row->min > 0) {
        hl_buf_printf(out, ", from %lld", (long long)row->min);
    }
}

/* Further names of a setting: synonyms, flags, YAML paths, variables. */
static void append_names(const struct config_row *row, struct hl_buf *out)
{
    static const struct {
        const char *kind, *before;
    } kinds[] = {
        {"alias:", ", `"},
        {"flag:", ", flag `--"},
        {"yaml:", ", YAML `"},
        {"env:", ", environment `"},
    };
    struct hl_slice rest = hl_slice_of(row->also);
    struct hl_slice item;
    while (hl_config_next_word(&rest, &item)) {
        for (size_t i = 0; i < HL_ARRAY_LEN(kinds); i++) {
            size_t len = strlen(kinds[i].kind);
            if (item.len > len && memcmp(item.ptr, kinds[i].kind, len) == 0) {
                hl_buf_append_text(out, kinds[i].before);
                hl_buf_append(out, item.ptr + len, item.len - len);
                hl_buf_append_text(out, "`");
            }
        }
    }
}

/* How a setting may change once the server runs. */
static const char *change_word(const struct config_row *row)
{
    if (config_flag(row, 'I')) {
        return "at start";
    }
    return config_flag(row, 'P') ? "protected" : "any time";
}

static void append_default(const struct config_row *row, struct hl_buf *out)
{
    if (row->initial[0] == '\0') {
        hl_buf_append_text(out, "empty");
    } else {
        hl_buf_printf(out, "`%s`", row->initial);
    }
}

static void append_row(const struct config_row *row, struct hl_buf *out)
{
    hl_buf_printf(out, "| `%s`", row->name);
    append_names(row, out);
    hl_buf_append_text(out, " | ");
    append_values(row, out);
    hl_buf_append_text(out, " | ");
    append_default(row, out);
    hl_buf_printf(out, " | %s | %s%s%s%s |\n", change_word(row), row->doc,
                  config_flag(row, 'C') ? " *Accepted for compatibility, without effect.*" : "",
                  config_flag(row, 'S') ? " *Never logged.*" : "",
                  config_flag(row, 'G') ? " *One for a whole cluster.*" : "");
}

static const char manual_intro[] =
    "# Configuration\n"
    "\n"
    "This page is made from `core/server/config.def`; a test fails when it is out of date.\n"
    "\n"
    "Every setting below has one name. It is a command line flag (`--maxmemory 100mb`,\n"
    "`-maxmemory=100mb`; a yes-or-no flag needs no value), a line in a key-value file\n"
    "(`maxmemory 100mb`), an entry of the `server` section in a YAML file, and what CONFIG GET "
    "and\n"
    "CONFIG SET call it. Some have further names, shown beside it. `--listen :6379` sets `port`\n"
    "and `bind` together (in the gateway and the proxy: their own address). The strongest source\n"
    "wins: flag, environment, file, default. An unknown name or a wrong value stops the start and\n"
    "names its line.\n"
    "\n"
    "Sizes take `b k kb m mb g gb` (`kb` is 1024 bytes, `k` is 1000), durations `ms s m h`. A "
    "bare\n"
    "number counts in the unit shown.\n"
    "\n"
    "On SIGHUP the file is read again: settings that change *any time* take their new value, the\n"
    "others keep theirs and the log names them. CONFIG REWRITE updates a key-value file in place\n"
    "and refuses a YAML file.\n"
    "\n"
    "A key-value file may also hold `include path`, `loadmodule path arguments…`,\n"
    "`module.setting value`, `user name rules…` and `rename-command old new`. A YAML file has\n"
    "`modules`, a list of `{path, args, config}`.\n";

void hl_config_print_manual(struct hl_buf *out)
{
    hl_buf_append_text(out, manual_intro);
    int group = -1;
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        if ((int)config_group_of((enum hl_cfg)id) != group) {
            group = (int)config_group_of((enum hl_cfg)id);
            hl_buf_printf(out,
                          "\n## %s\n\n| Setting | Value | Default | Changes | Meaning |\n"
                          "|---|---|---|---|---|\n",
                          config_group_titles[group]);
        }
        append_row(&config_rows[id], out);
    }
}

static void print_flag(const struct config_row *row, FILE *out)
{
    struct hl_buf line = {0};
    struct hl_slice name;
    for (size_t n = 0; config_name_at(row, CONFIG_SPACE_FLAG, n, &name); n++) {
        hl_buf_printf(&line, n == 0 ? "  --%.*s" : ", --%.*s", (int)name.len, name.ptr);
    }
    hl_buf_append_text(&line, " <");
    append_values(row, &line);
    hl_buf_printf(&line, ">\n        %s", row->doc);
    if (row->initial[0] != '\0') {
        hl_buf_printf(&line, " [%s]", row->initial);
    }
    (void)fprintf(out, "%.*s\n", (int)line.len, line.ptr);
    hl_buf_fini(&line);
}

void hl_config_print_help(const struct hl_config *cfg, const char *program, FILE *out)
{
    static const char *const listens[] = {":6379", ":8443", ":8080", ""};
    (void)fprintf(
        out,
        "Usage: %s [file] [--setting value ...]\n\n"
        "  file                a key-value or YAML file; '-' reads standard input\n"
        "  --config <file>     the same\n"
        "  --listen <address>  where to listen [%s]\n"
        "  --test-config       check the settings and exit: 0 good, 1 bad\n"
        "  --version [--json]  print the version and exit\n"
        "  --help              print this and exit\n\n"
        "One dash or two, --flag=value or --flag value; a yes-or-no flag needs no value.\n"
        "Stronger first: flag, environment, file, default.\n\n"
        "Examples:\n"
        "  %s -data-dir=./data -listen=:6379 -sync-mode=every\n"
        "  %s configs/helios.conf --maxmemory 1gb --loglevel verbose\n",
        program, listens[cfg->role], program, program);
    int group = -1;
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        if (config_flag(&config_rows[id], 'C')) {
            continue; /* accepted, but nothing to recommend */
        }
        if ((int)config_group_of((enum hl_cfg)id) != group) {
            group = (int)config_group_of((enum hl_cfg)id);
            (void)fprintf(out, "\n%s\n", config_group_titles[group]);
        }
        print_flag(&config_rows[id], out);
    }
}
