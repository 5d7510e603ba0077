#include "keyspace/dump.h"

#include "base/crc64.h"
#include "keyspace/entry.h"
#include "keyspace/hash.h"
#include "keyspace/listpack.h"
#include "keyspace/quicklist.h"
#include "keyspace/rdb.h"
#include "keyspace/string.h"
#include "keyspace/ziplist.h"

#define FOOTER_SIZE 10              /* u16 version, u64 checksum */
#define ELEMENT_MAX (HL_LP_MAX / 2) /* bytes of a list's: compression may make more of a payload   \
                                     */
#define PAIRS_QUADRATIC_MAX 512     /* fields whose uniqueness is checked pair by pair */

enum rdb_type { /* type bytes we read or write */
                RDB_STRING = 0,
                RDB_LIST = 1,
                RDB_HASH = 4,
                RDB_MODULE_2 = 7,
                RDB_LIST_ZIPLIST = 10,
                RDB_HASH_ZIPLIST = 13,
                RDB_LIST_QUICKLIST = 14,
                RDB_HASH_LISTPACK = 16,
                RDB_LIST_QUICKLIST_2 = 18,
};

enum block {                  /* what a block of a list is, in RDB_LIST_QUICKLIST_2 */
             BLOCK_PLAIN = 1, /* one element */
             BLOCK_PACKED = 2,
};

/* --- writing ---------------------------------------------------------------------------------- */

static void put_string_value(const struct hl_entry *entry, struct hl_buf *out)
{
    hl_buf_append_u8(out, RDB_STRING);
    if (entry->kind == HL_KIND_INT) {
        hl_rdb_put_int(out, hl_entry_int(entry));
    } else {
        char scratch[HL_STRING_SCRATCH];
        hl_rdb_put_string(out, hl_string_view(entry, scratch));
    }
}

static void put_hash_value(const struct hl_entry *entry, struct hl_buf *out)
{
    const unsigned char *lp = hl_hash_listpack(entry);
    if (lp != NULL) {
        hl_buf_append_u8(out, RDB_HASH_LISTPACK);
        struct hl_slice bytes = {.ptr = (const char *)lp, .len = hl_lp_bytes(lp)};
        hl_rdb_put_string(out, bytes);
        return;
    }
    hl_buf_append_u8(out, RDB_HASH);
    hl_rdb_put_len(out, hl_hash_len(entry));
    struct hl_hash_iter iter;
    struct hl_slice field;
    struct hl_slice value;
    hl_hash_iter_init(&iter, entry);
    while (hl_hash_iter_next(&iter, &field, &value)) {
        hl_rdb_put_string(out, field);
        hl_rdb_put_string(out, value);
    }
}

static void put_list_value(const struct hl_entry *entry, struct hl_buf *out)
{
    const struct hl_ql_block *position = NULL;
    const unsigned char *lp;
    hl_buf_append_u8(out, RDB_LIST_QUICKLIST_2);
    hl_rdb_put_len(out, hl_ql_blocks(entry));
    while ((lp = hl_ql_next_block(entry, &position)) != NULL) {
        struct hl_slice bytes = {.ptr = (const char *)lp, .len = hl_lp_bytes(lp)};
        hl_rdb_put_len(out, BLOCK_PACKED);
        hl_rdb_put_string(out, bytes);
    }
}

hl_err hl_dump_value(const struct hl_entry *entry, int db, const struct hl_dump_modules *modules,
                     struct hl_buf *out)
{
    size_t start = out->len;
    switch ((enum hl_kind)entry->kind) {
    case HL_KIND_RAW:
    case HL_KIND_EMBSTR:
    case HL_KIND_INT:
        put_string_value(entry, out);
        return HL_OK;
    case HL_KIND_HASH_LISTPACK:
    case HL_KIND_HASH_TABLE:
        put_hash_value(entry, out);
        return HL_OK;
    case HL_KIND_LIST:
        put_list_value(entry, out);
        return HL_OK;
    case HL_KIND_MODULE:
        hl_buf_append_u8(out, RDB_MODULE_2);
        if (modules == NULL || modules->save == NULL ||
            !modules->save(modules->ctx, hl_entry_module_type(entry), hl_entry_module_value(entry),
                           hl_entry_key(entry), db, out)) {
            out->len = start;
            return HL_EINVAL;
        }
        return HL_OK;
    }
    HL_ASSERT(false);
    return HL_EINVAL;
}

