-- The ledger of silence: what is kept, who writes it, and the answers that stand on it (docs/liveness.md).
-- Facts are stored, judgements are made when reading: a rule that is corrected corrects the past.
-- Needs PostgreSQL 14, CREATE on the schema of device_state, and TRIGGER, SELECT and UPDATE on the table. Changes
-- nothing of anybody else's, and makes again what is missing of its own: it may be run twice. Run it in one transaction.

-- Heartbeats queue up behind whoever waits for a lock on the table, so this gives up soon and can be tried again.
-- Everything goes where device_state is, and the functions look nowhere else ("FROM CURRENT" below) but where the type
-- of its ids is: without that type's operators (citext's, say) no index finds a device.
SELECT set_config('lock_timeout', '500ms', true),
       set_config('hvac_heartbeat.search_path', current_setting('search_path'), true),
       set_config('search_path',
                  concat_ws(', ', relnamespace::regnamespace,
                            nullif(typnamespace::regnamespace::text, 'pg_catalog'), 'pg_temp'), true)
  FROM pg_class
  JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'device_id'
  JOIN pg_type ON pg_type.oid = atttypid
 WHERE pg_class.oid = to_regclass('device_state');

-- ---------------------------------------------------------------------------------------------------------- facts

-- Since when gaps are written: of devices that were there before, nothing is known from before that.
CREATE TABLE IF NOT EXISTS ledger_start (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    started_at timestamptz NOT NULL DEFAULT now()
);
-- A ledger that has lost its silences or its first heartbeats begins anew: nothing is known from before any more.
DELETE FROM ledger_start WHERE to_regclass('silence') IS NULL OR to_regclass('first_heartbeat') IS NULL;
INSERT INTO ledger_start DEFAULT VALUES ON CONFLICT DO NOTHING;

-- The first heartbeat of each device that came after the ledger was made.
CREATE TABLE IF NOT EXISTS first_heartbeat (
    device_id     text        PRIMARY KEY,
    first_seen_ts timestamptz NOT NULL
);
DELETE FROM first_heartbeat WHERE to_regclass('silence') IS NULL;

-- After the heartbeat of silent_from, at site_id, the next one came at silent_to. Every gap of more than 120 seconds
-- is here; a device that is silent now has its last_seen_ts in device_state.
CREATE TABLE IF NOT EXISTS silence (
    device_id   text        NOT NULL,
    silent_from timestamptz NOT NULL,
    silent_to   timestamptz NOT NULL,
    site_id     text        NOT NULL,
    PRIMARY KEY (device_id, silent_from),
    CHECK (silent_to > silent_from + interval '120 seconds')
);

-- ---------------------------------------------------------------------------------------------------------- rules

-- How long a device may be silent before it is stale: the device's own rule, else its site's, else the fleet's, else
-- 120 seconds. No rule can be shorter, because no shorter gap is kept.
CREATE TABLE IF NOT EXISTS liveness_policy (
    scope       text     NOT NULL CHECK (scope IN ('fleet', 'site', 'device')),
    subject     text     NOT NULL CHECK ((scope = 'fleet') = (subject = '')),
    stale_after interval NOT NULL CHECK (stale_after BETWEEN interval '120 seconds' AND interval '36525 days'),
    PRIMARY KEY (scope, subject)
);

-- Silence that is expected. Without an end it goes on: a device that was taken out of service has one of these.
CREATE TABLE IF NOT EXISTS maintenance_window (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope     text        NOT NULL CHECK (scope IN ('site', 'device')),
    subject   text        NOT NULL CHECK (subject <> ''),
    starts_at timestamptz NOT NULL DEFAULT now() CHECK (isfinite(starts_at)),
    ends_at   timestamptz CHECK (ends_at > starts_at AND isfinite(ends_at)),
    note      text        NOT NULL DEFAULT ''
);

-- Time in which we could not hear anybody, so that silence proves nothing.
CREATE TABLE IF NOT EXISTS deaf_interval (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    starts_at timestamptz NOT NULL CHECK (isfinite(starts_at)),
    ends_at   timestamptz CHECK (ends_at > starts_at AND isfinite(ends_at)),
    note      text        NOT NULL DEFAULT ''
);

-- -------------------------------------------------------------------------------------------------------- writers

