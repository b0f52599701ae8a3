INSERT INTO bench_insert (note) VALUES ('one small row, committed to disk before the next');
