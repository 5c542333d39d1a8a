/* The whole device core as one translation unit: the constant tables exist once, and the
 * compiler sees everything. A port compiles this file, or the four that it includes. */
#include "frame.c"
#include "envelope.c"
#include "guard.c"
#include "device.c"
