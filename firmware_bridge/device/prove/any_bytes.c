/* What EVA starts from: every input of 0 to 128 bytes and every session, then every integer of
 * what is accepted. */
#if EB1_KEYED
#include "../blake2s.c"
#include "../keyed.c"
#endif
#include "../frame.c"

#include "__fc_builtin.h"

#define BYTES_MAX 128

int main(void)
{
    uint8_t piece[BYTES_MAX + 1];
    eb1_session session;
    eb1_frame frame;
    eb1_int value;
    const size_t size = (size_t)Frama_C_int_interval(0, BYTES_MAX);
    for (size_t k = 0; k <= BYTES_MAX; k++) {
        piece[k] = (uint8_t)Frama_C_int_interval(0, 255);
    }
#if EB1_KEYED
    uint8_t key[EB1_KEY_SIZE];
    eb1_keyed_session named;
    for (size_t k = 0; k < EB1_KEY_SIZE; k++) {
        key[k] = (uint8_t)Frama_C_int_interval(0, 255);
    }
    named.schema_hash = (uint32_t)Frama_C_unsigned_int_interval(0, UINT32_MAX);
    named.envelope_hash = (uint32_t)Frama_C_unsigned_int_interval(0, UINT32_MAX);
    named.boot_nonce = (uint32_t)Frama_C_unsigned_int_interval(0, UINT32_MAX);
    named.host_nonce = (uint32_t)Frama_C_unsigned_int_interval(0, UINT32_MAX);
    named.number = (uint32_t)Frama_C_unsigned_int_interval(0, UINT32_MAX);
    session.key = key;
    session.heard = (uint32_t)Frama_C_unsigned_int_interval(0, UINT32_MAX);
    eb1_tag_start(&session.start, key, &named);
#else
    session.salt = (uint32_t)Frama_C_unsigned_int_interval(0, UINT32_MAX);
#endif
    session.open = Frama_C_int_interval(0, 1) != 0;
    session.expect = Frama_C_int_interval(0, 1) != 0 ? EB1_FROM_DEVICE : EB1_FROM_HOST;
    if (eb1_decode(piece, size, &session, &frame) == EB1_GOOD) {
        while (eb1_next(&frame, &value)) {
        }
    }
    return 0;
}
