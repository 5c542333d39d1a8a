/* The device's state machine; see device.h for what may run where. */
#include "device.h"

#ifndef EB1_RUN_TIME_LIMITS
#if EB1_DEADMAN_MS < 1 || EB1_DEADMAN_MS > EB1_DEADMAN_MAX_MS
#error "the dead man must be 1 to 500 ms"
#endif
#endif

/* A counter that is not on the wire. */
#if EB1_KEEPS_COUNTERS
#define COUNT(counter) device->counters.counter++
#else
#define COUNT(counter) ((void)0)
#endif

#define GUARD_REST_MS 500u /* how often the guard is told that time passes in SAFE */

/* What HELLO and HELLO_ACK say: with a key, the number of the next session too. And what a frame
 * of the device is proved with. */
#if EB1_KEYED
#define HELLO_FIELDS 8
#define HELLO_ACK_FIELDS 3
#define OPENING_PROOF(device) (&(device)->session)
#define SESSION_PROOF(device) (&(device)->session)
#ifdef EB1_KEY
static const uint8_t KEY[EB1_KEY_SIZE] = EB1_KEY;
#define EB1_KEY_BYTES KEY
#endif
#else
#define HELLO_FIELDS 7
#define HELLO_ACK_FIELDS 2
#define OPENING_PROOF(device) 0
#define SESSION_PROOF(device) ((device)->session.salt)
#endif

enum {
    ARM = 0x01,
    DISARM = 0x02,
    SET = 0x10,
    IDENT = EB1_UNSALTED | 0x01,
    HELLO_ACK = EB1_UNSALTED | 0x02,
    ACK = EB1_FROM_DEVICE | 0x01,
    TELEMETRY = EB1_FROM_DEVICE | 0x10,
    HELLO = EB1_FROM_DEVICE | EB1_UNSALTED | 0x01
};

/* ---- shared with the timer interrupt ------------------------------------------------------ */

/* Locked, or in the interrupt: every output safe, latched. */
static void make_safe(eb1_shared *shared, uint8_t reason)
{
    if (shared->state == EB1_SAFE) {
        return;
    }
    shared->state = EB1_SAFE;
    shared->safe_reason = reason;
    shared->safe_count++;
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        shared->outputs[i] = (int16_t)ENVELOPE_MOTIONS[i].safe_counts;
    }
    board_write_outputs(shared->outputs);
}

/* Outputs whose own lease ends now. */
static void end_leases(eb1_shared *shared)
{
    bool moved = false;
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        if (shared->unfed_ms == EB1_LEASES_MS[i]) {
            shared->outputs[i] = (int16_t)ENVELOPE_MOTIONS[i].safe_counts;
            moved = true;
        }
    }
    if (moved) {
        board_write_outputs(shared->outputs);
    }
}

void eb1_tick_isr(eb1_device *device)
{
    eb1_shared *const shared = &device->shared;
    shared->now_ms++;
    shared->token_ms++;
    if (shared->token_ms == EB1_TOKEN_MS) {
        shared->token_ms = 0;
        shared->token++;
    }
    if (shared->state != EB1_SAFE) {
        shared->unfed_ms++;
        end_leases(shared);
        if (shared->unfed_ms >= EB1_DEADMAN_MS) {
            make_safe(shared, EB1_DEAD_MAN);
        }
    }
    if (shared->progressed) {
        shared->progressed = false;
        board_kick_watchdog();
    }
}

/* What the interrupt has made of things, in one piece. */
static void look(eb1_device *device, eb1_shared *copy)
{
    const uint8_t *const from = (const uint8_t *)&device->shared;
    volatile uint8_t *const to = (volatile uint8_t *)copy; /* or it becomes a library's call */
    board_lock();
    for (size_t k = 0; k < sizeof *copy; k++) {
        to[k] = from[k];
    }
    board_unlock();
}

static void stop(eb1_device *device, uint8_t reason)
{
    board_lock();
    make_safe(&device->shared, reason);
    board_unlock();
}

