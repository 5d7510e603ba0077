/* The functions of the module ABI, part of helios/module.h: life inside the server: waiting,
 * threads, timers, events, settings, users, cluster.
 *
 * Each is a pointer that RedisModule_Init() fills, NULL when the server lacks it: whoever uses one
 * newer than he requires tests it first.  "7.2" at the end of a comment: since that version of
 * Redis; no number: since 4.0.
 */
#ifndef HELIOS_MODULE_SERVER_H
#define HELIOS_MODULE_SERVER_H

#include "helios/module_types.h"

/* ---- Blocked clients ------------------------------------------------------------------------- */

/* 6.0. */
HELIOS_API RedisModuleBlockedClient *(*RedisModule_BlockClientOnKeys)(
    RedisModuleCtx *ctx, RedisModuleCmdFunc reply_callback, RedisModuleCmdFunc timeout_callback,
    void (*free_privdata)(RedisModuleCtx *, void *), long long timeout_ms, RedisModuleString **keys,
    int numkeys, void *privdata);
/* 7.2. */
HELIOS_API RedisModuleBlockedClient *(*RedisModule_BlockClientOnKeysWithFlags)(
    RedisModuleCtx *ctx, RedisModuleCmdFunc reply_callback, RedisModuleCmdFunc timeout_callback,
    void (*free_privdata)(RedisModuleCtx *, void *), long long timeout_ms, RedisModuleString **keys,
    int numkeys, void *privdata, int flags);
/* 6.0. */
HELIOS_API void (*RedisModule_SignalKeyAsReady)(RedisModuleCtx *ctx, RedisModuleString *key);
/* 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_GetBlockedClientReadyKey)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API RedisModuleBlockedClient *(*RedisModule_BlockClient)(
    RedisModuleCtx *ctx, RedisModuleCmdFunc reply_callback, RedisModuleCmdFunc timeout_callback,
    void (*free_privdata)(RedisModuleCtx *, void *), long long timeout_ms);
/* 7.2. */
HELIOS_API void *(*RedisModule_BlockClientGetPrivateData)(RedisModuleBlockedClient *blocked_client);
/* 7.2. */
HELIOS_API void (*RedisModule_BlockClientSetPrivateData)(RedisModuleBlockedClient *blocked_client,
                                                         void *private_data);
/* 4.0. */
HELIOS_API int (*RedisModule_UnblockClient)(RedisModuleBlockedClient *bc, void *privdata);
/* 4.0. */
HELIOS_API int (*RedisModule_IsBlockedReplyRequest)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API int (*RedisModule_IsBlockedTimeoutRequest)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API void *(*RedisModule_GetBlockedClientPrivateData)(RedisModuleCtx *ctx);
/* 5.0. */
HELIOS_API RedisModuleBlockedClient *(*RedisModule_GetBlockedClientHandle)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API int (*RedisModule_AbortBlock)(RedisModuleBlockedClient *bc);
/* 6.2. */
HELIOS_API int (*RedisModule_BlockedClientMeasureTimeStart)(RedisModuleBlockedClient *bc);
/* 6.2. */
HELIOS_API int (*RedisModule_BlockedClientMeasureTimeEnd)(RedisModuleBlockedClient *bc);
/* 5.0. */
HELIOS_API int (*RedisModule_BlockedClientDisconnected)(RedisModuleCtx *ctx);
/* 5.0. */
HELIOS_API void (*RedisModule_SetDisconnectCallback)(RedisModuleBlockedClient *bc,
                                                     RedisModuleDisconnectFunc callback);

/* ---- Thread-safe contexts -------------------------------------------------------------------- */

/* 4.0. */
HELIOS_API RedisModuleCtx *(*RedisModule_GetThreadSafeContext)(RedisModuleBlockedClient *bc);
/* 6.0. */
HELIOS_API RedisModuleCtx *(*RedisModule_GetDetachedThreadSafeContext)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API void (*RedisModule_FreeThreadSafeContext)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API void (*RedisModule_ThreadSafeContextLock)(RedisModuleCtx *ctx);
/* 6.0. */
HELIOS_API int (*RedisModule_ThreadSafeContextTryLock)(RedisModuleCtx *ctx);
/* 4.0. */
HELIOS_API void (*RedisModule_ThreadSafeContextUnlock)(RedisModuleCtx *ctx);

/* ---- Timers ---------------------------------------------------------------------------------- */

/* 5.0. */
HELIOS_API RedisModuleTimerID (*RedisModule_CreateTimer)(RedisModuleCtx *ctx, mstime_t period,
                                                         RedisModuleTimerProc callback, void *data);
