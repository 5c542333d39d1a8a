/* The codec; see frame.h. COBS is undone and done in place: a code byte stands where a zero
 * was, so neither direction needs a second buffer. */
#include "frame.h"

#define HEADER 5
#define RAW_MIN (HEADER + 1 + EB1_CHECK_SIZE)

#if !EB1_KEYED
/* Four bits at a time: 64 bytes of table, a quarter of the time of one bit at a time. */
static const uint32_t CRC_NIBBLE[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
    0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
    0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

uint32_t eb1_crc32(uint32_t start, const uint8_t *bytes, size_t size)
{
    uint32_t crc = ~start;
    for (size_t k = 0; k < size; k++) {
        crc ^= bytes[k];
        crc = (crc >> 4) ^ CRC_NIBBLE[crc & 15];
        crc = (crc >> 4) ^ CRC_NIBBLE[crc & 15];
    }
    return ~crc;
}
#endif

static uint16_t u16_at(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

#if !EB1_KEYED
static uint32_t u32_at(const uint8_t *bytes)
{
    return u16_at(bytes) | (uint32_t)u16_at(bytes + 2) << 16;
}
#endif

/* Puts the zeros back: each code is the distance to the next one. False when they do not add
 * up to the piece. */
static bool unstuff(uint8_t *piece, size_t size)
{
    size_t at = 0;
    while (at < size) {
        const uint8_t step = piece[at];
        piece[at] = 0;
        at += step;
    }
    return at == size;
}

/* Bits from which on 1, 2 or 4 bytes are the shortest form, without and with a sign; those of
 * a negative number are of its complement. */
static const uint8_t SHORTEST_FROM[2][3] = {{7, 8, 16}, {5, 7, 15}};

/* The `size` bytes at the frame's place, high byte first, below the bits of `start`. */
static uint32_t bits_at(eb1_frame *frame, size_t size, uint32_t start)
{
    for (size_t k = 0; k < size; k++) {
        start = start << 8 | frame->bytes[frame->at];
        frame->at++;
    }
    return start;
}

bool eb1_next(eb1_frame *frame, eb1_int *value)
{
    uint8_t code;
    size_t size;
    if (frame->at >= frame->end) {
        return false;
    }
    code = frame->bytes[frame->at];
    frame->at++;
    value->negative = code >= 0xd0;
    value->bits = code;
    if (code < 0x80) {
        return true;
    }
    if (code >= 0xe0) {
        value->bits |= UINT32_C(0xffffff00);
        return true;
    }
    /* cc, cd, ce: 1, 2 or 4 bytes without a sign; d0, d1, d2: with one */
    if (code < 0xcc || code > 0xd2 || code == 0xcf) {
        return false;
    }
    code &= 3;
    size = (size_t)1 << code;
    if (size > frame->end - frame->at) {
        return false;
    }
    if (!value->negative) {
        value->bits = bits_at(frame, size, 0);
        return value->bits >> SHORTEST_FROM[0][code] != 0;
    }
    if (frame->bytes[frame->at] < 0x80) {
        return false;
    }
    value->bits = bits_at(frame, size, UINT32_MAX);
    return ~value->bits >> SHORTEST_FROM[1][code] != 0;
}

/* The head of the body, then every integer once: nothing else, and nothing after. */
static bool body_is_sound(eb1_frame *frame)
{
    const uint8_t head = frame->bytes[HEADER];
    size_t start;
    uint16_t left;
    eb1_int value;
    frame->count = head & 15;
    frame->at = HEADER + 1;
    if (head == 0xdc && frame->end >= HEADER + 3) {
        frame->count = (uint16_t)(frame->bytes[HEADER + 1] << 8 | frame->bytes[HEADER + 2]);
        frame->at = HEADER + 3;
        if (frame->count < 16) {
            return false;
        }
    } else if (head >> 4 != 9) {
        return false;
    }
    start = frame->at;
    for (left = frame->count; left > 0; left--) {
        if (!eb1_next(frame, &value)) {
            return false;
        }
    }
    if (frame->at != frame->end) {
        return false;
    }
    frame->at = start;
    return true;
}

#if EB1_KEYED
/* The number whose lower half is the frame's seq and that is nearest to the newest one's. */
static uint32_t number_of(const eb1_session *session, uint16_t seq)
{
    const uint16_t ahead = (uint16_t)(seq - session->heard);
    return session->heard + ahead - (ahead < 0x8000 ? 0 : UINT32_C(0x10000));
}

static void write_tag(uint8_t *tag, const eb1_session *session, uint32_t number,
                      const uint8_t *frame, size_t size)
{
    if ((frame[0] & EB1_UNSALTED) != 0) {
        eb1_tag_opening(tag, session->key, frame, size);
    } else {
        eb1_tag(tag, &session->start, number, frame, size);
    }
}

static bool is_proved(const eb1_session *session, eb1_frame *frame)
{
    uint8_t tag[EB1_TAG_SIZE];
    frame->number = number_of(session, u16_at(frame->bytes + 1));
    write_tag(tag, session, frame->number, frame->bytes, frame->end);
    return eb1_same_tag(tag, frame->bytes + frame->end);
}
#endif

uint8_t eb1_decode(uint8_t *piece, size_t size, const eb1_session *session, eb1_frame *frame)
{
    uint8_t *raw = piece + 1; /* the first code stands where no zero was */
#if !EB1_KEYED
    uint32_t salt;
#endif
    if (size <= RAW_MIN) {
        return EB1_TOO_SHORT;
    }
    if (size > EB1_PIECE_MAX) {
        return EB1_TOO_LONG;
    }
    if (!unstuff(piece, size)) {
        return EB1_BAD_COBS;
    }
    frame->kind = raw[0];
    if ((frame->kind & EB1_FROM_DEVICE) != session->expect) {
        return EB1_REFLECTED;
    }
#if !EB1_KEYED
    salt = (frame->kind & EB1_UNSALTED) != 0 ? 0 : session->salt;
#endif
    if ((frame->kind & EB1_UNSALTED) == 0 && !session->open) {
        return EB1_NO_SESSION;
    }
    frame->bytes = raw;
    frame->end = size - 1 - EB1_CHECK_SIZE;
#if EB1_KEYED
    if (!is_proved(session, frame)) {
        return EB1_BAD_CRC;
    }
#else
    if (eb1_crc32(salt, raw, frame->end) != u32_at(raw + frame->end)) {
        return EB1_BAD_CRC;
    }
#endif
    frame->seq = u16_at(raw + 1);
    frame->token = u16_at(raw + 3);
    return body_is_sound(frame) ? EB1_GOOD : EB1_BAD_BODY;
}

/* ---- writing ---------------------------------------------------------------------------- */

static void put(eb1_writer *writer, uint32_t byte)
{
    writer->wire[writer->at] = (uint8_t)(byte & 255);
    writer->at++;
}

static void put_high_first(eb1_writer *writer, uint32_t value, uint8_t code, uint8_t size)
{
    put(writer, code);
    while (size > 0) {
        size--;
        put(writer, value >> 8 * size);
    }
}

static void put_low_first(eb1_writer *writer, uint32_t value, uint8_t size)
{
    for (; size > 0; size--) {
        put(writer, value);
        value >>= 8;
    }
}

void eb1_begin(eb1_writer *writer, uint8_t *wire, uint8_t kind)
{
    wire[0] = 0;
    writer->wire = wire;
    writer->at = 2; /* the first code comes last */
    put(writer, kind);
}

void eb1_head(eb1_writer *writer, uint16_t seq, uint16_t token, uint16_t count)
{
    put_low_first(writer, seq, 2);
    put_low_first(writer, token, 2);
    if (count < 16) {
        put(writer, 0x90u | count);
    } else {
        put_high_first(writer, count, 0xdc, 2);
    }
}

void eb1_put_unsigned(eb1_writer *writer, uint32_t value)
{
    if (value < 0x80) {
        put(writer, value);
    } else if (value <= UINT8_MAX) {
        put_high_first(writer, value, 0xcc, 1);
    } else if (value <= UINT16_MAX) {
        put_high_first(writer, value, 0xcd, 2);
    } else {
        put_high_first(writer, value, 0xce, 4);
    }
}

void eb1_put_signed(eb1_writer *writer, int32_t value)
{
    const uint32_t bits = (uint32_t)value;
    if (value >= 0) {
        eb1_put_unsigned(writer, bits);
    } else if (value >= -32) {
        put(writer, bits);
    } else if (value >= INT8_MIN) {
        put_high_first(writer, bits, 0xd0, 1);
    } else if (value >= INT16_MIN) {
        put_high_first(writer, bits, 0xd1, 2);
    } else {
        put_high_first(writer, bits, 0xd2, 4);
    }
}

size_t eb1_end(eb1_writer *writer, eb1_proof proof)
{
    uint8_t *wire = writer->wire;
    size_t code = 1;
#if EB1_KEYED
    write_tag(wire + writer->at, proof, proof->sent, wire + 2, writer->at - 2);
    writer->at += EB1_TAG_SIZE;
#else
    put_low_first(writer, eb1_crc32(proof, wire + 2, writer->at - 2), EB1_CHECK_SIZE);
#endif
    for (size_t at = 2; at < writer->at; at++) {
        if (wire[at] == 0) {
            wire[code] = (uint8_t)(at - code);
            code = at;
        }
    }
    wire[code] = (uint8_t)(writer->at - code);
    put(writer, 0);
    return writer->at;
}
