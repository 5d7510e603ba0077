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

/* 1 when the key exists, without opening it, nor marking it as used. 7.0. */
HELIOS_API int (*RedisModule_KeyExists)(RedisModuleCtx *ctx, RedisModuleString *keyname);

/* Open a key in mode REDISMODULE_READ or READ | WRITE, with OPEN_KEY flags or-ed in. For
 * reading, NULL when it does not exist; for writing, an empty key that a write creates. End it
 * with CloseKey; keyname is borrowed for the call. */
HELIOS_API RedisModuleKey *(*RedisModule_OpenKey)(RedisModuleCtx *ctx, RedisModuleString *keyname,
                                                  int mode);

/* All open modes that this server knows, or-ed. 7.2. */
HELIOS_API int (*RedisModule_GetOpenKeyModesAll)(void);

/* End a key; NULL is allowed. A key that became empty is deleted. */
HELIOS_API void (*RedisModule_CloseKey)(RedisModuleKey *kp);

/* REDISMODULE_KEYTYPE_*; EMPTY for NULL and for a key that holds nothing. */
HELIOS_API int (*RedisModule_KeyType)(RedisModuleKey *kp);

/* Bytes of a string, elements of a list, set, sorted set or stream, fields of a hash; 0
 * otherwise. */
HELIOS_API size_t (*RedisModule_ValueLength)(RedisModuleKey *kp);

/* Delete the value; the handle stays usable, as an empty key. ERR when not open for writing. */
HELIOS_API int (*RedisModule_DeleteKey)(RedisModuleKey *key);

/* Like DeleteKey, freeing the value on another thread. */
HELIOS_API int (*RedisModule_UnlinkKey)(RedisModuleKey *key);

/* Milliseconds until the key expires; REDISMODULE_NO_EXPIRE when never or the key is empty. */
HELIOS_API mstime_t (*RedisModule_GetExpire)(RedisModuleKey *key);

/* Let the key expire that many milliseconds from now; REDISMODULE_NO_EXPIRE: never. ERR when not
 * open for writing, or empty, or negative. */
HELIOS_API int (*RedisModule_SetExpire)(RedisModuleKey *key, mstime_t expire);

/* When the key expires, in milliseconds since 1970, or REDISMODULE_NO_EXPIRE. 6.2. */
HELIOS_API mstime_t (*RedisModule_GetAbsExpire)(RedisModuleKey *key);

/* Let the key expire at that time, or never. Errors as SetExpire. 6.2. */
HELIOS_API int (*RedisModule_SetAbsExpire)(RedisModuleKey *key, mstime_t expire);

/* FLUSHALL, as a module may do it before it loads another data set. 6.0. */
HELIOS_API void (*RedisModule_ResetDataset)(int restart_aof, int async);

/* How many keys the selected database holds. 6.0. */
HELIOS_API unsigned long long (*RedisModule_DbSize)(RedisModuleCtx *ctx);

/* The name of some key, a new string; NULL when there is none. 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_RandomKey)(RedisModuleCtx *ctx);

/* Tell WATCH and client tracking that a key changed; needed only with
 * OPTION_NO_IMPLICIT_SIGNAL_MODIFIED. 6.0. */
HELIOS_API int (*RedisModule_SignalModifiedKey)(RedisModuleCtx *ctx, RedisModuleString *keyname);

/* The name of an open key, borrowed. 6.0. */
HELIOS_API const RedisModuleString *(*RedisModule_GetKeyNameFromModuleKey)(RedisModuleKey *key);

/* The database of an open key. 7.0. */
HELIOS_API int (*RedisModule_GetDbIdFromModuleKey)(RedisModuleKey *key);

/* Set how long the key counts as idle, in milliseconds; ERR when the policy is LFU or the key
 * empty. 6.0. */
HELIOS_API int (*RedisModule_SetLRU)(RedisModuleKey *key, mstime_t lru_idle);

