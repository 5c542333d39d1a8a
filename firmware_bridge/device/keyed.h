/* The keyed mode's tag, in the place of the CRC: a keyed BLAKE2s over session, number and frame.
 *
 * Owns: what a tag covers. Must not: keep a session; device.c does. PROTOCOL.md says why each
 * part is there.
 */
#ifndef EB1_KEYED_H
#define EB1_KEYED_H

#include <stdbool.h>

#include "blake2s.h"

#define EB1_KEY_SIZE 32
#define EB1_TAG_SIZE 8

/* Who speaks with whom, since when. */
typedef struct {
    uint32_t schema_hash;
    uint32_t envelope_hash;
    uint32_t boot_nonce;
    uint32_t host_nonce;
    uint32_t number; /* of the session, since boot */
} eb1_keyed_session;

/* What the tags of one session have in common. */
void eb1_tag_start(eb1_blake2s *start, const uint8_t *key, const eb1_keyed_session *session);

/* The tag of an opening frame. */
void eb1_tag_opening(uint8_t *tag, const uint8_t *key, const uint8_t *frame, size_t size);

/* The tag of a session's frame, the `number`-th of its direction. */
void eb1_tag(uint8_t *tag, const eb1_blake2s *start, uint32_t number, const uint8_t *frame,
             size_t size);

/* Whether two tags are the same, in the same time wherever they differ. */
bool eb1_same_tag(const uint8_t *tag, const uint8_t *other);

#endif
