/* The table of functions: from a name, with any of three prefixes, to an address. */
#include "abi/internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct hl_abi *hl_abi_current;

/* One row per function, sorted by name when first asked. */
static struct row {
    const char *name;
    void *function;
} rows[] = {
#define API(name, file, since) {#name, (void *)hl_rm_##name},
#include "abi/api.def"
#undef API
};

static const struct row extensions[] = {
#define EXTENSION(name) {#name, (void *)hl_hm_##name},
#include "abi/extensions.def"
#undef EXTENSION
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static void sort_rows(void)
{
    qsort(rows, HL_ARRAY_LEN(rows), sizeof rows[0], by_name);
}

void *hl_abi_function(const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, sort_rows);
    struct row wanted = {.name = name};
    struct row *found = bsearch(&wanted, rows, HL_ARRAY_LEN(rows), sizeof rows[0], by_name);
    return found == NULL ? NULL : found->function;
}

/* A function of Helios's own, or NULL. */
static void *extension(const char *name)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(extensions); i++) {
        if (strcmp(extensions[i].name, name) == 0) {
            return extensions[i].function;
        }
    }
    return NULL;
}

/* Functions that one family of servers spells or means differently from the other. */
static const char *valkey_name(const char *name)
{
    if (strcmp(name, "DefragValkeyModuleString") == 0) {
        return "DefragRedisModuleString";
    }
    if (strcmp(name, "DefragRedisModuleString") == 0 ||
        strcmp(name, "ACLCheckKeyPrefixPermissions") == 0) {
        return "";
    }
    return name;
}

int hl_abi_get_api(const char *full_name, void *target)
{
    static const char *const prefixes[] = {"RedisModule_", "HeliosModule_", "ValkeyModule_"};
    for (size_t i = 0; i < HL_ARRAY_LEN(prefixes); i++) {
        size_t len = strlen(prefixes[i]);
        if (strncmp(full_name, prefixes[i], len) != 0) {
            continue;
        }
        bool valkey = prefixes[i][0] == 'V';
        void *function = hl_abi_function(valkey ? valkey_name(full_name + len) : full_name + len);
        if (function == NULL && prefixes[i][0] == 'H') {
            function = extension(full_name + len);
        }
        if (function != NULL) {
            *(void **)target = function;
            return 0;
        }
    }
    return 1; /* *target stays as it is: modules test it for NULL */
}
