/* See cron.h. */
#include "cron.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"

#define RECORD_VERSION 1

enum record_kind { RECORD_SET = 1, RECORD_DEL = 2, RECORD_RUN = 3, RECORD_PAUSE = 4 };

/* Numbers of a record of RECORD_SET, in their order. */
enum set_number {
    S_CREATED,
    S_NEXT,
    S_LAST,
    S_LAST_SEQ,
    S_RUNS,
    S_SKIPPED,
    S_BURST,
    S_PAUSED,
    S_MISFIRE,
    S_DELAY,
    S_TTL,
    S_VIS,
    S_BASE,
    S_CAP,
    S_JITTER,
    S_PRI,
    S_TRIES,
    S_BACKOFF,
    S_SCOPE,
    S_HAS_KEEP,
    S_KEEP,
    S_NUMBERS
};

/* Texts of it. */
enum set_text { S_NAME, S_CRON, S_ZONE, S_PAYLOAD, S_UNIQUE, S_TEXTS };

/* Numbers of the other kinds, behind whose numbers stands the name. */
enum run_number { R_AT, R_NEXT, R_SEQ, R_BURST, R_NUMBERS };
enum pause_number { P_PAUSED, P_NEXT, P_NUMBERS };

/* What a number of RECORD_SET may be. */
static const struct {
    int64_t min, max;
} set_ranges[S_NUMBERS] = {
    [S_CREATED] = {0, JOBS_TIME_MAX},
    [S_NEXT] = {0, JOBS_TIME_MAX},
    [S_LAST] = {0, JOBS_TIME_MAX},
    [S_LAST_SEQ] = {0, (int64_t)JOBS_SEQ_MAX},
    [S_RUNS] = {0, JOBS_TIME_MAX},
    [S_SKIPPED] = {0, JOBS_TIME_MAX},
    [S_BURST] = {0, JOBS_CRON_BURST_MAX},
    [S_PAUSED] = {0, 1},
    [S_MISFIRE] = {0, JOBS_MISFIRES - 1},
    [S_DELAY] = {0, JOBS_TIME_MAX / 4},
    [S_TTL] = {0, JOBS_TIME_MAX / 4},
    [S_VIS] = {1, JOBS_SPAN_MAX},
    [S_BASE] = {0, JOBS_SPAN_MAX},
    [S_CAP] = {0, JOBS_SPAN_MAX},
    [S_JITTER] = {0, 100},
    [S_PRI] = {INT8_MIN, INT8_MAX},
    [S_TRIES] = {1, JOBS_TRIES_MAX},
    [S_BACKOFF] = {JOBS_FIXED, JOBS_EXPONENTIAL},
    [S_SCOPE] = {JOBS_NOT_UNIQUE, JOBS_UNTIL_DONE},
    [S_HAS_KEEP] = {0, 1},
    [S_KEEP] = {JOBS_KEEP_DEFAULT, JOBS_TIME_MAX / 2},
};

static const size_t set_lens[S_TEXTS] = {
    [S_NAME] = JOBS_CRON_NAME_MAX, [S_CRON] = JOBS_CRON_TEXT_MAX,
    [S_ZONE] = JOBS_CRON_ZONE_MAX, [S_PAYLOAD] = (size_t)JOBS_PAYLOAD_MAX,
    [S_UNIQUE] = JOBS_DEDUP_MAX,
};

/* --- records -----------------------------------------------------------------------------------
 */

static void put_head(struct hl_buf *out, enum record_kind kind)
{
    hl_buf_append_u8(out, RECORD_VERSION);
    hl_buf_append_u8(out, (uint8_t)kind);
}

static void put_numbers(struct hl_buf *out, const int64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hl_buf_append_le64(out, (uint64_t)numbers[i]);
    }
}

static void put_text(struct hl_buf *out, struct hl_slice text)
{
    hl_buf_append_le32(out, (uint32_t)text.len);
    hl_buf_append_slice(out, text);
}