/* ---- messages ----------------------------------------------------------------------------- */

/* The next integer as u32; false when it is none. */
static bool next_unsigned(eb1_frame *frame, uint32_t *value)
{
    eb1_int read = {0, true}; /* there is one: the body was walked before, and counted */
    eb1_next(frame, &read);
    *value = read.bits;
    return !read.negative;
}

/* Ask the guard, with the time since it was last asked. */
static void ask_guard(eb1_device *device, const eb1_shared *seen, uint8_t mode,
                      envelope_verdict *verdict)
{
    device->input.mode = mode;
    eb1_guard_step(&device->guard, seen->outputs, seen->now_ms - device->guarded_ms,
                   &device->input, verdict);
    device->guarded_ms = seen->now_ms;
}

/* The wish of a SET; false when it is no int16 for each actuator. */
static bool read_wish(eb1_device *device, eb1_frame *frame)
{
    eb1_int value = {UINT32_MAX, false};
    if (frame->count != ENVELOPE_ACTUATORS) {
        return false;
    }
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        uint32_t magnitude;
        eb1_next(frame, &value);
        magnitude = value.negative ? ~value.bits : value.bits;
        if (magnitude > INT16_MAX) {
            return false;
        }
        device->input.wanted[i] =
            value.negative ? -(int32_t)magnitude - 1 : (int32_t)magnitude;
    }
    return true;
}

static bool is_stale(uint16_t now, uint16_t token)
{
    return (uint16_t)(now - token) > EB1_TOKEN_MAX_AGE;
}

/* A fresh token while arming; true when there were enough different ones. */
static bool enough_tokens(eb1_device *device, uint16_t token)
{
    for (uint8_t k = 0; k < device->arming_count; k++) {
        if (device->arming_tokens[k] == token) {
            return false;
        }
    }
    if (device->arming_count == EB1_ARMING_TOKENS - 1) {
        return true;
    }
    device->arming_tokens[device->arming_count] = token;
    device->arming_count++;
    return false;
}

/* Put a command that was judged by `seen` on the pins, unless the interrupt was quicker: made
 * safe, or took back an output whose lease ended. */
static bool commit(eb1_device *device, const eb1_shared *seen, uint16_t token,
                   const envelope_verdict *verdict)
{
    eb1_shared *const shared = &device->shared;
    bool fresh;
    board_lock();
    fresh = shared->state != EB1_SAFE && !is_stale(shared->token, token);
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        fresh = fresh && shared->outputs[i] == seen->outputs[i];
    }
    if (fresh) {
        shared->unfed_ms = 0;
        if (verdict != NULL) {
            shared->state = EB1_ARMED;
            for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
                shared->outputs[i] = (int16_t)verdict->command[i];
            }
            board_write_outputs(shared->outputs);
        }
    }
    board_unlock();
    return fresh;
}

/* A fresh wish goes through the guard; the wish is in the input. */
static void obey(eb1_device *device, const eb1_shared *seen, uint16_t token)
{
    envelope_verdict verdict;
    ask_guard(device, seen, ENVELOPE_ACTIVE, &verdict);
    if (!commit(device, seen, token, &verdict)) {
        COUNT(sets_stale);
        return;
    }
    device->clamped = 0;
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        if (verdict.command[i] != device->input.wanted[i]) {
            device->clamped |= UINT32_C(1) << i;
        }
    }
    COUNT(sets_applied);
    if (EB1_KEEPS_COUNTERS && device->clamped != 0) {
        COUNT(sets_clamped);
    }
}

static bool on_set(eb1_device *device, eb1_frame *frame)
{
    eb1_shared seen;
    const uint16_t ahead = (uint16_t)(frame->seq - device->set_seq);
    if (!read_wish(device, frame)) {
        return false;
    }
    look(device, &seen);
    if (seen.state == EB1_SAFE) {
        COUNT(sets_not_armed);
    } else if (ahead == 0 || ahead >= 0x8000) {
        COUNT(sets_repeated);
    } else if (is_stale(seen.token, frame->token)) {
        COUNT(sets_stale);
    } else {
        device->set_seq = frame->seq;
        if (seen.state == EB1_ARMING && !enough_tokens(device, frame->token)) {
            commit(device, &seen, frame->token, NULL);
        } else {
            obey(device, &seen, frame->token);
        }
    }
    return true;
}

