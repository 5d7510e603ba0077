/* Users are part of the state: every node has the same, whoever dies, and nobody is let in or
 * turned away on what can be undone.
 *
 * Method: groups of nodes on disks in memory; their files' users are put in as the edge does.
 */
#include "node/acl.h"
#include "node/replica.h"
#include "unit/node/group.h"

static struct group g;

static void setup(void)
{
    group_init(&g, 3);
}

static void teardown(void)
{
    group_fini(&g);
}

TestSuite(admin, .init = setup, .fini = teardown);

#define HASH_OF_PW "30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4"

static struct member *other_than(struct member *m, int nth)
{
    return &g.at[(m->at + nth) % g.count];
}

static const char *reply_of(struct hl_session *session)
{
    static char text[4096];
    struct hl_slice out = hl_session_output(session);
    size_t len = out.len < sizeof text - 1 ? out.len : sizeof text - 1;
    memcpy(text, out.ptr == NULL ? "" : out.ptr, len);
    text[len] = '\0';
    return text;
}

/* A file's line, before the node has loaded anything. */
static void seed_user(struct member *m, const char *name, const char *rule)
{
    struct hl_slice rules[2] = {hl_slice_of("on"), hl_slice_of(rule)};
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_acl_set(m->node->acl, hl_slice_of(name), rules, 2, &msg), HL_OK, "%s",
                 msg.text);
    hl_acl_keep_seed(m->node->acl);
}

static bool has_user(struct member *m, const char *name)
{
    return hl_acl_find(m->node->acl, hl_slice_of(name)) != NULL;
}

static bool is_closing(const struct hl_session *session)
{
    return (session->flags & HL_SESSION_CLOSE_NOW) != 0;
}

/* Log in at any member; the session is the member's. */
static struct hl_session *login(struct member *m, const char *request, const char *want)
{
    struct hl_session *s = member_client(m);
    member_say(m, s, request, want);
    return s;
}

Test(admin, a_user_made_at_one_node_logs_in_at_all)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "ACL SETUSER bob on >pw ~k* +get (+set ~s*)", "+OK\r\n");
    group_expect_equal(&g);
    for (int i = 0; i < 3; i++) {
        struct hl_session *s = login(&g.at[i], "AUTH bob pw", "+OK\r\n");
        (void)login(&g.at[i], "AUTH bob other",
                    "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
        member_say(&g.at[i], s, "GET k", "$-1\r\n");
        member_say(&g.at[i], s, "DEL k",
                   "-NOPERM this user has no permissions to run the 'del' command\r\n");
    }
}

/* Every byte that any disk holds is looked at. */
static bool disks_hold(const char *text)
{
    for (int i = 0; i < g.count; i++) {
        const struct fake_disk *fake = g.at[i].fake;
        for (int k = 0; k < fake->names_count; k++) {
            const struct fake_content *content = &fake->files[fake->names[k].file].now;
            if (content->len != 0 &&
                memmem(content->bytes, content->len, text, strlen(text)) != NULL) {
                return true;
            }
        }
    }
    return false;
}

Test(admin, the_log_holds_no_password_in_clear)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "ACL SETUSER bob on >pw >clear-secret <clear-secret +@all", "+OK\r\n");
    group_expect_equal(&g);
    cr_assert(disks_hold(HASH_OF_PW));
    cr_assert(!disks_hold("clear-secret"));
}

Test(admin, users_survive_the_leader_a_restart_of_all_and_a_snapshot)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "ACL SETUSER bob on >pw +@all ~*", "+OK\r\n");
    member_say(leader, a, "ACL SETUSER gone on nopass", "+OK\r\n");
    member_say(leader, a, "ACL DELUSER gone", ":1\r\n");
    for (int i = 0; i < 3; i++) {
        struct hl_snap_label label = hl_snapshot_label(g.at[i].node);
        cr_assert_eq(hl_snapshot_write(g.at[i].node, &g.at[i].disk, "d", &label, NULL, NULL),
                     HL_OK);
        group_run(&g, 40);
        cr_assert_eq(hl_snapshot_publish(g.at[i].node, &g.at[i].disk, "d", &label, NULL), HL_OK);
    }
    unsigned char before[20];
    unsigned char after[20];
    member_digest(leader, before);
    for (int i = 0; i < 3; i++) {
        member_kill(&g.at[i]);
    }
    for (int i = 0; i < 3; i++) {
        member_restart(&g.at[i]);
    }
    leader = group_lead(&g);
    group_expect_equal(&g);
    member_digest(leader, after);
    cr_assert_eq(memcmp(before, after, 20), 0);
    cr_assert(!has_user(leader, "gone"));
    (void)login(other_than(leader, 1), "AUTH bob pw", "+OK\r\n");
}

