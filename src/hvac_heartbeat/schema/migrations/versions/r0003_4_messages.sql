-- The messages, and how many.

-- A time as a person reads it at night: the day is left out when it is today.
CREATE OR REPLACE FUNCTION time_in_words(at timestamptz) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT to_char(at AT TIME ZONE 'UTC',
                   CASE WHEN (at AT TIME ZONE 'UTC')::date = (now() AT TIME ZONE 'UTC')::date
                        THEN 'HH24:MI "UTC"' ELSE 'YYYY-MM-DD HH24:MI "UTC"' END);
END;

CREATE OR REPLACE FUNCTION how_many(number bigint, thing text) RETURNS text
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT number || ' ' || thing || CASE number WHEN 1 THEN '' ELSE 's' END;
END;

-- Not md5(), which a server in FIPS mode refuses.
CREATE OR REPLACE FUNCTION news_hash(content text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT encode(sha256(convert_to(content, getdatabaseencoding())), 'hex');
END;

-- What there is to tell of a site: of which devices, the longest silent first. `content` is the same for the same news.
-- A site is told as back a minute after the first of it came back: one that comes back within that is told once.
CREATE OR REPLACE FUNCTION untold() RETURNS SETOF site_news
LANGUAGE sql STABLE
SET enable_nestloop = off SET enable_mergejoin = off
BEGIN ATOMIC
    WITH stale AS MATERIALIZED (
        SELECT device_id, site_id FROM quiet_devices(now() - interval '120 seconds') WHERE is_stale
    ), told AS MATERIALIZED (
        SELECT kind, site_id, min(silent_from) AS silent_from, max(returned_at) AS returned_at,
               array_agg(device_id ORDER BY silent_from, device_id COLLATE "C") AS device_ids,
               array_agg(device_id ORDER BY silent_from, device_id COLLATE "C") FILTER (WHERE is_flapping) AS flapping,
               min(waits_since) AS waits_since,
               news_hash(string_agg(concat_ws(' ', device_id, extract(epoch FROM opened_at), is_flapping), ','
                                  ORDER BY device_id COLLATE "C", opened_at)) AS content
          FROM (SELECT 'Silence Opened' AS kind, episode.*, opened_at AS waits_since
                  FROM episode
                  LEFT JOIN (SELECT device_id AS stale_id FROM stale) AS stale ON stale_id = device_id
                 WHERE closed_at IS NULL AND NOT told_closed AND NOT told_open
                   AND (stale_id IS NOT NULL OR (is_flapping AND NOT is_maintained(device_id)))
                 UNION ALL
                SELECT 'Silence Ended', episode.*, closed_at
                  FROM episode WHERE closed_at IS NOT NULL AND NOT told_closed) AS news
         GROUP BY kind, site_id
        HAVING kind = 'Silence Opened' OR min(waits_since) <= now() - interval '60 seconds'
    ), site AS MATERIALIZED (
        SELECT site_id, count(*) AS devices
          FROM v_counted
          JOIN (SELECT DISTINCT site_id FROM told) AS named USING (site_id)
         GROUP BY site_id
    ), dark AS MATERIALIZED (
        SELECT site_id, count(*) AS silent FROM stale GROUP BY site_id
    )
    SELECT kind, told.site_id, coalesce(devices, 0), coalesce(silent, 0), silent_from, returned_at, device_ids,
           coalesce(flapping, '{}'), waits_since, content
      FROM told
      LEFT JOIN site ON site.site_id = told.site_id
      LEFT JOIN dark ON dark.site_id = told.site_id;
END;

-- One site in a line that a person reads. (More may be back than it has: devices that have moved to another site.)
CREATE OR REPLACE FUNCTION news_in_words(news site_news) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT (news).site_id || ': ' || CASE (news).kind
        WHEN 'Silence Opened' THEN concat_ws(', ',
            CASE WHEN cardinality((news).device_ids) > cardinality((news).flapping)
                 THEN format('%s of %s silent since %s', (news).silent, (news).devices,
                             time_in_words((news).silent_from)) END,
            CASE WHEN (news).flapping <> '{}' THEN cardinality((news).flapping) || ' flapping' END)
        ELSE concat_ws(', ',
            cardinality((news).device_ids)
            || CASE WHEN cardinality((news).device_ids) <= (news).devices THEN ' of ' || (news).devices ELSE '' END
            || ' back since ' || time_in_words((news).returned_at),
            CASE WHEN (news).silent > 0 THEN (news).silent || ' still silent' END) END;
END;

-- The same for programs.
CREATE OR REPLACE FUNCTION news_in_numbers(news site_news) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'site_id', (news).site_id, 'devices', (news).devices, 'silent', (news).silent,
        'is_dark', (news).silent > 0 AND (news).silent = (news).devices, 'told', cardinality((news).device_ids),
        'silent_from', (news).silent_from, 'returned_at', (news).returned_at));
