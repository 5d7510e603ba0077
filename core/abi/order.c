#include "abi/order.h"

#include "abi/internal.h"
#include "kit/base64.h"
#include "kit/num.h"

#define SUM_TEXT (2 * HL_OBJECT_SUM)

void hl_order_fini(struct hl_order *order)
{
    hl_free(order->types);
    hl_free(order->sums);
    hl_free(order->settings);
    *order = (struct hl_order){0};
}

void hl_order_plain(struct hl_order *out, const struct hl_slice *words, int count)
{
    HL_ASSERT(count >= 1);
    *out = (struct hl_order){.path = words[0], .argv = words + 1, .argc = count - 1};
}

/* Read the condition or setting that begins at words[at]; how many words it takes, 0: it is none.
 */
static int read_part(struct hl_order *order, const struct hl_slice *words, int left)
{
    if (hl_slice_is(words[0], "config") && left >= 3) {
        order->settings[order->setting_count++] =
            (struct hl_abi_setting){.name = words[1], .value = words[2]};
        return 3;
    }
    if (left < 2) {
        return 0;
    }
    if (hl_slice_is(words[0], "name")) {
        order->name = words[1];
        return 2;
    }
    if (hl_slice_is(words[0], "type")) {
        order->types[order->type_count++] = words[1];
        return 2;
    }
    if (hl_slice_is(words[0], "sha256") && words[1].len == SUM_TEXT &&
        hl_hex_parse(words[1], order->sums[order->sum_count], HL_OBJECT_SUM)) {
        order->sum_count++;
        return 2;
    }
    return 0;
}

hl_err hl_order_read(struct hl_order *out, const struct hl_slice *words, int count,
                     struct hl_errmsg *msg)
{
    HL_ASSERT(count >= 1);
    struct hl_order order = {.path = words[0]};
    order.settings = hl_calloc((size_t)count, sizeof *order.settings);
    order.types = hl_calloc((size_t)count, sizeof *order.types);
    order.sums = hl_calloc((size_t)count, sizeof *order.sums);
    int at = 1;
    for (int took = 1; at < count && took != 0; at += took) {
        took = read_part(&order, words + at, count - at);
    }
    if (at < count && !hl_slice_is(words[at], "args")) {
        hl_order_fini(&order);
        return hl_fail(msg, HL_EINVAL, "Syntax Error from arguments to loadex.");
    }
    order.argv = words + (at < count ? at + 1 : at);
    order.argc = at < count ? count - at - 1 : 0;
    *out = order;
    return HL_OK;
}

bool hl_order_accepts(const struct hl_order *order, const unsigned char *sum)
{
    for (int i = 0; i < order->sum_count; i++) {
        if (memcmp(order->sums[i], sum, HL_OBJECT_SUM) == 0) {
            return true;
        }
    }
    return order->sum_count == 0;
}

/* "name/encoding": does the module have that type, and does it read that encoding? */
static bool has_type(const struct hl_module *module, struct hl_slice text)
{
    const char *slash = text.len == 0 ? NULL : memchr(text.ptr, '/', text.len);
    int64_t encoding = 0;
    if (slash == NULL ||
        !hl_parse_i64(
            (struct hl_slice){.ptr = slash + 1, .len = text.len - (size_t)(slash + 1 - text.ptr)},
            &encoding)) {
        return false;
    }
    struct hl_slice name = {.ptr = text.ptr, .len = (size_t)(slash - text.ptr)};
    HL_LIST_EACH(t, (struct hl_list_node *)&module->types)
    {
        const RedisModuleType *type = HL_LIST_ENTRY(t, RedisModuleType, node);
        if (hl_slice_equal(hl_slice_of(type->name), name)) {
            return (int64_t)(type->id & HL_TYPE_ENCODING_MAX) >= encoding;
        }
    }
    return false;
}

