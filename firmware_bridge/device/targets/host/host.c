/* The board made of memory, and the whole core in one translation unit; see host.h. */
#include "host.h"

#include "../../eb1.c"

#ifndef EB1_SOURCES
#define EB1_SOURCES "unknown"
#endif

const char eb1_host_sources[] = EB1_SOURCES;
const eb1_host_limits *eb1_limits;
static eb1_host *at_hand;

static void take(eb1_host *board)
{
    at_hand = board;
    eb1_limits = board->limits;
}

/* ---- the port ----------------------------------------------------------------------------- */

void board_write_outputs(const int16_t *counts)
{
    eb1_host *const board = at_hand;
    const uint32_t last = board->first_change + board->changes - 1;
    const int16_t *before = board->log[last % EB1_HOST_CHANGES].outputs;
    eb1_host_change *change = &board->log[(last + 1) % EB1_HOST_CHANGES];
    bool changed = board->changes == 0;
    for (int i = 0; i < ENVELOPE_ACTUATORS && !changed; i++) {
        changed = before[i] != counts[i];
    }
    if (!changed) {
        return;
    }
    change->at_ms = board->device.shared.now_ms;
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        change->outputs[i] = counts[i];
    }
    if (board->changes == EB1_HOST_CHANGES) {
        board->first_change++;
    } else {
        board->changes++;
    }
}

void board_lock(void)
{
}

void board_unlock(void)
{
}

void board_kick_watchdog(void)
{
    at_hand->kicks++;
}

/* ---- what Python calls -------------------------------------------------------------------- */

uint32_t eb1_host_size(void)
{
    return sizeof(eb1_host);
}

void eb1_host_boot(eb1_host *board, const eb1_host_limits *limits, uint32_t boot_nonce,
                   uint32_t reset_reason)
{
    board->limits = limits;
    board->kicks = 0;
    board->dead_man_trips = 0;
    board->first_change = 0;
    board->changes = 0;
    take(board);
    eb1_boot(&board->device, boot_nonce, (uint8_t)reset_reason);
}

static void tick_once(eb1_host *board)
{
    const eb1_shared *const shared = &board->device.shared;
    const bool was_safe = shared->state == EB1_SAFE;
    eb1_tick_isr(&board->device);
    board->dead_man_trips += !was_safe && shared->state == EB1_SAFE;
}

void eb1_host_advance(eb1_host *board, uint32_t ms)
{
    take(board);
    for (; ms > 0; ms--) {
        tick_once(board);
        eb1_main_progress(&board->device);
    }
}

void eb1_host_hang(eb1_host *board, uint32_t ms)
{
    take(board);
    for (; ms > 0; ms--) {
        tick_once(board);
    }
}

/* Answers only: telemetry waits until it is asked for. */
uint32_t eb1_host_receive(eb1_host *board, const uint8_t *bytes, uint32_t size, uint8_t *out,
                          uint32_t room)
{
    eb1_device *const device = &board->device;
    uint32_t used = 0;
    take(board);
    for (uint32_t k = 0; k < size; k++) {
        eb1_receive(device, bytes[k]);
        while (device->hello_due || device->answer_due) {
            const size_t sent = eb1_transmit(device, out + used, room - used);
            if (sent == 0) {
                break;
            }
            used += (uint32_t)sent;
        }
    }
    return used;
}

uint32_t eb1_host_transmit(eb1_host *board, uint8_t *out, uint32_t room)
{
    uint32_t used = 0;
    uint32_t sent;
    take(board);
    do {
        sent = (uint32_t)eb1_transmit(&board->device, out + used, room - used);
        used += sent;
    } while (sent != 0);
    return used;
}

void eb1_host_set_sensor(eb1_host *board, uint32_t i, int32_t counts)
{
    take(board);
    eb1_set_sensor(&board->device, (int)i, counts);
}

void eb1_host_overrun(eb1_host *board)
{
    take(board);
    eb1_overrun(&board->device);
}

