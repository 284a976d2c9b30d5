# The next record begins in the block of the medium in which flushed ones end.
/^void cw_log_finish_block/,/^}/s/used = log->sector % log->block;/used = 0;/
