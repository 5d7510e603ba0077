/* Values of module types as bytes, in the encoding of Redis's RDB files.
 *
 *   a value      module id, then tagged values, then the tag EOF
 *   tagged       SINT, UINT: a length;  FLOAT 4, DOUBLE 8 bytes little-endian;  STRING: a string
 *   a length     00nnnnnn | 01nnnnnn n | 10000000 n*4 big-endian | 10000001 n*8 big-endian
 *   a string     a length and bytes, or 110000nn: a small integer or compressed bytes
 *
 * A tag is itself a length.  Invariant: after io->failed is set, loads answer zeros and saves write
 * nothing more. */
#include "abi/internal.h"
#include "keyspace/dump.h"
#include "kit/num.h"

#include <stdio.h>

enum tag { TAG_EOF, TAG_SINT, TAG_UINT, TAG_FLOAT, TAG_DOUBLE, TAG_STRING };

#define LEN_14BIT 0x40
#define LEN_32BIT 0x80
#define LEN_64BIT 0x81
#define ENC_INT8 0xC0
#define ENC_INT16 0xC1
#define ENC_INT32 0xC2
#define ENC_LZF 0xC3
#define LDOUBLE_HEX_MAX 64

void hl_io_init(RedisModuleIO *io, struct hl_abi *abi, RedisModuleType *type,
                const RedisModuleString *key, int db)
{
    *io = (RedisModuleIO){.abi = abi, .type = type, .key = key, .db = db};
    hl_abi_enter(abi);
}

void hl_io_fini(RedisModuleIO *io)
{
    if (io->ctx != NULL) {
        hl_ctx_fini(io->ctx);
        io->ctx = NULL;
    }
}

/* ---- Lengths ---- */

static void put_len(struct hl_buf *out, uint64_t n)
{
    unsigned char bytes[9];
    size_t count = 1;
    if (n < 64) {
        bytes[0] = (unsigned char)n;
    } else if (n < 16384) {
        bytes[0] = (unsigned char)(LEN_14BIT | n >> 8);
        bytes[1] = (unsigned char)n;
        count = 2;
    } else {
        int width = n <= UINT32_MAX ? 4 : 8;
        bytes[0] = width == 4 ? LEN_32BIT : LEN_64BIT;
        for (int i = 0; i < width; i++) {
            bytes[1 + i] = (unsigned char)(n >> 8 * (width - 1 - i));
        }
        count = 1 + (size_t)width;
    }
    hl_buf_append(out, bytes, count);
}

/* The next `len` bytes, or NULL (and failed) when there are not that many. */
static const unsigned char *take(RedisModuleIO *io, size_t len)
{
    if (io->failed || io->in.len - io->at < len) {
        io->failed = true;
        return NULL;
    }
    const char *at = io->in.ptr + io->at;
    io->at += len;
    return (const unsigned char *)at;
}

/* Read a length; *special is set instead when it is one of ENC_*. */
static uint64_t get_len(RedisModuleIO *io, int *special)
{
    const unsigned char *p = take(io, 1);
    *special = 0;
    if (p == NULL) {
        return 0;
    }
    unsigned first = p[0];
    if ((first & 0xC0) == 0) {
        return first;
    }
    if ((first & 0xC0) == LEN_14BIT) {
        p = take(io, 1);
        return p == NULL ? 0 : (uint64_t)(first & 0x3F) << 8 | p[0];
    }
    if (first >= ENC_INT8 && first <= ENC_LZF) {
        *special = (int)first;
        return 0;
    }
    int width = first == LEN_32BIT ? 4 : 8;
    if (first != LEN_32BIT && first != LEN_64BIT) {
        io->failed = true;
        return 0;
    }
    p = take(io, (size_t)width);
    uint64_t n = 0;
    for (int i = 0; p != NULL && i < width; i++) {
        n = n << 8 | p[i];
    }
    return n;
}

