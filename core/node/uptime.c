#include "node/uptime.h"

#include "base/crc32c.h"
#include "kit/assert.h"

#include <string.h>

#define MAGIC "HLUP"
#define VERSION 1
#define HEADER 16
#define TOTALS (sizeof(struct hl_uptime_totals) / sizeof(uint64_t))
#define PAST_WORDS 3
#define FLAG_CLEAN 1u
#define TIME_MAX INT64_C(253402300799000) /* ms: the end of the year 9999 */
#define HOUR_MS INT64_C(3600000)

HL_STATIC(sizeof(struct hl_uptime_totals) % sizeof(uint64_t) == 0);
HL_STATIC(HEADER + 8 * (TOTALS + 2 + PAST_WORDS * HL_UPTIME_PAST_MAX) + 4 <= HL_UPTIME_FILE_MAX);

/* --- sessions --------------------------------------------------------------------------------- */

static void remember(struct hl_uptime *uptime, const struct hl_uptime_session *session)
{
    if (uptime->past_count == HL_UPTIME_PAST_MAX) {
        uptime->past_count--;
        memmove(uptime->past, uptime->past + 1, uptime->past_count * sizeof *uptime->past);
    }
    uptime->past[uptime->past_count++] = *session;
}

void hl_uptime_begin(struct hl_uptime *uptime, int64_t wall_ms, uint64_t mono_us)
{
    struct hl_uptime_totals *totals = &uptime->totals;
    uptime->start_ms = wall_ms;
    uptime->start_us = mono_us;
    uptime->office = HL_OFFICE_FOLLOWER;
    uptime->office_us = mono_us;
    if (uptime->past_count == 0) {
        totals->first_ms = (uint64_t)wall_ms;
        return;
    }
    const struct hl_uptime_session *last = &uptime->past[uptime->past_count - 1];
    if (wall_ms > last->end_ms) { /* otherwise the clock was set back */
        totals->down_ms += (uint64_t)(wall_ms - last->end_ms);
    }
    totals->last_restart_ms = (uint64_t)wall_ms;
}

static uint64_t elapsed_us(uint64_t from_us, uint64_t to_us)
{
    return to_us > from_us ? to_us - from_us : 0;
}

void hl_uptime_office(struct hl_uptime *uptime, enum hl_office office, uint64_t mono_us)
{
    if (office != uptime->office) {
        uptime->office_spent_us[uptime->office] += elapsed_us(uptime->office_us, mono_us);
        uptime->office = office;
        uptime->office_us = mono_us;
    }
}

void hl_uptime_reset(struct hl_uptime *uptime, int64_t wall_ms, uint64_t mono_us)
{
    memset(&uptime->totals, 0, sizeof uptime->totals);
    memset(uptime->office_spent_us, 0, sizeof uptime->office_spent_us);
    uptime->past_count = 0;
    uptime->elections = uptime->terms_as_leader = 0;
    uptime->office_us = mono_us;
    uptime->totals.first_ms = (uint64_t)(uptime->start_ms < wall_ms ? uptime->start_ms : wall_ms);
}

/* --- figures ---------------------------------------------------------------------------------- */

/* The totals as if this session ended now (U1). */
static struct hl_uptime_totals sum(const struct hl_uptime *uptime, uint64_t mono_us)
{
    struct hl_uptime_totals t = uptime->totals;
    uint64_t session_ms = elapsed_us(uptime->start_us, mono_us) / 1000;
    t.sessions++;
    t.up_ms += session_ms;
    t.longest_ms = session_ms > t.longest_ms ? session_ms : t.longest_ms;
    t.shortest_ms = t.sessions == 1 || session_ms < t.shortest_ms ? session_ms : t.shortest_ms;
    for (int i = 0; i < HL_OFFICES; i++) {
        uint64_t spent_us = uptime->office_spent_us[i];
        if (i == (int)uptime->office) {
            spent_us += elapsed_us(uptime->office_us, mono_us);
        }
        t.office_ms[i] += spent_us / 1000;
    }
    t.elections += uptime->elections;
    t.terms_as_leader += uptime->terms_as_leader;
    return t;
}

static int64_t overlap_ms(int64_t start_ms, int64_t end_ms, int64_t from_ms, int64_t to_ms)
{
    start_ms = start_ms > from_ms ? start_ms : from_ms;
    end_ms = end_ms < to_ms ? end_ms : to_ms;
    return end_ms > start_ms ? end_ms - start_ms : 0;
}

/* The share of the last `window_ms` in which it ran: of what is known of them. */
static double percent(const struct hl_uptime *uptime, int64_t window_ms, int64_t now_ms)
{
    int64_t known_ms = uptime->past_count != 0 ? uptime->past[0].start_ms : uptime->start_ms;
    int64_t from_ms = now_ms - window_ms > known_ms ? now_ms - window_ms : known_ms;
    int64_t up_ms = overlap_ms(uptime->start_ms, now_ms, from_ms, now_ms);
    for (uint32_t i = 0; i < uptime->past_count; i++) {
        up_ms += overlap_ms(uptime->past[i].start_ms, uptime->past[i].end_ms, from_ms, now_ms);
    }
    if (now_ms <= from_ms || up_ms > now_ms - from_ms) {
        return 100;
    }
    return 100.0 * (double)up_ms / (double)(now_ms - from_ms);
}

