/* The functions of the module ABI, part of helios/module.h: what a command uses: memory, strings,
 * arguments, replies, calls of other commands.
 *
 * Each is a pointer that RedisModule_Init() fills, NULL when the server lacks it: whoever uses one
 * newer than he requires tests it first.  "7.2" at the end of a comment: since that version of
 * Redis; no number: since 4.0.
 */
#ifndef HELIOS_MODULE_CALLS_H
#define HELIOS_MODULE_CALLS_H

#include "helios/module_types.h"

/* ---- Module ---------------------------------------------------------------------------------- */

/* Give the module its name and version. RedisModule_Init() does it; call it yourself never. */
HELIOS_API void (*RedisModule_SetModuleAttribs)(RedisModuleCtx *ctx, const char *name, int ver,
                                                int apiver);

/* 1 when a module of that name is loaded. */
HELIOS_API int (*RedisModule_IsModuleNameBusy)(const char *name);

/* Declare what the module copes with: REDISMODULE_OPTION(S)_*, or-ed; replaces what was set
 * before. 6.0. */
HELIOS_API void (*RedisModule_SetModuleOptions)(RedisModuleCtx *ctx, int options);

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Memory that counts towards maxmemory; never NULL, the server aborts instead. End it with Free. */
HELIOS_API void *(*RedisModule_Alloc)(size_t bytes);

/* Like Alloc, but NULL when refused: for sizes that a client chose. 7.0. */
HELIOS_API void *(*RedisModule_TryAlloc)(size_t bytes);

/* Resize what Alloc gave (or NULL); never NULL. */
HELIOS_API void *(*RedisModule_Realloc)(void *ptr, size_t bytes);

/* Like Realloc, but NULL when refused, the old block being kept. 7.4. */
HELIOS_API void *(*RedisModule_TryRealloc)(void *ptr, size_t bytes);

/* Give memory of this family back; NULL is allowed. */
HELIOS_API void (*RedisModule_Free)(void *ptr);

/* Zeroed memory for nmemb items; never NULL. */
HELIOS_API void *(*RedisModule_Calloc)(size_t nmemb, size_t size);

/* Like Calloc, but NULL when refused. 7.4. */
HELIOS_API void *(*RedisModule_TryCalloc)(size_t nmemb, size_t size);

/* A copy of a C string, to be ended with Free. */
HELIOS_API char *(*RedisModule_Strdup)(const char *str);

/* From here on, strings, keys, replies and dictionaries made with this context end with it. Call
 * it first in a command; then free by hand only what is big. */
HELIOS_API void (*RedisModule_AutoMemory)(RedisModuleCtx *ctx);

/* Scratch memory that ends with the context, never freed by hand: for many small pieces. NULL
 * when bytes is 0. */
HELIOS_API void *(*RedisModule_PoolAlloc)(RedisModuleCtx *ctx, size_t bytes);

/* Used memory over maxmemory: 0 without a limit, over 1 when it is exceeded. 6.0. */
HELIOS_API float (*RedisModule_GetUsedMemoryRatio)(void);

/* The bytes that a block of Alloc really takes. 6.0. */
HELIOS_API size_t (*RedisModule_MallocSize)(void *ptr);

/* The bytes of a block that may be written, at least what was asked for. 7.0. */
HELIOS_API size_t (*RedisModule_MallocUsableSize)(void *ptr);

/* The bytes that a string takes, its header included. 7.0. */
HELIOS_API size_t (*RedisModule_MallocSizeString)(RedisModuleString *str);

/* The bytes that a dictionary takes, what its values point to excluded. 7.0. */
HELIOS_API size_t (*RedisModule_MallocSizeDict)(RedisModuleDict *dict);

/* ---- Commands -------------------------------------------------------------------------------- */

/* Register a command, in OnLoad only. strflags: words such as "write", "readonly", "deny-oom",
 * "fast", "blocking", "getkeys-api". Keys are the arguments firstkey to lastkey (negative: from
 * the end) every keystep; 0, 0, 0 when there are none. ERR when the name is taken or a word is
 * unknown. */