static uint64_t get_plain_len(RedisModuleIO *io)
{
    int special = 0;
    uint64_t n = get_len(io, &special);
    if (special != 0) {
        io->failed = true;
        return 0;
    }
    return n;
}

/* ---- Saving ---- */

static bool may_save(RedisModuleIO *io, enum tag tag)
{
    if (io->failed || io->out == NULL) {
        return false;
    }
    put_len(io->out, tag);
    return true;
}

void hl_rm_SaveUnsigned(RedisModuleIO *io, uint64_t value)
{
    if (may_save(io, TAG_UINT)) {
        put_len(io->out, value);
    }
}

void hl_rm_SaveSigned(RedisModuleIO *io, int64_t value)
{
    if (may_save(io, TAG_SINT)) {
        put_len(io->out, (uint64_t)value);
    }
}

void hl_rm_SaveStringBuffer(RedisModuleIO *io, const char *str, size_t len)
{
    if (may_save(io, TAG_STRING)) {
        put_len(io->out, len);
        hl_buf_append(io->out, str, len);
    }
}

void hl_rm_SaveString(RedisModuleIO *io, RedisModuleString *s)
{
    hl_rm_SaveStringBuffer(io, s->ptr, s->len);
}

void hl_rm_SaveDouble(RedisModuleIO *io, double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    if (may_save(io, TAG_DOUBLE)) {
        hl_buf_append_le64(io->out, bits);
    }
}

void hl_rm_SaveFloat(RedisModuleIO *io, float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    if (may_save(io, TAG_FLOAT)) {
        hl_buf_append_le32(io->out, bits);
    }
}

void hl_rm_SaveLongDouble(RedisModuleIO *io, long double value)
{
    char text[LDOUBLE_HEX_MAX];
    int len = snprintf(text, sizeof text, "%La", value);
    hl_rm_SaveStringBuffer(io, text, (size_t)len);
}

/* ---- Loading ---- */

/* Whether a value of that tag follows; if not, the stream is bad from here on. */
static bool may_load(RedisModuleIO *io, enum tag tag)
{
    if (!io->failed && get_plain_len(io) != (uint64_t)tag) {
        io->failed = true;
    }
    return !io->failed;
}

uint64_t hl_rm_LoadUnsigned(RedisModuleIO *io)
{
    return may_load(io, TAG_UINT) ? get_plain_len(io) : 0;
}

int64_t hl_rm_LoadSigned(RedisModuleIO *io)
{
    return may_load(io, TAG_SINT) ? (int64_t)get_plain_len(io) : 0;
}

double hl_rm_LoadDouble(RedisModuleIO *io)
{
    const unsigned char *p = may_load(io, TAG_DOUBLE) ? take(io, 8) : NULL;
    double value = 0;
    if (p != NULL) {
        uint64_t bits = hl_get_le64(p);
        memcpy(&value, &bits, sizeof value);
    }
    return value;
}

float hl_rm_LoadFloat(RedisModuleIO *io)
{
    const unsigned char *p = may_load(io, TAG_FLOAT) ? take(io, 4) : NULL;
    float value = 0;
    if (p != NULL) {
        uint32_t bits = hl_get_le32(p);
        memcpy(&value, &bits, sizeof value);
    }
    return value;
}

/* Read a compressed string (LZF): literal runs and back references; `out` has room for `len`. */
static bool lzf_expand(const unsigned char *in, size_t in_len, char *out, size_t len)
{
    size_t at = 0;
    size_t made = 0;
    while (at < in_len) {
        unsigned control = in[at++];
        if (control < 32) { /* a run of control + 1 bytes */
            size_t run = control + 1;
            if (in_len - at < run || len - made < run) {
                return false;
            }
            memcpy(out + made, in + at, run);
            at += run;
            made += run;
            continue;
        }
        size_t run = control >> 5;
        if (run == 7) {
            if (at == in_len) {
                return false;
            }
            run += in[at++];
        }
        run += 2;
        if (at == in_len) {
            return false;
        }
        size_t back = ((size_t)(control & 0x1F) << 8 | in[at++]) + 1;
        if (back > made || len - made < run) {
            return false;
        }
        for (size_t i = 0; i < run; i++, made++) { /* may overlap: byte by byte */
            out[made] = out[made - back];
        }
    }
    return made == len;
}

