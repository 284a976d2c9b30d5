# A checkpoint goes on in the block in which pages of the last one end.
/^static u32 next_meta_block/,/^}/s/cw_round_up(log->meta_sector, log->block)/log->meta_sector/
