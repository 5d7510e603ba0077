/* See verdict.h. */
#include "worker/verdict.h"

#include "kit/assert.h"
#include "kit/num.h"

#define BACKOFF_FIRST_MS 50
#define BACKOFF_LAST_MS 5000
#define BEAT_MIN_MS 20
#define DELAY_MAX_MS (INT64_C(28) * 24 * 3600 * 1000) /* what JOB.NACK DELAY takes, and more */

struct worker_verdict worker_judge_exit(int64_t status, int signal_number, int64_t permanent)
{
    struct worker_verdict verdict = {.end = WORKER_RETRY, .delay_ms = -1};
    if (signal_number != 0) {
        return verdict;
    }
    if (status == 0) {
        verdict.end = WORKER_DONE;
    } else if (status == permanent) {
        verdict.end = WORKER_FAIL;
    }
    return verdict;
}

struct worker_verdict worker_judge_http(int64_t status, int64_t retry_after_s)
{
    struct worker_verdict verdict = {.end = WORKER_RETRY, .delay_ms = -1};
    bool later = status == 408 || status == 425 || status == 429;
    if (status >= 200 && status < 300) {
        verdict.end = WORKER_DONE;
    } else if (status >= 400 && status < 500 && !later) {
        verdict.end = WORKER_FAIL;
    } else if ((later || status == 503) && retry_after_s > 0) {
        bool long_time = retry_after_s > DELAY_MAX_MS / 1000;
        verdict.delay_ms = long_time ? DELAY_MAX_MS : retry_after_s * 1000;
    }
    return verdict;
}

static struct hl_slice first_word(struct hl_slice text)
{
    const char *space = text.len == 0 ? NULL : memchr(text.ptr, ' ', text.len);
    size_t len = space == NULL ? text.len : (size_t)(space - text.ptr);
    return (struct hl_slice){.ptr = text.ptr, .len = len};
}

enum worker_answer worker_judge_answer(struct hl_slice error)
{
    static const struct {
        const char *word;
        enum worker_answer answer;
    } words[] = {
        {"NOJOB", WORKER_GONE},        {"LEASELOST", WORKER_GONE},    {"ERR", WORKER_REFUSED},
        {"WRONGTYPE", WORKER_REFUSED}, {"NOPERM", WORKER_REFUSED},    {"NOAUTH", WORKER_REFUSED},
        {"WRONGPASS", WORKER_REFUSED}, {"DENIED", WORKER_REFUSED},    {"NOPROTO", WORKER_REFUSED},
        {"NOSCRIPT", WORKER_REFUSED},  {"EXECABORT", WORKER_REFUSED},
    };
    struct hl_slice word = first_word(error);
    for (size_t i = 0; i < HL_ARRAY_LEN(words); i++) {
        if (hl_slice_equal(word, hl_slice_of(words[i].word))) {
            return words[i].answer;
        }
    }
    return WORKER_AGAIN;
}

bool worker_read_moved(struct hl_slice error, char host[256], int *port)
{
    struct hl_slice rest = error;
    if (!hl_slice_equal(first_word(rest), hl_slice_of("MOVED"))) {
        return false;
    }
    const char *space = memrchr(rest.ptr, ' ', rest.len);
    const char *colon = memrchr(rest.ptr, ':', rest.len);
    if (space == NULL || colon == NULL || colon < space) {
        return false;
    }
    struct hl_slice name = {.ptr = space + 1, .len = (size_t)(colon - space - 1)};
    struct hl_slice number = {.ptr = colon + 1, .len = rest.len - (size_t)(colon + 1 - rest.ptr)};
    if (name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']') {
        name = (struct hl_slice){.ptr = name.ptr + 1, .len = name.len - 2};
    }
    int64_t value = 0;
    if (name.len == 0 || name.len > 255 || memchr(name.ptr, '\0', name.len) != NULL ||
        !hl_parse_i64(number, &value) || value < 1 || value > 65535) {
        return false;
    }
    memcpy(host, name.ptr, name.len);
    host[name.len] = '\0';
    *port = (int)value;
    return true;
}

int64_t worker_backoff_ms(uint64_t attempt, size_t servers, struct hl_rng *rng)
{
    HL_ASSERT(servers > 0);
    uint64_t round = attempt / servers;
    if (round == 0) {
        return 0;
    }
    int64_t wait_ms = BACKOFF_FIRST_MS;
    for (uint64_t i = 1; i < round && wait_ms < BACKOFF_LAST_MS; i++) {
        wait_ms *= 2;
    }
    wait_ms = wait_ms > BACKOFF_LAST_MS ? BACKOFF_LAST_MS : wait_ms;
    return wait_ms - (int64_t)hl_rng_below(rng, (uint64_t)wait_ms / 2 + 1);
}

int64_t worker_beat_ms(int64_t left_ms)
{
    int64_t third = left_ms / 3;
    return third < BEAT_MIN_MS ? BEAT_MIN_MS : third;
}

void worker_order_queues(const uint32_t *weights, size_t count, struct hl_rng *rng, size_t *order)
{
    HL_ASSERT(count <= WORKER_QUEUES_MAX);
    bool taken[WORKER_QUEUES_MAX] = {false};
    uint64_t left = 0;
    for (size_t i = 0; i < count; i++) {
        HL_ASSERT(weights[i] >= 1 && weights[i] <= WORKER_WEIGHT_MAX);
        left += weights[i];
    }
    for (size_t place = 0; place < count; place++) {
        uint64_t draw = hl_rng_below(rng, left);
        size_t i = 0;
        for (;; i++) {
            if (taken[i]) {
                continue;
            }
            if (draw < weights[i]) {
                break;
            }
            draw -= weights[i];
        }
        taken[i] = true;
        left -= weights[i];
        order[place] = i;
    }
}
