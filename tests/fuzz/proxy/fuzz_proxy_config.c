/* Bytes of a hostile dump.  What is accepted encodes to bytes that are accepted and encode to
 * themselves, names only backends that it has, and routes any request. */
#include "kit/assert.h"
#include "proxy/match.h"

static void use(struct config *config)
{
    static const char *const hosts[] = {"", "a", "www.example.org:80", "[::1]:80"};
    static const char *const paths[] = {"/", "*", "/a/b", "/a/%2e%2e/b"};
    for (size_t i = 0; i < HL_ARRAY_LEN(hosts); i++) {
        for (size_t k = 0; k < HL_ARRAY_LEN(paths); k++) {
            (void)match_route(config, hl_slice_of(hosts[i]), hl_slice_of(paths[k]));
        }
    }
    for (size_t i = 0; i < config->route_count; i++) {
        for (size_t k = 0; k < config->routes[i].pool_count; k++) {
            HL_ASSERT(config_backend(config, hl_slice_of(config->routes[i].pool[k])) != NULL);
        }
    }
    while (config->route_count != 0) {
        const char *fault = config_delete_route(config, hl_slice_of(config->routes[0].id));
        HL_ASSERT(fault == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct config *again = NULL;
    struct hl_buf one = {0};
    struct hl_buf two = {0};
    if (config_decode(&config, (struct hl_slice){(const char *)data, size}) != HL_OK) {
        return 0;
    }
    config_encode(config, &one);
    hl_err err = config_decode(&again, hl_buf_view(&one));
    HL_ASSERT(err == HL_OK);
    config_encode(again, &two);
    HL_ASSERT(hl_slice_equal(hl_buf_view(&one), hl_buf_view(&two)));
    use(config);
    config_destroy(config);
    config_destroy(again);
    hl_buf_fini(&one);
    hl_buf_fini(&two);
    return 0;
}
