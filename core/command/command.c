/* The command table: rows in, commands found by name in one probe.
 *
 * Invariants:
 *   T1  ids are dense below hl_command_id_end() but for freed ones, which are reused last-first.
 *   T2  a subcommand is in its parent's list and in the table under "parent|sub".
 */
#include "command/command.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"

#define SLOTS (HL_COMMANDS_MAX * 2)

HL_STATIC((SLOTS & (SLOTS - 1)) == 0);

struct hl_command_table {
    struct hl_command *slots[SLOTS];
    struct hl_command *by_id[HL_COMMANDS_MAX];
    uint32_t id_end;
    size_t total; /* commands and subcommands */
    size_t top;   /* without subcommands */
    uint64_t epoch;
};

static unsigned char fold(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static uint32_t name_hash(struct hl_slice name)
{
    uint32_t hash = 2166136261u; /* FNV-1a: names are ours and the modules', not a client's */
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ fold(name.ptr[i])) * 16777619u;
    }
    return hash ^ hash >> 15;
}

static struct hl_command **slot_of(const struct hl_command_table *table, struct hl_slice name)
{
    uint32_t at = name_hash(name) & (SLOTS - 1);
    while (table->slots[at] != NULL && !hl_slice_is(name, table->slots[at]->row->name)) {
        at = (at + 1) & (SLOTS - 1);
    }
    return (struct hl_command **)&table->slots[at];
}

struct hl_command_table *hl_command_table_create(void)
{
    struct hl_command_table *table = hl_calloc(1, sizeof *table);
    table->epoch = 1;
    return table;
}

static void command_destroy(struct hl_command *cmd)
{
    hl_free(cmd->subs);
    hl_free(cmd->histogram);
    hl_free(cmd);
}

void hl_command_table_destroy(struct hl_command_table *table)
{
    if (table == NULL) {
        return;
    }
    for (uint32_t id = 0; id < table->id_end; id++) {
        if (table->by_id[id] != NULL) {
            command_destroy(table->by_id[id]);
        }
    }
    hl_free(table);
}

/* READ, WRITE, FAST and SLOW follow from the flags, and so do the dangerous and blocking ones. */
static uint32_t implied_acl(uint32_t flags, uint32_t acl)
{
    if ((flags & HL_CMD_WRITE) != 0) {
        acl |= HL_ACL_WRITE;
    }
    if ((flags & HL_CMD_READONLY) != 0 && (acl & HL_ACL_SCRIPTING) == 0) {
        acl |= HL_ACL_READ;
    }
    if ((flags & HL_CMD_ADMIN) != 0) {
        acl |= HL_ACL_ADMIN | HL_ACL_DANGEROUS;
    }
    if ((flags & HL_CMD_PUBSUB) != 0) {
        acl |= HL_ACL_PUBSUB;
    }
    if ((flags & HL_CMD_BLOCKING) != 0) {
        acl |= HL_ACL_BLOCKING;
    }
    acl |= (flags & HL_CMD_FAST) != 0 ? HL_ACL_FAST : HL_ACL_SLOW;
    return acl;
}

static uint32_t free_id(struct hl_command_table *table)
{
    for (uint32_t id = 0; id < table->id_end; id++) {
        if (table->by_id[id] == NULL) {
            return id;
        }
    }
    return table->id_end++;
}

static struct hl_command *parent_of(const struct hl_command_table *table, const char *name)
{
    const char *bar = strchr(name, '|');
    if (bar == NULL) {
        return NULL;
    }
    struct hl_slice parent = {.ptr = name, .len = (size_t)(bar - name)};
    struct hl_command *found = hl_command_find(table, parent);
    HL_ASSERT(found != NULL); /* containers come first */
    return found;
}

