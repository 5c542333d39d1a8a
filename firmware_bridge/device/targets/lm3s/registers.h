/* The registers of the LM3S6965 that this board uses, by the names of its data sheet. */
#ifndef EB1_LM3S_REGISTERS_H
#define EB1_LM3S_REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* ---- system control --------------------------------------------------------------------- */
#define SYSCTL_RIS REGISTER(0x400FE050u)
#define SYSCTL_RESC REGISTER(0x400FE05Cu)
#define SYSCTL_RCC REGISTER(0x400FE060u)
#define SYSCTL_RCGC0 REGISTER(0x400FE100u)
#define SYSCTL_RCGC1 REGISTER(0x400FE104u)
#define SYSCTL_RCGC2 REGISTER(0x400FE108u)
#define RIS_PLL_LOCKED (1u << 6)
#define RESC_POWER_ON (1u << 1)
#define RESC_BROWN_OUT (1u << 2)
#define RESC_WATCHDOG (1u << 3)
#define RESC_SOFTWARE (1u << 4)
#define RCGC0_WATCHDOG (1u << 3)
#define RCGC1_UART0 (1u << 0)
#define RCGC2_PORT_A (1u << 0)
/* An 8 MHz crystal through the PLL, divided to 50 MHz; written in two steps because the clock
 * may only move to the PLL once that has locked. */
#define RCC_CRYSTAL_8MHZ (0xEu << 6)
#define RCC_DIVIDE_BY_4 ((3u << 23) | (1u << 22))
#define RCC_BYPASS_PLL (1u << 11)
#define CLOCK_HZ 50000000u

/* ---- UART 0 (PL011) and its pins, PA0 and PA1 ------------------------------------------- */
#define PORT_A_FUNCTION REGISTER(0x40004420u)
#define PORT_A_DIGITAL REGISTER(0x4000451Cu)
#define UART0_DATA REGISTER(0x4000C000u)
#define UART0_FLAGS REGISTER(0x4000C018u)
#define UART0_BAUD_WHOLE REGISTER(0x4000C024u)
#define UART0_BAUD_64THS REGISTER(0x4000C028u)
#define UART0_LINE REGISTER(0x4000C02Cu)
#define UART0_CONTROL REGISTER(0x4000C030u)
#define UART0_MASK REGISTER(0x4000C038u)
#define UART0_CLEAR REGISTER(0x4000C044u)
#define UART_DATA_OVERRUN (1u << 11)
#define UART_FLAG_RX_EMPTY (1u << 4)
#define UART_FLAG_TX_FULL (1u << 5)
#define UART_LINE_8BIT_FIFO ((3u << 5) | (1u << 4))
#define UART_CONTROL_ON 0x301u
#define UART_INT_RX (1u << 4)
#define UART_INT_TX (1u << 5)
#define UART_INT_RX_TIMEOUT (1u << 6)

/* ---- watchdog 0: interrupt after one period, reset after the second ---------------------- */
#define WATCHDOG_LOAD REGISTER(0x40000000u)
#define WATCHDOG_CONTROL REGISTER(0x40000008u)
#define WATCHDOG_CLEAR REGISTER(0x4000000Cu)
#define WATCHDOG_LOCK REGISTER(0x40000C00u)
#define WATCHDOG_UNLOCK 0x1ACCE551u
#define WATCHDOG_INTERRUPT_AND_RESET 3u

/* ---- the core: system timer, interrupt controller ---------------------------------------- */
#define SYSTICK_CONTROL REGISTER(0xE000E010u)
#define SYSTICK_RELOAD REGISTER(0xE000E014u)
#define SYSTICK_VALUE REGISTER(0xE000E018u)
#define SYSTICK_ON_CORE_CLOCK 5u /* and counts without an interrupt */
#define SYSTICK_INTERRUPT 2u
#define NVIC_ENABLE_0 REGISTER(0xE000E100u)
#define NVIC_PRIORITY(irq) (*(volatile uint8_t *)(0xE000E400u + (irq)))
#define SCB_PRIORITY_SYSTICK (*(volatile uint8_t *)0xE000ED23u)
#define IRQ_UART0 5u
#define IRQ_WATCHDOG 18u

#endif
