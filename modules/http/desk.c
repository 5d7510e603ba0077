/* An event descriptor that the server watches, and a mailbox. */
#include "desk.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct mailbox box;
static int bell = -1;

static void ring(void)
{
    uint64_t one = 1;
    ssize_t put = write(bell, &one, sizeof one);
    (void)put; /* a full counter rings as well */
}

static void on_bell(int fd, void *data, int mask)
{
    (void)data;
    (void)mask;
    uint64_t count = 0;
    ssize_t got = read(fd, &count, sizeof count);
    (void)got;
    desk_run();
}

bool desk_open(RedisModuleCtx *ctx)
{
    bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (bell < 0 || RedisModule_EventLoopAdd(bell, REDISMODULE_EVENTLOOP_READABLE, on_bell, NULL) !=
                        REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "cannot wake the server: %s", strerror(errno));
        if (bell >= 0) {
            close(bell);
        }
        return false;
    }
    mailbox_init(&box);
    return true;
}

void desk_post(struct mail *mail)
{
    bool was_empty = false;
    HL_ASSERT(mail->drop != NULL);
    if (!mailbox_put(&box, mail, &was_empty)) {
        mail->drop(mail);
    } else if (was_empty) {
        ring();
    }
}

void desk_run(void)
{
    mail_run(mailbox_take(&box));
}

void desk_drop(uint64_t owner)
{
    mailbox_drop(&box, owner);
}

struct line {
    struct mail mail;
    const char *level;
    char text[256];
};

static void drop_line(struct mail *mail)
{
    hl_free(mail);
}

static void write_line(struct mail *mail)
{
    struct line *line = (struct line *)mail;
    RedisModule_Log(NULL, line->level, "http: %s", line->text);
    hl_free(line);
}

void desk_log(const char *level, const char *fmt, ...)
{
    struct line *line = hl_calloc(1, sizeof *line);
    va_list args;
    va_start(args, fmt);
    vsnprintf(line->text, sizeof line->text, fmt, args);
    va_end(args);
    line->level = level;
    line->mail = (struct mail){.run = write_line, .drop = drop_line};
    desk_post(&line->mail);
}

void desk_close(void)
{
    mailbox_close(&box);
    RedisModule_EventLoopDel(bell, REDISMODULE_EVENTLOOP_READABLE);
    for (struct mail *mail = mailbox_take(&box); mail != NULL;) {
        struct mail *next = mail->next;
        mail->drop(mail);
        mail = next;
    }
    close(bell);
    bell = -1;
    mailbox_fini(&box);
}
