/* The main loop of the LM3S6965 board: bytes in, sensors, frames out, sleep.
 *
 * Owns: the order of things. Must not: decide anything about an output; all of that is in
 * device.c, and its timer interrupt works when this loop does not.
 */
#include "board.h"
#include "board_lm3s.h"
#include "device.h"

static eb1_device device;
static uint8_t out[EB1_TRANSMIT_MAX];

/* Where a debugger finds the counters. */
extern const eb1_counters *const board_counters;
const eb1_counters *const board_counters = &device.counters;

/* What the converters read; a debugger writes them. A real board starts its ADC here. */
volatile int32_t board_sensors[ENVELOPE_ROOM(ENVELOPE_SENSORS)];

void board_systick_interrupt(void)
{
    board_ticks = board_ticks + 1u;
    eb1_tick_isr(&device);
}

static void service(void)
{
    uint8_t byte;
    while (uart_take(&byte)) {
        eb1_receive(&device, byte);
    }
    if (uart_took_overrun()) {
        eb1_overrun(&device);
    }
    for (int i = 0; i < ENVELOPE_SENSORS; i++) {
        eb1_set_sensor(&device, i, board_sensors[i]);
    }
    if (!uart_is_sending()) {
        const size_t size = eb1_transmit(&device, out, sizeof out);
        if (size > 0) {
            uart_send(out, size);
        }
    }
    eb1_main_progress(&device);
}

int main(void)
{
    eb1_boot(&device, board_boot_nonce(), board_reset_reason());
    uart_start();
    board_start_timers();
    for (;;) {
        service();
        /* Asleep until an interrupt, but only if none came since the ring was looked at: with
         * interrupts masked a pending one still ends `wfi`, and runs after `cpsie`. */
        __asm__ volatile("cpsid i" ::: "memory");
        if (!uart_has_received()) {
            __asm__ volatile("wfi" ::: "memory");
        }
        __asm__ volatile("cpsie i" ::: "memory");
    }
}
