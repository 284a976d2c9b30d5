# A checkpoint goes on in the block in which pages of the last one end.
s/^\t\tlog->meta_sector = cw_log_next_meta_block(log);$/\t\t(void)log->meta_sector;/