-- Runs for the few updates that end a silence, and for new devices. Whatever goes wrong in here, the heartbeat is
-- written: a failure is a warning in the server's log, and the rest of the batch skips the ledger.
CREATE OR REPLACE FUNCTION note_silence() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
SET lock_timeout = '100ms'
AS $$
DECLARE
    -- Another program may write infinity, which servers before 17 cannot subtract from.
    seen_at timestamptz := least(NEW.last_seen_ts, '9999-12-31 UTC');
    root    oid         := coalesce(pg_catalog.pg_partition_root(TG_RELID), TG_RELID);
BEGIN
    IF current_setting('hvac_heartbeat.ledger', true) = 'failed' THEN
        RETURN NULL;
    END IF;
    -- Everybody may run this on a table of their own; only device_state, its partitions and its shards give evidence. A
    -- shard is what Citus calls device_state_102008: it belongs to the owner of the table, in whose name nobody else can
    -- make one.
    IF root <> 'device_state'::regclass::oid THEN
        IF NOT EXISTS (SELECT FROM pg_class AS shard JOIN pg_class AS ours USING (relowner, relnamespace)
                        WHERE shard.oid = root AND shard.relname ~ '^device_state_[0-9]+$'
                          AND ours.oid = 'device_state'::regclass::oid) THEN
            RAISE insufficient_privilege USING MESSAGE = 'only device_state may run note_silence';
        END IF;
    END IF;
    IF OLD.last_seen_ts > '-infinity' AND NEW.last_seen_ts > OLD.last_seen_ts THEN
        INSERT INTO silence (device_id, silent_from, silent_to, site_id)
            VALUES (OLD.device_id, OLD.last_seen_ts, seen_at, OLD.site_id)
            ON CONFLICT (device_id, silent_from) DO UPDATE SET silent_to = excluded.silent_to;
    ELSIF seen_at > '-infinity' THEN
        -- A device begins, maybe anew, or another program's time was taken back, which was no heartbeat and ended no
        -- silence. The next silence begins here, so that none may reach beyond.
        DELETE FROM silence
              WHERE device_id = NEW.device_id AND silent_to > seen_at
                AND silent_from >= seen_at - interval '120 seconds';
        UPDATE silence SET silent_to = seen_at WHERE device_id = NEW.device_id AND silent_to > seen_at;
        IF TG_OP = 'INSERT' OR OLD.last_seen_ts = '-infinity' THEN
            INSERT INTO first_heartbeat (device_id, first_seen_ts) VALUES (NEW.device_id, seen_at)
                ON CONFLICT (device_id) DO UPDATE SET first_seen_ts = excluded.first_seen_ts WHERE TG_OP = 'INSERT';
        ELSE
            UPDATE first_heartbeat SET first_seen_ts = seen_at
             WHERE device_id = NEW.device_id AND first_seen_ts > seen_at;
        END IF;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM set_config('hvac_heartbeat.ledger', 'failed', true);
    RAISE WARNING 'hvac-heartbeat: a silence was not written: %', SQLERRM;
    RETURN NULL;
END
$$;

-- Who may write heartbeats may call the functions that have their maker's rights, and nobody else. (RAISE puts the words
-- together, because whoever may create in this schema could have a format() of their own run instead.)
CREATE OR REPLACE FUNCTION require_right_to_write() RETURNS void
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF NOT has_column_privilege(session_user, 'device_state', 'last_seen_ts', 'UPDATE') THEN
        RAISE 'role % may not update device_state', session_user USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

