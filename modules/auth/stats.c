/* Counters and their section in INFO. */
#include "stats.h"

#include "kit/assert.h"

static struct stats counted;

static const struct {
    const char *name;
    const unsigned long long *value;
} fields[] = {
    {"registrations", &counted.registrations},
    {"logins", &counted.logins},
    {"login_failures", &counted.login_failures},
    {"login_lockouts", &counted.login_lockouts},
    {"refreshes", &counted.refreshes},
    {"refresh_replays", &counted.refresh_replays},
    {"refresh_reuses", &counted.refresh_reuses},
    {"logouts", &counted.logouts},
    {"verifications", &counted.verifications},
    {"verification_failures", &counted.verification_failures},
    {"busy", &counted.busy},
};
HL_STATIC(sizeof counted == HL_ARRAY_LEN(fields) * sizeof(unsigned long long));

struct stats *stats(void)
{
    return &counted;
}

static void tell(RedisModuleInfoCtx *info, int for_crash_report)
{
    (void)for_crash_report;
    RedisModule_InfoAddSection(info, "");
    for (size_t i = 0; i < HL_ARRAY_LEN(fields); i++) {
        RedisModule_InfoAddFieldULongLong(info, fields[i].name, *fields[i].value);
    }
}

void stats_load(RedisModuleCtx *ctx)
{
    if (RedisModule_RegisterInfoFunc != NULL && RedisModule_InfoAddSection != NULL &&
        RedisModule_InfoAddFieldULongLong != NULL) {
        RedisModule_RegisterInfoFunc(ctx, tell);
    }
}
