/* What the files of this port share: handlers, the UART, and memory that a debugger reads. */
#ifndef EB1_BOARD_LM3S_H
#define EB1_BOARD_LM3S_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STACK_PAINT 0xA5A5A5A5u

/* ---- board.c ------------------------------------------------------------------------------ */
void board_systick_interrupt(void);
void board_watchdog_interrupt(void);
uint8_t board_reset_reason(void);
uint32_t board_boot_nonce(void);
extern volatile uint32_t board_ticks;
void board_start_timers(void);

/* ---- uart.c ------------------------------------------------------------------------------- */
void uart_start(void);
void uart_interrupt(void);
bool uart_take(uint8_t *byte); /* main loop: the oldest byte received, or false */
bool uart_took_overrun(void);  /* main loop: whether bytes were lost since the last call */
bool uart_has_received(void);
bool uart_is_sending(void);
/* Begin to send; `frame` stays untouched until uart_is_sending is false. */
void uart_send(const uint8_t *frame, size_t size);

#endif