HELIOS_API int (*RedisModule_CreateCommand)(RedisModuleCtx *ctx, const char *name,
                                            RedisModuleCmdFunc cmdfunc, const char *strflags,
                                            int firstkey, int lastkey, int keystep);

/* The handle of a command of this module, for CreateSubcommand and SetCommandInfo; NULL for
 * others. Lives as long as the module. 7.0. */
HELIOS_API RedisModuleCommand *(*RedisModule_GetCommand)(RedisModuleCtx *ctx, const char *name);

/* Register `parent name`; the parent's function may be NULL when it only holds such. Arguments
 * as for CreateCommand, keys counted from the parent's name. 7.0. */
HELIOS_API int (*RedisModule_CreateSubcommand)(RedisModuleCommand *parent, const char *name,
                                               RedisModuleCmdFunc cmdfunc, const char *strflags,
                                               int firstkey, int lastkey, int keystep);

/* Describe a command for COMMAND DOCS and COMMAND INFO: everything is copied. Once per command;
 * ERR when the info is inconsistent. 7.0. */
HELIOS_API int (*RedisModule_SetCommandInfo)(RedisModuleCommand *command,
                                             const RedisModuleCommandInfo *info);

/* Put a command into ACL categories, words separated by spaces; in OnLoad only. 7.2. */
HELIOS_API int (*RedisModule_SetCommandACLCategories)(RedisModuleCommand *command,
                                                      const char *ctgrsflags);

/* Make a new ACL category, in OnLoad only. ERR when the name is taken or malformed, or the table
 * is full. 7.4. */
HELIOS_API int (*RedisModule_AddACLCategory)(RedisModuleCtx *ctx, const char *name);

/* 1 when the command runs only to name its keys, having the flag getkeys-api: then report them
 * with KeyAtPos, and do nothing else. */
HELIOS_API int (*RedisModule_IsKeysPositionRequest)(RedisModuleCtx *ctx);

/* Report that argument pos is a key. */
HELIOS_API void (*RedisModule_KeyAtPos)(RedisModuleCtx *ctx, int pos);

/* Report that argument pos is a key, used as flags (REDISMODULE_CMD_KEY_*) say. 7.0. */
HELIOS_API void (*RedisModule_KeyAtPosWithFlags)(RedisModuleCtx *ctx, int pos, int flags);

/* 1 when the command runs only to name its channels, having the flag getchannels-api. 7.0. */
HELIOS_API int (*RedisModule_IsChannelsPositionRequest)(RedisModuleCtx *ctx);

/* Report that argument pos is a channel, used as flags (REDISMODULE_CMD_CHANNEL_*) say. 7.0. */
HELIOS_API void (*RedisModule_ChannelAtPosWithFlags)(RedisModuleCtx *ctx, int pos, int flags);

/* The positions of the keys in a command line, to be ended with Free. NULL with errno: ENOENT
 * unknown command, EINVAL bad arity, 0 no keys. 6.0. */
HELIOS_API int *(*RedisModule_GetCommandKeys)(RedisModuleCtx *ctx, RedisModuleString **argv,
                                              int argc, int *num_keys);

/* Like GetCommandKeys, and *out_flags (may be NULL) gets one flag word per key, to be ended with
 * Free as well. 7.0. */
HELIOS_API int *(*RedisModule_GetCommandKeysWithFlags)(RedisModuleCtx *ctx,
                                                       RedisModuleString **argv, int argc,
                                                       int *num_keys, int **out_flags);

/* The full name of the command that runs, borrowed; NULL outside commands. 6.2. */
HELIOS_API const char *(*RedisModule_GetCurrentCommandName)(RedisModuleCtx *ctx);

/* ---- Context and clients --------------------------------------------------------------------- */

/* The database this context works on. */
HELIOS_API int (*RedisModule_GetSelectedDb)(RedisModuleCtx *ctx);

/* Work on another database from here on; ERR when there is none of that number. */
HELIOS_API int (*RedisModule_SelectDb)(RedisModuleCtx *ctx, int newid);

