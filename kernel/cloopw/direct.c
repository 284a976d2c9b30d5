// SPDX-License-Identifier: GPL-2.0
#include "direct.h"

#include <linux/bvec.h>
#include <linux/cpumask.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fadvise.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include "compat.h"

/* No block device or file system wants a larger alignment. */
#define ALIGNMENT PAGE_SIZE
#define BOUNCE_SIZE SZ_256K
#define BOUNCE_PAGES (BOUNCE_SIZE / PAGE_SIZE)
#define MAX_BOUNCES 16u

struct bounce {
	struct list_head node; /* the lock of struct cloopw_direct */
	struct bio_vec page[BOUNCE_PAGES];
};

struct cloopw_direct {
	struct file *cached; /* constant, and so is the next */
	struct file *file;   /* the same file with O_DIRECT; NULL: it cannot */
	int mode;            /* enum cloopw_direct_mode; READ_ONCE() */
	unsigned int bounces; /* only cloopw_direct_set() uses it */
	spinlock_t lock;
	struct list_head idle; /* lock */
	wait_queue_head_t returned;
};

/* ---- buffers: made with the mode, because reads must not need memory ---- */

static void free_bounce(struct bounce *bounce)
{
	unsigned int i;

	for (i = 0; i < BOUNCE_PAGES; i++)
		if (bounce->page[i].bv_page)
			__free_page(bounce->page[i].bv_page);
	kfree(bounce);
}

static struct bounce *make_bounce(void)
{
	struct bounce *bounce = kzalloc_obj(*bounce);
	unsigned int i;

	if (!bounce)
		return NULL;
	for (i = 0; i < BOUNCE_PAGES; i++) {
		struct page *page = alloc_page(GFP_KERNEL);

		if (!page) {
			free_bounce(bounce);
			return NULL;
		}
		bvec_set_page(&bounce->page[i], page, PAGE_SIZE, 0);
	}
	return bounce;
}

static void put_bounce(struct cloopw_direct *direct, struct bounce *bounce)
{
	spin_lock(&direct->lock);
	list_add(&bounce->node, &direct->idle);
	spin_unlock(&direct->lock);
	wake_up(&direct->returned);
}

static struct bounce *take_idle(struct cloopw_direct *direct)
{
	struct bounce *bounce;

	spin_lock(&direct->lock);
	bounce = list_first_entry_or_null(&direct->idle, struct bounce, node);
	if (bounce)
		list_del(&bounce->node);
	spin_unlock(&direct->lock);
	return bounce;
}

/* A holder of a bounce buffer waits for nothing but the file. */
static struct bounce *get_bounce(struct cloopw_direct *direct)
{
	struct bounce *bounce;

	wait_event(direct->returned, (bounce = take_idle(direct)));
	return bounce;
}

/* One a processor: each processor can decompress what it has read. */
static int make_bounces(struct cloopw_direct *direct)
{
	unsigned int wanted = min(num_online_cpus(), MAX_BOUNCES);

	for (; direct->bounces < wanted; direct->bounces++) {
		struct bounce *bounce = make_bounce();

		if (!bounce)
			return -ENOMEM;
		put_bounce(direct, bounce);
	}
	return 0;
}

/* ---- reading ---- */

/* The file may end within the last page of the aligned range. */
static int fill_bounce(struct file *file, struct bounce *bounce, loff_t pos,
		       size_t wanted)
{
	size_t span = round_up(wanted, ALIGNMENT);
	struct iov_iter iter;
	size_t done = 0;

	iov_iter_bvec(&iter, READ, bounce->page, span / PAGE_SIZE, span);
	while (done < wanted) {
		ssize_t n = vfs_iter_read(file, &iter, &pos, 0);

		if (n <= 0)
			return n < 0 ? n : -EIO;
		done += n;
	}
	return 0;
}

static void copy_from_bounce(const struct bounce *bounce, size_t skip, u8 *buf,
			     size_t len)
{
	while (len) {
		const struct bio_vec *bv = &bounce->page[skip / PAGE_SIZE];
		size_t part = min(len, PAGE_SIZE - offset_in_page(skip));

		memcpy(buf, page_address(bv->bv_page) + offset_in_page(skip),
		       part);
		skip += part;
		buf += part;
		len -= part;
	}
}

