// SPDX-License-Identifier: GPL-2.0
/*
 * Harmful ioctls for cloopw's devices.
 *
 *   cloopw-hostile check DEVICE IMAGE          each case once: "ok NAME" or
 *                                              "not ok NAME: ..."
 *   cloopw-hostile snapshot DEVICE IMAGE       the same, of a device with a COW
 *                                              log of that image attached
 *   cloopw-hostile layer FLAGS DEVICE FILE     that file as a snapshot's layer;
 *                                              the driver's reason on stderr
 *   cloopw-hostile churn SECONDS DEVICE IMAGE  random ones, results ignored
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cloopw.h"

static int control, device, image;
static const char *device_path, *image_path;
static int failures;

/* ---- one ioctl ---- */

static struct cloopw_reason reason = { .size = sizeof(reason) };
static char *const message = reason.text;

static void forget_reason(void)
{
	memset(&reason, 0, sizeof(reason));
	reason.size = sizeof(reason);
}

static struct cloopw_config good_config(void)
{
	struct cloopw_config config = {
		.size = sizeof(config),
		.image_fd = image,
		.reason = (uintptr_t)&reason,
	};

	return config;
}

/* 0 or errno; what it attached is detached again. */
static int configure(const void *config)
{
	int err;

	forget_reason();
	err = ioctl(device, CLOOPW_CONFIGURE, config) ? errno : 0;
	if (!err && ioctl(device, CLOOPW_CLEAR, 0))
		printf("not ok clear: %s\n", strerror(errno));
	return err;
}

static void expect(const char *name, int want, int got)
{
	if (want == got) {
		printf("ok %s\n", name);
		return;
	}
	failures++;
	printf("not ok %s: got '%s', not '%s' (%s)\n", name, strerror(got),
	       strerror(want), message);
}

/* The same, and a reason of this code, whose message ends. */
static void expect_reason(const char *name, int want,
			  enum cloopw_reason_code code,
			  const struct cloopw_config *config)
{
	int got = configure(config);

	expect(name, want, got);
	if (reason.code != code || !message[0] ||
	    strnlen(message, sizeof(reason.text)) == sizeof(reason.text)) {
		failures++;
		printf("not ok %s: reason %u '%.*s'\n", name, reason.code,
		       (int)sizeof(reason.text), message);
	}
}

static int result(int ret)
{
	return ret < 0 ? errno : 0;
}

/* ---- files that are no images ---- */

static void check_fd(const char *name, int fd, int want)
{
	struct cloopw_config config = good_config();

	config.image_fd = fd;
	expect(name, want, configure(&config));
	if (fd >= 0)
		close(fd);
}

static void check_layer(const char *name, int fd, int want)
{
	struct cloopw_config config = good_config();
	int32_t fds[1] = { fd };

	config.layer_fds = (uintptr_t)fds;
	config.nr_layers = 1;
	expect(name, want, configure(&config));
	if (fd >= 0)
		close(fd);
}

static void check_files(void)
{
	int pair[2];

	check_fd("fd -1", -1, EBADF);
	check_fd("fd INT_MIN", INT_MIN, EBADF);
	check_fd("fd not open", 1000, EBADF);
	check_fd("directory", open(".", O_RDONLY), EISDIR);
	check_fd("O_PATH", open(image_path, O_PATH), EBADF);
	check_fd("O_WRONLY", open(image_path, O_WRONLY), EBADF);
	check_fd("epoll", epoll_create1(0), EINVAL);
	check_fd("character device", open("/dev/zero", O_RDONLY), EINVAL);
	check_fd("control device", open("/dev/" CLOOPW_CONTROL_NAME, O_RDWR),
		 EINVAL);
	check_fd("procfs", open("/proc/self/maps", O_RDONLY), EINVAL);
	check_fd("procfs seq", open("/proc/version", O_RDONLY), EINVAL);
	check_fd("sysfs", open("/sys/block/cloopw0/size", O_RDONLY), EIO);
	check_fd("own device", open(device_path, O_RDONLY), EINVAL);
	check_fd("idle device", open("/dev/cloopw3", O_RDONLY), EINVAL);
	check_fd("empty file", memfd_create("empty", 0), EINVAL);
	check_fd("terminal or null", open("/dev/null", O_RDWR), EINVAL);
	if (!pipe(pair)) {
		check_fd("pipe", pair[0], EINVAL);
		check_fd("pipe's writing end", pair[1], EINVAL);
	}
	if (!socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) {
		check_fd("socket", pair[0], EINVAL);
		close(pair[1]);
	}
	if (!mkfifo("fifo", 0600))
		check_fd("fifo", open("fifo", O_RDWR), EINVAL);
	check_layer("layer: fd -1", -1, EBADF);
	check_layer("layer: directory", open(".", O_RDONLY), EISDIR);
	check_layer("layer: read-only", open(image_path, O_RDONLY), EBADF);
	check_layer("layer: the image", open(image_path, O_RDWR), EBUSY);
	check_layer("layer: own device", open(device_path, O_RDWR), EINVAL);
	check_layer("layer: empty file", memfd_create("empty", 0), EINVAL);
}