/* The id of the client that called; 0 when none did; UINT64_MAX while the log is replayed. */
HELIOS_API unsigned long long (*RedisModule_GetClientId)(RedisModuleCtx *ctx);

/* The user name of a connected client, a new string; NULL with errno ENOENT when it is gone,
 * ENOTSUP when it has no user. 6.2. */
HELIOS_API RedisModuleString *(*RedisModule_GetClientUserNameById)(RedisModuleCtx *ctx,
                                                                   uint64_t id);

/* Fill a RedisModuleClientInfo, whose version the caller has set. ERR when the client is gone or
 * the version unknown; with ci NULL only tells whether it is there. 6.0. */
HELIOS_API int (*RedisModule_GetClientInfoById)(void *ci, uint64_t id);

/* What the client called itself by CLIENT SETNAME, a new string; NULL when nothing or gone. 7.0. */
HELIOS_API RedisModuleString *(*RedisModule_GetClientNameById)(RedisModuleCtx *ctx, uint64_t id);

/* Name a client, as CLIENT SETNAME does. ERR with errno ENOENT when gone, EINVAL for bad
 * characters. 7.0. */
HELIOS_API int (*RedisModule_SetClientNameById)(uint64_t id, RedisModuleString *name);

/* PUBLISH; returns how many clients of this node received it. 6.0. */
HELIOS_API int (*RedisModule_PublishMessage)(RedisModuleCtx *ctx, RedisModuleString *channel,
                                             RedisModuleString *message);

/* SPUBLISH; returns how many clients of this node received it. 7.0. */
HELIOS_API int (*RedisModule_PublishMessageShard)(RedisModuleCtx *ctx, RedisModuleString *channel,
                                                  RedisModuleString *message);

/* What holds now: REDISMODULE_CTX_FLAGS_*, or-ed. ctx may be NULL for what does not depend on a
 * client. */
HELIOS_API int (*RedisModule_GetContextFlags)(RedisModuleCtx *ctx);

/* 1 while writes must not reach replicas (a manual failover is under way): a timer that writes
 * should then wait. 6.0. */
HELIOS_API int (*RedisModule_AvoidReplicaTraffic)(void);

/* All context flags that this server knows, or-ed. 6.0. */
HELIOS_API int (*RedisModule_GetContextFlagsAll)(void);

/* All module options that this server knows, or-ed. 7.2. */
HELIOS_API int (*RedisModule_GetModuleOptionsAll)(void);

/* The version of the Redis API served, as 0x00MMmmpp. 6.0. */
HELIOS_API int (*RedisModule_GetServerVersion)(void);

/* Hide argument pos from SLOWLOG and MONITOR. ERR outside a command, or out of range. 7.0. */
HELIOS_API int (*RedisModule_RedactClientCommandArgument)(RedisModuleCtx *ctx, int pos);

/* The PEM certificate of a TLS client, a new string; NULL when it showed none. 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_GetClientCertificate)(RedisModuleCtx *ctx, uint64_t id);

/* ---- Strings --------------------------------------------------------------------------------- */

/* A new string of len bytes at ptr (copied). ctx may be NULL: then nothing frees it
 * automatically. End it with FreeString. */
HELIOS_API RedisModuleString *(*RedisModule_CreateString)(RedisModuleCtx *ctx, const char *ptr,
                                                          size_t len);

/* A new string, the decimal text of ll. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromLongLong)(RedisModuleCtx *ctx,
                                                                      long long ll);

/* A new string, the decimal text of ull. 7.0. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromULongLong)(RedisModuleCtx *ctx,
                                                                       unsigned long long ull);

/* A new string, the shortest text of d that is exact. 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromDouble)(RedisModuleCtx *ctx, double d);

/* A new string, the text of ld; humanfriendly: without exponent and trailing zeros. 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromLongDouble)(RedisModuleCtx *ctx,
                                                                        long double ld,
                                                                        int humanfriendly);

/* A new string with the bytes of str. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromString)(RedisModuleCtx *ctx,
                                                                    const RedisModuleString *str);

/* A new string, "ms-seq". 6.2. */
HELIOS_API
RedisModuleString *(*RedisModule_CreateStringFromStreamID)(RedisModuleCtx *ctx,
                                                           const RedisModuleStreamID *id);