static int read_bounced(struct cloopw_direct *direct, u8 *buf, size_t len,
			loff_t pos)
{
	struct bounce *bounce = get_bounce(direct);
	int err = 0;

	while (len && !err) {
		size_t skip = pos & (ALIGNMENT - 1);
		size_t part = min_t(size_t, len, BOUNCE_SIZE - skip);

		err = fill_bounce(direct->file, bounce, pos - skip,
				  skip + part);
		if (!err)
			copy_from_bounce(bounce, skip, buf, part);
		buf += part;
		pos += part;
		len -= part;
	}
	put_bounce(direct, bounce);
	return err;
}

int cloopw_direct_read(struct cloopw_direct *direct, void *buf, size_t len,
		       loff_t pos)
{
	if (cloopw_direct_mode(direct) != CLOOPW_DIRECT_ON)
		return -EOPNOTSUPP;
	return read_bounced(direct, buf, len, pos);
}

struct file *cloopw_direct_file(const struct cloopw_direct *direct, loff_t pos,
				size_t len)
{
	if (cloopw_direct_mode(direct) == CLOOPW_DIRECT_ON &&
	    !((pos | len) & (ALIGNMENT - 1)))
		return direct->file;
	return direct->cached;
}

/*
 * The page at the end stays, because the next extent begins there. The page at
 * the start goes, because the extent before is read.
 */
void cloopw_direct_drop_cached(const struct cloopw_direct *direct, loff_t pos,
			       size_t len)
{
	loff_t first = round_down(pos, PAGE_SIZE);
	loff_t end = round_down(pos + len, PAGE_SIZE);

	/*
	 * Unlike invalidate_mapping_pages(), this also finds pages just read.
	 */
	if (cloopw_direct_mode(direct) == CLOOPW_DIRECT_DROP && first < end)
		vfs_fadvise(direct->cached, first, end - first,
			    POSIX_FADV_DONTNEED);
}

/* ---- the mode ---- */

enum cloopw_direct_mode cloopw_direct_mode(const struct cloopw_direct *direct)
{
	return READ_ONCE(direct->mode);
}

/* Some files can be opened with O_DIRECT, and fail only in the read. */
static bool can_read(struct cloopw_direct *direct)
{
	u8 byte;

	return direct->file && !read_bounced(direct, &byte, sizeof(byte), 0);
}

int cloopw_direct_set(struct cloopw_direct *direct, bool wanted)
{
	unsigned int noio;
	int err;

	if (!wanted) {
		WRITE_ONCE(direct->mode, CLOOPW_DIRECT_OFF);
		return 0;
	}
	noio = memalloc_noio_save();
	err = make_bounces(direct);
	memalloc_noio_restore(noio);
	if (err)
		return err;
	WRITE_ONCE(direct->mode,
		   can_read(direct) ? CLOOPW_DIRECT_ON : CLOOPW_DIRECT_DROP);
	invalidate_mapping_pages(direct->cached->f_mapping, 0, -1);
	return 0;
}

struct cloopw_direct *cloopw_direct_create(struct file *cached)
{
	int flags = O_LARGEFILE | O_NOATIME | O_RDONLY | O_DIRECT;
	struct cloopw_direct *direct = kzalloc_obj(*direct);
	struct file *file;

	if (!direct)
		return NULL;
	spin_lock_init(&direct->lock);
	INIT_LIST_HEAD(&direct->idle);
	init_waitqueue_head(&direct->returned);
	direct->mode = CLOOPW_DIRECT_OFF;
	direct->cached = cached;
	file = dentry_open(&cached->f_path, flags, current_cred());
	direct->file = IS_ERR(file) ? NULL : file;
	return direct;
}

void cloopw_direct_destroy(struct cloopw_direct *direct)
{
	struct bounce *bounce;

	if (!direct)
		return;
	while ((bounce = take_idle(direct)))
		free_bounce(bounce);
	if (direct->file)
		fput(direct->file);
	kfree(direct);
}
