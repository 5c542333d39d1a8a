/* What a port supplies to the device core. Nothing else of the machine is known there.
 *
 * eb1_tick_isr runs in the timer interrupt, all other calls of device.h in the main loop.
 */
#ifndef EB1_BOARD_H
#define EB1_BOARD_H

#include <stdint.h>

/* Put one value per actuator on the pins, now, in counts. Called from the timer interrupt and,
 * locked, from the main loop: short, and never waiting for the main loop. */
void board_write_outputs(const int16_t *counts);

/* Keep the timer interrupt out, and let it in again. Not nested; a few microseconds at most.
 * Both must keep the compiler from moving memory accesses across them. */
void board_lock(void);
void board_unlock(void);

/* Feed the hardware's watchdog. Called only when interrupt and main loop have both progressed. */
void board_kick_watchdog(void);

#endif
