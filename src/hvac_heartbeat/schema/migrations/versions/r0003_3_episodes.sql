-- What is to be told: the silence of the whole fleet, and the episodes of devices.

-- Whether heartbeats of a time were written late, as when a queue is drained. (Here and below, what reads device_state
-- is a function, because where that is on shards no statement can read it and write what is not.)
CREATE OR REPLACE FUNCTION were_written_late(since timestamptz, until timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT count(*) FILTER (WHERE last_seen_ts + interval '60 seconds' < updated_at) >= greatest(3, 0.01 * count(*))
      FROM device_state
     WHERE last_seen_ts >= since AND last_seen_ts <= until;
END;

-- The silence of the whole fleet: begin it, end it, look for evidence that it was us, and keep that as a deaf interval.
-- A sweep that comes late begins and ends it at once. A clock that was set back may end it before it began.
CREATE OR REPLACE FUNCTION note_fleet_silence(glance fleet_glance, silent silent_part, together timestamptz,
                                              unreachable tstzrange, canary text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    fleet     fleet_survey;
    is_silent boolean;
BEGIN
    -- No rule is shorter than 120 seconds, so that each device needs to be judged only where less than one in ten was
    -- heard within them without having been silent before.
    IF glance.devices - silent.quiet - (SELECT count(*) FROM silence WHERE silent_to > now() - interval '3 minutes')
       <= 0.1 * glance.devices THEN
        fleet := survey(glance);
    END IF;
    is_silent := coalesce(fleet.is_silent AND fleet.sites >= 3, false) OR together IS NOT NULL
                 OR glance.behind_by IS NOT NULL;
    IF is_silent OR (fleet.was_silent AND (fleet.sites >= 3 OR unreachable IS NOT NULL)) THEN
        INSERT INTO fleet_silence (silent_from, opened_at)
        SELECT CASE WHEN fleet.was_silent THEN fleet.silent_from
                    ELSE coalesce(together, now() - glance.behind_by) END, now()
         WHERE NOT EXISTS (SELECT FROM fleet_silence WHERE ended_at IS NULL);
    END IF;
    -- A queue takes its time to drain, so the evidence may come after the end.
    UPDATE fleet_silence AS silence SET evidence = found.evidence
      FROM (SELECT opened_at,
                   CASE WHEN unreachable && tstzrange(silent_from, greatest(silent_from, coalesce(ended_at, now())), '[]')
                        THEN 'the database could not be reached'
                        WHEN ended_at IS NULL AND EXISTS (
                             SELECT FROM quiet_devices('infinity') WHERE device_id = canary AND out_from IS NOT NULL)
                        THEN 'the canary was not heard'
                        WHEN were_written_late(silent_from, coalesce(ended_at, now()))
                        THEN 'heartbeats were written late' END AS evidence
              FROM fleet_silence
             WHERE evidence IS NULL AND coalesce(ended_at > now() - interval '1 hour', true)) AS found
     WHERE silence.opened_at = found.opened_at AND found.evidence IS NOT NULL;
    UPDATE fleet_silence SET ended_at = now()
     WHERE ended_at IS NULL AND NOT is_silent;
    WITH proven AS (
        UPDATE fleet_silence SET is_deaf = true
         WHERE ended_at IS NOT NULL AND evidence IS NOT NULL AND NOT is_deaf
        RETURNING silent_from, ended_at, evidence
    )
    INSERT INTO deaf_interval (starts_at, ends_at, note)
    SELECT silent_from, ended_at, evidence FROM proven WHERE ended_at > silent_from;
END
$$;

-- The devices of the open episodes, and when the last of their silences since then ended that counted. Here each device
-- is looked up by its key; who joins the result has no statistics of it, and hashes.
CREATE OR REPLACE FUNCTION devices_of_open_episodes()
RETURNS TABLE (device_id text, last_seen_ts timestamptz, stale_after interval, last_return timestamptz)
LANGUAGE sql STABLE
SET enable_nestloop = on
BEGIN ATOMIC
    SELECT lasting.device_id, last_seen_ts, stale_after,
           (SELECT max(silent_to) FROM silence
             WHERE silence.device_id = rule.device_id AND silence.silent_from >= lasting.silent_from
               AND silent_to - silence.silent_from > stale_after)
      FROM episode AS lasting
      JOIN device_state AS state ON state.device_id = lasting.device_id
      JOIN v_stale_after AS rule ON rule.device_id = state.device_id
     WHERE closed_at IS NULL;
END;

-- The devices that were deleted while their episode is open.
CREATE OR REPLACE FUNCTION gone_devices() RETURNS TABLE (device_id text)
LANGUAGE sql STABLE
SET enable_nestloop = on
BEGIN ATOMIC
    SELECT device_id FROM episode WHERE closed_at IS NULL
    EXCEPT
    SELECT episode.device_id FROM episode JOIN device_state USING (device_id) WHERE closed_at IS NULL;
END;

-- Close what is over. A device is heard again when a heartbeat came, not when a time of grace began: missing data never
-- says that a device is back. It is back since the end of its last silence that counted.
CREATE OR REPLACE FUNCTION close_episodes() RETURNS bigint
LANGUAGE plpgsql
SET enable_nestloop = off SET enable_mergejoin = off
AS $$
DECLARE
    gone   bigint;
    closed bigint;
BEGIN
    UPDATE episode SET closed_at = now(), told_closed = true
     WHERE closed_at IS NULL AND device_id IN (SELECT device_id FROM gone_devices());
    GET DIAGNOSTICS gone = ROW_COUNT;
    UPDATE episode
       SET closed_at = now(), returned_at = coalesce(back.last_return, back.last_seen_ts),
           told_closed = NOT (told_open OR told_flapping)
      FROM devices_of_open_episodes() AS back
     WHERE episode.device_id = back.device_id AND closed_at IS NULL
       AND last_seen_ts > silent_from AND last_seen_ts >= now() - stale_after
       AND last_seen_ts <= now() + interval '5 minutes'
       AND NOT (is_flapping AND coalesce(back.last_return > now() - interval '15 minutes', false));
    GET DIAGNOSTICS closed = ROW_COUNT;
    -- Nothing is told of a device in maintenance.
    UPDATE episode SET told_closed = true
     WHERE closed_at IS NOT NULL AND NOT told_closed AND is_maintained(device_id);
    RETURN gone + closed;
END
$$;

-- Open an episode for each stale device of a site where one is due, so that a dead site is one message. Who was silent
-- for the third time within the hour is flapping, until it is steady for a quarter of an hour.
CREATE OR REPLACE FUNCTION open_episodes(due_sites text[], heard timestamptz) RETURNS bigint
LANGUAGE plpgsql
SET enable_nestloop = off SET enable_mergejoin = off
AS $$
DECLARE
    opened bigint;
BEGIN
    IF EXISTS (SELECT FROM episode WHERE closed_at IS NULL AND is_flapping) THEN
        UPDATE episode SET is_flapping = false, told_open = false, silent_from = device.last_seen_ts
          FROM quiet_devices(now() - interval '120 seconds') AS device
         WHERE device.device_id = episode.device_id AND closed_at IS NULL AND is_flapping
           AND is_due AND quiet_from < now() - interval '15 minutes';
    END IF;
    IF due_sites IS NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO episode (device_id, site_id, silent_from, opened_at, is_flapping)
    SELECT device_id, site_id, last_seen_ts, now(), coalesce(times >= 2, false)
      FROM (SELECT device_id, site_id, last_seen_ts, bool_or(is_due) OVER (PARTITION BY site_id) AS is_told
              FROM quiet_devices(now() - interval '120 seconds', heard) AS device
              JOIN unnest(due_sites) AS due (site_id) USING (site_id)
             WHERE is_stale AND is_known(device_id, last_seen_ts)
               AND NOT EXISTS (SELECT FROM episode
                                WHERE episode.device_id = device.device_id AND closed_at IS NULL)) AS silent
      LEFT JOIN (SELECT device_id, count(*) AS times FROM episode
                  WHERE opened_at > now() - interval '1 hour' GROUP BY device_id) AS past USING (device_id)
     WHERE is_told
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS opened = ROW_COUNT;
    RETURN opened;
END
$$;
