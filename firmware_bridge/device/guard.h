/* The microcontroller's own limits: the envelope's twin over the generated, wider tables.
 *
 * Owns: how far the outputs may follow a wish. Must not: know why a wish comes, or when.
 *
 * Two things differ from the host. A wish between an output and its safe value passes at
 * once. And a command may arrive up to EB1_EARLY_MS sooner after the one before than the host
 * left between them, because a line delays unevenly: that much time stays saved up.
 */
#ifndef EB1_GUARD_H
#define EB1_GUARD_H

#include "envelope.h"

/* The age limit of a SET, five tokens and the one it was told in: no applied one is later. */
#define EB1_EARLY_MS 60
#define EB1_SAVED_MAX_MS 1000 /* the envelope takes no more in one step */

typedef struct {
    envelope_state envelope;
    int32_t saved_ms; /* time that has passed and was not given to the envelope */
} eb1_guard;

/*@ // A wish of the wire, an int16; or what the envelope may be given in another mode.
    predicate int16_wishes(envelope_input input) = \forall integer i;
        0 <= i < ENVELOPE_ACTUATORS ==> -32768 <= input.wanted[i] <= 32767;
    predicate sound_guard(eb1_guard g) = sound_times(g.envelope) &&
        sound_actuators(g.envelope) && sound_locks(g.envelope) &&
        0 <= g.saved_ms <= EB1_SAVED_MAX_MS;
*/

/* At boot: outputs safe, dwells begin. */
/*@ requires \valid(guard) && sound_tables;
    requires \separated(guard, &ENVELOPE_MOTIONS[0 .. ENVELOPE_ACTUATORS - 1],
        &ENVELOPE_LOCKS[0 .. ENVELOPE_INTERLOCKS - 1],
        &ENVELOPE_FORCED[0 .. ENVELOPE_FORCES - 1],
        &ENVELOPE_PAIRS[0 .. ENVELOPE_EXCLUSIVES - 1]);
    assigns *guard;
    ensures sound_guard(*guard);
    ensures safe: \forall integer i; 0 <= i < ENVELOPE_ACTUATORS ==>
        guard->envelope.actuators[i].last == ENVELOPE_MOTIONS[i].safe_counts;
*/
void eb1_guard_init(eb1_guard *guard);

/* `elapsed_ms` after the last call: what the outputs may do, verdict->command.
 * `outputs` are what the pins do now; with another mode than ACTIVE the command is the safe
 * values, whatever the wish. A change of an output, whoever made it, begins its dwell. */
/*@ requires \valid(guard) && \valid_read(input) && \valid(verdict);
    requires \valid_read(outputs + (0 .. ENVELOPE_ACTUATORS - 1));
    requires \separated(guard, input, verdict, outputs + (0 .. ENVELOPE_ACTUATORS - 1),
        &ENVELOPE_MOTIONS[0 .. ENVELOPE_ACTUATORS - 1],
        &ENVELOPE_LOCKS[0 .. ENVELOPE_INTERLOCKS - 1],
        &ENVELOPE_FORCED[0 .. ENVELOPE_FORCES - 1],
        &ENVELOPE_PAIRS[0 .. ENVELOPE_EXCLUSIVES - 1]);
    requires sound_tables && sound_guard(*guard) && int16_wishes(*input);
    assigns *guard, *verdict;
    ensures sound_guard(*guard);
    ensures in_range: \forall integer i; 0 <= i < ENVELOPE_ACTUATORS ==>
        in_range(verdict->command[i], i);
    ensures remembered: \forall integer i; 0 <= i < ENVELOPE_ACTUATORS ==>
        guard->envelope.actuators[i].last == verdict->command[i];
*/
void eb1_guard_step(eb1_guard *guard, const int16_t *outputs, uint32_t elapsed_ms,
                    const envelope_input *input, envelope_verdict *verdict);

#endif