/* A new string, formatted as printf does. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringPrintf)(RedisModuleCtx *ctx,
                                                                const char *fmt,
                                                                ...)HELIOS_PRINTF(2, 3);

/* Drop one reference. ctx as it was at creation. */
HELIOS_API void (*RedisModule_FreeString)(RedisModuleCtx *ctx, RedisModuleString *str);

/* The bytes, borrowed while the string lives and does not change; *len (may be NULL) gets their
 * number. There is a NUL behind them. */
HELIOS_API const char *(*RedisModule_StringPtrLen)(const RedisModuleString *str, size_t *len);

/* Read a whole string as an integer; ERR when it is none, *ll being left alone. */
HELIOS_API int (*RedisModule_StringToLongLong)(const RedisModuleString *str, long long *ll);

/* Read a whole string as an unsigned integer; ERR when it is none. 7.0. */
HELIOS_API int (*RedisModule_StringToULongLong)(const RedisModuleString *str,
                                                unsigned long long *ull);

/* Read a whole string as a double, "inf" allowed, NaN not; ERR otherwise. */
HELIOS_API int (*RedisModule_StringToDouble)(const RedisModuleString *str, double *d);

/* Like StringToDouble, in long double. 6.0. */
HELIOS_API int (*RedisModule_StringToLongDouble)(const RedisModuleString *str, long double *d);

/* Read "ms-seq", "ms", "-" or "+"; ERR otherwise. 6.2. */
HELIOS_API int (*RedisModule_StringToStreamID)(const RedisModuleString *str,
                                               RedisModuleStreamID *id);

/* Append to a string that nobody else holds; ERR when it is shared. */
HELIOS_API int (*RedisModule_StringAppendBuffer)(RedisModuleCtx *ctx, RedisModuleString *str,
                                                 const char *buf, size_t len);

/* Give spare memory of a string back; the string must not be in use by another thread. 7.0. */
HELIOS_API void (*RedisModule_TrimStringAllocation)(RedisModuleString *str);

/* Keep a string beyond the call that gave it; end it with FreeString, with ctx NULL when another
 * context does. It may copy nothing, so do not change the string then. */
HELIOS_API void (*RedisModule_RetainString)(RedisModuleCtx *ctx, RedisModuleString *str);

/* Like RetainString, also for callers that may be on another thread: returns the string to keep,
 * which may be a copy. ctx may be NULL. 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_HoldString)(RedisModuleCtx *ctx,
                                                        RedisModuleString *str);

/* As memcmp: negative, 0 or positive. */
HELIOS_API int (*RedisModule_StringCompare)(const RedisModuleString *a, const RedisModuleString *b);

/* ---- Replies --------------------------------------------------------------------------------- */

/* Reply "wrong number of arguments" and return OK: `return RedisModule_WrongArity(ctx);`. */
HELIOS_API int (*RedisModule_WrongArity)(RedisModuleCtx *ctx);

/* Reply an integer. This and every ReplyWith returns OK. */
HELIOS_API int (*RedisModule_ReplyWithLongLong)(RedisModuleCtx *ctx, long long ll);

/* Reply an error. It begins with a code in capitals: "ERR what is wrong". */
HELIOS_API int (*RedisModule_ReplyWithError)(RedisModuleCtx *ctx, const char *err);

/* Reply an error, formatted as printf does. 7.2. */
HELIOS_API int (*RedisModule_ReplyWithErrorFormat)(RedisModuleCtx *ctx, const char *fmt, ...)
    HELIOS_PRINTF(2, 3);

/* Reply a status such as "OK": no CR or LF inside. */
HELIOS_API int (*RedisModule_ReplyWithSimpleString)(RedisModuleCtx *ctx, const char *msg);

