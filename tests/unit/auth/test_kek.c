/* Goal: a key-encryption key is read back as it was made, and no doubtful file is trusted. */
#include "auth/kek.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static char path[128];
static struct hl_errmsg msg;

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/test_kek_XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/kek", dir);
}

static void teardown(void)
{
    unlink(path);
    rmdir(dir);
}

static void put(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    cr_assert_eq(chmod(path, mode), 0);
}

static hl_err load(void)
{
    unsigned char key[SEAL_KEY_LEN];
    msg.text[0] = '\0';
    hl_err err = kek_read(key, path, &msg);
    cr_assert(err == HL_OK || strstr(msg.text, path) != NULL, "a failure names the file");
    return err;
}

Test(kek, what_is_created_is_read_back, .init = setup, .fini = teardown)
{
    unsigned char made[SEAL_KEY_LEN];
    unsigned char back[SEAL_KEY_LEN];
    struct stat st;
    cr_assert_eq(load(), HL_ENOENT);
    cr_assert_eq(kek_create(made, path, &msg), HL_OK);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    cr_assert_eq(kek_read(back, path, &msg), HL_OK);
    cr_assert_eq(memcmp(made, back, sizeof made), 0);
}

Test(kek, an_existing_file_is_never_replaced, .init = setup, .fini = teardown)
{
    unsigned char key[SEAL_KEY_LEN];
    put("precious", 0600);
    cr_assert_eq(kek_create(key, path, &msg), HL_EIO);
    cr_assert_eq(load(), HL_ECORRUPT);
    cr_assert_eq(access(path, F_OK), 0);
}

Test(kek, doubtful_files_are_refused, .init = setup, .fini = teardown)
{
    static const char good[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    put(good, 0600);
    cr_assert_eq(load(), HL_OK, "the newline may be missing");
    put(good, 0640);
    cr_assert_eq(load(), HL_EINVAL);
    put(good, 0604);
    cr_assert_eq(load(), HL_EINVAL);
    put("", 0600);
    cr_assert_eq(load(), HL_ECORRUPT);
    put("00010203", 0600);
    cr_assert_eq(load(), HL_ECORRUPT);
    unlink(path);
    cr_assert_eq(symlink("/etc/hostname", path), 0);
    cr_assert_eq(load(), HL_EIO, "no link is followed");
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(load(), HL_EINVAL, "and no fifo waited for");
}
