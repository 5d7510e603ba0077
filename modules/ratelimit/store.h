/* store: limiters and policies in the keyspace.
 *
 *   any key               type hlratelim: the stored form of one limiter; expires when all is there
 *                         again, since a full limiter and none are the same
 *   ratelimit:policies    type hlratepol, in database 0: the named policies
 *
 * Every change of a limiter replicates as `RATELIMIT._PUT key deadline bytes` or DEL: what it is
 * now, nothing to decide.  RATELIMIT.POLICY replicates as it is: it depends on nothing but the
 * table.  The functions below run on the server's thread.
 */
#ifndef RATELIMIT_STORE_H
#define RATELIMIT_STORE_H

#include "helios/module.h"
#include "limiter.h"
#include "policy.h"

/* A key that is open, and the limiter in it. */
struct place {
    RedisModuleString *name; /* borrowed */
    RedisModuleKey *key;     /* NULL: absent, when opened for reading */
    bool present;
    struct limiter limiter; /* when present */
};

/* Register the data types; in OnLoad only.  REDISMODULE_ERR, having logged why. */
int store_register(RedisModuleCtx *ctx);

/* Open a key.  False, with nothing open, when it holds something else.  End it with
 * store_close(). */
bool store_open(RedisModuleCtx *ctx, struct place *place, RedisModuleString *name, bool write);

/* Write place->limiter, to expire `reset_ms` from now, and replicate it; with 0 the key goes.
 * False, nothing changed, when this node may not write. */
bool store_put(RedisModuleCtx *ctx, struct place *place, int64_t reset_ms);

/* Delete the key and replicate that; nothing happens when it is absent. */
void store_drop(RedisModuleCtx *ctx, struct place *place);

/* Close the key. */
void store_close(struct place *place);

/* Open the table of policies: NULL when the key holds something else, or, for reading, nothing.
 * Valid until the key changes; store_policies_changed() deletes the key of a table that became
 * empty.  Leaves the selected database alone. */
struct policies *store_policies(RedisModuleCtx *ctx, bool write);

/* A table that was opened for writing may be empty now: the key goes then. */
void store_policies_changed(RedisModuleCtx *ctx);

/* Milliseconds since the epoch, as the log will have them where there is one; in range. */
int64_t store_now_ms(void);

/* RATELIMIT._PUT: apply an effect.  Refused to clients. */
int cmd_put(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
