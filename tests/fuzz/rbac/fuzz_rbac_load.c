/* Bytes of a hostile dump.  What is accepted encodes to the same bytes; deciding by it, and making
 * ACL rules of it, trips nothing. */
#include "kit/assert.h"
#include "rbac/compile.h"
#include "rbac/decide.h"

static bool knows(void *ctx, const char *rule)
{
    (void)ctx;
    return rule[0] != '\0';
}

static void use(const struct policy *policy)
{
    static struct effective_list roles;
    struct hl_slice key = hl_slice_of("kv:a");
    struct dialect dialect = {.knows = knows, .denies_keys = true};
    for (size_t i = 0; i < policy->subject_count && i < 64; i++) {
        struct request request = {.permission = hl_slice_of("kv:get"), .key = &key};
        struct acl_words words = {0};
        policy_effective(policy, hl_slice_of(policy->subjects[i]->name), NULL, 0,
                         hl_slice_of("user"), &roles);
        struct decision first = decide(&roles, &request);
        HL_MAYBE(first.allowed);
        request = (struct request){.command = hl_slice_of("get"), .key_count = 1};
        request.keys[0] = (struct request_key){key, RULE_READ};
        struct decision second = decide(&roles, &request);
        HL_MAYBE(second.allowed);
        bool whole = compile(&roles, &dialect, &words);
        HL_MAYBE(whole);
        acl_words_fini(&words);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *policy = NULL;
    struct hl_buf again = {0};
    struct hl_slice bytes = {(const char *)data, size};
    if (policy_decode(&policy, bytes) == HL_OK) {
        policy_encode(policy, &again);
        HL_ASSERT(hl_slice_equal(bytes, hl_buf_view(&again)));
        use(policy);
        hl_buf_fini(&again);
        policy_destroy(policy);
    }
    return 0;
}
