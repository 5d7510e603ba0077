/* Goal: claims survive the trip, and a payload that breaks one rule is refused for that rule.
 * Method: one good payload, changed one member at a time. */
#include "auth/token.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>

#define NOW INT64_C(1700000000)
#define ID "00112233445566778899aabbccddeeff"

static const struct token_policy policy = {"helios", "helios", 30};

static struct token_claims sample(void)
{
    return (struct token_claims){.sub = ID,
                                 .name = "ada",
                                 .jti = ID,
                                 .sid = ID,
                                 .role_count = 2,
                                 .roles = {"user", "admin"},
                                 .iat_s = NOW,
                                 .nbf_s = NOW,
                                 .exp_s = NOW + 900,
                                 .cv = 7};
}

/* Judge the good payload after `member` was set to the JSON `value` (NULL: taken out). */
static enum token_verdict judge_with(const char *member, const char *value)
{
    json_t *payload =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:[s],s:I,s:I,s:I,s:i}", "iss", "helios", "aud",
                  "helios", "sub", ID, "name", "ada", "jti", ID, "sid", ID, "roles", "user", "iat",
                  (json_int_t)NOW, "nbf", (json_int_t)NOW, "exp", (json_int_t)(NOW + 900), "cv", 1);
    cr_assert_not_null(payload);
    if (value == NULL && member != NULL) {
        json_object_del(payload, member);
    } else if (member != NULL) {
        json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
        cr_assert_not_null(parsed, "%s", value);
        json_object_set_new(payload, member, parsed);
    }
    char *text = json_dumps(payload, JSON_COMPACT);
    json_decref(payload);
    struct token_claims claims = {.cv = 99};
    const char *reason = NULL;
    enum token_verdict verdict = token_judge(&claims, &reason, hl_slice_of(text), &policy, NOW);
    cr_assert_not_null(reason);
    cr_assert(verdict == TOKEN_GOOD || claims.cv == 99, "written although refused");
    free(text);
    return verdict;
}

static struct jws_key *a_key(void)
{
    struct jws_material material;
    struct jws_key *key = NULL;
    cr_assert_eq(jws_generate(&material, JWS_ES256), HL_OK);
    cr_assert_eq(jws_key_create(&key, &material), HL_OK);
    return key;
}

Test(token, claims_survive_the_trip)
{
    struct jws_key *key = a_key();
    struct hl_buf token = {0};
    struct token_claims in = sample();
    struct token_claims out = {0};
    const char *reason = NULL;
    cr_assert_eq(token_issue(&token, key, &policy, &in), HL_OK);
    cr_assert_eq(token_check(&out, &reason, hl_buf_view(&token), &key, 1, &policy, NOW),
                 TOKEN_GOOD);
    cr_assert_eq(memcmp(&in, &out, sizeof in), 0);
    cr_assert_eq(token_check(&out, &reason, hl_buf_view(&token), &key, 0, &policy, NOW),
                 TOKEN_REFUSED);
    hl_buf_fini(&token);
    jws_key_destroy(key);
}

Test(token, the_largest_claims_fit_a_token)
{
    struct jws_key *key = a_key();
    struct hl_buf token = {0};
    struct token_claims claims = sample();
    char issuer[TOKEN_ISSUER_MAX + 1] = {0};
    memset(issuer, 'i', TOKEN_ISSUER_MAX);
    struct token_policy long_policy = {issuer, issuer, 0};
    memset(claims.name, 'n', USER_NAME_MAX);
    claims.role_count = TOKEN_ROLES_MAX;
    for (size_t i = 0; i < TOKEN_ROLES_MAX; i++) {
        memset(claims.roles[i], 'r', TOKEN_ROLE_MAX);
        claims.roles[i][TOKEN_ROLE_MAX] = '\0';
    }
    claims.cv = INT64_MAX;
    claims.iat_s = claims.nbf_s = claims.exp_s = INT64_MAX;
    cr_assert_eq(token_issue(&token, key, &long_policy, &claims), HL_OK);
    hl_buf_fini(&token);
    jws_key_destroy(key);
}

Test(token, every_claim_is_required)
{
    static const char *const all[] = {"sub", "name", "jti", "sid", "roles",
                                      "iat", "nbf",  "exp", "cv"};
    cr_assert_eq(judge_with(NULL, NULL), TOKEN_GOOD);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        cr_assert_eq(judge_with(all[i], NULL), TOKEN_BAD_CLAIMS, "%s", all[i]);
        cr_assert_eq(judge_with(all[i], "null"), TOKEN_BAD_CLAIMS, "%s", all[i]);
        cr_assert_eq(judge_with(all[i], "{}"), TOKEN_BAD_CLAIMS, "%s", all[i]);
    }
    cr_assert_eq(judge_with("iss", NULL), TOKEN_WRONG_ISSUER);
    cr_assert_eq(judge_with("aud", NULL), TOKEN_WRONG_ISSUER);
    cr_assert_eq(judge_with("extra", "1"), TOKEN_GOOD);
}

