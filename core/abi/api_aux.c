/* Globals of modules in snapshots: what their types' aux_save writes, as one table of the node.
 *
 *   the table    for each type that saved something: u64 id, u8 when, u32 length, bytes
 *
 * all little-endian.  What is to be loaded after the keys waits until the snapshot has, and comes
 * before the log. */
#include "abi/unit.h"

#define HEADER_BYTES 13

/* Globals that wait for the keys. */
struct later {
    struct hl_list_node node; /* in abi->aux_later */
    RedisModuleType *type;
    int encver;
    struct hl_buf bytes;
};

static RedisModuleTypeAuxSaveFunc saver_of(const RedisModuleType *type, int when)
{
    if ((type->methods.aux_save_triggers & when) == 0) {
        return NULL;
    }
    return type->methods.aux_save2 != NULL ? type->methods.aux_save2 : type->methods.aux_save;
}

/* Append what one type saves at one moment. */
static void save_type(struct hl_abi *abi, RedisModuleType *type, int when, struct hl_buf *out)
{
    RedisModuleTypeAuxSaveFunc aux_save = saver_of(type, when);
    if (aux_save == NULL) {
        return;
    }
    struct hl_buf bytes = {0};
    RedisModuleIO io;
    hl_io_init(&io, abi, type, NULL, -1);
    io.out = &bytes;
    aux_save(&io, when);
    hl_io_fini(&io);
    bool silent = type->methods.aux_save2 != NULL && bytes.len == 0; /* nothing to say */
    if (!silent && bytes.len <= UINT32_MAX) {
        hl_buf_append_le64(out, type->id);
        hl_buf_append_u8(out, (uint8_t)when);
        hl_buf_append_le32(out, (uint32_t)bytes.len);
        hl_buf_append_slice(out, hl_buf_view(&bytes));
    }
    hl_buf_fini(&bytes);
}

void hl_aux_save(struct hl_module *module, struct hl_buf *out)
{
    HL_LIST_EACH(t, &module->types)
    {
        RedisModuleType *type = HL_LIST_ENTRY(t, RedisModuleType, node);
        save_type(module->abi, type, REDISMODULE_AUX_BEFORE_RDB, out);
        save_type(module->abi, type, REDISMODULE_AUX_AFTER_RDB, out);
    }
}

static void save_table(void *ctx, struct hl_buf *out)
{
    struct hl_abi *abi = ctx;
    HL_LIST_EACH(m, &abi->modules)
    {
        hl_aux_save(HL_LIST_ENTRY(m, struct hl_module, node), out);
    }
}

static hl_err load_globals(RedisModuleType *type, int encver, int when, struct hl_slice bytes,
                           struct hl_errmsg *msg)
{
    RedisModuleIO io;
    hl_io_init(&io, type->module->abi, type, NULL, -1);
    io.in = bytes;
    int result = type->methods.aux_load(&io, encver, when);
    hl_io_fini(&io);
    if (result != REDISMODULE_OK || io.failed || io.at != bytes.len) {
        return hl_fail(msg, HL_ECORRUPT, "module %s refuses its globals (type %s)",
                       type->module->name, type->name);
    }
    return HL_OK;
}

struct row {
    uint64_t id;
    int when;
    struct hl_slice bytes;
};

/* Take the first row off the rest of the table. */
static hl_err take_row(struct hl_slice *rest, struct row *out, struct hl_errmsg *msg)
{
    size_t len = rest->len < HEADER_BYTES ? 0 : hl_get_le32(rest->ptr + 9);
    if (rest->len < HEADER_BYTES || rest->len - HEADER_BYTES < len) {
        return hl_fail(msg, HL_ECORRUPT, "the table of modules' globals is cut");
    }
    *out = (struct row){.id = hl_get_le64(rest->ptr),
                        .when = (unsigned char)rest->ptr[8],
                        .bytes = {.ptr = rest->ptr + HEADER_BYTES, .len = len}};
    *rest = (struct hl_slice){.ptr = rest->ptr + HEADER_BYTES + len,
                              .len = rest->len - HEADER_BYTES - len};
    return HL_OK;
}

static hl_err type_of_row(struct hl_abi *abi, const struct row *row, RedisModuleType **out,
                          struct hl_errmsg *msg)
{
    *out = hl_type_by_id(abi, row->id);
    if (*out == NULL || (*out)->methods.aux_load == NULL) {
        return hl_fail(msg, HL_EINVAL,
                       "there are globals of a module type %016llx that no loaded module has",
                       (unsigned long long)row->id);
    }
    return HL_OK;
}

static void keep_for_later(struct hl_abi *abi, RedisModuleType *type, const struct row *row)
{
    struct later *later = hl_calloc(1, sizeof *later);
    later->type = type;
    later->encver = (int)(row->id & HL_TYPE_ENCODING_MAX);
    hl_buf_append_slice(&later->bytes, row->bytes);
    hl_list_append(&abi->aux_later, &later->node);
}

static hl_err load_table(void *ctx, struct hl_slice contents, struct hl_errmsg *msg)
{
    struct row row;
    RedisModuleType *type = NULL;
    while (contents.len != 0) {
        hl_err err = take_row(&contents, &row, msg);
        err = err == HL_OK ? type_of_row(ctx, &row, &type, msg) : err;
        if (err == HL_OK && row.when != REDISMODULE_AUX_BEFORE_RDB) {
            keep_for_later(ctx, type, &row);
        } else if (err == HL_OK) {
            err =
                load_globals(type, (int)(row.id & HL_TYPE_ENCODING_MAX), row.when, row.bytes, msg);
        }
        if (err != HL_OK) {
            return err;
        }
    }
    return HL_OK;
}

hl_err hl_aux_load(struct hl_abi *abi, struct hl_slice rows, int when, struct hl_errmsg *msg)
{
    struct row row;
    RedisModuleType *type = NULL;
    while (rows.len != 0) {
        hl_err err = take_row(&rows, &row, msg);
        if (err == HL_OK && row.when == when) {
            err = type_of_row(abi, &row, &type, msg);
            err = err != HL_OK ? err
                               : load_globals(type, (int)(row.id & HL_TYPE_ENCODING_MAX), when,
                                              row.bytes, msg);
        }
        if (err != HL_OK) {
            return err;
        }
    }
    return HL_OK;
}

void hl_aux_loaded(struct hl_abi *abi)
{
    HL_LIST_EACH(l, &abi->aux_later)
    {
        struct later *later = HL_LIST_ENTRY(l, struct later, node);
        struct hl_errmsg msg = {{0}};
        hl_list_remove(l);
        if (load_globals(later->type, later->encver, REDISMODULE_AUX_AFTER_RDB,
                         hl_buf_view(&later->bytes), &msg) != HL_OK) {
            abi->node->world->fatal(abi->node->world->ctx, msg.text);
        }
        hl_buf_fini(&later->bytes);
        hl_free(later);
    }
}

void hl_aux_register(struct hl_abi *abi)
{
    struct hl_state_table table = {
        .name = "module-globals", .ctx = abi, .save = save_table, .load = load_table};
    hl_node_add_table(abi->node, &table);
}
