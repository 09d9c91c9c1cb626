-- Every statement this function sends. Parameters are PostgreSQL's own: $1, $2, ...
-- Table names carry no schema: the role's search_path decides.

-- name: heartbeats
-- The batch as rows, one binary array per column (docs/decisions/0002). Its order is the order of the arrays: unnest in
-- the select list yields them in lockstep, and a shorter or null array is filled up with nulls.
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

-- name: heartbeat
-- A batch of one as a row of plain values, where it has to be looked at before it is written.
    SELECT $1::text         AS device_id,
           $2::text         AS site_id,
           $3::timestamptz  AS received_at,
           $4::text         AS status,
           $5::text         AS agent_version,
           $6::float8       AS cpu_pct,
           $7::float8       AS disk_free_gb,
           $8::int          AS queue_depth,
           $9::int          AS poll_interval_s,
           $10::timestamptz AS last_upload_ts

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
-- Writes {rows}, one or many. What is outdated is not written, nor counted.
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
    OR stored.last_seen_ts > now() + interval '5 minutes'

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


-- name: sifted_upsert
-- Writes the rows of the batch that no {refusal} holds against; answers the written devices with null and the refused
-- ones with their refusal. OFFSET 0 keeps the planner from looking twice, for the refusal and for its absence.
WITH refused AS MATERIALIZED (
    SELECT device_id, refusal
      FROM (SELECT heartbeat.device_id, {refusal} AS refusal FROM ({keys}) AS heartbeat OFFSET 0) AS sifted
     WHERE refusal IS NOT NULL
), written AS (
    {upsert}
    RETURNING device_id
)
SELECT device_id, NULL AS refusal FROM written
 UNION ALL
SELECT device_id, refusal FROM refused

-- name: unrefused
-- The rows of {heartbeats} that are left after sifting, in device order, which a planner would be free to change.
    SELECT * FROM ({heartbeats}) AS heartbeat
     WHERE device_id NOT IN (SELECT device_id FROM refused)
     ORDER BY device_id COLLATE "C"

-- name: keys_of_heartbeats
-- What a refusal looks at, of a batch.
SELECT unnest($1::text[]) AS device_id, unnest($2::text[]) AS site_id, unnest($3::timestamptz[]) AS received_at

-- name: keys_of_heartbeat
-- What a refusal looks at, of a batch of one.
SELECT $1::text AS device_id, $2::text AS site_id, $3::timestamptz AS received_at

-- name: new_device
-- The refusal of a device that has no row yet, where HEARTBEAT_NEW_DEVICES is reject. A LIMIT and no EXISTS, which the
-- planner may turn into a hash of the whole table (docs/decisions/0012).
CASE WHEN (SELECT true FROM device_state AS known WHERE known.device_id = heartbeat.device_id LIMIT 1) IS NULL
     THEN 'new_device' END

-- name: foreign_keys
-- The enforced foreign keys of device_state, and whether the role can see every parent's key: the right to read it, and
-- no row-level security in the way. (conenforced is new in PostgreSQL 18, hence the detour.)
SELECT fk.conname::text,
       array(SELECT a.attname::text
               FROM unnest(fk.conkey) WITH ORDINALITY AS key (attnum, place)
               JOIN pg_attribute AS a ON a.attrelid = fk.conrelid AND a.attnum = key.attnum
              ORDER BY key.place) AS columns,
       schema.nspname::text, parent.relname::text,
       array(SELECT a.attname::text
               FROM unnest(fk.confkey) WITH ORDINALITY AS key (attnum, place)
               JOIN pg_attribute AS a ON a.attrelid = fk.confrelid AND a.attnum = key.attnum
              ORDER BY key.place) AS keys,
       parent.relkind = 'r' AS alone,
       has_schema_privilege(schema.oid, 'USAGE')
           AND NOT row_security_active(parent.oid)
           AND (SELECT bool_and(has_column_privilege(parent.oid, attnum, 'SELECT')) FROM unnest(fk.confkey) AS attnum)
  FROM pg_constraint AS fk
  JOIN pg_class      AS parent ON parent.oid = fk.confrelid
  JOIN pg_namespace  AS schema ON schema.oid = parent.relnamespace
 WHERE fk.conrelid = to_regclass('device_state')
   AND fk.contype = 'f'
   AND coalesce((to_jsonb(fk) ->> 'conenforced')::boolean, true)
 ORDER BY fk.oid

-- name: missing_parent
-- The refusal {name} of a heartbeat whose {parent} is not there. PostgreSQL looks at a key only where a row is made or
-- its key changes: a device that is in the table with this key already, or a heartbeat that is outdated, passes.
CASE WHEN ({columns}) IN (SELECT {columns}
                            FROM (SELECT {distinct} {columns} FROM ({keys}) AS heartbeat) AS heartbeat
                           WHERE (SELECT true FROM {parent} AS parent WHERE {match} LIMIT 1) IS NULL)
      AND NOT EXISTS (SELECT FROM device_state AS known
                       WHERE known.device_id = heartbeat.device_id
                         AND ({unchanged}
                              OR (least(heartbeat.received_at, now()) < known.last_seen_ts
                                  AND known.last_seen_ts <= now() + interval '5 minutes')))
     THEN '{name}' END

-- name: look
-- Whether the database answers at all.
SELECT 1

-- name: sweep
-- The size of the fleet, and how many devices the mission's view calls stale.
SELECT (SELECT count(*) FROM device_state), (SELECT count(*) FROM v_devices_stale)