Test(token, a_claim_of_the_wrong_shape_is_refused)
{
    static const char *const rows[][2] = {
        {"exp", "1700000900.5"},
        {"exp", "\"1700000900\""},
        {"exp", "-1"},
        {"exp", "1e12"},
        {"cv", "-1"},
        {"cv", "true"},
        {"iat", "-5"},
        {"sub", "\"\""},
        {"sub", "\"" ID "00\""},
        {"sub", "\"00112233445566778899AABBCCDDEEFF\""},
        {"sid", "\"../x\""},
        {"name", "\"\""},
        {"name", "\"a b\""},
        {"name", "12"},
        {"roles", "\"user\""},
        {"roles", "[1]"},
        {"roles", "[\"\"]"},
        {"roles", "[\"a b\"]"},
        {"roles", "[[\"user\"]]"},
        {"roles", "[\"0123456789012345678901234567890123\"]"},
        {"roles", "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"a\",\"b\",\"c\","
                  "\"d\",\"e\",\"f\",\"g\",\"h\"]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_eq(judge_with(rows[i][0], rows[i][1]), TOKEN_BAD_CLAIMS, "%s %s", rows[i][0],
                     rows[i][1]);
    }
    cr_assert_eq(judge_with("roles", "[]"), TOKEN_GOOD);
}

Test(token, issuer_and_audience_are_exact)
{
    static const char *const bad[] = {"\"Helios\"", "\"helios \"", "\"\"", "[\"helios\"]", "1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(judge_with("iss", bad[i]), TOKEN_WRONG_ISSUER, "%s", bad[i]);
        cr_assert_eq(judge_with("aud", bad[i]), TOKEN_WRONG_ISSUER, "%s", bad[i]);
    }
}

Test(token, time_forgives_the_skew_and_no_second_more)
{
    static const struct {
        const char *member;
        int64_t value;
        enum token_verdict verdict;
    } rows[] = {
        {"exp", NOW + 1, TOKEN_GOOD},      {"exp", NOW, TOKEN_GOOD},
        {"exp", NOW - 29, TOKEN_GOOD},     {"exp", NOW - 30, TOKEN_EXPIRED},
        {"exp", 0, TOKEN_EXPIRED},         {"exp", INT64_MAX, TOKEN_GOOD},
        {"nbf", NOW + 30, TOKEN_GOOD},     {"nbf", NOW + 31, TOKEN_NOT_YET},
        {"nbf", INT64_MAX, TOKEN_NOT_YET}, {"iat", NOW + 31, TOKEN_NOT_YET},
        {"iat", INT64_MAX, TOKEN_NOT_YET}, {"iat", 0, TOKEN_GOOD},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char value[32];
        snprintf(value, sizeof value, "%lld", (long long)rows[i].value);
        cr_assert_eq(judge_with(rows[i].member, value), rows[i].verdict, "%s %s", rows[i].member,
                     value);
    }
}

#define WHOLE                                                                                      \
    "{\"iss\":\"helios\",\"aud\":\"helios\",\"sub\":\"" ID "\",\"name\":\"ada\",\"jti\":\"" ID     \
    "\",\"sid\":\"" ID "\",\"roles\":[],\"iat\":1,\"nbf\":1,\"exp\":1800000000,\"cv\":1"

Test(token, a_member_said_twice_is_refused)
{
    struct token_claims claims = {0};
    const char *reason = NULL;
    cr_assert_eq(token_judge(&claims, &reason, hl_slice_of(WHOLE "}"), &policy, NOW), TOKEN_GOOD);
    cr_assert_eq(token_judge(&claims, &reason, hl_slice_of(WHOLE ",\"cv\":1}"), &policy, NOW),
                 TOKEN_BAD_CLAIMS);
}

Test(token, json_that_is_not_one_object_without_duplicates_is_refused)
{
    static const char *const bad[] = {"",
                                      "null",
                                      "[]",
                                      "{",
                                      "{}x",
                                      "{\"exp\":1,\"exp\":2}",
                                      "{\"a\":\"\\u0000\"}",
                                      "\"x\"",
                                      "{\"a\":\"\xff\"}"};
    struct token_claims claims = {0};
    const char *reason = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(token_judge(&claims, &reason, hl_slice_of(bad[i]), &policy, NOW),
                     TOKEN_BAD_CLAIMS, "%s", bad[i]);
    }
    char deep[JWS_TOKEN_MAX];
    memset(deep, '[', sizeof deep);
    struct hl_slice nested = {deep, sizeof deep};
    cr_assert_eq(token_judge(&claims, &reason, nested, &policy, NOW), TOKEN_BAD_CLAIMS);
}