Test(admin, the_connections_of_a_removed_user_end_at_all_nodes_when_that_is_committed)
{
    struct hl_session *sessions[3];
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "ACL SETUSER bob on >pw +@all ~*", "+OK\r\n");
    group_run(&g, 60);
    for (int i = 0; i < 3; i++) {
        sessions[i] = login(&g.at[i], "AUTH bob pw", "+OK\r\n");
    }
    other_than(leader, 1)->slow = other_than(leader, 2)->slow = true;
    (void)member_run(leader, a, "ACL DELUSER bob");
    group_run(&g, 5);
    cr_assert(!is_closing(sessions[leader->at]), "it can be undone");
    cr_assert(!member_run(leader, sessions[leader->at], "GET k"), "but it runs nothing (M2)");
    other_than(leader, 1)->slow = other_than(leader, 2)->slow = false;
    group_run(&g, 60);
    for (int i = 0; i < 3; i++) {
        cr_assert(is_closing(sessions[i]), "node %d", i);
    }
    cr_assert_str_eq(reply_of(a), ":1\r\n");
}

Test(admin, nobody_is_told_anything_on_users_that_can_be_undone)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "ACL SETUSER bob on >old +@all ~*", "+OK\r\n");
    group_run(&g, 60);
    struct hl_session *in = member_client(leader);
    struct hl_session *out = member_client(leader);
    struct hl_session *noperm = login(leader, "AUTH bob old", "+OK\r\n");
    leader->cut = true;
    (void)member_run(leader, a, "ACL SETUSER bob resetpass >new -get");
    (void)member_run(leader, in, "AUTH bob new");
    (void)member_run(leader, out, "AUTH bob old");
    (void)member_run(leader, noperm, "GET k");
    group_run(&g, 5);
    cr_assert(!has_output(in) && !has_output(out) && !has_output(noperm), "M1");
    struct member *next = NULL;
    for (int i = 0; i < 400 && next == NULL; i++) {
        group_step(&g);
        int at = leader_of(&g);
        next = at >= 0 && at != leader->at ? &g.at[at] : NULL;
    }
    cr_assert_not_null(next);
    struct hl_session *b = member_client(next);
    member_say(next, b, "SET k v", "+OK\r\n");
    leader->cut = false;
    group_run(&g, 400);
    cr_assert(is_closing(in) && is_closing(out) && is_closing(noperm), "M3");
    group_expect_equal(&g);
    (void)login(leader, "AUTH bob old", "+OK\r\n");
    (void)login(leader, "AUTH bob new",
                "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
}

Test(admin, a_rollback_brings_a_removed_user_back_and_keeps_the_connections_of_others)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "ACL SETUSER bob on >pw +@all ~*", "+OK\r\n");
    member_say(leader, a, "ACL SETUSER ann on >pw +@all ~*", "+OK\r\n");
    struct hl_session *ann = login(leader, "AUTH ann pw", "+OK\r\n");
    leader->cut = true;
    (void)member_run(leader, a, "ACL DELUSER bob");
    group_run(&g, 100);
    struct member *next = group_lead(&g);
    struct hl_session *b = member_client(next);
    member_say(next, b, "SET k v", "+OK\r\n");
    leader->cut = false;
    group_run(&g, 400);
    group_expect_equal(&g);
    cr_assert(leader->node->cluster.epoch > 0, "it was undone");
    (void)login(leader, "AUTH bob pw", "+OK\r\n");
    cr_assert(!is_closing(ann));
    member_say(leader, ann, "ACL WHOAMI", "$3\r\nann\r\n");
}

static struct hl_session *resumed;

static void note_resumed(void *ctx, struct hl_session *session)
{
    (void)ctx;
    resumed = session;
}

Test(admin, who_asks_while_users_are_undone_waits_and_goes_on)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "ACL SETUSER bob on >pw +@all ~*", "+OK\r\n");
    struct hl_session *bystander = member_client(leader);
    leader->cut = true;
    (void)member_run(leader, a, "ACL DELUSER bob");
    group_run(&g, 100);
    cr_assert(!leader->node->cluster.leads);
    hl_replica_make_anew(leader->node); /* as when it hears that its entries are gone */
    cr_assert(leader->node->admin.undone);
    leader->world.resume = note_resumed;
    cr_assert(!member_run(leader, bystander, "PING"), "nobody is served");
    leader->cut = false;
    group_run(&g, 400);
    cr_assert(!leader->node->admin.undone);
    cr_assert(resumed == bystander, "its edge was told to ask again");
    member_say(leader, bystander, "PING", "+PONG\r\n");
}

Test(admin, in_a_cluster_the_first_leaders_files_count_and_no_others)
{
    for (int i = 0; i < 3; i++) {
        g.at[i].node->config.cluster.enabled = true;
        char name[8];
        snprintf(name, sizeof name, "user%d", i);
        seed_user(&g.at[i], name, "nopass");
    }
    struct member *leader = group_lead(&g);
    group_expect_equal(&g);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            char name[8];
            snprintf(name, sizeof name, "user%d", k);
            cr_assert_eq(has_user(&g.at[i], name), k == leader->at, "node %d, user %d", i, k);
        }
    }
}