static bool take_numbers(struct hl_slice *in, int64_t *numbers, size_t count)
{
    if (in->len < 8 * count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        numbers[i] = (int64_t)hl_get_le64(in->ptr + 8 * i);
    }
    in->ptr += 8 * count;
    in->len -= 8 * count;
    return true;
}

static bool take_text(struct hl_slice *in, size_t max, struct hl_slice *text)
{
    if (in->len < 4) {
        return false;
    }
    size_t len = hl_get_le32(in->ptr);
    if (len > max || len > in->len - 4) {
        return false;
    }
    *text = (struct hl_slice){.ptr = in->ptr + 4, .len = len};
    in->ptr += 4 + len;
    in->len -= 4 + len;
    return true;
}

/* The record that makes this schedule. */
static void put_schedule(struct hl_buf *out, const struct jobs_schedule *s)
{
    const struct jobs_options *o = &s->def.options;
    const int64_t numbers[S_NUMBERS] = {
        [S_CREATED] = s->created_ms,   [S_NEXT] = s->when.due_ms,
        [S_LAST] = s->last_ms,         [S_LAST_SEQ] = (int64_t)s->last_seq,
        [S_RUNS] = (int64_t)s->runs,   [S_SKIPPED] = (int64_t)s->skipped,
        [S_BURST] = (int64_t)s->burst, [S_PAUSED] = s->paused,
        [S_MISFIRE] = s->def.misfire,  [S_DELAY] = o->delay_ms,
        [S_TTL] = o->ttl_ms,           [S_VIS] = o->vis_ms,
        [S_BASE] = o->base_ms,         [S_CAP] = o->cap_ms,
        [S_JITTER] = o->jitter,        [S_PRI] = o->pri,
        [S_TRIES] = o->tries,          [S_BACKOFF] = o->backoff,
        [S_SCOPE] = o->scope,          [S_HAS_KEEP] = o->has_keep,
        [S_KEEP] = o->keep_ms,
    };
    put_head(out, RECORD_SET);
    put_numbers(out, numbers, S_NUMBERS);
    const struct hl_slice texts[S_TEXTS] = {[S_NAME] = s->def.name,
                                            [S_CRON] = s->def.cron,
                                            [S_ZONE] = s->def.zone,
                                            [S_PAYLOAD] = s->def.payload,
                                            [S_UNIQUE] = o->unique};
    for (size_t i = 0; i < S_TEXTS; i++) {
        put_text(out, texts[i]);
    }
}

static void fill_schedule(struct jobs_schedule *s, const int64_t *numbers)
{
    s->when.due_ms = numbers[S_NEXT];
    s->created_ms = numbers[S_CREATED];
    s->last_ms = numbers[S_LAST];
    s->last_seq = (uint64_t)numbers[S_LAST_SEQ];
    s->runs = (uint64_t)numbers[S_RUNS];
    s->skipped = (uint64_t)numbers[S_SKIPPED];
    s->burst = (uint64_t)numbers[S_BURST];
    s->paused = numbers[S_PAUSED] != 0;
    s->def.misfire = (enum jobs_misfire)numbers[S_MISFIRE];
    s->def.options = (struct jobs_options){
        .delay_ms = numbers[S_DELAY],
        .ttl_ms = numbers[S_TTL],
        .vis_ms = numbers[S_VIS],
        .base_ms = numbers[S_BASE],
        .cap_ms = numbers[S_CAP],
        .jitter = (int)numbers[S_JITTER],
        .pri = (int)numbers[S_PRI],
        .tries = (int)numbers[S_TRIES],
        .backoff = (enum jobs_backoff)numbers[S_BACKOFF],
        .scope = (enum jobs_scope)numbers[S_SCOPE],
        .has_keep = numbers[S_HAS_KEEP] != 0,
        .keep_ms = numbers[S_KEEP],
    };
}

