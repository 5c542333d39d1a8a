/* For a compiler that comes without C headers, on 64-bit Linux: what the core uses of it. */
#ifndef EB1_STDINT_H
#define EB1_STDINT_H

typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;

#define INT8_MIN (-128)
#define INT16_MIN (-32767 - 1)
#define INT16_MAX 32767
#define UINT8_MAX 255
#define UINT16_MAX 65535
#define UINT32_MAX 4294967295U
#define INT32_C(n) n
#define UINT32_C(n) n##U
#define INT64_C(n) n##L

#endif
