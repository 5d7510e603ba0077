/* Modules as part of the state: what MODULE LOAD loaded is loaded again after a restart.
 *
 * A load is an entry of the log, so a replay meets it before the first effect that needs the
 * module; snapshots carry the list of what was loaded so ("modules": u32 count, then for each u32
 * number of words and that many times u32 length and bytes: the words of order.h).  Modules of the
 * configuration file are not in it: the file loads them.
 *
 *   M1  when the state has been made anew, from a snapshot and the log, exactly the modules are
 *       loaded that these name, and those of the configuration file.
 */
#include "abi/durable.h"

#include "abi/agree.h"

struct hl_module *hl_durable_find(struct hl_abi *abi, const struct hl_order *order)
{
    if (order->name.len != 0) {
        return hl_module_find(abi, order->name);
    }
    HL_LIST_EACH(m, &abi->modules)
    {
        struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        if (module->asked != NULL && hl_slice_equal(hl_slice_of(module->asked), order->path)) {
            return module;
        }
    }
    return NULL;
}

void hl_durable_mark(struct hl_module *module, const struct hl_slice *words, int count)
{
    struct hl_words copy = {0};
    for (int i = 0; i < count; i++) {
        hl_words_add(&copy, words[i]);
    }
    hl_words_fini(&module->order);
    module->order = copy;
    module->durable = true;
    module->obsolete = false;
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
        hl_buf_append_le32(out, (uint32_t)module->order.count);
        for (int i = 0; i < module->order.count; i++) {
            append_text(out, module->order.at[i]);
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

static hl_err carry_out(struct hl_abi *abi, const struct hl_order *order,
                        const struct hl_slice *words, int count, struct hl_errmsg *msg)
{
    struct hl_module *module = hl_durable_find(abi, order);
    hl_err err = module == NULL ? hl_module_load(abi, order, &module, msg) : HL_OK;
    if (err == HL_OK) {
        hl_durable_mark(module, words, count);
    }
    return err;
}

/* Is there a file for it? */
static hl_err look(struct hl_abi *abi, const struct hl_order *order, const struct hl_slice *words,
                   int count, struct hl_errmsg *msg)
{
    (void)words;
    (void)count;
    unsigned char sum[HL_OBJECT_SUM];
    return hl_durable_find(abi, order) != NULL ? HL_OK
                                               : hl_agree_probe(abi, order->path, true, sum, msg);
}

typedef hl_err act_fn(struct hl_abi *abi, const struct hl_order *order,
                      const struct hl_slice *words, int count, struct hl_errmsg *msg);

static hl_err one_order(struct hl_abi *abi, struct hl_slice *in, act_fn *act, struct hl_errmsg *msg)
{
    uint32_t count = 0;
    if (!take_u32(in, &count) || count == 0 || count > in->len / 4) {
        return HL_ECORRUPT;
    }
    struct hl_slice *words = hl_calloc(count, sizeof *words);
    struct hl_order order = {0};
    hl_err err = HL_OK;
    for (uint32_t i = 0; i < count && err == HL_OK; i++) {
        err = take_text(in, &words[i]) ? HL_OK : HL_ECORRUPT;
    }
    err = err == HL_OK ? hl_order_read(&order, words, (int)count, msg) : err;
    if (err == HL_OK) {
        order.elsewhere = true;
        err = act(abi, &order, words, (int)count, msg);
        hl_order_fini(&order);
    }
    hl_free(words);
    return err;
}

static hl_err each_order(struct hl_abi *abi, struct hl_slice contents, act_fn *act,
                         struct hl_errmsg *msg)
{
    uint32_t count = 0;
    hl_err err = take_u32(&contents, &count) ? HL_OK : HL_ECORRUPT;
    for (uint32_t i = 0; i < count && err == HL_OK; i++) {
        err = one_order(abi, &contents, act, msg);
    }
    return err == HL_OK && contents.len != 0 ? HL_ECORRUPT : err;
}

static hl_err check(void *ctx, struct hl_slice contents, struct hl_errmsg *msg)
{
    return each_order(ctx, contents, look, msg);
}

/* Its state is about to be made anew, so it begins anew, too; if it cannot go now it is kept, and
 * judged when it is known whether the state has it. */
static void drop(struct hl_module *module)
{
    struct hl_errmsg msg = {{0}};
    module->durable = false;
    if (!module->configured) {
        module->obsolete = true;
        hl_err err = hl_module_force_out(module, &msg);
        HL_MAYBE(err != HL_OK);
    }
}

static hl_err load(void *ctx, struct hl_slice contents, struct hl_errmsg *msg)
{
    struct hl_abi *abi = ctx;
    HL_LIST_EACH(m, &abi->modules)
    {
        struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        if (module->durable) {
            drop(module);
        }
    }
    return each_order(abi, contents, carry_out, msg);
}

void hl_durable_settle(struct hl_abi *abi)
{
    HL_LIST_EACH(m, &abi->modules)
    {
        struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        struct hl_errmsg msg = {{0}};
        if (!module->obsolete) {
            continue;
        }
        if (hl_module_force_out(module, &msg) != HL_OK) { /* M1 */
            struct hl_errmsg why = {{0}};
            (void)hl_fail(&why, HL_EBUSY,
                          "module %.64s was loaded by an order that was undone, and cannot be "
                          "unloaded: %.180s: this server must be started again",
                          module->name, msg.text);
            abi->node->world->fatal(abi->node->world->ctx, why.text);
        }
    }
}

void hl_durable_register(struct hl_abi *abi)
{
    struct hl_state_table table = {
        .name = "modules", .ctx = abi, .save = save, .load = load, .check = check};
    hl_node_add_table(abi->node, &table);
}
