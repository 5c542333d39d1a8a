/* Instructions per frame: the core alone, without a port, under QEMU's instruction counter.
 *
 * Owns: one session with frames made beforehand (bench_frames.h), and the results in `bench`,
 * which the test reads from memory. Must not: be linked into a device.
 *
 * QEMU's clock advances one nanosecond an instruction (-icount shift=0), the system timer counts
 * its 20 ns, and each figure is the mean of BENCH_FRAMES frames: exact to a third of one.
 */
#include "board.h"
#include "board_lm3s.h"
#include "device.h"
#include "registers.h"

#include "bench_frames.h"

#define INSTRUCTIONS_PER_COUNT 20u
#define SYSTICK_TOP 0xFFFFFFu

enum { BENCH_SET, BENCH_BAD, BENCH_TELEMETRY, BENCH_TICK, BENCH_KINDS };

volatile uint32_t bench[BENCH_KINDS]; /* instructions in all BENCH_FRAMES of a kind */
volatile uint32_t bench_state;        /* proof that the commands were obeyed: armed */
volatile uint32_t bench_done;

static eb1_device device;
static uint8_t wire[EB1_TRANSMIT_MAX];

void board_write_outputs(const int16_t *counts)
{
    (void)counts;
}

void board_lock(void)
{
}

void board_unlock(void)
{
}

void board_kick_watchdog(void)
{
}

void board_systick_interrupt(void)
{
}

void board_watchdog_interrupt(void)
{
}

void uart_interrupt(void)
{
}

static void receive(const uint8_t *frame, size_t size)
{
    for (size_t k = 0; k < size; k++) {
        eb1_receive(&device, frame[k]);
    }
}

static uint32_t since(uint32_t start)
{
    return ((start - SYSTICK_VALUE) & SYSTICK_TOP) * INSTRUCTIONS_PER_COUNT;
}

static void pass_ms(int milliseconds)
{
    for (int k = 0; k < milliseconds; k++) {
        eb1_tick_isr(&device);
        eb1_main_progress(&device);
    }
}

int main(void)
{
    uint32_t start;
    SYSTICK_RELOAD = SYSTICK_TOP;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = SYSTICK_ON_CORE_CLOCK;
    eb1_boot(&device, BENCH_BOOT_NONCE, EB1_RESET_POWER_ON);
    eb1_transmit(&device, wire, sizeof wire);
    receive(BENCH_OPENING, sizeof BENCH_OPENING);
    for (int k = 0; k < BENCH_FRAMES; k++) {
        start = SYSTICK_VALUE;
        receive(BENCH_SETS[k].bytes, BENCH_SETS[k].size);
        bench[BENCH_SET] += since(start);
        pass_ms(EB1_TOKEN_MS); /* the next frame carries the next token */
    }
    bench_state = device.shared.state;
    for (int k = 0; k < BENCH_FRAMES; k++) { /* of the same length, one bit wrong */
        start = SYSTICK_VALUE;
        receive(BENCH_BROKEN, sizeof BENCH_BROKEN);
        bench[BENCH_BAD] += since(start);
    }
    for (int k = 0; k < BENCH_FRAMES; k++) {
        pass_ms(EB1_TELEMETRY_MS);
        start = SYSTICK_VALUE;
        eb1_transmit(&device, wire, sizeof wire);
        bench[BENCH_TELEMETRY] += since(start);
    }
    for (int k = 0; k < BENCH_FRAMES; k++) {
        start = SYSTICK_VALUE;
        eb1_tick_isr(&device);
        bench[BENCH_TICK] += since(start);
    }
    bench_done = 1;
    for (;;) {
        __asm__ volatile("wfi");
    }
}
