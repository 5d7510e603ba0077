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

/* Let the client wait for keys: reply_callback runs when one is signalled, and once more each
 * time it returns ERR (not yet). free_privdata ends privdata. keys are copied. 6.0. */
HELIOS_API RedisModuleBlockedClient *(*RedisModule_BlockClientOnKeys)(
    RedisModuleCtx *ctx, RedisModuleCmdFunc reply_callback, RedisModuleCmdFunc timeout_callback,
    void (*free_privdata)(RedisModuleCtx *, void *), long long timeout_ms, RedisModuleString **keys,
    int numkeys, void *privdata);

/* Like BlockClientOnKeys; flags: REDISMODULE_BLOCK_UNBLOCK_*. 7.2. */
HELIOS_API RedisModuleBlockedClient *(*RedisModule_BlockClientOnKeysWithFlags)(
    RedisModuleCtx *ctx, RedisModuleCmdFunc reply_callback, RedisModuleCmdFunc timeout_callback,
    void (*free_privdata)(RedisModuleCtx *, void *), long long timeout_ms, RedisModuleString **keys,
    int numkeys, void *privdata, int flags);

/* Tell that a key may serve clients that wait for it. 6.0. */
HELIOS_API void (*RedisModule_SignalKeyAsReady)(RedisModuleCtx *ctx, RedisModuleString *key);

/* In a reply callback: the key that is ready, borrowed. 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_GetBlockedClientReadyKey)(RedisModuleCtx *ctx);

/* Let the client wait: the command returns without a reply. reply_callback answers after
 * UnblockClient, timeout_callback after timeout_ms (0: never), free_privdata ends what
 * UnblockClient was given; each may be NULL. The handle ends with UnblockClient or AbortBlock.
 * In MULTI or a script it replies an error and returns a handle that never answers. */
HELIOS_API RedisModuleBlockedClient *(*RedisModule_BlockClient)(
    RedisModuleCtx *ctx, RedisModuleCmdFunc reply_callback, RedisModuleCmdFunc timeout_callback,
    void (*free_privdata)(RedisModuleCtx *, void *), long long timeout_ms);

/* What BlockClientSetPrivateData or the block call kept. 7.2. */
HELIOS_API void *(*RedisModule_BlockClientGetPrivateData)(RedisModuleBlockedClient *blocked_client);

/* Keep a pointer with the waiting client. 7.2. */
HELIOS_API void (*RedisModule_BlockClientSetPrivateData)(RedisModuleBlockedClient *blocked_client,
                                                         void *private_data);

/* Let the reply callback run soon, with privdata. From any thread. Once per handle, which is
 * gone then. OK; ERR with errno EINVAL for NULL, ENOTSUP for a wait on keys without timeout
 * callback. */
HELIOS_API int (*RedisModule_UnblockClient)(RedisModuleBlockedClient *bc, void *privdata);

/* 1 inside a reply callback. */
HELIOS_API int (*RedisModule_IsBlockedReplyRequest)(RedisModuleCtx *ctx);

/* 1 inside a timeout callback. */
HELIOS_API int (*RedisModule_IsBlockedTimeoutRequest)(RedisModuleCtx *ctx);

/* In callbacks: what UnblockClient, or the wait on keys, was given. */
HELIOS_API void *(*RedisModule_GetBlockedClientPrivateData)(RedisModuleCtx *ctx);

/* In callbacks: the handle, to know whose turn it is. 5.0. */
HELIOS_API RedisModuleBlockedClient *(*RedisModule_GetBlockedClientHandle)(RedisModuleCtx *ctx);

/* Undo BlockClient in the same command: no callback runs but free_privdata with NULL. */
HELIOS_API int (*RedisModule_AbortBlock)(RedisModuleBlockedClient *bc);

/* Count time from here as time of the command, for SLOWLOG and LATENCY. 6.2. */
HELIOS_API int (*RedisModule_BlockedClientMeasureTimeStart)(RedisModuleBlockedClient *bc);

