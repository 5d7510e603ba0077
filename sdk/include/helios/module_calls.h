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

/* 4.0. */
HELIOS_API void (*RedisModule_SetModuleAttribs)(RedisModuleCtx *ctx, const char *name, int ver,
                                                int apiver);
/* 4.0. */
HELIOS_API int (*RedisModule_IsModuleNameBusy)(const char *name);
/* 6.0. */
HELIOS_API void (*RedisModule_SetModuleOptions)(RedisModuleCtx *ctx, int options);

/* ---- Memory ---------------------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API void *(*RedisModule_Alloc)(size_t bytes);
/* 7.0. */
HELIOS_API void *(*RedisModule_TryAlloc)(size_t bytes);
/* 4.0. */
HELIOS_API void *(*RedisModule_Realloc)(void *ptr, size_t bytes);
/* 7.4. */
HELIOS_API void *(*RedisModule_TryRealloc)(void *ptr, size_t bytes);
/* 4.0. */
HELIOS_API void (*RedisModule_Free)(void *ptr);
/* 4.0. */
HELIOS_API void *(*RedisModule_Calloc)(size_t nmemb, size_t size);
/* 7.4. */
HELIOS_API void *(*RedisModule_TryCalloc)(size_t nmemb, size_t size);
/* 4.0. */
HELIOS_API char *(*RedisModule_Strdup)(const char *str);
/* 4.0. */
HELIOS_API void (*RedisModule_AutoMemory)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API void *(*RedisModule_PoolAlloc)(RedisModuleCtx *ctx, size_t bytes);
/* 6.0. */
HELIOS_API float (*RedisModule_GetUsedMemoryRatio)(void);
/* 6.0. */
HELIOS_API size_t (*RedisModule_MallocSize)(void *ptr);
/* 7.0. */
HELIOS_API size_t (*RedisModule_MallocUsableSize)(void *ptr);
/* 7.0. */
HELIOS_API size_t (*RedisModule_MallocSizeString)(RedisModuleString *str);
/* 7.0. */
HELIOS_API size_t (*RedisModule_MallocSizeDict)(RedisModuleDict *dict);

/* ---- Commands -------------------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API int (*RedisModule_CreateCommand)(RedisModuleCtx *ctx, const char *name,
                                            RedisModuleCmdFunc cmdfunc, const char *strflags,
                                            int firstkey, int lastkey, int keystep);
/* 7.0. */
HELIOS_API RedisModuleCommand *(*RedisModule_GetCommand)(RedisModuleCtx *ctx, const char *name);
/* 7.0. */
HELIOS_API int (*RedisModule_CreateSubcommand)(RedisModuleCommand *parent, const char *name,
                                               RedisModuleCmdFunc cmdfunc, const char *strflags,
                                               int firstkey, int lastkey, int keystep);
/* 7.0. */
HELIOS_API int (*RedisModule_SetCommandInfo)(RedisModuleCommand *command,
                                             const RedisModuleCommandInfo *info);
/* 7.2. */
HELIOS_API int (*RedisModule_SetCommandACLCategories)(RedisModuleCommand *command,
                                                      const char *ctgrsflags);
/* 7.4. */
HELIOS_API int (*RedisModule_AddACLCategory)(RedisModuleCtx *ctx, const char *name);
/* 4.0. */
HELIOS_API int (*RedisModule_IsKeysPositionRequest)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API void (*RedisModule_KeyAtPos)(RedisModuleCtx *ctx, int pos);
/* 7.0. */
HELIOS_API void (*RedisModule_KeyAtPosWithFlags)(RedisModuleCtx *ctx, int pos, int flags);
/* 7.0. */
HELIOS_API int (*RedisModule_IsChannelsPositionRequest)(RedisModuleCtx *ctx);
/* 7.0. */
HELIOS_API void (*RedisModule_ChannelAtPosWithFlags)(RedisModuleCtx *ctx, int pos, int flags);
/* 6.0. */
HELIOS_API int *(*RedisModule_GetCommandKeys)(RedisModuleCtx *ctx, RedisModuleString **argv,
                                              int argc, int *num_keys);
/* 7.0. */
HELIOS_API int *(*RedisModule_GetCommandKeysWithFlags)(RedisModuleCtx *ctx,
                                                       RedisModuleString **argv, int argc,
                                                       int *num_keys, int **out_flags);
/* 6.2. */
HELIOS_API const char *(*RedisModule_GetCurrentCommandName)(RedisModuleCtx *ctx);

