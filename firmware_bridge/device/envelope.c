/* The envelope's twin: the same next state, command and reasons as edge_agent/safety, bit for
 * bit, in C99 without malloc, without a library and without recursion.
 *
 * Owns: range, dwell, travel, speed, exclusion and interlocks of every actuator. Must not:
 * read a clock, do I/O, or trust what the stages before it did.
 *
 * Division only ever meets operands that are not negative, where C and Python agree.
 */
#include "envelope.h"

#define NS_PER_S INT64_C(1000000000)
#define DT_MAX_NS NS_PER_S /* a longer gap earns no more movement than this */

/* What all actuators share in one step. */
typedef struct {
    uint8_t mode;
    int64_t dt_ns;      /* since the last step, 0 to DT_MAX_NS */
    int64_t ramping_ns; /* since the ramp to safe began */
} tick;

/* What one actuator may do in it. */
typedef struct {
    int32_t up; /* counts per second */
    int32_t down;
} speeds;

/*@ requires \valid(verdict) && 0 <= verdict->count < ENVELOPE_REASONS_MAX;
    requires 0 <= rule <= 255 && -1 <= channel <= 32767;
    assigns verdict->count, verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
    ensures verdict->count == \old(verdict->count) + ENVELOPE_KEEPS_REASONS;
*/
static void note(envelope_verdict *verdict, uint8_t rule, int channel, int64_t number)
{
    if (ENVELOPE_KEEPS_REASONS) {
        const envelope_reason reason = {rule, (int16_t)channel, number};
        verdict->reasons[verdict->count] = reason;
        verdict->count++;
    }
}

/*@ requires 0 <= i < ENVELOPE_ACTUATORS && sound_motion(i);
    assigns \nothing;
    ensures in_range(\result, i);
    ensures in_range(counts, i) ==> \result == counts;
*/
static int32_t clamp(int i, int32_t counts)
{
    if (counts > ENVELOPE_MOTIONS[i].max_counts) {
        return ENVELOPE_MOTIONS[i].max_counts;
    }
    return counts < ENVELOPE_MOTIONS[i].min_counts ? ENVELOPE_MOTIONS[i].min_counts : counts;
}

/* `target`, or as far from `last` towards it as `reach` allows. */
/*@ requires 0 <= reach <= 4611686018427387904;
    assigns \nothing;
    ensures last <= target ==> last <= \result <= target;
    ensures target <= last ==> target <= \result <= last;
    ensures -reach <= \result - last <= reach;
*/
static int32_t toward(int32_t last, int32_t target, int64_t reach)
{
    if (target > last + reach) {
        return (int32_t)(last + reach);
    }
    return target < last - reach ? (int32_t)(last - reach) : target;
}

/*@ requires \valid_read(memory) && 0 <= i < ENVELOPE_ACTUATORS && sound_motion(i);
    requires sound_memory(*memory, i) && 0 <= dt_ns <= DT_MAX_NS;
    assigns \nothing;
    ensures 0 <= \result <= ENVELOPE_MOTIONS[i].travel_full;
*/
static int64_t travel_earned(const envelope_memory *memory, int i, int64_t dt_ns)
{
    const int64_t earned = ENVELOPE_MOTIONS[i].travel_max_counts * dt_ns;
    //@ assert 0 <= earned <= 2147483647 * DT_MAX_NS;
    const int64_t budget = memory->travel + earned;
    return budget < ENVELOPE_MOTIONS[i].travel_full ? budget : ENVELOPE_MOTIONS[i].travel_full;
}

/* How far the speed and what was saved of it reach in the direction of `target`. */
/*@ requires \valid_read(memory) && 0 <= dt_ns <= DT_MAX_NS;
    requires 0 <= memory->carry_up <= NS_PER_S && 0 <= memory->carry_down <= NS_PER_S;
    requires 0 <= speed.up && 0 <= speed.down;
    assigns \nothing;
    ensures 0 <= \result <= 2147483648;
*/
static int64_t speed_reach(const envelope_memory *memory, speeds speed, int32_t target,
                           int64_t dt_ns)
{
    if (target > memory->last) {
        return (memory->carry_up + speed.up * dt_ns) / NS_PER_S;
    }
    return (memory->carry_down + speed.down * dt_ns) / NS_PER_S;
}

