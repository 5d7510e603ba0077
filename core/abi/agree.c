#include "abi/agree.h"

#include "abi/reload.h"
#include "node/barrier.h"
#include "node/cursor.h"

bool hl_agree_needed(const struct hl_call *call)
{
    return hl_node_members(call->node)->count > 1 &&
           (call->flags & (HL_CALL_REPLICATED | HL_CALL_BARRIER)) == 0;
}

void hl_agree_begin(struct hl_call *call, enum hl_agree what, struct hl_slice name,
                    struct hl_slice path)
{
    struct hl_buf question = {0};
    if (name.len + path.len + 8 > HL_BARRIER_QUESTION_MAX) {
        hl_reply_error(call, "ERR the name or path of the module is too long");
        return;
    }
    hl_buf_append_u8(&question, (uint8_t)what);
    hl_buf_append_text16(&question, name);
    hl_buf_append_text16(&question, path);
    hl_barrier_begin(call, hl_buf_view(&question));
    hl_buf_fini(&question);
}

hl_err hl_agree_probe(struct hl_abi *abi, struct hl_slice path, bool elsewhere, unsigned char *sum,
                      struct hl_errmsg *msg)
{
    const struct hl_abi_services *services = abi->services;
    char *text = hl_strndup(path.ptr, path.len);
    struct hl_object_place place = {
        .path = text,
        .folders = services->module_path == NULL ? NULL : services->module_path(services->ctx),
        .elsewhere = elsewhere};
    hl_err err = hl_object_probe(&place, sum, msg);
    hl_free(text);
    return err;
}

static hl_err asked_file(struct hl_abi *abi, struct hl_slice path, struct hl_buf *answer,
                         struct hl_errmsg *why)
{
    unsigned char sum[HL_OBJECT_SUM];
    hl_err err = hl_agree_probe(abi, path, true, sum, why);
    if (err == HL_OK) {
        hl_buf_append(answer, sum, sizeof sum);
    }
    return err == HL_EBUSY ? HL_EIO : err;
}

static hl_err asked_unload(struct hl_abi *abi, struct hl_slice name, struct hl_errmsg *why)
{
    bool passes = false;
    const struct hl_module *module = hl_module_find(abi, name);
    if (module == NULL) {
        return HL_OK; /* what is not there need not go */
    }
    const char *reason = hl_module_refusal(module, &passes);
    return reason == NULL ? HL_OK : hl_fail(why, passes ? HL_EBUSY : HL_EINVAL, "%s", reason);
}

hl_err hl_agree_asked(void *ctx, struct hl_slice question, struct hl_buf *answer,
                      struct hl_errmsg *why)
{
    struct hl_abi *abi = ctx;
    struct hl_cursor in = hl_cursor_over(question);
    uint8_t what = hl_cursor_u8(&in);
    struct hl_slice name = hl_cursor_text(&in);
    struct hl_slice path = hl_cursor_text(&in);
    hl_abi_enter(abi);
    if (in.ok && in.left == 0 && what == HL_AGREE_LOAD && name.len != 0) {
        return asked_file(abi, name, answer, why);
    }
    if (in.ok && in.left == 0 && what == HL_AGREE_UNLOAD) {
        return asked_unload(abi, name, why);
    }
    if (in.ok && in.left == 0 && what == HL_AGREE_RELOAD) {
        hl_err err = hl_reload_possible(abi, name, &path, why);
        return err == HL_OK ? asked_file(abi, path, answer, why) : err;
    }
    return hl_fail(why, HL_EINVAL, "it does not know this order: is it of an older version?");
}
