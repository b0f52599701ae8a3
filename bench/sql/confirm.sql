\set n :n + 1
\set id :first + :client_id + (:n - 1) * :clients
UPDATE petition_signature SET confirmed_at = date_trunc('hour', now(), 'UTC'), held_at = NULL, held_reason = '' WHERE confirmed_at IS NULL AND id = :id;
