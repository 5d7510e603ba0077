/* What a command tells about itself: RM_SetCommandInfo, for COMMAND INFO and COMMAND DOCS.
 *
 * The structs were compiled into the module, maybe years ago: arrays are walked with the element
 * sizes that the module's own version struct gives, and no field beyond those is read. */
#include "abi/internal.h"

#define INFO_VERSION 1
#define SIZE_MAX_ELEMENT 4096 /* of one array element: more is no size but garbage */

enum { SUMMARY, COMPLEXITY, SINCE, TIPS };

/* Element `i` of an array whose elements have `size` bytes. */
static const RedisModuleCommandKeySpec *spec_at(const RedisModuleCommandInfo *info, size_t i)
{
    const char *base = (const char *)info->key_specs;
    return (const void *)(base + i * info->version->sizeof_keyspec);
}

static bool sizes_ok(const RedisModuleCommandInfoVersion *version)
{
    return version != NULL && version->version == INFO_VERSION &&
           version->sizeof_keyspec >= sizeof(RedisModuleCommandKeySpec) &&
           version->sizeof_keyspec <= SIZE_MAX_ELEMENT;
}

/* Translate one spec; false when it is inconsistent. */
static bool read_spec(const RedisModuleCommandKeySpec *in, struct hl_key_spec *out, char **keyword)
{
    *out = (struct hl_key_spec){.flags = (uint32_t)in->flags, .step = 1};
    switch (in->begin_search_type) {
    case REDISMODULE_KSPEC_BS_INDEX:
        out->first = in->bs.index.pos;
        break;
    case REDISMODULE_KSPEC_BS_KEYWORD:
        if (in->bs.keyword.keyword == NULL) {
            return false;
        }
        *keyword = hl_strndup(in->bs.keyword.keyword, strlen(in->bs.keyword.keyword));
        out->keyword = *keyword;
        out->first = in->bs.keyword.startfrom;
        break;
    case REDISMODULE_KSPEC_BS_UNKNOWN:
        out->flags |= HL_KEY_INCOMPLETE;
        out->first = 0;
        return true;
    case REDISMODULE_KSPEC_BS_INVALID:
        return false;
    }
    switch (in->find_keys_type) {
    case REDISMODULE_KSPEC_FK_OMITTED:
        break;
    case REDISMODULE_KSPEC_FK_RANGE:
        out->last = in->fk.range.lastkey;
        out->step = in->fk.range.keystep < 1 ? 1 : in->fk.range.keystep;
        break;
    case REDISMODULE_KSPEC_FK_KEYNUM:
        out->first += in->fk.keynum.keynumidx;
        out->keynum = in->fk.keynum.firstkey < 1 ? 1 : in->fk.keynum.firstkey;
        out->step = in->fk.keynum.keystep < 1 ? 1 : in->fk.keynum.keystep;
        break;
    case REDISMODULE_KSPEC_FK_UNKNOWN:
        out->flags |= HL_KEY_INCOMPLETE;
        break;
    }
    return out->flags != 0;
}

/* Translate all specs into `row`; false when there are too many or one is inconsistent. */
static bool read_specs(RedisModuleCommand *command, const RedisModuleCommandInfo *info)
{
    struct hl_key_spec specs[HL_KEY_SPECS_MAX] = {{0}};
    char *keywords[HL_KEY_SPECS_MAX] = {NULL};
    size_t count = 0;
    bool good = true;
    for (; good && spec_at(info, count)->begin_search_type != REDISMODULE_KSPEC_BS_INVALID;
         count++) {
        good = count < HL_KEY_SPECS_MAX &&
               read_spec(spec_at(info, count), &specs[count], &keywords[count]);
    }
    if (!good) {
        for (size_t i = 0; i < HL_KEY_SPECS_MAX; i++) {
            hl_free(keywords[i]);
        }
        return false;
    }
    memcpy(command->row.keys, specs, sizeof specs);
    memcpy(command->keywords, keywords, sizeof keywords);
    return true;
}

static const char *keep(RedisModuleCommand *command, int which, const char *text)
{
    command->strings[which] = text == NULL ? NULL : hl_strndup(text, strlen(text));
    return command->strings[which];
}

int hl_rm_SetCommandInfo(RedisModuleCommand *command, const RedisModuleCommandInfo *info)
{
    if (command == NULL || info == NULL || command->described || !sizes_ok(info->version)) {
        return REDISMODULE_ERR;
    }
    if (info->key_specs != NULL && !read_specs(command, info)) {
        return REDISMODULE_ERR;
    }
    command->described = true;
    command->row.summary = keep(command, SUMMARY, info->summary);
    command->row.complexity = keep(command, COMPLEXITY, info->complexity);
    command->row.since = keep(command, SINCE, info->since);
    command->row.tips = keep(command, TIPS, info->tips);
    for (char *p = command->strings[TIPS]; p != NULL && *p != '\0'; p++) {
        *p = *p == ' ' ? ',' : *p; /* core/command separates tips by commas */
    }
    if (info->arity != 0) {
        struct hl_command *cmd =
            hl_command_find(command->module->abi->table, hl_slice_of(command->row.name));
        command->row.arity = info->arity;
        cmd->arity = info->arity;
    }
    return REDISMODULE_OK;
}

void hl_command_info_free(RedisModuleCommand *command)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(command->strings); i++) {
        hl_free(command->strings[i]);
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(command->keywords); i++) {
        hl_free(command->keywords[i]);
    }
}
