/* COMMAND: what the table knows, for clients. */
#include "command/args.h"
#include "command/docs.h"
#include "command/help.h"
#include "command/words.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/glob.h"
#include "kit/num.h"

static void write_words(struct hl_writer *out, const struct hl_flag_word *words, size_t count,
                        uint32_t flags, const char *prefix)
{
    size_t set = 0;
    for (size_t i = 0; i < count; i++) {
        set += (flags & words[i].flag) != 0;
    }
    hl_write_set(out, set);
    for (size_t i = 0; i < count; i++) {
        if ((flags & words[i].flag) != 0) {
            struct hl_buf text = {0};
            hl_buf_printf(&text, "%s%s", prefix, words[i].word);
            hl_write_simple_slice(out, hl_buf_view(&text));
            hl_buf_fini(&text);
        }
    }
}

static void pair_text(struct hl_writer *out, const char *name, const char *value)
{
    hl_write_bulk_text(out, name);
    hl_write_bulk_text(out, value);
}

static void pair_int(struct hl_writer *out, const char *name, int64_t value)
{
    hl_write_bulk_text(out, name);
    hl_write_int(out, value);
}

static void write_begin_search(struct hl_writer *out, const struct hl_key_spec *spec)
{
    hl_write_bulk_text(out, "begin_search");
    hl_write_map(out, 2);
    pair_text(out, "type", spec->keyword != NULL ? "keyword" : "index");
    hl_write_bulk_text(out, "spec");
    hl_write_map(out, spec->keyword != NULL ? 2 : 1);
    if (spec->keyword != NULL) {
        pair_text(out, "keyword", spec->keyword);
        pair_int(out, "startfrom", spec->first);
    } else {
        pair_int(out, "index", spec->first);
    }
}

static void write_key_spec(struct hl_writer *out, const struct hl_key_spec *spec)
{
    hl_write_map(out, 3);
    hl_write_bulk_text(out, "flags");
    write_words(out, hl_key_words, hl_key_word_count, spec->flags, "");
    write_begin_search(out, spec);
    hl_write_bulk_text(out, "find_keys");
    hl_write_map(out, 2);
    pair_text(out, "type", spec->keynum > 0 ? "keynum" : "range");
    hl_write_bulk_text(out, "spec");
    hl_write_map(out, 3);
    if (spec->keynum > 0) {
        pair_int(out, "keynumidx", 0);
        pair_int(out, "firstkey", 1);
        pair_int(out, "keystep", spec->step);
    } else {
        pair_int(out, "lastkey", spec->last);
        pair_int(out, "keystep", spec->step);
        pair_int(out, "limit", 0);
    }
}

/* The first, last and step of the time before key specifications. */
static void write_legacy_range(struct hl_writer *out, const struct hl_command_row *row)
{
    const struct hl_key_spec *spec = &row->keys[0];
    if (spec->flags == 0 || spec->keyword != NULL || spec->keynum > 0) {
        hl_write_int(out, 0);
        hl_write_int(out, 0);
        hl_write_int(out, 0);
        return;
    }
    int last = spec->last >= 0 ? spec->first + spec->last : spec->last;
    int step = spec->step;
    for (int i = 1; i < HL_KEY_SPECS_MAX && row->keys[i].flags != 0; i++) {
        if (row->keys[i].keyword == NULL && row->keys[i].first == last + 1) {
            last = row->keys[i].first + row->keys[i].last;
        }
    }
    hl_write_int(out, spec->first);
    hl_write_int(out, last);
    hl_write_int(out, step);
}

static void write_tips(struct hl_writer *out, const char *tips)
{
    struct hl_write_mark mark = hl_write_begin(out);
    size_t count = 0;
    while (tips != NULL && *tips != '\0') {
        const char *comma = strchr(tips, ',');
        size_t len = comma != NULL ? (size_t)(comma - tips) : strlen(tips);
        hl_write_bulk(out, (struct hl_slice){.ptr = tips, .len = len});
        count++;
        tips += len + (comma != NULL);
    }
    hl_write_end(out, mark, HL_SET, count);
}

