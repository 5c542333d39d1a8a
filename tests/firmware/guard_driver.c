/* Feeds the guard from standard input and writes all that it answers to standard output.
 *
 * For tests only. Each row in is ROW numbers of 64 bits: whether the device boots first, then the
 * arguments of a step; the answer is what the guard saved and its whole memory, after the boot
 * alone when there was one, else after the step and with its command.
 * tests/firmware/guard_law.py writes the rows and says what each number is.
 */
#include <stdio.h>

#include "guard.h"
#include "put_state.h"

#define ROW (3 + 2 * ENVELOPE_ACTUATORS + 2 * ENVELOPE_SENSORS)
#define ANSWER (1 + STATE_NUMBERS + ENVELOPE_ACTUATORS)

static int64_t *step(eb1_guard *guard, const int64_t *from, int64_t *out)
{
    int16_t outputs[ENVELOPE_ACTUATORS];
    envelope_input input;
    envelope_verdict verdict;
    const uint32_t elapsed_ms = (uint32_t)*from++;
    input.mode = (uint8_t)*from++;
    input.has_wish = true;
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        outputs[i] = (int16_t)from[i];
        input.wanted[i] = (int32_t)from[ENVELOPE_ACTUATORS + i];
    }
    from += 2 * ENVELOPE_ACTUATORS;
    for (int s = 0; s < ENVELOPE_SENSORS; s++) {
        input.sensors[s] = (int32_t)from[s];
        input.qualities[s] = (uint8_t)from[ENVELOPE_SENSORS + s];
    }
    eb1_guard_step(guard, outputs, elapsed_ms, &input, &verdict);
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        *out++ = verdict.command[i];
    }
    return out;
}

int main(void)
{
    static eb1_guard guard;
    int64_t row[ROW];
    int64_t answer[ANSWER];
    while (fread(row, sizeof row, 1, stdin) == 1) {
        int64_t *end = answer;
        if (row[0] != 0) {
            eb1_guard_init(&guard);
        } else {
            end = step(&guard, row + 1, end);
        }
        *end++ = guard.saved_ms;
        end = put_state(end, &guard.envelope);
        if (fwrite(answer, sizeof *answer, (size_t)(end - answer), stdout) == 0) {
            return 1;
        }
    }
    return fflush(stdout) == 0 && feof(stdin) ? 0 : 1;
}
