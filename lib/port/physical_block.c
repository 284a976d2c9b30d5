// SPDX-License-Identifier: GPL-2.0
#include "physical_block.h"

#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define UNKNOWN 4096u /* most media have such blocks, also against their word */

static u32 read_number(const char *path)
{
	u32 number = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	if (fscanf(file, "%u", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

/* The block of a whole disk, or of the disk that a partition is on. */
static u32 of_device(dev_t dev)
{
	static const char *const places[] = { "", "/.." };
	char path[80];
	u32 i, bytes = 0;

	for (i = 0; !bytes && i < 2; i++) {
		snprintf(path, sizeof(path),
			 "/sys/dev/block/%u:%u%s/queue/physical_block_size",
			 major(dev), minor(dev), places[i]);
		bytes = read_number(path);
	}
	return bytes ? bytes : UNKNOWN;
}

u32 cw_physical_block(int fd)
{
	struct statfs fs;
	struct stat st;
	unsigned int bytes;

	if (fstat(fd, &st))
		return UNKNOWN;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKPBSZGET, &bytes) ? UNKNOWN : bytes;
	if (!fstatfs(fd, &fs) &&
	    (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
		return CW_SECTOR_SIZE;
	return of_device(st.st_dev);
}
