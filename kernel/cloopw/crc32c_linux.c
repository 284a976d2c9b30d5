// SPDX-License-Identifier: GPL-2.0
#include "crc32c_linux.h"

#include <linux/crc32.h>
#include <linux/crc32c.h>

#include "compat.h"

#ifdef CW_COMPAT_CHOOSE_CRC32C

#include <linux/jump_label.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/printk.h>

/*
 * The crypto driver's instruction is some ten times faster than tables on
 * hardware, and several times slower where it is emulated bit by bit. A
 * measurement tells better than the processor's features, like for RAID's
 * parity.
 */
#define ROUNDS 8

static DEFINE_STATIC_KEY_FALSE(by_table);

static u32 crc_by_driver(const void *buf, size_t len)
{
	return crc32c(~0u, buf, len);
}

static u32 crc_by_table(const void *buf, size_t len)
{
	return __crc32c_le(~0u, buf, len);
}

/* The best of some rounds, in ns, so that a disturbed round does not count. */
static u64 measure(u32 (*crc)(const void *, size_t), const void *buf)
{
	u64 best = U64_MAX;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		u64 start, ns;
		u32 result;

		preempt_disable();
		start = ktime_get_ns();
		result = crc(buf, PAGE_SIZE);
		OPTIMIZER_HIDE_VAR(result);
		ns = ktime_get_ns() - start;
		preempt_enable();
		best = min(best, ns);
	}
	return best;
}

void cw_crc32c_choose(void)
{
	const void *buf = page_address(ZERO_PAGE(0));
	u64 driver = measure(crc_by_driver, buf);
	u64 table = measure(crc_by_table, buf);

	if (table < driver)
		static_branch_enable(&by_table);
	pr_debug("cloopw: crc32c of a page: driver %llu ns, table %llu ns\n",
		 driver, table);
}

u32 cw_crc32c(const void *buf, size_t len)
{
	if (static_branch_unlikely(&by_table))
		return ~crc_by_table(buf, len);
	return ~crc_by_driver(buf, len);
}

#else

u32 cw_crc32c(const void *buf, size_t len)
{
	return ~crc32c(~0u, buf, len);
}

#endif
