#include "command/words.h"

#include "command/command.h"
#include "kit/assert.h"

const struct hl_flag_word hl_command_words[] = {
    {HL_CMD_WRITE, "write"},
    {HL_CMD_READONLY, "readonly"},
    {HL_CMD_DENYOOM, "denyoom"},
    {HL_CMD_MODULE, "module"},
    {HL_CMD_ADMIN, "admin"},
    {HL_CMD_PUBSUB, "pubsub"},
    {HL_CMD_NOSCRIPT, "noscript"},
    {HL_CMD_BLOCKING, "blocking"},
    {HL_CMD_LOADING, "loading"},
    {HL_CMD_STALE, "stale"},
    {HL_CMD_SKIP_MONITOR, "skip_monitor"},
    {HL_CMD_SKIP_SLOWLOG, "skip_slowlog"},
    {HL_CMD_FAST, "fast"},
    {HL_CMD_NO_AUTH, "no_auth"},
    {HL_CMD_MAY_REPLICATE, "may_replicate"},
    {HL_CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    {HL_CMD_NO_ASYNC_LOADING, "no_async_loading"},
    {HL_CMD_NO_MULTI, "no_multi"},
    {HL_CMD_MOVABLE_KEYS, "movablekeys"},
    {HL_CMD_ALLOW_BUSY, "allow_busy"},
};
const size_t hl_command_word_count = HL_ARRAY_LEN(hl_command_words);

const struct hl_flag_word hl_acl_words[] = {
    {HL_ACL_KEYSPACE, "keyspace"},
    {HL_ACL_READ, "read"},
    {HL_ACL_WRITE, "write"},
    {HL_ACL_SET, "set"},
    {HL_ACL_SORTEDSET, "sortedset"},
    {HL_ACL_LIST, "list"},
    {HL_ACL_HASH, "hash"},
    {HL_ACL_STRING, "string"},
    {HL_ACL_BITMAP, "bitmap"},
    {HL_ACL_HYPERLOGLOG, "hyperloglog"},
    {HL_ACL_GEO, "geo"},
    {HL_ACL_STREAM, "stream"},
    {HL_ACL_PUBSUB, "pubsub"},
    {HL_ACL_ADMIN, "admin"},
    {HL_ACL_FAST, "fast"},
    {HL_ACL_SLOW, "slow"},
    {HL_ACL_BLOCKING, "blocking"},
    {HL_ACL_DANGEROUS, "dangerous"},
    {HL_ACL_CONNECTION, "connection"},
    {HL_ACL_TRANSACTION, "transaction"},
    {HL_ACL_SCRIPTING, "scripting"},
};
const size_t hl_acl_word_count = HL_ARRAY_LEN(hl_acl_words);

const struct hl_flag_word hl_key_words[] = {
    {HL_KEY_RO, "RO"},
    {HL_KEY_RW, "RW"},
    {HL_KEY_OW, "OW"},
    {HL_KEY_RM, "RM"},
    {HL_KEY_ACCESS, "access"},
    {HL_KEY_UPDATE, "update"},
    {HL_KEY_INSERT, "insert"},
    {HL_KEY_DELETE, "delete"},
    {HL_KEY_NOT_KEY, "not_key"},
    {HL_KEY_INCOMPLETE, "incomplete"},
    {HL_KEY_VARIABLE_FLAGS, "variable_flags"},
};
const size_t hl_key_word_count = HL_ARRAY_LEN(hl_key_words);
