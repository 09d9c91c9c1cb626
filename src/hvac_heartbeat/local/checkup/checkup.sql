-- What `hvac-heartbeat check` asks; run in one read-only transaction, by the role that the function has. A name that
-- goes into SQL comes with its schema and quoted: whoever runs the SQL may have another search_path than the role.

-- name: server
-- The server, the role and what is set for them. The backend's own number differs from the one that was told at login
-- where a pooler or a proxy stands in between.
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS version_num,
       current_user AS role, quote_ident(current_user) AS role_sql,
       current_database() AS name, quote_ident(current_database()) AS name_sql,
       current_schemas(false)::text[] AS schemas, current_setting('search_path') AS path,
       array(SELECT quote_ident(n.nspname)
               FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
              WHERE c.relname = 'device_state' AND c.relkind IN ('r', 'p')) AS homes,
       pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only')::bool AS read_only,
       (SELECT source FROM pg_settings WHERE name = 'default_transaction_read_only') AS read_only_source,
       current_setting('default_transaction_isolation') AS isolation,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('autovacuum')::bool AND current_setting('track_counts')::bool AS autovacuum,
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescaledb,
       pg_backend_pid() AS backend, clock_timestamp() AS clock,
       to_regclass('device_state') IS NOT NULL AS has_table,
       EXISTS (SELECT FROM pg_roles WHERE rolname = 'hvac_heartbeat') AS has_role,
       rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication
  FROM pg_roles WHERE rolname = current_user

-- name: relation
-- The table itself. A unique index counts where ON CONFLICT (device_id) can use it.
SELECT c.oid::regclass::text AS name, format('%I.%I', n.nspname, c.relname) AS sql, quote_ident(n.nspname) AS schema,
       c.relkind::text AS kind, coalesce(c.reloptions, '{}')::text[] AS options,
       row_security_active(c.oid)
           AND NOT EXISTS (SELECT FROM pg_policy AS p
                            WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd = '*'
                              AND pg_get_expr(p.polqual, p.polrelid) = 'true'
                              AND EXISTS (SELECT FROM unnest(p.polroles) AS role (oid)
                                           WHERE CASE role.oid WHEN 0 THEN true
                                                 ELSE pg_has_role(role.oid, 'USAGE') END)) AS row_security,
       pg_has_role(c.relowner, 'USAGE') AS owned, c.relowner::regrole::text AS owner,
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
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.oid = to_regclass('device_state')

-- name: columns
-- The table's columns: their types (a domain counts as what it is made of), what a row without them is told, and what stands in the way of another type.
SELECT a.attname::text AS name, quote_ident(a.attname) AS sql, t.typname::text AS type,
       format_type(a.atttypid, a.atttypmod) AS shown,
       CASE WHEN t.typname IN ('varchar', 'bpchar') AND m.modifier > 0 THEN m.modifier - 4 END AS length,
       t.typname = 'numeric' AND m.modifier > 0 AS bounded,
       a.attnotnull AS not_null, a.atthasdef OR a.attidentity <> '' AS has_default,
       EXISTS (SELECT FROM pg_index AS i
                WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)) AS is_key,
       EXISTS (SELECT FROM pg_collation AS c
                WHERE c.oid = a.attcollation AND NOT c.collisdeterministic) AS folds,
       EXISTS (SELECT FROM pg_depend AS d
                WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
                  AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum) AS is_viewed
  FROM pg_attribute AS a
  JOIN pg_type AS own ON own.oid = a.atttypid
  JOIN pg_type AS t ON t.oid = coalesce(nullif(own.typbasetype, 0), own.oid)
 CROSS JOIN LATERAL (SELECT greatest(a.atttypmod, own.typtypmod) AS modifier) AS m
 WHERE a.attrelid = to_regclass('device_state') AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum

-- name: constraints
-- The CHECKs and the foreign keys that are enforced. (conenforced is new in PostgreSQL 18, hence the detour.)
SELECT k.conname::text AS name, k.contype::text AS kind, pg_get_constraintdef(k.oid) AS definition,
       k.confrelid::regclass::text AS parent,
       array(SELECT a.attname::text FROM pg_attribute AS a
              WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) ORDER BY a.attnum) AS columns
  FROM pg_constraint AS k
 WHERE k.conrelid = to_regclass('device_state')
   AND k.contype IN ('c', 'f')
   AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
 ORDER BY k.conname

