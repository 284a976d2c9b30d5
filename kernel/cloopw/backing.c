// SPDX-License-Identifier: GPL-2.0
#include "backing.h"

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/fadvise.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>
#include <linux/pagemap.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/statfs.h>
#include <linux/string_helpers.h>
#include <linux/uio.h>

#include "compat.h"
#include "disk.h"
#include "stack.h"

/* Read-ahead must be large: workers read in turn at several places at once. */
#define READAHEAD_PAGES (SZ_1M / PAGE_SIZE)

/* All backings, so that no device uses a file that another device writes. */
static LIST_HEAD(backings); /* backings_lock */
static DEFINE_MUTEX(backings_lock);

static struct cloopw_backing *to_backing(struct cw_io *io)
{
	return container_of(io, struct cloopw_backing, io);
}

/* The inode of the data. A block device's node has another inode. */
static struct inode *data_inode(const struct file *file)
{
	return file->f_mapping->host;
}

/* ---- the engine's operations ---- */

static int file_read(struct file *file, u8 *buf, size_t len, loff_t pos)
{
	while (len) {
		ssize_t n = kernel_read(file, buf, len, &pos);

		if (n <= 0)
			return n < 0 ? n : -EIO;
		buf += n;
		len -= n;
	}
	return 0;
}

static int file_write(struct file *file, const u8 *buf, size_t len, loff_t pos)
{
	while (len) {
		ssize_t n = kernel_write(file, buf, len, &pos);

		if (n <= 0)
			return n < 0 ? n : -EIO;
		buf += n;
		len -= n;
	}
	return 0;
}

/*
 * The place of [off, off + len) of the window in the file; false: there is
 * none.
 */
static bool in_file(const struct cloopw_backing *b, u64 off, u64 len,
		    loff_t *pos)
{
	u64 start, end;

	if (cw_outside(off, len, b->sizelimit) ||
	    cw_add_overflows(b->offset, off, &start) ||
	    cw_add_overflows(start, len, &end) || end > LLONG_MAX)
		return false;
	*pos = start;
	return true;
}

static int backing_pread(struct cw_io *io, void *buf, size_t len, u64 off)
{
	struct cloopw_backing *b = to_backing(io);
	loff_t pos;
	int err;

	if (!in_file(b, off, len, &pos))
		return -EIO;
	if (!b->direct)
		return file_read(b->file, buf, len, pos);
	err = cloopw_direct_read(b->direct, buf, len, pos);
	if (err) {
		err = file_read(b->file, buf, len, pos);
		cloopw_direct_drop_cached(b->direct, pos, len);
	}
	return err;
}

static int backing_pread_two(struct cw_io *io, void *first, size_t first_len,
			     void *second, size_t second_len, u64 off)
{
	struct kvec vec[] = { { first, first_len }, { second, second_len } };
	struct cloopw_backing *b = to_backing(io);
	struct iov_iter iter;
	loff_t pos;

	if (!in_file(b, off, first_len + second_len, &pos))
		return -EIO;
	iov_iter_kvec(&iter, ITER_DEST, vec, ARRAY_SIZE(vec),
		      first_len + second_len);
	while (iov_iter_count(&iter)) {
		ssize_t n = vfs_iter_read(b->file, &iter, &pos, 0);

		if (n <= 0)
			return n < 0 ? n : -EIO;
	}
	return 0;
}

static void backing_will_read(struct cw_io *io, u64 off, u64 len)
{
	struct cloopw_backing *b = to_backing(io);
	loff_t pos;

	if (b->direct && cloopw_direct_mode(b->direct) == CLOOPW_DIRECT_ON)
		return;
	if (in_file(b, off, len, &pos))
		vfs_fadvise(b->file, pos, len, POSIX_FADV_WILLNEED);
}

/* A disk that was pulled out has no bytes left, which is no lack of space. */
static int space_error(const struct cloopw_backing *b, int err)
{
	struct inode *inode = data_inode(b->file);

	if (err == -ENOSPC && S_ISBLK(inode->i_mode) && !i_size_read(inode))
		return -EIO;
	return err;
}

