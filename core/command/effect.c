#include "command/effect.h"

#include "kit/alloc.h"
#include "kit/assert.h"

void hl_effect_encode(struct hl_buf *body, int db, int argc, const struct hl_slice *argv)
{
    HL_ASSERT(db >= 0);
    HL_ASSERT(argc >= 1 && argc <= HL_EFFECT_ARGC_MAX);
    size_t need = 8;
    for (int i = 0; i < argc; i++) {
        HL_ASSERT(argv[i].len <= UINT32_MAX);
        need += 4 + argv[i].len;
    }
    hl_buf_grow(body, need);
    char *p = body->ptr + body->len;
    hl_put_le32(p, (uint32_t)db);
    hl_put_le32(p + 4, (uint32_t)argc);
    p += 8;
    for (int i = 0; i < argc; i++) {
        hl_put_le32(p, (uint32_t)argv[i].len);
        if (argv[i].len != 0) {
            memcpy(p + 4, argv[i].ptr, argv[i].len);
        }
        p += 4 + argv[i].len;
    }
    body->len += need;
}

static bool take_u32(struct hl_effect_reader *reader, uint32_t *out)
{
    if (reader->body.len - reader->position < 4) {
        return false;
    }
    *out = hl_get_le32(reader->body.ptr + reader->position);
    reader->position += 4;
    return true;
}

static void room_for(struct hl_effect_reader *reader, int argc)
{
    if (argc <= reader->argv_cap) {
        return;
    }
    reader->argv_cap = argc < 16 ? 16 : argc;
    reader->argv = hl_realloc(reader->argv, (size_t)reader->argv_cap * sizeof *reader->argv);
}

hl_err hl_effect_next(struct hl_effect_reader *reader)
{
    if (reader->position == reader->body.len) {
        return HL_ENOENT;
    }
    uint32_t db = 0;
    uint32_t argc = 0;
    if (!take_u32(reader, &db) || !take_u32(reader, &argc) || argc == 0 ||
        argc > HL_EFFECT_ARGC_MAX || db > INT32_MAX) {
        return HL_ECORRUPT;
    }
    /* Each argument takes four bytes at least: bounds the allocation by the input. */
    if (argc > (reader->body.len - reader->position) / 4) {
        return HL_ECORRUPT;
    }
    room_for(reader, (int)argc);
    for (uint32_t i = 0; i < argc; i++) {
        uint32_t len = 0;
        if (!take_u32(reader, &len) || len > reader->body.len - reader->position) {
            return HL_ECORRUPT;
        }
        reader->argv[i] = (struct hl_slice){.ptr = reader->body.ptr + reader->position, .len = len};
        reader->position += len;
    }
    reader->db = (int)db;
    reader->argc = (int)argc;
    return HL_OK;
}

void hl_effect_reader_fini(struct hl_effect_reader *reader)
{
    hl_free(reader->argv);
    *reader = (struct hl_effect_reader){0};
}