/* ---- structures ---- */

/* A page with nothing behind it: too long a read gets EFAULT. */
static char *last_page(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		exit(1);
	munmap(map + page, page);
	return map + page;
}

static void check_sizes(void)
{
	struct {
		struct cloopw_config config;
		char more[16];
	} longer = { .config = good_config() };
	struct cloopw_config config = good_config();
	char *end = last_page();
	uint32_t huge = UINT32_MAX;

	expect("good", 0, configure(&config));
	expect("NULL", EFAULT, configure(NULL));
	expect("bad address", EFAULT, configure((void *)~0xffful));
	memcpy(end - 4, &config.size, 4);
	expect("half of it readable", EFAULT, configure(end - 4));
	memcpy(end - sizeof(config), &config, sizeof(config));
	expect("at the end of a page", 0, configure(end - sizeof(config)));
	config.size = 0;
	expect("size 0", EINVAL, configure(&config));
	config.size = sizeof(config) - 1;
	expect("too short", EINVAL, configure(&config));
	config.size = 65536;
	expect("too long", E2BIG, configure(&config));
	memcpy(end - 4, &huge, 4);
	expect("size -1", E2BIG, configure(end - 4));
	longer.config.size = sizeof(longer);
	expect("longer, rest zero", 0, configure(&longer));
	longer.more[15] = 1;
	expect("longer, rest not zero", E2BIG, configure(&longer));
}

static void check_fields(void)
{
	struct cloopw_config config;

	config = good_config();
	config.flags = 1u << 31;
	expect_reason("unknown flag", EINVAL, CLOOPW_R_BAD_REQUEST,
		      &config);
	config.flags = CLOOPW_F_DIRECT_IO;
	expect("direct I/O, where there may be none", 0, configure(&config));
	config = good_config();
	config = good_config();
	config.nr_layers = CLOOPW_MAX_LAYERS + 1;
	expect_reason("65 layers", EINVAL, CLOOPW_R_TOO_MANY_LAYERS,
		      &config);
	config.nr_layers = UINT32_MAX;
	expect_reason("4294967295 layers", EINVAL, CLOOPW_R_TOO_MANY_LAYERS,
		      &config);
	config.nr_layers = 1;
	expect("layers at 0", EFAULT, configure(&config));
	config.layer_fds = UINT64_MAX - 2;
	expect("layers at the end of memory", EFAULT, configure(&config));
	config = good_config();
	config.offset = 1;
	expect_reason("odd offset", EINVAL, CLOOPW_R_BAD_WINDOW,
		      &config);
	config.offset = 1ull << 62;
	expect_reason("offset behind the end", EINVAL, CLOOPW_R_BAD_WINDOW,
		      &config);
	config.sizelimit = 1ull << 62;
	expect_reason("offset + limit", EOVERFLOW, CLOOPW_R_BAD_WINDOW,
		      &config);
	config.offset = -512ull;
	config.sizelimit = 1024;
	expect_reason("offset + limit wrap", EOVERFLOW, CLOOPW_R_BAD_WINDOW,
		      &config);
	config = good_config();
	config.sizelimit = 1;
	expect("one byte: a raw image", 0, configure(&config));
	config = good_config();
	config.cache_bytes = UINT64_MAX;
	expect("all memory for the cache", 0, configure(&config));
	config.cache_bytes = 1;
	expect("no memory for the cache", 0, configure(&config));
	config = good_config();
	memset(config.format, 'x', sizeof(config.format));
	expect_reason("format without end", EINVAL, CLOOPW_R_BAD_REQUEST,
		      &config);
	strcpy(config.format, "%s%n%p");
	expect_reason("unknown format", EINVAL, CLOOPW_R_NO_FORMAT,
		      &config);
}

