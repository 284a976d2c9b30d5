# A free segment that turns out to be bad is still counted as free.
/^void cw_log_segment_distrust/,/^}/s/^\t\tlog->nr_free--;/\t\t(void)0;/
