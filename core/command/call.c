/* What handlers tell the executor: changes and effects. */
#include "command/command.h"
#include "kit/assert.h"

#include <stdarg.h>

#define EFFECT_WORDS_MAX 16

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

void hl_call_effect_words(struct hl_call *call, ...)
{
    struct hl_slice argv[EFFECT_WORDS_MAX];
    int argc = 0;
    va_list args;
    va_start(args, call);
    for (const char *word = va_arg(args, const char *); word != NULL;
         word = va_arg(args, const char *)) {
        HL_ASSERT(argc < EFFECT_WORDS_MAX);
        argv[argc++] = hl_slice_of(word);
    }
    va_end(args);
    hl_call_effect(call, argc, argv);
}

void hl_call_effect_none(struct hl_call *call)
{
    call->effects_own = true;
}
