// SPDX-License-Identifier: GPL-2.0
/*
 * Requests. Each is a work item of its own. So all processors decompress at
 * once, while other requests wait for their files.
 */
#include <linux/backing-dev.h>
#include <linux/blk-cgroup.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/cgroup.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "attachment.h"
#include "compat.h"
#include "disk.h"
#include "serving.h"

#define QUEUE_DEPTH 128
#define MAX_TRANSFER SZ_1M
/* for compressed data, so that all processors get a part */
#define MAX_CODED SZ_256K
#define MIN_READAHEAD SZ_1M
#define LOG_READAHEAD SZ_2M /* workers are busy while the reader uses a part */
#define READAHEAD_CLUSTERS 4
#define MAX_FETCH SZ_4M /* more than any stream asks for at once */
#define MAX_INLINE SZ_16K /* largest copy in the submitter's context */
/* the COW's page: shorter writes cost a read */
#define PHYSICAL_BLOCK CW_PAGE_SIZE
#define WRITING (BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA)

struct request_work {
	struct work_struct work;
};

/* A way to move the data of (a part of) a request. */
struct transfer {
	struct cw_device *engine;
	bool write;
	u64 off; /* on the device */
};

static int move(const struct transfer *t, u64 skip, u32 len, void *buf)
{
	if (t->write)
		return cw_device_write(t->engine, t->off + skip, len, buf);
	return cw_device_read(t->engine, t->off + skip, len, buf);
}

/* ---- the pages of a request as one range of addresses ---- */

/*
 * The queue's virt_boundary ensures that the pages of a request have no gaps.
 * Pages that also follow each other in the direct map are that range.
 */
static void *direct_range(struct request *rq)
{
	void *start = NULL, *end = NULL;
	struct req_iterator iter;
	struct bio_vec bv;

	rq_for_each_bvec(bv, rq, iter) {
		void *at = bvec_virt(&bv);

		if (!start)
			start = at;
		else if (at != end)
			return NULL;
		end = at + bv.bv_len;
	}
	return start;
}

/*
 * Otherwise the driver maps the pages. Adds the pages of a piece to the n pages
 * before it. The piece must begin at *end, or both *end and the piece at the
 * start of a page. Returns the new number; 0: the piece does not fit.
 */
static unsigned int add_piece(struct page **page, unsigned int n,
			      unsigned int max, u8 **end, struct bio_vec *bv)
{
	u8 *at = bvec_virt(bv);

	if (n && at == *end)
		at = PTR_ALIGN(at, PAGE_SIZE); /* the page is there already */
	else if (n && (offset_in_page(at) || offset_in_page(*end)))
		return 0;
	*end = (u8 *)bvec_virt(bv) + bv->bv_len;
	for (at -= offset_in_page(at); at < *end; at += PAGE_SIZE) {
		if (n == max)
			return 0;
		page[n++] = virt_to_page(at);
	}
	return n;
}

/* Returns the number of pages; 0: they do not fit to each other. */
static unsigned int collect_pages(struct request *rq, struct page **page,
				  unsigned int max)
{
	struct req_iterator iter;
	struct bio_vec bv;
	unsigned int n = 0;
	u8 *end = NULL;

	rq_for_each_bvec(bv, rq, iter) {
		n = add_piece(page, n, max, &end, &bv);
		if (!n)
			return 0;
	}
	return n;
}

/* Returns the start of the data, or NULL. */
static void *map_range(struct request *rq, unsigned int *pages)
{
	/* It may begin inside a page. */
	unsigned int max = blk_rq_bytes(rq) / PAGE_SIZE + 2;
	struct bio_vec first = req_bvec(rq);
	struct page **page;
	void *map = NULL;

	/* There is another way, so nothing is reclaimed for this. */
	page = kmalloc_array(max, sizeof(*page),
			     GFP_NOWAIT | __GFP_NORETRY | __GFP_NOWARN);
	if (!page)
		return NULL;
	*pages = collect_pages(rq, page, max);
	if (*pages)
		map = vm_map_ram(page, *pages, NUMA_NO_NODE);
	kfree(page);
	return map ? map + offset_in_page(bvec_virt(&first)) : NULL;
}

static int transfer_mapped(const struct transfer *t, u32 len, void *buf)
{
	int err;

	if (t->write)
		invalidate_kernel_vmap_range(buf, len);
	err = move(t, 0, len, buf);
	if (!t->write)
		flush_kernel_vmap_range(buf, len);
	return err;
}

