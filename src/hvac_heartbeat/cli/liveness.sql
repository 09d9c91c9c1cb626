-- What the commands ask of the ledger of silence. Parameters are PostgreSQL's own: $1, $2, ...
-- Hours where one would say days: a day of an interval is as long as the session's time zone says.

-- name: has_ledger
-- Whether the database has the ledger.
SELECT to_regclass('v_silences') IS NOT NULL AS has_ledger

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

-- name: silences_of_gone_device
-- How often device $1 was silent.
SELECT count(*) AS silences FROM silence WHERE device_id = $1

-- name: view_is_original
-- Whether v_devices_stale is as it was made: two minutes, and no rules.
SELECT coalesce(pg_get_viewdef(to_regclass('v_devices_stale')) LIKE '% device_state%00:02:00%', false) AS is_original

-- name: deaf_since
-- Since when we have been deaf; null when we are not.
SELECT (SELECT lower(part) FROM v_deaf, unnest(deaf) AS part WHERE part @> now()) AS deaf_since

-- name: sites
-- Every site, the worst first.
SELECT site_id, is_dark, dark_since, devices, online, stale, unknown, in_maintenance, not_delivering
  FROM v_site_liveness
 ORDER BY is_dark DESC, stale DESC, dark_since, not_delivering DESC, unknown DESC, site_id

-- name: devices_of_site
-- The devices of site $1, the worst first and $2 of them at most.
SELECT device_id, liveness, silent_from, CASE WHEN isfinite(last_seen_ts) THEN last_seen_ts END AS last_seen_ts,
       age, stale_after, status, delivering, in_maintenance
  FROM v_device_liveness
 WHERE site_id = $1
 ORDER BY in_maintenance, array_position(ARRAY['stale', 'unknown', 'online'], liveness), delivering NULLS LAST,
          silent_from, device_id
 LIMIT $2

-- name: silences
-- The silences of site $1 and device $2 that lie in the time from $3 to $4 at least in part, only those that last if
-- $5, only those that count if $6, the newest first and $7 of them at most.
SELECT device_id, site_id, silent_from, silent_to, length, counts
  FROM v_silences
 WHERE ($1::text IS NULL OR site_id = $1)
   AND ($2::text IS NULL OR device_id = $2)
   AND ($3::timestamptz IS NULL OR silent_to > $3 OR silent_to IS NULL)
   AND ($4::timestamptz IS NULL OR silent_from < $4)
   AND ($5::boolean IS NOT TRUE OR silent_to IS NULL)
   AND ($6::boolean IS NOT TRUE OR counts)
 ORDER BY silent_from DESC, device_id
 LIMIT $7

-- name: count_silences
-- How many they are.
SELECT count(*) AS total FROM ({silences}) AS silence

-- name: device
-- Device $1: its last heartbeat, and what its silence says.
SELECT device_id, state.site_id, liveness, silent_from,
       CASE WHEN isfinite(state.last_seen_ts) THEN state.last_seen_ts END AS last_seen_ts,
       age, stale_after, delivering, in_maintenance, state.status, agent_version, cpu_pct, disk_free_gb, queue_depth,
       poll_interval_s, CASE WHEN isfinite(last_upload_ts) THEN last_upload_ts END AS last_upload_ts
  FROM device_state AS state
  JOIN v_device_liveness USING (device_id)
 WHERE device_id = $1

-- name: availability_of_device
-- The availability of device $1 in the last 30 days.
SELECT observed, silent, availability, silences, longest, mean_time_to_return
  FROM device_availability(now() - interval '720 hours', now())
 WHERE device_id = $1

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

-- name: availability_of_sites
-- The availability of every site, or of site $3 alone, from $1 to $2, the worst first and $4 of them at most.
SELECT site_id, devices, availability, silences, longest, mean_time_to_return, silent, observed,
       count(*) OVER () AS total
  FROM site_availability($1, $2)
 WHERE $3::text IS NULL OR site_id = $3
 ORDER BY availability NULLS LAST, silent DESC, site_id
 LIMIT $4

-- name: rules
-- Every rule about stale_after, those that hold for more devices first.
SELECT scope, subject, make_interval(secs => extract(epoch FROM stale_after)::float8) AS stale_after
  FROM (SELECT scope, subject, stale_after FROM liveness_policy
         UNION ALL
        SELECT 'default', '', '120 seconds'
         WHERE NOT EXISTS (SELECT FROM liveness_policy WHERE scope = 'fleet')) AS rule
 ORDER BY array_position(ARRAY['default', 'fleet', 'site', 'device'], scope), subject

-- name: rule
-- The rule that holds for site $1 and for device $2 of it, either of which may be null.
SELECT scope, subject, make_interval(secs => extract(epoch FROM stale_after)::float8) AS stale_after
  FROM (SELECT scope, subject, stale_after FROM liveness_policy
         UNION ALL
        SELECT 'default', '', '120 seconds') AS rule
 WHERE scope IN ('default', 'fleet')
    OR (scope = 'site' AND subject = coalesce($1, (SELECT site_id FROM device_state WHERE device_id = $2::text)))
    OR (scope = 'device' AND subject = $2)
 ORDER BY array_position(ARRAY['device', 'site', 'fleet', 'default'], scope)
 LIMIT 1

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

-- name: maintenance
-- The maintenance of site $1 and of device $2, or all of it; what is over only if $3.
SELECT id, scope, subject, starts_at, ends_at, note
  FROM maintenance_window
 WHERE (($1::text IS NULL AND $2::text IS NULL)
        OR (scope = 'site' AND subject = $1)
        OR (scope = 'device' AND subject = $2))
   AND ($3::boolean IS TRUE OR ends_at IS NULL OR ends_at > now())
 ORDER BY starts_at DESC, id DESC

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

-- name: deaf
-- Our outages, the newest first; what is over only if $1.
SELECT id, starts_at, ends_at, note
  FROM deaf_interval
 WHERE $1::boolean IS TRUE OR ends_at IS NULL OR ends_at > now()
 ORDER BY starts_at DESC, id DESC

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