static uint8_t arm(eb1_device *device, const eb1_frame *frame, uint32_t nonce, uint32_t count)
{
    envelope_verdict verdict;
    eb1_shared seen;
    look(device, &seen);
    if (nonce != device->host_nonce) {
        return EB1_WRONG_NONCE;
    }
    if (count != seen.safe_count) {
        return EB1_WRONG_SAFE_COUNT;
    }
    if (seen.state == EB1_SAFE) {
        ask_guard(device, &seen, EB1_SAFE, &verdict); /* nothing is saved up from before */
        device->arming_count = 0;
        device->set_seq = frame->seq; /* a SET from before is not for this arming */
        board_lock();
        device->shared.unfed_ms = 0;
        device->shared.state = EB1_ARMING;
        board_unlock();
    }
    return EB1_OK;
}

/* ARM and DISARM; a repeated one gets its first answer again and does nothing. */
static bool on_control(eb1_device *device, eb1_frame *frame)
{
    const uint16_t ahead = (uint16_t)(frame->seq - device->control_seq);
    uint32_t nonce = 0;
    uint32_t count = 0;
    if (device->controlled && (ahead == 0 || ahead >= 0x8000)) {
        device->answer_due = device->answer_due || ahead == 0;
        return true;
    }
    if (frame->kind == DISARM) {
        if (frame->count != 0) {
            return false;
        }
        stop(device, EB1_REQUESTED);
        device->control_result = EB1_OK;
    } else {
        if (frame->count != 2 || !next_unsigned(frame, &nonce) || !next_unsigned(frame, &count)) {
            return false;
        }
        device->control_result = arm(device, frame, nonce, count);
    }
    device->controlled = true;
    device->control_seq = frame->seq;
    device->answer_due = true;
    return true;
}

#if EB1_KEYED
/* A HELLO_ACK names the session by the number that HELLO gave, and no other session of this boot
 * has it: a recorded one opens nothing. */
static bool begin_session(eb1_device *device, eb1_frame *frame, uint32_t nonce)
{
    eb1_session *const session = &device->session;
    eb1_keyed_session named;
    if (!next_unsigned(frame, &named.number) || named.number != device->sessions) {
        return false;
    }
    device->sessions++;
    named.schema_hash = EB1_SCHEMA_HASH;
    named.envelope_hash = ENVELOPE_HASH;
    named.boot_nonce = device->boot_nonce;
    named.host_nonce = nonce;
    eb1_tag_start(&session->start, session->key, &named);
    session->heard = 0;
    session->sent = 0;
    return true;
}

static void note_number(eb1_session *session, const eb1_frame *frame)
{
    if ((frame->kind & EB1_UNSALTED) == 0 &&
        frame->number - session->heard < UINT32_C(0x80000000)) {
        session->heard = frame->number;
    }
}
#else
static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    for (int k = 0; k < 4; k++) {
        *at++ = (uint8_t)(value & 255);
        value >>= 8;
    }
    return at;
}

static bool begin_session(eb1_device *device, const eb1_frame *frame, uint32_t nonce)
{
    uint8_t input[16];
    (void)frame;
    if (device->session.open && nonce == device->host_nonce) {
        return false;
    }
    put_u32(put_u32(put_u32(put_u32(input, EB1_SCHEMA_HASH), ENVELOPE_HASH),
                    device->boot_nonce), nonce);
    device->session.salt = eb1_crc32(0, input, sizeof input);
    return true;
}
#endif