/* Without memory for a mapping: piece by piece. */
static int transfer_pieces(const struct transfer *t, struct request *rq)
{
	struct req_iterator iter;
	struct bio_vec bv;
	u64 skip = 0;

	rq_for_each_bvec(bv, rq, iter) {
		int err = move(t, skip, bv.bv_len, bvec_virt(&bv));

		if (err)
			return err;
		skip += bv.bv_len;
	}
	return 0;
}

/* For processors whose caches hold one page under several addresses. */
static void flush_pages(struct request *rq)
{
	struct req_iterator iter;
	struct bio_vec bv;

	rq_for_each_segment(bv, rq, iter)
		flush_dcache_page(bv.bv_page);
}

static int transfer(struct cw_device *engine, struct request *rq)
{
	struct transfer t = {
		.engine = engine,
		.write = req_op(rq) == REQ_OP_WRITE,
		.off = (u64)blk_rq_pos(rq) << SECTOR_SHIFT,
	};
	u32 len = blk_rq_bytes(rq);
	unsigned int pages;
	void *range;
	int err;

	if (t.write)
		flush_pages(rq);
	range = direct_range(rq);
	if (range) {
		err = move(&t, 0, len, range);
	} else {
		range = map_range(rq, &pages);
		if (range) {
			err = transfer_mapped(&t, len, range);
			vm_unmap_ram(range - offset_in_page(range), pages);
		} else {
			err = transfer_pieces(&t, rq);
		}
	}
	if (!t.write)
		flush_pages(rq);
	return err;
}

/* ---- short ways, which need no mapping ---- */

/*
 * Data that lies uncompressed in a file goes straight to the request's pages.
 */
static bool read_plain(struct cw_device *engine, struct request *rq)
{
	u64 off = (u64)blk_rq_pos(rq) << SECTOR_SHIFT;
	struct cw_io *io;
	u64 pos;

	io = cw_device_locate(engine, off, blk_rq_bytes(rq), &pos);
	if (!io || cloopw_backing_move_request(io, pos, rq))
		return false;
	flush_pages(rq);
	return true;
}

/* Data that goes uncompressed to a file comes straight from them. */
static bool write_plain(struct cw_device *engine, struct request *rq)
{
	u64 off = (u64)blk_rq_pos(rq) << SECTOR_SHIFT;
	struct cw_io *io;
	u64 pos;

	io = cw_device_place(engine, off, blk_rq_bytes(rq), &pos);
	if (!io)
		return false;
	flush_pages(rq);
	if (cloopw_backing_move_request(io, pos, rq))
		return false;
	cw_device_placed(engine, off, blk_rq_bytes(rq));
	return true;
}

/* Does not sleep: queue_rq() calls it. */
static bool read_cached(struct cw_device *engine, struct request *rq)
{
	u64 off = (u64)blk_rq_pos(rq) << SECTOR_SHIFT;
	struct req_iterator iter;
	struct bio_vec bv;

	if (req_op(rq) != REQ_OP_READ || blk_rq_bytes(rq) > MAX_INLINE)
		return false;
	rq_for_each_bvec(bv, rq, iter) {
		if (cw_device_read_cached(engine, off, bv.bv_len,
					  bvec_virt(&bv)))
			return false;
		off += bv.bv_len;
	}
	flush_pages(rq);
	return true;
}

/* ---- serving requests ---- */

static int serve(struct cw_device *engine, struct request *rq)
{
	u64 off = (u64)blk_rq_pos(rq) << SECTOR_SHIFT;
	int err;

	switch (req_op(rq)) {
	case REQ_OP_READ:
		/* The usual way finds, counts and reports errors. */
		return read_plain(engine, rq) ? 0 : transfer(engine, rq);
	case REQ_OP_WRITE:
		err = write_plain(engine, rq) ? 0 : transfer(engine, rq);
		break;
	case REQ_OP_WRITE_ZEROES:
		err = cw_device_zero(engine, off, blk_rq_bytes(rq));
		break;
	case REQ_OP_DISCARD:
		return cw_device_discard(engine, off, blk_rq_bytes(rq));
	case REQ_OP_FLUSH:
		return cw_device_flush(engine);
	default:
		return -EOPNOTSUPP;
	}
	if (!err && (rq->cmd_flags & REQ_FUA))
		err = cw_device_flush(engine);
	return err;
}

/*
 * Does the read go on a stream? Read-ahead asks for several reads at once, and
 * each begins where the one before ended. Linux 6.1 issues plugged reads from
 * the end, so each ends where the one before began. Takes note of the read.
 */
static bool goes_on(struct cloopw_attachment *att, struct request *rq)
{
	u64 start = blk_rq_pos(rq);
	u64 end = start + blk_rq_sectors(rq);

	if (start == READ_ONCE(att->stream_end)) {
		WRITE_ONCE(att->stream_end, end);
		return true;
	}
	if (end != READ_ONCE(att->stream_start)) {
		WRITE_ONCE(att->fetched_start, end);
		WRITE_ONCE(att->fetched_end, start);
		WRITE_ONCE(att->stream_end, end);
	}
	WRITE_ONCE(att->stream_start, start);
	return false;
}

