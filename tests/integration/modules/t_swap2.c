/* t_swap2: the second version of t_swap. */
#define SWAP_VERSION 2
#include "t_swap.c"