/* Reply an array: exactly len replies follow. With REDISMODULE_POSTPONED_LEN,
 * ReplySetArrayLength tells their number afterwards. */
HELIOS_API int (*RedisModule_ReplyWithArray)(RedisModuleCtx *ctx, long len);

/* Reply a map: len pairs of replies follow. A RESP2 client sees an array of 2 len. 7.0. */
HELIOS_API int (*RedisModule_ReplyWithMap)(RedisModuleCtx *ctx, long len);

/* Reply a set: len replies follow. A RESP2 client sees an array. 7.0. */
HELIOS_API int (*RedisModule_ReplyWithSet)(RedisModuleCtx *ctx, long len);

/* Reply an attribute of len pairs, before the reply it belongs to. ERR for RESP2 clients: then
 * send none. 7.0. */
HELIOS_API int (*RedisModule_ReplyWithAttribute)(RedisModuleCtx *ctx, long len);

/* Reply the null array of RESP2, null of RESP3. 6.0. */
HELIOS_API int (*RedisModule_ReplyWithNullArray)(RedisModuleCtx *ctx);

/* Reply an array of nothing. 6.0. */
HELIOS_API int (*RedisModule_ReplyWithEmptyArray)(RedisModuleCtx *ctx);

/* Tell how many elements the innermost array that awaits it got. */
HELIOS_API void (*RedisModule_ReplySetArrayLength)(RedisModuleCtx *ctx, long len);

/* Tell how many pairs the innermost map that awaits it got. 7.0. */
HELIOS_API void (*RedisModule_ReplySetMapLength)(RedisModuleCtx *ctx, long len);

/* Tell how many elements the innermost set that awaits it got. 7.0. */
HELIOS_API void (*RedisModule_ReplySetSetLength)(RedisModuleCtx *ctx, long len);

/* Tell how many pairs the innermost attribute that awaits it got. 7.0. */
HELIOS_API void (*RedisModule_ReplySetAttributeLength)(RedisModuleCtx *ctx, long len);

/* Reply len bytes (copied) as a bulk string. */
HELIOS_API int (*RedisModule_ReplyWithStringBuffer)(RedisModuleCtx *ctx, const char *buf,
                                                    size_t len);

/* Reply a C string as a bulk string. 5.0. */
HELIOS_API int (*RedisModule_ReplyWithCString)(RedisModuleCtx *ctx, const char *buf);

/* Reply a string, which stays the caller's. */
HELIOS_API int (*RedisModule_ReplyWithString)(RedisModuleCtx *ctx, RedisModuleString *str);

/* Reply a bulk string of no bytes. 6.0. */
HELIOS_API int (*RedisModule_ReplyWithEmptyString)(RedisModuleCtx *ctx);

/* Reply text that a terminal should show as it is. 6.0. */
HELIOS_API int (*RedisModule_ReplyWithVerbatimString)(RedisModuleCtx *ctx, const char *buf,
                                                      size_t len);

/* Reply a verbatim string of the kind ext, three characters such as "txt" or "mkd". 7.0. */
HELIOS_API int (*RedisModule_ReplyWithVerbatimStringType)(RedisModuleCtx *ctx, const char *buf,
                                                          size_t len, const char *ext);

/* Reply null. */
HELIOS_API int (*RedisModule_ReplyWithNull)(RedisModuleCtx *ctx);

/* Reply true or false; 1 or 0 for RESP2 clients. 7.0. */
HELIOS_API int (*RedisModule_ReplyWithBool)(RedisModuleCtx *ctx, int b);

/* Reply a long double, as a bulk string in RESP2. 6.0. */
HELIOS_API int (*RedisModule_ReplyWithLongDouble)(RedisModuleCtx *ctx, long double d);

/* Reply a double, as a bulk string in RESP2. */
HELIOS_API int (*RedisModule_ReplyWithDouble)(RedisModuleCtx *ctx, double d);

/* Reply an integer of any size, given as decimal text. 7.0. */
HELIOS_API int (*RedisModule_ReplyWithBigNumber)(RedisModuleCtx *ctx, const char *bignum,
                                                 size_t len);

