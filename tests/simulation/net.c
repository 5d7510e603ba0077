/* The network between machines: frames are lost, doubled, late and out of order, and directions are
 * cut one by one.  In half of the seeds, and when everything works, a link keeps the order, as a
 * stream does.  A frame may arrive at a process that was started after it was sent. */
#include "sim.h"

#include "kit/alloc.h"

#include <string.h>

#define SLOW_US (200 * SIM_MS) /* what a slow frame takes longer at most */

static void on_frame(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->a];
    if (!machine->up) {
        return;
    }
    if (sim->now_us < machine->paused_until_us) {
        struct sim_event *later =
            sim_after(sim, machine->paused_until_us - sim->now_us, -1, on_frame);
        later->a = event->a;
        later->b = event->b;
        later->c = event->c;
        later->data = event->data;
        later->sent_us = event->sent_us;
        event->data = NULL;
        return;
    }
    int64_t late_us = sim->now_us - event->sent_us;
    sim->lateness_us = late_us > sim->lateness_us ? late_us : sim->lateness_us;
    struct hl_slice frame = {.ptr = event->data, .len = (size_t)event->c};
    sim_engine.receive(machine, &sim->machines[event->b], frame);
}

static void send_once(struct sim *sim, int from, int to, struct hl_slice frame)
{
    int64_t delay_us = sim->profile.delay_min_us + sim_exponential(sim, sim->profile.delay_mean_us);
    if (sim->chaos && sim_chance(sim, sim->profile.slow_ppm)) {
        delay_us += sim_below(sim, SLOW_US);
    }
    int64_t *last_us = &sim->arrives_us[from][to];
    int64_t at_us = sim->now_us + delay_us;
    if ((sim->profile.ordered || !sim->chaos) && at_us < *last_us) {
        at_us = *last_us;
    }
    *last_us = at_us > *last_us ? at_us : *last_us;
    struct sim_event *event = sim_after(sim, at_us - sim->now_us, -1, on_frame);
    event->a = to;
    event->b = from;
    event->c = (int64_t)frame.len;
    event->sent_us = sim->now_us;
    event->data = hl_malloc(frame.len);
    memcpy(event->data, frame.ptr, frame.len);
}

void sim_net_send(struct sim_machine *from, struct sim_machine *to, struct hl_slice frame)
{
    struct sim *sim = from->sim;
    sim->stats.messages++;
    if (sim->cut[from->id][to->id] || (sim->chaos && sim_chance(sim, sim->profile.drop_ppm))) {
        sim->stats.dropped++;
        return;
    }
    send_once(sim, from->id, to->id, frame);
    if (sim->chaos && sim_chance(sim, sim->profile.dup_ppm)) {
        send_once(sim, from->id, to->id, frame);
    }
}

void sim_net_heal(struct sim *sim)
{
    memset(sim->cut, 0, sizeof sim->cut);
}

void sim_net_split(struct sim *sim, uint32_t side, enum sim_cut how)
{
    for (int a = 0; a < sim->profile.machines; a++) {
        for (int b = 0; b < sim->profile.machines; b++) {
            bool a_inside = (side >> a & 1) != 0;
            bool b_inside = (side >> b & 1) != 0;
            if (a_inside == b_inside || (how == SIM_CUT_ONE_WAY && !a_inside) ||
                (how == SIM_CUT_FLAKY && sim_chance(sim, 500000))) {
                continue;
            }
            sim->cut[a][b] = true;
        }
    }
    sim->stats.cuts++;
    sim_trace(sim, "--- cut off: machines %llx, kind %lld", side, how, 0, 0);
}