/* Stop counting; ERR when it was not started. 6.2. */
HELIOS_API int (*RedisModule_BlockedClientMeasureTimeEnd)(RedisModuleBlockedClient *bc);

/* In callbacks: 1 when the client has left. 5.0. */
HELIOS_API int (*RedisModule_BlockedClientDisconnected)(RedisModuleCtx *ctx);

/* Be told when the client leaves; the module still calls UnblockClient or AbortBlock. 5.0. */
HELIOS_API void (*RedisModule_SetDisconnectCallback)(RedisModuleBlockedClient *bc,
                                                     RedisModuleDisconnectFunc callback);

/* ---- Thread-safe contexts -------------------------------------------------------------------- */

/* A context for another thread, replying to bc's client, or to nobody when bc is NULL. Lock it
 * around everything but replies. End it with FreeThreadSafeContext. */
HELIOS_API RedisModuleCtx *(*RedisModule_GetThreadSafeContext)(RedisModuleBlockedClient *bc);

/* A context for another thread that knows its module, for logging; no client. 6.0. */
HELIOS_API RedisModuleCtx *(*RedisModule_GetDetachedThreadSafeContext)(RedisModuleCtx *ctx);

/* End such a context, unlocked. */
HELIOS_API void (*RedisModule_FreeThreadSafeContext)(RedisModuleCtx *ctx);

/* Wait until this thread may use the server; hold it for microseconds, not longer. Not
 * recursive. */
HELIOS_API void (*RedisModule_ThreadSafeContextLock)(RedisModuleCtx *ctx);

/* The same without waiting: ERR with errno EBUSY when another has it. 6.0. */
HELIOS_API int (*RedisModule_ThreadSafeContextTryLock)(RedisModuleCtx *ctx);

/* Give the server back; what was replicated since the lock is one unit. */
HELIOS_API void (*RedisModule_ThreadSafeContextUnlock)(RedisModuleCtx *ctx);

/* ---- Timers ---------------------------------------------------------------------------------- */

/* Call back once in about period milliseconds. Returns its id. 5.0. */
HELIOS_API RedisModuleTimerID (*RedisModule_CreateTimer)(RedisModuleCtx *ctx, mstime_t period,
                                                         RedisModuleTimerProc callback, void *data);

/* Cancel a timer; *data (may be NULL) gets its pointer. ERR when it has run or is another
 * module's. 5.0. */
HELIOS_API int (*RedisModule_StopTimer)(RedisModuleCtx *ctx, RedisModuleTimerID id, void **data);

/* Milliseconds left and the pointer of a timer (both may be NULL). ERR as StopTimer. 5.0. */
HELIOS_API int (*RedisModule_GetTimerInfo)(RedisModuleCtx *ctx, RedisModuleTimerID id,
                                           uint64_t *remaining, void **data);

/* ---- Event loop ------------------------------------------------------------------------------ */

/* Watch a descriptor; mask: REDISMODULE_EVENTLOOP_*. Adding to a mask keeps the rest. ERR with
 * errno EINVAL or ERANGE. 7.0. */
HELIOS_API int (*RedisModule_EventLoopAdd)(int fd, int mask, RedisModuleEventLoopFunc func,
                                           void *user_data);

/* Stop watching for mask; OK also when it was not watched. 7.0. */
HELIOS_API int (*RedisModule_EventLoopDel)(int fd, int mask);

/* Run func on the server's thread soon. From any thread. ERR with errno EINVAL for NULL. 7.0. */
HELIOS_API int (*RedisModule_EventLoopAddOneShot)(RedisModuleEventLoopOneShotFunc func,
                                                  void *user_data);

/* ---- Keyspace notifications ------------------------------------------------------------------ */

/* All types that this server knows, or-ed. 6.0. */
HELIOS_API int (*RedisModule_GetKeyspaceNotificationFlagsAll)(void);

