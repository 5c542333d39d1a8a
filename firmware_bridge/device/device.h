/* The device's end of the link: the state machine of PROTOCOL.md.
 *
 * Owns: handshake and session, arming, the age of commands, leases, the dead man, telemetry.
 * Must not: touch hardware (board.h does), know a channel's meaning, or allocate.
 *
 * eb1_tick_isr belongs into a 1 kHz timer interrupt; everything else into the main loop. What
 * both touch is `shared`: the main loop reads and writes it locked, and commits a command only
 * if the interrupt has not made the outputs safe meanwhile. The interrupt alone makes safe,
 * also while the main loop hangs anywhere.
 *
 *     eb1_boot(&device, nonce, EB1_RESET_POWER_ON);
 *     for (;;) {
 *         while (uart_read(&byte)) eb1_receive(&device, byte);
 *         n = eb1_transmit(&device, wire, sizeof wire);   // then send wire[0..n)
 *         eb1_set_sensor(&device, 0, adc());
 *         eb1_main_progress(&device);
 *     }
 */
#ifndef EB1_DEVICE_H
#define EB1_DEVICE_H

#include "board.h"
#include "frame.h"
#include "guard.h"

#define EB1_DEADMAN_MAX_MS 500
#define EB1_TOKEN_MS 10
#define EB1_ARMING_TOKENS 3 /* fresh, different tokens before the outputs follow */

/* The generated limits give the schema hash, the dead man and the leases; a build may choose
 * the rest, and a shorter dead man, with -D. */
#ifndef EB1_PROTOCOL_VERSION
#define EB1_PROTOCOL_VERSION 1
#endif
#ifndef EB1_FIRMWARE_VERSION
#define EB1_FIRMWARE_VERSION 1
#endif
#ifndef EB1_KEEPS_COUNTERS
#define EB1_KEEPS_COUNTERS 0
#endif
#ifndef EB1_TELEMETRY_MS
#define EB1_TELEMETRY_MS 20
#endif
#ifndef EB1_TOKEN_MAX_AGE
#define EB1_TOKEN_MAX_AGE 5
#endif

/* Every frame of the device fits: HELLO, or the longest TELEMETRY. */
#ifndef EB1_TRANSMIT_MAX
#define EB1_TRANSMIT_MAX \
    (EB1_OVERHEAD + 30 + 3 * ENVELOPE_ACTUATORS_ROOM + 5 * ENVELOPE_SENSORS_ROOM)
#endif

typedef enum { EB1_SAFE = 0, EB1_ARMING = 1, EB1_ARMED = 2 } eb1_state;
enum { EB1_BOOTED = 0, EB1_REQUESTED = 1, EB1_DEAD_MAN = 2, EB1_NEW_SESSION = 3 };
enum {
    EB1_RESET_POWER_ON = 0,
    EB1_RESET_WATCHDOG = 1,
    EB1_RESET_SOFTWARE = 2,
    EB1_RESET_UNKNOWN = 3
};
enum { EB1_OK = 0, EB1_WRONG_NONCE = 1, EB1_WRONG_SAFE_COUNT = 2 };

/* Since boot. On the wire are the first two; a build may leave the rest out. */
typedef struct {
    uint32_t bad_frames;
    uint32_t overruns;
#if EB1_KEEPS_COUNTERS
    uint32_t bad[EB1_GOOD]; /* by cause */
    uint32_t sets_applied;
    uint32_t sets_stale;
    uint32_t sets_repeated;
    uint32_t sets_not_armed;
    uint32_t sets_clamped;
    uint32_t messages_refused;
#endif
} eb1_counters;

/* What the timer interrupt and the main loop both touch. */
typedef struct {
    uint32_t now_ms;
    uint32_t safe_count;
    int16_t outputs[ENVELOPE_ACTUATORS_ROOM];
    uint16_t token;    /* the age token: one each EB1_TOKEN_MS */
    uint16_t unfed_ms; /* since the last fresh SET, or the ARM */
    uint8_t token_ms;
    uint8_t state;
    uint8_t safe_reason;
    bool progressed; /* the main loop, since the watchdog was last fed */
} eb1_shared;

/* What is used most stands first, within reach of the short instructions. */
typedef struct {
    eb1_shared shared;
    eb1_session session;
    uint32_t boot_nonce;
    uint32_t host_nonce;
    uint32_t clamped;      /* bit i: the last SET asked actuator i for too much */
    uint32_t guarded_ms;   /* when the guard was last asked */
    uint32_t telemetry_ms; /* when the next one is due */
#if EB1_KEYED
    uint32_t sessions;     /* opened since boot */
#else
    uint16_t seq;
#endif
    uint16_t set_seq;     /* of the newest SET */
    uint16_t control_seq; /* of the newest ARM or DISARM */
    uint16_t arming_tokens[EB1_ARMING_TOKENS - 1];
    uint8_t arming_count;
    uint8_t control_result;
    uint8_t reset_reason;
    uint8_t received;
    bool controlled; /* this session had an ARM or DISARM */
    bool hello_due;
    bool answer_due;
    bool skipping; /* until the next delimiter */
    eb1_counters counters;
    envelope_input input; /* the wish, and what the device's own sensors say */
    eb1_guard guard;
    uint8_t piece[EB1_PIECE_MAX];
} eb1_device;

/* Outputs safe, HELLO due. `boot_nonce` differs from that of the boots before. Before the timer
 * interrupt is enabled. */
void eb1_boot(eb1_device *device, uint32_t boot_nonce, uint8_t reset_reason);

/* One byte from the host. */
void eb1_receive(eb1_device *device, uint8_t byte);

/* The port lost bytes: its ring was full, or the UART says so. */
void eb1_overrun(eb1_device *device);

/* One whole frame that is due, and its size; 0 when none is, or `room` < EB1_TRANSMIT_MAX. */
size_t eb1_transmit(eb1_device *device, uint8_t *wire, size_t room);

/* What the device's own sensor `i` reads now; until the first value it is missing. */
void eb1_set_sensor(eb1_device *device, int i, int32_t counts);

/* Once a round of the main loop. */
void eb1_main_progress(eb1_device *device);

/* Once a millisecond, in the timer interrupt: time, leases, dead man, watchdog. */
void eb1_tick_isr(eb1_device *device);

#endif