static void fetch(struct cloopw_attachment *att, u64 start, u64 end)
{
	if (start < end && end - start <= MAX_FETCH >> SECTOR_SHIFT)
		cw_device_will_read(att->engine, start << SECTOR_SHIFT,
				    (end - start) << SECTOR_SHIFT);
}

/*
 * Alone, each worker would have the file fetch a few KiB. So the first worker
 * has everything fetched that the stream asked for by now. A read without a
 * stream fetches nothing in advance.
 */
static void fetch_stream(struct cloopw_attachment *att, struct request *rq)
{
	u64 stream_start = READ_ONCE(att->stream_start);
	u64 stream_end = READ_ONCE(att->stream_end);
	u64 start = blk_rq_pos(rq);
	u64 end = start + blk_rq_sectors(rq);

	if (!att->info.cluster || start < stream_start || end > stream_end)
		return;
	if (end < stream_end) {
		start = max(start, READ_ONCE(att->fetched_end));
		WRITE_ONCE(att->fetched_end, stream_end);
		fetch(att, start, stream_end);
	} else if (start > stream_start) {
		end = min(end, READ_ONCE(att->fetched_start));
		WRITE_ONCE(att->fetched_start, stream_start);
		fetch(att, stream_start, end);
	}
}

/*
 * The cgroup of a read pays for the I/O below and for the page cache that it
 * fills. Writes are not charged to their cgroup. A record holds data of several
 * cgroups. A worker that waits for the limits of one would wait with locks that
 * all need.
 */
#if defined(CONFIG_BLK_CGROUP) && defined(CONFIG_MEMCG)

struct charge {
	struct cgroup_subsys_state *memory; /* NULL: nobody in particular */
	struct mem_cgroup *before;
};

static struct charge charge_begin(struct request *rq)
{
	struct cgroup_subsys_state *io;
	struct charge charge = {};

	if (req_op(rq) != REQ_OP_READ || !rq->bio)
		return charge;
	io = bio_blkcg_css(rq->bio);
	if (!io || io == blkcg_root_css)
		return charge;
	kthread_associate_blkcg(io);
	charge.memory = cgroup_get_e_css(io->cgroup, &memory_cgrp_subsys);
	charge.before =
		set_active_memcg(mem_cgroup_from_css(charge.memory));
	return charge;
}

static void charge_end(const struct charge *charge)
{
	if (!charge->memory)
		return;
	set_active_memcg(charge->before);
	css_put(charge->memory);
	kthread_associate_blkcg(NULL);
}

#else

struct charge {
};

static struct charge charge_begin(struct request *rq)
{
	return (struct charge){};
}

static void charge_end(const struct charge *charge)
{
}

#endif

static void serve_work(struct work_struct *work)
{
	struct request_work *rw = container_of(work, struct request_work, work);
	struct request *rq = blk_mq_rq_from_pdu(rw);
	struct cloopw_disk *disk = rq->q->queuedata;
	unsigned int serving = cloopw_serving_begin();
	struct charge charge = charge_begin(rq);
	int err;

	if (req_op(rq) == REQ_OP_READ)
		fetch_stream(disk->attachment, rq);
	err = serve(disk->attachment->engine, rq);
	charge_end(&charge);
	cloopw_serving_end(serving);
	atomic_dec(&disk->attachment->busy);
	blk_mq_end_request(rq, errno_to_blk_status(err));
}

/*
 * Does the range lie uncompressed in one file? Several workers that read such a
 * stream in turn look like random reads to the file's read-ahead.
 */
static bool is_in_file(struct cloopw_attachment *att, struct request *rq)
{
	u64 pos;

	return cw_device_locate(att->engine,
				(u64)blk_rq_pos(rq) << SECTOR_SHIFT,
				blk_rq_bytes(rq), &pos);
}

/*
 * Can the writer serve it? A FUA write flushes, and would keep others waiting.
 */
static bool is_plain(struct cloopw_attachment *att, struct request *rq)
{
	return !(rq->cmd_flags & REQ_FUA) &&
	       cw_device_writes_plain(att->engine,
				      (u64)blk_rq_pos(rq) << SECTOR_SHIFT,
				      blk_rq_bytes(rq));
}

static struct workqueue_struct *queue_of(struct cloopw_attachment *att,
					 struct request *rq)
{
	bool stream = req_op(rq) == REQ_OP_READ && goes_on(att, rq);