void eb1_host_look(const eb1_host *board, eb1_host_view *view)
{
    const eb1_shared *const shared = &board->device.shared;
    view->state = shared->state;
    view->safe_reason = shared->safe_reason;
    view->safe_count = shared->safe_count;
    view->now_ms = shared->now_ms;
    view->unfed_ms = shared->unfed_ms;
    view->telemetry_ms = board->device.telemetry_ms;
    view->in_session = board->device.session.open;
    view->kicks = board->kicks;
    view->dead_man_trips = board->dead_man_trips;
    view->counters = board->device.counters;
    for (int i = 0; i < ENVELOPE_ACTUATORS_ROOM; i++) {
        view->outputs[i] = shared->outputs[i];
    }
}

uint32_t eb1_host_take_change(eb1_host *board, eb1_host_change *change)
{
    if (board->changes <= 1) { /* the last stays, to compare the next with */
        return 0;
    }
    board->first_change++;
    board->changes--;
    *change = board->log[board->first_change % EB1_HOST_CHANGES];
    return 1;
}

#if EB1_KEYED
static void between(eb1_session *session, const eb1_host_ends *ends)
{
    const eb1_keyed_session named = {
        ends->schema_hash, ends->envelope_hash, ends->boot_nonce, ends->host_nonce, ends->number,
    };
    session->key = ends->key;
    session->heard = ends->frames;
    session->sent = ends->frames;
    session->open = ends->open != 0;
    session->expect = (uint8_t)ends->expect;
    eb1_tag_start(&session->start, ends->key, &named);
}

void eb1_host_blake2s(uint8_t *out, uint32_t out_size, const uint8_t *key, uint32_t key_size,
                      const uint8_t *bytes, uint32_t size)
{
    eb1_blake2s hash;
    eb1_blake2s_begin(&hash, (uint8_t)out_size, key, (uint8_t)key_size);
    eb1_blake2s_add(&hash, bytes, size);
    eb1_blake2s_end(&hash, out, (uint8_t)out_size);
}
#else
static void between(eb1_session *session, const eb1_host_ends *ends)
{
    session->salt = ends->salt;
    session->open = ends->open != 0;
    session->expect = (uint8_t)ends->expect;
}
#endif

uint32_t eb1_host_encode(uint8_t *wire, const eb1_host_ends *ends, const uint32_t *head,
                         const int64_t *values, uint32_t count)
{
    eb1_writer writer;
    eb1_session session;
    const uint8_t kind = (uint8_t)head[0];
    between(&session, ends);
    eb1_begin(&writer, wire, kind);
    eb1_head(&writer, (uint16_t)head[1], (uint16_t)head[2], (uint16_t)count);
    for (uint32_t k = 0; k < count; k++) {
        if (values[k] < 0) {
            eb1_put_signed(&writer, (int32_t)values[k]);
        } else {
            eb1_put_unsigned(&writer, (uint32_t)values[k]);
        }
    }
#if EB1_KEYED
    return (uint32_t)eb1_end(&writer, &session);
#else
    return (uint32_t)eb1_end(&writer, (kind & EB1_UNSALTED) != 0 ? 0 : session.salt);
#endif
}

uint32_t eb1_host_decode(uint8_t *piece, uint32_t size, const eb1_host_ends *ends,
                         uint32_t *head, int64_t *values)
{
    eb1_session session;
    eb1_frame frame;
    eb1_int value;
    uint8_t cause;
    between(&session, ends);
    cause = eb1_decode(piece, size, &session, &frame);
    if (cause != EB1_GOOD) {
        return cause;
    }
    head[0] = frame.kind;
    head[1] = frame.seq;
    head[2] = frame.token;
    head[3] = frame.count;
    for (uint32_t k = 0; eb1_next(&frame, &value); k++) {
        values[k] = value.negative ? (int64_t)value.bits - (INT64_C(1) << 32) : value.bits;
    }
    return EB1_GOOD;
}
