/* A sorted table of digests of passwords in lower case. */
#include "deny.h"

#include "password.h"
#include "seal.h"

#include "kit/alloc.h"

#include <stdlib.h>

static const char common[] =
    "password\npassword1\npassword12\npassword123\npassw0rd\np@ssword\np@ssw0rd\n12345678\n"
    "123456789\n1234567890\n11111111\n00000000\n88888888\n87654321\n12341234\n11223344\n123123123\n"
    "987654321\nqwertyui\nqwertyuiop\nqwerty123\nqwerty12\n1q2w3e4r\n1q2w3e4r5t\n1qaz2wsx\n"
    "q1w2e3r4\nasdfghjk\nasdfghjkl\nzxcvbnm1\nabcdefgh\nabcd1234\nabc12345\na1b2c3d4\naa123456\n"
    "iloveyou\nsunshine\nprincess\nfootball\nbaseball\nsuperman\nstarwars\nwhatever\ntrustno1\n"
    "computer\nmichelle\njennifer\nwelcome1\nletmein1\nchangeme\nchangeit\ndefault1\n"
    "administrator\nadmin123\nadmin1234\nsecret12\ninternet\nsamsung1\nmaster12\ndragon12";

static uint64_t digest_of(struct hl_slice password)
{
    char folded[PASSWORD_LEN_MAX];
    unsigned char digest[SEAL_DIGEST_LEN];
    size_t len = password.len < sizeof folded ? password.len : sizeof folded;
    for (size_t i = 0; i < len; i++) {
        char c = password.ptr[i];
        folded[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    seal_digest(digest, (struct hl_slice){folded, len});
    seal_wipe(folded, sizeof folded);
    return hl_get_le64(digest);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void add_lines(struct deny_list *list, struct hl_slice text)
{
    size_t lines = 1;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.ptr[i] == '\n';
    }
    list->digests = hl_realloc(list->digests, (list->count + lines) * sizeof *list->digests);
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t len = end == NULL ? text.len - at : (size_t)(end - text.ptr) - at;
        size_t kept = len > 0 && text.ptr[at + len - 1] == '\r' ? len - 1 : len;
        if (kept > 0 && kept <= PASSWORD_LEN_MAX) {
            list->digests[list->count++] = digest_of((struct hl_slice){text.ptr + at, kept});
        }
        at += len + 1;
    }
}

void deny_fill(struct deny_list *list, struct hl_slice text)
{
    add_lines(list, hl_slice_of(common));
    add_lines(list, text);
    qsort(list->digests, list->count, sizeof *list->digests, compare);
}

bool deny_has(const struct deny_list *list, struct hl_slice password)
{
    uint64_t digest = digest_of(password);
    return list->count != 0 &&
           bsearch(&digest, list->digests, list->count, sizeof digest, compare) != NULL;
}

void deny_fini(struct deny_list *list)
{
    hl_free(list->digests);
    *list = (struct deny_list){0};
}
