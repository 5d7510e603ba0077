/* INFO: sections that modules add, and INFO taken apart for modules. */
#include "abi/unit.h"
#include "kit/num.h"

#include <stdlib.h>

struct RedisModuleInfoCtx {
    const struct hl_module *module;
    const struct hl_slice *wanted; /* NULL: every section */
    struct hl_buf *out;
    bool in_section; /* fields are wanted now */
    bool in_dict;
    bool first; /* of the dictionary */
};

/* Whether the section "module" or "module_name" is asked for. */
static bool is_wanted(const RedisModuleInfoCtx *info, const char *full)
{
    return info->wanted == NULL || hl_slice_is(*info->wanted, info->module->name) ||
           hl_slice_is(*info->wanted, full);
}

/* A name or value inside INFO: no line end, and in a dictionary none of its separators. */
static void append_clean(RedisModuleInfoCtx *info, struct hl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool bad = c == '\r' || c == '\n' || (info->in_dict && (c == ',' || c == '='));
        hl_buf_append(info->out, bad ? "_" : &c, 1);
    }
}

int hl_rm_InfoEndDictField(RedisModuleInfoCtx *ctx)
{
    if (!ctx->in_dict) {
        return REDISMODULE_ERR;
    }
    ctx->in_dict = false;
    hl_buf_append_text(ctx->out, "\r\n");
    return REDISMODULE_OK;
}

int hl_rm_InfoAddSection(RedisModuleInfoCtx *ctx, const char *name)
{
    struct hl_buf full = {0};
    bool plain = name == NULL || name[0] == '\0';
    (void)hl_rm_InfoEndDictField(ctx);
    hl_buf_printf(&full, plain ? "%s" : "%s_%s", ctx->module->name, name);
    hl_buf_append_u8(&full, 0);
    ctx->in_section = is_wanted(ctx, full.ptr);
    if (ctx->in_section) {
        hl_buf_append_text(ctx->out, ctx->out->len == 0 ? "# " : "\r\n# ");
        append_clean(ctx, hl_slice_of(full.ptr));
        hl_buf_append_text(ctx->out, "\r\n");
    }
    hl_buf_fini(&full);
    return ctx->in_section ? REDISMODULE_OK : REDISMODULE_ERR;
}

int hl_rm_InfoBeginDictField(RedisModuleInfoCtx *ctx, const char *name)
{
    if (!ctx->in_section) {
        return REDISMODULE_ERR;
    }
    (void)hl_rm_InfoEndDictField(ctx);
    hl_buf_printf(ctx->out, "%s_", ctx->module->name);
    append_clean(ctx, hl_slice_of(name));
    hl_buf_append_text(ctx->out, ":");
    ctx->in_dict = true;
    ctx->first = true;
    return REDISMODULE_OK;
}

static int add_field(RedisModuleInfoCtx *ctx, const char *field, struct hl_slice value)
{
    if (!ctx->in_section) {
        return REDISMODULE_ERR;
    }
    if (ctx->in_dict) {
        hl_buf_append_text(ctx->out, ctx->first ? "" : ",");
        ctx->first = false;
    } else {
        hl_buf_printf(ctx->out, "%s_", ctx->module->name);
    }
    append_clean(ctx, hl_slice_of(field));
    hl_buf_append_text(ctx->out, ctx->in_dict ? "=" : ":");
    append_clean(ctx, value);
    hl_buf_append_text(ctx->out, ctx->in_dict ? "" : "\r\n");
    return REDISMODULE_OK;
}

int hl_rm_InfoAddFieldString(RedisModuleInfoCtx *ctx, const char *field, RedisModuleString *value)
{
    return add_field(ctx, field, hl_string_slice(value));
}

int hl_rm_InfoAddFieldCString(RedisModuleInfoCtx *ctx, const char *field, const char *value)
{
    return add_field(ctx, field, hl_slice_of(value));
}

int hl_rm_InfoAddFieldDouble(RedisModuleInfoCtx *ctx, const char *field, double value)
{
    char text[HL_DOUBLE_TEXT_MAX];
    int len = hl_format_double(text, value);
    return add_field(ctx, field, (struct hl_slice){.ptr = text, .len = (size_t)len});
}

int hl_rm_InfoAddFieldLongLong(RedisModuleInfoCtx *ctx, const char *field, long long value)
{
    char text[HL_I64_TEXT_MAX];
    int len = hl_format_i64(text, value);
    return add_field(ctx, field, (struct hl_slice){.ptr = text, .len = (size_t)len});
}

int hl_rm_InfoAddFieldULongLong(RedisModuleInfoCtx *ctx, const char *field,
                                unsigned long long value)
{
    struct hl_buf text = {0};
    hl_buf_printf(&text, "%llu", value);
    int result = add_field(ctx, field, hl_buf_view(&text));
    hl_buf_fini(&text);
    return result;
}

int hl_rm_RegisterInfoFunc(RedisModuleCtx *ctx, RedisModuleInfoFunc cb)
{
    if (ctx->module == NULL) {
        return REDISMODULE_ERR;
    }
    ctx->module->info = cb;
    return REDISMODULE_OK;
}

