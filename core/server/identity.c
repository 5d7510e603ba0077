#include "server/identity.h"

#include "kit/assert.h"
#include "kit/base64.h"
#include "node/bootstrap.h"
#include "node/refetch.h"
#include "server/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define ID_SIZE 16

static const unsigned char none[ID_SIZE];

/* Which run of the kernel this is; all zero when it does not say. */
static void read_boot_id(unsigned char out[ID_SIZE])
{
    char text[64] = "";
    char digits[2 * ID_SIZE];
    size_t count = 0;
    const char *pretended = getenv("HELIOS_TEST_BOOT_ID");
    FILE *f = pretended == NULL ? fopen("/proc/sys/kernel/random/boot_id", "re") : NULL;
    if (pretended != NULL) {
        (void)snprintf(text, sizeof text, "%s", pretended);
    } else if (f != NULL) {
        char *got = fgets(text, sizeof text, f);
        (void)got;
        (void)fclose(f);
    }
    for (const char *p = text; *p != '\0' && count < sizeof digits; p++) {
        if (*p != '-') {
            digits[count++] = *p;
        }
    }
    struct hl_slice all = {.ptr = digits, .len = count};
    if (count != sizeof digits || !hl_hex_parse(all, out, ID_SIZE)) {
        memset(out, 0, ID_SIZE);
    }
}

static bool is_set(const unsigned char *id)
{
    return memcmp(id, none, ID_SIZE) != 0;
}

static void draw(void *out, size_t len)
{
    ssize_t got = getrandom(out, len, 0);
    HL_ASSERT(got == (ssize_t)len);
}

hl_err hl_identity_give(struct hl_server *server, struct hl_errmsg *msg)
{
    struct hl_wal *wal = server->wal;
    const struct hl_wal_meta *meta = hl_wal_meta(wal);
    if (meta->removed) {
        return hl_fail(
            msg, HL_EINVAL,
            "this node was removed from its cluster, so its data may not be used again: "
            "to add it anew, empty the directory and start it with --join; `helios dump` "
            "shows what it holds");
    }
    bool raft = hl_config_bool(server->config, HL_CFG_RAFT);
    bool empty = hl_boot_is_new(wal);
    unsigned char cluster_id[ID_SIZE];
    unsigned char boot_id[ID_SIZE];
    uint64_t node_id = meta->node_id;
    memcpy(cluster_id, meta->cluster_id, ID_SIZE);
    if (raft && empty) {
        memset(cluster_id, 0, ID_SIZE); /* one that was noted and never begun */
    } else if (!raft && !is_set(cluster_id)) {
        draw(cluster_id, ID_SIZE);
    }
    if (node_id == 0) {
        draw(&node_id, sizeof node_id);
        node_id |= 1; /* 0 means none */
    }
    read_boot_id(boot_id);
    bool booted = is_set(meta->boot_id) && memcmp(meta->boot_id, boot_id, ID_SIZE) != 0;
    bool forgets = booted && hl_settings_sync(server->config) != HL_WAL_SYNC_EVERY;
    server->barred = raft && !empty && (forgets || hl_refetch_is_due(meta));
    if (server->barred) {
        memcpy(boot_id, meta->boot_id, ID_SIZE); /* until hl_identity_cron() */
    }
    hl_wal_set_identity(wal, cluster_id, node_id, meta->incarnation + 1, boot_id);
    return raft ? hl_wal_flush(wal, msg) : HL_OK;
}

void hl_identity_cron(struct hl_server *server)
{
    if (!server->barred || server->node->loading || hl_raft_barred(&server->node->raft)) {
        return;
    }
    unsigned char cluster_id[ID_SIZE];
    unsigned char boot_id[ID_SIZE];
    const struct hl_wal_meta *meta = hl_wal_meta(server->wal);
    memcpy(cluster_id, meta->cluster_id, ID_SIZE);
    read_boot_id(boot_id);
    hl_wal_set_identity(server->wal, cluster_id, meta->node_id, meta->incarnation, boot_id);
    server->barred = false;
}