/* The speeds of actuator `i`: on the way to safe its own ramp, and none while it holds. */
/*@ requires \valid_read(now) && 0 <= i < ENVELOPE_ACTUATORS;
    requires sound_motion(i);
    assigns \nothing;
    ensures 0 <= \result.up && 0 <= \result.down;
*/
static speeds allowed(int i, const tick *now)
{
    speeds speed = {ENVELOPE_MOTIONS[i].rate_up_counts_per_s,
                    ENVELOPE_MOTIONS[i].rate_down_counts_per_s};
    if (ENVELOPE_RAMPS && now->mode == ENVELOPE_RAMPING) {
        const bool holds = now->ramping_ns < ENVELOPE_MOTIONS[i].hold_ns;
        speed.up = holds ? 0 : ENVELOPE_MOTIONS[i].ramp_counts_per_s;
        speed.down = speed.up;
    }
    return speed;
}

/* The wish for actuator `i` through range, dwell, travel and speed. */
/*@ requires \valid_read(memory) && \valid_read(now) && 0 <= i < ENVELOPE_ACTUATORS;
    requires sound_motion(i) && 0 <= now->dt_ns <= DT_MAX_NS;
    requires sound_memory(*memory, i);
    requires \valid(verdict) && 0 <= verdict->count <= ENVELOPE_REASONS_MAX - 3;
    requires \separated(verdict, memory) && \separated(verdict, now);
    assigns verdict->count, verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
    ensures \old(verdict->count) <= verdict->count <= \old(verdict->count) + 3;
*/
static int32_t follow(const envelope_memory *memory, int i, int32_t wish, const tick *now,
                      envelope_verdict *verdict)
{
    const int channel = ENVELOPE_SENSORS + i;
    int32_t target = clamp(i, wish);
    int32_t reached;
    if (target != wish) {
        note(verdict, wish > target ? ENVELOPE_ABOVE_MAX : ENVELOPE_BELOW_MIN, channel, wish);
    }
    if (target == memory->last) {
        return target;
    }
    if (memory->rest_ns > now->dt_ns) {
        note(verdict, ENVELOPE_DWELL, channel, memory->rest_ns);
        return memory->last;
    }
    reached = toward(memory->last, target,
                     travel_earned(memory, i, now->dt_ns) /
                         (2 * ENVELOPE_MOTIONS[i].travel_window_ns));
    if (reached != target) {
        note(verdict, ENVELOPE_TRAVEL, channel, target);
        target = reached;
    }
    reached = toward(memory->last, target,
                     speed_reach(memory, allowed(i, now), target, now->dt_ns));
    if (reached != target) {
        note(verdict, target > reached ? ENVELOPE_RATE_UP : ENVELOPE_RATE_DOWN, channel, target);
    }
    return reached;
}

/* Of two exclusive actuators the one that is open stays; `second` yields otherwise. */
/*@ requires \valid_read(state) && 0 <= p < ENVELOPE_EXCLUSIVES && sound_pair(p);
    requires \valid(verdict) && 0 <= verdict->count < ENVELOPE_REASONS_MAX;
    requires \separated(verdict, state);
    assigns verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
        verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
    ensures \old(verdict->count) <= verdict->count <= \old(verdict->count) + 1;
*/
static void exclude(const envelope_state *state, int p, envelope_verdict *verdict)
{
    const int first = ENVELOPE_PAIRS[p].first;
    const int second = ENVELOPE_PAIRS[p].second;
    const int32_t first_closed = ENVELOPE_MOTIONS[first].min_counts;
    const int32_t second_closed = ENVELOPE_MOTIONS[second].min_counts;
    const bool second_stays = state->actuators[second].last > second_closed &&
                              state->actuators[first].last <= first_closed;
    const int loser = second_stays ? first : second;
    if (verdict->command[first] > first_closed && verdict->command[second] > second_closed) {
        note(verdict, ENVELOPE_EXCLUSIVE, ENVELOPE_SENSORS + loser, verdict->command[loser]);
        verdict->command[loser] = ENVELOPE_MOTIONS[loser].min_counts;
    }
}