/* Be told of changes of these types (REDISMODULE_NOTIFY_*), at once, inside the command that
 * makes them: read, but do not write here; AddPostNotificationJob is for that. */
HELIOS_API int (*RedisModule_SubscribeToKeyspaceEvents)(RedisModuleCtx *ctx, int types,
                                                        RedisModuleNotificationFunc cb);

/* End such a subscription, naming it by the same types and function; ERR when there is none.
 * 8.2. */
HELIOS_API int (*RedisModule_UnsubscribeFromKeyspaceEvents)(RedisModuleCtx *ctx, int types,
                                                            RedisModuleNotificationFunc cb);

/* Run callback when the command that notified is over; what it writes is one unit with it.
 * free_pd (may be NULL) ends pd. ERR while loading or on a replica. 7.2. */
HELIOS_API int (*RedisModule_AddPostNotificationJob)(RedisModuleCtx *ctx,
                                                     RedisModulePostNotificationJobFunc callback,
                                                     void *pd, void (*free_pd)(void *));

/* Tell subscribers, clients and modules, that the module's command changed key. 6.0. */
HELIOS_API int (*RedisModule_NotifyKeyspaceEvent)(RedisModuleCtx *ctx, int type, const char *event,
                                                  RedisModuleString *key);

/* The types that clients want to hear of: notify-keyspace-events. 6.0. */
HELIOS_API int (*RedisModule_GetNotifyKeyspaceEvents)(void);

/* ---- Server events --------------------------------------------------------------------------- */

/* Be called for an event (RedisModuleEvent_*); callback NULL ends it. ERR when the server does
 * not know the event. 6.0. */
HELIOS_API int (*RedisModule_SubscribeToServerEvent)(RedisModuleCtx *ctx, RedisModuleEvent event,
                                                     RedisModuleEventCallback callback);

/* 1 when this server fires that sub-event. 6.0. */
HELIOS_API int (*RedisModule_IsSubEventSupported)(RedisModuleEvent event, uint64_t subevent);

/* ---- INFO ------------------------------------------------------------------------------------ */

/* Add sections to INFO, through the callback. 6.0. */
HELIOS_API int (*RedisModule_RegisterInfoFunc)(RedisModuleCtx *ctx, RedisModuleInfoFunc cb);

/* In the callback: begin a section; name is put behind the module's, "" or NULL for the main
 * one. ERR when it was not asked for: skip its fields. 6.0. */
HELIOS_API int (*RedisModule_InfoAddSection)(RedisModuleInfoCtx *ctx, const char *name);

/* Begin a field that holds pairs: those added until InfoEndDictField. 6.0. */
HELIOS_API int (*RedisModule_InfoBeginDictField)(RedisModuleInfoCtx *ctx, const char *name);

/* End a field of pairs; ERR when none is open. 6.0. */
HELIOS_API int (*RedisModule_InfoEndDictField)(RedisModuleInfoCtx *ctx);

/* Add field:value. ERR outside a section. 6.0. */
HELIOS_API int (*RedisModule_InfoAddFieldString)(RedisModuleInfoCtx *ctx, const char *field,
                                                 RedisModuleString *value);

/* Add field:value. 6.0. */
HELIOS_API int (*RedisModule_InfoAddFieldCString)(RedisModuleInfoCtx *ctx, const char *field,
                                                  const char *value);

/* Add field:value. 6.0. */
HELIOS_API int (*RedisModule_InfoAddFieldDouble)(RedisModuleInfoCtx *ctx, const char *field,
                                                 double value);

/* Add field:value. 6.0. */
HELIOS_API int (*RedisModule_InfoAddFieldLongLong)(RedisModuleInfoCtx *ctx, const char *field,
                                                   long long value);

/* Add field:value. 6.0. */
HELIOS_API int (*RedisModule_InfoAddFieldULongLong)(RedisModuleInfoCtx *ctx, const char *field,
                                                    unsigned long long value);

