/* Snapshot files: whatever the file holds, reading ends, hands out no byte of a damaged block, and
 * touches nothing outside.
 *
 * Input, first byte even: positions of damage to a good file (up to three bits, or a cut); then
 * what is read must be a beginning of what was written, and all of it only if it ends well.  Odd:
 * the rest is the whole file.
 */
#include "support/fake_disk.h"

#include "kit/assert.h"
#include "wal/snapfile.h"

#include <string.h>

#define NAME "00000000000000000009.snap"
#define SIZE 3000 /* bytes of content */

static char byte_at(size_t i)
{
    return (char)(i * 7 + i / 256);
}

static struct fake_disk *good_file(void)
{
    static struct fake_disk *good;
    if (good != NULL) {
        return good;
    }
    good = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(good);
    struct hl_snap_label label = {.index = 9, .term = 1};
    struct hl_snap_writer *writer = NULL;
    hl_err err = hl_snap_writer_open(&writer, &disk, "d", &label, NULL);
    for (size_t i = 0; err == HL_OK && i < SIZE; i++) {
        char c = byte_at(i);
        err = hl_snap_write(writer, &c, 1, NULL);
    }
    HL_ASSERT(err == HL_OK);
    err = hl_snap_writer_finish(writer, NULL);
    HL_ASSERT(err == HL_OK);
    err = hl_snap_publish(&disk, "d", 9, NULL);
    HL_ASSERT(err == HL_OK);
    return good;
}

/* Read to the end; the number of bytes, and in *err how it ended. */
static size_t read_all(const struct hl_disk *disk, bool ours, hl_err *err)
{
    struct hl_snap_reader *reader = NULL;
    struct hl_snap_label label;
    *err = hl_snap_reader_open(&reader, disk, "d", 9, &label, NULL);
    size_t sum = 0;
    size_t got = 1;
    while (*err == HL_OK && got > 0) {
        char bytes[777];
        *err = hl_snap_read(reader, bytes, sizeof bytes, &got, NULL);
        for (size_t i = 0; ours && *err == HL_OK && i < got; i++) {
            HL_ASSERT(sum + i < SIZE && bytes[i] == byte_at(sum + i));
        }
        sum += *err == HL_OK ? got : 0;
    }
    hl_snap_reader_close(reader);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    if (len == 0) {
        return 0;
    }
    struct fake_disk *fake = fake_disk_dup(good_file());
    struct hl_disk disk = fake_disk_seam(fake);
    struct fake_content *file = fake_disk_file(fake, NAME);
    bool ours = input[0] % 2 == 0;
    bool damaged = false;
    if (ours) {
        for (size_t i = 1; i + 3 <= len && i < 10; i += 3) {
            size_t at = (size_t)(input[i] | input[i + 1] << 8);
            if (input[i + 2] >= 128 && at < file->len) {
                fake_disk_resize(fake, NAME, at);
                damaged = true;
            } else if (at < file->len) {
                file->bytes[at] = (char)(file->bytes[at] ^ 1 << input[i + 2] % 8);
                HL_MAYBE(damaged); /* the same bit twice is none */
            }
        }
    } else {
        fake_disk_resize(fake, NAME, len - 1);
        memcpy(file->bytes, input + 1, len - 1);
    }
    hl_err err = HL_OK;
    size_t size = read_all(&disk, ours, &err);
    HL_ASSERT(err == HL_OK || err == HL_ECORRUPT || err == HL_EVERSION);
    HL_ASSERT(!ours || err != HL_OK || (size == SIZE && !damaged));
    HL_ASSERT(fake->held == 0);
    fake_disk_destroy(fake);
    return 0;
}
