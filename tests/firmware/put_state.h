/* An envelope's whole memory as numbers of 64 bits: what the drivers answer. For tests only. */
#ifndef PUT_STATE_H
#define PUT_STATE_H

#include "envelope.h"

#define STATE_NUMBERS (2 + 5 * ENVELOPE_ACTUATORS + ENVELOPE_INTERLOCKS)

/* Writes them from `out` on; where the next number goes. */
static int64_t *put_state(int64_t *out, const envelope_state *state)
{
    *out++ = state->now_ns;
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        const envelope_memory *memory = &state->actuators[i];
        out[i] = memory->last;
        out[ENVELOPE_ACTUATORS + i] = memory->carry_up;
        out[2 * ENVELOPE_ACTUATORS + i] = memory->carry_down;
        out[3 * ENVELOPE_ACTUATORS + i] = memory->travel;
        out[4 * ENVELOPE_ACTUATORS + i] = memory->rest_ns;
    }
    out += 5 * ENVELOPE_ACTUATORS;
    for (int k = 0; k < ENVELOPE_INTERLOCKS; k++) {
        *out++ = state->locks[k];
    }
    *out++ = state->ramp_since_ns;
    return out;
}

#endif