-- name: indexes
-- The table's indexes and the columns they hold, expressions and conditions included; BRIN does not stand in HOT's way
-- since PostgreSQL 16.
SELECT i.indexrelid::regclass::text AS name, format('%I.%I', n.nspname, c.relname) AS sql, am.amname::text AS method,
       i.indisunique OR i.indisexclusion OR i.indisreplident OR i.indisclustered OR c.relkind <> 'i' AS matters,
       coalesce(s.idx_scan, 0) AS scans,
       array(SELECT DISTINCT a.attname::text
               FROM pg_depend AS d
               JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE d.objid = i.indexrelid AND d.classid = 'pg_class'::regclass
                AND d.refobjid = i.indrelid AND d.refobjsubid > 0) ||
       array(SELECT a.attname::text FROM pg_attribute AS a
              WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])) AS columns
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_am    AS am ON am.oid = c.relam
  LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = i.indexrelid
 WHERE i.indrelid = to_regclass('device_state')

-- name: surroundings
-- Rights beyond the table that the function has no use for, or that it lacks for the sweep (null without a view).
SELECT has_table_privilege(to_regclass('v_devices_stale'), 'SELECT') AS reads_view,
       (SELECT format('%I.%I', n.nspname, c.relname)
          FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE c.oid = to_regclass('v_devices_stale')) AS view_sql,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS creates

-- name: ledger_role
-- What the role may do with the ledger ($1: its tables and views, $2: what the function calls of the telling),
-- and whether the session runs triggers at all.
WITH uncallable AS (
    SELECT p.proname, n.nspname, oidvectortypes(p.proargtypes) AS arguments
      FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
     WHERE format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)) = ANY ($2)
       AND NOT has_function_privilege(p.oid, 'EXECUTE')
       AND p.pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('device_state'))
), parts AS (
    SELECT c.relname, n.nspname
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relname = ANY ($1) AND NOT has_table_privilege(c.oid, 'SELECT')
       AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('device_state'))
)
SELECT current_setting('session_replication_role') AS replication_role,
       array(SELECT relname::text FROM parts ORDER BY relname) AS unreadable,
       array(SELECT format('%I.%I', nspname, relname) FROM parts ORDER BY relname) AS unreadable_sql,
       array(SELECT proname::text FROM uncallable ORDER BY proname) AS uncallable,
       array(SELECT format('%I.%I(%s)', nspname, proname, arguments) FROM uncallable ORDER BY proname) AS uncallable_sql,
       CASE WHEN p.oid IS NOT NULL
            THEN format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)) END AS late_function,
       has_function_privilege(p.oid, 'EXECUTE') AS may_note_late
  FROM pg_class AS t
  JOIN pg_namespace AS n ON n.oid = t.relnamespace
  LEFT JOIN pg_proc AS p ON p.pronamespace = n.oid AND p.proname = 'note_late_heartbeats'
                         AND oidvectortypes(p.proargtypes) LIKE 'text[], %, text[]'
 WHERE t.oid = to_regclass('device_state')

-- name: ledger_owners
-- What the owners of the functions that write lack: the functions have their owners' rights.
SELECT r.rolname AS owner, quote_ident(r.rolname) AS owner_sql, c.relname AS name,
       format('%I.%I', n.nspname, c.relname) AS sql, lacking
  FROM pg_class AS t
  JOIN pg_namespace AS n ON n.oid = t.relnamespace
  JOIN pg_roles AS r ON EXISTS (SELECT FROM pg_proc
                                 WHERE pronamespace = n.oid AND proowner = r.oid
                                   AND proname IN ('note_silence', 'note_late_heartbeats'))
 CROSS JOIN (VALUES ('device_state', ARRAY['SELECT', 'UPDATE']),
                    ('silence', ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']),
                    ('first_heartbeat', ARRAY['SELECT', 'INSERT', 'UPDATE'])) AS needed (name, rights)
  JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = needed.name
 CROSS JOIN LATERAL (SELECT array(SELECT asked FROM unnest(rights) AS asked
                                   WHERE NOT has_table_privilege(r.oid, c.oid, asked)) AS lacking) AS l
 WHERE t.oid = to_regclass('device_state') AND lacking <> '{}'
 ORDER BY c.relname
