// SPDX-License-Identifier: GPL-2.0
#include "crc32c.h"

#if defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <nmmintrin.h>
#endif

#define CRC32C_POLYNOMIAL 0x82f63b78u /* reflected */

typedef u32 (*crc_function)(u32 crc, const u8 *p, size_t len);

/* All set once by choose(), constant afterwards. */
static pthread_once_t chosen_once = PTHREAD_ONCE_INIT;
static crc_function chosen;
static u32 table[8][256]; /* [k][b]: byte b, followed by k zero bytes */

static u64 load_le64(const u8 *p)
{
	__le64 v;

	memcpy(&v, p, sizeof(v));
	return cw_from_le64(v);
}

static u32 crc_tables(u32 crc, const u8 *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		u64 v = load_le64(p) ^ crc;

		crc = table[7][v & 0xff] ^ table[6][(v >> 8) & 0xff] ^
		      table[5][(v >> 16) & 0xff] ^ table[4][(v >> 24) & 0xff] ^
		      table[3][(v >> 32) & 0xff] ^ table[2][(v >> 40) & 0xff] ^
		      table[1][(v >> 48) & 0xff] ^ table[0][v >> 56];
	}
	for (; len; p++, len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
	return crc;
}

static void make_tables(void)
{
	u32 b, k;

	for (b = 0; b < 256; b++) {
		u32 crc = b;

		for (k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
		table[0][b] = crc;
	}
	for (k = 1; k < 8; k++)
		for (b = 0; b < 256; b++)
			table[k][b] = table[k - 1][b] >> 8 ^
				      table[0][table[k - 1][b] & 0xff];
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static u32
crc_instruction(u32 crc, const u8 *p, size_t len)
{
	u64 wide = crc;

	for (; len >= 8; p += 8, len -= 8)
		wide = _mm_crc32_u64(wide, load_le64(p));
	crc = (u32)wide;
	for (; len; p++, len--)
		crc = _mm_crc32_u8(crc, *p);
	return crc;
}

static bool has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

#elif defined(__aarch64__)

#define HWCAP_CRC32_BIT (1ul << 7)

__attribute__((target("+crc"))) static u32 crc_instruction(u32 crc, const u8 *p,
							   size_t len)
{
	for (; len >= 8; p += 8, len -= 8)
		crc = __crc32cd(crc, load_le64(p));
	for (; len; p++, len--)
		crc = __crc32cb(crc, *p);
	return crc;
}

static bool has_instruction(void)
{
	return getauxval(AT_HWCAP) & HWCAP_CRC32_BIT;
}

#else

static u32 crc_instruction(u32 crc, const u8 *p, size_t len)
{
	return crc_tables(crc, p, len);
}

static bool has_instruction(void)
{
	return false;
}

#endif

static void choose(void)
{
	make_tables();
	chosen = has_instruction() ? crc_instruction : crc_tables;
}

u32 cw_crc32c(const void *buf, size_t len)
{
	pthread_once(&chosen_once, choose);
	return ~chosen(~0u, buf, len);
}

u32 cw_crc32c_tables(const void *buf, size_t len)
{
	pthread_once(&chosen_once, choose);
	return ~crc_tables(~0u, buf, len);
}
