-- Every statement this function sends. Parameters are PostgreSQL's own: $1, $2, ...
-- Table names carry no schema: the role's search_path decides.

-- name: heartbeats
-- The batch as rows, one array per column (docs/decisions/0002). Its order is the order of the arrays: unnest in the
-- select list yields them in lockstep, and a shorter or null array is filled up with nulls.
    SELECT unnest($1::text[])         AS device_id,
           unnest($2::text[])         AS site_id,
           unnest($3::timestamptz[])  AS received_at,
           unnest($4::text[])         AS status,
           unnest($5::text[])         AS agent_version,
           unnest($6::float8[])       AS cpu_pct,
           unnest($7::float8[])       AS disk_free_gb,
           unnest($8::int[])          AS queue_depth,
           unnest($9::int[])          AS poll_interval_s,
           unnest($10::timestamptz[]) AS last_upload_ts

-- name: rows
-- What the upsert writes of {heartbeats}.
SELECT device_id, site_id, least(received_at, now()), status, agent_version, cpu_pct, disk_free_gb,
       queue_depth, poll_interval_s, last_upload_ts, now()
  FROM ({heartbeats}) AS heartbeat

-- name: row
-- What the upsert writes of a batch of one, without a subquery to plan: a quarter less work for the server than ten
-- arrays of one (docs/performance.md).
VALUES ($1::text, $2::text, least($3::timestamptz, now()), $4::text, $5::text, $6::float8, $7::float8,
        $8::int, $9::int, $10::timestamptz, now())

-- name: upsert
-- Writes {rows}, one or many. What is outdated is not written, nor counted. Behind ON CONFLICT everything is immutable,
-- because a distributed PostgreSQL refuses anything else there (docs/decisions/0031): timestamptz + interval is not, as
-- days depend on the session's time zone, but timestamp + interval is. (A difference of two times would be, too, but
-- servers before 17 cannot subtract from infinity, which another program may have written.)
INSERT INTO device_state AS stored
       (device_id, site_id, last_seen_ts, status, agent_version, cpu_pct, disk_free_gb,
        queue_depth, poll_interval_s, last_upload_ts, updated_at)
{rows}
    ON CONFLICT (device_id) DO UPDATE
   SET site_id         = excluded.site_id,
       last_seen_ts    = excluded.last_seen_ts,
       status          = coalesce(excluded.status,          stored.status),
       agent_version   = coalesce(excluded.agent_version,   stored.agent_version),
       cpu_pct         = coalesce(excluded.cpu_pct,         stored.cpu_pct),
       disk_free_gb    = coalesce(excluded.disk_free_gb,    stored.disk_free_gb),
       queue_depth     = coalesce(excluded.queue_depth,     stored.queue_depth),
       poll_interval_s = coalesce(excluded.poll_interval_s, stored.poll_interval_s),
       last_upload_ts  = coalesce(excluded.last_upload_ts,  stored.last_upload_ts),
       updated_at      = excluded.updated_at
 WHERE excluded.last_seen_ts >= stored.last_seen_ts
    OR stored.last_seen_ts AT TIME ZONE 'UTC' > excluded.updated_at AT TIME ZONE 'UTC' + interval '5 minutes'

-- name: upsert_many
-- The upsert of a batch answers the devices that were written; for a batch of one the count of rows says as much.
{upsert}
RETURNING device_id

-- name: newest_devices
-- The devices seen last, $1 of them at most, for a person to look at.
SELECT device_id, site_id, status, last_seen_ts, agent_version, cpu_pct, disk_free_gb,
       queue_depth, poll_interval_s, last_upload_ts
  FROM device_state
 ORDER BY last_seen_ts DESC, device_id
 LIMIT $1

-- name: stale_devices
-- The stale devices, silent for longest first: of one site ($1) or of all, silent for more than $2 seconds or at all.
SELECT device_id, site_id, last_seen_ts, age
  FROM v_devices_stale
 WHERE ($1::text IS NULL OR site_id = $1)
   AND ($2::float8 IS NULL OR age > make_interval(secs => $2))
 ORDER BY age DESC, device_id
 LIMIT $3

-- name: upsert_known
-- The upsert where HEARTBEAT_NEW_DEVICES is reject: writes the devices that have a row, and answers the others as new.
-- A LIMIT and no EXISTS, which the planner may turn into a hash of the whole table. The record gives a device id the
-- type that it has in the table, so that it is found as the table's key finds it (citext, say). In device order, which
-- a planner would be free to change.
WITH heartbeat AS MATERIALIZED (
    SELECT batch.*,
           (SELECT true
              FROM device_state AS stored
             WHERE stored.device_id = (json_populate_record(NULL::device_state,
                                                            json_build_object('device_id', batch.device_id))).device_id
             LIMIT 1) AS is_known
      FROM ({heartbeats}) AS batch
), written AS (
    {upsert}
    RETURNING device_id
)
SELECT device_id, 'written' FROM written
 UNION ALL
SELECT device_id, 'new' FROM heartbeat WHERE is_known IS NULL

-- name: known_heartbeats
-- The rows of the batch whose device has a row in the table.
    SELECT * FROM heartbeat WHERE is_known ORDER BY device_id COLLATE "C"

-- name: note_late_heartbeats
-- Tells the ledger of heartbeats that came after a newer one of their device: ids, times and sites.
SELECT note_late_heartbeats($1::text[], $2::timestamptz[], $3::text[])

-- name: look
-- Whether the database answers at all.
SELECT 1

-- name: sweep
-- The size of the fleet, and how many devices the view calls stale.
SELECT (SELECT count(*) FROM device_state), (SELECT count(*) FROM v_devices_stale)