static void write_info(struct hl_writer *out, const struct hl_command *cmd)
{
    const struct hl_command_row *row = cmd->row;
    size_t specs = 0;
    while (specs < HL_KEY_SPECS_MAX && row->keys[specs].flags != 0) {
        specs++;
    }
    hl_write_array(out, 10);
    hl_write_bulk_text(out, row->name);
    hl_write_int(out, cmd->arity);
    write_words(out, hl_command_words, hl_command_word_count, cmd->flags, "");
    write_legacy_range(out, row);
    write_words(out, hl_acl_words, hl_acl_word_count, cmd->acl, "@");
    write_tips(out, row->tips);
    hl_write_set(out, specs);
    for (size_t i = 0; i < specs; i++) {
        write_key_spec(out, &row->keys[i]);
    }
    hl_write_array(out, cmd->sub_count);
    for (uint32_t i = 0; i < cmd->sub_count; i++) {
        write_info(out, cmd->subs[i]); /* one level: subcommands have none */
    }
}

static const struct hl_command_table *table_of(struct hl_call *call)
{
    return call->services->commands;
}

static void info_of_all(struct hl_call *call)
{
    const struct hl_command_table *table = table_of(call);
    hl_write_array(call->out, hl_command_count(table));
    for (uint32_t id = 0; id < hl_command_id_end(table); id++) {
        const struct hl_command *cmd = hl_command_by_id(table, id);
        if (cmd != NULL && cmd->parent == NULL) {
            write_info(call->out, cmd);
        }
    }
}

static void cmd_command_info(struct hl_call *call)
{
    if (call->argc <= 2) {
        info_of_all(call);
        return;
    }
    hl_write_array(call->out, (size_t)call->argc - 2);
    for (int i = 2; i < call->argc; i++) {
        const struct hl_command *cmd = hl_command_find(table_of(call), call->argv[i]);
        if (cmd != NULL) {
            write_info(call->out, cmd);
        } else {
            hl_write_null_array(call->out);
        }
    }
}

static void cmd_command_count(struct hl_call *call)
{
    hl_write_int(call->out, (int64_t)hl_command_count(table_of(call)));
}

/* --- DOCS ------------------------------------------------------------------------------------- */

static void write_args(struct hl_writer *out, const struct hl_doc_tree *tree, int first);

static size_t write_arg_flags(struct hl_writer *out, const struct hl_doc_arg *arg)
{
    size_t count = (size_t)arg->optional + (size_t)arg->multiple;
    if (count == 0) {
        return 0;
    }
    hl_write_bulk_text(out, "flags");
    hl_write_set(out, count);
    if (arg->optional) {
        hl_write_simple(out, "optional");
    }
    if (arg->multiple) {
        hl_write_simple(out, "multiple");
    }
    return 1;
}

