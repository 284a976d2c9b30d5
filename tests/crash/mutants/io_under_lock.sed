# Zeros are written with the lock held that all readers need.
/^static void zero_ahead/,/^}/{
s/^\tbegin_preparing(log);$/\tlog->preparing = true;/
s/^\tend_preparing(log);$/\tlog->preparing = false;/
}
