# Zeros ahead of a record may reach back over the one before it.
/^static void zero_ahead/,/^}/s/cw_max(round_to_page(end, false), log->sector)/round_to_page(end, false)/
