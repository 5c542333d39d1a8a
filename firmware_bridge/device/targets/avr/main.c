/* The device on an ATmega2560 (Arduino Mega 2560) without the Arduino core: registers and avr-libc.
 *
 * Owns: UART 0 at 115200 baud, the millisecond of timer 1, four PWM outputs, two converter inputs,
 * the watchdog, and a start counter in the EEPROM. Must not: decide anything about an output.
 *
 * Outputs are counts of 1/10 %: 0 to 1000 is 0 to 100 % of a 1 kHz PWM on the Mega's pins
 * 6, 7, 8 (timer 4) and 46 (timer 5). During a reset the pins float: pull them to safe.
 */
#include <avr/eeprom.h>
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#include "device.h"

#define BAUD_DIVISOR (F_CPU / 8u / 115200u - 1u) /* double speed: 2.1 % off, as on all of these */
#define RING_SIZE 256u
#define START_COUNTER ((uint32_t *)(E2END - 3))
#define WEYL_STEP UINT32_C(0x9E3779B9)

static eb1_device device;
static uint8_t out[EB1_TRANSMIT_MAX];
static volatile uint8_t out_left;
static const uint8_t *volatile out_next;

/* The indices are bytes and wrap by themselves; the interrupt owns `head`, the main loop `tail`. */
static uint8_t ring[RING_SIZE];
static volatile uint8_t head;
static volatile uint8_t tail;
static volatile bool overrun;

static uint8_t reset_cause __attribute__((section(".noinit")));

/* Before main: the watchdog may still be running with its shortest time after it has bitten. */
__attribute__((naked, used, section(".init3"))) static void stop_watchdog(void)
{
    reset_cause = MCUSR;
    MCUSR = 0;
    wdt_disable();
}

/* ---- board.h ------------------------------------------------------------------------------ */

/* 0 to 1000 counts as 0 to 1023 of the timer. */
static uint16_t duty(int16_t counts)
{
    return (uint16_t)(counts + counts / 43);
}

void board_write_outputs(const int16_t *counts)
{
    OCR4A = duty(counts[0]);
    OCR4B = duty(counts[1]);
    OCR4C = duty(counts[2]);
    OCR5A = duty(counts[3]);
}

void board_lock(void)
{
    cli();
}

void board_unlock(void)
{
    sei();
}

void board_kick_watchdog(void)
{
    wdt_reset();
}

/* ---- interrupts ----------------------------------------------------------------------------- */

ISR(TIMER1_COMPA_vect)
{
    eb1_tick_isr(&device);
}

ISR(USART0_RX_vect)
{
    const bool lost = UCSR0A & (1 << DOR0);
    const uint8_t byte = UDR0;
    const uint8_t after = (uint8_t)(head + 1u);
    if (lost || after == tail) {
        overrun = true;
    }
    if (after != tail) {
        ring[head] = byte;
        head = after;
    }
}

ISR(USART0_UDRE_vect)
{
    UDR0 = *out_next;
    out_next++;
    out_left--;
    if (out_left == 0) {
        UCSR0B &= (uint8_t)~(1 << UDRIE0);
    }
}

/* ---- start ---------------------------------------------------------------------------------- */

static uint8_t reset_reason(void)
{
    if (reset_cause & (1 << WDRF)) {
        return EB1_RESET_WATCHDOG;
    }
    return reset_cause & ((1 << PORF) | (1 << BORF)) ? EB1_RESET_POWER_ON : EB1_RESET_UNKNOWN;
}

/* Differs at each of 2^32 starts. A cell bears 100000 writes: thirty starts a day for nine years. */
static uint32_t boot_nonce(void)
{
    const uint32_t starts = eeprom_read_dword(START_COUNTER) + 1u;
    eeprom_update_dword(START_COUNTER, starts);
    return starts * WEYL_STEP;
}

static void start_outputs(void)
{
    /* Phase correct, ten bits: 0 is really always low, which the fast mode cannot do. */
    TCCR4A = (1 << COM4A1) | (1 << COM4B1) | (1 << COM4C1) | (1 << WGM41) | (1 << WGM40);
    TCCR5A = (1 << COM5A1) | (1 << WGM51) | (1 << WGM50);
#ifndef EMULATED /* simavr pays for every period of a PWM; its registers tell enough */
    TCCR4B = (1 << CS41);
    TCCR5B = (1 << CS51);
#endif
    DDRH |= (1 << PH3) | (1 << PH4) | (1 << PH5);
    DDRL |= (1 << PL3);
}

static void start_inputs(void)
{
    ADMUX = (1 << REFS0);
    ADCSRA = (1 << ADEN) | (1 << ADSC) | (1 << ADPS2) | (1 << ADPS1) | (1 << ADPS0);
}

static void start_line_and_timer(void)
{
    UCSR0A = (1 << U2X0); /* before the divisor: simavr computes the rate when that is written */
    UBRR0 = BAUD_DIVISOR;
    UCSR0C = (1 << UCSZ01) | (1 << UCSZ00);
    UCSR0B = (1 << RXEN0) | (1 << TXEN0) | (1 << RXCIE0);
    OCR1A = F_CPU / 64u / 1000u - 1u;
    TCCR1B = (1 << WGM12) | (1 << CS11) | (1 << CS10);
    TIMSK1 = (1 << OCIE1A);
    wdt_enable(WDTO_250MS);
}

/* ---- the main loop -------------------------------------------------------------------------- */

/* A finished conversion, 0 to 1023, becomes counts; then the other input's turn. */
static void read_inputs(void)
{
    static uint8_t channel;
    if (ADCSRA & (1 << ADSC)) {
        return;
    }
    eb1_set_sensor(&device, channel, (int32_t)ADC * 1000 / 1023);
    channel = (uint8_t)((channel + 1) % ENVELOPE_SENSORS);
    ADMUX = (uint8_t)((1 << REFS0) | channel);
    ADCSRA |= (1 << ADSC);
}

static void send(void)
{
    size_t size;
    if (out_left > 0) {
        return;
    }
    size = eb1_transmit(&device, out, sizeof out);
    if (size > 0) {
        out_next = out;
        out_left = (uint8_t)size;
        cli();
        UCSR0B |= (1 << UDRIE0);
        sei();
    }
}

int main(void)
{
    eb1_boot(&device, boot_nonce(), reset_reason());
    start_outputs();
    start_inputs();
    start_line_and_timer();
    sei();
    for (;;) {
        while (head != tail) {
            eb1_receive(&device, ring[tail]);
            tail = (uint8_t)(tail + 1u);
        }
        if (overrun) {
            overrun = false;
            eb1_overrun(&device);
        }
        read_inputs();
        send();
        eb1_main_progress(&device);
        cli();
        if (head == tail) {
            sleep_enable();
            sei(); /* the next instruction still runs before any interrupt */
            sleep_cpu();
            sleep_disable();
        }
        sei();
    }
}
