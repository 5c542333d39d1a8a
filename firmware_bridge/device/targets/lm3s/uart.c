/* UART 0 at 115200 baud: a receive ring filled by the interrupt, one frame at a time to send.
 *
 * Owns: the ring and the registers. Must not: know a frame, or wait.
 */
#include "board_lm3s.h"
#include "registers.h"

#define BAUD 115200u
#define DIVISOR_64THS ((CLOCK_HZ * 4u + BAUD / 2u) / BAUD) /* 64 * clock / (16 * baud) */

/* 22 ms at 115200 baud: far longer than one round of the main loop. The indices are bytes, so
 * they wrap by themselves; the interrupt owns `head`, the main loop `tail`. */
static uint8_t ring[256];
static volatile uint8_t head;
static volatile uint8_t tail;
static volatile bool overrun;

static const uint8_t *volatile next;
static volatile size_t left;

void uart_start(void)
{
    SYSCTL_RCGC1 |= RCGC1_UART0;
    SYSCTL_RCGC2 |= RCGC2_PORT_A;
    (void)SYSCTL_RCGC2; /* three cycles until the clocks are there */
    (void)SYSCTL_RCGC2;
    PORT_A_FUNCTION |= 3u;
    PORT_A_DIGITAL |= 3u;
    UART0_BAUD_WHOLE = DIVISOR_64THS / 64u;
    UART0_BAUD_64THS = DIVISOR_64THS % 64u;
    UART0_LINE = UART_LINE_8BIT_FIFO;
    UART0_CONTROL = UART_CONTROL_ON;
    UART0_MASK = UART_INT_RX | UART_INT_RX_TIMEOUT;
    NVIC_ENABLE_0 = 1u << IRQ_UART0;
}

static void receive(void)
{
    while (!(UART0_FLAGS & UART_FLAG_RX_EMPTY)) {
        const uint32_t data = UART0_DATA;
        const uint8_t after = (uint8_t)(head + 1u);
        if ((data & UART_DATA_OVERRUN) || after == tail) {
            overrun = true;
        }
        if (after != tail) {
            ring[head] = (uint8_t)data;
            head = after;
        }
    }
}

/* Called with the interrupt off: by itself, and by uart_send. */
static void fill(void)
{
    while (left > 0 && !(UART0_FLAGS & UART_FLAG_TX_FULL)) {
        UART0_DATA = *next;
        next++;
        left--;
    }
    if (left > 0) {
        UART0_MASK |= UART_INT_TX;
    } else {
        UART0_MASK &= ~UART_INT_TX;
    }
}

void uart_interrupt(void)
{
    UART0_CLEAR = UART_INT_RX | UART_INT_RX_TIMEOUT | UART_INT_TX;
    receive();
    if (left > 0) {
        fill();
    }
}

bool uart_take(uint8_t *byte)
{
    if (head == tail) {
        return false;
    }
    *byte = ring[tail];
    tail = (uint8_t)(tail + 1u);
    return true;
}

bool uart_took_overrun(void)
{
    if (!overrun) {
        return false;
    }
    overrun = false;
    return true;
}

bool uart_has_received(void)
{
    return head != tail;
}

bool uart_is_sending(void)
{
    return left > 0;
}

void uart_send(const uint8_t *frame, size_t size)
{
    __asm__ volatile("cpsid i" ::: "memory");
    next = frame;
    left = size;
    fill(); /* a PL011 interrupts when its FIFO runs low, so it must have been filled first */
    __asm__ volatile("cpsie i" ::: "memory");
}