/* Read a string, whatever its encoding, into `out`. */
static bool get_string(RedisModuleIO *io, struct hl_buf *out)
{
    int special = 0;
    uint64_t len = get_len(io, &special);
    if (special == 0) {
        const unsigned char *p = take(io, len);
        if (p != NULL) {
            hl_buf_append(out, p, len);
        }
    } else if (special == ENC_LZF) {
        uint64_t packed = get_plain_len(io);
        len = get_plain_len(io);
        const unsigned char *p = take(io, packed);
        /* LZF expands at most 264 times: a longer claim is a lie, told to take our memory. */
        if (p != NULL && (len > HL_ABI_STRING_MAX || len / 264 > packed)) {
            io->failed = true;
        } else if (p != NULL) {
            hl_buf_grow(out, len);
            io->failed = !lzf_expand(p, packed, out->ptr, len);
            out->len = io->failed ? 0 : len;
        }
    } else {
        size_t width = special == ENC_INT8 ? 1 : special == ENC_INT16 ? 2 : 4;
        const unsigned char *p = take(io, width);
        int64_t n = 0;
        if (p != NULL) {
            n = width == 1   ? (int8_t)p[0]
                : width == 2 ? (int16_t)hl_get_le16(p)
                             : (int32_t)hl_get_le32(p);
        }
        char text[HL_I64_TEXT_MAX];
        hl_buf_append(out, text, (size_t)hl_format_i64(text, n));
    }
    return !io->failed;
}

RedisModuleString *hl_rm_LoadString(RedisModuleIO *io)
{
    struct hl_buf bytes = {0};
    RedisModuleString *str = NULL;
    if (may_load(io, TAG_STRING) && get_string(io, &bytes)) {
        str = hl_string_new(hl_buf_view(&bytes));
    }
    hl_buf_fini(&bytes);
    return str;
}

char *hl_rm_LoadStringBuffer(RedisModuleIO *io, size_t *lenptr)
{
    struct hl_buf bytes = {0};
    char *copy = NULL;
    if (may_load(io, TAG_STRING) && get_string(io, &bytes)) {
        copy = hl_strndup(bytes.len == 0 ? "" : bytes.ptr, bytes.len);
        if (lenptr != NULL) {
            *lenptr = bytes.len;
        }
    }
    hl_buf_fini(&bytes);
    return copy;
}

long double hl_rm_LoadLongDouble(RedisModuleIO *io)
{
    size_t len = 0;
    long double value = 0;
    char *text = hl_rm_LoadStringBuffer(io, &len);
    if (text != NULL && !hl_parse_ldouble((struct hl_slice){.ptr = text, .len = len}, &value)) {
        io->failed = true;
    }
    hl_free(text);
    return value;
}

int hl_rm_IsIOError(RedisModuleIO *io)
{
    return io->failed;
}

RedisModuleCtx *hl_rm_GetContextFromIO(RedisModuleIO *io)
{
    if (io->ctx == NULL) {
        hl_ctx_init(&io->ctx_memory, io->abi, io->type->module);
        io->ctx_memory.db = io->db < 0 ? 0 : io->db;
        io->ctx = &io->ctx_memory;
    }
    return io->ctx;
}

const RedisModuleString *hl_rm_GetKeyNameFromIO(RedisModuleIO *io)
{
    return io->key;
}

int hl_rm_GetDbIdFromIO(RedisModuleIO *io)
{
    return io->key == NULL ? -1 : io->db;
}

/* ---- Whole values, for the keyspace ---- */