END;

-- Put a message into the outbox: the same content only once.
CREATE OR REPLACE FUNCTION put_message(kind text, scope text, site_id text, content text, body jsonb) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO silence_message (dedup_id, kind, scope, site_id, body, created_at, next_attempt_at)
    VALUES (replace(lower(put_message.kind), ' ', '-') || '-' || put_message.scope || '-' || news_hash(content),
            put_message.kind, put_message.scope, put_message.site_id,
            jsonb_build_object('version', 1, 'kind', put_message.kind, 'scope', put_message.scope, 'at', now())
            || put_message.body, now(), now())
    ON CONFLICT (dedup_id) DO NOTHING;
END;

-- In one statement, because there may be thousands of sites: a fleet may have as many that are long gone.
CREATE OR REPLACE FUNCTION mark_told(told site_news[]) RETURNS void
LANGUAGE sql
SET enable_nestloop = off SET enable_mergejoin = off
BEGIN ATOMIC
    UPDATE episode
       SET told_open     = told_open OR kind = 'Silence Opened',
           told_flapping = told_flapping OR (kind = 'Silence Opened' AND is_flapping),
           told_closed   = kind = 'Silence Ended'
      FROM (SELECT kind, site_id, unnest(device_ids) AS device_id FROM unnest(told)) AS news
     WHERE news.device_id = episode.device_id AND news.site_id = episode.site_id AND NOT told_closed
       AND (closed_at IS NULL) = (kind = 'Silence Opened');
END;

-- Six messages about single sites in any ten minutes, the largest outages first. The others wait for the digest, of
-- which there is one in any five minutes; what has waited for longest goes into it.
CREATE OR REPLACE FUNCTION tell_sites() RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    news   site_news[];
    one    site_news;
    budget integer := greatest(0, 6 - (SELECT count(*) FROM silence_message
                                        WHERE scope = 'site' AND created_at > now() - interval '10 minutes'));
BEGIN
    IF NOT EXISTS (SELECT FROM episode WHERE NOT told_closed AND (closed_at IS NOT NULL OR NOT told_open)) THEN
        RETURN;
    END IF;
    SELECT array_agg(site ORDER BY kind DESC, cardinality(device_ids) DESC, site_id COLLATE "C") INTO news
      FROM untold() AS site;
    FOREACH one IN ARRAY coalesce(news[1 : budget], '{}') LOOP
        PERFORM put_message(one.kind, 'site', one.site_id, one.site_id || ' ' || one.content,
                            news_in_numbers(one) || jsonb_build_object(
                                'text', news_in_words(one), 'device_ids', to_jsonb(one.device_ids[1 : 20]),
                                'flapping', to_jsonb(one.flapping[1 : 20])));
    END LOOP;
    PERFORM mark_told(news[1 : budget]);
    PERFORM tell_digest(news[budget + 1 :]);
END
$$;

CREATE OR REPLACE FUNCTION may_tell_digest() RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT NOT EXISTS (SELECT FROM silence_message
                        WHERE scope IN ('digest', 'standing') AND created_at > now() - interval '5 minutes');
END;

