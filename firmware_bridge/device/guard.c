/* The guard's arithmetic; see guard.h. */
#include "guard.h"

#define NS_PER_MS INT64_C(1000000)

void eb1_guard_init(eb1_guard *guard)
{
    envelope_init(&guard->envelope, 0);
    guard->saved_ms = EB1_EARLY_MS;
}

/* `wish`, or the nearest value between `now` and the safe one. */
/*@ requires 0 <= i < ENVELOPE_ACTUATORS && sound_motion(i);
    requires -32768 <= now <= 32767;
    assigns \nothing;
    ensures -32768 <= \result <= 32767;
    ensures between: now <= \result <= ENVELOPE_MOTIONS[i].safe_counts ||
        ENVELOPE_MOTIONS[i].safe_counts <= \result <= now;
    ensures at_once: (now <= wish <= ENVELOPE_MOTIONS[i].safe_counts ||
        ENVELOPE_MOTIONS[i].safe_counts <= wish <= now) ==> \result == wish;
*/
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

/* Whole milliseconds, at least one, in which actuator `i` makes its way to `wish`. */
/*@ requires 0 <= i < ENVELOPE_ACTUATORS && sound_motion(i);
    requires -32768 <= now <= 32767 && -32768 <= wish <= 32767;
    assigns \nothing;
    ensures 1 <= \result <= 65535001;
*/
static int32_t time_needed(int i, int32_t now, int32_t wish)
{
    int32_t way = wish - now;
    int32_t rate = ENVELOPE_MOTIONS[i].rate_up_counts_per_s;
    if (way < 0) {
        way = -way;
        rate = ENVELOPE_MOTIONS[i].rate_down_counts_per_s;
    }
    return way * 1000 / rate + 1;
}

/* The output stands at `counts` now: its dwell begins. */
/*@ requires \valid(memory) && 0 <= i < ENVELOPE_ACTUATORS && sound_motion(i);
    requires sound_memory(*memory, i);
    assigns memory->last, memory->rest_ns;
    ensures sound_memory(*memory, i) && memory->last == counts;
*/
static void moved(envelope_memory *memory, int i, int32_t counts)
{
    memory->last = counts;
    memory->rest_ns = ENVELOPE_MOTIONS[i].dwell_ns;
}

/* What actuator `i` does at once, from where its output is; the time it needs for the rest. */
/*@ requires \valid(memory) && 0 <= i < ENVELOPE_ACTUATORS && sound_motion(i);
    requires sound_memory(*memory, i);
    requires -32768 <= output <= 32767 && -32768 <= wish <= 32767;
    assigns memory->last, memory->rest_ns;
    ensures sound_memory(*memory, i) && 1 <= \result <= 65535001;
*/
static int32_t start(envelope_memory *memory, int i, int32_t output, int32_t wish)
{
    if (memory->last != output) { /* a lease or the dead man moved it */
        moved(memory, i, output);
    }
    memory->last = toward_safe(i, output, wish);
    return time_needed(i, memory->last, wish);
}

void eb1_guard_step(eb1_guard *guard, const int16_t *outputs, uint32_t elapsed_ms,
                    const envelope_input *input, envelope_verdict *verdict)
{
    int32_t before[ENVELOPE_ACTUATORS_ROOM];
    int32_t saved = EB1_SAVED_MAX_MS;
    int32_t used = 0;
    if (elapsed_ms < (uint32_t)(EB1_SAVED_MAX_MS - guard->saved_ms)) {
        saved = guard->saved_ms + (int32_t)elapsed_ms;
    }
    if (saved > EB1_EARLY_MS) {
        used = saved - EB1_EARLY_MS;
    }
    /*@ loop invariant 0 <= i <= ENVELOPE_ACTUATORS && 0 <= used <= 65535001;
        loop invariant sound_actuators(guard->envelope);
        loop assigns i, used, before[0 .. ENVELOPE_ACTUATORS - 1],
            guard->envelope.actuators[0 .. ENVELOPE_ACTUATORS - 1];
        loop variant ENVELOPE_ACTUATORS - i;
    */
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        int32_t need;
        before[i] = guard->envelope.actuators[i].last;
        need = start(&guard->envelope.actuators[i], i, outputs[i], input->wanted[i]);
        used = need > used ? need : used;
    }
    used = used < saved ? used : saved;
    guard->saved_ms = saved - used;
    guard->envelope.now_ns = 0; /* only differences count, and so it never ends */
    envelope_step(&guard->envelope, input, used * NS_PER_MS, verdict);
    /*@ loop invariant 0 <= i <= ENVELOPE_ACTUATORS;
        loop invariant sound_actuators(guard->envelope);
        loop invariant \forall integer j; 0 <= j < ENVELOPE_ACTUATORS ==>
            guard->envelope.actuators[j].last == verdict->command[j];
        loop assigns i, guard->envelope.actuators[0 .. ENVELOPE_ACTUATORS - 1];
        loop variant ENVELOPE_ACTUATORS - i;
    */
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        if (verdict->command[i] != before[i]) {
            moved(&guard->envelope.actuators[i], i, verdict->command[i]);
        }
    }
}
