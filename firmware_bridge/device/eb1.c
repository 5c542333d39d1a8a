/* The whole device core as one translation unit: the constant tables exist once, and the
 * compiler sees everything. A port compiles this file, or those that it includes. */
#include "frame.h"
#if EB1_KEYED
#include "blake2s.c"
#include "keyed.c"
#endif
#include "frame.c"
#include "envelope.c"
#include "guard.c"
#include "device.c"