/* The memory of one interlock after this tick; its meaning is told in safety/interlocks.py. */
/*@ requires 0 <= k < ENVELOPE_INTERLOCKS && sound_lock(k) && sound_lock_memory(n, k);
    assigns \nothing;
    ensures sound_lock_memory(\result, k);
    ensures !good ==> \result < 0;
*/
static int32_t advance(int k, int32_t n, bool good, int32_t value)
{
    const int32_t engaged = -ENVELOPE_LOCKS[k].clear_after_ticks;
    if (!good) {
        return engaged;
    }
    if (n < 0) {
        const bool clear =
            ENVELOPE_LOCKS[k].clear_min <= value && value <= ENVELOPE_LOCKS[k].clear_max;
        return clear ? n + 1 : engaged;
    }
    if (ENVELOPE_LOCKS[k].ok_min <= value && value <= ENVELOPE_LOCKS[k].ok_max) {
        return 0;
    }
    return n + 1 < ENVELOPE_LOCKS[k].engage_after_ticks ? n + 1 : engaged;
}

/* Put what an engaged interlock demands into the command. */
/*@ requires 0 <= k < ENVELOPE_INTERLOCKS && sound_lock(k) && sound_forces;
    requires \valid(verdict) && 0 <= verdict->count;
    requires verdict->count <= ENVELOPE_REASONS_MAX -
        (ENVELOPE_LOCKS[k].end_force - ENVELOPE_LOCKS[k].first_force);
    assigns verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
        verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
    ensures \old(verdict->count) <= verdict->count;
    ensures verdict->count <= \old(verdict->count) +
        ENVELOPE_LOCKS[k].end_force - ENVELOPE_LOCKS[k].first_force;
*/
static void force(int k, int32_t value, envelope_verdict *verdict)
{
    /*@ loop invariant ENVELOPE_LOCKS[k].first_force <= f <= ENVELOPE_LOCKS[k].end_force;
        loop invariant \at(verdict->count, Pre) <= verdict->count;
        loop invariant verdict->count <=
            \at(verdict->count, Pre) + f - ENVELOPE_LOCKS[k].first_force;
        loop assigns f, verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
            verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
        loop variant ENVELOPE_LOCKS[k].end_force - f;
    */
    for (int f = ENVELOPE_LOCKS[k].first_force; f < ENVELOPE_LOCKS[k].end_force; f++) {
        const int actuator = ENVELOPE_FORCED[f].actuator;
        if (verdict->command[actuator] != ENVELOPE_FORCED[f].counts) {
            note(verdict, ENVELOPE_INTERLOCK, ENVELOPE_LOCKS[k].sensor, value);
            verdict->command[actuator] = ENVELOPE_FORCED[f].counts;
        }
    }
}

/* Speed left after a tick that moved so far in its direction, at most one count's worth. */
/*@ requires 0 <= carry <= NS_PER_S && 0 <= rate && 0 <= dt_ns <= DT_MAX_NS;
    requires -4294967296 <= moved <= 4294967296;
    assigns \nothing;
    ensures 0 <= \result <= NS_PER_S;
*/
static int32_t saved(int32_t carry, int32_t rate, int64_t dt_ns, int64_t moved)
{
    int64_t left = carry + rate * dt_ns;
    if (moved > 0) {
        left -= moved * NS_PER_S;
    }
    if (left < 0) {
        return 0;
    }
    return (int32_t)(left < NS_PER_S ? left : NS_PER_S);
}

