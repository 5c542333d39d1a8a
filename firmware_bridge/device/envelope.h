/* The envelope for a machine without an operating system: types and the three calls.
 *
 * Owns: what goes into and comes out of the twin of edge_agent/safety/envelope.py. Must not:
 * hold memory of its own; the caller owns state, input and verdict, all of fixed size.
 *
 * The limits of one device are a generated header, chosen by the build:
 *   cc -DENVELOPE_LIMITS_H='"limits_air_handler.h"' ...
 *
 * Counts are units of a channel's resolution; times are nanoseconds of a clock that starts at
 * zero and never goes back. Channels are numbered sensors first, then actuators.
 */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

/* ---- the shape of the generated tables ------------------------------------------------ */

typedef struct {
    int32_t min_counts;
    int32_t max_counts;
    int32_t safe_counts;
    int32_t rate_up_counts_per_s;
    int32_t rate_down_counts_per_s;
    int32_t ramp_counts_per_s; /* on the way to safe, both directions */
    int32_t travel_max_counts; /* sum of |moves| in any travel window */
    int64_t travel_window_ns;
    int64_t travel_full; /* half of it, in counts * 2 * window: max * window */
    int64_t dwell_ns; /* a wish may change it so long after the last change */
    int64_t hold_ns;  /* the way to safe begins with standing still */
} envelope_motion;

typedef struct {
    int32_t ok_min;
    int32_t ok_max;
    int32_t clear_min;
    int32_t clear_max;
    int32_t engage_after_ticks;
    int32_t clear_after_ticks;
    int16_t sensor;
    int16_t first_force; /* its part of ENVELOPE_FORCED */
    int16_t end_force;
} envelope_interlock;

typedef struct {
    int16_t actuator;
    int32_t counts;
} envelope_force;

typedef struct {
    int16_t first;
    int16_t second; /* yields */
} envelope_exclusive;

#ifndef ENVELOPE_LIMITS_H
#error "name the limits of the device: -DENVELOPE_LIMITS_H='\"limits_air_handler.h\"'"
#endif
#include ENVELOPE_LIMITS_H

/* ---- numbers shared with edge_agent/core/records.py: never renumber -------------------- */

enum {
    ENVELOPE_ACTIVE = 2,
    ENVELOPE_HOLDING = 3,
    ENVELOPE_RAMPING = 4
    /* every other mode demands the safe values */
};

enum { ENVELOPE_GOOD = 0 /* every other quality is no value */ };

enum {
    ENVELOPE_ABOVE_MAX = 20,
    ENVELOPE_BELOW_MIN = 21,
    ENVELOPE_RATE_UP = 22,
    ENVELOPE_RATE_DOWN = 23,
    ENVELOPE_TRAVEL = 24,
    ENVELOPE_EXCLUSIVE = 25,
    ENVELOPE_INTERLOCK = 26,
    ENVELOPE_DWELL = 27,
    ENVELOPE_CLOCK_FAULT = 42,
    ENVELOPE_INTERNAL_ERROR = 45
};

/* ---- what a step reads and writes ------------------------------------------------------- */

/* A build that never asks for the way to safe, and keeps no reasons, leaves them out: the
 * limits of a microcontroller say so. Commands are the same. */
#ifndef ENVELOPE_KEEPS_REASONS
#define ENVELOPE_KEEPS_REASONS 1
#endif
#ifndef ENVELOPE_RAMPS
#define ENVELOPE_RAMPS 1
#endif

/* C has no array without elements; a device without interlocks keeps one unused. */
#define ENVELOPE_ROOM(n) ((n) > 0 ? (n) : 1)

/* Limits that come at run time (targets/host) name their own room; others need just theirs. */
#ifndef ENVELOPE_ACTUATORS_ROOM
#define ENVELOPE_ACTUATORS_ROOM ENVELOPE_ACTUATORS
#define ENVELOPE_SENSORS_ROOM ENVELOPE_ROOM(ENVELOPE_SENSORS)
#define ENVELOPE_INTERLOCKS_ROOM ENVELOPE_ROOM(ENVELOPE_INTERLOCKS)
#define ENVELOPE_REASONS_ROOM (ENVELOPE_KEEPS_REASONS ? ENVELOPE_REASONS_MAX : 1)
#endif

/* One step notes at most: the clock once; per actuator range, travel, speed and the last test
 * (a dwell takes the place of travel and speed); each exclusion and each force once. */
#define ENVELOPE_REASONS_MAX \
    (1 + 4 * ENVELOPE_ACTUATORS + ENVELOPE_EXCLUSIVES + ENVELOPE_FORCES)

