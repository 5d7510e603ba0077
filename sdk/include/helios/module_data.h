/* The functions of the module ABI, part of helios/module.h: the keyspace: keys, values of each
 * type, types of a module and how they are saved.
 *
 * Each is a pointer that RedisModule_Init() fills, NULL when the server lacks it: whoever uses one
 * newer than he requires tests it first.  "7.2" at the end of a comment: since that version of
 * Redis; no number: since 4.0.
 */
#ifndef HELIOS_MODULE_DATA_H
#define HELIOS_MODULE_DATA_H

#include "helios/module_types.h"

/* ---- Keys ------------------------------------------------------------------------------------ */

/* 7.0. */
HELIOS_API int (*RedisModule_KeyExists)(RedisModuleCtx *ctx, RedisModuleString *keyname);
/* 4.0. */
HELIOS_API RedisModuleKey *(*RedisModule_OpenKey)(RedisModuleCtx *ctx, RedisModuleString *keyname,
                                                  int mode);
/* 7.2. */
HELIOS_API int (*RedisModule_GetOpenKeyModesAll)(void);
/* 4.0. */
HELIOS_API void (*RedisModule_CloseKey)(RedisModuleKey *kp);
/* 4.0. */
HELIOS_API int (*RedisModule_KeyType)(RedisModuleKey *kp);
/* 4.0. */
HELIOS_API size_t (*RedisModule_ValueLength)(RedisModuleKey *kp);
/* 4.0. */
HELIOS_API int (*RedisModule_DeleteKey)(RedisModuleKey *key);
/* 4.0. */
HELIOS_API int (*RedisModule_UnlinkKey)(RedisModuleKey *key);
/* 4.0. */
HELIOS_API mstime_t (*RedisModule_GetExpire)(RedisModuleKey *key);
/* 4.0. */
HELIOS_API int (*RedisModule_SetExpire)(RedisModuleKey *key, mstime_t expire);
/* 6.2. */
HELIOS_API mstime_t (*RedisModule_GetAbsExpire)(RedisModuleKey *key);
/* 6.2. */
HELIOS_API int (*RedisModule_SetAbsExpire)(RedisModuleKey *key, mstime_t expire);
/* 6.0. */
HELIOS_API void (*RedisModule_ResetDataset)(int restart_aof, int async);
/* 6.0. */
HELIOS_API unsigned long long (*RedisModule_DbSize)(RedisModuleCtx *ctx);
/* 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_RandomKey)(RedisModuleCtx *ctx);
/* 6.0. */
HELIOS_API int (*RedisModule_SignalModifiedKey)(RedisModuleCtx *ctx, RedisModuleString *keyname);
/* 6.0. */
HELIOS_API const RedisModuleString *(*RedisModule_GetKeyNameFromModuleKey)(RedisModuleKey *key);
/* 7.0. */
HELIOS_API int (*RedisModule_GetDbIdFromModuleKey)(RedisModuleKey *key);
/* 6.0. */
HELIOS_API int (*RedisModule_SetLRU)(RedisModuleKey *key, mstime_t lru_idle);
/* 6.0. */
HELIOS_API int (*RedisModule_GetLRU)(RedisModuleKey *key, mstime_t *lru_idle);
/* 6.0. */
HELIOS_API int (*RedisModule_SetLFU)(RedisModuleKey *key, long long lfu_freq);
/* 6.0. */
HELIOS_API int (*RedisModule_GetLFU)(RedisModuleKey *key, long long *lfu_freq);

/* ---- String values --------------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API int (*RedisModule_StringSet)(RedisModuleKey *key, RedisModuleString *str);
/* 4.0. */
HELIOS_API char *(*RedisModule_StringDMA)(RedisModuleKey *key, size_t *len, int mode);
/* 4.0. */
HELIOS_API int (*RedisModule_StringTruncate)(RedisModuleKey *key, size_t newlen);

/* ---- Lists ----------------------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API int (*RedisModule_ListPush)(RedisModuleKey *kp, int where, RedisModuleString *ele);
/* 4.0. */
HELIOS_API RedisModuleString *(*RedisModule_ListPop)(RedisModuleKey *key, int where);
/* 7.0. */
HELIOS_API RedisModuleString *(*RedisModule_ListGet)(RedisModuleKey *key, long index);
/* 7.0. */
HELIOS_API int (*RedisModule_ListSet)(RedisModuleKey *key, long index, RedisModuleString *value);
/* 7.0. */
HELIOS_API int (*RedisModule_ListInsert)(RedisModuleKey *key, long index, RedisModuleString *value);
/* 7.0. */
HELIOS_API int (*RedisModule_ListDelete)(RedisModuleKey *key, long index);