/* 5.0. */
HELIOS_API int (*RedisModule_StopTimer)(RedisModuleCtx *ctx, RedisModuleTimerID id, void **data);
/* 5.0. */
HELIOS_API int (*RedisModule_GetTimerInfo)(RedisModuleCtx *ctx, RedisModuleTimerID id,
                                           uint64_t *remaining, void **data);

/* ---- Event loop ------------------------------------------------------------------------------ */

/* 7.0. */
HELIOS_API int (*RedisModule_EventLoopAdd)(int fd, int mask, RedisModuleEventLoopFunc func,
                                           void *user_data);
/* 7.0. */
HELIOS_API int (*RedisModule_EventLoopDel)(int fd, int mask);
/* 7.0. */
HELIOS_API int (*RedisModule_EventLoopAddOneShot)(RedisModuleEventLoopOneShotFunc func,
                                                  void *user_data);

/* ---- Keyspace notifications ------------------------------------------------------------------ */

/* 6.0. */
HELIOS_API int (*RedisModule_GetKeyspaceNotificationFlagsAll)(void);
/* 4.0. */
HELIOS_API int (*RedisModule_SubscribeToKeyspaceEvents)(RedisModuleCtx *ctx, int types,
                                                        RedisModuleNotificationFunc cb);
/* 8.2. */
HELIOS_API int (*RedisModule_UnsubscribeFromKeyspaceEvents)(RedisModuleCtx *ctx, int types,
                                                            RedisModuleNotificationFunc cb);
/* 7.2. */
HELIOS_API int (*RedisModule_AddPostNotificationJob)(RedisModuleCtx *ctx,
                                                     RedisModulePostNotificationJobFunc callback,
                                                     void *pd, void (*free_pd)(void *));
/* 6.0. */
HELIOS_API int (*RedisModule_NotifyKeyspaceEvent)(RedisModuleCtx *ctx, int type, const char *event,
                                                  RedisModuleString *key);
/* 6.0. */
HELIOS_API int (*RedisModule_GetNotifyKeyspaceEvents)(void);

/* ---- Server events --------------------------------------------------------------------------- */

/* 6.0. */
HELIOS_API int (*RedisModule_SubscribeToServerEvent)(RedisModuleCtx *ctx, RedisModuleEvent event,
                                                     RedisModuleEventCallback callback);
/* 6.0. */
HELIOS_API int (*RedisModule_IsSubEventSupported)(RedisModuleEvent event, uint64_t subevent);

/* ---- INFO ------------------------------------------------------------------------------------ */

/* 6.0. */
HELIOS_API int (*RedisModule_RegisterInfoFunc)(RedisModuleCtx *ctx, RedisModuleInfoFunc cb);
/* 6.0. */
HELIOS_API int (*RedisModule_InfoAddSection)(RedisModuleInfoCtx *ctx, const char *name);
/* 6.0. */
HELIOS_API int (*RedisModule_InfoBeginDictField)(RedisModuleInfoCtx *ctx, const char *name);
/* 6.0. */
HELIOS_API int (*RedisModule_InfoEndDictField)(RedisModuleInfoCtx *ctx);
/* 6.0. */
HELIOS_API int (*RedisModule_InfoAddFieldString)(RedisModuleInfoCtx *ctx, const char *field,
                                                 RedisModuleString *value);
/* 6.0. */
HELIOS_API int (*RedisModule_InfoAddFieldCString)(RedisModuleInfoCtx *ctx, const char *field,
                                                  const char *value);
/* 6.0. */
HELIOS_API int (*RedisModule_InfoAddFieldDouble)(RedisModuleInfoCtx *ctx, const char *field,
                                                 double value);
/* 6.0. */
HELIOS_API int (*RedisModule_InfoAddFieldLongLong)(RedisModuleInfoCtx *ctx, const char *field,
                                                   long long value);
/* 6.0. */
HELIOS_API int (*RedisModule_InfoAddFieldULongLong)(RedisModuleInfoCtx *ctx, const char *field,
                                                    unsigned long long value);
/* 6.0. */
HELIOS_API RedisModuleServerInfoData *(*RedisModule_GetServerInfo)(RedisModuleCtx *ctx,
                                                                   const char *section);
/* 6.0. */
HELIOS_API void (*RedisModule_FreeServerInfo)(RedisModuleCtx *ctx, RedisModuleServerInfoData *data);
/* 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_ServerInfoGetField)(RedisModuleCtx *ctx,
                                                                RedisModuleServerInfoData *data,
                                                                const char *field);
/* 6.0. */
HELIOS_API const char *(*RedisModule_ServerInfoGetFieldC)(RedisModuleServerInfoData *data,
                                                          const char *field);
