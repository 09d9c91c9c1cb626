-- What `hvac-heartbeat check` asks; run in one read-only transaction, by the role that the function has.

-- name: server
-- The server, the role and what is set for them. The backend's own number differs from the one that was told at login
-- where a pooler or a proxy stands in between.
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS version_num,
       current_user AS role, current_database() AS name, current_schemas(false)::text[] AS schemas,
       pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only')::bool AS read_only,
       current_setting('default_transaction_isolation') AS isolation,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('autovacuum')::bool AND current_setting('track_counts')::bool AS autovacuum,
       current_setting('statement_timeout') AS statement_timeout,
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescaledb,
       pg_backend_pid() AS backend, clock_timestamp() AS clock,
       to_regclass('device_state') IS NOT NULL AS has_table, to_regclass('v_devices_stale') IS NOT NULL AS has_view,
       rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication
  FROM pg_roles WHERE rolname = current_user

-- name: relation
-- The table itself. A unique index counts where ON CONFLICT (device_id) can use it.
SELECT c.oid::regclass::text AS name, c.relkind::text AS kind, coalesce(c.reloptions, '{}')::text[] AS options,
       row_security_active(c.oid) AS row_security, pg_has_role(c.relowner, 'USAGE') AS owned,
       EXISTS (SELECT FROM pg_index AS i
                WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
                  AND i.indexprs IS NULL AND i.indnkeyatts = 1
                  AND i.indkey[0] = (SELECT attnum FROM pg_attribute
                                      WHERE attrelid = c.oid AND attname = 'device_id')) AS has_key,
       array(SELECT tgname::text FROM pg_trigger
              WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 2 = 2) AS before_triggers,
       array(SELECT rulename::text FROM pg_rewrite
              WHERE ev_class = c.oid AND rulename <> '_RETURN') AS rules,
       array(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
                 AS p WHERE has_table_privilege(c.oid, p)) AS rights
  FROM pg_class AS c
 WHERE c.oid = to_regclass('device_state')

-- name: columns
-- The table's columns with their types, and whether a row can be made without naming them.
SELECT a.attname::text AS name, t.typname::text AS type,
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS demanded
  FROM pg_attribute AS a
  JOIN pg_type AS t ON t.oid = a.atttypid
 WHERE a.attrelid = to_regclass('device_state') AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum

-- name: indexes
-- The table's indexes and the columns they hold, expressions and conditions included; BRIN does not stand in HOT's way
-- since PostgreSQL 16.
SELECT i.indexrelid::regclass::text AS name, am.amname::text AS method,
       array(SELECT DISTINCT a.attname::text
               FROM pg_depend AS d
               JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE d.objid = i.indexrelid AND d.classid = 'pg_class'::regclass
                AND d.refobjid = i.indrelid AND d.refobjsubid > 0) ||
       array(SELECT a.attname::text FROM pg_attribute AS a
              WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])) AS columns
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_am    AS am ON am.oid = c.relam
 WHERE i.indrelid = to_regclass('device_state')

-- name: surroundings
-- Rights beyond the table that the function has no use for, or that it lacks for the sweep (null without a view).
SELECT has_table_privilege(to_regclass('v_devices_stale'), 'SELECT') AS reads_view,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS creates

-- name: foreign_keys
-- The enforced foreign keys of the table. (conenforced is new in PostgreSQL 18, hence the detour.)
SELECT fk.conname::text AS constraint, fk.confrelid::regclass::text AS parent,
       array(SELECT a.attname::text
               FROM unnest(fk.conkey) WITH ORDINALITY AS key (attnum, place)
               JOIN pg_attribute AS a ON a.attrelid = fk.conrelid AND a.attnum = key.attnum
              ORDER BY key.place) AS columns
  FROM pg_constraint AS fk
 WHERE fk.conrelid = to_regclass('device_state')
   AND fk.contype = 'f'
   AND coalesce((to_jsonb(fk) ->> 'conenforced')::boolean, true)
 ORDER BY fk.oid
