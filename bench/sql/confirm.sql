\set n :n + 1
\set place :client_id + (:n - 1) * :clients
UPDATE petition_signature SET confirmed_at = date_trunc('hour', now(), 'UTC'), held_at = NULL, held_reason = '' WHERE confirmed_at IS NULL AND id = (SELECT id FROM bench_pending WHERE place = :place);