/* ---- Hashes ---------------------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API int (*RedisModule_HashSet)(RedisModuleKey *key, int flags, ...);
/* 4.0. */
HELIOS_API int (*RedisModule_HashGet)(RedisModuleKey *key, int flags, ...);
/* 8.0. */
HELIOS_API mstime_t (*RedisModule_HashFieldMinExpire)(RedisModuleKey *key);

/* ---- Sorted sets ----------------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API int (*RedisModule_ZsetAdd)(RedisModuleKey *key, double score, RedisModuleString *ele,
                                      int *flagsptr);
/* 4.0. */
HELIOS_API int (*RedisModule_ZsetIncrby)(RedisModuleKey *key, double score, RedisModuleString *ele,
                                         int *flagsptr, double *newscore);
/* 4.0. */
HELIOS_API int (*RedisModule_ZsetScore)(RedisModuleKey *key, RedisModuleString *ele, double *score);
/* 4.0. */
HELIOS_API int (*RedisModule_ZsetRem)(RedisModuleKey *key, RedisModuleString *ele, int *deleted);
/* 4.0. */
HELIOS_API void (*RedisModule_ZsetRangeStop)(RedisModuleKey *key);
/* 4.0. */
HELIOS_API int (*RedisModule_ZsetFirstInScoreRange)(RedisModuleKey *key, double min, double max,
                                                    int minex, int maxex);
/* 4.0. */
HELIOS_API int (*RedisModule_ZsetLastInScoreRange)(RedisModuleKey *key, double min, double max,
                                                   int minex, int maxex);
/* 4.0. */
HELIOS_API int (*RedisModule_ZsetFirstInLexRange)(RedisModuleKey *key, RedisModuleString *min,
                                                  RedisModuleString *max);
/* 4.0. */
HELIOS_API int (*RedisModule_ZsetLastInLexRange)(RedisModuleKey *key, RedisModuleString *min,
                                                 RedisModuleString *max);
/* 4.0. */
HELIOS_API RedisModuleString *(*RedisModule_ZsetRangeCurrentElement)(RedisModuleKey *key,
                                                                     double *score);
/* 4.0. */
HELIOS_API int (*RedisModule_ZsetRangeNext)(RedisModuleKey *key);
/* 4.0. */
HELIOS_API int (*RedisModule_ZsetRangePrev)(RedisModuleKey *key);
/* 4.0. */
HELIOS_API int (*RedisModule_ZsetRangeEndReached)(RedisModuleKey *key);

/* ---- Streams --------------------------------------------------------------------------------- */

/* 6.2. */
HELIOS_API int (*RedisModule_StreamAdd)(RedisModuleKey *key, int flags, RedisModuleStreamID *id,
                                        RedisModuleString **argv, int64_t numfields);
/* 6.2. */
HELIOS_API int (*RedisModule_StreamDelete)(RedisModuleKey *key, RedisModuleStreamID *id);
/* 6.2. */
HELIOS_API int (*RedisModule_StreamIteratorStart)(RedisModuleKey *key, int flags,
                                                  RedisModuleStreamID *startid,
                                                  RedisModuleStreamID *endid);
/* 6.2. */
HELIOS_API int (*RedisModule_StreamIteratorStop)(RedisModuleKey *key);
/* 6.2. */
HELIOS_API int (*RedisModule_StreamIteratorNextID)(RedisModuleKey *key, RedisModuleStreamID *id,
                                                   long *numfields);
/* 6.2. */
HELIOS_API int (*RedisModule_StreamIteratorNextField)(RedisModuleKey *key,
                                                      RedisModuleString **field_ptr,
                                                      RedisModuleString **value_ptr);
/* 6.2. */
HELIOS_API int (*RedisModule_StreamIteratorDelete)(RedisModuleKey *key);
/* 6.2. */
HELIOS_API long long (*RedisModule_StreamTrimByLength)(RedisModuleKey *key, int flags,
                                                       long long length);
/* 6.2. */
HELIOS_API long long (*RedisModule_StreamTrimByID)(RedisModuleKey *key, int flags,
                                                   RedisModuleStreamID *id);

