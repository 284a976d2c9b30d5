// SPDX-License-Identifier: GPL-2.0
/*
 * Replays the log of the kernel's dm-log-writes: what was on a disk at some moment,
 * or could have been had its power failed then.
 *
 *   replay-writes list LOG           lines NUMBER KIND..., KIND one of write, fua,
 *                                    flush, discard, mark; with marks their text
 *   replay-writes apply LOG FILE FROM TO
 *                                    entries FROM (included) to TO (not), in order
 *   replay-writes some LOG FILE FROM TO SEED [tear]
 *                                    a random part of them, as after a power cut
 *                                    when TO is the next flush; tear: of each
 *                                    entry, too, sector by sector
 *
 * A flush covers what the log has before it. What follows the last flush may be
 * there or not, but what was written with FUA is.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* drivers/md/dm-log-writes.c; all fields are little endian */
#define MAGIC 0x6a736677736872ULL
#define FLUSH 1
#define FUA 2
#define DISCARD 4
#define MARK 8
#define SECTOR 512

struct head {
	uint64_t magic, version, entries;
	uint32_t sector_size;
};

struct entry {
	uint64_t sector, sectors, flags, data_len;
};

struct log {
	int fd;
	uint64_t entries;
	off_t pos;      /* of the next entry */
	uint64_t number;
	struct entry entry;
	char block[SECTOR];
	off_t data;     /* where the entry's is */
};

static void die(const char *what)
{
	fprintf(stderr, "replay-writes: %s: %s\n", what,
		errno ? strerror(errno) : "is no log of dm-log-writes");
	exit(1);
}

static void read_all(int fd, void *buf, size_t len, off_t pos)
{
	errno = 0;
	if (pread(fd, buf, len, pos) != (ssize_t)len)
		die("read");
}

static void write_all(int fd, const void *buf, size_t len, off_t pos)
{
	errno = ENOSPC;
	if (pwrite(fd, buf, len, pos) != (ssize_t)len)
		die("write");
}

static void open_log(struct log *log, const char *path)
{
	struct head head;

	memset(log, 0, sizeof(*log));
	log->fd = open(path, O_RDONLY);
	if (log->fd < 0)
		die(path);
	read_all(log->fd, &head, sizeof(head), 0);
	if (le64toh(head.magic) != MAGIC || le64toh(head.version) != 1 ||
	    le32toh(head.sector_size) != SECTOR)
		die(path);
	log->entries = le64toh(head.entries);
	log->pos = SECTOR;
}

/* Has it data behind its head? A mark's is in the head. */
static bool has_data(const struct entry *entry)
{
	return entry->sectors && !(entry->flags & (DISCARD | MARK));
}

static bool next(struct log *log)
{
	struct entry *entry = &log->entry;

	if (log->pos > SECTOR)
		log->number++;
	if (log->number >= log->entries)
		return false;
	read_all(log->fd, log->block, SECTOR, log->pos);
	memcpy(entry, log->block, sizeof(*entry));
	entry->sector = le64toh(entry->sector);
	entry->sectors = le64toh(entry->sectors);
	entry->flags = le64toh(entry->flags);
	entry->data_len = le64toh(entry->data_len);
	log->data = log->pos + SECTOR;
	log->pos = log->data;
	if (has_data(entry))
		log->pos += entry->sectors * SECTOR;
	return true;
}

/* ---- list ---- */

static void print_entry(const struct log *log)
{
	const struct entry *entry = &log->entry;

	printf("%" PRIu64, log->number);
	if (entry->flags & MARK) {
		printf(" mark %.*s\n",
		       (int)(entry->data_len % (SECTOR - sizeof(*entry))),
		       log->block + sizeof(*entry));
		return;
	}
	if (entry->flags & FLUSH)
		printf(" flush");
	if (entry->flags & FUA)
		printf(" fua");
	if (entry->flags & DISCARD)
		printf(" discard");
	else if (entry->sectors)
		printf(" write");
	printf("\n");
}

static void list(const char *path)
{
	struct log log;

	open_log(&log, path);
	while (next(&log))
		print_entry(&log);
}

/* ---- apply ---- */

/* A discard may leave what was there, or zeros: it is zeros here. */
static void apply_part(const struct log *log, int fd, uint64_t first,
		       uint64_t sectors)
{
	const struct entry *entry = &log->entry;
	off_t to = (entry->sector + first) * SECTOR;
	char *buf = calloc(sectors, SECTOR);

	if (!buf)
		die("memory");
	if (has_data(entry))
		read_all(log->fd, buf, sectors * SECTOR,
			 log->data + first * SECTOR);
	if (has_data(entry) || entry->flags & DISCARD)
		write_all(fd, buf, sectors * SECTOR, to);
	free(buf);
}

static void apply_entry(const struct log *log, int fd)
{
	if (log->entry.sectors)
		apply_part(log, fd, 0, log->entry.sectors);
}

static void apply_some(const struct log *log, int fd, bool tear)
{
	uint64_t i;

	if (!tear || random() % 2) {
		if (random() % 2)
			apply_entry(log, fd);
		return;
	}
	for (i = 0; i < log->entry.sectors; i++)
		if (random() % 2)
			apply_part(log, fd, i, 1);
}

static void replay(const char *path, const char *file, uint64_t from,
		   uint64_t to, const char *seed, bool tear)
{
	int fd = open(file, O_RDWR);
	struct log log;

	if (fd < 0)
		die(file);
	if (seed)
		srandom(atoi(seed));
	open_log(&log, path);
	while (next(&log) && log.number < to) {
		if (log.number < from)
			continue;
		if (!seed || log.entry.flags & FUA)
			apply_entry(&log, fd);
		else
			apply_some(&log, fd, tear);
	}
	close(fd);
	close(log.fd);
}

int main(int argc, char **argv)
{
	bool some = argc >= 7 && !strcmp(argv[1], "some");

	if (argc == 3 && !strcmp(argv[1], "list")) {
		list(argv[2]);
	} else if (some || (argc == 6 && !strcmp(argv[1], "apply"))) {
		replay(argv[2], argv[3], strtoull(argv[4], NULL, 10),
		       strtoull(argv[5], NULL, 10), some ? argv[6] : NULL,
		       argc == 8);
	} else {
		fprintf(stderr, "usage: replay-writes list LOG\n"
				"       replay-writes apply LOG FILE FROM TO\n"
				"       replay-writes some LOG FILE FROM TO SEED [tear]\n");
		return 2;
	}
	return 0;
}
