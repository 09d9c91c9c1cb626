-- Every statement that `hvac-heartbeat check` suggests. Each can be run as it is printed and loses nothing: no row, no
-- value, nobody else's right. tests/database/test_fixes.py runs every one of them.

-- name: add_key
-- What ON CONFLICT (device_id) needs.
ALTER TABLE {table} ADD UNIQUE (device_id)

-- name: add_columns
-- The columns that the function writes and the table lacks.
ALTER TABLE {table} {columns}

-- name: widen
-- A type that holds every value of the old one.
ALTER TABLE {table} ALTER {column} TYPE {type}

-- name: allow_null
-- A column that the function leaves out, or may leave out.
ALTER TABLE {table} ALTER {column} DROP NOT NULL

-- name: show_rows
-- For the one role: the policies of the others stay as they are.
CREATE POLICY hvac_heartbeat ON {table} TO {role} USING (true) WITH CHECK (true)

-- name: grant
GRANT {rights} ON {relation} TO {role}

-- name: create_role
-- Without a password, so that nobody can log in with one that was printed here.
CREATE ROLE hvac_heartbeat LOGIN;
GRANT USAGE ON SCHEMA {schema} TO hvac_heartbeat;
GRANT SELECT, INSERT, UPDATE ON {table} TO hvac_heartbeat

-- name: create_role_with_view
CREATE ROLE hvac_heartbeat LOGIN;
GRANT USAGE ON SCHEMA {schema} TO hvac_heartbeat;
GRANT SELECT, INSERT, UPDATE ON {table} TO hvac_heartbeat;
GRANT SELECT ON {view} TO hvac_heartbeat

-- name: find_table
-- The schema comes before those that the role has on its search_path already, in this database alone.
GRANT USAGE ON SCHEMA {schema} TO {role};
ALTER ROLE {role} IN DATABASE {database} SET search_path = {path}

-- name: write_again
-- Takes back what somebody set for this role, wherever it connects to.
ALTER ROLE {role} RESET default_transaction_read_only

-- name: write_again_here
-- Takes back what somebody set for this role in this database.
ALTER ROLE {role} IN DATABASE {database} RESET default_transaction_read_only

-- name: read_committed
ALTER ROLE {role} IN DATABASE {database} SET default_transaction_isolation = 'read committed'

-- name: drop_index
-- Suggested of an index that no query has used yet, and that enforces nothing.
DROP INDEX CONCURRENTLY {index}

-- name: vacuum
ALTER TABLE {table} SET (autovacuum_enabled = true)

-- name: tune
-- Changes nothing that is on disk: a page gets its room when it is written anew, by VACUUM FULL or pg_repack.
ALTER TABLE {table} SET ({settings})

-- name: enable_trigger
ALTER TABLE {table} ENABLE TRIGGER {trigger}

-- name: run_triggers
ALTER ROLE {role} IN DATABASE {database} SET session_replication_role = origin
