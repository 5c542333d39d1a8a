/* The device on a Raspberry Pi Pico: change the pins and read_sensors, then flash it.
 *
 * Owns: pins, the order of the main loop. Must not: decide anything about an output, or know the
 * SDK (port.h does). Pull every output to its safe level with a resistor: during a reset the
 * pins float.
 */
#include "device.h"
#include "port.h"

#define WATCHDOG_MS 250u
#define PWM_TOP 999u /* levels 0 to 1000: one per count of 1/10 % */

static const unsigned PINS[ENVELOPE_ACTUATORS] = {2, 4, 6, 8}; /* one PWM slice each */

static eb1_device device;
static uint8_t frame[EB1_TRANSMIT_MAX];
static size_t frame_size;
static size_t frame_sent;
static uint32_t interrupts_before;

void board_write_outputs(const int16_t *counts)
{
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        port_set_pwm(PINS[i], (uint16_t)counts[i]);
    }
}

void board_lock(void)
{
    interrupts_before = port_lock();
}

void board_unlock(void)
{
    port_unlock(interrupts_before);
}

void board_kick_watchdog(void)
{
    port_kick_watchdog();
}

static void tick(void)
{
    eb1_tick_isr(&device);
}

static void read_sensors(void)
{
    eb1_set_sensor(&device, 0, (int32_t)port_read_converter(0) * 5000 / 4095); /* 1/100 A */
    eb1_set_sensor(&device, 1, (int32_t)port_read_converter(1) * 1000 / 4095); /* 1/10 % */
}

static void send(void)
{
    if (frame_sent == frame_size) {
        frame_size = eb1_transmit(&device, frame, sizeof frame);
        frame_sent = 0;
    }
    while (frame_sent < frame_size && port_write_room() > 0) {
        port_write(frame[frame_sent]);
        frame_sent++;
    }
}

int main(void)
{
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        port_start_pwm(PINS[i], PWM_TOP);
    }
    eb1_boot(&device, port_random(),
             port_watchdog_started_us() ? EB1_RESET_WATCHDOG : EB1_RESET_UNKNOWN);
    port_start_line();
    port_start_converter();
    port_start_watchdog(WATCHDOG_MS);
    port_start_tick(tick);
    for (;;) {
        uint8_t byte;
        while (port_read(&byte)) {
            eb1_receive(&device, byte);
        }
        if (port_took_overrun()) {
            eb1_overrun(&device);
        }
        read_sensors();
        send();
        eb1_main_progress(&device);
    }
}
