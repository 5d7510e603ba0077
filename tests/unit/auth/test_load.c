/* Goal: loading either succeeds or leaves nothing behind, and unloading leaves nothing either.
 * Method: a server of stubs around the built module.  The n-th registration fails, for every n;
 * then one function of the ABI is missing, for every function. */
#include "kit/assert.h"

#include "helios/module.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define SETTINGS_MAX 64

/* A setting that was registered, to be given its default when the module asks for the values. */
struct setting {
    char kind;
    long long number;
    const char *text;
    void *set, *data;
};

static struct setting known[SETTINGS_MAX];
static int known_count, calls, fail_at;
static const char *missing;

/* Whether this registration is the one that fails. */
static int outcome(void)
{
    return ++calls == fail_at ? REDISMODULE_ERR : REDISMODULE_OK;
}

static int keep(struct setting setting)
{
    HL_ASSERT(known_count < SETTINGS_MAX);
    known[known_count++] = setting;
    return outcome();
}

static long stub(void)
{
    return 0;
}

static void *stub_handle(void)
{
    static int something;
    return outcome() == REDISMODULE_OK ? &something : NULL;
}

static int stub_number(RedisModuleCtx *ctx, const char *name, long long initial, unsigned flags,
                       long long min, long long max, RedisModuleConfigGetNumericFunc get,
                       RedisModuleConfigSetNumericFunc set, RedisModuleConfigApplyFunc apply,
                       void *data)
{
    (void)ctx, (void)name, (void)flags, (void)apply;
    cr_assert(min <= initial && initial <= max, "%s", name);
    cr_assert_not_null((void *)get);
    return keep((struct setting){'n', initial, NULL, (void *)set, data});
}

static int stub_text(RedisModuleCtx *ctx, const char *name, const char *initial, unsigned flags,
                     RedisModuleConfigGetStringFunc get, RedisModuleConfigSetStringFunc set,
                     RedisModuleConfigApplyFunc apply, void *data)
{
    (void)ctx, (void)name, (void)flags, (void)get, (void)apply;
    return keep((struct setting){'t', 0, initial, (void *)set, data});
}

static int stub_bool(RedisModuleCtx *ctx, const char *name, int initial, unsigned flags,
                     RedisModuleConfigGetBoolFunc get, RedisModuleConfigSetBoolFunc set,
                     RedisModuleConfigApplyFunc apply, void *data)
{
    (void)ctx, (void)name, (void)flags, (void)get, (void)apply;
    return keep((struct setting){'b', initial, NULL, (void *)set, data});
}

static int stub_load_configs(RedisModuleCtx *ctx)
{
    (void)ctx;
    for (int i = 0; i < known_count; i++) {
        const struct setting *s = &known[i];
        RedisModuleString *why = NULL;
        int result = REDISMODULE_OK;
        if (s->kind == 'n') {
            result = ((RedisModuleConfigSetNumericFunc)s->set)("", s->number, s->data, &why);
        } else if (s->kind == 'b') {
            result = ((RedisModuleConfigSetBoolFunc)s->set)("", (int)s->number, s->data, &why);
        } else {
            result = ((RedisModuleConfigSetStringFunc)s->set)("", (RedisModuleString *)s->text,
                                                              s->data, &why);
        }
        cr_assert_eq(result, REDISMODULE_OK, "a default is refused");
    }
    return outcome();
}

static const char *stub_string_bytes(const RedisModuleString *string, size_t *len)
{
    *len = strlen((const char *)string); /* the only strings here are defaults */
    return (const char *)string;
}

static int get_api(const char *name, void *target)
{
    static const struct {
        const char *name;
        void *function;
    } special[] = {{"RegisterNumericConfig", (void *)stub_number},
                   {"RegisterStringConfig", (void *)stub_text},
                   {"RegisterBoolConfig", (void *)stub_bool},
                   {"LoadConfigs", (void *)stub_load_configs},
                   {"StringPtrLen", (void *)stub_string_bytes},
                   {"CreateDataType", (void *)stub_handle},
                   {"GetCommand", (void *)stub_handle},
                   {"CreateCommand", (void *)outcome},
                   {"SetCommandInfo", (void *)outcome},
                   {"RegisterEnumConfig", (void *)outcome}};
    const char *plain = name + strlen("RedisModule_");
    if (missing != NULL && strcmp(plain, missing) == 0) {
        return REDISMODULE_ERR;
    }
    *(void **)target = (void *)stub;
    for (size_t i = 0; i < HL_ARRAY_LEN(special); i++) {
        if (strcmp(special[i].name, plain) == 0) {
            *(void **)target = special[i].function;
        }
    }
    return REDISMODULE_OK;
}

static int thread_count(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    cr_assert_not_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static void *nothing(void *arg)
{
    return arg;
}

/* The count once a thread has run and ended: a sanitizer starts one of its own with the first. */
static int threads_at_rest(void)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, nothing, NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    int least = thread_count();
    for (int i = 0; i < 20; i++) {
        int count = thread_count();
        least = count < least ? count : least;
        (void)usleep(500);
    }
    return least;
}

/* A joined thread's entry in /proc may stay for a moment: wait for it, within bounds. */
static bool threads_fall_to(int want)
{
    for (int i = 0; i < 2000 && thread_count() != want; i++) {
        (void)usleep(1000);
    }
    return thread_count() == want;
}

/* Load the module into a fresh server of stubs, and unload it if that succeeded. */
static int load_once(void)
{
    void *context[1] = {(void *)get_api};
    RedisModuleCtx *ctx = (RedisModuleCtx *)context;
    static int before;
    before = before != 0 ? before : threads_at_rest();
    known_count = calls = 0;
    void *object = dlopen(AUTH_MODULE, RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(object, "%s", dlerror());
    int (*load)(RedisModuleCtx *, RedisModuleString **, int) = dlsym(object, "RedisModule_OnLoad");
    int (*unload)(RedisModuleCtx *) = dlsym(object, "RedisModule_OnUnload");
    cr_assert(load != NULL && unload != NULL);
    int result = load(ctx, NULL, 0);
    if (result == REDISMODULE_OK) {
        cr_assert_gt(thread_count(), before, "the threads run");
        cr_assert_eq(unload(ctx), REDISMODULE_OK);
    }
    cr_assert(threads_fall_to(before), "no thread outlives the module");
    dlclose(object);
    return result;
}

Test(load, a_refused_registration_refuses_the_module_and_leaves_nothing)
{
    for (fail_at = 1; load_once() != REDISMODULE_OK; fail_at++) {
        cr_assert_eq(calls, fail_at, "it stops at the failure: %d", calls);
        cr_assert_lt(fail_at, 1000);
    }
    cr_assert_gt(fail_at, 40, "settings, a type, commands and their descriptions");
}

Test(load, a_missing_function_refuses_the_module_or_is_done_without)
{
    static const char *const names[] = {
#define X(name) #name,
#include "helios/module_names.def"
    };
    int refused = 0;
    for (size_t i = 0; i < HL_ARRAY_LEN(names); i++) {
        missing = names[i];
        refused += load_once() != REDISMODULE_OK;
    }
    cr_assert_gt(refused, 40);
    cr_assert_lt(refused, 60, "what is not needed is looked up softly");
}
