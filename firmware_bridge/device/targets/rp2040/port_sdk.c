/* port.h by the Pico SDK, version 2. Not compiled without the SDK. */
#include "port.h"

#include "hardware/adc.h"
#include "hardware/gpio.h"
#include "hardware/pwm.h"
#include "hardware/sync.h"
#include "hardware/uart.h"
#include "hardware/watchdog.h"
#include "pico/rand.h"
#include "pico/time.h"

#define BAUD 115200u
#define PWM_DIVIDER 125.0f /* 125 MHz / 125 / 1000: 1 kHz */
#define RING_SIZE 256u

/* The UART's own FIFO holds 32 bytes, 2.8 ms; the ring holds 22 ms. The indices wrap by
 * themselves; the interrupt owns `head`, the main loop `tail`. */
static uint8_t ring[RING_SIZE];
static volatile uint8_t head;
static volatile uint8_t tail;
static volatile bool overrun;
static repeating_timer_t timer;
static void (*on_tick)(void);

void port_start_pwm(unsigned pin, uint16_t top)
{
    const uint slice = pwm_gpio_to_slice_num(pin);
    pwm_set_clkdiv(slice, PWM_DIVIDER);
    pwm_set_wrap(slice, top);
    pwm_set_gpio_level(pin, 0);
    pwm_set_enabled(slice, true);
    gpio_set_function(pin, GPIO_FUNC_PWM);
}

void port_set_pwm(unsigned pin, uint16_t level)
{
    pwm_set_gpio_level(pin, level);
}

static void on_receive(void)
{
    while (uart_is_readable(uart0)) {
        const uint32_t data = uart_get_hw(uart0)->dr;
        const uint8_t after = (uint8_t)(head + 1u);
        if ((data & UART_UARTDR_OE_BITS) || after == tail) {
            overrun = true;
        }
        if (after != tail) {
            ring[head] = (uint8_t)data;
            head = after;
        }
    }
}

void port_start_line(void)
{
    uart_init(uart0, BAUD);
    gpio_set_function(0, GPIO_FUNC_UART);
    gpio_set_function(1, GPIO_FUNC_UART);
    irq_set_exclusive_handler(UART0_IRQ, on_receive);
    irq_set_enabled(UART0_IRQ, true);
    uart_set_irq_enables(uart0, true, false);
}

bool port_read(uint8_t *byte)
{
    if (head == tail) {
        return false;
    }
    *byte = ring[tail];
    tail = (uint8_t)(tail + 1u);
    return true;
}

size_t port_write_room(void)
{
    return uart_is_writable(uart0) ? 1 : 0;
}

void port_write(uint8_t byte)
{
    uart_get_hw(uart0)->dr = byte;
}

bool port_took_overrun(void)
{
    const bool took = overrun;
    overrun = false;
    return took;
}

void port_start_converter(void)
{
    adc_init();
    adc_gpio_init(26);
    adc_gpio_init(27);
}

uint16_t port_read_converter(unsigned input)
{
    adc_select_input(input);
    return adc_read();
}

static bool on_timer(repeating_timer_t *unused)
{
    (void)unused;
    on_tick();
    return true;
}

void port_start_tick(void (*tick)(void))
{
    on_tick = tick;
    /* negative: from start to start, so that no time is lost */
    add_repeating_timer_us(-1000, on_timer, NULL, &timer);
}

uint32_t port_lock(void)
{
    return save_and_disable_interrupts();
}

void port_unlock(uint32_t before)
{
    restore_interrupts(before);
}

void port_start_watchdog(uint32_t milliseconds)
{
    watchdog_enable(milliseconds, false); /* false: a debugger that halts us gets a reset */
}

void port_kick_watchdog(void)
{
    watchdog_update();
}

bool port_watchdog_started_us(void)
{
    return watchdog_enable_caused_reboot();
}

uint32_t port_random(void)
{
    return get_rand_32();
}
