-- What the commands ask of the ledger of silence. Parameters are PostgreSQL's own: $1, $2, ...
-- Hours where one would say days: a day of an interval is as long as the session's time zone says.

-- name: near_devices
-- Devices whose names begin as $1 does: with all of it first, then those of a like length.
SELECT device_id AS name
  FROM device_state
 WHERE starts_with(lower(device_id), lower(left($1::text, greatest(length($1) / 2, 1))))
 ORDER BY starts_with(lower(device_id), lower($1)) DESC, abs(length(device_id) - length($1)), device_id
 LIMIT 1000

-- name: near_sites
-- Likewise for sites.
SELECT site_id AS name
  FROM device_state
 WHERE starts_with(lower(site_id), lower(left($1::text, greatest(length($1) / 2, 1))))
 GROUP BY site_id
 ORDER BY starts_with(lower(site_id), lower($1)) DESC, abs(length(site_id) - length($1)), site_id
 LIMIT 1000

-- name: is_known_device
-- Whether a heartbeat of device $1 is stored.
SELECT EXISTS (SELECT 1 FROM device_state WHERE device_id = $1) AS is_known

-- name: is_known_site
-- Whether a heartbeat from site $1 is stored.
SELECT EXISTS (SELECT 1 FROM device_state WHERE site_id = $1) AS is_known

-- name: stored_devices
-- Those of the devices $1 that are stored, where they are, and when they were seen last.
SELECT device_id, site_id, last_seen_ts FROM device_state WHERE device_id = ANY ($1::text[])

-- name: silences_since
-- The silences that began after $1.
SELECT device_id, silent_from, silent_to FROM v_silences WHERE silent_from > $1

-- name: silences_of_gone_device
-- How often device $1 was silent.
SELECT count(*) AS silences FROM silence WHERE device_id = $1

-- name: view_is_original
-- Whether v_devices_stale is as it was made: two minutes, and no rules.
SELECT coalesce(pg_get_viewdef(to_regclass('v_devices_stale')) LIKE '% device_state%00:02:00%', false) AS is_original

-- name: count_silences
-- How many they are.
SELECT count(*) AS total FROM ({silences}) AS silence

-- name: ledger_start
-- When the ledger was made; null where nobody knows.
SELECT (SELECT started_at FROM ledger_start) AS started_at

-- name: availability_of_devices
-- The availability of every device, or of site $3 alone, from $1 to $2, the worst first and $4 of them at most.
SELECT device_id, site_id, availability, silences, longest, mean_time_to_return, silent, observed,
       count(*) OVER () AS total
  FROM device_availability($1, $2)
 WHERE $3::text IS NULL OR site_id = $3
 ORDER BY availability NULLS LAST, silent DESC, device_id
 LIMIT $4

-- name: rules
-- Every rule about stale_after, those that hold for more devices first.
SELECT scope, subject, make_interval(secs => extract(epoch FROM stale_after)::float8) AS stale_after
  FROM (SELECT scope, subject, stale_after FROM liveness_policy
         UNION ALL
        SELECT 'default', '', '120 seconds'
         WHERE NOT EXISTS (SELECT FROM liveness_policy WHERE scope = 'fleet')) AS rule
 ORDER BY array_position(ARRAY['default', 'fleet', 'site', 'device'], scope), subject

-- name: set_rule
-- Sets stale_after of scope $1 and subject $2 to $3 seconds.
INSERT INTO liveness_policy (scope, subject, stale_after)
VALUES ($1, $2, make_interval(secs => $3::float8))
    ON CONFLICT (scope, subject) DO UPDATE SET stale_after = excluded.stale_after
RETURNING scope, subject, stale_after

-- name: clear_rule
-- Takes the rule of scope $1 and subject $2 away.
DELETE FROM liveness_policy WHERE scope = $1 AND subject = $2
RETURNING scope, subject, stale_after

-- name: one_maintenance
-- Maintenance $1.
SELECT id, scope, subject, starts_at, ends_at, note FROM maintenance_window WHERE id = $1

-- name: add_maintenance
-- Adds maintenance of scope $1 and subject $2 from $3 to $4, with note $5.
INSERT INTO maintenance_window (scope, subject, starts_at, ends_at, note) VALUES ($1, $2, $3, $4, $5)
RETURNING id, scope, subject, starts_at, ends_at, note

-- name: end_maintenance
-- Ends maintenance $1 at $2.
UPDATE maintenance_window SET ends_at = $2 WHERE id = $1
RETURNING id, scope, subject, starts_at, ends_at, note

-- name: remove_maintenance
-- Takes maintenance $1 away.
DELETE FROM maintenance_window WHERE id = $1 RETURNING id

-- name: one_deaf
-- Our outage $1.
SELECT id, starts_at, ends_at, note FROM deaf_interval WHERE id = $1

-- name: add_deaf
-- Adds an outage of ours from $1 to $2, with note $3.
INSERT INTO deaf_interval (starts_at, ends_at, note) VALUES ($1, $2, $3)
RETURNING id, starts_at, ends_at, note

-- name: end_deaf
-- Ends our outage $1 at $2.
UPDATE deaf_interval SET ends_at = $2 WHERE id = $1
RETURNING id, starts_at, ends_at, note

-- name: remove_deaf
-- Takes our outage $1 away.
DELETE FROM deaf_interval WHERE id = $1 RETURNING id

-- name: episodes
-- Episodes, the newest first: of one site ($1) or of all, only the open ones ($2) or all, $3 of them at most.
SELECT device_id, site_id, silent_from, opened_at, closed_at, returned_at, is_flapping,
       coalesce(returned_at, closed_at, now()) - silent_from AS lasted,
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

-- name: sweep
-- Sweep now.
SELECT * FROM sweep(NULL, $1::text)