void hl_info_sections(struct hl_abi *abi, const struct hl_slice *section, struct hl_buf *out)
{
    HL_LIST_EACH(m, &abi->modules)
    {
        struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        if (module->info == NULL) {
            continue;
        }
        RedisModuleInfoCtx info = {.module = module, .wanted = section, .out = out};
        RedisModuleCtx ctx;
        hl_ctx_init(&ctx, abi, module);
        hl_frame_begin(&ctx);
        module->info(&info, 0);
        (void)hl_rm_InfoEndDictField(&info);
        hl_ctx_fini(&ctx);
        (void)hl_frame_end(&ctx);
    }
}

void hl_info_modules(struct hl_abi *abi, struct hl_buf *out)
{
    HL_LIST_EACH(m, &abi->modules)
    {
        const struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        hl_buf_printf(out, "module:name=%s,ver=%d,api=%d,filters=%d,usedby=[", module->name,
                      module->version, module->apiver, hl_filter_count(module));
        hl_export_print_users(module, out);
        hl_buf_append_text(out, "],using=[");
        hl_export_print_used(module, out);
        hl_buf_printf(out, "],options=[%s]\r\n",
                      (module->options & REDISMODULE_OPTIONS_HANDLE_IO_ERRORS) != 0
                          ? "handle-io-errors"
                          : "");
    }
    hl_execute_info(abi, out);
}

/* ---- INFO taken apart ---- */

/* The text, cut in place: "name\0value\0" for each field. */
struct RedisModuleServerInfoData {
    struct hl_buf text;
    struct {
        const char *name, *value;
    } * fields;
    size_t count;
};

/* Cut the lines "name:value" into fields. */
static void cut(RedisModuleServerInfoData *data)
{
    size_t lines = 0;
    for (size_t i = 0; i < data->text.len; i++) {
        lines += data->text.ptr[i] == '\n';
    }
    data->fields = hl_calloc(lines + 1, sizeof *data->fields);
    hl_buf_append_u8(&data->text, 0);
    char *save = NULL;
    for (char *line = strtok_r(data->text.ptr, "\r\n", &save); line != NULL;
         line = strtok_r(NULL, "\r\n", &save)) {
        char *colon = strchr(line, ':');
        if (line[0] == '#' || colon == NULL) {
            continue;
        }
        *colon = '\0';
        data->fields[data->count].name = line;
        data->fields[data->count++].value = colon + 1;
    }
}

RedisModuleServerInfoData *hl_rm_GetServerInfo(RedisModuleCtx *ctx, const char *section)
{
    const struct hl_abi_services *services = hl_abi_current->services;
    RedisModuleServerInfoData *data = hl_calloc(1, sizeof *data);
    (void)ctx;
    if (services->info != NULL) {
        services->info(services->ctx, hl_slice_of(section == NULL ? "" : section), &data->text);
    }
    cut(data);
    return data;
}

void hl_rm_FreeServerInfo(RedisModuleCtx *ctx, RedisModuleServerInfoData *data)
{
    (void)ctx;
    if (data != NULL) {
        hl_buf_fini(&data->text);
        hl_free(data->fields);
        hl_free(data);
    }
}

const char *hl_rm_ServerInfoGetFieldC(RedisModuleServerInfoData *data, const char *field)
{
    for (size_t i = 0; i < data->count; i++) {
        if (strcmp(data->fields[i].name, field) == 0) {
            return data->fields[i].value;
        }
    }
    return NULL;
}

RedisModuleString *hl_rm_ServerInfoGetField(RedisModuleCtx *ctx, RedisModuleServerInfoData *data,
                                            const char *field)
{
    const char *value = hl_rm_ServerInfoGetFieldC(data, field);
    return value == NULL ? NULL : hl_rm_CreateString(ctx, value, strlen(value));
}

static void outcome(int *out_err, bool good)
{
    if (out_err != NULL) {
        *out_err = good ? REDISMODULE_OK : REDISMODULE_ERR;
    }
}

long long hl_rm_ServerInfoGetFieldSigned(RedisModuleServerInfoData *data, const char *field,
                                         int *out_err)
{
    const char *value = hl_rm_ServerInfoGetFieldC(data, field);
    int64_t number = 0;
    outcome(out_err, value != NULL && hl_parse_i64(hl_slice_of(value), &number));
    return number;
}

unsigned long long hl_rm_ServerInfoGetFieldUnsigned(RedisModuleServerInfoData *data,
                                                    const char *field, int *out_err)
{
    const char *value = hl_rm_ServerInfoGetFieldC(data, field);
    uint64_t number = 0;
    outcome(out_err, value != NULL && hl_parse_u64(hl_slice_of(value), &number));
    return number;
}

double hl_rm_ServerInfoGetFieldDouble(RedisModuleServerInfoData *data, const char *field,
                                      int *out_err)
{
    const char *value = hl_rm_ServerInfoGetFieldC(data, field);
    double number = 0;
    outcome(out_err, value != NULL && hl_parse_double(hl_slice_of(value), &number));
    return number;
}
