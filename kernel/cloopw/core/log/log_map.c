// SPDX-License-Identifier: GPL-2.0
/*
 * Map pages in memory: the place of each page of the device. The log evicts
 * clean pages without users when there are too many. Dirty ones stay until a
 * checkpoint.
 */
#include "log.h"

static struct log_page **bucket_of(struct cw_log *log, u32 n)
{
	return &log->hash[n & ((1u << LOG_HASH_BITS) - 1)];
}

static struct log_page *find(struct cw_log *log, u32 n)
{
	struct log_page *page = *bucket_of(log, n);

	while (page && page->n != n)
		page = page->hash_next;
	return page;
}

static void lru_add(struct cw_log *log, struct log_page *page)
{
	page->lru_next = &log->lru;
	page->lru_prev = log->lru.lru_prev;
	page->lru_prev->lru_next = page;
	log->lru.lru_prev = page;
}

static void lru_del(struct log_page *page)
{
	page->lru_prev->lru_next = page->lru_next;
	page->lru_next->lru_prev = page->lru_prev;
}

static void insert(struct cw_log *log, struct log_page *page)
{
	struct log_page **bucket = bucket_of(log, page->n);

	page->hash_next = *bucket;
	*bucket = page;
	log->cached_pages++;
}

static void remove_page(struct cw_log *log, struct log_page *page)
{
	struct log_page **link = bucket_of(log, page->n);

	while (*link != page)
		link = &(*link)->hash_next;
	*link = page->hash_next;
	lru_del(page);
	log->cached_pages--;
}

/* Takes the oldest clean page without users out of the cache, or NULL. */
static struct log_page *evict(struct cw_log *log)
{
	struct log_page *page = log->lru.lru_next;

	while (page != &log->lru && (page->dirty || page->saving))
		page = page->lru_next;
	if (page == &log->lru)
		return NULL;
	remove_page(log, page);
	return page;
}

static void pin(struct log_page *page)
{
	if (!page->pins++)
		lru_del(page);
}

static bool may_grow(struct cw_log *log)
{
	bool may;

	cw_mutex_lock(&log->lock);
	may = log->cached_pages < LOG_CACHED_MAX;
	cw_mutex_unlock(&log->lock);
	return may;
}

/* Memory for a page: a new one below the limit, or else an evicted one. */
static struct log_page *new_page(struct cw_log *log)
{
	struct log_page *page = NULL;

	if (may_grow(log))
		page = cw_try_alloc(sizeof(*page));
	if (page)
		return page;
	cw_mutex_lock(&log->lock);
	page = evict(log);
	cw_mutex_unlock(&log->lock);
	/* Pages in use and dirty pages are bounded, and so is this. */
	return page ? page : cw_need_alloc(sizeof(*page));
}

int cw_log_meta_read(struct cw_log *log, u64 word, enum cw_log_meta kind,
		     u64 number, u64 *out)
{
	struct cw_workspace *ws = cw_workspace_get(&log->meta_workspaces);
	struct log_record record;
	struct log_entry entry;
	u32 len;
	int err = -EIO;

	cw_log_entry_decode(word, &entry);
	len = entry.sectors * CW_SECTOR_SIZE;
	if (entry.state != CW_LOG_DATA || len > LOG_RECORD_ROOM)
		goto put;
	err = cw_pread(log->io, ws->stored, len,
		       cw_log_sector_offset(entry.sector));
	if (!err)
		err = cw_log_record_decode(ws->stored, len, &record);
	if (err)
		goto put;
	err = -EIO;
	if (record.type == CW_LOG_META && record.from == kind &&
	    record.page == number && record.sectors == entry.sectors)
		err = cw_log_meta_decode(&log->meta_workspaces, ws, ws->stored,
					 &record, out);
put:
	cw_workspace_put(&log->meta_workspaces, ws);
	if (err)
		cw_log_bad("%s: a page of the map at sector %llu is damaged",
			   log->io->name, entry.sector);
	return err;
}

/*
 * Reads a map page that is not in memory. Its segment is pinned meanwhile, so
 * that nothing reuses the place. put_in() checks that the page is still there.
 */