typedef struct {
    int32_t last;       /* last command, counts */
    int32_t carry_up;   /* speed not used yet, counts*ns, 0 to one count's worth */
    int32_t carry_down;
    int64_t travel;     /* travel left, counts * 2 * window, 0 to travel_full */
    int64_t rest_ns;    /* until a wish may change it again, 0 to dwell_ns */
} envelope_memory;

typedef struct {
    int64_t now_ns;
    int64_t ramp_since_ns; /* start of the present ramp to safe, -1 when there is none */
    envelope_memory actuators[ENVELOPE_ACTUATORS_ROOM];
    int32_t locks[ENVELOPE_INTERLOCKS_ROOM]; /* below 0: engaged */
} envelope_state;

typedef struct {
    uint8_t mode;
    bool has_wish;
    int32_t wanted[ENVELOPE_ACTUATORS_ROOM]; /* read only when ACTIVE with a wish */
    int32_t sensors[ENVELOPE_SENSORS_ROOM];
    uint8_t qualities[ENVELOPE_SENSORS_ROOM];
} envelope_input;

typedef struct {
    uint8_t rule;
    int16_t channel; /* -1: no single one */
    int64_t number;  /* counts, or nanoseconds: what triggered the rule */
} envelope_reason;

typedef struct {
    int32_t command[ENVELOPE_ACTUATORS_ROOM]; /* always complete, always in range */
    int16_t count;
    envelope_reason reasons[ENVELOPE_REASONS_ROOM];
} envelope_verdict;

/* ---- what is proved (make prove): the contract language is ACSL ------------------------- */

/*@ // What safety/checks.py demands of the tables of every device, by row.
    predicate sound_motion(integer i) =
        -32767 <= ENVELOPE_MOTIONS[i].min_counts <= ENVELOPE_MOTIONS[i].safe_counts &&
        ENVELOPE_MOTIONS[i].safe_counts <= ENVELOPE_MOTIONS[i].max_counts <= 32767 &&
        0 < ENVELOPE_MOTIONS[i].rate_up_counts_per_s &&
        0 < ENVELOPE_MOTIONS[i].rate_down_counts_per_s &&
        0 < ENVELOPE_MOTIONS[i].ramp_counts_per_s &&
        0 < ENVELOPE_MOTIONS[i].travel_max_counts &&
        0 < ENVELOPE_MOTIONS[i].travel_window_ns <= 1000000000000000 &&
        0 < ENVELOPE_MOTIONS[i].travel_full <= 1152921504606846976 &&
        0 <= ENVELOPE_MOTIONS[i].dwell_ns <= 1000000000000000 &&
        0 <= ENVELOPE_MOTIONS[i].hold_ns <= 1000000000000000;
    predicate sound_travel(integer i) =
        ENVELOPE_MOTIONS[i].travel_max_counts * ENVELOPE_MOTIONS[i].travel_window_ns ==
            ENVELOPE_MOTIONS[i].travel_full;
    predicate sound_lock(integer k) =
        1 <= ENVELOPE_LOCKS[k].engage_after_ticks && 1 <= ENVELOPE_LOCKS[k].clear_after_ticks &&
        0 <= ENVELOPE_LOCKS[k].sensor < ENVELOPE_SENSORS &&
        0 <= ENVELOPE_LOCKS[k].first_force <= ENVELOPE_LOCKS[k].end_force <= ENVELOPE_FORCES;
    predicate sound_pair(integer p) =
        0 <= ENVELOPE_PAIRS[p].first < ENVELOPE_ACTUATORS &&
        0 <= ENVELOPE_PAIRS[p].second < ENVELOPE_ACTUATORS;

    predicate sound_forces = \forall integer f; 0 <= f < ENVELOPE_FORCES ==>
        0 <= ENVELOPE_FORCED[f].actuator < ENVELOPE_ACTUATORS;
    predicate sound_tables =
        (\forall integer i; 0 <= i < ENVELOPE_ACTUATORS ==> sound_motion(i) && sound_travel(i)) &&
        (\forall integer k; 0 <= k < ENVELOPE_INTERLOCKS ==> sound_lock(k)) &&
        (\forall integer k; 0 <= k < ENVELOPE_INTERLOCKS - 1 ==>
            ENVELOPE_LOCKS[k].end_force == ENVELOPE_LOCKS[k + 1].first_force) &&
        (0 < ENVELOPE_INTERLOCKS ==> ENVELOPE_LOCKS[0].first_force == 0) &&
        (\forall integer p; 0 <= p < ENVELOPE_EXCLUSIVES ==> sound_pair(p)) &&
        sound_forces;

    // What every call needs of its memory, and leaves behind. The last command may be
    // anything: the last test does not trust it.
    predicate sound_memory(envelope_memory a, integer i) =
        0 <= a.carry_up <= 1000000000 && 0 <= a.carry_down <= 1000000000 &&
        0 <= a.travel <= ENVELOPE_MOTIONS[i].travel_full &&
        0 <= a.rest_ns <= ENVELOPE_MOTIONS[i].dwell_ns;
    predicate sound_lock_memory(integer n, integer k) =
        -ENVELOPE_LOCKS[k].clear_after_ticks <= n < ENVELOPE_LOCKS[k].engage_after_ticks;
    predicate sound_time(integer ns) = 0 <= ns <= 4611686018427387904;
    predicate sound_actuators(envelope_state s) = \forall integer i;
        0 <= i < ENVELOPE_ACTUATORS ==> sound_memory(s.actuators[i], i);
    predicate sound_locks(envelope_state s) = \forall integer k;
        0 <= k < ENVELOPE_INTERLOCKS ==> sound_lock_memory(s.locks[k], k);
    predicate sound_times(envelope_state s) = sound_time(s.now_ns) &&
        (s.ramp_since_ns == -1 || sound_time(s.ramp_since_ns));
    predicate in_range(integer counts, integer i) =
        ENVELOPE_MOTIONS[i].min_counts <= counts <= ENVELOPE_MOTIONS[i].max_counts;
*/