/* ---- Context and clients --------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API int (*RedisModule_GetSelectedDb)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API int (*RedisModule_SelectDb)(RedisModuleCtx *ctx, int newid);
/* 4.0. */
HELIOS_API unsigned long long (*RedisModule_GetClientId)(RedisModuleCtx *ctx);
/* 6.2. */
HELIOS_API RedisModuleString *(*RedisModule_GetClientUserNameById)(RedisModuleCtx *ctx,
                                                                   uint64_t id);
/* 6.0. */
HELIOS_API int (*RedisModule_GetClientInfoById)(void *ci, uint64_t id);
/* 7.0. */
HELIOS_API RedisModuleString *(*RedisModule_GetClientNameById)(RedisModuleCtx *ctx, uint64_t id);
/* 7.0. */
HELIOS_API int (*RedisModule_SetClientNameById)(uint64_t id, RedisModuleString *name);
/* 6.0. */
HELIOS_API int (*RedisModule_PublishMessage)(RedisModuleCtx *ctx, RedisModuleString *channel,
                                             RedisModuleString *message);
/* 7.0. */
HELIOS_API int (*RedisModule_PublishMessageShard)(RedisModuleCtx *ctx, RedisModuleString *channel,
                                                  RedisModuleString *message);
/* 4.0. */
HELIOS_API int (*RedisModule_GetContextFlags)(RedisModuleCtx *ctx);
/* 6.0. */
HELIOS_API int (*RedisModule_AvoidReplicaTraffic)(void);
/* 6.0. */
HELIOS_API int (*RedisModule_GetContextFlagsAll)(void);
/* 7.2. */
HELIOS_API int (*RedisModule_GetModuleOptionsAll)(void);
/* 6.0. */
HELIOS_API int (*RedisModule_GetServerVersion)(void);
/* 7.0. */
HELIOS_API int (*RedisModule_RedactClientCommandArgument)(RedisModuleCtx *ctx, int pos);
/* 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_GetClientCertificate)(RedisModuleCtx *ctx, uint64_t id);

/* ---- Strings --------------------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API RedisModuleString *(*RedisModule_CreateString)(RedisModuleCtx *ctx, const char *ptr,
                                                          size_t len);
/* 4.0. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromLongLong)(RedisModuleCtx *ctx,
                                                                      long long ll);
/* 7.0. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromULongLong)(RedisModuleCtx *ctx,
                                                                       unsigned long long ull);
/* 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromDouble)(RedisModuleCtx *ctx, double d);
/* 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromLongDouble)(RedisModuleCtx *ctx,
                                                                        long double ld,
                                                                        int humanfriendly);
/* 4.0. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromString)(RedisModuleCtx *ctx,
                                                                    const RedisModuleString *str);
/* 6.2. */
HELIOS_API
    RedisModuleString *(*RedisModule_CreateStringFromStreamID)(RedisModuleCtx *ctx,
                                                               const RedisModuleStreamID *id);
/* 4.0. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringPrintf)(RedisModuleCtx *ctx,
                                                                const char *fmt,
                                                                ...)HELIOS_PRINTF(2, 3);
/* 4.0. */
HELIOS_API void (*RedisModule_FreeString)(RedisModuleCtx *ctx, RedisModuleString *str);
/* 4.0. */
HELIOS_API const char *(*RedisModule_StringPtrLen)(const RedisModuleString *str, size_t *len);
/* 4.0. */
HELIOS_API int (*RedisModule_StringToLongLong)(const RedisModuleString *str, long long *ll);
/* 7.0. */
HELIOS_API int (*RedisModule_StringToULongLong)(const RedisModuleString *str,
                                                unsigned long long *ull);
/* 4.0. */
HELIOS_API int (*RedisModule_StringToDouble)(const RedisModuleString *str, double *d);
/* 6.0. */
HELIOS_API int (*RedisModule_StringToLongDouble)(const RedisModuleString *str, long double *d);
/* 6.2. */
HELIOS_API int (*RedisModule_StringToStreamID)(const RedisModuleString *str,
                                               RedisModuleStreamID *id);
/* 4.0. */
HELIOS_API int (*RedisModule_StringAppendBuffer)(RedisModuleCtx *ctx, RedisModuleString *str,
                                                 const char *buf, size_t len);
/* 7.0. */
HELIOS_API void (*RedisModule_TrimStringAllocation)(RedisModuleString *str);
/* 4.0. */
HELIOS_API void (*RedisModule_RetainString)(RedisModuleCtx *ctx, RedisModuleString *str);
/* 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_HoldString)(RedisModuleCtx *ctx,
                                                        RedisModuleString *str);
/* 4.0. */
HELIOS_API int (*RedisModule_StringCompare)(const RedisModuleString *a, const RedisModuleString *b);