static hl_err register_row(struct hl_command_table *table, const struct hl_command_row *row)
{
    struct hl_slice name = hl_slice_of(row->name);
    HL_ASSERT(name.len > 0 && name.len <= HL_COMMAND_NAME_MAX);
    HL_ASSERT(row->arity != 0);
    struct hl_command **slot = slot_of(table, name);
    if (*slot != NULL) {
        return HL_EBUSY;
    }
    if (table->total == HL_COMMANDS_MAX) {
        return HL_ELIMIT;
    }
    struct hl_command *cmd = hl_calloc(1, sizeof *cmd);
    *cmd = (struct hl_command){
        .row = row,
        .run = row->run,
        .arity = row->arity,
        .flags = row->flags,
        .acl = implied_acl(row->flags, row->acl),
        .id = free_id(table),
        .parent = parent_of(table, row->name),
    };
    if (row->getkeys != NULL) {
        cmd->flags |= HL_CMD_MOVABLE_KEYS;
    }
    *slot = cmd;
    table->by_id[cmd->id] = cmd;
    table->total++;
    if (cmd->parent == NULL) {
        table->top++;
        return HL_OK;
    }
    struct hl_command *parent = cmd->parent;
    parent->subs = hl_realloc(parent->subs, (parent->sub_count + 1) * sizeof *parent->subs);
    parent->subs[parent->sub_count++] = cmd; /* T2 */
    return HL_OK;
}

hl_err hl_command_register(struct hl_command_table *table, const struct hl_command_row *rows,
                           size_t count)
{
    table->epoch++;
    for (size_t i = 0; i < count; i++) {
        hl_err err = register_row(table, &rows[i]);
        if (err != HL_OK) {
            return err;
        }
    }
    return HL_OK;
}

/* Take one command out of the slots and close the gap that probing would stumble over. */
static void unslot(struct hl_command_table *table, struct hl_command *cmd)
{
    struct hl_command **slot = slot_of(table, hl_slice_of(cmd->row->name));
    HL_ASSERT(*slot == cmd);
    *slot = NULL;
    size_t at = (size_t)(slot - table->slots);
    for (at = (at + 1) & (SLOTS - 1); table->slots[at] != NULL; at = (at + 1) & (SLOTS - 1)) {
        struct hl_command *moved = table->slots[at];
        table->slots[at] = NULL;
        *slot_of(table, hl_slice_of(moved->row->name)) = moved;
    }
    table->by_id[cmd->id] = NULL;
    table->total--;
    while (table->id_end > 0 && table->by_id[table->id_end - 1] == NULL) {
        table->id_end--; /* T1 */
    }
}

static void detach_from_parent(struct hl_command *cmd)
{
    struct hl_command *parent = cmd->parent;
    for (uint32_t i = 0; i < parent->sub_count; i++) {
        if (parent->subs[i] == cmd) {
            parent->subs[i] = parent->subs[--parent->sub_count];
            return;
        }
    }
}

bool hl_command_unregister(struct hl_command_table *table, const char *name)
{
    struct hl_command *cmd = hl_command_find(table, hl_slice_of(name));
    if (cmd == NULL) {
        return false;
    }
    table->epoch++;
    for (uint32_t i = 0; i < cmd->sub_count; i++) {
        unslot(table, cmd->subs[i]);
        command_destroy(cmd->subs[i]);
    }
    if (cmd->parent != NULL) {
        detach_from_parent(cmd);
    } else {
        table->top--;
    }
    unslot(table, cmd);
    command_destroy(cmd);
    return true;
}

uint64_t hl_command_table_epoch(const struct hl_command_table *table)
{
    return table->epoch;
}

struct hl_command *hl_command_find(const struct hl_command_table *table, struct hl_slice name)
{
    if (name.len > HL_COMMAND_NAME_MAX) {
        return NULL;
    }
    return *slot_of(table, name);
}

struct hl_command *hl_command_find_sub(const struct hl_command *parent, struct hl_slice sub)
{
    size_t skip = strlen(parent->row->name) + 1;
    for (uint32_t i = 0; i < parent->sub_count; i++) {
        if (hl_slice_is(sub, parent->subs[i]->row->name + skip)) {
            return parent->subs[i];
        }
    }
    return NULL;
}

