/* From reset to main: the vector table, the initial memory, the system clock.
 *
 * Owns: what must happen before C works. Must not: know the device.
 */
#include "board_lm3s.h"
#include "registers.h"

extern uint32_t link_data_image[], link_data_start[], link_data_end[];
extern uint32_t link_bss_start[], link_bss_end[], link_stack_floor[];
void link_stack_top(void); /* an address; C allows no other type for it in the table */

void reset_handler(void);
int main(void);

/* A fault is a bug: stand still, and let the watchdog make the outputs safe and start again. */
static void fault_handler(void)
{
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static void (*const VECTORS[16 + IRQ_WATCHDOG + 1])(
    void) = {
    [0] = link_stack_top,
    [1] = reset_handler,
    [2] = fault_handler,  /* NMI */
    [3] = fault_handler,  /* hard fault */
    [4] = fault_handler,  /* memory management */
    [5] = fault_handler,  /* bus fault */
    [6] = fault_handler,  /* usage fault */
    [11] = fault_handler, /* supervisor call */
    [12] = fault_handler, /* debug monitor */
    [14] = fault_handler, /* pending service */
    [15] = board_systick_interrupt,
    [16 + IRQ_UART0] = uart_interrupt,
    [16 + IRQ_WATCHDOG] = board_watchdog_interrupt,
};

static void start_clock(void)
{
    SYSCTL_RCC = RCC_CRYSTAL_8MHZ | RCC_DIVIDE_BY_4 | RCC_BYPASS_PLL;
    while (!(SYSCTL_RIS & RIS_PLL_LOCKED)) {
    }
    SYSCTL_RCC = RCC_CRYSTAL_8MHZ | RCC_DIVIDE_BY_4;
}

void reset_handler(void)
{
    const uint32_t *from = link_data_image;
    for (uint32_t *to = link_data_start; to < link_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = link_bss_start; to < link_bss_end; to++) {
        *to = 0;
    }
    /* Painted, so that a debugger can read how deep the stack ever was. */
    for (uint32_t *to = link_bss_end; to < link_stack_floor; to++) {
        *to = STACK_PAINT;
    }
    start_clock();
    main();
    fault_handler();
}