/* 6.0. */
HELIOS_API long long (*RedisModule_ServerInfoGetFieldSigned)(RedisModuleServerInfoData *data,
                                                             const char *field, int *out_err);
/* 6.0. */
HELIOS_API unsigned long long (*RedisModule_ServerInfoGetFieldUnsigned)(
    RedisModuleServerInfoData *data, const char *field, int *out_err);
/* 6.0. */
HELIOS_API double (*RedisModule_ServerInfoGetFieldDouble)(RedisModuleServerInfoData *data,
                                                          const char *field, int *out_err);

/* ---- Settings -------------------------------------------------------------------------------- */

/* 7.0. */
HELIOS_API int (*RedisModule_RegisterBoolConfig)(RedisModuleCtx *ctx, const char *name,
                                                 int default_val, unsigned int flags,
                                                 RedisModuleConfigGetBoolFunc getfn,
                                                 RedisModuleConfigSetBoolFunc setfn,
                                                 RedisModuleConfigApplyFunc applyfn,
                                                 void *privdata);
/* 7.0. */
HELIOS_API int (*RedisModule_RegisterNumericConfig)(
    RedisModuleCtx *ctx, const char *name, long long default_val, unsigned int flags, long long min,
    long long max, RedisModuleConfigGetNumericFunc getfn, RedisModuleConfigSetNumericFunc setfn,
    RedisModuleConfigApplyFunc applyfn, void *privdata);
/* 7.0. */
HELIOS_API int (*RedisModule_RegisterStringConfig)(RedisModuleCtx *ctx, const char *name,
                                                   const char *default_val, unsigned int flags,
                                                   RedisModuleConfigGetStringFunc getfn,
                                                   RedisModuleConfigSetStringFunc setfn,
                                                   RedisModuleConfigApplyFunc applyfn,
                                                   void *privdata);
/* 7.0. */
HELIOS_API int (*RedisModule_RegisterEnumConfig)(
    RedisModuleCtx *ctx, const char *name, int default_val, unsigned int flags,
    const char **enum_values, const int *int_values, int num_enum_vals,
    RedisModuleConfigGetEnumFunc getfn, RedisModuleConfigSetEnumFunc setfn,
    RedisModuleConfigApplyFunc applyfn, void *privdata);
/* 7.0. */
HELIOS_API int (*RedisModule_LoadConfigs)(RedisModuleCtx *ctx);
/* 8.0. */
HELIOS_API int (*RedisModule_LoadDefaultConfigs)(RedisModuleCtx *ctx);
/* 8.2. */
HELIOS_API RedisModuleConfigIterator *(*RedisModule_ConfigIteratorCreate)(RedisModuleCtx *ctx,
                                                                          const char *pattern);
/* 8.2. */
HELIOS_API void (*RedisModule_ConfigIteratorRelease)(RedisModuleCtx *ctx,
                                                     RedisModuleConfigIterator *iter);
/* 8.2. */
HELIOS_API const char *(*RedisModule_ConfigIteratorNext)(RedisModuleConfigIterator *iter);
/* 8.2. */
HELIOS_API int (*RedisModule_ConfigGetType)(const char *name, RedisModuleConfigType *res);
/* 8.2. */
HELIOS_API int (*RedisModule_ConfigGet)(RedisModuleCtx *ctx, const char *name,
                                        RedisModuleString **res);
/* 8.2. */
HELIOS_API int (*RedisModule_ConfigGetBool)(RedisModuleCtx *ctx, const char *name, int *res);
/* 8.2. */
HELIOS_API int (*RedisModule_ConfigGetEnum)(RedisModuleCtx *ctx, const char *name,
                                            RedisModuleString **res);
/* 8.2. */
HELIOS_API int (*RedisModule_ConfigGetNumeric)(RedisModuleCtx *ctx, const char *name,
                                               long long *res);
/* 8.2. */
HELIOS_API int (*RedisModule_ConfigSet)(RedisModuleCtx *ctx, const char *name,
                                        RedisModuleString *value, RedisModuleString **err);
/* 8.2. */
HELIOS_API int (*RedisModule_ConfigSetBool)(RedisModuleCtx *ctx, const char *name, int value,
                                            RedisModuleString **err);
/* 8.2. */
HELIOS_API int (*RedisModule_ConfigSetEnum)(RedisModuleCtx *ctx, const char *name,
                                            RedisModuleString *value, RedisModuleString **err);
