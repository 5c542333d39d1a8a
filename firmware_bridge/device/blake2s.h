/* BLAKE2s (RFC 7693): a hash with a key, for microcontrollers of 8 to 32 bits.
 *
 * Owns: the hash. Must not: know a frame. No branch and no index depends on what is hashed.
 */
#ifndef EB1_BLAKE2S_H
#define EB1_BLAKE2S_H

#include <stddef.h>
#include <stdint.h>

#define EB1_BLAKE2S_BLOCK 64

/* Of one hash that is being made. */
typedef struct {
    uint32_t h[8];
    uint32_t counted; /* bytes before the block */
    uint8_t used;     /* of the block */
    uint8_t block[EB1_BLAKE2S_BLOCK];
} eb1_blake2s;

/* A hash of `size` bytes, 1 to 32, with a key of `key_size`, 0 to 32. */
void eb1_blake2s_begin(eb1_blake2s *hash, uint8_t size, const uint8_t *key, uint8_t key_size);

/* `to` goes on from where `from` is. */
void eb1_blake2s_copy(eb1_blake2s *to, const eb1_blake2s *from);

void eb1_blake2s_add(eb1_blake2s *hash, const uint8_t *bytes, size_t size);

/* The first `size` bytes of the hash, as many as were begun. */
void eb1_blake2s_end(eb1_blake2s *hash, uint8_t *out, uint8_t size);

#endif
