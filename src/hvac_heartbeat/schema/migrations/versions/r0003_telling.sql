-- Telling: who is told of a silence, once and soon (docs/operations.md). It stands on the ledger (r0002_ledger.sql).
-- One function, `sweep`, may be run by anyone at any time, twice at once, late, or be killed. It judges what is known,
-- notes what is to be told, and writes the messages, all in one transaction. Who delivers them leases them afterwards.

-- Makes again what is missing of its own, and may be run twice. Run it in one transaction.
SELECT set_config('hvac_heartbeat.search_path', current_setting('search_path'), true),
       set_config('search_path', concat_ws(', ', relnamespace::regnamespace, 'pg_temp'), true)
  FROM pg_class WHERE oid = to_regclass('device_state');

-- --------------------------------------------------------------------------------------------------------- tables

-- What is to be told, or was told, of a device's silence. At most one is open per device.
CREATE TABLE IF NOT EXISTS episode (
    device_id     text        NOT NULL,
    site_id       text        NOT NULL,
    silent_from   timestamptz NOT NULL,
    opened_at     timestamptz NOT NULL,
    closed_at     timestamptz,
    returned_at   timestamptz,
    is_flapping   boolean     NOT NULL DEFAULT false,
    told_open     boolean     NOT NULL DEFAULT false, -- its present state, flapping or silent, was told
    told_flapping boolean     NOT NULL DEFAULT false,
    told_closed   boolean     NOT NULL DEFAULT false, -- nothing is left to tell of it
    PRIMARY KEY (device_id, opened_at)
);
CREATE UNIQUE INDEX IF NOT EXISTS episode_open ON episode (device_id) WHERE closed_at IS NULL;
CREATE INDEX IF NOT EXISTS episode_untold ON episode (opened_at) WHERE NOT told_closed; -- a name may be too long for one
CREATE INDEX IF NOT EXISTS episode_closed_at ON episode (closed_at);