/* Reply what a call answered, whatever it was. ERR when it is of a RESP version that the client
 * does not speak. */
HELIOS_API int (*RedisModule_ReplyWithCallReply)(RedisModuleCtx *ctx, RedisModuleCallReply *reply);

/* ---- Calling commands ------------------------------------------------------------------------ */

/* Run a command. fmt names the arguments: s string, c C string, b buffer and size_t, l long
 * long, v array of strings and size_t; and modifiers: ! replicate, A not to the log, R not to
 * replicas, 3 RESP3, 0 the client's RESP, C check the user's ACL, S script mode, W no writes, M
 * no out of memory, E errors as replies, D dry run, K may block (a promise). NULL with errno
 * when it did not run: ENOENT unknown, EINVAL arguments, EPERM cluster slot, EROFS, ENETDOWN,
 * ENOTSUP, EACCES, ENOSPC, ESPIPE. */
HELIOS_API RedisModuleCallReply *(*RedisModule_Call)(RedisModuleCtx *ctx, const char *cmdname,
                                                     const char *fmt, ...);

/* The reply as it would travel, *len bytes, borrowed. */
HELIOS_API const char *(*RedisModule_CallReplyProto)(RedisModuleCallReply *reply, size_t *len);

/* End a reply of Call; its elements end with it and are not freed. */
HELIOS_API void (*RedisModule_FreeCallReply)(RedisModuleCallReply *reply);

/* REDISMODULE_REPLY_*; UNKNOWN for NULL. */
HELIOS_API int (*RedisModule_CallReplyType)(RedisModuleCallReply *reply);

/* The number of an integer reply; LLONG_MIN for other types. */
HELIOS_API long long (*RedisModule_CallReplyInteger)(RedisModuleCallReply *reply);

/* The number of a double reply; NaN-free, LLONG_MIN for other types. 7.0. */
HELIOS_API double (*RedisModule_CallReplyDouble)(RedisModuleCallReply *reply);

/* The value of a boolean reply; INT_MIN for other types. 7.0. */
HELIOS_API int (*RedisModule_CallReplyBool)(RedisModuleCallReply *reply);

/* The digits of a big number, *len of them, borrowed, no NUL; NULL for other types. 7.0. */
HELIOS_API const char *(*RedisModule_CallReplyBigNumber)(RedisModuleCallReply *reply, size_t *len);

/* The text of a verbatim string, borrowed; *format gets its three characters. NULL for other
 * types. 7.0. */
HELIOS_API const char *(*RedisModule_CallReplyVerbatim)(RedisModuleCallReply *reply, size_t *len,
                                                        const char **format);

/* Element idx of a set, borrowed from it; NULL when out of range. 7.0. */
HELIOS_API RedisModuleCallReply *(*RedisModule_CallReplySetElement)(RedisModuleCallReply *reply,
                                                                    size_t idx);

/* Pair idx of a map, borrowed from it; key and val may be NULL. ERR when out of range. 7.0. */
HELIOS_API int (*RedisModule_CallReplyMapElement)(RedisModuleCallReply *reply, size_t idx,
                                                  RedisModuleCallReply **key,
                                                  RedisModuleCallReply **val);

/* Pair idx of an attribute, borrowed from it; ERR when out of range. 7.0. */
HELIOS_API int (*RedisModule_CallReplyAttributeElement)(RedisModuleCallReply *reply, size_t idx,
                                                        RedisModuleCallReply **key,
                                                        RedisModuleCallReply **val);

/* Be called when a promise is kept; the callback owns the reply it gets. 7.2. */
HELIOS_API void (*RedisModule_CallReplyPromiseSetUnblockHandler)(RedisModuleCallReply *reply,
                                                                 RedisModuleOnUnblocked on_unblock,
                                                                 void *private_data);

/* Give a promise up: OK and *private_data, or ERR when it is being kept already. 7.2. */
HELIOS_API int (*RedisModule_CallReplyPromiseAbort)(RedisModuleCallReply *reply,
                                                    void **private_data);

