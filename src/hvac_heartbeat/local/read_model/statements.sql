-- What is asked of the fleet's state and of its silences: by the commands, the read API and the fleet page.
-- Parameters are PostgreSQL's own: $1, $2, ... "After $n" is the key of a page's last row: the values that its ORDER BY
-- lists, as text, so that a row which comes or goes moves no other from one page to the next.
-- Hours where one would say days: a day of an interval is as long as the session's time zone says.

-- name: has_ledger
-- Whether the database has the ledger, and whether it has the telling.
SELECT to_regclass('v_silences') IS NOT NULL AS has_ledger, to_regclass('silence_message') IS NOT NULL AS has_telling

-- name: deaf_since
-- Since when we have been deaf; null when we are not.
SELECT (SELECT lower(part) FROM v_deaf, unnest(deaf) AS part WHERE part @> now()) AS deaf_since

-- name: newest_heartbeat
-- When the last heartbeat came that can be true.
SELECT max(last_seen_ts) AS newest_heartbeat
  FROM device_state WHERE last_seen_ts > '-infinity' AND last_seen_ts <= now() + interval '5 minutes'

-- name: fleet
-- How many sites and devices there are, and in which state.
SELECT count(*) AS sites, count(*) FILTER (WHERE is_dark) AS dark_sites,
       coalesce(sum(devices), 0)::bigint        AS devices,
       coalesce(sum(online), 0)::bigint         AS online,
       coalesce(sum(stale), 0)::bigint          AS stale,
       coalesce(sum(unknown), 0)::bigint        AS unknown,
       coalesce(sum(in_maintenance), 0)::bigint AS in_maintenance,
       coalesce(sum(not_delivering), 0)::bigint AS not_delivering
  FROM v_site_liveness

-- name: told
-- What was told: how many episodes are open, since when the whole fleet is silent, and the last message.
SELECT (SELECT count(*) FROM episode WHERE closed_at IS NULL) AS open_episodes,
       fleet.silent_from AS fleet_silent_since, fleet.evidence, message.id, message.created_at, kind, body ->> 'text' AS text
  FROM (SELECT) AS one
  LEFT JOIN (SELECT silent_from, evidence FROM fleet_silence WHERE ended_at IS NULL) AS fleet ON true
  LEFT JOIN (SELECT id, created_at, kind, body FROM silence_message ORDER BY id DESC LIMIT 1) AS message ON true

-- name: newest_message
-- The newest message's id, so that those that come after it are known.
SELECT coalesce(max(id), 0) AS id FROM silence_message

-- name: messages_since
-- The messages that were written after $1, the oldest first.
SELECT id, created_at, kind, body ->> 'text' AS text FROM silence_message WHERE id > $1 ORDER BY id

-- name: sites
-- The sites whose names hold $1, the worst first, after $2, and $3 of them at most.
SELECT site_id, is_dark, dark_since, devices, online, stale, unknown, in_maintenance, not_delivering
  FROM v_site_liveness
 WHERE ($1::text IS NULL OR strpos(lower(site_id::text), lower($1)) > 0)
   AND ($2::text[] IS NULL
        OR (NOT is_dark, -stale, coalesce(dark_since, 'infinity'), -not_delivering, -unknown, site_id::text)
           > (($2)[1]::boolean, ($2)[2]::bigint, ($2)[3]::timestamptz, ($2)[4]::bigint, ($2)[5]::bigint, ($2)[6]))
 ORDER BY NOT is_dark, -stale, coalesce(dark_since, 'infinity'), -not_delivering, -unknown, site_id::text
 LIMIT $3

-- name: site
-- Site $1.
SELECT site_id, is_dark, dark_since, devices, online, stale, unknown, in_maintenance, not_delivering
  FROM v_site_liveness
 WHERE site_id = $1

-- name: devices_of_site
-- The devices of site $1, the worst first, after $2, and $3 of them at most.
SELECT device_id, liveness, silent_from, CASE WHEN isfinite(last_seen_ts) THEN last_seen_ts END AS last_seen_ts,
       age, stale_after, status, delivering, in_maintenance
  FROM v_device_liveness
 WHERE site_id = $1
   AND ($2::text[] IS NULL
        OR (in_maintenance, array_position(ARRAY['stale', 'unknown', 'online'], liveness), coalesce(delivering::int, 2),
            coalesce(silent_from, 'infinity'), device_id::text)
           > (($2)[1]::boolean, ($2)[2]::int, ($2)[3]::int, ($2)[4]::timestamptz, ($2)[5]))
 ORDER BY in_maintenance, array_position(ARRAY['stale', 'unknown', 'online'], liveness), coalesce(delivering::int, 2),
          coalesce(silent_from, 'infinity'), device_id::text
 LIMIT $3

