/* The device core as a library of this machine: a board made of memory.
 *
 * Owns: what a port owns, on paper: outputs that are a log, a timer that is told how many
 * milliseconds passed, a watchdog that counts. Must not: decide anything.
 *
 * One call at a time in a process: the limits of the device at hand are a global.
 */
#ifndef EB1_HOST_H
#define EB1_HOST_H

#define ENVELOPE_LIMITS_H "targets/host/limits_host.h"
#include "../../device.h"

#define EB1_HOST_CHANGES 1024

/* The outputs became this when the timer had ticked so often. */
typedef struct {
    uint32_t at_ms;
    int16_t outputs[ENVELOPE_ACTUATORS_ROOM];
} eb1_host_change;

/* One simulated board; the caller owns the memory. */
typedef struct {
    eb1_device device;
    const eb1_host_limits *limits;
    uint32_t kicks; /* of the watchdog */
    uint32_t dead_man_trips;
    uint32_t first_change;
    uint32_t changes;
    eb1_host_change log[EB1_HOST_CHANGES]; /* a ring: the oldest goes first */
} eb1_host;

/* What Python asks about a device. */
typedef struct {
    uint32_t state;
    uint32_t safe_reason;
    uint32_t safe_count;
    uint32_t now_ms;
    uint32_t unfed_ms;
    uint32_t telemetry_ms;
    uint32_t in_session;
    uint32_t kicks;
    uint32_t dead_man_trips;
    eb1_counters counters;
    int16_t outputs[ENVELOPE_ACTUATORS_ROOM];
} eb1_host_view;

/* Who speaks with whom: what the codec alone is told. */
typedef struct {
    uint32_t salt;
    uint32_t open;
    uint32_t expect; /* the direction bit of the other end */
    uint32_t schema_hash;
    uint32_t envelope_hash;
    uint32_t boot_nonce;
    uint32_t host_nonce;
    uint32_t number; /* of the session */
    uint32_t frames; /* number of the newest frame heard, or of the one that is written */
    uint8_t key[32];
} eb1_host_ends;

extern const char eb1_host_sources[]; /* the hash of what this was built from */

uint32_t eb1_host_size(void);
void eb1_host_boot(eb1_host *board, const eb1_host_limits *limits, uint32_t boot_nonce,
                   uint32_t reset_reason);
/* `ms` times the timer interrupt and one round of the main loop. */
void eb1_host_advance(eb1_host *board, uint32_t ms);
/* `ms` times the timer interrupt, while the main loop hangs. */
void eb1_host_hang(eb1_host *board, uint32_t ms);
/* The main loop with these bytes; what it answers to them at once, at most `room`. */
uint32_t eb1_host_receive(eb1_host *board, const uint8_t *bytes, uint32_t size, uint8_t *out,
                          uint32_t room);
/* Every frame that is due, at most `room`. */
uint32_t eb1_host_transmit(eb1_host *board, uint8_t *out, uint32_t room);
void eb1_host_set_sensor(eb1_host *board, uint32_t i, int32_t counts);
void eb1_host_overrun(eb1_host *board);
void eb1_host_look(const eb1_host *board, eb1_host_view *view);
/* The oldest change of the outputs not yet taken; 0 when there is none. */
uint32_t eb1_host_take_change(eb1_host *board, eb1_host_change *change);

/* The codec alone, for comparison with another: values of `kind` as wire bytes, and back. */
uint32_t eb1_host_encode(uint8_t *wire, const eb1_host_ends *ends, const uint32_t *head,
                         const int64_t *values, uint32_t count);
/* head: kind, seq, token, count. Returns the cause, EB1_GOOD when it is a frame. */
uint32_t eb1_host_decode(uint8_t *piece, uint32_t size, const eb1_host_ends *ends,
                         uint32_t *head, int64_t *values);
#if EB1_KEYED
/* BLAKE2s alone, for the vectors of RFC 7693. */
void eb1_host_blake2s(uint8_t *out, uint32_t out_size, const uint8_t *key, uint32_t key_size,
                      const uint8_t *bytes, uint32_t size);
#endif

#endif
