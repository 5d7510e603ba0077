/* Settings that are each right and wrong together. */
#include "kit/assert.h"
#include "node/members.h"
#include "server/config_internal.h"

#include <stdio.h>

#define VOTERS_MAX 9 /* this node and eight listed ones */

static hl_err check_timeouts(const struct hl_config *cfg, struct hl_errmsg *msg)
{
    int64_t heartbeat = hl_config_int(cfg, HL_CFG_RAFT_HEARTBEAT_TIMEOUT);
    int64_t election = hl_config_int(cfg, HL_CFG_RAFT_ELECTION_TIMEOUT);
    if (election < 2 * heartbeat) {
        return hl_fail(msg, HL_EINVAL,
                       "raft-election-timeout (%lldms) must be at least twice "
                       "raft-heartbeat-timeout (%lldms)",
                       (long long)election, (long long)heartbeat);
    }
    return HL_OK;
}

/* Without `raft` what belongs to it would be ignored, and three nodes that should be one cluster
 * would each answer for itself.  A variable of the environment may be there for other programs. */
static hl_err check_alone(const struct hl_config *cfg, struct hl_errmsg *msg)
{
    enum hl_cfg_source peers = hl_config_source(cfg, HL_CFG_RAFT_PEERS);
    if (hl_config_text(cfg, HL_CFG_RAFT_PEERS)[0] != '\0' && peers != HL_CFG_FROM_ENV) {
        return hl_fail(msg, HL_EINVAL, "raft-peers needs raft yes");
    }
    if (hl_config_bool(cfg, HL_CFG_RAFT_BOOTSTRAP)) {
        return hl_fail(msg, HL_EINVAL, "raft-bootstrap needs raft yes");
    }
    if (hl_config_bool(cfg, HL_CFG_RAFT_JOIN)) {
        return hl_fail(msg, HL_EINVAL, "raft-join needs raft yes");
    }
    return HL_OK;
}

static hl_err check_start(const struct hl_config *cfg, struct hl_errmsg *msg)
{
    int ways = (hl_config_text(cfg, HL_CFG_RAFT_PEERS)[0] != '\0') +
               hl_config_bool(cfg, HL_CFG_RAFT_BOOTSTRAP) + hl_config_bool(cfg, HL_CFG_RAFT_JOIN);
    if (ways > 1) {
        return hl_fail(msg, HL_EINVAL,
                       "raft-peers (found a cluster with these), raft-bootstrap (found one alone) "
                       "and raft-join (found none) exclude each other: choose one");
    }
    if (!hl_config_bool(cfg, HL_CFG_APPENDONLY)) {
        return hl_fail(msg, HL_EINVAL, "raft needs the log: appendonly must be yes");
    }
    return HL_OK;
}

const char *hl_config_raft_address(const struct hl_config *cfg)
{
    const char *advertised = hl_config_text(cfg, HL_CFG_RAFT_ADVERTISE_ADDR);
    return advertised[0] != '\0' ? advertised : hl_config_text(cfg, HL_CFG_RAFT_ADDR);
}

static bool is_any_address(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 || strcmp(host, "*") == 0;
}

static hl_err check_peers(const struct hl_config *cfg, struct hl_errmsg *msg)
{
    struct hl_config_peer own = {0};
    (void)snprintf(own.id, sizeof own.id, "%s", hl_config_text(cfg, HL_CFG_RAFT_NODE_ID));
    bool good =
        hl_config_split_address(hl_slice_of(hl_config_raft_address(cfg)), own.host, &own.port);
    if (!good || is_any_address(own.host)) {
        return hl_fail(msg, HL_EINVAL,
                       "other nodes cannot connect to %s: name an address of this machine with "
                       "raft-advertise-addr",
                       hl_config_raft_address(cfg));
    }
    struct hl_config_peer peers[HL_CONFIG_PEERS_MAX];
    size_t count = hl_config_peers(cfg, peers);
    size_t others = 0;
    for (size_t i = 0; i < count; i++) {
        bool same_name = strcmp(peers[i].id, own.id) == 0;
        bool same_place = strcmp(peers[i].host, own.host) == 0 && peers[i].port == own.port;
        if (same_place && !same_name) {
            return hl_fail(msg, HL_EINVAL,
                           "raft-peers gives '%s' this node's own address %s:%d; this node is '%s'",
                           peers[i].id, own.host, own.port, own.id);
        }
        if (same_name && !same_place) {
            return hl_fail(msg, HL_EINVAL,
                           "raft-peers lists this node, '%s', at %s:%d, but its address is %s:%d",
                           own.id, peers[i].host, peers[i].port, own.host, own.port);
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(peers[i].host, peers[k].host) == 0 && peers[i].port == peers[k].port) {
                return hl_fail(msg, HL_EINVAL, "raft-peers: '%s' and '%s' have the same address",
                               peers[k].id, peers[i].id);
            }
        }
        others += same_name ? 0 : 1;
    }
    return others < VOTERS_MAX
               ? HL_OK
               : hl_fail(msg, HL_EINVAL, "raft-peers: a cluster is founded by at most %d nodes",
                         VOTERS_MAX);
}

static hl_err check_raft_tls(const struct hl_config *cfg, struct hl_errmsg *msg)
{
    bool skip = hl_config_bool(cfg, HL_CFG_RAFT_TLS_INSECURE_SKIP_VERIFY);
    bool verify = hl_config_bool(cfg, HL_CFG_RAFT_TLS_VERIFY_PEER);
    if (skip && verify && hl_config_source(cfg, HL_CFG_RAFT_TLS_VERIFY_PEER) != 0) {
        return hl_fail(msg, HL_EINVAL,
                       "raft-tls-verify-peer and raft-tls-insecure-skip-verify contradict each "
                       "other");
    }
    if (!hl_config_bool(cfg, HL_CFG_RAFT_TLS_ENABLED)) {
        return HL_OK;
    }
    const enum hl_cfg needed[] = {HL_CFG_RAFT_TLS_CERT, HL_CFG_RAFT_TLS_KEY, HL_CFG_RAFT_TLS_CA};
    static const char *const names[] = {"raft-tls-cert", "raft-tls-key", "raft-tls-ca"};
    for (size_t i = 0; i < HL_ARRAY_LEN(needed); i++) {
        bool optional = needed[i] == HL_CFG_RAFT_TLS_CA && (skip || !verify);
        if (!optional && hl_config_text(cfg, needed[i])[0] == '\0') {
            return hl_fail(msg, HL_EINVAL, "raft-tls-enabled needs %s", names[i]);
        }
    }
    return HL_OK;
}

hl_err config_check_together(const struct hl_config *cfg, struct hl_errmsg *msg)
{
    hl_err err = check_timeouts(cfg, msg);
    if (err == HL_OK && strlen(hl_config_raft_address(cfg)) > HL_MEMBER_ADDR_MAX) {
        err =
            hl_fail(msg, HL_EINVAL, "the raft address is longer than %d bytes", HL_MEMBER_ADDR_MAX);
    }
    if (err == HL_OK && !hl_config_bool(cfg, HL_CFG_RAFT)) {
        err = check_alone(cfg, msg);
        return err == HL_OK ? check_raft_tls(cfg, msg) : err;
    }
    err = err == HL_OK ? check_start(cfg, msg) : err;
    err = err == HL_OK ? check_peers(cfg, msg) : err;
    return err == HL_OK ? check_raft_tls(cfg, msg) : err;
}