/* Take INFO section apart (NULL: the default ones). End it with FreeServerInfo. 6.0. */
HELIOS_API RedisModuleServerInfoData *(*RedisModule_GetServerInfo)(RedisModuleCtx *ctx,
                                                                   const char *section);

/* End it. ctx as it was. 6.0. */
HELIOS_API void (*RedisModule_FreeServerInfo)(RedisModuleCtx *ctx, RedisModuleServerInfoData *data);

/* The text of a field, a new string; NULL when there is none. 6.0. */
HELIOS_API RedisModuleString *(*RedisModule_ServerInfoGetField)(RedisModuleCtx *ctx,
                                                                RedisModuleServerInfoData *data,
                                                                const char *field);

/* The text of a field, borrowed; NULL when there is none. 6.0. */
HELIOS_API const char *(*RedisModule_ServerInfoGetFieldC)(RedisModuleServerInfoData *data,
                                                          const char *field);

/* A field as a number; 0 and *out_err (may be NULL) ERR when missing or none. 6.0. */
HELIOS_API long long (*RedisModule_ServerInfoGetFieldSigned)(RedisModuleServerInfoData *data,
                                                             const char *field, int *out_err);

/* A field as an unsigned number; errors as above. 6.0. */
HELIOS_API unsigned long long (*RedisModule_ServerInfoGetFieldUnsigned)(
    RedisModuleServerInfoData *data, const char *field, int *out_err);

/* A field as a double; errors as above. 6.0. */
HELIOS_API double (*RedisModule_ServerInfoGetFieldDouble)(RedisModuleServerInfoData *data,
                                                          const char *field, int *out_err);

/* ---- Settings -------------------------------------------------------------------------------- */

/* Register the setting `module.name`, in OnLoad only: CONFIG GET, SET and REWRITE and the
 * configuration file know it then. flags: REDISMODULE_CONFIG_*. getfn and setfn are required,
 * applyfn may be NULL. ERR with errno EBUSY outside OnLoad, EINVAL for bad flags or name,
 * EALREADY when it exists. 7.0. */
HELIOS_API int (*RedisModule_RegisterBoolConfig)(RedisModuleCtx *ctx, const char *name,
                                                 int default_val, unsigned int flags,
                                                 RedisModuleConfigGetBoolFunc getfn,
                                                 RedisModuleConfigSetBoolFunc setfn,
                                                 RedisModuleConfigApplyFunc applyfn,
                                                 void *privdata);

/* The same for a number from min to max; with CONFIG_MEMORY it reads "1gb". 7.0. */
HELIOS_API int (*RedisModule_RegisterNumericConfig)(
    RedisModuleCtx *ctx, const char *name, long long default_val, unsigned int flags, long long min,
    long long max, RedisModuleConfigGetNumericFunc getfn, RedisModuleConfigSetNumericFunc setfn,
    RedisModuleConfigApplyFunc applyfn, void *privdata);

/* The same for a string. 7.0. */
HELIOS_API int (*RedisModule_RegisterStringConfig)(RedisModuleCtx *ctx, const char *name,
                                                   const char *default_val, unsigned int flags,
                                                   RedisModuleConfigGetStringFunc getfn,
                                                   RedisModuleConfigSetStringFunc setfn,
                                                   RedisModuleConfigApplyFunc applyfn,
                                                   void *privdata);

/* The same for one of enum_values, which mean int_values; with CONFIG_BITFLAGS for several, or-
 * ed. The arrays are copied. 7.0. */
HELIOS_API int (*RedisModule_RegisterEnumConfig)(
    RedisModuleCtx *ctx, const char *name, int default_val, unsigned int flags,
    const char **enum_values, const int *int_values, int num_enum_vals,
    RedisModuleConfigGetEnumFunc getfn, RedisModuleConfigSetEnumFunc setfn,
    RedisModuleConfigApplyFunc applyfn, void *privdata);

