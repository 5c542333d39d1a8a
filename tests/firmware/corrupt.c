/* Corrupted frames through the C decoder: no other frame may come out than one that went in.
 *
 *     corrupt FRAMES SEED
 *
 * Five classes of fault, one after the other: a flipped bit, a byte lost, a byte inserted, a
 * burst of garbage, bytes of two frames swapped. Before and after each faulty frame goes a good
 * one, which must arrive: a fault costs only the frame it touches. With -DEB1_KEYED=1 each frame
 * ends with a tag instead of the CRC.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../firmware_bridge/device/frame.h"
#if EB1_KEYED
#include "../../firmware_bridge/device/blake2s.c"
#include "../../firmware_bridge/device/keyed.c"
#endif
#include "../../firmware_bridge/device/frame.c"

#define VALUES_MAX 12
#define ROOM 4096

static uint64_t state;

static uint32_t draw(uint32_t below) /* xorshift64*: the same everywhere */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * UINT64_C(2685821657736338717)) >> 33) % below;
}

static eb1_session session; /* of both ends: `sent` and `heard` are of one direction */

#if EB1_KEYED
#define PROOF (&session)

static void open_session(void)
{
    static const uint8_t KEY[EB1_KEY_SIZE] = {1, 2, 3};
    const eb1_keyed_session named = {draw(UINT32_MAX), draw(UINT32_MAX), draw(UINT32_MAX),
                                     draw(UINT32_MAX), draw(UINT32_MAX)};
    eb1_tag_start(&session.start, KEY, &named);
    session.key = KEY;
    session.sent = session.heard = draw(UINT32_MAX);
}

static uint16_t next_seq(void)
{
    session.sent += 1 + draw(100); /* some were lost */
    return (uint16_t)session.sent;
}
#else
#define PROOF (session.salt)

static void open_session(void)
{
    session.salt = draw(UINT32_MAX);
}

static uint16_t next_seq(void)
{
    return (uint16_t)draw(65536);
}
#endif

static size_t write_frame(uint8_t *wire)
{
    const uint16_t count = (uint16_t)draw(VALUES_MAX + 1);
    eb1_writer writer;
    eb1_begin(&writer, wire, 0x10);
    eb1_head(&writer, next_seq(), (uint16_t)draw(65536), count);
    for (int k = 0; k < count; k++) {
        eb1_put_signed(&writer, (int32_t)draw(65536) - 32768);
    }
    return eb1_end(&writer, PROOF);
}

static size_t spoil(uint8_t *wire, size_t size, uint32_t class)
{
    const size_t at = draw((uint32_t)size);
    const size_t burst = 1 + draw(16);
    switch (class) {
    case 0:
        wire[at] = (uint8_t)(wire[at] ^ 1u << draw(8));
        return size;
    case 1:
        memmove(wire + at, wire + at + 1, size - at - 1);
        return size - 1;
    case 2:
        memmove(wire + at + 1, wire + at, size - at);
        wire[at] = (uint8_t)draw(256);
        return size + 1;
    case 3:
        for (size_t k = at; k < size && k < at + burst; k++) {
            wire[k] = (uint8_t)draw(256);
        }
        return size;
    default: {
        const size_t other = draw((uint32_t)size);
        const uint8_t kept = wire[at];
        wire[at] = wire[other];
        wire[other] = kept;
        return size;
    }
    }
}

/* How many frames are in the stream, by the bytes of each that are among `sent`. */
static void receive(uint8_t *stream, size_t size, uint8_t (*sent)[EB1_WIRE_MAX],
                    const size_t *sizes, unsigned *good, unsigned *foreign)
{
    uint8_t piece[ROOM];
    size_t from = 0;
    for (size_t k = 0; k < size; k++) {
        eb1_frame frame;
        const size_t length = k - from;
        bool known = false;
        if (stream[k] != 0) {
            continue;
        }
        memcpy(piece, stream + from, length);
        if (length > 0 && eb1_decode(piece, length, &session, &frame) == EB1_GOOD) {
            for (int f = 0; f < 3; f++) {
                known = known || (sizes[f] == length + 2 &&
                                  memcmp(sent[f] + 1, stream + from, length) == 0);
            }
            *good += known;
            *foreign += !known;
        }
        from = k + 1;
    }
}

int main(int count, char **words)
{
    const long frames = count > 1 ? atol(words[1]) : 1000;
    const char *names[] = {"bit flipped", "byte lost", "byte inserted", "burst", "bytes swapped"};
    unsigned foreign[5] = {0};
    unsigned lost[5] = {0};
    unsigned intact[5] = {0};
    session.open = true;
    session.expect = EB1_FROM_HOST;
    state = count > 2 ? strtoull(words[2], NULL, 10) * 2 + 1 : 1;
    for (long n = 0; n < frames; n++) {
        uint8_t sent[3][EB1_WIRE_MAX];
        uint8_t stream[ROOM];
        size_t sizes[3];
        const uint32_t class = (uint32_t)(n % 5);
        unsigned good = 0;
        size_t size;
        open_session();
        for (int f = 0; f < 3; f++) {
            sizes[f] = write_frame(sent[f]);
        }
        memcpy(stream, sent[0], sizes[0]);
        memcpy(stream + sizes[0], sent[1], sizes[1]);
        size = sizes[0] + spoil(stream + sizes[0], sizes[1], class);
        memcpy(stream + size, sent[2], sizes[2]);
        receive(stream, size + sizes[2], sent, sizes, &good, &foreign[class]);
        lost[class] += good < 2;
        intact[class] += good > 2; /* the fault did not change a byte of the frame itself */
    }
    for (int class = 0; class < 5; class++) {
        printf("%-14s %ld frames, %u of them unchanged, false accepts %u, good ones lost %u\n",
               names[class], frames / 5, intact[class], foreign[class], lost[class]);
        foreign[0] += class > 0 ? foreign[class] + lost[class] : lost[0];
    }
    return foreign[0] != 0;
}
