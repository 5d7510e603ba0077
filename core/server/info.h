/* INFO: what the server tells about itself. */
#ifndef HL_SERVER_INFO_H
#define HL_SERVER_INFO_H

#include "server/server.h"

/* Append the sections that `words` name ("server", "all", "default", "everything", …); none means
 * the default ones.  Unknown names give nothing, as in Redis. */
void hl_info_write(struct hl_server *server, const struct hl_slice *words, size_t count,
                   struct hl_buf *out);

/* Append the section "raft". */
void hl_info_raft(struct hl_server *server, struct hl_buf *out);

/* INFO, CONFIG, SHUTDOWN, DEBUG, MEMORY. */
extern const struct hl_command_row hl_commands_server[];
extern const size_t hl_commands_server_count;

#endif