/* ---- Replies --------------------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API int (*RedisModule_WrongArity)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API int (*RedisModule_ReplyWithLongLong)(RedisModuleCtx *ctx, long long ll);
/* 4.0. */
HELIOS_API int (*RedisModule_ReplyWithError)(RedisModuleCtx *ctx, const char *err);
/* 7.2. */
HELIOS_API int (*RedisModule_ReplyWithErrorFormat)(RedisModuleCtx *ctx, const char *fmt, ...)
    HELIOS_PRINTF(2, 3);
/* 4.0. */
HELIOS_API int (*RedisModule_ReplyWithSimpleString)(RedisModuleCtx *ctx, const char *msg);
/* 4.0. */
HELIOS_API int (*RedisModule_ReplyWithArray)(RedisModuleCtx *ctx, long len);
/* 7.0. */
HELIOS_API int (*RedisModule_ReplyWithMap)(RedisModuleCtx *ctx, long len);
/* 7.0. */
HELIOS_API int (*RedisModule_ReplyWithSet)(RedisModuleCtx *ctx, long len);
/* 7.0. */
HELIOS_API int (*RedisModule_ReplyWithAttribute)(RedisModuleCtx *ctx, long len);
/* 6.0. */
HELIOS_API int (*RedisModule_ReplyWithNullArray)(RedisModuleCtx *ctx);
/* 6.0. */
HELIOS_API int (*RedisModule_ReplyWithEmptyArray)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API void (*RedisModule_ReplySetArrayLength)(RedisModuleCtx *ctx, long len);
/* 7.0. */
HELIOS_API void (*RedisModule_ReplySetMapLength)(RedisModuleCtx *ctx, long len);
/* 7.0. */
HELIOS_API void (*RedisModule_ReplySetSetLength)(RedisModuleCtx *ctx, long len);
/* 7.0. */
HELIOS_API void (*RedisModule_ReplySetAttributeLength)(RedisModuleCtx *ctx, long len);
/* 4.0. */
HELIOS_API int (*RedisModule_ReplyWithStringBuffer)(RedisModuleCtx *ctx, const char *buf,
                                                    size_t len);
/* 5.0. */
HELIOS_API int (*RedisModule_ReplyWithCString)(RedisModuleCtx *ctx, const char *buf);
/* 4.0. */
HELIOS_API int (*RedisModule_ReplyWithString)(RedisModuleCtx *ctx, RedisModuleString *str);
/* 6.0. */
HELIOS_API int (*RedisModule_ReplyWithEmptyString)(RedisModuleCtx *ctx);
/* 6.0. */
HELIOS_API int (*RedisModule_ReplyWithVerbatimString)(RedisModuleCtx *ctx, const char *buf,
                                                      size_t len);
/* 7.0. */
HELIOS_API int (*RedisModule_ReplyWithVerbatimStringType)(RedisModuleCtx *ctx, const char *buf,
                                                          size_t len, const char *ext);
/* 4.0. */
HELIOS_API int (*RedisModule_ReplyWithNull)(RedisModuleCtx *ctx);
/* 7.0. */
HELIOS_API int (*RedisModule_ReplyWithBool)(RedisModuleCtx *ctx, int b);
/* 6.0. */
HELIOS_API int (*RedisModule_ReplyWithLongDouble)(RedisModuleCtx *ctx, long double d);
/* 4.0. */
HELIOS_API int (*RedisModule_ReplyWithDouble)(RedisModuleCtx *ctx, double d);
/* 7.0. */
HELIOS_API int (*RedisModule_ReplyWithBigNumber)(RedisModuleCtx *ctx, const char *bignum,
                                                 size_t len);
/* 4.0. */
HELIOS_API int (*RedisModule_ReplyWithCallReply)(RedisModuleCtx *ctx, RedisModuleCallReply *reply);

/* ---- Calling commands ------------------------------------------------------------------------ */

/* 4.0. */
HELIOS_API RedisModuleCallReply *(*RedisModule_Call)(RedisModuleCtx *ctx, const char *cmdname,
                                                     const char *fmt, ...);
