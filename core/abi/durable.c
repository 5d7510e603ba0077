/* Modules as part of the state: what MODULE LOAD loaded is loaded again after a restart.
 *
 * A load is an entry of the log, so a replay meets it before the first effect that needs the
 * module; snapshots carry the list of what was loaded so ("modules": u32 count, then for each u32
 * argc and argc times u32 length and bytes: the path as it was given, and the arguments).  Modules
 * of the configuration file are not in it: the file loads them.
 */
#include "abi/durable.h"

#include "abi/internal.h"

static struct hl_module *loaded_as(struct hl_abi *abi, struct hl_slice asked)
{
    HL_LIST_EACH(m, &abi->modules)
    {
        struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        if (module->asked != NULL && hl_slice_equal(hl_slice_of(module->asked), asked)) {
            return module;
        }
    }
    return NULL;
}

bool hl_durable_has(struct hl_abi *abi, struct hl_slice path)
{
    return loaded_as(abi, path) != NULL;
}

void hl_durable_mark(struct hl_abi *abi, struct hl_slice path)
{
    struct hl_module *module = loaded_as(abi, path);
    if (module != NULL) {
        module->durable = true;
    }
}

static void append_text(struct hl_buf *out, struct hl_slice text)
{
    hl_buf_append_le32(out, (uint32_t)text.len);
    hl_buf_append_slice(out, text);
}

static void save(void *ctx, struct hl_buf *out)
{
    struct hl_abi *abi = ctx;
    uint32_t count = 0;
    size_t at = out->len;
    hl_buf_append_le32(out, 0);
    HL_LIST_EACH(m, &abi->modules)
    {
        const struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        if (!module->durable) {
            continue;
        }
        hl_buf_append_le32(out, 1 + (uint32_t)module->argc);
        append_text(out, hl_slice_of(module->asked));
        for (int i = 0; i < module->argc; i++) {
            append_text(out, hl_string_slice(module->argv[i]));
        }
        count++;
    }
    hl_put_le32(out->ptr + at, count);
}

static bool take_u32(struct hl_slice *in, uint32_t *out)
{
    if (in->len < 4) {
        return false;
    }
    *out = hl_get_le32(in->ptr);
    *in = (struct hl_slice){.ptr = in->ptr + 4, .len = in->len - 4};
    return true;
}

static bool take_text(struct hl_slice *in, struct hl_slice *out)
{
    uint32_t len = 0;
    if (!take_u32(in, &len) || len > in->len) {
        return false;
    }
    *out = (struct hl_slice){.ptr = in->ptr, .len = len};
    *in = (struct hl_slice){.ptr = in->ptr + len, .len = in->len - len};
    return true;
}

static hl_err load_one(struct hl_abi *abi, struct hl_slice *in, struct hl_errmsg *msg)
{
    uint32_t argc = 0;
    if (!take_u32(in, &argc) || argc == 0 || argc > in->len / 4) {
        return HL_ECORRUPT;
    }
    struct hl_slice *argv = hl_calloc(argc, sizeof *argv);
    hl_err err = HL_OK;
    for (uint32_t i = 0; i < argc && err == HL_OK; i++) {
        err = take_text(in, &argv[i]) ? HL_OK : HL_ECORRUPT;
    }
    if (err == HL_OK && !hl_durable_has(abi, argv[0])) {
        char *path = hl_strndup(argv[0].ptr, argv[0].len);
        err = hl_abi_load(abi, path, argv + 1, (int)argc - 1, NULL, 0, msg);
        hl_free(path);
    }
    if (err == HL_OK) {
        hl_durable_mark(abi, argv[0]);
    }
    hl_free(argv);
    return err;
}

static hl_err load(void *ctx, struct hl_slice contents, struct hl_errmsg *msg)
{
    uint32_t count = 0;
    if (!take_u32(&contents, &count)) {
        return HL_ECORRUPT;
    }
    for (uint32_t i = 0; i < count; i++) {
        hl_err err = load_one(ctx, &contents, msg);
        if (err != HL_OK) {
            return err;
        }
    }
    return contents.len == 0 ? HL_OK : HL_ECORRUPT;
}

void hl_durable_register(struct hl_abi *abi)
{
    struct hl_state_table table = {.name = "modules", .ctx = abi, .save = save, .load = load};
    hl_node_add_table(abi->node, &table);
}