/* How long the key has been idle; -1 when the policy is LFU. 6.0. */
HELIOS_API int (*RedisModule_GetLRU)(RedisModuleKey *key, mstime_t *lru_idle);

/* Set the frequency of use, 0 to 255; ERR when the policy is not LFU or the key empty. 6.0. */
HELIOS_API int (*RedisModule_SetLFU)(RedisModuleKey *key, long long lfu_freq);

/* The frequency of use; -1 when the policy is not LFU. 6.0. */
HELIOS_API int (*RedisModule_GetLFU)(RedisModuleKey *key, long long *lfu_freq);

/* ---- String values --------------------------------------------------------------------------- */

/* Set the value to str, which may stay shared; the expiry is dropped. ERR when not open for
 * writing or an iterator is active. */
HELIOS_API int (*RedisModule_StringSet)(RedisModuleKey *key, RedisModuleString *str);

/* The bytes of a string value, to read and, with mode WRITE, to change in place; *len gets their
 * number. Valid until any other call on the key. NULL when it holds no string. */
HELIOS_API char *(*RedisModule_StringDMA)(RedisModuleKey *key, size_t *len, int mode);

/* Make a string value newlen bytes long, padding with zeros; creates it when empty. ERR when not
 * open for writing, another type, or over 512 MB. */
HELIOS_API int (*RedisModule_StringTruncate)(RedisModuleKey *key, size_t newlen);

/* ---- Lists ----------------------------------------------------------------------------------- */

/* Append ele at one end (REDISMODULE_LIST_*); creates the list. ERR when not open for writing
 * (errno EBADF), another type (ENOTSUP), or an argument is bad (EINVAL). */
HELIOS_API int (*RedisModule_ListPush)(RedisModuleKey *kp, int where, RedisModuleString *ele);

/* Take the element at one end, a new string; NULL when there is none, with errno. */
HELIOS_API RedisModuleString *(*RedisModule_ListPop)(RedisModuleKey *key, int where);

/* Element index (negative: from the end), a new string; NULL with errno ENOTSUP, EBADF or EDOM.
 * 7.0. */
HELIOS_API RedisModuleString *(*RedisModule_ListGet)(RedisModuleKey *key, long index);

/* Replace element index; ERR with errno. 7.0. */
HELIOS_API int (*RedisModule_ListSet)(RedisModuleKey *key, long index, RedisModuleString *value);

/* Insert before element index (negative: behind it, from the end), creating the list when empty;
 * ERR with errno. 7.0. */
HELIOS_API int (*RedisModule_ListInsert)(RedisModuleKey *key, long index, RedisModuleString *value);

/* Delete element index; ERR with errno. 7.0. */
HELIOS_API int (*RedisModule_ListDelete)(RedisModuleKey *key, long index);

/* ---- Hashes ---------------------------------------------------------------------------------- */

/* Set fields: pairs of RedisModuleString *field, *value, then NULL; a value
 * REDISMODULE_HASH_DELETE deletes. flags: REDISMODULE_HASH_NX, _XX, _CFIELDS (fields are C
 * strings), _COUNT_ALL. Returns how many fields were updated or deleted (with COUNT_ALL:
 * inserted too); 0 with errno when the key is not writable or no hash. */
HELIOS_API int (*RedisModule_HashSet)(RedisModuleKey *key, int flags, ...);

/* Read fields: pairs of field and RedisModuleString **, then NULL; a missing field sets NULL,
 * others a new string. With REDISMODULE_HASH_EXISTS the pairs end in int * instead. ERR when the
 * key holds no hash. */
HELIOS_API int (*RedisModule_HashGet)(RedisModuleKey *key, int flags, ...);

/* When the first field expires, in milliseconds since 1970; REDISMODULE_NO_EXPIRE when none
 * does. 8.0. */
HELIOS_API mstime_t (*RedisModule_HashFieldMinExpire)(RedisModuleKey *key);