static int backing_pwrite(struct cw_io *io, const void *buf, size_t len,
			  u64 off)
{
	struct cloopw_backing *b = to_backing(io);
	loff_t pos;

	if (!b->writable)
		return -EROFS;
	if (!in_file(b, off, len, &pos))
		return -EFBIG;
	return space_error(b, file_write(b->file, buf, len, pos));
}

static int backing_flush(struct cw_io *io)
{
	struct cloopw_backing *b = to_backing(io);

	return b->writable ? vfs_fsync(b->file, 1) : 0;
}

/*
 * Is the file only in memory (a memfd), with no limit but the COW's own? Memory
 * that is allocated there in advance is wasted.
 */
static bool is_in_memory(const struct cloopw_backing *b)
{
	struct kstatfs stat;

	return data_inode(b->file)->i_sb->s_magic == TMPFS_MAGIC &&
	       !vfs_statfs(&b->file->f_path, &stat) && !stat.f_blocks;
}

/* The space of a block device is there. A file gets its blocks now. */
static int backing_allocate(struct cw_io *io, u64 off, u64 len)
{
	struct cloopw_backing *b = to_backing(io);
	struct inode *inode = data_inode(b->file);
	loff_t pos;

	if (!b->writable)
		return -EROFS;
	if (!in_file(b, off, len, &pos))
		return -ENOSPC;
	if (S_ISBLK(inode->i_mode))
		return pos + len > i_size_read(inode) ?
			space_error(b, -ENOSPC) : 0;
	if (!is_in_memory(b))
		return vfs_fallocate(b->file, 0, pos, len);
	if (pos + len <= i_size_read(inode))
		return 0;
	return file_write(b->file, (const u8 *)"", 1, pos + len - 1);
}

/* A block device only takes whole blocks; parts of one keep their data. */
static int backing_punch(struct cw_io *io, u64 off, u64 len)
{
	struct cloopw_backing *b = to_backing(io);
	struct inode *inode = data_inode(b->file);
	loff_t pos, end;

	if (!b->writable)
		return -EROFS;
	if (!in_file(b, off, len, &pos))
		return -EINVAL;
	end = pos + len;
	if (S_ISBLK(inode->i_mode)) {
		unsigned int block = bdev_logical_block_size(I_BDEV(inode));

		pos = round_up(pos, block);
		end = round_down(end, block);
	}
	if (pos >= end)
		return 0;
	return vfs_fallocate(b->file, FALLOC_FL_PUNCH_HOLE |
			     FALLOC_FL_KEEP_SIZE, pos, end - pos);
}

static int backing_size(struct cw_io *io, u64 *size)
{
	struct cloopw_backing *b = to_backing(io);
	u64 bytes = i_size_read(data_inode(b->file));

	bytes = bytes > b->offset ? bytes - b->offset : 0;
	*size = cw_min(bytes, b->sizelimit);
	return 0;
}

/* File systems in memory may have no limit: -EOPNOTSUPP. */
static int backing_capacity(struct cw_io *io, u64 *bytes)
{
	struct cloopw_backing *b = to_backing(io);
	struct inode *inode = data_inode(b->file);
	struct kstatfs stat;
	int err;

	if (S_ISBLK(inode->i_mode))
		return backing_size(io, bytes);
	err = vfs_statfs(&b->file->f_path, &stat);
	if (err)
		return err;
	if (!stat.f_blocks)
		return -EOPNOTSUPP;
	*bytes = ((u64)inode->i_blocks << SECTOR_SHIFT) +
		 stat.f_bfree * stat.f_bsize;
	if (inode->i_sb->s_maxbytes > b->offset)
		*bytes = cw_min(*bytes, (u64)inode->i_sb->s_maxbytes - b->offset);
	return 0;
}