/* 4.0. */
HELIOS_API const char *(*RedisModule_CallReplyProto)(RedisModuleCallReply *reply, size_t *len);
/* 4.0. */
HELIOS_API void (*RedisModule_FreeCallReply)(RedisModuleCallReply *reply);
/* 4.0. */
HELIOS_API int (*RedisModule_CallReplyType)(RedisModuleCallReply *reply);
/* 4.0. */
HELIOS_API long long (*RedisModule_CallReplyInteger)(RedisModuleCallReply *reply);
/* 7.0. */
HELIOS_API double (*RedisModule_CallReplyDouble)(RedisModuleCallReply *reply);
/* 7.0. */
HELIOS_API int (*RedisModule_CallReplyBool)(RedisModuleCallReply *reply);
/* 7.0. */
HELIOS_API const char *(*RedisModule_CallReplyBigNumber)(RedisModuleCallReply *reply, size_t *len);
/* 7.0. */
HELIOS_API const char *(*RedisModule_CallReplyVerbatim)(RedisModuleCallReply *reply, size_t *len,
                                                        const char **format);
/* 7.0. */
HELIOS_API RedisModuleCallReply *(*RedisModule_CallReplySetElement)(RedisModuleCallReply *reply,
                                                                    size_t idx);
/* 7.0. */
HELIOS_API int (*RedisModule_CallReplyMapElement)(RedisModuleCallReply *reply, size_t idx,
                                                  RedisModuleCallReply **key,
                                                  RedisModuleCallReply **val);
/* 7.0. */
HELIOS_API int (*RedisModule_CallReplyAttributeElement)(RedisModuleCallReply *reply, size_t idx,
                                                        RedisModuleCallReply **key,
                                                        RedisModuleCallReply **val);
/* 7.2. */
HELIOS_API void (*RedisModule_CallReplyPromiseSetUnblockHandler)(RedisModuleCallReply *reply,
                                                                 RedisModuleOnUnblocked on_unblock,
                                                                 void *private_data);
/* 7.2. */
HELIOS_API int (*RedisModule_CallReplyPromiseAbort)(RedisModuleCallReply *reply,
                                                    void **private_data);
/* 7.0. */
HELIOS_API RedisModuleCallReply *(*RedisModule_CallReplyAttribute)(RedisModuleCallReply *reply);
/* 4.0. */
HELIOS_API size_t (*RedisModule_CallReplyLength)(RedisModuleCallReply *reply);
/* 4.0. */
HELIOS_API RedisModuleCallReply *(*RedisModule_CallReplyArrayElement)(RedisModuleCallReply *reply,
                                                                      size_t idx);
/* 4.0. */
HELIOS_API const char *(*RedisModule_CallReplyStringPtr)(RedisModuleCallReply *reply, size_t *len);
/* 4.0. */
HELIOS_API RedisModuleString *(*RedisModule_CreateStringFromCallReply)(RedisModuleCallReply *reply);

/* ---- Replication ----------------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API int (*RedisModule_Replicate)(RedisModuleCtx *ctx, const char *cmdname, const char *fmt,
                                        ...);
/* 4.0. */
HELIOS_API int (*RedisModule_ReplicateVerbatim)(RedisModuleCtx *ctx);

/* ---- Logging --------------------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API void (*RedisModule_Log)(RedisModuleCtx *ctx, const char *level, const char *fmt, ...)
    HELIOS_PRINTF(3, 4);
/* 4.0. */
HELIOS_API void (*RedisModule_LogIOError)(RedisModuleIO *io, const char *levelstr, const char *fmt,
                                          ...) HELIOS_PRINTF(3, 4);
/* 6.0. */
HELIOS_API void (*RedisModule__Assert)(const char *estr, const char *file, int line);
/* 6.0. */
HELIOS_API void (*RedisModule_LatencyAddSample)(const char *event, mstime_t latency);

/* ---- Time ------------------------------------------------------------------------------------ */

/* 4.0. */
HELIOS_API mstime_t (*RedisModule_Milliseconds)(void);
/* 7.0. */
HELIOS_API uint64_t (*RedisModule_MonotonicMicroseconds)(void);
/* 7.2. */
HELIOS_API ustime_t (*RedisModule_Microseconds)(void);
/* 7.2. */
HELIOS_API ustime_t (*RedisModule_CachedMicroseconds)(void);
/* 7.0. */
HELIOS_API void (*RedisModule_Yield)(RedisModuleCtx *ctx, int flags, const char *busy_reply);

/* ---- Random bytes ---------------------------------------------------------------------------- */

/* 5.0. */
HELIOS_API void (*RedisModule_GetRandomBytes)(unsigned char *dst, size_t len);
/* 5.0. */
HELIOS_API void (*RedisModule_GetRandomHexChars)(char *dst, size_t len);

#endif
