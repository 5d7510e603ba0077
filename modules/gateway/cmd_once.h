/* Running a command once. */
#ifndef GATEWAY_CMD_ONCE_H
#define GATEWAY_CMD_ONCE_H

#include "helios/module.h"

/* GATEWAY.ONCE key field digest ttl-ms command [argument ...]
 * [0, reply] when it ran now, [1, reply] when it had run before; the error of the command, which is
 * not remembered; ONCEDIFFERS, ONCEFULL. */
int gw_cmd_once(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
