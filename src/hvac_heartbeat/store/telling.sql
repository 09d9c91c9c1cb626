-- The statements of telling (schema revision 0003). Times are the database's own.

-- name: can_tell
-- Whether this database has the sweep at all.
SELECT to_regprocedure('sweep(tstzrange,text)') IS NOT NULL

-- name: sweep
-- Judge, note and write what is to be told. $1 is the time in which the database could not be reached, $2 the canary.
SELECT is_skipped, devices, stale, messages, is_fleet_silent FROM sweep($1::tstzrange, $2::text)

-- name: lease_messages
-- Take $2 messages at most that one of the channels $1 has not got.
SELECT id, dedup_id, kind, body, to_jsonb(delivered_to) FROM lease_messages($1::text[], $2::integer)

-- name: note_deliveries
-- Say which channels have which messages now, and which messages failed.
SELECT note_deliveries($1::bigint[], $2::jsonb, $3::boolean[])