hl_err hl_dump_payload(const struct hl_entry *entry, int db, const struct hl_dump_modules *modules,
                       struct hl_buf *out)
{
    size_t start = out->len;
    hl_err err = hl_dump_value(entry, db, modules, out);
    if (err != HL_OK) {
        return err;
    }
    unsigned char version[2];
    hl_put_le16(version, HL_RDB_VERSION);
    hl_buf_append(out, version, sizeof version);
    hl_buf_append_le64(out, hl_crc64(0, out->ptr + start, out->len - start));
    return HL_OK;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* A value being read: `entry` is in no table yet. */
struct load {
    struct hl_keyspace *ks;
    struct hl_rdb_reader reader;
    struct hl_slice key;
    uint32_t key_hash;
    struct hl_entry *entry; /* NULL until the value starts to be made */
};

static hl_err load_string(struct load *load)
{
    struct hl_rdb_text value;
    if (!hl_rdb_get_string(&load->reader, &value)) {
        return HL_ECORRUPT;
    }
    load->entry = hl_string_create(load->key, load->key_hash, false, value.text);
    hl_rdb_text_fini(&value);
    return HL_OK;
}

static hl_err load_plain_hash(struct load *load)
{
    uint64_t count;
    if (!hl_rdb_get_len(&load->reader, &count) || count == 0) {
        return HL_ECORRUPT;
    }
    load->entry = hl_hash_create(load->key, load->key_hash, false);
    for (uint64_t i = 0; i < count; i++) {
        struct hl_rdb_text field;
        struct hl_rdb_text value;
        if (!hl_rdb_get_string(&load->reader, &field)) {
            return HL_ECORRUPT;
        }
        if (!hl_rdb_get_string(&load->reader, &value)) {
            hl_rdb_text_fini(&field);
            return HL_ECORRUPT;
        }
        bool added = hl_hash_set(load->ks, load->entry, field.text, value.text);
        hl_rdb_text_fini(&field);
        hl_rdb_text_fini(&value);
        if (!added) {
            return HL_ECORRUPT; /* a field twice */
        }
    }
    return HL_OK;
}

static bool add_pair(void *ctx, struct hl_slice field, struct hl_slice value)
{
    struct load *load = ctx;
    return hl_hash_set(load->ks, load->entry, field, value);
}

/* Whether each field is there once. */
static bool fields_differ(const unsigned char *lp)
{
    for (size_t at = hl_lp_first(lp); at != 0;) {
        char scratch[HL_LP_SCRATCH];
        struct hl_slice field = hl_lp_get(lp, at, scratch);
        at = hl_lp_next(lp, hl_lp_next(lp, at));
        if (hl_lp_find(lp, at, field, 1) != 0) {
            return false;
        }
    }
    return true;
}

static hl_err adopt_listpack(struct load *load, struct hl_slice bytes)
{
    size_t count;
    if (!hl_lp_validate(bytes, &count) || count == 0 || count % 2 != 0) {
        return HL_ECORRUPT;
    }
    const unsigned char *lp = (const unsigned char *)bytes.ptr;
    size_t pairs = count / 2;
    load->entry = hl_hash_create(load->key, load->key_hash, false);
    if (pairs <= load->ks->limits.hash_max_listpack_entries && pairs <= PAIRS_QUADRATIC_MAX) {
        if (!fields_differ(lp)) {
            return HL_ECORRUPT;
        }
        hl_hash_adopt(load->entry, hl_lp_adopt(bytes));
        return HL_OK;
    }
    for (size_t at = hl_lp_first(lp); at != 0; at = hl_lp_next(lp, at)) {
        char field_scratch[HL_LP_SCRATCH];
        char value_scratch[HL_LP_SCRATCH];
        struct hl_slice field = hl_lp_get(lp, at, field_scratch);
        at = hl_lp_next(lp, at);
        if (!add_pair(load, field, hl_lp_get(lp, at, value_scratch))) {
            return HL_ECORRUPT;
        }
    }
    return HL_OK;
}

static hl_err load_packed_hash(struct load *load, bool ziplist)
{
    struct hl_rdb_text bytes;
    if (!hl_rdb_get_string(&load->reader, &bytes)) {
        return HL_ECORRUPT;
    }
    hl_err err = HL_OK;
    if (ziplist) {
        load->entry = hl_hash_create(load->key, load->key_hash, false);
        if (!hl_ziplist_pairs(bytes.text, add_pair, load)) {
            err = HL_ECORRUPT;
        }
    } else {
        err = adopt_listpack(load, bytes.text);
    }
    hl_rdb_text_fini(&bytes);
    return err;
}

/* --- lists ---------------------------------------------------------------------------------- */

static bool add_element(void *ctx, struct hl_slice element)
{
    struct load *load = ctx;
    if (element.len > ELEMENT_MAX) {
        return false;
    }
    hl_ql_push(load->ks, load->entry, element, false);
    return true;
}

static hl_err add_block(struct load *load, int type, uint64_t kind, struct hl_slice bytes)
{
    if (type == RDB_LIST || kind == BLOCK_PLAIN) {
        return add_element(load, bytes) ? HL_OK : HL_ECORRUPT;
    }
    if (type == RDB_LIST_QUICKLIST_2) {
        if (kind != BLOCK_PACKED || !hl_lp_validate(bytes, NULL)) {
            return HL_ECORRUPT;
        }
        hl_ql_adopt(load->entry, hl_lp_adopt(bytes));
        return HL_OK;
    }
    return hl_ziplist_each(bytes, add_element, load) ? HL_OK : HL_ECORRUPT;
}

/* A list in any of its forms: so many elements, or blocks of them. */
static hl_err load_list(struct load *load, int type)
{
    uint64_t count = 1;
    if (type != RDB_LIST_ZIPLIST && !hl_rdb_get_len(&load->reader, &count)) {
        return HL_ECORRUPT;
    }
    load->entry = hl_ql_create(load->key, load->key_hash, false);
    for (uint64_t i = 0; i < count; i++) {
        struct hl_rdb_text bytes;
        uint64_t kind = 0;
        if ((type == RDB_LIST_QUICKLIST_2 && !hl_rdb_get_len(&load->reader, &kind)) ||
            !hl_rdb_get_string(&load->reader, &bytes)) {
            return HL_ECORRUPT;
        }
        hl_err err = add_block(load, type, kind, bytes.text);
        hl_rdb_text_fini(&bytes);
        if (err != HL_OK) {
            return err;
        }
    }
    return hl_ql_len(load->entry) != 0 ? HL_OK : HL_ECORRUPT;
}

static hl_err load_module(struct load *load, int db, const struct hl_dump_modules *modules,
                          struct hl_errmsg *msg)
{
    if (modules == NULL || modules->load == NULL) {
        return hl_fail(msg, HL_EINVAL, "no module of the value's type is loaded");
    }
    struct hl_slice rest = {.ptr = load->reader.in.ptr + load->reader.at,
                            .len = load->reader.in.len - load->reader.at};
    size_t used = 0;
    void *type = NULL;
    void *value = NULL;
    hl_err err = modules->load(modules->ctx, rest, &used, load->key, db, &type, &value, msg);
    if (err != HL_OK) {
        return err;
    }
    HL_ASSERT(used <= rest.len);
    load->reader.at += used;
    load->entry =
        hl_entry_create(load->key_hash, load->key, false, HL_KIND_MODULE, 2 * sizeof(void *));
    hl_entry_put_pointer(load->entry, type);
    memcpy(hl_entry_value(load->entry) + sizeof value, &value, sizeof value);
    return HL_OK;
}

static hl_err load_type(struct load *load, int type, int db, const struct hl_dump_modules *modules,
                        struct hl_errmsg *msg)
{
    switch (type) {
    case RDB_STRING:
        return load_string(load);
    case RDB_HASH:
        return load_plain_hash(load);
    case RDB_HASH_ZIPLIST:
    case RDB_HASH_LISTPACK:
        return load_packed_hash(load, type == RDB_HASH_ZIPLIST);
    case RDB_LIST:
    case RDB_LIST_ZIPLIST:
    case RDB_LIST_QUICKLIST:
    case RDB_LIST_QUICKLIST_2:
        return load_list(load, type);
    case RDB_MODULE_2:
        return load_module(load, db, modules, msg);
    case -1:
        return HL_ECORRUPT;
    default:
        return hl_fail(msg, HL_EINVAL, "values of RDB type %d are not supported", type);
    }
}

hl_err hl_dump_load(struct hl_db *db, struct hl_slice key, struct hl_slice in,
                    const struct hl_dump_modules *modules, size_t *consumed, struct hl_entry **out,
                    struct hl_errmsg *msg)
{
    struct load load = {.ks = db->ks, .reader = {.in = in}, .key = key};
    load.key_hash = (uint32_t)hl_db_hash(db, key);
    hl_err err = load_type(&load, hl_rdb_get_byte(&load.reader), db->index, modules, msg);
    if (err != HL_OK) {
        if (load.entry != NULL) {
            hl_entry_destroy(db->ks, load.entry);
        }
        return err == HL_ECORRUPT ? hl_fail(msg, err, "malformed value") : err;
    }
    *consumed = load.reader.at;
    *out = hl_db_put(db, load.entry);
    return HL_OK;
}

hl_err hl_dump_payload_open(struct hl_slice payload, struct hl_slice *value)
{
    if (payload.len <= FOOTER_SIZE) {
        return HL_ECORRUPT;
    }
    size_t len = payload.len - FOOTER_SIZE;
    unsigned version = hl_get_le16(payload.ptr + len);
    uint64_t crc = hl_get_le64(payload.ptr + len + 2);
    if (version < 1 || version > HL_RDB_VERSION || crc != hl_crc64(0, payload.ptr, len + 2)) {
        return HL_ECORRUPT;
    }
    *value = (struct hl_slice){.ptr = payload.ptr, .len = len};
    return HL_OK;
}