/* A schedule of numbers and texts; NULL without memory. */
static struct jobs_schedule *make_schedule(const int64_t *numbers, const struct hl_slice *texts)
{
    size_t len = 0;
    for (size_t i = 0; i < S_TEXTS; i++) {
        len += texts[i].len;
    }
    struct jobs_schedule *s = hl_try_malloc(sizeof *s + len);
    if (s == NULL) {
        return NULL;
    }
    *s = (struct jobs_schedule){.when = {.len = (uint32_t)len}};
    fill_schedule(s, numbers);
    struct hl_slice *const own[S_TEXTS] = {[S_NAME] = &s->def.name,
                                           [S_CRON] = &s->def.cron,
                                           [S_ZONE] = &s->def.zone,
                                           [S_PAYLOAD] = &s->def.payload,
                                           [S_UNIQUE] = &s->def.options.unique};
    char *at = s->bytes;
    for (size_t i = 0; i < S_TEXTS; i++) {
        if (texts[i].len != 0) {
            memcpy(at, texts[i].ptr, texts[i].len);
        }
        *own[i] = (struct hl_slice){.ptr = at, .len = texts[i].len};
        at += texts[i].len;
    }
    return s;
}

/* HL_OK with a new schedule, or why there is none. */
static hl_err take_schedule(struct hl_slice in, struct jobs_schedule **out)
{
    int64_t numbers[S_NUMBERS];
    struct hl_slice texts[S_TEXTS];
    if (!take_numbers(&in, numbers, S_NUMBERS)) {
        return HL_ECORRUPT;
    }
    for (size_t i = 0; i < S_NUMBERS; i++) {
        if (numbers[i] < set_ranges[i].min || numbers[i] > set_ranges[i].max) {
            return HL_ECORRUPT;
        }
    }
    for (size_t i = 0; i < S_TEXTS; i++) {
        if (!take_text(&in, set_lens[i], &texts[i])) {
            return HL_ECORRUPT;
        }
    }
    bool unique = numbers[S_SCOPE] != JOBS_NOT_UNIQUE;
    if (in.len != 0 || texts[S_NAME].len == 0 || texts[S_CRON].len == 0 ||
        unique != (texts[S_UNIQUE].len != 0) || (numbers[S_PAUSED] != 0 && numbers[S_NEXT] != 0)) {
        return HL_ECORRUPT;
    }
    *out = make_schedule(numbers, texts);
    return *out == NULL ? HL_ENOMEM : HL_OK;
}

/* --- the set -----------------------------------------------------------------------------------
 */

static size_t size_of(const struct jobs_schedule *s)
{
    return sizeof *s + s->when.len;
}

