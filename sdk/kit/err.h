/* Errors: what the world may do to us.  0 is success, every failure is negative.
 *
 * A function that can fail returns hl_err and is HL_MUST_USE.  The code is for the program, the
 * message is for the human: pass a struct hl_errmsg down when a human will read the reason.
 */
#ifndef KIT_ERR_H
#define KIT_ERR_H

#define HL_MUST_USE __attribute__((warn_unused_result))
#define HL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

typedef enum {
    HL_OK = 0,
    HL_EINVAL = -1,   /* the caller's argument is out of the documented range */
    HL_ENOMEM = -2,   /* an allocation proportional to input was refused */
    HL_EIO = -3,      /* the operating system failed us */
    HL_ECORRUPT = -4, /* bytes were read, but they are not ours */
    HL_EBUSY = -5,    /* another process holds it */
    HL_EFULL = -6,    /* the disk, or a bounded queue, is full: may succeed later */
    HL_ENOENT = -7,   /* there is no such thing */
    HL_ELIMIT = -8,   /* the input is larger than a named bound allows */
    HL_EVERSION = -9, /* bytes of a format version this build does not know */
} hl_err;

struct hl_errmsg {
    char text[320]; /* always NUL-terminated; "" when nothing failed */
};

/* Write the reason into `msg` (may be NULL) and return `err`, so that callers can say
 * `return hl_fail(msg, HL_EIO, "...")`. */
hl_err hl_fail(struct hl_errmsg *msg, hl_err err, const char *fmt, ...) HL_PRINTF(3, 4);

#endif