/* ---- Data types ------------------------------------------------------------------------------ */

/* 4.0. */
HELIOS_API RedisModuleType *(*RedisModule_CreateDataType)(RedisModuleCtx *ctx, const char *name,
                                                          int encver,
                                                          RedisModuleTypeMethods *typemethods);
/* 4.0. */
HELIOS_API int (*RedisModule_ModuleTypeSetValue)(RedisModuleKey *key, RedisModuleType *mt,
                                                 void *value);
/* 6.0. */
HELIOS_API int (*RedisModule_ModuleTypeReplaceValue)(RedisModuleKey *key, RedisModuleType *mt,
                                                     void *new_value, void **old_value);
/* 4.0. */
HELIOS_API RedisModuleType *(*RedisModule_ModuleTypeGetType)(RedisModuleKey *key);
/* 4.0. */
HELIOS_API void *(*RedisModule_ModuleTypeGetValue)(RedisModuleKey *key);
/* 6.0. */
HELIOS_API void *(*RedisModule_LoadDataTypeFromString)(const RedisModuleString *str,
                                                       const RedisModuleType *mt);
/* 7.0. */
HELIOS_API void *(*RedisModule_LoadDataTypeFromStringEncver)(const RedisModuleString *str,
                                                             const RedisModuleType *mt, int encver);
/* 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_SaveDataTypeToString)(RedisModuleCtx *ctx, void *data,
                                                                  const RedisModuleType *mt);
/* 7.0. */
HELIOS_API int (*RedisModule_GetDbIdFromOptCtx)(RedisModuleKeyOptCtx *ctx);
/* 7.0. */
HELIOS_API int (*RedisModule_GetToDbIdFromOptCtx)(RedisModuleKeyOptCtx *ctx);
/* 7.0. */
HELIOS_API const RedisModuleString *(*RedisModule_GetKeyNameFromOptCtx)(RedisModuleKeyOptCtx *ctx);
/* 7.0. */
HELIOS_API const
    RedisModuleString *(*RedisModule_GetToKeyNameFromOptCtx)(RedisModuleKeyOptCtx *ctx);
/* 6.2. */
HELIOS_API int (*RedisModule_GetTypeMethodVersion)(void);

/* ---- Saving and loading values --------------------------------------------------------------- */

/* 6.0. */
HELIOS_API int (*RedisModule_IsIOError)(RedisModuleIO *io);
/* 4.0. */
HELIOS_API void (*RedisModule_SaveUnsigned)(RedisModuleIO *io, uint64_t value);
/* 4.0. */
HELIOS_API uint64_t (*RedisModule_LoadUnsigned)(RedisModuleIO *io);
/* 4.0. */
HELIOS_API void (*RedisModule_SaveSigned)(RedisModuleIO *io, int64_t value);
/* 4.0. */
HELIOS_API int64_t (*RedisModule_LoadSigned)(RedisModuleIO *io);
/* 4.0. */
HELIOS_API void (*RedisModule_EmitAOF)(RedisModuleIO *io, const char *cmdname, const char *fmt,
                                       ...);
/* 4.0. */
HELIOS_API void (*RedisModule_SaveString)(RedisModuleIO *io, RedisModuleString *s);
/* 4.0. */
HELIOS_API void (*RedisModule_SaveStringBuffer)(RedisModuleIO *io, const char *str, size_t len);
/* 4.0. */
HELIOS_API RedisModuleString *(*RedisModule_LoadString)(RedisModuleIO *io);
/* 4.0. */
HELIOS_API char *(*RedisModule_LoadStringBuffer)(RedisModuleIO *io, size_t *lenptr);
/* 4.0. */
HELIOS_API void (*RedisModule_SaveDouble)(RedisModuleIO *io, double value);
/* 4.0. */
HELIOS_API double (*RedisModule_LoadDouble)(RedisModuleIO *io);
/* 4.0. */
HELIOS_API void (*RedisModule_SaveFloat)(RedisModuleIO *io, float value);
/* 4.0. */
HELIOS_API float (*RedisModule_LoadFloat)(RedisModuleIO *io);
/* 6.0. */
HELIOS_API void (*RedisModule_SaveLongDouble)(RedisModuleIO *io, long double value);
/* 6.0. */
HELIOS_API long double (*RedisModule_LoadLongDouble)(RedisModuleIO *io);
/* 4.0. */
HELIOS_API RedisModuleCtx *(*RedisModule_GetContextFromIO)(RedisModuleIO *io);
/* 5.0. */
HELIOS_API const RedisModuleString *(*RedisModule_GetKeyNameFromIO)(RedisModuleIO *io);
/* 7.0. */
HELIOS_API int (*RedisModule_GetDbIdFromIO)(RedisModuleIO *io);