/* After all registrations in OnLoad: set every setting to what the file or MODULE LOADEX says,
 * or its default. ERR when a value is refused. 7.0. */
HELIOS_API int (*RedisModule_LoadConfigs)(RedisModuleCtx *ctx);

/* Set every setting to its default, before LoadConfigs. 8.0. */
HELIOS_API int (*RedisModule_LoadDefaultConfigs)(RedisModuleCtx *ctx);

/* Walk over the settings whose name matches a glob pattern (NULL: all). End it with
 * ConfigIteratorRelease. 8.2. */
HELIOS_API RedisModuleConfigIterator *(*RedisModule_ConfigIteratorCreate)(RedisModuleCtx *ctx,
                                                                          const char *pattern);

/* End a walk. 8.2. */
HELIOS_API void (*RedisModule_ConfigIteratorRelease)(RedisModuleCtx *ctx,
                                                     RedisModuleConfigIterator *iter);

/* The next name, borrowed until the next call; NULL at the end. 8.2. */
HELIOS_API const char *(*RedisModule_ConfigIteratorNext)(RedisModuleConfigIterator *iter);

/* What kind of setting name is; ERR when there is none. 8.2. */
HELIOS_API int (*RedisModule_ConfigGetType)(const char *name, RedisModuleConfigType *res);

/* The value as CONFIG GET shows it, a new string; ERR when there is none. 8.2. */
HELIOS_API int (*RedisModule_ConfigGet)(RedisModuleCtx *ctx, const char *name,
                                        RedisModuleString **res);

/* A boolean's value; ERR when it is another kind. 8.2. */
HELIOS_API int (*RedisModule_ConfigGetBool)(RedisModuleCtx *ctx, const char *name, int *res);

/* An enum's word, a new string; ERR when it is another kind. 8.2. */
HELIOS_API int (*RedisModule_ConfigGetEnum)(RedisModuleCtx *ctx, const char *name,
                                            RedisModuleString **res);

/* A number's value; ERR when it is another kind. 8.2. */
HELIOS_API int (*RedisModule_ConfigGetNumeric)(RedisModuleCtx *ctx, const char *name,
                                               long long *res);

/* Change a setting, as CONFIG SET does; on ERR *err (may be NULL) gets the reason, a new string.
 * 8.2. */
HELIOS_API int (*RedisModule_ConfigSet)(RedisModuleCtx *ctx, const char *name,
                                        RedisModuleString *value, RedisModuleString **err);

/* Change a boolean; errors as ConfigSet. 8.2. */
HELIOS_API int (*RedisModule_ConfigSetBool)(RedisModuleCtx *ctx, const char *name, int value,
                                            RedisModuleString **err);

/* Change an enum; errors as ConfigSet. 8.2. */
HELIOS_API int (*RedisModule_ConfigSetEnum)(RedisModuleCtx *ctx, const char *name,
                                            RedisModuleString *value, RedisModuleString **err);

/* Change a number; errors as ConfigSet. 8.2. */
HELIOS_API int (*RedisModule_ConfigSetNumeric)(RedisModuleCtx *ctx, const char *name,
                                               long long value, RedisModuleString **err);

/* ---- Users and permissions ------------------------------------------------------------------- */

/* Take part in AUTH and HELLO AUTH: callbacks are asked in the order newest first, before
 * passwords are looked at. 7.2. */
HELIOS_API void (*RedisModule_RegisterAuthCallback)(RedisModuleCtx *ctx,
                                                    RedisModuleAuthCallback cb);

/* In an auth callback: decide later. reply_callback then judges as an auth callback does. 7.2. */
HELIOS_API RedisModuleBlockedClient *(*RedisModule_BlockClientOnAuth)(
    RedisModuleCtx *ctx, RedisModuleAuthCallback reply_callback,
    void (*free_privdata)(RedisModuleCtx *, void *));