/* A block device, and a file system that knows no holes, has data everywhere. */
static u64 backing_next_data(struct cw_io *io, u64 off)
{
	struct cloopw_backing *b = to_backing(io);
	loff_t pos, data;

	if (S_ISBLK(data_inode(b->file)->i_mode) || !in_file(b, off, 0, &pos))
		return off;
	data = vfs_llseek(b->file, pos, SEEK_DATA);
	if (data < 0)
		return data == -ENXIO ? ~0ull : off;
	return data - b->offset;
}

static const struct cw_io_ops backing_ops = {
	.pread = backing_pread,
	.pread_two = backing_pread_two,
	.will_read = backing_will_read,
	.pwrite = backing_pwrite,
	.flush = backing_flush,
	.allocate = backing_allocate,
	.punch = backing_punch,
	.size = backing_size,
	.capacity = backing_capacity,
	.next_data = backing_next_data,
};

static int move_bio(struct file *file, struct bio *bio, bool write, loff_t *pos)
{
	struct bvec_iter at;
	struct iov_iter iter;
	struct bio_vec bv;
	unsigned int pieces = 0;
	ssize_t n;

	bio_for_each_bvec(bv, bio, at)
		pieces++;
	iov_iter_bvec(&iter, write ? WRITE : READ,
		      __bvec_iter_bvec(bio->bi_io_vec, bio->bi_iter), pieces,
		      bio->bi_iter.bi_size);
	iter.iov_offset = bio->bi_iter.bi_offset;
	while (iov_iter_count(&iter)) {
		if (write)
			n = vfs_iter_write(file, &iter, pos, 0);
		else
			n = vfs_iter_read(file, &iter, pos, 0);
		if (n <= 0)
			return n < 0 ? n : -EIO;
	}
	return 0;
}

void cloopw_backing_expect_random(struct cloopw_backing *b)
{
	vfs_fadvise(b->file, 0, 0, POSIX_FADV_RANDOM);
}

int cloopw_backing_move_request(struct cw_io *io, u64 pos, struct request *rq)
{
	bool write = req_op(rq) == REQ_OP_WRITE;
	struct cloopw_backing *b = to_backing(io);
	struct bio *bio;
	loff_t at;
	int err;

	if (write && !b->writable)
		return -EROFS;
	if (!in_file(b, pos, blk_rq_bytes(rq), &at))
		return -EIO;
	__rq_for_each_bio(bio, rq) {
		struct file *file = b->file;

		if (b->direct)
			file = cloopw_direct_file(b->direct, at,
						  bio->bi_iter.bi_size);
		err = move_bio(file, bio, write, &at);
		if (err)
			return err;
	}
	if (b->direct)
		cloopw_direct_drop_cached(b->direct, at - blk_rq_bytes(rq),
					  blk_rq_bytes(rq));
	return 0;
}

/* ---- opening ---- */

/*
 * Allocated. A newline in the name is escaped, so the name is one line
 * everywhere.
 */
static char *name_of(struct file *file)
{
	char *buf = kmalloc(PATH_MAX, GFP_KERNEL);
	char *path, *name = NULL;
	int len;

	if (!buf)
		return NULL;
	path = file_path(file, buf, PATH_MAX);
	if (IS_ERR(path))
		path = "(unnamed)";
	len = string_escape_mem(path, strlen(path), NULL, 0, ESCAPE_OCTAL,
				"\n");
	name = kmalloc(len + 1, GFP_KERNEL);
	if (name) {
		string_escape_mem(path, strlen(path), name, len, ESCAPE_OCTAL,
				  "\n");
		name[len] = 0;
	}
	kfree(buf);
	return name;
}

const char *cloopw_backing_mark(struct cw_io *io)
{
	static const char mark[] = " (deleted)";
	struct file *file = to_backing(io)->file;
	size_t len = strlen(io->name), more = strlen(mark);

	/* The name of a file that was already unlinked says so. */
	if (!S_ISREG(data_inode(file)->i_mode) ||
	    !d_unlinked(file->f_path.dentry) ||
	    (len >= more && !strcmp(io->name + len - more, mark)))
		return "";
	return mark;
}

