# A record is acknowledged before those that come before it are written.
/^static void retire/,/^}/{
s/^\twhile (log->first && log->first->written) {$/\tstruct log_append **link = \&log->first;\n\n\tlog->last = NULL;\n\twhile (*link) {\n\t\tif (!(*link)->written) {\n\t\t\tlog->last = *link;\n\t\t\tlink = \&(*link)->next;\n\t\t\tcontinue;\n\t\t}/
s/^\t\tappend = log->first;$/\t\tappend = *link;/
s/^\t\tlog->first = append->next;$/\t\t*link = append->next;/
/^\t\tif (!log->first)$/d
/^\t\t\tlog->last = NULL;$/d
}