static int load(struct cw_log *log, u32 n, u64 word, struct log_page *page)
{
	int err;

	memset(page, 0, sizeof(*page));
	page->n = n;
	if (!word)
		return 0;
	err = cw_log_meta_read(log, word, CW_LOG_META_MAP, n, page->entry);
	cw_mutex_lock(&log->lock);
	cw_log_unpin(log, cw_log_home(word));
	cw_mutex_unlock(&log->lock);
	return err;
}

/* With lock held: the page when it is in memory, else where to read it. */
static struct log_page *look_up(struct cw_log *log, u32 n, u64 *word)
{
	struct log_page *page = find(log, n);

	*word = log->map_at[n];
	if (page)
		pin(page);
	return page;
}

/*
 * An entry of a sound map leads to a segment of data. If the file calls that
 * segment free or the map's, the log would overwrite it under a reader.
 */
static void distrust_liars(struct cw_log *log, const struct log_page *page)
{
	struct log_segment *segment;
	struct log_entry entry;
	u32 i;

	for (i = 0; i < CW_LOG_FANOUT; i++) {
		cw_log_entry_decode(page->entry[i], &entry);
		if (entry.state != CW_LOG_DATA)
			continue;
		segment = cw_log_segment_at(log, entry.sector);
		if (segment && segment->state != SEGMENT_DATA)
			cw_log_segment_distrust(log, cw_log_segment_of(entry.sector));
	}
}

/* With lock held: puts a page in, unless the map has changed meanwhile. */
static bool put_in(struct cw_log *log, struct log_page *page, u64 word)
{
	if (find(log, page->n) || log->map_at[page->n] != word)
		return false;
	distrust_liars(log, page);
	page->pins = 1;
	insert(log, page);
	return true;
}

int cw_log_map_get(struct cw_log *log, u32 n, bool create,
		   struct log_page **out)
{
	struct log_page *page, *fresh;
	u64 word;
	bool in;
	int err;

	for (;;) {
		cw_mutex_lock(&log->lock);
		page = look_up(log, n, &word);
		cw_mutex_unlock(&log->lock);
		*out = page;
		if (page || (!word && !create))
			return 0;
		fresh = new_page(log);
		if (!fresh)
			return -ENOMEM;
		cw_mutex_lock(&log->lock);
		word = log->map_at[n];
		if (word)
			cw_log_pin(log, cw_log_home(word));
		cw_mutex_unlock(&log->lock);
		err = load(log, n, word, fresh);
		in = false;
		if (!err) {
			cw_mutex_lock(&log->lock);
			in = put_in(log, fresh, word);
			cw_mutex_unlock(&log->lock);
		}
		*out = fresh;
		if (in)
			return 0;
		cw_free(fresh);
		*out = NULL;
		if (err)
			return err;
	}
}

bool cw_log_map_absent(struct cw_log *log, u64 first, u64 end)
{
	struct log_page *page;
	u64 i;

	if (!cw_mutex_trylock(&log->lock))
		return false;
	for (i = first; i < end; i++) {
		page = find(log, cw_log_map_page_of(i));
		if (page ? page->entry[i % CW_LOG_FANOUT] != 0 :
			   log->map_at[cw_log_map_page_of(i)] != 0)
			break;
	}
	cw_mutex_unlock(&log->lock);
	return i == end;
}

void cw_log_map_put(struct cw_log *log, struct log_page *page)
{
	if (!page)
		return;
	cw_mutex_lock(&log->lock);
	if (!--page->pins)
		lru_add(log, page);
	cw_mutex_unlock(&log->lock);
}

void cw_log_put_map_pages(struct cw_log *log, struct log_append *append)
{
	cw_log_map_put(log, append->map[0]);
	cw_log_map_put(log, append->map[1]);
	append->map[0] = NULL;
	append->map[1] = NULL;
}