struct hl_command *hl_command_of(const struct hl_command_table *table, const struct hl_slice *argv,
                                 int argc)
{
    HL_ASSERT(argc >= 1);
    struct hl_command *cmd = hl_command_find(table, argv[0]);
    if (cmd == NULL || cmd->parent != NULL) {
        return NULL; /* "client|id" is a name of ours, not a request */
    }
    if (cmd->sub_count == 0 || argc < 2) {
        return cmd;
    }
    struct hl_command *sub = hl_command_find_sub(cmd, argv[1]);
    return sub != NULL ? sub : cmd;
}

struct hl_command *hl_command_by_id(const struct hl_command_table *table, uint32_t id)
{
    return id < table->id_end ? table->by_id[id] : NULL;
}

uint32_t hl_command_id_end(const struct hl_command_table *table)
{
    return table->id_end;
}

size_t hl_command_count(const struct hl_command_table *table)
{
    return table->top;
}

/* Add `count` keys from `first` on; -1 when they run past the arguments. */
static int add_keys(struct hl_key_ref *refs, int have, int first, int last, int step, int argc,
                    uint32_t flags)
{
    for (int i = first; i <= last; i += step) {
        if (i >= argc || have >= argc) {
            return -1;
        }
        refs[have++] = (struct hl_key_ref){.index = i, .flags = flags};
    }
    return have;
}

/* Where the spec's keys begin, or 0 when its keyword is absent. */
static int spec_begin(const struct hl_key_spec *spec, const struct hl_slice *argv, int argc)
{
    int first = spec->first >= 0 ? spec->first : argc + spec->first;
    if (spec->keyword == NULL) {
        return first;
    }
    for (int i = first; i > 0 && i < argc - 1; i++) {
        if (hl_slice_is(argv[i], spec->keyword)) {
            return i + 1;
        }
    }
    return 0;
}

static int spec_keys(const struct hl_key_spec *spec, const struct hl_slice *argv, int argc,
                     struct hl_key_ref *refs, int have)
{
    int first = spec_begin(spec, argv, argc);
    if (first <= 0) {
        return have;
    }
    if (first >= argc) {
        return spec->keyword != NULL ? have : -1;
    }
    if (spec->keynum > 0) {
        int64_t count = 0;
        if (!hl_parse_i64(argv[first], &count) || count < 0 || count > argc - first - 1) {
            return -1;
        }
        return add_keys(refs, have, first + 1, first + (int)count * spec->step, spec->step, argc,
                        spec->flags);
    }
    int last = spec->last >= 0 ? first + spec->last : argc + spec->last;
    return add_keys(refs, have, first, last, spec->step, argc, spec->flags);
}

int hl_command_keys(const struct hl_command *cmd, const struct hl_slice *argv, int argc,
                    struct hl_key_ref *refs)
{
    const struct hl_command_row *row = cmd->row;
    if (row->getkeys != NULL) {
        return row->getkeys(argv, argc, refs);
    }
    int have = 0;
    for (int i = 0; i < HL_KEY_SPECS_MAX && row->keys[i].flags != 0; i++) {
        have = spec_keys(&row->keys[i], argv, argc, refs, have);
        if (have < 0) {
            return -1;
        }
    }
    return have;
}

uint32_t hl_command_key_use(const struct hl_command *cmd, const struct hl_slice *argv, int argc,
                            uint32_t flags)
{
    const uint32_t both = HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_UPDATE;
    if ((flags & HL_KEY_VARIABLE_FLAGS) == 0) {
        return flags;
    }
    if (strcmp(cmd->row->name, "set") == 0) {
        for (int i = 3; i < argc; i++) {
            if (hl_slice_is(argv[i], "get")) {
                return both;
            }
        }
        return HL_KEY_OW | HL_KEY_UPDATE;
    }
    if (strcmp(cmd->row->name, "bitfield") == 0) {
        for (int i = 2; i < argc; i += 3) {
            if (!hl_slice_is(argv[i], "get")) {
                return both;
            }
        }
        return HL_KEY_RO | HL_KEY_ACCESS;
    }
    return flags;
}
