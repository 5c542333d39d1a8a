/* See blake2s.h; the names of h, v, m and sigma are those of RFC 7693. */
#include "blake2s.h"

static const uint32_t BLAKE2S_IV[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static const uint8_t BLAKE2S_SIGMA[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint32_t rotated(uint32_t word, uint8_t bits)
{
    return word >> bits | word << (32 - bits);
}

/* One G of round `sigma`: its `i`-th, on a column (0 to 3) or a diagonal (4 to 7). */
static void mix(uint32_t *v, const uint32_t *m, const uint8_t *sigma, uint8_t i)
{
    const uint8_t turn = i >> 2; /* of a diagonal: each row begins one further */
    const uint8_t column = i & 3;
    uint32_t *const a = &v[column];
    uint32_t *const b = &v[4 + ((column + turn) & 3)];
    uint32_t *const c = &v[8 + ((column + 2 * turn) & 3)];
    uint32_t *const d = &v[12 + ((column + 3 * turn) & 3)];
    *a += *b + m[sigma[2 * i]];
    *d = rotated(*d ^ *a, 16);
    *c += *d;
    *b = rotated(*b ^ *c, 12);
    *a += *b + m[sigma[2 * i + 1]];
    *d = rotated(*d ^ *a, 8);
    *c += *d;
    *b = rotated(*b ^ *c, 7);
}

/* Take the block in; `last`: all bits set for the last one, none before. */
static void compress(eb1_blake2s *hash, uint32_t last)
{
    uint32_t m[16];
    uint32_t v[16];
    for (uint8_t k = 0; k < 16; k++) {
        const uint8_t *const at = &hash->block[4 * k];
        m[k] = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
               (uint32_t)at[3] << 24;
    }
    for (uint8_t k = 0; k < 8; k++) {
        v[k] = hash->h[k];
        v[k + 8] = BLAKE2S_IV[k];
    }
    v[12] ^= hash->counted;
    v[14] ^= last;
    for (uint8_t round = 0; round < 10; round++) {
        for (uint8_t i = 0; i < 8; i++) {
            mix(v, m, BLAKE2S_SIGMA[round], i);
        }
    }
    for (uint8_t k = 0; k < 8; k++) {
        hash->h[k] ^= v[k] ^ v[k + 8];
    }
}

/* The block is full, and not the last. */
static void next_block(eb1_blake2s *hash)
{
    hash->counted += EB1_BLAKE2S_BLOCK;
    compress(hash, 0);
    hash->used = 0;
}

void eb1_blake2s_add(eb1_blake2s *hash, const uint8_t *bytes, size_t size)
{
    for (size_t k = 0; k < size; k++) {
        if (hash->used == EB1_BLAKE2S_BLOCK) {
            next_block(hash);
        }
        hash->block[hash->used] = bytes[k];
        hash->used++;
    }
}

/* Zeros to the end of the block. A volatile pointer, or it becomes a library's call. */
static void fill(eb1_blake2s *hash, uint8_t from)
{
    volatile uint8_t *const block = hash->block;
    for (uint8_t k = from; k < EB1_BLAKE2S_BLOCK; k++) {
        block[k] = 0;
    }
}

/* Field by field: the gaps between them have no value. Volatile, as in `fill`. */
void eb1_blake2s_copy(eb1_blake2s *to, const eb1_blake2s *from)
{
    volatile uint32_t *const h = to->h;
    volatile uint8_t *const block = to->block;
    for (uint8_t k = 0; k < 8; k++) {
        h[k] = from->h[k];
    }
    for (uint8_t k = 0; k < EB1_BLAKE2S_BLOCK; k++) {
        block[k] = from->block[k];
    }
    to->counted = from->counted;
    to->used = from->used;
}

void eb1_blake2s_begin(eb1_blake2s *hash, uint8_t size, const uint8_t *key, uint8_t key_size)
{
    for (uint8_t k = 0; k < 8; k++) {
        hash->h[k] = BLAKE2S_IV[k];
    }
    hash->h[0] ^= UINT32_C(0x01010000) ^ (uint32_t)key_size << 8 ^ size;
    hash->counted = 0;
    hash->used = 0;
    fill(hash, 0);
    if (key_size > 0) {
        eb1_blake2s_add(hash, key, key_size);
        hash->used = EB1_BLAKE2S_BLOCK;
    }
}

void eb1_blake2s_end(eb1_blake2s *hash, uint8_t *out, uint8_t size)
{
    hash->counted += hash->used;
    fill(hash, hash->used);
    compress(hash, UINT32_MAX);
    for (uint8_t k = 0; k < size; k++) {
        out[k] = (uint8_t)(hash->h[k >> 2] >> 8 * (k & 3) & 255);
    }
}
