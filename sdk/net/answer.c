/* Errors as HTTP clients get them. */
#include "net/answer.h"

#include "kit/http1_write.h"
#include "kit/json.h"

void net_put_error_body(struct hl_buf *out, const char *code, const char *message)
{
    hl_buf_append_text(out, "{\"error\":{\"code\":");
    hl_json_append_string(out, hl_slice_of(code));
    hl_buf_append_text(out, ",\"message\":");
    hl_json_append_string(out, hl_slice_of(message));
    hl_buf_append_text(out, "}}\n");
}

const char *net_refusal_code(int status)
{
    static const struct {
        int status;
        const char *code;
    } codes[] = {
        {405, "method_not_allowed"}, {408, "request_timeout"},       {413, "body_too_large"},
        {414, "target_too_long"},    {417, "expectation_failed"},    {431, "headers_too_large"},
        {501, "not_implemented"},    {505, "version_not_supported"},
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].status == status) {
            return codes[i].code;
        }
    }
    return "bad_request";
}

void net_put_refusal(struct hl_buf *out, int status, const char *why, const char *date)
{
    struct hl_buf body = {0};
    net_put_error_body(&body, net_refusal_code(status), why);
    hl_http1_put_status(out, status);
    hl_http1_put(out, "Date", date);
    hl_http1_put(out, "Content-Type", "application/json");
    hl_http1_put_length(out, body.len);
    hl_http1_put(out, "Connection", "close");
    hl_http1_put_end(out);
    hl_buf_append_slice(out, hl_buf_view(&body));
    hl_buf_fini(&body);
}
