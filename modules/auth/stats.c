/* Counters, their section in INFO, and the same as metrics. */
#include "stats.h"

#include "store.h"

#include "helios/metrics.h"
#include "kit/assert.h"

static struct stats counted;

static const struct {
    const char *name, *metric, *help;
    const unsigned long long *value;
} fields[] = {
    {"registrations", "auth_registrations_total", "Users that were registered.",
     &counted.registrations},
    {"logins", "auth_logins_total", "Logins that opened a session.", &counted.logins},
    {"login_failures", "auth_login_failures_total", "Passwords that were wrong.",
     &counted.login_failures},
    {"login_lockouts", "auth_login_lockouts_total", "Logins refused after too many failures.",
     &counted.login_lockouts},
    {"refreshes", "auth_refreshes_total", "Refresh tokens that were traded.", &counted.refreshes},
    {"refresh_replays", "auth_refresh_replays_total", "Races over a refresh token forgiven.",
     &counted.refresh_replays},
    {"refresh_reuses", "auth_refresh_reuses_total", "Refresh tokens used twice: sessions revoked.",
     &counted.refresh_reuses},
    {"logouts", "auth_logouts_total", "Logouts, of one session or more.", &counted.logouts},
    {"verifications", "auth_verifications_total", "Tokens and API keys that were checked.",
     &counted.verifications},
    {"verification_failures", "auth_verification_failures_total",
     "Tokens and API keys that were refused.", &counted.verification_failures},
    {"busy", "auth_busy_total", "Passwords refused for lack of room.", &counted.busy},
};
HL_STATIC(sizeof counted == HL_ARRAY_LEN(fields) * sizeof(unsigned long long));

static HeliosModuleMetric *series[HL_ARRAY_LEN(fields)];
static HeliosModuleMetric *sessions;

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
    RedisModule_InfoAddFieldULongLong(info, "sessions", store_session_count());
}

/* Somebody is about to read the metrics. */
static int collect(void *data, uint64_t *progress)
{
    (void)data;
    (void)progress;
    for (size_t i = 0; i < HL_ARRAY_LEN(fields); i++) {
        HeliosMetric_Set(series[i], (double)*fields[i].value);
    }
    HeliosMetric_Set(sessions, (double)store_session_count());
    return 0;
}

static HeliosModuleMetric *define(RedisModuleCtx *ctx, int kind, const char *name, const char *help)
{
    HeliosModuleMetricInfo info = {
        .version = HELIOSMODULE_METRIC_VERSION, .name = name, .help = help, .kind = kind};
    return HeliosMetric_Series(HeliosMetric_Define(ctx, &info), NULL);
}

void stats_load(RedisModuleCtx *ctx)
{
    if (RedisModule_RegisterInfoFunc != NULL && RedisModule_InfoAddSection != NULL &&
        RedisModule_InfoAddFieldULongLong != NULL) {
        RedisModule_RegisterInfoFunc(ctx, tell);
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(fields); i++) {
        series[i] = define(ctx, HELIOSMODULE_METRIC_COUNTER, fields[i].metric, fields[i].help);
    }
    sessions = define(ctx, HELIOSMODULE_METRIC_GAUGE, "auth_sessions",
                      "Sessions that are kept, those that were just revoked included.");
    HeliosMetric_Collector(ctx, collect, NULL);
}