static void check_reason(void)
{
	struct {
		struct cloopw_reason reason;
		char more[8];
	} longer = { .reason.size = sizeof(longer) };
	struct cloopw_config config = good_config();

	config.flags = 1u << 30;
	config.reason = 0;
	expect("no reason wanted", EINVAL, configure(&config));
	config.reason = ~0xffull;
	expect("reason to a bad address", EINVAL, configure(&config));
	config.reason = (uintptr_t)last_page() - 4;
	expect("reason, half of it writable", EINVAL, configure(&config));
	config.reason = (uintptr_t)&reason;
	expect_reason("reason", EINVAL, CLOOPW_R_BAD_REQUEST,
		      &config);
	reason.size = sizeof(reason) - 1;
	reason.code = 0;
	expect("reason too short", EINVAL,
	       result(ioctl(device, CLOOPW_CONFIGURE, &config)));
	expect("it stays empty", 0, (int)reason.code);
	config.reason = (uintptr_t)&longer;
	expect("reason longer", EINVAL, configure(&config));
	expect("it has the code", CLOOPW_R_BAD_REQUEST, (int)longer.reason.code);
}

/* ---- changes of an attached device ---- */

static int resize(struct cloopw_resize *request)
{
	forget_reason();
	return result(ioctl(device, CLOOPW_RESIZE, request));
}

static int reset(struct cloopw_reset *request)
{
	forget_reason();
	return result(ioctl(device, CLOOPW_RESET, request));
}

static void check_reset(void)
{
	struct {
		struct cloopw_reset request;
		char more[8];
	} longer = {
		.request = { .size = sizeof(longer) },
		.more = { 1 },
	};
	struct cloopw_reset request = {
		.size = 8,
		.reason = (unsigned long)&reason,
	};

	expect("reset, too short", EINVAL, reset(&request));
	expect("reset, longer and not zero", E2BIG, reset(&longer.request));
	expect("reset from a bad address", EFAULT, reset((void *)8));
	request.size = sizeof(request);
	request.flags = 1;
	expect("reset with a flag", EINVAL, reset(&request));
	request.flags = 0;
	expect("reset without a COW", EROFS, reset(&request));
	expect("it says why", CLOOPW_R_READ_ONLY, (int)reason.code);
}

static void check_resize(void)
{
	struct {
		struct cloopw_resize request;
		char more[8];
	} longer = {
		.request = { .size = sizeof(longer) },
		.more = { 1 },
	};
	struct cloopw_resize request = {
		.reason = (uintptr_t)&reason,
	};
	char *end = last_page();

	expect("resize NULL", EFAULT, resize(NULL));
	expect("resize of size 0", EINVAL, resize(&request));
	request.size = sizeof(request) - 1;
	expect("resize too short", EINVAL, resize(&request));
	request.size = UINT32_MAX;
	expect("resize too long", E2BIG, resize(&request));
	expect("resize longer, rest not zero", E2BIG, resize(&longer.request));
	request.size = sizeof(request);
	memcpy(end - 4, &request.size, 4);
	expect("resize, half of it readable", EFAULT, resize((void *)(end - 4)));
	request.flags = 1u << 31;
	expect("resize with a flag", EINVAL, resize(&request));
	request.flags = CLOOPW_RESIZE_GROW;
	expect("grow to nothing", EINVAL, resize(&request));
	request.device_size = 1ull << 63;
	expect("grow without a COW", EROFS, resize(&request));
	request.flags = 0;
	expect("resize a compressed image", EOPNOTSUPP, resize(&request));
	expect("it says why", CLOOPW_R_FIXED_IMAGE, (int)reason.code);
	request.reason = ~0xffull;
	expect("reason to a bad address", EOPNOTSUPP, resize(&request));
	check_reset();
	expect("flush, whatever the argument", 0,
	       result(ioctl(device, CLOOPW_FLUSH, ~0ul)));
}

/* ---- first reads ---- */

static int get_reads(struct cloopw_reads *request)
{
	return result(ioctl(device, CLOOPW_GET_READS, request));
}