static bool save_value(void *ctx, void *type_ptr, void *value, struct hl_slice key, int db,
                       struct hl_buf *out)
{
    RedisModuleType *type = type_ptr;
    if (type->methods.rdb_save == NULL) {
        return false;
    }
    RedisModuleString *name = hl_string_new(key);
    RedisModuleIO io;
    hl_io_init(&io, ctx, type, name, db);
    io.out = out;
    put_len(out, type->id);
    type->methods.rdb_save(&io, value);
    put_len(out, TAG_EOF);
    hl_io_fini(&io);
    hl_string_unref(name);
    return !io.failed;
}

static hl_err load_value(void *ctx, struct hl_slice in, size_t *consumed, struct hl_slice key,
                         int db, void **type_out, void **value_out, struct hl_errmsg *msg)
{
    RedisModuleIO io;
    RedisModuleString *name = hl_string_new(key);
    hl_io_init(&io, ctx, NULL, name, db);
    io.in = in;
    uint64_t id = get_plain_len(&io);
    RedisModuleType *type = io.failed ? NULL : hl_type_by_id(ctx, id);
    hl_err err = HL_OK;
    if (io.failed) {
        err = hl_fail(msg, HL_ECORRUPT, "the id of a module type is cut");
    } else if (type == NULL || type->methods.rdb_load == NULL) {
        err = hl_fail(msg, HL_EINVAL, "no loaded module has the type %016llx",
                      (unsigned long long)id);
    }
    if (err == HL_OK) {
        io.type = type;
        void *value = type->methods.rdb_load(&io, (int)(id & HL_TYPE_ENCODING_MAX));
        bool ended = value != NULL && !io.failed && may_load(&io, TAG_EOF);
        if (!ended) {
            if (value != NULL && type->methods.free != NULL) {
                type->methods.free(value);
            }
            err = hl_fail(msg, HL_ECORRUPT, "module %s refuses a value of type %s",
                          type->module->name, type->name);
        } else {
            type->live++;
            *consumed = io.at;
            *type_out = type;
            *value_out = value;
        }
    }
    hl_io_fini(&io);
    hl_string_unref(name);
    return err;
}

static bool digest_value(void *ctx, void *type, const void *value, struct hl_slice key, int db,
                         uint64_t *out)
{
    (void)ctx;
    RedisModuleString *name = hl_string_new(key);
    bool has = hl_digest_value(type, (void *)value, name, db, out);
    hl_string_unref(name);
    return has;
}

void hl_rdb_fill(struct hl_abi *abi, struct hl_dump_modules *out)
{
    *out = (struct hl_dump_modules){
        .ctx = abi, .save = save_value, .load = load_value, .digest = digest_value};
}

/* ---- Whole values, for modules ---- */

RedisModuleString *hl_rm_SaveDataTypeToString(RedisModuleCtx *ctx, void *data,
                                              const RedisModuleType *mt)
{
    struct hl_buf bytes = {0};
    RedisModuleIO io;
    hl_io_init(&io, hl_abi_current, (RedisModuleType *)mt, NULL, -1);
    io.out = &bytes;
    mt->methods.rdb_save(&io, data);
    hl_io_fini(&io);
    RedisModuleString *str = io.failed ? NULL : hl_rm_CreateString(ctx, bytes.ptr, bytes.len);
    hl_buf_fini(&bytes);
    return str;
}

void *hl_rm_LoadDataTypeFromStringEncver(const RedisModuleString *str, const RedisModuleType *mt,
                                         int encver)
{
    RedisModuleIO io;
    hl_io_init(&io, hl_abi_current, (RedisModuleType *)mt, NULL, -1);
    io.in = hl_string_slice(str);
    void *value = mt->methods.rdb_load(&io, encver);
    hl_io_fini(&io);
    return value;
}

void *hl_rm_LoadDataTypeFromString(const RedisModuleString *str, const RedisModuleType *mt)
{
    return hl_rm_LoadDataTypeFromStringEncver(str, mt, (int)(mt->id & HL_TYPE_ENCODING_MAX));
}
