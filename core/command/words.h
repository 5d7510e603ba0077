/* The words for flags and categories, in the order in which Redis prints them. */
#ifndef HL_COMMAND_WORDS_H
#define HL_COMMAND_WORDS_H

#include <stddef.h>
#include <stdint.h>

struct hl_flag_word {
    uint32_t flag;
    const char *word;
};

extern const struct hl_flag_word hl_command_words[]; /* HL_CMD_* */
extern const size_t hl_command_word_count;
extern const struct hl_flag_word hl_acl_words[]; /* HL_ACL_*, without '@' */
extern const size_t hl_acl_word_count;
extern const struct hl_flag_word hl_key_words[]; /* HL_KEY_* */
extern const size_t hl_key_word_count;

#endif