static int check_kind(struct file *file, const char *name,
		      struct cw_report *report)
{
	umode_t mode = data_inode(file)->i_mode;

	if (S_ISDIR(mode))
		return cw_refuse(report, -EISDIR, CLOOPW_R_WRONG_KIND,
				 "%s: is a directory", name);
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return cw_refuse_file(report, -EINVAL, CLOOPW_R_WRONG_KIND,
				      name);
	return 0;
}

static int check_access(struct file *file, const char *name,
			const struct cloopw_backing_request *request,
			struct cw_report *report)
{
	if (!(file->f_mode & FMODE_READ))
		return cw_refuse(report, -EBADF, CLOOPW_R_NOT_OPEN,
				 "%s: %s is not open for reading", name,
				 request->role);
	if (request->writable && !(file->f_mode & FMODE_WRITE))
		return cw_refuse(report, -EBADF, CLOOPW_R_NOT_OPEN,
				 "%s: %s is not open for writing", name,
				 request->role);
	return 0;
}

/* The kernel cannot read the files of /proc and the like. */
static int check_operations(struct file *file, const char *name,
			    const struct cloopw_backing_request *request,
			    struct cw_report *report)
{
	const struct file_operations *ops = file->f_op;

	if (!ops->read_iter || ops->read ||
	    (request->writable && (!ops->write_iter || ops->write)))
		return cw_refuse(report, -EINVAL, CLOOPW_R_WRONG_KIND,
				 "%s: a file of this kind cannot be a %s", name,
				 request->role);
	return 0;
}

/*
 * A device must not become its own backing, directly or through others. While
 * the device is not attached, the way to it leads through another unattached
 * device of this driver. An attached one has all of its backings, and none of
 * them can be this device. The file is open, so an attached device below cannot
 * be detached after the check. For a new layer of a device in use,
 * check_stack() looks further.
 */
static int check_disk(struct file *file, const char *name,
		      const struct cloopw_backing_request *request,
		      struct cw_report *report)
{
	struct gendisk *disk;

	if (!S_ISBLK(data_inode(file)->i_mode))
		return 0;
	disk = I_BDEV(data_inode(file))->bd_disk;
	if (disk == request->disk)
		return cw_refuse(report, -EINVAL, CLOOPW_R_ITSELF,
				 "%s: a device cannot be its own %s", name,
				 request->role);
	if (cloopw_is_unattached(disk))
		return cw_refuse_file(report, -EINVAL, CLOOPW_R_UNATTACHED,
				      name);
	return 0;
}

/* backings_lock */
static int visit(const struct gendisk *disk,
		 int (*look)(struct file *file, void *arg), void *arg)
{
	struct cloopw_backing *b;
	int found = 0;

	list_for_each_entry(b, &backings, node) {
		if (b->disk == disk)
			found = look(b->file, arg);
		if (found)
			break;
	}
	return found;
}

static int check_stack(struct file *file, const char *name,
		       const struct cloopw_backing_request *request,
		       struct cw_report *report)
{
	struct cloopw_stack stack = {
		.disk = request->disk,
		.visit = visit,
		.is_ours = cloopw_is_ours,
	};
	enum cloopw_stack_verdict verdict;

	if (!request->in_use)
		return 0;
	mutex_lock(&backings_lock);
	verdict = cloopw_stack_look(&stack, file);
	mutex_unlock(&backings_lock);
	if (verdict == CLOOPW_STACK_ON_DISK)
		return cw_refuse(report, -EINVAL, CLOOPW_R_ITSELF,
				 "%s: lies on the device itself: a %s must be elsewhere",
				 name, request->role);
	if (verdict == CLOOPW_STACK_UNKNOWN && !request->elsewhere)
		return cw_refuse(report, -EINVAL, CLOOPW_R_MAYBE_ITSELF,
				 "%s: lies on %s, which the driver cannot look into: it may lie on the device itself",
				 name, stack.where);
	return 0;
}