-- Late heartbeats are evidence. One that falls into a silence splits it, and one from before the first moves the first.
-- Takes what was outdated, and what was merged into a newer heartbeat of the same event, in any order.
CREATE OR REPLACE FUNCTION note_late_heartbeats(device_ids text[], times timestamptz[], site_ids text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
SET lock_timeout = '2s' -- for each lock; the heartbeats are sent again then
AS $$
DECLARE
    late  record;
    gap   silence;
    first timestamptz;
    id    device_state.device_id%TYPE; -- so that the table's key finds it, whatever the column's type is
BEGIN
    PERFORM require_right_to_write();
    FOR late IN
        SELECT DISTINCT ON (device_id COLLATE "C", seen_at) device_id, seen_at, site_id
          FROM (SELECT device_id, least(seen_at, now()) AS seen_at, site_id -- as the upsert writes it
                  FROM unnest(device_ids, times, site_ids) AS sent (device_id, seen_at, site_id)) AS heartbeat
         ORDER BY device_id COLLATE "C", seen_at -- the order of the upsert, so that the two cannot block each other
    LOOP
        -- A silence that holds a late heartbeat was committed before that heartbeat was found late. So those that no
        -- silence holds need no lock. (One by one, because Citus joins no array with two distributed tables.)
        CONTINUE WHEN (late.seen_at < (SELECT silent_to FROM silence
                                        WHERE device_id = late.device_id AND silent_from < late.seen_at
                                        ORDER BY silent_from DESC LIMIT 1)
                       OR late.seen_at < (SELECT first_seen_ts FROM first_heartbeat WHERE device_id = late.device_id))
                      IS NOT TRUE;
        id := late.device_id;
        PERFORM FROM device_state WHERE device_id = id FOR NO KEY UPDATE;
        SELECT * INTO gap FROM silence
         WHERE device_id = late.device_id AND silent_from < late.seen_at
         ORDER BY silent_from DESC LIMIT 1;
        IF FOUND AND late.seen_at < gap.silent_to THEN
            DELETE FROM silence WHERE device_id = gap.device_id AND silent_from = gap.silent_from;
            INSERT INTO silence (device_id, silent_from, silent_to, site_id)
            SELECT device_id, silent_from, silent_to, site_id
              FROM (VALUES (gap.device_id, gap.silent_from, late.seen_at, gap.site_id),
                           (gap.device_id, late.seen_at, gap.silent_to, late.site_id))
                   AS half (device_id, silent_from, silent_to, site_id)
             WHERE silent_to > silent_from + interval '120 seconds';
            CONTINUE;
        END IF;
        SELECT first_seen_ts INTO first FROM first_heartbeat WHERE device_id = late.device_id;
        IF late.seen_at < first THEN
            UPDATE first_heartbeat SET first_seen_ts = late.seen_at WHERE device_id = late.device_id;
            -- Of a device that was deleted and began anew, silences from before its new first one are known.
            INSERT INTO silence (device_id, silent_from, silent_to, site_id)
            SELECT late.device_id, late.seen_at, next, late.site_id
              FROM (SELECT least(first, min(silent_from)) AS next
                      FROM silence WHERE device_id = late.device_id AND silent_from >= late.seen_at) AS heard
             WHERE next > late.seen_at + interval '120 seconds';
        END IF;
    END LOOP;
END
$$;

-- -------------------------------------------------------------------------------------------------------- answers

-- A day has 24 hours in all of them, whatever the session's time zone.
-- "OFFSET 0" has a value worked out once for each row, and not anew wherever it is used. Such a subquery, being one
-- without a table, may not call now() where the fleet is on shards: it takes `clock.at`.

-- How long the parts of some times are together, and how long the longest of them is.
CREATE OR REPLACE FUNCTION total_length(times tstzmultirange) RETURNS interval
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT justify_hours(coalesce(sum(upper(part) - lower(part)), '0')) FROM unnest(times) AS part;
END;

CREATE OR REPLACE FUNCTION longest_part(times tstzmultirange) RETURNS interval
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(max(upper(part) - lower(part)), '0') FROM unnest(times) AS part;
END;

-- The rule: a silence counts when we could hear for longer than stale_after without a break, and heard nothing.
CREATE OR REPLACE FUNCTION silence_counts(silent_from timestamptz, silent_to timestamptz, stale_after interval,
                                          deaf tstzmultirange) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN silent_to - silent_from > stale_after
       AND (NOT deaf && tstzrange(silent_from, silent_to)
            OR longest_part(tstzmultirange(tstzrange(silent_from, silent_to)) - deaf) > stale_after);

-- The times in which silence proves nothing, because we heard nobody. An interval without an end goes on.
CREATE OR REPLACE VIEW v_deaf AS
SELECT coalesce(range_agg(tstzrange(starts_at, coalesce(ends_at, 'infinity'))), '{}') AS deaf
  FROM deaf_interval;

-- Which rule holds for each device.
CREATE OR REPLACE VIEW v_stale_after AS
SELECT device_id,
       site_id,
       make_interval(secs => extract(epoch FROM coalesce(
           of_device.stale_after, of_site.stale_after, of_fleet.stale_after, interval '120 seconds'))::float8)
       AS stale_after
  FROM device_state
  LEFT JOIN liveness_policy AS of_device ON of_device.scope = 'device' AND of_device.subject = device_id
  LEFT JOIN liveness_policy AS of_site   ON of_site.scope   = 'site'   AND of_site.subject   = site_id
  LEFT JOIN liveness_policy AS of_fleet  ON of_fleet.scope  = 'fleet'  AND of_fleet.subject  = '';

-- The devices in maintenance now.
CREATE OR REPLACE VIEW v_in_maintenance AS
  WITH present AS (
       SELECT scope, subject
         FROM maintenance_window
        WHERE starts_at <= now() AND (ends_at IS NULL OR ends_at > now()))
SELECT device_id, site_id
  FROM device_state
 WHERE device_id IN (SELECT subject FROM present WHERE scope = 'device')
    OR site_id   IN (SELECT subject FROM present WHERE scope = 'site');

-- What silence says of each device: online, stale when its silence counts, else unknown: silent for long enough, but we
-- were deaf in between, or another program wrote a time that cannot be.
CREATE OR REPLACE VIEW v_device_liveness AS
SELECT state.device_id, state.site_id, last_seen_ts,
       CASE WHEN isfinite(last_seen_ts) THEN now() - last_seen_ts END AS age,
       stale_after, liveness,
       CASE WHEN liveness = 'stale' THEN last_seen_ts END AS silent_from,
       status,
       CASE WHEN liveness <> 'online' THEN NULL
            WHEN queue_depth = 0 OR last_upload_ts >= now() - stale_after THEN true
            WHEN queue_depth > 0 AND last_upload_ts < now() - stale_after THEN false
        END AS delivering,
       maintained.device_id IS NOT NULL AS in_maintenance
  FROM device_state AS state
  JOIN v_stale_after AS rule ON rule.device_id = state.device_id
  LEFT JOIN v_in_maintenance AS maintained ON maintained.device_id = state.device_id
 CROSS JOIN v_deaf
 CROSS JOIN (SELECT coalesce(max(now()), now()) AS at FROM ledger_start) AS clock
 CROSS JOIN LATERAL (
       SELECT CASE WHEN NOT isfinite(last_seen_ts) OR last_seen_ts - at > interval '5 minutes' THEN 'unknown'
                   WHEN at - last_seen_ts <= stale_after THEN 'online'
                   WHEN silence_counts(last_seen_ts, at, stale_after, deaf) THEN 'stale'
                   ELSE 'unknown'
               END OFFSET 0) AS judged (liveness);

-- What that means for each site. Devices in maintenance are in the first two counts only. A site is dark when it has
-- devices that count, and all of them are stale; it is so since the last of them fell silent.
CREATE OR REPLACE VIEW v_site_liveness AS
SELECT site_id,
       count(*)                                                            AS devices,
       count(*) FILTER (WHERE in_maintenance)                              AS in_maintenance,
       count(*) FILTER (WHERE liveness = 'online' AND NOT in_maintenance)  AS online,
       count(*) FILTER (WHERE liveness = 'stale' AND NOT in_maintenance)   AS stale,
       count(*) FILTER (WHERE liveness = 'unknown' AND NOT in_maintenance) AS unknown,
       count(*) FILTER (WHERE NOT delivering AND NOT in_maintenance)       AS not_delivering,
       coalesce(bool_and(liveness = 'stale') FILTER (WHERE NOT in_maintenance), false) AS is_dark,
       CASE WHEN bool_and(liveness = 'stale') FILTER (WHERE NOT in_maintenance)
            THEN max(last_seen_ts) FILTER (WHERE NOT in_maintenance) END   AS dark_since
  FROM v_device_liveness
 GROUP BY site_id;

-- Every silence of more than 120 seconds; silent_to is null while it lasts. The device's rule of today says whether it
-- counts. Another program's time from the future is no end: until then the silence lasts.
CREATE OR REPLACE VIEW v_silences AS
SELECT device_id, site_id, silent_from, silent_to, heard_until - silent_from AS length,
       silence_counts(silent_from, heard_until, coalesce(stale_after, interval '120 seconds'), deaf) AS counts
  FROM (SELECT device_id, site_id, silent_from, silent_to, least(silent_to, now()) AS heard_until
          FROM silence
         UNION ALL
        SELECT device_id, site_id, last_seen_ts, NULL, now()
          FROM device_state WHERE last_seen_ts < now() - interval '120 seconds') AS gap
  LEFT JOIN (SELECT device_id, stale_after FROM v_stale_after) AS rule USING (device_id)
 CROSS JOIN v_deaf
 WHERE isfinite(silent_from) AND silent_from < now();

-- How available each device was from since until until; a bound that is null is none. Observed is the time from there
-- (from the first heartbeat or the ledger's start, where that is later) until now at most, less maintenance, less what
-- we could not hear. Of that, what silences cover which count is silent, and the rest is available.
CREATE OR REPLACE FUNCTION device_availability(since timestamptz, until timestamptz)
RETURNS TABLE (device_id text, site_id text, observed interval, silent interval, availability numeric,
               silences bigint, longest interval, mean_time_to_return interval)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH maintenance AS MATERIALIZED (
        SELECT scope, subject, range_agg(tstzrange(starts_at, coalesce(ends_at, 'infinity'))) AS times
          FROM maintenance_window GROUP BY scope, subject
    ), period AS (
        SELECT state.device_id, state.site_id, observed.times, at
          FROM device_state AS state
          LEFT JOIN first_heartbeat AS first ON first.device_id = state.device_id
          LEFT JOIN maintenance AS of_site   ON of_site.scope = 'site'     AND of_site.subject = state.site_id
          LEFT JOIN maintenance AS of_device ON of_device.scope = 'device' AND of_device.subject = state.device_id
         CROSS JOIN v_deaf
         CROSS JOIN (SELECT coalesce(max(now()), now()) AS at FROM ledger_start) AS clock
         CROSS JOIN LATERAL greatest(
               since, first_seen_ts, (SELECT started_at FROM ledger_start)) AS known_from
         CROSS JOIN LATERAL (
               SELECT tstzmultirange(tstzrange(known_from, greatest(known_from, least(until, at))))
                      - coalesce(of_site.times, '{}') - coalesce(of_device.times, '{}') - deaf
               OFFSET 0) AS observed (times)
    ), total AS (
        SELECT period.device_id, period.site_id, total_length(period.times) AS observed,
               coalesce(sum(part.length), '0') AS silent,
               coalesce(max(part.length), '0') AS longest,
               count(part.length)              AS silences
          FROM period
          LEFT JOIN v_silences AS gap
            ON gap.device_id = period.device_id AND counts
               AND silent_from < coalesce(until, 'infinity')
               AND coalesce(silent_to, 'infinity') > coalesce(since, '-infinity')
          LEFT JOIN LATERAL (
               SELECT sum(upper(silent) - lower(silent))
                 FROM unnest(period.times * tstzmultirange(tstzrange(silent_from, least(silent_to, at)))) AS silent
               ) AS part (length) ON silent_from IS NOT NULL -- a range from null would be one without a bound
         GROUP BY period.device_id, period.site_id, period.times, period.at
    )
    SELECT device_id, site_id, observed, justify_hours(silent),
           1 - extract(epoch FROM silent) / nullif(extract(epoch FROM observed), 0),
           silences, justify_hours(longest),
           justify_hours(make_interval(secs => (extract(epoch FROM silent) / nullif(silences, 0))::float8))
      FROM total;
END;

-- The same for each site: the times of its devices together.
CREATE OR REPLACE FUNCTION site_availability(since timestamptz, until timestamptz)
RETURNS TABLE (site_id text, devices bigint, observed interval, silent interval, availability numeric,
               silences bigint, longest interval, mean_time_to_return interval)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT site_id, count(*), justify_hours(sum(observed)), justify_hours(sum(silent)),
           1 - extract(epoch FROM sum(silent)) / nullif(extract(epoch FROM sum(observed)), 0),
           sum(silences)::bigint, max(longest),
           justify_hours(make_interval(secs => (extract(epoch FROM sum(silent)) / nullif(sum(silences), 0))::float8))
      FROM device_availability(since, until)
     GROUP BY site_id;
END;

-- ------------------------------------------------------------------------------------------------------- triggers

-- Last, because they take a lock on the table that lets no heartbeat by until the migration's end.
CREATE OR REPLACE TRIGGER note_silence AFTER UPDATE ON device_state FOR EACH ROW
    WHEN (NEW.last_seen_ts - interval '120 seconds' > OLD.last_seen_ts OR NEW.last_seen_ts < OLD.last_seen_ts)
    EXECUTE FUNCTION note_silence();
CREATE OR REPLACE TRIGGER note_first_heartbeat AFTER INSERT ON device_state FOR EACH ROW
    EXECUTE FUNCTION note_silence();

SELECT set_config('search_path', current_setting('hvac_heartbeat.search_path', true), true);