int cw_log_get_map_pages(struct cw_log *log, struct log_append *append,
			 bool create)
{
	u64 page = append->record.page;
	u32 first = cw_log_map_page_of(page);
	u32 last = cw_log_map_page_of(page + append->record.pages - 1);
	int err;

	append->map[0] = NULL;
	append->map[1] = NULL;
	err = cw_log_map_get(log, first, create, &append->map[0]);
	if (!err && last != first)
		err = cw_log_map_get(log, last, create, &append->map[1]);
	if (err)
		cw_log_put_map_pages(log, append);
	return err;
}

void cw_log_map_dirty(struct cw_log *log, struct log_page *page)
{
	if (!page->dirty && !page->saving)
		log->dirty_pages++;
	page->dirty = true;
}

/* A page in memory stays for its users, and is empty. */
void cw_log_map_clear(struct cw_log *log)
{
	struct log_page *page;
	u32 i;

	for (i = 0; i < 1u << LOG_HASH_BITS; i++) {
		for (page = log->hash[i]; page; page = page->hash_next) {
			memset(page->entry, 0, sizeof(page->entry));
			page->dirty = false;
			page->saving = false;
		}
	}
	log->dirty_pages = 0;
	memset(log->map_at, 0, log->map_pages * sizeof(*log->map_at));
	memset(log->map_dir_at, 0, log->map_dirs * sizeof(*log->map_dir_at));
	memset(log->map_dir_changed, 0,
	       log->map_dirs * sizeof(*log->map_dir_changed));
}

/* ---- the length of the map ---- */

/* Longer tables, and what they replace. */
struct tables {
	u64 *at;
	u64 *dir_at;
	bool *dir_changed;
};

static void free_tables(struct tables *tables)
{
	cw_free(tables->at);
	cw_free(tables->dir_at);
	cw_free(tables->dir_changed);
}

static int allocate_tables(struct tables *tables, u32 pages, u32 dirs)
{
	tables->at = cw_alloc(pages * sizeof(*tables->at));
	tables->dir_at = cw_alloc(dirs * sizeof(*tables->dir_at));
	tables->dir_changed = cw_alloc(dirs * sizeof(*tables->dir_changed));
	if (tables->at && tables->dir_at && tables->dir_changed)
		return 0;
	free_tables(tables);
	return -ENOMEM;
}

/* With maint and lock held. */
static void exchange_tables(struct cw_log *log, struct tables *tables)
{
	struct tables old = {
		.at = log->map_at,
		.dir_at = log->map_dir_at,
		.dir_changed = log->map_dir_changed,
	};

	if (log->map_room) {
		memcpy(tables->at, old.at, log->map_pages * sizeof(*old.at));
		memcpy(tables->dir_at, old.dir_at,
		       log->map_dirs * sizeof(*old.dir_at));
		memcpy(tables->dir_changed, old.dir_changed,
		       log->map_dirs * sizeof(*old.dir_changed));
	}
	log->map_at = tables->at;
	log->map_dir_at = tables->dir_at;
	log->map_dir_changed = tables->dir_changed;
	*tables = old;
}

int cw_log_map_resize(struct cw_log *log, u64 size)
{
	u64 pages = cw_div_up(size, CW_PAGE_SIZE);
	u32 map_pages = cw_div_up(pages, CW_LOG_FANOUT);
	u32 map_dirs = cw_div_up(map_pages, CW_LOG_FANOUT);
	bool longer = map_pages > log->map_room;
	struct tables tables = {};

	if (longer && allocate_tables(&tables, map_pages, map_dirs))
		return -ENOMEM;
	cw_mutex_lock(&log->lock);
	if (longer) {
		exchange_tables(log, &tables);
		log->map_room = map_pages;
	}
	log->pages = pages;
	log->map_pages = map_pages;
	log->map_dirs = map_dirs;
	cw_mutex_unlock(&log->lock);
	free_tables(&tables);
	return 0;
}

void cw_log_map_destroy(struct cw_log *log)
{
	struct log_page *page, *next;
	u32 i;

	for (i = 0; i < 1u << LOG_HASH_BITS; i++) {
		for (page = log->hash[i]; page; page = next) {
			next = page->hash_next;
			cw_free(page);
		}
	}
}