/* The attribute that came with a reply, borrowed; NULL when none did. 7.0. */
HELIOS_API RedisModuleCallReply *(*RedisModule_CallReplyAttribute)(RedisModuleCallReply *reply);

/* Bytes of a string or error, elements of an array or set, pairs of a map; 0 for other types. */
HELIOS_API size_t (*RedisModule_CallReplyLength)(RedisModuleCallReply *reply);

/* Element idx of an array, borrowed from it; NULL when out of range. */
HELIOS_API RedisModuleCallReply *(*RedisModule_CallReplyArrayElement)(RedisModuleCallReply *reply,
                                                                      size_t idx);

/* The bytes of a string or error, *len of them, borrowed, no NUL; NULL for other types. */
HELIOS_API const char *(*RedisModule_CallReplyStringPtr)(RedisModuleCallReply *reply, size_t *len);

/* A new string of a string, error or integer reply; NULL for other types. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromCallReply)(RedisModuleCallReply *reply);

/* ---- Replication ----------------------------------------------------------------------------- */

/* Send a command to the log and the replicas instead of the one that runs. fmt as for Call; its
 * modifiers are A and R only. All that a command replicates is one atomic unit. ERR for a bad
 * fmt or an unknown command. */
HELIOS_API int (*RedisModule_Replicate)(RedisModuleCtx *ctx, const char *cmdname, const char *fmt,
                                        ...);

/* Send the command that runs to the log and the replicas, as the client sent it. */
HELIOS_API int (*RedisModule_ReplicateVerbatim)(RedisModuleCtx *ctx);

/* ---- Logging --------------------------------------------------------------------------------- */

/* Write a line to the server's log. level: REDISMODULE_LOGLEVEL_*. ctx may be NULL. */
HELIOS_API void (*RedisModule_Log)(RedisModuleCtx *ctx, const char *level, const char *fmt, ...)
    HELIOS_PRINTF(3, 4);

/* Write a line about a value that is being saved or loaded. */
HELIOS_API void (*RedisModule_LogIOError)(RedisModuleIO *io, const char *levelstr, const char *fmt,
                                          ...) HELIOS_PRINTF(3, 4);

/* Report a broken assertion and abort the server: RedisModule_Assert() calls it. 6.0. */
HELIOS_API void (*RedisModule__Assert)(const char *estr, const char *file, int line);

/* Report that `event` took `latency` milliseconds, for LATENCY; ignored below its threshold.
 * 6.0. */
HELIOS_API void (*RedisModule_LatencyAddSample)(const char *event, mstime_t latency);

/* ---- Time ------------------------------------------------------------------------------------ */

/* The wall clock, in milliseconds since 1970. */
HELIOS_API mstime_t (*RedisModule_Milliseconds)(void);

/* A clock that never steps back, in microseconds since some moment. 7.0. */
HELIOS_API uint64_t (*RedisModule_MonotonicMicroseconds)(void);

/* The wall clock, in microseconds since 1970. 7.2. */
HELIOS_API ustime_t (*RedisModule_Microseconds)(void);

/* The wall clock as it was when the command began: all of a command sees one time. 7.2. */
HELIOS_API ustime_t (*RedisModule_CachedMicroseconds)(void);

/* Let the server breathe inside a long command: events are served, and with YIELD_FLAG_CLIENTS
 * clients get busy_reply (or NULL for the usual -BUSY). 7.0. */
HELIOS_API void (*RedisModule_Yield)(RedisModuleCtx *ctx, int flags, const char *busy_reply);

/* ---- Random bytes ---------------------------------------------------------------------------- */

/* Fill dst with random bytes: good for names and seeds, not for keys of cryptography. 5.0. */
HELIOS_API void (*RedisModule_GetRandomBytes)(unsigned char *dst, size_t len);

/* Fill dst with random hexadecimal digits, no NUL: node and run ids. 5.0. */
HELIOS_API void (*RedisModule_GetRandomHexChars)(char *dst, size_t len);

#endif
