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
#define EB1_EARLY_NS INT32_C(60000000)
#define EB1_SAVED_MAX_NS INT32_C(1000000000) /* the envelope takes no more in one step */

typedef struct {
    envelope_state envelope;
    int32_t saved_ns; /* time that has passed and was not given to the envelope */
} eb1_guard;

/*@ predicate sound_guard(eb1_guard g) = sound_times(g.envelope) &&
        sound_actuators(g.envelope) && sound_locks(g.envelope) &&
        0 <= g.saved_ns <= EB1_SAVED_MAX_NS;
*/

/* At boot: outputs safe, dwells begin. */
void eb1_guard_init(eb1_guard *guard);

/* `elapsed_ms` after the last call: what the outputs may do, verdict->command.
 * `outputs` are what the pins do now; with another mode than ACTIVE the command is the safe
 * values. A change of an output, whoever made it, begins its dwell. */
void eb1_guard_step(eb1_guard *guard, const int16_t *outputs, uint32_t elapsed_ms,
                    const envelope_input *input, envelope_verdict *verdict);

#endif
