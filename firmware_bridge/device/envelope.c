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

static void note(envelope_verdict *verdict, uint8_t rule, int channel, int64_t number)
{
    envelope_reason *reason = &verdict->reasons[verdict->count];
    reason->rule = rule;
    reason->channel = (int16_t)channel;
    reason->number = number;
    verdict->count++;
}

static int32_t clamp(int32_t counts, const envelope_motion *motion)
{
    if (counts > motion->max_counts) {
        return motion->max_counts;
    }
    return counts < motion->min_counts ? motion->min_counts : counts;
}

/* `target`, or as far from `last` towards it as `reach` allows. */
static int32_t toward(int32_t last, int32_t target, int64_t reach)
{
    if (target > last + reach) {
        return (int32_t)(last + reach);
    }
    return target < last - reach ? (int32_t)(last - reach) : target;
}

static int64_t travel_earned(const envelope_memory *memory, const envelope_motion *motion,
                             int64_t dt_ns)
{
    const int64_t full = motion->travel_max_counts * motion->travel_window_ns;
    const int64_t budget = memory->travel + motion->travel_max_counts * dt_ns;
    return budget < full ? budget : full;
}

/* How far the speed and what was saved of it reach in the direction of `target`. */
static int64_t speed_reach(const envelope_memory *memory, speeds speed, int32_t target,
                           int64_t dt_ns)
{
    if (target > memory->last) {
        return (memory->carry_up + speed.up * dt_ns) / NS_PER_S;
    }
    return (memory->carry_down + speed.down * dt_ns) / NS_PER_S;
}

/* The speeds of actuator `i`: on the way to safe its own ramp, and none while it holds. */
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
static void force(const envelope_interlock *lock, int32_t value, envelope_verdict *verdict)
{
    for (int k = lock->first_force; k < lock->end_force; k++) {
        const envelope_force *forced = &ENVELOPE_FORCED[k];
        if (verdict->command[forced->actuator] != forced->counts) {
            note(verdict, ENVELOPE_INTERLOCK, lock->sensor, value);
            verdict->command[forced->actuator] = forced->counts;
        }
    }
}

/* Speed left after a tick that moved so far in its direction, at most one count's worth. */
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
static int64_t travel_left(int64_t budget, const envelope_motion *motion, int64_t distance)
{
    if (2 * distance > motion->travel_max_counts) {
        return 0;
    }
    budget -= 2 * distance * motion->travel_window_ns;
    return budget > 0 ? budget : 0;
}

/* What was earned and spent. A forced move may cost more than there was; a debt would only
 * delay the next safe one. */
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
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        const envelope_motion *motion = &ENVELOPE_MOTIONS[i];
        envelope_memory *memory = &state->actuators[i];
        memory->last = motion->safe_counts;
        memory->carry_up = 0;
        memory->carry_down = 0;
        memory->travel = motion->travel_max_counts * motion->travel_window_ns;
        memory->rest_ns = motion->dwell_ns; /* it may have been switched just before */
    }
    for (int k = 0; k < ENVELOPE_INTERLOCKS; k++) {
        state->locks[k] = -ENVELOPE_LOCKS[k].clear_after_ticks;
    }
}

void envelope_restart(envelope_state *state, const int32_t *measured)
{
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
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        verdict->command[i] = ask(&state->actuators[i], i, input, &now, verdict);
    }
    for (int k = 0; k < ENVELOPE_EXCLUSIVES; k++) {
        exclude(state, &ENVELOPE_PAIRS[k], verdict);
    }
    for (int k = 0; k < ENVELOPE_INTERLOCKS; k++) {
        const envelope_interlock *lock = &ENVELOPE_LOCKS[k];
        const int32_t value = input->sensors[lock->sensor];
        const bool good = input->qualities[lock->sensor] == ENVELOPE_GOOD;
        state->locks[k] = advance(lock, state->locks[k], good, value);
        if (state->locks[k] < 0) {
            force(lock, value, verdict);
        }
    }
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        const int32_t counts = checked(i, verdict->command[i], verdict);
        verdict->command[i] = counts;
        book(&state->actuators[i], i, allowed(i, &now), counts, now.dt_ns);
    }
}