static bool on_hello_ack(eb1_device *device, eb1_frame *frame)
{
    uint32_t boot;
    uint32_t nonce;
    eb1_shared seen;
    if (frame->count != HELLO_ACK_FIELDS || !next_unsigned(frame, &boot) ||
        !next_unsigned(frame, &nonce)) {
        return false;
    }
    if (boot != device->boot_nonce || !begin_session(device, frame, nonce)) {
        return true; /* meant for an earlier boot, or said before */
    }
    stop(device, EB1_NEW_SESSION);
    look(device, &seen);
    device->session.open = true;
    device->host_nonce = nonce;
    device->controlled = false;
    device->answer_due = false;
    device->set_seq = 0;
    device->clamped = 0;
    device->telemetry_ms = seen.now_ms;
    return true;
}

#if !EB1_KEYED
static bool on_ident(eb1_device *device, eb1_frame *frame)
{
    uint32_t version;
    if (frame->count != 1 || !next_unsigned(frame, &version)) {
        return false;
    }
    device->hello_due = true;
    return true;
}
#endif

static bool on_frame(eb1_device *device, eb1_frame *frame)
{
    switch (frame->kind) {
    case SET:
        return on_set(device, frame);
    case ARM:
    case DISARM:
        return on_control(device, frame);
#if !EB1_KEYED /* a keyed device answers it before any proof */
    case IDENT:
        return on_ident(device, frame);
#endif
    case HELLO_ACK:
        return on_hello_ack(device, frame);
    default:
        return false;
    }
}

/* ---- the main loop's calls ------------------------------------------------------------------ */

void eb1_boot(eb1_device *device, uint32_t boot_nonce, uint8_t reset_reason)
{
    volatile uint8_t *const bytes = (volatile uint8_t *)device;
    for (size_t k = 0; k < sizeof *device; k++) {
        bytes[k] = 0;
    }
    device->boot_nonce = boot_nonce;
    device->reset_reason = reset_reason;
    device->hello_due = true;
    device->skipping = true;
#if EB1_KEYED
    device->session.key = EB1_KEY_BYTES;
#endif
    eb1_guard_init(&device->guard);
    device->input.has_wish = true;
    for (int i = 0; i < ENVELOPE_SENSORS; i++) {
        device->input.qualities[i] = ENVELOPE_GOOD + 1;
    }
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        device->shared.outputs[i] = (int16_t)ENVELOPE_MOTIONS[i].safe_counts;
    }
    board_write_outputs(device->shared.outputs);
}

void eb1_set_sensor(eb1_device *device, int i, int32_t counts)
{
    device->input.sensors[i] = counts;
    device->input.qualities[i] = ENVELOPE_GOOD;
}

void eb1_overrun(eb1_device *device)
{
    device->counters.overruns++;
}

static void drop(eb1_device *device, uint8_t cause)
{
    (void)cause; /* of interest only where it is counted */
    COUNT(bad[cause]);
    device->counters.bad_frames++;
}

/* A delimiter ends the piece, which may be a frame. */
static void end_piece(eb1_device *device)
{
    eb1_frame frame;
    uint8_t cause;
    if (device->skipping || device->received == 0) {
        return; /* the rest of something dropped, or nothing between two delimiters */
    }
    cause = eb1_decode(device->piece, device->received, &device->session, &frame);
#if EB1_KEYED
    if (device->received > 1 && device->piece[1] == IDENT) {
        device->hello_due = true; /* a question needs no proof: it moves nothing */
        return;
    }
#endif
    if (cause != EB1_GOOD) {
        drop(device, cause);
        return;
    }
#if EB1_KEYED
    note_number(&device->session, &frame);
#endif
    if (!on_frame(device, &frame)) {
        COUNT(messages_refused);
    }
}

void eb1_receive(eb1_device *device, uint8_t byte)
{
    if (byte == 0) {
        end_piece(device);
        device->skipping = false;
        device->received = 0;
    } else if (!device->skipping) {
        if (device->received == EB1_PIECE_MAX) {
            drop(device, EB1_TOO_LONG);
            device->skipping = true;
            return;
        }
        device->piece[device->received] = byte;
        device->received++;
    }
}

