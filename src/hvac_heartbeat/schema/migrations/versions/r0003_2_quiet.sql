-- Who is quiet, and whether it is us.

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
