/* Values of module types as bytes: round trips, Redis's own encodings, and hostile bytes. */
#include "rig.h"

#include <criterion/criterion.h>

struct all {
    uint64_t u;
    int64_t i;
    double d;
    float f;
    long double ld;
    char text[64];
    size_t text_len;
};

static struct rig *rig;
static RedisModuleType *type;
static int freed;

static void save(RedisModuleIO *io, void *value)
{
    const struct all *all = value;
    hl_rm_SaveUnsigned(io, all->u);
    hl_rm_SaveSigned(io, all->i);
    hl_rm_SaveDouble(io, all->d);
    hl_rm_SaveFloat(io, all->f);
    hl_rm_SaveLongDouble(io, all->ld);
    hl_rm_SaveStringBuffer(io, all->text, all->text_len);
}

static void *load(RedisModuleIO *io, int encver)
{
    cr_assert_eq(encver, 5);
    struct all *all = hl_calloc(1, sizeof *all);
    all->u = hl_rm_LoadUnsigned(io);
    all->i = hl_rm_LoadSigned(io);
    all->d = hl_rm_LoadDouble(io);
    all->f = hl_rm_LoadFloat(io);
    all->ld = hl_rm_LoadLongDouble(io);
    char *text = hl_rm_LoadStringBuffer(io, &all->text_len);
    bool good = !hl_rm_IsIOError(io) && all->text_len <= sizeof all->text;
    if (good) {
        memcpy(all->text, text, all->text_len);
    }
    hl_free(text);
    if (!good) {
        hl_free(all);
        return NULL;
    }
    return all;
}

static void end(void *value)
{
    freed++;
    hl_free(value);
}

static void setup(void)
{
    static RedisModuleTypeMethods methods = {
        .version = 1, .rdb_load = load, .rdb_save = save, .free = end};
    rig = rig_create();
    type = hl_rm_CreateDataType(&rig->ctx, "all_types", 5, &methods);
    cr_assert_not_null(type);
    freed = 0;
}

static void teardown(void)
{
    rig_destroy(rig);
}

TestSuite(values, .init = setup, .fini = teardown);

static void round_trip(const struct all *all)
{
    struct hl_buf bytes = {0};
    size_t consumed = 0;
    void *got_type = NULL;
    void *got = NULL;
    const struct hl_dump_modules *dump = hl_abi_dump_modules(rig->abi);
    cr_assert(dump->save(dump->ctx, type, (void *)all, hl_slice_of("k"), 0, &bytes));
    hl_err err = dump->load(dump->ctx, hl_buf_view(&bytes), &consumed, hl_slice_of("k"), 0,
                            &got_type, &got, NULL);
    cr_assert_eq(err, HL_OK);
    cr_assert_eq(consumed, bytes.len);
    cr_assert_eq(got_type, type);
    const struct all *copy = got;
    cr_assert_eq(copy->u, all->u);
    cr_assert_eq(copy->i, all->i);
    cr_assert_eq(memcmp(&copy->d, &all->d, sizeof all->d), 0);
    cr_assert_eq(memcmp(&copy->f, &all->f, sizeof all->f), 0);
    cr_assert(copy->ld == all->ld);
    cr_assert_eq(copy->text_len, all->text_len);
    cr_assert_eq(memcmp(copy->text, all->text, all->text_len), 0);
    hl_type_free_value(NULL, type, got);
    /* Every shorter prefix is refused, and frees what was made. */
    for (size_t len = 0; len < bytes.len; len++) {
        struct hl_slice cut = {.ptr = bytes.ptr, .len = len};
        err = dump->load(dump->ctx, cut, &consumed, hl_slice_of("k"), 0, &got_type, &got, NULL);
        cr_assert_neq(err, HL_OK, "a value cut at %zu of %zu was taken", len, bytes.len);
    }
    hl_buf_fini(&bytes);
    cr_assert_eq(type->live, 0);
}

Test(values, survive_a_round_trip_at_every_width)
{
    static const uint64_t widths[] = {0, 63, 64, 16383, 16384, UINT32_MAX, 1ULL << 32, UINT64_MAX};
    for (size_t i = 0; i < HL_ARRAY_LEN(widths); i++) {
        struct all all = {.u = widths[i],
                          .i = -(int64_t)(widths[i] / 2),
                          .d = 0.1 * (double)i,
                          .f = -1.5F,
                          .ld = 1.0L / 3,
                          .text = "a\0b",
                          .text_len = i % 4};
        round_trip(&all);
    }
}