/* Attached without CLOOPW_F_RECORD. */
static void check_reads(void)
{
	struct cloopw_reads request = {};
	char *end = last_page();

	expect("reads NULL", EFAULT, get_reads(NULL));
	expect("reads of size 0", EINVAL, get_reads(&request));
	request.size = UINT32_MAX;
	expect("reads too long", E2BIG, get_reads(&request));
	request.size = sizeof(request);
	memcpy(end - 4, &request.size, 4);
	expect("reads, half of it readable", EFAULT,
	       get_reads((void *)(end - 4)));
	request.flags = 1;
	expect("reads with a flag", EINVAL, get_reads(&request));
	request.flags = 0;
	request.reserved = 1;
	expect("reads, reserved not zero", EINVAL, get_reads(&request));
	request.reserved = 0;
	request.nr = UINT32_MAX;
	request.from = UINT64_MAX;
	expect("reads of what is not recorded", ENODATA, get_reads(&request));
}

static void check_recorded(void)
{
	struct cloopw_reads request = { .size = sizeof(request) };
	struct cloopw_config config = good_config();
	char *end = last_page();
	char sector[512];

	config.flags |= CLOOPW_F_RECORD;
	expect("attach with a record", 0,
	       result(ioctl(device, CLOOPW_CONFIGURE, &config)));
	expect("read a sector", sizeof(sector),
	       (int)pread(device, sector, sizeof(sector), 0));
	expect("no room for reads", 0, get_reads(&request));
	expect("none came", 0, (int)request.nr);
	request.nr = UINT32_MAX;
	request.from = UINT64_MAX;
	expect("reads behind the end", 0, get_reads(&request));
	expect("there are none", 0, (int)request.nr);
	request.nr = UINT32_MAX;
	request.from = 0;
	request.reads = (uintptr_t)(end - 4);
	expect("reads to a bad address", EFAULT, get_reads(&request));
	request.nr = 1;
	request.reads = (uintptr_t)(end - sizeof(struct cloopw_first_read));
	expect("one read", 0, get_reads(&request));
	expect("it came", 1, (int)request.nr);
	expect("clear", 0, result(ioctl(device, CLOOPW_CLEAR, 0)));
	expect("reads, idle", ENXIO, get_reads(&request));
}

/* ---- loop's ioctls ---- */

static void check_loop_config(void)
{
	struct loop_config config = { .fd = image };
	char *end = last_page();

	expect("LOOP_CONFIGURE NULL", EFAULT,
	       result(ioctl(device, LOOP_CONFIGURE, NULL)));
	memcpy(end - 8, &config, 8);
	expect("LOOP_CONFIGURE, half of it readable", EFAULT,
	       result(ioctl(device, LOOP_CONFIGURE, end - 8)));
	config.block_size = 4096;
	expect("LOOP_CONFIGURE, large sectors", EINVAL,
	       result(ioctl(device, LOOP_CONFIGURE, &config)));
	config.block_size = 0;
	config.__reserved[7] = 1;
	expect("LOOP_CONFIGURE, reserved", EINVAL,
	       result(ioctl(device, LOOP_CONFIGURE, &config)));
	config.__reserved[7] = 0;
	config.info.lo_flags = 1u << 31;
	expect("LOOP_CONFIGURE, unknown flag", EINVAL,
	       result(ioctl(device, LOOP_CONFIGURE, &config)));
	config.info.lo_flags = 0;
	config.info.lo_encrypt_type = LO_CRYPT_XOR;
	expect("LOOP_CONFIGURE, encrypted", EINVAL,
	       result(ioctl(device, LOOP_CONFIGURE, &config)));
	config.info.lo_encrypt_type = 0;
	config.info.lo_offset = -512ull;
	config.info.lo_sizelimit = 1024;
	expect("LOOP_CONFIGURE, offset + limit wrap", EOVERFLOW,
	       result(ioctl(device, LOOP_CONFIGURE, &config)));
	config.info.lo_offset = 1;
	expect("LOOP_CONFIGURE, odd offset", EINVAL,
	       result(ioctl(device, LOOP_CONFIGURE, &config)));
	config.fd = UINT32_MAX;
	config.info.lo_offset = 0;
	expect("LOOP_CONFIGURE, fd -1", EBADF,
	       result(ioctl(device, LOOP_CONFIGURE, &config)));
}

