/* The table of functions: complete against the public header, and resolved under each prefix. */
#include "abi/internal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *const present[] = {
#define API(name, file, since) #name,
#include "abi/api.def"
#undef API
};

static const struct {
    const char *name, *why;
} absent[] = {
#define ABSENT(name, why) {#name, why},
#include "abi/api_absent.def"
#undef ABSENT
};

static bool is_present(const char *name)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(present); i++) {
        if (strcmp(present[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_absent(const char *name)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(absent); i++) {
        if (strcmp(absent[i].name, name) == 0) {
            cr_assert_neq(absent[i].why[0], '\0');
            return true;
        }
    }
    return false;
}

/* Also prints the coverage, which is how far we are. */
Test(api, every_declared_function_is_present_or_absent_for_a_reason)
{
    size_t declared = 0;
    size_t served = 0;
#define X(name)                                                                                    \
    declared++;                                                                                    \
    served += is_present(#name);                                                                   \
    cr_assert(is_present(#name) != is_absent(#name), "%s", #name);
#include "helios/module_names.def"
    printf("coverage: %zu of %zu functions\n", served, declared);
    cr_assert_eq(served, HL_ARRAY_LEN(present), "a row is there twice, or not in the header");
    cr_assert_eq(declared, served + HL_ARRAY_LEN(absent));
}

Test(api, a_name_resolves_under_each_prefix)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(present); i++) {
        static const char *const prefixes[] = {"RedisModule_", "ValkeyModule_", "HeliosModule_"};
        for (size_t p = 0; p < HL_ARRAY_LEN(prefixes); p++) {
            bool conflict = p == 1 && (strcmp(present[i], "DefragRedisModuleString") == 0 ||
                                       strcmp(present[i], "ACLCheckKeyPrefixPermissions") == 0);
            char full[128];
            void *target = NULL;
            snprintf(full, sizeof full, "%s%s", prefixes[p], present[i]);
            cr_assert_eq(hl_abi_get_api(full, &target) == 0, !conflict, "%s", full);
        }
    }
}

Test(api, an_unknown_name_leaves_the_target_alone)
{
    static const char *const names[] = {
        "RedisModule_",      "RedisModule_Nothing", "redismodule_Alloc", "Alloc", "",
        "RedisModule_alloc", "RedisModule_Alloc "};
    for (size_t i = 0; i < HL_ARRAY_LEN(names); i++) {
        int mark = 0;
        void *target = &mark;
        cr_assert_eq(hl_abi_get_api(names[i], &target), 1, "%s", names[i]);
        cr_assert_eq(target, &mark);
    }
}

Test(api, extensions_have_our_prefix_only)
{
    static const char *const names[] = {
#define EXTENSION(name) #name,
#include "abi/extensions.def"
#undef EXTENSION
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(names); i++) {
        char full[64];
        void *target = NULL;
        snprintf(full, sizeof full, "RedisModule_%s", names[i]);
        cr_assert_eq(hl_abi_get_api(full, &target), 1);
        snprintf(full, sizeof full, "HeliosModule_%s", names[i]);
        cr_assert_eq(hl_abi_get_api(full, &target), 0);
        cr_assert_not_null(target);
    }
}