/* 8.2. */
HELIOS_API int (*RedisModule_ConfigSetNumeric)(RedisModuleCtx *ctx, const char *name,
                                               long long value, RedisModuleString **err);

/* ---- Users and permissions ------------------------------------------------------------------- */

/* 7.2. */
HELIOS_API void (*RedisModule_RegisterAuthCallback)(RedisModuleCtx *ctx,
                                                    RedisModuleAuthCallback cb);
/* 7.2. */
HELIOS_API RedisModuleBlockedClient *(*RedisModule_BlockClientOnAuth)(
    RedisModuleCtx *ctx, RedisModuleAuthCallback reply_callback,
    void (*free_privdata)(RedisModuleCtx *, void *));
/* 6.0. */
HELIOS_API RedisModuleUser *(*RedisModule_CreateModuleUser)(const char *name);
/* 6.0. */
HELIOS_API void (*RedisModule_FreeModuleUser)(RedisModuleUser *user);
/* 7.0. */
HELIOS_API void (*RedisModule_SetContextUser)(RedisModuleCtx *ctx, const RedisModuleUser *user);
/* 6.0. */
HELIOS_API int (*RedisModule_SetModuleUserACL)(RedisModuleUser *user, const char *acl);
/* 7.0. */
HELIOS_API int (*RedisModule_SetModuleUserACLString)(RedisModuleCtx *ctx, RedisModuleUser *user,
                                                     const char *acl, RedisModuleString **error);
/* 7.0. */
HELIOS_API RedisModuleString *(*RedisModule_GetModuleUserACLString)(RedisModuleUser *user);
/* 7.0. */
HELIOS_API RedisModuleString *(*RedisModule_GetCurrentUserName)(RedisModuleCtx *ctx);
/* 7.0. */
HELIOS_API RedisModuleUser *(*RedisModule_GetModuleUserFromUserName)(RedisModuleString *name);
/* 7.0. */
HELIOS_API int (*RedisModule_ACLCheckCommandPermissions)(RedisModuleUser *user,
                                                         RedisModuleString **argv, int argc);
/* 7.0. */
HELIOS_API int (*RedisModule_ACLCheckKeyPermissions)(RedisModuleUser *user, RedisModuleString *key,
                                                     int flags);
/* 8.0. */
HELIOS_API int (*RedisModule_ACLCheckKeyPrefixPermissions)(RedisModuleUser *user,
                                                           RedisModuleString *prefix, int flags);
/* 7.0. */
HELIOS_API int (*RedisModule_ACLCheckChannelPermissions)(RedisModuleUser *user,
                                                         RedisModuleString *ch, int literal);
/* 7.0. */
HELIOS_API void (*RedisModule_ACLAddLogEntry)(RedisModuleCtx *ctx, RedisModuleUser *user,
                                              RedisModuleString *object,
                                              RedisModuleACLLogEntryReason reason);
/* 7.2. */
HELIOS_API void (*RedisModule_ACLAddLogEntryByUserName)(RedisModuleCtx *ctx,
                                                        RedisModuleString *user,
                                                        RedisModuleString *object,
                                                        RedisModuleACLLogEntryReason reason);
/* 6.0. */
HELIOS_API int (*RedisModule_AuthenticateClientWithACLUser)(RedisModuleCtx *ctx, const char *name,
                                                            size_t len,
                                                            RedisModuleUserChangedFunc callback,
                                                            void *privdata, uint64_t *client_id);
/* 6.0. */
HELIOS_API int (*RedisModule_AuthenticateClientWithUser)(RedisModuleCtx *ctx, RedisModuleUser *user,
                                                         RedisModuleUserChangedFunc callback,
                                                         void *privdata, uint64_t *client_id);
/* 6.0. */
HELIOS_API int (*RedisModule_DeauthenticateAndCloseClient)(RedisModuleCtx *ctx, uint64_t client_id);
/* 8.0. */
HELIOS_API const char *(*RedisModule_GetInternalSecret)(RedisModuleCtx *ctx, size_t *len);

/* ---- Command filters ------------------------------------------------------------------------- */

/* 5.0. */
HELIOS_API RedisModuleCommandFilter *(*RedisModule_RegisterCommandFilter)(
    RedisModuleCtx *ctx, RedisModuleCommandFilterFunc cb, int flags);
/* 5.0. */
HELIOS_API int (*RedisModule_UnregisterCommandFilter)(RedisModuleCtx *ctx,
                                                      RedisModuleCommandFilter *filter);