static void check_loop(void)
{
	struct loop_info64 info = { .lo_offset = 1ull << 40 };

	check_loop_config();
	expect("LOOP_SET_FD -1", EBADF,
	       result(ioctl(device, LOOP_SET_FD, -1)));
	expect("LOOP_CLR_FD, idle", ENXIO,
	       result(ioctl(device, LOOP_CLR_FD, 0)));
	expect("LOOP_GET_STATUS64, idle", ENXIO,
	       result(ioctl(device, LOOP_GET_STATUS64, &info)));
	expect("LOOP_SET_STATUS64, idle", ENXIO,
	       result(ioctl(device, LOOP_SET_STATUS64, &info)));
	expect("LOOP_SET_CAPACITY, idle", ENXIO,
	       result(ioctl(device, LOOP_SET_CAPACITY, 0)));
	expect("LOOP_SET_DIRECT_IO, idle", ENXIO,
	       result(ioctl(device, LOOP_SET_DIRECT_IO, 1)));
	expect("LOOP_SET_BLOCK_SIZE", EINVAL,
	       result(ioctl(device, LOOP_SET_BLOCK_SIZE, 4096)));
	expect("LOOP_CHANGE_FD", ENOTTY,
	       result(ioctl(device, LOOP_CHANGE_FD, image)));
	expect("LOOP_SET_FD", 0, result(ioctl(device, LOOP_SET_FD, image)));
	expect("LOOP_GET_STATUS64 NULL", EFAULT,
	       result(ioctl(device, LOOP_GET_STATUS64, NULL)));
	expect("LOOP_GET_STATUS NULL", EFAULT,
	       result(ioctl(device, LOOP_GET_STATUS, NULL)));
	expect("LOOP_SET_STATUS NULL", EFAULT,
	       result(ioctl(device, LOOP_SET_STATUS, NULL)));
	expect("LOOP_SET_STATUS64 NULL", EFAULT,
	       result(ioctl(device, LOOP_SET_STATUS64, NULL)));
	expect("LOOP_SET_STATUS64, offset behind the end", EINVAL,
	       result(ioctl(device, LOOP_SET_STATUS64, &info)));
	expect("LOOP_SET_CAPACITY, compressed", EOPNOTSUPP,
	       result(ioctl(device, LOOP_SET_CAPACITY, 0)));
	check_resize();
	check_reads();
	if (!seteuid(1000)) {
		expect("LOOP_CLR_FD without privilege", EPERM,
		       result(ioctl(device, LOOP_CLR_FD, 0)));
		expect("flush without privilege", EPERM,
		       result(ioctl(device, CLOOPW_FLUSH, 0)));
		if (seteuid(0))
			exit(1);
	}
	expect("LOOP_CLR_FD", 0, result(ioctl(device, LOOP_CLR_FD, 0)));
	expect("flush, idle", ENXIO, result(ioctl(device, CLOOPW_FLUSH, 0)));
}

/* ---- states, other commands ---- */

static void check_states(void)
{
	struct cloopw_config config = good_config();
	struct cloopw_status status = { .size = sizeof(status) };
	char *end = last_page();
	int other, exclusive;

	expect("clear an idle device", ENXIO,
	       result(ioctl(device, CLOOPW_CLEAR, 0)));
	expect("status of an idle device", 0,
	       result(ioctl(device, CLOOPW_GET_STATUS, &status)));
	expect("which is idle", CLOOPW_STATE_IDLE, (int)status.state);
	expect("status to NULL", EFAULT,
	       result(ioctl(device, CLOOPW_GET_STATUS, NULL)));
	memcpy(end - 4, &status.size, 4);
	expect("status to too little room", EFAULT,
	       result(ioctl(device, CLOOPW_GET_STATUS, end - 4)));
	status.size = 8;
	expect("status of 8 bytes", EINVAL,
	       result(ioctl(device, CLOOPW_GET_STATUS, &status)));

	exclusive = open(device_path, O_RDONLY | O_EXCL);
	expect("configure what another holds", EBUSY, configure(&config));
	close(exclusive);
	expect("attach", 0, result(ioctl(device, CLOOPW_CONFIGURE, &config)));
	expect_reason("attach twice", EBUSY, CLOOPW_R_ATTACHED,
		      &config);
	other = open(device_path, O_RDONLY);
	expect("clear what another has open", EBUSY,
	       result(ioctl(device, CLOOPW_CLEAR, 0)));
	close(other);
	status.size = sizeof(status);
	expect("status of an attached device", 0,
	       result(ioctl(device, CLOOPW_GET_STATUS, &status)));
	expect("which is attached", CLOOPW_STATE_READ_ONLY,
	       (int)status.state);
	expect("unknown ioctl", ENOTTY,
	       result(ioctl(device, _IO(CLOOPW_IOC_MAGIC, 0x7f), 0)));
	expect("remove an attached device", EBUSY,
	       result(ioctl(control, CLOOPW_CTL_REMOVE, 0)));
	expect("clear", 0, result(ioctl(device, CLOOPW_CLEAR, 0)));
	expect("remove an open device", EBUSY,
	       result(ioctl(control, CLOOPW_CTL_REMOVE, 0)));
}

