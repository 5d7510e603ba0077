/* What handlers tell the executor: changes and effects. */
#include "command/command.h"

void hl_call_modified(struct hl_call *call, uint32_t classes, const char *event,
                      struct hl_slice key)
{
    call->changes++;
    hl_db_modified(call->db, key);
    if (event != NULL) {
        hl_ks_notify(call->ks, classes, event, hl_db_index(call->db), key);
    }
}

void hl_call_effect(struct hl_call *call, int argc, const struct hl_slice *argv)
{
    call->effects_own = true;
    if ((call->flags & HL_CALL_REPLICATED) != 0) {
        return;
    }
    call->services->effect(call->services->ctx, hl_db_index(call->db), argc, argv);
}

void hl_call_effect_none(struct hl_call *call)
{
    call->effects_own = true;
}
