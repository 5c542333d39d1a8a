/* See keyed.h. */
#include "keyed.h"

#define PREFIX_SIZE 24 /* a session and how often the sequence numbers have wrapped */

static void add_u32(eb1_blake2s *hash, uint32_t value)
{
    for (int k = 0; k < 4; k++) {
        const uint8_t byte = (uint8_t)(value & 255);
        eb1_blake2s_add(hash, &byte, 1);
        value >>= 8;
    }
}

void eb1_tag_start(eb1_blake2s *start, const uint8_t *key, const eb1_keyed_session *session)
{
    eb1_blake2s_begin(start, EB1_TAG_SIZE, key, EB1_KEY_SIZE);
    add_u32(start, session->schema_hash);
    add_u32(start, session->envelope_hash);
    add_u32(start, session->boot_nonce);
    add_u32(start, session->host_nonce);
    add_u32(start, session->number);
}

void eb1_tag_opening(uint8_t *tag, const uint8_t *key, const uint8_t *frame, size_t size)
{
    eb1_blake2s hash;
    eb1_blake2s_begin(&hash, EB1_TAG_SIZE, key, EB1_KEY_SIZE);
    for (int k = 0; k < PREFIX_SIZE / 4; k++) {
        add_u32(&hash, 0);
    }
    eb1_blake2s_add(&hash, frame, size);
    eb1_blake2s_end(&hash, tag, EB1_TAG_SIZE);
}

void eb1_tag(uint8_t *tag, const eb1_blake2s *start, uint32_t number, const uint8_t *frame,
             size_t size)
{
    eb1_blake2s hash;
    eb1_blake2s_copy(&hash, start);
    add_u32(&hash, number >> 16);
    eb1_blake2s_add(&hash, frame, size);
    eb1_blake2s_end(&hash, tag, EB1_TAG_SIZE);
}

bool eb1_same_tag(const uint8_t *tag, const uint8_t *other)
{
    volatile uint8_t different = 0;
    for (int k = 0; k < EB1_TAG_SIZE; k++) {
        different = (uint8_t)(different | (tag[k] ^ other[k]));
    }
    return different == 0;
}