	if (atomic_inc_return(&att->busy) == 1 &&
	    blk_rq_bytes(rq) <= MAX_INLINE)
		return att->local;
	if (req_op(rq) == REQ_OP_WRITE && att->writer && is_plain(att, rq))
		return att->writer;
	if (stream && att->streamer && is_in_file(att, rq))
		return att->streamer;
	return att->workers;
}

static blk_status_t queue_rq(struct blk_mq_hw_ctx *hctx,
			     const struct blk_mq_queue_data *bd)
{
	struct request_work *rw = blk_mq_rq_to_pdu(bd->rq);
	struct cloopw_disk *disk = bd->rq->q->queuedata;

	blk_mq_start_request(bd->rq);
	if (!disk->attachment)
		return BLK_STS_IOERR;
	if (read_cached(disk->attachment->engine, bd->rq)) {
		blk_mq_end_request(bd->rq, BLK_STS_OK);
		return BLK_STS_OK;
	}
	queue_work(queue_of(disk->attachment, bd->rq), &rw->work);
	return BLK_STS_OK;
}

static int init_request(struct blk_mq_tag_set *set, struct request *rq,
			unsigned int hctx_idx, int numa_node)
{
	struct request_work *rw = blk_mq_rq_to_pdu(rq);

	INIT_WORK(&rw->work, serve_work);
	return 0;
}

static const struct blk_mq_ops queue_ops = {
	.queue_rq = queue_rq,
	.init_request = init_request,
};

/* ---- the queue ---- */

int cloopw_queue_init(struct cloopw_disk *disk)
{
	disk->tags.ops = &queue_ops;
	disk->tags.nr_hw_queues = 1;
	disk->tags.queue_depth = QUEUE_DEPTH;
	disk->tags.numa_node = NUMA_NO_NODE;
	disk->tags.cmd_size = sizeof(struct request_work);
	disk->tags.flags = BLK_MQ_F_STACKING | BLK_MQ_F_NO_SCHED_BY_DEFAULT;
	return blk_mq_alloc_tag_set(&disk->tags);
}

void cloopw_queue_exit(struct cloopw_disk *disk)
{
	blk_mq_free_tag_set(&disk->tags);
}

/* Bytes that are read ahead: some clusters, or what a log stores together. */
static u64 readahead_of(const struct cw_device_info *info)
{
	return max_t(u64, info->extent ? LOG_READAHEAD : MIN_READAHEAD,
		     (u64)info->cluster * READAHEAD_CLUSTERS);
}

/*
 * Pages may change while they are written, as for loop. A write to a file
 * copies them to the page cache, and a log compresses a copy. So no checksum is
 * of older content.
 *
 * Reads are split at clusters, so that a processor of its own decompresses
 * each. Read-ahead asks for several at once. io_min stays the COW's page,
 * because file systems pad their logs to it.
 */
int cloopw_queue_set_limits(struct cloopw_disk *disk,
			    const struct cloopw_attachment *att,
			    struct queue_limits *lim)
{
	const struct cw_device_info *info = &att->info;
	const u32 max_change = round_down(UINT_MAX, PHYSICAL_BLOCK);
	const u32 cluster = info->cluster;
	const bool split = cluster > PHYSICAL_BLOCK && is_power_of_2(cluster);
	int err;

	lim->logical_block_size = SECTOR_SIZE;
	lim->physical_block_size = PHYSICAL_BLOCK;
	lim->io_min = PHYSICAL_BLOCK;
	lim->io_opt = split ? cluster : 0;
	lim->chunk_sectors = split ? cluster >> SECTOR_SHIFT : 0;
	lim->max_hw_sectors = (cluster || info->extent ? MAX_CODED :
							 MAX_TRANSFER) >>
			      SECTOR_SHIFT;
	/* A page each; the first and the last may be partial. */
	lim->max_segments = MAX_TRANSFER / PAGE_SIZE + 1;
	lim->virt_boundary_mask = PAGE_SIZE - 1;
	lim->max_segment_size = UINT_MAX;
	lim->discard_granularity = PHYSICAL_BLOCK;
	lim->max_hw_discard_sectors =
		info->can_discard ? max_change >> SECTOR_SHIFT : 0;
	lim->max_write_zeroes_sectors =
		info->can_zero ? max_change >> SECTOR_SHIFT : 0;
	lim->features &= ~(BLK_FEAT_ROTATIONAL | WRITING);
	if (info->writable)
		lim->features |= WRITING;
	err = queue_limits_commit_update(disk->gd->queue, lim);
	if (!err)
		disk->gd->bdi->ra_pages = readahead_of(info) >> PAGE_SHIFT;
	return err;
}