/* ---- Sorted sets ----------------------------------------------------------------------------- */

/* Add ele with a score, or change its score, under the conditions in *flagsptr
 * (REDISMODULE_ZADD_*, may be NULL), which gets the outcome. ERR when not open for writing,
 * another type, or the score is no number. */
HELIOS_API int (*RedisModule_ZsetAdd)(RedisModuleKey *key, double score, RedisModuleString *ele,
                                      int *flagsptr);

/* Add score to the score of ele; *newscore (may be NULL) gets the result. Flags and errors as
 * ZsetAdd. */
HELIOS_API int (*RedisModule_ZsetIncrby)(RedisModuleKey *key, double score, RedisModuleString *ele,
                                         int *flagsptr, double *newscore);

/* The score of ele; ERR when it is not there or the key holds no sorted set. */
HELIOS_API int (*RedisModule_ZsetScore)(RedisModuleKey *key, RedisModuleString *ele, double *score);

/* Remove ele; *deleted (may be NULL) tells whether it was there. ERR when not open for writing
 * or another type. */
HELIOS_API int (*RedisModule_ZsetRem)(RedisModuleKey *key, RedisModuleString *ele, int *deleted);

/* End an iteration. Starting another one does it too. */
HELIOS_API void (*RedisModule_ZsetRangeStop)(RedisModuleKey *key);

/* Begin at the lowest element of a range of scores; minex and maxex exclude the bounds. ERR when
 * the key holds no sorted set. One iterator per key. */
HELIOS_API int (*RedisModule_ZsetFirstInScoreRange)(RedisModuleKey *key, double min, double max,
                                                    int minex, int maxex);

/* Begin at the highest element of a range of scores. */
HELIOS_API int (*RedisModule_ZsetLastInScoreRange)(RedisModuleKey *key, double min, double max,
                                                   int minex, int maxex);

/* Begin at the first element between min and max, spelled as in ZRANGEBYLEX ("[a", "(b", "-",
 * "+"); ERR when misspelled or no sorted set. */
HELIOS_API int (*RedisModule_ZsetFirstInLexRange)(RedisModuleKey *key, RedisModuleString *min,
                                                  RedisModuleString *max);

/* Begin at the last element between min and max. */
HELIOS_API int (*RedisModule_ZsetLastInLexRange)(RedisModuleKey *key, RedisModuleString *min,
                                                 RedisModuleString *max);

/* The element at the iterator, a new string, and its score (may be NULL); NULL at the end. */
HELIOS_API RedisModuleString *(*RedisModule_ZsetRangeCurrentElement)(RedisModuleKey *key,
                                                                     double *score);

/* Go on; 0 at the end. */
HELIOS_API int (*RedisModule_ZsetRangeNext)(RedisModuleKey *key);

/* Go back; 0 at the end. */
HELIOS_API int (*RedisModule_ZsetRangePrev)(RedisModuleKey *key);

/* 1 when there is no current element. */
HELIOS_API int (*RedisModule_ZsetRangeEndReached)(RedisModuleKey *key);

/* ---- Streams --------------------------------------------------------------------------------- */

/* Append an entry of numfields pairs in argv. With STREAM_ADD_AUTOID, id (may be NULL) gets the
 * id; else it gives it. ERR with errno EINVAL, ENOTSUP, EBADF, EDOM (id not greater than the
 * last) or EFBIG. 6.2. */
HELIOS_API int (*RedisModule_StreamAdd)(RedisModuleKey *key, int flags, RedisModuleStreamID *id,
                                        RedisModuleString **argv, int64_t numfields);

/* Delete an entry; ERR with errno ENOENT when it is not there. 6.2. */
HELIOS_API int (*RedisModule_StreamDelete)(RedisModuleKey *key, RedisModuleStreamID *id);

/* Begin at startid up to endid (each may be NULL: no bound); flags
 * REDISMODULE_STREAM_ITERATOR_*. ERR with errno. 6.2. */