/* ---- Digests --------------------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API void (*RedisModule_DigestAddStringBuffer)(RedisModuleDigest *md, const char *ele,
                                                     size_t len);
/* 4.0. */
HELIOS_API void (*RedisModule_DigestAddLongLong)(RedisModuleDigest *md, long long ele);
/* 4.0. */
HELIOS_API void (*RedisModule_DigestEndSequence)(RedisModuleDigest *md);
/* 7.0. */
HELIOS_API int (*RedisModule_GetDbIdFromDigest)(RedisModuleDigest *dig);
/* 7.0. */
HELIOS_API const RedisModuleString *(*RedisModule_GetKeyNameFromDigest)(RedisModuleDigest *dig);

/* ---- Whole dumps ----------------------------------------------------------------------------- */

/* 7.2. */
HELIOS_API RedisModuleRdbStream *(*RedisModule_RdbStreamCreateFromFile)(const char *filename);
/* 7.2. */
HELIOS_API void (*RedisModule_RdbStreamFree)(RedisModuleRdbStream *stream);
/* 7.2. */
HELIOS_API int (*RedisModule_RdbLoad)(RedisModuleCtx *ctx, RedisModuleRdbStream *stream, int flags);
/* 7.2. */
HELIOS_API int (*RedisModule_RdbSave)(RedisModuleCtx *ctx, RedisModuleRdbStream *stream, int flags);

/* ---- Scan ------------------------------------------------------------------------------------ */

/* 6.0. */
HELIOS_API RedisModuleScanCursor *(*RedisModule_ScanCursorCreate)(void);
/* 6.0. */
HELIOS_API void (*RedisModule_ScanCursorRestart)(RedisModuleScanCursor *cursor);
/* 6.0. */
HELIOS_API void (*RedisModule_ScanCursorDestroy)(RedisModuleScanCursor *cursor);
/* 6.0. */
HELIOS_API int (*RedisModule_Scan)(RedisModuleCtx *ctx, RedisModuleScanCursor *cursor,
                                   RedisModuleScanCB fn, void *privdata);
/* 6.0. */
HELIOS_API int (*RedisModule_ScanKey)(RedisModuleKey *key, RedisModuleScanCursor *cursor,
                                      RedisModuleScanKeyCB fn, void *privdata);

/* ---- Dictionaries ---------------------------------------------------------------------------- */

/* 5.0. */
HELIOS_API RedisModuleDict *(*RedisModule_CreateDict)(RedisModuleCtx *ctx);
/* 5.0. */
HELIOS_API void (*RedisModule_FreeDict)(RedisModuleCtx *ctx, RedisModuleDict *d);
/* 5.0. */
HELIOS_API uint64_t (*RedisModule_DictSize)(RedisModuleDict *d);
/* 5.0. */
HELIOS_API int (*RedisModule_DictSetC)(RedisModuleDict *d, void *key, size_t keylen, void *ptr);
/* 5.0. */
HELIOS_API int (*RedisModule_DictReplaceC)(RedisModuleDict *d, void *key, size_t keylen, void *ptr);
/* 5.0. */
HELIOS_API int (*RedisModule_DictSet)(RedisModuleDict *d, RedisModuleString *key, void *ptr);
/* 5.0. */
HELIOS_API int (*RedisModule_DictReplace)(RedisModuleDict *d, RedisModuleString *key, void *ptr);
/* 5.0. */
HELIOS_API void *(*RedisModule_DictGetC)(RedisModuleDict *d, void *key, size_t keylen, int *nokey);
/* 5.0. */
HELIOS_API void *(*RedisModule_DictGet)(RedisModuleDict *d, RedisModuleString *key, int *nokey);
/* 5.0. */
HELIOS_API int (*RedisModule_DictDelC)(RedisModuleDict *d, void *key, size_t keylen, void *oldval);
/* 5.0. */
HELIOS_API int (*RedisModule_DictDel)(RedisModuleDict *d, RedisModuleString *key, void *oldval);
/* 5.0. */
HELIOS_API RedisModuleDictIter *(*RedisModule_DictIteratorStartC)(RedisModuleDict *d,
                                                                  const char *op, void *key,
                                                                  size_t keylen);
