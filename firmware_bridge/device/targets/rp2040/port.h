/* The few calls of the Pico SDK that the board file needs, so that all the rest compiles without
 * the SDK. port_sdk.c makes them of the SDK. */
#ifndef EB1_RP2040_PORT_H
#define EB1_RP2040_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void port_start_pwm(unsigned pin, uint16_t top);
void port_set_pwm(unsigned pin, uint16_t level); /* 0 is always low, `top` + 1 always high */
void port_start_line(void);                      /* UART 0, 115200 baud, pins 0 and 1 */
bool port_read(uint8_t *byte);
size_t port_write_room(void);                    /* 1: the FIFO takes a byte now; 0: full */
void port_write(uint8_t byte);
bool port_took_overrun(void);
void port_start_converter(void);
uint16_t port_read_converter(unsigned input);    /* 0 to 4095, in 2 us */
void port_start_tick(void (*tick)(void));        /* every millisecond, in an interrupt */
uint32_t port_lock(void);                        /* interrupts off; what to restore */
void port_unlock(uint32_t before);
void port_start_watchdog(uint32_t milliseconds);
void port_kick_watchdog(void);
bool port_watchdog_started_us(void);
uint32_t port_random(void);                      /* of the ring oscillator */

#endif
