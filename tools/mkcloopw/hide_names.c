// SPDX-License-Identifier: GPL-2.0
/*
 * mke2fs -d takes all names of a directory. Preloaded into it, this library
 * hides the names that mkcloopw's --exclude and --one-file-system leave out.
 *
 * HIDDEN_NAMES_FD in the environment is the number of a file. Its first byte
 * becomes 1 when the first directory is read. Then it has "DEVICE INODE NAME"
 * and a 0 for each name, in the order of compare(). An empty NAME stands for
 * all of the directory.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct hidden {
	unsigned long long dev, ino; /* the directory's */
	const char *name;
};

static struct hidden *list;
static size_t count;
static char *seen;

_Static_assert(sizeof(struct dirent) == sizeof(struct dirent64), "64 bit only");

static int compare(const void *a, const void *b)
{
	const struct hidden *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void parse(char *at, const char *end)
{
	char *rest;

	list = calloc((size_t)(end - at) / 4 + 1, sizeof(*list));
	while (list && at < end) {
		struct hidden *entry = &list[count++];

		entry->dev = strtoull(at, &rest, 10);
		entry->ino = strtoull(rest, &rest, 10);
		entry->name = rest + 1;
		at = rest + strlen(rest) + 1;
	}
}

__attribute__((constructor)) static void load(void)
{
	const char *fd = getenv("HIDDEN_NAMES_FD");
	struct stat st;
	char *map;

	if (!fd || fstat(atoi(fd), &st) != 0)
		return;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   atoi(fd), 0);
	if (map == MAP_FAILED)
		return;
	parse(map + 1, map + st.st_size);
	seen = list ? map : NULL;
}

static bool find(const struct stat *dir, const char *name)
{
	const struct hidden key = {dir->st_dev, dir->st_ino, name};

	return bsearch(&key, list, count, sizeof(key), compare);
}

static bool is_hidden(const struct stat *dir, const char *name)
{
	if (!seen)
		return false;
	*seen = 1;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	return find(dir, "") || find(dir, name);
}

struct dirent *readdir(DIR *dir)
{
	struct dirent *(*next)(DIR *) = dlsym(RTLD_NEXT, "readdir");
	struct dirent *entry;
	struct stat st;

	do
		entry = next(dir);
	while (entry && fstat(dirfd(dir), &st) == 0 &&
	       is_hidden(&st, entry->d_name));
	return entry;
}

struct dirent64 *readdir64(DIR *dir)
{
	return (struct dirent64 *)readdir(dir);
}

int scandir(const char *path, struct dirent ***entries,
	    int (*filter)(const struct dirent *),
	    int (*order)(const struct dirent **, const struct dirent **))
{
	__typeof__(scandir) *all = dlsym(RTLD_NEXT, "scandir");
	struct stat st;
	int n, i, kept = 0;

	if (stat(path, &st) != 0)
		return -1;
	n = all(path, entries, filter, order);
	for (i = 0; i < n; i++) {
		if (is_hidden(&st, (*entries)[i]->d_name))
			free((*entries)[i]);
		else
			(*entries)[kept++] = (*entries)[i];
	}
	return n < 0 ? n : kept;
}

int scandir64(const char *path, struct dirent64 ***entries,
	      int (*filter)(const struct dirent64 *),
	      int (*order)(const struct dirent64 **, const struct dirent64 **))
{
	return scandir(path, (void *)entries, (void *)filter, (void *)order);
}