HELIOS_API int (*RedisModule_StreamIteratorStart)(RedisModuleKey *key, int flags,
                                                  RedisModuleStreamID *startid,
                                                  RedisModuleStreamID *endid);

/* End the iteration; ERR with errno when there is none. 6.2. */
HELIOS_API int (*RedisModule_StreamIteratorStop)(RedisModuleKey *key);

/* Go to the next entry: its id and number of fields (both may be NULL). ERR at the end. 6.2. */
HELIOS_API int (*RedisModule_StreamIteratorNextID)(RedisModuleKey *key, RedisModuleStreamID *id,
                                                   long *numfields);

/* The next field of the entry, two new strings. ERR when there is none left. 6.2. */
HELIOS_API int (*RedisModule_StreamIteratorNextField)(RedisModuleKey *key,
                                                      RedisModuleString **field_ptr,
                                                      RedisModuleString **value_ptr);

/* Delete the entry at the iterator. ERR with errno. 6.2. */
HELIOS_API int (*RedisModule_StreamIteratorDelete)(RedisModuleKey *key);

/* Cut the stream to length entries, or roughly with STREAM_TRIM_APPROX; returns how many went,
 * -1 with errno. 6.2. */
HELIOS_API long long (*RedisModule_StreamTrimByLength)(RedisModuleKey *key, int flags,
                                                       long long length);

/* Cut all entries older than id; returns how many went, -1 with errno. 6.2. */
HELIOS_API long long (*RedisModule_StreamTrimByID)(RedisModuleKey *key, int flags,
                                                   RedisModuleStreamID *id);

/* ---- Data types ------------------------------------------------------------------------------ */

/* Register a type, in OnLoad only. name: exactly nine characters of A-Z a-z 0-9 - _, unique in
 * the world, since it is stored with every value. encver: 0 to 1023, handed back to rdb_load.
 * typemethods is copied. NULL when the name is taken or malformed. */
HELIOS_API RedisModuleType *(*RedisModule_CreateDataType)(RedisModuleCtx *ctx, const char *name,
                                                          int encver,
                                                          RedisModuleTypeMethods *typemethods);

/* Make the key hold value, of type mt; an old value is freed. value belongs to the key then. ERR
 * when not open for writing or an iterator is active. */
HELIOS_API int (*RedisModule_ModuleTypeSetValue)(RedisModuleKey *key, RedisModuleType *mt,
                                                 void *value);

/* Like ModuleTypeSetValue, but the old value, which must be of mt, goes to *old_value (may be
 * NULL: then it is lost) and not to its free method. 6.0. */
HELIOS_API int (*RedisModule_ModuleTypeReplaceValue)(RedisModuleKey *key, RedisModuleType *mt,
                                                     void *new_value, void **old_value);

/* The type of the value, NULL when the key is empty or holds no module's value. Compare it with
 * your own before ModuleTypeGetValue. */
HELIOS_API RedisModuleType *(*RedisModule_ModuleTypeGetType)(RedisModuleKey *key);

/* The value as it was set, still the key's; NULL when there is no module's value. */
HELIOS_API void *(*RedisModule_ModuleTypeGetValue)(RedisModuleKey *key);

/* Rebuild a value from what SaveDataTypeToString made; NULL when it cannot. 6.0. */
HELIOS_API void *(*RedisModule_LoadDataTypeFromString)(const RedisModuleString *str,
                                                       const RedisModuleType *mt);

/* The same, handing encver to rdb_load. 7.0. */
HELIOS_API void *(*RedisModule_LoadDataTypeFromStringEncver)(const RedisModuleString *str,
                                                             const RedisModuleType *mt, int encver);