/* Travel left after a move. More than a full bucket empties it, whatever the product. */
/*@ requires 0 <= i < ENVELOPE_ACTUATORS && sound_motion(i) && 0 <= distance <= 4294967296;
    requires sound_travel(i) && 0 <= budget <= ENVELOPE_MOTIONS[i].travel_full;
    assigns \nothing;
    ensures 0 <= \result <= budget;
*/
static int64_t travel_left(int64_t budget, int i, int64_t distance)
{
    if (distance > ENVELOPE_MOTIONS[i].travel_max_counts / 2) {
        return 0;
    }
    const int64_t twice = 2 * distance;
    //@ assert 0 <= twice <= ENVELOPE_MOTIONS[i].travel_max_counts;
    /*@ assert 0 <= twice * ENVELOPE_MOTIONS[i].travel_window_ns <=
            ENVELOPE_MOTIONS[i].travel_max_counts * ENVELOPE_MOTIONS[i].travel_window_ns; */
    budget -= twice * ENVELOPE_MOTIONS[i].travel_window_ns;
    return budget > 0 ? budget : 0;
}

/* What was earned and spent. A forced move may cost more than there was; a debt would only
 * delay the next safe one. */
/*@ requires \valid(memory) && 0 <= i < ENVELOPE_ACTUATORS && 0 <= dt_ns <= DT_MAX_NS;
    requires sound_memory(*memory, i) && sound_motion(i);
    requires sound_travel(i) && 0 <= speed.up && 0 <= speed.down;
    assigns *memory;
    ensures sound_memory(*memory, i) && memory->last == counts;
*/
static void book(envelope_memory *memory, int i, speeds speed, int32_t counts, int64_t dt_ns)
{
    const int64_t moved = (int64_t)counts - memory->last;
    memory->carry_up = saved(memory->carry_up, speed.up, dt_ns, moved);
    memory->carry_down = saved(memory->carry_down, speed.down, dt_ns, -moved);
    memory->travel =
        travel_left(travel_earned(memory, i, dt_ns), i, moved < 0 ? -moved : moved);
    memory->rest_ns = memory->rest_ns > dt_ns ? memory->rest_ns - dt_ns : 0;
    if (moved != 0) {
        memory->rest_ns = ENVELOPE_MOTIONS[i].dwell_ns;
    }
    memory->last = counts;
}

/* The time of this step: none passed when the clock stands or went back. */
/*@ requires \valid(state) && \valid(verdict) && \separated(state, verdict);
    requires sound_time(now_ns) && sound_time(state->now_ns);
    requires state->ramp_since_ns == -1 || sound_time(state->ramp_since_ns);
    requires verdict->count == 0;
    assigns state->now_ns, state->ramp_since_ns, verdict->count,
        verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
    ensures 0 <= verdict->count <= 1 && 0 <= \result.dt_ns <= DT_MAX_NS;
    ensures sound_time(state->now_ns) && \result.mode == mode;
    ensures state->now_ns >= \old(state->now_ns);
    ensures state->ramp_since_ns == -1 || sound_time(state->ramp_since_ns);
*/
static tick begin(envelope_state *state, uint8_t mode, int64_t now_ns, envelope_verdict *verdict)
{
    tick now = {mode, now_ns - state->now_ns, 0};
    if (now.dt_ns <= 0) {
        note(verdict, ENVELOPE_CLOCK_FAULT, -1, now.dt_ns);
        now.dt_ns = 0;
    } else {
        state->now_ns = now_ns;
        now.dt_ns = now.dt_ns < DT_MAX_NS ? now.dt_ns : DT_MAX_NS;
    }
    if (!ENVELOPE_RAMPS || mode != ENVELOPE_RAMPING) {
        state->ramp_since_ns = -1;
    } else if (state->ramp_since_ns < 0) {
        state->ramp_since_ns = now_ns;
    } else {
        now.ramping_ns = now_ns - state->ramp_since_ns;
    }
    return now;
}