CREATE OR REPLACE FUNCTION tell_digest(news site_news[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    told site_news[];
BEGIN
    IF coalesce(cardinality(news), 0) = 0 OR NOT may_tell_digest() THEN
        RETURN;
    END IF;
    told := ARRAY(SELECT site FROM unnest(news) AS site
                   WHERE kind = (SELECT kind FROM unnest(news) ORDER BY waits_since, kind DESC LIMIT 1));
    PERFORM put_message(
        told[1].kind, 'digest', NULL,
        (SELECT string_agg(site_id || ' ' || content, ',' ORDER BY site_id COLLATE "C") FROM unnest(told)),
        jsonb_build_object(
            'sites', (SELECT count(*) FROM unnest(told)),
            'told', (SELECT sum(cardinality(device_ids)) FROM unnest(told)),
            'silent_from', (SELECT min(silent_from) FROM unnest(told)),
            'largest', (SELECT jsonb_agg(news_in_numbers(told[place]) ORDER BY place)
                          FROM generate_series(1, least(100, cardinality(told))) AS place),
            'text', list_in_words(told)));
    PERFORM mark_told(told);
END
$$;

-- Several sites in a line: how many, and the three largest.
CREATE OR REPLACE FUNCTION list_in_words(told site_news[]) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT how_many(cardinality(told), 'more site') || ': '
           || (SELECT string_agg(news_in_words(told[place]), '; ' ORDER BY place)
                 FROM generate_series(1, least(3, cardinality(told))) AS place)
           || CASE WHEN cardinality(told) > 3 THEN '; and ' || how_many(cardinality(told) - 3, 'other') ELSE '' END;
END;

-- What was told and is silent for over a day is told again, once a day at most.
CREATE OR REPLACE FUNCTION tell_standing() RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT may_tell_digest()
       OR EXISTS (SELECT FROM silence_message WHERE scope = 'standing' AND created_at > now() - interval '24 hours') THEN
        RETURN;
    END IF;
    PERFORM put_message('Silence Opened', 'standing', NULL, now()::text, body)
       FROM (SELECT jsonb_build_object(
                        'sites', count(*), 'told', sum(silent), 'silent_from', min(silent_from),
                        'largest', to_jsonb((array_agg(jsonb_build_object(
                            'site_id', site_id, 'silent', silent, 'silent_from', silent_from)
                            ORDER BY silent DESC, site_id COLLATE "C"))[1 : 100]),
                        'text', format('%s at %s silent for over a day: %s',
                            how_many(sum(silent)::bigint, 'device'), how_many(count(*), 'site'),
                            array_to_string((array_agg(site_id || ' ' || silent
                                             ORDER BY silent DESC, site_id COLLATE "C"))[1 : 5], ', '))) AS body
               FROM (SELECT site_id, count(*) AS silent, min(silent_from) AS silent_from
                       FROM episode
                      WHERE closed_at IS NULL AND told_open AND opened_at < now() - interval '24 hours'
                        AND NOT is_maintained(device_id)
                      GROUP BY site_id) AS site
             HAVING count(*) > 0) AS standing;
END
$$;

-- Two messages about the fleet in any ten minutes: that it is silent, and that devices are told of again. One that began
-- and ended before it could be told is told once, or not at all where it was over ten minutes ago: what goes on and off
-- more often is not to be told late for ever.
CREATE OR REPLACE FUNCTION tell_fleet(devices bigint, stale bigint) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    silence fleet_silence;
    state   text;
BEGIN
    UPDATE fleet_silence SET told_ended = true
     WHERE NOT told_ended AND NOT told_began AND ended_at <= now() - interval '10 minutes';
    FOR silence IN SELECT * FROM fleet_silence WHERE NOT told_ended AND (ended_at IS NOT NULL OR NOT told_began)
                    ORDER BY opened_at LOOP
        EXIT WHEN (SELECT count(*) FROM silence_message
                    WHERE scope = 'fleet' AND created_at > now() - interval '10 minutes') >= 2;
        state := CASE WHEN silence.ended_at IS NULL THEN 'began' ELSE 'ended' END;
        PERFORM put_message('Ingest Deaf', 'fleet', NULL, state || ' ' || silence.opened_at,
                            jsonb_strip_nulls(jsonb_build_object(
            'state', state, 'silent_from', silence.silent_from, 'ended_at', silence.ended_at,
            'evidence', silence.evidence, 'devices', devices, 'silent', stale,
            'text', CASE state
                WHEN 'began' THEN format(CASE WHEN stale >= 0.9 * devices THEN 'Almost nobody of the fleet has been heard'
                                              ELSE 'Many devices at once have not been heard, or were late,' END
                                         || ' since %s: %s of %s devices are silent; '
                                            'no device is told of while this lasts',
                                         time_in_words(silence.silent_from), stale, devices)
                ELSE format('Devices are told of again; many at once were not heard, or were late, from %s to %s',
                            time_in_words(silence.silent_from), time_in_words(silence.ended_at)) END
                || coalesce(' (' || silence.evidence || ')', ''))));
        UPDATE fleet_silence SET told_began = true, told_ended = state = 'ended' WHERE opened_at = silence.opened_at;
    END LOOP;
END
$$;
