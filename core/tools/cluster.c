/* `helios cluster`: start and run a cluster on this machine.
 *
 *   L1  a command that changes something holds the lock of the directory.
 *   L2  the state file is written before a process is started and after it was, so a launcher that
 *       is killed in between leaves a node that the next one finds by its arguments.
 *   L3  only `destroy --yes` removes data; `decommission` moves it aside.
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "tools/cluster_launch.h"
#include "tools/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 20          /* for a cluster to agree, unless --wait says otherwise */
#define STOP_WAIT_MS 15000 /* between SIGTERM and SIGKILL: a server takes shutdown-timeout */

static const char help[] =
    "usage: helios cluster start [N] [-- SERVER FLAGS]   found a cluster of N nodes (3), or start\n"
    "                                                    those of DIR that do not run\n"
    "       helios cluster status [--json]               how each node is\n"
    "       helios cluster add                           one node more\n"
    "       helios cluster stop [NODE...]                stop nodes, or all of them\n"
    "       helios cluster decommission NODE             remove a node for ever, keep its files\n"
    "       helios cluster destroy --yes                 stop all nodes and delete their data\n"
    "\n"
    "Nodes run on loopback in the background, each with its data in DIR/node-N and its log in\n"
    "DIR/node-N.log; DIR/cluster.json says which there are.  Starting never deletes data.\n"
    "\n"
    "  --dir DIR        the cluster's directory (./cluster)\n"
    "  --port P         port of clients: of the first node, the others follow (free ones, from\n"
    "                   6379 on); --raft-port P the same for the nodes' own traffic (7000)\n"
    "  --server FILE    the server's program (helios-atlasd beside this one); at a later start it\n"
    "                   replaces the one that was used before\n"
    "  --wait SECONDS   for the nodes to agree on a leader (20)\n"
    "  --force          stop or remove nodes even when the rest is no majority\n"
    "  --json           status as JSON\n"
    "  --watch SECONDS  status again and again\n"
    "\n"
    "REDISCLI_AUTH is the password, where nodes ask for one.\n"
    "Exit status: 0 done, all good; 1 status: something is not good; 2 it could not be done.\n";

static int complain(const struct hl_errmsg *msg)
{
    fprintf(stderr, "helios cluster: %s\n", msg->text);
    return TOOL_FAILED;
}

static bool read_number(const char *text, int64_t least, int64_t most, int64_t *out)
{
    int64_t n = 0;
    if (!hl_parse_i64(hl_slice_of(text), &n) || n < least || n > most) {
        return false;
    }
    *out = n;
    return true;
}

/* --- commands ------------------------------------------------------------------------------- */

static hl_err load(struct launch *l, struct hl_errmsg *msg)
{
    if (realpath(l->dir_arg, l->dir) == NULL) {
        return hl_fail(msg, errno == ENOENT ? HL_ENOENT : HL_EIO, "%s: %s", l->dir_arg,
                       strerror(errno));
    }
    return cluster_load(&l->cluster, l->dir, msg);
}

/* As load(), for commands that need a cluster. */
static hl_err load_there(struct launch *l, struct hl_errmsg *msg)
{
    hl_err err = load(l, msg);
    if (err == HL_ENOENT) {
        return hl_fail(msg, err,
                       "there is no cluster in %.150s: 'helios cluster start 3' makes one, --dir "
                       "names another place",
                       l->dir_arg);
    }
    return err;
}

