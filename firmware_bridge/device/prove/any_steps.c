/* What the provers start from: any sound memory, any input, any number of steps.
 *
 * EVA runs main over all of them at once and must raise no alarm. WP must show that the tables
 * of this device are sound, which the contracts of envelope.c start from.
 */
#include "../envelope.c"

#include "__fc_builtin.h"

/* EVA sees each row's numbers; WP concludes from all rows to the table. */
/*@ assigns \nothing;
    ensures sound_tables;
*/
static void tables_are_sound(void)
{
    /*@ loop invariant 0 <= i <= ENVELOPE_ACTUATORS;
        loop invariant \forall integer j; 0 <= j < i ==> sound_motion(j) && sound_travel(j);
        loop assigns i;
    */
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        //@ assert sound_motion(i) && sound_travel(i);
    }
    /*@ loop invariant 0 <= k <= ENVELOPE_INTERLOCKS;
        loop invariant \forall integer j; 0 <= j < k ==> sound_lock(j);
        loop invariant \forall integer j; 0 <= j < k && j < ENVELOPE_INTERLOCKS - 1 ==>
            ENVELOPE_LOCKS[j].end_force == ENVELOPE_LOCKS[j + 1].first_force;
        loop assigns k;
    */
    for (int k = 0; k < ENVELOPE_INTERLOCKS; k++) {
        //@ assert sound_lock(k);
        if (k < ENVELOPE_INTERLOCKS - 1) {
            //@ assert ENVELOPE_LOCKS[k].end_force == ENVELOPE_LOCKS[k + 1].first_force;
        }
    }
    //@ assert 0 < ENVELOPE_INTERLOCKS ==> ENVELOPE_LOCKS[0].first_force == 0;
    /*@ loop invariant 0 <= p <= ENVELOPE_EXCLUSIVES;
        loop invariant \forall integer j; 0 <= j < p ==> sound_pair(j);
        loop assigns p;
    */
    for (int p = 0; p < ENVELOPE_EXCLUSIVES; p++) {
        //@ assert sound_pair(p);
    }
    /*@ loop invariant 0 <= f <= ENVELOPE_FORCES;
        loop invariant \forall integer j; 0 <= j < f ==>
            0 <= ENVELOPE_FORCED[j].actuator < ENVELOPE_ACTUATORS;
        loop assigns f;
    */
    for (int f = 0; f < ENVELOPE_FORCES; f++) {
        //@ assert 0 <= ENVELOPE_FORCED[f].actuator < ENVELOPE_ACTUATORS;
    }
}

static int64_t any_time(void)
{
    return Frama_C_long_long_interval(0, INT64_C(4611686018427387904));
}

static int32_t any_counts(void)
{
    return Frama_C_int_interval(INT32_MIN, INT32_MAX);
}

static envelope_input any_input(void)
{
    envelope_input input;
    input.mode = Frama_C_unsigned_char_interval(0, 255);
    input.has_wish = Frama_C_int_interval(0, 1) != 0;
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        input.wanted[i] = any_counts();
    }
    for (int s = 0; s < ENVELOPE_SENSORS; s++) {
        input.sensors[s] = any_counts();
        input.qualities[s] = Frama_C_unsigned_char_interval(0, 255);
    }
    return input;
}

static void any_memory(envelope_state *state)
{
    state->now_ns = any_time();
    state->ramp_since_ns = Frama_C_int_interval(0, 1) ? -1 : any_time();
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        envelope_memory *memory = &state->actuators[i];
        memory->last = any_counts();
        memory->carry_up = Frama_C_int_interval(0, NS_PER_S);
        memory->carry_down = Frama_C_int_interval(0, NS_PER_S);
        memory->travel = Frama_C_long_long_interval(0, ENVELOPE_MOTIONS[i].travel_full);
        memory->rest_ns = Frama_C_long_long_interval(0, ENVELOPE_MOTIONS[i].dwell_ns);
    }
    for (int k = 0; k < ENVELOPE_INTERLOCKS; k++) {
        state->locks[k] = Frama_C_int_interval(-ENVELOPE_LOCKS[k].clear_after_ticks,
                                               ENVELOPE_LOCKS[k].engage_after_ticks - 1);
    }
}

int main(void)
{
    envelope_state state;
    envelope_verdict verdict;
    int32_t measured[ENVELOPE_ACTUATORS];
    tables_are_sound();
    envelope_init(&state, any_time());
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        measured[i] = any_counts();
    }
    envelope_restart(&state, measured);
    while (Frama_C_int_interval(0, 1)) {
        const envelope_input input = any_input();
        any_memory(&state);
        envelope_step(&state, &input, any_time(), &verdict);
        for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
            //@ assert in_range: in_range(verdict.command[i], i);
        }
    }
    return 0;
}
