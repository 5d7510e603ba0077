/* The digest of everything: a sum over keys, so that order does not matter, of hashes of canonical
 * contents, so that encodings do not.  The seeds are fixed: nodes compare digests. */
#include "keyspace/dump.h"
#include "keyspace/entry.h"
#include "keyspace/hash.h"
#include "keyspace/quicklist.h"
#include "keyspace/string.h"

#define LANES 3

struct digest {
    uint64_t lane[LANES];
};

static const uint64_t seeds[LANES][2] = {
    {0x68656c696f733a31u, 0x6469676573743a31u},
    {0x68656c696f733a32u, 0x6469676573743a32u},
    {0x68656c696f733a33u, 0x6469676573743a33u},
};

static void add_bytes(struct digest *sum, struct hl_slice bytes)
{
    for (int i = 0; i < LANES; i++) {
        sum->lane[i] += hl_hash(seeds[i], bytes.ptr, bytes.len);
    }
}

static void digest_hash(const struct hl_entry *entry, struct hl_buf *scratch, struct digest *sum)
{
    struct hl_hash_iter iter;
    struct hl_slice field;
    struct hl_slice value;
    hl_hash_iter_init(&iter, entry);
    while (hl_hash_iter_next(&iter, &field, &value)) {
        hl_buf_clear(scratch);
        hl_buf_append_le64(scratch, field.len);
        hl_buf_append_slice(scratch, field);
        hl_buf_append_slice(scratch, value);
        add_bytes(sum, hl_buf_view(scratch));
    }
}

static void digest_list(const struct hl_entry *entry, struct hl_buf *scratch, struct digest *sum)
{
    struct hl_ql_cursor cursor;
    uint64_t index = 0;
    for (bool more = hl_ql_seek(entry, 0, &cursor); more; more = hl_ql_step(&cursor, true)) {
        char text[HL_QL_SCRATCH];
        hl_buf_clear(scratch);
        hl_buf_append_le64(scratch, index++); /* order counts */
        hl_buf_append_slice(scratch, hl_ql_value(&cursor, text));
        add_bytes(sum, hl_buf_view(scratch));
    }
}

static void digest_value(const struct hl_entry *entry, int db,
                         const struct hl_dump_modules *modules, struct hl_buf *scratch,
                         struct digest *sum)
{
    char text[HL_STRING_SCRATCH];
    switch ((enum hl_kind)entry->kind) {
    case HL_KIND_RAW:
    case HL_KIND_EMBSTR:
    case HL_KIND_INT:
        add_bytes(sum, hl_string_view(entry, text));
        return;
    case HL_KIND_HASH_LISTPACK:
    case HL_KIND_HASH_TABLE:
        digest_hash(entry, scratch, sum);
        return;
    case HL_KIND_LIST:
        digest_list(entry, scratch, sum);
        return;
    case HL_KIND_MODULE:
        hl_buf_clear(scratch);
        if (hl_dump_value(entry, db, modules, scratch) == HL_OK) {
            add_bytes(sum, hl_buf_view(scratch));
        }
        return;
    }
    HL_ASSERT(false);
}

/* A key with the digest of its value. */
static void digest_key(const struct hl_entry *entry, int db, const struct digest *value,
                       struct hl_buf *scratch, struct digest *total)
{
    hl_buf_clear(scratch);
    hl_buf_append_le32(scratch, (uint32_t)db);
    hl_buf_append_le32(scratch, (uint32_t)hl_entry_type(entry));
    hl_buf_append_le64(scratch, (uint64_t)hl_entry_expire(entry));
    for (int i = 0; i < LANES; i++) {
        hl_buf_append_le64(scratch, value->lane[i]);
    }
    hl_buf_append_slice(scratch, hl_entry_key(entry));
    add_bytes(total, hl_buf_view(scratch));
}

static void digest_entry(const struct hl_entry *entry, int db,
                         const struct hl_dump_modules *modules, struct hl_buf *scratch,
                         struct digest *total)
{
    struct digest value = {{0}};
    digest_value(entry, db, modules, scratch, &value);
    digest_key(entry, db, &value, scratch, total);
}

static void put_digest(const struct digest *sum, unsigned char out[20])
{
    hl_put_le64(out, sum->lane[0]);
    hl_put_le64(out + 8, sum->lane[1]);
    hl_put_le32(out + 16, (uint32_t)sum->lane[2]);
}

void hl_entry_digest(const struct hl_entry *entry, int db, const struct hl_dump_modules *modules,
                     unsigned char out[20])
{
    struct digest value = {{0}};
    struct hl_buf scratch = {0};
    digest_value(entry, db, modules, &scratch, &value);
    hl_buf_fini(&scratch);
    put_digest(&value, out);
}

/* Is it more than may be read at once?  Then only its size counts. */
static bool is_large(const struct hl_entry *entry, uint64_t *size)
{
    switch ((enum hl_kind)entry->kind) {
    case HL_KIND_RAW:
    case HL_KIND_EMBSTR:
    case HL_KIND_INT:
        *size = hl_string_len(entry);
        return *size > HL_DIGEST_STRING_MAX;
    case HL_KIND_HASH_LISTPACK:
    case HL_KIND_HASH_TABLE:
        *size = hl_hash_len(entry);
        return *size > HL_DIGEST_FIELDS_MAX;
    case HL_KIND_LIST:
        *size = hl_ql_len(entry);
        return *size > HL_DIGEST_FIELDS_MAX;
    case HL_KIND_MODULE:
        break;
    }
    return false;
}

void hl_entry_digest_add(const struct hl_entry *entry, int db,
                         const struct hl_dump_modules *modules, unsigned char sum[20])
{
    struct digest total = {{hl_get_le64(sum), hl_get_le64(sum + 8), hl_get_le32(sum + 16)}};
    struct hl_buf scratch = {0};
    struct digest value = {{0}};
    uint64_t size = 0;
    if (is_large(entry, &size)) {
        value.lane[0] = size;
    } else if ((enum hl_kind)entry->kind != HL_KIND_MODULE) {
        digest_value(entry, db, modules, &scratch, &value);
    } else if (modules->digest != NULL) {
        bool has =
            modules->digest(modules->ctx, hl_entry_module_type(entry), hl_entry_module_value(entry),
                            hl_entry_key(entry), db, &value.lane[0]);
        HL_MAYBE(!has);
    }
    digest_key(entry, db, &value, &scratch, &total);
    hl_buf_fini(&scratch);
    put_digest(&total, sum);
}

void hl_ks_digest(struct hl_keyspace *ks, const struct hl_dump_modules *modules,
                  unsigned char out[20])
{
    struct digest total = {{0}};
    struct hl_buf scratch = {0};
    for (int i = 0; i < ks->db_count; i++) {
        uint64_t position[3] = {0};
        const struct hl_entry *entry;
        while ((entry = hl_table_walk(&ks->dbs[i].table, position)) != NULL) {
            digest_entry(entry, i, modules, &scratch, &total);
        }
    }
    hl_buf_fini(&scratch);
    put_digest(&total, out);
}
