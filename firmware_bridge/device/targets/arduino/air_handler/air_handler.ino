/* The device on an Arduino Mega 2560: change the pins and the two functions, then flash it.
 *
 * Beside this file belong the device core and the limits of your machine; `make firmware` puts
 * all of it into build/firmware/arduino/air_handler, which the Arduino IDE opens as a sketch.
 *
 * Pull every output to its safe level with a resistor: during a reset the pins float.
 */
#include <EEPROM.h>
#include <avr/wdt.h>

extern "C" {
#include "device.h"
}

/* One pin per actuator, in the order of the limits; counts of 1/10 %. */
static const uint8_t PINS[ENVELOPE_ACTUATORS] = {6, 7, 8, 46};
static const unsigned long BAUD = 115200;
static const int START_COUNTER = 0; /* in the EEPROM */

static eb1_device device;
static uint8_t frame[EB1_TRANSMIT_MAX];
static volatile bool running;

/* ---- what the machine is ------------------------------------------------------------------- */

/* Called also from the timer interrupt: no waiting, no Serial. */
extern "C" void board_write_outputs(const int16_t *counts)
{
    for (uint8_t i = 0; i < ENVELOPE_ACTUATORS; i++) {
        analogWrite(PINS[i], (int)((long)counts[i] * 255 / 1000)); /* 0 is really off */
    }
}

static void read_sensors()
{
    eb1_set_sensor(&device, 0, (int32_t)analogRead(A0) * 5000 / 1023); /* fan current, 1/100 A */
    eb1_set_sensor(&device, 1, (int32_t)analogRead(A1) * 1000 / 1023); /* damper, 1/10 % */
}

/* ---- what the core needs; nothing to change ------------------------------------------------ */

extern "C" void board_lock(void)
{
    cli();
}

extern "C" void board_unlock(void)
{
    if (running) {
        sei();
    }
}

extern "C" void board_kick_watchdog(void)
{
    wdt_reset();
}

ISR(TIMER1_COMPA_vect)
{
    eb1_tick_isr(&device);
}

/* Differs at every start, so that no frame of an earlier one is obeyed. */
static uint32_t boot_nonce()
{
    uint32_t starts;
    EEPROM.get(START_COUNTER, starts);
    starts++;
    EEPROM.put(START_COUNTER, starts);
    return starts * UINT32_C(0x9E3779B9);
}

static uint8_t reset_reason()
{
    const uint8_t cause = MCUSR; /* 0 when the bootloader has cleared it */
    MCUSR = 0;
    if (cause & bit(WDRF)) {
        return EB1_RESET_WATCHDOG;
    }
    return cause & (bit(PORF) | bit(BORF)) ? EB1_RESET_POWER_ON : EB1_RESET_UNKNOWN;
}

void setup()
{
    for (uint8_t i = 0; i < ENVELOPE_ACTUATORS; i++) {
        pinMode(PINS[i], OUTPUT);
    }
    eb1_boot(&device, boot_nonce(), reset_reason());
    Serial.begin(BAUD);
    noInterrupts();
    TCCR1A = 0; /* timer 1: a millisecond; pins 11 and 12 have no PWM then */
    TCCR1B = bit(WGM12) | bit(CS11) | bit(CS10);
    OCR1A = F_CPU / 64 / 1000 - 1;
    TIMSK1 = bit(OCIE1A);
    running = true;
    interrupts();
    wdt_enable(WDTO_250MS);
}

void loop()
{
    while (Serial.available() > 0) {
        eb1_receive(&device, (uint8_t)Serial.read());
    }
    read_sensors();
    if (Serial.availableForWrite() >= SERIAL_TX_BUFFER_SIZE - 1) { /* never wait for the line */
        const size_t size = eb1_transmit(&device, frame, sizeof frame);
        if (size > 0) {
            Serial.write(frame, size);
        }
    }
    eb1_main_progress(&device);
}