/* At boot: everything safe, nothing saved up, every interlock engaged. */
/*@ requires \valid(state) && sound_tables && sound_time(now_ns);
    requires \separated(state, &ENVELOPE_MOTIONS[0 .. ENVELOPE_ACTUATORS - 1],
        &ENVELOPE_LOCKS[0 .. ENVELOPE_INTERLOCKS - 1],
        &ENVELOPE_FORCED[0 .. ENVELOPE_FORCES - 1],
        &ENVELOPE_PAIRS[0 .. ENVELOPE_EXCLUSIVES - 1]);
    assigns *state;
    ensures sound_times(*state) && sound_actuators(*state) && sound_locks(*state);
    ensures safe: \forall integer i; 0 <= i < ENVELOPE_ACTUATORS ==>
        state->actuators[i].last == ENVELOPE_MOTIONS[i].safe_counts;
    ensures engaged: \forall integer k; 0 <= k < ENVELOPE_INTERLOCKS ==> state->locks[k] < 0;
*/
void envelope_init(envelope_state *state, int64_t now_ns);

/* Continue from what the hardware applies, so that activation makes no jump. */
/*@ requires \valid(state) && \valid_read(measured + (0 .. ENVELOPE_ACTUATORS - 1));
    requires \separated(state, measured + (0 .. ENVELOPE_ACTUATORS - 1));
    requires \separated(state, &ENVELOPE_MOTIONS[0 .. ENVELOPE_ACTUATORS - 1],
        &ENVELOPE_LOCKS[0 .. ENVELOPE_INTERLOCKS - 1],
        &ENVELOPE_FORCED[0 .. ENVELOPE_FORCES - 1],
        &ENVELOPE_PAIRS[0 .. ENVELOPE_EXCLUSIVES - 1]);
    requires sound_tables && sound_actuators(*state);
    assigns state->actuators[0 .. ENVELOPE_ACTUATORS - 1];
    ensures sound_actuators(*state);
    ensures in_range: \forall integer i; 0 <= i < ENVELOPE_ACTUATORS ==>
        in_range(state->actuators[i].last, i);
*/
void envelope_restart(envelope_state *state, const int32_t *measured);

/* One tick: the next state, and a complete command with every reason that shaped it. */
/*@ requires \valid(state) && \valid_read(input) && \valid(verdict);
    requires \separated(state, input, verdict, &ENVELOPE_MOTIONS[0 .. ENVELOPE_ACTUATORS - 1],
        &ENVELOPE_LOCKS[0 .. ENVELOPE_INTERLOCKS - 1],
        &ENVELOPE_FORCED[0 .. ENVELOPE_FORCES - 1],
        &ENVELOPE_PAIRS[0 .. ENVELOPE_EXCLUSIVES - 1]);
    requires sound_tables && sound_time(now_ns);
    requires sound_times(*state) && sound_actuators(*state) && sound_locks(*state);
    assigns *state, *verdict;
    ensures in_range: \forall integer i; 0 <= i < ENVELOPE_ACTUATORS ==>
        in_range(verdict->command[i], i);
    ensures remembered: \forall integer i; 0 <= i < ENVELOPE_ACTUATORS ==>
        state->actuators[i].last == verdict->command[i];
    ensures 0 <= verdict->count <= ENVELOPE_REASONS_MAX;
    ensures sound_times(*state) && sound_actuators(*state) && sound_locks(*state);
    ensures state->now_ns >= \old(state->now_ns);
*/
void envelope_step(envelope_state *state, const envelope_input *input, int64_t now_ns,
                   envelope_verdict *verdict);

#endif