/* The value as rdb_save writes it, a new string; NULL on errors. ctx may be NULL. 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_SaveDataTypeToString)(RedisModuleCtx *ctx, void *data,
                                                                  const RedisModuleType *mt);

/* The database of the key that a type method works on. 7.0. */
HELIOS_API int (*RedisModule_GetDbIdFromOptCtx)(RedisModuleKeyOptCtx *ctx);

/* The database that a copy goes to. 7.0. */
HELIOS_API int (*RedisModule_GetToDbIdFromOptCtx)(RedisModuleKeyOptCtx *ctx);

/* The name of the key that a type method works on, borrowed; NULL when unknown. 7.0. */
HELIOS_API const RedisModuleString *(*RedisModule_GetKeyNameFromOptCtx)(RedisModuleKeyOptCtx *ctx);

/* The name that a copy goes to, borrowed. 7.0. */
HELIOS_API const
    RedisModuleString *(*RedisModule_GetToKeyNameFromOptCtx)(RedisModuleKeyOptCtx *ctx);

/* The newest RedisModuleTypeMethods that this server reads. 6.2. */
HELIOS_API int (*RedisModule_GetTypeMethodVersion)(void);

/* ---- Saving and loading values --------------------------------------------------------------- */

/* 1 when a Load before failed: with OPTIONS_HANDLE_IO_ERRORS, ask before using what was loaded,
 * and return NULL from rdb_load. 6.0. */
HELIOS_API int (*RedisModule_IsIOError)(RedisModuleIO *io);

/* Write an unsigned number. What is written is read back by the Load of the same kind, in the
 * same order. */
HELIOS_API void (*RedisModule_SaveUnsigned)(RedisModuleIO *io, uint64_t value);

/* Read what SaveUnsigned wrote; 0 on errors. */
HELIOS_API uint64_t (*RedisModule_LoadUnsigned)(RedisModuleIO *io);

/* Write a signed number. */
HELIOS_API void (*RedisModule_SaveSigned)(RedisModuleIO *io, int64_t value);

/* Read what SaveSigned wrote; 0 on errors. */
HELIOS_API int64_t (*RedisModule_LoadSigned)(RedisModuleIO *io);

/* In aof_rewrite: emit a command; fmt as for Call, without modifiers. */
HELIOS_API void (*RedisModule_EmitAOF)(RedisModuleIO *io, const char *cmdname, const char *fmt,
                                       ...);

/* Write a string. */
HELIOS_API void (*RedisModule_SaveString)(RedisModuleIO *io, RedisModuleString *s);

/* Write len bytes. */
HELIOS_API void (*RedisModule_SaveStringBuffer)(RedisModuleIO *io, const char *str, size_t len);

/* Read what a SaveString wrote, a new string; NULL on errors. */
HELIOS_API RedisModuleString *(*RedisModule_LoadString)(RedisModuleIO *io);

/* The same as raw bytes, *lenptr of them, to be ended with Free; NULL on errors. */
HELIOS_API char *(*RedisModule_LoadStringBuffer)(RedisModuleIO *io, size_t *lenptr);

/* Write a double, exactly. */
HELIOS_API void (*RedisModule_SaveDouble)(RedisModuleIO *io, double value);

/* Read what SaveDouble wrote; 0 on errors. */
HELIOS_API double (*RedisModule_LoadDouble)(RedisModuleIO *io);

/* Write a float, exactly. */
HELIOS_API void (*RedisModule_SaveFloat)(RedisModuleIO *io, float value);

/* Read what SaveFloat wrote; 0 on errors. */
HELIOS_API float (*RedisModule_LoadFloat)(RedisModuleIO *io);

/* Write a long double, as hexadecimal text. 6.0. */
HELIOS_API void (*RedisModule_SaveLongDouble)(RedisModuleIO *io, long double value);

/* Read what SaveLongDouble wrote; 0 on errors. 6.0. */
HELIOS_API long double (*RedisModule_LoadLongDouble)(RedisModuleIO *io);

