-- What the commands of telling ask. Parameters are PostgreSQL's own.

-- name: episodes
-- Episodes, the newest first: of one site ($1) or of all, only the open ones ($2) or all, $3 of them at most.
SELECT device_id, site_id, silent_from, opened_at, closed_at, returned_at, is_flapping,
       coalesce(closed_at, now()) - opened_at AS lasted,
       CASE WHEN told_open OR told_flapping THEN 'yes' WHEN closed_at IS NULL THEN 'not yet' ELSE 'no' END AS told
  FROM episode
 WHERE ($1::text IS NULL OR site_id = $1) AND (NOT $2::boolean OR closed_at IS NULL)
 ORDER BY opened_at DESC, device_id COLLATE "C"
 LIMIT $3

-- name: messages
-- Messages, the newest first: of one site ($1) or of all, only those that no channel has ($2) or all, $3 at most.
SELECT id, created_at, kind, scope, site_id, body ->> 'text' AS text, delivered_to, attempts, body
  FROM silence_message
 WHERE ($1::text IS NULL OR site_id = $1) AND (NOT $2::boolean OR delivered_to = '{}')
 ORDER BY id DESC
 LIMIT $3

-- name: newest_message
-- The newest message's id, so that those that come after it are known.
SELECT coalesce(max(id), 0) AS id FROM silence_message

-- name: messages_since
-- The messages that were written after $1, the oldest first.
SELECT id, created_at, kind, body ->> 'text' AS text FROM silence_message WHERE id > $1 ORDER BY id

-- name: sweep
-- Sweep now.
SELECT * FROM sweep(NULL, $1::text)
