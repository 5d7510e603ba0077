/* Goal: the launcher of local clusters plans what is safe, remembers it exactly, and refuses the
 * rest with a reason and a remedy.
 * Method: its pure parts called directly, over machines that a test makes up; the program itself
 * where its words and files matter, without a server. */
#include "kit/alloc.h"
#include "tools/cluster_plan.h"
#include "tools/cluster_proc.h"
#include "tools/cluster_state.h"
#include "tools/cluster_status.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct cluster cluster;
static struct hl_errmsg msg;
static char dir[64];

static void make(void)
{
    snprintf(dir, sizeof dir, "/tmp/helios-cluster-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    cluster = (struct cluster){0};
    msg.text[0] = '\0';
}

static void clean(void)
{
    cluster_fini(&cluster);
    cr_assert_eq(cluster_remove_tree(dir, NULL), HL_OK);
}

TestSuite(cluster, .init = make, .fini = clean);

/* A machine on which the ports of a list, ended by 0, are in use. */
static bool not_in(void *used, int port)
{
    for (const int *p = used; *p != 0; p++) {
        if (*p == port) {
            return false;
        }
    }
    return true;
}

static void found(int count)
{
    int none[] = {0};
    cr_assert_eq(cluster_plan_founders(&cluster, count, 0, 0, not_in, none, &msg), HL_OK, "%s",
                 msg.text);
    snprintf(cluster.server, sizeof cluster.server, "/opt/helios-atlasd");
}

static bool says(const char *what)
{
    return strstr(msg.text, what) != NULL;
}

Test(cluster, free_ports_are_found_and_no_node_shares_one)
{
    int used[] = {6379, 6381, 7001, 0};
    cr_assert_eq(cluster_plan_founders(&cluster, 3, 0, 0, not_in, used, &msg), HL_OK);
    cr_assert_eq(cluster.count, 3);
    cr_assert_eq(cluster.nodes[0].client_port, 6380);
    cr_assert_eq(cluster.nodes[1].client_port, 6382);
    cr_assert_eq(cluster.nodes[2].client_port, 6383);
    cr_assert_eq(cluster.nodes[0].raft_port, 7000);
    cr_assert_eq(cluster.nodes[1].raft_port, 7002);
    cr_assert_str_eq(cluster.nodes[2].id, "node-3");
    cr_assert_str_eq(cluster.peers,
                     "node-1:127.0.0.1:7000,node-2:127.0.0.1:7002,node-3:127.0.0.1:7003");
}

Test(cluster, a_chosen_port_in_use_is_refused_and_nothing_is_planned)
{
    int used[] = {9001, 0};
    cr_assert_eq(cluster_plan_founders(&cluster, 3, 9000, 0, not_in, used, &msg), HL_EBUSY);
    cr_assert(says("9001") && says("in use"), "%s", msg.text);
    cr_assert_eq(cluster.count, 0);
    cr_assert_null(cluster.peers);
    cr_assert_eq(cluster_plan_founders(&cluster, 3, 9010, 9011, not_in, used, &msg), HL_EBUSY);
    cr_assert(says("another node's"), "%s", msg.text);
    cr_assert_eq(cluster_plan_founders(&cluster, 2, 65535, 0, not_in, used, &msg), HL_EINVAL);
    cr_assert_eq(cluster_plan_founders(&cluster, 10, 0, 0, not_in, used, &msg), HL_EINVAL);
    cr_assert_eq(cluster_plan_founders(&cluster, 0, 0, 0, not_in, used, &msg), HL_EINVAL);
    cr_assert_eq(cluster.count, 0);
}

Test(cluster, the_number_of_a_node_is_never_given_twice)
{
    int none[] = {0};
    struct cluster_node *added = NULL;
    found(3);
    cluster_forget(&cluster, cluster_find(&cluster, "node-3"));
    cr_assert_eq(cluster_plan_add(&cluster, 0, 0, not_in, none, &added, &msg), HL_OK);
    cr_assert_str_eq(added->id, "node-4");
    cr_assert_eq(added->client_port, 6381, "the port of a node that is gone may be used again");
    cr_assert_eq(added->member, CLUSTER_JOINING);
    while (cluster.count < CLUSTER_NODES_MAX) {
        cr_assert_eq(cluster_plan_add(&cluster, 0, 0, not_in, none, &added, &msg), HL_OK);
    }
    cr_assert_eq(cluster_plan_add(&cluster, 0, 0, not_in, none, &added, &msg), HL_ELIMIT);
}

/* The words of a command line, with spaces between them. */
static const char *command_line(size_t at)
{
    static char line[4096];
    struct hl_buf words = {0};
    size_t count = cluster_plan_argv(&cluster, &cluster.nodes[at], "/c", &words);
    size_t nuls = 0;
    for (size_t i = 0; i < words.len; i++) {
        nuls += words.ptr[i] == '\0' ? 1 : 0;
        line[i] = words.ptr[i] == '\0' ? ' ' : words.ptr[i];
    }
    cr_assert_eq(nuls, count);
    line[words.len - 1] = '\0';
    hl_buf_fini(&words);
    return line;
}

Test(cluster, a_founder_names_the_others_and_a_late_node_waits_to_be_added)
{
    int none[] = {0};
    struct cluster_node *added = NULL;
    found(3);
    cluster.flags[cluster.flag_count++] = hl_strndup("--sync-mode", 11);
    cr_assert_str_eq(command_line(1),
                     "/opt/helios-atlasd --data-dir /c/node-2 --listen 127.0.0.1:6380 --raft "
                     "--raft-node-id node-2 --raft-addr 127.0.0.1:7001 --raft-peers "
                     "node-1:127.0.0.1:7000,node-3:127.0.0.1:7002 --sync-mode");
    cr_assert_eq(cluster_plan_add(&cluster, 0, 0, not_in, none, &added, &msg), HL_OK);
    cr_assert_null(strstr(command_line(3), "--raft-peers"));
    cr_assert_null(strstr(command_line(3), "--bootstrap"), "it must not found one of its own");
    cr_assert_not_null(strstr(command_line(3), " --join "));
}

Test(cluster, a_single_founder_is_told_to_found_a_cluster)
{
    found(1);
    cr_assert_not_null(strstr(command_line(0), "--bootstrap"));
    cr_assert_null(strstr(command_line(0), "--raft-peers"));
}

Test(cluster, stopping_a_node_may_not_take_the_majority_away)
{
    struct cluster_votes three = {.voters = 3, .up = 3};
    cr_assert_eq(cluster_may_stop(&three, 1, false, &msg), HL_OK);
    cr_assert_eq(cluster_may_stop(&three, 2, false, &msg), HL_EBUSY);
    cr_assert(says("--force") && says("1 of 3"), "%s", msg.text);
    cr_assert_eq(cluster_may_stop(&three, 2, true, &msg), HL_OK);
    three.up = 2;
    cr_assert_eq(cluster_may_stop(&three, 1, false, &msg), HL_EBUSY);
    three.up = 1;
    cr_assert_eq(cluster_may_stop(&three, 1, false, &msg), HL_OK, "there is nothing left to lose");
    struct cluster_votes four = {.voters = 4, .up = 4};
    cr_assert_eq(cluster_may_stop(&four, 2, false, &msg), HL_EBUSY, "half is no majority");
}

Test(cluster, a_removal_needs_a_majority_before_and_after)
{
    struct cluster_votes votes = {.voters = 3, .up = 3};
    cr_assert_eq(cluster_may_remove(&votes, true, false, &msg), HL_OK);
    votes.up = 2;
    cr_assert_eq(cluster_may_remove(&votes, false, false, &msg), HL_OK, "the one that is down");
    cr_assert_eq(cluster_may_remove(&votes, true, false, &msg), HL_EBUSY, "one that is up");
    cr_assert(says("--force"), "%s", msg.text);
    cr_assert_eq(cluster_may_remove(&votes, true, true, &msg), HL_OK);
    votes.up = 1;
    cr_assert_eq(cluster_may_remove(&votes, false, true, &msg), HL_EBUSY, "nobody can agree on it");
    cr_assert(says("helios cluster start"), "%s", msg.text);
    votes = (struct cluster_votes){.voters = 1, .up = 1};
    cr_assert_eq(cluster_may_remove(&votes, true, true, &msg), HL_EBUSY);
    cr_assert(says("destroy"), "%s", msg.text);
}

Test(cluster, the_state_file_gives_back_what_was_saved)
{
    int none[] = {0};
    struct cluster_node *added = NULL;
    struct cluster copy = {0};
    found(3);
    cr_assert_eq(cluster_plan_add(&cluster, 0, 0, not_in, none, &added, &msg), HL_OK);
    cluster.nodes[0].pid = 1234;
    cluster.nodes[0].pid_started = UINT64_C(98765432109);
    cluster.nodes[2].member = CLUSTER_LEAVING;
    cluster.flags[cluster.flag_count++] = hl_strndup("a \"b\"\n", 6);
    snprintf(cluster.boot_id, sizeof cluster.boot_id, "boot");
    cr_assert_eq(cluster_save(&cluster, dir, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(cluster_load(&copy, dir, &msg), HL_OK, "%s", msg.text);
    char *one = cluster_encode(&cluster);
    char *two = cluster_encode(&copy);
    cr_assert_str_eq(one, two);
    cr_assert_eq(copy.nodes[0].pid_started, cluster.nodes[0].pid_started);
    cr_assert_eq(copy.nodes[3].member, CLUSTER_JOINING);
    cr_assert_str_eq(copy.flags[0], "a \"b\"\n");
    hl_free(one);
    hl_free(two);
    cluster_fini(&copy);
    cr_assert_eq(cluster_load(&copy, "/nowhere", &msg), HL_ENOENT);
}

static hl_err decode(const char *text)
{
    struct cluster out = {0};
    hl_err err = cluster_decode(&out, hl_slice_of(text), &msg);
    cluster_fini(&out);
    return err;
}

/* `text` with the first `from` in it made `to`. */
static const char *with(const char *text, const char *from, const char *to)
{
    static char changed[8192];
    const char *at = strstr(text, from);
    cr_assert_not_null(at, "%s", from);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return changed;
}

Test(cluster, a_state_file_that_lies_is_refused)
{
    static const struct {
        const char *from, *to;
    } lies[] = {
        {"node-2\"", "../node-2\""},
        {"\"id\": \"node-2\"", "\"id\": \"node-1\""},
        {"\"id\": \"node-2\"", "\"id\": \"\""},
        {"6380", "0"},
        {"6380", "65536"},
        {"6380", "4294973676"},
        {"6380", "7000"},
        {"\"pid\": 0", "\"pid\": -1"},
        {"\"pid\": 0", "\"pid\": 9999999999"},
        {"\"joined\"", "\"married\""},
        {"\"next_number\": 4", "\"next_number\": 3"},
        {"/opt/", "opt/"},
        {"\"flags\": []", "\"flags\": [1]"},
        {"\"flags\": []", "\"flags\": {}"},
        {"\"version\": 1", "\"version\": 0"},
        {"\"founders\"", "\"sounders\""},
        {"{", "["},
        {"\"nodes\": [", "\"nodes\": [7, "},
    };
    found(3);
    char *text = cluster_encode(&cluster);
    cr_assert_eq(decode(text), HL_OK, "%s", msg.text);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        msg.text[0] = '\0';
        cr_assert_eq(decode(with(text, lies[i].from, lies[i].to)), HL_ECORRUPT, "%s -> %s",
                     lies[i].from, lies[i].to);
        cr_assert_neq(msg.text[0], '\0', "a refusal must say why");
    }
    cr_assert_eq(decode(with(text, "\"version\": 1", "\"version\": 2")), HL_EVERSION);
    for (size_t len = 0; len < strlen(text); len++) {
        struct cluster out = {0};
        cr_assert_eq(cluster_decode(&out, (struct hl_slice){.ptr = text, .len = len}, &msg),
                     HL_ECORRUPT, "cut at %zu", len);
    }
    hl_free(text);
}

Test(cluster, info_is_read_in_both_spellings_and_garbage_is_not_believed)
{
    struct cluster_answer answer;
    cluster_read_info(&answer, hl_slice_of("# Server\r\nprocess_id:77\r\nuptime_in_seconds:5\r\n"
                                           "# Raft\r\nraft_state:Leader\r\nraft_node_id: node-1\r\n"
                                           "raft_leader:node-1\r\nraft_term:4\r\n"
                                           "raft_last_applied:12x\r\nraft_commit_index:-3\r\n"
                                           "raft_peer0:id=a,addr=b"));
    cr_assert_str_eq(answer.role, "leader");
    cr_assert_str_eq(answer.id, "node-1");
    cr_assert_eq(answer.term, 4);
    cr_assert_eq(answer.pid, 77);
    cr_assert_eq(answer.applied, -1);
    cr_assert_eq(answer.commit, -1);
    cluster_read_info(&answer, hl_slice_of("raft_node_id:\x1b[2Jevil\nraft_state"));
    cr_assert_str_eq(answer.id, "2Jevil", "nothing that a terminal obeys");
}

/* A view in which node-2 leads, node-1 follows and node-3 is down. */
static void look(struct cluster_view *view)
{
    *view = (struct cluster_view){0};
    static const char *const infos[] = {
        "raft_node_id:node-1\nraft_state:Follower\nraft_leader:node-2\nraft_term:4\n"
        "raft_commit_index:9\nraft_last_applied:9\nraft_last_log_index:9\n",
        "raft_node_id:node-2\nraft_state:Leader\nraft_leader:node-2\nraft_term:4\n"
        "raft_commit_index:10\nraft_last_applied:10\nraft_last_log_index:11\nraft_voters:3\n"};
    for (size_t i = 0; i < 2; i++) {
        cluster_read_info(&view->at[i], hl_slice_of(infos[i]));
    }
    cluster_read_info(&view->at[2], hl_slice_of(""));
    view->at[2].reach = CLUSTER_DOWN;
}

Test(cluster, status_says_who_leads_who_is_down_and_what_may_be_lost)
{
    struct cluster_view view;
    struct hl_buf out = {0};
    found(3);
    look(&view);
    cluster_judge(&cluster, &view);
    cr_assert_eq(view.leader, 1);
    cr_assert_eq(view.votes.voters, 3);
    cr_assert_eq(view.votes.up, 2);
    cr_assert_not(cluster_agrees(&cluster, &view));
    cr_assert_str_eq(cluster_health(&cluster, &view, 0), "good");
    cr_assert_str_eq(cluster_health(&cluster, &view, 2), "down");
    view.at[2].reach = CLUSTER_SILENT;
    cr_assert_str_eq(cluster_health(&cluster, &view, 2), "down", "it ended while it was asked");
    view.runs[2] = true;
    cr_assert_str_eq(cluster_health(&cluster, &view, 2), "no answer");
    look(&view);
    cluster_judge(&cluster, &view);
    cluster_print(&cluster, &view, "here", false, &out);
    hl_buf_append(&out, "", 1);
    cr_assert(strstr(out.ptr, "leader node-2 in term 4") != NULL, "%s", out.ptr);
    cr_assert(strstr(out.ptr, "Losing one more voter stops writes") != NULL, "%s", out.ptr);
    hl_buf_clear(&out);
    cluster_print(&cluster, &view, "here", true, &out);
    hl_buf_append(&out, "", 1);
    cr_assert(strstr(out.ptr, "\"lag\": 2") != NULL, "%s", out.ptr);
    hl_buf_fini(&out);
}

Test(cluster, nodes_agree_only_when_each_is_itself_and_names_the_leader)
{
    struct cluster_view view;
    found(3);
    look(&view);
    cluster_read_info(&view.at[2], hl_slice_of("raft_node_id:node-3\nraft_state:Follower\n"
                                               "raft_leader:node-2\nraft_term:4\n"));
    cluster_judge(&cluster, &view);
    cr_assert(cluster_agrees(&cluster, &view));
    snprintf(view.at[2].leader, sizeof view.at[2].leader, "node-1");
    cr_assert_not(cluster_agrees(&cluster, &view));
    snprintf(view.at[2].leader, sizeof view.at[2].leader, "node-2");
    snprintf(view.at[2].id, sizeof view.at[2].id, "node-9");
    cluster_judge(&cluster, &view);
    cr_assert_not(cluster_agrees(&cluster, &view), "another server on the port of node-3");
    cr_assert_str_eq(cluster_health(&cluster, &view, 2), "another server");
    cr_assert_eq(view.votes.up, 2);
}

Test(cluster, a_process_is_known_by_its_start_and_a_reused_id_is_not_ours)
{
    struct cluster_node *node = NULL;
    bool killed = true;
    found(1);
    node = &cluster.nodes[0];
    snprintf(cluster.server, sizeof cluster.server, "/bin/sleep"); /* refuses the flags at once */
    cluster_boot_id(cluster.boot_id);
    cr_assert_eq(cluster_proc_start(&cluster, node, dir, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(cluster_proc_wait(&cluster, node, 10000, &killed, &msg), HL_OK);
    cr_assert_not(cluster_proc_runs(&cluster, node));

    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    node->pid = child;
    node->pid_started = 1; /* some process of long ago had that id */
    cr_assert_not(cluster_proc_runs(&cluster, node));
    cluster_proc_tell(&cluster, node);
    cr_assert_eq(cluster_proc_wait(&cluster, node, 0, &killed, &msg), HL_OK);
    cr_assert_not(killed);
    cr_assert_eq(waitpid(child, NULL, WNOHANG), 0, "a process that is not ours was ended");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);

    snprintf(cluster.server, sizeof cluster.server, "/nowhere/helios-atlasd");
    cr_assert_eq(cluster_proc_start(&cluster, node, dir, &msg), HL_EIO);
    cr_assert(says("/nowhere/helios-atlasd"), "%s", msg.text);
}

Test(cluster, a_tree_is_removed_without_following_links)
{
    char path[200];
    char link[200];
    snprintf(path, sizeof path, "%s/keep", dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/tree", dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/keep", dir);
    snprintf(link, sizeof link, "%s/tree/link", dir);
    cr_assert_eq(symlink(path, link), 0);
    snprintf(path, sizeof path, "%s/tree", dir);
    cr_assert_eq(cluster_remove_tree(path, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(access(path, F_OK), -1);
    snprintf(path, sizeof path, "%s/keep", dir);
    cr_assert_eq(access(path, F_OK), 0);
}

/* Run `helios cluster ARGUMENTS --dir DIR`; its exit status, and what it said in `output`. */
static char output[8192];

static int helios_cluster(const char *arguments)
{
    char command[1024];
    snprintf(command, sizeof command, "%s cluster %s --dir %s/c 2>&1", HELIOS_TOOL, arguments, dir);
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    size_t len = fread(output, 1, sizeof output - 1, pipe);
    output[len] = '\0';
    int status = pclose(pipe);
    cr_assert(WIFEXITED(status), "%s crashed", arguments);
    return WEXITSTATUS(status);
}

Test(cluster, wrong_words_are_refused_with_a_remedy)
{
    static const struct {
        const char *arguments, *says;
    } wrong[] = {
        {"status", "helios cluster start 3"},
        {"stop", "there is no cluster"},
        {"start 0", "1 to 9"},
        {"start 3 4", "one number"},
        {"start --port 0", "--help"},
        {"start --sync-mode every", "behind --"},
        {"start 3 --server /nowhere/x", "--server names"},
        {"begin", "decommission"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert_eq(helios_cluster(wrong[i].arguments), 2, "%s: %s", wrong[i].arguments, output);
        cr_assert(strstr(output, wrong[i].says) != NULL, "%s: %s", wrong[i].arguments, output);
    }
    cr_assert_eq(helios_cluster("--help"), 0);
}

Test(cluster, data_without_a_state_file_is_left_alone)
{
    char path[200];
    snprintf(path, sizeof path, "%s/c", dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/c/node-2", dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(helios_cluster("start 3 --server /bin/true"), 2);
    cr_assert(strstr(output, "node-2 exists") != NULL, "%s", output);
    cr_assert_eq(access(path, F_OK), 0);
}

Test(cluster, a_node_that_ends_at_once_is_named_and_destroy_asks_first)
{
    cr_assert_eq(helios_cluster("start 3 --server /bin/false"), 2);
    cr_assert(strstr(output, "has ended") != NULL, "%s", output);
    cr_assert_eq(helios_cluster("status"), 1);
    cr_assert(strstr(output, "NO QUORUM") != NULL, "%s", output);
    cr_assert_eq(helios_cluster("start 5"), 2);
    cr_assert(strstr(output, "helios cluster add") != NULL, "%s", output);
    cr_assert_eq(helios_cluster("stop node-9"), 2);
    cr_assert(strstr(output, "no node 'node-9'") != NULL, "%s", output);
    cr_assert_eq(helios_cluster("decommission node-1"), 2);
    cr_assert(strstr(output, "only 0 of 3") != NULL, "%s", output);
    cr_assert_eq(helios_cluster("destroy"), 2);
    cr_assert(strstr(output, "--yes") != NULL, "%s", output);
    char path[200];
    snprintf(path, sizeof path, "%s/c/node-1", dir);
    cr_assert_eq(access(path, F_OK), 0, "destroy without --yes must delete nothing");
    cr_assert_eq(helios_cluster("destroy --yes"), 0, "%s", output);
    snprintf(path, sizeof path, "%s/c", dir);
    cr_assert_eq(access(path, F_OK), -1);
}
