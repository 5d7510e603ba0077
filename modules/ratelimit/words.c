/* Reading arguments. */
#include "commands.h"

#include "kit/num.h"

struct hl_slice words_peek(const struct words *words)
{
    struct hl_slice text = {"", 0};
    if (words->at < words->argc) {
        text.ptr = RedisModule_StringPtrLen(words->argv[words->at], &text.len);
    }
    return text;
}

bool words_take(struct words *words, const char *word)
{
    bool found = words->at < words->argc && hl_slice_is(words_peek(words), word);
    words->at += found;
    return found;
}

bool words_int(struct words *words, int64_t min, int64_t max, int64_t *out)
{
    int64_t value = 0;
    if (words->at >= words->argc || !hl_parse_i64(words_peek(words), &value) || value < min ||
        value > max) {
        return false;
    }
    *out = value;
    words->at++;
    return true;
}

const char *words_limit(struct words *words, struct limit *out)
{
    struct limit limit = {.algorithm = LIMIT_TOKEN, .den = 1};
    if (limit_algorithm_parse(words_peek(words), &limit.algorithm)) {
        words->at++;
    }
    if (!words_int(words, INT64_MIN, INT64_MAX, &limit.capacity) ||
        !words_int(words, INT64_MIN, INT64_MAX, &limit.num)) {
        return words->at < words->argc ? ERROR_NUMBER : ERROR_SYNTAX;
    }
    if (limit.algorithm != LIMIT_WINDOW &&
        !words_int(words, INT64_MIN, LIMIT_RATE_MAX, &limit.den)) {
        return words->at < words->argc ? ERROR_NUMBER : ERROR_SYNTAX;
    }
    if (!limit_valid(&limit)) {
        return ERROR_LIMIT;
    }
    *out = limit;
    return NULL;
}
