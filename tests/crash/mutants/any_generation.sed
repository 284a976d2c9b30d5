# Rolling forward takes records of any generation.
/^static int next_record/,/^}/s/record->gen != roll->gen || //