-- Times in which almost nobody or many at once were not heard, or only late. Where there is evidence that it was us, a
-- deaf interval is made of it.
CREATE TABLE IF NOT EXISTS fleet_silence (
    silent_from timestamptz NOT NULL,
    opened_at   timestamptz PRIMARY KEY,
    ended_at    timestamptz,
    evidence    text,
    is_deaf     boolean     NOT NULL DEFAULT false, -- the deaf interval was written
    told_began  boolean     NOT NULL DEFAULT false,
    told_ended  boolean     NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX IF NOT EXISTS fleet_silence_open ON fleet_silence ((true)) WHERE ended_at IS NULL;

-- The outbox.
CREATE TABLE IF NOT EXISTS silence_message (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dedup_id        text        NOT NULL UNIQUE,
    kind            text        NOT NULL CHECK (kind IN ('Silence Opened', 'Silence Ended', 'Ingest Deaf')),
    scope           text        NOT NULL CHECK (scope IN ('site', 'digest', 'standing', 'fleet')),
    site_id         text        CHECK ((scope = 'site') = (site_id IS NOT NULL)),
    body            jsonb       NOT NULL,
    created_at      timestamptz NOT NULL,
    delivered_to    text[]      NOT NULL DEFAULT '{}',
    delivered_at    timestamptz,
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    leased_until    timestamptz
);
CREATE INDEX IF NOT EXISTS silence_message_created_at ON silence_message (created_at);

-- Who came back lately is asked of the ledger by the end of the silence. Silences are written in the order of their
-- ends, so that ranges of pages are enough.
CREATE INDEX IF NOT EXISTS silence_silent_to ON silence USING brin (silent_to) WITH (autosummarize = on);

-- Devices that were taken out of service have maintenance without an end, so there may be many.
CREATE INDEX IF NOT EXISTS maintenance_window_subject ON maintenance_window (subject, scope);

-- What the functions below hand on, one after the other. (There is no CREATE TYPE IF NOT EXISTS.)
DO $$
BEGIN
    IF to_regtype('fleet_glance') IS NULL THEN
        CREATE TYPE fleet_glance AS (newest timestamptz, devices bigint, behind_by interval);
    END IF;
    IF to_regtype('silent_part') IS NULL THEN
        CREATE TYPE silent_part AS (quiet bigint, stale bigint, due_sites text[]);
    END IF;
    IF to_regtype('site_glance') IS NULL THEN
        CREATE TYPE site_glance AS (heard timestamptz, together timestamptz);
    END IF;
    IF to_regtype('fleet_survey') IS NULL THEN
        CREATE TYPE fleet_survey AS (sites bigint, is_silent boolean, was_silent boolean, silent_from timestamptz);
    END IF;
    IF to_regtype('site_news') IS NULL THEN
        CREATE TYPE site_news AS (kind text, site_id text, devices bigint, silent bigint, silent_from timestamptz,
                                  returned_at timestamptz, device_ids text[], flapping text[],
                                  waits_since timestamptz, content text);
    END IF;
END
$$;

-- ---------------------------------------------------------------------------------------------------- who is quiet

-- The rules that a device or a site has of its own, and when its last maintenance ended. In seconds, because a day of
-- an interval is as long as the session's time zone says.
CREATE OR REPLACE VIEW v_quiet_rule AS
SELECT scope, subject,
       make_interval(secs => extract(epoch FROM max(stale_after))::float8) AS stale_after,
       bool_or(lasts) AS in_maintenance,
       max(ended_at)  AS maintained_until
  FROM (SELECT scope, subject, stale_after, false AS lasts, NULL::timestamptz AS ended_at FROM liveness_policy
         UNION ALL
        SELECT scope, subject, NULL, coalesce(ends_at > now(), true), CASE WHEN ends_at <= now() THEN ends_at END
          FROM maintenance_window WHERE starts_at <= now()) AS rule
 GROUP BY scope, subject;

-- The devices that count: with a time that can be true, and not in maintenance. (A subquery without a table is computed
-- once, and not for each row.)
CREATE OR REPLACE VIEW v_counted AS
SELECT device_id, site_id, last_seen_ts, updated_at
  FROM device_state
 WHERE last_seen_ts > '-infinity' AND last_seen_ts <= (SELECT now() + interval '5 minutes')
   AND device_id NOT IN (SELECT subject FROM v_quiet_rule WHERE scope = 'device' AND in_maintenance)
   AND site_id NOT IN (SELECT subject FROM v_quiet_rule WHERE scope = 'site' AND in_maintenance);

-- Quiet is counted for no device from before this: the end of the last time in which we could hear nobody.
CREATE OR REPLACE VIEW v_heard_from AS
SELECT greatest((SELECT CASE WHEN bool_or(coalesce(ends_at > now(), true)) THEN now() ELSE max(ends_at) END
                   FROM deaf_interval WHERE starts_at <= now()),
                (SELECT max(ended_at) FROM fleet_silence WHERE ended_at <= now())) AS heard_from;

-- The fleet at a glance, in one cheap look at every row: the newest heartbeat, how many devices count, and by how much
-- we are behind. A queue that is being drained shows by heartbeats that were written late; what came after them may
-- still be in it, in any order. (Another program may write any time, and not all can be subtracted.)
CREATE OR REPLACE FUNCTION glance() RETURNS fleet_glance
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT max(last_seen_ts), count(*),
           CASE WHEN count(*) FILTER (WHERE is_late) >= greatest(3, 0.01 * count(*) FILTER (WHERE is_written))
                THEN max(updated_at - last_seen_ts) FILTER (WHERE is_late) END
      FROM (SELECT *, updated_at > (SELECT now() - interval '60 seconds') AS is_written,
                   last_seen_ts < (SELECT now() - interval '60 seconds')
                   AND updated_at > (SELECT now() - interval '60 seconds')
                   AND last_seen_ts + interval '60 seconds' < updated_at
                   AND last_seen_ts + interval '24 hours' > updated_at AS is_late
              FROM v_counted) AS device;
END;

-- The devices that count and were not seen since `seen_before`. A device is stale when it was quiet for longer than its
-- stale_after, and due for telling after half as long again. It is out when it is stale, or came back from being stale
-- within the last three minutes: a sweep that comes late sees a fleet that is half back.
-- Time in which many sites are not heard says nothing of a device, because it may be our outage, which shows only when
-- all of these sites are stale. So a device is not due before the others were `heard` when it was stale already; but
-- where they were not heard for its stale_after, either the fleet counts as silent by now, or it is too small for that.
CREATE OR REPLACE FUNCTION quiet_devices(seen_before timestamptz, heard timestamptz DEFAULT 'infinity')
RETURNS TABLE (device_id text, site_id text, last_seen_ts timestamptz, quiet_from timestamptz, is_stale boolean,
               is_due boolean, out_from timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT device_id, site_id, last_seen_ts, quiet_from, is_stale,
           quiet_from < now() - stale_after * 1.5
           AND (quiet_from < heard - stale_after OR heard < now() - stale_after),
           CASE WHEN is_stale THEN last_seen_ts
                WHEN silent_to - greatest(silent_from, heard_from) > stale_after THEN silent_from END
      FROM (SELECT state.device_id, state.site_id, last_seen_ts, silent_from, silent_to, rule.stale_after,
                   grace.heard_from, quiet_from, quiet_from < now() - rule.stale_after AS is_stale
              FROM v_counted AS state
              LEFT JOIN v_quiet_rule AS own ON own.scope = 'device' AND own.subject = state.device_id
              LEFT JOIN v_quiet_rule AS site ON site.scope = 'site' AND site.subject = state.site_id
              LEFT JOIN (SELECT device_id, max(silent_from) AS silent_from, max(silent_to) AS silent_to
                           FROM silence WHERE silent_to > now() - interval '3 minutes'
                          GROUP BY device_id) AS back ON back.device_id = state.device_id
             CROSS JOIN (SELECT max(stale_after) AS stale_after FROM v_quiet_rule WHERE scope = 'fleet') AS fleet
             CROSS JOIN v_heard_from
             CROSS JOIN LATERAL (
                   SELECT coalesce(own.stale_after, site.stale_after, fleet.stale_after,
                                   interval '120 seconds') AS stale_after) AS rule
             CROSS JOIN LATERAL (SELECT greatest(v_heard_from.heard_from, own.maintained_until,
                                                 site.maintained_until) AS heard_from) AS grace
             CROSS JOIN LATERAL (SELECT greatest(last_seen_ts, grace.heard_from) AS quiet_from) AS quiet
             WHERE last_seen_ts < seen_before) AS device;
END;

-- How many devices were not seen for 120 seconds, how many are stale, and which sites have one that is due but untold.
-- Here and below all joins are hash joins: no statistics can say how many devices fell silent since they were made.
CREATE OR REPLACE FUNCTION count_silent(heard timestamptz) RETURNS silent_part
LANGUAGE sql STABLE PARALLEL SAFE
SET enable_nestloop = off SET enable_mergejoin = off
BEGIN ATOMIC
    SELECT count(*), count(*) FILTER (WHERE is_stale),
           array_agg(DISTINCT site_id) FILTER (WHERE is_due AND episode.device_id IS NULL)
      FROM quiet_devices(now() - interval '120 seconds', heard)
      LEFT JOIN (SELECT device_id FROM episode WHERE closed_at IS NULL) AS episode USING (device_id);
END;

-- How many are many: one of ten, three at least.
CREATE OR REPLACE FUNCTION many_of(number bigint) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT greatest(3, ceil(number / 10.0))::integer;
END;

-- The sites that were heard within half an hour: since when all of them but some were `heard` (some are fewer than
-- many), and since when many are dark that fell silent `together`, within two minutes.
CREATE OR REPLACE FUNCTION glance_at_sites() RETURNS site_glance
LANGUAGE sql STABLE PARALLEL SAFE
SET enable_nestloop = off SET enable_mergejoin = off SET enable_sort = off
BEGIN ATOMIC
    WITH site AS MATERIALIZED (
        SELECT site_id, max(last_seen_ts) AS heard, count(*) AS devices FROM v_counted GROUP BY site_id
    ), lately AS MATERIALIZED (
        SELECT * FROM site WHERE heard > now() - interval '30 minutes'
    ), dark AS (
        SELECT heard, lag(heard, (SELECT many_of(count(*)) FROM lately) - 1) OVER (ORDER BY heard) AS many_before
          FROM lately
          JOIN (SELECT site_id, count(*) AS stale FROM quiet_devices(now() - interval '120 seconds')
                 WHERE is_stale GROUP BY site_id) AS quiet USING (site_id)
         WHERE stale = devices
    )
    SELECT coalesce((SELECT (array_agg(heard ORDER BY heard))[many_of(count(*))] FROM lately),
                    (SELECT max(heard) FROM site)),
           (SELECT max(heard) FROM dark WHERE heard - many_before <= interval '2 minutes');
END;

-- Whether a device is in maintenance, as in v_in_maintenance. A function, so that it and its windows are looked up by
-- their keys, and neither the fleet nor all windows are searched for each device.
CREATE OR REPLACE FUNCTION is_maintained(device text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH state AS MATERIALIZED (SELECT device_id, site_id FROM device_state WHERE device_id = device)
    SELECT EXISTS (SELECT FROM maintenance_window
                    WHERE ((scope = 'device' AND subject = (SELECT device_id FROM state))
                           OR (scope = 'site' AND subject = (SELECT site_id FROM state)))
                      AND starts_at <= now() AND coalesce(ends_at > now(), true));
END;

-- Whether three heartbeats of a device are proven: every gap between two that is no silence is at most 120 seconds.
-- Of a device that was there before the ledger it is taken for granted. What one that was deleted left does not count.
CREATE OR REPLACE FUNCTION is_known(device text, last_seen timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce((
        SELECT (SELECT 1 + count(*) + ceil(extract(epoch FROM last_seen - first_seen_ts
                                                              - coalesce(sum(silent_to - silent_from), '0')) / 120)
                  FROM silence WHERE silence.device_id = device AND silent_from >= first_seen_ts) >= 3
          FROM first_heartbeat WHERE first_heartbeat.device_id = device), true);
END;

-- Whether the whole fleet is silent now, whether it was a moment ago, and from when on nobody was heard. Awaited are
-- the devices that were heard within a day of the newest heartbeat: what is dead for longer says nothing about us. A
-- fleet is silent when nine of ten awaited devices are stale and nine of ten sites dark, and was when they are out.
CREATE OR REPLACE FUNCTION survey(glance fleet_glance) RETURNS fleet_survey
LANGUAGE sql STABLE PARALLEL SAFE
SET enable_nestloop = off SET enable_mergejoin = off
BEGIN ATOMIC
    SELECT count(*),
           coalesce(sum(stale) >= 0.9 * sum(awaited)
                    AND count(*) FILTER (WHERE stale = awaited) >= 0.9 * count(*), false),
           coalesce(sum(away) >= 0.9 * sum(awaited)
                    AND count(*) FILTER (WHERE away = awaited) >= 0.9 * count(*), false),
           max(out_from)
      FROM (SELECT site_id, count(*) AS awaited, count(*) FILTER (WHERE is_stale) AS stale,
                   count(out_from) AS away, max(out_from) AS out_from
              FROM quiet_devices('infinity')
             WHERE last_seen_ts > (glance).newest - interval '24 hours'
             GROUP BY site_id) AS site;
END;

-- -------------------------------------------------------------------------------------------- what is to be told

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
