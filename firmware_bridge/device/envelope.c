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
    ensures verdict->count == \old(verdict->count) + 1;
*/
static void note(envelope_verdict *verdict, uint8_t rule, int channel, int64_t number)
{
    envelope_reason *reason = &verdict->reasons[verdict->count];
    reason->rule = rule;
    reason->channel = (int16_t)channel;
    reason->number = number;
    verdict->count++;
}

/*@ requires \valid_read(motion) && sound_motion(motion);
    assigns \nothing;
    ensures motion->min_counts <= \result <= motion->max_counts;
    ensures motion->min_counts <= counts <= motion->max_counts ==> \result == counts;
*/
static int32_t clamp(int32_t counts, const envelope_motion *motion)
{
    if (counts > motion->max_counts) {
        return motion->max_counts;
    }
    return counts < motion->min_counts ? motion->min_counts : counts;
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

/*@ requires \valid_read(memory) && \valid_read(motion) && sound_motion(motion);
    requires sound_memory(memory, motion) && 0 <= dt_ns <= DT_MAX_NS;
    assigns \nothing;
    ensures 0 <= \result <= motion->travel_full;
*/
static int64_t travel_earned(const envelope_memory *memory, const envelope_motion *motion,
                             int64_t dt_ns)
{
    const int64_t earned = motion->travel_max_counts * dt_ns;
    //@ assert 0 <= earned <= 2147483647 * DT_MAX_NS;
    const int64_t budget = memory->travel + earned;
    return budget < motion->travel_full ? budget : motion->travel_full;
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
    requires sound_motion(&ENVELOPE_MOTIONS[i]);
    assigns \nothing;
    ensures 0 <= \result.up && 0 <= \result.down;
*/
static speeds allowed(int i, const tick *now)
{
    const envelope_motion *motion = &ENVELOPE_MOTIONS[i];
    speeds speed = {motion->rate_up_counts_per_s, motion->rate_down_counts_per_s};
    if (now->mode == ENVELOPE_RAMPING) {
        speed.up = now->ramping_ns >= motion->hold_ns ? motion->ramp_counts_per_s : 0;
        speed.down = speed.up;
    }
    return speed;
}

/* The wish for actuator `i` through range, dwell, travel and speed. */
/*@ requires \valid_read(memory) && \valid_read(now) && 0 <= i < ENVELOPE_ACTUATORS;
    requires sound_motion(&ENVELOPE_MOTIONS[i]) && 0 <= now->dt_ns <= DT_MAX_NS;
    requires sound_memory(memory, &ENVELOPE_MOTIONS[i]);
    requires \valid(verdict) && 0 <= verdict->count <= ENVELOPE_REASONS_MAX - 3;
    requires \separated(verdict, memory) && \separated(verdict, now);
    assigns verdict->count, verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
    ensures \old(verdict->count) <= verdict->count <= \old(verdict->count) + 3;
*/
static int32_t follow(const envelope_memory *memory, int i, int32_t wish, const tick *now,
                      envelope_verdict *verdict)
{
    const envelope_motion *motion = &ENVELOPE_MOTIONS[i];
    const int channel = ENVELOPE_SENSORS + i;
    int32_t target = clamp(wish, motion);
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
                     travel_earned(memory, motion, now->dt_ns) / (2 * motion->travel_window_ns));
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
/*@ requires \valid_read(state) && \valid_read(pair) && sound_pair(pair);
    requires sound_motion(&ENVELOPE_MOTIONS[pair->first]);
    requires sound_motion(&ENVELOPE_MOTIONS[pair->second]);
    requires \valid(verdict) && 0 <= verdict->count < ENVELOPE_REASONS_MAX;
    requires \separated(verdict, state) && \separated(verdict, pair);
    assigns verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
        verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
    ensures \old(verdict->count) <= verdict->count <= \old(verdict->count) + 1;
*/
static void exclude(const envelope_state *state, const envelope_exclusive *pair,
                    envelope_verdict *verdict)
{
    const int32_t first_closed = ENVELOPE_MOTIONS[pair->first].min_counts;
    const int32_t second_closed = ENVELOPE_MOTIONS[pair->second].min_counts;
    const bool second_stays = state->actuators[pair->second].last > second_closed &&
                              state->actuators[pair->first].last <= first_closed;
    const int loser = second_stays ? pair->first : pair->second;
    if (verdict->command[pair->first] > first_closed &&
        verdict->command[pair->second] > second_closed) {
        note(verdict, ENVELOPE_EXCLUSIVE, ENVELOPE_SENSORS + loser, verdict->command[loser]);
        verdict->command[loser] = ENVELOPE_MOTIONS[loser].min_counts;
    }
}

/* The memory of one interlock after this tick; its meaning is told in safety/interlocks.py. */
/*@ requires \valid_read(lock) && sound_lock(lock);
    requires -lock->clear_after_ticks <= n < lock->engage_after_ticks;
    assigns \nothing;
    ensures -lock->clear_after_ticks <= \result < lock->engage_after_ticks;
    ensures !good ==> \result < 0;
*/
static int32_t advance(const envelope_interlock *lock, int32_t n, bool good, int32_t value)
{
    const int32_t engaged = -lock->clear_after_ticks;
    if (!good) {
        return engaged;
    }
    if (n < 0) {
        return lock->clear_min <= value && value <= lock->clear_max ? n + 1 : engaged;
    }
    if (lock->ok_min <= value && value <= lock->ok_max) {
        return 0;
    }
    return n + 1 < lock->engage_after_ticks ? n + 1 : engaged;
}

/* Put what an engaged interlock demands into the command. */
/*@ requires \valid_read(lock) && sound_lock(lock) && sound_forces;
    requires \separated(verdict, lock);
    requires \valid(verdict) && 0 <= verdict->count;
    requires verdict->count <= ENVELOPE_REASONS_MAX - (lock->end_force - lock->first_force);
    assigns verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
        verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
    ensures \old(verdict->count) <= verdict->count;
    ensures verdict->count <= \old(verdict->count) + lock->end_force - lock->first_force;
*/
static void force(const envelope_interlock *lock, int32_t value, envelope_verdict *verdict)
{
    /*@ loop invariant lock->first_force <= k <= lock->end_force;
        loop invariant \at(verdict->count, Pre) <= verdict->count;
        loop invariant verdict->count <= \at(verdict->count, Pre) + k - lock->first_force;
        loop assigns k, verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
            verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
        loop variant lock->end_force - k;
    */
    for (int k = lock->first_force; k < lock->end_force; k++) {
        const envelope_force *forced = &ENVELOPE_FORCED[k];
        if (verdict->command[forced->actuator] != forced->counts) {
            note(verdict, ENVELOPE_INTERLOCK, lock->sensor, value);
            verdict->command[forced->actuator] = forced->counts;
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
/*@ requires \valid_read(motion) && sound_motion(motion) && 0 <= distance <= 4294967296;
    requires sound_travel(motion) && 0 <= budget <= motion->travel_full;
    assigns \nothing;
    ensures 0 <= \result <= budget;
*/
static int64_t travel_left(int64_t budget, const envelope_motion *motion, int64_t distance)
{
    if (distance > motion->travel_max_counts / 2) {
        return 0;
    }
    //@ assert 2 * distance <= motion->travel_max_counts;
    //@ assert 0 <= 2 * distance * motion->travel_window_ns;
    //@ assert 2 * distance * motion->travel_window_ns <= motion->travel_full;
    budget -= 2 * distance * motion->travel_window_ns;
    return budget > 0 ? budget : 0;
}

/* What was earned and spent. A forced move may cost more than there was; a debt would only
 * delay the next safe one. */
/*@ requires \valid(memory) && 0 <= i < ENVELOPE_ACTUATORS && 0 <= dt_ns <= DT_MAX_NS;
    requires sound_memory(memory, &ENVELOPE_MOTIONS[i]) && sound_motion(&ENVELOPE_MOTIONS[i]);
    requires sound_travel(&ENVELOPE_MOTIONS[i]) && 0 <= speed.up && 0 <= speed.down;
    assigns *memory;
    ensures sound_memory(memory, &ENVELOPE_MOTIONS[i]) && memory->last == counts;
*/
static void book(envelope_memory *memory, int i, speeds speed, int32_t counts, int64_t dt_ns)
{
    const envelope_motion *motion = &ENVELOPE_MOTIONS[i];
    const int64_t moved = (int64_t)counts - memory->last;
    memory->carry_up = saved(memory->carry_up, speed.up, dt_ns, moved);
    memory->carry_down = saved(memory->carry_down, speed.down, dt_ns, -moved);
    memory->travel = travel_left(travel_earned(memory, motion, dt_ns), motion,
                                 moved < 0 ? -moved : moved);
    memory->rest_ns = memory->rest_ns > dt_ns ? memory->rest_ns - dt_ns : 0;
    if (moved != 0) {
        memory->rest_ns = motion->dwell_ns;
    }
    memory->last = counts;
}

/* The time of this step: none passed when the clock stands or went back. */
/*@ requires \valid(state) && \valid(verdict) && \separated(state, verdict);
    requires sound_time(now_ns) && sound_time(state->now_ns);
    requires state->ramp_since_ns == -1 || sound_time(state->ramp_since_ns);
    requires verdict->count == 0;
    assigns state->now_ns, state->ramp_since_ns, verdict->count, verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
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
    if (mode != ENVELOPE_RAMPING) {
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
    requires sound_motion(&ENVELOPE_MOTIONS[i]) && 0 <= now->dt_ns <= DT_MAX_NS;
    requires sound_memory(memory, &ENVELOPE_MOTIONS[i]);
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
    if (now->mode == ENVELOPE_RAMPING) {
        return toward(memory->last, safe,
                      speed_reach(memory, allowed(i, now), safe, now->dt_ns));
    }
    return safe;
}

/* The last test, positive and independent of all above: in range, or the safe value. */
/*@ requires 0 <= i < ENVELOPE_ACTUATORS && sound_motion(&ENVELOPE_MOTIONS[i]);
    requires \valid(verdict) && 0 <= verdict->count < ENVELOPE_REASONS_MAX;
    assigns verdict->count, verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
    ensures ENVELOPE_MOTIONS[i].min_counts <= \result <= ENVELOPE_MOTIONS[i].max_counts;
    ensures \old(verdict->count) <= verdict->count <= \old(verdict->count) + 1;
*/
static int32_t checked(int i, int32_t counts, envelope_verdict *verdict)
{
    const envelope_motion *motion = &ENVELOPE_MOTIONS[i];
    if (motion->min_counts <= counts && counts <= motion->max_counts) {
        return counts;
    }
    note(verdict, ENVELOPE_INTERNAL_ERROR, ENVELOPE_SENSORS + i, counts);
    return motion->safe_counts;
}

void envelope_init(envelope_state *state, int64_t now_ns)
{
    state->now_ns = now_ns;
    state->ramp_since_ns = -1;
    /*@ loop invariant 0 <= i <= ENVELOPE_ACTUATORS;
        loop invariant \forall integer j; 0 <= j < i ==>
            sound_memory(&state->actuators[j], &ENVELOPE_MOTIONS[j]) &&
            state->actuators[j].last == ENVELOPE_MOTIONS[j].safe_counts;
        loop invariant sound_tables;
        loop assigns i, state->actuators[0 .. ENVELOPE_ACTUATORS - 1];
        loop variant ENVELOPE_ACTUATORS - i;
    */
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        const envelope_motion *motion = &ENVELOPE_MOTIONS[i];
        envelope_memory *memory = &state->actuators[i];
        memory->last = motion->safe_counts;
        memory->carry_up = 0;
        memory->carry_down = 0;
        memory->travel = motion->travel_full;
        memory->rest_ns = motion->dwell_ns; /* it may have been switched just before */
    }
    /*@ loop invariant 0 <= k <= ENVELOPE_INTERLOCKS;
        loop invariant \forall integer j; 0 <= j < k ==>
            state->locks[j] == -ENVELOPE_LOCKS[j].clear_after_ticks;
        loop invariant sound_tables;
        loop assigns k, state->locks[0 .. ENVELOPE_INTERLOCKS - 1];
        loop variant ENVELOPE_INTERLOCKS - k;
    */
    for (int k = 0; k < ENVELOPE_INTERLOCKS; k++) {
        state->locks[k] = -ENVELOPE_LOCKS[k].clear_after_ticks;
    }
}

void envelope_restart(envelope_state *state, const int32_t *measured)
{
    /*@ loop invariant 0 <= i <= ENVELOPE_ACTUATORS && sound_actuators(state);
        loop invariant \forall integer j; 0 <= j < i ==>
            ENVELOPE_MOTIONS[j].min_counts <= state->actuators[j].last &&
            state->actuators[j].last <= ENVELOPE_MOTIONS[j].max_counts;
        loop invariant sound_tables;
        loop assigns i, state->actuators[0 .. ENVELOPE_ACTUATORS - 1];
        loop variant ENVELOPE_ACTUATORS - i;
    */
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        envelope_memory *memory = &state->actuators[i];
        memory->last = clamp(measured[i], &ENVELOPE_MOTIONS[i]);
        memory->carry_up = 0;
        memory->carry_down = 0;
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
        loop invariant sound_tables;
        loop assigns i, verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
            verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
        loop variant ENVELOPE_ACTUATORS - i;
    */
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        verdict->command[i] = ask(&state->actuators[i], i, input, &now, verdict);
    }
    /*@ loop invariant 0 <= k <= ENVELOPE_EXCLUSIVES;
        loop invariant 0 <= verdict->count <= 1 + 3 * ENVELOPE_ACTUATORS + k;
        loop invariant sound_tables;
        loop assigns k, verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
            verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
        loop variant ENVELOPE_EXCLUSIVES - k;
    */
    for (int k = 0; k < ENVELOPE_EXCLUSIVES; k++) {
        exclude(state, &ENVELOPE_PAIRS[k], verdict);
    }
    /*@ loop invariant 0 <= k <= ENVELOPE_INTERLOCKS && 0 <= verdict->count;
        loop invariant k < ENVELOPE_INTERLOCKS ==> verdict->count <=
            1 + 3 * ENVELOPE_ACTUATORS + ENVELOPE_EXCLUSIVES + ENVELOPE_LOCKS[k].first_force;
        loop invariant verdict->count <=
            1 + 3 * ENVELOPE_ACTUATORS + ENVELOPE_EXCLUSIVES + ENVELOPE_FORCES;
        loop invariant sound_locks(state);
        loop invariant sound_tables;
        loop assigns k, state->locks[0 .. ENVELOPE_INTERLOCKS - 1], verdict->command[0 .. ENVELOPE_ACTUATORS - 1], verdict->count,
            verdict->reasons[0 .. ENVELOPE_REASONS_MAX - 1];
        loop variant ENVELOPE_INTERLOCKS - k;
    */
    for (int k = 0; k < ENVELOPE_INTERLOCKS; k++) {
        const envelope_interlock *lock = &ENVELOPE_LOCKS[k];
        const int32_t value = input->sensors[lock->sensor];
        const bool good = input->qualities[lock->sensor] == ENVELOPE_GOOD;
        state->locks[k] = advance(lock, state->locks[k], good, value);
        if (state->locks[k] < 0) {
            force(lock, value, verdict);
        }
    }
    /*@ loop invariant 0 <= i <= ENVELOPE_ACTUATORS;
        loop invariant 0 <= verdict->count <=
            1 + 3 * ENVELOPE_ACTUATORS + ENVELOPE_EXCLUSIVES + ENVELOPE_FORCES + i;
        loop invariant \forall integer j; 0 <= j < i ==> in_range(&verdict->command[0], j) &&
            state->actuators[j].last == verdict->command[j];
        loop invariant sound_actuators(state);
        loop invariant sound_tables;
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
