/* Goal: `helios check` and `helios dump` tell the truth, change nothing unasked, and lose nothing
 * acknowledged without being told to.
 * Method: the real program over directories made by the log itself. */
#include "command/effect.h"
#include "server/disk_posix.h"
#include "wal/snapfile.h"
#include "wal/wal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST "00000000000000000001.wal"

static char dir[64];
static char output[65536];

static void make_dir(void)
{
    snprintf(dir, sizeof dir, "/tmp/helios-tools-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void remove_name(void *arg, const char *name)
{
    (void)arg;
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

static void remove_dir(void)
{
    const struct hl_disk *disk = hl_disk_posix();
    cr_assert_eq(disk->list(disk->ctx, dir, remove_name, NULL, NULL), HL_OK);
    rmdir(dir);
}

TestSuite(tools, .init = make_dir, .fini = remove_dir);

/* Run `helios ARGUMENTS`; its exit status, and in `output` what it said on both streams. */
static int helios(const char *arguments)
{
    char command[1024];
    snprintf(command, sizeof command, "%s %s 2>&1", HELIOS_TOOL, arguments);
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    size_t len = fread(output, 1, sizeof output - 1, pipe);
    output[len] = '\0';
    int status = pclose(pipe);
    cr_assert(WIFEXITED(status), "helios %s crashed", arguments);
    return WEXITSTATUS(status);
}

static int helios_on(const char *command, const char *flags)
{
    char arguments[200];
    snprintf(arguments, sizeof arguments, "%s %s %s", command, dir, flags);
    return helios(arguments);
}

static bool says(const char *what)
{
    return strstr(output, what) != NULL;
}

static struct hl_wal *open_log(void)
{
    struct hl_wal_options options = {.dir = dir, .segment_size = 4096, .salt = 9};
    struct hl_wal *wal = NULL;
    cr_assert_eq(hl_wal_open(&wal, hl_disk_posix(), &options, NULL, NULL), HL_OK);
    return wal;
}

static void append(struct hl_wal *wal, int argc, const struct hl_slice *argv)
{
    struct hl_wal_entry entry = {.index = hl_wal_last(wal) + 1,
                                 .term = 1,
                                 .type = HL_WAL_EFFECTS,
                                 .log_time_us = 1700000000000000};
    hl_effect_encode(hl_wal_append_begin(wal), 2, argc, argv);
    hl_wal_append_end(wal, &entry);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
}

static void make_log(int count)
{
    struct hl_wal *wal = open_log();
    for (int i = 0; i < count; i++) {
        char value[32];
        snprintf(value, sizeof value, "v\"%d\n", i);
        struct hl_slice argv[] = {hl_slice_of("SET"), hl_slice_of("k"), hl_slice_of(value)};
        append(wal, 3, argv);
    }
    hl_wal_close(wal);
}

static void poke(const char *name, uint64_t offset, const char *bytes, size_t len)
{
    const struct hl_disk *disk = hl_disk_posix();
    int file = -1;
    cr_assert_eq(disk->open(disk->ctx, dir, name, false, &file, NULL), HL_OK);
    cr_assert_eq(disk->pwrite(disk->ctx, file, bytes, len, offset, NULL), HL_OK);
    disk->close(disk->ctx, file);
}

Test(tools, the_program_explains_itself)
{
    cr_assert_eq(helios("--help"), 0);
    cr_assert(says("check") && says("dump"));
    cr_assert_eq(helios("--version"), 0);
    cr_assert(says("helios "));
    cr_assert_eq(helios("check --help"), 0);
    cr_assert(says("--accept-loss"));
    cr_assert_eq(helios("dump --help"), 0);
    cr_assert(says("--json"));
    cr_assert_eq(helios(""), 2);
    cr_assert_eq(helios("frobnicate"), 2);
    cr_assert_eq(helios("check"), 2);
    cr_assert_eq(helios_on("check", "--accept-loss"), 2);
    cr_assert_eq(helios_on("dump", "--from x"), 2);
    cr_assert_eq(helios_on("check", "--fix"), 2, "there is no log, and none is made");
    cr_assert_eq(helios("check /nonexistent-helios"), 2);
    cr_assert_neq(access("/nonexistent-helios", F_OK), 0);
}

Test(tools, a_good_directory_is_good_and_its_log_is_printed)
{
    make_log(3);
    struct hl_wal *wal = open_log();
    struct hl_slice binary[] = {hl_slice_of("SET"), {.ptr = "\xff\x00k", .len = 3}};
    append(wal, 2, binary);
    struct hl_wal_entry nop = {
        .index = 5, .term = 2, .type = HL_WAL_NOP, .log_time_us = 1700000000000001};
    hl_wal_append(wal, &nop);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);

    cr_assert_eq(helios_on("check", ""), 0);
    cr_assert(says("entries 1 to 5") && says("4 effects") && says("good") && says("a server uses"));
    cr_assert_eq(helios_on("check", "--fix"), 2, "not while it is used");
    hl_wal_close(wal);
    cr_assert_eq(helios_on("check", ""), 0);
    cr_assert_not(says("a server uses"));

    cr_assert_eq(helios_on("dump", "--json"), 0);
    cr_assert(says("{\"cmd\":\"SET\",\"key\":\"k\",\"args\":[\"k\",\"v\\\"0\\u000a\"],\"db\":2,"
                   "\"index\":1,\"part\":0,\"term\":1,\"log_time_us\":1700000000000000,"
                   "\"type\":\"effects\"}\n"),
              "%s", output);
    cr_assert(says("\"key\":{\"base64url\":\"_wBr\"}"), "%s", output);
    cr_assert(says("{\"type\":\"nop\",\"index\":5,\"term\":2,\"log_time_us\":1700000000000001}\n"));
    cr_assert_eq(helios_on("dump", "--from 2 --to 2"), 0);
    cr_assert_str_eq(output, "2 1700000000000000 db2 \"SET\" \"k\" \"v\\\"1\\x0a\"\n");
}

Test(tools, a_torn_tail_is_cut_only_when_asked)
{
    make_log(3);
    poke(FIRST, 64 + 3 * 88, "garbage", 7);
    cr_assert_eq(helios_on("check", ""), 0);
    cr_assert(says("has a torn tail of 7 bytes"), "%s", output);
    cr_assert_eq(helios_on("check", "--fix"), 0);
    cr_assert(says("cut a torn tail of 7 bytes"), "%s", output);
    cr_assert_eq(helios_on("check", ""), 0);
    cr_assert_not(says("torn"));
    cr_assert(says("entries 1 to 3"));
}

Test(tools, damage_is_named_and_given_up_only_on_a_clear_word)
{
    make_log(200);
    poke(FIRST, 1000, "!", 1);
    cr_assert_eq(helios_on("check", ""), 1);
    cr_assert(says(FIRST ": offset ") && says("DAMAGED") && says("--accept-loss"), "%s", output);
    cr_assert_eq(helios_on("check", "--fix"), 1);
    cr_assert_eq(helios_on("dump", "--json"), 1);
    cr_assert(says("\"index\":10,") && says("damaged"), "what is good is printed");
    cr_assert_eq(helios_on("check", "--fix --accept-loss"), 0);
    cr_assert(says("are lost, as you accepted"), "%s", output);
    cr_assert_eq(helios_on("check", ""), 0);
    cr_assert(says("entries 1 to 10 "), "%s", output);
}

Test(tools, a_log_needs_the_snapshot_that_it_leans_on)
{
    make_log(100);
    struct hl_wal *wal = open_log();
    hl_wal_drop_before(wal, 101, 1);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    hl_wal_close(wal);
    cr_assert_eq(helios_on("check", ""), 1);
    cr_assert(says("no whole snapshot reaches it"), "%s", output);

    struct hl_snap_label label = {.index = 100, .term = 1};
    struct hl_snap_writer *writer = NULL;
    const struct hl_disk *disk = hl_disk_posix();
    cr_assert_eq(hl_snap_writer_open(&writer, disk, dir, &label, NULL), HL_OK);
    cr_assert_eq(hl_snap_write(writer, "contents", 8, NULL), HL_OK);
    cr_assert_eq(hl_snap_writer_finish(writer, NULL), HL_OK);
    cr_assert_eq(hl_snap_publish(disk, dir, 100, NULL), HL_OK);
    cr_assert_eq(helios_on("check", ""), 0);
    cr_assert(says("whole, of entry 100"), "%s", output);
    poke("00000000000000000100.snap", 73, "!", 1);
    cr_assert_eq(helios_on("check", ""), 1);
    cr_assert(says("snapshot: damaged"), "%s", output);
}

Test(tools, a_damaged_meta_is_not_repaired)
{
    make_log(3);
    poke("meta", 50, "!", 1);
    cr_assert_eq(helios_on("check", ""), 1);
    cr_assert_eq(helios_on("check", "--fix --accept-loss"), 1);
    cr_assert(says("meta"), "%s", output);
}