-- name: stale_devices
-- The stale devices of sites that are not dark, who fell silent last first, and $1 of them at most.
SELECT device_id, site_id, silent_from, stale_after, status
  FROM (SELECT *, bool_and(liveness = 'stale') FILTER (WHERE NOT in_maintenance) OVER (PARTITION BY site_id) AS is_dark
          FROM v_device_liveness) AS device
 WHERE liveness = 'stale' AND NOT in_maintenance AND NOT is_dark
 ORDER BY silent_from DESC, device_id::text
 LIMIT $1

-- name: not_delivering
-- The devices that are heard but deliver nothing, who delivered longest ago first, and $1 of them at most.
SELECT device_id, state.site_id, state.status, queue_depth, last_upload_ts
  FROM device_state AS state
  JOIN v_device_liveness USING (device_id)
 WHERE NOT delivering AND NOT in_maintenance
 ORDER BY last_upload_ts, device_id::text
 LIMIT $1

-- name: silences
-- The silences of site $1 and device $2 that lie in the time from $3 to $4 at least in part, only those that last if
-- $5, only those that count if $6, the newest first, after $7, and $8 of them at most.
SELECT device_id, site_id, silent_from, silent_to, length, counts
  FROM v_silences
 WHERE ($1::text IS NULL OR site_id = $1)
   AND ($2::text IS NULL OR device_id = $2)
   AND ($3::timestamptz IS NULL OR silent_to > $3 OR silent_to IS NULL)
   AND ($4::timestamptz IS NULL OR silent_from < $4)
   AND ($5::boolean IS NOT TRUE OR silent_to IS NULL)
   AND ($6::boolean IS NOT TRUE OR counts)
   -- The subquery is worked out once; the cast alone would be for each row.
   AND ($7::text[] IS NULL OR silent_from < (SELECT ($7)[1]::timestamptz)
        OR (silent_from = (SELECT ($7)[1]::timestamptz) AND device_id::text > ($7)[2]))
 ORDER BY silent_from DESC, device_id::text
 LIMIT $8

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
-- The availability of device $1 in the 30 days before $2, or before now.
SELECT observed, silent, availability, silences, longest, mean_time_to_return
  FROM device_availability(coalesce($2::timestamptz, now()) - interval '720 hours', coalesce($2::timestamptz, now()))
 WHERE device_id = $1

-- name: availability_of_sites
-- The availability of every site, or of site $3 alone, from $1 to $2, the worst first and $4 of them at most.
SELECT site_id, devices, availability, silences, longest, mean_time_to_return, silent, observed,
       count(*) OVER () AS total
  FROM site_availability($1, $2)
 WHERE $3::text IS NULL OR site_id = $3
 ORDER BY availability NULLS LAST, silent DESC, site_id
 LIMIT $4

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

-- name: maintenance
-- The maintenance of site $1 and of device $2, or all of it, that ends after $3, or after now.
SELECT id, scope, subject, starts_at, ends_at, note
  FROM maintenance_window
 WHERE (($1::text IS NULL AND $2::text IS NULL)
        OR (scope = 'site' AND subject = $1)
        OR (scope = 'device' AND subject = $2))
   AND (ends_at IS NULL OR ends_at > coalesce($3::timestamptz, now()))
 ORDER BY starts_at DESC, id DESC

-- name: deaf
-- Our outages that end after $1, or after now, the newest first.
SELECT id, starts_at, ends_at, note
  FROM deaf_interval
 WHERE ends_at IS NULL OR ends_at > coalesce($1::timestamptz, now())
 ORDER BY starts_at DESC, id DESC

-- name: devices_without_ledger
-- What stands for v_device_liveness in a database without the ledger: what v_devices_stale says of each device.
SELECT device_id, site_id, last_seen_ts, CASE WHEN isfinite(last_seen_ts) THEN now() - last_seen_ts END AS age,
       NULL::interval AS stale_after,
       CASE WHEN stale.device_id IS NULL THEN 'online' ELSE 'stale' END AS liveness,
       CASE WHEN stale.device_id IS NOT NULL THEN last_seen_ts END AS silent_from,
       status, NULL::boolean AS delivering, false AS in_maintenance
  FROM device_state LEFT JOIN (SELECT device_id FROM v_devices_stale) AS stale USING (device_id)

-- name: sites_without_ledger
-- What stands for v_site_liveness then.
SELECT site_id, count(*) AS devices, count(*) FILTER (WHERE silent_from IS NULL) AS online,
       count(silent_from) AS stale, 0::bigint AS unknown, 0::bigint AS in_maintenance, 0::bigint AS not_delivering,
       bool_and(silent_from IS NOT NULL) AS is_dark,
       CASE WHEN bool_and(silent_from IS NOT NULL) THEN max(silent_from) END AS dark_since
  FROM v_device_liveness
 GROUP BY site_id
