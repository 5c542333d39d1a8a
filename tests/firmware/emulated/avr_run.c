/* Runs AVR firmware in real time with its UART 0 on a tty: a byte takes its 87 us on the line.
 *
 *     avr_run FIRMWARE TTY LOG
 *
 * Owns: the pace (the emulated clock against this machine's), the line, and a log of the writes to
 * one PWM register: pairs of int64, the time of this machine's monotonic clock in ns and the
 * value. Ends when its standard input does. Must not: know what the firmware is.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_io.h>
#include <simavr/sim_time.h>

#define CLOCK_HZ 16000000
#define BYTE_CYCLES 1389 /* ten bits at 115200 baud */
#define AHEAD_NS 100000  /* the emulation sleeps when it is this far ahead */
#define LOGGED_LOW 0xA8  /* OCR4A, written high byte first */
#define PARENT_EVERY 1000

static int tty;
static FILE *trace;
static int64_t start_ns;
static avr_irq_t *line_in;

static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t emulated_ns(const avr_t *avr)
{
    return start_ns + (int64_t)avr->cycle * 1000 / (CLOCK_HZ / 1000000);
}

static void keep_pace(const avr_t *avr)
{
    const int64_t ahead = emulated_ns(avr) - monotonic_ns();
    if (ahead > AHEAD_NS) {
        const struct timespec nap = {0, (long)ahead};
        nanosleep(&nap, NULL);
    }
}

/* One byte from the host, if there is one, every byte's time. */
static avr_cycle_count_t on_byte_time(avr_t *avr, avr_cycle_count_t when, void *unused)
{
    static int until_parent = PARENT_EVERY;
    uint8_t byte;
    (void)unused;
    keep_pace(avr);
    if (read(tty, &byte, 1) == 1) {
        avr_raise_irq(line_in, byte);
    }
    if (--until_parent == 0) {
        struct pollfd parent = {0, POLLIN, 0};
        until_parent = PARENT_EVERY;
        if (poll(&parent, 1, 0) != 0) {
            fclose(trace);
            exit(0);
        }
    }
    return when + BYTE_CYCLES;
}

static void on_sent(avr_irq_t *irq, uint32_t value, void *unused)
{
    const uint8_t byte = (uint8_t)value;
    (void)irq;
    (void)unused;
    if (write(tty, &byte, 1) != 1) {
        fputs("the host's end is full\n", stderr);
    }
}

static void on_pin(avr_irq_t *irq, uint32_t value, void *data)
{
    avr_t *avr = data;
    const int64_t row[2] = {monotonic_ns(), avr->data[LOGGED_LOW + 1] << 8 | (uint8_t)value};
    (void)irq;
    fwrite(row, sizeof row, 1, trace);
    fflush(trace);
}

/* Sleeping is keep_pace's business. */
static void no_sleep(avr_t *avr, avr_cycle_count_t cycles)
{
    (void)avr;
    (void)cycles;
}

int main(int count, char **words)
{
    elf_firmware_t firmware = {0};
    uint32_t flags = 0;
    avr_t *avr;
    int state;
    if (count != 4 || elf_read_firmware(words[1], &firmware) != 0) {
        fputs("avr_run FIRMWARE TTY LOG\n", stderr);
        return 2;
    }
    tty = open(words[2], O_RDWR | O_NOCTTY | O_NONBLOCK);
    trace = fopen(words[3], "wb");
    avr = avr_make_mcu_by_name("atmega2560");
    if (tty < 0 || trace == NULL || avr == NULL) {
        perror("avr_run");
        return 1;
    }
    avr_init(avr);
    avr->frequency = CLOCK_HZ;
    avr->log = LOG_ERROR;
    avr_load_firmware(avr, &firmware);
    avr->sleep = no_sleep;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags); /* no echo, no sleeping when polled */
    line_in = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT),
                            on_sent, NULL);
    avr_irq_register_notify(avr_iomem_getirq(avr, LOGGED_LOW, NULL, AVR_IOMEM_IRQ_ALL), on_pin,
                            avr);
    avr_cycle_timer_register(avr, BYTE_CYCLES, on_byte_time, NULL);
    start_ns = monotonic_ns();
    do {
        state = avr_run(avr);
    } while (state != cpu_Done && state != cpu_Crashed);
    fputs("the firmware crashed\n", stderr);
    return 1;
}