static void check_query(void)
{
	struct {
		struct cloopw_query query;
		char more[16];
	} longer = { .query.size = sizeof(longer), .more = { 1 } };
	struct cloopw_query query = { .size = sizeof(query) };
	char *end = last_page();

	expect("query", 0, result(ioctl(control, CLOOPW_CTL_QUERY, &query)));
	if (query.size != sizeof(query) || query.max_layers != CLOOPW_MAX_LAYERS ||
	    query.features != CLOOPW_FEATURES || !query.version[0] ||
	    !strstr(query.image_formats, "cloopw") ||
	    strcmp(query.cow_formats, "log uml") ||
	    !strstr(query.codecs, "xz") || strstr(query.cow_codecs, "xz") ||
	    !strstr(query.cow_codecs, "zstd")) {
		failures++;
		printf("not ok query: %s, %s, %s, %s, %s\n", query.version,
		       query.image_formats, query.cow_formats, query.codecs,
		       query.cow_codecs);
	}
	expect("query, longer", 0,
	       result(ioctl(control, CLOOPW_CTL_QUERY, &longer)));
	if (longer.query.size != sizeof(query) || longer.more[0]) {
		failures++;
		printf("not ok query, longer: %u\n", longer.query.size);
	}
	query.size = sizeof(query) - 1;
	expect("query, too short", EINVAL,
	       result(ioctl(control, CLOOPW_CTL_QUERY, &query)));
	query.size = sizeof(query);
	memcpy(end - 4, &query.size, 4);
	expect("query, half of it there", EFAULT,
	       result(ioctl(control, CLOOPW_CTL_QUERY, end - 4)));
	expect("query, NULL", EFAULT,
	       result(ioctl(control, CLOOPW_CTL_QUERY, NULL)));
}

static void check_control(void)
{
	int number;

	expect("add -2", EINVAL, result(ioctl(control, CLOOPW_CTL_ADD, -2)));
	expect("add INT_MIN", EINVAL,
	       result(ioctl(control, CLOOPW_CTL_ADD, INT_MIN)));
	expect("add INT_MAX", EINVAL,
	       result(ioctl(control, CLOOPW_CTL_ADD, INT_MAX)));
	expect("add one that is there", EEXIST,
	       result(ioctl(control, CLOOPW_CTL_ADD, 0)));
	expect("add the last", 0,
	       result(ioctl(control, CLOOPW_CTL_ADD, (1 << 20) - 1)));
	expect("remove the last", 0,
	       result(ioctl(control, CLOOPW_CTL_REMOVE, (1 << 20) - 1)));
	number = ioctl(control, CLOOPW_CTL_ADD, -1);
	if (number < 0)
		number = -errno;
	expect("add any", 8, number);
	expect("remove it", 0,
	       result(ioctl(control, CLOOPW_CTL_REMOVE, number)));
	expect("remove it again", ENODEV,
	       result(ioctl(control, CLOOPW_CTL_REMOVE, number)));
	expect("remove -1", EINVAL,
	       result(ioctl(control, CLOOPW_CTL_REMOVE, -1)));
	expect("a free one", 0, ioctl(control, CLOOPW_CTL_GET_FREE, 0));
	expect("unknown ioctl to control", ENOTTY,
	       result(ioctl(control, _IO(CLOOPW_IOC_MAGIC, 0x7f), 0)));
}

static void check_capability(void)
{
	struct cloopw_config config = good_config();

	if (seteuid(1000))
		return;
	expect("control without privilege", EPERM,
	       result(ioctl(control, CLOOPW_CTL_GET_FREE, 0)));
	expect("configure without privilege", EPERM, configure(&config));
	expect("clear without privilege", EPERM,
	       result(ioctl(device, CLOOPW_CLEAR, 0)));
	if (seteuid(0))
		exit(1);
}

/* ---- snapshots of an attached device ---- */

