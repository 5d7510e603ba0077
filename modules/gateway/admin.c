#include "admin.h"

void gw_admin_look(struct gw_call *call, const struct gw_command *command, gw_then then)
{
    struct gw_how how = {.read = HELIOSMODULE_READ_STALE};
    gw_run_how(call, command, 1, &how, then);
}

void gw_admin_change(struct gw_call *call, const struct gw_command *command, bool own_errors,
                     gw_then then)
{
    struct gw_how how = {.timeout_ms = ADMIN_CHANGE_MS, .own_errors = own_errors};
    gw_run_how(call, command, 1, &how, then);
}

void gw_admin_say(struct gw_call *call, int status, const char *message)
{
    gw_answer(call, status, json_pack("{s:s}", "message", message));
}

void gw_admin_answer(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_answer(call, 200, gw_reply_json(reply));
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool gw_admin_is_name(struct hl_slice text)
{
    if (text.len == 0 || text.len > ADMIN_NAME_MAX || !is_letter_or_digit(text.ptr[0])) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!is_letter_or_digit(c) && c != '_' && c != '-' && c != '.') {
            return false;
        }
    }
    return true;
}

bool gw_admin_flag(const struct gw_call *call, const char *name)
{
    struct hl_slice text = gw_query(call, name);
    return hl_slice_equal(text, hl_slice_of("true")) || hl_slice_equal(text, hl_slice_of("1"));
}