/* A string of each encoding that Redis may have written. */
Test(values, strings_are_read_in_each_encoding_of_redis)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } cases[] = {
        {"\x05\x03"
         "abc",
         5, "abc"},
        {"\x05\xC0\xF6", 3, "-10"},
        {"\x05\xC1\x39\x30", 4, "12345"},
        {"\x05\xC2\x87\xD6\x12\x00", 6, "1234567"},
        /* LZF of "aaaaaaaaaa": a literal a, then nine back from one. */
        {"\x05\xC3\x05\x0A\x00\x61\xE0\x00\x00", 9, "aaaaaaaaaa"},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(cases); i++) {
        RedisModuleIO io;
        hl_io_init(&io, rig->abi, type, NULL, 0);
        io.in = (struct hl_slice){.ptr = cases[i].bytes, .len = cases[i].len};
        RedisModuleString *str = hl_rm_LoadString(&io);
        cr_assert_not_null(str, "case %zu", i);
        cr_assert_str_eq(str->ptr, cases[i].text);
        hl_string_unref(str);
        hl_io_fini(&io);
    }
}

Test(values, hostile_strings_are_refused_without_taking_memory)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\x05\x81\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10}, /* longer than anything */
        {"\x05\x80\x7F\xFF\xFF\xFF", 6},                  /* longer than what follows */
        {"\x05\xC3\x02\x80\x1F\xFF\xFF\xFF\x00\x61", 10}, /* expands beyond LZF's reach */
        {"\x05\xC3\x03\x05\x00\x61\x20", 7},              /* a back reference cut off */
        {"\x05\xC3\x04\x05\x00\x61\x20\xFF", 8},          /* a reference before the start */
        {"\x05\xC4\x00", 3},                              /* no such encoding */
        {"\x02\x01", 2},                                  /* a number where a string is due */
        {"", 0},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(cases); i++) {
        RedisModuleIO io;
        hl_io_init(&io, rig->abi, type, NULL, 0);
        io.in = (struct hl_slice){.ptr = cases[i].bytes, .len = cases[i].len};
        cr_assert_null(hl_rm_LoadString(&io), "case %zu", i);
        cr_assert(hl_rm_IsIOError(&io));
        cr_assert_eq(hl_rm_LoadUnsigned(&io), 0u);
        hl_io_fini(&io);
    }
}

Test(values, types_are_named_by_nine_letters_once)
{
    static RedisModuleTypeMethods methods = {.version = 1, .rdb_load = load, .rdb_save = save};
    static RedisModuleTypeMethods insane = {.version = 0x55550000, .rdb_load = load};
    static RedisModuleTypeMethods none = {.version = 0};
    cr_assert_null(hl_rm_CreateDataType(&rig->ctx, "all_types", 1, &methods));
    cr_assert_null(hl_rm_CreateDataType(&rig->ctx, "short", 1, &methods));
    cr_assert_null(hl_rm_CreateDataType(&rig->ctx, "ten_letter", 1, &methods));
    cr_assert_null(hl_rm_CreateDataType(&rig->ctx, "nine char", 1, &methods));
    cr_assert_null(hl_rm_CreateDataType(&rig->ctx, "other-typ", 1024, &methods));
    cr_assert_null(hl_rm_CreateDataType(&rig->ctx, "other-typ", -1, &methods));
    cr_assert_null(hl_rm_CreateDataType(&rig->ctx, "other-typ", 0, &insane));
    cr_assert_null(hl_rm_CreateDataType(&rig->ctx, "other-typ", 0, &none));
    cr_assert_not_null(hl_rm_CreateDataType(&rig->ctx, "other-typ", 0, &methods));
    rig->module->loading = false;
    cr_assert_null(hl_rm_CreateDataType(&rig->ctx, "third-typ", 0, &methods));
}

Test(values, a_key_owns_its_value)
{
    RedisModuleString *name = hl_rm_CreateString(&rig->ctx, "k", 1);
    RedisModuleKey *key = hl_rm_OpenKey(&rig->ctx, name, REDISMODULE_READ | REDISMODULE_WRITE);
    struct all *first = hl_calloc(1, sizeof *first);
    struct all *second = hl_calloc(1, sizeof *second);
    cr_assert_eq(hl_rm_ModuleTypeSetValue(key, type, first), REDISMODULE_OK);
    cr_assert_eq(hl_rm_ModuleTypeGetValue(key), first);
    cr_assert_eq(hl_rm_ModuleTypeSetValue(key, type, second), REDISMODULE_OK);
    cr_assert_eq(freed, 1);
    cr_assert_eq(type->live, 1);
    void *old = NULL;
    struct all *third = hl_calloc(1, sizeof *third);
    cr_assert_eq(hl_rm_ModuleTypeReplaceValue(key, type, third, &old), REDISMODULE_OK);
    cr_assert_eq(old, second);
    hl_free(old);
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_abi_unload(rig->abi, hl_slice_of("rig"), &msg), HL_EBUSY);
    cr_assert_eq(hl_rm_DeleteKey(key), REDISMODULE_OK);
    cr_assert_eq(freed, 2);
    cr_assert_eq(type->live, 0);
    hl_rm_CloseKey(key);
    RedisModuleKey *reader = hl_rm_OpenKey(&rig->ctx, name, REDISMODULE_READ);
    cr_assert_null(reader);
    hl_rm_FreeString(&rig->ctx, name);
}