/* A context to use inside this method, ending with it; never free it. */
HELIOS_API RedisModuleCtx *(*RedisModule_GetContextFromIO)(RedisModuleIO *io);

/* The name of the key being saved or loaded, borrowed; may be NULL. 5.0. */
HELIOS_API const RedisModuleString *(*RedisModule_GetKeyNameFromIO)(RedisModuleIO *io);

/* The database of the key being saved or loaded; -1 when there is none. 7.0. */
HELIOS_API int (*RedisModule_GetDbIdFromIO)(RedisModuleIO *io);

/* ---- Digests --------------------------------------------------------------------------------- */

/* Add bytes to the digest, in an order that matters until DigestEndSequence. */
HELIOS_API void (*RedisModule_DigestAddStringBuffer)(RedisModuleDigest *md, const char *ele,
                                                     size_t len);

/* Add a number to the digest. */
HELIOS_API void (*RedisModule_DigestAddLongLong)(RedisModuleDigest *md, long long ele);

/* End a sequence: the order of sequences does not matter. A list is one sequence; a set, one per
 * element. */
HELIOS_API void (*RedisModule_DigestEndSequence)(RedisModuleDigest *md);

/* The database of the key. 7.0. */
HELIOS_API int (*RedisModule_GetDbIdFromDigest)(RedisModuleDigest *dig);

/* The name of the key, borrowed. 7.0. */
HELIOS_API const RedisModuleString *(*RedisModule_GetKeyNameFromDigest)(RedisModuleDigest *dig);

/* ---- Whole dumps ----------------------------------------------------------------------------- */

/* A stream over a file, for RdbSave and RdbLoad; filename is copied. End it with RdbStreamFree.
 * 7.2. */
HELIOS_API RedisModuleRdbStream *(*RedisModule_RdbStreamCreateFromFile)(const char *filename);

/* End a stream; the file stays. 7.2. */
HELIOS_API void (*RedisModule_RdbStreamFree)(RedisModuleRdbStream *stream);

/* Replace the whole data set by a dump. flags: 0. ERR with errno when the file cannot be read or
 * the server may not now. 7.2. */
HELIOS_API int (*RedisModule_RdbLoad)(RedisModuleCtx *ctx, RedisModuleRdbStream *stream, int flags);

/* Write the whole data set. flags: 0. ERR with errno. 7.2. */
HELIOS_API int (*RedisModule_RdbSave)(RedisModuleCtx *ctx, RedisModuleRdbStream *stream, int flags);

/* ---- Scan ------------------------------------------------------------------------------------ */

/* A cursor at the beginning. End it with ScanCursorDestroy. 6.0. */
HELIOS_API RedisModuleScanCursor *(*RedisModule_ScanCursorCreate)(void);

/* Put a cursor back to the beginning. 6.0. */
HELIOS_API void (*RedisModule_ScanCursorRestart)(RedisModuleScanCursor *cursor);

/* End a cursor. 6.0. */
HELIOS_API void (*RedisModule_ScanCursorDestroy)(RedisModuleScanCursor *cursor);

/* Call fn for some keys of the selected database; 1 while there is more, 0 when done (then errno
 * ENOENT on one more call). Keys that stay throughout are seen at least once. 6.0. */
HELIOS_API int (*RedisModule_Scan)(RedisModuleCtx *ctx, RedisModuleScanCursor *cursor,
                                   RedisModuleScanCB fn, void *privdata);

/* Call fn for some elements of a hash, set or sorted set; 1 while there is more, 0 when done, or
 * with errno EINVAL for another type. 6.0. */
HELIOS_API int (*RedisModule_ScanKey)(RedisModuleKey *key, RedisModuleScanCursor *cursor,
                                      RedisModuleScanKeyCB fn, void *privdata);

/* ---- Dictionaries ---------------------------------------------------------------------------- */

/* A new ordered dictionary from bytes to pointers. ctx may be NULL: no automatic memory. End it
 * with FreeDict. 5.0. */
