/* The subcommands of `helios`, and the exit statuses that they share. */
#ifndef HL_TOOLS_TOOLS_H
#define HL_TOOLS_TOOLS_H

#define TOOL_GOOD 0    /* everything is as it should be */
#define TOOL_DAMAGED 1 /* it is not, and the output says where */
#define TOOL_FAILED 2  /* wrong use, or the machine failed: nothing was learned */

/* `helios check DIR`: argv[0] is "check".  Prints what it finds; returns a TOOL_ status. */
int tool_check(int argc, char **argv);

/* `helios dump DIR`: argv[0] is "dump".  Prints the log's entries; returns a TOOL_ status. */
int tool_dump(int argc, char **argv);

/* `helios recover --data-dir DIR --force-new-cluster`: argv[0] is "recover".  Makes one node's data
 * a cluster of its own, when it is confirmed; returns a TOOL_ status. */
int tool_recover(int argc, char **argv);

/* `helios cluster ACTION`: argv[0] is "cluster".  Runs a cluster on this machine; returns a TOOL_
 * status. */
int tool_cluster(int argc, char **argv);

#endif
