/* The board under the device: outputs, lock, timer, watchdog, and who we are after a reset.
 *
 * Owns: the pins and the registers behind them. Must not: decide what an output shall be.
 *
 * This board drives nothing: its pins are `board_outputs`, in memory where an emulator's debugger
 * reads them, and every write is noted with its millisecond in `board_trace`, as a logic analyser
 * would. On a board with real pins board_write_outputs sets PWM or DAC registers instead.
 */
#include "board.h"

#include "board_lm3s.h"
#include "device.h"
#include "registers.h"

#define PRIORITY_WATCHDOG 0x00u /* above the lock: it works when all else hangs */
#define PRIORITY_SYSTICK 0x40u
#define PRIORITY_UART 0x80u
#define LOCK_LEVEL PRIORITY_SYSTICK /* the lock holds off this priority and the lower ones */
/* The outputs are safe after one period without a kick, the reset comes after two. Longer than
 * any dead man, because it is the guard behind that one. */
#define WATCHDOG_PERIOD_MS 250u
#define WATCHDOG_MARK 0x57D06B17u
#define TRACE_SIZE 256u
#define WEYL_STEP 0x9E3779B9u

typedef struct {
    uint32_t tick;
    int16_t outputs[ENVELOPE_ACTUATORS];
} trace_entry;

/* Read from outside. */
volatile int16_t board_outputs[ENVELOPE_ACTUATORS];
volatile uint32_t board_ticks; /* milliseconds since boot */
volatile uint32_t board_kicks;
volatile uint32_t board_writes; /* since boot; the last TRACE_SIZE of them are in the trace */
volatile trace_entry board_trace[TRACE_SIZE];

/* What a reset leaves alone. At power-on the cells hold whatever they woke up with. */
static struct {
    uint32_t seed;
    uint32_t starts;
    uint32_t mark;
} kept __attribute__((section(".kept")));

void board_write_outputs(const int16_t *counts)
{
    volatile trace_entry *entry = &board_trace[board_writes % TRACE_SIZE];
    entry->tick = board_ticks;
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        board_outputs[i] = counts[i];
        entry->outputs[i] = counts[i];
    }
    board_writes = board_writes + 1u;
}

void board_lock(void)
{
    __asm__ volatile("msr basepri, %0" ::"r"(LOCK_LEVEL) : "memory");
}

void board_unlock(void)
{
    __asm__ volatile("msr basepri, %0" ::"r"(0) : "memory");
}

void board_kick_watchdog(void)
{
    WATCHDOG_CLEAR = 1; /* any write: no interrupt pending, and the count starts again */
    board_kicks = board_kicks + 1u;
}

/* Nobody kicked for a whole period. The lock cannot hold this interrupt off, and it never
 * returns: whatever hangs below gets no chance to write an output again before the reset. */
void board_watchdog_interrupt(void)
{
    int16_t safe[ENVELOPE_ACTUATORS];
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        safe[i] = (int16_t)ENVELOPE_MOTIONS[i].safe_counts;
    }
    board_write_outputs(safe);
    kept.mark = WATCHDOG_MARK;
    for (;;) {
    }
}

/* Why we start. The emulator has no cause register worth reading, so the watchdog's interrupt
 * leaves its mark as well. Call once. */
uint8_t board_reset_reason(void)
{
    const uint32_t causes = SYSCTL_RESC;
    const bool marked = kept.mark == WATCHDOG_MARK;
    kept.mark = 0;
    SYSCTL_RESC = 0;
    if (marked || (causes & RESC_WATCHDOG)) {
        return EB1_RESET_WATCHDOG;
    }
    if (causes & RESC_SOFTWARE) {
        return EB1_RESET_SOFTWARE;
    }
    return causes & (RESC_POWER_ON | RESC_BROWN_OUT) ? EB1_RESET_POWER_ON : EB1_RESET_UNKNOWN;
}

/* Differs at every start. This chip has no random numbers and no memory that survives a power
 * cut, but its RAM keeps its content through a reset: a step with a period of 2^32 makes each
 * reset differ from the ones before it, and after a power cut both words are the noise that the
 * cells woke up with. The emulator's cells wake up as zeros; its command line loads a seed. */
uint32_t board_boot_nonce(void)
{
    kept.starts += WEYL_STEP;
    return kept.seed + kept.starts;
}

void board_start_timers(void)
{
    NVIC_PRIORITY(IRQ_WATCHDOG) = PRIORITY_WATCHDOG;
    SCB_PRIORITY_SYSTICK = PRIORITY_SYSTICK;
    NVIC_PRIORITY(IRQ_UART0) = PRIORITY_UART;
    SYSTICK_RELOAD = CLOCK_HZ / 1000u - 1u;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = SYSTICK_ON_CORE_CLOCK | SYSTICK_INTERRUPT;
    SYSCTL_RCGC0 |= RCGC0_WATCHDOG;
    (void)SYSCTL_RCGC0; /* three cycles until the clock is there */
    (void)SYSCTL_RCGC0;
    WATCHDOG_LOCK = WATCHDOG_UNLOCK;
    WATCHDOG_LOAD = CLOCK_HZ / 1000u * WATCHDOG_PERIOD_MS;
    WATCHDOG_CONTROL = WATCHDOG_INTERRUPT_AND_RESET; /* until the next reset nothing ends it */
    NVIC_ENABLE_0 = 1u << IRQ_WATCHDOG;
}
