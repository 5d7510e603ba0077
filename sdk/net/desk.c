/* An event descriptor that the server watches, and a mailbox. */
#include "net/desk.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct net_mailbox box;
static int bell = -1;
static const char *desk_name = "";

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
    net_desk_run();
}

bool net_desk_open(RedisModuleCtx *ctx, const char *name)
{
    desk_name = name;
    bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (bell < 0 || RedisModule_EventLoopAdd(bell, REDISMODULE_EVENTLOOP_READABLE, on_bell, NULL) !=
                        REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "cannot wake the server: %s", strerror(errno));
        if (bell >= 0) {
            close(bell);
        }
        return false;
    }
    net_mailbox_init(&box);
    return true;
}

void net_desk_post(struct net_mail *mail)
{
    bool was_empty = false;
    HL_ASSERT(mail->drop != NULL);
    if (!net_mailbox_put(&box, mail, &was_empty)) {
        mail->drop(mail);
    } else if (was_empty) {
        ring();
    }
}

void net_desk_run(void)
{
    net_mail_run(net_mailbox_take(&box));
}

void net_desk_drop(uint64_t owner)
{
    net_mailbox_drop(&box, owner);
}

struct line {
    struct net_mail mail;
    const char *level;
    char text[256];
};

static void drop_line(struct net_mail *mail)
{
    hl_free(mail);
}

static void write_line(struct net_mail *mail)
{
    struct line *line = (struct line *)mail;
    RedisModule_Log(NULL, line->level, "%s: %s", desk_name, line->text);
    hl_free(line);
}

void net_desk_log(const char *level, const char *fmt, ...)
{
    struct line *line = hl_calloc(1, sizeof *line);
    va_list args;
    va_start(args, fmt);
    vsnprintf(line->text, sizeof line->text, fmt, args);
    va_end(args);
    line->level = level;
    line->mail = (struct net_mail){.run = write_line, .drop = drop_line};
    net_desk_post(&line->mail);
}

void net_desk_close(void)
{
    net_mailbox_close(&box);
    RedisModule_EventLoopDel(bell, REDISMODULE_EVENTLOOP_READABLE);
    for (struct net_mail *mail = net_mailbox_take(&box); mail != NULL;) {
        struct net_mail *next = mail->next;
        mail->drop(mail);
        mail = next;
    }
    close(bell);
    bell = -1;
    net_mailbox_fini(&box);
}
