/* Limits that come at run time: one library for every device and every test.
 *
 * The names are those of a generated header; they read what the call at hand selected. Only
 * the host has this: on a microcontroller the tables are constants, and proved.
 */
#ifndef ENVELOPE_LIMITS_HOST_H
#define ENVELOPE_LIMITS_HOST_H

#define EB1_RUN_TIME_LIMITS

#define ENVELOPE_ACTUATORS_ROOM 32
#define ENVELOPE_SENSORS_ROOM 32
#define ENVELOPE_INTERLOCKS_ROOM 64
#define ENVELOPE_REASONS_ROOM 1
#define ENVELOPE_KEEPS_REASONS 0
#define ENVELOPE_RAMPS 0
#define EB1_KEEPS_COUNTERS 1
#define EB1_FORCES_ROOM 256
#define EB1_EXCLUSIVES_ROOM 64
#define EB1_TRANSMIT_MAX EB1_WIRE_MAX /* whoever makes the limits refuses longer frames */

typedef struct {
    int32_t sensors;
    int32_t actuators;
    int32_t interlocks;
    int32_t forces;
    int32_t exclusives;
    uint32_t protocol_version;
    uint32_t firmware_version;
    uint32_t envelope_hash;
    uint32_t schema_hash;
    uint32_t deadman_ms;
    uint32_t telemetry_ms;
    uint32_t token_max_age; /* units of 10 ms */
    uint8_t key[32]; /* of the keyed build */
    uint16_t leases_ms[ENVELOPE_ACTUATORS_ROOM];
    envelope_motion motions[ENVELOPE_ACTUATORS_ROOM];
    envelope_interlock locks[ENVELOPE_INTERLOCKS_ROOM];
    envelope_force forced[EB1_FORCES_ROOM];
    envelope_exclusive pairs[EB1_EXCLUSIVES_ROOM];
} eb1_host_limits;

extern const eb1_host_limits *eb1_limits;

#define ENVELOPE_SENSORS (eb1_limits->sensors)
#define ENVELOPE_ACTUATORS (eb1_limits->actuators)
#define ENVELOPE_INTERLOCKS (eb1_limits->interlocks)
#define ENVELOPE_FORCES (eb1_limits->forces)
#define ENVELOPE_EXCLUSIVES (eb1_limits->exclusives)
#define ENVELOPE_HASH (eb1_limits->envelope_hash)
#define ENVELOPE_MOTIONS (eb1_limits->motions)
#define ENVELOPE_LOCKS (eb1_limits->locks)
#define ENVELOPE_FORCED (eb1_limits->forced)
#define ENVELOPE_PAIRS (eb1_limits->pairs)
#define EB1_SCHEMA_HASH (eb1_limits->schema_hash)
#define EB1_PROTOCOL_VERSION (eb1_limits->protocol_version)
#define EB1_FIRMWARE_VERSION (eb1_limits->firmware_version)
#define EB1_DEADMAN_MS (eb1_limits->deadman_ms)
#define EB1_TELEMETRY_MS (eb1_limits->telemetry_ms)
#define EB1_TOKEN_MAX_AGE (eb1_limits->token_max_age)
#define EB1_KEY_BYTES (eb1_limits->key)
#define EB1_LEASES_MS (eb1_limits->leases_ms)

#endif
