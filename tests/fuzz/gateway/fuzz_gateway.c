/* Goal: nothing that a client, an operator or a damaged key can say crashes the gateway's reading,
 * and what is accepted keeps within its bounds.
 *
 * The first byte chooses what the rest is.
 */
#include "gateway/credential.h"
#include "gateway/keys.h"
#include "gateway/limit.h"
#include "gateway/once.h"
#include "gateway/outcome.h"
#include "kit/assert.h"
#include "kit/json.h"

#define SIZE_MAX_BODY 65536
#define TEXT_MOST 64

/* A body is read by every kind of question, and a value that is accepted is shown as it was sent.
 */
static void read_body(struct hl_slice text)
{
    struct hl_json_limits limits = {.size_max = SIZE_MAX_BODY, .depth_max = HL_JSON_DEPTH_DEFAULT};
    json_t *body = NULL;
    struct hl_buf decoded = {0};
    if (hl_json_parse(&body, text, &limits, NULL) != HL_OK) {
        return;
    }
    struct gw_form form = {.object = json_is_object(body) ? body : NULL};
    struct hl_slice value = gw_kv_value(&form, &decoded, SIZE_MAX_BODY);
    if (form.why[0] == '\0') {
        json_t *shown = json_object();
        gw_kv_put_value(shown, value);
        struct gw_form again = {.object = shown};
        struct hl_buf other = {0};
        struct hl_slice back = gw_kv_value(&again, &other, 2 * SIZE_MAX_BODY);
        HL_ASSERT(again.why[0] == '\0');
        HL_ASSERT(hl_slice_equal(back, value));
        hl_buf_fini(&other);
        json_decref(shown);
    }
    form.why[0] = '\0';
    struct hl_slice name = gw_form_text_or(&form, "key", 1, TEXT_MOST);
    HL_ASSERT(name.len <= TEXT_MOST);
    int64_t ttl = gw_form_number_or(&form, "ttl", 1, 0, 100);
    HL_ASSERT(ttl >= 0);
    HL_ASSERT(ttl <= 100);
    (void)gw_form_flag_or(&form, "fail", false);
    hl_buf_fini(&decoded);
    json_decref(body);
}

static void read_limits(struct hl_slice text)
{
    static struct gw_limit limits[GW_LIMITS_MAX];
    size_t count = 0;
    char shown[256];
    if (gw_limits_parse(text, limits, &count, NULL) != HL_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct gw_limit_state state = {
            .remaining = limits[i].capacity, .retry_ms = INT64_MAX, .reset_ms = INT64_MAX};
        HL_ASSERT(gw_limit_valid(limits[i].capacity, limits[i].num, limits[i].den));
        gw_limit_policy_text(&limits[i], shown, sizeof shown);
        gw_limit_state_text(&limits[i], &state, shown, sizeof shown);
        HL_ASSERT(gw_limit_retry_s(&state) >= 1);
    }
}

/* What is a record encodes to the same bytes. */
static void read_record(struct hl_slice bytes)
{
    struct gw_once_record record;
    struct hl_buf again = {0};
    if (!gw_once_decode(bytes, &record)) {
        return;
    }
    gw_once_encode(&again, &record);
    HL_ASSERT(hl_slice_equal(hl_buf_view(&again), bytes));
    hl_buf_clear(&again);
    struct hl_slice items = record.reply;
    struct gw_once_item item;
    while (gw_once_take(&items, &item)) {
        gw_once_put(&again, &item);
    }
    HL_ASSERT(hl_slice_equal(hl_buf_view(&again), record.reply));
    hl_buf_fini(&again);
}

static void read_headers(struct hl_slice text)
{
    struct hl_buf name = {0};
    struct gw_form form = {0};
    struct hl_slice credential = gw_credential(text);
    HL_ASSERT(credential.len < text.len || credential.ptr == NULL);
    HL_ASSERT(credential.ptr == NULL || memchr(credential.ptr, ' ', credential.len) == NULL);
    bool loopback = gw_is_loopback(text);
    HL_ASSERT(!loopback || text.len != 0);
    (void)gw_is_local_host(text);
    struct hl_slice forwarded = gw_forwarded_for(text);
    HL_ASSERT(forwarded.ptr == NULL || forwarded.len != 0);
    (void)gw_is_listed(text, hl_slice_of("::1"));
    (void)gw_once_key_valid(text);
    int64_t number = gw_form_query_number(&form, "n", text, 5, 0, 9);
    HL_ASSERT(number >= 0);
    HL_ASSERT(number <= 9);
    if (gw_kv_name(&name, text)) {
        HL_ASSERT(name.len == text.len + strlen(GW_KV_PREFIX));
    }
    gw_kv_pattern(&name, text);
    for (int outcome = GW_RAN; outcome <= GW_RAN_PERHAPS; outcome++) {
        struct gw_problem problem = gw_problem_of((enum gw_outcome)outcome, text);
        HL_ASSERT(problem.status >= 400);
        HL_ASSERT(problem.status <= 599);
        HL_ASSERT(problem.message.len != 0);
    }
    hl_buf_fini(&name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct hl_slice) = {read_body, read_limits, read_record,
                                                       read_headers};
    if (size != 0) {
        readers[data[0] % HL_ARRAY_LEN(readers)](
            (struct hl_slice){.ptr = (const char *)data + 1, .len = size - 1});
    }
    return 0;
}