static void check_snapshot(const char *name, int want, int fd)
{
	struct cloopw_snapshot request = {
		.size = sizeof(request),
		.layer_fd = fd,
		.reason = (uintptr_t)&reason,
	};

	forget_reason();
	expect(name, want, result(ioctl(device, CLOOPW_SNAPSHOT, &request)));
	if (want != EPERM && !message[0]) {
		failures++;
		printf("not ok %s: no message\n", name);
	}
	if (fd >= 0)
		close(fd);
}

/* The file, looked at by the driver alone. */
static int add_layer(unsigned int flags)
{
	struct cloopw_snapshot request = {
		.size = sizeof(request),
		.flags = flags,
		.layer_fd = open(image_path, O_RDWR),
		.reason = (uintptr_t)&reason,
	};

	if (!ioctl(device, CLOOPW_SNAPSHOT, &request))
		return 0;
	fprintf(stderr, "%s: %s\n", strerror(errno), message);
	return 1;
}

static void check_snapshot_layers(void)
{
	check_snapshot("fd -1", EBADF, -1);
	check_snapshot("directory", EISDIR, open(".", O_RDONLY));
	check_snapshot("the image", EBADF, open(image_path, O_RDONLY));
	check_snapshot("the image to write", EBUSY, open(image_path, O_RDWR));
	check_snapshot("the device", EINVAL, open(device_path, O_RDWR));
	check_snapshot("idle device", EINVAL, open("/dev/cloopw3", O_RDWR));
	check_snapshot("empty file", EINVAL, memfd_create("empty", 0));
	check_snapshot("null", EINVAL, open("/dev/null", O_RDWR));
	check_snapshot("the top itself", EBUSY, open("h.cow", O_RDWR));
	check_snapshot("a layer of another chain", EINVAL,
		       open("f.cow", O_RDWR));
	check_snapshot("a frozen one", EINVAL, open("a.cow", O_RDWR));
	if (!seteuid(1000)) {
		check_snapshot("without privilege", EPERM, -1);
		if (seteuid(0))
			exit(1);
	}
}

static void check_snapshot_sizes(void)
{
	struct {
		struct cloopw_snapshot request;
		char more[8];
	} longer = {
		.request = { .size = sizeof(longer), .layer_fd = -1 },
		.more = { 1 },
	};
	struct cloopw_snapshot request = { .layer_fd = -1 };
	char *end = last_page();

	expect("NULL", EFAULT, result(ioctl(device, CLOOPW_SNAPSHOT, NULL)));
	expect("size 0", EINVAL,
	       result(ioctl(device, CLOOPW_SNAPSHOT, &request)));
	request.size = sizeof(request) - 1;
	expect("too short", EINVAL,
	       result(ioctl(device, CLOOPW_SNAPSHOT, &request)));
	request.size = sizeof(request);
	memcpy(end - 4, &request.size, 4);
	expect("half of it readable", EFAULT,
	       result(ioctl(device, CLOOPW_SNAPSHOT, end - 4)));
	request.size = UINT32_MAX;
	expect("too long", E2BIG,
	       result(ioctl(device, CLOOPW_SNAPSHOT, &request)));
	expect("longer, rest not zero", E2BIG,
	       result(ioctl(device, CLOOPW_SNAPSHOT, &longer)));
	request.size = sizeof(request);
	request.flags = 2;
	expect("unknown flag", EINVAL,
	       result(ioctl(device, CLOOPW_SNAPSHOT, &request)));
	request.flags = 0;
	request.reserved = 1;
	expect("reserved", EINVAL,
	       result(ioctl(device, CLOOPW_SNAPSHOT, &request)));
	request.reserved = 0;
	request.reason = ~0xffull;
	expect("reason to a bad address", EBADF,
	       result(ioctl(device, CLOOPW_SNAPSHOT, &request)));
}

/* ---- random ones ---- */

/* Mostly a good value, sometimes an odd one. */
static uint64_t odd(uint64_t good)
{
	static const uint64_t values[] = {
		0, 1, 511, 512, 4096, INT32_MAX, UINT32_MAX, 1ull << 40,
		INT64_MAX, UINT64_MAX,
	};

	if (rand() % 8)
		return good;
	return values[rand() % (sizeof(values) / sizeof(values[0]))];
}