/* A user outside the ACL list, off and with no permissions. End it with FreeModuleUser. 6.0. */
HELIOS_API RedisModuleUser *(*RedisModule_CreateModuleUser)(const char *name);

/* End a user; clients authenticated as it are disconnected. 6.0. */
HELIOS_API void (*RedisModule_FreeModuleUser)(RedisModuleUser *user);

/* Calls with "C" check this user from here on; NULL: the client's own. 7.0. */
HELIOS_API void (*RedisModule_SetContextUser)(RedisModuleCtx *ctx, const RedisModuleUser *user);

/* Apply one ACL rule ("~*", "+@read"); ERR with errno when it is malformed. 6.0. */
HELIOS_API int (*RedisModule_SetModuleUserACL)(RedisModuleUser *user, const char *acl);

/* Apply a whole line of rules to a user; on ERR *error (may be NULL) gets the reason, a new
 * string. ctx may be NULL. 7.0. */
HELIOS_API int (*RedisModule_SetModuleUserACLString)(RedisModuleCtx *ctx, RedisModuleUser *user,
                                                     const char *acl, RedisModuleString **error);

/* The rules of a user in one line, a new string. 7.0. */
HELIOS_API RedisModuleString *(*RedisModule_GetModuleUserACLString)(RedisModuleUser *user);

/* The name of the user on whose behalf the context runs, a new string. 7.0. */
HELIOS_API RedisModuleString *(*RedisModule_GetCurrentUserName)(RedisModuleCtx *ctx);

/* A handle of an ACL user; NULL when there is none. End it with FreeModuleUser. 7.0. */
HELIOS_API RedisModuleUser *(*RedisModule_GetModuleUserFromUserName)(RedisModuleString *name);

/* OK when the user may run that command line; ERR with errno ENOENT (no such command) or EACCES.
 * 7.0. */
HELIOS_API int (*RedisModule_ACLCheckCommandPermissions)(RedisModuleUser *user,
                                                         RedisModuleString **argv, int argc);

/* OK when the user may use key as flags (REDISMODULE_CMD_KEY_*) say; ERR with errno EINVAL or
 * EACCES. 7.0. */
HELIOS_API int (*RedisModule_ACLCheckKeyPermissions)(RedisModuleUser *user, RedisModuleString *key,
                                                     int flags);

/* OK when the user may use every key with that prefix; ERR otherwise. Valkey 9 has another
 * signature under its own prefix. 8.0. */
HELIOS_API int (*RedisModule_ACLCheckKeyPrefixPermissions)(RedisModuleUser *user,
                                                           RedisModuleString *prefix, int flags);

/* OK when the user may use the channel; literal: ch is a pattern, to be allowed as such. 7.0. */
HELIOS_API int (*RedisModule_ACLCheckChannelPermissions)(RedisModuleUser *user,
                                                         RedisModuleString *ch, int literal);

/* Note in ACL LOG that the user was refused object. 7.0. */
HELIOS_API void (*RedisModule_ACLAddLogEntry)(RedisModuleCtx *ctx, RedisModuleUser *user,
                                              RedisModuleString *object,
                                              RedisModuleACLLogEntryReason reason);

/* The same by name. 7.2. */
HELIOS_API void (*RedisModule_ACLAddLogEntryByUserName)(RedisModuleCtx *ctx,
                                                        RedisModuleString *user,
                                                        RedisModuleString *object,
                                                        RedisModuleACLLogEntryReason reason);

/* Log the client in as an ACL user. callback (may be NULL) hears when that ends; *client_id (may
 * be NULL) names the client. ERR when there is no such user or it is off, or the context has no
 * client. 6.0. */
HELIOS_API int (*RedisModule_AuthenticateClientWithACLUser)(RedisModuleCtx *ctx, const char *name,
                                                            size_t len,
                                                            RedisModuleUserChangedFunc callback,
                                                            void *privdata, uint64_t *client_id);