static int check_window(struct file *file, const char *name,
			const struct cloopw_backing_request *request,
			struct cw_report *report)
{
	u64 size = i_size_read(data_inode(file));

	if (request->offset > size)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_WINDOW,
				 "%s: offset %llu is behind its end at %llu",
				 name, request->offset, size);
	return 0;
}

/* Opens the file again, so that nobody can set O_APPEND on our open file. */
static struct file *open_again(struct file *user, bool writable)
{
	int flags = O_LARGEFILE | O_NOATIME | (writable ? O_RDWR : O_RDONLY);

	return dentry_open(&user->f_path, flags, current_cred());
}

/*
 * The block of the device, or of the device below the file system. Some file
 * systems have none: one in memory does not outlive power, and of others nobody
 * can tell.
 */
static u32 physical_block(struct inode *inode)
{
	struct block_device *bdev = inode->i_sb->s_bdev;

	if (S_ISBLK(inode->i_mode))
		bdev = I_BDEV(inode);
	if (bdev)
		return bdev_physical_block_size(bdev);
	return inode->i_sb->s_magic == TMPFS_MAGIC ? CW_SECTOR_SIZE :
						     CW_PAGE_SIZE;
}

static int fill_stat(struct cloopw_backing *b)
{
	struct kstat stat;
	int err = vfs_getattr(&b->file->f_path, &stat, STATX_BASIC_STATS,
			      AT_STATX_SYNC_AS_STAT);

	if (err)
		return err;
	b->dev = huge_encode_dev(stat.dev);
	b->ino = stat.ino;
	b->rdev = huge_encode_dev(stat.rdev);
	/* A device node's mtime changes with its permissions. */
	if (S_ISREG(stat.mode))
		b->io.mtime = stat.mtime.tv_sec;
	b->io.whole_pages = S_ISBLK(stat.mode);
	b->io.physical_block = physical_block(data_inode(b->file));
	return 0;
}

/* Enters the backing in the list, unless it conflicts with another. */
static int announce(struct cloopw_backing *b, struct cw_report *report)
{
	struct inode *inode = data_inode(b->file);
	struct cloopw_backing *other;
	int err = 0;

	mutex_lock(&backings_lock);
	list_for_each_entry(other, &backings, node)
		if (data_inode(other->file) == inode &&
		    (other->writable || b->writable)) {
			err = cw_refuse(report, -EBUSY, CLOOPW_R_IN_USE,
					"%s: already in use%s", b->io.name,
					other->writable ? " for writing" : "");
			break;
		}
	if (!err)
		list_add(&b->node, &backings);
	mutex_unlock(&backings_lock);
	return err;
}

/* A file's file system has claimed the device below. */
static int claim(struct cloopw_backing *b, struct gendisk *disk,
		 const char *role, struct cw_report *report)
{
	struct inode *inode = data_inode(b->file);
	int err;

	if (!S_ISBLK(inode->i_mode))
		return 0;
	err = cloopw_claim(&b->claim, I_BDEV(inode), disk, b->writable);
	if (err == -EBUSY)
		return cw_refuse(report, err, CLOOPW_R_CLAIMED,
				 "%s: cannot be claimed as %s: it is mounted, or in use by another device or program",
				 b->io.name, role);
	if (err)
		return cw_refuse(report, err, CLOOPW_R_NOT_OPENED,
				 "%s: cannot be claimed: %s", b->io.name,
				 cw_error_text(err));
	return 0;
}

/*
 * When writeback fails, the page cache may show data that never reaches the
 * medium, because it counts as written. A log must not be recovered from such
 * data. An error of an earlier user's write is not reported to this one.
 */