HELIOS_API RedisModuleDict *(*RedisModule_CreateDict)(RedisModuleCtx *ctx);

/* End a dictionary; what the values point to stays the caller's. ctx as it was at creation. 5.0. */
HELIOS_API void (*RedisModule_FreeDict)(RedisModuleCtx *ctx, RedisModuleDict *d);

/* How many keys there are. 5.0. */
HELIOS_API uint64_t (*RedisModule_DictSize)(RedisModuleDict *d);

/* Add a key; ERR when it is there already, nothing being changed. 5.0. */
HELIOS_API int (*RedisModule_DictSetC)(RedisModuleDict *d, void *key, size_t keylen, void *ptr);

/* Add or replace a key; returns OK. 5.0. */
HELIOS_API int (*RedisModule_DictReplaceC)(RedisModuleDict *d, void *key, size_t keylen, void *ptr);

/* DictSetC with a string as key. 5.0. */
HELIOS_API int (*RedisModule_DictSet)(RedisModuleDict *d, RedisModuleString *key, void *ptr);

/* DictReplaceC with a string as key. 5.0. */
HELIOS_API int (*RedisModule_DictReplace)(RedisModuleDict *d, RedisModuleString *key, void *ptr);

/* The pointer of a key, NULL when there is none; *nokey (may be NULL) tells a stored NULL from
 * none. 5.0. */
HELIOS_API void *(*RedisModule_DictGetC)(RedisModuleDict *d, void *key, size_t keylen, int *nokey);

/* DictGetC with a string as key. 5.0. */
HELIOS_API void *(*RedisModule_DictGet)(RedisModuleDict *d, RedisModuleString *key, int *nokey);

/* Delete a key; ERR when it is not there. oldval (may be NULL) is a void ** that gets its
 * pointer. 5.0. */
HELIOS_API int (*RedisModule_DictDelC)(RedisModuleDict *d, void *key, size_t keylen, void *oldval);

/* DictDelC with a string as key. 5.0. */
HELIOS_API int (*RedisModule_DictDel)(RedisModuleDict *d, RedisModuleString *key, void *oldval);

/* Begin at "^" the first key, "$" the last, or ">", ">=", "<", "<=", "==" relative to key. The
 * dictionary may be changed while iterating only through DictIteratorReseek. End it with
 * DictIteratorStop. 5.0. */
HELIOS_API RedisModuleDictIter *(*RedisModule_DictIteratorStartC)(RedisModuleDict *d,
                                                                  const char *op, void *key,
                                                                  size_t keylen);

/* DictIteratorStartC with a string as key. 5.0. */
HELIOS_API RedisModuleDictIter *(*RedisModule_DictIteratorStart)(RedisModuleDict *d, const char *op,
                                                                 RedisModuleString *key);

/* End an iterator; NULL is allowed. 5.0. */
HELIOS_API void (*RedisModule_DictIteratorStop)(RedisModuleDictIter *di);

/* Begin anew with the same iterator; OK, or ERR when op is misspelled. 5.0. */
HELIOS_API int (*RedisModule_DictIteratorReseekC)(RedisModuleDictIter *di, const char *op,
                                                  void *key, size_t keylen);

/* DictIteratorReseekC with a string as key. 5.0. */
HELIOS_API int (*RedisModule_DictIteratorReseek)(RedisModuleDictIter *di, const char *op,
                                                 RedisModuleString *key);

/* The key at the iterator, *keylen bytes, borrowed until the next call, and its pointer (both
 * may be NULL); then goes on. NULL at the end. 5.0. */
HELIOS_API void *(*RedisModule_DictNextC)(RedisModuleDictIter *di, size_t *keylen, void **dataptr);

/* Like DictNextC, going back. 5.0. */
HELIOS_API void *(*RedisModule_DictPrevC)(RedisModuleDictIter *di, size_t *keylen, void **dataptr);