/* What mode and wish ask of actuator `i`, before exclusions and interlocks. */
/*@ requires \valid_read(memory) && \valid_read(now) && 0 <= i < ENVELOPE_ACTUATORS;
    requires sound_motion(i) && 0 <= now->dt_ns <= DT_MAX_NS;
    requires sound_memory(*memory, i);
    requires \valid(verdict) && 0 <= verdict->count <= ENVELOPE_REASONS_MAX - 3;
    requires \separated(verdict, memory) && \separated(verdict, now);
    requires \valid_read(input) && \separated(verdict, input);
    assigns verdict->count, verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
    ensures \old(verdict->count) <= verdict->count <= \old(verdict->count) + 3;
*/
static int32_t ask(const envelope_memory *memory, int i, const envelope_input *input,
                   const tick *now, envelope_verdict *verdict)
{
    const int32_t safe = ENVELOPE_MOTIONS[i].safe_counts;
    if (now->mode == ENVELOPE_ACTIVE && input->has_wish) {
        return follow(memory, i, input->wanted[i], now, verdict);
    }
    if (now->mode == ENVELOPE_ACTIVE || now->mode == ENVELOPE_HOLDING) {
        return memory->last;
    }
    if (ENVELOPE_RAMPS && now->mode == ENVELOPE_RAMPING) {
        return toward(memory->last, safe,
                      speed_reach(memory, allowed(i, now), safe, now->dt_ns));
    }
    return safe;
}

/* The last test, positive and independent of all above: in range, or the safe value. */
/*@ requires 0 <= i < ENVELOPE_ACTUATORS && sound_motion(i);
    requires \valid(verdict) && 0 <= verdict->count < ENVELOPE_REASONS_MAX;
    assigns verdict->count, verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
    ensures in_range(\result, i);
    ensures \old(verdict->count) <= verdict->count <= \old(verdict->count) + 1;
*/
static int32_t checked(int i, int32_t counts, envelope_verdict *verdict)
{
    if (ENVELOPE_MOTIONS[i].min_counts <= counts && counts <= ENVELOPE_MOTIONS[i].max_counts) {
        return counts;
    }
    note(verdict, ENVELOPE_INTERNAL_ERROR, ENVELOPE_SENSORS + i, counts);
    return ENVELOPE_MOTIONS[i].safe_counts;
}

void envelope_init(envelope_state *state, int64_t now_ns)
{
    state->now_ns = now_ns;
    state->ramp_since_ns = -1;
    /*@ loop invariant 0 <= i <= ENVELOPE_ACTUATORS;
        loop invariant \forall integer j; 0 <= j < i ==>
            sound_memory(state->actuators[j], j) &&
            state->actuators[j].last == ENVELOPE_MOTIONS[j].safe_counts;
        loop assigns i, state->actuators[0 .. ENVELOPE_ACTUATORS - 1];
        loop variant ENVELOPE_ACTUATORS - i;
    */
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        state->actuators[i].last = ENVELOPE_MOTIONS[i].safe_counts;
        state->actuators[i].carry_up = 0;
        state->actuators[i].carry_down = 0;
        state->actuators[i].travel = ENVELOPE_MOTIONS[i].travel_full;
        /* it may have been switched just before */
        state->actuators[i].rest_ns = ENVELOPE_MOTIONS[i].dwell_ns;
    }
    /*@ loop invariant 0 <= k <= ENVELOPE_INTERLOCKS;
        loop invariant \forall integer j; 0 <= j < k ==>
            state->locks[j] == -ENVELOPE_LOCKS[j].clear_after_ticks;
        loop assigns k, state->locks[0 .. ENVELOPE_INTERLOCKS - 1];
        loop variant ENVELOPE_INTERLOCKS - k;
    */
    for (int k = 0; k < ENVELOPE_INTERLOCKS; k++) {
        state->locks[k] = -ENVELOPE_LOCKS[k].clear_after_ticks;
    }
}