struct hl_uptime_figures hl_uptime_figures(const struct hl_uptime *uptime, int64_t wall_ms,
                                           uint64_t mono_us)
{
    struct hl_uptime_figures out = {.totals = sum(uptime, mono_us), .start_ms = uptime->start_ms};
    const struct hl_uptime_totals *t = &out.totals;
    out.session_ms = elapsed_us(uptime->start_us, mono_us) / 1000;
    out.restarts = t->sessions - 1;
    out.average_ms = t->up_ms / t->sessions;
    out.mtbf_ms = t->up_ms / (t->crashes != 0 ? t->crashes : 1);
    out.percent_24h = percent(uptime, 24 * HOUR_MS, wall_ms);
    out.percent_7d = percent(uptime, 7 * 24 * HOUR_MS, wall_ms);
    out.percent_30d = percent(uptime, 30 * 24 * HOUR_MS, wall_ms);
    uint64_t all_ms = t->up_ms + t->down_ms;
    out.percent_all = all_ms == 0 ? 100 : 100.0 * (double)t->up_ms / (double)all_ms;
    uint64_t offices_ms = 0;
    for (int i = 0; i < HL_OFFICES; i++) {
        offices_ms += t->office_ms[i];
    }
    uint64_t led_ms = t->office_ms[HL_OFFICE_LEADER];
    out.leadership_ratio = offices_ms == 0 ? 0 : (double)led_ms / (double)offices_ms;
    return out;
}

/* --- the file --------------------------------------------------------------------------------- */

void hl_uptime_encode(const struct hl_uptime *uptime, int64_t wall_ms, uint64_t mono_us, bool clean,
                      struct hl_buf *out)
{
    HL_ASSERT(uptime->past_count <= HL_UPTIME_PAST_MAX);
    struct hl_uptime_totals totals = sum(uptime, mono_us);
    uint64_t words[TOTALS];
    size_t start = out->len;
    memcpy(words, &totals, sizeof totals);
    hl_buf_append(out, MAGIC, 4);
    hl_buf_append_le32(out, VERSION);
    hl_buf_append_le32(out, uptime->past_count);
    hl_buf_append_le32(out, clean ? FLAG_CLEAN : 0);
    for (size_t i = 0; i < TOTALS; i++) {
        hl_buf_append_le64(out, words[i]);
    }
    hl_buf_append_le64(out, (uint64_t)uptime->start_ms);
    hl_buf_append_le64(out, (uint64_t)(wall_ms > uptime->start_ms ? wall_ms : uptime->start_ms));
    for (uint32_t i = 0; i < uptime->past_count; i++) {
        hl_buf_append_le64(out, (uint64_t)uptime->past[i].start_ms);
        hl_buf_append_le64(out, (uint64_t)uptime->past[i].end_ms);
        hl_buf_append_le64(out, uptime->past[i].clean);
    }
    hl_buf_append_le32(out, hl_crc32c(0, out->ptr + start, out->len - start));
}

/* U2.  `at` is where its three words, or two with the flag beside them, stand. */
static bool take_session(const char *at, bool clean, struct hl_uptime_session *out)
{
    uint64_t start_ms = hl_get_le64(at);
    uint64_t end_ms = hl_get_le64(at + 8);
    if (start_ms > end_ms || end_ms > (uint64_t)TIME_MAX) {
        return false;
    }
    *out = (struct hl_uptime_session){
        .start_ms = (int64_t)start_ms, .end_ms = (int64_t)end_ms, .clean = clean};
    return true;
}

hl_err hl_uptime_decode(struct hl_uptime *uptime, struct hl_slice bytes, struct hl_errmsg *msg)
{
    struct hl_uptime read = {0};
    struct hl_uptime_session last;
    if (bytes.len < HEADER + 4 || memcmp(bytes.ptr, MAGIC, 4) != 0) {
        return hl_fail(msg, HL_ECORRUPT, "it is not a record of uptimes");
    }
    if (hl_get_le32(bytes.ptr + bytes.len - 4) != hl_crc32c(0, bytes.ptr, bytes.len - 4)) {
        return hl_fail(msg, HL_ECORRUPT, "its checksum is wrong");
    }
    if (hl_get_le32(bytes.ptr + 4) != VERSION) {
        return hl_fail(msg, HL_EVERSION, "it is of version %u", hl_get_le32(bytes.ptr + 4));
    }
    uint32_t count = hl_get_le32(bytes.ptr + 8);
    if (count > HL_UPTIME_PAST_MAX ||
        bytes.len != HEADER + 8 * (TOTALS + 2 + (size_t)PAST_WORDS * count) + 4) {
        return hl_fail(msg, HL_ECORRUPT, "its length is wrong");
    }
    uint64_t words[TOTALS];
    const char *at = bytes.ptr + HEADER;
    for (size_t i = 0; i < TOTALS; i++, at += 8) {
        words[i] = hl_get_le64(at);
        if (words[i] > (uint64_t)TIME_MAX) {
            return hl_fail(msg, HL_ECORRUPT, "a number in it is out of range");
        }
    }
    memcpy(&read.totals, words, sizeof words);
    bool clean = (hl_get_le32(bytes.ptr + 12) & FLAG_CLEAN) != 0;
    bool good = read.totals.sessions != 0 && take_session(at, clean, &last);
    at += 16;
    for (uint32_t i = 0; good && i < count; i++, at += 8 * PAST_WORDS) {
        struct hl_uptime_session session;
        good = take_session(at, hl_get_le64(at + 16) != 0, &session);
        if (good) {
            remember(&read, &session);
        }
    }
    if (!good) {
        return hl_fail(msg, HL_ECORRUPT, "a session in it ends before it starts");
    }
    remember(&read, &last);
    if (!clean) {
        read.totals.crashes++;
        read.totals.last_crash_ms = (uint64_t)last.end_ms;
    }
    *uptime = read;
    return HL_OK;
}

const char *hl_office_name(enum hl_office office)
{
    switch (office) {
    case HL_OFFICE_FOLLOWER:
        return "Follower";
    case HL_OFFICE_CANDIDATE:
        return "Candidate";
    case HL_OFFICE_LEADER:
        break;
    }
    return "Leader";
}