static int forget_unwritten(struct cloopw_backing *b, struct cw_report *report)
{
	struct address_space *mapping = b->file->f_mapping;
	int err;

	if (!READ_ONCE(mapping->wb_err))
		return 0;
	filemap_write_and_wait(mapping);
	err = invalidate_inode_pages2(mapping);
	if (file_check_and_advance_wb_err(b->file))
		pr_debug("%s: an earlier user's write had failed\n", b->io.name);
	if (err)
		return cw_refuse(report, err, CLOOPW_R_NOT_OPENED,
				 "%s: cannot be opened: %s", b->io.name,
				 cw_error_text(err));
	return 0;
}

static int open_file(struct cloopw_backing *b, struct file *user,
		     const struct cloopw_backing_request *request,
		     struct cw_report *report)
{
	const char *name = b->io.name;
	struct file *file;
	int err;

	err = check_kind(user, name, report);
	if (!err)
		err = check_access(user, name, request, report);
	if (!err)
		err = check_operations(user, name, request, report);
	if (err)
		return err;
	file = open_again(user, request->writable);
	if (IS_ERR(file))
		return cw_refuse(report, PTR_ERR(file), CLOOPW_R_NOT_OPENED,
				 "%s: cannot be opened: %s", name,
				 cw_error_text(PTR_ERR(file)));
	b->file = file;
	file->f_ra.ra_pages = max_t(unsigned int, file->f_ra.ra_pages,
				    READAHEAD_PAGES);
	err = check_disk(file, name, request, report);
	if (!err)
		err = check_stack(file, name, request, report);
	if (!err)
		err = check_window(file, name, request, report);
	if (!err)
		err = fill_stat(b);
	if (!err)
		err = announce(b, report);
	if (!err)
		err = claim(b, request->disk, request->role, report);
	if (!err)
		err = forget_unwritten(b, report);
	if (!err && request->direct) {
		b->direct = cloopw_direct_create(file);
		err = b->direct ? 0 : -ENOMEM;
	}
	return err;
}

int cloopw_backing_open(const struct cloopw_backing_request *request,
			struct cloopw_backing **out, struct cw_report *report)
{
	struct cloopw_backing *b;
	struct file *user;
	int err = -ENOMEM;

	*out = NULL;
	user = request->file ? get_file(request->file) : fget(request->fd);
	if (!user)
		return cw_refuse(report, -EBADF, CLOOPW_R_NOT_OPEN,
				 "%s: no open file %d", request->role,
				 request->fd);
	b = kzalloc_obj(*b);
	if (!b) {
		fput(user);
		return -ENOMEM;
	}
	INIT_LIST_HEAD(&b->node);
	b->user = user;
	b->io.ops = &backing_ops;
	b->io.name = name_of(user);
	if (!b->io.name)
		goto close;
	b->disk = request->disk;
	b->writable = request->writable;
	b->offset = request->offset;
	b->sizelimit = request->sizelimit ? request->sizelimit : U64_MAX;
	err = open_file(b, user, request, report);
	if (err)
		goto close;
	*out = b;
	return 0;

close:
	cloopw_backing_close(b);
	return err;
}

void cloopw_backing_set_read_only(struct cloopw_backing *backing)
{
	mutex_lock(&backings_lock);
	backing->writable = false;
	mutex_unlock(&backings_lock);
}

int cloopw_backing_set_direct(struct cloopw_backing *backing, bool wanted)
{
	return cloopw_direct_set(backing->direct, wanted);
}

enum cloopw_direct_mode
cloopw_backing_direct_mode(const struct cloopw_backing *backing)
{
	return cloopw_direct_mode(backing->direct);
}

void cloopw_backing_close(struct cloopw_backing *backing)
{
	if (!backing)
		return;
	cloopw_unclaim(&backing->claim);
	mutex_lock(&backings_lock);
	list_del_init(&backing->node);
	mutex_unlock(&backings_lock);
	cloopw_direct_destroy(backing->direct);
	if (backing->file)
		fput(backing->file);
	fput(backing->user);
	kfree(backing->io.name);
	kfree(backing);
}