/* Like DictNextC, the key as a new string. ctx may be NULL. 5.0. */
HELIOS_API RedisModuleString *(*RedisModule_DictNext)(RedisModuleCtx *ctx, RedisModuleDictIter *di,
                                                      void **dataptr);

/* Like DictNext, going back. 5.0. */
HELIOS_API RedisModuleString *(*RedisModule_DictPrev)(RedisModuleCtx *ctx, RedisModuleDictIter *di,
                                                      void **dataptr);

/* OK when the key at the iterator is op ("<", "<=", "==", ">", ">=") key, ERR when not or at the
 * end. 5.0. */
HELIOS_API int (*RedisModule_DictCompareC)(RedisModuleDictIter *di, const char *op, void *key,
                                           size_t keylen);

/* DictCompareC with a string as key. 5.0. */
HELIOS_API int (*RedisModule_DictCompare)(RedisModuleDictIter *di, const char *op,
                                          RedisModuleString *key);

/* ---- Defragmentation ------------------------------------------------------------------------- */

/* Be called to defragment the module's globals. 6.2. */
HELIOS_API int (*RedisModule_RegisterDefragFunc)(RedisModuleCtx *ctx, RedisModuleDefragFunc func);

/* The same, in steps. 8.0. */
HELIOS_API int (*RedisModule_RegisterDefragFunc2)(RedisModuleCtx *ctx, RedisModuleDefragFunc2 func);

/* Be told when a round of defragmentation begins and ends. 8.0. */
HELIOS_API int (*RedisModule_RegisterDefragCallbacks)(RedisModuleCtx *ctx,
                                                      RedisModuleDefragFunc start,
                                                      RedisModuleDefragFunc end);

/* Move a block: its new address, or NULL when it stays. On a move the old one is freed. 6.2. */
HELIOS_API void *(*RedisModule_DefragAlloc)(RedisModuleDefragCtx *ctx, void *ptr);

/* Memory for a copy of the caller's making, NULL when refused. 8.0. */
HELIOS_API void *(*RedisModule_DefragAllocRaw)(RedisModuleDefragCtx *ctx, size_t size);

/* Free what the caller has copied. 8.0. */
HELIOS_API void (*RedisModule_DefragFreeRaw)(RedisModuleDefragCtx *ctx, void *ptr);

/* Move a string nobody else holds; NULL when it stays. 6.2. */
HELIOS_API RedisModuleString *(*RedisModule_DefragRedisModuleString)(RedisModuleDefragCtx *ctx,
                                                                     RedisModuleString *str);

/* Move a dictionary in steps; *seekTo keeps the place, NULL at the beginning and the end. 8.0. */
HELIOS_API RedisModuleDict *(*RedisModule_DefragRedisModuleDict)(
    RedisModuleDefragCtx *ctx, RedisModuleDict *dict, RedisModuleDefragDictValueCallback valueCB,
    RedisModuleString **seekTo);

/* 1 when the time is up: keep the place with DefragCursorSet and return nonzero. 6.2. */
HELIOS_API int (*RedisModule_DefragShouldStop)(RedisModuleDefragCtx *ctx);

/* Keep a place for the next step; ERR when the key has no step. 6.2. */
HELIOS_API int (*RedisModule_DefragCursorSet)(RedisModuleDefragCtx *ctx, unsigned long cursor);

/* The place that was kept; ERR when there is none. 6.2. */
HELIOS_API int (*RedisModule_DefragCursorGet)(RedisModuleDefragCtx *ctx, unsigned long *cursor);

/* The database of the key. 7.0. */
HELIOS_API int (*RedisModule_GetDbIdFromDefragCtx)(RedisModuleDefragCtx *ctx);

/* The name of the key, borrowed; NULL for globals. 7.0. */
HELIOS_API const
    RedisModuleString *(*RedisModule_GetKeyNameFromDefragCtx)(RedisModuleDefragCtx *ctx);

#endif