static void write_lower(struct hl_writer *out, struct hl_slice name)
{
    char lower[HL_COMMAND_NAME_MAX];
    size_t len = name.len < sizeof lower ? name.len : sizeof lower;
    for (size_t i = 0; i < len; i++) {
        char c = name.ptr[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    hl_write_bulk(out, (struct hl_slice){.ptr = lower, .len = len});
}

static void write_arg(struct hl_writer *out, const struct hl_doc_tree *tree, int at)
{
    const struct hl_doc_arg *arg = &tree->args[at];
    struct hl_write_mark mark = hl_write_begin(out);
    size_t pairs = 2;
    hl_write_bulk_text(out, "name");
    write_lower(out, arg->name);
    pair_text(out, "type", hl_doc_type_name(arg->type));
    if (arg->type == HL_DOC_KEY) {
        pair_int(out, "key_spec_index", 0);
        pairs++;
    }
    if (arg->token.ptr != NULL) {
        hl_write_bulk_text(out, "token");
        hl_write_bulk(out, arg->token);
        pairs++;
    }
    pairs += write_arg_flags(out, arg);
    if (arg->first >= 0) {
        hl_write_bulk_text(out, "arguments");
        write_args(out, tree, arg->first);
        pairs++;
    }
    hl_write_end(out, mark, HL_MAP, pairs);
}

static void write_args(struct hl_writer *out, const struct hl_doc_tree *tree, int first)
{
    struct hl_write_mark mark = hl_write_begin(out);
    size_t count = 0;
    for (int at = first; at >= 0; at = tree->args[at].next) {
        write_arg(out, tree, at);
        count++;
    }
    hl_write_end(out, mark, HL_ARRAY, count);
}

static void write_docs(struct hl_writer *out, const struct hl_command *cmd)
{
    const struct hl_command_row *row = cmd->row;
    struct hl_doc_tree tree;
    struct hl_write_mark mark = hl_write_begin(out);
    size_t pairs = 0;
    const struct {
        const char *name, *value;
    } texts[] = {{"summary", row->summary},
                 {"since", row->since},
                 {"group", row->group},
                 {"complexity", row->complexity}};
    for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
        if (texts[i].value != NULL) {
            pair_text(out, texts[i].name, texts[i].value);
            pairs++;
        }
    }
    if (hl_docs_parse(row->args, &tree) && tree.first >= 0) {
        hl_write_bulk_text(out, "arguments");
        write_args(out, &tree, tree.first);
        pairs++;
    }
    if (cmd->sub_count != 0) {
        hl_write_bulk_text(out, "subcommands");
        hl_write_map(out, cmd->sub_count);
        for (uint32_t i = 0; i < cmd->sub_count; i++) {
            hl_write_bulk_text(out, cmd->subs[i]->row->name);
            write_docs(out, cmd->subs[i]);
        }
        pairs++;
    }
    hl_write_end(out, mark, HL_MAP, pairs);
}

static void cmd_command_docs(struct hl_call *call)
{
    const struct hl_command_table *table = table_of(call);
    struct hl_write_mark mark = hl_write_begin(call->out);
    size_t count = 0;
    for (int i = 2; i < call->argc; i++) {
        const struct hl_command *cmd = hl_command_find(table, call->argv[i]);
        if (cmd != NULL) {
            hl_write_bulk_text(call->out, cmd->row->name);
            write_docs(call->out, cmd);
            count++;
        }
    }
    for (uint32_t id = 0; call->argc == 2 && id < hl_command_id_end(table); id++) {
        const struct hl_command *cmd = hl_command_by_id(table, id);
        if (cmd != NULL && cmd->parent == NULL) {
            hl_write_bulk_text(call->out, cmd->row->name);
            write_docs(call->out, cmd);
            count++;
        }
    }
    hl_write_end(call->out, mark, HL_MAP, count);
}

/* --- LIST and GETKEYS ------------------------------------------------------------------------- */

enum filter {
    ALL,
    BY_MODULE,
    BY_CATEGORY,
    BY_PATTERN,
};

static bool list_filter(struct hl_call *call, enum filter *filter)
{
    *filter = ALL;
    if (call->argc == 2) {
        return true;
    }
    if (call->argc == 5 && hl_arg_is(call, 2, "filterby")) {
        if (hl_arg_is(call, 3, "module")) {
            *filter = BY_MODULE;
        } else if (hl_arg_is(call, 3, "aclcat")) {
            *filter = BY_CATEGORY;
        } else if (hl_arg_is(call, 3, "pattern")) {
            *filter = BY_PATTERN;
        }
    }
    if (*filter == ALL) {
        hl_reply_error(call, HL_ERR_SYNTAX);
    }
    return *filter != ALL;
}

static bool is_listed(struct hl_call *call, enum filter filter, const struct hl_command *cmd)
{
    switch (filter) {
    case ALL:
        return true;
    case BY_MODULE:
        return call->services->command_is_of != NULL &&
               call->services->command_is_of(call->services->ctx, cmd, call->argv[4]);
    case BY_CATEGORY:
        for (size_t i = 0; i < hl_acl_word_count; i++) {
            if (hl_slice_is(call->argv[4], hl_acl_words[i].word)) {
                return (cmd->acl & hl_acl_words[i].flag) != 0;
            }
        }
        return false;
    case BY_PATTERN:
        return hl_glob_match(call->argv[4], hl_slice_of(cmd->row->name), true);
    }
    return false;
}

static void cmd_command_list(struct hl_call *call)
{
    enum filter filter;
    if (!list_filter(call, &filter)) {
        return;
    }
    const struct hl_command_table *table = table_of(call);
    struct hl_write_mark mark = hl_write_begin(call->out);
    size_t count = 0;
    for (uint32_t id = 0; id < hl_command_id_end(table); id++) {
        const struct hl_command *cmd = hl_command_by_id(table, id);
        if (cmd != NULL && is_listed(call, filter, cmd)) {
            hl_write_bulk_text(call->out, cmd->row->name);
            count++;
        }
    }
    hl_write_end(call->out, mark, HL_SET, count);
}

static void getkeys(struct hl_call *call, bool with_flags)
{
    const struct hl_slice *argv = call->argv + 2;
    int argc = call->argc - 2;
    const struct hl_command *cmd = hl_command_of(table_of(call), argv, argc);
    if (cmd == NULL) {
        hl_reply_error(call, "ERR Invalid command specified");
        return;
    }
    if (cmd->row->keys[0].flags == 0 && cmd->row->getkeys == NULL) {
        hl_reply_error(call, "ERR The command has no key arguments");
        return;
    }
    if (!hl_command_arity_ok(cmd, argc)) {
        hl_reply_error(call, "ERR Invalid number of arguments specified for command");
        return;
    }
    struct hl_key_ref *refs = hl_malloc((size_t)argc * sizeof *refs);
    int count = hl_command_keys(cmd, argv, argc, refs);
    if (count <= 0) {
        hl_reply_error(call, "ERR Invalid arguments specified for command");
    } else {
        hl_write_array(call->out, (size_t)count);
        for (int i = 0; i < count; i++) {
            if (with_flags) {
                hl_write_array(call->out, 2);
            }
            hl_write_bulk(call->out, argv[refs[i].index]);
            if (with_flags) {
                uint32_t use = hl_command_key_use(cmd, argv, argc, refs[i].flags);
                write_words(call->out, hl_key_words, hl_key_word_count, use, "");
            }
        }
    }
    hl_free(refs);
}

static void cmd_command_getkeys(struct hl_call *call)
{
    getkeys(call, false);
}

static void cmd_command_getkeysandflags(struct hl_call *call)
{
    getkeys(call, true);
}

#define ROW(cmd_name, fn, n, version, cost, words, grammar)                                        \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = HL_CMD_LOADING | HL_CMD_STALE,     \
        .acl = HL_ACL_CONNECTION, .group = "server", .since = (version), .complexity = (cost),     \
        .summary = (words), .args = (grammar)                                                      \
    }
