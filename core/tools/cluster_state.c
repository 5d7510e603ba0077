/* See cluster_state.h. */
#include "tools/cluster_state.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static json_t *must(json_t *json)
{
    HL_ASSERT(json != NULL); /* only memory can be missing: our texts are valid UTF-8 */
    return json;
}

static json_t *encode_node(const struct cluster_node *node)
{
    return must(json_pack("{s:s, s:i, s:i, s:s, s:I, s:I}", "id", node->id, "client_port",
                          node->client_port, "raft_port", node->raft_port, "member",
                          cluster_member_name(node->member), "pid", (json_int_t)node->pid,
                          "pid_started", (json_int_t)node->pid_started));
}

char *cluster_encode(const struct cluster *cluster)
{
    json_t *nodes = must(json_array());
    json_t *flags = must(json_array());
    for (size_t i = 0; i < cluster->count; i++) {
        json_array_append_new(nodes, encode_node(&cluster->nodes[i]));
    }
    for (size_t i = 0; i < cluster->flag_count; i++) {
        json_array_append_new(flags, must(json_string(cluster->flags[i])));
    }
    json_t *root = must(json_pack("{s:i, s:s, s:s, s:s, s:i, s:o, s:o}", "version",
                                  CLUSTER_STATE_VERSION, "server", cluster->server, "boot_id",
                                  cluster->boot_id, "founders", cluster->peers, "next_number",
                                  cluster->next_number, "flags", flags, "nodes", nodes));
    char *text = json_dumps(root, JSON_INDENT(2));
    HL_ASSERT(text != NULL);
    json_decref(root);
    char *copy = hl_strndup(text, strlen(text));
    free(text);
    return copy;
}

static bool copy_text(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len >= size) {
        return false;
    }
    memcpy(out, text, len + 1);
    return true;
}

static bool is_port(json_int_t port)
{
    return port >= 1 && port <= 65535;
}

static bool read_member(const char *name, enum cluster_member *member)
{
    for (enum cluster_member m = CLUSTER_JOINING; m <= CLUSTER_LEAVING; m++) {
        if (strcmp(name, cluster_member_name(m)) == 0) {
            *member = m;
            return true;
        }
    }
    return false;
}

static hl_err decode_node(struct cluster *cluster, json_t *json, struct hl_errmsg *msg)
{
    struct cluster_node node = {0};
    const char *id = NULL;
    const char *member = NULL;
    json_int_t client_port = 0;
    json_int_t raft_port = 0;
    json_int_t pid = 0;
    json_int_t started = 0;
    json_error_t error;
    if (json_unpack_ex(json, &error, 0, "{s:s, s:I, s:I, s:s, s:I, s:I}", "id", &id, "client_port",
                       &client_port, "raft_port", &raft_port, "member", &member, "pid", &pid,
                       "pid_started", &started) != 0) {
        return hl_fail(msg, HL_ECORRUPT, "node %zu: %s", cluster->count + 1, error.text);
    }
    if (!cluster_id_is_good(id) || cluster_find(cluster, id) != NULL) {
        return hl_fail(msg, HL_ECORRUPT, "node %zu: its id is no name, or taken",
                       cluster->count + 1);
    }
    if (!read_member(member, &node.member)) {
        return hl_fail(msg, HL_ECORRUPT, "node %s: 'member' is none that there is", id);
    }
    if (!is_port(client_port) || !is_port(raft_port) || client_port == raft_port || pid < 0 ||
        started < 0 || pid > INT32_MAX) {
        return hl_fail(msg, HL_ECORRUPT, "node %s: a number is out of range", id);
    }
    for (size_t i = 0; i < cluster->count; i++) {
        const struct cluster_node *other = &cluster->nodes[i];
        if (other->client_port == client_port || other->raft_port == raft_port ||
            other->client_port == raft_port || other->raft_port == client_port) {
            return hl_fail(msg, HL_ECORRUPT, "nodes %s and %s share a port", other->id, id);
        }
    }
    if (cluster->count == CLUSTER_NODES_MAX) {
        return hl_fail(msg, HL_ECORRUPT, "more than %d nodes", CLUSTER_NODES_MAX);
    }
    bool fits = copy_text(node.id, sizeof node.id, id);
    HL_ASSERT(fits);
    node.client_port = (int)client_port;
    node.raft_port = (int)raft_port;
    node.pid = pid;
    node.pid_started = (uint64_t)started;
    cluster->nodes[cluster->count++] = node;
    return HL_OK;
}

static hl_err decode_lists(struct cluster *cluster, json_t *flags, json_t *nodes,
                           struct hl_errmsg *msg)
{
    if (!json_is_array(flags) || !json_is_array(nodes) ||
        json_array_size(flags) > CLUSTER_FLAGS_MAX) {
        return hl_fail(msg, HL_ECORRUPT, "'flags' or 'nodes' is no list of ours");
    }
    for (size_t i = 0; i < json_array_size(flags); i++) {
        const char *flag = json_string_value(json_array_get(flags, i));
        if (flag == NULL) {
            return hl_fail(msg, HL_ECORRUPT, "'flags' holds something that is no text");
        }
        cluster->flags[cluster->flag_count++] = hl_strndup(flag, strlen(flag));
    }
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        hl_err err = decode_node(cluster, json_array_get(nodes, i), msg);
        if (err != HL_OK) {
            return err;
        }
    }
    return HL_OK;
}

