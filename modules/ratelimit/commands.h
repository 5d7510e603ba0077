/* The commands, one function each, and what they share. */
#ifndef RATELIMIT_COMMANDS_H
#define RATELIMIT_COMMANDS_H

#include "helios/module.h"
#include "sketch.h"
#include "store.h"

#define ASKS_MAX 16 /* limits in one call */

/* What goes wrong in the same words everywhere. */
#define ERROR_SYNTAX "ERR syntax error"
#define ERROR_NUMBER "ERR value is not an integer or out of range"
#define ERROR_LIMIT                                                                                \
    "ERR the limit is out of range: capacity 1 to 10^12 (window 10^9), rates 1 to 10^9, and at "   \
    "most fifty years to fill"
#define ERROR_READ_ONLY "READONLY This node does not decide about limits"

/* The arguments that are not yet read. */
struct words {
    RedisModuleString **argv;
    int argc;
    int at; /* next argument */
};

/* True, and past it, when the next argument is `word` in any case. */
bool words_take(struct words *words, const char *word);

/* Read the next argument as an integer of min..max and go past it; false otherwise. */
bool words_int(struct words *words, int64_t min, int64_t max, int64_t *out);

/* The next argument; empty at the end. */
struct hl_slice words_peek(const struct words *words);

/* Read `capacity num den`, or the name of an algorithm and its numbers.  NULL, or the error. */
const char *words_limit(struct words *words, struct limit *out);

/* Counters since the module was loaded, on this node. */
struct stats {
    unsigned long long allowed, refused, looked, refunded, reset;
};

/* The counters. */
struct stats *stats(void);

/* A key was asked for tokens: count it, and remember who asks most. */
void note(RedisModuleString *key, bool refused);

/* Forget who asked. */
void note_end(void);

/* Bytes of the sketch; 0 when there is none. */
size_t note_bytes(void);

/* RATELIMIT.TAKE */
int cmd_take(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RATELIMIT.PEEK */
int cmd_peek(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RATE_TAKE: the name of the first HELIOS, whose order of arguments it understands too. */
int cmd_rate_take(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RATELIMIT.REFUND */
int cmd_refund(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RATELIMIT.RESET */
int cmd_reset(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RATELIMIT.GET */
int cmd_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RATELIMIT.POLICY */
int cmd_policy(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RATELIMIT.TOP */
int cmd_top(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RATELIMIT.HELP */
int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* CL.THROTTLE */
int cmd_throttle(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Tell the server what the commands mean (COMMAND DOCS): docs.c. */
void docs_register(RedisModuleCtx *ctx);

#endif
