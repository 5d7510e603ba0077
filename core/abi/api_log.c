/* Lines of modules in the server's log, and their last words. */
#include "abi/internal.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX_BYTES 1024 /* as Redis: what is longer is cut */

static enum hl_abi_log level_of(const char *word)
{
    static const struct {
        const char *word;
        enum hl_abi_log level;
    } levels[] = {
        {"debug", HL_ABI_LOG_DEBUG},
        {"verbose", HL_ABI_LOG_VERBOSE},
        {"notice", HL_ABI_LOG_NOTICE},
        {"warning", HL_ABI_LOG_WARNING},
    };
    for (size_t i = 0; word != NULL && i < HL_ARRAY_LEN(levels); i++) {
        if (hl_slice_is(hl_slice_of(word), levels[i].word)) {
            return levels[i].level;
        }
    }
    return HL_ABI_LOG_VERBOSE;
}

/* One line: "<module> text", without line ends inside. */
static void line(struct hl_abi *abi, const struct hl_module *module, const char *level,
                 const char *fmt, va_list args)
{
    struct hl_buf text = {0};
    hl_buf_printf(&text, "<%s> ", module == NULL || module->name == NULL ? "module" : module->name);
    hl_buf_vprintf(&text, fmt, args);
    size_t len = text.len < LINE_MAX_BYTES ? text.len : LINE_MAX_BYTES;
    for (size_t i = 0; i < len; i++) {
        if (text.ptr[i] == '\n' || text.ptr[i] == '\r') {
            text.ptr[i] = ' ';
        }
    }
    char *copy = hl_strndup(text.ptr, len);
    abi->services->log(abi->services->ctx, level_of(level), copy);
    hl_free(copy);
    hl_buf_fini(&text);
}

void hl_rm_Log(RedisModuleCtx *ctx, const char *level, const char *fmt, ...)
{
    struct hl_abi *abi = ctx == NULL ? hl_abi_current : ctx->abi;
    const struct hl_module *module = ctx == NULL ? NULL : ctx->module;
    va_list args;
    va_start(args, fmt);
    line(abi, module, level, fmt, args);
    va_end(args);
}

void hl_rm_LogIOError(RedisModuleIO *io, const char *levelstr, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    line(io->abi, io->type == NULL ? NULL : io->type->module, levelstr, fmt, args);
    va_end(args);
}

void hl_rm__Assert(const char *estr, const char *file, int line_number)
{
    char text[LINE_MAX_BYTES];
    snprintf(text, sizeof text, "=== ASSERTION FAILED in a module ===  %s:%d '%s' is not true",
             file, line_number, estr);
    hl_abi_current->services->log(hl_abi_current->services->ctx, HL_ABI_LOG_WARNING, text);
    abort();
}
