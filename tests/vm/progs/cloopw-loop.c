// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of loop, as the programs that use them call them.
 *
 *   cloopw-loop DEVICE set-fd FILE
 *   cloopw-loop DEVICE configure FILE OFFSET SIZELIMIT FLAGS
 *   cloopw-loop DEVICE show             by all structures: "64 ...", "old ...",
 *                                       "32 ...", the fields they have
 *   cloopw-loop DEVICE window OFFSET SIZELIMIT     LOOP_SET_STATUS64
 *   cloopw-loop DEVICE window-old OFFSET           LOOP_SET_STATUS
 *   cloopw-loop DEVICE window-32 OFFSET            of a 32-bit program
 *   cloopw-loop DEVICE capacity | clear | direct 0|1
 *
 * Exit status 0, or 1 with the error's name on standard error.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int device;

static int fail(const char *what)
{
	fprintf(stderr, "cloopw-loop: %s: %s\n", what, strerrorname_np(errno));
	return 1;
}

static int call(const char *what, unsigned long command, unsigned long arg)
{
	return ioctl(device, command, arg) ? fail(what) : 0;
}

/* ---- a 32-bit program: its system call, and its structure ---- */

struct old_info_32 {
	int32_t number;
	uint16_t dev, pad1;
	uint32_t inode;
	uint16_t rdevice, pad2;
	int32_t offset, encrypt_type, encrypt_key_size, flags;
	char name[LO_NAME_SIZE];
	unsigned char encrypt_key[LO_KEY_SIZE];
	uint32_t init[2];
	char reserved[4];
};

/* Where its pointers can point to. */
static struct old_info_32 *low_memory(void)
{
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (map == MAP_FAILED)
		exit(fail("mmap"));
	return map;
}

static int call_32(const char *what, unsigned long command, void *arg)
{
	const int ioctl_of_i386 = 54;
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "0"((long)ioctl_of_i386), "b"((long)device),
			   "c"(command), "d"(arg)
			 : "memory", "r8", "r9", "r10", "r11");
	if ((int)result >= 0)
		return 0;
	errno = -(int)result;
	return fail(what);
}

/* ---- commands ---- */

static int show(void)
{
	struct old_info_32 *low = low_memory();
	struct loop_info64 info;
	struct loop_info old;

	if (call("LOOP_GET_STATUS64", LOOP_GET_STATUS64, (uintptr_t)&info) ||
	    call("LOOP_GET_STATUS", LOOP_GET_STATUS, (uintptr_t)&old) ||
	    call_32("LOOP_GET_STATUS of 32 bits", LOOP_GET_STATUS, low))
		return 1;
	printf("64 %u %llu %llu %llu %u %s\n", info.lo_number,
	       (unsigned long long)info.lo_inode,
	       (unsigned long long)info.lo_offset,
	       (unsigned long long)info.lo_sizelimit, info.lo_flags,
	       (char *)info.lo_file_name);
	printf("old %d %lu %d %d %s\n", old.lo_number, old.lo_inode,
	       old.lo_offset, old.lo_flags, old.lo_name);
	printf("32 %d %u %d %d %s\n", low->number, low->inode, low->offset,
	       low->flags, low->name);
	return 0;
}

static int configure(char **arg)
{
	struct loop_config config = { .fd = open(arg[0], O_RDONLY) };

	config.info.lo_offset = strtoull(arg[1], NULL, 0);
	config.info.lo_sizelimit = strtoull(arg[2], NULL, 0);
	config.info.lo_flags = strtoul(arg[3], NULL, 0);
	return call("LOOP_CONFIGURE", LOOP_CONFIGURE, (uintptr_t)&config);
}

static int window(char **arg)
{
	struct loop_info64 info = {
		.lo_offset = strtoull(arg[0], NULL, 0),
		.lo_sizelimit = strtoull(arg[1], NULL, 0),
	};

	return call("LOOP_SET_STATUS64", LOOP_SET_STATUS64, (uintptr_t)&info);
}

static int window_old(const char *offset)
{
	struct loop_info info = { .lo_offset = atoi(offset) };

	return call("LOOP_SET_STATUS", LOOP_SET_STATUS, (uintptr_t)&info);
}

static int window_32(const char *offset)
{
	struct old_info_32 *info = low_memory();

	info->offset = atoi(offset);
	return call_32("LOOP_SET_STATUS of 32 bits", LOOP_SET_STATUS, info);
}

static int run(const char *command, int args, char **arg)
{
	if (!strcmp(command, "set-fd") && args == 1)
		return call(arg[0], LOOP_SET_FD, open(arg[0], O_RDONLY));
	if (!strcmp(command, "configure") && args == 4)
		return configure(arg);
	if (!strcmp(command, "show") && args == 0)
		return show();
	if (!strcmp(command, "window") && args == 2)
		return window(arg);
	if (!strcmp(command, "window-old") && args == 1)
		return window_old(arg[0]);
	if (!strcmp(command, "window-32") && args == 1)
		return window_32(arg[0]);
	if (!strcmp(command, "capacity") && args == 0)
		return call("LOOP_SET_CAPACITY", LOOP_SET_CAPACITY, 0);
	if (!strcmp(command, "clear") && args == 0)
		return call("LOOP_CLR_FD", LOOP_CLR_FD, 0);
	if (!strcmp(command, "direct") && args == 1)
		return call("LOOP_SET_DIRECT_IO", LOOP_SET_DIRECT_IO,
			    atoi(arg[0]));
	fprintf(stderr, "cloopw-loop: no command %s with %d arguments\n",
		command, args);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: cloopw-loop DEVICE COMMAND [ARG...]\n");
		return 2;
	}
	device = open(argv[1], O_RDONLY);
	if (device < 0)
		return fail(argv[1]);
	return run(argv[2], argc - 3, argv + 3);
}
