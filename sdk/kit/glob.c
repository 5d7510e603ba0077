#include "kit/glob.h"

#include "kit/assert.h"

static unsigned char fold(unsigned char c, bool fold_case)
{
    return fold_case && c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

/* Does the class that starts after '[' at pattern.ptr[*at - 1] hold `c`?  Moves *at past it. */
static bool class_holds(struct hl_slice pattern, size_t *at, unsigned char c, bool fold_case)
{
    size_t i = *at;
    bool negated = i < pattern.len && pattern.ptr[i] == '^';
    bool held = false;
    i += negated;
    while (i < pattern.len && pattern.ptr[i] != ']') {
        bool escaped = pattern.ptr[i] == '\\' && i + 1 < pattern.len;
        i += escaped;
        unsigned char low = fold((unsigned char)pattern.ptr[i], fold_case);
        unsigned char high = low;
        if (!escaped && i + 2 < pattern.len && pattern.ptr[i + 1] == '-') {
            high = fold((unsigned char)pattern.ptr[i + 2], fold_case);
            i += 2;
        }
        held |= low <= high ? c >= low && c <= high : c >= high && c <= low;
        i++;
    }
    *at = i < pattern.len ? i + 1 : i;
    return held != negated;
}

/* Match one byte of text against the item at *at, which is not '*'; moves *at past the item. */
static bool item_matches(struct hl_slice pattern, size_t *at, unsigned char c, bool fold_case)
{
    HL_ASSERT(*at < pattern.len);
    unsigned char item = (unsigned char)pattern.ptr[(*at)++];
    c = fold(c, fold_case);
    if (item == '?') {
        return true;
    }
    if (item == '[') {
        return class_holds(pattern, at, c, fold_case);
    }
    if (item == '\\' && *at < pattern.len) {
        item = (unsigned char)pattern.ptr[(*at)++];
    }
    return fold(item, fold_case) == c;
}

bool hl_glob_match(struct hl_slice pattern, struct hl_slice text, bool fold_case)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; /* just past the last '*' met */
    size_t star_text = 0;   /* how much of the text precedes what follows it */
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        size_t next = p;
        if (p < pattern.len &&
            item_matches(pattern, &next, (unsigned char)text.ptr[t], fold_case)) {
            p = next;
            t++;
            continue;
        }
        if (star == SIZE_MAX) {
            return false;
        }
        p = star; /* let the '*' take one byte more */
        t = ++star_text;
    }
    while (p < pattern.len && pattern.ptr[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

bool hl_glob_is_pattern(struct hl_slice pattern)
{
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.ptr[i];
        if (c == '*' || c == '?' || c == '[' || c == '\\') {
            return true;
        }
    }
    return false;
}
