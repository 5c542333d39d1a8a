/* Feeds the envelope from standard input and writes all that it answers to standard output.
 *
 * For tests only. Each row in is ROW numbers of 64 bits: what to do, then its arguments; the
 * answer is the whole state and, for a step, the command, the number of reasons and the reasons.
 * tests/firmware/differential.py writes the rows and says what each number is.
 */
#include <stdio.h>

#include "put_state.h"

#define STEP_ARGUMENTS (3 + ENVELOPE_ACTUATORS + 2 * ENVELOPE_SENSORS)
#define ROW (1 + (STEP_ARGUMENTS > STATE_NUMBERS ? STEP_ARGUMENTS : STATE_NUMBERS))
#define ANSWER (STATE_NUMBERS + ENVELOPE_ACTUATORS + 1 + 3 * ENVELOPE_REASONS_MAX)

enum { OP_STEP, OP_INIT, OP_RESTART, OP_LOAD };

static void load(envelope_state *state, const int64_t *from)
{
    state->now_ns = *from++;
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        envelope_memory *memory = &state->actuators[i];
        memory->last = (int32_t)from[i];
        memory->carry_up = (int32_t)from[ENVELOPE_ACTUATORS + i];
        memory->carry_down = (int32_t)from[2 * ENVELOPE_ACTUATORS + i];
        memory->travel = from[3 * ENVELOPE_ACTUATORS + i];
        memory->rest_ns = from[4 * ENVELOPE_ACTUATORS + i];
    }
    from += 5 * ENVELOPE_ACTUATORS;
    for (int k = 0; k < ENVELOPE_INTERLOCKS; k++) {
        state->locks[k] = (int32_t)*from++;
    }
    state->ramp_since_ns = *from;
}

static int64_t *put_verdict(int64_t *out, const envelope_verdict *verdict)
{
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        *out++ = verdict->command[i];
    }
    *out++ = verdict->count;
    for (int r = 0; r < verdict->count; r++) {
        *out++ = verdict->reasons[r].rule;
        *out++ = verdict->reasons[r].channel;
        *out++ = verdict->reasons[r].number;
    }
    return out;
}

static void step(envelope_state *state, const int64_t *from, envelope_verdict *verdict)
{
    envelope_input input;
    const int64_t now_ns = *from++;
    input.mode = (uint8_t)*from++;
    input.has_wish = *from++ != 0;
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        input.wanted[i] = (int32_t)*from++;
    }
    for (int s = 0; s < ENVELOPE_SENSORS; s++) {
        input.sensors[s] = (int32_t)from[s];
        input.qualities[s] = (uint8_t)from[ENVELOPE_SENSORS + s];
    }
    envelope_step(state, &input, now_ns, verdict);
}

static void restart(envelope_state *state, const int64_t *from)
{
    int32_t measured[ENVELOPE_ACTUATORS];
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        measured[i] = (int32_t)from[i];
    }
    envelope_restart(state, measured);
}

int main(void)
{
    static envelope_state state;
    static envelope_verdict verdict;
    int64_t row[ROW];
    int64_t answer[ANSWER];
    while (fread(row, sizeof row, 1, stdin) == 1) {
        int64_t *end;
        switch (row[0]) {
        case OP_INIT:
            envelope_init(&state, row[1]);
            break;
        case OP_RESTART:
            restart(&state, row + 1);
            break;
        case OP_LOAD:
            load(&state, row + 1);
            break;
        default:
            step(&state, row + 1, &verdict);
        }
        end = put_state(answer, &state);
        if (row[0] == OP_STEP) {
            end = put_verdict(end, &verdict);
        }
        if (fwrite(answer, sizeof *answer, (size_t)(end - answer), stdout) == 0) {
            return 1;
        }
    }
    return fflush(stdout) == 0 && feof(stdin) ? 0 : 1;
}
