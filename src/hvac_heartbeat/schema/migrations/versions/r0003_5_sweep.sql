-- ----------------------------------------------------------------------------------------------------- the sweep

-- Judge, note and write what is to be told, at now(). `unreachable` is the time from the first to the last of the
-- caller's sweeps that could not reach the database since the last one that could; `canary` is the device that the
-- stack itself sends heartbeats of. Whoever may update device_state may sweep.
CREATE OR REPLACE FUNCTION sweep(unreachable tstzrange DEFAULT NULL, canary text DEFAULT NULL)
RETURNS TABLE (is_skipped boolean, devices bigint, stale bigint, opened bigint, closed bigint, messages bigint,
               is_fleet_silent boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
SET timezone = 'UTC'
SET jit = off -- compiling takes longer than the statements do
AS $$
#variable_conflict use_column
DECLARE
    fleet   fleet_glance;
    silent  silent_part;
    sites   site_glance;
    last_id bigint;
BEGIN
    PERFORM require_right_to_write();
    -- Who comes while another sweeps has nothing to do: that one does it.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('hvac-heartbeat sweep', 'device_state'::regclass::oid::bigint))
    THEN
        RETURN QUERY SELECT true, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, false;
        RETURN;
    END IF;
    last_id := coalesce((SELECT max(id) FROM silence_message), 0);
    fleet := glance();
    silent := count_silent('infinity');
    IF silent.due_sites IS NOT NULL THEN
        sites := glance_at_sites();
        silent := count_silent(sites.heard);
    END IF;
    PERFORM note_fleet_silence(fleet, silent, sites.together, unreachable, canary);
    is_fleet_silent := EXISTS (SELECT FROM fleet_silence WHERE ended_at IS NULL);
    closed := close_episodes();
    opened := 0;
    PERFORM tell_fleet(fleet.devices, silent.stale);
    IF NOT is_fleet_silent THEN
        opened := open_episodes(silent.due_sites, sites.heard);
        PERFORM tell_sites();
        PERFORM tell_standing();
    END IF;
    -- What is from the future a clock wrote that was set back since; it would use up what may be told until then.
    DELETE FROM silence_message
     WHERE created_at < now() - interval '30 days' OR created_at > now() + interval '1 hour';
    DELETE FROM episode WHERE closed_at < now() - interval '30 days' AND told_closed;
    RETURN QUERY SELECT false, fleet.devices, silent.stale, opened, closed,
                        (SELECT count(*) FROM silence_message WHERE id > last_id), is_fleet_silent;
END
$$;

-- --------------------------------------------------------------------------------------------------- the delivery

-- Take messages that some channel of `channels` has not got, for a minute. Who dies with them loses nothing: they are
-- due again when the lease is over. What failed least comes first. After a day nobody wants them.
CREATE OR REPLACE FUNCTION lease_messages(channels text[], most integer)
RETURNS TABLE (id bigint, dedup_id text, kind text, body jsonb, delivered_to text[])
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
BEGIN
    PERFORM require_right_to_write();
    RETURN QUERY
    UPDATE silence_message SET leased_until = now() + interval '60 seconds'
     WHERE id IN (SELECT id FROM silence_message
                   WHERE created_at > now() - interval '24 hours' AND next_attempt_at <= now()
                     AND coalesce(leased_until <= now(), true) AND NOT delivered_to @> channels
                   ORDER BY attempts, id LIMIT most FOR UPDATE SKIP LOCKED)
    RETURNING id, dedup_id, kind, body, delivered_to;
END
$$;

-- What became of leased messages: one row of the arrays each, the channels that have it now, and whether one failed. A
-- failed one is tried again after 30 seconds, a minute, two, and so on up to an hour.
CREATE OR REPLACE FUNCTION note_deliveries(ids bigint[], channels jsonb, are_failed boolean[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM require_right_to_write();
    UPDATE silence_message
       SET delivered_to = ARRAY(SELECT DISTINCT channel FROM (
                                    SELECT unnest(delivered_to) UNION SELECT jsonb_array_elements_text(got)
                                ) AS has (channel) ORDER BY channel),
           delivered_at = CASE WHEN got <> '[]' THEN now() ELSE delivered_at END,
           attempts = attempts + is_failed::int,
           next_attempt_at = CASE WHEN is_failed
               THEN now() + least(interval '1 hour', interval '30 seconds' * 2 ^ least(attempts, 7))
               ELSE next_attempt_at END,
           leased_until = NULL
      FROM (SELECT ids[place] AS message_id, channels -> (place - 1) AS got, are_failed[place] AS is_failed
              FROM generate_subscripts(ids, 1) AS place) AS delivery
     WHERE id = message_id;
END
$$;

SELECT set_config('search_path', current_setting('hvac_heartbeat.search_path', true), true);