static hl_err decode_root(struct cluster *cluster, json_t *root, struct hl_errmsg *msg)
{
    json_int_t version = json_integer_value(json_object_get(root, "version"));
    if (version > CLUSTER_STATE_VERSION) {
        return hl_fail(msg, HL_EVERSION,
                       "its version is %lld, and this program knows %d: use a "
                       "newer helios",
                       (long long)version, CLUSTER_STATE_VERSION);
    }
    json_error_t error;
    const char *server = NULL;
    const char *boot_id = NULL;
    const char *peers = NULL;
    json_int_t next_number = 0;
    json_t *flags = NULL;
    json_t *nodes = NULL;
    if (json_unpack_ex(root, &error, 0, "{s:I, s:s, s:s, s:s, s:I, s:o, s:o}", "version", &version,
                       "server", &server, "boot_id", &boot_id, "founders", &peers, "next_number",
                       &next_number, "flags", &flags, "nodes", &nodes) != 0) {
        return hl_fail(msg, HL_ECORRUPT, "%s", error.text);
    }
    if (version < 1 || next_number < 1 || next_number >= INT32_MAX || server[0] != '/' ||
        !copy_text(cluster->server, sizeof cluster->server, server) ||
        !copy_text(cluster->boot_id, sizeof cluster->boot_id, boot_id)) {
        return hl_fail(msg, HL_ECORRUPT,
                       "'version', 'server', 'boot_id' or 'next_number' is out "
                       "of range");
    }
    cluster->next_number = (int)next_number;
    cluster->peers = hl_strndup(peers, strlen(peers));
    hl_err err = decode_lists(cluster, flags, nodes, msg);
    for (size_t i = 0; err == HL_OK && i < cluster->count; i++) {
        int number = 0;
        if (sscanf(cluster->nodes[i].id, "node-%9d", &number) == 1 &&
            number >= cluster->next_number) {
            err = hl_fail(msg, HL_ECORRUPT, "'next_number' would be given twice");
        }
    }
    return err;
}

hl_err cluster_decode(struct cluster *out, struct hl_slice text, struct hl_errmsg *msg)
{
    json_error_t error;
    json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return hl_fail(msg, HL_ECORRUPT, "line %d: %s", error.line, error.text);
    }
    struct cluster cluster = {0};
    hl_err err = decode_root(&cluster, root, msg);
    json_decref(root);
    if (err != HL_OK) {
        cluster_fini(&cluster);
        return err;
    }
    *out = cluster;
    return HL_OK;
}

static hl_err read_file(int fd, struct hl_buf *out)
{
    for (;;) {
        hl_buf_grow(out, 4096);
        ssize_t n = read(fd, out->ptr + out->len, 4096);
        if (n <= 0) {
            return n == 0 ? HL_OK : HL_EIO;
        }
        out->len += (size_t)n;
        if (out->len > CLUSTER_STATE_SIZE_MAX) {
            errno = EFBIG;
            return HL_EIO;
        }
    }
}

hl_err cluster_load(struct cluster *out, const char *dir, struct hl_errmsg *msg)
{
    char path[CLUSTER_PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/" CLUSTER_STATE_FILE, dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return hl_fail(msg, errno == ENOENT || errno == ENOTDIR ? HL_ENOENT : HL_EIO, "%s: %s",
                       path, strerror(errno));
    }
    struct hl_buf text = {0};
    hl_err err = read_file(fd, &text);
    if (err != HL_OK) {
        (void)hl_fail(msg, err, "%s: %s", path, strerror(errno));
    } else {
        struct hl_errmsg why = {0};
        err = cluster_decode(out, hl_buf_view(&text), &why);
        if (err != HL_OK) {
            (void)hl_fail(msg, err, "%.100s: %.200s", path, why.text);
        }
    }
    close(fd);
    hl_buf_fini(&text);
    return err;
}

static bool write_all(int fd, const char *text)
{
    for (size_t len = strlen(text), done = 0; done < len;) {
        ssize_t n = write(fd, text + done, len - done);
        if (n <= 0) {
            return false;
        }
        done += (size_t)n;
    }
    return write(fd, "\n", 1) == 1 && fsync(fd) == 0;
}

static bool sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

hl_err cluster_save(const struct cluster *cluster, const char *dir, struct hl_errmsg *msg)
{
    char path[CLUSTER_PATH_MAX + 32];
    char next[CLUSTER_PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/" CLUSTER_STATE_FILE, dir);
    (void)snprintf(next, sizeof next, "%s/" CLUSTER_STATE_FILE ".new", dir);
    char *text = cluster_encode(cluster);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write_all(fd, text);
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    hl_free(text);
    if (ok && (rename(next, path) != 0 || !sync_dir(dir))) {
        ok = false;
        why = errno;
    }
    return ok ? HL_OK : hl_fail(msg, HL_EIO, "%s: %s", path, strerror(why));
}
