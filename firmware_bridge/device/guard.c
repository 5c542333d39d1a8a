/* The guard's arithmetic; see guard.h. */
#include "guard.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT32_C(1000000)

void eb1_guard_init(eb1_guard *guard)
{
    envelope_init(&guard->envelope, 0);
    guard->saved_ns = EB1_EARLY_NS;
}

/* `wish`, or the nearest value between `now` and the safe one. */
static int32_t toward_safe(int i, int32_t now, int32_t wish)
{
    const int32_t safe = ENVELOPE_MOTIONS[i].safe_counts;
    const int32_t low = now < safe ? now : safe;
    const int32_t high = now < safe ? safe : now;
    if (wish < low) {
        return low;
    }
    return wish > high ? high : wish;
}

/* Time that actuator `i` needs for the way to `wish`, at most `most`. */
static int32_t time_needed(const envelope_memory *memory, int i, int32_t wish, int32_t most)
{
    int64_t way = (int64_t)wish - memory->last;
    int32_t rate = ENVELOPE_MOTIONS[i].rate_up_counts_per_s;
    int32_t carry = memory->carry_up;
    if (way < 0) {
        way = -way;
        rate = ENVELOPE_MOTIONS[i].rate_down_counts_per_s;
        carry = memory->carry_down;
    }
    way = way * NS_PER_S - carry;
    if (way <= 0) {
        return 0;
    }
    return way <= (int64_t)rate * most ? (int32_t)((way + rate - 1) / rate) : most;
}

void eb1_guard_step(eb1_guard *guard, const int16_t *outputs, uint32_t elapsed_ms,
                    const envelope_input *input, envelope_verdict *verdict)
{
    envelope_memory *const memory = guard->envelope.actuators;
    int32_t before[ENVELOPE_ACTUATORS_ROOM];
    int32_t used = 0;
    int32_t saved = EB1_SAVED_MAX_NS;
    if (elapsed_ms < 1000) {
        saved = guard->saved_ns + (int32_t)elapsed_ms * NS_PER_MS;
    }
    if (saved > EB1_SAVED_MAX_NS) {
        saved = EB1_SAVED_MAX_NS;
    }
    if (saved > EB1_EARLY_NS) {
        used = saved - EB1_EARLY_NS;
    }
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        before[i] = memory[i].last;
        if (memory[i].last != outputs[i]) { /* a lease or the dead man moved it */
            memory[i].last = outputs[i];
            memory[i].rest_ns = ENVELOPE_MOTIONS[i].dwell_ns;
        }
        if (input->mode == ENVELOPE_ACTIVE) {
            int32_t need;
            memory[i].last = toward_safe(i, outputs[i], input->wanted[i]);
            need = time_needed(&memory[i], i, input->wanted[i], saved);
            used = need > used ? need : used;
        }
    }
    guard->saved_ns = saved - used;
    guard->envelope.now_ns = 0; /* only differences count, and so it never ends */
    envelope_step(&guard->envelope, input, used, verdict);
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        if (verdict->command[i] != before[i]) {
            memory[i].rest_ns = ENVELOPE_MOTIONS[i].dwell_ns;
        }
    }
}
