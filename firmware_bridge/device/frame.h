/* Frames: one message as bytes on the wire, both ways.
 *
 * Owns: COBS, the CRC-32 and its salt, the 5-byte header, integers in their one shortest
 * msgpack form. Must not: know what a message means, or keep anything between two calls.
 * PROTOCOL.md is the law; firmware_bridge/frames.py is the host's side of the same.
 */
#ifndef EB1_FRAME_H
#define EB1_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A build with a key has a header of its own that defines EB1_KEYED as 1, and EB1_KEY. */
#ifdef EB1_KEY_H
#include EB1_KEY_H
#endif
#ifndef EB1_KEYED
#define EB1_KEYED 0
#endif
#if EB1_KEYED
#include "keyed.h"
#endif

#define EB1_RAW_MAX 200                /* bytes before COBS: it then costs one byte */
#define EB1_PIECE_MAX (EB1_RAW_MAX + 1) /* between two delimiters */
#define EB1_WIRE_MAX (EB1_RAW_MAX + 3)  /* with both delimiters */
#define EB1_CHECK_SIZE (EB1_KEYED ? 8 : 4) /* a tag, or a CRC */
/* Of a wire frame: delimiters, COBS, header, array of up to 65535, check. */
#define EB1_OVERHEAD (11 + EB1_CHECK_SIZE)

enum {
    EB1_FROM_HOST = 0,
    EB1_FROM_DEVICE = 0x80, /* bit 7 of a kind: the direction */
    EB1_UNSALTED = 0x40     /* bit 6: opens a session, salt 0 */
};

/* Why a piece of the stream is dropped: the first check that failed. */
enum {
    EB1_TOO_LONG,
    EB1_TOO_SHORT,
    EB1_BAD_COBS,
    EB1_REFLECTED,  /* of the receiver's own direction: transmit wired to receive */
    EB1_NO_SESSION, /* needs a salt, and there is none */
    EB1_BAD_CRC,    /* or the tag in its place */
    EB1_BAD_BODY,   /* intact, but not the one encoding of an array of 32-bit integers */
    EB1_GOOD        /* and the number of causes */
};

/* What a receiver checks a frame against. */
typedef struct {
#if EB1_KEYED
    eb1_blake2s start; /* of this session's tags */
    const uint8_t *key;
    uint32_t heard; /* number of the newest good frame: its seq, above that how often it wrapped */
    uint32_t sent;  /* the same of what is written */
#else
    uint32_t salt;
#endif
    bool open;     /* a session has begun: `salt` counts */
    uint8_t expect; /* the direction of the other end */
} eb1_session;

/* -2^31 to 2^32-1: two's complement when negative. */
typedef struct {
    uint32_t bits;
    bool negative;
} eb1_int;

/* A good frame. Its integers stay in the piece that was decoded; eb1_next walks them. */
typedef struct {
    const uint8_t *bytes;
    size_t at;
    size_t end;
    uint16_t seq;
    uint16_t token;
    uint16_t count;
    uint8_t kind;
#if EB1_KEYED
    uint32_t number;
#endif
} eb1_frame;

/* What a frame that is written ends with is made of. */
#if EB1_KEYED
typedef const eb1_session *eb1_proof;
#else
typedef uint32_t eb1_proof; /* the salt */
#endif

/* A frame that is being written. */
typedef struct {
    uint8_t *wire; /* room for the whole frame: EB1_OVERHEAD and 5 for each integer */
    size_t at;
} eb1_writer;

/* zlib's crc32(bytes, start). */
uint32_t eb1_crc32(uint32_t start, const uint8_t *bytes, size_t size);

/* The frame in `piece`, the bytes between two delimiters, none of them zero; undoes the COBS
 * in place. EB1_GOOD, or the cause and `frame` is not written. */
uint8_t eb1_decode(uint8_t *piece, size_t size, const eb1_session *session, eb1_frame *frame);

/* The next integer of a good frame; false after the last. */
bool eb1_next(eb1_frame *frame, eb1_int *value);

void eb1_begin(eb1_writer *writer, uint8_t *wire, uint8_t kind);
/* Sequence number and token, then the head of an array of `count` integers. */
void eb1_head(eb1_writer *writer, uint16_t seq, uint16_t token, uint16_t count);
void eb1_put_unsigned(eb1_writer *writer, uint32_t value);
void eb1_put_signed(eb1_writer *writer, int32_t value);
/* CRC or tag, COBS and both delimiters; the size on the wire. */
size_t eb1_end(eb1_writer *writer, eb1_proof proof);

#endif
