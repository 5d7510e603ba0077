#include "client.h"

#include "credential.h"
#include "gateway.h"
#include "settings.h"

#include <stdio.h>

void gw_client_address(const struct helios_http_request *request, char out[GW_ADDRESS_SIZE])
{
    struct helios_http_text remote = gw_http()->remote(request);
    struct helios_http_text forwarded = gw_http()->header(request, "X-Forwarded-For");
    struct hl_slice address = {.ptr = remote.ptr, .len = remote.len};
    if (forwarded.ptr != NULL && gw_is_listed(hl_slice_of(gw_setting_proxies()), address)) {
        struct hl_slice said =
            gw_forwarded_for((struct hl_slice){.ptr = forwarded.ptr, .len = forwarded.len});
        address = said.ptr != NULL ? said : address;
    }
    if (address.len == 0 || address.len >= GW_ADDRESS_SIZE) {
        address = hl_slice_of("unknown");
    }
    snprintf(out, GW_ADDRESS_SIZE, "%.*s", (int)address.len, address.ptr);
}