/* Where a name is among the sorted, or belongs. */
static size_t place_of(const struct jobs_cron *cron, struct hl_slice name)
{
    size_t low = 0;
    size_t high = cron->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (hl_slice_compare(cron->all[middle]->def.name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct jobs_schedule *find(const struct jobs_queue *queue, struct hl_slice name)
{
    const struct jobs_cron *cron = queue->cron;
    if (cron == NULL) {
        return NULL;
    }
    size_t at = place_of(cron, name);
    bool found = at < cron->count && hl_slice_equal(cron->all[at]->def.name, name);
    return found ? cron->all[at] : NULL;
}

static void set_next(struct jobs_cron *cron, struct jobs_schedule *s, int64_t next_ms)
{
    if (next_ms == 0) {
        jobs_heap_drop(&cron->due, &s->when);
        s->when.due_ms = 0;
    } else {
        jobs_heap_put(&cron->due, &s->when, next_ms);
    }
}

static void free_schedule(struct jobs_cron *cron, struct jobs_schedule *s)
{
    jobs_heap_drop(&cron->due, &s->when);
    cron->bytes -= size_of(s);
    hl_free(s);
}

void jobs_cron_destroy(struct jobs_cron *cron)
{
    if (cron == NULL) {
        return;
    }
    while (cron->count > 0) {
        free_schedule(cron, cron->all[--cron->count]);
    }
    jobs_heap_fini(&cron->due);
    hl_free(cron->all);
    hl_free(cron);
}

/* Take a schedule in, in the place of the one of its name. */
static hl_err admit(struct jobs_queue *queue, struct jobs_schedule *given)
{
    if (queue->cron == NULL) {
        queue->cron = hl_calloc(1, sizeof *queue->cron);
    }
    struct jobs_cron *cron = queue->cron;
    size_t at = place_of(cron, given->def.name);
    if (at < cron->count && hl_slice_equal(cron->all[at]->def.name, given->def.name)) {
        free_schedule(cron, cron->all[at]);
    } else {
        if (cron->count == JOBS_CRON_MAX) {
            hl_free(given);
            return HL_EFULL;
        }
        if (cron->count == cron->cap) {
            cron->cap = cron->cap == 0 ? 4 : cron->cap * 2;
            cron->all = hl_realloc(cron->all, cron->cap * sizeof *cron->all);
        }
        memmove(&cron->all[at + 1], &cron->all[at], (cron->count - at) * sizeof *cron->all);
        cron->count++;
    }
    cron->all[at] = given;
    cron->bytes += size_of(given);
    given->when.tie = cron->next_tie++;
    set_next(cron, given, given->when.due_ms);
    return HL_OK;
}

static void remove_schedule(struct jobs_queue *queue, struct jobs_schedule *s)
{
    struct jobs_cron *cron = queue->cron;
    size_t at = place_of(cron, s->def.name);
    cron->count--;
    memmove(&cron->all[at], &cron->all[at + 1], (cron->count - at) * sizeof *cron->all);
    free_schedule(cron, s);
    if (cron->count == 0) {
        jobs_cron_destroy(cron);
        queue->cron = NULL;
    }
}

const struct jobs_schedule *jobs_cron_find(const struct jobs_queue *queue, struct hl_slice name)
{
    return find(queue, name);
}

const struct jobs_schedule *jobs_cron_after(const struct jobs_queue *queue, struct hl_slice name)
{
    const struct jobs_cron *cron = queue->cron;
    if (cron == NULL) {
        return NULL;
    }
    size_t at = name.len == 0 ? 0 : place_of(cron, name);
    if (at < cron->count && hl_slice_equal(cron->all[at]->def.name, name)) {
        at++;
    }
    return at < cron->count ? cron->all[at] : NULL;
}

size_t jobs_cron_count(const struct jobs_queue *queue)
{
    return queue->cron == NULL ? 0 : queue->cron->count;
}

size_t jobs_cron_bytes(const struct jobs_queue *queue)
{
    const struct jobs_cron *cron = queue->cron;
    return cron == NULL ? 0 : sizeof *cron + cron->cap * sizeof *cron->all + cron->bytes;
}

int64_t jobs_cron_deadline(const struct jobs_queue *queue)
{
    const struct jobs_timed *first =
        queue->cron == NULL ? NULL : jobs_heap_first(&queue->cron->due);
    return first == NULL ? 0 : first->due_ms;
}

/* --- what happens ------------------------------------------------------------------------------
 */

static hl_err apply_run(struct jobs_queue *queue, struct hl_slice in)
{
    int64_t numbers[R_NUMBERS];
    struct hl_slice name;
    if (!take_numbers(&in, numbers, R_NUMBERS) || !take_text(&in, JOBS_CRON_NAME_MAX, &name) ||
        in.len != 0) {
        return HL_ECORRUPT;
    }
    struct jobs_schedule *s = find(queue, name);
    bool moves = numbers[R_NEXT] != numbers[R_AT]; /* else it was started by hand */
    if (s == NULL || numbers[R_AT] < 0 || numbers[R_AT] > JOBS_TIME_MAX || numbers[R_NEXT] < 0 ||
        numbers[R_NEXT] > JOBS_TIME_MAX || numbers[R_SEQ] < 0 ||
        numbers[R_SEQ] > (int64_t)JOBS_SEQ_MAX || numbers[R_BURST] < 0 ||
        numbers[R_BURST] > JOBS_CRON_BURST_MAX || (moves && s->paused)) {
        return HL_ECORRUPT;
    }
    if (numbers[R_SEQ] != 0) {
        s->last_ms = numbers[R_AT];
        s->last_seq = (uint64_t)numbers[R_SEQ];
        s->runs += s->runs < JOBS_TIME_MAX;
    } else {
        s->skipped += s->skipped < JOBS_TIME_MAX;
    }
    s->burst = (uint64_t)numbers[R_BURST];
    if (moves) {
        set_next(queue->cron, s, numbers[R_NEXT]);
    }
    return HL_OK;
}

static hl_err apply_pause(struct jobs_queue *queue, struct hl_slice in)
{
    int64_t numbers[P_NUMBERS];
    struct hl_slice name;
    if (!take_numbers(&in, numbers, P_NUMBERS) || !take_text(&in, JOBS_CRON_NAME_MAX, &name) ||
        in.len != 0) {
        return HL_ECORRUPT;
    }
    struct jobs_schedule *s = find(queue, name);
    if (s == NULL || numbers[P_PAUSED] < 0 || numbers[P_PAUSED] > 1 || numbers[P_NEXT] < 0 ||
        numbers[P_NEXT] > JOBS_TIME_MAX || (numbers[P_PAUSED] != 0 && numbers[P_NEXT] != 0)) {
        return HL_ECORRUPT;
    }
    s->paused = numbers[P_PAUSED] != 0;
    set_next(queue->cron, s, numbers[P_NEXT]);
    return HL_OK;
}

hl_err jobs_cron_apply(struct jobs_queue *queue, struct hl_slice record)
{
    if (record.len < 2) {
        return HL_ECORRUPT;
    }
    if ((unsigned char)record.ptr[0] != RECORD_VERSION) {
        return HL_EVERSION;
    }
    unsigned kind = (unsigned char)record.ptr[1];
    struct hl_slice in = {.ptr = record.ptr + 2, .len = record.len - 2};
    struct jobs_schedule *s = NULL;
    struct hl_slice name;
    hl_err err = HL_ECORRUPT;
    if (kind == RECORD_SET) {
        err = take_schedule(in, &s);
        err = err == HL_OK ? admit(queue, s) : err;
    } else if (kind == RECORD_DEL) {
        bool good = take_text(&in, JOBS_CRON_NAME_MAX, &name) && in.len == 0;
        s = good ? find(queue, name) : NULL;
        if (s != NULL) {
            remove_schedule(queue, s);
            err = HL_OK;
        }
    } else if (kind == RECORD_RUN) {
        err = apply_run(queue, in);
    } else if (kind == RECORD_PAUSE) {
        err = apply_pause(queue, in);
    }
    return err;
}

void jobs_cron_snapshot(const struct jobs_queue *queue,
                        void (*put)(void *ctx, const struct jobs_event *event), void *ctx)
{
    struct hl_buf record = {0};
    for (size_t i = 0; i < jobs_cron_count(queue); i++) {
        hl_buf_clear(&record);
        put_schedule(&record, queue->cron->all[i]);
        struct jobs_event event = {.kind = JOBS_EV_CRON};
        event.text[T_CRON] = hl_buf_view(&record);
        put(ctx, &event);
    }
    hl_buf_fini(&record);
}

const char *jobs_cron_check(const struct jobs_queue *queue)
{
    const struct jobs_cron *cron = queue->cron;
    if (cron == NULL) {
        return NULL;
    }
    size_t bytes = 0;
    size_t timed = 0;
    for (size_t i = 0; i < cron->count; i++) {
        const struct jobs_schedule *s = cron->all[i];
        if (i > 0 && hl_slice_compare(cron->all[i - 1]->def.name, s->def.name) >= 0) {
            return "C1: schedules out of order";
        }
        uint32_t pos = s->when.pos;
        bool held = pos != 0 && pos <= cron->due.count && cron->due.items[pos - 1] == &s->when;
        if (held != (s->when.due_ms != 0) || (s->paused && held)) {
            return "C2: a schedule is in the heap, and has no time, or the other way round";
        }
        timed += held;
        bytes += size_of(s);
    }
    if (timed != cron->due.count) {
        return "C2: the heap holds a schedule that is gone";
    }
    return bytes == cron->bytes ? NULL : "C3: the memory is miscounted";
}

/* --- decisions ---------------------------------------------------------------------------------
 */

static hl_err record_happens(struct jobs_queue *queue, struct jobs_env *env, struct hl_buf *record)
{
    struct jobs_event event = {.kind = JOBS_EV_CRON};
    event.text[T_CRON] = hl_buf_view(record);
    hl_err err = jobs_happen(queue, env, &event);
    hl_buf_fini(record);
    return err;
}

static int64_t next_after(const struct jobs_env *env, const struct jobs_cron_def *def,
                          int64_t after_ms)
{
    int64_t next_ms = env->cron_next(env->cron_ctx, def->cron, def->zone, after_ms);
    return next_ms > after_ms && next_ms <= JOBS_TIME_MAX / 2 ? next_ms : 0;
}

enum jobs_verdict jobs_cron_set(struct jobs_queue *queue, struct jobs_env *env,
                                const struct jobs_cron_def *def, int64_t *next_ms)
{
    const struct jobs_schedule *old = find(queue, def->name);
    struct jobs_schedule s = {.created_ms = env->now_ms};
    if (old != NULL) {
        s = *old; /* without its texts: those are the new definition's */
    } else if (jobs_cron_count(queue) == JOBS_CRON_MAX) {
        return JOBS_FULL;
    }
    s.def = *def;
    s.burst = 0;
    s.when.due_ms = next_after(env, def, env->now_ms);
    if (s.when.due_ms == 0) {
        return JOBS_WRONG_STATE;
    }
    *next_ms = s.when.due_ms;
    if (s.paused) {
        s.when.due_ms = 0;
        *next_ms = 0;
    }
    struct hl_buf record = {0};
    put_schedule(&record, &s);
    hl_err err = record_happens(queue, env, &record);
    HL_ASSERT(err == HL_OK || err == HL_ENOMEM);
    return err == HL_OK ? JOBS_OK : JOBS_NO_MEMORY;
}

enum jobs_verdict jobs_cron_del(struct jobs_queue *queue, struct jobs_env *env,
                                struct hl_slice name)
{
    if (find(queue, name) == NULL) {
        return JOBS_NO_JOB;
    }
    struct hl_buf record = {0};
    put_head(&record, RECORD_DEL);
    put_text(&record, name);
    hl_err err = record_happens(queue, env, &record);
    HL_ASSERT(err == HL_OK);
    return JOBS_OK;
}

enum jobs_verdict jobs_cron_pause(struct jobs_queue *queue, struct jobs_env *env,
                                  struct hl_slice name, bool paused)
{
    const struct jobs_schedule *s = find(queue, name);
    if (s == NULL) {
        return JOBS_NO_JOB;
    }
    if (s->paused == paused && (paused || s->when.due_ms != 0)) {
        return JOBS_WRONG_STATE; /* one that lost its time, with its zone, may find it again */
    }
    int64_t numbers[P_NUMBERS] = {[P_PAUSED] = paused};
    numbers[P_NEXT] = paused ? 0 : next_after(env, &s->def, env->now_ms);
    struct hl_buf record = {0};
    put_head(&record, RECORD_PAUSE);
    put_numbers(&record, numbers, P_NUMBERS);
    put_text(&record, name);
    hl_err err = record_happens(queue, env, &record);
    HL_ASSERT(err == HL_OK);
    return JOBS_OK;
}

/* Push the schedule's job, and say so: as one with the time of the next run. */
static enum jobs_verdict run(struct jobs_queue *queue, struct jobs_env *env,
                             const struct jobs_schedule *s, struct hl_slice dedup, int64_t *numbers,
                             uint64_t *seq, bool *duplicate)
{
    bool frozen = env->frozen;
    env->frozen = true; /* nothing else may happen in between */
    enum jobs_verdict verdict = jobs_push(queue, env, s->def.payload, dedup, JOBS_CRON_WINDOW_MS,
                                          &s->def.options, seq, duplicate);
    env->frozen = frozen;
    numbers[R_SEQ] = verdict == JOBS_OK && !*duplicate ? (int64_t)*seq : 0;
    return verdict;
}

static void note_run(struct jobs_queue *queue, struct jobs_env *env, const struct jobs_schedule *s,
                     const int64_t *numbers)
{
    struct hl_buf record = {0};
    put_head(&record, RECORD_RUN);
    put_numbers(&record, numbers, R_NUMBERS);
    put_text(&record, s->def.name);
    hl_err err = record_happens(queue, env, &record);
    HL_ASSERT(err == HL_OK);
}

enum jobs_verdict jobs_cron_run(struct jobs_queue *queue, struct jobs_env *env,
                                struct hl_slice name, uint64_t *seq, bool *duplicate)
{
    const struct jobs_schedule *s = find(queue, name);
    if (s == NULL) {
        return JOBS_NO_JOB;
    }
    int64_t numbers[R_NUMBERS] = {
        [R_AT] = env->now_ms, [R_NEXT] = env->now_ms, [R_BURST] = (int64_t)s->burst};
    struct hl_slice none = {0};
    enum jobs_verdict verdict = run(queue, env, s, none, numbers, seq, duplicate);
    if (verdict == JOBS_OK && !*duplicate) {
        note_run(queue, env, s, numbers);
    }
    return verdict;
}

bool jobs_cron_is_due(const struct jobs_queue *queue, const struct jobs_env *env)
{
    int64_t due_ms = jobs_cron_deadline(queue);
    return due_ms != 0 && due_ms <= env->now_ms;
}

/* What is to be done about a run that is due. */
struct plan {
    bool push;
    int64_t after_ms; /* the next run is the first one after this */
    int64_t burst;
};

static struct plan plan_run(const struct jobs_schedule *s, int64_t now_ms)
{
    struct plan plan = {.push = true, .after_ms = s->when.due_ms};
    if (now_ms - s->when.due_ms <= JOBS_CRON_LATE_MS) {
        return plan;
    }
    switch (s->def.misfire) {
    case JOBS_MISFIRE_ALL:
        if (s->burst < JOBS_CRON_BURST_MAX) {
            plan.burst = (int64_t)s->burst + 1;
            return plan;
        }
        plan.push = false;
        break;
    case JOBS_MISFIRE_SKIP:
        plan.push = false;
        break;
    case JOBS_MISFIRE_ONE:
    case JOBS_MISFIRES:
        break;
    }
    plan.after_ms = now_ms;
    return plan;
}

void jobs_cron_fire(struct jobs_queue *queue, struct jobs_env *env)
{
    HL_ASSERT(jobs_cron_is_due(queue, env));
    const struct jobs_schedule *s =
        (const struct jobs_schedule *)jobs_heap_first(&queue->cron->due);
    struct plan plan = plan_run(s, env->now_ms);
    int64_t numbers[R_NUMBERS] = {[R_AT] = s->when.due_ms, [R_BURST] = plan.burst};
    numbers[R_NEXT] = next_after(env, &s->def, plan.after_ms);
    if (plan.push) {
        /* Two runs never have one time, not even when the clock was set back in between. */
        struct hl_buf dedup = {0};
        uint64_t seq = 0;
        bool duplicate = false;
        hl_buf_printf(&dedup, "cron:%.*s@%lld", (int)s->def.name.len, s->def.name.ptr,
                      (long long)(s->when.due_ms / 1000));
        (void)run(queue, env, s, hl_buf_view(&dedup), numbers, &seq, &duplicate);
        hl_buf_fini(&dedup);
    }
    note_run(queue, env, s, numbers);
}