hl_err hl_order_check(const struct hl_order *order, const struct hl_module *module,
                      struct hl_errmsg *msg)
{
    if (order->name.len != 0 && !hl_slice_equal(hl_slice_of(module->name), order->name)) {
        return hl_fail(msg, HL_EINVAL, "%s is the module '%s', not '%.*s'", module->path,
                       module->name, (int)order->name.len, order->name.ptr);
    }
    if (module->object == NULL || hl_order_accepts(order, hl_object_sum(module->object))) {
        return HL_OK;
    }
    if (order->name.len == 0) {
        return hl_fail(msg, HL_EINVAL, "%s: its sha256 is not one of those that are accepted",
                       module->path);
    }
    for (int i = 0; i < order->type_count; i++) {
        if (!has_type(module, order->types[i])) {
            return hl_fail(msg, HL_EINVAL,
                           "%s is not one of the accepted files, and does not read the type %.*s",
                           module->path, (int)order->types[i].len, order->types[i].ptr);
        }
    }
    return HL_OK;
}

/* --- words ------------------------------------------------------------------------------------ */

void hl_words_add(struct hl_words *words, struct hl_slice text)
{
    if (words->count == words->cap) {
        words->cap = words->cap == 0 ? 8 : words->cap * 2;
        words->at = hl_realloc(words->at, (size_t)words->cap * sizeof *words->at);
    }
    words->at[words->count++] = (struct hl_slice){
        .ptr = hl_strndup(text.len == 0 ? "" : text.ptr, text.len), .len = text.len};
}

void hl_words_add_sum(struct hl_words *words, const unsigned char *sum)
{
    char text[SUM_TEXT + 1];
    hl_hex_format(text, sum, HL_OBJECT_SUM);
    struct hl_slice slice = {.ptr = text, .len = SUM_TEXT};
    for (int i = 0; i < words->count; i++) {
        if (hl_slice_equal(words->at[i], slice)) {
            return;
        }
    }
    hl_words_add(words, hl_slice_of("SHA256"));
    hl_words_add(words, slice);
}

void hl_words_fini(struct hl_words *words)
{
    for (int i = 0; i < words->count; i++) {
        hl_free((char *)words->at[i].ptr);
    }
    hl_free(words->at);
    *words = (struct hl_words){0};
}

void hl_order_write_rest(const struct hl_order *order, const struct hl_module *module,
                         struct hl_words *out)
{
    hl_words_add(out, hl_slice_of("NAME"));
    hl_words_add(out, hl_slice_of(module->name));
    HL_LIST_EACH(t, (struct hl_list_node *)&module->types)
    {
        const RedisModuleType *type = HL_LIST_ENTRY(t, RedisModuleType, node);
        struct hl_buf text = {0};
        hl_buf_printf(&text, "%s/%d", type->name, (int)(type->id & HL_TYPE_ENCODING_MAX));
        hl_words_add(out, hl_slice_of("TYPE"));
        hl_words_add(out, hl_buf_view(&text));
        hl_buf_fini(&text);
    }
    for (int i = 0; i < order->setting_count; i++) {
        hl_words_add(out, hl_slice_of("CONFIG"));
        hl_words_add(out, order->settings[i].name);
        hl_words_add(out, order->settings[i].value);
    }
    if (order->argc != 0) {
        hl_words_add(out, hl_slice_of("ARGS"));
    }
    for (int i = 0; i < order->argc; i++) {
        hl_words_add(out, order->argv[i]);
    }
}

void hl_order_write(const struct hl_order *order, const struct hl_module *module,
                    const struct hl_slice *sums, uint32_t sum_count, struct hl_words *out)
{
    hl_words_add(out, order->path);
    if (module->object != NULL) {
        hl_words_add_sum(out, hl_object_sum(module->object));
    }
    for (uint32_t i = 0; i < sum_count; i++) {
        if (sums[i].len == HL_OBJECT_SUM) {
            hl_words_add_sum(out, (const unsigned char *)sums[i].ptr);
        }
    }
    for (int i = 0; i < order->sum_count; i++) {
        hl_words_add_sum(out, order->sums[i]);
    }
    hl_order_write_rest(order, module, out);
}
