/* lines: a module that serves clients of its own, on a thread of its own (server.c), and runs what
 * they ask through HeliosModule_Execute().  LINES.PORT answers where. */
#include "server.h"

#include <errno.h>
#include <string.h>

#define LINES_VERSION 1

static struct lines *lines;

static int cmd_port(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    return argc != 1 ? RedisModule_WrongArity(ctx)
                     : RedisModule_ReplyWithLongLong(ctx, lines_port(lines));
}

/* Arguments: [port [user]] */
int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (RedisModule_Init(ctx, "lines", LINES_VERSION, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    HeliosModule_LookUp(ctx);
    if (HeliosModule_Execute == NULL) {
        RedisModule_Log(ctx, "warning",
                        "this server has no HeliosModule_Execute: load it in Helios");
        return REDISMODULE_ERR;
    }
    long long port = 0;
    if (argc > 2 || (argc >= 1 && (RedisModule_StringToLongLong(argv[0], &port) != REDISMODULE_OK ||
                                   port < 0 || port > 65535))) {
        RedisModule_Log(ctx, "warning", "arguments are: [port [user]]");
        return REDISMODULE_ERR;
    }
    size_t user_len = 7;
    const char *user = argc == 2 ? RedisModule_StringPtrLen(argv[1], &user_len) : "default";
    if (RedisModule_CreateCommand(ctx, "lines.port", cmd_port, "readonly fast admin", 0, 0, 0) !=
        REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    lines = lines_start(ctx, (int)port, user, user_len);
    if (lines == NULL) {
        RedisModule_Log(ctx, "warning", "cannot listen on port %lld: %s", port, strerror(errno));
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    (void)ctx;
    lines_stop(lines);
    return REDISMODULE_OK;
}