/* Log the client in as a module's user. Errors as above. 6.0. */
HELIOS_API int (*RedisModule_AuthenticateClientWithUser)(RedisModuleCtx *ctx, RedisModuleUser *user,
                                                         RedisModuleUserChangedFunc callback,
                                                         void *privdata, uint64_t *client_id);

/* Throw a client out; ERR when it is gone. 6.0. */
HELIOS_API int (*RedisModule_DeauthenticateAndCloseClient)(RedisModuleCtx *ctx, uint64_t client_id);

/* A secret that the nodes of a cluster share, *len bytes, borrowed; NULL without a cluster. 8.0. */
HELIOS_API const char *(*RedisModule_GetInternalSecret)(RedisModuleCtx *ctx, size_t *len);

/* ---- Command filters ------------------------------------------------------------------------- */

/* See every command before it runs. flags: REDISMODULE_CMDFILTER_NOSELF: not those of this
 * module's own calls. 5.0. */
HELIOS_API RedisModuleCommandFilter *(*RedisModule_RegisterCommandFilter)(
    RedisModuleCtx *ctx, RedisModuleCommandFilterFunc cb, int flags);

/* End a filter; ERR when it is another module's. 5.0. */
HELIOS_API int (*RedisModule_UnregisterCommandFilter)(RedisModuleCtx *ctx,
                                                      RedisModuleCommandFilter *filter);

/* In a filter: the number of arguments, the name included. 5.0. */
HELIOS_API int (*RedisModule_CommandFilterArgsCount)(RedisModuleCommandFilterCtx *fctx);

/* Argument pos, borrowed; NULL when out of range. 5.0. */
HELIOS_API RedisModuleString *(*RedisModule_CommandFilterArgGet)(RedisModuleCommandFilterCtx *fctx,
                                                                 int pos);

/* Insert an argument before pos; arg is given away. ERR when out of range. 5.0. */
HELIOS_API int (*RedisModule_CommandFilterArgInsert)(RedisModuleCommandFilterCtx *fctx, int pos,
                                                     RedisModuleString *arg);

/* Replace argument pos; arg is given away. ERR when out of range. 5.0. */
HELIOS_API int (*RedisModule_CommandFilterArgReplace)(RedisModuleCommandFilterCtx *fctx, int pos,
                                                      RedisModuleString *arg);

/* Delete argument pos; ERR when out of range, or pos 0 is the last. 5.0. */
HELIOS_API int (*RedisModule_CommandFilterArgDelete)(RedisModuleCommandFilterCtx *fctx, int pos);

/* The id of the client that sent it. 7.2. */
HELIOS_API unsigned long long (*RedisModule_CommandFilterGetClientId)(
    RedisModuleCommandFilterCtx *fctx);

/* ---- Functions shared between modules -------------------------------------------------------- */

/* Offer a function (or any pointer) to other modules under a name: "mymodule.v1.call". ERR when
 * the name is taken. 5.0. */
HELIOS_API int (*RedisModule_ExportSharedAPI)(RedisModuleCtx *ctx, const char *apiname, void *func);

/* What a module offers under that name, NULL when none does. Its module then cannot be unloaded.
 * 5.0. */
HELIOS_API void *(*RedisModule_GetSharedAPI)(RedisModuleCtx *ctx, const char *apiname);

/* ---- Child processes ------------------------------------------------------------------------- */

/* Make a child with a copy of everything: its pid in the parent, 0 in the child, -1 when it
 * failed or another child runs. cb hears of its end. 6.0. */
HELIOS_API int (*RedisModule_Fork)(RedisModuleForkDoneHandler cb, void *user_data);

/* In the child: report progress, 0 to 1, or -1 for unknown. 6.2. */
HELIOS_API void (*RedisModule_SendChildHeartbeat)(double progress);

/* In the child: end, with retcode; the only way out. 6.0. */
HELIOS_API int (*RedisModule_ExitFromChild)(int retcode);