static void churn_configure(void)
{
	struct cloopw_config config = good_config();
	int32_t fds[4];
	int i;

	for (i = 0; i < 4; i++)
		fds[i] = rand() % 16;
	config.size = odd(config.size);
	config.flags = odd(rand() % 8);
	config.image_fd = odd(rand() % 4 ? image : rand() % 16);
	config.nr_layers = odd(rand() % 4);
	config.layer_fds = odd((uintptr_t)fds);
	config.offset = odd(0);
	config.sizelimit = odd(0);
	config.cache_bytes = odd(0);
	config.reason = odd(config.reason);
	ioctl(device, CLOOPW_CONFIGURE, &config);
}

static void churn_snapshot(void)
{
	struct cloopw_snapshot request = {
		.size = odd(sizeof(request)),
		.flags = odd(0),
		.layer_fd = odd(rand() % 16),
		.reason = odd((uintptr_t)&reason),
	};

	ioctl(device, CLOOPW_SNAPSHOT, &request);
}

static void churn_change(void)
{
	struct cloopw_resize request = {
		.size = odd(sizeof(request)),
		.flags = odd(0),
		.reason = odd((uintptr_t)&reason),
	};
	struct loop_info64 info = {
		.lo_offset = odd(0),
		.lo_sizelimit = odd(0),
		.lo_flags = odd(rand() % 2 ? LO_FLAGS_PARTSCAN : 0),
	};

	switch (rand() % 7) {
	case 6: {
		struct cloopw_reset reset = { .size = sizeof(reset) };

		ioctl(device, CLOOPW_RESET, &reset);
		break;
	}
	case 0:
		ioctl(device, CLOOPW_RESIZE, &request);
		break;
	case 1:
		ioctl(device, CLOOPW_FLUSH, 0);
		break;
	case 2:
		ioctl(device, LOOP_SET_STATUS64, &info);
		break;
	case 3:
		ioctl(device, LOOP_SET_DIRECT_IO, odd(rand() % 2));
		break;
	case 4:
		ioctl(device, LOOP_SET_CAPACITY, 0);
		break;
	default:
		ioctl(device, LOOP_SET_FD, odd(image));
	}
}

static void churn(int seconds)
{
	union {
		struct cloopw_status status;
		char room[4096]; /* the kernel clears what it does not know */
	} out;
	time_t end = time(NULL) + seconds;

	while (time(NULL) < end) {
		switch (rand() % 12) {
		case 0:
			ioctl(control, CLOOPW_CTL_ADD, rand() % 4 + 8);
			break;
		case 1:
			ioctl(control, CLOOPW_CTL_REMOVE, rand() % 4 + 8);
			break;
		case 2:
			ioctl(control, CLOOPW_CTL_GET_FREE, 0);
			break;
		case 3:
			ioctl(device, CLOOPW_CLEAR, 0);
			break;
		case 4:
			out.status.size = odd(sizeof(out.status));
			ioctl(device, CLOOPW_GET_STATUS, &out);
			break;
		case 5:
			close(device);
			device = open(device_path, O_RDWR);
			break;
		case 6:
			churn_snapshot();
			break;
		case 7:
		case 8:
			churn_change();
			break;
		default:
			churn_configure();
		}
	}
}

int main(int argc, char **argv)
{
	bool churning = argc == 5 && !strcmp(argv[1], "churn");
	bool snapshots = argc == 4 && !strcmp(argv[1], "snapshot");
	bool layer = argc == 5 && !strcmp(argv[1], "layer");

	if (!churning && !snapshots && !layer &&
	    (argc != 4 || strcmp(argv[1], "check"))) {
		fprintf(stderr, "usage: %s check|snapshot DEVICE IMAGE\n"
			"       %s churn SECONDS DEVICE IMAGE\n"
			"       %s layer FLAGS DEVICE FILE\n", argv[0],
			argv[0], argv[0]);
		return 2;
	}
	device_path = argv[argc - 2];
	image_path = argv[argc - 1];
	control = open("/dev/" CLOOPW_CONTROL_NAME, O_RDWR);
	device = open(device_path, O_RDWR);
	image = open(image_path, O_RDONLY);
	if (control < 0 || device < 0 || image < 0) {
		perror("cloopw-hostile");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (churning) {
		srand(getpid());
		churn(atoi(argv[2]));
		return 0;
	}
	if (layer)
		return add_layer(atoi(argv[2]));
	if (snapshots) {
		check_snapshot_layers();
		check_snapshot_sizes();
		return failures != 0;
	}
	check_files();
	check_sizes();
	check_fields();
	check_reason();
	check_loop();
	check_states();
	check_recorded();
	check_query();
	check_control();
	check_capability();
	return failures != 0;
}