/* `count` values of a frame that was begun. */
static void write_values(eb1_writer *writer, const uint32_t *values, int count)
{
    for (int k = 0; k < count; k++) {
        eb1_put_unsigned(writer, values[k]);
    }
}

static size_t write_hello(const eb1_device *device, uint8_t *wire)
{
    const uint32_t values[] = {
        EB1_PROTOCOL_VERSION, EB1_FIRMWARE_VERSION, EB1_SCHEMA_HASH,      ENVELOPE_HASH,
        device->boot_nonce,   device->reset_reason, (uint32_t)EB1_DEADMAN_MS,
#if EB1_KEYED
        device->sessions,
#endif
    };
    eb1_writer writer;
    eb1_begin(&writer, wire, HELLO);
    eb1_head(&writer, 0, 0, HELLO_FIELDS);
    write_values(&writer, values, HELLO_FIELDS);
    return eb1_end(&writer, OPENING_PROOF(device));
}

/* The sequence number of the next frame of the session. */
static uint16_t next_seq(eb1_device *device)
{
#if EB1_KEYED
    device->session.sent++;
    return (uint16_t)device->session.sent;
#else
    device->seq++;
    return device->seq;
#endif
}

static size_t write_answer(eb1_device *device, uint8_t *wire, uint16_t token)
{
    eb1_writer writer;
    eb1_begin(&writer, wire, ACK);
    eb1_head(&writer, next_seq(device), token, 2);
    eb1_put_unsigned(&writer, device->control_seq);
    eb1_put_unsigned(&writer, device->control_result);
    return eb1_end(&writer, SESSION_PROOF(device));
}

static size_t write_telemetry(eb1_device *device, uint8_t *wire, const eb1_shared *seen)
{
    const uint32_t values[] = {
        seen->now_ms * 1000,         seen->state,
        seen->safe_reason,           device->set_seq,
        device->clamped,             device->counters.bad_frames,
        device->counters.overruns,   seen->safe_count,
    };
    eb1_writer writer;
    eb1_begin(&writer, wire, TELEMETRY);
    eb1_head(&writer, next_seq(device), seen->token,
             (uint16_t)(8 + ENVELOPE_ACTUATORS + ENVELOPE_SENSORS));
    write_values(&writer, values, 8);
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        eb1_put_signed(&writer, seen->outputs[i]);
    }
    for (int i = 0; i < ENVELOPE_SENSORS; i++) {
        eb1_put_signed(&writer, device->input.sensors[i]);
    }
    return eb1_end(&writer, SESSION_PROOF(device));
}

size_t eb1_transmit(eb1_device *device, uint8_t *wire, size_t room)
{
    eb1_shared seen;
    if (room < EB1_TRANSMIT_MAX) {
        return 0;
    }
    if (device->hello_due) {
        device->hello_due = false;
        return write_hello(device, wire);
    }
    look(device, &seen);
    if (device->answer_due) {
        device->answer_due = false;
        return write_answer(device, wire, seen.token);
    }
    if (!device->session.open || seen.now_ms - device->telemetry_ms >= UINT32_C(0x80000000)) {
        return 0;
    }
    device->telemetry_ms += EB1_TELEMETRY_MS;
    if (seen.now_ms - device->telemetry_ms < UINT32_C(0x80000000)) {
        device->telemetry_ms = seen.now_ms + EB1_TELEMETRY_MS; /* what was missed is skipped */
    }
    return write_telemetry(device, wire, &seen);
}

void eb1_main_progress(eb1_device *device)
{
    envelope_verdict verdict;
    eb1_shared seen;
    look(device, &seen);
    if (seen.state == EB1_SAFE && seen.now_ms - device->guarded_ms >= GUARD_REST_MS) {
        ask_guard(device, &seen, EB1_SAFE, &verdict);
    }
    board_lock();
    device->shared.progressed = true;
    board_unlock();
}