/* 5.0. */
HELIOS_API int (*RedisModule_CommandFilterArgsCount)(RedisModuleCommandFilterCtx *fctx);
/* 5.0. */
HELIOS_API RedisModuleString *(*RedisModule_CommandFilterArgGet)(RedisModuleCommandFilterCtx *fctx,
                                                                 int pos);
/* 5.0. */
HELIOS_API int (*RedisModule_CommandFilterArgInsert)(RedisModuleCommandFilterCtx *fctx, int pos,
                                                     RedisModuleString *arg);
/* 5.0. */
HELIOS_API int (*RedisModule_CommandFilterArgReplace)(RedisModuleCommandFilterCtx *fctx, int pos,
                                                      RedisModuleString *arg);
/* 5.0. */
HELIOS_API int (*RedisModule_CommandFilterArgDelete)(RedisModuleCommandFilterCtx *fctx, int pos);
/* 7.2. */
HELIOS_API unsigned long long (*RedisModule_CommandFilterGetClientId)(
    RedisModuleCommandFilterCtx *fctx);

/* ---- Functions shared between modules -------------------------------------------------------- */

/* 5.0. */
HELIOS_API int (*RedisModule_ExportSharedAPI)(RedisModuleCtx *ctx, const char *apiname, void *func);
/* 5.0. */
HELIOS_API void *(*RedisModule_GetSharedAPI)(RedisModuleCtx *ctx, const char *apiname);

/* ---- Child processes ------------------------------------------------------------------------- */

/* 6.0. */
HELIOS_API int (*RedisModule_Fork)(RedisModuleForkDoneHandler cb, void *user_data);
/* 6.2. */
HELIOS_API void (*RedisModule_SendChildHeartbeat)(double progress);
/* 6.0. */
HELIOS_API int (*RedisModule_ExitFromChild)(int retcode);
/* 6.0. */
HELIOS_API int (*RedisModule_KillForkChild)(int child_pid);

/* ---- Cluster --------------------------------------------------------------------------------- */

/* 5.0. */
HELIOS_API void (*RedisModule_RegisterClusterMessageReceiver)(
    RedisModuleCtx *ctx, uint8_t type, RedisModuleClusterMessageReceiver callback);
/* 5.0. */
HELIOS_API int (*RedisModule_SendClusterMessage)(RedisModuleCtx *ctx, const char *target_id,
                                                 uint8_t type, const char *msg, uint32_t len);
/* 5.0. */
HELIOS_API int (*RedisModule_GetClusterNodeInfo)(RedisModuleCtx *ctx, const char *id, char *ip,
                                                 char *master_id, int *port, int *flags);
/* 5.0. */
HELIOS_API char **(*RedisModule_GetClusterNodesList)(RedisModuleCtx *ctx, size_t *numnodes);
/* 5.0. */
HELIOS_API void (*RedisModule_FreeClusterNodesList)(char **ids);
/* 5.0. */
HELIOS_API const char *(*RedisModule_GetMyClusterID)(void);
/* 5.0. */
HELIOS_API size_t (*RedisModule_GetClusterSize)(void);
/* 5.0. */
HELIOS_API void (*RedisModule_SetClusterFlags)(RedisModuleCtx *ctx, uint64_t flags);
/* 8.4. */
HELIOS_API int (*RedisModule_ClusterDisableTrim)(RedisModuleCtx *ctx);
/* 8.4. */
HELIOS_API int (*RedisModule_ClusterEnableTrim)(RedisModuleCtx *ctx);
/* 7.4. */
HELIOS_API unsigned int (*RedisModule_ClusterKeySlot)(RedisModuleString *key);
/* 8.4. */
HELIOS_API unsigned int (*RedisModule_ClusterKeySlotC)(const char *keystr, size_t keylen);
/* 7.4. */
HELIOS_API const char *(*RedisModule_ClusterCanonicalKeyNameInSlot)(unsigned int slot);
/* 8.4. */
HELIOS_API int (*RedisModule_ClusterCanAccessKeysInSlot)(int slot);
/* 8.4. */
HELIOS_API int (*RedisModule_ClusterPropagateForSlotMigration)(RedisModuleCtx *ctx,
                                                               const char *cmdname, const char *fmt,
                                                               ...);
/* 8.4. */
HELIOS_API RedisModuleSlotRangeArray *(*RedisModule_ClusterGetLocalSlotRanges)(RedisModuleCtx *ctx);
/* 8.4. */
HELIOS_API void (*RedisModule_ClusterFreeSlotRanges)(RedisModuleCtx *ctx,
                                                     RedisModuleSlotRangeArray *slots);

#endif