static hl_err lock_dir(struct launch *l, struct hl_errmsg *msg)
{
    char path[PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/cluster.lock", l->dir_arg);
    l->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (l->lock < 0) {
        return errno == ENOENT ? HL_OK /* there is no directory: load_there() says so */
                               : hl_fail(msg, HL_EIO, "%.250s: %s", path, strerror(errno));
    }
    if (flock(l->lock, LOCK_EX | LOCK_NB) != 0) {
        return hl_fail(msg, HL_EBUSY,
                       "another 'helios cluster' works in %.200s: wait for it to end", l->dir_arg);
    }
    return HL_OK;
}

static hl_err save(struct launch *l, struct hl_errmsg *msg)
{
    return cluster_save(&l->cluster, l->dir, msg);
}

static int print_view(const struct launch *l, const struct cluster_view *view)
{
    struct hl_buf out = {0};
    bool good = view->leader >= 0;
    cluster_print(&l->cluster, view, l->dir_arg, l->json, &out);
    (void)fwrite(out.ptr, 1, out.len, stdout);
    hl_buf_fini(&out);
    for (size_t i = 0; i < l->cluster.count; i++) {
        good = good && strcmp(cluster_health(&l->cluster, view, i), "good") == 0;
    }
    return good ? TOOL_GOOD : TOOL_DAMAGED;
}

static int run_status(struct launch *l, struct hl_errmsg *msg)
{
    struct cluster_view view;
    if (load_there(l, msg) != HL_OK) {
        return complain(msg);
    }
    for (;;) {
        cluster_look(&l->cluster, &view);
        if (l->watch_s == 0) {
            return print_view(l, &view);
        }
        fputs("\033[H\033[2J", stdout); /* from the top of an empty screen */
        (void)print_view(l, &view);
        if (fflush(stdout) != 0) {
            return TOOL_FAILED; /* nobody reads it any more */
        }
        cluster_sleep(l->watch_s * 1000);
        struct cluster next = {0};
        if (cluster_load(&next, l->dir, msg) != HL_OK) {
            return complain(msg); /* destroyed meanwhile */
        }
        cluster_fini(&l->cluster);
        l->cluster = next;
    }
}

/* The server's program as an absolute path: the one that was named, or the one beside us. */
static hl_err find_server(struct launch *l, struct hl_errmsg *msg)
{
    char path[PATH_MAX + 32] = "";
    if (l->server != NULL) {
        (void)snprintf(path, sizeof path, "%s", l->server);
    } else if (l->cluster.server[0] != '\0') {
        (void)snprintf(path, sizeof path, "%s", l->cluster.server);
    } else {
        ssize_t len = readlink("/proc/self/exe", path, PATH_MAX);
        char *slash = len > 0 ? memrchr(path, '/', (size_t)len) : NULL;
        if (slash != NULL) {
            (void)snprintf(slash, sizeof path - (size_t)(slash - path), "/helios-atlasd");
        }
    }
    char whole[PATH_MAX];
    if (realpath(path, whole) == NULL || access(whole, X_OK) != 0) {
        return hl_fail(msg, HL_ENOENT, "%.200s: %s: --server names the program of the nodes", path,
                       strerror(errno));
    }
    HL_STATIC(sizeof l->cluster.server >= PATH_MAX);
    memcpy(l->cluster.server, whole, strlen(whole) + 1);
    return HL_OK;
}

static hl_err take_flags(struct launch *l, struct hl_errmsg *msg)
{
    if (l->flag_count > CLUSTER_FLAGS_MAX) {
        return hl_fail(msg, HL_ELIMIT,
                       "more than %d flags for the server: use a file with "
                       "--config",
                       CLUSTER_FLAGS_MAX);
    }
    for (size_t i = 0; i < l->flag_count; i++) {
        l->cluster.flags[i] = hl_strndup(l->flags[i], strlen(l->flags[i]));
        l->cluster.flag_count = i + 1;
    }
    return HL_OK;
}

/* Plan a cluster in a directory that has none. */
static hl_err found(struct launch *l, int64_t count, struct hl_errmsg *msg)
{
    hl_err err = find_server(l, msg);
    if (err == HL_OK) {
        err = take_flags(l, msg);
    }
    if (err == HL_OK) {
        err = cluster_plan_founders(&l->cluster, (int)count, l->port, l->raft_port,
                                    cluster_port_probe, NULL, msg);
    }
    for (size_t i = 0; err == HL_OK && i < l->cluster.count; i++) {
        char path[PATH_MAX + CLUSTER_ID_MAX + 8];
        (void)snprintf(path, sizeof path, "%s/%s", l->dir, l->cluster.nodes[i].id);
        if (access(path, F_OK) == 0) {
            err = hl_fail(msg, HL_EBUSY,
                          "%.200s exists, but " CLUSTER_STATE_FILE
                          " does not: it is left alone.  Choose another --dir",
                          path);
        }
    }
    if (err == HL_OK && count % 2 == 0) {
        fprintf(stderr,
                "helios cluster: %" PRId64 " nodes survive no more losses than %" PRId64 " would\n",
                count, count - 1);
    }
    return err;
}

/* Start one node unless it runs: in the state file, or found by its answer and its arguments. */
static hl_err start_node(struct launch *l, struct cluster_node *node, struct hl_errmsg *msg)
{
    if (cluster_proc_runs(&l->cluster, node)) {
        printf("%s runs already, process %" PRId64 "\n", node->id, node->pid);
        return HL_OK;
    }
    struct cluster_answer answer;
    uint64_t started = 0;
    cluster_ask(node, &answer);
    if (answer.reach == CLUSTER_ANSWERS && strcmp(answer.id, node->id) == 0 &&
        cluster_proc_serves(answer.pid, l->dir, node, &started)) {
        node->pid = answer.pid;
        node->pid_started = started;
        printf("%s runs already, process %" PRId64 ": found again\n", node->id, node->pid);
        return save(l, msg);
    }
    const int ports[] = {node->client_port, node->raft_port};
    for (size_t i = 0; i < HL_ARRAY_LEN(ports); i++) {
        if (!cluster_port_probe(NULL, ports[i])) {
            return hl_fail(msg, HL_EBUSY,
                           "port %d of %s is in use by another program: stop that one ('ss -ltnp "
                           "sport = :%d' names it)",
                           ports[i], node->id, ports[i]);
        }
    }
    hl_err err = cluster_proc_start(&l->cluster, node, l->dir, msg);
    return err == HL_OK ? save(l, msg) : err;
}

static int start_all(struct launch *l, struct hl_errmsg *msg)
{
    struct cluster_view view;
    char now[64];
    cluster_boot_id(now);
    if (strcmp(now, l->cluster.boot_id) != 0) { /* the machine started anew: old ids say nothing */
        for (size_t i = 0; i < l->cluster.count; i++) {
            l->cluster.nodes[i].pid = 0;
        }
        memcpy(l->cluster.boot_id, now, sizeof now);
    }
    hl_err err = save(l, msg);
    for (size_t i = 0; err == HL_OK && i < l->cluster.count; i++) {
        if (l->cluster.nodes[i].member != CLUSTER_LEAVING) {
            err = start_node(l, &l->cluster.nodes[i], msg);
        }
    }
    if (err == HL_OK) {
        err = cluster_join_new(l, msg);
    }
    if (err == HL_OK) {
        err = cluster_await_agreement(l, &view, msg);
    }
    if (err != HL_OK) {
        return complain(msg);
    }
    int status = print_view(l, &view);
    if (!l->json) {
        printf("\nTry: redis-cli -p %d SET greeting hello\n",
               l->cluster.nodes[l->cluster.count - 1].client_port);
    }
    return status;
}

static int run_start(struct launch *l, struct hl_errmsg *msg)
{
    int64_t count = 3;
    if (l->word_count > 1 ||
        (l->word_count == 1 && !read_number(l->words[0], 1, CLUSTER_FOUNDERS_MAX, &count))) {
        (void)hl_fail(msg, HL_EINVAL, "start takes one number of nodes, 1 to %d",
                      CLUSTER_FOUNDERS_MAX);
        return complain(msg);
    }
    hl_err err = load(l, msg);
    if (err == HL_ENOENT && l->dir[0] != '\0') {
        err = found(l, count, msg);
    } else if (err == HL_OK && l->word_count == 1 && (size_t)count != l->cluster.count) {
        err = hl_fail(msg, HL_EINVAL,
                      "the cluster in %.150s has %zu nodes: 'helios cluster add' and "
                      "'decommission' change that, 'start' without a number starts them",
                      l->dir_arg, l->cluster.count);
    } else if (err == HL_OK && l->flag_count > 0) {
        err = hl_fail(msg, HL_EINVAL,
                      "flags of the server are chosen when a cluster is founded: edit 'flags' in "
                      "%.150s/" CLUSTER_STATE_FILE " and start it again",
                      l->dir);
    } else if (err == HL_OK) {
        err = find_server(l, msg);
    }
    return err == HL_OK ? start_all(l, msg) : complain(msg);
}

static int run_add(struct launch *l, struct hl_errmsg *msg)
{
    struct cluster_node *node = NULL;
    hl_err err = load_there(l, msg);
    for (size_t i = 0; err == HL_OK && i < l->cluster.count; i++) {
        if (l->cluster.nodes[i].member == CLUSTER_JOINING) {
            err = hl_fail(msg, HL_EBUSY,
                          "%s has not joined yet: 'helios cluster start' goes on with it",
                          l->cluster.nodes[i].id);
        }
    }
    if (err == HL_OK) {
        err = find_server(l, msg);
    }
    if (err == HL_OK) {
        err = cluster_plan_add(&l->cluster, l->port, l->raft_port, cluster_port_probe, NULL, &node,
                               msg);
    }
    return err == HL_OK ? start_all(l, msg) : complain(msg);
}

/* The nodes named on the command line, each once; all when none is. */
static hl_err choose(struct launch *l, bool chosen[CLUSTER_NODES_MAX], struct hl_errmsg *msg)
{
    for (size_t i = 0; i < CLUSTER_NODES_MAX; i++) {
        chosen[i] = l->word_count == 0 && i < l->cluster.count;
    }
    for (size_t i = 0; i < l->word_count; i++) {
        const struct cluster_node *node = cluster_find(&l->cluster, l->words[i]);
        if (node == NULL) {
            return hl_fail(msg, HL_ENOENT,
                           "there is no node '%.64s': 'helios cluster status' lists them",
                           l->words[i]);
        }
        chosen[node - l->cluster.nodes] = true;
    }
    return HL_OK;
}

/* End the chosen nodes, all at once. */
static hl_err end_nodes(struct launch *l, const bool *chosen, struct hl_errmsg *msg)
{
    for (size_t i = 0; i < l->cluster.count; i++) {
        if (chosen[i]) {
            cluster_proc_tell(&l->cluster, &l->cluster.nodes[i]);
        }
    }
    for (size_t i = 0; i < l->cluster.count; i++) {
        bool killed = false;
        if (!chosen[i]) {
            continue;
        }
        hl_err err =
            cluster_proc_wait(&l->cluster, &l->cluster.nodes[i], STOP_WAIT_MS, &killed, msg);
        if (err != HL_OK) {
            return err;
        }
        printf("%s is stopped%s\n", l->cluster.nodes[i].id,
               killed ? ": it did not end by itself and was killed" : "");
    }
    return save(l, msg);
}

static int run_stop(struct launch *l, struct hl_errmsg *msg)
{
    bool chosen[CLUSTER_NODES_MAX];
    hl_err err = load_there(l, msg);
    if (err == HL_OK) {
        err = choose(l, chosen, msg);
    }
    if (err == HL_OK && l->word_count > 0) {
        struct cluster_view view;
        int stopping = 0;
        cluster_look(&l->cluster, &view);
        for (size_t i = 0; i < l->cluster.count; i++) {
            stopping += chosen[i] && view.at[i].reach == CLUSTER_ANSWERS &&
                                l->cluster.nodes[i].member != CLUSTER_JOINING &&
                                strcmp(view.at[i].role, "learner") != 0
                            ? 1
                            : 0;
        }
        err = cluster_may_stop(&view.votes, stopping < view.votes.up ? stopping : view.votes.up,
                               l->force, msg);
    }
    if (err == HL_OK) {
        err = end_nodes(l, chosen, msg);
    }
    return err == HL_OK ? TOOL_GOOD : complain(msg);
}

/* Move what a node leaves behind to DIR/removed/ID-SECONDS. */
static hl_err set_aside(struct launch *l, const struct cluster_node *node, struct hl_errmsg *msg)
{
    static const char *const endings[] = {"", ".log"};
    char from[PATH_MAX + CLUSTER_ID_MAX + 16];
    char to[PATH_MAX + CLUSTER_ID_MAX + 64];
    (void)snprintf(to, sizeof to, "%s/removed", l->dir);
    if (mkdir(to, 0700) != 0 && errno != EEXIST) {
        return hl_fail(msg, HL_EIO, "%.280s: %s", to, strerror(errno));
    }
    int64_t now = (int64_t)time(NULL);
    for (size_t i = 0; i < HL_ARRAY_LEN(endings); i++) {
        (void)snprintf(from, sizeof from, "%s/%s%s", l->dir, node->id, endings[i]);
        (void)snprintf(to, sizeof to, "%s/removed/%s-%" PRId64 "%s", l->dir, node->id, now,
                       endings[i]);
        if (rename(from, to) != 0 && errno != ENOENT) {
            return hl_fail(msg, HL_EIO, "%.280s: %s", from, strerror(errno));
        }
    }
    printf("%s is removed; its files are in %s/removed\n", node->id, l->dir_arg);
    return HL_OK;
}

static int run_decommission(struct launch *l, struct hl_errmsg *msg)
{
    bool chosen[CLUSTER_NODES_MAX];
    hl_err err = load_there(l, msg);
    if (err == HL_OK && l->word_count != 1) {
        err = hl_fail(msg, HL_EINVAL, "decommission takes the name of one node");
    }
    if (err == HL_OK) {
        err = choose(l, chosen, msg);
    }
    if (err != HL_OK) {
        return complain(msg);
    }
    struct cluster_node *node = cluster_find(&l->cluster, l->words[0]);
    HL_ASSERT(node != NULL);
    err = cluster_remove_member(l, node, msg);
    if (err == HL_OK) {
        err = end_nodes(l, chosen, msg);
    }
    if (err == HL_OK) {
        err = set_aside(l, node, msg);
    }
    if (err == HL_OK) {
        cluster_forget(&l->cluster, node);
        err = save(l, msg);
    }
    return err == HL_OK ? TOOL_GOOD : complain(msg);
}

static hl_err delete_files(struct launch *l, struct hl_errmsg *msg)
{
    char path[PATH_MAX + CLUSTER_ID_MAX + 16];
    for (size_t i = 0; i < l->cluster.count; i++) {
        static const char *const endings[] = {"", ".log"};
        for (size_t e = 0; e < HL_ARRAY_LEN(endings); e++) {
            (void)snprintf(path, sizeof path, "%s/%s%s", l->dir, l->cluster.nodes[i].id,
                           endings[e]);
            hl_err err = cluster_remove_tree(path, msg);
            if (err != HL_OK && err != HL_ENOENT) {
                return err;
            }
        }
    }
    static const char *const rest[] = {"removed", CLUSTER_STATE_FILE, "cluster.lock"};
    for (size_t i = 0; i < HL_ARRAY_LEN(rest); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", l->dir, rest[i]);
        hl_err err = cluster_remove_tree(path, msg);
        if (err != HL_OK && err != HL_ENOENT) {
            return err;
        }
    }
    if (rmdir(l->dir) != 0) {
        printf("%s stays: it holds other files\n", l->dir_arg);
    }
    return HL_OK;
}

static int run_destroy(struct launch *l, struct hl_errmsg *msg)
{
    bool all[CLUSTER_NODES_MAX];
    hl_err err = load_there(l, msg);
    if (err == HL_OK && l->word_count > 0) {
        err = hl_fail(msg, HL_EINVAL,
                      "destroy ends the whole cluster and takes no name: "
                      "'decommission' removes one node");
    }
    if (err == HL_OK && !l->yes) {
        err = hl_fail(msg, HL_EINVAL,
                      "this stops %zu nodes and deletes all their data in %.150s for ever: say "
                      "--yes if that is meant",
                      l->cluster.count, l->dir);
    }
    if (err == HL_OK) {
        err = choose(l, all, msg);
    }
    if (err == HL_OK) {
        err = end_nodes(l, all, msg);
    }
    if (err == HL_OK) {
        err = delete_files(l, msg);
    }
    return err == HL_OK ? TOOL_GOOD : complain(msg);
}

/* --- command line --------------------------------------------------------------------------- */

static const struct action {
    const char *name;
    int (*run)(struct launch *l, struct hl_errmsg *msg);
    bool changes;
} actions[] = {
    {"start", run_start, true},
    {"status", run_status, false},
    {"add", run_add, true},
    {"stop", run_stop, true},
    {"decommission", run_decommission, true},
    {"destroy", run_destroy, true},
};

/* A flag that takes a value; false when it is none of ours or the value is wrong. */
static bool take_valued(struct launch *l, const char *flag, const char *value)
{
    int64_t n = 0;
    if (strcmp(flag, "--dir") == 0) {
        l->dir_arg = value;
        return value[0] != '\0' && strlen(value) < CLUSTER_PATH_MAX - 128;
    }
    if (strcmp(flag, "--server") == 0) {
        l->server = value;
        return value[0] != '\0';
    }
    if (strcmp(flag, "--wait") == 0) {
        return read_number(value, 1, 3600, &l->wait_s);
    }
    if (strcmp(flag, "--watch") == 0) {
        return read_number(value, 1, 3600, &l->watch_s);
    }
    bool is_raft = strcmp(flag, "--raft-port") == 0;
    if ((!is_raft && strcmp(flag, "--port") != 0) || !read_number(value, 1, 65535, &n)) {
        return false;
    }
    *(is_raft ? &l->raft_port : &l->port) = (int)n;
    return true;
}

static hl_err parse(struct launch *l, int argc, char **argv, struct hl_errmsg *msg)
{
    const struct {
        const char *name;
        bool *on;
    } switches[] = {{"--force", &l->force}, {"--yes", &l->yes}, {"--json", &l->json}};
    for (int i = 0; i < argc; i++) {
        bool known = false;
        if (strcmp(argv[i], "--") == 0) {
            l->flags = argv + i + 1;
            l->flag_count = (size_t)(argc - i - 1);
            break;
        }
        for (size_t s = 0; s < HL_ARRAY_LEN(switches) && !known; s++) {
            known = strcmp(argv[i], switches[s].name) == 0;
            *switches[s].on = *switches[s].on || known;
        }
        if (known) {
            continue;
        }
        if (argv[i][0] != '-') {
            if (l->word_count == CLUSTER_WORDS_MAX) {
                return hl_fail(msg, HL_ELIMIT, "too many names");
            }
            l->words[l->word_count++] = argv[i];
        } else if (i + 1 == argc || !take_valued(l, argv[i], argv[i + 1])) {
            return hl_fail(msg, HL_EINVAL,
                           "'%.60s' is no flag, or its value is missing or wrong: 'helios cluster "
                           "--help' lists them (flags of the server go behind --)",
                           argv[i]);
        } else {
            i++;
        }
    }
    return HL_OK;
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static int run_action(const struct action *action, struct launch *l, struct hl_errmsg *msg)
{
    hl_err err = HL_OK;
    if (action->run == run_start && mkdir(l->dir_arg, 0700) != 0 && errno != EEXIST) {
        err = hl_fail(msg, HL_EIO, "%.200s: %s", l->dir_arg, strerror(errno));
    }
    if (err == HL_OK && action->changes) {
        err = lock_dir(l, msg);
    }
    int status = err == HL_OK ? action->run(l, msg) : complain(msg);
    if (l->lock >= 0) {
        close(l->lock);
    }
    cluster_fini(&l->cluster);
    return status;
}

int tool_cluster(int argc, char **argv)
{
    struct hl_errmsg msg = {0};
    static struct launch l; /* large */
    l = (struct launch){.dir_arg = "cluster", .wait_s = WAIT_S, .lock = -1};
    if (argc < 2 || asks_help(argc, argv)) {
        fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? TOOL_FAILED : TOOL_GOOD;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(actions); i++) {
        if (strcmp(argv[1], actions[i].name) == 0) {
            hl_err err = parse(&l, argc - 2, argv + 2, &msg);
            return err == HL_OK ? run_action(&actions[i], &l, &msg) : complain(&msg);
        }
    }
    fprintf(stderr,
            "helios cluster: there is no '%s': start, status, add, stop, decommission or "
            "destroy\n",
            argv[1]);
    return TOOL_FAILED;
}