void envelope_restart(envelope_state *state, const int32_t *measured)
{
    /*@ loop invariant 0 <= i <= ENVELOPE_ACTUATORS && sound_actuators(*state);
        loop invariant \forall integer j; 0 <= j < i ==>
            in_range(state->actuators[j].last, j);
        loop assigns i, state->actuators[0 .. ENVELOPE_ACTUATORS - 1];
        loop variant ENVELOPE_ACTUATORS - i;
    */
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        state->actuators[i].last = clamp(i, measured[i]);
        state->actuators[i].carry_up = 0;
        state->actuators[i].carry_down = 0;
    }
}

void envelope_step(envelope_state *state, const envelope_input *input, int64_t now_ns,
                   envelope_verdict *verdict)
{
    tick now;
    verdict->count = 0;
    now = begin(state, input->mode, now_ns, verdict);
    /*@ loop invariant 0 <= i <= ENVELOPE_ACTUATORS;
        loop invariant 0 <= verdict->count <= 1 + 3 * i;
        loop assigns i, verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
            verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
        loop variant ENVELOPE_ACTUATORS - i;
    */
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        verdict->command[i] = ask(&state->actuators[i], i, input, &now, verdict);
    }
    /*@ loop invariant 0 <= k <= ENVELOPE_EXCLUSIVES;
        loop invariant 0 <= verdict->count <= 1 + 3 * ENVELOPE_ACTUATORS + k;
        loop assigns k, verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
            verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
        loop variant ENVELOPE_EXCLUSIVES - k;
    */
    for (int k = 0; k < ENVELOPE_EXCLUSIVES; k++) {
        exclude(state, k, verdict);
    }
    /*@ loop invariant 0 <= k <= ENVELOPE_INTERLOCKS && 0 <= verdict->count;
        loop invariant k < ENVELOPE_INTERLOCKS ==> verdict->count <=
            1 + 3 * ENVELOPE_ACTUATORS + ENVELOPE_EXCLUSIVES + ENVELOPE_LOCKS[k].first_force;
        loop invariant verdict->count <=
            1 + 3 * ENVELOPE_ACTUATORS + ENVELOPE_EXCLUSIVES + ENVELOPE_FORCES;
        loop invariant sound_locks(*state);
        loop assigns k, state->locks[0 .. ENVELOPE_INTERLOCKS - 1],
            verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
            verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
        loop variant ENVELOPE_INTERLOCKS - k;
    */
    for (int k = 0; k < ENVELOPE_INTERLOCKS; k++) {
        const int sensor = ENVELOPE_LOCKS[k].sensor;
        const int32_t value = input->sensors[sensor];
        const bool good = input->qualities[sensor] == ENVELOPE_GOOD;
        state->locks[k] = advance(k, state->locks[k], good, value);
        if (state->locks[k] < 0) {
            force(k, value, verdict);
        }
    }
    /*@ loop invariant 0 <= i <= ENVELOPE_ACTUATORS;
        loop invariant 0 <= verdict->count <=
            1 + 3 * ENVELOPE_ACTUATORS + ENVELOPE_EXCLUSIVES + ENVELOPE_FORCES + i;
        loop invariant \forall integer j; 0 <= j < i ==> in_range(verdict->command[j], j) &&
            state->actuators[j].last == verdict->command[j];
        loop invariant sound_actuators(*state);
        loop assigns i, state->actuators[0 .. ENVELOPE_ACTUATORS - 1],
            verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
            verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
        loop variant ENVELOPE_ACTUATORS - i;
    */
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        const int32_t counts = checked(i, verdict->command[i], verdict);
        verdict->command[i] = counts;
        book(&state->actuators[i], i, allowed(i, &now), counts, now.dt_ns);
    }
}