static struct member *alone(void)
{
    group_fini(&g);
    memset(&g, 0, sizeof g);
    g.count = 1;
    g.mono_us = 1000000;
    g.wall_us = 1700000000000000;
    g.segment_size = 64 * 1024;
    member_init(&g, 0);
    member_open(&g.at[0], NULL);
    return group_lead(&g);
}

Test(admin, a_server_alone_keeps_what_was_changed_and_takes_the_rest_from_its_files)
{
    struct member *m = alone();
    seed_user(m, "filed", "nopass");
    seed_user(m, "other", "nopass");
    struct hl_session *a = member_client(m);
    member_say(m, a, "ACL SETUSER bob on >pw +@all ~*", "+OK\r\n");
    member_say(m, a, "ACL DELUSER filed", ":1\r\n");
    member_kill(m);
    member_restart(m); /* the edge would read the files before; here they come late */
    m = group_lead(&g);
    cr_assert(has_user(m, "bob") && !has_user(m, "filed"));
    seed_user(m, "filed", "nopass");
    seed_user(m, "fresh", "nopass");
    struct hl_buf saved = {0};
    struct hl_errmsg msg = {{0}};
    hl_admin_save(m->node, &saved);
    cr_assert_eq(hl_admin_load(m->node, hl_buf_view(&saved), &msg), HL_OK, "%s", msg.text);
    hl_buf_fini(&saved);
    cr_assert(has_user(m, "bob") && has_user(m, "fresh") && !has_user(m, "filed"));
}

Test(admin, malformed_tables_of_users_are_refused_and_change_nothing)
{
    struct member *m = alone();
    struct hl_session *a = member_client(m);
    struct hl_buf saved = {0};
    struct hl_errmsg msg = {{0}};
    member_say(m, a, "ACL SETUSER bob on >pw +@all ~*", "+OK\r\n");
    hl_admin_save(m->node, &saved);
    for (size_t len = 0; len < saved.len; len++) {
        struct hl_slice part = {.ptr = saved.ptr, .len = len};
        cr_assert_neq(hl_admin_load(m->node, part, &msg), HL_OK, "cut at %zu", len);
        cr_assert(has_user(m, "bob"));
    }
    hl_buf_append_u8(&saved, 0);
    cr_assert_neq(hl_admin_load(m->node, hl_buf_view(&saved), &msg), HL_OK);
    saved.ptr[0] = 9;
    cr_assert_eq(hl_admin_load(m->node, hl_buf_view(&saved), &msg), HL_EVERSION);
    hl_buf_fini(&saved);
}

Test(admin, rules_of_commands_that_are_not_here_are_kept)
{
    struct member *m = alone();
    struct hl_errmsg msg = {{0}};
    struct hl_slice line =
        hl_slice_of("user mo on nopass ~* resetchannels -@all +no.such +no.sub|x");
    cr_assert_eq(hl_acl_state_put(m->node->acl, line, &msg), HL_OK, "%s", msg.text);
    struct hl_buf shown = {0};
    hl_acl_describe(hl_acl_find(m->node->acl, hl_slice_of("mo")), &shown);
    cr_assert(hl_slice_equal(hl_buf_view(&shown), line), "%.*s", (int)shown.len, shown.ptr);
    hl_buf_fini(&shown);
    struct hl_session *a = member_client(m);
    member_say(m, a, "ACL SETUSER mo +no.other",
               "-ERR Error in ACL SETUSER modifier '+no.other': Unknown command or category name "
               "in ACL\r\n");
}

Test(admin, a_user_is_changed_in_a_transaction_or_not_at_all)
{
    struct member *m = alone();
    struct hl_session *a = member_client(m);
    member_say(m, a, "MULTI", "+OK\r\n");
    member_say(m, a, "ACL SETUSER bob on nopass", "+QUEUED\r\n");
    member_say(m, a, "SET k v", "+QUEUED\r\n");
    hl_index before = m->node->last;
    member_say(m, a, "EXEC", "*2\r\n+OK\r\n+OK\r\n");
    cr_assert_eq(m->node->last, before + 1, "one unit, one entry");
    cr_assert_eq(m->node->admin.dirty, m->node->last);
    member_say(m, a, "ACL SETUSER bob nosuchrule",
               "-ERR Error in ACL SETUSER modifier 'nosuchrule': Syntax error\r\n");
    cr_assert_eq(m->node->last, before + 1);
    member_say(m, a, "HELIOS.USERS FILES",
               "-ERR this is part of the log, not of what clients say\r\n");
}
