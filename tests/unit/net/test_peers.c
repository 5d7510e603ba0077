/* Goal: each address is counted by itself, up to the bound, and forgotten at zero.
 *
 * Method: a thousand addresses at random against counts in an array. */
#include "net/peers.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES 1000
#define MOST 5

static struct net_peers peers = {.seed = 12345};

Test(peers, addresses_are_counted_apart)
{
    static uint32_t counts[ADDRESSES];
    srand(1);
    for (int i = 0; i < 100000; i++) {
        int which = rand() % ADDRESSES;
        unsigned char address[16] = {0x20, 1};
        memcpy(address + 12, &which, sizeof which);
        if (rand() % 2 == 0) {
            bool entered = net_peers_enter(&peers, address, MOST);
            cr_assert_eq(entered, counts[which] < MOST);
            counts[which] += entered;
        } else if (counts[which] > 0) {
            net_peers_leave(&peers, address);
            counts[which]--;
        }
    }
    for (int which = 0; which < ADDRESSES; which++) {
        unsigned char address[16] = {0x20, 1};
        memcpy(address + 12, &which, sizeof which);
        for (; counts[which] > 0; counts[which]--) {
            net_peers_leave(&peers, address);
        }
    }
    for (size_t i = 0; i < NET_PEERS_SLOTS; i++) {
        cr_assert_null(peers.slots[i], "nothing stays behind");
    }
}
