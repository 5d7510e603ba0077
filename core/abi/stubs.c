/* Sections of the ABI that are not written yet.  Whoever writes one deletes its lines here. */
#include "abi/internal.h"

void hl_export_drop(struct hl_module *module)
{
    (void)module;
}

bool hl_export_used(const struct hl_module *module)
{
    (void)module;
    return false;
}

void hl_notify_drop(struct hl_module *module)
{
    (void)module;
}

void hl_event_drop(struct hl_module *module)
{
    (void)module;
}

void hl_abi_fire(struct hl_abi *abi, uint64_t id, uint64_t subevent, void *data)
{
    (void)abi;
    (void)id;
    (void)subevent;
    (void)data;
}

void hl_config_drop(struct hl_module *module)
{
    (void)module;
}

void hl_filter_drop(struct hl_module *module)
{
    (void)module;
}

void hl_acl_drop(struct hl_module *module)
{
    (void)module;
}