/* End a child before its time; cb is not called. ERR when it is none of ours. 6.0. */
HELIOS_API int (*RedisModule_KillForkChild)(int child_pid);

/* ---- Cluster --------------------------------------------------------------------------------- */

/* Receive messages of one type from this module on other nodes; callback NULL ends it. 5.0. */
HELIOS_API void (*RedisModule_RegisterClusterMessageReceiver)(
    RedisModuleCtx *ctx, uint8_t type, RedisModuleClusterMessageReceiver callback);

/* Send a message to a node, or to all when target_id is NULL. ERR when there is no cluster or no
 * such node. 5.0. */
HELIOS_API int (*RedisModule_SendClusterMessage)(RedisModuleCtx *ctx, const char *target_id,
                                                 uint8_t type, const char *msg, uint32_t len);

/* Describe a node: ip (46 bytes), master_id (40, no NUL), port and flags (REDISMODULE_NODE_*);
 * each may be NULL. ERR when unknown. 5.0. */
HELIOS_API int (*RedisModule_GetClusterNodeInfo)(RedisModuleCtx *ctx, const char *id, char *ip,
                                                 char *master_id, int *port, int *flags);

/* The ids of all nodes, 40 bytes each and no NUL; *numnodes counts them. NULL without a cluster.
 * End it with FreeClusterNodesList. 5.0. */
HELIOS_API char **(*RedisModule_GetClusterNodesList)(RedisModuleCtx *ctx, size_t *numnodes);

/* End such a list. 5.0. */
HELIOS_API void (*RedisModule_FreeClusterNodesList)(char **ids);

/* The id of this node, 40 bytes, borrowed; NULL without a cluster. 5.0. */
HELIOS_API const char *(*RedisModule_GetMyClusterID)(void);

/* How many nodes there are; 0 without a cluster. 5.0. */
HELIOS_API size_t (*RedisModule_GetClusterSize)(void);

/* Switch parts of the cluster off: REDISMODULE_CLUSTER_FLAG_*. 5.0. */
HELIOS_API void (*RedisModule_SetClusterFlags)(RedisModuleCtx *ctx, uint64_t flags);

/* Keep keys of slots that moved away, until ClusterEnableTrim. 8.4. */
HELIOS_API int (*RedisModule_ClusterDisableTrim)(RedisModuleCtx *ctx);

/* Let such keys be deleted again. 8.4. */
HELIOS_API int (*RedisModule_ClusterEnableTrim)(RedisModuleCtx *ctx);

/* The slot of a key, 0 to 16383. 7.4. */
HELIOS_API unsigned int (*RedisModule_ClusterKeySlot)(RedisModuleString *key);

/* The slot of a key given as bytes. 8.4. */
HELIOS_API unsigned int (*RedisModule_ClusterKeySlotC)(const char *keystr, size_t keylen);

/* A short key name that falls into slot, borrowed for ever; NULL when out of range. 7.4. */
HELIOS_API const char *(*RedisModule_ClusterCanonicalKeyNameInSlot)(unsigned int slot);

/* 1 when this node serves the slot. 8.4. */
HELIOS_API int (*RedisModule_ClusterCanAccessKeysInSlot)(int slot);

/* In a migration event: send a command along with a slot. fmt as for Call. 8.4. */
HELIOS_API int (*RedisModule_ClusterPropagateForSlotMigration)(RedisModuleCtx *ctx,
                                                               const char *cmdname, const char *fmt,
                                                               ...);

/* The slots of this node. End it with ClusterFreeSlotRanges. 8.4. */
HELIOS_API RedisModuleSlotRangeArray *(*RedisModule_ClusterGetLocalSlotRanges)(RedisModuleCtx *ctx);

/* End such a list. 8.4. */
HELIOS_API void (*RedisModule_ClusterFreeSlotRanges)(RedisModuleCtx *ctx,
                                                     RedisModuleSlotRangeArray *slots);

#endif