/* 5.0. */
HELIOS_API RedisModuleDictIter *(*RedisModule_DictIteratorStart)(RedisModuleDict *d, const char *op,
                                                                 RedisModuleString *key);
/* 5.0. */
HELIOS_API void (*RedisModule_DictIteratorStop)(RedisModuleDictIter *di);
/* 5.0. */
HELIOS_API int (*RedisModule_DictIteratorReseekC)(RedisModuleDictIter *di, const char *op,
                                                  void *key, size_t keylen);
/* 5.0. */
HELIOS_API int (*RedisModule_DictIteratorReseek)(RedisModuleDictIter *di, const char *op,
                                                 RedisModuleString *key);
/* 5.0. */
HELIOS_API void *(*RedisModule_DictNextC)(RedisModuleDictIter *di, size_t *keylen, void **dataptr);
/* 5.0. */
HELIOS_API void *(*RedisModule_DictPrevC)(RedisModuleDictIter *di, size_t *keylen, void **dataptr);
/* 5.0. */
HELIOS_API RedisModuleString *(*RedisModule_DictNext)(RedisModuleCtx *ctx, RedisModuleDictIter *di,
                                                      void **dataptr);
/* 5.0. */
HELIOS_API RedisModuleString *(*RedisModule_DictPrev)(RedisModuleCtx *ctx, RedisModuleDictIter *di,
                                                      void **dataptr);
/* 5.0. */
HELIOS_API int (*RedisModule_DictCompareC)(RedisModuleDictIter *di, const char *op, void *key,
                                           size_t keylen);
/* 5.0. */
HELIOS_API int (*RedisModule_DictCompare)(RedisModuleDictIter *di, const char *op,
                                          RedisModuleString *key);

/* ---- Defragmentation ------------------------------------------------------------------------- */

/* 6.2. */
HELIOS_API int (*RedisModule_RegisterDefragFunc)(RedisModuleCtx *ctx, RedisModuleDefragFunc func);
/* 8.0. */
HELIOS_API int (*RedisModule_RegisterDefragFunc2)(RedisModuleCtx *ctx, RedisModuleDefragFunc2 func);
/* 8.0. */
HELIOS_API int (*RedisModule_RegisterDefragCallbacks)(RedisModuleCtx *ctx,
                                                      RedisModuleDefragFunc start,
                                                      RedisModuleDefragFunc end);
/* 6.2. */
HELIOS_API void *(*RedisModule_DefragAlloc)(RedisModuleDefragCtx *ctx, void *ptr);
/* 8.0. */
HELIOS_API void *(*RedisModule_DefragAllocRaw)(RedisModuleDefragCtx *ctx, size_t size);
/* 8.0. */
HELIOS_API void (*RedisModule_DefragFreeRaw)(RedisModuleDefragCtx *ctx, void *ptr);
/* 6.2. */
HELIOS_API RedisModuleString *(*RedisModule_DefragRedisModuleString)(RedisModuleDefragCtx *ctx,
                                                                     RedisModuleString *str);
/* 8.0. */
HELIOS_API RedisModuleDict *(*RedisModule_DefragRedisModuleDict)(
    RedisModuleDefragCtx *ctx, RedisModuleDict *dict, RedisModuleDefragDictValueCallback valueCB,
    RedisModuleString **seekTo);
/* 6.2. */
HELIOS_API int (*RedisModule_DefragShouldStop)(RedisModuleDefragCtx *ctx);
/* 6.2. */
HELIOS_API int (*RedisModule_DefragCursorSet)(RedisModuleDefragCtx *ctx, unsigned long cursor);
/* 6.2. */
HELIOS_API int (*RedisModule_DefragCursorGet)(RedisModuleDefragCtx *ctx, unsigned long *cursor);
/* 7.0. */
HELIOS_API int (*RedisModule_GetDbIdFromDefragCtx)(RedisModuleDefragCtx *ctx);
/* 7.0. */
HELIOS_API const
    RedisModuleString *(*RedisModule_GetKeyNameFromDefragCtx)(RedisModuleDefragCtx *ctx);

#endif