#define PER_COMMAND "O(N) where N is the number of commands"

const struct hl_command_row hl_commands_command[] = {
    ROW("command", cmd_command_info, -1, "2.8.13", PER_COMMAND, "Describe all commands.", NULL),
    ROW("command|count", cmd_command_count, 2, "2.8.13", "O(1)", "Count the commands.", NULL),
    ROW("command|info", cmd_command_info, -2, "2.8.13", PER_COMMAND, "Describe commands.",
        "[command-name:string...]"),
    ROW("command|docs", cmd_command_docs, -2, "7.0.0", PER_COMMAND, "Document commands.",
        "[command-name:string...]"),
    ROW("command|list", cmd_command_list, -2, "7.0.0", PER_COMMAND, "Name the commands.",
        "[FILTERBY (MODULE module-name:string|ACLCAT category:string|PATTERN pattern:pattern)]"),
    ROW("command|getkeys", cmd_command_getkeys, -4, "2.8.13",
        "O(N) where N is the number of arguments", "Answer the keys of a request.",
        "command:string [arg:string...]"),
    ROW("command|getkeysandflags", cmd_command_getkeysandflags, -4, "7.0.0",
        "O(N) where N is the number of arguments",
        "Answer the keys of a request and what is done to them.", "command:string [arg:string...]"),
    HL_HELP_ROW("command", HL_ACL_CONNECTION, "server", "5.0.0"),
};
const size_t hl_commands_command_count = HL_ARRAY_LEN(hl_commands_command);
