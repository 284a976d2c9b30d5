// SPDX-License-Identifier: GPL-2.0
#include "stack.h"

#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/string.h>

#define MAX_DEPTH 16 /* devices of the driver over each other */

static int look_at_file(struct file *file, void *arg);

static enum cloopw_stack_verdict decide(struct cloopw_stack *stack,
					const char *where,
					enum cloopw_stack_verdict verdict)
{
	strscpy(stack->where, where, sizeof(stack->where));
	return verdict;
}

/* Hardware has a parent. A disk made of other disks or of files has none. */
static enum cloopw_stack_verdict look_at_disk(struct cloopw_stack *stack,
					      struct gendisk *gd)
{
	enum cloopw_stack_verdict verdict;

	if (gd == stack->disk)
		return decide(stack, gd->disk_name, CLOOPW_STACK_ON_DISK);
	if (stack->is_ours(gd) && stack->depth < MAX_DEPTH) {
		stack->depth++;
		verdict = stack->visit(gd, look_at_file, stack);
		stack->depth--;
		return verdict;
	}
	if (gd->major == RAMDISK_MAJOR || disk_to_dev(gd)->parent)
		return CLOOPW_STACK_ELSEWHERE;
	return decide(stack, gd->disk_name, CLOOPW_STACK_UNKNOWN);
}

static bool is_in_memory(const struct super_block *sb)
{
	return sb->s_magic == TMPFS_MAGIC || sb->s_magic == RAMFS_MAGIC ||
	       sb->s_magic == HUGETLBFS_MAGIC;
}

static int look_at_file(struct file *file, void *arg)
{
	struct inode *inode = file->f_mapping->host;
	struct cloopw_stack *stack = arg;
	struct super_block *sb;

	if (S_ISBLK(inode->i_mode))
		return look_at_disk(stack, I_BDEV(inode)->bd_disk);
	/* In overlayfs, take the file below. */
	sb = d_real_inode(file->f_path.dentry)->i_sb;
	if (sb->s_bdev)
		return look_at_disk(stack, sb->s_bdev->bd_disk);
	if (is_in_memory(sb))
		return CLOOPW_STACK_ELSEWHERE;
	return decide(stack, sb->s_type->name, CLOOPW_STACK_UNKNOWN);
}

enum cloopw_stack_verdict cloopw_stack_look(struct cloopw_stack *stack,
					    struct file *file)
{
	return look_at_file(file, stack);
}
